"""A venue of the simulated exchange whose markets are a recording.

Its frames go through a Venue component, the same that trades: feed handler, books, checks. What that
shows of the books and of trades is what the markets of this exchange do, at the recording's own
times, moved to when the exchange began and as much faster as asked. Orders of accounts rest in them and
are filled by a queue model (docs/fill-models.md). When the recording ends, all markets are halted.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from engine.backtest.hearing import Hearing, Recorded
from engine.component import Outputs
from engine.exchange.exchange import NEVER
from engine.exchange.racing import RacingExchange
from engine.exchange.replayed import ReplayedMarket
from engine.exchange.replayed_desk import SKEW_NS
from engine.exchange.replayed_orders import Limits
from engine.instruments import Instrument
from engine.messages import Depth, Trade
from engine.venue import Venue


class Timeline(NamedTuple):
    """When what was recorded at `first_ns` and after happens at an exchange that begins at `begin_ns`."""

    first_ns: int
    begin_ns: int
    speed: float = 1.0

    def at(self, recorded_ns: int) -> int:
        """A recorded moment by the exchange's clock."""
        return self.begin_ns + int((recorded_ns - self.first_ns) / self.speed)


class PlayedExchange(RacingExchange):
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
        super().__init__(name, instruments, begin_ns=timeline.begin_ns, books=books)
        self._hearing = Hearing(venue, self._told)
        self._recording = recording
        self._timeline = timeline
        self._books = books
        self._coming = next(recording, None)
        self._coming_ns = 0
        self._hearing.start()
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
            self._hearing.hear(coming)
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

    def _told(self, outputs: Outputs, recorded_ns: int) -> None:
        """What the books and trades were; of the time between two frames it is told with the second."""
        for output in outputs:
            if isinstance(output, Depth):
                book, number = self._books[output.instrument], output.instrument
                self.act(number, partial(_follow, book, output), self.now_ns)
            elif isinstance(output, Trade):
                self._traded(output, self.now_ns)

    def _traded(self, trade: Trade, at_ns: int) -> None:
        """A recorded trade is told to everybody, and then what it did to orders of accounts."""
        book, market = self._books[trade.instrument], self.markets[trade.instrument]
        if trade.lots > 0 and trade.ticks > 0:
            told = market.traded(trade.ticks, trade.lots, trade.side, at_ns)
            self._clearing.events.append(told)
            self.act(
                trade.instrument, lambda _: book.trade(trade.ticks, trade.lots, trade.side), at_ns
            )


def _follow(replayed: ReplayedMarket, depth: Depth, _: object) -> None:
    replayed.follow(depth)


def replayed_books(
    instruments: Sequence[Instrument], model: str, power: float, speed: float = 1.0
) -> dict[int, ReplayedMarket]:
    """A replayed market for each instrument; at another speed a trade and its level come as much nearer."""
    return {
        instrument.id: ReplayedMarket(
            model,
            power=power,
            skew_ns=int(SKEW_NS / speed),
            crossing_lots=True,
            limits=Limits(
                lots_min=instrument.lots_min,
                lots_max=instrument.lots_max,
                notional_min=-(
                    -instrument.notional_min_units // instrument.quote_units_per_tick_lot
                ),
            ),
            market_data=True,
        )
        for instrument in instruments
    }
