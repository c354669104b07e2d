"""Takes crossings: buys here and sells there at once, both immediate-or-cancel, and keeps count.

What one leg filled more than the other is an imbalance. While a symbol has one, the bot's next
order there is a single flattening one, and no new group is begun; what is below the least notional
is carried until the next group evens it out.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from engine.component import NOTHING, Component, Outputs
from engine.config import BotConfig
from engine.instruments import Instrument, Instruments
from engine.messages import (
    BUY,
    SELL,
    AnyMessage,
    BookState,
    BookTop,
    Drain,
    Fill,
    Opportunity,
    OrderEvent,
    OrderIntent,
    OrderRefused,
    OrderState,
    Risk,
    RiskLevel,
    Started,
    TimeInForce,
)
from engine.orders.identity import client_order_id
from engine.orders.lifecycle import FINAL

MS = 1_000_000
ACCOUNT = "main"
FLATTEN_BPS = 5


class Leg(msgspec.Struct):
    """One order of a group: what it was for and what the venue said it filled."""

    group: int
    instrument: int
    side: int
    state: OrderState = OrderState.INTENDED


class BotState(msgspec.Struct):
    """The whole state, for a snapshot. Imbalances in base units by symbol."""

    sequence: int
    incarnation: int
    groups: int
    halted: bool
    draining: bool
    legs: dict[str, Leg]
    imbalance: dict[str, int]
    resting_until: dict[str, int]
    tops: dict[int, tuple[int, int, int, int]]


class ArbitrageBot(Component):
    """The two-leg arbitrage bot; see the module."""

    kind = "bot"

    def __init__(
        self, sender: int, instruments: Instruments, config: BotConfig, deployment: str
    ) -> None:
        super().__init__(sender)
        self._instruments = instruments
        self._config = config
        self._deployment = deployment
        self._symbols = frozenset(config.symbols or (i.symbol for i in instruments))
        self._incarnation = 0
        self._groups = 0
        self._halted = False
        self._draining = False
        self._legs: dict[str, Leg] = {}
        self._imbalance: dict[str, int] = {}
        self._resting_until: dict[str, int] = {}
        self._tops: dict[int, tuple[int, int, int, int]] = {}
        self._takers: dict[type, Callable[[Any, int], Outputs]] = {
            BookTop: self._on_top,
            Opportunity: self._on_opportunity,
            OrderEvent: self._on_event,
            OrderRefused: self._on_refused,
            Fill: self._on_fill,
            RiskLevel: self._on_risk_level,
            Drain: self._on_drain,
            Started: self._on_started,
        }

    def on_message(self, message: AnyMessage, now_ns: int) -> Outputs:
        """See `Component.on_message`."""
        taker = self._takers.get(type(message))
        return NOTHING if taker is None else taker(message, now_ns)

    def open_work(self) -> int:
        """The orders whose end is not known."""
        return len(self._legs)

    def _on_started(self, message: Started, now_ns: int) -> Outputs:
        if self._incarnation == 0:
            # Counts starts from nothing: a restored bot goes on with the numbers it had.
            self._incarnation = message.epoch
        return NOTHING

    def _on_drain(self, message: Drain, now_ns: int) -> Outputs:
        self._draining = True
        return NOTHING

    def _on_risk_level(self, message: RiskLevel, now_ns: int) -> Outputs:
        self._halted = message.level is not Risk.NORMAL
        return NOTHING

    def _on_top(self, top: BookTop, now_ns: int) -> Outputs:
        if top.state is BookState.LIVE:
            self._tops[top.instrument] = (
                top.bid_ticks,
                top.bid_lots,
                top.ask_ticks,
                top.ask_lots,
            )
        else:
            self._tops.pop(top.instrument, None)
        return NOTHING

    # --- groups -----------------------------------------------------------------------------------

    def _on_opportunity(self, seen: Opportunity, now_ns: int) -> Outputs:
        buy = self._instruments[seen.buy_instrument]
        symbol = buy.symbol
        if self._halted or self._draining or symbol not in self._symbols:
            return NOTHING
        if now_ns < self._resting_until.get(symbol, 0) or self._open_groups(symbol):
            return NOTHING
        flattening = self._flatten(symbol, seen.received_ns, now_ns)
        if flattening:
            return flattening
        sell = self._instruments[seen.sell_instrument]
        self._groups += 1
        self._resting_until[symbol] = now_ns + self._config.cooldown_ms * MS
        received_ns = seen.received_ns
        return (
            self._intent(0, buy, BUY, seen.buy_ticks, seen.buy_lots, received_ns, now_ns),
            self._intent(1, sell, SELL, seen.sell_ticks, seen.sell_lots, received_ns, now_ns),
        )

    def _open_groups(self, symbol: str) -> bool:
        """Whether this symbol has a group open, or all groups together are as many as allowed."""
        groups = {leg.group for leg in self._legs.values()}
        busy = any(self._instruments[g.instrument].symbol == symbol for g in self._legs.values())
        return busy or len(groups) >= self._config.groups_max

    def _flatten(self, symbol: str, received_ns: int, now_ns: int) -> Outputs:
        """One order that takes an imbalance back, where the price is best; nothing for dust."""
        imbalance = self._imbalance.get(symbol, 0)
        if imbalance == 0:
            return NOTHING
        side = SELL if imbalance > 0 else BUY
        best: tuple[float, Instrument, int] | None = None
        for instrument in self._instruments:
            top = self._tops.get(instrument.id)
            if instrument.symbol != symbol or top is None:
                continue
            ticks = top[0] if side == SELL else top[2]
            rate = instrument.taker_rate
            price = ticks * instrument.tick * (1 + side * rate)
            if ticks and (best is None or side * price < side * best[0]):
                best = (price, instrument, ticks)
        if best is None:
            return NOTHING
        _, instrument, ticks = best
        lots = abs(imbalance) // instrument.base_units_per_lot
        limit = ticks + side * max(1, ticks * FLATTEN_BPS // 10_000)
        if instrument.notional(limit, lots) < instrument.notional_min_units:
            return NOTHING
        self._groups += 1
        self._resting_until[symbol] = now_ns + self._config.cooldown_ms * MS
        return (self._intent(0, instrument, side, limit, lots, received_ns, now_ns),)

    def _intent(
        self,
        leg: int,
        instrument: Instrument,
        side: int,
        ticks: int,
        lots: int,
        received_ns: int,
        now_ns: int,
    ) -> OrderIntent:
        name = client_order_id(
            self._deployment,
            ACCOUNT,
            self._config.name,
            self._incarnation,
            self._groups,
            leg,
            f"{instrument.id}/{side}/{ticks}/{lots}",
        )
        self._legs[name] = Leg(self._groups, instrument.id, side)
        return OrderIntent(
            self.sender,
            self.next_sequence(),
            received_ns,
            name,
            self.sender,
            self._groups,
            leg,
            instrument.venue,
            instrument.id,
            side,
            ticks,
            lots,
            TimeInForce.IOC,
            now_ns + self._config.order_ttl_ms * MS,
        )

    # --- what became of them ------------------------------------------------------------------------

    def _on_fill(self, fill: Fill, now_ns: int) -> Outputs:
        instrument = self._instruments[fill.instrument]
        units = fill.side * fill.lots * instrument.base_units_per_lot
        self._imbalance[instrument.symbol] = self._imbalance.get(instrument.symbol, 0) + units
        return NOTHING

    def _on_event(self, event: OrderEvent, now_ns: int) -> Outputs:
        leg = self._legs.get(event.client_order_id)
        if leg is None:
            return NOTHING
        leg.state = event.state
        if event.state in FINAL:
            del self._legs[event.client_order_id]
        return NOTHING

    def _on_refused(self, refusal: OrderRefused, now_ns: int) -> Outputs:
        self._legs.pop(refusal.client_order_id, None)
        return NOTHING

    def snapshot(self) -> bytes:
        """See `Component.snapshot`."""
        return msgspec.msgpack.encode(
            BotState(
                self.sequence,
                self._incarnation,
                self._groups,
                self._halted,
                self._draining,
                self._legs,
                self._imbalance,
                self._resting_until,
                self._tops,
            )
        )

    def restore(self, data: bytes) -> None:
        """See `Component.restore`."""
        state = msgspec.msgpack.decode(data, type=BotState)
        self.sequence = state.sequence
        self._incarnation = state.incarnation
        self._groups = state.groups
        self._halted = state.halted
        self._draining = state.draining
        self._legs = state.legs
        self._imbalance = state.imbalance
        self._resting_until = state.resting_until
        self._tops = state.tops
