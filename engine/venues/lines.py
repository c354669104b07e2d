"""Lines: the books that one or more connections of a venue feed, with their handler.

Two connections share a line where the venue numbers its updates for all alike: the first arrival of
each wins. Elsewhere each connection is a line of its own, and the venue serves one of them.
"""

from collections.abc import Callable, Sequence

import msgspec

from engine.books import BookSnapshot, TrackedBook
from engine.instruments import Instrument
from engine.messages import BookState, Reason
from engine.venues.handler import Handler, LostNews, News, OldNews, TradeNews

ASK_FIRST_NS = 2_000_000_000
ASK_MAX_NS = 30_000_000_000
TRADES_KEPT = 256
STREAMS_AN_INSTRUMENT = 2  # its book and its trades

MakeHandler = Callable[[Sequence[Instrument]], Handler]


class Asked(msgspec.Struct, array_like=True):
    """When a book's snapshot was last asked for, and how long to wait before asking again."""

    at_ns: int
    wait_ns: int


class LineState(msgspec.Struct, array_like=True):
    """The whole state, for a snapshot."""

    connections: list[int]
    heard_ns: int
    books: dict[int, BookSnapshot]
    asked: dict[int, Asked]
    lost_ns: dict[int, int]
    trades: dict[int, dict[str, None]]
    handler: bytes
    begun_ns: dict[int, int]


class Line:
    """The books of some instruments as one handler builds them. `shared` by several connections."""

    def __init__(self, handler: Handler, instruments: Sequence[Instrument], shared: bool) -> None:
        self.handler = handler
        self.books = {instrument.id: TrackedBook(instrument) for instrument in instruments}
        self.connections: list[int] = []
        self.heard_ns = 0
        self.lost_ns: dict[int, int] = {}
        self.shared = shared
        self.asked: dict[int, Asked] = {}
        self._begun_ns: dict[int, int] = {}
        self._trades: dict[int, dict[str, None]] = {i.id: {} for i in instruments}

    def opened(self, connection: int, now_ns: int) -> tuple[tuple[bytes, ...], list[int]]:
        """A connection is open: what to send on it, and the books that are not LIVE any more.

        What came over the connection before is void; over another of the line it is not.
        """
        gone = []
        if connection in self.connections:
            self.connections.remove(connection)
        if not self.connections:
            self.handler.close()
            gone = self.lose_all(BookState.SYNCING, Reason.NONE, now_ns)
            self.asked = {number: Asked(now_ns, ASK_FIRST_NS) for number in self.books}
        self.connections.append(connection)
        return self.handler.open(now_ns), gone

    def closed(self, connection: int, now_ns: int) -> list[int]:
        """A connection is gone: the books that are not LIVE any more."""
        if connection in self.connections:
            self.connections.remove(connection)
        if self.connections:
            return []
        self.handler.close()
        return self.lose_all(BookState.SYNCING, Reason.DISCONNECTED, now_ns)

    def lose_all(self, state: BookState, reason: Reason, now_ns: int) -> list[int]:
        """No book of the line is known to be right; which were, or were in another state."""
        gone = []
        for number, tracked in self.books.items():
            tracked.book.sequence = 0  # whatever number comes next, it is not older
            if tracked.live or tracked.state is not state:
                self.lose(number, state, reason, now_ns)
                gone.append(number)
        return gone

    def lose(self, number: int, state: BookState, reason: Reason, now_ns: int) -> None:
        """A book is not known to be right any more, from now on if it was until now."""
        self.books[number].lose(state, reason)
        self.lost_ns.setdefault(number, now_ns)

    def first_arrivals(self, news: Sequence[News]) -> Sequence[News]:
        """The news of a shared line's frame without trades that another connection brought."""
        return [self._unless_known(item) for item in news]

    def _unless_known(self, item: News) -> News:
        if type(item) is not TradeNews:
            return item
        known = self._trades[item.instrument]
        if item.trade_id in known:
            return OldNews(item.instrument)
        if len(known) == TRADES_KEPT:
            del known[next(iter(known))]
        known[item.trade_id] = None
        return item

    # --- books that are old or not LIVE ---------------------------------------------------------------

    def aged(self, now_ns: int, stale_ns: int) -> list[int]:
        """The LIVE books that are not any more: the line fell silent, or nothing verifies them."""
        refresh_ns = int(self.handler.endpoint.refresh_s * 1e9)
        silent = now_ns - self.heard_ns > stale_ns
        gone = []
        for number, tracked in self.books.items() if silent or refresh_ns else ():
            if not tracked.live:
                self._begun_ns.pop(number, None)
                continue
            begun_ns = self._begun_ns.setdefault(number, now_ns)
            if silent:
                self.lose(number, BookState.STALE, Reason.STALE_MARKET, now_ns)
            elif refresh_ns and now_ns - begun_ns > refresh_ns:
                self.lose(number, BookState.SYNCING, Reason.REFRESH, now_ns)
            else:
                continue
            self._begun_ns.pop(number)
            gone.append(number)
        return gone

    def lost(self, news: LostNews, now_ns: int) -> None:
        """A book broke its rule."""
        self.lost_ns.setdefault(news.instrument, now_ns)

    def mended(self, number: int, now_ns: int) -> int:
        """A book is LIVE again: how long it was not, in ns."""
        self.asked.pop(number, None)
        return now_ns - self.lost_ns.pop(number, now_ns)

    def asking(self, number: int, now_ns: int) -> None:
        """A snapshot is asked for: when to do it again, each time later."""
        before = self.asked.get(number)
        wait_ns = ASK_FIRST_NS if before is None else min(before.wait_ns * 2, ASK_MAX_NS)
        self.asked[number] = Asked(now_ns, wait_ns)

    def overdue(self, now_ns: int) -> list[int]:
        """The books whose snapshot was asked for and did not come in time."""
        if not self.connections:
            return []
        return [
            number
            for number, asked in self.asked.items()
            if now_ns - asked.at_ns >= asked.wait_ns and not self.books[number].live
        ]

    # --- snapshot ------------------------------------------------------------------------------

    def snapshot(self) -> LineState:
        """The whole state."""
        return LineState(
            self.connections,
            self.heard_ns,
            {number: tracked.snapshot() for number, tracked in self.books.items()},
            self.asked,
            self.lost_ns,
            self._trades,
            self.handler.snapshot(),
            self._begun_ns,
        )

    def restore(self, state: LineState) -> None:
        """Become what `snapshot` gave."""
        self.connections = state.connections
        self.heard_ns = state.heard_ns
        for number, book in state.books.items():
            self.books[number].restore(book)
        self.asked = state.asked
        self.lost_ns = state.lost_ns
        self._trades = state.trades
        self._begun_ns = state.begun_ns
        self.handler.restore(state.handler)


class LinesState(msgspec.Struct, array_like=True):
    """The whole state, for a snapshot. `serving` says which line's book is shown."""

    lines: list[LineState]
    serving: dict[int, int]


class Lines:
    """All lines of a venue, and which of them serves each book.

    The instruments are dealt to as many connections as the exchange's limit of streams asks for,
    each `redundancy` times: replica r of part p is connection p * redundancy + r.
    """

    def __init__(
        self, make_handler: MakeHandler, instruments: Sequence[Instrument], redundancy: int
    ) -> None:
        self.all: list[Line] = []
        self.books: dict[int, TrackedBook] = {}
        self.serving: dict[int, Line] = {}
        self.of_connection: list[Line] = []
        streams = make_handler(instruments[:1]).endpoint.streams_per_connection
        size = max(1, streams // STREAMS_AN_INSTRUMENT)
        for at in range(0, max(1, len(instruments)), size):
            part = instruments[at : at + size]
            handler = make_handler(part)
            shared = handler.numbered and redundancy > 1
            lines = [Line(handler, part, shared)]
            if not shared:
                lines += [Line(make_handler(part), part, False) for _ in range(1, redundancy)]
            self.all += lines
            self.of_connection += lines * redundancy if shared else lines
            self.serving.update(dict.fromkeys(lines[0].books, lines[0]))
            self.books.update(lines[0].books)

    @property
    def handler(self) -> Handler:
        """The handler of the first line: what it declares holds for all."""
        return self.all[0].handler

    @property
    def connections(self) -> int:
        """How many connections feed the venue."""
        return len(self.of_connection)

    @property
    def connected(self) -> bool:
        """Whether every part of the venue's books has a connection."""
        parts: dict[int, bool] = {}
        for line in self.all:
            first = next(iter(line.books), -1)
            parts[first] = parts.get(first, False) or bool(line.connections)
        return all(parts.values())

    def of(self, connection: int) -> Line | None:
        """The line that a connection feeds."""
        known = 0 <= connection < len(self.of_connection)
        return self.of_connection[connection] if known else None

    def connection_of(self, line: Line) -> int:
        """On which connection to ask for something of a line's."""
        return line.connections[0] if line.connections else self.of_connection.index(line)

    def serve(self, line: Line, number: int) -> None:
        """From now on the book of this line is the one shown."""
        self.serving[number] = line
        self.books[number] = line.books[number]

    def with_book(self, number: int) -> list[Line]:
        """The lines that have a book of an instrument."""
        return [line for line in self.all if number in line.books]

    def live(self, number: int) -> Line | None:
        """A line whose book of an instrument is LIVE."""
        return next((line for line in self.with_book(number) if line.books[number].live), None)

    def snapshot(self) -> LinesState:
        """The whole state."""
        serving = {number: self.all.index(line) for number, line in self.serving.items()}
        return LinesState([line.snapshot() for line in self.all], serving)

    def restore(self, state: LinesState) -> None:
        """Become what `snapshot` gave."""
        for line, kept in zip(self.all, state.lines, strict=True):
            line.restore(kept)
        for number, place in state.serving.items():
            self.serve(self.all[place], number)
