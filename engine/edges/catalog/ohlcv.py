"""Imports candles from CSV or Parquet: one series a file, or closes of many coins side by side.

A file with a column `close` is one series; without one, its first column is the time and every
other the closes of the coin it is named after. Times may be ISO text, days, or seconds, milli-,
micro- or nanoseconds since 1970 (told by their size).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from engine.edges.catalog.bars import NUMBERS, PRICES, Bars, Floats, interval_ns, put_bars
from engine.edges.catalog.layout import ImportRefused, Int64s, time_text

TIMES = ("timestamp", "time", "date", "open_time", "ts", "start")  # in order of preference
LARGEST = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3), (2**63, 1))  # below: ns a unit


def import_ohlcv(
    root: Path, path: Path, venue: str, symbol: str, interval: str, quote: str = "USD"
) -> int:
    """Store the candles of one file; how many were new.

    `symbol` names the series of a file that holds one; `quote` is what the closes of many coins
    are in, each stored as COIN/QUOTE. Raises ImportRefused naming file, line, column, value and mend,
    and then stores nothing; CatalogError where a series contradicts what is stored of it, which
    leaves that series as it was.
    """
    interval_ns(interval)
    table = _read(path)
    names = {name.lower(): name for name in table.column_names}
    if not venue:
        raise ImportRefused(f"{path}: does not say whose it is -- name --venue")
    if "close" not in names:
        return _import_wide(root, path, table, venue, interval, quote)
    if not symbol:
        raise ImportRefused(f"{path}: does not say what it is of -- name --symbol")
    stamp = next((names[name] for name in TIMES if name in names), None)
    if stamp is None:
        raise ImportRefused(f"{path}: no column of times among {', '.join(names)} -- name one date")
    times = _times(path, table, stamp)
    numbers = [
        _floats(path, table, names[name]) if name in names else np.full(table.num_rows, np.nan)
        for name in NUMBERS
    ]
    bars = _checked(path, stamp, Bars(times, *numbers))
    return put_bars(root, venue, symbol, interval, bars)


def _import_wide(
    root: Path, path: Path, table: pa.Table, venue: str, interval: str, quote: str
) -> int:
    stamp, *coins = table.column_names
    times = _times(path, table, stamp)
    made = []
    for coin in coins:  # all are checked before the first is stored
        closes = _floats(path, table, coin)
        there = ~np.isnan(closes)
        none = np.full(int(there.sum()), np.nan)
        bars = Bars(times[there], none, none, none, closes[there], none)
        made.append((f"{coin}/{quote}", _checked(path, stamp, bars)))
    return sum(put_bars(root, venue, symbol, interval, bars) for symbol, bars in made)


def _read(path: Path) -> pa.Table:
    if not path.is_file():
        raise ImportRefused(f"{path}: there is no such file -- name one that is there")
    try:
        if path.suffix == ".parquet":
            return pq.read_table(path, partitioning=None)
        options = pcsv.ReadOptions(use_threads=False)
        with pcsv.open_csv(path, read_options=options) as reader:
            names = reader.schema.names
        # Read as text, so that a complaint can show what stands in the file.
        convert = pcsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
        return pcsv.read_csv(path, read_options=options, convert_options=convert)
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise ImportRefused(
            f"{path}: cannot be read as candles ({error}) -- a whole CSV or Parquet file is expected"
        ) from error


def _refuse(path: Path, row: int, column: str, value: object, mend: str) -> ImportRefused:
    """The complaint about one value; a CSV file's first row stands on its line 2."""
    where = f"row {row + 1}" if path.suffix == ".parquet" else f"line {row + 2}"
    return ImportRefused(f"{path}: {where}, column {column}, value {value!r} -- {mend}")


def _floats(path: Path, table: pa.Table, name: str) -> Floats:
    """A column as floats, NaN where it is empty."""
    column = table.column(name)
    values: Floats = np.full(table.num_rows, np.nan)
    if not pa.types.is_string(column.type):
        try:
            values = column.cast(pa.float64()).to_numpy()
        except pa.ArrowException as error:
            raise ImportRefused(
                f"{path}: column {name}: {error} -- numbers are expected"
            ) from error
    else:
        for row, text in enumerate(column.to_pylist()):
            try:
                values[row] = float(text) if text else np.nan
            except ValueError:
                raise _refuse(path, row, name, text, "a number is expected") from None
    wrong = np.isinf(values) | (values < 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        mend = "a number not below zero is expected"
        raise _refuse(path, row, name, column[row].as_py(), mend)
    return values


def _times(path: Path, table: pa.Table, name: str) -> Int64s:
    """A column of times in ns since 1970."""
    column = table.column(name)
    if pa.types.is_timestamp(column.type):
        return np.asarray(
            column.cast(pa.timestamp("ns", column.type.tz)).cast(pa.int64()), np.int64
        )
    made = np.zeros(table.num_rows, np.int64)
    for row, value in enumerate(column.to_pylist()):
        try:
            made[row] = _time(value)
        except (TypeError, ValueError):
            mend = "a time is expected: ISO text or whole units since 1970"
            raise _refuse(path, row, name, value, mend) from None
    return made


def _time(value: object) -> int:
    text = str(value)
    if text.isdigit():
        number = int(text)
        unit = next(ns for limit, ns in LARGEST if number < limit)
        return number * unit
    moment = np.datetime64(text.removesuffix("Z").replace("+00:00", ""), "ns")
    if np.isnat(moment):
        raise ValueError(text)
    return int(moment.astype(np.int64))


def _checked(path: Path, stamp: str, bars: Bars) -> Bars:
    """The candles by time; refuses a time that is there twice and a candle that cannot be."""
    order = np.argsort(bars.ts_ns, kind="stable")
    twice = np.diff(bars.ts_ns[order]) == 0
    if twice.any():
        row = int(order[1:][np.argmax(twice)])
        mend = "this time is there already: each candle once is expected"
        raise _refuse(path, row, stamp, time_text(int(bars.ts_ns[row])), mend)
    wrong = bars.high < bars.low
    for name in PRICES:
        prices = getattr(bars, name)
        wrong |= (prices > bars.high) | (prices < bars.low)
    if wrong.any():
        row = int(np.argmax(wrong))
        shown: Sequence[float] = [getattr(bars, name)[row] for name in PRICES]
        mend = "open, high, low, close do not lie between low and high: fetch the file again"
        raise _refuse(path, row, "high", shown, mend)
    return bars.take(order)
