"""ext.checksum against its twin, and against sums that exchanges published."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext import checksum
from ext.book import ASK, BID, Book
from ext.decode import Grid, LevelNames
from tests.twins import book as twin_book
from tests.twins import checksum as twin

STEPS = st.tuples(st.sampled_from([1, 5, 25]), st.integers(0, 12))
LEVELS = st.dictionaries(st.integers(1, 10**9), st.integers(1, 10**12), max_size=30)


@settings(max_examples=400)
@pytest.mark.parametrize("venue", ["kraken", "okx", "bitfinex"])
@given(bids=LEVELS, asks=LEVELS, tick=STEPS, lot=STEPS, levels=st.integers(1, 25))
def test_sums_as_the_twin(venue, bids, asks, tick, lot, levels) -> None:  # type: ignore[no-untyped-def]
    """Any book on any grid, deep or one-sided."""
    fast, slow = Book(), twin_book.Book()
    for book in (fast, slow):
        for side, held in ((BID, bids), (ASK, asks)):
            for ticks, lots in held.items():
                book.change(side, ticks, lots)
    found = getattr(checksum, venue)(fast, Grid(*tick, *lot), levels)
    assert found == getattr(twin, venue)(slow, tick, lot, levels)


def test_kraken_v2_snapshot_as_recorded(recorded: Path) -> None:
    """A snapshot of Kraken's version 2 sums to what it says."""
    found = list((recorded / "venue_messages").rglob("*raken*book*snapshot*.json"))
    if not found:
        pytest.skip("no snapshot of Kraken's version 2 among the recordings")
    message = json.loads(found[0].read_text(), parse_float=str, parse_int=str)
    item = message["data"][0]
    places = [
        max(
            len(level[field].partition(".")[2]) for side in ("bids", "asks") for level in item[side]
        )
        for field in ("price", "qty")
    ]
    book, grid = Book(), Grid(1, places[0], 1, places[1])
    for side, name in ((BID, "bids"), (ASK, "asks")):
        text = json.dumps(item[name]).encode()
        grid.objects(book, side, text, LevelNames("price", "qty"))
    assert checksum.kraken(book, grid) == int(item["checksum"])


def test_okx_documented_example() -> None:
    """The sum in the venue's documentation: 3366.1:7:3366.8:9:3366:6:3368:8 is -1881014294."""
    book, grid = Book(), Grid(1, 1, 1, 0)
    grid.pairs(book, BID, b'[["3366.1","7","0","3"],["3366","6","3","4"]]')
    grid.pairs(book, ASK, b'[["3366.8","9","10","3"],["3368","8","3","4"]]')
    assert checksum.okx(book, grid) == -1881014294


def test_levels_are_limited() -> None:
    """More than fit are refused, not cut off."""
    for levels in (0, 26):
        with pytest.raises(ValueError, match="levels: 1 to 25"):
            checksum.okx(Book(), Grid(1, 1, 1, 1), levels)
