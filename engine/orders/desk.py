"""The orders that a venue has from us: what is known of each.

It decides nothing. Each report of the venue is held against what is known: an older one changes
nothing, one that cannot follow is counted as illegal, and every step is a message.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from engine.messages import (
    AnyMessage,
    Difference,
    DifferenceKind,
    OrderEvent,
    OrderIntent,
    OrderState,
    Reason,
    TimeInForce,
)
from engine.orders.lifecycle import FINAL, Finished, IllegalTransition, Order, advance
from engine.venues.trading import OrderRef, OrderSeen

FINISHED_MAX = 10_000
FINISHED_WALL = 50_000

NAMELESS = "~"
"""How the name of an adopted order begins that has no client id: its number at the venue follows."""

Messages = list[AnyMessage]
Value = TypeVar("Value")


class DeskState(msgspec.Struct):
    """The whole state, for a snapshot."""

    open: dict[str, Order]
    finished: dict[str, Finished]
    owed: dict[str, int]
    names: dict[str, str]
    illegal: int
    shed: int


class Desk:
    """All orders of one venue. `stamp` gives the numbers of the component's messages.

    `owed` maps final orders to the instruments of fills that are missing. `shed` counts what had to be
    forgotten early. `now_ns` and `received_ns` are the times of the message at hand.
    """

    def __init__(self, sender: int, venue: int, stamp: Callable[[], int]) -> None:
        self.open: dict[str, Order] = {}
        self.finished: dict[str, Finished] = {}
        self.owed: dict[str, int] = {}
        self.illegal = 0
        self.shed = 0
        self.now_ns = 0
        self.received_ns = 0
        self.sender = sender
        self.venue = venue
        self.stamp = stamp
        self._names: dict[str, str] = {}

    def has_open(self, instrument: int) -> bool:
        """Whether an order of an instrument is not final."""
        return any(order.intent.instrument == instrument for order in self.open.values())

    @property
    def unknown(self) -> int:
        """How many orders may or may not exist."""
        return sum(order.state is OrderState.UNKNOWN for order in self.open.values())

    def knows(self, name: str) -> bool:
        """Whether an order was here, open or final."""
        return name in self.open or name in self.finished

    def placed(self, name: str) -> bool:
        """Whether an order was placed from here, not adopted."""
        order, final = self.open.get(name), self.finished.get(name)
        if order is not None:
            return order.intent.expires_ns > 0
        return final is not None and final.expires_ns > 0

    def ref(self, name: str) -> OrderRef:
        """How an open order is named at the venue."""
        order = self.open[name]
        client_id = "" if name.startswith(NAMELESS) else name
        return OrderRef(client_id, order.venue_id, order.intent.instrument)

    def learn(self, venue_id: str, name: str) -> None:
        """By which name an order goes here that the venue numbers so."""
        remember(self._names, venue_id, name, FINISHED_MAX)

    def name_of(self, client_order_id: str, venue_order_id: str) -> str:
        """The id of the order that is meant, as far as it is known."""
        return client_order_id or self._names.get(venue_order_id, "")

    # --- what we do -------------------------------------------------------------------------------

    def approve(self, intent: OrderIntent, raises: bool) -> Order:
        """An order that the guard let through, before it left; whether it `raises` exposure."""
        order = self.open[intent.client_order_id] = Order(intent, OrderState.APPROVED, raises)
        return order

    def rejected(self, intent: OrderIntent, reason: Reason, received_ns: int) -> Messages:
        """A command that is not obeyed, now or ever."""
        order = Order(intent, OrderState.REJECTED)
        self._finish(intent.client_order_id, order, reason)
        return [self._event(order, received_ns, reason)]

    def move(
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
        order.filled_lots = max(order.filled_lots, filled_lots)
        if state in FINAL:
            self._finish(name, order, reason)
        return [self._event(order, received_ns, reason)]

    def _finish(self, name: str, order: Order, reason: Reason) -> None:
        self.open.pop(name, None)
        intent = order.intent
        self.finished.pop(name, None)
        self.finished[name] = Finished(
            intent.bot,
            intent.instrument,
            order.state,
            reason,
            order.filled_lots,
            order.told_lots,
            intent.expires_ns,
            self.now_ns,
        )
        if order.filled_lots > order.told_lots:
            self.owed[name] = intent.instrument

    def forget(self, now_ns: int) -> None:
        """Let go of old final orders; one whose command could still be obeyed is kept, up to a wall."""
        finished = self.finished
        while len(finished) > FINISHED_MAX:
            name = next(iter(finished))
            if now_ns <= finished[name].expires_ns:
                if len(finished) <= FINISHED_WALL:
                    return
                self.shed += 1
            del finished[name]
            self.owed.pop(name, None)

    def doubt(self, names: Iterable[str]) -> Messages:
        """Nobody knows what became of these orders."""
        messages: Messages = []
        for name in names:
            if self.open[name].state is not OrderState.UNKNOWN:
                messages += self.move(name, OrderState.UNKNOWN, 0)
        return messages

    # --- what the venue says ------------------------------------------------------------------------

    def seen(self, news: OrderSeen, received_ns: int) -> Messages:
        """The venue says where an order is; what is older than what is known changes nothing."""
        name = self.name_of(news.client_order_id, news.venue_order_id)
        order = self.open.get(name)
        if order is None:
            return self._seen_finished(name, news, received_ns)
        order.venue_id = order.venue_id or news.venue_order_id
        order.known, order.heard_ns = True, self.now_ns
        state, filled = news.state, news.filled_lots
        if state not in FINAL:
            known = order.state
            news_is_old = filled < order.filled_lots or (
                filled == order.filled_lots
                and known in (OrderState.ACKNOWLEDGED, OrderState.PARTLY_FILLED)
            )
            if news_is_old or (known is OrderState.CANCELLING and filled == order.filled_lots):
                return []
            state = OrderState.PARTLY_FILLED if filled else OrderState.ACKNOWLEDGED
        return self.move(name, state, received_ns, filled, news.reason)

    def _seen_finished(self, name: str, news: OrderSeen, received_ns: int) -> Messages:
        """A report of an order that is final here: more fills than known, or a life after death."""
        known = self.finished.get(name)
        if known is None:
            return []
        lives = news.state not in FINAL or news.filled_lots > 0
        if known.reason is Reason.NEVER_ARRIVED and lives:
            return self.adopt(name, news, received_ns, known.bot)
        if news.filled_lots > known.filled_lots:
            known.filled_lots = news.filled_lots
            if known.told_lots < known.filled_lots:
                self.owed[name] = known.instrument
        elif news.state in FINAL and _contradicts(known.state, news.state):
            self.illegal += 1
        return []

    def adopt(self, name: str, news: OrderSeen, received_ns: int, bot: int = 0) -> Messages:
        """An order at the venue that is ours and that we lack, or gave up; it is ours from now on."""
        given_up = self.finished.pop(name, None)
        told_lots = news.filled_lots if given_up is None else given_up.told_lots
        intent = OrderIntent(
            self.sender,
            self.stamp(),
            received_ns,
            name,
            bot,
            0,
            0,
            self.venue,
            news.instrument,
            news.side,
            news.ticks,
            news.lots,
            TimeInForce.GTC,
            0,
        )
        order = Order(intent, OrderState.UNKNOWN, told_lots=told_lots, known=True)
        self.open[name] = order
        told = self.difference(DifferenceKind.ADOPTED_ORDER, name, 0, news.lots, True)
        named = news._replace(client_order_id=name)
        return [told, self._event(order, received_ns, Reason.NONE), *self.seen(named, received_ns)]

    def count_fill(self, name: str, lots: int) -> int:
        """So much of an order was told as a fill: whose it is (0: no bot's)."""
        order, final = self.open.get(name), self.finished.get(name)
        if order is not None:
            order.told_lots += lots
            order.known, order.heard_ns = True, self.now_ns
            return order.intent.bot
        if final is None:
            return 0
        final.told_lots += lots
        if final.told_lots >= final.filled_lots:
            self.owed.pop(name, None)
        return final.bot

    def difference(
        self, kind: DifferenceKind, subject: str, ours: int, theirs: int, repaired: bool
    ) -> Difference:
        """A difference, as a message."""
        stamp = self.stamp()
        return Difference(self.sender, stamp, 0, self.venue, kind, subject, ours, theirs, repaired)

    def _event(self, order: Order, received_ns: int, reason: Reason) -> OrderEvent:
        intent = order.intent
        return OrderEvent(
            self.sender,
            self.stamp(),
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
            order.venue_id,
        )

    def snapshot(self) -> DeskState:
        """The whole state."""
        return DeskState(
            self.open,
            self.finished,
            self.owed,
            self._names,
            self.illegal,
            self.shed,
        )

    def restore(self, state: DeskState) -> None:
        """Become what `snapshot` gave."""
        self.open, self.finished, self.owed = state.open, state.finished, state.owed
        self._names, self.illegal, self.shed = state.names, state.illegal, state.shed


def remember(memory: dict[str, Value], key: str, value: Value, most: int) -> None:
    """Keep a value; beyond so many, the oldest is let go of."""
    memory[key] = value
    if len(memory) > most:
        del memory[next(iter(memory))]


def _contradicts(known: OrderState, said: OrderState) -> bool:
    """Whether two ends cannot both be true. One that was found out, or given up, may bear another name."""
    ended = {OrderState.CANCELLED, OrderState.EXPIRED}
    return known is not said and known is not OrderState.REJECTED and not {known, said} <= ended
