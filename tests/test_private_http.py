"""Private calls at their edge: sent once, answered by one message, in order where a nonce asks for it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from engine.edges import private_http
from engine.edges.private_hosts import HostRefused, PrivateHosts
from engine.edges.private_http import PrivateHttp
from engine.edges.venue_http import AskError
from engine.messages import Answer, AnyMessage, CallKind, OrderRequest, VenueCall
from engine.venues.native_calls import NativeCall, encode
from tests.kraken_server import SECRET
from tests.loopback_only import loopback_only
from tests.native_desk import keys

WAIT_S = 10
KEY = "the-public-half"
CALL = encode(NativeCall("POST", "/0/private/Balance"))
Serve = Callable[[bytes], Awaitable[bytes]]
GOOD = b'{"error":[],"result":{}}'


def reply(body: bytes, status: int = 200, *headers: str) -> bytes:
    """An answer as it is sent."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Inbox:
    """Keeps the answers."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.said = asyncio.Event()

    def inject(self, message: AnyMessage) -> None:
        """Kept."""
        assert isinstance(message, Answer)
        self.answers.append(message)
        self.said.set()

    def next_shell_sequence(self) -> int:
        """A number."""
        return len(self.answers) + 1

    async def until(self, count: int) -> list[Answer]:
        """Wait for so many."""
        while len(self.answers) < count:
            self.said.clear()
            await asyncio.wait_for(self.said.wait(), WAIT_S)
        return self.answers


class Server:
    """Answers requests as it is told and keeps them; b'' hangs up."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self.heard: list[bytes] = []
        self.came = asyncio.Event()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                named = dict(
                    line.split(b": ", 1)
                    for line in head.lower().split(b"\r\n")[1:]
                    if b": " in line
                )
                body = await reader.readexactly(int(named.get(b"content-length", b"0")))
                self.heard.append(head + body)
                self.came.set()
                answer = await self._serve(body)
                if not answer:
                    break
                writer.write(answer)
                if answer.endswith(b"half"):
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def asking(
    serve: Serve, protocol: str = "kraken"
) -> AsyncIterator[tuple[PrivateHttp, Inbox, Server]]:
    """The edge against such a server."""
    server, inbox = Server(serve), Inbox()
    listening = await asyncio.start_server(server.talk, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    http = edge(inbox, f"http://127.0.0.1:{port}", protocol)
    try:
        yield http, inbox, server
    finally:
        await http.close()
        listening.close()


def edge(inbox: Inbox, rest: str, protocol: str = "kraken") -> PrivateHttp:
    """With a clock that stands still."""
    hosts = PrivateHosts("simulated")
    return PrivateHttp(inbox, 3, protocol, rest, keys(KEY, SECRET), hosts, lambda: 5_000_000, 0.05)


def question(number: int, payload: bytes = CALL) -> VenueCall:
    """A call that changes nothing."""
    return VenueCall(0, number, 0, 3, number, CallKind.BALANCES, payload)


def order(number: int) -> OrderRequest:
    """A call that does."""
    return OrderRequest(0, number, 0, 3, 1, "ours", True, 10**18, CALL, number, CallKind.CREATE)


async def good(body: bytes) -> bytes:
    """An answer."""
    return reply(GOOD, 200, "X-MBX-USED-WEIGHT-1M: 7", "Retry-After: 3", "Date: today")


def test_an_answer_comes_as_it_is() -> None:
    """Status, bytes, and the headers that say something of limits."""

    async def run() -> None:
        async with asking(good) as (http, inbox, server):
            assert http.ask(order(11))
            (answer,) = await inbox.until(1)
            assert (answer.venue, answer.call, answer.status) == (3, 11, 200)
            assert (answer.payload, answer.failure) == (GOOD, "")
            assert answer.headers == (("retry-after", "3"), ("x-mbx-used-weight-1m", "7"))
            assert answer.received_ns == 5_000_000
            assert len(server.heard) == 1

    with loopback_only():
        asyncio.run(run())


@pytest.mark.parametrize(
    ("failure", "word"),
    [("hang up", "disconnected"), ("silence", "timeout"), ("half", "disconnected")],
)
def test_what_got_no_answer_is_said_in_a_word_and_not_tried_again(
    failure: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been done: nobody here sends it a second time."""
    monkeypatch.setattr(private_http, "TIMEOUT_S", 0.2)

    async def serve(body: bytes) -> bytes:
        if failure == "silence":
            await asyncio.Event().wait()
        if failure == "half":
            return b"HTTP/1.1 200 X\r\nContent-Length: 90\r\n\r\nhalf"
        return b""

    async def run() -> None:
        async with asking(serve) as (http, inbox, server):
            http.ask(order(1))
            (answer,) = await inbox.until(1)
            assert (answer.status, answer.failure, answer.call) == (0, word, 1)
            assert len(server.heard) == 1

    with loopback_only():
        asyncio.run(run())


def test_only_what_never_left_is_unsent() -> None:
    """Nobody listens there; the payload is no call; the secret cannot sign."""

    async def run() -> None:
        inbox = Inbox()
        listening = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        listening.close()
        await listening.wait_closed()
        http = edge(inbox, f"http://127.0.0.1:{port}")
        http.ask(order(1))
        http.ask(question(2, b"\xff"))
        hosts = PrivateHosts("simulated")
        bad = keys(KEY, "no base64!")
        other = PrivateHttp(inbox, 3, "kraken", "http://127.0.0.1:1", bad, hosts, lambda: 1)
        other.ask(question(3))
        answers = await inbox.until(3)
        assert {answer.call: answer.failure for answer in answers} == dict.fromkeys(
            (1, 2, 3), "unsent"
        )
        await http.close()
        await other.close()

    with loopback_only():
        asyncio.run(run())


def test_nonces_rise_in_the_order_of_arrival() -> None:
    """One after the other, each greater, though the clock stands."""

    async def run() -> None:
        under_way = 0

        async def serve(body: bytes) -> bytes:
            nonlocal under_way
            under_way += 1
            assert under_way == 1
            await asyncio.sleep(0)
            under_way -= 1
            return reply(GOOD)

        async with asking(serve) as (http, inbox, server):
            for number in range(20):
                http.ask(question(number))
            answers = await inbox.until(20)
            assert [answer.status for answer in answers] == [200] * 20
            nonces = [int(sent.rpartition(b"nonce=")[2]) for sent in server.heard]
            assert nonces == sorted(set(nonces))
            assert nonces[0] >= 5_000

    with loopback_only():
        asyncio.run(run())


def test_a_call_that_hangs_holds_up_the_next_for_its_turn_only() -> None:
    """By then it has arrived or is lost; what it says later is told later."""

    async def run() -> None:
        release, seen = asyncio.Event(), 0

        async def serve(body: bytes) -> bytes:
            nonlocal seen
            seen += 1
            if seen == 1:
                await release.wait()
            return reply(GOOD)

        async with asking(serve) as (http, inbox, server):
            for number in (1, 2, 3):
                http.ask(question(number))
            assert [answer.call for answer in await inbox.until(2)] == [2, 3]
            release.set()
            assert [answer.call for answer in await inbox.until(3)] == [2, 3, 1]
            nonces = [int(sent.rpartition(b"nonce=")[2]) for sent in server.heard]
            assert nonces == sorted(set(nonces))

    with loopback_only():
        asyncio.run(run())


def test_calls_without_a_nonce_wait_for_none() -> None:
    """A question that hangs holds up no cancel."""

    async def run() -> None:
        release, seen = asyncio.Event(), 0

        async def serve(body: bytes) -> bytes:
            nonlocal seen
            seen += 1
            if seen == 1:
                await release.wait()
            return reply(GOOD)

        async with asking(serve, "binance") as (http, inbox, server):
            http.ask(question(1))
            await asyncio.wait_for(server.came.wait(), WAIT_S)
            http.ask(order(2))
            assert [answer.call for answer in await inbox.until(1)] == [2]
            release.set()
            assert [answer.call for answer in await inbox.until(2)] == [2, 1]

    with loopback_only():
        asyncio.run(run())


def test_too_many_at_once_are_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """An order's gate hears of it at once, a question is answered."""
    monkeypatch.setattr(private_http, "UNDER_WAY_MAX", 1)

    async def run() -> None:
        async with asking(good) as (http, inbox, server):
            assert http.ask(order(1))
            assert not http.ask(order(2))
            assert not http.ask(question(3))
            answers = await inbox.until(2)
            assert {answer.call: answer.failure for answer in answers} == {1: "", 3: "unsent"}
            assert len(server.heard) == 1

    with loopback_only():
        asyncio.run(run())


def test_a_host_that_the_mode_must_not_reach_is_refused() -> None:
    """Before anything is opened."""
    with pytest.raises(HostRefused, match=r"api\.kraken\.com"):
        edge(Inbox(), "https://api.kraken.com")


def test_what_opens_the_stream_is_fetched_or_says_why() -> None:
    """The refusal is the venue's; neither key nor token is in it."""

    async def run() -> None:
        told = GOOD.replace(b"{}", b'{"token":"t0ken","expires":900}')

        async def serve(body: bytes) -> bytes:
            return reply(told)

        async with asking(serve) as (http, _, server):
            assert await http.token() == "t0ken"
            assert server.heard[0].startswith(b"POST /0/private/GetWebSocketsToken ")
        told = b'{"error":["EAPI:Invalid key"]}'
        async with asking(serve) as (http, _, _):
            with pytest.raises(AskError, match="Invalid key"):
                await http.token()
        async with asking(serve, "binance") as (http, _, server):
            assert await http.token() == ""
            assert server.heard == []

    with loopback_only():
        asyncio.run(run())


def test_nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Not by the library either, at its most talkative."""
    caplog.set_level(logging.DEBUG)

    async def run() -> None:
        async with asking(good, "binance") as (http, inbox, server):
            http.ask(order(1))
            await inbox.until(1)
            sent = server.heard[0].lower()
            assert KEY.encode() in sent
            assert b"signature=" in sent

    with loopback_only():
        asyncio.run(run())
    assert SECRET not in caplog.text
    assert KEY not in caplog.text
