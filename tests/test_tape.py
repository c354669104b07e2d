"""The tape's writer takes what is there in steps, so that its heartbeat goes on however much that is."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from engine.edges import tape
from engine.edges.journal import SegmentStart
from engine.edges.segment import Room, Segment
from engine.messages import Started, encode

SIZE = 65_536
MESSAGES = 25


def begin(folder: Path, actor: str) -> Segment:
    """An actor's first segment with some inputs."""
    start = SegmentStart(1, 0, b"", {}, [], 0)
    segment = Segment(Room(folder / actor, SIZE), folder / actor, start)
    for number in range(1, MESSAGES + 1):
        segment.record(encode(Started(0, number, 0, 1)), number)
    return segment


def test_a_long_run_is_taken_in_steps_and_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never more than asked for at once nor held in memory; at the end every message once, in order."""
    monkeypatch.setattr(tape, "ROWS_A_GROUP", 10)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    opened = [begin(tmp_path, actor) for actor in ("a", "b")]
    writer = tape.TapeWriter(tmp_path / "tape.parquet", tmp_path, ("a", "b"))
    taken = []
    while count := writer.follow(7):
        taken.append(count)
        assert len(writer._batch) < 10 + 7
    assert taken == [7] * 7 + [1]
    for segment in opened:
        segment.record(encode(Started(0, MESSAGES + 1, 0, 1)), MESSAGES + 1)
        segment.close()
    writer.close()
    table = pq.ParquetFile(tmp_path / "tape.parquet").read()
    rows = list(zip(table["actor"].to_pylist(), table["place"].to_pylist(), strict=True))
    places = range(MESSAGES + 1)
    assert sorted(rows) == [(actor, place) for actor in ("a", "b") for place in places]
    for actor in ("a", "b"):
        times = [
            t for t, (who, _) in zip(table["now_ns"].to_pylist(), rows, strict=True) if who == actor
        ]
        assert times == sorted(times)
