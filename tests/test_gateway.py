"""The gateway at an exchange that goes wrong, over each private protocol; and its rules one by one."""

import json
from collections.abc import Sequence

import pytest

from engine.messages import (
    AnyMessage,
    CancelAll,
    CancelCommand,
    Circuit,
    Connected,
    Difference,
    DifferenceKind,
    Disconnected,
    Fill,
    KillSwitch,
    OrderCommand,
    OrderEvent,
    OrderRequest,
    OrderState,
    Reason,
    Reconcile,
    Reconciled,
    ResolveUnknown,
    Resting,
    SetBreaker,
    Started,
    TimeInForce,
    TimerFired,
)
from engine.orders.identity import deployment_prefix
from engine.venue import Venue
from tests.agreeing import Account, Fields, frame, sent
from tests.gateway_world import SECOND, World, configured
from tests.test_venue import CONFIG, NOW, ORDERED, command, connect, fresh, states

FAULTS = {
    "none": "",
    "no answer": "timeout_done timeout_not_done",
    "errors": "error_done error_not_done overloaded rejected",
    "frames": "slow drop_frame repeat_frame",
    "races": "fill_before_cancel partial_fill",
    "clock and maintenance": "clock_skew maintenance",
    "lines and limits": "disconnect rate_limit",
}
SETTINGS = {
    "slow": "chance = 0.1\ndelay_ms = 400",
    "clock_skew": "from_s = 2\nfor_s = 1\nevery_s = 5\nskew_ms = 300",
    "maintenance": "from_s = 5\nfor_s = 1\nevery_s = 5",
    "disconnect": "from_s = 3\nevery_s = 4",
    "rate_limit": "chance = 0.003",
    "partial_fill": "chance = 0.5",
}


def plan(kinds: str) -> str:
    """Faults as a configuration has them."""
    tables = [
        f'[[exchange.faults.plan]]\nkind = "{kind}"\n{SETTINGS.get(kind, "chance = 0.07")}\n'
        for kind in kinds.split()
    ]
    return "".join(tables)


@pytest.mark.parametrize("faults", FAULTS)
@pytest.mark.parametrize("protocol", ["simulated", "binance", "kraken"])
def test_whatever_goes_wrong_the_books_agree_in_the_end(protocol: str, faults: str) -> None:
    """Nothing sent twice, no fill lost or told twice, settled balances exact, no doubt left.

    With kills, restarts, lost lines and commands that come again; `World` checks each step.
    """
    if (protocol, faults) == ("kraken", "lines and limits"):
        pytest.skip("Kraken locks an account out for longer than the world lives")
    world = World(configured(plan(FAULTS[faults])), protocol, 1)
    world.live(5)
    assert world.settled > 0


def test_a_world_reaches_every_state() -> None:
    """All that an order may be, over a few seeds and protocols."""
    reached: set[OrderState] = set()
    for protocol, seed in (("simulated", 2), ("binance", 3)):
        world = World(configured(plan(FAULTS["no answer"])), protocol, seed)
        world.live(6)
        reached |= world.reached
    unseen = set(OrderState) - reached
    assert unseen <= {OrderState.INTENDED, OrderState.APPROVED}, "those are other messages"


def test_a_world_is_a_function_of_its_seed() -> None:
    """To the last message."""
    runs = []
    for _ in range(2):
        world = World(configured(plan(FAULTS["frames"])), "binance", 4)
        world.live(4)
        runs.append(world.told)
    assert runs[0] == runs[1]


def test_a_gateway_without_its_journal_adopts_what_rests() -> None:
    """Ours by their ids, told as differences; what was traded before is in the first balance."""
    world = World(configured(), "binance", 5)
    world.at(world.now_ns, world.keep_time)
    world.run(world.now_ns + 2 * SECOND)
    for _ in range(60):
        world.order()
        world.run(world.now_ns + SECOND // 20)
    mine = set(world.gateway.desk.open)
    assert mine
    world.crash(100_000_000, forgets=True)
    world.opening.clear()
    world.money.clear()
    world.run(world.now_ns + 5 * SECOND)
    adopted = [m for m in world.told if isinstance(m, Difference)]
    assert {m.subject for m in adopted if m.kind is DifferenceKind.ADOPTED_ORDER} == mine
    assert set(world.gateway.desk.open) <= mine
    world.cancel_all()
    world.run(world.now_ns + 20 * SECOND)
    assert world.exchange.open_orders("main") == []
    assert not world.gateway.desk.open
    assert world.gateway.account.reconciled


# --- one rule at a time, over the own protocol -----------------------------------------------------


@pytest.fixture
def venue() -> Venue:
    """Venue alpha, agreed with."""
    made = fresh()
    connect(made, NOW)
    return made


def resting(name: str, **more: object) -> Fields:
    """An order as the exchange lists it."""
    return {**ORDERED, "client_id": name, "state": "acknowledged", "filled": "0", **more}


def kinds(outputs: Sequence[AnyMessage]) -> list[DifferenceKind]:
    """The differences among outputs."""
    return [out.kind for out in outputs if isinstance(out, Difference)]


def gtc(name: str, **more: object) -> OrderCommand:
    """An order that rests."""
    made = command(name)
    intent = made.intent
    fields = {key: getattr(intent, key) for key in intent.__struct_fields__}
    fields |= {"time_in_force": TimeInForce.GTC} | more
    return OrderCommand(5, 1, 5, type(intent)(**fields), 1, bool(more.get("flattening")))


def tick(venue: Venue, now_ns: int) -> tuple[AnyMessage, ...]:
    """The upkeep timer."""
    return venue.on_message(TimerFired(0, 4, 0, 1, 1), now_ns)


def test_nothing_is_sent_until_the_first_clean_round() -> None:
    """A connect is not enough; what flattens passes."""
    venue = fresh()
    outputs = venue.on_message(Connected(0, 2, 0, 0, 0), NOW)
    assert states(venue.on_message(command("early"), NOW)) == [
        (OrderState.REJECTED, Reason.NOT_CONNECTED)
    ]
    account = Account()
    login = account.answer({"op": "login", "account": "main"}, NOW)
    assert login is not None
    more = venue.on_message(frame(NOW, **login), NOW)
    assert states(venue.on_message(command("still"), NOW)) == [
        (OrderState.REJECTED, Reason.NOT_RECONCILED)
    ]
    flattens = gtc("flat", flattening=True)
    assert states(venue.on_message(flattens, NOW)) == [(OrderState.SENT, Reason.NONE)]
    del outputs
    said = account.agree(venue, more, NOW)
    assert [(m.clean, m.differences) for m in said if isinstance(m, Reconciled)] == [(True, 0)]
    assert states(venue.on_message(command("now"), NOW)) == [(OrderState.SENT, Reason.NONE)]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"time_in_force": TimeInForce.IOC}, {"tif": "ioc"}),
        ({"time_in_force": TimeInForce.FOK}, {"tif": "fok"}),
        ({"time_in_force": TimeInForce.GTD, "good_until_ns": 9}, {"tif": "gtd", "expire_ns": 9}),
        ({"post_only": True}, {"tif": "gtc", "post_only": True}),
    ],
    ids=["ioc", "fok", "gtd", "post-only"],
)
def test_the_own_protocol_has_every_kind(venue: Venue, more: Fields, words: Fields) -> None:
    """As its frame says it."""
    (request,) = [o for o in venue.on_message(gtc("k", **more), NOW) if isinstance(o, OrderRequest)]
    fields = json.loads(request.payload)
    assert {key: fields[key] for key in words} == words


def test_an_order_of_ours_that_we_lack_is_adopted_and_a_foreign_one_alarmed_about() -> None:
    """By the deployment's prefix."""
    name = deployment_prefix(CONFIG.name) + "0123456789abcdef"
    account = Account()
    account.open = [resting(name), resting("somebody", number=8)]
    venue = fresh()
    outputs = connect(venue, NOW, account)
    assert set(kinds(outputs)) == {DifferenceKind.ADOPTED_ORDER, DifferenceKind.FOREIGN_ORDER}
    assert states(outputs) == [
        (OrderState.UNKNOWN, Reason.NONE),
        (OrderState.ACKNOWLEDGED, Reason.NONE),
    ]
    assert venue.open_work() == 1
    again = account.agree(venue, venue.on_message(Reconcile(0, 1, 0, 0, "me"), NOW), NOW)
    assert kinds(again) == [], "each is told of once"


def test_an_order_that_rests_no_more_is_a_ghost(venue: Venue) -> None:
    """The stream should have told; its end is found by what rests and what traded."""
    account = Account()
    venue.on_message(gtc("o1"), NOW)
    venue.on_message(frame(NOW, type="order", ts=NOW, **resting("o1")), NOW)
    later = NOW + 10 * SECOND
    said = account.agree(venue, venue.on_message(Reconcile(0, 1, 0, 0, "me"), later), later)
    assert states(said) == [(OrderState.UNKNOWN, Reason.NONE)]
    much_later = later + 5 * SECOND
    said = account.agree(venue, tick(venue, much_later), much_later)
    assert states(said) == [(OrderState.CANCELLED, Reason.NONE)]
    assert kinds(said) == [DifferenceKind.GHOST_ORDER]


def test_an_order_that_was_given_up_and_is_there_all_the_same_lives_again(venue: Venue) -> None:
    """Its deadline was a promise of the venue's clock; a promise may be broken."""
    account = Account()
    venue.on_message(command("o1"), NOW)
    later = NOW + 2 * SECOND
    said = account.agree(venue, tick(venue, later), later)
    assert states(said) == [(OrderState.REJECTED, Reason.NEVER_ARRIVED)]
    outputs = venue.on_message(frame(later, type="order", ts=later, **resting("o1")), later)
    assert kinds(outputs) == [DifferenceKind.ADOPTED_ORDER]
    assert venue.open_work() == 1


def test_a_kill_cancels_and_asks_until_nothing_rests(venue: Venue) -> None:
    """And says what it saw each time; an order that comes late is cancelled too."""
    account = Account()
    venue.on_message(gtc("o1"), NOW)
    venue.on_message(frame(NOW, type="order", ts=NOW, **resting("o1")), NOW)
    account.open = [resting("o1")]
    outputs = venue.on_message(KillSwitch(0, 5, 0, True), NOW)
    assert sent(outputs) == ["cancel", "open_orders"]
    said = account.agree(venue, outputs, NOW)
    assert [(m.orders, m.foreign) for m in said if isinstance(m, Resting)] == [(1, 0)]
    account.open = []
    gone = {**resting("o1"), "state": "cancelled", "reason": ""}
    venue.on_message(frame(NOW, type="order", ts=NOW, **gone), NOW)
    later = NOW + 3 * SECOND
    said = account.agree(venue, tick(venue, later), later)
    assert [(m.orders, m.foreign) for m in said if isinstance(m, Resting)] == [(0, 0)]
    last = account.agree(venue, tick(venue, later + 9 * SECOND), later + 9 * SECOND)
    assert not any(isinstance(m, Resting) for m in last), "it is over"


def test_a_kill_lets_flattening_pass_and_nothing_else(venue: Venue) -> None:
    """Marked so by the guard as well, not by its own word alone."""
    venue.on_message(KillSwitch(0, 5, 0, True), NOW)
    claims = OrderCommand(5, 1, 5, gtc("claims", flattening=True).intent, 1, reduces=False)
    assert states(venue.on_message(claims, NOW)) == [(OrderState.REJECTED, Reason.KILLED)]
    outputs = venue.on_message(gtc("flat", flattening=True), NOW)
    (request,) = [o for o in outputs if isinstance(o, OrderRequest)]
    assert not request.raises_exposure


def test_doubt_is_not_ended_by_a_cancel_and_may_be_by_an_operator(venue: Venue) -> None:
    """An UNKNOWN order is cancelled and stays UNKNOWN; only a final state ends it."""
    venue.on_message(command("o1"), NOW)
    tick(venue, NOW + 2 * SECOND)
    outputs = venue.on_message(CancelCommand(5, 2, 0, "o1", 7, 0, 0), NOW + 2 * SECOND)
    assert sent(outputs) == ["cancel"]
    assert states(outputs) == []
    for state, ends in ((OrderState.ACKNOWLEDGED, False), (OrderState.CANCELLED, True)):
        said = venue.on_message(ResolveUnknown(0, 3, 0, 0, "o1", state, "me"), NOW + 3 * SECOND)
        assert bool(states(said)) is ends
    assert venue.open_work() == 0


def test_an_open_breaker_refuses_orders_and_lets_cancels_pass(venue: Venue) -> None:
    """By an operator's word, and closed by it."""
    venue.on_message(gtc("o1"), NOW)
    venue.on_message(SetBreaker(0, 3, 0, 0, True, "me"), NOW)
    assert states(venue.on_message(gtc("o2"), NOW)) == [(OrderState.REJECTED, Reason.BREAKER_OPEN)]
    assert sent(venue.on_message(CancelCommand(5, 2, 0, "o1", 7, 0, 0), NOW)) == ["cancel"]
    assert venue.gateway is not None
    assert venue.gateway.status()["circuit"] is Circuit.OPEN
    venue.on_message(SetBreaker(0, 3, 0, 0, False, "me"), NOW)
    assert states(venue.on_message(gtc("o3"), NOW)) == [(OrderState.SENT, Reason.NONE)]


def test_too_many_requests_hold_everything_until_the_venue_said(venue: Venue) -> None:
    """The order was not placed; a cancel would make it worse, and waits."""
    venue.on_message(gtc("o1"), NOW)
    venue.on_message(gtc("o2"), NOW)
    error = {"type": "error", "op": "order", "client_id": "o1", "reason": "too many requests"}
    outputs = venue.on_message(frame(NOW, **error, retry_after_s=2), NOW)
    assert states(outputs) == [(OrderState.REJECTED, Reason.RATE_LIMITED)]
    cancel = venue.on_message(CancelCommand(5, 2, 0, "o2", 7, 0, 0), NOW)
    assert sent(cancel) == []
    assert "cancel" not in sent(tick(venue, NOW + 2 * SECOND - 1))
    assert "cancel" in sent(tick(venue, NOW + 2 * SECOND))


def test_a_lost_line_takes_the_agreement_with_it(venue: Venue) -> None:
    """Every open order is in doubt; what rests is asked for, and a new round agrees."""
    account = Account()
    venue.on_message(gtc("o1"), NOW)
    venue.on_message(frame(NOW, type="order", ts=NOW, **resting("o1")), NOW)
    account.open = [resting("o1")]
    lost = venue.on_message(Disconnected(0, 3, 0, 0, 0, "x"), NOW)
    assert states(lost) == [(OrderState.UNKNOWN, Reason.NONE)]
    outputs = connect(venue, NOW, account)
    assert states(outputs) == [(OrderState.ACKNOWLEDGED, Reason.NONE)]
    assert [m.clean for m in outputs if isinstance(m, Reconciled)] == [True]


def test_a_fill_that_nobody_told_is_missing_and_found(venue: Venue) -> None:
    """By its number: the order is final with more than was told."""
    account = Account()
    venue.on_message(command("o1"), NOW)
    done = {**resting("o1"), "state": "filled", "filled": "0.01000"}
    venue.on_message(frame(NOW, type="order", ts=NOW, **done), NOW)
    assert venue.open_work() == 1
    account.fills = [
        {
            "fill_seq": 1, "client_id": "o1", "symbol": "BTC/USDT", "trade_id": "t1", "side": "buy",
            "price": "59999.00", "qty": "0.01000", "fee": "0.05", "fee_asset": "USDT",
            "maker": False, "ts": NOW,
        }
    ]  # fmt: skip
    later = NOW + 3 * SECOND
    said = account.agree(venue, tick(venue, later), later)
    assert [(m.lots, m.bot) for m in said if isinstance(m, Fill)] == [(1000, 7)]
    assert kinds(said) == [DifferenceKind.MISSING_FILL]
    assert venue.open_work() == 0


def test_what_is_asked_of_all_venues_is_asked_of_this_one(venue: Venue) -> None:
    """`CancelAll` cancels what flattens too."""
    venue.on_message(gtc("o1"), NOW)
    venue.on_message(gtc("o2", flattening=True), NOW)
    outputs = venue.on_message(CancelAll(0, 1, 0, -1, "me"), NOW)
    assert sent(outputs) == ["cancel", "cancel", "open_orders"]


def test_goes_on_from_its_snapshot_at_every_moment() -> None:
    """Cut anywhere: the same outputs and the same state."""
    world = World(configured(plan(FAULTS["frames"])), "simulated", 6)
    world.live(3)
    taken = [m for m in world.told if isinstance(m, (OrderEvent, Fill, Reconciled))]
    assert len(taken) > 30
    first, second = fresh(), fresh()
    account = Account()
    for number in range(12):
        now_ns = NOW + number * SECOND // 3
        second.restore(first.snapshot())
        assert second.snapshot() == first.snapshot()
        message: AnyMessage
        match number % 4:
            case 0:
                message = Connected(0, number, 0, 0, 0)
            case 1:
                message = gtc(f"o{number}", expires_ns=now_ns + SECOND)
            case 2:
                message = TimerFired(0, number, 0, 1, 1)
            case _:
                message = Started(0, number, 0, number)
        outputs = first.on_message(message, now_ns)
        assert second.on_message(message, now_ns) == outputs
        assert second.snapshot() == first.snapshot()
        account.agree(first, outputs, now_ns)
