"""Bugs planted on purpose are found: a simulation that finds nothing has to be one that would.

Each stands for a fault that real engines have had. CI looks at as many seeds as it needs to find it,
500 at most; the nightly form also shrinks what it found.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from engine.component import Outputs
from engine.edges.gate import Gate
from engine.edges.simulation.outcome import Outcome
from engine.edges.simulation.plan import make_scenario
from engine.edges.simulation.shrinking import Shrinker
from engine.edges.simulation.world import World
from engine.ledger import Ledger
from engine.messages import (
    CallKind,
    CancelCommand,
    CancelIntent,
    Fill,
    OrderEvent,
    OrderIntent,
    OrderRequest,
    OrderState,
    Reason,
)
from engine.orders.calls import Calls
from engine.orders.desk import Messages
from engine.orders.pursuit import Pursuit
from engine.risk import RiskGuard

SEEDS_MAX = 500
SECONDS = 20.0

Plant = Callable[[pytest.MonkeyPatch], None]


def retry_after_timeout(patch: pytest.MonkeyPatch) -> None:
    """An order that was not answered in time is simply sent again."""
    leave, chase = Calls._leave, Pursuit.chase
    sent: dict[str, OrderRequest] = {}

    def leave_and_note(self: Calls, *what: Any) -> Messages:
        messages = leave(self, *what)
        for effect in messages:
            if isinstance(effect, OrderRequest) and effect.kind is CallKind.CREATE:
                sent[effect.client_order_id] = effect
        return messages

    def chase_and_retry(self: Pursuit, now_ns: int, reachable: bool) -> Messages:
        messages = chase(self, now_ns, reachable)
        for event in list(messages):
            if isinstance(event, OrderEvent) and event.state is OrderState.UNKNOWN and reachable:
                first = sent.get(event.client_order_id)
                if first is not None:
                    stamp, expires_ns = self._desk.stamp(), now_ns + 10**9
                    again = msgspec.structs.replace(first, sequence=stamp, expires_ns=expires_ns)
                    messages.append(again)
        return messages

    patch.setattr(Calls, "_leave", leave_and_note)
    patch.setattr(Pursuit, "chase", chase_and_retry)


def fill_counted_by_order(patch: pytest.MonkeyPatch) -> None:
    """A fill is taken for a repeat when its order has filled before, instead of by its trade id."""
    count = Ledger._on_fill

    def count_once_an_order(self: Ledger, fill: Fill, now_ns: int) -> Outputs:
        named = msgspec.structs.replace(fill, trade_id=fill.client_order_id)
        return count(self, named, now_ns)

    patch.setattr(Ledger, "_on_fill", count_once_an_order)


def limit_without_orders_in_flight(patch: pytest.MonkeyPatch) -> None:
    """The limits look at what was filled, and not at what is on its way."""
    place = RiskGuard.place

    def place_blindly(self: RiskGuard, intent: OrderIntent, flags: int, now_ns: int) -> int:
        before = self.kernel.snapshot()
        for reserved in self.state.reserved.values():
            self.kernel.end(reserved.place)
        taken = place(self, intent, flags, now_ns)
        if taken >= 0:
            self.kernel.restore(before)
            name, terms = intent.client_order_id, (intent.side, intent.ticks, intent.lots)
            return self.kernel.adopt(name, intent.instrument, intent.bot, *terms, now_ns)
        self.kernel.restore(before)
        return place(self, intent, flags, now_ns)  # what is refused blindly is refused anyway

    patch.setattr(RiskGuard, "place", place_blindly)


def cancel_that_is_not_journalled(patch: pytest.MonkeyPatch) -> None:
    """A cancel leaves, and neither the wish nor the command for it is written down."""
    import engine.edges.recovery
    import engine.runtime
    from engine.routes import DURABLE

    for module in (engine.edges.recovery, engine.runtime):
        patch.setattr(module, "DURABLE", DURABLE - {CancelIntent, CancelCommand})


def kill_switch_read_by_the_guard_only(patch: pytest.MonkeyPatch) -> None:
    """The last gate does not look at the page: what the guard let through before still leaves."""

    def held(self: Gate, effect: OrderRequest, now_ns: int) -> Reason:
        if effect.raises_exposure and now_ns > effect.expires_ns:
            return Reason.EXPIRED
        return Reason.NOT_CONNECTED if self.gateway is None else Reason.NONE

    patch.setattr(Gate, "_held", held)


PLANTED: dict[Plant, str] = {
    retry_after_timeout: "no id is sent twice",
    fill_counted_by_order: "balances",
    limit_without_orders_in_flight: "position limit",
    cancel_that_is_not_journalled: "intent before effect",
    kill_switch_read_by_the_guard_only: "nothing opens with the kill switch on",
}


def find(invariant: str) -> Outcome:
    """The first seed that breaks it."""
    for seed in range(SEEDS_MAX):
        outcome = World(make_scenario(seed, SECONDS), kept=0).run()
        if outcome.invariant == invariant:
            return outcome
    raise AssertionError(f"{SEEDS_MAX} seeds did not find it")


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found_within_500_seeds(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the invariant that is there for it."""
    plant(monkeypatch)
    find(PLANTED[plant])


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_shrunk_to_a_short_scenario(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Little has to go wrong for each of them, and it soon shows."""
    plant(monkeypatch)
    short = Shrinker(find(PLANTED[plant])).shrink()
    assert short.invariant == PLANTED[plant]
    assert len(short.scenario.injections) <= 2
    assert len(short.scenario.config.exchange.faults.plan) <= 3
