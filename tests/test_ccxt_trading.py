"""Orders, fills and balances through the real ccxt client on both protocols of the exchange server.

Nothing of ccxt is changed but addresses and keys; a connection to another host fails the test.
"""

from collections.abc import AsyncIterator, Iterator

import pytest

from engine.messages import BUY, SELL, OrderState, TimeInForce
from engine.venues.trading import (
    BalancesSeen,
    ClockSeen,
    FillSeen,
    FillsSeen,
    OpenOrdersSeen,
    OrderMissing,
    OrderRef,
    OrderSeen,
    UsageSeen,
)
from tests import binance_server, kraken_server
from tests.ccxt_account import MS, SECOND_NS, Trader
from tests.loopback_only import loopback_only

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

# exchange: a price far below the market in ticks, the best ask in ticks, lots of an order,
# lots of the first level
NUMBERS = {
    "binance": (9_500, 10_010, 50_000, 100_000),
    "kraken": (490_000, 500_010, 10_000_000, 50_000_000),
}


@pytest.fixture(autouse=True)
def guard() -> Iterator[None]:
    """No other host."""
    with loopback_only():
        yield


@pytest.fixture(params=["binance", "kraken"])
async def trader(request: pytest.FixtureRequest) -> AsyncIterator[Trader]:
    """Account `main`, streaming, at a venue of each protocol."""
    server = binance_server if request.param == "binance" else kraken_server
    venue: binance_server.Venue | kraken_server.Venue = server.Venue()
    await venue.open()
    made = Trader(venue, request.param)
    await made.open()
    yield made
    await made.close()
    await venue.close()


async def test_an_order_rests_is_found_and_is_cancelled(trader: Trader) -> None:
    """By our id alone, by the venue's, in the list of open orders, and over the stream."""
    far, _, lots, _ = NUMBERS[trader.exchange]
    intent = trader.intent(BUY, far, lots)
    news = await trader.ask(trader.create(intent))
    (seen,) = [n for n in news if isinstance(n, OrderSeen)]
    assert (seen.client_order_id, seen.state) == (intent.client_order_id, OrderState.ACKNOWLEDGED)
    assert (seen.side, seen.ticks, seen.lots, seen.filled_lots) == (BUY, far, lots, 0)
    streamed = await trader.told(OrderSeen)
    assert streamed.client_order_id == intent.client_order_id
    assert streamed.venue_order_id == seen.venue_order_id
    for ref in (
        OrderRef(intent.client_order_id, "", 0),
        OrderRef(intent.client_order_id, seen.venue_order_id, 0),
    ):
        (found,) = [
            n
            for n in await trader.ask(trader.trading.query(ref, trader.now_ns()))
            if isinstance(n, OrderSeen)
        ]
        assert found[:8] == seen[:8]
    listed: list[OrderSeen] = []
    for request in trader.trading.open_orders(trader.now_ns()):
        (some,) = [n for n in await trader.ask(request) if isinstance(n, OpenOrdersSeen)]
        assert some.complete
        listed += some.orders
    assert [order.client_order_id for order in listed] == [intent.client_order_id]
    ref = OrderRef(intent.client_order_id, "", 0)
    await trader.ask(trader.trading.cancel(ref, trader.now_ns()))
    ended = await trader.told(OrderSeen, lambda n: n.state is OrderState.CANCELLED)
    assert (ended.client_order_id, ended.filled_lots) == (intent.client_order_id, 0)
    news = await trader.ask(trader.trading.query(ref, trader.now_ns()))
    assert [n.state for n in news if isinstance(n, OrderSeen)] == [OrderState.CANCELLED]


async def test_fills_come_by_the_stream_and_by_asking_alike(trader: Trader) -> None:
    """To the lot, with fees; the same trade has the same name either way."""
    _, ask, lots, level = NUMBERS[trader.exchange]
    intent = trader.intent(BUY, ask + 10, level + lots, time_in_force=TimeInForce.IOC)
    await trader.ask(trader.create(intent))
    await trader.until(lambda: sum(isinstance(n, FillSeen) for n in trader.news) == 2)
    streamed = sorted(n for n in trader.news if isinstance(n, FillSeen))
    assert sum(fill.lots for fill in streamed) == level + lots
    assert {fill.client_order_id for fill in streamed} == {intent.client_order_id}
    assert not any(fill.maker for fill in streamed)
    here = trader.venue.exchange.instruments[0]
    assert [f.fee for f in streamed] == [
        here.fee(f.ticks, f.lots, here.taker_fee_ppm) for f in streamed
    ]
    ended = await trader.told(OrderSeen, lambda n: n.state is OrderState.FILLED)
    assert ended.filled_lots == level + lots
    number = -1 if trader.trading.fills_by_account else 0
    request = trader.trading.fills(number, trader.now_ns() - SECOND_NS, 0, trader.now_ns())
    (asked,) = [n for n in await trader.ask(request) if isinstance(n, FillsSeen)]
    assert asked.more is None
    assert sorted(fill[1:10] for fill in asked.fills) == [fill[1:10] for fill in streamed]
    assert {fill.client_order_id for fill in asked.fills} == {intent.client_order_id}


async def test_an_order_that_rests_is_filled_in_part(trader: Trader) -> None:
    """As a maker."""
    _, ask, lots, _ = NUMBERS[trader.exchange]
    ref = await trader.place(BUY, ask - 5, lots)
    trader.venue.trade(SELL, lots // 4)
    fill = await trader.told(FillSeen)
    assert (fill.lots, fill.ticks, fill.maker) == (lots // 4, ask - 5, True)
    if trader.exchange == "binance":  # Kraken's, as ccxt has it, tells the trade alone
        partly = await trader.told(OrderSeen, lambda n: n.state is OrderState.PARTLY_FILLED)
        assert (partly.filled_lots, partly.lots) == (lots // 4, lots)
    await trader.ask(trader.trading.cancel(ref, trader.now_ns()))
    ended = await trader.told(OrderSeen, lambda n: n.state is OrderState.CANCELLED)
    assert ended.filled_lots == lots // 4


async def test_balances_and_the_clock(trader: Trader) -> None:
    """To the unit."""
    _, ask, lots, _ = NUMBERS[trader.exchange]
    intent = trader.intent(BUY, ask, lots, time_in_force=TimeInForce.IOC)
    await trader.ask(trader.create(intent))
    await trader.told(FillSeen)
    news = await trader.ask(trader.trading.balances(trader.now_ns()))
    (balances,) = [n for n in news if isinstance(n, BalancesSeen)]
    accounts = trader.venue.exchange.accounts
    rows = {asset: total for asset, total, _ in balances.rows}
    assert rows == {asset: accounts.total("main", asset) for asset in rows}
    assert set(rows) == {"BTC", "ETH", "USDT"}
    request = trader.trading.clock()
    assert request is not None
    (clock,) = [n for n in await trader.ask(request) if isinstance(n, ClockSeen)]
    slack_ns = 500 * MS if trader.exchange == "kraken" else 0
    assert abs(clock.venue_ns - trader.now_ns()) <= slack_ns + SECOND_NS
    if trader.exchange == "binance":
        assert any(isinstance(n, UsageSeen) for n in news)


async def test_an_order_that_never_was(trader: Trader) -> None:
    """Is missing, by our id."""
    ref = OrderRef("ab" + "0" * 16, "", 0)
    news = await trader.ask(trader.trading.query(ref, trader.now_ns()))
    assert [n for n in news if isinstance(n, OrderMissing)] == [OrderMissing(ref[0], 0)]


@pytest.mark.parametrize("exchange", ["binance", "kraken"])
async def test_what_is_asked_before_the_listings_are_there(exchange: str) -> None:
    """Questions wait for them; an order is refused, for it certainly did not leave."""
    server = binance_server if exchange == "binance" else kraken_server
    venue: binance_server.Venue | kraken_server.Venue = server.Venue()
    await venue.open()
    trader = Trader(venue, exchange, stream=False)
    asked = trader.send(trader.trading.balances(trader.now_ns()))
    with pytest.raises(AssertionError):
        trader.send(trader.create(trader.intent(BUY, 9_500, 10_000_000)))
    await trader.open(ready=False)
    assert any(isinstance(n, BalancesSeen) for n in await asked)
    assert not list(venue.exchange.all_orders("main"))
    await trader.close()
    await venue.close()
