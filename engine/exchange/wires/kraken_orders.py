"""Requests of the stream that do something to orders, by version 2's words.

Each returns its answers: one for most, one for each order of cancel_order.
Sources: https://docs.kraken.com/api/docs/websocket-v2/add_order and its neighbours
"""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from engine.exchange.orders import Order
from engine.exchange.wires.kraken_asking import (
    STREAM_ADD,
    STREAM_ORDER,
    client_id,
    deadline,
    stream_ticket,
)
from engine.exchange.wires.kraken_desk import TIMEOUT_S, Change, Desk
from engine.exchange.wires.kraken_follow import Follower
from engine.exchange.wires.kraken_forms import Params, wrong
from engine.exchange.wires.kraken_keys import Caller
from engine.exchange.wires.kraken_levels import STATIC, level_of_number
from engine.exchange.wires.kraken_trading import BATCH_MAX, BATCH_MIN, CANCELS_MAX
from engine.exchange.wires.kraken_words import KrakenError, Names, id_of, rfc3339

Result = dict[str, Any]
Name = TypeVar("Name", str, int)
_TRIGGER = frozenset("reference price price_type".split())

PARAMS = {
    "add_order": STREAM_ADD,
    "amend_order": frozenset(
        "order_id cl_ord_id order_qty display_qty limit_price limit_price_type post_only "
        "trigger_price trigger_price_type deadline symbol token".split()
    ),
    "edit_order": frozenset(
        "order_id symbol order_qty display_qty limit_price triggers post_only reduce_only "
        "fee_preference no_mpp order_userref deadline validate token".split()
    ),
    "cancel_order": frozenset("order_id cl_ord_id order_userref token".split()),
    "cancel_all": frozenset({"token"}),
    "cancel_all_orders_after": frozenset({"timeout", "token"}),
    "batch_add": frozenset("deadline orders symbol validate token".split()),
    "batch_cancel": frozenset("orders cl_ord_id token".split()),
}


class StreamOrders:
    """See the module; `calls` by method. Raises KrakenError."""

    def __init__(self, desk: Desk, follower: Follower, names: Names) -> None:
        self._desk = desk
        self._follower = follower
        self._names = names
        self.calls: dict[str, Callable[[Caller, Params, int], list[Any]]] = {
            "add_order": self.add_order,
            "amend_order": self.amend_order,
            "edit_order": self.edit_order,
            "cancel_order": self.cancel_order,
            "cancel_all": self.cancel_all,
            "cancel_all_orders_after": self.cancel_after,
            "batch_add": self.batch_add,
            "batch_cancel": self.batch_cancel,
        }

    # --- placing ----------------------------------------------------------------------------------

    def add_order(self, caller: Caller, params: Params, now_ns: int) -> list[Any]:
        """One order."""
        ticket = stream_ticket(params, self._names, params.text("symbol"), now_ns)
        until_ns = deadline(params.text("deadline"), now_ns)
        ticket = msgspec.structs.replace(ticket, deadline_ns=until_ns)
        if params.flag("validate"):
            self._desk.validate(caller.account, ticket, now_ns)
            return [_tagged({}, ticket.client_id, ticket.userref)]
        return [self._placed(self._desk.place(caller.account, ticket, now_ns))]

    def _placed(self, order: Order) -> Result:
        note = self._desk.note(order)
        self._follower.watch(order, note)
        told = {"order_id": id_of("O", order.number)}
        return _tagged(told, order.request.client_id, note.userref)

    def batch_add(self, caller: Caller, params: Params, now_ns: int) -> list[Any]:
        """Two to fifteen orders of one pair: one that cannot be read spoils all."""
        rows = params.each("orders") or []
        if not BATCH_MIN <= len(rows) <= BATCH_MAX:
            raise wrong("orders")
        until_ns = deadline(params.text("deadline"), now_ns)
        tickets = []
        for row in rows:
            each = Params(row, "batch_add", STREAM_ORDER)
            ticket = stream_ticket(each, self._names, params.text("symbol"), now_ns)
            tickets.append(msgspec.structs.replace(ticket, deadline_ns=until_ns))
        if params.flag("validate"):
            for ticket in tickets:
                self._desk.validate(caller.account, ticket, now_ns)
            return [[_tagged({}, ticket.client_id, ticket.userref) for ticket in tickets]]
        taken = self._desk.place_batch(caller.account, tickets, now_ns)
        told = []
        for ticket, order in zip(tickets, taken, strict=True):
            if isinstance(order, KrakenError):
                refused = {"error": str(order), "success": False}
                told.append(_tagged(refused, ticket.client_id, ticket.userref))
            else:
                told.append(self._placed(order))
        return [told]

    # --- changing ---------------------------------------------------------------------------------

    def amend_order(self, caller: Caller, params: Params, now_ns: int) -> list[Any]:
        """Another price or total; the order keeps its id."""
        name = client_id(params.text("cl_ord_id"), tagged=False)
        if name:
            order = self._desk.by_client_id(caller.account, name)
        elif "order_id" in params:
            order = self._desk.by_txid(caller.account, params.text("order_id"))
        else:
            raise wrong("order_id")
        limit, trigger = params.number("limit_price"), params.number("trigger_price")
        unit = params.text("limit_price_type", STATIC)
        kind = params.text("trigger_price_type", STATIC)
        change = Change(
            volume=params.number("order_qty"),
            limit=level_of_number("limit_price", limit, unit) if limit else None,
            trigger=level_of_number("trigger_price", trigger, kind) if trigger else None,
            display=params.number("display_qty"),
            post=params.flag("post_only"),
            deadline_ns=deadline(params.text("deadline"), now_ns),
        )
        if not (change.volume or limit or trigger or change.display):
            raise wrong("order_qty")
        told = {"amend_id": id_of("A", self._desk.amend(order, change, now_ns))}
        told |= {"cl_ord_id": name} if name else {"order_id": id_of("O", order.number)}
        return [told]

    def edit_order(self, caller: Caller, params: Params, now_ns: int) -> list[Any]:
        """A new order in the stead of an old one."""
        pair = self._names.symbol(params.text("symbol"))
        order = self._desk.by_txid(caller.account, params.text("order_id"))
        if order.request.instrument != pair.instrument.id:
            raise KrakenError("EOrder:Unknown order")
        triggers = params.inner("triggers", "edit_order", _TRIGGER)
        limit = params.number("limit_price")
        trigger = triggers.number("price") if triggers is not None else ""
        kind = triggers.text("price_type", STATIC) if triggers is not None else STATIC
        change = Change(
            volume=params.number("order_qty"),
            limit=level_of_number("price", limit, STATIC) if limit else None,
            trigger=level_of_number("price", trigger, kind) if trigger else None,
            display=params.number("display_qty"),
            post=params.flag("post_only") if "post_only" in params else None,
            reduce=params.flag("reduce_only") if "reduce_only" in params else None,
            deadline_ns=deadline(params.text("deadline"), now_ns),
            userref=params.whole("order_userref", 0) if "order_userref" in params else None,
            validate=params.flag("validate"),
        )
        placed = self._desk.edit(order, change, now_ns)
        original = {"original_order_id": id_of("O", order.number)}
        return [original if change.validate else {**self._placed(placed), **original}]

    # --- taking out -------------------------------------------------------------------------------

    def _named(self, caller: Caller, params: Params, ids: str) -> list[Order | KrakenError]:
        """The open orders that are meant, or that there is none."""
        desk, account = self._desk, caller.account
        found: list[Order | KrakenError] = []

        def one(name: str) -> list[Order]:
            return [desk.by_txid(account, name)]

        def own(name: str) -> list[Order]:
            return [desk.by_client_id(account, name)]

        def mean(find: Callable[[Name], list[Order]], name: Name) -> None:
            try:
                live = [order for order in find(name) if order.open]
            except KrakenError as error:
                found.append(error)
                return
            found.extend(live or [KrakenError("EOrder:Unknown order")])

        for name in _each(params, ids, str):
            mean(one, name)
        for name in _each(params, "cl_ord_id", str):
            mean(own, name)
        for tag in _each(params, "order_userref", int):
            mean(lambda tag: desk.by_userref(account, tag), tag)
        if not 0 < len(found) <= CANCELS_MAX:
            raise wrong(ids)
        return found

    def cancel_order(self, caller: Caller, params: Params, now_ns: int) -> list[Any]:
        """Some orders; each is answered by itself."""
        told: list[Any] = []
        for order in self._named(caller, params, "order_id"):
            if isinstance(order, KrakenError):
                told.append(order)
                continue
            try:
                self._desk.cancel(order, now_ns)
            except KrakenError as error:  # it was named twice, or ended with one before it
                told.append(error)
                continue
            answer = {"order_id": id_of("O", order.number)}
            told.append(_tagged(answer, order.request.client_id, None))
        return told

    def batch_cancel(self, caller: Caller, params: Params, now_ns: int) -> list[Any]:
        """Some orders; how many of them there were."""
        found = {
            order.number: order
            for order in self._named(caller, params, "orders")
            if isinstance(order, Order)
        }
        return [{"count": self._desk.cancel_each(found.values(), now_ns)}]

    def cancel_all(self, caller: Caller, params: Params, now_ns: int) -> list[Any]:
        """All open orders of the account."""
        return [{"count": self._desk.cancel_all(caller.account, now_ns)}]

    def cancel_after(self, caller: Caller, params: Params, now_ns: int) -> list[Any]:
        """All of them so many seconds from now, unless told otherwise until then; 0 is never."""
        timeout_s = params.whole("timeout", -1)
        if not 0 <= timeout_s <= TIMEOUT_S:
            raise wrong("timeout")
        end_ns = self._desk.cancel_after(caller.account, timeout_s, now_ns)
        return [
            {
                "currentTime": rfc3339(now_ns),
                "triggerTime": rfc3339(end_ns) if end_ns else "0",
            }
        ]


def _each(params: Params, name: str, kind: type[Name]) -> list[Name]:
    """A list whose members are all of one type. Raises KrakenError."""
    found = []
    for each in params.each(name) or ():
        if type(each) is not kind:
            raise wrong(name)
        found.append(each)
    return found


def _tagged(told: Result, name: str, userref: int | None) -> Result:
    """With what the client called it."""
    if name:
        told["cl_ord_id"] = name
    if userref is not None:
        told["order_userref"] = userref
    return told
