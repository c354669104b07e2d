"""ccxt's unified structures as the gateway reads them: its own fields only, numbers as decimal strings.

See engine/venues/ccxt_calls.py for the fields. ccxt is told to keep numbers as texts; where one of its
clients makes a float all the same, it is written with 15 significant digits.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.edges.ccxt_client import decimal_text
from engine.venues.ccxt_calls import BALANCE, ORDERS, TRADES, SeenOrder, SeenTrade, SeenTransfer

NUMBERS = frozenset({"price", "amount", "filled", "cost"})
TIMES = frozenset({"timestamp", "lastUpdateTimestamp"})
NAMES_OF_ORDERS = ("cl_ord_id", "clientOrderId", "client_order_id", "clOrdId", "orderLinkId")
"""Where exchanges put our id into a trade of ours; ccxt's structure has no place for it."""
BINANCE_NAME = "c"
KRAKEN_FIELDS = (
    ("clientOrderId", "cl_ord_id"),
    ("amount", "order_qty"),
    ("filled", "cum_qty"),
    ("price", "limit_price"),
)
"""ccxt 4.5.90 takes another tag for our id, and what is filled for the order's size."""


def picked(fields: Sequence[str], item: Mapping[str, Any]) -> dict[str, Any]:
    """Some fields of a structure; those that it has not are left out."""
    found: dict[str, Any] = {}
    for name in fields:
        value = item.get(name)
        if value is None or value == "":
            continue
        if name in NUMBERS:
            found[name] = decimal_text(value)
        elif name in TIMES:
            found[name] = int(value)
        elif name == "fee":
            found[name] = picked(("cost", "currency"), value)
        else:
            found[name] = str(value)
    return found


def order_of(item: Mapping[str, Any]) -> dict[str, Any]:
    """An order structure; of a report of Kraken's stream, with what ccxt makes wrong of it."""
    found = picked(SeenOrder.__struct_fields__, item)
    told = item.get("info")
    if isinstance(told, dict) and "exec_type" in told and "order_id" in told:
        for name, field in KRAKEN_FIELDS:
            found.pop(name, None)
            if told.get(field) is not None:
                found[name] = decimal_text(told[field]) if name in NUMBERS else str(told[field])
    return found


def trade_of(item: Mapping[str, Any]) -> dict[str, Any]:
    """A trade structure of our own account, with our id of its order where the exchange tells it."""
    found = picked(SeenTrade.__struct_fields__, item)
    told = item.get("info")
    if "clientOrderId" not in found and isinstance(told, dict):
        own = next((told[name] for name in NAMES_OF_ORDERS if told.get(name)), None)
        if own is None and told.get("e") == "executionReport":
            own = told.get(BINANCE_NAME)
        if own is not None:
            found["clientOrderId"] = str(own)
    return found


def balance_of(item: Mapping[str, Any]) -> dict[str, Any]:
    """A balance structure: totals and what is free, by asset."""
    found: dict[str, Any] = {}
    for name in ("total", "free"):
        side = item.get(name) or {}
        found[name] = {
            asset: decimal_text(amount) for asset, amount in side.items() if amount is not None
        }
    if item.get("timestamp") is not None:
        found["timestamp"] = int(item["timestamp"])
    return found


def result_of(kind: str, result: Any) -> Any:
    """What a call of a kind gave."""
    if kind == ORDERS:
        return order_of(result) if isinstance(result, dict) else [order_of(i) for i in result]
    if kind == TRADES:
        return [trade_of(item) for item in result]
    if kind == BALANCE:
        return balance_of(result)
    if isinstance(result, list):  # of a ledger, deposits or withdrawals
        return [picked(SeenTransfer.__struct_fields__, item) for item in result]
    return int(result) if isinstance(result, int | float | str) else None
