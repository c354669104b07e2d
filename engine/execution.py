"""Execution: works the orders that the engine emulates, by sending ordinary ones through the RiskGuard.

What each does next is decided in `engine/parents/`; here its news come in and its children go out.
A price counts only while its book is LIVE and fresh. All that is known is in the snapshot, and what
was meant to happen later is asked for again when an epoch begins.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from engine.component import NOTHING, Component, Outputs
from engine.execution_config import ExecutionConfig
from engine.instruments import Instrument, Instruments
from engine.messages import (
    AnyMessage,
    BookState,
    BookTop,
    Drain,
    Fill,
    KillSwitch,
    OrderEvent,
    OrderIntent,
    OrderRefused,
    OrderState,
    ParentCancel,
    ParentEvent,
    ParentIntent,
    ParentState,
    Reason,
    Risk,
    RiskLevel,
    SetTimer,
    Started,
    TimerFired,
    Trade,
)
from engine.parents.plan import Market, Order, Step, plan
from engine.parents.registry import Registry, RegistryState
from engine.parents.state import Child, Parent, Role
from engine.parents.terms import refusal
from engine.parents.triggers import observe, prices_of_top, prices_of_trade, watched
from engine.parents.words import Stamp, cancel_of, child_of, dust_of, event_of

MS = 1_000_000
STEPS_MAX = 16


class ExecutionState(msgspec.Struct):
    """The whole state, for a snapshot."""

    sequence: int
    level: Risk
    killed: bool
    draining: bool
    tops: dict[int, BookTop]
    parents: RegistryState


class Execution(Component):
    """The Execution component; see the module. `stale_ns` is how old a price may be."""

    kind = "execution"

    def __init__(
        self,
        sender: int,
        instruments: Instruments,
        config: ExecutionConfig,
        deployment: str,
        stale_ns: int,
    ) -> None:
        super().__init__(sender, instruments)
        self._config = config
        self._deployment = deployment
        self._stale_ns = stale_ns
        self._level = Risk.NORMAL
        self._killed = False
        self._draining = False
        self._tops: dict[int, BookTop] = {}  # LIVE ones only
        self._parents = Registry()
        self._takers: dict[type, Callable[[Any, int], Outputs]] = {
            BookTop: self._on_top,
            Trade: self._on_trade,
            ParentIntent: self._on_intent,
            ParentCancel: self._on_cancel,
            OrderEvent: self._on_event,
            OrderRefused: self._on_refusal,
            Fill: self._on_fill,
            TimerFired: self._on_timer,
            RiskLevel: self._on_level,
            KillSwitch: self._on_kill_switch,
            Drain: self._on_drain,
            Started: self._on_started,
        }

    def on_message(self, message: AnyMessage, now_ns: int) -> Outputs:
        """See `Component.on_message`."""
        taker = self._takers.get(type(message))
        return NOTHING if taker is None else taker(message, now_ns)

    def open_work(self) -> int:
        """The children whose end is not known; a parent that only waits is no work under way."""
        return sum(len(parent.live()) for parent in self._parents.open.values())

    def regrid(self, instrument: Instrument) -> None:
        """See `Component.regrid`: what waits goes over to the new grid, a top is of the old one."""
        self._tops.pop(instrument.id, None)
        self._parents.regrid(instrument)

    # --- what bots want ---------------------------------------------------------------------------

    def _on_intent(self, intent: ParentIntent, now_ns: int) -> Outputs:
        parents = self._parents
        if parents.knows(intent.parent):
            return NOTHING  # told before
        reason = refusal(intent, self.instruments, now_ns)
        if not reason and len(parents.open) >= self._config.parents_max:
            reason = Reason.ORDERS_OPEN
        if not reason and self._draining:
            reason = Reason.DRAINING
        parents.numbers += 1
        parent = Parent(intent, parents.numbers, intent.slip_ticks)
        if reason:
            state = ParentState.EXPIRED if reason is Reason.EXPIRED else ParentState.REFUSED
            return self._finish(parent, state, reason, intent.received_ns)
        grid = self.instruments[intent.instrument]
        parent.tick_size, parent.lot_size = grid.tick_size, grid.lot_size
        parents.add(parent)
        self._look(parent, now_ns)
        taken = self._tell(parent, Reason.NONE, intent.received_ns)
        return (taken, *self._advance(parent, intent.received_ns, now_ns))

    def _on_cancel(self, cancel: ParentCancel, now_ns: int) -> Outputs:
        parent = self._parents.open.get(cancel.parent)
        if parent is None or parent.intent.bot != cancel.bot:
            return NOTHING
        if cancel.park:
            parent.parked = True
        elif parent.ending is None:
            parent.ending, parent.reason = ParentState.CANCELLED, Reason.NONE
        return self._advance(parent, cancel.received_ns, now_ns)

    # --- prices ---------------------------------------------------------------------------------------

    def _fresh(self, message: BookTop | Trade, now_ns: int) -> bool:
        return now_ns - message.received_ns <= self._stale_ns

    def _look(self, parent: Parent, now_ns: int) -> None:
        """Hold a parent against the price that is known now."""
        top = self._tops.get(parent.intent.instrument)
        if top is not None and self._fresh(top, now_ns):
            observe(parent, prices_of_top(top)[watched(parent)])

    def _on_top(self, top: BookTop, now_ns: int) -> Outputs:
        if top.state is not BookState.LIVE:
            self._tops.pop(top.instrument, None)
            return NOTHING
        self._tops[top.instrument] = top
        return self._watch(top, prices_of_top(top), now_ns)

    def _on_trade(self, trade: Trade, now_ns: int) -> Outputs:
        """A last price counts only beside a LIVE book: without one it could not be acted on."""
        if trade.instrument not in self._tops:
            return NOTHING
        return self._watch(trade, prices_of_trade(trade), now_ns)

    def _watch(
        self, message: BookTop | Trade, prices: tuple[int, int, int, int], now_ns: int
    ) -> Outputs:
        """Look at the parents of an instrument only where the prices may change something."""
        number, outputs = message.instrument, NOTHING
        if self._parents.calm(number).covers(prices) or not self._fresh(message, now_ns):
            return outputs
        for parent in self._parents.watching(number):
            if observe(parent, prices[watched(parent)]) or parent.wants_price:
                outputs += self._advance(parent, message.received_ns, now_ns)
            self._parents.changed(parent)
        return outputs

    # --- news of children -------------------------------------------------------------------------

    def _on_event(self, event: OrderEvent, now_ns: int) -> Outputs:
        found = self._parents.of(event)
        if found is None or event.reason is Reason.DUPLICATE:  # the first one lives on
            return NOTHING
        parent, child = found
        was_live = child.live
        child.told = max(child.told, event.filled_lots)
        if was_live:
            child.state = event.state
            if event.state is OrderState.FILLED:
                child.told = max(child.told, child.lots)
        ended = was_live and not child.live
        return self._heard(parent, child, ended, event.reason, event.received_ns, now_ns)

    def _on_refusal(self, refused: OrderRefused, now_ns: int) -> Outputs:
        found = self._parents.of(refused)
        if found is None or refused.reason is Reason.DUPLICATE or not found[1].live:
            return NOTHING
        parent, child = found
        child.state = OrderState.REJECTED
        return self._heard(parent, child, True, refused.reason, refused.received_ns, now_ns)

    def _on_fill(self, fill: Fill, now_ns: int) -> Outputs:
        found = self._parents.of(fill)
        if found is None:
            return NOTHING
        parent, child = found
        child.filled += fill.lots
        return self._heard(parent, child, False, Reason.NONE, fill.received_ns, now_ns)

    def _heard(
        self,
        parent: Parent,
        child: Child,
        ended: bool,
        reason: Reason,
        received_ns: int,
        now_ns: int,
    ) -> Outputs:
        """Go on after news of a child; an exit that ended badly is said and tried again later."""
        outputs: Outputs = NOTHING
        if ended and not child.asked_ns:
            if child.role is Role.ENTRY:
                parent.reason = reason
            else:
                config = self._config
                parent.learn(child, reason, now_ns, config.retry_ms * MS, config.retry_max_ms * MS)
                if reason and self._parents.is_open(parent):
                    outputs = (self._tell(parent, reason, received_ns),)
        if not self._parents.is_open(parent):
            if not parent.owes:
                return (*outputs, self._tell(parent, Reason.NONE, received_ns))
            parent.ending = None if parent.state is ParentState.DONE else parent.state
            parent.state = ParentState.WORKING
            self._parents.add(parent)
        self._look(parent, now_ns)  # a guard may just have come to be
        return outputs + self._advance(parent, received_ns, now_ns)

    # --- the engine -------------------------------------------------------------------------------

    def _on_timer(self, fired: TimerFired, now_ns: int) -> Outputs:
        parent = self._parents.numbered(fired.key)
        if parent is None:
            return NOTHING
        parent.timer_ns = 0
        return self._advance(parent, fired.received_ns, now_ns)

    def _on_level(self, message: RiskLevel, now_ns: int) -> Outputs:
        self._level = message.level
        return self._advance_all(message.received_ns, now_ns)

    def _on_kill_switch(self, message: KillSwitch, now_ns: int) -> Outputs:
        self._killed = message.on
        return self._advance_all(message.received_ns, now_ns)

    def _on_drain(self, message: Drain, now_ns: int) -> Outputs:
        """Nothing is left at a venue unattended; what waits goes on when the engine is back."""
        self._draining = True
        for parent in self._parents.open.values():
            parent.parked = True
        return self._advance_all(message.received_ns, now_ns)

    def _on_started(self, message: Started, now_ns: int) -> Outputs:
        """Timers set before are gone, prices known before are old; resumed, nothing is parked."""
        self._tops.clear()
        self._draining = self._draining and not message.resumed
        for parent in self._parents.open.values():
            parent.timer_ns = 0
            parent.parked = parent.parked and not message.resumed
        return self._advance_all(message.received_ns, now_ns)

    def _advance_all(self, received_ns: int, now_ns: int) -> Outputs:
        outputs: Outputs = NOTHING
        for parent in tuple(self._parents.open.values()):
            outputs += self._advance(parent, received_ns, now_ns)
        return outputs

    # --- doing what was decided -----------------------------------------------------------------------

    def _advance(self, parent: Parent, received_ns: int, now_ns: int) -> Outputs:
        """Take steps until one sends nothing; then say what changed and be woken in time."""
        outputs: list[AnyMessage] = []
        self._parents.changed(parent)
        if parent.over > 0 and parent.reason is not Reason.OVER_FILLED:
            parent.reason = Reason.OVER_FILLED
            outputs.append(self._tell(parent, Reason.OVER_FILLED, received_ns))
        wake_ns = 0
        for _ in range(STEPS_MAX):
            step = plan(parent, self._market(parent, now_ns))
            if step.end is not None:
                return (*outputs, *self._finish(parent, step.end, step.reason, received_ns))
            wake_ns = self._cancel(parent, step, outputs, received_ns, now_ns)
            if step.order is None:
                break
            outputs.append(self._child(parent, step.order, received_ns, now_ns))
        if parent.open_state is not parent.state:
            parent.state = parent.open_state
            outputs.append(self._tell(parent, Reason.NONE, received_ns))
        if wake_ns and wake_ns != parent.timer_ns:
            parent.timer_ns = wake_ns
            sequence = self.next_sequence()
            outputs.append(SetTimer(self.sender, sequence, 0, parent.number, wake_ns))
        return tuple(outputs)

    def _market(self, parent: Parent, now_ns: int) -> Market:
        number = parent.intent.instrument
        top = self._tops.get(number)
        if top is not None and not self._fresh(top, now_ns):
            top = None
        halted = self._killed or self._level >= Risk.HALT
        return Market(self.instruments[number], top, halted, now_ns)

    def _cancel(
        self, parent: Parent, step: Step, outputs: list[AnyMessage], received_ns: int, now_ns: int
    ) -> int:
        """Ask for cancels, again where one has had no end for long; when to look again."""
        wake_ns = step.wake_ns
        again_ns = self._config.cancel_retry_ms * MS
        for name in step.cancels:
            child = parent.children[name]
            if not child.asked_ns or now_ns >= child.asked_ns + again_ns:
                child.asked_ns = now_ns
                outputs.append(cancel_of(parent, name, self._stamp(received_ns)))
            at_ns = child.asked_ns + again_ns
            wake_ns = min(wake_ns, at_ns) if wake_ns else at_ns
        return wake_ns

    def _child(self, parent: Parent, order: Order, received_ns: int, now_ns: int) -> OrderIntent:
        parent.made += 1
        expires_ns = now_ns + self._config.child_ttl_ms * MS
        stamp = self._stamp(received_ns)
        child = child_of(parent, order, self._deployment, expires_ns, stamp)
        self._parents.bear(parent, child.client_order_id, Child(order.role, order.side, order.lots))
        return child

    def _finish(
        self, parent: Parent, state: ParentState, reason: Reason, received_ns: int
    ) -> Outputs:
        parent.state, parent.ending = state, None
        self._parents.end(parent)
        told = self._tell(parent, reason, received_ns)
        if state is not ParentState.DONE or reason is not Reason.MIN_NOTIONAL or not parent.kept:
            return (told,)
        instrument = self.instruments[parent.intent.instrument]
        return told, dust_of(parent, instrument, self._stamp(received_ns))

    def _tell(self, parent: Parent, reason: Reason, received_ns: int) -> ParentEvent:
        return event_of(parent, reason, self._stamp(received_ns))

    def _stamp(self, received_ns: int) -> Stamp:
        return Stamp(self.sender, self.next_sequence(), received_ns)

    def snapshot(self) -> bytes:
        """See `Component.snapshot`."""
        return msgspec.msgpack.encode(
            ExecutionState(
                self.sequence,
                self._level,
                self._killed,
                self._draining,
                self._tops,
                self._parents.snapshot(),
            )
        )

    def restore(self, data: bytes) -> None:
        """See `Component.restore`."""
        state = msgspec.msgpack.decode(data, type=ExecutionState)
        self.sequence = state.sequence
        self._level, self._killed = state.level, state.killed
        self._draining, self._tops = state.draining, state.tops
        self._parents.restore(state.parents)
