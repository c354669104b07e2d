"""Imports tardis.dev's CSV files: `incremental_book_L2` and `trades`, plain or gzipped.

Books have the columns exchange, symbol, timestamp, local_timestamp, is_snapshot, side, price,
amount; trades id instead of is_snapshot. Times are microseconds; events are stored at the local
one, when the recorder received them. Rows of one local time are one frame. A snapshot begins the
book anew, and the book is LIVE from it on.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from engine.edges.catalog.layout import (
    BUY,
    NO_SIDE,
    SELL,
    Columns,
    Grid,
    ImportRefused,
    Int8s,
    Int64s,
    Kind,
    columns,
    concatenated,
)
from engine.edges.catalog.merging import Feed, Piece, merge
from engine.edges.catalog.sheet import Sheet, derived_grid, read_sheets
from engine.edges.catalog.writer import EventWriter
from engine.messages import BookState

BOOK = ("exchange", "symbol", "timestamp", "local_timestamp", "is_snapshot", "side", "price", "amount")  # fmt: skip
TRADES = ("exchange", "symbol", "timestamp", "local_timestamp", "id", "side", "price", "amount")
SIDES = {"bid": BUY, "ask": SELL}
TAKERS = {"buy": BUY, "sell": SELL, "unknown": NO_SIDE}
NS_A_US = 1_000


def import_tardis(
    root: Path,
    paths: Sequence[Path],
    venue: str = "",
    symbol: str = "",
    grid: Grid | None = None,
) -> int:
    """Store books and trades of one symbol, of any number of files at once; how many events.

    The files are told apart by their columns and merged by time; several of one kind must follow
    each other in time. Venue and symbol are the files' own where none is named, and the grid is the
    coarsest decimal one that holds every price and amount. Raises CatalogError and stores nothing.
    """
    books = [path for path in paths if not _is_trades(path)]
    trades = [path for path in paths if _is_trades(path)]
    if not paths:
        raise ImportRefused("no file is named -- name book and trade files of one symbol")
    own = _own_names(paths)
    grid = grid or _grid(paths)
    feeds = [
        Feed(Piece(0, events) for events in events_of(kind, grid))
        for kind in (books, trades)
        if kind
    ]
    with EventWriter(root, staged=True) as writer:
        for events, _ in merge(feeds):
            writer.add(venue or own[0], symbol or own[1], grid, events)
    return writer.rows


def _is_trades(path: Path) -> bool:
    """Whether a file holds trades; raises ImportRefused where it holds neither."""
    if not path.is_file():
        raise ImportRefused(f"{path}: there is no such file -- name one that is there")
    try:
        with pa.input_stream(path, compression="detect") as file:
            names = set(file.read(1_000).decode().partition("\n")[0].strip().split(","))
    except (OSError, ValueError) as error:
        raise ImportRefused(f"{path}: no CSV file ({error}) -- fetch it again") from error
    if set(BOOK) <= names:
        return False
    if set(TRADES) <= names:
        return True
    raise ImportRefused(
        f"{path}: line 1, columns {','.join(sorted(names))} -- those of tardis.dev's "
        f"incremental_book_L2 ({','.join(BOOK)}) or trades ({','.join(TRADES)}) are expected"
    )


def _own_names(paths: Sequence[Path]) -> tuple[str, str]:
    """The exchange and symbol that all files speak of."""
    first: tuple[str, str] | None = None
    for path in paths:
        for sheet in read_sheets(path, ("exchange", "symbol")):
            for row, names in enumerate(
                zip(
                    sheet.text("exchange").to_pylist(),
                    sheet.text("symbol").to_pylist(),
                    strict=True,
                )
            ):
                first = first or names
                if names != first:
                    mend = f"the import began with {' '.join(first)}: import one symbol at a time"
                    raise sheet.refuse(row, "symbol", mend)
    if first is None:
        raise ImportRefused(f"{paths[0]}: holds no row -- fetch it again")
    return first


def _grid(paths: Sequence[Path]) -> Grid:
    """The coarsest decimal grid that holds all files."""

    def sheets() -> Iterator[Sheet]:
        for path in paths:
            yield from read_sheets(path, ("price", "amount"))

    return derived_grid(sheets(), "price", "amount")


def events_of(paths: Sequence[Path], grid: Grid) -> Iterator[Columns]:
    """The events of files of one kind, a block at a time in whole frames; raises ImportRefused."""
    state = _Frames()
    for path in sorted(paths, key=_first_time):
        trades = _is_trades(path)
        for sheet in read_sheets(path, TRADES if trades else BOOK):
            if sheet.rows:
                yield from state.take(_trades(sheet, grid) if trades else _book(sheet, grid), sheet)
    yield from state.rest()


def _first_time(path: Path) -> int:
    for sheet in read_sheets(path, ("local_timestamp",)):
        if sheet.rows:
            return int(sheet.integers("local_timestamp")[0])
    return 0


class _Rows(NamedTuple):
    """A block's rows as numbers, before its frames are closed."""

    times: Int64s
    begins: Int8s
    kind: Kind
    side: Int64s
    ticks: Int64s
    lots: Int64s


def _book(sheet: Sheet, grid: Grid) -> _Rows:
    snapshot = sheet.words("is_snapshot", {"true": 1, "false": 0})
    lots = sheet.steps("amount", grid.lot_size)
    if (lots < 0).any():
        mend = "an amount is not negative: fetch the file again"
        raise sheet.refuse(int(np.argmax(lots < 0)), "amount", mend)
    return _Rows(
        sheet.integers("local_timestamp") * NS_A_US,
        snapshot.astype(np.int8),
        Kind.LEVEL,
        sheet.words("side", SIDES),
        sheet.steps("price", grid.tick_size),
        lots,
    )


def _trades(sheet: Sheet, grid: Grid) -> _Rows:
    lots = sheet.steps("amount", grid.lot_size)
    if (lots <= 0).any():
        mend = "a trade has an amount above zero: fetch the file again"
        raise sheet.refuse(int(np.argmax(lots <= 0)), "amount", mend)
    return _Rows(
        sheet.integers("local_timestamp") * NS_A_US,
        np.zeros(sheet.rows, np.int8),
        Kind.TRADE,
        sheet.words("side", TAKERS),
        sheet.steps("price", grid.tick_size),
        lots,
    )


class _Frames:
    """Closes frames at a change of time, over the edges of blocks and files."""

    def __init__(self) -> None:
        self._held: Columns | None = None
        self._last_ns = -1
        self._in_snapshot = False

    def take(self, rows: _Rows, sheet: Sheet) -> Iterator[Columns]:
        """The frames that are whole after a block."""
        times = rows.times
        before = self._last_ns if self._last_ns >= 0 else int(times[0])
        back = np.diff(times, prepend=before) < 0
        if back.any():
            mend = "it is before the row above: sort the file by local_timestamp"
            raise sheet.refuse(int(np.argmax(back)), "local_timestamp", mend)
        events = self._with_marks(rows)
        self._last_ns = int(times[-1])
        joined = events if self._held is None else concatenated([self._held, events])
        start = int(np.searchsorted(joined.ts_ns, self._last_ns))
        self._held = joined.cut(start, joined.rows)  # its frame may go on in the next block
        if start:
            yield closed(joined.cut(0, start))

    def rest(self) -> Iterator[Columns]:
        """The last frame."""
        if self._held is not None:
            live = _marks([self._last_ns], Kind.STATE) if self._in_snapshot else _marks([], 0)
            yield closed(concatenated([self._held, live]))

    def _with_marks(self, rows: _Rows) -> Columns:
        """The rows with a CLEAR before each snapshot, and the state LIVE after its last row."""
        begins = rows.begins != 0
        before = np.concatenate([[self._in_snapshot], begins[:-1]])
        times_before = np.concatenate([[self._last_ns], rows.times[:-1]])
        clear, live = np.flatnonzero(begins & ~before), np.flatnonzero(~begins & before)
        self._in_snapshot = bool(begins[-1])
        held = columns(
            rows.times, np.full(len(begins), rows.kind), rows.side, rows.ticks, rows.lots,
            np.zeros(len(begins)),
        )  # fmt: skip
        marks = [_marks(rows.times[clear], Kind.CLEAR), _marks(times_before[live], Kind.STATE)]
        return held.insert(np.concatenate([clear, live]), concatenated(marks))


def _marks(times: Sequence[int] | Int64s, kind: int) -> Columns:
    """Events of one kind but levels and trades; a state is LIVE."""
    none = np.zeros(len(times))
    number = none + (BookState.LIVE if kind == Kind.STATE else 0)
    return columns(times, none + kind, none, number, none, none)


def closed(events: Columns) -> Columns:
    """The events with `last` at the last one of each time."""
    last = np.ones(events.rows, np.int8)
    last[:-1] = events.ts_ns[1:] != events.ts_ns[:-1]
    return events._replace(last=last)
