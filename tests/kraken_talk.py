"""Kraken's wire without a socket: calls that are signed as Kraken wants, and frames as dictionaries."""

import itertools
import json
from base64 import b64encode
from collections import defaultdict
from typing import Any
from urllib.parse import urlencode

from engine.exchange.audit import Audit
from engine.exchange.exchange import Exchange
from engine.exchange.orders import NewOrder, Order
from engine.exchange.wires.kraken import KrakenWire
from engine.exchange.wires.kraken_keys import sign
from engine.exchange.wires.kraken_limits import UNLIMITED, Tier
from engine.exchange.wires.wire import Call
from ext.matching import LIMIT, MARKET
from tests.kraken_server import BEGIN, KEY, SECRET, make_exchange

SECOND = 1_000_000_000
FORM = "application/x-www-form-urlencoded"
OTHER_SECRET = b64encode(b"somebody else's").decode()


def flat(params: dict[Any, Any], inside: str = "") -> list[tuple[str, str]]:
    """Nested parameters as the pairs of a form."""
    found = []
    for key, value in params.items():
        name = f"{inside}[{key}]" if inside else key
        if isinstance(value, list):
            found += flat(dict(enumerate(value)), name)
        elif isinstance(value, dict):
            found += flat(value, name)
        else:
            found.append((name, str(value)))
    return found


class Talk:
    """An exchange with its wire, a clock that the test moves, and what each connection was told."""

    def __init__(self, tier: Tier = UNLIMITED) -> None:
        self.exchange: Exchange = make_exchange(BEGIN)
        self.wire = KrakenWire(self.exchange, tier)
        self.now_ns = BEGIN + SECOND
        self.told: dict[int, list[dict[str, Any]]] = defaultdict(list)
        self.raw: dict[int, list[bytes]] = defaultdict(list)
        self._nonces = itertools.count(1)
        self._connections = itertools.count(1)

    def audit(self) -> Audit:
        """All there is, and it holds together."""
        found = self.exchange.audit()
        assert found.problems == ()
        return found

    # --- REST -------------------------------------------------------------------------------------

    def public(self, name: str, **params: Any) -> dict[str, Any]:
        """The whole answer of a public endpoint."""
        call = Call("GET", f"/0/public/{name}", urlencode(flat(params)), {}, b"")
        return json.loads(self.wire.call(call, self.now_ns).body)

    def private(
        self,
        name: str,
        params: dict[str, Any] | None = None,
        key: str = KEY,
        secret: str = SECRET,
        as_json: bool = False,
        **more: Any,
    ) -> dict[str, Any]:
        """The whole answer of a private endpoint, signed."""
        given = {"nonce": next(self._nonces), **(params or {}), **more}
        body = (json.dumps(given) if as_json else urlencode(flat(given))).encode()
        path = f"/0/private/{name}"
        headers = {
            "api-key": key,
            "api-sign": sign(secret.encode(), path, str(given["nonce"]), body),
            "content-type": "application/json" if as_json else FORM,
        }
        answer = self.wire.call(Call("POST", path, "", headers, body), self.now_ns)
        self.settle()
        return json.loads(answer.body)

    def result(self, name: str, **params: Any) -> Any:
        """What a private endpoint gives; fails on an error."""
        answer = self.private(name, **params)
        assert answer["error"] == [], answer
        return answer["result"]

    def error(self, name: str, **params: Any) -> str:
        """What a private endpoint refuses with."""
        answer = self.private(name, **params)
        assert "result" not in answer, answer
        return answer["error"][0]

    def order(self, **params: Any) -> str:
        """Place an order; its id."""
        return self.result("AddOrder", **params)["txid"][0]

    def view(self, txid: str) -> dict[str, Any]:
        """An order as QueryOrders shows it."""
        return self.result("QueryOrders", txid=txid, trades="true")[txid]

    # --- the stream -------------------------------------------------------------------------------

    def connect(self) -> int:
        """A new connection."""
        number = next(self._connections)
        self.hear(self.wire.connected(number, "/v2", "", self.now_ns))
        return number

    def hear(self, frames: Any) -> None:
        """Keep what was sent."""
        for connection, payload in frames:
            assert isinstance(payload, bytes)
            self.raw[connection].append(payload)
            self.told[connection].append(json.loads(payload))

    def send(self, connection: int, frame: Any) -> list[dict[str, Any]]:
        """Say something; what the connection is told at once."""
        heard = len(self.told[connection])
        payload = frame if isinstance(frame, bytes) else json.dumps(frame).encode()
        self.hear(self.wire.frame(connection, payload, self.now_ns))
        self.settle()
        return self.told[connection][heard:]

    def ask(self, connection: int, method: str, **params: Any) -> list[dict[str, Any]]:
        """A request with a number; what the connection is told at once."""
        return self.send(connection, {"method": method, "params": params, "req_id": 7})

    def token(self, key: str = KEY) -> str:
        """A token for the private channels."""
        return self.private("GetWebSocketsToken", key=key)["result"]["token"]

    # --- the exchange -----------------------------------------------------------------------------

    def settle(self) -> None:
        """Tell the wire what happened, and what it then did, until nothing more happens."""
        while events := self.exchange.take_events():
            self.hear(self.wire.publish(events, self.now_ns))

    def go_on(self, seconds: float) -> None:
        """Time passes, second by second."""
        end_ns = self.now_ns + int(seconds * SECOND)
        while self.now_ns < end_ns:
            self.now_ns = min(end_ns, max(self.now_ns + 1, self.due_ns()))
            self.exchange.advance(self.now_ns)
            self.settle()
            if self.wire.due_ns() <= self.now_ns:
                self.hear(self.wire.tick(self.now_ns))
                self.settle()

    def due_ns(self) -> int:
        """When something happens by itself next."""
        return min(self.wire.due_ns(), self.exchange.next_due_ns())

    def make(self, side: int, ticks: int, lots: int, number: int = 0) -> Order:
        """The maker's limit order."""
        new = NewOrder(number, side, LIMIT, lots, ticks)
        order = self.exchange.place("maker", new, self.now_ns)
        self.settle()
        return order

    def take(self, side: int, lots: int, number: int = 0) -> None:
        """The maker's market order."""
        self.exchange.place("maker", NewOrder(number, side, MARKET, lots), self.now_ns)
        self.settle()

    def trade_at(self, ticks: int, number: int = 0) -> None:
        """A trade at a price: the book between is cleared first, then one order meets another."""
        book = self.exchange.markets[number].book
        for side in (1, -1):
            for level, _ in book.levels(-side):
                if (ticks - level) * side >= 0:
                    for order in self.exchange.open_orders("maker", number):
                        if order.ticks == level and order.request.side == -side:
                            self.exchange.cancel("maker", order.number, self.now_ns)
        self.settle()
        self.make(1, ticks, 10**6, number)
        self.make(-1, ticks, 10**6, number)


def subscribe(talk: Talk, channel: str, **more: Any) -> tuple[int, list[dict[str, Any]]]:
    """A connection that entered a channel of BTC/USDT, and what it was told."""
    connection = talk.connect()
    whole = channel in ("executions", "balances", "instrument")
    symbols = {} if whole else {"symbol": ["BTC/USDT"]}
    return connection, talk.ask(connection, "subscribe", channel=channel, **symbols, **more)


def limit(**more: Any) -> dict[str, Any]:
    """A limit buy below the market."""
    given = {
        "pair": "XBTUSDT",
        "type": "buy",
        "ordertype": "limit",
        "volume": "0.01",
        "price": "49000",
    }
    return given | more
