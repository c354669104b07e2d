"""Books rebuilt slowly and obviously from a capture's frames: dicts of Decimal, the venue's own rule.

Independent of the engine: it shares no parser, no book and no checksum with it.
"""

import json
import zlib
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

Top = tuple[Decimal, Decimal, Decimal, Decimal]


class Kraken:
    """Kraken v1: levels by price string, depth cut after each update, CRC-32 over the strings."""

    def __init__(self) -> None:
        self.books: dict[str, dict[str, dict[Decimal, tuple[str, str]]]] = {}
        self.checksums = 0

    def frame(self, payload: bytes, about: str) -> str | None:
        """Apply a frame; the symbol whose book it changed."""
        message = json.loads(payload)
        if about or not isinstance(message, list) or not str(message[-2]).startswith("book-"):
            return None
        symbol, depth = message[-1], int(message[-2][5:])
        checksum = None
        for part in message[1:-2]:
            if "as" in part:
                self.books[symbol] = {"a": {}, "b": {}}
            for side in ("a", "b"):
                for level in part.get(side, []) + part.get(side + "s", []):
                    levels = self.books[symbol][side]
                    if Decimal(level[1]) == 0:
                        levels.pop(Decimal(level[0]), None)
                    else:
                        levels[Decimal(level[0])] = (level[0], level[1])
            checksum = part.get("c", checksum)
        for side, best_first in (("a", False), ("b", True)):
            kept = sorted(self.books[symbol][side].items(), reverse=best_first)[:depth]
            self.books[symbol][side] = dict(kept)
        if checksum is not None:
            assert self._crc(symbol) == int(checksum), f"the capture itself is wrong at {symbol}"
            self.checksums += 1
        return symbol

    def _crc(self, symbol: str) -> int:
        text = ""
        for side in ("a", "b"):
            for price, volume in list(self.books[symbol][side].values())[:10]:
                text += price.replace(".", "").lstrip("0") + volume.replace(".", "").lstrip("0")
        return zlib.crc32(text.encode())

    def top(self, symbol: str) -> Top:
        """Best bid, its quantity, best ask, its quantity."""
        bid, ask = max(self.books[symbol]["b"]), min(self.books[symbol]["a"])
        return (
            bid,
            Decimal(self.books[symbol]["b"][bid][1]),
            ask,
            Decimal(self.books[symbol]["a"][ask][1]),
        )


class Binance:
    """Binance spot: differences wait for the snapshot, then apply by U and u."""

    def __init__(self) -> None:
        self.books: dict[str, dict[str, dict[Decimal, Decimal]]] = {}
        self.last: dict[str, int] = {}
        self.waiting: dict[str, list[dict]] = {}
        self.checksums = 0

    def frame(self, payload: bytes, about: str) -> str | None:
        """Apply a frame; the symbol whose book it changed."""
        message = json.loads(payload)
        if about:
            if "/depth" not in urlsplit(about).path:
                return None
            symbol = parse_qs(urlsplit(about).query)["symbol"][0]
            self.last[symbol] = message["lastUpdateId"]
            self.books[symbol] = {"b": {}, "a": {}}
            self._levels(symbol, message["bids"], message["asks"])
            for diff in self.waiting.pop(symbol, []):
                self._diff(symbol, diff)
            return symbol
        message = message.get("data", message)
        if message.get("e") != "depthUpdate":
            return None
        symbol = message["s"]
        if symbol not in self.books:
            self.waiting.setdefault(symbol, []).append(message)
            return None
        return symbol if self._diff(symbol, message) else None

    def _diff(self, symbol: str, diff: dict) -> bool:
        if diff["u"] <= self.last[symbol]:
            return False
        assert diff["U"] <= self.last[symbol] + 1, f"the capture itself has a gap at {symbol}"
        self._levels(symbol, diff["b"], diff["a"])
        self.last[symbol] = diff["u"]
        return True

    def _levels(self, symbol: str, bids: list, asks: list) -> None:
        for side, levels in (("b", bids), ("a", asks)):
            for price, quantity in levels:
                if Decimal(quantity) == 0:
                    self.books[symbol][side].pop(Decimal(price), None)
                else:
                    self.books[symbol][side][Decimal(price)] = Decimal(quantity)

    def top(self, symbol: str) -> Top:
        """Best bid, its quantity, best ask, its quantity."""
        bids, asks = self.books[symbol]["b"], self.books[symbol]["a"]
        return max(bids), bids[max(bids)], min(asks), asks[min(asks)]
