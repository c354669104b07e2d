"""The sockets of an actor's venues: picows clients on the actor's event loop.

A frame is given to the loop's step within the callback that received it. An order's bytes are
written here and nowhere else, after `ActorLoop` looked at kill switch, expiry and epoch. A lost
connection is opened again with growing, jittered waits, and said to the component each time. What
the exchange allows a client - frames a second, a sign of life now and then - is kept here.
"""

import asyncio
import random
import ssl
from collections import deque
from collections.abc import Awaitable, Callable

from picows import (
    WSError,
    WSFrame,
    WSInvalidStatusError,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
)

from engine.edges.venue_http import AskError, Inbox, retry_after_s
from engine.messages import STREAMED, Connected, Disconnected, Frame
from engine.venues.handler import Endpoint

WAIT_FIRST_S = 0.1
WAIT_MAX_S = 30.0
STEADY_S = 10.0  # a connection that lived this long begins the waits anew
HANDSHAKE_S = 10.0
FRAME_BYTES_MAX = 64 * 1024 * 1024
MESSAGES = (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION)


class _Listener(WSListener):
    """Hands one connection's events to its `VenueSocket`, a message in fragments as one."""

    def __init__(self, socket: "VenueSocket") -> None:
        self._socket = socket
        self._parts: list[bytes] = []
        self._size = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._socket.connected(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type in MESSAGES:
            payload = frame.get_payload_as_bytes()
            if frame.fin and not self._parts:
                self._socket.received(payload)
            else:
                self._join(transport, payload, frame.fin)
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()

    def _join(self, transport: WSTransport, payload: bytes, last: bool) -> None:
        self._parts.append(payload)
        self._size += len(payload)
        if self._size > FRAME_BYTES_MAX:
            transport.disconnect()
        elif last:
            whole = b"".join(self._parts)
            self._parts.clear()
            self._size = 0
            self._socket.received(whole)


class VenueSocket:
    """One connection of one venue, opened again whenever it is lost.

    `address` says where to connect, each time anew; it may ask the venue for that and raise
    AskError. `forget` is called with the connection's number when it is lost. Frames sent by `send`
    leave at once, those by `send_paced` at the endpoint's pace.
    """

    def __init__(
        self,
        inbox: Inbox,
        venue: int,
        connection: int,
        address: Callable[[], Awaitable[str]],
        endpoint: Endpoint,
        now_ns: Callable[[], int],
        forget: Callable[[int], None] | None = None,
    ) -> None:
        self.venue = venue
        self.connection = connection
        self._address = address
        self._endpoint = endpoint
        self._inbox = inbox
        self._now_ns = now_ns
        self._forget_asked = forget
        self._transport: WSTransport | None = None
        self._paced: deque[bytes] = deque()
        self._free_at = 0.0
        self._timers: dict[str, asyncio.TimerHandle] = {}

    async def keep_open(self) -> None:
        """Connect, and connect again; ends only when cancelled."""
        wait_s = WAIT_FIRST_S
        loop = asyncio.get_running_loop()
        while True:
            cause, banned_s, began = "closed by the venue", 0.0, loop.time()
            try:
                transport = await self._connect()
                await transport.wait_disconnected()
            except (OSError, WSError, AskError) as error:
                cause = f"{type(error).__name__}: {error}"
                banned_s = _banned_s(error)
            except asyncio.CancelledError:
                if self._transport is not None:
                    self._transport.disconnect()
                self._forget()
                raise
            self.lost(cause)
            if loop.time() - began > STEADY_S:
                wait_s = WAIT_FIRST_S
            # Jitter belongs to the edge: it spreads reconnects and decides nothing else.
            await asyncio.sleep(max(banned_s, wait_s * random.uniform(0.5, 1.0)))
            wait_s = min(wait_s * 2, WAIT_MAX_S)

    async def _connect(self) -> WSTransport:
        url = await self._address()
        # A connection that says nothing is asked for a pong; without one it is dead.
        idle_s = self._endpoint.silence_s / 2
        transport, _ = await ws_connect(
            lambda: _Listener(self),
            url,
            ssl_context=ssl.create_default_context() if url.startswith("wss:") else None,
            websocket_handshake_timeout=HANDSHAKE_S,
            enable_auto_ping=True,
            auto_ping_idle_timeout=idle_s,
            auto_ping_reply_timeout=idle_s,
            max_frame_size=FRAME_BYTES_MAX,
        )
        return transport

    def connected(self, transport: WSTransport) -> None:
        """The handshake is through."""
        self._transport = transport
        if self._endpoint.ping:
            self._ping_later()
        number = self._inbox.next_shell_sequence()
        self._inbox.inject(Connected(0, number, 0, self.venue, self.connection))

    def received(self, payload: bytes) -> None:
        """One frame: stamped and given to the step."""
        number = self._inbox.next_shell_sequence()
        self._inbox.inject(
            Frame(0, number, self._now_ns(), self.venue, self.connection, STREAMED, payload)
        )

    def lost(self, cause: str) -> None:
        """The connection is gone; said once."""
        if self._transport is None:
            return
        self._forget()
        if self._forget_asked is not None:
            self._forget_asked(self.connection)
        number = self._inbox.next_shell_sequence()
        self._inbox.inject(Disconnected(0, number, 0, self.venue, self.connection, cause))

    def _forget(self) -> None:
        self._transport = None
        self._paced.clear()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    # --- sending ----------------------------------------------------------------------------------

    def send(self, payload: bytes) -> bool:
        """Write to the socket; False when there is none."""
        if self._transport is None:
            return False
        self._transport.send(WSMsgType.TEXT, payload)
        return True

    def send_paced(self, payload: bytes) -> bool:
        """Write as soon as the exchange's limit of frames a second lets it, in order."""
        if self._transport is None:
            return False
        self._paced.append(payload)
        if "send" not in self._timers:
            self._send_next()
        return True

    def _send_next(self) -> None:
        loop = asyncio.get_running_loop()
        self._timers.pop("send", None)
        while self._paced:
            if loop.time() < self._free_at:
                self._timers["send"] = loop.call_at(self._free_at, self._send_next)
                return
            self._free_at = loop.time() + 1.0 / self._endpoint.frames_per_second
            self.send(self._paced.popleft())

    def _ping_later(self) -> None:
        self._timers["ping"] = asyncio.get_running_loop().call_later(
            self._endpoint.ping_every_s, self._ping
        )

    def _ping(self) -> None:
        self.send_paced(self._endpoint.ping)
        self._ping_later()


def _banned_s(error: Exception) -> float:
    """How long a refused handshake tells us to stay away."""
    if isinstance(error, AskError):
        return error.wait_s
    if isinstance(error, WSInvalidStatusError):
        response = getattr(error, "response", None)
        if response is not None:
            return retry_after_s(int(response.status), response.headers.get("Retry-After", ""))
    return 0.0
