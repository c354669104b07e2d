"""The RiskGuard: every intent passes here or is refused with the rule, its limit and the value.

What it lets through is reserved until the venue says what became of it, so a limit counts what is
in flight; an UNKNOWN order keeps its reservation and blocks its instrument for all that raises exposure.
A group of legs passes whole or not at all. Cancels always pass. At HALT it cancels everything, at SHUTDOWN
it takes every position back too; what the venues confirm of that, it says. docs/risk.md has the rules.
"""

from collections.abc import Callable
from typing import Any

from engine.component import NOTHING, Outputs
from engine.instruments import Instruments
from engine.messages import (
    AnyMessage,
    BalanceUpdate,
    BookTop,
    CancelAll,
    CancelCommand,
    CancelIntent,
    Difference,
    DifferenceKind,
    Drain,
    Dust,
    Equity,
    Fill,
    GroupIntent,
    KillProgress,
    KillSwitch,
    LimitChanged,
    OrderCommand,
    OrderEvent,
    OrderIntent,
    OrderRefused,
    Reason,
    Reconciled,
    Resting,
    Risk,
    RiskLevel,
    Scope,
    SetLimit,
    SetRiskLevel,
    SetTimer,
    Started,
    TimerFired,
    VenueStatus,
)
from engine.risk_account import BOTS, Reserved, RiskAccount
from engine.risk_config import RiskConfig
from engine.risk_exits import Exit, exit_order, exits
from engine.risk_groups import key_of
from engine.risk_levels import SECOND
from engine.risk_limits import ALONE, Surroundings
from engine.units import INT64_MAX
from ext.risk import FLATTENING, GUARD, HEDGE, LEGS, OWED

WATCH = 1
WATCH_NS = SECOND
NAME = "risk"
DRIFTS = frozenset({DifferenceKind.BALANCE_DRIFT, DifferenceKind.POSITION_DRIFT})


class RiskGuard(RiskAccount):
    """The RiskGuard component; see the module."""

    def __init__(
        self,
        sender: int,
        instruments: Instruments,
        config: RiskConfig,
        around: Surroundings = ALONE,
    ) -> None:
        super().__init__(sender, instruments, config, around)
        self._deployment = around.deployment
        self._takers: dict[type, Callable[[Any, int], Outputs]] = {
            BookTop: self.on_top,
            OrderIntent: self._on_intent,
            GroupIntent: self._on_group,
            CancelIntent: self._on_cancel,
            OrderEvent: self.on_event,
            Fill: self.on_fill,
            BalanceUpdate: self.on_balance,
            Equity: self._on_equity,
            VenueStatus: self._on_status,
            Reconciled: self._on_reconciled,
            Difference: self._on_difference,
            Resting: self._on_resting,
            SetRiskLevel: self._on_set_level,
            SetLimit: self._on_set_limit,
            KillSwitch: self._on_kill_switch,
            TimerFired: self._on_timer,
            Started: self._on_started,
            Drain: self._on_drain,
        }

    def on_message(self, message: AnyMessage, now_ns: int) -> Outputs:
        """See `Component.on_message`."""
        taker = self._takers.get(type(message))
        return NOTHING if taker is None else taker(message, now_ns)

    # --- life -------------------------------------------------------------------------------------

    def _on_started(self, message: Started, now_ns: int) -> Outputs:
        """Watch from here on; a level that holds, and limits that no longer do, are said again."""
        self.state.epoch = message.epoch
        if message.resumed:
            self.kernel.draining = False
        self.state.incarnation = self.state.incarnation or now_ns
        outputs: list[AnyMessage] = [self._watch(now_ns)]
        if self.state.told[0] is not Risk.NORMAL:
            outputs.append(RiskLevel(self.sender, self.next_sequence(), 0, *self.state.told))
        for key, why in self.dropped:
            scope, subject, name = key.split("\x1f")
            value = self.limits.value(Scope(int(scope)), subject, name)
            where = (Scope(int(scope)), subject, name, value, NAME, False, why)
            outputs.append(LimitChanged(self.sender, self.next_sequence(), 0, *where))
        self.dropped = []
        return tuple(outputs)

    def _on_drain(self, message: Drain, now_ns: int) -> Outputs:
        self.kernel.draining = True
        return NOTHING

    def _watch(self, now_ns: int) -> SetTimer:
        return SetTimer(self.sender, self.next_sequence(), 0, WATCH, now_ns + WATCH_NS)

    def _on_timer(self, fired: TimerFired, now_ns: int) -> Outputs:
        """Each second: measures that only time changes, and what a kill still has to do."""
        self.levels.tick(*self.kernel.books(), now_ns)
        watch = self._watch(now_ns)
        return (watch, *self._settle(now_ns, 0), *self._pursue(now_ns))

    # --- intents ----------------------------------------------------------------------------------

    def _on_intent(self, intent: OrderIntent, now_ns: int) -> Outputs:
        kernel = self.kernel
        if intent.received_ns:
            self.levels.intent(now_ns - intent.received_ns)
        try:
            place = self.place(intent, self._flags(intent), now_ns)
        except OverflowError:  # a number that no venue would take either
            return (self._refusal(intent, Reason.MALFORMED, INT64_MAX, INT64_MAX),)
        if place < 0:
            refusal = self._refusal(intent, Reason(kernel.reason), kernel.limit, kernel.value)
            return (refusal, *self._dust(intent, refusal))
        return (self._let_through(intent, place, kernel.reduces()),)

    def place(self, intent: OrderIntent, flags: int, now_ns: int) -> int:
        """Check and reserve an order: its place in the kernel, or -1."""
        return self.kernel.order(
            intent.client_order_id,
            intent.bot,
            intent.group,
            intent.leg,
            intent.venue,
            intent.instrument,
            intent.side,
            intent.ticks,
            intent.lots,
            intent.expires_ns,
            flags,
            now_ns,
            intent.parent,
        )

    def _flags(self, intent: OrderIntent) -> int:
        """What the intent declares, and whether its group is owed the hedge that it says it is."""
        flags = FLATTENING if intent.flattening else 0
        if intent.hedge:
            flags |= HEDGE
            if 0 <= intent.instrument < len(self.instruments):
                instrument = self.instruments[intent.instrument]
                units = intent.lots * instrument.base_units_per_lot
                key = key_of(intent.bot, intent.group)
                if self.groups.owes(key, instrument.base, intent.side, units):
                    flags |= OWED
        return flags

    def _let_through(self, intent: OrderIntent, place: int, reduces: bool) -> OrderCommand:
        group, hedging = key_of(intent.bot, intent.group), 0
        if group:
            instrument = self.instruments[intent.instrument]
            if intent.hedge:
                hedging = intent.side * intent.lots * instrument.base_units_per_lot
            self.groups.opened(group, instrument.base, hedging)
        self.state.reserved[intent.client_order_id] = Reserved(
            place, intent.bot, intent.venue, intent.instrument, group, hedging
        )
        self.kill.expect(intent.venue)
        self.sequence += 1
        return OrderCommand(
            self.sender, self.sequence, intent.received_ns, intent, self.state.epoch, reduces
        )

    def _refusal(self, intent: OrderIntent, reason: Reason, limit: int, value: int) -> OrderRefused:
        return OrderRefused(
            self.sender,
            self.next_sequence(),
            intent.received_ns,
            intent.client_order_id,
            intent.bot,
            intent.instrument,
            reason,
            limit,
            value,
            self.limits.asset_of(intent, reason),
        )

    def _dust(self, intent: OrderIntent, refusal: OrderRefused) -> Outputs:
        """The whole rest of a position that no order can take back any more is put aside."""
        if refusal.reason not in (Reason.MIN_NOTIONAL, Reason.ORDER_LOTS) or intent.lots <= 0:
            return NOTHING
        instrument = self.instruments[intent.instrument]
        deviation = self.kernel.position(self.limits.number[instrument.base])
        units = intent.side * intent.lots * instrument.base_units_per_lot
        if deviation * units >= 0 or abs(deviation) - abs(units) >= instrument.base_units_per_lot:
            return NOTHING
        about = (intent.venue, instrument.base, intent.bot, deviation)
        return (Dust(self.sender, self.next_sequence(), intent.received_ns, *about),)

    def _on_group(self, intent: GroupIntent, now_ns: int) -> Outputs:
        """All legs or none: the leg that broke a rule says which, the others that they are its group."""
        legs, kernel = intent.legs, self.kernel
        wishes = [
            (
                *(leg.client_order_id, leg.bot, leg.group, leg.leg, leg.venue, leg.instrument),
                *(leg.side, leg.ticks, leg.lots, leg.expires_ns, self._flags(leg), leg.parent),
            )
            for leg in legs
        ]
        if intent.received_ns:
            self.levels.intent(now_ns - intent.received_ns)
        try:
            places = kernel.group(wishes, now_ns)
        except OverflowError:
            return tuple(self._refusal(leg, Reason.MALFORMED, INT64_MAX, INT64_MAX) for leg in legs)
        if places:
            reduces = [kernel.reduces(number) for number in range(len(places))]
            triples = zip(legs, places, reduces, strict=True)
            return tuple(self._let_through(leg, place, takes) for leg, place, takes in triples)
        if len(legs) > LEGS:
            return tuple(self._refusal(leg, Reason.GROUP, LEGS, len(legs)) for leg in legs)
        broken = Reason(kernel.reason), kernel.limit, kernel.value
        return tuple(
            self._refusal(leg, *(broken if number == kernel.leg else (Reason.GROUP, 0, kernel.leg)))
            for number, leg in enumerate(legs)
        )

    def _on_cancel(self, intent: CancelIntent, now_ns: int) -> Outputs:
        if 0 <= intent.venue < len(self.instruments.venues) and 0 <= intent.bot < BOTS:
            self.kernel.sent(intent.bot, intent.venue, now_ns)
        name = intent.client_order_id
        return (
            self._cancel(name, intent.bot, intent.venue, intent.instrument, intent.received_ns),
        )

    def _cancel(
        self, name: str, bot: int, venue: int, instrument: int, received_ns: int
    ) -> CancelCommand:
        stamp = self.next_sequence()
        return CancelCommand(self.sender, stamp, received_ns, name, bot, venue, instrument)

    # --- levels -----------------------------------------------------------------------------------

    def _settle(self, now_ns: int, received_ns: int) -> Outputs:
        """Say the level where it changed; from HALT up cancel everything at once."""
        levels, state, kernel = self.levels, self.state, self.kernel
        levels.settle(now_ns)
        kernel.level, kernel.killed = levels.state.level, levels.state.killed
        now = (levels.level, levels.reason)
        if now == state.told:
            return NOTHING
        before, state.told = state.told[0], now
        said = RiskLevel(self.sender, self.next_sequence(), received_ns, *now)
        if now[0] < Risk.HALT:
            self.kill.end()
            return (said,)
        if before >= Risk.HALT:
            return (said,)
        self.kill.begin(now_ns)
        return (said, *self._cancel_everything(now_ns, received_ns))

    def _on_kill_switch(self, message: KillSwitch, now_ns: int) -> Outputs:
        self.levels.state.killed = message.on
        return self._settle(now_ns, message.received_ns)

    def _on_set_level(self, message: SetRiskLevel, now_ns: int) -> Outputs:
        """An operator's word; what the rules ask for stays above it, and is said again then."""
        self.levels.order(message.level)
        if self.levels.level > message.level:
            self.state.told = (self.state.told[0], Reason.NONE)
        return self._settle(now_ns, message.received_ns)

    def _on_equity(self, told: Equity, now_ns: int) -> Outputs:
        self.levels.equity(told, now_ns)
        if told.currency == self.limits.currency:
            self.state.equity = told.equity
            self.kernel.limit_share(self.limits.share_of(told.equity))
        return self._settle(now_ns, told.received_ns)

    def _on_status(self, status: VenueStatus, now_ns: int) -> Outputs:
        self.kernel.reconciled(status.venue, status.reconciled)
        self.levels.venue(status)
        return self._settle(now_ns, status.received_ns)

    def _on_reconciled(self, message: Reconciled, now_ns: int) -> Outputs:
        self.kernel.reconciled(message.venue, message.clean)
        self.kill.expect(message.venue)
        if message.clean:
            self.settled(message.venue)
        return self._settle(now_ns, message.received_ns)

    def _on_difference(self, message: Difference, now_ns: int) -> Outputs:
        if message.kind in DRIFTS:
            self.levels.drift(f"{message.venue}/{message.subject}", not message.repaired)
        return self._settle(now_ns, message.received_ns)

    def _on_set_limit(self, message: SetLimit, now_ns: int) -> Outputs:
        """A limit changes at once or is refused, and either is said."""
        scope, subject, name = message.scope, message.subject, message.name
        why = self.limits.change(scope, subject, name, message.value)
        if not why:
            self.limits.apply(self.kernel)
            self.levels.configure(self.limits.config.levels)
            if self.state.equity is not None:
                self.kernel.limit_share(self.limits.share_of(self.state.equity))
            self.retarget(subject)
        value = self.limits.value(scope, subject, name)
        where = (scope, subject, name, value, message.who, not why, why)
        said = LimitChanged(self.sender, self.next_sequence(), message.received_ns, *where)
        return (said, *self._settle(now_ns, message.received_ns))

    # --- a kill -----------------------------------------------------------------------------------

    def _on_resting(self, message: Resting, now_ns: int) -> Outputs:
        self.kill.heard(message.venue, message.orders)
        return self._progress()

    def _cancel_everything(self, now_ns: int, received_ns: int) -> list[AnyMessage]:
        """Each order that we know of, and whatever the venues know of."""
        self.kill.state.cancelled_ns = now_ns
        outputs: list[AnyMessage] = [
            self._cancel(name, order.bot, order.venue, order.instrument, received_ns)
            for name, order in self.state.reserved.items()
            if not order.ended
        ]
        outputs.append(CancelAll(self.sender, self.next_sequence(), received_ns, -1, NAME))
        return outputs

    def _pursue(self, now_ns: int) -> Outputs:
        """Cancel again what is still there, at SHUTDOWN take positions back, and say how far it is."""
        if self.levels.level < Risk.HALT:
            return NOTHING
        outputs: list[AnyMessage] = []
        again_ns = self.limits.config.cancel_again_s * SECOND
        waited = now_ns - self.kill.state.cancelled_ns >= again_ns
        if waited and (self.state.reserved or self.kill.resting()):
            outputs += self._cancel_everything(now_ns, 0)
        doubted = self.kernel.unknown()
        patient = now_ns - self.kill.state.began_ns >= again_ns
        if self.levels.level is Risk.SHUTDOWN and (patient or len(self.kernel) <= doubted):
            outputs += self._flatten(now_ns)
        return (*outputs, *self._progress())

    def _flatten(self, now_ns: int) -> list[AnyMessage]:
        """An order for each position on each market that takes some of it; dust is put aside."""
        outputs: list[AnyMessage] = []
        for asset in self.kill.away(self.limits, self.kernel, self.instruments):
            for wanted in exits(asset, self.instruments, self.limits, self.kernel):
                outputs += self._exit(wanted, now_ns)
        for asset, venue in self.kill.newly_dust(self.limits, self.kernel, self.instruments):
            amount = self.kernel.position(self.limits.number[asset])
            stamp = self.next_sequence()
            outputs.append(Dust(self.sender, stamp, 0, venue, asset, self.sender, amount))
        return outputs

    def _exit(self, wanted: Exit, now_ns: int) -> Outputs:
        """The guard's own order; what the kernel would not let through waits for the next second."""
        state = self.state
        state.exits += 1
        count = (state.incarnation, state.exits)
        stamp = (self.sender, self.next_sequence())
        intent = exit_order(wanted, stamp, self._deployment, count, now_ns + WATCH_NS)
        place = self.place(intent, FLATTENING | GUARD, now_ns)
        return (self._let_through(intent, place, True),) if place >= 0 else NOTHING

    def _progress(self) -> Outputs:
        """How far a kill is, where that changed."""
        if self.levels.level < Risk.HALT:
            return NOTHING
        resting, unknown = self.kill.resting(), self.kernel.unknown()
        away = len(self.kill.away(self.limits, self.kernel, self.instruments))
        settled = resting == 0 and not self.state.reserved
        finished = settled and (self.levels.level is Risk.HALT or away == 0)
        now = (self.levels.level, resting, unknown, away, finished)
        if now == self.kill.state.told:
            return NOTHING
        self.kill.state.told = now
        return (KillProgress(self.sender, self.next_sequence(), 0, *now),)
