"""Any exchange that ccxt knows: the frames that engine/edges/ccxt_feed.py makes of ccxt.pro's books.

A frame is a whole book, some trades, or word that a book's content is too old. What the exchange
itself sent is not seen here, so neither a lost nor a wrong update can be found: a book is held to be
right while it is whole, uncrossed and changing, and is begun anew each `refresh_s` anyway. Nothing
here imports ccxt; a recording is played without it.
"""

from collections.abc import Mapping, Sequence

import msgspec

from engine.books import TrackedBook
from engine.instruments import Instrument
from engine.messages import BookState, Frame, Reason
from engine.venues.feed import EMPTY, Feed, Raw, lost, taker, trade
from engine.venues.handler import Endpoint, LostNews, Malformed, News, OldNews

TRADES_KNOWN = 1000  # as many as ccxt.pro gives again after a reconnect


class _Trade(msgspec.Struct, gc=False):
    id: str
    side: str
    price: str
    amount: str


class _Frame(msgspec.Struct, gc=False):
    t: str
    symbol: str
    bids: Raw = EMPTY
    asks: Raw = EMPTY
    trades: list[_Trade] = []


_FRAME = msgspec.json.Decoder(_Frame).decode
_KNOWN = msgspec.msgpack.Decoder(dict[int, dict[str, None]]).decode


class CcxtHandler(Feed):
    """Books and trades of the given instruments as ccxt.pro has them."""

    chained = False
    verifies = (
        "nothing: ccxt.pro's own book, no checksum or sequence seen; content age watched; slower"
    )
    endpoint = Endpoint("", "", streams_per_connection=40, refresh_s=300.0)

    def __init__(self, instruments: Sequence[Instrument], natives: Mapping[int, str]) -> None:
        super().__init__(instruments, natives)
        self._known: dict[int, dict[str, None]] = {number: {} for number in self.natives}

    def open(self, now_ns: int) -> tuple[bytes, ...]:
        """Nothing to send: ccxt.pro subscribes by itself."""
        return ()

    def resync(self, instrument: int, now_ns: int) -> tuple[tuple[bytes, ...], str]:
        """Ask the feed to drop what ccxt.pro holds and to watch anew."""
        return (msgspec.json.encode({"watch": self.natives[instrument]}),), ""

    def read(self, frame: Frame, books: Mapping[int, TrackedBook]) -> Sequence[News]:
        """See `Feed.read`."""
        item = _FRAME(frame.payload)
        number = self.ids.get(item.symbol)
        if number is None:
            return []
        tracked = books[number]
        if item.t == "book":
            return self._book(tracked, item)
        if item.t == "trades":
            return self._trades(tracked, item.trades)
        if item.t != "stale":
            raise Malformed(f"a frame of type {item.t!r}")
        if not tracked.live:
            return []
        tracked.lose(BookState.STALE, Reason.STALE_MARKET)
        return [LostNews(number, Reason.STALE_MARKET)]

    def _book(self, tracked: TrackedBook, item: _Frame) -> Sequence[News]:
        """A whole book takes the place of the one before; one without both sides is none."""
        if EMPTY in (item.bids, item.asks):
            return (lost(tracked, Reason.NO_MARKET),)
        tracked.begin()
        return self.settle_pairs(tracked, 0, item.bids, item.asks)

    def _trades(self, tracked: TrackedBook, trades: list[_Trade]) -> Sequence[News]:
        number, news = tracked.instrument.id, list[News]()
        known = self._known[number]
        for item in trades:
            if item.id in known:
                news.append(OldNews(number))
                continue
            news.append(trade(tracked, taker(item.side), item.price, item.amount, item.id))
            if len(known) == TRADES_KNOWN:
                del known[next(iter(known))]
            known[item.id] = None
        return news

    def snapshot(self) -> bytes:
        """The trades that were here."""
        return msgspec.msgpack.encode(self._known)

    def restore(self, data: bytes) -> None:
        """See `Handler.restore`."""
        self._known = _KNOWN(data)
