"""Order flow in bursts: who does something next is decided by a Hawkes process, where by the fair price.

Its events are those of Large, "Measuring the resiliency of an electronic limit order book", 2007, and
of Bacry, Jaisson and Muzy, "Estimation of slowly decreasing Hawkes kernels", 2016, on each side: a
limit order near the best price, a market order, a cancel near the best price; and one more, something
far from it. Traders near the best price keep the spread closed as long as the price there is within
`guard_bps` of the fair one: what has become too cheap or too dear they take, and quote behind it, so
that the price goes in steps. Far orders lie at distances with a power-law tail from the fair price
(Zovko and Farmer, "The power of patience", 2002; Bouchaud, Mezard and Potters, 2002).
"""

from math import exp
from random import Random
from typing import NamedTuple

import numpy as np

from engine.exchange.actions import Action, Book, OrderFlow, Sizes
from engine.exchange.fair_price import VenuePrice
from engine.exchange.hawkes import Floats, Hawkes, branching_ratio, mean_rates
from engine.instruments import Instrument
from engine.messages import BUY, SELL
from ext.matching import LIMIT

NEAR_LIMIT, MARKET, NEAR_CANCEL, FAR, MOVE = range(5)
KINDS = 4  # of events; a move of the middle only calls them forth
CAUSES = 5
MEMORY_S = 60.0  # over which the rate of moves is taken

Row = tuple[float, ...]


class Arrivals(NamedTuple):
    """When what comes: the Hawkes process of four kinds on two sides, the same for both.

    `base` events a second of each kind come by themselves on either side, and `moves` of the middle
    (a move up is the bids' side). `same[i][j]` is how many of kind i one of cause j calls forth on its
    own side, `opposite[i][j]` on the other; `weights[i]` shares those of kind i out over the kernels,
    which forget at `betas` (1/s).
    """

    base: Row
    moves: float
    same: tuple[Row, ...]
    opposite: tuple[Row, ...]
    betas: Row
    weights: tuple[Row, ...]

    def matrix(self) -> Floats:
        """The branching matrix, 8 types by 10 causes; kind i is 2 * i (bids) and 2 * i + 1."""
        n = np.zeros((2 * KINDS, 2 * CAUSES))
        for side in (0, 1):
            n[side::2, side::2] = self.same
            n[side::2, 1 - side :: 2] = self.opposite
        return n

    def kernels(self) -> Floats:
        """The branching matrix of each kernel."""
        weights = np.repeat(np.asarray(self.weights), 2, axis=0)
        kernels: Floats = weights.T[:, :, np.newaxis] * self.matrix()
        return kernels

    def ratio(self) -> float:
        """The branching ratio of the events among themselves."""
        return branching_ratio(self.matrix()[:, : 2 * KINDS])

    def rates(self) -> Floats:
        """Events of each type in a second in the long run, with as many moves as told."""
        n = self.matrix()
        by_moves = n[:, 2 * KINDS :].sum(axis=1) * self.moves
        return mean_rates(np.repeat(np.asarray(self.base), 2) + by_moves, n[:, : 2 * KINDS])


class HawkesSettings(NamedTuple):
    """The parameters; `orders` rest on average.

    `guard_bps` is how far the best price may be from the fair one before it is left or taken. While
    the spread is wider than a tick, whoever would do something else closes it with chance `eager`;
    that is also the chance of a limit order near the best price to close it wholly.
    `distance_bps` is the median distance of far orders beyond the guard, with P(> x) falling as
    x**-`tail`.
    """

    arrivals: Arrivals
    orders: int
    guard_bps: float
    inner: float
    eager: float
    distance_bps: float
    tail: float
    near_sizes: Sizes
    market_sizes: Sizes
    far_sizes: Sizes

    def thinned(self, share: float) -> "HawkesSettings":
        """So much fewer orders rest, and those far off are so much larger: the depth stays."""
        sizes = self.far_sizes._replace(median=self.far_sizes.median / share)
        return self._replace(orders=round(self.orders * share), far_sizes=sizes)


class HawkesFlow(OrderFlow):
    """The clustered flow; see the module.

    `rate` scales what comes by itself and what moves call forth, not what events do. A market may
    move more often or less than the one that was measured: what one move calls forth is scaled by
    that, so that over minutes moves have their share of the events and the rate is kept.
    """

    def __init__(
        self,
        instrument: Instrument,
        price: VenuePrice,
        chance: Random,
        rate: float,
        settings: HawkesSettings,
        begin_ns: int,
    ) -> None:
        super().__init__(instrument, price, chance, settings.orders, begin_ns)
        self._settings = settings
        arrivals = settings.arrivals
        scale = rate / float(arrivals.rates().sum())
        base = [each * scale for each in np.repeat(np.asarray(arrivals.base), 2).tolist()]
        self._hawkes = Hawkes(base, arrivals.kernels(), arrivals.betas, chance)
        self._type = 0
        self._moves_due = 2 * arrivals.moves * scale
        self._moves = max(self._moves_due, 2 * arrivals.moves)  # a second, lately
        self._moved_ns = begin_ns
        self._middle = 0
        self._off = {BUY: False, SELL: False}
        self._guard = settings.guard_bps / 10_000
        # Lomax: P(> x) = (1 + x / scale)**-tail has its median at scale * (2**(1 / tail) - 1).
        self._scale = settings.distance_bps / 10_000 / (2 ** (1 / settings.tail) - 1)

    def _gap_ns(self) -> int:
        gap_s, self._type = self._hawkes.next()
        return 1 + int(gap_s * 1e9)

    def skip_to(self, now_ns: int) -> None:
        """After a long pause the market goes on from now, and calmly."""
        self._hawkes.calm()
        self._moved_ns = now_ns
        super().skip_to(now_ns)

    def _acted(self, book: Book) -> None:
        """A move of the middle calls forth events."""
        middle = book.best(BUY)[0] + book.best(SELL)[0]
        if middle != self._middle:
            self._moves *= exp((self._moved_ns - self.next_ns) / 1e9 / MEMORY_S)
            self._moves += 1 / MEMORY_S
            self._moved_ns = self.next_ns
            side = 0 if middle > self._middle else 1
            self._hawkes.excite(2 * MOVE + side, min(1.0, self._moves_due / self._moves))
            self._middle = middle

    def _decide(self, book: Book) -> Action:
        kind, side = self._type // 2, BUY if self._type % 2 == 0 else SELL
        if kind == MARKET:
            side = next((-each for each in (BUY, SELL) if self._off[each]), side)
            return self._market(side, self._settings.market_sizes)
        if kind == NEAR_LIMIT:
            return Action(LIMIT, side, *self._near(book, side))
        best = book.best(side)[0]
        self._off[side] = self._far_off(best, side)
        if self._off[side]:
            cancel = self._cancel(book, side, best)
        elif (book.best(-side)[0] - best) * side > 1 and self._eager():
            return Action(LIMIT, side, *self._near(book, side))
        elif kind == NEAR_CANCEL:
            cancel = self._cancel(book, side, best)
        else:
            # As many are cancelled as come when `orders` rest, and more when there are more.
            full = len(self._own[side]) / self.orders
            cancel = self._cancel(book, side) if self._random.random() < full else None
        return cancel or Action(LIMIT, side, *self._first(side))

    def _eager(self) -> bool:
        return self._random.random() < self._settings.eager

    def _far_off(self, ticks: int, side: int) -> bool:
        """Whether a price of a side is too good for others.

        It is from the guard on, and once it was, until it is within `inner` of the guard.
        """
        away = (ticks * self.instrument.tick / self._fair - 1) * side
        guard = self._guard * self._settings.inner if self._off[side] else self._guard
        return away > guard

    def _near(self, book: Book, side: int) -> tuple[int, int]:
        """Just before the opposite best or, of those who are not eager, anywhere from the best on.

        Where that is too dear it is before the fair price.
        """
        ticks = book.best(-side)[0] - side
        if not self._eager():
            best = book.best(side)[0]
            ticks = best + side * int(self._random.random() * ((ticks - best) * side + 1))
        if self._far_off(ticks, side):
            away = self._guard * self._settings.inner * self._random.random()
            ticks = self._ticks(self._fair * (1 - side * away))
        return max(self.instrument.ticks_min, ticks), self._lots(self._settings.near_sizes)

    def _first(self, side: int) -> tuple[int, int]:
        chance = 1 - self._random.random()
        away = self._guard + self._scale * (chance ** (-1 / self._settings.tail) - 1)
        ticks = self._ticks(self._fair * (1 - side * min(away, 0.5)))
        return ticks, self._lots(self._settings.far_sizes)
