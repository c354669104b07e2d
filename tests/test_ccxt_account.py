"""The pure half of trading through ccxt, fed by hand: what its structures say, and what they must not."""

import msgspec
import pytest

from engine.instruments import Instrument
from engine.messages import (
    BUY,
    Answer,
    OrderIntent,
    OrderState,
    TimeInForce,
)
from engine.venues.ccxt_calls import Work
from engine.venues.ccxt_trading import CcxtTrading
from engine.venues.handler import Malformed
from engine.venues.trading import (
    BalancesSeen,
    CallFailed,
    ClockSeen,
    Effect,
    FillSeen,
    FillsSeen,
    OpenOrdersSeen,
    OrderMissing,
    OrderRef,
    OrderSeen,
    Request,
    StreamReady,
    TransferSeen,
)

NOW = 1_700_000_000_000_000_000
NAME = "ab" + "1" * 16
MARKET = Instrument(
    0, 0, "BTC/USDT", "BTC", "USDT", "0.01", "0.00001", base_decimals=8, quote_decimals=8
)
Value = dict[str, object]


def trading(exchange: str = "gemini") -> CcxtTrading:
    """One market; BNB is an asset that only fees are paid in."""
    return CcxtTrading(exchange, [MARKET], {0: "BTC/USDT"}, {"BNB": 8})


def work_of(request: Request) -> Work:
    """What the edge will do."""
    return msgspec.msgpack.decode(request.payload, type=Work)


def answer(*results: object, status: int = 200, failure: str = "", requests: int = 1) -> Answer:
    """An answer of the edge."""
    payload = str(results[0]).encode() if failure else msgspec.json.encode(results)
    headers = (("requests", str(requests)),) if failure else ()
    return Answer(0, 1, NOW, 0, 1, status, payload, headers, failure)


def intent(**fields: object) -> OrderIntent:
    """0.5 BTC at 99.95."""
    given_fields = {"time_in_force": TimeInForce.GTC} | fields
    tif = given_fields.pop("time_in_force")
    return OrderIntent(
        1,
        1,
        0,
        NAME,
        1,
        1,
        1,
        0,
        0,
        BUY,
        9_995,
        50_000,
        tif,
        0,
        **given_fields,  # type: ignore[arg-type]
    )


def order(**fields: object) -> Value:
    """ccxt's structure of that order, as the edge gives it."""
    told: Value = {"id": "7", "clientOrderId": NAME, "symbol": "BTC/USDT", "side": "buy"}
    told |= {"price": "99.95", "amount": "0.5", "filled": "0", "status": "open"}
    return {name: value for name, value in (told | fields).items() if value is not None}


def trade(**fields: object) -> Value:
    """A trade of it."""
    told: Value = {"id": "3", "order": "7", "symbol": "BTC/USDT", "side": "buy", "price": "99.95"}
    told |= {"amount": "0.25", "takerOrMaker": "maker", "timestamp": 1_700_000_000_123}
    told |= {"fee": {"cost": "0.0002", "currency": "BNB"}}
    return {name: value for name, value in (told | fields).items() if value is not None}


def created(made: CcxtTrading) -> Request:
    """The request that places it."""
    return made.create(intent(), NOW, NOW + 500_000_000)


# --- orders -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "state", "filled"),
    [
        ({}, OrderState.ACKNOWLEDGED, 0),
        ({"status": None, "amount": None, "price": None, "side": None}, OrderState.ACKNOWLEDGED, 0),
        ({"status": "closed", "filled": None}, OrderState.ACKNOWLEDGED, 0),
        ({"filled": "0.25"}, OrderState.PARTLY_FILLED, 25_000),
        ({"status": "closed", "filled": "0.5"}, OrderState.FILLED, 50_000),
        ({"status": "closed", "filled": "0.25"}, OrderState.CANCELLED, 25_000),
        ({"status": "canceled", "filled": "0.25"}, OrderState.CANCELLED, 25_000),
        ({"status": "expired"}, OrderState.EXPIRED, 0),
        ({"status": "rejected"}, OrderState.REJECTED, 0),
    ],
)
def test_what_an_answer_to_a_create_says(fields: Value, state: OrderState, filled: int) -> None:
    """As much as it does; what it leaves out is what was asked for."""
    made = trading()
    (seen,) = made.answered(created(made), answer(order(**fields)))
    assert isinstance(seen, OrderSeen)
    assert seen[:6] == (NAME, "7", 0, BUY, 9_995, 50_000)
    assert (seen.state, seen.filled_lots) == (state, filled)


def test_an_answer_without_an_order_places_nothing_for_certain() -> None:
    """Nor is it certain that nothing was placed."""
    made = trading()
    (seen,) = made.answered(created(made), answer({}))
    assert isinstance(seen, CallFailed)
    assert seen.effect is Effect.POSSIBLE


def test_a_cancel_that_says_little_says_nothing() -> None:
    """A state without what was filled is not the end of an order."""
    made = trading()
    request = made.cancel(OrderRef(NAME, "7", 0), NOW)
    assert made.answered(request, answer({"id": "7", "status": "canceled"})) == []
    assert made.answered(request, answer({})) == []
    (seen,) = made.answered(request, answer(order(status="canceled", filled="0.1")))
    assert isinstance(seen, OrderSeen)
    assert (seen.state, seen.filled_lots) == (OrderState.CANCELLED, 10_000)


def test_an_order_is_missing_only_where_no_list_has_it() -> None:
    """The lists are searched for our id; an exception that says so is as good."""
    made = trading("kraken")
    request = made.query(OrderRef(NAME, "", 0), NOW)
    other = order(clientOrderId="another", id="8")
    (found,) = made.answered(request, answer([other], [order(status="canceled")]))
    assert isinstance(found, OrderSeen)
    assert found.state is OrderState.CANCELLED
    assert made.answered(request, answer([other], [])) == [OrderMissing(NAME, 0)]
    said = answer("no", status=400, failure="OrderNotFound")
    assert made.answered(request, said) == [OrderMissing(NAME, 0)]
    said = answer("EOrder:Unknown order", failure="InvalidOrder")
    assert made.answered(request, said) == [OrderMissing(NAME, 0)]
    (failed,) = made.answered(request, answer("?", failure="ExchangeError"))
    assert isinstance(failed, CallFailed)


def test_orders_of_others() -> None:
    """Are told as they are: of a market that is not ours, off our grid, without a price."""
    made = trading()
    (request,) = made.open_orders(NOW)
    foreign = [
        order(id="1", clientOrderId=None, symbol="DOGE/USDT"),
        order(id="2", clientOrderId="their own", price="99.955", amount="0.0000019"),
        order(id="3", clientOrderId=None, price=None, side="sell"),
    ]
    (seen,) = made.answered(request, answer(foreign))
    assert isinstance(seen, OpenOrdersSeen)
    assert [(o.instrument, o.client_order_id, o.ticks, o.lots) for o in seen.orders] == [
        (-1, "", 0, 0),
        (0, "their own", 9_995, 0),
        (0, "", 0, 50_000),
    ]
    assert seen.complete


def test_a_list_that_may_go_on_is_not_complete() -> None:
    """Where the exchange's page is not known, a full smallest page may be one of several."""
    orders = [order(id=str(number), clientOrderId=None) for number in range(20)]
    for exchange, complete in (("gemini", False), ("binance", True)):
        made = trading(exchange)
        (seen,) = made.answered(made.open_orders(NOW)[0], answer(orders))
        assert isinstance(seen, OpenOrdersSeen)
        assert seen.complete is complete


def test_reports_that_leave_out_what_was_said_before() -> None:
    """Kraken's stream names market, side and size once."""
    made = trading("kraken")
    told = {"watch": "orders", "data": [order(id="OX")]}
    made.heard(msgspec.json.encode(told))
    brief = {"id": "OX", "status": "canceled", "filled": "0.1"}
    copy = trading("kraken")
    copy.restore(made.snapshot())
    for each in (made, copy):
        (seen,) = each.heard(msgspec.json.encode({"watch": "orders", "data": [brief]}))
        assert isinstance(seen, OrderSeen)
        assert seen[:7] == (NAME, "OX", 0, BUY, 9_995, 50_000, 10_000)
        assert seen.state is OrderState.CANCELLED
    unknown = {"watch": "orders", "data": [brief | {"id": "OY"}]}
    assert list(made.heard(msgspec.json.encode(unknown))) == []


# --- fills ------------------------------------------------------------------------------------------


def test_a_trade_says_whose_it_is_by_its_order() -> None:
    """Where the order was seen; the venue's number of it is told in any case."""
    made = trading()
    request = made.fills(0, NOW, 0, NOW)
    (page,) = made.answered(request, answer([trade()]))
    assert isinstance(page, FillsSeen)
    assert (page.fills[0].client_order_id, page.fills[0].venue_order_id) == ("", "7")
    made.answered(created(made), answer(order()))
    (page,) = made.answered(request, answer([trade()]))
    assert isinstance(page, FillsSeen)
    (fill,) = page.fills
    assert fill == FillSeen(
        NAME, "7", 0, BUY, 9_995, 25_000, 20_000, "BNB", "BTC/USDT-3", True, NOW + 123_000_000
    )
    assert (page.instrument, page.through_ns, page.more) == (0, 0, None)


def test_a_trade_off_our_grid_is_not_rounded() -> None:
    """It is money: our grid is wrong, and that is said."""
    made = trading()
    for fields in ({"price": "99.955"}, {"amount": "0.000001"}, {"id": None}, {"side": "none"}):
        with pytest.raises(Malformed):
            made.answered(made.fills(0, NOW, 0, NOW), answer([trade(**fields)]))


def test_pages_of_trades_go_on() -> None:
    """From the last one on; never for ever where a page cannot hold one millisecond."""
    made = trading("gemini")
    request = made.fills(0, NOW, 0, NOW)
    since_ms = work_of(request).since_ms
    trades = [trade(id=str(n), timestamp=since_ms + n) for n in range(20)]
    (page,) = made.answered(request, answer(trades))
    assert isinstance(page, FillsSeen)
    assert page.more is not None
    assert page.through_ns == (since_ms + 19) * 10**6
    assert work_of(page.more).calls[0].args[:2] == ("BTC/USDT", since_ms + 19)
    same = [trade(id=str(n), timestamp=since_ms + 19) for n in range(20)]
    (last,) = made.answered(page.more, answer(same))
    assert isinstance(last, FillsSeen)
    assert last.more is None


def test_krakens_pages_begin_with_the_newest() -> None:
    """The whole account at once; nothing is known through a time before the last page is there."""
    made = trading("kraken")
    request = made.fills(-1, NOW, 0, NOW)
    assert work_of(request).calls[0].params == {"ofs": 0}
    newest = [trade(id=str(n), timestamp=NOW // 10**6 + n) for n in range(50)]
    (page,) = made.answered(request, answer(newest))
    assert isinstance(page, FillsSeen)
    assert page.more is not None
    assert page.through_ns <= NOW
    assert work_of(page.more).calls[0].params == {"ofs": 50}
    (last,) = made.answered(page.more, answer(newest[:3]))
    assert isinstance(last, FillsSeen)
    assert last.more is None


# --- money, clock, stream ---------------------------------------------------------------------------


def test_balances_are_of_our_assets() -> None:
    """To the unit; what is not told is not said to be nothing."""
    made = trading()
    told = {"total": {"BTC": "0.123456789", "BNB": "5"}, "free": {"BTC": "0.1"}, "timestamp": 5}
    (seen,) = made.answered(made.balances(NOW), answer(told))
    assert seen == BalancesSeen((("BTC", 12_345_678, 10_000_000),), 5_000_000)


def test_transfers() -> None:
    """Deposits come and withdrawals go with their fees; trades are told by fills, not here."""
    made = trading("binance")
    (request,) = made.transfers(NOW, NOW)
    deposit = {"id": "d", "currency": "BTC", "amount": "1", "type": "deposit", "status": "ok"}
    going = {"id": "w", "currency": "USDT", "amount": "10", "type": "withdrawal", "status": "ok"}
    fee = {"cost": "0.5", "currency": "USDT"}
    waiting = deposit | {"id": "x", "status": "pending"}
    news = made.answered(request, answer([deposit, waiting], [going | {"fee": fee}]))
    assert news == [
        TransferSeen("BTC", 10**8, "d", "deposit", 0),
        TransferSeen("USDT", -1_050_000_000, "w", "withdrawal", 0),
    ]
    made = trading("kraken")
    (request,) = made.transfers(NOW, NOW)
    ledger = [
        {"id": "L1", "currency": "BTC", "amount": "1", "type": "trade", "direction": "in"},
        {"id": "L2", "currency": "BTC", "amount": "2", "type": "transaction", "direction": "out"},
    ]
    (seen,) = made.answered(request, answer(ledger))
    assert seen == TransferSeen("BTC", -2 * 10**8, "L2", "transaction", 0)
    assert trading("gemini").transfers(NOW, NOW) == ()


def test_clocks() -> None:
    """Milliseconds; Kraken's seconds are cut, so the middle of one is taken."""
    for exchange, extra in (("binance", 0), ("kraken", 500_000_000)):
        made = trading(exchange)
        request = made.clock()
        assert request is not None
        assert made.answered(request, answer(5_000)) == [ClockSeen(5_000_000_000 + extra)]
    assert trading("gemini").clock() is None


def test_frames() -> None:
    """Orders, trades, balances, and that all is told from here on; anything else is malformed."""
    made = trading()
    assert list(made.heard(b'{"watch":"ready"}')) == [StreamReady()]
    (fill,) = made.heard(msgspec.json.encode({"watch": "trades", "data": [trade()]}))
    assert isinstance(fill, FillSeen)
    told = {"watch": "balance", "data": {"total": {"BTC": "1"}, "free": {}}}
    assert list(made.heard(msgspec.json.encode(told))) == [
        BalancesSeen((("BTC", 10**8, 10**8),), 0)
    ]
    for payload in (b"", b"{}", b'{"watch":"news"}', b'{"watch":"orders","data":{}}', b"[1]"):
        with pytest.raises(Malformed):
            made.heard(payload)
