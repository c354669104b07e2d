"""Orders of the simulated exchange: how they end, lists, replacing, events, what is kept."""

import pytest

from engine.exchange.exchange import Capacities
from engine.exchange.orders import (
    UNFUNDED,
    BalanceChange,
    DepthChange,
    NewOrder,
    OrderChange,
    PublicTrade,
    Refused,
    Status,
)
from engine.messages import BUY, SELL
from ext.matching import (
    AUCTION,
    BY_CLIENT,
    BY_GROUP,
    BY_MASS,
    BY_PARENT,
    CONTINUOUS,
    DAY,
    END_OF_DAY,
    FOK,
    GTD,
    IOC,
    NO_LIQUIDITY,
    NOT_FILLABLE,
    NOT_FILLED,
    OUT_OF_TIME,
    PEGGED,
    POST_ONLY,
    SELF_TRADE,
    SLIDE,
    STOP,
    STP_BOTH,
    STP_DECREMENT,
    STP_NEWEST,
    STP_OLDEST,
)
from tests.exchange_rig import (
    BEGIN,
    SECOND,
    around,
    limit,
    market,
    seed,
    venue,
)

# --- what becomes of orders --------------------------------------------------------------------------


def test_how_orders_end() -> None:
    """Each with the kernel's reason."""
    exchange = around(venue())
    for new, status, reason in (
        (market(BUY, 30), Status.CANCELLED, NO_LIQUIDITY),
        (limit(SELL, 99, 12, tif=IOC), Status.CANCELLED, NOT_FILLED),
        (limit(SELL, 98, 12, tif=FOK), Status.CANCELLED, NOT_FILLABLE),
        (limit(SELL, 98, 10, tif=FOK), Status.FILLED, 0),
    ):
        order = exchange.place("ann", new, BEGIN)
        assert (order.status, order.reason) == (status, reason)
    day = exchange.place("ann", limit(BUY, 90, 1, tif=DAY), BEGIN)
    timed = exchange.place("ann", limit(BUY, 90, 1, tif=GTD, expire_ns=BEGIN + 5), BEGIN)
    assert exchange.next_due_ns() == BEGIN + 5
    exchange.advance(BEGIN + 4)
    assert timed.open
    exchange.advance(BEGIN + 5)
    assert (timed.status, timed.reason, timed.updated_ns) == (
        Status.EXPIRED,
        OUT_OF_TIME,
        BEGIN + 5,
    )
    waits = market(BUY, 1, trigger=STOP, trigger_ticks=150, tif=GTD, expire_ns=BEGIN + 9)
    waiting = exchange.place("ann", waits, BEGIN + 5)
    exchange.advance(BEGIN + 9)
    assert (waiting.status, waiting.reason) == (Status.EXPIRED, OUT_OF_TIME)
    exchange.advance(BEGIN + 86_400 * SECOND)
    assert (day.status, day.reason) == (Status.EXPIRED, END_OF_DAY)
    assert day.updated_ns % (86_400 * SECOND) == 0, "days end at midnight, UTC"
    assert exchange.accounts.locked("ann", "USDT") == 0


def test_cancels() -> None:
    """One, all of an instrument, all; each order of the account and of nobody else."""
    exchange = around(venue())
    mine = [exchange.place("ann", limit(BUY, 90 + at, 1), BEGIN) for at in range(3)]
    other = exchange.place("bob", limit(BUY, 90, 1), BEGIN)
    exchange.cancel("ann", mine[0].number, BEGIN)
    assert mine[0].reason == BY_CLIENT
    assert exchange.cancel_all("ann", 0, BEGIN) == mine[1:]
    assert {order.reason for order in mine[1:]} == {BY_MASS}
    assert exchange.cancel_all("ann", None, BEGIN) == []
    assert other.open


def test_self_trades_are_prevented_as_the_incoming_order_says() -> None:
    """Newest, oldest, both, and less of both."""
    for stp, resting, incoming in (
        (STP_NEWEST, Status.OPEN, Status.CANCELLED),
        (STP_OLDEST, Status.CANCELLED, Status.FILLED),
        (STP_BOTH, Status.CANCELLED, Status.CANCELLED),
        (STP_DECREMENT, Status.OPEN, Status.CANCELLED),
    ):
        exchange = around(venue())
        first = exchange.place("ann", limit(SELL, 100, 5), BEGIN)
        second = exchange.place("ann", limit(BUY, 101, 3, stp=stp), BEGIN)
        assert (first.status, second.status) == (resting, incoming)
        assert exchange.audit().problems == ()
        if stp == STP_DECREMENT:
            assert (first.lots, second.reason) == (2, SELF_TRADE)
            assert exchange.accounts.locked("ann", "BTC") == 20


def test_a_stop_buy_locks_five_in_a_hundred_above_its_trigger() -> None:
    """And buys no dearer than that; with a limit it locks its limit."""
    exchange = around(venue())
    stop = exchange.place("ann", market(BUY, 20, trigger=STOP, trigger_ticks=101), BEGIN)
    assert not stop.working
    assert exchange.accounts.locked("ann", "USDT") == 20 * 106 + 8
    seed(exchange, (SELL, 107, 10))
    exchange.place("bob", market(BUY, 2), BEGIN)
    assert stop.working
    assert (stop.filled, stop.value, stop.reason) == (18, 8 * 101 + 10 * 102, NOT_FILLED)
    assert exchange.accounts.locked("ann", "USDT") == 0


def test_a_stop_buy_between_bands_is_the_kernels_own() -> None:
    """The band stops it; it locks its trigger's price and the band, and no auction meets it."""
    exchange = around(venue(band_bps=500))
    seed(exchange, (BUY, 100, 1), (SELL, 100, 1))
    stop = exchange.place("ann", market(BUY, 20, trigger=STOP, trigger_ticks=101), BEGIN)
    assert exchange.accounts.locked("ann", "USDT") == 20 * 106 + 8
    seed(exchange, (SELL, 106, 10))
    exchange.place("bob", market(BUY, 2), BEGIN)
    assert (stop.filled, stop.status) == (18, Status.CANCELLED)
    other = exchange.place("ann", market(BUY, 20, trigger=STOP, trigger_ticks=104), BEGIN)
    exchange.set_phase(0, AUCTION, BEGIN)
    assert other.status is Status.CANCELLED


def test_an_auction_trades_at_one_price_and_nobody_takes() -> None:
    """Both sides pay the maker's fee; what a better price leaves over is free."""
    exchange = venue()
    exchange.set_phase(0, AUCTION, BEGIN)
    exchange.place("ann", limit(BUY, 105, 10), BEGIN)
    exchange.place("bob", limit(SELL, 95, 10), BEGIN)
    exchange.set_phase(0, CONTINUOUS, BEGIN)
    (bought,), (sold,) = exchange.fills("ann"), exchange.fills("bob")
    assert bought.ticks == sold.ticks
    assert bought.maker
    assert sold.maker
    assert bought.trade == sold.trade == 1
    assert exchange.accounts.locked("ann", "USDT") == 0


def test_a_pegged_order_follows_and_a_sliding_one_gives_way() -> None:
    """Their prices are the book's to say."""
    exchange = around(venue())
    peg = exchange.place("ann", NewOrder(0, BUY, PEGGED, 5, offset=1), BEGIN)
    assert peg.ticks == 98
    locked = exchange.accounts.locked("ann", "USDT")
    assert locked == 5 * (99 + 99 * 500 // 10_000) + 2
    exchange.place("bob", limit(BUY, 100, 1), BEGIN)
    assert peg.ticks == 99
    assert exchange.accounts.locked("ann", "USDT") == locked
    slide = exchange.place("bob", limit(BUY, 103, 1, flags=SLIDE), BEGIN)
    assert slide.ticks == 100
    assert exchange.audit().problems == ()


# --- replacing ---------------------------------------------------------------------------------------


def test_replacing_locks_what_the_new_order_needs() -> None:
    """More, less, across the spread; its number and its fills stay."""
    exchange = around(venue())
    order = exchange.place("ann", limit(BUY, 90, 10), BEGIN)
    exchange.replace("ann", order.number, 0, 20, BEGIN)
    assert (order.ticks, order.lots) == (90, 20)
    assert exchange.accounts.locked("ann", "USDT") == 20 * 90 + 7
    exchange.replace("ann", order.number, 101, 12, BEGIN + 1)
    assert (order.filled, order.status) == (10, Status.PARTLY_FILLED)
    assert exchange.accounts.locked("ann", "USDT") == 2 * 101 + 1
    exchange.replace("ann", order.number, 100, 0, BEGIN + 2)
    assert (order.ticks, order.lots, order.updated_ns) == (100, 12, BEGIN + 2)
    assert order.request.ticks == 90, "what was asked for at first"
    assert exchange.audit().problems == ()


def test_a_child_that_waits_can_be_replaced_too() -> None:
    """It enters with its new price and total."""
    exchange = around(venue())
    parent, child = exchange.place_list(
        "ann", [limit(BUY, 100, 5), limit(SELL, 110, 5, parent=-1)], BEGIN
    )
    exchange.replace("ann", child.number, 105, 4, BEGIN)
    seed(exchange, (SELL, 100, 5))
    assert parent.status is Status.FILLED
    assert (child.ticks, child.lots, child.working) == (105, 4, True)
    assert exchange.accounts.locked("ann", "BTC") == 40


# --- lists -------------------------------------------------------------------------------------------


def test_of_one_cancels_other_only_one_trades_and_only_the_dearest_locks() -> None:
    """A limit above and a stop below, for the same holding."""
    exchange = around(venue())
    exchange.accounts.withdraw("ann", "BTC", 99_900, BEGIN)
    pair = [
        limit(SELL, 105, 10, group=-1),
        market(SELL, 10, trigger=STOP, trigger_ticks=98, group=-1),
    ]
    above, below = exchange.place_list("ann", pair, BEGIN)
    assert above.request.group == below.request.group > 0
    assert exchange.accounts.free("ann", "BTC") == 0
    exchange.place("bob", market(SELL, 15), BEGIN)
    assert (above.status, above.reason) == (Status.CANCELLED, BY_GROUP)
    assert (below.status, below.filled) == (Status.CANCELLED, 5), "the book had no more"
    assert exchange.audit().problems == ()


def test_a_list_whose_first_order_trades_at_once_takes_no_other_of_its_group() -> None:
    """The second ends without having been in the book."""
    exchange = around(venue())
    first, second = exchange.place_list(
        "ann", [limit(BUY, 101, 3, group=-1), limit(BUY, 90, 3, group=-1)], BEGIN
    )
    assert first.status is Status.FILLED
    assert (second.status, second.reason) == (Status.CANCELLED, BY_GROUP)


def test_a_bracket() -> None:
    """Two children of one parent in one group: they enter when it is filled, in full."""
    exchange = around(venue())
    exchange.accounts.withdraw("ann", "BTC", 100_000, BEGIN)
    bracket = [
        limit(BUY, 100, 6),
        limit(SELL, 110, 6, parent=-1, group=-1, client_id="up"),
        market(SELL, 6, trigger=STOP, trigger_ticks=95, parent=-1, group=-1, client_id="down"),
    ]
    parent, up, down = exchange.place_list("ann", bracket, BEGIN)
    seed(exchange, (SELL, 100, 4))
    assert (parent.filled, up.working, exchange.accounts.locked("ann", "BTC")) == (4, False, 0)
    seed(exchange, (SELL, 100, 2))
    assert (up.working, down.working) == (True, False)
    assert exchange.accounts.locked("ann", "BTC") == 60
    seed(exchange, (BUY, 110, 26))
    assert (up.status, down.status, down.reason) == (Status.FILLED, Status.CANCELLED, BY_GROUP)
    assert exchange.audit().problems == ()


def test_children_go_with_their_parent_and_cannot_enter_without_funds() -> None:
    """BY_PARENT when it ends unfilled; UNFUNDED when what they need is gone by then."""
    exchange = around(venue())
    pair = [limit(BUY, 100, 5), limit(SELL, 110, 5, parent=-1)]
    parent, child = exchange.place_list("ann", pair, BEGIN)
    exchange.cancel("ann", parent.number, BEGIN)
    assert (child.status, child.reason) == (Status.CANCELLED, BY_PARENT)
    pair[1] = limit(BUY, 99, 600, parent=-1)
    parent, child = exchange.place_list("ann", pair, BEGIN)
    exchange.accounts.withdraw("ann", "USDT", 99_000, BEGIN)
    seed(exchange, (SELL, 100, 5))
    assert parent.status is Status.FILLED
    assert (child.status, child.reason) == (Status.CANCELLED, UNFUNDED)
    late = exchange.place("ann", limit(SELL, 120, 5), BEGIN)
    child = exchange.place("ann", limit(BUY, 90, 1, parent=late.number), BEGIN)
    exchange.cancel("ann", child.number, BEGIN)
    assert (child.reason, late.open) == (BY_CLIENT, True)


def test_the_end_of_one_that_waits_ends_its_group_in_the_book() -> None:
    """The kernel does not know those that wait for a parent; they are of its groups all the same."""
    exchange = around(venue())
    orders = [
        limit(BUY, 90, 5),
        limit(SELL, 110, 5, parent=-1, group=-1),
        limit(SELL, 115, 5, group=-1),
    ]
    parent, child, peer = exchange.place_list("ann", orders, BEGIN)
    exchange.cancel("ann", parent.number, BEGIN)
    assert child.reason == BY_PARENT
    assert peer.status is Status.CANCELLED
    assert exchange.accounts.locked("ann", "BTC") == 0


def test_what_an_earlier_order_of_a_list_changes_may_reject_a_later_one() -> None:
    """All were fine when they were asked for; the second would now take from the first."""
    exchange = venue()
    first, second = exchange.place_list(
        "ann", [limit(SELL, 100, 1), limit(BUY, 100, 1, flags=POST_ONLY)], BEGIN
    )
    assert first.open
    assert second.status is Status.REJECTED
    assert exchange.audit().problems == ()


# --- events, and what is kept ------------------------------------------------------------------------


def test_events_tell_everything_in_order() -> None:
    """Acceptance, trade, fill, the book's change, balances; copies, so that they stay true."""
    exchange = around(venue())
    order = exchange.place("ann", limit(BUY, 101, 12, client_id="a"), BEGIN + 7)
    accepted, trade, filled, change, *balances = exchange.take_events()
    assert isinstance(accepted, OrderChange)
    assert (accepted.order.status, accepted.fill) == (Status.OPEN, None)
    assert isinstance(trade, PublicTrade)
    assert trade == (0, 1, 101, 10, BUY, BEGIN + 7)
    assert isinstance(filled, OrderChange)
    assert filled.order.status is Status.PARTLY_FILLED
    assert filled.fill is not None
    assert filled.fill.trade == trade.number
    assert isinstance(change, DepthChange)
    assert sorted(change.levels) == [(SELL, 101, 0), (BUY, 101, 2)]
    assert all(isinstance(each, BalanceChange) for each in balances)
    locked = exchange.accounts.locked("ann", "USDT")
    assert BalanceChange("ann", "USDT", 100_000 - 1_014 - locked, locked, BEGIN + 7) in balances
    exchange.cancel("ann", order.number, BEGIN + 8)
    assert accepted.order.status is Status.OPEN
    changes = [e for e in exchange.take_events() if isinstance(e, DepthChange)]
    assert [each.first for each in changes] == [change.last + 1]


def test_orders_are_found_by_number_and_by_the_latest_of_their_names() -> None:
    """Numbers rise by one in a venue; a name may be used again when its order is final."""
    exchange = around(venue())
    first = exchange.place("ann", limit(BUY, 90, 1, client_id="a"), BEGIN)
    assert exchange.by_client_id("ann", "a") is first
    exchange.cancel("ann", first.number, BEGIN)
    assert exchange.by_client_id("ann", "a") is first
    again = exchange.place("ann", limit(BUY, 91, 1, client_id="a"), BEGIN)
    assert exchange.by_client_id("ann", "a") is again
    assert exchange.order("ann", 1) is first
    assert exchange.all_orders("ann") == [first, again]
    assert exchange.open_orders("ann", 0) == [again]
    assert exchange.open_orders("ann", 1) == []
    with pytest.raises(Refused):
        exchange.by_client_id("bob", "a")


def test_what_is_kept_is_bounded_and_the_rest_counted() -> None:
    """The oldest final orders and fills go; open orders never; the audit still adds up."""
    exchange = around(venue(capacities=Capacities(100, 3, 4, 5)))
    resting = exchange.place("ann", limit(BUY, 90, 1, client_id="rests"), BEGIN)
    for _ in range(8):
        exchange.place("ann", limit(BUY, 101, 1, tif=IOC, client_id="x"), BEGIN)
    assert [order.number for order in exchange.all_orders("ann")] == [1, 7, 8, 9]
    assert exchange.by_client_id("ann", "rests") is resting
    assert [fill.number for fill in exchange.fills("ann")] == [5, 6, 7, 8]
    assert [fill.number for fill in exchange.fills("ann", 0, 6)] == [7, 8]
    assert exchange.fills("ann", 1) == []
    assert exchange.fill_count("ann") == 8
    audit = exchange.audit()
    assert (audit.shed.orders, audit.shed.fills, audit.shed_ledger) == (5, 4, 2 + 24 - 5)
    assert audit.problems == ()


def test_a_far_deadline_leaves_nothing_behind() -> None:
    """Ten thousand orders that were to live for long, and did not, are forgotten by the clock."""
    exchange = venue()
    for _ in range(2_000):
        order = exchange.place("ann", limit(BUY, 90, 1, tif=GTD, expire_ns=2 * BEGIN), BEGIN)
        exchange.cancel("ann", order.number, BEGIN)
    assert len(exchange._expiries) < 200


def test_children_and_groups_that_are_gone_are_forgotten() -> None:
    """Whatever hung on a parent that lives on, or on others of a group."""
    exchange = venue()
    parent = exchange.place("ann", limit(BUY, 90, 5), BEGIN)
    for _ in range(50):
        pair = [limit(SELL, 110, 5, parent=parent.number), limit(SELL, 120, 5, group=-1)]
        for order in exchange.place_list("ann", pair, BEGIN):
            exchange.cancel("ann", order.number, BEGIN)
    clearing = exchange._clearing
    assert clearing.entries.keys() == {parent.number}
    assert not clearing.children
    assert not clearing.groups
    assert not clearing._group_locks


def test_events_that_nobody_takes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The older half goes, and is counted."""
    monkeypatch.setattr("engine.exchange.exchange.EVENTS_MAX", 100)
    exchange = venue()
    for _ in range(60):
        exchange.cancel("ann", exchange.place("ann", limit(BUY, 90, 1), BEGIN).number, BEGIN)
    assert exchange.events_shed > 100
    assert len(exchange.take_events()) <= 105
