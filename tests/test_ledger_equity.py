"""Equity: what all is worth, the day's profit without what came and went, the peak, and its age."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.instruments import Instruments
from engine.ledger import Ledger
from engine.ledger_config import LedgerConfig
from engine.messages import (
    SELL,
    AnyMessage,
    BalanceSeen,
    BookState,
    Equity,
    Fill,
    PnL,
    TimerFired,
    Transfer,
    VenueStatus,
)
from engine.money.equity import DAY_NS
from engine.units import INT64_MAX
from tests.streams import SECOND, fill, holds_over_restore, intent, market, top
from tests.test_ledger import MARKET, fills

COIN = 10**8
NOON = 20_000 * DAY_NS + DAY_NS // 2
MID = 1_000_000  # BTC at 10,000.00


def seen(venue: int, asset: str, total: int, settled: bool = False) -> BalanceSeen:
    """A venue's word."""
    return BalanceSeen(1, 1, 0, venue, asset, total, settled)


def moved(asset: str, amount: int, name: str = "1", kind: str = "deposit") -> Transfer:
    """Money comes to venue 0."""
    return Transfer(1, 1, 0, 0, asset, amount, name, kind)


def worth(ledger: Ledger, now_ns: int = NOON) -> Equity:
    """What the Ledger says at its next mark."""
    outputs = ledger.on_message(TimerFired(0, 1, 0, 3, 1), now_ns)
    (found,) = (out for out in outputs if isinstance(out, Equity))
    return found


def told(*messages: AnyMessage, config: LedgerConfig | None = None) -> Ledger:
    """A ledger of a BTC/USDT market at 10,000 that has heard these."""
    ledger = Ledger(3, market(lots=("0.001",)), config)
    for message in (top(0, MID - 1, MID + 1, NOON), *messages):
        ledger.on_message(message, NOON)
    return ledger


def profit(found: Equity) -> int:
    """The day's, as the RiskGuard reads it."""
    return found.equity - found.opening - found.transfers


def test_everything_is_worth_its_mark() -> None:
    """2 BTC at 10,000 and 500 USDT, both of the opening."""
    found = worth(told(seen(0, "BTC", 2 * COIN), seen(0, "USDT", 500 * COIN)))
    assert (found.currency, found.equity, found.opening) == ("USDT", 20_500 * COIN, 20_500 * COIN)
    assert (found.transfers, found.peak, found.stale_ns, found.unmarked) == (0, found.equity, 0, "")


def test_nothing_is_said_before_a_venue_has_spoken() -> None:
    """What is held is not known, so its worth is not either."""
    ledger = told(fill(intent("a"), 10, "1"))
    outputs = ledger.on_message(TimerFired(0, 1, 0, 3, 1), NOON)
    assert not any(isinstance(out, Equity) for out in outputs)


def test_an_account_heard_of_late_is_no_profit() -> None:
    """Its worth goes into the opening and the peak, when it is first marked."""
    ledger = told(seen(0, "USDT", 500 * COIN))
    assert worth(ledger).opening == 500 * COIN
    ledger.on_message(seen(0, "BTC", COIN), NOON)
    found = worth(ledger, NOON + SECOND)
    assert (found.equity, found.opening, found.peak) == (10_500 * COIN,) * 3


def test_what_came_and_went_is_no_profit() -> None:
    """A deposit and a withdrawal are transfers, move the peak, and leave the day's profit alone."""
    ledger = told(seen(0, "USDT", 500 * COIN))
    worth(ledger)
    ledger.on_message(moved("BTC", COIN, "in"), NOON)
    ledger.on_message(moved("USDT", -100 * COIN, "out", "withdrawal"), NOON)
    found = worth(ledger, NOON + SECOND)
    assert (found.equity, found.transfers, found.peak) == (
        10_400 * COIN,
        9_900 * COIN,
        found.equity,
    )
    assert profit(found) == 0


def test_funding_is_a_profit() -> None:
    """What a position earns or costs by being held is not a transfer."""
    ledger = told(seen(0, "USDT", 500 * COIN))
    worth(ledger)
    ledger.on_message(moved("USDT", -3 * COIN, kind="funding"), NOON)
    found = worth(ledger, NOON + SECOND)
    assert (profit(found), found.transfers) == (-3 * COIN, 0)
    assert found.peak - found.equity == 3 * COIN


def test_the_day_begins_anew_at_midnight_utc() -> None:
    """The opening is the first equity of the day; the peak stays; a clock back is no new day."""
    ledger = told(seen(0, "BTC", COIN))
    worth(ledger)
    ledger.on_message(top(0, MID // 2 - 1, MID // 2 + 1, NOON), NOON)
    assert profit(worth(ledger, NOON + SECOND)) == -5_000 * COIN
    ledger.on_message(moved("USDT", 7 * COIN), NOON)
    found = worth(ledger, NOON + DAY_NS)
    assert (profit(found), found.opening, found.transfers) == (0, 5_000 * COIN, 7 * COIN)
    assert found.peak - found.equity == 5_000 * COIN
    ledger.on_message(top(0, MID - 1, MID + 1, NOON), NOON)
    assert profit(worth(ledger, NOON)) == 5_000 * COIN


def test_a_mark_grows_old_with_its_venue() -> None:
    """While the venue speaks a LIVE book is right; when it falls silent the equity says so."""
    ledger = told(seen(0, "BTC", COIN))
    assert worth(ledger, NOON + 5 * SECOND).stale_ns == 5 * SECOND
    status = VenueStatus(1, 1, 0, 0, True, *[0] * 9, True)
    ledger.on_message(status, NOON + 5 * SECOND)
    assert worth(ledger, NOON + 6 * SECOND).stale_ns == SECOND
    ledger.on_message(top(0, 0, 0, NOON, BookState.STALE), NOON + 6 * SECOND)
    assert worth(ledger, NOON + 6 * SECOND).stale_ns == 6 * SECOND


def test_what_has_no_mark_is_named_and_counted() -> None:
    """It is left out, the marks are as old as can be; once marked it is opening, not profit."""
    instruments = market(lots=("0.001",), symbols=("BTC/USDT", "ETH/USDT"))
    ledger = Ledger(3, instruments)
    for message in (seen(0, "ETH", COIN), seen(0, "USDT", COIN)):
        ledger.on_message(message, NOON)
    found = worth(ledger)
    assert (found.equity, found.unmarked, found.stale_ns) == (COIN, "ETH", INT64_MAX)
    assert ledger.unmarked == {"ETH": 1}
    ledger.on_message(top(1, 9_999, 10_001, NOON), NOON)
    found = worth(ledger)
    assert (found.equity, found.unmarked, profit(found)) == (101 * COIN, "", 0)


def test_an_ignored_asset_is_worth_nothing() -> None:
    """A configuration may leave out what has no market."""
    config = LedgerConfig(ignored=("BNB",))
    found = worth(told(seen(0, "USDT", COIN), seen(0, "BNB", 5 * COIN), config=config))
    assert (found.equity, found.unmarked) == (COIN, "")


def test_a_fee_in_a_third_asset_is_valued_at_its_mark() -> None:
    """0.01 BNB at 500.00 costs 5 USDT of equity, and stands so in the bot's book."""
    instruments = market(lots=("0.001",), symbols=("BTC/USDT", "BNB/USDT"))
    ledger = Ledger(3, instruments)
    for message in (
        top(0, MID - 1, MID + 1, NOON),
        top(1, 49_999, 50_001, NOON),
        seen(0, "USDT", 100_000 * COIN),
        seen(0, "BNB", COIN),
    ):
        ledger.on_message(message, NOON)
    worth(ledger)
    paid = fill(intent("a", ticks=MID, lots=1000), 1000, "1", COIN // 100, "BNB")
    ledger.on_message(paid, NOON)
    assert profit(worth(ledger)) == -5 * COIN
    assert ledger.books[9, 0, "BTC", "USDT"].fees_other == 5 * COIN
    assert ledger.positions["BTC", "USDT"].fees == 0


def test_the_currency_is_the_configurations() -> None:
    """All of it in BTC: 10,000 USDT are one."""
    config = LedgerConfig(currency="BTC")
    found = worth(told(seen(0, "USDT", 10_000 * COIN), seen(0, "BTC", COIN), config=config))
    assert (found.currency, found.equity) == ("BTC", 2 * COIN)


OPENING = {(venue, asset): 10**14 for venue in range(3) for asset in ("BTC", "ETH", "USDT")}
UNITS = Fraction(Decimal("1e-8"))


def opened(instruments: Instruments, mids: dict[str, int]) -> Ledger:
    """A ledger of three venues' full accounts, each symbol at its mid on all."""
    ledger = Ledger(3, instruments)
    for instrument in instruments:
        mid = mids[instrument.symbol]
        ledger.on_message(top(instrument.id, mid - 1, mid + 1, NOON), NOON)
    for (venue, asset), total in OPENING.items():
        ledger.on_message(seen(venue, asset, total), NOON)
    return ledger


MIDS = st.fixed_dictionaries({s: st.integers(2, 10**7) for s in ("BTC/USDT", "ETH/USDT")})


@given(
    st.lists(fills(), max_size=30).map(lambda told: [f for f in told if f.fee_asset != "BNB"]), MIDS
)
def test_realised_and_unrealised_less_fees_is_the_change_of_equity(
    told: list[Fill], mids: dict[str, int]
) -> None:
    """At the same mids, to the unit but for each mark's rounding down: one an asset and market."""
    ledger = opened(MARKET, mids)
    first = worth(ledger)
    for message in told:
        ledger.on_message(message, NOON)
    outputs = ledger.on_message(TimerFired(0, 1, 0, 3, 1), NOON)
    made = sum(out.equity for out in outputs if isinstance(out, PnL))
    (last,) = (out for out in outputs if isinstance(out, Equity))
    assert abs(profit(last) - made) <= 8
    assert last.equity - first.equity == profit(last)


@given(
    st.lists(
        st.one_of(
            fills(),
            st.builds(top, st.integers(0, 5), st.integers(1, 10**6), st.integers(10**6, 10**7)),
            st.builds(
                Transfer,
                *(st.just(1), st.just(1), st.just(7), st.integers(0, 2)),
                st.sampled_from(("BTC", "ETH", "USDT")),
                st.integers(-(10**12), 10**12),
                st.integers(0, 20).map(str),
                st.sampled_from(("deposit", "withdrawal", "funding")),
            ),
            st.just(TimerFired(0, 1, 0, 3, 1)),
        ),
        max_size=40,
    ),
    MIDS,
)
def test_equity_is_the_twins(stream: list[AnyMessage], mids: dict[str, int]) -> None:
    """Balances by hand times marks by hand; what came is valued when it is first marked."""
    config = LedgerConfig(ignored=("BNB",))
    ledger = Ledger(3, MARKET, config)
    rates: dict[int, int] = {}
    held: dict[str, int] = {}
    known: set[object] = set()
    for number, instrument in enumerate(MARKET):
        mid = mids[instrument.symbol]
        stream = [top(number, mid - 1, mid + 1), *stream]
    stream = [seen(venue, asset, total) for (venue, asset), total in OPENING.items()] + stream
    pending, moved_value, opening = dict.fromkeys(("BTC", "ETH", "USDT"), 0), Fraction(0), None
    for message in [*stream, TimerFired(0, 1, 0, 3, 1)]:
        outputs = ledger.on_message(message, NOON)
        match message:
            case BalanceSeen():
                held[message.asset] = held.get(message.asset, 0) + message.total
            case Fill():
                name = (message.venue, message.instrument, message.side, message.trade_id)
                if name in known:
                    continue
                known.add(name)
                instrument = MARKET[message.instrument]
                units = message.side * message.lots * instrument.base_units_per_lot
                paid = message.side * instrument.notional(message.ticks, message.lots)
                for asset, amount in (
                    (instrument.base, units),
                    (instrument.quote, -paid),
                    (message.fee_asset, -message.fee),
                ):
                    held[asset] = held.get(asset, 0) + amount
            case Transfer():
                if (message.venue, message.transfer_id) in known:
                    continue
                known.add((message.venue, message.transfer_id))
                held[message.asset] += message.amount
                if message.kind != "funding":
                    pending[message.asset] += message.amount
            case TimerFired():
                (found,) = (out for out in outputs if isinstance(out, Equity))
                marks = {"USDT": Fraction(1)}
                for asset in ("BTC", "ETH"):
                    mid = [m for i, m in rates.items() if MARKET[i].base == asset]
                    marks[asset] = Fraction(sum(mid), 2 * 100 * len(mid))
                exact = sum((held[asset] * mark for asset, mark in marks.items()), Fraction(0))
                moved_value += sum((pending[a] * mark for a, mark in marks.items()), Fraction(0))
                if opening is None:
                    opening = sum(
                        (total * marks[asset] for (_, asset), total in OPENING.items()), Fraction(0)
                    )
                pending = dict.fromkeys(pending, 0)
                rounded = 3 * (len(stream) + 1)
                assert 0 <= exact - found.equity <= 3
                assert 0 <= opening - found.opening <= 3
                assert abs(moved_value - found.transfers) <= rounded
                assert found.peak >= found.equity
            case _:
                assert not outputs
                rates[message.instrument] = message.bid_ticks + message.ask_ticks  # type: ignore[union-attr]


@given(
    st.lists(
        st.one_of(
            fills(),
            st.builds(top, st.integers(0, 5), st.integers(1, 9), st.integers(10, 20)),
            st.builds(seen, st.integers(0, 2), st.sampled_from(("BTC", "USDT")), st.integers(0, 9)),
            st.builds(moved, st.sampled_from(("BTC", "BNB")), st.integers(-9, 9), st.text("ab")),
            st.just(TimerFired(0, 1, 0, 3, 1)),
        ),
        max_size=40,
    ),
    st.integers(0, 40),
)
def test_restored_it_goes_on_the_same(stream: list[AnyMessage], cut: int) -> None:
    """Days, flows, marks and peaks are in the snapshot."""
    timed = [(message, NOON + at * DAY_NS // 7) for at, message in enumerate(stream)]
    holds_over_restore(lambda: Ledger(3, MARKET), timed, cut)


@pytest.mark.parametrize("marks", [1, 59, 60, 61, 120])
def test_open_books_speak_once_a_minute(marks: int) -> None:
    """Each that has something open, at every sixtieth mark; one that is flat has said it all."""
    ledger = told(fill(intent("a", ticks=MID), 10, "1"))
    other = intent("b", ticks=MID)
    ledger.on_message(fill(other, 10, "2"), NOON)
    kinds = [
        type(out).__name__
        for _ in range(marks)
        for out in ledger.on_message(TimerFired(0, 1, 0, 3, 1), NOON)
    ]
    assert kinds.count("BookPnL") == marks // 60
    ledger.on_message(fill(intent("c", side=SELL, ticks=MID, lots=20), 20, "3"), NOON)
    kinds = [
        type(out).__name__
        for _ in range(60)
        for out in ledger.on_message(TimerFired(0, 1, 0, 3, 1), NOON)
    ]
    assert "BookPnL" not in kinds
