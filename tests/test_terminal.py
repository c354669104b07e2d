"""The live view: what must be seen is seen at every size, and without a terminal in one line."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO

import msgspec
import pytest
from rich.console import Console, RenderableType

from engine.edges.api_client import ApiClient, ApiError, EngineView
from engine.edges.screen import line, status
from engine.edges.terminal import LiveView, render, summary
from engine.views import PnLView, RiskView
from tests.api_rig import Server

SIZES = [(80, 24), (100, 30), (120, 40), (200, 60)]


class Screen(StringIO):
    """Somewhere to write that says it is a terminal."""

    def isatty(self) -> bool:
        """It is."""
        return True


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real API over a simulated run."""
    server = Server(tmp_path_factory.mktemp("terminal"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def view(server: Server) -> EngineView:
    """What the API shows of it."""
    return ApiClient(address(server)).state()


def address(server: Server) -> str:
    """Where the API is."""
    return f"http://127.0.0.1:{server.port}"


def drawn(what: RenderableType, width: int, height: int = 40) -> str:
    """What a console of this size would show."""
    console = Console(width=width, height=height, file=StringIO(), record=True)
    console.print(what)
    return console.export_text()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_it_fits_and_says_what_matters(view: EngineView, size: tuple[int, int]) -> None:
    """No line too many at any size; simulated, address, time, money and risk are always there."""
    width, height = size
    text = drawn(render(view, "http://127.0.0.1:8090", "12 s of 30 s", height, width), width)
    lines = text.splitlines()
    assert len(lines) <= height
    assert all(len(row) <= width for row in lines)
    for needed in (
        *("SIMULATED", "http://127.0.0.1:8090", "12 s of 30 s", "PnL (simulated)", "equity"),
        *("risk NORMAL", "books 6/6 live", "opportunities", "orders", "LIVE simulated"),
        view.books[0].bids[0].price,
        view.orders[0].price,
    ):
        assert needed in text, needed


def test_a_large_screen_shows_every_actor_fill_and_balance(view: EngineView) -> None:
    """At 120 by 40 nothing whole is cut."""
    text = drawn(render(view, "http://x", "1 s", 40, 120), 120)
    for actor in view.actors:
        assert actor.actor in text
    for balance in view.balances:
        assert balance.total in text
    assert view.fills[0].fee in text


def test_what_is_wrong_is_seen_on_the_smallest_screen(view: EngineView) -> None:
    """The kill switch, an order unknown, the one actor that failed, the one book that is stale."""
    replace = msgspec.structs.replace
    running = [replace(actor, state="RUNNING") for actor in view.actors]
    bad = replace(
        view,
        actors=[*running[:-1], replace(running[-1], state="FAILED")],
        books=[*view.books[:-1], replace(view.books[-1], state="STALE", bids=[], asks=[])],
        venues=[replace(view.venues[0], orders_unknown=3)],
        risk=RiskView(level="HALT", kill_switch=True),
    )
    text = drawn(render(bad, "http://x", "1 s", 24, 80), 80)
    for needed in ("KILL SWITCH ON", "risk HALT", "unknown 3", "FAILED", "STALE simulated"):
        assert needed in text
    assert f"actors {len(running) - 1}/{len(running)}" in text


@pytest.mark.parametrize("size", [*SIZES, (40, 10), (20, 5)], ids=str)
def test_an_engine_that_said_nothing_yet(size: tuple[int, int]) -> None:
    """Empty tables, no error, whatever the size."""
    assert "SIMULATED" in drawn(render(EngineView(), "http://x", "0 s", size[1], size[0]), size[0])
    assert "PnL none yet" in line(EngineView(), "0 s")


def test_money_is_not_a_float() -> None:
    """Sixteen digits are shown as they are, not as a double would round them."""
    pnl = PnLView(
        quote="USDT",
        realised="90071992547409.93",
        unrealised="-0.01",
        fees="0.00",
        equity="90071992547409.93",
        simulated=True,
    )
    text = line(EngineView(pnl=[pnl]), "0 s")
    assert "+90,071,992,547,409.93 USDT" in text


def test_status_and_summary_show_money_and_checks(view: EngineView) -> None:
    """What `status` prints, and what stands at a run's end."""
    text = drawn(status(view, 160), 160)
    assert "realised" in text
    for venue in view.venues:
        assert f"{venue.frames:,}" in text
        assert venue.verifies in text
    text = drawn(summary(view, 30.4, ["the ledger equals the exchange"]), 100)
    assert "30 s, all simulated" in text
    assert "the ledger equals the exchange" in text
    assert f"{float(view.pnl[0].equity):+,.2f}" in text


def test_without_a_terminal_it_is_a_line_a_second(server: Server) -> None:
    """A log gets one line, not a screen; asked again at once it waits."""
    out = StringIO()
    live = LiveView(out)
    live.tick("", "0 s")
    assert not out.getvalue(), "there is no API to ask yet"
    for _ in range(3):
        live.tick(address(server), "5 s")
    live.close()
    assert out.getvalue().count("\n") == 1
    assert "books 6/6 LIVE" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_on_a_terminal_it_draws_and_gives_the_screen_back(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The alternate screen is entered and left."""
    monkeypatch.setenv("TERM", "xterm-256color")
    out = Screen()
    live = LiveView(out)
    live.tick(address(server), "5 s")
    live.close()
    entered, left = out.getvalue().find("\x1b[?1049h"), out.getvalue().find("\x1b[?1049l")
    assert 0 <= entered < left
    assert "SIMULATED" in out.getvalue()[entered:left]


def test_a_silent_api_is_said_and_the_last_state_stays() -> None:
    """An engine that is busy dying does not take the view with it."""
    out = StringIO()
    live = LiveView(out)
    live.view = EngineView(risk=RiskView(level="HALT", kill_switch=True))
    live.tick("http://127.0.0.1:1", "5 s")
    assert "API silent" in out.getvalue()
    assert "KILL SWITCH ON" in out.getvalue()


class Somebody(BaseHTTPRequestHandler):
    """Another program's server: no such page, or a page that is no state."""

    status = 200

    def do_GET(self) -> None:
        """Answer whatever is asked."""
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(("status", "said"), [(404, "status 404"), (200, "malformed")])
def test_the_client_names_what_it_met(
    status: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's server at the address is an error with a name, never a broken view."""
    monkeypatch.setattr(Somebody, "status", status)
    with HTTPServer(("127.0.0.1", 0), Somebody) as other:
        thread = threading.Thread(target=other.handle_request)
        thread.start()
        with pytest.raises(ApiError, match=said):
            ApiClient(f"http://127.0.0.1:{other.server_port}").state()
        thread.join(5)


def test_the_client_says_that_nobody_is_there() -> None:
    """A refused connection is said as such."""
    with pytest.raises(ApiError, match="refused"):
        ApiClient("http://127.0.0.1:1").state()
