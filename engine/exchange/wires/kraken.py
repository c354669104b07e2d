"""Kraken's REST and websocket (version 2) in front of the simulated exchange.

Whoever speaks to Kraken can speak to this, with nothing changed but the address and the key. The files
`kraken_*.py` are its parts; docs/simulated-exchange-kraken.md says where it differs from Kraken.
"""

from collections.abc import Sequence

from engine.exchange.exchange import Exchange
from engine.exchange.orders import Event
from engine.exchange.wires.kraken_channels import Channels
from engine.exchange.wires.kraken_desk import Desk
from engine.exchange.wires.kraken_executions import Executions
from engine.exchange.wires.kraken_follow import Follower
from engine.exchange.wires.kraken_history import History
from engine.exchange.wires.kraken_keys import Keys
from engine.exchange.wires.kraken_ledger import Ledger
from engine.exchange.wires.kraken_limits import PRO, Limits, Tier
from engine.exchange.wires.kraken_market import PublicData, Statistics
from engine.exchange.wires.kraken_orders import StreamOrders
from engine.exchange.wires.kraken_rest import FAILURES, Rest, failure_of
from engine.exchange.wires.kraken_stream import Stream, asked
from engine.exchange.wires.kraken_trading import Trading
from engine.exchange.wires.kraken_words import KrakenError, Names
from engine.exchange.wires.wire import Answer, Call, Failure, Outgoing

STREAM_FAILURES = FAILURES | {Failure.RATE_LIMITED: "EOrder:Rate limit exceeded"}


class KrakenWire:
    """See the module. `tier` is what every client of it is verified for."""

    paths = ("/0", "/v2")

    def __init__(self, exchange: Exchange, tier: Tier = PRO) -> None:
        names = Names(exchange.instruments)
        limits = Limits(tier)
        keys = Keys(exchange.accounts)
        statistics = Statistics(exchange)
        self._now_ns = exchange.now_ns
        self._desk = Desk(exchange, names, limits)
        self.follower = Follower(self._desk)
        public = PublicData(exchange, names, statistics)
        trading = Trading(self._desk, self.follower, names, keys)
        history, ledger = History(self._desk, names), Ledger(exchange, names)
        self._rest = Rest(keys, limits, public, history, ledger, trading)
        self._stream = Stream(
            exchange,
            names,
            keys,
            Channels(exchange, names, statistics),
            Executions(self._desk, names),
            StreamOrders(self._desk, self.follower, names),
        )

    def connected(self, connection: int, path: str, query: str, now_ns: int) -> Sequence[Outgoing]:
        """See `Wire.connected`."""
        self._now_ns = now_ns
        return self._stream.connected(connection, now_ns)

    def disconnected(self, connection: int) -> None:
        """See `Wire.disconnected`."""
        self._stream.disconnected(connection)

    def account_of(self, connection: int) -> str:
        """Whose connection it is, as far as it has shown; '' before."""
        return self._stream.account_of(connection)

    def frame(self, connection: int, payload: bytes, now_ns: int) -> Sequence[Outgoing]:
        """See `Wire.frame`."""
        self._now_ns = now_ns
        return self._stream.sent(self._stream.frame(connection, payload, now_ns), now_ns)

    def call(self, call: Call, now_ns: int) -> Answer:
        """See `Wire.call`."""
        self._now_ns = now_ns
        return self._rest.call(call, now_ns)

    def publish(self, events: Sequence[Event], now_ns: int) -> Sequence[Outgoing]:
        """See `Wire.publish`. Closing orders and trailing limits are seen to first."""
        self._now_ns = now_ns
        self.follower.events(events, now_ns)
        return self._stream.publish(events, now_ns)

    def failed(self, failure: Failure, call: Call, retry_after_s: int) -> Answer:
        """See `Wire.failed`."""
        return failure_of(failure, call, self._now_ns, retry_after_s)

    def refused(self, failure: Failure, payload: bytes, retry_after_s: int) -> bytes:
        """See `Wire.refused`."""
        try:
            request, _ = asked(payload, self._now_ns)
        except KrakenError:
            return b""
        return request.refused(STREAM_FAILURES[failure])

    def tick(self, now_ns: int) -> Sequence[Outgoing]:
        """See `Wire.tick`."""
        self._now_ns = now_ns
        self._desk.tick(now_ns)
        return self._stream.tick(now_ns)

    def due_ns(self) -> int:
        """See `Wire.due_ns`."""
        return min(self._desk.due_ns(), self._stream.due_ns())
