"""An actor's journal over its life: segments one after another, one in reserve, and when the disk has them.

The next segment's files are made while the present one still has room, so a full disk is known before
it hurts. Then `full` says so: the actor stops whatever raises exposure, and goes on keeping cancels,
fills and all else in the segment it has, in the reserve, and after that in the two in turns, until
the disk has room again. Nothing older is touched.

Policies: `os` leaves it to the kernel, `interval` has a thread give it to the disk every so often,
`always` waits for the disk before anything leaves (`docs/journal.md` says what each survives).
"""

import errno
import fcntl
import os
import threading
from pathlib import Path

from engine.edges.journal import (
    JournalError,
    JournalFull,
    JournalLocked,
    SegmentPath,
    SegmentStart,
    prune,
    read_whole,
    segments,
)
from engine.edges.segment import SEGMENT_SPARE, SNAPSHOT_BYTES, Room, Segment, trim
from engine.engine_config import EngineConfig

WARM_BYTES = 128 * 1024
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class FolderLock:
    """Says that this process alone writes a folder; the system takes it back when the process ends.

    Raises JournalLocked naming who has it. What the holder says of itself stands in the file.
    """

    def __init__(self, path: Path, words: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._descriptor, 4096, 0).decode(errors="replace").strip()
            os.close(self._descriptor)
            raise JournalLocked(
                f"{path}: held by {holder or 'another process'}; one engine writes a journal. "
                "Stop that one first, or use another state_dir"
            ) from None
        self.write(words)

    def write(self, words: str) -> None:
        """Say this of the holder; a full disk is no reason to fail."""
        data = words.encode()
        try:
            os.pwrite(self._descriptor, data, 0)
            os.ftruncate(self._descriptor, len(data))
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise

    def release(self) -> None:
        """Others may."""
        os.close(self._descriptor)


class ActorJournal:
    """Where an actor's inputs and outputs are kept; see the module."""

    def __init__(self, folder: Path, settings: EngineConfig) -> None:
        self.full = False
        self.segment: Segment | None = None
        self.part = 0
        self.always = settings.fsync == "always"
        self._folder = folder
        self._settings = settings
        self._spare: Room | None = None
        # Closed and not trimmed, and where their journals end: room, should there be no other.
        self._former: list[tuple[SegmentPath, int]] = []
        self._untidy = False
        self._tidying: threading.Thread | None = None
        self._snapshot_bytes = SNAPSHOT_BYTES
        self._lock: FolderLock | None = None
        self._guard = threading.Lock()
        self._left: list[int] = []  # descriptors of closed segments that the disk has not taken yet
        self._sync_error: OSError | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def lock(self, words: str) -> None:
        """Be the only writer of this folder; raises JournalLocked."""
        self._lock = FolderLock(self._folder / "lock", words)

    # --- segments in turn --------------------------------------------------------------------------

    def begin(self, start: SegmentStart, need: int = 0) -> None:
        """Go on in a fresh segment, with `need` bytes of room at least; raises JournalFull."""
        if self.segment is None and (known := segments(self._folder)):
            self._former = [(known[-1], read_whole(known[-1], "journal")[1].end)]
        room = self._room(max(self._settings.segment_bytes, need + SEGMENT_SPARE))
        segment = Segment(room, self._folder, start, durable=self._settings.fsync != "os")
        self._snapshot_bytes = max(SNAPSHOT_BYTES, 2 * segment.snapshot_bytes)
        with self._guard:
            former, self.segment = self.segment, segment
            if former is not None:
                if self._settings.fsync == "interval":
                    self._left += [os.dup(descriptor) for descriptor in former.descriptors]
                elif self.always:
                    former.sync()
                former.close()
                self._former.append((former.path, former.end))
        self.part = start.part + 1
        self._untidy = True
        if self._settings.fsync == "interval" and self._thread is None:
            self._thread = threading.Thread(target=self._sync_often, name="fsync", daemon=True)
            self._thread.start()

    def _room(self, size: int) -> Room:
        spare = self._spare
        if spare is not None and spare.size >= size:
            self._spare = None
            return spare
        if spare is not None:  # too small for one huge message
            spare.give_back()
            self._spare = None
        try:
            return self._fresh_room(size)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise JournalError(f"{self._folder}: {error}") from error
            self.full = True
            former = self._former[-1][0] if self._former else None
            if former is None or former.file("inbox").stat().st_size < size:
                raise JournalFull(
                    f"{self._folder}: no room for a segment of {size} bytes: {error.strerror}. "
                    "Free some disk space and start again"
                ) from error
            self._former.pop()
            return Room.recycled(former)

    def _begin_tidying(self, former: list[tuple[SegmentPath, int]]) -> None:
        """Deleting and cutting files takes the disk milliseconds: on a thread of its own."""
        self._tidying = threading.Thread(target=self._tidy, args=(former,), daemon=True)
        self._tidying.start()

    def _tidy(self, former: list[tuple[SegmentPath, int]]) -> None:
        """What closed segments did not use, and those beyond the limit, are the disk's again."""
        for path, end in former:
            trim(path, end)
        prune(self._folder, self._settings.segments_kept, self._settings.journals_kept)

    def _fresh_room(self, size: int) -> Room:
        """Files that the disk has given; raises OSError when it has none left."""
        return Room(self._folder, size, self._snapshot_bytes)

    def upkeep(self) -> None:
        """Called when there is time: a reserve is made, touched, or asked for again.

        Raises JournalError when the disk refused what it was given before.
        """
        if self._sync_error is not None:
            raise JournalError(f"{self._folder}: the disk does not take it: {self._sync_error}")
        if self._spare is not None:
            self._spare.warm(WARM_BYTES)
            if self._untidy and (self._tidying is None or not self._tidying.is_alive()):
                self._untidy = False
                former, self._former = self._former, []
                self._begin_tidying(former)
            return
        try:
            self._spare = self._fresh_room(self._settings.segment_bytes)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise JournalError(f"{self._folder}: {error}") from error
            self.full = True
            if self._untidy:  # what is beyond the limit may be all the room that is wanted
                self._untidy = False
                self._tidy([])
            return
        self.full = False

    # --- what is kept ------------------------------------------------------------------------------

    def room_for(self, size: int) -> bool:
        """Whether an input of this size and what follows from it have room in this segment."""
        return self.segment is not None and self.segment.room_for(size)

    def sync(self) -> None:
        """Policy `always`: return when the disk has everything; raises JournalError."""
        assert self.segment is not None
        self.segment.sync()

    def _sync_often(self) -> None:
        """Policy `interval`: what was written since is given to the disk, on a thread of its own."""
        while not self._stopping.wait(self._settings.fsync_interval_ms / 1000):
            self._sync_once()

    def _sync_once(self) -> None:
        with self._guard:
            waiting, self._left = self._left, []
            if self.segment is not None:
                waiting += [os.dup(descriptor) for descriptor in self.segment.descriptors]
        for descriptor in waiting:
            try:
                os.fdatasync(descriptor)
            except OSError as error:
                self._sync_error = error
            os.close(descriptor)

    def close(self) -> None:
        """The last segment is closed, the reserve given back; others may write here."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        if self._tidying is not None:
            self._tidying.join()
        if self.segment is not None:
            if self._settings.fsync != "os":
                self._sync_once()
            self.segment.close()
            if not self.full:
                trim(self.segment.path, self.segment.end)
            self.segment = None
        if self._spare is not None:
            self._spare.inbox.close()
            self._spare.journal.close()
            self._spare.give_back()
            self._spare = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None
