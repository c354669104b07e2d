"""The tick-to-order rig: real components, journal and bus around one tick source and one order sink.

A tick is the bytes of a recorded-format Binance frame given to the venue's decoder; the sample ends
when the bytes of the first order it causes are given to `send()` of a loopback TCP socket. The
other end of that socket is a process that ends every order at once, so that the next tick finds the
bot free. Decoding, books, scanner, bot, risk guard, inbox segments and journal (`os`) are the
engine's own; only the source of frames and the sink of orders are the rig's.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import uvloop

from benchmarks.frames import LOT, SYMBOL, TICK, frames, static_snapshot, ticking_snapshot
from engine.books import TrackedBook
from engine.bots.arbitrage import ArbitrageBot
from engine.component import Component
from engine.config import Config, instruments_of, parse
from engine.edges.directory import Directory, KillSwitchPage, create_page
from engine.edges.loop import ActorLoop, tune_process
from engine.ledger import Ledger
from engine.messages import (
    AnyMessage,
    Connected,
    Frame,
    OrderIntent,
    OrderRequest,
    Reason,
    SendFrame,
)
from engine.risk import RiskGuard
from engine.routes import Topology
from engine.scanner import Scanner
from engine.venue import Venue
from engine.venues.binance import BinanceHandler
from engine.venues.handler import AccountNews, News
from engine.venues.simulated_trading import SimulatedTrading
from engine.venues.trading import Request

ORDERS = 0  # the connection on which orders leave and their fates come back
FATE = b'{"type"'  # how a frame of the simulated exchange begins

CONFIG = f"""
name = "bench"
[[venues]]
name = "a"
order_timeout_ms = 60000
stale_ms = 600000
[[venues]]
name = "b"
order_timeout_ms = 60000
stale_ms = 600000
[[instruments]]
venue = "a"
symbol = "BTC/USDT"
native = "{SYMBOL}"
tick_size = "{TICK}"
lot_size = "{LOT}"
taker_fee = "0.0002"
[[instruments]]
venue = "b"
symbol = "BTC/USDT"
native = "{SYMBOL}"
tick_size = "{TICK}"
lot_size = "{LOT}"
taker_fee = "0.0002"
[scanner]
profit_min_bps = 1.0
quantity_max = {{ BTC = "0.01" }}
stale_ms = 600000
[risk]
order_notional_max = "100000"
position_max = {{ BTC = "1000" }}
price_distance_max_bps = 1000
stale_ms = 600000
orders_open_max = 100
[[bots]]
name = "arb"
cooldown_ms = 0
order_ttl_ms = 60000
groups_max = 4
"""
NAMES = ("venue-a", "venue-b", "scanner", "risk", "ledger", "bot-arb")
KINDS = ("venue", "venue", "scanner", "risk", "ledger", "bot")
SPREAD = ("venues", "venues", "scanner", "risk", "risk", "bot")
FUSED = ("all",) * 6


class BenchHandler(BinanceHandler):
    """Binance's frames in; what becomes of orders in the simulated exchange's protocol."""

    def open(self, now_ns: int) -> tuple[bytes, ...]:
        """The rig's source needs no subscription."""
        return ()

    def decode(self, frame: Frame, books: Mapping[int, TrackedBook]) -> Sequence[News]:
        """By their first bytes: market data, or what became of orders."""
        if frame.payload.startswith(FATE):
            return [AccountNews(frame.payload)]
        return super().decode(frame, books)


class BenchTrading(SimulatedTrading):
    """The simulated exchange's orders, one line each."""

    def create(self, intent: OrderIntent, venue_ns: int, deadline_ns: int) -> Request:
        """The order's bytes, one line."""
        request = super().create(intent, venue_ns, deadline_ns)
        return request._replace(payload=request.payload + b"\n")


ANSWERS: dict[str, dict[str, object]] = {
    "login": {"type": "account"},
    "time": {"type": "time"},
    "open_orders": {"type": "open_orders", "orders": []},
    "fills": {"type": "fills", "fills": []},
    "balances": {"type": "balances", "balances": {}},
}
"""What the venue says of an account on which nothing is."""


SINK = """
import socket, sys, json
server = socket.socket(); server.bind(("127.0.0.1", 0)); server.listen(1)
print(server.getsockname()[1], flush=True)
client, _ = server.accept()
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
rest = b""
while data := client.recv(65536):
    lines = (rest + data).split(b"\\n")
    rest = lines.pop()
    out = b""
    for line in lines:
        order = json.loads(line)
        fate = {"type": "order", "state": "cancelled", "filled": "0"}
        for name in ("client_id", "symbol", "side", "price", "qty"):
            fate[name] = order[name]
        out += json.dumps(fate).encode() + b"\\n"
    client.sendall(out)
"""


def start_sink() -> tuple["subprocess.Popen[str]", int]:
    """The process at the other end of the orders' socket, and its port."""
    process = subprocess.Popen(
        [sys.executable, "-c", SINK], stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


class Sink:
    """The orders' socket on an actor's event loop. Implements `engine.edges.gate.Gateway`."""

    def __init__(self, loop: ActorLoop, port: int) -> None:
        self.samples: list[int] = []
        self._loop = loop
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._rest = b""
        self._last = 0
        self.answered = threading.Event()
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def perform(self, effect: AnyMessage) -> Reason:
        """Stamp and send; only the first order of a tick is a sample."""
        if isinstance(effect, SendFrame):
            self._answer(effect)
        if not isinstance(effect, OrderRequest):
            return Reason.NONE
        now_ns = self._loop.directory.now_ns()
        self._socket.send(effect.payload)
        if effect.received_ns != self._last:
            self._last = effect.received_ns
            self.samples.append(now_ns - effect.received_ns)
        return Reason.NONE

    def _answer(self, effect: SendFrame) -> None:
        """What the gateway asks of its account, it is told after its step."""
        asked = json.loads(effect.payload)
        said = ANSWERS.get(asked["op"])
        if said is not None:
            now_ns = self._loop.directory.now_ns()
            data = json.dumps({**said, "ref": asked.get("ref", 0), "ts": now_ns}).encode()
            number = self._loop.next_shell_sequence()
            frame = Frame(0, number, 0, effect.venue, ORDERS, 0, data)
            asyncio.get_running_loop().call_soon(self._loop.inject, frame)

    def _read(self) -> None:
        lines = (self._rest + self._socket.recv(65536)).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            loop = self._loop
            # Both legs go to the venue that sent them: ids are unique, the other ignores it.
            for venue in (0, 1):
                number = loop.next_shell_sequence()
                loop.inject(Frame(0, number, 0, venue, ORDERS, 0, line))
        self.answered.set()


def components(config: Config, numbers: Sequence[int]) -> list[Component]:
    """The rig's components by their numbers in NAMES."""
    instruments = instruments_of(config)
    natives = dict.fromkeys(range(2), SYMBOL)
    made: dict[int, Component] = {}
    for number in numbers:
        match KINDS[number - 1]:
            case "venue":
                place = number - 1
                made[number] = Venue(
                    number,
                    place,
                    config.venues[place],
                    instruments,
                    lambda part: BenchHandler(part, {i.id: natives[i.id] for i in part}),
                    BenchTrading(instruments.of_venue(place), natives),
                )
            case "scanner":
                made[number] = Scanner(number, instruments, config.scanner)
            case "risk":
                made[number] = RiskGuard(number, instruments, config.risk)
            case "ledger":
                made[number] = Ledger(number, instruments)
            case _:
                made[number] = ArbitrageBot(number, instruments, config.bots[0], "bench")
    return list(made.values())


class RigActor:
    """One actor of the rig; also usable without Ray, in the caller's process."""

    def __init__(self, run: str, folder: str, actor: str, actors: Sequence[str], port: int) -> None:
        tune_process()
        self._directory = Directory(run, tuple(actors))
        placement = FUSED if actor == "all" else SPREAD
        topology = Topology(NAMES, KINDS, placement)
        config = parse(CONFIG, "bench")
        epoch = self._directory.claim(actor)
        page, memory = create_page(run, actor, epoch)
        self.has_venues = actor in ("all", "venues")
        bus = None
        if actor != "all":
            from engine.edges.bus import SharedMemoryBus

            bus = SharedMemoryBus(
                self._directory, actor, epoch, page, memory, 4096, pipe=self.has_venues
            )
        self._port = port
        self._sink: Sink | None = None
        self._frames: list[bytes] = []
        self.loop = ActorLoop(
            components(config, topology.in_actor(actor)),
            topology,
            self._directory,
            Path(folder) / actor,
            config.engine,
            epoch,
            page,
            KillSwitchPage(Path(folder) / "kill-switch", create=True),
            bus,
        )
        self.loop.restore()
        self.loop.open()
        run_loop = self._run_async if self.has_venues else self.loop.run_thread
        self._thread = threading.Thread(target=run_loop, daemon=True)
        self._thread.start()

    def _run_async(self) -> None:
        async def main() -> None:
            self._event_loop = asyncio.get_running_loop()
            self._sink = Sink(self.loop, self._port)
            self.loop.gate.gateway = self._sink
            await self.loop.run_async()

        uvloop.run(main())

    def ready(self) -> int:
        """The process id, once the actor serves."""
        while self.has_venues and self._sink is None:
            time.sleep(0.001)
        return os.getpid()

    def thread_cpu_ns(self) -> tuple[int, int]:
        """CPU of the loop's own thread and of the whole process, from the page's last heartbeat."""
        from engine.edges.directory import Counter

        page = self.loop.page
        return page.get(Counter.THREAD_CPU_NS), page.get(Counter.CPU_NS)

    def prepare(self, count: int) -> None:
        """Books filled: both venues connected, snapshots applied, frames made."""
        self._frames = frames(count, 7)
        self._give_and_wait(Connected(0, self.loop.next_shell_sequence(), 0, 0, 0))
        self._give_and_wait(Connected(0, self.loop.next_shell_sequence(), 0, 1, 0))
        about = f"/api/v3/depth?symbol={SYMBOL}&limit=1000"
        for venue, body in ((1, static_snapshot()), (0, ticking_snapshot())):
            number = self.loop.next_shell_sequence()
            now_ns = self._directory.now_ns()
            self._give_and_wait(Frame(0, number, now_ns, venue, 0, 1, body, about))

    def _give_and_wait(self, message: AnyMessage) -> None:
        done = threading.Event()

        def give() -> None:
            self.loop.inject(message)
            done.set()

        self._event_loop.call_soon_threadsafe(give)
        done.wait(5)

    def _tick(self, payload: bytes) -> None:
        number = self.loop.next_shell_sequence()
        self.loop.inject(Frame(0, number, self._directory.now_ns(), 0, 0, 0, payload))

    def pace(self, interval_us: int, count: int, offset: int, warm_up: int) -> list[int]:
        """Give `count` ticks each `interval_us` (0: the next when the last is answered)."""
        sink = self._sink
        assert sink is not None
        due = time.monotonic()
        for place in range(offset, offset + count + warm_up):
            if place == offset + warm_up:
                sink.samples.clear()
            if interval_us:
                due += interval_us / 1e6
                wait_s = due - time.monotonic()
                if wait_s > 0:
                    time.sleep(wait_s)
            sink.answered.clear()
            self._event_loop.call_soon_threadsafe(self._tick, self._frames[place])
            if not interval_us:
                sink.answered.wait(1)
        time.sleep(0.2)
        return list(sink.samples)

    def stop(self) -> None:
        """End the loop."""
        self.loop.stop()
        self._thread.join(5)
