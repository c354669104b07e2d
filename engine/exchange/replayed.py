"""Orders of ours in a recorded market: what they would have been filled, by a model of the queue.

A `ReplayedMarket` is one instrument. It is told what the feed tells - levels, trades, or order by
order - and takes our orders as `ext.matching.MatchingBook` does, with the same reports. Nothing of
ours ever changes the feed: the recorded market goes on as if we were not there. So:

- An order takes what the levels show, less what we took of them before (`replayed_levels`).
- An order rests behind what its level shows, and its place is followed by a queue model
  (`queue_models`). A trade at its price serves those ahead first; what is left of it fills us.
- A trade beyond its price, or a level of the other side at or beyond its price, has passed it: it is
  filled whole, as it would be ours that traded first. With `crossing_lots` it is filled by no more
  than the lots that traded or stand there: the right choice when our orders are not small.

Where the feed shows only the best levels, an order of ours beyond them has
everybody ahead of it until its level has been seen.
"""

from engine.exchange.replayed_desk import Desk
from engine.exchange.replayed_levels import Pairs
from engine.exchange.replayed_orders import OurOrder
from engine.messages import BUY, SELL, BookState, Depth
from ext.matching import CLOSED, CONTINUOUS, HALTED


class ReplayedMarket(Desk):
    """See the module."""

    def level(self, side: int, ticks: int, lots: int) -> None:
        """A level has so many lots now, 0: it is gone. For feeds that show changes of the whole book."""
        self._not_exact()
        self._change(side, ticks, lots)

    def show(self, bids: Pairs, asks: Pairs, levels: int = 0) -> None:
        """Both sides are these levels, best first: the best so many of each, or all of them (0)."""
        self._not_exact()
        for side, pairs in ((BUY, bids), (SELL, asks)):
            changed = self._levels.become(side, pairs, levels)
            for order in self._resting[side]:
                self._see(order)
            for ticks, _ in changed:
                self._cross(side, ticks)

    def follow(self, depth: Depth) -> None:
        """The best levels as the engine's own message; nothing is known while a book is not LIVE."""
        if depth.state is not BookState.LIVE:
            self.lose_sight()
            return
        numbers = memoryview(depth.pairs).cast("q").tolist()
        pairs = [(t, lots) for t, lots in zip(numbers[::2], numbers[1::2], strict=True)]
        bids, asks = pairs[: depth.levels], pairs[depth.levels :]
        self.show([p for p in bids if p[1]], [p for p in asks if p[1]], depth.levels)

    def lose_sight(self) -> None:
        """The feed is broken: no level is known until it shows them again; our orders stay."""
        self._not_exact()
        self._levels.forget()
        for side in (BUY, SELL):
            for order in self._resting[side]:
                self._see(order)

    def trade(self, ticks: int, lots: int, side: int) -> None:
        """A trade of others; `side` is the taker's. Those it reaches are served, best price first.

        In an exact market only trades with orders that the feed does not tell; else `executed`.
        """
        self.last = ticks
        if self.phase != CONTINUOUS:
            return
        left, front = lots, 0.0
        for order in tuple(self._resting[-side]):
            if not order.reaches(ticks):
                break
            if order.ticks == ticks:
                now_ns = self._levels.now_ns
                filled, front = order.place.traded(left, front, now_ns)
            else:
                order.place.passed()
                filled = left if self._crossing_lots else order.leaves
            filled = min(filled, order.leaves)
            if filled:
                left = max(0, left - filled)
                self._fill(order, filled)

    def overtake(self, order: int) -> None:
        """The market has traded beyond an order that rests: it and all of ours before it are filled."""
        known = self._orders[order]
        for each in tuple(self._resting[known.side]):
            if each.priority <= known.priority:
                each.place.passed()
                self._fill(each, each.leaves)

    def set_phase(self, phase: int) -> None:
        """Halt, close or go on; then what stands beyond orders of ours has passed them.

        Raises ValueError for an auction: nobody knows what it would have been with us.
        """
        if phase not in (CONTINUOUS, HALTED, CLOSED):
            raise ValueError("a replayed market has no auctions")
        self.phase = phase
        for side in (BUY, SELL):
            for ticks, _ in self._levels.book.levels(side):
                self._cross(side, ticks)

    def added(self, order: int, side: int, ticks: int, lots: int) -> None:
        """Order by order: one joins the queue of its price. Raises ValueError if it is there already."""
        self._theirs.join(order, side, ticks, lots)
        for ours in self._resting[side]:
            if ours.ticks == ticks:
                ours.place.joined(lots)
        self._change(side, ticks, self._levels.book.lots_at(side, ticks) + lots)

    def reduced(self, order: int, lots: int) -> None:
        """Order by order: one is cancelled, or so many lots of it; it keeps its place."""
        self._lost(order, lots, traded=False)

    def executed(self, order: int, lots: int) -> None:
        """Order by order: one traded so many lots, as the resting side."""
        self._lost(order, lots, traded=True)

    def _lost(self, order: int, lots: int, *, traded: bool) -> None:
        side, ticks = self._theirs.where(order)
        if not side:
            return
        lost = self._theirs.lose(order, lots)
        if traded:
            self.trade(ticks, lost, -side)
        for ours in self._resting[side]:
            if ours.ticks == ticks:
                ours.place.left(order, lost)
        self._change(side, ticks, self._levels.book.lots_at(side, ticks) - lost)

    def _not_exact(self) -> None:
        if self._model is None:
            raise ValueError(
                "an exact queue is fed order by order: added, reduced, executed, trade"
            )

    def _change(self, side: int, ticks: int, lots: int) -> None:
        self._levels.change(side, ticks, lots)
        for order in self._resting[side]:
            if order.ticks == ticks:
                self._see(order)
        self._cross(side, ticks)

    def _see(self, order: OurOrder) -> None:
        """Tell a place what its level is now."""
        if self._levels.knows(order.side, order.ticks):
            lots = self._levels.book.lots_at(order.side, order.ticks)
            order.place.shown(lots, self._levels.now_ns)
        else:
            order.place.unseen()

    def _cross(self, side: int, ticks: int) -> None:
        """A level that stands at or beyond the price of orders of ours has passed them."""
        if self.phase != CONTINUOUS:
            return
        for order in tuple(self._resting[-side]):
            if not order.reaches(ticks):
                break
            left = self._levels.left(side, ticks)
            if left <= 0:
                break
            order.place.passed()
            filled = min(order.leaves, left) if self._crossing_lots else order.leaves
            self._levels.take(side, ticks, min(filled, left))
            self._fill(order, filled)

    def _fill(self, order: OurOrder, lots: int) -> None:
        order.leaves -= lots
        if order.leaves == 0:
            self._leave(order)
        self._reports.append(order.met(lots))
