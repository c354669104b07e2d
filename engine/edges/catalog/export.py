"""Writes a span of the catalog to one CSV or Parquet file, prices and quantities as decimals.

`events` is every event, `quotes` the best bid and ask after each frame that changed them, `trades`
the trades, `bars` candles of one minute made of the trades. The numbers are exact: text in CSV,
decimal128 in Parquet, with as many places as the finest grid of the span needs.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from engine.edges.catalog.layout import (
    CatalogError,
    Columns,
    Int64s,
    Kind,
    Source,
    day_parts,
    open_part,
    part_meta,
    series,
)
from engine.edges.catalog.reader import Batch, stream
from engine.edges.catalog.sheet import whole
from engine.edges.catalog.tops import Tops
from engine.units import split_decimal

BAR_NS = 60 * 10**9
SIDE_NAMES = {1: "buy", -1: "sell", 0: ""}
KIND_NAMES = {int(kind): kind.name.lower() for kind in Kind}


class Scale(NamedTuple):
    """The decimal places of an exported file's prices and quantities."""

    price: int
    quantity: int


Writer = Callable[[pa.Table], None]
Maker = Callable[[Iterator[Batch], Scale], Iterator[pa.Table]]


def export(
    root: Path,
    out: Path,
    what: str,
    venues: Sequence[str] = (),
    symbols: Sequence[str] = (),
    start_ns: int = 0,
    end_ns: int = 2**63 - 1,
) -> int:
    """Write events, quotes, trades or bars to `out`, by its suffix .csv or .parquet; rows written.

    The file appears whole or not at all; memory is bounded whatever the span. Raises CatalogError.
    """
    if what not in MAKERS:
        raise CatalogError(f"{what!r} cannot be exported -- one of {', '.join(MAKERS)} is expected")
    if out.suffix not in {".csv", ".parquet"}:
        raise CatalogError(f"{out}: a name ending in .csv or .parquet is expected")
    if not out.parent.is_dir():
        raise CatalogError(f"{out.parent}: there is no such folder -- make it first")
    scale = _scale(root, tuple(venues), tuple(symbols), start_ns, end_ns)
    batches = stream(root, venues, symbols, start_ns, end_ns)
    temporary = out.with_name(f".writing-{os.getpid()}-{out.name}")
    try:
        rows = _write(temporary, out.suffix, MAKERS[what](batches, scale))
        if not rows:
            raise CatalogError(
                f"{root}: the span has no {what} -- `catalog ls` tells what is there"
            )
        temporary.rename(out)
    finally:
        temporary.unlink(missing_ok=True)
    return rows


def _scale(
    root: Path, venues: tuple[str, ...], symbols: tuple[str, ...], start_ns: int, end_ns: int
) -> Scale:
    """The places that every grid of the span fits in; raises CatalogError where nothing is there."""
    price = quantity = -1
    for venue, symbol, days in series(root, venues, symbols):
        for part in (part for folder in days for part in day_parts(folder, venue, symbol)):
            if part.first_ns >= end_ns:
                continue
            with open_part(part.path) as file:
                meta = part_meta(part.path, file)
            if meta.last_ns >= start_ns:
                price = max(price, split_decimal(meta.grid.tick_size)[1])
                quantity = max(quantity, split_decimal(meta.grid.lot_size)[1])
    if price < 0:
        asked = ", ".join([*venues, *symbols]) or "anything"
        raise CatalogError(
            f"{root}: has nothing of {asked} there -- `catalog ls` tells what it has"
        )
    return Scale(price, quantity)


def _write(path: Path, suffix: str, tables: Iterator[pa.Table]) -> int:
    rows = 0
    writer: pcsv.CSVWriter | pq.ParquetWriter | None = None
    try:
        for table in tables:
            if not table.num_rows:
                continue
            if writer is None and suffix == ".csv":
                writer = pcsv.CSVWriter(path, _as_text(table).schema)
            elif writer is None:
                writer = pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(_as_text(table) if suffix == ".csv" else table)
            rows += table.num_rows
    finally:
        if writer is not None:
            writer.close()
    return rows


def _as_text(table: pa.Table) -> pa.Table:
    """Decimals as text, which CSV needs."""
    for place, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type):
            text = _plain(table.column(place).combine_chunks(), field.type.scale)
            table = table.set_column(place, field.name, text)
    return table


def _plain(exact: pa.Array, places: int) -> pa.Array:
    """Decimals as plain text, for Arrow's own is 0E-8 where 0.00000000 is meant."""
    units = whole(exact)
    digits = pa.array(np.abs(units)).cast(pa.string())
    sign = pa.array(np.where(units < 0, "-", ""), pa.string())
    if not places:
        return pc.binary_join_element_wise(sign, digits, "")
    digits = pc.utf8_lpad(digits, places + 1, "0")
    before = pc.utf8_slice_codeunits(digits, 0, -places)
    after = pc.utf8_slice_codeunits(digits, -places)
    return pc.binary_join_element_wise(sign, pc.binary_join_element_wise(before, after, "."), "")


def decimals(units: Int64s, factors: Int64s, places: int) -> pa.Array:
    """units * factors / 10 ** places as decimal128; raises CatalogError beyond 64 bits."""
    high = np.iinfo(np.int64).max // np.maximum(factors, 1)
    if (np.abs(units) > high).any():
        raise CatalogError(
            f"a number does not fit 64 bits at {places} places -- export less at once"
        )
    low = units * factors
    halves = np.empty((len(low), 2), np.int64)
    halves[:, 0], halves[:, 1] = low, low >> 63
    return pa.Array.from_buffers(
        pa.decimal128(38, places), len(low), [None, pa.py_buffer(halves.tobytes())]
    )


class _Decimals:
    """Turns ticks and lots of any source into decimals of one scale."""

    def __init__(self, sources: tuple[Source, ...], index: Int64s, scale: Scale) -> None:
        grids = [source.grid for source in sources]
        tick = [_factor(grid.tick_size, scale.price) for grid in grids]
        lot = [_factor(grid.lot_size, scale.quantity) for grid in grids]
        self._tick, self._lot = np.array(tick, np.int64)[index], np.array(lot, np.int64)[index]
        self._scale = scale
        self.venue = _named([source.venue for source in sources], index)
        self.symbol = _named([source.symbol for source in sources], index)

    def price(self, ticks: Int64s) -> pa.Array:
        """Ticks as prices."""
        return decimals(ticks, self._tick, self._scale.price)

    def quantity(self, lots: Int64s) -> pa.Array:
        """Lots as quantities."""
        return decimals(lots, self._lot, self._scale.quantity)


def _factor(step: str, places: int) -> int:
    digits, own = split_decimal(step)
    return digits * int(10 ** (places - own))


def _named(names: list[str], index: Int64s) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(index, pa.int32()), names).cast(pa.string())


def _word(numbers: Sequence[int], words: dict[int, str]) -> pa.Array:
    return pa.array([words[number] for number in numbers], pa.string())


def _events(batches: Iterator[Batch], scale: Scale) -> Iterator[pa.Table]:
    for events, source, sources in batches:
        told = _Decimals(sources, source.astype(np.int64), scale)
        priced = np.isin(events.kind, [Kind.LEVEL, Kind.TRADE])
        number = np.where(priced, 0, events.ticks)
        yield pa.table(
            {
                "ts_ns": events.ts_ns,
                "venue": told.venue,
                "symbol": told.symbol,
                "kind": _word(events.kind.tolist(), KIND_NAMES),
                "side": _word(events.side.tolist(), SIDE_NAMES),
                "price": told.price(np.where(priced, events.ticks, 0)),
                "quantity": told.quantity(np.where(priced, events.lots, 0)),
                "number": number,
                "last": events.last,
            }
        )


def _trades(batches: Iterator[Batch], scale: Scale) -> Iterator[pa.Table]:
    for events, source, sources in batches:
        rows = np.flatnonzero(events.kind == Kind.TRADE)
        held, told = events.take(rows), _Decimals(sources, source[rows].astype(np.int64), scale)
        yield pa.table(
            {
                "ts_ns": held.ts_ns,
                "venue": told.venue,
                "symbol": told.symbol,
                "side": _word(held.side.tolist(), SIDE_NAMES),
                "price": told.price(held.ticks),
                "quantity": told.quantity(held.lots),
            }
        )


def _quotes(batches: Iterator[Batch], scale: Scale) -> Iterator[pa.Table]:
    tops = Tops()
    for batch in batches:
        columns = np.array(tops.after(batch), np.int64).reshape(-1, 6).T
        told = _Decimals(batch.sources, columns[1], scale)
        yield pa.table(
            {
                "ts_ns": columns[0],
                "venue": told.venue,
                "symbol": told.symbol,
                "bid_price": told.price(columns[2]),
                "bid_quantity": told.quantity(columns[3]),
                "ask_price": told.price(columns[4]),
                "ask_quantity": told.quantity(columns[5]),
            }
        )


def _bars(batches: Iterator[Batch], scale: Scale) -> Iterator[pa.Table]:
    """Candles of the minutes that have trades, by minute and then source."""
    held: list[list[int]] = []  # minute, source, open, high, low, close, lots, trades
    sources: tuple[Source, ...] = ()
    for events, source, sources in batches:
        rows = np.flatnonzero(events.kind == Kind.TRADE)
        held += _minutes(events.take(rows), source[rows].astype(np.int64))
        whole, held = _settled(held, int(events.ts_ns[-1]) // BAR_NS * BAR_NS)
        yield _bar_table(whole, sources, scale)
    yield _bar_table(_settled(held, 2**63 - 1)[0], sources, scale)


def _minutes(trades: Columns, source: Int64s) -> list[list[int]]:
    """The trades' minutes as rows of a candle each, one or more a minute and source."""
    made = []
    for number in np.unique(source).tolist():
        own = trades.take(np.flatnonzero(source == number))
        minute = own.ts_ns // BAR_NS * BAR_NS
        starts = np.concatenate([[0], np.flatnonzero(np.diff(minute)) + 1])
        stops = np.concatenate([starts[1:], [own.rows]])
        made += np.stack(
            [
                minute[starts],
                np.full(len(starts), number),
                own.ticks[starts],
                np.maximum.reduceat(own.ticks, starts),
                np.minimum.reduceat(own.ticks, starts),
                own.ticks[stops - 1],
                np.add.reduceat(own.lots, starts),
                stops - starts,
            ],
            axis=1,
        ).tolist()
    return made


def _settled(rows: list[list[int]], until_ns: int) -> tuple[list[list[int]], list[list[int]]]:
    """Candles before a minute, those of one minute and source joined; and the rows left."""
    joined: dict[tuple[int, int], list[int]] = {}
    for row in rows:
        known = joined.setdefault((row[0], row[1]), row)
        if known is not row:
            known[3], known[4] = max(known[3], row[3]), min(known[4], row[4])
            known[5], known[6], known[7] = row[5], known[6] + row[6], known[7] + row[7]
    ordered = [joined[key] for key in sorted(joined)]
    return [r for r in ordered if r[0] < until_ns], [r for r in ordered if r[0] >= until_ns]


def _bar_table(rows: list[list[int]], sources: tuple[Source, ...], scale: Scale) -> pa.Table:
    columns = np.array(rows, np.int64).reshape(-1, 8).T
    told = _Decimals(sources, columns[1], scale)
    return pa.table(
        {
            "ts_ns": columns[0],
            "venue": told.venue,
            "symbol": told.symbol,
            "open": told.price(columns[2]),
            "high": told.price(columns[3]),
            "low": told.price(columns[4]),
            "close": told.price(columns[5]),
            "volume": told.quantity(columns[6]),
            "trades": columns[7],
        }
    )


MAKERS: dict[str, Maker] = {
    "events": _events,
    "quotes": _quotes,
    "trades": _trades,
    "bars": _bars,
}
