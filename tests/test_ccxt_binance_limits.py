"""Limits, bans and failures of the exchange's Binance, as ccxt's real client meets them."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from ccxt import async_support
from ccxt.base import errors

from engine.exchange.wires.binance import BinanceWire
from engine.exchange.wires.binance_limits import Limits
from engine.exchange.wires.wire import Call
from engine.fault_config import FaultConfig, FaultKind
from tests.binance_server import BEGIN, KEY, SECRET, Venue, ccxt_urls, make_exchange
from tests.loopback_only import loopback_only

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
PAIR = "BTC/USDT"
HOME = "https://api.binance.com/api/v3/order"
SECOND = 1_000_000_000
PING = Call("GET", "/api/v3/ping", "", {}, b"")
TRADES = Call("GET", "/api/v3/trades", "symbol=BTCUSDT", {}, b"")


@pytest.fixture(autouse=True)
def guard() -> Iterator[None]:
    """No other host."""
    with loopback_only():
        yield


async def opened(limits: Limits) -> tuple[Venue, async_support.binance]:
    """A venue with limits of its own, and a client with its markets."""
    venue = Venue(limits)
    await venue.open()
    client = async_support.binance({"apiKey": KEY, "secret": SECRET, "urls": ccxt_urls(venue)})
    client.enableRateLimit = False
    await client.load_markets()
    return venue, client


@pytest.fixture
async def both() -> AsyncIterator[tuple[Venue, async_support.binance]]:
    """A venue of plenty, and its client."""
    venue, client = await opened(Limits(weight=100_000))
    yield venue, client
    await client.close()
    await venue.close()


def test_weights_are_counted_by_the_minute() -> None:
    """The header says how much; beyond the limit it is 429, with the seconds to wait."""
    wire = BinanceWire(make_exchange(), Limits(weight=100))
    for turn in range(4):
        answer = wire.call(TRADES, BEGIN)
        assert answer.status == 200
        assert dict(answer.headers)["X-MBX-USED-WEIGHT-1M"] == str(25 * (turn + 1))
    answer = wire.call(PING, BEGIN + 15 * SECOND)
    assert answer.status == 429
    assert json.loads(answer.body)["code"] == -1003
    assert "current limit is 100 request weight per 1 MINUTE" in json.loads(answer.body)["msg"]
    wait = int(dict(answer.headers)["Retry-After"])
    assert wait == 60 - (BEGIN // SECOND + 15) % 60
    assert wire.call(PING, BEGIN + (15 + wait) * SECOND).status == 200


def test_who_goes_on_is_banned_and_each_time_for_twice_as_long() -> None:
    """418 says until when; after that it is as before."""
    wire = BinanceWire(make_exchange(), Limits(weight=100, patience=5, ban_s=120))
    now = BEGIN
    for ban_s in (120, 240, 480):
        for _ in range(4):
            wire.call(TRADES, now)
        statuses = [wire.call(PING, now).status for _ in range(7)]
        assert statuses == [429] * 5 + [418] * 2
        answer = wire.call(PING, now + 100 * SECOND)
        assert answer.status == 418
        assert int(dict(answer.headers)["Retry-After"]) == ban_s - 100
        until = (now + ban_s * SECOND) // 1_000_000
        assert f"IP banned until {until}." in json.loads(answer.body)["msg"]
        now += ban_s * SECOND
        assert wire.call(PING, now).status == 200
        now += 60 * SECOND


def test_raw_requests_have_a_limit_too() -> None:
    """By five minutes, whatever they weigh."""
    wire = BinanceWire(make_exchange(), Limits(raw_requests=10))
    statuses = [wire.call(PING, BEGIN).status for _ in range(12)]
    assert statuses == [200] * 10 + [429] * 2
    assert wire.call(PING, BEGIN + 300 * SECOND).status == 200


async def test_a_client_that_asks_too_much() -> None:
    """ccxt says DDoSProtection to both."""
    venue, client = await opened(Limits(weight=160, patience=2))
    said = []
    for _ in range(8):
        try:
            await client.fetch_trades(PAIR, params={"fetchTradesMethod": "publicGetTrades"})
        except errors.DDoSProtection as error:
            said.append(str(error).split()[1])
    assert said == ["429"] * 2 + ["418"] * (len(said) - 2)
    assert len(said) > 2
    await client.close()
    await venue.close()


async def test_too_many_orders() -> None:
    """Counted by ten seconds and by day for the account; a cancel is free."""
    venue, client = await opened(Limits(orders_10s=3, orders_day=1_000))
    try:
        await asyncio.sleep(10 - venue.server.now_ns() / 1e9 % 10 if _late(venue) else 0)
        orders = [await client.create_order(PAIR, "limit", "buy", 1, 90 + n) for n in range(3)]
        headers = {name.lower(): text for name, text in client.last_response_headers.items()}
        assert headers["x-mbx-order-count-10s"] == headers["x-mbx-order-count-1d"] == "3"
        with pytest.raises(errors.DDoSProtection, match="-1015"):
            await client.create_order(PAIR, "limit", "buy", 1, 95)
        assert "current limit is 3 orders per 10 SECOND" in client.last_http_response
        with pytest.raises(errors.DDoSProtection, match="-1015"):
            await client.edit_order(orders[0]["id"], PAIR, "limit", "buy", 1, 96)
        await client.cancel_order(orders[0]["id"], PAIR)
        counts = await client.private_get_ratelimit_order()
        assert [row["count"] for row in counts] == [3, 3]
    finally:
        await client.close()
        await venue.close()


def _late(venue: Venue) -> bool:
    """Whether the ten seconds are nearly over."""
    return venue.server.now_ns() / 1e9 % 10 > 6


FAILURES = [
    (FaultKind.ERROR_DONE, errors.ExchangeNotAvailable, errors.ExchangeNotAvailable, 1),
    (FaultKind.ERROR_NOT_DONE, errors.ExchangeNotAvailable, errors.ExchangeNotAvailable, 0),
    (FaultKind.OVERLOADED, errors.ExchangeError, errors.OperationFailed, 0),
    (FaultKind.RATE_LIMIT, errors.DDoSProtection, errors.RateLimitExceeded, 0),
    (FaultKind.REJECTED, errors.InvalidOrder, errors.InvalidOrder, 0),
    (FaultKind.MAINTENANCE, errors.OnMaintenance, errors.OnMaintenance, 0),
]


@pytest.mark.parametrize(("kind", "raised", "home", "placed"), FAILURES)
async def test_failures_of_the_exchange(
    both: tuple[Venue, async_support.binance],
    kind: FaultKind,
    raised: type[Exception],
    home: type[Exception],
    placed: int,
) -> None:
    """What the front makes fail has Binance's form, and was done or was not."""
    venue, client = both
    venue.front.turned([], venue.server.now_ns())
    venue.faults.set(FaultConfig(kind, count=1), venue.server.now_ns())
    with pytest.raises(raised) as caught:
        await client.create_order(PAIR, "limit", "buy", 1, 90)
    assert caught.type is raised
    body = client.last_http_response
    if body.startswith("{"):
        with pytest.raises(home):
            client.handle_errors(400, "", HOME, "POST", {}, body, json.loads(body), {}, "")
    assert len(venue.exchange.open_orders("main")) == placed


async def test_a_request_that_is_never_answered(
    both: tuple[Venue, async_support.binance],
) -> None:
    """It may have been done: the client must ask."""
    venue, client = both
    client.timeout = 500
    venue.faults.set(FaultConfig(FaultKind.TIMEOUT_DONE, count=1), venue.server.now_ns())
    with pytest.raises(errors.RequestTimeout):
        await client.create_order(PAIR, "limit", "buy", 1, 90, {"clientOrderId": "lost"})
    found = await client.fetch_order("", PAIR, {"clientOrderId": "lost"})
    assert found["status"] == "open"


async def test_paths_that_are_not_there(both: tuple[Venue, async_support.binance]) -> None:
    """404: empty under /api, and in the words of the wallet's server elsewhere."""
    venue, client = both
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{venue.http}/api/v3/nothing") as response:
            assert (response.status, await response.read()) == (404, b"")
        async with session.get(f"{venue.http}/sapi/v1/nothing") as response:
            assert response.status == 404
            assert (await response.json())["error"] == "Not Found"
        async with session.put(f"{venue.http}/api/v3/order") as response:
            assert response.status == 404
    with pytest.raises(errors.ExchangeNotAvailable):
        await client.sapi_get_lending_daily_product_list()
