"""Books rebuilt slowly and obviously from a capture's frames: dicts of Decimal, the venue's own rule.

Independent of the engine: it shares no parser, no book and no checksum with it. Each rebuild also
holds every number of a capture against the one before (`links`) and each checksum (`checksums`),
and fails where the capture itself is not whole.
"""

import json
import re
import zlib
from decimal import Decimal
from itertools import zip_longest
from typing import Any

from tests.twins.rebuild_base import Differences, Levels, Rebuild


class Kraken(Rebuild):
    """Kraken v1: levels by price string, depth cut after each update, CRC-32 over the strings."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: dict[str, dict[tuple[str, Decimal], str]] = {}

    def frame(self, payload: bytes, about: str) -> list[str]:
        message = json.loads(payload)
        if about or not isinstance(message, list) or not str(message[-2]).startswith("book-"):
            return []
        symbol, depth, checksum = message[-1], int(message[-2][5:]), None
        for part in message[1:-2]:
            if "as" in part:
                self.begin(symbol, [], [])
                self.texts[symbol] = {}
            bids, asks = (part.get(side, []) + part.get(side + "s", []) for side in "ba")
            self.write(symbol, bids, asks)
            self.change(symbol, bids, asks)
            checksum = part.get("c", checksum)
        self.check(symbol, depth, checksum)
        return [symbol]

    def write(self, symbol: str, bids: Levels, asks: Levels) -> None:
        """Keep the digits of levels as they were written."""
        for side, levels in (("b", bids), ("a", asks)):
            for price, quantity, *_ in levels:
                text = price.replace(".", "").lstrip("0") + quantity.replace(".", "").lstrip("0")
                self.texts[symbol][side, Decimal(price)] = text

    def check(self, symbol: str, depth: int, checksum: str | None) -> None:
        """Cut the book to its depth and sum the ten best levels, asks first."""
        bids, asks = (side[:depth] for side in self.sides(symbol))
        self.books[symbol] = {"b": dict(bids), "a": dict(asks)}
        if checksum is not None:
            best = [("a", price) for price, _ in asks[:10]] + [
                ("b", price) for price, _ in bids[:10]
            ]
            text = "".join(self.texts[symbol][place] for place in best)
            assert zlib.crc32(text.encode()) == int(checksum), f"the capture is wrong at {symbol}"
            self.checksums += 1


class KrakenV2(Kraken):
    """Kraken v2: objects, and numbers bare; the same checksum."""

    DEPTH = 100

    def frame(self, payload: bytes, about: str) -> list[str]:
        message = json.loads(payload, parse_float=str, parse_int=str)
        if message.get("channel") != "book":
            return []
        symbols = []
        for item in message["data"]:
            symbol = item["symbol"]
            if message["type"] == "snapshot":
                self.begin(symbol, [], [])
                self.texts[symbol] = {}
            bids, asks = ([(o["price"], o["qty"]) for o in item[s]] for s in ("bids", "asks"))
            self.write(symbol, bids, asks)
            symbols += self.change(symbol, bids, asks)
            self.check(symbol, self.DEPTH, item["checksum"])
        return symbols


class Okx(Rebuild):
    """OKX: prevSeqId where there is one, CRC-32 over 25 levels of both sides in turn."""

    def frame(self, payload: bytes, about: str) -> list[str]:
        message = json.loads(payload) if not about and payload != b"pong" else {}
        if message.get("arg", {}).get("channel") != "books" or "data" not in message:
            return []
        symbol = message["arg"]["instId"]
        for item in message["data"]:
            if "seqId" in item:
                self.link(symbol, item["prevSeqId"], item["seqId"])
            put = self.begin if message["action"] == "snapshot" else self.change
            put(symbol, item["bids"], item["asks"])
            if item.get("checksum"):
                assert self.crc(symbol) == item["checksum"], f"the capture is wrong at {symbol}"
                self.checksums += 1
        return [symbol]

    def crc(self, symbol: str) -> int:
        """Signed; the shortest decimals."""
        words = []
        for pair in zip_longest(*(side[:25] for side in self.sides(symbol))):
            for level in filter(None, pair):
                words += [f"{number.normalize():f}" for number in level]
        value = zlib.crc32(":".join(words).encode())
        return value - 2**32 if value >= 2**31 else value


class Binance(Differences):
    """Binance spot: by U and u."""

    def frame(self, payload: bytes, about: str) -> list[str]:
        message = json.loads(payload)
        if about:
            found = re.search(r"/depth\?symbol=(\w+)", about)
            numbers = message.get("lastUpdateId", 0)
            return (
                self.snapshot(found[1], numbers, message["bids"], message["asks"]) if found else []
            )
        message = message.get("data", message)
        if message.get("e") != "depthUpdate":
            return []
        self.chained(message)
        return self.difference(message["s"], message["U"], message["u"], message["b"], message["a"])

    def chained(self, diff: dict[str, Any]) -> None:
        """Each frame begins where the one before ended."""
        self.link(diff["s"], diff["U"] - 1, diff["u"])


class BinanceFutures(Binance):
    """Binance USD-M futures: pu names the frame before."""

    overlapping = False

    def chained(self, diff: dict[str, Any]) -> None:
        self.link(diff["s"], diff["pu"], diff["u"])

    def follows(self, symbol: str, first: int) -> bool:
        return True  # `link` has seen to it


class Bybit(Rebuild):
    """Bybit: u rises by one."""

    def frame(self, payload: bytes, about: str) -> list[str]:
        message = json.loads(payload) if not about else {}
        if not message.get("topic", "").startswith("orderbook."):
            return []
        item = message["data"]
        if message["type"] == "snapshot":
            self.heard[item["s"]] = item["u"]
            return self.begin(item["s"], item["b"], item["a"])
        self.link(item["s"], item["u"] - 1, item["u"])
        return self.change(item["s"], item["b"], item["a"])


class Coinbase(Rebuild):
    """Coinbase Advanced Trade: sequence_num counts all frames of the connection."""

    def frame(self, payload: bytes, about: str) -> list[str]:
        message = json.loads(payload) if not about else {}
        if "sequence_num" not in message:
            return []
        self.link("", message["sequence_num"] - 1, message["sequence_num"])
        symbols = []
        for event in message["events"] if message["channel"] == "l2_data" else ():
            levels: dict[str, list[tuple[str, str]]] = {"bid": [], "offer": []}
            for level in event["updates"]:
                levels[level["side"]].append((level["price_level"], level["new_quantity"]))
            put = self.begin if event["type"] == "snapshot" else self.change
            symbols += put(event["product_id"], levels["bid"], levels["offer"])
        return symbols


class CoinbaseExchange(Rebuild):
    """Coinbase Exchange: nothing is numbered."""

    def frame(self, payload: bytes, about: str) -> list[str]:
        message = json.loads(payload) if not about else {}
        if message.get("type") == "snapshot":
            return self.begin(message["product_id"], message["bids"], message["asks"])
        if message.get("type") != "l2update":
            return []
        bids, asks = (
            [level[1:] for level in message["changes"] if level[0] == side]
            for side in ("buy", "sell")
        )
        return self.change(message["product_id"], bids, asks)


class Kucoin(Differences):
    """KuCoin: changes at or below the snapshot's number, and of price 0, change nothing."""

    def frame(self, payload: bytes, about: str) -> list[str]:
        message = json.loads(payload)
        if about:
            found = re.search(r"level2.*\?symbol=([\w-]+)", about)
            data = message["data"]
            if not found:
                return []
            return self.snapshot(found[1], int(data["sequence"]), data["bids"], data["asks"])
        if message.get("subject") != "trade.l2update":
            return []
        data = message["data"]
        self.link(data["symbol"], data["sequenceStart"] - 1, data["sequenceEnd"])
        changes = data["changes"]
        return self.difference(
            data["symbol"],
            data["sequenceStart"],
            data["sequenceEnd"],
            changes["bids"],
            changes["asks"],
        )

    def change(self, symbol: str, bids: Levels, asks: Levels) -> list[str]:
        since = self.since.get(symbol, -1)
        kept = [
            [level for level in side if Decimal(level[0]) and int((*level, since + 1)[2]) > since]
            for side in (bids, asks)
        ]
        return super().change(symbol, *kept)

    def __init__(self) -> None:
        super().__init__()
        self.since: dict[str, int] = {}

    def difference(
        self, symbol: str, first: int, last: int, bids: Levels, asks: Levels
    ) -> list[str]:
        self.since[symbol] = self.last.get(symbol, -1)
        return super().difference(symbol, first, last, bids, asks)


class Bitfinex(Rebuild):
    """Bitfinex: channels by number, levels as [price, count, amount], all frames counted."""

    def __init__(self) -> None:
        super().__init__()
        self.channels: dict[int, str] = {}

    def frame(self, payload: bytes, about: str) -> list[str]:
        message = json.loads(payload, parse_float=Decimal) if not about else {}
        if isinstance(message, dict):
            if message.get("event") == "subscribed" and message["channel"] == "book":
                self.channels[message["chanId"]] = message["symbol"]
            return []
        self.link("", message[-1] - 1, message[-1])
        symbol, levels = self.channels.get(message[0]), message[1]
        if symbol is None or levels == "hb":
            return []
        if levels == "cs":
            self.checksums += 1
            return []
        if not levels or isinstance(levels[0], list):
            self.begin(symbol, [], [])
        else:
            levels = [levels]
        for price, count, amount in levels:
            side = [(price, abs(amount) if count else 0)]
            self.change(symbol, *((side, []) if amount > 0 else ([], side)))
        return [symbol]


class Gate(Differences):
    """Gate.io: by U and u."""

    def frame(self, payload: bytes, about: str) -> list[str]:
        message = json.loads(payload)
        if about:
            found = re.search(r"order_book\?currency_pair=(\w+)", about)
            if not found:
                return []
            return self.snapshot(found[1], message["id"], message["bids"], message["asks"])
        if message["channel"] != "spot.order_book_update" or message["event"] != "update":
            return []
        result = message["result"]
        self.link(result["s"], result["U"] - 1, result["u"])
        return self.difference(result["s"], result["U"], result["u"], result["b"], result["a"])


class Bitstamp(Differences):
    """Bitstamp: only time says what is newer."""

    def frame(self, payload: bytes, about: str) -> list[str]:
        message = json.loads(payload)
        if about:
            found = re.search(r"/order_book/(\w+)", about)
            if not found:
                return []
            stamp = int(message["microtimestamp"])
            return self.snapshot(found[1], stamp, message["bids"], message["asks"])
        if message["event"] != "data" or not message["channel"].startswith("diff_order_book_"):
            return []
        data = message["data"]
        symbol, stamp = message["channel"].removeprefix("diff_order_book_"), data["microtimestamp"]
        return self.difference(symbol, 0, int(stamp), data["bids"], data["asks"])


REBUILDS: dict[str, type[Rebuild]] = {
    "binance": Binance,
    "binance_futures": BinanceFutures,
    "bitfinex": Bitfinex,
    "bitstamp": Bitstamp,
    "bybit": Bybit,
    "bybit_linear": Bybit,
    "coinbase": Coinbase,
    "coinbase_exchange": CoinbaseExchange,
    "gate": Gate,
    "kraken": KrakenV2,
    "kraken_v1": Kraken,
    "kucoin": Kucoin,
    "okx": Okx,
}
