"""A websocket server of Bybit's form in a process of its own: it floods, or sends at a pace.

It is the other end of venue_load. Books are random walks, seeded; each frame carries the monotonic
time at which it was written, so that the reader on the same machine knows how old it is.
"""

import asyncio
import multiprocessing
import time
from collections.abc import Sequence
from random import Random
from typing import Self

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

LEVELS = 50
MID = 5_000_000  # hundredths


def name_of(number: int) -> str:
    """The native name of a symbol."""
    return f"S{number:03d}USDT"


def _price(ticks: int) -> str:
    return f"{ticks // 100}.{ticks % 100:02d}"


def snapshot(number: int, sequence: int) -> bytes:
    """A whole book."""
    bids = ",".join(f'["{_price(MID - n)}","{n + 1}.5"]' for n in range(LEVELS))
    asks = ",".join(f'["{_price(MID + 1 + n)}","{n + 1}.5"]' for n in range(LEVELS))
    data = f'{{"s":"{name_of(number)}","b":[{bids}],"a":[{asks}],"u":{sequence}}}'
    return f'{{"topic":"orderbook.200.{name_of(number)}","type":"snapshot","data":{data}}}'.encode()


class Flow:
    """The frames of many symbols, each with its own count."""

    def __init__(self, symbols: Sequence[int], levels: int, seed: int) -> None:
        self._random = Random(seed)
        self._levels = levels
        self._symbols = symbols
        self._sequence = dict.fromkeys(symbols, 1)
        self._tails = [self._tail() for _ in range(2_000)]
        self.next = 0

    def _tail(self) -> str:
        """The levels of a frame: what costs time to make is made before."""
        near = [self._random.randrange(1, LEVELS) for _ in range(self._levels)]
        sizes = [self._random.choice(("0", f"{n}.25")) for n in near]
        half = len(near) // 2
        bids = [f'["{_price(MID - n)}","{s}"]' for n, s in zip(near[:half], sizes, strict=False)]
        asks = [
            f'["{_price(MID + 1 + n)}","{s}"]' for n, s in zip(near[half:], sizes, strict=False)
        ]
        return f'"b":[{",".join(bids)}],"a":[{",".join(asks)}]'

    def frame(self) -> bytes:
        """The next symbol's next difference, stamped."""
        symbol = self._symbols[self.next % len(self._symbols)]
        tail = self._tails[self.next % len(self._tails)]
        self.next += 1
        self._sequence[symbol] = number = self._sequence[symbol] + 1
        name = name_of(symbol)
        data = f'{{"s":"{name}",{tail},"u":{number}}}'
        head = f'{{"topic":"orderbook.200.{name}","type":"delta","data":{data}'
        return f'{head},"cts":{time.monotonic_ns()}}}'.encode()


class _Client(WSListener):
    """One connection: snapshots of its symbols when it subscribes, then frames until the end."""

    def __init__(self, symbols: Sequence[int], levels: int, rate: float, count: int) -> None:
        self._flow = Flow(symbols, levels, 7)
        self._symbols = symbols
        self._rate = rate
        self._count = count
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if self._task is None and frame.msg_type == WSMsgType.TEXT:
            self._task = asyncio.get_running_loop().create_task(self._send(transport))

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def _send(self, transport: WSTransport) -> None:
        for symbol in self._symbols:
            transport.send(WSMsgType.TEXT, snapshot(symbol, 1))
        await asyncio.sleep(0.5)  # the reader takes the snapshots in before the clock starts
        loop = asyncio.get_running_loop()
        began = loop.time()
        while self._flow.next < self._count:
            await self._writable.wait()
            due = self._count
            if self._rate:
                due = min(due, int((loop.time() - began) * self._rate) + 1)
            for _ in range(min(due - self._flow.next, 64)):
                transport.send(WSMsgType.TEXT, self._flow.frame())
            await asyncio.sleep(0 if not self._rate or self._flow.next < due else 0.0005)


def _serve(
    parts: list[list[int]], levels: int, rate: float, count: int, port: "multiprocessing.Queue[int]"
) -> None:
    async def run() -> None:
        taken = 0

        def listener(request: WSUpgradeRequest) -> WSListener:
            nonlocal taken
            part = parts[taken % len(parts)]
            taken += 1
            return _Client(part, levels, rate / len(parts), count // len(parts))

        server = await ws_create_server(listener, "127.0.0.1", 0)
        port.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(run())


class Flood:
    """The server's process; a context."""

    def __init__(self, parts: list[list[int]], levels: int, rate: float, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        port: multiprocessing.Queue[int] = context.Queue()
        self._process = context.Process(
            target=_serve, args=(parts, levels, rate, count, port), daemon=True
        )
        self._process.start()
        self.url = f"ws://127.0.0.1:{port.get(timeout=30)}/"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()
