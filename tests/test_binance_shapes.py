"""What the exchange's Binance says has the keys and the types of values of what Binance itself said.

Compared with recorded and documented messages of the data folder; skipped where it is not.
"""

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.exchange.wires.binance_keys import signature_of
from ext.matching import BUY, SELL
from tests.binance_client import Desk

NUMBER = re.compile(r"^-?\d+(\.\d+)?\Z")
DATA = "venue_messages/gocryptotrader/exchanges/binance/testdata"
DOCUMENTED = "venue_messages/nautilus/crates/adapters/binance/test_data/spot"
LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
# Keys that the message at hand is too old for, or that are there only now and then.
NEWER = {
    "allowedSelfTradePreventionModes amendAllowed cancelReplaceAllowed commissionRates brokered",
    "defaultSelfTradePreventionMode opoAllowed orderListId origQuoteOrderQty otoAllowed origClientOrderId",
    "pegInstructionsAllowed permissionSets permissions preventSor requireSelfTradePrevention",
    "selfTradePreventionMode transactTime uid workingTime quoteAssetPrecision closeTime",
    "F g I M Q V W Y withdrawIntegerMultiple specialWithdrawTips eR",
}
NEW = {name for line in NEWER for name in line.split()}
GONE = {"b", "a", "", "sors"}  # order ids of trades, which are not told any more; no routing here


def same_shape(theirs: Any, ours: Any, where: str) -> Iterator[str]:
    """Where they differ."""
    if theirs is None or ours is None:
        return
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for name in sorted(theirs.keys() - ours.keys() - GONE):
            yield f"{where}.{name} is missing"
        for name in sorted(ours.keys() - theirs.keys() - NEW):
            yield f"{where}.{name} is ours alone"
        for name in theirs.keys() & ours.keys():
            yield from same_shape(theirs[name], ours[name], f"{where}.{name}")
    elif isinstance(theirs, list) and isinstance(ours, list):
        tuples = where.endswith(("bids[]", "asks[]", ".b[]", ".a[]", "klines[]"))
        if tuples and len(theirs) != len(ours):
            yield f"{where} has {len(ours)} fields"
        for one, other in zip(theirs if tuples else theirs[:1] * len(ours[:1]), ours, strict=False):
            yield from same_shape(one, other, f"{where}[]")
    elif type(theirs) is not type(ours) or (
        isinstance(theirs, str) and bool(NUMBER.match(theirs)) != bool(NUMBER.match(ours))
    ):
        yield f"{where}: {theirs!r} is not like {ours!r}"


def hold(theirs: Any, ours: Any, where: str) -> None:
    """They have one shape."""
    assert list(same_shape(theirs, ours, where)) == []


@pytest.fixture
def desk() -> Desk:
    """With orders, trades and a day's market."""
    made = Desk()
    made.trade(BUY, 150_000)
    made.signed("POST", "order", **LIMIT, quantity="1", price="90")
    made.signed("POST", "order", **LIMIT, quantity="1", price="100.2")
    return made


@pytest.fixture
def recordings(recorded: Path) -> dict[str, Any]:
    """Recorded answers by path and method."""
    path = recorded / DATA / "http.json.gz"
    if not path.exists():
        pytest.skip(f"no {path}")
    with gzip.open(path) as file:
        routes: dict[str, Any] = json.load(file)["routes"]
    return routes


@pytest.fixture
def documented(recorded: Path) -> Path:
    """The folder of documented messages."""
    path = recorded / DOCUMENTED
    if not path.exists():
        pytest.skip(f"no {path}")
    return path


PUBLIC = {
    "depth": {"symbol": "BTCUSDT"},
    "exchangeInfo": {},
    "trades": {"symbol": "BTCUSDT"},
    "historicalTrades": {"symbol": "BTCUSDT"},
    "aggTrades": {"symbol": "BTCUSDT"},
    "klines": {"symbol": "BTCUSDT", "interval": "1m"},
    "avgPrice": {"symbol": "BTCUSDT"},
    "ticker/24hr": {"symbol": "BTCUSDT"},
    "ticker/price": {"symbol": "BTCUSDT"},
    "ticker/bookTicker": {"symbol": "BTCUSDT"},
}


@pytest.mark.parametrize("path", PUBLIC)
def test_recorded_public_answers(desk: Desk, recordings: dict[str, Any], path: str) -> None:
    """As they came from Binance."""
    theirs = recordings[f"/api/v3/{path}"]["GET"][0]["data"]
    hold(theirs, desk.ask("GET", path, **PUBLIC[path]), path)


def test_recorded_filters(desk: Desk, recordings: dict[str, Any]) -> None:
    """Each filter of ours has the keys of theirs."""
    theirs = recordings["/api/v3/exchangeInfo"]["GET"][0]["data"]["symbols"]
    known: dict[str, Any] = {}
    for symbol in theirs:
        for row in symbol["filters"]:
            known.setdefault(row["filterType"], row)
    for row in desk.ask("GET", "exchangeInfo")["symbols"][0]["filters"]:
        if row["filterType"] in known:
            hold(known[row["filterType"]], row, row["filterType"])
        else:
            assert row["filterType"] == "MAX_NUM_ICEBERG_ORDERS", "documented, not in the recording"


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("GET", "account", {}),
        ("GET", "allOrders", {"symbol": "BTCUSDT"}),
        ("GET", "openOrders", {}),
        ("GET", "order", {"symbol": "BTCUSDT", "orderId": 127}),
        ("DELETE", "order", {"symbol": "BTCUSDT", "orderId": 127}),
    ],
)
def test_recorded_private_answers(
    desk: Desk, recordings: dict[str, Any], method: str, path: str, fields: dict[str, Any]
) -> None:
    """Older than some of today's fields."""
    theirs = recordings[f"/api/v3/{path}"][method][0]["data"]
    number = desk.exchange.open_orders("main")[0].number
    if "orderId" in fields:
        fields = {**fields, "orderId": number}
    hold(theirs, desk.signed(method, path, **fields), path)


def test_recorded_coins_and_listen_keys(desk: Desk, recordings: dict[str, Any]) -> None:
    """What a client asks when it starts."""
    theirs = recordings["/sapi/v1/capital/config/getall"]["GET"][0]["data"]
    fields = f"timestamp={desk.now_ns // 1_000_000}"
    query = f"{fields}&signature={signature_of(fields, desk.secret.encode())}"
    answer = desk.send("GET", "/sapi/v1/capital/config/getall", query)
    hold(theirs, json.loads(answer.body), "coins")
    theirs = recordings["/api/v3/userDataStream"]["POST"][0]["data"]
    ours = desk.ask("POST", "userDataStream")
    hold(theirs, ours, "listenKey")
    assert re.match(r"^[A-Za-z0-9]{64}\Z", ours["listenKey"])


DOCUMENTED_ANSWERS = {
    "account_response": ("GET", "account", {}),
    "account_trades_response": ("GET", "myTrades", {"symbol": "BTCUSDT"}),
    "all_orders_response": ("GET", "allOrders", {"symbol": "BTCUSDT"}),
    "avg_price_response": ("GET", "avgPrice", {"symbol": "BTCUSDT"}),
    "book_ticker_response": ("GET", "ticker/bookTicker", {"symbol": "BTCUSDT"}),
    "cancel_open_orders_response": ("DELETE", "openOrders", {"symbol": "BTCUSDT"}),
    "cancel_order_response": ("DELETE", "order", {"symbol": "BTCUSDT", "orderId": 0}),
    "depth_response": ("GET", "depth", {"symbol": "BTCUSDT"}),
    "exchange_info_response": ("GET", "exchangeInfo", {}),
    "klines_response": ("GET", "klines", {"symbol": "BTCUSDT", "interval": "1m"}),
    "new_order_full_response": (
        *("POST", "order"),
        {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "2"},
    ),
    "open_orders_response": ("GET", "openOrders", {}),
    "order_response": ("GET", "order", {"symbol": "BTCUSDT", "orderId": 0}),
    "ping_response": ("GET", "ping", {}),
    "server_time_response": ("GET", "time", {}),
    "ticker_24hr_response": ("GET", "ticker/24hr", {"symbol": "BTCUSDT"}),
    "ticker_price_response": ("GET", "ticker/price", {"symbol": "BTCUSDT"}),
    "trades_response": ("GET", "trades", {"symbol": "BTCUSDT"}),
}
PUBLIC_PATHS = {*PUBLIC, "ping", "time"}


@pytest.mark.parametrize("name", DOCUMENTED_ANSWERS)
def test_documented_answers(desk: Desk, documented: Path, name: str) -> None:
    """The examples of today's documentation, key by key and in their order."""
    theirs = json.loads((documented / "http_json" / f"{name}.json").read_text())
    method, path, fields = DOCUMENTED_ANSWERS[name]
    if "orderId" in fields:
        fields = {**fields, "orderId": desk.exchange.open_orders("main")[0].number}
    ask = desk.ask if path in PUBLIC_PATHS else desk.signed
    ours = ask(method, path, **fields)
    hold(theirs, ours, path)
    if name == "new_order_full_response":
        assert list(ours)[:-1] == list(theirs)[:-1]


def stream_frames(desk: Desk, names: list[str]) -> dict[str, Any]:
    """One frame of each stream."""
    desk.connect(1, "/stream", "streams=" + "/".join(names))
    desk.trade(SELL, 130_000)
    desk.wait(2_500)
    return {frame["stream"]: frame["data"] for frame in desk.told(1)}


def test_recorded_stream_frames(desk: Desk, recorded: Path) -> None:
    """Tickers, candles, trades, differences, and an account's events, as a peer recorded them."""
    path = recorded / DATA / "wsHandleData.json"
    if not path.exists():
        pytest.skip(f"no {path}")
    theirs: dict[str, Any] = {}
    for line in path.read_text().splitlines():
        if line.strip():
            frame = json.loads(line)
            name = frame["stream"].partition("@")[2] or frame["data"]["e"]
            theirs[name] = frame["data"]
    desk.connect(2, "/ws-api/v3")
    desk.request(2, "userDataStream.subscribe.signature")
    kinds = ["ticker", "kline_1m", "trade", "depth"]
    frames = stream_frames(desk, [f"btcusdt@{kind}" for kind in kinds])
    for kind in kinds:
        hold(theirs[kind], frames[f"btcusdt@{kind}"], kind)
    oco = {"aboveType": "LIMIT_MAKER", "abovePrice": "110", "belowType": "STOP_LOSS"}
    oco |= {"belowStopPrice": "90", "symbol": "BTCUSDT", "side": "SELL", "quantity": "1"}
    desk.signed("POST", "orderList/oco", **oco)
    desk.do(lambda now_ns: desk.exchange.accounts.deposit("main", "BTC", 5, now_ns))
    events = {frame["event"]["e"]: frame["event"] for frame in desk.told(2) if "event" in frame}
    for kind in ("balanceUpdate", "listStatus", "executionReport", "outboundAccountPosition"):
        hold(theirs[kind], events[kind], kind)


def test_recorded_market_frames(desk: Desk, recorded: Path) -> None:
    """Raw frames of Binance's own combined stream, with its best prices."""
    path = recorded / "hftbacktest" / "spot" / "btcusdt_20240808.gz"
    if not path.exists():
        pytest.skip(f"no {path}")
    theirs: dict[str, Any] = {}
    with gzip.open(path, "rt") as file:
        for line in file:
            frame = json.loads(line.partition(" ")[2])
            if "stream" not in frame:
                theirs.setdefault("snapshot", frame)
            elif not frame["stream"].endswith("depth@100ms") or (
                frame["data"]["b"] and frame["data"]["a"]
            ):
                theirs.setdefault(frame["stream"], frame["data"])
            if len(theirs) == 4:
                break
    names = [name for name in theirs if name != "snapshot"]
    desk.quote(SELL, 10_015, 1_000_000)
    frames = stream_frames(desk, names)
    for name in names:
        hold(theirs[name], frames[name], name)
        assert list(frames[name]) == list(theirs[name]), "in the same order"
    hold(theirs["snapshot"], desk.ask("GET", "depth", symbol="BTCUSDT"), "snapshot")


def reports(desk: Desk) -> dict[str, Any]:
    """The last event of each kind, and of each execution type."""
    found: dict[str, Any] = {}
    for frame in desk.told(2):
        event = frame.get("event")
        if event:
            found[event["e"]] = frame
            found[event.get("x", event["e"])] = frame
    return found


def test_documented_account_events(desk: Desk, documented: Path) -> None:
    """In the envelope of the WebSocket API and without it."""
    desk.connect(2, "/ws-api/v3")
    desk.request(2, "userDataStream.subscribe.signature")
    order = desk.signed("POST", "order", **LIMIT, quantity="1", price="91")
    found = {"execution_report_wrapped": reports(desk)["NEW"]}
    found["execution_report_new"] = found["execution_report_wrapped"]["event"]
    desk.signed("DELETE", "order", symbol="BTCUSDT", orderId=order["orderId"])
    found["execution_report_canceled"] = reports(desk)["CANCELED"]["event"]
    ioc = {**LIMIT, "timeInForce": "IOC", "quantity": "9", "price": "100.2"}
    desk.signed("POST", "order", **ioc)
    events = reports(desk)
    found["execution_report_expired"] = events["EXPIRED"]["event"]
    found["account_position_wrapped"] = events["outboundAccountPosition"]
    found["account_position"] = events["outboundAccountPosition"]["event"]
    desk.signed("POST", "order", **LIMIT, quantity="1", price="100.3")
    found["execution_report_trade"] = reports(desk)["TRADE"]["event"]
    stop = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_LOSS_LIMIT", "timeInForce": "GTC"}
    desk.signed("POST", "order", **stop, quantity="1", price="94", stopPrice="95")
    found["execution_report_stop_loss"] = reports(desk)["NEW"]["event"]
    desk.do(lambda now_ns: desk.exchange.accounts.deposit("main", "BTC", 5, now_ns))
    found["balance_update_wrapped"] = reports(desk)["balanceUpdate"]
    found["balance_update"] = found["balance_update_wrapped"]["event"]
    for name, ours in found.items():
        theirs = json.loads((documented / "user_data_json" / f"{name}.json").read_text())
        hold(theirs, ours, name)
