"""lightmatchingengine on the load of `matching`: the same orders, cancels and crossings.

It knows no immediate-or-cancel; a crossing that would rest is not in the load, so none is needed.
"""

import time
from collections.abc import Sequence

from lightmatchingengine.lightmatchingengine import LightMatchingEngine, Side

NAME = "X"
Call = tuple[str, int, int, int, int]


def measure(begin: Sequence[tuple[int, int, int]], calls: Sequence[Call]) -> tuple[float, int]:
    """Seconds of all calls on a book that begins with some orders, and the fills they brought."""
    engine = LightMatchingEngine()
    add, cancel = engine.add_order, engine.cancel_order
    sides = {1: Side.BUY, -1: Side.SELL}
    for side, ticks, lots in begin:
        add(NAME, ticks, lots, sides[side])
    trades = 0
    begun = time.perf_counter()
    for kind, number, side, ticks, lots in calls:
        if kind == "cancel":
            cancel(number, NAME)
        else:
            trades += len(add(NAME, ticks, lots, sides[side])[1])
    return time.perf_counter() - begun, trades
