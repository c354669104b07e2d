"""A book's log: its rows are the book."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext.book import ASK, BID, Book, Log


@given(st.lists(st.tuples(st.sampled_from([0, 1, 2, 3]), st.integers(1, 9), st.integers(0, 3))))
def test_a_log_gives_the_book_again(steps: list[tuple[int, int, int]]) -> None:
    """Its rows, applied one after the other to an empty book, end in the same book."""
    log, logged, other = Log(), Book(), Book()
    logged.log_to(log, 7)
    other.log_to(log, 8)
    rows: list[int] = []
    for what, ticks, lots in steps:
        other.change(BID, ticks, lots)
        if what == 0:
            logged.clear()
        elif what == 1:
            logged.truncate(ticks)
        else:
            logged.change(BID if what == 2 else ASK, ticks, lots)
        rows += memoryview(log.drain()).cast("q").tolist()
    again = {7: Book(), 8: Book()}
    for at in range(0, len(rows), 5):
        book, kind, side, ticks, lots = rows[at : at + 5]
        match kind:
            case 1:
                again[book].clear()
            case 2:
                again[book].change(side, ticks, lots)
            case 5:
                again[book].truncate(ticks)
    assert again[7].dump() == logged.dump()
    assert again[8].dump() == other.dump()
    with pytest.raises(ValueError, match="level by level"):
        logged.load(Book().dump())
    logged.log_to(None, 0)
    logged.load(Book().dump())
    assert log.drain() == b""
