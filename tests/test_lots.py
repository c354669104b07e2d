"""Cost bases: first in first out by hand, the same total as average cost, and bounded memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.money import cost as cost_module
from engine.money.cost import Lots, Position

TRADES = st.lists(
    st.tuples(st.integers(-(10**9), 10**9).filter(bool), st.integers(0, 10**15)), max_size=40
)


def test_the_oldest_lots_are_closed_first() -> None:
    """10 at 100 and 10 at 200; 15 sold at 300 made 10 x 200 and 5 x 100; the average 15 x 150."""
    lots, average = Lots(), Position()
    for quantity, value in ((10, 1000), (10, 2000), (-15, 4500)):
        lots.trade(quantity, value)
        average.trade(quantity, value)
    assert (lots.quantity, lots.cost, lots.realised) == (5, 1000, 2500)
    assert (average.quantity, average.cost, average.realised) == (5, 750, 2250)


def test_a_short_is_closed_and_turned() -> None:
    """4 sold at 100 and 4 at 110; 10 bought at 90 made 40 and 80, and 2 are held at 90."""
    lots = Lots()
    for quantity, value in ((-4, 400), (-4, 440), (10, 900)):
        lots.trade(quantity, value)
    assert (lots.quantity, lots.cost, lots.realised) == (2, 180, 120)


@given(TRADES)
def test_both_methods_come_to_the_same(trades: list[tuple[int, int]]) -> None:
    """Realised less cost is what was got less what was paid, exactly, under both."""
    lots, average = Lots(), Position()
    got = 0
    for quantity, value in trades:
        lots.trade(quantity, value)
        average.trade(quantity, value)
        got += -value if quantity > 0 else value
        assert lots.quantity == average.quantity
        assert lots.realised - lots.cost == average.realised - average.cost == got
        assert len({lot.quantity > 0 for lot in lots.open}) <= 1
        assert all(lot.quantity for lot in lots.open)
        if not lots.quantity:
            assert lots.cost == average.cost == 0


@given(TRADES, st.integers(1, 4))
def test_the_memory_of_lots_is_bounded(trades: list[tuple[int, int]], limit: int) -> None:
    """Beyond it the oldest two become one; quantities and money stay exact, and it is counted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cost_module, "LOTS_MAX", limit)
        lots, average = Lots(), Position()
        for quantity, value in trades:
            lots.trade(quantity, value)
            average.trade(quantity, value)
            assert len(lots.open) <= limit
    assert lots.quantity == average.quantity
    assert lots.realised - lots.cost == average.realised - average.cost


def test_the_same_price_is_one_lot() -> None:
    """An order that fills in parts at one price needs one lot, not one a fill."""
    lots = Lots()
    for _ in range(2000):
        lots.trade(3, 300)
    assert len(lots.open) == 1
    assert (lots.quantity, lots.cost, lots.merged) == (6000, 600_000, 0)
