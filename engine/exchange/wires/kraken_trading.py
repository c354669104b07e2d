"""Kraken's private endpoints that do something: orders placed, changed and taken out, tokens given.

Each returns what stands under `result`.
Sources: https://docs.kraken.com/api/docs/rest-api/add-order, /amend-order, /edit-order, /cancel-order
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from engine.exchange.orders import Order
from engine.exchange.wires import kraken_notes as notes
from engine.exchange.wires.kraken_asking import client_id, deadline, rest_ticket, userref_of
from engine.exchange.wires.kraken_desk import TIMEOUT_S, Change, Desk
from engine.exchange.wires.kraken_follow import Follower
from engine.exchange.wires.kraken_forms import Fields, wrong
from engine.exchange.wires.kraken_keys import TOKEN_S, Caller, Keys
from engine.exchange.wires.kraken_levels import level_of_text
from engine.exchange.wires.kraken_tickets import OFLAGS, TRIGGERS, Ticket
from engine.exchange.wires.kraken_words import KrakenError, Names, Pair, id_of, rfc3339
from engine.messages import BUY

BATCH_MIN, BATCH_MAX = 2, 15
CANCELS_MAX = 50
_USERREF = re.compile(r"-?[0-9]{1,10}")

Endpoint = Callable[[Caller, Fields, int], Any]


class Trading:
    """See the module. Raises KrakenError."""

    def __init__(self, desk: Desk, follower: Follower, names: Names, keys: Keys) -> None:
        self._desk = desk
        self._follower = follower
        self._names = names
        self._keys = keys
        self.calls: dict[str, Endpoint] = {
            "AddOrder": self.add_order,
            "AddOrderBatch": self.add_order_batch,
            "AmendOrder": self.amend_order,
            "EditOrder": self.edit_order,
            "CancelOrder": self.cancel_order,
            "CancelOrderBatch": self.cancel_order_batch,
            "CancelAll": self.cancel_all,
            "CancelAllOrdersAfter": self.cancel_after,
        }

    def token(self, caller: Caller, fields: Fields, now_ns: int) -> Any:
        """A token for the stream's private channels."""
        return {"token": self._keys.token(caller, now_ns), "expires": TOKEN_S}

    # --- placing ----------------------------------------------------------------------------------

    def _pair(self, fields: Fields) -> Pair:
        return self._names.rest(fields.needed("pair"))

    def add_order(self, caller: Caller, fields: Fields, now_ns: int) -> Any:
        """One order."""
        ticket = rest_ticket(fields, self._pair(fields), now_ns)
        if fields.flag("validate"):
            note = self._desk.validate(caller.account, ticket, now_ns)
            return {"descr": described(ticket, note)}
        order = self._desk.place(caller.account, ticket, now_ns)
        note = self._desk.note(order)
        self._follower.watch(order, note)
        return {"descr": described(ticket, note), "txid": [id_of("O", order.number)]}

    def add_order_batch(self, caller: Caller, fields: Fields, now_ns: int) -> Any:
        """Two to fifteen orders of one pair: one that cannot be read spoils all."""
        pair = self._pair(fields)
        rows = fields.each("orders")
        if not BATCH_MIN <= len(rows) <= BATCH_MAX:
            raise wrong("orders")
        until_ns = deadline(fields.text("deadline"), now_ns)
        tickets = []
        for row in rows:
            if not isinstance(row, dict):
                raise wrong("orders")
            ticket = rest_ticket(Fields(row), pair, now_ns)
            tickets.append(msgspec.structs.replace(ticket, deadline_ns=until_ns))
        if fields.flag("validate"):
            told = [self._desk.validate(caller.account, ticket, now_ns) for ticket in tickets]
            pairs = zip(tickets, told, strict=True)
            return {"orders": [{"descr": described(ticket, note)} for ticket, note in pairs]}
        taken = self._desk.place_batch(caller.account, tickets, now_ns)
        return {
            "orders": [
                self._placed(ticket, order) for ticket, order in zip(tickets, taken, strict=True)
            ]
        }

    def _placed(self, ticket: Ticket, order: Order | KrakenError) -> Any:
        if isinstance(order, KrakenError):
            return {"error": str(order)}
        note = self._desk.note(order)
        self._follower.watch(order, note)
        return {"txid": id_of("O", order.number), "descr": described(ticket, note)}

    # --- changing ---------------------------------------------------------------------------------

    def _order(self, caller: Caller, fields: Fields) -> Order:
        """The order that is meant by Kraken's id or the client's."""
        name = client_id(fields.text("cl_ord_id"), tagged=False)
        if name:
            return self._desk.by_client_id(caller.account, name)
        return self._desk.by_txid(caller.account, fields.needed("txid"))

    def amend_order(self, caller: Caller, fields: Fields, now_ns: int) -> Any:
        """Another price or total; the order keeps its id."""
        order = self._order(caller, fields)
        limit, trigger = fields.text("limit_price"), fields.text("trigger_price")
        volume = fields.text("order_qty")
        if not (limit or trigger or volume or fields.text("display_qty")):
            raise wrong("order_qty")
        change = Change(
            volume=volume,
            limit=level_of_text("limit_price", limit) if limit else None,
            trigger=level_of_text("trigger_price", trigger) if trigger else None,
            display=fields.text("display_qty"),
            post=fields.flag("post_only"),
            deadline_ns=deadline(fields.text("deadline"), now_ns),
        )
        number = self._desk.amend(order, change, now_ns)
        return {"amend_id": id_of("A", number)}

    def edit_order(self, caller: Caller, fields: Fields, now_ns: int) -> Any:
        """A new order in the stead of an old one."""
        pair = self._pair(fields)
        order = self._desk.by_txid(caller.account, fields.needed("txid"))
        if order.request.instrument != pair.instrument.id:
            raise KrakenError("EOrder:Unknown order")
        oflags = {flag for flag in fields.text("oflags").split(",") if flag}
        if not oflags <= OFLAGS:
            raise wrong("oflags")
        first, second = fields.text("price"), fields.text("price2")
        limit, trigger = ("price", first), ("price2", "")
        if self._desk.note(order).word in TRIGGERS:
            limit, trigger = ("price2", second), ("price", first)
        change = Change(
            volume=fields.text("volume"),
            limit=level_of_text(*limit) if limit[1] else None,
            trigger=level_of_text(*trigger) if trigger[1] else None,
            display=fields.text("displayvol"),
            post="post" in oflags if oflags else None,
            deadline_ns=deadline(fields.text("deadline"), now_ns),
            userref=userref_of(fields),
            validate=fields.flag("validate"),
        )
        placed = self._desk.edit(order, change, now_ns)
        note = self._desk.note(placed)
        self._follower.watch(placed, note)
        text = notes.volume(pair, note, placed)
        descr = notes.description(pair, note, placed.request.side, text)
        result = {"status": "ok", "volume": text, "price": note.price, "price2": note.price2}
        if change.validate:
            return {**result, "descr": {"order": descr}}
        ids = {"txid": id_of("O", placed.number), "originaltxid": id_of("O", order.number)}
        return {**result, **ids, "orders_cancelled": 1, "descr": {"order": descr}}

    # --- taking out -------------------------------------------------------------------------------

    def cancel_order(self, caller: Caller, fields: Fields, now_ns: int) -> Any:
        """One order, or those with a numeric tag."""
        if fields.text("cl_ord_id"):
            orders = [self._order(caller, fields)]
        else:
            orders = self._meant(caller, fields.needed("txid"))
        return {"count": self._desk.cancel_each(orders, now_ns)}

    def _meant(self, caller: Caller, text: str) -> list[Order]:
        """Open orders by Kraken's id or a numeric tag."""
        if _USERREF.fullmatch(text):
            orders = self._desk.by_userref(caller.account, int(text))
        else:
            orders = [self._desk.by_txid(caller.account, text)]
        orders = [order for order in orders if order.open]
        if not orders:
            raise KrakenError("EOrder:Unknown order")
        return orders

    def cancel_order_batch(self, caller: Caller, fields: Fields, now_ns: int) -> Any:
        """Up to fifty orders; those that are there no longer are not counted."""
        names = [str(name) for name in fields.each("orders")]
        own = [str(name) for name in fields.each("cl_ord_ids")]
        if not 0 < len(names) + len(own) <= CANCELS_MAX:
            raise wrong("orders")
        found: dict[int, Order] = {}
        for name in names:
            try:
                found |= {order.number: order for order in self._meant(caller, name)}
            except KrakenError:
                continue
        for name in own:
            try:
                order = self._desk.by_client_id(caller.account, name)
            except KrakenError:
                continue
            if order.open:
                found[order.number] = order
        return {"count": self._desk.cancel_each(found.values(), now_ns)}

    def cancel_all(self, caller: Caller, fields: Fields, now_ns: int) -> Any:
        """All open orders of the account."""
        return {"count": self._desk.cancel_all(caller.account, now_ns)}

    def cancel_after(self, caller: Caller, fields: Fields, now_ns: int) -> Any:
        """All of them so many seconds from now, unless told otherwise until then; 0 is never."""
        if "timeout" not in fields:
            raise wrong("timeout")
        timeout_s = fields.whole("timeout", 0, 0, TIMEOUT_S)
        end_ns = self._desk.cancel_after(caller.account, timeout_s, now_ns)
        return {
            "currentTime": rfc3339(now_ns, 0),
            "triggerTime": rfc3339(end_ns, 0) if end_ns else "0",
        }


def described(ticket: Ticket, note: notes.Note) -> dict[str, str]:
    """What is said of an order when it was taken."""
    pair = ticket.pair
    text = note.spends or pair.instrument.lots_to_quantity(
        pair.instrument.quantity_to_lots(ticket.volume)
    )
    found = {
        "order": notes.description(pair, note, ticket.side, text),
        "pair": pair.alt,
        "type": "buy" if ticket.side == BUY else "sell",
        "ordertype": note.word,
        "price": note.price,
        "price2": note.price2,
        "leverage": "none",
    }
    if note.close is not None:
        found["close"] = notes.closing(pair, note.close)
    return found
