"""Claim: a trade costs the bar kernel at most 300 ns from Python and 40 ns in a batch, bars included.

Load: a seeded random walk of trades, and a recorded day of Gemini's ETH/USD where it is to be had;
bars by time, ticks, volume and notional. The naive way, plain Python with the running totals of one
bar, runs in turns with both on the same trades, and must give the same bars. (The twin of the tests
would be no fair peer: it keeps a bar's trades and sums them anew.)
"""

import gzip
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np

from benchmarks.report import Report, arguments, in_turns, median_spread
from engine.units import parse_decimal
from ext.bars import DOLLAR, TICK, TIME, VOLUME, BarBuilder

SEED = 7
TRADES = 25_000
ROUNDS = 9
MINUTE_NS = 60_000_000_000
NS_A_TRADE_MAX = 300.0
NS_IN_A_BATCH_MAX = 40.0

Trade = tuple[int, int, int, int]


class Naive:
    """Bars as a strategy's author would write them: running totals, trades in order of time."""

    def __init__(self, kind: int, size: int) -> None:
        self._kind, self._size = kind, size
        self._bar: list[int] | None = None

    def add(self, ts_ns: int, ticks: int, lots: int, side: int) -> list[tuple[int, ...]]:
        """Take a trade; the bars that it closed."""
        closed: list[tuple[int, ...]] = []
        bar, kind, size = self._bar, self._kind, self._size
        if kind == TIME and bar is not None and ts_ns >= bar[1]:
            closed.append((*bar, 0))
            bar = None
        while lots:
            if bar is None:
                start_ns = ts_ns // size * size if kind == TIME else ts_ns
                end_ns = start_ns + size if kind == TIME else ts_ns
                bar = [start_ns, end_ns, ticks, ticks, ticks, ticks, 0, 0, 0, 0]
            part = min(lots, size - bar[6]) if kind == VOLUME else lots
            lots -= part
            bar[3] = max(bar[3], ticks)
            bar[4] = min(bar[4], ticks)
            bar[5] = ticks
            bar[6] += part
            if side > 0:
                bar[7] += part
            bar[8] += ticks * part
            bar[9] += 1
            if kind == TIME:
                continue
            bar[1] = ts_ns
            if bar[{TICK: 9, VOLUME: 6, DOLLAR: 8}[kind]] >= size:
                closed.append((*bar, 0))
                bar = None
        self._bar = bar
        return closed


class Load(NamedTuple):
    """What is measured: trades (ns, ticks, lots, side) and the size of each kind of bar."""

    name: str
    trades: list[Trade]
    sizes: dict[str, tuple[int, int]]


def walk(seed: int) -> Load:
    """Trades 100 ms apart on average, a tick up or down, of 1 to 1,000 lots."""
    random = Random(seed)
    at_ns, ticks, trades = 1_700_000_000_000_000_000, 100_000, []
    for _ in range(TRADES):
        at_ns += int(random.expovariate(1e-8))
        ticks += random.choice((-1, 0, 1))
        trades.append((at_ns, ticks, random.randint(1, 1_000), random.choice((1, -1))))
    sizes = {
        "time": (TIME, 10_000_000_000),
        "tick": (TICK, 100),
        "volume": (VOLUME, 50_000),
        "dollar": (DOLLAR, 5_000_000_000),
    }
    return Load(f"random walk, seed {seed}, {TRADES:,} trades", trades, sizes)


def recorded() -> Load | None:
    """A day of ETH/USD at Gemini, in cents and 1e-8 ether; None without the file."""
    default = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
    folder = Path(os.environ.get("ORCHESTRATOR_DATA", default))
    path = folder / "ccapi" / "gemini__eth-usd__2021-07-01__trade.csv.gz"
    if not path.exists():
        return None
    trades = []
    with gzip.open(path, "rt") as lines:
        next(lines)
        for line in lines:
            seconds, price, size, maker_bought = line.strip().split(",")
            side = -1 if maker_bought == "1" else 1
            numbers = parse_decimal(seconds, 9), parse_decimal(price, 2), parse_decimal(size, 8)
            trades.append((*numbers, side))
    sizes = {
        "time": (TIME, MINUTE_NS),
        "tick": (TICK, 100),
        "volume": (VOLUME, 5_000_000_000),
        "dollar": (DOLLAR, 10**15),
    }
    return Load(f"recorded Gemini ETH/USD, {len(trades):,} trades", trades, sizes)


def one_by_one(make: Callable[[], Any], trades: list[Trade]) -> float:
    """Seconds of a call of `add` a trade, the closed bars kept."""
    add, closed = make().add, []
    begun = time.perf_counter()
    for at_ns, ticks, lots, side in trades:
        bars = add(at_ns, ticks, lots, side)
        if bars:
            closed.extend(bars)
    return time.perf_counter() - begun


def at_once(make: Callable[[], Any], columns: list[Any]) -> float:
    """Seconds of one call of `add_many`."""
    builder = make()
    begun = time.perf_counter()
    builder.add_many(*columns)
    return time.perf_counter() - begun


def hold_equal(kind: int, size: int, load: Load, columns: list[Any]) -> int:
    """The same bars from all three, or there is nothing to compare; how many they are."""
    ours, naive = BarBuilder(kind, size), Naive(kind, size)
    rows = [row for trade in load.trades for row in ours.add(*trade)]
    if rows != [row for trade in load.trades for row in naive.add(*trade)]:
        sys.exit(f"{load.name}: the kernel's bars are not the naive ones")
    batch = BarBuilder(kind, size).add_many(*columns)
    if list(batch["close"]) != [row[5] for row in rows]:
        sys.exit(f"{load.name}: add_many gives other bars than add")
    return len(rows)


def measure(report: Report, load: Load) -> None:
    """All kinds of one load, the three ways in turns."""
    table = np.array(load.trades, dtype=np.int64)
    columns = [np.ascontiguousarray(table[:, i]) for i in range(4)]
    count = len(load.trades)
    for name, (kind, size) in load.sizes.items():
        bars = hold_equal(kind, size, load, columns)
        make, naive = partial(BarBuilder, kind, size), partial(Naive, kind, size)
        turns = in_turns(
            {
                "add": partial(one_by_one, make, load.trades),
                "add_many": partial(at_once, make, columns),
                "naive": partial(one_by_one, naive, load.trades),
            },
            ROUNDS,
        )
        peer = median_spread([seconds / count * 1e9 for seconds in turns["naive"]])[0]
        for way, most in (("add", NS_A_TRADE_MAX), ("add_many", NS_IN_A_BATCH_MAX)):
            value, spread = median_spread([seconds / count * 1e9 for seconds in turns[way]])
            report.figure(
                f"{name} bars, {way}", value, "ns/trade", bar=most, peer="plain Python",
                peer_value=peer, spread=spread,
                load=f"{1e3 / value:.3g} million trades/s; {bars:,} bars; {load.name}",
            )  # fmt: skip


def main() -> None:
    """Both loads."""
    asked = arguments(__doc__.partition("\n")[0])
    report = Report(as_json=asked.json)
    report.machine()
    measure(report, walk(SEED))
    day = recorded()
    if day is None:
        report.note("no recorded trades here; ORCHESTRATOR_DATA names their folder")
    else:
        measure(report, day)


if __name__ == "__main__":
    main()
