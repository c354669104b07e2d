"""Views: every amount is a decimal string that reads back to the same integer."""

import types
import typing
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import views
from engine.messages import (
    BUY,
    SELL,
    BalanceUpdate,
    BookPnL,
    BookState,
    Difference,
    DifferenceKind,
    Equity,
    OrderRefused,
    OrderState,
    PnL,
    PositionUpdate,
    Reason,
    VenueStatus,
)
from engine.viewer import Viewer
from engine.views import View
from tests.streams import SECOND, depth, event, fill, intent, market, opportunity

MARKET = market(lots=("0.001", "0.01"))
VIEWER = Viewer(MARKET, {9: "arb"})
UNIT = Decimal("1e-8")
AMOUNTS = frozenset(
    "price buy_price sell_price quantity filled profit fee fees cost realised unrealised equity "
    "total limit value dust realised_fifo realised_average fees_other opening transfers today "
    "peak".split()
)
ALL = [
    view
    for view in vars(views).values()
    if isinstance(view, type) and issubclass(view, View) and view is not View
]


def parts(kind: object) -> set[object]:
    """The types inside an annotation."""
    inner = typing.get_args(kind) if not isinstance(kind, types.UnionType) else kind.__args__
    return {kind}.union(*(parts(one) for one in inner)) if inner else {kind}


@pytest.mark.parametrize("view", ALL, ids=lambda view: view.__name__)
def test_no_amount_is_a_number(view: type[View]) -> None:
    """What is an amount by its name is a string by its type; floats are only ages and latencies."""
    for field in msgspec.structs.fields(view):
        if field.name in AMOUNTS:
            assert field.type is str, field.name
        if float in parts(field.type):
            assert field.name.rpartition("_")[2] in {"ms", "us", "s"}, field.name


@given(
    number=st.sampled_from((0, 1)),
    side=st.sampled_from((BUY, SELL)),
    ticks=st.integers(1, 10**12),
    lots=st.integers(1, 10**12),
    filled=st.integers(0, 10**12),
    fee=st.integers(-(10**15), 10**15),
)
def test_orders_and_fills_read_back(
    number: int, side: int, ticks: int, lots: int, filled: int, fee: int
) -> None:
    """Price, quantity and fee as shown are the ticks, lots and units they came from."""
    instrument = MARKET[number]
    order = intent("a", number, side, ticks, lots)
    seen = VIEWER.order(event(order, OrderState.PARTLY_FILLED, filled))
    assert instrument.price_to_ticks(seen.price) == ticks
    assert instrument.quantity_to_lots(seen.quantity) == lots
    assert Decimal(seen.filled) == filled * Decimal(instrument.lot_size)
    paid = VIEWER.fill(fill(order, lots, "t", fee))
    assert Decimal(paid.fee) == fee * UNIT
    assert (paid.side, seen.side) == (("buy",) * 2 if side == BUY else ("sell",) * 2)
    assert (seen.bot, seen.reason, paid.fee_asset) == ("arb", "", "USDT")


def test_a_book_shows_what_is_there() -> None:
    """Padding is no level; asking for fewer levels gives the best; a distrusted book has none."""
    told = depth(1, [(1_000_000, 2), (999_900, 300)], [(1_000_100, 5)])
    shown = VIEWER.book(told, 10, simulated=True)
    assert (shown.venue, shown.symbol, shown.state) == ("venue1", "BTC/USDT", "LIVE")
    assert [(level.price, level.quantity) for level in shown.bids] == [
        ("10000.00", "0.02"),
        ("9999.00", "3.00"),
    ]
    assert [(level.price, level.quantity) for level in shown.asks] == [("10001.00", "0.05")]
    assert len(VIEWER.book(told, 1, simulated=True).bids) == 1
    stale = VIEWER.book(depth(1, [], [], state=BookState.STALE), 10, simulated=False)
    assert (stale.state, stale.bids, stale.asks, stale.simulated) == ("STALE", [], [], False)


def test_an_opportunity_is_live_until_it_has_a_lifetime() -> None:
    """Both venues, the profit in its asset, the lifetime in ms."""
    seen = VIEWER.opportunity(opportunity(lots=10), None)
    assert (seen.buy_venue, seen.sell_venue) == ("venue0", "venue1")
    assert (seen.buy_price, seen.sell_price) == ("10001.00", "10100.00")
    assert (seen.profit, seen.profit_asset, seen.lifetime_ms) == ("0.00000001", "USDT", None)
    assert VIEWER.opportunity(opportunity(), 1_500_000).lifetime_ms == 1.5


@pytest.mark.parametrize(
    ("rule", "limit", "shown"),
    [
        (Reason.ORDER_NOTIONAL, 500_000_000_000, "5000.00000000"),
        (Reason.MIN_NOTIONAL, 500_000_000, "5.00000000"),
        (Reason.POSITION, 50_000_000, "0.50000000"),
        (Reason.ORDER_LOTS, 7, "0.007"),
        (Reason.OFF_GRID, 123, "1.23"),
        (Reason.PRICE_DISTANCE, 50, "50"),
        (Reason.STALE_MARKET, 2_000_000_000, "2000000000"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_refusals_speak_the_unit_of_their_rule(rule: Reason, limit: int, shown: str) -> None:
    """Notional as money, position and lots as quantities, prices as prices, the rest as counted."""
    refusal = VIEWER.refusal(OrderRefused(4, 1, SECOND, "a", 9, 0, rule, limit, -limit))
    assert (refusal.limit, refusal.value) == (shown, f"-{shown}")
    assert (refusal.rule, refusal.symbol, refusal.bot) == (rule.name, "BTC/USDT", "arb")


@pytest.mark.parametrize(
    ("rule", "asset", "shown"),
    [(Reason.GROSS_EXPOSURE, "USDT", "0.00000123"), (Reason.SELF_CROSS, "", "1.23")],
)
def test_refusals_that_name_an_asset_are_in_its_amounts(
    rule: Reason, asset: str, shown: str
) -> None:
    """An exposure in the currency, a price of our own order."""
    told = OrderRefused(4, 1, SECOND, "a", 9, 0, rule, 123, 123, asset)
    assert VIEWER.refusal(told).limit == shown


def test_a_refused_instrument_that_is_none() -> None:
    """An intent may name anything; it is still shown."""
    refusal = VIEWER.refusal(
        OrderRefused(4, 1, SECOND, "a", 77, 99, Reason.UNKNOWN_INSTRUMENT, 1, 99)
    )
    assert (refusal.symbol, refusal.bot, refusal.limit, refusal.value) == ("?", "77", "1", "99")


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=4, max_size=4))
def test_money_reads_back(units: list[int]) -> None:
    """Positions, balances and PnL are exact to the unit over all of int64."""
    first, second, third, fourth = units
    position = VIEWER.position(
        PositionUpdate(5, 1, SECOND, "BTC", "USDT", first, second, third, fourth)
    )
    shown = (position.quantity, position.cost, position.realised, position.fees)
    assert [Decimal(text) for text in shown] == [number * UNIT for number in units]
    pnl = VIEWER.pnl(PnL(5, 1, SECOND, "USDT", first, second, third, fourth))
    shown = (pnl.realised, pnl.unrealised, pnl.fees, pnl.equity)
    assert [Decimal(text) for text in shown] == [number * UNIT for number in units]
    held = VIEWER.balance(BalanceUpdate(5, 1, SECOND, 0, "BTC", first, second))
    assert (Decimal(held.total), Decimal(held.dust)) == (first * UNIT, second * UNIT)
    foreign = VIEWER.balance(BalanceUpdate(5, 1, SECOND, 0, "KCS", first, 0))
    assert Decimal(foreign.total) == first * UNIT  # of an asset no instrument has: eight decimals
    book = VIEWER.book_pnl(
        BookPnL(5, 1, SECOND, 9, 0, "BTC", "USDT", first, second, third, fourth, 5, 6, 7)
    )
    assert (book.bot, book.venue, book.symbol) == ("arb", "venue0", "BTC/USDT")
    amounts = (book.quantity, book.cost, book.realised_fifo, book.realised_average)
    assert [Decimal(text) for text in amounts] == [
        amount * UNIT for amount in (first, second, third, fourth)
    ]
    worth = VIEWER.equity(Equity(5, 1, SECOND, "USDT", first, second, third, fourth, 7_000_000))
    assert Decimal(worth.today) == (first - second - third) * UNIT
    assert (worth.mark_age_ms, worth.unmarked) == (7.0, [])
    blind = VIEWER.equity(Equity(5, 1, SECOND, "USDT", 1, 1, 0, 1, 2**63 - 1, "BNB,ETH"))
    assert (blind.mark_age_ms, blind.unmarked) == (None, ["BNB", "ETH"])


def test_a_venue_shows_every_counter() -> None:
    """Each counter under its own name, none taken for another."""
    shown = VIEWER.venue(VenueStatus(1, 1, SECOND, 1, True, *range(10, 19), False), 3)
    assert (shown.differences, shown.reconciled, shown.circuit) == (3, True, "CLOSED")
    assert (shown.venue, shown.connected, shown.simulated) == ("venue1", True, False)
    names = (
        "frames gaps checksums checksums_failed crossed resyncs malformed orders_open "
        "orders_unknown"
    )
    assert [getattr(shown, name) for name in names.split()] == list(range(10, 19))


def test_a_difference_speaks_the_unit_of_what_differs() -> None:
    """A balance in its asset; orders and fills are counted."""
    drift, order = DifferenceKind.BALANCE_DRIFT, DifferenceKind.GHOST_ORDER
    held = VIEWER.difference(Difference(5, 1, SECOND, 1, drift, "BTC", 5 * 10**7, 10**8, False))
    assert (held.venue, held.kind, held.repaired) == ("venue1", "BALANCE_DRIFT", False)
    assert (held.ours, held.theirs) == ("0.50000000", "1.00000000")
    ghost = VIEWER.difference(Difference(5, 1, SECOND, 0, order, "ab12", 1, 0, True))
    assert (ghost.subject, ghost.ours, ghost.theirs, ghost.repaired) == ("ab12", "1", "0", True)
