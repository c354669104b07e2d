"""The life of an actor: restore, serve, stop; mail in, one step each, then mail out.

`ActorLoop` joins a host to its segments, its page, its timers, the kill switch and (in a cluster)
the bus. It runs on a thread of its own that sleeps on the doorbell, or on an event loop where the
actor owns sockets. Other threads only set its flags and read its page.

A component that raises is a defect: the actor latches the kill switch, says FAILED and stops, for
its successor would take the same message again. What was delivered but not processed when an
actor stops stays unacknowledged with its sender.
"""

import asyncio
import contextlib
import gc
import os
import resource
import sys
import threading
import time
import traceback
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from engine.component import Component
from engine.edges.actor_journal import ActorJournal
from engine.edges.directory import ActorState, Counter, Directory, KillSwitchPage, Stage
from engine.edges.door import Door
from engine.edges.gate import Gate, refused_request
from engine.edges.journal import JournalError, SegmentStart
from engine.edges.recovery import recover
from engine.engine_config import EngineConfig
from engine.messages import (
    AnyMessage,
    Drain,
    KillSwitch,
    MessageError,
    OrderRequest,
    Reason,
    Started,
    decode,
    encode,
)
from engine.routes import CONFLATED, Topology
from engine.runtime import ComponentFailed, Host, OutboxFull, Timers
from ext.page import Page

if TYPE_CHECKING:  # solo runs without the library behind it
    from engine.edges.bus import SharedMemoryBus

BACKLOG_WAIT_NS = 2_000_000
COLLECT_EVERY_NS = 10_000_000_000


class ActorLoop:
    """Serves one actor's components; see the module."""

    def __init__(
        self,
        components: list[Component],
        topology: Topology,
        directory: Directory,
        folder: Path,
        settings: EngineConfig,
        epoch: int,
        page: Page,
        kill_switch: KillSwitchPage,
        bus: "SharedMemoryBus | None",
    ) -> None:
        self.actor = topology.actor(components[0].sender)
        self.directory = directory
        self.epoch = epoch
        self.page = page
        self.kill_switch = kill_switch
        self.bus = bus
        self.gate = Gate(directory, self.actor, epoch, page, kill_switch)
        self.stopping = threading.Event()
        self.draining = False
        self.error = ""
        self._settings = settings
        self._folder = folder
        self._own: deque[AnyMessage] = deque()
        self._high: dict[int, int] = {}
        self._shell_sequence = 0
        self.journal = ActorJournal(folder, settings)
        self._timers = Timers()
        self.door = Door(self.journal, self.gate, bus, page, self._timers, self.refuse)
        self.host = Host(components, topology, self.door, self.door)
        self._kill_seen = False
        self._drain_seen = False
        self._beat_every_ns = settings.heartbeat_ms * 1_000_000 // 2
        self._next_beat_ns = 0
        self._next_collect_ns = 0
        self._wakeup: asyncio.TimerHandle | None = None
        self._event_loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Future[None] | None = None
        self.restored_inputs = 0

    # --- life -----------------------------------------------------------------------------------

    def restore(self) -> None:
        """Snapshot and inputs -> state; begins this epoch's first segment. Raises JournalError."""
        self.page.state = ActorState.RECOVERING
        self.journal.lock(f"process {os.getpid()} ({self.actor} of {self.directory.run})")
        recovered, pending = recover(self._folder, self.host), []
        resumed = False
        if recovered is not None:
            resumed = recovered.epoch <= self.directory.began_at(self.actor)
            self._high = recovered.high
            self._shell_sequence = recovered.shell_sequence
            self.restored_inputs = recovered.inputs
            pending = recovered.pending
            for sender, sequence in self._high.items():
                self.page.acknowledge(sender, sequence)
        if self.bus is not None:
            # The guard judges prices by the newest tops; for all others what happened is urgent.
            self.bus.market_first = any(c.kind == "risk" for c in self.host.components)
            self.bus.restore(pending)
        self._begin_segment()
        self._look_after_journal()
        self._own.append(Started(0, self.next_shell_sequence(), 0, self.epoch, resumed))
        self._kill_seen = self.kill_switch.on
        self._own.append(KillSwitch(0, self.next_shell_sequence(), 0, self._kill_seen))

    def open(self) -> None:
        """From here on others send to this epoch."""
        self.page.state = ActorState.RUNNING
        self.directory.enter(self.actor, self.epoch, os.getpid())
        gc.collect()
        gc.freeze()
        gc.disable()

    def run_thread(self) -> None:
        """Serve on this thread, asleep on the doorbell between messages, until `stopping`."""
        bus = self.bus
        assert bus is not None
        spin_ns = self._settings.spin_us * 1000
        try:
            while not self.stopping.is_set():
                if self.turn():
                    continue
                seen = bus.bell.park()
                if bus.has_mail() or self._own or self.stopping.is_set():
                    bus.bell.unpark()
                    continue
                bus.bell.wait(seen, self._sleep_ns(), spin_ns)
                self.page.add(Counter.WAKES, 1)
        except (ComponentFailed, JournalError, OutboxFull) as error:
            self.fail(error)
        finally:
            self.close()

    async def run_async(self) -> None:
        """Serve on the running event loop until `stopping`; sockets' callbacks call `inject`."""
        loop = self._event_loop = asyncio.get_running_loop()
        ended = self._ended = loop.create_future()
        if self.bus is not None:
            loop.add_reader(self.bus.pipe, self._on_pipe)
        self.turn_async()
        try:
            await ended
        finally:
            if self.bus is not None:
                loop.remove_reader(self.bus.pipe)
            if self._wakeup is not None:
                self._wakeup.cancel()
            self.close()

    def _on_pipe(self) -> None:
        assert self.bus is not None
        os.read(self.bus.pipe, 4096)
        self.page.add(Counter.WAKES, 1)
        self.turn_async()

    def turn_async(self) -> None:
        """A turn on the event loop: then park, and wake again for the next timer or heartbeat."""
        loop = asyncio.get_running_loop()
        try:
            self.turn()
            bus = self.bus
            if bus is not None:
                bus.bell.park()
                if bus.has_mail():
                    bus.bell.unpark()
                    loop.call_soon(self.turn_async)
        except (ComponentFailed, JournalError, OutboxFull) as error:
            self.fail(error)
        if self.stopping.is_set():
            if self._ended is not None and not self._ended.done():
                self._ended.set_result(None)
            return
        if self._wakeup is not None:
            self._wakeup.cancel()
        self._wakeup = loop.call_later(self._sleep_ns() / 1e9, self.turn_async)

    def stop(self) -> None:
        """Ask the loop to end; callable from any thread."""
        self.stopping.set()
        if self._event_loop is not None:
            self._event_loop.call_soon_threadsafe(self.turn_async)
        elif self.bus is not None:
            self.bus.bell.ring()

    def close(self) -> None:
        """The last segment is closed; what is unacknowledged stays with whom it belongs."""
        if self.page.state != ActorState.FAILED:
            self.page.state = ActorState.STOPPED
        self.journal.close()
        if self.bus is not None:
            self.bus.close()

    def fail(self, error: Exception) -> None:
        """A defect or a dead disk: stop trading everywhere and say why."""
        self.kill_switch.turn(True)
        self.error = f"{type(error).__name__}: {error}"
        self.page.state = ActorState.FAILED
        self.stopping.set()
        words = self.error + "\n" + "".join(traceback.format_exception(error))
        with contextlib.suppress(OSError):  # the page says FAILED, whatever the disk says
            (self._folder / "failure.txt").write_text(words)

    # --- one turn -------------------------------------------------------------------------------

    def turn(self) -> bool:
        """Everything that waits, bounded; then acknowledge and flush. Whether there was anything."""
        now_ns = self.directory.now_ns()
        if now_ns >= self._next_beat_ns:
            self._beat(now_ns)
        worked = self._take_own()
        if self.bus is not None:
            raws = self.bus.drain(self._settings.batch_max)
            if raws:
                worked = True
                self._take_mail(raws)
            self.bus.flush()
        return worked

    def _take_mail(self, raws: list[bytes]) -> None:
        page = self.page
        page.put(Counter.QUEUE_DEPTH, len(raws))
        if len(raws) > page.get(Counter.QUEUE_HIGH):
            page.put(Counter.QUEUE_HIGH, len(raws))
        senders: dict[int, None] = {}
        for raw in raws:
            try:
                message = decode(raw)
            except MessageError:
                page.add(Counter.DECODE_ERRORS, 1)
                continue
            if type(message) not in CONFLATED:
                sender = message.sender
                senders[sender] = None
                if message.sequence <= self._high.get(sender, 0):
                    page.add(Counter.DUPLICATES, 1)
                    continue
                self._high[sender] = message.sequence
            self.take(message, raw)
            if self.bus is not None and not self.door.holds:
                self.bus.flush()  # what it caused need not wait for the rest of the mail
        self.door.let_go(bool(senders))
        for sender in senders:
            page.acknowledge(sender, self._high[sender])

    def _take_own(self) -> bool:
        """Timers that are due and what this loop has to say itself."""
        now_ns = self.directory.now_ns()
        due_ns = self._timers.next_due_ns()
        if due_ns is not None and due_ns <= now_ns:
            self._own.extend(self._timers.fired(now_ns, self.next_shell_sequence))
        if not self._own:
            return False
        while self._own:
            self.take(self._own.popleft(), None)
            if not self._own:
                self.door.let_go()  # of which a refusal may come back
        return True

    def take(self, message: AnyMessage, raw: bytes | None) -> None:
        """One message through the step, timed."""
        data = encode(message) if raw is None else raw
        if not self.journal.room_for(len(data)):
            self._begin_segment(need=len(data))
        page = self.page
        now_ns = self.directory.now_ns()
        if message.received_ns:
            page.record(Stage.HOP, now_ns - message.received_ns)
        produced = self.host.step(message, data, now_ns)
        page.record(Stage.STEP, self.directory.now_ns() - now_ns)
        page.add(Counter.MESSAGES_IN, 1)
        page.add(Counter.MESSAGES_OUT, len(produced))
        if page.first_step_ns == 0 and not isinstance(message, (Started, KillSwitch)):
            page.first_step_ns = time.monotonic_ns()

    def inject(self, message: AnyMessage) -> None:
        """A frame from this actor's own sockets: one step and out, on the loop's thread."""
        try:
            self.take(message, None)
            self.door.let_go()
            self._take_own()
            if self.bus is not None:
                self.bus.flush()
        except (ComponentFailed, JournalError, OutboxFull) as error:
            self.fail(error)

    def refuse(self, effect: OrderRequest, reason: Reason) -> None:
        """A request was not let out: its venue hears why."""
        self._own.append(refused_request(effect, reason, self.next_shell_sequence()))

    # --- upkeep ---------------------------------------------------------------------------------

    def next_shell_sequence(self) -> int:
        """The number of the next message that this actor or its edges put into its inbox."""
        self._shell_sequence += 1
        return self._shell_sequence

    def _begin_segment(self, need: int = 0) -> None:
        """Snapshot, fresh inbox (`need` bytes at least) and journal; old ones beyond the limit go."""
        pending = [] if self.bus is None else self.bus.pending()
        start = SegmentStart(
            self.epoch,
            self.journal.part,
            self.host.snapshot(),
            dict(self._high),
            pending,
            self._shell_sequence,
        )
        self.journal.begin(start, need)
        self.page.add(Counter.SEGMENTS, 1)
        if self.journal.full:
            self._stop_exposure()

    def _look_after_journal(self) -> None:
        """Make the next segment's room, or hear that the disk has it again."""
        self.journal.upkeep()
        if self.journal.full:
            self._stop_exposure()
        elif self.gate.journal_full:
            self.gate.journal_full = False
            self.page.put(Counter.JOURNAL_FULL, 0)

    def _stop_exposure(self) -> None:
        """The disk is full: from here on only what lowers exposure leaves, kept in the reserve."""
        if not self.gate.journal_full:
            self.gate.journal_full = True
            self.page.put(Counter.JOURNAL_FULL, 1)
            self.kill_switch.turn(True)

    def _beat(self, now_ns: int) -> None:
        """Heartbeat, kill switch, drain, open work, process figures; the collector when idle."""
        page = self.page
        page.heartbeat_ns = time.monotonic_ns()
        self._next_beat_ns = now_ns + self._beat_every_ns
        self._look_after_journal()
        self.kill_switch.verify()
        if self.kill_switch.on != self._kill_seen:
            self._kill_seen = self.kill_switch.on
            self._own.append(KillSwitch(0, self.next_shell_sequence(), 0, self._kill_seen))
        if self.draining and not self._drain_seen:
            self._drain_seen = True
            page.state = ActorState.DRAINING
            self._own.append(Drain(0, self.next_shell_sequence(), 0))
        page.put(Counter.OPEN_WORK, sum(c.open_work() for c in self.host.components))
        if self.bus is not None:
            page.put(Counter.UNACKNOWLEDGED, len(self.bus.pending()))
        if self.journal.segment is not None:
            page.put(Counter.INBOX_BYTES, self.journal.segment.inbox_bytes)
            page.put(Counter.JOURNAL_BYTES, self.journal.segment.journal_bytes)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        page.put(Counter.CPU_NS, time.process_time_ns())
        page.put(Counter.THREAD_CPU_NS, time.thread_time_ns())
        page.put(Counter.MEMORY_KB, usage.ru_maxrss)
        if self.bus is not None:
            self.bus.look_around()
        if now_ns >= self._next_collect_ns:
            self._next_collect_ns = now_ns + COLLECT_EVERY_NS
            gc.collect(0)

    def _sleep_ns(self) -> int:
        """Until the next timer or heartbeat; shortly where a queue was full."""
        now_ns = self.directory.now_ns()
        until_ns = self._next_beat_ns
        due_ns = self._timers.next_due_ns()
        if due_ns is not None and due_ns < until_ns:
            until_ns = due_ns
        if self.bus is not None and self.page.get(Counter.BACKLOG):
            until_ns = min(until_ns, now_ns + BACKLOG_WAIT_NS)
        return max(until_ns - now_ns, 1)


def tune_process() -> None:
    """What a hot actor sets once: how often its threads trade the interpreter."""
    sys.setswitchinterval(0.0005)
