"""Trading through ccxt: wishes into calls of its unified interface, its structures into news.

One `Trading` for every exchange of ccxt. What an exchange can do and takes as ids is in
ccxt_exchanges.py, the calls' form and what exceptions prove in ccxt_calls.py; nothing here imports
ccxt. Binance's and Kraken's deadlines are known and used: there an order that was not found can be
proved never to come. Elsewhere it cannot, and stays UNKNOWN until it is seen or an operator decides.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from engine.instruments import Instrument
from engine.messages import BUY, Answer, CallKind, OrderIntent, Reason, TimeInForce
from engine.orders.identity import spell
from engine.venues.ccxt_account import CcxtAccount
from engine.venues.ccxt_calls import (
    BALANCE,
    ORDERS,
    TRADES,
    Call,
    Work,
)
from engine.venues.ccxt_exchanges import (
    BINANCES,
    BY_NAME,
    DEAD_MAN,
    NAMED_LISTS,
    PAGES,
    WHOLE_LISTS,
    budgets_of,
    exchange_of,
    ids_of,
    weights_of,
)
from engine.venues.ccxt_failures import failed
from engine.venues.handler import UNREADABLE, Malformed
from engine.venues.holdings import Holdings
from engine.venues.kraken_words import Tier
from engine.venues.trading import (
    AskMore,
    CallFailed,
    ClockSeen,
    Effect,
    FillsSeen,
    OpenOrdersSeen,
    OrderRef,
    PrivateNews,
    Request,
    StreamReady,
    Unsupported,
    UsageSeen,
    lifted,
)

MS = 1_000_000
SECOND_NS = 1_000_000_000
SECOND_MS = 1000
BACK_MS = 5000
"""So far before the time that was asked for are fills asked: venues' and our clocks differ."""
WINDOW_MAX_MS = 60_000
KRAKEN_LEAST_MS = 2500
KRAKEN_SLACK_MS = 1000
"""Kraken takes no deadline nearer than 2 s; its time is known to the second only."""
PAGE = 20
"""A list of so many may be one page of a longer one, where the exchange's page is not known."""

USAGE = {"x-mbx-used-weight-1m": "weight", "x-mbx-order-count-10s": "orders-10s"}

_TIMES = {TimeInForce.IOC: "IOC", TimeInForce.FOK: "FOK"}
_WORK = msgspec.msgpack.Decoder(Work).decode
_RESULTS = msgspec.json.Decoder(tuple[msgspec.Raw, ...]).decode
_TIME = msgspec.json.Decoder(int).decode


class _Told(msgspec.Struct):
    watch: str
    data: msgspec.Raw = msgspec.Raw(b"[]")


_TOLD = msgspec.json.Decoder(_Told).decode


class CcxtTrading:
    """Our account at one of ccxt's exchanges. `natives` are ccxt's unified symbols by instrument.

    One not `limited` is for our own exchange. Raises ValueError for an exchange that cannot be traded
    on so, and says why.
    """

    fills_numbered = False
    shared_line = False

    def __init__(
        self,
        exchange: str,
        instruments: Sequence[Instrument],
        natives: Mapping[int, str],
        decimals: Mapping[str, int],
        tier: Tier = "starter",
        limited: bool = True,
    ) -> None:
        known = exchange_of(exchange)
        self.exchange = exchange
        self.ids = ids_of(exchange)
        self.has_deadline = exchange in BINANCES or exchange == "kraken"
        self.fills_by_account = exchange == "kraken"
        self.private_stream = known.stream
        budgets = budgets_of(exchange, known.interval_ms, tier)
        self.budgets = budgets if limited else lifted(budgets)
        self._known = known
        self._binance = exchange in BINANCES
        # Kraken's time is cut to the second: on average half of one is missing.
        self._half_ns = SECOND_NS // 2 if exchange == "kraken" else 0
        self._ours = Holdings(instruments, natives, decimals)
        self._symbols = self._ours.natives
        self._account = CcxtAccount(exchange, self._ours, self.ids)

    @property
    def symbols(self) -> tuple[str, ...]:
        """ccxt's symbols of our instruments."""
        return tuple(self._symbols.values())

    # --- wishes ----------------------------------------------------------------------------------

    def opened(self, venue_ns: int) -> Sequence[Request]:
        """The edge's client subscribes by itself, and says when it is ready."""
        return ()

    def closed(self) -> None:
        """Nothing is kept of a connection: calls are answered whether it is there or not."""

    def keep_alive(self, venue_ns: int) -> Sequence[Request]:
        """Nothing: the client keeps its streams alive."""
        return ()

    def create(self, intent: OrderIntent, venue_ns: int, deadline_ns: int) -> Request:
        """See `Trading.create`."""
        if intent.time_in_force is TimeInForce.GTD:
            raise Unsupported("GTD through ccxt: its exchanges do not agree on one")
        if intent.post_only and intent.time_in_force is not TimeInForce.GTC:
            raise Unsupported("post-only and immediate at once")
        instrument = self._ours.by_id[intent.instrument]
        params: dict[str, str | int | bool] = {
            "clientOrderId": spell(intent.client_order_id, self.ids)
        }
        if intent.time_in_force in _TIMES:
            params["timeInForce"] = _TIMES[intent.time_in_force]
        if intent.post_only:
            params["postOnly"] = True
        carried_ns = self._deadline(params, venue_ns, deadline_ns)
        side = "buy" if intent.side == BUY else "sell"
        lots, ticks = (
            instrument.lots_to_quantity(intent.lots),
            instrument.ticks_to_price(intent.ticks),
        )
        args = (self._symbols[intent.instrument], "limit", side, lots, ticks)
        return self._request(
            CallKind.CREATE,
            (Call("create_order", ORDERS, args, params),),
            venue_ns,
            client_order_id=intent.client_order_id,
            instrument=intent.instrument,
        )._replace(deadline_ns=carried_ns)

    def _deadline(
        self, params: dict[str, str | int | bool], venue_ns: int, deadline_ns: int
    ) -> int:
        """Have the venue refuse the order after the deadline; the one it carries, 0 for none."""
        now_ms = venue_ns // MS
        if self._binance:
            window_ms = min(max(1, deadline_ns // MS - now_ms), WINDOW_MAX_MS)
            params["timestamp"], params["recvWindow"] = now_ms, window_ms
            return (now_ms + window_ms + 1) * MS
        if self.exchange == "kraken":
            until_ms = max(deadline_ns // MS, now_ms + KRAKEN_LEAST_MS)
            until = datetime.fromtimestamp(until_ms / 1000, UTC)
            params["deadline"] = until.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            return (until_ms + KRAKEN_SLACK_MS) * MS
        return 0

    def cancel(self, ref: OrderRef, venue_ns: int) -> Request:
        """See `Trading.cancel`. Where no cancel goes by our id, the venue's own is looked up first."""
        symbol = self._symbols[ref.instrument]
        if ref.venue_order_id:
            call = Call("cancel_order", ORDERS, (ref.venue_order_id, symbol))
        elif self.exchange in BY_NAME | NAMED_LISTS:
            name: dict[str, str | int | bool] = {
                "clientOrderId": spell(ref.client_order_id, self.ids)
            }
            call = Call("cancel_order", ORDERS, ("", symbol), name)
        else:
            call = Call("fetch_open_orders", ORDERS, (symbol,))
        return self._request(
            CallKind.CANCEL,
            (call,),
            venue_ns,
            client_order_id=ref.client_order_id,
            instrument=ref.instrument,
        )

    def cancel_all(self, venue_ns: int) -> Sequence[Request]:
        """None: what ccxt has for it takes out the orders of others on the account too."""
        return ()

    def query(self, ref: OrderRef, venue_ns: int) -> Request:
        """See `Trading.query`: by the venue's id or ours, else in its lists, the open orders first.

        An order that ends between the two calls is in the second; the other way round it was missed.
        """
        symbol = self._symbols[ref.instrument]
        name: dict[str, str | int | bool] = {"clientOrderId": spell(ref.client_order_id, self.ids)}
        if ref.venue_order_id:
            calls = [Call("fetch_order", ORDERS, (ref.venue_order_id, symbol))]
        elif self.exchange in BY_NAME:
            calls = [Call("fetch_order", ORDERS, ("", symbol), name)]
        else:
            named = name if self.exchange in NAMED_LISTS else {}
            calls = [Call("fetch_open_orders", ORDERS, (symbol,), named)]
            if self._known.closed:
                calls.append(Call(self._known.closed, ORDERS, (symbol,), named))
        return self._request(
            CallKind.QUERY,
            tuple(calls),
            venue_ns,
            client_order_id=ref.client_order_id,
            instrument=ref.instrument,
        )

    def open_orders(self, venue_ns: int) -> Sequence[Request]:
        """Kraken's all at once; elsewhere by instrument, which every exchange can."""
        if self.exchange == "kraken":
            call = Call("fetch_open_orders", ORDERS, (None,))
            return (self._request(CallKind.OPEN_ORDERS, (call,), venue_ns),)
        return tuple(
            self._request(
                CallKind.OPEN_ORDERS,
                (Call("fetch_open_orders", ORDERS, (symbol,)),),
                venue_ns,
                instrument=number,
            )
            for number, symbol in self._symbols.items()
        )

    def fills(self, instrument: int, since_ns: int, since_number: int, venue_ns: int) -> Request:
        """See `Trading.fills`; it goes back some seconds further than asked for."""
        return self._fills(instrument, max(0, since_ns // MS - BACK_MS), venue_ns, 0)

    def _fills(self, instrument: int, since_ms: int, venue_ns: int, offset: int) -> Request:
        """`offset` is for Kraken, whose pages begin with the newest."""
        symbol = None if self.fills_by_account else self._symbols[instrument]
        params: dict[str, str | int | bool] = {"ofs": offset} if self.fills_by_account else {}
        size = PAGES.get(self.exchange) if self._binance else None
        call = Call("fetch_my_trades", TRADES, (symbol, since_ms or None, size), params)
        return self._request(
            CallKind.FILLS, (call,), venue_ns, since_ms=since_ms, instrument=instrument
        )

    def balances(self, venue_ns: int) -> Request:
        """See `Trading.balances`."""
        return self._request(CallKind.BALANCES, (Call("fetch_balance", BALANCE),), venue_ns)

    def transfers(self, since_ns: int, venue_ns: int) -> Sequence[Request]:
        """Where they are known to be told: Kraken's ledger, Binance's deposits and withdrawals."""
        since_ms = since_ns // MS or None
        if self.exchange == "kraken":
            calls: tuple[Call, ...] = (Call("fetch_ledger", "", (None, since_ms)),)
        elif self.exchange in ("binance", "binanceus"):
            calls = (
                Call("fetch_deposits", "", (None, since_ms)),
                Call("fetch_withdrawals", "", (None, since_ms)),
            )
        else:
            return ()
        return (self._request(CallKind.TRANSFERS, calls, venue_ns),)

    def clock(self) -> Request | None:
        """The venue's time; None where ccxt does not have it."""
        if not self._known.clock:
            return None
        return self._request(CallKind.CLOCK, (Call("fetch_time", ""),), 0)

    def dead_man(self, timeout_s: int, venue_ns: int) -> Request | None:
        """See `Trading.dead_man`."""
        if self.exchange not in DEAD_MAN:
            return None
        call = Call("cancel_all_orders_after", "", (timeout_s * SECOND_MS,))
        return self._request(CallKind.DEAD_MAN, (call,), venue_ns)

    def _request(
        self,
        kind: CallKind,
        calls: tuple[Call, ...],
        venue_ns: int,
        *,
        since_ms: int = 0,
        client_order_id: str = "",
        instrument: int = -1,
    ) -> Request:
        work = Work(calls, venue_ns // MS, since_ms)
        weights = weights_of(self.exchange, kind, len(calls))
        return Request(
            kind, msgspec.msgpack.encode(work), True, weights, client_order_id, instrument
        )

    # --- news ------------------------------------------------------------------------------------

    def answered(self, request: Request, answer: Answer) -> Sequence[PrivateNews]:
        """See `Trading.answered`."""
        news: list[PrivateNews] = [
            UsageSeen(budget, int(value))
            for name, value in answer.headers
            if (budget := USAGE.get(name)) is not None and value.isdecimal()
        ]
        if answer.failure:
            return news + failed(self.exchange, request, answer)
        try:
            return news + self._read(request, _RESULTS(answer.payload))
        except UNREADABLE as error:
            raise Malformed(f"{request.kind.name}: {error}") from error

    def _read(self, request: Request, results: tuple[msgspec.Raw, ...]) -> list[PrivateNews]:
        account = self._account
        if not results:
            raise Malformed(f"{request.kind.name}: no result")
        match request.kind:
            case CallKind.CREATE:
                return account.created(request, _WORK(request.payload).calls[0].args, results[0])
            case CallKind.CANCEL:
                return self._cancelled(request, results[0])
            case CallKind.QUERY:
                return account.found(request, results)
            case CallKind.OPEN_ORDERS:
                orders = account.orders(results[0])
                whole = self.exchange in WHOLE_LISTS or len(orders) < PAGE
                return [OpenOrdersSeen(orders, whole, 0)]
            case CallKind.FILLS:
                return [self._filled(request, results[0])]
            case CallKind.BALANCES:
                return [account.balances(results[0])]
            case CallKind.TRANSFERS:
                return account.transfers(results)
            case CallKind.CLOCK:
                return [ClockSeen(_TIME(results[0]) * MS + self._half_ns)]
        return []

    def _cancelled(self, request: Request, result: msgspec.Raw) -> list[PrivateNews]:
        """What was cancelled; or, of an order that had to be looked up first, its cancel."""
        if bytes(result)[:1] != b"[":
            return self._account.ended(result)
        order = self._account.named(request.client_order_id, self._account.orders(result))
        if order is None:
            text = f"{self.exchange} has no open order {request.client_order_id}"
            return [CallFailed(Effect.NONE, Reason.VENUE_REJECTED, text)]
        ref = OrderRef(request.client_order_id, order.venue_order_id, request.instrument)
        return [AskMore(self.cancel(ref, _WORK(request.payload).venue_ms * MS))]

    def _filled(self, request: Request, result: msgspec.Raw) -> FillsSeen:
        """The trades of a page, and how to ask for those that were not on it."""
        work, number = _WORK(request.payload), request.instrument
        fills, count = self._account.fills(result)
        page, venue_ns = PAGES.get(self.exchange, PAGE), work.venue_ms * MS
        if count < page:
            return FillsSeen(number, fills, 0)
        if self.fills_by_account:
            offset = work.calls[0].params["ofs"]
            assert isinstance(offset, int)
            more = self._fills(number, work.since_ms, venue_ns, offset + page)
            return FillsSeen(number, fills, work.since_ms * MS, more)
        last_ms = max((fill.venue_ns for fill in fills), default=0) // MS
        if last_ms <= work.since_ms:  # no further on: what is on later pages cannot be reached
            return FillsSeen(number, fills, 0)
        return FillsSeen(number, fills, last_ms * MS, self._fills(number, last_ms, venue_ns, 0))

    def heard(self, payload: bytes) -> Sequence[PrivateNews]:
        """A frame of the edge: orders, own trades or balances, as ccxt.pro has them."""
        try:
            told = _TOLD(payload)
            match told.watch:
                case "orders":
                    return self._account.orders(told.data)
                case "trades":
                    return self._account.fills(told.data)[0]
                case "balance":
                    return [self._account.balances(told.data)]
                case "ready":
                    return [StreamReady()]
        except UNREADABLE as error:
            raise Malformed(str(error)) from error
        raise Malformed(f"a private frame about {told.watch!r}")

    def snapshot(self) -> bytes:
        """Which of our ids the exchange's numbers of orders stand for."""
        return self._account.snapshot()

    def restore(self, data: bytes) -> None:
        """See `Trading.restore`."""
        self._account.restore(data)
