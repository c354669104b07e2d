"""Kraken spot, traded on natively: orders and news by the private websocket, questions by REST.

Calls of REST bear a nonce that has to rise, so they go one after the other; orders go by the websocket,
where they need none and wait for nothing. Cancels go by REST while it is gone. What answers an order on
the websocket names it by a number of ours, kept until then. Sources:
https://docs.kraken.com/api/docs/websocket-v2/add_order, /cancel_order, /executions,
/guides/spot-ratelimits and /rest-api/get-open-orders
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from engine.instruments import Instrument
from engine.messages import BUY, Answer, CallKind, OrderIntent, TimeInForce
from engine.venues import kraken_words as words
from engine.venues.handler import UNREADABLE, Malformed
from engine.venues.holdings import Holdings
from engine.venues.kraken_account import Known, KrakenAccount
from engine.venues.kraken_calls import ask, next_page
from engine.venues.kraken_words import (
    CALLS,
    MS,
    SECOND_NS,
    Tier,
    budgets_of,
    orders_budget,
    rfc3339,
    time_ns,
)
from engine.venues.native_calls import NativeCall, NativeFrame, Params, call_of, encode
from engine.venues.trading import (
    AskMore,
    BannedSeen,
    ClockSeen,
    FillsSeen,
    IdRules,
    OpenOrdersSeen,
    OrderMissing,
    OrderRef,
    PrivateNews,
    Request,
    StreamGap,
    StreamReady,
    Unsupported,
    lifted,
)

DEADLINE_MIN_NS: Final = SECOND_NS  # half a second when it gets there
DEADLINE_MAX_NS: Final = 60 * SECOND_NS - SECOND_NS // 2
ASK_AGAIN_NS: Final = 2 * SECOND_NS
AWAY_NS: Final = {  # how long to stay away after a refusal, doubled with each that follows, at most
    words.CALLS_EXCEEDED: (3 * SECOND_NS // 2, 12 * SECOND_NS),
    words.ORDERS_EXCEEDED: (3 * SECOND_NS // 2, 12 * SECOND_NS),
    words.LOCKED_OUT: (15 * SECOND_NS, 900 * SECOND_NS),
}
OVERLAP_S: Final = 10  # trades are asked for from so much earlier on: clocks and books lag
WAITING_MAX: Final = 10_000
OK, TOO_MANY = 200, 429
MOVES: Final = ("deposit", "withdrawal")
ALPHABET: Final = "".join(chr(code) for code in range(0x20, 0x7F))


class _Waiting(msgspec.Struct, array_like=True):
    """What a number on the websocket asked for."""

    kind: CallKind
    client_order_id: str


class _State(msgspec.Struct, array_like=True):
    """The whole state, for a snapshot.

    `sequence` is that of the last frame of executions; `refusals` by a limit follow on each other; transfers are asked for since `first_ns`.
    """

    open: bool = False
    ready: bool = False
    asked_ns: int = 0
    number: int = 0
    sequence: int = 0
    refusals: int = 0
    waiting: dict[int, _Waiting] = {}
    known: dict[str, Known] = {}
    first_ns: int = 0


_ENVELOPE = msgspec.json.Decoder(words.Envelope)
_OPEN = msgspec.json.Decoder(words.OpenResult)
_CLOSED = msgspec.json.Decoder(words.ClosedResult)
_ORDERS = msgspec.json.Decoder(dict[str, words.OrderAnswer])
_TRADES = msgspec.json.Decoder(words.TradesResult)
_LEDGER = msgspec.json.Decoder(words.LedgerResult)
_FRAME = msgspec.json.Decoder(words.Frame)
_TOLD = msgspec.json.Decoder(words.Told)


class KrakenTrading:
    """See the module and `engine.venues.trading.Trading`. One not `limited` is for our own exchange."""

    ids = IdRules(ALPHABET, 18, "websocket-v2/add_order: cl_ord_id, free text of 18 characters")
    has_deadline = True
    fills_numbered = False
    fills_by_account = True
    private_stream = True
    shared_line = False

    def __init__(
        self,
        instruments: Sequence[Instrument],
        natives: Mapping[int, str],
        decimals: Mapping[str, int],
        tier: Tier = "starter",
        limited: bool = True,
    ) -> None:
        self._ours = Holdings(instruments, natives, decimals)
        self._account = KrakenAccount(self._ours)
        self._state = _State()
        budgets = budgets_of(tier, list(self._ours.by_native))
        self.budgets = budgets if limited else lifted(budgets)
        self._read: dict[CallKind, Callable[[Request, bytes], list[PrivateNews]]] = {
            CallKind.QUERY: self._queried,
            CallKind.OPEN_ORDERS: self._open_orders,
            CallKind.FILLS: self._fills,
            CallKind.BALANCES: lambda _, result: [self._account.balances(result)],
            CallKind.TRANSFERS: self._transfers,
            CallKind.CANCEL: lambda _, __: [],  # the stream tells of it
        }

    # --- the stream -------------------------------------------------------------------------------

    def opened(self, venue_ns: int) -> Sequence[Request]:
        """See `Trading`: enter the executions channel."""
        state = self._state
        state.open, state.ready, state.asked_ns, state.sequence = True, False, venue_ns, 0
        params = {
            "channel": "executions",
            "snap_orders": True,
            "snap_trades": False,
            "order_status": True,
            "ratecounter": True,
        }
        return (self._send(CallKind.STREAM, "subscribe", params, ((CALLS, 1),)),)

    def closed(self) -> None:
        """See `Trading`."""
        self._state.open = self._state.ready = False
        self._state.waiting.clear()

    def keep_alive(self, venue_ns: int) -> Sequence[Request]:
        """See `Trading`: what subscribes, or its answer, may be lost."""
        state = self._state
        if not state.open or state.ready or venue_ns - state.asked_ns < ASK_AGAIN_NS:
            return ()
        return self.opened(venue_ns)

    # --- requests by the websocket ------------------------------------------------------------------

    def _send(
        self,
        kind: CallKind,
        method: str,
        params: Mapping[str, Any],
        weights: tuple[tuple[str, int], ...] = (),
        client_order_id: str = "",
    ) -> Request:
        """A frame with a number, by which its answer names what was asked."""
        state = self._state
        state.number += 1
        if len(state.waiting) >= WAITING_MAX:
            del state.waiting[next(iter(state.waiting))]
        state.waiting[state.number] = _Waiting(kind, client_order_id)
        body: dict[str, Any] = {"method": method, "req_id": state.number}
        if params:
            body["params"] = params
        frame = NativeFrame(msgspec.json.encode(body), signed=kind is not CallKind.CLOCK)
        return Request(kind, encode(frame), False, weights, client_order_id)

    def create(self, intent: OrderIntent, venue_ns: int, deadline_ns: int) -> Request:
        """See `Trading`."""
        instrument = self._ours.by_id[intent.instrument]
        native, force = self._ours.natives[instrument.id], intent.time_in_force
        if intent.post_only and force in (TimeInForce.IOC, TimeInForce.FOK):
            raise Unsupported(f"Kraken has no {force.name} post-only order")
        until_ns = max(deadline_ns, venue_ns + DEADLINE_MIN_NS)
        until_ns = min(until_ns, venue_ns + DEADLINE_MAX_NS) // MS * MS
        params: dict[str, Any] = {
            "order_type": "limit",
            "side": "buy" if intent.side == BUY else "sell",
            "symbol": native,
            "order_qty": msgspec.Raw(instrument.lots_to_quantity(intent.lots).encode()),
            "limit_price": msgspec.Raw(instrument.ticks_to_price(intent.ticks).encode()),
            "time_in_force": force.name.lower(),
            "fee_preference": "quote",
            "cl_ord_id": intent.client_order_id,
            "deadline": rfc3339(until_ns),
        }
        if intent.post_only:
            params["post_only"] = True
        if force is TimeInForce.GTD:
            params["expire_time"] = rfc3339(intent.good_until_ns)
        weights = ((orders_budget(native), 1),)
        request = self._send(CallKind.CREATE, "add_order", params, weights, intent.client_order_id)
        return request._replace(instrument=instrument.id, deadline_ns=until_ns)

    def cancel(self, ref: OrderRef, venue_ns: int) -> Request:
        """See `Trading`; it counts by the order's age, as the stream then tells, and is not refused."""
        name, value = "cl_ord_id", ref.client_order_id
        if not value:
            name, value = "order_id", ref.venue_order_id
        if self._state.open:
            params = {name: [value]}
            request = self._send(CallKind.CANCEL, "cancel_order", params, (), ref.client_order_id)
        else:
            rest: Params = ((name.replace("order_id", "txid"), value),)
            call = NativeCall("POST", "/0/private/CancelOrder", rest)
            request = Request(CallKind.CANCEL, encode(call), client_order_id=ref.client_order_id)
        return request._replace(instrument=ref.instrument)

    def cancel_all(self, venue_ns: int) -> Sequence[Request]:
        """See `Trading`: strikes orders of others on the account too."""
        if self._state.open:
            return (self._send(CallKind.CANCEL_ALL, "cancel_all", {}),)
        return (Request(CallKind.CANCEL_ALL, encode(NativeCall("POST", "/0/private/CancelAll"))),)

    def dead_man(self, timeout_s: int, venue_ns: int) -> Request | None:
        """See `Trading`."""
        params = {"timeout": timeout_s}
        return self._send(CallKind.DEAD_MAN, "cancel_all_orders_after", params)

    def clock(self) -> Request | None:
        """See `Trading`: REST's clock has whole seconds, a pong microseconds."""
        return self._send(CallKind.CLOCK, "ping", {})

    # --- requests of REST -----------------------------------------------------------------------------

    def query(self, ref: OrderRef, venue_ns: int) -> Request:
        """See `Trading`: among those that are open, and then among those that are not."""
        if not ref.client_order_id:
            request = ask(CallKind.QUERY, "QueryOrders", (("txid", ref.venue_order_id),), 1)
        else:
            named: Params = (("cl_ord_id", ref.client_order_id),)
            request = ask(CallKind.QUERY, "OpenOrders", named, 1)
        return request._replace(client_order_id=ref.client_order_id, instrument=ref.instrument)

    def open_orders(self, venue_ns: int) -> Sequence[Request]:
        """See `Trading`."""
        return (ask(CallKind.OPEN_ORDERS, "OpenOrders", (), 1),)

    def fills(self, instrument: int, since_ns: int, since_number: int, venue_ns: int) -> Request:
        """See `Trading`: of all pairs, newest first. Since 0: the latest."""
        params: Params = ()
        if since_ns:
            params = (("start", str(max(1, since_ns // SECOND_NS - OVERLAP_S))),)
        return ask(CallKind.FILLS, "TradesHistory", params, 2)

    def balances(self, venue_ns: int) -> Request:
        """See `Trading`."""
        return ask(CallKind.BALANCES, "BalanceEx", (), 1)

    def transfers(self, since_ns: int, venue_ns: int) -> Sequence[Request]:
        """See `Trading`. Since 0: since we asked first; what came before is in the balances."""
        self._state.first_ns = self._state.first_ns or venue_ns
        start_s = since_ns // SECOND_NS - OVERLAP_S
        start_s = max(start_s, -(-self._state.first_ns // SECOND_NS))
        start = ("start", str(start_s))
        return [ask(CallKind.TRANSFERS, "Ledgers", (("type", kind), start), 2) for kind in MOVES]

    # --- answers of REST ------------------------------------------------------------------------------

    def answered(self, request: Request, answer: Answer) -> Sequence[PrivateNews]:
        """See `Trading`."""
        said = dict(answer.headers).get("retry-after", "")
        wait_s = int(said) if said.isascii() and said.isdigit() else 0
        if answer.status == TOO_MANY:
            return self._failed(request.kind, words.CALLS_EXCEEDED, request.client_order_id, wait_s)
        if answer.status != OK:
            return [words.failed_status(answer.status)]
        try:
            envelope = _ENVELOPE.decode(answer.payload)
            if envelope.error:
                name = request.client_order_id
                return self._failed(request.kind, envelope.error[0], name, wait_s)
            self._state.refusals = 0
            read = self._read.get(request.kind)
            return [] if read is None else read(request, bytes(envelope.result))
        except (*UNREADABLE, KeyError) as error:
            raise Malformed(f"{request.kind.name}: {error}") from error

    def _failed(
        self, kind: CallKind, text: str, client_order_id: str, wait_s: int = 0
    ) -> list[PrivateNews]:
        """A refusal; who goes on asking beyond a limit is locked out, for minutes."""
        failed = words.failure(text, kind, client_order_id)
        if text not in AWAY_NS:
            return [failed]
        first_ns, most_ns = AWAY_NS[text]
        wait_ns = wait_s * SECOND_NS or min(first_ns << min(self._state.refusals, 10), most_ns)
        self._state.refusals += 1
        return [BannedSeen(wait_ns, text == words.LOCKED_OUT), failed]

    def _queried(self, request: Request, result: bytes) -> list[PrivateNews]:
        """One of them, or none; which are not open are asked for next."""
        name = request.client_order_id
        open_ones = call_of(request.payload).path.endswith("OpenOrders")
        if open_ones:
            orders = _OPEN.decode(result).open
        elif name:
            orders = _CLOSED.decode(result).closed
        else:
            orders = _ORDERS.decode(result)
        for venue_order_id, order in orders.items():
            seen = self._account.order(venue_order_id, order)
            if seen.client_order_id == name or not name:
                return [seen]
        if open_ones:
            more = ask(CallKind.QUERY, "ClosedOrders", (("cl_ord_id", name),), 2)
            return [AskMore(more._replace(client_order_id=name, instrument=request.instrument))]
        return [OrderMissing(name, 0)]

    def _open_orders(self, request: Request, result: bytes) -> list[PrivateNews]:
        rows = _OPEN.decode(result).open.items()
        orders = tuple(self._account.order(name, order) for name, order in rows)
        return [OpenOrdersSeen(orders, True, 0)]

    def _fills(self, request: Request, result: bytes) -> list[PrivateNews]:
        answer = _TRADES.decode(result)
        read = (self._account.fill(name, row) for name, row in answer.trades.items())
        fills = tuple(fill for fill in read if fill is not None)
        more = None
        if any(name == "start" for name, _ in call_of(request.payload).params):
            more = next_page(request, len(answer.trades), answer.count)
        through_ns = 0 if more is None or not fills else fills[-1].venue_ns
        return [FillsSeen(-1, fills[::-1], through_ns, more)]

    def _transfers(self, request: Request, result: bytes) -> list[PrivateNews]:
        answer = _LEDGER.decode(result)
        read = (self._account.transfer(name, row) for name, row in answer.ledger.items())
        found: list[PrivateNews] = [transfer for transfer in read if transfer is not None]
        more = next_page(request, len(answer.ledger), answer.count)
        return found if more is None else [*found, AskMore(more)]

    # --- what the connection says -----------------------------------------------------------------

    def heard(self, payload: bytes) -> Sequence[PrivateNews]:
        """See `Trading`."""
        try:
            frame = _FRAME.decode(payload)
            if frame.channel == "executions":
                return self._executions(frame)
            if frame.req_id:
                return self._told(frame)
        except (*UNREADABLE, KeyError) as error:
            raise Malformed(str(error)) from error
        return []

    def _executions(self, frame: words.Frame) -> list[PrivateNews]:
        """Frames are numbered by subscription: one that was here says nothing, a hole says so."""
        last = self._state.sequence
        if frame.sequence <= last:
            return []
        news = [*self._ready(), *self._account.reports(bytes(frame.data))]
        self._state.sequence = frame.sequence  # one that cannot be read leaves a hole
        return [StreamGap(), *news] if last and frame.sequence > last + 1 else news

    def _ready(self) -> list[PrivateNews]:
        """The channel is entered: it says so, or speaks."""
        was, self._state.ready = self._state.ready, True
        return [] if was else [StreamReady()]

    def _told(self, frame: words.Frame) -> list[PrivateNews]:
        """The answer to what bore its number."""
        waiting = self._state.waiting.pop(frame.req_id, None)
        if waiting is None:
            return []
        if waiting.kind is CallKind.CLOCK:
            return [ClockSeen(time_ns(frame.time_in))]
        if waiting.kind is CallKind.STREAM:
            if frame.success or frame.error == "Already subscribed":
                return self._ready()
        elif frame.success:
            self._state.refusals = 0
            return []  # the stream tells of it
        return self._failed(waiting.kind, frame.error, waiting.client_order_id)

    # --- snapshot ---------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """See `Trading`."""
        self._state.known = self._account.known
        return msgspec.msgpack.encode(self._state)

    def restore(self, data: bytes) -> None:
        """See `Trading`."""
        self._state = msgspec.msgpack.decode(data, type=_State)
        self._account.known = self._state.known
