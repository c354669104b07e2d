"""What ccxt's exceptions prove of a request: was it done, why not, and what that says of the venue.

An exception comes by the name of its class, with how many HTTP requests the call had made by then: a
class proves that an order was refused only where it was raised for the call's first and only one.
"""

from typing import NamedTuple

from engine.messages import Answer, CallKind, Reason
from engine.venues.ccxt_calls import REQUESTS
from engine.venues.trading import BannedSeen, CallFailed, Effect, OrderMissing, PrivateNews, Request

MS = 1_000_000
LIMITED_MS = 5000
BANNED_MS = 60_000
LOCKOUT_MS = 900_000
"""How long to stay away where the venue does not say."""
TOO_MANY, BANNED = 429, 418
TEXT_MAX = 400
COUNTED_NONCES = frozenset({"kraken"})
"""Whose nonce is a count and no clock."""


class Meaning(NamedTuple):
    """What an exception says of the request: done or not, why, and what it says of the venue."""

    effect: Effect
    reason: Reason
    venue_down: bool = False
    clock: bool = False
    limited: bool = False


_REFUSED = Meaning(Effect.NONE, Reason.VENUE_REJECTED)
_UNKNOWN = Meaning(Effect.POSSIBLE, Reason.VENUE_REJECTED)
_DOWN = Meaning(Effect.POSSIBLE, Reason.VENUE_REJECTED, venue_down=True)
_LIMITED = Meaning(Effect.NONE, Reason.RATE_LIMITED, limited=True)
_UNSUPPORTED = Meaning(Effect.NONE, Reason.UNSUPPORTED)
_BALANCE = Meaning(Effect.NONE, Reason.BALANCE)
_TWICE = Meaning(Effect.POSSIBLE, Reason.DUPLICATE)
_NONCE = Meaning(Effect.NONE, Reason.VENUE_REJECTED, clock=True)
_LATE = Meaning(Effect.NONE, Reason.EXPIRED)

MEANINGS: dict[str, Meaning] = {
    **dict.fromkeys(
        "AuthenticationError PermissionDenied AccountNotEnabled AccountSuspended ArgumentsRequired "
        "BadRequest BadSymbol OperationRejected NoChange MarginModeAlreadySet MarketClosed "
        "ManualInteractionNeeded RestrictedLocation InvalidAddress AddressPending InvalidOrder "
        "OrderNotFound OrderImmediatelyFillable OrderNotFillable ContractUnavailable "
        "InvalidProxySettings".split(),
        _REFUSED,
    ),
    # An order of that id is there: ours, for an id is never sent twice. Asking will tell.
    "DuplicateOrderId": _TWICE,
    "InsufficientFunds": _BALANCE,
    "NotSupported": _UNSUPPORTED,
    "RateLimitExceeded": _LIMITED,
    "DDoSProtection": _LIMITED,
    "InvalidNonce": _NONCE,
    **dict.fromkeys(
        "OperationFailed NetworkError ExchangeNotAvailable OnMaintenance RequestTimeout BadResponse "
        "NullResponse".split(),
        _DOWN,
    ),
    **dict.fromkeys(
        "BaseError ExchangeError ChecksumError CancelPending OrderNotCached ExchangeClosedByUser "
        "UnsubscribeError".split(),
        _UNKNOWN,
    ),
}
"""By the name of ccxt's class. NONE only where the class itself says that the exchange said no."""

_BINANCE_WORDS = (
    ("Duplicate order sent", _TWICE),
    ("-2015", _REFUSED),  # a key that was right before: ccxt takes it for a ban
    ("-1007", _DOWN),  # the venue's own timeout: it does not know
    ("-1006", _DOWN),
)
_WORDS: dict[str, tuple[tuple[str, Meaning], ...]] = {
    **dict.fromkeys("binance binanceus binanceusdm binancecoinm".split(), _BINANCE_WORDS),
    # Kraken says EOrder of what it refused; ccxt knows a part of them.
    "kraken": (
        ("EGeneral:Invalid arguments:cl_ord_id", _TWICE),
        ("EService:Deadline elapsed", _LATE),
        ("EOrder:Insufficient funds", _BALANCE),
        ("EOrder:Rate limit exceeded", _LIMITED),
        ("EAPI:Rate limit exceeded", _LIMITED),
        ("EAPI:Invalid nonce", _NONCE),
        ("EAPI:", _REFUSED),
        ("EOrder:", _REFUSED),
        ("EGeneral:Invalid arguments", _REFUSED),
        ("EService:Market in", _REFUSED),
    ),
}


def meaning_of(exchange: str, failure: str, text: str, requests: int) -> Meaning:
    """What an exception proves; `requests` are those that its call had made by then."""
    found = MEANINGS.get(failure, _UNKNOWN)
    for words, meaning in _WORDS.get(exchange, ()):
        if words in text:
            found = meaning
            break
    if requests == 0:
        return found._replace(effect=Effect.NONE)  # ccxt itself refused: nothing left
    if requests > 1 and found.effect is Effect.NONE:
        return found._replace(effect=Effect.POSSIBLE)
    return found


def failed(exchange: str, request: Request, answer: Answer) -> list[PrivateNews]:
    """What ccxt raised, after an answer of the venue or before anything was sent."""
    headers = dict(answer.headers)
    text = answer.payload.decode(errors="replace")
    if request.kind is CallKind.QUERY and _no_such_order(exchange, answer.failure, text):
        return [OrderMissing(request.client_order_id, 0)]
    counted = headers.get(REQUESTS, "")
    meaning = meaning_of(exchange, answer.failure, text, int(counted) if counted.isdecimal() else 1)
    news: list[PrivateNews] = []
    if meaning.limited or answer.status in (TOO_MANY, BANNED):
        wait = headers.get("retry-after", "")
        locked, banned = "lockout" in text, answer.status == BANNED
        least_ms = LOCKOUT_MS if locked else BANNED_MS if banned else LIMITED_MS
        wait_ms = int(wait) * 1000 if wait.isdecimal() else least_ms
        news.append(BannedSeen(wait_ms * MS, banned or locked))
    clock = meaning.clock and exchange not in COUNTED_NONCES
    said = (meaning.effect, meaning.reason, text[:TEXT_MAX], clock, meaning.venue_down)
    return [*news, CallFailed(*said)]


def _no_such_order(exchange: str, failure: str, text: str) -> bool:
    return failure == "OrderNotFound" or (exchange == "kraken" and "Unknown order" in text)
