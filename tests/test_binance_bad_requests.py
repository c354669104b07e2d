"""Bad requests of every kind get the documented error from the exchange's Binance and change nothing."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.exchange.wires.binance_keys import signature_of
from engine.exchange.wires.binance_words import MESSAGES
from engine.exchange.wires.wire import Failure
from tests.binance_client import MS, Desk

LIMIT: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "1",
    "price": "90",
}
MARKET = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
STOP = {
    "symbol": "BTCUSDT",
    "side": "SELL",
    "type": "STOP_LOSS",
    "quantity": "1",
    "stopPrice": "95",
}
STOP_LIMIT = {**STOP, "type": "STOP_LOSS_LIMIT", "price": "94", "timeInForce": "GTC"}
MAKER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT_MAKER", "quantity": "1", "price": "90"}
OCO = {
    "symbol": "BTCUSDT",
    "side": "SELL",
    "quantity": "1",
    "aboveType": "LIMIT_MAKER",
    "abovePrice": "110",
    "belowType": "STOP_LOSS",
    "belowStopPrice": "90",
}
OTO = {
    "symbol": "BTCUSDT",
    "workingType": "LIMIT",
    "workingSide": "BUY",
    "workingPrice": "90",
    "workingQuantity": "1",
    "workingTimeInForce": "GTC",
    "pendingType": "MARKET",
    "pendingSide": "SELL",
    "pendingQuantity": "1",
}


def without(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    """Less some of them."""
    return {name: value for name, value in fields.items() if name not in names}


def state_of(desk: Desk) -> tuple[Any, ...]:
    """Everything that a request could change."""
    audit = desk.exchange.audit()
    assert audit.problems == ()
    books = [market.depth(0) for market in desk.exchange.markets.values()]
    open_orders = [(o.number, o.lots, o.filled, o.status) for o in audit.orders]
    return audit.order_count, audit.fill_count, audit.balances, books, open_orders


BAD_ORDERS: list[tuple[dict[str, Any], int, str]] = [
    *((without(LIMIT, name), -1102, f"'{name}'") for name in LIMIT),
    *(({**LIMIT, name: ""}, -1102, f"'{name}'") for name in ("symbol", "side", "type")),
    ({**LIMIT, "price": ""}, -1105, "'price'"),
    ({**LIMIT, "symbol": "DOGEUSDT"}, -1121, "Invalid symbol."),
    ({**LIMIT, "symbol": "BTC/USDT"}, -1100, "'symbol'"),
    ({**LIMIT, "side": "LONG"}, -1117, "Invalid side."),
    ({**LIMIT, "type": "ICEBERG"}, -1116, "Invalid orderType."),
    ({**LIMIT, "timeInForce": "GTX"}, -1115, "Invalid timeInForce."),
    *(({**LIMIT, "price": text}, -1100, "'price'") for text in ("-90", "9e1", "nine", ".5", "1.")),
    *(({**LIMIT, "quantity": text}, -1100, "'quantity'") for text in ("-1", "1e0", "NaN", "1,5")),
    ({**LIMIT, "price": "1" * 21}, -1100, "'price'"),
    ({**LIMIT, "price": "90.123456789"}, -1111, "'price'"),
    ({**LIMIT, "quantity": "1.123456789"}, -1111, "'quantity'"),
    ({**LIMIT, "price": "0"}, -1013, "Invalid price."),
    ({**LIMIT, "quantity": "0.000"}, -1013, "Invalid quantity."),
    ({**LIMIT, "price": "90.005"}, -1013, "PRICE_FILTER"),
    ({**LIMIT, "price": "99999999999"}, -1013, "PRICE_FILTER"),
    ({**LIMIT, "quantity": "1.000005"}, -1013, "LOT_SIZE"),
    ({**LIMIT, "quantity": "10000.00001"}, -1013, "LOT_SIZE"),
    ({**LIMIT, "quantity": "0.05"}, -1013, "NOTIONAL"),
    ({**LIMIT, "quantity": "9999", "price": "9001"}, -1013, "PERCENT_PRICE_BY_SIDE"),
    ({**LIMIT, "price": "19.99"}, -1013, "PERCENT_PRICE_BY_SIDE"),
    ({**LIMIT, "quoteOrderQty": "10"}, -1106, "'quoteOrderQty'"),
    ({**LIMIT, "stopPrice": "95"}, -1106, "'stopPrice'"),
    ({**LIMIT, "trailingDelta": "100"}, -1106, "'trailingDelta'"),
    ({**LIMIT, "icebergQty": "2"}, -2010, "IcebergQty exceeds QTY."),
    ({**LIMIT, "icebergQty": "0.05"}, -1013, "ICEBERG_PARTS"),
    ({**LIMIT, "icebergQty": "0.5", "timeInForce": "FOK"}, -1014, "Unsupported order combination."),
    ({**LIMIT, "newOrderRespType": "SHORT"}, -1130, "'newOrderRespType'"),
    ({**LIMIT, "selfTradePreventionMode": "TRANSFER"}, -1130, "'selfTradePreventionMode'"),
    ({**LIMIT, "strategyType": "999999"}, -1134, "strategyType"),
    ({**LIMIT, "strategyId": "9" * 20}, -1108, "'strategyId'"),
    ({**LIMIT, "newClientOrderId": "x" * 37}, -1100, "'newClientOrderId'"),
    ({**LIMIT, "colour": "red"}, -1104, "read '8' parameter(s) but was sent '9'"),
    ({**LIMIT, **{f"x{n}": n for n in range(20)}}, -1101, "Too many parameters"),
    ({**LIMIT, "quantity": "9000"}, -2010, "insufficient balance"),
    (without(MARKET, "quantity"), -1102, "'quantity' or 'quoteOrderQty'"),
    ({**MARKET, "quoteOrderQty": "10"}, -1128, "Combination"),
    ({**MARKET, "price": "90"}, -1106, "'price'"),
    ({**MARKET, "timeInForce": "GTC"}, -1106, "'timeInForce'"),
    ({**MARKET, "icebergQty": "0.5"}, -1106, "'icebergQty'"),
    ({**without(MARKET, "quantity"), "quoteOrderQty": "4.99"}, -1013, "NOTIONAL"),
    ({**without(MARKET, "quantity"), "quoteOrderQty": "5.123456789"}, -1111, "'quoteOrderQty'"),
    ({**MARKET, "side": "SELL", "quantity": "11"}, -2010, "insufficient balance"),
    ({**MAKER, "timeInForce": "GTC"}, -1106, "'timeInForce'"),
    ({**MAKER, "price": "100.1"}, -2010, "immediately match and take"),
    (without(STOP, "stopPrice"), -1102, "'stopPrice' or 'trailingDelta'"),
    ({**STOP, "price": "90"}, -1106, "'price'"),
    ({**STOP, "stopPrice": "100"}, -2010, "Stop price would trigger immediately."),
    ({**STOP, "side": "BUY"}, -2010, "Stop price would trigger immediately."),
    ({**STOP, "type": "TAKE_PROFIT"}, -2010, "Stop price would trigger immediately."),
    ({**STOP, "stopPrice": "95.001"}, -1013, "PRICE_FILTER"),
    ({**without(STOP, "stopPrice"), "trailingDelta": "5"}, -1013, "TRAILING_DELTA"),
    ({**STOP, "trailingDelta": "100"}, -2010, "Trailing stop orders are not supported"),
    (without(STOP_LIMIT, "price"), -1102, "'price'"),
    (without(STOP_LIMIT, "timeInForce"), -1102, "'timeInForce'"),
    ({**STOP_LIMIT, "stopPrice": "19"}, -1013, "PERCENT_PRICE_BY_SIDE"),
]


@pytest.mark.parametrize(("fields", "code", "text"), BAD_ORDERS)
@pytest.mark.parametrize("path", ["order", "order/test"])
def test_bad_orders(path: str, fields: dict[str, Any], code: int, text: str) -> None:
    """The error, its message, and nothing is there after it."""
    desk = Desk()
    before = state_of(desk)
    answer = desk.signed("POST", path, **fields)
    assert (answer["code"], desk.status) == (code, 400), answer
    assert text in answer["msg"]
    assert state_of(desk) == before


BAD_LISTS: list[tuple[str, dict[str, Any], int, str]] = [
    ("orderList/oco", without(OCO, "belowType"), -1102, "'belowType'"),
    ("orderList/oco", without(OCO, "abovePrice"), -1102, "'abovePrice'"),
    ("orderList/oco", without(OCO, "belowStopPrice"), -1102, "'belowStopPrice'"),
    ("orderList/oco", {**OCO, "belowType": "LIMIT_MAKER", "belowPrice": "90"}, -1168, "contingent"),
    ("orderList/oco", {**OCO, "aboveType": "MARKET"}, -1158, "not supported in OCO"),
    ("orderList/oco", {**OCO, "side": "BUY"}, -1165, "must be below"),
    ("orderList/oco", {**OCO, "aboveType": "STOP_LOSS", "aboveStopPrice": "110"}, -1197, "below"),
    ("orderList/oco", {**OCO, "belowType": "TAKE_PROFIT"}, -1199, "must be above"),
    ("orderList/oco", {**OCO, "abovePrice": "99"}, -2010, "relationship of the prices"),
    ("orderList/oco", {**OCO, "belowStopPrice": "101"}, -2010, "relationship of the prices"),
    ("orderList/oco", {**OCO, "quantity": "11"}, -2010, "insufficient balance"),
    ("orderList/oco", {**OCO, "aboveIcebergQty": "0.01"}, -1013, "ICEBERG_PARTS"),
    ("orderList/oto", without(OTO, "workingTimeInForce"), -1102, "'workingTimeInForce'"),
    ("orderList/oto", {**OTO, "workingType": "MARKET"}, -1116, "orderType"),
    ("orderList/oto", {**OTO, "pendingPrice": "95"}, -1106, "'pendingPrice'"),
    ("orderList/oto", {**OTO, "workingPrice": "90.001"}, -1013, "PRICE_FILTER"),
    ("order/oco", {"symbol": "BTCUSDT"}, -1102, "'side'"),
]


@pytest.mark.parametrize(("path", "fields", "code", "text"), BAD_LISTS)
def test_bad_lists(path: str, fields: dict[str, Any], code: int, text: str) -> None:
    """All or nothing."""
    desk = Desk()
    before = state_of(desk)
    answer = desk.signed("POST", path, **fields)
    assert answer["code"] == code, answer
    assert text in answer["msg"]
    assert state_of(desk) == before


BAD_QUESTIONS: list[tuple[str, str, dict[str, Any], int]] = [
    ("GET", "order", {"symbol": "BTCUSDT"}, -1102),
    ("GET", "order", {"symbol": "BTCUSDT", "orderId": "9999"}, -2013),
    ("GET", "order", {"symbol": "BTCUSDT", "orderId": "1"}, -2013),  # the maker's
    ("GET", "order", {"symbol": "BTCUSDT", "origClientOrderId": "none"}, -2013),
    ("DELETE", "order", {"symbol": "BTCUSDT"}, -1102),
    ("DELETE", "order", {"symbol": "BTCUSDT", "orderId": "1"}, -2011),
    ("DELETE", "order", {"symbol": "BTCUSDT", "orderId": "one"}, -1100),
    ("DELETE", "openOrders", {"symbol": "BTCUSDT"}, -2011),
    ("DELETE", "openOrders", {}, -1102),
    ("DELETE", "orderList", {"symbol": "BTCUSDT"}, -1102),
    ("DELETE", "orderList", {"symbol": "BTCUSDT", "orderListId": "5"}, -2011),
    ("GET", "orderList", {}, -1102),
    ("GET", "allOrders", {"symbol": "BTCUSDT", "limit": "0"}, -1130),
    ("GET", "allOrders", {"symbol": "BTCUSDT", "startTime": "0", "endTime": "86400001"}, -1127),
    ("GET", "allOrders", {"symbol": "BTCUSDT", "startTime": "2", "endTime": "1"}, -1128),
    ("GET", "myTrades", {"symbol": "BTCUSDT", "fromId": "1", "startTime": "1"}, -1128),
    ("GET", "allOrderList", {"fromId": "1", "startTime": "1"}, -1128),
    ("GET", "openOrders", {"symbol": "DOGEUSDT"}, -1121),
    ("POST", "order/cancelReplace", {**LIMIT, "cancelReplaceMode": "MAYBE"}, -1130),
    ("POST", "order/cancelReplace", {**LIMIT, "cancelReplaceMode": "ALLOW_FAILURE"}, -1102),
]


@pytest.mark.parametrize(("method", "path", "fields", "code"), BAD_QUESTIONS)
def test_bad_questions_and_cancels(
    method: str, path: str, fields: dict[str, Any], code: int
) -> None:
    """Each with its error."""
    desk = Desk()
    before = state_of(desk)
    answer = desk.signed(method, path, **fields)
    assert answer["code"] == code, answer
    assert state_of(desk) == before


BAD_PUBLIC: list[tuple[str, dict[str, Any], int]] = [
    ("depth", {}, -1102),
    ("depth", {"symbol": "NOPE"}, -1121),
    ("depth", {"symbol": "BTCUSDT", "limit": "0"}, -1130),
    ("depth", {"symbol": "BTCUSDT", "limit": "-5"}, -1100),
    ("depth", {"symbol": "BTCUSDT", "limit": "9" * 20}, -1108),
    ("ping", {"a": "1"}, -1101),
    ("klines", {"symbol": "BTCUSDT"}, -1102),
    ("klines", {"symbol": "BTCUSDT", "interval": "7m"}, -1120),
    ("klines", {"symbol": "BTCUSDT", "interval": "1m", "timeZone": "15"}, -1130),
    ("ticker/24hr", {"symbol": "BTCUSDT", "symbols": '["BTCUSDT"]'}, -1128),
    ("ticker/24hr", {"symbols": '["BTCUSDT","BTCUSDT"]'}, -1151),
    ("ticker/24hr", {"symbols": "BTCUSDT"}, -1100),
    ("ticker/24hr", {"symbol": "BTCUSDT", "type": "HUGE"}, -1139),
    ("ticker", {}, -1102),
    ("ticker", {"symbol": "BTCUSDT", "windowSize": "8d"}, -1130),
    ("exchangeInfo", {"symbolStatus": "ASLEEP"}, -1122),
    ("exchangeInfo", {"symbol": "NOPE"}, -1121),
]


@pytest.mark.parametrize(("path", "fields", "code"), BAD_PUBLIC)
def test_bad_public_requests(path: str, fields: dict[str, Any], code: int) -> None:
    """Without a key."""
    desk = Desk(key="")
    answer = desk.ask("GET", path, **fields)
    assert (answer["code"], desk.status) == (code, 400), answer


def test_a_doubled_parameter() -> None:
    """An error in one place; over query and body the query wins."""
    desk = Desk(key="")
    answer = desk.send("GET", "/api/v3/depth", "symbol=BTCUSDT&symbol=ETHUSDT")
    assert b"-1101" in answer.body
    desk = Desk()
    fields = {**LIMIT, "timestamp": desk.now_ns // MS}
    query = "&".join(f"{name}={value}" for name, value in fields.items())
    signature = signature_of(f"{query}price=91", desk.secret.encode())
    answer = desk.send("POST", "/api/v3/order", f"{query}&signature={signature}", "price=91")
    assert answer.status == 200
    assert desk.exchange.open_orders("main")[0].ticks == 9_000


FIELDS = sorted({*LIMIT, *STOP_LIMIT, "quoteOrderQty", "icebergQty", "trailingDelta", "colour"})
VALUES = st.one_of(
    st.sampled_from(
        "BTCUSDT ETHUSDT BUY SELL LIMIT MARKET STOP_LOSS TAKE_PROFIT_LIMIT LIMIT_MAKER GTC IOC FOK "
        "0 1 0.5 90 99.9 100.05 110 1e5 -1 0.00001 99999999 9000 true null [] {} EXPIRE_BOTH".split()
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="&=%+#"), max_size=12),
    st.decimals(0, 10**6, places=3).map(str),
)
BASES = st.sampled_from([LIMIT, MARKET, STOP, STOP_LIMIT, MAKER])


@settings(max_examples=150)
@given(
    BASES,
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4),
    st.sets(st.sampled_from(FIELDS), max_size=2),
)
def test_mutated_orders_are_done_right_or_not_at_all(
    base: dict[str, Any], changed: dict[str, str], dropped: set[str]
) -> None:
    """Whatever is sent: an order as it was asked for, or a documented error and nothing changed."""
    desk = Desk()
    before = state_of(desk)
    fields = without({**base, **changed}, *dropped)
    answer = desk.signed("POST", "order", **fields)
    after = state_of(desk)
    if desk.status == 200:
        assert after[0] == before[0] + 1
        assert answer["symbol"] == fields["symbol"]
        query = {"symbol": answer["symbol"], "orderId": answer["orderId"]}
        seen = desk.signed("GET", "order", **query)
        assert (seen["type"], seen["side"]) == (fields["type"], fields["side"])
        if "price" in fields:
            assert float(seen["price"]) == float(fields["price"])
        if "quantity" in fields:
            assert float(seen["origQty"]) == float(fields["quantity"])
    else:
        assert after == before
        assert answer["code"] in MESSAGES or answer["code"] in (-2010, -1013), answer
        assert desk.status in (400, 401)


@settings(max_examples=100)
@given(st.binary(max_size=60), st.sampled_from(["GET", "POST", "DELETE", "PUT"]))
def test_noise_over_http(noise: bytes, method: str) -> None:
    """Any query or body is answered and changes nothing."""
    desk = Desk()
    before = state_of(desk)
    for path in ("order", "depth", "account", "userDataStream", "order/cancelReplace"):
        answer = desk.send(method, f"/api/v3/{path}", noise.decode("latin-1"), noise.hex())
        assert answer.status in (200, 400, 401, 404)
    assert state_of(desk) == before


@settings(max_examples=100)
@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
def test_noise_over_websockets(noise: bytes) -> None:
    """Each frame is answered with an error, on both kinds of connections."""
    desk = Desk()
    before = state_of(desk)
    desk.connect(1, "/ws")
    desk.connect(2, "/ws-api/v3")
    assert "error" in desk.say(1, noise)
    assert desk.say(2, noise)["status"] == 400
    assert state_of(desk) == before


DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    "payload",
    [
        b'{"id":"\xff","method":"ping"}',
        b'{"id":1,"method":"\xff"}',
        b'{"id":1,"method":"SUBSCRIBE","params":["\xff"]}',
        DEEP,
        b'{"id":1,"method":"ping","params":' + DEEP,
        b'{"id":1,"method":"ping","params":{"a":' + DEEP,
    ],
)
def test_frames_that_no_reader_can_read(payload: bytes) -> None:
    """Text that is not UTF-8 and what is nested too deep are errors of the client, not of ours."""
    desk = Desk()
    desk.connect(1, "/ws")
    desk.connect(2, "/ws-api/v3")
    assert "error" in desk.say(1, payload)
    assert desk.say(2, payload)["status"] == 400
    told = desk.wire.refused(Failure.OVERLOADED, payload, 1)
    assert b'"SUBSCRIBE"' in payload or b"-1008" in told


def test_a_signature_covers_all_that_is_sent() -> None:
    """One changed byte of a signed order, wherever it is, and nothing is done."""
    desk = Desk()
    before = state_of(desk)
    fields = {**LIMIT, "timestamp": desk.now_ns // MS, "recvWindow": 5000}
    text = "&".join(f"{name}={value}" for name, value in fields.items())
    good = signature_of(text, desk.secret.encode())
    for place in range(len(text)):
        if text[place] in "&=":
            continue
        changed = text[:place] + ("1" if text[place] != "1" else "2") + text[place + 1 :]
        answer = desk.send("POST", "/api/v3/order", "", f"{changed}&signature={good}")
        assert answer.status != 200, changed
    assert state_of(desk) == before
    assert desk.send("POST", "/api/v3/order", "", f"{text}&signature={good}").status == 200
