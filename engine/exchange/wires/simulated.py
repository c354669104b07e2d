"""The simulated exchange's own protocol: JSON text frames, one websocket for everything.

docs/simulated-exchange.md has its frames. A client id is executed at most once, for ever (as far as
`names_max` goes back), and what was refused can be asked for like any other order.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from engine.exchange.exchange import Exchange
from engine.exchange.orders import (
    DepthChange,
    Event,
    NewOrder,
    OrderChange,
    PublicTrade,
    Refused,
    Status,
    Why,
)
from engine.exchange.wires.simulated_views import (
    book_view,
    error_view,
    fill_view,
    order_view,
    side_word,
    trade_view,
    update_view,
)
from engine.exchange.wires.simulated_words import (
    FAILURES,
    Request,
    read_order,
    refusal_words,
    words_of_end,
)
from engine.exchange.wires.wire import UNREADABLE, Answer, Call, Failure, Outgoing
from engine.units import UnitError, format_decimal

NEVER = 1 << 62
ASKING = frozenset({"query", "open_orders", "fills", "balances", "time"})
"""What changes nothing: its answer bears the number of the request, where it had one."""
NAMES_MAX = 1_000_000

_REQUEST = msgspec.json.Decoder(Request)


class SimulatedWire:
    """See the module. Without `public` its market is a tape, whose own frames are what clients see.

    Who has not logged in is the venue's first account.
    """

    def __init__(self, exchange: Exchange, public: bool = True, names_max: int = NAMES_MAX) -> None:
        self.exchange = exchange
        self.duplicates = 0
        self.shed = 0
        self._public = public
        self._names_max = names_max
        self._accounts: dict[int, str] = {}
        self._symbols: dict[int, dict[int, int]] = {}
        self._used: dict[tuple[str, str], dict[str, Any] | None] = {}
        self._seqs: dict[str, int] = {}

    # --- the contract -----------------------------------------------------------------------------

    def connected(self, connection: int, path: str, query: str, now_ns: int) -> Sequence[Outgoing]:
        """A client is there; it hears of its account, and of books when it subscribes."""
        self._accounts[connection] = self.exchange.accounts.names[0]
        self._symbols[connection] = {}
        return ()

    def disconnected(self, connection: int) -> None:
        """A client is gone; its orders stay."""
        self._accounts.pop(connection, None)
        self._symbols.pop(connection, None)

    def account_of(self, connection: int) -> str:
        """Whose connection it is."""
        return self._accounts.get(connection, "")

    def frame(self, connection: int, payload: bytes, now_ns: int) -> Sequence[Outgoing]:
        """A client's frame; what it does to orders is told by `publish`."""
        if connection not in self._accounts:
            return ()
        try:
            request = _REQUEST.decode(payload)
        except UNREADABLE as error:
            answers = [error_view("malformed", "", str(error))]
        else:
            answers = self._serve(connection, request, now_ns)
            if request.ref and request.op in ASKING:
                answers = [{**answer, "ref": request.ref} for answer in answers]
        return [Outgoing(connection, msgspec.json.encode(answer)) for answer in answers]

    def call(self, call: Call, now_ns: int) -> Answer:
        """There is nothing over HTTP."""
        return Answer(
            404, msgspec.json.encode(error_view(call.path, "", "this protocol has no calls"))
        )

    def failed(self, failure: Failure, call: Call, retry_after_s: int) -> Answer:
        """See `Wire.failed`."""
        status, words = FAILURES[failure]
        headers = (("Retry-After", str(retry_after_s)),) if retry_after_s else ()
        return Answer(status, msgspec.json.encode(error_view(call.path, "", words)), headers)

    def refused(self, failure: Failure, payload: bytes, retry_after_s: int) -> bytes:
        """An error that names the request."""
        try:
            request = _REQUEST.decode(payload)
        except UNREADABLE:
            request = Request("malformed")
        told = error_view(request.op, request.client_id, FAILURES[failure][1])
        wait = {"retry_after_s": retry_after_s} if retry_after_s else {}
        number = {"ref": request.ref} if request.ref and request.op in ASKING else {}
        return msgspec.json.encode({**told, **wait, **number})

    def tick(self, now_ns: int) -> Sequence[Outgoing]:
        """Nothing happens here by itself."""
        return ()

    def due_ns(self) -> int:
        """Nothing happens here by itself."""
        return NEVER

    # --- requests ---------------------------------------------------------------------------------

    def _serve(self, connection: int, request: Request, now_ns: int) -> list[dict[str, Any]]:
        account = self._accounts[connection]
        match request.op:
            case "subscribe":
                return self._subscribe(connection, request.symbols, now_ns)
            case "login":
                return self._login(connection, request.account, now_ns)
            case "order":
                return self._order(account, request, now_ns)
            case "orders":
                return self._orders(account, request, now_ns)
            case "cancel" | "replace" | "cancel_all":
                return self._change(account, request, now_ns)
            case "query":
                return [self._query(account, request.client_id, now_ns)]
            case "open_orders":
                orders = [
                    order_view(self.exchange, order) for order in self.exchange.open_orders(account)
                ]
                return [{"type": "open_orders", "orders": orders, "ts": now_ns}]
            case "fills":
                return [{**self._fills(account, request.since), "ts": now_ns}]
            case "balances":
                balances = self.balances(account)
                return [{"type": "balances", "balances": balances, "ts": now_ns}]
            case "time":
                return [{"type": "time", "ts": now_ns}]
            case "audit":
                return [self.audit(account)]
            case _:
                return [error_view(request.op, "", "unknown op")]

    def _subscribe(self, connection: int, symbols: list[str], now_ns: int) -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = []
        for symbol in symbols:
            instrument = self.exchange.symbols.get(symbol)
            if instrument is None:
                answers.append(error_view("subscribe", "", f"no symbol {symbol!r}"))
            elif not self._public:
                answers.append({"type": "none"})
            else:
                market = self.exchange.markets[instrument.id]
                self._symbols[connection][instrument.id] = market.sequence
                bids, asks = market.depth(0)
                levels = [(1, *level) for level in bids] + [(-1, *level) for level in asks]
                change = DepthChange(
                    instrument.id, market.sequence, market.sequence, tuple(levels), now_ns
                )
                answers.append(book_view(self.exchange, "snapshot", change))
        return answers

    def _login(self, connection: int, account: str, now_ns: int) -> list[dict[str, Any]]:
        if account not in self.exchange.accounts.names:
            return [error_view("login", "", f"no account {account!r}")]
        self._accounts[connection] = account
        return [{"type": "account", "account": account, "simulated": True, "ts": now_ns}]

    def _order(self, account: str, request: Request, now_ns: int) -> list[dict[str, Any]]:
        name = request.client_id
        if (account, name) in self._used:
            self.duplicates += 1
            return [error_view("order", name, "duplicate client_id")]
        try:
            new = read_order(self.exchange, request)
        except (KeyError, UnitError) as error:
            return [error_view("order", name, str(error.args[0]))]
        self._use(account, name)
        try:
            self.exchange.place(account, new, now_ns)
        except Refused as refused:
            return [self._refuse(account, new, refused, now_ns)]
        return []

    def _orders(self, account: str, request: Request, now_ns: int) -> list[dict[str, Any]]:
        names = [each.client_id for each in request.orders]
        if len(set(names)) < len(names) or any((account, name) in self._used for name in names):
            self.duplicates += 1
            return [error_view("orders", request.client_id, "duplicate client_id")]
        try:
            new = [read_order(self.exchange, each) for each in request.orders]
        except (KeyError, UnitError) as error:
            return [error_view("orders", request.client_id, str(error.args[0]))]
        for name in names:
            self._use(account, name)
        try:
            self.exchange.place_list(account, new, now_ns)
        except Refused as refused:
            return [self._refuse(account, each, refused, now_ns) for each in new]
        return []

    def _change(self, account: str, request: Request, now_ns: int) -> list[dict[str, Any]]:
        exchange, name = self.exchange, request.client_id
        try:
            if request.op == "cancel_all":
                instrument = exchange.symbols[request.symbol].id if request.symbol else None
                exchange.cancel_all(account, instrument, now_ns)
                return []
            order = exchange.by_client_id(account, name)
            if not order.open:
                raise Refused(Why.UNKNOWN_ORDER, "it is final")
            if request.op == "cancel":
                exchange.cancel(account, order.number, now_ns)
                return []
            instrument = order.request.instrument
            of = exchange.instruments[instrument]
            ticks = of.price_to_ticks(request.price) if request.price else 0
            lots = of.quantity_to_lots(request.qty) if request.qty else 0
            exchange.replace(account, order.number, ticks, lots, now_ns)
        except Refused as refused:
            return [error_view(request.op, name, refusal_words(refused.why))]
        except (KeyError, UnitError) as error:
            return [error_view(request.op, name, str(error.args[0]))]
        return []

    def _use(self, account: str, name: str) -> None:
        self._used[account, name] = None
        if len(self._used) > self._names_max:
            del self._used[next(iter(self._used))]
            self.shed += 1

    def _refuse(self, account: str, new: NewOrder, refused: Refused, now_ns: int) -> dict[str, Any]:
        """What the exchange did not take is an order all the same, rejected or expired."""
        instrument = self.exchange.instruments[new.instrument]
        view = {
            "client_id": new.client_id,
            "symbol": instrument.symbol,
            "state": "expired" if refused.why is Why.DEADLINE else "rejected",
            "filled": instrument.lots_to_quantity(0),
            "side": side_word(new.side),
            "price": instrument.ticks_to_price(new.ticks),
            "qty": instrument.lots_to_quantity(new.lots),
        }
        self._used[account, new.client_id] = view
        return {**view, "type": "order", "reason": refusal_words(refused.why), "ts": now_ns}

    # --- answers ----------------------------------------------------------------------------------

    def _query(self, account: str, name: str, now_ns: int) -> dict[str, Any]:
        view = self._used.get((account, name))
        if view is None:
            try:
                view = order_view(self.exchange, self.exchange.by_client_id(account, name))
            except Refused:
                return {"type": "query", "client_id": name, "found": False, "ts": now_ns}
        return {**view, "type": "query", "found": True, "ts": now_ns}

    def _fills(self, account: str, since: int) -> dict[str, Any]:
        fills = self.exchange.fills(account)
        last = self.exchange.fill_count(account)
        first = last - len(fills) + 1
        later = fills[max(0, since + 1 - first) :]
        numbers = range(last - len(later) + 1, last + 1)
        views = [
            fill_view(self.exchange, fill, number)
            for fill, number in zip(later, numbers, strict=True)
        ]
        return {"type": "fills", "since": since, "fills": views, "last": last}

    def balances(self, account: str) -> dict[str, str]:
        """Totals as decimal strings."""
        accounts = self.exchange.accounts
        return {
            asset: format_decimal(accounts.total(account, asset), accounts.decimals[asset])
            for asset in accounts.assets(account)
        }

    def audit(self, account: str) -> dict[str, Any]:
        """Everything an ending comparison needs of an account, and what of the venue does not hold."""
        orders = [order_view(self.exchange, order) for order in self.exchange.all_orders(account)]
        orders += [view for (name, _), view in self._used.items() if view and name == account]
        return {
            "type": "audit",
            "venue": self.exchange.venue,
            "simulated": True,
            "orders": orders,
            "duplicates": self.duplicates,
            "balances": self.balances(account),
            "fills": self.exchange.fill_count(account),
            "problems": self.exchange.audit().problems,
        }

    # --- what happens -----------------------------------------------------------------------------

    def publish(self, events: Sequence[Event], now_ns: int) -> Sequence[Outgoing]:
        """Trades and books to their subscribers, orders and fills to their account.

        A taker's fills are followed by one frame of the state they led to.
        """
        out: list[Outgoing] = []
        held: dict[int, OrderChange] = {}
        for event in events:
            if isinstance(event, OrderChange):
                self._changed(event, held, out)
            elif self._public and isinstance(event, PublicTrade):
                self._publish(event, trade_view, out)
            elif self._public and isinstance(event, DepthChange):
                self._publish(event, update_view, out)
        for change in held.values():
            self._tell(change.order.account, self._state(change), out)
        return out

    def _changed(
        self, change: OrderChange, held: dict[int, OrderChange], out: list[Outgoing]
    ) -> None:
        order, fill = change.order, change.fill
        if fill is not None:
            number = self._seqs[order.account] = self._seqs.get(order.account, 0) + 1
            self._tell(order.account, fill_view(self.exchange, fill, number), out)
            if not fill.maker and order.status is Status.PARTLY_FILLED:
                held[order.number] = change
                return
        held.pop(order.number, None)
        self._tell(order.account, self._state(change), out)

    def _state(self, change: OrderChange) -> dict[str, Any]:
        reason = words_of_end(change.order)
        return {
            **order_view(self.exchange, change.order),
            "type": "order",
            "reason": reason,
            "ts": change.time_ns,
        }

    def _tell(self, account: str, fields: dict[str, Any], out: list[Outgoing]) -> None:
        data = b""
        for connection, name in self._accounts.items():
            if name == account:
                data = data or msgspec.json.encode(fields)
                out.append(Outgoing(connection, data))

    def _publish(self, event: PublicTrade | DepthChange, view: Any, out: list[Outgoing]) -> None:
        data = b""
        for connection, symbols in self._symbols.items():
            known = symbols.get(event.instrument)
            if known is None or (isinstance(event, DepthChange) and event.last <= known):
                continue  # the snapshot it has is later
            data = data or msgspec.json.encode(view(self.exchange, event))
            out.append(Outgoing(connection, data))
