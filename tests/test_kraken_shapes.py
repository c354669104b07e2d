"""Our answers and frames have the shape of Kraken's: the same keys, with values of the same type.

Held against messages that were recorded or written down by others, where they are at hand. What a
message lacks that Kraken documents is listed; nothing may be missing in ours.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from ext.matching import BUY
from tests.kraken_talk import Talk, limit, subscribe

MESSAGES = "venue_messages/nautilus/crates/adapters/kraken/test_data"
OLD = "venue_messages/gocryptotrader/exchanges/kraken/testdata"

MORE: dict[str, set[str]] = {
    "http_open_orders": {"trigger"},
    "http_closed_orders": set(),
    "http_trades_history": set(),
    "ws_ohlc_update": {"timestamp"},
}
"""Keys that Kraken documents and a message leaves out."""


@pytest.fixture
def talk() -> Talk:
    """An exchange on which something has happened."""
    talk = Talk()
    talk.order(**limit(userref="7"))
    talk.order(
        pair="ETHUSDT", type="sell", ordertype="stop-loss", volume="1", price="2000", userref="8"
    )
    talk.order(pair="XBTUSDT", type="buy", ordertype="market", volume="0.01", userref="9")
    talk.result("CancelOrder", txid=talk.order(**limit(userref="0")))
    return talk


def shape(value: Any) -> Any:
    """A value's type; of a list that of its members, of ids and pairs as keys that of what they name."""
    if isinstance(value, dict):
        if value and all(_is_name(key) for key in value):
            return {"*": _merged([shape(each) for each in value.values()])}
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        row = len({type(each) for each in value}) > 1
        return (
            [shape(each) for each in value] if row else [_merged([shape(each) for each in value])]
        )
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__


def _is_name(key: str) -> bool:
    """An id, or one of REST's names of an asset or a pair; `last` stands beside those."""
    return key.upper() == key and len(key) > 2


def _merged(shapes: list[Any]) -> Any:
    """What all members of a list have in common to be held against; the fullest of them."""
    return max(shapes, key=lambda each: len(json.dumps(each)), default="nothing")


def same(theirs: Any, ours: Any, more: set[str], path: str = "") -> None:
    """Every key of theirs is in ours, with the same type; ours has others only if they are listed."""
    if theirs in ("NoneType", "nothing") or ours in ("NoneType", "nothing"):
        return
    if isinstance(theirs, dict):
        assert isinstance(ours, dict), path
        assert theirs.keys() <= ours.keys(), f"{path}: {theirs.keys() - ours.keys()} missing"
        assert ours.keys() - theirs.keys() <= more, f"{path}: {ours.keys() - theirs.keys()} more"
        for key in theirs:
            same(theirs[key], ours[key], more, f"{path}/{key}")
    elif isinstance(theirs, list):
        assert isinstance(ours, list), path
        if len(theirs) > 1:
            assert len(theirs) == len(ours), path
        for number, (one, other) in enumerate(zip(theirs, ours, strict=False)):
            same(one, other, more, f"{path}/{number}")
    else:
        assert theirs == ours, path


def pairs_alone(answer: dict[str, Any]) -> dict[str, Any]:
    """Without `last`, which stands among pairs in the same object."""
    result = dict(answer["result"])
    last = result.pop("last", None)
    return {**answer, "result": result, "last": last}


REST = {
    "http_server_time": lambda talk: talk.public("Time"),
    "http_system_status": lambda talk: talk.public("SystemStatus"),
    "http_asset_pairs": lambda talk: talk.public("AssetPairs"),
    "http_ticker": lambda talk: talk.public("Ticker", pair="XBTUSDT"),
    "http_order_book": lambda talk: talk.public("Depth", pair="XBTUSDT"),
    "http_trades": lambda talk: talk.public("Trades", pair="XBTUSDT"),
    "http_ohlc": lambda talk: talk.public("OHLC", pair="XBTUSDT"),
    "http_spot_balance": lambda talk: talk.private("Balance"),
    "http_spot_trade_balance": lambda talk: talk.private("TradeBalance"),
    "http_open_orders": lambda talk: talk.private("OpenOrders"),
    "http_closed_orders": lambda talk: talk.private("ClosedOrders"),
    "http_trades_history": lambda talk: talk.private("TradesHistory"),
    "http_add_order_spot": lambda talk: talk.private("AddOrder", limit()),
    "http_cancel_order_spot": lambda talk: talk.private("CancelOrder", txid=talk.order(**limit())),
}


@pytest.mark.parametrize("name", REST)
def test_rest(recorded: Path, talk: Talk, name: str) -> None:
    """Endpoint by endpoint."""
    told = json.loads((recorded / MESSAGES / f"{name}.json").read_text())
    ours = REST[name](talk)
    if name in ("http_trades", "http_ohlc"):
        told, ours = pairs_alone(told), pairs_alone(ours)
    if name == "http_spot_trade_balance":
        del told["result"]["ml"]  # the margin level, which who has no margin has none of
    same(shape(told), shape(ours), MORE.get(name, set()))


def add(talk: Talk, connection: int, **more: Any) -> dict[str, Any]:
    """The answer to add_order."""
    params = {
        "order_type": "limit", "side": "buy", "order_qty": 0.01, "symbol": "BTC/USDT",
        "limit_price": 30000.0, "token": talk.token(), **more,
    }  # fmt: skip
    answers = talk.ask(connection, "add_order", **params)
    return next(each for each in answers if each.get("method") == "add_order")


def last(talk: Talk, channel: str, kind: str, **more: Any) -> dict[str, Any]:
    """The last frame of a channel after something happened."""
    connection, _ = subscribe(talk, channel, **more)
    talk.make(BUY, 499_996, 10**7)
    talk.take(BUY, 10**7)
    frames = [f for f in talk.told[connection] if f.get("channel") == channel and f["type"] == kind]
    return frames[-1]


FRAMES = {
    "ws_pong": lambda talk: talk.send(talk.connect(), {"method": "ping", "req_id": 42})[0],
    "ws_subscribe_response": lambda talk: subscribe(talk, "ticker")[1][0],
    "ws_ticker_snapshot": lambda talk: last(talk, "ticker", "snapshot"),
    "ws_trade_update": lambda talk: last(talk, "trade", "update"),
    "ws_book_snapshot": lambda talk: last(talk, "book", "snapshot"),
    "ws_book_update": lambda talk: last(talk, "book", "update"),
    "ws_ohlc_update": lambda talk: last(talk, "ohlc", "update", interval=1),
    "ws_add_order_response_failure": lambda talk: add(talk, talk.connect(), order_qty=80),
}


@pytest.mark.parametrize("name", FRAMES)
def test_stream(recorded: Path, talk: Talk, name: str) -> None:
    """Frame by frame."""
    told = json.loads((recorded / MESSAGES / f"{name}.json").read_text())
    more = MORE.get(name, set())
    same(
        shape(told), shape(FRAMES[name](talk)), more | ({"timestamp"} if "ohlc" in name else set())
    )


def test_stream_answers_to_orders(recorded: Path, talk: Talk) -> None:
    """The recorded one names both a client's id and a tag, which Kraken takes only one of."""
    told = json.loads((recorded / MESSAGES / "ws_add_order_response_success.json").read_text())
    connection = talk.connect()
    for name, value in (("cl_ord_id", "abc"), ("order_userref", 5)):
        ours = add(talk, connection, **{name: value})
        assert ours["result"].keys() <= told["result"].keys()
        assert ours.keys() == told.keys()
        assert ours["result"][name] == value


def test_version_one_has_the_same_orders(recorded: Path, talk: Talk) -> None:
    """A recorded order of version 1 is REST's, but for numbers as text and two names."""
    lines = (recorded / OLD / "wsOpenTrades.json").read_text().splitlines()
    (told,) = json.loads(lines[0])[0][0].values()
    ours = next(iter(talk.result("OpenOrders")["open"].values()))
    assert told.keys() - {"avg_price"} <= ours.keys() | {"price"}
    assert told["descr"].keys() == ours["descr"].keys()


# --- documented -----------------------------------------------------------------------------------

# https://docs.kraken.com/api/docs/websocket-v2/executions and /balances: the keys of the examples
EXECUTIONS = {
    "pending_new": "order_id order_userref symbol order_qty cum_cost time_in_force exec_type side "
    "order_type limit_price_type limit_price stop_price order_status fee_usd_equiv fee_ccy_pref timestamp",
    "new": "timestamp order_status exec_type order_userref order_id",
    "trade": "order_id order_userref exec_id exec_type trade_id symbol side last_qty last_price "
    "liquidity_ind cost order_type timestamp order_status cum_qty cum_cost avg_price fee_usd_equiv fees",
    "canceled": "timestamp order_status exec_type cum_qty cum_cost fee_usd_equiv avg_price "
    "order_userref cancel_reason reason order_id",
    "amended": "timestamp exec_type order_status cum_qty reason amended order_qty limit_price "
    "limit_price_type order_userref order_id",
}
BALANCES = "ledger_id ref_id timestamp type asset asset_class category wallet_type wallet_id amount fee balance"


def test_executions_as_documented(talk: Talk) -> None:
    """Each report has exactly the keys of the documentation's example of its kind."""
    connection, _ = subscribe(talk, "executions", token=talk.token())
    answer = add(talk, connection, order_userref=3, limit_price=49995.5)
    txid = answer["result"]["order_id"]
    talk.ask(
        connection,
        "amend_order",
        order_id=txid,
        limit_price=50001.0,
        order_qty=0.02,
        token=talk.token(),
    )
    add(talk, connection, order_userref=3)
    talk.ask(connection, "cancel_all", token=talk.token())
    found: dict[str, dict[str, Any]] = {}
    for frame in talk.told[connection]:
        if frame.get("channel") == "executions" and frame["type"] == "update":
            (report,) = frame["data"]
            found[report["exec_type"]] = report
    for kind, keys in EXECUTIONS.items():
        assert set(found[kind]) == set(keys.split()), kind


def test_balances_as_documented(talk: Talk) -> None:
    """A trade's two entries."""
    connection, _ = subscribe(talk, "balances", token=talk.token())
    talk.order(pair="XBTUSDT", type="buy", ordertype="market", volume="0.01")
    (update,) = [
        f for f in talk.told[connection] if f.get("type") == "update" and f["channel"] == "balances"
    ]
    for entry in update["data"]:
        assert set(entry) == set(BALANCES.split())
