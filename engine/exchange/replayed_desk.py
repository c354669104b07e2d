"""Orders of ours in a replayed market, given and reported as those of `ext.matching.MatchingBook`.

The rules are those of docs/matching.md as far as a recorded market can tell: limit and market orders,
GTC, IOC or FOK, post-only or not; anything else is refused in words. Orders of ours never trade with
each other: the incoming one ends where it would meet one (`SELF_TRADE`).

Unlike a real exchange's, `best`, `levels` and `resting` show the feed less what we took, and not our
own orders: they are what can be taken. With `market_data` it tells of these levels as they change.

A halt is ours alone: the feed goes on, and no order of ours is taken or filled until it is over.
"""

from bisect import insort

from engine.exchange.queue_models import NOT_SEEN, ExactPlace, GuessedPlace, queue_model
from engine.exchange.replayed_levels import Impact, Pairs, Piece, ShownLevels
from engine.exchange.replayed_orders import Limits, OurOrder, TheirOrders, fault, refuse_unsupported
from engine.messages import BUY, SELL
from ext.matching import (
    ACCEPTED,
    BY_CLIENT,
    BY_MASS,
    CANCEL_REJECTED,
    CANCELLED,
    CLOSED,
    CONTINUOUS,
    FOK,
    FULL,
    GTC,
    HALTED,
    INVALID,
    IOC,
    IS_CLOSED,
    IS_HALTED,
    MARKET,
    NO_LIQUIDITY,
    NO_REASON,
    NO_TRIGGER,
    NOT_FILLABLE,
    NOT_FILLED,
    REJECTED,
    REPLACE_REJECTED,
    REPLACED,
    SELF_TRADE,
    STP_NONE,
    TRADE,
    UNKNOWN_ORDER,
    WOULD_TAKE,
    OrderView,
    Report,
)

SKEW_NS = 250_000_000
CLOSED_REASONS = {HALTED: IS_HALTED, CLOSED: IS_CLOSED}


class Desk:
    """See the module; `ReplayedMarket` adds what the feed tells. `queue` names the queue model, `power` is its exponent where it has one.

    `skew_ns` is how far apart the feed may tell a trade and the level change it made (see
    `queue_models`); `recovery_ns`, `renews` and `impact` say what taking costs (`replayed_levels`).
    `phase` changes by `set_phase`.
    """

    def __init__(
        self,
        queue: str = "pessimistic",
        *,
        power: float = 1.0,
        skew_ns: int = SKEW_NS,
        crossing_lots: bool = False,
        recovery_ns: int = 0,
        renews: bool = False,
        impact: Impact | None = None,
        limits: Limits | None = None,
        orders_max: int = 1 << 16,
        market_data: bool = False,
    ) -> None:
        self.last = 0
        self.next_order = 1
        self.phase = CONTINUOUS
        self._model = queue_model(queue, power)
        self._skew_ns = skew_ns
        self._crossing_lots = crossing_lots
        self._impact = impact
        self._limits = limits or Limits()
        self._orders_max = orders_max
        self._levels = ShownLevels(recovery_ns, renews)
        self._market_data = market_data
        self._levels.touched = set() if market_data else None
        self._told: dict[tuple[int, int], int] = {}
        self._orders: dict[int, OurOrder] = {}
        self._resting: dict[int, list[OurOrder]] = {BUY: [], SELL: []}
        self._turns = 0
        self._reports: list[Report] = []
        self._theirs = TheirOrders()

    def submit(
        self,
        side: int,
        kind: int,
        ticks: int,
        lots: int,
        owner: int = 0,
        tif: int = GTC,
        flags: int = 0,
        stp: int = STP_NONE,
        trigger: int = NO_TRIGGER,
        trigger_ticks: int = 0,
        offset: int = 0,
        display: int = 0,
        expire_ns: int = 0,
        group: int = 0,
        parent: int = 0,
    ) -> int:
        """Take an order; its number. Raises UnsupportedOrder and then changes nothing."""
        order = OurOrder(self.next_order, owner, side, kind, ticks, lots, tif, flags)
        others = {"trigger": trigger, "trigger_ticks": trigger_ticks, "offset": offset}
        others |= {"display": display, "expire_ns": expire_ns, "group": group, "parent": parent}
        refuse_unsupported(order, stp, others)
        self.next_order += 1
        reason = fault(order, self._limits)
        reason = self._closed() or reason
        if not reason and len(self._orders) >= self._orders_max:
            reason = FULL
        if not reason and flags and self._would_take(order, ticks):
            reason = WOULD_TAKE
        if reason:
            self._reports.append(order.told(REJECTED, lots, reason, leaves=0))
        else:
            self._reports.append(order.told(ACCEPTED, lots))
            self._enter(order)
        return order.number

    def cancel(self, order: int) -> None:
        """Take an order out."""
        known = self._orders.get(order)
        if known is None:
            self._tell_unknown(CANCEL_REJECTED, order)
        else:
            self._leave(known)
            self._end(known, BY_CLIENT)

    def mass_cancel(self, owner: int = -1, side: int = 0) -> None:
        """Take out all orders of an owner (-1: of everybody), of one side (0: of both)."""
        for order in list(self._orders.values()):
            if owner in (-1, order.owner) and side in (0, order.side):
                self._leave(order)
                self._end(order, BY_MASS)

    def replace(self, order: int, ticks: int = 0, lots: int = 0) -> None:
        """A new price or total; 0 keeps the one it has. The same price with no more lots keeps its place."""
        known = self._orders.get(order)
        if known is None:
            self._tell_unknown(REPLACE_REJECTED, order)
            return
        new_ticks, new_lots = ticks or known.ticks, lots or known.lots
        filled = known.lots - known.leaves
        stays = new_ticks == known.ticks and new_lots <= known.lots
        reason = self._closed() or self._limits.fault(new_ticks, new_lots)
        if ticks < 0 or lots < 0 or new_lots <= filled:
            reason = INVALID
        elif not reason and not stays and known.flags and self._would_take(known, new_ticks):
            reason = WOULD_TAKE
        if reason:
            self._reports.append(known.told(REPLACE_REJECTED, known.lots, reason))
            return
        if not stays:
            self._leave(known)
        known.ticks, known.lots, known.leaves = new_ticks, new_lots, new_lots - filled
        self._reports.append(known.told(REPLACED, new_lots))
        if not stays:
            self._enter(known)

    def advance(self, now_ns: int) -> None:
        """It is so late; never goes back."""
        self._levels.now_ns = max(self._levels.now_ns, now_ns)

    def end_day(self) -> None:
        """Nothing here is good for the day only."""

    def reports(self) -> list[Report]:
        """What happened since it was last asked; it is forgotten then."""
        reports, self._reports = self._reports, []
        return reports

    def best(self, side: int) -> tuple[int, int]:
        """The best price of the feed with something left for us, and how much; 0, 0 without one."""
        return self._levels.best(side)

    def levels(self, side: int, depth: int = 0) -> Pairs:
        """(ticks, lots left for us) of a side, best first; all of them when depth is 0."""
        offered = list(self._levels.offered(side))
        return offered[:depth] if depth else offered

    def resting(self, side: int, count: int = 0) -> list[tuple[int, int, int, int]]:
        """(0, ticks, lots, lots) of each level with something left for us, best first; all, or so many.

        The price is what the last lot of it costs one order that takes all up to there.
        """
        sold, found = 0, []
        for ticks, lots in self._levels.offered(side):
            sold += lots
            worse = self._impact.worse(sold) if self._impact else 0
            found.append((0, max(1, ticks - side * worse), lots, lots))
            if len(found) == count:
                break
        return found

    def order_changes(self) -> list[tuple[int, int, int, int, int]]:
        """None: the feed tells."""
        return []

    def level_changes(self) -> list[tuple[int, int, int]]:
        """(side, ticks, lots left for us) of the levels that changed since it was last asked."""
        levels, changes = self._levels, []
        touched, levels.touched = levels.touched or (), None
        for side, ticks in sorted(touched):
            left = max(0, levels.left(side, ticks))
            if left != self._told.get((side, ticks), 0):
                changes.append((side, ticks, left))
                if left:
                    self._told[side, ticks] = left
                else:
                    del self._told[side, ticks]
        levels.touched = set() if self._market_data else None
        return changes

    def order(self, order: int) -> OrderView | None:
        """An order that lives, or None."""
        known = self._orders.get(order)
        return known.view() if known else None

    def orders(self, owner: int) -> list[int]:
        """The numbers of an owner's orders that live, rising."""
        return sorted(number for number, order in self._orders.items() if order.owner == owner)

    def queue(self, order: int) -> tuple[float, float]:
        """Lots believed to be ahead of an order that lives, and behind it; infinite: not known."""
        place = self._orders[order].place
        return place.ahead, place.behind

    def __len__(self) -> int:
        return len(self._orders)

    @property
    def unknown(self) -> int:
        """Changes of others' orders that were never added."""
        return self._theirs.unknown

    @property
    def now_ns(self) -> int:
        """The latest time it was told."""
        return self._levels.now_ns

    def _closed(self) -> int:
        return CLOSED_REASONS.get(self.phase, NO_REASON)

    def _would_take(self, order: OurOrder, ticks: int) -> bool:
        prices = self._levels.best(-order.side)[0], self._stop(order.side)
        return any(price and (ticks - price) * order.side >= 0 for price in prices)

    def _stop(self, side: int) -> int:
        """The best price of ours on the other side, where an order of ours must end; 0 without one."""
        others = self._resting[-side]
        return others[0].ticks if others else 0

    def _enter(self, order: OurOrder) -> None:
        """Take what is there; what is left rests or ends."""
        stop = self._stop(order.side)
        pieces = self._levels.pieces(order.side, order.ticks, order.leaves, stop, self._impact)
        if order.tif == FOK and sum(piece.lots for piece in pieces) < order.leaves:
            self._end(order, NOT_FILLABLE)
            return
        for piece in pieces:
            self._take(order, piece)
        if order.leaves == 0:
            return
        if stop and order.reaches(stop):
            self._end(order, SELF_TRADE)
        elif order.kind == MARKET:
            self._end(order, NO_LIQUIDITY)
        elif order.tif == IOC:
            self._end(order, NOT_FILLED)
        else:
            self._rest(order)

    def _take(self, order: OurOrder, piece: Piece) -> None:
        self._levels.take(-order.side, piece.ticks, piece.lots)
        order.leaves -= piece.lots
        self.last = piece.paid
        self._reports.append(order.told(TRADE, piece.lots, paid=piece.paid))

    def _rest(self, order: OurOrder) -> None:
        side, ticks = order.side, order.ticks
        if self._model is None:
            order.place = ExactPlace(self._theirs.at(side, ticks))
        else:
            known = self._levels.knows(side, ticks)
            level = self._levels.book.lots_at(side, ticks) if known else NOT_SEEN
            order.place = GuessedPlace(self._model, level, self._skew_ns)
        self._turns += 1
        order.turn = self._turns
        self._orders[order.number] = order
        insort(self._resting[side], order, key=lambda resting: resting.priority)

    def _leave(self, order: OurOrder) -> None:
        del self._orders[order.number]
        self._resting[order.side].remove(order)

    def _end(self, order: OurOrder, reason: int) -> None:
        lots, order.leaves = order.leaves, 0
        self._reports.append(order.told(CANCELLED, lots, reason))

    def _tell_unknown(self, kind: int, order: int) -> None:
        self._reports.append(Report(kind, 0, UNKNOWN_ORDER, order, 0, 0, 0, 0, 0, 0, 0))
