"""What is held where, whose it is, what it cost and what was made: exact, in units of each asset.

Every fill, fee, transfer and opening is one entry of double entry (engine/money/accounts.py) by
venue, asset and bot. A venue's first word on an asset opens its account; from there on entries
alone move it, and a settled word that differs is a drift with a name. What trades cost and made
is in engine/money/profit.py, what everything is worth in engine/money/equity.py.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from engine.component import NOTHING, Component, Outputs
from engine.instruments import Instrument, Instruments
from engine.ledger_config import LedgerConfig, currency_of, rounding_of
from engine.messages import (
    AnyMessage,
    BalanceSeen,
    BalanceUpdate,
    BookPnL,
    BookTop,
    Difference,
    DifferenceKind,
    Dust,
    Equity,
    Fill,
    PnL,
    PositionUpdate,
    SetTimer,
    Started,
    TimerFired,
    Transfer,
    VenueStatus,
)
from engine.money.accounts import HOUSE, AccountKind, Accounts, AccountsState
from engine.money.cost import Book, Position
from engine.money.equity import EquityBook, EquityState
from engine.money.marks import Marks, MarksState, Pair
from engine.money.profit import BookKey, Profit, ProfitState
from engine.money.statements import Statements, StatementsState

MARK_EVERY_NS = 1_000_000_000
MARK = 1
BOOKS_EVERY = 60
"""After so many marks each book that has something open says what it is worth."""
TRADES_MAX = 100_000
TRANSFERS_MAX = 10_000

FUNDING = "funding"
"""The kind of transfer that is a profit or a loss of trading, not money brought or taken."""


class LedgerState(msgspec.Struct):
    """The whole state, for a snapshot. Trade and transfer ids by venue."""

    sequence: int
    accounts: AccountsState
    statements: StatementsState
    profit: ProfitState
    trades: dict[int, dict[str, None]]
    transfers: dict[int, dict[str, None]]
    marks: MarksState
    equity: EquityState
    trade_count: int
    mark_count: int


class Ledger(Component):
    """The Ledger component; see the module. `trade_count` is how many fills it has counted."""

    kind = "ledger"

    def __init__(
        self, sender: int, instruments: Instruments, config: LedgerConfig | None = None
    ) -> None:
        super().__init__(sender, instruments)
        config = config or LedgerConfig()
        self.accounts = Accounts()
        self._marks = Marks(instruments, config.pegs)
        self._profit = Profit(self._marks)
        self._equity = EquityBook(currency_of(config, instruments), frozenset(config.ignored))
        self._statements = Statements(rounding_of(config, instruments))
        self._trades: dict[int, dict[str, None]] = {}
        self._transfers: dict[int, dict[str, None]] = {}
        self.trade_count = 0
        self._mark_count = 0
        self._takers: dict[type, Callable[[Any, int], Outputs]] = {
            BookTop: self._on_top,
            VenueStatus: self._on_status,
            Fill: self._on_fill,
            BalanceSeen: self._on_balance,
            Transfer: self._on_transfer,
            Dust: self._on_dust,
            TimerFired: self._on_timer,
            Started: self._on_timer,
        }

    def on_message(self, message: AnyMessage, now_ns: int) -> Outputs:
        """See `Component.on_message`."""
        taker = self._takers.get(type(message))
        return NOTHING if taker is None else taker(message, now_ns)

    def regrid(self, instrument: Instrument) -> None:
        """See `Component.regrid`: the mid was in other ticks."""
        self._marks.regrid(instrument)

    @property
    def balances(self) -> dict[tuple[str, str], int]:
        """What is held by (venue, asset), in units."""
        return self._by_venue(self.accounts.venues())

    @property
    def balances_seen(self) -> dict[tuple[str, str], int]:
        """What the venue said last by (venue, asset), in units, to compare with when all is quiet."""
        return self._by_venue(self._statements.state.seen)

    @property
    def drifts(self) -> dict[tuple[str, str], int]:
        """What the venue has more than we by (venue, asset), in units, where that is not explained."""
        return self._by_venue(self._statements.state.drifts)

    @property
    def positions(self) -> dict[Pair, Position]:
        """Positions by (base, quote), net over venues and bots."""
        return self._profit.positions

    @property
    def books(self) -> dict[BookKey, Book]:
        """The books by (bot, venue, base, quote)."""
        return self._profit.books

    @property
    def unmarked(self) -> dict[str, int]:
        """By asset how often something was held of it and no mark was known."""
        return self._equity.state.unmarked

    def _by_venue(self, held: dict[int, dict[str, int]]) -> dict[tuple[str, str], int]:
        names = self.instruments.venues
        return {
            (names[venue], asset): total
            for venue, assets in held.items()
            for asset, total in assets.items()
        }

    # --- marks ------------------------------------------------------------------------------------

    def _on_top(self, top: BookTop, now_ns: int) -> Outputs:
        self._marks.on_top(top)
        return NOTHING

    def _on_status(self, status: VenueStatus, now_ns: int) -> Outputs:
        if status.connected:
            self._marks.on_venue(status.venue, now_ns)
        return NOTHING

    def _on_timer(self, message: AnyMessage, now_ns: int) -> Outputs:
        outputs: list[AnyMessage] = [
            SetTimer(self.sender, self.next_sequence(), 0, MARK, now_ns + MARK_EVERY_NS)
        ]
        received_ns = message.received_ns
        outputs += [self._mark(quote, received_ns) for quote in self._profit.quotes()]
        if self._statements.state.seen:
            outputs.append(self._worth(received_ns, now_ns))
        self._mark_count += 1
        if self._mark_count % BOOKS_EVERY == 0:
            outputs += [
                self._book(key, received_ns)
                for key, book in self._profit.books.items()
                if book.average.quantity
            ]
        return tuple(outputs)

    def _worth(self, received_ns: int, now_ns: int) -> Equity:
        """Everything in the chosen currency."""
        held: dict[str, int] = {}
        for assets in self.accounts.venues().values():
            for asset, total in assets.items():
                held[asset] = held.get(asset, 0) + total
        worth = self._equity.mark(held, self._marks, now_ns)
        return Equity(
            self.sender,
            self.next_sequence(),
            received_ns,
            self._equity.currency,
            worth.equity,
            worth.opening,
            worth.transfers,
            worth.peak,
            worth.stale_ns,
            ",".join(worth.unmarked),
        )

    def _mark(self, quote: str, received_ns: int) -> PnL:
        """Profit and loss in one quote asset, what is held valued at the mean mid over venues."""
        realised, unrealised, fees = self._profit.total(quote)
        return PnL(
            self.sender,
            self.next_sequence(),
            received_ns,
            quote,
            realised,
            unrealised,
            fees,
            realised + unrealised - fees,
        )

    def _book(self, key: BookKey, received_ns: int) -> BookPnL:
        bot, venue, base, quote = key
        book = self._profit.books[key]
        average = book.average
        return BookPnL(
            self.sender,
            self.next_sequence(),
            received_ns,
            bot,
            venue,
            base,
            quote,
            average.quantity,
            average.cost,
            book.lots.realised,
            average.realised,
            self._profit.unrealised((base, quote), average),
            average.fees,
            book.fees_other,
        )

    # --- what the venue says is there ---------------------------------------------------------------

    def _on_balance(self, seen: BalanceSeen, now_ns: int) -> Outputs:
        """The first word of a venue on an asset opens its account; entries move it from there.

        What was told before is taken to be in that word already. The first settled word, of which that
        is sure, puts right what the opening was; only after it does anything count as a drift.
        """
        venue, asset, received_ns = seen.venue, seen.asset, seen.received_ns
        ours = self.accounts.held(venue, asset)
        if self._statements.opens(venue, asset, seen.total, seen.settled):
            self._move(AccountKind.OPENING, venue, asset, seen.total - ours)
            self._equity.opened(asset, seen.total - ours)
            return (self._balance(venue, asset, received_ns),)
        if not seen.settled:
            return NOTHING
        if self._statements.is_rounding(venue, asset, seen.total - ours):
            self._move(AccountKind.ROUNDING, venue, asset, seen.total - ours)
            self._statements.set_drift(venue, asset, 0)
            named = self._difference(venue, asset, ours, seen.total, True, received_ns)
            return (named, self._balance(venue, asset, received_ns))
        if not self._statements.set_drift(venue, asset, seen.total - ours):
            return NOTHING
        agrees = seen.total == ours
        return (self._difference(venue, asset, ours, seen.total, agrees, received_ns),)

    def _move(self, source: AccountKind, venue: int, asset: str, amount: int) -> None:
        """Between what the house holds at a venue and where it came from."""
        held = AccountKind.HOLDING
        self.accounts.post(venue, HOUSE, ((held, asset, amount), (source, asset, -amount)))

    def _difference(
        self, venue: int, asset: str, ours: int, theirs: int, repaired: bool, received_ns: int
    ) -> Difference:
        kind, stamp = DifferenceKind.BALANCE_DRIFT, self.next_sequence()
        return Difference(
            self.sender, stamp, received_ns, venue, kind, asset, ours, theirs, repaired
        )

    def _on_transfer(self, transfer: Transfer, now_ns: int) -> Outputs:
        """An entry, once for each id; one that is just a drift known of explains it."""
        venue, asset, amount = transfer.venue, transfer.asset, transfer.amount
        if _is_repeat(self._transfers, venue, transfer.transfer_id, TRANSFERS_MAX):
            return NOTHING
        if transfer.kind == FUNDING:
            self._move(AccountKind.FUNDING, venue, asset, amount)
        else:
            self._move(AccountKind.TRANSFERS, venue, asset, amount)
            self._equity.moved(asset, amount)
        received_ns = transfer.received_ns
        update = self._balance(venue, asset, received_ns)
        if amount and amount == self._statements.drift(venue, asset):
            self._statements.set_drift(venue, asset, 0)
            ours = self.accounts.held(venue, asset)
            return (update, self._difference(venue, asset, ours, ours, True, received_ns))
        return (update,)

    def _on_dust(self, dust: Dust, now_ns: int) -> Outputs:
        """From what a bot has at hand to its dust; what the venue has is as before."""
        self.accounts.post(
            dust.venue,
            dust.bot,
            (
                (AccountKind.DUST, dust.asset, dust.amount),
                (AccountKind.HOLDING, dust.asset, -dust.amount),
            ),
        )
        return (self._balance(dust.venue, dust.asset, dust.received_ns),)

    def _balance(self, venue: int, asset: str, received_ns: int) -> BalanceUpdate:
        total, dust = self.accounts.held(venue, asset), self.accounts.dust(venue, asset)
        return BalanceUpdate(
            self.sender, self.next_sequence(), received_ns, venue, asset, total, dust
        )

    # --- fills ------------------------------------------------------------------------------------

    def _on_fill(self, fill: Fill, now_ns: int) -> Outputs:
        # Some venues number trades by market, and a trade with oneself has one number for both sides.
        name = f"{fill.instrument}/{fill.side}/{fill.trade_id}"
        if _is_repeat(self._trades, fill.venue, name, TRADES_MAX):
            return NOTHING
        self.trade_count += 1
        instrument = self.instruments[fill.instrument]
        base, quote = instrument.base, instrument.quote
        units = fill.side * fill.lots * instrument.base_units_per_lot
        paid = fill.side * instrument.notional(fill.ticks, fill.lots)
        self.accounts.post(
            fill.venue,
            fill.bot,
            (
                (AccountKind.HOLDING, base, units),
                (AccountKind.TRADING, base, -units),
                (AccountKind.HOLDING, quote, -paid),
                (AccountKind.TRADING, quote, paid),
                (AccountKind.HOLDING, fill.fee_asset, -fill.fee),
                (AccountKind.FEES, fill.fee_asset, fill.fee),
            ),
        )
        received_ns = fill.received_ns
        pair, key = self._profit.take(fill, instrument)
        position = self._profit.positions[pair]
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
        self._statements.filled(fill.venue, assets)
        return (
            update,
            *(self._balance(fill.venue, asset, received_ns) for asset in assets),
            self._book(key, received_ns),
            self._mark(quote, received_ns),
        )

    # --- copies -------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """See `Component.snapshot`."""
        return msgspec.msgpack.encode(
            LedgerState(
                self.sequence,
                self.accounts.snapshot(),
                self._statements.state,
                self._profit.snapshot(),
                self._trades,
                self._transfers,
                self._marks.snapshot(),
                self._equity.state,
                self.trade_count,
                self._mark_count,
            )
        )

    def restore(self, data: bytes) -> None:
        """See `Component.restore`."""
        state = msgspec.msgpack.decode(data, type=LedgerState)
        self.sequence = state.sequence
        self.accounts.restore(state.accounts)
        self._statements.state = state.statements
        self._profit.restore(state.profit)
        self._trades = state.trades
        self._transfers = state.transfers
        self._marks.restore(state.marks)
        self._equity.state = state.equity
        self.trade_count = state.trade_count
        self._mark_count = state.mark_count


def _is_repeat(known: dict[int, dict[str, None]], venue: int, name: str, limit: int) -> bool:
    """Whether a venue told this id before; now it did. The newest of each venue are kept."""
    names = known.setdefault(venue, {})
    if name in names:
        return True
    names[name] = None
    if len(names) > limit:
        del names[next(iter(names))]
    return False
