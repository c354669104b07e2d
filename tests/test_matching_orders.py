"""Rules of matching by example: what an order checks, takes, shows and leaves; kernel and twin alike."""

from collections.abc import Callable
from typing import Any

import pytest

from ext import matching as kernel
from tests.matching_story import buy, happened, sell, told
from tests.twins import matching as twin
from tests.twins import matching_words as w

Make = Callable[..., Any]


@pytest.fixture(params=[kernel.MatchingBook, twin.MatchingBook], ids=["kernel", "twin"])
def make(request: pytest.FixtureRequest) -> Make:
    """The class under test."""
    made: Make = request.param
    return made


def asks(make: Make, *levels: tuple[int, int], **limits: int) -> Any:
    """A book with a seller at each of some (lots, price), numbered from 1."""
    book = make(**limits)
    for lots, at in levels:
        sell(book, lots, at)
    book.reports()
    return book


def test_a_taker_walks_up_the_asks(make: Make) -> None:
    """Best price first, at the resting order's price; what is left rests at its own."""
    book = asks(make, (5, 102), (2, 101))
    buy(book, 9, at=103)
    assert told(book) == [
        "3 accepted",
        "3 trades 2 at 101 with 2",
        "3 trades 5 at 102 with 1",
    ]
    assert (book.levels(w.BUY), book.levels(w.SELL), book.last) == ([(103, 2)], [], 102)


def test_a_price_is_a_queue(make: Make) -> None:
    """Who came first trades first, whatever the size."""
    book = asks(make, (1, 101), (9, 101), (1, 101))
    buy(book, 3, at=101)
    assert happened(book) == ["4 trades 1 at 101 with 1", "4 trades 2 at 101 with 2"]
    assert book.resting(w.SELL) == [(2, 101, 7, 7), (3, 101, 1, 1)]


def test_reports_name_both_sides_of_a_trade(make: Make) -> None:
    """Each with its owner and what it has left; positions move by it."""
    book = make()
    sell(book, 5, at=100, owner=7)
    buy(book, 3, at=101, owner=8)
    accepted = w.Report(w.ACCEPTED, w.SELL, 0, 1, 7, 100, 5, 5)
    trade = w.Report(w.TRADE, w.BUY, 0, 2, 8, 100, 3, 0, 1, 7, 2)
    assert book.reports()[::2] == [accepted, trade]
    assert (book.position(7), book.position(8), book.position(0)) == (-3, 3, 0)


def test_an_order_that_lives_can_be_seen(make: Make) -> None:
    """By its number and by its owner, until it is gone."""
    book = make()
    order = buy(book, 5, at=100, owner=7, display=2)
    assert book.order(order) == (1, 7, w.BUY, w.LIMIT, w.RESTING, 100, 5, 5, 2, 0)
    assert (book.orders(7), len(book), book.next_order) == ([1], 1, 2)
    book.cancel(order)
    assert (book.order(order), book.orders(7), len(book)) == (None, [], 0)


def test_what_a_market_order_finds_no_one_for_is_gone(make: Make) -> None:
    """It never rests, whatever its time in force."""
    book = asks(make, (2, 101))
    buy(book, 5, tif=w.DAY)
    assert happened(book) == ["2 trades 2 at 101 with 1", "2 cancelled, 3 left NO_LIQUIDITY"]


def test_the_band_stops_a_market_order(make: Make) -> None:
    """10 % about the last trade, as it was when the order came."""
    book = asks(make, (1, 100), (1, 110), (1, 111), band_bps=1000)
    buy(book, 1, at=100)
    sell(book, 1, at=111)
    assert happened(book) == ["4 trades 1 at 100 with 1", "5 rejected BAND"]
    buy(book, 3)
    assert happened(book) == ["6 trades 1 at 110 with 2", "6 cancelled, 2 left BAND"]
    sell(book, 1, at=111)
    assert told(book) == ["7 accepted"], "the band has moved with the trade at 110"


def test_immediate_or_cancel(make: Make) -> None:
    """It takes what there is at its price and leaves nothing."""
    book = asks(make, (2, 101), (5, 102))
    buy(book, 4, at=101, tif=w.IOC)
    assert happened(book) == ["3 trades 2 at 101 with 1", "3 cancelled, 2 left NOT_FILLED"]
    assert book.best(w.BUY) == (0, 0)


def test_fill_or_kill_counts_hidden_lots(make: Make) -> None:
    """All or nothing, and an iceberg's hidden part is there to be had."""
    book = make()
    sell(book, 6, at=101, display=1)
    sell(book, 1, at=102)
    book.reports()
    buy(book, 8, at=102, tif=w.FOK)
    buy(book, 7, at=101, tif=w.FOK)
    assert happened(book) == [
        "3 cancelled, 8 left NOT_FILLABLE",
        "4 cancelled, 7 left NOT_FILLABLE",
    ]
    buy(book, 7, at=102, tif=w.FOK)
    assert happened(book) == ["5 trades 1 at 101 with 1"] * 6 + ["5 trades 1 at 102 with 2"]


def test_fill_or_kill_counts_only_what_is_sure(make: Make) -> None:
    """No reduce-only order, one of a group, nothing behind its own, nor what goes behind it."""
    book = make()
    book.set_position(5, 9)
    sell(book, 3, at=100, owner=5, flags=w.REDUCE_ONLY)
    sell(book, 2, at=101, owner=6, group=1)
    sell(book, 2, at=102, owner=6, group=1)
    sell(book, 5, at=103, display=1)
    sell(book, 1, at=103, owner=7)
    sell(book, 9, at=104)
    book.reports()
    for lots in (4, 3):
        buy(book, lots, at=110, tif=w.FOK, owner=7, stp=w.STP_NEWEST)
    assert happened(book) == [
        "7 cancelled, 4 left NOT_FILLABLE",  # 2 at 101 and 1 at 103 are sure
        "8 trades 3 at 100 with 1",
    ]
    for lots in (17, 16):
        buy(book, lots, at=110, tif=w.FOK, owner=7, stp=w.STP_OLDEST)
    assert happened(book)[:2] == ["9 cancelled, 17 left NOT_FILLABLE", "10 trades 2 at 101 with 2"]


def test_fill_or_kill_does_not_count_its_own_group(make: Make) -> None:
    """Its first trade would cancel them."""
    book = make()
    sell(book, 1, at=100)
    sell(book, 4, at=101, owner=7, group=1)
    buy(book, 5, at=101, tif=w.FOK, owner=7, group=1)
    assert happened(book) == ["3 cancelled, 5 left NOT_FILLABLE", "2 cancelled, 4 left BY_GROUP"]


def test_post_only_is_refused_and_slide_moves(make: Make) -> None:
    """One must not take at all; the other stands one step behind the best it would have taken."""
    book = asks(make, (1, 104), ticks_step=2)
    buy(book, 1, at=104, flags=w.POST_ONLY)
    buy(book, 1, at=106, flags=w.SLIDE)
    buy(book, 1, at=100, flags=w.SLIDE | w.POST_ONLY)
    assert told(book) == [
        "2 rejected WOULD_TAKE",
        "3 accepted",
        "3 moved to 102",
        "4 accepted",
    ]
    assert book.levels(w.BUY) == [(102, 1), (100, 1)]


def test_a_slide_needs_a_price_to_stand_at(make: Make) -> None:
    """Below the first price, or above the last, there is none."""
    book = make(ticks_max=100)
    sell(book, 1, at=1)
    buy(book, 1, at=1, flags=w.SLIDE)
    book.mass_cancel()
    buy(book, 1, at=100)
    sell(book, 1, at=99, flags=w.SLIDE)
    assert [line for line in happened(book) if "rejected" in line] == [
        "2 rejected WOULD_TAKE",
        "4 rejected WOULD_TAKE",
    ]


def test_an_iceberg_shows_its_parts_one_behind_the_other(make: Make) -> None:
    """Each new part waits behind those at its price; the last part is what is left."""
    book = make(market_data=True)
    sell(book, 5, at=101, display=2)
    sell(book, 2, at=101)
    assert (book.best(w.SELL), book.resting(w.SELL)[0]) == ((101, 4), (1, 101, 2, 5))
    book.order_changes()
    buy(book, 3, at=101)
    assert happened(book) == ["3 trades 2 at 101 with 1", "3 trades 1 at 101 with 2"]
    assert book.resting(w.SELL) == [(2, 101, 1, 1), (1, 101, 2, 3)]
    assert book.order_changes() == [
        (w.DELETED, w.SELL, 1, 101, 0),
        (w.ADDED, w.SELL, 1, 101, 2),
        (w.CHANGED, w.SELL, 2, 101, 1),
    ]
    assert book.level_changes() == [(w.SELL, 101, 3)]
    buy(book, 4, at=101)
    assert happened(book) == [
        "4 trades 1 at 101 with 2",
        "4 trades 2 at 101 with 1",
        "4 trades 1 at 101 with 1",
    ]


@pytest.mark.parametrize(
    ("stp", "lines", "left"),
    [
        (w.STP_NONE, ["3 trades 3 at 100 with 1", "3 trades 2 at 100 with 2"], [(2, 100, 2, 2)]),
        (w.STP_NEWEST, ["3 cancelled, 5 left SELF_TRADE"], [(1, 100, 3, 3), (2, 100, 4, 4)]),
        (w.STP_OLDEST, ["1 cancelled, 3 left SELF_TRADE", "3 trades 4 at 100 with 2"], []),
        (
            w.STP_BOTH,
            ["1 cancelled, 3 left SELF_TRADE", "3 cancelled, 5 left SELF_TRADE"],
            [(2, 100, 4, 4)],
        ),
        (
            w.STP_DECREMENT,
            [
                "1 cancelled, 3 left SELF_TRADE",
                "3 less 3 is 2 SELF_TRADE",
                "3 trades 2 at 100 with 2",
            ],
            [(2, 100, 2, 2)],
        ),
    ],
    ids=["none", "newest", "oldest", "both", "decrement"],
)
def test_self_trades(
    make: Make, stp: int, lines: list[str], left: list[tuple[int, int, int, int]]
) -> None:
    """An owner's own order is met first, and then somebody else's."""
    book = make()
    sell(book, 3, at=100, owner=7, stp=w.STP_BOTH)  # only the incoming order's word counts
    sell(book, 4, at=100, owner=8)
    buy(book, 5, at=100, owner=7, stp=stp)
    assert happened(book) == lines
    assert book.resting(w.SELL) == left


def test_a_decremented_iceberg_shows_no_more_than_it_has(make: Make) -> None:
    """And its total is less by what was taken: filled and left are always its total."""
    book = make()
    sell(book, 9, at=100, owner=7, display=4)
    buy(book, 1, at=100)
    buy(book, 6, at=100, owner=7, stp=w.STP_DECREMENT)
    assert happened(book)[1:] == ["1 less 6 is 2 SELF_TRADE", "3 cancelled, 6 left SELF_TRADE"]
    assert book.order(1)[6:9] == (3, 2, 2)


def test_reduce_only_is_cut_to_the_position(make: Make) -> None:
    """On entering, and again when somebody takes it; with nothing left to reduce it is gone."""
    book = make()
    book.set_position(7, 5)
    sell(book, 8, at=101, owner=7, flags=w.REDUCE_ONLY)
    sell(book, 4, at=101, owner=7, flags=w.REDUCE_ONLY)
    buy(book, 8, at=99, owner=7, flags=w.REDUCE_ONLY)
    assert happened(book) == ["1 less 3 is 5 REDUCE", "3 rejected REDUCE"]
    book.set_position(7, 6)
    buy(book, 9, at=101)
    assert happened(book) == [
        "4 trades 5 at 101 with 1",
        "2 less 3 is 1 REDUCE",
        "4 trades 1 at 101 with 2",
    ]
    sell(book, 1, at=102, owner=7)
    assert (book.position(7), book.best(w.BUY)) == (0, (101, 3))


def test_resting_reduce_only_with_nothing_to_reduce(make: Make) -> None:
    """It is passed over, and the next trades."""
    book = make()
    book.set_position(7, 5)
    sell(book, 5, at=101, owner=7, flags=w.REDUCE_ONLY)
    sell(book, 5, at=101, owner=8)
    book.set_position(7, -1)
    buy(book, 2, at=101)
    assert happened(book) == ["1 cancelled, 5 left REDUCE", "3 trades 2 at 101 with 2"]


LIMITS = {
    "ticks_max": 1000,
    "ticks_step": 5,
    "lots_min": 2,
    "lots_max": 100,
    "lots_step": 2,
    "notional_min": 1000,
    "orders_max": 2,
}


@pytest.mark.parametrize(
    ("reason", "order"),
    [
        ("TICK", {"at": 101}),
        ("TICK", {"at": 1005}),
        ("TICK", {"trigger": w.STP_NEWEST, "trigger_ticks": 101}),
        ("TICK", {"trigger": w.TRAIL_TICKS, "offset": 1}),
        ("LOT", {"lots": 3}),
        ("LOT", {"lots": 102}),
        ("LOT", {"display": 1}),
        ("NOTIONAL", {"at": 95}),
        ("NOTIONAL", {"at": 0, "trigger": w.STOP, "trigger_ticks": 95}),
        ("NO_PARENT", {"parent": 9}),
        ("NO_PARENT", {"parent": 1, "owner": 8}),
    ],
)
def test_each_limit_has_its_reason(make: Make, reason: str, order: dict[str, int]) -> None:
    """Of price, size, worth and parent."""
    book = make(**LIMITS)
    buy(book, 10, at=100, owner=7)
    rest = {"lots": 10, "at": 100} | order
    sell(book, rest.pop("lots"), **rest)
    assert told(book) == ["1 accepted", f"2 rejected {reason}"]


def test_notional_without_a_price(make: Make) -> None:
    """The last trade's price counts; without one, and for reduce-only orders, none is looked at."""
    book = make(**LIMITS)
    buy(book, 2)
    book.last = 400
    buy(book, 2)
    book.set_position(7, -2)
    buy(book, 2, owner=7, flags=w.REDUCE_ONLY)
    assert [line for line in told(book) if "accepted" in line or "rejected" in line] == [
        "1 accepted",
        "2 rejected NOTIONAL",
        "3 accepted",
    ]


def test_a_full_book_takes_no_order(make: Make) -> None:
    """Until one is gone."""
    book = make(orders_max=2)
    for at in (100, 101, 102):
        buy(book, 1, at=at)
    book.cancel(1)
    buy(book, 1, at=103)
    assert told(book) == [
        "1 accepted",
        "2 accepted",
        "3 rejected FULL",
        "1 cancelled, 1 left BY_CLIENT",
        "4 accepted",
    ]
