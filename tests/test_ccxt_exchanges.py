"""What is known of ccxt's exchanges is what the ccxt that is installed says of itself."""

import importlib
import inspect
import math
from typing import Any

import pytest

from engine.edges.ccxt_caller import PLACES
from engine.messages import CallKind
from engine.orders.identity import client_order_id, read, spell
from engine.venues.ccxt_calls import Call
from engine.venues.ccxt_exchanges import (
    BINANCES,
    BY_NAME,
    DEAD_MAN,
    EXCHANGES,
    IDS,
    NAMED_LISTS,
    UNTRADED,
    Exchange,
    budgets_of,
    ccxt_id,
    exchange_of,
    ids_of,
    weights_of,
)
from engine.venues.trading import IdForm

ASYNC = importlib.import_module("ccxt.async_support")
PRO = importlib.import_module("ccxt.pro")


def client_of(name: str) -> Any:
    """The client that would be opened, unopened."""
    return getattr(PRO if name in PRO.exchanges else ASYNC, name)()


def test_every_exchange_is_traded_on_or_has_a_reason_not_to_be() -> None:
    """None is missing, and none is there that ccxt has not."""
    assert not set(EXCHANGES) & set(UNTRADED)
    assert set(EXCHANGES) | set(UNTRADED) == set(ASYNC.exchanges)


def test_what_each_client_can_do() -> None:
    """By its own `has`, and its own pace."""
    for name, known in EXCHANGES.items():
        client = client_of(name)
        has = client.has
        stream = bool(has.get("watchOrders")) and bool(has.get("watchMyTrades"))
        closed = ""
        if has.get("fetchClosedOrders"):
            closed = "fetch_closed_orders"
        elif has.get("fetchOrders"):
            closed = "fetch_orders"
        pace = math.ceil(client.rateLimit)
        assert known == Exchange(stream, closed, bool(has.get("fetchTime")), pace), name
        for needed in ("createOrder", "cancelOrder", "fetchOpenOrders", "fetchMyTrades"):
            assert has.get(needed), (name, needed)
        assert (name in DEAD_MAN) == bool(has.get("cancelAllOrdersAfter")), name


@pytest.mark.parametrize("name", sorted(EXCHANGES))
def test_ids_of_ours_fit_every_exchange(name: str) -> None:
    """With 64 bits of hash, and they are read back."""
    rules = ids_of(name)
    mine = client_order_id("demo", "main", "a", 1, 2, 0, "x")
    spelt = spell(mine, rules)
    assert len(spelt) <= rules.length_max
    assert set(spelt) <= set(rules.alphabet)
    assert spelt.startswith(rules.prefix)
    assert read(spelt, rules) == mine
    assert rules.source


@pytest.mark.parametrize(
    ("name", "longest", "form"),
    [
        ("binance", 36, IdForm.TEXT),
        ("kraken", 18, IdForm.TEXT),
        ("okx", 32, IdForm.TEXT),
        ("bybit", 36, IdForm.TEXT),
        ("kucoin", 40, IdForm.TEXT),
        ("gate", 30, IdForm.TEXT),
        ("bitget", 50, IdForm.TEXT),
        ("coinbase", 128, IdForm.TEXT),
        ("coinbaseexchange", 36, IdForm.UUID),
        ("bitvavo", 36, IdForm.UUID),
        ("gemini", 18, IdForm.TEXT),
        ("an-exchange-to-come", 18, IdForm.TEXT),
    ],
)
def test_the_longest_id(name: str, longest: int, form: IdForm) -> None:
    """By the venues' documentation; the least where it was not looked up."""
    rules = ids_of(name)
    assert (rules.length_max, rules.form) == (longest, form)
    assert (name in IDS) == ("http" in rules.source)


def test_an_exchange_that_cannot_be_traded_on_says_why() -> None:
    """Before anything is opened."""
    with pytest.raises(
        ValueError, match="no trading on bitfinex through ccxt: its client order ids"
    ):
        exchange_of("bitfinex")
    assert exchange_of("an-exchange-to-come") == Exchange()


def test_names_of_protocols() -> None:
    """A venue that is watched natively is traded on at the same exchange."""
    assert ccxt_id("binance", "") == "binance"
    assert ccxt_id("binance_futures", "") == "binanceusdm"
    assert ccxt_id("ccxt", "gemini") == "gemini"
    with pytest.raises(ValueError, match="does not speak"):
        ccxt_id("simulated", "")
    handled = "binance bitstamp bybit_linear coinbase_exchange gate kraken_v1 kucoin okx".split()
    assert all(ccxt_id(protocol, "") in EXCHANGES for protocol in handled)


def test_every_request_weighs_something_that_there_is_a_budget_for() -> None:
    """On every exchange, and no request weighs more than its whole budget."""
    for name in EXCHANGES:
        limits = {budget.name: budget.limit for budget in budgets_of(name, EXCHANGES[name][3])}
        for kind in CallKind:
            for budget, weight in weights_of(name, kind, 2):
                assert weight <= limits[budget], (name, kind)


def test_arguments_stand_where_ccxt_wants_them() -> None:
    """`params` come after as many as ccxt's own methods have, on every exchange."""
    for name in EXCHANGES:
        client = client_of(name)
        for method, places in PLACES.items():
            found = getattr(client, method, None)
            if found is not None:
                assert list(inspect.signature(found).parameters).index("params") == places, name


def test_by_whose_name_orders_are_found() -> None:
    """Those clients look at the client order id; others would look for an order without id."""
    for name in sorted(BY_NAME):
        source = inspect.getsource(client_of(name).fetch_order)
        assert "clientOrderId" in source, name
    for name in sorted(NAMED_LISTS):
        source = inspect.getsource(client_of(name).fetch_open_orders)
        assert "clientOrderId" in source, name
    assert set(EXCHANGES) >= BY_NAME | NAMED_LISTS | BINANCES
    assert Call("fetch_order", "").method in PLACES
