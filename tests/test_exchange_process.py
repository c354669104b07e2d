"""The exchange as a process: what it prints, what the page about it shows, and how it ends."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "configs" / "demo.toml"


def started(*arguments: str) -> tuple["subprocess.Popen[str]", list[str]]:
    """`orchestrator exchange` of the demo and what it says until it serves."""
    process = subprocess.Popen(
        [sys.executable, "-m", "engine", "exchange", str(DEMO), *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline().rstrip() for _ in range(6 if "--keys" in arguments else 5)]
    return process, lines


@pytest.fixture(scope="module")
def exchange() -> Iterator[list[str]]:
    """What a running one has said."""
    process, lines = started("--keys")
    yield lines
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_it_says_where_everything_is_and_that_nothing_is_real(exchange: list[str]) -> None:
    """The address alone on the first line, then people's words."""
    port = exchange[0].removeprefix("ws://127.0.0.1:")
    assert port.isdecimal()
    assert "everything here is simulated" in exchange[1]
    for venue, line in zip(("alpha", "beta", "gamma"), exchange[2:], strict=False):
        for url in (f"ws://127.0.0.1:{port}/{venue} ", f"/{venue}/binance ", f"/admin/{venue}"):
            assert url in f"{line} "
    assert re.fullmatch(r"main: key [0-9a-f]{64}  secret [A-Za-z0-9+/]{43}=", exchange[5])


def test_the_pages_ccxt_example_trades(exchange: list[str]) -> None:
    """docs/exchange-server.md, run as it stands but for port and keys."""
    pytest.importorskip("ccxt")
    page = (ROOT / "docs" / "exchange-server.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    found = re.fullmatch(r"main: key (\S+)  secret (\S+)", exchange[5])
    assert found is not None
    names: dict[str, object] = {"KEY": found[1], "SECRET": found[2]}
    exec(code.replace("127.0.0.1:9000", exchange[0].removeprefix("ws://")), names)
    client = names["exchange"]
    (order,) = client.fetch_open_orders("BTC/USDT")  # type: ignore[attr-defined]
    assert (order["price"], order["amount"]) == (50_000.0, 0.001)


def test_a_taken_port_is_said_in_a_line(exchange: list[str]) -> None:
    """And nothing is left running."""
    port = exchange[0].rpartition(":")[2]
    process, _ = started("--port", port)
    assert process.wait(10) == 2
    assert process.stderr is not None
    (line,) = process.stderr.read().splitlines()
    assert "address already in use" in line.lower()


def gone(url: str) -> bool:
    """Whether nobody answers there within ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            urlopen(url).close()
        except (URLError, ConnectionError):
            return True
        time.sleep(0.05)
    return False


def test_it_ends_with_its_parent() -> None:
    """However that ends."""
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys, time\n"
            f"subprocess.Popen([sys.executable, '-m', 'engine', 'exchange', {str(DEMO)!r}])\n"
            "time.sleep(60)",
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    url = parent.stdout.readline().strip().replace("ws:", "http:")
    with urlopen(url) as page:
        assert page.status == 200
    parent.kill()
    parent.wait()
    assert gone(url)


@pytest.mark.parametrize(
    ("was", "becomes"), [(', "ETH/USDT" = "3000"', ""), ('"ETH/USDT" = "3000"', '"ETH/USDT" = "0"')]
)
def test_a_market_without_a_price_to_begin_with_is_said_in_a_line(
    was: str, becomes: str, tmp_path: Path
) -> None:
    """Both ended in a traceback."""
    path = tmp_path / "priceless.toml"
    text = DEMO.read_text()
    assert was in text
    path.write_text(text.replace(was, becomes))
    ended = subprocess.run(
        [sys.executable, "-m", "engine", "exchange", str(path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    assert (
        ended.stderr == "orchestrator: exchange.prices.ETH/USDT: a price above zero is expected\n"
    )


def test_a_port_that_is_none_is_refused() -> None:
    """It was taken modulo 2**16, and another port served."""
    ended = subprocess.run(
        [sys.executable, "-m", "engine", "exchange", str(DEMO), "--port", "99999"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    assert "65535" in ended.stderr
