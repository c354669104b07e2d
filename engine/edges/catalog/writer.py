"""Writes events into the catalog: buffered by series, in whole frames, crash-safe.

A file is written under another name, synced and linked to its own, so a reader never meets half a
file. Importers write `staged`: no file takes its name before `close`, so a bad input leaves
nothing behind. A live recorder writes unstaged: what was flushed is there after a crash.
"""

import os
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.edges.catalog.layout import (
    NS_A_DAY,
    ROWS_A_GROUP,
    SCHEMA,
    VERSION,
    CatalogError,
    Columns,
    Grid,
    Kind,
    columns,
    concatenated,
    day_of,
    day_parts,
    open_part,
    part_meta,
    part_name,
    series_folder,
    time_text,
)

ROWS_MAX = 1_000_000  # 27 MB of columns
PARTS_JOINED = 256


class _Staged(NamedTuple):
    """A finished file under its temporary name."""

    path: Path
    first_ns: int


class _Series:
    """The buffered rows of one symbol of one venue, and what was written of it."""

    def __init__(self, venue: str, symbol: str, grid: Grid) -> None:
        self.venue = venue
        self.symbol = symbol
        self.grid = grid
        self.parts: list[Columns] = []
        self.recent: list[Columns] = []  # small ones, joined now and then: an array costs 100 bytes
        self.rows = 0
        self.last_ns = -1
        self.open_ns = (
            -1
        )  # the time of a frame whose last event has not come; -1 where none is open
        self.own: set[Path] = set()

    @property
    def name(self) -> str:
        return f"{self.venue} {self.symbol}"

    def take(self, events: Columns) -> None:
        self.recent.append(events)
        if len(self.recent) == PARTS_JOINED:
            self.parts.append(concatenated(self.recent))
            self.recent = []
        self.rows += events.rows
        self.last_ns = int(events.ts_ns[-1])
        self.open_ns = -1 if events.last[-1] else self.last_ns

    def drain(self) -> Columns:
        held = concatenated(self.parts + self.recent)
        self.parts, self.recent, self.rows = [], [], 0
        return held

    def put_back(self, events: Columns) -> None:
        if events.rows:
            self.parts, self.rows = [events], events.rows


class EventWriter:
    """Takes events by series and writes them as files of the catalog under `root`.

    It holds at most `rows_max` rows over all series and then writes the largest by itself. Use it as a context:
    leaving it closes it, leaving it by an exception drops what is not yet written (and, `staged`,
    everything). One writer a series at a time.
    """

    def __init__(self, root: Path, *, staged: bool = False, rows_max: int = ROWS_MAX) -> None:
        self.root = root
        self.rows = 0
        self._staged = staged
        self._rows_max = rows_max
        self._held = 0
        self._series: dict[tuple[str, str], _Series] = {}
        self._files: list[_Staged] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def add(self, venue: str, symbol: str, grid: Grid, events: Columns) -> None:
        """Take events of one series, in order of time; the arrays must not change afterwards.

        Raises CatalogError, and takes none of them, on a grid that is none, a time before the last
        one, a kind that is unknown, or a frame whose events have different times.
        """
        if not events.rows:
            return
        known = self._series.get((venue, symbol))
        problem = grid.problem()
        if problem:
            raise CatalogError(f"{venue} {symbol}: {problem}")
        if known is None:
            known = self._series[venue, symbol] = _Series(venue, symbol, grid)
        self._check(known, events)
        if grid != known.grid:
            self._write(known)
            if known.rows:
                raise CatalogError(f"{known.name}: the grid changes inside a frame")
            known.grid = grid
        known.take(events)
        self.rows += events.rows
        self._held += events.rows
        if self._held > self._rows_max:
            self._write(max(self._series.values(), key=lambda each: each.rows))

    def add_rows(
        self, venue: str, symbol: str, grid: Grid, rows: list[tuple[int, int, int, int, int, int]]
    ) -> None:
        """The same from rows (ts_ns, kind, side, ticks, lots, last), for who makes one at a time."""
        if rows:
            held = np.array(rows, dtype=np.int64)
            self.add(venue, symbol, grid, columns(*held.T))

    def _check(self, known: _Series, events: Columns) -> None:
        times, kinds = events.ts_ns, events.kind
        if int(times[0]) < known.last_ns or (np.diff(times) < 0).any():
            raise CatalogError(
                f"{known.name}: time goes backwards after {time_text(known.last_ns)} -- "
                "sort the events by receive time first"
            )
        if int(times[0]) < 0:
            raise CatalogError(f"{known.name}: {times[0]} ns is before 1970")
        if int(kinds.min()) < Kind.CLEAR or int(kinds.max()) > Kind.TRUNCATE:
            raise CatalogError(f"{known.name}: kinds are 1 to 5, not {sorted(set(kinds.tolist()))}")
        inside = events.last[:-1] == 0
        spread = bool((np.diff(times)[inside] != 0).any())
        if spread or known.open_ns not in {-1, int(times[0])}:
            raise CatalogError(f"{known.name}: a frame's events have different times")

    def flush(self) -> None:
        """Write every whole frame that is held; an unfinished one stays until its last event."""
        for known in self._series.values():
            self._write(known)

    def close(self) -> None:
        """Write the rest and give staged files their names; raises CatalogError on an open frame."""
        self.flush()
        unfinished = [known.name for known in self._series.values() if known.rows]
        if unfinished:
            if self._staged:
                self.abort()
            raise CatalogError(f"{', '.join(unfinished)}: the last frame has no last event")
        for staged in self._files:
            _settle(staged)
        self._files.clear()

    def abort(self) -> None:
        """Drop what is held and what is staged."""
        for staged in self._files:
            staged.path.unlink(missing_ok=True)
            _drop_empty(staged.path.parent, self.root)
        self._files.clear()
        self._series.clear()
        self._held = 0

    def _write(self, known: _Series) -> None:
        events = known.drain()
        ends = np.flatnonzero(events.last)
        whole = int(ends[-1]) + 1 if len(ends) else 0
        rest = events.cut(whole, events.rows)
        days = events.ts_ns[:whole] // NS_A_DAY
        edges = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), whole]
        for start, stop in pairwise(edges):
            if start < stop:
                self._write_day(known, events.cut(start, stop))
        known.put_back(rest)
        self._held -= whole

    def _write_day(self, known: _Series, events: Columns) -> None:
        first, last = int(events.ts_ns[0]), int(events.ts_ns[-1])
        folder = series_folder(self.root, known.venue, known.symbol) / f"day={day_of(first)}"
        self._refuse_overlap(known, folder, first, last)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f".writing-{os.getpid()}-{id(self):x}-{len(known.own):06d}"
        staged = _Staged(path, first)
        self._files.append(staged)
        known.own.add(path)
        meta = {
            "tick_size": known.grid.tick_size,
            "lot_size": known.grid.lot_size,
            "first_ns": str(first),
            "last_ns": str(last),
            "catalog": VERSION,
        }
        table = pa.table([pa.array(column) for column in events], schema=SCHEMA.with_metadata(meta))
        write_synced(table, path)
        if not self._staged:
            self._files.remove(staged)
            known.own.add(_settle(staged))

    def _refuse_overlap(self, known: _Series, folder: Path, first: int, last: int) -> None:
        for part in day_parts(folder, known.venue, known.symbol):
            if part.path in known.own or part.first_ns > last:
                continue  # what this writer wrote before ends where this begins
            with open_part(part.path) as file:
                ends = part_meta(part.path, file).last_ns
            if ends >= first:
                raise CatalogError(
                    f"{known.name}: {time_text(first)} to {time_text(last)} is already there, in "
                    f"{part.path} -- delete that day's folder to store it anew"
                )


def write_synced(table: pa.Table, path: Path) -> None:
    """Write a table with zstd and sync it to disk; leaves no file behind where it fails."""
    try:
        with path.open("wb") as file:
            pq.write_table(
                table,
                file,
                compression="zstd",
                row_group_size=ROWS_A_GROUP,
                use_dictionary=[name for name in table.column_names if name != "ts_ns"],
            )
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make a new or changed name in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _settle(staged: _Staged) -> Path:
    """Give a finished file the next free number of its time, taking no other file's name."""
    number = 0
    while True:
        path = staged.path.with_name(part_name(staged.first_ns, number))
        try:
            os.link(staged.path, path)
        except FileExistsError:
            number += 1
        else:
            staged.path.unlink()
            sync_folder(path.parent)
            return path


def _drop_empty(folder: Path, root: Path) -> None:
    """Remove folders that an aborted import made, up to the catalog's root."""
    while folder != root and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
