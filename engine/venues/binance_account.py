"""What Binance says of an account, read: orders, fills and balances as news of the gateway.

Answers: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints
Events: https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream
"""

from typing import Final

import msgspec

from engine.messages import BUY, SELL, Reason
from engine.venues import binance_words as words
from engine.venues.binance_words import MS, OrderAnswer, TradeAnswer
from engine.venues.holdings import Holdings, lots_seen, ticks_seen
from engine.venues.trading import (
    BalancesSeen,
    ClockSeen,
    FillSeen,
    OpenOrdersSeen,
    OrderSeen,
    PrivateNews,
    TransferSeen,
)

SIDES: Final = {"BUY": BUY, "SELL": SELL}

_ORDER = msgspec.json.Decoder(OrderAnswer)
_ORDERS = msgspec.json.Decoder(list[OrderAnswer])
_CANCELLED = msgspec.json.Decoder(list[msgspec.Raw])
_LISTED = msgspec.json.Decoder(words.ListPart).decode
_ACCOUNT = msgspec.json.Decoder(words.AccountAnswer)
_TIME = msgspec.json.Decoder(words.TimeAnswer)


class BinanceAccount:
    """See the module. Whatever cannot be read raises ValueError or KeyError."""

    def __init__(self, ours: Holdings) -> None:
        self._ours = ours

    # --- answers ----------------------------------------------------------------------------------

    def placed(self, client_order_id: str, payload: bytes) -> list[PrivateNews]:
        """An order with the fills that it made at once, as a taker."""
        answer = _ORDER.decode(payload)
        instrument = self._ours.by_native[answer.symbol]
        at_ns = answer.transactTime * MS
        fills: list[PrivateNews] = [
            FillSeen(
                client_order_id,
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
        return [*fills, self._seen(answer, client_order_id)]

    def order(self, client_order_id: str, payload: bytes) -> list[PrivateNews]:
        """An order, as a cancel or a question answers it."""
        answer = _ORDER.decode(payload)
        return [self._seen(answer, client_order_id)]

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

    def all_cancelled(self, client_order_id: str, payload: bytes) -> list[PrivateNews]:
        """The orders that were cancelled together; lists of them stand between."""
        rows = [row for row in _CANCELLED.decode(payload) if not _LISTED(row).contingencyType]
        return [self._seen(_ORDER.decode(row)) for row in rows]

    def open_orders(self, client_order_id: str, payload: bytes) -> list[PrivateNews]:
        """All that rest."""
        orders = tuple(self._seen(order) for order in _ORDERS.decode(payload))
        return [OpenOrdersSeen(orders, True, 0)]

    def fill(self, row: TradeAnswer) -> FillSeen:
        """A row of myTrades, which names the order by the venue's id alone."""
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

    def balances(self, client_order_id: str, payload: bytes) -> list[PrivateNews]:
        """What is held; an asset that is left out is held no more."""
        answer = _ACCOUNT.decode(payload)
        held = {row.asset: row for row in answer.balances}
        rows = []
        for asset in self._ours.assets:
            row = held.get(asset, words.BalanceAnswer(asset, "0", "0"))
            free = self._ours.held(asset, row.free)
            rows.append((asset, free + self._ours.held(asset, row.locked), free))
        return [BalancesSeen(tuple(rows), answer.updateTime * MS)]

    def clock(self, client_order_id: str, payload: bytes) -> list[PrivateNews]:
        """The venue's time."""
        return [ClockSeen(_TIME.decode(payload).serverTime * MS)]

    # --- events -----------------------------------------------------------------------------------

    def event(self, event: words.Event) -> list[PrivateNews]:
        """What an event of the user data stream tells; nothing for one that is not of our account."""
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
