"""What the matching twin does with an order that is active, and what follows from a trade."""

from tests.twins import matching_words as w
from tests.twins.matching_state import State
from tests.twins.matching_words import BUY, SELL, Order


class Steps(State):
    """Entering, trading, triggers, settling, auctions."""

    # Entering

    def _enter(self, order: Order) -> None:
        """An order becomes active; the checks are behind it."""
        if order.flags & w.REDUCE_ONLY:
            self._cut_to_position(order)
        if order.flags & w.SLIDE and self._lives(order) and self._would_take(order):
            order.ticks = self._slid(order)
            self._report(w.REPRICED, order)
        if not self._lives(order):
            return
        if order.kind == w.PEGGED:
            order.state = w.PARKED
            return
        if self.phase == w.CONTINUOUS:
            self._trade_at_once(order)
        if self._lives(order):
            self._rest(order)

    def _trade_at_once(self, order: Order) -> None:
        """Take what it can; what must not rest ends."""
        if order.tif == w.FOK and self._fillable(order) < order.leaves:
            self._end(order, w.CANCELLED, w.NOT_FILLABLE)
            return
        self._take(order)
        if not self._lives(order):
            return
        if order.kind == w.MARKET:
            stopped = self._front(-order.side) is not None
            self._end(order, w.CANCELLED, w.BAND if stopped else w.NO_LIQUIDITY)
        elif order.never_rests:
            self._end(order, w.CANCELLED, w.NOT_FILLED)

    def _lives(self, order: Order) -> bool:
        return order.number in self._live

    def _is_own(self, incoming: Order, resting: Order) -> bool:
        """Whether the two must not trade with each other."""
        own = incoming.owner == resting.owner != 0
        return own and incoming.stp != w.STP_NONE

    def _fillable(self, order: Order) -> int:
        """How much of a fill-or-kill order is sure to trade at once."""
        queue = [o for o in self._queue(-order.side) if self._accepts(order, o.ticks)]
        own = [o for o in queue if self._is_own(order, o)]
        barrier = own[0] if own and order.stp != w.STP_OLDEST else None
        reached: list[Order] = []
        lots = 0
        for resting in queue:
            if resting is barrier:
                break
            unsure = (
                resting in own
                or resting.flags & w.REDUCE_ONLY
                or any(self._in_one_group(resting, other) for other in [*reached, order])
            )
            reached.append(resting)
            if unsure:
                continue
            stands_before = barrier is not None and resting.ticks == barrier.ticks
            lots += resting.shown if stands_before else resting.leaves  # its next part goes behind
        return lots

    def _take(self, order: Order) -> None:
        """Trade with the other side, the best and oldest first, as long as there is what it accepts."""
        while self._lives(order):
            resting = self._front(-order.side)
            if resting is None or not self._accepts(order, resting.ticks):
                return
            if self._is_own(order, resting):
                self._prevent(order, resting)
            elif self._must_be_cut(resting):
                self._cut_to_position(resting)
            else:
                lots = min(order.leaves, resting.shown)
                self._trade(resting, order, resting.ticks, lots, w.NO_REASON)

    def _must_be_cut(self, order: Order) -> bool:
        return bool(order.flags & w.REDUCE_ONLY) and self._reducible(order) < order.leaves

    def _prevent(self, incoming: Order, resting: Order) -> None:
        """A self-trade; the incoming order says what is done."""
        ended = {
            w.STP_NEWEST: [incoming],
            w.STP_OLDEST: [resting],
            w.STP_BOTH: [resting, incoming],
            w.STP_DECREMENT: [],
        }[incoming.stp]
        for order in ended:
            if self._lives(order):
                self._end(order, w.CANCELLED, w.SELF_TRADE)
        if incoming.stp == w.STP_DECREMENT:
            lots = min(incoming.leaves, resting.leaves)
            for order in (resting, incoming):
                if not self._lives(order):
                    continue
                if order.leaves == lots:
                    self._end(order, w.CANCELLED, w.SELF_TRADE)
                else:
                    self._decrement(order, lots, w.SELF_TRADE)

    # A trade and what follows from it

    def _trade(self, first: Order, second: Order, ticks: int, lots: int, reason: int) -> None:
        """Between the resting order and the incoming one, or the seller and the buyer."""
        first.leaves -= lots
        second.leaves -= lots
        self._report(
            w.TRADE,
            second,
            reason,
            ticks=ticks,
            lots=lots,
            other=first.number,
            other_owner=first.owner,
            other_leaves=first.leaves,
        )
        both = (first, second)
        filled = [order for order in both if order.leaves == 0]
        for order in both:
            if order.owner:
                held = self.position(order.owner)
                self._positions[order.owner] = held + order.side * lots
            if order in filled:
                self._remove(order)
            elif order.state == w.RESTING:
                self._show(order, order.shown - lots)
        for order in both:
            self._end_group(order, spared=order.number)
        for order in both:
            if self._lives(order) and order.state == w.RESTING and order.shown == 0:
                self._leave_place(order)
                self._rest(order)
        self._last = ticks
        self._look_at_triggers(ticks)
        for order in filled:
            for child in self._children(order):
                child.state = w.PENDING
                self._pending.append((child.number, w.ACTIVATED))

    def _look_at_triggers(self, ticks: int) -> None:
        """Whom this trade triggers, and where it leads the others."""
        waiting = [order for order in self._live.values() if order.state == w.WAITING]
        waiting.sort(key=lambda order: order.place)
        fixed = [order for order in waiting if not order.trails]
        rise = sorted((o for o in fixed if o.waits_for_rise), key=lambda o: o.trigger_ticks)
        fall = sorted((o for o in fixed if not o.waits_for_rise), key=lambda o: -o.trigger_ticks)
        for order in rise + fall:
            if order.is_met(ticks):
                self._trigger(order, ticks)
        for order in waiting:
            if order.trails and order.mark and order.is_met(ticks):
                self._trigger(order, ticks)
            elif order.trails:
                order.follow(ticks)

    def _wait(self, order: Order) -> None:
        """For a trigger; the last trade may meet it already."""
        self._arrive(order)
        order.state = w.WAITING
        if order.trails:
            if self._last:
                order.follow(self._last)
        elif self._last and order.is_met(self._last):
            self._trigger(order, self._last)

    def _trigger(self, order: Order, ticks: int) -> None:
        order.state = w.PENDING
        self._pending.append((order.number, w.TRIGGERED))
        self._report(w.TRIGGERED, order, ticks=ticks)

    # Settling

    def _settle(self) -> None:
        """The end of every operation: who became active enters, pegs follow, then the band."""
        if self.phase == w.CONTINUOUS:
            self._work_off()
            for order in self._pegs():
                self._move_peg(order, self._peg_price(order))
        self._band_middle = self._last

    def _work_off(self) -> None:
        """The orders that became active enter, first in first out."""
        while self._pending:
            number, why = self._pending.pop(0)
            order = self._live[number]
            order.state = 0
            if why == w.ACTIVATED:
                self._report(w.ACTIVATED, order)
                if order.trigger:
                    self._wait(order)
                    continue
            else:
                self._end_group(order, spared=number)
            if reason := self._unfit(order):
                self._end(order, w.CANCELLED, reason)
            else:
                self._enter(order)

    def _pegs(self) -> list[Order]:
        """The pegged orders that are active, in order of their numbers."""
        active = (w.RESTING, w.PARKED)
        return [o for o in self._live.values() if o.kind == w.PEGGED and o.state in active]

    def _peg_price(self, order: Order) -> int:
        """Behind the best price of its side that is not pegged itself; 0 where it has none."""
        prices = [o.ticks for o in self._queue(order.side) if o.kind != w.PEGGED]
        if not prices:
            return 0
        price = prices[0] - order.side * order.offset
        if order.worst:
            worse = min if order.side == BUY else max
            price = worse(price, order.worst)
        return price if 1 <= price <= self.ticks_max else 0

    def _move_peg(self, order: Order, ticks: int) -> None:
        """To a price, or out of the book with 0."""
        if ticks == order.ticks:
            return
        if order.state == w.RESTING:
            self._leave_place(order)
        order.ticks = ticks
        if ticks:
            self._rest(order)
        else:
            order.state = w.PARKED
        self._report(w.REPRICED, order)

    # Auctions

    def _crossing(self) -> list[int]:
        """All prices at which an auction may trade, rising."""
        bid, ask = self._front(BUY), self._front(SELL)
        if bid is None or ask is None:
            return []
        prices = {o.ticks for o in self._live.values() if o.state == w.RESTING} | {self._last}
        return sorted(price for price in prices if ask.ticks <= price <= bid.ticks)

    def _volumes(self, ticks: int) -> tuple[int, int]:
        """How much is bid and asked at a price, hidden lots too."""
        bids = sum(order.leaves for order in self._queue(BUY) if order.ticks >= ticks)
        asks = sum(order.leaves for order in self._queue(SELL) if order.ticks <= ticks)
        return bids, asks

    def _auction_price(self) -> int:
        """Where most trades, then least is left over, then nearest to the last trade; 0 for nowhere."""

        def rank(ticks: int) -> tuple[int, int, int, int]:
            bids, asks = self._volumes(ticks)
            distance = abs(ticks - self._last) if self._last else 0
            return -min(bids, asks), abs(bids - asks), distance, ticks

        return min(self._crossing(), key=rank, default=0)

    def indicative(self) -> tuple[int, int, int]:
        price = self._auction_price()
        if not price:
            return 0, 0, 0
        bids, asks = self._volumes(price)
        return price, min(bids, asks), bids - asks

    def _uncross(self) -> None:
        """Trade at one price until the book is not crossed there, and again if it still is."""
        while price := self._auction_price():
            self._trade_at(price)

    def _trade_at(self, price: int) -> None:
        while True:
            bid, ask = self._front(BUY), self._front(SELL)
            if bid is None or ask is None or not ask.ticks <= price <= bid.ticks:
                return
            if self._must_be_cut(bid):
                self._cut_to_position(bid)
            elif self._must_be_cut(ask):
                self._cut_to_position(ask)
            else:
                self._trade(ask, bid, price, min(bid.shown, ask.shown), w.IN_AUCTION)
