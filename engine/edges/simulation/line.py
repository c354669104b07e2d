"""A venue's connection in the simulated world: what `VenueSocket` does, on a front instead of a socket."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.exchange.front import Front
from engine.messages import (
    STREAMED,
    AnyMessage,
    Connected,
    Disconnected,
    Frame,
    OrderRequest,
    Reason,
    SendFrame,
)

if TYPE_CHECKING:
    from engine.edges.simulation.world import World

NEVER = 1 << 62
MS = 1_000_000
OWN_WIRE = "simulated"
CONNECTION = 0


class VenueLine:
    """One venue's connection: opened again whenever it is lost. `actor` is who has it."""

    def __init__(self, world: "World", venue: int, actor: str, front: Front) -> None:
        self.venue = venue
        self.actor = actor
        self.front = front
        self._world = world
        self._line = 0  # the exchange's number of the connection that is open; 0 is none
        self._count = 0
        self._wanted = 0  # the connection under way; another number makes an old attempt void
        self._due_ns = NEVER
        self._wait_ns = 100 * MS

    # --- this end -----------------------------------------------------------------------------------

    def open(self) -> None:
        """The actor's process is there: connect."""
        self._wait_ns = 100 * MS
        self._connect(20 * MS)

    def _connect(self, wait_ns: int) -> None:
        self._wanted += 1
        self._world.at(self._world.now_ns + wait_ns, self._opened, self._wanted)

    def _opened(self, wanted: int) -> None:
        if wanted != self._wanted or self._line:
            return
        self._count += 1
        self._line = self._count
        self.front.connect(self._line, OWN_WIRE, "", "", self._world.now_ns)
        self.schedule()
        self._tell(lambda number: Connected(0, number, 0, self.venue, CONNECTION))

    def drop(self) -> None:
        """The process is dead, and its sockets with it."""
        self._wanted += 1
        if self._line:
            self.front.disconnect(self._line, self._world.now_ns)
            self._line = 0
            self.schedule()

    def lose(self, cause: str) -> None:
        """The connection broke; a new one is tried, ever later."""
        if not self._line:
            return
        self.drop()
        self._tell(lambda number: Disconnected(0, number, 0, self.venue, CONNECTION, cause))
        self._connect(self._wait_ns)
        self._wait_ns = min(self._wait_ns * 2, 3000 * MS)

    def perform(self, effect: AnyMessage) -> Reason:
        """Send what the effect says; NOT_CONNECTED when it could not leave."""
        if not isinstance(effect, SendFrame | OrderRequest) or not self._line:
            return Reason.NOT_CONNECTED
        leaves_ns = self._world.leaves_ns(self.actor)
        if leaves_ns > self._world.now_ns:  # it froze right here
            epoch = self._world.epoch(self.actor)
            self._world.at(leaves_ns, self._send_late, self._line, epoch, effect.payload)
        else:
            self._send(effect.payload)
        return Reason.NONE

    def _send_late(self, line: int, epoch: int, payload: bytes) -> None:
        if line == self._line and self._world.mail(self.actor, epoch) is not None:
            self._send(payload)

    def _send(self, payload: bytes) -> None:
        self.front.receive(self._line, payload, self._world.now_ns)
        self.schedule()

    def _tell(self, make: Callable[[int], AnyMessage]) -> None:
        self._world.inject(self.actor, make)

    # --- the exchange's end -------------------------------------------------------------------------

    def schedule(self) -> None:
        """Be called when the exchange does something next."""
        due_ns = self.front.next_due_ns()
        if due_ns < self._due_ns:
            self._due_ns = max(due_ns, self._world.now_ns)
            self._world.at(self._due_ns, self.advance, self._due_ns)

    def advance(self, due_ns: int) -> None:
        """What the exchange did by now, to this end."""
        if due_ns != self._due_ns:
            return
        self._due_ns = NEVER
        now_ns = self._world.now_ns
        for output in self.front.advance(now_ns):
            if getattr(output, "connection", 0) != self._line or not self._line:
                continue
            payload = output.payload  # type: ignore[union-attr]
            if payload is None:
                self.lose("the exchange hung up")
            else:
                self._wait_ns = 100 * MS
                self._tell(
                    lambda number, payload=payload: Frame(  # type: ignore[misc]
                        0, number, now_ns, self.venue, CONNECTION, STREAMED, payload
                    )
                )
        self.schedule()
