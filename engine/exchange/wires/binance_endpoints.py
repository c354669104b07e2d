"""Every request the Binance wire answers: its path, its WebSocket API method, its weight, its needs.

Sources: https://developers.binance.com/docs/binance-spot-api-docs/rest-api and .../websocket-api
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from engine.exchange.wires import binance_account as account
from engine.exchange.wires import binance_lists as lists
from engine.exchange.wires import binance_market as market
from engine.exchange.wires import binance_orders as orders
from engine.exchange.wires import binance_wallet as wallet
from engine.exchange.wires.binance_keys import Security
from engine.exchange.wires.binance_orders import Ask
from engine.exchange.wires.binance_params import Parameter, declared
from engine.exchange.wires.binance_state import State

NONE, KEY, USER_DATA, TRADE = Security
Sent = dict[str, str]
Weight = int | Callable[[Sent], int]
Act = Callable[[State, Ask], Any]


class Endpoint(NamedTuple):
    """One request; `counts` says that its answer tells the account's order counts."""

    act: Act
    security: Security
    weight: Weight
    allowed: dict[str, Parameter]
    counts: bool

    def weighs(self, sent: Sent) -> int:
        """What it weighs with these parameters."""
        return self.weight if isinstance(self.weight, int) else self.weight(sent)


def _limit(sent: Sent) -> int:
    text = sent.get("limit", "100")
    limit = int(text) if text.isdecimal() and len(text) < 10 else 0
    return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1_000 else 250


def _symbols(one: int, few: int, many: int, all_of_them: int) -> Callable[[Sent], int]:
    """By how many symbols: one, up to 20, up to 100, more or all."""

    def weight(sent: Sent) -> int:
        if sent.get("symbol"):
            return one
        if not sent.get("symbols"):
            return all_of_them
        count = sent["symbols"].count('"') // 2
        return few if count <= 20 else many if count <= 100 else all_of_them

    return weight


def _each(sent: Sent) -> int:
    """4 for each symbol, at most 200."""
    return min(200, 4 * max(1, sent.get("symbols", "").count('"') // 2))


def _with(name: str, there: int, missing: int) -> Callable[[Sent], int]:
    return lambda sent: there if sent.get(name) else missing


def _commission(sent: Sent) -> int:
    return 20 if sent.get("computeCommissionRates", "").lower() == "true" else 1


CANDLES = "symbol! interval! startTime endTime timeZone limit"
WHEN = "startTime endTime limit"
Row = tuple[str, str, str, Act, Security, Weight, str]
ROWS: tuple[Row, ...] = (
    # method and path, WebSocket API, what it does, security, weight, parameters
    ("GET", "ping", "ping", market.ping, NONE, 1, ""),
    ("GET", "time", "time", market.time, NONE, 1, ""),
    (
        *("GET", "exchangeInfo", "exchangeInfo", market.exchange_info, NONE, 20),
        "symbol symbols permissions showPermissionSets symbolStatus",
    ),
    ("GET", "depth", "depth", market.depth, NONE, _limit, "symbol! limit"),
    ("GET", "trades", "trades.recent", market.trades, NONE, 25, "symbol! limit"),
    (
        *("GET", "historicalTrades", "trades.historical", market.trades, NONE, 25),
        "symbol! limit fromId",
    ),
    (
        *("GET", "aggTrades", "trades.aggregate", market.aggregate_trades, NONE, 4),
        f"symbol! fromId {WHEN}",
    ),
    ("GET", "klines", "klines", market.klines, NONE, 2, CANDLES),
    ("GET", "uiKlines", "uiKlines", market.klines, NONE, 2, CANDLES),
    ("GET", "avgPrice", "avgPrice", market.average_price, NONE, 2, "symbol!"),
    (
        *("GET", "ticker/24hr", "ticker.24hr", market.tickers, NONE, _symbols(2, 2, 40, 80)),
        "symbol symbols type=tickerType",
    ),
    (
        *("GET", "ticker", "ticker", market.rolling, NONE, _each),
        "symbol symbols windowSize type=tickerType",
    ),
    (
        *("GET", "ticker/price", "ticker.price", market.prices, NONE, _symbols(2, 4, 4, 4)),
        "symbol symbols",
    ),
    (
        *("GET", "ticker/bookTicker", "ticker.book", market.book_tickers, NONE),
        *(_symbols(2, 4, 4, 4), "symbol symbols"),
    ),
    ("POST", "order", "order.place", orders.place, TRADE, 1, orders.ORDER_PARAMS),
    (
        *("POST", "order/test", "order.test", orders.test, TRADE, _commission),
        f"{orders.ORDER_PARAMS} computeCommissionRates",
    ),
    ("DELETE", "order", "order.cancel", orders.cancel, TRADE, 1, orders.CANCEL_PARAMS),
    (
        *("GET", "order", "order.status", account.order_status, USER_DATA, 4),
        "symbol! orderId origClientOrderId",
    ),
    (
        *("POST", "order/cancelReplace", "order.cancelReplace", orders.cancel_replace, TRADE, 1),
        orders.CANCEL_REPLACE_PARAMS,
    ),
    (
        *("GET", "openOrders", "openOrders.status", account.open_orders, USER_DATA),
        *(_with("symbol", 6, 80), "symbol"),
    ),
    ("DELETE", "openOrders", "openOrders.cancelAll", lists.cancel_all, TRADE, 1, "symbol!"),
    (
        *("GET", "allOrders", "allOrders", account.all_orders, USER_DATA, 20),
        f"symbol! orderId {WHEN}",
    ),
    ("POST", "order/oco", "", lists.old_oco, TRADE, 1, lists.OLD_OCO_PARAMS),
    ("POST", "orderList/oco", "orderList.place.oco", lists.oco, TRADE, 1, lists.OCO_PARAMS),
    ("POST", "orderList/oto", "orderList.place.oto", lists.oto, TRADE, 1, lists.OTO_PARAMS),
    ("POST", "orderList/otoco", "orderList.place.otoco", lists.otoco, TRADE, 1, lists.OTOCO_PARAMS),
    (
        *("DELETE", "orderList", "orderList.cancel", lists.cancel_list, TRADE, 1),
        "symbol! orderListId listClientOrderId newClientOrderId",
    ),
    (
        *("GET", "orderList", "orderList.status", account.list_query, USER_DATA, 4),
        "orderListId origClientOrderId",
    ),
    (
        *("GET", "allOrderList", "allOrderLists", account.all_lists, USER_DATA, 20),
        f"fromId {WHEN}",
    ),
    ("GET", "openOrderList", "openOrderLists.status", account.open_lists, USER_DATA, 6, ""),
    (
        *("GET", "myTrades", "myTrades", account.my_trades, USER_DATA, _with("orderId", 5, 20)),
        f"symbol! orderId fromId {WHEN}",
    ),
    (
        *("GET", "account", "account.status", account.account_status, USER_DATA, 20),
        "omitZeroBalances",
    ),
    (
        *("GET", "account/commission", "account.commission", account.commission, USER_DATA, 20),
        "symbol!",
    ),
    (
        *("GET", "rateLimit/order", "account.rateLimits.orders", account.order_counts, USER_DATA),
        *(40, ""),
    ),
    (
        *("GET", "myPreventedMatches", "myPreventedMatches", account.nothing, USER_DATA, 20),
        "symbol! preventedMatchId orderId fromPreventedMatchId limit",
    ),
    (
        *("GET", "myAllocations", "myAllocations", account.nothing, USER_DATA, 20),
        f"symbol! fromAllocationId orderId {WHEN}",
    ),
    ("POST", "userDataStream", "userDataStream.start", account.start_stream, KEY, 2, ""),
    (
        *("PUT", "userDataStream", "userDataStream.ping", account.extend_stream, KEY, 2),
        "listenKey!",
    ),
    (
        *("DELETE", "userDataStream", "userDataStream.stop", account.stop_stream, KEY, 2),
        "listenKey!",
    ),
)
OTHERS: tuple[tuple[str, Act, Security, str], ...] = (
    ("sapi/v1/system/status", wallet.system_status, NONE, ""),
    ("sapi/v1/capital/config/getall", wallet.coins, USER_DATA, ""),
    ("sapi/v1/account/apiRestrictions", wallet.key_rights, USER_DATA, ""),
    ("sapi/v1/asset/tradeFee", wallet.trade_fees, USER_DATA, "symbol"),
    ("sapi/v1/asset/transfer", wallet.no_transfers, USER_DATA, "any"),
    ("sapi/v1/margin/allPairs", wallet.no_rows, KEY, "any"),
    ("sapi/v1/margin/isolated/allPairs", wallet.no_rows, KEY, "any"),
    ("sapi/v1/capital/deposit/hisrec", wallet.no_rows, USER_DATA, "any"),
    ("sapi/v1/capital/withdraw/history", wallet.no_rows, USER_DATA, "any"),
    *(
        (f"{kind}/v1/{name}", act, NONE, "")
        for kind in ("fapi", "dapi", "eapi")
        for name, act in (
            ("exchangeInfo", wallet.no_symbols),
            ("time", market.time),
            ("ping", market.ping),
        )
    ),
)
SIGNED = "timestamp! signature! recvWindow"
ANY: dict[str, Parameter] = {}  # takes whatever is sent


def _allowed(text: str, security: Security) -> dict[str, Parameter]:
    if text == "any":
        return ANY
    return declared(f"{text} {SIGNED}" if security >= USER_DATA else text)


def _endpoint(act: Act, security: Security, weight: Weight, text: str, counts: bool) -> Endpoint:
    return Endpoint(act, security, weight, _allowed(text, security), counts)


PLACING = (
    *(orders.place, orders.cancel_replace),
    *(lists.old_oco, lists.oco, lists.oto, lists.otoco),
)
BY_PATH: dict[tuple[str, str], Endpoint] = {}
BY_METHOD: dict[str, Endpoint] = {}
for _verb, _path, _ws, _act, _security, _weight, _text in ROWS:
    _made = _endpoint(_act, _security, _weight, _text, _act in PLACING)
    BY_PATH[_verb, f"/api/v3/{_path}"] = _made
    if _ws:
        BY_METHOD[_ws] = _made
for _path, _act, _security, _text in OTHERS:
    BY_PATH["GET", f"/{_path}"] = _endpoint(_act, _security, 1, _text, counts=False)
