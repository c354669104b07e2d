"""What a wire remembers of orders is bounded: what is final is forgotten first."""

from collections.abc import Callable
from itertools import islice
from typing import TypeVar

LOOKS = 100
"""How many of the oldest are looked at for one to forget: open orders are bounded elsewhere."""
Kept = TypeVar("Kept")


def drop_oldest(kept: dict[int, Kept], lives: Callable[[int], bool]) -> None:
    """Forget the oldest thing whose order is final; those that live go behind the others."""
    for number in list(islice(kept, LOOKS)):
        if not lives(number):
            del kept[number]
            return
        kept[number] = kept.pop(number)
