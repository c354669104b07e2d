"""The one Ray class that hosts any components: a loop on its own thread, Ray's calls beside it.

Ray starts, names and kills shells and carries control calls; no market data and no order passes
through it. A shell is made empty (a standby has everything imported and waits) and is given its
role by `assume`, so that a successor serves within a fraction of a second.
"""

import asyncio
import gc
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import uvloop

from engine.assembly import build, topology_of
from engine.config import VenueConfig, instruments_of, parse
from engine.edges.bus import SharedMemoryBus
from engine.edges.ccxt_client import load_ccxt
from engine.edges.directory import (
    ActorState,
    Counter,
    Directory,
    KillSwitchPage,
    create_page,
)
from engine.edges.feeds import open_feeds
from engine.edges.journal import JournalError
from engine.edges.loop import ActorLoop, tune_process
from engine.edges.runs import RECORDER, kill_switch_path
from engine.monitor import Monitor
from engine.venue import Venue

if TYPE_CHECKING:
    from engine.edges.tape_recording import TapeRecording


def _speaks_ccxt(venue: VenueConfig) -> bool:
    return "ccxt" in (venue.protocol, venue.trading.gateway)


class Role(msgspec.Struct, frozen=True):
    """What a shell is to be: an actor of a run, in an epoch; `exchange` is the simulated one's url."""

    run: str
    folder: str
    actor: str
    epoch: int
    actors: tuple[str, ...]
    exchange: str
    token: str


class Shell:
    """Hosts one actor. All public methods are Ray calls and answer while the actor trades."""

    def __init__(self) -> None:
        tune_process()
        self._loop: ActorLoop | None = None
        self._thread: threading.Thread | None = None
        self._recording: TapeRecording | None = None

    def ready(self) -> int:
        """The process id, once the process is up."""
        return os.getpid()

    def assume(self, packed: bytes) -> int:
        """Take a role: restore its state, join the bus, serve. Returns the process id.

        Called once; raises JournalError when the state cannot be restored.
        """
        role = msgspec.msgpack.decode(packed, type=Role)
        directory = Directory(role.run, role.actors)
        folder = Path(role.folder)
        config = parse((folder / "config.toml").read_text(), str(folder / "config.toml"))
        page, memory = create_page(role.run, role.actor, role.epoch)
        if role.actor == RECORDER:
            from engine.edges.tape_recording import TapeRecording  # Arrow loads only here

            self._recording = TapeRecording(folder, directory, role.epoch, page)
            self._start(self._recording.run)
            return os.getpid()
        topology = topology_of(config)
        instruments = instruments_of(config)
        components = build(config, topology, instruments, role.actor)
        if any(isinstance(c, Venue) and _speaks_ccxt(config.venues[c.venue]) for c in components):
            load_ccxt()
        on_event_loop = any(c.kind in ("venue", "view") for c in components)
        bus = SharedMemoryBus(
            directory,
            role.actor,
            role.epoch,
            page,
            memory,
            config.engine.outbox_max,
            pipe=on_event_loop,
        )
        bus.clean_dead()
        loop = ActorLoop(
            components,
            topology,
            directory,
            folder / role.actor,
            config.engine,
            role.epoch,
            page,
            KillSwitchPage(kill_switch_path(config)),
            bus,
        )
        try:
            loop.restore()
        except JournalError as error:
            loop.fail(error)
            raise
        self._loop = loop
        if not on_event_loop:
            loop.open()
            self._start(loop.run_thread)
            return os.getpid()
        monitors = [c for c in components if isinstance(c, Monitor)]
        serve = self._serve_async(loop, role, monitors[0] if monitors else None)
        loop.open()
        self._start(lambda: uvloop.run(serve))
        return os.getpid()

    async def _serve_async(self, loop: ActorLoop, role: Role, monitor: Monitor | None) -> None:
        """An actor with sockets: venues' connections, or the control API beside the view."""
        config = parse((Path(role.folder) / "config.toml").read_text(), "config.toml")
        feeds = open_feeds(loop, config, role.exchange)
        server = None
        if monitor is not None:
            from actors.api.serving import serve_api  # the web framework loads only here

            server = asyncio.create_task(
                serve_api(loop, monitor, config.api, role.token, Path(role.folder), "cluster")
            )
        try:
            await loop.run_async()
        finally:
            await feeds.close()
            if server is not None:
                server.cancel()
                await asyncio.gather(server, return_exceptions=True)

    def _start(self, run: Callable[[], None]) -> None:
        gc.collect()
        self._thread = threading.Thread(target=run, name="component", daemon=True)
        self._thread.start()

    def status(self) -> dict[str, int | str]:
        """What the page says, and why it failed if it did."""
        loop = self._loop
        if loop is None:
            return {"state": ActorState.STARTING.name}
        return {
            "state": ActorState(loop.page.state).name,
            "messages_in": loop.page.get(Counter.MESSAGES_IN),
            "restored_inputs": loop.restored_inputs,
            "error": loop.error,
        }

    def drain(self) -> None:
        """Start nothing new."""
        if self._loop is not None:
            self._loop.draining = True

    def snapshot(self) -> bytes:
        """The host's state after the loop has stopped; raises RuntimeError while it runs."""
        thread = self._thread
        if self._loop is None or (thread is not None and thread.is_alive()):
            raise RuntimeError("a snapshot is taken of a stopped actor; call stop first")
        return self._loop.host.snapshot()

    def stop(self) -> None:
        """End the loop and wait for its thread; mail left behind stays with its senders."""
        if self._loop is not None:
            self._loop.stop()
        if self._recording is not None:
            self._recording.stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
