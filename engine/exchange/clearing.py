"""What the kernel's reports become: orders, fills, balances to the unit, and events in order.

Every open order has its place here with what it locks. A buy locks its cost at the worst price it may
have and the worst fee; a sell what it sells. Orders of one group lock what the dearest of them needs,
for only one of them will trade. What a better price leaves over is free at once, and many small fills
never cost more than the lock: where rounding each fee up would, the house lets go of the unit.
"""

from collections import deque

import msgspec

from engine.exchange.accounts import Accounts, fee_on, value_of
from engine.exchange.market import Market
from engine.exchange.orders import (
    BalanceChange,
    Event,
    Fill,
    Order,
    OrderChange,
    Status,
)
from engine.exchange.records import Records
from engine.messages import BUY
from ext.matching import (
    ACCEPTED,
    BY_GROUP,
    BY_PARENT,
    CANCELLED,
    DECREMENTED,
    EXPIRED,
    IN_AUCTION,
    NO_REASON,
    REJECTED,
    REPLACE_REJECTED,
    REPLACED,
    REPRICED,
    TRADE,
    TRIGGERED,
    Report,
)

ENDS = {CANCELLED: Status.CANCELLED, EXPIRED: Status.EXPIRED, REJECTED: Status.REJECTED}


class Entry(msgspec.Struct):
    """An open order's place: `kernel` is its number in the book, 0 while it is not there.

    `bound` is the worst price it locks for; 0 is the order's own. `budget` above 0 is what a market
    buy may cost, fees included. `locked` is what it needs now.
    """

    order: Order
    market: Market
    asset: str
    bound: int
    worst_ppm: int
    budget: int = 0
    kernel: int = 0
    locked: int = 0

    @property
    def leaves(self) -> int:
        """Lots that may still trade."""
        return self.order.lots - self.order.filled

    def need(self, leaves: int) -> int:
        """Units of its asset that so many lots need."""
        instrument = self.market.instrument
        if self.order.request.side != BUY:
            return leaves * instrument.base_units_per_lot
        if self.budget:
            return self.budget if leaves else 0
        value = value_of(instrument, self.bound or self.order.ticks, leaves)
        return value + fee_on(value, self.worst_ppm)


class Clearing:
    """See the module. `events` is everything that happened, until somebody takes it.

    `due` are orders whose parent is filled; `orphans` those in the kernel's book that are to be
    cancelled because one of their group ended that was not there; `overruled` is what the end of an
    order is called where that is not as the kernel says; `sides` counts sides of trades.
    """

    def __init__(self, accounts: Accounts, records: Records) -> None:
        self.events: list[Event] = []
        self.due: deque[Entry] = deque()
        self.orphans: list[Entry] = []
        self.overruled: dict[int, tuple[Status, int]] = {}
        self.sides = 0
        self.entries: dict[int, Entry] = {}
        self.groups: dict[int, list[Entry]] = {}
        self.children: dict[int, list[Entry]] = {}
        self._accounts = accounts
        self._records = records
        self._in_book: dict[tuple[int, int], Entry] = {}
        self._group_locks: dict[tuple[int, str], int] = {}

    def met(self, market: Market, kernel: int) -> Entry | None:
        """The open order behind a number of a book; None for the flow's."""
        return self._in_book.get((market.instrument.id, kernel))

    # --- orders come and go -----------------------------------------------------------------------

    def open(self, entry: Entry, units: int) -> None:
        """An order is accepted and locks so much."""
        order = entry.order
        self.entries[order.number] = entry
        self._records.opened(order)
        if order.request.group:
            self.groups.setdefault(order.request.group, []).append(entry)
        if order.request.parent:
            self.children.setdefault(order.request.parent, []).append(entry)
        self.lock(entry, units)

    def enter(self, entry: Entry, kernel: int) -> None:
        """It is in the kernel's book now."""
        entry.kernel = kernel
        self._in_book[entry.market.instrument.id, kernel] = entry

    def lock(self, entry: Entry, units: int) -> None:
        """What an order needs becomes so much; of a group the dearest counts."""
        more = units - entry.locked
        if not more:
            return
        entry.locked = units
        order = entry.order
        group = order.request.group
        if group:
            key = (group, entry.asset)
            dearest = max(
                (e.locked for e in self.groups[group] if e.asset == entry.asset), default=0
            )
            more = dearest - self._group_locks.get(key, 0)
            self._group_locks[key] = dearest
        self._accounts.lock(order.account, entry.asset, more)

    def more_needed(self, group: int, asset: str, units: int, before: int) -> int:
        """What an order that needs `units`, and `before` until now, takes of what is free."""
        if not group:
            return units - before
        return max(0, units - self._group_locks.get((group, asset), 0))

    def close(self, entry: Entry, status: Status, reason: int, time_ns: int) -> None:
        """An order is final, and with it what hangs on it and is not in the kernel's book."""
        order = entry.order
        order.status = status
        order.reason = reason
        order.updated_ns = time_ns
        self._leave(entry)
        self.told(entry, time_ns)
        self._release(entry, status, time_ns)

    def _leave(self, entry: Entry) -> None:
        order = entry.order
        self.lock(entry, 0)
        del self.entries[order.number]
        if entry.kernel:
            del self._in_book[entry.market.instrument.id, entry.kernel]
        self._records.closed(order)
        siblings = self.children.get(order.request.parent, [])
        if entry in siblings:
            siblings.remove(entry)
            if not siblings:
                del self.children[order.request.parent]
        group = order.request.group
        if group:
            self.groups[group].remove(entry)
            if not self.groups[group]:
                del self.groups[group]
                for key in [key for key in self._group_locks if key[0] == group]:
                    del self._group_locks[key]

    def _release(self, entry: Entry, status: Status, time_ns: int) -> None:
        children = self.children.pop(entry.order.number, [])
        if status is Status.FILLED:
            self.due.extend(children)
        else:
            for child in children:
                if child.order.open:
                    self.close(child, Status.CANCELLED, BY_PARENT, time_ns)
        self.free_group(entry, time_ns)

    def free_group(self, entry: Entry, time_ns: int) -> None:
        """The others of its group go; of those in its book the kernel takes care."""
        for other in list(self.groups.get(entry.order.request.group, ())):
            if other is entry or not other.order.open:
                continue
            if not other.kernel:
                self.close(other, Status.CANCELLED, BY_GROUP, time_ns)
            elif not entry.kernel:
                self.orphans.append(other)

    def told(self, entry: Entry, time_ns: int, fill: Fill | None = None) -> None:
        """An event of what an order is now."""
        entry.order.updated_ns = time_ns
        copy = msgspec.structs.replace(entry.order)
        self.events.append(OrderChange(copy, fill, time_ns))

    # --- what the kernel reports ------------------------------------------------------------------

    def clear(self, market: Market, time_ns: int) -> int:
        """Work off what the kernel did; why it did not replace an order, or 0."""
        reason = NO_REASON
        for report in market.book.reports():
            if report.kind == REPLACE_REJECTED:
                reason = report.reason
            elif report.kind == TRADE:
                self._trade(market, report, time_ns)
            elif report.owner:
                entry = self._in_book.get((market.instrument.id, report.order))
                if entry is not None:
                    self._report(entry, report, time_ns)
        return reason

    def _report(self, entry: Entry, report: Report, time_ns: int) -> None:
        order = entry.order
        status = ENDS.get(report.kind)
        if status is not None:
            ended = self.overruled.pop(order.number, (status, report.reason))
            self.close(entry, *ended, time_ns)
            return
        match report.kind:
            case _ if report.kind == ACCEPTED:
                self.told(entry, time_ns)
                return
            case _ if report.kind == TRIGGERED:
                order.working = True
                self.free_group(entry, time_ns)
            case _ if report.kind == REPLACED:
                order.ticks, order.lots = report.ticks, report.lots
            case _ if report.kind == REPRICED:
                order.ticks = report.ticks
            case _ if report.kind == DECREMENTED:
                order.lots -= report.lots
            case _:
                return
        self.lock(entry, entry.need(entry.leaves))
        self.told(entry, time_ns)

    def _trade(self, market: Market, report: Report, time_ns: int) -> None:
        trade = market.traded(report.ticks, report.lots, report.side, time_ns)
        self.events.append(trade)
        if not report.owner and not report.other_owner:
            return
        auction = report.reason == IN_AUCTION
        sides = (
            (report.order, report.owner, report.side, report.leaves, auction),
            (report.other, report.other_owner, -report.side, report.other_leaves, True),
        )
        for kernel, owner, side, leaves, maker in sides:
            self.sides += owner > 0
            if not owner:
                instrument = market.instrument
                self._accounts.flow_trade(instrument, side, report.ticks, report.lots)
            else:
                entry = self._in_book[market.instrument.id, kernel]
                self._fill(entry, report, trade.number, leaves, maker, time_ns)

    def _fill(
        self, entry: Entry, report: Report, trade: int, leaves: int, maker: bool, time_ns: int
    ) -> None:
        order, instrument = entry.order, entry.market.instrument
        side = order.request.side
        value = value_of(instrument, report.ticks, report.lots)
        fee = fee_on(value, self._accounts.rates(order.account, instrument)[not maker])
        if entry.budget:
            fee = min(fee, entry.budget - value)
            entry.budget -= value + fee
        locked = entry.need(leaves)
        if side == BUY and not entry.budget:
            fee = min(fee, entry.locked - locked - value)
        number = self._records.fill_count + 1
        self._accounts.trade(
            order.account, instrument, side, report.ticks, report.lots, fee, number, time_ns
        )
        order.filled += report.lots
        order.value += report.ticks * report.lots
        order.status = Status.PARTLY_FILLED if leaves else Status.FILLED
        self.lock(entry, locked)
        fill = Fill(
            number,
            trade,
            order.number,
            order.account,
            order.request.client_id,
            instrument.id,
            side,
            report.ticks,
            report.lots,
            fee,
            instrument.quote,
            maker,
            time_ns,
        )
        self._records.filled(fill)
        if leaves:
            self.told(entry, time_ns, fill)
            self.free_group(entry, time_ns)
        else:
            order.reason = NO_REASON
            self._leave(entry)
            self.told(entry, time_ns, fill)
            self._release(entry, Status.FILLED, time_ns)

    def tell_balances(self, time_ns: int) -> None:
        """An event for each balance that was touched since last asked."""
        accounts = self._accounts
        for name, asset in accounts.touched:
            free, locked = accounts.free(name, asset), accounts.locked(name, asset)
            self.events.append(BalanceChange(name, asset, free, locked, time_ns))
        accounts.touched.clear()
