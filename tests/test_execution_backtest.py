"""Brackets in the whole engine: the exchange's faults lose no lot of them, and a run can be run again."""

import pytest

from engine import assembly
from engine.assembly import solo_topology, topology_of
from engine.config import parse
from engine.edges.backtesting import make_simulation
from engine.execution import Execution
from engine.ledger import Ledger
from engine.messages import (
    Fill,
    OrderEvent,
    OrderIntent,
    ParentEvent,
    ParentIntent,
    ParentState,
    decode,
)
from engine.orders.lifecycle import FINAL
from tests.emulated import ENDS
from tests.examples.bracket_entries import BracketEntries, Held
from tests.test_backtest_faults import DEMO, FAULTS, faulty

SECONDS = 30


@pytest.fixture(autouse=True)
def brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo's bot is one of brackets."""
    monkeypatch.setitem(assembly.BOTS, "arbitrage", BracketEntries)


def test_prices_go_to_execution_where_a_bots_class_wants_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It stands beside the RiskGuard, wherever that is; without such a bot it hears no price."""
    config = parse(DEMO, "demo")
    number = topology_of(config).number("execution")
    assert topology_of(config).triggers == solo_topology(config).triggers == (number,)
    assert topology_of(config).actor(number) == "risk"
    placed = topology_of(parse(f'{DEMO}\n[placement]\nfast = ["risk", "bot-arb"]', "demo"))
    assert placed.actor(number) == "fast"
    apart = topology_of(parse(f'{DEMO}\n[placement]\nalone = ["execution"]', "demo"))
    assert apart.actor(number) == "alone"
    monkeypatch.undo()
    assert topology_of(config).triggers == ()


def run(*faults: str) -> tuple[list[bytes], int]:
    """A run under faults: all that was decided, and the fills; the books are equal to the lot."""
    simulation, recorder, exchanges, begin_ns = make_simulation(faulty(*faults), lambda _: None)
    simulation.run(begin_ns, begin_ns + SECONDS * 1_000_000_000)
    components = simulation.host.components
    ledger = next(c for c in components if isinstance(c, Ledger))
    bot = next(c for c in components if isinstance(c, BracketEntries))
    execution = next(c for c in components if isinstance(c, Execution))
    fills = [m for m in map(decode, recorder.durable) if isinstance(m, Fill)]
    for exchange in exchanges.values():
        for account, asset, total, _ in exchange.audit().balances:
            if account == "main":
                assert ledger.balances.get((exchange.venue, asset), 0) == total
    assert isinstance(bot.memory, Held)
    assert bot.memory.lots == sum(fill.side * fill.lots for fill in fills)
    check_parents(recorder.durable)
    assert execution.open_work() <= len(exchanges)  # what a fault hides at the end is UNKNOWN
    return recorder.durable, len(fills)


def check_parents(durable: list[bytes]) -> None:
    """Each bracket by what is in the journal: no more entered than wanted, no more left than entered."""
    wanted: dict[str, ParentIntent] = {}
    owner: dict[str, OrderIntent] = {}
    told: dict[str, ParentEvent] = {}
    filled: dict[str, int] = {}
    entered: dict[str, int] = {}
    live: set[str] = set()
    for message in map(decode, durable):
        if isinstance(message, ParentIntent):
            wanted[message.parent] = message
        elif isinstance(message, OrderIntent):
            owner[message.client_order_id] = message
            live.add(message.client_order_id)
        elif isinstance(message, OrderEvent) and message.state in FINAL:
            live.discard(message.client_order_id)
        elif isinstance(message, Fill):
            order = owner[message.client_order_id]
            net = filled.get(order.parent, 0) + order.side * message.lots
            filled[order.parent] = net
            if order.side == wanted[order.parent].side:
                entered[order.parent] = entered.get(order.parent, 0) + message.lots
            assert 0 <= net <= wanted[order.parent].lots
        elif isinstance(message, ParentEvent):
            told[message.parent] = message
    assert told
    for name, event in told.items():
        assert event.filled_lots == entered.get(name, 0)
        if event.state in ENDS and not event.reason:
            assert filled.get(name, 0) == 0, "what ended by itself holds nothing"


def test_brackets_without_faults() -> None:
    """They enter, and leave by target or stop; the same run twice is the same to the byte."""
    durable, fills = run()
    assert fills > 20
    ends = [m.state for m in map(decode, durable) if isinstance(m, ParentEvent) and m.state in ENDS]
    assert {ParentState.DONE, ParentState.EXPIRED} <= set(ends)
    assert run()[0] == durable


@pytest.mark.parametrize("kind", ["timeout_done", "error_done", "fill_before_cancel", "disconnect"])
def test_brackets_under_a_fault(kind: str) -> None:
    """Lost answers, fills that overtake cancels, connections that end: no lot is lost or doubled."""
    assert run(kind)[1] > 5


def test_brackets_under_all_faults() -> None:
    """All at once."""
    assert run(*FAULTS)[1] > 0
