"""An actor of the simulated world: the engine's own loop on real segments, that can be killed anywhere.

`SimulatedLoop` is `ActorLoop` with the points at which it may die or freeze, and with somebody who
is told of every record that is in the journal.
"""

import errno
import os
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Protocol, cast

from engine.component import Component
from engine.config import Config
from engine.edges.actor_journal import ActorJournal
from engine.edges.directory import ActorState, Directory, KillSwitchPage
from engine.edges.door import Door
from engine.edges.journal import SegmentPath
from engine.edges.loop import ActorLoop
from engine.edges.segment import Room
from engine.edges.simulation.network import Mail, SimulatedBus
from engine.edges.simulation.plan import Injection, Kind, Point
from engine.engine_config import EngineConfig
from engine.messages import AnyMessage, decode
from engine.routes import Topology
from engine.runtime import Host, Target
from ext.framing import FRAME_BYTES
from ext.page import PAGE_BYTES, Page

if TYPE_CHECKING:
    from engine.edges.bus import SharedMemoryBus


LENGTH_BYTES = 4


class Killed(BaseException):
    """kill -9: nothing in the actor may catch it."""


class Clock:
    """The directory of a simulated run: its time, and which epoch of each actor receives."""

    def __init__(self, run: str, begin_ns: int) -> None:
        self.run = run
        self.time_ns = begin_ns
        self.epochs: dict[str, int] = {}
        self.began: dict[str, int] = {}

    def now_ns(self) -> int:
        """The engine's clock."""
        return self.time_ns

    def epoch(self, actor: str) -> int:
        """The epoch of an actor that receives now; 0 while none does."""
        return self.epochs.get(actor, 0)

    def began_at(self, actor: str) -> int:
        """The epoch before the first of this run."""
        return self.began.get(actor, 0)

    def enter(self, actor: str, epoch: int, pid: int) -> None:
        """An actor's new epoch is ready to receive."""
        self.epochs[actor] = epoch


class Told(Protocol):
    """Who hears of what an actor does."""

    def journalled(self, actor: str, message: AnyMessage, data: bytes, now_ns: int) -> None:
        """A durable output is in the journal."""

    def happened(self, injection: Injection) -> None:
        """An injection took place."""

    def freeze(self, actor: str, for_ns: int) -> None:
        """The actor stands still from here on."""


class Trap:
    """Where an actor dies or freezes next, and what it leaves torn."""

    def __init__(self, actor: str, told: Told, chance: Random) -> None:
        self.armed: deque[Injection] = deque()
        self.tear: Callable[[], None] | None = None
        self.actor = actor
        self.told = told
        self.chance = chance
        self._leaving = 0

    def reached(self, point: Point) -> bool:
        """Whether the actor dies here: the injection that comes next is for this point."""
        if not self.armed or self.armed[0].point is not point:
            return False
        injection = self.armed[0]
        if point is Point.LEAVING:
            self._leaving += 1
            if self._leaving <= injection.count:
                return False
            self._leaving = 0
        self.armed.popleft()
        self.told.happened(injection)
        if injection.kind is Kind.CRASH:
            return True
        self.told.freeze(self.actor, injection.for_ns)
        return False


class SimulatedJournal(ActorJournal):
    """The journal on a disk that may be full, of a process that may be killed."""

    def __init__(self, folder: Path, settings: EngineConfig) -> None:
        super().__init__(folder, settings)
        self.disk_full = False

    def _fresh_room(self, size: int) -> Room:
        if self.disk_full:
            raise OSError(errno.ENOSPC, "no space left on the simulated disk")
        return super()._fresh_room(size)

    def _begin_tidying(self, former: list[tuple[SegmentPath, int]]) -> None:
        self._tidy(former)  # a thread of its own has no place in simulated time

    def fill_disk(self) -> None:
        """From here on the disk gives nothing; the reserve had not been made yet."""
        self.disk_full = True
        if self._spare is not None:
            self._forget(self._spare)
            self._spare.give_back()
            self._spare = None

    @staticmethod
    def _forget(room: Room) -> None:
        room.inbox.close()
        room.journal.close()

    def die(self) -> None:
        """The kernel takes back what the process had; the files are as they are."""
        if self.segment is not None:
            self.segment.close()
            self.segment = None
        if self._spare is not None:
            self._forget(self._spare)
            for descriptor in self._spare.descriptors.values():
                os.close(descriptor)
            self._spare = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None


class SimulatedDoor(Door):
    """The actor's door with a trap in it."""

    trap: Trap
    journal: SimulatedJournal
    deferred: deque[AnyMessage] | None = None  # effects of a step in which it froze

    def record(self, raw: bytes, now_ns: int) -> None:
        """See `engine.runtime.Recorder`."""
        trap = self.trap
        if not trap.armed:
            super().record(raw, now_ns)
            return
        if trap.reached(Point.BETWEEN):
            raise Killed
        assert self.journal.segment is not None
        at, path = self.journal.segment.inbox_bytes, self.journal.segment.path.file("inbox")
        super().record(raw, now_ns)
        if trap.reached(Point.TORN_INPUT):
            trap.tear = partial(_blank, path, at, LENGTH_BYTES)
            raise Killed
        if trap.reached(Point.RECORDED):
            raise Killed

    def append(self, records: list[bytes], now_ns: int) -> None:
        """See `engine.runtime.Recorder`."""
        trap, segment = self.trap, self.journal.segment
        assert segment is not None
        if trap.reached(Point.DECIDED):
            raise Killed
        at = segment.journal_bytes
        super().append(records, now_ns)
        if trap.reached(Point.TORN_JOURNAL):
            whole = trap.chance.randrange(len(records))
            at += sum(FRAME_BYTES + len(data) for data in records[:whole])
            next_at = at + FRAME_BYTES + len(records[whole])
            path, end = segment.path.file("journal"), segment.journal_bytes
            trap.tear = partial(_tear, path, at, next_at, end)
            raise Killed
        for data in records:
            trap.told.journalled(trap.actor, decode(data), data, now_ns)
        if trap.reached(Point.APPENDED):
            raise Killed

    def publish(self, message: AnyMessage, encoded: bytes, targets: tuple[Target, ...]) -> None:
        """See `engine.runtime.Outlet`."""
        if self.trap.reached(Point.LEAVING):
            raise Killed
        super().publish(message, encoded, targets)

    def _perform(self, effect: AnyMessage) -> None:
        """What a frozen actor had still to do it does when it thaws."""
        if self.deferred is not None:
            self.deferred.append(effect)
            return
        if self.trap.reached(Point.LEAVING):
            raise Killed
        super()._perform(effect)

    def thaw(self) -> None:
        """Do what was left to do when it froze."""
        deferred, self.deferred = self.deferred, None
        while deferred:
            self._perform(deferred.popleft())


class SimulatedLoop(ActorLoop):
    """See the module."""

    def __init__(
        self,
        components: list[Component],
        topology: Topology,
        clock: Clock,
        folder: Path,
        config: Config,
        epoch: int,
        kill_switch: KillSwitchPage,
        bus: SimulatedBus,
        told: Told,
        chance: Random,
    ) -> None:
        page = Page(bytearray(PAGE_BYTES))
        page.format(epoch, epoch, 0)
        real_bus = cast("SharedMemoryBus", bus)
        super().__init__(
            components,
            topology,
            cast("Directory", clock),
            folder,
            config.engine,
            epoch,
            page,
            kill_switch,
            real_bus,
        )
        self.simulated_bus = bus
        self.trap = Trap(self.actor, told, chance)
        self.stillborn = False
        journal = self.journal = self.disk = SimulatedJournal(folder, config.engine)
        door = self.door = self.simulated_door = SimulatedDoor(
            journal, self.gate, real_bus, page, self._timers, self.refuse
        )
        door.trap = self.trap
        door.journal = journal
        self.host = Host(components, topology, door, door)

    def _begin_segment(self, need: int = 0) -> None:
        """See `ActorLoop`; one that dies here leaves no snapshot, so there is no such segment."""
        super()._begin_segment(need)
        if self.stillborn:
            assert self.journal.segment is not None
            self.trap.tear = self.journal.segment.path.file("snapshot").unlink
            raise Killed

    def open(self) -> None:
        """From here on others send to this epoch."""
        self.page.state = ActorState.RUNNING
        self.directory.enter(self.actor, self.epoch, 0)

    def thaw(self) -> None:
        """Go on where it froze."""
        self.simulated_door.thaw()

    def sleep_ns(self) -> int:
        """How long until it has something to do by itself."""
        return self._sleep_ns()

    def die(self) -> None:
        """Gone, as far as anybody can tell; a record it was writing is torn."""
        self.simulated_bus.close()
        self.disk.die()
        if self.trap.tear is not None:
            self.trap.tear()


def _blank(path: Path, at: int, count: int) -> None:
    """Bytes that were not yet written."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(bytes(count))


def _tear(path: Path, at: int, next_at: int, end: int) -> None:
    """A record without its length, which is written last, and nothing of those behind it."""
    _blank(path, at, LENGTH_BYTES)
    _blank(path, next_at, end - next_at)


class Actor:
    """A place of the topology over all its epochs."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.epoch = 0
        self.loop: SimulatedLoop | None = None
        self.mail = Mail()
        self.frozen = False
        self.thaws_ns = 0
        self.doomed = False  # killed instead of thawed
        self.stillborn = False  # the next epoch dies as it begins
        self.wake_ns = 0
        self.waiting: deque[Callable[[], None]] = deque()  # what came on its sockets meanwhile

    @property
    def alive(self) -> bool:
        """Whether a process of it exists, frozen or not."""
        return self.loop is not None
