"""Where the control API's answers come from: the view component, the pages, the kill switch."""

import time
from collections.abc import Callable
from typing import Literal

import msgspec

from engine.edges.directory import Directory, KillSwitchPage
from engine.edges.statistics import Statistics
from engine.messages import AnyMessage
from engine.monitor import Monitor
from engine.views import ActorView, HealthView, RiskView, View

Section = Literal[
    "health",
    "actors",
    "venues",
    "books",
    "opportunities",
    "orders",
    "fills",
    "refusals",
    "positions",
    "balances",
    "pnl",
    "book_pnl",
    "worth",
    "differences",
    "risk",
]
SECTIONS: tuple[Section, ...] = (
    "health",
    "actors",
    "venues",
    "books",
    "opportunities",
    "orders",
    "fills",
    "refusals",
    "positions",
    "balances",
    "pnl",
    "book_pnl",
    "worth",
    "differences",
    "risk",
)
STREAM_LEVELS = 5
STREAM_ROWS = 50


Tell = Callable[[Callable[[int], AnyMessage]], None]
"""Puts an operator's message into the view actor's inbox; it is made with its number there."""


class Source:
    """Reads for every route, and the actions that change something."""

    def __init__(
        self,
        monitor: Monitor,
        directory: Directory,
        statistics: Statistics,
        kill_switch: KillSwitchPage,
        runtime: str,
        tell: Tell,
    ) -> None:
        self.tell = tell
        self.monitor = monitor
        self._directory = directory
        self._statistics = statistics
        self._kill_switch = kill_switch
        self._runtime = runtime
        self._started = time.monotonic()

    def actors(self) -> list[ActorView]:
        """All actors by their pages."""
        return self._statistics.actors()

    def health(self) -> HealthView:
        """'ok' when every actor runs and the kill switch is off."""
        actors = self.actors()
        running = sum(actor.state in ("RUNNING", "DRAINING") for actor in actors)
        killed = self._kill_switch.on
        return HealthView(
            status="ok" if running == len(actors) and not killed else "degraded",
            mode="simulated",
            run=self._directory.run,
            runtime=self._runtime,
            actors_running=running,
            actors=len(actors),
            kill_switch=killed,
            uptime_s=round(time.monotonic() - self._started, 1),
        )

    def risk(self) -> RiskView:
        """The guard's level; the kill switch as its page says now."""
        return msgspec.structs.replace(self.monitor.risk(), kill_switch=self._kill_switch.on)

    def turn_kill_switch(self, on: bool) -> None:
        """Write the page; every gateway sees it at its next look."""
        self._kill_switch.verify()
        self._kill_switch.turn(on)

    def stop(self) -> None:
        """Ask the launcher to drain and stop the run."""
        self._directory.stop_wanted = True

    def section(self, name: Section) -> View | list[View]:
        """One part of the stream, as its route would answer."""
        monitor = self.monitor
        readers: dict[Section, Callable[[], object]] = {
            "health": self.health,
            "actors": self.actors,
            "venues": monitor.venues,
            "books": lambda: monitor.books(STREAM_LEVELS),
            "opportunities": lambda: monitor.opportunities(STREAM_ROWS),
            "orders": lambda: monitor.orders(STREAM_ROWS),
            "fills": lambda: monitor.fills(STREAM_ROWS),
            "refusals": lambda: monitor.refusals(STREAM_ROWS),
            "positions": monitor.positions,
            "balances": monitor.balances,
            "pnl": monitor.pnl,
            "book_pnl": monitor.book_pnl,
            "worth": monitor.worth,
            "differences": lambda: monitor.differences(STREAM_ROWS),
            "risk": self.risk,
        }
        return readers[name]()  # type: ignore[return-value]  # each gives views
