"""Order names and lives."""

import itertools

import pytest

from engine.messages import OrderState
from engine.orders.identity import client_order_id, deployment_prefix
from engine.orders.lifecycle import FINAL, FOLLOWS, IllegalTransition, advance

# Characters and length a client order id may have at the venues we mean to speak to.
VENUES = {
    "kraken": (18, "0123456789abcdefghijklmnopqrstuvwxyz"),
    "binance": (36, ".ABCDEFGHIJKLMNOPQRSTUVWXYZ:/abcdefghijklmnopqrstuvwxyz0123456789_-"),
    "okx": (32, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
    "bybit": (36, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
}
PARTS = ("desk", "main", "arb", 1, 2, 0, "0/1/100/5")


@pytest.mark.parametrize("venue", VENUES)
def test_ids_fit_every_venue(venue: str) -> None:
    """Length and alphabet."""
    length, alphabet = VENUES[venue]
    name = client_order_id(*PARTS)
    assert len(name) <= length
    assert set(name) <= set(alphabet)
    assert name.startswith(deployment_prefix("desk"))


def test_an_id_is_a_function_of_every_part() -> None:
    """The same intent has the same id; any other part another one, also across the separators."""
    changed = [(*PARTS[:n], f"{PARTS[n]}x", *PARTS[n + 1 :]) for n in range(len(PARTS))]
    names = [client_order_id(*parts) for parts in (PARTS, *changed)]  # type: ignore[arg-type]
    assert len(set(names)) == len(names)
    assert client_order_id(*PARTS) == names[0]
    assert client_order_id("a", "bc", "d", 1, 1, 1, "") != client_order_id(
        "ab", "c", "d", 1, 1, 1, ""
    )


def test_a_hundred_thousand_ids_do_not_collide() -> None:
    """64 bits of hash: a collision here would mean that it is cut too short."""
    names = {
        client_order_id("desk", "main", "arb", 1, n, leg, "x")
        for n, leg in itertools.product(range(50_000), range(2))
    }
    assert len(names) == 100_000


@pytest.mark.parametrize("state", OrderState)
@pytest.mark.parametrize("then", OrderState)
def test_only_what_the_table_allows(state: OrderState, then: OrderState) -> None:
    """Every pair of states is either in the table or an error."""
    if then in FOLLOWS[state]:
        assert advance(state, then) is then
    else:
        with pytest.raises(IllegalTransition, match=f"{then.name} cannot follow {state.name}"):
            advance(state, then)


def test_final_is_final_and_unknown_is_not() -> None:
    """A timeout is never a rejection; UNKNOWN can become anything the venue proves."""
    assert all(not FOLLOWS[state] for state in FINAL)
    assert OrderState.UNKNOWN not in FINAL
    assert FOLLOWS[OrderState.UNKNOWN] >= FINAL
