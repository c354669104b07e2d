"""What Binance's user data stream tells: recorded events, and the subscription's own life."""

import json
from pathlib import Path

import pytest

from engine.messages import BUY, CallKind, OrderState
from engine.venues.binance_trading import BinanceTrading
from engine.venues.handler import Malformed
from engine.venues.trading import (
    BalancesSeen,
    CallFailed,
    Effect,
    FillSeen,
    OrderSeen,
    StreamGap,
    StreamReady,
    TransferSeen,
)
from tests.test_binance_trading import MS, NOW, SECOND, make, recorded_json

SUBSCRIBED = b'{"id":"user-data","status":200,"result":{"subscriptionId":0}}'


def listening() -> BinanceTrading:
    """Subscribed to."""
    trading = make()
    assert trading.heard(SUBSCRIBED) == [StreamReady()]
    return trading


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
    news = listening().heard(json.dumps(event).encode())
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
    (seen,) = listening().heard(json.dumps(event).encode())
    assert isinstance(seen, OrderSeen)
    assert seen.client_order_id == "ours"


def test_recorded_positions_and_transfers(recorded: Path) -> None:
    """What changed is told whole; a deposit has an id of its own making."""
    body = recorded_json(recorded, "user_data_json/account_position_wrapped.json")
    assert listening().heard(json.dumps(body).encode()) == [
        BalancesSeen((("ETH", 10**12, 10**12),), 1_564_034_571_073 * MS)
    ]
    body = recorded_json(recorded, "user_data_json/balance_update_wrapped.json")
    (moved,) = listening().heard(json.dumps(body).encode())
    assert isinstance(moved, TransferSeen)
    assert moved[:2] == ("BTC", 10**14)
    assert moved.kind == "deposit"
    body["event"] |= {"d": "-1.5"}
    (moved,) = listening().heard(json.dumps(body).encode())
    assert isinstance(moved, TransferSeen)
    assert (moved.amount, moved.kind) == (-1_500_000_000_000, "withdrawal")


def test_other_events_say_nothing(recorded: Path) -> None:
    """Lists of orders, markets that are not ours, answers to nobody."""
    trading = listening()
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
    for each in (trading, other):
        assert each.heard(SUBSCRIBED) == [StreamReady()]
        assert each.keep_alive(NOW + 60 * SECOND) == ()
    unheard = make()
    unheard.opened(NOW)
    event = b'{"subscriptionId":0,"event":{"e":"listStatus"}}'
    assert unheard.heard(event) == [StreamReady()]  # the answer was lost, but it speaks
    assert unheard.heard(SUBSCRIBED) == []
    ended = b'{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1}}'
    assert trading.heard(ended) == [StreamGap()]
    assert len(trading.keep_alive(NOW + 60 * SECOND)) == 1
    refusal = b'{"id":"user-data","status":401,"error":{"code":-2015,"msg":"Invalid API-key"}}'
    (failed,) = trading.heard(refusal)
    assert isinstance(failed, CallFailed)
    assert failed.effect is Effect.NONE
    trading.closed()
    assert trading.keep_alive(NOW + 99 * SECOND) == ()
