"""How the simulated exchange's own protocol shows orders, fills, trades and books."""

from typing import Any

from engine.exchange.exchange import Exchange
from engine.exchange.orders import DepthChange, Fill, Order, PublicTrade
from engine.exchange.wires.simulated_words import STATES
from engine.messages import BUY
from engine.units import format_decimal


def side_word(side: int) -> str:
    """`buy` or `sell`."""
    return "buy" if side == BUY else "sell"


def order_view(exchange: Exchange, order: Order) -> dict[str, Any]:
    """An order: its names, where it stands, and what was ordered."""
    instrument = exchange.instruments[order.request.instrument]
    return {
        "client_id": order.request.client_id,
        "symbol": instrument.symbol,
        "state": STATES[order.status],
        "filled": instrument.lots_to_quantity(order.filled),
        "number": order.number,
        "side": side_word(order.request.side),
        "price": instrument.ticks_to_price(order.ticks),
        "qty": instrument.lots_to_quantity(order.lots),
    }


def update_view(exchange: Exchange, change: DepthChange) -> dict[str, Any]:
    """Changed levels of a book."""
    return book_view(exchange, "update", change)


def book_view(exchange: Exchange, kind: str, change: DepthChange) -> dict[str, Any]:
    """Levels of a book, absolute; `kind` says whether they are all of it."""
    instrument = exchange.instruments[change.instrument]
    sides: dict[int, list[tuple[str, str]]] = {1: [], -1: []}
    for side, ticks, lots in change.levels:
        quantity = instrument.lots_to_quantity(lots) if lots else "0"
        sides[side].append((instrument.ticks_to_price(ticks), quantity))
    return {
        "type": kind,
        "symbol": instrument.symbol,
        "seq": change.last,
        "bids": sides[1],
        "asks": sides[-1],
        "ts": change.time_ns,
        "simulated": True,
    }


def trade_view(exchange: Exchange, trade: PublicTrade) -> dict[str, Any]:
    """A public trade; the side is the taker's."""
    instrument = exchange.instruments[trade.instrument]
    return {
        "type": "trade",
        "symbol": instrument.symbol,
        "id": str(trade.number),
        "side": side_word(trade.side),
        "price": instrument.ticks_to_price(trade.ticks),
        "qty": instrument.lots_to_quantity(trade.lots),
        "ts": trade.time_ns,
    }


def fill_view(exchange: Exchange, fill: Fill, number: int) -> dict[str, Any]:
    """An account's fill, the `number`th of them."""
    instrument = exchange.instruments[fill.instrument]
    return {
        "type": "fill",
        "fill_seq": number,
        "client_id": fill.client_id,
        "symbol": instrument.symbol,
        "trade_id": f"{exchange.venue}-{fill.number}",
        "side": side_word(fill.side),
        "price": instrument.ticks_to_price(fill.ticks),
        "qty": instrument.lots_to_quantity(fill.lots),
        "fee": format_decimal(fill.fee, instrument.quote_decimals),
        "fee_asset": fill.fee_asset,
        "maker": fill.maker,
        "ts": fill.time_ns,
    }


def error_view(op: str, client_id: str, reason: str) -> dict[str, Any]:
    """A request that changed nothing, and why."""
    return {"type": "error", "op": op, "client_id": client_id, "reason": reason}
