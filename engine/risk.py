"""The RiskGuard: every intent passes here or is refused with the rule, its limit and the value.

What it lets through is reserved until the venue says what became of it, so a limit counts what is
in flight; an UNKNOWN order keeps its reservation and blocks its instrument. Cancels always pass.
Each leg of a group is checked by itself, in the order it comes: the guard promises limits, not
that both legs pass. A bot whose second leg is refused is left with an imbalance to take back.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from engine.component import NOTHING, Component, Outputs
from engine.instruments import Instrument, Instruments
from engine.messages import (
    BUY,
    SELL,
    AnyMessage,
    BookState,
    BookTop,
    CancelCommand,
    CancelIntent,
    Drain,
    Fill,
    KillSwitch,
    OrderCommand,
    OrderEvent,
    OrderIntent,
    OrderRefused,
    OrderState,
    Reason,
    Risk,
    RiskLevel,
    Started,
)
from engine.orders.lifecycle import FINAL
from engine.risk_config import RiskConfig
from engine.units import INT64_MAX, parse_limit

MS = 1_000_000
BPS = 10_000
# Repeats come within seconds, after a restart at the latest within what is sent again; the
# memories are part of the snapshot, so they are no larger than that.
IDS_MAX = 20_000
TRADES_MAX = 20_000

Refusal = tuple[Reason, int, int]


class Limits(NamedTuple):
    """All that an intent on one instrument is held against, as integers."""

    venue: int
    base: str
    base_units_per_lot: int
    quote_units_per_tick_lot: int
    lots_min: int
    lots_max: int
    ticks_min: int
    ticks_max: int
    notional_min: int
    notional_max: int
    position_max: int


class Reserved(msgspec.Struct):
    """An order that was let through and is not final: the lots of it that may still fill."""

    instrument: int
    side: int
    lots: int
    unknown: bool = False


class RiskState(msgspec.Struct):
    """The whole state, for a snapshot. Positions in base units by asset."""

    sequence: int
    epoch: int
    killed: bool
    draining: bool
    tops: dict[int, BookTop]
    reserved: dict[str, Reserved]
    positions: dict[str, int]
    ids: dict[str, None]
    trades: dict[str, None]


class RiskGuard(Component):
    """The RiskGuard component; see the module."""

    kind = "risk"

    def __init__(self, sender: int, instruments: Instruments, config: RiskConfig) -> None:
        super().__init__(sender, instruments)
        self._limits = [_limits(i, instruments, config) for i in instruments]
        self._config = config
        self._distance_max_bps = config.price_distance_max_bps
        self._stale_ns = config.stale_ms * MS
        self._open_max = config.orders_open_max
        self._epoch = 0
        self._killed = False
        self._draining = False
        self._tops: dict[int, BookTop] = {}
        self._reserved: dict[str, Reserved] = {}
        self._positions: dict[str, int] = {}
        self._ids: dict[str, None] = {}
        self._trades: dict[str, None] = {}
        # Sums over `_reserved`, kept so that a check costs the same however many are open.
        self._in_flight: dict[tuple[str, int], int] = {}
        self._unknown: dict[int, int] = {}
        self._takers: dict[type, Callable[[Any, int], Outputs]] = {
            BookTop: self._on_top,
            OrderIntent: self._on_intent,
            CancelIntent: self._on_cancel,
            OrderEvent: self._on_event,
            Fill: self._on_fill,
            KillSwitch: self._on_kill_switch,
            Started: self._on_started,
            Drain: self._on_drain,
        }

    def on_message(self, message: AnyMessage, now_ns: int) -> Outputs:
        """See `Component.on_message`."""
        taker = self._takers.get(type(message))
        return NOTHING if taker is None else taker(message, now_ns)

    def regrid(self, instrument: Instrument) -> None:
        """See `Component.regrid`: limits in lots, and a top in ticks, are the new grid's."""
        self._limits[instrument.id] = _limits(instrument, self.instruments, self._config)
        self._tops.pop(instrument.id, None)

    def open_work(self) -> int:
        """The orders whose end is not known."""
        return len(self._reserved)

    def _on_started(self, message: Started, now_ns: int) -> Outputs:
        self._epoch = message.epoch
        if message.resumed:
            self._draining = False
        return NOTHING

    def _on_drain(self, message: Drain, now_ns: int) -> Outputs:
        self._draining = True
        return NOTHING

    def _on_kill_switch(self, message: KillSwitch, now_ns: int) -> Outputs:
        if message.on == self._killed:
            return NOTHING
        self._killed = message.on
        level, reason = (Risk.HALT, Reason.KILLED) if message.on else (Risk.NORMAL, Reason.NONE)
        return (RiskLevel(self.sender, self.next_sequence(), message.received_ns, level, reason),)

    def _on_top(self, top: BookTop, now_ns: int) -> Outputs:
        self._tops[top.instrument] = top
        return NOTHING

    # --- intents ----------------------------------------------------------------------------------

    def _on_intent(self, intent: OrderIntent, now_ns: int) -> Outputs:
        refusal = self._check(intent, now_ns)
        name = intent.client_order_id
        self.sequence += 1
        if refusal is not None:
            reason, limit, value = refusal
            return (
                OrderRefused(
                    self.sender,
                    self.sequence,
                    intent.received_ns,
                    name,
                    intent.bot,
                    intent.instrument,
                    reason,
                    limit,
                    max(-INT64_MAX, min(value, INT64_MAX)),
                ),
            )
        self._ids[name] = None
        if len(self._ids) > IDS_MAX:
            del self._ids[next(iter(self._ids))]
        self._reserved[name] = Reserved(intent.instrument, intent.side, intent.lots)
        self._reserve(intent.instrument, intent.side, intent.lots)
        return (OrderCommand(self.sender, self.sequence, intent.received_ns, intent, self._epoch),)

    def _check(self, intent: OrderIntent, now_ns: int) -> Refusal | None:
        """The first rule that is broken, with its limit and the value; None when all hold."""
        if self._killed:
            return Reason.KILLED, 0, 1
        if self._draining:
            return Reason.DRAINING, 0, 1
        number = intent.instrument
        if not 0 <= number < len(self._limits):
            return Reason.UNKNOWN_INSTRUMENT, len(self._limits) - 1, number
        limits = self._limits[number]
        if intent.venue != limits.venue:
            return Reason.UNKNOWN_INSTRUMENT, limits.venue, intent.venue
        if intent.side not in (BUY, SELL):
            return Reason.MALFORMED, BUY, intent.side
        if now_ns > intent.expires_ns:
            return Reason.EXPIRED, intent.expires_ns, now_ns
        if intent.client_order_id in self._ids:
            return Reason.DUPLICATE, 0, 1
        if len(self._reserved) >= self._open_max:
            return Reason.UNRESOLVED_ORDER, self._open_max, len(self._reserved)
        if number in self._unknown:
            return Reason.UNRESOLVED_ORDER, 0, self._unknown[number]
        return (
            self._check_size(intent, limits)
            or self._check_price(intent, now_ns)
            or self._check_position(intent, limits)
        )

    @staticmethod
    def _check_size(intent: OrderIntent, limits: Limits) -> Refusal | None:
        lots, ticks = intent.lots, intent.ticks
        if lots < limits.lots_min:
            return Reason.ORDER_LOTS, limits.lots_min, lots
        if lots > limits.lots_max:
            return Reason.ORDER_LOTS, limits.lots_max, lots
        if ticks < limits.ticks_min:
            return Reason.OFF_GRID, limits.ticks_min, ticks
        if ticks > limits.ticks_max:
            return Reason.OFF_GRID, limits.ticks_max, ticks
        notional = ticks * lots * limits.quote_units_per_tick_lot
        if notional < limits.notional_min:
            return Reason.MIN_NOTIONAL, limits.notional_min, notional
        if notional > limits.notional_max:
            return Reason.ORDER_NOTIONAL, limits.notional_max, notional
        return None

    def _check_price(self, intent: OrderIntent, now_ns: int) -> Refusal | None:
        """A price far from the instrument's own mid is a mistake somewhere."""
        top = self._tops.get(intent.instrument)
        if top is None:
            return Reason.NO_MARKET, BookState.LIVE, 0
        if top.state is not BookState.LIVE or top.bid_ticks <= 0 or top.ask_ticks <= 0:
            return Reason.NO_MARKET, BookState.LIVE, top.state
        age_ns = now_ns - top.received_ns
        if age_ns > self._stale_ns:
            return Reason.STALE_MARKET, self._stale_ns, age_ns
        twice_mid = top.bid_ticks + top.ask_ticks
        distance = abs(2 * intent.ticks - twice_mid) * BPS
        if distance > self._distance_max_bps * twice_mid:
            return Reason.PRICE_DISTANCE, self._distance_max_bps, -(-distance // twice_mid)
        return None

    def _check_position(self, intent: OrderIntent, limits: Limits) -> Refusal | None:
        """The worst this side could come to: all in flight on it fills, nothing on the other.

        Counted in the direction of the order, so an order that takes a position back passes.
        """
        base, side = limits.base, intent.side
        worst = side * self._positions.get(base, 0) + self._in_flight.get((base, side), 0)
        worst += intent.lots * limits.base_units_per_lot
        if worst > limits.position_max:
            return Reason.POSITION, limits.position_max, worst
        return None

    def _reserve(self, number: int, side: int, lots: int) -> None:
        """Count lots as in flight; negative lots are no longer."""
        limits = self._limits[number]
        key = (limits.base, side)
        units = lots * limits.base_units_per_lot
        self._in_flight[key] = self._in_flight.get(key, 0) + units

    def _on_cancel(self, intent: CancelIntent, now_ns: int) -> Outputs:
        return (
            CancelCommand(
                self.sender,
                self.next_sequence(),
                intent.received_ns,
                intent.client_order_id,
                intent.bot,
                intent.venue,
                intent.instrument,
            ),
        )

    # --- what became of them ----------------------------------------------------------------------

    def _on_event(self, event: OrderEvent, now_ns: int) -> Outputs:
        """A final state releases what did not fill. A refused repeat says nothing of the first."""
        reserved = self._reserved.get(event.client_order_id)
        if reserved is None or event.reason is Reason.DUPLICATE:
            return NOTHING
        unknown = event.state is OrderState.UNKNOWN
        if unknown is not reserved.unknown:
            reserved.unknown = unknown
            self._count_unknown(reserved.instrument, 1 if unknown else -1)
        if event.state in FINAL:
            del self._reserved[event.client_order_id]
            self._reserve(reserved.instrument, reserved.side, -reserved.lots)
        return NOTHING

    def _count_unknown(self, number: int, change: int) -> None:
        count = self._unknown.get(number, 0) + change
        if count:
            self._unknown[number] = count
        else:
            del self._unknown[number]

    def _on_fill(self, fill: Fill, now_ns: int) -> Outputs:
        """Reserved becomes position, once for each trade id."""
        key = f"{fill.venue}/{fill.trade_id}"
        if key in self._trades:
            return NOTHING
        self._trades[key] = None
        if len(self._trades) > TRADES_MAX:
            del self._trades[next(iter(self._trades))]
        limits = self._limits[fill.instrument]
        units = fill.side * fill.lots * limits.base_units_per_lot
        self._positions[limits.base] = self._positions.get(limits.base, 0) + units
        reserved = self._reserved.get(fill.client_order_id)
        if reserved is not None:
            filled = min(fill.lots, reserved.lots)
            reserved.lots -= filled
            self._reserve(reserved.instrument, reserved.side, -filled)
        return NOTHING

    def snapshot(self) -> bytes:
        """See `Component.snapshot`."""
        return msgspec.msgpack.encode(
            RiskState(
                self.sequence,
                self._epoch,
                self._killed,
                self._draining,
                self._tops,
                self._reserved,
                self._positions,
                self._ids,
                self._trades,
            )
        )

    def restore(self, data: bytes) -> None:
        """See `Component.restore`."""
        state = msgspec.msgpack.decode(data, type=RiskState)
        self.sequence = state.sequence
        self._epoch = state.epoch
        self._killed = state.killed
        self._draining = state.draining
        self._tops = state.tops
        self._reserved = state.reserved
        self._positions = state.positions
        self._ids = state.ids
        self._trades = state.trades
        self._in_flight = {}
        self._unknown = {}
        for reserved in self._reserved.values():
            self._reserve(reserved.instrument, reserved.side, reserved.lots)
            if reserved.unknown:
                self._count_unknown(reserved.instrument, 1)


def _limits(instrument: Instrument, instruments: Instruments, config: RiskConfig) -> Limits:
    """The limits of one instrument; a base asset without `position_max` has none."""
    position_max = config.position_max.get(instrument.base)
    return Limits(
        instrument.venue,
        instrument.base,
        instrument.base_units_per_lot,
        instrument.quote_units_per_tick_lot,
        instrument.lots_min,
        instrument.lots_max,
        instrument.ticks_min,
        instrument.ticks_max,
        instrument.notional_min_units,
        parse_limit(config.order_notional_max, instruments.decimals(instrument.quote)),
        INT64_MAX
        if position_max is None
        else parse_limit(position_max, instruments.decimals(instrument.base)),
    )
