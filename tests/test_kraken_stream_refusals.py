"""Bad frames of every kind to Kraken's stream: the documented error, and nothing has changed."""

import json
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.kraken_talk import Talk, limit

WORDS = re.compile(
    r"E(API|General|Order|Query|Service|Trade|Funding|Session):[A-Za-z].*"
    r"|[A-Z][A-Za-z_\[\]]* field must be .*|Unsupported (event|field: .*)|Malformed request"
    r"|Subscription .*|Already subscribed|Currency pair not supported .*|Token\(s\) not found"
    r"|Symbol\(s\) not found",
    re.DOTALL,  # the name of a field that is not known may hold anything
)
ARGUMENTS = "EGeneral:Invalid arguments"
TOKEN = "TOKEN"
ORDER = {
    "order_type": "limit",
    "side": "buy",
    "order_qty": 0.01,
    "symbol": "BTC/USDT",
    "limit_price": 49000,
    "token": TOKEN,
}
STREAM: list[tuple[str, dict[str, Any], str]] = [
    ("add_order", {}, "Token(s) not found"),
    ("add_order", ORDER | {"token": "x"}, "ESession:Invalid session"),
    ("add_order", ORDER | {"price": 1}, "Unsupported field: 'price' for the given msg type: add order"),
    ("add_order", ORDER | {"order_qty": "1"}, "Order_qty field must be a number_float"),
    ("add_order", ORDER | {"symbol": "XBT/USDT"}, "Currency pair not supported XBT/USDT"),
    ("add_order", ORDER | {"side": "hold"}, f"{ARGUMENTS}:side"),
    ("add_order", ORDER | {"order_type": "best"}, f"{ARGUMENTS}:order_type"),
    ("add_order", ORDER | {"order_qty": 0.00001}, "EOrder:Order minimum not met"),
    ("add_order", ORDER | {"order_qty": 80}, "EOrder:Insufficient funds"),
    ("add_order", ORDER | {"limit_price": 50001, "post_only": True}, "EOrder:Post only order"),
    ("add_order", ORDER | {"post_only": "true"}, "Post_only field must be a boolean"),
    ("add_order", ORDER | {"margin": True}, "EOrder:Cannot open position"),
    ("add_order", ORDER | {"effective_time": "2030-01-01T00:00:00Z"}, "EOrder:Scheduled orders limit exceeded"),
    ("add_order", ORDER | {"time_in_force": "gtd", "expire_time": "x"}, f"{ARGUMENTS}:expiretm"),
    ("add_order", ORDER | {"order_type": "stop-loss"}, f"{ARGUMENTS}:price"),
    ("add_order", ORDER | {"order_type": "stop-loss", "triggers": 5}, "Triggers field must be an object"),
    ("add_order", ORDER | {"cl_ord_id": "a", "order_userref": 1}, f"{ARGUMENTS}:cl_ord_id"),
    ("amend_order", {"token": TOKEN}, f"{ARGUMENTS}:order_id"),
    ("amend_order", {"token": TOKEN, "order_id": "x", "order_qty": 1}, "EOrder:Unknown order"),
    ("edit_order", {"token": TOKEN, "order_id": "x", "symbol": "BTC/USDT"}, "EOrder:Unknown order"),
    ("cancel_order", {"token": TOKEN}, f"{ARGUMENTS}:order_id"),
    ("cancel_order", {"token": TOKEN, "order_id": "x"}, "Order_id field must be an array"),
    ("cancel_order", {"token": TOKEN, "order_id": [1]}, f"{ARGUMENTS}:order_id"),
    ("cancel_order", {"token": TOKEN, "order_userref": [99]}, "EOrder:Unknown order"),
    ("cancel_all_orders_after", {"token": TOKEN, "timeout": -1}, f"{ARGUMENTS}:timeout"),
    ("batch_add", {"token": TOKEN, "symbol": "BTC/USDT", "orders": []}, f"{ARGUMENTS}:orders"),
    ("batch_cancel", {"token": TOKEN, "orders": ["x"]}, "EOrder:Unknown order"),
    ("buy", {}, "Unsupported event"),
    ("subscribe", {"channel": "spread"}, "Subscription name invalid"),
    ("subscribe", {"channel": "level3", "symbol": ["BTC/USDT"]}, "Subscription name invalid"),
    ("subscribe", {"channel": "book"}, "Symbol(s) not found"),
    ("subscribe", {"channel": "book", "symbol": "BTC/USDT"}, "Symbol field must be an array"),
    ("subscribe", {"channel": "book", "symbol": [["BTC/USD"]]}, "Symbol field must be an array of strings"),
    ("subscribe", {"channel": ["book"], "symbol": ["BTC/USD"]}, "Subscription name invalid"),
    ("subscribe", {"channel": "book", "symbol": ["XBT/USD"]}, "Currency pair not supported XBT/USD"),
    ("subscribe", {"channel": "book", "symbol": ["BTC/USD"], "depth": 50}, "Subscription depth not supported"),
    ("subscribe", {"channel": "ohlc", "symbol": ["BTC/USD"], "interval": 7}, "Subscription ohlc interval not supported"),
    ("subscribe", {"channel": "executions"}, "Token(s) not found"),
    ("unsubscribe", {"channel": "book", "symbol": ["BTC/USD"]}, "Subscription not found"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "params", "error"), STREAM)
def test_stream(method: str, params: dict[str, Any], error: str) -> None:
    """A request and what it is refused with."""
    talk = Talk()
    connection, token = talk.connect(), talk.token()
    before = talk.audit()
    given_params = {key: token if value == TOKEN else value for key, value in params.items()}
    (told,) = talk.ask(connection, method, **given_params)
    assert (told["error"], told["success"], told["method"], told["req_id"]) == (
        error,
        False,
        method,
        7,
    )
    assert {"time_in", "time_out"} <= told.keys()
    assert talk.audit() == before


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
    | st.sampled_from([TOKEN, "BTC/USDT", "LIVE", "limit", "buy", "book", "executions"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)  # fmt: skip
METHODS = st.sampled_from([each[0] for each in STREAM]) | st.text(max_size=5)


@example(method="add_order", params={"\n": None}, base={})
@settings(max_examples=120)
@given(
    method=METHODS,
    params=ANYTHING
    | st.dictionaries(st.sampled_from(sorted({k for e in STREAM for k in e[1]})), ANYTHING),
    base=st.sampled_from([each[1] for each in STREAM]),
)
def test_any_frame_is_answered(method: str, params: Any, base: dict[str, Any]) -> None:
    """It is done, or refused in Kraken's words and then nothing has changed."""
    talk = Talk()
    connection, token, live = talk.connect(), talk.token(), talk.order(**limit())
    if isinstance(params, dict):
        params = base | params
    text = json.dumps({"method": method, "params": params, "req_id": 7})
    before = talk.audit()
    told = talk.send(connection, text.replace(TOKEN, token).replace("LIVE", live).encode())
    assert told
    answers = [each for each in told if "success" in each]
    if answers and not any(each["success"] for each in answers):
        assert all(WORDS.fullmatch(each["error"]) for each in answers)
        assert talk.audit() == before
    talk.audit()


@settings(max_examples=80)
@given(
    payload=(st.binary(max_size=60) | st.text(max_size=60).map(str.encode)).filter(
        lambda payload: b"method" not in payload
    )
)
def test_any_payload_is_answered(payload: bytes) -> None:
    """What names no method is malformed."""
    talk = Talk()
    (told,) = talk.send(talk.connect(), payload)
    assert told["error"] == "Malformed request"
