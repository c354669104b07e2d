"""Bitfinex v2: numbered channels, JSON numbers, a count of all frames and a checksum frame.

The flags asked for at the start (SEQ_ALL and OB_CHECKSUM) make every array end in a number that
counts the connection's frames, and let a checksum frame follow each book's changes: the signed
CRC-32 of the 25 best levels of both sides in turn. A hole may have held any book's change, so all
books are given up. Sources: https://docs.bitfinex.com/reference/ws-public-books and
https://docs.bitfinex.com/docs/ws-websocket-checksum
"""

from collections.abc import Mapping, Sequence

import msgspec

from engine.books import TrackedBook
from engine.instruments import Instrument
from engine.messages import BUY, SELL, Frame, Reason
from engine.venues.feed import Feed, Raw, lost, parts_of, trade
from engine.venues.handler import BookNews, Check, Endpoint, Malformed, News, OldNews, Refused
from ext import checksum

SEQ_ALL = 65536
OB_CHECKSUM = 131072
NONE_YET = -1
STRAYS_MAX = 100


class _Event(msgspec.Struct, gc=False):
    event: str = ""
    channel: str = ""
    chanId: int = 0
    symbol: str = ""
    msg: str = ""


class Kept(msgspec.Struct):
    """What is known of the connection: its channels and the number of its last frame.

    `strays` are channels that frames came on and no confirmation named: it may have been lost, and
    the venue lets nobody enter a channel twice.
    """

    books: dict[int, int]
    trades: dict[int, int]
    last: int
    strays: set[int] = set()


_EVENT = msgspec.json.Decoder(_Event).decode
_INT = msgspec.json.Decoder(int).decode
_TRADE = msgspec.json.Decoder(tuple[int, int, Raw, Raw]).decode


class BitfinexHandler(Feed):
    """Bitfinex books and trades of the given instruments."""

    verifies = "count of every frame; CRC-32 of the 25 best levels in checksum frames"
    endpoint = Endpoint(
        stream="wss://api-pub.bitfinex.com/ws/2",
        rest="https://api-pub.bitfinex.com",
        streams_per_connection=25,
        frames_per_second=5.0,
        ping=b'{"event":"ping"}',
        ping_every_s=15.0,
        silence_s=30.0,
    )

    def __init__(self, instruments: Sequence[Instrument], natives: Mapping[int, str]) -> None:
        super().__init__(instruments, natives)
        self._kept = Kept({}, {}, NONE_YET)

    def open(self, now_ns: int) -> tuple[bytes, ...]:
        """Ask for counts and checksums, then for books and trades, one frame each."""
        flags = msgspec.json.encode({"event": "conf", "flags": SEQ_ALL | OB_CHECKSUM})
        books = [_book(native) for native in self.ids]
        trades = [
            msgspec.json.encode({"event": "subscribe", "channel": "trades", "symbol": native})
            for native in self.ids
        ]
        return (flags, *books, *trades)

    def close(self) -> None:
        """See `Handler.close`: channels and counts are the connection's."""
        self._kept = Kept({}, {}, NONE_YET)

    def resync(self, instrument: int, now_ns: int) -> tuple[tuple[bytes, ...], str]:
        """Leave the book's channel, and those nobody knows, and enter it again."""
        known = [channel for channel, number in self._kept.books.items() if number == instrument]
        leave = tuple(
            msgspec.json.encode({"event": "unsubscribe", "chanId": channel})
            for channel in (*known, *sorted(self._kept.strays))
        )
        self._kept.strays.clear()
        self._kept.books = {c: n for c, n in self._kept.books.items() if n != instrument}
        return (*leave, _book(self.natives[instrument])), ""

    def read(self, frame: Frame, books: Mapping[int, TrackedBook]) -> Sequence[News]:
        """See `Feed.read`."""
        if frame.payload[:1] == b"{":
            return self._event(_EVENT(frame.payload))
        parts = parts_of(frame.payload)
        if len(parts) < 3:
            raise Malformed(f"{len(parts)} parts in a channel's frame: no count of frames")
        news = list(self._counted(_INT(parts[-1]), books))
        if news:
            return news  # a frame whose count is wrong is not to be trusted with a book
        channel = _INT(parts[0])
        number = self._kept.books.get(channel)
        if number is not None:
            return self._book(books[number], parts[1:-1])
        number = self._kept.trades.get(channel)
        if number is None and len(self._kept.strays) < STRAYS_MAX:
            self._kept.strays.add(channel)
        if number is not None and parts[1] == Raw(b'"te"'):
            trade_id, _, amount, price = _TRADE(parts[2])
            size = bytes(amount).decode("ascii")
            side = SELL if size.startswith("-") else BUY
            news.append(trade(books[number], side, price, size.lstrip("-"), str(trade_id)))
        return news

    def _event(self, event: _Event) -> Sequence[News]:
        if event.event == "error":
            raise Refused(f"{event.msg}")
        if event.event == "unsubscribed":
            self._kept.strays.discard(event.chanId)
        number = self.ids.get(event.symbol)
        if event.event == "subscribed" and number is not None:
            channels = {"book": self._kept.books, "trades": self._kept.trades}.get(event.channel)
            if channels is not None:
                channels[event.chanId] = number
        return []

    def _counted(self, count: int, books: Mapping[int, TrackedBook]) -> Sequence[News]:
        """All live books are lost where the count does not go on.

        Also where it goes back: had the one before been wrong, all that follow would be old.
        """
        before, self._kept.last = self._kept.last, count
        if before == NONE_YET or count == before + 1:
            return []
        if count == before:
            return [OldNews(first) for first in list(self.natives)[:1]]
        return [lost(books[n], Reason.SEQUENCE_GAP) for n in self.natives if books[n].live]

    def _book(self, tracked: TrackedBook, parts: Sequence[Raw]) -> Sequence[News]:
        head = bytes(parts[0])
        if head == b'"hb"':
            return []
        if head == b'"cs"':
            if not tracked.live:
                return []
            if _INT(parts[1]) != checksum.bitfinex(tracked.book, tracked.grid):
                return [lost(tracked, Reason.CHECKSUM)]
            return [BookNews(tracked.instrument.id, Check.VERIFIED)]
        if head[:2] == b"[[" or head == b"[]":
            tracked.begin()
        elif not tracked.live:
            return []
        return [
            self.settle(
                tracked,
                self._kept.last,
                lambda: tracked.grid.signed(tracked.book, head),
                Check.NONE,
            )
        ]

    def snapshot(self) -> bytes:
        """The connection's channels and count."""
        return msgspec.msgpack.encode(self._kept)

    def restore(self, data: bytes) -> None:
        """See `Handler.restore`."""
        self._kept = msgspec.msgpack.decode(data, type=Kept)


def _book(native: str) -> bytes:
    call = {"event": "subscribe", "channel": "book", "symbol": native, "prec": "P0", "len": "250"}
    return msgspec.json.encode({**call, "freq": "F0"})
