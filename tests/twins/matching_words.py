"""The words of the matching twin: its constants, what it tells, an order, and a wrong order.

The constants are written out again, not imported, so that the twin needs no kernel; a test holds
the two lists together.
"""

from dataclasses import dataclass, fields
from typing import NamedTuple

BUY, SELL = 1, -1
LIMIT, MARKET, PEGGED = 1, 2, 3
NO_TRIGGER, STOP, TAKE_PROFIT, TRAIL_TICKS, TRAIL_BPS = 0, 1, 2, 3, 4
GTC, IOC, FOK, GTD, DAY = 1, 2, 3, 4, 5
POST_ONLY, SLIDE, REDUCE_ONLY = 1, 2, 4
STP_NONE, STP_NEWEST, STP_OLDEST, STP_BOTH, STP_DECREMENT = 0, 1, 2, 3, 4
CONTINUOUS, AUCTION, HALTED, CLOSED = 1, 2, 3, 4
RESTING, WAITING, DORMANT, PARKED, PENDING = 1, 2, 3, 4, 5

ACCEPTED, REJECTED, TRADE, CANCELLED, EXPIRED, REPLACED = 1, 2, 3, 4, 5, 6
CANCEL_REJECTED, REPLACE_REJECTED, TRIGGERED, REPRICED = 7, 8, 9, 10
DECREMENTED, ACTIVATED, PHASE = 11, 12, 13

NO_REASON, INVALID, TICK, LOT, NOTIONAL, BAND, REDUCE, WOULD_TAKE, FULL = 0, 1, 2, 3, 4, 5, 6, 7, 8
NOT_IN_AUCTION, IS_HALTED, IS_CLOSED, UNKNOWN_ORDER, NO_PARENT = 9, 10, 11, 12, 13
BY_CLIENT, BY_MASS, NOT_FILLED, NOT_FILLABLE, NO_LIQUIDITY = 14, 15, 16, 17, 18
SELF_TRADE, BY_GROUP, BY_PARENT, OUT_OF_TIME, END_OF_DAY, IN_AUCTION = 19, 20, 21, 22, 23, 24

SUBMIT, CANCEL, REPLACE, MASS_CANCEL, ADVANCE, SET_PHASE, END_DAY = 1, 2, 3, 4, 5, 6, 7
ADDED, CHANGED, DELETED = 1, 2, 3

OWNER_MAX = (1 << 20) - 1


class Report(NamedTuple):
    """What happened to an order."""

    kind: int
    side: int = 0
    reason: int = NO_REASON
    order: int = 0
    owner: int = 0
    ticks: int = 0
    lots: int = 0
    leaves: int = 0
    other: int = 0
    other_owner: int = 0
    other_leaves: int = 0


class OrderView(NamedTuple):
    """An order that lives, as the book shows it."""

    order: int
    owner: int
    side: int
    kind: int
    state: int
    ticks: int
    lots: int
    leaves: int
    shown: int
    trigger_ticks: int


@dataclass(slots=True)
class Order:
    """An order as it was given, and what became of it.

    `ticks` of a pegged order is where it rests and 0 where it does not; `worst` is what it was
    given. `place` counts arrivals, in a price and among those that wait. `state` is 0 while the
    order comes in.
    """

    number: int
    side: int
    kind: int
    ticks: int
    lots: int
    owner: int
    tif: int
    flags: int
    stp: int
    trigger: int
    trigger_ticks: int
    offset: int
    display: int
    expire_ns: int
    group: int
    parent: int
    leaves: int = 0
    shown: int = 0
    state: int = 0
    worst: int = 0
    place: int = 0
    mark: int = 0

    @property
    def posts(self) -> bool:
        """Whether it must not take."""
        return bool(self.flags & (POST_ONLY | SLIDE))

    @property
    def never_rests(self) -> bool:
        """Whether what cannot trade at once is gone."""
        return self.tif in (IOC, FOK)

    @property
    def trails(self) -> bool:
        """Whether its trigger follows the trades."""
        return self.trigger in (TRAIL_TICKS, TRAIL_BPS)

    @property
    def waits_for_rise(self) -> bool:
        """Whether a trade at its trigger or above is what it waits for."""
        return (self.trigger == TAKE_PROFIT) == (self.side == SELL)

    def is_met(self, ticks: int) -> bool:
        """Whether a trade at this price is what it waits for."""
        if self.waits_for_rise:
            return ticks >= self.trigger_ticks
        return ticks <= self.trigger_ticks

    def follow(self, ticks: int) -> None:
        """Move the mark with a trade, and the trigger with the mark."""
        better = min if self.side == BUY else max
        self.mark = better(self.mark or ticks, ticks)
        distance = self.offset
        if self.trigger == TRAIL_BPS:
            distance = max(1, self.mark * self.offset // 10_000)
        self.trigger_ticks = self.mark + self.side * distance

    def view(self) -> OrderView:
        """What the book tells of it."""
        return OrderView(
            self.number,
            self.owner,
            self.side,
            self.kind,
            self.state,
            self.ticks,
            self.lots,
            self.leaves,
            self.shown,
            self.trigger_ticks,
        )


BITS = {"owner": 32} | dict.fromkeys(("side", "kind", "tif", "flags", "stp", "trigger"), 8)
"""How wide the narrow fields of an operation are; others have 64 bits."""


def check_width(bits: int, *numbers: int) -> None:
    """Raise OverflowError for a number that a signed field of so many bits cannot hold."""
    for number in numbers:
        if not -(1 << (bits - 1)) <= number < 1 << (bits - 1):
            raise OverflowError(f"{number} leaves {bits} bits")


def check_fields(order: Order) -> None:
    """The same for all numbers of an order."""
    for field in fields(order):
        check_width(BITS.get(field.name, 64), getattr(order, field.name))


def is_invalid(order: Order, now_ns: int) -> bool:
    """Whether a field is none of its values, or does not fit the others."""
    return _is_none_of_its_values(order) or _does_not_fit(order, now_ns)


def _is_none_of_its_values(order: Order) -> bool:
    return not (
        order.side in (BUY, SELL)
        and order.kind in (LIMIT, MARKET, PEGGED)
        and order.tif in (GTC, IOC, FOK, GTD, DAY)
        and order.flags in range(8)
        and order.stp in range(5)
        and order.trigger in range(5)
        and order.owner in range(OWNER_MAX + 1)
        and order.lots > 0
        and order.ticks >= 0
        and order.trigger_ticks >= 0
        and order.display >= 0
        and order.offset >= 0
        and order.expire_ns >= 0
        and order.group >= 0
        and order.parent >= 0
    )


def _does_not_fit(order: Order, now_ns: int) -> bool:
    resting_limit = order.kind == LIMIT and not order.never_rests
    wrong = {
        "a limit without a price": order.kind == LIMIT and order.ticks == 0,
        "a market order with one": order.kind == MARKET and order.ticks != 0,
        "posts, but is none that rests": order.posts and not resting_limit,
        "nobody's position": bool(order.flags & REDUCE_ONLY) and order.owner == 0,
        "an iceberg that never rests": order.display > 0 and not resting_limit,
        "a peg that waits": order.kind == PEGGED and order.trigger != NO_TRIGGER,
        "a peg that never rests": order.kind == PEGGED and order.never_rests,
        "a trigger without its price, or the reverse": (order.trigger in (STOP, TAKE_PROFIT))
        != (order.trigger_ticks > 0),
        "trails at no distance": order.trails and order.offset == 0,
        "trails to nothing": order.trigger == TRAIL_BPS and order.offset >= 10_000,
        "a distance from nothing": order.offset > 0 and not (order.trails or order.kind == PEGGED),
        "till a time that has come": order.tif == GTD and order.expire_ns <= now_ns,
        "a time for nothing": order.tif != GTD and order.expire_ns > 0,
    }
    return any(wrong.values())
