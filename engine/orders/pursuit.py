"""What is not answered is asked after, until the venue itself has said what became of it.

An order that is not answered in time is UNKNOWN: it may exist. It stays so until there is evidence. A report of
the venue is one. 'Not found' is one only together: by the venue's clock its deadline and a margin have
passed, and after that moment the venue knew no such order, did not list it among all that rest, and
told all trades. Without a deadline, an order of which nothing was ever heard stays UNKNOWN. One that was at
the venue is over when it does not rest there any more, and its fills are all that were told.
"""

import msgspec

from engine.messages import CallKind, DifferenceKind, OrderState, Reason, TimeInForce
from engine.orders.calls import ACCOUNT, Calls, Pending
from engine.orders.desk import Desk, Messages
from engine.orders.lanes import Lane, Wish
from engine.orders.lifecycle import Order
from engine.venues.trading import OpenOrdersSeen, OrderMissing, OrderSeen

AGAIN_MAX = 3  # the wait doubles so often
WAITS = frozenset({OrderState.SENT, OrderState.UNKNOWN, OrderState.CANCELLING})
RESTS = frozenset({OrderState.ACKNOWLEDGED, OrderState.PARTLY_FILLED})
AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})


class Look(msgspec.Struct):
    """All that rests at the venue, as far as it has answered. `venue_ns` is the oldest answer's time."""

    asked_ns: int
    left: list[int]
    orders: list[OrderSeen] = []
    complete: bool = True
    venue_ns: int = 0


class PursuitState(msgspec.Struct):
    """The whole state, for a snapshot."""

    look: Look | None
    open_ns: int
    fills_ns: dict[int, int]
    owed_at_ns: int
    open_asked_ns: int = 0
    fills_asked_ns: dict[int, int] = {}


class Pursuit:
    """See the module. `open_ns` and `fills_ns` (by instrument, -1 for the account) say by the venue's clock
    when it last listed all that rests and told all fills.
    """

    def __init__(self, desk: Desk, calls: Calls, timeout_ns: int) -> None:
        self.open_ns = 0
        self.fills_ns: dict[int, int] = {}
        self._desk = desk
        self._calls = calls
        self._timeout_ns = timeout_ns
        self._look: Look | None = None
        self._owed_at_ns = 0
        self._open_asked_ns = (
            0  # by our clock, when what `open_ns` and `fills_ns` tell was asked for
        )
        self._fills_asked_ns: dict[int, int] = {}

    # --- asking -----------------------------------------------------------------------------------

    def ask(
        self,
        kind: CallKind,
        now_ns: int,
        lane: Lane = Lane.DATA,
        instrument: int = -1,
        part: int = 0,
    ) -> Messages:
        """Ask for something of the account; where no place is left in the lane, another time."""
        wish = Wish(kind, instrument=instrument, part=part)
        return self._calls.ask(lane, wish, now_ns) or []

    def look(self, now_ns: int, lane: Lane = Lane.DATA) -> Messages:
        """Ask for all that rests, unless that is under way."""
        if self._look is not None and now_ns - self._look.asked_ns < self._timeout_ns:
            return []
        parts = range(len(self._calls.requests(CallKind.OPEN_ORDERS, now_ns)))
        self._look = Look(now_ns, list(parts))
        messages: Messages = []
        for part in parts:
            messages += self.ask(CallKind.OPEN_ORDERS, now_ns, lane, part=part)
        return messages

    def fills(self, instruments: set[int], now_ns: int) -> Messages:
        """Ask for the fills of these instruments, or of the account where it tells all at once."""
        messages: Messages = []
        for place in self.places(instruments):
            messages += self.ask(CallKind.FILLS, now_ns, instrument=place)
        return messages

    def places(self, instruments: set[int]) -> list[int]:
        """Where fills of instruments are asked for."""
        trading = self._calls.trading
        if trading.fills_by_account or trading.fills_numbered:
            return [ACCOUNT] if instruments else []
        return sorted(instruments)

    def cancel(self, name: str, received_ns: int, now_ns: int) -> Messages:
        """Cancel an order, and again until it is gone; one that has not left never will."""
        desk, calls = self._desk, self._calls
        order = desk.open.get(name)
        if order is None:
            return []
        if order.state is OrderState.APPROVED:
            calls.lanes.drop(lambda wish: wish.name == name)
            return desk.move(name, OrderState.CANCELLED, received_ns)
        if not order.unwanted:  # one that is repeated does not put the doubt off
            order.unwanted = True
            order.doubt_at_ns, order.asked = now_ns + self._timeout_ns, 0
        messages: Messages = []
        if order.state is not OrderState.UNKNOWN:  # doubt is ended by evidence alone
            messages = desk.move(name, OrderState.CANCELLING, received_ns)
        wish = Wish(CallKind.CANCEL, name, order.intent.instrument)
        return messages + (calls.ask(Lane.CANCEL, wish, now_ns, received_ns) or [])

    def chase(self, now_ns: int, reachable: bool) -> Messages:
        """Doubt what was not answered in time, and ask what became of it; again, ever later."""
        desk, calls = self._desk, self._calls
        messages: Messages = []
        doubted: list[str] = []
        instruments = self._owed(now_ns) if reachable else set()
        for name, order in list(desk.open.items()):
            if now_ns < order.doubt_at_ns or not _waits(order):
                continue
            order.doubt_at_ns = now_ns + (self._timeout_ns << min(order.asked, AGAIN_MAX))
            order.asked += 1
            if order.state in RESTS and order.intent.time_in_force not in AT_ONCE:
                messages += self._again(name, order, now_ns) if reachable else []
                continue
            if calls.trading.shared_line and order.state is not OrderState.UNKNOWN:
                calls.breaker.failed(now_ns)  # nothing else tells that a frame was not answered
            messages += self.doubt(name, now_ns)
            doubted.append(name)
            instruments.add(order.intent.instrument)
        if not reachable:
            return messages
        # Fills first: the answer to the query then finds them told.
        messages += self.fills(instruments, now_ns)
        for name in doubted:
            order = desk.open[name]
            if order.unwanted:
                messages += self._again(name, order, now_ns)
            messages += self.query(name, now_ns)
        return messages + (self.look(now_ns) if doubted else [])

    def query(self, name: str, now_ns: int) -> Messages:
        """Ask what became of an order, unless that was asked just now."""
        order = self._desk.open[name]
        if now_ns < order.queried_ns + self._timeout_ns // 2:
            return []
        if order.known and self._calls.lanes.waiting:
            return []  # all that rests and the fills will tell, at less weight
        order.queried_ns = now_ns
        wish = Wish(CallKind.QUERY, name, order.intent.instrument)
        return self._calls.ask(Lane.DATA, wish, now_ns) or []

    def query_unlisted(self, names: set[str], now_ns: int) -> Messages:
        """Ask what became of the orders in doubt that do not rest."""
        messages: Messages = []
        for name, order in self._desk.open.items():
            if order.state is OrderState.UNKNOWN and name not in names:
                messages += self.query(name, now_ns)
        return messages

    def _owed(self, now_ns: int) -> set[int]:
        """The instruments whose fills are known to be missing, each timeout anew."""
        desk = self._desk
        if not (desk.owed or self._calls.fills.hole) or now_ns < self._owed_at_ns:
            return set()
        self._owed_at_ns = now_ns + self._timeout_ns
        return set(desk.owed.values()) or {ACCOUNT}

    def _again(self, name: str, order: Order, now_ns: int) -> Messages:
        """An unwanted order is still there: cancel it again."""
        wish = Wish(CallKind.CANCEL, name, order.intent.instrument)
        return self._calls.ask(Lane.CANCEL, wish, now_ns) or []

    # --- doubt and evidence -----------------------------------------------------------------------

    def doubt(self, name: str, now_ns: int) -> Messages:
        """Nobody knows what became of an order. One that was at the venue is judged from now on."""
        order = self._desk.open[name]
        if order.state is OrderState.UNKNOWN:
            return []
        if order.known:
            clock = self._calls.clock
            order.proof_ns = clock.at(now_ns) + clock.error_ns + self._calls.margin_ns
            order.proof_own_ns = now_ns
        elif not order.proof_ns:
            order.proof_ns = self._calls.proof_ns(now_ns)
            order.proof_own_ns = self._calls.proof_own_ns(now_ns)
        return self._desk.move(name, OrderState.UNKNOWN, 0)

    def doubt_all(self, now_ns: int) -> Messages:
        """The same of all; what rests is asked for first, and then what became of the others."""
        messages: Messages = []
        for name, order in self._desk.open.items():
            order.doubt_at_ns, order.asked, order.queried_ns = now_ns + self._timeout_ns, 0, 0
            messages += self.doubt(name, now_ns)
        return messages

    def took_open(self, seen: OpenOrdersSeen, pending: Pending, ends: bool) -> Look | None:
        """A part of all that rests; the whole, once it is there."""
        look, part = self._look, pending.wish.part
        if look is None or part not in look.left or pending.asked_ns < look.asked_ns:
            return None
        venue_ns = seen.venue_ns or pending.from_ns
        look.venue_ns = min(look.venue_ns or venue_ns, venue_ns)
        look.orders += seen.orders
        if not ends:
            return None
        look.left.remove(part)
        look.complete = look.complete and seen.complete
        if look.left:
            return None
        self._look = None
        if look.complete and look.asked_ns >= self._open_asked_ns:
            self.open_ns, self._open_asked_ns = look.venue_ns, look.asked_ns
        return look

    def told_fills(self, place: int, venue_ns: int, asked_ns: int) -> None:
        """All fills of a place were told as the venue knew them at a time; when that was asked."""
        if asked_ns >= self._fills_asked_ns.get(place, 0):
            self.fills_ns[place], self._fills_asked_ns[place] = venue_ns, asked_ns

    def missing(self, news: OrderMissing, pending: Pending | None) -> None:
        """The venue had no such order at a time."""
        order = self._desk.open.get(news.client_order_id)
        if order is not None:
            asked_ns, from_ns = (0, 0) if pending is None else (pending.asked_ns, pending.from_ns)
            if asked_ns >= order.missing_asked_ns:
                order.missing_ns = news.venue_ns or from_ns
                order.missing_asked_ns = asked_ns

    def settle(self) -> Messages:
        """End the doubts about orders that are proven not to be there."""
        messages: Messages = []
        for name, order in list(self._desk.open.items()):
            if order.state is OrderState.UNKNOWN and self._proven(order):
                messages += self._end(name, order)
        return messages

    def _proven(self, order: Order) -> bool:
        if self._calls.fills.nameless:
            return False  # one of those may be its own
        place = ACCOUNT if ACCOUNT in self.fills_ns else order.intent.instrument
        venue_ns = [self.open_ns, self.fills_ns.get(place, 0)]
        asked_ns = [self._open_asked_ns, self._fills_asked_ns.get(place, 0)]
        if not order.known:
            venue_ns.append(order.missing_ns)
            asked_ns.append(order.missing_asked_ns)
        return 0 < order.proof_ns < min(venue_ns) and order.proof_own_ns <= min(asked_ns)

    def _end(self, name: str, order: Order) -> Messages:
        desk, told = self._desk, order.told_lots
        if not order.known:
            return desk.move(name, OrderState.REJECTED, 0, 0, Reason.NEVER_ARRIVED)
        lots = order.intent.lots
        state = OrderState.FILLED if told >= lots else OrderState.CANCELLED
        ghost = desk.difference(DifferenceKind.GHOST_ORDER, name, lots, told, True)
        return [ghost, *desk.move(name, state, 0, told)]

    def stop_looking(self) -> None:
        """What was asked of what rests will not be answered."""
        self._look = None

    def snapshot(self) -> PursuitState:
        """The whole state."""
        return PursuitState(
            self._look,
            self.open_ns,
            self.fills_ns,
            self._owed_at_ns,
            self._open_asked_ns,
            self._fills_asked_ns,
        )

    def restore(self, state: PursuitState) -> None:
        """Become what `snapshot` gave."""
        self._look, self.open_ns, self.fills_ns = state.look, state.open_ns, state.fills_ns
        self._owed_at_ns = state.owed_at_ns
        self._open_asked_ns, self._fills_asked_ns = state.open_asked_ns, state.fills_asked_ns


def _waits(order: Order) -> bool:
    """Whether something of an order has to come soon."""
    if order.state in WAITS or (order.unwanted and order.state in RESTS):
        return True
    return order.state in RESTS and order.intent.time_in_force in AT_ONCE
