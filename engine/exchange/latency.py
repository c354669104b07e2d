"""How long things are on their way: an order to the exchange, its answer back, the market's news to us.

A model answers for a moment with nanoseconds, never below 0. It knows nothing of connections: who
asks it (`engine.exchange.front`) keeps one connection's frames in order whatever the model says.

- `Constant`: always the same, each way.
- `Near`: a way there with a little jitter; what comes back is there at once.
- `Recorded`: measured over time, and read at the moment asked, stepwise or on the line between.
- `Jittered`: chance, seeded: a log-normal body with a Pareto tail, cut off at a cap.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from random import Random
from typing import NamedTuple, Protocol


class LatencyModel(Protocol):
    """How long what leaves at a moment is on its way, in ns."""

    def way_there(self, now_ns: int) -> int:
        """An order from us to the exchange's book."""

    def way_back(self, now_ns: int) -> int:
        """The answer from the exchange to us, and news of our own orders."""

    def feed(self, now_ns: int) -> int:
        """Public market data from the exchange to us."""


class Constant:
    """The same for ever."""

    def __init__(self, there_ns: int, back_ns: int, feed_ns: int) -> None:
        if min(there_ns, back_ns, feed_ns) < 0:
            raise ValueError("nothing arrives before it leaves: a latency is 0 or more")
        self._there_ns = there_ns
        self._back_ns = back_ns
        self._feed_ns = feed_ns

    def way_there(self, now_ns: int) -> int:
        """See `LatencyModel`."""
        return self._there_ns

    def way_back(self, now_ns: int) -> int:
        """See `LatencyModel`."""
        return self._back_ns

    def feed(self, now_ns: int) -> int:
        """See `LatencyModel`."""
        return self._feed_ns


class Near:
    """A way there of a fixed length, and up to a quarter more; answers and streams are there at once."""

    def __init__(self, there_ns: int, seed: int, venue: str) -> None:
        self._there_ns = there_ns
        self._random = Random(f"latency/{seed}/{venue}")

    def way_there(self, now_ns: int) -> int:
        """See `LatencyModel`."""
        return int(self._there_ns * (1.0 + 0.25 * self._random.random()))

    def way_back(self, now_ns: int) -> int:
        """See `LatencyModel`."""
        return 0

    def feed(self, now_ns: int) -> int:
        """See `LatencyModel`."""
        return 0


class Measured(NamedTuple):
    """What was measured at a moment of the exchange's clock."""

    time_ns: int
    feed_ns: int
    order_ns: int
    back_ns: int


class Recorded:
    """A series by rising time; before its first and after its last moment those count.

    Stepwise, a moment has what was measured last; otherwise the straight line between the two
    measurements around it.
    """

    def __init__(self, series: Sequence[Measured], *, stepwise: bool = False) -> None:
        if not series:
            raise ValueError("a recorded latency needs at least one measurement")
        self._times = [point.time_ns for point in series]
        if any(later <= time for time, later in zip(self._times, self._times[1:], strict=False)):
            raise ValueError("the times of a recorded latency rise")
        if min(min(point[1:]) for point in series) < 0:
            raise ValueError("nothing arrives before it leaves: a latency is 0 or more")
        self._series = series
        self._stepwise = stepwise

    def way_there(self, now_ns: int) -> int:
        """See `LatencyModel`."""
        return self._at(now_ns, 2)

    def way_back(self, now_ns: int) -> int:
        """See `LatencyModel`."""
        return self._at(now_ns, 3)

    def feed(self, now_ns: int) -> int:
        """See `LatencyModel`."""
        return self._at(now_ns, 1)

    def _at(self, now_ns: int, field: int) -> int:
        after = bisect_right(self._times, now_ns)
        before = self._series[max(0, after - 1)]
        if self._stepwise or after in (0, len(self._series)):
            return before[field]
        later = self._series[after]
        elapsed, whole = now_ns - before.time_ns, later.time_ns - before.time_ns
        return before[field] + (later[field] - before[field]) * elapsed // whole


class Jitter(NamedTuple):
    """One way's distribution.

    The body is log-normal: `median_ns`, and `sigma` of the logarithm. In `tail_share` of the cases it
    is a Pareto instead that begins at `tail_ns` with exponent `tail_alpha` (the smaller, the heavier;
    at 1 or below even its mean would be infinite, were there no cap). Nothing is above `cap_ns`.
    """

    median_ns: int
    sigma: float
    tail_share: float
    tail_ns: int
    tail_alpha: float
    cap_ns: int

    def check(self) -> None:
        """Raises ValueError for what is no distribution."""
        if min(self.median_ns, self.tail_ns, self.cap_ns) < 0 or not 0 <= self.tail_share <= 1:
            raise ValueError(f"no time is below 0 and no share above 1: {self}")
        if not (0 <= self.sigma <= 10 and 0.1 <= self.tail_alpha <= 1000):
            raise ValueError(f"sigma is from 0 to 10 and tail_alpha from 0.1 to 1000: {self}")

    def draw(self, chance: Random) -> int:
        """One latency."""
        if chance.random() < self.tail_share:
            return int(min(self.cap_ns, self.tail_ns * chance.paretovariate(self.tail_alpha)))
        return int(min(self.cap_ns, self.median_ns * chance.lognormvariate(0.0, self.sigma)))


class Jittered:
    """Each way by its own distribution, from a seed; the ways do not change each other's numbers."""

    def __init__(self, seed: str, there: Jitter, back: Jitter, feed: Jitter) -> None:
        for way in (there, back, feed):
            way.check()
        self._there = there, Random(f"{seed}/there")
        self._back = back, Random(f"{seed}/back")
        self._feed = feed, Random(f"{seed}/feed")

    def way_there(self, now_ns: int) -> int:
        """See `LatencyModel`."""
        return self._there[0].draw(self._there[1])

    def way_back(self, now_ns: int) -> int:
        """See `LatencyModel`."""
        return self._back[0].draw(self._back[1])

    def feed(self, now_ns: int) -> int:
        """See `LatencyModel`."""
        return self._feed[0].draw(self._feed[1])


def feed_latencies(
    pairs: Iterable[tuple[int, int]],
    floor_ns: int,
    *,
    there: float = 1.0,
    back: float = 1.0,
    window_ns: int = 1_000_000_000,
) -> list[Measured]:
    """A recorded series from a capture's (local receive time, exchange event time) pairs.

    The two clocks are not the same one, so a difference is latency plus an unknown offset: in the
    captures of hftbacktest's collector here, the local clock is 1.27 s behind, and every difference
    is below 0. One direction alone cannot tell the two apart. What can be said: some frame was the
    quickest, and it took at least `floor_ns`, which the caller knows of the line (0 if nothing). So
    the offset is the least difference less the floor, and it is subtracted: what is left is exact but
    for what the quickest frame really took above the floor, a constant. Event times in whole
    milliseconds add up to one more. The offset is one for all pairs: a capture must be short enough
    for its clocks not to drift (minutes).

    Each window of the exchange's time becomes one measurement, the median of its frames. How long
    orders take is in no capture of a feed: they are taken as `there` and `back` times the feed's.
    """
    differences = sorted((event_ns, local_ns - event_ns) for local_ns, event_ns in pairs)
    if not differences:
        raise ValueError("no pair to derive a latency from")
    offset_ns = min(difference for _, difference in differences) - floor_ns
    windows: dict[int, list[int]] = {}
    for event_ns, difference in differences:
        windows.setdefault(event_ns // window_ns, []).append(difference - offset_ns)
    series = []
    for window, latencies in windows.items():
        median = sorted(latencies)[len(latencies) // 2]
        time_ns = window * window_ns
        series.append(Measured(time_ns, median, int(there * median), int(back * median)))
    return series
