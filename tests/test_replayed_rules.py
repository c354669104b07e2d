"""A replayed market's rules, one by one: what is taken, what fills what rests, what is refused."""

import pytest

from engine.exchange.replayed import ReplayedMarket
from engine.exchange.replayed_levels import Impact
from engine.messages import BUY, SELL, BookState, Depth
from ext.matching import (
    ACCEPTED,
    CANCELLED,
    FOK,
    GTC,
    IOC,
    LIMIT,
    MARKET,
    NO_LIQUIDITY,
    NOT_FILLABLE,
    NOT_FILLED,
    RESTING,
    TRADE,
    OrderView,
    Report,
)

MS = 1_000_000


def market(**options: object) -> ReplayedMarket:
    """Bids 10 at 100 and 20 at 99, asks 5 at 102 and 8 at 103."""
    made = ReplayedMarket(**options)  # type: ignore[arg-type]
    made.show([(100, 10), (99, 20)], [(102, 5), (103, 8)])
    return made


def told(made: ReplayedMarket) -> list[tuple[int, ...]]:
    """(kind, reason, ticks, lots, leaves of ours) of each report since the last call."""
    return [
        (r.kind, r.reason, r.ticks, r.lots, r.leaves if r.order else r.other_leaves)
        for r in made.reports()
    ]


def fills(made: ReplayedMarket) -> list[tuple[int, int]]:
    """(ticks, lots) of each trade since the last call."""
    return [(r.ticks, r.lots) for r in made.reports() if r.kind == TRADE]


# --- taking --------------------------------------------------------------------------------------


def test_a_taker_walks_the_levels_and_rests_with_the_rest() -> None:
    """7 at up to 102 take 5 there; 2 wait at 102, where a bid of ours now stands alone."""
    made = market()
    number = made.submit(BUY, LIMIT, 102, 7, owner=9)
    assert made.reports() == [
        Report(ACCEPTED, BUY, 0, number, 9, 102, 7, 7, 0, 0, 0),
        Report(TRADE, BUY, 0, number, 9, 102, 5, 2, 0, 0, 0),
    ]
    assert made.order(number) == OrderView(number, 9, BUY, LIMIT, RESTING, 102, 7, 2, 2, 0)
    assert made.queue(number) == (0, 0)
    assert (made.last, made.best(SELL), made.orders(9), len(made)) == (102, (103, 8), [number], 1)


@pytest.mark.parametrize(
    ("kind", "ticks", "tif", "end"),
    [
        (
            MARKET,
            0,
            GTC,
            [(TRADE, 0, 102, 5, 9), (TRADE, 0, 103, 8, 1), (CANCELLED, NO_LIQUIDITY, 0, 1, 0)],
        ),
        (LIMIT, 102, IOC, [(TRADE, 0, 102, 5, 9), (CANCELLED, NOT_FILLED, 102, 9, 0)]),
        (LIMIT, 103, FOK, [(CANCELLED, NOT_FILLABLE, 103, 14, 0)]),
        (MARKET, 0, FOK, [(CANCELLED, NOT_FILLABLE, 0, 14, 0)]),
        (LIMIT, 101, IOC, [(CANCELLED, NOT_FILLED, 101, 14, 0)]),
    ],
)
def test_what_is_left_of_a_taker_ends(
    kind: int, ticks: int, tif: int, end: list[tuple[int, ...]]
) -> None:
    """14 wanted where 13 are offered."""
    made = market()
    made.submit(BUY, kind, ticks, 14, tif=tif)
    assert told(made)[1:] == end
    assert len(made) == 0


def test_a_fill_or_kill_that_fits_is_filled() -> None:
    """13 wanted where 13 are offered."""
    made = market()
    made.submit(BUY, LIMIT, 103, 13, tif=FOK)
    assert fills(made) == [(102, 5), (103, 8)]


def test_what_we_took_stays_taken() -> None:
    """Until the level is gone: it gives its growth, and nothing when it shrinks to what we took."""
    made = market()
    made.submit(BUY, LIMIT, 102, 4, tif=IOC)
    assert made.levels(SELL) == [(102, 1), (103, 8)]
    made.level(SELL, 102, 9)
    assert made.levels(SELL, 1) == [(102, 5)]
    made.level(SELL, 102, 3)
    assert made.best(SELL) == (103, 8)
    made.level(SELL, 102, 5)
    assert made.best(SELL) == (102, 2)
    made.level(SELL, 102, 0)
    made.level(SELL, 102, 5)
    assert made.best(SELL) == (102, 5)


def test_what_we_took_comes_back_by_time_or_change_where_asked() -> None:
    """`recovery_ns` after we last took there; with `renews`, at the first change."""
    made = market(recovery_ns=100)
    made.submit(BUY, LIMIT, 102, 3, tif=IOC)
    made.advance(60)
    made.submit(BUY, LIMIT, 102, 3, tif=IOC)
    made.advance(159)
    assert made.best(SELL) == (103, 8)
    made.advance(160)
    assert made.best(SELL) == (102, 5)
    made = market(renews=True)
    made.submit(BUY, LIMIT, 102, 5, tif=IOC)
    made.level(SELL, 102, 5)
    assert made.best(SELL) == (103, 8), "told again is not changed"
    made.level(SELL, 102, 4)
    assert made.best(SELL) == (102, 4)


def test_a_level_out_of_sight_keeps_what_we_took() -> None:
    """Of the two best asks, the second goes out of sight and comes back with as much as before."""
    made = market()
    made.show([(100, 10)], [(102, 5), (103, 8)], 2)
    made.submit(BUY, MARKET, 0, 7)
    made.show([(100, 10)], [(101, 1), (102, 5)], 2)
    made.show([(100, 10)], [(102, 5), (103, 8)], 2)
    assert made.levels(SELL) == [(103, 6)]


def test_impact_makes_much_dearer() -> None:
    """ticks * sqrt(lots / typical): 4 of typically 4 lots pay 2 more, 13 pay 2 * sqrt(13 / 4) more."""
    made = market(impact=Impact(2.0, 4))
    made.submit(BUY, MARKET, 0, 4)
    assert fills(made) == [(104, 4)]
    made = market(impact=Impact(2.0, 4))
    made.submit(BUY, MARKET, 0, 13)
    assert fills(made) == [(105, 5), (107, 8)]
    made = market(impact=Impact(2.0, 4))
    made.submit(SELL, LIMIT, 98, 12, tif=IOC)
    assert fills(made) == [(98, 4)], "no more than its limit bears"
    made = market(impact=Impact(0.0, 4))
    made.submit(BUY, LIMIT, 103, 13)
    assert fills(made) == [(102, 5), (103, 8)]


# --- resting -------------------------------------------------------------------------------------


def test_a_trade_at_our_price_serves_those_ahead_then_us() -> None:
    """10 ahead; 8 trade, then 5: 3 are for us, and the report is that of an order that rested."""
    made = market()
    number = made.submit(BUY, LIMIT, 100, 7, owner=3)
    made.trade(100, 8, SELL)
    assert made.queue(number) == (2, 0)
    made.trade(100, 5, BUY)
    made.trade(101, 5, SELL)
    assert told(made)[1:] == [], "bought by the taker, or above our price: nothing for us"
    made.trade(100, 5, SELL)
    assert made.reports() == [Report(TRADE, SELL, 0, 0, 0, 100, 3, 0, number, 3, 4)]
    made.trade(100, 4, SELL)
    assert made.order(number) is None


@pytest.mark.parametrize(("crossing_lots", "lots"), [(False, 7), (True, 4)])
def test_a_trade_beyond_our_price_fills_us(crossing_lots: bool, lots: int) -> None:
    """Whole, or by what traded; nobody is ahead any more."""
    made = market(crossing_lots=crossing_lots)
    made.submit(BUY, LIMIT, 100, 7)
    made.trade(99, 4, SELL)
    made.trade(100, 3, SELL)
    assert fills(made) == ([(100, 7)] if lots == 7 else [(100, 4), (100, 3)])


@pytest.mark.parametrize(
    ("crossing_lots", "lots", "left"),
    [(False, [7], [(99, 9), (100, 1)]), (True, [4, 2, 1], [(99, 8), (102, 5)])],
)
def test_a_level_that_crosses_us_fills_us(
    crossing_lots: bool, lots: list[int], left: list[tuple[int, int]]
) -> None:
    """Whole, or by what stands there; a level that grows gives its growth, one that shrinks nothing."""
    made = market(crossing_lots=crossing_lots)
    made.submit(BUY, LIMIT, 100, 7)
    made.level(SELL, 100, 4)
    made.level(SELL, 100, 6)
    made.level(SELL, 100, 5)
    made.level(SELL, 99, 9)
    assert fills(made) == [(100, size) for size in lots]
    assert made.levels(SELL, 2) == left, "what filled us is taken"


def test_nobody_is_ahead_of_what_was_passed() -> None:
    """A level crossed us for 4 of 7; the next trade at our price is ours."""
    made = market(crossing_lots=True)
    made.submit(BUY, LIMIT, 100, 7)
    made.level(SELL, 100, 4)
    made.trade(100, 2, SELL)
    assert fills(made) == [(100, 4), (100, 2)]


def test_the_better_price_is_served_first() -> None:
    """A sell of 6 through 101 with two of ours: the dearer bid first, then whoever came first."""
    made = market(crossing_lots=True)
    first, second = made.submit(BUY, LIMIT, 101, 3), made.submit(BUY, LIMIT, 101, 4)
    best = made.submit(BUY, LIMIT, 101, 2)
    made.replace(best, ticks=101, lots=1)
    made.trade(99, 6, SELL)
    filled = [(r.other, r.lots) for r in made.reports() if r.kind == TRADE]
    assert filled == [(first, 3), (second, 3)]


def test_beyond_the_levels_shown_everybody_is_ahead() -> None:
    """Of a feed's best two, a third is not known; once seen, all it has then is ahead."""
    made = market()
    made.show([(100, 10), (99, 20)], [(102, 5)], 2)
    number = made.submit(BUY, LIMIT, 98, 5)
    ask = made.submit(SELL, LIMIT, 104, 5)
    assert made.queue(number)[0] == float("inf")
    assert made.queue(ask)[0] == 0, "fewer than two: the feed shows all of that side"
    made.trade(98, 1_000, SELL)
    assert fills(made) == []
    made.show([(99, 20), (98, 30)], [(102, 5)], 2)
    assert made.queue(number)[0] == 30
    made.show([(100, 10), (99, 20)], [(102, 5)], 2)
    made.show([(99, 20), (98, 25)], [(102, 5)], 2)
    assert made.queue(number)[0] == 25
    made.trade(97, 1, SELL)
    assert fills(made) == [(98, 5)], "a trade beyond it has passed whatever was ahead"


def depth(state: BookState, pairs: list[tuple[int, int]]) -> Depth:
    """Two levels a side, zeros where there are none."""
    data = b"".join(n.to_bytes(8, "little") for pair in pairs for n in pair)
    return Depth(1, 1, 1, 7, state, 2, data)


def test_it_follows_the_engines_own_depth() -> None:
    """Padding is no level; a book that is not LIVE is not known, and our orders stay."""
    made = ReplayedMarket()
    made.follow(depth(BookState.LIVE, [(100, 10), (99, 20), (102, 5), (0, 0)]))
    assert (made.levels(BUY), made.levels(SELL)) == ([(100, 10), (99, 20)], [(102, 5)])
    number = made.submit(BUY, LIMIT, 100, 5)
    made.follow(depth(BookState.BROKEN, [(0, 0)] * 4))
    assert (made.levels(BUY), made.best(SELL)) == ([], (0, 0))
    made.submit(BUY, MARKET, 0, 5)
    assert told(made)[-1] == (CANCELLED, NO_LIQUIDITY, 0, 5, 0)
    made.follow(depth(BookState.LIVE, [(100, 4), (99, 20), (102, 5), (103, 1)]))
    assert made.queue(number) == (4, 0)


# --- order by order ------------------------------------------------------------------------------


def test_an_exact_market_is_fed_order_by_order() -> None:
    """Levels are refused; the changes of orders it never heard of are counted."""
    made = ReplayedMarket("exact")
    for feed in (
        lambda: made.level(BUY, 100, 1),
        lambda: made.show([], []),
        lambda: made.follow(depth(BookState.LIVE, [(0, 0)] * 4)),
    ):
        with pytest.raises(ValueError, match="order by order"):
            feed()
    made.added(1, BUY, 100, 5)
    with pytest.raises(ValueError, match="added before"):
        made.added(1, BUY, 100, 5)
    made.reduced(2, 5)
    made.executed(2, 5)
    assert (made.unknown, made.levels(BUY)) == (2, [(100, 5)])
    made.reduced(1, 9)
    assert made.levels(BUY) == []


def test_orders_told_one_by_one_serve_every_model() -> None:
    """A guessing market hears of levels and trades what the orders make of them."""
    made = ReplayedMarket("power", skew_ns=MS)
    made.added(1, BUY, 100, 6)
    made.added(2, BUY, 100, 4)
    number = made.submit(BUY, LIMIT, 100, 5)
    made.added(3, BUY, 100, 10)
    made.reduced(3, 4)
    assert made.queue(number) == (8, 8)
    made.advance(2 * MS)
    made.executed(1, 6)
    assert made.queue(number) == (2, 8)
