"""One run: an exchange plays its tape with a schedule of faults, then cleanly, and a client follows."""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from engine.edges import venue_http, venue_socket
from engine.messages import BookStateChanged
from engine.venues.counts import Counts
from tests.loopback.faults import Fault
from tests.loopback.harness import Client
from tests.loopback.model import Model
from tests.loopback.server import Exchange, Pulse

LIMITS = {"silence_s": 0.2, "frames_per_second": 2000.0, "requests_per_second": 2000.0}
PING_EVERY_S = 0.05
REFRESH_S = 15.0  # of the client's clock
STALE_MS = 5000
CALM_MS = 600_000


class Outcome(NamedTuple):
    """What a run came to."""

    counts: Counts
    changes: list[BookStateChanged]
    wrong: list[str]
    differences: list[str]
    handshakes: int
    requests: int
    refused: int


@contextmanager
def hurried() -> Iterator[None]:
    """The edges' waits of seconds as milliseconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(venue_socket, "WAIT_FIRST_S", 0.004)
        patch.setattr(venue_socket, "WAIT_MAX_S", 0.05)
        patch.setattr(venue_http, "TIMEOUT_S", 0.2)
        patch.setattr(venue_http, "BAN_S", 0.05)
        yield


def play(
    model: Model,
    faults: Sequence[Fault],
    lines: int = 1,
    steps: int | None = None,
    calm: bool = False,
    retry_after: str = "",
) -> Outcome:
    """Play at most so many steps with faults and then the clean tail.

    A calm run is one whose counters are looked at: no book grows stale on a busy machine.
    """
    return asyncio.run(_play(model, faults, lines, steps, calm, retry_after))


async def _play(
    model: Model,
    faults: Sequence[Fault],
    lines: int,
    steps: int | None,
    calm: bool,
    retry_after: str,
) -> Outcome:
    tape = model.tape
    exchange = Exchange(model, Pulse(), lines)
    exchange.retry_after = retry_after
    await exchange.open()
    stale_ms = CALM_MS if calm else STALE_MS
    client = Client(exchange, {fault.kind for fault in faults}, stale_ms)
    due = deque(faults)
    end = tape.tail if steps is None else min(steps, tape.tail)
    _begin(exchange, due)
    client.open(_limits(client, calm))
    try:
        while model.position < end:
            await exchange.quiet(lambda: client.asking)
            if due and due[0].step <= model.position and due[0].patient:
                await exchange.pulse.until(lambda: client.live, client.state)
            _begin(exchange, due)
            exchange.step()
        exchange.recover()
        while model.position < len(tape.steps):
            await exchange.quiet(lambda: client.asking)
            exchange.step()
        await _mend(exchange, client)
        return Outcome(
            client.venue.counts,
            client.shown.changes,
            client.shown.wrong,
            client.differences(model),
            exchange.handshakes,
            exchange.requests,
            exchange.refused,
        )
    finally:
        await client.close()
        await exchange.close()
        assert not client.failures, client.failures


def _begin(exchange: Exchange, due: deque[Fault]) -> None:
    while due and due[0].step <= exchange.model.position:
        exchange.afflict(due.popleft())


async def _mend(exchange: Exchange, client: Client) -> None:
    """All books come LIVE by themselves; those that nothing verifies come right by beginning anew."""
    model = exchange.model
    await exchange.quiet(lambda: client.asking)
    await exchange.pulse.until(lambda: client.live, client.state)
    await exchange.quiet(lambda: client.asking)
    if not client.chained:
        await exchange.pulse.until(
            lambda: client.live and not client.differences(model), client.state
        )
    assert client.tasks_ended == 0


def _limits(client: Client, calm: bool) -> dict[str, float]:
    endpoint = client.venue.lines.handler.endpoint
    limits = dict(LIMITS)
    if calm:
        limits["silence_s"] = 20.0
    if endpoint.ping:
        limits["ping_every_s"] = PING_EVERY_S
    if endpoint.refresh_s:
        limits["refresh_s"] = CALM_MS if calm else REFRESH_S
    return limits
