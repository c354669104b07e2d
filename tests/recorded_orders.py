"""Recorded markets order by order: LOBSTER's messages of Nasdaq and a day's log of Bitstamp, read as ticks and lots."""

import gzip
import json
import lzma
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

Levels = list[tuple[int, int]]
CREATED, EXECUTED, DELETED, EXECUTED_HIDDEN = 1, 4, 3, 5
DEPTH = 10


class NasdaqMessage(NamedTuple):
    """What happened to an order; `side` is the resting order's, and hidden ones have no number."""

    kind: int
    order: int
    lots: int
    ticks: int
    side: int


class NasdaqRow(NamedTuple):
    """A message and the exchange's ten levels a side after it."""

    message: NasdaqMessage
    bids: Levels
    asks: Levels


def read_lobster(recorded: Path) -> list[NasdaqRow]:
    """Messages with the book after each; prices are in dollars times 10,000."""
    rows = []
    messages, books = (_lines(recorded / "lobster", part) for part in ("message", "orderbook"))
    for message, book in zip(messages, books, strict=True):
        fields = [int(field) for field in message.split(",")[1:]]
        flat = [int(field) for field in book.split(",")]
        asks = list(zip(flat[0::4], flat[1::4], strict=True))
        bids = list(zip(flat[2::4], flat[3::4], strict=True))
        rows.append(NasdaqRow(NasdaqMessage(*fields), bids, asks))
    return rows


def _lines(folder: Path, part: str) -> list[str]:
    path = next(iter(folder.glob(f"AAPL*_{part}_10.csv.gz")))
    return gzip.decompress(path.read_bytes()).decode().splitlines()


class BitstampEvent(NamedTuple):
    """What happened to an order: `lots` is what it has left, 0 where it was filled."""

    kind: str
    order: int
    side: int
    ticks: int
    lots: int


class BitstampTrade(NamedTuple):
    """A trade, without the orders it was between."""

    ticks: int
    lots: int


class BitstampBook(NamedTuple):
    """The exchange's own twenty levels a side."""

    bids: Levels
    asks: Levels


BitstampMessage = BitstampEvent | BitstampTrade | BitstampBook


def read_bitstamp(recorded: Path) -> list[BitstampMessage]:
    """Five hours of messages as they came; a tick is a cent and a lot a satoshi."""
    with lzma.open(recorded / "bitstamp_l3" / "2015-05-01.log.xz", "rt") as lines:
        return [_bitstamp(*line.split(" ", 2)[1:]) for line in lines]


def _bitstamp(kind: str, text: str) -> BitstampMessage:
    data: dict[str, Any] = json.loads(text)
    if kind == "order_book":
        return BitstampBook(*([_level(*level) for level in data[s]] for s in ("bids", "asks")))
    ticks, lots = _level(data["price"], data["amount"])
    if kind == "trade":
        return BitstampTrade(ticks, lots)
    side = -1 if data["order_type"] else 1
    return BitstampEvent(kind.removeprefix("order_"), data["id"], side, ticks, lots)


def _level(price: str | float, amount: str | float) -> tuple[int, int]:
    """Trades come as numbers, with what a double makes of them: rounded to the grid."""
    return round(Decimal(price) * 100), round(Decimal(amount) * 10**8)
