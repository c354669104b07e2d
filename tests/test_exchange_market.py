"""A market of the simulated exchange: depth and changes, trades, candles, and its own limits."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.exchange.candles import MINUTE_NS, SECOND_NS, SECONDS_MAX, Candle, Candles
from engine.exchange.market import Market
from engine.exchange.orders import DepthChange
from engine.messages import BUY, SELL
from tests.exchange_rig import BEGIN, around, instrument, limit, market, seed, venue

TRADES = st.lists(
    st.tuples(
        st.integers(0, 400),  # seconds after the last
        st.integers(90, 110),
        st.integers(1, 9),
        st.sampled_from([BUY, SELL]),
    ),
    max_size=30,
)


@given(trades=TRADES, seconds=st.sampled_from([1, 5, 60, 300]), since=st.integers(0, 2_000))
def test_candles_are_what_an_obvious_grouping_makes(
    trades: list[tuple[int, int, int, int]], seconds: int, since: int
) -> None:
    """Without a hole from the first trade on; an interval without trades repeats the close."""
    candles, groups, now_s = Candles(), defaultdict(list), 0
    for gap, ticks, lots, side in trades:
        now_s += gap
        candles.trade(ticks, lots, side, now_s * SECOND_NS + 7)
        groups[now_s // seconds].append((ticks, lots, side))
    expected, close = [], 0
    for place in range(min(groups, default=0), now_s // seconds + 3):
        group = groups.get(place, [])
        prices = [ticks for ticks, _, _ in group] or [close]
        close = prices[-1]
        bought = [(ticks, lots) for ticks, lots, side in group if side == BUY]
        candle = Candle(
            place * seconds * SECOND_NS,
            prices[0],
            max(prices),
            min(prices),
            close,
            sum(lots for _, lots, _ in group),
            sum(ticks * lots for ticks, lots, _ in group),
            len(group),
            sum(lots for _, lots in bought),
            sum(ticks * lots for ticks, lots in bought),
        )
        if groups and place * seconds >= since:
            expected.append(candle)
    until_ns = (now_s // seconds + 2) * seconds * SECOND_NS
    found = candles.get(seconds * SECOND_NS, since * SECOND_NS, until_ns, 10_000)
    assert found == expected
    assert candles.get(seconds * SECOND_NS, since * SECOND_NS, until_ns, 3) == expected[:3]


def test_candles_are_bounded_and_of_whole_seconds() -> None:
    """Seconds go before minutes do."""
    candles = Candles()
    for second in range(SECONDS_MAX + 100):
        candles.trade(100, 1, BUY, second * SECOND_NS)
    assert len(candles.get(SECOND_NS, 0, 1 << 60, 1)) == 1
    assert candles.get(SECOND_NS, 0, 1 << 60, 1)[0].open_ns == 100 * SECOND_NS
    assert candles.get(MINUTE_NS, 0, 1 << 60, 1)[0].open_ns == 0
    assert candles.get(MINUTE_NS, 0, 1 << 60, 0) == []
    for interval_ns in (0, -MINUTE_NS, 1):
        with pytest.raises(ValueError, match="candles of"):
            candles.get(interval_ns, 0, 1, 1)


def test_depth_trades_and_candles_of_a_market() -> None:
    """What traded is in all of them; hidden lots are in none."""
    exchange = around(venue())
    there = exchange.markets[0]
    exchange.place("bob", limit(SELL, 100, 9, display=2), BEGIN)
    assert there.depth(1) == ([(99, 10)], [(100, 2)])
    assert there.depth(0)[1] == [(100, 2), (101, 10), (102, 10)]
    exchange.place("ann", market(BUY, 12), BEGIN + 3)
    assert [(t.number, t.ticks, t.lots) for t in there.trades] == [
        (1, 100, 2),
        (2, 100, 2),
        (3, 100, 2),
        (4, 100, 2),
        (5, 100, 1),
        (6, 101, 3),
    ]
    (candle,) = there.candles(SECOND_NS, BEGIN, BEGIN, 5)
    assert candle == Candle(BEGIN, 100, 101, 100, 101, 12, 1_203, 6, 12, 1_203)


def test_changes_are_numbered_without_a_hole_and_rebuild_the_book() -> None:
    """Levels are absolute, 0 is gone."""
    exchange = venue()
    there = exchange.markets[0]
    levels: dict[tuple[int, int], int] = {}
    number = there.sequence
    for step in range(60):
        side = BUY if step % 3 else SELL
        exchange.place("ann", limit(side, 95 + step * 7 % 11, 1 + step % 4), BEGIN + step)
        for event in exchange.take_events():
            if isinstance(event, DepthChange):
                assert event.first == number + 1
                number = event.last
                for change_side, ticks, lots in event.levels:
                    levels[change_side, ticks] = lots
    shown = {(side, ticks): lots for (side, ticks), lots in levels.items() if lots}
    bids, asks = there.depth(0)
    assert shown == {(BUY, t): n for t, n in bids} | {(SELL, t): n for t, n in asks}
    assert number == there.sequence


@pytest.mark.parametrize(
    ("lots_max", "ticks_max"), [(10**15, 10**15), (1_000, 2_000), (10**15, 5), (7, 10**15)]
)
def test_bounds_are_cut_to_what_the_kernel_can_hold(lots_max: int, ticks_max: int) -> None:
    """An instrument's own where they fit."""
    made = Market(instrument(lots_max=lots_max, ticks_max=ticks_max))
    assert made.lots_max <= lots_max
    assert made.ticks_max <= ticks_max
    assert made.lots_max * made.ticks_max < 1 << 62
    assert made.ticks_max >= min(ticks_max, 1 << 28)


def test_a_least_notional_counts_whole_ticks_times_lots() -> None:
    """Rounded up: 0.5 is 50 of them, 0.505 is 51."""
    assert Market(instrument(notional_min="0.5")).notional_min == 50
    assert Market(instrument(notional_min="0.501", quote_decimals=3)).notional_min == 51
    exchange = around(venue())
    seed(exchange, (BUY, 90, 1))
    assert exchange.markets[0].depth(0)[0][-1] == (90, 1)
