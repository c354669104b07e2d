"""Judges of a matching book that know none of its code: they follow what it tells, and hold it to that."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.twins import matching_words as w

Queue = list[tuple[int, int, int, int]]


class Follower:
    """The book as somebody knows it who has only its market data: by order, and by level."""

    def __init__(self) -> None:
        self.orders: dict[int, tuple[int, int, int]] = {}
        self.lots: dict[tuple[int, int], int] = {}

    def hear(self, book: Any) -> None:
        """Take what was told since the last time."""
        for action, side, order, ticks, shown in book.order_changes():
            if action == w.ADDED:
                assert order not in self.orders
                assert shown > 0
                self.orders[order] = (side, ticks, shown)  # behind those who came before
            elif action == w.CHANGED:
                assert self.orders[order][:2] == (side, ticks)
                assert shown > 0
                self.orders[order] = (side, ticks, shown)
            else:
                assert action == w.DELETED
                assert self.orders.pop(order)[:2] == (side, ticks)
        touched = book.level_changes()
        assert len({level[:2] for level in touched}) == len(touched), "each level once"
        for side, ticks, lots in touched:
            self.lots[side, ticks] = lots

    def hold(self, book: Any) -> None:
        """What was told is what the book shows."""
        for side in (w.BUY, w.SELL):
            orders = [(number, *rest) for number, (s, *rest) in self.orders.items() if s == side]
            orders.sort(key=lambda order: -side * order[1])
            assert orders == [row[:3] for row in book.resting(side)]
            levels = [(ticks, lots) for (s, ticks), lots in self.lots.items() if s == side and lots]
            assert sorted(levels, reverse=side == w.BUY) == book.levels(side)


class Accounts:
    """What each order and each owner must have by the reports alone."""

    def __init__(self) -> None:
        self.totals: dict[int, int] = {}
        self.filled: dict[int, int] = {}
        self.owed: dict[int, int] = {}  # position by owner, 0 for all of nobody's orders

    def set_position(self, owner: int, lots: int) -> None:
        """What an owner holds from before came from nobody in the book."""
        self.owed[0] = self.owed.get(0, 0) + self.owed.get(owner, 0) - lots
        self.owed[owner] = lots

    def hear(self, reports: Sequence[Any]) -> None:
        """Follow the reports of one operation."""
        for report in reports:
            number = report.order
            if report.kind == w.ACCEPTED:
                assert report.leaves == report.lots
                self.totals[number], self.filled[number] = report.lots, 0
            elif report.kind == w.TRADE:
                assert report.lots > 0
                other_side = -report.side
                self._fill(number, report.owner, report.side * report.lots, report.leaves)
                self._fill(
                    report.other, report.other_owner, other_side * report.lots, report.other_leaves
                )
            elif report.kind in (w.DECREMENTED, w.REPLACED):
                before = self.totals[number]
                decremented = report.kind == w.DECREMENTED
                self.totals[number] = before - report.lots if decremented else report.lots
                assert report.leaves == self.leaves(number) > 0
            elif report.kind in (w.CANCELLED, w.EXPIRED):
                assert report.lots == self.leaves(number) > 0
                assert report.leaves == 0
                del self.totals[number]

    def _fill(self, number: int, owner: int, signed_lots: int, leaves: int) -> None:
        self.filled[number] += abs(signed_lots)
        self.owed[owner] = self.owed.get(owner, 0) + signed_lots
        assert leaves == self.leaves(number) >= 0
        if leaves == 0:
            del self.totals[number]

    def leaves(self, number: int) -> int:
        """What an order that lives must have left."""
        return self.totals[number] - self.filled[number]

    def hold(self, book: Any) -> None:
        """Every order has what is owed to it, every owner too, and nothing came from nowhere."""
        assert len(book) == len(self.totals)
        for number, total in self.totals.items():
            view = book.order(number)
            assert (view.lots, view.leaves) == (total, self.leaves(number))
            assert 0 <= view.shown <= view.leaves
            assert (view.shown > 0) == (view.state == w.RESTING)
        assert sum(self.owed.values()) == 0
        for owner, lots in self.owed.items():
            assert owner == 0 or book.position(owner) == lots


def hold_uncrossed(book: Any) -> None:
    """While it trades, no bid reaches an ask."""
    bid, ask = book.best(w.BUY)[0], book.best(w.SELL)[0]
    assert book.phase != w.CONTINUOUS or not bid or not ask or bid < ask


def hold_queues(
    before: Mapping[int, Queue], displays: Mapping[int, int], reports: Sequence[Any]
) -> int:
    """The first order that takes meets the others in their order, icebergs part by part; how often.

    Only as far as its own trades go: who is triggered by them comes after.
    """
    queues = {side: [list(row) for row in queue] for side, queue in before.items()}
    taker, trades = 0, 0
    for report in reports:
        if report.kind == w.ACTIVATED or report.reason == w.IN_AUCTION:
            break
        if report.kind == w.TRADE:
            taker = taker or report.order
            if report.order != taker:
                break
            queue = queues[-report.side]
            first = queue.pop(0)
            assert (report.other, report.ticks) == (first[0], first[1])
            assert report.lots <= first[2]
            _put_back(queue, first, report, displays[report.other])
            trades += 1
        elif report.kind in (w.CANCELLED, w.EXPIRED, w.REPLACED, w.REPRICED):
            for queue in queues.values():
                queue[:] = [row for row in queue if row[0] != report.order]
        elif report.kind == w.DECREMENTED:
            for row in (row for queue in queues.values() for row in queue):
                if row[0] == report.order:
                    row[2:] = [min(row[2], report.leaves), report.leaves]
    return trades


def _put_back(queue: list[list[int]], first: list[int], report: Any, display: int) -> None:
    """What is left of an order: in front while it shows it, an iceberg's next part behind its price."""
    number, ticks, shown, _ = first
    if report.lots < shown:
        queue.insert(0, [number, ticks, shown - report.lots, report.other_leaves])
    elif report.other_leaves:
        before = sum(1 for row in queue if -report.side * (row[1] - ticks) >= 0)
        part = min(display, report.other_leaves)
        queue.insert(before, [number, ticks, part, report.other_leaves])
