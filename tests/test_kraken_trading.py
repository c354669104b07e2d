"""Kraken's private protocol read and written: recorded answers, documented errors, the executions channel."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.instruments import Instrument
from engine.messages import BUY, SELL, Answer, CallKind, OrderState, Reason, TimeInForce
from engine.venues import kraken_words
from engine.venues.kraken_trading import KrakenTrading
from engine.venues.native_calls import NativeFrame, call_of, decode
from engine.venues.trading import (
    AskMore,
    BalancesSeen,
    CallFailed,
    ClockSeen,
    Effect,
    FillSeen,
    FillsSeen,
    OpenOrdersSeen,
    OrderMissing,
    OrderRef,
    OrderSeen,
    PrivateNews,
    Request,
    TransferSeen,
    Unsupported,
)
from tests.native_desk import intent

MS = 1_000_000
SECOND = 1_000 * MS
NOW = 1_700_000_000_123 * MS + 456
FILES = "venue_messages/nautilus/crates/adapters/kraken/test_data"
MARKETS = (
    ("BTC/USDT", "0.1", "0.00000001"),
    ("ETH/USDT", "0.01", "0.00000001"),
    ("BTC/USD", "0.1", "0.00000001"),
)


def make() -> KrakenTrading:
    """The protocol for three markets."""
    markets = []
    for number, (symbol, tick, lot) in enumerate(MARKETS):
        base, _, quote = symbol.partition("/")
        markets.append(Instrument(number, 0, symbol, base, quote, tick, lot, 10, 10))
    return KrakenTrading(markets, {n: row[0] for n, row in enumerate(MARKETS)}, {})


def answer(request: Request, body: object, status: int = 200) -> list[PrivateNews]:
    """What an answer says."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    return list(make().answered(request, Answer(0, 1, 0, 0, 1, status, payload)))


def result(request: Request, body: object) -> list[PrivateNews]:
    """What a good one says."""
    return answer(request, {"error": [], "result": body})


def frame_of(request: Request) -> dict[str, Any]:
    """The frame of a request, before it is signed."""
    found = decode(request.payload)
    assert isinstance(found, NativeFrame)
    frame: dict[str, Any] = json.loads(found.body)
    return frame


def asked(request: Request) -> tuple[str, dict[str, str]]:
    """The call of a request: its name and what it asks."""
    call = call_of(request.payload)
    return call.path.removeprefix("/0/private/"), dict(call.params)


def recorded_json(recorded: Path, name: str) -> Any:
    """A recorded answer or frame."""
    return json.loads((recorded / FILES / f"{name}.json").read_text())


# --- orders go by the websocket -------------------------------------------------------------------


def test_an_order_as_it_is_asked_for() -> None:
    """Numbers with every digit of the grid, our id, a deadline that Kraken takes."""
    order = intent("ab0123456789abcdef", 420_005, 7, SELL, time_in_force=TimeInForce.IOC)
    request = make().create(order, NOW, NOW + 500 * MS)
    frame = frame_of(request)
    assert (frame["method"], frame["req_id"]) == ("add_order", 1)
    assert frame["params"] == {
        "order_type": "limit",
        "side": "sell",
        "symbol": "BTC/USDT",
        "order_qty": 7e-08,
        "limit_price": 42000.5,
        "time_in_force": "ioc",
        "fee_preference": "quote",
        "cl_ord_id": "ab0123456789abcdef",
        "deadline": "2023-11-14T22:13:21.123Z",
    }
    body = decode(request.payload)
    assert isinstance(body, NativeFrame)
    assert b'"order_qty":0.00000007,' in body.body
    assert body.signed
    assert not request.answered
    assert request.deadline_ns == 1_700_000_001_123 * MS
    assert request.weights == (("orders BTC/USDT", 1),)


@given(st.integers(-(10**9), 100 * 10**9))
def test_a_deadline_is_one_that_kraken_takes(ahead_ns: int) -> None:
    """Half a second to a minute from now; later than asked for only where that is too near."""
    request = make().create(intent("x", 100, 5), NOW, NOW + ahead_ns)
    assert SECOND // 2 < request.deadline_ns - NOW < 60 * SECOND
    if SECOND <= ahead_ns <= 59 * SECOND:
        assert NOW + ahead_ns - MS < request.deadline_ns <= NOW + ahead_ns
    said = kraken_words.time_ns(frame_of(request)["params"]["deadline"])
    assert said == request.deadline_ns


def test_kinds_of_orders() -> None:
    """Post-only rests; GTD says until when; nothing takes and is post-only."""
    trading = make()
    resting = trading.create(intent("x", 100, 5, post_only=True), NOW, NOW)
    assert frame_of(resting)["params"]["post_only"] is True
    until = intent("x", 100, 5, time_in_force=TimeInForce.GTD, good_until_ns=NOW + SECOND)
    params = frame_of(trading.create(until, NOW, NOW))["params"]
    assert (params["time_in_force"], params["expire_time"]) == ("gtd", "2023-11-14T22:13:21.123Z")
    for force in (TimeInForce.IOC, TimeInForce.FOK):
        with pytest.raises(Unsupported, match=force.name):
            trading.create(intent("x", 1, 5, time_in_force=force, post_only=True), NOW, NOW)


def test_cancels_go_by_rest_while_the_websocket_is_gone() -> None:
    """A cancel always has a way."""
    trading, ref = make(), OrderRef("ours", "OABC", 0)
    request = trading.cancel(ref, NOW)
    assert request.answered
    assert asked(request) == ("CancelOrder", {"cl_ord_id": "ours"})
    assert asked(trading.cancel(OrderRef("", "OABC", 0), NOW)) == ("CancelOrder", {"txid": "OABC"})
    assert asked(trading.cancel_all(NOW)[0])[0] == "CancelAll"
    trading.opened(NOW)
    frame = frame_of(trading.cancel(ref, NOW))
    assert (frame["method"], frame["params"]) == ("cancel_order", {"cl_ord_id": ["ours"]})
    assert frame_of(trading.cancel_all(NOW)[0])["method"] == "cancel_all"
    trading.closed()
    assert trading.cancel(ref, NOW).answered


def test_a_dead_mans_timer() -> None:
    """Asked for again and again, or taken back."""
    request = make().dead_man(60, NOW)
    assert request is not None
    frame = frame_of(request)
    assert (frame["method"], frame["params"]) == ("cancel_all_orders_after", {"timeout": 60})


def test_answers_on_the_websocket_name_the_order(recorded: Path) -> None:
    """By the number of the request; a refusal is told, success is the stream's to tell."""
    trading = make()
    for _ in range(99):
        trading.create(intent("ours", 100, 5), NOW, NOW)
    kept = make()
    kept.restore(trading.snapshot())
    done = recorded_json(recorded, "ws_add_order_response_success")
    failed = recorded_json(recorded, "ws_add_order_response_failure")
    for each in (trading, kept):
        assert each.heard(json.dumps(done).encode()) == []
        assert each.heard(json.dumps(failed).encode()) == [
            CallFailed(
                Effect.NONE, Reason.BALANCE, "EOrder:Insufficient funds",
                client_order_id="ours", kind=CallKind.CREATE,
            )
        ]  # fmt: skip
        assert each.heard(json.dumps(failed).encode()) == []  # a second time says nothing
    assert trading.snapshot() == kept.snapshot()


def test_a_pong_tells_the_time(recorded: Path) -> None:
    """To the microsecond; a pong that we did not ask for does not."""
    trading = make()
    request = trading.clock()
    assert request is not None
    number = frame_of(request)["req_id"]
    pong = recorded_json(recorded, "ws_pong") | {"req_id": number}
    assert trading.heard(json.dumps(pong).encode()) == [ClockSeen(1_695_632_700_123_456_000)]
    assert trading.heard(json.dumps(pong | {"req_id": 77}).encode()) == []


# --- questions go by REST -------------------------------------------------------------------------


def test_a_question_is_asked_of_the_open_and_then_of_the_others() -> None:
    """Not there counts only when neither has it."""
    request = make().query(OrderRef("ours", "", 0), NOW)
    assert asked(request) == ("OpenOrders", {"cl_ord_id": "ours"})
    (more,) = result(request, {"open": {}})
    assert isinstance(more, AskMore)
    assert asked(more.request) == ("ClosedOrders", {"cl_ord_id": "ours"})
    assert result(more.request, {"closed": {}, "count": 0}) == [OrderMissing("ours", 0)]
    assert asked(make().query(OrderRef("", "OABC", 0), NOW)) == ("QueryOrders", {"txid": "OABC"})


def test_recorded_orders(recorded: Path) -> None:
    """Open and closed ones, of the names that REST has for a pair."""
    (request,) = make().open_orders(NOW)
    body = recorded_json(recorded, "http_open_orders")
    (resting,) = answer(request, body)
    assert isinstance(resting, OpenOrdersSeen)
    assert resting.orders[0] == OrderSeen(
        "", "O26VBY-ISGAE-JP5TLU", 0, BUY, 295_000, 50_000_000, 0, OrderState.ACKNOWLEDGED,
        Reason.NONE, 1_688_583_840_864_800_000,
    )  # fmt: skip
    body = recorded_json(recorded, "http_closed_orders")
    rows = body["result"]["closed"]
    rows["O5KZFT-GH3AD-LP6TLU"]["cl_ord_id"] = "ours"
    question = make().query(OrderRef("ours", "", 0), NOW)
    (more,) = result(question, {"open": {}})
    assert isinstance(more, AskMore)
    (seen,) = answer(more.request, body)
    assert isinstance(seen, OrderSeen)
    assert seen[:8] == (
        "ours", "O5KZFT-GH3AD-LP6TLU", 0, BUY, 295_000, 50_000_000, 50_000_000, OrderState.FILLED
    )  # fmt: skip


def test_an_open_order_that_has_filled_in_part_says_so(recorded: Path) -> None:
    """REST calls it open all the same; one with a price that is none has none."""
    body = recorded_json(recorded, "http_open_orders")
    order = body["result"]["open"]["O26VBY-ISGAE-JP5TLU"]
    order |= {"vol_exec": "0.1"}
    order["descr"]["price"] = "#5.0%"
    (resting,) = answer(make().open_orders(NOW)[0], body)
    assert isinstance(resting, OpenOrdersSeen)
    assert resting.orders[0].state is OrderState.PARTLY_FILLED
    assert (resting.orders[0].filled_lots, resting.orders[0].ticks) == (10_000_000, 0)


def test_recorded_trades(recorded: Path) -> None:
    """Of all pairs, in the order in which they were; the fee is in the quote asset."""
    body = recorded_json(recorded, "http_trades_history")
    (pages,) = answer(make().fills(-1, NOW - SECOND, 0, NOW), body)
    assert isinstance(pages, FillsSeen)
    assert (pages.instrument, pages.more, pages.through_ns) == (-1, None, 0)
    assert pages.fills[1] == FillSeen(
        "", "O26VBY-ISGAE-JP5TLU", 0, BUY, 295_005, 50_000_000, 236 * 10**9, "USDT",
        "TCCCTY-WJ6EO-4FP4VZ", True, 1_688_585_840_892_100_096,
    )  # fmt: skip
    assert pages.fills[0].trade_id == "TDCVFQ-TPEG4-6X7LSZ"


def test_fills_are_asked_for_page_after_page() -> None:
    """Until all that are counted came; those from before our clock's margin on."""
    request = make().fills(-1, NOW, 0, NOW)
    offsets = []
    count = 120
    while True:
        name, params = asked(request)
        assert (name, params["start"]) == ("TradesHistory", "1699999990")
        offsets.append(int(params.get("ofs", 0)))
        rows = min(50, count - offsets[-1])
        (page,) = result(request, {"trades": trades(rows, offsets[-1]), "count": count})
        assert isinstance(page, FillsSeen)
        if page.more is None:
            break
        request = page.more
    assert offsets == [0, 50, 100]
    first = make().fills(-1, 0, 0, NOW)
    assert asked(first) == ("TradesHistory", {})
    (page,) = result(first, {"trades": trades(50, 0), "count": count})
    assert isinstance(page, FillsSeen)
    assert page.more is None


def trades(count: int, first: int) -> dict[str, object]:
    """Rows of TradesHistory, one of another pair."""
    row = {
        "ordertxid": "O1", "pair": "XXBTZUSD", "time": 1.0, "type": "buy", "price": "1.0",
        "fee": "0.1", "vol": "1.0",
    }  # fmt: skip
    return {f"T{first + n}": row | ({"pair": "ADAUSD"} if n == 1 else {}) for n in range(count)}


def test_recorded_balances(recorded: Path) -> None:
    """By the names that REST has; orders hold some of it; what earns elsewhere is not counted."""
    request = make().balances(NOW)
    assert asked(request)[0] == "BalanceEx"
    body = {
        "ZUSD": {"balance": "25435.21", "hold_trade": "8249.76"},
        "XXBT": {"balance": "1.2435", "hold_trade": "0.8423"},
        "XBT.F": {"balance": "7.0", "hold_trade": "0.0"},
    }
    (held,) = result(request, body)
    assert isinstance(held, BalancesSeen)
    rows = {asset: (total, free) for asset, total, free in held.rows}
    assert rows["BTC"] == (12_435_000_000, 4_012_000_000)
    assert rows["USD"] == (254_352_100_000_000, 171_854_500_000_000)
    assert rows["ETH"] == (0, 0)


def test_transfers_are_the_ledgers_rows() -> None:
    """Deposits and withdrawals, less their fee, page after page."""
    trading = make()
    assert asked(trading.transfers(0, NOW)[0])[1]["start"] == "1700000001"
    later = trading.transfers(NOW + 60 * SECOND, NOW + 90 * SECOND)
    assert asked(later[0])[1]["start"] == "1700000050"
    requests = make().transfers(NOW, NOW)
    assert [asked(request)[1]["type"] for request in requests] == ["deposit", "withdrawal"]
    entry = {"asset": "XXBT", "amount": "-0.5", "fee": "0.0005", "time": 1.5, "type": "withdrawal"}
    other = entry | {"asset": "ADA"}
    body = {"ledger": {"LMOVED": entry, "LOTHER": other}, "count": 60}
    moved, more = result(requests[1], body)
    assert moved == TransferSeen("BTC", -5_005_000_000, "LMOVED", "withdrawal", 1_500_000_000)
    assert isinstance(more, AskMore)
    assert asked(more.request)[1]["ofs"] == "50"
    assert asked(more.request)[1]["type"] == "withdrawal"
