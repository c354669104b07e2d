"""A venue's socket against a real server: TLS, the pace of frames, pings, messages in fragments."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from engine.edges.venue_http import AskError
from engine.edges.venue_socket import VenueSocket
from engine.messages import AnyMessage, Connected, Frame
from engine.venues.handler import Endpoint

WAIT_S = 10


class Server(WSListener):
    """Keeps what it is sent, and when."""

    def __init__(self) -> None:
        self.taken: list[tuple[float, bytes]] = []
        self.open = asyncio.Event()
        self.heard = asyncio.Event()
        self.transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self.open.set()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            now = asyncio.get_running_loop().time()
            self.taken.append((now, frame.get_payload_as_bytes()))
            self.heard.set()

    async def until(self, count: int) -> None:
        """Wait for so many frames."""
        while len(self.taken) < count:
            self.heard.clear()
            await asyncio.wait_for(self.heard.wait(), WAIT_S)


class Inbox:
    """Keeps what the socket says."""

    def __init__(self) -> None:
        self.messages: list[AnyMessage] = []
        self.said = asyncio.Event()

    def inject(self, message: AnyMessage) -> None:
        """Kept."""
        self.messages.append(message)
        self.said.set()

    def next_shell_sequence(self) -> int:
        """A number."""
        return len(self.messages) + 1

    async def until(self, kind: type, count: int = 1) -> list[Any]:
        """Wait for so many messages of a kind."""
        while len(found := [m for m in self.messages if isinstance(m, kind)]) < count:
            self.said.clear()
            await asyncio.wait_for(self.said.wait(), WAIT_S)
        return found


class Line:
    """A server, and a socket that is kept open to it."""

    def __init__(self, server: Server, inbox: Inbox, socket: VenueSocket, task: Any) -> None:
        self.server = server
        self.inbox = inbox
        self.socket = socket
        self.task = task


async def lined(endpoint: Endpoint, context: ssl.SSLContext | None = None) -> Line:
    """A socket on its way to a server of its own."""
    server, inbox = Server(), Inbox()

    def listener(request: WSUpgradeRequest) -> WSListener:
        return server

    listening = await ws_create_server(listener, "127.0.0.1", 0, ssl=context)
    port = listening.sockets[0].getsockname()[1]

    async def address() -> str:
        return f"ws{'s' if context else ''}://127.0.0.1:{port}/"

    socket = VenueSocket(inbox, 0, 0, address, endpoint, lambda: 7)
    task = asyncio.get_running_loop().create_task(socket.keep_open())
    return Line(server, inbox, socket, task)


async def ended(line: Line) -> None:
    """Close the socket."""
    line.task.cancel()
    await asyncio.gather(line.task, return_exceptions=True)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that nobody knows, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = tmp_path / "public.pem", tmp_path / "private.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return public, context


async def test_tls_with_a_certificate_that_is_trusted(
    certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE names further authorities, as for any program."""
    public, context = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(public))
    line = await lined(Endpoint("", ""), context)
    await line.inbox.until(Connected)
    assert line.socket.send(b"hello")
    await line.server.until(1)
    assert line.server.taken[0][1] == b"hello"
    await ended(line)


async def test_tls_with_a_certificate_that_is_not_trusted(
    certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is refused, and tried again; nothing is ever sent on it."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    line = await lined(Endpoint("", ""), certificate[1])
    tries: list[ssl.SSLError] = []
    connect = line.socket._connect

    async def counted() -> WSTransport:
        try:
            return await connect()
        except ssl.SSLError as error:
            tries.append(error)
            line.inbox.said.set()
            raise

    line.socket._connect = counted  # type: ignore[method-assign]
    while len(tries) < 2:
        line.inbox.said.clear()
        await asyncio.wait_for(line.inbox.said.wait(), WAIT_S)
    assert "CERTIFICATE_VERIFY_FAILED" in str(tries[0])
    assert line.inbox.messages == []
    assert not line.socket.send(b"order")
    await ended(line)


async def test_an_address_that_is_refused_is_asked_for_again_when_that_is_allowed() -> None:
    """The exchange that gives it may say how long to stay away, as with any other request."""
    asked: list[float] = []
    enough = asyncio.Event()

    async def address() -> str:
        asked.append(asyncio.get_running_loop().time())
        if len(asked) == 2:
            enough.set()
        raise AskError("status 429", 0.5)

    socket = VenueSocket(Inbox(), 0, 0, address, Endpoint("", ""), lambda: 7)
    task = asyncio.get_running_loop().create_task(socket.keep_open())
    await asyncio.wait_for(enough.wait(), WAIT_S)
    assert asked[1] - asked[0] >= 0.5
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_subscriptions_keep_the_exchanges_pace_and_their_order() -> None:
    """Twenty a second: six frames take a quarter of a second, and an order does not wait for them."""
    line = await lined(Endpoint("", "", frames_per_second=20.0))
    await line.inbox.until(Connected)
    for number in range(6):
        assert line.socket.send_paced(b"%d" % number)
    assert line.socket.send(b"order")
    await line.server.until(7)
    payloads = [payload for _, payload in line.server.taken]
    assert payloads.index(b"order") <= 1
    assert [p for p in payloads if p != b"order"] == [b"%d" % number for number in range(6)]
    times = [at for at, payload in line.server.taken if payload != b"order"]
    assert times[-1] - times[0] >= 5 / 20 - 0.02
    await ended(line)


async def test_the_exchanges_ping_is_sent_again_and_again() -> None:
    """Some exchanges close a client that does not speak."""
    line = await lined(Endpoint("", "", frames_per_second=1e6, ping=b"ping", ping_every_s=0.02))
    await line.server.until(3)
    assert {payload for _, payload in line.server.taken} == {b"ping"}
    await ended(line)


async def test_a_message_in_fragments_is_one_frame() -> None:
    """With a control frame between them, as the protocol allows."""
    line = await lined(Endpoint("", ""))
    await asyncio.wait_for(line.server.open.wait(), WAIT_S)
    transport = line.server.transport
    assert transport is not None
    transport.send(WSMsgType.TEXT, b'{"a":', fin=False)
    transport.send_ping(b"")
    transport.send(WSMsgType.CONTINUATION, b"[1,", fin=False)
    transport.send(WSMsgType.CONTINUATION, b"2]}", fin=True)
    transport.send(WSMsgType.TEXT, b"next")
    frames = await line.inbox.until(Frame, 2)
    assert [frame.payload for frame in frames] == [b'{"a":[1,2]}', b"next"]
    assert [frame.received_ns for frame in frames] == [7, 7]
    await ended(line)
