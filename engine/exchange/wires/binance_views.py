"""Orders, trades and accounts as Binance's answers and events show them.

Answers: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints
Events: https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream
"""

from collections.abc import Sequence
from typing import Any

from engine.exchange.orders import Fill, Order
from engine.exchange.wires.binance_state import Note, OrderList, State
from engine.exchange.wires.binance_words import (
    SIDE_WORDS,
    STP_WORDS,
    TIF_WORDS,
    ZERO,
    Listing,
    decimal,
    ms,
    type_word,
)
from engine.instruments import PPM
from ext.matching import (
    BAND,
    BUY,
    BY_GROUP,
    BY_PARENT,
    LIMIT,
    NO_LIQUIDITY,
    NOT_FILLABLE,
    NOT_FILLED,
    TRAIL_BPS,
)

View = dict[str, Any]


def _head(state: State, order: Order) -> View:
    return {
        "symbol": state.listings[order.request.instrument].native,
        "orderId": order.number,
        "orderListId": state.noted(order.number).list_number,
        "clientOrderId": state.client_id(order),
    }


def limit_price(listing: Listing, order: Order) -> str:
    """Zero for an order without one."""
    return listing.price(order.ticks) if order.request.kind == LIMIT else ZERO


def _body(state: State, order: Order) -> View:
    listing = state.listings[order.request.instrument]
    return {
        "price": limit_price(listing, order),
        "origQty": listing.quantity(order.lots),
        "executedQty": listing.quantity(order.filled),
        "origQuoteOrderQty": quote_quantity(listing, order),
        "cummulativeQuoteQty": listing.value(order.value),
        "status": state.status(order),
        "timeInForce": TIF_WORDS.get(order.request.tif, "GTC"),
        "type": type_word(order.request),
        "side": SIDE_WORDS[order.request.side],
    }


def quote_quantity(listing: Listing, order: Order) -> str:
    """What a market order was to spend or bring, if it said so."""
    return decimal(order.request.quote_units, listing.instrument.quote_decimals)


def stop_price(listing: Listing, order: Order) -> str:
    """Zero for an order without one."""
    return listing.price(order.request.trigger_ticks)


def _conditional(state: State, order: Order, always: bool) -> View:
    """Fields that are there only where they mean something; in queries two always are."""
    listing = state.listings[order.request.instrument]
    request, note = order.request, state.noted(order.number)
    found: View = {}
    if always or request.trigger_ticks:
        found["stopPrice"] = stop_price(listing, order)
    if always or request.display:
        found["icebergQty"] = listing.quantity(request.display)
    if request.trigger == TRAIL_BPS:
        found["trailingDelta"] = request.offset
        found["trailingTime"] = ms(order.created_ns)
    if note.strategy_id >= 0:
        found["strategyId"] = note.strategy_id
    if note.strategy_type >= 0:
        found["strategyType"] = note.strategy_type
    if note.prevented:
        found["preventedQuantity"] = listing.quantity(note.prevented)
    return found


def working_time(state: State, order: Order) -> int:
    """Since when it is on the book, in ms; -1 while it is not."""
    if not order.working:
        return -1
    noted = state.noted(order.number).working_ns
    return ms(order.created_ns if noted < 0 else noted)


def stp_word(order: Order) -> str:
    """The self-trade prevention mode."""
    return STP_WORDS.get(order.request.stp, "NONE")


def acknowledged(state: State, order: Order) -> View:
    """newOrderRespType ACK."""
    return {**_head(state, order), "transactTime": ms(order.created_ns)}


def placed(state: State, order: Order) -> View:
    """newOrderRespType RESULT."""
    return {
        **acknowledged(state, order),
        **_body(state, order),
        **_conditional(state, order, always=False),
        "workingTime": working_time(state, order),
        "selfTradePreventionMode": stp_word(order),
    }


def placed_full(state: State, order: Order, fills: Sequence[Fill]) -> View:
    """newOrderRespType FULL."""
    listing = state.listings[order.request.instrument]
    view = placed(state, order)
    view["fills"] = [
        {
            "price": listing.price(fill.ticks),
            "qty": listing.quantity(fill.lots),
            "commission": commission(listing, fill),
            "commissionAsset": fill.fee_asset,
            "tradeId": fill.trade,
        }
        for fill in fills
    ]
    return view


def commission(listing: Listing, fill: Fill) -> str:
    """The fee of a fill, in its asset."""
    instrument = listing.instrument
    in_base = fill.fee_asset == instrument.base
    return decimal(fill.fee, instrument.base_decimals if in_base else instrument.quote_decimals)


def cancelled(state: State, order: Order, cancel_id: str) -> View:
    """The answer to a cancel, whose own client id comes first."""
    head = _head(state, order)
    return {
        "symbol": head["symbol"],
        "origClientOrderId": head["clientOrderId"],
        "orderId": order.number,
        "orderListId": head["orderListId"],
        "clientOrderId": cancel_id,
        "transactTime": ms(order.updated_ns),
        **_body(state, order),
        **_conditional(state, order, always=False),
        "selfTradePreventionMode": stp_word(order),
    }


def queried(state: State, order: Order) -> View:
    """The answer to a question for an order."""
    return {
        **_head(state, order),
        **_body(state, order),
        **_conditional(state, order, always=True),
        "time": ms(order.created_ns),
        "updateTime": ms(order.updated_ns),
        "isWorking": order.working,
        "workingTime": working_time(state, order),
        "selfTradePreventionMode": stp_word(order),
    }


def my_trade(state: State, fill: Fill) -> View:
    """A row of myTrades."""
    listing = state.listings[fill.instrument]
    return {
        "symbol": listing.native,
        "id": fill.trade,
        "orderId": fill.order,
        "orderListId": state.noted(fill.order).list_number,
        "price": listing.price(fill.ticks),
        "qty": listing.quantity(fill.lots),
        "quoteQty": listing.value(fill.ticks * fill.lots),
        "commission": commission(listing, fill),
        "commissionAsset": fill.fee_asset,
        "time": ms(fill.time_ns),
        "isBuyer": fill.side == BUY,
        "isMaker": fill.maker,
        "isBestMatch": True,
    }


def rate(ppm: int) -> str:
    """A fee rate of millionths."""
    return decimal(ppm, 6)


def list_status(state: State, made: OrderList, now_ns: int) -> View:
    """A list of orders."""
    native = state.listings[made.listing].native
    done = "ALL_DONE" if made.done else ""
    return {
        "orderListId": made.number,
        "contingencyType": made.kind,
        "listStatusType": done or "EXEC_STARTED",
        "listOrderStatus": done or "EXECUTING",
        "listClientOrderId": made.client_id,
        "transactionTime": ms(now_ns),
        "symbol": native,
        "orders": [
            {
                "symbol": native,
                "orderId": order.number,
                "clientOrderId": state.client_id(order),
            }
            for order in state.members(made)
        ],
    }


def list_event(state: State, made: OrderList, now_ns: int, time_ns: int) -> View:
    """listStatus: a list began, or is done."""
    view = list_status(state, made, time_ns)
    return {
        "e": "listStatus",
        "E": ms(now_ns),
        "s": view["symbol"],
        "g": made.number,
        "c": made.kind,
        "l": view["listStatusType"],
        "L": view["listOrderStatus"],
        "r": "NONE",
        "C": made.client_id,
        "T": view["transactionTime"],
        "O": [
            {"s": row["symbol"], "i": row["orderId"], "c": row["clientOrderId"]}
            for row in view["orders"]
        ],
    }


def execution_type(state: State, order: Order, fill: Fill | None, note: Note) -> str:
    """What happened to an order, by what was told of it before."""
    if fill is not None:
        return "TRADE"
    if order.open:
        if not note.told or order.working != note.working:
            return "NEW"
        return "TRADE_PREVENTION" if note.prevented else "REPLACED"
    status = state.status(order)
    if status == "EXPIRED_IN_MATCH":
        return "TRADE_PREVENTION"
    return status if status in ("CANCELED", "EXPIRED", "REJECTED") else "NEW"


def execution_report(
    state: State, order: Order, fill: Fill | None, now_ns: int, event: int
) -> View:
    """executionReport: something happened to an order."""
    listing = state.listings[order.request.instrument]
    note = state.noted(order.number)
    kind = execution_type(state, order, fill, note)
    original = state.client_id(order)
    by_id = kind == "CANCELED" and note.cancel_id
    body = _body(state, order)
    working = working_time(state, order)
    view = {
        "e": "executionReport",
        "E": ms(now_ns),
        "s": listing.native,
        "c": note.cancel_id if by_id else original,
        "S": body["side"],
        "o": body["type"],
        "f": body["timeInForce"],
        "q": body["origQty"],
        "p": body["price"],
        "P": stop_price(listing, order),
        "F": listing.quantity(order.request.display),
        "g": note.list_number,
        "C": original if by_id else "",
        "x": kind,
        "X": body["status"],
        "r": "NONE",
        "i": order.number,
        "l": listing.quantity(fill.lots) if fill else ZERO,
        "z": body["executedQty"],
        "L": listing.price(fill.ticks) if fill else ZERO,
        "n": commission(listing, fill) if fill else "0",
        "N": fill.fee_asset if fill else None,
        "T": ms(fill.time_ns if fill else order.updated_ns),
        "t": fill.trade if fill else -1,
        "I": event,
        "w": order.working and order.open,
        "m": bool(fill and fill.maker),
        "M": fill is not None,
        "O": ms(order.created_ns),
        "Z": body["cummulativeQuoteQty"],
        "Y": listing.value(fill.ticks * fill.lots) if fill else ZERO,
        "Q": body["origQuoteOrderQty"],
    }
    if working >= 0:
        view["W"] = working
    view["V"] = stp_word(order)
    return {**view, **_report_extras(listing, order, note, kind)}


EXPIRIES = {
    BAND: "EXECUTION_RULE_PRICE_RANGE_EXCEEDED",
    BY_GROUP: "OCO_TRIGGER",
    BY_PARENT: "OTO_PHASE_ONE_EXPIRED",
    NOT_FILLABLE: "UNFILLED_FOK_ORDER_EXPIRED",
    NOT_FILLED: "UNFILLED_IOC_QUANTITY_EXPIRED",
    NO_LIQUIDITY: "INSUFFICIENT_LIQUIDITY",
}


def _report_extras(listing: Listing, order: Order, note: Note, kind: str) -> View:
    found: View = {}
    if kind == "EXPIRED":
        found["eR"] = EXPIRIES.get(order.reason, "EXCHANGE_CANCELED")
    if order.request.trigger == TRAIL_BPS:
        found["d"] = order.request.offset
        found["D"] = ms(order.created_ns)
    if note.strategy_id >= 0:
        found["j"] = note.strategy_id
    if note.strategy_type >= 0:
        found["J"] = note.strategy_type
    if note.prevented:
        found["A"] = listing.quantity(note.prevented)
        found["B"] = found["A"]
    return found


def account_rates(state: State, account: str) -> tuple[int, int]:
    """Maker's and taker's fee in millionths: those of the first instrument."""
    listing = next(iter(state.listings.values()))
    maker, taker = state.exchange.accounts.rates(account, listing.instrument)
    return int(maker), int(taker)


def basis_points(ppm: int) -> int:
    """As the old whole number: 10 is 0.1 %."""
    return ppm * 10_000 // PPM
