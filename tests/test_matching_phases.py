"""Rules of matching by example: halts, auctions, and the limits a book may have; kernel and twin alike."""

from collections.abc import Callable
from typing import Any

import pytest

from ext import matching as kernel
from tests.matching_story import buy, happened, sell, state, told
from tests.twins import matching as twin
from tests.twins import matching_words as w

Make = Callable[..., Any]


@pytest.fixture(params=[kernel.MatchingBook, twin.MatchingBook], ids=["kernel", "twin"])
def make(request: pytest.FixtureRequest) -> Make:
    """The class under test."""
    made: Make = request.param
    return made


def auction(
    make: Make, bids: list[tuple[int, int]], asks: list[tuple[int, int]], last: int = 0
) -> Any:
    """A book in an auction that has collected some (lots, price)."""
    book = make()
    book.last = last
    book.set_phase(w.AUCTION)
    for lots, at in bids:
        buy(book, lots, at=at)
    for lots, at in asks:
        sell(book, lots, at=at)
    book.reports()
    return book


@pytest.mark.parametrize(
    ("bids", "asks", "last", "found"),
    [
        ([(5, 99)], [(5, 100)], 0, (0, 0, 0)),
        ([(5, 100)], [], 0, (0, 0, 0)),
        ([(5, 102), (5, 100)], [(3, 99), (4, 101)], 0, (101, 5, -2)),
        ([(5, 102), (5, 100)], [(5, 99), (5, 101)], 0, (99, 5, 5)),
        ([(5, 102)], [(5, 98)], 0, (98, 5, 0)),
        ([(5, 102)], [(5, 98)], 101, (101, 5, 0)),
        ([(5, 102)], [(5, 98)], 110, (102, 5, 0)),
        ([(9, 103), (4, 101)], [(4, 99), (3, 100)], 0, (103, 7, 2)),
    ],
    ids=["apart", "one-sided", "most", "lowest of two", "no last", "last", "nearest", "least left"],
)
def test_the_price_of_an_auction(
    make: Make,
    bids: list[tuple[int, int]],
    asks: list[tuple[int, int]],
    last: int,
    found: tuple[int, int, int],
) -> None:
    """Most lots, then least left over, then nearest to the last trade, then the lowest."""
    book = auction(make, bids, asks, last)
    assert book.indicative() == found
    book.set_phase(w.CONTINUOUS)
    assert book.indicative() == (0, 0, 0)
    assert sum(report.lots for report in book.reports() if report.kind == w.TRADE) == found[1]


def test_an_auction_trades_at_one_price(make: Make) -> None:
    """Best against best, each trade reported for the buyer, before the phase changes."""
    book = auction(make, [(5, 103), (5, 102)], [(2, 100), (6, 101)])
    assert book.levels(w.BUY) == [(103, 5), (102, 5)], "it collects, and may be crossed"
    book.set_phase(w.CONTINUOUS)
    assert told(book) == [
        "1 trades 2 at 101 with 3 IN_AUCTION",
        "1 trades 3 at 101 with 4 IN_AUCTION",
        "2 trades 3 at 101 with 4 IN_AUCTION",
        "CONTINUOUS",
    ]
    assert (book.levels(w.BUY), book.levels(w.SELL), book.last) == ([(102, 2)], [], 101)


def test_an_auction_takes_limit_orders_only(make: Make) -> None:
    """What waits or is dormant may come, and what would be active and cannot rest may not."""
    book = auction(make, [], [])
    buy(book, 1)
    buy(book, 1, at=100, tif=w.IOC)
    buy(book, 1, at=100, flags=w.POST_ONLY)
    buy(book, 1, kind=w.PEGGED)
    buy(book, 1, trigger=w.STOP, trigger_ticks=100)
    buy(book, 1, at=100, display=1)
    assert told(book) == [f"{order} rejected NOT_IN_AUCTION" for order in (1, 2, 3, 4)] + [
        "5 accepted",
        "6 accepted",
    ]


def test_icebergs_trade_part_by_part_in_an_auction(make: Make) -> None:
    """Their hidden lots count for the price, and their parts queue as ever."""
    book = auction(make, [], [(1, 100)])
    sell(book, 4, at=100, display=1)
    buy(book, 5, at=100)
    assert book.indicative() == (100, 5, 0)
    book.reports()
    book.set_phase(w.CLOSED)
    assert told(book) == [
        "3 trades 1 at 100 with 1 IN_AUCTION",
        *["3 trades 1 at 100 with 2 IN_AUCTION"] * 4,
        "CLOSED",
    ]


def test_what_an_auction_triggers_waits_for_trading(make: Make) -> None:
    """PENDING until CONTINUOUS, and then it goes off."""
    book = auction(make, [(1, 100), (5, 99)], [(1, 100)])
    sell(book, 2, trigger=w.STOP, trigger_ticks=100)
    book.set_phase(w.CLOSED)
    assert happened(book) == [
        "1 trades 1 at 100 with 3 IN_AUCTION",
        "4 triggered at 100",
        "CLOSED",
    ]
    assert state(book, 4) == "PENDING"
    book.set_phase(w.CONTINUOUS)
    assert told(book) == ["CONTINUOUS", "4 trades 2 at 99 with 2"]


def test_reduce_only_in_an_auction_is_cut(make: Make) -> None:
    """The bid is looked at first, and a book that is crossed still is uncrossed again."""
    book = auction(make, [(9, 105)], [])
    book.set_position(7, 2)
    sell(book, 2, at=100, owner=7, flags=w.REDUCE_ONLY)
    sell(book, 5, at=103)
    book.set_position(7, -1)
    book.reports()
    assert book.indicative() == (103, 7, 2)
    book.set_phase(w.CONTINUOUS)
    assert told(book) == [
        "2 cancelled, 2 left REDUCE",
        "1 trades 5 at 103 with 3 IN_AUCTION",
        "CONTINUOUS",
    ]


def test_the_bid_is_looked_at_first(make: Make) -> None:
    """Where both would only reduce, and neither has anything to."""
    book = auction(make, [], [])
    for owner, enter in ((8, sell), (7, buy)):
        book.set_position(owner, 5 if enter is sell else -5)
        enter(book, 5, at=100, owner=owner, flags=w.REDUCE_ONLY)
        book.set_position(owner, 0)
    book.set_phase(w.CONTINUOUS)
    assert happened(book) == ["2 cancelled, 5 left REDUCE", "CONTINUOUS"]


def test_self_trades_happen_in_an_auction(make: Make) -> None:
    """Whatever the orders say: nobody is the incoming one."""
    book = auction(make, [], [])
    for enter in (buy, sell):
        enter(book, 1, at=100, owner=7, stp=w.STP_BOTH)
    book.set_phase(w.CONTINUOUS)
    assert happened(book) == ["1 trades 1 at 100 with 2 IN_AUCTION", "CONTINUOUS"]


def test_pegs_sit_an_auction_out(make: Make) -> None:
    """They stay through a halt, are parked when an auction begins, and come back after it."""
    book = make()
    buy(book, 5, at=100)
    buy(book, 1, kind=w.PEGGED, offset=1)
    book.reports()
    book.set_phase(w.HALTED)
    assert (told(book), book.levels(w.BUY)) == (["HALTED"], [(100, 5), (99, 1)])
    book.set_phase(w.AUCTION)
    assert (told(book), state(book, 2)) == (["AUCTION", "2 moved to 0"], "PARKED")
    book.set_phase(w.CONTINUOUS)
    assert told(book) == ["CONTINUOUS", "2 moved to 99"]


@pytest.mark.parametrize(("phase", "name"), [(w.HALTED, "HALTED"), (w.CLOSED, "CLOSED")])
def test_halt_and_resume(make: Make, phase: int, name: str) -> None:
    """Nothing comes and nothing is replaced meanwhile; cancelling is always taken."""
    book = make()
    buy(book, 5, at=100)
    buy(book, 5, at=99, tif=w.GTD, expire_ns=10)
    book.set_phase(phase)
    sell(book, 5, at=100)
    buy(book, 0)
    book.replace(1, ticks=101)
    book.replace(9, ticks=101)
    book.cancel(1)
    book.advance(10)
    book.set_phase(w.CONTINUOUS)
    assert happened(book) == [
        name,
        f"3 rejected IS_{name}",
        f"4 rejected IS_{name}",
        f"1 not replaced IS_{name}",
        f"9 not replaced IS_{name}",
        "1 cancelled, 5 left BY_CLIENT",
        "2 expired, 5 left OUT_OF_TIME",
        "CONTINUOUS",
    ]


@pytest.mark.parametrize(
    "limits",
    [
        {"ticks_max": 0},
        {"ticks_max": (1 << 40) + 1, "lots_max": 1},
        {"lots_max": (1 << 40) + 1, "ticks_max": 1},
        {"ticks_max": 1 << 31, "lots_max": 1 << 31},
        {"ticks_step": 0},
        {"lots_step": 0},
        {"lots_min": 0},
        {"orders_max": (1 << 22) + 1},
        {"orders_max": 0},
        {"notional_min": -1},
        {"band_bps": -1},
    ],
    ids=str,
)
def test_limits_that_cannot_be(make: Make, limits: dict[str, int]) -> None:
    """Are refused before there is a book."""
    with pytest.raises(ValueError, match=r"."):
        make(**limits)


def test_questions_that_cannot_be(make: Make) -> None:
    """A side, phase, price or owner there is not, and market data nobody ordered: ValueError."""
    book = make()
    for ask in (
        lambda: book.mass_cancel(side=2),
        lambda: book.set_phase(0),
        lambda: book.set_phase(5),
        lambda: book.set_position(0, 1),
        lambda: book.set_position(1 << 20, 1),
        lambda: setattr(book, "last", -1),
        lambda: setattr(book, "last", (1 << 31) + 1),
        book.order_changes,
        book.level_changes,
    ):
        with pytest.raises(ValueError, match=r"."):
            ask()
    assert (book.reports(), book.order(0), book.orders(5), book.position(5)) == ([], None, [], 0)


def test_levels_by_depth(make: Make) -> None:
    """The best so many, or all."""
    book = make()
    for at in (98, 100, 99, 100):
        buy(book, 2, at=at)
    assert book.levels(w.BUY) == [(100, 4), (99, 2), (98, 2)]
    assert book.levels(w.BUY, 2) == book.levels(w.BUY)[:2]
    assert (book.best(w.BUY), book.best(w.SELL)) == ((100, 4), (0, 0))
