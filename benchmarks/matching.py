"""Claim: the matching kernel does 6 million operations a second, whether 2,000 or 200,000 orders rest.

Load: half of the operations add an order, 40 % cancel one that rests, any with the same chance, and a
tenth cross the spread for about one order's lots, so that the number that rests stays; prices lie at
power-law distances from the touch. Seeded; the numbers of the orders to be cancelled are found by
running it once beforehand. `batch` drives flat arrays through `run`, the reports drained every 4,096
operations; `call` is one Python call an operation, and what it filled is asked for after each that
crossed. The naive way is the obvious Python book: a dict of deques, heaps of prices, the same calls.
"""

import gc
import time
from collections import deque
from collections.abc import Callable
from copy import copy
from functools import partial
from heapq import heappop, heappush
from random import Random

import numpy as np

from benchmarks.report import (
    Report,
    arguments,
    go_to_peers,
    in_turns,
    median_spread,
    percentiles,
)
from ext.matching import (
    BUY,
    CANCEL,
    IOC,
    LIMIT,
    OPERATION,
    REPORT,
    SELL,
    SUBMIT,
    TRADE,
    MatchingBook,
)  # fmt: skip

SEED = 7
OPERATIONS = 300_000
BATCH = 4096
ROUNDS = 7
MIDDLE = 100_000
BATCH_MIN = 6.0
CALL_MIN = 2.2
FLAT_MAX = 1.5
SINGLE_NS_MAX = 1000
BYTES_MAX = 128
PEER_OPERATIONS = 20_000


class Naive:
    """The obvious book: orders [number, lots] in a deque a price, heaps of prices, lazy cancels."""

    def __init__(self) -> None:
        self.number = 0
        self.live: dict[int, list[int]] = {}
        self.levels: dict[int, dict[int, deque[list[int]]]] = {BUY: {}, SELL: {}}
        self.prices: dict[int, list[int]] = {BUY: [], SELL: []}

    def submit(self, side: int, ticks: int, lots: int, rests: bool) -> list[tuple[int, int, int]]:
        """Match, then rest; the fills as (number, ticks, lots) of the resting orders."""
        self.number += 1
        fills: list[tuple[int, int, int]] = []
        prices, levels, live = self.prices[-side], self.levels[-side], self.live
        while lots and prices:
            best = side * prices[0]
            if (best - ticks) * side > 0:
                break
            level = levels[best]
            while lots and level:
                order = level[0]
                traded = min(lots, order[1])
                if traded:
                    order[1] -= traded
                    lots -= traded
                    fills.append((order[0], best, traded))
                if not order[1]:
                    level.popleft()
                    live.pop(order[0], None)
            if not level:
                del levels[best]
                heappop(prices)
        if lots and rests:
            order = self.live[self.number] = [self.number, lots]
            here = self.levels[side].get(ticks)
            if here is None:
                here = self.levels[side][ticks] = deque()
                heappush(self.prices[side], -side * ticks)
            here.append(order)
        return fills

    def cancel(self, number: int) -> bool:
        """The order's lots are gone; its place in the queue goes when it is reached."""
        order = self.live.pop(number, None)
        if order is None:
            return False
        order[1] = 0
        return True


class Load:
    """A book's resting orders, and the operations to run on it, as rows and as Python numbers."""

    def __init__(self, resting: int) -> None:
        random = Random(SEED)
        book = MatchingBook()
        self.resting = resting
        self._live: list[int] = []
        self._place: dict[int, int] = {}
        begin = [self._add(random) for _ in range(resting)]
        self.begin = begin
        for side, ticks, lots in begin:
            self._rested(book.submit(side, LIMIT, ticks, lots))
        book.reports()
        self.calls = [self._next(random, book) for _ in range(OPERATIONS)]
        self.rows = np.zeros(OPERATIONS, dtype=np.dtype(OPERATION))
        for row, (kind, number, side, ticks, lots) in zip(self.rows, self.calls, strict=True):
            row["op"], row["order"] = (CANCEL, number) if kind == "cancel" else (SUBMIT, 0)
            if kind != "cancel":
                row["side"], row["kind"], row["ticks"], row["lots"] = side, LIMIT, ticks, lots
                row["tif"] = IOC if kind == "cross" else 1

    def first(self, operations: int) -> "Load":
        """The same with fewer operations."""
        few = copy(self)
        few.calls, few.rows = self.calls[:operations], self.rows[:operations]
        return few

    @staticmethod
    def _add(random: Random) -> tuple[int, int, int]:
        side = random.choice((BUY, SELL))
        away = min(20_000, int(random.paretovariate(0.8)))
        return side, MIDDLE - side * away, random.randint(1, 100)

    def _rested(self, number: int) -> None:
        self._place[number] = len(self._live)
        self._live.append(number)

    def _gone(self, number: int) -> None:
        place, last = self._place.pop(number), self._live.pop()
        if last != number:
            self._live[place], self._place[last] = last, place

    def _next(self, random: Random, book: MatchingBook) -> tuple[str, int, int, int, int]:
        chance = random.random()
        if chance < 0.4:
            number = random.choice(self._live)
            self._gone(number)
            book.cancel(number)
            book.reports()
            return "cancel", number, 0, 0, 0
        side, ticks, lots = self._add(random)
        if chance < 0.9:
            self._rested(book.submit(side, LIMIT, ticks, lots))
            book.reports()
            return "add", 0, side, ticks, lots
        ticks = MIDDLE + side * 20_000
        book.submit(side, LIMIT, ticks, lots, 0, IOC)
        for report in book.reports():
            if report.kind == TRADE and report.other_leaves == 0:
                self._gone(report.other)
        return "cross", 0, side, ticks, lots

    def kernel(self) -> MatchingBook:
        """A book with the orders that rest before the operations."""
        book = MatchingBook()
        for side, ticks, lots in self.begin:
            book.submit(side, LIMIT, ticks, lots)
            book.drain()
        return book

    def naive(self) -> Naive:
        """The same book, naively."""
        book = Naive()
        for side, ticks, lots in self.begin:
            book.submit(side, ticks, lots, True)
        return book


def batch(load: Load) -> float:
    """Seconds for all operations from flat arrays."""
    book, rows = load.kernel(), load.rows
    drained = 0
    begun = time.perf_counter()
    for at in range(0, OPERATIONS, BATCH):
        book.run(rows[at : at + BATCH])
        drained += len(book.drain())
    taken = time.perf_counter() - begun
    assert drained
    return taken


def calls(load: Load) -> float:
    """Seconds for a Python call an operation on the kernel."""
    book = load.kernel()
    submit, cancel, reports, drain = book.submit, book.cancel, book.reports, book.drain
    begun = time.perf_counter()
    for kind, number, side, ticks, lots in load.calls:
        if kind == "cancel":
            cancel(number)
        elif kind == "add":
            submit(side, LIMIT, ticks, lots)
        else:
            drain()
            submit(side, LIMIT, ticks, lots, 0, IOC)
            reports()
    return time.perf_counter() - begun


def naive_calls(load: Load) -> float:
    """The same on the naive book."""
    book = load.naive()
    submit, cancel = book.submit, book.cancel
    begun = time.perf_counter()
    for kind, number, side, ticks, lots in load.calls:
        if kind == "cancel":
            cancel(number)
        elif kind == "add":
            submit(side, ticks, lots, True)
        else:
            submit(side, ticks, lots, False)
    return time.perf_counter() - begun


def singles(load: Load) -> dict[str, list[float]]:
    """Nanoseconds of each single call, the clock's own included; of a crossing, per fill."""
    book, clock = load.kernel(), time.perf_counter_ns
    taken: dict[str, list[float]] = {"add": [], "cancel": [], "cross, per fill": []}
    for kind, number, side, ticks, lots in load.calls:
        if kind == "cancel":
            begun = clock()
            book.cancel(number)
            taken["cancel"].append(clock() - begun)
        elif kind == "add":
            begun = clock()
            book.submit(side, LIMIT, ticks, lots)
            taken["add"].append(clock() - begun)
        else:
            book.drain()
            begun = clock()
            book.submit(side, LIMIT, ticks, lots, 0, IOC)
            spent = clock() - begun
            fills = sum(report.kind == TRADE for report in book.reports())
            if fills:
                taken["cross, per fill"].append(spent / fills)
    return taken


def hold_equal(load: Load) -> int:
    """The same fills from the kernel's rows and the naive book, or there is nothing to compare."""
    book, naive = load.kernel(), load.naive()
    book.run(load.rows)
    reports = np.frombuffer(book.drain(), dtype=np.dtype(REPORT))
    trades = reports[reports["kind"] == TRADE]
    ours = list(
        zip(
            trades["other"].tolist(), trades["ticks"].tolist(), trades["lots"].tolist(), strict=True
        )
    )
    theirs: list[tuple[int, int, int]] = []
    for kind, number, side, ticks, lots in load.calls:
        if kind == "cancel":
            assert naive.cancel(number)
        else:
            theirs += naive.submit(side, ticks, lots, kind == "add")
    if ours != theirs:
        raise SystemExit("the kernel's fills are not the naive book's")
    return len(ours)


def million(seconds: tuple[float, ...]) -> tuple[float, dict[str, float]]:
    """Million operations a second."""
    return median_spread([OPERATIONS / taken / 1e6 for taken in seconds])


def measure(report: Report, load: Load) -> float:
    """All figures of one book size; the batch's rate."""
    fills = hold_equal(load)
    tasks: dict[str, Callable[[], float]] = {
        "batch": partial(batch, load), "call": partial(calls, load),
        "naive": partial(naive_calls, load),
    }  # fmt: skip
    turns = in_turns(tasks, ROUNDS)
    peer = million(turns["naive"])[0]
    about = f"{load.resting:,} resting, {OPERATIONS:,} operations, {fills:,} fills"
    rates = {}
    for way, least in (("batch", max(BATCH_MIN, 3 * peer)), ("call", max(CALL_MIN, peer))):
        rates[way], spread = million(turns[way])
        report.figure(
            f"{load.resting:,} resting, {way}", rates[way], "million operations/s", bar=least,
            better="higher", peer="obvious Python book", peer_value=peer, spread=spread, load=about,
        )  # fmt: skip
    for kind, samples in singles(load).items():
        ranks = percentiles(samples, 50, 99, 99.9)
        bar = None if kind.startswith("cross") else SINGLE_NS_MAX
        report.figure(
            f"{load.resting:,} resting, one {kind}, p99", ranks["p99"], "ns", bar=bar,
            spread=ranks, load="one Python call, the clock's two readings included",
        )  # fmt: skip
    return rates["batch"]


def measure_peer(report: Report, load: Load) -> None:
    """lightmatchingengine on the first operations, in turns with one Python call an operation."""
    try:
        from benchmarks.peers import matching_light
    except ImportError:
        report.note("lightmatchingengine is not installed: `make bench-peers` does that")
        return
    few = load.first(PEER_OPERATIONS)
    turns = in_turns(
        {
            "call": partial(calls, few),
            "peer": lambda: matching_light.measure(few.begin, few.calls)[0],
        },
        3,
    )
    rates = {
        name: median_spread([PEER_OPERATIONS / taken / 1e6 for taken in seconds])
        for name, seconds in turns.items()
    }
    report.figure(
        f"{load.resting:,} resting, call, beside a peer", rates["call"][0], "million operations/s",
        better="higher", peer="lightmatchingengine", peer_value=rates["peer"][0],
        spread=rates["call"][1], load=f"the first {PEER_OPERATIONS:,} operations",
    )  # fmt: skip


def main() -> None:
    """Both sizes, what lies between them, and memory."""
    asked = arguments(__doc__.partition("\n")[0])
    if asked.peers:
        go_to_peers("benchmarks.matching")
    report = Report(as_json=asked.json)
    report.machine()
    gc.disable()
    few, many = Load(2_000), Load(200_000)
    rates = [measure(report, load) for load in (few, many)]
    if asked.peers:
        measure_peer(report, few)
    report.figure(
        "cost of an operation, 200,000 resting to 2,000", rates[0] / rates[1], "times", bar=FLAT_MAX
    )
    empty, book = MatchingBook(), many.kernel()
    report.figure(
        "memory of a resting order", (book.memory - empty.memory) / len(book), "bytes",
        bar=BYTES_MAX, load=f"{len(book):,} rest, levels and tables included, reports not yet taken",
    )  # fmt: skip


if __name__ == "__main__":
    main()
