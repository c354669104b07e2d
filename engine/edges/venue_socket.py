"""The sockets of an actor's venues: picows clients on the actor's event loop.

A frame is given to the loop's step within the callback that received it. An order's bytes are
written here and nowhere else, after `ActorLoop` looked at kill switch, expiry and epoch. A lost
connection is opened again with growing, jittered waits, and said to the component each time.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Protocol

from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from engine.messages import (
    AnyMessage,
    Connected,
    Disconnected,
    Frame,
    OrderRequest,
    Reason,
    SendFrame,
)

WAIT_FIRST_S = 0.1
WAIT_MAX_S = 5.0
FRAME_BYTES_MAX = 64 * 1024 * 1024


class Inbox(Protocol):
    """The part of `ActorLoop` that sockets use."""

    def inject(self, message: AnyMessage) -> None:
        """Take a message through the step now."""

    def next_shell_sequence(self) -> int:
        """The number of the next message put into this inbox."""


class _Listener(WSListener):
    """Hands one connection's events to its `VenueSocket`."""

    def __init__(self, socket: "VenueSocket") -> None:
        self._socket = socket

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._socket.connected(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type in (WSMsgType.TEXT, WSMsgType.BINARY):
            self._socket.received(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()


class VenueSocket:
    """One connection of one venue, opened again whenever it is lost."""

    def __init__(
        self, inbox: Inbox, venue: int, connection: int, url: str, now_ns: Callable[[], int]
    ) -> None:
        self.venue = venue
        self.connection = connection
        self.url = url
        self._inbox = inbox
        self._now_ns = now_ns
        self._transport: WSTransport | None = None

    async def keep_open(self) -> None:
        """Connect, and connect again; ends only when cancelled."""
        wait_s = WAIT_FIRST_S
        while True:
            cause = "closed by the venue"
            try:
                transport, _ = await ws_connect(
                    lambda: _Listener(self), self.url, max_frame_size=FRAME_BYTES_MAX
                )
                wait_s = WAIT_FIRST_S
                await transport.wait_disconnected()
            except (OSError, WSError) as error:
                cause = str(error)
            except asyncio.CancelledError:
                if self._transport is not None:
                    self._transport.disconnect()
                raise
            self.lost(cause)
            # Jitter belongs to the edge: it spreads reconnects and decides nothing else.
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(wait_s * 2, WAIT_MAX_S)

    def connected(self, transport: WSTransport) -> None:
        """The handshake is through."""
        self._transport = transport
        number = self._inbox.next_shell_sequence()
        self._inbox.inject(Connected(0, number, 0, self.venue, self.connection))

    def received(self, payload: bytes) -> None:
        """One frame: stamped and given to the step."""
        number = self._inbox.next_shell_sequence()
        self._inbox.inject(
            Frame(0, number, self._now_ns(), self.venue, self.connection, 0, payload)
        )

    def lost(self, cause: str) -> None:
        """The connection is gone; said once."""
        if self._transport is None:
            return
        self._transport = None
        number = self._inbox.next_shell_sequence()
        self._inbox.inject(Disconnected(0, number, 0, self.venue, self.connection, cause))

    def send(self, payload: bytes) -> bool:
        """Write to the socket; False when there is none."""
        if self._transport is None:
            return False
        self._transport.send(WSMsgType.TEXT, payload)
        return True


class Sockets:
    """All connections of an actor's venues. Implements `engine.edges.gate.Gateway`."""

    def __init__(self, sockets: list[VenueSocket]) -> None:
        self._sockets = {(socket.venue, socket.connection): socket for socket in sockets}
        self._tasks: list[asyncio.Task[None]] = []

    def open(self) -> None:
        """Start connecting."""
        self._tasks = [
            asyncio.get_running_loop().create_task(socket.keep_open())
            for socket in self._sockets.values()
        ]

    async def close(self) -> None:
        """Close all and wait until they are."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def perform(self, effect: AnyMessage) -> Reason:
        """Send a frame or an order; NOT_CONNECTED when it could not leave."""
        if isinstance(effect, (SendFrame, OrderRequest)):
            socket = self._sockets.get((effect.venue, effect.connection))
            if socket is not None and socket.send(effect.payload):
                return Reason.NONE
        return Reason.NOT_CONNECTED
