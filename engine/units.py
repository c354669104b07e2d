"""Decimal strings to integers and back: the only place that converts, and the only one that rounds.

A quantity of `decimals` places is held as an int of its smallest unit. Conversion is exact; what
does not fit the grid is refused unless the caller names the direction to round in.
"""

from enum import Enum
from typing import Final

INT64_MAX: Final = 2**63 - 1


class Round(Enum):
    """Which way a value between two grid points goes; NONE refuses it."""

    NONE = 0
    DOWN = 1
    UP = 2


class UnitError(ValueError):
    """A number that cannot be held.

    UnitError
      + OffGridError  it lies between two points of the grid and no direction was named
      + RangeError    it does not fit a signed 64-bit integer
    """


class OffGridError(UnitError):
    """The value lies between two points of the grid."""


class RangeError(UnitError):
    """The value does not fit a signed 64-bit integer."""


def in_range(value: int) -> int:
    """The value itself; raises RangeError when it does not fit a signed 64-bit integer."""
    if not -INT64_MAX <= value <= INT64_MAX:
        raise RangeError(f"{value} does not fit a signed 64-bit integer")
    return value


def split_decimal(text: str) -> tuple[int, int]:
    """A decimal string as (digits, places): '1.50' is (150, 2), '2e-05' is (2, 5).

    Raises UnitError on anything that is not a finite decimal number.
    """
    mantissa, has_exponent, exponent_text = text.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole.removeprefix("-").removeprefix("+") + fraction
    if not (digits.isascii() and digits.isdigit()):
        raise UnitError(f"{text!r} is not a decimal number")
    try:
        exponent = int(exponent_text) if has_exponent else 0
    except ValueError:
        raise UnitError(f"{text!r} is not a decimal number") from None
    if abs(exponent) > 64 or len(digits) > 64:
        raise RangeError(f"{text[:80]!r} has too many digits")
    value = -int(digits) if whole.startswith("-") else int(digits)
    places = len(fraction) - exponent
    if places < 0:
        return value * 10**-places, 0
    return value, places


def divide(value: int, step: int, rounding: Round, what: str) -> int:
    """value / step as an int, rounded as the caller says; raises OffGridError naming `what`."""
    quotient, rest = divmod(value, step)
    if rest == 0 or rounding is Round.DOWN:
        return quotient
    if rounding is Round.UP:
        return quotient + 1
    raise OffGridError(f"{what} is off the grid")


def parse_decimal(text: str | bytes, decimals: int, rounding: Round = Round.NONE) -> int:
    """'1.50' with 2 decimals is 150. Raises OffGridError, RangeError or UnitError."""
    if isinstance(text, bytes):
        text = text.decode("ascii", "replace")
    digits, places = split_decimal(text)
    if places <= decimals:
        return in_range(digits * 10 ** (decimals - places))
    grid = f"{text} with {decimals} decimals"
    return in_range(divide(digits, 10 ** (places - decimals), rounding, grid))


def parse_limit(text: str, decimals: int) -> int:
    """A limit in units: like `parse_decimal`, but one beyond 64 bits is the largest there is."""
    try:
        return parse_decimal(text, decimals, Round.DOWN)
    except RangeError:
        return INT64_MAX


def format_decimal(value: int, decimals: int) -> str:
    """150 with 2 decimals is '1.50'; always `decimals` places."""
    if decimals == 0:
        return str(value)
    digits = str(abs(value)).rjust(decimals + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-decimals]}.{digits[-decimals:]}"
