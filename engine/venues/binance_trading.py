"""Binance spot, traded on natively: orders and news by the WebSocket API, questions by REST.

A request by the WebSocket API bears our order's id, and so does its answer. Orders go by REST while that is
gone. The timestamp of a request is the venue's time as the gateway knows it, and the window reaches to the
deadline, so Binance itself refuses a late order. Trades are numbered by symbol, so a trade's id is
'BTCUSDT-123'. Sources:
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints,
.../account-endpoints, .../websocket-api/trading-requests and /user-data-stream-requests
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from engine.instruments import Instrument
from engine.messages import (
    BUY,
    Answer,
    CallKind,
    OrderIntent,
    TimeInForce,
)
from engine.venues import binance_words as words
from engine.venues.binance_account import BinanceAccount
from engine.venues.binance_words import MS, NO_SUCH_ORDER, NOT_CANCELLED, TradeAnswer
from engine.venues.handler import UNREADABLE, Malformed
from engine.venues.holdings import Holdings
from engine.venues.native_calls import NativeCall, NativeFrame, Params, call_of, encode
from engine.venues.trading import (
    BannedSeen,
    Budget,
    FillsSeen,
    IdRules,
    OrderMissing,
    OrderRef,
    PrivateNews,
    Request,
    StreamGap,
    StreamReady,
    Unsupported,
    UsageSeen,
    lifted,
)

SECOND_NS: Final = 1_000_000_000
MINUTE_NS: Final = 60 * SECOND_NS
DAY_MS: Final = 86_400_000
WINDOW_MAX_MS: Final = 60_000
OVERLAP_MS: Final = 10_000  # trades are asked for from so much earlier on: clocks and books lag
ROWS_MAX: Final = 1_000
ASK_AGAIN_NS: Final = 2 * SECOND_NS
SUBSCRIBE: Final = "user-data"
WEIGHT, TEN_S, DAY = "weight", "orders-10s", "orders-day"
USAGE: Final = {
    "x-mbx-used-weight-1m": WEIGHT,
    "x-mbx-order-count-10s": TEN_S,
    "x-mbx-order-count-1d": DAY,
}
BUDGETS: Final = (
    Budget(WEIGHT, 6_000, MINUTE_NS),
    Budget(TEN_S, 100, 10 * SECOND_NS, per_host=False),
    Budget(DAY, 200_000, DAY_MS * MS, per_host=False),
)
ROWS: Final = {
    ("REQUEST_WEIGHT", "MINUTE", 1): WEIGHT,
    ("ORDERS", "SECOND", 10): TEN_S,
    ("ORDERS", "DAY", 1): DAY,
}
CHANGES: Final = {
    CallKind.CREATE: ("order.place", "POST", "c"),
    CallKind.CANCEL: ("order.cancel", "DELETE", "x"),
}
WHOLE: Final = frozenset({"recvWindow", "timestamp"})
KINDS: Final = {mark: kind for kind, (_, _, mark) in CHANGES.items()}
NAME_MAX: Final = 35  # a request's id has 36 characters at most
TOO_MANY, BANNED = 429, 418
BAN_S: Final = 120  # where it is not said how long
OK: Final = 200
ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.:/_-"


class _State(msgspec.Struct, array_like=True):
    """The whole state, for a snapshot: when the stream was asked for (0: no connection), if it is there."""

    asked_ns: int = 0
    ready: bool = False


_TRADES = msgspec.json.Decoder(list[TradeAnswer])
_FRAME = msgspec.json.Decoder(words.StreamFrame)


class BinanceTrading:
    """See the module and `engine.venues.trading.Trading`. One not `limited` is for our own exchange."""

    ids = IdRules(
        ALPHABET, 36, "rest-api/trading-endpoints: newClientOrderId, ^[\\.A-Z\\:/a-z0-9_-]{1,36}$"
    )
    has_deadline = True
    fills_numbered = False
    fills_by_account = False
    private_stream = True
    shared_line = False

    def __init__(
        self,
        instruments: Sequence[Instrument],
        natives: Mapping[int, str],
        decimals: Mapping[str, int],
        limited: bool = True,
    ) -> None:
        self.budgets = BUDGETS if limited else lifted(BUDGETS)
        self._ours = Holdings(instruments, natives, decimals)
        self._state = _State()
        account = self._account = BinanceAccount(self._ours)
        self._read: dict[CallKind, Callable[[str, bytes], list[PrivateNews]]] = {
            CallKind.CREATE: account.placed,
            CallKind.CANCEL: account.order,
            CallKind.QUERY: account.order,
            CallKind.CANCEL_ALL: account.all_cancelled,
            CallKind.OPEN_ORDERS: account.open_orders,
            CallKind.BALANCES: account.balances,
            CallKind.CLOCK: account.clock,
        }

    # --- the stream -------------------------------------------------------------------------------

    def opened(self, venue_ns: int) -> Sequence[Request]:
        """See `Trading`: subscribe to our own account."""
        self._state = _State(venue_ns)
        params = {"timestamp": venue_ns // MS}
        body = {"id": SUBSCRIBE, "method": "userDataStream.subscribe.signature", "params": params}
        frame = NativeFrame(msgspec.json.encode(body), signed=True)
        return (Request(CallKind.STREAM, encode(frame), answered=False, weights=((WEIGHT, 2),)),)

    def closed(self) -> None:
        """See `Trading`."""
        self._state = _State()

    def keep_alive(self, venue_ns: int) -> Sequence[Request]:
        """See `Trading`: what subscribes may be lost, and a subscription may end."""
        state = self._state
        if state.ready or not state.asked_ns or venue_ns - state.asked_ns < ASK_AGAIN_NS:
            return ()
        return self.opened(venue_ns)

    # --- requests ---------------------------------------------------------------------------------

    def create(self, intent: OrderIntent, venue_ns: int, deadline_ns: int) -> Request:
        """See `Trading`; a post-only order is a LIMIT_MAKER. There is no GTD."""
        force = intent.time_in_force
        if force is TimeInForce.GTD or (intent.post_only and force is not TimeInForce.GTC):
            raise Unsupported(f"Binance has no {force.name}{' post-only' * intent.post_only} order")
        instrument = self._ours.by_id[intent.instrument]
        sent_ms = venue_ns // MS
        window_ms = min(max(1, deadline_ns // MS - sent_ms), WINDOW_MAX_MS)
        kind: Params = (("type", "LIMIT_MAKER"),)
        if not intent.post_only:
            kind = (("type", "LIMIT"), ("timeInForce", force.name))
        params: Params = (
            ("symbol", self._ours.natives[instrument.id]),
            ("side", "BUY" if intent.side == BUY else "SELL"),
            *kind,
            ("quantity", instrument.lots_to_quantity(intent.lots)),
            ("price", instrument.ticks_to_price(intent.ticks)),
            ("newClientOrderId", intent.client_order_id),
            ("newOrderRespType", "FULL"),
            ("recvWindow", str(window_ms)),
            ("timestamp", str(sent_ms)),
        )
        made = self._change(CallKind.CREATE, params, intent.client_order_id)
        return made._replace(
            weights=((WEIGHT, 1), (TEN_S, 1), (DAY, 1)),
            instrument=instrument.id,
            deadline_ns=(sent_ms + window_ms + 1) * MS,
        )

    def _change(self, kind: CallKind, params: Params, name: str) -> Request:
        """A request by the WebSocket API, or by REST where that cannot bear it."""
        method, verb, mark = CHANGES[kind]
        if not (self._state.asked_ns and 0 < len(name) <= NAME_MAX):
            payload = encode(NativeCall(verb, "/api/v3/order", params))
            return Request(kind, payload, client_order_id=name)
        # Whole numbers are numbers there, decimals are text.
        said = {key: int(value) if key in WHOLE else value for key, value in params}
        body = {"id": mark + name, "method": method, "params": said}
        frame = NativeFrame(msgspec.json.encode(body), signed=True)
        return Request(kind, encode(frame), answered=False, client_order_id=name)

    def cancel(self, ref: OrderRef, venue_ns: int) -> Request:
        """See `Trading`; one that is late does no harm."""
        made = self._change(CallKind.CANCEL, self._named(ref, venue_ns), ref.client_order_id)
        return made._replace(weights=((WEIGHT, 1),), instrument=ref.instrument)

    def query(self, ref: OrderRef, venue_ns: int) -> Request:
        """See `Trading`."""
        call = NativeCall("GET", "/api/v3/order", self._named(ref, venue_ns))
        weights = ((WEIGHT, 4),)
        name, number = ref.client_order_id, ref.instrument
        return Request(CallKind.QUERY, encode(call), True, weights, name, number)

    def _named(self, ref: OrderRef, venue_ns: int) -> Params:
        named = ("origClientOrderId", ref.client_order_id)
        if not ref.client_order_id:
            named = ("orderId", ref.venue_order_id)
        return (("symbol", self._ours.natives[ref.instrument]), named, *_when(venue_ns))

    def cancel_all(self, venue_ns: int) -> Sequence[Request]:
        """See `Trading`: one request a symbol, which strikes orders of others on the account too."""
        path = "/api/v3/openOrders"
        return [
            self._ask(CallKind.CANCEL_ALL, "DELETE", path, (("symbol", native),), 1, venue_ns)
            ._replace(instrument=number)
            for number, native in self._ours.natives.items()
        ]  # fmt: skip

    def open_orders(self, venue_ns: int) -> Sequence[Request]:
        """See `Trading`: those of all symbols in one answer."""
        return (self._ask(CallKind.OPEN_ORDERS, "GET", "/api/v3/openOrders", (), 80, venue_ns),)

    def fills(self, instrument: int, since_ns: int, since_number: int, venue_ns: int) -> Request:
        """See `Trading`; of a day at most, the next day is asked for next. Since 0: the latest."""
        params: Params = (("symbol", self._ours.natives[instrument]),)
        if since_ns:
            begin_ms = max(0, since_ns // MS - OVERLAP_MS)
            params += (("startTime", str(begin_ms)),)
            if venue_ns // MS - begin_ms > DAY_MS:
                params += (("endTime", str(begin_ms + DAY_MS)),)
        return self._trades(params, venue_ns, instrument)

    def _trades(self, params: Params, venue_ns: int, instrument: int) -> Request:
        params += (("limit", str(ROWS_MAX)),)
        asked = self._ask(CallKind.FILLS, "GET", "/api/v3/myTrades", params, 20, venue_ns)
        return asked._replace(instrument=instrument)

    def balances(self, venue_ns: int) -> Request:
        """See `Trading`."""
        params = (("omitZeroBalances", "true"),)
        return self._ask(CallKind.BALANCES, "GET", "/api/v3/account", params, 20, venue_ns)

    def transfers(self, since_ns: int, venue_ns: int) -> Sequence[Request]:
        """See `Trading`: the stream tells of every kind; what it missed shows as a drifted balance."""
        return ()

    def clock(self) -> Request | None:
        """See `Trading`."""
        call = NativeCall("GET", "/api/v3/time", signed=False)
        return Request(CallKind.CLOCK, encode(call), weights=((WEIGHT, 1),))

    def dead_man(self, timeout_s: int, venue_ns: int) -> Request | None:
        """See `Trading`: Binance spot has no such timer."""
        return None

    def _ask(
        self, kind: CallKind, method: str, path: str, params: Params, weight: int, venue_ns: int
    ) -> Request:
        """A request that does no harm when it is late."""
        call = NativeCall(method, path, (*params, *_when(venue_ns)))
        return Request(kind, encode(call), weights=((WEIGHT, weight),))

    # --- answers ----------------------------------------------------------------------------------

    def answered(self, request: Request, answer: Answer) -> Sequence[PrivateNews]:
        """See `Trading`."""
        usage = list(_usage(answer))
        if answer.status != OK:
            return [*usage, *self._failed(request, answer)]
        try:
            if request.kind is CallKind.FILLS:
                return [*usage, self._fills(request, _TRADES.decode(answer.payload))]
            read = self._read[request.kind]
            return [*usage, *read(request.client_order_id, answer.payload)]
        except (*UNREADABLE, KeyError) as error:
            raise Malformed(f"{request.kind.name}: {error}") from error

    def _failed(self, request: Request, answer: Answer) -> Iterator[PrivateNews]:
        error = words.error_in(answer.payload)
        code = 0 if error is None else error.code
        if request.kind is CallKind.QUERY and code == NO_SUCH_ORDER:
            yield OrderMissing(request.client_order_id, 0)
            return
        if request.kind is CallKind.CANCEL_ALL and code == NOT_CANCELLED:
            return  # there was none
        said = dict(answer.headers).get("retry-after", "")
        wait_s = int(said) if said.isascii() and said.isdigit() else BAN_S
        yield from _banned(answer.status, code, wait_s * SECOND_NS)
        yield words.failure(answer.status, error)

    def _fills(self, request: Request, rows: list[TradeAnswer]) -> FillsSeen:
        """Fills, and how to ask for those that follow: by number, or those of the next day."""
        params = dict(call_of(request.payload).params)
        asked_ns = int(params["timestamp"]) * MS
        symbol: Params = (("symbol", params["symbol"]),)
        end_ms = int(params.get("endTime", 0))
        more = None
        timed = "startTime" in params or "fromId" in params
        if timed and len(rows) >= ROWS_MAX:
            following: Params = (*symbol, ("fromId", str(rows[-1].id + 1)))
            more = self._trades(following, asked_ns, request.instrument)
        elif end_ms:
            more = self.fills(request.instrument, (end_ms + OVERLAP_MS) * MS, 0, asked_ns)
        through_ns = 0 if more is None else (rows[-1].time if rows else end_ms) * MS
        fills = tuple(self._account.fill(row) for row in rows)
        return FillsSeen(request.instrument, fills, through_ns, more)

    # --- what the stream says -----------------------------------------------------------------------

    def heard(self, payload: bytes) -> Sequence[PrivateNews]:
        """See `Trading`."""
        try:
            frame = _FRAME.decode(payload)
            if frame.event is not None:
                if frame.event.e == "eventStreamTerminated":
                    self._state = _State(max(1, self._state.asked_ns))
                    return [StreamGap()]
                return [*self._ready(), *self._account.event(frame.event)]
            return self._told(frame)
        except (*UNREADABLE, KeyError) as error:
            raise Malformed(str(error)) from error

    def _ready(self) -> list[PrivateNews]:
        """The subscription is there: it says so, or speaks."""
        was, self._state.ready = self._state.ready, True
        return [] if was else [StreamReady()]

    def _told(self, frame: words.StreamFrame) -> list[PrivateNews]:
        """An answer: to what subscribes, or to an order's request, whose id it bears."""
        name = frame.id if isinstance(frame.id, str) else ""
        if name != SUBSCRIBE:
            return self._changed(name, frame)
        refusal = frame.error
        if frame.status == OK or (refusal is not None and "already" in refusal.msg):
            return self._ready()
        return [words.failure(frame.status, refusal, "", CallKind.STREAM)]

    def _changed(self, name: str, frame: words.StreamFrame) -> list[PrivateNews]:
        kind, ours = KINDS.get(name[:1]), name[1:]
        if kind is None or not ours:
            return []
        news: list[PrivateNews] = [
            UsageSeen(budget, row.count, row.limit)
            for row in frame.rateLimits
            if (budget := ROWS.get((row.rateLimitType, row.interval, row.intervalNum)))
        ]
        if frame.status == OK:
            read = self._account.placed if kind is CallKind.CREATE else self._account.order
            return news + read(ours, bytes(frame.result))
        error = frame.error
        code, wait_ms = 0, BAN_S * 1_000
        if error is not None:
            code = error.code
            if error.data is not None:
                wait_ms = max(0, error.data.retryAfter - error.data.serverTime)
        news += _banned(frame.status, code, wait_ms * MS)
        return [*news, words.failure(frame.status, error, ours, kind)]

    # --- snapshot -----------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """See `Trading`."""
        return msgspec.msgpack.encode(self._state)

    def restore(self, data: bytes) -> None:
        """See `Trading`."""
        self._state = msgspec.msgpack.decode(data, type=_State)


def _when(venue_ns: int) -> Params:
    """The time of a request, and as long as Binance takes it."""
    return ("recvWindow", str(WINDOW_MAX_MS)), ("timestamp", str(venue_ns // MS))


def _usage(answer: Answer) -> Iterator[UsageSeen]:
    for name, value in answer.headers:
        budget = USAGE.get(name)
        if budget is not None and value.isascii() and value.isdigit():
            yield UsageSeen(budget, int(value))


def _banned(status: int, code: int, wait_ns: int) -> Iterator[BannedSeen]:
    """What is for the whole host; too many orders are the account's own matter."""
    if status == BANNED or (status == TOO_MANY and code != words.TOO_MANY_ORDERS):
        yield BannedSeen(wait_ns, status == BANNED)
