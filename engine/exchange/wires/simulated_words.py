"""The words of the simulated exchange's own protocol, and how an order is read out of them."""

import msgspec

from engine.exchange.exchange import Exchange
from engine.exchange.orders import UNFUNDED, NewOrder, Order, Status, Why
from engine.exchange.wires.wire import Failure
from engine.instruments import Instrument
from engine.messages import BUY, SELL
from engine.units import parse_decimal
from ext.matching import (
    BAND,
    BY_CLIENT,
    BY_GROUP,
    BY_MASS,
    BY_PARENT,
    DAY,
    END_OF_DAY,
    FOK,
    GTC,
    GTD,
    IOC,
    LIMIT,
    MARKET,
    NO_LIQUIDITY,
    NO_TRIGGER,
    NOT_FILLABLE,
    NOT_FILLED,
    OUT_OF_TIME,
    PEGGED,
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
    TRAIL_BPS,
    TRAIL_TICKS,
    WOULD_TAKE,
)

KINDS = {"limit": LIMIT, "market": MARKET, "pegged": PEGGED}
SIDES = {"buy": BUY, "sell": SELL}
TIFS = {"": 0, "gtc": GTC, "ioc": IOC, "fok": FOK, "gtd": GTD, "day": DAY}
TRIGGERS = {
    "": NO_TRIGGER,
    "stop": STOP,
    "take_profit": TAKE_PROFIT,
    "trail": TRAIL_TICKS,
    "trail_bps": TRAIL_BPS,
}
STPS = {
    "": STP_NONE,
    "newest": STP_NEWEST,
    "oldest": STP_OLDEST,
    "both": STP_BOTH,
    "decrement": STP_DECREMENT,
}
STATES = {
    Status.OPEN: "acknowledged",
    Status.PARTLY_FILLED: "partly_filled",
    Status.FILLED: "filled",
    Status.CANCELLED: "cancelled",
    Status.EXPIRED: "expired",
    Status.REJECTED: "rejected",
}
REFUSALS = {
    Why.UNKNOWN_SYMBOL: "no such symbol",
    Why.UNKNOWN_ORDER: "no such open order",
    Why.INSUFFICIENT_BALANCE: "insufficient balance",
    Why.DUPLICATE_CLIENT_ID: "duplicate client_id",
    Why.INVALID: "fields that do not go together",
    Why.TICK: "price off the grid or out of bounds",
    Why.LOT: "qty off the grid or out of bounds",
    Why.NOTIONAL: "below the least notional",
    Why.BAND: "price outside the band",
    Why.REDUCE_ONLY: "nothing to reduce",
    Why.WOULD_TAKE: "post-only would take",
    Why.FULL: "the book is full",
    Why.HALTED: "the market is halted",
    Why.IN_AUCTION: "not in an auction",
    Why.DEADLINE: "deadline passed",
    Why.NO_REPLACE: "cannot be replaced",
    Why.ADMIN: "refused by the operator",
}
ENDS = {
    NOT_FILLED: "immediate or cancel",
    NO_LIQUIDITY: "nothing more to trade with",
    NOT_FILLABLE: "fill or kill",
    BAND: "price outside the band",
    WOULD_TAKE: "post-only would take",
    BY_CLIENT: "cancelled by the client",
    BY_MASS: "cancelled with all others",
    BY_GROUP: "another of its group came first",
    BY_PARENT: "its parent was not filled",
    SELF_TRADE: "self-trade prevented",
    OUT_OF_TIME: "its time is over",
    END_OF_DAY: "the day is over",
    UNFUNDED: "insufficient balance",
}
FAILURES = {
    Failure.UNAVAILABLE: (503, "unavailable"),
    Failure.OVERLOADED: (503, "overloaded"),
    Failure.RATE_LIMITED: (429, "too many requests"),
    Failure.BANNED: (418, "banned"),
    Failure.MAINTENANCE: (503, "maintenance"),
    Failure.REJECTED: (400, "rejected"),
}


class Request(msgspec.Struct):
    """A client's frame: `op` says which fields count."""

    op: str = "order"
    symbols: list[str] = []
    account: str = ""
    client_id: str = ""
    symbol: str = ""
    side: str = ""
    price: str = ""
    qty: str = ""
    tif: str = ""
    deadline_ns: int = 0
    since: int = 0
    kind: str = "limit"
    quote_qty: str = ""
    trigger: str = ""
    stop: str = ""
    offset: str = ""
    display: str = ""
    post_only: bool = False
    slide: bool = False
    stp: str = ""
    expire_ns: int = 0
    group: int = 0
    parent: int = 0
    orders: list["Request"] = []
    ref: int = 0


def read_order(exchange: Exchange, request: Request) -> NewOrder:
    """The order in a request; raises KeyError or UnitError saying what is wrong with it."""
    instrument = exchange.symbols.get(request.symbol)
    if instrument is None:
        raise KeyError(f"no symbol {request.symbol!r}")
    if not request.client_id:
        raise KeyError("client_id must be there")
    for field, known in (
        ("side", SIDES),
        ("kind", KINDS),
        ("tif", TIFS),
        ("trigger", TRIGGERS),
        ("stp", STPS),
    ):
        if getattr(request, field) not in known:
            raise KeyError(f"{field} {getattr(request, field)!r}")
    trigger = TRIGGERS[request.trigger]
    if trigger == NO_TRIGGER and request.stop:
        trigger = STOP
    quote_units = 0
    if request.quote_qty:
        quote_units = parse_decimal(request.quote_qty, instrument.quote_decimals)
    kind = KINDS[request.kind]
    ticks = instrument.price_to_ticks(request.price) if request.price or kind == LIMIT else 0
    lots = instrument.quantity_to_lots(request.qty) if not quote_units else 0
    if (kind == LIMIT and ticks < 1) or (lots < 1 and quote_units < 1):
        raise KeyError("price and qty must be there and above zero")
    return NewOrder(
        instrument.id,
        SIDES[request.side],
        kind,
        lots,
        ticks,
        request.client_id,
        TIFS[request.tif] or (GTC if kind == PEGGED else IOC),
        POST_ONLY * request.post_only | SLIDE * request.slide,
        STPS[request.stp],
        trigger,
        instrument.price_to_ticks(request.stop) if request.stop else 0,
        _offset(instrument, request, trigger),
        instrument.quantity_to_lots(request.display) if request.display else 0,
        request.expire_ns,
        request.group,
        request.parent,
        quote_units,
        request.deadline_ns,
    )


def _offset(instrument: Instrument, request: Request, trigger: int) -> int:
    if not request.offset:
        return 0
    if trigger == TRAIL_BPS:
        return parse_decimal(request.offset, 0)
    return instrument.price_to_ticks(request.offset)


def refusal_words(why: Why) -> str:
    """Why a request was refused."""
    return REFUSALS[why]


def words_of_end(order: Order) -> str:
    """Why an order ended, as far as there is more to say than its state."""
    return "" if order.open or order.status is Status.FILLED else ENDS.get(order.reason, "")
