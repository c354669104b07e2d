"""Coinbase: Advanced Trade's level2 channel, whole books, every frame of a connection numbered.

sequence_num counts all frames of a connection, whatever their channel: a hole may have held any
book's change, so all books are given up. Source:
https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from engine.books import TrackedBook
from engine.instruments import Instrument
from engine.messages import Frame, Reason
from engine.venues.feed import EMPTY, Feed, Raw, lost, taker, trade
from engine.venues.handler import Check, Endpoint, Listing, News, OldNews, Refused
from ext.decode import LevelNames

LEVELS = LevelNames("price_level", "new_quantity", "side")
NONE_YET = -1


class _Trade(msgspec.Struct, gc=False):
    product_id: str
    trade_id: str
    price: str
    size: str
    side: str


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    product_id: str = ""
    updates: Raw = EMPTY
    trades: list[_Trade] = []


class _Frame(msgspec.Struct, gc=False):
    channel: str = ""
    sequence_num: int = NONE_YET
    events: list[_Event] = []
    type: str = ""
    message: str = ""


class _Market(msgspec.Struct):
    product_id: str
    base_increment: str
    quote_increment: str
    price_increment: str = ""


class _Markets(msgspec.Struct):
    products: list[_Market]


_FRAME = msgspec.json.Decoder(_Frame).decode
_MARKETS = msgspec.json.Decoder(_Markets).decode


class CoinbaseHandler(Feed):
    """Coinbase Advanced Trade books and trades of the given instruments."""

    verifies = "sequence_num of every frame of the connection"
    endpoint = Endpoint(
        stream="wss://advanced-trade-ws.coinbase.com",
        rest="https://api.coinbase.com",
        streams_per_connection=50,
        names_per_frame=50,
        frames_per_second=8.0,
        silence_s=5.0,
    )
    listings = "/api/v3/brokerage/market/products"

    def __init__(self, instruments: Sequence[Instrument], natives: Mapping[int, str]) -> None:
        super().__init__(instruments, natives)
        self._last = NONE_YET

    def open(self, now_ns: int) -> tuple[bytes, ...]:
        """Subscribe to heartbeats, books and trades."""
        return tuple(
            _call("subscribe", channel, batch)
            for channel in ("heartbeats", "level2", "market_trades")
            for batch in self.batches(self.ids)
        )

    def close(self) -> None:
        """See `Handler.close`: a connection counts from the start."""
        self._last = NONE_YET

    def resync(self, instrument: int, now_ns: int) -> tuple[tuple[bytes, ...], str]:
        """Leave the product's level2 channel and enter it again."""
        native = [self.natives[instrument]]
        return (_call("unsubscribe", "level2", native), _call("subscribe", "level2", native)), ""

    def read(self, frame: Frame, books: Mapping[int, TrackedBook]) -> Sequence[News]:
        """See `Feed.read`."""
        message = _FRAME(frame.payload)
        if message.type == "error":
            raise Refused(f"{message.message}")
        number = message.sequence_num
        if number == NONE_YET:
            return []
        before, self._last = self._last, number  # also back: had it been wrong, all would be old
        if number == before:
            return [OldNews(first) for first in list(self.natives)[:1]]
        news: list[News] = []
        if before != NONE_YET and number != before + 1:
            news += [
                lost(books[each], Reason.SEQUENCE_GAP) for each in self.natives if books[each].live
            ]
        if message.channel == "l2_data":
            for event in message.events:
                if event.product_id in self.ids:
                    news += self._book(books[self.ids[event.product_id]], event)
        elif message.channel == "market_trades":
            news += [
                trade(books[self.ids[t.product_id]], taker(t.side), t.price, t.size, t.trade_id)
                for event in message.events
                if event.type == "update"
                for t in event.trades
                if t.product_id in self.ids
            ]
        return news

    def _book(self, tracked: TrackedBook, event: _Event) -> Iterator[News]:
        if event.type not in ("snapshot", "update"):
            yield lost(tracked, Reason.MALFORMED)
            return
        if event.type == "snapshot":
            tracked.begin()
        elif not tracked.live:
            return
        yield self.settle(
            tracked,
            self._last,
            lambda: tracked.grid.objects(tracked.book, 0, event.updates, LEVELS),
            Check.NONE,
        )

    @staticmethod
    def read_listings(payload: bytes) -> Iterator[Listing]:
        """See `Feed.read_listings`."""
        for market in _MARKETS(payload).products:
            symbol = market.product_id.replace("-", "/")
            tick = market.price_increment or market.quote_increment
            yield Listing(market.product_id, symbol, tick, market.base_increment)

    def snapshot(self) -> bytes:
        """The number of the connection's last frame."""
        return msgspec.msgpack.encode(self._last)

    def restore(self, data: bytes) -> None:
        """See `Handler.restore`."""
        self._last = msgspec.msgpack.decode(data, type=int)


def _call(kind: str, channel: str, natives: list[str]) -> bytes:
    return msgspec.json.encode({"type": kind, "product_ids": natives, "channel": channel})
