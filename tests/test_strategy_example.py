"""The documented strategy runs as printed, through the same host and RiskGuard as any bot."""

from pathlib import Path

import pytest

from engine.assembly import strategy_class
from engine.backtest.simulation import Kept
from engine.config import BotConfig, ConfigError
from engine.messages import (
    AnyMessage,
    BookTop,
    KillSwitch,
    OrderCommand,
    OrderState,
    SetTimer,
    Started,
    decode,
)
from engine.risk import RiskGuard
from engine.risk_config import RiskConfig
from engine.routes import Topology
from engine.runtime import Host, Target
from tests.examples.take_cheapest import TakeCheapest
from tests.streams import SECOND, event, fill, market, top

ROOT = Path(__file__).resolve().parents[1]
MARKET = market()
NAMES = ["venue-0", "venue-1", "venue-2", "risk", "bot-cheap"]
TOPOLOGY = Topology(NAMES, ["venue", "venue", "venue", "risk", "bot"], [*NAMES[:3], "all", "all"])
RISK, BOT = 4, 5


class Published:
    """An outlet in memory: what left for other actors."""

    def __init__(self) -> None:
        self.messages: list[AnyMessage] = []

    def publish(self, message: AnyMessage, encoded: bytes, targets: tuple[Target, ...]) -> None:
        """See `engine.runtime.Outlet`."""
        assert decode(encoded) == message
        self.messages.append(message)

    def perform(self, effect: AnyMessage) -> None:
        """See `engine.runtime.Outlet`; the strategy has none, the guard its timer."""
        assert isinstance(effect, SetTimer)
        assert effect.sender == RISK


def host(outlet: Published) -> Host:
    """The strategy and the guard in one actor, started, the venues elsewhere."""
    strategy = TakeCheapest(BOT, MARKET, BotConfig("cheap"), "docs")
    made = Host(
        [RiskGuard(RISK, MARKET, RiskConfig(position_max={"BTC": "1"})), strategy],
        TOPOLOGY,
        Kept(),
        outlet,
    )
    made.step(Started(0, 1, 0, 1), None, SECOND)
    return made


def commands(outlet: Published) -> list[OrderCommand]:
    """The orders let through so far."""
    return [message for message in outlet.messages if isinstance(message, OrderCommand)]


def books(made: Host, *asks: int) -> None:
    """The venues' asks change, one after another."""
    for number, ask_ticks in enumerate(asks):
        book: BookTop = top(number, ask_ticks - 100, ask_ticks)
        made.step(book, None, SECOND)


def test_it_buys_where_it_is_cheap_and_waits_for_the_end() -> None:
    """The third venue's ask, 30 basis points below the others, is taken once while it is open."""
    outlet = Published()
    made = host(outlet)
    books(made, 1_000_000, 1_000_000, 996_000)
    (command,) = commands(outlet)
    assert (command.intent.venue, command.intent.ticks, command.intent.lots) == (2, 996_000, 1)
    books(made, 1_000_000, 1_000_000, 996_000)
    assert len(commands(outlet)) == 1


def test_it_stops_at_five_lots_and_at_the_kill_switch() -> None:
    """Filled five times it holds its limit; a killed engine buys nothing."""
    outlet = Published()
    made = host(outlet)
    for number in range(8):
        books(made, 1_000_000, 1_000_000, 996_000)
        if len(commands(outlet)) > number:
            order = commands(outlet)[number].intent
            made.step(fill(order, 1, str(number)), None, SECOND)
            made.step(event(order, OrderState.FILLED, 1), None, SECOND)
    assert len(commands(outlet)) == 5
    killed = host(outlet)
    killed.step(KillSwitch(0, 2, 0, True), None, SECOND)
    books(killed, 1_000_000, 1_000_000, 996_000)
    assert len(commands(outlet)) == 5


def test_it_comes_back_with_its_memory() -> None:
    """A snapshot of the host holds how many lots were bought."""
    outlet = Published()
    made = host(outlet)
    books(made, 1_000_000, 1_000_000, 996_000)
    order = commands(outlet)[0].intent
    made.step(fill(order, 1, "t"), None, SECOND)
    restored = host(Published())
    restored.restore(made.snapshot())
    strategy = restored.components[1]
    assert isinstance(strategy, TakeCheapest)
    assert strategy.memory.lots == 1


def test_the_page_prints_the_file() -> None:
    """The documented strategy is the tested one, line by line, below the file's docstring."""
    source = (ROOT / "tests/examples/take_cheapest.py").read_text()
    _, _, code = source.partition('"""\n\n')
    page = (ROOT / "docs/strategy.md").read_text()
    assert f"```python\n{code}```" in page
    class_lines = code.partition("class TakeCheapest")[2].strip().splitlines()
    assert len(class_lines) <= 20


def test_a_class_of_ones_own_is_named_in_the_configuration() -> None:
    """By its module and name; it is the same class that the module has."""
    assert strategy_class("tests.examples.take_cheapest:TakeCheapest", 0) is TakeCheapest


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (
            "no.such.module:Bot",
            r"bots\[2\].kind: no.such.module cannot be imported: ModuleNotFound",
        ),
        ("tests.examples.take_cheapest:Dear", r"bots\[2\].kind: 'Dear' is no such class in tests"),
        ("engine.risk:RiskGuard", "'RiskGuard' is no subclass of engine.bots.base.Strategy"),
        ("engine.messages:BUY", "'BUY' is no subclass"),
    ],
)
def test_a_class_that_is_none_is_refused_by_its_place(kind: str, says: str) -> None:
    """Before anything starts: the message names the bot and what was found."""
    with pytest.raises(ConfigError, match=says):
        strategy_class(kind, 2)
