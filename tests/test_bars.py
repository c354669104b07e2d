"""Bars inside a bot: the same in one actor, over the bus and after a restart; trades cost only them."""

from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import assembly
from engine.assembly import solo_topology, topology_of
from engine.backtest.simulation import Kept
from engine.bars import GRACE_NS
from engine.bots.arbitrage import ArbitrageBot
from engine.bots.base import Strategy
from engine.component import NOTHING, Component, Outputs
from engine.config import BotConfig, parse
from engine.instruments import Instruments
from engine.messages import (
    AnyMessage,
    Bar,
    BarKind,
    BookState,
    OrderIntent,
    SetTimer,
    Started,
    TimerFired,
    Trade,
    TradesShed,
    decode,
    encode,
)
from engine.routes import Topology
from engine.runtime import Host, Target, Timers, replay
from tests.examples.follow_bars import MINUTE_NS, FollowBars
from tests.streams import SECOND, holds_over_restore, intents, market, timers, top
from tests.test_backtest import DEMO

MARKET = market()
BOT = 3
NOON = 1_000_000 * MINUTE_NS


class EveryKind(Strategy):
    """Asks for bars of every kind of the first instrument, and remembers the trades."""

    def __init__(self, sender: int, instruments: Instruments, name: str = "every") -> None:
        super().__init__(sender, instruments, BotConfig(name), "test")
        self.bars(0, BarKind.TIME, SECOND)
        self.bars(0, BarKind.VOLUME, 25)

    def on_start(self, now_ns: int) -> Outputs:
        """Others are asked for here, as a strategy may; a timer of its own has key 0."""
        self.bars(0, BarKind.TICK, 4)
        self.bars(0, BarKind.DOLLAR, 40_000)
        self.bars(0, BarKind.TIME, SECOND, fill_gaps=True)
        self.bars(0, BarKind.TIME, SECOND)
        return (self.wake(0, now_ns + SECOND // 3),)

    def on_timer(self, fired: TimerFired, now_ns: int) -> Outputs:
        """The strategy's own timer, never one of the bars'."""
        assert fired.key == 0
        return (self.wake(0, now_ns + SECOND // 3),)

    def on_bar(self, bar: Bar, now_ns: int) -> Outputs:
        """Seen in the outputs of the bot."""
        return NOTHING


def trade(
    at_ns: int, ticks: int = 1000, lots: int = 10, side: int = 1, instrument: int = 0
) -> Trade:
    """A trade whose frame was received at a time."""
    return Trade(1, 1, at_ns, instrument, side, ticks, lots, "t")


def bars(outputs: Sequence[AnyMessage], kind: BarKind | None = None) -> list[Bar]:
    """The bars among outputs."""
    found = [out for out in outputs if isinstance(out, Bar)]
    return [bar for bar in found if kind is None or bar.kind is kind]


def follower() -> FollowBars:
    """The example, started, with a top on each instrument."""
    made = FollowBars(BOT, MARKET, BotConfig("follow"), "test")
    made.on_message(Started(0, 1, 0, 1), NOON)
    for instrument in MARKET:
        made.on_message(top(instrument.id), NOON)
    return made


def test_the_example_buys_after_a_minute_that_rose() -> None:
    """The first minute is not whole; the second rose and was bought; the third fell."""
    made = follower()
    outputs: list[AnyMessage] = []
    for minute, closing in ((0, 1005), (1, 1005), (2, 995), (3, 1000)):
        at_ns = NOON + minute * MINUTE_NS
        outputs += made.on_message(trade(at_ns + 1, 1000), at_ns + 1)
        outputs += made.on_message(trade(at_ns + SECOND, closing), at_ns + SECOND)
    assert [bar.gaps for bar in bars(outputs)] == [1, 0, 0]
    (order,) = intents(outputs)
    assert (order.ticks, order.lots, order.received_ns) == (1_000_100, 1, NOON + 2 * MINUTE_NS + 1)
    assert made.memory.bars == 2


def test_a_timer_closes_a_bar_after_its_grace() -> None:
    """It is set when the bar begins, for its end and the grace in which older trades may come."""
    made = follower()
    (timer,) = timers(made.on_message(trade(NOON + 5), NOON + 5))
    end_ns = NOON + MINUTE_NS
    assert (timer.key, timer.at_ns) == (-1, end_ns + GRACE_NS)
    assert made.on_message(trade(NOON + 6), NOON + 6) == ()
    assert made.on_message(trade(end_ns - 1), end_ns + GRACE_NS // 2) == ()
    (bar,) = made.on_message(TimerFired(0, 1, 0, BOT, -1), end_ns + GRACE_NS)
    assert isinstance(bar, Bar)
    assert (bar.open_ns, bar.close_ns, bar.count) == (NOON, end_ns, 3)


def test_the_bars_keys_are_not_the_strategys() -> None:
    """A strategy cannot set a timer below 0, and never sees one fire."""
    made = follower()
    with pytest.raises(ValueError, match="0 or above"):
        made.wake(-1, NOON)
    assert made.on_message(TimerFired(0, 1, 0, BOT, -99), NOON) == ()


def test_what_is_known_to_be_missing_is_in_the_bar() -> None:
    """Trades shed, a venue that connects anew, a trade no bar can hold, a restart: gaps."""
    made = EveryKind(BOT, MARKET)
    made.on_message(Started(0, 1, 0, 1), 1)
    gaps = []
    for missing in (
        (),
        (TradesShed(1, 1, 1, 0, 5),),
        (top(0, 0, 0, state=BookState.SYNCING),),
        (trade(1, 0),),
        (Started(0, 2, 0, 2),),
    ):
        outputs: list[AnyMessage] = list(made.on_message(trade(1), 1))
        for message in (*missing, trade(1), trade(1), trade(1)):
            outputs += made.on_message(message, 1)
        gaps += [bar.gaps for bar in bars(outputs, BarKind.TICK)]
    assert gaps == [0, 1, 1, 1, 1]


def test_a_restart_between_two_bars_is_a_gap_of_the_next() -> None:
    """No bar is open, but what was missed would have been in the next one; timers are set again."""
    made = EveryKind(BOT, MARKET)
    made.on_message(Started(0, 1, 0, 1), NOON)
    for _ in range(4):
        made.on_message(trade(NOON), NOON)
    restored = EveryKind(BOT, MARKET)
    restored.restore(made.snapshot())
    again = restored.on_message(Started(0, 1, 0, 2), NOON + 9)
    assert sorted(t.key for t in timers(again)) == [-5, -1, 0]
    (bar,) = bars(
        [out for _ in range(4) for out in restored.on_message(trade(NOON), NOON)], BarKind.TICK
    )
    assert bar.gaps == 1


def test_another_grid_begins_the_bars_anew() -> None:
    """What was open is in other ticks and lots, and is dropped."""
    made = EveryKind(BOT, market())
    made.on_message(Started(0, 1, 0, 1), 0)
    made.on_message(trade(1), 1)
    made.reload(0, "0.1", "0.01")
    outputs: list[AnyMessage] = []
    for _ in range(4):
        outputs += made.on_message(trade(2, 100, 1), 2)
    (bar,) = bars(outputs, BarKind.TICK)
    assert (bar.high_ticks, bar.lots, bar.gaps) == (100, 4, 1)


def test_only_a_class_that_takes_trades_may_ask() -> None:
    """One that overrides neither hook would wait in vain; sizes and instruments must be."""

    class Deaf(Strategy):
        """Overrides nothing."""

    deaf = Deaf(BOT, MARKET, BotConfig("deaf"), "test")
    with pytest.raises(TypeError, match="Deaf overrides neither"):
        deaf.bars(0, BarKind.TIME, SECOND)
    made = EveryKind(BOT, MARKET)
    with pytest.raises(IndexError):
        made.bars(99, BarKind.TIME, SECOND)
    for size in (0, 1 << 63):
        with pytest.raises(ValueError, match="size"):
            made.bars(0, BarKind.DOLLAR, size)


def storm(seed: int, count: int) -> list[tuple[Trade, int]]:
    """Seeded trades of two instruments, with when they reach the bot: some a while later."""
    chance = Random(seed)
    at_ns, reached_ns, stream = NOON, NOON, []
    for _ in range(count):
        at_ns += int(chance.expovariate(1 / (SECOND / 6)))
        reached_ns = max(reached_ns, at_ns + chance.choice((0, 0, GRACE_NS // 2)))
        lots, side = chance.randint(1, 60), chance.choice((1, -1))
        message = trade(at_ns, chance.randint(990, 1010), lots, side, chance.choice((0, 0, 1)))
        stream.append((message, reached_ns))
    return stream


@given(seed=st.integers(0, 1 << 20), cut=st.integers(0, 60))
def test_a_restored_bot_goes_on_with_its_bars(seed: int, cut: int) -> None:
    """Cut anywhere, between open bars and set timers, outputs and state are the same."""
    stream: list[tuple[AnyMessage, int]] = [(Started(0, 1, 0, 1), NOON)]
    for message, now_ns in storm(seed, 50):
        stream.append((message, now_ns))
        if message.ticks % 5 == 0:
            stream.append((TimerFired(0, 1, 0, BOT, -1 - message.lots % 5), now_ns))
    outputs = holds_over_restore(lambda: EveryKind(BOT, MARKET), stream, cut)
    assert len({bar.kind for bar in bars(outputs)}) == 4


def test_an_older_snapshot_without_bars_is_read() -> None:
    """The field was added at the end, with nothing in it."""
    made = EveryKind(BOT, MARKET)
    state = msgspec.msgpack.decode(made.snapshot())
    del state["bars"]
    made.restore(msgspec.msgpack.encode(state))
    assert bars([out for m, now in storm(1, 40) for out in made.on_message(m, now)])


class Passing:
    """An outlet that hands over to the actor that hears it, encoded, and sets timers."""

    def __init__(self) -> None:
        self.timers = Timers()
        self.sent: list[tuple[bytes, tuple[Target, ...]]] = []

    def publish(self, message: AnyMessage, encoded: bytes, targets: tuple[Target, ...]) -> None:
        """See `engine.runtime.Outlet`."""
        self.sent.append((encoded, targets))

    def perform(self, effect: AnyMessage) -> None:
        """See `engine.runtime.Outlet`."""
        assert isinstance(effect, SetTimer)
        self.timers.set(effect)


class Feed(Component):
    """Stands for a venue: says the trade that a timer's key counts."""

    kind = "venue"

    def __init__(self, trades: Sequence[Trade]) -> None:
        super().__init__(1, MARKET)
        self._trades = trades

    def on_message(self, message: AnyMessage, now_ns: int) -> Outputs:
        """See `Component.on_message`."""
        return (self._trades[message.key],) if isinstance(message, TimerFired) else NOTHING


NAMES, KINDS = ("venue-a", "bot-deaf", "bot-every", "view"), ("venue", "bot", "bot", "view")


def run_apart(stream: list[tuple[Trade, int]], apart: bool) -> tuple[list[bytes], list[Any]]:
    """The bot's outputs, encoded, beside the feed or in an actor of its own; and its inputs."""
    actors = ("a", "deaf", "b" if apart else "a", "view")
    topology = Topology(NAMES, KINDS, actors, watchers=(BOT,))
    feed, bot, outlet = Feed([m for m, _ in stream]), EveryKind(BOT, MARKET), Passing()
    hosts = [Host([feed], topology, Kept(), outlet), Host([bot], topology, Kept(), outlet)]
    if not apart:
        hosts = [Host([feed, bot], topology, Kept(), outlet)] * 2
    inputs: list[tuple[AnyMessage, int]] = []
    said: list[bytes] = []

    def step(host: Host, message: AnyMessage, now_ns: int) -> None:
        inputs.append((message, now_ns))
        said.extend(encode(out) for out in host.step(message, None, now_ns) if out.sender == BOT)

    step(hosts[1], Started(0, 1, 0, 1), NOON)
    for number, (_, now_ns) in enumerate(stream):
        while (due_ns := outlet.timers.next_due_ns()) is not None and due_ns <= now_ns:
            for firing in outlet.timers.fired(due_ns, lambda: 1):
                step(hosts[1], firing, due_ns)
        step(hosts[0], TimerFired(0, 1, 0, 1, number), now_ns)
        for data, targets in outlet.sent:
            assert all(target.actor != "deaf" for target in targets), "it costs the others nothing"
            if any(target.actor == "b" for target in targets):
                step(hosts[1], decode(data), now_ns)
        outlet.sent.clear()
    return said, [entry for entry in inputs if entry[0].sender != 0 or not apart]


def test_one_actor_and_two_build_the_same_bars_byte_for_byte() -> None:
    """Messages passed in process or encoded: bars, orders and timers of the bot are the same."""
    stream = storm(3, 400)
    together, _ = run_apart(stream, apart=False)
    apart, _ = run_apart(stream, apart=True)
    assert together == apart
    kinds = {bar.kind for bar in bars([decode(data) for data in together])}
    assert kinds == set(BarKind)


def test_a_trade_on_its_way_between_actors_is_in_its_bar() -> None:
    """Trades that come up to the grace later give the TIME bars that they give at once."""
    stream = storm(4, 400)
    late = bars([decode(d) for d in run_apart(stream, apart=True)[0]], BarKind.TIME)
    early = [(message, message.received_ns) for message, _ in stream]
    prompt = bars([decode(d) for d in run_apart(early, apart=False)[0]], BarKind.TIME)

    def content(found: list[Bar]) -> set[tuple[int, ...]]:
        return {(b.open_ns, b.open_ticks, b.close_ticks, b.lots, b.count) for b in found}

    assert len(late) > 60
    assert content(late) == content(prompt)


def test_what_a_run_recorded_gives_the_same_bars_again() -> None:
    """Replayed from its inputs, timers included, as after a kill."""
    said, inputs = run_apart(storm(5, 200), apart=False)
    topology = Topology(NAMES, KINDS, ("a", "deaf", "a", "view"), watchers=(BOT,))
    feed, bot = Feed([m for m, _ in storm(5, 200)]), EveryKind(BOT, MARKET)
    again = replay(Host([feed, bot], topology, Kept(), Passing()), inputs)
    assert [encode(o) for *_, outs in again for o in outs if o.sender == BOT] == said


def test_trades_go_to_watchers_queued_and_to_the_view_conflated() -> None:
    """A bot is woken for every trade; the view is not; bots that do not watch are not there."""
    topology = Topology(NAMES, KINDS, ("a", "deaf", "b", "view"), watchers=(BOT,))
    host = Host([Feed([])], topology, Kept(), Passing())
    assert host.route(trade(1)).targets == (
        Target("b", True, True, True),
        Target("view", False, True, False),
    )


def test_the_configured_bots_that_watch_are_known_by_their_class() -> None:
    """The arbitrage bot overrides neither hook: no trade leaves a venue for it."""
    config = parse(DEMO, "demo")
    assert ArbitrageBot.watches_trades() is False
    assert FollowBars.watches_trades() is True
    assert topology_of(config).watchers == solo_topology(config).watchers == ()


def test_a_watching_class_is_in_the_topology(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number stands there, in the cluster's topology and in the one of one process."""
    monkeypatch.setitem(assembly.BOTS, "arbitrage", FollowBars)
    config = parse(DEMO, "demo")
    assert topology_of(config).watchers == topology_of(config).of_kind("bot")
    assert solo_topology(config).watchers == topology_of(config).watchers


def test_bars_do_not_enter_the_orders() -> None:
    """A bar is an output anybody can replay; it is no order and is sent to nobody."""
    topology = Topology(NAMES, KINDS, ("a", "deaf", "b", "view"), watchers=(BOT,))
    outlet, recorder = Passing(), Kept()
    host = Host([EveryKind(BOT, MARKET)], topology, recorder, outlet)
    outputs = [out for m, now_ns in storm(1, 30) for out in host.step(m, None, now_ns)]
    assert bars(outputs)
    assert not any(isinstance(out, OrderIntent) for out in outputs)
    assert (outlet.sent, recorder.durable) == ([], [])
