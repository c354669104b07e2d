"""The slow, obvious matching book: docs/matching.md said again in lists and dicts.

It keeps a dict of the orders that live and sorts it whenever somebody asks who is first. What it
holds is in matching_state.py, what happens to an order that is active in matching_steps.py, and
its words in matching_words.py.
"""

from dataclasses import replace as changed_copy

from tests.twins import matching_words as w
from tests.twins.matching_steps import Steps
from tests.twins.matching_words import (
    BUY,
    SELL,
    Order,
    Report,
    check_fields,
    check_width,
    is_invalid,
)


class MatchingBook(Steps):
    """The operations, and the checks they begin with; see ext/matching.pyi."""

    # What can be done: each operation ends with settling

    def submit(
        self,
        side: int,
        kind: int,
        ticks: int,
        lots: int,
        owner: int = 0,
        tif: int = w.GTC,
        flags: int = 0,
        stp: int = w.STP_NONE,
        trigger: int = w.NO_TRIGGER,
        trigger_ticks: int = 0,
        offset: int = 0,
        display: int = 0,
        expire_ns: int = 0,
        group: int = 0,
        parent: int = 0,
    ) -> int:
        order = Order(
            number=self.next_order,
            side=side,
            kind=kind,
            ticks=ticks,
            lots=lots,
            owner=owner,
            tif=tif,
            flags=flags,
            stp=stp,
            trigger=trigger,
            trigger_ticks=trigger_ticks,
            offset=offset,
            display=display,
            expire_ns=expire_ns,
            group=group,
            parent=parent,
        )
        check_fields(order)
        self.next_order += 1
        reason = self._refusal(order)
        if reason:
            self._report(w.REJECTED, order, reason)
            return order.number
        order.leaves = lots
        self._report(w.ACCEPTED, order)
        self._live[order.number] = order
        if kind == w.PEGGED:
            order.worst, order.ticks = ticks, 0
        if parent:
            order.state = w.DORMANT
        elif trigger:
            self._wait(order)
        else:
            self._enter(order)
        self._settle()
        return order.number

    def cancel(self, order: int) -> None:
        if order in self._live:
            self._end(self._live[order], w.CANCELLED, w.BY_CLIENT)
        else:
            self._reports.append(Report(w.CANCEL_REJECTED, reason=w.UNKNOWN_ORDER, order=order))
        self._settle()

    def mass_cancel(self, owner: int = -1, side: int = 0) -> None:
        if side not in (BUY, SELL, 0):
            raise ValueError("side: BUY (1), SELL (-1) or 0 for both")
        for order in list(self._live.values()):
            meant = owner in (-1, order.owner) and side in (0, order.side)
            if meant and order.number in self._live:
                self._end(order, w.CANCELLED, w.BY_MASS)
        self._settle()

    def advance(self, now_ns: int) -> None:
        self.now_ns = max(self.now_ns, now_ns)
        good_till = [order for order in self._live.values() if order.tif == w.GTD]
        for order in sorted(good_till, key=lambda o: (o.expire_ns, o.number)):
            if order.expire_ns <= self.now_ns and order.number in self._live:
                self._end(order, w.EXPIRED, w.OUT_OF_TIME)
        self._settle()

    def end_day(self) -> None:
        for order in list(self._live.values()):
            if order.tif == w.DAY and order.number in self._live:
                self._end(order, w.EXPIRED, w.END_OF_DAY)
        self._settle()

    def replace(self, order: int, ticks: int = 0, lots: int = 0) -> None:
        held = self._live.get(order)
        check_width(64, ticks, lots)
        reason = self._replace_refusal(held, ticks, lots)
        if reason or held is None:
            side, owner, leaves = (held.side, held.owner, held.leaves) if held else (0, 0, 0)
            self._reports.append(
                Report(w.REPLACE_REJECTED, side, reason, order, owner, ticks, lots, leaves)
            )
            return
        ticks, lots = ticks or held.ticks, lots or held.lots
        keeps_place = self._keeps_place(held, ticks, lots)
        was_resting = held.state == w.RESTING
        if was_resting and not keeps_place:
            self._leave_place(held)
        filled = held.lots - held.leaves
        held.ticks, held.lots, held.leaves = ticks, lots, lots - filled
        self._report(w.REPLACED, held)
        if was_resting and keeps_place:
            self._show(held, min(held.shown, held.leaves))
        elif was_resting:
            self._enter(held)
        self._settle()

    def set_phase(self, phase: int) -> None:
        if phase not in (w.CONTINUOUS, w.AUCTION, w.HALTED, w.CLOSED):
            raise ValueError(f"phase {phase}")
        if phase in (w.CONTINUOUS, w.CLOSED):
            self._uncross()
        self.phase = phase
        self._reports.append(Report(w.PHASE, lots=phase))
        if phase == w.AUCTION:
            for order in self._pegs():
                self._move_peg(order, 0)
        self._settle()

    # Checks

    def _phase_refusal(self) -> int:
        return {w.HALTED: w.IS_HALTED, w.CLOSED: w.IS_CLOSED}.get(self.phase, w.NO_REASON)

    def _refusal(self, order: Order) -> int:
        """Why a new order is refused; the checks 1 to 11."""
        if reason := self._phase_refusal():
            return reason
        if is_invalid(order, self.now_ns):
            return w.INVALID
        if order.parent:
            parent = self._live.get(order.parent)
            if parent is None or parent.owner != order.owner:
                return w.NO_PARENT
        prices = [order.ticks, order.trigger_ticks]
        if order.kind == w.PEGGED or order.trigger == w.TRAIL_TICKS:
            prices.append(order.offset)
        if self._is_off_ticks(*prices):
            return w.TICK
        if self._is_off_lots(order.lots) or order.display % self.lots_step:
            return w.LOT
        if self._is_small(order):
            return w.NOTIONAL
        if len(self._live) >= self.orders_max:
            return w.FULL
        if order.trigger or order.parent:
            return w.NO_REASON
        return self._unfit(order)

    def _is_off_ticks(self, *prices: int) -> bool:
        return any(ticks > self.ticks_max or ticks % self.ticks_step for ticks in prices)

    def _is_off_lots(self, lots: int) -> bool:
        return not self.lots_min <= lots <= self.lots_max or lots % self.lots_step != 0

    def _is_small(self, order: Order) -> bool:
        """Whether its worth is below the least; without a price, or reducing, it is not looked at."""
        price = order.ticks or order.trigger_ticks or self._last
        looked_at = price and not order.flags & w.REDUCE_ONLY
        return bool(looked_at) and price * order.lots < self.notional_min

    def _unfit(self, order: Order) -> int:
        """Why an order may not become active now; the checks 8 to 11."""
        collected = order.kind == w.LIMIT and not order.never_rests and not order.posts
        if self.phase == w.AUCTION and not collected:
            return w.NOT_IN_AUCTION
        if order.kind == w.LIMIT and not self._in_band(order.ticks):
            return w.BAND
        if order.flags & w.REDUCE_ONLY and self._reducible(order) == 0:
            return w.REDUCE
        if self._posts_in_vain(order):
            return w.WOULD_TAKE
        return w.NO_REASON

    def _replace_refusal(self, order: Order | None, ticks: int, lots: int) -> int:
        """Why an order keeps its numbers; what is not given (0) is not looked at again."""
        if reason := self._phase_refusal():
            return reason
        if order is None:
            return w.UNKNOWN_ORDER
        if order.kind != w.LIMIT or order.state == w.PENDING or min(ticks, lots) < 0:
            return w.INVALID
        wanted = changed_copy(order, ticks=ticks or order.ticks, lots=lots or order.lots)
        if wanted.lots <= order.lots - order.leaves:
            return w.INVALID
        if ticks and self._is_off_ticks(ticks):
            return w.TICK
        if lots and self._is_off_lots(lots):
            return w.LOT
        if (ticks or lots) and self._is_small(wanted):
            return w.NOTIONAL
        if order.state != w.RESTING or self._keeps_place(order, wanted.ticks, wanted.lots):
            return w.NO_REASON
        if not self._in_band(wanted.ticks):
            return w.BAND
        if self._posts_in_vain(wanted):
            return w.WOULD_TAKE
        return w.NO_REASON

    def _keeps_place(self, order: Order, ticks: int, lots: int) -> bool:
        return ticks == order.ticks and lots <= order.lots
