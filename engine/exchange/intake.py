"""How orders get into the kernel and out of it: admitted whole or not at all, in lists too.

Orders that wait for a parent are kept here and enter when it is filled: only then is there what they
need, and what the account lacks then ends them. Everything else is the kernel's.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import msgspec

from engine.exchange.accounts import Accounts
from engine.exchange.admission import REASONS, WHYS, Plan, plan, sized
from engine.exchange.checks import check, check_active, check_price
from engine.exchange.clearing import Clearing, Entry
from engine.exchange.market import Market
from engine.exchange.orders import NewOrder, Order, Refused, Status, Why
from engine.exchange.records import Records
from engine.exchange.walk import Met
from ext.matching import INVALID, LIMIT, NO_TRIGGER, REDUCE_ONLY


class Intake:
    """See the module. `watch` is told of each accepted order, whose end the clock may bring."""

    def __init__(
        self,
        markets: Mapping[int, Market],
        accounts: Accounts,
        records: Records,
        clearing: Clearing,
        watch: Callable[[Order], None],
    ) -> None:
        self._markets = markets
        self._accounts = accounts
        self._records = records
        self._clearing = clearing
        self._watch = watch
        self._groups = 0

    # --- admission --------------------------------------------------------------------------------

    def admit(self, account: str, orders: Sequence[NewOrder], now_ns: int) -> list[Plan]:
        """What the kernel will be asked for each of a list; raises Refused and changes nothing."""
        self._check_account(account, orders, now_ns)
        needs: dict[str, int] = defaultdict(int)
        dearest: dict[tuple[int, str], int] = defaultdict(int)
        plans = []
        for place, new in enumerate(orders):
            self._check_relatives(account, orders, place)
            ready = self._plan(account, new, now_ns, place)
            plans.append(ready)
            if new.parent:
                continue
            if new.group:
                key = (new.group, ready.asset)
                dearest[key] = max(dearest[key], ready.need)
            else:
                needs[ready.asset] += ready.need
        for (group, asset), need in dearest.items():
            needs[asset] += self._clearing.more_needed(group, asset, need, 0)
        for asset, need in needs.items():
            self._require(account, asset, need)
        return plans

    def _check_account(self, account: str, orders: Sequence[NewOrder], now_ns: int) -> None:
        if self._accounts.suspended(account):
            raise Refused(Why.ADMIN, "the account may not place orders")
        if not orders:
            raise Refused(Why.INVALID, "a list of no orders")
        names = set()
        for new in orders:
            if new.deadline_ns and now_ns > new.deadline_ns:
                raise Refused(Why.DEADLINE, "the deadline passed")
            if new.instrument not in self._markets:
                raise Refused(Why.UNKNOWN_SYMBOL, f"no instrument {new.instrument}")
            if new.instrument != orders[0].instrument:
                raise Refused(Why.INVALID, "the orders of a list are of one instrument")
            name = new.client_id
            if name and (name in names or self._records.is_open(account, name)):
                raise Refused(Why.DUPLICATE_CLIENT_ID, f"client id {name!r} names an open order")
            names.add(name)

    def _check_relatives(self, account: str, orders: Sequence[NewOrder], place: int) -> None:
        """A parent is an earlier one of the list or an open order; a group has open orders."""
        new = orders[place]
        if -new.parent > place:
            raise Refused(Why.INVALID, "a parent comes before its children")
        if new.parent > 0:
            parent = self._clearing.entries.get(new.parent)
            if parent is None or not _is_of(parent, account, new):
                raise Refused(Why.UNKNOWN_ORDER, f"no open order {new.parent} to be the parent")
        if new.group > 0:
            others = self._clearing.groups.get(new.group, ())
            if not any(_is_of(other, account, new) for other in others):
                raise Refused(Why.INVALID, f"no group {new.group}")

    def _plan(self, account: str, new: NewOrder, now_ns: int, more: int) -> Plan:
        market = self._markets[new.instrument]

        def met(kernel: int) -> Met | None:
            entry = self._clearing.met(market, kernel)
            if entry is None:
                return None
            owner = self._accounts.owner(entry.order.account)
            return Met(owner, entry.order.request.group)

        new = sized(market, new, self._accounts.owner(account), met)
        check(market, new, now_ns, more)
        if new.flags & REDUCE_ONLY:
            raise Refused(Why.REDUCE_ONLY, "a spot account has no position to reduce")
        if not new.parent and new.trigger == NO_TRIGGER:
            check_active(market, new)
        return plan(market, new, self._accounts, account, met)

    def _require(self, account: str, asset: str, units: int) -> None:
        free = self._accounts.free(account, asset)
        if units > free:
            raise Refused(
                Why.INSUFFICIENT_BALANCE, f"{units} units of {asset} needed, {free} are free"
            )

    # --- orders -----------------------------------------------------------------------------------

    def take(self, account: str, orders: Sequence[NewOrder], now_ns: int) -> list[Order]:
        """Take orders, all or none; raises Refused."""
        market = self._markets.get(orders[0].instrument) if orders else None
        if market is not None:
            self.move(market, now_ns)
        plans = self.admit(account, orders, now_ns)
        groups = self._groups
        entries: list[Entry] = []
        for new, ready in zip(orders, plans, strict=True):
            parent = entries[-1 - new.parent].order.number if new.parent < 0 else new.parent
            group = groups - new.group if new.group < 0 else new.group
            self._groups = max(self._groups, group)
            request = msgspec.structs.replace(new, parent=parent, group=group)
            entry = self._entry(account, request, ready, now_ns)
            entries.append(entry)
            self._clearing.open(entry, 0 if parent else ready.need)
            self._watch(entry.order)
        for entry, ready in zip(entries, plans, strict=True):
            if entry.order.request.parent:
                self._clearing.told(entry, now_ns)
            elif entry.order.open and ready.budget and entry is not entries[0]:
                self._clearing.lock(entry, 0)  # those before it took of the book it was planned on
                self._activate(entry, now_ns)
            elif entry.order.open:
                self._submit(entry, ready, now_ns)
        self.settle(entries[0].market, now_ns)
        return [entry.order for entry in entries]

    def _entry(self, account: str, request: NewOrder, ready: Plan, now_ns: int) -> Entry:
        order = Order(
            self._records.next_number(),
            account,
            request,
            Status.OPEN,
            request.ticks if request.kind == LIMIT else 0,
            ready.lots,
            now_ns,
            now_ns,
            working=request.trigger == NO_TRIGGER and not request.parent,
        )
        return Entry(order, ready.market, ready.asset, ready.bound, ready.worst_ppm, ready.budget)

    def _submit(self, entry: Entry, ready: Plan, now_ns: int) -> None:
        new, book = entry.order.request, ready.market.book
        self._clearing.enter(entry, book.next_order)
        book.submit(
            new.side,
            ready.kind,
            ready.ticks,
            ready.lots,
            self._accounts.owner(entry.order.account),
            ready.tif,
            new.flags,
            new.stp,
            new.trigger,
            new.trigger_ticks,
            new.offset,
            new.display,
            new.expire_ns if ready.tif == new.tif else 0,
            new.group,
        )
        self._clearing.clear(ready.market, now_ns)

    def _activate(self, entry: Entry, now_ns: int) -> None:
        """Its parent is filled, or another of its list has taken first: it is planned on what there is."""
        order, clearing = entry.order, self._clearing
        ticks = order.ticks or order.request.ticks
        lots = 0 if order.request.quote_units else order.lots
        request = msgspec.structs.replace(order.request, ticks=ticks, lots=lots, parent=0)
        try:
            ready = self._plan(order.account, request, now_ns, 0)
            more = clearing.more_needed(request.group, ready.asset, ready.need, 0)
            self._require(order.account, ready.asset, more)
        except Refused as refused:
            reason = REASONS.get(refused.why, INVALID)
            clearing.close(entry, Status.CANCELLED, reason, now_ns)
            return
        entry.bound, entry.worst_ppm, entry.budget = ready.bound, ready.worst_ppm, ready.budget
        order.working, order.lots = request.trigger == NO_TRIGGER, ready.lots
        clearing.lock(entry, ready.need)
        self._submit(entry, ready, now_ns)

    def entry(self, account: str, number: int) -> Entry:
        """An open order; raises Refused."""
        entry = self._clearing.entries.get(number)
        if entry is None or entry.order.account != account:
            raise Refused(Why.UNKNOWN_ORDER, f"no open order {number}")
        return entry

    def cancel(self, entry: Entry, reason: int, now_ns: int) -> None:
        """Take an open order out, wherever it is."""
        if entry.kernel:
            self.move(entry.market, now_ns)
            entry.market.book.cancel(entry.kernel)
        else:
            self._clearing.close(entry, Status.CANCELLED, reason, now_ns)
        self.settle(entry.market, now_ns)

    def replace(self, entry: Entry, ticks: int, lots: int, now_ns: int) -> None:
        """A new price or total of a limit order; 0 keeps the one it has. Raises Refused."""
        order, market = entry.order, entry.market
        new = msgspec.structs.replace(
            order.request, ticks=ticks or order.ticks, lots=lots or order.lots
        )
        if new.kind != LIMIT:
            raise Refused(Why.NO_REPLACE, "only a limit order can be replaced")
        if new.lots <= order.filled:
            raise Refused(Why.NO_REPLACE, "the new total is not above what is filled")
        check(market, new, now_ns, -1)
        stays = new.ticks == order.ticks and new.lots <= order.lots
        if order.working and not stays:
            check_price(market, new)
        if not entry.kernel:
            order.ticks, order.lots = new.ticks, new.lots
            self._clearing.told(entry, now_ns)
            return
        after = msgspec.structs.replace(
            entry, order=msgspec.structs.replace(order, ticks=new.ticks, lots=new.lots)
        )
        need, locked = after.need(after.leaves), entry.locked
        more = self._clearing.more_needed(new.group, entry.asset, need, locked)
        self._require(order.account, entry.asset, more)
        self._clearing.lock(entry, max(need, locked))
        market.book.replace(entry.kernel, new.ticks, new.lots)
        reason = self._clearing.clear(market, now_ns)
        if reason:
            self._clearing.lock(entry, locked)
            raise Refused(WHYS.get(reason, Why.NO_REPLACE), "the book does not replace it")
        self.settle(market, now_ns)

    # --- time -------------------------------------------------------------------------------------

    def move(self, market: Market, now_ns: int) -> None:
        """It is so late in a market."""
        if now_ns > market.book.now_ns:
            market.book.advance(now_ns)

    def settle(self, market: Market, now_ns: int) -> None:
        """All that follows from what the kernel did, up to the change of its levels."""
        clearing = self._clearing
        clearing.clear(market, now_ns)
        while clearing.due or clearing.orphans:
            if clearing.orphans:
                entry = clearing.orphans.pop()
                if entry.order.open:
                    market.book.cancel(entry.kernel)
                    clearing.clear(market, now_ns)
            else:
                entry = clearing.due.popleft()
                if entry.order.open:
                    self._activate(entry, now_ns)
        change = market.changed(now_ns)
        if change is not None:
            clearing.events.append(change)


def _is_of(entry: Entry, account: str, new: NewOrder) -> bool:
    order = entry.order
    return order.account == account and order.request.instrument == new.instrument
