"""Clients of the simulated exchange in a process of their own: they order, by a pace or as fast as answered.

It is the other end of exchange_server. Plain sockets and one poll: what a client costs is to be little
beside what the server does. Each order has the time it was due at, not the time it left: a client
that is kept waiting still counts what came after.
"""

import base64
import hashlib
import multiprocessing
import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HELLO_S = 2.0
GRACE_S = 5.0


def masked(payload: bytes) -> bytes:
    """A client's text frame. The mask is zero, which masks nothing and costs nothing."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, 0x80 | size)) + bytes(4) + payload
    return b"\x81\xfe" + size.to_bytes(2, "big") + bytes(4) + payload


def frames(buffer: bytearray) -> Iterator[bytes]:
    """The whole frames at the head of a buffer; what is left of it stays."""
    at = 0
    while len(buffer) - at >= 2:
        size, head = buffer[at + 1], 2
        if size == 126:
            size, head = int.from_bytes(buffer[at + 2 : at + 4], "big"), 4
        elif size == 127:
            size, head = int.from_bytes(buffer[at + 2 : at + 10], "big"), 10
        if len(buffer) - at < head + size:
            break
        yield bytes(buffer[at + head : at + head + size])
        at += head + size
    del buffer[:at]


def responses(buffer: bytearray) -> Iterator[bytes]:
    """The whole HTTP responses at the head of a buffer, status line and body."""
    while (end := buffer.find(b"\r\n\r\n")) >= 0:
        head = bytes(buffer[:end]).lower()
        found = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
        total = end + 4 + int(found or 0)
        if len(buffer) < total:
            return
        yield bytes(buffer[:total])
        del buffer[:total]


@dataclass
class Speech:
    """What the clients of one wire say. Orders are made before the clock starts.

    `hello` is sent once, `order(client, number)` gives an order's bytes and the text by which its
    acknowledgement is known, `bad` is what an answer holds that refuses.
    """

    path: str
    socket: bool
    hello: Callable[[int], Sequence[bytes]]
    order: Callable[[int, int], tuple[bytes, bytes]]
    bad: bytes


@dataclass
class Tally:
    """What came of it: seconds from due to acknowledged, refusals, and what has no answer."""

    sent: int = 0
    latencies: list[float] = field(default_factory=list)
    refused: int = 0
    example: bytes = b""
    seconds: float = 0.0

    @property
    def lost(self) -> int:
        """Orders that nothing was heard of."""
        return self.sent - len(self.latencies) - self.refused


class _Client:
    """One connection: the orders made for it, and those it waits for."""

    def __init__(self, number: int, port: int, speech: Speech, orders: int) -> None:
        self.speech = speech
        self.orders = [speech.order(number, place) for place in range(orders)]
        self.next = 0
        self.waits: deque[tuple[bytes, float]] = deque()
        self.buffer = bytearray()
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if speech.socket:
            key = base64.b64encode(hashlib.sha256(b"%d" % number).digest()[:16]).decode()
            head = (
                f"GET {speech.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
            )
            self.socket.sendall(head.encode())
            while b"\r\n\r\n" not in self.buffer:
                self.buffer += self.socket.recv(65_536)
            assert b" 101 " in self.buffer[:32], bytes(self.buffer)
            del self.buffer[: self.buffer.find(b"\r\n\r\n") + 4]
        for payload in speech.hello(number):
            self.socket.sendall(payload)

    def send(self, due: float) -> bool:
        """The next order; False when there is none left. One at a time where HTTP asks for that."""
        if self.next >= len(self.orders):
            return False
        data, known_by = self.orders[self.next]
        self.next += 1
        self.waits.append((known_by, due))
        if self.speech.socket or len(self.waits) == 1:
            self.socket.sendall(data)
        return True

    def take(self, tally: Tally) -> int:
        """What has come; how many orders it answers."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionError("the exchange hung up")
        self.buffer += data
        answered = 0
        for message in (frames if self.speech.socket else responses)(self.buffer):
            if not self.waits or (self.speech.socket and self.waits[0][0] not in message):
                continue
            _, due = self.waits.popleft()
            answered += 1
            if self.speech.bad in message:
                tally.refused += 1
                tally.example = message
            else:
                tally.latencies.append(time.perf_counter() - due)
            if self.waits and not self.speech.socket:
                self.socket.sendall(self.orders[self.next - len(self.waits)][0])
        return answered


def drive(clients: Sequence[_Client], rate: float, seconds: float, tally: Tally) -> None:
    """Order for so long: `rate` a second over all clients, or 0: each the next when it is answered."""
    poll = select.epoll()
    by_number = {client.socket.fileno(): client for client in clients}
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    until = time.perf_counter() + HELLO_S
    while time.perf_counter() < until:
        for number, _ in poll.poll(0.05):
            by_number[number].take(tally)
    began = time.perf_counter()
    due = 0
    if not rate:
        for client in clients:
            tally.sent += client.send(time.perf_counter())
    while (now := time.perf_counter()) < began + seconds:
        while rate and began + due / rate <= now:
            tally.sent += clients[due % len(clients)].send(began + due / rate)
            due += 1
        for number, _ in poll.poll(0 if rate else 0.05):
            answered = by_number[number].take(tally)
            if not rate and answered:
                tally.sent += by_number[number].send(time.perf_counter())
    tally.seconds = time.perf_counter() - began
    until = time.perf_counter() + GRACE_S
    while tally.lost and time.perf_counter() < until:
        for number, _ in poll.poll(0.05):
            by_number[number].take(tally)


def _run(
    results: "multiprocessing.Queue[Tally]",
    port: int,
    speech: str,
    count: int,
    rate: float,
    seconds: float,
) -> None:
    from benchmarks.exchange_server import SPEECHES

    orders = int((rate or 12_000) * seconds / count) + 2
    clients = [_Client(number, port, SPEECHES[speech](), orders) for number in range(count)]
    tally = Tally()
    drive(clients, rate, seconds, tally)
    results.put(tally)


def load(port: int, speech: str, count: int, rate: float, seconds: float) -> Tally:
    """Let so many clients order, in a process of their own."""
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[Tally] = context.Queue()
    process = context.Process(
        target=_run, args=(results, port, speech, count, rate, seconds), daemon=True
    )
    process.start()
    try:
        return results.get(timeout=seconds + 120)
    finally:
        process.join(5)


def cpu_s(pid: int) -> float:
    """What a process has used of the processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
