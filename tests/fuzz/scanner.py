"""The scanner of levels on any bytes: it never reads beyond them, and takes nothing its twin does not.

The first bytes choose a grid, a shape and whether the rest is cut out of a frame by msgspec first, as
in the engine. Run by hand, coverage-guided, for a minute:

    python -m tests.fuzz.scanner -max_total_time=60
"""

import sys
from contextlib import suppress

import msgspec

from ext import decode
from ext.book import ASK, BID, Book
from tests.twins import book as twin_book
from tests.twins import decode as twin
from tests.twins.decode import outcome

GRIDS = [(1, 2, 1, 3), (1, 0, 1, 0), (5, 1, 1, 8), (25, 8, 5, 2), (1, 10, 1, 10)]
NAMES = ("price", "qty", "side")
LEVELS = decode.LevelNames(*NAMES)


def scan(data: bytes) -> bool:
    """Kernel and twin on the same bytes; whether the kernel took them."""
    if len(data) < 3:
        return False
    grid = GRIDS[data[0] % len(GRIDS)]
    shape = ("pairs", "numbered", "sided", "objects", "signed", "both")[data[1] % 6]
    body = bytes(data[2:])
    try:
        value = msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        value = None  # never given to the kernel by the engine: it must only not crash
    fast, slow = Book(), twin_book.Book()
    found = outcome(kernel, decode.Grid(*grid), fast, shape, body)
    if value is None or not isinstance(found, int):
        return False
    told = None
    with suppress(IndexError, KeyError, TypeError, AttributeError, RecursionError):
        told = outcome(obvious, twin.Grid(*grid), slow, shape, body)
    assert found == told, (grid, shape, body, found, told)
    assert fast.levels(BID) == slow.levels(BID), (grid, shape, body)
    assert fast.levels(ASK) == slow.levels(ASK), (grid, shape, body)
    return True


def kernel(grid: decode.Grid, book: Book, shape: str, body: bytes) -> int:
    """The kernel's reader of a shape."""
    match shape:
        case "pairs":
            return grid.pairs(book, BID, body)
        case "numbered":
            return grid.pairs(book, ASK, body, 3)
        case "sided":
            return grid.sided(book, body)
        case "objects":
            return grid.objects(book, 0, body, LEVELS)
        case "signed":
            return grid.signed(book, body)
        case _:
            grid.both(book, 7, body, body)
            return 0


def obvious(grid: twin.Grid, book: twin_book.Book, shape: str, body: bytes) -> int:
    """The twin's."""
    match shape:
        case "pairs":
            return grid.pairs(book, BID, body)
        case "numbered":
            return grid.pairs(book, ASK, body, 3)
        case "sided":
            return grid.sided(book, body)
        case "objects":
            return grid.objects(book, 0, body, NAMES)
        case "signed":
            return grid.signed(book, body)
        case _:
            grid.pairs(book, BID, body)
            grid.pairs(book, ASK, body)
            return 0


def main() -> None:
    """Fuzz until told to stop; atheris is in the `fuzz` extra."""
    import atheris

    atheris.instrument_func(scan)
    atheris.Setup(sys.argv, lambda data: scan(data) and None)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
