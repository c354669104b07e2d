"""What is held where, what it cost, and what was made: exact, in units of each asset.

Balances by venue and asset start at what the venue says first and move by fills and fees only.
Positions by base and quote asset net over venues, at average cost: a reduction realises its
proceeds less its share of the cost, and what integer division leaves stays in the cost. Fees in
the quote asset are kept apart from the realised profit; `equity` has them in it.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from engine.component import NOTHING, Component, Outputs
from engine.instruments import Instruments
from engine.messages import (
    AnyMessage,
    BalanceSeen,
    BalanceUpdate,
    BookState,
    BookTop,
    Fill,
    PnL,
    PositionUpdate,
    SetTimer,
    Started,
    TimerFired,
)

MARK_EVERY_NS = 1_000_000_000
MARK = 1
TRADES_MAX = 100_000


class Position(msgspec.Struct):
    """Base units held, what they cost in quote units, and what was made and paid in quote units."""

    quantity: int = 0
    cost: int = 0
    realised: int = 0
    fees: int = 0

    def trade(self, quantity: int, value: int) -> None:
        """Buy (`quantity` > 0) or sell for `value` quote units; average cost, exact in sum."""
        if self.quantity * quantity >= 0:
            self.quantity += quantity
            self.cost += value if quantity > 0 else -value
            return
        closing = min(abs(quantity), abs(self.quantity))
        closed_cost = self.cost * closing // abs(self.quantity)
        closed_value = value * closing // abs(quantity)
        sign = 1 if quantity > 0 else -1
        self.realised += -sign * closed_value - closed_cost
        self.cost -= closed_cost
        self.quantity += sign * closing
        rest = abs(quantity) - closing
        if rest:
            self.quantity += sign * rest
            self.cost += sign * (value - closed_value)


class LedgerState(msgspec.Struct):
    """The whole state, for a snapshot. Keys are 'venue/asset', 'base/quote', 'venue/trade'."""

    sequence: int
    balances: dict[str, int]
    opened: dict[str, int]
    positions: dict[str, Position]
    trades: dict[str, None]
    mids: dict[int, int]


class Ledger(Component):
    """The Ledger component; see the module."""

    kind = "ledger"

    def __init__(self, sender: int, instruments: Instruments) -> None:
        super().__init__(sender)
        self._instruments = instruments
        self._balances: dict[str, int] = {}
        self._opened: dict[str, int] = {}
        self._positions: dict[str, Position] = {}
        self._trades: dict[str, None] = {}
        self._mids: dict[int, int] = {}  # twice the mid, in ticks
        self._takers: dict[type, Callable[[Any, int], Outputs]] = {
            BookTop: self._on_top,
            Fill: self._on_fill,
            BalanceSeen: self._on_balance,
            TimerFired: self._on_timer,
            Started: self._on_timer,
        }

    def on_message(self, message: AnyMessage, now_ns: int) -> Outputs:
        """See `Component.on_message`."""
        taker = self._takers.get(type(message))
        return NOTHING if taker is None else taker(message, now_ns)

    @property
    def balances(self) -> dict[tuple[str, str], int]:
        """What is held by (venue, asset), in units."""
        found = {}
        for key, total in self._balances.items():
            venue, _, asset = key.partition("/")
            found[self._instruments.venues[int(venue)], asset] = total
        return found

    @property
    def positions(self) -> dict[tuple[str, str], Position]:
        """Positions by (base, quote)."""
        return {
            (key.partition("/")[0], key.partition("/")[2]): position
            for key, position in self._positions.items()
        }

    def _on_top(self, top: BookTop, now_ns: int) -> Outputs:
        if top.state is BookState.LIVE and top.bid_ticks and top.ask_ticks:
            self._mids[top.instrument] = top.bid_ticks + top.ask_ticks
        return NOTHING

    def _on_timer(self, message: AnyMessage, now_ns: int) -> Outputs:
        timer = SetTimer(self.sender, self.next_sequence(), 0, MARK, now_ns + MARK_EVERY_NS)
        return (timer, *self._marks(0))

    def _on_balance(self, seen: BalanceSeen, now_ns: int) -> Outputs:
        """The first word of a venue on an asset opens its account; fills move it from there."""
        key = f"{seen.venue}/{seen.asset}"
        if key in self._opened:
            return NOTHING
        self._opened[key] = seen.total
        self._balances[key] = seen.total
        return (self._balance(seen.venue, seen.asset, seen.received_ns),)

    def _on_fill(self, fill: Fill, now_ns: int) -> Outputs:
        trade = f"{fill.venue}/{fill.trade_id}"
        if trade in self._trades:
            return NOTHING
        self._trades[trade] = None
        if len(self._trades) > TRADES_MAX:
            del self._trades[next(iter(self._trades))]
        instrument = self._instruments[fill.instrument]
        base, quote = instrument.base, instrument.quote
        quantity = fill.side * fill.lots * instrument.base_units_per_lot
        value = instrument.notional(fill.ticks, fill.lots)
        self._book(fill.venue, base, quantity)
        self._book(fill.venue, quote, -fill.side * value)
        self._book(fill.venue, fill.fee_asset, -fill.fee)
        position = self._positions.setdefault(f"{base}/{quote}", Position())
        position.trade(quantity, value)
        if fill.fee_asset == quote:
            position.fees += fill.fee
        received_ns = fill.received_ns
        update = PositionUpdate(
            self.sender,
            self.next_sequence(),
            received_ns,
            base,
            quote,
            position.quantity,
            position.cost,
            position.realised,
            position.fees,
        )
        return (
            update,
            self._balance(fill.venue, base, received_ns),
            self._balance(fill.venue, quote, received_ns),
            *self._marks(received_ns),
        )

    def _book(self, venue: int, asset: str, units: int) -> None:
        key = f"{venue}/{asset}"
        self._balances[key] = self._balances.get(key, 0) + units

    def _balance(self, venue: int, asset: str, received_ns: int) -> BalanceUpdate:
        total = self._balances.get(f"{venue}/{asset}", 0)
        return BalanceUpdate(self.sender, self.next_sequence(), received_ns, venue, asset, total)

    def _marks(self, received_ns: int) -> list[AnyMessage]:
        """Profit and loss by quote asset, what is held valued at the mean mid over venues."""
        return [self._mark(quote, received_ns) for quote in self._quotes()]

    def _quotes(self) -> list[str]:
        return sorted({key.partition("/")[2] for key in self._positions})

    def _mark(self, quote: str, received_ns: int) -> PnL:
        realised = unrealised = fees = 0
        for key, position in self._positions.items():
            base, _, other = key.partition("/")
            if other == quote:
                realised += position.realised
                fees += position.fees
                unrealised += self._value(base, quote, position.quantity) - position.cost
        equity = realised + unrealised - fees
        return PnL(
            self.sender,
            self.next_sequence(),
            received_ns,
            quote,
            realised,
            unrealised,
            fees,
            equity,
        )

    def _value(self, base: str, quote: str, quantity: int) -> int:
        """What base units are worth in quote units at the mean of the mids known."""
        values = [
            quantity * mid * i.quote_units_per_tick_lot // (2 * i.base_units_per_lot)
            for i in self._instruments
            if i.base == base and i.quote == quote and (mid := self._mids.get(i.id)) is not None
        ]
        return sum(values) // len(values) if values else 0

    def snapshot(self) -> bytes:
        """See `Component.snapshot`."""
        return msgspec.msgpack.encode(
            LedgerState(
                self.sequence,
                self._balances,
                self._opened,
                self._positions,
                self._trades,
                self._mids,
            )
        )

    def restore(self, data: bytes) -> None:
        """See `Component.restore`."""
        state = msgspec.msgpack.decode(data, type=LedgerState)
        self.sequence = state.sequence
        self._balances = state.balances
        self._opened = state.opened
        self._positions = state.positions
        self._trades = state.trades
        self._mids = state.mids
