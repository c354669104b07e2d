"""What an actor keeps on disk: segments of a snapshot, the inputs since, and the durable outputs.

A segment is three files `EPOCH-PART.{snapshot,inbox,journal}`. The snapshot is the actor's whole
state when the segment began; the inbox is a preallocated memory-mapped file of every message since,
with the time it was given; the journal holds the durable outputs, appended by `write()` before any
of them leaves. Snapshot and inbox alone give the state and every output again, so the journal is
evidence and index, and recovery compares the two. Both survive `kill -9`: the kernel has the pages.

Records are framed the same way in both: length, CRC-32 of time and payload, time in ns, payload.
The length is stored last, so a record that a crash cut short reads as the end.
"""

import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

_FRAME = struct.Struct("<IIq")
_LENGTH = struct.Struct("<I")
_HEADER = struct.Struct("<8sqq8x")
SEGMENT_SPARE = 4096  # what an inbox needs beside its one largest record
_INBOX_MAGIC = b"COINBOX1"
_JOURNAL_MAGIC = b"COJRNL01"
_SNAPSHOT_MAGIC = b"COSNAP01"


def _checksum(data: bytes, now_ns: int) -> int:
    """CRC-32 of the payload, begun with both halves of the time folded together."""
    return zlib.crc32(data, (now_ns ^ now_ns >> 32) & 0xFFFFFFFF)


class JournalError(RuntimeError):
    """A segment that cannot be read or written; the message names the file and the place."""


class JournalFull(JournalError):
    """An append failed: nothing of the step may leave."""


class Pending(NamedTuple):
    """An event that a receiver had not acknowledged when the snapshot was taken."""

    actor: str
    sender: int
    sequence: int
    data: bytes


class SegmentStart(msgspec.Struct):
    """The state of an actor at a segment's begin.

    `high` is the highest event sequence processed of each sender, `pending` what others had not
    acknowledged, `shell_sequence` the count of messages the shell itself put into the inbox.
    """

    epoch: int
    part: int
    host: bytes
    high: dict[int, int]
    pending: list[Pending]
    shell_sequence: int


class Record(NamedTuple):
    """One framed record: when, and the encoded message."""

    now_ns: int
    data: bytes


class SegmentPath(NamedTuple):
    """A segment's place: its actor's folder, epoch and part."""

    folder: Path
    epoch: int
    part: int

    def file(self, kind: str) -> Path:
        """The file of kind 'snapshot', 'inbox' or 'journal'."""
        return self.folder / f"{self.epoch:06d}-{self.part:06d}.{kind}"


def segments(folder: Path) -> list[SegmentPath]:
    """The segments of an actor's folder in order; those whose snapshot was completed."""
    found = []
    for path in folder.glob("*-*.snapshot"):
        epoch, _, part = path.stem.partition("-")
        found.append(SegmentPath(folder, int(epoch), int(part)))
    return sorted(found)


class Segment:
    """The segment being written. Implements `engine.runtime.Recorder`."""

    def __init__(self, folder: Path, start: SegmentStart, size: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = SegmentPath(folder, start.epoch, start.part)
        self.size = size
        header = (start.epoch, start.part)
        try:
            self._memory = self._allocate(self.path.file("inbox"), size)
            self._journal = os.open(
                self.path.file("journal"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            )
            os.write(self._journal, _HEADER.pack(_JOURNAL_MAGIC, *header))
            self._write_snapshot(start)
        except OSError as error:
            raise JournalFull(f"cannot begin segment {self.path.file('*')}: {error}") from error
        _HEADER.pack_into(self._memory, 0, _INBOX_MAGIC, *header)
        self.inbox_bytes = _HEADER.size
        self.journal_bytes = _HEADER.size
        self.records = 0

    @staticmethod
    def _allocate(path: Path, size: int) -> mmap.mmap:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC)
        try:
            os.posix_fallocate(descriptor, 0, size)  # a full disk says so here, not by SIGBUS later
            # Every page is there from the start: no fault in the middle of a step.
            return mmap.mmap(descriptor, size, mmap.MAP_SHARED | mmap.MAP_POPULATE)
        finally:
            os.close(descriptor)

    def _write_snapshot(self, start: SegmentStart) -> None:
        """Last of the three files, by rename: a segment exists when its snapshot does."""
        body = msgspec.msgpack.encode(start)
        temporary = self.path.file("temporary")
        temporary.write_bytes(_SNAPSHOT_MAGIC + struct.pack("<I", zlib.crc32(body)) + body)
        temporary.rename(self.path.file("snapshot"))

    def room_for(self, data: bytes) -> bool:
        """Whether the inbox can take one more record."""
        return self.inbox_bytes + _FRAME.size + len(data) + 4 <= self.size

    def record(self, raw: bytes, now_ns: int) -> None:
        """Keep one input; raises JournalFull when the segment should have been rotated before."""
        at = self.inbox_bytes
        begin = at + _FRAME.size
        end = begin + len(raw)
        if end + 4 > self.size:
            raise JournalFull(f"{self.path.file('inbox')} is full at {at} bytes")
        memory = self._memory
        memory[begin:end] = raw
        # The file is zeros beyond: until the length stands, a reader sees the end here.
        _FRAME.pack_into(memory, at, 0, _checksum(raw, now_ns), now_ns)
        _LENGTH.pack_into(memory, at, len(raw))
        self.inbox_bytes = end

    def append(self, records: list[bytes], now_ns: int) -> None:
        """Keep the durable outputs of one step with one `write()`; raises JournalFull."""
        parts = []
        for data in records:
            parts.append(_FRAME.pack(len(data), _checksum(data, now_ns), now_ns))
            parts.append(data)
        blob = b"".join(parts)
        try:
            written = os.write(self._journal, blob)
        except OSError as error:
            raise JournalFull(f"{self.path.file('journal')}: {error}") from error
        self.journal_bytes += written
        if written != len(blob):
            raise JournalFull(f"{self.path.file('journal')}: only {written} of {len(blob)} bytes")
        self.records += len(records)

    def close(self) -> None:
        """Give back the memory and the file; the segment stays readable."""
        self._memory.flush()
        self._memory.close()
        os.close(self._journal)


def prune(folder: Path, kept: int) -> int:
    """Delete all but the last `kept` segments of a folder; how many went."""
    old = segments(folder)[:-kept] if kept else []
    for path in old:
        for kind in ("snapshot", "inbox", "journal"):
            path.file(kind).unlink(missing_ok=True)
    return len(old)


def read_snapshot(path: SegmentPath) -> SegmentStart:
    """A segment's begin; raises JournalError when its bytes do not verify."""
    data = path.file("snapshot").read_bytes()
    body = data[12:]
    if data[:8] != _SNAPSHOT_MAGIC or struct.unpack_from("<I", data, 8)[0] != zlib.crc32(body):
        raise JournalError(f"{path.file('snapshot')}: not a whole snapshot")
    return msgspec.msgpack.decode(body, type=SegmentStart)


def read_inbox(path: SegmentPath) -> Iterator[Record]:
    """The inputs of a segment in order; stops at the end or at a torn record."""
    return iter(read_inbox_from(path, 0)[0])


def read_inbox_from(path: SegmentPath, offset: int) -> tuple[list[Record], int]:
    """The inputs from a place on (0 is the begin), and the place to go on from later.

    Works while the segment is being written: a record counts once its length is there.
    """
    with path.file("inbox").open("rb") as file:
        if file.read(8) != _INBOX_MAGIC:
            return [], 0
        at = max(offset, _HEADER.size)
        found: list[Record] = []
        file.seek(at)
        while (record := _read_record(file)) is not None:
            found.append(record)
            at += _FRAME.size + len(record.data)
        return found, at


def _read_record(file: BinaryIO) -> Record | None:
    frame = file.read(_FRAME.size)
    if len(frame) < _FRAME.size:
        return None
    length, checksum, now_ns = _FRAME.unpack(frame)
    data = file.read(length)
    if length == 0 or len(data) != length or _checksum(data, now_ns) != checksum:
        return None
    return Record(now_ns, data)


def read_journal(path: SegmentPath) -> Iterator[Record]:
    """The durable outputs of a segment in order; stops at the end or at a torn record."""
    with path.file("journal").open("rb") as file:
        if file.read(_HEADER.size)[:8] != _JOURNAL_MAGIC:
            raise JournalError(f"{path.file('journal')}: not a journal")
        while (record := _read_record(file)) is not None:
            yield record


def journal_end(path: SegmentPath) -> int:
    """Where the last whole record of a journal ends, in bytes."""
    return _HEADER.size + sum(_FRAME.size + len(record.data) for record in read_journal(path))


def complete_journal(path: SegmentPath, records: list[Record]) -> None:
    """Cut a torn tail off a journal and append what was decided but not yet written."""
    with path.file("journal").open("r+b") as file:
        file.truncate(journal_end(path))
        file.seek(0, os.SEEK_END)
        for now_ns, data in records:
            checksum = _checksum(data, now_ns)
            file.write(_FRAME.pack(len(data), checksum, now_ns) + data)
