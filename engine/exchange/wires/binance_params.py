"""Parameters of Binance's requests: what each may be, and the errors of those that are not.

The same name means the same in every request, over HTTP and over the WebSocket API. A request is
looked at in this order: doubled, mandatory, empty, malformed, unknown parameters.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from engine.exchange.wires.binance_words import SIDES, STPS, TIFS, TYPES, Problem, wrong
from engine.exchange.wires.wire import UNREADABLE
from engine.units import split_decimal

LONG_MAX = (1 << 63) - 1
LONG = r"^[0-9]{1,20}$"
DECIMAL = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
SYMBOL = r"^[A-Z0-9-_.]{1,20}$"
SYMBOLS = r'^\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\]$'
CLIENT_ID = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"
ZONE = re.compile(r"^([+-]?\d{1,2})(?::(\d{2}))?$")
Values = dict[str, Any]


def _matching(pattern: str) -> Callable[[str, str], str]:
    legal = re.compile(pattern.replace("$", r"\Z"), re.ASCII)

    def read(name: str, text: str) -> str:
        if legal.match(text) is None:
            raise wrong(-1100, name, pattern)
        return text

    return read


_long_text = _matching(LONG)
_decimal = _matching(DECIMAL)  # stays text: the instrument turns it into ticks or lots, exactly
_symbols_text = _matching(SYMBOLS)


def _long(name: str, text: str) -> int:
    number = int(_long_text(name, text))
    if number > LONG_MAX:
        raise wrong(-1108, name)
    return number


def _window(name: str, text: str) -> int:
    """A recvWindow in ns; it may have three decimals of a millisecond."""
    digits, places = split_decimal(_decimal(name, text))
    if places > 3:
        raise wrong(-1111, name)
    return int(digits * 10 ** (6 - places))


def _flag(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise wrong(-1130, name)
    return text.lower() == "true"


def _symbols(name: str, text: str) -> list[str]:
    found: list[str] = msgspec.json.decode(_symbols_text(name, text), type=list[str])
    if len(set(found)) != len(found):
        raise wrong(-1151)
    return found


def _one_of(words: Iterable[str], code: int) -> Callable[[str, str], str]:
    allowed = frozenset(words)

    def read(name: str, text: str) -> str:
        if text not in allowed:
            raise wrong(code, *(name,) * (code == -1130))
        return text

    return read


def _any(name: str, text: str) -> str:
    if not text.isprintable() or len(text) > 4096:
        raise wrong(-1130, name)
    return text


def _zone(name: str, text: str) -> int:
    """A time zone as minutes."""
    match = ZONE.match(text)
    if match is None:
        raise wrong(-1130, name)
    hours, minutes = int(match[1]), int(match[2] or 0)
    offset = hours * 60 + (-minutes if match[1].startswith("-") else minutes)
    if not -720 <= offset <= 840 or minutes > 59:
        raise wrong(-1130, name)
    return offset


Reader = Callable[[str, str], Any]
_client_id, _symbol = _matching(CLIENT_ID), _matching(SYMBOL)
_type, _side, _tif = _one_of(TYPES, -1116), _one_of(SIDES, -1117), _one_of(TIFS, -1115)
READERS: dict[str, Reader] = {
    "symbol": _symbol,
    "symbols": _symbols,
    "recvWindow": _window,
    "timeZone": _zone,
    "side": _side,
    "type": _type,
    "timeInForce": _tif,
    "stopLimitTimeInForce": _tif,
    "tickerType": _one_of(("FULL", "MINI"), -1139),
    "symbolStatus": _one_of(("TRADING", "HALT", "BREAK", "END_OF_DAY"), -1122),
    "newOrderRespType": _one_of(("ACK", "RESULT", "FULL"), -1130),
    "selfTradePreventionMode": _one_of((*STPS, "TRANSFER"), -1130),
    "cancelRestrictions": _one_of(("ONLY_NEW", "ONLY_PARTIALLY_FILLED"), -1145),
    "cancelReplaceMode": _one_of(("STOP_ON_FAILURE", "ALLOW_FAILURE"), -1130),
    "orderRateLimitExceededMode": _one_of(("DO_NOTHING", "CANCEL_ONLY"), -1130),
    **dict.fromkeys("interval permissions windowSize apiKey signature listenKey".split(), _any),
    **dict.fromkeys("price quantity stopPrice quoteOrderQty icebergQty newQty".split(), _decimal),
    "stopLimitPrice": _decimal,
    **dict.fromkeys(
        "clientOrderId newClientOrderId origClientOrderId listClientOrderId "
        "cancelNewClientOrderId cancelOrigClientOrderId".split(),
        _client_id,
    ),
    **dict.fromkeys(
        "orderId orderListId cancelOrderId fromId startTime endTime limit timestamp strategyId "
        "strategyType trailingDelta preventedMatchId fromPreventedMatchId fromAllocationId "
        "subscriptionId".split(),
        _long,
    ),
    **dict.fromkeys(
        "omitZeroBalances computeCommissionRates showPermissionSets returnRateLimits".split(), _flag
    ),
}
LEGS = ("pendingAbove", "pendingBelow", "pending", "working", "above", "below", "limit", "stop")


def reader(name: str) -> Reader:
    """How a parameter is read: as its name says, for a leg of a list without the leg's."""
    found = READERS.get(name)
    for leg in () if found else LEGS:
        if name.startswith(leg):
            rest = name.removeprefix(leg)
            return READERS[rest[0].lower() + rest[1:]]
    return found or READERS[name]


class Parameter(NamedTuple):
    """One that a request may have."""

    name: str
    mandatory: bool
    read: Reader


def declared(text: str) -> dict[str, Parameter]:
    """'symbol! type=tickerType limit' as parameters; a mark says that one must be there."""
    found = {}
    for word in text.split():
        name, _, kind = word.rstrip("!").partition("=")
        found[name] = Parameter(name, word.endswith("!"), reader(kind or name))
    return found


def read_values(sent: Mapping[str, str], allowed: Mapping[str, Parameter]) -> Values:
    """What was sent, each as its reader makes it; raises Problem."""
    for parameter in allowed.values():
        if parameter.mandatory and not sent.get(parameter.name):
            raise wrong(-1102, parameter.name)
    known = [name for name in sent if name in allowed]
    for name in known:
        if not sent[name]:
            raise wrong(-1105, name)
    values = {name: allowed[name].read(name, sent[name]) for name in known}
    if len(known) < len(sent):
        if len(sent) > len(allowed):
            raise wrong(-1101, len(allowed), len(sent))
        raise wrong(-1104, len(known), len(sent))
    return values


def unquote(text: str) -> str:
    """Percent signs and plus signs of a form undone."""
    if "%" not in text and "+" not in text:
        return text
    first, *rest = text.replace("+", " ").split("%")
    found = bytearray(first.encode())
    for part in rest:
        try:
            found += bytes((int(part[:2], 16),)) + part[2:].encode()
        except ValueError:
            found += b"%" + part.encode()
    return found.decode("utf-8", "replace")


def form(text: str) -> dict[str, str]:
    """A query string or a form's body as names and texts; raises Problem on a doubled name."""
    found: dict[str, str] = {}
    for part in text.split("&"):
        if not part:
            continue
        name, _, value = part.partition("=")
        name = unquote(name)
        if name in found:
            raise Problem(-1101, "Duplicate values for a parameter detected.")
        found[name] = unquote(value)
    return found


def unsigned(text: str) -> str:
    """A query string or form without its signature: what was signed."""
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))


_RAW_PARAMS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def json_params(raw: bytes) -> dict[str, str]:
    """The `params` of a WebSocket API request, each as the text that is signed; raises Problem."""
    found: dict[str, str] = {}
    try:
        for name, value in _RAW_PARAMS.decode(raw).items():
            text = bytes(value)
            if text.startswith(b'"'):
                found[name] = msgspec.json.decode(text, type=str)
            else:
                found[name] = msgspec.json.format(text, indent=-1).decode()
    except UNREADABLE:
        raise wrong(-1135) from None
    return found


def signed_text(params: Mapping[str, str]) -> str:
    """What a WebSocket API request signs: all but the signature, in order of their names."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")
