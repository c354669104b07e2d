"""Claim: the catalog's merged read gives at least 3 million book events a second as column batches.

Load: a synthetic day of four venues of one symbol each (seeded; frames of 1 to 8 levels, trades
between them), stored as the catalog stores it and read merged by time on one core, from the page
cache. Also as one struct an event, and the peak of memory of a reading of all of it.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.report import Report, arguments, in_turns, median_spread
from engine.edges.catalog.layout import Columns, Grid, Kind, columns
from engine.edges.catalog.reader import stream, structs
from engine.edges.catalog.writer import EventWriter

SEED = 7
ROUNDS = 7
VENUES = 4
ROWS = 2_000_000  # a venue
STRUCT_ROWS = 800_000
EVENTS_A_SECOND_MIN = 3e6
DAY_NS = 1_723_075_200_000_000_000
GRID = Grid("0.01", "0.00001")
MB = 1e6


def walk(seed: int, rows: int) -> Columns:
    """About `rows` events: frames of levels near a wandering mid, each third frame a trade."""
    chance = np.random.default_rng(seed)
    sizes = chance.integers(1, 9, size=rows // 4)
    sizes[::3] = 1
    sizes = sizes[np.cumsum(sizes) <= rows]
    frame = np.repeat(np.arange(len(sizes)), sizes)
    times = DAY_NS + np.cumsum(chance.integers(1_000, 40_000_000, size=len(sizes)))
    side = np.where(chance.random(len(frame)) < 0.5, 1, -1)
    mid = 6_000_000 + np.cumsum(chance.integers(-1, 2, size=len(sizes)))
    ticks = mid[frame] - side * chance.geometric(0.05, size=len(frame))
    lots = chance.integers(0, 1_000_000, size=len(frame))
    last = np.zeros(len(frame))
    last[np.cumsum(sizes) - 1] = 1
    kind = np.where(frame % 3 == 0, Kind.TRADE, Kind.LEVEL)
    return columns(times[frame], kind, side, ticks, lots, last)


def store(root: Path, rows: int) -> tuple[int, int]:
    """Fill a catalog; how many events and how many bytes that is."""
    events = 0
    with EventWriter(root) as writer:
        for venue in range(VENUES):
            made = walk(SEED + venue, rows)
            writer.add(f"venue{venue}", "BTC/USDT", GRID, made)
            writer.flush()
            events += made.rows
    return events, sum(path.stat().st_size for path in root.rglob("*.parquet"))


def as_batches(root: Path) -> int:
    """Read everything merged, as column batches; how many events came."""
    return sum(batch.events.rows for batch in stream(root))


def as_structs(root: Path) -> int:
    """Read everything merged, a struct an event; how many came."""
    return sum(1 for _ in structs(root))


def rate(read: Callable[[Path], int], root: Path, events: int) -> Callable[[], float]:
    """One round: events a second; every event must have come."""

    def task() -> float:
        started_ns = time.perf_counter_ns()
        came = read(root)
        took_ns = time.perf_counter_ns() - started_ns
        if came != events:
            raise RuntimeError(f"{came} of {events} events came: the figure would mean nothing")
        return events / took_ns * 1e9

    return task


def peak_bytes(root: Path) -> float:
    """The most that Arrow and Python together held during one reading."""
    import tracemalloc

    tracemalloc.start()
    peak = 0
    for _ in stream(root):
        peak = max(peak, pa.total_allocated_bytes())
    own = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return float(peak + own)


def main() -> None:
    """Batches and structs in turns, then memory."""
    asked = arguments(__doc__.partition("\n")[0])
    report = Report(as_json=asked.json)
    report.machine()
    pa.set_cpu_count(1)
    with tempfile.TemporaryDirectory() as folder:
        large, small = Path(folder, "large"), Path(folder, "small")
        events, size = store(large, ROWS)
        few, _ = store(small, STRUCT_ROWS // VENUES)
        turns = in_turns(
            {"batches": rate(as_batches, large, events), "structs": rate(as_structs, small, few)},
            ROUNDS,
        )
        load = f"{events} events of {VENUES} venues, {size / events:.2f} bytes an event on disk"
        value, spread = median_spread(turns["batches"])
        report.figure(
            "catalog.read.batches", value, "events/s", bar=EVENTS_A_SECOND_MIN, better="higher",
            load=load, spread=spread,
        )  # fmt: skip
        value, spread = median_spread(turns["structs"])
        what = f"{few} events of {VENUES} venues"
        report.figure(
            "catalog.read.structs", value, "events/s", better="higher", load=what, spread=spread
        )
        report.figure("catalog.read.memory", peak_bytes(large) / MB, "MB", load=load)


if __name__ == "__main__":
    main()
