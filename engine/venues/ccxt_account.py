"""What ccxt's structures say of our account: orders, fills, balances, transfers.

Orders of others may be off our grid, which is rounded; a fill that is off it is an error, for then
our grid is wrong. Own trades mostly bear the venue's number of their order and not our id, so that is
kept of every order that is seen (bounded).
"""

from collections.abc import Sequence
from typing import overload

import msgspec

from engine.messages import BUY, SELL, OrderState, Reason
from engine.orders.identity import read
from engine.venues.ccxt_calls import SeenBalance, SeenOrder, SeenTrade, SeenTransfer
from engine.venues.handler import Malformed
from engine.venues.holdings import Holdings, lots_seen, ticks_seen
from engine.venues.trading import (
    BalancesSeen,
    CallFailed,
    Effect,
    FillSeen,
    IdRules,
    OrderMissing,
    OrderSeen,
    PrivateNews,
    Request,
    TransferSeen,
)

MS = 1_000_000
ORDERS_KEPT = 20_000
STATES = {
    "canceled": OrderState.CANCELLED,
    "cancelled": OrderState.CANCELLED,
    "canceling": OrderState.CANCELLING,
    "expired": OrderState.EXPIRED,
    "rejected": OrderState.REJECTED,
}
TRADED = frozenset({"trade", "fee"})
"""Kinds of entries of a ledger that fills tell of."""
REASONS = {OrderState.EXPIRED: Reason.EXPIRED, OrderState.REJECTED: Reason.VENUE_REJECTED}
OPEN = frozenset({None, "open", "new", "pending", "pending_new", "partially_filled"})
"""ccxt's own word is 'open'; the others are exchanges', where ccxt passes them on."""
SIDES = {"buy": BUY, "sell": SELL}
ENDED = frozenset(
    {OrderState.CANCELLED, OrderState.FILLED, OrderState.EXPIRED, OrderState.REJECTED}
)
_ORDER = msgspec.json.Decoder(SeenOrder).decode
_ORDERS = msgspec.json.Decoder(list[SeenOrder]).decode
_TRADES = msgspec.json.Decoder(list[SeenTrade]).decode
_TRANSFERS = msgspec.json.Decoder(list[SeenTransfer]).decode
_BALANCES = msgspec.json.Decoder(SeenBalance).decode


class Known(msgspec.Struct, array_like=True):
    """What was seen of an order before, for structures that leave it out. `name` is our id of it."""

    name: str
    instrument: int
    side: int
    ticks: int
    lots: int
    filled_lots: int


_KNOWN = msgspec.msgpack.Decoder(dict[str, Known]).decode


class CcxtAccount:
    """Our account at one exchange, as far as ccxt's structures tell of it."""

    def __init__(self, exchange: str, ours: Holdings, ids: IdRules) -> None:
        self._exchange = exchange
        self._ours = ours
        self._ids = ids
        self._known: dict[str, Known] = {}  # by the exchange's number of the order

    # --- orders ----------------------------------------------------------------------------------

    def orders(self, result: msgspec.Raw) -> tuple[OrderSeen, ...]:
        """Orders of a list; of one without a market that was never seen, nothing can be said."""
        found = (self._order(order) for order in _ORDERS(result))
        return tuple(order for order in found if order is not None)

    def created(
        self, request: Request, asked: Sequence[str | int | None], result: msgspec.Raw
    ) -> list[PrivateNews]:
        """The answer to a create: what it leaves out is as it was `asked` for, and nothing is filled."""
        order = _ORDER(result)
        _, _, side, amount, price = (None if arg is None else str(arg) for arg in asked)
        order = msgspec.structs.replace(
            order,
            side=order.side or side,
            amount=order.amount or amount,
            price=order.price or price,
        )
        if not order.id:
            return [CallFailed(Effect.POSSIBLE, Reason.VENUE_REJECTED, "no order in the answer")]
        seen = self._order(order, request.client_order_id, request.instrument)
        if order.status is None or (order.status == "closed" and order.filled is None):
            state = OrderState.PARTLY_FILLED if seen.filled_lots else OrderState.ACKNOWLEDGED
            seen = seen._replace(state=state, reason=Reason.NONE)
        return [seen]

    def ended(self, result: msgspec.Raw) -> list[PrivateNews]:
        """The answer to a cancel, where it says how the order ended and what was filled."""
        order = _ORDER(result)
        if order.filled is None or order.status is None:
            return []
        seen = self._order(order)
        return [seen] if seen and seen.state in ENDED and seen.client_order_id else []

    def found(self, request: Request, results: Sequence[msgspec.Raw]) -> list[PrivateNews]:
        """An order that was asked for, alone or in lists; missing where no list has it."""
        name = request.client_order_id
        for result in results:
            if bytes(result)[:1] != b"[":
                order = _ORDER(result)
                if not order.id:
                    raise Malformed("an order without id")
                return [self._order(order, name, request.instrument)]
            listed = self.named(name, self.orders(result))
            if listed is not None:
                return [listed]
        return [OrderMissing(name, 0)]

    @staticmethod
    def named(name: str, orders: Sequence[OrderSeen]) -> OrderSeen | None:
        """The order of our id in a list."""
        return next((order for order in orders if order.client_order_id == name), None)

    @overload
    def _order(self, order: SeenOrder, asked: str, asked_of: int) -> OrderSeen: ...

    @overload
    def _order(self, order: SeenOrder) -> OrderSeen | None: ...

    def _order(self, order: SeenOrder, asked: str = "", asked_of: int = -1) -> OrderSeen | None:
        """`asked` and `asked_of` are the id and instrument of the order that was asked for."""
        venue_id = order.id or ""
        known = self._known.get(venue_id) or Known(asked, asked_of, 0, 0, 0, 0)
        name = read(order.clientOrderId, self._ids) if order.clientOrderId else ""
        name = asked or name or known.name
        instrument = self._ours.by_native.get(order.symbol or "")
        if instrument is None and order.symbol is None and known.instrument >= 0:
            instrument = self._ours.by_id[known.instrument]
        side = SIDES.get(order.side or "", known.side)
        venue_ns = (order.lastUpdateTimestamp or order.timestamp or 0) * MS
        if instrument is None:
            if order.symbol is None:
                return None
            state = _state(order.status, 0, 0)
            return OrderSeen(name, venue_id, -1, side, 0, 0, 0, state, Reason.NONE, venue_ns)
        ticks = ticks_seen(instrument, order.price) if order.price else known.ticks
        lots = lots_seen(instrument, order.amount) if order.amount else known.lots
        filled = lots_seen(instrument, order.filled) if order.filled else known.filled_lots
        if order.status == "closed" and order.filled is None and not asked:
            raise Malformed(f"order {venue_id}: closed, and no word of what was filled")
        state = _state(order.status, lots, filled)
        reason, number = REASONS.get(state, Reason.NONE), instrument.id
        if venue_id:
            self._remember(venue_id, Known(name, number, side, ticks, lots, filled))
        return OrderSeen(name, venue_id, number, side, ticks, lots, filled, state, reason, venue_ns)

    def _remember(self, venue_order_id: str, known: Known) -> None:
        """Orders that are not seen for long are forgotten first."""
        orders = self._known
        if orders.pop(venue_order_id, None) is None and len(orders) == ORDERS_KEPT:
            del orders[next(iter(orders))]
        orders[venue_order_id] = known

    # --- fills -----------------------------------------------------------------------------------

    def fills(self, result: msgspec.Raw) -> tuple[tuple[FillSeen, ...], int]:
        """The fills of our instruments, and how many trades there were in all."""
        trades = _TRADES(result)
        fills = (self._fill(trade) for trade in trades)
        return tuple(fill for fill in fills if fill is not None), len(trades)

    def _fill(self, trade: SeenTrade) -> FillSeen | None:
        instrument = self._ours.by_native.get(trade.symbol or "")
        if instrument is None:
            return None
        if not trade.id or trade.price is None or trade.amount is None or trade.side not in SIDES:
            raise Malformed(f"a trade without id, side, price or amount: {trade}")
        venue_id = trade.order or ""
        name = read(trade.clientOrderId, self._ids) if trade.clientOrderId else ""
        if not name and venue_id in self._known:
            name = self._known[venue_id].name
        fee = trade.fee
        asset = (fee and fee.currency) or instrument.quote
        paid = self._ours.fee(fee.cost, asset) if fee and fee.cost else 0
        return FillSeen(
            name,
            venue_id,
            instrument.id,
            SIDES[trade.side],
            instrument.price_to_ticks(trade.price),
            instrument.quantity_to_lots(trade.amount),
            paid,
            asset,
            f"{trade.symbol}-{trade.id}",  # exchanges number trades by symbol
            trade.takerOrMaker == "maker",
            (trade.timestamp or 0) * MS,
        )

    # --- money -----------------------------------------------------------------------------------

    def balances(self, result: msgspec.Raw) -> BalancesSeen:
        """What is held of our assets; one that is not told is not held, unless none is."""
        seen = _BALANCES(result)
        rows = []
        for asset in self._ours.assets:
            total, free = seen.total.get(asset), seen.free.get(asset)
            if total is not None:
                held = self._ours.held(asset, total)
                rows.append((asset, held, held if free is None else self._ours.held(asset, free)))
        return BalancesSeen(tuple(rows), (seen.timestamp or 0) * MS)

    def transfers(self, results: Sequence[msgspec.Raw]) -> list[PrivateNews]:
        """Deposits and withdrawals that were done, and what else a ledger has that is no trade."""
        news: list[PrivateNews] = []
        for result in results:
            news += (seen for each in _TRANSFERS(result) if (seen := self._transfer(each)))
        return news

    def _transfer(self, item: SeenTransfer) -> TransferSeen | None:
        asset = item.currency or ""
        kind = item.type or "other"
        done = item.status in (None, "ok")
        if asset not in self._ours.assets or not item.id or not item.amount or not done:
            return None
        if kind in TRADED:
            return None
        amount = abs(self._ours.held(asset, item.amount))
        went = item.direction == "out" or kind == "withdrawal"
        fee = item.fee
        if fee and fee.cost and fee.currency in (None, asset):
            paid = abs(self._ours.fee(fee.cost, asset))
            amount += paid if went else -paid
        return TransferSeen(
            asset, -amount if went else amount, item.id, kind, (item.timestamp or 0) * MS
        )

    # --- state -----------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """The orders that were seen."""
        return msgspec.msgpack.encode(self._known)

    def restore(self, data: bytes) -> None:
        """Become what `snapshot` gave."""
        self._known = _KNOWN(data) if data else {}


def _state(status: str | None, lots: int, filled: int) -> OrderState:
    """The state that ccxt's word and what was filled say; raises Malformed for another word."""
    if status == "closed":
        return OrderState.FILLED if filled >= lots else OrderState.CANCELLED
    if status in STATES:
        return STATES[status]
    if status not in OPEN:
        raise Malformed(f"an order's status {status!r}")
    return OrderState.PARTLY_FILLED if filled else OrderState.ACKNOWLEDGED
