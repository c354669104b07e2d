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
from engine.backtest.hearing import Hearing
from engine.component import Outputs
from engine.config import Config, instruments_of
from engine.edges.capture import CapturedFrame, opened
from engine.edges.catalog.layout import Grid, Int64s, Kind, columns
from engine.edges.catalog.writer import EventWriter
from engine.messages import (
    AnyMessage,
    BookState,
    BookStateChanged,
    InstrumentReloaded,
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
        self._switches = 0
        self._held: dict[int, list[Int64s]] = {}
        self._grids: dict[int, tuple[str, str]] = {}
        self._hearing = Hearing(self._venue, self._told)
        self._hearing.start()

    def feed(self, frames: Iterable[CapturedFrame]) -> int:
        """Take frames; how many they were. Raises CatalogError."""
        count = 0
        for frame in frames:
            self._hearing.hear(frame)
            count += 1
        return count

    def flush(self) -> None:
        """Give the writer all that is held."""
        for number in list(self._held):
            self._give(number)

    # --- what follows from a message --------------------------------------------------------------

    def _told(self, outputs: Outputs, now_ns: int) -> None:
        raw = self._log.drain()
        if raw:
            said = {o.instrument for o in outputs if isinstance(o, BookStateChanged)}
            self._levels(np.frombuffer(raw, dtype=np.int64).reshape(-1, 5), said, now_ns)
        if self._venue.counts.switches != self._switches:  # it may show the same, and say nothing
            self._switches = self._venue.counts.switches
            for number in self._serving:
                self._switch(number, now_ns)
        for output in outputs:
            self._follow(output, now_ns)

    def _levels(self, rows: Int64s, said: set[int], now_ns: int) -> None:
        """What the served books were set to, each book's part as one frame.

        A book that began anew and is LIVE as before says so, unless its change of state is `said`.
        """
        for place in np.unique(rows[:, 0]).tolist():
            line, number = self._lines[place]
            if self._venue.lines.serving[number] is line and self._serving[number] is line:
                part = rows[rows[:, 0] == place][:, 1:]
                anew = bool((part[:, 0] == int(Kind.CLEAR)).any())
                if anew and number not in said and line.books[number].live:
                    part = np.concatenate((part, _row(Kind.STATE, 0, BookState.LIVE, 0)))
                self._hold(number, part, now_ns)

    def _follow(self, output: AnyMessage, now_ns: int) -> None:
        if isinstance(output, BookStateChanged):
            self._hold(output.instrument, _row(Kind.STATE, 0, output.state, 0), now_ns)
        elif isinstance(output, Trade):
            row = _row(Kind.TRADE, output.side, output.ticks, output.lots)
            self._hold(output.instrument, row, now_ns)
        elif isinstance(output, InstrumentReloaded):
            number = output.instrument
            self._give(number)
            self._grids[number] = (output.tick_size, output.lot_size)
            self._venue.reload(number, output.tick_size, output.lot_size)
            rows = np.frombuffer(self._log.drain(), dtype=np.int64).reshape(-1, 5)
            self._levels(rows, set(), now_ns)

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
        rows.append((int(Kind.STATE), 0, int(line.books[number].state), 0))
        self._hold(number, np.array(rows, dtype=np.int64), now_ns)

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
        hearing = self._hearing
        state = NormaliserState(self._venue.snapshot(), self._grids, hearing.due, hearing.sequence)
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
        self._grids = state.grids
        self._hearing.due, self._hearing.sequence = state.due, state.sequence
        self._serving = dict(self._venue.lines.serving)
        self._switches = self._venue.counts.switches


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
        normaliser.feed(opened(frames))
        normaliser.flush()
    return writer.rows
