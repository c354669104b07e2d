"""What the matching twin holds and can be asked, and what it says when something happens to an order."""

import pickle
from typing import Self

from tests.twins import matching_words as w
from tests.twins.matching_words import BUY, SELL, Order, OrderView, Report


class State:
    """The orders that live, in a dict by number; whatever else can be worked out from them is."""

    def __init__(
        self,
        *,
        ticks_max: int = 1 << 31,
        ticks_step: int = 1,
        lots_min: int = 1,
        lots_max: int = 1 << 30,
        lots_step: int = 1,
        notional_min: int = 0,
        band_bps: int = 0,
        orders_max: int = 1 << 22,
        market_data: bool = False,
    ) -> None:
        wrong = (
            not (1 <= ticks_max <= 1 << 40 and 1 <= lots_max <= 1 << 40)
            or ticks_max * lots_max >= 1 << 62
            or not 1 <= orders_max <= 1 << 22
            or min(ticks_step, lots_step, lots_min) < 1
            or min(notional_min, band_bps) < 0
        )
        if wrong:
            raise ValueError("limits that cannot be")
        self.ticks_max, self.ticks_step = ticks_max, ticks_step
        self.lots_min, self.lots_max, self.lots_step = lots_min, lots_max, lots_step
        self.notional_min, self.band_bps = notional_min, band_bps
        self.orders_max, self.market_data = orders_max, market_data
        self.phase = w.CONTINUOUS
        self.now_ns = 0
        self.next_order = 1
        self._last = 0
        self._band_middle = 0
        self._live: dict[int, Order] = {}
        self._pending: list[tuple[int, int]] = []  # (order, what became of it)
        self._positions: dict[int, int] = {}
        self._arrivals = 0
        self._forget()

    def _forget(self) -> None:
        """Nothing to tell."""
        self._reports: list[Report] = []
        self._order_changes: list[tuple[int, int, int, int, int]] = []
        self._levels_touched: list[tuple[int, int]] = []

    # What can be asked

    def __len__(self) -> int:
        return len(self._live)

    @property
    def last(self) -> int:
        """The price of the last trade."""
        return self._last

    @last.setter
    def last(self, ticks: int) -> None:
        if not 0 <= ticks <= self.ticks_max:
            raise ValueError(f"{ticks} ticks")
        self._last = self._band_middle = ticks

    def reports(self) -> list[Report]:
        told, self._reports = self._reports, []
        return told

    def order_changes(self) -> list[tuple[int, int, int, int, int]]:
        self._check_market_data()
        told, self._order_changes = self._order_changes, []
        return told

    def level_changes(self) -> list[tuple[int, int, int]]:
        self._check_market_data()
        told, self._levels_touched = self._levels_touched, []
        return [(side, ticks, dict(self.levels(side)).get(ticks, 0)) for side, ticks in told]

    def _check_market_data(self) -> None:
        if not self.market_data:
            raise ValueError("made without market_data")

    def _queue(self, side: int) -> list[Order]:
        """The resting orders of a side, the best price first, in each who waits longest."""
        if side not in (BUY, SELL):
            raise ValueError("side: BUY (1) or SELL (-1)")
        resting = [o for o in self._live.values() if (o.state, o.side) == (w.RESTING, side)]
        return sorted(resting, key=lambda o: (-side * o.ticks, o.place))

    def _front(self, side: int) -> Order | None:
        return next(iter(self._queue(side)), None)

    def levels(self, side: int, depth: int = 0) -> list[tuple[int, int]]:
        lots: dict[int, int] = {}
        for order in self._queue(side):
            lots[order.ticks] = lots.get(order.ticks, 0) + order.shown
        return list(lots.items())[: depth or None]

    def best(self, side: int) -> tuple[int, int]:
        return next(iter(self.levels(side)), (0, 0))

    def resting(self, side: int, count: int = 0) -> list[tuple[int, int, int, int]]:
        found = [(o.number, o.ticks, o.shown, o.leaves) for o in self._queue(side)]
        return found[: count or None]

    def order(self, order: int) -> OrderView | None:
        return self._live[order].view() if order in self._live else None

    def orders(self, owner: int) -> list[int]:
        return [order.number for order in self._live.values() if order.owner == owner]

    def position(self, owner: int) -> int:
        return self._positions.get(owner, 0)

    def set_position(self, owner: int, lots: int) -> None:
        if not 0 < owner <= w.OWNER_MAX:
            raise ValueError(f"owner {owner}")
        self._positions[owner] = lots

    def snapshot(self) -> bytes:
        return pickle.dumps(self.__dict__)

    @classmethod
    def restore(cls, data: bytes) -> Self:
        book = cls()
        book.__dict__.update(pickle.loads(data))
        book._forget()
        return book

    def _band(self) -> tuple[int, int]:
        """The lowest and the highest price of the band."""
        if not self.band_bps or not self._band_middle:
            return 0, self.ticks_max
        width = self._band_middle * self.band_bps // 10_000
        return self._band_middle - width, self._band_middle + width

    def _in_band(self, ticks: int) -> bool:
        low, high = self._band()
        return low <= ticks <= high

    def _reducible(self, order: Order) -> int:
        """How much of its owner's position an order of its side can bring to 0."""
        return max(0, -order.side * self.position(order.owner))

    def _accepts(self, order: Order, ticks: int) -> bool:
        """Whether an order would trade at a price: a limit order up to its own, others to the band."""
        if order.kind == w.LIMIT:
            return order.side * ticks <= order.side * order.ticks
        low, high = self._band()
        return ticks <= high if order.side == BUY else ticks >= low

    def _would_take(self, order: Order) -> bool:
        """Whether an order would trade at once; in an auction none does."""
        front = self._front(-order.side)
        if front is None or self.phase != w.CONTINUOUS:
            return False
        return self._accepts(order, front.ticks)

    def _slid(self, order: Order) -> int:
        """One step behind the other side's best."""
        return self.best(-order.side)[0] - order.side * self.ticks_step

    def _posts_in_vain(self, order: Order) -> bool:
        if not order.posts or not self._would_take(order):
            return False
        slides = order.flags & w.SLIDE and 1 <= self._slid(order) <= self.ticks_max
        return not slides

    # What is told

    def _report(self, kind: int, order: Order, reason: int = w.NO_REASON, **other: int) -> None:
        """About an order as it is now, but for what is named."""
        fields = {"ticks": order.ticks, "lots": order.lots, "leaves": order.leaves} | other
        report = Report(kind, order.side, reason, order.number, order.owner, **fields)
        self._reports.append(report)

    def _tell_change(self, action: int, order: Order) -> None:
        """To those who follow the book order by order, and to those who follow its levels."""
        shown = 0 if action == w.DELETED else order.shown
        self._order_changes.append((action, order.side, order.number, order.ticks, shown))
        if (order.side, order.ticks) not in self._levels_touched:
            self._levels_touched.append((order.side, order.ticks))

    # Places in the book

    def _arrive(self, order: Order) -> None:
        """Behind all that came before."""
        self._arrivals += 1
        order.place = self._arrivals

    def _rest(self, order: Order) -> None:
        """Behind those at its price, an iceberg with as much as it shows at a time."""
        self._arrive(order)
        order.state = w.RESTING
        order.shown = min(order.display or order.leaves, order.leaves)
        self._tell_change(w.ADDED, order)

    def _leave_place(self, order: Order) -> None:
        """Out of its price, but alive."""
        self._tell_change(w.DELETED, order)
        order.state, order.shown = 0, 0

    def _show(self, order: Order, lots: int) -> None:
        """Another part of what a resting order has left; an iceberg's next part is told anew."""
        before, order.shown = order.shown, lots
        if lots not in (0, before):
            self._tell_change(w.CHANGED, order)

    # Ends

    def _remove(self, order: Order) -> None:
        """It lives no more."""
        if order.state == w.RESTING:
            self._leave_place(order)
        del self._live[order.number]
        self._pending = [entry for entry in self._pending if entry[0] != order.number]

    def _end(self, order: Order, kind: int, reason: int, spared: int = 0) -> None:
        """Other than by a full fill: its children and its group go too, but not the one spared."""
        self._remove(order)
        self._report(kind, order, reason, lots=order.leaves, leaves=0)
        for child in self._children(order):
            if child.number in self._live:
                self._end(child, w.CANCELLED, w.BY_PARENT, spared)
        self._end_group(order, spared)

    def _end_group(self, order: Order, spared: int) -> None:
        """The others of an order's group, in order of their numbers."""
        for other in list(self._live.values()):
            meant = self._in_one_group(order, other) and other.number not in (order.number, spared)
            if meant and other.number in self._live:
                self._end(other, w.CANCELLED, w.BY_GROUP, spared)

    def _in_one_group(self, order: Order, other: Order) -> bool:
        """Whether the two cancel each other; groups are numbers of their owner."""
        return order.group != 0 and (order.owner, order.group) == (other.owner, other.group)

    def _children(self, order: Order) -> list[Order]:
        """The orders that wait for this one to be filled, in order of their numbers."""
        return [other for other in self._live.values() if other.parent == order.number]

    def _decrement(self, order: Order, lots: int, reason: int) -> None:
        """Take from what is left of an order, and from its total."""
        order.lots -= lots
        order.leaves -= lots
        if order.state == w.RESTING:
            self._show(order, min(order.shown, order.leaves))
        self._report(w.DECREMENTED, order, reason, lots=lots)

    def _cut_to_position(self, order: Order) -> None:
        """Leave of a reduce-only order what brings its owner's position to 0, or end it."""
        keep = min(order.leaves, self._reducible(order))
        if keep == 0:
            self._end(order, w.CANCELLED, w.REDUCE)
        elif keep < order.leaves:
            self._decrement(order, order.leaves - keep, w.REDUCE)
