"""An actor of the simulated world: the engine's own loop on real segments, that can be killed anywhere.

`SimulatedLoop` is `ActorLoop` with the points at which it may die or freeze, and with somebody who
is told of every record that is in the journal.
"""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Protocol, cast

from engine.component import Component
from engine.config import Config
from engine.edges.directory import ActorState, Directory, KillSwitchPage
from engine.edges.journal import JournalFull
from engine.edges.loop import ActorLoop
from engine.edges.simulation.network import Mail, SimulatedBus
from engine.edges.simulation.plan import Injection, Kind, Point
from engine.messages import AnyMessage, decode
from engine.routes import Topology
from engine.runtime import Target
from ext.page import PAGE_BYTES, Page

if TYPE_CHECKING:
    from engine.edges.bus import SharedMemoryBus

FRAME_BYTES = 16  # before each record, see `engine/edges/journal.py`


class Killed(BaseException):
    """kill -9: nothing in the actor may catch it."""


class Clock:
    """The directory of a simulated run: its time, and which epoch of each actor receives."""

    def __init__(self, run: str, begin_ns: int) -> None:
        self.run = run
        self.time_ns = begin_ns
        self.epochs: dict[str, int] = {}

    def now_ns(self) -> int:
        """The engine's clock."""
        return self.time_ns

    def epoch(self, actor: str) -> int:
        """The epoch of an actor that receives now; 0 while none does."""
        return self.epochs.get(actor, 0)

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
        super().__init__(
            components,
            topology,
            cast("Directory", clock),
            folder,
            config.engine,
            epoch,
            page,
            kill_switch,
            cast("SharedMemoryBus", bus),
        )
        self.simulated_bus = bus
        self.armed: deque[Injection] = deque()
        self.disk_full = False
        self.stillborn = False
        self.deferred: deque[AnyMessage] | None = None  # effects of a step in which it froze
        self.failure: Exception | None = None
        self._told = told
        self._chance = chance
        self._leaving = 0
        self._tear: Callable[[], None] | None = None

    # --- points -------------------------------------------------------------------------------------

    def _reached(self, point: Point) -> bool:
        """Whether the injection that comes next is for here; freezing happens by itself."""
        if not self.armed or self.armed[0].point is not point:
            return False
        injection = self.armed[0]
        if point is Point.LEAVING:
            self._leaving += 1
            if self._leaving <= injection.count:
                return False
            self._leaving = 0
        self.armed.popleft()
        self._told.happened(injection)
        if injection.kind is Kind.CRASH:
            return True
        self._told.freeze(self.actor, injection.for_ns)
        return False

    def record(self, raw: bytes, now_ns: int) -> None:
        """See `engine.runtime.Recorder`."""
        if self.armed and self._reached(Point.BETWEEN):
            raise Killed
        assert self._segment is not None
        at, path = self._segment.inbox_bytes, self._segment.path.file("inbox")
        super().record(raw, now_ns)
        if not self.armed:
            return
        if self._reached(Point.TORN_INPUT):
            self._tear = lambda: _overwrite(path, at, b"\0\0\0\0")
            raise Killed
        if self._reached(Point.RECORDED):
            raise Killed

    def append(self, records: list[bytes], now_ns: int) -> None:
        """See `engine.runtime.Recorder`."""
        if self.armed and self._reached(Point.DECIDED):
            raise Killed
        if self.disk_full:
            raise JournalFull("no space left on the simulated disk")
        super().append(records, now_ns)
        if self.armed and self._reached(Point.TORN_JOURNAL):
            assert self._segment is not None
            path = self._segment.path.file("journal")
            size = sum(FRAME_BYTES + len(data) for data in records)
            cut = self._chance.randint(1, size)
            self._tear = lambda: _cut(path, cut)
            raise Killed
        for data in records:
            self._told.journalled(self.actor, decode(data), data, now_ns)
        if self.armed and self._reached(Point.APPENDED):
            raise Killed

    def publish(self, message: AnyMessage, encoded: bytes, targets: tuple[Target, ...]) -> None:
        """See `engine.runtime.Outlet`."""
        if self.armed and self._reached(Point.LEAVING):
            raise Killed
        super().publish(message, encoded, targets)

    def perform(self, effect: AnyMessage) -> None:
        """See `engine.runtime.Outlet`; what a frozen actor had still to do it does when it thaws."""
        if self.deferred is not None:
            self.deferred.append(effect)
            return
        if self.armed and self._reached(Point.LEAVING):
            raise Killed
        super().perform(effect)

    def _begin_segment(self, need: int = 0) -> None:
        """See `ActorLoop`; one that dies here leaves no snapshot, so there is no such segment."""
        super()._begin_segment(need)
        if self.stillborn:
            assert self._segment is not None
            path = self._segment.path.file("snapshot")
            self._tear = path.unlink
            raise Killed

    # --- life ---------------------------------------------------------------------------------------

    def open(self) -> None:
        """From here on others send to this epoch."""
        self.page.state = ActorState.RUNNING
        self.directory.enter(self.actor, self.epoch, 0)

    def fail(self, error: Exception) -> None:
        """See `ActorLoop`."""
        super().fail(error)
        self.failure = error

    def thaw(self) -> None:
        """Do what was left to do when it froze."""
        deferred, self.deferred = self.deferred, None
        while deferred:
            self.perform(deferred.popleft())

    def sleep_ns(self) -> int:
        """How long until it has something to do by itself."""
        return self._sleep_ns()

    def die(self) -> None:
        """Gone, as far as anybody can tell; a record it was writing is torn."""
        self.simulated_bus.close()
        if self._segment is not None:
            self._segment.close()
            self._segment = None
        if self._tear is not None:
            self._tear()


def _overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def _cut(path: Path, count: int) -> None:
    with path.open("r+b") as file:
        file.seek(0, 2)
        file.truncate(file.tell() - count)


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
