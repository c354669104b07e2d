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
    OrderRef,
    OrderSeen,
    PrivateNews,
    Request,
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
