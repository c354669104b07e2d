"""How much a client of Kraken may ask: counters that calls fill and time empties, by tier.

Two of them: calls of REST by key, and orders by account and pair, whichever way they came. Points are
thousandths, so that they are exact. Sources: https://docs.kraken.com/api/docs/guides/spot-rest-ratelimits,
/guides/spot-ratelimits
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple, TypeVar

from engine.exchange.wires.kraken_words import SECOND_NS, KrakenError

POINT = 1000
METERS_MAX = 10_000

Key = TypeVar("Key", bound=Hashable)


class Tier(NamedTuple):
    """What a verified client may: counters' ceilings in points, and what a second takes off them."""

    calls: int
    calls_second: int
    orders: int
    orders_second: int
    open_orders: int


STARTER = Tier(15 * POINT, 330, 60 * POINT, 1000, 60)
INTERMEDIATE = Tier(20 * POINT, 500, 125 * POINT, 2340, 80)
PRO = Tier(20 * POINT, 1000, 180 * POINT, 3750, 225)
UNLIMITED = Tier(1 << 60, 1 << 60, 1 << 60, 1 << 60, 1 << 30)

# Seconds since an order was placed or amended, and the points that a change then costs on top.
Ages = Sequence[tuple[int, int]]
AMENDED: Ages = ((5, 3), (10, 2), (15, 1))
EDITED: Ages = ((5, 6), (10, 5), (15, 4), (45, 2), (90, 1))
CANCELLED: Ages = ((5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1))


def by_age(ages: Ages, age_ns: int) -> int:
    """The points of a change to an order of such an age."""
    for younger_s, points in ages:
        if age_ns < younger_s * SECOND_NS:
            return points * POINT
    return 0


class Meter:
    """One counter: what it holds and when it was looked at."""

    __slots__ = ("held", "seen_ns")

    def __init__(self, now_ns: int) -> None:
        self.held = 0
        self.seen_ns = now_ns

    def at(self, now_ns: int, second: int) -> int:
        """What is left in it now. Time too short for a whole point still counts the next time."""
        gone = max(0, now_ns - self.seen_ns) * second // SECOND_NS
        if gone < self.held:
            self.held -= gone
            self.seen_ns -= -gone * SECOND_NS // second
        else:
            self.held = 0
            self.seen_ns = max(now_ns, self.seen_ns)
        return self.held


class Limits:
    """All counters of one wire."""

    def __init__(self, tier: Tier) -> None:
        self.tier = tier
        self._calls: dict[str, Meter] = {}
        self._orders: dict[tuple[str, int], Meter] = {}

    def call(self, key: str, points: int, now_ns: int) -> None:
        """A private call of REST; raises KrakenError where it would be too many."""
        meter = _meter(self._calls, key, now_ns)
        held = meter.at(now_ns, self.tier.calls_second)
        if held + points * POINT > self.tier.calls:
            raise KrakenError("EAPI:Rate limit exceeded")
        meter.held = held + points * POINT

    def order(self, account: str, instrument: int, points: int, now_ns: int) -> None:
        """An order placed or changed; it counts even if it is refused. Raises KrakenError."""
        held = self.count(account, instrument, points, now_ns)
        if held > self.tier.orders:
            raise KrakenError("EOrder:Rate limit exceeded")

    def count(self, account: str, instrument: int, points: int, now_ns: int) -> int:
        """Count without a limit, as cancelling does; what is held then. It stops at twice the ceiling."""
        meter = _meter(self._orders, (account, instrument), now_ns)
        held = meter.at(now_ns, self.tier.orders_second) + points
        meter.held = min(held, 2 * self.tier.orders)
        return held

    def held(self, account: str, instrument: int, now_ns: int) -> int:
        """Whole points of an account and pair, as the executions channel shows them."""
        meter = _meter(self._orders, (account, instrument), now_ns)
        return meter.at(now_ns, self.tier.orders_second) // POINT


def _meter(meters: dict[Key, Meter], key: Key, now_ns: int) -> Meter:
    found = meters.get(key)
    if found is None:
        if len(meters) >= METERS_MAX:
            del meters[next(iter(meters))]
        found = meters[key] = Meter(now_ns)
    return found
