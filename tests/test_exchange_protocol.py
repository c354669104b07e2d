"""The simulated exchange's own protocol: what it reads, what it answers, who hears what."""

import json
from typing import Any

import pytest

from engine.exchange.orders import Status
from engine.exchange.wires.simulated import SimulatedWire
from engine.exchange.wires.simulated_words import ENDS, FAILURES, REFUSALS
from engine.exchange.wires.wire import Call, Failure
from engine.messages import BUY, SELL
from ext.matching import HALTED
from tests.exchange_rig import BEGIN, around, limit, seed, venue

Frame = dict[str, Any]


class Room:
    """A wire in front of the small venue, and its clients."""

    def __init__(self, **settings: Any) -> None:
        self.exchange = around(venue())
        self.wire = SimulatedWire(self.exchange, **settings)
        self.join(1)

    def join(self, connection: int, account: str = "") -> None:
        """One more client."""
        assert not self.wire.connected(connection, "", "", BEGIN)
        if account:
            self.say(connection, op="login", account=account)

    def say(self, connection: int, **fields: Any) -> dict[int, list[Frame]]:
        """A client's frame; what everybody hears."""
        return self.say_raw(connection, json.dumps(fields).encode())

    def say_raw(self, connection: int, payload: bytes) -> dict[int, list[Frame]]:
        """The same in bytes."""
        out = [*self.wire.frame(connection, payload, BEGIN), *self.news()]
        heard: dict[int, list[Frame]] = {}
        for number, data in out:
            assert data is not None
            heard.setdefault(number, []).append(json.loads(data))
        return heard

    def news(self) -> list[Any]:
        """What happened, as the front hands it on."""
        return list(self.wire.publish(self.exchange.take_events(), BEGIN))

    def order(self, name: str, **fields: Any) -> list[Frame]:
        """An order of client 1; what it hears."""
        base = {"symbol": "BTC/USDT", "side": "buy", "qty": "0.5", "price": "9.0", "tif": "gtc"}
        return self.say(1, op="order", client_id=name, **(base | fields)).get(1, [])


@pytest.mark.parametrize(
    ("fields", "state", "reason"),
    [
        ({}, "acknowledged", ""),
        ({"tif": "ioc"}, "cancelled", "immediate or cancel"),
        ({"tif": "fok", "price": "10.1", "qty": "9.0"}, "cancelled", "fill or kill"),
        ({"tif": "day"}, "acknowledged", ""),
        ({"tif": "gtd", "expire_ns": BEGIN + 9}, "acknowledged", ""),
        ({"kind": "market", "price": ""}, "filled", ""),
        ({"kind": "market", "price": "", "qty": "", "quote_qty": "6"}, "filled", ""),
        ({"kind": "market", "price": "", "qty": "9"}, "cancelled", "nothing more to trade with"),
        ({"kind": "pegged", "price": "", "offset": "0.1"}, "acknowledged", ""),
        ({"kind": "market", "price": "", "stop": "12.0"}, "acknowledged", ""),
        ({"stop": "12.0", "price": "12.5"}, "acknowledged", ""),
        ({"trigger": "take_profit", "stop": "8.0", "price": "12.5"}, "acknowledged", ""),
        ({"post_only": True}, "acknowledged", ""),
        ({"post_only": True, "price": "10.1"}, "rejected", "post-only would take"),
        ({"slide": True, "price": "10.1"}, "acknowledged", ""),
        ({"display": "0.1"}, "acknowledged", ""),
        ({"qty": "0.1", "price": "0.1"}, "rejected", "below the least notional"),
        ({"qty": "99.0", "price": "99.0"}, "rejected", "insufficient balance"),
        ({"price": "200.1"}, "rejected", "price off the grid or out of bounds"),
        ({"deadline_ns": BEGIN - 1}, "expired", "deadline passed"),
        ({"tif": "gtd"}, "rejected", "fields that do not go together"),
        ({"group": 9}, "rejected", "fields that do not go together"),
    ],
    ids=str,
)
def test_an_order_of_each_kind(fields: Frame, state: str, reason: str) -> None:
    """What the last frame says of it, and what a query then finds."""
    room = Room()
    last = room.order("a", **fields)[-1]
    assert (last["type"], last["state"], last["reason"]) == ("order", state, reason)
    (found,) = room.say(1, op="query", client_id="a")[1]
    assert (found["found"], found["state"]) == (True, state)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"client_id": ""}, "client_id must be there"),
        ({"symbol": "X/Y"}, "no symbol 'X/Y'"),
        ({"side": "hold"}, "side 'hold'"),
        ({"kind": "odd"}, "kind 'odd'"),
        ({"tif": "never"}, "tif 'never'"),
        ({"trigger": "x"}, "trigger 'x'"),
        ({"stp": "x"}, "stp 'x'"),
        ({"qty": "0"}, "price and qty must be there and above zero"),
        ({"qty": "1.05"}, "off the grid"),
        ({"price": ""}, "not a decimal number"),
        ({"kind": "market", "quote_qty": "1.001"}, "off the grid"),
    ],
    ids=str,
)
def test_what_is_no_order_is_an_error(fields: Frame, reason: str) -> None:
    """It uses no client id up."""
    room = Room()
    name = fields.pop("client_id", "a")
    (error,) = room.order(name, **fields)
    assert error["type"] == "error"
    assert reason in error["reason"]
    if name:
        assert room.order(name)[-1]["state"] == "acknowledged"


def test_a_client_id_is_used_once_for_ever() -> None:
    """By an order that is final, by one that was refused, and inside a list."""
    room = Room()
    room.order("a", tif="ioc")
    room.order("b", qty="99.0", price="99.0")
    for name in ("a", "b"):
        (error,) = room.order(name)
        assert error["reason"] == "duplicate client_id"
    orders = [{"client_id": name, "symbol": "BTC/USDT", "side": "buy"} for name in ("c", "a")]
    (error,) = room.say(1, op="orders", orders=orders)[1]
    assert error["reason"] == "duplicate client_id"
    assert room.say(1, op="audit")[1][0]["duplicates"] == 3
    assert room.order("c")[-1]["state"] == "acknowledged"


def test_how_many_client_ids_are_remembered_is_bounded() -> None:
    """The oldest go, and are counted."""
    room = Room(names_max=3)
    for name in "abcde":
        room.order(name, tif="ioc")
    assert room.wire.shed == 2
    assert room.order("e")[0]["reason"] == "duplicate client_id"
    assert room.order("a")[-1]["state"] == "acknowledged"


def test_cancels_and_replacing() -> None:
    """By client id; what cannot be done is an error."""
    room = Room()
    room.order("a")
    room.order("b")
    (frame,) = room.say(1, op="replace", client_id="a", price="9.5", qty="0.7")[1]
    assert (frame["state"], room.exchange.by_client_id("ann", "a").ticks) == ("acknowledged", 95)
    (frame,) = room.say(1, op="replace", client_id="a", qty="0.75")[1]
    assert frame["type"] == "error"
    (frame,) = room.say(1, op="replace", client_id="a", price="99.0", qty="99.0")[1]
    assert frame["reason"] == "insufficient balance"
    (frame,) = room.say(1, op="cancel", client_id="a")[1]
    assert (frame["state"], frame["reason"]) == ("cancelled", "cancelled by the client")
    for op in ("cancel", "replace"):
        (frame,) = room.say(1, op=op, client_id="a")[1]
        assert (frame["type"], frame["reason"]) == ("error", "no such open order")
    (frame,) = room.say(1, op="cancel_all", symbol="BTC/USDT")[1]
    assert (frame["client_id"], frame["reason"]) == ("b", "cancelled with all others")
    (frame,) = room.say(1, op="cancel_all", symbol="X/Y")[1]
    assert frame["type"] == "error"


def test_a_list_is_taken_whole_or_not_at_all() -> None:
    """A bracket; and one whose second order cannot be."""
    room = Room()
    base = {"symbol": "BTC/USDT", "qty": "0.5", "tif": "gtc"}
    orders = [
        {**base, "client_id": "in", "side": "buy", "price": "10.0"},
        {**base, "client_id": "up", "side": "sell", "price": "11.0", "parent": -1, "group": -1},
        {**base, "client_id": "down", "side": "sell", "price": "9.0", "stop": "9.5"}
        | {"parent": -1, "group": -1},
    ]
    frames = room.say(1, op="orders", orders=orders)[1]
    assert {frame["client_id"] for frame in frames} == {"in", "up", "down"}
    seed_news(room, SELL, 100, 5)
    assert room.exchange.by_client_id("ann", "up").working
    bad = [{**base, "client_id": "x", "side": "buy", "price": "9.0"}]
    bad.append({**base, "client_id": "y", "side": "buy", "price": "99.0", "qty": "99.0"})
    frames = room.say(1, op="orders", orders=bad)[1]
    assert [(frame["client_id"], frame["state"]) for frame in frames] == [
        ("x", "rejected"),
        ("y", "rejected"),
    ]
    frames = room.say(1, op="orders", orders=[{"client_id": "z"}])[1]
    assert frames[0]["type"] == "error"


def seed_news(room: Room, side: int, ticks: int, lots: int) -> None:
    """The flow does something, and everybody has heard it."""
    seed(room.exchange, (side, ticks, lots))
    room.news()


def test_each_hears_its_own_account_and_the_books_it_subscribed_to() -> None:
    """A trade between two accounts: one order frame to each, the trade and the book to a third."""
    room = Room()
    room.join(2, "bob")
    room.join(3, "cat")
    (snapshot,) = room.say(3, op="subscribe", symbols=["BTC/USDT"])[3]
    assert snapshot["type"] == "snapshot"
    assert snapshot["bids"] == [["9.9", "1.0"], ["9.8", "1.0"]]
    room.order("a", price="10.0")
    heard = room.say(
        2, op="order", client_id="b", symbol="BTC/USDT", side="sell", qty="0.5", price="10.0"
    )
    assert [frame["type"] for frame in heard[1]] == ["fill", "order"]
    assert [frame["type"] for frame in heard[2]] == ["order", "fill", "order"]
    assert [frame["type"] for frame in heard[3]] == ["trade", "update"]
    assert (heard[1][0]["fill_seq"], heard[2][1]["fill_seq"]) == (1, 1)
    assert heard[1][0]["maker"]
    assert heard[3][1]["seq"] == snapshot["seq"] + 2
    room.wire.disconnected(3)
    assert 3 not in room.say(2, op="balances")
    assert room.wire.frame(3, b'{"op":"balances"}', BEGIN) == ()
    assert (room.wire.account_of(2), room.wire.account_of(3)) == ("bob", "")


def test_a_takers_fills_are_followed_by_one_state() -> None:
    """Three levels, three fills, then where the order stands."""
    room = Room()
    seed_news(room, SELL, 100, 5)
    frames = room.order("a", qty="3.0", price="10.2")
    assert [frame["type"] for frame in frames] == ["order", "fill", "fill", "fill", "order"]
    assert (frames[-1]["state"], frames[-1]["filled"]) == ("partly_filled", "2.5")


def test_a_book_that_was_asked_for_late_hears_no_change_twice() -> None:
    """Changes that its snapshot already has are not told again."""
    room = Room()
    room.exchange.place("bob", limit(BUY, 95, 1), BEGIN)
    (snapshot,) = room.say(1, op="subscribe", symbols=["BTC/USDT"])[1]
    assert ["9.5", "0.1"] in snapshot["bids"]


def test_questions_and_answers() -> None:
    """Open orders, balances, fills since, queries, audit."""
    room = Room()
    room.order("a")
    room.order("b", price="10.2", qty="1.5", tif="ioc")
    assert room.say(1, op="open_orders")[1][0]["orders"][0]["client_id"] == "a"
    assert room.say(1, op="balances")[1][0]["balances"] == {"BTC": "1001.50", "USDT": "984.74"}
    answer = room.say(1, op="fills", since=1)[1][0]
    assert ([fill["fill_seq"] for fill in answer["fills"]], answer["last"]) == ([2], 2)
    assert room.say(1, op="query", client_id="x")[1][0]["found"] is False
    audit = room.say(1, op="audit")[1][0]
    assert (len(audit["orders"]), audit["fills"], audit["problems"]) == (2, 2, [])


@pytest.mark.parametrize(
    ("payload", "op"),
    [
        (b"nonsense", "malformed"),
        (b'{"op":7}', "malformed"),
        (b'{"op":"login","account":"\xff"}', "malformed"),
        (b'{"x":' + b"[" * 100_000, "malformed"),
        (b'{"op":"dance"}', "dance"),
        (b'{"op":"login","account":"eve"}', "login"),
        (b'{"op":"subscribe","symbols":["X/Y"]}', "subscribe"),
    ],
)
def test_what_it_does_not_know_is_an_error(payload: bytes, op: str) -> None:
    """With the op, where there was one."""
    (error,) = Room().say_raw(1, payload)[1]
    assert (error["type"], error["op"]) == ("error", op)


def test_a_tape_shows_nothing_of_its_own() -> None:
    """Its frames are what was recorded; a subscription gives none."""
    room = Room(public=False)
    assert room.say(1, op="subscribe", symbols=["BTC/USDT"])[1] == [{"type": "none"}]
    frames = room.order("a", price="10.1", tif="ioc")
    assert [frame["type"] for frame in frames] == ["order", "fill", "order"]


def test_failures_have_words() -> None:
    """Every one the front can make happen, over HTTP and on the websocket."""
    wire = Room().wire
    call = Call("GET", "/x", "", {}, b"")
    assert wire.call(call, BEGIN).status == 404
    for failure in Failure:
        answer = wire.failed(failure, call, 2)
        assert answer.status == FAILURES[failure][0]
        assert dict(answer.headers) == {"Retry-After": "2"}
        told = json.loads(wire.refused(failure, b'{"op":"order","client_id":"a"}', 0))
        assert (told["op"], told["client_id"]) == ("order", "a")
    assert json.loads(wire.refused(Failure.OVERLOADED, b"{", 0))["op"] == "malformed"
    assert wire.tick(BEGIN) == ()
    assert wire.due_ns() > BEGIN


def test_every_refusal_and_end_has_words() -> None:
    """And a halted market says so."""
    assert all(REFUSALS.values())
    assert all(ENDS.values())
    room = Room()
    room.exchange.set_phase(0, HALTED, BEGIN)
    assert room.order("a")[-1]["reason"] == "the market is halted"
    assert Status.REJECTED not in {o.status for o in room.exchange.all_orders("ann")}
