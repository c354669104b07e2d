"""Kraken's public websocket, version 2: books of JSON numbers with a CRC-32 of the top ten.

The checksum is version 1's: asks, then bids, every digit of the pair's decimals without point and
leading zeros. Symbols are BASE/QUOTE. Source:
https://docs.kraken.com/api/docs/websocket-v2/book and /guides/spot-ws-book-v2
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from engine.books import TrackedBook
from engine.messages import Frame, Reason
from engine.venues.feed import EMPTY, Feed, Raw, lost, taker, trade
from engine.venues.handler import Check, Endpoint, Listing, LostNews, Malformed, News, Refused
from engine.venues.kraken_v1 import KrakenV1Handler
from ext import checksum
from ext.book import ASK, BID
from ext.decode import LevelNames

DEPTH = 100
LEVELS = LevelNames("price", "qty")


class _Item(msgspec.Struct):
    """A book's change, or a trade: the channel says which fields count."""

    symbol: str = ""
    bids: Raw = EMPTY
    asks: Raw = EMPTY
    checksum: int = -1
    side: str = ""
    price: Raw = EMPTY
    qty: Raw = EMPTY
    trade_id: int = 0


class _Frame(msgspec.Struct):
    channel: str = ""
    type: str = ""
    data: Raw = EMPTY
    success: bool = True
    error: str = ""


_FRAME = msgspec.json.Decoder(_Frame).decode
_ITEMS = msgspec.json.Decoder(list[_Item]).decode


class KrakenHandler(Feed):
    """Kraken v2 book and trade channels of the given instruments."""

    verifies = "CRC-32 of the ten best levels, each frame"
    endpoint = Endpoint(
        stream="wss://ws.kraken.com/v2",
        rest="https://api.kraken.com",
        names_per_frame=50,
        frames_per_second=5.0,
        ping=b'{"method":"ping"}',
        ping_every_s=20.0,
        silence_s=10.0,
    )
    listings = "/0/public/AssetPairs"

    def open(self, now_ns: int) -> tuple[bytes, ...]:
        """Subscribe to books and trades."""
        batches = self.batches(self.ids)
        return tuple(
            [_call("subscribe", "book", batch) for batch in batches]
            + [_call("subscribe", "trade", batch) for batch in batches]
        )

    def resync(self, instrument: int, now_ns: int) -> tuple[tuple[bytes, ...], str]:
        """Leave the symbol's book channel and enter it again: Kraken then sends a snapshot."""
        symbol = [self.natives[instrument]]
        return (_call("unsubscribe", "book", symbol), _call("subscribe", "book", symbol)), ""

    def read(self, frame: Frame, books: Mapping[int, TrackedBook]) -> Sequence[News]:
        """See `Feed.read`."""
        message = _FRAME(frame.payload)
        if not message.success:
            raise Refused(f"{message.error}")
        if message.channel == "book":
            if message.type not in ("snapshot", "update"):
                raise Malformed(f"type {message.type!r} of a book")
            whole = message.type == "snapshot"
            return [
                news for item in _ITEMS(message.data) for news in self._book(item, whole, books)
            ]
        if message.channel == "trade" and message.type == "update":
            return [
                trade(books[self.ids[t.symbol]], taker(t.side), t.price, t.qty, str(t.trade_id))
                for t in _ITEMS(message.data)
                if t.symbol in self.ids
            ]
        return []

    def _book(self, item: _Item, whole: bool, books: Mapping[int, TrackedBook]) -> Iterator[News]:
        number = self.ids.get(item.symbol)
        if number is None:
            return
        tracked = books[number]
        if whole:
            tracked.begin()
        elif not tracked.live:
            return  # updates before the snapshot, or of a book that was lost
        book, grid = tracked.book, tracked.grid

        def apply() -> None:
            grid.objects(book, BID, item.bids, LEVELS)
            grid.objects(book, ASK, item.asks, LEVELS)
            book.truncate(DEPTH)

        check = Check.VERIFIED if item.checksum >= 0 else Check.MISSING
        news = self.settle(tracked, 0, apply, check)
        right = item.checksum < 0 or isinstance(news, LostNews)
        if right or item.checksum == checksum.kraken(book, grid):
            yield news
        else:
            yield lost(tracked, Reason.CHECKSUM)

    @staticmethod
    def read_listings(payload: bytes) -> Iterator[Listing]:
        """See `Feed.read_listings`: REST's pairs, under the names that version 2 uses."""
        for listing in KrakenV1Handler.read_listings(payload):
            symbol = listing.native.replace("XBT/", "BTC/").replace("XDG/", "DOGE/")
            yield Listing(symbol, symbol, listing.tick_size, listing.lot_size)


def _call(method: str, channel: str, symbols: list[str]) -> bytes:
    params: dict[str, str | int | list[str]] = {"channel": channel, "symbol": symbols}
    if channel == "book":
        params["depth"] = DEPTH
    return msgspec.json.encode({"method": method, "params": params})
