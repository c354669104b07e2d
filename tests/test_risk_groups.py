"""Groups pass whole or not at all, their hedges complete at RESTRICTED, and SHUTDOWN takes positions back."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.instruments import Instruments
from engine.messages import (
    BUY,
    SELL,
    AnyMessage,
    BalanceUpdate,
    BookState,
    Drain,
    Dust,
    GroupIntent,
    KillProgress,
    KillSwitch,
    OrderCommand,
    OrderIntent,
    OrderRefused,
    OrderState,
    Reason,
    Resting,
    Risk,
    SetRiskLevel,
)
from engine.risk import RiskGuard
from engine.risk_groups import Groups, key_of
from tests.guarded import CONFIG, LOT_UNITS, POSITION_MAX, guard, passes, raised, refusal, tick
from tests.streams import SECOND, event, fill, intent, market, top


def leg(
    name: str, number: int, side: int, lots: int, *, group: int = 1, hedge: bool = False
) -> OrderIntent:
    """A leg at the touch of the other side's price, so that no two of them cross."""
    ticks = 1_000_050 - 60 * side
    made = intent(name, number, side, ticks, lots)
    return msgspec.structs.replace(made, group=group, leg=number, hedge=hedge)


def group(*legs: OrderIntent) -> GroupIntent:
    """Legs all or none."""
    return GroupIntent(9, 1, SECOND, 9, legs[0].group, legs)


def verdict(outputs: tuple[AnyMessage, ...]) -> list[Reason]:
    """NONE for each command, a refusal's reason for each refusal."""
    return [
        out.reason if isinstance(out, OrderRefused) else Reason.NONE
        for out in outputs
        if isinstance(out, OrderRefused | OrderCommand)
    ]


def test_a_group_passes_whole() -> None:
    """Each leg is a command of its own, in order, and counts in flight."""
    made = guard()
    outputs = made.on_message(group(leg("a", 0, BUY, 60), leg("b", 1, SELL, 60)), SECOND)
    commands = [out.intent.client_order_id for out in outputs if isinstance(out, OrderCommand)]
    assert commands == ["a", "b"]
    assert made.open_work() == 2
    assert made.kernel.in_flight(0) == (60 * LOT_UNITS, 60 * LOT_UNITS)


def test_one_leg_that_breaks_a_rule_refuses_all_and_leaves_no_trace() -> None:
    """The broken leg names its rule, the others their group and which leg it was."""
    made = guard()
    before = made.kernel.snapshot()
    legs = (leg("a", 0, BUY, 60), leg("b", 1, SELL, 200), leg("c", 2, BUY, 5))
    outputs = made.on_message(group(*legs), SECOND)
    assert verdict(outputs) == [Reason.GROUP, Reason.ORDER_NOTIONAL, Reason.GROUP]
    first = outputs[0]
    assert isinstance(first, OrderRefused)
    assert (first.client_order_id, first.limit, first.value) == ("a", 0, 1)
    assert made.open_work() == 0
    fresh = RiskGuard(4, made.instruments, CONFIG)
    fresh.kernel.restore(before)
    assert fresh.kernel.exposures() == made.kernel.exposures()
    assert verdict(made.on_message(group(legs[0], legs[2]), SECOND)) == [Reason.NONE] * 2


def test_legs_count_for_each_other() -> None:
    """Three buys of 0.09 together are over 0.25 though each alone is not."""
    outputs = guard().on_message(group(*(leg(str(n), n, BUY, 90) for n in range(3))), SECOND)
    assert verdict(outputs) == [Reason.GROUP, Reason.GROUP, Reason.POSITION]


def test_a_group_that_repeats_itself_is_refused() -> None:
    """Two legs of one name cannot both be sent."""
    outputs = guard().on_message(group(leg("a", 0, BUY, 5), leg("a", 1, SELL, 5)), SECOND)
    assert verdict(outputs) == [Reason.GROUP, Reason.DUPLICATE]


def test_a_group_of_none_or_too_many() -> None:
    """No leg, no answer; more than 16 are refused each."""
    assert guard().on_message(GroupIntent(9, 1, SECOND, 9, 1, ()), SECOND) == ()
    many = group(*(leg(str(n), 0, BUY, 1) for n in range(17)))
    assert set(verdict(guard().on_message(many, SECOND))) == {Reason.GROUP}


def test_numbers_beyond_64_bits_are_refused() -> None:
    """A leg that no kernel can hold."""
    wild = msgspec.structs.replace(leg("a", 0, BUY, 5), lots=2**64 - 1)
    assert verdict(guard().on_message(group(wild), SECOND)) == [Reason.MALFORMED]
    assert verdict(guard().on_message(wild, SECOND)) == [Reason.MALFORMED]


def test_equal_content_of_the_same_bot_is_refused_within_the_window() -> None:
    """Another name does not help, another bot, group or leg is another order, an hour later it passes."""
    window = msgspec.structs.replace(CONFIG, duplicate_window_s=3600)
    made = guard(config=window)
    order = leg("a", 0, BUY, 5)
    passes(made, order)
    again = msgspec.structs.replace(order, client_order_id="b", expires_ns=10**15)
    hour_ns = 3600 * SECOND
    assert refusal(made, again, 2 * SECOND) == (Reason.SAME_CONTENT, hour_ns, SECOND)
    for number, change in enumerate(({"group": 2}, {"leg": 7}, {"parent": "p"})):
        passes(made, msgspec.structs.replace(again, client_order_id=f"c{number}", **change))
    restored = RiskGuard(4, made.instruments, window)
    restored.restore(made.snapshot())
    assert refusal(restored, again, SECOND + hour_ns - 1)[0] is Reason.SAME_CONTENT
    made.on_message(event(order, OrderState.CANCELLED), SECOND)
    later = SECOND + hour_ns
    made.on_message(top(0, received_ns=later), later)
    passes(made, again, later)


# --- hedges -------------------------------------------------------------------------------------------


def uneven(sold_before: int) -> RiskGuard:
    """Short from before, then a group whose buy filled 50 and whose sell never did; RESTRICTED."""
    made = guard()
    if sold_before:
        made.on_message(fill(intent("old", side=SELL), sold_before, "t0"), SECOND)
    buy, sell = leg("a", 0, BUY, 50), leg("b", 1, SELL, 50)
    made.on_message(group(buy, sell), SECOND)
    made.on_message(fill(buy, 50, "t1"), SECOND)
    made.on_message(event(buy, OrderState.FILLED, 50), SECOND)
    made.on_message(event(sell, OrderState.EXPIRED), SECOND)
    return raised(Risk.RESTRICTED, made)


def test_a_declared_hedge_completes_at_restricted_up_to_the_imbalance() -> None:
    """With a short of 0.1 from before, selling raises; as the group's hedge it passes, once."""
    made = uneven(100)
    assert refusal(made, leg("c", 2, SELL, 20))[0] is Reason.RISK_LEVEL
    assert refusal(made, leg("d", 2, SELL, 51, hedge=True))[0] is Reason.NOT_REDUCING
    first = leg("e", 2, SELL, 30, hedge=True)
    passes(made, first)
    assert refusal(made, leg("f", 1, SELL, 21, hedge=True))[0] is Reason.NOT_REDUCING
    made.on_message(fill(first, 10, "t2"), SECOND)
    made.on_message(event(first, OrderState.CANCELLED, 10), SECOND)
    other = leg("g", 1, SELL, 40, group=2, hedge=True)
    assert refusal(made, other)[0] is Reason.NOT_REDUCING
    passes(made, leg("h", 1, SELL, 40, hedge=True))


def test_a_hedge_does_not_pass_at_halt() -> None:
    """There only what is marked as flattening, and reduces."""
    made = raised(Risk.HALT, uneven(100))
    assert refusal(made, leg("c", 2, SELL, 20, hedge=True))[0] is Reason.RISK_LEVEL


def test_a_hedge_finishes_while_draining() -> None:
    """Nothing new is begun, what is under way is finished."""
    made = uneven(0)
    made.on_message(SetRiskLevel(0, 1, 0, Risk.NORMAL, "me"), SECOND)
    made.on_message(Drain(0, 1, 0), SECOND)
    assert refusal(made, leg("c", 2, SELL, 50)) == (Reason.DRAINING, 0, 1)
    passes(made, leg("d", 2, SELL, 50, hedge=True))


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from((BUY, SELL)), st.integers(1, 9),
                          st.booleans(), st.integers(0, 9)), max_size=30))  # fmt: skip
def test_hedges_never_overshoot_their_group(
    steps: list[tuple[int, int, int, bool, int]],
) -> None:
    """Counted from outside: what is owed is what filled, less hedges that are in flight."""
    groups = Groups()
    filled: dict[int, int] = {}
    for number, (which, side, units, hedge, fills) in enumerate(steps):
        key = key_of(9, which)
        excess = -side * filled.get(key, 0)
        assert groups.owes(key, "BTC", side, units) == (0 < units <= excess)
        if hedge and units > excess:
            continue
        groups.opened(key, "BTC", side * units if hedge else 0)
        if hedge:
            assert groups.owes(key, "BTC", side, excess - units + 1) is False
        done = min(units, fills)
        groups.filled(key, "BTC", side * done, side * done if hedge else 0)
        filled[key] = filled.get(key, 0) + side * done
        groups.ended(str(number), key, "BTC", side * (units - done) if hedge else 0)
    uneven_ones = {key for key, units in filled.items() if units}
    assert {
        key for key, kept in groups.state.groups.items() if kept.units.get("BTC")
    } == uneven_ones


# --- shutdown -----------------------------------------------------------------------------------------


def long(lots: int, instruments: Instruments | None = None) -> RiskGuard:
    """A guard that is long, on venue 0, with 0.05 and 0.08 held at the first two venues."""
    made = guard() if instruments is None else RiskGuard(4, instruments, CONFIG)
    for number in range(3):
        made.on_message(top(number), SECOND)
    made.on_message(fill(intent("old"), lots, "t0"), SECOND)
    return made


def exits(outputs: tuple[AnyMessage, ...]) -> list[OrderIntent]:
    """The guard's own orders."""
    return [out.intent for out in outputs if isinstance(out, OrderCommand)]


def test_shutdown_takes_positions_back_with_orders_of_its_own() -> None:
    """Marked, reducing, through the best bid by 50 basis points, chunked by an order's notional."""
    made = long(150)
    outputs = raised(Risk.SHUTDOWN, made) and tick(made, SECOND)
    commands = [out for out in outputs if isinstance(out, OrderCommand)]
    assert [(c.intent.side, c.intent.lots) for c in commands] == [(SELL, 100), (SELL, 50)]
    for command in commands:
        assert command.reduces
        assert command.intent.flattening
        assert command.intent.ticks == 1_000_000 - 5000
        assert command.intent.expires_ns == 2 * SECOND
        assert command.intent.bot == made.sender
    assert tick(made, 2 * SECOND)[1:] == ()  # all of it is in flight
    first, second = (command.intent for command in commands)
    made.on_message(fill(first, 100, "t1"), SECOND)
    made.on_message(event(first, OrderState.FILLED, 100), SECOND)
    made.on_message(event(second, OrderState.EXPIRED), SECOND)
    again = exits(tick(made, 3 * SECOND))
    assert [order.lots for order in again] == [50]
    assert len({order.client_order_id for order in (first, second, *again)}) == 3


def test_an_exit_goes_where_the_coins_are_and_where_the_price_is_best() -> None:
    """What each venue holds bounds its part; a book that is not LIVE gets none."""
    made = long(90)
    for venue, total in ((0, 5_000_000), (1, 8_000_000), (2, 9_000_000)):
        made.on_message(BalanceUpdate(5, 1, 0, venue, "BTC", total), SECOND)
    made.on_message(top(1, 1_000_050, 1_000_100), SECOND)
    made.on_message(top(2, state=BookState.STALE), SECOND)
    raised(Risk.SHUTDOWN, made)
    orders = exits(tick(made, SECOND))
    assert [(order.venue, order.lots) for order in orders] == [(1, 80), (0, 10)]


def test_a_short_is_bought_back() -> None:
    """As far as the quote balance pays for it."""
    made = guard()
    made.on_message(fill(intent("old", side=SELL), 90, "t0"), SECOND)
    made.on_message(BalanceUpdate(5, 1, 0, 0, "USDT", 200 * 10**8), SECOND)
    raised(Risk.SHUTDOWN, made)
    orders = exits(tick(made, SECOND))
    assert [(order.venue, order.side, order.lots) for order in orders] == [
        (0, BUY, 19), (1, BUY, 71)
    ]  # fmt: skip


def test_with_the_kill_switch_on_exits_go_on() -> None:
    """Flattening passes the kill switch, everything else does not."""
    made = raised(Risk.SHUTDOWN, long(50))
    made.on_message(KillSwitch(0, 1, 0, True), SECOND)
    assert [order.lots for order in exits(tick(made, SECOND))] == [50]


def test_exits_wait_for_orders_that_are_being_cancelled() -> None:
    """For five seconds at most; an order in doubt is not waited for."""
    made = long(50)
    passes(made, intent("a", 1, SELL, 1_000_200, 20))
    raised(Risk.SHUTDOWN, made)
    assert exits(tick(made, 2 * SECOND)) == []
    for number in range(3):
        made.on_message(top(number, received_ns=6 * SECOND), 6 * SECOND)
    assert [order.lots for order in exits(tick(made, 6 * SECOND))] == [30]


def test_what_is_too_small_is_put_aside_and_the_kill_is_finished() -> None:
    """0.0004 coins are under the least notional of 5: dust, said once, and no longer in the way."""
    made = long(100)
    made.on_message(fill(intent("old", side=SELL), 99, "t1", fee=60_000, fee_asset="BTC"), SECOND)
    made.on_message(Resting(1, 1, 0, 0, 0, 0), SECOND)
    raised(Risk.SHUTDOWN, made)
    outputs = tick(made, 2 * SECOND)
    assert exits(outputs) == []
    (dust,) = (out for out in outputs if isinstance(out, Dust))
    assert (dust.asset, dust.amount, dust.bot) == ("BTC", 40_000, made.sender)
    (said,) = made.on_message(Resting(1, 2, 0, 0, 0, 0), 2 * SECOND)
    assert isinstance(said, KillProgress)
    assert (said.level, said.positions, said.finished) == (Risk.SHUTDOWN, 0, True)
    assert tick(made, 3 * SECOND)[1:] == ()


def test_a_kill_at_shutdown_is_not_finished_while_a_position_stands() -> None:
    """The venue says that nothing rests; the position is still away from its target."""
    made = long(50)
    made.on_message(Resting(1, 1, 0, 0, 0, 0), SECOND)
    raised(Risk.SHUTDOWN, made)
    order = exits(tick(made, SECOND))[0]
    (said,) = made.on_message(Resting(1, 2, 0, 0, 0, 0), SECOND)
    assert isinstance(said, KillProgress)
    assert (said.resting, said.positions, said.finished) == (0, 1, False)
    made.on_message(fill(order, 50, "t1"), SECOND)
    made.on_message(event(order, OrderState.FILLED, 50), SECOND)
    (said,) = (out for out in tick(made, 2 * SECOND) if isinstance(out, KillProgress))
    assert (said.positions, said.finished) == (0, True)


@pytest.mark.parametrize(("lots", "dust"), [(4, [4 * LOT_UNITS]), (3, [])])
def test_an_exit_that_is_too_small_goes_to_the_dust(lots: int, dust: list[int]) -> None:
    """The whole rest, below the least notional of 50; a part of it is only refused."""
    made = RiskGuard(4, market(notional_min="50"), CONFIG)
    made.on_message(top(0), SECOND)
    made.on_message(fill(intent("old"), 4, "t0"), SECOND)
    outputs = made.on_message(intent("a", side=SELL, lots=lots), SECOND)
    assert verdict(outputs) == [Reason.MIN_NOTIONAL]
    assert [out.amount for out in outputs if isinstance(out, Dust)] == dust
    assert POSITION_MAX > 4 * LOT_UNITS
