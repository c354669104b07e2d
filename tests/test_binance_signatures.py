"""Binance's signatures: the examples that it documents for its REST and WebSocket interfaces.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/request-security and
https://developers.binance.com/docs/binance-spot-api-docs/websocket-api/request-security
"""

import msgspec
import pytest

from engine.exchange.wires.binance import BinanceWire
from engine.exchange.wires.binance_keys import signature_of
from engine.exchange.wires.binance_params import form, json_params, signed_text, unsigned
from engine.exchange.wires.wire import Call
from tests.binance_server import BEGIN, KEY, PATIENT, SECRET, make_exchange

EXAMPLE_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
EXAMPLE_SECRET = b"NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
HEAD = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC"
TAIL = "quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
WIDE = "symbol=%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96"
WHOLE = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
MIXED = "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77"
NOT_ASCII = "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3"
SOCKET = "cc15477742bd704c29492d96c7ead9414dfd8e0ec4a00f947bb5bb454ddbd08a"


@pytest.mark.parametrize(
    ("query", "body", "signature"),
    [
        ("", f"{HEAD}&{TAIL}", WHOLE),
        (f"{HEAD}&{TAIL}", "", WHOLE),
        (HEAD, TAIL, MIXED),
        (f"{HEAD}&{TAIL}".replace("symbol=LTCBTC", WIDE), "", NOT_ASCII),
    ],
    ids=["body", "query", "mixed", "not ascii"],
)
def test_documented_rest_examples(query: str, body: str, signature: str) -> None:
    """The payload is the query and the body as they came, one after the other, less the signature."""
    for signed_query, signed_body in (
        (f"{query}&signature={signature}" if query else query, body),
        (query, f"{body}&signature={signature}" if body else body),
    ):
        payload = unsigned(signed_query) + unsigned(signed_body)
        assert payload == query + body
        assert signature_of(payload, EXAMPLE_SECRET) == signature


def test_a_form_is_decoded_after_it_was_signed() -> None:
    """Percent signs belong to the signature and not to the value."""
    assert form(WIDE) == {"symbol": "".join(chr(0xFF10 + digit) for digit in range(1, 7))}
    assert form("a=%5B%22X%22%5D&b=1+2&c=%zz&d=") == {"a": '["X"]', "b": "1 2", "c": "%zz", "d": ""}


def test_documented_websocket_example() -> None:
    """All parameters but the signature, in order of their names."""
    params = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.01000000",
        "price": "52000.00",
        "newOrderRespType": "ACK",
        "recvWindow": 100,
        "timestamp": 1645423376532,
        "apiKey": EXAMPLE_KEY,
        "signature": SOCKET,
    }
    sent = json_params(msgspec.json.encode(params))
    assert signature_of(signed_text(sent), EXAMPLE_SECRET) == SOCKET


def ask(query: str, key: str = KEY, now_ns: int = BEGIN) -> tuple[int, dict[str, object]]:
    """GET /account with a query string."""
    wire = BinanceWire(make_exchange(), PATIENT)
    headers = {"x-mbx-apikey": key} if key else {}
    answer = wire.call(Call("GET", "/api/v3/account", query, headers, b""), now_ns)
    return answer.status, msgspec.json.decode(answer.body)


def signed(query: str) -> str:
    """With the client's signature."""
    return f"{query}&signature={signature_of(query, SECRET.encode())}"


NOW_MS = BEGIN // 1_000_000
GOOD = f"recvWindow=5000&timestamp={NOW_MS}"


@pytest.mark.parametrize(
    ("query", "key", "status", "code"),
    [
        (signed(GOOD), KEY, 200, None),
        (f"{GOOD}&signature={signature_of(GOOD, SECRET.encode()).upper()}", KEY, 200, None),
        (signed(f"timestamp={NOW_MS}"), KEY, 200, None),
        (signed(f"timestamp={NOW_MS * 1000}"), KEY, 200, None),
        (signed(GOOD), "", 401, -2014),
        (signed(GOOD), "a key with spaces", 401, -2014),
        (signed(GOOD), "z" * 64, 401, -2015),
        (GOOD, KEY, 400, -1102),
        (signed("recvWindow=5000"), KEY, 400, -1102),
        (signed("timestamp=yesterday"), KEY, 400, -1100),
        (signed(f"timestamp={NOW_MS}&recvWindow=60001"), KEY, 400, -1131),
        (signed(f"timestamp={NOW_MS}&recvWindow=60000.5"), KEY, 400, -1131),
        (signed(f"timestamp={NOW_MS - 5001}"), KEY, 400, -1021),
        (signed(f"timestamp={NOW_MS - 5000}"), KEY, 200, None),
        (signed(f"timestamp={NOW_MS + 1000}"), KEY, 400, -1021),
        (signed(f"timestamp={NOW_MS + 999}"), KEY, 200, None),
        (f"{GOOD}&signature={'0' * 64}", KEY, 400, -1022),
        (f"{GOOD}&signature=nonsense", KEY, 400, -1022),
        (signed(GOOD) + "&omitZeroBalances=true", KEY, 400, -1022),
        (f"timestamp={NOW_MS - 9000}&signature={'0' * 64}", KEY, 400, -1021),
    ],
)
def test_who_may_ask(query: str, key: str, status: int, code: int | None) -> None:
    """The form of the key, then the parameters, the key itself, the time, and the signature last."""
    found, body = ask(query, key)
    assert (found, body.get("code")) == (status, code), body


def test_a_clock_ahead_is_told_from_one_behind() -> None:
    """Both are -1021; the messages differ."""
    behind = ask(signed(f"timestamp={NOW_MS - 6000}"))[1]["msg"]
    ahead = ask(signed(f"timestamp={NOW_MS + 6000}"))[1]["msg"]
    assert behind == "Timestamp for this request is outside of the recvWindow."
    assert ahead == "Timestamp for this request was 1000ms ahead of the server's time."
