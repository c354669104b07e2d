"""The fair price of a symbol over time, the same for every venue, and what one venue sees of it.

The log price moves on a grid of time by normal steps whose size hangs on a regime (calm, normal or
wild; a Markov chain, after Hamilton, "A new approach to the economic analysis of nonstationary time
series", 1989) and by jumps that come as a Poisson process (Merton, "Option pricing when underlying
stock returns are discontinuous", 1976). Jump sizes have the tail 1/x**3 that is found in returns
(Gopikrishnan and others, "Inverse cubic law for the distribution of stock price variations", 1998).
Chance is used up step by step, never by who asks when: readers with the same seed, symbol and
beginning get the same numbers without a word between them.
"""

import math
from collections import deque
from math import exp, log, sqrt
from random import Random
from typing import NamedTuple

STEP_NS = 10_000_000
STEP_S = STEP_NS / 1e9
STEPS_KEPT = 256
TAIL = 3.0  # the exponent of the jumps' sizes
JUMP_MAX = 20.0  # in multiples of the smallest: the variance of a jump must not hang on one number
REVERSION_S = 1.5


class Regime(NamedTuple):
    """How large the steps are (1 is a normal hour's), and for how long on average."""

    name: str
    volatility: float
    seconds: float


class FairSettings(NamedTuple):
    """What a fair price is made of; `volatility_bps` is that of one second, jumps and all.

    `jump_share` of the variance comes in `jumps_per_hour` jumps. The regimes are in order: from the
    first and the last the chain goes to the middle one, from there to the last with chance `wild`.
    """

    volatility_bps: float = 2.0
    jump_share: float = 0.3
    jumps_per_hour: float = 600.0
    regimes: tuple[Regime, Regime, Regime] = (
        Regime("calm", 0.55, 12.0),
        Regime("normal", 1.0, 6.0),
        Regime("wild", 2.2, 2.5),
    )
    wild: float = 0.35


class FairPrice:
    """The fair price of a symbol over time; see the module. It holds the last STEPS_KEPT steps."""

    def __init__(
        self, seed: int, symbol: str, price: float, settings: FairSettings, begin_ns: int
    ) -> None:
        self._random = Random(f"fair/{seed}/{symbol}")
        self._settings = settings
        self._begin_ns = begin_ns
        self._step = 0
        self._log_price = log(price)
        self._recent: deque[float] = deque([price], maxlen=STEPS_KEPT)
        share = max(0.0, min(1.0, settings.jump_share)) if settings.jumps_per_hour > 0 else 0.0
        variance = (settings.volatility_bps / 10_000) ** 2
        scale = sqrt(variance * (1 - share) * STEP_S / mean_variance(settings))
        self._sigmas = [scale * regime.volatility for regime in settings.regimes]
        self._jump_gap_s = 3600 / settings.jumps_per_hour if share else 0.0
        self._jump_least = sqrt(variance * share * self._jump_gap_s / _jump_square())
        self._regime = 1
        self._sigma = self._sigmas[1]
        self._switch_step = self._after(settings.regimes[1].seconds)
        self._jump_step = self._after(self._jump_gap_s) if share else 1 << 62

    @property
    def regime(self) -> str:
        """The name of the regime at the latest step that was asked for."""
        return self._settings.regimes[self._regime].name

    def at(self, now_ns: int) -> float:
        """The fair price at a time; times before those held give the oldest held."""
        step = max(0, (now_ns - self._begin_ns) // STEP_NS)
        while self._step < step:
            self._move()
        back = min(self._step - step, len(self._recent) - 1)
        return self._recent[-1 - back]

    def _move(self) -> None:
        self._step += 1
        if self._step >= self._switch_step:
            self._switch()
        self._log_price += self._random.gauss(0.0, self._sigma)
        if self._step >= self._jump_step:
            self._log_price += self._jump()
            self._jump_step = self._after(self._jump_gap_s)
        self._recent.append(exp(self._log_price))

    def _after(self, seconds: float) -> int:
        """The step at which something happens that comes once in so many seconds."""
        return self._step + 1 + int(self._random.expovariate(1.0) * seconds / STEP_S)

    def _switch(self) -> None:
        if self._regime == 1:
            self._regime = 2 if self._random.random() < self._settings.wild else 0
        else:
            self._regime = 1
        self._sigma = self._sigmas[self._regime]
        self._switch_step = self._after(self._settings.regimes[self._regime].seconds)

    def _jump(self) -> float:
        """A size of P(> x) = (least / x)**TAIL, cut off at JUMP_MAX times the least; up or down."""
        least_chance = math.pow(JUMP_MAX, -TAIL)
        chance = least_chance + (1 - least_chance) * self._random.random()
        size = self._jump_least * math.pow(chance, -1 / TAIL)
        return size if self._random.random() < 0.5 else -size


def mean_variance(settings: FairSettings) -> float:
    """The mean of the regimes' squared volatilities by the time that the chain spends in each.

    Two visits out of four are to the middle regime, the others are shared out by `wild`.
    """
    visits = (1 - settings.wild, 1.0, settings.wild)
    times = [visit * regime.seconds for visit, regime in zip(visits, settings.regimes, strict=True)]
    squares = [regime.volatility**2 for regime in settings.regimes]
    return sum(t * s for t, s in zip(times, squares, strict=True)) / sum(times)


def _jump_square() -> float:
    """The mean square of a jump with least size 1: the Pareto integral up to JUMP_MAX."""
    whole = 1 - math.pow(JUMP_MAX, -TAIL)
    return TAIL / (TAIL - 2) * (1 - math.pow(JUMP_MAX, 2 - TAIL)) / whole


class VenuePrice:
    """The fair price as one venue sees it: late, and off by an offset that wanders and reverts.

    The offset is an Ornstein-Uhlenbeck process with the standing deviation `noise_bps`, moved
    exactly from one question to the next: it is the venue's own and hangs on when it asks.
    """

    def __init__(
        self,
        fair: FairPrice,
        seed: int,
        venue: str,
        symbol: str,
        lag_ns: int,
        noise_bps: float,
        begin_ns: int,
    ) -> None:
        self._fair = fair
        self._random = Random(f"view/{seed}/{venue}/{symbol}")
        self._lag_ns = lag_ns
        self._noise = noise_bps / 10_000
        self._offset = 0.0
        self._offset_ns = begin_ns

    def at(self, now_ns: int) -> float:
        """What the venue sees now; time never goes back."""
        elapsed_s = max(0, now_ns - self._offset_ns) / 1e9
        self._offset_ns = max(now_ns, self._offset_ns)
        if self._noise:
            keep = exp(-elapsed_s / REVERSION_S)
            spread = self._noise * sqrt(1 - keep * keep)
            self._offset = self._offset * keep + self._random.gauss(0.0, spread)
        return self._fair.at(now_ns - self._lag_ns) * (1 + self._offset)
