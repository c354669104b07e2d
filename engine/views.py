"""What people and programs are shown: object-shaped, named, every amount a decimal string.

Derived from messages and instruments by code, never the other way round. Times are ages in ms or
ns of the engine's clock; `simulated` says what is not real money.
"""

import msgspec

from engine.instruments import Instrument, Instruments
from engine.messages import (
    BUY,
    Depth,
    Fill,
    Opportunity,
    OrderEvent,
    OrderRefused,
    PnL,
    PositionUpdate,
    Reason,
    VenueStatus,
)
from engine.units import format_decimal


class View(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all views: JSON objects."""


class Level(View, frozen=True, kw_only=True):
    """One price level of a book."""

    price: str
    quantity: str


class BookView(View, frozen=True, kw_only=True):
    """The best levels of one instrument; without levels unless `state` is LIVE."""

    venue: str
    symbol: str
    state: str
    bids: list[Level]
    asks: list[Level]
    received_ns: int
    simulated: bool


class OpportunityView(View, frozen=True, kw_only=True):
    """A crossing: live while `lifetime_ms` is null."""

    number: int
    symbol: str
    buy_venue: str
    buy_price: str
    sell_venue: str
    sell_price: str
    quantity: str
    profit: str
    profit_asset: str
    seen_ns: int
    lifetime_ms: float | None
    simulated: bool


class OrderView(View, frozen=True, kw_only=True):
    """An order's last known state; `reason` says why it ended if it did badly."""

    client_order_id: str
    bot: str
    venue: str
    symbol: str
    side: str
    price: str
    quantity: str
    filled: str
    state: str
    reason: str
    simulated: bool


class FillView(View, frozen=True, kw_only=True):
    """One fill of ours."""

    trade_id: str
    client_order_id: str
    venue: str
    symbol: str
    side: str
    price: str
    quantity: str
    fee: str
    fee_asset: str
    maker: bool
    simulated: bool


class RefusalView(View, frozen=True, kw_only=True):
    """An intent that the RiskGuard refused: the rule, its limit and the value that broke it.

    Notionals, positions, quantities and prices are amounts; ages are in ns, distances in bps.
    """

    client_order_id: str
    bot: str
    symbol: str
    rule: str
    limit: str
    value: str


class PositionView(View, frozen=True, kw_only=True):
    """What is held of a base asset from trading, net over venues."""

    base: str
    quote: str
    quantity: str
    cost: str
    realised: str
    fees: str
    simulated: bool


class BalanceView(View, frozen=True, kw_only=True):
    """What the Ledger holds on a venue."""

    venue: str
    asset: str
    total: str
    simulated: bool


class PnLView(View, frozen=True, kw_only=True):
    """Profit and loss in a quote asset."""

    quote: str
    realised: str
    unrealised: str
    fees: str
    equity: str
    simulated: bool


class VenueView(View, frozen=True, kw_only=True):
    """A venue's connection and what it has counted; see `VenueStatus`.

    `verifies` says what of its books can be checked at all.
    """

    venue: str
    connected: bool
    simulated: bool
    frames: int
    gaps: int
    checksums: int
    checksums_failed: int
    crossed: int
    resyncs: int
    malformed: int
    unchecked: int
    duplicates: int
    off_grid: int
    snapshots_old: int
    switches: int
    requests_failed: int
    books_live: int
    verifies: str
    orders_open: int
    orders_unknown: int


class RiskView(View, frozen=True, kw_only=True):
    """The RiskGuard's level and the kill switch."""

    level: str
    kill_switch: bool


class LatencyView(View, frozen=True, kw_only=True):
    """Percentiles of one stage, in microseconds."""

    count: int
    p50_us: float
    p99_us: float
    max_us: float


class ActorView(View, frozen=True, kw_only=True):
    """An actor as its page says."""

    actor: str
    components: list[str]
    state: str
    epoch: int
    pid: int
    restarts: int
    heartbeat_age_ms: float
    messages_in: int
    messages_out: int
    queue_depth: int
    queue_high: int
    conflated: int
    duplicates: int
    decode_errors: int
    memory_kb: int
    latency: dict[str, LatencyView]


class HealthView(View, frozen=True, kw_only=True):
    """Whether the engine is well, and in which mode it trades."""

    status: str
    mode: str
    run: str
    runtime: str
    actors_running: int
    actors: int
    kill_switch: bool
    uptime_s: float


class StateView(View, frozen=True, kw_only=True):
    """Every section at once."""

    health: HealthView
    actors: list[ActorView]
    venues: list[VenueView]
    books: list[BookView]
    opportunities: list[OpportunityView]
    orders: list[OrderView]
    fills: list[FillView]
    refusals: list[RefusalView]
    positions: list[PositionView]
    balances: list[BalanceView]
    pnl: list[PnLView]
    risk: RiskView


class Problem(View, frozen=True, kw_only=True):
    """An RFC 9457 problem: `field` names what was wrong in the request."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    field: str = ""


def side_name(side: int) -> str:
    """'buy' or 'sell'."""
    return "buy" if side == BUY else "sell"


class Viewer:
    """Turns messages into views; knows the instruments and which venues are simulated."""

    def __init__(self, instruments: Instruments, bots: dict[int, str]) -> None:
        self._instruments = instruments
        self._bots = bots

    def venue_of(self, instrument: int) -> int:
        """The venue an instrument is traded on."""
        return self._instruments[instrument].venue

    def book(self, depth: Depth, levels: int, simulated: bool) -> BookView:
        """A depth's best levels."""
        instrument = self._instruments[depth.instrument]
        numbers = memoryview(depth.pairs).cast("q").tolist()
        half = 2 * depth.levels

        def side(start: int) -> list[Level]:
            return [
                Level(
                    price=instrument.ticks_to_price(numbers[at]),
                    quantity=instrument.lots_to_quantity(numbers[at + 1]),
                )
                for at in range(start, start + 2 * min(levels, depth.levels), 2)
                if numbers[at + 1]
            ]

        return BookView(
            venue=self._instruments.venues[instrument.venue],
            symbol=instrument.symbol,
            state=depth.state.name,
            bids=side(0),
            asks=side(half),
            received_ns=depth.received_ns,
            simulated=simulated,
        )

    def opportunity(self, seen: Opportunity, lifetime_ns: int | None) -> OpportunityView:
        """An opportunity, live or ended."""
        buy, sell = (
            self._instruments[seen.buy_instrument],
            self._instruments[seen.sell_instrument],
        )
        venues = self._instruments.venues
        return OpportunityView(
            number=seen.opportunity,
            symbol=buy.symbol,
            buy_venue=venues[buy.venue],
            buy_price=buy.ticks_to_price(seen.buy_ticks),
            sell_venue=venues[sell.venue],
            sell_price=sell.ticks_to_price(seen.sell_ticks),
            quantity=buy.lots_to_quantity(seen.buy_lots),
            profit=format_decimal(seen.profit, buy.quote_decimals),
            profit_asset=buy.quote,
            seen_ns=seen.received_ns,
            lifetime_ms=None if lifetime_ns is None else lifetime_ns / 1e6,
            simulated=True,
        )

    def order(self, event: OrderEvent) -> OrderView:
        """An order by its last event."""
        instrument = self._instruments[event.instrument]
        return OrderView(
            client_order_id=event.client_order_id,
            bot=self._bots.get(event.bot, str(event.bot)),
            venue=self._instruments.venues[event.venue],
            symbol=instrument.symbol,
            side=side_name(event.side),
            price=instrument.ticks_to_price(event.ticks),
            quantity=instrument.lots_to_quantity(event.lots),
            filled=instrument.lots_to_quantity(event.filled_lots),
            state=event.state.name,
            reason="" if not event.reason else event.reason.name,
            simulated=True,
        )

    def fill(self, fill: Fill) -> FillView:
        """A fill."""
        instrument = self._instruments[fill.instrument]
        decimals = self._instruments.decimals(fill.fee_asset)
        return FillView(
            trade_id=fill.trade_id,
            client_order_id=fill.client_order_id,
            venue=self._instruments.venues[fill.venue],
            symbol=instrument.symbol,
            side=side_name(fill.side),
            price=instrument.ticks_to_price(fill.ticks),
            quantity=instrument.lots_to_quantity(fill.lots),
            fee=format_decimal(fill.fee, decimals),
            fee_asset=fill.fee_asset,
            maker=fill.maker,
            simulated=True,
        )

    def refusal(self, refused: OrderRefused) -> RefusalView:
        """A refusal; what it names may be no instrument at all."""
        known = 0 <= refused.instrument < len(self._instruments)
        instrument = self._instruments[refused.instrument] if known else None
        return RefusalView(
            client_order_id=refused.client_order_id,
            bot=self._bots.get(refused.bot, str(refused.bot)),
            symbol="?" if instrument is None else instrument.symbol,
            rule=refused.reason.name,
            limit=_measure(instrument, refused.reason, refused.limit),
            value=_measure(instrument, refused.reason, refused.value),
        )

    def position(self, update: PositionUpdate) -> PositionView:
        """A position."""
        base, quote = (self._instruments.decimals(a) for a in (update.base, update.quote))
        return PositionView(
            base=update.base,
            quote=update.quote,
            quantity=format_decimal(update.quantity, base),
            cost=format_decimal(update.cost, quote),
            realised=format_decimal(update.realised, quote),
            fees=format_decimal(update.fees, quote),
            simulated=True,
        )

    def balance(self, venue: int, asset: str, total: int) -> BalanceView:
        """A balance."""
        amount = format_decimal(total, self._instruments.decimals(asset))
        name = self._instruments.venues[venue]
        return BalanceView(venue=name, asset=asset, total=amount, simulated=True)

    def pnl(self, pnl: PnL) -> PnLView:
        """Profit and loss."""
        decimals = self._instruments.decimals(pnl.quote)
        return PnLView(
            quote=pnl.quote,
            realised=format_decimal(pnl.realised, decimals),
            unrealised=format_decimal(pnl.unrealised, decimals),
            fees=format_decimal(pnl.fees, decimals),
            equity=format_decimal(pnl.equity, decimals),
            simulated=True,
        )

    def venue(self, status: VenueStatus) -> VenueView:
        """A venue's status."""
        counted = {
            name: getattr(status, name) for name in VenueView.__struct_fields__ if name != "venue"
        }
        return VenueView(venue=self._instruments.venues[status.venue], **counted)


def _measure(instrument: Instrument | None, rule: Reason, value: int) -> str:
    """A refusal's limit or value as people write it; counts, ns and basis points stay numbers."""
    if instrument is None:
        return str(value)
    if rule in (Reason.ORDER_NOTIONAL, Reason.MIN_NOTIONAL):
        return format_decimal(value, instrument.quote_decimals)
    if rule is Reason.POSITION:
        return format_decimal(value, instrument.base_decimals)
    if rule is Reason.ORDER_LOTS:
        return instrument.lots_to_quantity(value)
    return instrument.ticks_to_price(value) if rule is Reason.OFF_GRID else str(value)
