"""The control API over a simulated run, served on a port of its own."""

import asyncio
import threading
from pathlib import Path

import uvloop

from actors.api.app import create_app
from actors.api.serving import listen, serve_app
from actors.api.source import Source
from engine.assembly import topology_of
from engine.config import ApiConfig, instruments_of, parse
from engine.edges.backtesting import make_simulation
from engine.edges.directory import Directory, KillSwitchPage, create_page
from engine.edges.statistics import Statistics
from engine.messages import AnyMessage
from engine.monitor import Monitor

DEMO = (Path(__file__).parent.parent / "configs" / "demo.toml").read_text()
TOKEN = "a-token-of-this-test"


class Server:
    """The API over the monitor of a simulated run, on a loop and port of its own."""

    def __init__(self, folder: Path) -> None:
        config = parse(DEMO, "demo")
        simulation, _, _, begin_ns = make_simulation(config, lambda now_ns: None)
        simulation.run(begin_ns, begin_ns + 20 * 10**9)
        monitor = next(c for c in simulation.host.components if isinstance(c, Monitor))
        actors = topology_of(config).actors
        self.directory = Directory(f"test-api-{id(self)}", actors, create=True)
        epoch = self.directory.claim(actors[0])
        create_page(self.directory.run, actors[0], epoch)
        self.directory.enter(actors[0], epoch, 1)
        self.kill_switch = KillSwitchPage(folder / "kill-switch", create=True)
        statistics = Statistics(self.directory, {})
        self.told: list[AnyMessage] = []
        self.source = Source(
            monitor,
            self.directory,
            statistics,
            self.kill_switch,
            "solo",
            lambda make: self.told.append(make(41)),
        )
        self.app = create_app(self.source, TOKEN)
        self._listening = listen(ApiConfig("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._loop = uvloop.new_event_loop()
        self._task = self._loop.create_task(serve_app(self.app, self._listening))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert len(instruments_of(config)) == 6

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.gather(self._task, return_exceptions=True))

    def close(self) -> None:
        """Stop serving and remove the run's pages."""
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(5)
        self._listening.close()
        self.directory.remove()
