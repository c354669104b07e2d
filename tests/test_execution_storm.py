"""Emulated orders in a storm: any prices, any answers, late fills, doubts, restarts at any message.

The desk below knows what really filled and what of it was told. It holds the component to the promises:
nothing is sent while a child is in doubt, two sides of a pair are never out together, no more is out
than is wanted, and when all is told and quiet, what was done is what was wanted, to the lot.
"""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.messages import (
    BUY,
    SELL,
    AnyMessage,
    BookState,
    Fill,
    OrderEvent,
    OrderIntent,
    OrderState,
    ParentCancel,
    ParentEvent,
    ParentIntent,
    ParentKind,
    ParentState,
    Reason,
    Risk,
    RiskLevel,
    Started,
    TimeInForce,
    TriggerSource,
)
from engine.orders.lifecycle import FINAL
from engine.parents.state import ENTERS
from tests.emulated import BOT, ENDS, Bench, cancels, execution, parent_events, wish
from tests.streams import SECOND, event, fill, intents

KINDS = list(ParentKind)
LEVELS = (Risk.NORMAL, Risk.NORMAL, Risk.RESTRICTED, Risk.HALT)


class Out:
    """A child as the desk has it: what really filled, what fills and events told of it."""

    def __init__(self, order: OrderIntent) -> None:
        self.order = order
        self.filled = 0
        self.fills_told = 0
        self.event_told = 0
        self.state = OrderState.INTENDED
        self.cancel_asked = False

    @property
    def told(self) -> int:
        """What the component can know to be filled."""
        return max(self.fills_told, self.event_told)

    @property
    def left(self) -> int:
        """What may still fill."""
        return self.order.lots - self.filled


class Storm:
    """A bench, its desk, and the promises, checked with every message."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.bench = Bench()
        self.outs: dict[str, Out] = {}
        self.wishes: dict[str, ParentIntent] = {}
        self.steps: dict[str, ParentEvent] = {}
        self.trades = 0
        self.states: set[OrderState] = set()
        self.told: list[OrderEvent | Fill] = []

    # --- the promises -----------------------------------------------------------------------------

    def heard(self, outputs: list[AnyMessage]) -> None:
        """Keep what the component said, held against what it may say."""
        for output in outputs:
            if isinstance(output, OrderIntent):
                self.judge(output)
                self.outs[output.client_order_id] = Out(output)
        for name in cancels(outputs):
            self.outs[name].cancel_asked = True
        for step in parent_events(outputs):
            self.steps[step.parent] = step

    def children(self, parent: str) -> list[Out]:
        """The children of a parent so far."""
        return [out for out in self.outs.values() if out.order.parent == parent]

    def judge(self, order: OrderIntent) -> None:
        """What may be sent at all."""
        wanted = self.wishes[order.parent]
        family = self.children(order.parent)
        live = [out for out in family if out.state not in FINAL]
        assert order.client_order_id not in self.outs, "an id is never used twice"
        assert all(out.state is not OrderState.UNKNOWN for out in family), "a doubt stops all"
        takes = order.time_in_force is TimeInForce.IOC
        assert not (takes and live), "what takes is alone"
        exits = [o.order for o in live if wanted.kind is not ParentKind.BRACKET or o.order.leg > 1]
        assert all(o.time_in_force is not TimeInForce.IOC for o in exits), "nothing beside it"
        net = sum(wanted.side * out.order.side * out.told for out in family)
        same = sum(o.order.lots - o.told for o in live if o.order.side == order.side) + order.lots
        if wanted.kind is not ParentKind.BRACKET:
            room = wanted.lots - net if order.side == wanted.side else net - wanted.lots
        elif order.side != wanted.side:
            room = net
        else:
            room = wanted.lots if not family else -net
        assert same <= room, "never more out than wanted"

    # --- what may happen --------------------------------------------------------------------------

    def step(self) -> None:
        """One thing happens, by chance."""
        happenings = [self.price, self.price, self.child, self.child, self.child, self.child]
        happenings += [self.wish, self.time, self.trade, self.rare]
        self.chance.choice(happenings)()

    def price(self) -> None:
        """The best prices move; the book may break."""
        bid = self.chance.randint(985, 1015)
        live = self.chance.random() < 0.9
        state = BookState.LIVE if live else BookState.STALE
        self.heard(self.bench.prices(bid, bid + self.chance.randint(1, 3), state))

    def trade(self) -> None:
        """Somebody trades."""
        self.heard(self.bench.trade(self.chance.randint(985, 1015)))

    def time(self) -> None:
        """Timers fire."""
        self.heard(self.bench.later(self.chance.choice((1, 50, 200, 1500, 5000))))

    def wish(self) -> None:
        """A bot wants something emulated."""
        if len(self.wishes) > 9:
            return
        kind, side = self.chance.choice(KINDS), self.chance.choice((BUY, SELL))
        better, worse = 1000 - side * 8, 1000 + side * 8  # for one that trades on `side`
        name = f"p{len(self.wishes)}"
        until_ns = self.bench.now_ns + SECOND * self.chance.randint(1, 20)
        terms = {
            ParentKind.STOP_LOSS: {"trigger": worse},
            ParentKind.TAKE_PROFIT: {"trigger": better, "limit": self.chance.choice((0, better))},
            ParentKind.TRAILING_STOP: {"trail_ticks": 6},
            ParentKind.STOP_LIMIT: {"trigger": worse, "limit": worse + side},
            ParentKind.OCO: {"limit": better, "stop": worse},
            ParentKind.BRACKET: {
                "limit": self.chance.choice((0, 1000)),
                "trigger": worse,
                "stop": better,
            },
            ParentKind.GTD: {"limit": better},
        }[kind]
        if kind is ParentKind.GTD or self.chance.random() < 0.3:
            terms["until_ns"] = until_ns
        source = self.chance.choice(list(TriggerSource))
        lots = self.chance.randint(1, 12)
        intent = wish(kind, side, lots, source, name=name, **terms)
        self.wishes[name] = intent
        self.heard(self.bench.tell(intent))

    def rare(self) -> None:
        """A level, a bot's cancel, a restart from the snapshot, something told twice."""
        match self.chance.randint(0, 3):
            case 0:
                level = self.chance.choice(LEVELS)
                self.heard(self.bench.tell(RiskLevel(4, 1, 0, level, Reason.NONE)))
            case 1 if self.wishes and self.chance.random() < 0.3:
                name = self.chance.choice(list(self.wishes))
                park = self.chance.random() < 0.5
                self.heard(self.bench.tell(ParentCancel(BOT, 1, 0, name, BOT, park)))
            case 2:
                self.restart()
            case 3 if self.told:
                again = self.chance.choice(self.told)
                if isinstance(again, Fill) or self.outs[again.client_order_id].state is again.state:
                    self.heard(self.bench.tell(again))

    def restart(self) -> None:
        """Another process goes on from the snapshot."""
        made = execution()
        made.restore(self.bench.made.snapshot())
        self.bench.made = made
        self.heard(self.bench.tell(Started(0, 1, 0, 2)))

    # --- what a venue may say ---------------------------------------------------------------------

    def child(self) -> None:
        """Something becomes of a child: it fills, told or not; it ends, honestly or not quite."""
        open_ones = [
            out
            for out in self.outs.values()
            if out.state not in FINAL or out.fills_told < out.filled
        ]
        if not open_ones:
            return
        out = self.chance.choice(open_ones)
        if out.fills_told < out.filled and self.chance.random() < 0.1:
            self.tell_fills(out)
            return
        if out.state in FINAL:
            return
        act = self.chance.random()
        if act < 0.3 and out.left:
            out.filled += self.chance.randint(1, out.left)
            if self.chance.random() < 0.5:
                self.tell_fills(out)
        elif act < 0.4:
            self.say(out, OrderState.UNKNOWN, out.event_told)
        elif act < 0.55 and not out.filled and out.state is OrderState.INTENDED:
            self.refuse(out)
        elif act < 0.7 and out.state is not OrderState.UNKNOWN:
            self.say(out, OrderState.ACKNOWLEDGED, out.filled)
        elif out.cancel_asked or self.chance.random() < 0.4:
            state = OrderState.CANCELLED if out.left else OrderState.FILLED
            known = self.chance.choice((out.filled, out.event_told))  # it may not know all
            self.say(out, state, known)

    def refuse(self, out: Out) -> None:
        """The RiskGuard lets a child not pass."""
        out.state = OrderState.REJECTED
        self.states.add(out.state)
        reasons = (Reason.STALE_MARKET, Reason.ORDER_NOTIONAL, Reason.NOT_REDUCING, Reason.POSITION)
        self.heard(self.bench.refuse(out.order, self.chance.choice(reasons)))

    def say(self, out: Out, state: OrderState, filled: int) -> None:
        """The venue says where an order is."""
        self.states.add(state)
        out.state = state
        out.event_told = (
            out.order.lots if state is OrderState.FILLED else max(out.event_told, filled)
        )
        message = event(out.order, state, out.event_told)
        self.told.append(message)
        self.heard(self.bench.tell(message))

    def tell_fills(self, out: Out) -> None:
        """What was not told comes as one fill."""
        self.trades += 1
        lots = out.filled - out.fills_told
        out.fills_told = out.filled
        message = fill(out.order, lots, f"t{self.trades}")
        self.told.append(message)
        self.heard(self.bench.tell(message))

    # --- and when it is over ----------------------------------------------------------------------

    def calm(self) -> None:
        """Everything is told and answered; exits that are out fill; in the end bots want nothing."""
        self.heard(self.bench.tell(Started(0, 1, 0, 3, resumed=True)))  # nothing is parked now
        self.heard(self.bench.tell(RiskLevel(4, 1, 0, Risk.NORMAL, Reason.NONE)))
        for _ in range(12):
            self.answer()
        for name in self.wishes:
            self.heard(self.bench.tell(ParentCancel(BOT, 1, 0, name, BOT)))
        for _ in range(12):
            self.answer()

    def answer(self) -> None:
        """One honest round: doubts end, cancels end orders, what takes fills; time goes on."""
        for out in list(self.outs.values()):
            if out.state not in FINAL:
                takes = out.order.time_in_force is TimeInForce.IOC
                doubted = out.state is OrderState.UNKNOWN
                if takes and not doubted:
                    out.filled = out.order.lots
                if takes or doubted or out.cancel_asked:
                    state = OrderState.CANCELLED if out.left else OrderState.FILLED
                    self.say(out, state, out.filled)
            if out.fills_told < out.filled:
                self.tell_fills(out)
        self.heard(self.bench.prices(1000, 1001))
        self.heard(self.bench.later(10_000))
        self.heard(self.bench.prices(1000, 1001))

    def check_quiet(self) -> None:
        """Nothing is out, all have ended, and what was done is what was wanted."""
        assert self.bench.made.open_work() == 0
        for name, wanted in self.wishes.items():
            net = sum(wanted.side * o.order.side * o.filled for o in self.children(name))
            state = self.steps[name].state
            assert state in ENDS, (name, state)
            assert 0 <= net <= wanted.lots, (name, wanted.kind, net)
            if wanted.kind is ParentKind.BRACKET and state is ParentState.DONE:
                assert net == 0
            if wanted.kind is not ParentKind.BRACKET:
                assert self.steps[name].filled_lots == net
                left = state is ParentState.DONE and wanted.kind not in ENTERS
                assert not left or net == wanted.lots


def run(seed: int, steps: int) -> Storm:
    """A storm, and its calm."""
    storm = Storm(seed)
    for _ in range(steps):
        storm.step()
    storm.calm()
    storm.check_quiet()
    return storm


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 300))
def test_a_storm_leaves_what_was_wanted(seed: int, steps: int) -> None:
    """Whatever happened, and in whatever order it was told."""
    run(seed, steps)


def test_storms_reach_every_state_and_kind() -> None:
    """They are none in which nothing happens: over-fills are mended, doubts end, all kinds end."""
    seen: set[str] = set()
    for seed in range(150):
        storm = run(seed, 200)
        for told in parent_events(storm.bench.said):
            seen |= {f"{told.kind.name} {told.state.name}", told.reason.name}
        seen |= {state.name for state in storm.states}
    for kind in ParentKind:
        ends = {state for state in ParentState if f"{kind.name} {state.name}" in seen}
        assert {ParentState.WORKING, ParentState.DONE, ParentState.CANCELLED} <= ends, kind
    assert {"OVER_FILLED", "UNKNOWN", "REJECTED", "BRACKET REFUSED", "OCO EXPIRED"} <= seen


@pytest.mark.parametrize("seed", range(20))
def test_a_snapshot_at_any_message_changes_nothing(seed: int) -> None:
    """The same storm with the component put back from its snapshot before each message."""

    class Forgetful(Bench):
        """A bench whose component is a restored one each time."""

        def tell(self, message: AnyMessage) -> list[AnyMessage]:
            """See `Bench.tell`."""
            made = execution()
            made.restore(self.made.snapshot())
            self.made = made
            return super().tell(message)

    plain, forgetful = Storm(seed), Storm(seed)
    forgetful.bench = Forgetful()
    for _ in range(150):
        plain.step()
        forgetful.step()
    assert forgetful.bench.said == plain.bench.said
    assert forgetful.bench.made.snapshot() == plain.bench.made.snapshot()
    assert intents(plain.bench.said)
