"""What the simulation found once, each as a scenario of its own."""

from collections import Counter

import msgspec
import pytest

from engine.edges.loop import ActorLoop
from engine.edges.simulation.plan import (
    Scenario,
    make_scenario,
)
from engine.edges.simulation.world import World
from engine.fault_config import FaultConfig, FaultKind
from engine.messages import AnyMessage, TimerFired


def scenario(seed: int, faults: tuple[FaultConfig, ...], native: bool = False) -> Scenario:
    """Ten seconds of a seed's engine, and these faults of the exchanges instead of all its troubles."""
    drawn = make_scenario(seed, 10.0, native)
    exchange = drawn.config.exchange
    plan = msgspec.structs.replace(exchange.faults, plan=faults)
    exchange = msgspec.structs.replace(exchange, faults=plan)
    config = msgspec.structs.replace(drawn.config, exchange=exchange)
    return msgspec.structs.replace(drawn, config=config, injections=())


def test_an_open_breaker_does_not_wake_its_venue_a_thousand_times_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What waits behind it was looked at each millisecond, each look an input of the journal."""
    fired: Counter[int] = Counter()
    take = ActorLoop.take

    def counted(self: ActorLoop, message: AnyMessage, raw: bytes | None) -> None:
        if isinstance(message, TimerFired):
            fired[message.component] += 1
        take(self, message, raw)

    monkeypatch.setattr(ActorLoop, "take", counted)
    silent = FaultConfig(FaultKind.TIMEOUT_NOT_DONE, venue="alpha", from_s=3, for_s=5)
    outcome = World(scenario(1, faults=(silent,))).run()
    assert outcome.seen == ""
    assert fired[1] < 30 * outcome.at_s


@pytest.mark.parametrize("seed", range(6))
def test_cancels_that_come_again_and_again_do_not_keep_a_lost_order_from_being_doubted(
    seed: int,
) -> None:
    """Each cancel put the doubt off by a whole timeout, and they came more often than that."""
    lost = FaultConfig(FaultKind.TIMEOUT_NOT_DONE, endpoint='"tif":"gtc"', chance=0.5)
    drawn = scenario(seed, faults=(lost,))
    venues = tuple(msgspec.structs.replace(v, order_timeout_ms=1000) for v in drawn.config.venues)
    config = msgspec.structs.replace(drawn.config, venues=venues)
    assert World(msgspec.structs.replace(drawn, config=config)).run().seen == ""


@pytest.mark.parametrize("seed", [34])
def test_what_a_clock_that_was_set_back_said_before_proves_nothing(seed: int) -> None:
    """Answers of a venue three seconds ahead were evidence against orders of the time after it."""
    ahead = FaultConfig(FaultKind.CLOCK_SKEW, from_s=2, for_s=2, every_s=3, skew_ms=3000)
    lost = FaultConfig(FaultKind.ERROR_DONE, chance=0.1)
    first = FaultConfig(FaultKind.FILL_BEFORE_CANCEL)
    drawn = scenario(seed, faults=(ahead, lost, first), native=True)
    assert World(msgspec.structs.replace(drawn, seconds=20.0)).run().seen == ""
