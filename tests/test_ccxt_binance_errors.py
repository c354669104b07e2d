"""Every error of the exchange's Binance is the ccxt exception that the real exchange would cause.

ccxt reads some codes by the exchange's own address only: what it then says is asked of it as well.
"""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from ccxt import async_support
from ccxt.base import errors

from ext.matching import AUCTION, CONTINUOUS, HALTED
from tests.binance_server import (
    KEY,
    POOR_KEY,
    POOR_SECRET,
    READ_KEY,
    SECRET,
    Venue,
    ccxt_urls,
)
from tests.loopback_only import loopback_only

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


def at_home(client: async_support.binance) -> type[Exception]:
    """What the client says to its last answer when that is of Binance's own address."""
    body = client.last_http_response
    with pytest.raises(errors.BaseError) as caught:
        client.handle_errors(400, "", HOME, "POST", {}, body, json.loads(body), {}, "")
    return caught.type


LIMIT = ("limit", "buy", 1, 90)
E = errors
# type, side, amount, price, parameters; the exception here, and with Binance's own address; the code
ORDERS: list[tuple[tuple[Any, ...], dict[str, Any], type[Exception], int]] = [
    (("limit", "buy", 9_000, 90), {}, E.InsufficientFunds, -2010),
    (("limit", "sell", 11, 110), {}, E.InsufficientFunds, -2010),
    (("market", "sell", 11, None), {}, E.InsufficientFunds, -2010),
    (("limit", "buy", 0.04, 90), {}, E.BadRequest, -1013),
    (("limit", "buy", 1, 19.99), {}, E.InvalidOrder, -1013),
    (("limit", "buy", 1, 501), {}, E.InvalidOrder, -1013),
    (("limit", "buy", 9_999.9, 91), {}, E.InsufficientFunds, -2010),
    (("limit", "buy", 1, 100.1), {"timeInForce": "PO"}, E.OrderImmediatelyFillable, -2010),
    (("market", "sell", 1, None), {"stopLossPrice": 101}, E.OrderImmediatelyFillable, -2010),
    (("market", "sell", 1, None), {"takeProfitPrice": 99}, E.OrderImmediatelyFillable, -2010),
    (LIMIT, {"timeInForce": "DAY"}, E.BadRequest, -1115),
    (LIMIT, {"clientOrderId": "white space"}, E.BadRequest, -1100),
    (LIMIT, {"clientOrderId": "x" * 37}, E.BadRequest, -1100),
    (LIMIT, {"reduceOnly": True}, E.BadRequest, -1104),
    (LIMIT, {"strategyType": 5}, E.BadRequest, -1134),
    (LIMIT, {"selfTradePrevention": "SOMETIMES"}, E.BadRequest, -1130),
    (LIMIT, {"icebergAmount": 2}, E.InvalidOrder, -2010),
    (LIMIT, {"icebergAmount": 0.01}, E.BadRequest, -1013),
    (LIMIT, {"icebergAmount": 0.5, "timeInForce": "IOC"}, E.InvalidOrder, -1014),
    (LIMIT, {"stopPrice": "95", "trailingDelta": 5, "type": "spot"}, E.InvalidOrder, 0),
]


@pytest.mark.parametrize(("order", "params", "kind", "code"), ORDERS)
async def test_orders_that_are_refused(
    client: async_support.binance,
    order: tuple[Any, ...],
    params: dict[str, Any],
    kind: type[Exception],
    code: int,
) -> None:
    """As the exception, and nothing is there after it."""
    with pytest.raises(errors.BaseError) as caught:
        await client.create_order(PAIR, *order, params)
    if code:
        assert json.loads(client.last_http_response)["code"] == code
        assert issubclass(at_home(client), kind)
    if code != -1134:  # which ccxt knows by the address only
        assert caught.type is kind, caught.value
    assert await client.fetch_orders(PAIR) == []


async def raw(client: async_support.binance, **fields: Any) -> int:
    """The code that an order which ccxt itself would not send is refused with; 0 for none."""
    base = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "1", "price": "90"}
    request = {**base, "timeInForce": "GTC", **fields}
    sent = {name: value for name, value in request.items() if value is not None}
    try:
        await client.private_post_order(sent)
    except errors.BaseError:
        return int(json.loads(client.last_http_response)["code"])
    return 0


async def test_filters_by_their_names(client: async_support.binance) -> None:
    """What ccxt rounds away before it asks."""
    cases = [
        ({"price": "90.001"}, -1013, "PRICE_FILTER", E.InvalidOrder),
        ({"price": "10000000.01"}, -1013, "PRICE_FILTER", E.InvalidOrder),
        ({"quantity": "1.000001"}, -1013, "LOT_SIZE", E.InvalidOrder),
        ({"quantity": "10001"}, -1013, "LOT_SIZE", E.InvalidOrder),
        ({"quantity": "0"}, -1013, "Invalid quantity.", E.BadRequest),
        ({"price": "0"}, -1013, "Invalid price.", E.BadRequest),
        ({"price": "90.0000000001"}, -1111, "price", E.BadRequest),
        ({"quantity": "1.0000000001"}, -1111, "quantity", E.BadRequest),
        ({"price": "501"}, -1013, "PERCENT_PRICE_BY_SIDE", E.InvalidOrder),
        ({"price": "19.99"}, -1013, "PERCENT_PRICE_BY_SIDE", E.InvalidOrder),
        ({"quantity": "0.05"}, -1013, "NOTIONAL", E.BadRequest),
        ({"icebergQty": "0.09"}, -1013, "ICEBERG_PARTS", E.BadRequest),
        ({"symbol": "NOPE"}, -1121, "Invalid symbol.", E.BadSymbol),
        ({"symbol": "btcusdt"}, -1100, "symbol", E.BadRequest),
        ({"price": None}, -1102, "price", E.BadRequest),
        ({"price": "-1"}, -1100, "price", E.BadRequest),
        ({"price": "1e2"}, -1100, "price", E.BadRequest),
        ({"quoteOrderQty": "5"}, -1106, "quoteOrderQty", E.BadRequest),
        ({"side": "buy"}, -1117, "Invalid side.", E.BadRequest),
        ({"type": "MAGIC"}, -1116, "Invalid orderType.", E.BadRequest),
    ]
    for fields, code, word, kind in cases:
        assert await raw(client, **fields) == code, fields
        said = json.loads(client.last_http_response)["msg"]
        assert word in said, (fields, said)
        assert at_home(client) is kind, (fields, said)
    assert await client.fetch_orders(PAIR) == []


async def test_too_many_orders_of_a_kind(client: async_support.binance) -> None:
    """Five stops, two hundred orders."""
    for price in range(80, 85):
        await client.create_order(PAIR, "market", "sell", 0.1, None, {"stopLossPrice": price})
    with pytest.raises(errors.BaseError, match="MAX_NUM_ALGO_ORDERS"):
        await client.create_order(PAIR, "market", "sell", 0.1, None, {"stopLossPrice": 90})


async def test_orders_that_are_not_there(client: async_support.binance) -> None:
    """Queried, cancelled, cancelled twice; and one of another symbol."""
    for ask in (client.fetch_order, client.cancel_order):
        with pytest.raises(errors.OrderNotFound):
            await ask("4711", PAIR)
        with pytest.raises(errors.OrderNotFound):
            await ask("", PAIR, {"clientOrderId": "nobody"})
    order = await client.create_order(PAIR, *LIMIT)
    with pytest.raises(errors.OrderNotFound):
        await client.fetch_order(order["id"], "ETH/USDT")
    with pytest.raises(errors.OrderNotFound):
        await client.cancel_order(order["id"], PAIR, {"clientOrderId": "another"})
    await client.cancel_order(order["id"], PAIR)
    with pytest.raises(errors.OrderNotFound):
        await client.cancel_order(order["id"], PAIR)
    with pytest.raises(errors.OrderNotFound):
        await client.cancel_all_orders(PAIR)


async def test_cancel_restrictions(client: async_support.binance) -> None:
    """Only while it is as the client thinks."""
    order = await client.create_order(PAIR, *LIMIT)
    with pytest.raises(errors.OrderNotFound, match="restrictions"):
        await client.cancel_order(
            order["id"], PAIR, {"cancelRestrictions": "ONLY_PARTIALLY_FILLED"}
        )
    with pytest.raises(errors.BaseError) as caught:
        await client.cancel_order(order["id"], PAIR, {"cancelRestrictions": "NEVER"})
    assert "-1145" in str(caught.value)
    assert at_home(client) is errors.BadRequest
    await client.cancel_order(order["id"], PAIR, {"cancelRestrictions": "ONLY_NEW"})


async def test_a_client_id_is_used_once_at_a_time(client: async_support.binance) -> None:
    """Again when the order is over."""
    params = {"clientOrderId": "mine"}
    await client.create_order(PAIR, *LIMIT, params)
    with pytest.raises(errors.InvalidOrder, match="Duplicate order sent"):
        await client.create_order(PAIR, *LIMIT, params)
    await client.cancel_order("", PAIR, params)
    again = await client.create_order(PAIR, *LIMIT, params)
    assert (await client.fetch_order("", PAIR, params))["id"] == again["id"]


async def test_keys(venue: Venue) -> None:
    """None, a wrong one, a wrong secret, one that may only read."""
    wrong_secret = client_of(venue, KEY, "wrong")
    unknown = client_of(venue, "u" * 64, SECRET)
    malformed = client_of(venue, "a b", SECRET)
    reader = client_of(venue, READ_KEY, SECRET)
    for made, code in ((wrong_secret, -1022), (unknown, -2015), (malformed, -2014)):
        made.options["fetchCurrencies"] = False
        made.options["fetchMargins"] = False
        with pytest.raises(errors.AuthenticationError, match=str(code)):
            await made.fetch_balance()
    reader.options["fetchCurrencies"] = reader.options["fetchMargins"] = False
    with pytest.raises(errors.AuthenticationError, match="-2015"):
        await reader.create_order(PAIR, *LIMIT)
    assert (await reader.fetch_balance())["BTC"]["total"] == 10
    with pytest.raises(errors.DDoSProtection, match="-2015"):  # a key that was right once
        await reader.create_order(PAIR, *LIMIT)
    for made in (wrong_secret, unknown, malformed, reader):
        await made.close()


async def test_clocks(client: async_support.binance) -> None:
    """A clock ahead, and one behind; with the difference told to the client it is right again."""
    for difference in (60_000, -5_000):
        client.options["timeDifference"] = difference
        with pytest.raises(errors.InvalidNonce):
            await client.fetch_balance()
    await client.load_time_difference()
    assert abs(client.options["timeDifference"]) < 1_000
    await client.fetch_balance()


async def test_symbols_that_are_not_there(client: async_support.binance) -> None:
    """And a candle that Binance has not."""
    for request in (client.public_get_depth, client.public_get_avgprice):
        with pytest.raises(errors.BadSymbol):
            await request({"symbol": "DOGEUSDT"})
    for fields, code in (
        ({"symbol": "BTCUSDT", "interval": "2m"}, -1120),
        ({"symbol": "BTCUSDT", "interval": "1m", "limit": "many"}, -1100),
        ({"symbol": "BTCUSDT"}, -1102),
        ({"symbol": "BTCUSDT", "interval": "1m", "colour": "red"}, -1104),
        ({"symbol": "BTCUSDT", "interval": ""}, -1102),
    ):
        with pytest.raises(errors.BadRequest, match=str(code)):
            await client.public_get_klines(fields)


async def test_phases_of_the_market(venue: Venue, client: async_support.binance) -> None:
    """A halted market takes nothing; an auction takes what may rest."""
    venue.do(lambda now_ns: venue.exchange.set_phase(0, HALTED, now_ns))
    with pytest.raises(errors.MarketClosed):
        await client.create_order(PAIR, *LIMIT)
    assert not (await client.load_markets(True))[PAIR]["active"]
    venue.do(lambda now_ns: venue.exchange.set_phase(0, CONTINUOUS, now_ns))
    venue.do(lambda now_ns: venue.exchange.set_phase(0, AUCTION, now_ns))
    with pytest.raises(errors.BaseError, match="GTC for this phase"):
        await client.create_order(PAIR, "market", "buy", 1)
    venue.do(lambda now_ns: venue.exchange.set_phase(0, CONTINUOUS, now_ns))
    await client.create_order(PAIR, *LIMIT)


async def test_an_account_that_may_not_trade(venue: Venue, client: async_support.binance) -> None:
    """Its cancels pass."""
    order = await client.create_order(PAIR, *LIMIT)
    venue.exchange.accounts.suspend("main", suspended=True)
    with pytest.raises(errors.PermissionDenied):
        await client.create_order(PAIR, *LIMIT)
    assert (await client.fetch_balance())["info"]["canTrade"] is False
    await client.cancel_order(order["id"], PAIR)


async def test_a_poor_account(venue: Venue) -> None:
    """One dollar buys nothing here."""
    made = client_of(venue, POOR_KEY, POOR_SECRET)
    with pytest.raises(errors.InsufficientFunds):
        await made.create_order(PAIR, *LIMIT)
    with pytest.raises(errors.InsufficientFunds):
        await made.create_order(PAIR, "market", "buy", 1)
    await made.close()
