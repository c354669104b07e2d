"""What is known of every market, measured on any: spread, depth, arrivals, volatility, sizes.

The same functions read a capture of a real market and a simulated one, so that the two can stand side
by side. Times are seconds from the tape's beginning, prices and money floats: nothing here is traded on.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DISTANCES_BPS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
WINDOWS_S = (0.001, 0.01, 0.1, 1.0, 10.0)
INTERVALS_S = (0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
SPREAD_QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
GAP_QUANTILES = (0.25, 0.5, 0.75, 0.9, 0.99)


class Tops(NamedTuple):
    """The best prices and their sizes after each change of any of them."""

    times_s: Floats
    bid: Floats
    bid_size: Floats
    ask: Floats
    ask_size: Floats

    def middle(self) -> Floats:
        """The mid prices."""
        return (self.bid + self.ask) / 2


class Takers(NamedTuple):
    """Orders that traded on arrival, all fills of one together; side 0 buys, 1 sells."""

    times_s: Floats
    sides: Ints
    money: Floats


class Deeper(NamedTuple):
    """Changes of the book away from the best prices; side 0 is the bids'."""

    times_s: Floats
    sides: Ints


class Tape(NamedTuple):
    """A market over some minutes; `depth` is money within each of DISTANCES_BPS of the middle.

    Depth is one row a sample, the mean of both sides.
    """

    tick: float
    tops: Tops
    takers: Takers
    deeper: Deeper
    depth: Floats


class Facts(NamedTuple):
    """A market in numbers; see `measure`."""

    spread_bps: Floats  # by SPREAD_QUANTILES, by time
    one_tick: float  # the share of time in which the spread is one tick
    depth: Floats  # by DISTANCES_BPS, in money
    gaps_ms: Floats  # by GAP_QUANTILES, between changes of the top
    fano: Floats  # of changes of the top, by WINDOWS_S
    fano_takers: Floats
    echo: float  # correlation of the changes of the top in one tenth of a second and the next
    signature: Floats  # by INTERVALS_S, bps in a root second
    tops_s: float
    takers_s: float
    events_s: float
    taker_median: float  # money
    taker_sigma: float  # of its logarithm


def measure(tape: Tape) -> Facts:
    """All facts of a tape."""
    tops = tape.tops
    held_s = np.diff(tops.times_s)
    length_s = float(tops.times_s[-1] - tops.times_s[0])
    spread_bps = (tops.ask / tops.bid - 1) * 10_000
    narrow = tops.ask - tops.bid < 1.5 * tape.tick
    money = np.log(tape.takers.money)
    counts = _counts(tops.times_s, 0.1)
    return Facts(
        spread_bps=weighted_quantiles(spread_bps[:-1], held_s, SPREAD_QUANTILES),
        one_tick=float(held_s[narrow[:-1]].sum() / length_s),
        depth=tape.depth.mean(axis=0),
        gaps_ms=np.quantile(held_s * 1000, GAP_QUANTILES),
        fano=np.array([fano(tops.times_s, window) for window in WINDOWS_S]),
        fano_takers=np.array([fano(tape.takers.times_s, window) for window in WINDOWS_S]),
        echo=float(np.corrcoef(counts[:-1], counts[1:])[0, 1]),
        signature=np.array([signature(tops, interval) for interval in INTERVALS_S]),
        tops_s=len(tops.times_s) / length_s,
        takers_s=len(money) / length_s,
        events_s=(len(tops.times_s) + len(tape.deeper.times_s)) / length_s,
        taker_median=float(np.exp(np.median(money))),
        taker_sigma=float(money.std()),
    )


def weighted_quantiles(values: Floats, weights: Floats, quantiles: tuple[float, ...]) -> Floats:
    """Quantiles of values that count as much as they weigh."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    places = np.minimum(np.searchsorted(reached, quantiles), len(values) - 1)
    return np.asarray(values[order][places], dtype=np.float64)


def fano(times_s: Floats, window_s: float) -> float:
    """Variance over mean of the counts in windows: 1 for a Poisson process, more for bursts.

    Fano, "Ionization yield of radiations", 1947.
    """
    counts = _counts(times_s, window_s)
    return float(counts.var() / counts.mean()) if len(counts) > 1 and counts.mean() else 0.0


def _counts(times_s: Floats, window_s: float) -> Floats:
    places = ((times_s - times_s[0]) / window_s).astype(np.int64)
    return np.bincount(places)[:-1].astype(np.float64)


def signature(tops: Tops, interval_s: float) -> float:
    """Volatility of the middle sampled at an interval, in bps a root second.

    The root of the realised variance by time: level for a random walk, falling where the price goes
    back and forth, rising where it goes on (Andersen, Bollerslev, Diebold and Labys, "Great
    realizations", 2000).
    """
    grid = np.arange(tops.times_s[0], tops.times_s[-1], interval_s)
    places = np.searchsorted(tops.times_s, grid, side="right") - 1
    returns = np.diff(np.log(tops.middle()[places])) * 10_000
    return float(np.sqrt((returns**2).mean() / interval_s)) if len(returns) else 0.0


def rows(facts: Facts) -> list[tuple[str, float]]:
    """The facts as named numbers, in the order of a table."""
    found: list[tuple[str, float]] = [
        ("changes of the top a second", facts.tops_s),
        ("all events a second", facts.events_s),
        ("taking orders a second", facts.takers_s),
        ("taking order, median, money", facts.taker_median),
        ("taking order, sigma of the log", facts.taker_sigma),
        ("spread one tick, share of time", facts.one_tick),
    ]
    parts: tuple[tuple[str, tuple[float, ...], Floats], ...] = (
        ("spread, bps, quantile {:g}", SPREAD_QUANTILES, facts.spread_bps),
        ("depth a side, thousands, within {:g} bps", DISTANCES_BPS, facts.depth / 1000),
        ("gap between tops, ms, quantile {:g}", GAP_QUANTILES, facts.gaps_ms),
        ("Fano factor of tops, {:g} s", WINDOWS_S, facts.fano),
        ("Fano factor of taking orders, {:g} s", WINDOWS_S, facts.fano_takers),
        ("volatility at {:g} s, bps / root s", INTERVALS_S, facts.signature),
    )
    for text, grid, values in parts:
        found += [(text.format(at), float(value)) for at, value in zip(grid, values, strict=True)]
    found.insert(6, ("echo of tops, 0.1 s", facts.echo))
    return found
