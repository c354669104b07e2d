"""Claim: a level costs the L2 book at most 40 ns in a batch of 20, and one change from Python 100 ns.

Load: a seeded random walk that changes levels near the touch of a book of 1,000 levels a side, and
the recorded Binance diffs of four markets where they are to be had. Peers, in turns on the same
load in one process: NautilusTrader's `OrderBook` (deltas built beforehand) and ccxt.pro's.
"""

import gzip
import json
import math
import os
import sys
import time
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, Protocol

from benchmarks.report import Report, arguments, go_to_peers, in_turns, median_spread
from ext.book import ASK, BID, Book

SEED = 7
ROUNDS = 15
BATCHES = 2_000
BATCH_LEVELS = 20
DEPTH = 1_000
MID_TICKS = 100_000
NS_A_LEVEL_MAX = 40.0
NS_A_CHANGE_MAX = 100.0

Levels = list[tuple[int, int]]


class Batch(NamedTuple):
    """Levels of one side of one of the books, to be set in order."""

    book: int
    side: int
    levels: Levels


class Load(NamedTuple):
    """What is measured: the books at the start, then the batches."""

    name: str
    starts: list[tuple[Levels, Levels]]
    batches: list[Batch]

    @property
    def level_count(self) -> int:
        """Levels in all batches."""
        return sum(len(batch.levels) for batch in self.batches)


class Contender(Protocol):
    """A book under test: made ready for a load once, set back before each round."""

    def reset(self) -> None:
        """Bring the books to the load's start."""

    def batches(self) -> None:
        """Apply the whole load, a call a batch."""

    def changes(self) -> None:
        """Apply the whole load, a call a level."""


def walk(seed: int) -> Load:
    """Batches around a mid that wanders by a tick: sets and deletes, most of them near the touch."""
    random = Random(seed)
    start = (
        [(MID_TICKS - i, random.randint(1, 1_000)) for i in range(DEPTH)],
        [(MID_TICKS + 1 + i, random.randint(1, 1_000)) for i in range(DEPTH)],
    )
    touch = {BID: MID_TICKS, ASK: MID_TICKS + 1}
    mid, batches = MID_TICKS, []
    for number in range(BATCHES):
        side = BID if number % 2 else ASK
        mid += random.choice((-1, 0, 1))
        best = mid if side == BID else mid + 1
        passed = range(touch[side], best, -side)  # levels that the mid has run through
        levels = [(ticks, 0) for ticks in passed]
        while len(levels) < BATCH_LEVELS:
            lots = 0 if random.random() < 0.3 else random.randint(1, 1_000)
            levels.append((best - side * int(random.expovariate(0.2)), lots))
        touch[side] = best
        batches.append(Batch(0, side, levels[:BATCH_LEVELS]))
    return Load(f"random walk, seed {seed}, {DEPTH} levels a side", [start], batches)


def _steps(side: Sequence[Sequence[str]]) -> Levels:
    """Binance's strings of eight decimals as whole numbers."""
    return [(int(price.replace(".", "")), int(size.replace(".", ""))) for price, size in side]


def recorded() -> Load | None:
    """The recorded diffs of Binance spot, from each market's snapshot on; None without the file."""
    default = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
    path = Path(os.environ.get("ORCHESTRATOR_DATA", default), "cryptofeed", "BINANCE.jsonl.gz")
    if not path.exists():
        return None
    books: dict[str, int] = {}
    starts: list[tuple[Levels, Levels]] = []
    batches: list[Batch] = []
    with gzip.open(path, "rt") as lines:
        for line in lines:
            record = json.loads(line)
            if record["t"] == "http" and "/depth?symbol=" in record["url"]:
                body = json.loads(record["data"])
                symbol = record["url"].partition("symbol=")[2].partition("&")[0]
                books[symbol] = len(starts)
                starts.append((_steps(body["bids"]), _steps(body["asks"])))
            elif record["t"] == "recv" and "depthUpdate" in record["data"]:
                diff = json.loads(record["data"])["data"]
                if diff["s"] in books:
                    sides = ((BID, _steps(diff["b"])), (ASK, _steps(diff["a"])))
                    batches += [Batch(books[diff["s"]], side, held) for side, held in sides if held]
    return _smallest_grid(Load("recorded Binance diffs, 4 markets", starts, batches))


def _smallest_grid(load: Load) -> Load:
    """The same load in the largest tick and lot that hold it, so that every peer's numbers do."""
    held = [level for start in load.starts for side in start for level in side]
    held += [level for batch in load.batches for level in batch.levels]
    tick, lot = math.gcd(*(t for t, _ in held)), math.gcd(*(n for _, n in held))

    def scaled(levels: Levels) -> Levels:
        return [(ticks // tick, lots // lot) for ticks, lots in levels]

    starts = [(scaled(bids), scaled(asks)) for bids, asks in load.starts]
    batches = [Batch(book, side, scaled(levels)) for book, side, levels in load.batches]
    return Load(load.name, starts, batches)


def flat(levels: Levels, of: Callable[[list[int]], Any]) -> tuple[Any, Any]:
    """Levels as two flat int64 arrays."""
    return of([ticks for ticks, _ in levels]), of([lots for _, lots in levels])


class Ours:
    """`ext.book.Book`, from arrays of the given maker."""

    def __init__(self, load: Load, of: Callable[[list[int]], Any]) -> None:
        self._starts = [(*flat(bids, of), *flat(asks, of)) for bids, asks in load.starts]
        self._books = [Book() for _ in load.starts]
        self._batches = [
            (self._books[book].apply, side, *flat(levels, of))
            for book, side, levels in load.batches
        ]
        self._changes = [
            (self._books[book].change, side, ticks, lots)
            for book, side, levels in load.batches
            for ticks, lots in levels
        ]

    def reset(self) -> None:
        """Each book from its snapshot."""
        for book, start in zip(self._books, self._starts, strict=True):
            book.snapshot(*start)

    def batches(self) -> None:
        """A call of `apply` a batch."""
        for apply, side, ticks, lots in self._batches:
            apply(side, ticks, lots)

    def changes(self) -> None:
        """A call of `change` a level."""
        for change, side, ticks, lots in self._changes:
            change(side, ticks, lots)

    def levels(self) -> list[tuple[Levels, Levels]]:
        """All levels of each book."""
        return [(book.levels(BID), book.levels(ASK)) for book in self._books]


class Nautilus:
    """NautilusTrader's L2 book; every delta is built before the clock starts."""

    def __init__(self, load: Load) -> None:
        from nautilus_trader.model import book, data, enums, identifiers, objects

        self._instrument = identifiers.InstrumentId.from_str("BTCUSDT.BINANCE")
        self._data, self._enums, self._objects = data, enums, objects
        self._books = [book.OrderBook(self._instrument, enums.BookType.L2_MBP) for _ in load.starts]
        self._starts = [
            self._deltas(BID, bids) + self._deltas(ASK, asks) for bids, asks in load.starts
        ]
        built = [(self._books[book], self._deltas(side, held)) for book, side, held in load.batches]
        self._batches = [
            (book.apply_deltas, data.OrderBookDeltas(self._instrument, deltas))
            for book, deltas in built
        ]
        self._changes = [(book.apply_delta, delta) for book, deltas in built for delta in deltas]

    def _deltas(self, side: int, levels: Levels) -> list[Any]:
        way = self._enums.OrderSide.BUY if side == BID else self._enums.OrderSide.SELL
        actions = self._enums.BookAction
        return [
            self._data.OrderBookDelta(
                self._instrument,
                actions.UPDATE if lots else actions.DELETE,
                self._data.BookOrder(
                    way, self._objects.Price(ticks, 0), self._objects.Quantity(lots, 0), 0
                ),
                flags=0, sequence=0, ts_event=0, ts_init=0,
            )
            for ticks, lots in levels
        ]  # fmt: skip

    def reset(self) -> None:
        """Each book from its snapshot's deltas."""
        for book, start in zip(self._books, self._starts, strict=True):
            book.reset()
            book.apply_deltas(self._data.OrderBookDeltas(self._instrument, start))

    def batches(self) -> None:
        """A call of `apply_deltas` a batch."""
        for apply, deltas in self._batches:
            apply(deltas)

    def changes(self) -> None:
        """A call of `apply_delta` a level."""
        for apply, delta in self._changes:
            apply(delta)

    def levels(self) -> list[tuple[Levels, Levels]]:
        """All levels of each book."""

        def held(side: Any) -> Levels:
            return [(round(level.price), round(level.size())) for level in side]  # sizes are floats

        return [(held(book.bids()), held(book.asks())) for book in self._books]


class Ccxt:
    """ccxt.pro's order book, which has no batch: a level at a time, as its handlers do it."""

    def __init__(self, load: Load) -> None:
        from ccxt.async_support.base.ws.order_book import OrderBook

        self._books = [OrderBook() for _ in load.starts]
        self._starts = load.starts
        self._changes = [
            (self._books[book]["bids" if side == BID else "asks"].storeArray, *map(float, level))
            for book, side, levels in load.batches
            for level in levels
        ]

    def reset(self) -> None:
        """Each book from its snapshot."""
        for book, (bids, asks) in zip(self._books, self._starts, strict=True):
            book.reset({"bids": [list(map(float, level)) for level in bids],
                        "asks": [list(map(float, level)) for level in asks]})  # fmt: skip

    def batches(self) -> None:
        """The same as `changes`."""
        self.changes()

    def changes(self) -> None:
        """A call of `storeArray` a level; it keeps the list, so each needs its own."""
        for store, price, size in self._changes:
            store([price, size])

    def levels(self) -> list[tuple[Levels, Levels]]:
        """All levels of each book."""

        def held(side: Any) -> Levels:
            return [(int(price), int(size)) for price, size in side]

        return [(held(book["bids"]), held(book["asks"])) for book in self._books]


def timed(contender: Contender, work: Callable[[], None], count: int) -> Callable[[], float]:
    """One round: set back, then run against the clock; ns a level."""

    def task() -> float:
        contender.reset()
        started_ns = time.perf_counter_ns()
        work()
        return (time.perf_counter_ns() - started_ns) / count

    return task


def contenders(load: Load, peers: bool, report: Report) -> dict[str, Any]:
    """Ours from array.array and from numpy, and the peers that this interpreter can import."""
    held: dict[str, Any] = {"array": Ours(load, lambda numbers: array("q", numbers))}
    makers: list[tuple[str, Callable[[], Any]]] = []
    try:
        import numpy as np
    except ImportError:
        report.note("numpy is not here: figures from array.array only")
    else:
        held["numpy"] = Ours(load, lambda numbers: np.array(numbers, dtype=np.int64))
    if peers:
        makers = [("nautilus", lambda: Nautilus(load)), ("ccxt.pro", lambda: Ccxt(load))]
    for name, make in makers:
        try:
            held[name] = make()
        except ImportError as error:
            report.note(f"{name} is not measured, {sys.executable} cannot import it: {error}")
    return held


def measure(report: Report, load: Load, peers: bool, barred: bool) -> None:
    """All contenders over one load, batches and single changes; they must end with equal books."""
    held = contenders(load, peers, report)
    count = load.level_count
    mean = count / len(load.batches)
    for kind, bar in (("batch", NS_A_LEVEL_MAX), ("change", NS_A_CHANGE_MAX)):
        works = {
            name: one.batches if kind == "batch" else one.changes for name, one in held.items()
        }
        if kind == "change":  # takes plain numbers: the maker of arrays makes no difference
            works.pop("numpy", None)
        turns = in_turns(
            {name: timed(held[name], work, count) for name, work in works.items()}, ROUNDS
        )
        ends = {name: held[name].levels() for name in works}
        if any(end != ends["array"] for end in ends.values()):
            raise RuntimeError("the contenders' books differ: the figures would compare nothing")
        what = f"{load.name}, {count} levels" + (f", {mean:.3g} a batch" if kind == "batch" else "")
        rivals = [name for name in works if name not in ("array", "numpy")]
        for ours in (name for name in works if name in ("array", "numpy")):
            value, spread = median_spread(turns[ours])
            name = f"book.{kind}.{ours}" if kind == "batch" else f"book.{kind}"
            for rival in rivals or [None]:
                report.figure(
                    name, value, "ns/level", bar=bar if barred else None, peer=rival,
                    peer_value=median_spread(turns[rival])[0] if rival else None,
                    load=what, spread=spread,
                )  # fmt: skip


def main() -> None:
    """Both loads; bars stand on the one the issue names."""
    asked = arguments(__doc__.partition("\n")[0])
    if asked.peers:
        go_to_peers("benchmarks.book")
    report = Report(as_json=asked.json)
    report.machine()
    measure(report, walk(SEED), asked.peers, barred=True)
    diffs = recorded()
    if diffs is None:
        report.note("no recorded diffs here; ORCHESTRATOR_DATA names their folder")
    else:
        measure(report, diffs, asked.peers, barred=False)


if __name__ == "__main__":
    main()
