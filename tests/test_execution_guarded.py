"""Emulated orders and the RiskGuard together: what each level lets through of them."""

import pytest

from engine.backtest.simulation import Kept
from engine.config import BotConfig
from engine.messages import (
    BUY,
    SELL,
    CancelCommand,
    OrderCommand,
    OrderState,
    ParentEvent,
    ParentIntent,
    ParentKind,
    ParentState,
    Reason,
    Risk,
    SetRiskLevel,
    Started,
    TimerFired,
    decode,
)
from engine.risk import RiskGuard
from engine.risk_config import RiskConfig
from engine.routes import Topology
from engine.runtime import Host
from tests.emulated import execution, wish
from tests.examples.bracket_entries import BracketEntries
from tests.streams import MS, SECOND, event, fill, intent, market, top
from tests.test_strategy_example import Published

MARKET = market()
NAMES = ["venue-0", "venue-1", "venue-2", "risk", "ledger", "execution", "view", "x", "bot"]
KINDS = ["venue", "venue", "venue", "risk", "ledger", "execution", "view", "view", "bot"]
ACTORS = [*NAMES[:3], "risk", "ledger", "risk", "view", "view", "risk"]
TOPOLOGY = Topology(NAMES, KINDS, ACTORS, (), (6,))
HELD = 100


class Quiet(BracketEntries):
    """A bot that begins nothing by itself."""

    def on_top(self, top: object, now_ns: int) -> tuple[()]:
        """Prices are not its concern."""
        return ()


class Desk(Published):
    """What leaves for the venues; timers are kept by nobody."""

    def perform(self, effect: object) -> None:
        """See `engine.runtime.Outlet`."""


class Engine:
    """Guard, Execution and a bot in one actor; 100 lots were bought, the book is at 10,000."""

    def __init__(self) -> None:
        self.desk, self.kept, self.now_ns = Desk(), Kept(), SECOND
        guard = RiskGuard(4, MARKET, RiskConfig(order_notional_max="10000"))
        parts = [guard, execution(MARKET), Quiet(9, MARKET, BotConfig("bot"), "test")]
        self.host = Host(parts, TOPOLOGY, self.kept, self.desk)
        self.tell(Started(0, 1, 0, 1))
        self.price(1_000_000)
        self.tell(fill(intent(lots=HELD), HELD, "before"))

    def tell(self, message: object) -> list[OrderCommand]:
        """One message in; the orders that were let through."""
        before = len(self.desk.messages)
        self.host.step(message, None, self.now_ns)  # type: ignore[arg-type]
        return [m for m in self.desk.messages[before:] if isinstance(m, OrderCommand)]

    def price(self, bid: int) -> list[OrderCommand]:
        """The first venue's best prices, later."""
        self.now_ns += MS
        return self.tell(top(0, bid, bid + 100, self.now_ns))

    def level(self, level: Risk) -> None:
        """An operator's word."""
        self.tell(SetRiskLevel(0, 1, 0, level, "a test"))

    def want(self, parent: ParentIntent) -> list[OrderCommand]:
        """A bot has something emulated."""
        return self.tell(parent)

    def told(self) -> list[ParentEvent]:
        """What was told of parents so far."""
        found = map(decode, self.kept.durable)
        return [message for message in found if isinstance(message, ParentEvent)]


@pytest.mark.parametrize("level", list(Risk)[:4])
def test_a_stop_passes_up_to_halt(level: Risk) -> None:
    """It is verified to reduce what is held."""
    engine = Engine()
    engine.want(wish(ParentKind.STOP_LOSS, SELL, HELD, trigger=995_000, slip=100))
    engine.level(level)
    (command,) = engine.price(995_000)
    assert (command.reduces, command.intent.flattening) == (True, True)
    assert (command.intent.lots, command.intent.ticks) == (HELD, 994_900)


@pytest.mark.parametrize("level", [Risk.RESTRICTED, Risk.HALT])
def test_an_entry_is_refused_from_restricted_up(level: Risk) -> None:
    """By the guard at RESTRICTED, from HALT up before it is sent at all."""
    engine = Engine()
    engine.level(level)
    terms = {"limit": 999_000, "trigger": 1_005_000, "stop": 990_000}
    assert not engine.want(wish(ParentKind.BRACKET, BUY, 10, **terms))  # type: ignore[arg-type]
    assert engine.told()[-1].state is ParentState.REFUSED
    assert engine.told()[-1].reason is Reason.RISK_LEVEL


def test_a_halt_cancels_what_rests_and_the_stop_still_stands() -> None:
    """The pair's limit goes by the guard's own cancel; its stop leaves all the same."""
    engine = Engine()
    (limit,) = engine.want(wish(ParentKind.OCO, SELL, HELD, limit=1_005_000, stop=995_000))
    engine.tell(event(limit.intent, OrderState.ACKNOWLEDGED))
    engine.level(Risk.HALT)
    cancelled = [m for m in engine.desk.messages if isinstance(m, CancelCommand)]
    assert limit.intent.client_order_id in {m.client_order_id for m in cancelled}
    assert not engine.tell(event(limit.intent, OrderState.CANCELLED))
    (stop,) = engine.price(994_000)
    assert (stop.reduces, stop.intent.lots) == (True, HELD)


def test_an_exit_larger_than_what_is_held_leaves_that() -> None:
    """Where only what reduces may pass, it is tried smaller until it does."""
    engine = Engine()
    engine.level(Risk.HALT)
    engine.want(wish(ParentKind.STOP_LOSS, SELL, 3 * HELD, trigger=995_000))
    commands = engine.price(995_000)
    for _ in range(5):
        engine.now_ns += SECOND
        commands += engine.price(995_000)
        commands += engine.tell(TimerFired(0, 1, 0, 6, 1))
    (command,) = commands
    assert command.intent.lots == 3 * HELD // 4
    assert {told.reason for told in engine.told()} == {Reason.NONE, Reason.NOT_REDUCING}


def test_an_exit_larger_than_an_order_may_be_leaves_in_parts() -> None:
    """The guard's limit of one order is learnt from its refusals."""
    engine = Engine()
    engine.tell(fill(intent(lots=1900), 1900, "more"))  # 2 coins at 10,000 are held
    engine.want(wish(ParentKind.STOP_LOSS, SELL, 2000, trigger=995_000))
    commands = engine.price(995_000)
    sizes = []
    while engine.told()[-1].state is not ParentState.DONE:
        engine.now_ns += SECOND
        commands += engine.price(995_000) + engine.tell(TimerFired(0, 1, 0, 6, 1))
        (command,) = commands
        sizes.append(command.intent.lots)
        engine.tell(fill(command.intent, command.intent.lots, f"t{len(sizes)}"))
        commands = engine.tell(event(command.intent, OrderState.FILLED, command.intent.lots))
    assert sizes == [1000, 1000], "10,000 an order"
