"""Coinbase Exchange's level2_batch channel: a snapshot on the stream, then changes without numbers.

Nothing in the frames tells that one is missing: the venue promises their delivery, and what can be
seen is a crossed book. Advanced Trade (engine/venues/coinbase.py) numbers its frames. Source:
https://docs.cdp.coinbase.com/exchange/websocket-feed/channels#level2-batch-channel
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from engine.books import TrackedBook
from engine.messages import Frame
from engine.venues.feed import EMPTY, Feed, Raw, taker, trade
from engine.venues.handler import Check, Endpoint, Listing, News, Refused


class _Frame(msgspec.Struct, gc=False):
    type: str = ""
    product_id: str = ""
    changes: Raw = EMPTY
    bids: Raw = EMPTY
    asks: Raw = EMPTY
    side: str = ""
    price: str = ""
    size: str = ""
    trade_id: int = 0
    message: str = ""
    reason: str = ""


class _Market(msgspec.Struct):
    id: str
    base_increment: str
    quote_increment: str


_FRAME = msgspec.json.Decoder(_Frame).decode
_MARKETS = msgspec.json.Decoder(list[_Market]).decode


class CoinbaseExchangeHandler(Feed):
    """Coinbase Exchange books and trades of the given instruments."""

    verifies = "nothing but crossing: the venue numbers no change; begun anew each 5 minutes"
    chained = False
    endpoint = Endpoint(
        stream="wss://ws-feed.exchange.coinbase.com",
        rest="https://api.exchange.coinbase.com",
        streams_per_connection=50,
        names_per_frame=50,
        frames_per_second=8.0,
        silence_s=5.0,
        refresh_s=300.0,
    )
    listings = "/products"

    def open(self, now_ns: int) -> tuple[bytes, ...]:
        """Subscribe to heartbeats, books and trades."""
        channels = ["heartbeat", "level2_batch", "matches"]
        return tuple(_call("subscribe", channels, batch) for batch in self.batches(self.ids))

    def resync(self, instrument: int, now_ns: int) -> tuple[tuple[bytes, ...], str]:
        """Leave the product's level2 channel and enter it again."""
        native, channel = [self.natives[instrument]], ["level2_batch"]
        return (_call("unsubscribe", channel, native), _call("subscribe", channel, native)), ""

    def read(self, frame: Frame, books: Mapping[int, TrackedBook]) -> Sequence[News]:
        """See `Feed.read`."""
        message = _FRAME(frame.payload)
        if message.type == "error":
            raise Refused(f"{message.message} {message.reason}")
        number = self.ids.get(message.product_id)
        if number is None:
            return []
        tracked = books[number]
        grid, book = tracked.grid, tracked.book
        if message.type == "l2update":
            if not tracked.live:
                return []
            return [self.settle(tracked, 0, lambda: grid.sided(book, message.changes), Check.NONE)]
        if message.type == "snapshot":
            tracked.begin()
            return self.settle_pairs(tracked, 0, message.bids, message.asks)
        if message.type == "match":  # the side is the maker's
            side = -taker(message.side)
            return [trade(tracked, side, message.price, message.size, str(message.trade_id))]
        return []

    @staticmethod
    def read_listings(payload: bytes) -> Iterator[Listing]:
        """See `Feed.read_listings`."""
        for market in _MARKETS(payload):
            symbol = market.id.replace("-", "/")
            yield Listing(market.id, symbol, market.quote_increment, market.base_increment)


def _call(kind: str, channels: list[str], natives: list[str]) -> bytes:
    return msgspec.json.encode({"type": kind, "product_ids": natives, "channels": channels})
