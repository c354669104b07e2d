"""What market data handlers share: names, levels into books, and snapshots by HTTP with differences.

A handler of an exchange derives from `Feed` where the stream itself brings snapshots, and from
`DifferenceFeed` where a snapshot is asked over HTTP and joined to the stream by numbers.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum

import msgspec

from engine.books import TrackedBook
from engine.instruments import Instrument
from engine.messages import ANSWERED, BUY, SELL, STREAMED, BookState, Frame, Reason
from engine.venues.handler import (
    UNREADABLE,
    BookNews,
    Check,
    Endpoint,
    Listing,
    ListingNews,
    LostNews,
    Malformed,
    News,
    OldNews,
    TradeNews,
    WantedNews,
)
from ext.decode import OffGrid

BUFFERED_MAX = 1000
Raw = msgspec.Raw
EMPTY = Raw(b"[]")

text_of = msgspec.json.Decoder(str).decode
parts_of = msgspec.json.Decoder(list[Raw]).decode


class Feed:
    """Base of the handlers that can only be watched; a subclass decodes in `read`.

    `read` and `read_listings` may raise whatever reading raises (UNREADABLE); `decode` turns that
    into Malformed.
    """

    numbered = False
    chained = True
    verifies = ""
    endpoint = Endpoint("", "")
    listings = ""

    def __init__(self, instruments: Sequence[Instrument], natives: Mapping[int, str]) -> None:
        self.ids = {natives[instrument.id]: instrument.id for instrument in instruments}
        self.natives = {number: native for native, number in self.ids.items()}
        # News of every frame is made once: what is hot makes no objects it can spare.
        self.changed = {
            number: tuple((BookNews(number, check),) for check in Check) for number in self.natives
        }

    # --- what a subclass says of its exchange ---------------------------------------------------

    def read(self, frame: Frame, books: Mapping[int, TrackedBook]) -> Sequence[News]:
        """A stream's frame."""
        raise NotImplementedError

    def read_answer(self, frame: Frame, books: Mapping[int, TrackedBook]) -> Sequence[News]:
        """The answer of an HTTP request other than for listings."""
        return []

    @staticmethod
    def read_listings(payload: bytes) -> Iterable[Listing]:
        """The venue's markets out of the answer to `listings`."""
        raise NotImplementedError

    @staticmethod
    def address(welcome: bytes) -> str:
        """Never called: the address is the endpoint's."""
        raise AssertionError("no address was to be asked for")

    # --- the handler's contract ------------------------------------------------------------------

    def close(self) -> None:
        """See `Handler.close`."""

    def decode(self, frame: Frame, books: Mapping[int, TrackedBook]) -> Sequence[News]:
        """See `Handler.decode`."""
        try:
            if frame.kind == STREAMED:
                return self.read(frame, books)
            if frame.kind != ANSWERED:
                return []
            if self.listings and self.listings in frame.about:
                return list(self._listed(frame.payload))
            return self.read_answer(frame, books)
        except Malformed:
            raise
        except UNREADABLE as error:
            raise Malformed(str(error)) from error

    def _listed(self, payload: bytes) -> Iterator[ListingNews]:
        for listing in self.read_listings(payload):
            number = self.ids.get(listing.native)
            if number is not None:
                yield ListingNews(number, listing.tick_size, listing.lot_size)

    def listings_path(self, instrument: int) -> str:
        """See `Handler.listings_path`."""
        return self.listings

    def batches(self, names: Iterable[str]) -> list[list[str]]:
        """Names in as many lists as the exchange wants frames."""
        every = list(names)
        size = self.endpoint.names_per_frame
        return [every[at : at + size] for at in range(0, len(every), size)]

    # --- books -----------------------------------------------------------------------------------

    def settle_pairs(
        self,
        tracked: TrackedBook,
        sequence: int,
        bids: Raw,
        asks: Raw,
        check: Check = Check.NONE,
        above: int = -1,
    ) -> Sequence[News]:
        """As `settle`, for levels that are pairs of both sides."""
        try:
            crossed = tracked.grid.both(tracked.book, sequence, bids, asks, above)
        except OffGrid as error:
            return (off_grid(tracked, error),)
        except ValueError:
            return (lost(tracked, Reason.MALFORMED),)
        if (crossed or not tracked.live) and not tracked.settle_as(crossed):
            return (LostNews(tracked.number, Reason.CROSSED),)
        return self.changed[tracked.number][check]

    def settle(
        self, tracked: TrackedBook, sequence: int, apply: Callable[[], object], check: Check
    ) -> News:
        """Apply levels, then hold the book against its rules: what it is afterwards."""
        tracked.book.sequence = sequence  # before the levels: a number too large changes nothing
        try:
            apply()
        except OffGrid as error:
            return off_grid(tracked, error)
        except ValueError:
            return lost(tracked, Reason.MALFORMED)
        if not tracked.settle():
            return LostNews(tracked.number, Reason.CROSSED)
        return BookNews(tracked.number, check)

    def snapshot(self) -> bytes:
        """Nothing is kept between frames, unless a subclass says so."""
        return b""

    def restore(self, data: bytes) -> None:
        """Become what `snapshot` gave."""


class Link(Enum):
    """How a difference stands to the book."""

    OLD = "it is in the book already"
    FOLLOWS = "it is the next one"
    GAP = "something is missing before it"


OLD, FOLLOWS, GAP = Link.OLD, Link.FOLLOWS, Link.GAP


class Kept(msgspec.Struct):
    """What a `DifferenceFeed` keeps between frames: differences that wait, books just begun."""

    waiting: dict[int, list[bytes]]
    fresh: set[int]


class DifferenceFeed(Feed):
    """A snapshot over HTTP, and differences whose numbers say where they belong.

    Differences that come before the snapshot wait as raw frames. The first one after it may begin
    before the snapshot's number and must reach beyond it; what a gap is, `link` says.
    """

    numbered = True
    snapshot_mark = ""  # what stands before the native name in the path of a snapshot

    def __init__(self, instruments: Sequence[Instrument], natives: Mapping[int, str]) -> None:
        super().__init__(instruments, natives)
        self._kept = Kept({}, set())

    def snapshot_path(self, native: str) -> str:
        """What to ask over HTTP for the snapshot of a market."""
        raise NotImplementedError

    @staticmethod
    def read_snapshot(payload: bytes) -> tuple[int, Raw, Raw]:
        """Number, bids and asks of a snapshot."""
        raise NotImplementedError

    def close(self) -> None:
        """See `Handler.close`."""
        self._kept = Kept({}, set())

    def resync(self, instrument: int, now_ns: int) -> tuple[tuple[bytes, ...], str]:
        """A snapshot over HTTP; differences go on being kept."""
        return (), self.snapshot_path(self.natives[instrument])

    def difference(
        self, tracked: TrackedBook, link: Link, last: int, payload: bytes, bids: Raw, asks: Raw
    ) -> Sequence[News]:
        """Take a difference whose last number is `last` by how it stands to the book."""
        number = tracked.number
        if not tracked.live:
            return self._wait(number, payload)
        if link is FOLLOWS:
            if self._kept.fresh:
                self._kept.fresh.discard(number)
            return self.settle_pairs(tracked, last, bids, asks, Check.NONE, self.above(tracked))
        if link is OLD:
            return [OldNews(number)]
        tracked.lose(BookState.BROKEN, Reason.SEQUENCE_GAP)
        reason = Reason.SEQUENCE_GAP
        if number in self._kept.fresh:
            tracked.lose(BookState.SYNCING, Reason.SNAPSHOT_OLD)
            reason = Reason.SNAPSHOT_OLD
        self._wait(number, payload)
        return [LostNews(number, reason)]

    def joins(self, sequence: int, waiting: Sequence[bytes]) -> bool:
        """Whether a snapshot may begin a book; most are found too old by the first difference."""
        return True

    def fresh(self, number: int) -> bool:
        """Whether a book is as its snapshot made it."""
        return number in self._kept.fresh

    def _wait(self, number: int, payload: bytes) -> Sequence[News]:
        waiting = self._kept.waiting.get(number)
        if waiting is None:
            self._kept.waiting[number] = [payload]
            return [WantedNews(number)]
        if len(waiting) == BUFFERED_MAX:
            del waiting[0]  # the snapshot will be newer, or the gap will be found
        waiting.append(payload)
        return []

    def above(self, tracked: TrackedBook) -> int:
        """Where levels of differences are numbered one by one: the number that the book has."""
        return -1

    def read_answer(self, frame: Frame, books: Mapping[int, TrackedBook]) -> Sequence[News]:
        """The snapshot of the symbol that the request was about, and what waited for it."""
        _, _, tail = frame.about.partition(self.snapshot_mark)
        number = self.ids.get(tail.partition("&")[0])
        if number is None:
            return []
        tracked = books[number]
        sequence, bids, asks = self.read_snapshot(frame.payload)
        if tracked.live and sequence <= tracked.book.sequence:
            return []  # asked twice, or late: the book is further on
        waiting = self._kept.waiting.get(number, ())
        if sequence < tracked.book.sequence or not self.joins(sequence, waiting):
            tracked.lose(BookState.SYNCING, Reason.SNAPSHOT_OLD)
            return [LostNews(number, Reason.SNAPSHOT_OLD)]
        tracked.begin()
        news: list[News] = [*self.settle_pairs(tracked, sequence, bids, asks)]
        if not tracked.live:
            return news
        self._kept.fresh.add(number)
        for payload in self._kept.waiting.pop(number, ()):
            kept = Frame(0, 0, frame.received_ns, frame.venue, frame.connection, 0, payload)
            news += [n for n in self.read(kept, books) if not isinstance(n, OldNews)]
        return news

    def snapshot(self) -> bytes:
        """The differences that wait for a snapshot."""
        return msgspec.msgpack.encode(self._kept)

    def restore(self, data: bytes) -> None:
        """See `Handler.restore`."""
        self._kept = msgspec.msgpack.decode(data, type=Kept)


def lost(tracked: TrackedBook, reason: Reason) -> LostNews:
    """A book is BROKEN, and why."""
    tracked.lose(BookState.BROKEN, reason)
    return LostNews(tracked.number, reason)


def off_grid(tracked: TrackedBook, error: OffGrid) -> LostNews:
    """A book is BROKEN, for its frames are finer than its grid."""
    tracked.refine(error.of_price, error.text)
    return lost(tracked, Reason.OFF_GRID)


def trade(
    tracked: TrackedBook, side: int, price: str | Raw, quantity: str | Raw, trade_id: str
) -> TradeNews | LostNews:
    """A public trade out of its decimal numbers; raises ValueError where they are none.

    One off the grid tells of the grid what a level would, so the book is lost as by a level.
    """
    grid = tracked.grid
    try:
        ticks, lots = grid.ticks(_plain(price)), grid.lots(_plain(quantity))
    except OffGrid as error:
        return off_grid(tracked, error)
    return TradeNews(tracked.number, side, ticks, lots, trade_id)


def _plain(number: str | Raw) -> str:
    """A JSON number as it stands in the frame."""
    return number if isinstance(number, str) else bytes(number).decode("ascii")


def taker(word: str) -> int:
    """The side of a word such as buy or SELL; raises ValueError."""
    lower = word.lower()
    if lower not in {"buy", "sell"}:
        raise ValueError(f"side {word!r}")
    return BUY if lower == "buy" else SELL
