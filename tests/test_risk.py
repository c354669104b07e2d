"""The RiskGuard: every rule refuses with its limit and value, and what is in flight counts."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import risk_account, risk_groups
from engine.messages import (
    BUY,
    SELL,
    AnyMessage,
    BookState,
    CancelAll,
    CancelCommand,
    CancelIntent,
    Drain,
    KillSwitch,
    OrderCommand,
    OrderEvent,
    OrderIntent,
    OrderRefused,
    OrderState,
    Reason,
    Risk,
    RiskLevel,
    encode,
)
from engine.orders.lifecycle import FINAL
from engine.risk import RiskGuard
from tests.guarded import CONFIG, LOT_UNITS, MARKET, POSITION_MAX, guard, passes, refusal
from tests.streams import MS, SECOND, event, fill, holds_over_restore, intent, market, top


def test_what_passes_carries_the_epoch_and_the_cause() -> None:
    """A command is the intent itself, under the epoch of the last start."""
    (out,) = guard(epoch=7).on_message(intent(), SECOND)
    assert out == OrderCommand(4, 2, SECOND, intent(), 7)


def test_order_notional() -> None:
    """10,001 a coin times 0.1 is 1,000.1, over 1,000."""
    assert refusal(guard(), intent(lots=100)) == (Reason.ORDER_NOTIONAL, 1000 * 10**8, 100010000000)
    passes(guard(), intent(lots=99))


def test_min_notional() -> None:
    """The venue's least notional of 50 is not reached by 0.004 coins."""
    made = RiskGuard(4, market(notional_min="50"), CONFIG)
    made.on_message(top(0), SECOND)
    assert refusal(made, intent(lots=4)) == (Reason.MIN_NOTIONAL, 50 * 10**8, 4000400000)
    passes(made, intent(lots=5))


@pytest.mark.parametrize(("lots", "limit"), [(0, 1), (-5, 1), (10_001, 10_000)])
def test_order_lots(lots: int, limit: int) -> None:
    """No lots, negative lots and more than the venue takes are refused with the nearer bound."""
    assert refusal(guard(), intent(lots=lots)) == (Reason.ORDER_LOTS, limit, lots)


@pytest.mark.parametrize(("ticks", "limit"), [(0, 1), (-3, 1), (10**15 + 1, 10**15)])
def test_ticks_within_the_instrument(ticks: int, limit: int) -> None:
    """A price the venue does not know is refused before anything is computed from it."""
    assert refusal(guard(), intent(ticks=ticks)) == (Reason.OFF_GRID, limit, ticks)


@pytest.mark.parametrize(
    ("ticks", "distance"), [(1_010_050, None), (1_010_051, 101), (990_050, None), (990_049, 101)]
)
def test_price_distance(ticks: int, distance: int | None) -> None:
    """Up to 100 basis points from the mid of 10,000.50 pass, a tick more does not."""
    order = intent(ticks=ticks, lots=1)
    if distance is None:
        passes(guard(), order)
    else:
        assert refusal(guard(), order) == (Reason.PRICE_DISTANCE, 100, distance)


def test_price_distance_is_from_its_own_instrument() -> None:
    """Another venue's prices say nothing of this one's."""
    made = guard()
    made.on_message(top(1, 2_000_000, 2_000_100), SECOND)
    passes(made, intent("a", 0, lots=1))
    assert refusal(made, intent("b", 1, lots=1))[0] is Reason.PRICE_DISTANCE


def test_no_market() -> None:
    """No top, a top that is not LIVE and a one-sided one are no market; value is the state."""
    made = RiskGuard(4, MARKET, CONFIG)
    live = BookState.LIVE
    assert refusal(made, intent("a")) == (Reason.NO_MARKET, live, 0)
    made.on_message(top(0, state=BookState.CROSSED), SECOND)
    assert refusal(made, intent("b")) == (Reason.NO_MARKET, live, BookState.CROSSED)
    made.on_message(top(0, bid_ticks=0), SECOND)
    assert refusal(made, intent("c")) == (Reason.NO_MARKET, live, live)


def test_stale_market() -> None:
    """A top two seconds old passes, a nanosecond more is stale."""
    passes(guard(), intent("a"), SECOND + 2000 * MS)
    late_ns = 2000 * MS + 1
    assert refusal(guard(), intent("b"), SECOND + late_ns) == (
        Reason.STALE_MARKET,
        2000 * MS,
        late_ns,
    )


def test_position_counts_what_is_in_flight_over_all_venues() -> None:
    """Three buys of 0.08 on three venues reach 0.24; 0.011 more would be 0.251, over 0.25."""
    made = guard()
    for number in range(3):
        passes(made, intent(str(number), number, lots=80))
    order = intent("x", lots=11)
    assert refusal(made, order) == (Reason.POSITION, POSITION_MAX, 251 * LOT_UNITS)
    passes(made, intent("y", lots=10))


def test_position_is_the_worst_of_each_side() -> None:
    """Sells in flight do not make room for buys: they may never fill."""
    made = guard()
    for number in range(3):
        passes(made, intent(str(number), number, SELL, lots=80))
    passes(made, intent("x", 0, BUY, 1_000_000, 90))


def test_an_order_that_takes_a_position_back_passes_and_one_beyond_does_not() -> None:
    """Long by 0.3, more than allowed: selling 0.09 passes, buying anything does not."""
    made = guard()
    for number in range(3):
        made.on_message(fill(intent("old"), 100, f"t{number}"), SECOND)
    passes(made, intent("a", 0, SELL, lots=90))
    order = intent("b", ticks=1_000_000, lots=1)
    assert refusal(made, order) == (Reason.POSITION, POSITION_MAX, 301 * LOT_UNITS)


def test_an_overshoot_to_the_other_side_is_a_position_too() -> None:
    """Short by 0.2 with buys for 0.38 in flight could end long by 0.18; 0.08 more is too much."""
    made = guard()
    for number in range(2):
        made.on_message(fill(intent("old", side=SELL), 100, f"t{number}"), SECOND)
    for number in range(4):
        order = intent(str(number), 0, BUY, lots=95)
        passes(made, order)
        if number < 2:
            made.on_message(fill(order, 95, f"f{number}"), SECOND)
            made.on_message(event(order, OrderState.FILLED, 95), SECOND)
    assert refusal(made, intent("x", lots=80)) == (Reason.POSITION, POSITION_MAX, 260 * LOT_UNITS)


def test_expired() -> None:
    """An intent later than it was wanted is refused."""
    passes(guard(), intent("a", expires_ns=SECOND))
    late = intent("b", expires_ns=SECOND - 1)
    assert refusal(guard(), late) == (Reason.EXPIRED, SECOND - 1, SECOND)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (intent(instrument=3), (Reason.UNKNOWN_INSTRUMENT, 2, 3)),
        (intent(instrument=-1), (Reason.UNKNOWN_INSTRUMENT, 2, -1)),
        (intent(instrument=1, venue=2), (Reason.UNKNOWN_INSTRUMENT, 1, 2)),
        (intent(side=2), (Reason.MALFORMED, BUY, 2)),
    ],
)
def test_orders_for_nothing_that_is(order: OrderIntent, expected: tuple[Reason, int, int]) -> None:
    """No such instrument, an instrument of another venue, no such side."""
    assert refusal(guard(), order) == expected


def test_kill_switch() -> None:
    """ON refuses all, says HALT once and cancels everything; OFF lets orders through again."""
    made = guard()
    halt, everything = made.on_message(KillSwitch(0, 1, 3, True), SECOND)
    assert halt == RiskLevel(4, 2, 3, Risk.HALT, Reason.KILLED)
    assert everything == CancelAll(4, 3, 3, -1, "risk")
    assert made.on_message(KillSwitch(0, 2, 3, True), SECOND) == ()
    assert refusal(made, intent("a")) == (Reason.KILLED, 0, 1)
    (cancel,) = made.on_message(CancelIntent(9, 1, 5, "a", 9, 0, 0), SECOND)
    assert isinstance(cancel, CancelCommand)
    assert (cancel.client_order_id, cancel.bot, cancel.received_ns) == ("a", 9, 5)
    (normal,) = made.on_message(KillSwitch(0, 3, 4, False), SECOND)
    assert isinstance(normal, RiskLevel)
    assert (normal.level, normal.reason) == (Risk.NORMAL, Reason.NONE)
    passes(made, intent("a"))


def test_draining() -> None:
    """While draining nothing new passes."""
    made = guard()
    made.on_message(Drain(0, 1, 0), SECOND)
    assert refusal(made, intent()) == (Reason.DRAINING, 0, 1)


def test_huge_numbers_are_refused_in_64_bits() -> None:
    """The largest order a message can carry is refused with values a message can carry."""
    made = RiskGuard(4, market(lots_max=10**15), CONFIG)
    (out,) = made.on_message(intent(lots=10**15, ticks=10**15), SECOND)
    assert isinstance(out, OrderRefused)
    assert out.reason is Reason.ORDER_NOTIONAL
    assert encode(out)


def test_memories_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the newest names, trades and ended orders are kept."""
    monkeypatch.setattr(risk_groups, "ENDED_MAX", 3)
    monkeypatch.setattr(risk_account, "TRADES_MAX", 3)
    made = guard(config=msgspec.structs.replace(CONFIG, duplicates_kept=3))
    for number in range(20):
        order = intent(str(number), side=(BUY, SELL)[number % 2], lots=1)
        passes(made, order)
        made.on_message(fill(order, 1, f"t{number}"), SECOND)
        made.on_message(event(order, OrderState.FILLED, 1), SECOND)
    assert refusal(made, intent("19", lots=1))[0] is Reason.DUPLICATE
    assert len(made.snapshot()) < 8000


@st.composite
def streams(draw: st.DrawFn) -> list[tuple[AnyMessage, int]]:
    """Tops, intents, events and fills of them, in any order that may be."""
    now_ns, stream, orders = SECOND, [], [intent("first")]
    for _ in range(draw(st.integers(0, 40))):
        now_ns += draw(st.integers(0, 900 * MS))
        order = draw(st.sampled_from(orders))
        kind = draw(st.integers(0, 5))
        if kind <= 1:
            name = str(draw(st.integers(0, 30)))
            side = draw(st.sampled_from((BUY, SELL)))
            lots = draw(st.integers(1, 110))
            order = intent(name, draw(st.integers(0, 2)), side, 1_000_000, lots, None, 10**15)
            orders.append(order)
            stream.append((order, now_ns))
        elif kind == 2:
            stream.append((event(order, draw(st.sampled_from(OrderState))), now_ns))
        elif kind == 3:
            trade = str(draw(st.integers(0, 50)))
            stream.append((fill(order, draw(st.integers(1, order.lots)), trade), now_ns))
        elif kind == 4:
            stream.append((KillSwitch(0, 1, 0, draw(st.booleans())), now_ns))
        for number in range(3):
            stream.append((top(number, received_ns=now_ns), now_ns))
    return stream


@given(streams(), st.integers(0, 100))
def test_restored_it_goes_on_the_same(stream: list[tuple[AnyMessage, int]], cut: int) -> None:
    """A snapshot in the middle of anything gives the same outputs and the same state."""
    holds_over_restore(guard, stream, cut)


@given(streams())
def test_no_storm_exceeds_the_limit_when_all_in_flight_fills(
    stream: list[tuple[AnyMessage, int]],
) -> None:
    """Counted slowly from outside: position plus all approved and unfinished stays in the limit."""
    made = guard()
    open_orders: dict[str, tuple[OrderIntent, int]] = {}
    for message, now_ns in stream:
        if hasattr(message, "trade_id"):
            continue  # fills of orders never approved may take the position anywhere
        name = getattr(message, "client_order_id", "")
        if isinstance(message, OrderEvent) and name not in open_orders:
            continue  # an order never approved is taken over, whatever the limits
        for out in made.on_message(message, now_ns):
            if isinstance(out, OrderCommand):
                open_orders[out.intent.client_order_id] = (out.intent, out.intent.lots)
        if getattr(message, "state", None) in FINAL and name in open_orders:
            del open_orders[name]
        for side in (BUY, SELL):
            units = sum(lots for order, lots in open_orders.values() if order.side == side)
            assert units * LOT_UNITS <= POSITION_MAX
        assert len(open_orders) == made.open_work() <= CONFIG.orders_open_max
