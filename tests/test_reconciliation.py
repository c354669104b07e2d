"""What rests at a venue against what we have, and the rounds of asking; by plain models."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.messages import BUY, CallKind, OrderIntent, OrderState, Reason, TimeInForce
from engine.orders.desk import Desk
from engine.orders.identity import client_order_id, deployment_prefix, ours
from engine.orders.reconciliation import AT_VENUE, LAG_NS, REPEATS_MAX, Round, Stage, compare
from engine.venues.trading import OrderSeen

SECOND = 1_000_000_000
NOW = 10**18
QUIET = SECOND
PREFIX = deployment_prefix("desk")
OPEN, BALANCES, FILLS = CallKind.OPEN_ORDERS, CallKind.BALANCES, CallKind.FILLS


def name(number: int) -> str:
    """An id of ours."""
    return client_order_id("desk", "main", "bot", 1, number, 0, "x")


def intent(text: str) -> OrderIntent:
    """An order that rests."""
    return OrderIntent(
        1, 1, 0, text, 2, 1, 0, 0, 0, BUY, 100, 10, TimeInForce.GTC, NOW + SECOND
    )  # fmt: skip


def seen(text: str, venue_id: str = "", instrument: int = 0) -> OrderSeen:
    """An order as the venue lists it."""
    state = OrderState.ACKNOWLEDGED
    return OrderSeen(text, venue_id, instrument, BUY, 100, 10, 0, state, Reason.NONE, NOW)


def desk() -> Desk:
    """Empty."""
    return Desk(1, 0, iter(range(1, 10**9)).__next__)


ORDERS = st.lists(
    st.tuples(
        st.integers(0, 9),
        st.sampled_from(["open", "quiet", "unknown", "ended", "long ended"]),
    ),
    unique_by=lambda order: order[0],
)
LISTED = st.lists(
    st.one_of(st.integers(0, 12).map(name), st.sampled_from(["", "web-1", "x" * 18, "~7"])),
    unique=True,
)


@given(ORDERS, LISTED, st.booleans(), st.sampled_from([0, -1]))
def test_each_order_is_found_to_be_what_it_is(
    orders: list[tuple[int, str]], listed: list[str], complete: bool, instrument: int
) -> None:
    """Every order that rests is in one list, by the rules said in words; and so is what is gone."""
    made = desk()
    how: dict[str, str] = {}
    for number, kind in orders:
        text = name(number)
        how[text] = kind
        order = made.approve(intent(text), True)
        made.now_ns = NOW - 10 * SECOND if kind != "quiet" else NOW
        made.move(text, OrderState.SENT, 0)
        made.seen(seen(text, f"v{number}"), 0)
        if kind == "unknown":
            made.move(text, OrderState.UNKNOWN, 0)
        elif kind.endswith("ended"):
            made.now_ns = NOW - (2 * LAG_NS if kind == "long ended" else 0)
            made.move(text, OrderState.CANCELLED, 0)
        assert order.known
    rests = [seen(text, f"w{place}", instrument) for place, text in enumerate(listed)]
    found = compare(made, rests, complete, NOW, PREFIX, QUIET)
    for order in rests:
        text = order.client_order_id
        places = [kind for kind, some in zip(found._fields, found, strict=True) if order in some]
        if text in made.open:
            assert places == ["listed"]
        elif how.get(text) == "ended":
            assert places == [], "its end was just told; the list may lag"
        elif how.get(text) == "long ended":
            assert places == ["lacking"]
        elif not ours(text, PREFIX):
            assert places == ["foreign"]
        else:
            assert places == (["lacking"] if instrument >= 0 else ["strays"])
    expected = {
        text
        for text, order in made.open.items()
        if complete and text not in listed and how[text] == "open" and order.state in AT_VENUE
    }
    assert set(found.gone) == expected


def test_an_order_is_known_by_the_venues_number_too() -> None:
    """A list that leaves our ids out."""
    made = desk()
    made.approve(intent(name(1)), True)
    made.move(name(1), OrderState.SENT, 0)
    made.seen(seen(name(1), "v1"), 0)
    made.learn("v1", name(1))
    found = compare(made, [seen("", "v1")], True, NOW + 9 * SECOND, PREFIX, QUIET)
    assert [order.venue_order_id for order in found.listed] == ["v1"]
    assert found.gone == ()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("answer"), st.integers(0, 3), st.integers(0, 2)),
        st.tuples(st.just("old answer"), st.integers(0, 3), st.just(0)),
        st.tuples(st.just("money"), st.just(0), st.just(0)),
    ),
    max_size=60,
)


@given(STEPS, st.integers(0, 2), st.lists(st.integers(-1, 2), unique=True, max_size=3))
def test_a_round_ends_settled_only_if_no_money_moved_in_it(
    steps: list[tuple[str, int, int]], transfers: int, places: list[int]
) -> None:
    """Whatever the order of answers, and whoever answers what was asked before."""
    current, told, now_ns = Round(), 0, NOW
    current.begin(told, transfers, now_ns)
    asked_with = told
    repeats = 0
    for what, pick, _ in steps:
        now_ns += 1
        if what == "money":
            told += 1
            continue
        if current.stage is Stage.IDLE:
            break
        kind, place = current.left[pick % len(current.left)]
        asked_ns = current.stage_ns if what == "answer" else current.stage_ns - 1
        ended = current.got(CallKind(kind), place, asked_ns)
        assert not ended or what == "answer"
        if not ended:
            continue
        if current.stage is Stage.ACCOUNT:
            current.fills(places, now_ns)
            if places:
                continue
        again = current.repeat(told, transfers, now_ns)
        moved = told != asked_with
        assert again is (moved and repeats < REPEATS_MAX)
        if again:
            repeats += 1
            asked_with = told
        else:
            assert current.stage is Stage.IDLE
    assert repeats <= REPEATS_MAX


def test_what_does_not_come_is_asked_for_again() -> None:
    """Each time after the wait, and not when nothing is waited for."""
    current = Round()
    assert not current.overdue(SECOND, NOW)
    current.begin(0, 0, NOW)
    assert not current.overdue(SECOND, NOW + SECOND - 1)
    assert current.overdue(SECOND, NOW + SECOND)
    assert not current.overdue(SECOND, NOW + SECOND + 1)
    pairs: list[tuple[Any, int]] = [(OPEN, 0), (BALANCES, 0)]
    assert [(CallKind(kind), place) for kind, place in current.left] == pairs
    assert not current.got(FILLS, 0, NOW), "nobody asked"
