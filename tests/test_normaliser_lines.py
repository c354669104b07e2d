"""Two connections of a venue as events: the series is at every moment the book that is served."""

import json
from pathlib import Path

import pytest

from engine.backtest.hearing import CONNECTED, DISCONNECTED
from engine.edges.capture import CapturedFrame
from engine.edges.catalog.layout import Kind
from engine.edges.catalog.reader import stream, structs
from engine.edges.catalog.tops import Tops
from engine.edges.catalog.verify import verify
from engine.edges.catalog.writer import EventWriter
from engine.edges.normalising import Normaliser
from engine.messages import (
    ANSWERED,
    BookState,
    Connected,
    Disconnected,
    Frame,
    InstrumentReloaded,
)
from ext.book import Book
from tests.watched import config_of, venue_of

BEGIN_NS = 1_700_000_000_000_000_000
CONFIG = config_of("bybit", 1, 2)
SHOWN = CONFIG.venues[0].depth_levels
DEEP = {f"{n}.00": "1" for n in range(100, 100 - SHOWN - 5, -1)}
BEST = dict(list(DEEP.items())[:SHOWN])
Levels = dict[str, str]


def update(connection: int, number: int, bids: Levels, kind: str = "delta") -> CapturedFrame:
    """A frame of a book; its time is given to it later."""
    asks = [["900", "1"]] if kind == "snapshot" else []
    data = {"s": "A0-USDT", "u": number, "b": list(bids.items()), "a": asks}
    frame = {"topic": "orderbook.200.A0-USDT", "type": kind, "data": data}
    return CapturedFrame(0, connection, 0, "", json.dumps(frame).encode())


def opens(connection: int, number: int, bids: Levels) -> list[CapturedFrame]:
    """A connection and its snapshot."""
    connected = CapturedFrame(0, connection, CONNECTED, "", b"")
    return [connected, update(connection, number, bids, "snapshot")]


def ends(connection: int) -> CapturedFrame:
    """A connection is gone."""
    return CapturedFrame(0, connection, DISCONNECTED, "gone", b"")


def listed(tick_size: str) -> CapturedFrame:
    """The venue's markets, which were asked for."""
    market: dict[str, object] = {"symbol": "A0-USDT", "baseCoin": "A0", "quoteCoin": "USDT"}
    market |= {"priceFilter": {"tickSize": tick_size}, "lotSizeFilter": {"basePrecision": "0.01"}}
    answer = json.dumps({"result": {"list": [market]}}).encode()
    return CapturedFrame(0, 0, ANSWERED, "/v5/market/instruments-info?category=spot", answer)


LEFT = [
    *opens(0, 5, {"1": "1"}),
    *opens(1, 5, {"1": "1"}),
    update(0, 6, {"2": "1"}),
    update(1, 6, {"2": "1"}),
    update(1, 7, {"3": "1"}),  # the other is ahead
    update(0, 9, {"4": "1"}),  # a gap: the other is served from here on
    update(1, 8, {"3": "0", "5": "2"}),
    update(0, 20, {"7": "1"}, "snapshot"),  # nobody asked for it back
    update(1, 9, {"6": "1"}),
    ends(1),  # now it is served
    update(0, 21, {"8": "1"}),
]
UNSEEN = [
    *opens(0, 5, BEST),
    *opens(1, 5, DEEP),
    ends(0),  # the other shows the same ten levels: nothing is said of it
    update(1, 6, {list(DEEP)[-1]: "7"}),  # and nothing of what lies below them
    update(1, 7, {next(iter(DEEP)): "9"}),
]
AGAIN = [
    *opens(0, 5, {"1": "1"}),
    update(0, 6, {"2": "1"}),
    update(0, 7, {"3": "1"}, "snapshot"),  # the venue begins the book anew, unasked
    update(0, 8, {"4": "1"}),
    update(0, 10, {"5": "1"}),  # a gap, and there is no other
    update(0, 11, {"6": "1"}, "snapshot"),
]
MOVED = [
    *opens(0, 5, {"1": "1"}),
    update(0, 6, {"1.005": "1"}),  # between two steps
    listed("0.001"),
    update(0, 7, {"1.005": "1"}, "snapshot"),
]


def expected(frames: list[CapturedFrame]) -> list[tuple[BookState, bytes]]:
    """After each frame the state of the book that the venue serves, and its levels."""
    venue, found = venue_of("bybit", 1, 2), []
    for number, frame in enumerate(frames, 1):
        if frame.kind == CONNECTED:
            venue.on_message(Connected(0, number, 0, 0, frame.connection), number)
        elif frame.kind == DISCONNECTED:
            venue.on_message(Disconnected(0, number, 0, 0, frame.connection, ""), number)
        else:
            about = frame.about
            message = Frame(0, number, 1, 0, frame.connection, frame.kind, frame.payload, about)
            for output in venue.on_message(message, number):
                if isinstance(output, InstrumentReloaded):
                    venue.reload(output.instrument, output.tick_size, output.lot_size)
        found.append((venue.books[0].state, levels_of(venue.books[0].book)))
    return found


def levels_of(book: Book) -> bytes:
    """A book's bytes without the venue's number, which a catalog does not have."""
    number, book.sequence = book.sequence, 0
    levels, book.sequence = book.dump(), number
    return levels


def written(root: Path, frames: list[CapturedFrame]) -> list[tuple[BookState, bytes]]:
    """The same out of the catalog's events alone."""
    events = [event for event, _ in structs(root)]
    book, state, found = Book(), BookState.SYNCING, []
    for frame in frames:
        for event in (each for each in events if each.ts_ns == frame.at_ns):
            match event.kind:
                case Kind.CLEAR:
                    book.clear()
                    state = BookState.SYNCING
                case Kind.LEVEL:
                    book.change(event.side, event.ticks, event.lots)
                case Kind.STATE:
                    state = BookState(event.ticks)
        found.append((state, levels_of(book)))
    return found


@pytest.mark.parametrize(
    ("frames", "lost"),
    [(LEFT, 0), (UNSEEN, 0), (AGAIN, 1), (MOVED, 1)],
    ids=["one is left for the other", "unseen", "begun anew", "another grid"],
)
@pytest.mark.parametrize("files", [1, 99])
def test_the_series_is_the_served_book(
    frames: list[CapturedFrame], lost: int, files: int, tmp_path: Path
) -> None:
    """Frame by frame, in one file and in as many as there are frames: each goes on exactly.

    And it has no best price only before the book was first LIVE, and where it was lost.
    """
    timed = [f._replace(at_ns=BEGIN_NS + n * 1_000_000) for n, f in enumerate(frames)]
    size = 1 + len(timed) // files
    before = b""
    for at in range(0, len(timed), size):
        with EventWriter(tmp_path, staged=True) as writer:
            normaliser = Normaliser(CONFIG, "v", writer)
            if before:
                normaliser.restore(before)
            normaliser.feed(timed[at : at + size])
            normaliser.flush()
        before = normaliser.snapshot()
    assert not verify(tmp_path).findings
    told = zip(expected(timed), written(tmp_path, timed), strict=True)
    for place, (served, kept) in enumerate(told):
        assert (kept[0] is BookState.LIVE) == (served[0] is BookState.LIVE), place
        if served[0] is BookState.LIVE:
            assert kept == served, place
    tops = Tops()
    found = [top for batch in stream(tmp_path) for top in tops.after(batch)]
    assert sum(top[2:] == (0, 0, 0, 0) for top in found) == 1 + lost
