"""What Kraken's errors say of the request that they answer, and how long they keep us away."""

import json

import pytest

from engine.messages import Answer, Reason
from engine.venues.handler import Malformed
from engine.venues.kraken_trading import KrakenTrading
from engine.venues.trading import (
    BannedSeen,
    CallFailed,
    Effect,
    OrderRef,
)
from tests.native_desk import intent
from tests.test_kraken_trading import NOW, SECOND, answer, frame_of, make

# --- errors -------------------------------------------------------------------------------------------

NOT_DONE = (Effect.NONE, Reason.VENUE_REJECTED, False)
LIMITED = (Effect.NONE, Reason.RATE_LIMITED, False)
IN_DOUBT = (Effect.POSSIBLE, Reason.NOT_CONNECTED, True)
ERRORS = [
    ("EAPI:Rate limit exceeded", LIMITED),
    ("EAPI:Invalid key", NOT_DONE),
    ("EAPI:Invalid signature", NOT_DONE),
    ("EAPI:Invalid nonce", NOT_DONE),
    ("EGeneral:Permission denied", NOT_DONE),
    ("EGeneral:Invalid arguments:volume", NOT_DONE),
    ("EGeneral:Invalid arguments:cl_ord_id", (Effect.POSSIBLE, Reason.DUPLICATE, False)),
    ("EGeneral:Internal error", IN_DOUBT),
    ("EGeneral:Temporary lockout", LIMITED),
    ("EOrder:Rate limit exceeded", LIMITED),
    ("EOrder:Insufficient funds", (Effect.NONE, Reason.BALANCE, False)),
    ("EOrder:Orders limit exceeded", (Effect.NONE, Reason.ORDERS_OPEN, False)),
    ("EOrder:Order minimum not met", NOT_DONE),
    ("EOrder:Post only order", NOT_DONE),
    ("EOrder:Unknown order", NOT_DONE),
    ("EQuery:Unknown asset pair", NOT_DONE),
    ("EService:Deadline elapsed", (Effect.NONE, Reason.EXPIRED, False)),
    ("EService:Market in cancel_only mode", NOT_DONE),
    ("EService:Market in post_only mode", NOT_DONE),
    ("EService:Unavailable", IN_DOUBT),
    ("EService:Busy", IN_DOUBT),
    ("EService:Timeout", IN_DOUBT),
    ("ETrade:User Locked", NOT_DONE),
]


@pytest.mark.parametrize(("text", "means"), ERRORS)
def test_documented_errors(text: str, means: tuple[Effect, Reason, bool]) -> None:
    """Whether the order may be there all the same, and why it is not."""
    trading = make()
    number = frame_of(trading.create(intent("ours", 100, 5), NOW, NOW))["req_id"]
    frame = {"method": "add_order", "req_id": number, "success": False, "error": text}
    news = trading.heard(json.dumps(frame).encode())
    failed = news[-1]
    assert isinstance(failed, CallFailed)
    assert (failed.effect, failed.reason, failed.venue_down) == means
    assert (failed.text, failed.client_order_id) == (text, "ours")


def waits(trading: KrakenTrading, text: str, times: int) -> list[float]:
    """How long each of so many refusals keeps us away, in s."""
    found = []
    for _ in range(times):
        number = frame_of(trading.create(intent("ours", 100, 5), NOW, NOW))["req_id"]
        frame = {"method": "add_order", "req_id": number, "success": False, "error": text}
        banned, failed = trading.heard(json.dumps(frame).encode())
        assert isinstance(banned, BannedSeen)
        assert isinstance(failed, CallFailed)
        assert banned.banned is (text == "EGeneral:Temporary lockout")
        found.append(banned.wait_ns / SECOND)
    return found


def test_who_is_refused_by_a_limit_stays_away_ever_longer() -> None:
    """Until something is taken again: who goes on asking is locked out."""
    trading = make()
    assert waits(trading, "EOrder:Rate limit exceeded", 5) == [1.5, 3, 6, 12, 12]
    number = frame_of(trading.create(intent("ours", 100, 5), NOW, NOW))["req_id"]
    done = {"method": "add_order", "req_id": number, "success": True, "result": {}}
    assert trading.heard(json.dumps(done).encode()) == []
    assert waits(trading, "EAPI:Rate limit exceeded", 1) == [1.5]
    assert waits(make(), "EGeneral:Temporary lockout", 8) == [15, 30, 60, 120, 240, 480, 900, 900]


def test_limits_of_rest_say_for_how_long() -> None:
    """By the header where there is one; a 429 is somebody before Kraken."""
    request = make().balances(NOW)
    error = json.dumps({"error": ["EAPI:Rate limit exceeded"]}).encode()
    told = Answer(0, 1, 0, 0, 1, 200, error, (("retry-after", "7"),))
    assert make().answered(request, told)[0] == BannedSeen(7 * SECOND, False)
    assert answer(request, error)[0] == BannedSeen(3 * SECOND // 2, False)
    assert answer(request, b"slow down", 429)[0] == BannedSeen(3 * SECOND // 2, False)


@pytest.mark.parametrize(
    ("status", "effect"), [(520, Effect.POSSIBLE), (502, Effect.POSSIBLE), (403, Effect.NONE)]
)
def test_a_status_of_another_server(status: int, effect: Effect) -> None:
    """What stands in front of Kraken answers, or nobody does."""
    (failed,) = answer(make().cancel(OrderRef("x", "", 0), NOW), b"<html>", status)
    assert isinstance(failed, CallFailed)
    assert (failed.effect, failed.venue_down) == (effect, True)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"error":[],"result":{"open":[]}}', b"\xff", b"{}"])
def test_an_answer_that_is_none_of_kraken(body: bytes) -> None:
    """It names the call; so does a frame that cannot be read."""
    with pytest.raises(Malformed, match="OPEN_ORDERS"):
        answer(make().open_orders(NOW)[0], body)
    with pytest.raises(Malformed):
        make().heard(b'{"channel":"executions","sequence":1,"data":[{}]}')
