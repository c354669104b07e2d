"""Bybit v5, spot and linear contracts: a snapshot on the stream, and deltas numbered without a hole.

A delta's u is the one before plus 1; a snapshot may come at any time and replaces the book (u is 1
after the venue's restart). Source: https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from engine.books import TrackedBook
from engine.messages import Frame, Reason
from engine.venues.feed import Feed, Raw, lost, taker, trade
from engine.venues.handler import Endpoint, Listing, Malformed, News, OldNews, Refused

DEPTH = 200


class _Book(msgspec.Struct, gc=False):
    s: str
    b: Raw
    a: Raw
    u: int


class _Trade(msgspec.Struct, gc=False):
    s: str
    S: str
    v: str
    p: str
    i: str


class _Frame(msgspec.Struct, gc=False):
    topic: str = ""
    type: str = ""
    data: Raw = Raw(b"[]")
    success: bool = True
    ret_msg: str = ""


class _Price(msgspec.Struct):
    tickSize: str


class _Lot(msgspec.Struct):
    qtyStep: str = ""
    basePrecision: str = ""


class _Market(msgspec.Struct):
    symbol: str
    baseCoin: str
    quoteCoin: str
    priceFilter: _Price
    lotSizeFilter: _Lot
    contractType: str = ""
    settleCoin: str = ""


class _List(msgspec.Struct):
    list: list[_Market]


class _Markets(msgspec.Struct):
    result: _List


_FRAME = msgspec.json.Decoder(_Frame).decode
_BOOK = msgspec.json.Decoder(_Book).decode
_TRADES = msgspec.json.Decoder(list[_Trade]).decode
_MARKETS = msgspec.json.Decoder(_Markets).decode


class BybitHandler(Feed):
    """Bybit spot books and trades of the given instruments."""

    verifies = "update ids u without a gap"
    endpoint = Endpoint(
        stream="wss://stream.bybit.com/v5/public/spot",
        rest="https://api.bybit.com",
        streams_per_connection=200,
        names_per_frame=10,
        frames_per_second=5.0,
        ping=b'{"op":"ping"}',
        ping_every_s=20.0,
        silence_s=30.0,
    )
    listings = "/v5/market/instruments-info?category=spot"

    def open(self, now_ns: int) -> tuple[bytes, ...]:
        """Subscribe to books and trades."""
        topics = [f"orderbook.{DEPTH}.{native}" for native in self.ids]
        topics += [f"publicTrade.{native}" for native in self.ids]
        return tuple(_call("subscribe", batch) for batch in self.batches(topics))

    def resync(self, instrument: int, now_ns: int) -> tuple[tuple[bytes, ...], str]:
        """Leave the book's topic and enter it again."""
        topic = [f"orderbook.{DEPTH}.{self.natives[instrument]}"]
        return (_call("unsubscribe", topic), _call("subscribe", topic)), ""

    def read(self, frame: Frame, books: Mapping[int, TrackedBook]) -> Sequence[News]:
        """See `Feed.read`."""
        message = _FRAME(frame.payload)
        if not message.success:
            raise Refused(f"{message.ret_msg}")
        if message.topic.startswith("orderbook."):
            if message.type not in ("snapshot", "delta"):
                raise Malformed(f"type {message.type!r} of a book")
            item = _BOOK(message.data)
            number = self.ids.get(item.s)
            if number is not None:
                return self._book(books[number], item, message.type == "snapshot")
        elif message.topic.startswith("publicTrade."):
            return [
                trade(books[self.ids[t.s]], taker(t.S), t.p, t.v, t.i)
                for t in _TRADES(message.data)
                if t.s in self.ids
            ]
        return []

    def _book(self, tracked: TrackedBook, item: _Book, whole: bool) -> Sequence[News]:
        book = tracked.book
        if whole:
            tracked.begin()
        elif not tracked.live:
            return ()
        elif item.u == book.sequence:
            return (OldNews(tracked.instrument.id),)
        elif item.u != book.sequence + 1:
            return (lost(tracked, Reason.SEQUENCE_GAP),)
        return self.settle_pairs(tracked, item.u, item.b, item.a)

    @staticmethod
    def read_listings(payload: bytes) -> Iterator[Listing]:
        """See `Feed.read_listings`."""
        for market in _MARKETS(payload).result.list:
            lots = market.lotSizeFilter
            symbol = f"{market.baseCoin}/{market.quoteCoin}"
            if market.contractType:
                symbol += f":{market.settleCoin}"
                if not market.contractType.endswith("Perpetual"):
                    symbol += f"-{market.symbol.partition('-')[2]}"
            tick = market.priceFilter.tickSize
            yield Listing(market.symbol, symbol, tick, lots.qtyStep or lots.basePrecision)


class BybitLinearHandler(BybitHandler):
    """Bybit's linear contracts: the same frames from another address."""

    endpoint = BybitHandler.endpoint._replace(stream="wss://stream.bybit.com/v5/public/linear")
    listings = "/v5/market/instruments-info?category=linear&limit=1000"


def _call(op: str, topics: list[str]) -> bytes:
    return msgspec.json.encode({"op": op, "args": topics})
