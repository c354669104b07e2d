"""Placing, testing, cancelling and replacing single orders as Binance does.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints
"""

from typing import Any, NamedTuple

from engine.exchange.orders import Fill, NewOrder, Order, Status
from engine.exchange.wires import binance_filters as filters
from engine.exchange.wires import binance_views as views
from engine.exchange.wires.binance_params import Values
from engine.exchange.wires.binance_state import State, guarded
from engine.exchange.wires.binance_words import (
    RESTRICTED,
    SIDES,
    STPS,
    TIFS,
    TRAILING,
    TYPES,
    WOULD_TRIGGER,
    Listing,
    Problem,
    wrong,
)
from ext.matching import GTC, LIMIT, STOP, STP_NONE, TRAIL_BPS

STRATEGY_TYPE_MIN = 1_000_000
ORDER_PARAMS = (
    "symbol! side! type! timeInForce quantity quoteOrderQty price newClientOrderId strategyId "
    "strategyType stopPrice trailingDelta icebergQty newOrderRespType selfTradePreventionMode"
)
CANCEL_PARAMS = "symbol! orderId origClientOrderId newClientOrderId cancelRestrictions"
CANCEL_REPLACE_PARAMS = (
    f"{ORDER_PARAMS} cancelReplaceMode! cancelNewClientOrderId cancelOrigClientOrderId "
    "cancelOrderId cancelRestrictions orderRateLimitExceededMode"
)
LIMIT_NEEDS = ("timeInForce", "quantity", "price")
NEEDS = {
    "LIMIT": LIMIT_NEEDS,
    "MARKET": (),
    "LIMIT_MAKER": ("quantity", "price"),
    "STOP_LOSS": ("quantity",),
    "TAKE_PROFIT": ("quantity",),
    "STOP_LOSS_LIMIT": LIMIT_NEEDS,
    "TAKE_PROFIT_LIMIT": LIMIT_NEEDS,
}
TRIGGERS = ("stopPrice", "trailingDelta")
HAS_NOT = {
    "LIMIT": ("quoteOrderQty", *TRIGGERS),
    "MARKET": ("price", "timeInForce", "icebergQty", *TRIGGERS),
    "LIMIT_MAKER": ("timeInForce", "quoteOrderQty", *TRIGGERS),
    "STOP_LOSS": ("price", "timeInForce", "quoteOrderQty", "icebergQty"),
    "TAKE_PROFIT": ("price", "timeInForce", "quoteOrderQty", "icebergQty"),
    "STOP_LOSS_LIMIT": ("quoteOrderQty",),
    "TAKE_PROFIT_LIMIT": ("quoteOrderQty",),
}


class Ask(NamedTuple):
    """A request that may be done: who asks what, and when."""

    account: str
    values: Values
    now_ns: int
    rights: frozenset[str] = frozenset()


def either(first: str, second: str) -> Problem:
    """One of two parameters must be there."""
    return Problem(-1102, f"Param '{first}' or '{second}' must be sent, but both were empty/null!")


def check_fields(values: Values, leg: str = "") -> None:
    """A type's fields are there and no others; raises Problem naming the field of its leg."""

    def name(field: str) -> str:
        return leg + field[0].upper() + field[1:] if leg else field

    kind = values["type"]
    for field in NEEDS[kind]:
        if field not in values:
            raise wrong(-1102, name(field))
    for field in HAS_NOT[kind]:
        if field in values:
            raise wrong(-1106, name(field))
    if kind == "MARKET":
        if "quantity" in values and "quoteOrderQty" in values:
            raise wrong(-1128)
        if "quantity" not in values and "quoteOrderQty" not in values:
            raise either(name("quantity"), name("quoteOrderQty"))
    if TYPES[kind][1] and not any(field in values for field in TRIGGERS):
        raise either(name("stopPrice"), name("trailingDelta"))
    if "icebergQty" in values and values.get("timeInForce", "GTC") != "GTC":
        raise wrong(-1160, name("icebergQty"), name("timeInForce")) if leg else wrong(-1014)
    if values.get("strategyType", STRATEGY_TYPE_MIN) < STRATEGY_TYPE_MIN:
        raise wrong(-1134)


def read_order(state: State, listing: Listing, values: Values, leg: str = "") -> NewOrder:
    """An order of a request or of a leg, its grid and size checked; raises Problem."""
    check_fields(values, leg)
    instrument = listing.instrument
    kind, trigger, flags = TYPES[values["type"]]
    ticks = trigger_ticks = lots = display = units = 0
    if "price" in values:
        ticks = filters.price_ticks(instrument, "price", values["price"])
    if "stopPrice" in values:
        trigger_ticks = filters.price_ticks(instrument, "stopPrice", values["stopPrice"])
    if "quantity" in values:
        lots = filters.quantity_lots(instrument, "quantity", values["quantity"])
    if "quoteOrderQty" in values:
        units = filters.quote_units(instrument, values["quoteOrderQty"])
    if "icebergQty" in values:
        display = filters.quantity_lots(instrument, "icebergQty", values["icebergQty"])
        if display > lots:
            raise Problem(-2010, "IcebergQty exceeds QTY.")
    offset = values.get("trailingDelta", 0)
    if "trailingDelta" in values:
        if trigger != STOP or trigger_ticks:
            raise Problem(-2010, TRAILING)  # the matching has trailing stops, without activation
        trigger = TRAIL_BPS
    mode = values.get("selfTradePreventionMode", "NONE")
    if mode not in STPS:
        raise wrong(-1130, "selfTradePreventionMode")
    return NewOrder(
        instrument=listing.id,
        side=SIDES[values["side"]],
        kind=kind,
        lots=lots,
        ticks=ticks,
        client_id=values.get("newClientOrderId") or state.names.next(),
        tif=TIFS[values["timeInForce"]] if kind == LIMIT and "timeInForce" in values else GTC,
        flags=flags,
        stp=STPS.get(mode, STP_NONE),
        trigger=trigger,
        trigger_ticks=trigger_ticks,
        offset=offset,
        display=display,
        quote_units=units,
    )


def average(state: State, listing: Listing, now_ns: int) -> filters.Average:
    """The average price of the last minutes; of the last trade where there were none."""
    market = state.exchange.markets[listing.id]
    since = now_ns - filters.AVERAGE_MINUTES * filters.MINUTE_NS
    candles = market.candles(filters.MINUTE_NS, since, now_ns, filters.AVERAGE_MINUTES + 1)
    lots = sum(candle.lots for candle in candles)
    if lots:
        return filters.Average(sum(candle.value for candle in candles), lots)
    last = market.book.last
    return filters.Average(last, 1 if last else 0)


def checked(state: State, ask: Ask, listing: Listing, new: list[NewOrder], at: int = 0) -> None:
    """Filters of the symbol, and stops that would trigger at once; raises Problem.

    Orders from `at` on wait for others of their list: their triggers are not looked at yet.
    """
    middle = average(state, listing, ask.now_ns)
    for one in new:
        filters.check_order(listing.instrument, one, middle)
    filters.check_counts(new, state.exchange.open_orders(ask.account, listing.id))
    last = state.exchange.markets[listing.id].book.last
    for one in new[: at or len(new)]:
        if filters.would_trigger(one, last):
            raise Problem(-2010, WOULD_TRIGGER)


def answered(state: State, order: Order, kind: str) -> dict[str, Any]:
    """An order just placed, in the form of a newOrderRespType."""
    if kind == "ACK":
        return views.acknowledged(state, order)
    if kind == "RESULT":
        return views.placed(state, order)
    fills: list[Fill] = []
    if order.filled:
        fills = state.exchange.fills(order.account, order.request.instrument, state.last_fill)
    return views.placed_full(state, order, [fill for fill in fills if fill.order == order.number])


def response_kind(values: Values) -> str:
    """The newOrderRespType that is asked for, or the type's own."""
    full = values["type"] in ("MARKET", "LIMIT")
    return str(values.get("newOrderRespType") or ("FULL" if full else "ACK"))


def annotate(state: State, order: Order, values: Values) -> None:
    """Keep what the exchange does not."""
    if "strategyId" in values or "strategyType" in values:
        note = state.note(order.number)
        note.strategy_id = values.get("strategyId", -1)
        note.strategy_type = values.get("strategyType", -1)


def place(state: State, ask: Ask) -> dict[str, Any]:
    """POST /order."""
    listing = state.listing(ask.values["symbol"])
    problem = state.meter.order_problem(ask.account, 1, ask.now_ns)
    if problem is not None:
        raise problem
    return _place(state, ask, listing, ask.values)


def _place(state: State, ask: Ask, listing: Listing, values: Values) -> dict[str, Any]:
    new = read_order(state, listing, values)
    checked(state, ask, listing, [new])
    order = guarded(lambda: state.exchange.place(ask.account, new, ask.now_ns))
    state.meter.placed(ask.account, 1, ask.now_ns)
    annotate(state, order, values)
    return answered(state, order, response_kind(values))


def test(state: State, ask: Ask) -> dict[str, Any]:
    """POST /order/test: every check, and nothing is done."""
    listing = state.listing(ask.values["symbol"])
    new = read_order(state, listing, ask.values)
    checked(state, ask, listing, [new])
    guarded(lambda: state.exchange.test(ask.account, new, ask.now_ns))
    if not ask.values.get("computeCommissionRates"):
        return {}
    maker, taker = state.exchange.accounts.rates(ask.account, listing.instrument)
    return {
        "standardCommissionForOrder": {"maker": views.rate(maker), "taker": views.rate(taker)},
        "taxCommissionForOrder": {"maker": views.rate(0), "taker": views.rate(0)},
        "discount": {
            "enabledForAccount": False,
            "enabledForSymbol": False,
            "discountAsset": "BNB",
            "discount": views.rate(0),
        },
    }


def find_order(
    state: State, ask: Ask, listing: Listing, unknown: int, cancel: bool = False
) -> Order:
    """The order that a request names; raises Problem."""
    by_number, by_name = "orderId", "origClientOrderId"
    if cancel:
        by_number, by_name = "cancelOrderId", "cancelOrigClientOrderId"
    number, client_id = ask.values.get(by_number), ask.values.get(by_name)
    if number is None and client_id is None:
        raise either(by_name, by_number)
    return state.resolve(ask.account, listing, number, client_id, unknown)


def cancel_one(state: State, ask: Ask, order: Order, cancel_id: str | None) -> Order:
    """Take an order out, with the list that it is in; raises Problem."""
    if not order.open:
        raise wrong(-2011)
    restriction = ask.values.get("cancelRestrictions")
    partly = order.status is Status.PARTLY_FILLED
    if restriction == ("ONLY_NEW" if partly else "ONLY_PARTIALLY_FILLED"):
        raise Problem(-2011, RESTRICTED)
    first = order
    if order.request.parent:
        first = state.find(ask.account, order.request.parent) or order
        first = first if first.open else order
    note_cancel(state, order, cancel_id)
    guarded(lambda: state.exchange.cancel(ask.account, first.number, ask.now_ns))
    return state.find(ask.account, order.number) or order


def note_cancel(state: State, order: Order, cancel_id: str | None) -> str:
    """The cancel's own id for an order and all of its list."""
    given = cancel_id or state.names.next()
    made = state.lists.get(state.noted(order.number).list_number)
    for number in made.orders if made else (order.number,):
        state.note(number).cancel_id = given
    return given


def cancel(state: State, ask: Ask) -> dict[str, Any]:
    """DELETE /order."""
    listing = state.listing(ask.values["symbol"])
    order = find_order(state, ask, listing, -2011)
    ended = cancel_one(state, ask, order, ask.values.get("newClientOrderId"))
    return views.cancelled(state, ended, state.noted(ended.number).cancel_id)


def cancel_replace(state: State, ask: Ask) -> dict[str, Any]:
    """POST /order/cancelReplace: the new order is looked at before anything is cancelled."""
    values = ask.values
    listing = state.listing(values["symbol"])
    if "cancelOrderId" not in values and "cancelOrigClientOrderId" not in values:
        raise either("cancelOrigClientOrderId", "cancelOrderId")
    beyond = state.meter.order_problem(ask.account, 1, ask.now_ns)
    if beyond is not None and values.get("orderRateLimitExceededMode") != "CANCEL_ONLY":
        raise beyond
    checked_new = read_order(state, listing, values)
    filters.check_order(listing.instrument, checked_new, average(state, listing, ask.now_ns))
    cancel_view, cancel_problem = None, None
    try:
        order = find_order(state, ask, listing, -2011, cancel=True)
        ended = cancel_one(state, ask, order, values.get("cancelNewClientOrderId"))
        cancel_view = views.cancelled(state, ended, state.noted(ended.number).cancel_id)
    except Problem as problem:
        cancel_problem = problem
    new_view, new_problem, attempted = None, beyond, False
    if beyond is None and (not cancel_problem or values["cancelReplaceMode"] == "ALLOW_FAILURE"):
        attempted = True
        try:
            new_view = _place(state, ask, listing, values)
        except Problem as problem:
            new_problem = problem
    if not attempted and beyond is None:
        state.meter.placed(ask.account, 1, ask.now_ns)
    results = {
        "cancelResult": "FAILURE" if cancel_problem else "SUCCESS",
        "newOrderResult": "NOT_ATTEMPTED" if not attempted and beyond is None else "FAILURE",
        "cancelResponse": cancel_problem.body() if cancel_problem else cancel_view,
        "newOrderResponse": new_problem.body() if new_problem else new_view,
    }
    if new_view is not None:
        results["newOrderResult"] = "SUCCESS"
    if cancel_view is not None and new_view is not None:
        return results
    partly = cancel_view is not None or new_view is not None
    status = 429 if beyond is not None else 409 if partly else 400
    raise Problem(-2021 if partly else -2022, status=status, data=results)
