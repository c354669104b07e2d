"""What is known of one emulated order (a parent) and of the ordinary orders sent for it (children).

Lots are counted by the larger of what fills and events say of a child: either may come first or
late. A child that is final stays a while, for a late fill; what is forgotten stays in the sums.
"""

from enum import IntEnum
from fractions import Fraction

import msgspec

from engine.instruments import Instrument
from engine.messages import OrderState, ParentIntent, ParentKind, ParentState, Reason
from engine.orders.lifecycle import FINAL

CHILDREN_KEPT = 32
_TOO_LARGE = frozenset(
    {
        Reason.ORDER_NOTIONAL,
        Reason.BOT_NOTIONAL,
        Reason.ORDER_LOTS,
        Reason.POSITION,
        Reason.EQUITY_SHARE,
        Reason.NOT_REDUCING,
    }
)
# These open by one order, tried once; all others are exits, tried until they are done.
ENTERS = frozenset({ParentKind.STOP_LIMIT, ParentKind.BRACKET, ParentKind.GTD})


class Role(IntEnum):
    """What a child is for. Stored in snapshots: never renumber."""

    ENTRY = 1  # opens: tried once
    REST = 2  # an exit at its limit
    TAKE = 3  # an exit that takes at once
    MEND = 4  # takes back what filled beyond the wanted lots


class Child(msgspec.Struct):
    """An order of a parent; `asked_ns` is when its cancel was last asked for (0: never)."""

    role: Role
    side: int
    lots: int
    state: OrderState = OrderState.INTENDED
    told: int = 0
    filled: int = 0
    asked_ns: int = 0

    @property
    def done(self) -> int:
        """The lots that are known to be filled."""
        return max(self.told, self.filled)

    @property
    def live(self) -> bool:
        """Whether it may still fill by what is known."""
        return self.state not in FINAL


class Parent(msgspec.Struct):
    """One emulated order.

    `best` is the best price a trailing stop has seen, in half ticks. `ending` is the end that is
    wanted as soon as no child is live. `size_max` (0: none) and `slip` are what the RiskGuard's refusals
    left of the terms. `net_kept` and `exited_kept` are the sums over forgotten children.
    """

    intent: ParentIntent
    number: int
    slip: int
    tick_size: str = "1"
    lot_size: str = "1"
    state: ParentState = ParentState.WAITING
    triggered: bool = False
    best: int = 0
    ending: ParentState | None = None
    reason: Reason = Reason.NONE
    children: dict[str, Child] = {}
    made: int = 0
    net_kept: int = 0
    exited_kept: int = 0
    failures: int = 0
    retry_ns: int = 0
    timer_ns: int = 0
    size_max: int = 0
    parked: bool = False

    @property
    def lots(self) -> int:
        """The lots that are wanted."""
        return self.intent.lots

    @property
    def net(self) -> int:
        """What the children did in the direction of the parent, less what went the other way."""
        side = self.intent.side
        return self.net_kept + sum(side * c.side * c.done for c in self.children.values())

    @property
    def exited(self) -> int:
        """What a bracket's guards filled."""
        return self.exited_kept + sum(
            c.done for c in self.children.values() if c.role in (Role.REST, Role.TAKE)
        )

    @property
    def entered(self) -> int:
        """What a bracket's entry filled; it is never forgotten."""
        return sum(c.done for c in self.children.values() if c.role is Role.ENTRY)

    @property
    def filled(self) -> int:
        """What is told of it: a bracket's entry, of others the net."""
        return self.entered if self.intent.kind is ParentKind.BRACKET else self.net

    @property
    def over(self) -> int:
        """What filled beyond the wanted lots, or beyond a bracket's position; 0 or less is none."""
        return -self.net if self.intent.kind is ParentKind.BRACKET else self.net - self.lots

    @property
    def owes(self) -> bool:
        """Whether a parent that has ended must go on, for a late fill undid its end.

        Lots are over; or, DONE, a bracket holds what nothing guards, or an exit has not left all.
        """
        if self.over > 0 or self.state is not ParentState.DONE:
            return self.over > 0
        if self.intent.kind is ParentKind.BRACKET:
            return self.net > 0
        return self.intent.kind not in ENTERS and self.net < self.lots

    @property
    def kept(self) -> int:
        """Lots that an exit did not get rid of, by what is known: bought (positive) or sold."""
        side = self.intent.side
        bracket = self.intent.kind is ParentKind.BRACKET
        return side * self.net if bracket else side * (self.net - self.lots)

    @property
    def open_state(self) -> ParentState:
        """Where a parent stands that has not ended."""
        if self.intent.kind is ParentKind.BRACKET:
            busy = self.entered > 0
        else:
            busy = self.triggered or self.made > 0
        return ParentState.WORKING if busy else ParentState.WAITING

    @property
    def wants_price(self) -> bool:
        """Whether the next step may hang on the next price: to take at once, or to enter so."""
        entering = self.intent.kind is ParentKind.BRACKET and not self.made
        return self.triggered or entering or self.over > 0

    def learn(
        self, child: Child, reason: Reason, now_ns: int, retry_ns: int, retry_max_ns: int
    ) -> None:
        """An exit ended: when the next is tried, and how: smaller or nearer."""
        self.failures = 0 if child.done else min(self.failures + 1, 32)
        wait_ns = min(retry_ns << max(self.failures - 1, 0), retry_max_ns)
        self.retry_ns = now_ns + (wait_ns if child.done < child.lots else 0)
        if reason in _TOO_LARGE:
            self.size_max = max(1, child.lots // 2)
        elif reason is Reason.PRICE_DISTANCE:
            self.slip //= 2

    def live(self) -> list[tuple[str, Child]]:
        """The children that may still fill."""
        return [(name, child) for name, child in self.children.items() if child.live]

    def forget(self) -> list[str]:
        """Drop the oldest children that ended and opened nothing; their names."""
        if len(self.children) <= CHILDREN_KEPT:
            return []
        ended = [n for n, c in self.children.items() if not c.live and c.role is not Role.ENTRY]
        dropped = ended[: len(self.children) - CHILDREN_KEPT]
        for name in dropped:
            child = self.children.pop(name)
            self.net_kept += self.intent.side * child.side * child.done
            self.exited_kept += child.done if child.role in (Role.REST, Role.TAKE) else 0
        return dropped

    def regrid(self, instrument: Instrument) -> None:
        """Go over to another grid: prices to the nearest tick, lots down, never more than wanted."""
        old = msgspec.structs.replace(
            instrument, tick_size=self.tick_size, lot_size=self.lot_size, lots_min=1, ticks_min=1
        )
        tick = _ratio(old.tick_parts, instrument.tick_parts)
        lot = _ratio(old.lot_parts, instrument.lot_parts)
        terms = self.intent

        def ticks(price: int) -> int:
            return max(1, round(price * tick)) if price else 0

        self.intent = msgspec.structs.replace(
            terms,
            lots=int(terms.lots * lot),
            trigger_ticks=ticks(terms.trigger_ticks),
            limit_ticks=ticks(terms.limit_ticks),
            stop_ticks=ticks(terms.stop_ticks),
            trail_ticks=ticks(terms.trail_ticks),
            slip_ticks=ticks(terms.slip_ticks),
        )
        self.best, self.slip = ticks(self.best), ticks(self.slip)
        self.size_max = int(self.size_max * lot)
        self.net_kept, self.exited_kept = int(self.net_kept * lot), int(self.exited_kept * lot)
        for child in self.children.values():
            child.lots, child.told = int(child.lots * lot), int(child.told * lot)
            child.filled = int(child.filled * lot)
        self.tick_size, self.lot_size = instrument.tick_size, instrument.lot_size


def _ratio(old: tuple[int, int], new: tuple[int, int]) -> Fraction:
    """How many new steps one old step is."""
    return Fraction(old[0], 10 ** old[1]) / Fraction(new[0], 10 ** new[1])
