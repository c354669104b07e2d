"""Binance spot: a REST snapshot, and differences numbered by their first and last update id.

Differences that come before the snapshot are kept. One applies after the snapshot when
U <= lastUpdateId + 1 <= u, every later one when its U follows the u before it; anything else is a
gap. Source: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

from collections.abc import Mapping, Sequence

import msgspec

from engine.books import TrackedBook
from engine.instruments import Instrument
from engine.messages import BUY, SELL, BookState, Frame, Reason
from engine.venues.handler import (
    UNREADABLE,
    BookNews,
    LostNews,
    Malformed,
    News,
    TradeNews,
    WatchOnly,
)
from ext.book import ASK, BID
from ext.decode import OffGrid

BUFFERED_MAX = 1000
Levels = list[tuple[str, str]]


class _Diff(msgspec.Struct):
    """The fields of a depthUpdate, aggTrade or trade that matter; others are passed over."""

    e: str = ""
    s: str = ""
    U: int = 0
    u: int = 0
    b: Levels | str | int = ""
    a: Levels | str | int = ""
    p: str = ""
    q: str = ""
    m: bool = False
    t: int = 0


class _Wrapped(msgspec.Struct):
    """A combined stream's frame."""

    data: _Diff


class _Snapshot(msgspec.Struct):
    """The answer of GET /api/v3/depth."""

    lastUpdateId: int
    bids: Levels
    asks: Levels


_DIFF = msgspec.json.Decoder(_Diff)
_WRAPPED = msgspec.json.Decoder(_Wrapped)
_SNAPSHOT = msgspec.json.Decoder(_Snapshot)


class BinanceHandler(WatchOnly):
    """Binance spot depth and trade streams of the given instruments."""

    def __init__(self, instruments: Sequence[Instrument], natives: Mapping[int, str]) -> None:
        self._ids = {natives[instrument.id]: instrument.id for instrument in instruments}
        self._natives = dict(natives)
        self._waiting: dict[int, list[_Diff]] = {number: [] for number in natives}

    def open(self) -> tuple[bytes, ...]:
        """Subscribe to differences each 100 ms and to trades."""
        names = [native.lower() for native in self._natives.values()]
        streams = [f"{name}@depth@100ms" for name in names] + [f"{name}@trade" for name in names]
        return (msgspec.json.encode({"method": "SUBSCRIBE", "params": streams, "id": 1}),)

    def resync(self, instrument: int) -> tuple[tuple[bytes, ...], str]:
        """Ask for a snapshot over HTTP; differences go on being kept."""
        self._waiting[instrument].clear()
        return (), f"/api/v3/depth?symbol={self._natives[instrument]}&limit=1000"

    def decode(self, frame: Frame, books: Mapping[int, TrackedBook]) -> list[News]:
        """See `Handler.decode`."""
        try:
            if frame.kind == 1:
                return self._answer(frame, books)
            if frame.payload.startswith(b'{"stream"'):
                diff = _WRAPPED.decode(frame.payload).data
            else:
                diff = _DIFF.decode(frame.payload)
            number = self._ids.get(diff.s)
            if number is None:
                return []
            if diff.e == "depthUpdate":
                return self._diff(books[number], diff)
            if diff.e == "trade":
                return [self._trade(books[number], diff)]
        except UNREADABLE as error:
            raise Malformed(str(error)) from error
        return []

    def _answer(self, frame: Frame, books: Mapping[int, TrackedBook]) -> list[News]:
        """The snapshot of the symbol that the request was about."""
        _, _, query = frame.about.partition("/depth?symbol=")
        number = self._ids.get(query.partition("&")[0])
        if number is None:
            return []
        answer = _SNAPSHOT.decode(frame.payload)
        tracked = books[number]
        tracked.begin()
        lost = self._apply(tracked, answer.bids, answer.asks)
        if lost is not None:
            return [lost]
        tracked.book.sequence = answer.lastUpdateId
        if not tracked.settle():
            return [LostNews(number, Reason.CROSSED)]
        news: list[News] = [BookNews(number, False)]
        for diff in self._waiting[number]:
            news.extend(self._diff(tracked, diff))
        self._waiting[number].clear()
        return news

    def _diff(self, tracked: TrackedBook, diff: _Diff) -> list[News]:
        number = tracked.instrument.id
        if not tracked.live:
            waiting = self._waiting[number]
            if len(waiting) == BUFFERED_MAX:
                waiting.pop(0)  # the snapshot will be newer, or the gap will be found
            waiting.append(diff)
            return []
        last = tracked.book.sequence
        if diff.u <= last:
            return []  # older than the snapshot
        if last + 1 < diff.U:
            tracked.lose(BookState.BROKEN, Reason.SEQUENCE_GAP)
            return [LostNews(number, Reason.SEQUENCE_GAP)]
        if not isinstance(diff.b, list) or not isinstance(diff.a, list):
            raise Malformed("a depthUpdate without levels")
        tracked.book.sequence = diff.u  # before the levels: a number too large changes nothing
        lost = self._apply(tracked, diff.b, diff.a)
        if lost is not None:
            return [lost]
        if not tracked.settle():
            return [LostNews(number, Reason.CROSSED)]
        return [BookNews(number, False)]

    @staticmethod
    def _apply(tracked: TrackedBook, bids: Levels, asks: Levels) -> LostNews | None:
        try:
            tracked.grid.apply(tracked.book, BID, bids)
            tracked.grid.apply(tracked.book, ASK, asks)
        except ValueError as error:
            reason = Reason.OFF_GRID if isinstance(error, OffGrid) else Reason.MALFORMED
            tracked.lose(BookState.BROKEN, reason)
            return LostNews(tracked.instrument.id, reason)
        return None

    def snapshot(self) -> bytes:
        """The differences that wait for a snapshot."""
        return msgspec.msgpack.encode(self._waiting)

    def restore(self, data: bytes) -> None:
        """See `Handler.restore`."""
        self._waiting = msgspec.msgpack.decode(data, type=dict[int, list[_Diff]])

    def _trade(self, tracked: TrackedBook, trade: _Diff) -> TradeNews:
        side = SELL if trade.m else BUY  # m: the buyer was the maker
        ticks, lots = tracked.grid.ticks(trade.p), tracked.grid.lots(trade.q)
        return TradeNews(tracked.instrument.id, side, ticks, lots, str(trade.t))
