"""Whole days of the arbitrage bot against venues that fill what they like: it ends flat, within limits."""

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from engine.bots.arbitrage import ArbitrageBot
from engine.config import BotConfig
from engine.messages import (
    AnyMessage,
    Fill,
    OrderEvent,
    OrderIntent,
    OrderRefused,
    OrderState,
    SetTimer,
    Started,
    TimerFired,
)
from tests.streams import (
    MS,
    SECOND,
    event,
    fill,
    holds_over_restore,
    intents,
    market,
    opportunity,
    refused,
    top,
)

MARKET = market()


@st.composite
def days(draw: st.DrawFn) -> tuple[ArbitrageBot, list[tuple[AnyMessage, int]], list[AnyMessage]]:
    """A bot's day against venues that fill what they like: bot, its inbox, its outputs."""
    config = BotConfig("arb", "arbitrage", ("BTC/USDT",), 100, 250, draw(st.integers(1, 3)))
    made = ArbitrageBot(9, MARKET, config, "test")
    now_ns = SECOND
    stream: list[tuple[AnyMessage, int]] = []
    told: list[AnyMessage] = []
    open_orders: deque[tuple[OrderIntent, int]] = deque()
    due: dict[int, int] = {}

    def say(message: AnyMessage) -> None:
        stream.append((message, now_ns))
        for out in made.on_message(message, now_ns):
            told.append(out)
            open_orders.extend((order, 0) for order in intents([out]))
            if isinstance(out, SetTimer):
                due[out.key] = out.at_ns

    say(Started(0, 1, 0, 1))
    for number in range(3):
        say(top(number, 999_900 - number, 1_000_100))
    for step in range(draw(st.integers(0, 40))):
        now_ns += draw(st.integers(0, 200 * MS))
        for key in [key for key, at_ns in due.items() if at_ns <= now_ns]:
            del due[key]
            say(TimerFired(0, step, 0, 9, key))
        if not open_orders or draw(st.booleans()):
            lots = draw(st.integers(1, 20))
            buy, sell = draw(st.permutations(range(3)))[:2]
            say(opportunity(step, buy, sell, lots, received_ns=now_ns))
            continue
        order, filled = open_orders.popleft()
        fate = draw(st.sampled_from(("refuse", "fill", "end", "doubt")))
        if fate == "refuse" and not filled:
            say(refused(order))
            continue
        if fate == "fill" and filled < order.lots:
            part = draw(st.integers(1, order.lots - filled))
            filled += part
            trade = fill(order, part, f"{step}")
            say(trade)
            if draw(st.booleans()):
                say(trade)  # told twice
        if fate == "end" or filled == order.lots:
            state = OrderState.FILLED if filled == order.lots else OrderState.CANCELLED
            say(event(order, state, filled))
            continue
        state = OrderState.UNKNOWN if fate == "doubt" else OrderState.PARTLY_FILLED
        say(event(order, state, filled))
        open_orders.append((order, filled))
    while open_orders or due:  # quiet at last: all orders end, all that flattens fills
        if open_orders:
            order, filled = open_orders.popleft()
            if filled < order.lots:
                say(fill(order, order.lots - filled, f"{order.client_order_id}!"))
            say(event(order, OrderState.FILLED, order.lots))
            continue
        key = min(due, key=lambda key: due[key])
        now_ns = max(now_ns, due.pop(key))
        say(TimerFired(0, 1, 0, 9, key))
    return made, stream, told


@given(days())
def test_a_day_ends_flat(day: tuple[ArbitrageBot, list[tuple[AnyMessage, int]], object]) -> None:
    """Whatever filled, once all orders are final nothing is left beyond dust, counted slowly."""
    made, stream, _ = day
    trades = {m.trade_id: m.side * m.lots for m, _ in stream if isinstance(m, Fill)}
    assert sum(trades.values()) == 0
    assert not any(made.memory.imbalance.values())
    assert made.open_work() == 0


@given(days())
def test_never_more_groups_than_allowed_and_no_name_twice(
    day: tuple[ArbitrageBot, list[tuple[AnyMessage, int]], list[AnyMessage]],
) -> None:
    """Counted from outside over the whole day; each flattening stands alone."""
    made, stream, told = day
    orders = intents(told)
    assert len({order.client_order_id for order in orders}) == len(orders)
    again = ArbitrageBot(9, MARKET, made.config, "test")
    groups: dict[str, int] = {}
    for message, now_ns in stream:
        is_final = isinstance(message, OrderEvent) and message.state in (
            OrderState.FILLED,
            OrderState.CANCELLED,
        )
        if is_final or isinstance(message, OrderRefused):
            groups.pop(message.client_order_id, None)
        for order in intents(again.on_message(message, now_ns)):
            groups[order.client_order_id] = order.group
        assert len(set(groups.values())) <= made.config.groups_max


@given(days(), st.integers(0, 100))
def test_restored_it_goes_on_the_same(
    day: tuple[ArbitrageBot, list[tuple[AnyMessage, int]], list[AnyMessage]], cut: int
) -> None:
    """A snapshot in the middle of any day gives the same outputs and the same state."""
    made, stream, told = day
    outputs = holds_over_restore(lambda: ArbitrageBot(9, MARKET, made.config, "test"), stream, cut)
    assert outputs == told
