"""One process, one event queue: components, simulated exchanges and tapes under a given time.

Time is the due time of the event at hand, so a run is a function of its tape, its seed and its
configuration. `pace` is called before each event with its time: a backtest does nothing there and
runs as fast as it can; a solo run of a tape waits until that time has really come. The order of
events is the same either way, and so are the orders.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from engine.component import Component
from engine.messages import (
    AnyMessage,
    Connected,
    Depth,
    Drain,
    Frame,
    OrderRequest,
    SendFrame,
    SetTimer,
    Started,
)
from engine.routes import Topology
from engine.runtime import Host, Recorder, Target, Timers
from engine.venue import Venue

NEVER = 1 << 62
CONNECTION = 0


class SimulatedVenue(Protocol):
    """An exchange as the simulation sees it; `engine.exchange` has those there are."""

    def connect(self, connection: int, now_ns: int) -> None:
        """A client is there."""

    def receive(self, connection: int, payload: bytes, now_ns: int) -> None:
        """A client's frame arrived."""

    def advance(self, now_ns: int) -> list[tuple[int, bytes]]:
        """What is due by now, as (connection, frame)."""

    def next_due_ns(self) -> int:
        """When something is due next."""


class MarketFollower(Protocol):
    """An exchange whose market is a tape: it is told the levels whenever they change."""

    def follow(self, depth: Depth) -> None:
        """The market of an instrument is now this."""


class TapeFrame(NamedTuple):
    """A recorded frame of one venue."""

    at_ns: int
    venue: int
    connection: int
    kind: int
    payload: bytes
    about: str


class Kept:
    """A recorder in memory: the durable outputs of a run, in order."""

    def __init__(self) -> None:
        self.inputs = 0
        self.durable: list[bytes] = []

    def record(self, raw: bytes, now_ns: int) -> None:
        """See `engine.runtime.Recorder`."""
        self.inputs += 1

    def append(self, records: list[bytes], now_ns: int) -> None:
        """See `engine.runtime.Recorder`."""
        self.durable.extend(records)


class Simulation:
    """Runs a whole engine against simulated exchanges and tapes; see the module."""

    def __init__(
        self,
        components: Sequence[Component],
        topology: Topology,
        exchanges: Mapping[int, SimulatedVenue],
        followers: Mapping[int, MarketFollower],
        tape: Iterable[TapeFrame],
        recorder: Recorder,
        pace: Callable[[int], None],
    ) -> None:
        self.host = Host(components, topology, recorder, self)
        self.now_ns = 0
        self.frames = 0
        self._exchanges = exchanges
        self._followers = followers
        self._tape: Iterator[TapeFrame] = iter(tape)
        self._next_frame = next(self._tape, None)
        self._pace = pace
        self._timers = Timers()
        self._sequence = 0
        self._due: list[tuple[int, int]] = []
        self._scheduled: dict[int, int] = {}
        self._venues = {
            instrument.id: instrument.venue
            for component in components
            if isinstance(component, Venue)
            for instrument in component.instruments
        }

    def _number(self) -> int:
        self._sequence += 1
        return self._sequence

    def _step(self, message: AnyMessage) -> None:
        outputs = self.host.step(message, None, self.now_ns)
        if self._followers:
            for output in outputs:
                if isinstance(output, Depth):
                    follower = self._followers.get(self._venues[output.instrument])
                    if follower is not None:
                        follower.follow(output)

    def run(self, begin_ns: int, end_ns: int) -> None:
        """From `begin_ns` to `end_ns`, then drain: one more second with nothing new begun."""
        self.now_ns = begin_ns
        self._step(Started(0, self._number(), 0, 1))
        for venue, exchange in self._exchanges.items():
            exchange.connect(CONNECTION, begin_ns)
            self._schedule(venue)
        for number in range(len(self.host.topology.of_kind("venue"))):
            self._step(Connected(0, self._number(), 0, number, CONNECTION))
        self._advance(end_ns)
        self.now_ns = max(self.now_ns, end_ns)
        self._step(Drain(0, self._number(), 0))
        self._next_frame = None
        self._advance(self.now_ns + 1_000_000_000)

    def _advance(self, end_ns: int) -> None:
        """Event after event until `end_ns`: the earliest first; timers before frames at a tie."""
        while True:
            timer_ns = self._timers.next_due_ns()
            timer_ns = NEVER if timer_ns is None else timer_ns
            exchange_ns = self._due[0][0] if self._due else NEVER
            frame = self._next_frame
            frame_ns = NEVER if frame is None else frame.at_ns
            now_ns = min(timer_ns, exchange_ns, frame_ns)
            if now_ns > end_ns:
                return
            self.now_ns = max(now_ns, self.now_ns)
            self._pace(self.now_ns)
            if timer_ns == now_ns:
                for firing in self._timers.fired(self.now_ns, self._number):
                    self._step(firing)
            elif exchange_ns == now_ns:
                self._advance_exchange(heapq.heappop(self._due)[1])
            elif frame is not None:
                self._next_frame = next(self._tape, None)
                self._frame(frame.venue, frame.connection, frame.kind, frame.payload, frame.about)

    def _advance_exchange(self, venue: int) -> None:
        if self._scheduled.get(venue, 0) > self.now_ns:
            return  # a later entry of the queue stands for it
        self._scheduled.pop(venue, None)
        for connection, payload in self._exchanges[venue].advance(self.now_ns):
            self._frame(venue, connection, 0, payload, "")
        self._schedule(venue)

    def _frame(self, venue: int, connection: int, kind: int, payload: bytes, about: str) -> None:
        self.frames += 1
        self._step(Frame(0, self._number(), self.now_ns, venue, connection, kind, payload, about))

    def _schedule(self, venue: int) -> None:
        """One entry of the queue for each time an exchange is due at, not one for each request."""
        due_ns = self._exchanges[venue].next_due_ns()
        if due_ns >= NEVER:
            return
        due_ns = max(due_ns, self.now_ns)
        if due_ns != self._scheduled.get(venue):
            self._scheduled[venue] = due_ns
            heapq.heappush(self._due, (due_ns, venue))

    def publish(self, message: AnyMessage, encoded: bytes, targets: tuple[Target, ...]) -> None:
        """See `engine.runtime.Outlet`: all components are here, nothing goes elsewhere."""
        raise AssertionError(f"{message} has a receiver outside the simulation")

    def perform(self, effect: AnyMessage) -> None:
        """See `engine.runtime.Outlet`."""
        if isinstance(effect, SetTimer):
            self._timers.set(effect)
        elif isinstance(effect, (SendFrame, OrderRequest)):
            exchange = self._exchanges.get(effect.venue)
            if exchange is not None:
                exchange.receive(effect.connection, effect.payload, self.now_ns)
                self._schedule(effect.venue)
