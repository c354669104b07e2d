"""What a venue is asked over HTTP: snapshots, listings, where to connect.

Requests leave one after the other at the pace that the exchange allows, each after it was asked for.
The answer comes back as a frame to the connection that asked, unless that was lost meanwhile; what
got none comes back too, and says why. An exchange that
says 429 or 418 is left alone for as long as it says: what is asked meanwhile is refused at once.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

import httpx

from engine.messages import ANSWERED, FAILED, AnyMessage, Frame, HttpRequest

TIMEOUT_S = 10.0
BYTES_MAX = 64 * 1024 * 1024
WAITING_MAX = 10_000
BANNED = (418, 429)
BAN_S = 60.0  # where the exchange does not say how long
BAN_MAX_S = 3 * 86_400.0  # the longest ban that any exchange documents


class Inbox(Protocol):
    """Who takes what an edge brings: an actor's loop, or an exchange that follows a feed."""

    def inject(self, message: AnyMessage) -> None:
        """Take a message through the step now."""

    def next_shell_sequence(self) -> int:
        """The number of the next message put into this inbox."""


class AskError(Exception):
    """A request that got no good answer; `wait_s` is how long the exchange told us to stay away."""

    def __init__(self, why: str, wait_s: float = 0.0) -> None:
        super().__init__(why)
        self.wait_s = wait_s


def retry_after_s(status: int, header: str) -> float:
    """How long a status and its Retry-After tell us to stay away, in seconds; 0 for not at all."""
    if status not in BANNED:
        return 0.0
    return min(float(header), BAN_MAX_S) if header.strip().isdigit() else BAN_S


class VenueHttp:
    """The HTTP side of one venue. Must be made and used on the actor's event loop."""

    def __init__(
        self,
        inbox: Inbox,
        venue: int,
        rest: str,
        requests_per_second: float,
        now_ns: Callable[[], int],
    ) -> None:
        self.venue = venue
        self._inbox = inbox
        self._now_ns = now_ns
        self._client = httpx.AsyncClient(base_url=rest, timeout=TIMEOUT_S, follow_redirects=False)
        self._spacing_s = 1.0 / requests_per_second
        self._waiting: dict[str, list[int]] = {}  # path -> the connections that asked
        self._under_way: list[int] = []  # the connections that asked for what is fetched now
        self._something = asyncio.Event()
        self._banned_until = 0.0

    def ask(self, request: HttpRequest) -> bool:
        """Have a path asked for; one that waits already is asked once. False when too many wait.

        What is under way may have left the exchange before: it is asked again.
        """
        connections = self._waiting.get(request.about)
        if connections is not None:
            if request.connection not in connections:
                connections.append(request.connection)
            return True
        if len(self._waiting) >= WAITING_MAX:
            return False
        self._waiting[request.about] = [request.connection]
        self._something.set()
        return True

    def forget(self, connection: int) -> None:
        """A connection was lost: what it asked for before says nothing of what it missed since."""
        for connections in (*self._waiting.values(), self._under_way):
            if connection in connections:
                connections.remove(connection)
        self._waiting = {path: asked for path, asked in self._waiting.items() if asked}

    async def serve(self) -> None:
        """Ask for what waits, at the exchange's pace; ends only when cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._something.wait()
                if not self._waiting:
                    self._something.clear()
                    continue
                path = next(iter(self._waiting))
                self._under_way = self._waiting.pop(path)
                began = loop.time()
                try:
                    kind, payload = ANSWERED, await self.fetch("GET", path)
                except AskError as error:
                    kind, payload = FAILED, str(error).encode()
                given, self._under_way = self._under_way, []
                for connection in given:
                    self._give(connection, kind, path, payload)
                await asyncio.sleep(max(0.0, began + self._spacing_s - loop.time()))
        finally:
            await self._client.aclose()

    async def fetch(self, method: str, path: str) -> bytes:
        """One request's good answer; raises AskError."""
        loop = asyncio.get_running_loop()
        wait_s = self._banned_until - loop.time()
        if wait_s > 0:
            raise AskError(f"{path}: the exchange told us to wait {wait_s:.0f} s more", wait_s)
        try:
            async with self._client.stream(method, path) as response:
                wait_s = retry_after_s(
                    response.status_code, response.headers.get("Retry-After", "")
                )
                self._banned_until = max(self._banned_until, loop.time() + wait_s)
                if response.status_code != httpx.codes.OK:
                    raise AskError(f"{path}: status {response.status_code}", wait_s)
                return await _body(response, path)
        except httpx.HTTPError as error:
            raise AskError(f"{path}: {type(error).__name__}: {error}") from error

    def _give(self, connection: int, kind: int, path: str, payload: bytes) -> None:
        number = self._inbox.next_shell_sequence()
        self._inbox.inject(
            Frame(0, number, self._now_ns(), self.venue, connection, kind, payload, path)
        )


async def _body(response: httpx.Response, path: str) -> bytes:
    parts = []
    size = 0
    async for part in response.aiter_bytes():
        parts.append(part)
        size += len(part)
        if size > BYTES_MAX:
            raise AskError(f"{path}: an answer of more than {BYTES_MAX} bytes")
    return b"".join(parts)
