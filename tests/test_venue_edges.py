"""Sockets and HTTP as one gateway: what goes where, and what happens when a task of theirs ends."""

import asyncio
from typing import Any

import pytest

from engine.edges.venue_edges import VenueEdges
from engine.edges.venue_http import retry_after_s
from engine.messages import HttpRequest, OrderRequest, Reason, SendFrame

FRAME = SendFrame(1, 1, 0, 0, 0, b"subscribe")
ORDER = OrderRequest(1, 1, 0, 0, 0, "o", True, 1 << 62, b"order")
REQUEST = HttpRequest(1, 1, 0, 0, "/listing", 0)


class Wire:
    """A socket that keeps what it is given, and ends when it is told to."""

    venue = connection = 0

    def __init__(self) -> None:
        self.now: list[bytes] = []
        self.later: list[bytes] = []
        self.end = asyncio.Event()

    async def keep_open(self) -> None:
        """Ends by an error."""
        await self.end.wait()
        raise KeyError("a defect")

    def send(self, payload: bytes) -> bool:
        """At once."""
        self.now.append(payload)
        return True

    def send_paced(self, payload: bytes) -> bool:
        """In its turn."""
        self.later.append(payload)
        return True


async def test_orders_leave_at_once_and_subscriptions_in_their_turn() -> None:
    """An order never waits behind two hundred subscriptions; what has no way out is said."""
    wire: Any = Wire()
    edges = VenueEdges([wire], [], lambda error: None)
    assert edges.perform(FRAME) is Reason.NONE
    assert edges.perform(ORDER) is Reason.NONE
    assert (wire.now, wire.later) == ([b"order"], [b"subscribe"])
    assert edges.perform(REQUEST) is Reason.NOT_CONNECTED
    assert edges.perform(SendFrame(1, 1, 0, 0, 7, b"x")) is Reason.NOT_CONNECTED


async def test_a_task_that_ends_by_a_defect_is_told_at_once() -> None:
    """A socket that nobody keeps open any more would look like a quiet market."""
    wire: Any = Wire()
    told: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
    edges = VenueEdges([wire], [], told.set_result)
    edges.open()
    wire.end.set()
    assert isinstance(await asyncio.wait_for(told, 5), KeyError)
    with pytest.raises(KeyError, match="a defect"):
        await edges.close()


async def test_closing_is_no_defect() -> None:
    """Tasks that are cancelled say nothing."""
    told: list[Exception] = []
    wire: Any = Wire()
    edges = VenueEdges([wire], [], told.append)
    edges.open()
    await edges.close()
    assert told == []


@pytest.mark.parametrize(
    ("status", "header", "wait_s"),
    [(200, "30", 0), (500, "30", 0), (429, "30", 30), (418, "", 60), (429, "soon", 60), (418, "9" * 9, 259200)],
)  # fmt: skip
def test_how_long_an_exchange_is_left_alone(status: int, header: str, wait_s: float) -> None:
    """As long as it says, a minute where it does not, three days at most."""
    assert retry_after_s(status, header) == wait_s
