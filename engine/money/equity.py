"""What all of it is worth in one currency, against the day's opening and the highest it ever was.

A flow is what came to an account without being traded. It is valued at the same moment as the balance it
came to, which is the first at which there is a mark: so that nothing is ever counted as a profit
because it came, or because its mark did. Each value is rounded down to the unit.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from engine.money.marks import FOREVER, Marks
from engine.units import INT64_MAX

DAY_NS = 86_400_000_000_000


class Worth(NamedTuple):
    """The equity and what it is held against, in units of the currency; see the message `Equity`."""

    equity: int
    opening: int
    transfers: int
    peak: int
    stale_ns: int
    unmarked: tuple[str, ...]


class EquityState(msgspec.Struct):
    """The whole state, for a snapshot; flows by asset, in units, that had no mark yet."""

    day: int = -1
    opening: int = 0
    transfers: int = 0
    peak: int = 0
    opened: dict[str, int] = {}
    moved: dict[str, int] = {}
    unmarked: dict[str, int] = {}


class EquityBook:
    """Equity in one currency. `state.unmarked` counts by asset how often there was no mark for it."""

    def __init__(self, currency: str, ignored: frozenset[str]) -> None:
        self.currency = currency
        self.ignored = ignored
        self.state = EquityState()

    def opened(self, asset: str, amount: int) -> None:
        """An account was heard of first, with so much in it."""
        _add(self.state.opened, asset, amount)

    def moved(self, asset: str, amount: int) -> None:
        """So much came, or went, and was not traded."""
        _add(self.state.moved, asset, amount)

    def mark(self, held: Mapping[str, int], marks: Marks, now_ns: int) -> Worth:
        """Value what is held, by asset and in units, and go on to a new UTC day where one began."""
        state = self.state
        equity = opened = moved = 0
        oldest_ns = FOREVER
        unmarked = []
        for asset in sorted(held.keys() | state.opened.keys() | state.moved.keys()):
            total = held.get(asset, 0)
            came = state.opened.get(asset, 0), state.moved.get(asset, 0)
            if asset in self.ignored or not (total or any(came)):
                continue
            mark = marks.mark(asset, self.currency)
            if mark is None:
                state.unmarked[asset] = state.unmarked.get(asset, 0) + 1
                unmarked.append(asset)
                continue
            above, below = mark.rate.numerator, mark.rate.denominator
            equity += total * above // below
            opened += came[0] * above // below
            moved += came[1] * above // below
            oldest_ns = min(oldest_ns, mark.at_ns)
            state.opened.pop(asset, None)
            state.moved.pop(asset, None)
        self._move_on(equity, opened, moved, now_ns // DAY_NS)
        stale_ns = max(0, now_ns - oldest_ns) if oldest_ns != FOREVER else 0
        return Worth(
            equity,
            state.opening,
            state.transfers,
            state.peak,
            INT64_MAX if unmarked else stale_ns,
            tuple(unmarked),
        )

    def _move_on(self, equity: int, opened: int, moved: int, day: int) -> None:
        state = self.state
        if day > state.day:  # a clock that stepped back begins no day again
            if state.day >= 0:
                state.opening = equity - opened - moved
                state.transfers = 0
            state.day = day
        state.opening += opened
        state.transfers += moved
        state.peak = max(state.peak + opened + moved, equity)


def _add(table: dict[str, int], asset: str, amount: int) -> None:
    table[asset] = table.get(asset, 0) + amount
