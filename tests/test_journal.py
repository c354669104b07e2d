"""Segments: what was written is read, a torn end is the end, and a full disk lets nothing out."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.edges.journal import (
    HEADER,
    JournalDamaged,
    JournalError,
    JournalFull,
    Pending,
    Record,
    SegmentPath,
    SegmentStart,
    prune,
    read_from,
    read_inbox,
    read_inbox_from,
    read_journal,
    read_snapshot,
    segments,
)
from engine.edges.segment import Room, Segment, complete_journal, trim

SIZE = 65_536


def begin(folder: Path, epoch: int = 1, part: int = 0) -> Segment:
    """A fresh segment with something in its snapshot."""
    pending = [Pending("risk", 3, 7, b"event")]
    start = SegmentStart(epoch, part, b"state", {3: 7}, pending, 12)
    return Segment(Room(folder, SIZE), folder, start)


def first(folder: Path) -> SegmentPath:
    """The first segment of a folder."""
    return segments(folder)[0]


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


@given(cut=st.integers(1, 20), flip=st.booleans())
def test_a_torn_journal_reads_to_its_last_whole_record(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: bool
) -> None:
    """Cut or flipped anywhere in the last record, the others are read; completing it mends it."""
    folder = tmp_path_factory.mktemp("torn")
    segment = begin(folder)
    written = [Record(number, bytes([65 + number]) * 5) for number in range(1, 7)]
    for record in written:
        segment.append([record.data], record.now_ns)
    segment.close()
    trim(segment.path, segment.end)
    path = first(folder)
    file = path.file("journal")
    data = bytearray(file.read_bytes())
    if flip:
        data[-cut] ^= 0x40
    else:
        del data[-cut:]
    file.write_bytes(data)
    found = list(read_journal(path))
    assert found == written[:5]
    complete_journal(path, written[len(found) :])
    assert list(read_journal(path)) == written


@given(at=st.integers(0, 104), change=st.integers(1, 255), trimmed=st.booleans())
def test_damage_in_the_middle_is_named_and_nothing_is_cut(
    tmp_path_factory: pytest.TempPathFactory, at: int, change: int, trimmed: bool
) -> None:
    """Any byte of a record that others follow: file, record, byte and what to do; the file stays."""
    folder = tmp_path_factory.mktemp("damaged")
    segment = begin(folder)
    for number in range(1, 7):
        segment.append([bytes([65 + number]) * 5], number)
    segment.close()
    if trimmed:
        trim(segment.path, segment.end)
    file = first(folder).file("journal")
    data = bytearray(file.read_bytes())
    data[HEADER.size + at] ^= change
    file.write_bytes(data)
    number = at // 21
    words = (
        rf"000001-000000\.journal: record {number} at byte {HEADER.size + 21 * number} is damaged"
    )
    with pytest.raises(JournalDamaged, match=words):
        list(read_journal(first(folder)))
    with pytest.raises(JournalDamaged, match="begin a fresh run"):
        complete_journal(first(folder), [Record(9, b"more")])
    assert file.read_bytes() == data


def test_a_reader_follows_what_is_written(tmp_path: Path) -> None:
    """In pieces of any size, over records longer than what is read at once."""
    segment = begin(tmp_path)
    big = bytes([7]) * (SIZE // 2)
    for number, data in enumerate((b"a", big, b"b"), start=1):
        segment.append([data], number)
    path, place, seen = first(tmp_path), 0, []
    while len(seen) < 3:
        records, place = read_from(path, "journal", place, 1)
        seen += [record.now_ns for record in records]
    assert seen == [1, 2, 3]
    assert read_from(path, "journal", place) == ([], place)
    segment.append([b"c"], 4)
    assert read_from(path, "journal", place)[0] == [Record(4, b"c")]


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
    assert segment.room_for(len(big))
    segment.record(big, 1)
    assert not segment.room_for(len(big))
    with pytest.raises(JournalFull, match="is full"):
        segment.record(big, 2)
    assert len(list(read_inbox(segments(tmp_path)[0]))) == 1


def test_one_step_may_say_more_than_a_segment_holds(tmp_path: Path) -> None:
    """The journal grows where the disk has room, and the next input asks for a fresh segment."""
    segment = begin(tmp_path)
    said = [bytes([number]) * 1000 for number in range(1, 200)]
    segment.append(said, 1)
    assert not segment.room_for(1)
    segment.close()
    trim(segment.path, segment.end)
    assert [record.data for record in read_journal(first(tmp_path))] == said


def test_a_snapshot_that_does_not_verify_is_named(tmp_path: Path) -> None:
    """Recovery must not begin from damaged state."""
    begin(tmp_path).close()
    path = segments(tmp_path)[0]
    data = bytearray(path.file("snapshot").read_bytes())
    data[30] ^= 1
    path.file("snapshot").write_bytes(data)
    with pytest.raises(JournalError, match="not a whole snapshot"):
        read_snapshot(path)


def test_old_segments_go_beyond_the_limit(tmp_path: Path) -> None:
    """The newest are kept, in the order of epoch and part; of some more the journal alone."""
    for epoch, part in ((1, 0), (1, 1), (2, 0), (2, 1)):
        begin(tmp_path, epoch, part).close()
    assert prune(tmp_path, 2, 1) == 2
    assert [path[1:] for path in segments(tmp_path)] == [(2, 0), (2, 1)]
    assert [path[1:] for path in segments(tmp_path, "journal")] == [(1, 1), (2, 0), (2, 1)]
