"""What a wire protocol of the simulated exchange is: calls and frames in, answers and frames out.

A wire is pure. The front (`engine/exchange/front.py`) gives it what has *arrived* at the exchange, after
its latency and past its faults, and hands on what it answers; the server moves the bytes.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple, Protocol

import msgspec

from engine.exchange.orders import Event

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading JSON of a client may raise: it is none, its text is not UTF-8, or it is nested too deep."""


class Call(NamedTuple):
    """An HTTP request; `path` is without the venue's prefix, `headers` have lower-case names."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class Answer(NamedTuple):
    """An HTTP response; a body is JSON unless a header says otherwise."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Failure(IntEnum):
    """What the front may make a call meet; a wire gives it the real exchange's form."""

    UNAVAILABLE = 1  # 5xx or "service unavailable": effect unknown to the client
    OVERLOADED = 2  # 503 or "busy": not done
    RATE_LIMITED = 3  # 429 with Retry-After
    BANNED = 4  # 418 with Retry-After
    MAINTENANCE = 5
    REJECTED = 6  # the matching engine says no


class Outgoing(NamedTuple):
    """A websocket frame for a connection; None for a payload closes it."""

    connection: int
    payload: bytes | None


class Wire(Protocol):
    """One protocol of one venue. `paths` are the prefixes of HTTP paths and websocket paths it serves.

    Times are ns since 1970 by the exchange's own clock, which a fault may skew.
    """

    def connected(self, connection: int, path: str, query: str, now_ns: int) -> Sequence[Outgoing]:
        """A websocket is open at a path (without the venue's prefix)."""

    def disconnected(self, connection: int) -> None:
        """It is closed; what it placed stays, unless the exchange says otherwise."""

    def frame(self, connection: int, payload: bytes, now_ns: int) -> Sequence[Outgoing]:
        """A frame of a client has arrived."""

    def call(self, call: Call, now_ns: int) -> Answer:
        """An HTTP request has arrived."""

    def publish(self, events: Sequence[Event], now_ns: int) -> Sequence[Outgoing]:
        """What happened in the venue, for the connections that subscribed to it."""

    def failed(self, failure: Failure, call: Call, retry_after_s: int) -> Answer:
        """The answer to a call that the front makes fail."""

    def refused(self, failure: Failure, payload: bytes, retry_after_s: int) -> bytes:
        """The frame that answers a websocket request which the front makes fail; b'' for none."""

    def tick(self, now_ns: int) -> Sequence[Outgoing]:
        """Called as time passes: pings, heartbeats, expiries of keys; `due_ns` says when next.

        And when the clock was set, perhaps back: nothing waits until that time has come again.
        """

    def due_ns(self) -> int:
        """When `tick` wants to be called next; a time far away for never."""
