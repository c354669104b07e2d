"""A ccxt.pro client of an exchange, sent where the configuration says, and what it gives as texts.

ccxt gives floats. A number is written with 15 significant digits, so what an exchange sends with no
more is exact, and the noise of float arithmetic is gone; digits beyond are lost.
"""

import importlib
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from engine.config import ConfigError
from engine.edges.doctor import check_exchange


def client_class(exchange: str) -> Callable[[dict[str, Any]], Any]:
    """ccxt.pro's client of an exchange; raises ConfigError where there is none."""
    finding = check_exchange(exchange)
    if not finding.ok:
        raise ConfigError(finding.line())
    found: Callable[[dict[str, Any]], Any] = getattr(importlib.import_module("ccxt.pro"), exchange)
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
