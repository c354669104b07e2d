"""Where an actor's frames come from: sockets to an exchange, or a recording played back.

`open_feeds` looks at which venues an actor hosts and opens what the configuration says. A replayed
venue takes its frames from a capture or a tape and has no way to send an order anywhere.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from engine.config import Config
from engine.edges.capture import CapturedFrame, read_capture
from engine.edges.directory import Counter
from engine.edges.loop import ActorLoop
from engine.edges.venue_socket import Sockets, VenueSocket
from engine.messages import AnyMessage, Connected, Frame, Reason

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
        await self._play()
        page.add(Counter.FEEDS_ENDED, 1)

    async def _play(self) -> None:
        loop = self._loop
        event_loop = asyncio.get_running_loop()
        loop.inject(Connected(0, loop.next_shell_sequence(), 0, self.venue, 0))
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
            now_ns = loop.directory.now_ns()
            loop.inject(
                Frame(
                    0,
                    loop.next_shell_sequence(),
                    now_ns,
                    self.venue,
                    frame.connection,
                    frame.kind,
                    frame.payload,
                    frame.about,
                )
            )
            self.frames += 1


class Feeds:
    """All feeds of an actor, and its gateway."""

    def __init__(self, sockets: Sockets, replays: list[ReplayFeed]) -> None:
        self.sockets = sockets
        self.replays = replays
        self._tasks: list[asyncio.Task[None]] = []

    def open(self) -> None:
        """Start them on the running event loop."""
        self.sockets.open()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(replay.play()) for replay in self.replays]

    def perform(self, effect: AnyMessage) -> Reason:
        """See `engine.edges.gate.Gateway`."""
        return self.sockets.perform(effect)

    async def close(self) -> None:
        """Stop all; raises what a replay raised."""
        for task in self._tasks:
            task.cancel()
        done = await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.sockets.close()
        for result in done:
            if isinstance(result, Exception):
                raise result


def frames_of(path: Path, venue: str) -> Iterator[CapturedFrame]:
    """A recording's frames: a raw capture, or one venue's part of a tape (a Parquet file)."""
    if path.suffix != ".parquet":
        return read_capture(path)
    from engine.edges.tape import read_tape_frames  # Arrow loads only where a tape is read

    return read_tape_frames(path, venue)


def open_feeds(loop: ActorLoop, config: Config, exchange: str) -> Feeds:
    """Open what the venues hosted by `loop` need; must run on its event loop."""
    sockets = []
    replays = []
    venues = loop.host.topology.of_kind("venue")
    for component in loop.host.components:
        if component.kind != "venue":
            continue
        venue = venues.index(component.sender)
        settings = config.venues[venue]
        if settings.kind == "replay":
            frames = frames_of(Path(settings.path), settings.name)
            replays.append(ReplayFeed(loop, venue, frames, settings.speed))
        else:
            url = f"{exchange}/{settings.name}"
            sockets.append(VenueSocket(loop, venue, 0, url, loop.directory.now_ns))
    feeds = Feeds(Sockets(sockets), replays)
    loop.gate.gateway = feeds
    feeds.open()
    return feeds
