"""The slow, obvious book: a dict a side, sorted whenever somebody looks."""

import struct
from collections.abc import Sequence

from typing_extensions import Buffer

BID = 1
ASK = -1
INT64 = 1 << 63
HEADER = struct.Struct("<4sIqqq")


def _int64(number: int) -> int:
    """The number itself, if int64 can hold it."""
    if not -INT64 <= number < INT64:
        raise OverflowError(f"{number} leaves int64")
    return number


def _flat(source: Buffer) -> list[int]:
    """The numbers of a flat int64 buffer."""
    view = memoryview(source)
    if view.ndim != 1 or not view.c_contiguous or view.format.lstrip("@=<") not in ("l", "q"):
        raise ValueError("a flat, aligned buffer of int64 is needed")
    numbers: list[int] = view.tolist()
    return numbers


def _batch(ticks: Buffer, lots: Buffer) -> list[tuple[int, int]]:
    """Two buffers as levels, all of them held against the rules."""
    prices, amounts = _flat(ticks), _flat(lots)
    if len(prices) != len(amounts):
        raise ValueError(f"{len(prices)} ticks but {len(amounts)} lots")
    levels = list(zip(prices, amounts, strict=True))
    for index, (price, amount) in enumerate(levels):
        if price <= 0 or amount < 0:
            raise ValueError(f"level {index}: {price} ticks, {amount} lots")
    return levels


class Book:
    """Both sides as dicts of ticks to lots; each change is made on a copy and kept if it is fine."""

    def __init__(self, levels_max: int = 1 << 20) -> None:
        if not 0 < levels_max <= 1 << 32:
            raise ValueError(f"levels_max: {levels_max}")
        self.levels_max = levels_max
        self.sequence = 0
        self._sides: dict[int, dict[int, int]] = {BID: {}, ASK: {}}

    def _side(self, side: int) -> dict[int, int]:
        if side not in self._sides:
            raise ValueError("side: BID (1) or ASK (-1)")
        return self._sides[side]

    def _changed(self, side: int, levels: Sequence[tuple[int, int]]) -> dict[int, int]:
        """A copy of one side with the levels set, in order."""
        held = dict(self._side(side))
        for ticks, lots in levels:
            if lots == 0:
                held.pop(ticks, None)
            else:
                held[ticks] = lots
            if len(held) > self.levels_max:
                raise OverflowError(f"the book holds at most {self.levels_max} levels a side")
        return held

    def _replace(self, bids: dict[int, int], asks: dict[int, int]) -> None:
        if max(len(bids), len(asks)) > self.levels_max:
            raise OverflowError(f"the book holds at most {self.levels_max} levels a side")
        self._sides = {BID: bids, ASK: asks}

    def clear(self) -> None:
        self._replace({}, {})
        self.sequence = 0

    def snapshot(
        self, bid_ticks: Buffer, bid_lots: Buffer, ask_ticks: Buffer, ask_lots: Buffer
    ) -> None:
        bids, asks = dict(_batch(bid_ticks, bid_lots)), dict(_batch(ask_ticks, ask_lots))
        self._replace(
            {ticks: lots for ticks, lots in bids.items() if lots},
            {ticks: lots for ticks, lots in asks.items() if lots},
        )

    def change(self, side: int, ticks: int, lots: int) -> None:
        _int64(ticks), _int64(lots)
        if ticks <= 0 or lots < 0:
            raise ValueError(f"{ticks} ticks, {lots} lots")
        self._side(side)
        self._sides[side] = self._changed(side, [(ticks, lots)])

    def add(self, side: int, ticks: int, delta_lots: int) -> None:
        lots = _int64(self.lots_at(side, ticks) + _int64(delta_lots))
        self.change(side, ticks, lots)

    def apply(self, side: int, ticks: Buffer, lots: Buffer) -> None:
        self._side(side)
        self._sides[side] = self._changed(side, _batch(ticks, lots))

    def update(
        self, bid_ticks: Buffer, bid_lots: Buffer, ask_ticks: Buffer, ask_lots: Buffer
    ) -> None:
        bids, asks = _batch(bid_ticks, bid_lots), _batch(ask_ticks, ask_lots)
        self._replace(self._changed(BID, bids), self._changed(ASK, asks))

    def truncate(self, depth: int) -> int:
        if depth <= 0:
            raise ValueError(f"depth: above 0, not {depth}")
        before = self.bid_count + self.ask_count
        self._replace(dict(self.levels(BID)[:depth]), dict(self.levels(ASK)[:depth]))
        return before - self.bid_count - self.ask_count

    @property
    def bid_ticks(self) -> int:
        return max(self._sides[BID], default=0)

    @property
    def bid_lots(self) -> int:
        return self._sides[BID].get(self.bid_ticks, 0)

    @property
    def ask_ticks(self) -> int:
        return min(self._sides[ASK], default=0)

    @property
    def ask_lots(self) -> int:
        return self._sides[ASK].get(self.ask_ticks, 0)

    @property
    def bid_count(self) -> int:
        return len(self._sides[BID])

    @property
    def ask_count(self) -> int:
        return len(self._sides[ASK])

    @property
    def crossed(self) -> bool:
        return bool(self.bid_count and self.ask_count and self.bid_ticks >= self.ask_ticks)

    def lots_at(self, side: int, ticks: int) -> int:
        if _int64(ticks) <= 0:
            raise ValueError(f"{ticks} ticks")
        return self._side(side).get(ticks, 0)

    def levels(self, side: int) -> list[tuple[int, int]]:
        return sorted(self._side(side).items(), reverse=side == BID)

    def _top(self, n: int) -> list[int]:
        if n < 0:
            raise ValueError(f"n: {n}")
        numbers: list[int] = []
        for side in (BID, ASK):
            flat = [number for level in self.levels(side)[:n] for number in level]
            numbers += flat + [0] * (2 * n - len(flat))
        return numbers

    def top(self, n: int, out: Buffer) -> tuple[int, int]:
        numbers, view = self._top(n), memoryview(out)
        if view.readonly or len(_flat(out)) < 4 * n:
            raise ValueError(f"out: {4 * n} numbers needed")
        for index, number in enumerate(numbers):
            view[index] = number
        return min(n, self.bid_count), min(n, self.ask_count)

    def top_bytes(self, n: int) -> bytes:
        return struct.pack(f"<{4 * n}q", *self._top(n))

    def dump(self) -> bytes:
        levels = self.levels(BID) + self.levels(ASK)
        flat = [number for level in levels for number in level]
        header = HEADER.pack(b"BOOK", 1, self.sequence, self.bid_count, self.ask_count)
        return header + struct.pack(f"<{len(flat)}q", *flat)

    def load(self, data: Buffer) -> None:
        raw = bytes(memoryview(data))
        if len(raw) < HEADER.size:
            raise ValueError("no header")
        magic, version, sequence, bid_count, ask_count = HEADER.unpack_from(raw)
        if magic != b"BOOK" or version != 1 or bid_count < 0 or ask_count < 0:
            raise ValueError("not a book's dump")
        if len(raw) != HEADER.size + 16 * (bid_count + ask_count):
            raise ValueError("another length than the header says")
        levels = list(struct.iter_unpack("<qq", raw[HEADER.size :]))
        bids, asks = levels[:bid_count], levels[bid_count:]
        for held, backwards in ((bids, True), (asks, False)):
            if any(ticks <= 0 or lots <= 0 for ticks, lots in held):
                raise ValueError("a level without price or quantity")
            if [t for t, _ in held] != sorted({t for t, _ in held}, reverse=backwards):
                raise ValueError("levels out of order")
        self._replace(dict(bids), dict(asks))
        self.sequence = sequence
