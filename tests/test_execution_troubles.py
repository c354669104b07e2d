"""Emulated orders when things go wrong: doubts, refusals, halts, restarts, and terms without sense."""

import pytest

from engine.messages import (
    BUY,
    SELL,
    Drain,
    Dust,
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
)
from tests.emulated import (
    BOT,
    Bench,
    bracket,
    cancels,
    execution,
    pair,
    parent_events,
    started,
    wish,
)
from tests.streams import SECOND, Stream, fill, holds_over_restore, intents, market, timers, top

K, T = ParentKind, TimeInForce
DONE = OrderState.CANCELLED


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
    """Too large, or larger than the position: half of it. Too far: half the slip."""
    bench = started(wish(K.STOP_LOSS, trigger=990, slip=8))
    bench.prices(990, 992)
    for reason in (Reason.ORDER_NOTIONAL, Reason.PRICE_DISTANCE, Reason.NOT_REDUCING):
        bench.refuse(intents(bench.said)[-1], reason)
        bench.later(10_000)
        bench.prices(990, 992)
    last = intents(bench.said)[-1]
    assert (last.lots, last.ticks, last.flattening) == (2, 986, True)
    bench.fill_all(last)
    assert intents(bench.said)[-1].lots == 2


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
    """Nothing rests unattended while the engine is down; resumed, it goes on with the rest of it."""
    bench = pair()
    (limit,) = intents(bench.said)
    assert cancels(bench.tell(parking)) == [limit.client_order_id]
    bench.end(limit, DONE, 0)
    bench.prices(900, 902)
    assert bench.made.open_work() == 0
    assert len(intents(bench.said)) == 1
    bench.tell(Started(0, 2, 0, 2))  # killed in the middle of the drain
    bench.later(1000)
    assert not intents(bench.prices(900, 902))
    bench.tell(Started(0, 3, 0, 3, resumed=True))
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
    """What is left below the venue's least notional cannot be sold: done, and put aside."""
    bench = Bench(execution(market(notional_min="50")))
    bench.prices(999_000, 1_000_000)
    bench.tell(wish(K.STOP_LOSS, trigger=1_000_000))
    (child,) = intents(bench.said)
    bench.fill(child, 8)
    bench.end(child, DONE, 8)
    assert (bench.last().state, bench.last().reason) == (ParentState.DONE, Reason.MIN_NOTIONAL)
    dust = bench.said[-1]
    assert isinstance(dust, Dust)
    assert (dust.venue, dust.asset, dust.bot, dust.amount) == (0, "BTC", BOT, 2 * 100_000)
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
