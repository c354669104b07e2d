"""Prices as clients of Kraken write them: plain ones, and distances from another price.

"37500" is a price; "+25", "-2%" and "#3%" are distances from the last trade's, where # stands for the
side that suits the order. A trailing stop's distance is from the best price since, and the limit of a
trailing-stop-limit is a distance from its trigger.
Source: https://docs.kraken.com/api/docs/rest-api/add-order (price, price2)
"""

import re
from typing import NamedTuple

from engine.exchange.wires.kraken_forms import wrong
from engine.exchange.wires.kraken_words import KrakenError, Pair
from engine.messages import BUY, SELL
from engine.units import RangeError, UnitError, format_decimal, parse_decimal, split_decimal

STATIC, QUOTE, PCT = "static", "quote", "pct"
UNITS = (STATIC, QUOTE, PCT)
_TEXT = re.compile(r"([+#-]?)([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(%?)")
_NUMBER = re.compile(r"(-?)([0-9]+(?:\.[0-9]*)?)")
PCT_PLACES = 4
WHOLE_PCT = 1_000_000


class Level(NamedTuple):
    """A price as asked for; `field` is the argument it came in, `sign` is '' of a static one."""

    field: str
    unit: str
    sign: str
    digits: str


def level_of_text(field: str, text: str) -> Level:
    """A price of REST. Raises KrakenError."""
    found = _TEXT.fullmatch(text)
    if found is None or (found[3] and not found[1]):
        raise wrong(field)
    unit = PCT if found[3] else QUOTE if found[1] else STATIC
    return Level(field, unit, found[1], _tidy(found[2]))


def level_of_number(field: str, text: str, unit: str) -> Level:
    """A price of the stream, with its type beside it. Raises KrakenError."""
    found = _NUMBER.fullmatch(text)
    if found is None or unit not in UNITS or (unit == STATIC and found[1]):
        raise wrong(field)
    return Level(field, unit, "" if unit == STATIC else found[1] or "+", _tidy(found[2]))


def _tidy(digits: str) -> str:
    """A decimal as JSON would have it: no zeros in front, digits on both sides of a point."""
    whole, point, part = digits.partition(".")
    return (whole.lstrip("0") or "0") + (f".{part}" if point and part else "")


def ticks_of(pair: Pair, level: Level) -> int:
    """The price of a static level, the distance of one in quote. Raises KrakenError."""
    try:
        digits, places = split_decimal(level.digits)
        while places > pair.price_places and digits % 10 == 0:
            digits, places = digits // 10, places - 1
        if places > pair.price_places:
            raise KrakenError(
                f"EOrder:Invalid price:{pair.alt} price can only be specified up to "
                f"{pair.price_places} decimals."
            )
        ticks = pair.instrument.price_to_ticks(level.digits)
    except RangeError:
        raise KrakenError("EOrder:Invalid price") from None
    except UnitError:
        raise KrakenError("EOrder:Tick size check failed") from None
    if ticks <= 0:
        raise wrong(level.field)
    return ticks


def distance(pair: Pair, level: Level, reference: int) -> int:
    """How many ticks a relative level is away from a reference. Raises KrakenError."""
    if level.unit == QUOTE:
        return 0 if not level.digits.strip("0.") else ticks_of(pair, level)
    try:
        share = parse_decimal(level.digits, PCT_PLACES)
    except UnitError:
        raise wrong(level.field) from None
    return reference * share // WHOLE_PCT


def price_at(pair: Pair, level: Level, reference: int, suits: int) -> int:
    """The price of a level in ticks; a relative one is counted from the reference.

    `suits` is 1 where # means above the reference, -1 where below. Raises KrakenError.
    """
    if level.unit == STATIC:
        return ticks_of(pair, level)
    if not reference:
        raise KrakenError("EOrder:Invalid price")  # nothing was traded yet
    up = {"+": 1, "-": -1, "#": suits}[level.sign]
    ticks = reference + up * distance(pair, level, reference)
    if ticks <= 0:
        raise KrakenError("EOrder:Invalid price")
    return ticks


def basis_points(level: Level) -> int:
    """A trailing stop's percentage in basis points, which is as fine as it may be. Raises KrakenError."""
    try:
        points = parse_decimal(level.digits, 2)
    except UnitError:
        raise wrong(level.field) from None
    if not 0 < points < 10_000:
        raise wrong(level.field)
    return points


def shown(pair: Pair, level: Level | None) -> str:
    """A level as Kraken repeats it: 37500.0, +25.0, +2.0000%; 0 for none."""
    if level is None:
        return "0"
    if level.unit == PCT:
        share = parse_decimal(level.digits, PCT_PLACES)
        return f"{level.sign}{format_decimal(share, PCT_PLACES)}%"
    ticks = distance(pair, level, 0) if level.sign else ticks_of(pair, level)
    return level.sign + pair.instrument.ticks_to_price(ticks)


def suits(word: str, side: int, secondary: bool) -> int:
    """Where # of an order's price lies: stops behind the market, limits and takers of profit before."""
    behind = word.startswith(("stop-loss", "trailing")) and not secondary
    return side if behind else -side


def trail_mark(last: int, side: int, offset: int, in_points: bool) -> int:
    """Where a trailing stop that follows from `last` would be triggered; at least 1."""
    away = last * offset // 10_000 if in_points else offset
    return max(1, last - away if side == SELL else last + away)


def opposite(side: int) -> int:
    """The side that closes what a side opened."""
    return SELL if side == BUY else BUY
