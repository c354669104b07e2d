"""The exchange's server over real sockets, with an echo behind it: bytes there and back, and bounds."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
import uvloop

from engine.edges import exchange_sockets
from engine.edges.exchange_sockets import ExchangeServer, framed
from engine.exchange.faults import Faults
from engine.exchange.front import Front
from engine.exchange.wires.wire import Answer, Call
from engine.fault_config import FaultConfig, FaultKind
from tests.echo import EchoExchange, EchoWire
from tests.test_exchange_front import Ways

HANDSHAKE = (
    b"GET /alpha/echo/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class Served:
    """A server with one venue, alpha, that speaks echo and the own protocol, and a client session."""

    def __init__(self, every_ns: int = 0) -> None:
        self.exchange = EchoExchange(every_ns, 0)
        self.wire = EchoWire(self.exchange)
        wires = {"simulated": EchoWire(self.exchange), "echo": self.wire}
        self.faults = Faults(7, "alpha")
        self.front = Front(self.exchange, wires, Ways(0, 0, 0), self.faults)
        self.asked: list[Call] = []
        self.server = ExchangeServer({"alpha": self.front}, self.administer)
        self.url = ""

    def administer(self, front: Front, call: Call, now_ns: int) -> Answer:
        """Keeps what was asked."""
        self.asked.append(call)
        return Answer(200, b'{"done":true}')


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """A served echo."""
    made = Served()
    port = await made.server.open()
    made.url = f"http://127.0.0.1:{port}"
    yield made
    await made.server.close()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A client."""
    async with aiohttp.ClientSession() as made:
        yield made


async def test_a_request_comes_as_it_was_sent_and_the_answer_goes_back(
    served: Served, session: aiohttp.ClientSession
) -> None:
    """Path and query are not decoded: a signature is made over the bytes."""
    url = f"{served.url}/alpha/echo/api/v3/order?symbols=%5B%22A%22%5D&b=2"
    async with session.post(aiohttp.client.URL(url, encoded=True), data=b"x=1") as response:
        assert response.status == 200
        assert response.headers["x-simulated"] == "yes"
        assert response.content_type == "application/json"
        said = await response.json()
    assert (said["path"], said["query"]) == ("/api/v3/order", "symbols=%5B%22A%22%5D&b=2")
    assert [what for what, _ in served.exchange.done] == ["/api/v3/order"]


async def test_a_websocket_asks_and_hears(served: Served, session: aiohttp.ClientSession) -> None:
    """On a wire's path, and on the venue's own, which is the project's protocol."""
    async with session.ws_connect(f"{served.url}/alpha/echo/ws/stream?a=1") as socket:
        assert await socket.receive_str() == "hello /ws/stream"
        await socket.send_str("order")
        assert await socket.receive_str() == "done order"
        assert await socket.receive_str() == "order 1"
        assert list(served.wire.connections.values()) == ["a=1"]
        async with session.ws_connect(f"{served.url}/alpha") as own:
            assert await own.receive_str() == "hello /"
    assert len(served.server._venues["alpha"].clients) == 0


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 300_000])
async def test_frames_of_every_length(
    served: Served, session: aiohttp.ClientSession, size: int
) -> None:
    """The three forms of a frame's head."""
    async with session.ws_connect(f"{served.url}/alpha/echo/ws", max_msg_size=0) as socket:
        await socket.receive_str()
        await socket.send_str("x" * size)
        assert await socket.receive_str() == "done " + "x" * size
    assert framed(b"x" * size)[-size:] == b"x" * size or not size


@pytest.mark.parametrize("path", ["/beta", "/beta/echo/x", "/alpha/nonsense/x", "/admin/beta/x"])
async def test_what_is_not_there_is_said_with_what_is(
    served: Served, session: aiohttp.ClientSession, path: str
) -> None:
    """404, and where the venues are."""
    async with session.get(served.url + path) as response:
        assert response.status == 404
        said = await response.json()
    assert said["simulated"] is True
    port = served.url.rpartition(":")[2]
    assert f"ws://127.0.0.1:{port}/alpha/echo" in said["urls"]["alpha"]


@pytest.mark.parametrize("line", [b"OPTIONS *", b"GET http://elsewhere/alpha/echo/x", b"GET //"])
async def test_targets_that_are_no_path_of_ours_are_not_found(served: Served, line: bytes) -> None:
    """A client's odd request is no error of the server's."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(served.url.rpartition(":")[2]))
    writer.write(line + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 404 ")
    writer.close()


async def test_its_front_page_says_what_is_here(
    served: Served, session: aiohttp.ClientSession
) -> None:
    """And that all of it is simulated."""
    async with session.get(served.url) as response:
        assert response.status == 200
        said = await response.json()
    assert (said["simulated"], said["defects"], said["cut"]) == (True, 0, 0)
    assert set(said["urls"]) == {"alpha"}


async def test_an_operator_is_answered_and_a_browser_is_not(
    served: Served, session: aiohttp.ClientSession
) -> None:
    """The operator's requests go past wires and faults."""
    async with session.post(f"{served.url}/admin/alpha/faults", data=b"{}") as response:
        assert response.status == 200
    assert served.asked == [Call("POST", "/faults", "", {}, b"{}")]
    headers = {"Origin": "http://example.org"}
    async with session.get(f"{served.url}/admin/alpha/faults", headers=headers) as response:
        assert response.status == 403
    assert len(served.asked) == 1


async def test_a_request_that_is_never_answered_is_held_until_its_client_goes(
    served: Served, session: aiohttp.ClientSession
) -> None:
    """It was done; nothing of it is kept when the client has given up."""
    served.faults.set(FaultConfig(FaultKind.TIMEOUT_DONE, count=1), 0)
    with pytest.raises(TimeoutError):
        await session.get(f"{served.url}/alpha/echo/a", timeout=aiohttp.ClientTimeout(total=0.2))
    assert len(served.exchange.done) == 1
    async with session.get(f"{served.url}/alpha/echo/b") as response:
        assert response.status == 200
    assert served.server._venues["alpha"].waiting == {}


async def test_a_client_that_is_hung_up_on_may_come_again(
    served: Served, session: aiohttp.ClientSession
) -> None:
    """A close frame with a code, and the wire is told."""
    async with session.ws_connect(f"{served.url}/alpha/echo/ws") as socket:
        await socket.receive_str()
        served.faults.set(FaultConfig(FaultKind.DISCONNECT), served.server.now_ns())
        served.server._advance(served.server._venues["alpha"])
        message = await socket.receive()
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        assert socket.close_code == 1001
    async with session.ws_connect(f"{served.url}/alpha/echo/ws") as socket:
        assert await socket.receive_str() == "hello /ws"
        assert len(served.wire.connections) == 1


async def test_a_client_that_does_not_read_is_cut(
    served: Served, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks and asks and takes no answer; the others go on."""
    monkeypatch.setattr(exchange_sockets, "BUFFER_BYTES_MAX", 100_000)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(served.url.rpartition(":")[2]))
    writer.write(HANDSHAKE)
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    with pytest.raises(ConnectionError):
        await flood(writer)
    writer.close()
    assert served.server.cut == 1
    async with session.get(f"{served.url}/alpha/echo/b") as response:
        assert response.status == 200


async def flood(writer: asyncio.StreamWriter) -> None:
    """Frames of 100 kB, a hundred megabytes of them."""
    for _ in range(1_000):
        writer.write(b"\x81\xff" + (100_000).to_bytes(8, "big") + bytes(4) + b"x" * 100_000)
        await writer.drain()


async def test_too_much_at_once_is_refused(served: Served, session: aiohttp.ClientSession) -> None:
    """A body of two megabytes, and a frame."""
    async with session.post(f"{served.url}/alpha/echo/a", data=b"x" * 2_000_000) as response:
        assert response.status == 413
    async with session.ws_connect(f"{served.url}/alpha/echo/ws") as socket:
        await socket.receive_str()
        await socket.send_str("x" * 2_000_000)
        assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        assert socket.close_code == 1009
    assert served.exchange.done == []


async def test_a_market_moves_without_anybody_asking(session: aiohttp.ClientSession) -> None:
    """A timer wakes the venue when something is due."""
    made = Served()
    made.exchange._every_ns = 5_000_000
    made.exchange._next_ns = made.server.now_ns()
    port = await made.server.open()
    async with session.ws_connect(f"http://127.0.0.1:{port}/alpha/echo/ws") as socket:
        said = [await socket.receive_str() for _ in range(4)]
    await made.server.close()
    assert all(frame.startswith("depth") for frame in said[1:])


async def test_a_defect_met_by_one_client_is_told_and_the_others_are_served(
    served: Served, session: aiohttp.ClientSession, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its traceback is on stderr, and it is counted; who met it is hung up on, or answered 500."""
    async with (
        session.ws_connect(f"{served.url}/alpha/echo/ws") as socket,
        session.ws_connect(f"{served.url}/alpha/echo/ws") as other,
    ):
        await other.receive_str()
        await socket.receive_str()
        await socket.send_bytes(b"\xff\xfe")  # the echo cannot decode it
        assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        await other.send_str("order")
        assert await other.receive_str() == "done order"
    served.exchange.do = None  # type: ignore[method-assign, assignment]
    async with session.get(f"{served.url}/alpha/echo/a") as response:
        assert response.status == 500
    assert served.server.defects == 2
    assert "UnicodeDecodeError" in capfd.readouterr().err


async def test_many_clients_at_once(served: Served, session: aiohttp.ClientSession) -> None:
    """Each gets its own answers in order."""

    async def client(number: int) -> None:
        async with session.ws_connect(f"{served.url}/alpha/echo/ws") as socket:
            for turn in range(20):
                await socket.send_str(json.dumps([number, turn]))
            expected = [f"done {json.dumps([number, turn])}" for turn in range(20)]
            found: list[str] = []
            while len(found) < 20:
                said = await socket.receive_str()
                if said.startswith("done"):
                    found.append(said)
            assert found == expected

    await asyncio.gather(*(client(number) for number in range(30)))
    assert len(served.exchange.done) == 600


def test_the_same_on_the_loop_that_serves_it_in_earnest() -> None:
    """uvloop: a websocket, a request, and an end."""

    async def run() -> None:
        made = Served()
        url = f"http://127.0.0.1:{await made.server.open()}/alpha/echo"
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/ws") as socket:
            assert await socket.receive_str() == "hello /ws"
            async with session.get(f"{url}/a") as response:
                assert response.status == 200
            assert await socket.receive_str() == "order 1"
            await made.server.close()
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSED

    uvloop.run(run())
