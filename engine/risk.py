"""The RiskGuard: every intent passes here or is refused with the rule, its limit and the value.

What it lets through is reserved until the venue says what became of it, so a limit counts what is
in flight; an UNKNOWN order keeps its reservation and blocks its instrument. Cancels always pass.
Each leg of a group is checked by itself: the guard promises limits, not that both legs pass.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from engine.component import NOTHING, Component, Outputs
from engine.config import RiskConfig
from engine.instruments import Instruments
from engine.messages import (
    BUY,
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
from engine.units import RangeError, parse_decimal

MS = 1_000_000
IDS_MAX = 100_000
TRADES_MAX = 100_000
BPS = 10_000
NO_LIMIT = 2**62


class Reserved(msgspec.Struct):
    """An order that was let through and is not final: what of it may still fill."""

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
    tops: dict[int, tuple[int, int, int]]
    reserved: dict[str, Reserved]
    positions: dict[str, int]
    ids: dict[str, None]
    trades: dict[str, None]


class RiskGuard(Component):
    """The RiskGuard component; see the module."""

    kind = "risk"

    def __init__(self, sender: int, instruments: Instruments, config: RiskConfig) -> None:
        super().__init__(sender)
        self._instruments = instruments
        self._config = config
        self._stale_ns = config.stale_ms * MS
        self._order_notional_max = {
            asset: parse_decimal(config.order_notional_max, instruments.decimals(asset))
            for asset in {instrument.quote for instrument in instruments}
        }
        self._position_max = {
            asset: parse_decimal(limit, instruments.decimals(asset))
            for asset, limit in config.position_max.items()
        }
        self._epoch = 0
        self._killed = False
        self._draining = False
        self._tops: dict[int, tuple[int, int, int]] = {}  # bid, ask, received_ns
        self._reserved: dict[str, Reserved] = {}
        self._positions: dict[str, int] = {}
        self._ids: dict[str, None] = {}
        self._trades: dict[str, None] = {}
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

    def open_work(self) -> int:
        """The orders whose end is not known."""
        return len(self._reserved)

    def _on_started(self, message: Started, now_ns: int) -> Outputs:
        self._epoch = message.epoch
        return NOTHING

    def _on_drain(self, message: Drain, now_ns: int) -> Outputs:
        self._draining = True
        return NOTHING

    def _on_kill_switch(self, message: KillSwitch, now_ns: int) -> Outputs:
        changed = message.on != self._killed
        self._killed = message.on
        if not changed:
            return NOTHING
        level, reason = (Risk.HALT, Reason.KILLED) if message.on else (Risk.NORMAL, Reason.NONE)
        return (RiskLevel(self.sender, self.next_sequence(), 0, level, reason),)

    def _on_top(self, top: BookTop, now_ns: int) -> Outputs:
        if top.state is BookState.LIVE:
            self._tops[top.instrument] = (top.bid_ticks, top.ask_ticks, top.received_ns)
        else:
            self._tops.pop(top.instrument, None)
        return NOTHING

    # --- intents ----------------------------------------------------------------------------------

    def _on_intent(self, intent: OrderIntent, now_ns: int) -> Outputs:
        refusal = self._check(intent, now_ns)
        if refusal is not None:
            return (
                OrderRefused(
                    self.sender,
                    self.next_sequence(),
                    intent.received_ns,
                    intent.client_order_id,
                    intent.bot,
                    intent.instrument,
                    *refusal,
                ),
            )
        self._remember(intent.client_order_id)
        self._reserved[intent.client_order_id] = Reserved(
            intent.instrument, intent.side, intent.lots
        )
        sequence = self.next_sequence()
        return (OrderCommand(self.sender, sequence, intent.received_ns, intent, self._epoch),)

    def _check(self, intent: OrderIntent, now_ns: int) -> tuple[Reason, int, int] | None:
        """The first rule that is broken, with its limit and the value; None when all hold."""
        if self._killed:
            return Reason.KILLED, 0, 1
        if self._draining:
            return Reason.DRAINING, 0, 1
        if not 0 <= intent.instrument < len(self._instruments):
            return Reason.UNKNOWN_INSTRUMENT, len(self._instruments) - 1, intent.instrument
        if now_ns > intent.expires_ns:
            return Reason.EXPIRED, intent.expires_ns, now_ns
        if intent.client_order_id in self._ids:
            return Reason.DUPLICATE, 0, 1
        if len(self._reserved) >= self._config.orders_open_max:
            return Reason.ORDER_LOTS, self._config.orders_open_max, len(self._reserved)
        if any(r.unknown and r.instrument == intent.instrument for r in self._reserved.values()):
            return Reason.UNRESOLVED_ORDER, 0, 1
        return (
            self._check_size(intent)
            or self._check_price(intent, now_ns)
            or self._check_position(intent)
        )

    def _check_size(self, intent: OrderIntent) -> tuple[Reason, int, int] | None:
        instrument = self._instruments[intent.instrument]
        if not instrument.lots_min <= intent.lots <= instrument.lots_max:
            return Reason.ORDER_LOTS, instrument.lots_max, intent.lots
        try:
            notional = instrument.notional(intent.ticks, intent.lots)
        except RangeError:
            return Reason.ORDER_NOTIONAL, NO_LIMIT, NO_LIMIT
        if notional < instrument.notional_min_units:
            return Reason.MIN_NOTIONAL, instrument.notional_min_units, notional
        limit = self._order_notional_max[instrument.quote]
        if notional > limit:
            return Reason.ORDER_NOTIONAL, limit, notional
        return None

    def _check_price(self, intent: OrderIntent, now_ns: int) -> tuple[Reason, int, int] | None:
        """A price far from the instrument's own mid is a mistake somewhere."""
        top = self._tops.get(intent.instrument)
        if top is None or not top[0] or not top[1]:
            return Reason.NO_MARKET, 0, 0
        bid_ticks, ask_ticks, received_ns = top
        age_ns = now_ns - received_ns
        if age_ns > self._stale_ns:
            return Reason.STALE_MARKET, self._stale_ns, age_ns
        twice_mid = bid_ticks + ask_ticks
        distance_bps = abs(2 * intent.ticks - twice_mid) * BPS // twice_mid
        if distance_bps > self._config.price_distance_max_bps:
            return Reason.PRICE_DISTANCE, self._config.price_distance_max_bps, distance_bps
        return None

    def _check_position(self, intent: OrderIntent) -> tuple[Reason, int, int] | None:
        """The worst this side could come to when everything in flight on it fills.

        An order that brings the worst case nearer to zero always passes.
        """
        instrument = self._instruments[intent.instrument]
        limit = self._position_max.get(instrument.base, NO_LIMIT)
        before = self._positions.get(instrument.base, 0)
        for other in self._reserved.values():
            held = self._instruments[other.instrument]
            if held.base == instrument.base and other.side == intent.side:
                before += other.side * other.lots * held.base_units_per_lot
        after = before + intent.side * intent.lots * instrument.base_units_per_lot
        if abs(after) > limit and abs(after) >= abs(before):
            return Reason.POSITION, limit, abs(after)
        return None

    def _remember(self, client_order_id: str) -> None:
        self._ids[client_order_id] = None
        if len(self._ids) > IDS_MAX:
            del self._ids[next(iter(self._ids))]

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

    # --- what became of them ------------------------------------------------------------------------

    def _on_event(self, event: OrderEvent, now_ns: int) -> Outputs:
        reserved = self._reserved.get(event.client_order_id)
        if reserved is None:
            return NOTHING
        if event.state in FINAL:
            del self._reserved[event.client_order_id]
        else:
            reserved.unknown = event.state is OrderState.UNKNOWN
        return NOTHING

    def _on_fill(self, fill: Fill, now_ns: int) -> Outputs:
        """Reserved becomes position, once for each trade id."""
        key = f"{fill.venue}/{fill.trade_id}"
        if key in self._trades:
            return NOTHING
        self._trades[key] = None
        if len(self._trades) > TRADES_MAX:
            del self._trades[next(iter(self._trades))]
        instrument = self._instruments[fill.instrument]
        signed = fill.lots if fill.side == BUY else -fill.lots
        self._positions[instrument.base] = (
            self._positions.get(instrument.base, 0) + signed * instrument.base_units_per_lot
        )
        reserved = self._reserved.get(fill.client_order_id)
        if reserved is not None:
            reserved.lots = max(0, reserved.lots - fill.lots)
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
