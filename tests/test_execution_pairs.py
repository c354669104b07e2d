"""OCO and brackets: two exits that never both fill, and a guard that grows with its entry."""

from engine.messages import (
    BUY,
    SELL,
    OrderState,
    ParentKind,
    ParentState,
    Reason,
    TimeInForce,
)
from tests.emulated import Bench, bracket, cancels, execution, pair, parent_events, wish
from tests.streams import SECOND, intents, market

K, T = ParentKind, TimeInForce
DONE = OrderState.CANCELLED


def test_a_pairs_stop_waits_for_the_limits_end() -> None:
    """The limit is cancelled first; the stop takes what the limit left."""
    bench = pair()
    (limit,) = intents(bench.said)
    bench.fill(limit, 3)
    hit = bench.prices(989, 991)
    assert cancels(hit) == [limit.client_order_id]
    assert not intents(hit)
    bench.fill(limit, 2)  # while its cancel is under way
    (stop,) = intents(bench.end(limit, DONE, 5))
    assert (stop.lots, stop.ticks, stop.flattening) == (5, 989, True)
    bench.fill_all(stop)
    assert (bench.last().state, bench.last().filled_lots) == (ParentState.DONE, 10)


def test_a_pairs_stop_does_not_wait_for_the_limits_next_try() -> None:
    """The venue cancelled the limit, which is tried again later; the stop is triggered before."""
    bench = pair()
    bench.end(intents(bench.said)[0], DONE)
    (stop,) = intents(bench.prices(989, 991))
    assert (stop.lots, stop.flattening) == (10, True)


def test_a_pairs_limit_fills_whole() -> None:
    """The stop is gone with it."""
    bench = pair()
    bench.fill_all(intents(bench.said)[0])
    assert bench.last().state is ParentState.DONE
    assert not bench.prices(900, 902)


def test_a_cancel_that_comes_too_late_ends_the_stop() -> None:
    """The limit filled whole while its cancel was under way: nothing is left to stop."""
    bench = pair()
    (limit,) = intents(bench.said)
    bench.prices(989, 991)
    assert not intents(bench.fill_all(limit))
    assert bench.last().state is ParentState.DONE


def test_a_cancel_without_an_answer_is_asked_for_again() -> None:
    """After a while, as often as it takes."""
    bench = pair()
    bench.prices(989, 991)
    assert cancels(bench.later(2000)) == cancels(bench.later(2000)) != []


def test_lots_that_fill_beyond_the_wanted_are_taken_back() -> None:
    """The limit was said to be cancelled empty, yet it had filled: said, and bought back."""
    bench = pair()
    (limit,) = intents(bench.said)
    bench.prices(989, 991)
    (stop,) = intents(bench.end(limit, DONE, 0))
    bench.fill_all(stop)
    assert bench.last().state is ParentState.DONE
    back = bench.fill(limit, 4)
    assert Reason.OVER_FILLED in [told.reason for told in parent_events(back)]
    (mend,) = intents(back)
    assert (mend.side, mend.lots, mend.ticks, mend.flattening) == (BUY, 4, 991, True)
    bench.fill_all(mend)
    assert (bench.last().state, bench.last().filled_lots) == (ParentState.DONE, 10)


# --- brackets -------------------------------------------------------------------------------------


def test_a_brackets_guard_grows_with_its_entry() -> None:
    """Each part that fills is guarded; the take-profit ends it."""
    bench = bracket()
    (entry,) = intents(bench.said)
    assert (entry.side, entry.ticks, entry.lots, entry.flattening) == (BUY, 999, 10, False)
    assert bench.last().state is ParentState.WAITING
    (first,) = intents(bench.fill(entry, 4))
    assert (first.side, first.ticks, first.lots, first.time_in_force) == (SELL, 1010, 4, T.GTC)
    (second,) = intents(bench.fill(entry, 6))
    assert second.lots == 6
    bench.end(entry, OrderState.FILLED, 10)
    assert bench.last().state is ParentState.WORKING
    bench.fill_all(second)
    bench.fill_all(first)
    assert (bench.last().state, bench.last().filled_lots) == (ParentState.DONE, 10)


def test_a_brackets_stop_ends_entry_and_target_first() -> None:
    """All that rests is cancelled, then what is held is sold."""
    bench = bracket()
    (entry,) = intents(bench.said)
    (target,) = intents(bench.fill(entry, 4))
    hit = bench.prices(988, 992)
    assert set(cancels(hit)) == {entry.client_order_id, target.client_order_id}
    bench.end(target, DONE)
    assert not intents(bench.fill(entry, 2))
    (stop,) = intents(bench.end(entry, DONE, 6))
    assert (stop.side, stop.lots, stop.ticks) == (SELL, 6, 988)
    bench.fill_all(stop)
    assert (bench.last().state, bench.last().filled_lots) == (ParentState.DONE, 6)


def test_a_brackets_stop_counts_from_its_first_fill() -> None:
    """A price beyond the stop before there is a position does nothing; with the fill it triggers."""
    bench = bracket()
    (entry,) = intents(bench.said)
    assert not bench.prices(980, 982)
    assert cancels(bench.fill(entry, 10)) == [entry.client_order_id]


def test_a_target_that_fills_ends_the_entry() -> None:
    """The idea is over: what has not entered does not enter any more."""
    bench = bracket()
    (entry,) = intents(bench.said)
    (target,) = intents(bench.fill(entry, 4))
    assert cancels(bench.fill(target, 1)) == [entry.client_order_id]


def test_a_bracket_ends_as_an_entry_that_nothing_filled() -> None:
    """Refused, expired or cancelled, with nothing to guard."""
    bench = bracket()
    bench.end(intents(bench.said)[0], OrderState.REJECTED, 0, Reason.BALANCE)
    assert (bench.last().state, bench.last().reason) == (ParentState.REFUSED, Reason.BALANCE)
    bench = bracket(until_ns=2 * SECOND)
    (entry,) = intents(bench.said)
    assert cancels(bench.later(1000)) == [entry.client_order_id]
    bench.end(entry, DONE)
    assert bench.last().state is ParentState.EXPIRED


def test_a_bracket_without_a_limit_enters_at_the_first_price() -> None:
    """It takes what there is, and guards that."""
    bench = Bench()
    assert not intents(bench.tell(wish(K.BRACKET, BUY, trigger=1010, stop=990, slip=1)))
    (entry,) = intents(bench.prices(1000, 1002))
    assert (entry.ticks, entry.time_in_force, entry.flattening) == (1003, T.IOC, False)
    bench.fill(entry, 7)
    bench.end(entry, DONE, 7)
    assert intents(bench.said)[-1].lots == 7


def test_a_guard_that_is_too_small_waits_for_more() -> None:
    """Below the venue's least nothing is sent; what is left when the entry ends is put to the last."""
    bench = Bench(execution(market(notional_min="50")))  # 5 lots of 0.001 at 10.00
    bench.prices(999_000, 1_000_200)
    terms = {"limit": 1_000_000, "trigger": 1_010_000, "stop": 990_000}
    bench.tell(wish(K.BRACKET, BUY, **terms))  # type: ignore[arg-type]
    (entry,) = intents(bench.said)
    assert not intents(bench.fill(entry, 4))
    (target,) = intents(bench.fill(entry, 2))
    assert target.lots == 6
    assert not intents(bench.fill(entry, 1))
    assert cancels(bench.end(entry, DONE, 7)) == [target.client_order_id]
    bench.end(target, DONE)
    assert intents(bench.later(2000) + bench.said)[-1].lots == 7
