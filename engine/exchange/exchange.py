"""One venue of the simulated exchange: clients' requests, our account, our orders, their fills.

Requests take effect after the latency, in the order of their arrival there. An order is executed at
most once whatever a client sends; one that arrives after its deadline is not executed at all. The
account moves by fills and fees only, to the unit.
"""

import heapq
from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec

from engine.exchange.accounts import Account, InsufficientBalance
from engine.exchange.book import Match, Resting
from engine.exchange.market import NEVER, FlowMarket, TapeMarket
from engine.instruments import Instrument
from engine.messages import BUY, SELL
from engine.units import UnitError, format_decimal

OPEN = ("acknowledged", "partly_filled")


class Request(msgspec.Struct):
    """A client's frame: `op` says which fields count."""

    op: str
    symbols: list[str] = []
    account: str = ""
    client_id: str = ""
    symbol: str = ""
    side: str = ""
    price: str = ""
    qty: str = ""
    tif: str = "ioc"
    deadline_ns: int = 0
    since: int = 0


class OurOrder(msgspec.Struct):
    """An order of the account, from its arrival on."""

    client_id: str
    instrument: int
    side: int
    ticks: int
    lots: int
    state: str
    filled: int = 0
    locked: int = 0


_REQUEST = msgspec.json.Decoder(Request)


class Exchange:
    """One venue; see the module. `order_latency_ns` is each request's way, with seeded jitter."""

    def __init__(
        self,
        venue: str,
        instruments: Sequence[Instrument],
        market: FlowMarket | TapeMarket,
        balances: dict[str, int],
        latency_ns: int,
        seed: int,
    ) -> None:
        self.venue = venue
        self.duplicates = 0
        self._symbols = {instrument.symbol: instrument for instrument in instruments}
        self._by_id = {instrument.id: instrument for instrument in instruments}
        self._decimals: dict[str, int] = {}
        for instrument in instruments:
            self._decimals[instrument.base] = instrument.base_decimals
            self._decimals[instrument.quote] = instrument.quote_decimals
        self.market = market
        self.account = Account({asset: balances.get(asset, 0) for asset in self._decimals})
        self._latency_ns = latency_ns
        self._random = Random(f"latency/{seed}/{venue}")
        self._due: list[tuple[int, int, int, Request]] = []
        self._count = 0
        self._last_due: dict[int, int] = {}
        self._connections: dict[int, set[str]] = {}
        self._orders: dict[str, OurOrder] = {}
        self._resting: dict[str, Resting] = {}
        self._fills: list[dict[str, Any]] = []
        self._out: list[tuple[int, bytes]] = []

    # --- clients ----------------------------------------------------------------------------------

    def connect(self, connection: int, now_ns: int) -> None:
        """A client is there; it hears books it subscribes to and, here, all of the account."""
        self._connections[connection] = set()

    def disconnect(self, connection: int) -> None:
        """A client is gone; its orders stay."""
        self._connections.pop(connection, None)

    def receive(self, connection: int, payload: bytes, now_ns: int) -> None:
        """A client's frame: answered after the latency; malformed ones with an error."""
        try:
            request = _REQUEST.decode(payload)
        except msgspec.DecodeError as error:
            request = Request("malformed", client_id=str(error))
        jitter = 1.0 + 0.25 * self._random.random()
        self._count += 1
        due_ns = now_ns + int(self._latency_ns * jitter)
        # One connection's frames do not overtake each other.
        due_ns = max(due_ns, self._last_due.get(connection, 0))
        self._last_due[connection] = due_ns
        heapq.heappush(self._due, (due_ns, self._count, connection, request))

    def next_due_ns(self) -> int:
        """When a request takes effect or the market moves next."""
        first = self._due[0][0] if self._due else NEVER
        return min(first, self.market.next_due_ns())

    def advance(self, now_ns: int) -> list[tuple[int, bytes]]:
        """Everything due up to now in order of time: frames by connection."""
        while True:
            due_ns = self._due[0][0] if self._due else NEVER
            market_ns = self.market.next_due_ns()
            if min(due_ns, market_ns) > now_ns:
                break
            if market_ns <= due_ns:
                until = min(due_ns, now_ns)
                self._publish(self.market.advance(until, self._maker_fill))
            else:
                _, _, connection, request = heapq.heappop(self._due)
                self._serve(connection, request, due_ns)
        out, self._out = self._out, []
        return out

    def _publish(self, frames: list[bytes]) -> None:
        """Public frames to every client that subscribed to anything."""
        for connection, symbols in self._connections.items():
            if symbols:
                self._out.extend((connection, frame) for frame in frames)

    def _tell(self, connection: int, **fields: Any) -> None:
        if connection in self._connections:
            self._out.append((connection, msgspec.json.encode(fields)))

    def _tell_all(self, fields: dict[str, Any]) -> None:
        data = msgspec.json.encode(fields)
        self._out.extend((connection, data) for connection in self._connections)

    def _serve(self, connection: int, request: Request, now_ns: int) -> None:
        match request.op:
            case "subscribe":
                self._subscribe(connection, request.symbols, now_ns)
            case "login":
                self._tell(connection, type="account", account=request.account, simulated=True)
            case "order":
                self._place(connection, request, now_ns)
            case "cancel":
                self._cancel(connection, request.client_id, now_ns)
            case "query":
                self._query(connection, request.client_id, now_ns)
            case "open_orders":
                orders = [self._view(o) for o in self._orders.values() if o.state in OPEN]
                self._tell(connection, type="open_orders", orders=orders)
            case "fills":
                fills = [fill for fill in self._fills if fill["fill_seq"] > request.since]
                last = self._fills[-1]["fill_seq"] if self._fills else 0
                self._tell(connection, type="fills", since=request.since, fills=fills, last=last)
            case "balances":
                self._tell(connection, type="balances", balances=self.balances())
            case "audit":
                self._tell(connection, **self.audit())
            case _:
                reason = "unknown op" if request.op != "malformed" else request.client_id
                self._tell(connection, type="error", op=request.op, client_id="", reason=reason)

    def _subscribe(self, connection: int, symbols: list[str], now_ns: int) -> None:
        for symbol in symbols:
            instrument = self._symbols.get(symbol)
            if instrument is None:
                self._error(connection, "subscribe", "", f"no symbol {symbol!r}")
            elif connection in self._connections:
                self._connections[connection].add(symbol)
                self._out.append((connection, self.market.snapshot(instrument, now_ns)))

    def _error(self, connection: int, op: str, client_id: str, reason: str) -> None:
        self._tell(connection, type="error", op=op, client_id=client_id, reason=reason)

    def balances(self) -> dict[str, str]:
        """Totals as decimal strings."""
        return {
            asset: format_decimal(units, self._decimals[asset])
            for asset, units in self.account.totals.items()
        }

    def audit(self) -> dict[str, Any]:
        """Everything an ending comparison needs."""
        return {
            "type": "audit",
            "venue": self.venue,
            "simulated": True,
            "orders": [self._view(order) for order in self._orders.values()],
            "duplicates": self.duplicates,
            "balances": self.balances(),
            "fills": len(self._fills),
        }

    # --- orders -----------------------------------------------------------------------------------

    def _place(self, connection: int, request: Request, now_ns: int) -> None:
        if request.client_id in self._orders:
            self.duplicates += 1
            self._error(connection, "order", request.client_id, "duplicate client_id")
            return
        try:
            order = self._read_order(request)
        except (KeyError, UnitError) as error:
            self._error(connection, "order", request.client_id, str(error.args[0]))
            return
        self._orders[order.client_id] = order
        if request.deadline_ns and now_ns > request.deadline_ns:
            self._end(order, "expired", now_ns, "deadline passed")
            return
        instrument = self._by_id[order.instrument]
        try:
            self.account.require(*self._needs(instrument, order, order.lots))
        except InsufficientBalance:
            self._end(order, "rejected", now_ns, "insufficient balance")
            return
        self._say(order, now_ns)
        for match in self.market.take(
            instrument, order.side, order.ticks, order.lots, order.client_id
        ):
            self._fill(instrument, order, match, False, now_ns)
        self._publish(self.market.changes(instrument, now_ns))
        if order.filled == order.lots:
            self._end(order, "filled", now_ns)
        elif request.tif == "gtc":
            self._rest(instrument, order, now_ns)
        else:
            self._end(order, "cancelled", now_ns, "immediate or cancel")

    def _read_order(self, request: Request) -> OurOrder:
        """Raises KeyError or UnitError saying what is wrong with it."""
        instrument = self._symbols.get(request.symbol)
        if instrument is None:
            raise KeyError(f"no symbol {request.symbol!r}")
        if request.side not in ("buy", "sell") or request.tif not in ("ioc", "gtc"):
            raise KeyError(f"side {request.side!r}, tif {request.tif!r}")
        ticks = instrument.price_to_ticks(request.price)
        lots = instrument.quantity_to_lots(request.qty)
        if ticks < 1 or lots < 1 or not request.client_id:
            raise KeyError("price, qty and client_id must be there and above zero")
        side = BUY if request.side == "buy" else SELL
        return OurOrder(request.client_id, instrument.id, side, ticks, lots, "acknowledged")

    @staticmethod
    def _needs(instrument: Instrument, order: OurOrder, lots: int) -> tuple[str, int]:
        """The asset and units an order needs for `lots`, the fee at its limit included."""
        if order.side == SELL:
            return instrument.base, lots * instrument.base_units_per_lot
        fee = instrument.fee(order.ticks, lots, instrument.taker_fee_ppm)
        return instrument.quote, instrument.notional(order.ticks, lots) + fee

    def _rest(self, instrument: Instrument, order: OurOrder, now_ns: int) -> None:
        left = order.lots - order.filled
        resting = Resting(order.side, order.ticks, left, order.client_id)
        if not self.market.rest(instrument, resting):
            self._end(order, "cancelled", now_ns, "orders do not rest on a tape")
            return
        asset, units = self._needs(instrument, order, left)
        order.locked = units
        self.account.lock(asset, units)
        self._resting[order.client_id] = resting
        order.state = "partly_filled" if order.filled else "acknowledged"
        self._say(order, now_ns)
        self._publish(self.market.changes(instrument, now_ns))

    def _maker_fill(self, instrument: Instrument, match: Match, now_ns: int) -> None:
        """The flow traded with a resting order of ours."""
        order = self._orders[match.owner]
        self._fill(instrument, order, match, True, now_ns)
        if order.filled == order.lots:
            self._release(instrument, order)
            self._end(order, "filled", now_ns)
        else:
            order.state = "partly_filled"
            self._say(order, now_ns)

    def _fill(
        self, instrument: Instrument, order: OurOrder, match: Match, maker: bool, now_ns: int
    ) -> None:
        ppm = instrument.maker_fee_ppm if maker else instrument.taker_fee_ppm
        fee = instrument.fee(match.ticks, match.lots, ppm)
        value = instrument.notional(match.ticks, match.lots)
        order.filled += match.lots
        self.account.move(instrument.base, order.side * match.lots * instrument.base_units_per_lot)
        self.account.move(instrument.quote, -order.side * value - fee)
        number = len(self._fills) + 1
        fill = {
            "type": "fill",
            "fill_seq": number,
            "client_id": order.client_id,
            "symbol": instrument.symbol,
            "trade_id": f"{self.venue}-{number}",
            "side": "buy" if order.side == BUY else "sell",
            "price": instrument.ticks_to_price(match.ticks),
            "qty": instrument.lots_to_quantity(match.lots),
            "fee": format_decimal(fee, instrument.quote_decimals),
            "fee_asset": instrument.quote,
            "maker": maker,
            "ts": now_ns,
        }
        self._fills.append(fill)
        self._tell_all(fill)

    def _release(self, instrument: Instrument, order: OurOrder) -> None:
        if order.locked:
            self.account.unlock(self._needs(instrument, order, 0)[0], order.locked)
            order.locked = 0
        self._resting.pop(order.client_id, None)

    def _cancel(self, connection: int, client_id: str, now_ns: int) -> None:
        resting = self._resting.get(client_id)
        if resting is None:
            self._error(connection, "cancel", client_id, "no such open order")
            return
        order = self._orders[client_id]
        instrument = self._by_id[order.instrument]
        self.market.cancel(instrument, resting)
        self._release(instrument, order)
        self._end(order, "cancelled", now_ns, "cancelled by the client")
        self._publish(self.market.changes(instrument, now_ns))

    def _end(self, order: OurOrder, state: str, now_ns: int, reason: str = "") -> None:
        order.state = state
        self._say(order, now_ns, reason)

    def _say(self, order: OurOrder, now_ns: int, reason: str = "") -> None:
        self._tell_all({**self._view(order), "type": "order", "reason": reason, "ts": now_ns})

    def _view(self, order: OurOrder) -> dict[str, Any]:
        instrument = self._by_id[order.instrument]
        return {
            "client_id": order.client_id,
            "symbol": instrument.symbol,
            "state": order.state,
            "filled": instrument.lots_to_quantity(order.filled),
        }

    def _query(self, connection: int, client_id: str, now_ns: int) -> None:
        order = self._orders.get(client_id)
        if order is None:
            self._tell(connection, type="query", client_id=client_id, found=False, ts=now_ns)
            return
        view = self._view(order)
        self._tell(connection, **{**view, "type": "query", "found": True, "ts": now_ns})
