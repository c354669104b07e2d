"""The simulated exchange's process: its venues behind one port of loopback, a path for each.

It keeps its state while clients come and go, cuts a client that does not read, and ends when its
parent does, so that a killed engine leaves nothing behind.
"""

import asyncio
import ctypes
import os
import signal
import time
from collections.abc import Callable

from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from engine.config import Config, instruments_of, units_of
from engine.exchange.exchange import Exchange
from engine.exchange.market import FlowMarket

BUFFER_BYTES_MAX = 16 * 1024 * 1024
PR_SET_PDEATHSIG = 1


def make_exchange(config: Config, place: int, begin_ns: int) -> Exchange:
    """One venue of the exchange as configured; its market begins at `begin_ns`."""
    instruments = instruments_of(config).of_venue(place)
    venue = config.venues[place].name
    market = FlowMarket(
        venue,
        place,
        instruments,
        {symbol: float(price) for symbol, price in config.exchange.prices.items()},
        config.seed,
        config.exchange.events_per_second,
        config.exchange.fair_volatility_bps,
        config.exchange.noise_bps,
        begin_ns,
    )
    return Exchange(
        venue, instruments, market, opening_balances(config, venue), latency_ns(config), config.seed
    )


def opening_balances(config: Config, venue: str) -> dict[str, int]:
    """What a venue's account starts with, in units. Raises ConfigError."""
    amounts = config.exchange.balances.get(venue, {})
    return {asset: units_of(config, asset, amount) for asset, amount in amounts.items()}


def latency_ns(config: Config) -> int:
    """How long a request takes to the exchange and into effect."""
    return int(config.exchange.latency_ms * 1e6)


class _Client(WSListener):
    """One client's connection to one venue."""

    def __init__(self, server: "ExchangeServer", venue: str, number: int) -> None:
        self._server = server
        self.venue = venue
        self.number = number
        self.transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self._server.connected(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type in (WSMsgType.TEXT, WSMsgType.BINARY):
            self._server.received(self, frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._server.disconnected(self)


class ExchangeServer:
    """Runs the exchanges on the event loop, each woken when something of it is due."""

    def __init__(self, exchanges: dict[str, Exchange]) -> None:
        self._exchanges = exchanges
        self._clients: dict[tuple[str, int], _Client] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._number = 0

    def accept(self, request: WSUpgradeRequest) -> WSListener | None:
        """A listener for a known path; None refuses the connection."""
        venue = request.path.decode().strip("/")
        if venue not in self._exchanges:
            return None
        self._number += 1
        return _Client(self, venue, self._number)

    def connected(self, client: _Client) -> None:
        """A client is through its handshake."""
        self._clients[client.venue, client.number] = client
        self._exchanges[client.venue].connect(client.number, time.time_ns())
        self._advance(client.venue)

    def disconnected(self, client: _Client) -> None:
        """A client is gone."""
        self._clients.pop((client.venue, client.number), None)
        self._exchanges[client.venue].disconnect(client.number)

    def received(self, client: _Client, payload: bytes) -> None:
        """A client's frame."""
        self._exchanges[client.venue].receive(client.number, payload, time.time_ns())
        self._advance(client.venue)

    def _advance(self, venue: str) -> None:
        """Send what is due; wake again for what is due next."""
        exchange = self._exchanges[venue]
        for number, frame in exchange.advance(time.time_ns()):
            client = self._clients.get((venue, number))
            if client is None or client.transport is None:
                continue
            client.transport.send(WSMsgType.TEXT, frame)
            if client.transport.underlying_transport.get_write_buffer_size() > BUFFER_BYTES_MAX:
                client.transport.disconnect()
        timer = self._timers.get(venue)
        if timer is not None:
            timer.cancel()
        wait_s = max(0.0, (exchange.next_due_ns() - time.time_ns()) / 1e9)
        loop = asyncio.get_running_loop()
        self._timers[venue] = loop.call_later(wait_s, self._advance, venue)


def die_with_parent(parent: int) -> None:
    """Ask the kernel for SIGTERM when the parent dies; at once if it already has."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(0)


async def serve(config: Config, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is given the address, without a path."""
    begin_ns = time.time_ns()
    simulated = [place for place, v in enumerate(config.venues) if v.kind == "simulated"]
    server = ExchangeServer(
        {config.venues[place].name: make_exchange(config, place, begin_ns) for place in simulated}
    )
    listening = await ws_create_server(server.accept, "127.0.0.1", 0)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    port = listening.sockets[0].getsockname()[1]
    ready(f"ws://127.0.0.1:{port}")
    await ended.wait()
    listening.close()
