"""What others see of a venue's books: depth and top where they are LIVE, no price where they are not.

A message is made only where something changed. Depth comes first, since the scanner waits for it.
"""

from collections.abc import Callable

import msgspec

from engine.books import TrackedBook
from engine.messages import AnyMessage, BookState, BookStateChanged, BookTop, Depth

LIVE = int(BookState.LIVE)

Top = tuple[int, int, int, int, int]


class DisplayState(msgspec.Struct, array_like=True):
    """The whole state, for a snapshot: the last top and depth told of each book."""

    tops: dict[int, Top]
    depths: dict[int, bytes]


class Display:
    """Makes the messages of one venue's books. `stamp` gives the numbers of the component's own."""

    def __init__(self, sender: int, stamp: Callable[[], int], levels: int) -> None:
        self._sender = sender
        self._stamp = stamp
        self._levels = levels
        self._tops: dict[int, Top] = {}
        self._depths: dict[int, bytes] = {}

    def live(self, tracked: TrackedBook, received_ns: int, took_ns: int) -> tuple[AnyMessage, ...]:
        """What a LIVE book shows now; `took_ns` is how long it was not LIVE before."""
        number = tracked.instrument.id
        book = tracked.book
        pairs = book.top_bytes(self._levels)
        if pairs == self._depths.get(number):
            return ()
        self._depths[number] = pairs
        sender, stamp = self._sender, self._stamp
        depth = Depth(sender, stamp(), received_ns, number, BookState.LIVE, self._levels, pairs)
        top = (LIVE, book.bid_ticks, book.bid_lots, book.ask_ticks, book.ask_lots)
        before = self._tops.get(number)
        if top == before:
            return (depth,)
        self._tops[number] = top
        _, bid, bid_lots, ask, ask_lots = top
        shown = BookTop(
            sender, stamp(), received_ns, number, BookState.LIVE, bid, bid_lots, ask, ask_lots
        )
        if before is None or before[0] != LIVE:
            return depth, shown, self._changed(tracked, received_ns, took_ns)
        return depth, shown

    def shows(self, number: int) -> bool:
        """Whether the book was last shown with prices."""
        top = self._tops.get(number)
        return top is not None and top[0] == LIVE

    def lost(self, tracked: TrackedBook, received_ns: int) -> tuple[AnyMessage, ...]:
        """A book that is not LIVE is shown without prices."""
        number, state, sender = tracked.instrument.id, tracked.state, self._sender
        self._tops[number] = (int(state), 0, 0, 0, 0)
        self._depths.pop(number, None)
        empty = bytes(32 * self._levels)
        return (
            Depth(sender, self._stamp(), received_ns, number, state, self._levels, empty),
            BookTop(sender, self._stamp(), received_ns, number, state, 0, 0, 0, 0),
            self._changed(tracked, received_ns, 0),
        )

    def _changed(self, tracked: TrackedBook, received_ns: int, took_ns: int) -> BookStateChanged:
        state, reason = tracked.state, tracked.reason
        number = tracked.instrument.id
        return BookStateChanged(
            self._sender, self._stamp(), received_ns, number, state, reason, took_ns
        )

    def snapshot(self) -> DisplayState:
        """The whole state."""
        return DisplayState(self._tops, self._depths)

    def restore(self, state: DisplayState) -> None:
        """Become what `snapshot` gave."""
        self._tops, self._depths = state.tops, state.depths
