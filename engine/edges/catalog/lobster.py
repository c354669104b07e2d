"""Imports LOBSTER's pair of CSV files of one day: messages, and the book after each of them.

Prices are in 1e-4 USD and sizes in shares. Only the best levels are in the files, so a book kept
from messages alone would drift; each frame is therefore the difference between two rows of the book
file, and each message is held against it: a pair that does not fit together is refused.
"""

import re
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from engine.edges.catalog.layout import (
    BUY,
    NO_SIDE,
    NS_A_SECOND,
    SELL,
    Grid,
    ImportRefused,
    Int64s,
    Kind,
    columns,
)
from engine.edges.catalog.sheet import Sheet, read_sheets
from engine.edges.catalog.writer import EventWriter
from engine.messages import BookState

GRID = Grid("0.0001", "1")
MESSAGE = ("time", "type", "order", "size", "price", "direction")
NEW, CANCELLED, DELETED, EXECUTED, HIDDEN, CROSS, HALTED = 1, 2, 3, 4, 5, 6, 7
SIGNS = {NEW: 1, CANCELLED: -1, DELETED: -1, EXECUTED: -1}
NO_PRICE = 9_999_999_999  # stands where a side has no such level
Levels = dict[int, int]


class _Day(NamedTuple):
    """What the name of a message file says."""

    ticker: str
    midnight_ns: int
    levels: int


def import_lobster(
    root: Path,
    messages: Path,
    books: Path,
    venue: str = "NASDAQ",
    symbol: str = "",
    zone: str = "America/New_York",
) -> int:
    """Store one day; how many events. Times are seconds after midnight in the exchange's `zone`.

    The symbol is TICKER/USD where none is named. A message is a frame; one that changes nothing in
    sight is none. Raises CatalogError and stores nothing.
    """
    day = _day(messages, zone)
    rows = _Rows(day)
    book_sheets = read_sheets(books, _book_columns(day.levels), header=False)
    books_held = (
        (sheet, row, levels) for sheet in book_sheets for row, levels in enumerate(_levels(sheet))
    )
    for sheet in read_sheets(messages, MESSAGE, header=False):
        table = np.stack([sheet.integers(name) for name in MESSAGE[1:]], axis=1).tolist()
        times = sheet.decimals("time", 9).tolist()
        for row, (time_ns, message) in enumerate(zip(times, table, strict=True)):
            book = next(books_held, None)
            if book is None:
                raise ImportRefused(
                    f"{books}: ends before line {sheet.line + row} of {messages.name} -- "
                    "name the pair of one day"
                )
            rows.take(sheet, row, time_ns, message, book[2])
    if next(books_held, None) is not None:
        raise ImportRefused(f"{books}: goes on after {messages.name} -- name the pair of one day")
    with EventWriter(root, staged=True) as writer:
        events = rows.events
        if events:
            writer.add(venue, symbol or f"{day.ticker}/USD", GRID, columns(*np.array(events).T))
    return writer.rows


def _day(path: Path, zone: str) -> _Day:
    found = re.match(
        r"(?P<ticker>[^_]+)_(?P<day>\d{4}-\d\d-\d\d)_.*_message_(?P<levels>\d+)\.csv", path.name
    )
    if found is None:
        raise ImportRefused(
            f"{path}: its name tells ticker, day and levels as TICKER_YYYY-MM-DD_..._message_N.csv "
            "-- give it its own name back"
        )
    try:
        midnight = datetime.strptime(found["day"], "%Y-%m-%d").replace(tzinfo=ZoneInfo(zone))
    except (ValueError, ZoneInfoNotFoundError) as error:
        raise ImportRefused(f"{path}: {error} -- name the exchange's own time zone") from error
    return _Day(found["ticker"], int(midnight.timestamp()) * NS_A_SECOND, int(found["levels"]))


def _book_columns(levels: int) -> list[str]:
    sides = ("ask_price", "ask_size", "bid_price", "bid_size")
    return [f"{name}_{level}" for level in range(1, levels + 1) for name in sides]


def _levels(sheet: Sheet) -> list[dict[int, Levels]]:
    """Each row's bids and asks, by side."""
    names = sheet.table.column_names
    numbers: Int64s = np.stack([sheet.integers(name) for name in names], axis=1)
    return [
        {
            SELL: {p: n for p, n in zip(row[0::4], row[1::4], strict=True) if abs(p) != NO_PRICE},
            BUY: {p: n for p, n in zip(row[2::4], row[3::4], strict=True) if abs(p) != NO_PRICE},
        }
        for row in numbers.tolist()
    ]


class _Rows:
    """The events so far, and the book after the last of them."""

    def __init__(self, day: _Day) -> None:
        self._day = day
        self.events: list[list[int]] = []
        self._book: dict[int, Levels] | None = None
        self._last_ns = -1

    def take(
        self, sheet: Sheet, row: int, time_ns: int, message: list[int], book: dict[int, Levels]
    ) -> None:
        """One message and the book after it; raises ImportRefused where they do not fit."""
        kind, _, size, price, direction = message
        if not NEW <= kind <= HALTED:
            raise sheet.refuse(row, "type", "a type from 1 to 7 is expected")
        if direction not in (BUY, SELL):
            raise sheet.refuse(row, "direction", "1 or -1 is expected")
        if time_ns < self._last_ns:
            raise sheet.refuse(row, "time", "it is before the row above: sort both files by time")
        self._last_ns = time_ns
        at_ns = self._day.midnight_ns + time_ns
        if self._book is None:
            self._add(at_ns, Kind.CLEAR)
            self._add(at_ns, Kind.STATE, NO_SIDE, BookState.LIVE)
        elif not fits(self._book, message, book, self._day.levels):
            mend = f"the book of line {sheet.line + row} does not follow from it: name the pair of one day"
            raise sheet.refuse(row, "price", mend)
        if kind in (EXECUTED, HIDDEN):
            self._add(at_ns, Kind.TRADE, -direction, price, size)
        elif kind == HALTED:
            self._add(
                at_ns, Kind.STATE, NO_SIDE, BookState.STALE if price == -1 else BookState.LIVE
            )
        for side in (BUY, SELL):
            before = self._book[side] if self._book else {}
            for ticks in before.keys() - book[side].keys():
                self._add(at_ns, Kind.LEVEL, side, ticks, 0)
            for ticks, lots in book[side].items():
                if before.get(ticks) != lots:
                    self._add(at_ns, Kind.LEVEL, side, ticks, lots)
        self._book = book
        self._close()

    def _close(self) -> None:
        """The last event so far ends its frame."""
        if self.events:
            self.events[-1][5] = 1

    def _add(self, at_ns: int, kind: Kind, side: int = 0, ticks: int = 0, lots: int = 0) -> None:
        self.events.append([at_ns, kind, side, ticks, lots, 0])


def fits(
    before: dict[int, Levels], message: list[int], after: dict[int, Levels], levels: int
) -> bool:
    """Whether a book after a message is the one before it, changed by that message and no other.

    The message may let a level leave at the far end, or one enter there that was too deep before.
    """
    kind, _, size, price, direction = message
    for side in (BUY, SELL):
        expected = dict(before[side])
        if kind in SIGNS and side == direction and _within(price, side, before[side], levels):
            expected[price] = expected.get(price, 0) + SIGNS[kind] * size
            if expected[price] < 0:
                return False
            if expected[price] == 0:
                del expected[price]
        best = sorted(expected, reverse=side == BUY)[:levels]
        found = sorted(after[side], reverse=side == BUY)
        if found[: len(best)] != best or any(after[side][p] != expected[p] for p in best):
            return False
        if len(found) > len(best) and len(before[side]) < levels:
            return False
    return True


def _within(price: int, side: int, book: Levels, levels: int) -> bool:
    """Whether a change at a price shows among the best levels."""
    if len(book) < levels or price in book:
        return True
    return price > min(book) if side == BUY else price < max(book)
