"""Kraken's websocket: what each channel tells, that books add up, that requests are answered."""

import json
from typing import Any

import pytest

from engine.exchange.wires.kraken_keys import TOKEN_S
from engine.exchange.wires.wire import Failure
from ext.matching import BUY
from tests.kraken_server import READ_KEY
from tests.kraken_talk import SECOND, Talk, subscribe

SYMBOL = "BTC/USDT"


@pytest.fixture
def talk() -> Talk:
    """A fresh exchange."""
    return Talk()


def test_a_connection_hears_the_status_first(talk: Talk) -> None:
    """Before it asks anything."""
    (status,) = talk.told[talk.connect()]
    assert (status["channel"], status["data"][0]["system"]) == ("status", "online")


def test_status_changes_are_told(talk: Talk) -> None:
    """When all markets stop, and when they go on."""
    connection = talk.connect()
    for halted, word in ((True, "cancel_only"), (False, "online")):
        talk.exchange.set_halted(halted, talk.now_ns)
        talk.go_on(1.5)
        assert talk.told[connection][-1]["data"][0]["system"] == word


def test_ping(talk: Talk) -> None:
    """It repeats the number of the request."""
    (pong,) = talk.send(talk.connect(), {"method": "ping", "req_id": 101})
    assert (pong["method"], pong["req_id"]) == ("pong", 101)
    assert pong["time_in"].endswith("Z")


def test_heartbeats_once_subscribed(talk: Talk) -> None:
    """Each second in which nothing else was said."""
    silent = talk.connect()
    connection, _ = subscribe(talk, "trade")
    heard = len(talk.told[connection])
    talk.go_on(5.5)
    beats = talk.told[connection][heard:]
    assert beats == [{"channel": "heartbeat"}] * 5
    back_ns = talk.now_ns - 30 * SECOND
    assert talk.wire.tick(back_ns) == []
    assert talk.wire.due_ns() == back_ns + SECOND, "a clock that was set back is not waited for"
    assert len(talk.told[silent]) == 1


# --- private channels -----------------------------------------------------------------------------


def entered(talk: Talk, **more: Any) -> int:
    """A connection that hears the executions of `main`."""
    connection, _ = subscribe(talk, "executions", token=talk.token(), **more)
    talk.told[connection].clear()
    return connection


def reports(talk: Talk, connection: int) -> list[dict[str, Any]]:
    """The reports since the last were asked for; each came in a frame of its own."""
    frames = [f for f in talk.told[connection] if f.get("channel") == "executions"]
    talk.told[connection].clear()
    assert all(len(frame["data"]) == 1 for frame in frames)
    numbers = [frame["sequence"] for frame in frames]
    assert numbers == sorted(set(numbers))
    return [frame["data"][0] for frame in frames]


def add(talk: Talk, connection: int, **more: Any) -> list[dict[str, Any]]:
    """add_order; the answers."""
    params = {"order_type": "limit", "side": "buy", "order_qty": 0.01, "symbol": SYMBOL}
    if more.get("order_type", "limit").endswith("limit") or more.get("order_type") == "iceberg":
        params["limit_price"] = 49000
    answers = talk.ask(connection, "add_order", **params | {"token": talk.token()} | more)
    return [each for each in answers if each.get("method")]


def test_life_of_an_order(talk: Talk) -> None:
    """Pending, new, traded, filled: as documented, each with what it has to say."""
    connection = entered(talk)
    (answer,) = add(talk, connection, order_userref=3)
    assert (answer["success"], answer["req_id"], answer["method"]) == (True, 7, "add_order")
    txid = answer["result"]["order_id"]
    pending, new = reports(talk, connection)
    assert pending["exec_type"] == pending["order_status"] == "pending_new"
    assert (pending["order_userref"], pending["limit_price"]) == (3, 49000.0)
    assert set(new) == {"timestamp", "order_status", "exec_type", "order_userref", "order_id"}
    talk.trade_at(489_000)
    trade, filled = reports(talk, connection)
    assert (trade["exec_type"], trade["order_status"]) == ("trade", "partially_filled")
    assert (trade["liquidity_ind"], trade["last_price"], trade["cum_qty"]) == ("m", 49000.0, 0.01)
    assert trade["fees"] == [{"asset": "USDT", "qty": 0.784}]
    assert (filled["exec_type"], filled["order_id"], filled["avg_price"]) == (
        "filled",
        txid,
        49000.0,
    )
    assert talk.view(txid)["trades"] == [trade["exec_id"]]


def test_other_ends_of_an_order(talk: Talk) -> None:
    """Amended, canceled, expired, triggered."""
    connection = entered(talk)
    (answer,) = add(talk, connection, cl_ord_id="abc")
    reports(talk, connection)
    token = talk.token()
    talk.ask(
        connection, "amend_order", cl_ord_id="abc", limit_price=48000, order_qty=0.02, token=token
    )
    (amended,) = reports(talk, connection)
    assert (amended["exec_type"], amended["amended"], amended["limit_price"]) == (
        "amended",
        True,
        48000,
    )
    assert amended["cl_ord_id"] == "abc"
    talk.ask(connection, "cancel_order", order_id=[answer["result"]["order_id"]], token=token)
    (canceled,) = reports(talk, connection)
    assert (canceled["exec_type"], canceled["reason"]) == ("canceled", "User requested")
    until = "2023-11-14T22:13:31Z"
    add(talk, connection, time_in_force="gtd", expire_time=until)
    reports(talk, connection)
    talk.go_on(15)
    (expired,) = reports(talk, connection)
    assert (expired["exec_type"], expired["order_status"]) == ("expired", "expired")
    triggers = {"price": 49500, "price_type": "static", "reference": "last"}
    add(talk, connection, order_type="stop-loss", side="sell", triggers=triggers)
    (pending, _) = reports(talk, connection)
    assert pending["triggers"] == {
        "reference": "last", "price": 49500, "price_type": "static", "status": "untriggered"
    }  # fmt: skip
    talk.trade_at(495_000)
    talk.make(BUY, 494_000, 10**8)
    kinds = [each["exec_type"] for each in reports(talk, connection)]
    assert kinds[0] == "status"
    assert set(kinds[1:]) <= {"trade", "filled", "canceled"}


def test_only_what_was_asked_for(talk: Talk) -> None:
    """Without order_status only openings and ends; with ratecounter its count."""
    connection = entered(talk, order_status=False, ratecounter=True)
    add(talk, connection)
    (new,) = reports(talk, connection)
    assert new["exec_type"] == "new"
    assert new["ratecount"] == 1


def test_snapshots_of_orders_and_trades(talk: Talk) -> None:
    """What lives, and the last fills."""
    txid = talk.order(pair="XBTUSDT", type="buy", ordertype="limit", volume="0.01", price="49000")
    talk.order(pair="XBTUSDT", type="buy", ordertype="market", volume="0.01")
    _, (ack, orders, trades) = subscribe(talk, "executions", token=talk.token(), snap_trades=True)
    assert ack["result"] == {
        "channel": "executions", "snap_orders": True, "snap_trades": True, "maxratecount": ack["result"]["maxratecount"],
    }  # fmt: skip
    assert [each["order_id"] for each in orders["data"]] == [txid]
    assert [each["exec_type"] for each in trades["data"]] == ["trade"]
    assert (orders["sequence"], trades["sequence"]) == (1, 2)


def test_balances_by_transaction(talk: Talk) -> None:
    """Both sides of a trade under one reference, the fee apart; resting orders move nothing."""
    connection, (_, snapshot) = subscribe(talk, "balances", token=talk.token())
    assert {each["asset"]: each["balance"] for each in snapshot["data"]}["BTC"] == 10.0
    talk.told[connection].clear()
    add(talk, connection)
    assert not [f for f in talk.told[connection] if f.get("channel") == "balances"]
    add(talk, connection, order_type="market")
    (update,) = [f for f in talk.told[connection] if f.get("channel") == "balances"]
    btc, usdt = update["data"]
    assert (btc["asset"], btc["amount"], btc["balance"]) == ("BTC", 0.01, 10.01)
    assert (usdt["amount"], usdt["fee"]) == (-500.01, 1.300026)
    assert usdt["balance"] == pytest.approx(1_000_000 - 500.01 - 1.300026)
    assert btc["ref_id"] == usdt["ref_id"]
    assert talk.result("QueryTrades", txid=btc["ref_id"])


def test_tokens(talk: Talk) -> None:
    """Good for fifteen minutes, or for ever once used; of a key's rights."""
    connection = talk.connect()
    used, unused = talk.token(), talk.token()
    talk.ask(connection, "subscribe", channel="executions", token=used)
    talk.go_on(TOKEN_S + 1)
    other = talk.connect()
    told = talk.ask(other, "subscribe", channel="balances", token=unused)
    assert told[0]["error"] == "ESession:Invalid session"
    assert talk.ask(other, "subscribe", channel="balances", token=used)[0]["success"]
    denied = talk.ask(other, "cancel_all", token=talk.token(READ_KEY))
    assert denied[0]["error"] == "EGeneral:Permission denied"
    assert talk.ask(other, "cancel_all")[0]["error"] == "Token(s) not found"
    assert talk.wire.account_of(other) == "main"


def test_requests_that_do_something(talk: Talk) -> None:
    """edit_order, batches, cancels, the dead man's switch."""
    connection, token = talk.connect(), talk.token()
    (answer,) = add(talk, connection)
    old = answer["result"]["order_id"]
    (edited,) = talk.ask(
        connection, "edit_order", order_id=old, symbol=SYMBOL, limit_price=48000.5, token=token
    )
    assert edited["result"]["original_order_id"] == old
    rows = [
        {
            "order_type": "limit",
            "side": "buy",
            "order_qty": qty,
            "limit_price": 48000,
            "cl_ord_id": name,
        }
        for qty, name in ((0.01, "a"), (60, "b"))
    ]
    (batch,) = talk.ask(connection, "batch_add", symbol=SYMBOL, orders=rows, token=token)
    assert batch["result"][0]["cl_ord_id"] == "a"
    assert batch["result"][1] == {
        "error": "EOrder:Insufficient funds",
        "success": False,
        "cl_ord_id": "b",
    }
    (told,) = talk.ask(
        connection,
        "batch_cancel",
        orders=[edited["result"]["order_id"]],
        cl_ord_id=["a"],
        token=token,
    )
    assert told["result"] == {"count": 2}
    first, second = talk.ask(
        connection, "cancel_order", order_id=[old, "ONONON-ONONO-NONONO"], token=token
    )
    assert {first["error"], second["error"]} == {"EOrder:Unknown order"}
    (told,) = talk.ask(connection, "cancel_all_orders_after", timeout=60, token=token)
    assert told["result"]["triggerTime"] > told["result"]["currentTime"]
    (told,) = talk.ask(connection, "cancel_all", token=token)
    assert told["result"] == {"count": 0}


def test_order_types_of_the_stream(talk: Talk) -> None:
    """Triggers by distance, icebergs, closing orders, volumes in the quote asset."""
    connection = entered(talk)
    for more in (
        {"order_type": "trailing-stop", "side": "sell", "triggers": {"price": 2, "price_type": "pct"}},
        {"order_type": "trailing-stop-limit", "side": "sell", "limit_price": -10.5,
         "triggers": {"price": 500, "price_type": "quote"}},
        {"order_type": "take-profit-limit", "side": "sell", "limit_price": 51000,
         "triggers": {"price": 3, "price_type": "pct", "reference": "index"}},
        {"order_type": "iceberg", "order_qty": 1, "display_qty": 0.2},
        {"conditional": {"order_type": "take-profit", "trigger_price": 5, "trigger_price_type": "pct"}},
        {"order_type": "market", "cash_order_qty": 100.5, "order_qty": 0.1},
        {"post_only": True, "fee_preference": "quote", "stp_type": "cancel_oldest"},
    ):  # fmt: skip
        (answer,) = add(talk, connection, **more)
        assert answer["success"], (more, answer)
        pending = reports(talk, connection)[0]
        assert pending["order_type"] == more.get("order_type", "limit")
    assert len(talk.result("OpenOrders")["open"]) == 6


def test_a_second_subscription_is_refused(talk: Talk) -> None:
    """And one can leave and come back."""
    connection, _ = subscribe(talk, "book")
    (told,) = talk.ask(connection, "subscribe", channel="book", symbol=[SYMBOL])
    assert (told["error"], told["symbol"]) == ("Already subscribed", SYMBOL)
    (told,) = talk.ask(connection, "unsubscribe", channel="book", symbol=[SYMBOL])
    assert told["success"]
    talk.told[connection].clear()
    talk.make(BUY, 499_995, 10**7)
    assert talk.told[connection] == []
    assert len(talk.ask(connection, "subscribe", channel="book", symbol=[SYMBOL])) == 2


def test_failures_have_krakens_form(talk: Talk) -> None:
    """What the front makes fail is answered as Kraken would."""
    payload = b'{"method":"add_order","params":{},"req_id":9}'
    for failure in Failure:
        told = json.loads(talk.wire.refused(failure, payload, 3))
        assert (told["success"], told["req_id"], told["method"]) == (False, 9, "add_order")
        assert told["error"].startswith("E")
    assert talk.wire.refused(Failure.BANNED, b"no json", 0) == b""


def test_a_gone_connection_is_forgotten(talk: Talk) -> None:
    """Its orders stay; nothing is sent to it."""
    connection = entered(talk)
    talk.ask(connection, "subscribe", channel="book", symbol=[SYMBOL])
    add(talk, connection)
    talk.wire.disconnected(connection)
    talk.told[connection].clear()
    talk.make(BUY, 499_995, 10**7)
    talk.go_on(3)
    assert talk.told[connection] == []
    assert talk.wire.frame(connection, b"{}", talk.now_ns) == []
    assert len(talk.result("OpenOrders")["open"]) == 1
    assert talk.wire.due_ns() > talk.now_ns + SECOND
