"""Binance spot, traded on natively: REST for what we ask, the WebSocket API's user data stream for news.

The timestamp of a request is the venue's time as the gateway knows it, and the window reaches to the
deadline, so Binance itself refuses a late order. It has no GTD: such an order rests until the engine
cancels it. Trades are numbered by symbol, so a trade's id is 'BTCUSDT-123'. Sources:
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints,
.../account-endpoints and .../websocket-api/user-data-stream-requests
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from engine.instruments import Instrument
from engine.messages import (
    BUY,
    SELL,
    Answer,
    CallKind,
    OrderIntent,
    Reason,
    TimeInForce,
)
from engine.venues import binance_words as words
from engine.venues.binance_words import MS, NO_SUCH_ORDER, NOT_CANCELLED, OrderAnswer, TradeAnswer
from engine.venues.handler import UNREADABLE, Malformed
from engine.venues.holdings import Holdings, lots_seen, ticks_seen
from engine.venues.native_calls import NativeCall, NativeFrame, Params, call_of, encode
from engine.venues.trading import (
    BalancesSeen,
    BannedSeen,
    Budget,
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
    StreamGap,
    StreamReady,
    TransferSeen,
    UsageSeen,
)

SECOND_NS: Final = 1_000_000_000
MINUTE_NS: Final = 60 * SECOND_NS
DAY_MS: Final = 86_400_000
WINDOW_MAX_MS: Final = 60_000
OVERLAP_MS: Final = 10_000  # trades are asked for from so much earlier on: clocks and books lag
ROWS_MAX: Final = 1_000
ASK_AGAIN_NS: Final = 5 * SECOND_NS
SUBSCRIBE: Final = "user-data"
WEIGHT, TEN_S, DAY = "weight", "orders-10s", "orders-day"
USAGE: Final = {
    "x-mbx-used-weight-1m": WEIGHT,
    "x-mbx-order-count-10s": TEN_S,
    "x-mbx-order-count-1d": DAY,
}
TOO_MANY, BANNED = 429, 418
BAN_S: Final = 120  # where it is not said how long
OK: Final = 200
SIDES: Final = {"BUY": BUY, "SELL": SELL}
ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.:/_-"


class _State(msgspec.Struct, array_like=True):
    """The whole state, for a snapshot: when the stream was asked for (0: no connection), if it is there."""

    asked_ns: int = 0
    ready: bool = False


_ORDER = msgspec.json.Decoder(OrderAnswer)
_ORDERS = msgspec.json.Decoder(list[OrderAnswer])
_CANCELLED = msgspec.json.Decoder(list[msgspec.Raw])
_LISTED = msgspec.json.Decoder(words.ListPart).decode
_TRADES = msgspec.json.Decoder(list[TradeAnswer])
_ACCOUNT = msgspec.json.Decoder(words.AccountAnswer)
_TIME = msgspec.json.Decoder(words.TimeAnswer)
_FRAME = msgspec.json.Decoder(words.StreamFrame)


class BinanceTrading:
    """See the module and `engine.venues.trading.Trading`."""

    ids = IdRules(
        ALPHABET, 36, "rest-api/trading-endpoints: newClientOrderId, ^[\\.A-Z\\:/a-z0-9_-]{1,36}$"
    )
    budgets = (
        Budget(WEIGHT, 6_000, MINUTE_NS),
        Budget(TEN_S, 100, 10 * SECOND_NS, per_host=False),
        Budget(DAY, 200_000, DAY_MS * MS, per_host=False),
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
    ) -> None:
        self._ours = Holdings(instruments, natives, decimals)
        self._state = _State()
        self._read: dict[CallKind, Callable[[Request, bytes], list[PrivateNews]]] = {
            CallKind.CREATE: self._placed,
            CallKind.CANCEL: self._order,
            CallKind.QUERY: self._order,
            CallKind.CANCEL_ALL: self._all_cancelled,
            CallKind.OPEN_ORDERS: self._open_orders,
            CallKind.FILLS: self._fills,
            CallKind.BALANCES: self._account,
            CallKind.CLOCK: self._clock,
        }

    # --- the stream -------------------------------------------------------------------------------

    def opened(self, venue_ns: int) -> Sequence[Request]:
        """See `Trading`: subscribe to our own account."""
        self._state = _State(venue_ns)
        params = {"timestamp": venue_ns // MS}
        body = {"id": SUBSCRIBE, "method": "userDataStream.subscribe.signature", "params": params}
        frame = NativeFrame(msgspec.json.encode(body), signed=True)
        return (Request(CallKind.STREAM, encode(frame), answered=False, weights=((WEIGHT, 2),)),)

    def keep_alive(self, venue_ns: int) -> Sequence[Request]:
        """See `Trading`: what subscribes may be lost, and a subscription may end."""
        state = self._state
        if state.ready or not state.asked_ns or venue_ns - state.asked_ns < ASK_AGAIN_NS:
            return ()
        return self.opened(venue_ns)

    # --- requests ---------------------------------------------------------------------------------

    def create(self, intent: OrderIntent, venue_ns: int, deadline_ns: int) -> Request:
        """See `Trading`; a post-only order is a LIMIT_MAKER, one until a date rests."""
        instrument = self._ours.by_id[intent.instrument]
        sent_ms = venue_ns // MS
        window_ms = min(max(1, deadline_ns // MS - sent_ms), WINDOW_MAX_MS)
        rests = intent.time_in_force in (TimeInForce.GTC, TimeInForce.GTD)
        kind: Params = (("type", "LIMIT_MAKER"),)
        if not intent.post_only:
            force = "GTC" if rests else intent.time_in_force.name
            kind = (("type", "LIMIT"), ("timeInForce", force))
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
        return Request(
            CallKind.CREATE,
            encode(NativeCall("POST", "/api/v3/order", params)),
            weights=((WEIGHT, 1), (TEN_S, 1), (DAY, 1)),
            client_order_id=intent.client_order_id,
            instrument=instrument.id,
            deadline_ns=(sent_ms + window_ms + 1) * MS,
        )

    def cancel(self, ref: OrderRef, venue_ns: int) -> Request:
        """See `Trading`."""
        return self._of_order(CallKind.CANCEL, "DELETE", 1, ref, venue_ns)

    def query(self, ref: OrderRef, venue_ns: int) -> Request:
        """See `Trading`."""
        return self._of_order(CallKind.QUERY, "GET", 4, ref, venue_ns)

    def _of_order(
        self, kind: CallKind, method: str, weight: int, ref: OrderRef, venue_ns: int
    ) -> Request:
        named = ("origClientOrderId", ref.client_order_id)
        if not ref.client_order_id:
            named = ("orderId", ref.venue_order_id)
        symbol = ("symbol", self._ours.natives[ref.instrument])
        request = self._ask(kind, method, "/api/v3/order", (symbol, named), weight, venue_ns)
        return request._replace(client_order_id=ref.client_order_id, instrument=ref.instrument)

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
        when = (("recvWindow", str(WINDOW_MAX_MS)), ("timestamp", str(venue_ns // MS)))
        call = NativeCall(method, path, (*params, *when))
        return Request(kind, encode(call), weights=((WEIGHT, weight),))

    # --- answers ----------------------------------------------------------------------------------

    def answered(self, request: Request, answer: Answer) -> Sequence[PrivateNews]:
        """See `Trading`."""
        if not answer.status:
            effect = Effect.NONE if answer.failure == "unsent" else Effect.POSSIBLE
            return [CallFailed(effect, Reason.NOT_CONNECTED, answer.failure, venue_down=True)]
        usage = list(_usage(answer))
        if answer.status != OK:
            return [*usage, *self._failed(request, answer)]
        try:
            return [*usage, *self._read[request.kind](request, answer.payload)]
        except (*UNREADABLE, KeyError) as error:
            raise Malformed(f"{request.kind.name}: {error}") from error

    def _failed(self, request: Request, answer: Answer) -> Iterator[PrivateNews]:
        error = words.error_in(answer.payload)
        code = 0 if error is None else error.code
        if request.kind is CallKind.QUERY and code == NO_SUCH_ORDER:
            yield OrderMissing(request.client_order_id, _asked_ns(request))
            return
        if request.kind is CallKind.CANCEL_ALL and code == NOT_CANCELLED:
            return  # there was none
        if answer.status == BANNED or (answer.status == TOO_MANY and code != words.TOO_MANY_ORDERS):
            said = dict(answer.headers).get("retry-after", "")
            wait_s = int(said) if said.isascii() and said.isdigit() else BAN_S
            yield BannedSeen(wait_s * SECOND_NS, answer.status == BANNED)
            text = f"status {answer.status}" if error is None else f"{code}: {error.msg}"
            yield CallFailed(Effect.NONE, Reason.RATE_LIMITED, text)
            return
        yield words.failure(answer.status, error)

    def _placed(self, request: Request, payload: bytes) -> list[PrivateNews]:
        """An order with the fills that it made at once, as a taker."""
        answer = _ORDER.decode(payload)
        instrument = self._ours.by_native[answer.symbol]
        at_ns = answer.transactTime * MS
        fills: list[PrivateNews] = [
            FillSeen(
                request.client_order_id,
                str(answer.orderId),
                instrument.id,
                SIDES[answer.side],
                instrument.price_to_ticks(part.price),
                instrument.quantity_to_lots(part.qty),
                self._ours.fee(part.commission, part.commissionAsset),
                part.commissionAsset,
                f"{answer.symbol}-{part.tradeId}",
                False,
                at_ns,
            )
            for part in answer.fills
        ]
        return [*fills, self._seen(answer, request.client_order_id)]

    def _order(self, request: Request, payload: bytes) -> list[PrivateNews]:
        answer = _ORDER.decode(payload)
        return [self._seen(answer, request.client_order_id)]

    def _seen(self, order: OrderAnswer, client_order_id: str = "") -> OrderSeen:
        """A cancelled order bears the cancel's id, and its own beside it."""
        name = client_order_id or order.origClientOrderId or order.clientOrderId
        instrument = self._ours.by_native.get(order.symbol)
        ticks, lots, filled = 0, 0, 0
        if instrument is not None:
            ticks, lots = ticks_seen(instrument, order.price), lots_seen(instrument, order.origQty)
            filled = lots_seen(instrument, order.executedQty)
        return OrderSeen(
            name,
            str(order.orderId),
            -1 if instrument is None else instrument.id,
            SIDES[order.side],
            ticks,
            lots,
            filled,
            words.STATES[order.status],
            words.REASONS.get(order.status, Reason.NONE),
            max(order.transactTime, order.updateTime) * MS,
        )

    def _all_cancelled(self, request: Request, payload: bytes) -> list[PrivateNews]:
        rows = [row for row in _CANCELLED.decode(payload) if not _LISTED(row).contingencyType]
        return [self._seen(_ORDER.decode(row)) for row in rows]

    def _open_orders(self, request: Request, payload: bytes) -> list[PrivateNews]:
        orders = tuple(self._seen(order) for order in _ORDERS.decode(payload))
        return [OpenOrdersSeen(orders, True, _asked_ns(request))]

    def _fills(self, request: Request, payload: bytes) -> list[PrivateNews]:
        rows = _TRADES.decode(payload)
        asked_ns = _asked_ns(request)
        params = dict(call_of(request.payload).params)
        symbol: Params = (("symbol", params["symbol"]),)
        end_ms = int(params.get("endTime", 0))
        more = None
        timed = "startTime" in params or "fromId" in params
        if timed and len(rows) >= ROWS_MAX:
            following: Params = (*symbol, ("fromId", str(rows[-1].id + 1)))
            more = self._trades(following, asked_ns, request.instrument)
        elif end_ms:
            more = self.fills(request.instrument, (end_ms + OVERLAP_MS) * MS, 0, asked_ns)
        through_ns = asked_ns if more is None else (rows[-1].time if rows else end_ms) * MS
        fills = tuple(self._fill(row) for row in rows)
        return [FillsSeen(request.instrument, fills, through_ns, more)]

    def _fill(self, row: TradeAnswer) -> FillSeen:
        instrument = self._ours.by_native[row.symbol]
        return FillSeen(
            "",
            str(row.orderId),
            instrument.id,
            BUY if row.isBuyer else SELL,
            instrument.price_to_ticks(row.price),
            instrument.quantity_to_lots(row.qty),
            self._ours.fee(row.commission, row.commissionAsset),
            row.commissionAsset,
            f"{row.symbol}-{row.id}",
            row.isMaker,
            row.time * MS,
        )

    def _account(self, request: Request, payload: bytes) -> list[PrivateNews]:
        answer = _ACCOUNT.decode(payload)
        held = {row.asset: row for row in answer.balances}
        rows = []
        for asset in self._ours.assets:
            row = held.get(asset, words.BalanceAnswer(asset, "0", "0"))
            free = self._ours.held(asset, row.free)
            rows.append((asset, free + self._ours.held(asset, row.locked), free))
        return [BalancesSeen(tuple(rows), answer.updateTime * MS)]

    def _clock(self, request: Request, payload: bytes) -> list[PrivateNews]:
        return [ClockSeen(_TIME.decode(payload).serverTime * MS)]

    # --- what the stream says -----------------------------------------------------------------------

    def heard(self, payload: bytes) -> Sequence[PrivateNews]:
        """See `Trading`."""
        try:
            frame = _FRAME.decode(payload)
            if frame.event is not None:
                return self._event(frame.event)
        except (*UNREADABLE, KeyError) as error:
            raise Malformed(str(error)) from error
        if frame.id != SUBSCRIBE:
            return []
        refusal = frame.error
        if frame.status == OK or (refusal is not None and "already" in refusal.msg):
            self._state = _State(self._state.asked_ns, True)
            return [StreamReady()]
        return [words.failure(frame.status, refusal)]

    def _event(self, event: words.Event) -> list[PrivateNews]:
        match event.e:
            case "executionReport":
                return self._report(event)
            case "outboundAccountPosition":
                rows = []
                for row in event.B:
                    if row.a in self._ours.assets:
                        free = self._ours.held(row.a, row.f)
                        rows.append((row.a, free + self._ours.held(row.a, row.l), free))
                return [BalancesSeen(tuple(rows), event.u * MS)]
            case "balanceUpdate":
                if event.a not in self._ours.assets:
                    return []
                amount = self._ours.held(event.a, event.d)
                name = f"{event.a}-{event.T}-{event.d}"
                kind = "deposit" if amount > 0 else "withdrawal"
                return [TransferSeen(event.a, amount, name, kind, event.T * MS)]
            case "eventStreamTerminated":
                self._state = _State(max(1, self._state.asked_ns))
                return [StreamGap()]
        return []

    def _report(self, event: words.Event) -> list[PrivateNews]:
        order = OrderAnswer(
            event.s, event.i, event.p, event.q, event.z, event.X, event.S, event.c, event.C, event.T
        )
        seen = self._seen(order)
        instrument = self._ours.by_native.get(event.s)
        if event.x != "TRADE" or instrument is None:
            return [seen]
        fee_asset = event.N or instrument.quote
        fill = FillSeen(
            seen.client_order_id,
            seen.venue_order_id,
            instrument.id,
            seen.side,
            instrument.price_to_ticks(event.L),
            instrument.quantity_to_lots(event.l),
            self._ours.fee(event.n or "0", fee_asset),
            fee_asset,
            f"{event.s}-{event.t}",
            event.m,
            event.T * MS,
        )
        return [fill, seen]

    # --- snapshot -----------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """See `Trading`."""
        return msgspec.msgpack.encode(self._state)

    def restore(self, data: bytes) -> None:
        """See `Trading`."""
        self._state = msgspec.msgpack.decode(data, type=_State)


def _asked_ns(request: Request) -> int:
    """When a request was made, by the venue's clock as we knew it."""
    return int(dict(call_of(request.payload).params)["timestamp"]) * MS


def _usage(answer: Answer) -> Iterator[UsageSeen]:
    for name, value in answer.headers:
        budget = USAGE.get(name)
        if budget is not None and value.isascii() and value.isdigit():
            yield UsageSeen(budget, int(value))
