"""The simulated exchange's own protocol, our account's side: frames on the connection of the books.

Orders and cancels are answered by the stream, by client id; what is only asked bears a number, which its
answer repeats. See docs/simulated-exchange.md.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from engine.instruments import Instrument
from engine.messages import BUY, Answer, CallKind, OrderIntent, OrderState, Reason, TimeInForce
from engine.units import parse_decimal
from engine.venues.handler import UNREADABLE, Malformed
from engine.venues.simulated import side_of
from engine.venues.trading import (
    BalancesSeen,
    BannedSeen,
    Budget,
    CallAnswered,
    CallFailed,
    ClockSeen,
    Effect,
    FillSeen,
    FillsSeen,
    IdRules,
    OpenOrdersSeen,
    OrderMissing,
    OrderRef,
    OrderSeen,
    PrivateNews,
    Request,
    StreamReady,
)

SECOND_NS = 1_000_000_000
ASK_AGAIN_NS = SECOND_NS
TEXT = "".join(map(chr, range(33, 127)))

WORDS = {force: force.name.lower() for force in TimeInForce}
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
    "too many requests": Reason.RATE_LIMITED,
    "banned": Reason.RATE_LIMITED,
}
KINDS = {
    "order": CallKind.CREATE,
    "cancel": CallKind.CANCEL,
    "cancel_all": CallKind.CANCEL_ALL,
    "query": CallKind.QUERY,
    "open_orders": CallKind.OPEN_ORDERS,
    "fills": CallKind.FILLS,
    "balances": CallKind.BALANCES,
    "time": CallKind.CLOCK,
    "login": CallKind.STREAM,
}
PERHAPS_DONE = frozenset({"unavailable", "duplicate client_id"})
"""Errors after which an order may be there: of the first it is not known, the second says so."""
DOWN = frozenset({"unavailable", "overloaded", "maintenance"})


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
    ts: int = 0


class _Order(msgspec.Struct):
    """An order as every frame shows it."""

    client_id: str
    symbol: str
    state: str
    filled: str
    side: str
    price: str
    qty: str
    number: int = 0


class _Frame(msgspec.Struct):
    """Any frame about an account: `type` says which fields count."""

    type: str
    op: str = ""
    client_id: str = ""
    reason: str = ""
    found: bool = False
    orders: list[_Order] = []
    fills: list[_Fill] = []
    balances: dict[str, str] = {}
    ts: int = 0
    ref: int = 0
    retry_after_s: int = 1


_encode = msgspec.json.Encoder().encode
_FRAME = msgspec.json.Decoder(_Frame)
_ORDER = msgspec.json.Decoder(_Order)
_FILL = msgspec.json.Decoder(_Fill)


class _State(msgspec.Struct, array_like=True):
    """The whole state: when the login was sent by the venue's clock (0: no line), whether it was answered."""

    asked_ns: int = 0
    ready: bool = False


class SimulatedTrading:
    """See the module and `engine.venues.trading.SharedLineTrading`. The account's name is its login's."""

    ids = IdRules(TEXT, 64, "docs/simulated-exchange.md")
    budgets: tuple[Budget, ...] = ()
    has_deadline = True
    fills_numbered = True
    fills_by_account = True
    private_stream = True
    shared_line = True

    def __init__(
        self, instruments: Sequence[Instrument], natives: Mapping[int, str], account: str = "main"
    ) -> None:
        self._instruments = {instrument.id: instrument for instrument in instruments}
        self._names = {instrument.id: natives[instrument.id] for instrument in instruments}
        self._ids = {name: number for number, name in self._names.items()}
        self._account = account
        self._state = _State()
        self._decimals: dict[str, int] = {}
        for instrument in instruments:
            self._decimals[instrument.base] = instrument.base_decimals
            self._decimals[instrument.quote] = instrument.quote_decimals
        self._read: dict[str, Callable[[_Frame, bytes], Sequence[PrivateNews]]] = {
            "order": lambda frame, payload: [self._order(_ORDER.decode(payload), frame)],
            "fill": lambda _, payload: [self._fill(_FILL.decode(payload))],
            "query": self._query,
            "open_orders": self._open_orders,
            "fills": self._fills,
            "balances": self._balances,
            "time": lambda *_: [],
            "account": self._ready,
            "error": self._error,
        }

    # --- requests ---------------------------------------------------------------------------------

    def opened(self, venue_ns: int) -> Sequence[Request]:
        """See `Trading`: log in."""
        self._state = _State(max(1, venue_ns))
        return (_request(CallKind.STREAM, False, op="login", account=self._account),)

    def closed(self) -> None:
        """See `Trading`."""
        self._state = _State()

    def keep_alive(self, venue_ns: int) -> Sequence[Request]:
        """See `Trading`: a login may be lost."""
        state = self._state
        if state.ready or not state.asked_ns or venue_ns - state.asked_ns < ASK_AGAIN_NS:
            return ()
        return self.opened(venue_ns)

    def create(self, intent: OrderIntent, venue_ns: int, deadline_ns: int) -> Request:
        """See `Trading`."""
        instrument = self._instruments[intent.instrument]
        fields: dict[str, Any] = {
            "op": "order",
            "client_id": intent.client_order_id,
            "symbol": self._names[intent.instrument],
            "side": "buy" if intent.side == BUY else "sell",
            "price": instrument.ticks_to_price(intent.ticks),
            "qty": instrument.lots_to_quantity(intent.lots),
            "tif": WORDS[intent.time_in_force],
            "deadline_ns": deadline_ns,
        }
        if intent.time_in_force is TimeInForce.GTD:
            fields["expire_ns"] = intent.good_until_ns
        if intent.post_only:
            fields["post_only"] = True
        return Request(CallKind.CREATE, _encode(fields), False, deadline_ns=deadline_ns)

    def cancel(self, ref: OrderRef, venue_ns: int) -> Request:
        """See `Trading`."""
        return _request(CallKind.CANCEL, False, op="cancel", client_id=ref.client_order_id)

    def cancel_all(self, venue_ns: int) -> Sequence[Request]:
        """See `Trading`."""
        return (_request(CallKind.CANCEL_ALL, False, op="cancel_all", symbol=""),)

    def query(self, ref: OrderRef, venue_ns: int) -> Request:
        """See `Trading`."""
        request = _request(CallKind.QUERY, True, op="query", client_id=ref.client_order_id)
        return request._replace(client_order_id=ref.client_order_id)

    def open_orders(self, venue_ns: int) -> Sequence[Request]:
        """See `Trading`."""
        return (_request(CallKind.OPEN_ORDERS, True, op="open_orders"),)

    def fills(self, instrument: int, since_ns: int, since_number: int, venue_ns: int) -> Request:
        """See `Trading`."""
        return _request(CallKind.FILLS, True, op="fills", since=since_number)

    def balances(self, venue_ns: int) -> Request:
        """See `Trading`."""
        return _request(CallKind.BALANCES, True, op="balances")

    def transfers(self, since_ns: int, venue_ns: int) -> Sequence[Request]:
        """See `Trading`: there are none."""
        return ()

    def clock(self) -> Request | None:
        """See `Trading`."""
        return _request(CallKind.CLOCK, True, op="time")

    def dead_man(self, timeout_s: int, venue_ns: int) -> Request | None:
        """See `Trading`: there is none."""
        return None

    def framed(self, request: Request, call: int) -> bytes:
        """See `SharedLineTrading`."""
        return b'%s,"ref":%d}' % (request.payload[:-1], call)

    # --- answers ----------------------------------------------------------------------------------

    def answered(self, request: Request, answer: Answer) -> Sequence[PrivateNews]:
        """Never called: every answer is a frame."""
        raise Malformed("an answer that is no frame")

    def heard(self, payload: bytes) -> Sequence[PrivateNews]:
        """See `Trading`."""
        try:
            frame = _FRAME.decode(payload)
            read = self._read.get(frame.type)
            if read is None:
                return []
            news = tuple(read(frame, payload))
        except (*UNREADABLE, KeyError) as error:
            raise Malformed(str(error)) from error
        if not frame.ref:
            return news
        clock = (ClockSeen(frame.ts),) if frame.ts else ()
        return [CallAnswered(frame.ref, clock + news)]

    def _ready(self, frame: _Frame, payload: bytes) -> Sequence[PrivateNews]:
        self._state.ready = True
        return [StreamReady()]

    def _order(self, order: _Order, frame: _Frame) -> OrderSeen:
        instrument = self._instruments.get(self._ids.get(order.symbol, -1))
        ticks = lots = filled = 0
        if instrument is not None:
            ticks = instrument.price_to_ticks(order.price)
            lots = instrument.quantity_to_lots(order.qty)
            filled = instrument.quantity_to_lots(order.filled)
        state, reason = STATES[order.state], Reason.NONE
        if state in (OrderState.REJECTED, OrderState.EXPIRED):
            reason = REASONS.get(frame.reason, Reason.VENUE_REJECTED)
        return OrderSeen(
            order.client_id,
            str(order.number or ""),
            -1 if instrument is None else instrument.id,
            side_of(order.side),
            ticks,
            lots,
            filled,
            state,
            reason,
            frame.ts,
        )

    def _fill(self, fill: _Fill) -> FillSeen:
        instrument = self._instruments[self._ids[fill.symbol]]
        return FillSeen(
            fill.client_id,
            "",
            instrument.id,
            side_of(fill.side),
            instrument.price_to_ticks(fill.price),
            instrument.quantity_to_lots(fill.qty),
            parse_decimal(fill.fee, self._decimals[fill.fee_asset]),
            fill.fee_asset,
            fill.trade_id,
            fill.maker,
            fill.ts,
            fill.fill_seq,
        )

    def _query(self, frame: _Frame, payload: bytes) -> Sequence[PrivateNews]:
        if not frame.found:
            return [OrderMissing(frame.client_id, frame.ts)]
        return [self._order(_ORDER.decode(payload), frame)]

    def _open_orders(self, frame: _Frame, payload: bytes) -> Sequence[PrivateNews]:
        orders = tuple(self._order(order, frame) for order in frame.orders)
        return [OpenOrdersSeen(orders, True, frame.ts)]

    def _fills(self, frame: _Frame, payload: bytes) -> Sequence[PrivateNews]:
        fills = tuple(self._fill(fill) for fill in frame.fills)
        return [FillsSeen(-1, fills, frame.ts)]

    def _balances(self, frame: _Frame, payload: bytes) -> Sequence[PrivateNews]:
        rows = []
        for asset, total in frame.balances.items():
            if asset in self._decimals:
                units = parse_decimal(total, self._decimals[asset])
                rows.append((asset, units, units))
        return [BalancesSeen(tuple(rows), frame.ts)]

    def _error(self, frame: _Frame, payload: bytes) -> Sequence[PrivateNews]:
        kind = KINDS.get(frame.op)
        if kind is None:
            return []
        words = frame.reason
        failed = CallFailed(
            Effect.POSSIBLE if words in PERHAPS_DONE else Effect.NONE,
            REASONS.get(words, Reason.VENUE_REJECTED),
            words,
            venue_down=words in DOWN,
            client_order_id=frame.client_id,
            kind=kind,
        )
        if words in ("too many requests", "banned"):
            return [BannedSeen(frame.retry_after_s * SECOND_NS, words == "banned"), failed]
        return [failed]

    # --- snapshot -----------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """See `Trading`."""
        return msgspec.msgpack.encode(self._state)

    def restore(self, data: bytes) -> None:
        """See `Trading`."""
        self._state = msgspec.msgpack.decode(data, type=_State)


def _request(kind: CallKind, answered: bool, **fields: Any) -> Request:
    return Request(kind, _encode(fields), answered)
