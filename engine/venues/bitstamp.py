"""Bitstamp: a REST snapshot, and differences stamped with the venue's time in microseconds.

A difference applies when its stamp is above the book's. Stamps do not count, so a missing difference
cannot be seen: what can be is a crossed book. So a snapshot is used only where it is not older than
the first difference that waits for it: between them others may be missing. Source: https://www.bitstamp.net/websocket/v2/
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from engine.books import TrackedBook
from engine.messages import BUY, SELL, Frame
from engine.units import step_of
from engine.venues.feed import DifferenceFeed, Link, Raw, trade
from engine.venues.handler import Endpoint, Listing, News, Refused

DIFFERENCES = "diff_order_book_"
TRADES = "live_trades_"


class _Frame(msgspec.Struct, gc=False):
    event: str = ""
    channel: str = ""
    data: Raw = Raw(b"null")


class _Book(msgspec.Struct, gc=False):
    microtimestamp: str
    bids: Raw
    asks: Raw


class _Trade(msgspec.Struct, gc=False):
    id: int
    amount_str: str
    price_str: str
    type: int


class _Market(msgspec.Struct):
    url_symbol: str
    name: str
    base_decimals: int
    counter_decimals: int


_FRAME = msgspec.json.Decoder(_Frame).decode
_BOOK = msgspec.json.Decoder(_Book).decode
_TRADE = msgspec.json.Decoder(_Trade).decode
_MARKETS = msgspec.json.Decoder(list[_Market]).decode


class BitstampHandler(DifferenceFeed):
    """Bitstamp books and trades of the given instruments."""

    verifies = "order of stamps only: the venue numbers no difference; begun anew each 5 minutes"
    numbered = False
    chained = False
    endpoint = Endpoint(
        stream="wss://ws.bitstamp.net",
        rest="https://www.bitstamp.net",
        streams_per_connection=100,
        frames_per_second=10.0,
        requests_per_second=5.0,
        ping=b'{"event":"bts:heartbeat"}',
        ping_every_s=15.0,
        silence_s=30.0,
        refresh_s=300.0,
    )
    listings = "/api/v2/trading-pairs-info/"
    snapshot_mark = "/order_book/"

    def open(self, now_ns: int) -> tuple[bytes, ...]:
        """Subscribe to differences and trades, one frame each."""
        return tuple(
            msgspec.json.encode({"event": "bts:subscribe", "data": {"channel": prefix + native}})
            for prefix in (DIFFERENCES, TRADES)
            for native in self.ids
        )

    def snapshot_path(self, native: str) -> str:
        """See `DifferenceFeed.snapshot_path`."""
        return f"/api/v2/order_book/{native}"

    @staticmethod
    def read_snapshot(payload: bytes) -> tuple[int, Raw, Raw]:
        """See `DifferenceFeed.read_snapshot`."""
        answer = _BOOK(payload)
        return int(answer.microtimestamp), answer.bids, answer.asks

    def joins(self, sequence: int, waiting: Sequence[bytes]) -> bool:
        """See `DifferenceFeed.joins`."""
        return not waiting or int(_BOOK(_FRAME(waiting[0]).data).microtimestamp) <= sequence

    def read(self, frame: Frame, books: Mapping[int, TrackedBook]) -> Sequence[News]:
        """See `Feed.read`."""
        message = _FRAME(frame.payload)
        if message.event == "bts:error":
            raise Refused(f"{bytes(message.data)[:200]!r}")
        kind, _, native = message.channel.rpartition("_")
        number = self.ids.get(native)
        if number is None:
            return []
        if message.event == "data" and kind + "_" == DIFFERENCES:
            book = _BOOK(message.data)
            stamp = int(book.microtimestamp)
            link = Link.OLD if stamp <= books[number].book.sequence else Link.FOLLOWS
            return self.difference(books[number], link, stamp, frame.payload, book.bids, book.asks)
        if message.event == "trade" and kind + "_" == TRADES:
            t = _TRADE(message.data)
            side = SELL if t.type else BUY
            return [trade(books[number], side, t.price_str, t.amount_str, str(t.id))]
        return []

    @staticmethod
    def read_listings(payload: bytes) -> Iterator[Listing]:
        """See `Feed.read_listings`."""
        for market in _MARKETS(payload):
            tick, lot = step_of(market.counter_decimals), step_of(market.base_decimals)
            yield Listing(market.url_symbol, market.name, tick, lot)
