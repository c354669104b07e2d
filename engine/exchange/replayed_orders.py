"""Orders in a replayed market: what one of ours is and may be, and those of others, where told."""

from typing import NamedTuple

from engine.exchange.queue_models import ExactPlace, Place
from engine.messages import BUY, SELL
from ext.matching import (
    FOK,
    GTC,
    INVALID,
    IOC,
    LIMIT,
    LOT,
    MARKET,
    NO_REASON,
    NOTIONAL,
    POST_ONLY,
    RESTING,
    STP_NEWEST,
    STP_NONE,
    TICK,
    TRADE,
    OrderView,
    Report,
)


class UnsupportedOrder(ValueError):
    """An order that a replayed market cannot take; the message says what of it."""


class OurOrder:
    """An order that lives, or is about to."""

    __slots__ = (
        "flags",
        "kind",
        "leaves",
        "lots",
        "number",
        "owner",
        "place",
        "side",
        "ticks",
        "tif",
        "turn",
    )

    def __init__(
        self,
        number: int,
        owner: int,
        side: int,
        kind: int,
        ticks: int,
        lots: int,
        tif: int,
        flags: int,
    ) -> None:
        self.number = number
        self.owner = owner
        self.side = side
        self.kind = kind
        self.ticks = ticks
        self.lots = lots
        self.leaves = lots
        self.tif = tif
        self.flags = flags
        self.turn = 0
        self.place: Place = ExactPlace({})  # nobody is ahead until it rests

    @property
    def priority(self) -> tuple[int, int]:
        """Smaller is served first: the better price, then who came first."""
        return -self.side * self.ticks, self.turn

    def reaches(self, ticks: int) -> bool:
        """Whether it would trade at a price."""
        return self.kind == MARKET or (self.ticks - ticks) * self.side >= 0

    def told(
        self, kind: int, lots: int, reason: int = NO_REASON, paid: int = 0, leaves: int = -1
    ) -> Report:
        """A report of it; `paid` is the price where that is not its own."""
        ticks = paid or self.ticks
        left = self.leaves if leaves < 0 else leaves
        return Report(kind, self.side, reason, self.number, self.owner, ticks, lots, left, 0, 0, 0)

    def met(self, lots: int) -> Report:
        """The report of a trade in which it rested; the incoming order is nobody of ours."""
        return Report(
            TRADE,
            -self.side,
            NO_REASON,
            0,
            0,
            self.ticks,
            lots,
            0,
            self.number,
            self.owner,
            self.leaves,
        )

    def view(self) -> OrderView:
        """It as `MatchingBook.order` shows one that rests."""
        return OrderView(
            self.number,
            self.owner,
            self.side,
            self.kind,
            RESTING,
            self.ticks,
            self.lots,
            self.leaves,
            self.leaves,
            0,
        )


class Limits(NamedTuple):
    """The instrument's steps and least sizes, named as `MatchingBook` names them."""

    ticks_step: int = 1
    lots_min: int = 1
    lots_max: int = 1 << 40
    lots_step: int = 1
    notional_min: int = 0

    def fault(self, ticks: int, lots: int) -> int:
        """Why a price (0: none) and a total cannot be; NO_REASON when they can."""
        if ticks % self.ticks_step:
            return TICK
        if not self.lots_min <= lots <= self.lots_max or lots % self.lots_step:
            return LOT
        if ticks and ticks * lots < self.notional_min:
            return NOTIONAL
        return NO_REASON


def refuse_unsupported(order: OurOrder, stp: int, others: dict[str, int]) -> None:
    """Raise UnsupportedOrder for what nobody can tell of an order in a recorded market."""
    wanted = {"kind": order.kind, "tif": order.tif, "flags": order.flags, "stp": stp, **others}
    taken = {
        "kind": (LIMIT, MARKET),
        "tif": (GTC, IOC, FOK),
        "flags": (0, POST_ONLY),
        "stp": (STP_NONE, STP_NEWEST),
    }
    for name, value in wanted.items():
        if value not in taken.get(name, (0,)):
            raise UnsupportedOrder(
                f"a replayed market takes limit and market orders, GTC, IOC or FOK, post-only or not: "
                f"not {name} {value}"
            )


def fault(order: OurOrder, limits: Limits) -> int:
    """Why an order is rejected whatever the market is; NO_REASON when it is not."""
    limit = order.kind == LIMIT
    if order.side not in (BUY, SELL) or order.lots <= 0 or order.owner < 0:
        return INVALID
    if (order.ticks <= 0) if limit else (order.ticks != 0):
        return INVALID
    if order.flags and (not limit or order.tif != GTC):
        return INVALID
    return limits.fault(order.ticks, order.lots)


class TheirOrders:
    """Others' orders as a feed tells them one by one, each level in order of arrival.

    An order that nobody added - it is older than the recording - is counted and left alone.
    """

    def __init__(self) -> None:
        self.unknown = 0
        self._levels: dict[tuple[int, int], dict[int, int]] = {}
        self._where: dict[int, tuple[int, int]] = {}

    def at(self, side: int, ticks: int) -> dict[int, int]:
        """The lots of each order at a price, who came first first."""
        return self._levels.get((side, ticks), {})

    def where(self, order: int) -> tuple[int, int]:
        """Side and price of an order; 0, 0 when it is not there."""
        place = self._where.get(order, (0, 0))
        self.unknown += place == (0, 0)
        return place

    def lots(self, order: int) -> int:
        """What an order that is there has left."""
        return self._levels[self._where[order]][order]

    def join(self, order: int, side: int, ticks: int, lots: int) -> None:
        """An order joins its level, behind all others. Raises ValueError if it is there already."""
        if order in self._where:
            raise ValueError(f"order {order} was added before")
        self._where[order] = side, ticks
        self._levels.setdefault((side, ticks), {})[order] = lots

    def lose(self, order: int, lots: int) -> int:
        """An order that is there loses lots, all of them at most; how many it lost."""
        key = self._where[order]
        level = self._levels[key]
        lost = min(lots, level[order])
        level[order] -= lost
        if level[order] == 0:
            del level[order], self._where[order]
            if not level:
                del self._levels[key]
        return lost
