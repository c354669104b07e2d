"""The monitor: the newest of everything, bounded, silent, and whole after a restore."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import monitor as monitor_module
from engine.messages import (
    AnyMessage,
    BalanceUpdate,
    CancelAll,
    Difference,
    DifferenceKind,
    Drain,
    KillProgress,
    KillSwitch,
    OpportunityGone,
    OrderState,
    PnL,
    PositionUpdate,
    Reason,
    Reconcile,
    Reconciled,
    ResolveUnknown,
    Risk,
    RiskLevel,
    Scope,
    SetBreaker,
    SetLimit,
    SetRiskLevel,
    VenueStatus,
)
from engine.monitor import Monitor
from engine.routes import DURABLE
from tests.streams import (
    SECOND,
    Stream,
    depth,
    event,
    fill,
    holds_over_restore,
    intent,
    market,
    opportunity,
    refused,
    run,
    top,
)

MARKET = market()
ROWS = 1000


def make() -> Monitor:
    """An empty monitor."""
    return Monitor(8, MARKET, {9: "arb"})


def fed(*messages: AnyMessage) -> Monitor:
    """A monitor that has heard these, and said nothing."""
    monitor = make()
    assert run(monitor, [(message, SECOND) for message in messages]) == []
    return monitor


def gone(number: int) -> OpportunityGone:
    """An opportunity ends after 2 ms."""
    return OpportunityGone(2, 1, SECOND, number, 2_000_000)


def status(venue: int, simulated: bool) -> VenueStatus:
    """A connected venue."""
    return VenueStatus(1, 1, SECOND, venue, True, *[0] * 9, simulated)


def test_the_newest_of_each_is_shown() -> None:
    """A later word on the same thing replaces the earlier one."""
    first, second = intent("a"), intent("b")
    monitor = fed(
        depth(0, [(1, 1)], []),
        depth(0, [(2, 1)], []),
        event(first, OrderState.SENT),
        event(second, OrderState.SENT),
        event(first, OrderState.FILLED, 10),
        BalanceUpdate(5, 1, SECOND, 0, "USDT", 1),
        BalanceUpdate(5, 2, SECOND, 0, "USDT", 2),
        PnL(5, 3, SECOND, "USDT", 1, 2, 3, 4),
        PnL(5, 4, SECOND, "USDT", 5, 6, 7, 8),
        PositionUpdate(5, 5, SECOND, "BTC", "USDT", 1, 1, 1, 1),
        PositionUpdate(5, 6, SECOND, "BTC", "USDT", 9, 1, 1, 1),
    )
    assert [book.bids[0].price for book in monitor.books(5)] == ["0.02"]
    assert [(o.client_order_id, o.state) for o in monitor.orders(5)] == [
        ("a", "FILLED"),
        ("b", "SENT"),
    ]
    assert [balance.total for balance in monitor.balances()] == ["0.00000002"]
    assert [pnl.equity for pnl in monitor.pnl()] == ["0.00000008"]
    assert [position.quantity for position in monitor.positions()] == ["0.00000009"]


def test_live_opportunities_come_first() -> None:
    """Live, newest first; then ended, newest first; at most as many as asked for."""
    monitor = fed(*(opportunity(number) for number in range(1, 6)), gone(4), gone(2))
    assert [seen.number for seen in monitor.opportunities(50)] == [5, 3, 1, 2, 4]
    assert [seen.lifetime_ms for seen in monitor.opportunities(50)] == [None] * 3 + [2.0] * 2
    assert [seen.number for seen in monitor.opportunities(4)] == [5, 3, 1, 2]
    assert [seen.number for seen in monitor.opportunities(2)] == [5, 3]


def test_the_end_of_what_was_never_seen_is_nothing() -> None:
    """The start of an opportunity may have been missed."""
    assert fed(gone(7)).opportunities(5) == []


def test_open_orders_stay_while_ended_ones_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest ended order makes room; an open one is never dropped."""
    monkeypatch.setattr(monitor_module, "ORDERS_KEPT", 3)
    orders = [intent(str(number)) for number in range(6)]
    states = [OrderState.UNKNOWN, *[OrderState.FILLED] * 4, OrderState.SENT]
    monitor = fed(*(event(order, state) for order, state in zip(orders, states, strict=True)))
    assert [order.client_order_id for order in monitor.orders(ROWS)] == ["5", "4", "0"]
    monitor = fed(*(event(order, OrderState.SENT) for order in orders))
    assert len(monitor.orders(ROWS)) == len(orders)


@pytest.mark.parametrize(
    ("limit", "table"),
    [
        ("ENDED_KEPT", "opportunities"),
        ("LIVE_KEPT", "opportunities"),
        ("FILLS_KEPT", "fills"),
        ("REFUSALS_KEPT", "refusals"),
    ],
)
def test_every_table_has_an_end(limit: str, table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is told for ever, the newest few are kept."""
    monkeypatch.setattr(monitor_module, limit, 3)
    monitor = make()
    for number in range(10):
        order = intent(str(number))
        told: list[AnyMessage] = {
            "ENDED_KEPT": [opportunity(number), gone(number)],
            "LIVE_KEPT": [opportunity(number)],
            "FILLS_KEPT": [fill(order, 1, str(number))],
            "REFUSALS_KEPT": [refused(order)],
        }[limit]
        run(monitor, [(message, SECOND) for message in told])
    rows = getattr(monitor, table)(ROWS)
    names = [
        str(getattr(row, "number", "") or getattr(row, "trade_id", "") or row.client_order_id)
        for row in rows
    ]
    assert names == ["9", "8", "7"]


def test_a_trade_told_twice_is_one_fill() -> None:
    """The same trade id on two venues is two trades, twice on one is one."""
    here, there = intent("a", 0), intent("b", 1)
    monitor = fed(fill(here, 1, "t"), fill(here, 1, "t"), fill(there, 1, "t"))
    assert len(monitor.fills(ROWS)) == 2


def test_risk_and_the_kill_switch() -> None:
    """The level and the switch as last heard."""
    monitor = fed(RiskLevel(4, 1, SECOND, Risk.HALT, Reason.KILLED), KillSwitch(0, 1, SECOND, True))
    assert (monitor.risk().level, monitor.risk().kill_switch) == ("HALT", True)
    monitor.on_message(KillSwitch(0, 2, SECOND, False), SECOND)
    assert not monitor.risk().kill_switch


def test_why_the_level_is_what_it_is_and_how_far_a_kill_is() -> None:
    """The kill's progress is that of this kill: it is gone once the level is below HALT."""
    halt = RiskLevel(4, 1, SECOND, Risk.HALT, Reason.DRAWDOWN)
    monitor = fed(halt, KillProgress(4, 2, SECOND, Risk.HALT, 3, 1, 0, False))
    shown = monitor.risk()
    assert (shown.level, shown.reason) == ("HALT", "DRAWDOWN")
    assert shown.kill is not None
    assert (shown.kill.resting, shown.kill.unknown, shown.kill.finished) == (3, 1, False)
    monitor.on_message(RiskLevel(4, 3, SECOND, Risk.NORMAL, Reason.OPERATOR), SECOND)
    assert monitor.risk().kill is None


def test_differences_are_kept_once_each_and_newest_first() -> None:
    """What became of one replaces what was said of it before; the venue shows its last count."""
    drift, ghost = DifferenceKind.BALANCE_DRIFT, DifferenceKind.GHOST_ORDER
    monitor = fed(
        Difference(1, 1, SECOND, 0, drift, "BTC", 1, 2, False),
        Difference(1, 2, SECOND, 0, ghost, "a", 1, 0, True),
        Difference(1, 3, SECOND, 0, drift, "BTC", 1, 2, True),
        status(0, True),
        Reconciled(1, 4, SECOND, 0, True, 2),
    )
    found = monitor.differences(ROWS)
    assert [(each.subject, each.repaired) for each in found] == [("BTC", True), ("a", True)]
    assert [venue.differences for venue in monitor.venues()] == [2]


OPERATOR = (
    SetRiskLevel(0, 7, 0, Risk.HALT, "me"),
    SetLimit(0, 7, 0, Scope.GLOBAL, "", "order_notional_max", "10", "me"),
    SetBreaker(0, 7, 0, 1, True, "me"),
    Reconcile(0, 7, 0, 1, "me"),
    ResolveUnknown(0, 7, 0, 1, "ab12", OrderState.CANCELLED, "me"),
    CancelAll(0, 7, 0, -1, "me"),
)


@pytest.mark.parametrize("word", OPERATOR, ids=lambda word: type(word).__name__)
def test_an_operators_word_is_passed_on_once(word: AnyMessage) -> None:
    """As the view's own, with its next number; what comes back to it goes nowhere."""
    monitor = make()
    (said,) = monitor.on_message(word, SECOND)
    assert said == msgspec.structs.replace(word, sender=8, sequence=1)
    assert monitor.on_message(said, SECOND) == ()
    assert type(said) in DURABLE


def test_a_book_is_simulated_unless_its_venue_says_otherwise() -> None:
    """What is not known to be real is not shown as real."""
    levels = [(1, 1)]
    monitor = fed(
        depth(0, levels, []), depth(1, levels, []), status(0, simulated=False), status(2, True)
    )
    assert [book.simulated for book in monitor.books(1)] == [False, True]
    assert [venue.venue for venue in monitor.venues()] == ["venue0", "venue2"]


def test_what_is_not_shown_changes_nothing() -> None:
    """Other messages leave the count of changes alone, so that nothing is drawn again."""
    monitor = fed(Drain(0, 1, SECOND))
    assert monitor.changes == 0
    monitor.on_message(top(0), SECOND)
    assert monitor.changes == 1


@st.composite
def told(draw: st.DrawFn) -> AnyMessage:
    """Anything the monitor keeps."""
    number = draw(st.integers(0, 2))
    order = intent(draw(st.sampled_from("abcde")), number)
    return draw(
        st.sampled_from(
            [
                depth(number, [(1, 1)], [(2, 2)]),
                top(number),
                status(number, True),
                opportunity(number),
                gone(number),
                event(order, draw(st.sampled_from(list(OrderState)))),
                fill(order, 1, draw(st.sampled_from("xyz"))),
                refused(order),
                PositionUpdate(5, 1, SECOND, "BTC", "USDT", number, 1, 1, 1),
                BalanceUpdate(5, 1, SECOND, number, "USDT", 1),
                PnL(5, 1, SECOND, "USDT", number, 1, 1, 1),
                Difference(1, 1, SECOND, number, DifferenceKind.GHOST_ORDER, "a", 1, 0, True),
                Reconciled(1, 1, SECOND, number, True, number),
                KillProgress(4, 1, SECOND, Risk.HALT, number, 0, 0, False),
                RiskLevel(4, 1, SECOND, Risk.HALT, Reason.KILLED),
                KillSwitch(0, 1, SECOND, True),
            ]
        )
    )


@given(st.lists(told(), max_size=40), st.integers(0, 40))
def test_restored_it_goes_on_as_before(messages: list[AnyMessage], cut: int) -> None:
    """Cut anywhere, the state and all it shows are the same, and it never says anything."""
    stream: Stream = [(message, SECOND) for message in messages]
    assert holds_over_restore(make, stream, cut) == []


def test_bytes_of_another_shape_are_refused() -> None:
    """A snapshot of something else raises and leaves the state."""
    monitor = fed(depth(0, [(1, 1)], []))
    for data in (b"", b"\xc1", b"\x93\x01\x02\x03", monitor.snapshot()[:-1]):
        with pytest.raises(ValueError, match=r".+"):
            monitor.restore(data)
    assert len(monitor.books(1)) == 1
