"""Makes a failing scenario short: fewer faults and injections, less time, the same invariant broken."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from engine.edges.simulation.outcome import Outcome
from engine.edges.simulation.plan import Scenario
from engine.edges.simulation.world import World

Item = TypeVar("Item")
RUNS_MAX = 300


class Shrinker:
    """Tries smaller scenarios, `runs_max` at most; `outcome` is that of the smallest that fails."""

    def __init__(self, outcome: Outcome, runs_max: int = RUNS_MAX) -> None:
        self.outcome = outcome
        self.runs = 0
        self._runs_max = runs_max

    def shrink(self) -> Outcome:
        """First less time, then fewer things that go wrong, then less time again."""
        self._sooner()
        self._fewer_injections()
        self._fewer_faults()
        self._sooner()
        return self.outcome

    def _fails(self, scenario: Scenario) -> bool:
        """Whether it breaks the same invariant; then it is the smallest so far."""
        if self.runs >= self._runs_max:
            return False
        self.runs += 1
        outcome = World(scenario).run()
        if outcome.invariant != self.outcome.invariant:
            return False
        self.outcome = outcome
        return True

    def _sooner(self) -> None:
        """It ends as it breaks, or is told to be quiet ever earlier."""
        scenario = self.outcome.scenario
        low, high = 0.0, min(scenario.seconds, self.outcome.at_s + 0.01)
        if high < scenario.seconds and not self._fails(_until(scenario, high)):
            high = scenario.seconds
        while high - low > max(0.25, high / 20):
            middle = (low + high) / 2
            if self._fails(_until(scenario, middle)):
                high = middle
            else:
                low = middle

    def _fewer_injections(self) -> None:
        def attempt(kept: Sequence[object]) -> bool:
            return self._fails(
                msgspec.structs.replace(self.outcome.scenario, injections=tuple(kept))
            )

        fewest(self.outcome.scenario.injections, attempt)

    def _fewer_faults(self) -> None:
        def attempt(kept: Sequence[object]) -> bool:
            scenario = self.outcome.scenario
            exchange = scenario.config.exchange
            faults = msgspec.structs.replace(exchange.faults, plan=tuple(kept))
            config = msgspec.structs.replace(
                scenario.config, exchange=msgspec.structs.replace(exchange, faults=faults)
            )
            return self._fails(msgspec.structs.replace(scenario, config=config))

        fewest(self.outcome.scenario.config.exchange.faults.plan, attempt)


def _until(scenario: Scenario, seconds: float) -> Scenario:
    return msgspec.structs.replace(scenario, seconds=seconds)


def fewest(items: Sequence[Item], attempt: Callable[[Sequence[Item]], bool]) -> list[Item]:
    """Delta debugging: a part of `items` that still fails and none of whose items can be left out."""
    kept = list(items)
    size = max(1, len(kept) // 2)
    while kept:
        at = 0
        shorter = False
        while at < len(kept):
            without = kept[:at] + kept[at + size :]
            if attempt(without):
                kept, shorter = without, True
            else:
                at += size
        if size > 1:
            size //= 2
        elif not shorter:
            break
    return kept
