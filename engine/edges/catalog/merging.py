"""Merges columns of events by time, block by block, in bounded memory.

A step takes from every feed what lies before the earliest end of a block that is still followed by
more, so nothing that comes later can belong before it; what was taken is joined and sorted once,
stably: at equal times the feeds stand in their order. As all events of a frame have one time, a
frame stays in one piece.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.edges.catalog.layout import Columns, concatenated

TIME_MAX = 2**63 - 1


class Piece(NamedTuple):
    """Events in order of time, at least one, and the number of where they come from."""

    source: int
    events: Columns


class Merged(NamedTuple):
    """Events of several feeds by time; `source[i]` is the source of row i."""

    events: Columns
    source: npt.NDArray[np.int32]


class Feed:
    """One side of a merge: its pieces go on in time, from one to the next."""

    def __init__(self, pieces: Iterator[Piece]) -> None:
        self.loaded: list[Piece] = []
        self.last_ns = -1
        self.done = False
        self._pieces = pieces

    def ready(self) -> None:
        """Load until some rows are surely before all that follow, or nothing follows."""
        while not self.done and (not self.loaded or self.last_ns == self.loaded[0].events.ts_ns[0]):
            piece = next(self._pieces, None)
            if piece is None:
                self.done = True
                return
            self.last_ns = int(piece.events.ts_ns[-1])
            self.loaded.append(piece)

    def take(self, bound_ns: int) -> list[Piece]:
        """The loaded rows before a time; they are gone afterwards."""
        taken, kept = [], []
        for number, events in self.loaded:
            stop = events.rows
            if bound_ns <= events.ts_ns[-1]:
                stop = int(np.searchsorted(events.ts_ns, bound_ns))
            if stop:
                taken.append(Piece(number, events.cut(0, stop)))
            if stop < events.rows:
                kept.append(Piece(number, events.cut(stop, events.rows)))
        self.loaded = kept
        return taken


def merge(feeds: Sequence[Feed]) -> Iterator[Merged]:
    """All rows of all feeds by time; at equal times in the order of the feeds, then their own."""
    while feeds:
        for feed in feeds:
            feed.ready()
        followed = [feed.last_ns for feed in feeds if not feed.done]
        bound_ns = min(followed, default=TIME_MAX)
        taken = [piece for feed in feeds for piece in feed.take(bound_ns)]
        feeds = [feed for feed in feeds if feed.loaded or not feed.done]
        if taken:
            yield _joined(taken)


def _joined(taken: list[Piece]) -> Merged:
    events = concatenated([piece.events for piece in taken])
    numbers = np.array([piece.source for piece in taken], dtype=np.int32)
    source = np.repeat(numbers, [piece.events.rows for piece in taken])
    if len(taken) == 1:
        return Merged(events, source)
    order = np.argsort(events.ts_ns, kind="stable")
    return Merged(events.take(order), source[order])
