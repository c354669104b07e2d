"""A short fuzz of each decoder on every run; the minute each is in `make nightly`."""

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.fuzz.frames import Edit, spoilt, stage, take
from tests.fuzz.scanner import scan
from tests.test_venues import CAPTURES, capture

ROOT = Path(__file__).resolve().parents[1]
JSONISH = st.text('[]{}",:.-e+0123456789 abnulltrueprice qty side\\', max_size=120).map(str.encode)
LEVEL = st.builds(
    lambda price, size: f'["{price}","{size}"]',
    st.from_regex(r"[0-9]{1,11}\.?[0-9]{0,10}", fullmatch=True),
    st.from_regex(r"[0-9]{1,11}\.?[0-9]{0,10}", fullmatch=True),
)
ARRAY = st.lists(LEVEL, max_size=20).map(lambda levels: f"[{','.join(levels)}]".encode())
EDITS = st.lists(
    st.builds(
        Edit,
        st.sampled_from(["put", "insert", "delete", "repeat", "cut", "splice"]),
        st.floats(0, 1),
        st.one_of(
            st.sampled_from([b"0", b"9", b"-", b'"', b",", b"]", b"[]", b"null", b"1e3", b"\xff"]),
            st.binary(min_size=1, max_size=6),
        ),
    ),
    min_size=1,
    max_size=3,
)
ONCE = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=600)
@given(st.binary(min_size=2, max_size=2), st.one_of(JSONISH, ARRAY, st.binary(max_size=60)))
@example(b"\x00\x00", b'[["1.00","1"],["1.01","2"],["99999999999999999999","1"]]')
def test_the_scanner_takes_what_its_twin_takes(head: bytes, body: bytes) -> None:
    """And no byte beyond."""
    scan(head + body)


@pytest.mark.parametrize("name", CAPTURES)
def test_a_spoilt_frame_is_never_a_live_book(name: str, recorded: Path) -> None:
    """Whatever is done to a frame, the venue goes on, and what it calls LIVE is right."""
    current = stage(capture(recorded, name))
    taken = 0

    @settings(max_examples=120, suppress_health_check=ONCE)
    @given(st.integers(0, len(current.next) - 1), st.integers(0, len(current.next) - 1), EDITS)
    def fuzz(place: int, other: int, edits: list[Edit]) -> None:
        nonlocal taken
        whole, splice = current.next[place].payload, current.next[other].payload
        taken += take(current, spoilt(whole, edits, splice), whole)

    fuzz()
    print(f"{name}: {len(current.next)} frames spoilt, {taken} times fit to be taken all the same")


@pytest.mark.nightly
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", CAPTURES)
def test_a_minute_of_spoilt_frames(name: str, recorded: Path) -> None:
    """The same for a minute each; the seed is in the output of a failure."""
    current = stage(capture(recorded, name))
    until = time.monotonic() + 60
    ran = 0

    @settings(max_examples=1000, suppress_health_check=ONCE, database=None)
    @given(st.integers(0, len(current.next) - 1), st.integers(0, len(current.next) - 1), EDITS)
    def fuzz(place: int, other: int, edits: list[Edit]) -> None:
        nonlocal ran
        if time.monotonic() < until:
            ran += 1
            whole, splice = current.next[place].payload, current.next[other].payload
            take(current, spoilt(whole, edits, splice), whole)

    while time.monotonic() < until:
        fuzz()
    print(f"{name}: {ran} spoilt frames in a minute")


@pytest.mark.nightly
@pytest.mark.timeout(300)
def test_a_minute_of_coverage_guided_bytes(tmp_path: Path) -> None:
    """atheris on the scanner; it is in the `fuzz` extra."""
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed: pip install -e '.[fuzz]'")
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.scanner", "-max_total_time=60", "-print_final_stats=1"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    print(done.stderr[-1500:])
    assert done.returncode == 0, done.stderr[-4000:]
