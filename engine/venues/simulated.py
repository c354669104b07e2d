"""The simulated exchange's protocol: JSON text frames, absolute levels, one connection for all.

Books come as a snapshot and updates numbered without a hole; orders, fills and answers share the
connection. Everything on it is simulated and says so. See docs/simulated-exchange.md.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from engine.books import TrackedBook
from engine.instruments import Instrument
from engine.messages import (
    BUY,
    SELL,
    BookState,
    Frame,
    OrderIntent,
    OrderState,
    Reason,
    TimeInForce,
)
from engine.units import parse_decimal
from engine.venues.handler import (
    UNREADABLE,
    BalanceNews,
    BookNews,
    Check,
    Endpoint,
    FillNews,
    LostNews,
    Malformed,
    News,
    OrderNews,
    QueryNews,
    TradeNews,
)
from ext.book import ASK, BID
from ext.decode import OffGrid

Raw = msgspec.Raw
EMPTY = Raw(b"[]")

STATES = {
    "acknowledged": OrderState.ACKNOWLEDGED,
    "partly_filled": OrderState.PARTLY_FILLED,
    "filled": OrderState.FILLED,
    "cancelled": OrderState.CANCELLED,
    "rejected": OrderState.REJECTED,
    "expired": OrderState.EXPIRED,
}
REASONS = {
    "insufficient balance": Reason.BALANCE,
    "deadline passed": Reason.EXPIRED,
    "duplicate client_id": Reason.DUPLICATE,
}


class _Fill(msgspec.Struct):
    """A fill; numbers are decimal strings."""

    fill_seq: int
    client_id: str
    symbol: str
    trade_id: str
    side: str
    price: str
    qty: str
    fee: str
    fee_asset: str
    maker: bool


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
    client_id: str = ""
    state: str = ""
    filled: str = "0"
    reason: str = ""
    found: bool = False
    fills: list[_Fill] = []
    balances: dict[str, str] = {}
    op: str = ""


PUBLIC = (b'{"type":"update"', b'{"type":"snapshot"', b'{"type":"trade"')
"""How frames begin that say nothing of an account: what a tape may be traded on."""

_DECODER = msgspec.json.Decoder(_Frame)
_FILL = msgspec.json.Decoder(_Fill)


class SimulatedHandler:
    """The simulated exchange's protocol for the given instruments."""

    takes_orders = True
    chained = True
    numbered = False
    verifies = "sequence without a gap"
    endpoint = Endpoint("", "", streams_per_connection=100_000, frames_per_second=1e6)

    def __init__(self, instruments: Sequence[Instrument], natives: Mapping[int, str]) -> None:
        self._instruments = {instrument.id: instrument for instrument in instruments}
        self._ids = {natives[instrument.id]: instrument.id for instrument in instruments}
        self._names = {number: name for name, number in self._ids.items()}
        self._decimals: dict[str, int] = {}
        for instrument in instruments:
            self._decimals[instrument.base] = instrument.base_decimals
            self._decimals[instrument.quote] = instrument.quote_decimals

    def open(self, now_ns: int) -> tuple[bytes, ...]:
        """Log in, subscribe to all books, ask for balances."""
        return (
            _encode(op="login", account="main"),
            _encode(op="subscribe", symbols=list(self._ids)),
            _encode(op="balances"),
        )

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
                case "fill":
                    return [self._fill(_FILL.decode(frame.payload))]
                case "order":
                    return self._order(message)
                case "fills":
                    return [self._fill(fill) for fill in message.fills]
                case "query":
                    return self._query(message)
                case "balances":
                    return self._balances(message.balances)
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
                _side(message.side),
                instrument.price_to_ticks(message.price),
                instrument.quantity_to_lots(message.qty),
                message.id,
            )
        ]

    def _fill(self, fill: _Fill) -> FillNews:
        instrument = self._instruments[self._ids[fill.symbol]]
        return FillNews(
            fill.client_id,
            instrument.id,
            _side(fill.side),
            instrument.price_to_ticks(fill.price),
            instrument.quantity_to_lots(fill.qty),
            parse_decimal(fill.fee, self._decimals[fill.fee_asset]),
            fill.fee_asset,
            fill.trade_id,
            fill.maker,
            fill.fill_seq,
        )

    def _order(self, message: _Frame) -> Sequence[News]:
        instrument = self._instruments[self._ids[message.symbol]]
        filled = instrument.quantity_to_lots(message.filled)
        state = STATES[message.state]
        reason = Reason.NONE
        if state in (OrderState.REJECTED, OrderState.EXPIRED):
            reason = REASONS.get(message.reason, Reason.VENUE_REJECTED)
        return [OrderNews(message.client_id, state, filled, reason)]

    def _query(self, message: _Frame) -> Sequence[News]:
        if not message.found:
            return [QueryNews(message.client_id, False, OrderState.UNKNOWN, 0, message.ts)]
        instrument = self._instruments[self._ids[message.symbol]]
        filled = instrument.quantity_to_lots(message.filled)
        return [QueryNews(message.client_id, True, STATES[message.state], filled, message.ts)]

    def _balances(self, balances: Mapping[str, str]) -> Sequence[News]:
        return [
            BalanceNews(asset, parse_decimal(total, self._decimals[asset]))
            for asset, total in balances.items()
            if asset in self._decimals
        ]

    def order(self, intent: OrderIntent, deadline_ns: int) -> bytes:
        """See `Handler.order`."""
        instrument = self._instruments[intent.instrument]
        return _encode(
            op="order",
            client_id=intent.client_order_id,
            symbol=self._names[intent.instrument],
            side="buy" if intent.side == BUY else "sell",
            price=instrument.ticks_to_price(intent.ticks),
            qty=instrument.lots_to_quantity(intent.lots),
            tif="ioc" if intent.time_in_force is TimeInForce.IOC else "gtc",
            deadline_ns=deadline_ns,
        )

    def cancel(self, client_order_id: str) -> bytes:
        """See `Handler.cancel`."""
        return _encode(op="cancel", client_id=client_order_id)

    def query(self, client_order_id: str) -> bytes:
        """See `Handler.query`."""
        return _encode(op="query", client_id=client_order_id)

    def fills_since(self, number: int) -> bytes:
        """See `Handler.fills_since`."""
        return _encode(op="fills", since=number)

    def snapshot(self) -> bytes:
        """Nothing is kept between frames."""
        return b""

    def restore(self, data: bytes) -> None:
        """Nothing is kept between frames."""


def _encode(**fields: Any) -> bytes:
    return msgspec.json.encode(fields)


def _side(text: str) -> int:
    if text not in ("buy", "sell"):
        raise ValueError(f"side {text!r}")
    return BUY if text == "buy" else SELL
