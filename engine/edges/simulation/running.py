"""Many seeds, on one core or several: what broke, and what all of them came to see."""

import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import NamedTuple

from engine.edges.simulation.coverage import Coverage
from engine.edges.simulation.plan import make_scenario
from engine.edges.simulation.world import World

PART = 5  # seeds a process takes at once


class Failure(NamedTuple):
    """A seed that broke an invariant, and what was seen."""

    seed: int
    seen: str


class Sum(NamedTuple):
    """What came of some seeds; `simulated_s` counts the time until they were quiet."""

    seeds: int
    simulated_s: float
    orders: int
    fills: int
    failures: tuple[Failure, ...]
    coverage: Coverage


NOTHING = Sum(0, 0.0, 0, 0, (), Coverage())


def run_part(seeds: Sequence[int], seconds: float, native: bool = False) -> Sum:
    """Run seeds one after another, here."""
    coverage = Coverage()
    failures = []
    simulated_s, orders, fills = 0.0, 0, 0
    for seed in seeds:
        outcome = World(make_scenario(seed, seconds, native), kept=0).run()
        coverage.add(outcome.coverage)
        simulated_s += outcome.at_s
        orders += outcome.orders
        fills += outcome.fills
        if outcome.invariant:
            failures.append(Failure(seed, outcome.seen))
    return Sum(len(seeds), simulated_s, orders, fills, tuple(failures), coverage)


def add(one: Sum, other: Sum) -> Sum:
    """Both together."""
    coverage = Coverage()
    coverage.add(one.coverage)
    coverage.add(other.coverage)
    return Sum(
        one.seeds + other.seeds,
        one.simulated_s + other.simulated_s,
        one.orders + other.orders,
        one.fills + other.fills,
        one.failures + other.failures,
        coverage,
    )


def run_seeds(
    seeds: Sequence[int],
    seconds: float,
    jobs: int = 1,
    native: bool = False,
    told: Callable[[Sum], None] = lambda so_far: None,
) -> Sum:
    """Run them all, `jobs` at a time; `told` hears of what is done so far."""
    total = NOTHING
    for part in _parts(list(_cut(seeds)), seconds, jobs, native):
        total = add(total, part)
        told(total)
    return total


def _cut(seeds: Sequence[int]) -> Iterator[Sequence[int]]:
    for at in range(0, len(seeds), PART):
        yield seeds[at : at + PART]


def _parts(
    parts: Sequence[Sequence[int]], seconds: float, jobs: int, native: bool
) -> Iterable[Sum]:
    if jobs <= 1:
        for part in parts:
            yield run_part(part, seconds, native)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawn) as pool:
        under_way: set[Future[Sum]] = {
            pool.submit(run_part, part, seconds, native) for part in parts
        }
        while under_way:
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            for each in done:
                yield each.result()


class Stopwatch:
    """How long something takes, in seconds of the real clock."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    def seconds(self) -> float:
        """Since it was made."""
        return time.perf_counter() - self._began
