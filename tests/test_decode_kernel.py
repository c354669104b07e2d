"""ext.decode against its twin: the same numbers, the same refusals, straight into the same book."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext import decode
from ext.book import ASK, BID, Book
from tests.twins import book as twin_book
from tests.twins import decode as twin

GRIDS = st.tuples(
    st.sampled_from([1, 2, 5, 25]), st.integers(0, 8), st.sampled_from([1, 5]), st.integers(0, 8)
)
NUMBERS = st.one_of(
    st.decimals(0, 10**6, places=8, allow_nan=False).map(lambda number: f"{number:f}"),
    st.from_regex(r"[0-9]{0,9}\.?[0-9]{0,10}", fullmatch=True),
    st.text("0123456789.-e+ ", max_size=8),
)


def outcome(call, text):  # type: ignore[no-untyped-def]  # a number or the name of a refusal
    """What a reader says of a text: the steps, or the kind of refusal."""
    try:
        return call(text)
    except ValueError as error:
        return type(error).__name__


@settings(max_examples=3000)
@given(GRIDS, NUMBERS)
def test_reads_what_the_twin_reads(grid: tuple[int, int, int, int], text: str) -> None:
    """Steps or refusal, kernel and Decimal agree on every text."""
    kernel, slow = decode.Grid(*grid), twin.Grid(*grid)
    assert outcome(kernel.ticks, text) == outcome(slow.ticks, text)
    assert outcome(kernel.lots, text) == outcome(slow.lots, text)


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 5)), max_size=20),
    st.sampled_from([BID, ASK]),
)
def test_applies_what_the_twin_applies(levels: list[tuple[int, int]], side: int) -> None:
    """A frame's levels leave both books alike."""
    texts = [(f"100.{ticks:02d}", f"{lots}.50000000") for ticks, lots in levels]
    grid = (1, 2, 1, 1)
    fast, slow = Book(), twin_book.Book()
    decode.Grid(*grid).apply(fast, side, texts)
    twin.Grid(*grid).apply(slow, side, list(texts))
    assert fast.levels(side) == slow.levels(side)


@pytest.mark.parametrize(
    ("levels", "says"),
    [
        ([("1.00", "1"), ("1.005", "1")], "level 1: price '1.005' is off"),
        ([("1.00", "x")], "level 0: quantity 'x' is no decimal"),
        ([["1.00", "1"]], "level 0 is no tuple"),
        ([("0", "1")], "level 0: 0 ticks"),
    ],
)
def test_names_the_bad_level(levels: list[tuple[str, str]], says: str) -> None:
    """A refusal says which level of the frame it was."""
    with pytest.raises(ValueError, match=says):
        decode.Grid(1, 2, 1, 0).apply(Book(), BID, levels)
