"""A wire and an exchange that do nothing but say what reached them, for tests of what stands before them.

`{"do": ...}` is a request: its effect is one line in the exchange's book, an order change to everybody
who is connected, and an answer. Whoever asks over HTTP gets the same.
"""

import json
from collections.abc import Sequence

from engine.exchange.orders import (
    DepthChange,
    Event,
    NewOrder,
    Order,
    OrderChange,
    PublicTrade,
    Status,
)
from engine.exchange.wires.wire import Answer, Call, Failure, Outgoing
from engine.instruments import Instrument

NEVER = 1 << 62
SYMBOL = "BTC/USDT"


class EchoExchange:
    """Keeps what was done, and makes one change of its book each `every_ns`."""

    def __init__(self, every_ns: int = 0, begin_ns: int = 0) -> None:
        self.instruments = {0: instrument()}
        self.done: list[tuple[str, int]] = []
        self.changes = 0
        self.halted = False
        self._every_ns = every_ns
        self._next_ns = begin_ns + every_ns if every_ns else NEVER
        self._events: list[Event] = []

    def do(self, what: str, now_ns: int) -> None:
        """An effect."""
        self.done.append((what, now_ns))
        number = len(self.done)
        order = Order(number, "main", NewOrder(0, 1, 1, 1), Status.OPEN, 1, 1, now_ns, now_ns)
        self._events.append(OrderChange(order, None, now_ns))

    def advance(self, now_ns: int) -> None:
        """See `engine.exchange.front.Exchange`."""
        while self._next_ns <= now_ns:
            self.changes += 1
            at_ns, number = self._next_ns, self.changes
            self._events.append(DepthChange(0, number, number, ((1, 1, 1),), at_ns))
            self._next_ns += self._every_ns

    def next_due_ns(self) -> int:
        """See `engine.exchange.front.Exchange`."""
        return self._next_ns

    def take_events(self) -> list[Event]:
        """See `engine.exchange.front.Exchange`."""
        events, self._events = self._events, []
        return events

    def account_of_key(self, key: str) -> str:
        """See `engine.exchange.front.Exchange`."""
        return key

    def clock_was_set(self, now_ns: int) -> None:
        """See `engine.exchange.front.Exchange`."""

    def set_halted(self, halted: bool, now_ns: int) -> None:
        """See `engine.exchange.front.Exchange`."""
        self.halted = halted


class EchoWire:
    """See the module. With `streams` it answers frames by its stream alone."""

    def __init__(self, exchange: EchoExchange, streams: bool = False, beat_ns: int = 0) -> None:
        self._exchange = exchange
        self._streams = streams
        self._beat_ns = beat_ns
        self._next_ns = beat_ns or NEVER
        self.connections: dict[int, str] = {}

    def connected(self, connection: int, path: str, query: str, now_ns: int) -> list[Outgoing]:
        """See `engine.exchange.wires.wire.Wire`."""
        self.connections[connection] = query
        return [Outgoing(connection, b"hello %s" % path.encode())]

    def disconnected(self, connection: int) -> None:
        """See `engine.exchange.wires.wire.Wire`."""
        del self.connections[connection]

    def frame(self, connection: int, payload: bytes, now_ns: int) -> list[Outgoing]:
        """See `engine.exchange.wires.wire.Wire`."""
        self._exchange.do(payload.decode(), now_ns)
        if self._streams:
            return []
        return [Outgoing(connection, b"done " + payload)]

    def call(self, call: Call, now_ns: int) -> Answer:
        """See `engine.exchange.wires.wire.Wire`."""
        self._exchange.do(call.path, now_ns)
        body = json.dumps({"path": call.path, "query": call.query, "now": now_ns})
        return Answer(200, body.encode(), (("x-simulated", "yes"),))

    def publish(self, events: Sequence[Event], now_ns: int) -> list[Outgoing]:
        """See `engine.exchange.wires.wire.Wire`."""
        frames = [b"%s" % _said(event) for event in events]
        return [Outgoing(number, frame) for number in self.connections for frame in frames]

    def failed(self, failure: Failure, call: Call, retry_after_s: int) -> Answer:
        """See `engine.exchange.wires.wire.Wire`."""
        return Answer(400 + failure, failure.name.encode(), (("retry-after", str(retry_after_s)),))

    def refused(self, failure: Failure, payload: bytes, retry_after_s: int) -> bytes:
        """See `engine.exchange.wires.wire.Wire`."""
        return b"refused %s" % failure.name.encode()

    def tick(self, now_ns: int) -> list[Outgoing]:
        """See `engine.exchange.wires.wire.Wire`."""
        self._next_ns += self._beat_ns
        return [Outgoing(number, b"beat") for number in self.connections]

    def due_ns(self) -> int:
        """See `engine.exchange.wires.wire.Wire`."""
        return self._next_ns

    def account_of(self, connection: int) -> str:
        """See `engine.exchange.front.KnowsItsClients`."""
        return self.connections.get(connection, "")


def _said(event: Event) -> bytes:
    match event:
        case DepthChange():
            return b"depth %d" % event.last
        case PublicTrade():
            return b"trade %d" % event.number
        case OrderChange():
            return b"order %d" % event.order.number
    return b"balance"


def instrument() -> Instrument:
    """BTC/USDT as the demo has it."""
    return Instrument(
        id=0,
        venue=0,
        symbol=SYMBOL,
        base="BTC",
        quote="USDT",
        tick_size="0.01",
        lot_size="0.00001",
        base_decimals=8,
        quote_decimals=8,
    )
