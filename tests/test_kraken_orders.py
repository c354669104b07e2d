"""Orders of every kind over Kraken's REST: what becomes of them, and what is said of them."""

from typing import Any

import pytest

from engine.exchange.faults import Faults
from engine.exchange.front import Front
from engine.exchange.orders import NewOrder
from engine.exchange.wires.kraken_words import id_of
from engine.exchange.wires.simulated import SimulatedWire
from engine.exchange.wires.wire import Outgoing
from ext.matching import BUY, LIMIT, MARKET, SELL, STOP
from tests.kraken_talk import SECOND, Talk, limit
from tests.served_venue import AtOnce

PAIR = "XBTUSDT"
MANY = 1_000_000


@pytest.fixture
def talk() -> Talk:
    """A fresh exchange."""
    return Talk()


def stop(word: str, price: str, **more: Any) -> dict[str, Any]:
    """A triggered sell."""
    return {
        "pair": PAIR,
        "type": "sell",
        "ordertype": word,
        "volume": "0.01",
        "price": price,
    } | more


def test_limit_order_rests_and_is_filled(talk: Talk) -> None:
    """It shows in OpenOrders, holds its money, and is closed by a trade."""
    txid = talk.order(**limit(cl_ord_id="mine"))
    view = talk.result("OpenOrders")["open"][txid]
    assert view["descr"]["order"] == "buy 0.01000000 XBTUSDT @ limit 49000.0"
    assert (view["status"], view["vol_exec"], view["cl_ord_id"]) == ("open", "0.00000000", "mine")
    held = talk.result("BalanceEx")["USDT"]["hold_trade"]
    assert float(held) == pytest.approx(490 * 1.0026)
    talk.trade_at(489_000)
    view = talk.view(txid)
    assert (view["status"], view["vol_exec"], view["price"]) == (
        "closed",
        "0.01000000",
        "49000.00000",
    )
    assert (view["cost"], view["fee"]) == ("490.0000000000", "0.7840000000")
    assert float(talk.result("BalanceEx")["USDT"]["hold_trade"]) == 0
    (trade,) = view["trades"]
    told = talk.result("QueryTrades", txid=trade)[trade]
    assert (told["ordertxid"], told["maker"], told["pair"]) == (txid, True, PAIR)


def test_market_order_takes_level_by_level(talk: Talk) -> None:
    """Its mean price is of all its fills."""
    txid = talk.order(pair=PAIR, type="buy", ordertype="market", volume="0.75")
    view = talk.view(txid)
    assert (view["status"], view["price"]) == ("closed", "50001.33333")
    assert len(view["trades"]) == 2
    assert view["descr"]["order"] == "buy 0.75000000 XBTUSDT @ market"


def test_volume_in_the_quote_asset(talk: Talk) -> None:
    """viqc buys for so much."""
    txid = talk.order(pair=PAIR, type="buy", ordertype="market", volume="1000", oflags="viqc")
    view = talk.view(txid)
    assert view["vol"] == "1000.0000000000"
    assert 999 < float(view["cost"]) <= 1000
    assert view["oflags"] == "viqc,fciq"


def test_immediate_or_cancel_and_fill_or_kill(talk: Talk) -> None:
    """What cannot trade at once is cancelled; all or nothing."""
    given = limit(price="50001", volume="1", timeinforce="IOC")
    view = talk.view(talk.order(**given))
    assert (view["status"], view["vol_exec"]) == ("canceled", "0.50000000")
    assert view["reason"] == "Immediate or cancel"
    view = talk.view(
        talk.order(**given | {"timeinforce": "FOK", "price": "50002", "volume": "0.6"})
    )
    assert (view["status"], view["vol_exec"], view["reason"]) == (
        "canceled",
        "0.00000000",
        "Fill or kill",
    )


@pytest.mark.parametrize("expires", ["+10", None])
def test_good_till_date(talk: Talk, expires: str | None) -> None:
    """It expires by the clock; the time is so many seconds ahead, or absolute."""
    at = expires or str(talk.now_ns // 10**9 + 10)
    txid = talk.order(**limit(timeinforce="GTD", expiretm=at))
    assert talk.view(txid)["expiretm"] == talk.now_ns // 10**9 + 10
    talk.go_on(9)
    assert talk.view(txid)["status"] == "open"
    talk.go_on(2)
    assert (talk.view(txid)["status"], talk.view(txid)["reason"]) == ("expired", "Order expired")


def test_post_only(talk: Talk) -> None:
    """It is refused where it would take, and rests otherwise."""
    assert talk.error("AddOrder", **limit(price="50001", oflags="post")) == "EOrder:Post only order"
    assert talk.view(talk.order(**limit(oflags="post")))["oflags"] == "post,fciq"


def test_iceberg_shows_a_part(talk: Talk) -> None:
    """The book has what it displays."""
    given = limit(ordertype="iceberg", volume="1", price="49999.5", displayvol="0.1")
    txid = talk.order(**given)
    (best, *_) = talk.public("Depth", pair=PAIR)["result"][PAIR]["bids"]
    assert best[:2] == ["49999.50000", "0.10000000"]
    talk.take(SELL, 25_000_000)
    assert talk.view(txid)["vol_exec"] == "0.25000000"
    assert (
        talk.error("AddOrder", **given | {"displayvol": "0.01"})
        == "EGeneral:Invalid arguments:displayvol"
    )


@pytest.mark.parametrize(
    ("word", "price", "price2", "at", "words"),
    [
        ("stop-loss", "49000", "", 490_000, "stop loss 49000.0"),
        ("stop-loss-limit", "49000", "48900", 490_000, "stop loss 49000.0 -> limit 48900.0"),
        ("take-profit", "51000", "", 510_000, "take profit 51000.0"),
        ("take-profit-limit", "51000", "50500", 510_000, "take profit 51000.0 -> limit 50500.0"),
        ("stop-loss", "-2%", "", 490_000, "stop loss -2.0000%"),
        ("stop-loss", "#1000", "", 490_000, "stop loss #1000.0"),
        ("take-profit", "#1000", "", 510_000, "take profit #1000.0"),
    ],
)
def test_triggered_orders(
    talk: Talk, word: str, price: str, price2: str, at: int, words: str
) -> None:
    """They wait, at a price or a distance from the last trade, and become what they are then."""
    given = stop(word, price) | ({"price2": price2} if price2 else {})
    txid = talk.order(**given)
    view = talk.view(txid)
    assert (view["status"], view["stopprice"]) == ("open", f"{at / 10:.5f}")
    assert view["descr"]["order"] == f"sell 0.01000000 XBTUSDT @ {words}"
    talk.trade_at((at + 500_000) // 2)
    assert talk.view(txid)["misc"] == ""
    talk.make(BUY, at - 100, 10**8)
    talk.trade_at(at)
    view = talk.view(txid)
    assert (view["status"], view["misc"]) == ("closed", "stopped" if word[0] == "s" else "touched")


@pytest.mark.parametrize(("price", "falls_to"), [("+1000", 505_000), ("+2%", 504_700)])
def test_trailing_stop_follows_the_best_price(talk: Talk, price: str, falls_to: int) -> None:
    """It is triggered a distance below the highest trade since."""
    txid = talk.order(**stop("trailing-stop", price))
    assert talk.view(txid)["descr"]["price"] == ("+1000.0" if price == "+1000" else "+2.0000%")
    talk.trade_at(515_000)
    talk.trade_at(falls_to + 500)
    assert talk.view(txid)["status"] == "open"
    talk.make(BUY, falls_to - 300, 10**8)
    talk.trade_at(falls_to)
    assert talk.view(txid)["status"] == "closed"


def test_trailing_stop_limit_keeps_its_distance(talk: Talk) -> None:
    """Its limit moves with the trigger, and stays where it was when it was triggered."""
    txid = talk.order(**stop("trailing-stop-limit", "+1000", price2="-50"))
    assert talk.view(txid)["limitprice"] == "48950.00000"
    talk.trade_at(515_000)
    assert talk.view(txid)["limitprice"] == "50450.00000"
    talk.trade_at(510_000)
    assert talk.view(txid)["limitprice"] == "50450.00000"
    talk.trade_at(505_000)
    view = talk.view(txid)
    assert (view["misc"], view["limitprice"]) == ("stopped", "50450.00000")


def test_closing_orders_come_with_each_fill(talk: Talk) -> None:
    """One of the other side for each, as big as the fill; they name what they came from."""
    close = {"ordertype": "stop-loss-limit", "price": "48000", "price2": "47900"}
    answer = talk.result("AddOrder", **limit(volume="1", close=close))
    assert answer["descr"]["close"] == "close position @ stop loss 48000.0 -> limit 47900.0"
    (txid,) = answer["txid"]
    for _ in range(2):
        talk.trade_at(490_000)
        talk.take(SELL, 20_000_000)
    open_orders = talk.result("OpenOrders")["open"]
    closing = [view for view in open_orders.values() if view["refid"] == txid]
    fills = talk.result("QueryOrders", txid=txid, trades="true")[txid]["trades"]
    assert len(closing) == len(fills) >= 2
    for view in closing:
        assert view["descr"]["type"] == "sell"
        assert view["descr"]["ordertype"] == "stop-loss-limit"
    assert sum(float(view["vol"]) for view in closing) == pytest.approx(
        float(talk.view(txid)["vol_exec"])
    )


def test_validate_places_nothing(talk: Talk) -> None:
    """It only says what it would have taken, or why not."""
    assert "txid" not in talk.result("AddOrder", **limit(validate="true"))
    assert (
        talk.error("AddOrder", **limit(validate="true", volume="50")) == "EOrder:Insufficient funds"
    )
    assert talk.result("OpenOrders") == {"open": {}}


def test_self_trades_cancel_the_newest_by_default(talk: Talk) -> None:
    """Kraken's default, and the two others."""
    for mode, ends in (("", "new"), ("cancel-oldest", "old"), ("cancel-both", "both")):
        old = talk.order(**limit(price="50000.5"))
        given = {"pair": PAIR, "type": "sell", "ordertype": "limit", "volume": "0.01"}
        stp = {"stptype": mode} if mode else {}
        new = talk.order(**given, price="50000.5", **stp)
        states = [talk.view(each)["status"] == "canceled" for each in (old, new)]
        assert states == [ends in ("old", "both"), ends in ("new", "both")]
        talk.result("CancelAll")


# --- changes --------------------------------------------------------------------------------------


def test_amend_keeps_the_order(talk: Talk) -> None:
    """Price and volume change, the id does not; what is filled is never taken back."""
    txid = talk.order(**limit(volume="1"))
    amend = talk.result("AmendOrder", txid=txid, limit_price="49500", order_qty="0.8")
    assert amend["amend_id"].startswith("T")
    view = talk.view(txid)
    assert (view["vol"], view["descr"]["price"], view["misc"]) == (
        "0.80000000",
        "49500.0",
        "amended",
    )
    talk.trade_at(495_000)
    talk.take(SELL, 30_000_000)
    done = float(talk.view(txid)["vol_exec"])
    assert 0 < done < 0.8
    talk.result("AmendOrder", txid=txid, order_qty=f"{done / 2:.8f}")
    view = talk.view(txid)
    assert (view["status"], float(view["vol_exec"])) == ("canceled", done)


def test_amend_post_only(talk: Talk) -> None:
    """A price that would take is refused on demand."""
    txid = talk.order(**limit())
    given = {"txid": txid, "limit_price": "50001", "post_only": "true"}
    assert talk.error("AmendOrder", **given) == "EOrder:Post only order"
    assert talk.view(txid)["descr"]["price"] == "49000.0"
    talk.result("AmendOrder", **given | {"post_only": "false"})
    assert talk.view(txid)["status"] == "closed"


def test_edit_places_another(talk: Talk) -> None:
    """The old order is cancelled; the new one has the numbers that were given."""
    txid = talk.order(**limit(userref="5", oflags="post"))
    answer = talk.result("EditOrder", pair=PAIR, txid=txid, price="49100", volume="0.02")
    assert answer["originaltxid"] == txid
    assert answer["orders_cancelled"] == 1
    assert talk.view(txid)["status"] == "canceled"
    view = talk.view(answer["txid"])
    assert (view["vol"], view["descr"]["price"], view["userref"]) == ("0.02000000", "49100.0", 5)
    assert view["oflags"] == "post,fciq"


def test_edit_with_the_money_that_the_order_holds(talk: Talk) -> None:
    """What the old order held pays for the new; more than that is refused, and the old one stays."""
    txid = talk.order(**limit(volume="20"))
    assert talk.error("EditOrder", pair=PAIR, txid=txid, volume="30") == "EOrder:Insufficient funds"
    assert talk.view(txid)["status"] == "open"
    answer = talk.result("EditOrder", pair=PAIR, txid=txid, volume="20.3", price="48000")
    assert talk.view(answer["txid"])["status"] == "open"


# --- cancels --------------------------------------------------------------------------------------


def test_cancel_by_every_name(talk: Talk) -> None:
    """Kraken's id, the client's id, the numeric tag, a batch of them, all."""
    one = talk.order(**limit())
    assert talk.result("CancelOrder", txid=one) == {"count": 1}
    assert talk.error("CancelOrder", txid=one) == "EOrder:Unknown order"
    talk.order(**limit(cl_ord_id="by-name"))
    assert talk.result("CancelOrder", cl_ord_id="by-name") == {"count": 1}
    for _ in range(3):
        talk.order(**limit(userref="77"))
    assert talk.result("CancelOrder", txid="77") == {"count": 3}
    ids = [talk.order(**limit()) for _ in range(3)]
    talk.order(**limit(cl_ord_id="last"))
    batch = talk.private("CancelOrderBatch", {"orders": ids[:2]}, as_json=True)
    assert batch["result"] == {"count": 2}
    assert talk.result("CancelAll") == {"count": 2}
    assert talk.result("OpenOrders") == {"open": {}}


@pytest.mark.parametrize("way", ["CancelOrderBatch", "cancel_order", "batch_cancel"])
def test_orders_that_end_with_one_before_them_keep_none_alive(talk: Talk, way: str) -> None:
    """Two of a group, which another wire placed, and one by itself: all are gone after one cancel."""
    falls = NewOrder(0, SELL, MARKET, MANY, trigger=STOP, trigger_ticks=490_000, group=-1)
    rises = NewOrder(0, SELL, LIMIT, MANY, 510_000, group=-1)
    group = talk.exchange.place_list("main", (falls, rises), talk.now_ns)
    ids = [*(id_of("O", order.number) for order in group), talk.order(**limit())]
    if way == "CancelOrderBatch":
        assert talk.result(way, orders=ids) == {"count": 2}
    else:
        names = {"orders" if way == "batch_cancel" else "order_id": ids}
        told = talk.ask(talk.connect(), way, token=talk.token(), **names)
        assert [each["success"] for each in told if each.get("method") == way].count(True) in (1, 2)
    assert talk.result("OpenOrders") == {"open": {}}


def test_dead_mans_switch(talk: Talk) -> None:
    """Everything is cancelled unless the client goes on asking; 0 takes it back."""
    txid = talk.order(**limit())
    talk.result("CancelAllOrdersAfter", timeout="5")
    talk.go_on(3)
    told = talk.result("CancelAllOrdersAfter", timeout="5")
    assert told["triggerTime"] > told["currentTime"]
    talk.go_on(4)
    assert talk.view(txid)["status"] == "open"
    talk.go_on(2)
    assert talk.view(txid)["status"] == "canceled"


def test_what_the_switch_cancels_is_told_at_once(talk: Talk) -> None:
    """Where nothing else happens in the market, and on another wire too."""
    wires = {"kraken": talk.wire, "simulated": SimulatedWire(talk.exchange)}
    front = Front(talk.exchange, wires, AtOnce(), Faults(1, "alpha"))
    front.connect(1, "simulated", "/", "", talk.now_ns)
    front.receive(1, b'{"op":"login","account":"main"}', talk.now_ns)
    talk.order(**limit())
    talk.result("CancelAllOrdersAfter", timeout="5")
    front.do(lambda now_ns: None, talk.now_ns)
    front.advance(talk.now_ns)
    out = front.advance(talk.now_ns + 5 * SECOND)
    assert [each.connection for each in out if isinstance(each, Outgoing)] == [1]
    other = talk.order(**limit())
    talk.result("CancelAllOrdersAfter", timeout="5")
    assert talk.result("CancelAllOrdersAfter", timeout="0")["triggerTime"] == "0"
    talk.go_on(10)
    assert talk.view(other)["status"] == "open"


def test_batch_places_what_it_can(talk: Talk) -> None:
    """One that cannot be paid is refused alone; one that cannot be read spoils all."""
    rows = [limit(volume=volume) for volume in ("0.01", "20", "20")]
    for row in rows:
        del row["pair"]
    answer = talk.private("AddOrderBatch", {"pair": PAIR, "orders": rows}, as_json=True)
    orders = answer["result"]["orders"]
    assert ["txid" in each for each in orders] == [True, True, False]
    assert orders[2] == {"error": "EOrder:Insufficient funds"}
    rows[1]["ordertype"] = "maybe"
    bad = talk.private("AddOrderBatch", {"pair": PAIR, "orders": rows}, as_json=True)
    assert bad == {"error": ["EGeneral:Invalid arguments:ordertype"]}
    assert len(talk.result("OpenOrders")["open"]) == 2
