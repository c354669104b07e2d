"""The real ccxt.pro client hears and trades over the exchange's Kraken: only addresses and keys are changed.

Any connection to another host fails the test.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import ccxt
import pytest
from ccxt import pro

from ext.matching import BUY, SELL
from tests.kraken_server import POOR_KEY, READ_KEY, Venue, settings
from tests.loopback_only import loopback_only

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
PAIR, OTHER = "BTC/USDT", "ETH/BTC"
WAIT_S = 5


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
async def client(venue: Venue) -> AsyncIterator[pro.kraken]:
    """The client of account `main`, its markets loaded."""
    made = pro.kraken(settings(venue))
    await made.load_markets()
    yield made
    made.timeout_on_exit = 0  # its pause for far sockets to close
    await made.close()


async def soon(asked: Awaitable[Any]) -> Any:
    """What comes within a few seconds."""
    return await asyncio.wait_for(asked, WAIT_S)


async def when(ask: Callable[[], Awaitable[Any]], act: Callable[[], Any], venue: Venue) -> Any:
    """What is heard of something that happens once the client listens."""
    venue.wire.heard.clear()
    hearing = asyncio.ensure_future(ask())
    await soon(venue.wire.heard.wait())
    await asyncio.sleep(0.05)
    done = act()
    if asyncio.iscoroutine(done):
        await done
    return await soon(hearing)


def own(venue: Venue, depth: int, number: int = 0) -> list[list[list[float]]]:
    """The exchange's book as floats."""
    market = venue.exchange.markets[number]
    unit = market.instrument
    return [
        [[float(unit.ticks_to_price(t)), float(unit.lots_to_quantity(n))] for t, n in side]
        for side in market.depth(depth)
    ]


# --- the market -----------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [None, 10, 25, 100, 500, 1000])
async def test_books(venue: Venue, client: pro.kraken, depth: int | None) -> None:
    """Any depth, through changes, trades and levels that come into it and fall out."""
    book = await soon(client.watch_order_book(PAIR, depth))
    assert [book["bids"], book["asks"]] == own(venue, depth or 10)
    for step in range(12):
        venue.quote(BUY, 499_991 + step % 5, 10**6 * (step + 1))
        venue.trade(SELL if step % 2 else BUY, 7 * 10**6 * (step + 1))
        venue.quote(SELL, 500_400 + step, 10**6)
    wanted = own(venue, depth or 10)
    for _ in range(100):
        book = await soon(client.watch_order_book(PAIR, depth))
        if [book["bids"], book["asks"]] == wanted:
            return
    pytest.fail("the book never became the exchange's own")


async def test_books_of_several_markets(venue: Venue, client: pro.kraken) -> None:
    """On one connection, each by its own name."""
    seen = set()
    for _ in range(4):
        book = await soon(client.watch_order_book_for_symbols([PAIR, OTHER]))
        seen.add(book["symbol"])
        number, ticks, lots = (3, 4_992, 100) if book["symbol"] == PAIR else (0, 499_992, 10**6)
        venue.quote(BUY, ticks, lots, number)
    assert seen == {PAIR, OTHER}


async def test_a_depth_there_is_not(client: pro.kraken) -> None:
    """ccxt knows them itself."""
    with pytest.raises(ccxt.NotSupported):
        await client.watch_order_book(PAIR, 50)


async def test_trades_tickers_and_candles(venue: Venue, client: pro.kraken) -> None:
    """As trades happen."""
    (trade,) = await when(lambda: client.watch_trades(PAIR), lambda: venue.trade(BUY, 10**7), venue)
    assert (trade["price"], trade["amount"], trade["side"]) == (50001.0, 0.1, "buy")
    ticker = await soon(client.watch_ticker(PAIR))
    assert (ticker["last"], ticker["bid"], ticker["ask"]) == (50001.0, 49999.0, 50001.0)
    tickers = await soon(client.watch_tickers([OTHER]))
    assert tickers[OTHER]["last"] == 0.05
    for symbol, frame, price in (
        (PAIR, "1m", 50001),
        (OTHER, "1h", 0.05),
        ("ETH/USDT", "2w", 2500),
    ):
        candles = await soon(client.watch_ohlcv(symbol, frame))
        assert candles[-1][4] == price
    await client.close()


async def test_bids_and_asks(venue: Venue, client: pro.kraken) -> None:
    """The top, when it changes."""
    first = await soon(client.watch_bids_asks([PAIR]))
    assert first[PAIR]["bid"] == 49999.0
    venue.quote(BUY, 499_995, 10**6)
    then = await soon(client.watch_bids_asks([PAIR]))
    assert (then[PAIR]["bid"], then[PAIR]["bidVolume"]) == (49999.5, 0.01)


# --- the account ----------------------------------------------------------------------------------


async def test_orders_and_trades(venue: Venue, client: pro.kraken) -> None:
    """The life of an order on the private channel."""
    placed: dict[str, Any] = {}

    async def place() -> None:
        placed.update(await client.create_order_ws(PAIR, "limit", "buy", 0.5, 49999.5))

    (order,) = await when(client.watch_orders, place, venue)
    assert (order["id"], order["status"], order["symbol"]) == (placed["id"], "open", PAIR)
    assert (order["price"], order["amount"]) == (49999.5, 0.5)
    hearing = asyncio.ensure_future(client.watch_my_trades(PAIR))
    await asyncio.sleep(0.05)
    venue.trade(SELL, 10**7)
    (trade,) = await soon(hearing)
    assert (trade["order"], trade["amount"], trade["takerOrMaker"]) == (placed["id"], 0.1, "maker")
    assert trade["fee"] == {"cost": pytest.approx(4999.95 * 0.0016), "currency": "USDT"}
    hearing = asyncio.ensure_future(client.watch_orders())
    await asyncio.sleep(0.05)
    await client.cancel_order_ws(placed["id"])
    (order,) = [each for each in await soon(hearing) if each["status"] == "canceled"]
    assert order["id"] == placed["id"]


async def test_balance(venue: Venue, client: pro.kraken) -> None:
    """At first all of it, then what changed."""
    first = await soon(client.watch_balance())
    assert first["BTC"]["total"] == 10.0
    hearing = asyncio.ensure_future(client.watch_balance())
    await asyncio.sleep(0.05)
    await client.create_order_ws(PAIR, "market", "buy", 0.01)
    then = await soon(hearing)
    assert then["BTC"]["total"] == 10.01
    assert then["USDT"]["total"] == pytest.approx(1_000_000 - 500.01 * 1.0026)


async def test_orders_of_the_stream(client: pro.kraken) -> None:
    """Placed, changed and cancelled; each kind as ccxt asks for it."""
    order = await soon(
        client.create_order_ws(PAIR, "limit", "buy", 0.01, 48000, {"postOnly": True})
    )
    edited = await soon(client.edit_order_ws(order["id"], PAIR, "limit", "buy", 0.02, 47000))
    assert edited["info"]["order_id"] == order["id"]
    (found,) = await client.fetch_open_orders()
    assert (found["price"], found["amount"], found["postOnly"]) == (47000.0, 0.02, True)
    for params in (
        {"stopLossPrice": 48000},
        {"takeProfitPrice": 52000},
        {"trailingPercent": "5"},
        {"trailingAmount": "100"},
    ):
        await soon(client.create_order_ws(PAIR, "market", "sell", 0.01, None, params))
    await soon(client.create_order_ws(PAIR, "limit", "sell", 0.01, 51000, {"stopLossPrice": 48000}))
    await soon(
        client.create_order_ws(
            PAIR, "limit", "buy", 0.01, 47000, {"stopLoss": {"triggerPrice": 46000}}
        )
    )
    await soon(client.create_order_ws(PAIR, "limit", "buy", 0.01, 47000, {"timeInForce": "gtc"}))
    ids = [each["id"] for each in await client.fetch_open_orders()]
    assert len(ids) == 8
    await soon(client.cancel_order_ws(ids[0]))
    told = await soon(client.cancel_orders_ws(ids[1:3]))
    assert told["success"]
    await asyncio.sleep(0.05)
    told = await soon(client.cancel_all_orders_ws())
    assert told["result"]["count"] == 5


ERRORS: list[tuple[Callable[[pro.kraken], Awaitable[Any]], type[Exception]]] = [
    (lambda c: c.create_order_ws(PAIR, "limit", "buy", 30, 49000), ccxt.InsufficientFunds),
    (lambda c: c.create_order_ws(PAIR, "limit", "buy", 0.00001, 49000), ccxt.InvalidOrder),
    (lambda c: c.cancel_order_ws("OABCDE-FGHIJ-KLMNOP"), ccxt.OrderNotFound),
    (lambda c: c.edit_order_ws("OABCDE-FGHIJ-KLMNOP", PAIR, "limit", "buy", 1, 1), ccxt.OrderNotFound),
    (lambda c: c.create_order_ws(PAIR, "x", "buy", 1, 1), ccxt.BadRequest),
]  # fmt: skip


@pytest.mark.parametrize(("ask", "kind"), ERRORS)
async def test_refusals(
    client: pro.kraken, ask: Callable[[pro.kraken], Awaitable[Any]], kind: type[Exception]
) -> None:
    """Each is what ccxt.pro makes of Kraken's own words."""
    with pytest.raises(ccxt.BaseError) as told:
        await soon(ask(client))
    assert type(told.value) in (kind, ccxt.ExchangeError)
    assert kind is not ccxt.InsufficientFunds or "EOrder:Insufficient funds" in str(told.value)


async def test_rights(venue: Venue) -> None:
    """A key that may only read hears, and trades not; a poor account trades not much."""
    for key, words in (
        (READ_KEY, "EGeneral:Permission denied"),
        (POOR_KEY, "EOrder:Insufficient funds"),
    ):
        made = pro.kraken(settings(venue, key))
        await soon(made.watch_balance())
        with pytest.raises(ccxt.ExchangeError, match=words):
            await soon(made.create_order_ws(PAIR, "limit", "buy", 1, 49000))
        await made.close()


async def test_it_goes_on_after_a_hangup(venue: Venue, client: pro.kraken) -> None:
    """The book is whole again on the next connection."""
    await soon(client.watch_order_book(PAIR, 100))
    venue.do(venue.front.close)
    with pytest.raises(ccxt.NetworkError):
        await soon(client.watch_order_book(PAIR, 100))
    venue.quote(BUY, 499_993, 10**6)
    book = await soon(client.watch_order_book(PAIR, 100))
    assert [book["bids"], book["asks"]] == own(venue, 100)
