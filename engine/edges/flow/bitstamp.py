"""Bitstamp's orders of 2015, one by one, as a tape of facts.

A line is `local_ms kind {json}`. Orders older than the log are not in it, so the rebuilt book lacks
them; depth is taken from the books that the exchange sent in between.
"""

import lzma
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from engine.analytics.market_facts import Takers, Tape, Tops
from engine.analytics.order_events import deeper_of
from engine.analytics.simulated_market import depth_of
from engine.edges.capture import CaptureError

TICK = 0.01
SATOSHI = 1e-8
AGED_S = 600.0  # until then too many orders are older than the log


class Entry(msgspec.Struct):
    """The fields of any line: an order, a trade or a book."""

    price: str | float = 0.0
    amount: str | float = 0.0
    id: int = 0
    order_type: int = 0
    bids: list[tuple[str, str]] = []
    asks: list[tuple[str, str]] = []


_ENTRY = msgspec.json.Decoder(Entry)


class OrderLog:
    """Collects the tape; a side is 0 for bids and 1 for asks."""

    def __init__(self) -> None:
        self._orders: dict[int, tuple[int, int, float]] = {}  # side, ticks, size
        self._levels: list[dict[int, float]] = [{}, {}]
        self._ended: set[int] = set()
        self._taker = 0
        self._top: tuple[float, ...] = ()
        self.tops: list[tuple[float, ...]] = []
        self.takers: list[tuple[float, int, float]] = []
        self.deeper: list[tuple[float, float]] = []
        self.depth: list[list[float]] = []

    def take(self, at_s: float, kind: str, entry: Entry) -> None:
        """One line, in order of time."""
        if kind == "trade":
            self.takers.append((at_s, self._taker, float(entry.price) * float(entry.amount)))
        elif kind == "order_book":
            if min(len(entry.bids), len(entry.asks)):
                self.depth.append(
                    depth_of(_levels(entry.bids), _levels(entry.asks), TICK * SATOSHI)
                )
        else:
            self._change(kind, entry)
            self._look(at_s, entry.order_type)

    def _change(self, kind: str, entry: Entry) -> None:
        side, ticks, size = self._orders.pop(entry.id, (entry.order_type, 0, 0.0))
        if size:
            left = self._levels[side][ticks] - size
            if left > SATOSHI / 2:
                self._levels[side][ticks] = left
            else:
                del self._levels[side][ticks]
        if kind == "order_deleted":
            self._ended.add(entry.id)
        elif entry.id not in self._ended:  # an end may be told before the beginning
            ticks, size = round(float(entry.price) / TICK), float(entry.amount)
            self._orders[entry.id] = (side, ticks, size)
            self._levels[side][ticks] = self._levels[side].get(ticks, 0.0) + size
            if kind == "order_created" and self._top and self._crosses(side, ticks):
                self._taker = side

    def _crosses(self, side: int, ticks: int) -> bool:
        bid, _, ask, _ = self._top
        return ticks * TICK > ask - TICK / 2 if side == 0 else ticks * TICK < bid + TICK / 2

    def _look(self, at_s: float, side: int) -> None:
        """A new top, unless orders that will trade cross it for now; else a change further off."""
        bids, asks = self._levels
        if not bids or not asks:
            return
        bid, ask = max(bids), min(asks)
        top = (bid * TICK, bids[bid], ask * TICK, asks[ask])
        if bid < ask and top != self._top:
            self._top = top
            self.tops.append((at_s, *top))
        elif bid < ask:
            self.deeper.append((at_s, float(side)))


def _levels(pairs: list[tuple[str, str]]) -> list[tuple[int, int]]:
    return [(round(float(price) / TICK), round(float(size) / SATOSHI)) for price, size in pairs]


def _lines(path: Path) -> Iterator[tuple[float, str, Entry]]:
    try:
        with lzma.open(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                at_ms, kind, text = line.split(" ", 2)
                try:
                    yield int(at_ms) / 1000, kind, _ENTRY.decode(text)
                except msgspec.DecodeError as error:
                    raise CaptureError(f"{path}:{number}: not an order log: {error}") from error
    except (OSError, EOFError, ValueError, lzma.LZMAError) as error:
        raise CaptureError(f"{path}: not an order log: {error}") from error


def read_bitstamp(path: Path) -> Tape:
    """The tape of an order log, from when most of its orders are known; raises CaptureError."""
    log, begin_s = OrderLog(), 0.0
    for at_s, kind, entry in _lines(path):
        begin_s = begin_s or at_s
        log.take(at_s - begin_s, kind, entry)
    kept = [[row for row in rows if row[0] > AGED_S] for rows in (log.tops, log.takers, log.deeper)]
    tops, takers, deeper = (np.array(rows) for rows in kept)
    if min(len(tops), len(takers), len(deeper)) < 2:
        raise CaptureError(f"{path}: not an order log: it has no market in it")
    return Tape(
        TICK,
        Tops(*tops.T),
        Takers(takers[:, 0], takers[:, 1].astype(np.int64), takers[:, 2]),
        deeper_of(deeper[:, 0], deeper[:, 1]),
        np.array(log.depth),
    )
