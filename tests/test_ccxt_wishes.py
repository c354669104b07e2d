"""What is asked of ccxt for each wish of the gateway: the call, its arguments, the deadline it carries."""

import pytest

from engine.messages import CallKind, TimeInForce
from engine.venues.trading import AskMore, CallFailed, Effect, OrderRef, Unsupported
from tests.test_ccxt_account import NAME, NOW, Value, answer, intent, order, trading, work_of


@pytest.mark.parametrize(
    ("fields", "params"),
    [
        ({}, {}),
        ({"time_in_force": TimeInForce.IOC}, {"timeInForce": "IOC"}),
        ({"time_in_force": TimeInForce.FOK}, {"timeInForce": "FOK"}),
        ({"post_only": True}, {"postOnly": True}),
    ],
)
def test_a_create_is_one_call(fields: Value, params: Value) -> None:
    """Price and quantity as texts, our id, and when it ends."""
    request = trading().create(intent(**fields), NOW, NOW + 500_000_000)
    (call,) = work_of(request).calls
    assert (call.method, call.args) == (
        "create_order",
        ("BTC/USDT", "limit", "buy", "0.50000", "99.95"),
    )
    assert call.params == {"clientOrderId": NAME} | params
    assert (request.kind, request.client_order_id, request.instrument) == (CallKind.CREATE, NAME, 0)
    assert request.deadline_ns == 0


def test_what_ccxt_has_no_word_for_is_not_sent() -> None:
    """Good till a date, and post-only that takes."""
    for fields in (
        {"time_in_force": TimeInForce.GTD},
        {"time_in_force": TimeInForce.IOC, "post_only": True},
    ):
        with pytest.raises(Unsupported):
            trading().create(intent(**fields), NOW, NOW + 1)


def test_binance_is_told_until_when() -> None:
    """By its own clock; the deadline that it carries is never before the one that was asked for."""
    request = trading("binance").create(intent(), NOW + 999_999, NOW + 500_000_000)
    params = work_of(request).calls[0].params
    assert params["timestamp"] == NOW // 10**6
    assert params["recvWindow"] == 500
    assert request.deadline_ns >= NOW + 500_000_000
    late = trading("binance").create(intent(), NOW, NOW + 10**12)
    assert work_of(late).calls[0].params["recvWindow"] == 60_000
    assert late.deadline_ns <= NOW + 60_001 * 10**6


def test_kraken_is_told_until_when() -> None:
    """No nearer than it takes; what is carried counts."""
    request = trading("kraken").create(intent(), NOW, NOW + 500_000_000)
    assert work_of(request).calls[0].params["deadline"] == "2023-11-14T22:13:22.500Z"
    assert request.deadline_ns >= NOW + 2_500_000_000
    request = trading("kraken").create(intent(), NOW, NOW + 10_000_000_000)
    assert work_of(request).calls[0].params["deadline"] == "2023-11-14T22:13:30.000Z"


def test_an_order_is_looked_for_by_the_surest_name() -> None:
    """The venue's id; ours where the exchange finds it by that; else its lists, the open ones first."""
    both, ours = OrderRef(NAME, "7", 0), OrderRef(NAME, "", 0)
    assert [c.method for c in work_of(trading().query(both, NOW)).calls] == ["fetch_order"]
    (call,) = work_of(trading("binance").query(ours, NOW)).calls
    assert (call.args, call.params) == (("", "BTC/USDT"), {"clientOrderId": NAME})
    calls = work_of(trading("kraken").query(ours, NOW)).calls
    assert [c.method for c in calls] == ["fetch_open_orders", "fetch_closed_orders"]
    assert all(c.params == {"clientOrderId": NAME} for c in calls)
    calls = work_of(trading("apex").query(ours, NOW)).calls
    assert [(c.method, c.params) for c in calls] == [
        ("fetch_open_orders", {}),
        ("fetch_orders", {}),
    ]


def test_a_cancel_by_an_id_that_the_exchange_does_not_take() -> None:
    """Looks for the order first: an empty id in an address might mean all orders."""
    made = trading("gemini")
    request = made.cancel(OrderRef(NAME, "", 0), NOW)
    assert [c.method for c in work_of(request).calls] == ["fetch_open_orders"]
    (more,) = made.answered(request, answer([order(clientOrderId="x", id="6"), order()]))
    assert isinstance(more, AskMore)
    assert more.request.kind is CallKind.CANCEL
    (call,) = work_of(more.request).calls
    assert (call.method, call.args) == ("cancel_order", ("7", "BTC/USDT"))
    (gone,) = made.answered(request, answer([]))
    assert isinstance(gone, CallFailed)
    assert gone.effect is Effect.NONE
