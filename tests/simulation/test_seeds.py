"""Seeds of faults through the whole engine: no invariant is broken, and a seed is one run."""

import os
import subprocess
import sys

import pytest

from engine.edges.simulation import trace
from engine.edges.simulation.plan import Injection, Kind, Point, make_scenario
from engine.edges.simulation.running import run_seeds
from engine.edges.simulation.shrinking import fewest
from engine.edges.simulation.world import World
from engine.messages import OrderState

CI_SEEDS = range(200)
CI_SECONDS = 10.0
NIGHTLY_SEEDS = range(10_000)
NIGHTLY_SECONDS = 60.0


def test_200_seeds_of_10_simulated_seconds_break_nothing() -> None:
    """The short form of the nightly run."""
    total = run_seeds(CI_SEEDS, CI_SECONDS)
    assert total.failures == ()
    assert total.orders > 1000
    assert total.fills > 500
    for what, each in (("injection", Kind), ("crash point", Point), ("order state", OrderState)):
        seen = {which for kind, which in total.coverage.counts if kind == what}
        assert seen == {kind.name for kind in each}


def test_40_seeds_of_venues_that_speak_real_protocols_break_nothing() -> None:
    """Ten simulated seconds each, one or both venues by the protocols of Binance and Kraken."""
    total = run_seeds(range(40), CI_SECONDS, native=True)
    assert total.failures == ()
    assert total.fills > 80


@pytest.mark.nightly
@pytest.mark.timeout(6 * 3600)
def test_2_000_seeds_of_venues_that_speak_real_protocols_break_nothing() -> None:
    """The full form."""
    total = run_seeds(range(2000), NIGHTLY_SECONDS, os.cpu_count() or 1, native=True)
    assert total.failures == ()


@pytest.mark.nightly
@pytest.mark.timeout(6 * 3600)
def test_10_000_seeds_of_60_simulated_seconds_break_nothing_and_reach_everything() -> None:
    """The full form: every state, fault, level and point of death was reached."""
    total = run_seeds(NIGHTLY_SEEDS, NIGHTLY_SECONDS, os.cpu_count() or 1)
    sys.stdout.write("\n".join(total.coverage.lines()) + "\n")
    assert total.failures == ()
    assert list(total.coverage.missing()) == []


PROGRAM = """
import hashlib, sys
from engine.edges.simulation import trace
from engine.edges.simulation.plan import make_scenario
from engine.edges.simulation.world import World
from engine.messages import OrderState
outcome = World(make_scenario(int(sys.argv[1]), 8.0), kept=1_000_000).run()
print(len(outcome.trace), hashlib.sha256("\\n".join(trace.lines(outcome.trace)).encode()).hexdigest())
"""


@pytest.mark.parametrize("seed", [3, 11])
def test_a_seed_is_the_same_run_in_every_process(seed: int) -> None:
    """Message for message, whatever the hashes of that process are."""
    told = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(seed)],
            env={**os.environ, "PYTHONHASHSEED": hashes},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hashes in ("1", "2")
    }
    assert len(told) == 1
    assert int(next(iter(told)).split()[0]) > 100


def test_the_fewest_are_found() -> None:
    """Delta debugging keeps what the failure needs, in order, and nothing else."""
    tried = []

    def attempt(kept: object) -> bool:
        tried.append(kept)
        return {3, 7} <= set(kept)  # type: ignore[call-overload]

    assert fewest(range(20), attempt) == [3, 7]
    assert len(tried) < 80


def test_a_scenario_is_told_in_full() -> None:
    """Who lives where, what the exchanges do wrong, and what is done to the engine."""
    scenario = make_scenario(5, 20.0)
    told = list(trace.plan(scenario))
    assert len(told) == (
        1
        + len(scenario.config.placement)
        + len(scenario.config.exchange.faults.plan)
        + len(scenario.injections)
    )


def test_an_injection_that_hits_nobody_changes_nothing() -> None:
    """A plan may name who is not there: a shrunk one often does."""
    scenario = make_scenario(2, 3.0)
    nobody = Injection(scenario.injections[0].at_ns, Kind.CRASH, "nobody")
    with_it = scenario.__class__(
        scenario.seed, 3.0, scenario.config, scenario.weather, (*scenario.injections, nobody)
    )
    assert World(with_it).run().seen == World(scenario).run().seen == ""
