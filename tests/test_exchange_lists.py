"""Lists of orders at the simulated exchange whose first order takes what a later one was planned on."""

from engine.exchange.orders import UNFUNDED, Status
from engine.messages import BUY, SELL
from tests.exchange_rig import BEGIN, around, limit, market, seed, venue


def test_a_market_order_of_a_list_pays_for_what_those_before_it_left() -> None:
    """The house gives nothing to it: it costs what the book is when its turn comes, or it ends."""
    exchange = around(venue())
    pair = (limit(BUY, 101, 10), market(BUY, 10))
    for order in exchange.place_list("ann", pair, BEGIN):
        assert order.status is Status.FILLED
    fees = [(fill.ticks, fill.lots, fill.fee) for fill in exchange.fills("ann")]
    assert fees == [(101, 10, 4), (102, 10, 4)]
    assert exchange.audit().problems == ()


def test_a_market_order_of_a_list_that_has_become_too_dear_ends() -> None:
    """It was affordable at the price of the level that the order before it took."""
    exchange = venue(balance=2_500)
    seed(exchange, (SELL, 101, 10), (SELL, 1_000, 10))
    first, second = exchange.place_list("ann", (limit(BUY, 101, 10), market(BUY, 10)), BEGIN)
    assert (first.status, second.status) == (Status.FILLED, Status.CANCELLED)
    assert (second.filled, second.reason) == (0, UNFUNDED)
    assert exchange.audit().problems == ()


def test_a_list_spends_no_more_of_the_quote_asset_than_was_said() -> None:
    """Though what it was sized by is gone when its turn comes."""
    exchange = venue()
    seed(exchange, (SELL, 100, 10), (SELL, 200, 10))
    pair = (limit(BUY, 100, 10), market(BUY, 0, quote_units=1_000))
    first, second = exchange.place_list("ann", pair, BEGIN)
    assert first.status is Status.FILLED
    assert (second.status, second.lots, second.value) == (Status.FILLED, 5, 1_000)
