"""Binance's candle intervals: fixed lengths, weeks from Monday on, months, and time zones."""

from datetime import UTC, datetime

from engine.exchange.candles import Candle, joined
from engine.exchange.market import Market
from engine.exchange.wires.binance_words import MS

MINUTE_MS = 60_000
DAY_MS = 86_400_000
MONDAY_MS = 4 * DAY_MS  # the first Monday after 1970 began
LENGTHS_MS = {
    "1s": 1_000,
    **{f"{number}m": number * MINUTE_MS for number in (1, 3, 5, 15, 30)},
    **{f"{number}h": number * 60 * MINUTE_MS for number in (1, 2, 4, 6, 8, 12)},
    "1d": DAY_MS,
    "3d": 3 * DAY_MS,
    "1w": 7 * DAY_MS,
    "1M": 31 * DAY_MS,
}


def is_interval(text: str) -> bool:
    """Whether Binance has such candles."""
    return text in LENGTHS_MS


def open_ms(time_ms: int, interval: str, zone: int = 0) -> int:
    """When the candle of a moment opens; `zone` is in minutes."""
    shift = zone * MINUTE_MS
    if interval == "1M":
        local = datetime.fromtimestamp((time_ms + shift) / 1_000, UTC)
        first = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return int(first.timestamp()) * 1_000 - shift
    begin = MONDAY_MS if interval == "1w" else 0
    length = LENGTHS_MS[interval]
    return (time_ms + shift - begin) // length * length + begin - shift


def close_ms(open_ns: int, interval: str, zone: int = 0) -> int:
    """The last millisecond of the candle that opens then."""
    opened = open_ns // MS
    if interval == "1M":
        return open_ms(opened + 32 * DAY_MS, interval, zone) - 1
    return opened + LENGTHS_MS[interval] - 1


def candles_of(
    market: Market, interval: str, zone: int, since_ns: int | None, until_ns: int, limit: int
) -> list[Candle]:
    """Candles of a market, the first ones from `since_ns` on, otherwise the latest."""
    length_ns = LENGTHS_MS[interval] * MS
    if zone or interval in ("1w", "1M"):
        found = _grouped(market, interval, zone, since_ns or 0, until_ns)
        return found[:limit] if since_ns is not None else found[-limit:]
    if since_ns is None:
        since_ns = max(0, open_ms(until_ns // MS, interval) * MS - (limit - 1) * length_ns)
    found = market.candles(length_ns, since_ns, until_ns, limit)
    return list(found)


def _grouped(
    market: Market, interval: str, zone: int, since_ns: int, until_ns: int
) -> list[Candle]:
    """Candles of no fixed grid, out of those of minutes (of seconds, for seconds)."""
    step = min(LENGTHS_MS[interval], MINUTE_MS) * MS
    groups: dict[int, Candle] = {}
    for candle in market.candles(step, since_ns, until_ns, 1 << 20):
        opened = open_ms(candle.open_ns // MS, interval, zone) * MS
        if opened < since_ns:
            continue
        before = groups.get(opened)
        groups[opened] = (
            candle._replace(open_ns=opened) if before is None else joined(before, candle)
        )
    return list(groups.values())
