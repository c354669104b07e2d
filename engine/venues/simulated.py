"""The simulated exchange's protocol: JSON text frames, absolute levels, one connection for all.

Books come as a snapshot and updates numbered without a hole; what the frames say of our account, which
share the connection, is read by `engine/venues/simulated_trading.py`. Everything on it is simulated and
says so. See docs/simulated-exchange.md.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from engine.books import TrackedBook
from engine.instruments import Instrument
from engine.messages import BUY, SELL, BookState, Frame, Reason
from engine.venues.handler import (
    UNREADABLE,
    AccountNews,
    BookNews,
    Check,
    Endpoint,
    LostNews,
    Malformed,
    News,
    TradeNews,
)
from ext.book import ASK, BID
from ext.decode import OffGrid

Raw = msgspec.Raw
EMPTY = Raw(b"[]")

ACCOUNT = frozenset(
    {"order", "fill", "fills", "query", "open_orders", "balances", "account", "time", "error"}
)
"""The types of frames that say something of an account."""


class _Frame(msgspec.Struct):
    """Any frame of the exchange: `type` says which fields count."""

    type: str
    symbol: str = ""
    seq: int = 0
    bids: Raw = EMPTY
    asks: Raw = EMPTY
    ts: int = 0
    id: str = ""
    side: str = ""
    price: str = ""
    qty: str = ""


PUBLIC = (b'{"type":"update"', b'{"type":"snapshot"', b'{"type":"trade"')
"""How frames begin that say nothing of an account: what a tape may be traded on."""

_DECODER = msgspec.json.Decoder(_Frame)


class SimulatedHandler:
    """The simulated exchange's protocol for the given instruments."""

    chained = True
    numbered = False
    verifies = "sequence without a gap"
    endpoint = Endpoint("", "", streams_per_connection=100_000, frames_per_second=1e6)

    def __init__(self, instruments: Sequence[Instrument], natives: Mapping[int, str]) -> None:
        self._instruments = {instrument.id: instrument for instrument in instruments}
        self._ids = {natives[instrument.id]: instrument.id for instrument in instruments}
        self._names = {number: name for name, number in self._ids.items()}

    def open(self, now_ns: int) -> tuple[bytes, ...]:
        """Subscribe to all books."""
        return (_encode(op="subscribe", symbols=list(self._ids)),)

    def resync(self, instrument: int, now_ns: int) -> tuple[tuple[bytes, ...], str]:
        """Subscribing again brings a fresh snapshot."""
        return (_encode(op="subscribe", symbols=[self._names[instrument]]),), ""

    def close(self) -> None:
        """Nothing is kept of a connection."""

    @staticmethod
    def address(welcome: bytes) -> str:
        """Never called: the address is the exchange process's."""
        raise AssertionError("no address was to be asked for")

    def listings_path(self, instrument: int) -> str:
        """The exchange lists its markets nowhere: they are the configuration's."""
        return ""

    def decode(self, frame: Frame, books: Mapping[int, TrackedBook]) -> Sequence[News]:
        """See `Handler.decode`."""
        try:
            message = _DECODER.decode(frame.payload)
            match message.type:
                case "update" | "snapshot":
                    return self._book(message, books)
                case "trade":
                    return self._trade(message)
                case kind if kind in ACCOUNT:
                    return [AccountNews(frame.payload)]
                case _:
                    return []
        except (*UNREADABLE, KeyError) as error:
            raise Malformed(str(error)) from error

    def _book(self, message: _Frame, books: Mapping[int, TrackedBook]) -> Sequence[News]:
        number = self._ids.get(message.symbol)
        if number is None:
            return []
        tracked = books[number]
        book = tracked.book
        if message.type == "snapshot":
            tracked.begin()
        elif not tracked.live:
            return []
        elif message.seq != book.sequence + 1:
            tracked.lose(BookState.BROKEN, Reason.SEQUENCE_GAP)
            return [LostNews(number, Reason.SEQUENCE_GAP)]
        try:
            tracked.grid.pairs(book, BID, message.bids)
            tracked.grid.pairs(book, ASK, message.asks)
        except ValueError as error:
            reason = Reason.OFF_GRID if isinstance(error, OffGrid) else Reason.MALFORMED
            tracked.lose(BookState.BROKEN, reason)
            return [LostNews(number, reason)]
        book.sequence = message.seq
        if not tracked.settle():
            return [LostNews(number, Reason.CROSSED)]
        return [BookNews(number, Check.NONE)]

    def _trade(self, message: _Frame) -> Sequence[News]:
        number = self._ids.get(message.symbol)
        if number is None:
            return []
        instrument = self._instruments[number]
        return [
            TradeNews(
                number,
                side_of(message.side),
                instrument.price_to_ticks(message.price),
                instrument.quantity_to_lots(message.qty),
                message.id,
            )
        ]

    def snapshot(self) -> bytes:
        """Nothing is kept between frames."""
        return b""

    def restore(self, data: bytes) -> None:
        """Nothing is kept between frames."""


def _encode(**fields: Any) -> bytes:
    return msgspec.json.encode(fields)


def side_of(text: str) -> int:
    """The side that a word names; raises ValueError."""
    if text not in ("buy", "sell"):
        raise ValueError(f"side {text!r}")
    return BUY if text == "buy" else SELL
