"""A book and how far it can be trusted: only LIVE books show prices.

The kernel holds the levels; this holds the state, its reason and the counts of what went wrong. A
venue's handler applies frames and calls `lose` when its own rule is broken; crossing is found here.
"""

import msgspec

from engine.instruments import Instrument
from engine.messages import BookState, Reason
from engine.units import DECIMALS_MAX, split_decimal, step_of
from ext.book import Book
from ext.decode import Grid


class BookSnapshot(msgspec.Struct, array_like=True):
    """A tracked book as kept in a venue's snapshot."""

    levels: bytes
    state: BookState
    reason: Reason
    finer: tuple[str, str] = ("", "")


class TrackedBook:
    """One instrument's book with its integrity state."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.number = instrument.id
        self.book = Book()
        self.grid = Grid(*instrument.tick_parts, *instrument.lot_parts)
        self.state = BookState.SYNCING
        self.reason = Reason.NONE
        self.live = False  # whether the book may be traded on
        self.finer = ("", "")  # the tick and lot that its frames were found to need, if finer

    def begin(self) -> None:
        """A snapshot follows: forget everything."""
        self.book.clear()
        self.lose(BookState.SYNCING, Reason.NONE)

    def settle(self) -> bool:
        """After a whole frame was applied: LIVE unless crossed; whether it is LIVE."""
        return self.settle_as(self.book.crossed)

    def settle_as(self, crossed: bool) -> bool:
        """The same where it is known whether the book is crossed."""
        if crossed:
            self.lose(BookState.CROSSED, Reason.CROSSED)
        elif not self.live:
            self.state, self.reason, self.live = BookState.LIVE, Reason.NONE, True
        return self.live

    def lose(self, state: BookState, reason: Reason) -> None:
        """The book is not known to be right any more."""
        self.state, self.reason, self.live = state, reason, False

    def move(self, instrument: Instrument) -> None:
        """The instrument has another grid now: the book begins anew on it."""
        self.instrument = instrument
        self.grid = Grid(*instrument.tick_parts, *instrument.lot_parts)
        self.begin()

    def refine(self, of_price: bool, text: str) -> None:
        """A frame has a price or quantity between two steps: remember on what grid it is."""
        parts = self.instrument.tick_parts if of_price else self.instrument.lot_parts
        step = step_of(min(max(split_decimal(text)[1], parts[1]), DECIMALS_MAX))
        self.finer = (step, self.finer[1]) if of_price else (self.finer[0], step)

    def regridded(self, tick_size: str, lot_size: str) -> Instrument:
        """The instrument on the venue's grid or, where frames need it, on a finer one.

        A venue that made its grid coarser still shows the orders of before. Raises InstrumentError.
        """
        tick, lot = self.finer
        listed = self.instrument.on_grid(tick_size, lot_size)
        if tick and split_decimal(tick)[1] > listed.tick_parts[1]:
            tick_size = tick
        if lot and split_decimal(lot)[1] > listed.lot_parts[1]:
            lot_size = lot
        return self.instrument.on_grid(tick_size, lot_size)

    def snapshot(self) -> BookSnapshot:
        """The whole state."""
        return BookSnapshot(self.book.dump(), self.state, self.reason, self.finer)

    def restore(self, data: BookSnapshot) -> None:
        """Become what `snapshot` gave; raises ValueError on other bytes."""
        self.book.load(data.levels)
        self.state = data.state
        self.reason = data.reason
        self.live = data.state is BookState.LIVE
        self.finer = data.finer
