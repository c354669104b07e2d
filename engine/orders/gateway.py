"""A venue's gateway: what may be sent, what became of it, and when the venue and we agree.

Pure, and the same for every exchange: a `Trading` (engine/venues/trading.py) makes the requests and reads the
answers, the edge signs and sends. What arrives from the venue comes in through `engine/orders/news.py`.
docs/orders.md tells the life of an order.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from engine.config import VenueConfig
from engine.messages import (
    CallKind,
    CancelAll,
    CancelCommand,
    Circuit,
    OrderCommand,
    OrderState,
    Reason,
    RequestRefused,
    ResolveUnknown,
    SetBreaker,
)
from engine.orders.account import Account, AccountState
from engine.orders.calls import Calls, CallsState
from engine.orders.desk import Desk, DeskState, Messages
from engine.orders.fills import Fills, FillsState
from engine.orders.identity import IdsDoNotFit
from engine.orders.lanes import Lane, Wish
from engine.orders.lifecycle import FINAL
from engine.orders.news import News
from engine.orders.pursuit import Pursuit, PursuitState
from engine.orders.sweep import Sweep, SweepState
from engine.venues.trading import Trading, Unsupported

MS = 1_000_000
SECOND_NS = 1_000 * MS
CLOCK_EVERY_NS = 10 * SECOND_NS
OPENED_EVERY_NS = 5 * SECOND_NS
DEAD_MAN_SHARE = 3


class GatewayState(msgspec.Struct):
    """The whole state, for a snapshot."""

    desk: DeskState
    fills: FillsState
    calls: CallsState
    pursuit: PursuitState
    sweep: SweepState
    account: AccountState
    malformed: int
    trading: bytes
    started: bool
    line: bool
    killed: bool
    risk_epoch: int
    repeated: int
    due_ns: dict[str, int]


class Gateway:
    """See the module.

    `stamp` gives the numbers of the component's messages; `prefix` marks our orders' ids; `connection`
    is the venue's private one; `sharers` are how many venues share the host's budgets.
    """

    def __init__(
        self,
        sender: int,
        venue: int,
        trading: Trading,
        config: VenueConfig,
        stamp: Callable[[], int],
        prefix: str,
        connection: int,
        sharers: int = 1,
    ) -> None:
        self.killed = False
        self.trading = trading
        self._settings = config.trading
        self._timeout_ns = config.order_timeout_ms * MS
        self._started = False
        self._line = False
        self._risk_epoch = 0
        self._repeated = 0
        self._due_ns: dict[str, int] = {}
        desk = self.desk = Desk(sender, venue, stamp)
        fills = self.fills = Fills(desk)
        calls = self.calls = Calls(
            desk,
            fills,
            trading,
            config.trading,
            connection,
            self._timeout_ns,
            config.order_deadline_ms * MS,
            sharers,
        )
        pursuit = self.pursuit = Pursuit(desk, calls, self._timeout_ns)
        at_once = config.trading.foreign_orders == "adopt"
        sweep = self.sweep = Sweep(desk, calls, pursuit, at_once, self._timeout_ns)
        account = self.account = Account(
            desk, calls, pursuit, sweep, config.trading, prefix, self._timeout_ns
        )
        self.news = News(desk, calls, pursuit, account, self._timeout_ns)

    @property
    def reachable(self) -> bool:
        """Whether anything can be asked: over HTTP always, on a shared line while it is there."""
        return self._line if self.trading.shared_line else self._started

    # --- commands ---------------------------------------------------------------------------------

    def place(self, command: OrderCommand, known: bool, now_ns: int) -> Messages:
        """An order that the guard let through: SENT and its request, or REJECTED and why.

        `known` says that its instrument is the venue's.
        """
        desk, intent, name = self.desk, command.intent, command.intent.client_order_id
        desk.now_ns = now_ns
        if desk.knows(name):
            self._repeated += 1  # the first one was obeyed or refused, and said so
            return []
        raises = not (command.reduces and intent.flattening)
        lane = Lane.REDUCE if command.reduces else Lane.OPEN
        reason = self._refusal(command, known, raises, lane, now_ns)
        self._risk_epoch = max(self._risk_epoch, command.epoch)
        if reason:
            return desk.rejected(intent, reason, command.received_ns)
        order = desk.approve(intent, raises)
        self.account.active.add(intent.instrument)
        try:
            messages = self.calls.create(order, lane, now_ns, command.received_ns)
        except (Unsupported, IdsDoNotFit):
            return desk.move(name, OrderState.REJECTED, command.received_ns, 0, Reason.UNSUPPORTED)
        if messages is None:
            return desk.move(name, OrderState.REJECTED, command.received_ns, 0, Reason.RATE_LIMITED)
        return messages

    def _refusal(
        self, command: OrderCommand, known: bool, raises: bool, lane: Lane, now_ns: int
    ) -> Reason:
        """Why an order is not sent now, if it is not."""
        if self.killed and raises:
            return Reason.KILLED
        if not self.account.online:
            return Reason.NOT_CONNECTED
        if not known:
            return Reason.UNKNOWN_INSTRUMENT
        if command.epoch < self._risk_epoch:
            return Reason.STALE_EPOCH
        if now_ns > command.intent.expires_ns:
            return Reason.EXPIRED
        if raises and not self.account.reconciled:
            return Reason.NOT_RECONCILED
        if lane is Lane.OPEN and self.calls.breaker.circuit is not Circuit.CLOSED:
            return Reason.BREAKER_OPEN
        return Reason.NONE

    def cancel(self, command: CancelCommand, now_ns: int) -> Messages:
        """Cancels need no permission and do not expire."""
        self.desk.now_ns = now_ns
        return self.pursuit.cancel(command.client_order_id, command.received_ns, now_ns)

    def refused(self, message: RequestRefused, now_ns: int) -> Messages:
        """The gate let a request not out: an order so refused never existed at the venue."""
        desk, name = self.desk, message.client_order_id
        desk.now_ns = now_ns
        self.calls.answered(message.call)
        order = desk.open.get(name)
        if message.kind is not CallKind.CREATE or order is None or order.known:
            return []  # what is unwanted is cancelled again
        if order.state not in (OrderState.SENT, OrderState.CANCELLING, OrderState.UNKNOWN):
            return []
        return desk.move(name, OrderState.REJECTED, message.received_ns, 0, message.reason)

    # --- the line ---------------------------------------------------------------------------------

    def started(self, epoch: int, now_ns: int) -> Messages:
        """The component begins. A predecessor may have sent what its successor never heard of."""
        self.desk.now_ns = now_ns
        self._started = True
        messages: Messages = []
        if epoch > 1:
            messages = self._lost(now_ns)
        if not self.trading.private_stream:
            messages += self._opened(now_ns) + self.account.ready()
        return messages

    def connected(self, now_ns: int) -> Messages:
        """The private connection, or the shared one, is open."""
        self.desk.now_ns = now_ns
        lost, self._line = self._lost(now_ns), True
        self._due_ns["opened"] = now_ns + OPENED_EVERY_NS
        return lost + self._opened(now_ns)

    def disconnected(self, now_ns: int) -> Messages:
        """It is gone: nobody tells what becomes of our orders."""
        self.desk.now_ns = now_ns
        return self._lost(now_ns)

    def missed(self, now_ns: int) -> Messages:
        """The venue said something that could not be read."""
        self.desk.now_ns = now_ns
        return self.account.begin() if self.account.online else []

    def _lost(self, now_ns: int) -> Messages:
        """What waited never left; of what is open nobody knows what became of it."""
        desk, calls = self.desk, self.calls
        self._line = False
        self.trading.closed()
        self.account.lose()
        messages: Messages = []
        for name, order in list(desk.open.items()):
            queued = order.state is OrderState.APPROVED
            if queued and calls.lanes.drop(lambda wish, name=name: wish.name == name):  # type: ignore[misc]
                messages += desk.move(name, OrderState.REJECTED, 0, 0, Reason.NOT_CONNECTED)
        calls.give_up()
        return messages + self.pursuit.doubt_all(now_ns)

    def _opened(self, now_ns: int) -> Messages:
        return self._send_all(self.trading.opened(self.calls.clock.earliest(now_ns)), now_ns)

    def _send_all(self, requests: Any, now_ns: int) -> Messages:
        messages: Messages = []
        for request in requests:
            wish = Wish(request.kind, instrument=request.instrument, ready=request)
            messages += self.calls.ask(Lane.REDUCE, wish, now_ns) or []
        return messages

    # --- kill, and an operator's words --------------------------------------------------------------

    def kill(self, on: bool, now_ns: int) -> Messages:
        """The kill switch: cancel all that may rest but what flattens, until the venue says so."""
        self.desk.now_ns = now_ns
        begins = on and not self.killed
        self.killed = on
        return self.sweep.begin(False, self.reachable) if begins else []

    def cancel_all(self, message: CancelAll, now_ns: int) -> Messages:
        """Cancel every order of ours that may rest."""
        self.desk.now_ns = now_ns
        return self.sweep.begin(True, self.reachable)

    def set_breaker(self, message: SetBreaker, now_ns: int) -> Messages:
        """An operator opens or closes the breaker."""
        self.desk.now_ns = now_ns
        self.calls.breaker.set(message.open, now_ns)
        return self.calls.release(now_ns)

    def reconcile(self, now_ns: int) -> Messages:
        """Compare with the venue now."""
        self.desk.now_ns = now_ns
        return self.account.begin() if self.reachable else []

    def resolve(self, message: ResolveUnknown, now_ns: int) -> Messages:
        """An operator ends a doubt: only of an UNKNOWN order, and only by a final state."""
        desk, name = self.desk, message.client_order_id
        desk.now_ns = now_ns
        order = desk.open.get(name)
        if order is None or order.state is not OrderState.UNKNOWN or message.state not in FINAL:
            return []
        filled = order.intent.lots if message.state is OrderState.FILLED else order.told_lots
        return desk.move(name, message.state, 0, filled, Reason.OPERATOR)

    # --- time ---------------------------------------------------------------------------------------

    def paced(self, now_ns: int) -> Messages:
        """The timer of what waits in the lanes."""
        self.desk.now_ns = now_ns
        return self._expire(now_ns) + self.calls.release(now_ns)

    def tick(self, now_ns: int) -> Messages:
        """A few times a second: what is overdue, what is to be asked again, what waits."""
        desk = self.desk
        desk.now_ns = now_ns
        messages: Messages = []
        for pending in self.calls.overdue(now_ns):
            messages += self.news.unanswered(pending, now_ns)
        messages += self._expire(now_ns)
        messages += self.pursuit.chase(now_ns, self.reachable)
        messages += self.pursuit.settle()
        if self.reachable:
            messages += self._tick_line(now_ns) + self.sweep.tick(True)
            messages += self.account.tick()
        if self.calls.lanes.waiting:
            messages += self.calls.release(now_ns)
        desk.forget(now_ns)
        return messages

    def _expire(self, now_ns: int) -> Messages:
        """What waited past its time is refused; it never left."""
        messages: Messages = []
        for wish in self.calls.lanes.expired(now_ns):
            closed = self.calls.breaker.circuit is Circuit.CLOSED
            reason = Reason.RATE_LIMITED if closed else Reason.BREAKER_OPEN
            messages += self.desk.move(wish.name, OrderState.REJECTED, 0, 0, reason)
        return messages

    def _due(self, what: str, every_ns: int, now_ns: int) -> bool:
        """Whether something is to be done again; it is counted as done."""
        if now_ns < self._due_ns.get(what, 0):
            return False
        self._due_ns[what] = now_ns + every_ns
        return True

    def _tick_line(self, now_ns: int) -> Messages:
        """Keep the stream alive, measure the clock, feed the dead-man timer, probe a venue that failed."""
        trading, calls = self.trading, self.calls
        venue_ns = calls.clock.earliest(now_ns)
        messages: Messages = []
        streams = self._line or not trading.private_stream
        if streams and self._due("alive", SECOND_NS, now_ns):
            messages += self._send_all(trading.keep_alive(venue_ns), now_ns)
        unheard = self._line and not self.account.online
        if unheard and self._due("opened", OPENED_EVERY_NS, now_ns):
            messages += self._opened(now_ns)
        clock_ns = CLOCK_EVERY_NS if calls.clock.samples else self._timeout_ns
        if calls.tells_clock and self._due("clock", clock_ns, now_ns):
            messages += self.pursuit.ask(CallKind.CLOCK, now_ns)
        dead_man_s = self._settings.dead_man_s
        every_ns = dead_man_s * SECOND_NS // DEAD_MAN_SHARE
        if dead_man_s and self.account.online and self._due("dead man", every_ns, now_ns):
            timer = trading.dead_man(dead_man_s, venue_ns)
            if timer is not None:
                wish = Wish(CallKind.DEAD_MAN, ready=timer)
                messages += calls.ask(Lane.CANCEL, wish, now_ns) or []
        if calls.breaker.circuit is not Circuit.CLOSED and calls.breaker.lets(Lane.DATA, now_ns):
            messages += calls.release(now_ns) or self.pursuit.look(now_ns)
        return messages

    # --- what is shown ------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """Fields of `VenueStatus`."""
        calls, desk = self.calls, self.desk
        return {
            "orders_open": len(desk.open),
            "orders_unknown": desk.unknown,
            "reconciled": self.account.reconciled,
            "circuit": calls.breaker.circuit,
            "health": calls.breaker.health,
            "success_bps": calls.breaker.success_bps,
            "clock_offset_ns": calls.clock.offset_ns,
            "requests_waiting": calls.lanes.waiting,
            "orders_foreign": self.account.foreign,
            "transitions_illegal": desk.illegal,
            "clock_jumps": calls.clock.jumps,
            "commands_repeated": self._repeated,
        }

    def open_work(self) -> int:
        """The orders that are not final, and final ones whose fills are missing."""
        return len(self.desk.open) + len(self.desk.owed)

    def snapshot(self) -> GatewayState:
        """The whole state."""
        return GatewayState(
            self.desk.snapshot(),
            self.fills.snapshot(),
            self.calls.snapshot(),
            self.pursuit.snapshot(),
            self.sweep.snapshot(),
            self.account.snapshot(),
            self.news.malformed,
            self.trading.snapshot(),
            self._started,
            self._line,
            self.killed,
            self._risk_epoch,
            self._repeated,
            self._due_ns,
        )

    def restore(self, state: GatewayState) -> None:
        """Become what `snapshot` gave."""
        self.desk.restore(state.desk)
        self.fills.restore(state.fills)
        self.calls.restore(state.calls)
        self.pursuit.restore(state.pursuit)
        self.sweep.restore(state.sweep)
        self.account.restore(state.account)
        self.news.malformed = state.malformed
        self.trading.restore(state.trading)
        self._started, self._line, self.killed = state.started, state.line, state.killed
        self._risk_epoch, self._repeated = state.risk_epoch, state.repeated
        self._due_ns = state.due_ns
