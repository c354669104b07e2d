"""The API's stream under clients that read slowly, leave or are many; its server's start and end."""

import asyncio
import contextlib
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop
import websockets
from litestar import Litestar

from actors.api import app as app_module
from actors.api import serving
from actors.api.app import STREAMS_MAX, TRY_LATER, create_app
from actors.api.serving import listen, serve_api, serve_app
from actors.api.source import Section, Source
from engine.api_config import ApiConfig
from engine.config import parse
from engine.edges.api_client import ApiClient, ApiError, EngineView
from engine.edges.solo import SoloRun
from engine.monitor import Monitor
from engine.views import RiskView, View
from tests.api_rig import DEMO, TOKEN, Server

BULK = "x" * 100_000
PATIENCE_S = 10.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests."""
    server = Server(tmp_path_factory.mktemp("stream"))
    yield server
    server.close()


def address(server: Server) -> str:
    """Where its stream is."""
    return f"ws://127.0.0.1:{server.port}/api/v1/stream"


class Bulky:
    """The source's sections, with one that is large and new at each look; counts the looks."""

    def __init__(self, server: Server) -> None:
        self._section = server.source.section
        self.looks = 0
        self.version = 0

    def section(self, name: Section) -> View | list[View]:
        """The risk section is replaced; every other is the source's own."""
        if name != "risk":
            return self._section(name)
        self.looks += 1
        return RiskView(level=f"{self.version} {self.looks} {BULK}", kill_switch=False)


async def until_still(bulky: Bulky) -> int:
    """Wait until the stream looks no more: for a hundred times its pace nothing was looked at."""
    deadline = time.monotonic() + PATIENCE_S
    looks = -1
    while looks != bulky.looks:
        assert time.monotonic() < deadline, "it never waited for its client"
        looks = bulky.looks
        await asyncio.sleep(100 * app_module.STREAM_EVERY_S)
    return looks


async def test_a_slow_client_is_waited_for(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing piles up for who does not read; when he reads he gets the newest, not the history."""
    bulky = Bulky(server)
    monkeypatch.setattr(app_module, "STREAM_EVERY_S", 0.002)
    monkeypatch.setattr(server.source, "section", bulky.section)
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.connect(("127.0.0.1", server.port))
    async with websockets.connect(
        address(server), sock=narrow, max_queue=1, compression=None
    ) as slow:
        waited_at = await until_still(bulky)
        bulky.version = 1
        received = 0
        while True:
            update = json.loads(await asyncio.wait_for(slow.recv(), PATIENCE_S))
            received += 1
            if update.get("risk", {"level": ""})["level"].startswith("1 "):
                break
    assert received <= waited_at + 1, "only what was under way before, then the newest"


async def test_a_stream_too_many_is_told_to_try_later(server: Server) -> None:
    """Each stream costs the actor time; when one leaves, there is room again."""
    open_streams = [await websockets.connect(address(server)) for _ in range(STREAMS_MAX)]
    try:
        async with websockets.connect(address(server)) as refused:
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await refused.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == TRY_LATER
        open_streams.pop().transport.abort()  # it vanishes without a word
        deadline = time.monotonic() + PATIENCE_S
        while True:
            async with websockets.connect(address(server)) as again:
                try:
                    assert "health" in json.loads(await again.recv())
                except websockets.ConnectionClosed:
                    assert time.monotonic() < deadline, "the place was never free again"
                    continue
            break
    finally:
        for stream in open_streams:
            await stream.close()


def servers() -> list[str]:
    """The server's own tasks that are alive on this loop."""
    codes = [getattr(task.get_coro(), "cr_code", None) for task in asyncio.all_tasks()]
    return [code.co_qualname for code in codes if code and "uvicorn" in code.co_filename]


async def serve_and_end(app: Litestar) -> None:
    """Serve with a stream open, end it, and see that nothing of it is left."""
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    listening = listen(ApiConfig("127.0.0.1", 0))
    port = listening.getsockname()[1]
    serving = asyncio.create_task(serve_app(app, listening))
    stream = await websockets.connect(f"ws://127.0.0.1:{port}/api/v1/stream")
    await stream.recv()
    assert servers()
    found = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert found == handlers, "Ctrl-C belongs to the engine"
    before = time.monotonic()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert not servers(), "it returns when all is closed, not before"
    assert time.monotonic() - before < 3
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    await asyncio.wait_for(stream.wait_closed(), PATIENCE_S)


def test_its_end_leaves_nothing_open(server: Server) -> None:
    """Cancelled, it closes streams and port before it returns, and it never took a signal."""
    uvloop.run(serve_and_end(create_app(server.source, TOKEN)))


async def serve_a_while(solo: SoloRun, token: str) -> str:
    """Serve a run's API until it has answered; its address."""
    monitor = next(c for c in solo.loop.host.components if isinstance(c, Monitor))
    port_free = ApiConfig("127.0.0.1", 0)
    serving_api = asyncio.create_task(
        serve_api(solo.loop, monitor, port_free, token, solo.folder, "solo")
    )
    deadline = time.monotonic() + PATIENCE_S
    address_file = solo.folder / "api-address"
    state = EngineView()
    while state.health is None:
        assert time.monotonic() < deadline, "the API never answered"
        with contextlib.suppress(ApiError, FileNotFoundError):
            state = await asyncio.to_thread(ApiClient(address_file.read_text()).state)
        await asyncio.sleep(0.01)
    assert state.health.run == solo.run
    serving_api.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving_api
    return address_file.read_text()


def test_a_runs_api_leaves_its_loop_alone_and_keeps_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slow part of starting runs beside the loop that trades; a successor is found again."""
    builders: list[threading.Thread] = []

    def recorded(source: Source, token: str) -> Litestar:
        builders.append(threading.current_thread())
        return create_app(source, token)

    monkeypatch.setattr(serving, "create_app", recorded)
    text = DEMO.replace('state_dir = "runs"', f'state_dir = "{tmp_path}"')
    solo = SoloRun(parse(text, "demo"), text)
    try:
        first = uvloop.run(serve_a_while(solo, TOKEN))
        assert uvloop.run(serve_a_while(solo, TOKEN)) == first
    finally:
        solo.close()
    assert len(builders) == 2
    assert threading.main_thread() not in builders
