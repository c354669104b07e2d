"""A price-time book of single orders in plain Python: best price first, then first come.

Small and obvious on purpose; it serves the simulated flow of a demo and of tests.
"""

from bisect import bisect_left, insort
from collections import deque
from typing import NamedTuple

from engine.messages import BUY


class Resting:
    """An order in the book; `owner` is a client order id of ours, '' for the simulated flow."""

    __slots__ = ("lots", "owner", "side", "ticks")

    def __init__(self, side: int, ticks: int, lots: int, owner: str) -> None:
        self.side = side
        self.ticks = ticks
        self.lots = lots
        self.owner = owner


class Match(NamedTuple):
    """A trade against a resting order: its price, the lots, and whose it was."""

    ticks: int
    lots: int
    owner: str


class FifoBook:
    """Both sides of one instrument; `touched` collects the levels that changed."""

    def __init__(self) -> None:
        self._levels: dict[int, dict[int, deque[Resting]]] = {1: {}, -1: {}}
        self._prices: dict[int, list[int]] = {1: [], -1: []}
        self.touched: dict[tuple[int, int], None] = {}

    def best(self, side: int) -> int:
        """The best price of a side in ticks; 0 when it is empty."""
        prices = self._prices[side]
        if not prices:
            return 0
        return prices[-1] if side == BUY else prices[0]

    def lots_at(self, side: int, ticks: int) -> int:
        """All lots at a price."""
        return sum(order.lots for order in self._levels[side].get(ticks, ()))

    def levels(self, side: int) -> list[tuple[int, int]]:
        """(ticks, lots) of a side, best first."""
        prices = self._prices[side]
        ordered = reversed(prices) if side == BUY else iter(prices)
        return [(ticks, self.lots_at(side, ticks)) for ticks in ordered]

    def rest(self, order: Resting) -> None:
        """Put an order behind those at its price."""
        level = self._levels[order.side].get(order.ticks)
        if level is None:
            level = self._levels[order.side][order.ticks] = deque()
            insort(self._prices[order.side], order.ticks)
        level.append(order)
        self.touched[order.side, order.ticks] = None

    def cancel(self, order: Resting) -> bool:
        """Take an order out; False when it is not there any more."""
        level = self._levels[order.side].get(order.ticks)
        if level is None or order.lots == 0 or order not in level:
            return False
        level.remove(order)
        self._tidy(order.side, order.ticks)
        return True

    def take(self, side: int, limit_ticks: int, lots: int, owner: str) -> list[Match]:
        """Match an incoming order while prices are at its limit or better.

        Stops at an order of ours when the incoming one is ours too: no trade with oneself.
        """
        matches: list[Match] = []
        against = -side
        while lots > 0 and (best := self.best(against)):
            if (best - limit_ticks) * side > 0:
                break
            first = self._levels[against][best][0]
            if owner and first.owner:
                break
            traded = min(lots, first.lots)
            first.lots -= traded
            lots -= traded
            matches.append(Match(best, traded, first.owner))
            if first.lots == 0:
                self._levels[against][best].popleft()
            self._tidy(against, best)
        return matches

    def _tidy(self, side: int, ticks: int) -> None:
        self.touched[side, ticks] = None
        if not self._levels[side][ticks]:
            del self._levels[side][ticks]
            prices = self._prices[side]
            del prices[bisect_left(prices, ticks)]
