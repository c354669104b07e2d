"""Reads events of any span and any number of series, merged by time, in bounded memory.

Each series is read a row group at a time. At equal times the series stand in the order of venue and
symbol, and within one in the order of their files. A grid belongs to a file: a symbol that its
venue moved to another grid is read on, as another source.
"""

from collections.abc import Iterator, Sequence
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
    day_of,
    day_parts,
    open_part,
    part_meta,
    series,
    time_text,
)
from engine.edges.catalog.merging import TIME_MAX, Feed, Piece, merge

BATCH_ROWS = 65_536


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


def _pieces(parts: list[Part], start_ns: int, end_ns: int, table: list[Source]) -> Iterator[Piece]:
    """One series' rows; enters its sources into the table, and checks that time goes on."""
    last_ns = -1
    for part, grid, row, events in blocks(parts, start_ns, end_ns):
        times = events.ts_ns
        if int(times[0]) < last_ns or (times[1:] < times[:-1]).any():
            raise CatalogError(
                f"{part.path}: time goes backwards from row {row} on, after "
                f"{time_text(max(last_ns, 0))} -- `orchestrator catalog verify` tells how to mend it"
            )
        last_ns = int(times[-1])
        source = Source(part.venue, part.symbol, grid)
        if source not in table:
            table.append(source)
        yield Piece(table.index(source), events)


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
    feeds = []
    for venue, symbol, days in series(root, tuple(venues), tuple(symbols)):
        parts = [
            part
            for folder in days
            if day_of(start_ns) <= folder.name.partition("=")[2] <= _last_day(end_ns)
            for part in day_parts(folder, venue, symbol)
        ]
        if parts:
            feeds.append(Feed(_pieces(parts, start_ns, end_ns, table)))
    for merged in merge(feeds):
        start = 0
        for stop in _cuts(merged.events, batch_rows):
            yield Batch(merged.events.cut(start, stop), merged.source[start:stop], tuple(table))
            start = stop


def _last_day(end_ns: int) -> str:
    return "9999-12-31" if end_ns == TIME_MAX else day_of(end_ns)


def _cuts(events: Columns, batch_rows: int) -> Iterator[int]:
    """Where the batches end: at frames' ends, in as few shares of one size as there can be."""
    start, rows = 0, events.rows
    ends = np.flatnonzero(events.last) + 1 if rows > batch_rows else np.array([rows])
    while rows - start > batch_rows:
        left = rows - start
        share = -(-left // -(-left // batch_rows))
        place = int(np.searchsorted(ends, start + share, side="right"))
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
    """The same events one at a time, each with its source: convenient, and a fifth as fast."""
    for batch in stream(root, venues, symbols, start_ns, end_ns):
        lists = [column.tolist() for column in batch.events]
        sources = batch.sources
        for ts_ns, kind, side, ticks, lots, last, source in zip(
            *lists, batch.source.tolist(), strict=True
        ):
            event = Event(ts_ns, source, kind, side, ticks, lots, last == 1)
            yield event, sources[source]
