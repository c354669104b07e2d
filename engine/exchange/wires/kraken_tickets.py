"""An order as a client of Kraken asks for it, and the same as the venue's.

`kraken_asking.py` reads it out of REST's words or the stream's.
"""

import msgspec

from engine.exchange.orders import NewOrder
from engine.exchange.wires.kraken_forms import wrong
from engine.exchange.wires.kraken_levels import (
    PCT,
    STATIC,
    Level,
    basis_points,
    distance,
    price_at,
    suits,
    ticks_of,
    trail_mark,
)
from engine.exchange.wires.kraken_words import (
    DAY_NS,
    SECOND_NS,
    KrakenError,
    Pair,
)
from engine.messages import BUY, SELL
from engine.units import UnitError, parse_decimal
from ext.matching import (
    FOK,
    GTC,
    GTD,
    IOC,
    LIMIT,
    MARKET,
    NO_TRIGGER,
    POST_ONLY,
    REDUCE_ONLY,
    STOP,
    STP_BOTH,
    STP_NEWEST,
    STP_OLDEST,
    TAKE_PROFIT,
    TRAIL_BPS,
    TRAIL_TICKS,
)

SIDES = {"buy": BUY, "sell": SELL}
TRIGGERS = {
    "stop-loss": STOP,
    "stop-loss-limit": STOP,
    "take-profit": TAKE_PROFIT,
    "take-profit-limit": TAKE_PROFIT,
    "trailing-stop": TRAIL_TICKS,
    "trailing-stop-limit": TRAIL_TICKS,
}
ORDER_TYPES = frozenset({"market", "limit", "iceberg", "settle-position", *TRIGGERS})
CLOSE_TYPES = frozenset({"limit", *TRIGGERS})
TIMES = {"GTC": GTC, "IOC": IOC, "GTD": GTD, "FOK": FOK}
SELF_TRADES = {"cancel-newest": STP_NEWEST, "cancel-oldest": STP_OLDEST, "cancel-both": STP_BOTH}
OFLAGS = frozenset({"post", "fcib", "fciq", "nompp", "viqc"})
REFERENCES = ("last", "index")
"""The simulated exchange has no index: both are the last trade's price."""
DEADLINE_NS = 60 * SECOND_NS
EXPIRE_NS = 31 * DAY_NS
SHOWN_PART = 15


class Close(msgspec.Struct, frozen=True):
    """What each fill of an order brings into the market: an order of the other side, so big."""

    word: str
    limit: Level | None
    trigger: Level | None


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """An order, read but not yet looked at; `spends` is a volume in the quote asset."""

    pair: Pair
    side: int
    word: str
    volume: str
    spends: bool = False
    limit: Level | None = None
    trigger: Level | None = None
    trigger_by: str = "last"
    display: str = ""
    tif: str = "GTC"
    expire_ns: int = 0
    deadline_ns: int = 0
    post: bool = False
    reduce: bool = False
    stp: str = "cancel-newest"
    userref: int | None = None
    client_id: str = ""
    oflags: tuple[str, ...] = ()
    close: Close | None = None


def lots_of(pair: Pair, field: str, text: str) -> int:
    """A volume in lots, at least one. Raises KrakenError."""
    try:
        lots = pair.instrument.quantity_to_lots(text)
    except UnitError:
        raise wrong(field) from None
    if not 0 < lots <= pair.instrument.lots_max:
        raise wrong(field)
    return lots


def new_order(ticket: Ticket, last: int, now_ns: int) -> NewOrder:
    """What the venue is asked for; `last` is the last trade's price. Raises KrakenError."""
    pair = ticket.pair
    if ticket.word == "settle-position":
        raise KrakenError("EOrder:Unknown position")
    lots, quote_units = _amount(ticket)
    trigger, trigger_ticks, offset = _trigger(ticket, last)
    ticks = limit_ticks(ticket, last)
    limited = ticks > 0
    tif = TIMES[ticket.tif]
    if tif == GTD and not now_ns < ticket.expire_ns <= now_ns + EXPIRE_NS:
        raise wrong("expiretm")
    if not limited and tif == GTD and trigger == NO_TRIGGER:
        tif = GTC
    if ticket.post and (not limited or tif in (IOC, FOK)):
        raise wrong("oflags")
    display = 0
    if ticket.word == "iceberg":
        display = lots_of(pair, "displayvol", ticket.display)
        if display * SHOWN_PART < lots or tif in (IOC, FOK):
            raise wrong("displayvol")
    elif ticket.display:
        raise wrong("displayvol")
    return NewOrder(
        instrument=pair.instrument.id,
        side=ticket.side,
        kind=LIMIT if limited else MARKET,
        lots=lots,
        ticks=ticks,
        client_id=ticket.client_id,
        tif=tif,
        flags=(POST_ONLY if ticket.post else 0) | (REDUCE_ONLY if ticket.reduce else 0),
        stp=SELF_TRADES[ticket.stp],
        trigger=trigger,
        trigger_ticks=trigger_ticks,
        offset=offset,
        display=min(display, lots),
        expire_ns=ticket.expire_ns if tif == GTD else 0,
        quote_units=quote_units,
        deadline_ns=ticket.deadline_ns,
    )


def _amount(ticket: Ticket) -> tuple[int, int]:
    """Lots, or units of the quote asset."""
    pair = ticket.pair
    if not ticket.spends:
        lots = lots_of(pair, "volume", ticket.volume)
        if lots < pair.instrument.lots_min:
            raise KrakenError("EOrder:Order minimum not met")
        return lots, 0
    if ticket.word != "market" or ticket.side != BUY:
        raise wrong("viqc")
    try:
        units = parse_decimal(ticket.volume, pair.instrument.quote_decimals)
    except UnitError:
        raise wrong("volume") from None
    if units <= 0:
        raise wrong("volume")
    return 0, units


def _trigger(ticket: Ticket, last: int) -> tuple[int, int, int]:
    """The kernel's trigger, its price and its offset."""
    level = ticket.trigger
    if level is None:
        return NO_TRIGGER, 0, 0
    if not ticket.word.startswith("trailing"):
        at = price_at(ticket.pair, level, last, suits(ticket.word, ticket.side, False))
        return TRIGGERS[ticket.word], at, 0
    if level.sign != "+":
        raise wrong(level.field)
    if level.unit == PCT:
        return TRAIL_BPS, 0, basis_points(level)
    return TRAIL_TICKS, 0, ticks_of(ticket.pair, level)


def limit_ticks(ticket: Ticket, last: int) -> int:
    """The limit in ticks, 0 for none; a trailing one as it would be if it began to follow now."""
    level = ticket.limit
    if level is None:
        return 0
    if ticket.word == "trailing-stop-limit" and level.unit != STATIC:
        if not last:
            raise KrakenError("EOrder:Invalid price")
        trigger, _, offset = _trigger(ticket, last)
        mark = trail_mark(last, ticket.side, offset, trigger == TRAIL_BPS)
        return max(1, mark + (-1 if level.sign == "-" else 1) * distance(ticket.pair, level, mark))
    return price_at(
        ticket.pair, level, last, suits(ticket.word, ticket.side, ticket.word != "limit")
    )
