"""The catalog gives back what was put in, merged by time, whole frame by whole frame, in bounded memory."""

import heapq
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.edges.catalog.layout import (
    NS_A_DAY,
    CatalogError,
    Columns,
    Grid,
    Kind,
    Source,
    columns,
    decoded,
    encoded,
)
from engine.edges.catalog.reader import Event, stream, structs
from engine.edges.catalog.writer import EventWriter

GRID = Grid("0.01", "0.001")
COARSE = Grid("0.1", "0.001")
DAY_NS = 1_723_075_200 * 10**9
Row = tuple[int, int, int, int, int, int]


def level(ts_ns: int, ticks: int, last: int = 1, lots: int = 5) -> Row:
    """A bid as a row of the writer."""
    return ts_ns, Kind.LEVEL, 1, ticks, lots, last


def put(root: Path, rows: list[Row], symbol: str = "BTC/USDT", venue: str = "a") -> None:
    """Store rows of one series."""
    with EventWriter(root) as writer:
        writer.add_rows(venue, symbol, GRID, rows)


def read(root: Path, **asked: object) -> list[Row]:
    """All rows, in the order in which they come."""
    batches = stream(root, **asked)  # type: ignore[arg-type]
    return [row for batch in batches for row in rows_of(batch.events)]


def rows_of(events: Columns) -> list[Row]:
    """Columns as rows."""
    return list(zip(*(column.tolist() for column in events), strict=True))


@pytest.mark.parametrize(
    "name", ["BTC/USDT", "BTC/USDT:USDT-241227", "..", "a=b%2F", "ü", "1000.X"]
)
def test_a_symbol_has_one_folder_and_comes_back(name: str) -> None:
    """Folder names are reversible and never lead elsewhere."""
    assert decoded(encoded(name)) == name
    assert not set("/:=") & set(encoded(name))
    assert encoded(name) not in {".", ".."}


def test_what_is_stored_comes_back(tmp_path: Path) -> None:
    """All columns of all kinds, over two days, with the grid; each day has its folder."""
    rows = [
        (DAY_NS + 1, Kind.CLEAR, 0, 0, 0, 0),
        (DAY_NS + 1, Kind.LEVEL, 1, 2**62, 2**62, 0),
        (DAY_NS + 1, Kind.LEVEL, -1, -5, 0, 0),
        (DAY_NS + 1, Kind.STATE, 0, 2, 0, 1),
        (DAY_NS + NS_A_DAY, Kind.TRADE, -1, 100, 7, 1),
        (DAY_NS + NS_A_DAY, Kind.TRUNCATE, 0, 10, 0, 1),
    ]
    put(tmp_path, rows, "BTC/USDT:USDT-241227")
    assert read(tmp_path) == rows
    for batch in stream(tmp_path):
        assert batch.sources == (Source("a", "BTC/USDT:USDT-241227", GRID),)
        assert set(batch.source.tolist()) == {0}
    assert sorted(path.parent.name for path in tmp_path.rglob("*.parquet")) == [
        "day=2024-08-08",
        "day=2024-08-09",
    ]


def test_a_span_and_a_choice_are_kept(tmp_path: Path) -> None:
    """Start is in, end is out; venues and symbols not asked for stay away."""
    for venue in "ab":
        for symbol in ("X/Y", "Z/Y"):
            rows = [level(DAY_NS + n, n + 1) for n in range(5)]
            put(tmp_path, rows, symbol, venue)
    found = list(stream(tmp_path, ["b"], ["Z/Y"], DAY_NS + 1, DAY_NS + 4))
    assert [row[3] for batch in found for row in rows_of(batch.events)] == [2, 3, 4]
    assert {batch.sources for batch in found} == {(Source("b", "Z/Y", GRID),)}
    assert read(tmp_path, venues=["c"]) == []
    assert read(tmp_path / "nothing") == []


def test_structs_are_the_same_events(tmp_path: Path) -> None:
    """One struct an event, with its source."""
    put(tmp_path, [level(DAY_NS, 7, last=0), level(DAY_NS, 8)])
    source = Source("a", "BTC/USDT", GRID)
    assert list(structs(tmp_path)) == [
        (Event(DAY_NS, 0, Kind.LEVEL, 1, 7, 5, False), source),
        (Event(DAY_NS, 0, Kind.LEVEL, 1, 8, 5, True), source),
    ]


def test_another_grid_is_another_source(tmp_path: Path) -> None:
    """A venue may move a symbol to another grid: each row tells its own."""
    with EventWriter(tmp_path) as writer:
        writer.add_rows("a", "BTC/USDT", GRID, [level(DAY_NS, 70)])
        writer.add_rows("a", "BTC/USDT", COARSE, [level(DAY_NS + 1, 7)])
    batches = list(stream(tmp_path))
    found = [batch.sources[n].grid for batch in batches for n in batch.source.tolist()]
    assert found == [GRID, COARSE]
    assert [row[3] for row in read(tmp_path)] == [70, 7]


@pytest.mark.parametrize(
    ("grid", "rows", "says"),
    [
        (Grid("0", "1"), [level(1, 1)], "tick_size '0' is not a positive decimal"),
        (Grid("1", "x"), [level(1, 1)], "lot_size: 'x' is not a decimal number"),
        (GRID, [level(5, 1), level(4, 1)], "time goes backwards"),
        (GRID, [level(-1, 1)], "is before 1970"),
        (GRID, [(1, 9, 0, 0, 0, 1)], "kinds are 1 to 5"),
        (GRID, [level(1, 1, last=0), level(2, 1)], "a frame's events have different times"),
        (GRID, [level(1, 1, last=0)], "the last frame has no last event"),
    ],
)
def test_what_cannot_be_stored_is_refused(
    tmp_path: Path, grid: Grid, rows: list[Row], says: str
) -> None:
    """A wrong event is named with its series, and leaves nothing behind."""
    with (
        pytest.raises(CatalogError, match=says) as refused,
        EventWriter(tmp_path, staged=True) as writer,
    ):
        writer.add_rows("a", "BTC/USDT", grid, rows)
    assert str(refused.value).startswith("a BTC/USDT: ")
    assert list(tmp_path.iterdir()) == []


def test_columns_of_different_lengths_are_refused() -> None:
    """A column that is too short is a mistake of the caller's."""
    with pytest.raises(CatalogError, match="columns of one length"):
        columns([1, 2], [1], [0, 0], [0, 0], [0, 0], [1, 1])


def test_the_same_time_is_not_stored_twice(tmp_path: Path) -> None:
    """A second import of a span is refused and names the file that has it; later rows are not."""
    put(tmp_path, [level(DAY_NS, 1), level(DAY_NS + 9, 1)])
    with pytest.raises(CatalogError, match=r"already there, in .*part-.*parquet -- delete"):
        put(tmp_path, [level(DAY_NS + 9, 1)])
    put(tmp_path, [level(DAY_NS + 10, 2)])
    assert [row[3] for row in read(tmp_path)] == [1, 1, 2]


def test_a_frame_waits_for_its_end(tmp_path: Path) -> None:
    """A flush writes whole frames only, and the rest when its end has come."""
    writer = EventWriter(tmp_path)
    writer.add_rows("a", "BTC/USDT", GRID, [level(DAY_NS, 1), level(DAY_NS + 1, 2, last=0)])
    writer.flush()
    assert [row[3] for row in read(tmp_path)] == [1]
    writer.add_rows("a", "BTC/USDT", GRID, [level(DAY_NS + 1, 3)])
    writer.close()
    assert [row[3] for row in read(tmp_path)] == [1, 2, 3]


def test_many_small_adds_are_bounded(tmp_path: Path) -> None:
    """A row at a time, over the bound of rows held: files of a few, and nothing lost."""
    with EventWriter(tmp_path, rows_max=500) as writer:
        for number in range(2_000):
            writer.add_rows("a", "BTC/USDT", GRID, [level(DAY_NS + number, number + 1)])
            assert writer._held <= 500
    assert [row[3] for row in read(tmp_path)] == list(range(1, 2_001))


CRASH = """
import sys, time
from pathlib import Path
from engine.edges.catalog.layout import Grid
from engine.edges.catalog.writer import EventWriter
writer = EventWriter(Path(sys.argv[1]))
for number in range(10**9):
    rows = [(number * 1000 + n, 2, 1, n + 1, 1, 1) for n in range(1000)]
    writer.add_rows("a", "B/C", Grid("1", "1"), rows)
    writer.flush()
    print(number, flush=True)
"""


def test_a_killed_writer_leaves_whole_files(tmp_path: Path) -> None:
    """kill -9 while files are written: what was flushed is there, what was not is nowhere."""
    writer = subprocess.Popen(
        [sys.executable, "-c", CRASH, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    flushed = [int(writer.stdout.readline()) for _ in range(20)][-1]
    writer.send_signal(signal.SIGKILL)
    flushed = max([flushed, *map(int, writer.stdout.read().split())])
    writer.wait()
    times = [row[0] for row in read(tmp_path)]
    assert times == list(range(len(times)))
    assert len(times) // 1000 in {flushed + 1, flushed + 2}


@st.composite
def series_of_frames(draw: st.DrawFn) -> list[list[Row]]:
    """A few series of frames, with many equal times; each row has a number of its own."""
    made, number = [], 0
    for _ in range(draw(st.integers(1, 4))):
        rows: list[Row] = []
        ts_ns = 0
        for step, size in draw(
            st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), max_size=40)
        ):
            ts_ns += step
            for place in range(size):
                number += 1
                rows.append(level(DAY_NS + ts_ns, number, int(place == size - 1)))
        made.append(rows)
    return made


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    made=series_of_frames(),
    flushes=st.integers(1, 30),
    batch_rows=st.integers(1, 20),
    data=st.data(),
)
def test_the_merge_is_heapq_merge(
    made: list[list[Row]],
    flushes: int,
    batch_rows: int,
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Whatever the files and batches, the rows come as a slow merge gives them, in whole frames."""
    root = tmp_path_factory.mktemp("merge")
    for place, rows in enumerate(made):
        with EventWriter(root, rows_max=flushes) as writer:
            for row in rows:
                writer.add_rows("v", f"S{place}", GRID, [row])
    start_ns = DAY_NS + data.draw(st.integers(0, 20))
    asked = [[row for row in rows if row[0] >= start_ns] for rows in made]
    expected = list(heapq.merge(*asked, key=lambda row: row[0]))
    batches = list(stream(root, start_ns=start_ns, batch_rows=batch_rows))
    assert [row for batch in batches for row in rows_of(batch.events)] == expected
    for batch in batches:
        assert batch.events.last[-1] == 1
        assert batch.events.rows <= batch_rows or batch.events.last[:batch_rows].sum() == 0
        for number, row in zip(batch.source.tolist(), rows_of(batch.events), strict=True):
            place = int(batch.sources[number].symbol[1:])
            assert row in made[place]


def test_memory_is_bounded_by_blocks(tmp_path: Path) -> None:
    """A reading of three days of four series stays far below what they take when all are loaded."""
    rows, series_count = 600_000, 4
    chance = np.random.default_rng(5)
    for place in range(series_count):
        times = DAY_NS + np.sort(chance.integers(0, 3 * NS_A_DAY, size=rows))
        ticks = chance.integers(1, 10**9, size=rows)
        ones = np.ones(rows)
        made = columns(times, ones * Kind.LEVEL, ones, ticks, ticks, ones)
        with EventWriter(tmp_path, rows_max=rows) as writer:
            writer.add("v", f"S{place}", GRID, made)
    whole = rows * series_count * 27
    del times, ticks, ones, made
    pool_before = pa.total_allocated_bytes()
    tracemalloc.start()
    came, pool = 0, 0
    for batch in stream(tmp_path):
        came += batch.events.rows
        pool = max(pool, pa.total_allocated_bytes() - pool_before)
    peak = tracemalloc.get_traced_memory()[1] + pool
    tracemalloc.stop()
    assert came == rows * series_count
    bound = series_count * 3 * 65_536 * 27 + 10_000_000  # blocks, merged rows, and the pages read
    assert peak < bound < whole
