"""Decimal strings and integers: exact both ways, rounded only where the caller says."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.units import (
    INT64_MAX,
    OffGridError,
    RangeError,
    Round,
    UnitError,
    format_decimal,
    parse_decimal,
    parse_limit,
    split_decimal,
)


@given(st.integers(-INT64_MAX, INT64_MAX), st.integers(0, 18))
def test_there_and_back(value: int, decimals: int) -> None:
    """Every integer survives as a string."""
    assert parse_decimal(format_decimal(value, decimals), decimals) == value


@given(st.decimals(-(10**6), 10**6, places=10, allow_nan=False), st.integers(0, 8))
def test_rounding_goes_where_it_is_told(number: Decimal, decimals: int) -> None:
    """DOWN never exceeds, UP never falls short, both within one step; NONE refuses."""
    text, scaled = f"{number:f}", number.scaleb(decimals)
    down = parse_decimal(text, decimals, Round.DOWN)
    up = parse_decimal(text, decimals, Round.UP)
    assert down <= scaled <= up
    assert up - down == (0 if scaled == int(scaled) else 1)
    if down == up:
        assert parse_decimal(text, decimals) == down
    else:
        with pytest.raises(OffGridError, match="off the grid"):
            parse_decimal(text, decimals)


@pytest.mark.parametrize("text", ["", ".", "1.2.3", "abc", "1e", "--1", "1,5", "nan", "inf", "²"])
def test_refuses_what_is_no_number(text: str) -> None:
    """One named error, with the text in it."""
    with pytest.raises(UnitError):
        parse_decimal(text, 2)


def test_exponents_and_signs_are_numbers() -> None:
    """What ccxt and venues write."""
    assert split_decimal("2e-05") == (2, 5)
    assert parse_decimal("1E3", 0) == 1000
    assert parse_decimal("-0.5", 1) == -5
    assert parse_decimal(b"+2.50", 2) == 250


def test_overflow_raises_and_limits_saturate() -> None:
    """A value beyond 64 bits is an error; a limit beyond them is no limit."""
    with pytest.raises(RangeError, match="64-bit"):
        parse_decimal("1e19", 0)
    with pytest.raises(RangeError):
        parse_decimal("1e999", 0)
    assert parse_limit("10000", 16) == INT64_MAX
    assert parse_limit("1.29", 1) == 12
