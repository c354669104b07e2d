"""Kraken's REST: which endpoint a path means, who may call it and how often, and the envelope.

An error comes with status 200, as a text in `error`.
Source: https://docs.kraken.com/api/docs/guides/spot-rest-intro
"""

from typing import Any

import msgspec

from engine.exchange.orders import Refused
from engine.exchange.wires.kraken_forms import Fields, parse_body, parse_form
from engine.exchange.wires.kraken_history import History
from engine.exchange.wires.kraken_keys import Caller, Keys
from engine.exchange.wires.kraken_ledger import Ledger
from engine.exchange.wires.kraken_limits import Limits
from engine.exchange.wires.kraken_market import PublicData
from engine.exchange.wires.kraken_trading import Endpoint, Trading
from engine.exchange.wires.kraken_words import KrakenError, refusal, rfc3339
from engine.exchange.wires.wire import Answer, Call, Failure

ROOT = "/0/"
UNKNOWN = "EGeneral:Unknown method"
POINTS = {"Ledgers": 2, "QueryLedgers": 2, "TradesHistory": 2, "ClosedOrders": 2}
"""What a call adds to its key's counter; 1 if it is not here, and trading nothing."""
TRADES = frozenset(
    "AddOrder AddOrderBatch AmendOrder EditOrder CancelOrder CancelOrderBatch CancelAll "
    "CancelAllOrdersAfter".split()
)
PERMISSIONS = {
    "read": ("query-funds", "query-open-trades", "query-closed-trades", "query-ledger"),
    "trade": ("modify-trades", "close-trades"),
    "withdraw": ("withdraw-funds",),
}
FAILURES = {
    Failure.UNAVAILABLE: "EService:Unavailable",
    Failure.OVERLOADED: "EService:Busy",
    Failure.RATE_LIMITED: "EAPI:Rate limit exceeded",
    Failure.BANNED: "EGeneral:Temporary lockout",
    Failure.MAINTENANCE: "EService:Market in cancel_only mode",
    Failure.REJECTED: "EOrder:Invalid order",
}


class Rest:
    """See the module."""

    def __init__(
        self,
        keys: Keys,
        limits: Limits,
        public: PublicData,
        history: History,
        ledger: Ledger,
        trading: Trading,
    ) -> None:
        self._keys = keys
        self._limits = limits
        self._public = public.calls
        self._asks: dict[str, Endpoint] = {
            "Balance": ledger.balance,
            "BalanceEx": ledger.extended_balance,
            "TradeBalance": ledger.trade_balance,
            "OpenPositions": ledger.open_positions,
            "OpenOrders": history.open_orders,
            "ClosedOrders": history.closed_orders,
            "QueryOrders": history.query_orders,
            "TradesHistory": history.trades_history,
            "QueryTrades": history.query_trades,
            "TradeVolume": ledger.trade_volume,
            "Ledgers": ledger.ledgers,
            "QueryLedgers": ledger.query_ledgers,
            "DepositMethods": ledger.nothing,
            "DepositAddresses": ledger.nothing,
            "DepositStatus": ledger.deposits,
            "WithdrawStatus": ledger.withdrawals,
            "WithdrawMethods": ledger.nothing,
            "WithdrawAddresses": ledger.nothing,
            "GetWebSocketsToken": trading.token,
            "GetApiKeyInfo": _key_info,
        }
        self._trades = trading.calls
        self._moves: dict[str, Endpoint] = {"Withdraw": _no_way, "WithdrawInfo": _no_way}

    def call(self, call: Call, now_ns: int) -> Answer:
        """See `Wire.call`."""
        try:
            result = self._result(call, now_ns)
        except KrakenError as error:
            return failed(str(error))
        except Refused as refused:
            return failed(str(refusal(refused)))
        return _answer({"error": [], "result": result})

    def _result(self, call: Call, now_ns: int) -> Any:
        place = call.path.find(ROOT)
        path = call.path[place:] if place >= 0 else ""
        _, _, kind, name = path.split("/", 3) if path.count("/") >= 3 else ("", "", "", "")
        if kind == "public" and name in self._public:
            fields = Fields(parse_form(call.query.encode()))
            return self._public[name](fields, now_ns)
        if kind != "private" or call.method != "POST":
            raise KrakenError(UNKNOWN)
        fields = Fields(parse_body(call.body, call.headers.get("content-type", "")))
        caller = self._keys.caller(call.headers, path, fields, call.body)
        return self._private(name, caller, fields, now_ns)

    def _private(self, name: str, caller: Caller, fields: Fields, now_ns: int) -> Any:
        """What a key may do goes by three rights."""
        for right, calls in (
            ("trade", self._trades),
            ("read", self._asks),
            ("withdraw", self._moves),
        ):
            endpoint = calls.get(name)
            if endpoint is None:
                continue
            if right not in caller.rights:
                raise KrakenError("EGeneral:Permission denied")
            if right != "trade":
                self._limits.call(caller.key, POINTS.get(name, 1), now_ns)
            return endpoint(caller, fields, now_ns)
        raise KrakenError(UNKNOWN)


def _key_info(caller: Caller, fields: Fields, now_ns: int) -> Any:
    """What the key that asks may do."""
    return {
        "api_key_name": caller.account,
        "permissions": [name for right in sorted(caller.rights) for name in PERMISSIONS[right]],
    }


def _no_way(caller: Caller, fields: Fields, now_ns: int) -> Any:
    """Money leaves a simulated exchange by no key."""
    raise KrakenError("EFunding:Unknown withdraw key")


def failure_of(failure: Failure, call: Call, now_ns: int, retry_after_s: int) -> Answer:
    """What a call is answered that is made to fail; under maintenance the status says so."""
    name = call.path.rpartition("/")[2]
    if failure is Failure.MAINTENANCE:
        if name == "SystemStatus":
            result = {"status": "maintenance", "timestamp": rfc3339(now_ns, 0)}
            return _answer({"error": [], "result": result})
        if name not in TRADES:
            return failed(FAILURES[Failure.UNAVAILABLE], retry_after_s)
    return failed(FAILURES[failure], retry_after_s)


def failed(error: str, retry_after_s: int = 0) -> Answer:
    """An error's envelope."""
    headers = (("Retry-After", str(retry_after_s)),) if retry_after_s else ()
    return _answer({"error": [error]}, headers)


def _answer(envelope: dict[str, Any], headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    return Answer(200, msgspec.json.encode(envelope), headers)
