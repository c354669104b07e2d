"""What a run, or many, came to see: states, levels, faults, rules; and what it never saw."""

from collections import Counter
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

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

Seen = list[tuple[str, str]]

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


def _event(event: OrderEvent) -> Seen:
    states = [("order state", event.state.name)]
    return [*states, ("order reason", event.reason.name)] if event.reason else states


SEEN: dict[type, Callable[[Any], Seen]] = {
    OrderEvent: _event,
    OrderIntent: lambda _: [("order state", OrderState.INTENDED.name)],
    OrderCommand: lambda _: [("order state", OrderState.APPROVED.name)],
    OrderRefused: lambda refused: [("refusal", refused.reason.name)],
    RiskLevel: lambda level: [
        ("risk level", level.level.name),
        ("risk reason", level.reason.name),
    ],
    Difference: lambda difference: [("difference", difference.kind.name)],
    ParentEvent: lambda event: [
        ("parent", event.kind.name),
        ("parent state", event.state.name),
    ],
}
"""What a message of each kind shows to have been reached."""


class Coverage:
    """Counts by what was seen."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def saw(self, what: str, which: str, times: int = 1) -> None:
        """One more of these."""
        self.counts[what, which] += times

    def journalled(self, message: AnyMessage) -> None:
        """A durable message says what was reached."""
        kind = type(message)
        self.counts["message", kind.__name__] += 1
        seen = SEEN.get(kind)
        if seen is not None:
            for each in seen(message):
                self.counts[each] += 1

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
