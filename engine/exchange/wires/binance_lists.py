"""Lists of orders as Binance has them: one-cancels-the-other, one-triggers-the-other, and both.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from engine.exchange.orders import NewOrder, Order
from engine.exchange.wires import binance_views as views
from engine.exchange.wires.binance_orders import (
    Ask,
    annotate,
    answered,
    checked,
    either,
    note_cancel,
    read_order,
)
from engine.exchange.wires.binance_params import Values
from engine.exchange.wires.binance_state import OrderList, State, guarded
from engine.exchange.wires.binance_words import (
    DUPLICATE,
    PRICES_WRONG,
    Listing,
    Problem,
    wrong,
)
from ext.matching import BUY, STOP, TRAIL_BPS

LEG = (
    "{0}ClientOrderId {0}Price {0}StopPrice {0}TrailingDelta {0}TimeInForce {0}IcebergQty "
    "{0}StrategyId {0}StrategyType"
)
COMMON = "symbol! listClientOrderId newOrderRespType selfTradePreventionMode"
OLD_OCO_PARAMS = (
    f"{COMMON} side! quantity! limitClientOrderId price! limitStrategyId limitStrategyType "
    "limitIcebergQty trailingDelta stopClientOrderId stopPrice stopStrategyId stopStrategyType "
    "stopLimitPrice stopIcebergQty stopLimitTimeInForce"
)
OCO_PARAMS = (
    f"{COMMON} side! quantity! aboveType! belowType! {LEG.format('above')} {LEG.format('below')}"
)
WORKING = (
    "workingType! workingSide! workingPrice! workingQuantity! workingClientOrderId "
    "workingIcebergQty workingTimeInForce workingStrategyId workingStrategyType"
)
OTO_PARAMS = (
    f"{COMMON} {WORKING} pendingType! pendingSide! pendingQuantity! {LEG.format('pending')}"
)
OTOCO_PARAMS = (
    f"{COMMON} {WORKING} pendingSide! pendingQuantity! pendingAboveType! pendingBelowType! "
    f"{LEG.format('pendingAbove')} {LEG.format('pendingBelow')}"
)
FIELDS = {
    "ClientOrderId": "newClientOrderId",
    "Type": "type",
    "Side": "side",
    "Quantity": "quantity",
    "Price": "price",
    "StopPrice": "stopPrice",
    "TrailingDelta": "trailingDelta",
    "TimeInForce": "timeInForce",
    "IcebergQty": "icebergQty",
    "StrategyId": "strategyId",
    "StrategyType": "strategyType",
}
STOPS = ("STOP_LOSS", "STOP_LOSS_LIMIT")
WORKING_TYPES = ("LIMIT", "LIMIT_MAKER")


def leg_values(values: Values, leg: str, **more: Any) -> Values:
    """One leg of a list as the values of a single order."""
    found = {plain: values[leg + field] for field, plain in FIELDS.items() if leg + field in values}
    for name in ("symbol", "selfTradePreventionMode"):
        if name in values:
            found[name] = values[name]
    return {**found, **more}


def _old_oco(values: Values) -> tuple[Values, Values]:
    """The deprecated form: its stop leg and its limit leg."""
    shared = {"side": values["side"], "quantity": values["quantity"]}
    kind = "STOP_LOSS_LIMIT" if "stopLimitPrice" in values else "STOP_LOSS"
    stop = leg_values(values, "stop", **shared, type=kind)
    stop.pop("price", None)  # stopPrice is not a price of the leg
    for name, plain in (
        ("stopPrice", "stopPrice"),
        ("trailingDelta", "trailingDelta"),
        ("stopLimitPrice", "price"),
        ("stopLimitTimeInForce", "timeInForce"),
    ):
        if name in values:
            stop[plain] = values[name]
    limit = leg_values(values, "limit", **shared, type="LIMIT_MAKER", price=values["price"])
    return stop, limit


def _check_types(side: str, above: str, below: str) -> None:
    """Which leg may be above and which below; raises Problem."""
    if above == below == "LIMIT_MAKER":
        raise wrong(-1168)
    for kind in (above, below):
        if kind in ("LIMIT", "MARKET"):
            raise wrong(-1158)
    if side == "SELL":
        rules = ((below == "LIMIT_MAKER", -1166), (above in STOPS, -1197))
        take_profit = (below.startswith("TAKE_PROFIT"), -1199)
    else:
        rules = ((above == "LIMIT_MAKER", -1165), (below in STOPS, -1196))
        take_profit = (above.startswith("TAKE_PROFIT"), -1198)
    for broken, code in (*rules, take_profit):
        if broken:
            raise wrong(code)


def _check_prices(legs: Sequence[NewOrder], last: int) -> None:
    """The last price is between the legs; raises Problem."""
    bounds: dict[bool, int] = {}
    for leg in legs:
        if leg.trigger == TRAIL_BPS:
            continue
        stops = leg.trigger == STOP
        bounds[stops] = leg.trigger_ticks if stops or not leg.ticks else leg.ticks
    for stops, ticks in bounds.items():
        above = (legs[0].side == BUY) == stops
        reference = last or bounds.get(not stops, 0)
        if reference and (ticks <= reference if above else ticks >= reference):
            raise Problem(-2010, PRICES_WRONG)


def _place(
    state: State,
    ask: Ask,
    listing: Listing,
    kind: str,
    legs: Sequence[tuple[str, Values]],
    working: bool,
) -> dict[str, Any]:
    """Place a list; with a `working` order, which is the first, the others wait for it."""
    values = ask.values
    problem = state.meter.order_problem(ask.account, len(legs), ask.now_ns)
    if problem is not None:
        raise problem
    name = values.get("listClientOrderId") or state.names.next()
    if any(
        made.client_id == name and made.account == ask.account and not made.done
        for made in state.lists.values()
    ):
        raise Problem(-2010, DUPLICATE)
    new = [read_order(state, listing, one, leg) for leg, one in legs]
    pair = new[1:] if working else new
    if len(pair) > 1:
        if not working:
            _check_prices(pair, state.exchange.markets[listing.id].book.last)
        grouped = [msgspec.structs.replace(one, group=-1) for one in pair]
        new = new[: len(new) - len(pair)] + grouped
    if working:
        new = new[:1] + [msgspec.structs.replace(one, parent=-1) for one in new[1:]]
    checked(state, ask, listing, new, at=1 if working else 0)
    orders = guarded(lambda: state.exchange.place_list(ask.account, new, ask.now_ns))
    state.meter.placed(ask.account, len(legs), ask.now_ns)
    made = state.new_list(ask.account, name, kind, listing, orders, ask.now_ns)
    for order, (_, one) in zip(orders, legs, strict=True):
        annotate(state, order, one)
    form = values.get("newOrderRespType", "RESULT")
    return {
        **views.list_status(state, made, ask.now_ns),
        "orderReports": [answered(state, order, form) for order in orders],
    }


def old_oco(state: State, ask: Ask) -> dict[str, Any]:
    """POST /order/oco, the deprecated form."""
    stop, limit = _old_oco(ask.values)
    listing = state.listing(ask.values["symbol"])
    return _place(state, ask, listing, "OCO", (("stop", stop), ("limit", limit)), False)


def oco(state: State, ask: Ask) -> dict[str, Any]:
    """POST /orderList/oco."""
    values = ask.values
    listing = state.listing(values["symbol"])
    _check_types(values["side"], values["aboveType"], values["belowType"])
    shared = {"side": values["side"], "quantity": values["quantity"]}
    legs = [(leg, leg_values(values, leg, **shared)) for leg in ("above", "below")]
    legs.sort(key=lambda leg: leg[1]["type"] not in STOPS)
    return _place(state, ask, listing, "OCO", legs, False)


def _working(values: Values) -> tuple[str, Values]:
    if values["workingType"] not in WORKING_TYPES:
        raise wrong(-1116)
    return "working", leg_values(values, "working")


def oto(state: State, ask: Ask) -> dict[str, Any]:
    """POST /orderList/oto."""
    listing = state.listing(ask.values["symbol"])
    pending = ("pending", leg_values(ask.values, "pending"))
    return _place(state, ask, listing, "OTO", (_working(ask.values), pending), True)


def otoco(state: State, ask: Ask) -> dict[str, Any]:
    """POST /orderList/otoco."""
    values = ask.values
    listing = state.listing(values["symbol"])
    _check_types(values["pendingSide"], values["pendingAboveType"], values["pendingBelowType"])
    shared = {"side": values["pendingSide"], "quantity": values["pendingQuantity"]}
    legs = [(leg, leg_values(values, leg, **shared)) for leg in ("pendingAbove", "pendingBelow")]
    legs.sort(key=lambda leg: leg[1]["type"] not in STOPS)
    return _place(state, ask, listing, "OTO", (_working(values), *legs), True)


def find_list(state: State, account: str, number: int | None, name: str | None) -> OrderList:
    """A list by its number and its client id, or by one of them; raises Problem."""
    for made in reversed(state.lists.values()):
        if made.account != account or (number is not None and made.number != number):
            continue
        if name is None or made.client_id == name:
            return made
    raise wrong(-2011)


def cancelled_list(
    state: State, made: OrderList, ended: Sequence[Order], cancel_id: str, now_ns: int
) -> dict[str, Any]:
    """The answer to the cancel of a list."""
    return {
        **views.list_status(state, made, now_ns),
        "listStatusType": "ALL_DONE",
        "listOrderStatus": "ALL_DONE",
        "orderReports": [views.cancelled(state, order, cancel_id) for order in ended],
    }


def cancel_list(state: State, ask: Ask) -> dict[str, Any]:
    """DELETE /orderList."""
    values = ask.values
    listing = state.listing(values["symbol"])
    number, name = values.get("orderListId"), values.get("listClientOrderId")
    if number is None and name is None:
        raise either("orderListId", "listClientOrderId")
    made = find_list(state, ask.account, number, name)
    live = [order for order in state.members(made) if order.open]
    if made.listing != listing.id or not live:
        raise wrong(-2011)
    cancel_id = note_cancel(state, live[0], values.get("newClientOrderId"))
    for order in live:
        if order.open:
            guarded(partial(state.exchange.cancel, ask.account, order.number, ask.now_ns))
    return cancelled_list(state, made, live, cancel_id, ask.now_ns)


def cancel_all(state: State, ask: Ask) -> list[dict[str, Any]]:
    """DELETE /openOrders: all of a symbol, the lists each as one."""
    listing = state.listing(ask.values["symbol"])
    live = state.exchange.open_orders(ask.account, listing.id)
    if not live:
        raise wrong(-2011)
    cancel_id = state.names.next()
    for order in live:
        note_cancel(state, order, cancel_id)
    ended = state.exchange.cancel_all(ask.account, listing.id, ask.now_ns)
    answers: list[dict[str, Any]] = []
    lists: dict[int, list[Order]] = {}
    for order in ended:
        made = state.lists.get(state.noted(order.number).list_number)
        if made is None:
            answers.append(views.cancelled(state, order, cancel_id))
        else:
            lists.setdefault(made.number, []).append(order)
    for number, orders in lists.items():
        made = state.lists[number]
        answers.append(cancelled_list(state, made, orders, cancel_id, ask.now_ns))
    return answers
