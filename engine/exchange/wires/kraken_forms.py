"""What a client of Kraken sends, read: bodies of REST as text, parameters of the stream by type.

A body is a form or JSON; either becomes nested dictionaries whose leaves are text, so that whoever
reads it need not know which it was. The stream is strict about types, as Kraken is.
"""

import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from engine.exchange.wires.kraken_words import KrakenError

FIELDS_MAX = 2000
BODY_MAX = 1 << 20
DEPTH_MAX = 5
_TRUE = frozenset({"true", "1", "yes"})
_FALSE = frozenset({"false", "0", "no", ""})
_DECODE = msgspec.json.Decoder(float_hook=Decimal).decode
_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")
BAD_REQUEST = "EAPI:Bad request"


def parse_json(data: bytes) -> Any:
    """JSON whose fractions are exact. Raises KrakenError."""
    try:
        return _DECODE(data)
    except (msgspec.DecodeError, ValueError, RecursionError, ArithmeticError):
        raise KrakenError(BAD_REQUEST) from None


def parse_form(data: bytes) -> dict[str, Any]:
    """`a=1&close[price]=2&orders[0][type]=buy` as nested dictionaries. Raises KrakenError."""
    if len(data) > BODY_MAX or data.count(b"&") > FIELDS_MAX:
        raise KrakenError(BAD_REQUEST)
    found: dict[str, Any] = {}
    for part in data.split(b"&") if data else ():
        name, _, value = part.partition(b"=")
        keys = _keys(_plain(name))
        inner = found
        for key in keys[:-1]:
            deeper = inner.setdefault(key, {})
            if not isinstance(deeper, dict):
                raise KrakenError(BAD_REQUEST)
            inner = deeper
        if isinstance(inner.get(keys[-1]), dict):
            raise KrakenError(BAD_REQUEST)
        inner[keys[-1]] = _plain(value)
    return found


def parse_body(body: bytes, content_type: str) -> dict[str, Any]:
    """A body of REST by its type. Raises KrakenError."""
    if not content_type.startswith("application/json"):
        return parse_form(body)
    if len(body) > BODY_MAX:
        raise KrakenError(BAD_REQUEST)
    found = _texts(parse_json(body))
    if not isinstance(found, dict):
        raise KrakenError(BAD_REQUEST)
    return found


def _plain(data: bytes) -> str:
    """Percent signs and pluses undone. Raises KrakenError."""
    head, *rest = data.replace(b"+", b" ").split(b"%")
    whole = bytearray(head)
    try:
        for piece in rest:
            whole += bytes.fromhex(piece[:2].decode("ascii"))
            whole += piece[2:]
            if len(piece) < 2:
                raise ValueError(piece)
        return whole.decode()
    except ValueError:
        raise KrakenError(BAD_REQUEST) from None


def _keys(name: str) -> list[str]:
    """`orders[0][type]` is orders, 0, type; 'ids[]' is ids and a place of its own."""
    first, *others = name.split("[")
    if not first or len(others) >= DEPTH_MAX or not all(other.endswith("]") for other in others):
        raise KrakenError(BAD_REQUEST)
    return [first, *(other[:-1] for other in others)]


def _texts(value: Any, depth: int = 0) -> Any:
    """Leaves as the text a form would have had, null as none; lists as dictionaries by place."""
    if depth > DEPTH_MAX:
        raise KrakenError(BAD_REQUEST)
    if isinstance(value, dict):
        return {
            str(key): _texts(inner, depth + 1) for key, inner in value.items() if inner is not None
        }
    if isinstance(value, list):
        return {str(place): _texts(inner, depth + 1) for place, inner in enumerate(value)}
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else _decimal(value)


def _decimal(value: int | Decimal) -> str:
    """A JSON number as decimal text; what is out of all bounds stays short and will not be held."""
    if isinstance(value, int):
        return str(value) if abs(value) < 10**40 else "1e99"
    return f"{value:f}" if value.is_finite() and abs(value.adjusted()) < 40 else "1e99"


class Fields:
    """The parameters of a REST call; a reader raises KrakenError naming what is wrong."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, default: str = "") -> str:
        """A text, '' where there is none."""
        value = self._values.get(name, default)
        if not isinstance(value, str):
            raise wrong(name)
        return value

    def needed(self, name: str) -> str:
        """A text that must be there."""
        value = self.text(name)
        if not value:
            raise wrong(name)
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """true or false, as clients of many languages write it."""
        value = self.text(name, "true" if default else "false").lower()
        if value not in _TRUE and value not in _FALSE:
            raise wrong(name)
        return value in _TRUE

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        """A whole number within bounds."""
        value = self.text(name)
        if not value:
            return default
        if _WHOLE.fullmatch(value) is None or not least <= int(value) <= most:
            raise wrong(name)
        return int(value)

    def choice(self, name: str, known: Collection[str], default: str = "") -> str:
        """One of some words; what is missing is the default, which '' makes wrong."""
        value = self.text(name) or default
        if value not in known:
            raise wrong(name)
        return value

    def inner(self, name: str) -> "Fields | None":
        """Parameters within: close[ordertype]."""
        value = self._values.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, dict):
            raise wrong(name)
        return Fields(value)

    def each(self, name: str) -> list[Any]:
        """The members of a list, whatever they are; one text is a list of what its commas part."""
        value = self._values.get(name)
        if isinstance(value, str):
            return value.split(",")
        return list(value.values()) if isinstance(value, dict) else []


class Params:
    """The `params` of a request of the stream, by type; errors are the ones that Kraken words."""

    def __init__(self, values: object, method: str, known: Collection[str]) -> None:
        if not isinstance(values, dict):
            raise KrakenError("Params field must be an object")
        for name in values:
            if name not in known:
                event = method.replace("_", " ")
                raise KrakenError(f"Unsupported field: '{name}' for the given msg type: {event}")
        self._values: dict[str, Any] = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, default: str = "") -> str:
        """A string."""
        return str(self._typed(name, default, str, "a string"))

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean."""
        return bool(self._typed(name, default, bool, "a boolean"))

    def whole(self, name: str, default: int) -> int:
        """An integer."""
        return int(self._typed(name, default, int, "an integer"))

    def number(self, name: str) -> str:
        """A number as decimal text; '' where there is none."""
        value = self._typed(name, "", (int, Decimal, str), "a number_float")
        if value == "" and name not in self._values:
            return ""
        if isinstance(value, str):
            raise KrakenError(f"{name.capitalize()} field must be a number_float")
        return _decimal(value)

    def inner(self, name: str, method: str, known: Collection[str]) -> "Params | None":
        """An object within."""
        if name not in self._values:
            return None
        if not isinstance(self._values[name], dict):
            raise KrakenError(f"{name.capitalize()} field must be an object")
        return Params(self._values[name], method, known)

    def each(self, name: str) -> list[Any] | None:
        """A list; None where there is none."""
        if name not in self._values:
            return None
        value = self._values[name]
        if not isinstance(value, list):
            raise KrakenError(f"{name.capitalize()} field must be an array")
        return value

    def _typed(self, name: str, default: Any, kind: Any, what: str) -> Any:
        value = self._values.get(name, default)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise KrakenError(f"{name.capitalize()} field must be {what}")
        return value


def wrong(name: str) -> KrakenError:
    """An argument that is missing or none of what it may be."""
    return KrakenError(f"EGeneral:Invalid arguments:{name}")
