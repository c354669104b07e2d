"""Verify finds each fault that is planted, says where, and finds nothing in a right catalog."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.edges.catalog.bars import Bars, put_bars
from engine.edges.catalog.layout import SCHEMA, CatalogError, Grid, Kind
from engine.edges.catalog.reader import stream
from engine.edges.catalog.verify import verify
from engine.edges.catalog.writer import EventWriter
from engine.messages import BookState

DAY_NS = 1_723_075_200 * 10**9
NAMES = SCHEMA.names
ROWS = [
    (DAY_NS, Kind.CLEAR, 0, 0, 0, 0),
    (DAY_NS, Kind.LEVEL, 1, 100, 5, 0),
    (DAY_NS, Kind.LEVEL, -1, 101, 5, 0),
    (DAY_NS, Kind.STATE, 0, BookState.LIVE, 0, 1),
    (DAY_NS + 5, Kind.TRADE, 1, 101, 2, 1),
    (DAY_NS + 7, Kind.LEVEL, -1, 101, 3, 1),
    (DAY_NS + 9, Kind.TRUNCATE, 0, 1, 0, 1),
]


def right(root: Path) -> Path:
    """A right catalog of one file; its path."""
    with EventWriter(root) as writer:
        writer.add_rows("a", "B/C", Grid("0.1", "1"), list(ROWS))
    return next(root.rglob("*.parquet"))


def rewrite(path: Path, rows: list[tuple[int, ...]], **meta: str) -> None:
    """The same file with other rows and metadata."""
    held = {k.decode(): v.decode() for k, v in pq.read_metadata(path).metadata.items()}
    held.pop("ARROW:schema", None)
    held["last_ns"] = str(rows[-1][0])
    table = pa.table([pa.array(column) for column in np.array(rows, np.int64).T], names=NAMES).cast(
        SCHEMA
    )
    pq.write_table(table.replace_schema_metadata(held | meta), path)


def with_row(row: int, **cells: int) -> Callable[[Path], None]:
    """A fault: cells of one row are other ones."""

    def plant(path: Path) -> None:
        rows = [list(each) for each in ROWS]
        for name, value in cells.items():
            rows[row][NAMES.index(name)] = value
        rewrite(path, [tuple(each) for each in rows])

    return plant


def overlap(path: Path) -> None:
    """A second file of the same times."""
    path.with_name(path.name.replace("-000000.", "-000001.")).write_bytes(path.read_bytes())


def other_columns(path: Path) -> None:
    """A Parquet file of something else."""
    pq.write_table(pa.table({"x": [1]}), path)


def crossed_then_live(path: Path) -> None:
    """A bid at the ask's price."""
    rewrite(path, [*ROWS, (DAY_NS + 10, Kind.LEVEL, 1, 101, 1, 1)])


def other_grid(path: Path) -> None:
    """A later file on another grid, whose book goes on."""
    with EventWriter(path.parents[4]) as writer:
        rows = [(DAY_NS + 20, Kind.LEVEL, 1, 5, 1, 1)]
        writer.add_rows("a", "B/C", Grid("0.5", "1"), rows)


FAULTS: list[tuple[Callable[[Path], object], int, str]] = [
    (lambda path: path.write_bytes(path.read_bytes()[:200]), -1, "cannot be read"),
    (lambda path: path.write_bytes(b""), -1, "cannot be read"),
    (other_columns, -1, "not a file of events"),
    (with_row(5, ts_ns=DAY_NS + 4), 5, "time goes backwards"),
    (with_row(6, ts_ns=DAY_NS + 86_400 * 10**9), 6, "belongs to another day (2024-08-09)"),
    (lambda path: rewrite(path, list(ROWS), tick_size="0"), -1, "its grid is none"),
    (lambda path: rewrite(path, list(ROWS), lot_size="-1"), -1, "its grid is none"),
    (with_row(4, kind=9), 4, "an unknown kind"),
    (with_row(6, last=0), 6, "the last frame is not closed"),
    (with_row(5, lots=-1), 5, "a level with negative lots"),
    (with_row(5, side=0), 5, "a level without a side"),
    (with_row(4, side=3), 4, "a trade of no known side"),
    (with_row(4, lots=0), 4, "a trade of no lots"),
    (with_row(3, ticks=77), 3, "an unknown book state"),
    (with_row(6, ticks=-1), 6, "truncates to less than nothing"),
    (with_row(4, last=0), 5, "another time than the rest of its frame"),
    (with_row(0, ts_ns=DAY_NS - 1), 0, "not where its name says"),
    (crossed_then_live, 7, "the book is crossed while LIVE"),
    (overlap, -1, "overlaps part-"),
    (lambda path: path.rename(path.with_name("part-x.parquet")), -1, "not of the form"),
    (lambda path: path.with_name(".writing-1-2-3").touch(), -1, "left by a writer"),
    (lambda path: path.parent.rename(path.parent.with_name("day=soon")), -1, "not a day's folder"),
    (lambda path: rewrite(path, list(ROWS), last_ns="1"), -1, "ends elsewhere"),
    (other_grid, 0, "goes on with another grid"),
]


@pytest.mark.parametrize(("plant", "row", "says"), FAULTS, ids=[says for *_, says in FAULTS])
def test_each_fault_is_found(
    tmp_path: Path, plant: Callable[[Path], object], row: int, says: str
) -> None:
    """The finding names the file, the row and a mend."""
    plant(right(tmp_path))
    found = [finding for finding in verify(tmp_path).findings if says in finding.problem]
    assert [finding.row for finding in found][:1] == [row]
    assert found[0].path.is_relative_to(tmp_path)
    assert found[0].mend


def test_a_right_catalog_has_no_findings(tmp_path: Path) -> None:
    """And the counts are what was stored."""
    right(tmp_path)
    verdict = verify(tmp_path)
    assert verdict.findings == ()
    assert (verdict.files, verdict.rows, verdict.frames, verdict.trades) == (1, 7, 4, 1)


def test_a_crossed_book_that_is_not_live_is_no_finding(tmp_path: Path) -> None:
    """A book that says of itself that it is CROSSED is stored rightly."""
    path = right(tmp_path)
    crossed = (DAY_NS + 10, Kind.LEVEL, 1, 101, 1, 0)
    rewrite(path, [*ROWS, crossed, (DAY_NS + 10, Kind.STATE, 0, BookState.CROSSED, 0, 1)])
    assert verify(tmp_path).findings == ()


def test_many_faults_of_one_kind_are_counted(tmp_path: Path) -> None:
    """Twenty are shown, the rest is a number."""
    path = right(tmp_path)
    rewrite(path, [*ROWS, *[(DAY_NS + 10, Kind.TRADE, 1, 101, 0, 1)] * 50])
    findings = verify(tmp_path).findings
    assert len(findings) == 21
    assert findings[-1].problem == "a trade of no lots: 30 times more"


def test_the_reader_refuses_what_goes_backwards(tmp_path: Path) -> None:
    """Unordered rows would make the merge wrong: they are refused, and verify is named."""
    with_row(5, ts_ns=DAY_NS + 4)(right(tmp_path))
    with pytest.raises(CatalogError, match=r"time goes backwards .*catalog verify"):
        list(stream(tmp_path))


def test_no_catalog_is_said(tmp_path: Path) -> None:
    """A folder that is none is an error, not a right catalog."""
    with pytest.raises(CatalogError, match="no catalog is there"):
        verify(tmp_path)


def test_faults_of_candles_are_found(tmp_path: Path) -> None:
    """A month's file under another month's name, and one that is none."""
    one = np.ones(1)
    put_bars(tmp_path, "a", "B/C", "1d", Bars(np.array([DAY_NS]), one, one, one, one, one))
    path = next(tmp_path.rglob("*.parquet"))
    assert verify(tmp_path).findings == ()
    path.with_name("2024-09.parquet").write_bytes(path.read_bytes())
    path.write_bytes(b"x")
    problems = [finding.problem for finding in verify(tmp_path).findings]
    assert len(problems) == 2
    assert "cannot be read" in problems[0]
    assert problems[1] == "belongs to another month"
