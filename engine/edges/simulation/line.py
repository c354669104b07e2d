"""A venue's connections in the simulated world: what the sockets and HTTP clients do, on a front instead.

A venue of the project's own protocol has one connection for all; one that speaks a real exchange's has
those of its market data, a private one, and calls (`calls.py`).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from engine.edges.private_edges import WIRE_STREAMS
from engine.edges.simulation.calls import Calls
from engine.exchange.front import Answered, Front
from engine.messages import (
    STREAMED,
    AnyMessage,
    Connected,
    Disconnected,
    Frame,
    HttpRequest,
    OrderRequest,
    Reason,
    SendFrame,
    VenueCall,
)
from engine.venues.native_calls import ENDPOINTS, NativeFrame, decode, frame_bytes

if TYPE_CHECKING:
    from engine.edges.simulation.world import World

NEVER = 1 << 62
MS = 1_000_000
OWN_WIRE = "simulated"
WAIT_FIRST_NS = 100 * MS
WAIT_MAX_NS = 3000 * MS


class Place(NamedTuple):
    """Where a connection leads: its number in the engine, the wire, the path; a private one is signed."""

    connection: int
    wire: str
    path: str
    private: bool = False


class Socket:
    """One connection of one venue, opened again whenever it is lost; compare `VenueSocket`."""

    def __init__(self, line: "VenueLine", place: Place) -> None:
        self.place = place
        self.number = 0  # the exchange's of the connection that is open; 0 is none
        self._line = line
        self._token = ""
        self._wanted = 0  # another number makes an attempt under way void
        self._wait_ns = WAIT_FIRST_NS

    def open(self, wait_ns: int) -> None:
        """Connect after a while; a private one asks for its token first."""
        self._wanted += 1
        world = self._line.world
        world.at(world.now_ns + wait_ns, self._begin, self._wanted)

    def _begin(self, wanted: int) -> None:
        if wanted != self._wanted:
            return
        calls = self._line.calls
        if self.place.private and calls is not None:
            calls.token(lambda token: self._opened(wanted, token))
        else:
            self._opened(wanted, "")

    def _opened(self, wanted: int, token: str | None) -> None:
        if wanted != self._wanted or self.number:
            return
        if token is None:
            self._again()
            return
        line, place = self._line, self.place
        self._token = token
        self.number = line.register(self)
        line.front.connect(self.number, place.wire, place.path, "", line.world.now_ns)
        line.schedule()
        line.tell(lambda number: Connected(0, number, 0, line.venue, place.connection))

    def drop(self) -> None:
        """The process is dead, and its sockets with it."""
        self._wanted += 1
        self._wait_ns = WAIT_FIRST_NS
        if self.number:
            self._line.unregister(self.number)
            self.number = 0

    def lose(self, cause: str) -> None:
        """The connection broke; a new one is tried, ever later."""
        if not self.number:
            return
        self._line.unregister(self.number)
        self.number = 0
        venue, connection = self._line.venue, self.place.connection
        self._line.forget(connection)
        self._line.tell(lambda number: Disconnected(0, number, 0, venue, connection, cause))
        self._again()

    def _again(self) -> None:
        self.open(self._wait_ns)
        self._wait_ns = min(self._wait_ns * 2, WAIT_MAX_NS)

    def received(self, payload: bytes) -> None:
        """A frame came."""
        self._wait_ns = WAIT_FIRST_NS
        line, connection, at_ns = self._line, self.place.connection, self._line.world.now_ns
        line.tell(lambda number: Frame(0, number, at_ns, line.venue, connection, STREAMED, payload))

    def send(self, payload: bytes) -> bool:
        """Write it; False when there is no connection."""
        if not self.number:
            return False
        if self.place.private:
            frame = decode(payload)
            assert isinstance(frame, NativeFrame)
            payload = frame_bytes(self.place.wire, frame, self._line.keys, self._token)
        self._line.leave(self._written, self.number, payload)
        return True

    def _written(self, number: int, payload: bytes) -> None:
        if number == self.number:
            self._line.front.receive(number, payload, self._line.world.now_ns)
            self._line.schedule()


class VenueLine:
    """All connections of one venue. `actor` is who has them."""

    def __init__(self, world: "World", venue: int, actor: str, front: Front) -> None:
        self.world = world
        self.venue = venue
        self.actor = actor
        self.front = front
        self.keys = world.keys[venue]
        protocol = self._protocol = world.config.venues[venue].protocol
        self.calls = None if protocol == OWN_WIRE else Calls(self, protocol)
        self._sockets: dict[int, Socket] = {}
        self._open: dict[int, Socket] = {}
        self._count = 0
        self._due_ns = NEVER

    # --- this end -----------------------------------------------------------------------------------

    def open(self, connections: int) -> None:
        """The actor's process is there, with so many connections of market data: connect."""
        if self._protocol == OWN_WIRE:
            places = [Place(0, OWN_WIRE, "")]
        else:
            path, private = WIRE_STREAMS[self._protocol], ENDPOINTS[self._protocol].path
            places = [Place(number, self._protocol, path) for number in range(connections)]
            places.append(Place(connections, self._protocol, private, private=True))
        self._sockets = {place.connection: Socket(self, place) for place in places}
        for number, socket in enumerate(self._sockets.values()):
            socket.open((20 + 5 * number) * MS)

    def register(self, socket: Socket) -> int:
        """A connection is opened: its number at the exchange."""
        self._count += 1
        self._open[self._count] = socket
        return self._count

    def unregister(self, number: int) -> None:
        """A connection is closed."""
        del self._open[number]
        self.front.disconnect(number, self.world.now_ns)
        self.schedule()

    def drop(self) -> None:
        """The process is dead, and all it had open."""
        for socket in self._sockets.values():
            socket.drop()
        if self.calls is not None:
            self.calls.drop()

    def lose(self, cause: str) -> None:
        """The network is gone for a moment."""
        for socket in list(self._open.values()):
            socket.lose(cause)
        if self.calls is not None:
            self.calls.lose()

    def forget(self, connection: int) -> None:
        """What a lost connection asked for says nothing any more."""
        if self.calls is not None:
            self.calls.forget(connection)

    def perform(self, effect: AnyMessage) -> Reason:
        """Send what the effect says; NOT_CONNECTED when it could not leave."""
        sent = False
        if isinstance(effect, HttpRequest):
            if self.calls is not None:
                self.calls.fetch(effect)
                sent = True
        elif isinstance(effect, VenueCall) or (isinstance(effect, OrderRequest) and effect.call):
            if self.calls is not None:
                self.calls.ask(effect.call, effect.payload)
                sent = True
        elif isinstance(effect, SendFrame | OrderRequest):
            socket = self._sockets.get(effect.connection)
            sent = socket is not None and socket.send(effect.payload)
        return Reason.NONE if sent else Reason.NOT_CONNECTED

    def leave(self, act: Callable[..., None], *what: object) -> None:
        """Do it now, or when the actor thaws that froze right here, if it lives to see that."""
        world = self.world
        leaves_ns, epoch = world.leaves_ns(self.actor), world.epoch(self.actor)
        if leaves_ns > world.now_ns:
            world.at(leaves_ns, self._late, epoch, act, *what)
        else:
            act(*what)

    def _late(self, epoch: int, act: Callable[..., None], *what: object) -> None:
        if self.world.mail(self.actor, epoch) is not None:
            act(*what)

    def tell(self, make: Callable[[int], AnyMessage]) -> None:
        """Put a message into the actor's inbox."""
        self.world.inject(self.actor, make)

    # --- the exchange's end -------------------------------------------------------------------------

    def schedule(self) -> None:
        """Be called when the exchange does something next."""
        due_ns = self.front.next_due_ns()
        if due_ns < self._due_ns:
            self._due_ns = max(due_ns, self.world.now_ns)
            self.world.at(self._due_ns, self.advance, self._due_ns)

    def advance(self, due_ns: int) -> None:
        """What the exchange did by now, to this end."""
        if due_ns != self._due_ns:
            return
        self._due_ns = NEVER
        for output in self.front.advance(self.world.now_ns):
            if isinstance(output, Answered):
                if self.calls is not None:
                    self.calls.answered(output)
                continue
            socket = self._open.get(output.connection)
            if socket is None:
                continue
            if output.payload is None:
                socket.lose("the exchange hung up")
            else:
                socket.received(output.payload)
        self.schedule()
