"""Downloads candles through ccxt into the catalog, page by page, and goes on where it was stopped.

Each page is on disk before the next is asked for, so a crash loses at most the page under way.
Only closed candles are stored. ccxt belongs to the `venues` extra and is loaded when needed.
"""

import importlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engine.edges.catalog.bars import Bars, interval_ns, put_bars, stored_span
from engine.edges.catalog.layout import CatalogError, time_text

PAGE = 1_000
TRIES = 5
PAUSE_S = 1.0
NS_A_MS = 1_000_000


class DownloadFailed(CatalogError):
    """The exchange did not give what was asked for; what came before it is stored."""


class Progress(NamedTuple):
    """How far a download is: ns done of ns to do, and candles stored by it."""

    done_ns: int
    total_ns: int
    stored: int


class Downloaded(NamedTuple):
    """What a download did: candles stored, pages asked for, and candles that the exchange has not."""

    stored: int
    pages: int
    missing: int


class _Page(NamedTuple):
    """Candles to ask for: those that open in start_ns <= time < end_ns."""

    start_ns: int
    end_ns: int


def client(exchange: str) -> Any:
    """A ccxt client of an exchange; raises DownloadFailed where there is no ccxt or no such one."""
    try:
        ccxt = importlib.import_module("ccxt")
    except ImportError as error:
        raise DownloadFailed(
            "ccxt is not installed -- pip install 'crypto-orchestrator[venues]'"
        ) from error
    if exchange not in ccxt.exchanges:
        raise DownloadFailed(
            f"{exchange!r} is no exchange of ccxt -- one such as binance or kraken"
        )
    return getattr(ccxt, exchange)({"enableRateLimit": True})


def download(
    root: Path,
    exchange: Any,
    symbol: str,
    interval: str,
    start_ns: int,
    end_ns: int,
    *,
    say: Callable[[Progress], None] = lambda _: None,
    page: int = PAGE,
    pause_s: float = PAUSE_S,
    now_ns: Callable[[], int] = time.time_ns,
) -> Downloaded:
    """Store the closed candles of a span that are not stored yet, under the exchange's ccxt name.

    It continues after the last stored candle, and before the first where the span begins earlier.
    A page that fails by the network is asked for TRIES times, with pauses that double from
    `pause_s`. Raises DownloadFailed, then everything before the failed page is stored; and
    CatalogError where the exchange gives other numbers for a candle that is stored.
    """
    venue, step_ns = str(exchange.id), interval_ns(interval)
    if not exchange.has.get("fetchOHLCV"):
        raise DownloadFailed(f"{venue} gives no candles -- ask another exchange")
    if interval not in (exchange.timeframes or {}):
        known = ", ".join(exchange.timeframes or {})
        raise DownloadFailed(f"{venue} has no candles of {interval} -- it has {known}")
    end_ns = min(end_ns, now_ns() // step_ns * step_ns)  # the one that is open now is not closed
    start_ns = -(-start_ns // step_ns) * step_ns
    if start_ns >= end_ns:
        raise DownloadFailed("the span holds no closed candle -- name an earlier start")
    spans = list(
        _pages(stored_span(root, venue, symbol, interval), start_ns, end_ns, step_ns, page)
    )
    total_ns = sum(each.end_ns - each.start_ns for each in spans)
    done_ns = stored = pages = came = 0
    for asked in spans:
        rows = _fetch(exchange, symbol, interval, asked, page, pause_s)
        bars = _bars(venue, rows, asked)
        stored += put_bars(root, venue, symbol, interval, bars)
        pages, came, done_ns = pages + 1, came + bars.rows, done_ns + asked.end_ns - asked.start_ns
        say(Progress(done_ns, total_ns, stored))
    return Downloaded(stored, pages, total_ns // step_ns - came)


def _pages(
    held: tuple[int, int] | None, start_ns: int, end_ns: int, step_ns: int, page: int
) -> Iterator[_Page]:
    """What to ask for: each page touches what is stored by then, so a crash leaves no hole.

    Before the first stored candle pages go backwards, after the last one forwards.
    """
    width = page * step_ns
    if held is not None:
        upper = min(held[0], end_ns)
        while upper > start_ns:
            lower = max(start_ns, upper - width)
            yield _Page(lower, upper)
            upper = lower
        start_ns = max(start_ns, held[1] + step_ns)
    while start_ns < end_ns:
        yield _Page(start_ns, min(end_ns, start_ns + width))
        start_ns += width


def _fetch(
    exchange: Any, symbol: str, interval: str, asked: _Page, page: int, pause_s: float
) -> list[list[Any]]:
    """One page's rows; raises DownloadFailed."""
    ccxt = importlib.import_module("ccxt")
    for attempt in range(1, TRIES + 1):
        try:
            rows: list[list[Any]] = exchange.fetch_ohlcv(
                symbol, interval, asked.start_ns // NS_A_MS, page
            )
        except ccxt.OperationFailed as error:  # the network, a rate limit, a moment's fault
            if attempt == TRIES:
                raise _failed(exchange, symbol, asked, f"failed {TRIES} times: {error}") from error
            time.sleep(pause_s * 2 ** (attempt - 1))
        except ccxt.BaseError as error:
            raise _failed(exchange, symbol, asked, f"{type(error).__name__}: {error}") from error
        else:
            return rows
    raise AssertionError("unreachable: the last attempt returns or raises")


def _failed(exchange: Any, symbol: str, asked: _Page, why: str) -> DownloadFailed:
    return DownloadFailed(
        f"{exchange.id} {symbol} from {time_text(asked.start_ns)}: {why} -- what came before is "
        "stored: the same command continues there"
    )


def _bars(venue: str, rows: list[list[Any]], asked: _Page) -> Bars:
    """The rows that were asked for, as candles; raises DownloadFailed on others than candles."""
    try:
        table = np.array([row[:6] for row in rows], dtype=np.float64).reshape(-1, 6)
    except (TypeError, ValueError) as error:
        raise DownloadFailed(f"{venue}: a candle is no row of six numbers ({error})") from error
    times = table[:, 0].astype(np.int64) * NS_A_MS
    inside = (times >= asked.start_ns) & (times < asked.end_ns)
    _, order = np.unique(times[inside], return_index=True)  # some exchanges give newest first
    ts_ns, numbers = times[inside][order], table[inside][order].T
    return Bars(ts_ns, *(np.ascontiguousarray(numbers[place]) for place in range(1, 6)))
