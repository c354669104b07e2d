"""JSON levels and decimal strings straight into a book."""

from typing_extensions import Buffer

from ext.book import Book

class OffGrid(ValueError):
    """A price or quantity, `text`, that lies between two steps of the instrument's grid."""

    of_price: bool
    text: str

    def __init__(self, message: str, of_price: bool, text: str) -> None: ...

class LevelNames:
    """What an exchange calls the fields of a level that is an object; no side where it has none."""

    def __init__(self, price: str, quantity: str, side: str = "") -> None: ...

class Grid:
    """An instrument's tick and lot: digits and decimal places of each.

    The readers of levels take the bytes of one JSON array, apply level after level and return how
    many they read. They raise OffGrid or ValueError at the first bad one; those before it are
    applied, so the caller gives the book up.
    """

    def __init__(
        self, tick_digits: int, tick_places: int, lot_digits: int, lot_places: int
    ) -> None: ...
    def ticks(self, price: str) -> int:
        """A price as ticks; raises OffGrid or ValueError."""
    def lots(self, quantity: str) -> int:
        """A quantity as lots; raises OffGrid or ValueError."""
    def pairs(self, book: Book, side: int, json: Buffer, above: int = -1) -> int:
        """Set one side's levels from [[price, quantity, ...], ...].

        With `above`, a level's third field is its sequence number: one that is not above it is old
        and passed over, and so is a price of 0 (KuCoin).
        """
    def both(self, book: Book, sequence: int, bids: Buffer, asks: Buffer, above: int = -1) -> bool:
        """One difference of both sides, each as `pairs`; whether the book is crossed afterwards.

        Raises OverflowError, with nothing changed, on a sequence beyond 64 bits.
        """
    def sided(self, book: Book, json: Buffer) -> int:
        """Set levels of both sides from [["buy", price, quantity], ...]."""
    def objects(self, book: Book, side: int, json: Buffer, names: LevelNames) -> int:
        """Set levels from [{price, quantity}, ...]; a `side` of 0 takes each level's own."""
    def signed(self, book: Book, json: Buffer) -> int:
        """Set levels from [[price, count, amount], ...], or from one of them alone (Bitfinex)."""
