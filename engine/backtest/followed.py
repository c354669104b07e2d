"""A venue of the simulated exchange whose markets follow a feed that somebody else makes.

The feed's frames go through a Venue component, the same that trades: feed handler, books, checks. What
that shows of the books and of trades is what the markets of this exchange do. Orders of accounts rest
in them and are filled by a queue model (docs/fill-models.md); nothing of ours changes the feed.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from engine.backtest.hearing import Hearing, Recorded
from engine.component import Outputs
from engine.exchange.racing import RacingExchange
from engine.exchange.replayed import ReplayedMarket
from engine.exchange.replayed_desk import SKEW_NS
from engine.exchange.replayed_orders import Limits
from engine.instruments import Instrument
from engine.messages import AnyMessage, Depth, HttpRequest, SendFrame, Trade
from engine.venue import Venue


class FollowedExchange(RacingExchange):
    """See the module. `hear` gives it the feed in order of time, after `advance` to that time.

    `perform` is given what the feed's handler wants sent: a live feed's subscriptions and requests.
    """

    def __init__(
        self,
        name: str,
        instruments: Sequence[Instrument],
        venue: Venue,
        begin_ns: int,
        books: Mapping[int, ReplayedMarket],
        perform: Callable[[AnyMessage], object] | None = None,
    ) -> None:
        super().__init__(name, instruments, begin_ns=begin_ns, books=books)
        self._hearing = Hearing(venue, self._told)
        self._books = books
        self._perform = perform
        self._hearing.start()

    def follow(self, message: AnyMessage, now_ns: int) -> None:
        """A message of a live feed's edge."""
        self._hearing.take(message, now_ns)

    def wait(self, now_ns: int) -> None:
        """Nothing came, and time passes: the feed's handler looks after its books."""
        self._hearing.wait(now_ns)

    def hear(self, heard: Recorded) -> None:
        """A frame of the feed, or what became of its connection."""
        self._hearing.hear(heard)

    def _told(self, outputs: Outputs, recorded_ns: int) -> None:
        """What the books and trades were; of the time between two frames it is told with the second."""
        for output in outputs:
            if isinstance(output, Depth):
                book, number = self._books[output.instrument], output.instrument
                self.act(number, partial(_follow, book, output), self.now_ns)
            elif isinstance(output, Trade):
                self._traded(output, self.now_ns)
            elif self._perform is not None and isinstance(output, SendFrame | HttpRequest):
                self._perform(output)

    def _traded(self, trade: Trade, at_ns: int) -> None:
        """A trade of the feed is told to everybody, and then what it did to orders of accounts."""
        book, market = self._books[trade.instrument], self.markets[trade.instrument]
        if trade.lots > 0 and trade.ticks > 0:
            told = market.traded(trade.ticks, trade.lots, trade.side, at_ns)
            self._clearing.events.append(told)
            self.act(
                trade.instrument, lambda _: book.trade(trade.ticks, trade.lots, trade.side), at_ns
            )


def _follow(replayed: ReplayedMarket, depth: Depth, _: object) -> None:
    replayed.follow(depth)


def followed_books(
    instruments: Sequence[Instrument], model: str, power: float, speed: float = 1.0
) -> dict[int, ReplayedMarket]:
    """A market for each instrument; at another speed a trade and its level come as much nearer."""
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
