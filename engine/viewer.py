"""Messages as people and programs are shown them: every view is made here and nowhere else."""

from engine.instruments import FOREIGN_DECIMALS, Instrument, Instruments
from engine.messages import (
    BUY,
    BalanceUpdate,
    BookPnL,
    Depth,
    Difference,
    DifferenceKind,
    Equity,
    Fill,
    KillProgress,
    LimitChanged,
    Opportunity,
    OrderEvent,
    OrderRefused,
    PnL,
    PositionUpdate,
    Reason,
    VenueStatus,
)
from engine.units import format_decimal
from engine.views import (
    BalanceView,
    BookPnLView,
    BookView,
    DifferenceView,
    EquityView,
    FillView,
    KillView,
    Level,
    LimitView,
    OpportunityView,
    OrderView,
    PnLView,
    PositionView,
    RefusalView,
    VenueView,
)


def side_name(side: int) -> str:
    """'buy' or 'sell'."""
    return "buy" if side == BUY else "sell"


class Viewer:
    """Turns messages into views; knows the instruments and which venues are simulated."""

    def __init__(self, instruments: Instruments, bots: dict[int, str]) -> None:
        self._instruments = instruments
        self._bots = bots

    def _decimals(self, asset: str) -> int:
        """How an asset is counted; fees and balances may be of one that no instrument has."""
        known = self._instruments.known(asset)
        return self._instruments.decimals(asset) if known else FOREIGN_DECIMALS

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
        decimals = self._decimals(fill.fee_asset)
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
            limit=self._measure(instrument, refused, refused.limit),
            value=self._measure(instrument, refused, refused.value),
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

    def balance(self, update: BalanceUpdate) -> BalanceView:
        """A balance."""
        decimals = self._decimals(update.asset)
        return BalanceView(
            venue=self._instruments.venues[update.venue],
            asset=update.asset,
            total=format_decimal(update.total, decimals),
            dust=format_decimal(update.dust, decimals),
            simulated=True,
        )

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

    def book_pnl(self, pnl: BookPnL) -> BookPnLView:
        """Profit and loss of one bot on one venue with one pair."""
        base, quote = (self._instruments.decimals(asset) for asset in (pnl.base, pnl.quote))
        return BookPnLView(
            bot=self._bots.get(pnl.bot, str(pnl.bot)),
            venue=self._instruments.venues[pnl.venue],
            symbol=f"{pnl.base}/{pnl.quote}",
            quantity=format_decimal(pnl.quantity, base),
            cost=format_decimal(pnl.cost, quote),
            realised_fifo=format_decimal(pnl.realised_fifo, quote),
            realised_average=format_decimal(pnl.realised_average, quote),
            unrealised=format_decimal(pnl.unrealised, quote),
            fees=format_decimal(pnl.fees, quote),
            fees_other=format_decimal(pnl.fees_other, quote),
            simulated=True,
        )

    def equity(self, worth: Equity) -> EquityView:
        """What everything is worth."""
        decimals = self._instruments.decimals(worth.currency)
        today = worth.equity - worth.opening - worth.transfers
        return EquityView(
            currency=worth.currency,
            equity=format_decimal(worth.equity, decimals),
            opening=format_decimal(worth.opening, decimals),
            transfers=format_decimal(worth.transfers, decimals),
            today=format_decimal(today, decimals),
            peak=format_decimal(worth.peak, decimals),
            mark_age_ms=None if worth.unmarked else worth.stale_ns / 1e6,
            unmarked=worth.unmarked.split(",") if worth.unmarked else [],
            simulated=True,
        )

    def venue(self, status: VenueStatus, differences: int) -> VenueView:
        """A venue's status, and how many differences its last comparison found."""
        counted = {
            name: getattr(status, name)
            for name in VenueView.__struct_fields__
            if name not in ("venue", "differences", "circuit")
        }
        return VenueView(
            venue=self._instruments.venues[status.venue],
            differences=differences,
            circuit=status.circuit.name,
            **counted,
        )

    def difference(self, found: Difference) -> DifferenceView:
        """A difference; what is of an asset is shown in it, all else are counts and lots."""
        of_asset = found.kind in (DifferenceKind.BALANCE_DRIFT, DifferenceKind.POSITION_DRIFT)
        decimals = self._decimals(found.subject) if of_asset else 0
        return DifferenceView(
            venue=self._instruments.venues[found.venue],
            kind=found.kind.name,
            subject=found.subject,
            ours=format_decimal(found.ours, decimals),
            theirs=format_decimal(found.theirs, decimals),
            repaired=found.repaired,
        )

    def kill(self, told: KillProgress) -> KillView:
        """How far a kill is."""
        return KillView(
            resting=told.resting,
            unknown=told.unknown,
            positions=told.positions,
            finished=told.finished,
        )

    def limit(self, changed: LimitChanged) -> LimitView:
        """A change of a limit."""
        return LimitView(
            scope=changed.scope.name,
            subject=changed.subject,
            name=changed.name,
            value=changed.value,
            who=changed.who,
            accepted=changed.accepted,
            text=changed.text,
        )

    def _measure(self, instrument: Instrument | None, refused: OrderRefused, value: int) -> str:
        """A refusal's limit or value as people write it; counts, ns and basis points stay numbers."""
        if refused.asset:
            return format_decimal(value, self._decimals(refused.asset))
        rule = refused.reason
        if instrument is None:
            return str(value)
        if rule in (Reason.ORDER_NOTIONAL, Reason.MIN_NOTIONAL):
            return format_decimal(value, instrument.quote_decimals)
        if rule is Reason.POSITION:
            return format_decimal(value, instrument.base_decimals)
        if rule is Reason.ORDER_LOTS:
            return instrument.lots_to_quantity(value)
        if rule in (Reason.OFF_GRID, Reason.SELF_CROSS):
            return instrument.ticks_to_price(value)
        return str(value)
