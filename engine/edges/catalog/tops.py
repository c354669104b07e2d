"""Books rebuilt from batches, for who wants to know what was best when."""

import numpy as np

from engine.edges.catalog.layout import BUY, Kind, Source
from engine.edges.catalog.reader import Batch
from engine.messages import BookState
from ext.book import ASK, BID, Book

Top = tuple[int, int, int, int]


class Rebuilt:
    """One series' book; `live` is what its last STATE said."""

    def __init__(self) -> None:
        self.book = Book()
        self.live = False

    def clear(self) -> None:
        """The book begins anew; it counts again once it is LIVE."""
        self.book.clear()
        self.live = False

    def mark(self, kind: int, number: int) -> None:
        """An event that is no level and no trade."""
        if kind == Kind.CLEAR:
            self.clear()
        elif kind == Kind.STATE:
            self.live = number == BookState.LIVE
        elif kind == Kind.TRUNCATE:
            self.book.truncate(number)

    @property
    def top(self) -> Top:
        """Best bid and ask in ticks and lots; zeros while not LIVE."""
        if not self.live:
            return 0, 0, 0, 0
        book = self.book
        return book.bid_ticks, book.bid_lots, book.ask_ticks, book.ask_lots


class Tops:
    """The best prices of all series of one reading."""

    def __init__(self) -> None:
        self._books: dict[tuple[str, str], tuple[Source, Rebuilt]] = {}
        self._tops: dict[tuple[str, str], Top] = {}

    def _book(self, source: Source) -> Rebuilt:
        """The source's book; another grid begins it anew."""
        name = source.venue, source.symbol
        known = self._books.get(name)
        if known is None or known[0] != source:
            known = self._books[name] = source, Rebuilt()
        return known[1]

    def after(self, batch: Batch) -> list[tuple[int, int, int, int, int, int]]:
        """(ts_ns, source, bid ticks, bid lots, ask ticks, ask lots) after each frame that changed them."""
        found = []
        held, source, sources = batch
        rows = np.flatnonzero(held.kind != Kind.TRADE)
        ended = np.flatnonzero(held.last)
        # A trade may end a frame; what matters is whether a frame ends before the next book event.
        ends = np.diff(np.searchsorted(ended, np.append(rows, held.rows))) > 0
        lists = [column.tolist() for column in held.take(rows)[:5]]
        for ts_ns, kind, side, ticks, lots, number, last in zip(
            *lists, source[rows].tolist(), ends.tolist(), strict=True
        ):
            own = self._book(sources[number])
            if kind == Kind.LEVEL:
                own.book.change(BID if side == BUY else ASK, ticks, lots)
            else:
                own.mark(kind, ticks)
            if last and (top := own.top) != self._tops.get(sources[number][:2]):
                self._tops[sources[number][:2]] = top
                found.append((ts_ns, number, *top))
        return found
