"""Marks: direct, turned round, by one asset between, by a peg; and how old they are."""

from collections.abc import Sequence
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.instruments import Instruments
from engine.messages import BookState
from engine.money.marks import FOREVER, Marks, MarksState
from tests.streams import SECOND, market, top

DECIMALS = {"USDC": 6}


def marks(*symbols: str, venues: int = 1, pegs: dict[str, str] | None = None) -> Marks:
    """Marks of these symbols, each on every venue: ids count venue by venue."""
    made = market(lots=["0.001"] * venues, symbols=symbols)
    return Marks(Instruments(tuple(made), made.venues, DECIMALS), pegs or {})


def told(made: Marks, *mids: tuple[int, int], at_ns: int = SECOND) -> Marks:
    """Mids of instruments in ticks of 0.01."""
    for number, mid in mids:
        made.on_top(top(number, mid - 1, mid + 1, at_ns))
    return made


def rate(made: Marks, asset: str, currency: str) -> Fraction | None:
    """The rate alone."""
    found = made.mark(asset, currency)
    return None if found is None else found.rate


def test_a_market_is_a_mark_both_ways() -> None:
    """BTC/USDT at 100.00: a BTC is 100 USDT, a USDT 1/100 BTC, and each is one of itself."""
    made = told(marks("BTC/USDT"), (0, 10_000))
    assert rate(made, "BTC", "USDT") == 100
    assert rate(made, "USDT", "BTC") == Fraction(1, 100)
    assert rate(made, "BTC", "BTC") == 1
    assert rate(made, "ETH", "USDT") is None


@pytest.mark.parametrize(
    ("symbols", "mids", "expected"),
    [
        (("ETH/BTC", "BTC/USDT"), ((0, 5), (1, 10_000)), Fraction(5)),
        (("BTC/ETH", "BTC/USDT"), ((0, 2000), (1, 10_000)), Fraction(5)),
        (("BTC/ETH", "USDT/BTC"), ((0, 2000), (1, 25)), Fraction(1, 5)),
        (("ETH/USDT", "ETH/BTC", "BTC/USDT"), ((0, 700), (1, 5), (2, 10_000)), Fraction(7)),
    ],
)
def test_one_asset_may_be_between(
    symbols: Sequence[str], mids: Sequence[tuple[int, int]], expected: Fraction
) -> None:
    """ETH over BTC to USDT, with markets either way round; a market of the two comes first."""
    assert rate(told(marks(*symbols), *mids), "ETH", "USDT") == expected


def test_two_between_are_too_many() -> None:
    """A chain of three markets is no mark."""
    made = told(marks("SOL/ETH", "ETH/BTC", "BTC/USDT"), (0, 100), (1, 100), (2, 100))
    assert rate(made, "SOL", "USDT") is None


def test_the_freshest_way_is_taken() -> None:
    """Of two assets between, the one whose older market is the newer."""
    made = marks("ETH/BTC", "BTC/USDT", "ETH/EUR", "EUR/USDT")
    told(made, (0, 500), (1, 200), at_ns=SECOND)
    assert rate(made, "ETH", "USDT") == 10
    told(made, (2, 300), (3, 400), at_ns=2 * SECOND)
    assert made.mark("ETH", "USDT") == (Fraction(12), 2 * SECOND)


def test_a_peg_counts_only_where_configured_and_without_a_market() -> None:
    """One USDC is one USDT whatever their decimals; a market of the two knows better."""
    assert rate(told(marks("BTC/USDT"), (0, 10_000)), "USDC", "USDT") is None
    made = marks("BTC/USDT", pegs={"USDC": "USDT"})
    assert made.mark("USDC", "USDT") == (Fraction(100), FOREVER)  # 8 decimals against 6
    assert rate(told(made, (0, 10_000)), "BTC", "USDC") == 1
    eight = Marks(market(lots=["0.001"], symbols=("USDC/USDT",)), {"USDC": "USDT"})
    assert rate(eight, "USDC", "USDT") == 1
    assert rate(told(eight, (0, 98)), "USDC", "USDT") == Fraction(98, 100)


def test_only_live_books_are_in_the_mean() -> None:
    """Three venues, the mean of two; with none LIVE the last that was stands, and ages."""
    made = told(marks("BTC/USDT", venues=3), (0, 100), (1, 200), (2, 600))
    assert rate(made, "BTC", "USDT") == 3
    made.on_top(top(2, 0, 0, 2 * SECOND, BookState.STALE))
    assert rate(made, "BTC", "USDT") == Fraction(3, 2)
    told(made, (1, 300), at_ns=3 * SECOND)
    for number in (0, 1):
        made.on_top(top(number, 0, 0, 4 * SECOND, BookState.BROKEN))
    assert made.mark("BTC", "USDT") == (Fraction(3), 3 * SECOND)


def test_a_quiet_book_is_as_fresh_as_its_venue() -> None:
    """A LIVE book that does not move is right while its venue speaks; one that is lost is not."""
    made = told(marks("BTC/USDT"), (0, 100))
    made.on_venue(0, 9 * SECOND)
    assert made.mark("BTC", "USDT") == (Fraction(1), 9 * SECOND)
    made.on_top(top(0, 0, 0, 9 * SECOND, BookState.STALE))
    assert made.mark("BTC", "USDT") == (Fraction(1), SECOND)


def test_a_mark_is_not_lost_with_its_grid() -> None:
    """The mid was in other ticks; until there is a new one the last mark stands."""
    made = told(marks("BTC/USDT"), (0, 10_000))
    assert rate(made, "BTC", "USDT") == 100
    made.regrid(market(lots=["0.001"])[0])
    assert made.mark("BTC", "USDT") == (Fraction(100), SECOND)
    assert made.value(("BTC", "USDT"), 10) is None


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(1, 10**6), st.sampled_from(BookState)), max_size=30
    )
)
def test_restored_they_are_the_same(tops: list[tuple[int, int, BookState]]) -> None:
    """Every mark of every asset, by way of bytes."""
    symbols = ("BTC/USDT", "ETH/BTC", "ETH/USDT")
    made, again = marks(*symbols, venues=2), marks(*symbols, venues=2)
    for at, (number, mid, state) in enumerate(tops):
        made.on_top(top(number, mid, mid + 1, at * SECOND, state))
        made.mark("ETH", "USDT")
    data = msgspec.msgpack.encode(made.snapshot())
    again.restore(msgspec.msgpack.decode(data, type=MarksState))
    for asset in ("BTC", "ETH", "USDT"):
        assert again.mark(asset, "USDT") == made.mark(asset, "USDT")
        assert again.mark(asset, "BTC") == made.mark(asset, "BTC")
