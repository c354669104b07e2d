"""The Scanner: what it tells is what a slow search over all units finds, and it ends what ends."""

import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.instruments import Instrument, Instruments
from engine.messages import (
    AnyMessage,
    BookState,
    Depth,
    Opportunity,
    OpportunityGone,
    SetTimer,
    Started,
    TimerFired,
)
from engine.scanner import Scanner
from engine.scanner_config import ScannerConfig
from tests.streams import MS, SECOND, depth, holds_over_restore, market, run

# A fee and a least profit at which no two prices tie, so that floats and fractions agree.
FEE, PROFIT_MIN_BPS = "0.000997", 1.0
MARKET = market(lots=("0.002", "0.003", "0.001"), fee=FEE, notional_min="0.5")
CONFIG = ScannerConfig(PROFIT_MIN_BPS, {"BTC": "0.05"}, 2000)
STALE_NS = 2000 * MS
CHEAP, DEAR = ([(10_000, 30)], [(10_010, 30)]), ([(10_200, 30)], [(10_210, 30)])

Side = list[tuple[int, int]]


def scanner(instruments: Instruments = MARKET, config: ScannerConfig = CONFIG) -> Scanner:
    """A scanner that has seen nothing."""
    return Scanner(2, instruments, config)


def side_of(told: Depth, asks: bool) -> Side:
    """One side's (ticks, lots) before the padding, the best first."""
    pairs = list(struct.iter_unpack("<qq", told.pairs))
    half = pairs[told.levels :] if asks else pairs[: told.levels]
    return [(ticks, lots) for ticks, lots in half if lots]


def units(side: Side, instrument: Instrument) -> list[int]:
    """The price in ticks of each 0.001 coins of a side, unit by unit."""
    each = instrument.base_units_per_lot // 100_000
    return [ticks for ticks, lots in side for _ in range(lots * each)]


def slowly(buying: Depth, selling: Depth) -> tuple[int, int, int, int, int] | None:
    """(buy ticks, buy lots, sell ticks, sell lots, profit): unit by unit while each pays."""
    buy, sell = MARKET[buying.instrument], MARKET[selling.instrument]
    asks, bids = units(side_of(buying, True), buy), units(side_of(selling, False), sell)
    fee, least = Fraction(FEE), Fraction(int(PROFIT_MIN_BPS), 10_000)
    paying = 0
    for ask, bid in zip(asks, bids, strict=False):
        if bid * (1 - fee) <= ask * (1 + fee + least):
            break
        paying += 1
    each = (buy.base_units_per_lot // 100_000, sell.base_units_per_lot // 100_000)
    count = min(paying, 50)  # quantity_max
    while count % each[0] or count % each[1]:
        count -= 1
    if not count or min(asks[count - 1], bids[count - 1]) * count < 50_000:  # the least notional
        return None
    paid, received = sum(asks[:count]) * 1000, sum(bids[:count]) * 1000  # 1e-8 USDT
    fees = -(-paid * fee // 1) + -(-received * fee // 1)
    profit = int(received - paid - fees)
    return asks[count - 1], count // each[0], bids[count - 1], count // each[1], profit


@st.composite
def depths(draw: st.DrawFn) -> Depth:
    """A depth of any venue around 100.00, its sides a few ticks apart; sometimes lost or empty."""
    number = draw(st.integers(0, 2))
    mid = draw(st.integers(9_900, 10_100))
    level = st.tuples(st.integers(1, 30), st.integers(1, 20))

    def ladder(sign: int) -> Side:
        steps = draw(st.lists(level, max_size=4))
        ticks, side = mid, []
        for step, lots in steps:
            ticks += sign * step
            side.append((ticks, lots))
        return side

    state = draw(st.sampled_from((BookState.LIVE,) * 9 + (BookState.CROSSED,)))
    return depth(number, ladder(-1), ladder(1), state=state)


def test_a_crossing_is_told_with_limits_lots_and_profit() -> None:
    """Buy 0.05 at 100.10, sell it at 102.00, rounded to what both lots allow: 0.048."""
    made = scanner()
    assert made.on_message(depth(0, *CHEAP), SECOND) == ()
    (told,) = made.on_message(depth(1, *DEAR, received_ns=SECOND + 5), SECOND + 9)
    paid, received = 10_010 * 48_000, 10_200 * 48_000
    profit = received - paid - -(-paid * 997 // 10**6) - -(-received * 997 // 10**6)
    assert told == Opportunity(2, 1, SECOND + 5, 1, 0, 10_010, 24, 1, 10_200, 16, profit)


@given(st.lists(depths(), min_size=2, max_size=25))
def test_it_tells_what_a_slow_search_finds(stream: list[Depth]) -> None:
    """After each depth, what is told and not gone is exactly what the books hold, both ways."""
    made = scanner()
    books: dict[int, Depth] = {}
    standing: dict[int, Opportunity] = {}
    for message in stream:
        for out in made.on_message(message, SECOND):
            if isinstance(out, OpportunityGone):
                del standing[out.opportunity]
            else:
                assert isinstance(out, Opportunity)
                standing[out.opportunity] = out
        books[message.instrument] = message
        live = [book for book in books.values() if book.state is BookState.LIVE]
        expected = {
            (buying.instrument, selling.instrument): found
            for buying in live
            for selling in live
            if buying is not selling and (found := slowly(buying, selling)) is not None
        }
        told = {(o.buy_instrument, o.sell_instrument): o for o in standing.values()}
        assert {
            pair: (o.buy_ticks, o.buy_lots, o.sell_ticks, o.sell_lots) for pair, o in told.items()
        } == {pair: terms[:4] for pair, terms in expected.items()}


@given(depths(), depths())
def test_the_profit_is_exact(first: Depth, second: Depth) -> None:
    """The profit told is what the slow search earns, to the unit."""
    made = scanner()
    outputs = run(made, [(first, SECOND), (second, SECOND)])
    for out in outputs:
        if isinstance(out, Opportunity):
            pair = {first.instrument: first, second.instrument: second}
            expected = slowly(pair[out.buy_instrument], pair[out.sell_instrument])
            assert expected is not None
            assert out.profit == expected[4]


def test_it_keeps_its_number_and_is_told_again_only_when_terms_change() -> None:
    """Same limits and lots: silence. Another limit: the same number again. Gone and back: a new."""
    made = scanner()
    run(made, [(depth(0, *CHEAP), SECOND), (depth(1, *DEAR), SECOND)])
    deeper = depth(1, [*DEAR[0], (9_000, 7)], DEAR[1])
    assert made.on_message(deeper, SECOND + 1) == ()
    (again,) = made.on_message(depth(1, [(10_190, 30)], DEAR[1]), SECOND + 2)
    assert isinstance(again, Opportunity)
    assert (again.opportunity, again.sell_ticks) == (1, 10_190)
    (gone,) = made.on_message(depth(1, *CHEAP, received_ns=SECOND + 3), SECOND + 4)
    assert gone == OpportunityGone(2, 3, SECOND + 3, 1, 4)
    (back,) = made.on_message(depth(1, *DEAR), SECOND + 5)
    assert isinstance(back, Opportunity)
    assert back.opportunity == 2


@pytest.mark.parametrize("state", [s for s in BookState if s is not BookState.LIVE])
def test_a_book_that_is_not_live_ends_its_opportunities(state: BookState) -> None:
    """It is taken out at once, and a depth of another venue does not bring it back."""
    made = scanner()
    run(made, [(depth(0, *CHEAP), SECOND), (depth(1, *DEAR), SECOND)])
    (gone,) = made.on_message(depth(1, *DEAR, state=state), SECOND + 7)
    assert isinstance(gone, OpportunityGone)
    assert gone.lifetime_ns == 7
    assert made.on_message(depth(0, *CHEAP), SECOND + 8) == ()


def test_a_stale_book_is_not_used_and_ends_what_it_held() -> None:
    """A book exactly as old as allowed counts, a nanosecond older does not."""
    made = scanner()
    made.on_message(depth(1, *DEAR), SECOND)
    at_ns = SECOND + STALE_NS
    fresh = depth(0, *CHEAP, received_ns=at_ns)
    (told,) = made.on_message(fresh, at_ns)
    assert isinstance(told, Opportunity)
    (gone,) = made.on_message(fresh, at_ns + 1)
    assert isinstance(gone, OpportunityGone)


def test_a_depth_that_comes_late_is_not_used() -> None:
    """What waited longer than the limit in some queue is as stale as a silent book."""
    made = scanner()
    late_ns = SECOND + STALE_NS + 1
    made.on_message(depth(1, *DEAR, received_ns=late_ns), late_ns)
    assert made.on_message(depth(0, *CHEAP, received_ns=SECOND), late_ns) == ()


def test_silence_on_all_venues_ends_opportunities_by_timer() -> None:
    """Where no depth comes any more, the timer says that it is over."""
    made = scanner()
    (timer,) = made.on_message(Started(0, 1, 0, 1), SECOND)
    assert isinstance(timer, SetTimer)
    assert timer.at_ns == SECOND + STALE_NS
    run(made, [(depth(0, *CHEAP), SECOND), (depth(1, *DEAR), SECOND)])
    assert len(made.on_message(TimerFired(0, 1, 0, 2, timer.key), SECOND + STALE_NS)) == 1
    again, gone = made.on_message(TimerFired(0, 2, 0, 2, timer.key), SECOND + STALE_NS + 1)
    assert isinstance(again, SetTimer)
    assert isinstance(gone, OpportunityGone)


def test_a_symbol_is_compared_with_itself_only() -> None:
    """Cheap bitcoin and dear ether are no crossing."""
    made = scanner(market(("0.001", "0.001"), "0.001", "1", symbols=("BTC/USDT", "ETH/USDT")))
    run(made, [(depth(0, *CHEAP), SECOND)])
    assert made.on_message(depth(3, *DEAR), SECOND) == ()
    assert len(made.on_message(depth(2, *DEAR), SECOND)) == 1


@pytest.mark.parametrize(("quantity_max", "lots_max", "lots"), [("0.0077", 100, 7), ("1", 5, 5)])
def test_the_quantity_is_capped_by_config_and_by_the_venues(
    quantity_max: str, lots_max: int, lots: int
) -> None:
    """The smallest of what the configuration and both venues' largest orders allow."""
    instruments = market(lots=("0.001", "0.001"), notional_min="0.1", lots_max=lots_max)
    made = scanner(instruments, ScannerConfig(1.0, {"BTC": quantity_max}, 2000))
    made.on_message(depth(0, *CHEAP), SECOND)
    (told,) = made.on_message(depth(1, *DEAR), SECOND)
    assert isinstance(told, Opportunity)
    assert (told.buy_lots, told.sell_lots) == (lots, lots)


@pytest.mark.parametrize(("bps", "found"), [(0, 1), (9, 1), (11, 0), (10_000, 0)])
def test_the_least_profit_is_asked_of_every_unit(bps: float, found: int) -> None:
    """100.10 to 100.20 without fees is 9.99 basis points."""
    made = scanner(market(fee="0"), ScannerConfig(bps, {}, 2000))
    made.on_message(depth(0, [(10_000, 90)], [(10_010, 90)]), SECOND)
    assert len(made.on_message(depth(1, [(10_020, 90)], [(10_030, 90)]), SECOND)) == found


@given(
    st.lists(
        st.tuples(
            st.one_of(depths(), st.just(TimerFired(0, 1, 0, 2, 1))), st.integers(0, 1500 * MS)
        ),
        max_size=30,
    ),
    st.integers(0, 30),
)
def test_restored_it_goes_on_the_same(steps: list[tuple[AnyMessage, int]], cut: int) -> None:
    """A snapshot in the middle of anything gives the same outputs and the same state."""
    now_ns, stream = SECOND, []
    for message, pause_ns in steps:
        now_ns += pause_ns
        stream.append((message, now_ns))
    holds_over_restore(scanner, stream, cut)
