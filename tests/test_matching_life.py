"""Rules of matching by example: what becomes of an order later; kernel and twin alike."""

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


def trade(book: Any, *prices: int) -> None:
    """Trades of one lot at prices, between two who want nothing else."""
    for ticks in prices:
        sell(book, 1, at=ticks)
        buy(book, 1, at=ticks)
    book.reports()


@pytest.mark.parametrize(
    "wrong",
    [
        {"side": 0},
        {"side": 2},
        {"kind": 4},
        {"tif": 0},
        {"flags": 8},
        {"stp": 5},
        {"trigger": 5},
        {"owner": 1 << 20},
        {"owner": -1},
        {"lots": 0},
        {"lots": -1},
        {"ticks": 0},
        {"ticks": -1},
        {"kind": w.MARKET},
        {"kind": w.MARKET, "ticks": 0, "display": 1},
        {"kind": w.MARKET, "ticks": 0, "flags": w.POST_ONLY},
        {"tif": w.IOC, "flags": w.SLIDE},
        {"tif": w.FOK, "display": 1},
        {"display": -1},
        {"flags": w.REDUCE_ONLY},
        {"kind": w.PEGGED, "trigger": w.STOP, "trigger_ticks": 99},
        {"kind": w.PEGGED, "flags": w.POST_ONLY},
        {"kind": w.PEGGED, "tif": w.IOC},
        {"kind": w.PEGGED, "display": 1},
        {"trigger": w.STOP},
        {"trigger": w.TAKE_PROFIT, "trigger_ticks": 99, "offset": 1},
        {"trigger_ticks": 99},
        {"trigger": w.TRAIL_TICKS},
        {"trigger": w.TRAIL_TICKS, "offset": 1, "trigger_ticks": 99},
        {"trigger": w.TRAIL_BPS, "offset": 10_000},
        {"offset": 1},
        {"tif": w.GTD},
        {"tif": w.GTD, "expire_ns": 5},
        {"expire_ns": 6},
        {"group": -1},
        {"parent": -1},
    ],
    ids=str,
)
def test_fields_that_cannot_be(make: Make, wrong: dict[str, int]) -> None:
    """One that is none of its values, or does not fit the others, is INVALID before all else."""
    book = make(ticks_step=50)
    book.advance(5)
    order = {"side": w.BUY, "kind": w.LIMIT, "ticks": 101, "lots": 5} | wrong
    book.submit(**order)
    assert told(book) == ["1 rejected INVALID"]
    assert (len(book), book.next_order) == (0, 2)


def test_stops_and_take_profits_wait_for_their_side(make: Make) -> None:
    """On one trade: rises from the lowest trigger, then falls from the highest, and then who came first."""
    book = make()
    trade(book, 100)
    for side, trigger, ticks in (
        (w.BUY, w.STOP, 103),
        (w.SELL, w.TAKE_PROFIT, 102),
        (w.BUY, w.TAKE_PROFIT, 97),
        (w.SELL, w.STOP, 98),
        (w.SELL, w.TAKE_PROFIT, 102),
    ):
        book.submit(side, w.MARKET, 0, 1, trigger=trigger, trigger_ticks=ticks)
    assert happened(book) == []
    assert {state(book, order) for order in book.orders(0)} == {"WAITING"}
    sell(book, 1, at=103)
    buy(book, 1, at=103)
    assert [line for line in happened(book) if "triggered" in line] == [
        "4 triggered at 103",
        "7 triggered at 103",
        "3 triggered at 103",
    ]
    trade(book, 101)
    buy(book, 1, at=97)
    sell(book, 1, at=97)
    assert [line for line in happened(book) if "triggered" in line] == [
        "6 triggered at 97",
        "5 triggered at 97",
    ]


def test_a_trigger_that_is_met_already(make: Make) -> None:
    """The order is accepted, triggered at once, and trades."""
    book = make()
    trade(book, 100)
    sell(book, 5, at=101)
    buy(book, 2, at=102, trigger=w.STOP, trigger_ticks=100)
    assert told(book)[1:] == ["4 accepted", "4 triggered at 100", "4 trades 2 at 101 with 3"]


def test_a_triggered_order_is_looked_at_again(make: Make) -> None:
    """It may have become what is not taken: then it is cancelled for the same reason."""
    book = make()
    sell(book, 2, at=100)
    buy(book, 2, at=101, trigger=w.STOP, trigger_ticks=100, flags=w.POST_ONLY)
    buy(book, 1, at=100)
    assert happened(book) == [
        "3 trades 1 at 100 with 1",
        "2 triggered at 100",
        "2 cancelled, 2 left WOULD_TAKE",
    ]


def test_stops_go_off_in_a_row(make: Make) -> None:
    """The first one's trade triggers the second: first in, first out."""
    book = make()
    for at in (100, 101, 102):
        sell(book, 1, at=at)
    buy(book, 1, trigger=w.STOP, trigger_ticks=101)
    buy(book, 1, trigger=w.STOP, trigger_ticks=100)
    buy(book, 1)
    assert happened(book) == [
        "6 trades 1 at 100 with 1",
        "5 triggered at 100",
        "5 trades 1 at 101 with 2",
        "4 triggered at 101",
        "4 trades 1 at 102 with 3",
    ]


def test_a_trailing_stop_follows_by_ticks(make: Make) -> None:
    """Up with the trades, never down, and it goes off where they fall back to it."""
    book = make()
    order = sell(book, 1, trigger=w.TRAIL_TICKS, offset=3)
    assert book.order(order).trigger_ticks == 0, "no trade, no mark"
    marks = []
    for ticks in (100, 105, 103):
        trade(book, ticks)
        marks.append(book.order(order).trigger_ticks)
    assert marks == [97, 102, 102]
    buy(book, 1, at=102)
    sell(book, 1, at=102)
    assert "1 triggered at 102" in happened(book)


def test_a_trailing_stop_follows_by_basis_points(make: Make) -> None:
    """A part of the mark, rounded down but at least one tick; a buy follows downwards."""
    book = make()
    trade(book, 1000)
    one, other = (buy(book, 1, trigger=w.TRAIL_BPS, offset=bps) for bps in (25, 1))
    assert [book.order(order).trigger_ticks for order in (one, other)] == [1002, 1001]
    trade(book, 900, 901)
    assert book.order(one).trigger_ticks == 902
    assert book.order(other) is None


def test_one_cancels_the_other(make: Make) -> None:
    """By a trade of one, however small; only orders of the same owner."""
    book = make()
    for owner in (7, 8):
        sell(book, 5, at=101, owner=owner, group=1)
        sell(book, 5, trigger=w.STOP, trigger_ticks=95, owner=owner, group=1)
    buy(book, 1, at=101)
    assert happened(book) == ["5 trades 1 at 101 with 1", "2 cancelled, 5 left BY_GROUP"]
    assert (book.orders(7), book.orders(8)) == ([1], [3, 4])
    book.cancel(4)
    assert told(book) == ["4 cancelled, 5 left BY_CLIENT", "3 cancelled, 5 left BY_GROUP"]


def test_two_of_one_group_trade_with_each_other(make: Make) -> None:
    """Each cancels what is left of the other."""
    book = make()
    sell(book, 5, at=100, owner=7, group=1)
    buy(book, 3, at=100, owner=7, group=1)
    assert happened(book) == ["2 trades 3 at 100 with 1", "1 cancelled, 2 left BY_GROUP"]


def test_one_triggers_the_other(make: Make) -> None:
    """A child wakes up when its parent is filled in full, and not before."""
    book = make()
    parent = buy(book, 5, at=100, owner=7)
    child = sell(book, 5, at=105, owner=7, parent=parent)
    sell(book, 4, at=100)
    assert happened(book) == ["3 trades 4 at 100 with 1"]
    assert (state(book, child), book.order(child).shown) == ("DORMANT", 0)
    sell(book, 1, at=100)
    assert happened(book) == ["4 trades 1 at 100 with 1", "2 activated"]
    assert book.levels(w.SELL) == [(105, 5)]


def test_children_go_with_a_parent_that_is_not_filled(make: Make) -> None:
    """And their children with them, each before the next."""
    book = make()
    buy(book, 5, at=100)
    sell(book, 5, at=105, parent=1)
    buy(book, 5, at=99, parent=2)
    sell(book, 5, at=106, parent=1)
    book.cancel(1)
    assert happened(book) == [
        "1 cancelled, 5 left BY_CLIENT",
        "2 cancelled, 5 left BY_PARENT",
        "3 cancelled, 5 left BY_PARENT",
        "4 cancelled, 5 left BY_PARENT",
    ]


def test_a_bracket(make: Make) -> None:
    """An entry, and once it is filled a profit to take or a loss to stop, of which one happens."""
    book = make()
    buy(book, 2, at=100, owner=7)
    sell(book, 2, at=110, owner=7, parent=1, group=1)
    sell(book, 2, owner=7, parent=1, group=1, trigger=w.STOP, trigger_ticks=95)
    sell(book, 2, at=100)
    assert happened(book) == ["4 trades 2 at 100 with 1", "2 activated", "3 activated"]
    assert [state(book, order) for order in (2, 3)] == ["RESTING", "WAITING"]
    buy(book, 1, at=95)
    buy(book, 9, at=94)
    sell(book, 1, at=95)
    assert happened(book) == [
        "7 trades 1 at 95 with 5",
        "3 triggered at 95",
        "2 cancelled, 2 left BY_GROUP",
        "3 trades 2 at 94 with 6",
    ]
    assert book.position(7) == 0


def test_replacing_keeps_the_place_for_less(make: Make) -> None:
    """And loses it for more lots or another price."""
    book = make()
    for _ in range(3):
        buy(book, 5, at=100)
    book.replace(1, lots=3)
    assert [row[0] for row in book.resting(w.BUY)] == [1, 2, 3]
    book.replace(1, lots=4)
    assert [row[0] for row in book.resting(w.BUY)] == [2, 3, 1]
    book.replace(2, ticks=99)
    book.replace(2, ticks=100)
    assert [row[0] for row in book.resting(w.BUY)] == [3, 1, 2]
    assert happened(book)[:2] == ["1 replaced: 3 at 100", "1 replaced: 4 at 100"]


def test_replacing_speaks_of_the_total(make: Make) -> None:
    """What is filled counts; a total that is filled already is none. What it may take, it takes."""
    book = make()
    buy(book, 5, at=100)
    sell(book, 3, at=100)
    sell(book, 3, at=102)
    book.reports()
    book.replace(1, lots=3)
    book.replace(1, ticks=102, lots=10)
    assert told(book) == [
        "1 not replaced INVALID",
        "1 replaced: 10 at 102",
        "1 trades 3 at 102 with 3",
    ]
    assert book.order(1)[5:8] == (102, 10, 4)


def test_what_is_kept_is_not_looked_at_again(make: Make) -> None:
    """A total that a cut left below every limit may stay; a new price must be worth it."""
    book = make(notional_min=300, lots_step=2)
    sell(book, 6, at=100, owner=7)
    buy(book, 4, at=100, owner=7, stp=w.STP_DECREMENT)
    book.reports()
    book.replace(1)
    book.replace(1, ticks=101)
    book.replace(1, lots=2)
    book.replace(1, ticks=150)
    assert told(book) == [
        "1 replaced: 2 at 100",
        "1 not replaced NOTIONAL",
        "1 not replaced NOTIONAL",
        "1 replaced: 2 at 150",
    ]


@pytest.mark.parametrize(
    ("order", "ticks", "lots", "reason"),
    [
        (9, 100, 0, "UNKNOWN_ORDER"),
        (2, -1, 0, "INVALID"),
        (3, 100, 0, "INVALID"),
        (2, 101, 0, "TICK"),
        (2, 0, 5, "LOT"),
        (2, 0, 2, "NOTIONAL"),
        (2, 200, 0, "BAND"),
        (2, 104, 0, "WOULD_TAKE"),
    ],
)
def test_each_refusal_to_replace(
    make: Make, order: int, ticks: int, lots: int, reason: str
) -> None:
    """The order stays as it was."""
    book = make(ticks_step=2, lots_step=2, notional_min=300, band_bps=2000)
    book.last = 100
    sell(book, 4, at=104)
    buy(book, 4, at=98, flags=w.POST_ONLY)
    buy(book, 4, kind=w.PEGGED)
    before = book.resting(w.BUY), book.order(2)
    book.reports()
    book.replace(order, ticks, lots)
    assert told(book) == [f"{order} not replaced {reason}"]
    assert (book.resting(w.BUY), book.order(2)) == before


def test_a_waiting_order_takes_new_numbers(make: Make) -> None:
    """And goes on waiting for the same."""
    book = make()
    buy(book, 5, at=105, trigger=w.STOP, trigger_ticks=103)
    book.replace(1, ticks=104, lots=2)
    assert book.order(1)[4:] == (w.WAITING, 104, 2, 2, 0, 103)
    trade(book, 103)
    assert book.resting(w.BUY) == [(1, 104, 2, 2)]


def test_pegs_follow_and_park(make: Make) -> None:
    """Behind the best of their side that is no peg, no further than they may, parked without one."""
    book = make()
    buy(book, 1, kind=w.PEGGED)
    buy(book, 2, kind=w.PEGGED, at=99, offset=1)
    assert [state(book, order) for order in (1, 2)] == ["PARKED", "PARKED"]
    buy(book, 3, at=97)
    assert happened(book) == ["1 moved to 97", "2 moved to 96"]
    buy(book, 3, at=105)
    assert happened(book) == ["1 moved to 105", "2 moved to 99"]
    assert [row[:2] for row in book.resting(w.BUY)] == [(4, 105), (1, 105), (2, 99), (3, 97)]
    book.mass_cancel(side=w.SELL)
    book.cancel(4)
    book.cancel(3)
    assert happened(book)[-2:] == ["1 moved to 0", "2 moved to 0"]
    assert book.best(w.BUY) == (0, 0)


def test_time_ends_what_is_good_till_then(make: Make) -> None:
    """In the order of their times; time never goes back."""
    book = make()
    buy(book, 1, at=100, tif=w.GTD, expire_ns=20)
    buy(book, 1, at=100, tif=w.GTD, expire_ns=10)
    sell(book, 1, at=101, parent=2)
    book.advance(9)
    assert happened(book) == []
    book.advance(20)
    book.advance(5)
    assert happened(book) == [
        "2 expired, 1 left OUT_OF_TIME",
        "3 cancelled, 1 left BY_PARENT",
        "1 expired, 1 left OUT_OF_TIME",
    ]
    assert book.now_ns == 20


def test_the_day_ends_what_is_good_for_it(make: Make) -> None:
    """Waiting or resting; what is good till cancelled stays."""
    book = make()
    buy(book, 1, at=100, tif=w.DAY)
    buy(book, 1, at=100)
    buy(book, 1, tif=w.DAY, trigger=w.STOP, trigger_ticks=105)
    book.end_day()
    assert happened(book) == ["1 expired, 1 left END_OF_DAY", "3 expired, 1 left END_OF_DAY"]


def test_a_mass_cancel(make: Make) -> None:
    """Of an owner, of a side, of all."""
    book = make()
    for owner in (7, 8):
        buy(book, 1, at=100, owner=owner)
        sell(book, 1, at=101, owner=owner)
    book.mass_cancel(owner=7, side=w.SELL)
    book.mass_cancel(owner=8)
    book.mass_cancel()
    assert happened(book) == [f"{order} cancelled, 1 left BY_MASS" for order in (2, 3, 4, 1)]
    book.cancel(1)
    assert told(book) == ["1 not cancelled UNKNOWN_ORDER"]
