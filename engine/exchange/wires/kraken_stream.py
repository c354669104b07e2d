"""Kraken's websocket, version 2: connections, what they ask, who they are, heartbeats.

One address serves public and private channels; Kraken has one for each.
Sources: https://docs.kraken.com/api/docs/guides/spot-ws-intro, /websocket-v2/ping, /heartbeat
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from engine.exchange.exchange import Exchange
from engine.exchange.orders import Event, Refused
from engine.exchange.wires.kraken_channels import PARAMS as CHANNELS
from engine.exchange.wires.kraken_channels import Channels, status_frame
from engine.exchange.wires.kraken_executions import Executions
from engine.exchange.wires.kraken_forms import Params, parse_json
from engine.exchange.wires.kraken_keys import Caller, Keys
from engine.exchange.wires.kraken_market import system_of
from engine.exchange.wires.kraken_orders import PARAMS as ORDERS
from engine.exchange.wires.kraken_orders import StreamOrders
from engine.exchange.wires.kraken_words import (
    SECOND_NS,
    KrakenError,
    Names,
    refusal,
    rfc3339,
)
from engine.exchange.wires.wire import Outgoing

NEVER = 1 << 62
HEARTBEAT = b'{"channel":"heartbeat"}'
SYMBOLS_MAX = 200
PRIVATE = {
    "executions": frozenset(
        "channel snap_trades snap_orders order_status ratecounter users rebased snapshot "
        "snapshot_trades token".split()
    ),
    "balances": frozenset("channel snapshot users rebased token".split()),
}


class _Client:
    """A connection: when something was last sent on it, and whose it has shown to be."""

    __slots__ = ("account", "sent_ns")

    def __init__(self, now_ns: int) -> None:
        self.sent_ns = now_ns
        self.account = ""


class _Asked:
    """A request as it came: what every answer to it repeats."""

    __slots__ = ("method", "now_ns", "req_id")

    def __init__(self, method: str, req_id: object, now_ns: int) -> None:
        self.method = method
        self.req_id = req_id
        self.now_ns = now_ns

    def answer(self, **what: Any) -> bytes:
        """An answer."""
        at = rfc3339(self.now_ns)
        envelope: dict[str, Any] = {"method": self.method} if self.method else {}
        if self.req_id is not None:
            envelope["req_id"] = self.req_id
        return msgspec.json.encode({**envelope, **what, "time_in": at, "time_out": at})

    def done(self, result: object) -> bytes:
        """It worked."""
        return self.answer(result=result, success=True)

    def refused(self, error: object, **more: object) -> bytes:
        """It did not."""
        return self.answer(error=str(error), success=False, **more)


def asked(payload: bytes, now_ns: int) -> tuple[_Asked, dict[str, Any]]:
    """A frame as a request. Raises KrakenError for what is none."""
    try:
        frame = parse_json(payload)
    except KrakenError:
        raise KrakenError("Malformed request") from None
    if not isinstance(frame, dict) or not isinstance(frame.get("method"), str):
        raise KrakenError("Malformed request")
    req_id = frame.get("req_id")
    known = isinstance(req_id, int) and abs(req_id) < 1 << 63
    return _Asked(frame["method"], req_id if known else None, now_ns), frame


class Stream:
    """See the module."""

    def __init__(
        self,
        exchange: Exchange,
        names: Names,
        keys: Keys,
        channels: Channels,
        executions: Executions,
        orders: StreamOrders,
    ) -> None:
        self._exchange = exchange
        self._names = names
        self._keys = keys
        self._channels = channels
        self._executions = executions
        self._orders = orders
        self._clients: dict[int, _Client] = {}
        self._system = system_of(exchange)

    # --- connections ------------------------------------------------------------------------------

    def connected(self, connection: int, now_ns: int) -> list[Outgoing]:
        """A client is there; it hears how the exchange is."""
        self._clients[connection] = _Client(now_ns)
        self._channels.connected(connection)
        return [Outgoing(connection, status_frame(self._system, connection))]

    def disconnected(self, connection: int) -> None:
        """It is gone; its orders stay."""
        if self._clients.pop(connection, None) is not None:
            self._channels.disconnected(connection)
            self._executions.disconnected(connection)

    def account_of(self, connection: int) -> str:
        """Whose it has shown to be; '' before it did."""
        client = self._clients.get(connection)
        return client.account if client is not None else ""

    # --- requests ---------------------------------------------------------------------------------

    def frame(self, connection: int, payload: bytes, now_ns: int) -> list[Outgoing]:
        """A request; raises nothing."""
        if connection not in self._clients:
            return []
        try:
            request, frame = asked(payload, now_ns)
        except KrakenError as error:
            told = _Asked("", None, now_ns).refused(error)
            return [Outgoing(connection, told)]
        out: list[Outgoing] = []
        try:
            out = self._serve(connection, request, frame, now_ns)
        except KrakenError as error:
            out = [Outgoing(connection, request.refused(error))]
        except Refused as refused:
            out = [Outgoing(connection, request.refused(refusal(refused)))]
        return out

    def _serve(
        self, connection: int, request: _Asked, frame: dict[str, Any], now_ns: int
    ) -> list[Outgoing]:
        method = request.method
        unknown = frame.keys() - {"method", "params", "req_id"}
        if method == "ping" and "params" in frame:
            unknown = {"params"}
        if unknown:
            event = method.replace("_", " ")
            raise KrakenError(
                f"Unsupported field: '{min(unknown)}' for the given msg type: {event}"
            )
        if method == "ping":
            pong = _Asked("pong", request.req_id, now_ns)
            return [Outgoing(connection, pong.answer())]
        if method in ("subscribe", "unsubscribe"):
            params = frame.get("params")
            channel = params.get("channel") if isinstance(params, dict) else None
            if isinstance(channel, str) and channel in PRIVATE:
                return self._private(connection, request, channel, params, now_ns)
            if isinstance(channel, str) and channel in CHANNELS:
                return self._public(connection, request, channel, params, now_ns)
            raise KrakenError("Subscription name invalid")
        if method not in ORDERS:
            raise KrakenError("Unsupported event")
        params = Params(frame.get("params"), method, ORDERS[method])
        caller = self._caller(connection, params, "trade", now_ns)
        answers = self._orders.calls[method](caller, params, now_ns)
        return [
            Outgoing(
                connection,
                request.refused(each) if isinstance(each, KrakenError) else request.done(each),
            )
            for each in answers
        ]

    def _caller(self, connection: int, params: Params, right: str, now_ns: int) -> Caller:
        """Whose token it is. Raises KrakenError."""
        token = params.text("token")
        if not token:
            raise KrakenError("Token(s) not found")
        caller = self._keys.holder(token, now_ns)
        self._clients[connection].account = caller.account
        if right not in caller.rights:
            raise KrakenError("EGeneral:Permission denied")
        return caller

    # --- subscriptions ----------------------------------------------------------------------------

    def _public(
        self, connection: int, request: _Asked, channel: str, params: object, now_ns: int
    ) -> list[Outgoing]:
        given = Params(params, request.method, CHANNELS[channel])
        if channel == "instrument":
            return self._enter(connection, request, given, channel, None, now_ns)
        symbols = given.each("symbol")
        if not symbols or len(symbols) > SYMBOLS_MAX:
            raise KrakenError("Symbol(s) not found")
        out: list[Outgoing] = []
        for symbol in symbols:
            try:
                out += self._enter(connection, request, given, channel, symbol, now_ns)
            except KrakenError as error:
                out.append(Outgoing(connection, request.refused(error, symbol=symbol)))
        return out

    def _enter(
        self,
        connection: int,
        request: _Asked,
        params: Params,
        channel: str,
        symbol: object,
        now_ns: int,
    ) -> list[Outgoing]:
        """One symbol of a channel, in or out."""
        pair = self._names.symbol(symbol) if symbol is not None else None
        topic = self._channels.topic(channel, params, pair)
        wanted = params.flag("snapshot", channel != "trade")
        result: dict[str, Any] = {"channel": channel}
        if channel == "book":
            result["depth"] = topic.option
        if channel == "ohlc":
            result["interval"] = topic.option
        result["snapshot"] = wanted
        if pair is not None:
            result["symbol"] = pair.symbol
        out: list[Outgoing] = []
        if request.method == "unsubscribe":
            self._channels.unsubscribe(connection, topic)
            return [Outgoing(connection, request.done(result))]
        out += self._channels.subscribe(connection, topic, now_ns)
        out.append(Outgoing(connection, request.done(result)))
        if wanted:
            out.append(Outgoing(connection, self._channels.snapshot(topic, now_ns)))
        return out

    def _private(
        self, connection: int, request: _Asked, channel: str, params: object, now_ns: int
    ) -> list[Outgoing]:
        given = Params(params, request.method, PRIVATE[channel])
        caller = self._caller(connection, given, "read", now_ns)
        result: dict[str, Any] = {"channel": channel}
        if request.method == "unsubscribe":
            self._executions.unsubscribe(connection, channel)
            return [Outgoing(connection, request.done(result))]
        if channel == "balances":
            wanted = given.flag("snapshot", default=True)
            frames = self._executions.balances(connection, caller, wanted)
            result["snapshot"] = wanted
        else:
            whole = given.flag("snapshot", default=True)
            orders = given.flag("snap_orders", default=whole)
            trades = given.flag("snap_trades") or given.flag("snapshot_trades")
            every, counts = given.flag("order_status", default=True), given.flag("ratecounter")
            frames = self._executions.executions(connection, caller, orders, trades, every, counts)
            result |= {"snap_orders": orders, "snap_trades": trades}
            result["maxratecount"] = self._executions.ceiling
        self._keys.keep(given.text("token"))
        return [Outgoing(connection, frame) for frame in (request.done(result), *frames)]

    # --- what happens -----------------------------------------------------------------------------

    def publish(self, events: Sequence[Event], now_ns: int) -> list[Outgoing]:
        """What happened, for those who subscribed to it."""
        out = [*self._channels.publish(events, now_ns), *self._executions.publish(events)]
        return self.sent([*out, *self._status()], now_ns)

    def _status(self) -> list[Outgoing]:
        """The exchange's mode, when it is another than before."""
        system = system_of(self._exchange)
        if system == self._system:
            return []
        self._system = system
        return [Outgoing(number, status_frame(system, number)) for number in self._clients]

    def sent(self, frames: Iterable[Outgoing], now_ns: int) -> list[Outgoing]:
        """Frames that go out: no heartbeat is due for a second."""
        out = list(frames)
        for connection, _ in out:
            client = self._clients.get(connection)
            if client is not None:
                client.sent_ns = now_ns
        return out

    def tick(self, now_ns: int) -> list[Outgoing]:
        """A heartbeat for each that subscribed and heard nothing for a second."""
        due = self._status()
        for connection, client in self._clients.items():
            client.sent_ns = min(client.sent_ns, now_ns)  # the clock may have been set back
            if client.sent_ns + SECOND_NS <= now_ns:
                client.sent_ns = now_ns
                if self._channels.hears(connection) or self._executions.hears(connection):
                    due.append(Outgoing(connection, HEARTBEAT))
        return due

    def due_ns(self) -> int:
        """When a heartbeat may be due."""
        oldest_ns = min((client.sent_ns for client in self._clients.values()), default=NEVER)
        return oldest_ns + SECOND_NS
