"""Keeps the newest of everything worth showing, bounded, for the control API and the live view.

It hears what others say; what an operator says enters here and is passed on as its own word, so that
it stands in a journal before anybody follows it. Killing it changes nothing.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from engine.component import NOTHING, Component, Outputs
from engine.instruments import Instruments
from engine.messages import (
    AnyMessage,
    BalanceUpdate,
    BookPnL,
    BookTop,
    CancelAll,
    Depth,
    Difference,
    Equity,
    Fill,
    KillProgress,
    KillSwitch,
    LimitChanged,
    Opportunity,
    OpportunityGone,
    OrderEvent,
    OrderRefused,
    PnL,
    PositionUpdate,
    Reason,
    Reconcile,
    Reconciled,
    ResolveUnknown,
    Risk,
    RiskLevel,
    SetBreaker,
    SetLimit,
    SetRiskLevel,
    VenueStatus,
)
from engine.orders.lifecycle import FINAL
from engine.viewer import Viewer
from engine.views import (
    BalanceView,
    BookPnLView,
    BookView,
    DifferenceView,
    EquityView,
    FillView,
    OpportunityView,
    OrderView,
    PnLView,
    PositionView,
    RefusalView,
    RiskView,
    VenueView,
)

LIVE_KEPT = 1000  # each ends by a message; one whose end was never heard must not stay for ever
ENDED_KEPT = 200
ORDERS_KEPT = 1000
FILLS_KEPT = 1000
REFUSALS_KEPT = 200
DIFFERENCES_KEPT = 200
OPERATOR = (SetRiskLevel, SetLimit, SetBreaker, Reconcile, ResolveUnknown, CancelAll)
LIMITS_KEPT = 20
Key = TypeVar("Key")
Value = TypeVar("Value")


class MonitorState(msgspec.Struct):
    """The whole state, for a snapshot."""

    sequence: int
    depths: dict[int, Depth]
    tops: dict[int, BookTop]
    venues: dict[int, VenueStatus]
    live: dict[int, Opportunity]
    ended: dict[int, tuple[Opportunity, int]]
    orders: dict[str, OrderEvent]
    fills: dict[str, Fill]
    refusals: dict[str, OrderRefused]
    positions: dict[str, PositionUpdate]
    balances: dict[str, BalanceUpdate]
    pnl: dict[str, PnL]
    level: Risk
    killed: bool
    changes: int
    book_pnl: dict[str, BookPnL] = {}
    equity: dict[str, Equity] = {}
    differences: dict[str, Difference] = {}
    compared: dict[int, Reconciled] = {}
    reason: Reason = Reason.NONE
    kill: KillProgress | None = None
    limits: list[LimitChanged] = []


class Monitor(Component):
    """The view component; see the module."""

    kind = "view"

    def __init__(self, sender: int, instruments: Instruments, bots: dict[int, str]) -> None:
        super().__init__(sender, instruments)
        self._viewer = Viewer(instruments, bots)
        self._state = MonitorState(
            0, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, Risk.NORMAL, False, 0
        )
        self._takers: dict[type, Callable[[Any], None]] = {
            Depth: self._on_depth,
            BookTop: self._on_top,
            VenueStatus: self._on_venue,
            Opportunity: self._on_opportunity,
            OpportunityGone: self._on_gone,
            OrderEvent: self._on_order,
            Fill: self._on_fill,
            OrderRefused: self._on_refusal,
            PositionUpdate: self._on_position,
            BalanceUpdate: self._on_balance,
            PnL: self._on_pnl,
            BookPnL: self._on_book_pnl,
            Equity: self._on_equity,
            Difference: self._on_difference,
            Reconciled: self._on_reconciled,
            RiskLevel: self._on_level,
            KillProgress: self._on_kill_progress,
            KillSwitch: self._on_kill_switch,
            LimitChanged: self._on_limit,
        }

    def on_message(self, message: AnyMessage, now_ns: int) -> Outputs:
        """See `Component.on_message`; it passes on an operator's word and says nothing else."""
        if isinstance(message, OPERATOR):
            return self._pass_on(message) if message.sender == 0 else NOTHING
        taker = self._takers.get(type(message))
        if taker is not None:
            self._state.changes += 1
            taker(message)
        return NOTHING

    def _pass_on(self, message: AnyMessage) -> Outputs:
        """The shell's messages have no journal of their own; from here on it is a component's."""
        stamp = {"sender": self.sender, "sequence": self.next_sequence()}
        return (msgspec.structs.replace(message, **stamp),)

    def _on_depth(self, message: Depth) -> None:
        self._state.depths[message.instrument] = message

    def _on_top(self, message: BookTop) -> None:
        self._state.tops[message.instrument] = message

    def _on_venue(self, message: VenueStatus) -> None:
        self._state.venues[message.venue] = message

    def _on_opportunity(self, message: Opportunity) -> None:
        _keep(self._state.live, message.opportunity, message, LIVE_KEPT)

    def _on_gone(self, message: OpportunityGone) -> None:
        seen = self._state.live.pop(message.opportunity, None)
        if seen is not None:
            _keep(self._state.ended, message.opportunity, (seen, message.lifetime_ns), ENDED_KEPT)

    def _on_order(self, message: OrderEvent) -> None:
        orders = self._state.orders
        orders.pop(message.client_order_id, None)
        orders[message.client_order_id] = message
        if len(orders) > ORDERS_KEPT:
            ended = next((n for n, o in orders.items() if o.state in FINAL), None)
            if ended is not None:
                del orders[ended]

    def _on_fill(self, message: Fill) -> None:
        _keep(self._state.fills, f"{message.venue}/{message.trade_id}", message, FILLS_KEPT)

    def _on_refusal(self, message: OrderRefused) -> None:
        _keep(self._state.refusals, message.client_order_id, message, REFUSALS_KEPT)

    def _on_position(self, message: PositionUpdate) -> None:
        self._state.positions[f"{message.base}/{message.quote}"] = message

    def _on_balance(self, message: BalanceUpdate) -> None:
        self._state.balances[f"{message.venue}/{message.asset}"] = message

    def _on_pnl(self, message: PnL) -> None:
        self._state.pnl[message.quote] = message

    def _on_book_pnl(self, message: BookPnL) -> None:
        key = f"{message.bot}/{message.venue}/{message.base}/{message.quote}"
        self._state.book_pnl[key] = message

    def _on_equity(self, message: Equity) -> None:
        self._state.equity[message.currency] = message

    def _on_difference(self, message: Difference) -> None:
        key = f"{message.venue}/{message.kind}/{message.subject}"
        self._state.differences.pop(key, None)
        _keep(self._state.differences, key, message, DIFFERENCES_KEPT)

    def _on_reconciled(self, message: Reconciled) -> None:
        self._state.compared[message.venue] = message

    def _on_level(self, message: RiskLevel) -> None:
        self._state.level, self._state.reason = message.level, message.reason
        if message.level < Risk.HALT:
            self._state.kill = None

    def _on_kill_progress(self, message: KillProgress) -> None:
        self._state.kill = message

    def _on_limit(self, message: LimitChanged) -> None:
        self._state.limits.append(message)
        del self._state.limits[:-LIMITS_KEPT]

    def _on_kill_switch(self, message: KillSwitch) -> None:
        self._state.killed = message.on

    # --- views ------------------------------------------------------------------------------------

    @property
    def changes(self) -> int:
        """Grows whenever anything shown may have changed."""
        return self._state.changes

    def books(self, levels: int) -> list[BookView]:
        """Every instrument's best levels."""
        state = self._state
        return [
            self._viewer.book(depth, levels, self._simulated(depth.instrument))
            for _, depth in sorted(state.depths.items())
        ]

    def _simulated(self, instrument: int) -> bool:
        venue = self._viewer.venue_of(instrument)
        status = self._state.venues.get(venue)
        return status is None or status.simulated

    def opportunities(self, count: int) -> list[OpportunityView]:
        """At most `count`: the live ones and then those that ended, each the newest first."""
        live = [(seen, None) for seen in reversed(self._state.live.values())]
        newest = [*live, *reversed(self._state.ended.values())][:count]
        return [self._viewer.opportunity(seen, lifetime_ns) for seen, lifetime_ns in newest]

    def orders(self, count: int) -> list[OrderView]:
        """The newest orders first."""
        newest = list(self._state.orders.values())[-count:]
        return [self._viewer.order(event) for event in reversed(newest)]

    def fills(self, count: int) -> list[FillView]:
        """The newest fills first."""
        newest = list(self._state.fills.values())[-count:]
        return [self._viewer.fill(fill) for fill in reversed(newest)]

    def refusals(self, count: int) -> list[RefusalView]:
        """The newest refusals first."""
        newest = list(self._state.refusals.values())[-count:]
        return [self._viewer.refusal(refused) for refused in reversed(newest)]

    def positions(self) -> list[PositionView]:
        """All positions."""
        return [self._viewer.position(update) for update in self._state.positions.values()]

    def balances(self) -> list[BalanceView]:
        """All balances."""
        return [self._viewer.balance(update) for update in self._state.balances.values()]

    def pnl(self) -> list[PnLView]:
        """Profit and loss by quote asset."""
        return [self._viewer.pnl(pnl) for pnl in self._state.pnl.values()]

    def book_pnl(self) -> list[BookPnLView]:
        """Profit and loss by bot, venue and pair."""
        return [self._viewer.book_pnl(pnl) for pnl in self._state.book_pnl.values()]

    def worth(self) -> list[EquityView]:
        """What everything is worth: one row once a venue has told a balance."""
        return [self._viewer.equity(worth) for worth in self._state.equity.values()]

    def venues(self) -> list[VenueView]:
        """All venues that have said anything."""
        compared = self._state.compared
        return [
            self._viewer.venue(status, compared[venue].differences if venue in compared else 0)
            for venue, status in sorted(self._state.venues.items())
        ]

    def differences(self, count: int) -> list[DifferenceView]:
        """The newest differences first, each with what became of it."""
        newest = list(self._state.differences.values())[-count:]
        return [self._viewer.difference(found) for found in reversed(newest)]

    def risk(self) -> RiskView:
        """Level, kill and limits as heard."""
        state = self._state
        return RiskView(
            level=state.level.name,
            kill_switch=state.killed,
            reason=state.reason.name,
            kill=None if state.kill is None else self._viewer.kill(state.kill),
            limits=[self._viewer.limit(changed) for changed in reversed(state.limits)],
        )

    def snapshot(self) -> bytes:
        """See `Component.snapshot`."""
        self._state.sequence = self.sequence
        return msgspec.msgpack.encode(self._state)

    def restore(self, data: bytes) -> None:
        """See `Component.restore`."""
        self._state = msgspec.msgpack.decode(data, type=MonitorState)
        self.sequence = self._state.sequence


def _keep(table: dict[Key, Value], key: Key, value: Value, limit: int) -> None:
    """Add to a table that keeps the newest `limit`."""
    table[key] = value
    if len(table) > limit:
        del table[next(iter(table))]
