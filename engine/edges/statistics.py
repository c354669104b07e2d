"""Reads the actors' pages: what any watcher shows of latency, queues and health comes from here."""

import mmap
import time

from engine.edges.directory import ActorState, Counter, Directory, Stage, open_page
from engine.views import ActorView, LatencyView
from ext.page import Page


class Statistics:
    """The pages of a run's actors, opened again when an actor's epoch changes."""

    def __init__(self, directory: Directory, components: dict[str, list[str]]) -> None:
        self._directory = directory
        self._components = components
        self._open: dict[str, tuple[int, Page, mmap.mmap]] = {}

    def page(self, actor: str) -> Page | None:
        """An actor's current page; None while it is starting."""
        epoch = self._directory.epoch(actor)
        held = self._open.get(actor)
        if held is not None and held[0] == epoch:
            return held[1]
        try:
            page, memory = open_page(self._directory.run, actor, epoch)
        except OSError:
            return None
        self._open[actor] = (epoch, page, memory)
        return page

    def actors(self) -> list[ActorView]:
        """All actors of the run and, last, the supervisor."""
        return [self._actor(actor) for actor in self._directory.actors]

    def _actor(self, actor: str) -> ActorView:
        page = self.page(actor)
        latency = {} if page is None else _latency(page)

        def count(counter: Counter) -> int:
            return 0 if page is None else page.get(counter)

        age_ms = 0.0 if page is None else (time.monotonic_ns() - page.heartbeat_ns) / 1e6
        return ActorView(
            actor=actor,
            components=self._components.get(actor, []),
            state=ActorState(0 if page is None else page.state).name,
            epoch=self._directory.epoch(actor),
            pid=self._directory.pid(actor),
            restarts=self._directory.restarts(actor),
            heartbeat_age_ms=round(age_ms, 1),
            messages_in=count(Counter.MESSAGES_IN),
            messages_out=count(Counter.MESSAGES_OUT),
            queue_depth=count(Counter.QUEUE_DEPTH),
            queue_high=count(Counter.QUEUE_HIGH),
            conflated=count(Counter.CONFLATED),
            duplicates=count(Counter.DUPLICATES),
            decode_errors=count(Counter.DECODE_ERRORS),
            memory_kb=count(Counter.MEMORY_KB),
            latency=latency,
        )


def _latency(page: Page) -> dict[str, LatencyView]:
    found = {}
    for stage in Stage:
        if page.count(stage):
            p50, p99, highest = (ns / 1000 for ns in page.percentiles(stage, 0.5, 0.99, 1.0))
            found[stage.name.lower()] = LatencyView(
                count=page.count(stage), p50_us=p50, p99_us=p99, max_us=highest
            )
    return found
