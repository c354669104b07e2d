"""The orders a venue has from us: sent, answered, doubted, resolved. Every step is a message.

An order that is not answered in time, or whose venue actor died, is UNKNOWN: it may exist. It stays
so until the exchange says what became of it. 'Not found' counts only when the exchange's clock has
passed the order's deadline and a margin: before, the order may still be on its way.
"""

from collections.abc import Callable

import msgspec

from engine.messages import (
    AnyMessage,
    CancelCommand,
    Fill,
    OrderCommand,
    OrderEvent,
    OrderIntent,
    OrderRequest,
    OrderState,
    Reason,
    RequestRefused,
    SendFrame,
)
from engine.orders.lifecycle import FINAL, IllegalTransition, advance
from engine.venues.handler import FillNews, Handler, OrderNews, QueryNews

FINISHED_MAX = 10_000
TRADES_MAX = 10_000
DEADLINE_MARGIN_NS = 200_000_000
CONNECTION = 0

Messages = list[AnyMessage]


class Order(msgspec.Struct):
    """One order of ours at the venue; `filled_lots` is what the venue last said of its total.

    `told_lots` is how much of that came as fills: where it is less in the end, fills were lost.
    """

    intent: OrderIntent
    state: OrderState
    deadline_ns: int
    doubt_at_ns: int
    filled_lots: int = 0
    told_lots: int = 0


class DeskState(msgspec.Struct):
    """The whole state, for a snapshot. `finished` maps ids to their bots.

    `fill_number` is that of the last fill before which none is missing.
    """

    open: dict[str, Order]
    finished: dict[str, int]
    trades: dict[str, None]
    fill_number: int
    illegal: int
    risk_epoch: int


class Desk:
    """All orders of one venue. `stamp` gives the numbers of the component's messages."""

    def __init__(
        self, sender: int, venue: int, handler: Handler, stamp: Callable[[], int], timeout_ns: int
    ) -> None:
        self.open: dict[str, Order] = {}
        self.fill_number = 0
        self.illegal = 0
        self._sender = sender
        self._venue = venue
        self._handler = handler
        self._stamp = stamp
        self._timeout_ns = timeout_ns
        self._risk_epoch = 0
        self._finished: dict[str, int] = {}
        self._trades: dict[str, None] = {}

    def has_open(self, instrument: int) -> bool:
        """Whether an order of an instrument is not final."""
        return any(order.intent.instrument == instrument for order in self.open.values())

    @property
    def unknown(self) -> int:
        """How many orders may or may not exist."""
        return sum(order.state is OrderState.UNKNOWN for order in self.open.values())

    def place(
        self, command: OrderCommand, now_ns: int, deadline_ns: int, refusal: Reason
    ) -> Messages:
        """An order that the guard let through: SENT and its request, or REJECTED and why.

        `refusal` is the venue's own reason not to send it, if it has one.
        """
        intent = command.intent
        reason = refusal or self._refusal(command, now_ns)
        self._risk_epoch = max(self._risk_epoch, command.epoch)
        if reason:
            rejected = Order(intent, OrderState.REJECTED, 0, 0)
            return [self._event(rejected, command.received_ns, reason)]
        order = Order(intent, OrderState.SENT, deadline_ns, now_ns + self._timeout_ns)
        self.open[intent.client_order_id] = order
        payload = self._handler.order(intent, deadline_ns)
        return [
            self._event(order, command.received_ns, Reason.NONE),
            self._request(
                command.received_ns, intent.client_order_id, True, intent.expires_ns, payload
            ),
        ]

    def _refusal(self, command: OrderCommand, now_ns: int) -> Reason:
        """A stale, late or repeated command is never sent."""
        name = command.intent.client_order_id
        if command.epoch < self._risk_epoch:
            return Reason.STALE_EPOCH
        if now_ns > command.intent.expires_ns:
            return Reason.EXPIRED
        if name in self.open or name in self._finished:
            return Reason.DUPLICATE
        return Reason.NONE

    def _request(
        self, received_ns: int, name: str, raises: bool, expires_ns: int, payload: bytes
    ) -> OrderRequest:
        return OrderRequest(
            self._sender,
            self._stamp(),
            received_ns,
            self._venue,
            CONNECTION,
            name,
            raises,
            expires_ns,
            payload,
        )

    def cancel(self, command: CancelCommand) -> Messages:
        """Cancels need no permission and do not expire."""
        name, received_ns = command.client_order_id, command.received_ns
        moved = self._move(name, OrderState.CANCELLING, received_ns)
        if moved:
            payload = self._handler.cancel(name)
            moved.append(self._request(received_ns, name, False, 0, payload))
        return moved

    def refused(self, message: RequestRefused) -> Messages:
        """The gate let nothing out: an order so refused never existed at the venue."""
        order = self.open.get(message.client_order_id)
        if order is None or order.state is not OrderState.SENT:
            return []
        name = message.client_order_id
        return self._move(name, OrderState.REJECTED, message.received_ns, -1, message.reason)

    def moved(self, news: OrderNews, received_ns: int) -> Messages:
        """The venue says where an order is."""
        name = news.client_order_id
        return self._move(name, news.state, received_ns, news.filled_lots, news.reason)

    def filled(self, news: FillNews, received_ns: int) -> Messages:
        """A fill, once: a trade id seen before changes nothing.

        Fills are numbered without a hole; where one is missing, all since it are asked for.
        """
        asked: Messages = []
        if news.number == self.fill_number + 1:
            self.fill_number = news.number
        elif news.number > self.fill_number:
            asked.append(self._send(self._handler.fills_since(self.fill_number)))
        if news.trade_id in self._trades:
            return []
        self._trades[news.trade_id] = None
        if len(self._trades) > TRADES_MAX:
            del self._trades[next(iter(self._trades))]
        name = news.client_order_id
        order = self.open.get(name)
        if order is not None:
            order.told_lots += news.lots
        bot = order.intent.bot if order is not None else self._finished.get(name, 0)
        return [
            *asked,
            Fill(
                self._sender,
                self._stamp(),
                received_ns,
                name,
                bot,
                self._venue,
                news.instrument,
                news.side,
                news.ticks,
                news.lots,
                news.fee,
                news.fee_asset,
                news.trade_id,
                news.maker,
            ),
        ]

    def answered(self, news: QueryNews, received_ns: int) -> Messages:
        """What a query's answer proves, if it proves anything yet."""
        name = news.client_order_id
        order = self.open.get(name)
        if order is None:
            return []
        if news.found:
            if news.state is order.state:
                return []
            return self._move(name, news.state, received_ns, news.filled_lots)
        if news.venue_ns <= order.deadline_ns + DEADLINE_MARGIN_NS:
            return []
        return self._move(name, OrderState.REJECTED, received_ns, -1, Reason.NEVER_ARRIVED)

    def doubt_all(self) -> Messages:
        """Nobody knows what became of an order whose answer may have been lost."""
        messages: Messages = []
        for name, order in list(self.open.items()):
            if order.state is not OrderState.UNKNOWN:
                messages += self._move(name, OrderState.UNKNOWN, 0)
        return messages

    def ask_all(self) -> Messages:
        """Fills since the last known, then what became of every open order."""
        payloads = [self._handler.fills_since(self.fill_number)]
        payloads += [self._handler.query(name) for name in self.open]
        return [self._send(payload) for payload in payloads]

    def chase(self, now_ns: int, connected: bool) -> Messages:
        """Doubt and ask for what was not answered in time; again each timeout."""
        messages: Messages = []
        for name, order in list(self.open.items()):
            waits = order.state in (OrderState.SENT, OrderState.UNKNOWN, OrderState.CANCELLING)
            if not waits or now_ns < order.doubt_at_ns:
                continue
            order.doubt_at_ns = now_ns + self._timeout_ns
            if order.state is not OrderState.UNKNOWN:
                messages += self._move(name, OrderState.UNKNOWN, 0)
            if connected:
                # Fills first: the answer to the query then finds them told.
                messages.append(self._send(self._handler.fills_since(self.fill_number)))
                messages.append(self._send(self._handler.query(name)))
        return messages

    def _send(self, payload: bytes) -> SendFrame:
        return SendFrame(self._sender, self._stamp(), 0, self._venue, CONNECTION, payload)

    def _move(
        self,
        name: str,
        state: OrderState,
        received_ns: int,
        filled_lots: int = -1,
        reason: Reason = Reason.NONE,
    ) -> Messages:
        """A step in an order's life; nothing when it is not open or the step is illegal."""
        order = self.open.get(name)
        if order is None:
            return []
        try:
            order.state = advance(order.state, state)
        except IllegalTransition:
            self.illegal += 1
            return []
        if filled_lots >= 0:
            order.filled_lots = filled_lots
        if state in FINAL:
            del self.open[name]
            self._finished[name] = order.intent.bot
            if len(self._finished) > FINISHED_MAX:
                del self._finished[next(iter(self._finished))]
        event = self._event(order, received_ns, reason)
        if state in FINAL and order.filled_lots > order.told_lots:
            return [event, self._send(self._handler.fills_since(self.fill_number))]
        return [event]

    def _event(self, order: Order, received_ns: int, reason: Reason) -> OrderEvent:
        intent = order.intent
        return OrderEvent(
            self._sender,
            self._stamp(),
            received_ns,
            intent.client_order_id,
            intent.bot,
            intent.venue,
            intent.instrument,
            intent.side,
            intent.ticks,
            intent.lots,
            order.filled_lots,
            order.state,
            reason,
        )

    def snapshot(self) -> DeskState:
        """The whole state."""
        return DeskState(
            self.open,
            self._finished,
            self._trades,
            self.fill_number,
            self.illegal,
            self._risk_epoch,
        )

    def restore(self, state: DeskState) -> None:
        """Become what `snapshot` gave."""
        self.open = state.open
        self._finished = state.finished
        self._trades = state.trades
        self.fill_number = state.fill_number
        self.illegal = state.illegal
        self._risk_epoch = state.risk_epoch
