"""Kraken's public websocket, version 1: book snapshots and updates with a CRC-32 of the top ten.

The checksum is over the ten best asks and then the ten best bids, each price and volume written
without its point and without leading zeros. Ticks and lots of the pair's own decimals are exactly
that. After an update the book keeps the subscribed depth and no more: Kraken says nothing of the
levels beyond. Source: https://docs.kraken.com/api/docs/guides/spot-ws-book-v1/
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from engine.books import TrackedBook
from engine.messages import BUY, SELL, Frame, Reason
from engine.units import step_of
from engine.venues.feed import EMPTY, Feed, Raw, lost, parts_of, text_of, trade
from engine.venues.handler import Check, Endpoint, Listing, LostNews, Malformed, News, Refused
from ext import checksum
from ext.book import ASK, BID

DEPTH = 1000
ABSENT = Raw(b"")


class _Book(msgspec.Struct):
    """A book channel's payload: 'as'/'bs' in a snapshot, 'a'/'b' in an update, 'c' the CRC."""

    asks_all: Raw = msgspec.field(name="as", default=ABSENT)
    bids_all: Raw = msgspec.field(name="bs", default=ABSENT)
    asks: Raw = msgspec.field(name="a", default=EMPTY)
    bids: Raw = msgspec.field(name="b", default=EMPTY)
    checksum: str = msgspec.field(name="c", default="")


class _Event(msgspec.Struct):
    event: str = ""
    status: str = ""
    errorMessage: str = ""


class _Pair(msgspec.Struct):
    wsname: str = ""
    pair_decimals: int = 0
    lot_decimals: int = 8


class _Pairs(msgspec.Struct):
    result: dict[str, _Pair]


_BOOK = msgspec.json.Decoder(_Book).decode
_EVENT = msgspec.json.Decoder(_Event).decode
_TRADES = msgspec.json.Decoder(list[tuple[str, str, str, str, str, str]]).decode
_PAIRS = msgspec.json.Decoder(_Pairs).decode


class KrakenV1Handler(Feed):
    """Kraken v1 book and trade channels of the given instruments."""

    verifies = "CRC-32 of the ten best levels, each frame"
    endpoint = Endpoint(
        stream="wss://ws.kraken.com",
        rest="https://api.kraken.com",
        names_per_frame=50,
        frames_per_second=5.0,
        ping=b'{"event":"ping"}',
        ping_every_s=20.0,
        silence_s=10.0,
    )
    listings = "/0/public/AssetPairs"

    def open(self, now_ns: int) -> tuple[bytes, ...]:
        """Subscribe to books of depth 1000 and to trades."""
        batches = self.batches(self.ids)
        return tuple(
            [_event("subscribe", batch, {"name": "book", "depth": DEPTH}) for batch in batches]
            + [_event("subscribe", batch, {"name": "trade"}) for batch in batches]
        )

    def resync(self, instrument: int, now_ns: int) -> tuple[tuple[bytes, ...], str]:
        """Leave the pair's book channel and enter it again: Kraken then sends a snapshot."""
        pair = [self.natives[instrument]]
        book: dict[str, str | int] = {"name": "book", "depth": DEPTH}
        return (_event("unsubscribe", pair, book), _event("subscribe", pair, book)), ""

    def read(self, frame: Frame, books: Mapping[int, TrackedBook]) -> Sequence[News]:
        """See `Feed.read`. Event objects (status, heartbeat) say nothing of books."""
        payload = frame.payload
        if payload[:1] == b"{":
            event = _EVENT(payload)
            if event.status == "error":
                raise Refused(f"{event.errorMessage}")
            return []
        parts = parts_of(payload)
        if len(parts) < 4:
            raise Malformed(f"{len(parts)} parts in a channel's frame")
        instrument = self.ids.get(text_of(parts[-1]))
        if instrument is None:
            return []
        channel = text_of(parts[-2])
        if channel.startswith("book-"):
            changes = [_BOOK(part) for part in parts[1:-2]]
            return self._book(books[instrument], int(channel[5:]), changes)
        if channel == "trade":
            return list(_trades(books[instrument], parts[1]))
        return []

    def _book(self, tracked: TrackedBook, depth: int, changes: list[_Book]) -> Sequence[News]:
        expected = changes[-1].checksum
        crc = int(expected) if expected else None
        whole = changes[0].asks_all != ABSENT or changes[0].bids_all != ABSENT
        if whole:
            tracked.begin()
        elif not tracked.live:
            return []  # updates before the snapshot, or of a book that was lost
        book, grid = tracked.book, tracked.grid

        def apply() -> None:
            for change in changes:
                grid.pairs(book, ASK, change.asks_all if whole else change.asks)
                grid.pairs(book, BID, change.bids_all if whole else change.bids)
            book.truncate(depth)

        check = Check.VERIFIED if crc is not None else Check.NONE if whole else Check.MISSING
        news = self.settle(tracked, 0, apply, check)
        if (
            crc is not None
            and not isinstance(news, LostNews)
            and crc != checksum.kraken(book, grid)
        ):
            return [lost(tracked, Reason.CHECKSUM)]
        return [news]

    @staticmethod
    def read_listings(payload: bytes) -> Iterator[Listing]:
        """See `Feed.read_listings`. The checksum is over all decimals, whatever the tick is."""
        for pair in _PAIRS(payload).result.values():
            if pair.wsname:
                tick, lot = step_of(pair.pair_decimals), step_of(pair.lot_decimals)
                yield Listing(pair.wsname, pair.wsname, tick, lot)


def _event(event: str, pairs: list[str], subscription: dict[str, str | int]) -> bytes:
    return msgspec.json.encode({"event": event, "pair": pairs, "subscription": subscription})


def _trades(tracked: TrackedBook, part: Raw) -> Iterator[News]:
    for place, (price, volume, at, side, _, _) in enumerate(_TRADES(part)):
        yield trade(tracked, BUY if side == "b" else SELL, price, volume, f"{at}-{place}")
