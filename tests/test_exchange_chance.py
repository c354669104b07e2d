"""The simulated exchange by chance: whatever is asked of it, everything adds up to the unit."""

from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.exchange.checks import check, check_active
from engine.exchange.exchange import Capacities, Exchange
from engine.exchange.orders import NewOrder, Refused, Why
from engine.exchange.walk import Met, walk
from engine.messages import BUY, SELL
from ext.matching import (
    ACCEPTED,
    AUCTION,
    CLOSED,
    CONTINUOUS,
    GTD,
    HALTED,
    IOC,
    LIMIT,
    MARKET,
    PEGGED,
    POST_ONLY,
    REDUCE_ONLY,
    REJECTED,
    SLIDE,
    STP_DECREMENT,
    TRADE,
    TRAIL_BPS,
    MatchingBook,
)
from tests.exchange_rig import (
    ACCOUNTS,
    BEGIN,
    SECOND,
    around,
    everything,
    pass_time,
    venue,
)

# --- by chance: orders of all kinds of three accounts, and a flow ------------------------------------

SIDES = st.sampled_from([BUY, SELL])
TICKS = st.integers(94, 106)
LOTS = st.integers(1, 12)
FLAGS = st.sampled_from([0, 0, 0, POST_ONLY, SLIDE])


@st.composite
def new_orders(draw: st.DrawFn, place: int = 0) -> NewOrder:
    """An order that is mostly sensible; inside a list it may hang on an earlier one."""
    kind = draw(st.sampled_from([LIMIT, LIMIT, LIMIT, MARKET, MARKET, PEGGED]))
    trigger = draw(st.sampled_from([0, 0, 0, 1, 2, 3, 4])) if kind != PEGGED else 0
    tifs = [1, 4, 5] if kind == PEGGED else [1, 1, 1, 2, 3, 4, 5]
    tif = draw(st.sampled_from(tifs))
    fields: dict[str, Any] = {
        "ticks": draw(TICKS) if kind == LIMIT else 0,
        "client_id": draw(st.sampled_from(["", "", "a", "b", "c"])),
        "tif": tif,
        "stp": draw(st.integers(0, STP_DECREMENT)),
        "trigger": trigger,
        "trigger_ticks": draw(TICKS) if trigger in (1, 2) else 0,
        "expire_ns": BEGIN + draw(st.integers(1, 400)) * SECOND if tif == GTD else 0,
    }
    if trigger in (3, 4):
        fields["offset"] = draw(st.integers(1, 5)) * (100 if trigger == TRAIL_BPS else 1)
    elif kind == PEGGED:
        fields["offset"] = draw(st.integers(0, 3))
        fields["ticks"] = draw(st.sampled_from([0, 97, 103]))
    elif kind == LIMIT and tif not in (2, 3):
        fields["flags"] = draw(FLAGS)
        fields["display"] = draw(st.sampled_from([0, 0, 1, 3]))
    if place:
        fields["parent"] = -draw(st.integers(0, place))
        fields["group"] = draw(st.sampled_from([0, -1, -1]))
    else:
        fields["group"] = draw(st.sampled_from([0] * 6 + [-1, 1, 2]))
        fields["parent"] = draw(st.sampled_from([0] * 12 + [1, 2, 3, 5, 8]))
    if kind == MARKET and not trigger and draw(st.booleans()) and not fields["parent"]:
        return NewOrder(0, draw(SIDES), kind, 0, quote_units=draw(st.integers(1, 20_000)), **fields)
    return NewOrder(0, draw(SIDES), kind, draw(LOTS), **fields)


@st.composite
def lists(draw: st.DrawFn) -> list[NewOrder]:
    """Two or three orders, the first of them without ties to others."""
    count = draw(st.integers(2, 3))
    first = draw(new_orders())
    orders = [draw(new_orders(place)) for place in range(1, count)]
    fields = {name: getattr(first, name) for name in first.__struct_fields__}
    group = draw(st.sampled_from([0, -1]))
    return [NewOrder(**{**fields, "parent": 0, "group": group}), *orders]


FLOW = st.tuples(st.just("flow"), SIDES, TICKS, st.integers(1, 30), st.sampled_from([1, 2]))
ACCOUNT = st.sampled_from(ACCOUNTS)
PLACE = st.tuples(st.just("place"), ACCOUNT, new_orders())
LIST = st.tuples(st.just("list"), ACCOUNT, lists())
PHASES = [CONTINUOUS] * 4 + [AUCTION, HALTED, CLOSED]
RARE = st.one_of(
    st.tuples(st.just("cancel"), ACCOUNT, st.integers(0, 5)),
    st.tuples(st.just("cancel_all"), ACCOUNT, st.none()),
    st.tuples(st.just("advance"), st.integers(1, 200)),
    st.tuples(st.just("phase"), st.sampled_from(PHASES)),
    st.tuples(st.just("withdraw"), ACCOUNT, st.sampled_from(["BTC", "USDT"]), st.integers(1, 3000)),
    st.tuples(st.just("deposit"), ACCOUNT, st.sampled_from(["BTC", "USDT"]), st.integers(1, 3000)),
)
REPLACE = st.tuples(st.just("replace"), ACCOUNT, st.integers(0, 5), TICKS, st.integers(0, 15))
OFTEN = [PLACE] * 8 + [LIST] * 3 + [FLOW] * 6 + [REPLACE] * 2 + [RARE] * 3
STEP = st.sampled_from(OFTEN).flatmap(lambda kind: kind)


def do(exchange: Exchange, step: tuple[Any, ...], now_ns: int) -> None:
    """One step; raises Refused."""
    what, *with_what = step
    match what:
        case "flow":
            side, ticks, lots, tif = with_what
            exchange.act(0, lambda book: book.submit(side, LIMIT, ticks, lots, 0, tif), now_ns)
        case "advance":
            exchange.advance(now_ns)
        case "phase":
            exchange.set_phase(0, with_what[0], now_ns)
        case "place":
            exchange.place(*with_what, now_ns)
        case "list":
            exchange.place_list(*with_what, now_ns)
        case "cancel_all":
            exchange.cancel_all(*with_what, now_ns)
        case "withdraw":
            exchange.accounts.withdraw(*with_what, now_ns)
        case "deposit":
            exchange.accounts.deposit(*with_what, now_ns)
        case _:
            account, place, *numbers = with_what
            orders = exchange.open_orders(account)
            number = orders[place % len(orders)].number if orders else 99_999
            getattr(exchange, what)(account, number, *numbers, now_ns)


@given(
    steps=st.lists(STEP, max_size=50),
    band_bps=st.sampled_from([0, 0, 300]),
    balance=st.sampled_from([900, 12_000, 100_000]),
    capacities=st.sampled_from([Capacities(), Capacities(30, 3, 4, 5)]),
)
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_everything_adds_up_after_every_step(
    steps: list[tuple[Any, ...]], band_bps: int, balance: int, capacities: Capacities
) -> None:
    """Of three accounts and a flow, to the unit; what is refused changes nothing."""
    exchange = around(venue(band_bps, capacities, balance))
    now_ns = BEGIN
    for step in steps:
        now_ns += step[1] * SECOND if step[0] == "advance" else 0
        pass_time(exchange, now_ns)
        before = everything(exchange)
        try:
            do(exchange, step, now_ns)
        except Refused:
            assert everything(exchange) == before
        assert exchange.audit().problems == ()
        for order in (each for name in ACCOUNTS for each in exchange.open_orders(name)):
            assert order.request.tif != GTD or order.request.expire_ns > now_ns
        exchange.take_events()


ANY_ORDER = st.builds(
    NewOrder,
    instrument=st.just(0),
    side=st.sampled_from([BUY, SELL, 0, 2]),
    kind=st.integers(0, 4),
    lots=st.sampled_from([-1, 0, 1, 5, 10, 1_000, 1_001, 1 << 70]),
    ticks=st.sampled_from([-1, 0, 0, 98, 100, 101, 2_000, 2_001]),
    tif=st.sampled_from([0, 1, 1, 1, 2, 3, 4, 5, 6]),
    flags=st.integers(-1, 8).filter(lambda flags: not flags & REDUCE_ONLY),
    stp=st.integers(-1, 5),
    trigger=st.sampled_from([-1, 0, 0, 0, 1, 2, 3, 4, 5]),
    trigger_ticks=st.sampled_from([0, 0, 99, 104, 2_001]),
    offset=st.sampled_from([0, 0, 1, 2_001, 9_999, 10_000]),
    display=st.sampled_from([0, 0, 2, 1 << 63]),
    expire_ns=st.sampled_from([0, 0, BEGIN, BEGIN + 1, 1 << 70]),
)
WHYS = {0: None, 1: Why.INVALID, 2: Why.TICK, 3: Why.LOT, 4: Why.NOTIONAL, 5: Why.BAND}
WHYS |= {7: Why.WOULD_TAKE, 8: Why.FULL, 9: Why.IN_AUCTION, 10: Why.HALTED, 11: Why.HALTED}


SENSIBLE = (
    new_orders()
    .filter(lambda new: new.lots > 0)
    .map(lambda new: msgspec.structs.replace(new, group=0, parent=0))
)


@given(
    new=st.one_of(ANY_ORDER, SENSIBLE),
    phase=st.sampled_from([CONTINUOUS] * 5 + [AUCTION, HALTED, CLOSED]),
    last=st.sampled_from([0, 100]),
    room=st.booleans(),
)
@settings(max_examples=1_000, deadline=None)
def test_the_checks_are_the_kernels(new: NewOrder, phase: int, last: int, room: bool) -> None:
    """What is refused beforehand is what the kernel would reject, for the same reason."""
    exchange = around(venue(200, Capacities(book_orders=50 if room else 4)))
    there = exchange.markets[0]
    there.book.last = last
    exchange.set_phase(0, phase, BEGIN)
    why = None
    try:
        check(there, new, BEGIN)
        if not new.trigger:
            check_active(there, new)
    except Refused as refused:
        why = refused.why
    copy = MatchingBook.restore(there.book.snapshot())
    fields = {name: getattr(new, name) for name in new.__struct_fields__}
    for name in ("instrument", "client_id", "quote_units", "deadline_ns"):
        del fields[name]
    try:
        copy.submit(owner=1, **fields)
    except OverflowError:
        assert why is not None, "the kernel does not even read it"
        return
    first = copy.reports()[0]
    assert first.kind == (ACCEPTED if why is None else REJECTED)
    assert WHYS[first.reason] == why


# --- the walk of the book ----------------------------------------------------------------------------

RESTING = st.tuples(
    st.integers(0, 2),  # owner
    st.integers(100, 103),
    st.integers(1, 6),
    st.sampled_from([0, 0, 1, 2]),  # display
    st.sampled_from([0, 0, 1, 2]),  # group
)


@given(
    resting=st.lists(RESTING, max_size=14),
    side=SIDES,
    lots=st.integers(1, 40),
    stp=st.integers(0, STP_DECREMENT),
    group=st.sampled_from([0, 0, 1]),
    worst=st.integers(0, 3),
)
@settings(max_examples=1_500, deadline=None)
def test_a_walk_costs_what_the_kernel_makes_of_it(
    resting: list[tuple[int, int, int, int, int]],
    side: int,
    lots: int,
    stp: int,
    group: int,
    worst: int,
) -> None:
    """Never less; and exactly that, but where icebergs or its own group change who comes first."""
    book = MatchingBook()
    groups: dict[int, Met] = {}
    for owner, ticks, size, display, of in resting:
        number = book.submit(
            -side, LIMIT, ticks, size, owner, display=display, group=of * (owner > 0)
        )
        groups[number] = Met(owner, of * (owner > 0))
    limit_ticks = 100 + worst if side == BUY else 103 - worst
    found = walk(book, side, limit_ticks, lots, 1 << 62, 1, stp, group, groups.get)
    book.reports()
    book.submit(side, LIMIT, limit_ticks, lots, 1, IOC, stp=stp, group=group)
    trades = [report for report in book.reports() if report.kind == TRADE]
    value = sum(report.ticks * report.lots for report in trades)
    assert value <= found.value
    if not group and not any(display for _, _, _, display, _ in resting):
        assert value == found.value
        assert sum(report.lots for report in trades) == found.lots


def test_a_walk_that_may_spend_so_much_ends_there() -> None:
    """It skips nothing that would still fit: prices only get worse."""
    book = MatchingBook()
    book.submit(SELL, LIMIT, 100, 5)
    book.submit(SELL, LIMIT, 101, 5)
    for value_max, lots, exhausted in ((499, 4, False), (700, 6, False), (5_000, 10, True)):
        found = walk(book, BUY, 1 << 40, 1 << 62, value_max, 1, 0, 0, lambda number: None)
        assert (found.lots, found.exhausted) == (lots, exhausted)
