"""Gate.io spot v4: a REST snapshot with an id, and updates numbered by first and last id.

The first update to apply has U <= id + 1 <= u, every later one U = u before + 1. The snapshot holds
100 levels a side: what lies beyond is known only as far as it changed since. Source:
https://www.gate.com/docs/developers/apiv4/ws/en/#changed-order-book-levels
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from engine.books import TrackedBook
from engine.messages import Frame
from engine.units import step_of
from engine.venues.feed import DifferenceFeed, Link, Raw, taker, trade
from engine.venues.handler import Endpoint, Listing, News, Refused

SECOND_NS = 1_000_000_000


class _Update(msgspec.Struct, gc=False):
    s: str
    U: int
    u: int
    b: Raw
    a: Raw


class _Trade(msgspec.Struct, gc=False):
    id: int
    side: str
    currency_pair: str
    amount: str
    price: str


class _Refusal(msgspec.Struct, gc=False):
    message: str = ""


class _Frame(msgspec.Struct, gc=False):
    channel: str = ""
    event: str = ""
    result: Raw = Raw(b"null")
    error: _Refusal | None = None


class _Snapshot(msgspec.Struct):
    id: int
    bids: Raw
    asks: Raw


class _Market(msgspec.Struct):
    id: str
    base: str
    quote: str
    precision: int
    amount_precision: int


_FRAME = msgspec.json.Decoder(_Frame).decode
_UPDATE = msgspec.json.Decoder(_Update).decode
_TRADE = msgspec.json.Decoder(_Trade).decode
_SNAPSHOT = msgspec.json.Decoder(_Snapshot).decode
_MARKETS = msgspec.json.Decoder(list[_Market]).decode


class GateHandler(DifferenceFeed):
    """Gate.io spot books and trades of the given instruments."""

    verifies = "update ids U/u without a gap; 100 levels a side at the start"
    endpoint = Endpoint(
        stream="wss://api.gateio.ws/ws/v4/",
        rest="https://api.gateio.ws",
        streams_per_connection=200,
        frames_per_second=20.0,
        requests_per_second=10.0,
        ping=b'{"channel":"spot.ping"}',
        ping_every_s=15.0,
        silence_s=30.0,
    )
    listings = "/api/v4/spot/currency_pairs"
    snapshot_mark = "order_book?currency_pair="

    def open(self, now_ns: int) -> tuple[bytes, ...]:
        """Subscribe to updates, one frame a pair, and to trades."""
        at = now_ns // SECOND_NS
        books = [_call(at, "spot.order_book_update", [native, "100ms"]) for native in self.ids]
        trades = [_call(at, "spot.trades", batch) for batch in self.batches(self.ids)]
        return tuple(books + trades)

    def snapshot_path(self, native: str) -> str:
        """See `DifferenceFeed.snapshot_path`."""
        return f"/api/v4/spot/order_book?currency_pair={native}&limit=100&with_id=true"

    @staticmethod
    def read_snapshot(payload: bytes) -> tuple[int, Raw, Raw]:
        """See `DifferenceFeed.read_snapshot`."""
        answer = _SNAPSHOT(payload)
        return answer.id, answer.bids, answer.asks

    def read(self, frame: Frame, books: Mapping[int, TrackedBook]) -> Sequence[News]:
        """See `Feed.read`."""
        message = _FRAME(frame.payload)
        if message.error is not None:
            raise Refused(f"{message.error.message}")
        if message.event != "update":
            return []
        if message.channel == "spot.order_book_update":
            update = _UPDATE(message.result)
            number = self.ids.get(update.s)
            if number is None:
                return []
            last = books[number].book.sequence
            link = Link.FOLLOWS
            if update.u <= last:
                link = Link.OLD
            elif last + 1 < update.U:
                link = Link.GAP
            return self.difference(books[number], link, update.u, frame.payload, update.b, update.a)
        if message.channel == "spot.trades":
            t = _TRADE(message.result)
            if t.currency_pair in self.ids:
                tracked = books[self.ids[t.currency_pair]]
                return [trade(tracked, taker(t.side), t.price, t.amount, str(t.id))]
        return []

    @staticmethod
    def read_listings(payload: bytes) -> Iterator[Listing]:
        """See `Feed.read_listings`. Amounts in books are finer than orders may be."""
        for market in _MARKETS(payload):
            lot = step_of(max(8, market.amount_precision))
            yield Listing(
                market.id, f"{market.base}/{market.quote}", step_of(market.precision), lot
            )


def _call(at_s: int, channel: str, payload: list[str]) -> bytes:
    return msgspec.json.encode(
        {"time": at_s, "channel": channel, "event": "subscribe", "payload": payload}
    )
