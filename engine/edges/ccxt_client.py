"""What `CcxtFeed` needs of ccxt: an exchange's client, its errors, its numbers as texts.

ccxt gives floats. A number is written with 15 significant digits, so what an exchange sends with no
more is exact, and the noise of float arithmetic is gone; digits beyond are lost.
"""

import importlib
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from engine.config import ConfigError
from engine.edges.doctor import check_exchange

PATIENCE_MAX_S = 600.0


def load_ccxt() -> None:
    """Import it, which takes a second of a core: before anybody counts an actor's heartbeats."""
    for name in ("ccxt", "ccxt.async_support", "ccxt.pro"):
        importlib.import_module(name)


class _Spent(NamedTuple):
    until: float
    wait_s: float
    levels: bytes


class Patience:
    """How often a client may be thrown away for one symbol's sake.

    Where that brought the same levels as before, the market is quiet and no client would know
    more: it is done less and less, until the book changes.
    """

    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s
        self._spent: dict[str, _Spent] = {}

    def spends(self, symbol: str, levels: bytes, now: float) -> bool:
        """Whether it may be done now, with the book as it is; if so it counts as done."""
        before = self._spent.get(symbol)
        if before is not None and now < before.until:
            return False
        wait_s = self._wait_s if before is None else min(before.wait_s * 2, PATIENCE_MAX_S)
        self._spent[symbol] = _Spent(now + wait_s, wait_s, levels)
        return True

    def changed(self, symbol: str, levels: bytes) -> None:
        """A book came: where it has changed, patience is whole again."""
        before = self._spent.get(symbol)
        if before is not None and before.levels != levels:
            del self._spent[symbol]


def client_class(exchange: str) -> Callable[[dict[str, Any]], Any]:
    """ccxt.pro's client of an exchange; raises ConfigError where there is none."""
    finding = check_exchange(exchange)
    if not finding.ok:
        raise ConfigError(finding.line())
    found: Callable[[dict[str, Any]], Any] = getattr(importlib.import_module("ccxt.pro"), exchange)
    return found


def not_supported() -> type[Exception]:
    """What ccxt raises for a call that an exchange's client has not."""
    found: type[Exception] = importlib.import_module("ccxt").NotSupported
    return found


def decimal_text(number: object) -> str:
    """A number of ccxt as a decimal string without an exponent."""
    text = f"{number:.15g}" if isinstance(number, float) else str(number)
    return format(Decimal(text), "f") if "e" in text.lower() else text


def levels_of(side: Sequence[Sequence[Any]], depth: int) -> list[tuple[str, str]]:
    """The best levels of a side; orders of one price (books by order id) as one level."""
    levels: list[tuple[str, str]] = []
    for entry in side[: depth * 4]:
        price, amount = decimal_text(entry[0]), decimal_text(entry[1])
        if levels and levels[-1][0] == price:
            amount = format(Decimal(levels.pop()[1]) + Decimal(amount), "f")
        elif len(levels) == depth:
            break
        levels.append((price, amount))
    return levels


def trade_of(item: dict[str, Any]) -> dict[str, Any]:
    """A public trade as a frame has it; one without a name is named by what it is."""
    price, amount = decimal_text(item["price"]), decimal_text(item["amount"])
    name = item.get("id") or f"{item.get('timestamp')}:{item['side']}:{price}:{amount}"
    told = {"id": str(name), "side": item["side"], "price": price, "amount": amount}
    return told | {"ts": item.get("timestamp")}


def redirected(urls: Any, rest: str, stream: str) -> Any:
    """The exchange's addresses with their hosts replaced, where the configuration names others."""
    if isinstance(urls, dict):
        return {name: redirected(url, rest, stream) for name, url in urls.items()}
    if not isinstance(urls, str):
        return urls
    base = stream if urls.startswith("ws") else rest
    path = urls.partition("://")[2].partition("/")[2]
    return f"{base.rstrip('/')}/{path}".rstrip("/") if base else urls
