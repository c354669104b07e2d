"""What Binance's private answers look like, and what its errors mean for the request they answer.

Sources: https://developers.binance.com/docs/binance-spot-api-docs/errors, .../enums,
.../rest-api/general-api-information and .../user-data-stream
"""

from typing import Final, NamedTuple

import msgspec

from engine.messages import CallKind, OrderState, Reason
from engine.venues.trading import CallFailed, Effect

MS: Final = 1_000_000

STATES: Final = {
    "NEW": OrderState.ACKNOWLEDGED,
    "PENDING_NEW": OrderState.ACKNOWLEDGED,
    "PARTIALLY_FILLED": OrderState.PARTLY_FILLED,
    "FILLED": OrderState.FILLED,
    "PENDING_CANCEL": OrderState.CANCELLING,
    "CANCELED": OrderState.CANCELLED,
    "REJECTED": OrderState.REJECTED,
    "EXPIRED": OrderState.EXPIRED,
    "EXPIRED_IN_MATCH": OrderState.EXPIRED,
}
REASONS: Final = {
    "REJECTED": Reason.VENUE_REJECTED,
    "EXPIRED_IN_MATCH": Reason.SELF_CROSS,
}


class FillPart(msgspec.Struct):
    """A fill in the answer to a new order."""

    price: str
    qty: str
    commission: str
    commissionAsset: str
    tradeId: int


class OrderAnswer(msgspec.Struct):
    """An order, as answers to placing, cancelling and asking show it."""

    symbol: str
    orderId: int
    price: str
    origQty: str
    executedQty: str
    status: str
    side: str
    clientOrderId: str = ""
    origClientOrderId: str = ""
    transactTime: int = 0
    updateTime: int = 0
    fills: list[FillPart] = []


class ListPart(msgspec.Struct):
    """A list of orders, which stands between orders when all are cancelled."""

    contingencyType: str = ""


class TradeAnswer(msgspec.Struct):
    """A row of myTrades."""

    symbol: str
    id: int
    orderId: int
    price: str
    qty: str
    commission: str
    commissionAsset: str
    time: int
    isBuyer: bool
    isMaker: bool


class BalanceAnswer(msgspec.Struct):
    """A row of account."""

    asset: str
    free: str
    locked: str


class AccountAnswer(msgspec.Struct):
    """The answer of account."""

    balances: list[BalanceAnswer]
    updateTime: int = 0


class TimeAnswer(msgspec.Struct):
    """The answer of time."""

    serverTime: int


class Retry(msgspec.Struct):
    """When to come back, in ms, beside an error of the WebSocket API."""

    serverTime: int = 0
    retryAfter: int = 0


class ErrorAnswer(msgspec.Struct):
    """What an answer says that is none."""

    code: int
    msg: str = ""
    data: Retry | None = None


class RateRow(msgspec.Struct):
    """What of a limit is used, beside every answer of the WebSocket API."""

    rateLimitType: str
    interval: str
    intervalNum: int
    limit: int
    count: int = 0


class Balance(msgspec.Struct):
    """A row of outboundAccountPosition."""

    a: str
    f: str
    l: str  # noqa: E741 -- the venue's name


class Event(msgspec.Struct):
    """An event of the user data stream: `e` says which fields count."""

    e: str = ""
    E: int = 0
    s: str = ""
    c: str = ""
    C: str = ""
    S: str = ""
    q: str = "0"
    p: str = "0"
    x: str = ""
    X: str = ""
    i: int = 0
    l: str = "0"  # noqa: E741 -- the venue's name
    z: str = "0"
    L: str = "0"
    n: str | None = None
    N: str | None = None
    T: int = 0
    t: int = -1
    m: bool = False
    u: int = 0
    B: list[Balance] = []
    a: str = ""
    d: str = ""


class StreamFrame(msgspec.Struct):
    """A frame of the WebSocket API: an event of a subscription, or the answer to one."""

    id: str | int | None = None
    status: int = 0
    event: Event | None = None
    error: ErrorAnswer | None = None
    result: msgspec.Raw = msgspec.Raw(b"")
    rateLimits: list[RateRow] = []


class Meaning(NamedTuple):
    """What an error code says of the request."""

    effect: Effect
    reason: Reason
    clock: bool = False
    venue_down: bool = False


NOT_DONE: Final = Meaning(Effect.NONE, Reason.VENUE_REJECTED)
LIMITED: Final = Meaning(Effect.NONE, Reason.RATE_LIMITED)
DOWN: Final = Meaning(Effect.NONE, Reason.NOT_CONNECTED, venue_down=True)
IN_DOUBT: Final = Meaning(Effect.POSSIBLE, Reason.NOT_CONNECTED, venue_down=True)
MEANINGS: Final = {
    -1000: IN_DOUBT,  # "an unknown error occurred while processing the request"
    -1001: IN_DOUBT,  # "internal error; unable to process your request"
    -1003: LIMITED,
    -1004: DOWN,
    -1006: IN_DOUBT,  # "execution status unknown"
    -1007: IN_DOUBT,  # "send status unknown; execution status unknown"
    -1008: DOWN,  # "overloaded with other requests"
    -1015: LIMITED,
    -1016: DOWN,  # "this service is no longer available"
    -1021: Meaning(Effect.NONE, Reason.EXPIRED, clock=True),
    -1034: LIMITED,  # too many connections
}
NO_SUCH_ORDER: Final = -2013
NOT_CANCELLED: Final = -2011  # "unknown order sent": it is not open, whatever became of it
TOO_MANY_ORDERS: Final = -1015
REFUSED: Final = -2010
REFUSALS: Final = {
    # An order of that id is there: ours, whatever answered before.
    "Duplicate order sent.": Meaning(Effect.POSSIBLE, Reason.DUPLICATE),
    "Account has insufficient balance for requested action.": Meaning(Effect.NONE, Reason.BALANCE),
}
SERVER_ERRORS_FROM: Final = 500
LIMITS: Final = (418, 429)


def failure(
    status: int,
    error: ErrorAnswer | None,
    client_order_id: str = "",
    kind: CallKind = CallKind.CREATE,
) -> CallFailed:
    """What a status and error say of the request that they answer.

    Without an error of Binance's own, a 5xx says nothing of what was done; a 4xx comes from what
    stands in front of the exchange, which the request never reached.
    """
    if error is None:
        meaning = IN_DOUBT if status >= SERVER_ERRORS_FROM else DOWN
        meaning = LIMITED if status in LIMITS else meaning
        down = meaning.venue_down
        text = f"status {status}"
        return CallFailed(meaning.effect, meaning.reason, text, False, down, client_order_id, kind)
    text = f"{error.code}: {error.msg}"
    meaning = MEANINGS.get(error.code, NOT_DONE)
    if error.code == REFUSED:
        meaning = REFUSALS.get(error.msg, NOT_DONE)
    elif status >= SERVER_ERRORS_FROM and error.code not in MEANINGS:
        meaning = IN_DOUBT
    return CallFailed(
        meaning.effect,
        meaning.reason,
        text,
        meaning.clock,
        meaning.venue_down,
        client_order_id,
        kind,
    )


_ERROR = msgspec.json.Decoder(ErrorAnswer)


def error_in(payload: bytes) -> ErrorAnswer | None:
    """The error in an answer, if it is one of Binance's."""
    try:
        return _ERROR.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
