"""The levels of a replayed market: what the feed shows, less what we took, and what taking costs.

The feed is never changed. What we took of a level stays taken while the level stands: a level that
grows gives its growth, one that shrinks to what we took gives nothing, for the lots we took are not
there for anybody else. It is forgotten when the level is gone, or `recovery_ns` after we last took
there (0: not by time). With `renews` any change of a level gives all of it again: kinder to us, as if
everything we took had come back.
"""

from collections.abc import Iterator
from math import ceil, sqrt
from typing import NamedTuple

from engine.messages import BUY, SELL
from ext.book import Book

TAKEN_MAX = 4096
Pairs = list[tuple[int, int]]


class Impact(NamedTuple):
    """The price of taking much: each lot costs `ticks * sqrt(taken / typical_lots)` more, rounded up.

    `taken` is what the order has taken so far, this lot included; `typical_lots` is what the market
    usually trades in the time the order takes, and `ticks` what an order of that size moves it. This
    is the square-root law of market impact, impact = Y * volatility * sqrt(Q / V), with
    Y * volatility in ticks: R. Almgren, C. Thum, E. Hauptmann, H. Li, "Direct estimation of equity
    market impact" (2005, exponent 3/5); B. Toth et al., "Anomalous price impact and the critical
    nature of liquidity in financial markets" (2011, exponent 1/2). It stands for the part of the
    impact that stays; the part that goes back is the level staying empty for `recovery_ns`.
    """

    ticks: float
    typical_lots: int

    def worse(self, taken: int) -> int:
        """How many ticks worse the last of so many lots is paid."""
        return ceil(self.ticks * sqrt(taken / self.typical_lots) - 1e-9)

    def most(self, worse: int) -> int:
        """The most lots an order may take before it pays more than so many ticks more."""
        if self.ticks <= 0:
            return 1 << 62
        lots = int(self.typical_lots * (worse / self.ticks) ** 2) + 1
        while lots > 0 and self.worse(lots) > worse:
            lots -= 1
        return lots


class Piece(NamedTuple):
    """Part of a taking order: the level, the lots, and the price paid."""

    ticks: int
    lots: int
    paid: int


class ShownLevels:
    """See the module. `edge` of a side is None: nothing known, 0: all, else the last known price.

    Where it is a set, `touched` gathers the levels (side, ticks) whose lots may be others now.
    """

    def __init__(self, recovery_ns: int, renews: bool) -> None:
        self.book = Book()
        self.now_ns = 0
        self.touched: set[tuple[int, int]] | None = None
        self._edge: dict[int, int | None] = {BUY: None, SELL: None}
        self._taken: dict[tuple[int, int], tuple[int, int]] = {}
        self._recovery_ns = recovery_ns
        self._renews = renews

    def forget(self) -> None:
        """Nothing is known any more; what we took is, should the levels come back."""
        if self.touched is not None:
            for side in (BUY, SELL):
                self.touched.update((side, ticks) for ticks, _ in self.book.levels(side))
        self.book.clear()
        self._edge = {BUY: None, SELL: None}

    def knows(self, side: int, ticks: int) -> bool:
        """Whether the feed would show a level at this price, were there one."""
        edge = self._edge[side]
        return edge is not None and (edge == 0 or (ticks - edge) * side >= 0)

    def change(self, side: int, ticks: int, lots: int) -> None:
        """A level is so many lots now; 0 is gone. A feed of changes knows the whole book."""
        self._edge = {BUY: 0, SELL: 0}
        self._set(side, ticks, lots)

    def become(self, side: int, pairs: Pairs, levels: int) -> Pairs:
        """A side is these levels, best first, of which it shows the best so many (0: all).

        Gives the levels that changed, best first.
        """
        edge = pairs[-1][0] if levels and len(pairs) >= levels else 0
        old, new = dict(self.book.levels(side)), dict(pairs)
        self._edge[side] = edge
        for ticks in old:
            if ticks not in new:
                if self.knows(side, ticks):
                    self._set(side, ticks, 0)
                else:
                    self._put(side, ticks, 0)  # out of sight: what we took there stays taken
        changed = [(ticks, lots) for ticks, lots in pairs if old.get(ticks) != lots]
        for ticks, lots in changed:
            self._set(side, ticks, lots)
        return changed

    def _set(self, side: int, ticks: int, lots: int) -> None:
        key = (side, ticks)
        if key in self._taken:
            taken, at_ns = self._taken[key]
            if lots == 0 or (self._renews and lots != self.book.lots_at(side, ticks)):
                del self._taken[key]
            else:
                self._taken[key] = (min(taken, lots), at_ns)
        self._put(side, ticks, lots)

    def _put(self, side: int, ticks: int, lots: int) -> None:
        if self.touched is not None:
            self.touched.add((side, ticks))
        self.book.change(side, ticks, lots)

    def left(self, side: int, ticks: int) -> int:
        """What of a level is left for us."""
        lots = self.book.lots_at(side, ticks)
        return lots - self._taken_at(side, ticks) if self._taken else lots

    def _taken_at(self, side: int, ticks: int) -> int:
        entry = self._taken.get((side, ticks))
        if entry is None:
            return 0
        if self._recovery_ns and self.now_ns - entry[1] >= self._recovery_ns:
            del self._taken[side, ticks]
            if self.touched is not None:
                self.touched.add((side, ticks))
            return 0
        return entry[0]

    def take(self, side: int, ticks: int, lots: int) -> None:
        """We took so many lots of a level."""
        if len(self._taken) >= TAKEN_MAX:  # levels long out of sight, the oldest first
            del self._taken[next(iter(self._taken))]
        self._taken[side, ticks] = (self._taken_at(side, ticks) + lots, self.now_ns)
        if self.touched is not None:
            self.touched.add((side, ticks))

    def offered(self, side: int) -> Iterator[tuple[int, int]]:
        """(ticks, lots left for us) of a side, best first."""
        for ticks, lots in self.book.levels(side):
            left = lots - self._taken_at(side, ticks)
            if left > 0:
                yield ticks, left

    def best(self, side: int) -> tuple[int, int]:
        """The best price with something left for us, and how much; 0, 0 without one."""
        bid, bid_lots, ask, ask_lots = self.book.best()
        ticks, lots = (bid, bid_lots) if side == BUY else (ask, ask_lots)
        if not self._taken or self._taken_at(side, ticks) == 0:
            return ticks, lots
        return next(self.offered(side), (0, 0))

    def pieces(
        self, side: int, limit: int, lots: int, stop: int, impact: Impact | None
    ) -> list[Piece]:
        """What an order of a side would take: up to its limit (0: none), and not as far as `stop`."""
        found: list[Piece] = []
        taken = 0
        for ticks, left in self.offered(-side):
            if taken == lots or (limit and (ticks - limit) * side > 0):
                break
            if stop and (ticks - stop) * side >= 0:
                break
            piece, paid = min(left, lots - taken), ticks
            if impact is not None:
                if limit:
                    piece = min(piece, impact.most((limit - ticks) * side) - taken)
                if piece <= 0:
                    break
                paid = max(1, ticks + side * impact.worse(taken + piece))
            found.append(Piece(ticks, piece, paid))
            taken += piece
        return found
