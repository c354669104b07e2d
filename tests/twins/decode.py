"""The slow, obvious twin of ext/decode.pyx: Decimal arithmetic, one level after the other."""

import re
from decimal import Decimal

from tests.twins.book import Book

PLAIN = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)")


class OffGrid(ValueError):
    """A number between two steps."""


class Grid:
    """An instrument's tick and lot."""

    def __init__(self, tick_digits: int, tick_places: int, lot_digits: int, lot_places: int):
        self._tick = (tick_digits, tick_places)
        self._lot = (lot_digits, lot_places)

    @staticmethod
    def _steps(text: str, step: tuple[int, int]) -> int:
        """Refused in this order: no number, finer than the grid's places, too large, off the step."""
        digits, places = step
        if not PLAIN.fullmatch(text):
            raise ValueError(text)
        scaled = Decimal(text).scaleb(places)
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

    def apply(self, book: Book, side: int, levels: list[tuple[str, ...]]) -> None:
        """Set one side's levels, in order."""
        for price, quantity, *_ in levels:
            book.change(side, self.ticks(price), self.lots(quantity))
