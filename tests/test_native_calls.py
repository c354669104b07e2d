"""Private requests as they are sent: the signatures that the exchanges document, and no secret elsewhere."""

import msgspec
import pytest

from engine.edges.secrets import Keys, Secret
from engine.exchange.accounts import credentials
from engine.venues.binance_trading import BinanceTrading
from engine.venues.kraken_trading import KrakenTrading
from engine.venues.native_calls import (
    NativeCall,
    NativeFrame,
    call_of,
    decode,
    encode,
    form,
    frame_bytes,
    http_call,
    token_call,
    token_of,
)
from engine.venues.signing import BadSecret, sign_binance, sign_kraken
from tests import binance_server, kraken_server
from tests.native_desk import intent, trading_of
from tests.test_binance_signatures import EXAMPLE_KEY, EXAMPLE_SECRET, NOT_ASCII, SOCKET, WHOLE
from tests.test_kraken_signatures import BODY, SIGNED
from tests.test_kraken_signatures import SECRET as KRAKEN_SECRET

BINANCE = Keys(Secret(EXAMPLE_KEY), Secret(EXAMPLE_SECRET.decode()), Secret(""))
KRAKEN = Keys(Secret("key"), Secret(KRAKEN_SECRET.decode()), Secret(""))
ORDER = (
    ("symbol", "LTCBTC"),
    ("side", "BUY"),
    ("type", "LIMIT"),
    ("timeInForce", "GTC"),
    ("quantity", "1"),
    ("price", "0.1"),
    ("recvWindow", "5000"),
    ("timestamp", "1499827319559"),
)


def test_binance_signs_the_query_as_documented() -> None:
    """The documentation's order, and its symbol that is not ASCII, percent signs included."""
    call = http_call("binance", NativeCall("POST", "/api/v3/order", ORDER), BINANCE, 0)
    assert call.query == f"{form(ORDER)}&signature={WHOLE}"
    assert call[:2] == ("POST", "/api/v3/order")
    assert call.headers == {"x-mbx-apikey": EXAMPLE_KEY}
    assert call.body == b""
    wide = (("symbol", "\uff11\uff12\uff13\uff14\uff15\uff16"), *ORDER[1:])
    call = http_call("binance", NativeCall("POST", "/api/v3/order", wide), BINANCE, 0)
    assert call.query.endswith(f"&signature={NOT_ASCII}")


def test_binance_signs_a_frame_as_documented() -> None:
    """Parameters in order of their names, the key among them."""
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
    }
    body = msgspec.json.encode({"id": 1, "method": "order.place", "params": params})
    sent = msgspec.json.decode(frame_bytes("binance", NativeFrame(body, True), BINANCE, ""))
    assert sent["params"] == {**params, "apiKey": EXAMPLE_KEY, "signature": SOCKET}
    assert (sent["id"], sent["method"]) == (1, "order.place")


def test_kraken_signs_path_nonce_and_body_as_documented() -> None:
    """The example of the documentation."""
    params = (
        ("ordertype", "limit"),
        ("pair", "XBTUSD"),
        ("price", "37500"),
        ("type", "buy"),
        ("volume", "1.25"),
    )
    call = NativeCall("POST", "/0/private/AddOrder", params)
    sent = http_call("kraken", call, KRAKEN, 1616492376594)
    assert sent.body == BODY
    assert sent.headers["api-sign"] == SIGNED
    assert sent.headers["api-key"] == "key"
    assert sent.headers["content-type"] == "application/x-www-form-urlencoded"
    assert sent.query == ""


def test_a_token_goes_into_frames_of_kraken_that_are_private() -> None:
    """And into no other."""
    body = b'{"method":"subscribe","req_id":1,"params":{"channel":"executions"}}'
    sent = msgspec.json.decode(frame_bytes("kraken", NativeFrame(body, True), KRAKEN, "t0ken"))
    assert sent["params"] == {"channel": "executions", "token": "t0ken"}
    bare = NativeFrame(b'{"method":"cancel_all","req_id":2}', True)
    sent = msgspec.json.decode(frame_bytes("kraken", bare, KRAKEN, "t0ken"))
    assert sent["params"] == {"token": "t0ken"}
    assert frame_bytes("kraken", NativeFrame(b'{"method":"ping"}'), KRAKEN, "t0ken") == (
        b'{"method":"ping"}'
    )


def test_what_opens_the_stream_is_asked_for() -> None:
    """Kraken's token; Binance has none. A refusal says why and holds no token."""
    assert token_call("binance") is None
    call = token_call("kraken")
    assert call is not None
    assert call.path == "/0/private/GetWebSocketsToken"
    assert token_of(b'{"error":[],"result":{"token":"t","expires":900}}') == "t"
    with pytest.raises(ValueError, match="EAPI:Invalid key"):
        token_of(b'{"error":["EAPI:Invalid key"]}')


def test_a_bad_secret_is_said_without_being_shown() -> None:
    """Not base64: the message names the form that is expected."""
    with pytest.raises(BadSecret, match="base64") as caught:
        sign_kraken("not base64!", "/0/private/Balance", "1", b"nonce=1")
    assert "not base64!" not in str(caught.value)
    assert sign_binance("any text does", "a=b")


def test_simulated_accounts_sign_for_both() -> None:
    """The keys that follow from names have the form of each exchange."""
    key, secret = credentials("demo", "main")
    ours = Keys(Secret(key), Secret(secret.decode()), Secret(""))
    for protocol in ("binance", "kraken"):
        assert http_call(protocol, NativeCall("POST", "/x", ()), ours, 1).headers


def test_a_public_call_bears_no_key() -> None:
    """The venue's time is asked as anybody asks it; what is signed needs keys."""
    call = http_call("binance", NativeCall("GET", "/api/v3/time", (), signed=False), BINANCE, 0)
    assert call == ("GET", "/api/v3/time", "", {}, b"")
    with pytest.raises(ValueError, match="no keys"):
        http_call("binance", NativeCall("GET", "/api/v3/account", ()), None, 0)


def test_no_payload_holds_a_secret() -> None:
    """Every request of both protocols, before it is signed."""
    for protocol, server in (("binance", binance_server), ("kraken", kraken_server)):
        trading = trading_of(protocol, server.instruments())
        assert isinstance(trading, BinanceTrading | KrakenTrading)
        order = trading.create(intent("ab0123456789abcdef", 10, 5), 10**18, 10**18 + 10**9)
        for request in (order, *trading.opened(10**18), trading.balances(10**18)):
            for secret in (server.KEY, server.SECRET):
                assert secret.encode() not in request.payload
            assert isinstance(decode(request.payload), NativeCall | NativeFrame)


def test_a_payload_of_another_kind_is_an_error() -> None:
    """Not ours, or a frame where a call was expected."""
    with pytest.raises(msgspec.DecodeError):
        decode(b"\xff\x00")
    with pytest.raises(ValueError, match="a frame where a call"):
        call_of(encode(NativeFrame(b"{}")))
