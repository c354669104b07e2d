"""The bars a bot asked for: builders of `ext.bars`, fed with `Trade`s, and when each is due.

Everything is a function of the trades and of the times handed in, so a backtest, one process and a
cluster build the same bars. A trade stands in time where its frame was received. A TIME bar is
closed by a trade of a later interval or by the bot's timer GRACE_NS after its end: trades received
before the end that are still on their way between actors belong to it.

A series' timer key is below 0, -1 for the first and so on; a strategy's own keys are 0 and above.
"""

from collections.abc import Iterator

import msgspec

from engine.messages import Bar, BarKind, Trade
from ext.bars import BarBuilder, BarRow

GRACE_NS = 20_000_000
SIZE_MAX = (1 << 63) - 1  # what a message's field holds
_LOW_BITS = (1 << 64) - 1


class SeriesState(msgspec.Struct):
    """A series for a snapshot: what was asked for, the timer that is set, the builder's dump."""

    instrument: int
    kind: BarKind
    size: int
    fill_gaps: bool
    armed_ns: int
    builder: bytes


class BarSeries:
    """One kind and size of bars of one instrument.

    `size` is ns for TIME, trades for TICK, lots for VOLUME, ticks times lots for DOLLAR. Raises
    ValueError for a size that cannot be.
    """

    def __init__(
        self, key: int, instrument: int, kind: BarKind, size: int, fill_gaps: bool
    ) -> None:
        if size > SIZE_MAX:
            raise ValueError(f"size: 1 to {SIZE_MAX}, not {size}")
        self.key = key
        self.instrument = instrument
        self.kind = kind
        self.size = size
        self.fill_gaps = fill_gaps
        self.armed_ns = 0
        self.builder = BarBuilder(kind, size, fill_gaps)
        if kind is BarKind.TIME:
            self.builder.mark_gap()  # it begins in mid-interval

    def take(self, trade: Trade, now_ns: int) -> tuple[BarRow, ...]:
        """The bars a trade closes; one that no bar can hold is left out and leaves a gap."""
        at_ns = trade.received_ns or now_ns
        try:
            return self.builder.add(at_ns, trade.ticks, trade.lots, trade.side)
        except (ValueError, OverflowError):
            self.builder.mark_gap()
            return ()

    def expire(self, now_ns: int) -> tuple[BarRow, ...]:
        """The TIME bars whose end, and grace, is over."""
        self.armed_ns = 0
        return self.builder.close_until(max(now_ns - GRACE_NS, 0))

    def arm(self) -> int:
        """When the series' timer must be set for, if it is not; else 0."""
        due_ns = self.builder.due_ns
        if not due_ns or due_ns + GRACE_NS == self.armed_ns:
            return 0
        self.armed_ns = due_ns + GRACE_NS
        return self.armed_ns

    def bar(self, row: BarRow, sender: int, sequence: int, received_ns: int) -> Bar:
        """A closed row as the message of a bot."""
        open_ns, close_ns, first, high, low, last, lots, buy_lots, notional, count, gaps = row
        return Bar(
            sender,
            sequence,
            received_ns,
            self.instrument,
            self.kind,
            self.size,
            open_ns,
            close_ns,
            first,
            high,
            low,
            last,
            lots,
            buy_lots,
            notional & _LOW_BITS,
            notional >> 64,
            count,
            gaps,
        )

    def state(self) -> SeriesState:
        """For a snapshot."""
        return SeriesState(
            self.instrument,
            self.kind,
            self.size,
            self.fill_gaps,
            self.armed_ns,
            self.builder.dump(),
        )


class BarSeriesSet:
    """All series of one bot, by instrument and by timer key."""

    def __init__(self) -> None:
        self._all: list[BarSeries] = []
        self._of_instrument: dict[int, list[BarSeries]] = {}

    def __iter__(self) -> Iterator[BarSeries]:
        return iter(self._all)

    def ask(self, instrument: int, kind: BarKind, size: int, fill_gaps: bool) -> BarSeries:
        """The series of these bars, made where it is asked for the first time."""
        for series in self.of(instrument):
            if (series.kind, series.size, series.fill_gaps) == (kind, size, fill_gaps):
                return series
        made = BarSeries(-1 - len(self._all), instrument, kind, size, fill_gaps)
        self._all.append(made)
        self._of_instrument.setdefault(instrument, []).append(made)
        return made

    def of(self, instrument: int) -> tuple[BarSeries, ...]:
        """The series that an instrument's trades go to."""
        return tuple(self._of_instrument.get(instrument, ()))

    def of_key(self, key: int) -> BarSeries | None:
        """The series whose timer this is."""
        return self._all[-1 - key] if -len(self._all) <= key < 0 else None

    def mark_gap(self, instrument: int) -> None:
        """Trades of an instrument are known, or must be feared, to be missing here."""
        for series in self.of(instrument):
            series.builder.mark_gap()

    def interrupted(self) -> None:
        """The bot was away: trades may be missing anywhere, and its timers are gone."""
        for series in self._all:
            series.armed_ns = 0
            series.builder.mark_gap()

    def regrid(self, instrument: int) -> None:
        """An instrument's ticks and lots mean something else from here on."""
        for series in self.of(instrument):
            series.builder.reset()

    def snapshot(self) -> list[SeriesState]:
        """Every series, in the order of the keys."""
        return [series.state() for series in self._all]

    def restore(self, states: list[SeriesState]) -> None:
        """Become what `snapshot` gave; series asked for since then stay, as they were made.

        Raises ValueError on a builder's bytes of another shape.
        """
        known = self._all
        self._all, self._of_instrument = [], {}
        for state in states:
            series = self.ask(state.instrument, state.kind, state.size, state.fill_gaps)
            series.builder.load(state.builder)
            series.armed_ns = state.armed_ns
        for old in known:
            self.ask(old.instrument, old.kind, old.size, old.fill_gaps)
