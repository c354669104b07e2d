"""One venue of the simulated exchange: its markets, its accounts, and what is asked of them.

All wires of a venue talk to this one object. A request is refused with `Refused` and then changes
nothing, or it is done at once: what came of it is in the order and in the events.
"""

import heapq
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from engine.exchange.accounts import DAY_NS, LEDGER_MAX, Accounts
from engine.exchange.audit import Audit, audit
from engine.exchange.clearing import Clearing
from engine.exchange.intake import Intake
from engine.exchange.market import ORDERS_MAX, Market
from engine.exchange.orders import Event, Fill, NewOrder, Order, Status
from engine.exchange.records import FILLS_MAX, Records
from engine.exchange.records import ORDERS_MAX as FINAL_MAX
from engine.exchange.replayed import ReplayedMarket
from engine.instruments import Instrument
from ext.matching import (
    AUCTION,
    BY_CLIENT,
    BY_MASS,
    CONTINUOUS,
    DAY,
    END_OF_DAY,
    GTD,
    HALTED,
    OUT_OF_TIME,
    MatchingBook,
)

NEVER = 1 << 62
CATCH_UP_NS = 5_000_000_000
EVENTS_MAX = 1_000_000
"""Events kept for who takes them; the older half of more is shed and counted."""


class Flow(Protocol):
    """The simulated traders of one market; their orders have owner 0."""

    next_ns: int

    def open(self, book: MatchingBook) -> None:
        """Put the first orders in."""

    def act(self, book: MatchingBook) -> object:
        """Do what is due at `next_ns`."""

    def skip_to(self, now_ns: int) -> None:
        """After a long pause the market goes on from now; it does not catch up."""


class Capacities(msgspec.Struct, frozen=True):
    """How much a venue keeps: orders in a book, final orders, fills, ledger entries of an account."""

    book_orders: int = ORDERS_MAX
    final_orders: int = FINAL_MAX
    fills: int = FILLS_MAX
    ledger: int = LEDGER_MAX


CAPACITIES = Capacities()


class Exchange:
    """See the module. `flows` by instrument id open their books at `begin_ns`.

    `books` by instrument id are replayed markets that stand in for the kernel's.
    """

    def __init__(
        self,
        venue: str,
        instruments: Sequence[Instrument],
        flows: Mapping[int, Flow] | None = None,
        begin_ns: int = 0,
        band_bps: int = 0,
        capacities: Capacities = CAPACITIES,
        books: Mapping[int, ReplayedMarket] | None = None,
    ) -> None:
        self.venue = venue
        self.instruments: Mapping[int, Instrument] = {i.id: i for i in instruments}
        self.symbols: Mapping[str, Instrument] = {i.symbol: i for i in instruments}
        self.markets: Mapping[int, Market] = {
            i.id: Market(i, band_bps, capacities.book_orders, (books or {}).get(i.id))
            for i in instruments
        }
        self.accounts = Accounts(instruments, capacities.ledger)
        self.now_ns = begin_ns
        self.events_shed = 0
        self._records = Records(capacities.final_orders, capacities.fills)
        self._clearing = Clearing(self.accounts, self._records)
        self._intake = Intake(
            self.markets, self.accounts, self._records, self._clearing, self._watch
        )
        self._flows = dict(flows or {})
        self._acts: list[tuple[int, int]] = []
        self._expiries: list[tuple[int, int]] = []
        for number, flow in self._flows.items():
            market = self.markets[number]
            market.book.advance(begin_ns)
            flow.open(market.book)
            heapq.heappush(self._acts, (flow.next_ns, number))
            self._intake.settle(market, begin_ns)
        self._clearing.events.clear()

    # --- requests ---------------------------------------------------------------------------------

    def place(self, account: str, new: NewOrder, now_ns: int) -> Order:
        """Take an order; raises Refused. It is the order itself, and changes with it."""
        return self.place_list(account, (new,), now_ns)[0]

    def place_list(self, account: str, orders: Sequence[NewOrder], now_ns: int) -> list[Order]:
        """Take orders that hang together, all or none; raises Refused.

        Inside a list `parent` -1 is its first order, and `group` -1 a new group. What one of them
        does to the market may end a later one: that is in its status.
        """
        self.advance(now_ns)
        return self._intake.take(account, orders, now_ns)

    def test(self, account: str, new: NewOrder, now_ns: int) -> None:
        """All the checks of `place`, and nothing done; raises Refused."""
        self.advance(now_ns)
        self._intake.admit(account, (new,), now_ns)

    def cancel(self, account: str, number: int, now_ns: int) -> Order:
        """Take an order out; raises Refused."""
        self.advance(now_ns)
        entry = self._intake.entry(account, number)
        self._intake.cancel(entry, BY_CLIENT, now_ns)
        return entry.order

    def cancel_all(self, account: str, instrument: int | None, now_ns: int) -> list[Order]:
        """Take out all orders of an account, of one instrument or of all."""
        self.advance(now_ns)
        orders = self.open_orders(account, instrument)
        for number in sorted({order.request.instrument for order in orders}):
            market = self.markets[number]
            self._intake.move(market, now_ns)
            market.book.mass_cancel(self.accounts.owner(account))
            self._intake.settle(market, now_ns)
        for order in orders:
            entry = self._clearing.entries.get(order.number)
            if entry is not None:
                self._intake.cancel(entry, BY_MASS, now_ns)
        return orders

    def replace(self, account: str, number: int, ticks: int, lots: int, now_ns: int) -> Order:
        """A new price or total of a limit order; 0 keeps the one it has. Raises Refused."""
        self.advance(now_ns)
        entry = self._intake.entry(account, number)
        self._intake.replace(entry, ticks, lots, now_ns)
        return entry.order

    # --- what there is ----------------------------------------------------------------------------

    def order(self, account: str, number: int) -> Order:
        """An order of an account; raises Refused."""
        return self._records.order(account, number)

    def lives(self, number: int) -> bool:
        """Whether an order, anybody's, is open."""
        found = self._records.orders.get(number)
        return found is not None and found.open

    def by_client_id(self, account: str, client_id: str) -> Order:
        """The latest order with this id; raises Refused."""
        return self._records.by_client_id(account, client_id)

    def open_orders(self, account: str, instrument: int | None = None) -> list[Order]:
        """Open orders by rising number."""
        return self._records.open_orders(account, instrument)

    def all_orders(self, account: str, instrument: int | None = None) -> list[Order]:
        """All orders that are kept, by rising number."""
        return self._records.all_orders(account, instrument)

    def fills(self, account: str, instrument: int | None = None, since: int = 0) -> list[Fill]:
        """The fills that are kept, after the one of number `since`."""
        return self._records.fills(account, instrument, since)

    def fill_count(self, account: str) -> int:
        """How many fills an account has had in all."""
        return self._records.fill_count_of(account)

    def take_events(self) -> list[Event]:
        """Everything since last asked, in order."""
        self._clearing.tell_balances(self.now_ns)
        events, self._clearing.events = self._clearing.events, []
        return events

    def audit(self) -> Audit:
        """Everything an ending comparison needs, and what does not hold of what must."""
        return audit(self.venue, self.markets, self.accounts, self._records, self._clearing)

    # --- time -------------------------------------------------------------------------------------

    def next_due_ns(self) -> int:
        """When the markets move by themselves next."""
        return self._due_ns()

    def _due_ns(self) -> int:
        acts = self._acts[0][0] if self._acts else NEVER
        expiry = self._expiries[0][0] if self._expiries else NEVER
        return min(acts, expiry)

    def advance(self, now_ns: int) -> None:
        """Everything due up to now, in order of time; a flow that lags far behind goes on from now."""
        while (due_ns := self._due_ns()) <= now_ns:
            if self._expiries and self._expiries[0][0] == due_ns:
                self._expire(heapq.heappop(self._expiries)[1], due_ns)
                continue
            _, number = heapq.heappop(self._acts)
            flow = self._flows[number]
            if now_ns - due_ns > CATCH_UP_NS:
                flow.skip_to(now_ns)
            else:
                market = self.markets[number]
                self._intake.move(market, due_ns)
                flow.act(market.book)
                self._intake.settle(market, due_ns)
            heapq.heappush(self._acts, (flow.next_ns, number))
        self.now_ns = max(self.now_ns, now_ns)
        if len(self._clearing.events) > EVENTS_MAX:
            self.events_shed += len(self._clearing.events) - EVENTS_MAX // 2
            del self._clearing.events[: -EVENTS_MAX // 2]

    def clock_was_set(self, now_ns: int) -> None:
        """Set back, the markets go on from there, and do not stand still until it is as late again."""
        if now_ns >= self.now_ns:
            return
        for _, number in self._acts:
            self._flows[number].skip_to(now_ns)
        self._acts = [(self._flows[number].next_ns, number) for _, number in self._acts]
        heapq.heapify(self._acts)

    def _expire(self, number: int, due_ns: int) -> None:
        entry = self._clearing.entries.get(number)
        if entry is None:
            return
        tif = entry.order.request.tif
        reason = END_OF_DAY if tif == DAY else OUT_OF_TIME
        if not entry.kernel:
            self._clearing.close(entry, Status.EXPIRED, reason, due_ns)
        entry.market.book.advance(due_ns)
        if tif == DAY:
            entry.market.book.end_day()
        self._intake.settle(entry.market, due_ns)
        if entry.order.open:  # the kernel has it as one that never rests, while it waits
            self._clearing.overruled[number] = (Status.EXPIRED, reason)
            self._intake.cancel(entry, reason, due_ns)

    def _watch(self, order: Order) -> None:
        """The clock may end this order: its own time, or the end of the day (UTC)."""
        tif = order.request.tif
        if tif in (GTD, DAY):
            day_end_ns = (order.created_ns // DAY_NS + 1) * DAY_NS
            end_ns = order.request.expire_ns if tif == GTD else day_end_ns
            heapq.heappush(self._expiries, (end_ns, order.number))
        live = self._clearing.entries
        if len(self._expiries) > 2 * len(live) + 64:
            self._expiries = [each for each in self._expiries if each[1] in live]
            heapq.heapify(self._expiries)

    def act(self, instrument: int, act: Callable[[MatchingBook], None], now_ns: int) -> None:
        """Do something on a book in nobody's name, and clear what comes of it."""
        market = self.markets[instrument]
        self._intake.move(market, now_ns)
        act(market.book)
        self._intake.settle(market, now_ns)

    def account_of_key(self, key: str) -> str:
        """Whose key it is; '' for nobody's."""
        found = self.accounts.by_key(key)
        return found.account if found is not None else ""

    def set_halted(self, halted: bool, now_ns: int) -> None:
        """All markets stop to take orders, or take them again."""
        for number in self.markets:
            self.set_phase(number, HALTED if halted else CONTINUOUS, now_ns)

    def set_phase(self, instrument: int, phase: int, now_ns: int) -> None:
        """Take a market to another phase, with all that comes of it."""
        market = self.markets[instrument]
        self._intake.move(market, now_ns)
        if phase == AUCTION:
            for entry in list(self._clearing.entries.values()):
                if entry.market is market and entry.bound and entry.kernel and market.band_bps:
                    self._intake.cancel(entry, BY_MASS, now_ns)
        market.book.set_phase(phase)
        self._intake.settle(market, now_ns)
