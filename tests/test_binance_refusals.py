"""What Binance's errors say of the request that they answer, and what its answers say of limits."""

import pytest

from engine.messages import CallKind, Reason
from engine.venues.handler import Malformed
from engine.venues.trading import (
    BannedSeen,
    CallFailed,
    Effect,
    OrderMissing,
    UsageSeen,
)
from tests.test_binance_trading import SECOND, answer, asked

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
