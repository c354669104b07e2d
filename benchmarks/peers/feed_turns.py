"""What the peers of feeds share: several turns over one input, and the judge of their best prices.

A peer gives one function, which takes all frames through a fresh book, frame by frame, and tells
the nanoseconds of each and the best prices it read. Only timed frames count, but no frame is left
out and each best price that was read is held against the expected one, so that no peer is timed at
less than the work. The garbage collector runs as it does by default.
"""

import json
import statistics
import sys
from collections.abc import Callable
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benchmarks import feed_frames
from benchmarks.feed_frames import FeedFrames

WARM_UPS: Final = 1
TURNS: Final = 3

Tops = list[tuple[Any, Any]]
Turn = Callable[[FeedFrames], tuple[list[int], Tops]]
"""Nanoseconds of each frame of `lead`; best bid and ask after each, or after the last one only."""


def hold(frames: FeedFrames, tops: Tops) -> int:
    """Refuse a turn that read another best price than the expected one; how many were compared."""
    if not tops:
        raise ValueError("a turn read no best price at all")
    first = len(frames.best) - len(tops)
    for place, (found, best) in enumerate(zip(tops, frames.best[first:], strict=True), first):
        if [Decimal(str(price)) for price in found] != [Decimal(price) for price in best]:
            raise ValueError(f"frame {place}: best prices {found}, expected {best}")
    return len(tops)


def measure(frames: FeedFrames, turn: Turn) -> dict[str, Any]:
    """Percentiles of the timed frames over all turns in ns, and the median of each turn."""
    pooled: list[int] = []
    medians: list[float] = []
    held = 0
    for number in range(WARM_UPS + TURNS):
        taken_ns, tops = turn(frames)
        held += hold(frames, tops)
        if number >= WARM_UPS:
            timed = [taken_ns[place] for place in frames.timed]
            medians.append(statistics.median(timed))
            pooled += timed
    deciles = statistics.quantiles(pooled, n=10)
    return {
        "frames": len(frames.timed),
        "median_ns": statistics.median(pooled),
        "p10_ns": deciles[0],
        "p90_ns": deciles[-1],
        "turns_ns": medians,
        "best_prices_held": held,
    }


def speak(package: str, turn: Turn) -> None:
    """The whole of a peer's script: read the input named on the command line, print one line of JSON."""
    found = measure(feed_frames.read(Path(sys.argv[1])), turn)
    print(json.dumps({"version": version(package)} | found))
