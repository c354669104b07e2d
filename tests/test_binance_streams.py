"""Market streams of the exchange's Binance: differences that join, cadences, requests, candles."""

from random import Random
from typing import Any

import pytest

from engine.exchange.orders import NewOrder
from engine.exchange.wires.binance import BinanceWire
from ext.matching import BUY, LIMIT, SELL
from tests.binance_client import MS, Desk
from tests.binance_server import BEGIN, make_exchange


@pytest.fixture
def desk() -> Desk:
    """A client."""
    return Desk()


class Local:
    """A book as Binance documents how to keep one."""

    def __init__(self, snapshot: dict[str, Any], early: list[dict[str, Any]]) -> None:
        self.sides = {"b": dict(snapshot["bids"]), "a": dict(snapshot["asks"])}
        self.last = snapshot["lastUpdateId"]
        self.joined = False
        for event in early:
            self.take(event)

    def take(self, event: dict[str, Any]) -> None:
        """A difference."""
        if event["u"] <= self.last:
            return
        if self.joined:
            assert event["U"] == self.last + 1
        else:
            assert event["U"] <= self.last + 1 <= event["u"]
        self.joined = True
        self.last = event["u"]
        for name, side in self.sides.items():
            for price, quantity in event[name]:
                side.pop(price, None)
                if float(quantity):
                    side[price] = quantity


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("name", "cadence"), [("depth@100ms", 100), ("depth", 1_000)])
def test_differences_join_any_snapshot(desk: Desk, seed: int, name: str, cadence: int) -> None:
    """By the documented rule, at whatever moment the snapshot is taken; the book is the exchange's."""
    random = Random(seed)
    desk.connect(1, "/ws")
    desk.subscribe(f"btcusdt@{name}")
    events: list[dict[str, Any]] = []
    book: Local | None = None
    for turn in range(120):
        for _ in range(random.randrange(4)):
            side = random.choice((BUY, SELL))
            if random.random() < 0.3:
                desk.trade(side, random.randrange(10_000, 300_000))
            else:
                distance = random.randrange(1, 400)
                desk.quote(side, 10_000 - side * distance, random.randrange(100_000, 300_000))
        desk.wait(random.randrange(1, cadence))
        new = desk.told(1)
        assert all(event["e"] == "depthUpdate" for event in new)
        for event in new:
            if book is not None:
                book.take(event)
        events += new
        if book is None and turn >= 20 and random.random() < 0.2:
            snapshot = desk.ask("GET", "depth", symbol="BTCUSDT", limit=5000)
            book = Local(snapshot, events)
    assert book is not None
    desk.wait(cadence)
    for event in desk.told(1):
        book.take(event)
    assert book.joined
    whole = desk.ask("GET", "depth", symbol="BTCUSDT", limit=5000)
    assert book.sides == {"b": dict(whole["bids"]), "a": dict(whole["asks"])}
    assert book.last == whole["lastUpdateId"]


def test_a_hole_in_what_happened_is_a_hole_between_frames(desk: Desk) -> None:
    """What a fault keeps from the feed must be found by the ids, never be covered by a frame."""
    desk.connect(1, "/ws")
    desk.subscribe("btcusdt@depth@100ms")
    desk.quote(BUY, 9_001, 100_000)
    first = desk.exchange.markets[0].sequence
    desk.exchange.place("maker", NewOrder(0, BUY, LIMIT, 100_000, 9_002), desk.now_ns)
    desk.exchange.take_events()
    desk.quote(BUY, 9_003, 100_000)
    desk.wait(100)
    told = [(event["U"], event["u"], event["b"]) for event in desk.told(1)]
    assert told == [
        (first, first, [["90.01000000", "1.00000000"]]),
        (first + 2, first + 2, [["90.03000000", "1.00000000"]]),
    ]


def test_cadences_and_quiet(desk: Desk) -> None:
    """On the grid of the clock; nothing is said when nothing changed."""
    desk.connect(1, "/ws")
    desk.subscribe("btcusdt@depth@100ms", "btcusdt@depth5@100ms", "btcusdt@bookTicker")
    desk.wait(30)
    desk.quote(BUY, 9_999, 100_000)
    best = desk.told(1)
    assert best == [
        {
            "u": desk.exchange.markets[0].sequence,
            "s": "BTCUSDT",
            "b": "99.99000000",
            "B": "1.00000000",
            "a": "100.10000000",
            "A": "1.00000000",
        }
    ]
    desk.wait(69)
    assert desk.told(1) == []
    desk.wait(1)
    difference, partial = desk.told(1)
    assert difference["E"] == desk.now_ns // MS
    assert difference["b"] == [["99.99000000", "1.00000000"]]
    assert len(partial["bids"]) == 5
    assert partial["lastUpdateId"] == difference["u"]
    desk.wait(1_000)
    assert desk.told(1) == []
    desk.quote(BUY, 9_000, 100_000)
    assert desk.told(1) == [], "the best prices are as they were"


def test_trades_one_by_one_and_together(desk: Desk) -> None:
    """An aggregate is one taker's at one price; its id is that of the REST list."""
    desk.connect(1, "/stream", "streams=btcusdt@trade/btcusdt@aggTrade")
    desk.quote(SELL, 10_010, 50_000)
    desk.trade(BUY, 200_000)
    frames = desk.told(1)
    trades = [f["data"] for f in frames if f["stream"] == "btcusdt@trade"]
    together = [f["data"] for f in frames if f["stream"] == "btcusdt@aggTrade"]
    assert [(t["t"], t["p"], t["q"]) for t in trades] == [
        (2, "100.10000000", "1.00000000"),
        (3, "100.10000000", "0.50000000"),
        (4, "100.20000000", "0.50000000"),
    ]
    assert [(t["a"], t["f"], t["l"], t["q"], t["m"]) for t in together] == [
        (2, 2, 3, "1.50000000", False),
        (3, 4, 4, "0.50000000", False),
    ]
    listed = desk.ask("GET", "aggTrades", symbol="BTCUSDT", fromId=2)
    assert [(t["a"], t["q"]) for t in listed] == [(2, "1.50000000"), (3, "0.50000000")]


def test_candles_are_closed_once(desk: Desk) -> None:
    """The present one every two seconds; at its end it is told once more, closed."""
    desk.connect(1, "/ws")
    desk.subscribe("btcusdt@kline_1m")
    desk.trade(BUY, 50_000)
    desk.wait(60_000)
    candles = [frame["k"] for frame in desk.told(1)]
    closed = [candle for candle in candles if candle["x"]]
    assert len(closed) == 1
    assert 28 <= len(candles) <= 32
    assert closed[0]["T"] == closed[0]["t"] + 59_999
    assert float(closed[0]["v"]) == 1.5
    rest = desk.ask("GET", "klines", symbol="BTCUSDT", interval="1m", startTime=closed[0]["t"])[0]
    assert rest[1:6] == [closed[0][name] for name in "ohlcv"]


def test_requests_of_a_connection(desk: Desk) -> None:
    """Subscribe, unsubscribe, list, properties; the id comes back."""
    desk.connect(1, "/ws/btcusdt@trade")
    ask = {"method": "LIST_SUBSCRIPTIONS", "id": "a"}
    assert desk.say(1, ask) == {"result": ["btcusdt@trade"], "id": "a"}
    desk.subscribe("btcusdt@depth", "!miniTicker@arr", "nonsense@depth")
    assert len(desk.say(1, ask)["result"]) == 4
    answer = desk.say(1, {"method": "UNSUBSCRIBE", "params": ["btcusdt@trade"], "id": None})
    assert answer == {"result": None, "id": None}
    desk.trade(BUY, 100_000)
    assert desk.told(1)[2:] == []
    get = {"method": "GET_PROPERTY", "params": ["combined"], "id": 1}
    assert desk.say(1, get) == {"result": False, "id": 1}
    put = {"method": "SET_PROPERTY", "params": ["combined", True], "id": 2}
    assert desk.say(1, put) == {"result": None, "id": 2}
    desk.subscribe("btcusdt@trade")
    desk.trade(BUY, 100_000)
    assert desk.told(1)[0]["stream"] == "btcusdt@trade"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"method": "SUBSCRIBE", "params": ["btcusdt@trade"]}, 2),
        ({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1.5}, 2),
        ({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": "x" * 37}, 2),
        ({"method": "SUBSCRIBE", "params": "btcusdt@trade", "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": [1], "id": 1}, 2),
        ({"method": "PUBLISH", "params": [], "id": 1}, 2),
        ({"params": [], "id": 1}, 2),
        ({"method": "GET_PROPERTY", "params": ["colour"], "id": 1}, 0),
        ({"method": "SET_PROPERTY", "params": ["combined", "yes"], "id": 1}, 1),
        ({"method": "SET_PROPERTY", "params": [], "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": [f"x{n}@trade" for n in range(1025)], "id": 1}, 2),
        ([1, 2], 2),
        (b"{", 3),
    ],
)
def test_bad_requests_of_a_connection(desk: Desk, message: Any, code: int) -> None:
    """Each with its documented error; nothing is subscribed to."""
    desk.connect(1, "/ws")
    answer = desk.say(1, message)
    assert answer["error"]["code"] == code, answer
    assert desk.say(1, {"method": "LIST_SUBSCRIPTIONS", "id": 1})["result"] == []


def test_who_hurries_or_is_a_day_old_is_hung_up_on() -> None:
    """Five messages a second; a day."""
    wire = BinanceWire(make_exchange())
    wire.connected(1, "/ws", "", BEGIN)
    ask = b'{"method":"LIST_SUBSCRIPTIONS","id":1}'
    answers = [wire.frame(1, ask, BEGIN)[0].payload for _ in range(6)]
    assert [answer is None for answer in answers] == [False] * 5 + [True]
    wire.disconnected(1)
    wire.connected(2, "/ws", "", BEGIN)
    assert wire.due_ns() == BEGIN + 86_400 * 10**9
    assert wire.tick(wire.due_ns())[0] == (2, None)
    assert wire.due_ns() > BEGIN + 86_400 * 10**9, "or a front that waits for it never ends"
    assert wire.frame(2, ask, BEGIN + 86_400 * 10**9) == ()
    assert wire.connected(3, "/elsewhere", "", BEGIN)[0] == (3, None)


def test_a_clock_that_is_set_back_is_not_waited_for() -> None:
    """Frames that are due half a minute later by it go out at the next step of their cadence."""
    wire = BinanceWire(make_exchange())
    wire.connected(1, "/ws/btcusdt@kline_1m", "", BEGIN + 30 * 10**9)
    wire.tick(BEGIN)
    assert wire.due_ns() == BEGIN + 2 * 10**9
