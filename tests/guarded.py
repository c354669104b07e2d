"""A guard with markets on three venues, and what it says of an order; for the RiskGuard's tests."""

from typing import Any

from engine.messages import (
    AnyMessage,
    Equity,
    OrderCommand,
    OrderIntent,
    OrderRefused,
    Reason,
    Risk,
    RiskLevel,
    SetRiskLevel,
    Started,
    TimerFired,
    VenueStatus,
)
from engine.risk import WATCH, RiskGuard
from engine.risk_config import RiskConfig
from engine.risk_limits import Surroundings
from tests.streams import SECOND, fill, intent, market, run, top

MARKET = market(lots_max=10_000)
CONFIG = RiskConfig(
    order_notional_max="1000",
    position_max={"BTC": "0.25"},
    price_distance_max_bps=100,
    stale_ms=2000,
    orders_open_max=4,
    duplicate_window_s=0,
)
LOT_UNITS = 100_000  # base units in a lot of 0.001
POSITION_MAX = 25_000_000


def guard(epoch: int = 1, config: RiskConfig = CONFIG) -> RiskGuard:
    """A guard with a fresh top of 10,000.00 / 10,001.00 on each of three venues."""
    made = RiskGuard(4, MARKET, config)
    run(made, [(Started(0, 1, 0, epoch), 0), *((top(i), SECOND) for i in range(3))])
    return made


def refusal(made: RiskGuard, order: OrderIntent, now_ns: int = SECOND) -> tuple[Reason, int, int]:
    """Why an order was refused: the rule, its limit and the value."""
    (out,) = made.on_message(order, now_ns)
    assert isinstance(out, OrderRefused), out
    assert (out.client_order_id, out.bot) == (order.client_order_id, order.bot)
    assert out.received_ns == order.received_ns
    return out.reason, out.limit, out.value


def passes(made: RiskGuard, order: OrderIntent, now_ns: int = SECOND) -> None:
    """An order goes through whole."""
    (out,) = made.on_message(order, now_ns)
    assert isinstance(out, OrderCommand), out
    assert out.intent == order


MILLION = 10**14  # a million USDT in units
CALM = 60 * SECOND
NAMED = Surroundings("test", {9: "arb"})


def levels(outputs: tuple[AnyMessage, ...]) -> list[tuple[Risk, Reason]]:
    """The levels among outputs."""
    return [(out.level, out.reason) for out in outputs if isinstance(out, RiskLevel)]


def equity(value: int, *, opening: int = MILLION, transfers: int = 0, stale_ns: int = 0) -> Equity:
    """What everything is worth, the peak being the day's opening and what came."""
    return Equity(5, 1, 0, "USDT", value, opening, transfers, opening + transfers, stale_ns)


def tick(made: RiskGuard, now_ns: int) -> tuple[AnyMessage, ...]:
    """The guard's second is over."""
    return made.on_message(TimerFired(0, 1, 0, made.sender, WATCH), now_ns)


def status(venue: int = 0, **fields: Any) -> VenueStatus:
    """What a venue says of itself."""
    counts = dict.fromkeys(
        ("frames", "gaps", "checksums", "checksums_failed", "crossed", "resyncs", "malformed"), 0
    )
    return VenueStatus(
        sender=1, sequence=1, received_ns=0, venue=venue, connected=True, orders_open=0,
        orders_unknown=0, simulated=True, **counts, **fields,
    )  # fmt: skip


def bought(lots: int = 100, config: RiskConfig = CONFIG) -> RiskGuard:
    """A guard that is long."""
    made = guard(config=config)
    made.on_message(fill(intent("old"), lots, "t0"), SECOND)
    return made


def raised(level: Risk, made: RiskGuard | None = None) -> RiskGuard:
    """A guard that an operator put to a level, long by 0.1."""
    made = bought() if made is None else made
    made.on_message(SetRiskLevel(0, 1, 0, level, "me"), SECOND)
    return made
