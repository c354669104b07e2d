"""Kraken's public websocket, version 1: book snapshots and updates with a CRC-32 of the top ten.

The checksum is over the ten best asks and then the ten best bids, each price and volume written
without its point and without leading zeros. Ticks and lots of the pair's own decimals are exactly
that. After an update the book keeps the subscribed depth and no more: Kraken says nothing of the
levels beyond. Source: https://docs.kraken.com/api/docs/guides/spot-ws-book-v1/
"""

import zlib
from collections.abc import Mapping, Sequence

import msgspec

from engine.books import TrackedBook
from engine.instruments import Instrument
from engine.messages import BUY, SELL, BookState, Frame, Reason
from engine.venues.handler import (
    UNREADABLE,
    BookNews,
    LostNews,
    Malformed,
    News,
    TradeNews,
    WatchOnly,
)
from ext.book import ASK, BID
from ext.decode import OffGrid

CHECKED_LEVELS = 10
Levels = list[tuple[str, ...]]


class _Book(msgspec.Struct):
    """A book channel's payload: 'as'/'bs' in a snapshot, 'a'/'b' in an update, 'c' the CRC."""

    asks_all: Levels | None = msgspec.field(name="as", default=None)
    bids_all: Levels | None = msgspec.field(name="bs", default=None)
    asks: Levels = msgspec.field(name="a", default=[])
    bids: Levels = msgspec.field(name="b", default=[])
    checksum: str = msgspec.field(name="c", default="")


_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_BOOK = msgspec.json.Decoder(_Book)
_TEXT = msgspec.json.Decoder(str)
_TRADES = msgspec.json.Decoder(list[tuple[str, str, str, str, str, str]])


class KrakenV1Handler(WatchOnly):
    """Kraken v1 book and trade channels of the given instruments."""

    def __init__(self, instruments: Sequence[Instrument], natives: Mapping[int, str]) -> None:
        self._ids = {natives[instrument.id]: instrument.id for instrument in instruments}
        self._natives = dict(natives)

    def open(self) -> tuple[bytes, ...]:
        """Subscribe to books of depth 1000."""
        return (self._event("subscribe", list(self._ids)),)

    def resync(self, instrument: int) -> tuple[tuple[bytes, ...], str]:
        """Leave the pair's book channel and enter it again: Kraken then sends a snapshot."""
        pair = [self._natives[instrument]]
        return (self._event("unsubscribe", pair), self._event("subscribe", pair)), ""

    @staticmethod
    def _event(event: str, pairs: list[str]) -> bytes:
        subscription = {"name": "book", "depth": 1000}
        return msgspec.json.encode({"event": event, "pair": pairs, "subscription": subscription})

    def decode(self, frame: Frame, books: Mapping[int, TrackedBook]) -> list[News]:
        """See `Handler.decode`. Event objects (status, heartbeat) say nothing of books."""
        payload = frame.payload
        if frame.kind == 1 or payload[:1] == b"{":
            return []
        try:
            parts = _ARRAY.decode(payload)
            if len(parts) < 4:
                raise Malformed(f"{len(parts)} parts in a channel's frame")
            channel, pair = _TEXT.decode(parts[-2]), _TEXT.decode(parts[-1])
            instrument = self._ids.get(pair)
            if instrument is None:
                return []
            if channel.startswith("book-"):
                changes = [_BOOK.decode(part) for part in parts[1:-2]]
                return self._book(books[instrument], int(channel[5:]), changes)
            if channel == "trade":
                return self._trades(books[instrument], instrument, parts[1])
        except UNREADABLE as error:
            raise Malformed(str(error)) from error
        return []

    def _book(self, tracked: TrackedBook, depth: int, changes: list[_Book]) -> list[News]:
        number = tracked.instrument.id
        book = tracked.book
        whole = changes[0].asks_all is not None or changes[0].bids_all is not None
        if whole:
            tracked.begin()
        elif not tracked.live:
            return []  # updates before the snapshot, or of a book that was lost
        try:
            for change in changes:
                tracked.grid.apply(book, ASK, change.asks_all or change.asks)
                tracked.grid.apply(book, BID, change.bids_all or change.bids)
        except ValueError as error:
            reason = Reason.OFF_GRID if isinstance(error, OffGrid) else Reason.MALFORMED
            tracked.lose(BookState.BROKEN, reason)
            return [LostNews(number, reason)]
        book.truncate(depth)
        checksum = changes[-1].checksum
        if checksum and int(checksum) != self.checksum(tracked):
            tracked.lose(BookState.BROKEN, Reason.CHECKSUM)
            return [LostNews(number, Reason.CHECKSUM)]
        if not tracked.settle():
            return [LostNews(number, Reason.CROSSED)]
        return [BookNews(number, bool(checksum))]

    @staticmethod
    def checksum(tracked: TrackedBook) -> int:
        """CRC-32 of the top ten levels by Kraken's rule."""
        pairs = memoryview(tracked.book.top_bytes(CHECKED_LEVELS)).cast("q").tolist()
        half = 2 * CHECKED_LEVELS
        return zlib.crc32("".join(map(str, filter(None, pairs[half:] + pairs[:half]))).encode())

    def _trades(self, tracked: TrackedBook, number: int, part: msgspec.Raw) -> list[News]:
        grid = tracked.grid
        return [
            TradeNews(
                number,
                BUY if side == "b" else SELL,
                grid.ticks(price),
                grid.lots(volume),
                f"{at}-{place}",
            )
            for place, (price, volume, at, side, _, _) in enumerate(_TRADES.decode(part))
        ]
