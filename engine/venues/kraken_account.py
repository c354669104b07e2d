"""What Kraken says of an account, read: orders, fills and balances as news of the gateway.

The executions channel names an order's instrument, side and size only once: they are kept while the
order is open, for so many orders. Sources: https://docs.kraken.com/api/docs/websocket-v2/executions and
/rest-api/get-trade-history
"""

from typing import Final

import msgspec

from engine.messages import BUY, SELL, OrderState, Reason
from engine.venues import kraken_words as words
from engine.venues.holdings import Holdings, lots_seen, ticks_seen
from engine.venues.kraken_words import (
    OrderAnswer,
    Report,
    TradeAnswer,
    orders_budget,
    seconds_ns,
    time_ns,
)
from engine.venues.trading import (
    BalancesSeen,
    FillSeen,
    OrderSeen,
    PrivateNews,
    TransferSeen,
    UsageSeen,
)

KNOWN_MAX: Final = 10_000
SIDES: Final = {"buy": BUY, "sell": SELL}
ENDED: Final = frozenset(
    {OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED, OrderState.EXPIRED}
)

_REPORTS = msgspec.json.Decoder(list[Report])
_BALANCES = msgspec.json.Decoder(dict[str, words.Held])


class Known(msgspec.Struct, array_like=True):
    """What was said of an open order."""

    client_order_id: str
    instrument: int
    side: int
    ticks: int
    lots: int
    filled: int


class KrakenAccount:
    """See the module. Whatever cannot be read raises ValueError or KeyError."""

    def __init__(self, ours: Holdings) -> None:
        self._ours = ours
        self._pairs = {
            name: instrument
            for native, instrument in ours.by_native.items()
            for name in words.pair_names(native)
        }
        self._assets = {name: asset for asset in ours.assets for name in words.asset_names(asset)}
        self.known: dict[str, Known] = {}

    # --- answers of REST --------------------------------------------------------------------------

    def order(self, venue_order_id: str, order: OrderAnswer) -> OrderSeen:
        """An order, open or ended."""
        instrument = self._pairs.get(order.descr.pair)
        state, ticks, lots, filled = words.STATES[order.status], 0, 0, 0
        if instrument is not None:
            ticks, lots = (
                ticks_seen(instrument, order.descr.price),
                lots_seen(instrument, order.vol),
            )
            filled = lots_seen(instrument, order.vol_exec)
        if state is OrderState.ACKNOWLEDGED and filled:
            state = OrderState.PARTLY_FILLED
        return OrderSeen(
            order.cl_ord_id or "",
            venue_order_id,
            -1 if instrument is None else instrument.id,
            SIDES[order.descr.type],
            ticks,
            lots,
            filled,
            state,
            Reason.NONE,
            seconds_ns(order.closetm or order.opentm),
        )

    def fill(self, trade_id: str, row: TradeAnswer) -> FillSeen | None:
        """A row of TradesHistory, which names the order by the venue's id alone; None of another pair."""
        instrument = self._pairs.get(row.pair)
        if instrument is None:
            return None
        return FillSeen(
            "",
            row.ordertxid,
            instrument.id,
            SIDES[row.type],
            instrument.price_to_ticks(row.price),
            instrument.quantity_to_lots(row.vol),
            self._ours.fee(row.fee, instrument.quote),
            instrument.quote,
            trade_id,
            row.maker,
            seconds_ns(row.time),
        )

    def balances(self, result: bytes) -> BalancesSeen:
        """What is held; an asset that is left out is held no more. What earns is not counted."""
        held = {self._assets.get(name, ""): row for name, row in _BALANCES.decode(result).items()}
        rows = []
        for asset in self._ours.assets:
            row = held.get(asset, words.Held("0"))
            total = self._ours.held(asset, row.balance)
            rows.append((asset, total, total - self._ours.held(asset, row.hold_trade)))
        return BalancesSeen(tuple(rows), 0)

    def transfer(self, entry_id: str, entry: words.Entry) -> TransferSeen | None:
        """A row of the ledger; None of an asset that is not ours."""
        asset = self._assets.get(entry.asset)
        if asset is None:
            return None
        amount = self._ours.held(asset, entry.amount) - self._ours.fee(entry.fee, asset)
        return TransferSeen(asset, amount, entry_id, entry.type, seconds_ns(entry.time))

    # --- the executions channel -------------------------------------------------------------------

    def reports(self, data: bytes) -> list[PrivateNews]:
        """What the rows of a frame tell."""
        found: list[PrivateNews] = []
        for report in _REPORTS.decode(data):
            known = self._learn(report)
            if report.ratecount >= 0 and known.instrument >= 0:
                native = self._ours.natives[known.instrument]
                found.append(UsageSeen(orders_budget(native), report.ratecount))
            found += self._told(report, known)
        return found

    def _learn(self, report: Report) -> Known:
        """What is known of an order with this report."""
        known = self.known.get(report.order_id)
        if known is None:
            known = Known(report.cl_ord_id, -1, 0, 0, 0, 0)
            if len(self.known) >= KNOWN_MAX:
                del self.known[next(iter(self.known))]
            self.known[report.order_id] = known
        known.client_order_id = report.cl_ord_id or known.client_order_id
        if report.symbol in self._ours.by_native:
            known.instrument = self._ours.by_native[report.symbol].id
        if report.side:
            known.side = SIDES[report.side]
        if known.instrument >= 0:
            instrument = self._ours.by_id[known.instrument]
            if price := _text(report.limit_price):
                known.ticks = ticks_seen(instrument, price)
            if quantity := _text(report.order_qty):
                known.lots = lots_seen(instrument, quantity)
            if filled := _text(report.cum_qty):
                known.filled = lots_seen(instrument, filled)
        return known

    def _told(self, report: Report, known: Known) -> list[PrivateNews]:
        state = words.STATES.get(report.order_status)
        if state is None:  # 'pending_new' is not on the book yet
            return []
        at_ns = time_ns(report.timestamp) if report.timestamp else 0
        found: list[PrivateNews] = []
        if report.exec_type == "trade" and known.instrument >= 0:
            found.append(self._fill(report, known, at_ns))
        if state is OrderState.FILLED:
            known.filled = max(known.filled, known.lots)
        found.append(
            OrderSeen(
                known.client_order_id,
                report.order_id,
                known.instrument,
                known.side,
                known.ticks,
                known.lots,
                known.filled,
                state,
                Reason.NONE,
                at_ns,
            )
        )
        if state in ENDED:
            del self.known[report.order_id]
        return found

    def _fill(self, report: Report, known: Known, at_ns: int) -> FillSeen:
        instrument = self._ours.by_id[known.instrument]
        asset, fee = instrument.quote, 0
        for part in report.fees:
            asset = self._assets.get(part.asset, part.asset)
            fee = self._ours.fee(_text(part.qty), asset)
        return FillSeen(
            known.client_order_id,
            report.order_id,
            instrument.id,
            known.side,
            instrument.price_to_ticks(_text(report.last_price)),
            instrument.quantity_to_lots(_text(report.last_qty)),
            fee,
            asset,
            report.exec_id,
            report.liquidity_ind == "m",
            at_ns,
        )


def _text(raw: msgspec.Raw) -> str:
    """A JSON number's digits as they came; '' where there is none."""
    return bytes(raw).decode("ascii", "replace").strip('"')
