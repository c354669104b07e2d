"""Calls of ccxt's unified interface as bytes, what they give, and what ccxt's exceptions prove.

engine/edges/ccxt_private.py runs the calls and encodes what they gave: numbers are decimal strings,
nothing that the engine does not read is kept. An exception comes back by the name of its class, with
how many HTTP requests the call had made by then: a class proves that an order was refused only where
the refusal was of the call's first and only request.
"""

from typing import Final, NamedTuple

import msgspec

from engine.messages import Reason
from engine.venues.trading import Effect

REQUESTS: Final = "requests"
"""The name of the header that says how many HTTP requests a call made; '0': it was refused here."""

HEADERS: Final = ("retry-after", "x-mbx-used-weight-1m", "x-mbx-order-count-10s")
"""The headers of venues that are read."""

ORDERS, TRADES, BALANCE, READY = "orders", "trades", "balance", "ready"
"""What a frame of the private connection tells of."""


class Call(msgspec.Struct, frozen=True, array_like=True):
    """One call: a method of ccxt's client, its arguments in order, and the `params` after them.

    `kind` says what it gives: `ORDERS` (one or many), `TRADES`, `BALANCE`, or '' (kept as it is).
    """

    method: str
    kind: str
    args: tuple[str | int | None, ...] = ()
    params: dict[str, str | int | bool] = {}


class Work(msgspec.Struct, frozen=True, array_like=True):
    """The calls of one request, run one after the other; `since_ms` is for whoever reads the answer.

    `venue_ms` is the venue's time as far as it is known, for clients that sign with a timestamp.
    """

    calls: tuple[Call, ...]
    venue_ms: int
    since_ms: int = 0


class SeenOrder(msgspec.Struct, frozen=True):
    """ccxt's order structure, as far as it is read; None where the exchange did not say."""

    id: str | None = None
    clientOrderId: str | None = None
    symbol: str | None = None
    side: str | None = None
    price: str | None = None
    amount: str | None = None
    filled: str | None = None
    status: str | None = None
    timestamp: int | None = None
    lastUpdateTimestamp: int | None = None


class SeenFee(msgspec.Struct, frozen=True):
    """A fee; the cost is negative for a rebate."""

    cost: str | None = None
    currency: str | None = None


class SeenTrade(msgspec.Struct, frozen=True):
    """ccxt's trade structure, as far as it is read."""

    id: str | None = None
    order: str | None = None
    clientOrderId: str | None = None
    symbol: str | None = None
    side: str | None = None
    price: str | None = None
    amount: str | None = None
    takerOrMaker: str | None = None
    timestamp: int | None = None
    fee: SeenFee | None = None


class SeenBalance(msgspec.Struct, frozen=True):
    """ccxt's balance structure: decimal strings by asset."""

    total: dict[str, str | None] = {}
    free: dict[str, str | None] = {}
    timestamp: int | None = None


class SeenTransfer(msgspec.Struct, frozen=True):
    """ccxt's ledger entry, or its deposit or withdrawal; `direction` is a ledger's."""

    id: str | None = None
    currency: str | None = None
    amount: str | None = None
    type: str | None = None
    direction: str | None = None
    status: str | None = None
    timestamp: int | None = None
    fee: SeenFee | None = None


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
    "InvalidNonce": Meaning(Effect.NONE, Reason.VENUE_REJECTED, clock=True),
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
