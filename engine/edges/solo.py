"""The solo runtime: every component in one process on one event loop, the real clock, no Ray.

The simulated exchange is still a process of its own. A tape is played by the simulation's event
queue instead, paced by the real clock: the same order of events, and so the same orders, as the
backtest of that tape.
"""

import asyncio
import os
import secrets
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import uvloop

from engine.api_config import ApiConfig
from engine.assembly import SOLO_ACTOR, build_all, solo_topology
from engine.config import Config, instruments_of, on_own_exchange
from engine.edges.comparison import Comparison, compare_accounts
from engine.edges.directory import Counter, Directory, KillSwitchPage, create_page
from engine.edges.exchange_process import ExchangeProcess
from engine.edges.feeds import open_feeds
from engine.edges.loop import ActorLoop, tune_process
from engine.edges.runs import (
    CurrentRun,
    OpenedRun,
    current_path,
    kill_switch_path,
    write_current,
)
from engine.edges.store_process import StoreProcess
from engine.ledger import Ledger
from engine.monitor import Monitor
from engine.venue import Venue, VenueState

DRAIN_TIMEOUT_S = 10.0
POLL_S = 0.05
ServeApi = Callable[[ActorLoop, Monitor, ApiConfig, str, Path, str], Awaitable[None]]


class SoloRun:
    """One run in this process."""

    def __init__(self, config: Config, text: str, resume: bool = False) -> None:
        self.config = config
        self.topology = solo_topology(config)
        self.opened = OpenedRun(config, text, self.topology.actors, resume)
        self.run, self.folder = self.opened.run, self.opened.folder
        self.directory = Directory(self.run, self.topology.actors, create=True)
        actor = self.topology.actors[0]
        self.directory.resume(actor, self.opened.epochs.get(actor, 0))
        epoch = self.directory.claim(actor)
        page, _ = create_page(self.run, actor, epoch)
        instruments = instruments_of(config)
        self.loop = ActorLoop(
            build_all(config, self.topology, instruments),
            self.topology,
            self.directory,
            self.folder / actor,
            config.engine,
            epoch,
            page,
            KillSwitchPage(kill_switch_path(config), create=True),
            None,
        )
        self.exchange: ExchangeProcess | None = None
        self._named = False
        self._named_with_api = False

    @property
    def ledger(self) -> Ledger:
        """The run's Ledger component."""
        return next(c for c in self.loop.host.components if isinstance(c, Ledger))

    async def serve(
        self, seconds: float | None, tick: Callable[[], None], serve_api: ServeApi | None = None
    ) -> bool:
        """Trade until the time is over or a signal comes, then drain; whether it came to rest."""
        ended = asyncio.Event()
        event_loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            event_loop.add_signal_handler(number, ended.set)
        self.loop.restore()
        feeds = open_feeds(self.loop, self.config, self.exchange.url if self.exchange else "")
        self.loop.open()
        serving = event_loop.create_task(self.loop.run_async())
        api = None if serve_api is None else event_loop.create_task(self._api(serve_api))
        until = None if seconds is None else time.monotonic() + seconds
        while not (ended.is_set() or serving.done() or self.directory.stop_wanted):
            if until is not None and time.monotonic() > until:
                break
            tick()
            await asyncio.sleep(POLL_S)
        quiet = await self._drain()
        self.loop.stop()
        await serving
        await feeds.close()
        if api is not None:
            api.cancel()
            await asyncio.gather(api, return_exceptions=True)
        return quiet

    async def _api(self, serve_api: ServeApi) -> None:
        """The control API beside the components; its address and token go into `current.json`."""
        token = self.folder / "token"
        token.touch(mode=0o600)
        token.write_text(secrets.token_urlsafe(24))
        monitor = next(c for c in self.loop.host.components if isinstance(c, Monitor))
        await serve_api(
            self.loop, monitor, self.config.api, token.read_text(), self.folder, SOLO_ACTOR
        )

    def name_it(self) -> None:
        """Say in `current.json` that this run is alive, and where its API is once it is."""
        address = self.folder / "api-address"
        if address.exists() == self._named_with_api and self._named:
            return
        self._named, self._named_with_api = True, address.exists()
        where = address.read_text() if address.exists() else ""
        token = str(self.folder / "token")
        write_current(
            self.config.state_dir, CurrentRun(self.run, os.getpid(), SOLO_ACTOR, where, token)
        )

    async def _drain(self) -> bool:
        """Start nothing new; wait until every order's end is known."""
        self.loop.draining = True
        deadline = time.monotonic() + DRAIN_TIMEOUT_S
        quiet_since = None
        while time.monotonic() < deadline and not self.loop.stopping.is_set():
            if sum(c.open_work() for c in self.loop.host.components) == 0:
                quiet_since = quiet_since or time.monotonic()
                if time.monotonic() - quiet_since > 0.5:
                    return True
            else:
                quiet_since = None
            await asyncio.sleep(POLL_S)
        return False

    def close(self) -> None:
        """The exchange's process, shared memory and the file that names the run go."""
        if self.exchange is not None:
            self.exchange.stop()
        self.directory.remove()
        current_path(self.config.state_dir).unlink(missing_ok=True)
        self.opened.close()


def run_solo(
    config: Config, text: str, seconds: float | None, serve_api: ServeApi, resume: bool = False
) -> int:
    """Run in this process; prints how it ended. 0 when everything added up."""
    tune_process()
    solo = SoloRun(config, text, resume)
    try:
        if any(on_own_exchange(config, venue) for venue in config.venues):
            solo.exchange = ExchangeProcess(solo.folder / "config.toml")
            solo.exchange.wait_ready()
        solo.name_it()
        store = StoreProcess(config, solo.folder)

        def tick() -> None:
            solo.name_it()
            store.watch()

        try:
            quiet = uvloop.run(solo.serve(seconds, tick, serve_api))
        finally:
            store.stop()
        comparison = None
        if solo.exchange is not None:
            comparison = compare_accounts(config, solo.exchange.url, solo.ledger)
        return _say(solo.folder, solo.loop.error, quiet, comparison)
    finally:
        solo.close()


def _say(folder: Path, error: str, quiet: bool, comparison: Comparison | None) -> int:
    lines = [f"run: {folder}"]
    if error:
        lines.append(f"stopped by {error}")
    if not quiet:
        lines.append("not everything came to rest in time; see the comparison")
    if comparison is not None:
        lines += comparison.lines()
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if quiet and not error and (comparison is None or comparison.holds) else 1


def venue_states(solo: SoloRun) -> list[VenueState]:
    """The venues' states, in the configuration's order."""
    venues = [c for c in solo.loop.host.components if isinstance(c, Venue)]
    return [msgspec.msgpack.decode(venue.snapshot(), type=VenueState) for venue in venues]


def play_in_solo(config: Config, text: str) -> tuple[Path, list[VenueState]]:
    """Play the configuration's recordings in this process; the folder and the venues' states."""
    tune_process()
    solo = SoloRun(config, text)

    def look() -> None:
        if solo.loop.page.get(Counter.FEEDS_ENDED) >= len(config.venues):
            solo.directory.stop_wanted = True

    try:
        uvloop.run(solo.serve(None, look))
    finally:
        solo.close()
    return solo.folder, venue_states(solo)
