"""The way out to a venue: each request through breaker and lanes, numbered, and its answer awaited.

A request is made when it leaves, for it bears the time. One that may not leave waits in its lane; of one
whose answer does not come in time nobody knows what became. Nothing is ever sent twice by itself.
"""

from collections.abc import Callable, Sequence
from typing import cast

import msgspec

from engine.messages import (
    CallKind,
    OrderIntent,
    OrderRequest,
    OrderState,
    SendFrame,
    SetTimer,
    VenueCall,
)
from engine.orders.breaker import Breaker
from engine.orders.desk import Desk, Messages
from engine.orders.fills import Fills
from engine.orders.lanes import NEVER, Lane, Lanes, LanesState, Waiting, Wish
from engine.orders.lifecycle import Order
from engine.orders.venue_clock import VenueClock
from engine.trading_config import TradingConfig
from engine.venues.trading import Request, SharedLineTrading, Trading

MS = 1_000_000
LATE_NS = 60_000 * MS
HASTE_NS = MS
OVERLAP_NS = 2_000 * MS
PENDING_MAX = 20_000
PACE = 2
"""The key of the timer that lets waiting requests go."""
ACCOUNT = -1
TRANSFERS = -2
"""Places of cursors beside those of instruments."""
CHANGES = frozenset({CallKind.CREATE, CallKind.CANCEL, CallKind.CANCEL_ALL, CallKind.DEAD_MAN})


class Pending(msgspec.Struct):
    """A call under way: when it was asked by our clock, and the least that the venue's showed then.

    Of one that goes on with another these are the first one's; `sent_ns` is its own. A `late` one was
    given up; its answer still says something.
    """

    wish: Wish
    request: Request
    sent_ns: int
    asked_ns: int
    from_ns: int
    late: bool = False


class CallsState(msgspec.Struct):
    """The whole state, for a snapshot."""

    lanes: LanesState
    breaker: Breaker
    clock: VenueClock
    pending: dict[int, Pending]
    cursors: dict[int, int]
    clock_asked_ns: int
    count: int
    timer_ns: int


class Calls:
    """See the module. `cursors` say by the venue's clock how far fills and transfers are known.

    `tells_clock` says whether the venue tells its time apart. `connection` is its private one;
    `sharers` are how many venues share the host's budgets.
    """

    def __init__(
        self,
        desk: Desk,
        fills: Fills,
        trading: Trading,
        config: TradingConfig,
        connection: int,
        timeout_ns: int,
        deadline_ns: int,
        sharers: int,
    ) -> None:
        self.desk = desk
        self.fills = fills
        self.trading = trading
        self.lanes = Lanes(trading.budgets, sharers)
        self.breaker = Breaker(config.breaker_failures, config.breaker_timeout_ms * MS)
        self.clock = VenueClock()
        self.pending: dict[int, Pending] = {}
        self.cursors: dict[int, int] = {}
        self.clock_asked_ns = 0
        self.tells_clock = trading.clock() is not None
        self._connection = 0 if trading.shared_line else connection
        self._timeout_ns = timeout_ns
        self._deadline_ns = deadline_ns
        self.margin_ns = config.deadline_margin_ms * MS
        self._count = 0
        self._timer_ns = 0

    def create(self, order: Order, lane: Lane, now_ns: int, received_ns: int) -> Messages | None:
        """Place an order, as `ask` asks. Raises Unsupported as `Trading.create` does."""
        request = self._create(order.intent, now_ns)
        if self.breaker.lets(lane, now_ns) and self.lanes.take(lane, request.weights, now_ns):
            return self._place(order, request, now_ns, received_ns)
        intent = order.intent
        wish = Wish(CallKind.CREATE, intent.client_order_id, intent.instrument)
        if not self.lanes.wait(lane, Waiting(wish, request.weights, intent.expires_ns)):
            return None
        return self.set_timer(now_ns)

    def _create(self, intent: OrderIntent, now_ns: int) -> Request:
        venue_ns = now_ns + self.clock.offset_ns
        return self.trading.create(intent, venue_ns, venue_ns + self._deadline_ns)

    def ask(self, lane: Lane, wish: Wish, now_ns: int, received_ns: int = 0) -> Messages | None:
        """Ask now, or wait in the lane: what leaves. None: there is no place to wait."""
        request = self._make(wish, now_ns)
        if request is None:
            return []
        if self.breaker.lets(lane, now_ns) and self.lanes.take(lane, request.weights, now_ns):
            return self._leave(wish, request, now_ns, received_ns)
        if not self.lanes.wait(lane, Waiting(wish, request.weights, 0)):
            return None
        return self.set_timer(now_ns)

    def release(self, now_ns: int) -> Messages:
        """What waited and may leave now."""
        messages: Messages = []
        while found := self.lanes.next(now_ns, lambda lane: self.breaker.lets(lane, now_ns)):
            request = self._make(found[1], now_ns)
            if request is not None:
                messages += self._leave(found[1], request, now_ns, 0)
        return messages + self.set_timer(now_ns)

    def set_timer(self, now_ns: int) -> Messages:
        """When to look again at what waits; nothing where the timer is set for then."""
        due_ns = self.lanes.next_ns(now_ns)
        if due_ns >= NEVER:
            return []
        due_ns = max(due_ns, now_ns + HASTE_NS, self.breaker.look_again_ns(now_ns))
        if now_ns < self._timer_ns <= due_ns:
            return []
        self._timer_ns = due_ns
        return [SetTimer(self.desk.sender, self.desk.stamp(), 0, PACE, due_ns)]

    def _make(self, wish: Wish, now_ns: int) -> Request | None:
        """The request for a wish, by the venue's time; None where there is nothing to ask any more."""
        if wish.ready is not None:
            return wish.ready
        trading, desk, kind, name = self.trading, self.desk, wish.kind, wish.name
        if name and name not in desk.open:
            return None
        if kind is CallKind.CREATE:
            return self._create(desk.open[name].intent, now_ns)
        venue_ns = self.clock.earliest(now_ns)
        if kind is CallKind.CANCEL:
            return trading.cancel(desk.ref(name), venue_ns)
        if kind is CallKind.QUERY:
            return trading.query(desk.ref(name), venue_ns)
        if kind is CallKind.FILLS:
            since_ns = max(0, self.cursors.get(wish.instrument, 0) - OVERLAP_NS)
            return trading.fills(wish.instrument, since_ns, self.fills.number, venue_ns)
        if kind is CallKind.BALANCES:
            return trading.balances(venue_ns)
        if kind is CallKind.CLOCK:
            return trading.clock()
        requests = self.requests(kind, now_ns)
        return requests[wish.part] if wish.part < len(requests) else None

    def requests(self, kind: CallKind, now_ns: int) -> Sequence[Request]:
        """The requests of a kind that takes several."""
        venue_ns = self.clock.earliest(now_ns)
        several: dict[CallKind, Callable[[], Sequence[Request]]] = {
            CallKind.OPEN_ORDERS: lambda: self.trading.open_orders(venue_ns),
            CallKind.CANCEL_ALL: lambda: self.trading.cancel_all(venue_ns),
            CallKind.TRANSFERS: lambda: self.trading.transfers(
                self.cursors.get(TRANSFERS, 0), venue_ns
            ),
        }
        return several[kind]()

    def _leave(self, wish: Wish, request: Request, now_ns: int, received_ns: int) -> Messages:
        """The request as an effect; an answered one is awaited from now on."""
        desk, trading, kind = self.desk, self.trading, request.kind
        if kind is CallKind.CREATE:
            return self._place(desk.open[wish.name], request, now_ns, received_ns)
        call = self._await(wish, request, now_ns) if request.answered else 0
        if kind is CallKind.CLOCK and not call:
            # Until it is answered the first one counts: nobody knows to which an answer belongs.
            self.clock_asked_ns = self.clock_asked_ns or now_ns
        stamp = (desk.sender, desk.stamp(), received_ns, desk.venue)
        place, payload = self._connection, request.payload
        if kind in CHANGES:
            return [OrderRequest(*stamp, place, wish.name, False, 0, payload, call, kind)]
        if not call:
            return [SendFrame(*stamp, place, payload)]
        if trading.shared_line:
            payload = cast("SharedLineTrading", trading).framed(request, call)
            return [SendFrame(*stamp, place, payload)]
        return [VenueCall(*stamp, call, kind, payload)]

    def _place(self, order: Order, request: Request, now_ns: int, received_ns: int) -> Messages:
        """An order is SENT, and then its request leaves."""
        desk, intent = self.desk, order.intent
        name, call = intent.client_order_id, 0
        if request.answered:
            wish = Wish(CallKind.CREATE, name, intent.instrument)
            call = self._await(wish, request, now_ns)
        order.doubt_at_ns = now_ns + self._timeout_ns
        if self.trading.has_deadline:
            deadline_ns = request.deadline_ns or now_ns + self.clock.offset_ns + self._deadline_ns
            order.proof_ns = deadline_ns + self.margin_ns
        order.proof_own_ns = self.proof_own_ns(now_ns)
        return [
            *desk.move(name, OrderState.SENT, received_ns),
            OrderRequest(
                desk.sender,
                desk.stamp(),
                received_ns,
                desk.venue,
                self._connection,
                name,
                order.raises,
                intent.expires_ns,
                request.payload,
                call,
            ),
        ]

    def _await(self, wish: Wish, request: Request, now_ns: int) -> int:
        """The number of a call whose answer is awaited from now on."""
        call = self._count = self._count + 1
        asked_ns, from_ns = wish.goes_on or (now_ns, self.clock.earliest(now_ns))
        self.pending[call] = Pending(wish, request, now_ns, asked_ns, from_ns)
        self.breaker.left()
        if len(self.pending) > PENDING_MAX:
            del self.pending[next(iter(self.pending))]
        return call

    def proof_ns(self, now_ns: int) -> int:
        """From when on by its clock a venue proves that an order sent by now never arrived; 0: never."""
        if not self.trading.has_deadline:
            return 0
        return self.clock.at(now_ns) + self._deadline_ns + self.margin_ns

    def proof_own_ns(self, now_ns: int) -> int:
        """The same by our clock: whatever the venue's shows, so much time has to pass."""
        return now_ns + self._deadline_ns + self.margin_ns

    def give_up(self) -> None:
        """Nothing that was asked is awaited any more, and nothing that waits will leave."""
        self.pending.clear()
        self.clock_asked_ns = 0
        self.lanes.drop(lambda wish: True)

    def answered(self, call: int) -> Pending | None:
        """The call that is answered, if it is awaited; only once."""
        return self.pending.pop(call, None)

    def overdue(self, now_ns: int) -> list[Pending]:
        """The calls that were not answered in time, once each; those long gone are forgotten."""
        late = []
        for call, pending in list(self.pending.items()):
            waited_ns = now_ns - pending.sent_ns
            if waited_ns < self._timeout_ns:
                break  # they stand in order of asking
            if not pending.late:
                pending.late = True
                late.append(pending)
            elif waited_ns > LATE_NS:
                del self.pending[call]
        return late

    def snapshot(self) -> CallsState:
        """The whole state."""
        return CallsState(
            self.lanes.snapshot(),
            self.breaker,
            self.clock,
            self.pending,
            self.cursors,
            self.clock_asked_ns,
            self._count,
            self._timer_ns,
        )

    def restore(self, state: CallsState) -> None:
        """Become what `snapshot` gave."""
        self.lanes.restore(state.lanes)
        self.breaker, self.clock = state.breaker, state.clock
        self.pending, self.cursors = state.pending, state.cursors
        self.clock_asked_ns = state.clock_asked_ns
        self._count, self._timer_ns = state.count, state.timer_ns
