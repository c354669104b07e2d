"""What others see of a venue's books: depth and top where they are LIVE, no price where they are not.

A message is made only where something changed. Depth comes first, since the scanner waits for it.
"""

import msgspec

from engine.books import TrackedBook
from engine.component import Component
from engine.messages import AnyMessage, BookState, BookStateChanged, BookTop, Depth

LIVE = BookState.LIVE

Top = tuple[int, int, int, int]


class DisplayState(msgspec.Struct, array_like=True):
    """The whole state, for a snapshot: the top and depth that LIVE books were last shown with."""

    tops: dict[int, Top]
    depths: dict[int, bytes]


class Display:
    """Makes the messages of one venue's books, numbered as `sender`'s own."""

    def __init__(self, sender: Component, levels: int) -> None:
        self._component = sender
        self._sender = sender.sender
        self._stamp = sender.next_sequence
        self._levels = levels
        self._tops: dict[int, Top] = {}
        self._depths: dict[int, bytes] = {}

    def live(self, tracked: TrackedBook, received_ns: int, took_ns: int) -> tuple[AnyMessage, ...]:
        """What a LIVE book shows now; `took_ns` is how long it was not LIVE before."""
        number = tracked.instrument.id
        levels, sender = self._levels, self._sender
        pairs = tracked.book.top_bytes(levels)
        if pairs == self._depths.get(number):
            return ()
        self._depths[number] = pairs
        component = self._component  # its counter is moved in place: this is the hottest of paths
        stamp = component.sequence + 1
        depth = Depth(sender, stamp, received_ns, number, LIVE, levels, pairs)
        top = tracked.book.best()
        before = self._tops.get(number)
        if top == before:
            component.sequence = stamp
            return (depth,)
        component.sequence = stamp + 1
        self._tops[number] = top
        bid, bid_lots, ask, ask_lots = top
        shown = BookTop(sender, stamp + 1, received_ns, number, LIVE, bid, bid_lots, ask, ask_lots)
        if before is None:
            return depth, shown, self._changed(tracked, received_ns, took_ns)
        return depth, shown

    def shows(self, number: int) -> bool:
        """Whether the book was last shown with prices."""
        return number in self._tops

    def lost(self, tracked: TrackedBook, received_ns: int) -> tuple[AnyMessage, ...]:
        """A book that is not LIVE is shown without prices."""
        number, state, sender = tracked.instrument.id, tracked.state, self._sender
        self._tops.pop(number, None)
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
