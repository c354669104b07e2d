"""What the real ccxt clients raise on the exchange's Kraken: the class that Kraken's own words cause.

Any connection to another host fails the test.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import ccxt
import pytest
from ccxt import async_support

from engine.exchange.wires.kraken_limits import STARTER
from engine.fault_config import FaultConfig, FaultKind
from ext.matching import HALTED
from tests.kraken_server import KEY, POOR_KEY, READ_KEY, SECRET, Venue, settings
from tests.loopback_only import loopback_only

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
PAIR = "BTC/USDT"
Client = async_support.kraken
Ask = Callable[[Client], Awaitable[Any]]


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


def limit(amount: float = 0.01, cost: float = 49000, pair: str = PAIR, **params: Any) -> Ask:
    """A limit buy."""
    return lambda c: c.create_order(pair, "limit", "buy", amount, cost, params)


def raw(name: str, **params: Any) -> Ask:
    """A private call by its own name, without what ccxt rounds."""
    return lambda c: getattr(c, f"private_post_{name}")(params)


ADD = {"pair": "XBTUSDT", "type": "buy", "ordertype": "limit", "volume": "0.01", "price": "49000"}
ERRORS: list[tuple[Ask, type[Exception], str]] = [
    (limit(30), ccxt.InsufficientFunds, "EOrder:Insufficient funds"),
    (limit(0.00001), ccxt.InvalidOrder, "EOrder:Order minimum not met"),
    (limit(0.0001, 1000), ccxt.ExchangeError, "EOrder:Cost minimum not met"),
    (limit(1000, 0.2, "DOGE/USDT", price="0.10003"), ccxt.ExchangeError, "EOrder:Tick size check failed"),
    (limit(price="49000.05"), ccxt.ExchangeError, "EOrder:Invalid price:XBTUSDT price can only"),
    (limit(price="0"), ccxt.InvalidOrder, "EGeneral:Invalid arguments:price"),
    (limit(0.01, 50001, postOnly=True), ccxt.ExchangeError, "EOrder:Post only order"),
    (limit(reduceOnly=True), ccxt.ExchangeError, "EOrder:Reduce only:No position exists"),
    (limit(leverage="5"), ccxt.ExchangeError, "EOrder:Cannot open position"),
    (limit(timeInForce="XYZ"), ccxt.ExchangeError, "EGeneral:Invalid arguments:timeinforce"),
    (limit(starttm="+100"), ccxt.ExchangeError, "EOrder:Scheduled orders limit exceeded"),
    (limit(deadline="2020-01-01T00:00:00Z"), ccxt.ExchangeError, "EService:Deadline elapsed"),
    (limit(volume="x"), ccxt.InvalidOrder, "EGeneral:Invalid arguments:volume"),
    (raw("addorder", **ADD | {"pair": "FOOBAR"}), ccxt.ExchangeError, "EQuery:Unknown asset pair"),
    (raw("addorder", **ADD | {"pair": "FOO BAR"}), ccxt.BadSymbol, "EQuery:Invalid asset pair"),
    (raw("addorder", **ADD | {"ordertype": "x"}), ccxt.ExchangeError, "EGeneral:Invalid arguments:ordertype"),
    (raw("ledgers", asset="FOO"), ccxt.BadSymbol, "EQuery:Unknown asset"),
    (raw("creditlines"), ccxt.ExchangeError, "EGeneral:Unknown method"),
    (lambda c: c.create_order("FOO/BAR", "limit", "buy", 1, 1), ccxt.BadSymbol, "does not have market"),
    (lambda c: c.cancel_order("OABCDE-FGHIJ-KLMNOP"), ccxt.OrderNotFound, "EOrder:Unknown order"),
    (lambda c: c.fetch_order("OABCDE-FGHIJ-KLMNOP"), ccxt.InvalidOrder, "EOrder:Invalid order"),
    (lambda c: c.edit_order("OABCDE-FGHIJ-KLMNOP", PAIR, "limit", "buy", 1, 1), ccxt.InvalidOrder, "EOrder:Unknown order"),
    (lambda c: c.fetch_trades(PAIR, params={"pair": "XBTFOO"}), ccxt.ExchangeError, "EQuery:Unknown asset pair"),
]  # fmt: skip


@pytest.mark.parametrize(("ask", "kind", "words"), ERRORS, ids=[words for _, _, words in ERRORS])
async def test_refusals(client: Client, ask: Ask, kind: type[Exception], words: str) -> None:
    """Each is what ccxt makes of Kraken's own words."""
    with pytest.raises(kind) as told:
        await ask(client)
    assert words in str(told.value)
    assert await client.fetch_open_orders() == []


async def test_refusals_of_keys(venue: Venue) -> None:
    """An unknown key, a wrong secret, a right that is missing, a nonce that was used, a poor account."""
    for key, secret, kind, words in (
        ("nobody", SECRET, ccxt.AuthenticationError, "EAPI:Invalid key"),
        (KEY, "d3Jvbmc=", ccxt.ExchangeError, "EAPI:Invalid signature"),
        (READ_KEY, SECRET, ccxt.PermissionDenied, "EGeneral:Permission denied"),
        (POOR_KEY, SECRET, ccxt.InsufficientFunds, "EOrder:Insufficient funds"),
    ):
        made = async_support.kraken(settings(venue, key, secret))
        with pytest.raises(kind) as told:
            await made.create_order(PAIR, "limit", "buy", 0.01, 49000)
        assert words in str(told.value)
        await made.close()
    made = async_support.kraken(settings(venue))
    await made.fetch_balance()
    made.incrementing_nonce = lambda: 1
    with pytest.raises(ccxt.InvalidNonce):
        await made.fetch_balance()
    await made.close()


async def again(ask: Callable[[], Awaitable[Any]]) -> None:
    """Twenty times."""
    for _ in range(20):
        await ask()


async def test_too_much_of_both(venue: Venue) -> None:
    """A starter's calls, and its orders of one pair."""
    slow = Venue(STARTER)
    await slow.open()
    made = async_support.kraken(settings(slow))
    await made.load_markets()

    async def trade() -> None:
        order = await made.create_order(PAIR, "limit", "buy", 0.01, 49000)
        await made.cancel_order(order["id"])

    for ask, words in ((made.fetch_balance, "EAPI"), (trade, "EOrder")):
        with pytest.raises(ccxt.DDoSProtection, match=f"{words}:Rate limit exceeded"):
            await again(ask)
    await made.close()
    await slow.close()


FAILURES = [
    (FaultKind.ERROR_NOT_DONE, ccxt.ExchangeNotAvailable, 0),
    (FaultKind.ERROR_DONE, ccxt.ExchangeNotAvailable, 1),
    (FaultKind.OVERLOADED, ccxt.ExchangeNotAvailable, 0),
    (FaultKind.RATE_LIMIT, ccxt.DDoSProtection, 0),
    (FaultKind.REJECTED, ccxt.InvalidOrder, 0),
    (FaultKind.TIMEOUT_DONE, ccxt.RequestTimeout, 1),
]


@pytest.mark.parametrize(("kind", "error", "done"), FAILURES, ids=[str(f[0]) for f in FAILURES])
async def test_failures(
    venue: Venue, client: Client, kind: FaultKind, error: type[Exception], done: int
) -> None:
    """What a fault makes of a call, and whether it took effect all the same."""
    fault = FaultConfig(kind=kind, endpoint="*AddOrder*", count=1)
    venue.faults.set(fault, venue.server.now_ns())
    client.timeout = 300
    with pytest.raises(error):
        await client.create_order(PAIR, "limit", "buy", 0.01, 49000)
    client.timeout = 10_000
    if kind is FaultKind.RATE_LIMIT:
        with pytest.raises(ccxt.DDoSProtection, match="EGeneral:Temporary lockout"):
            await client.fetch_open_orders()
        venue.faults.clear(0, venue.server.now_ns())
    assert len(await client.fetch_open_orders()) == done


async def test_halted_market(venue: Venue, client: Client) -> None:
    """Orders are refused as under maintenance; cancels pass."""
    order = await client.create_order(PAIR, "limit", "buy", 0.01, 49000)
    venue.do(lambda now_ns: venue.exchange.set_phase(0, HALTED, now_ns))
    with pytest.raises(ccxt.OnMaintenance, match="EService:Market in cancel_only mode"):
        await client.create_order(PAIR, "limit", "buy", 0.01, 49000)
    await client.cancel_order(order["id"])


async def test_suspended_account(venue: Venue, client: Client) -> None:
    """Its orders are refused."""
    venue.exchange.accounts.suspend("main", True)
    with pytest.raises(ccxt.AccountSuspended):
        await client.create_order(PAIR, "limit", "buy", 0.01, 49000)
