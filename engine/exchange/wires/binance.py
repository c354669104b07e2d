"""Binance spot as a wire protocol of the simulated exchange: REST, streams, and the WebSocket API.

What it does not do as Binance does is listed in docs/simulated-exchange-binance.md.
"""

from collections.abc import Sequence

from engine.exchange.exchange import Exchange
from engine.exchange.orders import Event, PublicTrade
from engine.exchange.wires import binance_rest as rest
from engine.exchange.wires.binance_api import Api
from engine.exchange.wires.binance_limits import BINANCE, Limits
from engine.exchange.wires.binance_links import Links
from engine.exchange.wires.binance_state import AggregateTrade, State
from engine.exchange.wires.binance_stream import NEVER
from engine.exchange.wires.binance_user import UserStreams
from engine.exchange.wires.binance_words import Listing
from engine.exchange.wires.wire import Answer, Call, Failure, Outgoing

API_PATH = "/ws-api/v3"


class BinanceWire:
    """Implements `engine.exchange.wires.wire.Wire` for one venue."""

    paths = ("/api/", "/sapi/", "/fapi/", "/dapi/", "/eapi/", "/ws", "/stream", API_PATH)

    def __init__(self, exchange: Exchange, limits: Limits = BINANCE) -> None:
        self._state = State(exchange, limits)
        self._users = UserStreams(self._state)
        self._links = Links(self._state, self._users)
        self._api = Api(self._state, self._users)

    def connected(self, connection: int, path: str, query: str, now_ns: int) -> Sequence[Outgoing]:
        """See `Wire`."""
        self._state.now_ns = now_ns
        if path.rstrip("/") == API_PATH:
            return self._api.connected(connection, query, now_ns)
        return self._links.connected(connection, path, query, now_ns)

    def disconnected(self, connection: int) -> None:
        """See `Wire`; open orders stay."""
        self._users.disconnected(connection)
        self._links.disconnected(connection)
        self._api.disconnected(connection)

    def account_of(self, connection: int) -> str:
        """See `engine.exchange.front.KnowsItsClients`."""
        return self._api.account_of(connection) or self._links.account_of(connection)

    def frame(self, connection: int, payload: bytes, now_ns: int) -> Sequence[Outgoing]:
        """See `Wire`."""
        self._state.now_ns = now_ns
        if self._api.knows(connection):
            return self._api.frame(connection, payload, now_ns)
        if self._links.knows(connection):
            return self._links.frame(connection, payload, now_ns)
        return ()

    def call(self, call: Call, now_ns: int) -> Answer:
        """See `Wire`."""
        self._state.now_ns = now_ns
        return rest.call(self._state, call, now_ns)

    def publish(self, events: Sequence[Event], now_ns: int) -> Sequence[Outgoing]:
        """See `Wire`."""
        self._state.now_ns = now_ns
        out = self._links.publish(events, self._aggregated(events), now_ns)
        return out + self._users.publish(events, now_ns)

    def _aggregated(self, events: Sequence[Event]) -> list[tuple[Listing, AggregateTrade]]:
        trades: dict[int, list[PublicTrade]] = {}
        for event in events:
            if isinstance(event, PublicTrade) and event.instrument in self._state.listings:
                trades.setdefault(event.instrument, []).append(event)
        return [
            (self._state.listings[number], made)
            for number, each in trades.items()
            for made in self._state.aggregates[number].add(each)
        ]

    def failed(self, failure: Failure, call: Call, retry_after_s: int) -> Answer:
        """See `Wire`."""
        return rest.failed(self._state, failure, call, retry_after_s)

    def refused(self, failure: Failure, payload: bytes, retry_after_s: int) -> bytes:
        """See `Wire`; a subscription to market streams is never refused, it is hung up on."""
        if b'"SUBSCRIBE"' in payload or b'"UNSUBSCRIBE"' in payload:
            return b""
        return self._api.refused(failure, payload, retry_after_s)

    def tick(self, now_ns: int) -> Sequence[Outgoing]:
        """See `Wire`: stream frames that are due, listen keys that are over, old connections."""
        self._state.now_ns = now_ns
        out = self._links.tick(now_ns)
        for key, account in self._state.keys.expired(now_ns):
            out += self._users.key_ended(key, account, now_ns, told=True)
        return out

    def due_ns(self) -> int:
        """See `Wire`."""
        return min(self._links.due_ns(), self._state.keys.due_ns(NEVER))
