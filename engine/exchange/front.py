"""What stands between a venue's clients and its exchange: the ways there and back, and the faults.

A request takes effect when it has arrived, in the order of arrival; what it causes leaves at once and
reaches the client after the way back. Nothing overtakes anything on one connection. Times are ns of
the world outside; the exchange's own clock is that plus what a fault skews it by.
"""

import heapq
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from engine.exchange.exchange import Exchange
from engine.exchange.faults import NEVER, Asked, Faults, Strike, Turn
from engine.exchange.latency import LatencyModel, Near
from engine.exchange.orders import DepthChange, Event, PublicTrade
from engine.exchange.wires.wire import Answer, Call, Outgoing, Wire
from engine.fault_config import FaultKind

PENDING_MAX = 4096
"""Requests of one connection under way; one that sends more is closed."""
KEY_HEADERS = ("x-mbx-apikey", "api-key")
KEY_FIELD = re.compile(rb'"apiKey"\s*:\s*"([^"]*)"')

Result = TypeVar("Result")


class Answered(NamedTuple):
    """The answer to an HTTP request; None: there will never be one."""

    call: int
    answer: Answer | None


Output = Outgoing | Answered
Arrival = tuple[int, int, Output, Callable[..., None], tuple[Any, ...]]
DEFECT = Answer(500, b'{"error":"the simulated exchange met a defect of its own"}')


@runtime_checkable
class KnowsItsClients(Protocol):
    """A wire that can tell whose a websocket is, for faults that strike one account."""

    def account_of(self, connection: int) -> str:
        """The account that it has shown to be; '' before it did."""


class _Link:
    """A websocket: its wire, and when the last thing on it arrives, there and back."""

    __slots__ = ("back_ns", "name", "pending", "there_ns", "wire")

    def __init__(self, name: str, wire: Wire, now_ns: int) -> None:
        self.name = name
        self.wire = wire
        self.there_ns = now_ns
        self.back_ns = now_ns
        self.pending = 0


PUBLIC = (PublicTrade, DepthChange)
_DONE = frozenset({FaultKind.TIMEOUT_DONE, FaultKind.ERROR_DONE, FaultKind.SLOW})
"""With these the request takes effect; only its answer suffers."""


class Front:
    """The front of one venue; see the module."""

    def __init__(
        self, exchange: Exchange, wires: Mapping[str, Wire], latency: LatencyModel, faults: Faults
    ) -> None:
        self.exchange = exchange
        self.wires = dict(wires)
        self.faults = faults
        self._latency = latency
        # Where answers and market data are under way for different times, they are told apart.
        self._apart = not isinstance(latency, Near)
        self._links: dict[int, _Link] = {}
        self._count = 0
        self._inbound: list[Arrival] = []
        self._outbound: list[tuple[int, int, Sequence[Output]]] = []
        self._inner_ns = 0
        self._look_ahead()

    # --- clients ------------------------------------------------------------------------------------

    def connect(self, connection: int, wire: str, path: str, query: str, now_ns: int) -> None:
        """A websocket is open at a path of a wire. Raises KeyError for a wire that is not there."""
        link = self._links[connection] = _Link(wire, self.wires[wire], now_ns)
        sorry = Outgoing(connection, None)
        self._arrives(now_ns, sorry, self._connected, link, connection, path, query)

    def disconnect(self, connection: int, now_ns: int) -> None:
        """It is closed; what it had sent before still arrives."""
        link = self._links.get(connection)
        if link is not None:
            due_ns, sorry = max(now_ns, link.there_ns), Outgoing(connection, None)
            self._arrives(due_ns, sorry, self._disconnected, link, connection)

    def receive(self, connection: int, payload: bytes, now_ns: int) -> None:
        """A frame of a client sets out."""
        link = self._links.get(connection)
        if link is None:
            return
        link.pending += 1
        if link.pending > PENDING_MAX:
            self._leave((Outgoing(connection, None),), now_ns)
            return
        due_ns = now_ns + self._latency.way_there(now_ns)
        link.there_ns = due_ns = max(due_ns, link.there_ns)
        self._arrives(due_ns, Outgoing(connection, None), self._frame, link, connection, payload)

    def call(self, number: int, wire: str, call: Call, now_ns: int) -> None:
        """An HTTP request sets out; its answer bears the number. Raises KeyError as `connect`."""
        due_ns = now_ns + self._latency.way_there(now_ns)
        sorry = Answered(number, DEFECT)
        self._arrives(due_ns, sorry, self._called, wire, self.wires[wire], number, call)

    def do(self, act: Callable[[int], Result], now_ns: int) -> Result:
        """Something done at the exchange itself, by its own clock; clients hear what it caused."""
        self._go_on(now_ns)
        try:
            return act(now_ns + self.faults.skew_ns)
        finally:
            self._publish(now_ns)
            self._look_ahead()

    def close(self, now_ns: int, wire: str = "") -> None:
        """Hang up on every client, or on those of one wire."""
        hit = [number for number, link in self._links.items() if wire in ("", link.name)]
        self._leave([Outgoing(number, None) for number in hit], now_ns)

    def feed_ns(self, now_ns: int) -> int:
        """How long public market data is under way that leaves now."""
        return self._latency.feed(now_ns)

    # --- time ---------------------------------------------------------------------------------------

    def next_due_ns(self) -> int:
        """When something arrives, happens or leaves next."""
        back_ns = self._outbound[0][0] if self._outbound else NEVER
        return min(back_ns, self._step_ns())

    def advance(self, now_ns: int) -> list[Output]:
        """Everything up to now in order of time; what has come back to the clients by now."""
        while (at_ns := self._step_ns()) <= now_ns:
            self._step(at_ns)
        out: list[Output] = []
        outbound = self._outbound
        while outbound and outbound[0][0] <= now_ns:
            out += heapq.heappop(outbound)[2]
        return out

    def _step_ns(self) -> int:
        there_ns = self._inbound[0][0] if self._inbound else NEVER
        return min(self._inner_ns - self.faults.skew_ns, there_ns, self.faults.due_ns())

    def _step(self, at_ns: int) -> None:
        """Faults begin and end, the markets go on, what is there arrives, the wires do theirs."""
        if self.faults.due_ns() <= at_ns:
            self.turned(self.faults.turn(at_ns), at_ns)
        self._go_on(at_ns)
        while self._inbound and self._inbound[0][0] <= at_ns:
            _, _, sorry, arrive, what = heapq.heappop(self._inbound)
            try:
                arrive(at_ns, *what)
            except Exception:  # a defect: whoever met it is not left waiting for ever
                self._push(at_ns, (sorry,))
                raise
        clock_ns = at_ns + self.faults.skew_ns
        for wire in self.wires.values():
            if wire.due_ns() <= clock_ns:
                self._feed(wire.tick(clock_ns), at_ns)
        self._publish(at_ns)  # a wire may have acted: nobody else may come to tell of it
        self._look_ahead()

    def _look_ahead(self) -> None:
        """When, by its own clock, something happens next that no client asked for."""
        due_ns = self.exchange.next_due_ns()
        for wire in self.wires.values():
            due_ns = min(due_ns, wire.due_ns())
        self._inner_ns = due_ns

    def _go_on(self, at_ns: int) -> None:
        clock_ns = at_ns + self.faults.skew_ns
        if self._inner_ns <= clock_ns:
            self.exchange.advance(clock_ns)
            self._publish(at_ns)

    def turned(self, turns: Iterable[Turn], now_ns: int) -> None:
        """Faults of time began or ended, by the clock or by hand."""
        for fault, began in turns:
            if fault.kind is FaultKind.DISCONNECT and began:
                self.close(now_ns, fault.wire)
            elif fault.kind is FaultKind.MAINTENANCE and began == bool(self.faults.maintenance):
                self.exchange.set_halted(began, now_ns + self.faults.skew_ns)
                self._publish(now_ns)
            elif fault.kind is FaultKind.CLOCK_SKEW:
                clock_ns = now_ns + self.faults.skew_ns
                self.exchange.clock_was_set(clock_ns)
                for wire in self.wires.values():
                    self._feed(wire.tick(clock_ns), now_ns)
        self._look_ahead()

    # --- what arrives -------------------------------------------------------------------------------

    def _arrives(self, due_ns: int, sorry: Output, arrive: Callable[..., None], *what: Any) -> None:
        """It will be there at a time; `sorry` is what its sender gets where that meets a defect."""
        self._count += 1
        heapq.heappush(self._inbound, (due_ns, self._count, sorry, arrive, what))

    def _connected(self, at_ns: int, link: _Link, connection: int, path: str, query: str) -> None:
        clock_ns = at_ns + self.faults.skew_ns
        self._reply(link.wire.connected(connection, path, query, clock_ns), at_ns)

    def _disconnected(self, at_ns: int, link: _Link, connection: int) -> None:
        if self._links.pop(connection, None) is not None:
            link.wire.disconnected(connection)

    def _frame(self, at_ns: int, link: _Link, connection: int, payload: bytes) -> None:
        link.pending -= 1
        clock_ns = at_ns + self.faults.skew_ns
        strike = None
        if self.faults.of_requests:
            account = self._account(link.wire, connection, payload)
            asked = Asked(link.name, account, "", "frame", payload)
            strike = self.faults.of_request(asked, at_ns)
        if strike is None:
            self._reply(link.wire.frame(connection, payload, clock_ns), at_ns)
            self._publish(at_ns)
            return
        answers: Sequence[Outgoing] = ()
        if strike.kind in _DONE:
            answers = link.wire.frame(connection, payload, clock_ns)
        own = [answer for answer in answers if answer.connection == connection]
        self._reply([answer for answer in answers if answer.connection != connection], at_ns)
        if strike.kind is FaultKind.SLOW:
            self._reply(own, at_ns + strike.delay_ns)
        elif strike.failure is not None:
            told = link.wire.refused(strike.failure, payload, strike.retry_after_s)
            self._reply([Outgoing(connection, told)] if told else [], at_ns)
        # A wire that answers by its stream alone has nothing else that could be lost or late.
        self._publish(at_ns, None if own else (connection, strike))

    def _called(self, at_ns: int, name: str, wire: Wire, number: int, call: Call) -> None:
        clock_ns = at_ns + self.faults.skew_ns
        strike = None
        if self.faults.of_requests:
            text = call.query.encode() + b"\n" + call.body
            account = self._caller(call)
            asked = Asked(name, account, "", f"{call.method} {call.path}", text)
            strike = self.faults.of_request(asked, at_ns)
        if strike is None or strike.kind in _DONE:
            answer: Answer | None = wire.call(call, clock_ns)
        else:
            answer = None
        late_ns = 0
        if strike is not None and strike.failure is not None:
            answer = wire.failed(strike.failure, call, strike.retry_after_s)
        elif strike is not None and strike.kind is FaultKind.SLOW:
            late_ns = strike.delay_ns
        elif strike is not None:
            answer = None
        due_ns = at_ns + late_ns + self._latency.way_back(at_ns)
        self._push(due_ns, (Answered(number, answer),))
        self._publish(at_ns)

    def _account(self, wire: Wire, connection: int, payload: bytes) -> str:
        """Whose frame it is, where a fault asks for that; '' where nobody can tell."""
        if not self.faults.of_accounts:
            return ""
        account = wire.account_of(connection) if isinstance(wire, KnowsItsClients) else ""
        found = None if account else KEY_FIELD.search(payload)
        return (
            account
            if found is None
            else self.exchange.account_of_key(found[1].decode("utf-8", "replace"))
        )

    def _caller(self, call: Call) -> str:
        """The same of a call."""
        if not self.faults.of_accounts:
            return ""
        keys = (call.headers[name] for name in KEY_HEADERS if name in call.headers)
        return self.exchange.account_of_key(next(keys, ""))

    # --- what leaves --------------------------------------------------------------------------------

    def _publish(self, at_ns: int, struck: tuple[int, Strike] | None = None) -> None:
        """What has happened, to all wires; `struck` is whom a fault keeps from hearing of its own."""
        clock_ns = at_ns + self.faults.skew_ns
        while events := self.exchange.take_events():  # a wire may act on what it hears
            self._tell(events, at_ns, clock_ns, struck)

    def _tell(
        self,
        events: Sequence[Event],
        at_ns: int,
        clock_ns: int,
        struck: tuple[int, Strike] | None,
    ) -> None:
        for name, wire in self.wires.items():
            heard = self._without_gaps(name, events, at_ns) if self.faults.gaps else events
            if struck is None and not self._apart:
                self._feed(wire.publish(heard, clock_ns), at_ns)
                continue
            private = [event for event in heard if not isinstance(event, PUBLIC)]
            self._report(wire.publish(private, clock_ns) if private else (), at_ns, struck)
            public = [event for event in heard if isinstance(event, PUBLIC)]
            self._feed(wire.publish(public, clock_ns) if public else (), at_ns)

    def _report(
        self, frames: Sequence[Outgoing], at_ns: int, struck: tuple[int, Strike] | None
    ) -> None:
        """News of orders and accounts take the way back, unless a fault befell the one who asked."""
        if struck is None:
            self._reply(frames, at_ns)
            return
        connection, strike = struck
        self._reply([frame for frame in frames if frame.connection != connection], at_ns)
        if strike.kind is FaultKind.SLOW:
            late = [frame for frame in frames if frame.connection == connection]
            self._reply(late, at_ns + strike.delay_ns)

    def _without_gaps(self, wire: str, events: Sequence[Event], at_ns: int) -> list[Event]:
        """Less the changes of books that a fault keeps from a wire."""
        heard: list[Event] = []
        for event in events:
            if isinstance(event, DepthChange):
                text = f"changes {event.first} to {event.last}"
                asked = Asked(wire, "", self.exchange.instruments[event.instrument].symbol)
                if self.faults.of_kind(FaultKind.GAP, asked, at_ns, text) is not None:
                    continue
            heard.append(event)
        return heard

    def _reply(self, frames: Sequence[Outgoing], at_ns: int) -> None:
        if frames:
            self._leave(frames, at_ns + self._latency.way_back(at_ns))

    def _feed(self, frames: Sequence[Outgoing], at_ns: int) -> None:
        if frames:
            self._leave(frames, at_ns + self._latency.feed(at_ns))

    def _leave(self, frames: Sequence[Outgoing], due_ns: int) -> None:
        """Frames set out to their clients; each waits for those before it on its connection."""
        if self.faults.of_frames:
            frames = self._spoilt(frames, due_ns)
        links = self._links
        together: list[Output] = []
        for frame in frames:
            link = links.get(frame.connection)
            if link is None:
                continue
            if link.back_ns > due_ns:
                self._push(link.back_ns, (frame,))
            else:
                link.back_ns = due_ns
                together.append(frame)
        if together:
            self._push(due_ns, together)

    def _push(self, due_ns: int, outputs: Sequence[Output]) -> None:
        self._count += 1
        heapq.heappush(self._outbound, (due_ns, self._count, outputs))

    def _spoilt(self, frames: Sequence[Outgoing], now_ns: int) -> list[Outgoing]:
        """With those that are lost or come twice."""
        spoilt = []
        for frame in frames:
            link = self._links.get(frame.connection)
            if link is None or frame.payload is None:
                spoilt.append(frame)
                continue
            account = self._account(link.wire, frame.connection, b"")
            asked = Asked(link.name, account, "", "frame", frame.payload)
            spoilt += [frame] * self.faults.of_frame(asked, now_ns)
        return spoilt
