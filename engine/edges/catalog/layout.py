"""Where the catalog keeps what: folders, file names, the events' columns and their grid.

    ROOT/events/venue=V/symbol=S/day=YYYY-MM-DD/part-FIRST-NUMBER.parquet
    ROOT/bars/venue=V/symbol=S/interval=1m/YYYY-MM.parquet

One row is one event. Prices are ticks and quantities lots of the grid that stands in the file's
metadata; a venue may move an instrument to another grid, so the grid belongs to a file and not to
a partition. V and S are percent-encoded: every symbol has one folder, and every folder one symbol.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from engine.units import UnitError, split_decimal

Int64s = npt.NDArray[np.int64]
Int8s = npt.NDArray[np.int8]

EVENTS: Final = "events"
VERSION: Final = "1"
NS_A_SECOND: Final = 1_000_000_000
NS_A_DAY: Final = 86_400 * NS_A_SECOND
ROWS_A_GROUP: Final = 65_536
BUY: Final = 1  # a bid, or a taker who bought; the numbers of ext.book and engine.messages
SELL: Final = -1  # an ask, or a taker who sold
NO_SIDE: Final = 0


class CatalogError(ValueError):
    """What cannot be stored or read. The message names the file or partition, and the mend.

    CatalogError
      + ImportRefused   an input that is not what it should be: file, line, column, value, mend
    """


class ImportRefused(CatalogError):
    """An input file that cannot be imported; nothing of it was stored."""


class Kind(IntEnum):
    """What an event does to the book. Stored: never renumber."""

    CLEAR = 1
    LEVEL = 2
    TRADE = 3
    STATE = 4
    TRUNCATE = 5


SCHEMA: Final = pa.schema(
    [
        pa.field("ts_ns", pa.int64(), nullable=False),
        pa.field("kind", pa.int8(), nullable=False),
        pa.field("side", pa.int8(), nullable=False),
        pa.field("ticks", pa.int64(), nullable=False),
        pa.field("lots", pa.int64(), nullable=False),
        pa.field("last", pa.int8(), nullable=False),
    ]
)


class Columns(NamedTuple):
    """Events as columns of one length.

    `ts_ns` is the receive time in ns since 1970; `kind` a Kind; `side` 1 bid or buyer, -1 ask or
    seller, 0 neither. LEVEL: `lots` is the new total at `ticks`, 0 removes it. TRADE: `side` is the
    taker's, 0 where the source does not say. STATE: `ticks` is the BookState. TRUNCATE: `ticks` is
    how many levels a side remain. `last` is 1 at the last event of a frame: the book is whole only
    after it. All events of a frame have one `ts_ns`.
    """

    ts_ns: Int64s
    kind: Int8s
    side: Int8s
    ticks: Int64s
    lots: Int64s
    last: Int8s

    @property
    def rows(self) -> int:
        """How many events there are."""
        return len(self.ts_ns)

    def cut(self, start: int, stop: int) -> "Columns":
        """Rows start..stop, without a copy."""
        return self.take(slice(start, stop))

    def take(self, rows: "slice | npt.NDArray[np.intp]") -> "Columns":
        """The rows of a slice, or those of an index array, in its order."""
        return Columns(
            self.ts_ns[rows],
            self.kind[rows],
            self.side[rows],
            self.ticks[rows],
            self.lots[rows],
            self.last[rows],
        )

    def insert(self, places: Int64s, events: "Columns") -> "Columns":
        """Other events put in, each before the row of its place."""
        return Columns(
            np.insert(self.ts_ns, places, events.ts_ns),
            np.insert(self.kind, places, events.kind),
            np.insert(self.side, places, events.side),
            np.insert(self.ticks, places, events.ticks),
            np.insert(self.lots, places, events.lots),
            np.insert(self.last, places, events.last),
        )


def columns(ts_ns: Any, kind: Any, side: Any, ticks: Any, lots: Any, last: Any) -> Columns:
    """Columns of the right types from arrays or sequences; raises CatalogError on other lengths."""
    made = Columns(
        np.ascontiguousarray(ts_ns, np.int64),
        np.ascontiguousarray(kind, np.int8),
        np.ascontiguousarray(side, np.int8),
        np.ascontiguousarray(ticks, np.int64),
        np.ascontiguousarray(lots, np.int64),
        np.ascontiguousarray(last, np.int8),
    )
    lengths = [np.shape(column) for column in made]
    if len(set(lengths)) != 1 or made.ts_ns.ndim != 1:
        raise CatalogError(f"columns of one length are expected, not {lengths}")
    return made


def concatenated(parts: list[Columns]) -> Columns:
    """The rows of all parts, in order; no parts are no rows."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return columns([], [], [], [], [], [])
    return Columns(*(np.concatenate(pieces) for pieces in zip(*parts, strict=True)))


class Grid(NamedTuple):
    """What one tick and one lot are, as decimal text in units of the quote and base asset."""

    tick_size: str
    lot_size: str

    def problem(self) -> str:
        """Why it is no grid; empty where it is one."""
        for name, text in zip(self._fields, self, strict=True):
            try:
                digits, places = split_decimal(text)
            except UnitError as error:
                return f"{name}: {error}"
            if digits <= 0 or places > 18:
                return f"{name} {text!r} is not a positive decimal of at most 18 places"
        return ""


class Source(NamedTuple):
    """Where a row comes from, and the grid its numbers are on."""

    venue: str
    symbol: str
    grid: Grid


class Part(NamedTuple):
    """One file of events; `first_ns` and `number` come from its name."""

    path: Path
    venue: str
    symbol: str
    day: str
    first_ns: int
    number: int


def encoded(name: str) -> str:
    """A venue or symbol as a folder's name; `decoded` gives it back."""
    if not name:
        raise CatalogError("a venue or symbol needs a name")
    return quote(name, safe="").replace(".", "%2E")  # '..' would be another folder


def decoded(name: str) -> str:
    """The venue or symbol of a folder's name."""
    return unquote(name)


def day_of(ts_ns: int) -> str:
    """The UTC day of a time, as YYYY-MM-DD."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=ts_ns // NS_A_DAY)).strftime(
        "%Y-%m-%d"
    )


def day_start_ns(day: str) -> int:
    """Midnight UTC of a day YYYY-MM-DD in ns; raises ValueError on another text."""
    since = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC) - datetime(
        1970, 1, 1, tzinfo=UTC
    )
    return since.days * NS_A_DAY


def time_text(ts_ns: int) -> str:
    """A time as ISO text with nanoseconds."""
    seconds, rest = divmod(ts_ns, NS_A_SECOND)
    whole = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def series_folder(root: Path, venue: str, symbol: str) -> Path:
    """The folder of all days of one symbol of one venue."""
    return root / EVENTS / f"venue={encoded(venue)}" / f"symbol={encoded(symbol)}"


def part_name(first_ns: int, number: int) -> str:
    """The name of the `number`-th file of a day whose first event is at `first_ns`."""
    return f"part-{first_ns:020d}-{number:06d}.parquet"


def folders(parent: Path, key: str) -> Iterator[tuple[str, Path]]:
    """The values and paths of folders `key=value` under a folder, by name."""
    if parent.is_dir():
        for path in sorted(parent.iterdir()):
            if path.is_dir() and path.name.startswith(f"{key}="):
                yield path.name.partition("=")[2], path


def day_parts(folder: Path, venue: str, symbol: str) -> list[Part]:
    """The event files of one day's folder by time; unfinished ones are left out."""
    found = []
    day = folder.name.partition("=")[2]
    for path in folder.glob("part-*.parquet"):
        try:
            _, first, number = path.stem.split("-")
            found.append(Part(path, venue, symbol, day, int(first), int(number)))
        except ValueError as error:
            name = part_name(0, 0)
            raise CatalogError(
                f"{path}: its name is not of the form {name} -- move it away"
            ) from error
    return sorted(found, key=lambda part: (part.first_ns, part.number))


def series(
    root: Path, venues: tuple[str, ...] = (), symbols: tuple[str, ...] = ()
) -> Iterator[tuple[str, str, list[Path]]]:
    """Venue, symbol and folders of days of each series asked for, by name; all where none is."""
    for venue_code, venue_folder in folders(root / EVENTS, "venue"):
        venue = decoded(venue_code)
        if venues and venue not in venues:
            continue
        for symbol_code, folder in folders(venue_folder, "symbol"):
            symbol = decoded(symbol_code)
            if not symbols or symbol in symbols:
                yield venue, symbol, [path for _, path in folders(folder, "day")]


class PartMeta(NamedTuple):
    """What a file says of itself in its Parquet metadata."""

    grid: Grid
    first_ns: int
    last_ns: int
    rows: int


def open_part(path: Path) -> pq.ParquetFile:
    """A file of events opened for reading; raises CatalogError on anything else."""
    try:
        file = pq.ParquetFile(path, memory_map=False, pre_buffer=False)
    except (OSError, pa.ArrowException) as error:
        raise CatalogError(
            f"{path}: cannot be read ({error}) -- delete it and import its day again"
        ) from error
    if not file.schema_arrow.equals(SCHEMA):
        names = ", ".join(f"{field.name} {field.type}" for field in file.schema_arrow)
        raise CatalogError(f"{path}: not a file of events: its columns are {names} -- move it away")
    return file


def part_meta(path: Path, file: pq.ParquetFile) -> PartMeta:
    """Grid and span of an open file; raises CatalogError where it does not say them."""
    held = {key: value.decode() for key, value in (file.metadata.metadata or {}).items()}
    try:
        grid = Grid(held[b"tick_size"], held[b"lot_size"])
        span = int(held[b"first_ns"]), int(held[b"last_ns"])
    except (KeyError, ValueError) as error:
        raise CatalogError(
            f"{path}: says no grid or span ({error!r}) -- delete it and import its day again"
        ) from error
    return PartMeta(grid, *span, file.metadata.num_rows)
