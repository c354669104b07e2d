"""What a venue's protocol handler is: frames in, news out. No I/O, no clock.

A handler holds only what is particular to its exchange: how it subscribes, decodes, numbers and
checks. It applies levels straight to the books it is given and reports what happened as news; what
follows from news is the Venue component's, the same for all exchanges. What market data handlers
share stands in engine/venues/feed.py.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol

import msgspec

from engine.books import TrackedBook
from engine.instruments import Instrument
from engine.messages import Frame, Reason


class Check(IntEnum):
    """What became of the checksum of a frame."""

    NONE = 0
    VERIFIED = 1
    MISSING = 2


class BookNews(NamedTuple):
    """A frame changed a book, and what its checksum said of it."""

    instrument: int
    check: Check


class LostNews(NamedTuple):
    """A book broke a rule of its venue and is no longer LIVE; it needs a resync."""

    instrument: int
    reason: Reason


class WantedNews(NamedTuple):
    """A book waits for its snapshot, which has to be asked for."""

    instrument: int


class OldNews(NamedTuple):
    """A frame that was here before: sent twice, or by another connection."""

    instrument: int


class TradeNews(NamedTuple):
    """A public trade; `side` is the taker's."""

    instrument: int
    side: int
    ticks: int
    lots: int
    trade_id: str


class AccountNews(NamedTuple):
    """A frame about our own account, for the venue's `Trading` (engine/venues/trading.py) to read."""

    payload: bytes


class Listing(NamedTuple):
    """What a venue says of one of its markets; `symbol` as BASE/QUOTE, with :SETTLE for contracts."""

    native: str
    symbol: str
    tick_size: str
    lot_size: str


class ListingNews(NamedTuple):
    """The grid of an instrument as the venue gives it now."""

    instrument: int
    tick_size: str
    lot_size: str


News = BookNews | LostNews | WantedNews | OldNews | TradeNews | AccountNews | ListingNews


class Endpoint(NamedTuple):
    """How an exchange's public market data is reached, and what it allows a client.

    `silence_s` without a frame makes a connection dead. A book that nothing verifies is begun anew
    each `refresh_s`. Where `welcome` is a path, it is posted to
    first, and the handler's `address` reads out of the answer where to connect.
    """

    stream: str
    rest: str
    streams_per_connection: int = 200
    names_per_frame: int = 50
    frames_per_second: float = 5.0
    requests_per_second: float = 5.0
    ping: bytes = b""
    ping_every_s: float = 0.0
    silence_s: float = 30.0
    refresh_s: float = 0.0
    welcome: str = ""


UNREADABLE = (msgspec.DecodeError, ValueError, OverflowError, RecursionError)
"""What reading a frame may raise: wrong bytes, numbers too large, nested deeper than is read."""


class Malformed(ValueError):
    """A frame that is not of the venue's protocol; the message says where."""


class Refused(Malformed):
    """A frame in which the venue refuses what we sent; the message is the venue's."""


class Handler(Protocol):
    """One exchange's market data. What is its account's, where that comes on the same line, it passes on.

    `verifies` says in a few words what is checked of a book, for the venue's status. `numbered`
    declares that updates carry a number which is the same on every connection of the venue: only
    then may two connections feed one book, the first arrival of each update winning. `chained`
    declares that a frame which is missing shows at the next one, by its number or checksum.
    """

    verifies: str
    numbered: bool
    chained: bool
    endpoint: Endpoint

    def __init__(self, instruments: Sequence[Instrument], natives: Mapping[int, str]) -> None: ...

    def open(self, now_ns: int) -> tuple[bytes, ...]:
        """The frames to send when a connection opens."""

    def close(self) -> None:
        """The last connection is gone: forget what was kept of its streams."""

    def resync(self, instrument: int, now_ns: int) -> tuple[tuple[bytes, ...], str]:
        """How to get a fresh snapshot: frames to send, and what to ask over HTTP ('' for none)."""

    def decode(self, frame: Frame, books: Mapping[int, TrackedBook]) -> Sequence[News]:
        """Apply a frame and say what happened; raises Malformed with all books still in order."""

    @staticmethod
    def address(welcome: bytes) -> str:
        """Where to connect, out of the answer to `endpoint.welcome`; raises ValueError."""

    def listings_path(self, instrument: int) -> str:
        """What to ask over HTTP for the venue's markets like one; '' where that is not known."""

    def snapshot(self) -> bytes:
        """What the handler keeps between frames, apart from the books."""

    def restore(self, data: bytes) -> None:
        """Become what `snapshot` gave."""
