"""A venue's clock: never further off than we say, and a jump is noticed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.orders.venue_clock import SAMPLES, UNMEASURED_NS, VenueClock

MS = 1_000_000
SECOND = 1000 * MS
NOW = 10**18


@given(
    st.integers(-60 * SECOND, 60 * SECOND),
    st.lists(st.tuples(st.integers(0, 400 * MS), st.integers(0, 400 * MS)), min_size=1),
)
def test_the_truth_is_within_the_error(offset_ns: int, ways: list[tuple[int, int]]) -> None:
    """However long the ways there and back were: the venue's clock shows at least `earliest`."""
    clock, now_ns = VenueClock(), NOW
    for there_ns, back_ns in ways:
        asked_ns = now_ns
        now_ns += there_ns
        venue_ns = now_ns + offset_ns
        now_ns += back_ns
        clock.measured(asked_ns, now_ns, venue_ns)
        assert abs(clock.offset_ns - offset_ns) <= clock.error_ns
        assert clock.earliest(now_ns) <= now_ns + offset_ns
    assert clock.jumps == 0
    assert clock.error_ns <= min(there + back for there, back in ways[-SAMPLES:]) // 2 + 1


def test_unmeasured_it_is_a_second_unsure() -> None:
    """Nothing is known but that it is a clock."""
    clock = VenueClock()
    assert (clock.at(NOW), clock.earliest(NOW)) == (NOW, NOW - UNMEASURED_NS)


@pytest.mark.parametrize("jump_ns", [300 * MS, -300 * MS])
def test_a_jump_is_noticed_and_followed_at_once(jump_ns: int) -> None:
    """Old measurements, however sure, say nothing of the clock after it."""
    clock = VenueClock()
    for number in range(SAMPLES):
        clock.measured(NOW + number, NOW + number + 2, NOW + number + 1)
    clock.measured(NOW + SECOND, NOW + SECOND + 20 * MS, NOW + SECOND + 10 * MS + jump_ns)
    assert clock.jumps == 1
    assert clock.offset_ns == jump_ns
    clock.measured(NOW + SECOND, NOW + SECOND + 20 * MS, NOW + SECOND + 10 * MS + jump_ns)
    assert clock.jumps == 1


def test_a_measurement_our_own_clock_spoilt_is_dropped() -> None:
    """An answer before its question, or hours after it."""
    clock = VenueClock()
    clock.measured(NOW, NOW - 1, NOW)
    clock.measured(NOW, NOW + 3600 * SECOND, NOW)
    assert clock.samples == []


def test_a_surer_measurement_wins_until_it_is_old() -> None:
    """The best of the last eight."""
    clock = VenueClock()
    clock.measured(NOW, NOW + 2 * MS, NOW + MS)
    for _ in range(SAMPLES - 1):
        clock.measured(NOW, NOW + 20 * MS, NOW + 12 * MS)
    assert clock.offset_ns == 0
    clock.measured(NOW, NOW + 20 * MS, NOW + 12 * MS)
    assert clock.offset_ns == 2 * MS
