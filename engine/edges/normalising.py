"""Raw frames into the catalog's events: the frames go through the venue itself, its books' logs come out.

The same component that trades decodes, checks and mends, so the events tell what it knew: levels as
they were set, the book's state with each change of it, trades of books that were served. Where
another connection's book begins to be served, the series begins anew with all its levels.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np

from engine.assembly import build, topology_of
from engine.config import Config, instruments_of
from engine.edges.capture import CONNECTED, DISCONNECTED, CapturedFrame
from engine.edges.catalog.layout import Grid, Int64s, Kind, columns
from engine.edges.catalog.writer import EventWriter
from engine.messages import (
    AnyMessage,
    BookStateChanged,
    Connected,
    Disconnected,
    Frame,
    InstrumentReloaded,
    SetTimer,
    Started,
    TimerFired,
    Trade,
)
from engine.venue import Venue
from engine.venues.lines import Line
from ext.book import ASK, BID, Log

ROWS_HELD = 20_000


class NormaliserState(msgspec.Struct):
    """Where a normaliser stands, to go on from in another process."""

    venue: bytes
    grids: dict[int, tuple[str, str]]
    due: dict[int, int]
    sequence: int


class Normaliser:
    """One venue's frames, in order of time, into a writer of events."""

    def __init__(self, config: Config, venue: str, writer: EventWriter) -> None:
        topology = topology_of(config)
        instruments = instruments_of(config)
        parts = build(config, topology, instruments, topology.actor(_number(config, venue) + 1))
        self._venue = next(
            part
            for part in parts
            if isinstance(part, Venue) and config.venues[part.venue].name == venue
        )
        self._name = venue
        self._writer = writer
        self._log = Log()
        self._lines: list[tuple[Line, int]] = []
        for line in self._venue.lines.all:
            for number, tracked in line.books.items():
                tracked.book.log_to(self._log, len(self._lines))
                self._lines.append((line, number))
        self._serving = dict(self._venue.lines.serving)
        self._held: dict[int, list[Int64s]] = {}
        self._grids: dict[int, tuple[str, str]] = {}
        self._due: dict[int, int] = {}
        self._sequence = 0
        self._take(Started(0, self._next(), 0, 1), 0)

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def feed(self, frames: Iterable[CapturedFrame]) -> int:
        """Take frames; how many they were. Raises CatalogError."""
        count = 0
        for count, frame in enumerate(frames, 1):  # noqa: B007 -- the last number is the count
            self._timers(frame.at_ns)
            self._take(self._message(frame), frame.at_ns)
        return count

    def flush(self) -> None:
        """Give the writer all that is held."""
        for number in list(self._held):
            self._give(number)

    def _message(self, frame: CapturedFrame) -> AnyMessage:
        number, venue = self._next(), self._venue.venue
        if frame.kind == CONNECTED:
            return Connected(0, number, 0, venue, frame.connection)
        if frame.kind == DISCONNECTED:
            return Disconnected(0, number, 0, venue, frame.connection, frame.about)
        return Frame(
            0, number, frame.at_ns, venue, frame.connection, frame.kind, frame.payload, frame.about
        )

    def _timers(self, now_ns: int) -> None:
        """The venue's own timers, as if time had passed."""
        while self._due and min(self._due.values()) <= now_ns:
            key = min(self._due, key=lambda each: self._due[each])
            due_ns = self._due.pop(key)
            at_ns = due_ns or now_ns
            self._take(TimerFired(0, self._next(), 0, self._venue.sender, key), at_ns)
            if now_ns - at_ns > 3_600_000_000_000:  # between recordings nobody watched
                self._due = dict.fromkeys(self._due, now_ns)

    # --- what follows from a message --------------------------------------------------------------

    def _take(self, message: AnyMessage, now_ns: int) -> None:
        outputs = self._venue.on_message(message, now_ns)
        raw = self._log.drain()
        if raw:
            self._levels(np.frombuffer(raw, dtype=np.int64).reshape(-1, 5), now_ns)
        for output in outputs:
            self._follow(output, now_ns)

    def _levels(self, rows: Int64s, now_ns: int) -> None:
        """What the served books were set to, each book's part as one frame."""
        for place in np.unique(rows[:, 0]).tolist():
            line, number = self._lines[place]
            if self._venue.lines.serving[number] is line and self._serving[number] is line:
                self._hold(number, rows[rows[:, 0] == place][:, 1:], now_ns)

    def _follow(self, output: AnyMessage, now_ns: int) -> None:
        if isinstance(output, SetTimer):
            self._due[output.key] = output.at_ns
        elif isinstance(output, BookStateChanged):
            self._switch(output.instrument, now_ns)
            self._hold(output.instrument, _row(Kind.STATE, 0, output.state, 0), now_ns)
        elif isinstance(output, Trade):
            row = _row(Kind.TRADE, output.side, output.ticks, output.lots)
            self._hold(output.instrument, row, now_ns)
        elif isinstance(output, InstrumentReloaded):
            number = output.instrument
            self._give(number)
            self._grids[number] = (output.tick_size, output.lot_size)
            self._venue.reload(number, output.tick_size, output.lot_size)
            self._levels(np.frombuffer(self._log.drain(), dtype=np.int64).reshape(-1, 5), now_ns)
        else:
            instrument = getattr(output, "instrument", -1)
            if instrument in self._serving:
                self._switch(instrument, now_ns)

    def _switch(self, number: int, now_ns: int) -> None:
        """Another line's book is served from here on: all of it."""
        line = self._venue.lines.serving[number]
        if self._serving[number] is line:
            return
        self._serving[number] = line
        book = line.books[number].book
        rows = [(int(Kind.CLEAR), 0, 0, 0)]
        rows += [
            (int(Kind.LEVEL), side, ticks, lots)
            for side in (BID, ASK)
            for ticks, lots in book.levels(side)
        ]
        self._hold(number, np.array(rows, dtype=np.int64), now_ns)
        state = line.books[number].state
        self._hold(number, _row(Kind.STATE, 0, state, 0), now_ns)

    def _hold(self, number: int, rows: Int64s, now_ns: int) -> None:
        """Keep rows of kind, side, ticks and lots as one frame of a series."""
        block = np.zeros((len(rows), 6), dtype=np.int64)
        block[:, 0] = now_ns
        block[:, 1:5] = rows
        block[-1, 5] = 1
        held = self._held.setdefault(number, [])
        held.append(block)
        if len(held) >= ROWS_HELD or len(rows) >= ROWS_HELD:
            self._give(number)

    def _give(self, number: int) -> None:
        blocks = self._held.pop(number, None)
        if blocks:
            instrument = self._venue.instruments[number]
            grid = Grid(_plain(instrument.tick_parts), _plain(instrument.lot_parts))
            self._writer.add(
                self._name, instrument.symbol, grid, columns(*np.concatenate(blocks).T)
            )

    # --- to go on later ---------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """Where it stands; `flush` was called before."""
        state = NormaliserState(self._venue.snapshot(), self._grids, self._due, self._sequence)
        return msgspec.msgpack.encode(state)

    def restore(self, data: bytes) -> None:
        """Go on from a snapshot; raises ValueError on one of another configuration."""
        state = msgspec.msgpack.decode(data, type=NormaliserState)
        for number, grid in state.grids.items():
            self._venue.reload(number, *grid)
        for place, (line, number) in enumerate(self._lines):
            line.books[number].book.log_to(None, place)
        self._venue.restore(state.venue)
        for place, (line, number) in enumerate(self._lines):
            line.books[number].book.log_to(self._log, place)
        self._log.drain()
        self._grids, self._due, self._sequence = state.grids, state.due, state.sequence
        self._serving = dict(self._venue.lines.serving)


def _row(kind: Kind, side: int, ticks: int, lots: int) -> Int64s:
    return np.array([(int(kind), side, ticks, lots)], dtype=np.int64)


def _plain(parts: tuple[int, int]) -> str:
    """A step as a plain decimal."""
    digits, places = parts
    text = str(digits).rjust(places + 1, "0")
    return f"{text[:-places]}.{text[-places:]}" if places else text


def _number(config: Config, venue: str) -> int:
    return [each.name for each in config.venues].index(venue)


def normalise_capture(config: Config, frames: Iterable[CapturedFrame], root: Path) -> int:
    """One capture as `replay` would play it, into a catalog; how many events. Raises CatalogError."""
    with EventWriter(root, staged=True) as writer:
        normaliser = Normaliser(config, config.venues[0].name, writer)
        normaliser.feed(_connected(frames))
        normaliser.flush()
    return writer.rows


def _connected(frames: Iterable[CapturedFrame]) -> Iterable[CapturedFrame]:
    for place, frame in enumerate(frames):
        if place == 0 and frame.kind != CONNECTED:
            yield CapturedFrame(frame.at_ns, 0, CONNECTED, "", b"")
        yield frame
