"""Binance's private protocol read and written: recorded answers, documented errors, the account's stream."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.instruments import Instrument
from engine.messages import BUY, SELL, Answer, CallKind, OrderState, Reason, TimeInForce
from engine.venues.binance_trading import BinanceTrading
from engine.venues.handler import Malformed
from engine.venues.native_calls import NativeFrame, call_of, decode
from engine.venues.trading import (
    BalancesSeen,
    BannedSeen,
    CallFailed,
    Effect,
    FillSeen,
    FillsSeen,
    OpenOrdersSeen,
    OrderMissing,
    OrderRef,
    OrderSeen,
    PrivateNews,
    Request,
    StreamGap,
    StreamReady,
    TransferSeen,
    Unsupported,
    UsageSeen,
)
from tests.native_desk import intent

MS = 1_000_000
SECOND = 1_000 * MS
DAY_MS = 86_400_000
NOW = 1_700_000_000_123 * MS + 456
SPOT = "venue_messages/nautilus/crates/adapters/binance/test_data/spot"
MARKETS = (
    ("ETH/USDT", "0.01", "0.0001"),
    ("BTC/USDT", "0.01", "0.00001"),
    ("LTC/BTC", "0.000001", "0.001"),
    ("BNB/BTC", "0.00000001", "0.001"),
    ("ETH/BTC", "0.0000001", "0.0001"),
)


def markets() -> list[Instrument]:
    """The markets of the recorded answers."""
    found = []
    for number, (symbol, tick, lot) in enumerate(MARKETS):
        base, _, quote = symbol.partition("/")
        places = (12 if base == "BTC" else 8, 12)
        found.append(Instrument(number, 0, symbol, base, quote, tick, lot, *places))
    return found


def make() -> BinanceTrading:
    """The protocol, and BNB known for fees."""
    return BinanceTrading(
        markets(), {n: symbol.replace("/", "") for n, (symbol, _, _) in enumerate(MARKETS)}, {}
    )


def answer(
    request: Request, body: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()
) -> list[PrivateNews]:
    """What an answer says."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    return list(make().answered(request, Answer(0, 1, 0, 0, 1, status, payload, headers)))


def asked(kind: CallKind, name: str = "myOrder1", instrument: int = 2) -> Request:
    """A request of a kind."""
    trading, ref = make(), OrderRef(name, "", instrument)
    order = intent(name, 100, 5, instrument=instrument)
    made = {
        CallKind.CREATE: trading.create(order, NOW, NOW + SECOND),
        CallKind.CANCEL: trading.cancel(ref, NOW),
        CallKind.QUERY: trading.query(ref, NOW),
        CallKind.CANCEL_ALL: trading.cancel_all(NOW)[instrument],
        CallKind.OPEN_ORDERS: trading.open_orders(NOW)[0],
        CallKind.FILLS: trading.fills(instrument, NOW - SECOND, 0, NOW),
        CallKind.BALANCES: trading.balances(NOW),
    }
    return made[kind]


def params(request: Request) -> dict[str, str]:
    """What a call asks."""
    return dict(call_of(request.payload).params)


# --- requests -------------------------------------------------------------------------------------


def test_an_order_as_it_is_asked_for() -> None:
    """Decimals of the grid, the id, the whole answer wanted, and the window up to the deadline."""
    order = intent("ab0123456789abcdef", 4_200_050, 7, SELL, instrument=1)
    request = make().create(order, NOW, NOW + 500 * MS)
    assert call_of(request.payload).method == "POST"
    assert call_of(request.payload).path == "/api/v3/order"
    assert params(request) == {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.00007",
        "price": "42000.50",
        "newClientOrderId": "ab0123456789abcdef",
        "newOrderRespType": "FULL",
        "recvWindow": "500",
        "timestamp": "1700000000123",
    }
    assert (request.kind, request.answered) == (CallKind.CREATE, True)
    assert (request.client_order_id, request.instrument) == ("ab0123456789abcdef", 1)
    assert dict(request.weights) == {"weight": 1, "orders-10s": 1, "orders-day": 1}


@given(st.integers(0, 200_000), st.integers(0, 10**9))
def test_no_order_is_taken_after_the_deadline_it_carries(ahead_ms: int, past_ns: int) -> None:
    """Timestamp plus window, to the millisecond that Binance rounds up to; a minute at most."""
    now_ns = NOW + past_ns
    deadline_ns = now_ns + ahead_ms * MS
    request = make().create(intent("x", 100, 5), now_ns, deadline_ns)
    fields = params(request)
    end_ms = int(fields["timestamp"]) + int(fields["recvWindow"])
    assert request.deadline_ns == (end_ms + 1) * MS
    assert 1 <= int(fields["recvWindow"]) <= 60_000
    assert end_ms * MS <= max(deadline_ns, now_ns + MS)


@pytest.mark.parametrize("force", [TimeInForce.IOC, TimeInForce.FOK])
def test_times_in_force(force: TimeInForce) -> None:
    """Binance's own words; nothing of that may be post-only."""
    request = make().create(intent("x", 100, 5, time_in_force=force), NOW, NOW)
    assert params(request)["timeInForce"] == force.name
    with pytest.raises(Unsupported, match=force.name):
        make().create(intent("x", 100, 5, time_in_force=force, post_only=True), NOW, NOW)


def test_what_binance_has_not_is_refused_before_it_is_sent() -> None:
    """GTD; and a post-only order is another type, without a time in force."""
    with pytest.raises(Unsupported, match="GTD"):
        make().create(intent("x", 100, 5, time_in_force=TimeInForce.GTD), NOW, NOW)
    fields = params(make().create(intent("x", 100, 5, post_only=True), NOW, NOW))
    assert fields["type"] == "LIMIT_MAKER"
    assert "timeInForce" not in fields


def test_an_order_is_named_by_our_id_where_it_has_one() -> None:
    """And by the venue's otherwise."""
    trading = make()
    assert params(trading.cancel(OrderRef("a", "7", 1), NOW))["origClientOrderId"] == "a"
    assert params(trading.cancel(OrderRef("", "7", 1), NOW))["orderId"] == "7"
    assert call_of(trading.cancel(OrderRef("", "7", 1), NOW).payload).method == "DELETE"


# --- orders by the WebSocket API ------------------------------------------------------------------


def opened() -> BinanceTrading:
    """With its connection open."""
    trading = make()
    trading.opened(NOW)
    return trading


def frame_of(request: Request) -> dict[str, Any]:
    """The frame of a request, before it is signed."""
    found = decode(request.payload)
    assert isinstance(found, NativeFrame)
    assert found.signed
    frame: dict[str, Any] = json.loads(found.body)
    return frame


def told(id_: str, status: int, **more: object) -> bytes:
    """An answer on the connection."""
    return json.dumps({"id": id_, "status": status, **more}).encode()


def test_orders_go_by_the_websocket_while_it_is_there() -> None:
    """The same parameters; the id of the request is the order's."""
    trading, order = opened(), intent("ours", 4_200_050, 7, SELL, instrument=1)
    frame = frame_of(trading.create(order, NOW, NOW + 500 * MS))
    assert (frame["id"], frame["method"]) == ("cours", "order.place")
    by_rest = params(make().create(order, NOW, NOW + 500 * MS))
    assert {name: str(value) for name, value in frame["params"].items()} == by_rest
    assert frame["params"]["timestamp"] == 1_700_000_000_123
    ref = OrderRef("ours", "7", 1)
    frame = frame_of(trading.cancel(ref, NOW))
    assert (frame["id"], frame["method"]) == ("xours", "order.cancel")
    assert frame["params"]["origClientOrderId"] == "ours"
    for other in (OrderRef("", "7", 1), OrderRef("f" * 36, "7", 1)):
        assert trading.cancel(other, NOW).answered  # no id of a request is so long
    trading.closed()
    assert trading.cancel(ref, NOW).answered
    assert trading.create(order, NOW, NOW).answered


def test_answers_on_the_websocket_name_the_order(recorded: Path) -> None:
    """An order with its fills, a refusal with its meaning, what is used of the limits."""
    body = recorded_json(recorded, "http_json/new_order_full_response.json")
    rates = [
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 50, "count": 12},
        {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 1},
    ]  # fmt: skip
    news = opened().heard(told("cours", 200, result=body, rateLimits=rates))
    assert news[0] == UsageSeen("orders-10s", 12, 50)
    assert news[1:] == answer(asked(CallKind.CREATE, "ours", 1), body)
    body = recorded_json(recorded, "http_json/cancel_order_response.json")
    (seen,) = opened().heard(told("xmyOrder1", 200, result=body))
    assert [seen] == answer(asked(CallKind.CANCEL), body)
    with pytest.raises(Malformed):
        opened().heard(told("cours", 200, result=[]))
    assert opened().heard(told("c", 200)) == []


def test_refusals_on_the_websocket() -> None:
    """Of which order, of what, and for how long the host is to be left alone."""
    error = {"code": -2010, "msg": "Account has insufficient balance for requested action."}
    (failed,) = opened().heard(told("cours", 400, error=error))
    assert failed == CallFailed(
        Effect.NONE, Reason.BALANCE, f"-2010: {error['msg']}", client_order_id="ours",
        kind=CallKind.CREATE,
    )  # fmt: skip
    (failed,) = opened().heard(told("xours", 400, error={"code": -2011, "msg": "Unknown order"}))
    assert isinstance(failed, CallFailed)
    assert (failed.kind, failed.effect) == (CallKind.CANCEL, Effect.NONE)
    limited = {"code": -1003, "msg": "Too much", "data": {"serverTime": 1_000, "retryAfter": 8_500}}
    banned, failed = opened().heard(told("cours", 418, error=limited))
    assert banned == BannedSeen(7_500 * MS, True)
    assert isinstance(failed, CallFailed)
    assert failed.reason is Reason.RATE_LIMITED
    (failed,) = opened().heard(told("cours", 429, error={"code": -1015, "msg": "Too many orders"}))
    assert isinstance(failed, CallFailed)
    assert failed.reason is Reason.RATE_LIMITED


# --- recorded answers -------------------------------------------------------------------------------


def recorded_json(recorded: Path, name: str) -> Any:
    """A recorded answer or event."""
    return json.loads((recorded / SPOT / name).read_text())


def test_recorded_orders(recorded: Path) -> None:
    """Asked for, cancelled, and all that are open."""
    body = recorded_json(recorded, "http_json/order_response.json")
    seen = OrderSeen(
        "myOrder1", "1", 2, BUY, 100_000, 1_000, 0, OrderState.ACKNOWLEDGED, Reason.NONE,
        1_499_827_319_559 * MS,
    )  # fmt: skip
    assert answer(asked(CallKind.QUERY), body) == [seen]
    body = recorded_json(recorded, "http_json/open_orders_response.json")
    assert answer(asked(CallKind.OPEN_ORDERS), body) == [OpenOrdersSeen((seen,), True, 0)]
    body = recorded_json(recorded, "http_json/cancel_order_response.json")
    assert answer(asked(CallKind.CANCEL), body) == [
        OrderSeen(
            "myOrder1", "4", 2, BUY, 2_000_000, 1_000, 0, OrderState.CANCELLED, Reason.NONE,
            1_684_804_350_068 * MS,
        )
    ]  # fmt: skip


def test_recorded_cancel_of_all(recorded: Path) -> None:
    """Orders by their own ids, not the cancel's; lists between them are passed over."""
    body = recorded_json(recorded, "http_json/cancel_open_orders_response.json")
    for row in body:  # the documentation's prices are on no grid of BTCUSDT
        if "price" in row:
            row |= {"price": "0.08", "origQty": "0.17862"}
    news = answer(asked(CallKind.CANCEL_ALL, instrument=1), body)
    assert [(n.client_order_id, n.venue_order_id) for n in news if isinstance(n, OrderSeen)] == [
        ("E6APeyTJvkMvLMYMqu1KQ4", "11"),
        ("A3EF2HCwxgZPFMrfwbgrhv", "13"),
    ]
    assert all(isinstance(n, OrderSeen) and n.state is OrderState.CANCELLED for n in news)


def test_recorded_new_order_with_its_fills(recorded: Path) -> None:
    """Each is told as a taker's, before the order itself."""
    body = recorded_json(recorded, "http_json/new_order_full_response.json")
    news = answer(asked(CallKind.CREATE, "ours", 1), body)
    fills = [each for each in news if isinstance(each, FillSeen)]
    assert isinstance(news[-1], OrderSeen)
    assert news[-1].state is OrderState.FILLED
    assert news[-1].client_order_id == "ours"
    assert fills[0] == FillSeen(
        "ours", "28", 1, SELL, 400_000, 100_000, 4 * 10**12, "USDT", "BTCUSDT-56", False,
        1_507_725_176_595 * MS,
    )  # fmt: skip
    assert [fill.trade_id for fill in fills] == [f"BTCUSDT-{n}" for n in range(56, 61)]


def test_recorded_trades(recorded: Path) -> None:
    """They name the order by the venue's id; the fee may be in an asset that no market of ours has."""
    body = recorded_json(recorded, "http_json/account_trades_response.json")
    (pages,) = answer(asked(CallKind.FILLS, instrument=3), body)
    assert isinstance(pages, FillsSeen)
    assert pages == FillsSeen(
        3,
        (
            FillSeen(
                "", "100234", 3, BUY, 400_000_100, 12_000, 1_010_000_000, "BNB", "BNBBTC-28457",
                False, 1_499_865_549_590 * MS,
            ),
        ),
        0,
    )  # fmt: skip


def test_recorded_account(recorded: Path) -> None:
    """Free and locked together; what is left out is held no more."""
    body = recorded_json(recorded, "http_json/account_response.json")
    (held,) = answer(asked(CallKind.BALANCES), body)
    assert isinstance(held, BalancesSeen)
    rows = {asset: (total, free) for asset, total, free in held.rows}
    assert rows["LTC"] == (476_336_868_006_011, 476_336_868_006_011)
    assert rows["ETH"] == (0, 0)
    assert held.venue_ns == 123_456_789 * MS


# --- fills, page after page ---------------------------------------------------------------------------


def row(number: int, time_ms: int) -> dict[str, object]:
    """A trade."""
    return {
        "symbol": "LTCBTC", "id": number, "orderId": 5, "price": "0.1", "qty": "1.0",
        "commission": "0.001", "commissionAsset": "LTC", "time": time_ms, "isBuyer": True,
        "isMaker": True,
    }  # fmt: skip


def test_fills_of_many_days_are_asked_for_day_by_day() -> None:
    """No answer spans more than Binance allows; the last has no end."""
    request = make().fills(2, NOW - 3 * DAY_MS * MS, 0, NOW)
    begins, ends = [], []
    while True:
        fields = params(request)
        begins.append(int(fields["startTime"]))
        ends.append(int(fields.get("endTime", 0)))
        (page,) = answer(request, [])
        assert isinstance(page, FillsSeen)
        if page.more is None:
            break
        request = page.more
    assert begins[0] == NOW // MS - 3 * DAY_MS - 10_000
    assert ends[-1] == 0
    assert begins[1:] == ends[:-1]
    assert all(end - begin == DAY_MS for begin, end in zip(begins, ends[:-1], strict=False))


def test_a_full_page_is_followed_by_number() -> None:
    """From the trade after the last on."""
    at_ms = NOW // MS
    request = make().fills(2, NOW - SECOND, 0, NOW)
    (page,) = answer(request, [row(n, at_ms) for n in range(1, 1_001)])
    assert isinstance(page, FillsSeen)
    assert page.through_ns == at_ms * MS
    assert page.more is not None
    fields = params(page.more)
    assert fields["fromId"] == "1001"
    assert "startTime" not in fields
    (last,) = answer(page.more, [row(1_001, at_ms)])
    assert isinstance(last, FillsSeen)
    assert last.more is None


def test_fills_without_a_beginning_are_the_latest() -> None:
    """Nobody reads a whole history."""
    request = make().fills(2, 0, 0, NOW)
    assert "startTime" not in params(request)
    (page,) = answer(request, [row(n, 1) for n in range(1_000)])
    assert isinstance(page, FillsSeen)
    assert page.more is None


# --- errors -------------------------------------------------------------------------------------------

NOT_DONE = (Effect.NONE, Reason.VENUE_REJECTED, False, False)
LIMITED = (Effect.NONE, Reason.RATE_LIMITED, False, False)
DOWN = (Effect.NONE, Reason.NOT_CONNECTED, False, True)
IN_DOUBT = (Effect.POSSIBLE, Reason.NOT_CONNECTED, False, True)
CODES = [
    (500, -1000, "An unknown error occurred while processing the request.", IN_DOUBT),
    (500, -1001, "Internal error; unable to process your request.", IN_DOUBT),
    (401, -1002, "You are not authorized to execute this request.", NOT_DONE),
    (400, -1003, "Too many requests queued.", LIMITED),
    (503, -1004, "Server is busy, please wait and try again", DOWN),
    (500, -1006, "Execution status unknown.", IN_DOUBT),
    (504, -1007, "Send status unknown; execution status unknown.", IN_DOUBT),
    (503, -1008, "Server is currently overloaded with other requests.", DOWN),
    (400, -1013, "Filter failure: NOTIONAL", NOT_DONE),
    (429, -1015, "Too many new orders; current limit is 100 orders per 10 SECOND.", LIMITED),
    (503, -1016, "This service is no longer available.", DOWN),
    (400, -1020, "This operation is not supported.", NOT_DONE),
    (400, -1021, "Timestamp for this request is outside of the recvWindow.",
     (Effect.NONE, Reason.EXPIRED, True, False)),
    (400, -1022, "Signature for this request is not valid.", NOT_DONE),
    (400, -1121, "Invalid symbol.", NOT_DONE),
    (400, -2010, "Account has insufficient balance for requested action.",
     (Effect.NONE, Reason.BALANCE, False, False)),
    (400, -2010, "Duplicate order sent.", (Effect.POSSIBLE, Reason.DUPLICATE, False, False)),
    (400, -2010, "Order would immediately match and take.", NOT_DONE),
    (400, -2011, "Unknown order sent.", NOT_DONE),
    (401, -2014, "API-key format invalid.", NOT_DONE),
    (401, -2015, "Invalid API-key, IP, or permissions for action.", NOT_DONE),
    (500, -9999, "Something new.", IN_DOUBT),
    (400, -9999, "Something new.", NOT_DONE),
]  # fmt: skip


@pytest.mark.parametrize(("status", "code", "text", "means"), CODES)
def test_documented_errors(
    status: int, code: int, text: str, means: tuple[Effect, Reason, bool, bool]
) -> None:
    """Whether the order may be there all the same, and why it is not."""
    (failed,) = answer(asked(CallKind.CREATE), {"code": code, "msg": text}, status)
    assert isinstance(failed, CallFailed)
    assert (failed.effect, failed.reason, failed.clock, failed.venue_down) == means
    assert text in failed.text


@pytest.mark.parametrize(
    ("status", "effect"),
    [(500, Effect.POSSIBLE), (502, Effect.POSSIBLE), (503, Effect.POSSIBLE), (403, Effect.NONE)],
)
def test_an_error_without_a_word_of_binance(status: int, effect: Effect) -> None:
    """A 5xx says nothing of what was done; a 403 is the firewall's."""
    (failed,) = answer(asked(CallKind.CREATE), b"<html>Bad Gateway</html>", status)
    assert isinstance(failed, CallFailed)
    assert (failed.effect, failed.venue_down) == (effect, True)


@pytest.mark.parametrize(
    ("status", "headers", "wait_s"),
    [(429, (("retry-after", "7"),), 7), (418, (("retry-after", "120"),), 120), (418, (), 120)],
)
def test_bans_are_for_the_whole_host(
    status: int, headers: tuple[tuple[str, str], ...], wait_s: int
) -> None:
    """For as long as it is said."""
    news = answer(asked(CallKind.QUERY), {"code": -1003, "msg": "Way too much"}, status, headers)
    assert news[0] == BannedSeen(wait_s * SECOND, status == 418)
    assert isinstance(news[1], CallFailed)
    assert news[1].effect is Effect.NONE


def test_no_such_order() -> None:
    """To a question it is an answer, to a cancel of all that none was there."""
    body = {"code": -2013, "msg": "Order does not exist."}
    assert answer(asked(CallKind.QUERY), body, 400) == [OrderMissing("myOrder1", 0)]
    body = {"code": -2011, "msg": "Unknown order sent."}
    assert answer(asked(CallKind.CANCEL_ALL), body, 400) == []


def test_usage_is_read_off_every_answer() -> None:
    """Good and bad ones."""
    headers = (("x-mbx-used-weight-1m", "17"), ("x-mbx-order-count-10s", "3"))
    usage = [UsageSeen("weight", 17), UsageSeen("orders-10s", 3)]
    assert answer(asked(CallKind.OPEN_ORDERS), [], headers=headers)[:2] == usage
    refusal = {"code": -2010, "msg": "x"}
    assert answer(asked(CallKind.CREATE), refusal, 400, headers)[:2] == usage


@pytest.mark.parametrize("kind", [CallKind.CREATE, CallKind.QUERY, CallKind.FILLS])
@pytest.mark.parametrize("body", [b"", b"{}", b"[{}]", b"\xff", b"null", b'{"orderId":"x"}'])
def test_an_answer_that_is_none_of_binance(kind: CallKind, body: bytes) -> None:
    """It names the call."""
    with pytest.raises(Malformed, match=kind.name):
        answer(asked(kind), body)


# --- the stream ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("execution_report_new", OrderState.ACKNOWLEDGED),
        ("execution_report_canceled", OrderState.CANCELLED),
        ("execution_report_expired", OrderState.EXPIRED),
        ("execution_report_trade", OrderState.FILLED),
        ("execution_report_wrapped", OrderState.ACKNOWLEDGED),
    ],
)
def test_recorded_reports(recorded: Path, name: str, state: OrderState) -> None:
    """As they come within a subscription."""
    body = recorded_json(recorded, f"user_data_json/{name}.json")
    event = body if "event" in body else {"subscriptionId": 0, "event": body}
    news = make().heard(json.dumps(event).encode())
    assert isinstance(news[-1], OrderSeen)
    assert news[-1].state is state
    assert news[-1].client_order_id == event["event"]["c"]
    fills = [each for each in news if isinstance(each, FillSeen)]
    assert len(fills) == (state is OrderState.FILLED)
    if fills:
        assert fills[0][2:11] == (
            0, BUY, 250_000, 10_000, 100_000, "ETH", "ETHUSDT-98765432", True, 1_709_654_401_000 * MS
        )  # fmt: skip


def test_a_cancelled_order_bears_its_own_id(recorded: Path) -> None:
    """`c` is the cancel's then, `C` the order's."""
    body = recorded_json(recorded, "user_data_json/execution_report_canceled.json")
    event = {"subscriptionId": 0, "event": body | {"c": "theCancel", "C": "ours"}}
    (seen,) = make().heard(json.dumps(event).encode())
    assert isinstance(seen, OrderSeen)
    assert seen.client_order_id == "ours"


def test_recorded_positions_and_transfers(recorded: Path) -> None:
    """What changed is told whole; a deposit has an id of its own making."""
    body = recorded_json(recorded, "user_data_json/account_position_wrapped.json")
    assert make().heard(json.dumps(body).encode()) == [
        BalancesSeen((("ETH", 10**12, 10**12),), 1_564_034_571_073 * MS)
    ]
    body = recorded_json(recorded, "user_data_json/balance_update_wrapped.json")
    (moved,) = make().heard(json.dumps(body).encode())
    assert isinstance(moved, TransferSeen)
    assert moved[:2] == ("BTC", 10**14)
    assert moved.kind == "deposit"
    body["event"] |= {"d": "-1.5"}
    (moved,) = make().heard(json.dumps(body).encode())
    assert isinstance(moved, TransferSeen)
    assert (moved.amount, moved.kind) == (-1_500_000_000_000, "withdrawal")


def test_other_events_say_nothing(recorded: Path) -> None:
    """Lists of orders, markets that are not ours, answers to nobody."""
    trading = make()
    body = recorded_json(recorded, "user_data_json/list_status_wrapped.json")
    assert trading.heard(json.dumps(body).encode()) == []
    assert trading.heard(b'{"id":"other","status":200,"result":{}}') == []
    with pytest.raises(Malformed):
        trading.heard(b"[]")


def test_the_subscription_is_ready_refused_lost_and_ended() -> None:
    """What subscribes is sent again until it is answered, and after its end."""
    trading = make()
    (request,) = trading.opened(NOW)
    assert (request.kind, request.answered) == (CallKind.STREAM, False)
    assert trading.keep_alive(NOW + SECOND) == ()
    assert len(trading.keep_alive(NOW + 6 * SECOND)) == 1
    other = make()
    other.restore(trading.snapshot())
    answered = b'{"id":"user-data","status":200,"result":{"subscriptionId":0}}'
    for each in (trading, other):
        assert each.heard(answered) == [StreamReady()]
        assert each.keep_alive(NOW + 60 * SECOND) == ()
    ended = b'{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1}}'
    assert trading.heard(ended) == [StreamGap()]
    assert len(trading.keep_alive(NOW + 60 * SECOND)) == 1
    refusal = b'{"id":"user-data","status":401,"error":{"code":-2015,"msg":"Invalid API-key"}}'
    (failed,) = trading.heard(refusal)
    assert isinstance(failed, CallFailed)
    assert failed.effect is Effect.NONE
    trading.closed()
    assert trading.keep_alive(NOW + 99 * SECOND) == ()
