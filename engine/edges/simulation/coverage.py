"""What a run, or many, came to see: states, levels, faults, rules; and what it never saw."""

from collections import Counter
from collections.abc import Iterator
from enum import Enum

from engine.edges.simulation.plan import FAULTS, Injection, Kind, Point
from engine.messages import (
    AnyMessage,
    Difference,
    DifferenceKind,
    OrderCommand,
    OrderEvent,
    OrderIntent,
    OrderRefused,
    OrderState,
    ParentEvent,
    ParentKind,
    ParentState,
    Risk,
    RiskLevel,
)

# What there is to see; reasons are those that came up.
EXPECTED: dict[str, tuple[Enum, ...]] = {
    "order state": tuple(OrderState),
    "risk level": tuple(Risk),
    "exchange fault": tuple(FAULTS),
    "injection": tuple(Kind),
    "crash point": tuple(Point),
    # Where everything is spot, what is held is a balance, and no position beside it can drift.
    "difference": tuple(k for k in DifferenceKind if k is not DifferenceKind.POSITION_DRIFT),
    "parent": tuple(ParentKind),
    "parent state": tuple(ParentState),
}


class Coverage:
    """Counts by what was seen."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def saw(self, what: str, which: str, times: int = 1) -> None:
        """One more of these."""
        self.counts[what, which] += times

    def journalled(self, message: AnyMessage) -> None:
        """A durable message says what was reached."""
        counts = self.counts
        counts["message", type(message).__name__] += 1
        if isinstance(message, OrderEvent):
            counts["order state", message.state.name] += 1
            if message.reason:
                counts["order reason", message.reason.name] += 1
        elif isinstance(message, OrderIntent):
            counts["order state", OrderState.INTENDED.name] += 1
        elif isinstance(message, OrderCommand):
            counts["order state", OrderState.APPROVED.name] += 1
        elif isinstance(message, OrderRefused):
            counts["refusal", message.reason.name] += 1
        elif isinstance(message, RiskLevel):
            counts["risk level", message.level.name] += 1
            counts["risk reason", message.reason.name] += 1
        elif isinstance(message, Difference):
            counts["difference", message.kind.name] += 1
        elif isinstance(message, ParentEvent):
            counts["parent", message.kind.name] += 1
            counts["parent state", message.state.name] += 1

    def happened(self, injection: Injection) -> None:
        """An injection took place."""
        self.counts["injection", injection.kind.name] += 1
        if injection.kind is Kind.CRASH:
            self.counts["crash point", injection.point.name] += 1

    def add(self, other: "Coverage") -> None:
        """Those of another run as well."""
        self.counts.update(other.counts)

    def missing(self) -> Iterator[tuple[str, str]]:
        """What there is to see and was not seen."""
        for what, each in EXPECTED.items():
            for which in each:
                if not self.counts[what, which.name]:
                    yield what, which.name

    def lines(self) -> list[str]:
        """A line for each kind of thing, with counts; last what was never seen."""
        kinds = dict.fromkeys([*EXPECTED, *(what for what, _ in self.counts)])
        lines = []
        for kind in kinds:
            seen = [
                f"{which} {count:,}" for (what, which), count in self.counts.items() if what == kind
            ]
            if seen:
                lines.append(f"{kind}: {', '.join(sorted(seen))}")
        never = [f"{what} {which}" for what, which in self.missing()]
        return [*lines, f"never seen: {', '.join(never) or 'nothing'}"]
