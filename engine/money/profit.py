"""Fills as positions and books: what was traded, what it cost and what it made.

A position is of a pair, net over venues and bots, at average cost. A book is one bot's on one venue
in one pair, under both methods. A fee in the quote asset is apart from the realised profit; one
in the base asset is a sale of so much at the fill's price (rounded down to the unit), and that value
a fee; one in a third asset is in no position, and at its mark of the moment in `Book.fees_other`.
"""

import msgspec

from engine.instruments import Instrument
from engine.messages import Fill
from engine.money.cost import Book, Lots, Position
from engine.money.marks import Marks, Pair

BookKey = tuple[int, int, str, str]
"""(bot, venue, base, quote)."""


class ProfitState(msgspec.Struct):
    """The whole state, for a snapshot."""

    positions: dict[Pair, Position]
    books: dict[BookKey, Book]


class Profit:
    """All positions and books; `marks` values what is open."""

    def __init__(self, marks: Marks) -> None:
        self.positions: dict[Pair, Position] = {}
        self.books: dict[BookKey, Book] = {}
        self._marks = marks

    def take(self, fill: Fill, instrument: Instrument) -> tuple[Pair, BookKey]:
        """Count a fill and its fee; which position and which book they went into."""
        pair = instrument.base, instrument.quote
        key = (fill.bot, fill.venue, *pair)
        position = self.positions.get(pair)
        if position is None:
            position = self.positions[pair] = Position()
        book = self.books.get(key)
        if book is None:
            book = self.books[key] = Book(Position(), Lots())
        units = fill.side * fill.lots * instrument.base_units_per_lot
        value = instrument.notional(fill.ticks, fill.lots)
        position.trade(units, value)
        book.trade(units, value)
        if fill.fee_asset == instrument.quote:
            position.fees += fill.fee
            book.average.fees += fill.fee
        elif fill.fee_asset == instrument.base:
            per_lot = fill.ticks * instrument.quote_units_per_tick_lot
            worth = abs(fill.fee) * per_lot // instrument.base_units_per_lot
            position.trade(-fill.fee, worth)
            book.trade(-fill.fee, worth)
            paid = worth if fill.fee > 0 else -worth
            position.fees += paid
            book.average.fees += paid
        elif (mark := self._marks.mark(fill.fee_asset, instrument.quote)) is not None:
            book.fees_other += fill.fee * mark.rate.numerator // mark.rate.denominator
        return pair, key

    def unrealised(self, pair: Pair, position: Position) -> int:
        """What closing at mid would bring beyond the cost; 0 while no mid is known."""
        value = self._marks.value(pair, position.quantity)
        return 0 if value is None else value - position.cost

    def quotes(self) -> list[str]:
        """The quote assets in which anything was traded."""
        return list(dict.fromkeys(quote for _, quote in self.positions))

    def total(self, quote: str) -> tuple[int, int, int]:
        """(realised, unrealised, fees) of all positions in a quote asset."""
        realised = unrealised = fees = 0
        for pair, position in self.positions.items():
            if pair[1] == quote:
                realised += position.realised
                fees += position.fees
                unrealised += self.unrealised(pair, position)
        return realised, unrealised, fees

    def snapshot(self) -> ProfitState:
        """The whole state."""
        return ProfitState(self.positions, self.books)

    def restore(self, state: ProfitState) -> None:
        """Become what `snapshot` gave."""
        self.positions = state.positions
        self.books = state.books
