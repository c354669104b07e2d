"""Zero-intelligence order flow around a fair price that all venues share, each late and noisy.

The fair price is a seeded random walk on a grid of time: the same numbers in every venue that is
given the same seed, symbol and begin, without a word between them. A venue sees it `lag` late, plus
an offset of its own that wanders and reverts; so books of different venues really cross at times.
Around what it sees come limit orders at random distances, cancels of the oldest, and market orders.
"""

from collections import deque
from math import exp, log, sqrt
from random import Random

from engine.exchange.book import FifoBook, Match, Resting
from engine.instruments import Instrument
from engine.messages import BUY, SELL

STEP_NS = 10_000_000
STEPS_KEPT = 256
RESTING_MAX = 160
DISTANCE_BPS = 3.0
MARKET_SHARE = 0.12
CANCEL_SHARE = 0.38
NOTIONAL_MEAN = 1500.0
REVERSION_S = 1.5


class FairPath:
    """The fair price of a symbol over time: a geometric random walk, the same for every reader."""

    def __init__(
        self, seed: int, symbol: str, price: float, volatility_bps: float, begin_ns: int
    ) -> None:
        self._random = Random(f"fair/{seed}/{symbol}")
        self._sigma = volatility_bps / 10_000 * sqrt(STEP_NS / 1e9)
        self._begin_ns = begin_ns
        self._step = 0
        self._log_price = log(price)
        self._recent: deque[float] = deque([price], maxlen=STEPS_KEPT)

    def at(self, now_ns: int) -> float:
        """The fair price at a time; times before those kept give the oldest kept."""
        step = max(0, (now_ns - self._begin_ns) // STEP_NS)
        while self._step < step:
            self._step += 1
            self._log_price += self._random.gauss(0.0, self._sigma)
            self._recent.append(exp(self._log_price))
        back = min(self._step - step, len(self._recent) - 1)
        return self._recent[-1 - back]


class Flow:
    """The simulated traders of one instrument at one venue."""

    def __init__(
        self,
        instrument: Instrument,
        book: FifoBook,
        fair: FairPath,
        seed: int,
        venue: str,
        rate: float,
        lag_ns: int,
        noise_bps: float,
        begin_ns: int,
    ) -> None:
        self.instrument = instrument
        self.book = book
        self._fair = fair
        self._random = Random(f"flow/{seed}/{venue}/{instrument.symbol}")
        self._mean_gap_ns = 1e9 / rate
        self._lag_ns = lag_ns
        self._noise = noise_bps / 10_000
        self._offset = 0.0
        self._offset_ns = begin_ns
        self._resting: deque[Resting] = deque()
        self.next_ns = begin_ns + self._gap_ns()
        for _ in range(RESTING_MAX):
            self._limit(self._seen(begin_ns))

    def _gap_ns(self) -> int:
        return 1 + int(self._random.expovariate(1.0) * self._mean_gap_ns)

    def skip_to(self, now_ns: int) -> None:
        """After a long pause the market goes on from now; it does not catch up."""
        self.next_ns = now_ns + self._gap_ns()

    def _seen(self, now_ns: int) -> float:
        """The fair price as this venue sees it: late, and off by an offset that reverts."""
        elapsed_s = (now_ns - self._offset_ns) / 1e9
        self._offset_ns = now_ns
        keep = exp(-elapsed_s / REVERSION_S)
        spread = self._noise * sqrt(max(0.0, 1 - keep * keep))
        self._offset = self._offset * keep + self._random.gauss(0.0, spread)
        return self._fair.at(now_ns - self._lag_ns) * (1 + self._offset)

    def act(self) -> list[Match]:
        """The event due at `next_ns`; what traded, as (price, lots, owner) of the resting side."""
        now_ns = self.next_ns
        self.next_ns = now_ns + self._gap_ns()
        price = self._seen(now_ns)
        chance = self._random.random()
        if chance < MARKET_SHARE:
            side = BUY if self._random.random() < 0.5 else SELL
            return self.book.take(side, self._ticks(price * (1 + side * 0.002)), self._lots(), "")
        if chance < MARKET_SHARE + CANCEL_SHARE or len(self._resting) >= RESTING_MAX:
            self._cancel_oldest()
            return []
        return self._limit(price)

    def _limit(self, price: float) -> list[Match]:
        side = BUY if self._random.random() < 0.5 else SELL
        distance = self._random.expovariate(1.0) * DISTANCE_BPS / 10_000 + 0.00005
        ticks = self._ticks(price * (1 - side * distance))
        lots = self._lots()
        matches = self.book.take(side, ticks, lots, "")
        lots -= sum(match.lots for match in matches)
        if lots:
            order = Resting(side, ticks, lots, "")
            self.book.rest(order)
            self._resting.append(order)
        return matches

    def _cancel_oldest(self) -> None:
        """Keep both sides alive: the last orders of a side are not cancelled."""
        while len(self._resting) > RESTING_MAX // 4:
            order = self._resting.popleft()
            if self.book.cancel(order):
                return

    def _ticks(self, price: float) -> int:
        return max(1, round(price / self.instrument.tick))

    def _lots(self) -> int:
        """A log-normal-like size: many small orders and some large."""
        mean = NOTIONAL_MEAN / self._fair.at(self._offset_ns) / self.instrument.lot
        return 1 + int(self._random.expovariate(1.0) * mean)
