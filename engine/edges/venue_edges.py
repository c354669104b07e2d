"""All that connects an actor's venues to the world: sockets, HTTP and private calls, as one gateway."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Protocol

from engine.edges.venue_http import VenueHttp
from engine.messages import (
    AnyMessage,
    HttpRequest,
    OrderRequest,
    Reason,
    SendFrame,
    VenueCall,
)


def _tell(task: "asyncio.Task[None]", fail: Callable[[Exception], None]) -> None:
    """A task that ends by an error, which none should, ends the actor: nobody else would notice."""
    error = None if task.cancelled() else task.exception()
    if isinstance(error, Exception):
        fail(error)


class Connection(Protocol):
    """One connection of a venue, kept open until cancelled."""

    venue: int
    connection: int

    async def keep_open(self) -> None:
        """Connect, and connect again."""

    def send(self, payload: bytes) -> bool:
        """Write an order's bytes now; False when they could not leave."""

    def send_paced(self, payload: bytes) -> bool:
        """Write something else, at the venue's pace."""


class PrivateCalls(Protocol):
    """Who makes the private calls of a venue; each is answered by an `Answer` in the inbox."""

    venue: int

    def ask(self, effect: OrderRequest | VenueCall) -> bool:
        """Make a call; False where it certainly did not leave."""

    async def close(self) -> None:
        """Let go of what is under way."""


class VenueEdges:
    """Sockets, HTTP and private calls of an actor's venues. Implements `engine.edges.gate.Gateway`."""

    def __init__(
        self,
        sockets: Iterable[Connection],
        https: Sequence[VenueHttp],
        fail: Callable[[Exception], None],
        privates: Sequence[PrivateCalls] = (),
    ) -> None:
        self._fail = fail
        self._sockets = {(socket.venue, socket.connection): socket for socket in sockets}
        self._https = {http.venue: http for http in https}
        self._privates = {private.venue: private for private in privates}
        self._tasks: list[asyncio.Task[None]] = []

    def open(self) -> None:
        """Start connecting."""
        loop = asyncio.get_running_loop()
        work: list[Coroutine[None, None, None]] = [s.keep_open() for s in self._sockets.values()]
        work += [http.serve() for http in self._https.values()]
        self._tasks = [loop.create_task(each) for each in work]
        for task in self._tasks:
            task.add_done_callback(partial(_tell, fail=self._fail))

    async def close(self) -> None:
        """Close all and wait until they are; raises what ended a task by itself."""
        for task in self._tasks:
            task.cancel()
        for private in self._privates.values():
            await private.close()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    def perform(self, effect: AnyMessage) -> Reason:
        """Send a frame, a request or an order; NOT_CONNECTED when it could not leave."""
        sent = False
        if isinstance(effect, HttpRequest):
            http = self._https.get(effect.venue)
            sent = http is not None and http.ask(effect)
        elif isinstance(effect, VenueCall) or (isinstance(effect, OrderRequest) and effect.call):
            private = self._privates.get(effect.venue)
            sent = private is not None and private.ask(effect)
        elif isinstance(effect, (SendFrame, OrderRequest)):
            socket = self._sockets.get((effect.venue, effect.connection))
            if socket is not None:
                order = isinstance(effect, OrderRequest)
                sent = socket.send(effect.payload) if order else socket.send_paced(effect.payload)
        return Reason.NONE if sent else Reason.NOT_CONNECTED
