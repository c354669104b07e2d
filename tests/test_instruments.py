"""Instruments: exact grids, fees rounded up, and refusals that name the instrument."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.instruments import Instrument, InstrumentError, Instruments, from_ccxt
from engine.units import OffGridError, RangeError, Round

BTC = Instrument(
    0, 0, "BTC/USDT", "BTC", "USDT", "0.05", "0.00001", 8, 8, notional_min="10", taker_fee="0.0004"
)


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_prices_and_quantities_there_and_back(ticks: int, lots: int) -> None:
    """A tick size of 5 in the last place is as exact as one of 1."""
    assert BTC.price_to_ticks(BTC.ticks_to_price(ticks)) == ticks
    assert BTC.quantity_to_lots(BTC.lots_to_quantity(lots)) == lots


@given(st.integers(1, 10**7), st.integers(1, 10**7))
def test_notional_and_fee_are_exact(ticks: int, lots: int) -> None:
    """Price times quantity in quote units; the fee at least its rate, by less than a unit."""
    exact = Decimal(BTC.ticks_to_price(ticks)) * Decimal(BTC.lots_to_quantity(lots))
    notional = BTC.notional(ticks, lots)
    assert Decimal(notional).scaleb(-8) == exact
    fee = BTC.fee(ticks, lots, BTC.taker_fee_ppm)
    assert 0 <= fee - Decimal(notional) * Decimal("0.0004") < 1


def test_off_grid_is_refused_or_rounded_as_told() -> None:
    """The error names the instrument and the number."""
    with pytest.raises(OffGridError, match=r"BTC/USDT: price 100\.07"):
        BTC.price_to_ticks("100.07")
    assert BTC.price_to_ticks("100.07", Round.DOWN) == 2001
    assert BTC.price_to_ticks("100.07", Round.UP) == 2002
    assert BTC.price_to_ticks("100.0500000") == 2001


def test_overflow_raises() -> None:
    """A notional beyond 64 bits is an error, never a wrapped number."""
    with pytest.raises(RangeError):
        BTC.notional(10**12, 10**12)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tick_size": "0"}, "above zero"),
        ({"tick_size": "x"}, "not a decimal number"),
        ({"lot_size": "0.000000001"}, "finer than BTC"),
        ({"tick_size": "0.0000001"}, "finer than USDT"),
        ({"taker_fee": "1.5"}, "below 1"),
        ({"lots_min": 0}, "lots_min"),
        ({"ticks_min": 9, "ticks_max": 8}, "ticks_min"),
        ({"notional_min": "-1"}, "not negative"),
    ],
)
def test_impossible_instruments_are_refused(changes: dict[str, object], says: str) -> None:
    """At construction, by name."""
    with pytest.raises(InstrumentError, match=f"BTC/USDT: .*{says}"):
        msgspec.structs.replace(BTC, **changes)


def test_the_table_finds_and_refuses() -> None:
    """Ids are places; a symbol of another venue is found; doubles and unknowns are named."""
    other = msgspec.structs.replace(BTC, id=1, venue=1)
    table = Instruments([BTC, other], ["alpha", "beta"])
    assert table.same_symbol(0) == (1,)
    assert table.find(1, "BTC/USDT") is other
    with pytest.raises(KeyError, match="alpha has no 'X/Y'; it has BTC/USDT"):
        table.find(0, "X/Y")
    with pytest.raises(InstrumentError, match="twice"):
        Instruments([BTC, msgspec.structs.replace(BTC, id=1)], ["alpha"])
    with pytest.raises(InstrumentError, match="decimals"):
        Instruments([BTC, msgspec.structs.replace(other, base_decimals=9)], ["alpha", "beta"])


MARKET = {
    "base": "BTC",
    "quote": "USDT",
    "precision": {"price": 0.01, "amount": 1e-05},
    "limits": {
        "amount": {"min": 1e-05, "max": 9000.0},
        "price": {"min": 0.01, "max": 1000000.0},
        "cost": {"min": 5.0, "max": None},
    },
    "maker": 0.001,
    "taker": 0.001,
}


def test_reads_a_ccxt_market() -> None:
    """Floats of ccxt become the exact grid they mean."""
    (found,) = from_ccxt({"BTC/USDT": MARKET}, 3, 7, ["BTC/USDT"], {"BTC": 8, "USDT": 8})
    assert (found.id, found.venue, found.tick_size, found.lot_size) == (7, 3, "0.01", "1e-05")
    assert found.quantity_to_lots("0.00001") == 1
    assert (found.lots_min, found.lots_max, found.ticks_max) == (1, 900_000_000, 100_000_000)
    assert found.taker_fee_ppm == 1000
    assert found.notional_min_units == 5 * 10**8


def test_a_ccxt_market_without_a_field_is_named() -> None:
    """A market that is missing or incomplete says which."""
    with pytest.raises(InstrumentError, match="ETH/USDT: not in the markets"):
        from_ccxt({}, 0, 0, ["ETH/USDT"], {})
    with pytest.raises(InstrumentError, match="BTC/USDT: the market lacks 'precision'"):
        from_ccxt({"BTC/USDT": {"base": "BTC"}}, 0, 0, ["BTC/USDT"], {})
