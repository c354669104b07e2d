"""Connections of Binance's streams: their requests, their subscriptions, and the frames they get.

Source: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from engine.exchange.orders import DepthChange, Event, PublicTrade
from engine.exchange.wires.binance_market import aggregate_row
from engine.exchange.wires.binance_params import form
from engine.exchange.wires.binance_rest import encode
from engine.exchange.wires.binance_state import AggregateTrade, State
from engine.exchange.wires.binance_stream import NEVER, Channel, Differences, channel_of
from engine.exchange.wires.binance_user import Listener, UserStreams
from engine.exchange.wires.binance_words import MS, Listing, Problem, ms
from engine.exchange.wires.wire import UNREADABLE, Outgoing
from ext.matching import BUY

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
LIFE_NS = 86_400_000 * MS
SECOND_NS = 1_000 * MS
ID_LENGTH_MAX = 36


class _Link:
    """One connection."""

    def __init__(self, combined: bool, now_ns: int) -> None:
        self.combined = combined
        self.opened_ns = now_ns
        self.names: dict[str, None] = {}
        self.users: dict[str, tuple[str, Listener]] = {}
        self._second = 0
        self._frames = 0

    def hurries(self, now_ns: int, frames_max: int) -> bool:
        """One more frame came; whether those are too many for a second."""
        second = now_ns // SECOND_NS
        self._frames = self._frames + 1 if second == self._second else 1
        self._second = second
        return self._frames > frames_max


class Links:
    """See the module."""

    def __init__(self, state: State, users: UserStreams) -> None:
        self._state = state
        self._users = users
        self._links: dict[int, _Link] = {}
        self._channels: dict[str, Channel] = {}
        self._on_depth: dict[int, dict[str, Channel]] = {}
        self._on_trade: dict[int, dict[str, Channel]] = {}
        self._dirty: dict[int, dict[str, Channel]] = {}
        self._due_ns: dict[int, int] = {}

    # --- connections ------------------------------------------------------------------------------

    def connected(self, connection: int, path: str, query: str, now_ns: int) -> list[Outgoing]:
        """A websocket is open: /ws, /ws/NAME, /stream or /stream?streams=NAME/NAME."""
        parts = [part for part in path.split("/") if part]
        combined = parts == ["stream"]
        if parts[:2] == ["stream", "ws"]:
            parts = parts[1:]  # some clients tell spot by this word in the address
        try:
            names = form(query).get("streams", "").split("/") if combined else parts[1:]
        except Problem:
            return [Outgoing(connection, None)]
        if parts[:1] not in (["ws"], ["stream"]):
            return [Outgoing(connection, None)]
        link = self._links[connection] = _Link(combined, now_ns)
        self._subscribe(connection, link, [name for name in names if name], now_ns)
        return []

    def disconnected(self, connection: int) -> None:
        """It is closed."""
        link = self._links.pop(connection, None)
        for name in link.names if link else ():
            self._leave(connection, name)

    def knows(self, connection: int) -> bool:
        """Whether it is one of these."""
        return connection in self._links

    def account_of(self, connection: int) -> str:
        """The account of the listen key that it follows; '' if none."""
        link = self._links.get(connection)
        return next((account for account, _ in link.users.values()), "") if link else ""

    def _subscribe(self, connection: int, link: _Link, names: Iterable[str], now_ns: int) -> None:
        for name in names:
            account = self._state.keys.account(name)
            if account:
                listener = Listener(connection, name, link.combined, -1)
                link.users[name] = (account, listener)
                self._users.listen(account, listener)
            link.names[name] = None
            channel = self._channels.get(name) or channel_of(self._state, name)
            if channel is not None:
                self._join(connection, channel, now_ns)

    def _join(self, connection: int, channel: Channel, now_ns: int) -> None:
        if channel.name not in self._channels:
            self._channels[channel.name] = channel
            for listing in channel.listings:
                if channel.on_depth:
                    self._on_depth.setdefault(listing.id, {})[channel.name] = channel
                if channel.on_trade:
                    self._on_trade.setdefault(listing.id, {})[channel.name] = channel
        channel.listeners[connection] = None
        if channel.cadence_ns:
            self._mark(channel, now_ns)

    def _leave(self, connection: int, name: str) -> None:
        channel = self._channels.get(name)
        if channel is None:
            return
        channel.listeners.pop(connection, None)
        if not channel.listeners:
            del self._channels[name]
            for listing in channel.listings:
                self._on_depth.get(listing.id, {}).pop(name, None)
                self._on_trade.get(listing.id, {}).pop(name, None)
            self._dirty.get(channel.cadence_ns, {}).pop(name, None)

    # --- requests ---------------------------------------------------------------------------------

    def frame(self, connection: int, payload: bytes, now_ns: int) -> list[Outgoing]:
        """The answer to a request; too many of them in a second, and the connection is closed."""
        link = self._links[connection]
        if link.hurries(now_ns, self._state.meter.limits.frames_per_second):
            return [Outgoing(connection, None)]
        try:
            request = msgspec.json.decode(payload)
        except UNREADABLE as error:
            return self._error(connection, 3, f"Invalid JSON: {error}", None)
        if not isinstance(request, dict):
            return self._error(connection, 2, "Invalid request: expected an object", None)
        number = request.get("id")
        if "id" not in request or not _is_id(number):
            text = "Invalid request: request ID must be an unsigned integer"
            return self._error(connection, 2, text, None)
        method = request.get("method")
        if not isinstance(method, str):
            return self._error(connection, 2, "Invalid request: missing field `method`", number)
        if method not in METHODS:
            names = ", ".join(f"`{name}`" for name in METHODS)
            text = f"Invalid request: unknown variant `{method}`, expected one of {names}"
            return self._error(connection, 2, text, number)
        try:
            result = self._act(connection, link, method, request.get("params", []), now_ns)
        except Problem as problem:
            return self._error(connection, problem.code, problem.message, number)
        return [Outgoing(connection, encode({"result": result, "id": number}))]

    def _act(self, connection: int, link: _Link, method: str, params: Any, now_ns: int) -> Any:
        if method == "LIST_SUBSCRIPTIONS":
            return list(link.names)
        if not isinstance(params, list):
            raise Problem(2, "Invalid request: params must be an array")
        if method in ("SET_PROPERTY", "GET_PROPERTY"):
            return self._property(link, method, params)
        if not all(isinstance(name, str) for name in params):
            raise Problem(2, "Invalid request: stream names must be strings")
        if method == "SUBSCRIBE":
            if len({*link.names, *params}) > self._state.meter.limits.streams:
                raise Problem(2, "Invalid request: too many subscriptions")
            self._subscribe(connection, link, params, now_ns)
            return None
        for name in params:
            link.names.pop(name, None)
            self._leave(connection, name)
            if name in link.users:
                self._users.leave(*link.users.pop(name))
        return None

    @staticmethod
    def _property(link: _Link, method: str, params: list[Any]) -> bool | None:
        if not params or not isinstance(params[0], str):
            raise Problem(2, "Invalid request: property name must be a string")
        if params[0] != "combined":
            raise Problem(0, "Unknown property")
        if method == "GET_PROPERTY":
            return link.combined
        if len(params) > 2:
            raise Problem(2, "Invalid request: too many parameters")
        if len(params) < 2 or not isinstance(params[1], bool):
            raise Problem(1, "Invalid value type: expected Boolean")
        link.combined = params[1]
        return None

    @staticmethod
    def _error(connection: int, code: int, text: str, number: Any) -> list[Outgoing]:
        body = {"error": {"code": code, "msg": text}, "id": number}
        return [Outgoing(connection, encode(body))]

    # --- frames -----------------------------------------------------------------------------------

    def publish(
        self,
        events: Sequence[Event],
        aggregates: Sequence[tuple[Listing, AggregateTrade]],
        now_ns: int,
    ) -> list[Outgoing]:
        """What happened: trades and best prices at once, the rest when it is due."""
        out: list[Outgoing] = []
        at_once: dict[str, Channel] = {}
        for event in events:
            if isinstance(event, PublicTrade):
                out += self._trade(event, now_ns)
                for channel in self._on_trade.get(event.instrument, {}).values():
                    self._mark(channel, now_ns)
            elif isinstance(event, DepthChange):
                for channel in self._on_depth.get(event.instrument, {}).values():
                    if isinstance(channel, Differences):
                        channel.add(event)
                    if channel.cadence_ns:
                        self._mark(channel, now_ns)
                    else:
                        at_once[channel.name] = channel
        for listing, trade in aggregates:
            name = f"{listing.stream}@aggTrade"
            if name in self._channels:
                view = {"e": "aggTrade", "E": ms(now_ns), "s": listing.native}
                out += self._send(self._channels[name], {**view, **aggregate_row(listing, trade)})
        for channel in at_once.values():
            out += self._flush(channel, now_ns)
        return out

    def _trade(self, trade: PublicTrade, now_ns: int) -> list[Outgoing]:
        listing = self._state.listings.get(trade.instrument)
        channel = self._channels.get(f"{listing.stream}@trade") if listing else None
        if listing is None or channel is None:
            return []
        view = {
            "e": "trade",
            "E": ms(now_ns),
            "s": listing.native,
            "t": trade.number,
            "p": listing.price(trade.ticks),
            "q": listing.quantity(trade.lots),
            "T": ms(trade.time_ns),
            "m": trade.side != BUY,
            "M": True,
        }
        return self._send(channel, view)

    def _send(self, channel: Channel, view: Any) -> list[Outgoing]:
        payload = encode(view)
        wrapped = b"%b%b}" % (channel.wrapped, payload)
        return [
            Outgoing(connection, wrapped if self._links[connection].combined else payload)
            for connection in channel.listeners
        ]

    def _flush(self, channel: Channel, now_ns: int) -> list[Outgoing]:
        out: list[Outgoing] = []
        for view in channel.views(self._state, now_ns):
            out += self._send(channel, view)
        return out

    def _mark(self, channel: Channel, now_ns: int) -> None:
        """It has something to tell at the next step of its cadence."""
        cadence_ns = channel.cadence_ns
        self._dirty.setdefault(cadence_ns, {})[channel.name] = channel
        if cadence_ns not in self._due_ns:
            self._due_ns[cadence_ns] = (now_ns // cadence_ns + 1) * cadence_ns

    def tick(self, now_ns: int) -> list[Outgoing]:
        """Frames that are due; connections that are a day old are closed."""
        out: list[Outgoing] = []
        for cadence_ns, due_ns in self._due_ns.items():
            if due_ns - cadence_ns > now_ns:  # the clock was set back
                self._due_ns[cadence_ns] = (now_ns // cadence_ns + 1) * cadence_ns
        for cadence_ns in [each for each, due in self._due_ns.items() if due <= now_ns]:
            del self._due_ns[cadence_ns]
            for channel in self._dirty.pop(cadence_ns, {}).values():
                out += self._flush(channel, now_ns)
                if channel.always:
                    self._mark(channel, now_ns)
        while self._links and self._oldest_ns() + LIFE_NS <= now_ns:
            connection = next(iter(self._links))
            self._users.disconnected(connection)
            self.disconnected(connection)  # at once: until it is gone it would be due for ever
            out.append(Outgoing(connection, None))
        return out

    def _oldest_ns(self) -> int:
        """When the first connection that lives was opened."""
        return next(iter(self._links.values())).opened_ns

    def due_ns(self) -> int:
        """When `tick` has something to do next."""
        due = min(self._due_ns.values(), default=NEVER)
        return min(due, self._oldest_ns() + LIFE_NS) if self._links else due


def _is_id(number: Any) -> bool:
    if isinstance(number, str):
        return len(number) <= ID_LENGTH_MAX
    return number is None or (isinstance(number, int) and not isinstance(number, bool))
