"""A venue of the simulated exchange whose markets are a recording, followed as it is played.

What was recorded happens at its own times, moved to when the exchange began and as much faster as
asked. When the recording ends, all markets are halted.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from engine.backtest.followed import FollowedExchange
from engine.backtest.hearing import Recorded
from engine.exchange.exchange import NEVER
from engine.exchange.replayed import ReplayedMarket
from engine.instruments import Instrument
from engine.venue import Venue


class Timeline(NamedTuple):
    """When what was recorded at `first_ns` and after happens at an exchange that begins at `begin_ns`."""

    first_ns: int
    begin_ns: int
    speed: float = 1.0

    def at(self, recorded_ns: int) -> int:
        """A recorded moment by the exchange's clock."""
        return self.begin_ns + int((recorded_ns - self.first_ns) / self.speed)


class PlayedExchange(FollowedExchange):
    """See the module. `recording` is in order of time and is read as it is played."""

    def __init__(
        self,
        name: str,
        instruments: Sequence[Instrument],
        venue: Venue,
        recording: Iterator[Recorded],
        timeline: Timeline,
        books: Mapping[int, ReplayedMarket],
    ) -> None:
        super().__init__(name, instruments, venue, timeline.begin_ns, books)
        self._recording = recording
        self._timeline = timeline
        self._coming = next(recording, None)
        self._coming_ns = 0
        self._look()

    def next_due_ns(self) -> int:
        """See `Exchange`."""
        return min(super().next_due_ns(), self._coming_ns)

    def advance(self, now_ns: int) -> None:
        """See `Exchange`; the recording goes on up to now."""
        while self._coming_ns <= now_ns:
            at_ns, coming = self._coming_ns, self._coming
            super().advance(at_ns)
            if coming is None:
                return
            self._coming = next(self._recording, None)
            self._look()
            self.hear(coming)
            if self._coming is None:
                self.set_halted(True, at_ns)
        super().advance(now_ns)

    def _look(self) -> None:
        coming = self._coming
        due_ns = NEVER if coming is None else self._timeline.at(coming[0])
        self._coming_ns = max(self._coming_ns, due_ns)

    def set_halted(self, halted: bool, now_ns: int) -> None:
        """See `Exchange`; nothing but an operator opens a market again whose recording is over."""
        super().set_halted(halted or self._coming is None, now_ns)
