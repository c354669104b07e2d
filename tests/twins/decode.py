"""The slow, obvious twin of ext/decode.pyx: json and Decimal arithmetic, one level after the other."""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tests.twins.book import Book

NUMBER = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
SIDES = {"bid": 1, "buy": 1, "ask": -1, "offer": -1, "sell": -1}
DIGITS_MAX = 18


class OffGrid(ValueError):
    """A number between two steps."""


class Text(str):
    """A JSON number as it stands in the frame."""

    __slots__ = ()


def read(data: bytes) -> Any:
    """One JSON value with its numbers as they are written; raises ValueError."""
    return json.loads(data, parse_float=Text, parse_int=Text, parse_constant=refuse)


def refuse(word: str) -> None:
    """NaN and Infinity are no JSON."""
    raise ValueError(word)


def rows_of(data: bytes, kind: type) -> list[Any]:
    """A JSON array of arrays or of objects; raises ValueError."""
    rows = read(data)
    if not isinstance(rows, list) or not all(isinstance(row, kind) for row in rows):
        raise ValueError(data)
    return rows


class Grid:
    """An instrument's tick and lot."""

    def __init__(self, tick_digits: int, tick_places: int, lot_digits: int, lot_places: int):
        self._tick = (tick_digits, tick_places)
        self._lot = (lot_digits, lot_places)

    @staticmethod
    def _steps(text: str, step: tuple[int, int]) -> int:
        """Refused in this order: no number, too many digits, off the places, too large, off the step."""
        digits, places = step
        if not isinstance(text, str) or not NUMBER.fullmatch(text):
            raise ValueError(text)
        number = Decimal(text)
        if len("".join(map(str, number.as_tuple().digits)).strip("0")) > DIGITS_MAX:
            raise ValueError(text)
        if not number:
            return 0
        scaled = number.scaleb(places)
        if scaled != scaled.to_integral_value():
            raise OffGrid(text)
        if scaled >= 2**63:  # counted in the last place, as the kernel counts it
            raise ValueError(text)
        if int(scaled) % digits:
            raise OffGrid(text)
        return int(scaled) // digits

    def ticks(self, price: str) -> int:
        """A price as ticks."""
        return self._steps(price, self._tick)

    def lots(self, quantity: str) -> int:
        """A quantity as lots."""
        return self._steps(quantity, self._lot)

    def pairs(self, book: Book, side: int, data: bytes, above: int = -1) -> int:
        """See the kernel's."""
        rows = rows_of(data, list)
        for price, quantity, *more in rows:
            ticks, lots = self.ticks(price), self.lots(quantity)
            if above < 0 or (self._steps(more[0], (1, 0)) > above and ticks):
                book.change(side, ticks, lots)
        return len(rows)

    def sided(self, book: Book, data: bytes) -> int:
        """See the kernel's."""
        rows = rows_of(data, list)
        for word, price, quantity, *_ in rows:
            book.change(SIDES[word], self.ticks(price), self.lots(quantity))
        return len(rows)

    def objects(self, book: Book, side: int, data: bytes, names: tuple[str, str, str]) -> int:
        """See the kernel's."""
        price, quantity, word = names
        rows = rows_of(data, dict)
        for row in rows:
            own = SIDES[row[word]] if word else side
            if side not in (0, own):
                raise ValueError(row)
            book.change(own, self.ticks(row[price]), self.lots(row[quantity]))
        return len(rows)

    def signed(self, book: Book, data: bytes) -> int:
        """See the kernel's."""
        value = read(data)
        rows = [value] if value and not isinstance(value[0], list) else value
        for price, count, amount, *_ in rows:
            side = -1 if amount.startswith("-") else 1
            ticks, size = self.ticks(price), amount.removeprefix("-")
            if self._steps(count, (1, 0)) == 0:
                self._steps(size, (1, 0))
                book.change(side, ticks, 0)
            elif lots := self.lots(size):
                book.change(side, ticks, lots)
            else:
                raise ValueError(amount)
        return len(rows)


def outcome(call: Callable[..., int], *arguments: object) -> int | str:
    """What a reader says: the number, or the kind of refusal."""
    try:
        return call(*arguments)
    except ValueError as error:
        return type(error).__name__
