"""What the simulated exchange refuses: each reason can happen, and nothing changes."""

from collections.abc import Callable

import pytest

from engine.exchange.exchange import Capacities, Exchange
from engine.exchange.orders import (
    NewOrder,
    Why,
)
from engine.messages import BUY, SELL
from ext.matching import (
    AUCTION,
    CLOSED,
    HALTED,
    IOC,
    LIMIT,
    POST_ONLY,
    REDUCE_ONLY,
    STOP,
    TRAIL_TICKS,
)
from tests.exchange_rig import (
    BEGIN,
    around,
    limit,
    market,
    refusal,
    seed,
    venue,
)

Ask = Callable[[Exchange], object]


def place(new: NewOrder, name: str = "ann", now_ns: int = BEGIN) -> Ask:
    """A request to place one order."""
    return lambda exchange: exchange.place(name, new, now_ns)


def both(*orders: NewOrder) -> Ask:
    """A request to place a list."""
    return lambda exchange: exchange.place_list("ann", orders, BEGIN)


# --- refusals ----------------------------------------------------------------------------------------


REFUSALS: list[tuple[Why, Ask]] = [
    (Why.UNKNOWN_SYMBOL, place(NewOrder(7, BUY, LIMIT, 1, 90))),
    (Why.UNKNOWN_ORDER, lambda e: e.cancel("ann", 1, BEGIN)),
    (Why.UNKNOWN_ORDER, lambda e: e.cancel("bob", 2, BEGIN)),
    (Why.UNKNOWN_ORDER, lambda e: e.order("bob", 2)),
    (Why.UNKNOWN_ORDER, lambda e: e.by_client_id("ann", "nobody")),
    (Why.UNKNOWN_ORDER, lambda e: e.replace("ann", 99, 0, 1, BEGIN)),
    (Why.UNKNOWN_ORDER, place(limit(BUY, 90, 1, parent=1))),
    (Why.UNKNOWN_ORDER, place(limit(BUY, 90, 1, parent=2), "bob")),
    (Why.INSUFFICIENT_BALANCE, place(limit(BUY, 110, 950))),
    (Why.INSUFFICIENT_BALANCE, place(limit(SELL, 100, 1_000), "poor")),
    (Why.INSUFFICIENT_BALANCE, place(market(BUY, 20), "poor")),
    (Why.INSUFFICIENT_BALANCE, both(limit(BUY, 99, 700), limit(BUY, 98, 700))),
    (Why.INSUFFICIENT_BALANCE, lambda e: e.replace("ann", 2, 110, 950, BEGIN)),
    (Why.DUPLICATE_CLIENT_ID, place(limit(BUY, 90, 1, client_id="mine"))),
    (Why.DUPLICATE_CLIENT_ID, both(*[limit(BUY, 90, 1, client_id="same")] * 2)),
    (Why.INVALID, place(limit(BUY, 90, 1, tif=IOC, flags=POST_ONLY))),
    (Why.INVALID, place(market(BUY, 1, ticks=90))),
    (Why.INVALID, place(limit(BUY, 90, 1, quote_units=100))),
    (Why.INVALID, place(market(BUY, 1, quote_units=100))),
    (Why.INVALID, place(limit(BUY, 90, 1, group=5))),
    (Why.INVALID, both(limit(BUY, 90, 1, parent=-2), limit(BUY, 90, 1))),
    (Why.INVALID, both()),
    (Why.TICK, place(limit(BUY, 2_001, 1))),
    (Why.TICK, lambda e: e.replace("ann", 2, 2_001, 0, BEGIN)),
    (Why.LOT, place(limit(BUY, 90, 1_001))),
    (Why.LOT, place(market(BUY, 0, quote_units=10))),
    (Why.NOTIONAL, place(limit(BUY, 10, 4))),
    (Why.BAND, lambda e: e.place("ann", limit(BUY, 111, 1), BEGIN)),
    (Why.REDUCE_ONLY, place(limit(BUY, 90, 1, flags=REDUCE_ONLY))),
    (Why.WOULD_TAKE, place(limit(BUY, 101, 1, flags=POST_ONLY))),
    (Why.WOULD_TAKE, lambda e: e.replace("ann", 3, 101, 0, BEGIN)),
    (Why.DEADLINE, place(limit(BUY, 90, 1, deadline_ns=BEGIN - 1))),
    (Why.NO_REPLACE, lambda e: e.replace("ann", 4, 0, 1, BEGIN)),
    (Why.NO_REPLACE, lambda e: e.replace("ann", 5, 0, 2, BEGIN)),
    (Why.ADMIN, place(limit(BUY, 90, 1), "gone")),
]


@pytest.mark.parametrize(("why", "ask"), REFUSALS, ids=lambda each: str(getattr(each, "name", "")))
def test_what_is_refused_says_why_and_changes_nothing(why: Why, ask: Ask) -> None:
    """Orders 1 to 5: cancelled, resting, post-only, waiting for its stop, filled in part."""
    exchange = around(venue(band_bps=1_000))
    exchange.accounts.add("poor", "p", b"", {"BTC": 10, "USDT": 100})
    exchange.accounts.add("gone", "g", b"", {})
    exchange.accounts.suspend("gone", True)
    seed(exchange, (BUY, 100, 1), (SELL, 100, 1))
    first = exchange.place("ann", limit(BUY, 95, 1), BEGIN)
    exchange.cancel("ann", first.number, BEGIN)
    exchange.place("ann", limit(BUY, 95, 1, client_id="mine"), BEGIN)
    exchange.place("ann", limit(BUY, 95, 1, flags=POST_ONLY), BEGIN)
    exchange.place("ann", market(SELL, 1, trigger=STOP, trigger_ticks=92), BEGIN)
    exchange.place("ann", limit(BUY, 100, 3), BEGIN)
    seed(exchange, (SELL, 100, 2))
    assert refusal(exchange, lambda: ask(exchange)) is why
    assert exchange.audit().problems == ()


def test_phases_and_room_refuse_too() -> None:
    """A halt, a close, an auction, a full book; and with these all that `Why` has can happen."""
    exchange = around(venue(capacities=Capacities(book_orders=5)))
    found = {why for why, _ in REFUSALS}
    for phase, new in (
        (HALTED, limit(BUY, 90, 1)),
        (CLOSED, limit(BUY, 90, 1)),
        (AUCTION, market(BUY, 1)),
    ):
        exchange.set_phase(0, phase, BEGIN)
        found.add(refusal(exchange, lambda new=new: exchange.place("ann", new, BEGIN)))
    exchange.set_halted(False, BEGIN)
    exchange.place("ann", limit(BUY, 90, 1), BEGIN)
    found.add(refusal(exchange, lambda: exchange.place("ann", limit(BUY, 90, 1), BEGIN)))
    assert found == set(Why)


def test_a_trailing_buy_needs_a_price_to_begin_from() -> None:
    """Before the first trade nothing says what it may cost."""
    exchange = around(venue())
    new = market(BUY, 1, trigger=TRAIL_TICKS, offset=3)
    assert refusal(exchange, lambda: exchange.place("ann", new, BEGIN)) is Why.INVALID
    exchange.place("ann", market(SELL, 1, trigger=TRAIL_TICKS, offset=3), BEGIN)


def test_a_test_is_all_of_placing_but_the_order() -> None:
    """It refuses for the same reasons, and where it does not, nothing is there after it."""
    exchange = around(venue())
    exchange.test("ann", limit(BUY, 101, 5), BEGIN)
    assert exchange.all_orders("ann") == []
    assert refusal(exchange, lambda: exchange.test("ann", limit(BUY, 10, 4), BEGIN)) is Why.NOTIONAL
