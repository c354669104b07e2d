"""Budgets and lanes: never past the limit, the important first, nothing sent late."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.messages import CallKind
from engine.orders.lanes import (
    CAPACITIES,
    NEVER,
    SHARES,
    STEPS,
    Lane,
    Lanes,
    LanesState,
    Waiting,
    Wish,
)
from engine.venues.trading import Budget, UsageSeen

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
WEIGHT = (("weight", 1),)


def lanes(limit: int = 10, interval_ns: int = SECOND, **more: int) -> Lanes:
    """One budget."""
    return Lanes([Budget("weight", limit, interval_ns)], **more)


def wish(name: str = "", kind: CallKind = CallKind.CREATE) -> Wish:
    """Something to ask."""
    return Wish(kind, name)


def open_to_all(lane: Lane) -> bool:
    """The breaker is closed."""
    return True


@given(
    st.lists(
        st.tuples(
            st.integers(0, SECOND // 2),
            st.sampled_from(Lane),
            st.integers(1, 12),
            st.booleans(),
        ),
        max_size=80,
    )
)
def test_no_window_of_the_interval_ever_holds_more_than_the_limit(
    asked: list[tuple[int, Lane, int, bool]],
) -> None:
    """Held against the plain list of what left; and a lane leaves its share to those above it."""
    made, now_ns = lanes(), SECOND
    left: list[tuple[int, int]] = []
    heavy: dict[str, int] = {}

    def leaves(lane: Lane, weight: int) -> None:
        left.append((now_ns, weight))
        recent = sum(w for at, w in left if at > now_ns - SECOND)
        assert recent * 100 <= 10 * SHARES[lane] or recent == weight <= 10

    for number, (wait_ns, lane, weight, waits) in enumerate(asked):
        now_ns += wait_ns
        if made.take(lane, (("weight", weight),), now_ns):
            leaves(lane, weight)
        elif waits:
            heavy[str(number)] = weight
            made.wait(lane, Waiting(wish(str(number)), (("weight", weight),), 0))
        while (found := made.next(now_ns, open_to_all)) is not None:
            leaves(found[0], heavy[found[1].name])


@given(st.lists(st.tuples(st.integers(0, 3 * SECOND), st.integers(1, 10)), max_size=60))
def test_what_is_known_of_a_window_is_never_less_than_what_left(
    spent: list[tuple[int, int]],
) -> None:
    """The steps round up: time only lets go of what is surely older than the interval."""
    window = lanes().windows["weight"]
    now_ns = SECOND
    left: list[tuple[int, int]] = []
    for wait_ns, weight in spent:
        now_ns += wait_ns
        window.pass_time(now_ns)
        window.spend(weight, now_ns)
        left.append((now_ns, weight))
        exact = sum(w for at, w in left if at > now_ns - SECOND)
        slack = sum(w for at, w in left if at > now_ns - SECOND - 2 * (SECOND // STEPS + 1))
        assert exact <= window.used <= slack


def test_higher_lanes_go_first_and_find_room() -> None:
    """Data may use 70 % of a budget, orders 85, what reduces 95; a cancel all of it."""
    made = lanes(100)
    sent = dict.fromkeys(Lane, 0)
    for lane in reversed(Lane):
        while made.take(lane, WEIGHT, SECOND):
            sent[lane] += 1
    assert sent == {Lane.DATA: 70, Lane.OPEN: 15, Lane.REDUCE: 10, Lane.CANCEL: 5}
    for lane in reversed(Lane):
        assert made.wait(lane, Waiting(wish(lane.name), WEIGHT, 0))
    assert made.next(SECOND, open_to_all) is None
    later = 3 * SECOND
    order = [made.next(later, open_to_all) for _ in Lane]
    assert [found[0] for found in order if found] == list(Lane)


def test_who_waits_is_not_overtaken_by_its_own_lane_or_a_lower_one() -> None:
    """A light request does not slip past a heavy one that waits for the same budget."""
    made = lanes(10)
    assert made.take(Lane.CANCEL, (("weight", 8),), SECOND)
    assert made.wait(Lane.REDUCE, Waiting(wish("heavy"), (("weight", 5),), 0))
    assert not made.take(Lane.DATA, WEIGHT, SECOND)
    assert not made.take(Lane.REDUCE, WEIGHT, SECOND)
    assert made.take(Lane.CANCEL, WEIGHT, SECOND), "a cancel does"


def test_another_budget_is_not_held_up() -> None:
    """An order that waits for the orders' budget lets a question of the other one pass."""
    made = Lanes([Budget("weight", 100, SECOND), Budget("orders", 1, SECOND)])
    order = (("weight", 1), ("orders", 1))
    assert made.take(Lane.OPEN, order, SECOND)
    assert not made.take(Lane.OPEN, order, SECOND)
    made.wait(Lane.OPEN, Waiting(wish("b"), (("orders", 1),), 0))
    assert made.take(Lane.DATA, WEIGHT, SECOND)


def test_when_the_next_may_leave_is_when_it_does() -> None:
    """Not a moment before, and at that moment."""
    made = lanes(2)
    assert made.take(Lane.CANCEL, WEIGHT, SECOND)
    assert made.take(Lane.CANCEL, WEIGHT, SECOND + 1)
    made.wait(Lane.CANCEL, Waiting(wish("a"), WEIGHT, 0))
    due_ns = made.next_ns(SECOND + 2)
    assert due_ns > 2 * SECOND
    assert made.next(due_ns - 1, open_to_all) is None
    assert made.next(due_ns, open_to_all) == (Lane.CANCEL, wish("a"))
    assert made.next_ns(due_ns) == NEVER


def test_what_waited_too_long_is_given_back_and_never_sent() -> None:
    """An order is good until it expires; the timer comes for that too."""
    made = lanes(1)
    made.take(Lane.CANCEL, WEIGHT, SECOND)
    made.wait(Lane.OPEN, Waiting(wish("a"), WEIGHT, SECOND + 100))
    assert made.next_ns(SECOND) == SECOND + 101
    assert made.expired(SECOND + 100) == []
    assert made.expired(SECOND + 101) == [wish("a")]
    assert made.next(MINUTE, open_to_all) is None


def test_a_lane_is_bounded_and_says_what_it_shed() -> None:
    """The same wish twice waits once."""
    made = lanes(1)
    made.take(Lane.CANCEL, WEIGHT, SECOND)
    for number in range(CAPACITIES[Lane.OPEN]):
        assert made.wait(Lane.OPEN, Waiting(wish(str(number)), WEIGHT, 0))
    assert made.wait(Lane.OPEN, Waiting(wish("0"), WEIGHT, 0))
    assert not made.wait(Lane.OPEN, Waiting(wish("one more"), WEIGHT, 0))
    assert (made.waiting, made.shed) == (CAPACITIES[Lane.OPEN], 1)


def test_the_venues_own_count_is_believed_where_it_is_higher() -> None:
    """Others use the host too; a lower count may be of another window."""
    made = lanes(100, MINUTE)
    made.take(Lane.DATA, (("weight", 10),), SECOND)
    made.learn(UsageSeen("weight", 69), SECOND)
    assert made.windows["weight"].used == 69
    made.learn(UsageSeen("weight", 1), SECOND)
    assert made.windows["weight"].used == 69
    assert made.take(Lane.DATA, WEIGHT, SECOND)
    assert not made.take(Lane.DATA, WEIGHT, SECOND)
    made.learn(UsageSeen("weight", 0, limit=200), SECOND)
    assert made.take(Lane.DATA, WEIGHT, SECOND), "the venue raised its limit"
    made.learn(UsageSeen("a budget of no name", 5), SECOND)


def test_a_host_is_shared() -> None:
    """Two venues of the configuration at one host have half each, of what is the host's."""
    made = Lanes(
        [Budget("weight", 10, SECOND), Budget("orders", 10, SECOND, per_host=False)], sharers=2
    )
    assert {name: window.limit for name, window in made.windows.items()} == {
        "weight": 5,
        "orders": 10,
    }


def test_what_is_too_heavy_for_its_share_goes_when_nothing_else_did() -> None:
    """A question that weighs 80 of 100 is asked, but alone."""
    made = lanes(100)
    heavy = (("weight", 80),)
    assert made.take(Lane.DATA, heavy, SECOND)
    assert not made.take(Lane.DATA, heavy, SECOND)
    assert made.take(Lane.DATA, heavy, 3 * SECOND)
    made.wait(Lane.DATA, Waiting(wish("x"), (("weight", 101),), 0))
    assert made.next_ns(9 * SECOND) == NEVER


@pytest.mark.parametrize("back_ns", [1, SECOND, 10**15])
def test_a_clock_that_was_set_back_neither_frees_nor_starves(back_ns: int) -> None:
    """What left is as old as it was."""
    made = lanes(10)
    assert made.take(Lane.CANCEL, (("weight", 10),), 2 * 10**15)
    now_ns = 2 * 10**15 - back_ns
    assert not made.take(Lane.CANCEL, WEIGHT, now_ns)
    assert made.take(Lane.CANCEL, WEIGHT, now_ns + SECOND + SECOND // STEPS + 2)


def test_goes_on_after_a_restart() -> None:
    """The snapshot is all of it."""
    made, again = lanes(3), lanes(3)
    made.take(Lane.OPEN, WEIGHT, SECOND)
    made.wait(Lane.OPEN, Waiting(wish("a"), WEIGHT, 5 * SECOND))
    data = msgspec.msgpack.encode(made.snapshot())
    again.restore(msgspec.msgpack.decode(data, type=LanesState))
    assert again.snapshot() == made.snapshot()
    assert again.next(9 * SECOND, open_to_all) == made.next(9 * SECOND, open_to_all)
    assert again.snapshot() == made.snapshot()
