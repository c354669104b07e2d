"""The pricing kernel: one suite for it and its twin, and the twin's brute force as its judge."""

import math
import struct
from array import array
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext import pricing
from ext.book import ASK, BID, Book
from tests.twins import pricing as twin

INT64_MAX = (1 << 63) - 1
Levels = list[tuple[int, int]]
SIZES = (0.5, 0.125, 0.25, 0.25)  # of tick and lot on both books; binary, so floats are exact
FREE = (0.0, 0.0)


@pytest.fixture(params=[pricing, twin], ids=["kernel", "twin"])
def price(request: pytest.FixtureRequest) -> ModuleType:
    """The module under test."""
    module: ModuleType = request.param
    return module


def pack(levels: Levels) -> bytes:
    """Levels in the layout of `top_bytes`."""
    return struct.pack(f"<{2 * len(levels)}q", *(number for level in levels for number in level))


def depth(bids: Levels, asks: Levels, levels: int) -> bytes:
    """A whole depth, padded."""
    return b"".join(pack(side + [(0, 0)] * (levels - len(side))) for side in (bids, asks))


def test_sweep_takes_the_best_first(price: ModuleType) -> None:
    """Whole levels, then a part of the last one; what is not there is not filled."""
    asks = pack([(100, 5), (101, 5), (0, 0)])
    assert price.sweep(asks, 0) == (0, 0)
    assert price.sweep(asks, 5) == (5, 500)
    assert price.sweep(asks, 7) == (7, 702)
    assert price.sweep(asks, 99) == (10, 1005)
    assert price.sweep(b"", 99) == (0, 0)


def test_sweep_reads_a_books_own_bytes(price: ModuleType) -> None:
    """The asks half of `top_bytes` is one side's levels."""
    book = Book()
    book.change(BID, 99, 7)
    book.change(ASK, 101, 3)
    book.change(ASK, 102, 3)
    assert price.sweep(book.top_bytes(4)[64:], 4) == (4, 3 * 101 + 102)


@pytest.mark.parametrize(
    "of",
    [
        bytes,
        bytearray,
        memoryview,
        lambda raw: array("q", raw),
        lambda raw: np.frombuffer(raw, dtype=np.int64),
    ],
)
def test_any_flat_buffer_is_read(price: ModuleType, of: Any) -> None:
    """bytes, byte buffers and int64 buffers give the same answer."""
    assert price.sweep(of(pack([(100, 5), (101, 5)])), 7) == (7, 702)


def test_sweep_refuses_what_cannot_be(price: ModuleType) -> None:
    """Torn or foreign bytes, bad levels and negative lots are a ValueError, never a number."""
    for levels, lots in (
        (bytes(15), 1),
        (pack([(100, -1)]), 1),
        (pack([(0, 1)]), 1),
        (pack([(-5, 1)]), 1),
        (pack([(100, 1)]), -1),
        (np.array([100.0, 1.0]), 1),
    ):
        with pytest.raises(ValueError, match=r"."):
            price.sweep(levels, lots)


def test_sweep_beyond_64_bits_raises(price: ModuleType) -> None:
    """A cost that int64 cannot hold is an OverflowError, in one level or in the sum."""
    assert price.sweep(pack([(INT64_MAX, 1)]), 5) == (1, INT64_MAX)
    for levels in ([(INT64_MAX, 2)], [(INT64_MAX, 1), (INT64_MAX, 1)]):
        with pytest.raises(OverflowError):
            price.sweep(pack(levels), 5)


def test_vwap_is_cost_by_quantity(price: ModuleType) -> None:
    """The average price of a sweep, and nan where nothing is filled."""
    assert price.vwap(pack([(100, 1), (103, 2)]), 3) == 102.0
    assert math.isnan(price.vwap(pack([(0, 0)]), 3))
    assert math.isnan(price.vwap(pack([(100, 1)]), 0))


def test_microprice_leans_to_the_thin_side(price: ModuleType) -> None:
    """With three times the bids the price stands three quarters of the way to the ask."""
    assert price.microprice(100, 30, 104, 10) == 103.0
    assert price.microprice(100, 10, 104, 10) == 102.0
    assert math.isnan(price.microprice(0, 0, 104, 10))
    assert math.isnan(price.microprice(100, 10, 0, 0))


def test_imbalance_runs_from_minus_one_to_one(price: ModuleType) -> None:
    """Only asks is -1, only bids is 1, and only the best n count."""
    assert price.imbalance(depth([], [(101, 5)], 2), 2, 2) == -1.0
    assert price.imbalance(depth([(100, 5)], [], 2), 2, 2) == 1.0
    assert price.imbalance(depth([], [], 2), 2, 2) == 0.0
    both = depth([(100, 3), (99, 100)], [(101, 1)], 2)
    assert price.imbalance(both, 2, 1) == 0.5
    assert price.imbalance(both, 2, 9) == pytest.approx(102 / 104)
    for bad in ((both, 3, 1), (both, 0, 1), (both, 2, 0), (depth([(9, -1)], [], 1), 1, 1)):
        with pytest.raises(ValueError, match=r"."):
            price.imbalance(*bad)


def test_cross_takes_every_unit_that_pays(price: ModuleType) -> None:
    """Buy 30 at 101 and 102, sell 30 at 105 and 103; the third pair of levels would lose."""
    buy = depth([], [(101, 10), (102, 20), (104, 50)], 3)
    sell = depth([(105, 15), (103, 15), (100, 9)], [], 3)
    quantity, buy_limit, sell_limit, profit = price.cross(
        buy, sell, 3, 3, 1.0, 1.0, 1.0, 1.0, *FREE, 1.0, math.inf
    )
    assert (quantity, buy_limit, sell_limit) == (30.0, 102, 103)
    assert profit == 15 * 105 + 15 * 103 - 10 * 101 - 20 * 102


def test_cross_pays_both_fees(price: ModuleType) -> None:
    """A gap of 1 % with fees of 0.4 % and 0.5 % leaves 0.1 % of it, and 0.6 % leaves nothing."""
    buy, sell = depth([], [(10_000, 5)], 1), depth([(10_100, 5)], [], 1)
    sizes = (1, 1, 0.01, 1.0, 0.01, 1.0)
    quantity, _, _, profit = price.cross(buy, sell, *sizes, 0.004, 0.005, 1.0, 100.0)
    assert quantity == 5.0
    assert profit == pytest.approx(5 * (101 * 0.995 - 100 * 1.004))
    assert price.cross(buy, sell, *sizes, 0.006, 0.005, 1.0, 100.0) == (0.0, 0, 0, 0.0)


def test_cross_floors_to_the_step_and_prices_that(price: ModuleType) -> None:
    """What is returned is what is traded: 0.7 floors to 0.5, and the deeper level is not reached."""
    buy = depth([], [(100, 5), (101, 2)], 2)
    sell = depth([(110, 700)], [], 2)
    result = price.cross(buy, sell, 2, 2, 1.0, 0.1, 1.0, 0.001, *FREE, 0.5, math.inf)
    assert result == pytest.approx((0.5, 100, 110, 5.0))
    assert price.cross(buy, sell, 2, 2, 1.0, 0.1, 1.0, 0.001, *FREE, 0.8, 9.0) == (0.0, 0, 0, 0.0)


def test_cross_loses_no_step_to_binary_fractions(price: ModuleType) -> None:
    """0.1 + 0.7 of a coin is less than 0.8 in floats, and still eight steps of 0.1."""
    buy = depth([], [(100, 1), (101, 7), (102, 9)], 3)
    result = price.cross(buy, depth([(110, 8)], [], 3), 3, 3, 1, 0.1, 1, 0.1, *FREE, 0.1, 9.0)
    assert result == pytest.approx((0.8, 101, 110, 0.1 * 10 + 0.7 * 9))
    many = price.cross(
        depth([], [(100, 10**9 + i) for i in range(20)], 20),
        depth([(110, 10**12)], [], 20),
        20,
        20,
        1.0,
        1e-8,
        1.0,
        1e-8,
        *FREE,
        1e-8,
        1e9,
    )
    assert round(many[0] / 1e-8) == sum(10**9 + i for i in range(20))


def test_cross_keeps_to_the_largest_quantity(price: ModuleType) -> None:
    """The caller's limit caps the quantity, and 0 of it is no trade."""
    buy, sell = depth([], [(100, 50)], 1), depth([(110, 50)], [], 1)
    sizes = (1, 1, 1.0, 1.0, 1.0, 1.0)
    assert price.cross(buy, sell, *sizes, *FREE, 1.0, 7.5) == (7.0, 100, 110, 70.0)
    assert price.cross(buy, sell, *sizes, *FREE, 1.0, 0.0) == (0.0, 0, 0, 0.0)


def test_cross_of_an_empty_side_pays_nothing(price: ModuleType) -> None:
    """No asks to buy or no bids to sell to is no opportunity."""
    held, empty = depth([(110, 5)], [(100, 5)], 2), depth([], [], 2)
    for buy, sell in ((held, empty), (empty, held), (empty, empty)):
        assert price.cross(buy, sell, 2, 2, *SIZES, *FREE, 1.0, 9.0) == (0.0, 0, 0, 0.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"buy_levels": 2},
        {"sell_levels": 0},
        {"buy_tick": 0.0},
        {"sell_lot": -1.0},
        {"sell_tick": math.inf},
        {"buy_lot": math.nan},
        {"buy_fee": 1.0},
        {"sell_fee": math.nan},
        {"step": 0.0},
        {"step": math.nan},
        {"quantity_max": -1.0},
        {"quantity_max": math.nan},
        {"depth_buy": bytes(31)},
        {"depth_buy": depth([], [(100, -5)], 1)},
        {"depth_sell": depth([(-110, 5)], [], 1)},
    ],
    ids=str,
)
def test_cross_refuses_what_cannot_be(price: ModuleType, wrong: dict[str, Any]) -> None:
    """A size, fee, step, limit or depth that cannot be is a ValueError, never a quantity."""
    right: dict[str, Any] = {
        "depth_buy": depth([], [(100, 5)], 1), "depth_sell": depth([(110, 5)], [], 1),
        "buy_levels": 1, "sell_levels": 1,
        "buy_tick": 1.0, "buy_lot": 1.0, "sell_tick": 1.0, "sell_lot": 1.0,
        "buy_fee": 0.0, "sell_fee": 0.0, "step": 1.0, "quantity_max": 9.0,
    }  # fmt: skip
    assert price.cross(*right.values())[0] == 5.0
    with pytest.raises(ValueError, match=r"."):
        price.cross(*(right | wrong).values())


def ladder(best_first: bool) -> st.SearchStrategy[Levels]:
    """One side: up to five prices around 100, best first for a bid, with small quantities."""
    prices = st.lists(st.integers(90, 110), unique=True, max_size=5)
    return prices.flatmap(
        lambda ticks: st.tuples(*(st.tuples(st.just(t), st.integers(1, 9)) for t in ticks))
    ).map(lambda levels: sorted(levels, reverse=best_first))


BINARY_FEES = st.sampled_from([0.0, 1 / 1024, 1 / 64, -1 / 512])
DECIMAL_FEES = st.sampled_from([0.0, 0.001, 0.0026, -0.0001])


@given(
    asks=ladder(best_first=False),
    bids=ladder(best_first=True),
    fees=st.tuples(BINARY_FEES, BINARY_FEES),
    step=st.sampled_from([0.125, 0.25, 0.5, 1.0, 3.0]),
    quantity_max=st.sampled_from([math.inf, 0.375, 1.0, 2.5]),
)
def test_cross_is_the_brute_force_maximum(
    asks: Levels, bids: Levels, fees: tuple[float, float], step: float, quantity_max: float
) -> None:
    """With sizes that floats hold exactly, kernel and brute force give the same numbers."""
    arguments = (
        depth([], asks, 5), depth(bids, [], 5), 5, 5, 0.5, 0.125, 0.5, 0.25, *fees,
        step, quantity_max,
    )  # fmt: skip
    assert pricing.cross(*arguments) == twin.cross(*arguments)


@given(asks=ladder(best_first=False), bids=ladder(best_first=True), data=st.data())
def test_no_quantity_beats_the_one_that_cross_gives(
    asks: Levels, bids: Levels, data: st.DataObject
) -> None:
    """On the grid of both books every other number of steps, tried one by one, profits less."""
    fees = data.draw(st.tuples(DECIMAL_FEES, DECIMAL_FEES))
    result = pricing.cross(
        depth([], asks, 5), depth(bids, [], 5), 5, 5, 0.1, 0.01, 0.1, 0.01, *fees, 0.01, 1e9
    )
    best = Fraction(0)
    buying = [t for t, lots in asks for _ in range(lots)]
    selling = [t for t, lots in bids for _ in range(lots)]
    rates = [Fraction(str(fee)) for fee in fees]
    total = Fraction(0)
    for bought, sold in zip(buying, selling, strict=False):
        total += (sold * (1 - rates[1]) - bought * (1 + rates[0])) * Fraction("0.001")
        best = max(best, total)
    assert result[3] == pytest.approx(float(best), abs=1e-12)


@given(
    levels=st.lists(st.tuples(st.integers(1, 1 << 40), st.integers(0, 1 << 30)), max_size=8),
    lots=st.integers(0, 1 << 34),
)
def test_sweep_and_vwap_equal_the_twin(levels: Levels, lots: int) -> None:
    """Any levels, any quantity: the same numbers, or the same error."""
    results = []
    for module in (pricing, twin):
        try:
            results.append((module.sweep(pack(levels), lots), module.vwap(pack(levels), lots)))
        except OverflowError:
            results.append(OverflowError)
    assert repr(results[0]) == repr(results[1])


@given(numbers=st.tuples(*[st.integers(0, 1 << 40)] * 4), n=st.integers(1, 6), data=st.data())
def test_leanings_equal_the_twin(
    numbers: tuple[int, int, int, int], n: int, data: st.DataObject
) -> None:
    """Microprice and imbalance are those of the exact definition."""
    ours, slow = pricing.microprice(*numbers), twin.microprice(*numbers)
    assert ours == pytest.approx(slow, rel=1e-12, nan_ok=True)
    whole = depth(data.draw(ladder(best_first=True)), data.draw(ladder(best_first=False)), 5)
    assert pricing.imbalance(whole, 5, n) == pytest.approx(twin.imbalance(whole, 5, n), rel=1e-12)
