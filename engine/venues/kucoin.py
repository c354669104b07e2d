"""KuCoin spot: a REST snapshot, and level2 updates numbered by first and last sequence.

The first update to apply has sequenceStart <= snapshot's sequence + 1 <= sequenceEnd, and of its
changes only those above the snapshot's sequence; every later one starts where the one before ended.
A change at price 0 only moves the sequence. The public snapshot holds 100 levels a side: what lies
beyond is known only as far as it changed since. Source:
https://www.kucoin.com/docs-new/3470068w0
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from engine.books import TrackedBook
from engine.messages import Frame
from engine.venues.feed import DifferenceFeed, Link, Raw, taker, trade
from engine.venues.handler import Endpoint, Listing, News, Refused


class _Changes(msgspec.Struct, gc=False):
    asks: Raw
    bids: Raw


class _Update(msgspec.Struct, gc=False):
    symbol: str
    sequenceStart: int
    sequenceEnd: int
    changes: _Changes


class _Match(msgspec.Struct, gc=False):
    symbol: str
    side: str
    price: str
    size: str
    tradeId: str


class _Frame(msgspec.Struct, gc=False):
    type: str = ""
    subject: str = ""
    data: Raw = Raw(b"null")


class _Body(msgspec.Struct):
    sequence: str
    bids: Raw
    asks: Raw


class _Snapshot(msgspec.Struct):
    data: _Body


class _Market(msgspec.Struct):
    symbol: str
    baseCurrency: str
    quoteCurrency: str
    baseIncrement: str
    priceIncrement: str


class _Markets(msgspec.Struct):
    data: list[_Market]


class _Server(msgspec.Struct):
    endpoint: str


class _Token(msgspec.Struct):
    token: str
    instanceServers: list[_Server]


class _Welcome(msgspec.Struct):
    data: _Token


_FRAME = msgspec.json.Decoder(_Frame).decode
_UPDATE = msgspec.json.Decoder(_Update).decode
_MATCH = msgspec.json.Decoder(_Match).decode
_SNAPSHOT = msgspec.json.Decoder(_Snapshot).decode
_MARKETS = msgspec.json.Decoder(_Markets).decode
_WELCOME = msgspec.json.Decoder(_Welcome).decode


class KucoinHandler(DifferenceFeed):
    """KuCoin spot books and trades of the given instruments."""

    verifies = "sequences without a gap; 100 levels a side at the start"
    endpoint = Endpoint(
        stream="",
        rest="https://api.kucoin.com",
        welcome="/api/v1/bullet-public",
        streams_per_connection=300,
        names_per_frame=100,
        frames_per_second=8.0,
        requests_per_second=5.0,
        ping=b'{"id":"1","type":"ping"}',
        ping_every_s=18.0,
        silence_s=30.0,
    )
    listings = "/api/v1/symbols"
    snapshot_mark = "symbol="

    @staticmethod
    def address(welcome: bytes) -> str:
        """Where to connect, with the token that the venue gave."""
        answer = _WELCOME(welcome).data
        return f"{answer.instanceServers[0].endpoint}?token={answer.token}"

    def open(self, now_ns: int) -> tuple[bytes, ...]:
        """Subscribe to updates and trades."""
        batches = self.batches(self.ids)
        return tuple(
            msgspec.json.encode(
                {"id": number, "type": "subscribe", "topic": f"{topic}:{','.join(batch)}"}
            )
            for topic in ("/market/level2", "/market/match")
            for number, batch in enumerate(batches, 1)
        )

    def snapshot_path(self, native: str) -> str:
        """See `DifferenceFeed.snapshot_path`."""
        return f"/api/v1/market/orderbook/level2_100?symbol={native}"

    @staticmethod
    def read_snapshot(payload: bytes) -> tuple[int, Raw, Raw]:
        """See `DifferenceFeed.read_snapshot`."""
        body = _SNAPSHOT(payload).data
        return int(body.sequence), body.bids, body.asks

    def read(self, frame: Frame, books: Mapping[int, TrackedBook]) -> Sequence[News]:
        """See `Feed.read`."""
        message = _FRAME(frame.payload)
        if message.type == "error":
            raise Refused(f"{bytes(message.data)[:200]!r}")
        if message.subject == "trade.l2update":
            update = _UPDATE(message.data)
            number = self.ids.get(update.symbol)
            if number is None:
                return []
            tracked, last = books[number], books[number].book.sequence
            link = Link.FOLLOWS
            if update.sequenceEnd <= last:
                link = Link.OLD
            elif update.sequenceStart > last + 1:
                link = Link.GAP
            changes = update.changes
            return self.difference(
                tracked, link, update.sequenceEnd, frame.payload, changes.bids, changes.asks
            )
        if message.subject == "trade.l3match":
            match = _MATCH(message.data)
            if match.symbol in self.ids:
                tracked = books[self.ids[match.symbol]]
                side = taker(match.side)
                return [trade(tracked, side, match.price, match.size, match.tradeId)]
        return []

    def above(self, tracked: TrackedBook) -> int:
        """See `DifferenceFeed.above`: changes that the book has already are passed over."""
        return max(tracked.book.sequence, 0)

    @staticmethod
    def read_listings(payload: bytes) -> Iterator[Listing]:
        """See `Feed.read_listings`."""
        for market in _MARKETS(payload).data:
            symbol = f"{market.baseCurrency}/{market.quoteCurrency}"
            yield Listing(market.symbol, symbol, market.priceIncrement, market.baseIncrement)
