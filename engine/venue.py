"""One exchange: its books, its connection, our orders there. Frames in; tops, events, fills out.

What is particular to an exchange is in its handler (engine/venues/). Here stands what all share:
only a LIVE book is shown with prices, a lost book is resynced, an order's request is a message that
is journalled before its bytes leave, and what is not known of an order is asked until it is known.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from engine.books import BookSnapshot, TrackedBook
from engine.component import NOTHING, Component, Outputs
from engine.config import VenueConfig
from engine.instruments import Instruments
from engine.messages import (
    AnyMessage,
    BalanceSeen,
    BookState,
    BookStateChanged,
    BookTop,
    CancelCommand,
    Connected,
    Depth,
    Disconnected,
    Frame,
    HttpRequest,
    KillSwitch,
    OrderCommand,
    Reason,
    RequestRefused,
    SendFrame,
    SetTimer,
    Started,
    TimerFired,
    Trade,
    VenueStatus,
)
from engine.orders.desk import Desk, DeskState
from engine.venues.handler import (
    BalanceNews,
    BookNews,
    FillNews,
    Handler,
    LostNews,
    Malformed,
    OrderNews,
    QueryNews,
    TradeNews,
)

TICK_NS = 250_000_000
STATUS_TICKS = 4
MS = 1_000_000
UPKEEP = 1


class Counts(msgspec.Struct):
    """What a venue has counted since the engine's start."""

    frames: int = 0
    gaps: int = 0
    checksums: int = 0
    checksums_failed: int = 0
    crossed: int = 0
    resyncs: int = 0
    malformed: int = 0


class VenueState(msgspec.Struct):
    """The whole state, for a snapshot."""

    sequence: int
    epoch: int
    connected: bool
    killed: bool
    last_frame_ns: int
    ticks: int
    counts: Counts
    books: dict[int, BookSnapshot]
    shown: dict[int, tuple[int, int, int, int, int]]
    depths: dict[int, bytes]
    desk: DeskState
    handler: bytes


class Venue(Component):
    """The Venue component of one exchange."""

    kind = "venue"

    def __init__(
        self,
        sender: int,
        venue: int,
        config: VenueConfig,
        instruments: Instruments,
        handler: Handler,
    ) -> None:
        super().__init__(sender)
        self.venue = venue
        self.instruments = instruments
        self.books = {i.id: TrackedBook(i) for i in instruments.of_venue(venue)}
        self.counts = Counts()
        timeout_ns = config.order_timeout_ms * MS
        self.desk = Desk(sender, venue, handler, self.next_sequence, timeout_ns)
        self.connected = False
        self._handler = handler
        self._levels = config.depth_levels
        self._simulated = config.kind == "simulated"
        self._deadline_ns = config.order_deadline_ms * MS
        self._stale_ns = config.stale_ms * MS
        self._epoch = 0
        self._killed = False
        self._last_frame_ns = 0
        self._ticks = 0
        self._shown: dict[int, tuple[int, int, int, int, int]] = {}
        self._depths: dict[int, bytes] = {}
        self._takers: dict[type, Callable[[Any, int], Outputs]] = {
            Frame: self._on_frame,
            OrderCommand: self._on_order,
            CancelCommand: self._on_cancel,
            RequestRefused: self._on_refused,
            TimerFired: self._on_timer,
            Connected: self._on_connected,
            Disconnected: self._on_disconnected,
            Started: self._on_started,
            KillSwitch: self._on_kill_switch,
        }
        self._on_news: dict[type, Callable[[Any, int, int], Outputs]] = {
            BookNews: self._book_changed,
            LostNews: self._book_lost,
            TradeNews: self._traded,
            OrderNews: self._order_moved,
            FillNews: self._filled,
            QueryNews: self._answered,
            BalanceNews: self._balance,
        }

    def on_message(self, message: AnyMessage, now_ns: int) -> Outputs:
        """See `Component.on_message`."""
        taker = self._takers.get(type(message))
        return NOTHING if taker is None else taker(message, now_ns)

    def open_work(self) -> int:
        """The orders that are not final."""
        return len(self.desk.open)

    # --- life and connection ----------------------------------------------------------------------

    def _on_started(self, message: Started, now_ns: int) -> Outputs:
        self._epoch = message.epoch
        outputs: list[AnyMessage] = [self._timer(now_ns)]
        if message.epoch > 1:
            # The predecessor may have sent what its successor never heard of.
            outputs += self.desk.doubt_all()
            outputs += self._lose_all(BookState.SYNCING, Reason.DISCONNECTED, 0)
            self.connected = False
        return tuple(outputs)

    def _on_kill_switch(self, message: KillSwitch, now_ns: int) -> Outputs:
        self._killed = message.on
        return NOTHING

    def _on_connected(self, message: Connected, now_ns: int) -> Outputs:
        self.connected = True
        self._last_frame_ns = now_ns
        outputs: list[AnyMessage] = self._lose_all(BookState.SYNCING, Reason.NONE, 0)
        outputs += [self._send(payload) for payload in self._handler.open()]
        if self._handler.takes_orders:
            outputs += self.desk.doubt_all()
            outputs += self.desk.ask_all()
        outputs.append(self._status(0))
        return tuple(outputs)

    def _on_disconnected(self, message: Disconnected, now_ns: int) -> Outputs:
        self.connected = False
        outputs = self._lose_all(BookState.SYNCING, Reason.DISCONNECTED, 0)
        outputs += self.desk.doubt_all()
        outputs.append(self._status(0))
        return tuple(outputs)

    def _lose_all(self, state: BookState, reason: Reason, received_ns: int) -> list[AnyMessage]:
        outputs: list[AnyMessage] = []
        for number, tracked in self.books.items():
            if tracked.live or tracked.state is not state:
                tracked.lose(state, reason)
                outputs += self._show_lost(number, received_ns)
        return outputs

    # --- frames -----------------------------------------------------------------------------------

    def _on_frame(self, frame: Frame, now_ns: int) -> Outputs:
        self.counts.frames += 1
        self._last_frame_ns = now_ns
        try:
            news = self._handler.decode(frame, self.books)
        except Malformed:
            self.counts.malformed += 1
            return NOTHING
        if len(news) == 1:
            return self._on_news[type(news[0])](news[0], frame.received_ns, now_ns)
        outputs: list[AnyMessage] = []
        for item in news:
            outputs += self._on_news[type(item)](item, frame.received_ns, now_ns)
        return tuple(outputs)

    def _book_changed(self, news: BookNews, received_ns: int, now_ns: int) -> Outputs:
        """Depth first: the scanner waits for it; the top goes to who reads it later."""
        number = news.instrument
        if news.checked:
            self.counts.checksums += 1
        book = self.books[number].book
        outputs: Outputs = NOTHING
        pairs = book.top_bytes(self._levels)
        if pairs != self._depths.get(number):
            self._depths[number] = pairs
            outputs = (
                Depth(
                    self.sender,
                    self.next_sequence(),
                    received_ns,
                    number,
                    BookState.LIVE,
                    self._levels,
                    pairs,
                ),
            )
        top = (2, book.bid_ticks, book.bid_lots, book.ask_ticks, book.ask_lots)
        before = self._shown.get(number)
        if top == before:
            return outputs
        self._shown[number] = top
        outputs = (
            *outputs,
            BookTop(
                self.sender,
                self.next_sequence(),
                received_ns,
                number,
                BookState.LIVE,
                top[1],
                top[2],
                top[3],
                top[4],
            ),
        )
        if before is None or before[0] != 2:
            outputs = (*outputs, self._state_changed(number, received_ns))
        return outputs

    def _book_lost(self, news: LostNews, received_ns: int, now_ns: int) -> Outputs:
        if news.reason is Reason.SEQUENCE_GAP:
            self.counts.gaps += 1
        elif news.reason is Reason.CHECKSUM:
            self.counts.checksums_failed += 1
        elif news.reason is Reason.CROSSED:
            self.counts.crossed += 1
        else:
            self.counts.malformed += 1
        outputs = self._show_lost(news.instrument, received_ns)
        return (*outputs, *self._resync(news.instrument))

    def _resync(self, number: int) -> list[AnyMessage]:
        self.counts.resyncs += 1
        frames, request = self._handler.resync(number)
        outputs: list[AnyMessage] = [self._send(payload) for payload in frames]
        if request:
            outputs.append(HttpRequest(self.sender, self.next_sequence(), 0, self.venue, request))
        return outputs

    def _show_lost(self, number: int, received_ns: int) -> list[AnyMessage]:
        """A book that is not LIVE is shown without prices."""
        state = self.books[number].state
        self._shown[number] = (int(state), 0, 0, 0, 0)
        self._depths.pop(number, None)
        empty = bytes(32 * self._levels)
        sender = self.sender
        return [
            Depth(sender, self.next_sequence(), received_ns, number, state, self._levels, empty),
            BookTop(sender, self.next_sequence(), received_ns, number, state, 0, 0, 0, 0),
            self._state_changed(number, received_ns),
        ]

    def _state_changed(self, number: int, received_ns: int) -> BookStateChanged:
        tracked = self.books[number]
        return BookStateChanged(
            self.sender, self.next_sequence(), received_ns, number, tracked.state, tracked.reason
        )

    def _traded(self, news: TradeNews, received_ns: int, now_ns: int) -> Outputs:
        return (
            Trade(
                self.sender,
                self.next_sequence(),
                received_ns,
                news.instrument,
                news.side,
                news.ticks,
                news.lots,
                news.trade_id,
            ),
        )

    def _balance(self, news: BalanceNews, received_ns: int, now_ns: int) -> Outputs:
        sequence = self.next_sequence()
        return (
            BalanceSeen(self.sender, sequence, received_ns, self.venue, news.asset, news.total),
        )

    # --- orders: see engine/orders/desk.py ----------------------------------------------------------

    def _on_order(self, command: OrderCommand, now_ns: int) -> Outputs:
        return tuple(
            self.desk.place(command, now_ns, now_ns + self._deadline_ns, self._refusal(command))
        )

    def _refusal(self, command: OrderCommand) -> Reason:
        """Why this venue sends no order now, if it does not."""
        if self._killed:
            return Reason.KILLED
        if not self.connected or not self._handler.takes_orders:
            return Reason.NOT_CONNECTED
        if command.intent.instrument not in self.books:
            return Reason.UNKNOWN_INSTRUMENT
        return Reason.NONE

    def _on_cancel(self, command: CancelCommand, now_ns: int) -> Outputs:
        return tuple(self.desk.cancel(command))

    def _on_refused(self, message: RequestRefused, now_ns: int) -> Outputs:
        return tuple(self.desk.refused(message))

    def _order_moved(self, news: OrderNews, received_ns: int, now_ns: int) -> Outputs:
        return tuple(self.desk.moved(news, received_ns))

    def _filled(self, news: FillNews, received_ns: int, now_ns: int) -> Outputs:
        return tuple(self.desk.filled(news, received_ns))

    def _answered(self, news: QueryNews, received_ns: int, now_ns: int) -> Outputs:
        return tuple(self.desk.answered(news, received_ns))

    # --- upkeep -----------------------------------------------------------------------------------

    def _on_timer(self, message: TimerFired, now_ns: int) -> Outputs:
        """Doubt what was not answered, notice silence, say how it goes."""
        self._ticks += 1
        outputs: list[AnyMessage] = [self._timer(now_ns)]
        outputs += self.desk.chase(now_ns, self.connected)
        if self.connected and now_ns - self._last_frame_ns > self._stale_ns:
            outputs += self._lose_live(Reason.STALE_MARKET)
        if self._ticks % STATUS_TICKS == 0:
            outputs.append(self._status(0))
        return tuple(outputs)

    def _lose_live(self, reason: Reason) -> list[AnyMessage]:
        outputs: list[AnyMessage] = []
        for number, tracked in self.books.items():
            if tracked.live:
                tracked.lose(BookState.STALE, reason)
                outputs += self._show_lost(number, 0)
                outputs += self._resync(number)
        return outputs

    def _timer(self, now_ns: int) -> SetTimer:
        return SetTimer(self.sender, self.next_sequence(), 0, UPKEEP, now_ns + TICK_NS)

    def _send(self, payload: bytes) -> SendFrame:
        return SendFrame(self.sender, self.next_sequence(), 0, self.venue, 0, payload)

    def _status(self, received_ns: int) -> VenueStatus:
        counts = self.counts
        return VenueStatus(
            self.sender,
            self.next_sequence(),
            received_ns,
            self.venue,
            self.connected,
            counts.frames,
            counts.gaps,
            counts.checksums,
            counts.checksums_failed,
            counts.crossed,
            counts.resyncs,
            counts.malformed,
            len(self.desk.open),
            self.desk.unknown,
            self._simulated,
        )

    def snapshot(self) -> bytes:
        """See `Component.snapshot`."""
        return msgspec.msgpack.encode(
            VenueState(
                self.sequence,
                self._epoch,
                self.connected,
                self._killed,
                self._last_frame_ns,
                self._ticks,
                self.counts,
                {number: tracked.snapshot() for number, tracked in self.books.items()},
                self._shown,
                self._depths,
                self.desk.snapshot(),
                self._handler.snapshot(),
            )
        )

    def restore(self, data: bytes) -> None:
        """See `Component.restore`."""
        state = msgspec.msgpack.decode(data, type=VenueState)
        self.sequence = state.sequence
        self._epoch = state.epoch
        self.connected = state.connected
        self._killed = state.killed
        self._last_frame_ns = state.last_frame_ns
        self._ticks = state.ticks
        self.counts = state.counts
        for number, book in state.books.items():
            self.books[number].restore(book)
        self._shown = state.shown
        self._depths = state.depths
        self.desk.restore(state.desk)
        self._handler.restore(state.handler)
