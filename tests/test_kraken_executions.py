"""What Kraken's executions channel tells: an order's life, numbers without a hole, the subscription."""

import json
from typing import Any

import pytest

from engine.messages import BUY, CallKind, OrderState, Reason
from engine.venues import kraken_account, kraken_words
from engine.venues.handler import Malformed
from engine.venues.native_calls import NativeCall, call_of
from engine.venues.trading import (
    CallFailed,
    FillSeen,
    OrderSeen,
    StreamGap,
    StreamReady,
    UsageSeen,
)
from tests.test_kraken_trading import NOW, SECOND, frame_of, make

# --- the executions channel -----------------------------------------------------------------------------

PENDING = {
    "order_id": "OABC", "symbol": "BTC/USDT", "order_qty": 0.5, "cum_cost": 0, "exec_type": "pending_new",
    "time_in_force": "GTC", "side": "buy", "order_type": "limit", "cl_ord_id": "ours",
    "order_status": "pending_new", "limit_price": 29500.0, "timestamp": "2023-09-25T09:05:00.123456Z",
}  # fmt: skip
BRIEF = {
    "order_id": "OABC", "cl_ord_id": "ours", "exec_type": "new", "order_status": "new",
    "timestamp": "2023-09-25T09:05:00.123456Z",
}  # fmt: skip
TRADE = BRIEF | {
    "exec_type": "trade", "order_status": "partially_filled", "exec_id": "TABC", "trade_id": 7,
    "symbol": "BTC/USDT", "side": "buy", "last_qty": 0.20000000, "last_price": 29500.0,
    "liquidity_ind": "m", "cum_qty": 0.2, "fees": [{"asset": "USDT", "qty": 1.18}],
}  # fmt: skip
FILLED = BRIEF | {"exec_type": "filled", "order_status": "filled", "cum_qty": 0.5}


def executions(*rows: dict[str, Any], sequence: int = 1, kind: str = "update") -> bytes:
    """A frame of the channel."""
    frame = {"channel": "executions", "type": kind, "data": rows, "sequence": sequence}
    return json.dumps(frame).encode()


def test_an_orders_life_on_the_channel() -> None:
    """What was said once is kept while it is open, over a restart too, and forgotten then."""
    trading = make()
    assert trading.heard(executions(PENDING)) == [StreamReady()]
    kept = make()
    kept.restore(trading.snapshot())
    at_ns = 1_695_632_700_123_456_000
    for each in (trading, kept):
        whole = ("ours", "OABC", 0, BUY, 295_000, 50_000_000)
        new, acknowledged = Reason.NONE, OrderState.ACKNOWLEDGED
        assert each.heard(executions(BRIEF, sequence=2)) == [
            OrderSeen(*whole, 0, acknowledged, new, at_ns)
        ]
        fill, partly = each.heard(executions(TRADE, sequence=3))
        assert fill == FillSeen(
            "ours", "OABC", 0, BUY, 295_000, 20_000_000, 118 * 10**8, "USDT", "TABC", True, at_ns
        )
        assert partly == OrderSeen(*whole, 20_000_000, OrderState.PARTLY_FILLED, Reason.NONE, at_ns)
        (filled,) = each.heard(executions(FILLED, sequence=4))
        assert filled == OrderSeen(*whole, 50_000_000, OrderState.FILLED, Reason.NONE, at_ns)
    assert trading.snapshot() == kept.snapshot()
    assert make().snapshot() != trading.snapshot()  # the sequence is kept, the order is not
    assert b"OABC" not in trading.snapshot()


def test_frames_are_numbered() -> None:
    """One that was here says nothing; a hole is told before what came after it."""
    trading = make()
    trading.heard(executions(PENDING, sequence=4))
    assert trading.heard(executions(BRIEF, sequence=4)) == []
    news = trading.heard(executions(BRIEF, sequence=6))
    assert news[0] == StreamGap()
    assert len(news) == 2
    with pytest.raises(Malformed):
        trading.heard(executions({"order_id": "OABC"}, sequence=7))
    assert trading.heard(executions(BRIEF, sequence=8))[0] == StreamGap()
    trading.opened(NOW)  # a new subscription counts anew
    news = trading.heard(executions(BRIEF, sequence=1, kind="snapshot"))
    assert (news[0], len(news)) == (StreamReady(), 2)


def test_what_is_known_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is forgotten first; an order that is not known is told as far as it is."""
    monkeypatch.setattr(kraken_account, "KNOWN_MAX", 2)
    trading = make()
    for number in range(3):
        row = PENDING | {"order_id": f"O{number}", "cl_ord_id": f"ours{number}"}
        trading.heard(executions(row, sequence=number + 1))
    (seen,) = trading.heard(executions(BRIEF | {"order_id": "O0"}, sequence=4))
    assert isinstance(seen, OrderSeen)
    assert (seen.client_order_id, seen.instrument, seen.lots) == ("ours", -1, 0)
    (seen,) = trading.heard(executions(BRIEF | {"order_id": "O2"}, sequence=5))
    assert isinstance(seen, OrderSeen)
    assert (seen.instrument, seen.lots) == (0, 50_000_000)


def test_counters_and_other_channels() -> None:
    """The pair's counter is learnt as it comes; heartbeats and status say nothing."""
    trading = make()
    trading.heard(executions(PENDING))
    usage, seen = trading.heard(executions(BRIEF | {"ratecount": 3}, sequence=2))
    assert usage == UsageSeen("orders BTC/USDT", 3)
    assert isinstance(seen, OrderSeen)
    assert trading.heard(b'{"channel":"heartbeat"}') == []
    status = b'{"channel":"status","type":"update","data":[{"system":"online"}]}'
    assert trading.heard(status) == []


def test_the_subscription_is_ready_or_refused() -> None:
    """Ready too where it was there already."""
    trading = make()
    for told in (
        {"success": True, "result": {"channel": "executions"}},
        {"success": False, "error": "Already subscribed"},
    ):
        trading = make()
        frame = frame_of(trading.opened(NOW)[0])
        assert frame["params"]["channel"] == "executions"
        answered = {"method": "subscribe", "req_id": frame["req_id"], **told}
        assert trading.heard(json.dumps(answered).encode()) == [StreamReady()]
    frame = frame_of(trading.opened(NOW)[0])
    refused = {"method": "subscribe", "req_id": frame["req_id"], "success": False}
    (failed,) = trading.heard(json.dumps(refused | {"error": "ESession:Invalid session"}).encode())
    assert isinstance(failed, CallFailed)
    assert failed.kind is CallKind.STREAM


def test_what_subscribes_is_sent_again_until_the_channel_speaks() -> None:
    """Its answer may be lost; the channel itself says as much."""
    trading = make()
    assert trading.keep_alive(NOW) == ()
    first = frame_of(trading.opened(NOW)[0])
    assert trading.keep_alive(NOW + SECOND) == ()
    again = frame_of(trading.keep_alive(NOW + 3 * SECOND)[0])
    assert again["params"] == first["params"]
    assert trading.heard(executions(kind="snapshot")) == [StreamReady()]
    assert trading.keep_alive(NOW + 60 * SECOND) == ()
    answered = {"method": "subscribe", "req_id": again["req_id"], "success": True}
    assert trading.heard(json.dumps(answered).encode()) == []
    trading.closed()
    assert trading.keep_alive(NOW + 60 * SECOND) == ()


def test_times_have_a_zone() -> None:
    """As Kraken writes them, to the microsecond; anything else is none."""
    assert kraken_words.time_ns("2023-09-25T09:05:00.123456Z") == 1_695_632_700_123_456_000
    for text in ("2023-09-25T09:05:00.123456", "yesterday", ""):
        with pytest.raises(ValueError, match=r"zone|isoformat"):
            kraken_words.time_ns(text)


def test_names_of_pairs() -> None:
    """As Kraken has them: old assets with a letter in front."""
    assert kraken_words.pair_names("BTC/USD") == (
        "BTC/USD", "XBT/USD", "XBTUSD", "BTCUSD", "XXBTZUSD"
    )  # fmt: skip
    assert kraken_words.pair_names("ETH/BTC")[2:] == ("ETHXBT", "ETHBTC", "XETHXXBT")
    assert kraken_words.pair_names("SOL/USDT")[2:] == ("SOLUSDT",) * 3
    assert isinstance(call_of(make().balances(NOW).payload), NativeCall)
