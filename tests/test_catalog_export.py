"""What leaves the catalog is exact, whole and named; and the commands do what the functions do."""

import csv
import heapq
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from engine.__main__ import app
from engine.edges.catalog.export import decimals, export
from engine.edges.catalog.layout import CatalogError, Grid, Kind
from engine.edges.catalog.writer import EventWriter
from engine.messages import BookState

MINUTE = 60 * 10**9
DAY_NS = 1_723_075_200 * 10**9
LIVE = (Kind.STATE, 0, BookState.LIVE, 0)
SERIES = {
    ("a", "B/C", Grid("0.05", "0.1")): [
        (0, Kind.CLEAR, 0, 0, 0, 0),
        (0, Kind.LEVEL, 1, 10, 5, 0),
        (0, Kind.LEVEL, -1, 12, 7, 0),
        (0, *LIVE, 1),
        (1, Kind.TRADE, 1, 12, 2, 1),
        (2, Kind.LEVEL, -1, 12, 7, 1),
        (MINUTE, Kind.TRADE, -1, 10, 1, 1),
        (MINUTE + 1, Kind.LEVEL, 1, 10, 0, 1),
        (MINUTE + 2, Kind.STATE, 0, BookState.STALE, 0, 1),
    ],
    ("b", "B/C", Grid("1", "1")): [
        (1, Kind.TRADE, 0, 3, 2, 1),
        (2, Kind.TRADE, 1, 4, 2, 1),
        (3, Kind.TRADE, 1, 2, 2, 1),
    ],
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A catalog of two venues on different grids."""
    with EventWriter(tmp_path / "catalog") as writer:
        for (venue, symbol, grid), rows in SERIES.items():
            moved = [(DAY_NS + ts_ns, *rest) for ts_ns, *rest in rows]
            writer.add_rows(venue, symbol, grid, moved)
    return tmp_path / "catalog"


def exported(root: Path, what: str, **asked: object) -> list[list[str]]:
    """The rows of an exported CSV file, after its head, times from the day's beginning on."""
    out = root.parent / "out.csv"
    rows = export(root, out, what, **asked)  # type: ignore[arg-type]
    with out.open(newline="") as file:
        _, *lines = csv.reader(file)
    assert rows == len(lines)
    return [[str(int(line[0]) - DAY_NS), *line[1:]] for line in lines]


def test_trades_are_exact_decimals_by_time(root: Path) -> None:
    """Both grids in one scale, sides as words."""
    assert exported(root, "trades") == [
        ["1", "a", "B/C", "buy", "0.60", "0.2"],
        ["1", "b", "B/C", "", "3.00", "2.0"],
        ["2", "b", "B/C", "buy", "4.00", "2.0"],
        ["3", "b", "B/C", "buy", "2.00", "2.0"],
        [str(MINUTE), "a", "B/C", "sell", "0.50", "0.1"],
    ]


def test_quotes_are_where_the_best_changed(root: Path) -> None:
    """Whole frames only; an unchanged best is no row; a book that is not LIVE shows nothing."""
    assert exported(root, "quotes") == [
        ["0", "a", "B/C", "0.50", "0.5", "0.60", "0.7"],
        [str(MINUTE + 1), "a", "B/C", "0.00", "0.0", "0.60", "0.7"],
        [str(MINUTE + 2), "a", "B/C", "0.00", "0.0", "0.00", "0.0"],
    ]


def test_bars_are_made_of_trades(root: Path) -> None:
    """Open, high, low, close, volume and count of each minute that has trades."""
    assert exported(root, "bars") == [
        ["0", "a", "B/C", "0.60", "0.60", "0.60", "0.60", "0.2", "1"],
        ["0", "b", "B/C", "3.00", "4.00", "2.00", "2.00", "6.0", "3"],
        [str(MINUTE), "a", "B/C", "0.50", "0.50", "0.50", "0.50", "0.1", "1"],
    ]


def test_events_are_all_rows(root: Path) -> None:
    """Every event in the order of a merge."""
    sides = [[(row[0], name[0]) for row in rows] for name, rows in SERIES.items()]
    expected = list(heapq.merge(*sides, key=lambda row: row[0]))
    assert [(int(row[0]), row[1]) for row in exported(root, "events")] == expected
    assert exported(root, "events", venues=["b"], start_ns=DAY_NS + 2, end_ns=DAY_NS + 3) == [
        ["2", "b", "B/C", "trade", "buy", "4", "2", "0", "1"]
    ]


def test_parquet_holds_decimals(root: Path) -> None:
    """Prices in Parquet are decimals of the scale, not floats."""
    out = root.parent / "out.parquet"
    export(root, out, "trades", ["a"])
    assert pq.read_table(out)["price"].to_pylist() == [Decimal("0.60"), Decimal("0.50")]


def test_bars_hold_over_batches(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute that lies across batches is one candle, and the quotes stay the same."""
    whole = exported(root, "bars"), exported(root, "quotes")
    from engine.edges.catalog import export as module
    from engine.edges.catalog.reader import stream

    monkeypatch.setattr(module, "stream", lambda *asked: stream(*asked, batch_rows=1))
    assert (exported(root, "bars"), exported(root, "quotes")) == whole


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1), st.integers(1, 50), st.integers(0, 12))
def test_decimals_are_exact(units: list[int], factor: int, places: int) -> None:
    """Any number of ticks, of any step and scale."""
    made = decimals(np.array(units), np.full(len(units), factor), places).to_pylist()
    assert made == [Decimal(unit * factor).scaleb(-places) for unit in units]


@pytest.mark.parametrize(
    ("what", "name", "asked", "says"),
    [
        ("news", "a.csv", {}, "'news' cannot be exported -- one of events, quotes"),
        ("trades", "a.xls", {}, "a name ending in .csv or .parquet"),
        ("trades", "no/a.csv", {}, "there is no such folder"),
        ("trades", "a.csv", {"venues": ["x"]}, "has nothing of x there"),
        ("trades", "a.csv", {"start_ns": 2**62}, "has nothing of anything there"),
        ("quotes", "a.csv", {"venues": ["b"]}, "the span has no quotes"),
    ],
)
def test_what_cannot_be_exported_is_said(
    root: Path, what: str, name: str, asked: dict[str, object], says: str
) -> None:
    """And leaves no file behind."""
    with pytest.raises(CatalogError, match=says):
        export(root, root.parent / name, what, **asked)  # type: ignore[arg-type]
    assert [path.name for path in root.parent.iterdir()] == ["catalog"]


def orchestrator(*arguments: object) -> tuple[int, str]:
    """Exit code and output of a command of the catalog."""
    done = CliRunner().invoke(app, ["catalog", *map(str, arguments)])
    return done.exit_code, done.output


def test_the_commands_work_together(root: Path, tmp_path: Path) -> None:
    """Import, list, verify and export, as a user does it."""
    candles = tmp_path / "candles.csv"
    candles.write_text("date,close\n2021-01-01,1\n2021-01-02,2\n")
    at = "--root", root
    asked = "import", "ohlcv", candles, "--venue", "x", "--symbol", "E/F", "--interval", "1d", *at
    assert orchestrator(*asked) == (0, f"2 rows into {root}\n")
    code, listed = orchestrator("ls", *at)
    assert code == 0
    for text in ("0.05 x 0.1", "2024-08-08T00:00:00", "E/F", "candles", "1d"):
        assert text in listed
    assert orchestrator("verify", *at)[1].startswith("0 findings in 3 files: 12 events")
    out = tmp_path / "out.csv"
    span = "--from", "2024-08-08", "--to", "2024-08-08T00:01"
    assert orchestrator("export", out, "--venue", "a", *span, *at) == (0, f"1 trades in {out}\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("ls", "--root", "nowhere"), "nowhere: there is no such catalog"),
        (("verify", "--root", "nowhere"), "nowhere: no catalog is there"),
        (("export", "a.csv", "--root", "nowhere"), "nowhere: has nothing of anything"),
        (("export", "a.csv", "--from", "soon"), "--from soon: a UTC time such as"),
        (("import", "odd", "a.csv"), "odd: capture, recording, lobster, tardis, gemini or ohlcv"),
        (("import", "lobster", "a.csv"), "one *_message_* and one *_orderbook_*"),
        (("import", "tardis", "a.csv"), "a.csv: there is no such file"),
        (("import", "tardis", "a.csv", "--tick", "1"), "--tick and --lot go together"),
        (("import", "tardis", "a.csv", "--tick", "0", "--lot", "1"), "--tick, --lot: tick_size"),
        (("download", "nowhere", "B/C", "--from", "2024-01-01"), "'nowhere' is no exchange"),
    ],
)
def test_a_refused_command_is_one_line(arguments: tuple[str, ...], says: str) -> None:
    """What is wrong and how to mend it, with exit code 2."""
    code, output = orchestrator(*arguments)
    assert code == 2
    assert says in output
    assert output.startswith("orchestrator: ")
    assert output.count("\n") == 1


def test_findings_are_lines_and_an_exit_code(root: Path) -> None:
    """A broken file is a line of `verify`, and exit code 1."""
    path = next(root.rglob("*.parquet"))
    path.write_bytes(b"")
    code, output = orchestrator("verify", "--root", root)
    assert code == 1
    assert output.startswith(f"{path}: cannot be read")
