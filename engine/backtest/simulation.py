"""One process, one event queue: components, simulated exchanges and tapes under a given time.

Time is the due time of the event at hand, so a run is a function of its tape, its seed and its
configuration. `pace` is called before each event with its time: a backtest does nothing there and
runs as fast as it can; a solo run of a tape waits until that time has really come. The order of
events is the same either way, and so are the orders.

A tape's times are those of its venue: what is recorded there is heard after the feed's latency, where
the venue trades, and the market that orders meet moves at the recorded time.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from engine.component import Component
from engine.exchange.front import Answered, Front
from engine.messages import (
    AnyMessage,
    Connected,
    Disconnected,
    Drain,
    Frame,
    OrderRequest,
    SendFrame,
    SetTimer,
    Started,
)
from engine.routes import Topology
from engine.runtime import Host, Recorder, Target, Timers

NEVER = 1 << 62
CONNECTION = 0
OWN_WIRE = "simulated"


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
        exchanges: Mapping[int, Front],
        tape: Iterable[TapeFrame],
        recorder: Recorder,
        pace: Callable[[int], None],
    ) -> None:
        self.host = Host(components, topology, recorder, self)
        self.now_ns = 0
        self.frames = 0
        self._exchanges = exchanges
        self._tape: Iterator[TapeFrame] = iter(tape)
        self._next_frame = next(self._tape, None)
        self._pace = pace
        self._heard_ns: dict[tuple[int, int], int] = {}
        self._under_way: list[tuple[int, int, TapeFrame]] = []
        self._lines = dict.fromkeys(exchanges, 0)
        self._timers = Timers()
        self._sequence = 0
        self._due: list[tuple[int, int]] = []
        self._scheduled: dict[int, int] = {}

    def _number(self) -> int:
        self._sequence += 1
        return self._sequence

    def _step(self, message: AnyMessage) -> None:
        self.host.step(message, None, self.now_ns)

    def run(self, begin_ns: int, end_ns: int) -> None:
        """From `begin_ns` to `end_ns`, then drain: one more second with nothing new begun."""
        self.now_ns = begin_ns
        self._step(Started(0, self._number(), 0, 1))
        for venue, exchange in self._exchanges.items():
            exchange.connect(self._lines[venue], OWN_WIRE, "", "", begin_ns)
            self._schedule(venue)
        for number in range(len(self.host.topology.of_kind("venue"))):
            self._step(Connected(0, self._number(), 0, number, CONNECTION))
        self._advance(end_ns)
        self.now_ns = max(self.now_ns, end_ns)
        self._step(Drain(0, self._number(), 0))
        self._next_frame = None
        self._under_way.clear()
        self._advance(self.now_ns + 1_000_000_000)

    def _advance(self, end_ns: int) -> None:
        """Event after event until `end_ns`: the earliest first; timers before frames at a tie."""
        while True:
            timer_ns = self._timers.next_due_ns()
            timer_ns = NEVER if timer_ns is None else timer_ns
            exchange_ns = self._due[0][0] if self._due else NEVER
            frame = self._next_frame
            frame_ns = NEVER if frame is None else frame.at_ns
            heard_ns = self._under_way[0][0] if self._under_way else NEVER
            now_ns = min(timer_ns, exchange_ns, frame_ns, heard_ns)
            if now_ns > end_ns:
                return
            self.now_ns = max(now_ns, self.now_ns)
            self._pace(self.now_ns)
            if timer_ns == now_ns:
                for firing in self._timers.fired(self.now_ns, self._number):
                    self._step(firing)
            elif exchange_ns == now_ns:
                self._advance_exchange(heapq.heappop(self._due)[1])
            elif heard_ns == now_ns:
                self._hear(heapq.heappop(self._under_way)[2])
            elif frame is not None:
                self._next_frame = next(self._tape, None)
                self._recorded(frame)

    def _advance_exchange(self, venue: int) -> None:
        if self._scheduled.get(venue, 0) > self.now_ns:
            return  # a later entry of the queue stands for it
        self._scheduled.pop(venue, None)
        for output in self._exchanges[venue].advance(self.now_ns):
            if isinstance(output, Answered) or output.connection != self._lines[venue]:
                continue  # nobody asks over HTTP here, and nobody is there any more
            if output.payload is None:
                self._come_again(venue)
            else:
                self._frame(venue, CONNECTION, 0, output.payload, "")
        self._schedule(venue)

    def _recorded(self, frame: TapeFrame) -> None:
        """A recorded frame sets out; where it was a venue's market, it takes the feed's time."""
        exchange = self._exchanges.get(frame.venue)
        line = frame.venue, frame.connection
        feed_ns = 0 if exchange is None else exchange.feed_ns(self.now_ns)
        due_ns = max(self.now_ns + feed_ns, self._heard_ns.get(line, 0))
        if due_ns <= self.now_ns:
            self._hear(frame)
            return
        self._heard_ns[line] = due_ns
        heapq.heappush(self._under_way, (due_ns, self._number(), frame))

    def _hear(self, frame: TapeFrame) -> None:
        self._frame(frame.venue, frame.connection, frame.kind, frame.payload, frame.about)

    def _come_again(self, venue: int) -> None:
        """The exchange hung up; its client is back at once, on another line."""
        exchange = self._exchanges[venue]
        exchange.disconnect(self._lines[venue], self.now_ns)
        self._step(Disconnected(0, self._number(), 0, venue, CONNECTION, "the exchange hung up"))
        self._lines[venue] += 1
        exchange.connect(self._lines[venue], OWN_WIRE, "", "", self.now_ns)
        self._step(Connected(0, self._number(), 0, venue, CONNECTION))

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
                exchange.receive(self._lines[effect.venue], effect.payload, self.now_ns)
                self._schedule(effect.venue)
