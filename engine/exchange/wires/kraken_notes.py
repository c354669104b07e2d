"""What Kraken says of an order that the venue itself does not keep: its type's name, tags and flags.

An order that came another way than over this wire has no note; one is made of what the venue knows.
"""

import msgspec

from engine.exchange.orders import NewOrder, Order, Status
from engine.exchange.wires.kraken_levels import QUOTE, Level, shown
from engine.exchange.wires.kraken_tickets import TRIGGERS, Close, Ticket
from engine.exchange.wires.kraken_words import Pair
from engine.messages import BUY
from engine.units import format_decimal
from ext.matching import (
    BY_CLIENT,
    BY_GROUP,
    BY_MASS,
    BY_PARENT,
    FOK,
    GTC,
    GTD,
    IOC,
    LIMIT,
    NO_LIQUIDITY,
    NOT_FILLABLE,
    NOT_FILLED,
    OUT_OF_TIME,
    POST_ONLY,
    REDUCE,
    SELF_TRADE,
    STOP,
    TAKE_PROFIT,
    TRAIL_BPS,
    TRAIL_TICKS,
    WOULD_TAKE,
)

TIME_WORDS = {GTC: "GTC", IOC: "IOC", GTD: "GTD", FOK: "FOK"}
_KINDS = {STOP: "stop-loss", TAKE_PROFIT: "take-profit"} | dict.fromkeys(
    (TRAIL_TICKS, TRAIL_BPS), "trailing-stop"
)
_REASONS = {
    BY_CLIENT: "User requested",
    BY_MASS: "User requested",
    BY_GROUP: "Other order of the group",
    BY_PARENT: "Primary order canceled",
    NOT_FILLED: "Immediate or cancel",
    NOT_FILLABLE: "Fill or kill",
    NO_LIQUIDITY: "Insufficient liquidity",
    OUT_OF_TIME: "Order expired",
    REDUCE: "Reduce only",
    SELF_TRADE: "Self trade prevention",
    WOULD_TAKE: "Post only order",
}
_ENDED = {
    Status.FILLED: "closed",
    Status.CANCELLED: "canceled",
    Status.EXPIRED: "expired",
    Status.REJECTED: "canceled",
}


class Note(msgspec.Struct):
    """Beside an order: `price` and `price2` as they are shown, `follow` a limit that trails.

    `cause` is the order whose fill brought this one, 0 for none; `amended` says that it was changed,
    `since_ns` when it was placed or changed last, and `mark` is the best price its limit has followed.
    """

    word: str
    price: str = "0"
    price2: str = "0"
    limit: Level | None = None
    trigger: Level | None = None
    trigger_by: str = "last"
    userref: int | None = None
    oflags: tuple[str, ...] = ()
    spends: str = ""
    follow: Level | None = None
    close: Close | None = None
    cause: int = 0
    amended: bool = False
    since_ns: int = 0
    mark: int = 0


def note_of_ticket(ticket: Ticket, new: NewOrder) -> Note:
    """The note of an order that was asked for over this wire."""
    pair = ticket.pair
    first, second = ticket.limit, None
    if ticket.trigger is not None:
        first, second = ticket.trigger, ticket.limit
    follows = ticket.word == "trailing-stop-limit" and ticket.limit is not None
    return Note(
        word=ticket.word,
        price=shown(pair, first),
        price2=shown(pair, second),
        limit=ticket.limit,
        trigger=ticket.trigger,
        trigger_by=ticket.trigger_by,
        userref=ticket.userref,
        oflags=ticket.oflags,
        spends=_spent(pair, new) if ticket.spends else "",
        follow=ticket.limit if follows and ticket.limit and ticket.limit.sign else None,
        close=ticket.close,
    )


def note_of_order(pair: Pair, order: Order) -> Note:
    """The note of an order that came over another wire."""
    new = order.request
    limited = new.kind == LIMIT
    limit = _static(pair, order.ticks) if limited else None
    flags = ("post",) if new.flags & POST_ONLY else ()
    if new.trigger not in _KINDS:
        word = "iceberg" if new.display else "limit" if limited else "market"
        return Note(
            word=word,
            price=shown(pair, limit),
            limit=limit,
            oflags=flags,
            spends=_spent(pair, new) if new.quote_units else "",
        )
    trigger = _trigger(pair, new)
    return Note(
        word=_KINDS[new.trigger] + ("-limit" if limited else ""),
        price=shown(pair, trigger),
        price2=shown(pair, limit),
        limit=limit,
        trigger=trigger,
        oflags=flags,
    )


def _spent(pair: Pair, new: NewOrder) -> str:
    return format_decimal(new.quote_units, pair.instrument.quote_decimals)


def _static(pair: Pair, ticks: int) -> Level:
    return Level("price", "static", "", pair.instrument.ticks_to_price(ticks))


def _trigger(pair: Pair, new: NewOrder) -> Level:
    if new.trigger == TRAIL_BPS:
        return Level("price", "pct", "+", format_decimal(new.offset, 2))
    if new.trigger == TRAIL_TICKS:
        return Level("price", QUOTE, "+", pair.instrument.ticks_to_price(new.offset))
    return _static(pair, new.trigger_ticks)


def with_price(pair: Pair, note: Note, ticks: int) -> None:
    """The order has another limit price now."""
    note.limit = _static(pair, ticks)
    text = pair.instrument.ticks_to_price(ticks)
    if note.trigger is None:
        note.price = text
    else:
        note.price2 = text


# --- what is said ---------------------------------------------------------------------------------


def sentence(word: str, price: str, price2: str) -> str:
    """An order's type and prices: "limit 330.0", "stop loss 90.0 -> limit 89.0"."""
    if word == "market":
        return "market"
    if word not in TRIGGERS:
        return f"limit {price}"
    name = word.removesuffix("-limit").replace("-", " ")
    return f"{name} {price}" + (f" -> limit {price2}" if word.endswith("-limit") else "")


def closing(pair: Pair, close: Close | None) -> str:
    """What is said of the orders that fills will bring; '' when they bring none."""
    if close is None:
        return ""
    first, second = (close.trigger, close.limit) if close.trigger else (close.limit, None)
    return "close position @ " + sentence(close.word, shown(pair, first), shown(pair, second))


def description(pair: Pair, note: Note, side: int, volume: str) -> str:
    """One line: "buy 0.02100000 ETHUSDT @ limit 330.00"."""
    what = sentence(note.word, note.price, note.price2)
    return f"{'buy' if side == BUY else 'sell'} {volume} {pair.alt} @ {what}"


def volume(pair: Pair, note: Note, order: Order) -> str:
    """An order's volume; in the quote asset where it was asked for so."""
    return note.spends or pair.instrument.lots_to_quantity(order.lots)


def reason(order: Order) -> str | None:
    """Why an order ended other than by being filled."""
    return None if order.open else _REASONS.get(order.reason)


def oflags(note: Note) -> str:
    """The flags, with the one for the fee's asset; the quote asset's if none was given."""
    flags = [flag for flag in note.oflags if flag not in ("fcib", "fciq", "nompp")]
    fee = "fcib" if "fcib" in note.oflags else "fciq"
    return ",".join([*flags, fee])


def ended(status: Status) -> str:
    """REST's word of a final status."""
    return _ENDED[status]
