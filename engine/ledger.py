"""What is held where, what it cost, and what was made: exact, in units of each asset.

Balances by venue and asset start at what the venue says first and move by fills and fees only.
Positions by base and quote asset net over venues, at average cost: a reduction realises its
proceeds less its share of the cost, and what integer division leaves stays in the cost. Fees in
the quote asset are kept apart from the realised profit, `equity` has them in it; a fee in the base
asset is so much less held, for nothing; a fee in a third asset is in its balance only.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from engine.component import NOTHING, Component, Outputs
from engine.instruments import Instrument, Instruments
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

Pair = tuple[str, str]


class Position(msgspec.Struct):
    """Base units held, what they cost in quote units, and what was made and paid in quote units."""

    quantity: int = 0
    cost: int = 0
    realised: int = 0
    fees: int = 0

    def trade(self, quantity: int, value: int) -> None:
        """Buy (`quantity` > 0) or sell for `value` quote units.

        Quote is never lost or made: `realised - cost` moves by exactly what was paid or received.
        """
        signed = value if quantity > 0 else -value
        if self.quantity * quantity >= 0:
            self.quantity += quantity
            self.cost += signed
            return
        closing = min(abs(quantity), abs(self.quantity))
        closed_cost = self.cost * closing // abs(self.quantity)
        closed_value = signed * closing // abs(quantity)
        self.realised -= closed_value + closed_cost
        self.cost += signed - closed_value - closed_cost
        self.quantity += quantity


class LedgerState(msgspec.Struct):
    """The whole state, for a snapshot. Balances by venue and asset, trade ids by venue."""

    sequence: int
    balances: dict[int, dict[str, int]]
    seen: dict[int, dict[str, int]]
    positions: dict[str, Position]
    trades: dict[int, dict[str, None]]
    mids: dict[int, int]
    trade_count: int


class Ledger(Component):
    """The Ledger component; see the module. `trade_count` is how many fills it has counted."""

    kind = "ledger"

    def __init__(self, sender: int, instruments: Instruments) -> None:
        super().__init__(sender, instruments)
        self._of_symbol: dict[str, list[Instrument]] = {}
        self._group()
        self._balances: dict[int, dict[str, int]] = {}
        self._seen: dict[int, dict[str, int]] = {}
        self._positions: dict[str, Position] = {}
        self._trades: dict[int, dict[str, None]] = {}
        self._mids: dict[int, int] = {}  # twice the mid, in ticks
        self.trade_count = 0
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

    def _group(self) -> None:
        self._of_symbol.clear()
        for instrument in self.instruments:
            self._of_symbol.setdefault(_symbol(instrument), []).append(instrument)

    def regrid(self, instrument: Instrument) -> None:
        """See `Component.regrid`: the mid was in other ticks."""
        self._mids.pop(instrument.id, None)
        self._group()

    @property
    def balances(self) -> dict[tuple[str, str], int]:
        """What is held by (venue, asset), in units."""
        return self._by_venue(self._balances)

    @property
    def balances_seen(self) -> dict[tuple[str, str], int]:
        """What the venue said last by (venue, asset), in units, to compare with when all is quiet."""
        return self._by_venue(self._seen)

    def _by_venue(self, held: dict[int, dict[str, int]]) -> dict[tuple[str, str], int]:
        names = self.instruments.venues
        return {
            (names[venue], asset): total
            for venue, assets in held.items()
            for asset, total in assets.items()
        }

    @property
    def positions(self) -> dict[Pair, Position]:
        """Positions by (base, quote)."""
        return {_pair(symbol): position for symbol, position in self._positions.items()}

    def _on_top(self, top: BookTop, now_ns: int) -> Outputs:
        if top.state is BookState.LIVE and top.bid_ticks and top.ask_ticks:
            self._mids[top.instrument] = top.bid_ticks + top.ask_ticks
        return NOTHING

    def _on_timer(self, message: AnyMessage, now_ns: int) -> Outputs:
        timer = SetTimer(self.sender, self.next_sequence(), 0, MARK, now_ns + MARK_EVERY_NS)
        quotes = dict.fromkeys(_pair(symbol)[1] for symbol in self._positions)
        return (timer, *(self._mark(quote, message.received_ns) for quote in quotes))

    def _on_balance(self, seen: BalanceSeen, now_ns: int) -> Outputs:
        """The first word of a venue on an asset opens its account; fills move it from there.

        A fill told before the first word is in that word already.
        """
        opened = self._seen.setdefault(seen.venue, {})
        known = seen.asset in opened
        opened[seen.asset] = seen.total
        if known:
            return NOTHING
        self._balances.setdefault(seen.venue, {})[seen.asset] = seen.total
        return (self._balance(seen.venue, seen.asset, seen.received_ns),)

    def _on_fill(self, fill: Fill, now_ns: int) -> Outputs:
        if self._is_repeat(fill):
            return NOTHING
        instrument = self.instruments[fill.instrument]
        base, quote = instrument.base, instrument.quote
        units = fill.side * fill.lots * instrument.base_units_per_lot
        value = instrument.notional(fill.ticks, fill.lots)
        held = self._balances.setdefault(fill.venue, {})
        for asset, change in (
            (base, units),
            (quote, -fill.side * value),
            (fill.fee_asset, -fill.fee),
        ):
            held[asset] = held.get(asset, 0) + change
        symbol = _symbol(instrument)
        position = self._positions.get(symbol)
        if position is None:
            position = self._positions[symbol] = Position()
        position.trade(units, value)
        if fill.fee_asset == quote:
            position.fees += fill.fee
        elif fill.fee_asset == base:
            position.trade(-fill.fee, 0)
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
        assets = dict.fromkeys((base, quote, fill.fee_asset))
        return (
            update,
            *(self._balance(fill.venue, asset, received_ns) for asset in assets),
            self._mark(quote, received_ns),
        )

    def _is_repeat(self, fill: Fill) -> bool:
        """Whether this trade was counted before; now it is. The newest of each venue are kept."""
        trades = self._trades.setdefault(fill.venue, {})
        if fill.trade_id in trades:
            return True
        trades[fill.trade_id] = None
        self.trade_count += 1
        if len(trades) > TRADES_MAX:
            del trades[next(iter(trades))]
        return False

    def _balance(self, venue: int, asset: str, received_ns: int) -> BalanceUpdate:
        total = self._balances[venue][asset]
        return BalanceUpdate(self.sender, self.next_sequence(), received_ns, venue, asset, total)

    def _mark(self, quote: str, received_ns: int) -> PnL:
        """Profit and loss in one quote asset, what is held valued at the mean mid over venues."""
        realised = unrealised = fees = 0
        for symbol, position in self._positions.items():
            if _pair(symbol)[1] == quote:
                realised += position.realised
                fees += position.fees
                unrealised += self._unrealised(symbol, position)
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

    def _unrealised(self, symbol: str, position: Position) -> int:
        """What closing at mid would bring beyond the cost; 0 while no mid is known."""
        values = [
            position.quantity * mid * i.quote_units_per_tick_lot // (2 * i.base_units_per_lot)
            for i in self._of_symbol[symbol]
            if (mid := self._mids.get(i.id)) is not None
        ]
        return sum(values) // len(values) - position.cost if values else 0

    def snapshot(self) -> bytes:
        """See `Component.snapshot`."""
        return msgspec.msgpack.encode(
            LedgerState(
                self.sequence,
                self._balances,
                self._seen,
                self._positions,
                self._trades,
                self._mids,
                self.trade_count,
            )
        )

    def restore(self, data: bytes) -> None:
        """See `Component.restore`."""
        state = msgspec.msgpack.decode(data, type=LedgerState)
        self.sequence = state.sequence
        self._balances = state.balances
        self._seen = state.seen
        self._positions = state.positions
        self._trades = state.trades
        self._mids = state.mids
        self.trade_count = state.trade_count


def _symbol(instrument: Instrument) -> str:
    return f"{instrument.base}/{instrument.quote}"


def _pair(symbol: str) -> Pair:
    base, _, quote = symbol.partition("/")
    return base, quote
