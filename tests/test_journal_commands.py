"""`orchestrator journal`: what is whole, torn or damaged, and what stands in it; nothing is changed."""

from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from engine.__main__ import app
from engine.edges.journal import SegmentPath, SegmentStart
from engine.edges.segment import Room, Segment, trim
from engine.messages import KillSwitch, Reason, Risk, RiskLevel, encode


def journal(*arguments: str) -> Result:
    """The command, as a user gives it."""
    return CliRunner().invoke(app, ["journal", *arguments])


@pytest.fixture
def written(tmp_path: Path) -> SegmentPath:
    """A run of one actor, closed in good order."""
    folder = tmp_path / "run" / "risk"
    segment = Segment(Room(folder, 65_536), folder, SegmentStart(1, 0, b"", {}, [], 0))
    for number in range(1, 4):
        at_ns = 1_700_000_000_000_000_000 + number
        segment.record(encode(KillSwitch(0, number, 0, True)), at_ns)
        level = RiskLevel(1, number, 0, Risk.HALT, Reason.KILLED)
        segment.append([encode(level)], at_ns)
    segment.close()
    trim(segment.path, segment.end)
    return segment.path


def test_what_is_whole_is_counted(written: SegmentPath) -> None:
    """Of a run's folder or one actor's."""
    for path in (written.folder, written.folder.parent):
        done = journal("verify", str(path))
        assert (done.exit_code, done.stderr) == (0, "")
        assert "risk: 1 segments, 3 inputs and 3 outputs whole" in done.stdout
        assert "by these records: 0 orders, 0 of them open and 0 unknown" in done.stdout


def test_a_torn_end_is_told_from_damage(written: SegmentPath) -> None:
    """The one is what a killed process leaves, the other has an exit code; both name the byte."""
    file = written.file("journal")
    data = file.read_bytes()
    file.write_bytes(data[:-5])
    torn = journal("verify", str(written.folder))
    assert torn.exit_code == 0
    assert "torn: " in torn.stdout
    assert "the 2 before it are whole" in torn.stdout
    assert file.read_bytes() == data[:-5]
    changed = bytearray(data)
    changed[60] ^= 1
    file.write_bytes(changed)
    damaged = journal("verify", str(written.folder.parent))
    assert damaged.exit_code == 1
    assert "000001-000000.journal: record 0 at byte 32 is damaged" in damaged.stdout
    assert file.read_bytes() == changed


def test_a_bad_snapshot_is_damage(written: SegmentPath) -> None:
    """State could not be restored from it."""
    data = bytearray(written.file("snapshot").read_bytes())
    data[25] ^= 1
    written.file("snapshot").write_bytes(data)
    done = journal("verify", str(written.folder))
    assert done.exit_code == 1
    assert "not a whole snapshot" in done.stdout


def test_records_are_shown_with_place_and_time(written: SegmentPath) -> None:
    """The last ones, of one type where that is asked for."""
    done = journal("show", str(written.folder), "--last", "2")
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("risk 1-0 1 2023-11-14T22:13:20.000000002Z RiskLevel(")
    inputs = journal("show", str(written.folder), "--kind", "inbox", "--only", "KillSwitch")
    assert len(inputs.stdout.splitlines()) == 3
    assert journal("show", str(written.folder), "--only", "Fill").stdout == ""


def test_what_is_no_journal_is_named(tmp_path: Path) -> None:
    """A wrong path, a wrong kind."""
    done = journal("verify", str(tmp_path))
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{tmp_path}: no journal in it" in done.stderr
