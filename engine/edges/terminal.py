"""The live view in the terminal: who draws it, when, and on what. Shows, no more.

It reads what anybody can read: the control API. Where the output is no terminal, it prints a line
a second instead.
"""

import sys
import time
from io import StringIO
from pathlib import Path
from typing import TextIO

from rich.console import Console, RenderableType
from rich.live import Live

from engine.edges.api_client import ApiClient, ApiError, EngineView
from engine.edges.runs import CurrentRun, alive
from engine.edges.screen import line, render, status, summary

__all__ = ["LiveView", "attach", "draw", "print_status", "render", "summary"]

LINE_EVERY_S = 1.0
REFRESH_EVERY_S = 0.25


class LiveView:
    """Draws at most four times a second (a line a second without a terminal)."""

    def __init__(self, out: TextIO) -> None:
        self.view = EngineView()
        self._console = Console(file=out)
        self._live: Live | None = None
        self._client: ApiClient | None = None
        self._next = 0.0

    def tick(self, address: str, elapsed: str) -> None:
        """Look and draw if it is time; a silent API leaves the last state on the screen."""
        now = time.monotonic()
        if now < self._next or not address:
            return
        terminal = self._console.is_terminal
        self._next = now + (REFRESH_EVERY_S if terminal else LINE_EVERY_S)
        if self._client is None or self._client.address != address:
            self._client = ApiClient(address)
        try:
            self.view = self._client.state()
        except ApiError as error:
            elapsed = f"{elapsed}  API silent: {error}"
        if not terminal:
            self._console.print(line(self.view, elapsed), soft_wrap=True, highlight=False)
            return
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, screen=True)
            self._live.start()
        width, height = self._console.size
        self._live.update(render(self.view, address, elapsed, height, width), refresh=True)

    def close(self) -> None:
        """Give the terminal back."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, soft_wrap=True, highlight=False)

    def show(self, what: RenderableType) -> None:
        """Something that stays."""
        self._console.print(what)


def attach(current: CurrentRun) -> int:
    """The live view of a running engine, until it ends or Ctrl-C."""
    view = LiveView(sys.stdout)
    began = time.monotonic()
    try:
        while alive(current.pid):
            view.tick(current.api, f"{current.run} {time.monotonic() - began:.0f} s")
            time.sleep(0.05)  # the pace of drawing
    except KeyboardInterrupt:
        return 0
    finally:
        view.close()
    return 0


def draw(current: CurrentRun, path: Path) -> int:
    """The live view of this moment as an SVG file."""
    console = Console(record=True, width=132, height=44, file=StringIO(), force_terminal=True)
    state = ApiClient(current.api).state()
    console.print(render(state, current.api, "a moment", 44, 132))
    console.save_svg(str(path), title="orchestrator top")
    return 0


def print_status(current: CurrentRun) -> int:
    """A few lines on the running engine; 1 when it is not well."""
    try:
        state = ApiClient(current.api).state()
    except ApiError as error:
        sys.stdout.write(f"{current.run}: the control API does not answer: {error}\n")
        return 1
    console = Console()
    console.print(status(state, console.width))
    return 0 if state.health is not None and state.health.status == "ok" else 1
