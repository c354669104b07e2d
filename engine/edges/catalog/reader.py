"""Reads events of any span and any number of series, merged by time, in bounded memory.

Each series is read a row group at a time. A step of the merge takes from every series what lies
before the earliest end of a block that is still followed by more, so nothing that comes later can
belong before it; what was taken is joined and sorted once, stably: at equal times the series stand
in the order of venue and symbol, and within one in the order of their files. As all events of a
frame have one time, a frame stays in one piece.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from engine.edges.catalog.layout import (
    SCHEMA,
    CatalogError,
    Columns,
    Grid,
    Part,
    Source,
    concatenated,
    day_of,
    day_parts,
    open_part,
    part_meta,
    series,
    time_text,
)

BATCH_ROWS = 65_536
TIME_MAX = 2**63 - 1


class Batch(NamedTuple):
    """Events merged by time: `sources[source[i]]` tells the series and grid of row i.

    A source's number stays the same in all batches of one reading. A venue that moved a symbol to
    another grid is another source from there on.
    """

    events: Columns
    source: npt.NDArray[np.int32]
    sources: tuple[Source, ...]


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One event as a message; its fields are those of `Columns`, `source` as in `Batch`."""

    ts_ns: int
    source: int
    kind: int
    side: int
    ticks: int
    lots: int
    last: bool


class Block(NamedTuple):
    """Rows of one file that were read at once, with the first one's row number in that file."""

    part: Part
    grid: Grid
    row: int
    events: Columns


def blocks(parts: Sequence[Part], start_ns: int = 0, end_ns: int = TIME_MAX) -> Iterator[Block]:
    """The rows of files with start_ns <= time < end_ns, a row group at a time.

    Row groups outside the span are not read. Raises CatalogError on a file that is none.
    """
    for part in parts:
        if part.first_ns >= end_ns:
            continue
        with open_part(part.path) as file:
            meta = part_meta(part.path, file)
            if meta.last_ns < start_ns:
                continue
            row = 0
            for group in range(file.metadata.num_row_groups):
                held = file.metadata.row_group(group)
                limits = held.column(0).statistics
                outside = limits is not None and (limits.max < start_ns or limits.min >= end_ns)
                if not outside:
                    try:
                        table = file.read_row_group(group, SCHEMA.names, use_threads=False)
                    except OSError as error:
                        raise CatalogError(
                            f"{part.path}: row group {group} cannot be read ({error}) -- "
                            "delete the file and import its day again"
                        ) from error
                    events = Columns(*(column.to_numpy() for column in table.columns))
                    first, stop = np.searchsorted(events.ts_ns, [start_ns, end_ns])
                    if first < stop:
                        yield Block(
                            part, meta.grid, row + int(first), events.cut(int(first), int(stop))
                        )
                row += held.num_rows


class _Series:
    """One series being read: the rows loaded and not yet taken."""

    def __init__(self, parts: list[Part], start_ns: int, end_ns: int, table: list[Source]) -> None:
        self.pieces: list[tuple[int, Columns]] = []
        self.last_ns = -1
        self.done = False
        self._blocks = blocks(parts, start_ns, end_ns)
        self._table = table

    def load(self) -> None:
        """One block more; checks that it does not go back in time."""
        block = next(self._blocks, None)
        if block is None:
            self.done = True
            return
        times = block.events.ts_ns
        if int(times[0]) < self.last_ns or (times[1:] < times[:-1]).any():
            raise CatalogError(
                f"{block.part.path}: time goes backwards after {time_text(self.last_ns)} -- "
                "`orchestrator catalog verify` tells where"
            )
        self.last_ns = int(times[-1])
        source = Source(block.part.venue, block.part.symbol, block.grid)
        if source not in self._table:
            self._table.append(source)
        self.pieces.append((self._table.index(source), block.events))

    def ready(self) -> None:
        """Load until some rows are surely before all that follow, or nothing follows."""
        while not self.done and (not self.pieces or self.last_ns == self.pieces[0][1].ts_ns[0]):
            self.load()

    def take(self, bound_ns: int) -> list[tuple[int, Columns]]:
        """The loaded rows before a time; they are gone afterwards."""
        taken, kept = [], []
        for number, events in self.pieces:
            stop = int(np.searchsorted(events.ts_ns, bound_ns))
            if stop:
                taken.append((number, events.cut(0, stop)))
            if stop < events.rows:
                kept.append((number, events.cut(stop, events.rows)))
        self.pieces = kept
        return taken


def stream(
    root: Path,
    venues: Sequence[str] = (),
    symbols: Sequence[str] = (),
    start_ns: int = 0,
    end_ns: int = TIME_MAX,
    batch_rows: int = BATCH_ROWS,
) -> Iterator[Batch]:
    """Events with start_ns <= time < end_ns of the venues and symbols named (all by default), by time.

    A batch has at most `batch_rows` rows and ends where a frame ends; only a frame longer than that
    makes a longer batch. Memory is one or two row groups (65,536 rows) a series and the longest
    frame, whatever the span. A book is known from its first CLEAR on. Raises CatalogError.
    """
    if batch_rows < 1:
        raise CatalogError(f"batch_rows is {batch_rows}: at least 1 is expected")
    table: list[Source] = []
    readers = []
    for venue, symbol, days in series(root, tuple(venues), tuple(symbols)):
        parts = [
            part
            for folder in days
            if day_of(start_ns) <= folder.name.partition("=")[2] <= _last_day(end_ns)
            for part in day_parts(folder, venue, symbol)
        ]
        if parts:
            readers.append(_Series(parts, start_ns, end_ns, table))
    while readers:
        for reader in readers:
            reader.ready()
        bound_ns = min((r.last_ns for r in readers if not r.done), default=TIME_MAX)
        taken = [piece for reader in readers for piece in reader.take(bound_ns)]
        readers = [reader for reader in readers if reader.pieces or not reader.done]
        if taken:
            yield from _batches(taken, tuple(table), batch_rows)


def _last_day(end_ns: int) -> str:
    return "9999-12-31" if end_ns == TIME_MAX else day_of(end_ns)


def _batches(
    taken: list[tuple[int, Columns]], sources: tuple[Source, ...], batch_rows: int
) -> Iterator[Batch]:
    """The pieces sorted by time, cut where frames end."""
    events = concatenated([piece for _, piece in taken])
    numbers = np.array([number for number, _ in taken], dtype=np.int32)
    source = np.repeat(numbers, [piece.rows for _, piece in taken])
    if len(taken) > 1:
        order = np.argsort(events.ts_ns, kind="stable")
        events = Columns(*(column.take(order) for column in events))
        source = source.take(order)
    start = 0
    for stop in _cuts(events, batch_rows):
        yield Batch(events.cut(start, stop), source[start:stop], sources)
        start = stop


def _cuts(events: Columns, batch_rows: int) -> Iterator[int]:
    """Where the batches end: after the last frame that is whole within `batch_rows`."""
    start, rows = 0, events.rows
    ends: npt.NDArray[np.intp] | None = None
    while rows - start > batch_rows:
        if ends is None:
            ends = np.flatnonzero(events.last) + 1
        place = int(np.searchsorted(ends, start + batch_rows, side="right"))
        if place and ends[place - 1] > start:
            start = int(ends[place - 1])
        else:
            start = int(ends[place]) if place < len(ends) else rows
        yield start
    if start < rows:
        yield rows


def structs(
    root: Path,
    venues: Sequence[str] = (),
    symbols: Sequence[str] = (),
    start_ns: int = 0,
    end_ns: int = TIME_MAX,
) -> Iterator[tuple[Event, Source]]:
    """The same events one at a time, each with its source: convenient, and a tenth as fast."""
    for batch in stream(root, venues, symbols, start_ns, end_ns):
        lists = [column.tolist() for column in batch.events]
        sources = batch.sources
        for ts_ns, kind, side, ticks, lots, last, source in zip(
            *lists, batch.source.tolist(), strict=True
        ):
            event = Event(ts_ns, source, kind, side, ticks, lots, last == 1)
            yield event, sources[source]


def frames(events: Columns) -> Iterator[tuple[int, int]]:
    """Start and stop of each whole frame of a series' rows."""
    yield from pairwise([0, *(np.flatnonzero(events.last) + 1).tolist()])
