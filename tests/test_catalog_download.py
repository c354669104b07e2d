"""The real ccxt client against an exchange on loopback: paging, failures in the middle, going on."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import ccxt
import numpy as np
import pytest
from typer.testing import CliRunner

from engine.__main__ import app
from engine.edges.catalog import download as downloads
from engine.edges.catalog.bars import Bars, put_bars, read_bars
from engine.edges.catalog.download import DownloadFailed, Progress, download
from engine.edges.catalog.layout import CatalogError

MINUTE_MS = 60_000
START_MS = 1_723_075_200_000
START_NS = START_MS * 10**6
MINUTE_NS = MINUTE_MS * 10**6
FILTERS = [
    {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
    {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"},
]
FAULTS = {"rate": (429, -1003), "gateway": (502, 0), "unknown": (500, -1000)}
MARKET = {
    "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT",
    "isSpotTradingAllowed": True, "permissions": ["SPOT"], "permissionSets": [["SPOT"]],
    "baseAssetPrecision": 8, "quotePrecision": 8, "orderTypes": ["LIMIT"], "filters": FILTERS,
}  # fmt: skip


class Exchange(ThreadingHTTPServer):
    """Binance's candles by the minute, up to `until`; answers `faults` first, one a request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[int] = []
        self.faults: list[str] = []
        self.fault_at = -1
        self.absent: set[int] = set()
        self.until = 10_000

    def candles(self, start_ms: int, limit: int) -> list[list[Any]]:
        """Rows as Binance gives them: from `start_ms` on, those there are."""
        first = -(-(start_ms - START_MS) // MINUTE_MS)
        there = (n for n in range(first, self.until) if n not in self.absent)
        numbers = [number for number, _ in zip(there, range(limit), strict=False)]
        return [
            [START_MS + n * MINUTE_MS, f"{n + 1}.5", f"{n + 2}", f"{n}", f"{n + 1}", f"0.{n}"]
            for n in numbers
        ]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up on a broken answer is what the test wants."""


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Exchange

    def do_GET(self) -> None:
        """Markets or candles."""
        url = urlsplit(self.path)
        if url.path.endswith("exchangeInfo"):
            return self.answer(200, {"symbols": [MARKET]})
        query = parse_qs(url.query)
        start_ms, limit = int(query["startTime"][0]), int(query["limit"][0])
        self.server.asked.append((start_ms - START_MS) // MINUTE_MS)
        if self.server.faults and len(self.server.asked) > self.server.fault_at:
            fault = self.server.faults.pop(0)
            if fault == "hang up":
                return None
            status, code = FAULTS.get(fault, (400, -1121))
            return self.answer(status, {"code": code, "msg": fault} if code else "Bad Gateway")
        return self.answer(200, self.server.candles(start_ms, limit))

    def answer(self, status: int, body: object) -> None:
        """A JSON answer."""
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """The test's output stays clean."""


@pytest.fixture
def server() -> Iterator[Exchange]:
    """The exchange on loopback."""
    held = Exchange()
    thread = threading.Thread(target=held.serve_forever, args=(0.01,))
    thread.start()
    yield held
    held.shutdown()
    held.server_close()
    thread.join()


def client(server: Exchange) -> Any:
    """The real client, sent to loopback."""
    exchange = ccxt.binance(
        {"options": {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False}}
    )
    address = f"http://127.0.0.1:{server.server_port}"
    exchange.urls["api"] = {name: f"{address}/{name}" for name in exchange.urls["api"]}
    exchange.enableRateLimit = False
    return exchange


def fetch(
    server: Exchange, root: Path, first: int, stop: int, **asked: Any
) -> downloads.Downloaded:
    """Download the minutes first..stop."""
    now = START_NS + 20_000 * MINUTE_NS
    span = START_NS + first * MINUTE_NS, START_NS + stop * MINUTE_NS
    settings = {"page": 100, "pause_s": 0.0, "now_ns": lambda: now} | asked
    return download(root, client(server), "BTC/USDT", "1m", *span, **settings)


def minutes(root: Path) -> list[int]:
    """Which minutes are stored."""
    months = read_bars(root, "binance", "BTC/USDT", "1m")
    return [int(ts - START_NS) // MINUTE_NS for bars in months for ts in bars.ts_ns]


def test_pages_become_one_series(server: Exchange, tmp_path: Path) -> None:
    """Every candle of the span once, with its numbers, and the progress up to the end."""
    told: list[Progress] = []
    done = fetch(server, tmp_path, 0, 950, say=told.append)
    assert done == (950, 10, 0)
    assert minutes(tmp_path) == list(range(950))
    (bars,) = read_bars(tmp_path, "binance", "BTC/USDT", "1m")
    assert [column[7] for column in bars[1:]] == [8.5, 9, 7, 8, 0.7]
    assert [now.done_ns // MINUTE_NS for now in told] == [*range(100, 1_000, 100), 950]
    assert {now.total_ns for now in told} == {950 * MINUTE_NS}


@pytest.mark.parametrize("fault", ["hang up", "rate", "gateway", "unknown"])
def test_a_short_failure_is_waited_out(server: Exchange, tmp_path: Path, fault: str) -> None:
    """The page is asked for again."""
    server.faults, server.fault_at = [fault] * 2, 3
    assert fetch(server, tmp_path, 0, 600).stored == 600
    assert minutes(tmp_path) == list(range(600))
    assert server.asked.count(300) == 3


def test_a_long_failure_keeps_what_came_and_goes_on(server: Exchange, tmp_path: Path) -> None:
    """Pages before it are stored; the same command goes on there and asks for nothing twice."""
    server.faults, server.fault_at = ["gateway"] * downloads.TRIES, 3
    with pytest.raises(DownloadFailed, match=r"from 2024-08-08T05:00.*5 times.*continues there"):
        fetch(server, tmp_path, 0, 600)
    assert minutes(tmp_path) == list(range(300))
    server.asked.clear()
    assert fetch(server, tmp_path, 0, 600) == (300, 3, 0)
    assert server.asked == [300, 400, 500]
    assert minutes(tmp_path) == list(range(600))


def test_a_refusal_is_not_tried_again(server: Exchange, tmp_path: Path) -> None:
    """What the exchange says no to is said at once."""
    server.faults, server.fault_at = ["Invalid symbol."], 1
    with pytest.raises(DownloadFailed, match=r"BadSymbol.*Invalid symbol"):
        fetch(server, tmp_path, 0, 600)
    assert server.asked == [0, 100]


def test_a_crash_loses_the_page_under_way(server: Exchange, tmp_path: Path) -> None:
    """What was stored before an exception anywhere stays, and nothing is left half written."""

    def crash(now: Progress) -> None:
        if now.stored == 200:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server, tmp_path, 0, 600, say=crash)
    assert minutes(tmp_path) == list(range(200))
    assert list(tmp_path.rglob(".writing-*")) == []
    assert fetch(server, tmp_path, 0, 600).stored == 400


def test_an_earlier_start_is_filled_without_a_hole(server: Exchange, tmp_path: Path) -> None:
    """Backwards, page by page: broken off, what is stored still has no hole."""
    fetch(server, tmp_path, 500, 600)
    server.asked.clear()
    server.faults, server.fault_at = ["Invalid symbol."], 2
    with pytest.raises(DownloadFailed):
        fetch(server, tmp_path, 150, 700)
    assert minutes(tmp_path) == list(range(300, 600))
    assert fetch(server, tmp_path, 150, 700).stored == 250
    assert minutes(tmp_path) == list(range(150, 700))


def test_minutes_without_trades_are_counted(server: Exchange, tmp_path: Path) -> None:
    """A candle that the exchange has not is missing, not made up; a whole empty page does not end it."""
    server.absent = {5, *range(150, 420)}
    assert fetch(server, tmp_path, 0, 600).missing == 271
    assert minutes(tmp_path) == [n for n in range(600) if n not in server.absent]


def test_the_open_candle_waits(server: Exchange, tmp_path: Path) -> None:
    """Only what is closed is stored, and it is there once it is closed."""
    now = START_NS + 10 * MINUTE_NS + 1
    assert fetch(server, tmp_path, 0, 50, now_ns=lambda: now).stored == 10
    assert fetch(server, tmp_path, 0, 50, now_ns=lambda: now + MINUTE_NS).stored == 1
    with pytest.raises(DownloadFailed, match="no closed candle"):
        fetch(server, tmp_path, 11, 50, now_ns=lambda: now + MINUTE_NS)


def test_unknown_things_are_said(server: Exchange, tmp_path: Path) -> None:
    """An interval or an exchange that there is not."""
    with pytest.raises(DownloadFailed, match="binance has no candles of 7m -- it has 1s, 1m"):
        download(tmp_path, client(server), "BTC/USDT", "7m", 0, 1)
    with pytest.raises(CatalogError, match="interval 'soon'"):
        download(tmp_path, client(server), "BTC/USDT", "soon", 0, 1)
    with pytest.raises(DownloadFailed, match="no exchange of ccxt"):
        downloads.client("nowhere")


def test_without_ccxt_the_cure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """ccxt is an extra; only this command needs it."""
    monkeypatch.setitem(sys.modules, "ccxt", None)
    with pytest.raises(DownloadFailed, match=r"pip install 'crypto-orchestrator\[venues\]'"):
        downloads.client("binance")


def test_months_are_files(tmp_path: Path) -> None:
    """Candles over a new year lie in two files and come back as one series."""
    times = np.datetime64("2023-12-30", "ns").astype(np.int64) + np.arange(5) * 86_400 * 10**9
    ones = np.ones(5)
    assert put_bars(tmp_path, "a", "B/C", "1d", Bars(times, ones, ones, ones, ones, ones)) == 5
    assert [path.stem for path in sorted(tmp_path.rglob("*.parquet"))] == ["2023-12", "2024-01"]
    found = read_bars(tmp_path, "a", "B/C", "1d", int(times[1]), int(times[4]))
    assert [ts for bars in found for ts in bars.ts_ns.tolist()] == times[1:4].tolist()


def test_the_command_downloads(
    server: Exchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the command line, with a bar of progress."""
    monkeypatch.setattr(downloads, "client", lambda _: client(server))
    arguments = "catalog download binance BTC/USDT --from 2024-08-08 --to 2024-08-08T02:00 --root"
    done = CliRunner().invoke(app, [*arguments.split(), str(tmp_path)])
    assert done.exit_code == 0
    assert "120 candles stored from 1 pages; the exchange has none for 0" in done.output
    assert minutes(tmp_path) == list(range(120))
