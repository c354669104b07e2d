"""Orders and fills of an account as REST shows them: open, closed, by id; newest first, fifty at a time.

Sources: https://docs.kraken.com/api/docs/rest-api/get-open-orders, /get-trade-history
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from engine.exchange.orders import Fill, Order, Refused
from engine.exchange.wires import kraken_notes as notes
from engine.exchange.wires.kraken_asking import userref_of
from engine.exchange.wires.kraken_desk import Desk
from engine.exchange.wires.kraken_forms import Fields, wrong
from engine.exchange.wires.kraken_keys import Caller
from engine.exchange.wires.kraken_ledger import booked, times
from engine.exchange.wires.kraken_words import (
    SECOND_NS,
    KrakenError,
    Names,
    Pair,
    id_of,
    number_of,
    seconds,
)
from engine.messages import BUY

PAGE = 50
IDS_MAX = 50

Row = TypeVar("Row")


def page(rows: Sequence[Row], fields: Fields) -> Sequence[Row]:
    """Fifty rows from the offset that was asked for."""
    first = fields.whole("ofs", 0, 0, 1 << 31)
    return rows[first : first + PAGE]


def ids_of(fields: Fields, name: str) -> list[str]:
    """Ids parted by commas. Raises KrakenError for none and for too many."""
    found = [part.strip() for part in fields.needed(name).split(",")]
    if len(found) > IDS_MAX:
        raise wrong(name)
    return found


class History:
    """See the module."""

    def __init__(self, desk: Desk, names: Names) -> None:
        self._desk = desk
        self._exchange = desk.exchange
        self._names = names

    # --- orders -----------------------------------------------------------------------------------

    def order_view(self, order: Order, fills: Sequence[Fill], trades: bool) -> dict[str, Any]:
        """An order; `fills` are its own."""
        pair = self._names.pairs[order.request.instrument]
        note, new = self._desk.note(order), order.request
        text = notes.volume(pair, note, order)
        waits = note.trigger is not None and not order.working
        view: dict[str, Any] = {
            "refid": id_of("O", note.cause) if note.cause else None,
            "userref": note.userref,
            "status": "open" if order.open else notes.ended(order.status),
            "opentm": seconds(order.created_ns),
            "starttm": 0,
            "expiretm": new.expire_ns // SECOND_NS,
            "descr": _descr(pair, note, order, text),
            "vol": text,
            "vol_exec": pair.instrument.lots_to_quantity(order.filled),
            "cost": pair.cost(order.value),
            "fee": pair.fee(sum(fill.fee for fill in fills)),
            "price": pair.average(order.value, order.filled),
            "stopprice": pair.price(new.trigger_ticks if waits else 0),
            "limitprice": pair.price(order.ticks if note.trigger is not None else 0),
            "misc": _misc(order, note),
            "oflags": notes.oflags(note),
        }
        if new.client_id:
            view["cl_ord_id"] = new.client_id
        if note.trigger is not None:
            view["trigger"] = note.trigger_by
        if not order.open:
            view["reason"] = notes.reason(order)
            view["closetm"] = seconds(order.updated_ns)
        if trades:
            view["trades"] = [id_of("T", fill.number) for fill in fills]
        return view

    def _views(self, orders: Sequence[Order], account: str, trades: bool) -> dict[str, Any]:
        of_order: dict[int, list[Fill]] = {order.number: [] for order in orders}
        if any(order.filled for order in orders):
            for fill in self._exchange.fills(account):
                if fill.order in of_order:
                    of_order[fill.order].append(fill)
        return {
            id_of("O", order.number): self.order_view(order, of_order[order.number], trades)
            for order in orders
        }

    def open_orders(self, caller: Caller, fields: Fields, now_ns: int) -> Any:
        """The orders that live."""
        orders = self._tagged(self._exchange.open_orders(caller.account)[::-1], fields)
        return {"open": self._views(orders, caller.account, fields.flag("trades"))}

    def _tagged(self, orders: Iterable[Order], fields: Fields) -> list[Order]:
        """Those with the numeric tag and the client's id that were asked for, if any were."""
        userref, client_id = userref_of(fields), fields.text("cl_ord_id")
        return [
            order
            for order in orders
            if (userref is None or self._desk.note(order).userref == userref)
            and (not client_id or order.request.client_id == client_id)
        ]

    def closed_orders(self, caller: Caller, fields: Fields, now_ns: int) -> Any:
        """The orders that ended."""
        by = fields.choice("closetime", ("open", "close", "both"), "both")
        since_ns, until_ns = times(fields)
        ended = [order for order in self._exchange.all_orders(caller.account) if not order.open]
        found = []
        for order in self._tagged(ended, fields):
            opened, closed = order.created_ns, order.updated_ns
            asked = {"open": (opened,), "close": (closed,), "both": (opened, closed)}[by]
            if any(since_ns < at_ns <= until_ns for at_ns in asked):
                found.append(order)
        found.sort(key=lambda order: (order.updated_ns, order.number), reverse=True)
        views = self._views(page(found, fields), caller.account, fields.flag("trades"))
        return {"closed": views, "count": len(found)}

    def query_orders(self, caller: Caller, fields: Fields, now_ns: int) -> Any:
        """Some orders by their ids."""
        found = []
        for txid in ids_of(fields, "txid"):
            if not number_of("O", txid):
                raise KrakenError("EOrder:Invalid order")
            found.append(self._desk.by_txid(caller.account, txid))
        found = self._tagged(found, fields)
        return self._views(found, caller.account, fields.flag("trades"))

    # --- fills ------------------------------------------------------------------------------------

    def trade_view(self, fill: Fill) -> dict[str, Any]:
        """A fill."""
        pair = self._names.pairs[fill.instrument]
        try:
            word = self._desk.note(self._exchange.order(fill.account, fill.order)).word
        except Refused:
            word = "limit"  # its order is so old that it is no longer kept
        return {
            "ordertxid": id_of("O", fill.order),
            "postxid": id_of("P", fill.order),
            "pair": pair.id,
            "time": seconds(fill.time_ns),
            "type": "buy" if fill.side == BUY else "sell",
            "ordertype": word,
            "price": pair.price(fill.ticks),
            "cost": pair.cost(fill.ticks * fill.lots),
            "fee": pair.fee(fill.fee),
            "vol": pair.instrument.lots_to_quantity(fill.lots),
            "margin": "0.00000",
            "misc": "",
            "trade_id": fill.trade,
            "maker": fill.maker,
        }

    def trades_history(self, caller: Caller, fields: Fields, now_ns: int) -> Any:
        """The fills of an account."""
        since_ns, until_ns = times(fields)
        found = [
            fill
            for fill in reversed(self._exchange.fills(caller.account))
            if since_ns < fill.time_ns <= until_ns
        ]
        shown = page(found, fields)
        entries: dict[int, list[str]] = {fill.number: [] for fill in shown}
        for entry in booked(self._exchange.accounts.ledger(caller.account)):
            if entry.kind == "trade" and entry.ref in entries:
                entries[entry.ref].append(id_of("L", entry.number))
        trades = {
            id_of("T", fill.number): {**self.trade_view(fill), "ledgers": entries[fill.number]}
            for fill in shown
        }
        return {"trades": trades, "count": len(found)}

    def query_trades(self, caller: Caller, fields: Fields, now_ns: int) -> Any:
        """Some fills by their ids."""
        wanted = [number_of("T", txid) for txid in ids_of(fields, "txid")]
        fills = {fill.number: fill for fill in self._exchange.fills(caller.account)}
        if not fills.keys() >= set(wanted):
            raise KrakenError("EQuery:Unknown trade")
        return {id_of("T", number): self.trade_view(fills[number]) for number in wanted}


def _descr(pair: Pair, note: notes.Note, order: Order, text: str) -> dict[str, str]:
    side = order.request.side
    return {
        "pair": pair.alt,
        "type": "buy" if side == BUY else "sell",
        "ordertype": note.word,
        "price": note.price,
        "price2": note.price2,
        "leverage": "none",
        "order": notes.description(pair, note, side, text),
        "close": notes.closing(pair, note.close),
    }


def _misc(order: Order, note: notes.Note) -> str:
    """What else happened to an order, in Kraken's words."""
    told = []
    if note.trigger is not None and order.working:
        told.append("stopped" if note.word.startswith(("stop", "trailing")) else "touched")
    if order.open and order.filled:
        told.append("partial")
    if note.amended:
        told.append("amended")
    return ",".join(told)
