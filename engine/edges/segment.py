"""The segment being written: memory-mapped files of which every block is there before it is needed.

A step is kept by copying into mapped memory, without a system call, and the kernel has it even when
the process is killed in the next instant. Blocks are allocated when the files are made, so a full
disk says so then and never by a signal in the middle of a step; pages are touched beforehand, so
that no step waits for one. A `Room` is the files of a segment yet to begin: one is always kept in
reserve.
"""

import contextlib
import mmap
import os
from pathlib import Path

from engine.edges.journal import (
    HEADER,
    MAGICS,
    JournalFull,
    Record,
    SegmentPath,
    SegmentStart,
    encode_snapshot,
    read_or_raise,
)
from ext.framing import FRAME_BYTES, Writer

SPARE = "spare"
SEGMENT_SPARE = 4096  # what an inbox needs beside its one largest record
SNAPSHOT_BYTES = 65_536
POPULATE_WRITE = 23  # MADV_POPULATE_WRITE, since Linux 5.14
KINDS = ("inbox", "journal", "temporary")


class Room:
    """The files of a segment that has not begun, with `size` bytes each for inputs and outputs.

    Raises OSError when the disk has no room; then nothing of it is left.
    """

    def __init__(self, folder: Path, size: int, snapshot_bytes: int = SNAPSHOT_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.size = size
        self.files = {kind: folder / f"{SPARE}.{kind}" for kind in KINDS}
        self.descriptors: dict[str, int] = {}
        self._warm = 0
        try:
            for kind, path in self.files.items():
                flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
                self.descriptors[kind] = os.open(path, flags, 0o600)
                wanted = snapshot_bytes if kind == "temporary" else size
                os.posix_fallocate(self.descriptors[kind], 0, wanted)
        except OSError:
            self.give_back()
            raise
        self._map()

    def _map(self) -> None:
        self.inbox = mmap.mmap(self.descriptors["inbox"], self.size)
        self.journal = mmap.mmap(self.descriptors["journal"], self.size)

    @classmethod
    def recycled(cls, path: SegmentPath) -> "Room":
        """The files of a segment that is no longer needed, as room for another."""
        room = cls.__new__(cls)
        path.file("snapshot").rename(path.file("temporary"))  # from here on it is no segment
        room.files = {kind: path.file(kind) for kind in KINDS}
        room.descriptors = {
            kind: os.open(file, os.O_RDWR | os.O_CLOEXEC) for kind, file in room.files.items()
        }
        room.size = os.fstat(room.descriptors["inbox"]).st_size
        os.ftruncate(room.descriptors["journal"], room.size)  # it may have grown
        os.posix_fallocate(room.descriptors["journal"], 0, room.size)
        room._warm = room.size
        room._map()
        room.inbox[:] = bytes(room.size)
        room.journal[:] = bytes(room.size)
        return room

    def warm(self, count: int) -> None:
        """Touch the next `count` bytes of each file for writing."""
        if self._warm >= self.size:
            return
        count = min(count, self.size - self._warm) // mmap.PAGESIZE * mmap.PAGESIZE or mmap.PAGESIZE
        for memory in (self.inbox, self.journal):
            try:
                memory.madvise(POPULATE_WRITE, self._warm, min(count, self.size - self._warm))
            except OSError:  # an older kernel: the steps touch the pages themselves
                self._warm = self.size
                return
        self._warm += count

    def named(self, path: SegmentPath) -> None:
        """The files are this segment's from here on."""
        for kind, file in self.files.items():
            self.files[kind] = file.rename(path.file(kind))

    def give_back(self) -> None:
        """Nothing of it is wanted."""
        for descriptor in self.descriptors.values():
            os.close(descriptor)
        for path in self.files.values():
            path.unlink(missing_ok=True)


class Segment:
    """The segment being written. `record` and `append` are `engine.runtime.Recorder`'s."""

    def __init__(
        self, room: Room, folder: Path, start: SegmentStart, durable: bool = False
    ) -> None:
        self.path = SegmentPath(folder, start.epoch, start.part)
        self.size = room.size
        self._room = room
        self._inbox_memory, self._journal_memory = room.inbox, room.journal
        header = (start.epoch, start.part)
        HEADER.pack_into(room.inbox, 0, MAGICS["inbox"], *header)
        HEADER.pack_into(room.journal, 0, MAGICS["journal"], *header)
        try:
            room.named(self.path)
            self._write_snapshot(encode_snapshot(start), durable)
        except OSError as error:
            raise JournalFull(f"cannot begin segment {self.path.file('*')}: {error}") from error
        self._inbox = Writer(room.inbox, HEADER.size)
        self._journal = Writer(room.journal, HEADER.size)

    def _write_snapshot(self, data: bytes, durable: bool) -> None:
        """Last of the three files, by rename: a segment exists when its snapshot does."""
        descriptor = self._room.descriptors["temporary"]
        written = os.pwrite(descriptor, data, 0)
        if written != len(data):
            raise OSError(28, f"only {written} of {len(data)} bytes of the snapshot")
        if durable:
            os.fsync(descriptor)
        self._room.files["temporary"].rename(self.path.file("snapshot"))
        if durable:
            for part in ("inbox", "journal"):
                os.fsync(self._room.descriptors[part])
            folder = os.open(self.path.folder, os.O_RDONLY | os.O_CLOEXEC)
            os.fsync(folder)
            os.close(folder)
        self.snapshot_bytes = len(data)

    @property
    def inbox_bytes(self) -> int:
        """How far the inbox is written."""
        return self._inbox.at

    @property
    def journal_bytes(self) -> int:
        """How far the journal is written."""
        return self._journal.at

    @property
    def descriptors(self) -> tuple[int, int]:
        """Of inbox and journal, for whoever has the disk take them."""
        return self._room.descriptors["inbox"], self._room.descriptors["journal"]

    def room_for(self, size: int) -> bool:
        """Whether the inbox can take one more record, and the journal what may follow from it."""
        return (
            self._inbox.at + FRAME_BYTES + size + 4 <= self.size
            and 2 * self._journal.at <= self.size
        )

    def record(self, raw: bytes, now_ns: int) -> None:
        """Keep one input; raises JournalFull when the segment should have been rotated before."""
        if not self._inbox.append(raw, now_ns):
            raise JournalFull(f"{self.path.file('inbox')} is full at {self._inbox.at} bytes")

    def append(self, records: list[bytes], now_ns: int) -> None:
        """Keep the durable outputs of one step; raises JournalFull and keeps none."""
        if not self._journal.append_all(records, now_ns):
            self._extend(sum(len(data) + FRAME_BYTES for data in records))
            if not self._journal.append_all(records, now_ns):
                raise JournalFull(f"{self.path.file('journal')}: a record of no bytes")

    def _extend(self, needed: int) -> None:
        """One step says more than half a segment: the journal grows, if the disk has room."""
        at = self._journal.at
        size = self._journal.size + max(needed + SEGMENT_SPARE, self.size)
        descriptor = self._room.descriptors["journal"]
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            raise JournalFull(f"{self.path.file('journal')}: {error}") from error
        self._journal.release()
        self._journal_memory.close()
        self._journal_memory = mmap.mmap(descriptor, size)
        self._journal = Writer(self._journal_memory, at)

    def sync(self) -> None:
        """Return when the disk has inputs and outputs; raises JournalError."""
        try:
            for descriptor in self.descriptors:
                os.fdatasync(descriptor)
        except OSError as error:
            raise JournalFull(
                f"{self.path.file('*')}: the disk does not take it: {error}"
            ) from error

    def close(self) -> None:
        """Give back the memory and the files; the segment stays readable."""
        self.end = self._journal.at
        for writer in (self._inbox, self._journal):
            writer.release()
        self._inbox_memory.close()
        self._journal_memory.close()
        for descriptor in self._room.descriptors.values():
            os.close(descriptor)


def trim(path: SegmentPath, end: int) -> None:
    """What the journal of a closed segment did not use is the disk's again."""
    with contextlib.suppress(FileNotFoundError):  # pruned meanwhile
        os.truncate(path.file("journal"), end)


def framed(record: Record) -> bytes:
    """One record as it stands in a file."""
    memory = bytearray(FRAME_BYTES + len(record.data) + 4)
    Writer(memory, 0).append(record.data, record.now_ns)
    return bytes(memory[:-4])


def complete_journal(path: SegmentPath, records: list[Record]) -> None:
    """Put what was decided but not yet written in the place of a torn tail; raises JournalFull."""
    end = read_or_raise(path, "journal")[1].end
    missing = b"".join(framed(record) for record in records)
    try:
        with path.file("journal").open("r+b") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(end)
            file.write(missing + bytes(max(0, size - end - len(missing))))
    except OSError as error:
        raise JournalFull(f"{path.file('journal')}: {error}") from error
