"""The venue's order path: what is sent, what is doubted, and how doubt ends."""

import json
from pathlib import Path

import pytest

from engine.assembly import build, topology_of
from engine.config import instruments_of, parse
from engine.messages import (
    BUY,
    AnyMessage,
    BookState,
    BookStateChanged,
    CancelCommand,
    Connected,
    Disconnected,
    Fill,
    Frame,
    KillSwitch,
    OrderCommand,
    OrderEvent,
    OrderIntent,
    OrderRequest,
    OrderState,
    Reason,
    RequestRefused,
    SendFrame,
    Started,
    TimeInForce,
    TimerFired,
)
from engine.venue import Venue
from tests.agreeing import Account, sent

CONFIG = parse((Path(__file__).parent.parent / "configs" / "demo.toml").read_text(), "demo")
SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND


@pytest.fixture
def venue() -> Venue:
    """Venue alpha, connected."""
    made = fresh()
    connect(made, NOW)
    return made


def connect(venue: Venue, now_ns: int, account: Account | None = None) -> list[AnyMessage]:
    """The line is open, and the exchange answers all it is asked."""
    outputs = venue.on_message(Connected(0, 2, 0, 0, 0), now_ns)
    return [*outputs, *(account or Account()).agree(venue, outputs, now_ns)]


def fresh() -> Venue:
    """Venue alpha, just started."""
    topology = topology_of(CONFIG)
    made = build(CONFIG, topology, instruments_of(CONFIG), "venue-alpha")[0]
    assert isinstance(made, Venue)
    made.on_message(Started(0, 1, 0, 1), NOW)
    return made


def command(name: str = "o1", epoch: int = 1, expires_ns: int = NOW + SECOND) -> OrderCommand:
    """A buy of 1000 lots at 60000.00 for bot 7."""
    intent = OrderIntent(
        7, 1, 5, name, 7, 1, 0, 0, 0, BUY, 6_000_000, 1000, TimeInForce.IOC, expires_ns
    )
    return OrderCommand(5, 1, 5, intent, epoch)


ORDERED = {
    "client_id": "o1", "symbol": "BTC/USDT", "side": "buy", "price": "60000.00", "qty": "0.01000",
    "number": 7,
}  # fmt: skip


def frame(**fields: object) -> Frame:
    """A frame of the exchange."""
    return Frame(0, 9, NOW, 0, 0, 0, json.dumps(fields).encode())


def told(**fields: object) -> Frame:
    """An order's state as the exchange tells it."""
    return frame(type="order", ts=NOW, **ORDERED, **fields)


def fill(trade: str = "t1", number: int = 1) -> Frame:
    """A fill of 400 lots."""
    return frame(
        type="fill", fill_seq=number, client_id="o1", symbol="BTC/USDT", trade_id=trade,
        side="buy", price="59999.00", qty="0.00400", fee="0.05", fee_asset="USDT", maker=False,
    )  # fmt: skip


def states(outputs: tuple[AnyMessage, ...]) -> list[tuple[OrderState, Reason]]:
    """The order events among outputs."""
    return [(o.state, o.reason) for o in outputs if isinstance(o, OrderEvent)]


def test_an_order_is_said_to_be_sent_before_it_is(venue: Venue) -> None:
    """The event goes into the journal with the request, and first; the deadline is in the bytes."""
    outputs = venue.on_message(command(), NOW)
    assert [type(output) for output in outputs] == [OrderEvent, OrderRequest]
    assert states(outputs) == [(OrderState.SENT, Reason.NONE)]
    request = outputs[1]
    assert isinstance(request, OrderRequest)
    assert request.raises_exposure
    assert json.loads(request.payload)["deadline_ns"] == NOW + SECOND // 2
    assert venue.open_work() == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda v: v.on_message(KillSwitch(0, 3, 0, True), NOW), Reason.KILLED),
        (lambda v: v.on_message(Disconnected(0, 3, 0, 0, 0, "x"), NOW), Reason.NOT_CONNECTED),
        (lambda v: v.on_message(command("other", epoch=2), NOW), Reason.STALE_EPOCH),
    ],
    ids=["killed", "disconnected", "stale epoch"],
)
def test_what_must_not_be_sent_is_rejected(venue: Venue, change, reason: Reason) -> None:  # type: ignore[no-untyped-def]
    """REJECTED with its reason, and no request."""
    change(venue)
    outputs = venue.on_message(command(), NOW)
    assert states(outputs) == [(OrderState.REJECTED, reason)]
    assert not any(isinstance(output, OrderRequest) for output in outputs)


def test_a_late_command_is_not_sent(venue: Venue) -> None:
    """A thawed or late message never trades at an old price."""
    outputs = venue.on_message(command(expires_ns=NOW - 1), NOW)
    assert states(outputs) == [(OrderState.REJECTED, Reason.EXPIRED)]


def test_a_finished_order_is_never_sent_again(venue: Venue) -> None:
    """Its id is remembered."""
    venue.on_message(command(), NOW)
    assert states(venue.on_message(told(state="cancelled", filled="0"), NOW)) == [
        (OrderState.CANCELLED, Reason.NONE)
    ]
    assert venue.on_message(command(), NOW) == (), "nor is it said to be rejected: it was not"
    assert venue.gateway is not None
    assert venue.gateway.status()["commands_repeated"] == 1


def test_a_fill_counts_once_and_before_its_total(venue: Venue) -> None:
    """The same trade id again changes nothing."""
    venue.on_message(command(), NOW)
    (first,) = venue.on_message(fill(), NOW)
    assert isinstance(first, Fill)
    assert (first.lots, first.bot, first.fee) == (400, 7, 5_000_000)
    assert venue.on_message(fill(), NOW) == ()
    outputs = venue.on_message(told(state="partly_filled", filled="0.00400"), NOW)
    assert states(outputs) == [(OrderState.PARTLY_FILLED, Reason.NONE)]
    venue.on_message(told(state="cancelled", filled="0.00400"), NOW)
    (late,) = venue.on_message(fill("t2", 2), NOW)
    assert isinstance(late, Fill), "a fill after the end is money and is counted"
    assert late.bot == 7


def test_silence_makes_an_order_unknown_and_asks(venue: Venue) -> None:
    """Not rejected: it may exist. Fills are asked for first, then the order; again each timeout."""
    assert venue.gateway is not None
    venue.gateway.calls.breaker.failures_max = 100
    venue.on_message(command(), NOW)
    assert states(venue.on_message(TimerFired(0, 3, 0, 1, 1), NOW + SECOND // 2)) == []
    outputs = venue.on_message(TimerFired(0, 4, 0, 1, 1), NOW + 2 * SECOND)
    assert states(outputs) == [(OrderState.UNKNOWN, Reason.NONE)]
    asked = ["fills", "query", "open_orders"]
    assert [op for op in sent(outputs) if op in asked] == asked
    again = venue.on_message(TimerFired(0, 5, 0, 1, 1), NOW + 4 * SECOND)
    assert states(again) == []
    assert [op for op in sent(again) if op in asked] == asked
    assert venue.open_work() == 1


def doubted(venue: Venue) -> tuple[AnyMessage, ...]:
    """An order of which nothing is heard for two seconds."""
    venue.on_message(command(), NOW)
    return venue.on_message(TimerFired(0, 4, 0, 1, 1), NOW + 2 * SECOND)


@pytest.mark.parametrize("after_ns", [0, 600_000_000], ids=["too early", "just short"])
def test_not_found_before_the_deadline_proves_nothing(venue: Venue, after_ns: int) -> None:
    """The order may still be on its way, whatever else the venue says at that time."""
    outputs = doubted(venue)
    said = Account().agree(venue, outputs, NOW + 2 * SECOND, NOW + after_ns)
    assert states(said) == []
    assert venue.open_work() == 1


def test_not_found_after_the_deadline_and_margin_ends_it(venue: Venue) -> None:
    """Then it can never be executed: REJECTED, never arrived."""
    outputs = doubted(venue)
    said = Account().agree(venue, outputs, NOW + 2 * SECOND)
    assert states(said) == [(OrderState.REJECTED, Reason.NEVER_ARRIVED)]


@pytest.mark.parametrize("silent", ["query", "fills", "open_orders"])
def test_all_evidence_has_to_be_there(venue: Venue, silent: str) -> None:
    """Not found, not resting, and all trades told: of these none may be missing."""

    class Silent(Account):
        """One that does not answer everything."""

        def answer(self, ask: dict[str, object], now_ns: int) -> dict[str, object] | None:
            return None if ask["op"] == silent else super().answer(ask, now_ns)

    assert states(Silent().agree(venue, doubted(venue), NOW + 2 * SECOND)) == []
    assert venue.open_work() == 1


def test_a_query_that_finds_it_ends_the_doubt(venue: Venue) -> None:
    """Whatever state the venue proves."""
    account = Account()
    account.orders["o1"] = {**ORDERED, "state": "filled", "filled": "0.01000"}
    said = account.agree(venue, doubted(venue), NOW + 2 * SECOND)
    assert states(said) == [(OrderState.FILLED, Reason.NONE)]
    assert venue.open_work() == 1, "its fills are still to come"


def test_a_restored_venue_doubts_what_was_open_and_asks_once_connected(venue: Venue) -> None:
    """The predecessor may have sent what nobody heard the answer of; nothing is sent again."""
    venue.on_message(command(), NOW)
    successor = fresh()
    successor.restore(venue.snapshot())
    outputs = successor.on_message(Started(0, 9, 0, 2), NOW)
    assert states(outputs) == [(OrderState.UNKNOWN, Reason.NONE)]
    assert sent(outputs) == []
    connected = successor.on_message(Connected(0, 10, 0, 0, 0), NOW)
    assert sent(connected) == ["subscribe", "login"]
    asked = [
        out for out in Account().agree(successor, connected, NOW) if isinstance(out, SendFrame)
    ]
    assert sent(asked)[0] == "open_orders", "what rests first"
    assert set(sent(asked)) == {"open_orders", "balances", "query", "fills"}
    assert not any(isinstance(o, OrderRequest) for o in (*outputs, *connected))


def test_what_the_gate_held_never_existed(venue: Venue) -> None:
    """The kill switch at the gate: the order is rejected for that reason."""
    venue.on_message(command(), NOW)
    outputs = venue.on_message(RequestRefused(0, 3, 5, 0, "o1", Reason.KILLED), NOW)
    assert states(outputs) == [(OrderState.REJECTED, Reason.KILLED)]


def test_a_cancel_passes_the_kill_switch(venue: Venue) -> None:
    """It raises no exposure."""
    venue.on_message(command(), NOW)
    venue.on_message(KillSwitch(0, 3, 0, True), NOW)
    outputs = venue.on_message(CancelCommand(5, 2, 0, "o1", 7, 0, 0), NOW)
    assert sent(outputs) == ["cancel"]
    assert not outputs[1].raises_exposure  # type: ignore[union-attr]


def test_a_gap_in_updates_breaks_the_book_and_asks_for_a_snapshot(venue: Venue) -> None:
    """seq must grow by one; a fresh snapshot mends it."""
    levels = {"bids": [["60000.00", "1"]], "asks": [["60001.00", "1"]]}
    venue.on_message(frame(type="snapshot", symbol="BTC/USDT", seq=5, **levels), NOW)
    assert venue.books[0].live
    outputs = venue.on_message(frame(type="update", symbol="BTC/USDT", seq=7, **levels), NOW)
    changed = [o for o in outputs if isinstance(o, BookStateChanged)]
    assert [(c.state, c.reason) for c in changed] == [(BookState.BROKEN, Reason.SEQUENCE_GAP)]
    assert sent(outputs) == ["subscribe"]
    venue.on_message(frame(type="snapshot", symbol="BTC/USDT", seq=9, **levels), NOW)
    assert venue.books[0].live


@pytest.mark.parametrize(
    ("bids", "asks", "state", "reason"),
    [
        ([["60002.00", "1"]], [], BookState.CROSSED, Reason.CROSSED),
        ([["60000.005", "1"]], [], BookState.BROKEN, Reason.OFF_GRID),
        ([["many", "1"]], [], BookState.BROKEN, Reason.MALFORMED),
    ],
)
def test_a_wrong_book_is_not_live(  # type: ignore[no-untyped-def]
    venue: Venue, bids, asks, state: BookState, reason: Reason
) -> None:
    """Crossed, off the grid or nonsense: no price is shown."""
    levels = {"bids": [["60000.00", "1"]], "asks": [["60001.00", "1"]]}
    venue.on_message(frame(type="snapshot", symbol="BTC/USDT", seq=1, **levels), NOW)
    update = frame(type="update", symbol="BTC/USDT", seq=2, bids=bids, asks=asks)
    venue.on_message(update, NOW)
    assert (venue.books[0].state, venue.books[0].reason) == (state, reason)


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 100_000,
        b'{"type":"snapshot","symbol":"BTC/USDT","seq":18446744073709551615}',
        b'{"type":"order","client_id":"o1","symbol":"X/Y","state":"filled"}',
        b'{"type":"order","client_id":"o1","symbol":"BTC/USDT","state":"dancing"}',
        b'{"type":"fill","fill_seq":"one"}',
        b'{"type":"balances","balances":{"BTC":"many"}}',
        b"\xff\x00",
    ],
    ids=range(7),
)
def test_malformed_frames_are_counted_and_never_raise(venue: Venue, payload: bytes) -> None:
    """Nested without end, numbers beyond 64 bits, unknown names: one count, and on it goes."""
    venue.on_message(Frame(0, 9, NOW, 0, 0, 0, payload), NOW)
    assert venue.counts.malformed == 1
    levels = {"bids": [["60000.00", "1"]], "asks": [["60001.00", "1"]]}
    venue.on_message(frame(type="snapshot", symbol="BTC/USDT", seq=1, **levels), NOW)
    assert venue.books[0].live


def test_a_silent_venue_goes_stale(venue: Venue) -> None:
    """No frame for longer than stale_ms: its books are not trusted, and are asked for anew."""
    levels = {"bids": [["60000.00", "1"]], "asks": [["60001.00", "1"]]}
    venue.on_message(frame(type="snapshot", symbol="BTC/USDT", seq=1, **levels), NOW)
    outputs = venue.on_message(TimerFired(0, 4, 0, 1, 1), NOW + 6 * SECOND)
    assert venue.books[0].state is BookState.STALE
    assert "subscribe" in sent(outputs)
