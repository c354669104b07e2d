"""What becomes of orders that were let through: ends, fills, doubts, repeats, restarts."""

import pytest

from engine.messages import OrderState, Reason, Reconciled
from engine.orders.lifecycle import FINAL
from engine.risk import RiskGuard
from tests.guarded import CONFIG, LOT_UNITS, MARKET, POSITION_MAX, guard, passes, refusal
from tests.streams import SECOND, event, fill, intent


@pytest.mark.parametrize("state", sorted(FINAL))
def test_an_order_that_ends_releases_what_did_not_fill(state: OrderState) -> None:
    """30 of 90 lots filled are position, the 60 others are free again; a late fill still counts."""
    made = guard()
    order = intent("a", lots=90)
    passes(made, order)
    made.on_message(fill(order, 30, "t1"), SECOND)
    made.on_message(event(order, state, 30), SECOND)
    assert made.open_work() == 0
    for number in range(2):
        passes(made, intent(f"b{number}", lots=99))
    assert refusal(made, intent("c", lots=23)) == (Reason.POSITION, POSITION_MAX, 251 * LOT_UNITS)
    made.on_message(fill(order, 10, "late"), SECOND)
    assert refusal(made, intent("d", lots=13)) == (Reason.POSITION, POSITION_MAX, 251 * LOT_UNITS)


def test_an_order_that_ended_waits_for_the_fills_that_the_venue_counted() -> None:
    """The end may be told before the last fills: what they will bring stays in flight until then."""
    made = guard()
    order = intent("a", lots=90)
    passes(made, order)
    made.on_message(event(order, OrderState.CANCELLED, 60), SECOND)
    for number in range(2):
        passes(made, intent(f"b{number}", 1, lots=90))
    assert refusal(made, intent("c", lots=11)) == (Reason.POSITION, POSITION_MAX, 251 * LOT_UNITS)
    assert made.open_work() == 3
    for trade in ("t1", "t2"):
        made.on_message(fill(order, 30, trade), SECOND)
        assert refusal(made, intent("d", lots=11))[0] is Reason.POSITION
    assert made.open_work() == 2
    late = intent("e", 2, lots=10)
    passes(made, late)
    made.on_message(event(late, OrderState.FILLED, 10), SECOND)
    assert made.open_work() == 3
    made.on_message(Reconciled(1, 1, 0, 1, True, 0), SECOND)
    assert made.open_work() == 3
    made.on_message(Reconciled(1, 1, 0, 2, True, 0), SECOND)
    assert made.open_work() == 2


def test_an_order_that_was_never_let_through_is_taken_over_whole() -> None:
    """A venue has an order of ours from before our memory: all of it may have to be counted."""
    made = guard()
    order = intent("old", lots=90)
    made.on_message(event(order, OrderState.PARTLY_FILLED, 20), SECOND)
    assert made.open_work() == 1
    for number in range(2):
        passes(made, intent(f"b{number}", 1, lots=75))
    assert refusal(made, intent("c", lots=11)) == (Reason.POSITION, POSITION_MAX, 251 * LOT_UNITS)
    made.on_message(fill(order, 20, "t"), SECOND)
    made.on_message(event(order, OrderState.CANCELLED, 20), SECOND)
    passes(made, intent("d", lots=80))
    made.on_message(event(order, OrderState.ACKNOWLEDGED), SECOND)  # late, of what has ended
    assert made.open_work() == 3


def test_a_trade_told_twice_is_one_position() -> None:
    """The same trade id of a venue counts once; of another venue it is another trade."""
    made = guard()
    for venue in (0, 0, 1):
        made.on_message(fill(intent("old", venue), 80, "t"), SECOND)
    assert refusal(made, intent("a", lots=91)) == (Reason.POSITION, POSITION_MAX, 251 * LOT_UNITS)


def test_open_orders() -> None:
    """The fifth order that is not final is one too many."""
    made = guard()
    for number in range(4):
        passes(made, intent(str(number), lots=1))
    assert refusal(made, intent("x", lots=1)) == (Reason.ORDERS_OPEN, 4, 4)


def test_an_unknown_order_blocks_its_instrument_until_evidence() -> None:
    """UNKNOWN keeps its reservation and stops that instrument only; any evidence frees it."""
    made = guard()
    order = intent("a", lots=90)
    passes(made, order)
    made.on_message(event(order, OrderState.UNKNOWN), SECOND)
    assert refusal(made, intent("b", lots=1)) == (Reason.UNRESOLVED_ORDER, 0, 1)
    passes(made, intent("c", 1, lots=90))
    assert refusal(made, intent("d", 1, lots=71))[0] is Reason.POSITION
    made.on_message(event(order, OrderState.ACKNOWLEDGED), SECOND)
    passes(made, intent("e", lots=1))
    made.on_message(event(order, OrderState.UNKNOWN), SECOND)
    made.on_message(event(order, OrderState.REJECTED, reason=Reason.NEVER_ARRIVED), SECOND)
    passes(made, intent("f", lots=90))


def test_duplicate() -> None:
    """A name used before is refused, also after its order ended; refused names may come again."""
    made = guard()
    order = intent("a", lots=1)
    passes(made, order)
    made.on_message(event(order, OrderState.CANCELLED), SECOND)
    assert refusal(made, order) == (Reason.DUPLICATE, 0, 1)
    assert refusal(made, intent("b", lots=0))[0] is Reason.ORDER_LOTS
    passes(made, intent("b", lots=1))


def test_a_refused_repeat_does_not_release_the_first() -> None:
    """A venue's DUPLICATE is about the second command; the first one may still fill."""
    made = guard()
    order = intent("a", lots=90)
    passes(made, order)
    made.on_message(event(order, OrderState.REJECTED, reason=Reason.DUPLICATE), SECOND)
    assert made.open_work() == 1


def test_a_restored_guard_counts_what_was_in_flight() -> None:
    """Reserved and UNKNOWN orders limit and block after a restart as before it."""
    made = guard()
    order = intent("a", 1, lots=95)
    passes(made, order)
    passes(made, intent("b", 2, lots=95))
    made.on_message(event(order, OrderState.UNKNOWN), SECOND)
    restored = RiskGuard(4, MARKET, CONFIG)
    restored.restore(made.snapshot())
    assert refusal(restored, intent("c", 1, lots=1)) == (Reason.UNRESOLVED_ORDER, 0, 1)
    assert refusal(restored, intent("d", lots=70)) == (
        Reason.POSITION,
        POSITION_MAX,
        260 * LOT_UNITS,
    )
