"""What came of a simulated run."""

from typing import NamedTuple

from engine.edges.simulation.coverage import Coverage
from engine.edges.simulation.invariants import Moment
from engine.edges.simulation.plan import Scenario


class Outcome(NamedTuple):
    """How a run ended: what broke ('' is nothing), and what was seen."""

    scenario: Scenario
    invariant: str
    seen: str
    at_s: float
    orders: int
    fills: int
    steps: int
    coverage: Coverage
    trace: tuple[Moment, ...]
