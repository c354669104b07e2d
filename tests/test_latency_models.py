"""Latency models: what each answers, and what a capture yields."""

import re
from pathlib import Path
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.edges.capture import read_capture
from engine.exchange.latency import (
    Constant,
    Jitter,
    Jittered,
    LatencyModel,
    Measured,
    Recorded,
    feed_latencies,
)

MS = 1_000_000
SECOND = 1_000 * MS
SERIES = [Measured(100, 10, 20, 30), Measured(200, 20, 40, 0), Measured(400, 0, 10, 60)]
LINE = Jitter(5 * MS, 0.3, 0.02, 20 * MS, 1.5, 500 * MS)


def answers(model: LatencyModel, now_ns: int) -> tuple[int, int, int]:
    """Feed, way there, way back."""
    return model.feed(now_ns), model.way_there(now_ns), model.way_back(now_ns)


def test_constant() -> None:
    """The same at any time; nothing below 0."""
    assert answers(Constant(1, 2, 3), 0) == answers(Constant(1, 2, 3), 10**18) == (3, 1, 2)
    with pytest.raises(ValueError, match="before it leaves"):
        Constant(1, -1, 3)


@pytest.mark.parametrize(
    ("now_ns", "stepwise", "line"),
    [
        (0, (10, 20, 30), (10, 20, 30)),
        (100, (10, 20, 30), (10, 20, 30)),
        (150, (10, 20, 30), (15, 30, 15)),
        (199, (10, 20, 30), (19, 39, 0)),
        (200, (20, 40, 0), (20, 40, 0)),
        (300, (20, 40, 0), (10, 25, 30)),
        (400, (0, 10, 60), (0, 10, 60)),
        (10**18, (0, 10, 60), (0, 10, 60)),
    ],
)
def test_recorded(now_ns: int, stepwise: tuple[int, ...], line: tuple[int, ...]) -> None:
    """What was measured last, or the line between two; before and after all, the first and last."""
    assert answers(Recorded(SERIES, stepwise=True), now_ns) == stepwise
    assert answers(Recorded(SERIES), now_ns) == line


@given(
    st.lists(st.tuples(st.integers(1, 100), st.integers(0, 10**9)), min_size=1, max_size=20),
    st.integers(0, 2500),
)
def test_recorded_is_what_a_search_from_the_start_finds(
    gaps: list[tuple[int, int]], now_ns: int
) -> None:
    """The slow and obvious way: look at each measurement in turn."""
    series, time_ns = [], 0
    for gap, latency in gaps:
        time_ns += gap
        series.append(Measured(time_ns, latency, latency, latency))
    before = series[0]
    for point in series:
        if point.time_ns <= now_ns:
            before = point
    later = next((p for p in series if p.time_ns > max(now_ns, before.time_ns)), None)
    assert Recorded(series, stepwise=True).feed(now_ns) == before.feed_ns
    found = Recorded(series).feed(now_ns)
    if later is None or now_ns < before.time_ns:
        assert found == before.feed_ns
    else:
        part = (now_ns - before.time_ns) / (later.time_ns - before.time_ns)
        assert found == pytest.approx(
            before.feed_ns + part * (later.feed_ns - before.feed_ns), abs=1
        )


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ([], "at least one"),
        ([SERIES[1], SERIES[0]], "times of a recorded latency rise"),
        ([SERIES[0], SERIES[0]], "times of a recorded latency rise"),
        ([Measured(1, 1, -1, 1)], "before it leaves"),
    ],
)
def test_no_recording(series: list[Measured], message: str) -> None:
    """Said in words."""
    with pytest.raises(ValueError, match=message):
        Recorded(series)


def test_jittered_has_its_body_its_tail_and_its_cap() -> None:
    """Of 20,000: the median, the share beyond the tail's beginning, and none above the cap."""
    model = Jittered("test", LINE, LINE, LINE._replace(cap_ns=6 * MS))
    there = [model.way_there(0) for _ in range(20_000)]
    assert median(there) == pytest.approx(5 * MS, rel=0.02)
    assert 0.015 < sum(ns >= 20 * MS for ns in there) / 20_000 < 0.025
    assert 200 * MS < max(there) <= 500 * MS
    assert min(there) > 0
    assert max(model.feed(0) for _ in range(1_000)) == 6 * MS
    assert median(
        Jittered("all tail", *[LINE._replace(tail_share=1.0)] * 3).way_back(0) for _ in "123"
    )


def test_jittered_is_a_function_of_its_seed() -> None:
    """The same seed gives the same numbers, whatever was asked of the other ways in between."""
    one, same, other = (Jittered(seed, LINE, LINE, LINE) for seed in ("a", "a", "b"))
    first = [one.way_there(0) for _ in range(50)]
    interleaved = [(same.feed(0), same.way_there(0), same.way_back(0))[1] for _ in range(50)]
    assert first == interleaved
    assert first != [other.way_there(0) for _ in range(50)]


@pytest.mark.parametrize(
    "wrong", [{"median_ns": -1}, {"tail_share": 1.1}, {"sigma": 11.0}, {"tail_alpha": 0.0}]
)
def test_no_distribution(wrong: dict[str, float]) -> None:
    """Said when it is made, not when it is drawn."""
    with pytest.raises(ValueError, match=r"no time is below 0|sigma is from"):
        Jittered("", LINE, LINE, LINE._replace(**wrong))


def test_a_feed_is_derived_from_two_clocks() -> None:
    """The local clock is 1.27 s behind; the quickest frame took 2 ms, and the offset is known by that."""
    took = [7, 2, 5, 9, 4, 40]
    offset = -1_270 * MS
    pairs = [(n * 300 * MS + ms * MS + offset, n * 300 * MS) for n, ms in enumerate(took)]
    series = feed_latencies(pairs, 2 * MS, there=2.0, back=0.5)
    assert series == [
        Measured(0, 7 * MS, 14 * MS, 3_500_000),
        Measured(SECOND, 40 * MS, 80 * MS, 20 * MS),
    ]
    assert Recorded(series).feed(SECOND // 2) == (7 + 40) * MS // 2
    with pytest.raises(ValueError, match="no pair"):
        feed_latencies([], 0)


def test_a_real_feed(recorded: Path) -> None:
    """The Binance capture: every difference is below 0, what is left after the offset is a latency."""
    path = recorded / "hftbacktest" / "spot" / "btcusdt_20240808.gz"
    if not path.is_file():
        pytest.skip(f"no capture at {path}")
    event = re.compile(rb'"E":(\d+)')
    pairs = [
        (frame.at_ns, int(found[1]) * MS)
        for frame in read_capture(path)
        if (found := event.search(frame.payload))
    ]
    assert max(local_ns - event_ns for local_ns, event_ns in pairs) < 0
    series = feed_latencies(pairs, 0)
    feeds = sorted(point.feed_ns for point in series)
    print(
        f"\n{len(pairs)} frames, {len(series)} seconds: above the quickest frame, median of a second "
        f"{feeds[0] / MS:.1f} to {feeds[-1] / MS:.1f} ms, half of them below {median(feeds) / MS:.1f}"
    )
    assert feeds[0] >= 0
    assert median(feeds) < 100 * MS
