"""Serves the control API on an event loop that is already running, beside the view component."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn
from litestar import Litestar

from actors.api.app import create_app
from actors.api.source import Source
from engine.api_config import ApiConfig
from engine.edges.loop import ActorLoop
from engine.edges.statistics import Statistics
from engine.messages import AnyMessage
from engine.monitor import Monitor


class PortTakenError(RuntimeError):
    """The API's port is used by another program."""


def listen(config: ApiConfig) -> socket.socket:
    """A listening socket of loopback; raises PortTakenError."""
    family = socket.AF_INET6 if config.host == "::1" else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((config.host, config.port))
        listening.listen()  # two may bind a port that nobody listens on yet; only one may listen
    except OSError as error:
        listening.close()
        raise PortTakenError(
            f"api.port {config.port} cannot be used ({error.strerror}); choose another or 0"
        ) from error
    return listening


class GuestServer(uvicorn.Server):
    """A server in a process that is not its own: Ctrl-C belongs to the engine, which drains."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signal."""
        yield


async def serve_app(app: Litestar, listening: socket.socket) -> None:
    """Serve until cancelled, then close every connection and the socket before returning."""
    server = GuestServer(
        uvicorn.Config(
            app,
            loop="none",
            http="httptools",
            ws="websockets-sansio",
            ws_max_size=64 * 1024,
            access_log=False,
            log_level="warning",
            lifespan="on",
            timeout_graceful_shutdown=1,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await asyncio.shield(serving)  # a cancelled uvicorn would leave its connections open
    finally:
        server.should_exit = True
        await serving


def make_source(loop: ActorLoop, monitor: Monitor, runtime: str) -> Source:
    """What the routes read, from the actor that hosts the view."""
    topology = loop.host.topology
    components = {
        actor: [topology.name(number) for number in topology.in_actor(actor)]
        for actor in topology.actors
    }
    statistics = Statistics(loop.directory, components)

    def tell(make: Callable[[int], AnyMessage]) -> None:
        loop.inject(make(loop.next_shell_sequence()))

    return Source(monitor, loop.directory, statistics, loop.kill_switch, runtime, tell)


async def serve_api(
    loop: ActorLoop,
    monitor: Monitor,
    config: ApiConfig,
    token: str,
    folder: Path,
    runtime: str,
) -> None:
    """Serve the API of a run; its address is written to `api-address` in the run's folder.

    A successor takes the address its predecessor had, so that clients find it again.
    """
    address = folder / "api-address"
    if config.port == 0 and address.exists():
        config = ApiConfig(config.host, int(address.read_text().rpartition(":")[2]))
    with listen(config) as listening:
        host, port = listening.getsockname()[:2]
        address.write_text(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        # Building the routes takes 0.3 s of a core: on the loop, a busy machine would miss heartbeats.
        app = await asyncio.to_thread(create_app, make_source(loop, monitor, runtime), token)
        await serve_app(app, listening)
