"""A guard with markets on three venues, and what it says of an order; for the RiskGuard's tests."""

from engine.messages import OrderCommand, OrderIntent, OrderRefused, Reason, Started
from engine.risk import RiskGuard
from engine.risk_config import RiskConfig
from tests.streams import SECOND, market, run, top

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
