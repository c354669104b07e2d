"""The circuit breaker: when it opens, what still passes, how it closes; held against a plain model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.messages import Circuit
from engine.orders.breaker import BACKOFF_MAX, OUTCOMES, Breaker
from engine.orders.lanes import Lane

SECOND = 1_000_000_000
START = 100 * SECOND


def broken(now_ns: int = START) -> Breaker:
    """One that has just opened: three failures in a row, a second's timeout."""
    breaker = Breaker(3, SECOND)
    for _ in range(3):
        breaker.failed(now_ns)
    return breaker


def passing(breaker: Breaker, now_ns: int) -> list[Lane]:
    """The lanes that may go."""
    return [lane for lane in Lane if breaker.lets(lane, now_ns)]


def test_closed_all_passes_and_a_success_ends_the_row() -> None:
    """Two failures, a success, two failures: still closed."""
    breaker = Breaker(3, SECOND)
    for success in (False, False, True, False, False):
        if success:
            breaker.succeeded()
        else:
            breaker.failed(START)
    assert breaker.circuit is Circuit.CLOSED
    assert passing(breaker, START) == list(Lane)


def test_open_only_cancels_pass_and_half_open_one_probe_that_opens_nothing() -> None:
    """An order is no probe; while the probe is out nothing else goes but cancels."""
    breaker = broken()
    assert passing(breaker, START + SECOND - 1) == [Lane.CANCEL]
    assert passing(breaker, START + SECOND) == [Lane.CANCEL, Lane.REDUCE, Lane.DATA]
    breaker.left()
    assert breaker.circuit is Circuit.HALF_OPEN
    assert passing(breaker, START + SECOND) == [Lane.CANCEL]
    breaker.succeeded()
    assert breaker.circuit is Circuit.CLOSED
    assert passing(breaker, START + SECOND) == list(Lane)


def test_each_failed_probe_doubles_the_wait_up_to_ten_times() -> None:
    """1, 2, 4, 8, 10, 10 seconds."""
    breaker, now_ns = broken(), START
    waits = []
    for _ in range(6):
        waits.append((breaker.retry_at_ns - now_ns) // SECOND)
        now_ns = breaker.retry_at_ns
        assert breaker.lets(Lane.DATA, now_ns)
        breaker.left()
        breaker.failed(now_ns)
    assert waits == [1, 2, 4, 8, BACKOFF_MAX, BACKOFF_MAX]


def test_a_ban_holds_everything_until_its_end() -> None:
    """A cancel would only make the ban longer."""
    breaker = Breaker(3, SECOND)
    breaker.stay_away(30 * SECOND, START)
    assert passing(breaker, START + 30 * SECOND - 1) == []
    assert Lane.CANCEL in passing(breaker, START + 30 * SECOND)
    assert Lane.DATA in passing(breaker, START + 30 * SECOND)


def test_an_operator_holds_it_open_and_closes_it() -> None:
    """Held open, no success closes it; closed by hand, a ban is forgotten too."""
    breaker = Breaker(3, SECOND)
    breaker.set(True, START)
    assert passing(breaker, START + 99 * SECOND) == [Lane.CANCEL, Lane.DATA]
    breaker.succeeded()
    assert breaker.circuit is Circuit.OPEN
    breaker.stay_away(30 * SECOND, START)
    breaker.set(False, START)
    assert passing(breaker, START) == list(Lane)


def test_health_is_the_share_of_the_last_hundred() -> None:
    """0 while open, at most 50 half open; one failure of one call is no ruin."""
    breaker = Breaker(1000, SECOND)
    assert (breaker.health, breaker.success_bps) == (100, 10_000)
    breaker.failed(START)
    assert (breaker.health, breaker.success_bps) == (95, 9_500)
    for number in range(3 * OUTCOMES):
        if number % 4:
            breaker.succeeded()
        else:
            breaker.failed(START)
    assert (breaker.health, breaker.success_bps, len(breaker.outcomes)) == (75, 7_500, OUTCOMES)
    breaker.stay_away(1, START)
    assert breaker.health == 0
    assert breaker.lets(Lane.DATA, START + 2 * SECOND)
    assert breaker.health == 50


ACTS = st.sampled_from(["fail", "succeed", "order", "cancel", "data", "ban", "hold", "release"])


@given(st.lists(st.tuples(st.integers(0, 3 * SECOND), ACTS), max_size=60))
def test_against_a_plain_model(acts: list[tuple[int, str]]) -> None:
    """The rules by another hand: times of opening, failed probes, bans, an operator's hold."""
    breaker, now_ns = Breaker(2, SECOND), START
    row = fails = 0
    state, until_ns, away_ns, held, probe = "closed", 0, 0, False, False
    for wait_ns, act in acts:
        now_ns += wait_ns
        if act in ("order", "cancel", "data"):
            lane = {"order": Lane.OPEN, "cancel": Lane.CANCEL, "data": Lane.DATA}[act]
            if state == "closed":
                expected = True
            elif now_ns < away_ns:
                expected = False
            elif act == "cancel":
                expected = True
            elif held:
                expected = act == "data"
            else:
                if state == "open" and now_ns >= until_ns:
                    state, probe = "half", False
                expected = state == "half" and not probe and act == "data"
            assert breaker.lets(lane, now_ns) is expected
            if expected:
                breaker.left()
                probe = probe or state == "half"
        elif act == "succeed":
            breaker.succeeded()
            row = 0
            if state == "half":
                state, fails = "closed", 0
        elif act == "fail":
            breaker.failed(now_ns)
            row += 1
            if state == "half":
                fails += 1
            if state == "half" or (state == "closed" and row >= 2):
                state, until_ns = "open", now_ns + SECOND * min(2**fails, 10)
        elif act == "ban":
            breaker.stay_away(2 * SECOND, now_ns)
            away_ns = max(away_ns, now_ns + 2 * SECOND)
            state, until_ns = "open", max(now_ns + SECOND * min(2**fails, 10), away_ns)
        else:
            held = act == "hold"
            breaker.set(held, now_ns)
            if held:
                state, until_ns = "open", now_ns + SECOND * min(2**fails, 10)
            else:
                state, row, fails, away_ns = "closed", 0, 0, 0
        assert (
            breaker.circuit
            is {
                "closed": Circuit.CLOSED,
                "open": Circuit.OPEN,
                "half": Circuit.HALF_OPEN,
            }[state]
        )


@pytest.mark.parametrize("failures", [0, 2])
def test_late_failures_of_an_open_breaker_only_count(failures: int) -> None:
    """What was under way when it opened does not make the wait longer."""
    breaker = broken()
    for _ in range(failures):
        breaker.failed(START + SECOND // 2)
    assert breaker.retry_at_ns == START + SECOND
