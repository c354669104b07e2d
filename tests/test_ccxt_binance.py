"""The real ccxt clients trade on the exchange's Binance: only their addresses and keys are changed.

Any connection to another host fails the test. What ccxt says by address (a part of its errors) is also
asked of it with Binance's own address.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import ccxt
import pytest
from ccxt import async_support
from ccxt.base.errors import (
    InsufficientFunds,
)

from ext.matching import BUY, SELL
from tests.binance_server import (
    KEY,
    SECRET,
    Venue,
    ccxt_urls,
)
from tests.loopback_only import LeftTheMachine, loopback_only

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
PAIR = "BTC/USDT"
HOME = "https://api.binance.com/api/v3/order"


@pytest.fixture(autouse=True)
def guard() -> Iterator[None]:
    """No other host."""
    with loopback_only():
        yield


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    """A venue on loopback."""
    made = Venue()
    await made.open()
    yield made
    await made.close()


def client_of(venue: Venue, key: str = KEY, secret: str = SECRET) -> async_support.binance:
    """A client with nothing changed but addresses and keys."""
    return async_support.binance({"apiKey": key, "secret": secret, "urls": ccxt_urls(venue)})


@pytest.fixture
async def client(venue: Venue) -> AsyncIterator[async_support.binance]:
    """The client of account `main`, its markets loaded."""
    made = client_of(venue)
    await made.load_markets()
    yield made
    made.timeout_on_exit = 0  # its pause for far sockets to close
    await made.close()


def test_another_host_is_never_asked() -> None:
    """The guard of these tests itself."""
    asked = pytest.raises((LeftTheMachine, ccxt.NetworkError))
    with pytest.raises(AssertionError, match="asked for"), loopback_only(), asked:
        ccxt.binance().fetch_time()


# --- what there is ----------------------------------------------------------------------------


async def test_markets_and_what_is_asked_for_them(
    venue: Venue, client: async_support.binance
) -> None:
    """Spot is there; margin, futures and coins in networks are answered and empty."""
    assert set(venue.wire.asked) == {
        "GET /api/v3/exchangeInfo",
        "GET /sapi/v1/capital/config/getall",
        "GET /sapi/v1/margin/allPairs",
        "GET /sapi/v1/margin/isolated/allPairs",
        "GET /fapi/v1/exchangeInfo",
        "GET /dapi/v1/exchangeInfo",
    }
    assert list(client.symbols) == ["BTC/USDT", "ETH/BTC", "ETH/USDT"]
    market = client.markets[PAIR]
    assert market["active"]
    assert market["spot"]
    assert not market["margin"]
    assert market["precision"]["price"] == 0.01
    assert market["precision"]["amount"] == 1e-05
    assert market["limits"]["cost"]["min"] == 5
    assert client.currencies["BTC"]["precision"] == 1e-08
    client.options["fetchMarkets"]["loadAllOptions"] = True
    assert len(await client.load_markets(True)) == 3


async def test_without_keys_there_is_the_public_half(venue: Venue) -> None:
    """Nothing that needs a key is asked."""
    made = async_support.binance({"urls": ccxt_urls(venue)})
    await made.load_markets()
    book = await made.fetch_order_book(PAIR)
    await made.close()
    assert book["bids"][0] == [99.9, 1.0]
    assert not any("sapi" in asked for asked in venue.wire.asked)


async def test_public_data(venue: Venue, client: async_support.binance) -> None:
    """Books, trades, candles, tickers, as the exchange has them."""
    venue.trade(BUY, 150_000)
    book = await client.fetch_order_book(PAIR, 5)
    assert book["asks"] == [[100.2, 0.5], [100.3, 1], [100.4, 1], [100.5, 1], [100.6, 1]]
    assert book["nonce"] == venue.exchange.markets[0].sequence
    trades = await client.fetch_trades(PAIR)
    assert [(t["id"], t["price"], t["amount"]) for t in trades] == [
        ("1", 100.0, 1.0),
        ("2", 100.1, 1.0),
        ("3", 100.2, 0.5),
    ]
    plain = await client.fetch_trades(PAIR, params={"fetchTradesMethod": "publicGetTrades"})
    assert [t["side"] for t in plain] == ["sell", "buy", "buy"]
    candles = await client.fetch_ohlcv(PAIR, "1m")
    assert sum(candle[5] for candle in candles) == 2.5
    for timeframe in client.timeframes:
        candle = (await client.fetch_ohlcv(PAIR, timeframe))[-1]
        assert candle[2] >= candle[4] >= candle[3]
    ticker = await client.fetch_ticker(PAIR)
    assert (ticker["last"], ticker["bid"], ticker["ask"]) == (100.2, 99.9, 100.2)
    assert ticker["baseVolume"] == 2.5
    assert (await client.fetch_ticker(PAIR, {"rolling": True}))["high"] == 100.2
    assert set(await client.fetch_tickers()) == set(client.symbols)
    assert (await client.fetch_bids_asks([PAIR]))[PAIR]["askVolume"] == 0.5
    assert (await client.fetch_last_prices())[PAIR]["price"] == 100.2
    assert abs(await client.fetch_time() - client.milliseconds()) < 5_000
    assert (await client.fetch_status())["status"] == "ok"


async def test_account_data(client: async_support.binance) -> None:
    """Balances, fees, and histories that are empty here."""
    balance = await client.fetch_balance()
    assert balance["BTC"] == {"free": 10, "used": 0, "total": 10}
    fees = await client.fetch_trading_fees()
    assert (fees[PAIR]["maker"], fees[PAIR]["taker"]) == (0.001, 0.002)
    assert (await client.fetch_trading_fee(PAIR))["taker"] == 0.002
    assert await client.fetch_deposits() == []
    assert await client.fetch_withdrawals() == []
    assert set(await client.fetch_currencies()) == {"BTC", "ETH", "USDT"}


# --- orders -----------------------------------------------------------------------------------


async def test_the_life_of_a_limit_order(venue: Venue, client: async_support.binance) -> None:
    """Placed, seen, half filled, cancelled; the balance is right at each step."""
    order = await client.create_order(PAIR, "limit", "buy", 2, 99.95)
    assert (order["status"], order["filled"], order["remaining"]) == ("open", 0, 2)
    used = (await client.fetch_balance())["USDT"]["used"]
    assert used == pytest.approx(199.9 * 1.002)
    venue.trade(SELL, 50_000)
    seen = await client.fetch_order(order["id"], PAIR)
    assert (seen["status"], seen["filled"], seen["average"]) == ("open", 0.5, 99.95)
    assert seen["info"]["status"] == "PARTIALLY_FILLED"
    by_name = await client.fetch_order("", PAIR, {"clientOrderId": order["clientOrderId"]})
    assert by_name["id"] == order["id"]
    assert [o["id"] for o in await client.fetch_open_orders(PAIR)] == [order["id"]]
    ended = await client.cancel_order(order["id"], PAIR)
    assert (ended["status"], ended["filled"]) == ("canceled", 0.5)
    assert await client.fetch_open_orders(PAIR) == []
    balance = await client.fetch_balance()
    assert balance["BTC"]["total"] == 10.5
    assert balance["USDT"] == {
        "free": pytest.approx(100_000 - 49.975 * 1.001),
        "used": 0,
        "total": pytest.approx(100_000 - 49.975 * 1.001),
    }
    trades = await client.fetch_my_trades(PAIR)
    assert [(t["order"], t["takerOrMaker"], t["amount"]) for t in trades] == [
        (order["id"], "maker", 0.5)
    ]
    assert len(await client.fetch_order_trades(order["id"], PAIR)) == 1


async def test_market_orders_by_quantity_and_by_cost(client: async_support.binance) -> None:
    """What they took is in the answer, fill by fill."""
    order = await client.create_order(PAIR, "market", "buy", 1.5)
    assert (order["status"], order["filled"], order["cost"]) == ("closed", 1.5, 150.2)
    assert [trade["price"] for trade in order["trades"]] == [100.1, 100.2]
    assert order["fees"][0]["currency"] == "USDT"
    order = await client.create_market_buy_order_with_cost(PAIR, 50.1)
    assert order["filled"] == 0.5
    order = await client.create_market_sell_order_with_cost(PAIR, 99.9)
    assert (order["side"], order["filled"]) == ("sell", 1)


async def test_times_in_force(client: async_support.binance) -> None:
    """Immediate or cancel, fill or kill, post only."""
    order = await client.create_order(PAIR, "limit", "buy", 2, 100.1, {"timeInForce": "IOC"})
    assert (order["status"], order["filled"]) == ("expired", 1)
    order = await client.create_order(PAIR, "limit", "buy", 2, 100.2, {"timeInForce": "FOK"})
    assert (order["status"], order["filled"]) == ("expired", 0)
    order = await client.create_order(PAIR, "limit", "buy", 1, 100.1, {"timeInForce": "PO"})
    assert order["id"]
    seen = await client.fetch_order(order["id"], PAIR)
    assert (seen["status"], seen["postOnly"], seen["type"]) == ("open", True, "limit")


async def test_stops_wait_and_trigger(venue: Venue, client: async_support.binance) -> None:
    """Stop-loss and take-profit, market and limit; a trailing stop follows."""
    stop = await client.create_order(PAIR, "market", "sell", 1, None, {"stopLossPrice": 99})
    gain = await client.create_order(PAIR, "limit", "sell", 1, 101, {"takeProfitPrice": 101})
    trail = await client.create_order(
        PAIR, "STOP_LOSS", "sell", 1, None, {"trailingPercent": 1.5, "type": "spot"}
    )
    seen = await client.fetch_order(stop["id"], PAIR)
    assert (seen["status"], seen["triggerPrice"]) == ("open", 99)
    assert seen["info"]["type"] == "STOP_LOSS"
    assert seen["info"]["isWorking"] is False
    venue.trade(SELL, 1_000_000)
    assert (await client.fetch_order(stop["id"], PAIR))["status"] == "closed"
    assert (await client.fetch_order(trail["id"], PAIR))["status"] == "open"
    venue.trade(SELL, 500_000)
    assert (await client.fetch_order(trail["id"], PAIR))["status"] == "closed"
    venue.trade(BUY, 1_100_000)
    assert (await client.fetch_order(gain["id"], PAIR))["info"]["isWorking"] is True


async def test_icebergs_show_a_part(venue: Venue, client: async_support.binance) -> None:
    """The book has less than the order."""
    params = {"icebergAmount": 0.5}
    order = await client.create_order(PAIR, "limit", "buy", 2, 99.95, params)
    assert (await client.fetch_order_book(PAIR, 5))["bids"][0] == [99.95, 0.5]
    assert (await client.fetch_order(order["id"], PAIR))["info"]["icebergQty"] == "0.50000000"


async def test_an_order_never_meets_its_own_account(client: async_support.binance) -> None:
    """The mode says which of the two is expired."""
    sell = await client.create_order(PAIR, "limit", "sell", 1, 100.05)
    params = {"selfTradePrevention": "EXPIRE_MAKER"}
    buy = await client.create_order(PAIR, "limit", "buy", 1, 100.05, params)
    seen = await client.fetch_order(sell["id"], PAIR)
    assert (seen["status"], seen["info"]["status"]) == ("expired", "EXPIRED_IN_MATCH")
    assert seen["info"]["preventedQuantity"] == "1.00000000"
    assert buy["status"] == "open"
    assert buy["info"]["selfTradePreventionMode"] == "EXPIRE_MAKER"


async def test_edit_is_cancel_and_replace(client: async_support.binance) -> None:
    """The new order has a number of its own."""
    order = await client.create_order(PAIR, "limit", "buy", 1, 90)
    edited = await client.edit_order(order["id"], PAIR, "limit", "buy", 2, 91)
    assert edited["id"] != order["id"]
    assert edited["amount"] == 2
    assert (await client.fetch_order(order["id"], PAIR))["status"] == "canceled"
    with pytest.raises(ccxt.BaseError) as caught:
        await client.edit_order(order["id"], PAIR, "limit", "buy", 2, 92)
    assert json.loads(str(caught.value).partition(" ")[2])["code"] == -2022


async def test_lists_of_orders(venue: Venue, client: async_support.binance) -> None:
    """One cancels the other, one triggers the other, through the client's implicit methods."""
    request = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "quantity": "1",
        "aboveType": "LIMIT_MAKER",
        "abovePrice": "101",
        "belowType": "STOP_LOSS_LIMIT",
        "belowStopPrice": "99",
        "belowPrice": "98",
        "belowTimeInForce": "GTC",
    }
    made = await client.private_post_orderlist_oco(dict(request))
    assert made["contingencyType"] == "OCO"
    assert len(made["orderReports"]) == 2
    assert len(await client.private_get_openorderlist()) == 1
    used = (await client.fetch_balance())["BTC"]["used"]
    assert used == 1, "one of them will trade, not both"
    venue.trade(BUY, 1_100_000)
    statuses = {o["type"]: o["info"]["status"] for o in await client.fetch_orders(PAIR)}
    assert sorted(o["info"]["status"] for o in await client.fetch_orders(PAIR)) == [
        "EXPIRED",
        "FILLED",
    ], statuses
    await client.create_order(PAIR, "market", "sell", 1)
    again = await client.private_post_orderlist_oco({**request, "abovePrice": "103"})
    answer = await client.private_delete_orderlist(
        {"symbol": "BTCUSDT", "orderListId": again["orderListId"]}
    )
    assert answer["listOrderStatus"] == "ALL_DONE"
    assert [row["status"] for row in answer["orderReports"]] == ["CANCELED", "CANCELED"]
    made = await client.private_post_orderlist_oto(
        {
            "symbol": "BTCUSDT",
            "workingType": "LIMIT",
            "workingSide": "BUY",
            "workingPrice": "98",
            "workingQuantity": "1",
            "workingTimeInForce": "GTC",
            "pendingType": "LIMIT_MAKER",
            "pendingSide": "SELL",
            "pendingPrice": "109",
            "pendingQuantity": "1",
        }
    )
    assert [row["status"] for row in made["orderReports"]] == ["NEW", "PENDING_NEW"]
    venue.trade(SELL, 3_000_000)
    pending = await client.fetch_order(made["orders"][1]["orderId"], PAIR)
    assert pending["info"]["status"] == "NEW"
    assert pending["info"]["isWorking"] is True
    assert len(await client.cancel_all_orders(PAIR)) == 1


async def test_many_orders(client: async_support.binance) -> None:
    """All of a symbol are cancelled at once; the history knows what became of each."""
    for price in (90, 91, 92):
        await client.create_order(PAIR, "limit", "buy", 1, price)
    await client.create_order("ETH/USDT", "limit", "buy", 1, 40)
    client.options["fetchOpenOrders"]["warnWithoutSymbol"] = False
    assert len(await client.fetch_open_orders()) == 4
    assert len(await client.cancel_all_orders(PAIR)) == 3
    assert [o["status"] for o in await client.fetch_canceled_orders(PAIR)] == ["canceled"] * 3
    await client.create_order(PAIR, "market", "buy", 1)
    assert len(await client.fetch_closed_orders(PAIR)) == 1
    orders = await client.fetch_orders(PAIR, limit=2)
    assert [o["status"] for o in orders] == ["canceled", "closed"]
    assert len(await client.fetch_orders(PAIR, since=client.milliseconds() - 60_000)) == 4


async def test_a_test_order_is_checked_and_not_placed(client: async_support.binance) -> None:
    """Nothing is there after it."""
    order = await client.create_order(PAIR, "limit", "buy", 1, 90, {"test": True})
    assert order["id"] is None
    assert await client.fetch_orders(PAIR) == []
    with pytest.raises(InsufficientFunds):
        await client.create_order(PAIR, "limit", "buy", 9_000, 100, {"test": True})


async def test_the_synchronous_client(venue: Venue) -> None:
    """The same through ccxt's client without asyncio."""

    def trade() -> list[Any]:
        made = ccxt.binance({"apiKey": KEY, "secret": SECRET, "urls": ccxt_urls(venue)})
        made.load_markets()
        order = made.create_order(PAIR, "limit", "buy", 1, 95)
        made.cancel_order(order["id"], PAIR)
        bought = made.create_order(PAIR, "market", "buy", 1)
        ended = made.fetch_order(order["id"], PAIR)
        return [ended["status"], bought["status"], made.fetch_balance()["BTC"]["total"]]

    assert await asyncio.to_thread(trade) == ["canceled", "closed", 11]
