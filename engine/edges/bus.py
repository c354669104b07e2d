"""The shared-memory bus between actors of one machine: iceoryx2 carries, the doorbell wakes.

Each actor's epoch has two inboxes, `market` and `events`; every sender has a publisher of its own
on both, with a queue of its own, so a slow, frozen or dead reader fills only the queues to itself
and nobody waits for it. What does not fit stays with the sender:

- market data by key, the newest value replacing the older (counted as conflated), so that after
  any overload the last value of every key arrives;
- trades for bots that watch them, each one in order, the oldest shed and told (`trades.py`);
- events in an outbox, in order, until the reader acknowledges them in its page, which it does once
  they are processed and journalled; to a successor all that is not acknowledged is sent again.

A sender follows the directory: when the epoch of a reader changes, it opens the successor's
inboxes and tells it the last value of every key.
"""

import ctypes
import mmap
import os
import struct
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import iceoryx2 as iox2

from engine.edges.directory import SHARED, Counter, Directory, open_page
from engine.edges.journal import Pending
from engine.edges.trades import TradeQueue
from engine.messages import AnyMessage, Trade
from engine.routes import conflation_key
from engine.runtime import OutboxFull, Target
from ext.bell import Bell, open_pipe_writer
from ext.page import BELL_OFFSET, Page

SAMPLE_BYTES_MAX = 64 * 1024
MARKET_QUEUE = 64
EVENT_QUEUE = 256
PUBLISHERS_MAX = 64
UNHURRIED_MAX = 16
_LENGTH = struct.Struct("<I")


def pipe_path(run: str, actor: str, epoch: int) -> Path:
    """Where an actor whose thread is an event loop has the named pipe of its doorbell."""
    return SHARED / f"co-{run}-{actor}-{epoch}.bell"


def _service_name(actor: str, epoch: int, kind: str) -> Any:
    return iox2.ServiceName.new(f"{actor}/{epoch}/{kind}")


def make_node(run: str, name: str) -> Any:
    """This process' iceoryx2 node, with files and segments of this run only."""
    iox2.set_log_level(iox2.LogLevel.Fatal)
    config = iox2.config.default()
    config.global_cfg.prefix = iox2.FileName.new(f"co-{run}-")
    config.global_cfg.root_path = iox2.Path.new(str(SHARED / f"co-{run}.iox"))
    return (
        iox2.NodeBuilder.new()
        .name(iox2.NodeName.new(name))
        .config(config)
        .signal_handling_mode(iox2.SignalHandlingMode.Disabled)
        .create(iox2.ServiceType.Ipc)
    )


def _open_service(node: Any, actor: str, epoch: int, kind: str) -> Any:
    return (
        node.service_builder(_service_name(actor, epoch, kind))
        .publish_subscribe(iox2.Slice[ctypes.c_uint8])
        .subscriber_max_buffer_size(MARKET_QUEUE if kind == "market" else EVENT_QUEUE)
        .enable_safe_overflow(False)
        .history_size(0)
        .max_publishers(PUBLISHERS_MAX)
        .max_subscribers(1)
        .max_nodes(PUBLISHERS_MAX)
        .open_or_create()
    )


class Channel:
    """A publisher into one inbox of one epoch of a reader."""

    def __init__(self, node: Any, actor: str, epoch: int, kind: str) -> None:
        self._service = _open_service(node, actor, epoch, kind)
        self._publisher = (
            self._service.publisher_builder()
            .initial_max_slice_len(SAMPLE_BYTES_MAX)
            .backpressure_strategy(iox2.BackpressureStrategy.DiscardData)
            .create()
        )
        self._publisher.update_connections()

    def send(self, blob: bytes) -> bool:
        """Whether the reader's queue took the sample; never waits."""
        size = len(blob)
        sample = self._publisher.loan_slice_uninit(size)
        ctypes.memmove(sample.payload_ptr, blob, size)
        return bool(sample.assume_init().send())


class Edge:
    """All that one sender keeps for one reader."""

    def __init__(self, bus: "SharedMemoryBus", actor: str, outbox_max: int) -> None:
        self.actor = actor
        self._bus = bus
        self._outbox_max = outbox_max
        self._epoch = 0
        self._word = bus.directory.word_of(actor)
        self._market: Channel | None = None
        self._events: Channel | None = None
        self._bell: Bell | None = None
        self._page: Page | None = None
        self._last: dict[object, bytes] = {}
        self._dirty: dict[object, bytes] = {}
        self._trades = TradeQueue()
        self._outbox: deque[Pending] = deque()
        self._inherited = 0  # how many at the outbox's begin are a predecessor's
        self._unsent = 0  # how many at the outbox's end were not yet given to the queue
        self._unrung = 0
        self._hurried = False
        self.waiting = False

    def market(self, key: object, data: bytes, hurried: bool) -> None:
        """A newer value of a key."""
        if key in self._dirty:
            self._bus.page.add(Counter.CONFLATED, 1)
        self._last[key] = data
        self._dirty[key] = data
        self._hurried = self._hurried or hurried
        self.waiting = True

    def trade(self, message: Trade, data: bytes, hurried: bool) -> None:
        """One more trade for a reader that needs each."""
        if not self._trades.put(message, data):
            self._bus.page.add(Counter.CONFLATED, 1)
        self._hurried = self._hurried or hurried
        self.waiting = True

    def event(self, pending: Pending, inherited: bool = False) -> None:
        """An event to be delivered at least once; raises OutboxFull.

        A predecessor's do not count against the limit: they are those of a whole segment, most of them
        acknowledged long ago, and must not keep a successor from coming back.
        """
        self._inherited += inherited
        if len(self._outbox) - self._inherited >= self._outbox_max:
            self._acknowledged()
            if len(self._outbox) - self._inherited >= self._outbox_max:
                raise OutboxFull(
                    f"{self.actor} has not acknowledged {self._outbox_max} events "
                    f"(engine.outbox_max)"
                )
        self._outbox.append(pending)
        self._unsent += 1
        self._hurried = True
        self.waiting = True

    def flush(self) -> bool:
        """Give the reader what its queues take; whether anything is left over."""
        epoch = self._bus.directory.words[self._word]
        if epoch != self._epoch and not self._follow(epoch):
            return True
        rang = False
        if self._dirty and self._market is not None and self._send_market(self._market):
            rang = True
        if self._trades and self._market is not None and self._send_trades(self._market):
            rang = True
        if self._unsent and self._events is not None and self._send_events(self._events):
            rang = True
        if rang and self._bell is not None:
            self._unrung += 1
            if self._hurried or self._unrung >= UNHURRIED_MAX:
                self._bell.ring()
                self._unrung = 0
                self._hurried = False
        self.waiting = bool(self._dirty or self._trades or self._unsent)
        if len(self._outbox) > 64:
            self._acknowledged()
        return self.waiting

    def _send_market(self, channel: Channel) -> bool:
        blob, taken = _pack(self._dirty.values())
        if not channel.send(blob):
            return False
        for key in list(self._dirty)[:taken]:
            del self._dirty[key]
        return True

    def _send_trades(self, channel: Channel) -> bool:
        sent = False
        while self._trades:
            blob, taken = _pack(self._trades.waiting())
            if not channel.send(blob):
                break
            self._trades.drop(taken)
            sent = True
        return sent

    def _send_events(self, channel: Channel) -> bool:
        sent = False
        while self._unsent:
            first = len(self._outbox) - self._unsent
            waiting = (self._outbox[i].data for i in range(first, len(self._outbox)))
            blob, taken = _pack(waiting)
            if not channel.send(blob):
                break
            self._unsent -= taken
            sent = True
        return sent

    def _follow(self, epoch: int) -> bool:
        """Turn to the reader's current epoch: everything unacknowledged and every last value anew."""
        if epoch == 0:
            return False
        try:
            page, memory = open_page(self._bus.directory.run, self.actor, epoch)
            pipe = _open_pipe(self._bus.directory.run, self.actor, epoch)
        except OSError:
            return False  # not there yet, or gone again: the next flush looks again
        self._market = Channel(self._bus.node, self.actor, epoch, "market")
        self._events = Channel(self._bus.node, self.actor, epoch, "events")
        if self._bell is not None and self._bell.pipe >= 0:
            os.close(self._bell.pipe)
        self._bell = Bell(memory, BELL_OFFSET, pipe)
        self._page = page
        if self._epoch:
            self._bus.page.add(Counter.RESENT, len(self._outbox))
        self._epoch = epoch
        self._acknowledged()
        self._unsent = len(self._outbox)
        self._dirty = dict(self._last)
        self._hurried = True
        return True

    def _acknowledged(self) -> None:
        """Forget what the reader has durably processed."""
        page = self._page
        if page is None:
            return
        outbox = self._outbox
        while len(outbox) > 0 and page.acknowledged(outbox[0].sender) >= outbox[0].sequence:
            outbox.popleft()
            self._inherited = max(self._inherited - 1, 0)
        self._unsent = min(self._unsent, len(outbox))
        high = self._bus.page.get(Counter.OUTBOX_HIGH)
        if len(outbox) > high:
            self._bus.page.put(Counter.OUTBOX_HIGH, len(outbox))

    def pending(self) -> list[Pending]:
        """What the reader has not acknowledged yet."""
        self._acknowledged()
        return list(self._outbox)


def _pack(datas: Iterable[bytes]) -> tuple[bytes, int]:
    """As many messages as one sample takes, each behind its length; and how many those are."""
    parts: list[bytes] = []
    size = taken = 0
    for data in datas:
        size += 4 + len(data)
        if size > SAMPLE_BYTES_MAX and taken:
            break
        parts.append(_LENGTH.pack(len(data)))
        parts.append(data)
        taken += 1
    return b"".join(parts), taken


def unpack(blob: bytes) -> list[bytes]:
    """The messages of one sample; a length beyond the end gives what is there as one message."""
    messages = []
    at = 0
    while at + 4 <= len(blob):
        end = at + 4 + _LENGTH.unpack_from(blob, at)[0]
        messages.append(blob[at + 4 : end])
        at = end
    return messages


def _open_pipe(run: str, actor: str, epoch: int) -> int:
    path = pipe_path(run, actor, epoch)
    return open_pipe_writer(str(path)) if path.exists() else -1


class SharedMemoryBus:
    """One actor's place on the bus: its two inboxes and an edge to every actor it talks to."""

    def __init__(
        self,
        directory: Directory,
        actor: str,
        epoch: int,
        page: Page,
        memory: mmap.mmap,
        outbox_max: int,
        pipe: bool = False,
    ) -> None:
        self.directory = directory
        self.actor = actor
        self.page = page
        self.pipe = -1
        self.market_first = False
        self._outbox_max = outbox_max
        self._edges: dict[str, Edge] = {}
        self._touched: dict[Edge, None] = {}
        self.node = make_node(directory.run, f"{actor}-{epoch}")
        self._market = _open_service(self.node, actor, epoch, "market")
        self._events = _open_service(self.node, actor, epoch, "events")
        self._market_inbox = self._market.subscriber_builder().create()
        self._events_inbox = self._events.subscriber_builder().create()
        if pipe:
            path = pipe_path(directory.run, actor, epoch)
            os.mkfifo(path, 0o600)
            # Read and write: a pipe that has a writer never ends, whoever comes and goes.
            self.pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.bell = Bell(memory, BELL_OFFSET)

    def restore(self, pending: list[Pending]) -> None:
        """Take over what a predecessor had not got acknowledged."""
        for event in pending:
            self._edge(event.actor).event(event, inherited=True)

    def publish(self, message: AnyMessage, encoded: bytes, targets: tuple[Target, ...]) -> None:
        """Keep a message for its readers; `flush` sends. Raises OutboxFull."""
        for target in targets:
            edge = self._edges.get(target.actor) or self._edge(target.actor)
            if target.queued:
                assert isinstance(message, Trade)
                edge.trade(message, encoded, target.hurried)
            elif target.conflated:
                edge.market(conflation_key(message), encoded, target.hurried)
            else:
                edge.event(Pending(target.actor, message.sender, message.sequence, encoded))
            self._touched[edge] = None

    def _edge(self, actor: str) -> Edge:
        edge = self._edges.get(actor)
        if edge is None:
            edge = self._edges[actor] = Edge(self, actor, self._outbox_max)
        self._touched[edge] = None
        return edge

    def flush(self) -> bool:
        """Send what waits, the readers rung; whether something is left that a queue did not take."""
        if not self._touched:
            return False
        left = [edge for edge in self._touched if edge.flush()]
        self._touched = dict.fromkeys(left)
        self.page.put(Counter.BACKLOG, len(left))
        return bool(left)

    def look_around(self) -> None:
        """See to edges whose readers were replaced although nothing new is to be said to them."""
        for edge in self._edges.values():
            self._touched[edge] = None

    def pending(self) -> list[Pending]:
        """All events that readers have not acknowledged."""
        return [event for edge in self._edges.values() for event in edge.pending()]

    def drain(self, limit: int) -> list[bytes]:
        """Up to about `limit` messages of each inbox: events first, or what `market_first` says."""
        first, second = self._events_inbox, self._market_inbox
        if self.market_first:
            first, second = second, first
        found: list[bytes] = []
        for inbox in (first, second):
            taken = 0
            while taken < limit:
                sample = inbox.receive()
                if sample is None:
                    break
                payload = sample.payload()
                messages = unpack(ctypes.string_at(payload.data_ptr, payload.number_of_elements))
                taken += len(messages)
                found.extend(messages)
        return found

    def has_mail(self) -> bool:
        """Whether a sample waits."""
        return bool(self._market_inbox.has_samples() or self._events_inbox.has_samples())

    def clean_dead(self) -> None:
        """Remove what dead processes of this run left in shared memory."""
        self.node.try_cleanup_dead_nodes()

    def close(self) -> None:
        """Leave the bus."""
        if self.pipe >= 0:
            os.close(self.pipe)
            pipe_path(self.directory.run, self.actor, self.page.epoch).unlink(missing_ok=True)
        self._edges.clear()
        self._touched.clear()
        del self._market_inbox, self._events_inbox, self._market, self._events, self.node
