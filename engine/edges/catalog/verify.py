"""Walks a catalog and says what is wrong with it, where, and how to mend it.

Each file is held against the rules of the layout; then each series is played through the book
kernel, day after day, so that a book crossed while it claims to be LIVE is found.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from engine.edges.catalog.bars import bar_series, read_month
from engine.edges.catalog.layout import (
    BUY,
    EVENTS,
    NO_SIDE,
    NS_A_DAY,
    SCHEMA,
    SELL,
    CatalogError,
    Columns,
    Grid,
    Int64s,
    Kind,
    Part,
    day_of,
    day_parts,
    day_start_ns,
    open_part,
    part_meta,
    series,
    time_text,
)
from engine.messages import BookState
from ext.book import ASK, BID, Book

REPORTED_A_FILE = 20  # of one rule in one file; the rest is counted
REIMPORT = "delete the file and import its day again"


class Finding(NamedTuple):
    """One thing that is wrong: in which file, at which row (from 0; -1 the whole file), and the mend."""

    path: Path
    row: int
    problem: str
    mend: str

    def line(self) -> str:
        """As one line."""
        where = f"{self.path}" if self.row < 0 else f"{self.path} row {self.row}"
        return f"{where}: {self.problem} -- {self.mend}"


class Verdict(NamedTuple):
    """What a walk found, and how much it saw."""

    findings: tuple[Finding, ...]
    files: int
    rows: int
    frames: int
    trades: int


class _Walk:
    """The findings and counts of one walk."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.files = 0
        self.rows = 0
        self.frames = 0
        self.trades = 0

    def find(self, path: Path, row: int, problem: str, mend: str) -> None:
        self.findings.append(Finding(path, row, problem, mend))

    def each(self, path: Path, rows: list[int], problem: str, mend: str) -> None:
        """The same at many rows; beyond REPORTED_A_FILE they are only counted."""
        for row in rows[:REPORTED_A_FILE]:
            self.find(path, row, problem, mend)
        if len(rows) > REPORTED_A_FILE:
            self.find(path, -1, f"{problem}: {len(rows) - REPORTED_A_FILE} times more", mend)


def verify(root: Path, say: Callable[[str], None] = lambda _: None) -> Verdict:
    """Check every file and every series under a root; `say` hears each series' name as it starts."""
    walk = _Walk()
    if not (root / EVENTS).is_dir() and not (root / "bars").is_dir():
        raise CatalogError(
            f"{root}: no catalog is there -- `orchestrator catalog import` makes one"
        )
    for path in sorted(root.rglob(".writing-*")):
        walk.find(path, -1, "left by a writer that did not finish", "delete it if none is running")
    for venue, symbol, days in series(root):
        say(f"{venue} {symbol}")
        replay = _Replay(walk)
        for folder in days:
            _day(walk, replay, folder, venue, symbol)
    for bars in bar_series(root):
        for path in bars.files:
            walk.files += 1
            _candles(walk, path)
    return Verdict(tuple(walk.findings), walk.files, walk.rows, walk.frames, walk.trades)


def _day(walk: _Walk, replay: "_Replay", folder: Path, venue: str, symbol: str) -> None:
    try:
        start_ns = day_start_ns(folder.name.partition("=")[2])
        parts = day_parts(folder, venue, symbol)
    except ValueError as error:
        walk.find(folder, -1, f"not a day's folder: {error}", "move it away")
        return
    former: tuple[Part, int] | None = None
    for part in parts:
        walk.files += 1
        try:
            last_ns = _file(walk, replay, part, start_ns)
        except CatalogError as error:
            problem, _, mend = str(error).removeprefix(f"{part.path}: ").partition(" -- ")
            walk.find(part.path, -1, problem, mend or REIMPORT)
            continue
        if former is not None and part.first_ns < former[1]:
            problem = f"overlaps {former[0].path.name}, which ends at {time_text(former[1])}"
            walk.find(part.path, -1, problem, "delete the day's folder and import it again")
        former = part, max(last_ns, former[1] if former else 0)


def _file(walk: _Walk, replay: "_Replay", part: Part, day_ns: int) -> int:
    """Check one file; the time of its last event. Raises CatalogError where it cannot be read."""
    with open_part(part.path) as file:
        meta = part_meta(part.path, file)
        if problem := meta.grid.problem():
            walk.find(part.path, -1, f"its grid is none: {problem}", REIMPORT)
        row, last_ns, open_row = 0, -1, -1
        for group in range(file.metadata.num_row_groups):
            try:
                table = file.read_row_group(group, SCHEMA.names, use_threads=False)
            except OSError as error:
                raise CatalogError(f"row group {group} cannot be read ({error})") from error
            events = Columns(*(column.to_numpy() for column in table.columns))
            if not events.rows:
                continue
            if row == 0 and int(events.ts_ns[0]) != part.first_ns:
                problem = f"begins at {time_text(int(events.ts_ns[0]))}, not where its name says"
                walk.find(part.path, 0, problem, REIMPORT)
            _rows(walk, part.path, row, events, last_ns, day_ns)
            open_row = replay.play(part.path, row, meta.grid, events)
            last_ns = max(last_ns, int(events.ts_ns.max()))
            row += events.rows
        if open_row >= 0:
            walk.find(part.path, open_row, "the last frame is not closed by `last`", REIMPORT)
            replay.forget()
        if row and (meta.last_ns != last_ns):
            walk.find(part.path, -1, "ends elsewhere than its metadata says", REIMPORT)
    walk.rows += row
    return last_ns


def _rows(walk: _Walk, path: Path, row: int, events: Columns, before_ns: int, day_ns: int) -> None:
    """The rules that a row, or a row and the one before it, can break."""
    times, kind, side = events.ts_ns, events.kind, events.side
    steps = np.diff(times, prepend=before_ns if before_ns >= 0 else times[0])
    inside = np.concatenate([[False], events.last[:-1] == 0])
    known = (kind >= Kind.CLEAR) & (kind <= Kind.TRUNCATE)
    level, trade = kind == Kind.LEVEL, kind == Kind.TRADE
    two_sided = (side == BUY) | (side == SELL)
    states = events.ticks[kind == Kind.STATE]
    bad_state = kind == Kind.STATE
    bad_state[bad_state] = (states < min(BookState)) | (states > max(BookState))
    rules = (
        (steps < 0, "time goes backwards", REIMPORT),
        (times // NS_A_DAY * NS_A_DAY != day_ns, _other_day(times), REIMPORT),
        (~known, "an unknown kind", "read it with the version that wrote it, or import it again"),
        (level & ~two_sided, "a level without a side", REIMPORT),
        (trade & ~two_sided & (side != NO_SIDE), "a trade of no known side", REIMPORT),
        (level & (events.lots < 0), "a level with negative lots", REIMPORT),
        (trade & (events.lots <= 0), "a trade of no lots", REIMPORT),
        (bad_state, "an unknown book state", REIMPORT),
        ((kind == Kind.TRUNCATE) & (events.ticks < 0), "truncates to less than nothing", REIMPORT),
        (inside & (steps > 0), "another time than the rest of its frame", REIMPORT),
    )
    for broken, problem, mend in rules:
        walk.each(path, (np.flatnonzero(broken) + row).tolist(), problem, mend)
    walk.frames += int(np.count_nonzero(events.last))
    walk.trades += int(np.count_nonzero(trade))


def _other_day(times: Int64s) -> str:
    return f"belongs to another day ({day_of(max(int(times[-1]), 0))})"


def _candles(walk: _Walk, path: Path) -> None:
    """The rules of a month's candles."""
    try:
        bars = read_month(path)
    except CatalogError as error:
        problem, _, mend = str(error).removeprefix(f"{path}: ").partition(" -- ")
        walk.find(path, -1, problem, mend)
        return
    months = bars.ts_ns.astype("datetime64[ns]").astype("datetime64[M]").astype(str)
    rules = (
        (np.diff(bars.ts_ns, prepend=-1) <= 0, "time does not rise"),
        (months != path.stem, "belongs to another month"),
        (bars.high < bars.low, "its high is below its low"),
    )
    for broken, problem in rules:
        rows = np.flatnonzero(broken).tolist()
        walk.each(path, rows, problem, "delete the file and fetch its month again")


class _Replay:
    """The book of one series, played through all its files."""

    def __init__(self, walk: _Walk) -> None:
        self._walk = walk
        self._book = Book()
        self._state = int(BookState.SYNCING)
        self._grid: Grid | None = None
        self._levels = False

    def forget(self) -> None:
        """What the book holds is not known any more."""
        self._book.clear()
        self._state = int(BookState.SYNCING)

    def play(self, path: Path, row: int, grid: Grid, events: Columns) -> int:
        """Apply rows; the row where a frame begins that they leave open, or -1."""
        if self._grid is not None and grid != self._grid and self._levels:
            if events.kind[0] != Kind.CLEAR and (events.kind == Kind.LEVEL).any():
                problem = f"goes on with another grid ({grid}) without a CLEAR"
                self._walk.find(path, row, problem, REIMPORT)
            self.forget()
        self._grid = grid
        crossed: list[int] = []
        for start, stop in _runs(events):
            if events.kind[start] == Kind.LEVEL:
                try:
                    self._set(events.cut(start, stop))
                except (ValueError, OverflowError) as error:
                    self._walk.find(
                        path, row + start, f"no book takes this level: {error}", REIMPORT
                    )
            else:
                self._mark(int(events.kind[start]), int(events.ticks[start]))
            if events.last[stop - 1] and self._state == BookState.LIVE and self._book.crossed:
                crossed.append(row + stop - 1)
                self.forget()  # said once, until the next CLEAR and LIVE
        mend = "import the day again from a source that resynchronises, or leave the span out"
        self._walk.each(path, crossed, "the book is crossed while LIVE", mend)
        if events.last[-1]:
            return -1
        ends = np.flatnonzero(events.last)
        return row + (int(ends[-1]) + 1 if len(ends) else 0)

    def _set(self, levels: Columns) -> None:
        right = levels.lots >= 0
        bids, asks = right & (levels.side == BUY), right & (levels.side == SELL)
        self._levels = True
        self._book.apply(BID, levels.ticks[bids], levels.lots[bids])
        self._book.apply(ASK, levels.ticks[asks], levels.lots[asks])

    def _mark(self, kind: int, number: int) -> None:
        if kind == Kind.CLEAR:
            self.forget()
        elif kind == Kind.STATE:
            self._state = number
        elif kind == Kind.TRUNCATE and number >= 0:
            self._book.truncate(number)


def _runs(events: Columns) -> Iterator[tuple[int, int]]:
    """Pieces to apply at once: levels up to a frame's end, and every other event."""
    level = events.kind == Kind.LEVEL
    ends = (events.last != 0) | ~level
    ends[:-1] |= ~level[1:]
    ends[-1] = True
    stops = np.flatnonzero(ends) + 1
    starts = np.concatenate([[0], stops[:-1]])
    yield from zip(starts.tolist(), stops.tolist(), strict=True)
