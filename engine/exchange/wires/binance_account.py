"""What an account may ask of itself: orders, lists, trades, balances, rates, and its data streams.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/account-endpoints
"""

from typing import Any

from engine.exchange.orders import Fill, Order
from engine.exchange.wires import binance_views as views
from engine.exchange.wires.binance_lists import find_list
from engine.exchange.wires.binance_orders import Ask, either, find_order
from engine.exchange.wires.binance_params import Values
from engine.exchange.wires.binance_state import State
from engine.exchange.wires.binance_words import MS, decimal, ms, wrong

DAY_MS = 86_400_000
ROWS = 500
ROWS_MAX = 1_000
Answer = dict[str, Any]


def rows_asked(values: Values) -> int:
    """How many rows a request wants; raises Problem for none."""
    limit = values.get("limit", ROWS)
    if limit < 1:
        raise wrong(-1130, "limit")
    return int(min(limit, ROWS_MAX))


def times_asked(values: Values, hours_max: int = 24) -> tuple[int, int]:
    """From when to when, in ms, both inclusive; raises Problem for more than so many hours."""
    begin, end = values.get("startTime", 0), values.get("endTime", 1 << 62)
    if "startTime" in values and "endTime" in values:
        if end < begin:
            raise wrong(-1128)
        if hours_max and end - begin > hours_max * 3_600_000:
            raise wrong(-1127, hours_max)
    return begin, end


def order_status(state: State, ask: Ask) -> Answer:
    """GET /order."""
    listing = state.listing(ask.values["symbol"])
    return views.queried(state, find_order(state, ask, listing, -2013))


def open_orders(state: State, ask: Ask) -> list[Answer]:
    """GET /openOrders."""
    number = state.listing(ask.values["symbol"]).id if "symbol" in ask.values else None
    return [
        views.queried(state, order)
        for order in state.exchange.open_orders(ask.account, number)
        if order.request.instrument in state.listings
    ]


def all_orders(state: State, ask: Ask) -> list[Answer]:
    """GET /allOrders: from an id or a time on, otherwise the latest."""
    values = ask.values
    listing = state.listing(values["symbol"])
    begin, end = times_asked(values)
    rows = rows_asked(values)
    first = values.get("orderId", 0)
    found: list[Order] = [
        order
        for order in state.exchange.all_orders(ask.account, listing.id)
        if order.number >= first and begin <= ms(order.created_ns) <= end
    ]
    forward = "orderId" in values or "startTime" in values
    found = found[:rows] if forward else found[-rows:]
    return [views.queried(state, order) for order in found]


def my_trades(state: State, ask: Ask) -> list[Answer]:
    """GET /myTrades."""
    values = ask.values
    listing = state.listing(values["symbol"])
    timed = "startTime" in values or "endTime" in values
    if timed and ("fromId" in values or "orderId" in values):
        raise wrong(-1128)
    begin, end = times_asked(values)
    rows = rows_asked(values)
    first, number = values.get("fromId", 0), values.get("orderId")
    found: list[Fill] = [
        fill
        for fill in state.exchange.fills(ask.account, listing.id)
        if fill.trade >= first and begin <= ms(fill.time_ns) <= end and number in (None, fill.order)
    ]
    forward = "fromId" in values or "startTime" in values
    found = found[:rows] if forward else found[-rows:]
    return [views.my_trade(state, fill) for fill in found]


def balances(state: State, account: str, omit_zero: bool) -> list[Answer]:
    """What an account has of each asset."""
    accounts = state.exchange.accounts
    rows = []
    for asset in accounts.assets(account):
        free, locked = accounts.free(account, asset), accounts.locked(account, asset)
        if free or locked or not omit_zero:
            decimals = accounts.decimals[asset]
            rows.append(
                {
                    "asset": asset,
                    "free": decimal(free, decimals),
                    "locked": decimal(locked, decimals),
                }
            )
    return rows


def account_status(state: State, ask: Ask) -> Answer:
    """GET /account."""
    maker, taker = views.account_rates(state, ask.account)
    return {
        "makerCommission": views.basis_points(maker),
        "takerCommission": views.basis_points(taker),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": views.rate(maker),
            "taker": views.rate(taker),
            "buyer": views.rate(0),
            "seller": views.rate(0),
        },
        "canTrade": not state.exchange.accounts.suspended(ask.account),
        "canWithdraw": True,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": ms(state.changed_ns.get(ask.account, 0)),
        "accountType": "SPOT",
        "balances": balances(state, ask.account, ask.values.get("omitZeroBalances", False)),
        "permissions": ["SPOT"],
        "uid": state.exchange.accounts.owner(ask.account),
    }


def commission(state: State, ask: Ask) -> Answer:
    """GET /account/commission."""
    listing = state.listing(ask.values["symbol"])
    maker, taker = state.exchange.accounts.rates(ask.account, listing.instrument)
    none = {"maker": views.rate(0), "taker": views.rate(0)}
    none |= {"buyer": views.rate(0), "seller": views.rate(0)}
    return {
        "symbol": listing.native,
        "standardCommission": {**none, "maker": views.rate(maker), "taker": views.rate(taker)},
        "specialCommission": none,
        "taxCommission": none,
        "discount": {
            "enabledForAccount": False,
            "enabledForSymbol": False,
            "discountAsset": "BNB",
            "discount": views.rate(0),
        },
    }


def order_counts(state: State, ask: Ask) -> list[Answer]:
    """GET /rateLimit/order."""
    return state.meter.order_rows(ask.account, ask.now_ns)


def nothing(state: State, ask: Ask) -> list[Answer]:
    """What this exchange has none of: prevented matches, allocations."""
    if "symbol" in ask.values:
        state.listing(ask.values["symbol"])
    return []


# --- lists ------------------------------------------------------------------------------------


def list_query(state: State, ask: Ask) -> Answer:
    """GET /orderList."""
    number, name = ask.values.get("orderListId"), ask.values.get("origClientOrderId")
    if number is None and name is None:
        raise either("orderListId", "origClientOrderId")
    made = find_list(state, ask.account, number, name)
    return views.list_status(state, made, made.time_ns)


def all_lists(state: State, ask: Ask) -> list[Answer]:
    """GET /allOrderList."""
    values = ask.values
    if "fromId" in values and ("startTime" in values or "endTime" in values):
        raise wrong(-1128)
    begin, end = times_asked(values)
    found = [
        made
        for made in state.lists.values()
        if made.account == ask.account
        and made.number >= values.get("fromId", 0)
        and begin <= ms(made.time_ns) <= end
    ]
    return [views.list_status(state, made, made.time_ns) for made in found[-rows_asked(values) :]]


def open_lists(state: State, ask: Ask) -> list[Answer]:
    """GET /openOrderList."""
    return [
        views.list_status(state, made, made.time_ns)
        for made in state.lists.values()
        if made.account == ask.account and not made.done
    ]


# --- user data streams ------------------------------------------------------------------------


def start_stream(state: State, ask: Ask) -> Answer:
    """POST /userDataStream."""
    return {"listenKey": state.keys.start(ask.account, ask.now_ns)}


def extend_stream(state: State, ask: Ask) -> Answer:
    """PUT /userDataStream."""
    state.keys.extend(ask.values["listenKey"], ask.account, ask.now_ns)
    return {}


def stop_stream(state: State, ask: Ask) -> Answer:
    """DELETE /userDataStream."""
    state.keys.stop(ask.values["listenKey"], ask.account)
    return {}


def moved(units: int, decimals: int, now_ns: int, time_ns: int, asset: str) -> Answer:
    """balanceUpdate: a deposit or a withdrawal."""
    return {
        "e": "balanceUpdate",
        "E": ms(now_ns),
        "a": asset,
        "d": decimal(units, decimals),
        "T": time_ns // MS,
    }
