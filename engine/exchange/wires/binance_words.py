"""Binance's words: its error codes, order types and statuses, and how it writes numbers.

A number is a decimal string of at least eight places, a time is milliseconds since 1970. Sources:
https://developers.binance.com/docs/binance-spot-api-docs/errors and .../enums
"""

import hashlib
from typing import Any

from engine.exchange.orders import NewOrder, Refused, Status, Why
from engine.instruments import Instrument
from engine.units import format_decimal
from ext.matching import (
    BAND,
    BUY,
    FOK,
    GTC,
    IOC,
    LIMIT,
    MARKET,
    NO_LIQUIDITY,
    NO_TRIGGER,
    NOT_FILLABLE,
    NOT_FILLED,
    POST_ONLY,
    SELF_TRADE,
    SLIDE,
    STOP,
    STP_BOTH,
    STP_DECREMENT,
    STP_NEWEST,
    STP_NONE,
    STP_OLDEST,
    TAKE_PROFIT,
)

PLACES = 8  # decimals of every number, unless an asset is held finer
MS = 1_000_000

MESSAGES = {
    -1000: "An unknown error occurred while processing the request.",
    -1002: "You are not authorized to execute this request.",
    -1003: "Too much request weight used; current limit is %s request weight per %s. "
    "Please use WebSocket Streams for live updates to avoid polling the API.",
    -1007: "Timeout waiting for response from backend server. "
    "Send status unknown; execution status unknown.",
    -1008: "Server is currently overloaded with other requests. Please try again in a few minutes.",
    -1014: "Unsupported order combination.",
    -1015: "Too many new orders; current limit is %s orders per %s.",
    -1020: "This operation is not supported.",
    -1021: "Timestamp for this request is outside of the recvWindow.",
    -1022: "Signature for this request is not valid.",
    -1100: "Illegal characters found in parameter '%s'; legal range is '%s'.",
    -1101: "Too many parameters; expected '%s' and received '%s'.",
    -1102: "Mandatory parameter '%s' was not sent, was empty/null, or malformed.",
    -1104: "Not all sent parameters were read; read '%s' parameter(s) but was sent '%s'.",
    -1105: "Parameter '%s' was empty.",
    -1106: "Parameter '%s' sent when not required.",
    -1108: "Parameter '%s' overflowed.",
    -1111: "Parameter '%s' has too much precision.",
    -1112: "No orders on book for symbol.",
    -1115: "Invalid timeInForce.",
    -1116: "Invalid orderType.",
    -1117: "Invalid side.",
    -1120: "Invalid interval.",
    -1121: "Invalid symbol.",
    -1122: "Invalid symbolStatus.",
    -1125: "This listenKey does not exist.",
    -1127: "More than %s hours between startTime and endTime.",
    -1128: "Combination of optional parameters invalid.",
    -1130: "Data sent for parameter '%s' is not valid.",
    -1131: "recvWindow must be less than 60000.",
    -1134: "strategyType was less than 1000000.",
    -1135: "Invalid JSON Request",
    -1139: "Invalid ticker type.",
    -1145: "Invalid cancelRestrictions",
    -1151: "Symbol is present multiple times in the list.",
    -1158: "Order type not supported in OCO.",
    -1160: "Parameter '%s' is not supported if '%s' is not GTC.",
    -1165: "A limit order in a buy OCO must be below.",
    -1166: "A limit order in a sell OCO must be above.",
    -1168: "At least one OCO order must be contingent.",
    -1196: "A stop loss order in a buy OCO must be above.",
    -1197: "A stop loss order in a sell OCO must be below.",
    -1198: "A take profit order in a buy OCO must be below.",
    -1199: "A take profit order in a sell OCO must be above.",
    -2011: "Unknown order sent.",
    -2013: "Order does not exist.",
    -2014: "API-key format invalid.",
    -2015: "Invalid API-key, IP, or permissions for action.",
    -2021: "Order cancel-replace partially failed.",
    -2022: "Order cancel-replace failed.",
    -2038: "The requested order amendment is not valid.",
    -4056: "HMAC_SHA256 API key is not supported.",
}
STATUS_OF = {-1002: 401, -1003: 429, -1007: 504, -1008: 503, -1015: 429, -2014: 401, -2015: 401}
INSUFFICIENT = "Account has insufficient balance for requested action."
WOULD_MATCH = "Order would immediately match and take."
WOULD_TRIGGER = "Stop price would trigger immediately."
DUPLICATE = "Duplicate order sent."
RESTRICTED = "Order was not canceled due to cancel restrictions."
TRAILING = "Trailing stop orders are not supported for this symbol."
PRICES_WRONG = "The relationship of the prices for the orders is not correct."
NO_CANCEL_ID = "Cancel order is invalid. Check origClOrdId and orderId."


class Problem(Exception):
    """A request that changes nothing: the error code and message of its answer.

    `data` goes beside them; `retry_after_s` becomes the Retry-After header.
    """

    def __init__(
        self,
        code: int,
        message: str = "",
        *names: object,
        status: int = 0,
        data: Any = None,
        retry_after_s: int = 0,
    ) -> None:
        text = message or MESSAGES[code]
        super().__init__(text % names if names else text)
        self.code = code
        self.message = str(self)
        self.status = status or STATUS_OF.get(code, 400)
        self.data = data
        self.retry_after_s = retry_after_s

    def body(self) -> dict[str, Any]:
        """As JSON."""
        body = {"code": self.code, "msg": self.message}
        return body if self.data is None else {**body, "data": self.data}


def wrong(code: int, *names: object) -> Problem:
    """The problem of a code, its message filled in."""
    return Problem(code, "", *names)


def filtered(name: str) -> Problem:
    """A filter of the symbol that does not let an order through."""
    return Problem(-1013, f"Filter failure: {name}")


REFUSALS: dict[Why, tuple[int, str]] = {
    Why.UNKNOWN_SYMBOL: (-1121, ""),
    Why.UNKNOWN_ORDER: (-2011, ""),
    Why.INSUFFICIENT_BALANCE: (-2010, INSUFFICIENT),
    Why.DUPLICATE_CLIENT_ID: (-2010, DUPLICATE),
    Why.INVALID: (-1014, ""),
    Why.TICK: (-1013, "Filter failure: PRICE_FILTER"),
    Why.LOT: (-1013, "Filter failure: LOT_SIZE"),
    Why.NOTIONAL: (-1013, "Filter failure: NOTIONAL"),
    Why.BAND: (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    Why.REDUCE_ONLY: (-2010, "Order would not reduce the position."),
    Why.WOULD_TAKE: (-2010, WOULD_MATCH),
    Why.FULL: (-1013, "Filter failure: MAX_NUM_ORDERS"),
    Why.HALTED: (-1013, "Market is closed."),
    Why.IN_AUCTION: (-1013, "Limit orders require GTC for this phase."),
    Why.DEADLINE: (-1021, ""),
    Why.NO_REPLACE: (-2038, ""),
    Why.ADMIN: (-2010, "This account may not place or cancel orders."),
}


def refusal(refused: Refused, unknown: int = -2011) -> Problem:
    """What Binance says when the exchange refuses; `unknown` is its code for an unknown order."""
    code, text = REFUSALS[refused.why]
    if refused.why is Why.UNKNOWN_ORDER:
        code = unknown
    return Problem(code, text)


SIDES = {"BUY": BUY, "SELL": -BUY}
SIDE_WORDS = {number: word for word, number in SIDES.items()}
TIFS = {"GTC": GTC, "IOC": IOC, "FOK": FOK}
TIF_WORDS = {number: word for word, number in TIFS.items()}
STPS = {
    "NONE": STP_NONE,
    "EXPIRE_MAKER": STP_OLDEST,
    "EXPIRE_TAKER": STP_NEWEST,
    "EXPIRE_BOTH": STP_BOTH,
    "DECREMENT": STP_DECREMENT,
}
STP_WORDS = {number: word for word, number in STPS.items()}
# kind, trigger and flags of each type
TYPES = {
    "LIMIT": (LIMIT, NO_TRIGGER, 0),
    "MARKET": (MARKET, NO_TRIGGER, 0),
    "LIMIT_MAKER": (LIMIT, NO_TRIGGER, POST_ONLY),
    "STOP_LOSS": (MARKET, STOP, 0),
    "STOP_LOSS_LIMIT": (LIMIT, STOP, 0),
    "TAKE_PROFIT": (MARKET, TAKE_PROFIT, 0),
    "TAKE_PROFIT_LIMIT": (LIMIT, TAKE_PROFIT, 0),
}
STATUSES = {
    Status.OPEN: "NEW",
    Status.PARTLY_FILLED: "PARTIALLY_FILLED",
    Status.FILLED: "FILLED",
    Status.CANCELLED: "CANCELED",
    Status.EXPIRED: "EXPIRED",
    Status.REJECTED: "REJECTED",
}
RULES_ENDED = frozenset({BAND, NO_LIQUIDITY, NOT_FILLED, NOT_FILLABLE})  # the type's own rules


def type_word(request: NewOrder) -> str:
    """The type of an order; one of another wire that Binance has not gets the nearest."""
    if request.trigger:
        name = "TAKE_PROFIT" if request.trigger == TAKE_PROFIT else "STOP_LOSS"
        return name if request.kind == MARKET else f"{name}_LIMIT"
    if request.kind == MARKET:
        return "MARKET"
    return "LIMIT_MAKER" if request.flags & (POST_ONLY | SLIDE) else "LIMIT"


def status_word(status: Status, reason: int) -> str:
    """The status of an order: an end by its type's own rules is an expiry."""
    if status is Status.CANCELLED and reason in RULES_ENDED:
        return "EXPIRED"
    if reason == SELF_TRADE and status in (Status.CANCELLED, Status.EXPIRED):
        return "EXPIRED_IN_MATCH"
    return STATUSES[status]


def ms(time_ns: int) -> int:
    """Milliseconds since 1970."""
    return time_ns // MS


def decimal(units: int, decimals: int) -> str:
    """Units as a decimal string of at least eight places."""
    places = max(PLACES, decimals)
    return format_decimal(units * 10 ** (places - decimals), places)


ZERO = decimal(0, 0)


class Listing:
    """An instrument as Binance lists it: 'BTCUSDT', its numbers with eight places."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.id = instrument.id
        self.native = instrument.symbol.replace("/", "").upper()
        self.stream = self.native.lower()
        self.price_digits, self.price_decimals = instrument.tick_parts
        self.lot_digits, self.lot_decimals = instrument.lot_parts

    def price(self, ticks: int) -> str:
        """Ticks."""
        return decimal(ticks * self.price_digits, self.price_decimals)

    def quantity(self, lots: int) -> str:
        """Lots."""
        return decimal(lots * self.lot_digits, self.lot_decimals)

    def value(self, tick_lots: int) -> str:
        """A sum of ticks times lots, in the quote asset."""
        digits = self.price_digits * self.lot_digits
        return decimal(tick_lots * digits, self.price_decimals + self.lot_decimals)

    def average(self, tick_lots: int, lots: int) -> str:
        """The average price of a sum of ticks times lots; rounded down to its places."""
        if not lots:
            return ZERO
        places = max(PLACES, self.price_decimals)
        scaled = tick_lots * self.price_digits * int(10 ** (places - self.price_decimals))
        return format_decimal(scaled // lots, places)


class Names:
    """Client ids that the exchange makes up where none is given: 22 letters and digits, never twice."""

    LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._count = 0

    def next(self, length: int = 22) -> str:
        """A new one."""
        self._count += 1
        digest = hashlib.sha512(f"{self._seed}/{self._count}".encode()).digest()
        number = int.from_bytes(digest)
        text = []
        for _ in range(length):
            number, digit = divmod(number, len(self.LETTERS))
            text.append(self.LETTERS[digit])
        return "".join(text)
