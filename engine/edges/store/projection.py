"""Journal records to rows of the store's tables: what each durable message means for people.

A `Batch` gathers the rows of many records: what only the last word counts of is kept once. An order's
row comes from several actors' journals, which are read one after another; `stage` says how far along
its life the word is that a row holds, so that an earlier one read later changes nothing.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Table

from engine.config import Config, decimals_of, instruments_of
from engine.edges.store import schema
from engine.messages import (
    BUY,
    AnyMessage,
    BalanceUpdate,
    BookPnL,
    CancelAll,
    Difference,
    Fill,
    GroupIntent,
    InstrumentReloaded,
    KillProgress,
    OrderCommand,
    OrderEvent,
    OrderIntent,
    OrderRefused,
    OrderState,
    PositionUpdate,
    Reason,
    ResolveUnknown,
    RiskLevel,
    SetLimit,
    SetRiskLevel,
    Transfer,
)
from engine.routes import Topology
from engine.units import format_decimal

Row = dict[str, Any]
Key = tuple[str, ...]
INTENDED, APPROVED, TOLD = 1, 2, 3


class Place(NamedTuple):
    """Where a record stands: its actor, epoch, part and number there; and when it was written."""

    actor: str
    epoch: int
    part: int
    record: int
    at_ns: int


class Batch:
    """Rows to be written together."""

    def __init__(self) -> None:
        self.added: dict[Table, list[Row]] = {}
        self.newest: dict[Table, dict[Key, Row]] = {}
        self.intended: dict[str, Row] = {}
        self.stages: dict[str, Row] = {}
        self.records = 0

    def add(self, table: Table, row: Row) -> None:
        """A row that comes once; where it is there already, it stays."""
        self.added.setdefault(table, []).append(row)

    def put(self, table: Table, key: Key, row: Row) -> None:
        """A row of which the last one counts."""
        self.newest.setdefault(table, {})[key] = row


class Projection:
    """Turns the records of one run into rows; see the module."""

    def __init__(self, config: Config, topology: Topology, run: str) -> None:
        self._run = run
        self._config = config
        self._topology = topology
        self._instruments = instruments_of(config)
        self._decimals: dict[str, int] = {}
        self._takers: dict[type, Callable[[Batch, Place, Any], None]] = {
            OrderIntent: self._intent,
            GroupIntent: self._group,
            OrderCommand: self._command,
            OrderRefused: self._refused,
            OrderEvent: self._event,
            Fill: self._fill,
            PositionUpdate: self._position,
            BalanceUpdate: self._balance,
            BookPnL: self._pnl,
            RiskLevel: self._level,
            SetRiskLevel: self._set_level,
            SetLimit: self._set_limit,
            KillProgress: self._kill,
            CancelAll: self._cancel_all,
            ResolveUnknown: self._resolve,
            Difference: self._difference,
            Transfer: self._transfer,
            InstrumentReloaded: self._reload,
        }

    def take(self, batch: Batch, place: Place, message: AnyMessage) -> None:
        """Add what one record means to a batch."""
        batch.records += 1
        taker = self._takers.get(type(message))
        if taker is not None:
            taker(batch, place, message)

    # --- names and numbers -------------------------------------------------------------------------

    def _venue(self, number: int) -> str:
        return self._config.venues[number].name if number >= 0 else "all"

    def _bot(self, number: int) -> str:
        """A bot's name; that of the component where it was another that asked; '' for nobody's."""
        if not 0 < number <= len(self._topology.names):
            return ""
        return self._topology.name(number).removeprefix("bot-")

    def _symbol(self, number: int) -> str:
        known = 0 <= number < len(self._instruments)
        return self._instruments[number].symbol if known else f"unknown {number}"

    def _price(self, number: int, ticks: int) -> Decimal | None:
        known = 0 <= number < len(self._instruments)
        return Decimal(self._instruments[number].ticks_to_price(ticks)) if known else None

    def _quantity(self, number: int, lots: int) -> Decimal | None:
        known = 0 <= number < len(self._instruments)
        return Decimal(self._instruments[number].lots_to_quantity(lots)) if known else None

    def _units(self, asset: str, amount: int) -> Decimal:
        """Units of an asset as a decimal; of one whose decimals nobody named, the units."""
        places = self._decimals.get(asset)
        if places is None:
            try:
                places = decimals_of(self._config, asset)
            except KeyError:
                places = 0
            self._decimals[asset] = places
        return Decimal(format_decimal(amount, places))

    def _placed(self, place: Place, **columns: Any) -> Row:
        return {"run": self._run, **place._asdict(), **columns}

    # --- orders ------------------------------------------------------------------------------------

    def _described(self, order: OrderIntent | OrderEvent, side: int) -> Row:
        return {
            "run": self._run,
            "client_order_id": order.client_order_id,
            "bot": self._bot(order.bot),
            "venue": self._venue(order.venue),
            "symbol": self._symbol(order.instrument),
            "side": "buy" if side == BUY else "sell",
            "price": self._price(order.instrument, order.ticks),
            "quantity": self._quantity(order.instrument, order.lots),
        }

    def _stage(self, batch: Batch, stage: int, row: Row) -> None:
        known = batch.stages.get(row["client_order_id"])
        if known is None or stage >= known["stage"]:
            batch.stages[row["client_order_id"]] = {
                "venue_order_id": "",
                "filled": None,
                **row,
                "stage": stage,
            }

    def _intent(self, batch: Batch, place: Place, intent: OrderIntent, stage: int = 1) -> None:
        row = self._described(intent, intent.side)
        asked = {
            "time_in_force": intent.time_in_force.name,
            "parent": intent.parent,
            "intended_ns": place.at_ns,
        }
        name = intent.client_order_id
        if stage == INTENDED or name not in batch.intended:
            batch.intended[name] = {**row, **asked}
        state = OrderState.INTENDED if stage == INTENDED else OrderState.APPROVED
        words = {"state": state.name, "reason": Reason.NONE.name, "updated_ns": place.at_ns}
        self._stage(batch, stage, {**row, **words})

    def _group(self, batch: Batch, place: Place, group: GroupIntent) -> None:
        for leg in group.legs:
            self._intent(batch, place, leg)

    def _command(self, batch: Batch, place: Place, command: OrderCommand) -> None:
        self._intent(batch, place, command.intent, APPROVED)

    def _refused(self, batch: Batch, place: Place, refused: OrderRefused) -> None:
        instrument = refused.instrument
        known = 0 <= instrument < len(self._instruments)
        subject = {
            "bot": self._bot(refused.bot),
            "venue": self._venue(self._instruments[instrument].venue) if known else None,
            "symbol": self._symbol(instrument),
        }
        words = {"state": OrderState.REJECTED.name, "reason": refused.reason.name}
        name = {"client_order_id": refused.client_order_id}
        if refused.reason is not Reason.DUPLICATE:  # the first of the name lives on
            blank = {"side": None, "price": None, "quantity": None}
            ends = {"run": self._run, "updated_ns": place.at_ns}
            self._stage(batch, TOLD, {**ends, **name, **subject, **blank, **words})
        batch.add(
            schema.RISK_EVENTS,
            self._placed(
                place,
                kind="order refused",
                subject=refused.client_order_id,
                level="",
                reason=refused.reason.name,
                limit_value=Decimal(refused.limit),
                value=Decimal(refused.value),
                who=subject["bot"],
            ),
        )

    def _event(self, batch: Batch, place: Place, event: OrderEvent) -> None:
        words = {
            "state": event.state.name,
            "reason": event.reason.name,
            "filled": self._quantity(event.instrument, event.filled_lots),
        }
        row = self._described(event, event.side)
        if event.reason is not Reason.DUPLICATE:
            ends = {"venue_order_id": event.venue_order_id, "updated_ns": place.at_ns}
            self._stage(batch, TOLD, {**row, **words, **ends})
        named = {key: row[key] for key in ("client_order_id", "bot", "venue", "symbol")}
        batch.add(schema.ORDER_EVENTS, self._placed(place, **named, **words))

    def _fill(self, batch: Batch, place: Place, fill: Fill) -> None:
        instrument = self._instruments[fill.instrument]
        batch.add(
            schema.FILLS,
            {
                "run": self._run,
                "venue": self._venue(fill.venue),
                "trade_id": fill.trade_id,
                "at_ns": place.at_ns,
                "client_order_id": fill.client_order_id,
                "bot": self._bot(fill.bot),
                "symbol": instrument.symbol,
                "side": "buy" if fill.side == BUY else "sell",
                "price": self._price(fill.instrument, fill.ticks),
                "quantity": self._quantity(fill.instrument, fill.lots),
                "notional": self._units(
                    instrument.quote, instrument.notional(fill.ticks, fill.lots)
                ),
                "fee": self._units(fill.fee_asset, fill.fee),
                "fee_asset": fill.fee_asset,
                "maker": fill.maker,
            },
        )

    def _reload(self, batch: Batch, place: Place, message: InstrumentReloaded) -> None:
        """From here on ticks and lots of this instrument mean something else."""
        self._instruments.reload(message.instrument, message.tick_size, message.lot_size)

    # --- money -------------------------------------------------------------------------------------

    def _position(self, batch: Batch, place: Place, update: PositionUpdate) -> None:
        money = {
            name: self._units(update.quote, getattr(update, name))
            for name in ("cost", "realised", "fees")
        }
        key = (update.base, update.quote)
        quantity = self._units(update.base, update.quantity)
        named = {"run": self._run, "base": update.base, "quote": update.quote}
        row = {**named, "quantity": quantity, **money, "at_ns": place.at_ns}
        batch.put(schema.POSITIONS, key, row)

    def _balance(self, batch: Batch, place: Place, update: BalanceUpdate) -> None:
        venue, asset = self._venue(update.venue), update.asset
        row = {
            "run": self._run,
            "venue": venue,
            "asset": asset,
            "total": self._units(asset, update.total),
            "dust": self._units(asset, update.dust),
            "at_ns": place.at_ns,
        }
        batch.put(schema.BALANCES, (venue, asset), row)

    def _pnl(self, batch: Batch, place: Place, book: BookPnL) -> None:
        key = (self._bot(book.bot), self._venue(book.venue), book.base, book.quote)
        named = dict(zip(("bot", "venue", "base", "quote"), key, strict=True))
        money = {
            name: self._units(book.quote, getattr(book, name))
            for name in ("cost realised_fifo realised_average unrealised fees fees_other".split())
        }
        quantity = self._units(book.base, book.quantity)
        row = {"run": self._run, **named, "quantity": quantity, **money, "at_ns": place.at_ns}
        batch.put(schema.PNL, key, row)

    def _transfer(self, batch: Batch, place: Place, transfer: Transfer) -> None:
        batch.add(
            schema.TRANSFERS,
            {
                "run": self._run,
                "venue": self._venue(transfer.venue),
                "transfer_id": transfer.transfer_id,
                "at_ns": place.at_ns,
                "asset": transfer.asset,
                "amount": self._units(transfer.asset, transfer.amount),
                "kind": transfer.kind,
            },
        )

    # --- risk --------------------------------------------------------------------------------------

    def _risk(self, batch: Batch, place: Place, kind: str, **columns: Any) -> None:
        blank = dict.fromkeys(("subject", "level", "reason", "who"), "")
        row = {**blank, "limit_value": None, "value": None, "kind": kind, **columns}
        batch.add(schema.RISK_EVENTS, self._placed(place, **row))

    def _level(self, batch: Batch, place: Place, message: RiskLevel) -> None:
        level, reason = message.level.name, message.reason.name
        self._risk(batch, place, "level", level=level, reason=reason)

    def _set_level(self, batch: Batch, place: Place, message: SetRiskLevel) -> None:
        self._risk(batch, place, "level asked for", level=message.level.name, who=message.who)

    def _set_limit(self, batch: Batch, place: Place, message: SetLimit) -> None:
        about = f"{message.scope.name} {message.subject} {message.name}".replace("  ", " ")
        value = Decimal(message.value) if message.value else None
        self._risk(batch, place, "limit set", subject=about, limit_value=value, who=message.who)

    def _kill(self, batch: Batch, place: Place, message: KillProgress) -> None:
        about = (
            f"{message.resting} resting, {message.unknown} unknown, {message.positions} positions"
        )
        kind = "kill finished" if message.finished else "kill goes on"
        self._risk(batch, place, kind, subject=about, level=message.level.name)

    def _cancel_all(self, batch: Batch, place: Place, message: CancelAll) -> None:
        venue = self._venue(message.venue)
        self._risk(batch, place, "cancel all", subject=venue, who=message.who)

    def _resolve(self, batch: Batch, place: Place, message: ResolveUnknown) -> None:
        state, name = message.state.name, message.client_order_id
        self._risk(batch, place, f"resolved as {state}", subject=name, who=message.who)

    def _difference(self, batch: Batch, place: Place, message: Difference) -> None:
        batch.add(
            schema.DIFFERENCES,
            self._placed(
                place,
                venue=self._venue(message.venue),
                kind=message.kind.name,
                subject=message.subject,
                ours=Decimal(message.ours),
                theirs=Decimal(message.theirs),
                repaired=message.repaired,
            ),
        )
