"""The real ccxt clients trade on the exchange's Kraken: only addresses and keys are changed.

Any connection to another host fails the test. Their own throttle is off but in one test: it is the
client's, and waits three seconds after each private call.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import ccxt
import pytest
from ccxt import async_support

from ext.matching import BUY, SELL
from tests.kraken_server import KEY, SECRET, Venue, ccxt_urls, settings
from tests.loopback_only import LeftTheMachine, loopback_only

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
PAIR = "BTC/USDT"
Client = async_support.kraken


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


@pytest.fixture
async def client(venue: Venue) -> AsyncIterator[Client]:
    """The client of account `main`, its markets loaded."""
    made = async_support.kraken(settings(venue))
    await made.load_markets()
    yield made
    made.timeout_on_exit = 0  # its pause for far sockets to close
    await made.close()


async def test_another_host_is_refused() -> None:
    """The guard itself."""
    stranger = async_support.kraken({"urls": {"api": {"public": "http://kraken.example"}}})
    with loopback_only() as strangers:
        with pytest.raises((LeftTheMachine, ccxt.NetworkError)):
            await stranger.fetch_time()
        assert set(strangers) == {"kraken.example"}
        strangers.clear()
    await stranger.close()


# --- markets --------------------------------------------------------------------------------------


async def test_markets(client: Client) -> None:
    """Names, grids, least sizes and fees are those of the instruments."""
    assert set(client.markets) == {"BTC/USDT", "ETH/USDT", "BTC/USD", "ETH/BTC", "DOGE/USDT"}
    market = client.market(PAIR)
    assert (market["id"], market["wsId"], market["active"]) == ("XBTUSDT", "XBT/USDT", True)
    assert market["precision"] == {"amount": 1e-08, "price": 0.1}
    assert market["limits"]["amount"]["min"] == 0.00005
    assert market["limits"]["cost"]["min"] == 0.5
    assert (market["maker"], market["taker"]) == (0.0016, 0.0026)
    assert client.market("BTC/USD")["id"] == "XXBTZUSD"
    assert client.market("ETH/BTC")["id"] == "XETHXXBT"
    assert client.currencies["DOGE"]["id"] == "XXDG"
    assert client.currencies["BTC"]["precision"] == 1e-10


async def test_status_and_time(venue: Venue, client: Client) -> None:
    """It is up, and its clock is right; halted it is not."""
    assert (await client.fetch_status())["status"] == "ok"
    assert abs(await client.fetch_time() - venue.server.now_ns() / 1e6) < 2000
    venue.do(lambda now_ns: venue.exchange.set_halted(True, now_ns))
    assert (await client.fetch_status())["status"] == "maintenance"
    assert not (await client.fetch_markets())[0]["active"]


async def test_public_data(venue: Venue, client: Client) -> None:
    """Books, tickers, trades and candles."""
    book = await client.fetch_order_book(PAIR, 5)
    assert [level[:2] for level in book["bids"][:2]] == [[49999.0, 0.5], [49998.0, 0.5]]
    assert len(book["asks"]) == 5
    venue.trade(BUY, 10**7)
    venue.trade(SELL, 2 * 10**7)
    ticker = await client.fetch_ticker(PAIR)
    assert (ticker["last"], ticker["high"], ticker["low"]) == (49999.0, 50001.0, 49999.0)
    assert ticker["baseVolume"] == pytest.approx(0.8)
    tickers = await client.fetch_tickers([PAIR, "ETH/BTC"])
    assert set(tickers) == {PAIR, "ETH/BTC"}
    assert set(await client.fetch_tickers()) == set(client.markets)
    trades = await client.fetch_trades(PAIR)
    assert [trade["side"] for trade in trades] == ["sell", "buy", "sell"]
    assert [trade["amount"] for trade in await client.fetch_trades(PAIR, limit=1)] == [0.2]
    later = await client.fetch_trades(PAIR, since=trades[0]["timestamp"] - 5000)
    assert [trade["price"] for trade in later] == [50000.0, 50001.0, 49999.0]
    for frame in client.timeframes:
        # The trades may lie on both sides of a candle's beginning.
        candles = [row for row in await client.fetch_ohlcv(PAIR, frame) if row[5]]
        _, opens, highs, lows, closes, volumes = zip(*candles, strict=True)
        assert (opens[0], max(highs), min(lows), closes[-1]) == (50000.0, 50001.0, 49999.0, 49999.0)
        assert sum(volumes) == pytest.approx(0.8), frame


# --- the life of orders ---------------------------------------------------------------------------


async def test_life_of_a_limit_order(venue: Venue, client: Client) -> None:
    """Placed, found, changed, filled in part, cancelled."""
    placed = await client.create_order(PAIR, "limit", "buy", 0.5, 49000)
    assert placed["symbol"] == PAIR
    assert (placed["price"], placed["amount"], placed["side"]) == (49000.0, 0.5, "buy")
    (found,) = await client.fetch_open_orders(PAIR)
    assert (found["id"], found["status"], found["filled"]) == (placed["id"], "open", 0.0)
    held = await client.fetch_balance()
    assert held["USDT"]["used"] == pytest.approx(24_500 * 1.0026)
    await client.edit_order(placed["id"], PAIR, "limit", "buy", 0.4, 49999.5)
    found = await client.fetch_order(placed["id"])
    assert (found["price"], found["amount"]) == (49999.5, 0.4)
    venue.trade(SELL, 10**7)
    found = await client.fetch_order(placed["id"])
    assert (found["filled"], found["remaining"], found["average"]) == (
        0.1,
        pytest.approx(0.3),
        49999.5,
    )
    assert float(found["fee"]["cost"]) == pytest.approx(4999.95 * 0.0016)
    (trade,) = await client.fetch_my_trades(PAIR)
    assert (trade["order"], trade["takerOrMaker"], trade["amount"]) == (placed["id"], "maker", 0.1)
    (same,) = await client.fetch_order_trades(
        placed["id"], PAIR, params={"trades": found["trades"]}
    )
    assert same["id"] == trade["id"]
    await client.cancel_order(placed["id"])
    (closed,) = await client.fetch_closed_orders(PAIR)
    assert (closed["id"], closed["status"], closed["filled"]) == (placed["id"], "canceled", 0.1)
    assert await client.fetch_open_orders() == []


async def test_market_orders(client: Client) -> None:
    """By amount and by cost; the balance moves by value and fee."""
    before = await client.fetch_balance()
    await client.create_order(PAIR, "market", "sell", 0.02)
    order = await client.create_market_buy_order_with_cost(PAIR, 500)
    bought = await client.fetch_order(order["id"])
    assert bought["filled"] == pytest.approx(500 / 50001, rel=1e-6)
    after = await client.fetch_balance()
    assert after["BTC"]["total"] == pytest.approx(before["BTC"]["total"] - 0.02 + bought["filled"])
    spent = 500 * 1.0026 - 0.02 * 49999 * (1 - 0.0026)
    assert after["USDT"]["total"] == pytest.approx(before["USDT"]["total"] - spent, abs=0.01)
    fee = await client.fetch_trading_fee(PAIR)
    assert (fee["maker"], fee["taker"]) == (0.0016, 0.0026)


async def test_every_kind_of_order(client: Client) -> None:
    """As ccxt asks for them: triggers, trails, times, tags, closing orders."""
    sell: Callable[..., Awaitable[Any]] = lambda kind, price=None, **params: client.create_order(  # noqa: E731
        PAIR, kind, "sell", 0.01, price, params
    )
    kinds = {
        "stop-loss": await sell("market", stopLossPrice=49000),
        "stop-loss-limit": await sell("limit", 48900, stopLossPrice=49000),
        "take-profit": await sell("market", takeProfitPrice=52000),
        "take-profit-limit": await sell("limit", 51900, takeProfitPrice=52000),
        "trailing-stop": await sell("market", trailingPercent="5"),
        "trailing-stop-limit": await sell(
            "limit", 1, trailingAmount="100", trailingLimitAmount="10"
        ),
        "limit": await sell("limit", 52500, postOnly=True, clientOrderId="mine"),
        "iceberg": await client.create_order(
            PAIR, "iceberg", "sell", 1, None, {"price": "52600", "displayvol": "0.2"}
        ),
    }
    opened = {order["id"]: order for order in await client.fetch_open_orders(PAIR)}
    assert len(opened) == len(kinds)
    for word, order in kinds.items():
        assert opened[order["id"]]["info"]["descr"]["ordertype"] == word
    assert opened[kinds["stop-loss"]["id"]]["stopLossPrice"] == 49000.0
    assert opened[kinds["take-profit-limit"]["id"]]["takeProfitPrice"] == 52000.0
    assert opened[kinds["take-profit-limit"]["id"]]["price"] == 51900.0
    assert opened[kinds["trailing-stop"]["id"]]["info"]["descr"]["price"] == "+5.0000%"
    assert opened[kinds["limit"]["id"]]["clientOrderId"] == "mine"
    assert opened[kinds["limit"]["id"]]["postOnly"]
    for tif, status in (("IOC", "canceled"), ("FOK", "canceled")):
        order = await client.create_order(PAIR, "limit", "buy", 0.01, 49000, {"timeInForce": tif})
        assert (await client.fetch_order(order["id"]))["status"] == status
    close = {"ordertype": "take-profit", "price": 60000}
    order = await client.create_order(
        PAIR, "limit", "buy", 0.01, 50001, {"close": close, "userref": 9}
    )
    assert (await client.fetch_order(order["id"]))["status"] == "closed"
    closing = [o for o in await client.fetch_open_orders(PAIR) if o["takeProfitPrice"] == 60000]
    assert [o["info"]["refid"] for o in closing] == [order["id"]]
    tagged = await client.fetch_closed_orders(PAIR, params={"userref": 9})
    assert [o["id"] for o in tagged] == [order["id"]]


async def test_many_orders_at_once(client: Client) -> None:
    """Placed in a batch, asked for by id, cancelled in a batch, all, and by a dead man's switch."""
    rows = [
        {"symbol": PAIR, "type": "limit", "side": "buy", "amount": 0.01, "price": 48000 + n}
        for n in range(4)
    ]
    orders = await client.create_orders(rows)
    ids = [order["id"] for order in orders]
    assert [order["id"] for order in await client.fetch_orders_by_ids(ids)] == ids
    (told,) = await client.cancel_orders(ids[:2])
    assert told["info"]["result"]["count"] == 2
    (told,) = await client.cancel_all_orders()
    assert told["info"]["result"]["count"] == 2
    told = await client.cancel_all_orders_after(60_000)
    assert told["result"]["triggerTime"] > told["result"]["currentTime"]
    await client.cancel_all_orders_after(0)
    await client.create_order(PAIR, "limit", "buy", 0.01, 48000, {"clientOrderId": "mine"})
    await client.cancel_order("", params={"clientOrderId": "mine"})
    await client.create_order(PAIR, "limit", "buy", 0.01, 48000, {"userref": 12})
    await client.cancel_order("", params={"userref": 12})
    assert await client.fetch_open_orders() == []


async def test_what_else_an_account_asks(client: Client) -> None:
    """Ledger, deposits, withdrawals, positions, ways of money."""
    await client.create_order(PAIR, "market", "buy", 0.01)
    ledger = await client.fetch_ledger()
    assert {entry["type"] for entry in ledger} == {"transaction", "trade"}
    paid = [entry for entry in ledger if entry["fee"]["cost"]]
    assert [entry["currency"] for entry in paid] == ["USDT"]
    entry = await client.fetch_ledger_entry(ledger[-1]["id"])
    assert entry["amount"] == ledger[-1]["amount"]
    assert {entry["currency"] for entry in await client.fetch_ledger("BTC")} == {"BTC"}
    (deposit,) = await client.fetch_deposits("BTC")
    assert (deposit["amount"], deposit["status"]) == (10.0, "ok")
    assert await client.fetch_withdrawals("BTC") == []
    assert await client.fetch_positions() == []
    assert await client.fetch_deposit_methods("BTC") == []
    with pytest.raises(ccxt.InvalidAddress):
        await client.fetch_deposit_address("BTC")
    with pytest.raises(ccxt.InvalidAddress):
        await client.withdraw("BTC", 1, "", params={"key": "home"})


async def test_the_client_that_does_not_wait_for_the_loop(venue: Venue) -> None:
    """ccxt's synchronous client, in a thread, with its own throttle on."""

    def trade() -> str:
        made = ccxt.kraken({"apiKey": KEY, "secret": SECRET, "urls": ccxt_urls(venue)})
        made.load_markets()
        order = made.create_order(PAIR, "limit", "buy", 0.01, 49000)
        made.cancel_order(order["id"])
        return str(made.fetch_order(order["id"])["status"])

    assert await asyncio.to_thread(trade) == "canceled"
