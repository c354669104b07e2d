"""A loopback exchange: a model behind a real websocket server and a real HTTP server, with faults.

Nothing here sleeps. A step of the model is pushed to its subscribers and then waited for: each open
connection is pinged behind its frames, and the pong says that the client has taken them.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from tests.loopback.faults import OF_FRAMES, OF_HTTP, Fault, Kind
from tests.loopback.model import Model, Peer

LIMIT_S = 20.0


class Pulse:
    """Wakes whoever waits for a condition whenever anything happened."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def beat(self) -> None:
        """Something happened."""
        self._event.set()

    async def until(self, holds: Callable[[], bool], what: Callable[[], str]) -> None:
        """Wait for a condition; fails, saying `what`, where it does not come to hold."""
        try:
            async with asyncio.timeout(LIMIT_S):
                while not holds():
                    self._event.clear()
                    await self._event.wait()
        except TimeoutError as error:
            raise AssertionError(f"{LIMIT_S:.0f} s have passed: {what()}") from error


class Link(WSListener):
    """One connection of a client."""

    def __init__(self, exchange: "Exchange") -> None:
        self.exchange = exchange
        self.peer = Peer()
        self.armed: deque[Fault] = deque()
        self.mute = False
        self._transport: WSTransport | None = None
        self._held: list[tuple[int, bytes]] = []  # how many frames go first
        self._queue: list[bytes] = []
        self._slow = 0
        self._pings = 0
        self._pongs = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        if not self.exchange.opened(self):
            transport.disconnect(graceful=False)
            return
        for payload in self.exchange.model.greeting(self.peer):
            self.say(payload)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
        elif frame.msg_type == WSMsgType.PONG:
            self._pongs += 1
            self.exchange.pulse.beat()
        elif self.mute:
            return
        elif frame.msg_type == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        else:
            for reply in self.exchange.model.heard(self.peer, frame.get_payload_as_bytes()):
                self.say(reply)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.exchange.closed(self)

    def close(self) -> None:
        """Hang up."""
        assert self._transport is not None
        self._transport.disconnect(graceful=False)

    # --- speaking ---------------------------------------------------------------------------------

    def say(self, payload: bytes, change: bool = False) -> None:
        """A frame to the client, unless a fault says otherwise: faults strike changes of books.

        What answers the client - when that is, its timers say - neither takes a fault nor counts
        among the frames that overtake one.
        """
        frames = [payload]
        if change and self.armed:
            frames = self._afflicted(payload, self.armed.popleft())
        elif change and self._held:
            frames += [held for first, held in self._held if first <= 1]
            self._held = [(first - 1, held) for first, held in self._held if first > 1]
        for frame in frames:
            self._queue.append(frame)
        self._slow = max(0, self._slow - 1)
        if not self._slow:
            self.flush()

    def _afflicted(self, payload: bytes, fault: Fault) -> list[bytes]:
        match fault.kind:
            case Kind.DROP:
                return []
            case Kind.DUPLICATE:
                return [payload, payload]
            case Kind.REORDER:
                self._held.append((fault.amount, payload))
                return []
            case Kind.TRUNCATE:
                return [payload[: len(payload) * fault.amount // 6]]
            case Kind.GARBAGE:
                return [fault.garbage, payload]
        self._slow = fault.amount + 1
        return [payload]

    def flush(self) -> None:
        """Write what waits."""
        queue, self._queue = self._queue, []
        for frame in queue if self._transport is not None and not self.mute else ():
            self._transport.send(WSMsgType.TEXT, frame)

    def recover(self) -> None:
        """No fault is to come any more."""
        self.armed.clear()
        self._queue += [held for _, held in self._held]
        self._held = []
        self._slow = 0
        self.flush()

    def ask(self) -> None:
        """Ping behind the frames."""
        if not self.mute and self._transport is not None:
            self._pings += 1
            self._transport.send_ping(b"%d" % self._pings)

    @property
    def answered(self) -> bool:
        """Whether the client has taken all that was sent."""
        return self.mute or self._pongs >= self._pings


class Exchange:
    """The servers. `lines` is how many connections the client keeps."""

    def __init__(self, model: Model, pulse: Pulse, lines: int) -> None:
        self.model = model
        self.pulse = pulse
        self.links: list[Link] = []
        self.holding = 0  # requests whose answer is held
        self.requests = 0
        self.handshakes = 0
        self.refused = 0
        self.retry_after = ""
        self.lines = lines
        self._ban = 0
        self._storm = 0
        self._away = 0
        self._armed: deque[Fault] = deque()
        self._armed_http: deque[Fault] = deque()
        self._late: dict[asyncio.Event, int] = {}
        self._answering: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def open(self) -> None:
        """Listen."""
        self._sockets = await ws_create_server(
            self._handshake, "127.0.0.1", 0, enable_auto_pong=False
        )
        self._http = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._sockets.sockets[0].getsockname()[1]
        self.stream_url = f"ws://127.0.0.1:{port}/stream"
        self.rest_url = f"http://127.0.0.1:{self._http.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Hang up everywhere."""
        self._sockets.close()
        self._http.close()
        for link in list(self.links):
            link.close()
        for event in self._late:
            event.set()
        for writer in self._answering.values():
            writer.close()
        await asyncio.gather(*self._answering)

    # --- the schedule -------------------------------------------------------------------------------

    def step(self) -> None:
        """The next change happens, and goes out to its subscribers."""
        step = self.model.advance()
        self._away = max(0, self._away - 1)
        for event in list(self._late):
            self._late[event] -= 1
            if self._late[event] <= 0:
                del self._late[event]
                event.set()
        for link in list(self.links):
            if step.symbol in link.peer.books:
                for payload in self.model.stream(link.peer, step):
                    link.say(payload, change=True)

    def afflict(self, fault: Fault) -> None:
        """A fault begins."""
        if fault.kind in OF_HTTP:
            self._armed_http.append(fault)
            return
        if fault.kind in OF_FRAMES:
            links = self.links
            armed = links[fault.line % len(links)].armed if links else self._armed
            armed.append(fault)
            return
        self._away = fault.amount
        if fault.kind is Kind.BAN:
            self._ban = fault.amount
        if fault.kind is Kind.STORM:
            self._storm = fault.amount
        hit = self.links[fault.line % len(self.links) :][:1] if self.links else []
        for link in hit if fault.kind in (Kind.CLOSE, Kind.HALF_OPEN) else list(self.links):
            if fault.kind is Kind.HALF_OPEN:
                link.mute = True
            else:
                link.close()

    def recover(self) -> None:
        """From here on nothing goes wrong any more; what is dead already has to be noticed."""
        self._armed.clear()
        self._armed_http.clear()
        self._ban = self._storm = self._away = 0
        for event in self._late:
            event.set()
        self._late.clear()
        for link in self.links:
            link.recover()

    async def quiet(self, asking: Callable[[], int]) -> None:
        """Wait until the client has taken all that was sent, and has back what it may expect.

        `asking` tells how many of its requests are without an answer; it makes one after the other,
        so that one which is held holds all. While a fault keeps
        connections away, those that are there suffice.
        """
        await asyncio.sleep(0)  # let what is under way on
        for link in self.links:
            link.ask()

        def holds() -> bool:
            there = len([link for link in self.links if not link.mute])
            return (
                all(link.answered for link in self.links)
                and (self._away > 0 or there == self.lines)
                and (self.holding > 0 or asking() == 0)
            )

        await self.pulse.until(holds, lambda: self._state(asking()))

    def _state(self, asking: int) -> str:
        return (
            f"{len(self.links)} of {self.lines} connections, {asking} requests wait, "
            f"{self.holding} are held, {self.handshakes} handshakes, {self.refused} refused"
        )

    # --- websockets -----------------------------------------------------------------------------------

    def _handshake(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener:
        self.handshakes += 1
        status = self._refusal()
        if status:
            headers = {"Retry-After": self.retry_after} if self.retry_after else {}
            response = WSUpgradeResponse.create_error_response(status, b"banned", headers)
            return WSUpgradeResponseWithListener(response, None)
        return Link(self)

    def _refusal(self) -> int:
        """The status that the ban answers with; 0 without a ban."""
        if not self._ban:
            return 0
        self._ban -= 1
        self.refused += 1
        return 418 if self._ban % 2 else 429

    def opened(self, link: Link) -> bool:
        """A handshake is through; whether the connection may stay."""
        if self._storm:
            self._storm -= 1
            return False
        link.armed, self._armed = self._armed, deque()
        self.links.append(link)
        self.pulse.beat()
        return True

    def closed(self, link: Link) -> None:
        """A connection is gone."""
        if link in self.links:
            self.links.remove(link)
        self.pulse.beat()

    # --- HTTP -----------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._answering[task] = writer
        try:
            while line := await reader.readline():
                while await reader.readline() not in (b"\r\n", b""):
                    continue  # no header matters here
                path = line.split(b" ")[1].decode()
                writer.write(await self._respond(path, reader))
                await writer.drain()
                self.pulse.beat()
        except ConnectionError:
            self.pulse.beat()  # the client did not wait for the answer
        finally:
            del self._answering[task]
            writer.close()

    async def _respond(self, path: str, reader: asyncio.StreamReader) -> bytes:
        self.requests += 1
        refusal = self._refusal()
        if refusal:
            return _response(refusal, b"banned", self.retry_after)
        fault = self._armed_http.popleft() if self._armed_http else Fault(0, Kind.CLOSE)
        back = fault.amount if fault.kind is Kind.HTTP_STALE else 0
        body = self.model.answer(path, back, self.stream_url)
        if fault.kind in (Kind.HTTP_LATE, Kind.HTTP_NEVER):
            event = asyncio.Event()
            self.holding += 1
            self.pulse.beat()
            try:
                if fault.kind is Kind.HTTP_LATE:
                    self._late[event] = fault.amount
                    await event.wait()
                else:
                    await reader.read()  # until the client gives up
            finally:
                self.holding -= 1
        if fault.kind is Kind.HTTP_ERROR:
            return _response(500, b"something broke")
        if body is None:
            return _response(404, b"no such path")
        return _response(200, body[: len(body) // 2] if fault.kind is Kind.HTTP_CUT else body)


def _response(status: int, body: bytes, retry_after: str = "") -> bytes:
    extra = f"Retry-After: {retry_after}\r\n" if retry_after else ""
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body
