"""The client under test: the real Venue with its real sockets and HTTP, on a clock that runs fast.

Only the inbox is ours: it takes a message through the component and performs what follows. Every
price that is shown is held against the tape at once.
"""

import asyncio
import struct
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

import msgspec

from engine.assembly import build, topology_of
from engine.config import Config, VenueConfig, instruments_of
from engine.edges.feeds import open_feeds
from engine.edges.loop import ActorLoop
from engine.messages import (
    AnyMessage,
    BookState,
    BookStateChanged,
    BookTop,
    Depth,
    InstrumentReloaded,
    SetTimer,
    Started,
    TimerFired,
)
from engine.venue import Venue
from ext.book import ASK, BID
from tests.loopback.faults import OF_CONNECTIONS, UNSEEN, Kind
from tests.loopback.model import Model
from tests.loopback.server import Exchange

SPEED = 50
BEGIN_NS = 1_700_000_000_000_000_000
SHOWN = 10  # levels of a side that are shown, and held against the tape
Levels = list[tuple[Decimal, Decimal]]


class _Directory:
    """The clock."""

    def __init__(self) -> None:
        self._began = asyncio.get_running_loop().time()

    def now_ns(self) -> int:
        """Now, SPEED times as fast as the wall's clock."""
        passed_s = asyncio.get_running_loop().time() - self._began
        return BEGIN_NS + int(passed_s * SPEED * 1e9)

    def wall(self, at_ns: int) -> float:
        """When that is, by the event loop's clock."""
        return self._began + (at_ns - BEGIN_NS) / SPEED / 1e9


class _Gate:
    gateway: Any = None


class _Host:
    def __init__(self, components: list[Venue]) -> None:
        self.components = components


class Shown:
    """What was shown of the books, held against the tape.

    `ordered` says that nothing older than what was shown may be shown; `true` that nothing may be
    shown that was never there.
    """

    def __init__(self, model: Model, venue: Venue, true: bool, ordered: bool) -> None:
        self._model = model
        self._venue = venue
        self._symbols = list(model.tape.markets)
        self._floor = dict.fromkeys(self._symbols, 0)
        self._true = true
        self._ordered = ordered
        self.state: dict[int, BookState] = {}
        self.changes: list[BookStateChanged] = []
        self.wrong: list[str] = []

    def take(self, message: AnyMessage) -> None:
        """A message of the venue."""
        if isinstance(message, BookStateChanged):
            self.changes.append(message)
        if isinstance(message, BookTop):
            self.state[message.instrument] = message.state
            if message.state is BookState.LIVE:
                pairs = struct.pack(
                    "<4q", message.bid_ticks, message.bid_lots, message.ask_ticks, message.ask_lots
                )
                self._hold(message.instrument, pairs, 1)
        if isinstance(message, Depth) and message.state is BookState.LIVE:
            self._hold(message.instrument, message.pairs, message.levels)

    def _hold(self, number: int, pairs: bytes, levels: int) -> None:
        symbol = self._symbols[number]
        instrument = self._venue.instruments[number]
        numbers = struct.unpack(f"<{4 * levels}q", pairs)
        found = [
            (Decimal(instrument.ticks_to_price(t)), Decimal(instrument.lots_to_quantity(q)))
            for t, q in zip(numbers[::2], numbers[1::2], strict=True)
        ]
        bids = [level for level in found[:levels] if level[1]]
        asks = [level for level in found[levels:] if level[1]]
        moments = self._model.tape.markets[symbol]
        first = self._floor[symbol] if self._ordered else 0
        for place in range(first, self._model.places[symbol] + 1):
            moment = moments[place]
            if list(moment.bids[:levels]) == bids and list(moment.asks[:levels]) == asks:
                self._floor[symbol] = place
                return
        if self._true:
            self.wrong.append(
                f"{symbol} was shown at {self._model.places[symbol]}, not before {first}, "
                f"with {levels} levels as it never was: {bids[:1]} {asks[:1]}"
            )


class Client:
    """A venue that watches the loopback exchange."""

    def __init__(self, exchange: Exchange, kinds: set[Kind], stale_ms: int) -> None:
        self.pulse = exchange.pulse
        self.config = _config(exchange, stale_ms)
        self.directory = _Directory()
        self.gate = _Gate()
        topology = topology_of(self.config)
        instruments = instruments_of(self.config)
        self.venue = cast("Venue", build(self.config, topology, instruments, topology.actors[0])[0])
        self.host = _Host([self.venue])
        handler = self.venue.lines.handler
        self.chained = handler.chained
        true = self.chained or not kinds.intersection(UNSEEN)
        # Of two lines the other may be behind, and a new connection may begin with an old answer.
        apart = exchange.lines > 1 and not handler.numbered
        begun_old = Kind.HTTP_STALE in kinds and bool(kinds.intersection(OF_CONNECTIONS))
        undone = Kind.REORDER in kinds and not exchange.model.dated
        ordered = true and not apart and not begun_old and not undone
        self.shown = Shown(exchange.model, self.venue, true, ordered)
        self.failures: list[BaseException] = []
        self._sequence = 0
        self._timers: dict[int, asyncio.TimerHandle] = {}

    def open(self, limits: Mapping[str, object]) -> None:
        """Start; `limits` are the endpoint's, in seconds of the wall."""
        asyncio.get_running_loop().set_exception_handler(self._died)
        for line in self.venue.lines.all:
            line.handler.endpoint = line.handler.endpoint._replace(**limits)
        self.inject(Started(0, self.next_shell_sequence(), 0, 1))
        self.feeds = open_feeds(cast("ActorLoop", self), self.config, "")

    async def close(self) -> None:
        """Stop; raises what ended a task of the edges."""
        for timer in self._timers.values():
            timer.cancel()
        await self.feeds.close()

    def _died(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.failures.append(context.get("exception") or RuntimeError(context["message"]))

    @property
    def asking(self) -> int:
        """How many requests over HTTP are without an answer."""
        https = self.feeds.edges._https.values()
        return sum(len(http._waiting) + bool(http._under_way) for http in https)

    @property
    def tasks_ended(self) -> int:
        """How many tasks of the edges are not running any more."""
        return sum(task.done() for task in self.feeds.edges._tasks)

    # --- the part of an actor's loop that edges use ---------------------------------------------------

    def fail(self, error: Exception) -> None:
        """No task of the edges may end by itself."""
        self.failures.append(error)

    def next_shell_sequence(self) -> int:
        """See `ActorLoop`."""
        self._sequence += 1
        return self._sequence

    def inject(self, message: AnyMessage) -> None:
        """Take a message through the component, and perform what follows."""
        try:
            outputs = self.venue.on_message(message, self.directory.now_ns())
            for output in outputs:
                self.shown.take(output)
                self._perform(output)
        except Exception as error:
            self.failures.append(error)
            raise
        finally:
            self.pulse.beat()

    def _perform(self, effect: AnyMessage) -> None:
        if isinstance(effect, SetTimer):
            at = self.directory.wall(effect.at_ns)
            loop = asyncio.get_running_loop()
            self._timers[effect.key] = loop.call_at(at, self._fire, effect.key)
        elif isinstance(effect, InstrumentReloaded):
            self.venue.reload(effect.instrument, effect.tick_size, effect.lot_size)
        elif self.gate.gateway is not None:
            self.gate.gateway.perform(effect)

    def _fire(self, key: int) -> None:
        self.inject(TimerFired(0, self.next_shell_sequence(), 0, self.venue.sender, key))

    # --- the books ------------------------------------------------------------------------------------

    @property
    def live(self) -> bool:
        """Whether every book is LIVE, and was shown to be."""
        return all(
            tracked.live and self.shown.state.get(number) is BookState.LIVE
            for number, tracked in self.venue.books.items()
        )

    def state(self) -> str:
        """How it stands, for a failure's message."""
        states = {n: (t.state.name, t.reason.name) for n, t in self.venue.books.items()}
        return f"{states} {self.venue.counts} {self.failures}"

    def differences(self, model: Model) -> list[str]:
        """Where the books are not the true ones."""
        found = []
        for number, symbol in enumerate(model.tape.markets):
            moment = model.moment(symbol)
            for side, levels in ((BID, moment.bids), (ASK, moment.asks)):
                ours = self.levels(number, side)[: model.depth]
                if ours != list(levels[: model.depth]):
                    pairs = zip(ours, levels, strict=False)
                    at = next((n for n, (a, b) in enumerate(pairs) if a != b), len(ours))
                    found.append(f"{symbol} side {side} from level {at}: {ours[at : at + 2]}")
        return found

    def levels(self, number: int, side: int) -> Levels:
        """A side of the book that is shown, in decimals."""
        tracked = self.venue.books[number]
        instrument = tracked.instrument
        return [
            (Decimal(instrument.ticks_to_price(ticks)), Decimal(instrument.lots_to_quantity(lots)))
            for ticks, lots in tracked.book.levels(side)
        ]


def _config(exchange: Exchange, stale_ms: int) -> Config:
    model = exchange.model
    config = model.tape.config
    name = config.venues[0].name
    venue = VenueConfig(
        name=name,
        kind="watch",
        protocol=model.protocol,  # type: ignore[arg-type]
        stream_url="" if model.welcome else exchange.stream_url,
        rest_url=exchange.rest_url,
        stale_ms=stale_ms,
        depth_levels=SHOWN,
        redundancy=exchange.lines,
    )
    return msgspec.structs.replace(config, venues=(venue,))
