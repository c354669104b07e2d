"""One exchange: its books, its connections, our orders there. Frames in; tops, events, fills out.

What is particular to an exchange is in its handler and its `Trading` (engine/venues/). What all share is
here, for market data: only a LIVE book is shown with prices, a lost one is resynced. What becomes of our
orders is the gateway's (engine/orders/gateway.py); a venue without one is only watched.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from engine.books import TrackedBook
from engine.component import NOTHING, Component, Outputs
from engine.config import VenueConfig
from engine.instruments import Instrument, InstrumentError, Instruments
from engine.messages import (
    FAILED,
    STREAMED,
    AnyMessage,
    BookState,
    Connected,
    Disconnected,
    Frame,
    HttpRequest,
    InstrumentReloaded,
    Reason,
    SendFrame,
    SetTimer,
    Started,
    TimerFired,
    Trade,
    VenueStatus,
)
from engine.orders.calls import PACE
from engine.orders.gateway import Gateway, GatewayState
from engine.orders.inbox import order_takers, watch_takers
from engine.venues.counts import Counts
from engine.venues.display import Display, DisplayState
from engine.venues.handler import (
    AccountNews,
    BookNews,
    ListingNews,
    LostNews,
    Malformed,
    OldNews,
    Refused,
    TradeNews,
    WantedNews,
)
from engine.venues.lines import Line, Lines, LinesState, MakeHandler
from engine.venues.trading import Trading

TICK_NS = 250_000_000
STATUS_TICKS = 4
MS = 1_000_000
UPKEEP = 1


class VenueState(msgspec.Struct):
    """The whole state, for a snapshot. `off_grid` are the instruments whose grid is asked for."""

    sequence: int
    ticks: int
    counts: Counts
    lines: LinesState
    off_grid: set[int]
    display: DisplayState
    gateway: GatewayState | None


class Venue(Component):
    """The Venue component of one exchange. Without a `trading` it is only watched.

    `prefix` marks the ids of our orders; `sharers` are how many venues share the host's budgets.
    """

    kind = "venue"

    def __init__(
        self,
        sender: int,
        venue: int,
        config: VenueConfig,
        instruments: Instruments,
        make_handler: MakeHandler,
        trading: Trading | None = None,
        prefix: str = "",
        sharers: int = 1,
    ) -> None:
        super().__init__(sender, instruments)
        self.venue = venue
        self.counts = Counts()
        self._simulated = config.kind == "simulated"
        self._stale_ns = config.stale_ms * MS
        self._ticks = 0
        self._off_grid: set[int] = set()
        self.lines = Lines(make_handler, instruments.of_venue(venue), config.redundancy)
        self._handler = self.lines.handler
        self._of_connection = self.lines.of_connection
        self._serving = self.lines.serving
        self.books: Mapping[int, TrackedBook] = self.lines.books  # those that are served
        self._display = Display(self, config.depth_levels)
        self.gateway: Gateway | None = None
        orders = watch_takers(sender, self.next_sequence)
        if trading is not None:
            connection = self.lines.connections
            shape = (sender, venue, trading, config, self.next_sequence, prefix, connection)
            self.gateway = Gateway(*shape, sharers)
            orders = order_takers(self.gateway, self.books.__contains__)
        self._private = self.lines.connections if trading and not trading.shared_line else -1
        self._shared = trading is not None and trading.shared_line
        self._takers: dict[type, Callable[[Any, int], Outputs]] = {
            **orders,
            TimerFired: self._on_timer,
            Connected: self._on_connected,
            Disconnected: self._on_disconnected,
            Started: self._on_started,
        }
        self._on_news: dict[type, Callable[[Line, Any, int, int], Outputs]] = {
            BookNews: self._book_changed,
            LostNews: self._book_lost,
            WantedNews: lambda line, news, _, now: tuple(self._resync(line, news.instrument, now)),
            OldNews: self._old,
            TradeNews: self._traded,
            ListingNews: self._listed,
            AccountNews: lambda _, news, at_ns, now: self._heard(news.payload, at_ns, now),
        }

    def on_message(self, message: AnyMessage, now_ns: int) -> Outputs:
        """See `Component.on_message`."""
        if type(message) is Frame:
            return self._on_frame(message, now_ns)
        taker = self._takers.get(type(message))
        return NOTHING if taker is None else taker(message, now_ns)

    def open_work(self) -> int:
        """The orders that are not final, and final ones whose fills are missing."""
        return 0 if self.gateway is None else self.gateway.open_work()

    # --- life and connection ----------------------------------------------------------------------

    def _on_started(self, message: Started, now_ns: int) -> Outputs:
        outputs: list[AnyMessage] = [self._timer(now_ns)]
        if self.gateway is not None:
            outputs += self.gateway.started(message.epoch, now_ns)
        if message.epoch > 1:
            for line in self.lines.all:
                line.connections.clear()
                gone = line.lose_all(BookState.SYNCING, Reason.DISCONNECTED, now_ns)
                outputs += self._give_up(line, gone, 0)
        return tuple(outputs)

    def _on_connected(self, message: Connected, now_ns: int) -> Outputs:
        outputs: list[AnyMessage] = []
        line = self.lines.of(message.connection)
        if line is not None:
            frames, gone = line.opened(message.connection, now_ns)
            outputs += self._give_up(line, gone, 0)
            outputs += [self._send(message.connection, payload) for payload in frames]
        if self.gateway is not None and self._is_private(message.connection):
            outputs += self.gateway.connected(now_ns)
        outputs.append(self._status(0))
        return tuple(outputs)

    def _on_disconnected(self, message: Disconnected, now_ns: int) -> Outputs:
        outputs: list[AnyMessage] = []
        line = self.lines.of(message.connection)
        if line is not None:
            outputs = self._give_up(line, line.closed(message.connection, now_ns), 0)
        if self.gateway is not None and self._is_private(message.connection):
            outputs += self.gateway.disconnected(now_ns)
        outputs.append(self._status(0))
        return tuple(outputs)

    def _is_private(self, connection: int) -> bool:
        """Whether our orders are told of on a connection: on its own, or on the first of the books."""
        return connection == self._private or (self._shared and connection == 0)

    # --- frames -----------------------------------------------------------------------------------

    def _on_frame(self, frame: Frame, now_ns: int) -> Outputs:
        counts = self.counts
        counts.frames += 1
        if frame.connection == self._private:
            return self._heard(frame.payload, frame.received_ns, now_ns)
        try:
            line = self._of_connection[frame.connection]
        except IndexError:
            counts.malformed += 1
            return NOTHING
        if frame.kind == FAILED:
            counts.requests_failed += 1
            return NOTHING
        line.heard_ns = now_ns
        try:
            news = line.handler.decode(frame, line.books)
        except Refused:
            counts.requests_failed += 1
            return NOTHING
        except Malformed:
            counts.malformed += 1
            return self._distrust(line, frame, now_ns)
        if line.shared:
            news = line.first_arrivals(news)
        received_ns, on_news = frame.received_ns, self._on_news
        if len(news) == 1:
            return on_news[type(news[0])](line, news[0], received_ns, now_ns)
        return sum((on_news[type(item)](line, item, received_ns, now_ns) for item in news), NOTHING)

    def _distrust(self, line: Line, frame: Frame, now_ns: int) -> Outputs:
        """A frame could not be read: books it hurt, and those that nothing will tell of, are lost."""
        outputs: list[AnyMessage] = []
        hurt = frame.kind == STREAMED and not line.handler.chained
        for number, tracked in line.books.items():
            if hurt and tracked.live:
                tracked.lose(BookState.BROKEN, Reason.MALFORMED)
            if not tracked.live and number not in line.lost_ns and self._display.shows(number):
                news = LostNews(number, tracked.reason)
                outputs += self._book_lost(line, news, frame.received_ns, now_ns)
        return tuple(outputs)

    def _book_changed(self, line: Line, news: BookNews, received_ns: int, now_ns: int) -> Outputs:
        number, check = news
        if check:
            self.counts.checked(check)
        if not line.books[number].live:
            return NOTHING  # a later part of the frame, or of what waited, lost it again
        took_ns = line.mended(number, now_ns) if line.lost_ns or line.asked else 0
        if self._serving[number] is not line:
            if self.books[number].live:
                return NOTHING
            self._switch(line, number)
        return self._display.live(line.books[number], received_ns, took_ns)

    def _book_lost(self, line: Line, news: LostNews, received_ns: int, now_ns: int) -> Outputs:
        self.counts.lost(news.reason)
        line.lost(news, now_ns)
        outputs = self._give_up(line, [news.instrument], received_ns)
        if news.reason is Reason.SNAPSHOT_OLD:
            line.asking(news.instrument, now_ns)  # what answered lags: not at once, and ever later
            return tuple(outputs)
        if news.reason is Reason.OFF_GRID:
            if news.instrument in self._off_grid:
                return tuple(outputs)  # the grid is asked for, and upkeep asks again
            self._off_grid.add(news.instrument)
            if not line.handler.listings_path(news.instrument):
                here = self.instruments[news.instrument]
                grid = ListingNews(news.instrument, here.tick_size, here.lot_size)
                return (*outputs, *self._listed(line, grid, received_ns, now_ns))
        return (*outputs, *self._resync(line, news.instrument, now_ns))

    def _give_up(self, line: Line, numbers: list[int], received_ns: int) -> list[AnyMessage]:
        """Books of a line are not LIVE: another line's are shown, or none."""
        outputs: list[AnyMessage] = []
        for number in numbers:
            if self.lines.serving[number] is not line:
                continue
            other = self.lines.live(number)
            if other is None:
                outputs += self._display.lost(self.books[number], received_ns)
            else:
                self._switch(other, number)
                outputs += self._display.live(other.books[number], received_ns, 0)
        return outputs

    def _switch(self, line: Line, number: int) -> None:
        self.lines.serve(line, number)
        self.counts.switches += 1

    def _old(self, line: Line, news: OldNews, received_ns: int, now_ns: int) -> Outputs:
        self.counts.duplicates += 1
        return NOTHING

    def _resync(self, line: Line, number: int, now_ns: int) -> list[AnyMessage]:
        """Ask for a fresh snapshot; of a book off its grid, for the grid first."""
        self.counts.resyncs += 1
        line.asking(number, now_ns)
        connection = self.lines.connection_of(line)
        frames, request = line.handler.resync(number, now_ns)
        if number in self._off_grid:
            frames, request = (), line.handler.listings_path(number)
        outputs: list[AnyMessage] = [self._send(connection, payload) for payload in frames]
        if request:
            ask = (self.sender, self.next_sequence(), 0, self.venue, request, connection)
            outputs.append(HttpRequest(*ask))
        return outputs

    def _listed(self, line: Line, news: ListingNews, received_ns: int, now_ns: int) -> Outputs:
        """The grid of a book that left it: the instrument is loaded anew, and its book asked for."""
        number = news.instrument
        if number not in self._off_grid or self._has_open(number):
            return NOTHING
        try:
            fresh = line.books[number].regridded(news.tick_size, news.lot_size)
        except InstrumentError:
            return NOTHING  # it stays BROKEN and OFF_GRID; upkeep asks again
        self._off_grid.discard(number)
        if fresh.same_grid(self.instruments[number]):
            return tuple(self._resync(line, number, now_ns))
        lines = self.lines.with_book(number)
        for other in lines:  # none of them is right on the new grid
            other.lose(number, BookState.SYNCING, Reason.OFF_GRID, now_ns)
        outputs = self._give_up(self._serving[number], [number], received_ns)
        stamp, grid = self.next_sequence(), (fresh.tick_size, fresh.lot_size)
        outputs.append(InstrumentReloaded(self.sender, stamp, received_ns, number, *grid))
        for other in lines:
            outputs += self._resync(other, number, now_ns)
        return tuple(outputs)

    def _has_open(self, number: int) -> bool:
        return self.gateway is not None and self.gateway.desk.has_open(number)

    def regrid(self, instrument: Instrument) -> None:
        """See `Component.regrid`: its books begin anew on the new grid."""
        for line in self.lines.with_book(instrument.id):
            line.books[instrument.id].move(instrument)

    def _traded(self, line: Line, news: TradeNews, received_ns: int, now_ns: int) -> Outputs:
        if self.lines.serving[news.instrument] is not line:
            return NOTHING
        return (Trade(self.sender, self.next_sequence(), received_ns, *news),)

    def _heard(self, payload: bytes, received_ns: int, now_ns: int) -> Outputs:
        """A frame about our account; what one that cannot be read said is asked for."""
        if self.gateway is None:
            return NOTHING
        try:
            return tuple(self.gateway.news.heard(payload, received_ns, now_ns))
        except Malformed:
            self.counts.malformed += 1
            return tuple(self.gateway.missed(now_ns))

    # --- upkeep -----------------------------------------------------------------------------------

    def _on_timer(self, message: TimerFired, now_ns: int) -> Outputs:
        """Doubt what was not answered, notice silence, say how it goes."""
        if message.key == PACE:
            return NOTHING if self.gateway is None else tuple(self.gateway.paced(now_ns))
        self._ticks += 1
        outputs: list[AnyMessage] = [self._timer(now_ns)]
        if self.gateway is not None:
            outputs += self.gateway.tick(now_ns)
        for line in self.lines.all:
            for number in line.aged(now_ns, self._stale_ns):
                outputs += self._give_up(line, [number], 0)
                outputs += self._resync(line, number, now_ns)
            for number in line.overdue(now_ns):
                outputs += self._resync(line, number, now_ns)
        if self._ticks % STATUS_TICKS == 0:
            outputs.append(self._status(0))
        return tuple(outputs)

    def _timer(self, now_ns: int) -> SetTimer:
        return SetTimer(self.sender, self.next_sequence(), 0, UPKEEP, now_ns + TICK_NS)

    def _send(self, connection: int, payload: bytes) -> SendFrame:
        return SendFrame(self.sender, self.next_sequence(), 0, self.venue, connection, payload)

    def _status(self, received_ns: int) -> VenueStatus:
        orders: dict[str, Any] = {"orders_open": 0, "orders_unknown": 0}
        if self.gateway is not None:
            orders = self.gateway.status()
        return VenueStatus(
            sender=self.sender,
            sequence=self.next_sequence(),
            received_ns=received_ns,
            venue=self.venue,
            connected=self.lines.connected,
            simulated=self._simulated,
            books_live=sum(tracked.live for tracked in self.books.values()),
            verifies=self._handler.verifies,
            **orders,
            **msgspec.structs.asdict(self.counts),
        )

    def snapshot(self) -> bytes:
        """See `Component.snapshot`."""
        state = VenueState(
            self.sequence,
            self._ticks,
            self.counts,
            self.lines.snapshot(),
            self._off_grid,
            self._display.snapshot(),
            None if self.gateway is None else self.gateway.snapshot(),
        )
        return msgspec.msgpack.encode(state)

    def restore(self, data: bytes) -> None:
        """See `Component.restore`."""
        state = msgspec.msgpack.decode(data, type=VenueState)
        self.sequence = state.sequence
        self._ticks, self.counts = state.ticks, state.counts
        self.lines.restore(state.lines)
        self._off_grid = state.off_grid
        self._display.restore(state.display)
        if self.gateway is not None and state.gateway is not None:
            self.gateway.restore(state.gateway)
