"""What goes wrong on the way through ccxt, and what may be concluded from it: no more than was proved."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import ccxt
import pytest
from aiohttp import web
from ccxt.base import errors

from engine.fault_config import FaultConfig, FaultKind
from engine.messages import BUY, Disconnected, OrderIntent, Reason
from engine.venues.ccxt_failures import MEANINGS, meaning_of
from engine.venues.trading import (
    BannedSeen,
    CallFailed,
    Effect,
    OrderRef,
    OrderSeen,
    StreamReady,
)
from ext.matching import HALTED
from tests import binance_server, kraken_server
from tests.ccxt_account import Trader, keys
from tests.loopback_only import loopback_only
from tests.test_ccxt_trading import NUMBERS

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def guard() -> Iterator[None]:
    """No other host."""
    with loopback_only():
        yield


@pytest.fixture(params=["binance", "kraken"])
async def trader(request: pytest.FixtureRequest) -> AsyncIterator[Trader]:
    """Account `main` without a stream, at a venue of each protocol."""
    server = binance_server if request.param == "binance" else kraken_server
    venue: binance_server.Venue | kraken_server.Venue = server.Venue()
    await venue.open()
    made = Trader(venue, request.param, stream=False)
    await made.open(ready=False)
    yield made
    await made.close()
    await venue.close()


def resting(trader: Trader) -> OrderIntent:
    """An order far below the market."""
    far, _, lots, _ = NUMBERS[trader.exchange]
    return trader.intent(BUY, far, lots)


def broken(trader: Trader, kind: FaultKind, **fields: object) -> None:
    """A fault from now on, of whatever is asked."""
    fault = FaultConfig(kind, **fields)  # type: ignore[arg-type]
    trader.venue.faults.set(fault, trader.now_ns())


async def failure(trader: Trader, intent: OrderIntent) -> CallFailed:
    """How placing an order fails."""
    news = await trader.ask(trader.create(intent))
    (found,) = [item for item in news if isinstance(item, CallFailed)]
    return found


def at_the_venue(trader: Trader) -> int:
    """How many orders of ours the exchange has."""
    return len(list(trader.venue.exchange.all_orders("main")))


# --- refusals ---------------------------------------------------------------------------------------


async def test_too_dear(trader: Trader) -> None:
    """More than the account has: not done, for the balance."""
    far, _, lots, _ = NUMBERS[trader.exchange]
    found = await failure(
        trader, trader.intent(BUY, far, lots * (3_000 if trader.exchange == "binance" else 300))
    )
    assert (found.effect, found.reason) == (Effect.NONE, Reason.BALANCE), found.text
    assert at_the_venue(trader) == 0


async def test_post_only_that_would_take(trader: Trader) -> None:
    """Refused, or ended by the venue at once; either way nothing is bought."""
    _, ask, lots, _ = NUMBERS[trader.exchange]
    found = await failure(trader, trader.intent(BUY, ask + 10, lots, post_only=True))
    assert (found.effect, found.reason) == (Effect.NONE, Reason.VENUE_REJECTED)


async def test_an_id_that_is_there_already(trader: Trader) -> None:
    """May mean that the order was placed before: it has to be asked for."""
    intent = resting(trader)
    await trader.ask(trader.create(intent))
    found = await failure(trader, intent)
    assert (found.effect, found.reason) == (Effect.POSSIBLE, Reason.DUPLICATE)
    assert at_the_venue(trader) == 1


async def test_an_order_that_arrives_too_late(trader: Trader) -> None:
    """The venue itself refuses it."""
    now_ns = trader.now_ns() - 20_000_000_000
    request = trader.trading.create(resting(trader), now_ns, now_ns + 500_000_000)
    assert request.deadline_ns < trader.now_ns()
    (found,) = [n for n in await trader.ask(request) if isinstance(n, CallFailed)]
    assert found.effect is Effect.NONE
    assert at_the_venue(trader) == 0


async def test_a_market_that_is_halted(trader: Trader) -> None:
    """Not done."""
    exchange = trader.venue.exchange
    trader.venue.do(lambda now_ns: exchange.set_phase(0, HALTED, now_ns))
    assert (await failure(trader, resting(trader))).effect is Effect.NONE


async def test_a_cancel_of_an_order_that_is_gone(trader: Trader) -> None:
    """Is refused: what became of it has to be asked."""
    ref = await trader.place(BUY, *NUMBERS[trader.exchange][::2][:2])
    request = trader.trading.cancel(ref, trader.now_ns())
    first, second = [
        [item for item in await trader.ask(request) if isinstance(item, CallFailed)]
        for _ in range(2)
    ]
    assert first == []
    assert [item.effect for item in second] == [Effect.NONE]


@pytest.mark.parametrize("exchange", ["binance", "kraken"])
async def test_a_wrong_key(exchange: str) -> None:
    """Nothing is loaded or said of the account; the key itself is in no message."""
    server = binance_server if exchange == "binance" else kraken_server
    venue: binance_server.Venue | kraken_server.Venue = server.Venue()
    await venue.open()
    wrong = keys(server.KEY, "d3Jvbmc=")
    trader = Trader(venue, exchange, wrong, stream=exchange == "kraken")
    task = asyncio.ensure_future(trader.open(ready=False))
    await trader.until(lambda: any(isinstance(m, Disconnected) for m in trader.messages))
    task.cancel()
    said = [m.cause for m in trader.messages if isinstance(m, Disconnected)]
    assert any("-1022" in cause or "Invalid signature" in cause for cause in said), said
    for text in said:
        assert "d3Jvbmc=" not in text
        assert server.KEY not in text
        assert "signature=" not in text
    await trader.close()
    await venue.close()


# --- nothing proved ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "placed"), [(FaultKind.ERROR_DONE, 1), (FaultKind.ERROR_NOT_DONE, 0)]
)
async def test_a_venue_that_is_unavailable(trader: Trader, kind: FaultKind, placed: int) -> None:
    """Says the same whether it did it or not."""
    broken(trader, kind, count=1)
    found = await failure(trader, resting(trader))
    assert (found.effect, found.venue_down) == (Effect.POSSIBLE, True)
    assert at_the_venue(trader) == placed


async def test_no_answer_in_time(trader: Trader) -> None:
    """Is a word of the edge's own; it is asked once, though the exchange did it."""
    assert trader.edge._caller is not None
    trader.edge._caller.client.timeout = 300
    broken(trader, FaultKind.TIMEOUT_DONE, count=1)
    await trader.ask(trader.create(resting(trader)))
    answer = trader.last_answer()
    assert (answer.status, answer.failure) == (0, "timeout")
    assert at_the_venue(trader) == 1


async def test_a_host_that_is_not_there(trader: Trader) -> None:
    """Nothing left: 'unsent'."""
    await trader.venue.close()
    await trader.ask(trader.create(resting(trader)))
    assert trader.last_answer().failure == "unsent"


async def test_a_connection_that_breaks(trader: Trader) -> None:
    """After the request was written: nobody knows; and it is written once."""
    seen = []

    async def hang_up(request: web.Request) -> web.Response:
        seen.append(request.path)
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", hang_up)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    assert trader.edge._caller is not None
    client = trader.edge._caller.client
    for name in ("private", "public"):
        client.urls["api"][name] = f"http://127.0.0.1:{port}"
    await trader.ask(trader.create(resting(trader)))
    assert trader.last_answer().failure == "disconnected"
    await trader.ask(trader.trading.cancel(OrderRef("ab" + "1" * 16, "7", 0), trader.now_ns()))
    assert trader.last_answer().failure == "disconnected"
    assert len(seen) == 2
    await runner.cleanup()


async def test_an_answer_of_another_protocol(trader: Trader) -> None:
    """A gateway's error page with status 200: not understood is not refused."""
    assert trader.edge._caller is not None
    client = trader.edge._caller.client
    heard = client.on_rest_response

    def page(code: int, reason: str, url: str, method: str, headers: object, *more: str) -> str:
        heard(code, reason, url, method, headers, *more)
        return "<html>busy</html>"

    client.on_rest_response = page
    found = await failure(trader, resting(trader))
    assert found.effect is Effect.POSSIBLE
    assert at_the_venue(trader) == 1


# --- limits -----------------------------------------------------------------------------------------


async def test_too_many_requests(trader: Trader) -> None:
    """Not done, and how long to stay away; who asks on is banned where the venue bans."""
    broken(trader, FaultKind.RATE_LIMIT, retry_after_s=7)
    seen = []
    for _ in range(2):
        news = await trader.ask(trader.create(resting(trader)))
        seen += [item for item in news if isinstance(item, BannedSeen)]
        (failed,) = [item for item in news if isinstance(item, CallFailed)]
        assert (failed.effect, failed.reason) == (Effect.NONE, Reason.RATE_LIMITED)
    if trader.exchange == "binance":
        assert seen == [BannedSeen(7_000_000_000, False), BannedSeen(14_000_000_000, True)]
    assert all(item.wait_ns >= 5_000_000_000 for item in seen)
    assert at_the_venue(trader) == 0


async def test_a_clock_that_is_off(trader: Trader) -> None:
    """Requests are signed by the venue's time as the gateway knows it: the machine's own may be wrong."""
    broken(trader, FaultKind.CLOCK_SKEW, skew_ms=60_000)
    await asyncio.sleep(0)
    trader.venue.do(lambda now_ns: None)
    ahead_ns = trader.now_ns() + trader.venue.faults.skew_ns
    if trader.exchange == "binance":
        news = await trader.ask(trader.trading.balances(trader.now_ns()))
        assert any(item.clock for item in news if isinstance(item, CallFailed))
    news = await trader.ask(trader.trading.balances(ahead_ns))
    assert not [item for item in news if isinstance(item, CallFailed)]
    request = trader.trading.create(resting(trader), ahead_ns, ahead_ns + 1_000_000_000)
    assert [n for n in await trader.ask(request) if isinstance(n, OrderSeen)]


async def test_many_calls_at_once(trader: Trader) -> None:
    """None is refused for its nonce, whatever way they take."""
    requests = [trader.create(resting(trader)) for _ in range(20)]
    answers = await asyncio.gather(*(trader.send(request) for request in requests))
    assert all(any(isinstance(n, OrderSeen) for n in news) for news in answers), answers
    assert at_the_venue(trader) == 20


# --- streams ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("exchange", ["binance", "kraken"])
async def test_a_stream_that_is_cut_is_opened_again(exchange: str) -> None:
    """And says when it tells of everything again; calls are made meanwhile."""
    server = binance_server if exchange == "binance" else kraken_server
    venue: binance_server.Venue | kraken_server.Venue = server.Venue()
    await venue.open()
    trader = Trader(venue, exchange)
    await trader.open()
    broken(trader, FaultKind.DISCONNECT, count=1)
    venue.do(lambda now_ns: None)
    await trader.until(lambda: any(isinstance(m, Disconnected) for m in trader.messages))
    news = await trader.ask(trader.create(resting(trader)))
    assert any(isinstance(item, OrderSeen) for item in news)
    ready = sum(isinstance(item, StreamReady) for item in trader.news)
    await trader.until(lambda: sum(isinstance(item, StreamReady) for item in trader.news) > ready)
    intent = resting(trader)
    await trader.ask(trader.create(intent))
    await trader.told(OrderSeen, lambda n: n.client_order_id == intent.client_order_id)
    await trader.close()
    await venue.close()


# --- what a class proves ----------------------------------------------------------------------------


def test_every_exception_of_ccxt_has_a_meaning() -> None:
    """The table holds the classes of the ccxt that is installed, no more and no fewer."""
    classes = {
        name
        for name, found in vars(errors).items()
        if isinstance(found, type) and issubclass(found, errors.BaseError)
    }
    assert set(MEANINGS) == classes


def test_what_fails_on_the_way_proves_nothing() -> None:
    """Whatever is a failed operation, and no refusal, may have been done; limits are refusals."""
    for name, meaning in MEANINGS.items():
        failed = issubclass(getattr(ccxt, name), errors.OperationFailed)
        said_no = name in ("RateLimitExceeded", "DDoSProtection", "InvalidNonce")
        assert not failed or said_no or meaning.effect is Effect.POSSIBLE, name


def test_a_class_proves_only_what_it_was_raised_about() -> None:
    """Before anything was sent nothing was done; after more than one request nobody knows which failed."""
    assert meaning_of("gemini", "InvalidOrder", "", 1).effect is Effect.NONE
    assert meaning_of("gemini", "InvalidOrder", "", 2).effect is Effect.POSSIBLE
    assert meaning_of("gemini", "ExchangeError", "", 1).effect is Effect.POSSIBLE
    assert meaning_of("gemini", "KeyError", "", 1).effect is Effect.POSSIBLE
    assert meaning_of("gemini", "NetworkError", "", 0).effect is Effect.NONE
