"""How a run is told to a person: a line a moment, times in seconds since its begin."""

from collections.abc import Iterable, Iterator

import msgspec

from engine.edges.simulation.invariants import Moment
from engine.edges.simulation.plan import BEGIN_NS, SECOND_NS, Injection, Scenario
from engine.messages import OrderRequest

DULL = frozenset({"PnL", "BookPnL", "BookStateChanged", "Opportunity", "OpportunityGone", "Equity"})
QUIET = frozenset({"sender", "sequence", "received_ns", "payload", "who"})


def seconds(at_ns: int) -> str:
    """A time of the run."""
    return f"{(at_ns - BEGIN_NS) / SECOND_NS:10.6f}"


def words(message: msgspec.Struct) -> str:
    """A message without what says nothing: its numbering, and fields at their defaults."""
    parts = []
    for field in msgspec.structs.fields(message):
        value = getattr(message, field.name)
        if field.name in QUIET or value == field.default:
            continue
        if field.name.endswith("_ns") and value > BEGIN_NS // 2:
            value = seconds(value).strip()
        elif isinstance(value, msgspec.Struct):
            value = f"({words(value)})"
        elif hasattr(value, "name"):
            value = value.name
        parts.append(f"{field.name}={value}")
    if isinstance(message, OrderRequest):
        parts.append(message.payload[:160].decode(errors="replace"))
    return f"{type(message).__name__} {' '.join(parts)}"


def moment(each: Moment) -> str:
    """A line of the trace."""
    at_ns, who, what = each
    said = str(what) if isinstance(what, str) else words(what)
    return f"{seconds(at_ns)} {who:<12} {said}"


def injected(injection: Injection) -> str:
    """A line of the plan."""
    return (
        f"{seconds(injection.at_ns)} {injection.kind} {injection.subject} "
        f"for {injection.for_ns / SECOND_NS:.3f} s at {injection.point} {injection.count}"
    )


def plan(scenario: Scenario) -> Iterator[str]:
    """What the seed decided."""
    config = scenario.config
    yield f"seed {scenario.seed}, {scenario.seconds:g} s"
    for actor, hosted in config.placement.items():
        yield f"{actor}: {', '.join(hosted)}"
    for fault in config.exchange.faults.plan:
        told = msgspec.structs.asdict(fault)
        yield f"exchange: {fault.kind} " + " ".join(
            f"{name}={value}" for name, value in told.items() if value and name != "kind"
        )
    yield from map(injected, scenario.injections)


def lines(trace: Iterable[Moment], dull: bool = True) -> Iterator[str]:
    """The trace; without `dull` only what has to do with orders, money and who lives."""
    return (moment(each) for each in trace if dull or type(each[2]).__name__ not in DULL)
