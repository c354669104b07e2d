"""What a venue is asked over HTTP, against a server that answers as it is told: bans, pace, failures."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from engine.edges import venue_http
from engine.edges.venue_http import AskError, VenueHttp
from engine.messages import ANSWERED, FAILED, AnyMessage, Frame, HttpRequest

WAIT_S = 10
Answer = tuple[int, dict[str, str], bytes]
GOOD: Answer = (200, {}, b"good")


class Server:
    """Answers each path as it is told, else well; keeps what was asked, and when."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.held: dict[str, asyncio.Event] = {}
        self.asked: list[tuple[float, str]] = []
        self.heard = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        while line := await reader.readline():
            while await reader.readline() not in (b"\r\n", b""):
                continue
            path = line.split(b" ")[1].decode()
            self.asked.append((asyncio.get_running_loop().time(), path))
            self.heard.set()
            if path in self.held:
                await self.held[path].wait()
            status, headers, body = self.answers.get(path, GOOD)
            lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        writer.close()

    @property
    def paths(self) -> list[str]:
        """What was asked, in order."""
        return [path for _, path in self.asked]

    async def until(self, path: str) -> None:
        """Wait until a path was asked for."""
        while path not in self.paths:
            self.heard.clear()
            await asyncio.wait_for(self.heard.wait(), WAIT_S)


class Inbox:
    """Keeps the answers."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.said = asyncio.Event()

    def inject(self, message: AnyMessage) -> None:
        """Kept."""
        assert isinstance(message, Frame)
        self.frames.append(message)
        self.said.set()

    def next_shell_sequence(self) -> int:
        """A number."""
        return len(self.frames) + 1

    async def until(self, count: int) -> list[tuple[int, int, str, bytes]]:
        """Wait for so many; of each its connection, kind, path and payload."""
        while len(self.frames) < count:
            self.said.clear()
            await asyncio.wait_for(self.said.wait(), WAIT_S)
        return [(f.connection, f.kind, f.about, f.payload) for f in self.frames]


class Line:
    """A venue's HTTP and its exchange."""

    def __init__(self, server: Server, inbox: Inbox, http: VenueHttp) -> None:
        self.server = server
        self.inbox = inbox
        self.http = http

    def ask(self, path: str, connection: int = 0) -> bool:
        """Have a path asked for."""
        return self.http.ask(HttpRequest(1, 1, 0, 0, path, connection))

    async def refused(self, path: str) -> AskError:
        """Why a path got no good answer."""
        with pytest.raises(AskError) as refused:
            await self.http.fetch("GET", path)
        return refused.value


@asynccontextmanager
async def lined(requests_per_second: float = 1e6) -> AsyncIterator[Line]:
    """Served until the end."""
    server, inbox = Server(), Inbox()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    rest = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    http = VenueHttp(inbox, 0, rest, requests_per_second, lambda: 7)
    task = asyncio.get_running_loop().create_task(http.serve())
    try:
        yield Line(server, inbox, http)
    finally:
        for held in server.held.values():
            held.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        listening.close()


# --- bans -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [418, 429])
async def test_a_ban_is_kept_for_as_long_as_the_exchange_says(status: int) -> None:
    """Nothing is asked meanwhile, by nobody, and who asks is told how long it is still to wait."""
    async with lined() as line:
        line.server.answers["/a"] = (status, {"Retry-After": "30"}, b"")
        first = await line.refused("/a")
        assert (str(first), first.wait_s) == (f"/a: status {status}", 30)
        second = await line.refused("/b")
        assert "the exchange told us to wait" in str(second)
        assert 20 < second.wait_s <= 30
        line.ask("/c")
        ((_, kind, about, payload),) = await line.inbox.until(1)
        assert (kind, about) == (FAILED, "/c")
        assert b"told us to wait" in payload
        assert line.server.paths == ["/a"]


async def test_after_a_ban_it_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the exchange does not say how long, after a time of our own."""
    monkeypatch.setattr(venue_http, "BAN_S", 0.1)
    async with lined() as line:
        line.server.answers["/a"] = (429, {}, b"")
        began = asyncio.get_running_loop().time()
        assert (await line.refused("/a")).wait_s == 0.1
        while True:
            try:
                assert await line.http.fetch("GET", "/b") == b"good"
                break
            except AskError as error:
                await asyncio.sleep(error.wait_s)
        assert asyncio.get_running_loop().time() - began >= 0.1
        assert line.server.paths == ["/a", "/b"]


async def test_a_ban_begins_with_the_answer_that_says_it() -> None:
    """Not with the request, which may have been under way for long."""
    async with lined() as line:
        line.server.answers["/a"] = (429, {"Retry-After": "30"}, b"")
        line.server.held["/a"] = asyncio.Event()
        first = asyncio.get_running_loop().create_task(line.refused("/a"))
        await line.server.until("/a")
        await asyncio.sleep(0.2)  # the exchange takes its time
        answered = asyncio.get_running_loop().time()
        line.server.held["/a"].set()
        await first
        left_s = (await line.refused("/b")).wait_s
        assert asyncio.get_running_loop().time() + left_s >= answered + 30


async def test_a_good_answer_does_not_end_a_ban() -> None:
    """It was asked for before."""
    async with lined() as line:
        line.server.held["/slow"] = asyncio.Event()
        line.server.answers["/a"] = (429, {"Retry-After": "30"}, b"")
        slow = asyncio.get_running_loop().create_task(line.http.fetch("GET", "/slow"))
        await line.server.until("/slow")
        await line.refused("/a")
        line.server.held["/slow"].set()
        assert await slow == b"good"
        assert (await line.refused("/b")).wait_s > 20


@pytest.mark.parametrize("status", [301, 404, 500, 503])
async def test_another_status_is_a_failure_and_no_ban(status: int) -> None:
    """Retry-After counts only with the statuses of a ban."""
    async with lined() as line:
        line.server.answers["/a"] = (status, {"Retry-After": "30", "Location": "/b"}, b"what")
        assert (await line.refused("/a")).wait_s == 0
        assert await line.http.fetch("GET", "/b") == b"good"


# --- one after the other --------------------------------------------------------------------------------


async def test_requests_leave_at_the_exchanges_pace() -> None:
    """Twenty a second: five take a fifth of a second, in the order in which they were asked for."""
    async with lined(requests_per_second=20) as line:
        for number in range(5):
            assert line.ask(f"/{number}")
        found = await line.inbox.until(5)
        assert [about for _, _, about, _ in found] == [f"/{number}" for number in range(5)]
        times = [at for at, _ in line.server.asked]
        assert times[-1] - times[0] >= 4 / 20 - 0.02


async def test_a_path_that_waits_is_asked_once_for_all() -> None:
    """Each connection that asked gets the answer once; what is under way is asked again."""
    async with lined() as line:
        line.server.held["/a"] = asyncio.Event()
        line.ask("/a")
        await line.server.until("/a")
        for connection in (1, 2, 1):
            assert line.ask("/a", connection)
        line.server.held["/a"].set()
        found = await line.inbox.until(3)
        assert [(c, kind) for c, kind, _, _ in found] == [(c, ANSWERED) for c in (0, 1, 2)]
        assert line.server.paths == ["/a", "/a"]


async def test_a_lost_connection_gets_no_answer_of_before() -> None:
    """Neither of what was under way nor of what waited; what nobody else waits for is not asked."""
    async with lined() as line:
        line.server.held["/a"] = asyncio.Event()
        line.ask("/a", 0)
        line.ask("/a", 1)
        await line.server.until("/a")
        line.ask("/b", 1)
        line.ask("/b", 0)
        line.ask("/c", 0)
        line.http.forget(0)
        line.server.held["/a"].set()
        line.ask("/d", 0)
        found = await line.inbox.until(3)
        assert [(c, about) for c, _, about, _ in found] == [(1, "/a"), (1, "/b"), (0, "/d")]
        assert line.server.paths == ["/a", "/b", "/d"]


async def test_a_request_that_fails_is_told_and_the_next_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bad status, an answer too long, a server that hangs up."""
    monkeypatch.setattr(venue_http, "BYTES_MAX", 10)
    monkeypatch.setattr(venue_http, "TIMEOUT_S", 0.2)
    async with lined() as line:
        line.server.answers["/status"] = (500, {}, b"")
        line.server.answers["/long"] = (200, {}, b"x" * 11)
        line.server.held["/never"] = asyncio.Event()
        for path in ("/status", "/long", "/never", "/good"):
            line.ask(path)
        found = await line.inbox.until(4)
        assert [(kind, about) for _, kind, about, _ in found] == [
            (FAILED, "/status"),
            (FAILED, "/long"),
            (FAILED, "/never"),
            (ANSWERED, "/good"),
        ]
        reasons = [payload.decode() for _, _, _, payload in found]
        assert reasons[0] == "/status: status 500"
        assert reasons[1] == "/long: an answer of more than 10 bytes"
        assert reasons[2].startswith("/never: ReadTimeout")
        assert line.inbox.frames[3].received_ns == 7


async def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One path too many is refused, and says so."""
    monkeypatch.setattr(venue_http, "WAITING_MAX", 2)
    async with lined() as line:
        assert [line.ask(path) for path in ("/a", "/b", "/c", "/a")] == [True, True, False, True]
        assert len(await line.inbox.until(2)) == 2
