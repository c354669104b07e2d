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
        self._tick = Decimal(tick_digits).scaleb(-tick_places)
        self._lot = Decimal(lot_digits).scaleb(-lot_places)

    @staticmethod
    def _steps(text: str, step: Decimal) -> int:
        if not PLAIN.fullmatch(text):
            raise ValueError(text)
        steps = Decimal(text) / step
        if steps != steps.to_integral_value():
            raise OffGrid(text)
        if steps >= 2**63:
            raise ValueError(text)
        return int(steps)

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
