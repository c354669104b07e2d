"""The slow, obvious twin of ext/checksum.pyx: strings joined by Python, numbers by Decimal."""

import json
from binascii import crc32
from decimal import Decimal

from tests.twins.book import ASK, BID, Book

Step = tuple[int, int]


def signed(text: str) -> int:
    """CRC-32 as an int32."""
    value = crc32(text.encode())
    return value - 2**32 if value >= 2**31 else value


def number_of(steps: int, step: Step) -> Decimal:
    """Steps as the number they stand for, with all the grid's places."""
    digits, places = step
    return Decimal(steps * digits).scaleb(-places)


def shortest(number: Decimal) -> str:
    """Without an exponent and without trailing zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def javascript(number: Decimal) -> str:
    """As JSON.stringify writes it: below a millionth with an exponent."""
    if number and abs(number) < Decimal("0.000001"):
        digits = "".join(map(str, number.as_tuple().digits)).rstrip("0")
        point = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{'-' if number < 0 else ''}{digits[0]}{point}e{number.adjusted()}"
    return json.loads(json.dumps(shortest(number)))


def kraken(book: Book, tick: Step, lot: Step, levels: int = 10) -> int:
    """Asks, then bids; the point and leading zeros left out."""
    text = ""
    for side in (ASK, BID):
        for ticks, lots in book.levels(side)[:levels]:
            for number in (number_of(ticks, tick), number_of(lots, lot)):
                text += f"{number:f}".replace(".", "").lstrip("0")
    return crc32(text.encode())


def _interleaved(book: Book, levels: int) -> list[tuple[int, int, int]]:
    """(side, ticks, lots), level by level, the bid first."""
    bids, asks = book.levels(BID)[:levels], book.levels(ASK)[:levels]
    rows = []
    for place in range(levels):
        rows += [(BID, *level) for level in bids[place : place + 1]]
        rows += [(ASK, *level) for level in asks[place : place + 1]]
    return rows


def okx(book: Book, tick: Step, lot: Step, levels: int = 25) -> int:
    """bid:quantity:ask:quantity and so on."""
    words = []
    for _, ticks, lots in _interleaved(book, levels):
        words += [shortest(number_of(ticks, tick)), shortest(number_of(lots, lot))]
    return signed(":".join(words))


def bitfinex(book: Book, tick: Step, lot: Step, levels: int = 25) -> int:
    """The same in JavaScript's notation, with the amounts of asks below 0."""
    words = []
    for side, ticks, lots in _interleaved(book, levels):
        words += [javascript(number_of(ticks, tick)), javascript(side * number_of(lots, lot))]
    return signed(":".join(words))
