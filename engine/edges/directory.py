"""The pages actors share: the run's directory, each actor's page, and the kill switch.

The directory says which epoch of each actor is the current one; the bus follows it, so a message
never goes to a predecessor. All are memory-mapped files: in /dev/shm while a run lives, but the
kill switch in the state directory, for it must survive restarts. They are written with plain
stores of aligned 64-bit words; whoever starts a run removes its pages at the end.
"""

import mmap
import os
import shutil
import struct
import time
from enum import IntEnum
from pathlib import Path

from ext.page import PAGE_BYTES, Page

SHARED = Path("/dev/shm")
ACTORS_MAX = 64
_HEADER_WORDS = 16
_ACTOR_WORDS = 8
_DIRECTORY_BYTES = 8 * (_HEADER_WORDS + ACTORS_MAX * _ACTOR_WORDS)


class ActorState(IntEnum):
    """What an actor's loop is doing."""

    STARTING = 0
    RECOVERING = 1
    RUNNING = 2
    DRAINING = 3
    STOPPED = 4
    FAILED = 5


class Counter(IntEnum):
    """The counters of an actor's page, by their place in it."""

    MESSAGES_IN = 0
    MESSAGES_OUT = 1
    QUEUE_DEPTH = 2
    QUEUE_HIGH = 3
    CONFLATED = 4
    DECODE_ERRORS = 5
    DUPLICATES = 6
    RESENT = 7
    INBOX_BYTES = 8
    JOURNAL_BYTES = 9
    JOURNAL_RECORDS = 10
    OUTBOX_HIGH = 11
    BACKLOG = 12
    WAKES = 13
    STEPS = 14
    LOOP_NS_MAX = 15
    ORDERS_SENT = 16
    ORDERS_HELD = 17
    CPU_NS = 18
    MEMORY_KB = 19
    OPEN_WORK = 20
    SEGMENTS = 21
    THREAD_CPU_NS = 22
    UNACKNOWLEDGED = 23
    FEEDS_PLAYING = 24
    FEEDS_ENDED = 25
    JOURNAL_FULL = 26


class Stage(IntEnum):
    """The latency histograms of an actor's page."""

    HOP = 0
    STEP = 1
    TICK_TO_ORDER = 2


def monotonic_ns() -> int:
    """CLOCK_MONOTONIC in ns: the same in every process of the machine, and never stepped."""
    return time.monotonic_ns()


def _map(path: Path, size: int, create: bool) -> mmap.mmap:
    flags = os.O_RDWR | (os.O_CREAT if create else 0)
    descriptor = os.open(path, flags, 0o600)
    try:
        if create:
            os.ftruncate(descriptor, size)
        elif os.fstat(descriptor).st_size < size:
            raise FileNotFoundError(f"{path}: shorter than a page of {size} bytes")
        return mmap.mmap(descriptor, size)
    finally:
        os.close(descriptor)


def page_path(run: str, actor: str, epoch: int) -> Path:
    """Where the page of one epoch of an actor lies."""
    return SHARED / f"co-{run}-{actor}-{epoch}.page"


def create_page(run: str, actor: str, epoch: int) -> tuple[Page, mmap.mmap]:
    """A fresh page of this process for an actor's epoch, and the memory behind it."""
    memory = _map(page_path(run, actor, epoch), PAGE_BYTES, create=True)
    page = Page(memory)
    page.format(os.getpid(), epoch, monotonic_ns())
    return page, memory


def open_page(run: str, actor: str, epoch: int) -> tuple[Page, mmap.mmap]:
    """Another actor's page; raises FileNotFoundError while there is none."""
    memory = _map(page_path(run, actor, epoch), PAGE_BYTES, create=False)
    return Page(memory), memory


class Directory:
    """The run's table: the clock, who supervises, and each actor's epoch, process and restarts."""

    def __init__(self, run: str, actors: tuple[str, ...], create: bool = False) -> None:
        if len(actors) > ACTORS_MAX:
            raise ValueError(f"{len(actors)} actors; a run has at most {ACTORS_MAX}")
        self.run = run
        self.actors = actors
        self._index = {name: i for i, name in enumerate(actors)}
        self._memory = _map(SHARED / f"co-{run}.directory", _DIRECTORY_BYTES, create)
        self._words = memoryview(self._memory).cast("q")
        if create:
            self._memory[:] = bytes(_DIRECTORY_BYTES)  # a killed run of this name may have left one
            self._words[1] = time.time_ns() - monotonic_ns()
            self._words[0] = 1

    @property
    def wall_offset_ns(self) -> int:
        """Add to CLOCK_MONOTONIC for the engine's clock: wall time at the run's start, unstepped."""
        return self._words[1]

    def now_ns(self) -> int:
        """The engine's clock."""
        return monotonic_ns() + self._words[1]

    def beat(self, who: int, pid: int) -> None:
        """Heartbeat of the launcher (0) or the supervisor (1)."""
        self._words[2 + 2 * who] = pid
        self._words[3 + 2 * who] = monotonic_ns()

    def beaten(self, who: int) -> tuple[int, int]:
        """Process id and last heartbeat (monotonic ns) of the launcher (0) or supervisor (1)."""
        return self._words[2 + 2 * who], self._words[3 + 2 * who]

    @property
    def supervisor_restarts(self) -> int:
        """How often the supervisor was replaced."""
        return self._words[6]

    @supervisor_restarts.setter
    def supervisor_restarts(self, value: int) -> None:
        self._words[6] = value

    @property
    def stopping(self) -> bool:
        """Whether the run is being stopped: nothing is restarted any more."""
        return self._words[7] != 0

    @stopping.setter
    def stopping(self, value: bool) -> None:
        self._words[7] = int(value)

    @property
    def stop_wanted(self) -> bool:
        """Whether somebody asked for the run's orderly end."""
        return self._words[8] != 0

    @stop_wanted.setter
    def stop_wanted(self, value: bool) -> None:
        self._words[8] = int(value)

    @property
    def standby_pid(self) -> int:
        """The process that waits to become somebody's successor; 0 for none."""
        return self._words[9]

    @standby_pid.setter
    def standby_pid(self, value: int) -> None:
        self._words[9] = value

    def _at(self, actor: str) -> int:
        return _HEADER_WORDS + self._index[actor] * _ACTOR_WORDS

    def epoch(self, actor: str) -> int:
        """The epoch of an actor that receives now; 0 while none does."""
        return self._words[self._at(actor)]

    def word_of(self, actor: str) -> int:
        """Where the actor's epoch stands in `words`, for a reader in a hurry."""
        return self._at(actor)

    @property
    def words(self) -> memoryview:
        """The table itself."""
        return self._words

    def enter(self, actor: str, epoch: int, pid: int) -> None:
        """An actor's new epoch is ready to receive."""
        at = self._at(actor)
        self._words[at + 1] = pid
        self._words[at] = epoch

    def pid(self, actor: str) -> int:
        """The process of the current epoch."""
        return self._words[self._at(actor) + 1]

    def restarts(self, actor: str) -> int:
        """How often an actor was restarted."""
        return self._words[self._at(actor) + 2]

    def restarted(self, actor: str, restarts: int) -> None:
        """Note a restart."""
        self._words[self._at(actor) + 2] = restarts

    def claimed(self, actor: str) -> int:
        """The highest epoch ever given out for an actor."""
        return self._words[self._at(actor) + 3]

    def claim(self, actor: str) -> int:
        """Give out the next epoch of an actor; only the supervisor (or a solo run) calls this."""
        at = self._at(actor) + 3
        self._words[at] += 1
        return self._words[at]

    def began_at(self, actor: str) -> int:
        """The last epoch of the run's earlier life; 0 for a fresh run."""
        return self._words[self._at(actor) + 4]

    def resume(self, actor: str, epoch: int) -> None:
        """A run that was stopped goes on: an actor's epochs go on above this one."""
        at = self._at(actor)
        self._words[at + 3] = self._words[at + 4] = epoch

    def remove(self) -> None:
        """Delete the run's directory and pages from shared memory."""
        for path in SHARED.glob(f"co-{self.run}*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


class KillSwitchPage:
    """The kill switch: latched in a file, written by the command line, the API and the RiskGuard.

    A missing, short or unreadable page means ON: every doubt stops trading.
    """

    _FORMAT = struct.Struct("<8sqqq")
    _MAGIC = b"COKILL1\0"
    _ON_OFFSET = 8

    def __init__(self, path: Path, create: bool = False) -> None:
        self.path = path
        self._memory: mmap.mmap | None = None
        self._inode = 0
        if create and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self._FORMAT.pack(self._MAGIC, 2, 0, 0).ljust(4096, b"\0"))
        self._open()

    def _open(self) -> None:
        try:
            memory = _map(self.path, 4096, create=False)
            self._inode = os.stat(self.path).st_ino
        except OSError:
            self._memory = None
            return
        self._memory = memory if memory[:8] == self._MAGIC else None

    @property
    def on(self) -> bool:
        """Whether trading is stopped. Only a readable page that says 'off' (2) is off."""
        memory = self._memory
        return memory is None or memory[self._ON_OFFSET] != 2

    def verify(self) -> None:
        """Look at the file itself: a page that was deleted or replaced counts as ON from now on."""
        try:
            there = os.stat(self.path).st_ino
        except OSError:
            self._memory = None
            return
        if self._memory is None or there != self._inode:
            self._open()

    def changed(self) -> tuple[int, int]:
        """When it was last changed (wall ns) and by which process."""
        if self._memory is None:
            return 0, 0
        _, _, at_ns, pid = self._FORMAT.unpack_from(self._memory)
        return at_ns, pid

    def turn(self, on: bool) -> None:
        """Latch the switch; takes effect at every gateway's next look."""
        if self._memory is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_bytes(self._FORMAT.pack(self._MAGIC, 1, 0, 0).ljust(4096, b"\0"))
            self._open()
        assert self._memory is not None
        self._FORMAT.pack_into(
            self._memory, 0, self._MAGIC, 1 if on else 2, time.time_ns(), os.getpid()
        )
        self._memory.flush()
