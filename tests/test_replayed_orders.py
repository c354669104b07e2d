"""Orders given to a replayed market: cancelled, replaced, rejected, refused."""

import pytest

from engine.exchange.replayed_levels import Impact
from engine.exchange.replayed_orders import Limits, UnsupportedOrder
from engine.messages import BUY, SELL
from ext.matching import (
    BY_CLIENT,
    BY_MASS,
    CANCEL_REJECTED,
    CANCELLED,
    CONTINUOUS,
    FULL,
    GTD,
    INVALID,
    IOC,
    LIMIT,
    LOT,
    MARKET,
    NOTIONAL,
    PEGGED,
    POST_ONLY,
    REDUCE_ONLY,
    REJECTED,
    REPLACE_REJECTED,
    REPLACED,
    RESTING,
    SELF_TRADE,
    SLIDE,
    STOP,
    STP_OLDEST,
    TICK,
    TRADE,
    UNKNOWN_ORDER,
    WOULD_TAKE,
    OrderView,
)
from tests.test_replayed_rules import market, told

# --- cancel and replace ----------------------------------------------------------------------------


def test_cancel() -> None:
    """Once; a second, or of what never was, is rejected."""
    made = market()
    number = made.submit(BUY, LIMIT, 100, 5)
    made.trade(100, 12, SELL)
    made.cancel(number)
    made.cancel(number)
    assert told(made)[2:] == [
        (CANCELLED, BY_CLIENT, 100, 3, 0),
        (CANCEL_REJECTED, UNKNOWN_ORDER, 0, 0, 0),
    ]


def test_mass_cancel() -> None:
    """Of an owner, of a side, or of all."""
    made = market()
    for owner, side, ticks in ((1, BUY, 98), (1, SELL, 105), (2, BUY, 98), (2, SELL, 105)):
        made.submit(side, LIMIT, ticks, 1, owner=owner)
    made.mass_cancel(1, SELL)
    assert (made.orders(1), made.orders(2)) == ([1], [3, 4])
    made.mass_cancel(2)
    made.mass_cancel()
    assert [r.order for r in made.reports() if r.reason == BY_MASS] == [2, 3, 4, 1]


def test_fewer_lots_keep_the_place_and_anything_else_loses_it() -> None:
    """The total counts what is filled; a new price enters anew, and may take."""
    made = market()
    number = made.submit(BUY, LIMIT, 100, 7)
    made.trade(100, 12, SELL)
    made.level(BUY, 100, 0)
    made.level(BUY, 100, 6)
    made.replace(number, lots=4)
    assert told(made)[2:] == [(REPLACED, 0, 100, 4, 2)]
    assert made.queue(number) == (0, 6)
    made.replace(number, lots=5)
    assert made.queue(number) == (6, 0)
    made.replace(number, ticks=102, lots=10)
    assert told(made)[1:] == [(REPLACED, 0, 102, 10, 8), (TRADE, 0, 102, 5, 3)]


@pytest.mark.parametrize(
    ("ticks", "lots", "reason"),
    [(0, 2, INVALID), (-1, 0, INVALID), (0, -1, INVALID), (102, 0, WOULD_TAKE), (100, 301, LOT)],
)
def test_a_replacement_that_cannot_be(ticks: int, lots: int, reason: int) -> None:
    """It changes nothing: 2 of 7 are filled."""
    made = market(limits=Limits(lots_max=300))
    number = made.submit(BUY, LIMIT, 100, 7, flags=POST_ONLY)
    made.trade(100, 12, SELL)
    made.reports()
    made.replace(number, ticks, lots)
    assert [r[:2] for r in told(made)] == [(REPLACE_REJECTED, reason)]
    assert made.order(number) == OrderView(number, 0, BUY, LIMIT, RESTING, 100, 7, 5, 5, 0)
    made.replace(99)
    assert [r[:2] for r in told(made)] == [(REPLACE_REJECTED, UNKNOWN_ORDER)]


# --- refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "arguments"),
    [
        (INVALID, {"side": 0}),
        (INVALID, {"lots": 0}),
        (INVALID, {"ticks": 0}),
        (INVALID, {"kind": MARKET}),
        (INVALID, {"owner": -1}),
        (INVALID, {"flags": POST_ONLY, "tif": IOC}),
        (TICK, {"ticks": 99}),
        (LOT, {"lots": 9}),
        (LOT, {"lots": 102}),
        (NOTIONAL, {"ticks": 10, "lots": 2}),
        (WOULD_TAKE, {"ticks": 102, "flags": POST_ONLY}),
        (FULL, {"ticks": 98}),
    ],
)
def test_rejected(reason: int, arguments: dict[str, int]) -> None:
    """With a number and a reason, and nothing left of it."""
    limits = Limits(ticks_step=2, lots_max=100, lots_step=2, notional_min=50)
    made = market(limits=limits, orders_max=1 if reason == FULL else 2)
    made.submit(BUY, LIMIT, 98, 2)
    made.reports()
    number = made.submit(**{"side": BUY, "kind": LIMIT, "ticks": 100, "lots": 2} | arguments)
    assert [(r.kind, r.reason, r.order, r.leaves) for r in made.reports()] == [
        (REJECTED, reason, number, 0)
    ]
    assert (number, len(made)) == (2, 1)


@pytest.mark.parametrize(
    ("what", "arguments"),
    [
        ("kind 3", {"kind": PEGGED}),
        ("tif 4", {"tif": GTD, "expire_ns": 5}),
        ("flags 2", {"flags": SLIDE}),
        ("flags 5", {"flags": REDUCE_ONLY | POST_ONLY}),
        ("stp 2", {"stp": STP_OLDEST}),
        ("trigger 1", {"trigger": STOP, "trigger_ticks": 101}),
        ("display 1", {"display": 1}),
        ("group 4", {"group": 4}),
        ("parent 1", {"parent": 1}),
    ],
)
def test_unsupported(what: str, arguments: dict[str, int]) -> None:
    """Said in words, at once, and nothing is changed: not even a number is used up."""
    made = market()
    with pytest.raises(UnsupportedOrder, match=f"post-only or not: not {what}$"):
        made.submit(**{"side": BUY, "kind": LIMIT, "ticks": 100, "lots": 1} | arguments)
    assert (made.next_order, made.reports()) == (1, [])


def test_orders_of_ours_do_not_trade_with_each_other() -> None:
    """The incoming one takes what is better than our own, and ends where it would meet it."""
    made = market()
    made.submit(SELL, LIMIT, 103, 4)
    made.submit(BUY, LIMIT, 104, 9)
    assert told(made)[2:] == [(TRADE, 0, 102, 5, 4), (CANCELLED, SELF_TRADE, 104, 4, 0)]
    made.submit(BUY, LIMIT, 103, 1, flags=POST_ONLY)
    assert told(made) == [(REJECTED, WOULD_TAKE, 103, 1, 0)]
    made.submit(BUY, MARKET, 0, 1)
    assert told(made)[1:] == [(CANCELLED, SELF_TRADE, 0, 1, 0)]


def test_what_a_venue_asks_of_a_book() -> None:
    """What rests, dearer where taking has an impact; no phase but one, and no market data."""
    made = market(impact=Impact(2.0, 4))
    made.end_day()
    assert made.resting(SELL) == [(0, 102 + 3, 5, 5), (0, 103 + 4, 8, 8)]
    assert made.resting(BUY) == [(0, 100 - 4, 10, 10), (0, 99 - 6, 20, 20)]
    assert (made.phase, made.order_changes(), made.level_changes()) == (CONTINUOUS, [], [])
