"""An exchange whose house trades at the worst moment: before a cancel, and before an order that takes.

What the house does it does as the simulated flow, in the kernel and in the books: every trade is a real
one, and all balances still add up.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from engine.exchange.exchange import Exchange
from engine.exchange.faults import Asked, Faults
from engine.exchange.market import Market
from engine.exchange.orders import NewOrder, Order, OrderChange
from engine.exchange.walk import in_turn
from engine.fault_config import FaultConfig, FaultKind
from ext.matching import CONTINUOUS, FOK, IOC, LIMIT, MARKET, NO_TRIGGER, RESTING, MatchingBook

ROUNDS_MAX = 16
"""How often the house tries again for an order whose hidden part has gone behind others."""


class Cut(NamedTuple):
    """How an order comes to get only part: nothing dearer than `ticks`, less what the house takes."""

    ticks: int
    house_lots: int


class RacingExchange(Exchange):
    """See the module. Without faults of these kinds it is an exchange like any other."""

    faults = Faults(0, "")

    # --- before a cancel --------------------------------------------------------------------------

    def cancel(self, account: str, number: int, now_ns: int) -> Order:
        """See `Exchange`; it may come too late."""
        if self.faults.races:
            self._fill_first(account, number, now_ns)
        return super().cancel(account, number, now_ns)

    def cancel_all(self, account: str, instrument: int | None, now_ns: int) -> list[Order]:
        """See `Exchange`; for some of them it may come too late."""
        if self.faults.races:
            for order in self.open_orders(account, instrument):
                self._fill_first(account, order.number, now_ns)
        return super().cancel_all(account, instrument, now_ns)

    def replace(self, account: str, number: int, ticks: int, lots: int, now_ns: int) -> Order:
        """See `Exchange`; it may come too late."""
        if self.faults.races:
            self._fill_first(account, number, now_ns)
        return super().replace(account, number, ticks, lots, now_ns)

    def _fill_first(self, account: str, number: int, now_ns: int) -> None:
        """The house fills an order that rests, and whatever has priority over it."""
        self.advance(now_ns)
        entry = self._clearing.entries.get(number)
        if entry is None or entry.order.account != account or not entry.kernel:
            return
        market, kernel = entry.market, entry.kernel
        view = market.book.order(kernel)
        if view is None or view.state != RESTING or market.book.phase != CONTINUOUS:
            return
        if not self._strikes(
            FaultKind.FILL_BEFORE_CANCEL, account, market, now_ns, lambda _: f"order {number}"
        ):
            return
        if market.replayed is not None:
            replayed = market.replayed
            self.act(market.instrument.id, lambda _: replayed.overtake(kernel), now_ns)
            return
        for _ in range(ROUNDS_MAX):
            lots = 0
            for other, _, _, leaves in market.book.resting(view.side):
                lots += leaves
                if other == kernel:
                    break
            self._house(market, -view.side, view.ticks, lots, now_ns)
            if market.book.order(kernel) is None:
                return

    # --- before an order that takes ---------------------------------------------------------------

    def place_list(self, account: str, orders: Sequence[NewOrder], now_ns: int) -> list[Order]:
        """See `Exchange`; one order that would take and not rest may get only part."""
        cut = None
        if self.faults.races and len(orders) == 1:
            cut = self._cut(account, orders[0], now_ns)
        if cut is None:
            return super().place_list(account, orders, now_ns)
        new = orders[0]
        limited = msgspec.structs.replace(new, kind=LIMIT, ticks=cut.ticks, tif=IOC)
        placed = super().place_list(account, (limited,), now_ns)
        for order in placed:
            asked = msgspec.structs.replace(new, group=order.request.group)
            self._say_as_asked(order, asked)
        return placed

    def _cut(self, account: str, new: NewOrder, now_ns: int) -> Cut | None:
        """Let the house take from what an order would take, so that it gets only part."""
        self.advance(now_ns)
        market = self.markets.get(new.instrument)
        plain = new.trigger == NO_TRIGGER and not new.parent and not new.quote_units
        takes = new.kind == MARKET or (new.kind == LIMIT and new.tif == IOC)
        if market is None or not plain or not takes or new.tif == FOK:
            return None
        if market.book.phase != CONTINUOUS:
            return None
        super().test(account, new, now_ns)
        cuts: list[Cut] = []

        def what(fault: FaultConfig) -> str:
            wanted = max(1, int(new.lots * fault.part))
            cut = cut_of(market, new, wanted)
            if cut is None:
                return ""
            cuts.append(cut)
            return f"{wanted} of {new.lots} lots"

        if not self._strikes(FaultKind.PARTIAL_FILL, account, market, now_ns, what):
            return None
        cut = cuts[-1]
        if cut.house_lots:
            self._house(market, new.side, cut.ticks, cut.house_lots, now_ns)
        return cut

    def _say_as_asked(self, order: Order, asked: NewOrder) -> None:
        """The order is told as its client placed it, not as it was cut."""
        order.request = asked
        order.ticks = asked.ticks
        for event in self._clearing.events:
            if isinstance(event, OrderChange) and event.order.number == order.number:
                event.order.request = asked
                event.order.ticks = order.ticks

    # --- the house --------------------------------------------------------------------------------

    def _strikes(
        self,
        kind: FaultKind,
        account: str,
        market: Market,
        now_ns: int,
        what: Callable[[FaultConfig], str],
    ) -> bool:
        asked = Asked("", account, market.instrument.symbol)
        at_ns = now_ns - self.faults.skew_ns
        return self.faults.of_kind(kind, asked, at_ns, what) is not None

    def _house(self, market: Market, side: int, ticks: int, lots: int, now_ns: int) -> None:
        """An order of the house that takes and does not rest."""

        def take(book: MatchingBook) -> None:
            book.submit(side, LIMIT, ticks, min(lots, market.lots_max), 0, IOC)

        self.act(market.instrument.id, take, now_ns)


def cut_of(market: Market, new: NewOrder, wanted: int) -> Cut | None:
    """The price up to which an order gets what is `wanted`, and what of that the house must take.

    None where it would get no more than that anyway, or there is too little for the house to take.
    """
    there = ticks = 0
    for _, price, _, leaves in in_turn(market.book, -new.side):
        if new.kind == LIMIT and (price - new.ticks) * new.side > 0:
            break
        if there >= wanted and price != ticks:
            break
        there += leaves
        ticks = price
    excess = there - wanted
    if excess < 0 or wanted >= new.lots:
        return None
    if excess == 0:
        return Cut(ticks, 0)
    house = max(excess, -(-market.notional_min // ticks))
    return Cut(ticks, house) if house < there else None
