"""A whole market in the open: every order by itself, first come first served; ours are among them.

Small and obvious: it is the truth that `engine.exchange.replayed` is held against. It publishes what
an exchange publishes - with our orders taken out - order by order or as levels and trades, and the
levels may come before the trades, after them, or late in batches.
"""

from collections import Counter
from typing import NamedTuple

from engine.exchange.replayed import ReplayedMarket
from ext.matching import TRADE

OURS = -1  # orders of ours have numbers from here down


class Waiting:
    """An order that rests."""

    def __init__(self, number: int, lots: int) -> None:
        self.number = number
        self.lots = lots


class Hit(NamedTuple):
    """A resting order that traded."""

    number: int
    side: int
    ticks: int
    lots: int


class TinyMarket:
    """Queues by (side, price); who joined first stands first."""

    def __init__(self) -> None:
        self.queues: dict[tuple[int, int], list[Waiting]] = {}
        self.fills: Counter[int] = Counter()

    def best(self, side: int) -> int:
        """The best price of a side, ours too; 0 without one."""
        prices = [ticks for (of, ticks), queue in self.queues.items() if of == side and queue]
        return max(prices, key=lambda ticks: ticks * side, default=0)

    def others(self, side: int, ticks: int) -> int:
        """What a level shows without ours."""
        return sum(w.lots for w in self.queues.get((side, ticks), []) if w.number > OURS)

    def find(self, number: int) -> tuple[int, int, Waiting] | None:
        """Where an order rests."""
        for (side, ticks), queue in self.queues.items():
            for waiting in queue:
                if waiting.number == number:
                    return side, ticks, waiting
        return None

    def add(self, number: int, side: int, ticks: int, lots: int) -> None:
        """An order that crosses nothing joins its queue."""
        best = self.best(-side)
        assert not best or (ticks - best) * side < 0
        self.queues.setdefault((side, ticks), []).append(Waiting(number, lots))

    def cancel(self, number: int, lots: int) -> int:
        """An order loses lots, or all; how many it lost."""
        found = self.find(number)
        if found is None:
            return 0
        side, ticks, waiting = found
        lost = min(lots, waiting.lots)
        waiting.lots -= lost
        if not waiting.lots:
            self.queues[side, ticks].remove(waiting)
        return lost

    def take(self, side: int, limit: int, lots: int) -> list[Hit]:
        """An incoming order trades as far as its limit (0: none); what is left of it goes."""
        hits = []
        while lots and (best := self.best(-side)) and (not limit or (best - limit) * side <= 0):
            first = self.queues[-side, best][0]
            traded = min(lots, first.lots)
            lots -= traded
            hits.append(Hit(first.number, -side, best, traded))
            self.cancel(first.number, traded)
            if first.number <= OURS:
                self.fills[first.number] += traded
        return hits


class Publisher:
    """Tells a replayed market what happened in a tiny one, as levels and trades."""

    def __init__(self, truth: TinyMarket, replayed: ReplayedMarket, order: str) -> None:
        self.truth = truth
        self.replayed = replayed
        self.order = order  # "trades first", "levels first", "late levels" or "late trades"
        self._levels: dict[tuple[int, int], None] = {}
        self._trades: list[tuple[int, int, int]] = []

    def changed(self, side: int, ticks: int) -> None:
        """A level changed without a trade."""
        self._levels[side, ticks] = None
        if self.order != "late levels":
            self._tell_levels()

    def traded(self, hits: list[Hit]) -> None:
        """Trades happened; each maker's is told by itself."""
        for hit in hits:
            self._levels[hit.side, hit.ticks] = None
            self._trades.append((hit.ticks, hit.lots, -hit.side))
        if self.order in ("trades first", "late levels"):
            self._tell_trades()
        if self.order != "late levels":
            self._tell_levels()
        if self.order == "levels first":
            self._tell_trades()

    def flush(self) -> None:
        """What was held back is told."""
        if self.order == "late trades":
            self._tell_levels()
            self._tell_trades()
        else:
            self._tell_trades()
            self._tell_levels()

    def _tell_levels(self) -> None:
        for side, ticks in self._levels:
            self.replayed.level(side, ticks, self.truth.others(side, ticks))
        self._levels.clear()

    def _tell_trades(self) -> None:
        for ticks, lots, side in self._trades:
            self.replayed.trade(ticks, lots, side)
        self._trades.clear()


def filled(replayed: ReplayedMarket, into: Counter[int]) -> Counter[int]:
    """Lots filled of each order of ours, the reports since the last call added."""
    for report in replayed.reports():
        if report.kind == TRADE:
            into[report.order or report.other] += report.lots
    return into
