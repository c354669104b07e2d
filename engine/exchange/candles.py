"""Candles out of trades: every second and every minute that had one, as far back as is kept."""

from bisect import bisect_left
from collections import deque
from typing import NamedTuple

from engine.messages import BUY

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
SECONDS_MAX = 7_200
MINUTES_MAX = 10_080


class Candle(NamedTuple):
    """What traded from `open_ns` on for one interval; prices in ticks, value in ticks times lots.

    One without trades has the close before it as its prices.
    """

    open_ns: int
    open: int
    high: int
    low: int
    close: int
    lots: int
    value: int
    trades: int
    taker_buy_lots: int
    taker_buy_value: int


class _Series:
    """The candles of one interval that had a trade; rising, bounded."""

    def __init__(self, interval_ns: int, candles_max: int) -> None:
        self.interval_ns = interval_ns
        self.candles: deque[Candle] = deque(maxlen=candles_max)

    def add(self, candle: Candle) -> None:
        """One more trade, as a candle of its own."""
        candles = self.candles
        open_ns = candle.open_ns - candle.open_ns % self.interval_ns
        if candles and candles[-1].open_ns >= open_ns:
            candles[-1] = joined(candles[-1], candle)
        else:
            candles.append(candle._replace(open_ns=open_ns))

    def between(self, since_ns: int, until_ns: int) -> list[Candle]:
        """Those that open in since..until, and the last one before, for its close."""
        kept = list(self.candles)
        begin = bisect_left(kept, since_ns, key=lambda candle: candle.open_ns)
        end = bisect_left(kept, until_ns + 1, key=lambda candle: candle.open_ns)
        return kept[max(0, begin - 1) : end]


def joined(first: Candle, then: Candle) -> Candle:
    """Both as one that opens with the first."""
    return Candle(
        first.open_ns,
        first.open if first.trades else then.open,
        max(first.high, then.high) if first.trades else then.high,
        min(first.low, then.low) if first.trades else then.low,
        then.close,
        first.lots + then.lots,
        first.value + then.value,
        first.trades + then.trades,
        first.taker_buy_lots + then.taker_buy_lots,
        first.taker_buy_value + then.taker_buy_value,
    )


class Candles:
    """Two hours of seconds and a week of minutes; longer intervals are made out of minutes."""

    def __init__(self) -> None:
        self._seconds = _Series(SECOND_NS, SECONDS_MAX)
        self._minutes = _Series(MINUTE_NS, MINUTES_MAX)

    def trade(self, ticks: int, lots: int, side: int, time_ns: int) -> None:
        """A trade; `side` is the taker's."""
        value = ticks * lots
        bought = (lots, value) if side == BUY else (0, 0)
        candle = Candle(time_ns, ticks, ticks, ticks, ticks, lots, value, 1, *bought)
        self._seconds.add(candle)
        self._minutes.add(candle)

    def get(self, interval_ns: int, since_ns: int, until_ns: int, limit: int) -> list[Candle]:
        """The first `limit` candles that open in since..until, without a hole; empty before any trade.

        An interval is a whole number of seconds; raises ValueError for another.
        """
        if interval_ns <= 0 or interval_ns % SECOND_NS:
            raise ValueError(f"candles of {interval_ns} ns")
        series = self._minutes if interval_ns % MINUTE_NS == 0 else self._seconds
        since_ns = -(-since_ns // interval_ns) * interval_ns
        found = series.between(since_ns, until_ns - until_ns % interval_ns + interval_ns - 1)
        if not found or limit <= 0:
            return []
        if found[0].open_ns >= since_ns:
            since_ns = found[0].open_ns - found[0].open_ns % interval_ns
        close = found[0].close
        at = int(found[0].open_ns < since_ns)
        candles: list[Candle] = []
        while since_ns <= until_ns and len(candles) < limit:
            candle = Candle(since_ns, close, close, close, close, 0, 0, 0, 0, 0)
            while at < len(found) and found[at].open_ns < since_ns + interval_ns:
                candle = joined(candle, found[at])
                at += 1
            candles.append(candle)
            close = candle.close
            since_ns += interval_ns
        return candles
