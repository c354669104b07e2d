"""Segments: what was written is read, a torn end is the end, and a full disk lets nothing out."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.edges.journal import (
    JournalError,
    JournalFull,
    Pending,
    Record,
    Segment,
    SegmentStart,
    complete_journal,
    prune,
    read_inbox,
    read_inbox_from,
    read_journal,
    read_snapshot,
    segments,
)

SIZE = 65_536


def begin(folder: Path, epoch: int = 1, part: int = 0) -> Segment:
    """A fresh segment with something in its snapshot."""
    pending = [Pending("risk", 3, 7, b"event")]
    return Segment(folder, SegmentStart(epoch, part, b"state", {3: 7}, pending, 12), SIZE)


def test_gives_back_what_was_written(tmp_path: Path) -> None:
    """Snapshot, inputs and outputs come back in order, also while the segment is open."""
    segment = begin(tmp_path)
    segment.record(b"one", 10)
    segment.record(b"two", 11)
    segment.append([b"a", b"bb"], 10)
    path = segments(tmp_path)[0]
    assert read_snapshot(path).host == b"state"
    assert read_snapshot(path).pending == [Pending("risk", 3, 7, b"event")]
    assert list(read_inbox(path)) == [Record(10, b"one"), Record(11, b"two")]
    assert list(read_journal(path)) == [Record(10, b"a"), Record(10, b"bb")]
    records, place = read_inbox_from(path, 0)
    segment.record(b"three", 12)
    assert read_inbox_from(path, place)[0] == [Record(12, b"three")]
    assert len(records) == 2
    segment.close()


@given(cut=st.integers(1, 60), flip=st.booleans())
def test_a_torn_journal_reads_to_its_last_whole_record(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: bool
) -> None:
    """Cut or flipped anywhere at the end, what is read is a prefix; completing it mends it."""
    folder = tmp_path_factory.mktemp("torn")
    segment = begin(folder)
    written = [Record(number, bytes([65 + number]) * 5) for number in range(6)]
    for record in written:
        segment.append([record.data], record.now_ns)
    segment.close()
    path = segments(folder)[0]
    file = path.file("journal")
    data = bytearray(file.read_bytes())
    if flip:
        data[-cut] ^= 0x40
    else:
        del data[-cut:]
    file.write_bytes(data)
    found = list(read_journal(path))
    assert found == written[: len(found)]
    assert len(found) < 6
    complete_journal(path, written[len(found) :])
    assert list(read_journal(path)) == written


def test_an_inbox_record_cut_short_is_the_end(tmp_path: Path) -> None:
    """A process killed in the middle of a record leaves a length of 0 or a wrong sum."""
    segment = begin(tmp_path)
    segment.record(b"whole", 1)
    segment.record(b"damaged", 2)
    at = segment.inbox_bytes - 3
    segment.close()
    path = segments(tmp_path)[0]
    with path.file("inbox").open("r+b") as file:
        file.seek(at)
        file.write(b"?")
    assert list(read_inbox(path)) == [Record(1, b"whole")]


def test_a_full_inbox_raises_and_says_where(tmp_path: Path) -> None:
    """The loop rotates before; if it does not, nothing is written past the end."""
    segment = begin(tmp_path)
    big = bytes(SIZE // 2)
    assert segment.room_for(big)
    segment.record(big, 1)
    assert not segment.room_for(big)
    with pytest.raises(JournalFull, match="is full"):
        segment.record(big, 2)
    assert len(list(read_inbox(segments(tmp_path)[0]))) == 1


def test_an_append_that_fails_raises(tmp_path: Path) -> None:
    """A closed or full file descriptor is an error before anything leaves."""
    segment = begin(tmp_path)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, segment._journal)
    with pytest.raises(JournalFull, match="journal"):
        segment.append([b"x"], 1)


def test_a_snapshot_that_does_not_verify_is_named(tmp_path: Path) -> None:
    """Recovery must not begin from damaged state."""
    begin(tmp_path).close()
    path = segments(tmp_path)[0]
    data = bytearray(path.file("snapshot").read_bytes())
    data[-1] ^= 1
    path.file("snapshot").write_bytes(data)
    with pytest.raises(JournalError, match="not a whole snapshot"):
        read_snapshot(path)


def test_old_segments_go_beyond_the_limit(tmp_path: Path) -> None:
    """The newest are kept, in the order of epoch and part."""
    for epoch, part in ((1, 0), (1, 1), (2, 0)):
        begin(tmp_path, epoch, part).close()
    assert prune(tmp_path, 2) == 1
    assert [(path.epoch, path.part) for path in segments(tmp_path)] == [(1, 1), (2, 0)]
