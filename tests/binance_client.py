"""A client of the Binance wire in the same process: signed calls and frames, without a socket."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from engine.exchange.exchange import Exchange
from engine.exchange.orders import NewOrder, Order
from engine.exchange.wires.binance import BinanceWire
from engine.exchange.wires.binance_keys import signature_of
from engine.exchange.wires.binance_params import signed_text
from engine.exchange.wires.wire import Answer, Call, Outgoing
from ext.matching import LIMIT, MARKET
from tests.binance_server import BEGIN, KEY, PATIENT, SECRET, make_exchange

MS = 1_000_000
T = TypeVar("T")


class Desk:
    """An exchange, its wire, a clock of its own, and what connections were told."""

    def __init__(self, key: str = KEY, secret: str = SECRET) -> None:
        self.exchange: Exchange = make_exchange()
        self.wire = BinanceWire(self.exchange, PATIENT)
        self.key, self.secret = key, secret
        self.now_ns = BEGIN
        self.frames: dict[int, list[Any]] = {}
        self.closed: set[int] = set()

    # --- HTTP -------------------------------------------------------------------------------------

    def send(self, method: str, path: str, query: str = "", body: str = "") -> Answer:
        """A call as it is."""
        headers = {"x-mbx-apikey": self.key} if self.key else {}
        call = Call(method, path, query, headers, body.encode())
        answer = self.wire.call(call, self.now_ns)
        self.publish()
        return answer

    def ask(self, method: str, path: str, **fields: Any) -> Any:
        """A call under /api/v3, signed when it has a timestamp; its status other than 200 is kept."""
        text = "&".join(f"{name}={value}" for name, value in fields.items())
        answer = self.send(method, f"/api/v3/{path}", text)
        self.status = answer.status
        return msgspec.json.decode(answer.body)

    def signed(self, method: str, path: str, **fields: Any) -> Any:
        """The same with timestamp and signature."""
        fields = {**fields, "timestamp": self.now_ns // MS}
        text = "&".join(f"{name}={value}" for name, value in fields.items())
        return self.ask(method, path, **fields, signature=signature_of(text, self.secret.encode()))

    # --- websockets -------------------------------------------------------------------------------

    def connect(self, connection: int, path: str, query: str = "") -> None:
        """A websocket."""
        self.frames[connection] = []
        self._keep(self.wire.connected(connection, path, query, self.now_ns))

    def say(self, connection: int, message: Any) -> Any:
        """A frame, and the first frame that comes back."""
        payload = message if isinstance(message, bytes) else msgspec.json.encode(message)
        before = len(self.frames[connection])
        self._keep(self.wire.frame(connection, payload, self.now_ns))
        self.publish()
        found = self.frames[connection][before:]
        return found[0] if found else None

    def subscribe(self, *names: str, connection: int = 1) -> None:
        """Listen to streams, and forget what came before."""
        answer = self.say(connection, {"method": "SUBSCRIBE", "params": list(names), "id": 7})
        assert answer == {"result": None, "id": 7}
        self.told(connection)

    def request(self, connection: int, method: str, signed: bool = True, **params: Any) -> Any:
        """A request of the WebSocket API."""
        if signed:
            params = {**params, "apiKey": self.key, "timestamp": self.now_ns // MS}
            texts = {
                name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
                for name, value in params.items()
            }
            params["signature"] = signature_of(signed_text(texts), self.secret.encode())
        return self.say(connection, {"id": "x", "method": method, "params": params})

    def told(self, connection: int) -> list[Any]:
        """What a connection was told since last asked."""
        found, self.frames[connection] = self.frames[connection], []
        return found

    def _keep(self, frames: Sequence[Outgoing]) -> None:
        for frame in frames:
            if frame.payload is None:
                self.closed.add(frame.connection)
            else:
                self.frames[frame.connection].append(msgspec.json.decode(frame.payload))

    # --- the market and time ----------------------------------------------------------------------

    def publish(self) -> None:
        """Tell what happened."""
        self._keep(self.wire.publish(self.exchange.take_events(), self.now_ns))

    def do(self, act: Callable[[int], T]) -> T:
        """Something happens at the exchange."""
        result = act(self.now_ns)
        self.publish()
        return result

    def trade(self, side: int, lots: int, number: int = 0) -> Order:
        """The maker's market order."""
        new = NewOrder(number, side, MARKET, lots)
        return self.do(lambda now_ns: self.exchange.place("maker", new, now_ns))

    def quote(self, side: int, ticks: int, lots: int, number: int = 0) -> Order:
        """The maker's limit order."""
        new = NewOrder(number, side, LIMIT, lots, ticks)
        return self.do(lambda now_ns: self.exchange.place("maker", new, now_ns))

    def wait(self, milliseconds: int) -> None:
        """Time passes; the wire does what is due."""
        until_ns = self.now_ns + milliseconds * MS
        while (due_ns := max(self.now_ns, self.wire.due_ns())) <= until_ns:
            self.now_ns = due_ns
            self._keep(self.wire.tick(due_ns))
        self.now_ns = until_ns
        self.exchange.advance(until_ns)
        self.publish()
