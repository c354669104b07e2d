"""What a client of Kraken asks for, read as a ticket: AddOrder's arguments, add_order's parameters.

Not everything that Kraken has is here: orders that start later are refused as one too many, margin as
not open to this account, and fees are always in the quote asset whatever is preferred.
Sources: https://docs.kraken.com/api/docs/rest-api/add-order, /websocket-v2/add_order
"""

import re

from engine.exchange.wires.kraken_forms import Fields, Params, wrong
from engine.exchange.wires.kraken_levels import (
    QUOTE,
    STATIC,
    Level,
    level_of_number,
    level_of_text,
)
from engine.exchange.wires.kraken_tickets import (
    CLOSE_TYPES,
    DEADLINE_NS,
    OFLAGS,
    ORDER_TYPES,
    REFERENCES,
    SELF_TRADES,
    SIDES,
    TIMES,
    TRIGGERS,
    Close,
    Ticket,
)
from engine.exchange.wires.kraken_words import SECOND_NS, KrakenError, Names, Pair, time_of

_CLIENT_ID = re.compile(
    r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|[ -~]{1,18}"
)

# --- REST -----------------------------------------------------------------------------------------


def rest_ticket(fields: Fields, pair: Pair, now_ns: int) -> Ticket:
    """The order in the arguments of AddOrder, or of one of AddOrderBatch. Raises KrakenError."""
    word = fields.choice("ordertype", ORDER_TYPES)
    side = SIDES[fields.choice("type", SIDES)]
    oflags = tuple(flag.strip() for flag in fields.text("oflags").split(",") if flag.strip())
    if not OFLAGS.issuperset(oflags) or {"fcib", "fciq"} <= set(oflags):
        raise wrong("oflags")
    if fields.text("leverage", "none").lower() not in ("none", "", "0"):
        raise KrakenError("EOrder:Cannot open position")
    limit, trigger = _rest_levels(fields, word)
    close = fields.inner("close")
    expire_ns = _rest_time(fields, "expiretm", now_ns)
    tif = fields.choice("timeinforce", TIMES, "GTC")
    if _rest_time(fields, "starttm", now_ns) > now_ns:
        raise KrakenError("EOrder:Scheduled orders limit exceeded")
    return Ticket(
        pair=pair,
        side=side,
        word=word,
        volume=fields.needed("volume"),
        spends="viqc" in oflags,
        limit=limit,
        trigger=trigger,
        trigger_by=fields.choice("trigger", REFERENCES, "last"),
        display=fields.text("displayvol"),
        tif="GTD" if expire_ns and tif == "GTC" else tif,
        expire_ns=expire_ns,
        deadline_ns=deadline(fields.text("deadline"), now_ns),
        post="post" in oflags,
        reduce=fields.flag("reduce_only"),
        stp=fields.choice("stptype", SELF_TRADES, "cancel-newest"),
        userref=userref_of(fields),
        client_id=client_id(fields.text("cl_ord_id"), "userref" in fields),
        oflags=oflags,
        close=None if close is None else _rest_close(close),
    )


def _rest_levels(fields: Fields, word: str) -> tuple[Level | None, Level | None]:
    """Limit and trigger: which of price and price2 is which goes by the order's type."""
    if word in TRIGGERS:
        trigger = level_of_text("price", fields.needed("price"))
        if not word.endswith("-limit"):
            return None, trigger
        return level_of_text("price2", fields.needed("price2")), trigger
    if word in ("limit", "iceberg"):
        return level_of_text("price", fields.needed("price")), None
    return None, None


def _rest_close(fields: Fields) -> Close:
    word = fields.choice("ordertype", CLOSE_TYPES)
    return Close(word, *_rest_levels(fields, word))


def _rest_time(fields: Fields, name: str, now_ns: int) -> int:
    """0, +seconds, or seconds since 1970. Raises KrakenError."""
    text = fields.text(name, "0") or "0"
    whole, _, rest = text.removeprefix("+").partition(".")
    if not (whole.isascii() and whole.isdigit() and len(whole) < 12 and rest.strip("0") == ""):
        raise wrong(name)
    if text.startswith("+"):
        return now_ns + int(whole) * SECOND_NS if int(whole) else 0
    return int(whole) * SECOND_NS


def userref_of(fields: Fields) -> int | None:
    """REST's numeric tag of an order. Raises KrakenError."""
    if not fields.text("userref"):
        return None
    return fields.whole("userref", 0, -(1 << 31), (1 << 31) - 1)


# --- the stream -----------------------------------------------------------------------------------

STREAM_ORDER = frozenset(
    "order_type side order_qty limit_price limit_price_type triggers time_in_force margin post_only "
    "reduce_only effective_time expire_time cl_ord_id order_userref conditional display_qty "
    "fee_preference no_mpp stp_type cash_order_qty sender_sub_id stop_price trigger".split()
)
STREAM_ADD = STREAM_ORDER | frozenset("symbol deadline validate token".split())
_TRIGGER = frozenset("reference price price_type".split())
_CLOSE = frozenset(
    "order_type limit_price limit_price_type trigger_price trigger_price_type stop_price".split()
)


def stream_ticket(params: Params, names: Names, symbol: object, now_ns: int) -> Ticket:
    """The order in the parameters of add_order, or of one of batch_add. Raises KrakenError."""
    word = params.text("order_type")
    if word not in ORDER_TYPES:
        raise wrong("order_type")
    if params.text("side") not in SIDES:
        raise wrong("side")
    if params.flag("margin"):
        raise KrakenError("EOrder:Cannot open position")
    if time_of(params.text("effective_time") or "1970-01-01T00:00:00Z") > now_ns:
        raise KrakenError("EOrder:Scheduled orders limit exceeded")
    tif, stp = params.text("time_in_force", "gtc").upper(), params.text("stp_type", "cancel_newest")
    expire_ns = 0
    if "expire_time" in params:
        expire_ns = time_of(params.text("expire_time")) or 1
    stp = stp.replace("_", "-")
    if tif not in TIMES or stp not in SELF_TRADES:
        raise wrong("time_in_force" if tif not in TIMES else "stp_type")
    spends = "cash_order_qty" in params
    limit, trigger, trigger_by = _stream_levels(params, word)
    preference = params.text("fee_preference")
    if preference not in ("", "base", "quote"):
        raise wrong("fee_preference")
    fee = {"base": ("fcib",), "quote": ("fciq",), "": ()}[preference]
    close = params.inner("conditional", "add_order", _CLOSE)
    post = params.flag("post_only")
    params.flag("no_mpp")
    oflags = (("post",) if post else ()) + fee + (("viqc",) if spends else ())
    return Ticket(
        pair=names.symbol(symbol),
        side=SIDES[params.text("side")],
        word=word,
        volume=params.number("cash_order_qty" if spends else "order_qty"),
        spends=spends,
        limit=limit,
        trigger=trigger,
        trigger_by=trigger_by,
        display=params.number("display_qty"),
        tif="GTD" if expire_ns and tif == "GTC" else tif,
        expire_ns=expire_ns,
        post=post,
        reduce=params.flag("reduce_only"),
        stp=stp,
        userref=params.whole("order_userref", 0) if "order_userref" in params else None,
        client_id=client_id(params.text("cl_ord_id"), "order_userref" in params),
        oflags=oflags,
        close=None if close is None else _stream_close(close),
    )


def _stream_levels(params: Params, word: str) -> tuple[Level | None, Level | None, str]:
    limit = trigger = None
    trigger_by = "last"
    if word.endswith("limit") or word == "iceberg":
        default = QUOTE if word == "trailing-stop-limit" else STATIC
        unit = params.text("limit_price_type", default)
        limit = level_of_number("price", params.number("limit_price"), unit)
    if word in TRIGGERS:
        inner = params.inner("triggers", "add_order", _TRIGGER)
        if inner is None:
            trigger = level_of_number("price", params.number("stop_price"), STATIC)
            trigger_by = params.text("trigger", "last")
        else:
            unit = inner.text("price_type", STATIC)
            trigger = level_of_number("price", inner.number("price"), unit)
            trigger_by = inner.text("reference", "last")
    if trigger_by not in REFERENCES:
        raise wrong("trigger")
    return limit, trigger, trigger_by


def _stream_close(params: Params) -> Close:
    word = params.text("order_type")
    if word not in CLOSE_TYPES:
        raise wrong("close[ordertype]")
    limit = trigger = None
    if word.endswith("limit"):
        default = QUOTE if word == "trailing-stop-limit" else STATIC
        unit = params.text("limit_price_type", default)
        limit = level_of_number("close[price]", params.number("limit_price"), unit)
    if word in TRIGGERS:
        name = "trigger_price" if "trigger_price" in params else "stop_price"
        unit = params.text("trigger_price_type", STATIC)
        trigger = level_of_number("close[price]", params.number(name), unit)
    return Close(word, limit, trigger)


# --- both -----------------------------------------------------------------------------------------


def client_id(text: str, tagged: bool) -> str:
    """A client's own id of an order, which goes with no numeric tag. Raises KrakenError."""
    if text and (tagged or _CLIENT_ID.fullmatch(text) is None):
        raise wrong("cl_ord_id")
    return text


def deadline(text: str, now_ns: int) -> int:
    """Until when an order may be matched, at most a minute from now; 0 for no deadline."""
    if not text:
        return 0
    until_ns = time_of(text)
    if not until_ns or until_ns > now_ns + DEADLINE_NS:
        raise wrong("deadline")
    return until_ns
