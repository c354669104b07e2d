"""Decimal strings straight into a book."""

from ext.book import Book

class OffGrid(ValueError):
    """A price or quantity that lies between two steps of the instrument's grid."""

class Grid:
    """An instrument's tick and lot: digits and decimal places of each."""

    def __init__(
        self, tick_digits: int, tick_places: int, lot_digits: int, lot_places: int
    ) -> None: ...
    def ticks(self, price: str) -> int:
        """A price as ticks; raises OffGrid or ValueError."""
    def lots(self, quantity: str) -> int:
        """A quantity as lots; raises OffGrid or ValueError."""
    def apply(
        self, book: Book, side: int, levels: list[tuple[str, str]] | list[tuple[str, ...]]
    ) -> None:
        """Set one side's levels from (price, quantity, ...) tuples of strings, in order."""
