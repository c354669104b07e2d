"""OKX v5: book snapshots and updates chained by seqId, with a CRC-32 where the venue still sends one.

An update follows when its prevSeqId is the seqId before it. The checksum, where it is there and not
zero, covers the 25 best levels of both sides in turn; a frame without one is counted as unchecked.
The tick-by-tick channels (books-l2-tbt) ask for a login and are not used. Source:
https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from engine.books import TrackedBook
from engine.messages import Frame, Reason
from engine.venues.feed import Feed, Raw, lost, taker, trade
from engine.venues.handler import Check, Endpoint, Listing, Malformed, News, OldNews, Refused
from ext import checksum

UNCHAINED = -2  # captures of 2022 have no seqId yet


class _Book(msgspec.Struct, gc=False):
    asks: Raw
    bids: Raw
    checksum: int = 0
    seqId: int = UNCHAINED
    prevSeqId: int = UNCHAINED


class _Trade(msgspec.Struct, gc=False):
    tradeId: str
    px: str
    sz: str
    side: str


class _About(msgspec.Struct, gc=False, frozen=True):
    channel: str = ""
    instId: str = ""


class _Frame(msgspec.Struct, gc=False):
    arg: _About = _About()
    action: str = ""
    data: Raw = Raw(b"[]")
    event: str = ""
    msg: str = ""


class _Market(msgspec.Struct):
    instId: str
    instType: str
    tickSz: str
    lotSz: str
    baseCcy: str = ""
    quoteCcy: str = ""
    settleCcy: str = ""
    uly: str = ""


class _Markets(msgspec.Struct):
    data: list[_Market]


_FRAME = msgspec.json.Decoder(_Frame).decode
_BOOKS = msgspec.json.Decoder(list[_Book]).decode
_TRADES = msgspec.json.Decoder(list[_Trade]).decode
_MARKETS = msgspec.json.Decoder(_Markets).decode


class OkxHandler(Feed):
    """OKX books and trades of the given instruments."""

    verifies = "seqId chain; CRC-32 of the 25 best levels where the venue sends one"
    endpoint = Endpoint(
        stream="wss://ws.okx.com:8443/ws/v5/public",
        rest="https://www.okx.com",
        streams_per_connection=200,
        names_per_frame=50,
        frames_per_second=2.0,
        requests_per_second=5.0,
        ping=b"ping",
        ping_every_s=20.0,
        silence_s=30.0,
    )

    listings = "/api/v5/public/instruments?instType="

    def listings_path(self, instrument: int) -> str:
        """See `Handler.listings_path`: each kind of market has a listing of its own."""
        return self.listings + _kind(self.natives[instrument])

    def open(self, now_ns: int) -> tuple[bytes, ...]:
        """Subscribe to books of 400 levels and to trades."""
        batches = self.batches(self.ids)
        return tuple(
            _call("subscribe", channel, batch)
            for channel in ("books", "trades")
            for batch in batches
        )

    def resync(self, instrument: int, now_ns: int) -> tuple[tuple[bytes, ...], str]:
        """Leave the book's channel and enter it again."""
        native = [self.natives[instrument]]
        return (_call("unsubscribe", "books", native), _call("subscribe", "books", native)), ""

    def read(self, frame: Frame, books: Mapping[int, TrackedBook]) -> Sequence[News]:
        """See `Feed.read`."""
        if frame.payload == b"pong":
            return []
        message = _FRAME(frame.payload)
        if message.event == "error":
            raise Refused(f"{message.msg}")
        number = self.ids.get(message.arg.instId)
        if number is None or message.event:
            return []
        if message.arg.channel == "books":
            if message.action not in ("snapshot", "update"):
                raise Malformed(f"action {message.action!r} of a book")
            whole = message.action == "snapshot"
            items = _BOOKS(message.data)
            return [news for item in items for news in self._book(books[number], item, whole)]
        if message.arg.channel == "trades":
            return [
                trade(books[number], taker(t.side), t.px, t.sz, t.tradeId)
                for t in _TRADES(message.data)
            ]
        return []

    def _book(self, tracked: TrackedBook, item: _Book, whole: bool) -> Sequence[News]:
        number = tracked.instrument.id
        if whole:
            tracked.begin()
        elif not tracked.live:
            return ()
        elif item.seqId != UNCHAINED and item.prevSeqId != tracked.book.sequence:
            if item.seqId == tracked.book.sequence:
                return (OldNews(number),)
            return (lost(tracked, Reason.SEQUENCE_GAP),)
        check = Check.VERIFIED if item.checksum else Check.MISSING
        news = self.settle_pairs(tracked, item.seqId, item.bids, item.asks, check)
        if item.checksum == 0 or not tracked.live:
            return news
        if item.checksum == checksum.okx(tracked.book, tracked.grid):
            return news
        return (lost(tracked, Reason.CHECKSUM),)

    @staticmethod
    def read_listings(payload: bytes) -> Iterator[Listing]:
        """See `Feed.read_listings`. A lot of a contract is counted in contracts."""
        for market in _MARKETS(payload).data:
            symbol = f"{market.baseCcy}/{market.quoteCcy}"
            if market.instType != "SPOT":
                expiry = market.instId.split("-", 2)[-1] if market.instType != "SWAP" else ""
                symbol = f"{market.uly.replace('-', '/')}:{market.settleCcy}"
                symbol += f"-{expiry}" if expiry else ""
            yield Listing(market.instId, symbol, market.tickSz, market.lotSz)


def _kind(native: str) -> str:
    """The market type that a name belongs to: BTC-USDT, BTC-USD-SWAP, BTC-USD-220527."""
    if native.endswith("-SWAP"):
        return "SWAP"
    return "FUTURES" if native.count("-") == 2 else "SPOT"


def _call(op: str, channel: str, natives: list[str]) -> bytes:
    args = [{"channel": channel, "instId": native} for native in natives]
    return msgspec.json.encode({"op": op, "args": args})
