"""What an actor keeps on disk: segments of a snapshot, the inputs since, and the durable outputs.

A segment is three files `EPOCH-PART.{snapshot,inbox,journal}`. The snapshot is the actor's whole
state when the segment began, the inbox every message since with the time it was given, the journal
the durable outputs, each there before anything of its step leaves. Snapshot and inbox alone give
the state and every output again, so the journal is evidence and index, and recovery compares the
two. `engine/edges/segment.py` writes them, this file reads them; docs/journal.md says what survives.

A file is zeros beyond its last record, or ends there. Bytes that are no record, with no whole record
behind them, are a writer's last and unfinished one: the end. With one behind them they are damage,
an error that names the place, and nothing is cut.
"""

import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from ext.framing import DAMAGED, MORE, find_next, scan

HEADER = struct.Struct("<8sqq8x")
MAGICS = {"inbox": b"COINBOX1", "journal": b"COJRNL01"}
SNAPSHOT_HEADER = struct.Struct("<8sIQ")
SNAPSHOT_MAGIC = b"COSNAP02"
CHUNK = 1 << 20
YEARS_NS = 10 * 366 * 86_400 * 1_000_000_000
ANY_TIME = (1, 2**62)

Kind = Literal["inbox", "journal"]


class JournalError(RuntimeError):
    """A segment that cannot be read or written; the message names the file and the place."""


class JournalFull(JournalError):
    """An append failed: nothing of the step may leave."""


class JournalDamaged(JournalError):
    """Bytes in the middle of a file are no record; the file is as it was found."""


class JournalLocked(JournalError):
    """Another process writes this journal; the message names it."""


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


def segments(folder: Path, kind: str = "snapshot") -> list[SegmentPath]:
    """The segments of an actor's folder in order; those whose snapshot was completed.

    With kind 'journal' also those of which only the journal is kept.
    """
    found = []
    for path in folder.glob(f"*-*.{kind}"):
        epoch, _, part = path.stem.partition("-")
        found.append(SegmentPath(folder, int(epoch), int(part)))
    return sorted(found)


def prune(folder: Path, kept: int, journals_kept: int) -> int:
    """Delete all but the last `kept` segments of a folder; how many went.

    Of `journals_kept` more the journal alone stays: what a store may still read, or be rebuilt from.
    """
    old = segments(folder)[:-kept]
    for path in old:
        for kind in ("snapshot", "inbox"):
            path.file(kind).unlink(missing_ok=True)
    for path in segments(folder, "journal")[: -kept - journals_kept]:
        path.file("journal").unlink(missing_ok=True)
    return len(old)


def encode_snapshot(start: SegmentStart) -> bytes:
    """A segment's begin as its file holds it; whatever stands behind it there counts for nothing."""
    body = msgspec.msgpack.encode(start)
    return SNAPSHOT_HEADER.pack(SNAPSHOT_MAGIC, zlib.crc32(body), len(body)) + body


def read_snapshot(path: SegmentPath) -> SegmentStart:
    """A segment's begin; raises JournalError when its bytes do not verify."""
    file = path.file("snapshot")
    with file.open("rb") as opened:
        header = opened.read(SNAPSHOT_HEADER.size)
        if len(header) == SNAPSHOT_HEADER.size:
            magic, checksum, length = SNAPSHOT_HEADER.unpack(header)
            if magic == SNAPSHOT_MAGIC and length <= file.stat().st_size:
                body = opened.read(length)
                if len(body) == length and zlib.crc32(body) == checksum:
                    return msgspec.msgpack.decode(body, type=SegmentStart)
    raise JournalError(
        f"{file}: not a whole snapshot. Nothing was changed. Put the file back from a copy, or begin "
        "a fresh run: what is open and held is then taken from the venues"
    )


class Extent(NamedTuple):
    """How far a file's records go: their count, the byte behind the last, and what follows.

    `damaged_at` is where bytes stand that are no record although a whole one follows (-1: nowhere),
    `torn` whether an unfinished one stands at the end.
    """

    records: int
    end: int
    torn: bool
    damaged_at: int
    next_at: int


def read_whole(path: SegmentPath, kind: Kind) -> tuple[list[Record], Extent]:
    """All records of a file up to its end or to the first damage, and which of the two it was."""
    file = path.file(kind)
    data = file.read_bytes()
    if data[:8] != MAGICS[kind]:
        if not any(data):  # its writer was killed before it wrote anything
            return [], Extent(0, HEADER.size, False, -1, -1)
        raise JournalDamaged(f"{file}: not {'an inbox' if kind == 'inbox' else 'a journal'}")
    found, at, why = scan(data, HEADER.size, sys.maxsize)
    times = (found[0][0] - YEARS_NS, found[0][0] + YEARS_NS) if found else ANY_TIME
    following = find_next(data, at, *times)
    damaged_at = at if following >= 0 else -1
    torn = why == DAMAGED or any(data[at:])
    records = [Record(now_ns, payload) for now_ns, payload in found]
    return records, Extent(len(records), at, torn, damaged_at, following)


def read_or_raise(path: SegmentPath, kind: Kind) -> tuple[list[Record], Extent]:
    """All records of a file and how far they go; raises JournalDamaged before damage."""
    records, extent = read_whole(path, kind)
    if extent.damaged_at >= 0:
        raise JournalDamaged(damage(path, kind, extent))
    return records, extent


def damage(path: SegmentPath, kind: Kind, extent: Extent) -> str:
    """What is wrong in the middle of a file, and what to do."""
    return (
        f"{path.file(kind)}: record {extent.records} at byte {extent.damaged_at} is damaged, and whole "
        f"records follow from byte {extent.next_at} on, so it was changed after it was written. "
        "Nothing was changed or cut. Put the file back from a copy, or begin a fresh run: what is open "
        "and held is then taken from the venues. `orchestrator journal verify` looks at all files"
    )


def read_inbox(path: SegmentPath) -> Iterator[Record]:
    """The inputs of a segment in order; stops at a torn end, raises JournalDamaged before damage."""
    return iter(read_or_raise(path, "inbox")[0])


def read_journal(path: SegmentPath) -> Iterator[Record]:
    """The durable outputs of a segment in order; as `read_inbox`."""
    return iter(read_or_raise(path, "journal")[0])


def read_inbox_from(path: SegmentPath, offset: int) -> tuple[list[Record], int]:
    """The inputs from a place on (0 is the begin), and the place to go on from later."""
    return read_from(path, "inbox", offset)


def read_from(
    path: SegmentPath, kind: Kind, offset: int, count: int = sys.maxsize
) -> tuple[list[Record], int]:
    """At most `count` records of a file from a place on, and the place to go on from later.

    Works while the segment is being written: a record counts once its length is there.
    """
    with path.file(kind).open("rb") as file:
        if file.read(8) != MAGICS[kind]:
            return [], 0
        at = max(offset, HEADER.size)
        found: list[Record] = []
        chunk = CHUNK
        while len(found) < count:
            file.seek(at)
            data = file.read(chunk)
            records, end, why = scan(data, 0, count - len(found))
            found += [Record(now_ns, payload) for now_ns, payload in records]
            at += end
            if why == MORE:
                break
            if not end:
                if why != DAMAGED or len(data) < chunk:
                    break
                chunk *= 2  # a record longer than what was read looks cut
        return found, at
