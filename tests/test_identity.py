"""Client order ids at the venues: what each takes, and that ours is spelt so and read back."""

import string
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.orders.identity import (
    HASH_LENGTH,
    ID_LENGTH,
    IdsDoNotFit,
    client_order_id,
    deployment_prefix,
    ours,
    read,
    spell,
)
from engine.venues.binance_trading import BinanceTrading
from engine.venues.kraken_trading import KrakenTrading
from engine.venues.simulated_trading import SimulatedTrading
from engine.venues.trading import IdForm, IdRules

LETTERS = string.ascii_letters + string.digits

# What the venues say that they take. Lengths and alphabets by their documentation.
RULES = {
    "binance": IdRules(LETTERS + ".:/_-", 36, r"newClientOrderId: ^[\.A-Z\:/a-z0-9_-]{1,36}$"),
    "kraken": IdRules(LETTERS + "-", 18, "cl_ord_id: free text of up to 18 characters, or a UUID"),
    "okx": IdRules(LETTERS, 32, "clOrdId: 1 to 32 letters and digits"),
    "bybit": IdRules(LETTERS + "-_", 36, "orderLinkId: at most 36 of letters, digits, - and _"),
    "kucoin": IdRules(LETTERS + "-_", 40, "clientOid: at most 40 of letters, digits, - and _"),
    "gate": IdRules(
        LETTERS + "_-.",
        30,
        "text: 't-' and at most 28 bytes of letters, digits, _ - .",
        prefix="t-",
    ),
    "bitstamp": IdRules(LETTERS + "-_", 36, "client_order_id: a unique text"),
    "coinbase": IdRules(LETTERS + "-", 128, "client_order_id: a unique text, a UUID by advice"),
    "coinbase_exchange": IdRules(LETTERS + "-", 36, "client_oid: a UUID", IdForm.UUID),
}
NUMBERS = IdRules(string.digits, 14, "bitfinex cid: an integer of 45 bits", IdForm.NUMBER)
NAME = client_order_id("desk", "main", "arb", 1, 2, 0, "0/1/100/5")

ids = st.builds(
    client_order_id,
    st.text(max_size=8),
    st.just("main"),
    st.just("bot"),
    st.integers(1, 9),
    st.integers(1, 10**9),
    st.integers(0, 5),
    st.text(max_size=8),
)


@pytest.mark.parametrize("venue", RULES)
@given(name=ids)
def test_an_id_is_spelt_as_each_venue_takes_it_and_read_back(venue: str, name: str) -> None:
    """At least 64 bits of hash are in it, for it is read back whole."""
    rules = RULES[venue]
    spelt = spell(name, rules)
    assert len(spelt) <= rules.length_max
    assert set(spelt) <= set(rules.alphabet)
    assert spelt.startswith(rules.prefix)
    assert read(spelt, rules) == name
    if rules.form is IdForm.UUID:
        assert str(uuid.UUID(spelt)) == spelt
        assert uuid.UUID(spelt).version == 4
    assert HASH_LENGTH * 4 >= 64


def test_a_venue_whose_ids_cannot_carry_64_bits_is_named() -> None:
    """Bitfinex takes integers of 45 bits: an order there could not be told from another."""
    with pytest.raises(IdsDoNotFit, match="bitfinex cid"):
        spell(NAME, NUMBERS)
    with pytest.raises(IdsDoNotFit, match="too short here"):
        spell(NAME, IdRules(LETTERS, 12, "too short here"))
    with pytest.raises(IdsDoNotFit, match="digits alone"):
        spell(NAME, IdRules(string.digits, 36, "digits alone"))


@pytest.mark.parametrize("protocol", [SimulatedTrading, BinanceTrading, KrakenTrading])
def test_the_protocols_own_rules_fit(
    protocol: type[SimulatedTrading | BinanceTrading | KrakenTrading],
) -> None:
    """Every exchange that we trade on natively takes our ids."""
    assert read(spell(NAME, protocol.ids), protocol.ids) == NAME


def test_ours_are_recognised_and_others_are_not() -> None:
    """By the deployment's prefix, the length and the alphabet."""
    prefix = deployment_prefix("desk")
    assert len(NAME) == ID_LENGTH
    assert ours(NAME, prefix)
    other = next(c for c in "0123456789abcdef" if not prefix.startswith(c))
    for foreign in ("", "web_123", NAME.upper() + "G", NAME + "0", NAME[:-1], other + NAME[1:]):
        assert not ours(foreign, prefix)


@pytest.mark.parametrize("text", ["", "x-1", "9f1c0000-0000-4000-8000-000000000000", "t-abc"])
def test_what_others_wrote_is_left_as_it_is(text: str) -> None:
    """A UUID that is not ours, a text of another."""
    assert read(text, RULES["coinbase_exchange"]) == text
    assert read(text, RULES["binance"]) == text
