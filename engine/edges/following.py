"""A real exchange's public feed as a market of the simulated exchange: what paper trading fills orders in.

The process of the exchange has connections of its own to the public feed, so its accounts outlive every
part of the engine. No key is loaded here, and nothing private is asked.
"""

import asyncio
from collections.abc import Callable

from engine.assembly import make_watcher
from engine.backtest.followed import FollowedExchange, followed_books
from engine.config import Config, instruments_of
from engine.edges.public_feeds import watch
from engine.edges.venue_edges import VenueEdges
from engine.messages import AnyMessage, Reason

WAIT_S = 0.25
Do = Callable[[Callable[[int], None]], None]


class Following:
    """A watched venue's feed, given to its exchange. Implements the `Inbox` of sockets and HTTP.

    `exchange` fills orders in it. `open` begins, on the running event loop; `do` has something done at
    the exchange by its own clock, and its clients told of it. `fail` hears of a defect.
    """

    def __init__(self, config: Config, place: int, begin_ns: int) -> None:
        self._settings = config.venues[place]
        self._sequence = 0
        self._edges: VenueEdges | None = None
        self._do: Do | None = None
        self._waiting: asyncio.TimerHandle | None = None
        instruments = instruments_of(config)
        here = instruments.of_venue(place)
        self._venue = make_watcher(config, place, instruments)
        self.exchange = FollowedExchange(
            self._settings.name,
            here,
            self._venue,
            begin_ns,
            followed_books(here, config.exchange.queue_model, config.exchange.queue_power),
            self._perform,
        )

    def open(self, do: Do, now_ns: Callable[[], int], fail: Callable[[Exception], None]) -> None:
        """Connect to the public feed."""
        self._do = do
        sockets, https = watch(self, now_ns, self._venue, self._settings)
        self._edges = VenueEdges(sockets, https, fail)
        self._edges.open()
        self._wait()

    async def close(self) -> None:
        """Disconnect; raises what ended a connection's task by itself."""
        if self._waiting is not None:
            self._waiting.cancel()
        if self._edges is not None:
            await self._edges.close()

    def _perform(self, effect: AnyMessage) -> Reason:
        return Reason.NOT_CONNECTED if self._edges is None else self._edges.perform(effect)

    def _wait(self) -> None:
        assert self._do is not None
        self._do(self.exchange.wait)
        self._waiting = asyncio.get_running_loop().call_later(WAIT_S, self._wait)

    # --- the inbox of its edges ---------------------------------------------------------------------

    def inject(self, message: AnyMessage) -> None:
        """What the feed brought."""
        assert self._do is not None
        self._do(lambda at_ns: self.exchange.follow(message, at_ns))

    def next_shell_sequence(self) -> int:
        """The number of the next message put into this inbox."""
        self._sequence += 1
        return self._sequence
