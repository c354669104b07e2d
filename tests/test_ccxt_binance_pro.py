"""ccxt.pro's real client streams and trades on the exchange's Binance: only addresses and keys differ."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any

import pytest
from ccxt import pro
from ccxt.base import errors

from ext.matching import BUY, SELL
from tests.binance_server import KEY, POOR_KEY, POOR_SECRET, SECRET, Venue, ccxt_urls
from tests.loopback_only import loopback_only

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
PAIR = "BTC/USDT"
BTC = 100_000  # lots


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


def client_of(venue: Venue, key: str = KEY, secret: str = SECRET) -> pro.binance:
    """A client with nothing changed but addresses and keys."""
    return pro.binance({"apiKey": key, "secret": secret, "urls": ccxt_urls(venue)})


@pytest.fixture
async def client(venue: Venue) -> AsyncIterator[pro.binance]:
    """The client of account `main`, its markets loaded."""
    made = client_of(venue)
    await made.load_markets()
    yield made
    made.timeout_on_exit = 0  # its pause for far sockets to close
    await made.close()


async def within(wanted: Awaitable[Any], seconds: float = 10) -> Any:
    """What it gives; raises TimeoutError."""
    return await asyncio.wait_for(wanted, seconds)


async def moving(venue: Venue, wanted: Awaitable[Any], step: int = 0) -> Any:
    """What it gives while the market trades a little again and again."""
    task = asyncio.ensure_future(wanted)
    for turn in range(200):
        if task.done():
            break
        venue.trade(BUY if turn % 2 else SELL, 10_000 + step)
        await asyncio.sleep(0.05)
    return await within(task, 1)


def same_book(venue: Venue, book: Any, number: int = 0) -> bool:
    """Whether a client's book is the exchange's own, level by level."""
    bids, asks = venue.exchange.markets[number].depth(0)
    instrument = venue.exchange.instruments[number]

    def plain(levels: list[tuple[int, int]]) -> list[list[float]]:
        return [
            [float(instrument.ticks_to_price(t)), float(instrument.lots_to_quantity(n))]
            for t, n in levels
        ]

    return plain(bids) == [list(row) for row in book["bids"]] and plain(asks) == [
        list(row) for row in book["asks"]
    ]


# --- what everybody sees ----------------------------------------------------------------------


async def test_books_are_the_exchanges_own(venue: Venue, client: pro.binance) -> None:
    """A snapshot and differences join, and go on joining while the market moves."""
    first = await within(client.watch_order_book(PAIR))
    assert same_book(venue, first)
    for turn in range(20):
        venue.quote(BUY, 9_000 + turn, BTC)
        venue.trade(SELL if turn % 3 else BUY, 30_000)
        if turn % 4 == 0:
            await asyncio.sleep(0.12)
    book: Any = first
    number = venue.exchange.markets[0].sequence
    while book["nonce"] < number:
        book = await within(client.watch_order_book(PAIR))
    assert same_book(venue, book)
    assert same_book(venue, await client.fetch_order_book(PAIR, 5_000))


async def test_books_of_several_symbols(venue: Venue, client: pro.binance) -> None:
    """On one connection."""
    seen = {}
    for _ in range(20):
        book = await moving(venue, client.watch_order_book_for_symbols([PAIR, "ETH/USDT"]))
        seen[book["symbol"]] = book
        venue.quote(BUY, 4_000, 10_000, 1)
        if len(seen) == 2:
            break
    assert set(seen) == {PAIR, "ETH/USDT"}
    await within(client.un_watch_order_book_for_symbols([PAIR, "ETH/USDT"]))


async def test_trades_and_aggregates(venue: Venue, client: pro.binance) -> None:
    """A taker that meets three orders makes three trades, one for each price."""
    task = asyncio.ensure_future(client.watch_trades(PAIR))
    await asyncio.sleep(0.3)
    venue.trade(BUY, 250_000)
    await within(task)
    await asyncio.sleep(0.1)
    assert [(t["price"], t["amount"], t["side"]) for t in client.trades[PAIR]] == [
        (100.1, 1, "buy"),
        (100.2, 1, "buy"),
        (100.3, 0.5, "buy"),
    ]
    await within(client.un_watch_trades(PAIR))
    venue.quote(SELL, 10_030, BTC)
    task = asyncio.ensure_future(client.watch_trades("ETH/USDT", params={"name": "aggTrade"}))
    await asyncio.sleep(0.3)
    venue.quote(SELL, 5_001, 5_000, 1)
    venue.quote(SELL, 5_001, 5_000, 1)
    venue.trade(BUY, 10_000, 1)
    trades = await within(task)
    assert [(t["price"], t["amount"]) for t in trades] == [(50.01, 1)]


async def test_candles_and_tickers(venue: Venue, client: pro.binance) -> None:
    """They come in their cadence."""
    candle = (await moving(venue, client.watch_ohlcv(PAIR, "1m")))[-1]
    assert candle[2] >= candle[3] > 0
    assert (await moving(venue, client.watch_ohlcv(PAIR, "1s")))[-1][4] > 0
    ticker = await moving(venue, client.watch_ticker(PAIR))
    assert ticker["symbol"] == PAIR
    assert ticker["last"] > 0
    assert PAIR in await moving(venue, client.watch_tickers([PAIR]))
    assert PAIR in await moving(venue, client.watch_tickers())
    rolling = await moving(venue, client.watch_ticker(PAIR, {"name": "ticker_1h"}))
    assert rolling["baseVolume"] > 0
    best = await moving(venue, client.watch_bids_asks([PAIR]), step=90_000)
    assert 0 < best[PAIR]["bid"] < best[PAIR]["ask"]
    await within(client.un_watch_ticker(PAIR))
    await within(client.un_watch_ohlcv(PAIR, "1m"))


# --- what an account sees ---------------------------------------------------------------------


async def test_orders_trades_and_balances_are_told(venue: Venue, client: pro.binance) -> None:
    """From the placing to the last fill, whoever placed it and over whatever interface."""
    orders = asyncio.ensure_future(client.watch_orders(PAIR))
    mine = asyncio.ensure_future(client.watch_my_trades(PAIR))
    balance = asyncio.ensure_future(client.watch_balance())
    await asyncio.sleep(0.5)
    placed = await client.create_order(PAIR, "limit", "buy", 1, 99.95)
    told = await within(orders)
    assert [(o["id"], o["status"]) for o in told] == [(placed["id"], "open")]
    assert (await within(balance))["USDT"]["used"] == pytest.approx(99.95 * 1.002)
    orders = asyncio.ensure_future(client.watch_orders(PAIR))
    await asyncio.sleep(0)
    venue.trade(SELL, 40_000)
    told = await within(orders)
    assert (told[-1]["filled"], told[-1]["status"]) == (0.4, "open")
    trade = (await within(mine))[-1]
    assert (trade["order"], trade["amount"], trade["takerOrMaker"]) == (placed["id"], 0.4, "maker")
    assert trade["fee"] == {"currency": "USDT", "cost": pytest.approx(39.98 * 0.001)}
    orders = asyncio.ensure_future(client.watch_orders())
    await asyncio.sleep(0)
    venue.trade(SELL, 60_000)
    assert (await within(orders))[-1]["status"] == "closed"
    orders = asyncio.ensure_future(client.watch_orders())
    other = await client.create_order(PAIR, "limit", "buy", 1, 90)
    await within(orders)
    orders = asyncio.ensure_future(client.watch_orders())
    await client.cancel_order(other["id"], PAIR)
    told = (await within(orders))[-1]
    assert (told["status"], told["clientOrderId"]) == ("canceled", other["clientOrderId"])


async def test_deposits_are_told(venue: Venue, client: pro.binance) -> None:
    """As a change of the balance that no order made."""
    balance = asyncio.ensure_future(client.watch_balance())
    await asyncio.sleep(0.5)
    venue.do(lambda now_ns: venue.exchange.accounts.deposit("main", "ETH", 5 * 10**8, now_ns))
    assert (await within(balance))["ETH"]["free"] in (5, 105)
    balance = asyncio.ensure_future(client.watch_balance())
    await asyncio.sleep(0)
    venue.do(lambda now_ns: venue.exchange.accounts.withdraw("main", "ETH", 10**8, now_ns))
    await within(balance)
    await asyncio.sleep(0.1)
    assert client.balance["spot"]["ETH"]["free"] == 104


async def test_one_account_does_not_hear_of_another(venue: Venue, client: pro.binance) -> None:
    """Nor does it see the other's orders."""
    poor = client_of(venue, POOR_KEY, POOR_SECRET)
    await poor.load_markets()
    heard = asyncio.ensure_future(poor.watch_orders())
    await asyncio.sleep(0.3)
    order = await client.create_order(PAIR, "limit", "buy", 1, 90)
    await asyncio.sleep(0.3)
    assert not heard.done()
    with pytest.raises(errors.OrderNotFound):
        await poor.fetch_order(order["id"], PAIR)
    heard.cancel()
    await poor.close()


# --- the WebSocket API ------------------------------------------------------------------------


async def test_trading_over_the_websocket_api(venue: Venue, client: pro.binance) -> None:
    """Place, ask, edit, cancel, and what there is; over the connection of the user data stream too."""
    heard = asyncio.ensure_future(client.watch_orders())
    await asyncio.sleep(0.3)
    order = await within(client.create_order_ws(PAIR, "limit", "buy", 1, 90))
    assert order["status"] == "open"
    assert (await within(heard))[-1]["id"] == order["id"]
    assert (await within(client.fetch_order_ws(order["id"], PAIR)))["price"] == 90
    edited = await within(client.edit_order_ws(order["id"], PAIR, "limit", "buy", 2, 91))
    assert (edited["amount"], edited["price"]) == (2, 91)
    assert [o["id"] for o in await within(client.fetch_open_orders_ws(PAIR))] == [edited["id"]]
    ended = await within(client.cancel_order_ws(edited["id"], PAIR))
    assert ended["status"] == "canceled"
    bought = await within(client.create_order_ws(PAIR, "market", "buy", 1))
    assert (bought["status"], bought["average"]) == ("closed", 100.1)
    for price in (90, 91):
        await within(client.create_order_ws(PAIR, "limit", "buy", 1, price))
    assert len(await within(client.cancel_all_orders_ws(PAIR))) == 2
    assert len(await within(client.fetch_orders_ws(PAIR))) == 5
    assert len(await within(client.fetch_closed_orders_ws(PAIR))) == 1
    balance = (await within(client.fetch_balance_ws()))["info"]  # ccxt reads no more of it
    assert balance["balances"][0] == {"asset": "BTC", "free": "11.00000000", "locked": "0.00000000"}
    assert [t["amount"] for t in await within(client.fetch_my_trades_ws(PAIR))] == [1]
    assert [t["price"] for t in await within(client.fetch_trades_ws(PAIR))] == [100, 100.1]
    assert any(row[5] > 0 for row in await within(client.fetch_ohlcv_ws(PAIR, "1m")))


async def test_stops_over_the_websocket_api(venue: Venue, client: pro.binance) -> None:
    """With the exchange's own names of the parameters."""
    params = {"stopPrice": "99"}
    order = await within(client.create_order_ws(PAIR, "STOP_LOSS", "sell", 1, None, params))
    assert order["id"]
    venue.trade(SELL, 11 * BTC)
    assert (await within(client.fetch_order_ws(order["id"], PAIR)))["status"] == "closed"


@pytest.mark.parametrize(
    ("order", "kind"),
    [
        (("limit", "buy", 9_000, 90), errors.InsufficientFunds),
        (("limit", "buy", 0.04, 90), errors.BadRequest),
        (("limit", "buy", 1, 501), errors.InvalidOrder),
        (("LIMIT_MAKER", "buy", 1, 100.1), errors.OrderImmediatelyFillable),
    ],
)
async def test_errors_of_the_websocket_api(
    client: pro.binance, order: tuple[Any, ...], kind: type[Exception]
) -> None:
    """The same as over HTTP."""
    with pytest.raises(kind):
        await within(client.create_order_ws(PAIR, *order))


async def test_more_errors_of_the_websocket_api(venue: Venue, client: pro.binance) -> None:
    """Unknown orders, wrong keys, wrong clocks."""
    with pytest.raises(errors.OrderNotFound):
        await within(client.cancel_order_ws("4711", PAIR))
    with pytest.raises(errors.OrderNotFound):
        await within(client.fetch_order_ws("4711", PAIR))
    client.options["timeDifference"] = 60_000
    with pytest.raises(errors.InvalidNonce):
        await within(client.fetch_balance_ws())
    wrong = client_of(venue, KEY, "wrong")
    wrong.options["fetchCurrencies"] = wrong.options["fetchMargins"] = False
    with pytest.raises((errors.AuthenticationError, KeyError)):  # ccxt 4.5.90 trips as it cleans up
        await within(wrong.watch_orders())
    with pytest.raises(errors.AuthenticationError):
        await within(wrong.create_order_ws(PAIR, "limit", "buy", 1, 90))
    await wrong.close()
