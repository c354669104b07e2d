"""Bad calls of every kind to Kraken's REST: the documented error, and nothing has changed."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.exchange.wires.wire import Call
from ext.matching import AUCTION, CLOSED, HALTED
from tests.kraken_server import KEY, POOR_KEY, READ_KEY
from tests.kraken_talk import OTHER_SECRET, Talk, limit

WORDS = re.compile(r"E(API|General|Order|Query|Service|Trade|Funding|Session):[A-Za-z].*")
ARGUMENTS = "EGeneral:Invalid arguments"


TABLE: list[tuple[str, dict[str, Any], str]] = [
    ("AddOrder", limit(pair=""), f"{ARGUMENTS}:pair"),
    ("AddOrder", limit(pair="XBTFOO"), "EQuery:Unknown asset pair"),
    ("AddOrder", limit(pair="XBT USD"), "EQuery:Invalid asset pair"),
    ("AddOrder", limit(type="hold"), f"{ARGUMENTS}:type"),
    ("AddOrder", limit(ordertype="best"), f"{ARGUMENTS}:ordertype"),
    ("AddOrder", limit(ordertype="settle-position"), "EOrder:Unknown position"),
    ("AddOrder", limit(volume=""), f"{ARGUMENTS}:volume"),
    ("AddOrder", limit(volume="0"), f"{ARGUMENTS}:volume"),
    ("AddOrder", limit(volume="-1"), f"{ARGUMENTS}:volume"),
    ("AddOrder", limit(volume="0.000000001"), f"{ARGUMENTS}:volume"),
    ("AddOrder", limit(volume="1e30"), f"{ARGUMENTS}:volume"),
    ("AddOrder", limit(volume="0.00001"), "EOrder:Order minimum not met"),
    ("AddOrder", limit(volume="0.0001", price="100"), "EOrder:Cost minimum not met"),
    ("AddOrder", limit(volume="50"), "EOrder:Insufficient funds"),
    ("AddOrder", limit(price=""), f"{ARGUMENTS}:price"),
    ("AddOrder", limit(price="0"), f"{ARGUMENTS}:price"),
    ("AddOrder", limit(price="5%"), f"{ARGUMENTS}:price"),
    ("AddOrder", limit(price="1e30"), f"{ARGUMENTS}:price"),
    ("AddOrder", limit(price="9" * 30), "EOrder:Invalid price"),
    ("AddOrder", limit(price="-99999999"), "EOrder:Invalid price"),
    ("AddOrder", limit(price="49000.01"), "EOrder:Invalid price:XBTUSDT price can only be specified up to 1 decimals."),
    ("AddOrder", limit(pair="XDGUSDT", price="0.09997", volume="100"), "EOrder:Tick size check failed"),
    ("AddOrder", limit(price="50001", oflags="post"), "EOrder:Post only order"),
    ("AddOrder", limit(oflags="post", timeinforce="IOC"), f"{ARGUMENTS}:oflags"),
    ("AddOrder", limit(oflags="fcib,fciq"), f"{ARGUMENTS}:oflags"),
    ("AddOrder", limit(oflags="cheap"), f"{ARGUMENTS}:oflags"),
    ("AddOrder", limit(oflags="viqc"), f"{ARGUMENTS}:viqc"),
    ("AddOrder", limit(timeinforce="GTX"), f"{ARGUMENTS}:timeinforce"),
    ("AddOrder", limit(timeinforce="GTD"), f"{ARGUMENTS}:expiretm"),
    ("AddOrder", limit(timeinforce="GTD", expiretm="1"), f"{ARGUMENTS}:expiretm"),
    ("AddOrder", limit(timeinforce="GTD", expiretm="+9999999"), f"{ARGUMENTS}:expiretm"),
    ("AddOrder", limit(expiretm="soon"), f"{ARGUMENTS}:expiretm"),
    ("AddOrder", limit(starttm="+60"), "EOrder:Scheduled orders limit exceeded"),
    ("AddOrder", limit(deadline="tomorrow"), f"{ARGUMENTS}:deadline"),
    ("AddOrder", limit(deadline="2030-01-01T00:00:00Z"), f"{ARGUMENTS}:deadline"),
    ("AddOrder", limit(deadline="2020-01-01T00:00:00Z"), "EService:Deadline elapsed"),
    ("AddOrder", limit(userref="x"), f"{ARGUMENTS}:userref"),
    ("AddOrder", limit(userref=str(1 << 31)), f"{ARGUMENTS}:userref"),
    ("AddOrder", limit(userref="1", cl_ord_id="a"), f"{ARGUMENTS}:cl_ord_id"),
    ("AddOrder", limit(cl_ord_id="a" * 19), f"{ARGUMENTS}:cl_ord_id"),
    ("AddOrder", limit(cl_ord_id="taken"), f"{ARGUMENTS}:cl_ord_id"),
    ("AddOrder", limit(stptype="cancel-all"), f"{ARGUMENTS}:stptype"),
    ("AddOrder", limit(leverage="3"), "EOrder:Cannot open position"),
    ("AddOrder", limit(reduce_only="true"), "EOrder:Reduce only:No position exists"),
    ("AddOrder", limit(reduce_only="maybe"), f"{ARGUMENTS}:reduce_only"),
    ("AddOrder", limit(displayvol="0.001"), f"{ARGUMENTS}:displayvol"),
    ("AddOrder", limit(ordertype="iceberg"), f"{ARGUMENTS}:displayvol"),
    ("AddOrder", limit(ordertype="stop-loss", price=""), f"{ARGUMENTS}:price"),
    ("AddOrder", limit(ordertype="stop-loss-limit"), f"{ARGUMENTS}:price2"),
    ("AddOrder", limit(ordertype="trailing-stop"), f"{ARGUMENTS}:price"),
    ("AddOrder", limit(ordertype="trailing-stop", price="-5%"), f"{ARGUMENTS}:price"),
    ("AddOrder", limit(ordertype="trailing-stop", price="+0.001%"), f"{ARGUMENTS}:price"),
    ("AddOrder", limit(ordertype="trailing-stop", price="+100%"), f"{ARGUMENTS}:price"),
    ("AddOrder", limit(ordertype="stop-loss", trigger="mid"), f"{ARGUMENTS}:trigger"),
    ("AddOrder", limit(close={"ordertype": "market"}), f"{ARGUMENTS}:ordertype"),
    ("AddOrder", limit(close={"ordertype": "limit"}), f"{ARGUMENTS}:price"),
    ("AddOrder", limit(close="limit"), f"{ARGUMENTS}:close"),
    ("AddOrder", limit(validate="x"), f"{ARGUMENTS}:validate"),
    ("AddOrderBatch", {"pair": "XBTUSDT", "orders": [limit()]}, f"{ARGUMENTS}:orders"),
    ("AddOrderBatch", {"pair": "XBTUSDT", "orders": [limit()] * 16}, f"{ARGUMENTS}:orders"),
    ("AddOrderBatch", {"pair": "XBTUSDT", "orders": "a,b"}, f"{ARGUMENTS}:orders"),
    ("AddOrderBatch", {"pair": "XBTUSDT", "orders": [limit(), limit(price="x")]}, f"{ARGUMENTS}:price"),
    ("AmendOrder", {"txid": "LIVE"}, f"{ARGUMENTS}:order_qty"),
    ("AmendOrder", {"order_qty": "1"}, f"{ARGUMENTS}:txid"),
    ("AmendOrder", {"txid": "LIVE", "order_qty": "x"}, f"{ARGUMENTS}:order_qty"),
    ("AmendOrder", {"txid": "LIVE", "order_qty": "0.00001"}, "EOrder:Order minimum not met"),
    ("AmendOrder", {"txid": "LIVE", "order_qty": "50"}, "EOrder:Insufficient funds"),
    ("AmendOrder", {"txid": "LIVE", "limit_price": "49000.01"}, "EOrder:Invalid price:XBTUSDT price can only be specified up to 1 decimals."),
    ("AmendOrder", {"txid": "LIVE", "limit_price": "50001", "post_only": "true"}, "EOrder:Post only order"),
    ("AmendOrder", {"txid": "LIVE", "trigger_price": "50001"}, "EOrder:Invalid order"),
    ("AmendOrder", {"txid": "LIVE", "limit_price": "48000", "deadline": "2020-01-01T00:00:00Z"}, "EService:Deadline elapsed"),
    ("AmendOrder", {"txid": "OAAAAA-AAAAA-AAAAAA", "order_qty": "1"}, "EOrder:Unknown order"),
    ("AmendOrder", {"cl_ord_id": "nobody", "order_qty": "1"}, "EOrder:Unknown order"),
    ("EditOrder", {"pair": "ETHUSDT", "txid": "LIVE", "volume": "1"}, "EOrder:Unknown order"),
    ("EditOrder", {"pair": "XBTUSDT", "txid": "LIVE", "volume": "50"}, "EOrder:Insufficient funds"),
    ("EditOrder", {"pair": "XBTUSDT", "txid": "LIVE", "price": "x"}, f"{ARGUMENTS}:price"),
    ("EditOrder", {"pair": "XBTUSDT", "txid": "LIVE", "oflags": "x"}, f"{ARGUMENTS}:oflags"),
    ("EditOrder", {"pair": "XBTUSDT", "txid": "NAMED", "price": "48000"}, "EOrder:Invalid order"),
    ("CancelOrder", {}, f"{ARGUMENTS}:txid"),
    ("CancelOrder", {"txid": "OAAAAA-AAAAA-AAAAAA"}, "EOrder:Unknown order"),
    ("CancelOrder", {"txid": "12345"}, "EOrder:Unknown order"),
    ("CancelOrder", {"txid": "--5"}, "EOrder:Unknown order"),
    ("CancelOrder", {"txid": "\u00b2"}, "EOrder:Unknown order"),
    ("CancelOrder", {"cl_ord_id": "nobody"}, "EOrder:Unknown order"),
    ("CancelOrderBatch", {"orders": []}, f"{ARGUMENTS}:orders"),
    ("CancelOrderBatch", {"orders": ["1"] * 51}, f"{ARGUMENTS}:orders"),
    ("CancelOrderBatch", {"orders": ["x", "y"]}, "EOrder:Unknown order"),
    ("CancelAllOrdersAfter", {}, f"{ARGUMENTS}:timeout"),
    ("CancelAllOrdersAfter", {"timeout": "-1"}, f"{ARGUMENTS}:timeout"),
    ("CancelAllOrdersAfter", {"timeout": "999999"}, f"{ARGUMENTS}:timeout"),
    ("QueryOrders", {}, f"{ARGUMENTS}:txid"),
    ("QueryOrders", {"txid": "x"}, "EOrder:Invalid order"),
    ("QueryOrders", {"txid": ",".join(["x"] * 51)}, f"{ARGUMENTS}:txid"),
    ("QueryTrades", {"txid": "x"}, "EQuery:Unknown trade"),
    ("QueryLedgers", {"id": "x"}, "EQuery:Unknown ledger"),
    ("ClosedOrders", {"start": "x"}, f"{ARGUMENTS}:start"),
    ("ClosedOrders", {"closetime": "never"}, f"{ARGUMENTS}:closetime"),
    ("TradesHistory", {"ofs": "-1"}, f"{ARGUMENTS}:ofs"),
    ("Ledgers", {"type": "gift"}, f"{ARGUMENTS}:type"),
    ("Ledgers", {"asset": "FOO"}, "EQuery:Unknown asset"),
    ("TradeVolume", {"pair": "FOO"}, "EQuery:Unknown asset pair"),
    ("DepositMethods", {"asset": "FOO"}, "EQuery:Unknown asset"),
    ("Withdraw", {"asset": "XXBT", "key": "x", "amount": "1"}, "EFunding:Unknown withdraw key"),
    ("Nothing", {}, "EGeneral:Unknown method"),
]  # fmt: skip


@pytest.fixture(scope="module")
def used() -> tuple[Talk, dict[str, str]]:
    """An exchange with two orders, one with a client's id; no test changes it."""
    talk = Talk()
    return talk, {"LIVE": talk.order(**limit()), "NAMED": talk.order(**limit(cl_ord_id="taken"))}


@pytest.mark.parametrize(("name", "params", "error"), TABLE)
def test_rest(
    used: tuple[Talk, dict[str, str]], name: str, params: dict[str, Any], error: str
) -> None:
    """A request and what it is refused with, as a form and as JSON."""
    talk, ids = used
    given_params = {key: ids.get(str(value), value) for key, value in params.items()}
    before = talk.audit()
    for as_json in (False, True):
        if as_json or params.get("orders") != []:
            told = talk.private(name, given_params, as_json=as_json)
            assert told == {"error": [error]}
    assert talk.audit() == before


PUBLIC = [
    ("Ticker", {"pair": "FOO"}, "EQuery:Unknown asset pair"),
    ("Depth", {}, f"{ARGUMENTS}:pair"),
    ("Depth", {"pair": "XBTUSDT", "count": "0"}, f"{ARGUMENTS}:count"),
    ("Trades", {"pair": "XBTUSDT", "since": "x"}, f"{ARGUMENTS}:since"),
    ("Trades", {"pair": "XBTUSDT", "count": "2000"}, f"{ARGUMENTS}:count"),
    ("OHLC", {"pair": "XBTUSDT", "interval": "7"}, f"{ARGUMENTS}:interval"),
    ("Assets", {"asset": "FOO"}, "EQuery:Unknown asset"),
    ("AssetPairs", {"info": "all"}, f"{ARGUMENTS}:info"),
    ("Nothing", {}, "EGeneral:Unknown method"),
]


@pytest.mark.parametrize(("name", "params", "error"), PUBLIC)
def test_public_rest(name: str, params: dict[str, str], error: str) -> None:
    """The same without a key."""
    assert Talk().public(name, **params) == {"error": [error]}


def test_keys_and_nonces() -> None:
    """Who asks is found out before anything else, and a used nonce is used up."""
    talk = Talk()
    before = talk.audit()
    for more, error in (
        ({"key": "nobody"}, "EAPI:Invalid key"),
        ({"key": ""}, "EAPI:Invalid key"),
        ({"secret": OTHER_SECRET}, "EAPI:Invalid signature"),
        ({"nonce": ""}, "EAPI:Invalid nonce"),
        ({"nonce": "-5"}, "EAPI:Invalid nonce"),
        ({"nonce": "1.5"}, "EAPI:Invalid nonce"),
        ({"nonce": str(1 << 64)}, "EAPI:Invalid nonce"),
        ({"key": READ_KEY}, "EGeneral:Permission denied"),
        ({"key": POOR_KEY}, "EOrder:Insufficient funds"),
    ):
        assert talk.private("AddOrder", limit(), **more) == {"error": [error]}, more
    assert talk.audit() == before
    assert talk.private("Balance", nonce=1000)["error"] == []
    for nonce in (999, 1000):
        assert talk.private("Balance", nonce=nonce)["error"] == ["EAPI:Invalid nonce"]
    assert talk.private("Balance", nonce=1001)["error"] == []
    unsigned = Call("POST", "/0/private/Balance", "", {"api-key": KEY}, b"nonce=2000")
    answer = json.loads(talk.wire.call(unsigned, talk.now_ns).body)
    assert answer == {"error": ["EAPI:Invalid signature"]}


def test_markets_that_do_not_trade() -> None:
    """Each mode has its word; cancels pass in all of them."""
    talk = Talk()
    for phase, error in (
        (HALTED, "EService:Market in cancel_only mode"),
        (CLOSED, "EService:Market in cancel_only mode"),
    ):
        txid = talk.order(**limit())
        talk.exchange.set_phase(0, phase, talk.now_ns)
        assert talk.error("AddOrder", **limit()) == error
        assert talk.public("AssetPairs")["result"]["XBTUSDT"]["status"] == "cancel_only"
        assert talk.result("CancelOrder", txid=txid) == {"count": 1}
        talk.exchange.set_phase(0, 1, talk.now_ns)
    talk.exchange.set_phase(0, AUCTION, talk.now_ns)
    given_params = {"pair": "XBTUSDT", "type": "buy", "ordertype": "market", "volume": "0.01"}
    assert talk.error("AddOrder", **given_params) == "EService:Market in limit_only mode"
    assert talk.order(**limit())


@pytest.mark.parametrize("depth", [6, 300, 700, 5000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_deep_bodies(depth: int, opening: str, closing: str) -> None:
    """No body is so deep that it is not answered."""
    talk = Talk()
    body = f'{{"nonce":1,"pair":{opening * depth}1{closing * depth}}}'.encode()
    headers = {"api-key": KEY, "content-type": "application/json"}
    answer = talk.wire.call(Call("POST", "/0/private/AddOrder", "", headers, body), talk.now_ns)
    assert json.loads(answer.body) == {"error": ["EAPI:Bad request"]}
    form = ("pair" + "[a]" * depth + "=1").encode()
    answer = talk.wire.call(Call("POST", "/0/private/AddOrder", "", {}, form), talk.now_ns)
    assert json.loads(answer.body) == {"error": ["EAPI:Bad request"]}


# --- any mutation of good requests ----------------------------------------------------------------

JUNK = st.sampled_from(
    ["", " ", "x", "0", "-1", "+1", "1e400", "1e-400", "nan", "Infinity", "1" * 70, "0x10", "é", "%", "+%",
     "#", "1.", ".5", "true", "null", "a" * 5000, "\x00", "1,2", "-0", "999999999999", "1_000", "\uff11"]
)  # fmt: skip
GOOD: list[tuple[str, dict[str, Any]]] = [
    ("AddOrder", limit(cl_ord_id="a", deadline="2023-11-14T22:13:31Z", stptype="cancel-both")),
    ("AddOrder", limit(ordertype="stop-loss-limit", price2="48000", userref="1", trigger="last")),
    ("AddOrder", limit(ordertype="trailing-stop-limit", price="+5%", price2="-1", type="sell")),
    ("AddOrder", limit(ordertype="iceberg", displayvol="0.001", oflags="post", expiretm="+60")),
    (
        "AddOrder",
        limit(close={"ordertype": "stop-loss-limit", "price": "48000", "price2": "47000"}),
    ),
    ("AddOrderBatch", {"pair": "XBTUSDT", "orders": [limit(), limit()], "validate": "false"}),
    (
        "AmendOrder",
        {"txid": "LIVE", "order_qty": "0.02", "limit_price": "48000", "post_only": "true"},
    ),
    ("EditOrder", {"pair": "XBTUSDT", "txid": "LIVE", "price": "48000", "volume": "0.02"}),
    ("CancelOrder", {"txid": "LIVE"}),
    ("CancelOrderBatch", {"orders": ["LIVE", "1"], "cl_ord_ids": ["a"]}),
    ("CancelAllOrdersAfter", {"timeout": "60"}),
    ("OpenOrders", {"trades": "true", "userref": "5", "cl_ord_id": "x"}),
    ("ClosedOrders", {"start": "1", "end": "2", "ofs": "0", "closetime": "both", "trades": "true"}),
    ("QueryOrders", {"txid": "LIVE", "trades": "true"}),
    ("TradesHistory", {"start": "1", "end": "2000000000", "ofs": "0"}),
    ("Ledgers", {"asset": "XXBT", "type": "all", "start": "1", "ofs": "0"}),
    ("TradeVolume", {"pair": "XBTUSDT"}),
]
ODD = st.sampled_from(
    [None, 0, -1, 1e300, 1e-300, 10**50, True, [], [None], [[1]], {}, {"0": None}]
)
Step = st.tuples(st.sampled_from(["drop", "set", "more", "nest"]), st.integers(0, 9), JUNK | ODD)


def mutated(params: dict[str, Any], steps: list[tuple[str, int, Any]]) -> dict[str, Any]:
    """A request with some of it changed."""
    made = dict(params)
    for what, place, junk in steps:
        names = sorted(made) or ["pair"]
        name = names[place % len(names)]
        if what == "drop":
            made.pop(name, None)
        elif what == "set":
            made[name] = junk
        elif what == "nest":
            made[name] = {"a": junk, "ordertype": "limit"}
        else:
            made[f"more{place}"] = junk
    return made


@settings(max_examples=120)
@given(
    which=st.sampled_from(GOOD), steps=st.lists(Step, min_size=1, max_size=4), as_json=st.booleans()
)
def test_any_mutation_is_answered(
    which: tuple[str, dict[str, Any]], steps: Any, as_json: bool
) -> None:
    """It is done, or refused in Kraken's words and then nothing has changed; the books always balance."""
    talk = Talk()
    live = talk.order(**limit())
    name, params = which
    params = json.loads(json.dumps(params).replace("LIVE", live))
    before = talk.audit()
    told = talk.private(name, mutated(params, steps), as_json=as_json)
    if told["error"]:
        (error,) = told["error"]
        assert WORDS.fullmatch(error)
        assert talk.audit() == before
    else:
        talk.audit()


@settings(max_examples=120)
@given(
    body=st.binary(max_size=200) | ODD.map(lambda odd: json.dumps(odd).encode()),
    kind=st.sampled_from(["application/json", "", "text/html"]),
    path=st.text(max_size=20),
)
def test_any_bytes_are_answered(body: bytes, kind: str, path: str) -> None:
    """Calls that mean nothing."""
    talk = Talk()
    for place in (f"/0/private/{path}", "/0/private/AddOrder", path):
        call = Call("POST", place, path, {"api-key": KEY, "content-type": kind}, body)
        answer = talk.wire.call(call, talk.now_ns)
        (error,) = json.loads(answer.body)["error"]
        assert WORDS.fullmatch(error)
