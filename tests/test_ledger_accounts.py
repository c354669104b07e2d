"""The Ledger against its venues' words: openings, drifts, transfers, dust, whose money it is."""

from collections.abc import Sequence

import pytest

from engine.ledger import Ledger
from engine.ledger_config import LedgerConfig
from engine.messages import (
    AnyMessage,
    BalanceUpdate,
    Difference,
    DifferenceKind,
    Dust,
    Transfer,
)
from engine.money.accounts import HOUSE
from engine.money.accounts import AccountKind as Kind
from tests.streams import SECOND, fill, intent, market, run
from tests.test_ledger_equity import moved, seen


def made(*messages: AnyMessage) -> Ledger:
    """A ledger of two BTC/USDT markets that has heard these."""
    ledger = Ledger(3, market(lots=("0.001", "0.001")))
    run(ledger, [(message, SECOND) for message in messages])
    return ledger


def told(ledger: Ledger, *messages: AnyMessage) -> list[tuple[str, int, int, bool]]:
    """The differences that it names, as (asset, ours, theirs, repaired)."""
    outputs = run(ledger, [(message, SECOND) for message in messages])
    differences = [out for out in outputs if isinstance(out, Difference)]
    assert all(found.kind is DifferenceKind.BALANCE_DRIFT for found in differences)
    return [(d.subject, d.ours, d.theirs, d.repaired) for d in differences]


def test_a_drift_is_said_once_and_again_when_it_changes_or_goes() -> None:
    """Only settled words count: of another it is not known which fills are in it."""
    ledger = made(seen(0, "USDT", 100, True))
    assert told(ledger, seen(0, "USDT", 90)) == []
    assert told(ledger, seen(0, "USDT", 90, True)) == [("USDT", 100, 90, False)]
    assert ledger.drifts == {("venue0", "USDT"): -10}
    assert told(ledger, seen(0, "USDT", 90, True), seen(0, "USDT", 90, True)) == []
    assert told(ledger, seen(0, "USDT", 95, True)) == [("USDT", 100, 95, False)]
    assert told(ledger, seen(0, "USDT", 100, True)) == [("USDT", 100, 100, True)]
    assert told(ledger, seen(0, "USDT", 100, True)) == []
    assert ledger.drifts == {}


def test_a_drift_moves_no_balance() -> None:
    """The accounts go by entries; what a venue says without one is escalated, not believed."""
    ledger = made(seen(0, "USDT", 100, True), seen(0, "USDT", 90, True))
    assert ledger.balances["venue0", "USDT"] == 100


def test_what_a_venue_rounds_is_taken_as_it_is_and_named() -> None:
    """As much a fill as the configuration says, of the fills since the last word that agreed."""
    config = LedgerConfig(rounding={"USDT": "0.00000002"})
    ledger = Ledger(3, market(lots=("0.001",)), config)
    price = 10_000 * 10  # ten lots at 100.00 in units of USDT: 1.00
    run(ledger, [(seen(0, "USDT", 10**9, True), SECOND)])
    for name in ("1", "2"):
        ledger.on_message(fill(intent(name, ticks=10_000), 10, name), SECOND)
    left = 10**9 - 2 * price * 1000
    assert ledger.balances["venue0", "USDT"] == left
    assert told(ledger, seen(0, "USDT", left - 4, True)) == [("USDT", left, left - 4, True)]
    assert ledger.balances["venue0", "USDT"] == left - 4
    assert ledger.accounts.balance(Kind.ROUNDING, 0, "USDT", HOUSE) == 4
    assert told(ledger, seen(0, "USDT", left - 5, True)) == [("USDT", left - 4, left - 5, False)]
    ledger.on_message(fill(intent("3", ticks=10_000), 10, "3"), SECOND)
    after = left - 4 - price * 1000
    assert told(ledger, seen(0, "USDT", after - 3, True)) == [("USDT", after, after - 3, False)]
    assert told(ledger, seen(0, "USDT", after - 2, True)) == [("USDT", after, after - 2, True)]
    assert ledger.drifts == {}


def test_a_transfer_that_is_just_the_drift_explains_it() -> None:
    """Told after the balance it made, it repairs; told before, there is no drift at all."""
    ledger = made(seen(0, "USDT", 100, True))
    assert told(ledger, seen(0, "USDT", 150, True)) == [("USDT", 100, 150, False)]
    assert told(ledger, moved("USDT", 50)) == [("USDT", 150, 150, True)]
    assert told(ledger, seen(0, "USDT", 150, True)) == []
    assert told(ledger, moved("USDT", 7, "2"), seen(0, "USDT", 157, True)) == []


def test_another_transfer_explains_nothing() -> None:
    """It is booked all the same, and the next settled word says what is left."""
    ledger = made(seen(0, "USDT", 100, True), seen(0, "USDT", 150, True))
    assert told(ledger, moved("USDT", 20)) == []
    assert told(ledger, seen(0, "USDT", 150, True)) == [("USDT", 120, 150, False)]


def test_a_missing_fill_ends_its_drift() -> None:
    """Told late, it moves the balance; the next settled word agrees."""
    ledger = made(seen(0, "BTC", 0, True), seen(0, "BTC", 1_000_000, True))
    assert ledger.drifts == {("venue0", "BTC"): 1_000_000}
    late = fill(intent("a"), 10, "1")
    assert told(ledger, late, seen(0, "BTC", 1_000_000, True)) == [
        ("BTC", 1_000_000, 1_000_000, True)
    ]


@pytest.mark.parametrize("kind", ["deposit", "withdrawal", "funding", "other"])
def test_a_transfer_is_booked_once(kind: str) -> None:
    """By its id at its venue: another venue's same id is another transfer."""
    ledger = made(seen(0, "USDT", 100), seen(1, "USDT", 100))
    first = moved("USDT", 5, "x", kind)
    (update,) = ledger.on_message(first, SECOND)
    assert isinstance(update, BalanceUpdate)
    assert (update.venue, update.total) == (0, 105)
    assert ledger.on_message(first, SECOND) == ()
    ledger.on_message(Transfer(1, 1, 0, 1, "USDT", 5, "x", kind), SECOND)
    assert ledger.balances == {("venue0", "USDT"): 105, ("venue1", "USDT"): 105}
    source = Kind.FUNDING if kind == "funding" else Kind.TRANSFERS
    assert ledger.accounts.balance(source, 0, "USDT", HOUSE) == -5


def test_what_came_before_the_first_word_is_in_it() -> None:
    """A fill and a transfer told before the opening are not counted on top of it."""
    early: Sequence[AnyMessage] = (fill(intent("a"), 10, "1"), moved("BTC", 500))
    ledger = made(*early, seen(0, "BTC", 3_000_000))
    assert ledger.balances["venue0", "BTC"] == 3_000_000
    assert ledger.accounts.balance(Kind.OPENING, 0, "BTC", HOUSE) == -1_999_500
    assert not any(ledger.accounts.sums().values())


def test_the_first_settled_word_puts_the_opening_right() -> None:
    """An earlier one was read before a fill that was told first: the fill is not lost with it."""
    ledger = made(fill(intent("a"), 10, "1"), seen(0, "BTC", 5_000_000))
    assert ledger.balances["venue0", "BTC"] == 5_000_000
    assert told(ledger, seen(0, "BTC", 6_000_000, True)) == []
    assert ledger.balances["venue0", "BTC"] == 6_000_000
    assert ledger.accounts.balance(Kind.OPENING, 0, "BTC", HOUSE) == -5_000_000
    assert told(ledger, seen(0, "BTC", 7_000_000, True)) == [("BTC", 6_000_000, 7_000_000, False)]


def test_each_bot_has_what_it_traded_and_the_house_the_rest() -> None:
    """By account: the opening is nobody's, a fill is its bot's, and fees stand by themselves."""
    bought = fill(intent("a", ticks=10_000), 10, "1", fee=3)
    ledger = made(seen(0, "USDT", 10**12), bought)
    accounts = ledger.accounts
    assert accounts.balance(Kind.HOLDING, 0, "USDT", HOUSE) == 10**12
    assert accounts.balance(Kind.HOLDING, 0, "BTC", 9) == 1_000_000
    assert accounts.balance(Kind.HOLDING, 0, "USDT", 9) == -(10**8) - 3
    assert accounts.balance(Kind.FEES, 0, "USDT", 9) == 3
    assert accounts.balance(Kind.TRADING, 0, "USDT", 9) == 10**8


def test_dust_is_put_aside_and_stays_in_the_balance() -> None:
    """From the bot's holding to its dust; back by a negative amount."""
    ledger = made(seen(0, "BTC", 0, True), fill(intent("a"), 10, "1"))
    (update,) = ledger.on_message(Dust(4, 1, 0, 0, "BTC", 9, 400), SECOND)
    assert isinstance(update, BalanceUpdate)
    assert (update.total, update.dust) == (1_000_000, 400)
    assert ledger.accounts.balance(Kind.HOLDING, 0, "BTC", 9) == 999_600
    (update,) = ledger.on_message(Dust(4, 2, 0, 0, "BTC", 9, -400), SECOND)
    assert isinstance(update, BalanceUpdate)
    assert (update.total, update.dust) == (1_000_000, 0)
    assert told(ledger, seen(0, "BTC", 1_000_000, True)) == []


def test_one_trade_id_on_two_markets_is_two_trades() -> None:
    """Some venues number trades by market; a trade with oneself has one id for both sides."""
    instruments = market(lots=("0.001",), symbols=("BTC/USDT", "ETH/USDT"))
    ledger = Ledger(3, instruments)
    for order in (intent("a", 0, venue=0), intent("b", 1, venue=0), intent("c", 0, -1, venue=0)):
        ledger.on_message(fill(order, 10, "77"), SECOND)
    assert ledger.trade_count == 3
    assert ledger.balances["venue0", "ETH"] == 1_000_000
    assert ledger.balances["venue0", "BTC"] == 0
