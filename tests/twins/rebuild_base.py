"""What the slow rebuilds of tests/twins/rebuild.py share: dicts of Decimal by price, and numbers."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

Top = tuple[Decimal, Decimal, Decimal, Decimal]
Levels = Iterable[Any]


class Rebuild:
    """What all share: levels by price, both sides, and the last number of each market."""

    overlapping = False

    def __init__(self) -> None:
        self.books: dict[str, dict[str, dict[Decimal, Decimal]]] = {}
        self.last: dict[str, int] = {}
        self.checksums = 0
        self.links = 0
        self.heard: dict[str, int] = {}
        self.lenient = False  # a difference may begin before the book ends, as documented

    def frame(self, payload: bytes, about: str) -> list[str]:
        """Apply a frame, or the answer to `about`; the markets whose books it changed."""
        raise NotImplementedError

    def begin(self, symbol: str, bids: Levels, asks: Levels, number: int = 0) -> list[str]:
        """A snapshot."""
        self.books[symbol] = {"b": {}, "a": {}}
        self.last[symbol] = number
        return self.change(symbol, bids, asks)

    def change(self, symbol: str, bids: Levels, asks: Levels) -> list[str]:
        """Set levels."""
        for side, levels in (("b", bids), ("a", asks)):
            held = self.books[symbol][side]
            for price, quantity, *_ in levels:
                held.pop(Decimal(price), None)
                if Decimal(quantity) != 0:
                    held[Decimal(price)] = Decimal(quantity)
        return [symbol]

    def link(self, symbol: str, follows: int, number: int) -> None:
        """The number of a stream's frame: `follows` must be that of the one before."""
        if symbol in self.heard:
            follows_on = follows == self.heard[symbol]
            if self.lenient and self.overlapping and follows < self.heard[symbol] < number:
                follows_on = True
            assert follows_on, f"the capture itself has a gap at {symbol}"
            self.links += 1
        self.heard[symbol] = number

    def sides(self, symbol: str) -> tuple[list[tuple[Decimal, Decimal]], ...]:
        """Both sides, the best level first."""
        book = self.books[symbol]
        return sorted(book["b"].items(), reverse=True), sorted(book["a"].items())

    def top(self, symbol: str) -> Top:
        """Best bid, its quantity, best ask, its quantity; zeros for an empty side."""
        bids, asks = self.sides(symbol)
        nothing = [(Decimal(0), Decimal(0))]
        return (*(bids or nothing)[0], *(asks or nothing)[0])


class Differences(Rebuild):
    """A snapshot over HTTP; differences wait for it and then apply by first and last number."""

    overlapping = True

    def __init__(self) -> None:
        super().__init__()
        self.waiting: dict[str, list[tuple[int, int, Levels, Levels]]] = {}

    def snapshot(self, symbol: str, number: int, bids: Levels, asks: Levels) -> list[str]:
        """The answer, and what waited for it."""
        self.begin(symbol, bids, asks, number)
        for waited in self.waiting.pop(symbol, []):
            self.difference(symbol, *waited)
        return [symbol]

    def difference(
        self, symbol: str, first: int, last: int, bids: Levels, asks: Levels
    ) -> list[str]:
        """A frame of the stream."""
        if symbol not in self.books:
            self.waiting.setdefault(symbol, []).append((first, last, bids, asks))
            return []
        if last <= self.last[symbol]:
            return []
        assert self.follows(symbol, first), f"the capture itself has a gap at {symbol}"
        self.last[symbol] = last
        return self.change(symbol, bids, asks)

    def follows(self, symbol: str, first: int) -> bool:
        """Whether a difference that begins at `first` joins the book."""
        return first <= self.last[symbol] + 1
