"""The Ledger: exact to the unit, each trade once, held against a ledger in fractions."""

from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import ledger as ledger_module
from engine.instruments import Instruments
from engine.ledger import MARK_EVERY_NS, Ledger
from engine.messages import (
    BUY,
    SELL,
    AnyMessage,
    BalanceSeen,
    BalanceUpdate,
    BookPnL,
    BookState,
    Fill,
    PnL,
    PositionUpdate,
    SetTimer,
    Started,
    TimerFired,
)
from tests.streams import SECOND, fill, holds_over_restore, intent, market, run, top
from tests.twins.ledger import Trade, TwinLedger

UNIT = Decimal("1e-8")
MARKET = market(lots=("0.001", "0.01", "0.00001"), symbols=("BTC/USDT", "ETH/USDT"))


@st.composite
def fills(draw: st.DrawFn, instruments: Instruments = MARKET) -> Fill:
    """Any fill, sometimes one told before, its fee in the quote, the base or a third asset."""
    number = draw(st.integers(0, len(instruments) - 1))
    instrument = instruments[number]
    side = draw(st.sampled_from((BUY, SELL)))
    lots = draw(st.integers(1, 50))
    order = intent("x", number, side, draw(st.integers(1, 2_000_000)), lots, instrument.venue)
    asset = draw(st.sampled_from((instrument.quote, instrument.quote, instrument.base, "BNB")))
    made = fill(order, lots, str(draw(st.integers(1, 60))), draw(st.integers(-500, 5_000)), asset)
    return msgspec.structs.replace(made, bot=draw(st.sampled_from((9, 10))))


def as_trade(instruments: Instruments, told: Fill) -> Trade:
    """A fill as decimal numbers."""
    instrument = instruments[told.instrument]
    return Trade(
        instruments.venues[told.venue],
        instrument.base,
        instrument.quote,
        told.side == BUY,
        Decimal(instrument.ticks_to_price(told.ticks)),
        Decimal(instrument.lots_to_quantity(told.lots)),
        told.fee * UNIT,
        told.fee_asset,
        told.trade_id,
        told.bot,
    )


@given(st.lists(fills(), max_size=40), st.integers(-(10**12), 10**12))
def test_balances_and_positions_are_the_twins(told: list[Fill], opening: int) -> None:
    """Every balance is exact, quote is conserved exactly, costs differ by rounding only."""
    ledger = Ledger(3, MARKET)
    twin = TwinLedger({("venue0", "USDT"): opening * UNIT})
    ledger.on_message(BalanceSeen(1, 1, 0, 0, "USDT", opening), SECOND)
    for message in told:
        ledger.on_message(message, SECOND)
        twin.add(as_trade(MARKET, message))
    for (venue, asset), total in ledger.balances.items():
        assert total * UNIT == twin.balance(venue, asset)
    assert ledger.trade_count == len(twin.trades)
    for (base, quote), position in ledger.positions.items():
        quantity, cost, realised, fees = twin.position(base, quote)
        assert position.quantity * Fraction(UNIT) == quantity
        # a fee in the base asset is valued at the fill's price, rounded down to the unit
        assert abs(fees - position.fees * Fraction(UNIT)) <= len(twin.trades) * Fraction(UNIT)
        made = (position.realised - position.cost - position.fees) * Fraction(UNIT)
        assert made == realised - cost - fees
        # each closing rounds two divisions; what is left in the cost is spread by later ones
        assert abs(position.cost * Fraction(UNIT) - cost) <= 4 * len(twin.trades) * Fraction(UNIT)


@given(st.lists(fills(), max_size=40))
def test_books_are_the_twins_first_in_first_out(told: list[Fill]) -> None:
    """Each bot's book on each venue: quantity exact, quote conserved, realised to the rounding."""
    ledger, twin = Ledger(3, MARKET), TwinLedger({})
    for message in told:
        ledger.on_message(message, SECOND)
        twin.add(as_trade(MARKET, message))
    inexact = 4 * len(twin.trades) * Fraction(UNIT)
    for (bot, venue, base, quote), book in ledger.books.items():
        name = MARKET.venues[venue]
        quantity, cost, realised = twin.first_in_first_out(bot, name, base, quote)
        assert book.lots.quantity * Fraction(UNIT) == quantity
        assert abs(book.lots.cost * Fraction(UNIT) - cost) <= inexact
        assert abs(book.lots.realised * Fraction(UNIT) - realised) <= inexact
        average = book.average
        assert average.quantity == book.lots.quantity
        assert average.realised - average.cost == book.lots.realised - book.lots.cost


@given(st.lists(fills(), max_size=40))
def test_every_asset_adds_up_to_zero(told: list[Fill]) -> None:
    """Over all accounts, and the books of all bots are the net positions' quantities and fees."""
    ledger = Ledger(3, MARKET)
    ledger.on_message(BalanceSeen(1, 1, 0, 0, "USDT", 10**12), SECOND)
    run(ledger, [(message, SECOND) for message in told])
    assert not any(ledger.accounts.sums().values())
    for pair, position in ledger.positions.items():
        books = [book for key, book in ledger.books.items() if key[2:] == pair]
        assert sum(book.average.quantity for book in books) == position.quantity
        assert sum(book.average.fees for book in books) == position.fees


@given(st.lists(fills(), max_size=40))
def test_profit_is_what_the_balances_say(told: list[Fill]) -> None:
    """Quote balances over all venues are realised profit less cost and fees, to the unit."""
    ledger = Ledger(3, MARKET)
    run(ledger, [(message, SECOND) for message in told])
    held = sum(total for (_, asset), total in ledger.balances.items() if asset == "USDT")
    assert held == sum(p.realised - p.cost - p.fees for p in ledger.positions.values())


@given(st.lists(fills(), max_size=30), st.data())
def test_a_repeated_fill_changes_nothing(told: list[Fill], data: st.DataObject) -> None:
    """Told again in any order, fills are counted once and answered with nothing."""
    ledger = Ledger(3, MARKET)
    run(ledger, [(message, SECOND) for message in told])
    before = ledger.snapshot()
    again = data.draw(st.permutations(told))
    assert run(ledger, [(message, SECOND) for message in again]) == []
    assert ledger.snapshot() == before


@given(
    st.lists(
        st.one_of(
            fills(),
            st.builds(top, st.integers(0, 5), st.integers(1, 9), st.integers(10, 20)),
            st.builds(
                BalanceSeen,
                *(st.just(1), st.just(1), st.just(7), st.integers(0, 2)),
                st.sampled_from(("BTC", "USDT")),
                st.integers(0, 10**15),
            ),
            st.just(TimerFired(0, 1, 0, 3, 1)),
        ),
        max_size=40,
    ),
    st.integers(0, 40),
)
def test_restored_it_goes_on_the_same(stream: list[AnyMessage], cut: int) -> None:
    """A snapshot in the middle of anything gives the same outputs and the same state."""
    holds_over_restore(lambda: Ledger(3, MARKET), [(m, SECOND) for m in stream], cut)


def test_buying_and_selling_dearer_realises_the_difference() -> None:
    """1 BTC bought at 10,000 and half of it sold at 11,000 realises 500, with fees apart."""
    instruments = market(lots=("0.001",))
    ledger = Ledger(3, instruments)
    bought = fill(intent("a", ticks=1_000_000, lots=1000), 1000, "1", fee=10 * 10**8)
    sold = fill(intent("b", side=SELL, ticks=1_100_000, lots=500), 500, "2", fee=5 * 10**8)
    ledger.on_message(top(0, 1_199_900, 1_200_100), SECOND)
    ledger.on_message(bought, SECOND)
    position, base, quote, book, pnl = ledger.on_message(sold, SECOND)
    assert isinstance(position, PositionUpdate)
    assert (position.base, position.quote, position.quantity) == ("BTC", "USDT", 50_000_000)
    assert (position.cost, position.realised, position.fees) == (5000e8, 500e8, 15e8)
    assert isinstance(base, BalanceUpdate)
    assert isinstance(quote, BalanceUpdate)
    assert (base.asset, base.total, quote.asset) == ("BTC", 50_000_000, "USDT")
    assert quote.total == (-10_000 + 5_500 - 15) * 10**8
    assert isinstance(book, BookPnL)
    assert (book.bot, book.venue, book.base, book.quote) == (9, 0, "BTC", "USDT")
    assert (book.realised_fifo, book.realised_average, book.fees) == (500e8, 500e8, 15e8)
    assert isinstance(pnl, PnL)
    assert (pnl.realised, pnl.unrealised, pnl.fees, pnl.equity) == (500e8, 1000e8, 15e8, 1485e8)
    assert {position.received_ns, base.received_ns, pnl.received_ns} == {sold.received_ns}


def test_a_short_flips_to_a_long() -> None:
    """Buying more than was sold closes the short at its average and opens the rest."""
    ledger = Ledger(3, market(lots=("0.001",)))
    ledger.on_message(fill(intent("a", side=SELL, ticks=1_000_000), 10, "1"), SECOND)
    ledger.on_message(fill(intent("b", side=BUY, ticks=900_000), 25, "2"), SECOND)
    position = ledger.positions["BTC", "USDT"]
    assert (position.quantity, position.cost, position.realised) == (1_500_000, 135e8, 10e8)


def test_no_mid_is_no_profit() -> None:
    """Until a book was LIVE with both sides, what is held is worth what it cost."""
    ledger = Ledger(3, market(lots=("0.001",)))
    ledger.on_message(top(0, 5, 7, state=BookState.STALE), SECOND)
    ledger.on_message(top(0, 0, 7), SECOND)
    pnl = ledger.on_message(fill(intent("a"), 10, "1"), SECOND)[-1]
    assert isinstance(pnl, PnL)
    assert (pnl.unrealised, pnl.equity) == (0, 0)


def test_the_mark_is_the_mean_over_venues() -> None:
    """Two venues' mids of 100 and 200 value a coin at 150."""
    ledger = Ledger(3, market())
    ledger.on_message(top(0, 9_900, 10_100), SECOND)
    ledger.on_message(top(1, 19_900, 20_100), SECOND)
    pnl = ledger.on_message(fill(intent("a", ticks=10_000, lots=1000), 1000, "1"), SECOND)[-1]
    assert isinstance(pnl, PnL)
    assert pnl.unrealised == 50 * 10**8


def test_the_first_word_opens_an_account_and_later_ones_are_kept() -> None:
    """Only the first BalanceSeen sets a balance; the last is there to compare with."""
    ledger = Ledger(3, MARKET)
    (opened,) = ledger.on_message(BalanceSeen(1, 1, 7, 1, "USDT", 500), SECOND)
    assert isinstance(opened, BalanceUpdate)
    assert (opened.venue, opened.asset, opened.total, opened.received_ns) == (1, "USDT", 500, 7)
    assert ledger.on_message(BalanceSeen(1, 2, 8, 1, "USDT", 400), SECOND) == ()
    assert ledger.balances == {("venue1", "USDT"): 500}
    assert ledger.balances_seen == {("venue1", "USDT"): 400}


def test_it_marks_every_second_and_not_on_every_top() -> None:
    """A start and each firing set the next timer and mark; a top is only remembered."""
    ledger = Ledger(3, market(lots=("0.001",)))
    (timer,) = ledger.on_message(Started(0, 1, 0, 1), 5)
    assert isinstance(timer, SetTimer)
    assert timer.at_ns == 5 + MARK_EVERY_NS
    ledger.on_message(fill(intent("a", ticks=10_000), 10, "1"), SECOND)
    assert ledger.on_message(top(0, 19_999, 20_001), SECOND) == ()
    again, pnl = ledger.on_message(TimerFired(0, 2, 0, 3, timer.key), 9)
    assert isinstance(again, SetTimer)
    assert again.at_ns == 9 + MARK_EVERY_NS
    assert isinstance(pnl, PnL)
    assert pnl.unrealised == 10**8


def test_the_memory_of_trades_is_bounded_a_venue(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy venue pushes out its own oldest ids, never another's, and the count goes on."""
    monkeypatch.setattr(ledger_module, "TRADES_MAX", 3)
    ledger = Ledger(3, MARKET)
    quiet = fill(intent("q", 2, venue=1), 1, "quiet")
    ledger.on_message(quiet, SECOND)
    for number in range(10):
        ledger.on_message(fill(intent("b"), 1, str(number)), SECOND)
    assert ledger.on_message(quiet, SECOND) == ()
    assert ledger.on_message(fill(intent("b"), 1, "9"), SECOND) == ()
    assert ledger.trade_count == 11


def test_other_bytes_are_refused() -> None:
    """Bytes of another shape are no snapshot."""
    with pytest.raises(ValueError, match=r"."):
        Ledger(3, MARKET).restore(b"\x93\x01\x02\x03")
