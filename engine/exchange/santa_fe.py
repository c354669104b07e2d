"""Zero intelligence: orders that come and go by chance alone, and the book that follows from it.

After Daniels, Farmer, Gillemot, Iori and Smith, "Quantitative model of price diffusion and market
friction based on trading as a mechanistic random process", 2003, and Smith, Farmer, Gillemot and
Krishnamurthy, "Statistical theory of the continuous double auction", 2003. Limit orders come as a
Poisson process, evenly spread over the prices of a band that begins at the opposite best; market
orders come as another; each resting order is cancelled at one constant rate. The time to the next
event is drawn from the sum of all rates at the present number of orders (Gillespie, "Exact stochastic
simulation of coupled chemical reactions", 1977).

One thing is added, for a market that has neighbours: a book that has left the fair price is pulled
back, in that more of the orders on one side come than on the other. A pull of 0 is the pure model.
"""

import math
from random import Random
from typing import NamedTuple

from engine.exchange.actions import CANCEL, NOTHING, Action, Book, OrderFlow, Sizes
from engine.exchange.fair_price import VenuePrice
from engine.instruments import Instrument
from engine.messages import BUY, SELL
from ext.matching import LIMIT

LEAN_MAX = 0.45  # how far the chance of a side leaves one half


class SantaFeSettings(NamedTuple):
    """The parameters by what they mean for a book in balance.

    Of all events one half are limit orders, for what comes must go; `market_share` of them are taken
    by market orders, the others cancelled; `orders` is how many rest on average. `pull_bps` is the
    distance from the fair price at which the sides lean to one another by three quarters of LEAN_MAX.
    """

    market_share: float
    orders: int
    band_bps: float
    pull_bps: float
    sizes: Sizes

    def thinned(self, share: float) -> "SantaFeSettings":
        """So much fewer orders rest, each so much larger: the depth stays."""
        sizes = self.sizes._replace(median=self.sizes.median / share)
        return self._replace(orders=round(self.orders * share), sizes=sizes)

    def cancel_rate(self, rate: float) -> float:
        """Of one order in a second, at so many events a second."""
        return rate / 2 * (1 - self.market_share) / self.orders


def expected_spread(
    market_lots_s: float, limit_lots_s: float, cancel_s: float, lots: float
) -> float:
    """The mean spread in prices that Farmer, Patelli and Zovko find for the pure model (2005).

    spread = mu / alpha * (0.28 + 1.86 * (lots * delta / mu) ** 0.75), where mu is the rate of market
    orders in lots, alpha that of limit orders in lots and price, delta that of cancelling.
    """
    granularity = lots * cancel_s / market_lots_s
    return market_lots_s / limit_lots_s * (0.28 + 1.86 * math.pow(granularity, 0.75))


class SantaFe(OrderFlow):
    """The zero-intelligence flow; see the module."""

    def __init__(
        self,
        instrument: Instrument,
        price: VenuePrice,
        chance: Random,
        rate: float,
        settings: SantaFeSettings,
        begin_ns: int,
    ) -> None:
        super().__init__(instrument, price, chance, settings.orders, begin_ns)
        self._settings = settings
        self._limits_s = rate / 2
        self._markets_s = rate / 2 * settings.market_share
        self._cancel_s = settings.cancel_rate(rate)

    def _gap_ns(self) -> int:
        total = self._limits_s + self._markets_s + self._cancel_s * self.resting
        return 1 + int(self._random.expovariate(total) * 1e9)

    def _decide(self, book: Book) -> Action:
        cancels_s = self._cancel_s * self.resting
        draw = self._random.random() * (self._limits_s + self._markets_s + cancels_s)
        if draw < cancels_s:
            return self._cancel_any(book)
        bid, ask = book.best(BUY)[0], book.best(SELL)[0]
        away_bps = (self._fair / ((bid + ask) / 2 * self.instrument.tick) - 1) * 10_000
        lean = (
            LEAN_MAX * math.tanh(away_bps / self._settings.pull_bps)
            if self._settings.pull_bps
            else 0
        )
        side = BUY if self._random.random() < 0.5 + lean else SELL
        if draw < cancels_s + self._markets_s:
            return self._market(side, self._settings.sizes)
        return Action(LIMIT, side, *self._limit(ask if side == BUY else bid, side))

    def _limit(self, opposite: int, side: int) -> tuple[int, int]:
        """A price of the band behind the opposite best, each with the same chance."""
        band = self._fair * self._settings.band_bps / 10_000 / self.instrument.tick
        ticks = opposite - side * (1 + int(self._random.random() * max(1.0, band)))
        return max(self.instrument.ticks_min, ticks), self._lots(self._settings.sizes)

    def _first(self, side: int) -> tuple[int, int]:
        return self._limit(self._ticks(self._fair), side)

    def _cancel_any(self, book: Book) -> Action:
        """One of all orders remembered; a dead one is only forgotten, so that the rate is each one's."""
        bids = len(self._own[BUY])
        side = BUY if self._random.random() * self.resting < bids else SELL
        own = self._own[side]
        if len(own) == 1:
            return Action(NOTHING)
        order = own.draw()
        ticks = own.remove(order)
        lives = book.order(order) is not None
        return Action(CANCEL, side, ticks, 0, order) if lives else Action(NOTHING)
