"""The live view in the terminal: actors, books, opportunities, orders, PnL, latency. Shows, no more.

It reads what anybody can read: the control API and the actors' pages. Where the output is no
terminal, it prints a line a second instead.
"""

import sys
import time
from io import StringIO
from pathlib import Path
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from engine.edges.api_client import ApiClient, ApiError, EngineView
from engine.edges.runs import CurrentRun, alive
from engine.views import ActorView

LINE_EVERY_S = 1.0
REFRESH_EVERY_S = 0.25


def _table(title: str, *columns: str, right: tuple[int, ...] = ()) -> Table:
    table = Table(title=title, title_justify="left", expand=True, pad_edge=False, box=None)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place in right else "left", no_wrap=True)
    return table


def _micros(actor: ActorView, stage: str) -> tuple[str, str]:
    found = actor.latency.get(stage)
    return ("-", "-") if found is None else (f"{found.p50_us:,.0f}", f"{found.p99_us:,.0f}")


def _actors(view: EngineView) -> Table:
    table = _table(
        "actors (µs since the frame that caused the message)",
        "actor",
        "state",
        "epoch",
        "restarts",
        "in",
        "out",
        "queue",
        "hop p50",
        "hop p99",
        "order p50",
        "order p99",
        right=(2, 3, 4, 5, 6, 7, 8, 9, 10),
    )
    for actor in view.actors:
        style = "" if actor.state == "RUNNING" else "yellow"
        table.add_row(
            actor.actor,
            actor.state,
            str(actor.epoch),
            str(actor.restarts),
            f"{actor.messages_in:,}",
            f"{actor.messages_out:,}",
            str(actor.queue_high),
            *_micros(actor, "hop"),
            *_micros(actor, "tick_to_order"),
            style=style,
        )
    return table


def _books(view: EngineView) -> Table:
    table = _table("books", "venue", "symbol", "bid", "ask", "state", right=(2, 3))
    for book in view.books:
        bid = book.bids[0].price if book.bids else "-"
        ask = book.asks[0].price if book.asks else "-"
        state = f"{book.state} simulated" if book.simulated else book.state
        table.add_row(book.venue, book.symbol, bid, ask, state)
    return table


def _opportunities(view: EngineView, rows: int) -> Table:
    table = _table(
        "newest opportunities", "symbol", "buy", "sell", "quantity", "profit", "ms", right=(3, 4, 5)
    )
    for seen in view.opportunities[:rows]:
        lifetime = "live" if seen.lifetime_ms is None else f"{seen.lifetime_ms:.1f}"
        table.add_row(
            seen.symbol,
            f"{seen.buy_venue} {seen.buy_price}",
            f"{seen.sell_venue} {seen.sell_price}",
            seen.quantity,
            f"{float(seen.profit):.2f}",
            lifetime,
        )
    return table


def _orders(view: EngineView, rows: int) -> Table:
    table = _table(
        "newest orders", "order", "venue", "side", "quantity", "price", "state", right=(3, 4)
    )
    for order in view.orders[:rows]:
        state = f"{order.state} {order.reason}".rstrip()
        table.add_row(
            order.client_order_id,
            f"{order.venue} {order.symbol}",
            order.side,
            f"{order.filled}/{order.quantity}",
            order.price,
            state,
        )
    return table


def _pnl_line(view: EngineView) -> Text:
    parts = [
        f"{pnl.quote}: equity {float(pnl.equity):+,.2f}  realised {float(pnl.realised):+,.2f}  "
        f"unrealised {float(pnl.unrealised):+,.2f}  fees {float(pnl.fees):,.2f}"
        for pnl in view.pnl
    ]
    text = Text("PnL (simulated)  " + ("  ".join(parts) or "no fill yet"), style="bold")
    if view.risk is not None:
        text.append(f"   risk {view.risk.level}")
        if view.risk.kill_switch:
            text.append("   KILL SWITCH ON", style="bold red")
    return text


def render(view: EngineView, address: str, elapsed: str, height: int) -> RenderableType:
    """The whole screen, as tall as it may be."""
    rows = max(3, (height - len(view.actors) - len(view.books) - 12) // 2)
    title = f"CryptoOrchestrator  SIMULATED  {address}  {elapsed}  Ctrl-C stops"
    return Panel(
        Group(
            _actors(view),
            _books(view),
            _opportunities(view, rows),
            _orders(view, rows),
            _pnl_line(view),
        ),
        title=title,
        title_align="left",
    )


def line(view: EngineView, elapsed: str) -> str:
    """The same in one line, for logs."""
    live = sum(book.state == "LIVE" for book in view.books)
    running = sum(actor.state == "RUNNING" for actor in view.actors)
    equity = ", ".join(f"{float(pnl.equity):+.2f} {pnl.quote}" for pnl in view.pnl) or "none yet"
    return (
        f"{elapsed}  actors {running}/{len(view.actors)}  books {live}/{len(view.books)} LIVE  "
        f"opportunities {len(view.opportunities)}  orders {len(view.orders)}  "
        f"fills {len(view.fills)}  PnL {equity} (simulated)"
    )


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
        height = self._console.size.height
        self._live.update(render(self.view, address, elapsed, height), refresh=True)

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


def summary(view: EngineView, seconds: float, checks: list[str]) -> RenderableType:
    """How a run ended: what was done, how fast, and what was checked."""
    table = Table(title=f"{seconds:.0f} s, all simulated", title_justify="left", box=None)
    table.add_column("what")
    table.add_column("value", justify="right")
    for pnl in view.pnl:
        table.add_row(f"equity {pnl.quote}", f"{float(pnl.equity):+,.2f}")
        table.add_row(f"realised {pnl.quote}", f"{float(pnl.realised):+,.2f}")
        table.add_row(f"fees {pnl.quote}", f"{float(pnl.fees):,.2f}")
    table.add_row("messages", f"{sum(actor.messages_in for actor in view.actors):,}")
    table.add_row("restarts", str(sum(actor.restarts for actor in view.actors)))
    for actor in view.actors:
        found = actor.latency.get("tick_to_order")
        if found is not None:
            table.add_row(
                f"{actor.actor} tick to order, µs p50 / p99",
                f"{found.p50_us:,.0f} / {found.p99_us:,.0f}",
            )
    return Group(table, *[Text(check) for check in checks])


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
    console.print(render(state, current.api, "a moment", 44))
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
    console.print(_actors(state))
    console.print(_pnl_line(state))
    return 0 if state.health is not None and state.health.status == "ok" else 1
