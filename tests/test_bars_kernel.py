"""The bar kernel: one suite for it and its twin, both held together on storms and on real trades."""

import gzip
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.messages import BarKind
from engine.units import parse_decimal
from ext import bars as kernel
from ext.bars import CLOSED_MAX, COLUMNS, DOLLAR, FIELDS, FILL_MAX, TICK, TIME, VOLUME
from tests.twins import bars as twin

INT64_MAX = (1 << 63) - 1
Trade = tuple[int, int, int, int]
Make = Callable[..., Any]


@pytest.fixture(params=[kernel, twin], ids=["kernel", "twin"])
def builder(request: pytest.FixtureRequest) -> Make:
    """The class under test."""
    module: ModuleType = request.param
    made: Make = module.BarBuilder
    return made


def named(row: tuple[int, ...]) -> dict[str, int]:
    """A row by the names of its fields."""
    return dict(zip(FIELDS, row, strict=True))


def feed(made: Any, trades: Iterable[Trade]) -> list[tuple[int, ...]]:
    """All bars that trades close."""
    return [row for trade in trades for row in made.add(*trade)]


def test_a_time_bar_is_closed_by_a_trade_of_a_later_interval(builder: Make) -> None:
    """Aligned to the epoch, whatever the first trade's time; the closing trade is in the next bar."""
    made = builder(TIME, 100)
    assert feed(made, [(1010, 50, 3, 1), (1020, 55, 1, -1), (1099, 45, 2, 1)]) == []
    (row,) = made.add(1100, 60, 7, -1)
    assert named(row) == {
        "open_ns": 1000, "close_ns": 1100, "open": 50, "high": 55, "low": 45, "close": 45,
        "lots": 6, "buy_lots": 5, "notional": 150 + 55 + 90, "count": 3, "gaps": 0,
    }  # fmt: skip
    assert named(made.current)["open"] == 60
    assert made.due_ns == 1200


def test_empty_intervals_give_no_bar_or_flat_ones(builder: Make) -> None:
    """By default none; with `fill_gaps` one at the last close each, by trade and by timer alike."""
    assert len(feed(builder(TIME, 10), [(5, 9, 1, 1), (45, 8, 1, 1)])) == 1
    for end in (lambda made: made.add(45, 8, 1, 1), lambda made: made.close_until(45)):
        made = builder(TIME, 10, True)
        assert made.add(5, 9, 1, 1) == ()
        closed = end(made)
        assert [row[:2] for row in closed] == [(0, 10), (10, 20), (20, 30), (30, 40)]
        assert closed[3] == (30, 40, 9, 9, 9, 9, 0, 0, 0, 0, 0)
    assert made.due_ns == 50
    assert builder(TIME, 10, True).due_ns == 0, "nothing can be filled before a first trade"


def test_a_clock_that_jumps_does_not_fill_the_memory(builder: Make) -> None:
    """A hole of more than FILL_MAX intervals is left open and counted."""
    made = builder(TIME, 10, True)
    made.add(0, 9, 1, 1)
    assert len(made.add(10 * (FILL_MAX + 1), 9, 1, 1)) == 1 + FILL_MAX
    assert made.unfilled == 0
    assert len(made.add(10 * (2 * FILL_MAX + 3), 9, 1, 1)) == 1
    assert made.unfilled == FILL_MAX + 1
    assert len(made.close_until(1 << 61)) == 1
    assert made.close_until(1 << 61) == ()
    assert made.due_ns == (1 << 61) // 10 * 10 + 10


def test_a_timer_closes_once_the_interval_is_over(builder: Make) -> None:
    """Not a nanosecond before; a trade of that interval that comes after is late, in the next bar."""
    made = builder(TIME, 100)
    made.add(150, 9, 1, 1)
    assert made.close_until(199) == ()
    assert [row[:2] for row in made.close_until(200)] == [(100, 200)]
    assert (made.due_ns, made.current) == (0, None)
    assert made.add(180, 7, 1, 1) == ()
    assert named(made.current)["open_ns"] == 200
    assert made.late == 1
    made.add(170, 7, 1, 1)
    assert made.late == 2


def test_other_kinds_are_not_closed_by_time(builder: Make) -> None:
    """`close_until` leaves them alone."""
    for kind in (TICK, VOLUME, DOLLAR):
        made = builder(kind, 100)
        made.add(1, 9, 1, 1)
        assert (made.close_until(1 << 60), made.due_ns) == ((), 0)


def test_a_tick_bar_is_closed_by_its_last_trade(builder: Make) -> None:
    """Three trades a bar; its times are those of its first and newest trade."""
    made = builder(TICK, 3)
    rows = feed(made, [(10 * i, 100 + i, 2, 0) for i in range(7)])
    assert [(row[0], row[1], row[2], row[5], row[9]) for row in rows] == [
        (0, 20, 100, 102, 3),
        (30, 50, 103, 105, 3),
    ]


def test_a_volume_bar_holds_exactly_its_lots(builder: Make) -> None:
    """A trade that crosses the threshold is split, over as many bars as it takes."""
    made = builder(VOLUME, 10)
    assert made.add(1, 100, 4, 1) == ()
    rows = made.add(2, 110, 30, -1)
    assert [row[6] for row in rows] == [10, 10, 10]
    assert named(rows[0]) == {
        "open_ns": 1, "close_ns": 2, "open": 100, "high": 110, "low": 100, "close": 110,
        "lots": 10, "buy_lots": 4, "notional": 400 + 660, "count": 2, "gaps": 0,
    }  # fmt: skip
    assert named(rows[2])["count"] == 1
    assert named(made.current)["lots"] == 4
    assert len(made.add(3, 100, 6, 1)) == 1
    assert made.current is None


def test_a_dollar_bar_takes_the_crossing_trade_whole(builder: Make) -> None:
    """The notional is the threshold or more, and nothing is carried over."""
    made = builder(DOLLAR, 1000)
    assert made.add(1, 100, 9, 1) == ()
    (row,) = made.add(2, 100, 500, 1)
    assert named(row)["notional"] == 50_900
    assert made.current is None
    (row,) = made.add(2, 1000, 1, 1)
    assert named(row)["notional"] == 1000


def test_a_late_trade_is_folded_in_and_no_bar_begins_before_the_last_ended(builder: Make) -> None:
    """It counts as late once, also when it is split; prices and lots are as of any trade."""
    made = builder(TIME, 100)
    feed(made, [(250, 9, 1, 1), (120, 5, 1, 1)])
    assert (made.late, named(made.current)["low"]) == (1, 5)
    for kind, size in ((TICK, 1), (VOLUME, 1), (DOLLAR, 1)):
        made = builder(kind, size)
        rows = feed(made, [(50, 1, 1, 1), (20, 1, 3 if kind == VOLUME else 1, 1)])
        assert made.late == 1
        assert all(row[:2] == (50, 50) for row in rows)


def test_notional_has_128_bits(builder: Make) -> None:
    """Ten thousand bitcoins in satoshis and cents are beyond int64, and exact."""
    made = builder(TIME, 100)
    feed(made, [(1, 10_000_000, 10**12, 1), (2, INT64_MAX, 10**18, -1)])
    (row,) = made.close_until(100)
    assert named(row)["notional"] == 10**19 + INT64_MAX * 10**18
    made = builder(DOLLAR, 10**20)
    assert feed(made, [(1, 10**7, 10**12, 1)] * 9) == []
    assert named(made.add(1, 10**7, 10**12, 1)[0])["notional"] == 10**20


def test_what_no_bar_can_hold_changes_nothing(builder: Make) -> None:
    """Lots beyond 64 bits and a trade worth too many bars raise, and the bar goes on."""
    for kind, size in ((TIME, 100), (TICK, 9), (DOLLAR, 1 << 125)):
        made = builder(kind, size)
        made.add(1, 1, INT64_MAX, 1)
        before = made.current
        with pytest.raises(OverflowError):
            made.add(2, 5, 1, 1)
        assert made.current == before
    made = builder(VOLUME, 2)
    made.add(1, 1, 1, 1)
    with pytest.raises(OverflowError):
        made.add(2, 1, 2 * CLOSED_MAX + 1, 1)
    assert named(made.current)["lots"] == 1
    assert len(made.add(2, 1, 2 * CLOSED_MAX, 1)) == CLOSED_MAX


@pytest.mark.parametrize(
    "trade",
    [(-1, 1, 1, 1), (1 << 62, 1, 1, 1), (1, 0, 1, 1), (1, -5, 1, 1), (1, 1, 0, 1), (1, 1, 1, 2)],
    ids=str,
)
def test_a_trade_that_cannot_be_is_refused(builder: Make, trade: Trade) -> None:
    """A ValueError, and no bar is begun."""
    made = builder(TIME, 100)
    with pytest.raises(ValueError, match=r"."):
        made.add(*trade)
    assert made.current is None


@pytest.mark.parametrize(
    "wrong",
    [(0, 5), (5, 5), (TIME, 0), (TICK, -1), (TIME, (1 << 61) + 1), (VOLUME, 1 << 63),
     (DOLLAR, (1 << 126) + 1), (TICK, 5, True)],
    ids=str,
)  # fmt: skip
def test_a_builder_that_cannot_be_is_refused(wrong: tuple[int, ...]) -> None:
    """Kind, size and `fill_gaps` are held against what they can be."""
    with pytest.raises(ValueError, match=r"."):
        kernel.BarBuilder(*wrong)


def test_a_gap_is_in_the_bar_where_trades_are_missing(builder: Make) -> None:
    """The open bar has it, else the next one, flat ones too; and only that one."""
    made = builder(TIME, 10, True)
    made.mark_gap()
    made.add(1, 9, 1, 1)
    made.mark_gap()
    (first,) = made.close_until(10)
    made.mark_gap()
    flat, last = made.close_until(30)
    assert [first[10], flat[10], last[10]] == [2, 1, 0]


def test_a_reset_forgets_prices_of_another_grid(builder: Make) -> None:
    """The open bar is dropped, nothing is filled from its price, and the next bar says so."""
    made = builder(TIME, 10, True)
    feed(made, [(1, 9, 1, 1), (12, 9, 1, 1)])
    made.reset()
    assert (made.current, made.due_ns) == (None, 0)
    assert made.add(95, 900, 1, 1) == ()
    assert named(made.close_until(100)[0])["gaps"] == 1


def columns_of(rows: list[tuple[int, ...]]) -> dict[str, list[int]]:
    """Rows as `add_many` gives them."""
    found: dict[str, list[int]] = {name: [] for name in COLUMNS}
    for row in rows:
        fields = named(row)
        notional = fields.pop("notional")
        fields |= {"notional_low": notional & ((1 << 64) - 1), "notional_high": notional >> 64}
        for name in COLUMNS:
            found[name].append(fields[name])
    return found


def arrays(trades: list[Trade]) -> list[np.ndarray[Any, Any]]:
    """Trades as four flat arrays."""
    table = np.array(trades, dtype=np.int64).reshape(-1, 4)
    return [np.ascontiguousarray(table[:, i]) for i in range(4)]


def test_many_at_once_are_whole_or_nothing() -> None:
    """One bad trade, whatever its place, or arrays of different lengths, leave no trace."""
    made = kernel.BarBuilder(TICK, 2)
    made.add(1, 5, 5, 1)
    before = made.dump()
    with pytest.raises(ValueError, match="above 0"):
        made.add_many(*arrays([(2, 5, 5, 1), (3, 5, 5, 1), (4, 5, 0, 1)]))
    with pytest.raises(OverflowError):
        made.add_many(*arrays([(2, 5, 5, 1), (3, 5, 5, 1), (4, 5, INT64_MAX, 1)]))
    with pytest.raises(ValueError, match="one length"):
        made.add_many(*arrays([(2, 5, 5, 1)])[:3], np.array([], dtype=np.int64))
    with pytest.raises(ValueError, match=r"."):
        made.add_many(*(column.astype(float) for column in arrays([(2, 5, 5, 1)])))
    assert made.dump() == before
    assert {len(column) for column in made.add_many(*arrays([])).values()} == {0}
    (count,) = made.add_many(*arrays([(2, 5, 5, 1)]))["count"]
    assert count == 2


def test_a_dump_is_of_one_kind_and_size_and_of_sound_numbers() -> None:
    """Other bytes are a ValueError, and the builder stays what it was."""
    made = kernel.BarBuilder(VOLUME, 10)
    feed(made, [(1, 5, 3, 1), (2, 7, 4, -1)])
    data = made.dump()
    for other in (kernel.BarBuilder(VOLUME, 11), kernel.BarBuilder(TICK, 10)):
        with pytest.raises(ValueError, match="dump of kind"):
            other.load(data)
    for torn in (b"", data[:-1], data + b"x", b"X" + data[1:], data[:4] + b"\xff" + data[5:]):
        with pytest.raises(ValueError, match="dump"):
            made.load(torn)
    refused = 0
    for place in range(24, len(data), 8):  # each number in turn, below zero
        with pytest.raises(ValueError, match="no trades give"):
            made.load(data[:place] + b"\xff" * 8 + data[place + 8 :])
        refused += 1
    assert refused == 16
    assert made.dump() == data


KINDS = st.sampled_from(
    [(TIME, 7, False), (TIME, 40, True), (TIME, 3, True), (TICK, 1, False), (TICK, 5, False),
     (VOLUME, 1, False), (VOLUME, 17, False), (DOLLAR, 1, False), (DOLLAR, 4000, False)]
)  # fmt: skip
TRADES = st.tuples(
    st.integers(0, 300),
    st.integers(90, 110) | st.integers(-1, 1 << 62),
    st.integers(1, 60) | st.sampled_from([0, INT64_MAX, INT64_MAX // 2]),
    st.integers(-1, 1),
)
STEPS = st.lists(
    TRADES | st.tuples(st.just("close"), st.integers(0, 400)) | st.sampled_from(["gap", "reset"]),
    max_size=40,
)


def act(made: Any, step: Any) -> object:
    """Do a step; what came of it, errors by their type."""
    try:
        if step == "gap":
            return made.mark_gap()
        if step == "reset":
            return made.reset()
        if step[0] == "close":
            return made.close_until(step[1])
        return made.add(*step)
    except (ValueError, OverflowError) as error:
        return type(error)


@given(kind=KINDS, steps=STEPS, cut=st.integers(0, 40))
def test_the_kernel_is_its_twin_and_lives_through_any_restore(
    kind: tuple[int, int, bool], steps: list[Any], cut: int
) -> None:
    """After every step of a storm all that can be seen is equal; a dump goes on like its origin."""
    made, slow = kernel.BarBuilder(*kind), twin.BarBuilder(*kind)
    for number, step in enumerate(steps):
        if number == cut:
            restored = kernel.BarBuilder(*kind)
            restored.load(made.dump())
            assert restored.dump() == made.dump()
            made = restored
        assert act(made, step) == act(slow, step)
        for name in ("current", "due_ns", "late", "unfilled"):
            assert getattr(made, name) == getattr(slow, name)


@given(kind=KINDS, trades=st.lists(TRADES.filter(lambda t: t[1] > 0 and 0 < t[2] < 61)))
def test_many_at_once_are_as_one_by_one(kind: tuple[int, int, bool], trades: list[Trade]) -> None:
    """The same columns, the same state after."""
    single, batch = kernel.BarBuilder(*kind), kernel.BarBuilder(*kind)
    expected = columns_of(feed(single, trades))
    found = batch.add_many(*arrays(trades))
    assert {name: list(column) for name, column in found.items()} == expected
    assert batch.dump() == single.dump()


def gemini(folder: Path) -> list[Trade]:
    """A day of ETH/USD at Gemini: cents, lots of 1e-8 ether."""
    path = folder / "ccapi" / "gemini__eth-usd__2021-07-01__trade.csv.gz"
    if not path.exists():
        pytest.skip(f"no recorded trades at {path}")
    trades = []
    with gzip.open(path, "rt") as lines:
        next(lines)
        for line in lines:
            seconds, price, size, is_buyer_maker = line.strip().split(",")
            side = -1 if is_buyer_maker == "1" else 1
            at_ns = parse_decimal(seconds, 9)
            trades.append((at_ns, parse_decimal(price, 2), parse_decimal(size, 8), side))
    return trades


MINUTE = 60_000_000_000


@pytest.mark.parametrize(
    ("kind", "size", "fill_gaps"),
    [(TIME, MINUTE, False), (TIME, MINUTE, True), (TICK, 100, False), (VOLUME, 5_000_000_000, False),
     (DOLLAR, 10**15, False)],
    ids=str,
)  # fmt: skip
def test_a_day_of_real_trades(recorded: Path, kind: int, size: int, fill_gaps: bool) -> None:
    """25,222 trades: the kernel's bars are the twin's, and hold every lot and cent of them."""
    trades = gemini(recorded)
    assert len(trades) == 25_222
    made, slow = kernel.BarBuilder(kind, size, fill_gaps), twin.BarBuilder(kind, size, fill_gaps)
    rows = feed(made, trades)
    assert rows == feed(slow, trades)
    batch = kernel.BarBuilder(kind, size, fill_gaps).add_many(*arrays(trades))
    assert {name: list(column) for name, column in batch.items()} == columns_of(rows)
    assert made.current is not None
    whole = [*rows, made.current]
    assert sum(row[6] for row in whole) == sum(lots for _, _, lots, _ in trades)
    assert sum(row[7] for row in whole) == sum(lots for *_, lots, side in trades if side == 1)
    assert sum(row[8] for row in whole) == sum(ticks * lots for _, ticks, lots, _ in trades)
    assert all(row[1] <= later[0] for row, later in pairwise(whole))
    if kind == TIME and fill_gaps:
        assert [row[0] for row in whole] == list(range(whole[0][0], whole[-1][1], MINUTE))
    if kind == VOLUME:
        assert {row[6] for row in rows} == {size}
    else:
        assert sum(row[9] for row in whole) == len(trades)


def test_the_kinds_are_the_vocabularys() -> None:
    """`BarKind` and the kernel speak of the same numbers."""
    assert {kind.name: kind.value for kind in BarKind} == {
        "TIME": TIME, "TICK": TICK, "VOLUME": VOLUME, "DOLLAR": DOLLAR,
    }  # fmt: skip
