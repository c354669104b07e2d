"""What every strategy needs and none should write again: order names, fates, fills, state.

A strategy subclasses `Strategy`, keeps what it remembers in a struct of its own and returns the
orders that `order` and its like make (`engine/orders/ordering.py`,
`engine/parents/asking.py`). The base follows each order until
it is final, counts each trade once, keeps the newest tops, builds the bars asked for by `bars`, and
snapshots all. A fill of an emulated order's child is a fill of the bot's, for it is its money.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import msgspec

from engine.bars import BarSeries, BarSeriesSet, SeriesState
from engine.component import NOTHING, Outputs
from engine.config import BotConfig
from engine.instruments import Instrument, Instruments
from engine.messages import (
    AnyMessage,
    Bar,
    BarKind,
    BookState,
    BookTop,
    Drain,
    Fill,
    Opportunity,
    OrderEvent,
    OrderRefused,
    ParentEvent,
    Reason,
    Risk,
    RiskLevel,
    SetTimer,
    Started,
    TimerFired,
    Trade,
    TradesShed,
)
from engine.orders.lifecycle import FINAL
from engine.orders.ordering import MS, Leg, Placed
from engine.parents.asking import Emulated, Emulating, Watch
from ext.bars import BarRow

__all__ = ["MS", "Emulated", "Leg", "Memory", "Placed", "Strategy", "Watch"]

TRADES_MAX = 20_000


class Memory(msgspec.Struct):
    """What a strategy remembers between messages; subclassed by those that do."""


class StrategyState(msgspec.Struct):
    """The whole state, for a snapshot. `memory` is the strategy's own, encoded."""

    sequence: int
    incarnation: int
    groups: int
    level: Risk
    draining: bool
    tops: dict[int, BookTop]
    placed: dict[str, Placed]
    trades: dict[str, None]
    memory: bytes
    bars: list[SeriesState] = []
    parents: dict[str, Emulated] = {}


class Strategy(Emulating):
    """The base of all bots; see the module. Override the `on_...` that matter, return messages."""

    kind = "bot"
    memory_type: ClassVar[type[Memory]] = Memory

    def __init__(
        self, sender: int, instruments: Instruments, config: BotConfig, deployment: str
    ) -> None:
        super().__init__(sender, instruments, config, deployment)
        self.memory: Any = self.memory_type()
        self.tops: dict[int, BookTop] = {}  # LIVE ones only
        self.level = Risk.NORMAL
        self.draining = False
        self._trades: dict[str, None] = {}
        self._bars = BarSeriesSet()
        self._takers: dict[type, Callable[[Any, int], Outputs]] = {
            BookTop: self._take_top,
            Opportunity: self.on_opportunity,
            OrderEvent: self._take_event,
            OrderRefused: self._take_refusal,
            Fill: self._take_fill,
            ParentEvent: self._take_parent,
            TimerFired: self._take_timer,
            Trade: self._take_trade,
            TradesShed: self._take_shed,
            RiskLevel: self._take_risk_level,
            Drain: self._take_drain,
            Started: self._take_started,
        }

    # --- what a strategy overrides ----------------------------------------------------------------

    def on_start(self, now_ns: int) -> Outputs:
        """The bot was just built or restored; timers set before are gone."""
        return NOTHING

    def on_top(self, top: BookTop, now_ns: int) -> Outputs:
        """The best prices of a LIVE book changed; `self.tops` has them already."""
        return NOTHING

    def on_opportunity(self, seen: Opportunity, now_ns: int) -> Outputs:
        """The scanner found a crossing, or its limits or size changed."""
        return NOTHING

    def on_filled(self, fill: Fill, now_ns: int) -> Outputs:
        """One of our orders filled, maybe after it was final; each trade comes once."""
        return NOTHING

    def on_ended(self, order: Placed, now_ns: int) -> Outputs:
        """One of our orders is final or was refused; it is no longer in `self.placed`."""
        return NOTHING

    def on_parent(self, event: ParentEvent, now_ns: int) -> Outputs:
        """An emulated order took a step; one that has ended is no longer in `self.parents`.

        Its fills came to `on_filled`. An exit that was refused says so here, each time.
        """
        return NOTHING

    def on_timer(self, fired: TimerFired, now_ns: int) -> Outputs:
        """A timer set by `wake` is due."""
        return NOTHING

    def on_trade(self, trade: Trade, now_ns: int) -> Outputs:
        """Somebody traded; the bars that it closed were told before."""
        return NOTHING

    def on_bar(self, bar: Bar, now_ns: int) -> Outputs:
        """A bar asked for by `bars` is closed; where `bar.gaps` is above 0 it is not whole."""
        return NOTHING

    # --- what a strategy calls --------------------------------------------------------------------

    @property
    def may_trade(self) -> bool:
        """Whether something new may be begun: CAUTION only warns; not while draining."""
        return self.level <= Risk.CAUTION and not self.draining

    @property
    def may_reduce(self) -> bool:
        """Whether what takes back a position may be tried: up to RESTRICTED, not while draining."""
        return self.level <= Risk.RESTRICTED and not self.draining

    def wake(self, key: int, at_ns: int) -> SetTimer:
        """Have `on_timer` called at a time; the same key, from 0 up, again replaces it."""
        if key < 0:
            raise ValueError(f"key: 0 or above, not {key}; those below are the bars'")
        return self._wake(key, at_ns)

    def bars(self, instrument: int, kind: BarKind, size: int, fill_gaps: bool = False) -> None:
        """Have `on_bar` called with these bars from here on; asking again changes nothing.

        `size` is ns for TIME, trades for TICK, lots for VOLUME, ticks times lots for DOLLAR; TIME
        bars of intervals without trades come only with `fill_gaps`. To be called in `__init__` or
        `on_start`. Raises TypeError in a class that overrides neither `on_bar` nor `on_trade`,
        which gets no trades, IndexError for no instrument of ours, ValueError for a size that
        cannot be.
        """
        if not self.watches_trades():
            raise TypeError(f"{type(self).__name__} overrides neither on_bar nor on_trade")
        self._bars.ask(self.instruments[instrument].id, kind, size, fill_gaps)

    @classmethod
    def watches_trades(cls) -> bool:
        """Whether trades are sent to bots of this class; they cost the others nothing."""
        return cls.on_trade is not Strategy.on_trade or cls.on_bar is not Strategy.on_bar

    def _wake(self, key: int, at_ns: int) -> SetTimer:
        return SetTimer(self.sender, self.next_sequence(), 0, key, at_ns)

    def regrid(self, instrument: Instrument) -> None:
        """See `Component.regrid`: a top that is known is in the ticks of before."""
        self.tops.pop(instrument.id, None)

    # --- what the base does with each message -----------------------------------------------------

    def on_message(self, message: AnyMessage, now_ns: int) -> Outputs:
        """See `Component.on_message`."""
        taker = self._takers.get(type(message))
        return NOTHING if taker is None else taker(message, now_ns)

    def open_work(self) -> int:
        """The orders whose end is not known."""
        return len(self.placed)

    def _take_started(self, message: Started, now_ns: int) -> Outputs:
        if message.resumed:
            self.draining = False
        if not self._incarnation:
            # A bot restored goes on with its numbers; one that begins from nothing, in a run later
            # than any before, has none of their names.
            self._incarnation = now_ns
        else:
            self._bars.interrupted()
        outputs = self.on_start(now_ns)
        for series in self._bars:
            outputs += self._told(series, (), 0, now_ns)  # its timer is set again
        return outputs

    def _take_drain(self, message: Drain, now_ns: int) -> Outputs:
        self.draining = True
        return self.withdraw(message.received_ns)

    def _take_risk_level(self, message: RiskLevel, now_ns: int) -> Outputs:
        self.level = message.level
        return NOTHING

    def _take_top(self, top: BookTop, now_ns: int) -> Outputs:
        if top.state is BookState.LIVE:
            self.tops[top.instrument] = top
            return self.on_top(top, now_ns)
        self.tops.pop(top.instrument, None)
        if top.state is BookState.SYNCING:  # the venue's connection is new or gone
            self._bars.mark_gap(top.instrument)
        return NOTHING

    def _take_trade(self, trade: Trade, now_ns: int) -> Outputs:
        outputs: Outputs = NOTHING
        for series in self._bars.of(trade.instrument):
            rows = series.take(trade, now_ns)
            outputs += self._told(series, rows, trade.received_ns, now_ns)
        return outputs + self.on_trade(trade, now_ns)

    def _take_shed(self, shed: TradesShed, now_ns: int) -> Outputs:
        self._bars.mark_gap(shed.instrument)
        return NOTHING

    def _take_timer(self, fired: TimerFired, now_ns: int) -> Outputs:
        if fired.key >= 0:
            return self.on_timer(fired, now_ns)
        series = self._bars.of_key(fired.key)
        if series is None:
            return NOTHING
        return self._told(series, series.expire(now_ns), fired.received_ns, now_ns)

    def _told(
        self, series: BarSeries, rows: Sequence[BarRow], received_ns: int, now_ns: int
    ) -> Outputs:
        """The bars, what the strategy does about each, and the series' timer where it moved."""
        outputs: Outputs = NOTHING
        for row in rows:
            bar = series.bar(row, self.sender, self.next_sequence(), received_ns)
            outputs += (bar, *self.on_bar(bar, now_ns))
        at_ns = series.arm()
        return (*outputs, self._wake(series.key, at_ns)) if at_ns else outputs

    def reload(self, number: int, tick_size: str, lot_size: str) -> None:
        """See `Component.reload`: an open bar is in the ticks and lots of before."""
        super().reload(number, tick_size, lot_size)
        self._bars.regrid(number)

    def _take_event(self, event: OrderEvent, now_ns: int) -> Outputs:
        order = self.placed.get(event.client_order_id)
        if order is None or event.reason is Reason.DUPLICATE:  # the first one lives on
            return NOTHING
        order.state = event.state
        if event.state not in FINAL:
            return NOTHING
        del self.placed[event.client_order_id]
        return self.on_ended(order, now_ns)

    def _take_refusal(self, refusal: OrderRefused, now_ns: int) -> Outputs:
        order = self.placed.get(refusal.client_order_id)
        if order is None or refusal.reason is Reason.DUPLICATE:
            return NOTHING
        del self.placed[refusal.client_order_id]
        return self.on_ended(order, now_ns)

    def _take_parent(self, event: ParentEvent, now_ns: int) -> Outputs:
        self.follow(event)
        return self.on_parent(event, now_ns)

    def _take_fill(self, fill: Fill, now_ns: int) -> Outputs:
        key = f"{fill.venue}/{fill.trade_id}"
        if key in self._trades:
            return NOTHING
        self._trades[key] = None
        if len(self._trades) > TRADES_MAX:
            del self._trades[next(iter(self._trades))]
        return self.on_filled(fill, now_ns)

    def snapshot(self) -> bytes:
        """See `Component.snapshot`."""
        return msgspec.msgpack.encode(
            StrategyState(
                self.sequence,
                self._incarnation,
                self._groups,
                self.level,
                self.draining,
                self.tops,
                self.placed,
                self._trades,
                msgspec.msgpack.encode(self.memory),
                self._bars.snapshot(),
                self.parents,
            )
        )

    def restore(self, data: bytes) -> None:
        """See `Component.restore`."""
        state = msgspec.msgpack.decode(data, type=StrategyState)
        self.memory = msgspec.msgpack.decode(state.memory, type=self.memory_type)
        self.sequence = state.sequence
        self._incarnation = state.incarnation
        self._groups = state.groups
        self.level = state.level
        self.draining = state.draining
        self.tops = state.tops
        self.placed = state.placed
        self._trades = state.trades
        self._bars.restore(state.bars)
        self.parents = state.parents
