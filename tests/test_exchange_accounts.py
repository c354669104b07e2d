"""Accounts of the simulated exchange: what they lock, pay and may, and the ledger of it."""

import pytest

from engine.exchange.accounts import FeeStep, FeeTier, credentials, fee_tier
from engine.exchange.exchange import Exchange
from engine.exchange.orders import Refused, Why
from engine.messages import BUY, SELL
from tests.exchange_rig import (
    BEGIN,
    SECOND,
    around,
    limit,
    market,
    seed,
    venue,
)

# --- market buys, fees, tiers -----------------------------------------------------------------------


def spent(exchange: Exchange, name: str) -> int:
    """What an account gave of its quote asset."""
    return 100_000 - exchange.accounts.total(name, "USDT")


def test_a_market_buy_locks_what_a_walk_of_the_book_says() -> None:
    """Exactly enough is enough, a unit less is refused; nothing stays locked."""
    exchange = around(venue())
    value = 10 * 101 + 5 * 102
    exchange.accounts.withdraw("ann", "USDT", 100_000 - value - 6, BEGIN)
    order = exchange.place("ann", market(BUY, 15), BEGIN)
    assert (order.filled, order.value) == (15, value)
    assert exchange.accounts.total("ann", "USDT") == 0, "fees of 3.7 and 1.9 units are 6 in all"
    exchange = around(venue())
    exchange.accounts.withdraw("ann", "USDT", 100_000 - value - 5, BEGIN)
    with pytest.raises(Refused) as refused:
        exchange.place("ann", market(BUY, 15), BEGIN)
    assert refused.value.why is Why.INSUFFICIENT_BALANCE


def test_an_order_in_the_quote_asset_spends_no_more_than_that() -> None:
    """Both ways; what the book cannot give is cancelled."""
    exchange = around(venue())
    order = exchange.place("ann", market(BUY, 0, quote_units=1_300), BEGIN)
    assert (order.lots, order.value) == (12, 10 * 101 + 2 * 102)
    order = exchange.place("ann", market(SELL, 0, quote_units=500), BEGIN)
    assert (order.lots, order.value) == (5, 5 * 99)
    order = exchange.place("ann", market(BUY, 0, quote_units=5_000), BEGIN)
    assert order.filled == 8 < order.lots
    assert exchange.audit().problems == ()


def test_small_fills_cost_no_more_in_fees_than_one_large() -> None:
    """A resting buy that is filled lot by lot pays at most what it locked."""
    exchange = venue()
    order = exchange.place("bob", limit(BUY, 100, 10), BEGIN)
    locked = exchange.accounts.locked("bob", "USDT")
    for _ in range(10):
        seed(exchange, (SELL, 100, 1))
    assert order.filled == 10
    assert spent(exchange, "bob") <= locked
    assert exchange.audit().problems == ()


def test_a_tier_follows_the_volume_of_thirty_days() -> None:
    """More volume, better rates, and back when it is long ago; makers may be paid."""
    exchange = around(venue())
    of = exchange.instruments[0]
    assert exchange.accounts.rates("ann", of) == (1_300, 3_700)
    assert exchange.accounts.rates("cat", of) == (-700, 4_100)
    exchange.place("cat", market(BUY, 10), BEGIN)
    assert exchange.accounts.volume("cat", "USDT") == 1_010
    assert exchange.accounts.rates("cat", of) == (-900, 3_300)
    month = BEGIN + 30 * 86_400 * SECOND
    exchange.place("cat", limit(BUY, 50, 1), month)
    seed(exchange, (SELL, 50, 30))
    assert exchange.accounts.rates("cat", of) == (-700, 4_100)
    rebate = exchange.fills("cat")[-1]
    assert rebate.maker
    assert rebate.fee == 0, "0.035 units of a rebate round to none"


def test_a_tier_begins_at_volume_nothing() -> None:
    """Otherwise there would be no rate for a new account."""
    assert fee_tier([]) is None
    assert fee_tier([(0, "0.001", "0.002")]) == FeeTier((FeeStep(0, 1_000, 2_000),))
    for steps in ([(1, "0", "0")], [(0, "0", "1")]):
        with pytest.raises(ValueError, match="volume 0"):
            fee_tier(steps)


# --- keys, ledger ------------------------------------------------------------------------------------


def test_a_secret_shows_nowhere() -> None:
    """Not where its key is looked up, nor where a key is refused."""
    exchange = venue()
    found = exchange.accounts.by_key("key of ann")
    assert found is not None
    assert (found.account, found.secret) == ("ann", b"secret")
    assert "secret" not in repr(found)
    assert exchange.accounts.by_key("nobody's") is None
    assert exchange.account_of_key("key of bob") == "bob"
    assert exchange.account_of_key("") == ""
    with pytest.raises(ValueError, match="another's") as error:
        exchange.accounts.add_key("bob", "key of ann", b"hidden", frozenset({"read"}))
    assert "hidden" not in str(error.value)
    with pytest.raises(ValueError, match="twice"):
        exchange.accounts.add("ann", "other", b"", {})


def test_credentials_follow_from_names() -> None:
    """The same names the same key; another name another."""
    assert credentials("demo", "main") == credentials("demo", "main")
    assert len({*credentials("demo", "main"), *credentials("demo", "two")}) == 4


def test_the_ledger_has_each_move_and_its_balance() -> None:
    """Opening, trade in both assets, fee, deposit, withdrawal."""
    exchange = around(venue())
    exchange.place("ann", market(BUY, 10), BEGIN + 1)
    exchange.accounts.deposit("ann", "BTC", 7, BEGIN + 2, "a gift")
    exchange.accounts.withdraw("ann", "BTC", 3, BEGIN + 3)
    moves = [(e.asset, e.units, e.kind, e.note) for e in exchange.accounts.ledger("ann")]
    assert moves == [
        ("BTC", 100_000, "deposit", "opening"),
        ("USDT", 100_000, "deposit", "opening"),
        ("BTC", 100, "trade", ""),
        ("USDT", -1_010, "trade", ""),
        ("USDT", -4, "fee", ""),
        ("BTC", 7, "deposit", "a gift"),
        ("BTC", -3, "withdrawal", ""),
    ]
    assert [e.ref for e in exchange.accounts.ledger("ann")][2:5] == [1, 1, 1]
    assert exchange.accounts.ledger("ann")[-1].balance == 100_104
    assert exchange.accounts.house == {"BTC": 0, "USDT": 4}
    assert exchange.accounts.flow == {"BTC": -100, "USDT": 1_010}


def test_a_deposit_is_of_an_asset_there_is_and_a_withdrawal_of_what_is_free() -> None:
    """Otherwise nothing moves."""
    exchange = venue()
    exchange.place("ann", limit(SELL, 100, 1_000), BEGIN)
    for ask in (
        lambda: exchange.accounts.deposit("ann", "DOGE", 1, BEGIN),
        lambda: exchange.accounts.deposit("ann", "BTC", 0, BEGIN),
        lambda: exchange.accounts.withdraw("ann", "BTC", 90_001, BEGIN),
    ):
        with pytest.raises(Refused):
            ask()
    exchange.accounts.withdraw("ann", "BTC", 90_000, BEGIN)
    assert exchange.accounts.free("ann", "BTC") == 0
    assert exchange.audit().problems == ()


def test_an_audit_says_what_does_not_hold() -> None:
    """Each of the books, cooked."""
    exchange = around(venue())
    order = exchange.place("ann", limit(BUY, 90, 5), BEGIN)
    exchange.place("bob", market(BUY, 3), BEGIN)
    assert exchange.audit().problems == ()
    exchange.accounts.house["USDT"] += 1
    assert "USDT: 1 units were made out of nothing" in exchange.audit().problems
    exchange.accounts.house["USDT"] -= 1
    exchange.accounts.lock("ann", "USDT", 1)
    assert any("locked" in problem for problem in exchange.audit().problems)
    exchange.accounts.lock("ann", "USDT", -1)
    order.filled = 1
    problems = " ".join(exchange.audit().problems)
    assert "its fills" in problems
    assert "in the book 5" in problems
    assert "lots of all fills" in problems
