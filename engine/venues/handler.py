"""What a venue's protocol handler is: frames in, news out; orders in, bytes out. No I/O, no clock.

A handler holds only what is particular to its exchange: how it subscribes, decodes, numbers and
checks. It applies levels straight to the books it is given and reports what happened as news; what
follows from news is the Venue component's, the same for all exchanges.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from engine.books import TrackedBook
from engine.instruments import Instrument
from engine.messages import Frame, OrderIntent, OrderState, Reason


class BookNews(NamedTuple):
    """A frame changed a book; `checked` says that a checksum was verified."""

    instrument: int
    checked: bool


class LostNews(NamedTuple):
    """A book broke a rule of its venue and is no longer LIVE; it needs a resync."""

    instrument: int
    reason: Reason


class TradeNews(NamedTuple):
    """A public trade; `side` is the taker's."""

    instrument: int
    side: int
    ticks: int
    lots: int
    trade_id: str


class OrderNews(NamedTuple):
    """What the venue says of an order of ours; `filled_lots` is the total."""

    client_order_id: str
    state: OrderState
    filled_lots: int
    reason: Reason


class FillNews(NamedTuple):
    """A fill of an order of ours; `number` counts the venue's fills without a hole."""

    client_order_id: str
    instrument: int
    side: int
    ticks: int
    lots: int
    fee: int
    fee_asset: str
    trade_id: str
    maker: bool
    number: int


class QueryNews(NamedTuple):
    """The answer to a query of one order, with the venue's time."""

    client_order_id: str
    found: bool
    state: OrderState
    filled_lots: int
    venue_ns: int


class BalanceNews(NamedTuple):
    """What the account holds of an asset, in units."""

    asset: str
    total: int


News = BookNews | LostNews | TradeNews | OrderNews | FillNews | QueryNews | BalanceNews


UNREADABLE = (msgspec.DecodeError, ValueError, OverflowError, RecursionError)
"""What reading a frame may raise: wrong bytes, numbers too large, nested deeper than is read."""


class Malformed(ValueError):
    """A frame that is not of the venue's protocol; the message says where."""


class Handler(Protocol):
    """One exchange's protocol. `takes_orders` is False for one that can only be watched."""

    takes_orders: bool

    def __init__(self, instruments: Sequence[Instrument], natives: Mapping[int, str]) -> None: ...

    def open(self) -> tuple[bytes, ...]:
        """The frames to send when a connection opens."""

    def resync(self, instrument: int) -> tuple[tuple[bytes, ...], str]:
        """How to get a fresh snapshot: frames to send, and what to ask over HTTP ('' for none)."""

    def decode(self, frame: Frame, books: Mapping[int, TrackedBook]) -> list[News]:
        """Apply a frame and say what happened; raises Malformed with all books still in order."""

    def order(self, intent: OrderIntent, deadline_ns: int) -> bytes:
        """The bytes that place an order which the venue must refuse after `deadline_ns`."""

    def cancel(self, client_order_id: str) -> bytes:
        """The bytes that cancel an order."""

    def query(self, client_order_id: str) -> bytes:
        """The bytes that ask what became of an order."""

    def fills_since(self, number: int) -> bytes:
        """The bytes that ask for all fills after the `number`th."""

    def snapshot(self) -> bytes:
        """What the handler keeps between frames, apart from the books."""

    def restore(self, data: bytes) -> None:
        """Become what `snapshot` gave."""


class WatchOnly:
    """The trading half of a handler whose venue can only be watched."""

    takes_orders = False

    def order(self, intent: OrderIntent, deadline_ns: int) -> bytes:
        """Never called: the component refuses orders to a venue that takes none."""
        raise AssertionError(f"{intent.client_order_id} was to be sent to a venue without orders")

    def cancel(self, client_order_id: str) -> bytes:
        """Never called, as `order`."""
        raise AssertionError(f"{client_order_id} was to be cancelled at a venue without orders")

    def query(self, client_order_id: str) -> bytes:
        """Never called, as `order`."""
        raise AssertionError(f"{client_order_id} was asked for at a venue without orders")

    def fills_since(self, number: int) -> bytes:
        """Never called, as `order`."""
        raise AssertionError(f"fills since {number} were asked for at a venue without orders")

    def snapshot(self) -> bytes:
        """Nothing is kept between frames."""
        return b""

    def restore(self, data: bytes) -> None:
        """Nothing is kept between frames."""
