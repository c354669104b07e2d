"""Binance spot and USD-M futures: a REST snapshot, and differences numbered by first and last id.

Spot: the first difference to apply has U <= lastUpdateId + 1 <= u, every later one U = u before + 1.
Futures: the first has U <= lastUpdateId <= u, every later one pu = u before. Sources:
https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from engine.books import TrackedBook
from engine.messages import BUY, SELL, Frame
from engine.venues.feed import FOLLOWS, GAP, OLD, DifferenceFeed, Link, Raw, trade
from engine.venues.handler import Endpoint, Listing, News, Refused

HEAD = 128  # an event's name stands within so many bytes
WRAPPED = b'{"s'  # a combined stream's frame begins with the stream's name


class _Diff(msgspec.Struct, gc=False):
    """A depthUpdate; its levels stay JSON."""

    e: Literal["depthUpdate"]
    s: str
    U: int
    u: int
    b: Raw
    a: Raw
    pu: int = -1


class _WrappedDiff(msgspec.Struct, gc=False):
    """A combined stream's frame."""

    data: _Diff


class _Event(msgspec.Struct, gc=False):
    """Any other event, and the answer to a subscription."""

    e: str = ""
    s: str = ""
    p: str = ""
    q: str = ""
    m: bool = False
    t: int = 0
    a: int | str = 0
    code: int = 0
    msg: str = ""
    error: dict[str, int | str] = {}


class _WrappedEvent(msgspec.Struct, gc=False):
    data: _Event


class _Snapshot(msgspec.Struct):
    """The answer of GET /depth."""

    lastUpdateId: int
    bids: Raw
    asks: Raw


class _Filter(msgspec.Struct):
    filterType: str
    tickSize: str = ""
    stepSize: str = ""


class _Market(msgspec.Struct):
    symbol: str
    baseAsset: str
    quoteAsset: str
    filters: list[_Filter]
    contractType: str = ""
    marginAsset: str = ""


class _Markets(msgspec.Struct):
    symbols: list[_Market]


_DIFF = msgspec.json.Decoder(_Diff).decode
_WRAPPED_DIFF = msgspec.json.Decoder(_WrappedDiff).decode
_EVENT = msgspec.json.Decoder(_Event).decode
_WRAPPED_EVENT = msgspec.json.Decoder(_WrappedEvent).decode
_SNAPSHOT = msgspec.json.Decoder(_Snapshot).decode
_MARKETS = msgspec.json.Decoder(_Markets).decode


class BinanceHandler(DifferenceFeed):
    """Binance spot depth and trade streams of the given instruments."""

    verifies = "update ids U/u without a gap"
    endpoint = Endpoint(
        stream="wss://stream.binance.com:9443/stream",
        rest="https://api.binance.com",
        streams_per_connection=500,
        names_per_frame=200,
        frames_per_second=4.0,
        requests_per_second=1.5,  # a snapshot weighs 50 of 6,000 a minute
        silence_s=30.0,
    )
    listings = "/api/v3/exchangeInfo"
    snapshot_mark = "/depth?symbol="
    path = "/api/v3"
    trades = "trade"

    def open(self, now_ns: int) -> tuple[bytes, ...]:
        """Subscribe to differences each 100 ms and to trades."""
        names = [native.lower() for native in self.ids]
        streams = [f"{name}@depth@100ms" for name in names]
        streams += [f"{name}@{self.trades}" for name in names]
        return tuple(
            msgspec.json.encode({"method": "SUBSCRIBE", "params": batch, "id": number})
            for number, batch in enumerate(self.batches(streams), 1)
        )

    def snapshot_path(self, native: str) -> str:
        """See `DifferenceFeed.snapshot_path`."""
        return f"{self.path}/depth?symbol={native}&limit=1000"

    @staticmethod
    def read_snapshot(payload: bytes) -> tuple[int, Raw, Raw]:
        """See `DifferenceFeed.read_snapshot`."""
        answer = _SNAPSHOT(payload)
        return answer.lastUpdateId, answer.bids, answer.asks

    def read(self, frame: Frame, books: Mapping[int, TrackedBook]) -> Sequence[News]:
        """See `Feed.read`."""
        payload = frame.payload
        if payload.find(b'"depthUpdate"', 0, HEAD) >= 0:
            diff = _WRAPPED_DIFF(payload).data if payload.startswith(WRAPPED) else _DIFF(payload)
            number = self.ids.get(diff.s)
            if number is None:
                return ()
            tracked = books[number]
            last = tracked.book.sequence
            before = diff.U - 1 if diff.pu < 0 else diff.pu  # spot has no pu
            if before == last < diff.u and tracked.live and not self._kept.fresh:
                return self.settle_pairs(tracked, diff.u, diff.b, diff.a)  # nearly all go this way
            link = self.link(diff, last, number)
            return self.difference(tracked, link, diff.u, payload, diff.b, diff.a)
        event = _WRAPPED_EVENT(payload).data if payload.startswith(WRAPPED) else _EVENT(payload)
        if event.code or event.error:
            raise Refused(f"{event.msg or event.error}")
        number = self.ids.get(event.s)
        if number is None or event.e not in ("trade", "aggTrade"):
            return []
        side = SELL if event.m else BUY  # m: the buyer was the maker
        return [trade(books[number], side, event.p, event.q, str(event.t or event.a))]

    def link(self, diff: _Diff, last: int, number: int) -> Link:
        """Where a difference belongs, by the ids of spot."""
        if diff.u <= last:
            return OLD
        return GAP if last + 1 < diff.U else FOLLOWS

    @staticmethod
    def read_listings(payload: bytes) -> Iterator[Listing]:
        """See `Feed.read_listings`."""
        for market in _MARKETS(payload).symbols:
            tick = next((f.tickSize for f in market.filters if f.tickSize), "")
            lot = next((f.stepSize for f in market.filters if f.filterType == "LOT_SIZE"), "")
            if not tick or not lot:
                continue
            symbol = f"{market.baseAsset}/{market.quoteAsset}"
            if market.contractType:
                symbol += f":{market.marginAsset or market.quoteAsset}"
                if market.contractType != "PERPETUAL":
                    symbol += f"-{market.symbol.partition('_')[2]}"
            yield Listing(market.symbol, symbol, tick, lot)


class BinanceFuturesHandler(BinanceHandler):
    """Binance USD-M futures: the same frames, joined by pu."""

    verifies = "update ids pu/u without a gap"
    endpoint = Endpoint(
        stream="wss://fstream.binance.com/stream",
        rest="https://fapi.binance.com",
        streams_per_connection=200,
        names_per_frame=100,
        frames_per_second=8.0,
        requests_per_second=1.0,  # a snapshot weighs 20 of 2,400 a minute
        silence_s=30.0,
    )
    listings = "/fapi/v1/exchangeInfo"
    path = "/fapi/v1"
    trades = "aggTrade"

    def link(self, diff: _Diff, last: int, number: int) -> Link:
        """Where a difference belongs, by the ids of futures."""
        if diff.pu == last < diff.u:
            return FOLLOWS
        if self.fresh(number) and diff.U <= last <= diff.u:
            return FOLLOWS
        return OLD if diff.u <= last else GAP
