"""What the executions channel says of an order: one report for each thing that happens to it.

Dollars that fees are worth are told as the fee in whatever the quote asset is: there is no rate to turn
it by. Source: https://docs.kraken.com/api/docs/websocket-v2/executions
"""

from typing import Any

from engine.exchange.orders import Fill, Order, Status
from engine.exchange.wires import kraken_notes as notes
from engine.exchange.wires.kraken_desk import Desk
from engine.exchange.wires.kraken_levels import STATIC, Level
from engine.exchange.wires.kraken_words import KrakenError, Names, Pair, bare, id_of, rfc3339
from engine.messages import BUY
from ext.matching import POST_ONLY, REDUCE_ONLY

STATUS_WORDS = {
    Status.OPEN: "new",
    Status.PARTLY_FILLED: "partially_filled",
    Status.FILLED: "filled",
    Status.CANCELLED: "canceled",
    Status.EXPIRED: "expired",
    Status.REJECTED: "canceled",
}

Report = dict[str, Any]


class Reports:
    """See the module."""

    def __init__(self, desk: Desk, names: Names) -> None:
        self._desk = desk
        self._exchange = desk.exchange
        self._names = names

    def _tags(self, order: Order) -> Report:
        """The client's own id, or else its numeric tag."""
        if order.request.client_id:
            return {"cl_ord_id": order.request.client_id}
        return {"order_userref": self._desk.note(order).userref or 0}

    def brief(self, order: Order, kind: str, at_ns: int, status: str = "") -> Report:
        """What each report of a known order has."""
        return {
            "timestamp": rfc3339(at_ns),
            "order_status": status or STATUS_WORDS[order.status],
            "exec_type": kind,
            **self._tags(order),
            "order_id": id_of("O", order.number),
        }

    def _sums(self, order: Order, pair: Pair) -> Report:
        return {
            "cum_qty": bare(pair.instrument.lots_to_quantity(order.filled)),
            "cum_cost": bare(pair.cost(order.value)),
            "avg_price": bare(pair.average(order.value, order.filled)),
        }

    def end(self, order: Order, kind: str, at_ns: int, paid: int) -> Report:
        """It is filled, canceled or expired; `paid` are its fees."""
        pair = self._names.pairs[order.request.instrument]
        fee = {"fee_usd_equiv": bare(pair.fee(paid))}
        report = self.brief(order, kind, at_ns) | self._sums(order, pair) | fee
        if kind != "filled":
            reason = notes.reason(order) or "Order canceled"
            report |= {"cancel_reason": reason, "reason": reason}
        return report

    def amended(self, order: Order, at_ns: int) -> Report:
        """It has another price or total now."""
        instrument = self._names.pairs[order.request.instrument].instrument
        asked = self._desk.note(order).amended
        return self.brief(order, "amended" if asked else "restated", at_ns) | {
            "cum_qty": bare(instrument.lots_to_quantity(order.filled)),
            "reason": "User requested" if asked else "Order restated",
            "amended": True,
            "order_qty": bare(instrument.lots_to_quantity(order.lots)),
            "limit_price": bare(instrument.ticks_to_price(order.ticks)),
            "limit_price_type": STATIC,
        }

    def trade(self, order: Order, fill: Fill) -> Report:
        """A fill; that it was the last is said by a report of its own."""
        pair = self._names.pairs[fill.instrument]
        return (
            {"order_id": id_of("O", order.number), **self._tags(order)}
            | self._execution(fill, pair, self._desk.note(order).word)
            | {"order_status": "partially_filled"}
            | self._sums(order, pair)
        )

    def _execution(self, fill: Fill, pair: Pair, word: str) -> Report:
        fee = bare(pair.fee(fill.fee))
        return {
            "exec_id": id_of("T", fill.number),
            "exec_type": "trade",
            "trade_id": fill.trade,
            "symbol": pair.symbol,
            "side": "buy" if fill.side == BUY else "sell",
            "last_qty": bare(pair.instrument.lots_to_quantity(fill.lots)),
            "last_price": bare(pair.instrument.ticks_to_price(fill.ticks)),
            "liquidity_ind": "m" if fill.maker else "t",
            "cost": bare(pair.cost(fill.ticks * fill.lots)),
            "order_type": word,
            "timestamp": rfc3339(fill.time_ns),
            "fee_usd_equiv": fee,
            "fees": [{"asset": fill.fee_asset, "qty": fee}],
        }

    def past(self, fill: Fill) -> Report:
        """A trade of a snapshot."""
        try:
            order = self._desk.by_txid(fill.account, id_of("O", fill.order))
        except KrakenError:
            order = None  # no longer kept
        note = self._desk.note(order) if order is not None else None
        return {
            "order_id": id_of("O", fill.order),
            "order_userref": (note.userref if note is not None else None) or 0,
            **self._execution(
                fill, self._names.pairs[fill.instrument], note.word if note else "limit"
            ),
            "order_status": STATUS_WORDS[order.status] if order is not None else "filled",
        }

    def whole(self, order: Order, kind: str, at_ns: int, paid: int) -> Report:
        """Everything of an order: when it is pending, and in a snapshot."""
        pair, note, new = (
            self._names.pairs[order.request.instrument],
            self._desk.note(order),
            order.request,
        )
        pending = kind == "pending_new"
        filled = 0 if pending else order.value
        report: Report = {
            "order_id": id_of("O", order.number),
            "symbol": pair.symbol,
            "order_qty": bare(pair.instrument.lots_to_quantity(order.lots)),
            "cum_cost": bare(pair.cost(filled)),
            "time_in_force": notes.TIME_WORDS.get(new.tif, "GTC"),
            "exec_type": kind,
            "side": "buy" if new.side == BUY else "sell",
            "order_type": note.word,
            **self._tags(order),
            "order_status": "pending_new" if pending else STATUS_WORDS[order.status],
            "fee_usd_equiv": bare(pair.fee(0 if pending else paid)),
            "fee_ccy_pref": "fcib" if "fcib" in note.oflags else "fciq",
            "timestamp": rfc3339(at_ns),
        }
        if not pending:
            report |= self._sums(order, pair) | {"amended": note.amended}
        if note.limit is not None:
            report["limit_price_type"] = note.follow.unit if note.follow else STATIC
            report["limit_price"] = bare(pair.instrument.ticks_to_price(order.ticks))
        stop = pair.instrument.ticks_to_price(new.trigger_ticks)
        report["stop_price"] = bare(stop)
        if note.trigger is not None:
            report["triggers"] = self._triggers(order, note, 0)
            report["trigger"] = note.trigger_by
        report |= self._conditions(order, note, pair)
        return report

    def _conditions(self, order: Order, note: notes.Note, pair: Pair) -> Report:
        """What only some orders have."""
        new = order.request
        found: Report = {}
        if new.flags & POST_ONLY:
            found["post_only"] = True
        if new.flags & REDUCE_ONLY:
            found["reduce_only"] = True
        if new.display:
            found["display_qty"] = bare(pair.instrument.lots_to_quantity(new.display))
        if new.expire_ns:
            found["expire_time"] = rfc3339(new.expire_ns)
        if note.spends:
            found["cash_order_qty"] = bare(note.spends)
        if note.cause:
            found["ord_ref_id"] = id_of("O", note.cause)
        if note.close is not None:
            found["contingent"] = {
                "order_type": note.close.word,
                **_level("trigger_price", pair, note.close.trigger),
                **_level("limit_price", pair, note.close.limit),
            }
        return found

    def triggered(self, order: Order, at_ns: int) -> Report:
        """Its trigger was met."""
        triggers = self._triggers(order, self._desk.note(order), at_ns)
        return {**self.brief(order, "status", at_ns), "triggers": triggers}

    def _triggers(self, order: Order, note: notes.Note, at_ns: int) -> Report:
        pair = self._names.pairs[order.request.instrument]
        level = note.trigger
        found: Report = {"reference": note.trigger_by}
        if level is not None:
            found |= {"price": bare(level.digits), "price_type": level.unit}
        found["status"] = "triggered" if order.working else "untriggered"
        if order.working and at_ns:
            last = self._exchange.markets[pair.instrument.id].book.last
            found["last_price"] = bare(pair.instrument.ticks_to_price(last))
            found["timestamp"] = rfc3339(at_ns)
        return found


def _level(name: str, pair: Pair, level: Level | None) -> Report:
    if level is None:
        return {}
    digits = level.digits if level.sign != "-" else f"-{level.digits}"
    return {name: bare(digits), f"{name}_type": level.unit}
