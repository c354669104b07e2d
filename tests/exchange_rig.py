"""A small venue for tests of the simulated exchange's core: one coarse market, three accounts."""

from collections.abc import Callable

import pytest

from engine.exchange.accounts import FeeStep, FeeTier
from engine.exchange.exchange import Capacities, Exchange
from engine.exchange.orders import NewOrder, Refused, Why
from engine.instruments import Instrument
from engine.messages import BUY, SELL
from ext.matching import GTC, LIMIT, MARKET, MatchingBook

BEGIN = 10**18
SECOND = 10**9
ACCOUNTS = ("ann", "bob", "cat")


def instrument(**changes: object) -> Instrument:
    """A market whose fees are odd fractions of its coarse quote unit, so that rounding shows."""
    fields: dict[str, object] = {
        "id": 0,
        "venue": 0,
        "symbol": "BTC/USDT",
        "base": "BTC",
        "quote": "USDT",
        "tick_size": "0.1",
        "lot_size": "0.1",
        "base_decimals": 2,
        "quote_decimals": 2,
        "lots_max": 1_000,
        "ticks_max": 2_000,
        "notional_min": "0.5",
        "maker_fee": "0.0013",
        "taker_fee": "0.0037",
    }
    return Instrument(**(fields | changes))


def venue(
    band_bps: int = 0,
    capacities: Capacities | None = None,
    balance: int = 100_000,
    **changes: object,
) -> Exchange:
    """Three accounts, the third with a fee tier that pays makers."""
    made = Exchange(
        "alpha",
        [instrument(**changes)],
        begin_ns=BEGIN,
        band_bps=band_bps,
        capacities=capacities or Capacities(),
    )
    tier = FeeTier((FeeStep(0, -700, 4_100), FeeStep(5, -900, 3_300)))
    for name in ACCOUNTS:
        made.accounts.add(
            name,
            f"key of {name}",
            b"secret",
            {"BTC": balance, "USDT": balance},
            tier if name == "cat" else None,
            BEGIN,
        )
    made.take_events()
    return made


def limit(side: int, ticks: int, lots: int, **more: object) -> NewOrder:
    """A limit order."""
    return NewOrder(0, side, LIMIT, lots, ticks, **more)


def market(side: int, lots: int, **more: object) -> NewOrder:
    """A market order."""
    return NewOrder(0, side, MARKET, lots, **more)


def seed(exchange: Exchange, *levels: tuple[int, int, int]) -> None:
    """Orders of nobody: (side, ticks, lots)."""

    def put(book: MatchingBook) -> None:
        for side, ticks, lots in levels:
            book.submit(side, LIMIT, ticks, lots, 0, GTC)

    exchange.act(0, put, exchange.now_ns)
    exchange.take_events()


def around(exchange: Exchange) -> Exchange:
    """Bids at 99 and 98, asks at 101 and 102, ten lots each."""
    seed(exchange, (BUY, 99, 10), (BUY, 98, 10), (SELL, 101, 10), (SELL, 102, 10))
    return exchange


def pass_time(exchange: Exchange, now_ns: int) -> None:
    """It is so late, in the books too."""
    exchange.advance(now_ns)
    for number in exchange.markets:
        exchange.act(number, lambda book: None, now_ns)
    exchange.take_events()


def everything(exchange: Exchange) -> tuple[object, ...]:
    """All there is of a venue, to compare before and after."""
    audit = exchange.audit()
    books = [market.book.snapshot() for market in exchange.markets.values()]
    ledgers = [list(exchange.accounts.ledger(name)) for name in exchange.accounts.names]
    orders = [str(order) for order in audit.orders]
    return audit._replace(orders=()), orders, books, ledgers


def refusal(exchange: Exchange, ask: Callable[[], object]) -> Why:
    """Why a request is refused; it must be, and must change nothing."""
    pass_time(exchange, exchange.now_ns)
    before = everything(exchange)
    with pytest.raises(Refused) as refused:
        ask()
    assert everything(exchange) == before, "a refused request changes nothing"
    assert exchange.take_events() == []
    assert refused.value.detail
    return refused.value.why
