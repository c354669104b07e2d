"""A recorded market as a tape of facts: its best prices, takers, changes further off and depth.

Frames of Binance go through the handler that trades: it checks that none is missing, keeps the book
and reads the trades. Only bookTicker, which no handler needs, is read here.
"""

import os
from pathlib import Path

import msgspec
import numpy as np

from engine.analytics.market_facts import Takers, Tape, Tops
from engine.analytics.order_events import deeper_of
from engine.analytics.simulated_market import depth_of
from engine.books import TrackedBook
from engine.config import instruments_of, parse
from engine.edges.capture import CapturedFrame, CaptureError, read_capture
from engine.edges.replaying import capture_config
from engine.instruments import Instrument
from engine.messages import BUY, SELL, Frame
from engine.venues.binance import BinanceHandler
from engine.venues.handler import BookNews, TradeNews

SAMPLE_S = 1.0  # between samples of the depth
ONE_TAKER_S = 0.0005  # fills of one order are told closer together than this
ROOT = Path(__file__).resolve().parents[3]


class BookTicker(msgspec.Struct):
    """The best prices and their sizes, with the number of the update that made them so."""

    u: int
    b: str
    B: str
    a: str
    A: str


class _Wrapped(msgspec.Struct):
    data: BookTicker


_TICKER = msgspec.json.Decoder(_Wrapped)


def data_folder() -> Path:
    """Where recorded markets are: ORCHESTRATOR_DATA, else ../shared/data beside the clone."""
    return Path(os.environ.get("ORCHESTRATOR_DATA", ROOT / ".." / "shared" / "data")).resolve()


class BinanceTape:
    """Collects the tape of one market from its frames."""

    def __init__(self, instrument: Instrument, native: str) -> None:
        self._tracked = TrackedBook(instrument)
        self._handler = BinanceHandler([instrument], {instrument.id: native})
        self._tops: list[tuple[float, float, float, float, float]] = []
        self._updates: list[int] = []
        self._fills: list[tuple[float, int, float]] = []
        self._reached: list[tuple[float, int, float]] = []  # when, the update, the bids' share
        self._depth: list[list[float]] = []
        self._sample_s = 0.0

    def take(self, frame: CapturedFrame, begin_ns: int) -> None:
        """One frame, in order of time."""
        at_s = (frame.at_ns - begin_ns) / 1e9
        if b"@bookTicker" in frame.payload[:40]:
            told = _TICKER.decode(frame.payload).data
            self._tops.append((at_s, float(told.b), float(told.B), float(told.a), float(told.A)))
            self._updates.append(told.u)
            return
        message = Frame(0, 0, frame.at_ns, 0, 0, frame.kind, frame.payload, frame.about)
        for news in self._handler.decode(message, {self._tracked.number: self._tracked}):
            if isinstance(news, TradeNews):
                instrument = self._tracked.instrument
                money = news.ticks * instrument.tick * news.lots * instrument.lot
                self._fills.append((at_s, news.side, money))
            elif isinstance(news, BookNews) and self._tracked.live:
                share = frame.payload.find(b'"a":[') / len(frame.payload)
                self._reached.append((at_s, self._tracked.book.sequence, share))
                if at_s >= self._sample_s:
                    self._sample_s = at_s + SAMPLE_S
                    self._depth.append(depth_within(self._tracked))

    def tape(self) -> Tape:
        """What was collected; raises CaptureError where it is no book, top and trades."""
        if min(len(self._tops), len(self._fills), len(self._reached)) < 2:
            raise CaptureError("no whole market: depth, trades and bookTicker are needed")
        tops = Tops(*(np.array(each) for each in zip(*self._tops, strict=True)))
        times, sides = self._deeper()
        return Tape(
            self._tracked.instrument.tick,
            tops,
            takers_of(self._fills),
            deeper_of(times, sides),
            np.array(self._depth),
        )

    def _deeper(self) -> tuple[np.ndarray, np.ndarray]:
        """Updates that no bookTicker told, spread evenly over the time that a frame sums up."""
        told = np.array(self._updates)
        times: list[float] = []
        sides: list[bool] = []
        for before, after in zip(self._reached, self._reached[1:], strict=False):
            known = np.searchsorted(told, [before[1], after[1]], side="right")
            count = int(after[1] - before[1] - (known[1] - known[0]))
            places = (np.arange(count) + 0.5) / max(count, 1)
            times += (before[0] + (after[0] - before[0]) * places).tolist()
            # The sides take turns by their share of the frame's bytes.
            sides += (
                np.floor(np.arange(count) * after[2]) == np.floor((np.arange(count) + 1) * after[2])
            ).tolist()
        return np.array(times), np.array(sides, dtype=np.float64)


def depth_within(tracked: TrackedBook) -> list[float]:
    """Money within each distance of the middle, the mean of both sides."""
    instrument = tracked.instrument
    bids, asks = tracked.book.levels(BUY), tracked.book.levels(SELL)
    return depth_of(bids, asks, instrument.tick * instrument.lot)


def takers_of(fills: list[tuple[float, int, float]]) -> Takers:
    """Fills (seconds, the taker's side, money) told together on one side are one order's."""
    times = np.array([each[0] for each in fills])
    sides = np.array([each[1] for each in fills])
    money = np.array([each[2] for each in fills])
    first = np.append(True, (np.diff(times) > ONE_TAKER_S) | (np.diff(sides) != 0))
    places = np.flatnonzero(first)
    return Takers(
        times[places], (sides[places] == SELL).astype(np.int64), np.add.reduceat(money, places)
    )


def read_binance(path: Path) -> Tape:
    """The tape of a collected capture of one Binance spot market; raises CaptureError."""
    config = parse(capture_config(path, 0.0), str(path))
    instrument = next(iter(instruments_of(config)))
    tape = BinanceTape(instrument, config.instruments[0].native)
    frames = list(read_capture(path))
    for frame in frames:
        tape.take(frame, frames[0].at_ns)
    return tape.tape()
