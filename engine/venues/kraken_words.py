"""Kraken's words for what is ours: names of pairs and assets, states, and what its errors mean.

REST has the old names (XXBT, XETHZEUR, XBTUSDT), the websocket plain ones (BTC/USDT); a configuration
names instruments by the latter. Sources: https://docs.kraken.com/api/docs/guides/global-intro,
/guides/spot-errors and /rest-api/get-open-orders
"""

from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

import msgspec

from engine.messages import CallKind, OrderState, Reason
from engine.venues.trading import Budget, CallFailed, Effect

SECOND_NS: Final = 1_000_000_000
MS: Final = 1_000_000
EMPTY: Final = msgspec.Raw(b"")

# Assets from before 2016 have an X (coins) or a Z (currencies) in front; two have a name of their own.
_OWN: Final = {"BTC": "XBT", "DOGE": "XDG"}
_COINS: Final = frozenset("BTC DOGE ETC ETH LTC MLN REP XLM XMR XRP ZEC".split())
_CURRENCIES: Final = frozenset("AUD CAD EUR GBP JPY USD".split())

STATES: Final = {
    "pending": OrderState.ACKNOWLEDGED,
    "open": OrderState.ACKNOWLEDGED,
    "new": OrderState.ACKNOWLEDGED,
    "partially_filled": OrderState.PARTLY_FILLED,
    "closed": OrderState.FILLED,
    "filled": OrderState.FILLED,
    "canceled": OrderState.CANCELLED,
    "expired": OrderState.EXPIRED,
}
"""Of REST and of the executions channel."""


def asset_names(asset: str) -> tuple[str, ...]:
    """All names of an asset: ours, the short and the long one of REST."""
    short = _OWN.get(asset, asset)
    long = f"X{short}" if asset in _COINS else f"Z{short}" if asset in _CURRENCIES else short
    return asset, short, long


def pair_names(native: str) -> tuple[str, ...]:
    """All names of a pair by its plain one: BTC/USD is XBTUSD, XXBTZUSD and XBT/USD too."""
    base, _, quote = native.partition("/")
    bases, quotes = asset_names(base), asset_names(quote)
    joined = [a + b for a, b in zip(bases, quotes, strict=True)]
    return native, f"{bases[1]}/{quotes[1]}", joined[1], joined[0], joined[2]


def short_pair(native: str) -> str:
    """The name by which REST is asked for a pair."""
    return pair_names(native)[2]


def rfc3339(time_ns: int) -> str:
    """A time to the millisecond, as requests name it."""
    moment = datetime.fromtimestamp(time_ns // SECOND_NS, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ns % SECOND_NS // MS:03d}Z"


def time_ns(text: str) -> int:
    """An RFC 3339 time in ns; raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text[:40]!r} has no time zone")
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * SECOND_NS + since.microseconds * 1000


def seconds_ns(seconds: float) -> int:
    """REST's seconds in ns."""
    return int(seconds * SECOND_NS)


# --- limits -------------------------------------------------------------------------------------------

CALLS: Final = "calls"
Tier = Literal["starter", "intermediate", "pro"]
CALLS_OF: Final[dict[Tier, tuple[int, int]]] = {
    "starter": (15, 45),
    "intermediate": (20, 40),
    "pro": (20, 20),
}
"""Points and how many seconds empty them, by tier: calls of REST, and below orders of one pair."""
ORDERS_OF: Final[dict[Tier, tuple[int, int]]] = {
    "starter": (60, 60),
    "intermediate": (125, 54),
    "pro": (180, 48),
}


def orders_budget(native: str) -> str:
    """The name of the budget of a pair's orders."""
    return f"orders {native}"


def budgets_of(tier: Tier, natives: list[str]) -> tuple[Budget, ...]:
    """The budgets of an account: its calls of REST, and the orders of each pair."""
    calls, calls_s = CALLS_OF[tier]
    orders, orders_s = ORDERS_OF[tier]
    of_pairs = [
        Budget(orders_budget(native), orders, orders_s * SECOND_NS, per_host=False)
        for native in natives
    ]
    return Budget(CALLS, calls, calls_s * SECOND_NS, per_host=False), *of_pairs


# --- answers of REST ----------------------------------------------------------------------------------


class Described(msgspec.Struct):
    """What an order is."""

    pair: str
    type: str
    price: str = "0"


class OrderAnswer(msgspec.Struct):
    """An order of OpenOrders, ClosedOrders or QueryOrders."""

    status: str
    descr: Described
    vol: str
    vol_exec: str
    opentm: float = 0.0
    closetm: float = 0.0
    cl_ord_id: str | None = None


class OpenResult(msgspec.Struct):
    """The result of OpenOrders."""

    open: dict[str, OrderAnswer]


class ClosedResult(msgspec.Struct):
    """The result of ClosedOrders."""

    closed: dict[str, OrderAnswer]


class TradeAnswer(msgspec.Struct):
    """A row of TradesHistory; the fee is in the quote asset, as we ask for it."""

    ordertxid: str
    pair: str
    time: float
    type: str
    price: str
    fee: str
    vol: str
    maker: bool = False


class TradesResult(msgspec.Struct):
    """The result of TradesHistory."""

    trades: dict[str, TradeAnswer]
    count: int = 0


class Held(msgspec.Struct):
    """A row of BalanceEx."""

    balance: str
    hold_trade: str = "0"


class Entry(msgspec.Struct):
    """A row of Ledgers."""

    asset: str
    amount: str
    fee: str
    time: float
    type: str


class LedgerResult(msgspec.Struct):
    """The result of Ledgers."""

    ledger: dict[str, Entry]
    count: int = 0


class Envelope(msgspec.Struct):
    """Any answer of REST; an error has the status 200."""

    error: list[str] = []
    result: msgspec.Raw = EMPTY


# --- frames of the private connection -------------------------------------------------------------------


class FeePart(msgspec.Struct):
    """A fee of an execution."""

    asset: str
    qty: msgspec.Raw


class Report(msgspec.Struct):
    """A row of the executions channel; what does not change of an order is not said again."""

    order_id: str
    exec_type: str
    order_status: str
    timestamp: str = ""
    cl_ord_id: str = ""
    symbol: str = ""
    side: str = ""
    order_qty: msgspec.Raw = EMPTY
    limit_price: msgspec.Raw = EMPTY
    cum_qty: msgspec.Raw = EMPTY
    last_qty: msgspec.Raw = EMPTY
    last_price: msgspec.Raw = EMPTY
    liquidity_ind: str = ""
    exec_id: str = ""
    fees: list[FeePart] = []
    ratecount: int = -1


class Told(msgspec.Struct):
    """What answers a request of the websocket."""

    channel: str = ""
    order_id: str = ""
    cl_ord_id: str = ""


class Frame(msgspec.Struct):
    """Any frame of the private connection."""

    channel: str = ""
    type: str = ""
    data: msgspec.Raw = EMPTY
    sequence: int = 0
    method: str = ""
    req_id: int = 0
    success: bool = True
    result: msgspec.Raw = EMPTY
    error: str = ""
    time_in: str = ""


# --- errors -----------------------------------------------------------------------------------------------


class Meaning(NamedTuple):
    """What an error says of the request."""

    effect: Effect
    reason: Reason
    venue_down: bool = False


NOT_DONE: Final = Meaning(Effect.NONE, Reason.VENUE_REJECTED)
IN_DOUBT: Final = Meaning(Effect.POSSIBLE, Reason.NOT_CONNECTED, venue_down=True)
LOCKED_OUT: Final = "EGeneral:Temporary lockout"
CALLS_EXCEEDED: Final = "EAPI:Rate limit exceeded"
ORDERS_EXCEEDED: Final = "EOrder:Rate limit exceeded"
MEANINGS: Final = {
    CALLS_EXCEEDED: Meaning(Effect.NONE, Reason.RATE_LIMITED),
    ORDERS_EXCEEDED: Meaning(Effect.NONE, Reason.RATE_LIMITED),
    LOCKED_OUT: Meaning(Effect.NONE, Reason.RATE_LIMITED),
    "EOrder:Insufficient funds": Meaning(Effect.NONE, Reason.BALANCE),
    "EOrder:Orders limit exceeded": Meaning(Effect.NONE, Reason.ORDERS_OPEN),
    "EService:Deadline elapsed": Meaning(Effect.NONE, Reason.EXPIRED),
    "EService:Market in cancel_only mode": Meaning(Effect.NONE, Reason.VENUE_REJECTED),
    "EService:Market in post_only mode": Meaning(Effect.NONE, Reason.VENUE_REJECTED),
    "EService:Market in limit_only mode": Meaning(Effect.NONE, Reason.VENUE_REJECTED),
}
SERVER_ERRORS_FROM: Final = 500


def failure(text: str, kind: CallKind, client_order_id: str = "") -> CallFailed:
    """What an error says of the request it answers.

    Whatever the services behind the interface say of themselves leaves open what they did; so does an
    internal error. An id that is refused may be refused because the order is there.
    """
    meaning = MEANINGS.get(text, NOT_DONE)
    if meaning is NOT_DONE:
        if text.startswith("EService:") or text == "EGeneral:Internal error":
            meaning = IN_DOUBT
        elif kind is CallKind.CREATE and "cl_ord_id" in text:
            meaning = Meaning(Effect.POSSIBLE, Reason.DUPLICATE)
    return CallFailed(
        meaning.effect,
        meaning.reason,
        text,
        venue_down=meaning.venue_down,
        client_order_id=client_order_id,
        kind=kind,
    )


def failed_status(status: int) -> CallFailed:
    """The same of an HTTP status other than 200, which comes from before the interface or from nobody."""
    if status >= SERVER_ERRORS_FROM:
        return CallFailed(*IN_DOUBT[:2], f"status {status}", venue_down=True)
    return CallFailed(Effect.NONE, Reason.NOT_CONNECTED, f"status {status}", venue_down=True)
