"""What an account hears of itself by the exchange's Binance: listen keys, events, the WebSocket API."""

import json
from typing import Any

import pytest

from engine.exchange.wires.wire import Failure
from ext.matching import BUY, SELL
from tests.binance_client import MS, Desk
from tests.binance_server import KEY, POOR_KEY, POOR_SECRET

LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}


@pytest.fixture
def desk() -> Desk:
    """A client."""
    return Desk()


# --- listen keys ------------------------------------------------------------------------------


def test_a_listen_key_brings_the_accounts_events(desk: Desk) -> None:
    """Raw on its own address, wrapped in a combined stream; until it is closed."""
    key = desk.ask("POST", "userDataStream")["listenKey"]
    assert desk.ask("POST", "userDataStream")["listenKey"] == key
    desk.connect(1, f"/ws/{key}")
    desk.connect(2, "/stream", f"streams={key}")
    desk.connect(3, "/ws")
    desk.subscribe(key, connection=3)
    desk.signed("POST", "order", **LIMIT, quantity="1", price="90")
    raw, position = desk.told(1)
    assert (raw["e"], raw["x"], raw["w"]) == ("executionReport", "NEW", True)
    assert position["e"] == "outboundAccountPosition"
    assert position["B"] == [{"a": "USDT", "f": "99909.82000000", "l": "90.18000000"}]
    assert [frame["stream"] for frame in desk.told(2)] == [key, key]
    assert len(desk.told(3)) == 2
    assert desk.ask("PUT", "userDataStream", listenKey=key) == {}
    assert desk.ask("PUT", "userDataStream", listenKey="x" * 64)["code"] == -1125
    other = Desk(POOR_KEY, POOR_SECRET)
    other.wire, other.exchange = desk.wire, desk.exchange
    assert other.ask("DELETE", "userDataStream", listenKey=key)["code"] == -1125
    assert desk.ask("DELETE", "userDataStream", listenKey=key) == {}
    desk.signed("POST", "order", **LIMIT, quantity="1", price="91")
    assert desk.told(1) == desk.told(2) == desk.told(3) == []


def test_a_listen_key_is_good_for_an_hour(desk: Desk) -> None:
    """Its end is told; who extends it hears on."""
    key = desk.ask("POST", "userDataStream")["listenKey"]
    desk.connect(1, f"/ws/{key}")
    desk.wait(50 * 60_000)
    desk.ask("PUT", "userDataStream", listenKey=key)
    desk.wait(50 * 60_000)
    assert desk.told(1) == []
    desk.wait(11 * 60_000)
    assert [(frame["e"], frame["listenKey"]) for frame in desk.told(1)] == [
        ("listenKeyExpired", key)
    ]
    assert desk.ask("PUT", "userDataStream", listenKey=key)["code"] == -1125
    assert desk.ask("POST", "userDataStream")["listenKey"] != key


def test_whose_a_connection_is(desk: Desk) -> None:
    """Known by its listen key, or by what it asked last; for faults that strike one account."""
    key = desk.ask("POST", "userDataStream")["listenKey"]
    desk.connect(1, f"/ws/{key}")
    desk.connect(2, "/ws/btcusdt@trade")
    desk.connect(3, "/ws-api/v3")
    accounts = [desk.wire.account_of(number) for number in (1, 2, 3, 4)]
    assert accounts == ["main", "", "", ""]
    desk.request(3, "ping", signed=False)
    assert desk.wire.account_of(3) == ""
    desk.request(3, "account.status")
    desk.request(3, "ping", signed=False)
    assert desk.wire.account_of(3) == "main"


# --- account events ---------------------------------------------------------------------------


@pytest.fixture
def heard(desk: Desk) -> Desk:
    """A client that listens over the WebSocket API."""
    desk.connect(9, "/ws-api/v3", "returnRateLimits=false")
    answer = desk.request(9, "userDataStream.subscribe.signature")
    assert answer == {"id": "x", "status": 200, "result": {"subscriptionId": 0}}
    desk.told(9)
    return desk


def steps(desk: Desk) -> list[tuple[str, str, str]]:
    """Execution type, status and filled quantity of what was told."""
    events = [frame["event"] for frame in desk.told(9) if "event" in frame]
    return [(e["x"], e["X"], e["z"]) for e in events if e["e"] == "executionReport"]


def test_the_steps_of_orders(heard: Desk) -> None:
    """Each execution type and status as Binance names them."""
    order = heard.signed("POST", "order", **LIMIT, quantity="2", price="99.95")
    heard.trade(SELL, 50_000)
    heard.trade(SELL, 50_000)
    heard.signed("DELETE", "order", symbol="BTCUSDT", orderId=order["orderId"])
    assert steps(heard) == [
        ("NEW", "NEW", "0.00000000"),
        ("TRADE", "PARTIALLY_FILLED", "0.50000000"),
        ("TRADE", "PARTIALLY_FILLED", "1.00000000"),
        ("CANCELED", "CANCELED", "1.00000000"),
    ]
    ioc = {**LIMIT, "timeInForce": "IOC"}
    heard.signed("POST", "order", **ioc, quantity="1.5", price="100.1")
    assert steps(heard) == [
        ("NEW", "NEW", "0.00000000"),
        ("TRADE", "PARTIALLY_FILLED", "1.00000000"),
        ("EXPIRED", "EXPIRED", "1.00000000"),
    ]
    heard.signed("POST", "order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="1")
    assert steps(heard) == [("NEW", "NEW", "0.00000000"), ("TRADE", "FILLED", "1.00000000")]
    heard.signed("POST", "order", **{**LIMIT, "side": "SELL"}, quantity="1", price="100.15")
    taker = {"selfTradePreventionMode": "EXPIRE_TAKER"}
    heard.signed("POST", "order", **LIMIT, **taker, quantity="1", price="100.15")
    assert steps(heard)[1:] == [
        ("NEW", "NEW", "0.00000000"),
        ("TRADE_PREVENTION", "EXPIRED_IN_MATCH", "0.00000000"),
    ]


def test_a_stop_begins_to_work_when_it_triggers(heard: Desk) -> None:
    """It is told a second time as new, and now on the book."""
    stop = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_LOSS_LIMIT", "timeInForce": "GTC"}
    heard.signed("POST", "order", **stop, quantity="1", price="99.95", stopPrice="99.9")
    first = next(f["event"] for f in heard.told(9) if f["event"]["e"] == "executionReport")
    assert first["w"] is False
    assert "W" not in first
    heard.wait(5)
    heard.trade(SELL, 50_000)
    events = [f["event"] for f in heard.told(9) if f["event"]["e"] == "executionReport"]
    assert [(e["x"], e["w"], e["W"]) for e in events] == [("NEW", True, heard.now_ns // MS)]


def test_the_events_of_a_list(heard: Desk) -> None:
    """It begins, its orders come, one is expired by the other, it is done."""
    oco = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "1", "aboveType": "LIMIT_MAKER"}
    oco |= {"abovePrice": "100.15", "belowType": "STOP_LOSS", "belowStopPrice": "99"}
    made = heard.signed("POST", "orderList/oco", **oco, listClientOrderId="both")
    events = [frame["event"] for frame in heard.told(9)]
    assert [e["e"] for e in events] == [
        "listStatus",
        "executionReport",
        "executionReport",
        "outboundAccountPosition",
    ]
    assert (events[0]["C"], events[0]["l"], events[0]["L"]) == ("both", "EXEC_STARTED", "EXECUTING")
    heard.trade(BUY, 200_000)
    events = [frame["event"] for frame in heard.told(9)]
    kinds = [(e.get("x"), e.get("X"), e.get("eR")) for e in events if e["e"] == "executionReport"]
    assert sorted(kinds, key=str) == [
        ("EXPIRED", "EXPIRED", "OCO_TRIGGER"),
        ("TRADE", "FILLED", None),
    ]
    done = [e for e in events if e["e"] == "listStatus"]
    assert [(e["l"], e["L"]) for e in done] == [("ALL_DONE", "ALL_DONE")]
    listed = heard.signed("GET", "orderList", orderListId=made["orderListId"])
    assert listed["listOrderStatus"] == "ALL_DONE"
    assert heard.signed("GET", "openOrderList") == []


def test_cancels_have_names_of_their_own(heard: Desk) -> None:
    """`c` is the cancel's, `C` the order's."""
    order = heard.signed(
        "POST", "order", **LIMIT, quantity="1", price="90", newClientOrderId="mine"
    )
    heard.told(9)
    query = {"symbol": "BTCUSDT", "orderId": order["orderId"], "newClientOrderId": "away"}
    answer = heard.signed("DELETE", "order", **query)
    assert (answer["clientOrderId"], answer["origClientOrderId"]) == ("away", "mine")
    event = heard.told(9)[0]["event"]
    assert (event["c"], event["C"]) == ("away", "mine")
    seen = heard.signed("GET", "order", symbol="BTCUSDT", origClientOrderId="mine")
    assert (seen["status"], seen["clientOrderId"]) == ("CANCELED", "mine")


# --- the WebSocket API ------------------------------------------------------------------------


def test_answers_of_the_websocket_api(desk: Desk) -> None:
    """The id comes back as it was; limits are told unless they are not wanted."""
    desk.connect(1, "/ws-api/v3")
    for number in (1, "1", None, "a-b"):
        answer = desk.say(1, {"id": number, "method": "time"})
        assert (answer["id"], answer["status"]) == (number, 200)
    assert answer["result"] == {"serverTime": desk.now_ns // MS}
    assert [row["rateLimitType"] for row in answer["rateLimits"]] == ["REQUEST_WEIGHT"]
    quiet = {"id": 1, "method": "v3/ping", "params": {"returnRateLimits": False}}
    assert desk.say(1, quiet) == {"id": 1, "status": 200, "result": {}}
    order = desk.request(1, "order.place", **LIMIT, quantity="1", price="90")
    assert [row["count"] for row in order["rateLimits"]][:2] == [1, 1]
    book = desk.request(1, "depth", signed=False, symbol="BTCUSDT", limit=5)["result"]
    assert len(book["bids"]) == 5
    both = desk.request(1, "ticker.price", signed=False, symbols=["BTCUSDT", "ETHUSDT"])["result"]
    assert [row["symbol"] for row in both] == ["BTCUSDT", "ETHUSDT"]


@pytest.mark.parametrize(
    ("message", "status", "code"),
    [
        (b"{", 400, -1135),
        (b'{"id":1}', 400, -1135),
        (b'{"id":{},"method":"time"}', 400, -1135),
        (b'{"id":1,"method":"time","params":[]}', 400, -1135),
        ({"id": 1, "method": "order.invent"}, 400, -1020),
        ({"id": 1, "method": "session.logon"}, 400, -4056),
        ({"id": 1, "method": "userDataStream.subscribe"}, 401, -1002),
        ({"id": 1, "method": "account.status"}, 401, -2014),
        ({"id": 1, "method": "account.status", "params": {"apiKey": KEY}}, 400, -1102),
        ({"id": 1, "method": "depth", "params": {"symbol": "NOPE"}}, 400, -1121),
        ({"id": 1, "method": "depth", "params": {"symbol": None}}, 400, -1100),
        ({"id": 1, "method": "time", "params": {"returnRateLimits": 7}}, 400, -1130),
    ],
)
def test_errors_of_the_websocket_api(desk: Desk, message: Any, status: int, code: int) -> None:
    """In its envelope."""
    desk.connect(1, "/ws-api/v3")
    answer = desk.say(1, message)
    assert (answer["status"], answer["error"]["code"]) == (status, code), answer


def test_subscriptions_of_the_websocket_api(heard: Desk) -> None:
    """One for each account; the end of one is told."""
    again = heard.request(9, "userDataStream.subscribe.signature")
    assert again["status"] == 400
    assert heard.request(9, "session.subscriptions", signed=False)["result"] == [
        {"subscriptionId": 0}
    ]
    assert heard.request(9, "session.status", signed=False)["result"]["userDataStream"] is True
    heard.told(9)
    ended = heard.request(9, "userDataStream.unsubscribe", signed=False)
    assert ended["result"] == {}
    assert heard.told(9)[-1]["event"]["e"] == "eventStreamTerminated"
    heard.signed("POST", "order", **LIMIT, quantity="1", price="90")
    assert heard.told(9) == []


def test_replacing_over_the_websocket_api(heard: Desk) -> None:
    """Both done, half done, not done: 200, 409, 400."""
    order = heard.request(9, "order.place", **LIMIT, quantity="1", price="90")["result"]
    new = {**LIMIT, "quantity": "1", "price": "91"}
    mode = {"cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrderId": order["orderId"]}
    answer = heard.request(9, "order.cancelReplace", **new, **mode)
    assert answer["status"] == 200
    assert answer["result"]["cancelResponse"]["status"] == "CANCELED"
    answer = heard.request(9, "order.cancelReplace", **new, **mode)
    assert (answer["status"], answer["error"]["code"]) == (400, -2022)
    assert answer["error"]["data"]["newOrderResult"] == "NOT_ATTEMPTED"
    mode["cancelReplaceMode"] = "ALLOW_FAILURE"
    answer = heard.request(9, "order.cancelReplace", **new, **mode)
    assert (answer["status"], answer["error"]["code"]) == (409, -2021)
    assert answer["error"]["data"]["newOrderResponse"]["status"] == "NEW"
    live = heard.exchange.open_orders("main")[0].number
    dear = {**new, "quantity": "9000"}
    answer = heard.request(
        9, "order.cancelReplace", **dear, cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=live
    )
    assert answer["status"] == 409
    assert answer["error"]["data"]["newOrderResponse"]["code"] == -2010


def test_failures_of_the_front(desk: Desk) -> None:
    """In the envelope; a banned client is told until when."""
    desk.connect(1, "/ws-api/v3")
    desk.say(1, {"id": 1, "method": "time"})
    payload = b'{"id":"q","method":"order.place","params":{}}'
    told = {}
    for failure in Failure:
        frame = desk.wire.refused(failure, payload, 30)
        told[failure] = json.loads(frame)
    assert [told[failure]["status"] for failure in Failure] == [504, 503, 429, 418, 503, 400]
    assert all(answer["id"] == "q" for answer in told.values())
    ban = told[Failure.BANNED]["error"]
    assert ban["data"]["retryAfter"] == desk.now_ns // MS + 30_000
    assert str(ban["data"]["retryAfter"]) in ban["msg"]
    assert desk.wire.refused(Failure.BANNED, b'{"method":"SUBSCRIBE","id":1}', 30) == b""
