"""What a strategy may have emulated: stops, targets, pairs, brackets (`docs/advanced-orders.md`)."""

from typing import ClassVar, NamedTuple

import msgspec

from engine.component import Outputs
from engine.config import BotConfig
from engine.instruments import Instruments
from engine.messages import (
    ParentCancel,
    ParentEvent,
    ParentIntent,
    ParentKind,
    ParentState,
    TriggerSource,
)
from engine.orders.ordering import Ordering

PARENT_ENDS = frozenset(
    {ParentState.DONE, ParentState.CANCELLED, ParentState.REFUSED, ParentState.EXPIRED}
)


class Emulated(msgspec.Struct):
    """An emulated order of ours that has not ended, as the Execution component last told of it."""

    kind: ParentKind
    instrument: int
    side: int
    lots: int
    state: ParentState = ParentState.WAITING
    filled_lots: int = 0


class Watch(NamedTuple):
    """How an emulated order watches prices and trades on them.

    `source` is the price that is watched; what takes at once goes `slip_ticks` through the best
    price at most; it ends at `good_until_ns` where that is not 0.
    """

    source: TriggerSource = TriggerSource.BID_ASK
    slip_ticks: int = 0
    good_until_ns: int = 0


BID_ASK = Watch()


class Emulating(Ordering):
    """The part of a strategy that has orders emulated; `parents` are those that have not ended.

    A class that uses it says so by `emulated_orders`: prices then go to the Execution component
    too. In any other these methods raise TypeError.
    """

    emulated_orders: ClassVar[bool] = False

    def __init__(
        self, sender: int, instruments: Instruments, config: BotConfig, deployment: str
    ) -> None:
        super().__init__(sender, instruments, config, deployment)
        self.parents: dict[str, Emulated] = {}

    def cancel(self, name: str, received_ns: int) -> Outputs:
        """See `Ordering.cancel`; an emulated order is in `parents` until its end is told."""
        if name not in self.parents:
            return super().cancel(name, received_ns)
        stamp = (self.sender, self.next_sequence(), received_ns)
        return (ParentCancel(*stamp, name, self.sender),)

    def withdraw(self, received_ns: int) -> Outputs:
        """See `Ordering.withdraw`; what is emulated is parked until the engine is back."""
        outputs = super().withdraw(received_ns)
        for name in self.parents:
            stamp = (self.sender, self.next_sequence(), received_ns)
            outputs += (ParentCancel(*stamp, name, self.sender, park=True),)
        return outputs

    def follow(self, event: ParentEvent) -> None:
        """Keep where an emulated order stands; a late fill may open one again that had ended."""
        if event.state in PARENT_ENDS:
            self.parents.pop(event.parent, None)
            return
        terms = (event.kind, event.instrument, event.side, event.lots)
        self.parents[event.parent] = Emulated(*terms, event.state, event.filled_lots)

    def stop_loss(
        self,
        instrument: int,
        side: int,
        lots: int,
        stop_ticks: int,
        received_ns: int,
        watch: Watch = BID_ASK,
    ) -> ParentIntent:
        """Leave a position at once where trading gets as bad as `stop_ticks`."""
        kind = ParentKind.STOP_LOSS
        return self._emulate(kind, instrument, side, lots, received_ns, watch, trigger=stop_ticks)

    def take_profit(
        self,
        instrument: int,
        side: int,
        lots: int,
        target_ticks: int,
        received_ns: int,
        watch: Watch = BID_ASK,
        limit_ticks: int = 0,
    ) -> ParentIntent:
        """Leave a position where trading gets as good as `target_ticks`, at once or at a limit."""
        kind, limit = ParentKind.TAKE_PROFIT, limit_ticks
        return self._emulate(
            kind, instrument, side, lots, received_ns, watch, trigger=target_ticks, limit=limit
        )

    def trailing_stop(
        self,
        instrument: int,
        side: int,
        lots: int,
        received_ns: int,
        watch: Watch = BID_ASK,
        *,
        trail_ticks: int = 0,
        trail_bps: int = 0,
        from_ticks: int = 0,
    ) -> ParentIntent:
        """Leave at once where the price is so far from the best one seen (since `from_ticks` was)."""
        return self._emulate(
            ParentKind.TRAILING_STOP,
            instrument,
            side,
            lots,
            received_ns,
            watch,
            trigger=from_ticks,
            trail=(trail_ticks, trail_bps),
        )

    def stop_limit(
        self,
        instrument: int,
        side: int,
        lots: int,
        stop_ticks: int,
        limit_ticks: int,
        received_ns: int,
        watch: Watch = BID_ASK,
    ) -> ParentIntent:
        """Rest at `limit_ticks` once the price is at or beyond `stop_ticks`, in the order's way."""
        kind, limit = ParentKind.STOP_LIMIT, limit_ticks
        return self._emulate(
            kind, instrument, side, lots, received_ns, watch, trigger=stop_ticks, limit=limit
        )

    def oco(
        self,
        instrument: int,
        side: int,
        lots: int,
        limit_ticks: int,
        stop_ticks: int,
        received_ns: int,
        watch: Watch = BID_ASK,
    ) -> ParentIntent:
        """Leave a position at `limit_ticks` or by a stop, one cancelling the other."""
        kind, limit = ParentKind.OCO, limit_ticks
        return self._emulate(
            kind, instrument, side, lots, received_ns, watch, limit=limit, stop=stop_ticks
        )

    def bracket(
        self,
        instrument: int,
        side: int,
        lots: int,
        entry_ticks: int,
        target_ticks: int,
        stop_ticks: int,
        received_ns: int,
        watch: Watch = BID_ASK,
    ) -> ParentIntent:
        """Enter at `entry_ticks` (0: at once); guard what filled by a take-profit and a stop."""
        return self._emulate(
            ParentKind.BRACKET,
            instrument,
            side,
            lots,
            received_ns,
            watch,
            trigger=target_ticks,
            limit=entry_ticks,
            stop=stop_ticks,
        )

    def good_till(
        self,
        instrument: int,
        side: int,
        lots: int,
        limit_ticks: int,
        until_ns: int,
        received_ns: int,
    ) -> ParentIntent:
        """Rest at `limit_ticks` until a time: for venues that have no such order of their own."""
        watch = Watch(good_until_ns=until_ns)
        kind, limit = ParentKind.GTD, limit_ticks
        return self._emulate(kind, instrument, side, lots, received_ns, watch, limit=limit)

    def _emulate(
        self,
        kind: ParentKind,
        instrument: int,
        side: int,
        lots: int,
        received_ns: int,
        watch: Watch,
        *,
        trigger: int = 0,
        limit: int = 0,
        stop: int = 0,
        trail: tuple[int, int] = (0, 0),
    ) -> ParentIntent:
        if not self.emulated_orders:
            raise TypeError(f"{type(self).__name__}: emulated_orders = True is missing")
        self.begin_group()
        terms = (trigger, limit, stop, *trail, *watch)
        content = "/".join(map(str, ("parent", kind.value, instrument, side, lots, *terms)))
        name = self._name(self._groups, 0, content)
        self.parents[name] = Emulated(kind, instrument, side, lots)
        return ParentIntent(
            self.sender,
            self.next_sequence(),
            received_ns,
            name,
            self.sender,
            self.instruments[instrument].venue,
            instrument,
            kind,
            side,
            lots,
            watch.source,
            trigger,
            limit,
            stop,
            *trail,
            watch.slip_ticks,
            watch.good_until_ns,
        )
