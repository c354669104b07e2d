"""Emulated orders one by one: what triggers them, what they send, and how each of them ends."""

import pytest

from engine.messages import (
    BUY,
    SELL,
    BookState,
    Drain,
    OrderState,
    ParentCancel,
    ParentIntent,
    ParentKind,
    ParentState,
    Reason,
    Risk,
    RiskLevel,
    Started,
    TimeInForce,
    TriggerSource,
)
from tests.emulated import BOT, Bench, cancels, execution, parent_events, wish
from tests.streams import SECOND, Stream, fill, holds_over_restore, intents, market, timers, top

K, S, T = ParentKind, TriggerSource, TimeInForce
DONE = OrderState.CANCELLED


def started(intent: ParentIntent, bid: int = 1000, ask: int = 1002) -> Bench:
    """A bench with a LIVE book and one emulated order, that its event says was taken."""
    bench = Bench()
    bench.prices(bid, ask)
    bench.tell(intent)
    return bench


# A sale's stop at 990 and a purchase's at 1010; the first prices do not meet it, the second do.
@pytest.mark.parametrize(
    ("kind", "side", "source", "quiet", "met"),
    [
        (K.STOP_LOSS, SELL, S.BID_ASK, (991, 993), (990, 993)),
        (K.STOP_LOSS, SELL, S.BID_ASK, (991, 992), (700, 993)),  # a gap through it
        (K.STOP_LOSS, BUY, S.BID_ASK, (1010, 1009), (1000, 1010)),
        (K.STOP_LOSS, SELL, S.MID, (985, 996), (985, 995)),
        (K.STOP_LOSS, BUY, S.MID, (1004, 1015), (1004, 1016)),
        (K.TAKE_PROFIT, SELL, S.BID_ASK, (989, 1000), (990, 1000)),
        (K.TAKE_PROFIT, BUY, S.BID_ASK, (1000, 1011), (1000, 1010)),
        (K.TAKE_PROFIT, SELL, S.MID, (980, 999), (980, 1000)),
    ],
)
def test_each_kind_waits_for_its_price(
    kind: ParentKind,
    side: int,
    source: TriggerSource,
    quiet: tuple[int, int],
    met: tuple[int, int],
) -> None:
    """It takes at once, at the best price and the slip through it, when the watched price is there."""
    bench = Bench()
    bench.prices(*quiet)
    trigger = 990 if side == SELL else 1010
    assert not intents(bench.tell(wish(kind, side, source=source, trigger=trigger, slip=3)))
    assert bench.last().state is ParentState.WAITING
    assert bench.last().trigger_ticks == trigger
    (child,) = intents(bench.prices(*met))
    assert (child.side, child.lots, child.time_in_force) == (side, 10, T.IOC)
    assert child.ticks == (met[0] - 3 if side == SELL else met[1] + 3)
    assert child.flattening
    assert (child.bot, child.parent) == (BOT, "p")
    assert bench.last().state is ParentState.WORKING
    bench.fill_all(child)
    assert (bench.last().state, bench.last().filled_lots) == (ParentState.DONE, 10)
    assert bench.made.open_work() == 0


def test_the_last_price_counts_beside_a_live_book_only() -> None:
    """A trade triggers; with a broken book it does not, and tops never do."""
    bench = started(wish(K.STOP_LOSS, source=S.LAST, trigger=990))
    assert not intents(bench.prices(900, 902))
    bench.prices(0, 0, BookState.BROKEN)
    assert not intents(bench.trade(980))
    bench.prices(1000, 1002)
    assert not intents(bench.trade(991))
    assert intents(bench.trade(990))


@pytest.mark.parametrize("state", [s for s in BookState if s is not BookState.LIVE])
def test_a_book_that_is_not_live_triggers_nothing(state: BookState) -> None:
    """Nor does an old price; the first LIVE and fresh one beyond the trigger does."""
    bench = started(wish(K.STOP_LOSS, trigger=990))
    assert not intents(bench.prices(900, 902, state))
    old = top(0, 900, 902, bench.now_ns)
    bench.now_ns += 3 * SECOND
    assert not intents(bench.tell(old))
    assert intents(bench.prices(900, 902))


def test_what_is_met_already_triggers_at_once() -> None:
    """The price known when it comes counts."""
    bench = started(wish(K.STOP_LOSS, trigger=1001))
    assert len(intents(bench.said)) == 1


@pytest.mark.parametrize(
    ("side", "terms", "path", "level"),
    [
        (SELL, {"trail_ticks": 10}, (1000, 1020, 1011), 1010),
        (SELL, {"trail_bps": 100}, (1000, 2000, 1981), 1980),
        (BUY, {"trail_ticks": 10}, (1000, 980, 989), 990),
        (SELL, {"trail_ticks": 10, "trigger": 1015}, (1000, 900, 1014, 1016, 1007), 1006),
    ],
)
def test_a_trailing_stop_follows_the_best_price(
    side: int, terms: dict[str, int], path: tuple[int, ...], level: int
) -> None:
    """It stands so far behind the best price seen, and goes where that goes, never back."""
    bench = Bench()
    bench.tell(wish(K.TRAILING_STOP, side, **terms))  # type: ignore[arg-type]
    for price in path:
        assert not intents(bench.prices(price, price))
    (child,) = intents(bench.prices(level, level))
    assert child.ticks == level


def test_a_stop_limit_rests_after_its_trigger() -> None:
    """An entry: it is no flattening order, and it ends as its order ends."""
    bench = started(wish(K.STOP_LIMIT, BUY, trigger=1010, limit=1012))
    (child,) = intents(bench.prices(1009, 1010))
    assert (child.ticks, child.time_in_force, child.flattening) == (1012, T.GTC, False)
    bench.fill(child, 4)
    bench.end(child, OrderState.CANCELLED, 4)
    assert (bench.last().state, bench.last().filled_lots) == (ParentState.CANCELLED, 4)


def test_a_take_profit_with_a_limit_is_tried_again() -> None:
    """Cancelled by the venue it comes back, later each time; filled in part, as what is left."""
    bench = started(wish(K.TAKE_PROFIT, trigger=1010, limit=1009))
    (child,) = intents(bench.prices(1010, 1012))
    assert (child.ticks, child.time_in_force) == (1009, T.GTC)
    bench.fill(child, 4)
    assert not intents(bench.end(child, DONE, 4))
    (again,) = intents(bench.later(100))
    assert again.lots == 6
    assert again.client_order_id != child.client_order_id


def test_gtd_rests_until_its_time() -> None:
    """The engine cancels it then; a fill on the way counts."""
    bench = started(wish(K.GTD, BUY, limit=999, until_ns=5 * SECOND))
    (child,) = intents(bench.said)
    assert (child.ticks, child.time_in_force) == (999, T.GTC)
    bench.acknowledge(child)
    assert not bench.later(3999)
    assert cancels(bench.later(1)) == [child.client_order_id]
    bench.fill(child, 3)
    bench.end(child, DONE, 3)
    assert (bench.last().state, bench.last().filled_lots) == (ParentState.EXPIRED, 3)


def test_a_waiting_order_expires_and_a_triggered_exit_does_not() -> None:
    """An exit that has begun goes on until it is done."""
    bench = started(wish(K.STOP_LOSS, trigger=990, until_ns=3 * SECOND))
    bench.later(2000)
    assert bench.last().state is ParentState.EXPIRED
    bench = started(wish(K.STOP_LOSS, trigger=990, until_ns=3 * SECOND))
    (child,) = intents(bench.prices(990, 992))
    bench.end(child, DONE)
    bench.later(2000)
    bench.prices(980, 982)
    assert len(intents(bench.said)) == 2


# --- OCO ------------------------------------------------------------------------------------------


def pair() -> Bench:
    """A sale at 1010, or by a stop at 990; the limit is at the venue."""
    bench = started(wish(K.OCO, limit=1010, stop=990))
    bench.acknowledge(intents(bench.said)[0])
    return bench


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


def bracket(until_ns: int = 0) -> Bench:
    """A purchase at 999, guarded by a sale at 1010 and a stop at 990."""
    intent = wish(K.BRACKET, BUY, limit=999, trigger=1010, stop=990, until_ns=until_ns)
    bench = started(intent)
    bench.acknowledge(intents(bench.said)[0])
    return bench


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


# --- what goes wrong ------------------------------------------------------------------------------


def test_nothing_is_sent_while_a_child_is_in_doubt() -> None:
    """UNKNOWN may have filled: its parent waits for the evidence and goes on from there."""
    bench = started(wish(K.STOP_LOSS, trigger=990))
    (child,) = intents(bench.prices(990, 992))
    bench.end(child, OrderState.UNKNOWN)
    for price in (980, 970):
        assert not intents(bench.prices(price, price + 2))
    assert not intents(bench.later(60_000))
    (again,) = intents(bench.end(child, DONE, 4) + bench.later(1000) + bench.prices(960, 962))
    assert again.lots == 6


def test_an_exit_never_gives_up() -> None:
    """Refused it says so and is tried again, each time later; filled in part, soon."""
    bench = started(wish(K.STOP_LOSS, trigger=990))
    bench.prices(990, 992)
    waits = []
    for _ in range(10):
        child = intents(bench.said)[-1]
        bench.refuse(child, Reason.STALE_MARKET)
        assert (bench.last().state, bench.last().reason) == (
            ParentState.WORKING,
            Reason.STALE_MARKET,
        )
        (timer,) = timers(tuple(bench.said[-1:]))
        waits.append((timer.at_ns - bench.now_ns) // 1_000_000)
        bench.later(waits[-1])
        bench.prices(990, 992)  # the one before may be too old by now
        assert intents(bench.said)[-1] is not child
    assert waits == [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]


def test_an_exit_learns_from_refusals() -> None:
    """Too large: half of it. Too far: half the slip. Not reducing: as an ordinary order."""
    bench = started(wish(K.STOP_LOSS, trigger=990, slip=8))
    bench.prices(990, 992)
    for reason in (Reason.ORDER_NOTIONAL, Reason.PRICE_DISTANCE, Reason.NOT_REDUCING):
        bench.refuse(intents(bench.said)[-1], reason)
        bench.later(10_000)
        bench.prices(990, 992)
    last = intents(bench.said)[-1]
    assert (last.lots, last.ticks, last.flattening) == (5, 986, False)
    bench.fill_all(last)
    bench.later(100)
    assert intents(bench.said)[-1].lots == 5


def test_a_refused_entry_ends_its_parent() -> None:
    """It is not tried again."""
    bench = started(wish(K.GTD, BUY, limit=999, until_ns=5 * SECOND))
    bench.refuse(intents(bench.said)[0], Reason.POSITION)
    assert (bench.last().state, bench.last().reason) == (ParentState.REFUSED, Reason.POSITION)


def test_from_halt_up_nothing_opens_and_nothing_rests() -> None:
    """An entry is refused; a pair's limit waits while its stop is still watched."""
    bench = started(wish(K.OCO, limit=1010, stop=990))
    (limit,) = intents(bench.said)
    bench.tell(RiskLevel(4, 1, 0, Risk.HALT, Reason.DAILY_LOSS))
    bench.end(limit, DONE)
    bench.later(10_000)
    bench.prices(1000, 1002)
    assert len(intents(bench.said)) == 1
    assert not intents(
        bench.tell(wish(K.BRACKET, BUY, name="b", limit=999, trigger=1010, stop=990))
    )
    assert (bench.last().state, bench.last().reason) == (ParentState.REFUSED, Reason.RISK_LEVEL)
    (stop,) = intents(bench.prices(990, 992))
    assert stop.flattening
    bench.end(stop, DONE)
    bench.tell(RiskLevel(4, 2, 0, Risk.NORMAL, Reason.OPERATOR))
    assert len(intents(bench.later(10_000) + bench.prices(990, 992))) == 1


def test_a_bots_cancel_ends_it() -> None:
    """At once while it waits, after its child's end while it works; another bot's is not heard."""
    bench = started(wish(K.STOP_LOSS, trigger=990))
    assert not bench.tell(ParentCancel(8, 1, 0, "p", 8))
    bench.tell(ParentCancel(BOT, 1, 0, "p", BOT))
    assert bench.last().state is ParentState.CANCELLED
    assert not bench.prices(900, 902)
    bench = pair()
    (limit,) = intents(bench.said)
    assert cancels(bench.tell(ParentCancel(BOT, 1, 0, "p", BOT))) == [limit.client_order_id]
    assert bench.last().state is ParentState.WORKING
    bench.end(limit, DONE, 0)
    assert bench.last().state is ParentState.CANCELLED


@pytest.mark.parametrize("parking", [Drain(0, 1, 0), ParentCancel(BOT, 1, 0, "p", BOT, park=True)])
def test_a_parked_pair_leaves_the_venue_and_comes_back(parking: Drain | ParentCancel) -> None:
    """Nothing rests unattended while the engine is down; a new epoch goes on with the rest of it."""
    bench = pair()
    (limit,) = intents(bench.said)
    assert cancels(bench.tell(parking)) == [limit.client_order_id]
    bench.end(limit, DONE, 0)
    bench.prices(900, 902)
    assert bench.made.open_work() == 0
    assert len(intents(bench.said)) == 1
    if isinstance(parking, ParentCancel):
        bench.tell(Started(0, 2, 0, 2))
        bench.later(1000)
        (stop,) = intents(bench.prices(900, 902))
        assert stop.lots == 10


def test_a_new_epoch_sets_its_timers_again() -> None:
    """Timers do not survive their actor; what is due by then is done at once."""
    bench = started(wish(K.STOP_LOSS, trigger=990, until_ns=5 * SECOND))
    restored = execution()
    restored.restore(bench.made.snapshot())
    (timer,) = timers(restored.on_message(Started(0, 1, 0, 2), 2 * SECOND))
    assert timer.at_ns == 5 * SECOND
    (ended,) = parent_events(list(restored.on_message(Started(0, 2, 0, 3), 6 * SECOND)))
    assert ended.state is ParentState.EXPIRED


@pytest.mark.parametrize(
    ("intent", "reason"),
    [
        (wish(K.STOP_LOSS), Reason.MALFORMED),
        (wish(K.STOP_LOSS, trigger=-1), Reason.MALFORMED),
        (wish(K.STOP_LOSS, 0, trigger=5), Reason.MALFORMED),
        (wish(K.STOP_LOSS, trigger=10**16), Reason.OFF_GRID),
        (wish(K.STOP_LOSS, lots=0, trigger=5), Reason.ORDER_LOTS),
        (wish(K.GTD, lots=10**6 + 1, limit=5, until_ns=9 * SECOND), Reason.ORDER_LOTS),
        (wish(K.GTD, limit=5), Reason.MALFORMED),
        (wish(K.TRAILING_STOP), Reason.MALFORMED),
        (wish(K.TRAILING_STOP, trail_ticks=1, trail_bps=1), Reason.MALFORMED),
        (wish(K.TRAILING_STOP, trail_bps=10_000), Reason.MALFORMED),
        (wish(K.STOP_LIMIT, trigger=5), Reason.MALFORMED),
        (wish(K.OCO, limit=5, stop=5), Reason.MALFORMED),
        (wish(K.OCO, BUY, limit=6, stop=5), Reason.MALFORMED),
        (wish(K.BRACKET, BUY, limit=5, trigger=4, stop=3), Reason.MALFORMED),
        (wish(K.BRACKET, BUY, trigger=3, stop=4), Reason.MALFORMED),
        (wish(K.BRACKET, SELL, limit=5, trigger=6, stop=7), Reason.MALFORMED),
        (wish(K.STOP_LOSS, trigger=5, until_ns=1), Reason.EXPIRED),
    ],
)
def test_terms_that_make_no_sense_are_refused(intent: ParentIntent, reason: Reason) -> None:
    """By name, before anything waits."""
    bench = started(intent)
    expected = ParentState.EXPIRED if reason is Reason.EXPIRED else ParentState.REFUSED
    assert (bench.last().state, bench.last().reason) == (expected, reason)
    assert len(bench.said) == 1
    assert not bench.tell(intent), "told again it is not news"


def test_there_is_room_for_so_many() -> None:
    """One more is refused; an end makes room."""
    bench = Bench(execution(parents_max=1))
    bench.tell(wish(K.STOP_LOSS, name="a", trigger=990))
    bench.tell(wish(K.STOP_LOSS, name="b", trigger=990))
    assert bench.last().reason is Reason.ORDERS_OPEN
    bench.tell(ParentCancel(BOT, 1, 0, "a", BOT))
    bench.tell(wish(K.STOP_LOSS, name="c", trigger=990))
    assert bench.last().state is ParentState.WAITING


def test_dust_ends_an_exit() -> None:
    """What is left below the venue's least notional cannot be sold: done, and why."""
    bench = Bench(execution(market(notional_min="50")))
    bench.prices(999_000, 1_000_000)
    bench.tell(wish(K.STOP_LOSS, trigger=1_000_000))
    (child,) = intents(bench.said)
    bench.fill(child, 8)
    bench.end(child, DONE, 8)
    assert (bench.last().state, bench.last().reason) == (ParentState.DONE, Reason.MIN_NOTIONAL)
    assert bench.last().filled_lots == 8


def test_another_grid_moves_what_waits() -> None:
    """Prices and lots mean the same on it; a stop that waited is met by the same price."""
    bench = Bench(execution(market(notional_min="0")))
    bench.tell(wish(K.STOP_LOSS, trigger=990, lots=10))
    bench.made.reload(0, "0.001", "0.0001")
    assert not intents(bench.prices(9901, 9950))
    (child,) = intents(bench.prices(9900, 9950))
    assert child.lots == 100


def test_a_fill_told_twice_counts_once() -> None:
    """By the venue's trade id; and what event and fill both say is counted once."""
    bench = pair()
    (limit,) = intents(bench.said)
    told = fill(limit, 4, "same")
    bench.tell(told)
    bench.tell(told)
    bench.end(limit, OrderState.PARTLY_FILLED, 4)
    bench.prices(989, 991)
    (stop,) = intents(bench.end(limit, DONE, 4))
    assert stop.lots == 6


def test_it_goes_on_the_same_after_any_message() -> None:
    """A snapshot at each point of a bracket's life holds all of it."""
    bench = bracket()
    (entry,) = intents(bench.said)
    target = intents(bench.fill(entry, 4))[0]
    stream: Stream = [
        (top(0, 1000, 1002), SECOND),
        (wish(K.BRACKET, BUY, limit=999, trigger=1010, stop=990), SECOND),
        (wish(K.TRAILING_STOP, name="q", trail_ticks=15), SECOND),
        (fill(entry, 4, "1"), SECOND),
        (top(0, 1003, 1004), SECOND),
        (fill(target, 1, "2"), SECOND),
        (top(0, 988, 990), SECOND),
        (fill(entry, 1, "3"), SECOND),
        (RiskLevel(4, 1, 0, Risk.HALT, Reason.DAILY_LOSS), SECOND),
        (top(0, 987, 990), SECOND),
    ]
    for cut in range(len(stream) + 1):
        assert len(intents(holds_over_restore(execution, stream, cut))) == 3
