"""Private answers and frames, spoilt: they are read or refused, and stop nothing."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.messages import Answer, CallKind
from engine.venues.binance_trading import BinanceTrading
from engine.venues.handler import Malformed
from engine.venues.kraken_trading import KrakenTrading
from engine.venues.trading import OrderRef, Request
from tests import test_binance_trading as binance
from tests import test_kraken_executions as channel
from tests import test_kraken_trading as kraken
from tests.fuzz.frames import spoilt
from tests.test_fuzz import EDITS

NOW = binance.NOW
Trading = BinanceTrading | KrakenTrading
ORDER = {
    "symbol": "LTCBTC", "orderId": 1, "clientOrderId": "a", "price": "0.1", "origQty": "1.0",
    "executedQty": "0.5", "status": "NEW", "side": "BUY", "transactTime": 1,
    "fills": [{"price": "0.1", "qty": "0.5", "commission": "0", "commissionAsset": "BTC", "tradeId": 3}],
}  # fmt: skip
REPORT = {
    "e": "executionReport", "E": 1, "s": "LTCBTC", "c": "a", "C": "", "S": "BUY", "q": "1.0", "p": "0.1",
    "x": "TRADE", "X": "FILLED", "i": 1, "l": "1.0", "z": "1.0", "L": "0.1", "n": "0.1", "N": "BTC",
    "T": 5, "t": 3, "m": True,
}  # fmt: skip
POSITION = {"e": "outboundAccountPosition", "u": 7, "B": [{"a": "BTC", "f": "1.0", "l": "0.5"}]}
KRAKEN_ORDER = {
    "status": "open", "vol": "1.0", "vol_exec": "0.5", "opentm": 1.5, "cl_ord_id": "a",
    "descr": {"pair": "XBTUSDT", "type": "buy", "price": "1.0"},
}  # fmt: skip
ENTRY = {"asset": "XXBT", "amount": "1", "fee": "0", "time": 1.5, "type": "deposit"}
REF = OrderRef("a", "", 0)


def answers(protocol: str) -> tuple[Trading, list[tuple[Request, Any]]]:
    """A protocol, and a good answer to each of its requests."""
    if protocol == "binance":
        asked = binance.asked
        account = {"updateTime": 1, "balances": [{"asset": "BTC", "free": "1", "locked": "0"}]}
        return binance.make(), [
            (asked(CallKind.CREATE), ORDER),
            (asked(CallKind.QUERY), ORDER),
            (asked(CallKind.CANCEL_ALL), [ORDER, {"contingencyType": "OCO"}]),
            (asked(CallKind.OPEN_ORDERS), [ORDER]),
            (asked(CallKind.FILLS), [binance.row(1, 5)]),
            (asked(CallKind.BALANCES), account),
        ]
    trading = kraken.make()
    results: list[tuple[Request, Any]] = [
        (trading.query(REF, NOW), {"open": {"OA": KRAKEN_ORDER}}),
        (trading.open_orders(NOW)[0], {"open": {"OA": KRAKEN_ORDER}}),
        (trading.fills(-1, NOW, 0, NOW), {"trades": kraken.trades(3, 0), "count": 3}),
        (trading.balances(NOW), {"XXBT": {"balance": "1.5", "hold_trade": "0.5"}}),
        (trading.transfers(NOW, NOW)[0], {"ledger": {"LA": ENTRY}, "count": 1}),
    ]
    return trading, [(request, {"error": [], "result": body}) for request, body in results]


def frames(protocol: str) -> list[bytes]:
    """Good frames of the private stream."""
    if protocol == "binance":
        events = [{"subscriptionId": 0, "event": event} for event in (REPORT, POSITION)]
        return [json.dumps(event).encode() for event in events]
    rows = (channel.PENDING, channel.BRIEF, channel.TRADE, channel.FILLED)
    return [channel.executions(*rows), channel.executions(channel.TRADE, sequence=2)]


@pytest.mark.parametrize("protocol", ["binance", "kraken"])
def test_a_spoilt_answer_is_read_or_refused(protocol: str) -> None:
    """Whatever its status; nothing else is raised."""
    trading, good = answers(protocol)
    other = json.dumps(good[-1][1]).encode()

    @given(st.sampled_from(good), EDITS, st.sampled_from([200, 200, 200, 400, 429, 503]))
    def fuzz(given_: tuple[Request, Any], edits: list[Any], status: int) -> None:
        request, body = given_
        payload = spoilt(json.dumps(body).encode(), edits, other)
        try:
            trading.answered(request, Answer(0, 1, 0, 0, 1, status, payload))
        except Malformed:
            return

    for request, body in good:
        assert trading.answered(request, Answer(0, 1, 0, 0, 1, 200, json.dumps(body).encode()))
    fuzz()


@pytest.mark.parametrize("protocol", ["binance", "kraken"])
def test_a_spoilt_frame_is_read_or_refused(protocol: str) -> None:
    """And what is kept can be written and read again."""
    good = frames(protocol)

    @given(st.lists(st.tuples(st.sampled_from(good), EDITS), max_size=4))
    def fuzz(told: list[tuple[bytes, list[Any]]]) -> None:
        trading, _ = answers(protocol)
        for frame, edits in told:
            try:
                trading.heard(spoilt(frame, edits, good[0]))
            except Malformed:
                continue
        other, _ = answers(protocol)
        other.restore(trading.snapshot())
        for frame in good:
            assert _heard(trading, frame) == _heard(other, frame)

    trading, _ = answers(protocol)
    assert all(trading.heard(frame) for frame in good)
    fuzz()


def _heard(trading: Trading, frame: bytes) -> object:
    try:
        return trading.heard(frame)
    except Malformed as error:
        return str(error)
