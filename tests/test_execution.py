"""Emulated orders one by one: what triggers them, what they send, and how each of them ends."""

import pytest

from engine.messages import (
    BUY,
    SELL,
    BookState,
    OrderState,
    ParentKind,
    ParentState,
    TimeInForce,
    TriggerSource,
)
from tests.emulated import (
    BOT,
    Bench,
    cancels,
    started,
    wish,
)
from tests.streams import SECOND, intents, top

K, S, T = ParentKind, TriggerSource, TimeInForce
DONE = OrderState.CANCELLED


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
