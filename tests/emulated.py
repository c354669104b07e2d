"""A bench for the Execution component: bots' wishes and prices in, and a desk that answers its children.

The desk is what a test makes of it: it keeps what rests, and says of an order what it is told to say.
"""

from engine.execution import Execution
from engine.execution_config import ExecutionConfig
from engine.instruments import Instruments
from engine.messages import (
    BUY,
    SELL,
    AnyMessage,
    BookState,
    CancelIntent,
    OrderIntent,
    OrderState,
    ParentEvent,
    ParentIntent,
    ParentKind,
    ParentState,
    Reason,
    SetTimer,
    TimerFired,
    Trade,
    TriggerSource,
)
from tests.streams import MS, SECOND, event, fill, intents, market, refused, top

EXECUTION, BOT = 6, 9
MARKET = market(notional_min="0")
STALE_NS = 2 * SECOND
ENDS = (ParentState.DONE, ParentState.CANCELLED, ParentState.REFUSED, ParentState.EXPIRED)


def execution(instruments: Instruments = MARKET, parents_max: int = 1000) -> Execution:
    """The component with its default times."""
    config = ExecutionConfig(parents_max=parents_max)
    return Execution(EXECUTION, instruments, config, "test", STALE_NS)


def wish(
    kind: ParentKind,
    side: int = SELL,
    lots: int = 10,
    source: TriggerSource = TriggerSource.BID_ASK,
    *,
    name: str = "p",
    trigger: int = 0,
    limit: int = 0,
    stop: int = 0,
    trail_ticks: int = 0,
    trail_bps: int = 0,
    slip: int = 0,
    until_ns: int = 0,
    received_ns: int = SECOND,
) -> ParentIntent:
    """What a bot has emulated on the first instrument."""
    terms = (trigger, limit, stop, trail_ticks, trail_bps, slip, until_ns)
    stamp = (BOT, 1, received_ns)
    return ParentIntent(*stamp, name, BOT, 0, 0, kind, side, lots, source, *terms)


class Bench:
    """One Execution component at a time of its own, and all that it has said."""

    def __init__(self, made: Execution | None = None) -> None:
        self.made = made or execution()
        self.now_ns = SECOND
        self.said: list[AnyMessage] = []
        self.trades = 0

    def tell(self, message: AnyMessage) -> list[AnyMessage]:
        """One message in; what follows."""
        outputs = list(self.made.on_message(message, self.now_ns))
        self.said += outputs
        return outputs

    def prices(self, bid: int, ask: int, state: BookState = BookState.LIVE) -> list[AnyMessage]:
        """The best prices of the first instrument, just received."""
        return self.tell(top(0, bid, ask, self.now_ns, state))

    def trade(self, ticks: int) -> list[AnyMessage]:
        """Somebody trades on the first instrument."""
        return self.tell(Trade(1, 1, self.now_ns, 0, SELL, ticks, 1, "t"))

    def later(self, ms: int) -> list[AnyMessage]:
        """Time goes on, and the timers that are due by then fire."""
        self.now_ns += ms * MS
        due: dict[int, int] = {}
        for said in self.said:
            if isinstance(said, SetTimer):
                due[said.key] = said.at_ns
        outputs: list[AnyMessage] = []
        for key in [key for key, at_ns in due.items() if at_ns <= self.now_ns]:
            outputs += self.tell(TimerFired(0, 1, 0, EXECUTION, key))
        return outputs

    def acknowledge(self, order: OrderIntent) -> list[AnyMessage]:
        """The venue has it."""
        return self.tell(event(order, OrderState.ACKNOWLEDGED))

    def fill(self, order: OrderIntent, lots: int) -> list[AnyMessage]:
        """A part of an order fills."""
        self.trades += 1
        return self.tell(fill(order, lots, f"t{self.trades}"))

    def end(
        self, order: OrderIntent, state: OrderState, filled: int = 0, reason: Reason = Reason.NONE
    ) -> list[AnyMessage]:
        """An order is final, so much of it filled."""
        return self.tell(event(order, state, filled, reason))

    def fill_all(self, order: OrderIntent) -> list[AnyMessage]:
        """An order fills and is final."""
        return self.fill(order, order.lots) + self.end(order, OrderState.FILLED, order.lots)

    def refuse(self, order: OrderIntent, reason: Reason) -> list[AnyMessage]:
        """The RiskGuard says no."""
        return self.tell(refused(order, reason))

    def last(self) -> ParentEvent:
        """What it said last of any parent."""
        return parent_events(self.said)[-1]


def started(intent: ParentIntent, bid: int = 1000, ask: int = 1002) -> Bench:
    """A bench with a LIVE book and one emulated order, that its event says was taken."""
    bench = Bench()
    bench.prices(bid, ask)
    bench.tell(intent)
    return bench


def pair() -> Bench:
    """A sale at 1010, or by a stop at 990; the limit is at the venue."""
    bench = started(wish(ParentKind.OCO, limit=1010, stop=990))
    bench.acknowledge(intents(bench.said)[0])
    return bench


def bracket(until_ns: int = 0) -> Bench:
    """A purchase at 999, guarded by a sale at 1010 and a stop at 990."""
    intent = wish(ParentKind.BRACKET, BUY, limit=999, trigger=1010, stop=990, until_ns=until_ns)
    bench = started(intent)
    bench.acknowledge(intents(bench.said)[0])
    return bench


def parent_events(outputs: list[AnyMessage]) -> list[ParentEvent]:
    """The steps of emulated orders among outputs."""
    return [out for out in outputs if isinstance(out, ParentEvent)]


def cancels(outputs: list[AnyMessage]) -> list[str]:
    """The children whose cancels are asked for among outputs."""
    return [out.client_order_id for out in outputs if isinstance(out, CancelIntent)]
