"""Private requests of the venues that are spoken to natively: from what is wanted to what is sent.

A `Trading` writes a `NativeCall` or a `NativeFrame` into a request's payload: what to ask, in plain
words, without a secret. Whoever sends it - the edge over sockets, a simulation in process - turns it
here into the very bytes, signed. A nonce and a token belong to the sender.
"""

from typing import Final, NamedTuple, Protocol

import msgspec

from engine.venues.signing import sign_binance, sign_kraken

Params = tuple[tuple[str, str], ...]
PLAIN: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")
FORM: Final = "application/x-www-form-urlencoded"
HEADERS_TOLD: Final = (
    "retry-after",
    "x-mbx-used-weight-1m",
    "x-mbx-order-count-10s",
    "x-mbx-order-count-1d",
)
"""The headers of an answer that say something of limits."""


class Secret(Protocol):
    """A text that has to be asked for."""

    def reveal(self) -> str:
        """The text."""


class Keys(Protocol):
    """What an account is asked with."""

    @property
    def key(self) -> Secret:
        """Whose it is."""

    @property
    def secret(self) -> Secret:
        """What is signed with."""


class NativeCall(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A call over HTTP: its parameters in order, and whether our keys sign it."""

    method: str
    path: str
    params: Params = ()
    signed: bool = True


class NativeFrame(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A frame of the private connection; who sends it signs it, or adds the token, where it must be."""

    body: bytes
    signed: bool = False


class HttpCall(NamedTuple):
    """A call as it is sent; `path` is without the address, header names are lower-case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class PrivateEndpoint(NamedTuple):
    """Where an account is asked, and its stream; `path` is that stream's below a simulated venue."""

    rest: str
    stream: str
    path: str
    ping: bytes = b""
    ping_every_s: float = 0.0
    silence_s: float = 30.0


ENDPOINTS: Final[dict[str, PrivateEndpoint]] = {
    "binance": PrivateEndpoint(
        "https://api.binance.com", "wss://ws-api.binance.com:443/ws-api/v3", "/ws-api/v3"
    ),
    "kraken": PrivateEndpoint(
        "https://api.kraken.com",
        "wss://ws-auth.kraken.com/v2",
        "/v2",
        ping=b'{"method":"ping"}',
        ping_every_s=20.0,
        silence_s=10.0,
    ),
}
"""Where each protocol is served by its exchange."""

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[NativeCall | NativeFrame] = msgspec.msgpack.Decoder(
    NativeCall | NativeFrame
)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])

encode = _ENCODER.encode


def decode(payload: bytes) -> NativeCall | NativeFrame:
    """What a request's payload asks for; raises ValueError for another protocol's."""
    return _DECODER.decode(payload)


def call_of(payload: bytes) -> NativeCall:
    """The same where only a call is possible; raises ValueError."""
    found = decode(payload)
    if not isinstance(found, NativeCall):
        raise ValueError("a frame where a call was expected")
    return found


def form(params: Params) -> str:
    """Parameters as they stand in a query or a body."""
    return "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in params)


def _quoted(text: str) -> str:
    return "".join(chr(b) if b in PLAIN else f"%{b:02X}" for b in text.encode())


def http_call(protocol: str, call: NativeCall, keys: Keys | None, nonce: int) -> HttpCall:
    """A call as it is sent; the nonce is Kraken's, greater than any before. Raises BadSecret.

    Without keys a signed call is a mistake of the caller's: ValueError.
    """
    if not call.signed:
        return HttpCall(call.method, call.path, form(call.params), {}, b"")
    if keys is None:
        raise ValueError(f"{call.path} is signed, and there are no keys")
    if protocol == "binance":
        query = form(call.params)
        signature = sign_binance(keys.secret.reveal(), query)
        headers = {"x-mbx-apikey": keys.key.reveal()}
        return HttpCall(call.method, call.path, f"{query}&signature={signature}", headers, b"")
    body = form((("nonce", str(nonce)), *call.params)).encode()
    headers = {
        "api-key": keys.key.reveal(),
        "api-sign": sign_kraken(keys.secret.reveal(), call.path, str(nonce), body),
        "content-type": FORM,
    }
    return HttpCall(call.method, call.path, "", headers, body)


def token_call(protocol: str) -> NativeCall | None:
    """The call whose answer opens the private stream; None where the keys alone do."""
    return NativeCall("POST", "/0/private/GetWebSocketsToken") if protocol == "kraken" else None


class _Token(msgspec.Struct):
    token: str


class _TokenAnswer(msgspec.Struct):
    error: list[str] = []
    result: _Token | None = None


_TOKEN = msgspec.json.Decoder(_TokenAnswer)


def token_of(payload: bytes) -> str:
    """The token in the answer; raises ValueError with what the venue said instead."""
    answer = _TOKEN.decode(payload)
    if answer.result is None:
        raise ValueError(", ".join(answer.error) or "no token")
    return answer.result.token


def frame_bytes(protocol: str, frame: NativeFrame, keys: Keys | None, token: str) -> bytes:
    """A frame as it is sent: Binance's with key and signature, Kraken's with the token."""
    if not frame.signed:
        return frame.body
    fields = _FIELDS.decode(frame.body)
    params = _FIELDS.decode(fields.get("params", msgspec.Raw(b"{}")))
    if protocol == "kraken":
        params["token"] = msgspec.Raw(msgspec.json.encode(token))
    elif keys is None:
        raise ValueError("the stream's subscription is signed, and there are no keys")
    else:
        params["apiKey"] = msgspec.Raw(msgspec.json.encode(keys.key.reveal()))
        # Over the values as text, in the order of their names.
        said = {name: str(msgspec.json.decode(params[name])) for name in sorted(params)}
        payload = "&".join(f"{name}={value}" for name, value in said.items())
        signature = sign_binance(keys.secret.reveal(), payload)
        params["signature"] = msgspec.Raw(msgspec.json.encode(signature))
    return msgspec.json.encode({**fields, "params": params})
