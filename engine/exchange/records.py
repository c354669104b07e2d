"""What is kept of orders and fills: everything open, and of the past as much as has room.

What is shed is counted, and its sums are kept, so that an audit stays exact.
"""

from collections import deque

import msgspec

from engine.exchange.orders import Fill, Order, Refused, Why

ORDERS_MAX = 100_000
FILLS_MAX = 200_000


class Sums(msgspec.Struct):
    """Counts and sums of lots and value (ticks times lots) of what was shed."""

    orders: int = 0
    orders_lots: int = 0
    orders_value: int = 0
    fills: int = 0
    fills_lots: int = 0
    fills_value: int = 0


class Records:
    """The orders and fills of a venue. `orders_max` final orders and `fills_max` fills are kept."""

    def __init__(self, orders_max: int = ORDERS_MAX, fills_max: int = FILLS_MAX) -> None:
        self.orders: dict[int, Order] = {}
        self.order_count = 0
        self.fill_count = 0
        self.shed = Sums()
        self._orders_max = orders_max
        self._fills_max = fills_max
        self._of_account: dict[str, dict[int, Order]] = {}
        self._open: dict[str, dict[int, Order]] = {}
        self._names: dict[tuple[str, str], int] = {}
        self._final: deque[int] = deque()
        self._fills: dict[str, deque[Fill]] = {}
        self._fill_counts: dict[str, int] = {}
        self._fill_owners: deque[str] = deque()

    def next_number(self) -> int:
        """The number of the next order; the caller uses it."""
        self.order_count += 1
        return self.order_count

    def opened(self, order: Order) -> None:
        """An order was accepted."""
        self.orders[order.number] = order
        self._of_account.setdefault(order.account, {})[order.number] = order
        self._open.setdefault(order.account, {})[order.number] = order
        if order.request.client_id:
            self._names[order.account, order.request.client_id] = order.number

    def closed(self, order: Order) -> None:
        """An order is final; the oldest final one may have to go for it."""
        del self._open[order.account][order.number]
        self._final.append(order.number)
        if len(self._final) > self._orders_max:
            gone = self.orders.pop(self._final.popleft())
            del self._of_account[gone.account][gone.number]
            name = (gone.account, gone.request.client_id)
            if self._names.get(name) == gone.number:
                del self._names[name]
            self.shed.orders += 1
            self.shed.orders_lots += gone.filled
            self.shed.orders_value += gone.value

    def filled(self, fill: Fill) -> None:
        """A fill was made; the oldest may have to go for it."""
        account = fill.account
        self.fill_count += 1
        self._fills.setdefault(account, deque()).append(fill)
        self._fill_counts[account] = self._fill_counts.get(account, 0) + 1
        self._fill_owners.append(account)
        if len(self._fill_owners) > self._fills_max:
            gone = self._fills[self._fill_owners.popleft()].popleft()
            self.shed.fills += 1
            self.shed.fills_lots += gone.lots
            self.shed.fills_value += gone.ticks * gone.lots

    # --- what is asked for ------------------------------------------------------------------------

    def order(self, account: str, number: int) -> Order:
        """An account's order; raises Refused."""
        order = self.orders.get(number)
        if order is None or order.account != account:
            raise Refused(Why.UNKNOWN_ORDER, f"no order {number}")
        return order

    def by_client_id(self, account: str, client_id: str) -> Order:
        """The latest order with this id; raises Refused."""
        number = self._names.get((account, client_id))
        if number is None:
            raise Refused(Why.UNKNOWN_ORDER, f"no order {client_id!r}")
        return self.orders[number]

    def is_open(self, account: str, client_id: str) -> bool:
        """Whether an open order of the account has this id."""
        number = self._names.get((account, client_id))
        return number is not None and self.orders[number].open

    def open_orders(self, account: str, instrument: int | None = None) -> list[Order]:
        """Open orders by rising number."""
        return _of(self._open.get(account, {}), instrument)

    def all_orders(self, account: str, instrument: int | None = None) -> list[Order]:
        """All that are kept, by rising number."""
        return _of(self._of_account.get(account, {}), instrument)

    def fills(self, account: str, instrument: int | None = None, since: int = 0) -> list[Fill]:
        """An account's fills after the one of a number, oldest first."""
        found = []
        for fill in reversed(self._fills.get(account, ())):
            if fill.number <= since:
                break
            if instrument is None or fill.instrument == instrument:
                found.append(fill)
        found.reverse()
        return found

    def fill_count_of(self, account: str) -> int:
        """How many fills an account has had in all."""
        return self._fill_counts.get(account, 0)


def _of(orders: dict[int, Order], instrument: int | None) -> list[Order]:
    if instrument is None:
        return list(orders.values())
    return [order for order in orders.values() if order.request.instrument == instrument]
