"""User data streams: what happens to an account's orders, lists and balances, for who listens.

A listener is a connection of the market streams that subscribed to the account's listen key, or one
of the WebSocket API that subscribed to the account itself. Source:
https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from engine.exchange.accounts import LedgerEntry
from engine.exchange.orders import BalanceChange, Event, Order, OrderChange
from engine.exchange.wires import binance_views as views
from engine.exchange.wires.binance_account import moved
from engine.exchange.wires.binance_rest import encode
from engine.exchange.wires.binance_state import Note, State
from engine.exchange.wires.binance_words import decimal, ms
from engine.exchange.wires.wire import Outgoing
from ext.matching import SELF_TRADE

View = dict[str, Any]


class Listener(NamedTuple):
    """Where an account's events go: a listen key's stream, or a subscription of the WebSocket API."""

    connection: int
    key: str
    combined: bool
    subscription: int


def enveloped(listener: Listener, event: bytes) -> bytes:
    """An event as its listener gets it."""
    if listener.subscription >= 0:
        return b'{"subscriptionId":%d,"event":%b}' % (listener.subscription, event)
    if listener.combined:
        return b'{"stream":"%b","data":%b}' % (listener.key.encode(), event)
    return event


class UserStreams:
    """Who listens to whom; see the module."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._listeners: dict[str, dict[Listener, None]] = {}
        self._events = 0
        self._ledgers: dict[str, int] = {}
        for name in state.exchange.accounts.names:
            self._new_moves(name)

    def listen(self, account: str, listener: Listener) -> None:
        """Events of an account go to a listener from now on."""
        self._listeners.setdefault(account, {})[listener] = None

    def leave(self, account: str, listener: Listener) -> None:
        """No more."""
        self._listeners.get(account, {}).pop(listener, None)

    def disconnected(self, connection: int) -> None:
        """A connection is gone."""
        for listeners in self._listeners.values():
            for listener in [one for one in listeners if one.connection == connection]:
                del listeners[listener]

    def subscriptions(self, connection: int) -> list[tuple[str, Listener]]:
        """What a connection of the WebSocket API listens to, each with its account."""
        return [
            (account, listener)
            for account, listeners in self._listeners.items()
            for listener in listeners
            if listener.connection == connection and listener.subscription >= 0
        ]

    def _send(self, account: str, view: View) -> list[Outgoing]:
        listeners = self._listeners.get(account)
        if not listeners:
            return []
        event = encode(view)
        return [Outgoing(one.connection, enveloped(one, event)) for one in listeners]

    def key_ended(self, key: str, account: str, now_ns: int, told: bool) -> list[Outgoing]:
        """A listen key is not good any more; if its hour is over that is told."""
        listeners = self._listeners.get(account, {})
        ended = [one for one in listeners if one.key == key and one.subscription < 0]
        view = {"e": "listenKeyExpired", "E": ms(now_ns), "listenKey": key}
        event = encode(view)
        out = [Outgoing(one.connection, enveloped(one, event)) for one in ended if told]
        for one in ended:
            del listeners[one]
        return out

    # --- events -----------------------------------------------------------------------------------

    def publish(self, events: Sequence[Event], now_ns: int) -> list[Outgoing]:
        """Reports of orders as they happened, then what the accounts have now."""
        for key, account in self._state.keys.take_stopped():
            self.key_ended(key, account, now_ns, told=False)
        out: list[Outgoing] = []
        positions: dict[str, dict[str, BalanceChange]] = {}
        for event in events:
            if isinstance(event, OrderChange):
                if event.order.request.instrument in self._state.listings:
                    out += self._order(event, now_ns)
            elif isinstance(event, BalanceChange):
                positions.setdefault(event.account, {})[event.asset] = event
        for account, changes in positions.items():
            out += self._position(account, changes.values(), now_ns)
        return out

    def _order(self, change: OrderChange, now_ns: int) -> list[Outgoing]:
        state, order = self._state, change.order
        note = state.note(order.number)
        if change.fill is not None:
            state.last_fill = max(state.last_fill, change.fill.number)
        _learn(note, change)
        out: list[Outgoing] = []
        made = state.lists.get(note.list_number)
        if made is not None and not note.told and order.number == made.orders[0]:
            out += self._send(order.account, views.list_event(state, made, now_ns, change.time_ns))
        self._events += 1
        if self._listeners.get(order.account):
            report = views.execution_report(state, order, change.fill, now_ns, self._events)
            out += self._send(order.account, report)
        note.told, note.working = True, order.working
        note.ticks, note.lots = order.ticks, order.lots
        if made is not None and not made.done and not any(map(_open, state.members(made))):
            made.done = True
            out += self._send(order.account, views.list_event(state, made, now_ns, change.time_ns))
        return out

    def _position(
        self, account: str, changes: Iterable[BalanceChange], now_ns: int
    ) -> list[Outgoing]:
        accounts = self._state.exchange.accounts
        moves = self._new_moves(account)
        if not self._listeners.get(account):
            self._state.changed_ns[account] = max(change.time_ns for change in changes)
            return []
        out: list[Outgoing] = []
        for move in moves:
            if move.kind in ("deposit", "withdrawal"):
                decimals = accounts.decimals[move.asset]
                view = moved(move.units, decimals, now_ns, move.time_ns, move.asset)
                out += self._send(account, view)
        rows, latest = [], 0
        for change in changes:
            decimals = accounts.decimals[change.asset]
            latest = max(latest, change.time_ns)
            rows.append(
                {
                    "a": change.asset,
                    "f": decimal(change.free, decimals),
                    "l": decimal(change.locked, decimals),
                }
            )
        self._state.changed_ns[account] = latest
        view = {"e": "outboundAccountPosition", "E": ms(now_ns), "u": ms(latest), "B": rows}
        return out + self._send(account, view)

    def _new_moves(self, account: str) -> list[LedgerEntry]:
        """Entries of an account's ledger since last asked."""
        seen = self._ledgers.get(account, 0)
        found: list[LedgerEntry] = []
        for entry in reversed(self._state.exchange.accounts.ledger(account)):
            if entry.number <= seen:
                break
            found.append(entry)
        found.reverse()
        if found:
            self._ledgers[account] = found[-1].number
        return found


def _open(order: Order) -> bool:
    return order.open


def _learn(note: Note, change: OrderChange) -> None:
    """What only the course of events tells of an order."""
    order = change.order
    waits = bool(order.request.trigger or order.request.parent)
    if waits and order.working and not note.working:
        note.working_ns = change.time_ns
    taken = note.lots - order.lots
    if note.told and change.fill is None and taken > 0 and order.ticks == note.ticks:
        note.prevented += taken
    if not order.open and order.reason == SELF_TRADE:
        note.prevented += order.lots - order.filled
