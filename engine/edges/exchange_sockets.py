"""The simulated exchange's server: all venues and wires, HTTP and websockets, on one loopback port.

`/VENUE/WIRE/...` is a wire of a venue, `/VENUE` alone the project's own protocol, `/admin/VENUE/...` the
operator's. It moves bytes and keeps time; what becomes of a request is the front's business. A client
that does not read is cut, and so is one that sends more at once than any request is long.
"""

import asyncio
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from typing import cast

import msgspec
from aiohttp import StreamReader, WSMsgType, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.web_request import BaseRequest

from engine.exchange.front import Answered, Front
from engine.exchange.wires.wire import Answer, Call

BUFFER_BYTES_MAX = 16 * 1024 * 1024
BODY_BYTES_MAX = 1024 * 1024
FRAME_BYTES_MAX = 1024 * 1024
CLIENTS_MAX = 10_000
HELD_S = 600.0
"""How long a request is held that will never be answered, if its client waits so long."""
CLOSE_S = 1.0
DEFECT_PAUSE_S = 0.1
OWN = "simulated"
ADMIN = "admin"
GOING_AWAY = 1001
FAR_S = 3600.0

Administer = Callable[[Front, Call, int], Answer]


def framed(payload: bytes) -> bytes:
    """A text frame of a server: not masked, not compressed."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


class _Client:
    """One websocket."""

    __slots__ = ("socket", "transport")

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.WriteTransport) -> None:
        self.socket = socket
        self.transport = transport


class _Venue:
    """A front with its clients, and when it is woken next."""

    def __init__(self, name: str, front: Front) -> None:
        self.name = name
        self.front = front
        self.clients: dict[int, _Client] = {}
        self.waiting: dict[int, asyncio.Future[Answer | None]] = {}
        self.timer: asyncio.TimerHandle | None = None
        self.timer_ns = 0


class ExchangeServer:
    """Serves fronts by venue; see the module. `administer` answers what is asked of an operator."""

    def __init__(self, fronts: Mapping[str, Front], administer: Administer) -> None:
        self.defects = 0
        self.cut = 0
        self._venues = {name: _Venue(name, front) for name, front in fronts.items()}
        self._administer = administer
        self._number = 0
        self._port = 0
        self._hanging_up: set[asyncio.Task[bool]] = set()
        # A step of the machine's clock is not one of the exchange's.
        self._began_ns = time.time_ns() - time.monotonic_ns()

    def now_ns(self) -> int:
        """Time since 1970 that never goes back."""
        return self._began_ns + time.monotonic_ns()

    async def open(self, port: int = 0) -> int:
        """Listen on loopback, on any free port for 0; the port."""
        self._loop = asyncio.get_running_loop()
        self._server = web.Server(
            self._handle,
            request_factory=self._make_request,
            handler_cancellation=True,
            access_log=None,
        )
        self._listening = await self._loop.create_server(self._server, "127.0.0.1", port)
        self._port = self._listening.sockets[0].getsockname()[1]
        for venue in self._venues.values():
            self._advance(venue)
        return self._port

    async def close(self) -> None:
        """Hang up on everybody."""
        self._listening.close()
        for venue in self._venues.values():
            if venue.timer is not None:
                venue.timer.cancel()
            for client in venue.clients.values():
                client.transport.abort()
        await self._server.shutdown(CLOSE_S)
        await self._listening.wait_closed()

    def do(self, name: str, act: Callable[[int], None]) -> None:
        """Something happens at a venue, by its clock; whoever hears of it is told at once."""
        venue = self._venues[name]
        self._advance(venue)
        try:
            venue.front.do(act, self.now_ns())
        except Exception:  # noqa: BLE001 -- a defect is told, counted, and ends no other venue
            self.defects += 1
            traceback.print_exc(file=sys.stderr)
        self._advance(venue)

    @property
    def url(self) -> str:
        """Its address, without a path, as the engine's own clients use it."""
        return f"ws://127.0.0.1:{self._port}"

    def urls(self) -> dict[str, list[str]]:
        """Where each venue is to be found."""
        found = {}
        for name, venue in self._venues.items():
            at = f"127.0.0.1:{self._port}/{name}"
            wires = [wire for wire in venue.front.wires if wire != OWN]
            found[name] = [f"ws://{at}"] if OWN in venue.front.wires else []
            found[name] += [f"{kind}://{at}/{wire}" for wire in wires for kind in ("http", "ws")]
            found[name].append(f"http://127.0.0.1:{self._port}/{ADMIN}/{name}")
        return found

    # --- requests -----------------------------------------------------------------------------------

    def _make_request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> BaseRequest:
        return BaseRequest(
            message, payload, protocol, writer, task, self._loop, client_max_size=BODY_BYTES_MAX
        )

    async def _handle(self, request: BaseRequest) -> web.StreamResponse:
        """By its path, which is looked at as it came: signatures are made over that."""
        path, _, query = request.raw_path.partition("?")
        first, deeper, rest = path.removeprefix("/").partition("/")
        if not first and not deeper:
            return self._listed(200)
        if first == ADMIN:
            return await self._operate(request, rest, query)
        venue = self._venues.get(first)
        if venue is None:
            return self._nowhere(f"no venue {first!r} is here")
        upgrades = request.headers.get("Upgrade", "").lower() == "websocket"
        name, _, tail = rest.partition("/")
        if not name and upgrades:
            name = OWN
        if name not in venue.front.wires:
            return self._nowhere(f"venue {first} does not speak {name!r} here")
        if upgrades:
            return await self._converse(request, venue, name, f"/{tail}", query)
        return await self._answer(request, venue, name, f"/{tail}", query)

    def _nowhere(self, why: str) -> web.Response:
        return self._listed(404, error=why)

    def _listed(self, status: int, **more: str) -> web.Response:
        """What is here, and what went wrong so far."""
        said = {**more, "simulated": True, "urls": self.urls()}
        body = msgspec.json.encode({**said, "defects": self.defects, "cut": self.cut})
        return web.Response(status=status, body=body, content_type="application/json")

    async def _answer(
        self, request: BaseRequest, venue: _Venue, wire: str, path: str, query: str
    ) -> web.StreamResponse:
        """An HTTP request: through the front, and its answer when that is back."""
        body = await request.read() if request.can_read_body else b""
        headers = {name.lower(): value for name, value in request.headers.items()}
        self._number = number = self._number + 1
        future: asyncio.Future[Answer | None] = self._loop.create_future()
        venue.waiting[number] = future
        try:
            call = Call(request.method, path, query, headers, body)
            venue.front.call(number, wire, call, self.now_ns())
            self._advance(venue)
            answer = await future
        finally:
            venue.waiting.pop(number, None)
        if answer is None:
            await asyncio.sleep(HELD_S)  # ends earlier when the client gives up
            answer = Answer(504, b"{}")
        return _Reply(answer)

    async def _operate(self, request: BaseRequest, path: str, query: str) -> web.StreamResponse:
        """What an operator asks; a page in a browser may not."""
        name, _, tail = path.partition("/")
        venue = self._venues.get(name)
        if venue is None:
            return self._nowhere(f"no venue {name!r} is here")
        if "Origin" in request.headers:
            body = b'{"error":"a browser may not operate the exchange"}'
            return web.Response(status=403, body=body, content_type="application/json")
        body = await request.read() if request.can_read_body else b""
        call = Call(request.method, f"/{tail}", query, {}, body)
        self._advance(venue)
        answer = self._administer(venue.front, call, self.now_ns())
        self._advance(venue)
        return _Reply(answer)

    async def _converse(
        self, request: BaseRequest, venue: _Venue, wire: str, path: str, query: str
    ) -> web.StreamResponse:
        """A websocket, from its handshake to its end."""
        if len(venue.clients) >= CLIENTS_MAX:
            return web.Response(status=503, body=b"{}", content_type="application/json")
        socket = web.WebSocketResponse(
            timeout=CLOSE_S, compress=False, max_msg_size=FRAME_BYTES_MAX, decode_text=False
        )
        await socket.prepare(request)
        transport = request.transport
        if transport is None:  # it went while it shook hands
            return socket
        self._number = number = self._number + 1
        venue.clients[number] = _Client(socket, cast("asyncio.WriteTransport", transport))
        front = venue.front
        try:
            front.connect(number, wire, path, query, self.now_ns())
            self._advance(venue)
            async for message in socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    front.receive(number, message.data, self.now_ns())
                    self._advance(venue)
        finally:
            venue.clients.pop(number, None)
            front.disconnect(number, self.now_ns())
            self._advance(venue)
        return socket

    # --- time and what leaves -----------------------------------------------------------------------

    def _advance(self, venue: _Venue) -> None:
        """Hand out what is due, and wake again for what is due next."""
        try:
            outputs = venue.front.advance(self.now_ns())
        except Exception:  # noqa: BLE001 -- a defect met by one request is told; the others are served
            self.defects += 1
            traceback.print_exc(file=sys.stderr)
            self._arm(venue, DEFECT_PAUSE_S)
            return
        clients = venue.clients
        for output in outputs:
            if isinstance(output, Answered):
                future = venue.waiting.get(output.call)
                if future is not None and not future.done():
                    future.set_result(output.answer)
                continue
            client = clients.get(output.connection)
            if client is None:
                continue
            if output.payload is None:
                self._hang_up(client)
                continue
            transport = client.transport
            transport.write(framed(output.payload))
            if transport.get_write_buffer_size() > BUFFER_BYTES_MAX:
                self.cut += 1
                transport.abort()
                del clients[output.connection]
        self._arm(venue, 0.0)

    def _arm(self, venue: _Venue, at_least_s: float) -> None:
        """Wake when something is due; a timer that comes early enough is left alone."""
        due_ns = venue.front.next_due_ns()
        if venue.timer is not None:
            if venue.timer_ns <= due_ns:
                return
            venue.timer.cancel()
        wait_s = min(FAR_S, (due_ns - self.now_ns()) / 1e9)
        venue.timer_ns = due_ns
        venue.timer = self._loop.call_later(max(at_least_s, wait_s), self._wake, venue)

    def _wake(self, venue: _Venue) -> None:
        venue.timer = None
        self._advance(venue)

    def _hang_up(self, client: _Client) -> None:
        task = self._loop.create_task(client.socket.close(code=GOING_AWAY))
        self._hanging_up.add(task)
        task.add_done_callback(self._hanging_up.discard)


class _Reply(web.StreamResponse):
    """An answer in one write: aiohttp's own way through its headers costs as much as the order."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(status=answer.status)
        self._answer = answer
        self._keeps = True

    @property
    def keep_alive(self) -> bool:
        """Whether the connection stays."""
        return self._keeps

    async def prepare(self, request: BaseRequest) -> None:
        """Write it."""
        answer, transport = self._answer, request.transport
        self._keeps = request.keep_alive
        lines = [f"HTTP/1.1 {answer.status} {self.reason}\r\n"]
        lines += [f"{name}: {value}\r\n" for name, value in answer.headers]
        if not any(name.lower() == "content-type" for name, _ in answer.headers):
            lines.append("Content-Type: application/json\r\n")
        body = b"" if request.method == "HEAD" else answer.body
        keeps = "keep-alive" if self._keeps else "close"
        lines.append(f"Content-Length: {len(answer.body)}\r\nConnection: {keeps}\r\n\r\n")
        if transport is not None:
            transport.write("".join(lines).encode("latin-1") + body)

    async def write_eof(self, data: bytes = b"") -> None:
        """There is no more."""
