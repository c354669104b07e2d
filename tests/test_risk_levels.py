"""The RiskGuard's levels: what raises them, what each allows, how it comes down, and what limits may become."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.messages import (
    BUY,
    SELL,
    AnyMessage,
    BalanceUpdate,
    BookState,
    CancelAll,
    CancelCommand,
    Difference,
    DifferenceKind,
    Equity,
    KillSwitch,
    OrderState,
    Reason,
    Reconciled,
    Resting,
    Risk,
    Scope,
    SetLimit,
    SetRiskLevel,
    Started,
    TimerFired,
)
from engine.risk import WATCH, RiskGuard
from engine.risk_config import LevelsConfig, RiskConfig, Steps, VenueRiskConfig, Waits
from tests.guarded import (
    CALM,
    LOT_UNITS,
    MARKET,
    MILLION,
    NAMED,
    equity,
    guard,
    levels,
    passes,
    raised,
    refusal,
    status,
    tick,
)
from tests.streams import MS, SECOND, event, fill, holds_over_restore, intent, top

# --- what raises --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("percent", "level"),
    [(2.99, None), (3, Risk.CAUTION), (5, Risk.RESTRICTED), (8, Risk.HALT), (90, Risk.HALT)],
)
def test_the_day_s_loss(percent: float, level: Risk | None) -> None:
    """3, 5 and 8 % of the day's opening; a deposit of a tenth in the day hides none of it."""
    made = guard()
    lost = int(MILLION * percent / 100)
    deposit = MILLION // 10
    outputs = made.on_message(equity(MILLION + deposit - lost, transfers=deposit), SECOND)
    assert levels(outputs) == ([] if level is None else [(level, Reason.DAILY_LOSS)])


def test_drawdown_from_the_peak() -> None:
    """Ten per cent below the peak, though the day itself is fine."""
    told = Equity(5, 1, 0, "USDT", MILLION, MILLION, 0, MILLION * 10 // 9 + 1, 0)
    assert levels(guard().on_message(told, SECOND)) == [(Risk.CAUTION, Reason.DRAWDOWN)]


def test_a_mark_that_ages_raises_instead_of_freezing_the_loss() -> None:
    """30 s old is Caution, 2 min Restricted; a ledger that says nothing any more is as old."""
    made = guard()
    assert levels(made.on_message(equity(MILLION, stale_ns=2**63 - 1), SECOND)) == []
    later = 40 * SECOND
    assert levels(made.on_message(equity(MILLION, stale_ns=29 * SECOND), later)) == []
    outputs = made.on_message(equity(MILLION, stale_ns=30 * SECOND), later)
    assert levels(outputs) == [(Risk.CAUTION, Reason.STALE_MARK)]
    silent = guard()
    silent.on_message(equity(MILLION), SECOND)
    assert levels(tick(silent, 30 * SECOND)) == []
    assert levels(tick(silent, 31 * SECOND)) == [(Risk.CAUTION, Reason.STALE_MARK)]
    assert levels(tick(silent, 121 * SECOND)) == [(Risk.RESTRICTED, Reason.STALE_MARK)]


def test_books_that_are_lost() -> None:
    """Two of three books not LIVE for five seconds are Caution, all of them Restricted."""
    made = guard()
    for number in range(2):
        made.on_message(top(number, state=BookState.BROKEN), SECOND)
    assert levels(tick(made, 2 * SECOND)) == []
    assert levels(tick(made, 6 * SECOND)) == []
    assert levels(tick(made, 7 * SECOND)) == [(Risk.CAUTION, Reason.BAD_DATA)]
    made.on_message(top(2, state=BookState.STALE), SECOND)
    assert levels(tick(made, 8 * SECOND)) == [(Risk.RESTRICTED, Reason.BAD_DATA)]


def test_calls_that_fail_and_a_clock_that_is_off() -> None:
    """A venue's last calls and its clock; the worst venue counts."""
    made = guard()
    assert levels(made.on_message(status(1, success_bps=8001), SECOND)) == []
    outputs = made.on_message(status(1, success_bps=8000), SECOND)
    assert levels(outputs) == [(Risk.CAUTION, Reason.ERROR_RATE)]
    assert levels(made.on_message(status(0), SECOND)) == []
    outputs = made.on_message(status(2, clock_offset_ns=-5 * SECOND), SECOND)
    assert levels(outputs) == [(Risk.RESTRICTED, Reason.LATENCY)]


def test_intents_that_come_late() -> None:
    """Half of a second's intents a quarter of a second behind their frame."""
    made = guard()
    for number, late_ms in enumerate((0, 249, 250, 251)):
        made.on_message(intent(str(number), lots=1), SECOND + late_ms * MS)
    assert levels(tick(made, 2 * SECOND)) == [(Risk.CAUTION, Reason.LATENCY)]
    assert levels(tick(made, 3 * SECOND)) == []
    assert levels(tick(made, 3 * SECOND + CALM)) == [(Risk.NORMAL, Reason.NONE)]


def test_drift_restricts_until_the_venue_agrees_again() -> None:
    """A balance that differs and is not repaired; a clean comparison of orders does not end it."""
    made = guard()
    drift = Difference(5, 1, 0, 1, DifferenceKind.BALANCE_DRIFT, "BTC", 1, 2, False)
    repaired = msgspec.structs.replace(drift, repaired=True)
    ghost = msgspec.structs.replace(drift, kind=DifferenceKind.GHOST_ORDER)
    for harmless in (repaired, ghost):
        assert levels(made.on_message(harmless, SECOND)) == []
    assert levels(made.on_message(drift, SECOND)) == [(Risk.RESTRICTED, Reason.POSITION_DRIFT)]
    for other in ({"venue": 0}, {"subject": "USDT"}):
        made.on_message(msgspec.structs.replace(repaired, **other), SECOND)
    made.on_message(Reconciled(1, 1, 0, 1, True, 0), SECOND)
    assert levels(tick(made, 2 * CALM)) == []
    made.on_message(repaired, 2 * CALM)
    assert levels(tick(made, 3 * CALM)) == [(Risk.NORMAL, Reason.NONE)]


def test_an_operator_takes_note_of_a_drift() -> None:
    """What stands is known then; another amount is another drift."""
    made = guard()
    drift = Difference(5, 1, 0, 1, DifferenceKind.BALANCE_DRIFT, "BTC", 1, 2, False)
    made.on_message(drift, SECOND)
    outputs = made.on_message(SetRiskLevel(0, 1, 0, Risk.NORMAL, "me"), SECOND)
    assert levels(outputs) == [(Risk.NORMAL, Reason.NONE)]
    again = msgspec.structs.replace(drift, theirs=3)
    assert levels(made.on_message(again, SECOND)) == [(Risk.RESTRICTED, Reason.POSITION_DRIFT)]


# --- how it comes down --------------------------------------------------------------------------------


def test_below_halt_it_comes_down_after_a_calm_without_a_break() -> None:
    """A cause that comes back begins the minute anew; the level follows what is still asked for."""
    made = guard()
    made.on_message(equity(MILLION * 94 // 100), SECOND)
    made.on_message(equity(MILLION * 96 // 100), 2 * SECOND)
    made.on_message(equity(MILLION * 94 // 100), 32 * SECOND)
    made.on_message(equity(MILLION * 96 // 100), 33 * SECOND)
    assert levels(made.on_message(equity(MILLION * 96 // 100), 92 * SECOND)) == []
    outputs = made.on_message(equity(MILLION * 96 // 100), 93 * SECOND)
    assert levels(outputs) == [(Risk.CAUTION, Reason.DAILY_LOSS)]
    made.on_message(equity(MILLION), 94 * SECOND)
    assert levels(made.on_message(equity(MILLION), 154 * SECOND)) == [(Risk.NORMAL, Reason.NONE)]


def test_halt_stays_until_an_operator_says_otherwise() -> None:
    """The loss is made good, an hour passes: HALT. An operator's NORMAL ends it."""
    made = guard()
    made.on_message(equity(MILLION * 9 // 10), SECOND)
    made.on_message(equity(MILLION), 2 * SECOND)
    assert levels(made.on_message(equity(MILLION), 3600 * SECOND)) == []
    assert refusal(made, intent("a"))[0] is Reason.RISK_LEVEL
    outputs = made.on_message(SetRiskLevel(0, 1, 0, Risk.NORMAL, "me"), 3601 * SECOND)
    assert levels(outputs) == [(Risk.NORMAL, Reason.NONE)]
    passes(made, intent("a"))


def test_an_operator_does_not_go_below_what_a_rule_asks_for() -> None:
    """While the loss stands, NORMAL is answered with what holds; a wider limit lets it through."""
    made = guard()
    made.on_message(equity(MILLION * 9 // 10), SECOND)
    outputs = made.on_message(SetRiskLevel(0, 1, 0, Risk.NORMAL, "me"), SECOND)
    assert levels(outputs) == [(Risk.HALT, Reason.DAILY_LOSS)]
    for step, share in (("halt", "0.5"), ("restricted", "0.4"), ("caution", "0.3")):
        made.on_message(SetLimit(0, 1, 0, Scope.GLOBAL, "", f"daily_loss.{step}", share, "me"), 1)
    made.on_message(equity(MILLION * 9 // 10), 2 * SECOND)
    outputs = made.on_message(SetRiskLevel(0, 1, 0, Risk.NORMAL, "me"), 2 * SECOND)
    assert levels(outputs) == [(Risk.CAUTION, Reason.DRAWDOWN)]


def test_the_kill_switch_is_halt_while_it_is_on_and_uncovers_what_is_below() -> None:
    """Off, the level by rules is back: NORMAL, or a HALT that latched meanwhile."""
    made = guard()
    on, off = KillSwitch(0, 1, 0, True), KillSwitch(0, 2, 0, False)
    assert levels(made.on_message(on, SECOND)) == [(Risk.HALT, Reason.KILLED)]
    assert refusal(made, intent("a"))[0] is Reason.KILLED
    assert levels(made.on_message(off, SECOND)) == [(Risk.NORMAL, Reason.NONE)]
    made.on_message(on, SECOND)
    made.on_message(equity(MILLION * 9 // 10), SECOND)
    assert levels(made.on_message(off, SECOND)) == [(Risk.HALT, Reason.DAILY_LOSS)]


# --- what each allows -----------------------------------------------------------------------------------


def test_caution_only_warns() -> None:
    """Everything that NORMAL allows passes."""
    passes(raised(Risk.CAUTION), intent("a", lots=50))


def test_restricted_lets_pass_what_reduces() -> None:
    """Long by 0.1: selling 0.1 passes, selling 0.101 or buying does not, whatever they say they are."""
    made = raised(Risk.RESTRICTED)
    sell = intent("a", side=SELL, lots=60)
    (command,) = made.on_message(sell, SECOND)
    assert command.reduces  # type: ignore[union-attr]
    assert refusal(made, intent("b", side=SELL, lots=41)) == (Reason.RISK_LEVEL, 2, 3)
    claimed = msgspec.structs.replace(intent("c", side=SELL, lots=41), flattening=True)
    room = 40 * LOT_UNITS
    assert refusal(made, claimed) == (Reason.NOT_REDUCING, room, 41 * LOT_UNITS)
    passes(made, intent("d", 1, SELL, lots=40))
    assert refusal(made, intent("e", 1, ticks=1_000_000, lots=1))[0] is Reason.RISK_LEVEL


@pytest.mark.parametrize("level", [Risk.HALT, Risk.SHUTDOWN])
def test_from_halt_up_only_flattening_passes_that_reduces(level: Risk) -> None:
    """A sell that only reduces is refused; declared as flattening it passes, up to the position."""
    made = raised(level)
    sell = intent("a", side=SELL, lots=60)
    assert refusal(made, sell) == (Reason.RISK_LEVEL, 2, level)
    declared = msgspec.structs.replace(sell, flattening=True)
    passes(made, declared)
    more = msgspec.structs.replace(intent("b", side=SELL, lots=41), flattening=True)
    assert refusal(made, more)[0] is Reason.NOT_REDUCING


def test_halt_cancels_all_again_until_the_venues_say_that_nothing_rests() -> None:
    """Each open order and everything at every venue; repeated every five seconds; then it is said."""
    made = guard()
    orders = [intent("a", 0, lots=5), intent("b", 1, lots=5)]
    for order in orders:
        passes(made, order)
    outputs = made.on_message(SetRiskLevel(0, 1, 0, Risk.HALT, "me"), SECOND)
    cancelled = [out.client_order_id for out in outputs if isinstance(out, CancelCommand)]
    assert cancelled == ["a", "b"]
    assert [out.venue for out in outputs if isinstance(out, CancelAll)] == [-1]
    assert progress(tick(made, 2 * SECOND)) == [(-1, 0, 0, False)]
    assert progress(tick(made, 3 * SECOND)) == []
    again = tick(made, 6 * SECOND)
    assert sum(isinstance(out, CancelCommand) for out in again) == 2
    for order in orders:
        made.on_message(event(order, OrderState.CANCELLED), 7 * SECOND)
    assert progress(made.on_message(Resting(1, 1, 0, 0, 1, 0), 7 * SECOND)) == []
    assert progress(made.on_message(Resting(2, 1, 0, 1, 0, 3), 7 * SECOND)) == [(1, 0, 0, False)]
    assert progress(made.on_message(Resting(1, 1, 0, 0, 0, 0), 8 * SECOND)) == [(0, 0, 0, True)]
    assert not any(isinstance(out, CancelAll) for out in tick(made, 60 * SECOND))


def progress(outputs: tuple[AnyMessage, ...]) -> list[tuple[int, int, int, bool]]:
    """How far a kill is, among outputs."""
    return [
        (out.resting, out.unknown, out.positions, out.finished)
        for out in outputs
        if type(out).__name__ == "KillProgress"
    ]


# --- restarts -------------------------------------------------------------------------------------------

CONFIGURED = RiskConfig(
    order_notional_max="1000",
    position_max={"BTC": "0.25"},
    gross_max="5000",
    net_max="4000",
    orders_open_max=6,
    venues={"venue0": VenueRiskConfig("3000", 4, 10)},
    levels=LevelsConfig(
        daily_loss=Steps("0.03", "0.05", "0.08", "0.2"), latency_ms=Waits(100, 500), calm_s=2
    ),
)


@st.composite
def streams(draw: st.DrawFn) -> list[tuple[AnyMessage, int]]:
    """Everything a guard hears, in any order that may be."""
    now_ns, stream, orders = SECOND, [], [intent("first")]
    stream.append((Started(0, 1, 0, 1), now_ns))
    for number in range(draw(st.integers(0, 40))):
        now_ns += draw(st.integers(0, 900 * MS))
        order = draw(st.sampled_from(orders))
        stream.append((top(number % 3, received_ns=now_ns), now_ns))
        kind = draw(st.integers(0, 13))
        message: AnyMessage = TimerFired(0, 1, 0, 4, WATCH)
        if kind < 4:
            side, lots = draw(st.sampled_from((BUY, SELL))), draw(st.integers(1, 90))
            name, where = str(draw(st.integers(0, 30))), draw(st.integers(0, 2))
            message = intent(name, where, side, 1_000_050 - 60 * side, lots, None, 10**15)
            orders.append(message)
        elif kind == 4:
            message = event(order, draw(st.sampled_from(OrderState)), draw(st.integers(0, 9)))
        elif kind == 5:
            message = fill(order, draw(st.integers(1, order.lots)), str(draw(st.integers(0, 50))))
        elif kind == 6:
            message = KillSwitch(0, 1, 0, draw(st.booleans()))
        elif kind == 7:
            message = equity(MILLION * draw(st.integers(70, 105)) // 100)
        elif kind == 8:
            message = SetRiskLevel(0, 1, 0, draw(st.sampled_from(Risk)), "me")
        elif kind == 9:
            amount = draw(st.sampled_from(("0.1", "0.2", "", "x")))
            message = SetLimit(0, 1, 0, Scope.ASSET, "BTC", "position_max", amount, "me")
        elif kind == 10:
            venue = draw(st.integers(0, 2))
            message = draw(
                st.sampled_from(
                    (Reconciled(1, 1, 0, venue, True, 0), Resting(1, 1, 0, venue, 0, 0))
                )
            )
        elif kind == 11:
            asset = draw(st.sampled_from(("BTC", "USDT", "BNB")))
            message = BalanceUpdate(5, 1, 0, draw(st.integers(0, 2)), asset, 10**11)
        stream.append((message, now_ns))
    return stream


def configured() -> RiskGuard:
    """A guard with limits of every kind."""
    return RiskGuard(4, MARKET, CONFIGURED, NAMED)


@given(streams(), st.integers(0, 100))
def test_restored_it_goes_on_the_same(stream: list[tuple[AnyMessage, int]], cut: int) -> None:
    """A snapshot in the middle of anything gives the same outputs and the same state."""
    holds_over_restore(configured, stream, cut)
