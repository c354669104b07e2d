"""Where an actor's frames come from: sockets to an exchange, or a recording played back.

`open_feeds` looks at which venues an actor hosts and opens what the configuration says. A replayed
venue takes its frames from a capture or a tape and has no way to send an order anywhere.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from engine.backtest.hearing import CONNECTED, DISCONNECTED
from engine.config import Config
from engine.edges.capture import CapturedFrame, frames_of
from engine.edges.directory import Counter
from engine.edges.loop import ActorLoop
from engine.edges.private_edges import open_ccxt, open_private, served
from engine.edges.public_feeds import sockets_to, watch
from engine.edges.venue_edges import Connection, PrivateCalls, VenueEdges
from engine.edges.venue_http import VenueHttp
from engine.messages import AnyMessage, Connected, Disconnected, Frame, Reason
from engine.venue import Venue

BURST = 256


class ReplayFeed:
    """Plays one venue's recording into its actor: at its own speed, n times as fast, or at once."""

    def __init__(self, loop: ActorLoop, venue: int, frames: Iterator[CapturedFrame], speed: float):
        self.venue = venue
        self.frames = 0
        self._loop = loop
        self._frames = frames
        self._speed = speed

    async def play(self) -> None:
        """Give every frame to the step; between bursts the event loop has its turn."""
        page = self._loop.page
        page.add(Counter.FEEDS_PLAYING, 1)
        try:
            await self._play()
        finally:  # what a spoilt recording raises is told by `Feeds.close`
            page.add(Counter.FEEDS_ENDED, 1)

    async def _play(self) -> None:
        loop = self._loop
        event_loop = asyncio.get_running_loop()
        begin = event_loop.time()
        first_ns: int | None = None
        for number, frame in enumerate(self._frames):
            first_ns = frame.at_ns if first_ns is None else first_ns
            if self._speed > 0:
                due = begin + (frame.at_ns - first_ns) / 1e9 / self._speed
                wait_s = due - event_loop.time()
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
            elif number % BURST == 0:
                await asyncio.sleep(0)
            if loop.stopping.is_set():
                return
            if number == 0 and frame.kind != CONNECTED:
                self._give(CapturedFrame(frame.at_ns, 0, CONNECTED, "", b""))
            self._give(frame)
            self.frames += 1

    def _give(self, frame: CapturedFrame) -> None:
        """Put what was recorded into the inbox, as if it happened now."""
        loop, venue, connection = self._loop, self.venue, frame.connection
        number, now_ns = loop.next_shell_sequence(), loop.directory.now_ns()
        if frame.kind == CONNECTED:
            loop.inject(Connected(0, number, 0, venue, connection))
        elif frame.kind == DISCONNECTED:
            loop.inject(Disconnected(0, number, 0, venue, connection, frame.about))
        else:
            kind, payload, about = frame.kind, frame.payload, frame.about
            loop.inject(Frame(0, number, now_ns, venue, connection, kind, payload, about))


class Feeds:
    """All feeds of an actor, and its gateway."""

    def __init__(self, edges: VenueEdges, replays: list[ReplayFeed]) -> None:
        self.edges = edges
        self.replays = replays
        self._tasks: list[asyncio.Task[None]] = []

    def open(self) -> None:
        """Start them on the running event loop."""
        self.edges.open()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(replay.play()) for replay in self.replays]

    def perform(self, effect: AnyMessage) -> Reason:
        """See `engine.edges.gate.Gateway`."""
        return self.edges.perform(effect)

    async def close(self) -> None:
        """Stop all; raises what a replay raised."""
        for task in self._tasks:
            task.cancel()
        done = await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.edges.close()
        for result in done:
            if isinstance(result, Exception):
                raise result


def open_feeds(loop: ActorLoop, config: Config, exchange: str) -> Feeds:
    """Open what the venues hosted by `loop` need; must run on its event loop."""
    sockets: list[Connection] = []
    https: list[VenueHttp] = []
    privates: list[PrivateCalls] = []
    replays = []
    now_ns = loop.directory.now_ns
    for component in loop.host.components:
        if not isinstance(component, Venue):
            continue
        settings = config.venues[component.venue]
        if settings.kind == "replay":
            frames = frames_of(Path(settings.path), settings.name)
            replays.append(ReplayFeed(loop, component.venue, frames, settings.speed))
        elif settings.kind == "simulated" and settings.protocol == "simulated":
            url = f"{exchange}/{settings.name}"
            endpoint = component.lines.handler.endpoint._replace(stream=url)
            sockets += sockets_to(loop, now_ns, component, endpoint, None)
        elif settings.kind == "simulated":
            watching, asking = watch(loop, now_ns, component, served(settings, exchange))
            sockets += watching
            https += asking
        else:
            watching, asking = watch(loop, now_ns, component, settings)
            sockets += watching
            https += asking
        private = open_private(loop, now_ns, config, component, exchange)
        if private is not None:
            privates.append(private[0])
            sockets.append(private[1])
        through = open_ccxt(loop, now_ns, config, component, exchange, loop.fail)
        if through is not None:
            privates.append(through)
            sockets.append(through)
    feeds = Feeds(VenueEdges(sockets, https, loop.fail, privates), replays)
    loop.gate.gateway = feeds
    feeds.open()
    return feeds
