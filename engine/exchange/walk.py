"""What an order at any price would trade: the resting orders it meets, in priority.

It goes by the kernel's rules (docs/matching.md): what self-trade prevention and one-cancels-other take
out of the way is not counted, so that its cost is exactly what the kernel will make of it.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ext.matching import (
    STP_DECREMENT,
    STP_NONE,
    STP_OLDEST,
    MatchingBook,
)

ANY = 1 << 62
PORTION = 16


class Met(NamedTuple):
    """A resting order of an account as a walk sees it; groups are numbers of their owner."""

    owner: int
    group: int


class Walk(NamedTuple):
    """Lots that trade and their value in ticks times lots; `last` is the last price met, 0 for none.

    `exhausted` is whether it took all there is.
    """

    lots: int
    value: int
    last: int
    exhausted: bool


def in_turn(book: MatchingBook, side: int) -> Iterator[tuple[int, int, int, int]]:
    """The resting orders of a side, asked for by the portion: most walks end in the first."""
    seen, count = 0, PORTION
    while True:
        found = book.resting(side, count)
        yield from found[seen:]
        if len(found) < count:
            return
        seen, count = count, count * PORTION


def walk(
    book: MatchingBook,
    side: int,
    worst_ticks: int,
    lots: int,
    value_max: int,
    owner: int,
    stp: int,
    group: int,
    met: Callable[[int], Met | None],
) -> Walk:
    """Trade up to `lots` and `value_max`, at prices up to `worst_ticks`.

    `met` tells of a resting order by its number; None for one that is the simulated flow's.
    """
    traded = value = last = 0
    exhausted = True
    gone: set[Met] = set()  # one-cancels-other groups that a trade has ended
    for number, ticks, _, leaves in in_turn(book, -side):
        if lots == 0 or (ticks - worst_ticks) * side > 0:
            exhausted = False
            break
        other = met(number)
        if other is not None:
            if other in gone:
                continue
            if other.owner == owner and stp != STP_NONE:
                if stp not in (STP_OLDEST, STP_DECREMENT):
                    exhausted = False
                    break
                if stp == STP_DECREMENT:
                    lots -= min(lots, leaves)
                if other.group:
                    gone.add(other)
                continue
        last = ticks
        taken = min(lots, leaves, (value_max - value) // ticks)
        if taken:
            traded += taken
            value += taken * ticks
            lots -= taken
            gone |= {each for each in (Met(owner, group), other) if each and each.group}
        if taken < leaves:
            exhausted = False
            break
    return Walk(traded, value, last, exhausted)
