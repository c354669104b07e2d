"""The whole engine in a backtest against an exchange that goes wrong: no fill is lost or counted twice."""

from pathlib import Path

import pytest

from engine.config import Config, parse
from engine.edges.backtesting import make_simulation
from engine.ledger import Ledger

DEMO = (Path(__file__).parent.parent / "configs" / "demo.toml").read_text()
ORDERS = 'endpoint = \'"op":"order"\'\nchance = 0.2'
FAULTS = {
    "timeout_done": ORDERS,
    "timeout_not_done": ORDERS,
    "error_done": ORDERS,
    "error_not_done": ORDERS,
    "overloaded": ORDERS,
    "rejected": ORDERS,
    "slow": "chance = 0.1\ndelay_ms = 400",
    "drop_frame": "chance = 0.02",
    "repeat_frame": "chance = 0.1",
    "gap": "chance = 0.01",
    "fill_before_cancel": "",
    "partial_fill": "chance = 0.5",
    "clock_skew": "from_s = 2\nfor_s = 1\nevery_s = 5\nskew_ms = 300",
    "maintenance": "from_s = 5\nfor_s = 1\nevery_s = 5",
    "disconnect": "from_s = 3\nevery_s = 4",
}
SECONDS = 30


def faulty(*kinds: str) -> Config:
    """The demo with faults."""
    plan = "".join(f'[[exchange.faults.plan]]\nkind = "{kind}"\n{FAULTS[kind]}\n' for kind in kinds)
    return parse(f"{DEMO}\n[exchange.faults]\nseed = 5\n{plan}", "faulty demo")


def run(config: Config) -> tuple[int, int, list[bytes]]:
    """Fills, how often a fault struck, and all that was decided; the books must be equal."""
    simulation, recorder, exchanges, begin_ns = make_simulation(config, lambda now_ns: None)
    simulation.run(begin_ns, begin_ns + SECONDS * 1_000_000_000)
    ledger = next(c for c in simulation.host.components if isinstance(c, Ledger))
    fills = struck = 0
    for exchange in exchanges.values():
        audit = exchange.audit()
        assert audit.problems == ()
        for account, asset, total, _ in audit.balances:
            if account == "main":
                assert ledger.balances.get((exchange.venue, asset), 0) == total
        fills += audit.fill_count
        struck += sum(exchange.faults.counts.values())
    assert ledger.trade_count == fills
    return fills, struck, recorder.durable


@pytest.mark.parametrize("kind", FAULTS)
def test_the_ledger_equals_the_exchange_under_each_fault(kind: str) -> None:
    """To the unit, and the run was none in which nothing happened."""
    fills, struck, _ = run(faulty(kind))
    assert fills > 20
    assert struck > 0 or kind == "fill_before_cancel", "the demo's bot cancels nothing"


def test_all_faults_together_twice_are_the_same_run() -> None:
    """Whatever was decided was decided by the seed."""
    fills, struck, once = run(faulty(*FAULTS))
    assert fills > 0
    assert struck > 100
    assert run(faulty(*FAULTS))[2] == once
