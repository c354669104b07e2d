"""CSV files read in blocks, with every complaint naming file, line, column, value and the mend.

Decimal text becomes whole ticks and lots without ever being a float. Columns are read as text and
converted a block at a time by Arrow; only where that fails is a block searched value by value, for
the first one that is wrong.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from engine.edges.catalog.layout import Grid, ImportRefused, Int64s
from engine.units import OffGridError, UnitError, parse_decimal, split_decimal

BLOCK_BYTES = 4 << 20
PLACES_MAX = 18


class Sheet(NamedTuple):
    """A block of a CSV file: `line` is the number of its first row in the file, from 1."""

    path: Path
    line: int
    table: pa.Table

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.table.num_rows)

    def text(self, column: str) -> pa.Array:
        """A column's values as they stand in the file."""
        return self.table.column(column).combine_chunks()

    def refuse(self, row: int, column: str, mend: str) -> ImportRefused:
        """The complaint about one value."""
        value = self.table.column(column)[row].as_py()
        return ImportRefused(
            f"{self.path}: line {self.line + row}, column {column}, value {value!r} -- {mend}"
        )

    def decimals(self, column: str, places: int, grid: str = "") -> Int64s:
        """Values times 10 ** places, exactly; raises ImportRefused on what is none or does not fit."""
        try:
            return whole(self.text(column).cast(pa.decimal128(38, places)))
        except (pa.ArrowException, OverflowError) as error:
            cause = error
        for row, value in enumerate(self.table.column(column).to_pylist()):
            try:
                parse_decimal(value, places)
            except OffGridError as error:
                grid = grid or f"{places} decimal places"
                raise self.refuse(row, column, _off(grid)) from error
            except UnitError as error:
                raise self.refuse(row, column, f"a decimal number is expected: {error}") from error
        raise ImportRefused(f"{self.path}: column {column}: {cause} -- fetch the file again")

    def steps(self, column: str, step: str) -> Int64s:
        """Values in whole steps of a grid; raises ImportRefused on what lies between two."""
        digits, places = split_decimal(step)
        units = self.decimals(column, places, step)
        off = units % digits != 0
        if off.any():
            raise self.refuse(int(np.argmax(off)), column, _off(step))
        return units // digits

    def integers(self, column: str) -> Int64s:
        """Whole numbers."""
        return self.decimals(column, 0)

    def words(self, column: str, meaning: dict[str, int]) -> Int64s:
        """Each word as its number; raises ImportRefused on another word."""
        words = list(meaning)
        places = pc.index_in(self.text(column), value_set=pa.array(words))
        if places.null_count:
            row = int(np.argmax(pc.is_null(places).to_numpy(zero_copy_only=False)))
            raise self.refuse(row, column, f"one of {', '.join(words)} is expected")
        numbers: Int64s = np.array(list(meaning.values()), dtype=np.int64)
        found: Int64s = numbers[places.to_numpy()]
        return found

    def places(self, column: str, least: int = 0) -> int:
        """How many decimal places hold every value of a column exactly, at least `least`."""
        text = self.text(column)
        for places in range(least, PLACES_MAX + 1):
            try:
                text.cast(pa.decimal128(38, places))
            except pa.ArrowInvalid:
                continue  # too few, or no number: the last try tells which value it is
            return places
        self.decimals(column, PLACES_MAX)
        return PLACES_MAX


def _off(grid: str) -> str:
    return f"it is off the grid of {grid}: name the instrument's own tick and lot size"


def whole(exact: pa.Array) -> Int64s:
    """A decimal128 array's unscaled numbers; raises OverflowError beyond 64 bits."""
    halves = np.frombuffer(exact.buffers()[1], dtype=np.int64).reshape(-1, 2)
    halves = halves[exact.offset : exact.offset + len(exact)]
    low, high = halves[:, 0], halves[:, 1]
    if (low >> 63 != high).any():
        raise OverflowError("a number beyond 64 bits")
    return np.ascontiguousarray(low)


def read_sheets(path: Path, names: Sequence[str], *, header: bool = True) -> Iterator[Sheet]:
    """The blocks of a CSV or CSV.gz file; without a header, `names` are its columns in order.

    Raises ImportRefused where the file cannot be read, lacks a column, or has a row of another
    number of cells.
    """
    if not path.is_file():
        raise ImportRefused(f"{path}: there is no such file -- name one that is there")
    rows_bad: list[str] = []

    def bad_row(row: pcsv.InvalidRow) -> str:
        rows_bad.append(
            f"line {row.number}: {row.actual_columns} cells where {row.expected_columns} are "
            f"expected: {row.text[:80]!r}"
        )
        return "error"

    line = 2 if header else 1
    try:
        with pcsv.open_csv(
            path,
            read_options=pcsv.ReadOptions(
                use_threads=False,
                block_size=BLOCK_BYTES,
                column_names=None if header else list(names),
            ),
            parse_options=pcsv.ParseOptions(invalid_row_handler=bad_row, ignore_empty_lines=False),
            convert_options=pcsv.ConvertOptions(
                column_types={name: pa.string() for name in names},
                include_columns=list(names),
                strings_can_be_null=False,
            ),
        ) as reader:
            for batch in reader:
                yield Sheet(path, line, pa.Table.from_batches([batch]))
                line += batch.num_rows
    except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError) as error:
        what = rows_bad[0] if rows_bad else f"after line {line - 1}: {error}"
        raise ImportRefused(
            f"{path}: {what} -- a CSV file with the columns {','.join(names)} is expected, whole"
        ) from error


def derived_grid(sheets: Iterator[Sheet], price: str, amount: str) -> Grid:
    """The coarsest decimal grid that holds every price and amount of a file."""
    ticks = lots = 0
    for sheet in sheets:
        ticks = sheet.places(price, ticks)
        lots = sheet.places(amount, lots)
    return Grid(step(ticks), step(lots))


def step(places: int) -> str:
    """One in the last of so many decimal places."""
    return f"0.{'0' * (places - 1)}1" if places else "1"
