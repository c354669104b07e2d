"""Candles in the catalog: a file a month, replaced whole, so that there are never two of one time.

Their numbers are floats, for they are statistics and no one's money: that is how exchanges and
studies give them. What a source does not say (only closes, no volume) is NaN.
"""

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from engine.edges.catalog.layout import (
    NS_A_SECOND,
    CatalogError,
    Int64s,
    decoded,
    encoded,
    folders,
    time_text,
)
from engine.edges.catalog.writer import sync_folder, write_synced

BARS = "bars"
PRICES = ("open", "high", "low", "close")
NUMBERS = (*PRICES, "volume")
SCHEMA = pa.schema(
    [
        pa.field("ts_ns", pa.int64(), nullable=False),
        *(pa.field(name, pa.float64(), nullable=False) for name in NUMBERS),
    ]
)
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
Floats = npt.NDArray[np.float64]


class Bars(NamedTuple):
    """Candles as columns of one length, by rising time; `ts_ns` is when a candle opens."""

    ts_ns: Int64s
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    @property
    def rows(self) -> int:
        """How many candles there are."""
        return len(self.ts_ns)

    def take(self, rows: "npt.NDArray[np.intp] | npt.NDArray[np.bool_] | slice") -> "Bars":
        """The rows of a slice, a mask or an index array."""
        return Bars(
            self.ts_ns[rows],
            self.open[rows],
            self.high[rows],
            self.low[rows],
            self.close[rows],
            self.volume[rows],
        )


class BarSeries(NamedTuple):
    """One series of candles that the catalog has."""

    venue: str
    symbol: str
    interval: str
    files: tuple[Path, ...]


def interval_ns(interval: str) -> int:
    """'1m' as 60 s in ns; raises CatalogError on what is no interval."""
    found = re.fullmatch(r"([1-9]\d*)([smhdw])", interval)
    if found is None:
        raise CatalogError(f"interval {interval!r}: one such as 1m, 4h or 1d is expected")
    return int(found[1]) * SECONDS[found[2]] * NS_A_SECOND


def bar_folder(root: Path, venue: str, symbol: str, interval: str) -> Path:
    """The folder of a series of candles."""
    interval_ns(interval)
    names = f"venue={encoded(venue)}", f"symbol={encoded(symbol)}", f"interval={interval}"
    return root.joinpath(BARS, *names)


def put_bars(root: Path, venue: str, symbol: str, interval: str, bars: Bars) -> int:
    """Store candles; how many were new. What is there stays, and must not say otherwise.

    Raises CatalogError on times that do not rise or are off the interval, and on a candle that is
    stored already with other numbers; then nothing is stored. A crash leaves each month as it was
    or whole.
    """
    step_ns = interval_ns(interval)
    name = f"{venue} {symbol} {interval}"
    times = bars.ts_ns
    if not bars.rows:
        return 0
    if (np.diff(times) <= 0).any() or int(times[0]) < 0:
        raise CatalogError(f"{name}: the candles' times do not rise -- sort them, each time once")
    if interval[-1] != "w" and (times % step_ns).any():
        odd = time_text(int(times[np.argmax(times % step_ns != 0)]))
        raise CatalogError(f"{name}: {odd} opens no candle of {interval} -- name their interval")
    folder = bar_folder(root, venue, symbol, interval)
    months = times.astype("datetime64[ns]").astype("datetime64[M]").astype(str)
    staged: list[tuple[Path, Path]] = []
    new = 0
    try:
        for month in sorted(set(months.tolist())):
            path = folder / f"{month}.parquet"
            held, added = _joined(path, bars.take(months == month))
            new += added
            if added:
                folder.mkdir(parents=True, exist_ok=True)
                temporary = folder / f".writing-{os.getpid()}-{month}"
                write_synced(pa.table(list(held), schema=SCHEMA), temporary)
                staged.append((temporary, path))
    except BaseException:
        for temporary, _ in staged:
            temporary.unlink()
        raise
    for temporary, path in staged:
        temporary.rename(path)
    if staged:
        sync_folder(folder)
    return new


def _joined(path: Path, bars: Bars) -> tuple[Bars, int]:
    """What a month holds together with new candles, and how many are new."""
    if not path.exists():
        return bars, bars.rows
    held = read_month(path)
    place = np.searchsorted(held.ts_ns, bars.ts_ns)
    known = np.zeros(bars.rows, bool)
    inside = place < held.rows
    known[inside] = held.ts_ns[place[inside]] == bars.ts_ns[inside]
    for name in NUMBERS:
        own, other = getattr(held, name)[place[known]], getattr(bars, name)[known]
        differs = ~((own == other) | (np.isnan(own) & np.isnan(other)))
        if differs.any():
            row = int(np.argmax(differs))
            raise CatalogError(
                f"{path}: the {name} of {time_text(int(bars.ts_ns[known][row]))} is {own[row]} "
                f"there and {other[row]} now -- delete the file to take the new ones"
            )
    fresh = bars.take(~known)
    joined = Bars(*(np.concatenate(pair) for pair in zip(held, fresh, strict=True)))
    return joined.take(np.argsort(joined.ts_ns, kind="stable")), fresh.rows


def read_month(path: Path) -> Bars:
    """The candles of one file; raises CatalogError."""
    try:
        table = pq.read_table(path, partitioning=None, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise CatalogError(
            f"{path}: cannot be read ({error}) -- delete it and fetch its month again"
        ) from error
    if not table.schema.equals(SCHEMA):
        raise CatalogError(f"{path}: not a file of candles: {table.schema.names} -- move it away")
    ts_ns, opened, high, low, close, volume = (column.to_numpy() for column in table.columns)
    return Bars(ts_ns, opened, high, low, close, volume)


def bar_series(root: Path) -> Iterator[BarSeries]:
    """Every series of candles under a root, by name."""
    for venue, venue_folder in folders(root / BARS, "venue"):
        for symbol, symbol_folder in folders(venue_folder, "symbol"):
            for interval, folder in folders(symbol_folder, "interval"):
                files = tuple(sorted(folder.glob("????-??.parquet")))
                if files:
                    yield BarSeries(decoded(venue), decoded(symbol), interval, files)


def read_bars(
    root: Path, venue: str, symbol: str, interval: str, start_ns: int = 0, end_ns: int = 2**63 - 1
) -> Iterator[Bars]:
    """The candles that open in start_ns <= time < end_ns, a month at a time; raises CatalogError."""
    for path in sorted(bar_folder(root, venue, symbol, interval).glob("????-??.parquet")):
        if _month_ns(path.stem, 1) <= start_ns or _month_ns(path.stem, 0) >= end_ns:
            continue
        bars = read_month(path)
        bars = bars.take((bars.ts_ns >= start_ns) & (bars.ts_ns < end_ns))
        if bars.rows:
            yield bars


def _month_ns(month: str, later: int) -> int:
    """Midnight of the first of a month YYYY-MM, or of the one after it."""
    year, number = int(month[:4]), int(month[5:]) - 1 + later
    first = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    return (first - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1_000


def stored_span(root: Path, venue: str, symbol: str, interval: str) -> tuple[int, int] | None:
    """When the first and the last stored candle open, in ns; None where there is none."""
    files = sorted(bar_folder(root, venue, symbol, interval).glob("????-??.parquet"))
    if not files:
        return None
    return int(read_month(files[0]).ts_ns[0]), int(read_month(files[-1]).ts_ns[-1])
