"""The checksums that exchanges send with their books."""

from ext.book import Book
from ext.decode import Grid

def kraken(book: Book, grid: Grid, levels: int = 10) -> int:
    """CRC-32 of the best asks and then the best bids, digits only."""

def okx(book: Book, grid: Grid, levels: int = 25) -> int:
    """Signed CRC-32 of the best levels of both sides in turn, shortest decimals."""

def bitfinex(book: Book, grid: Grid, levels: int = 25) -> int:
    """The same with quantities of asks below 0 and numbers as JavaScript writes them."""
