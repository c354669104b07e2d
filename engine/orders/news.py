"""What a venue tells of our orders, as answers and on its stream, and what follows from it.

What it tells of the account as a whole goes to `engine/orders/account.py`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from engine.messages import Answer, CallKind, OrderState, Reason
from engine.orders.account import Account
from engine.orders.calls import Calls, Pending
from engine.orders.desk import Desk, Messages
from engine.orders.lanes import Lane, Wish
from engine.orders.lifecycle import FINAL
from engine.orders.pursuit import Pursuit
from engine.venues.handler import Malformed
from engine.venues.trading import (
    AskMore,
    BalancesSeen,
    BannedSeen,
    CallAnswered,
    CallFailed,
    ClockSeen,
    Effect,
    FillSeen,
    FillsSeen,
    OpenOrdersSeen,
    OrderMissing,
    OrderSeen,
    PrivateNews,
    StreamGap,
    StreamReady,
    TransferSeen,
    UsageSeen,
)

UNSENT = "unsent"
LOST = frozenset({"timeout", "disconnected", UNSENT})
"""The edge's words for an answer that did not come."""
ON_OWN = frozenset({CallKind.CREATE, CallKind.CANCEL})


class News:
    """See the module. `malformed` counts answers that could not be read."""

    def __init__(
        self, desk: Desk, calls: Calls, pursuit: Pursuit, account: Account, timeout_ns: int
    ) -> None:
        self.malformed = 0
        self._desk = desk
        self._calls = calls
        self._pursuit = pursuit
        self._account = account
        self._timeout_ns = timeout_ns
        self._takers: dict[type, Callable[[Any, Pending | None, bool], Messages]] = {
            OrderSeen: self._order,
            OrderMissing: self._missing,
            OpenOrdersSeen: account.open_orders,
            FillSeen: account.fill,
            FillsSeen: account.fills,
            BalancesSeen: account.balances,
            TransferSeen: account.transfer,
            ClockSeen: self._clock,
            UsageSeen: self._usage,
            BannedSeen: self._banned,
            CallFailed: self._failed,
            AskMore: self._ask_more,
            StreamReady: lambda *_: account.ready(),
            StreamGap: lambda *_: account.begin(),
            CallAnswered: self._call_answered,
        }

    # --- in ---------------------------------------------------------------------------------------

    def answer(self, answer: Answer, now_ns: int) -> Messages:
        """The answer to a call, or that there is none."""
        self._desk.now_ns, self._desk.received_ns = now_ns, answer.received_ns
        pending = self._calls.answered(answer.call)
        if pending is None:
            return []
        news: Sequence[PrivateNews]
        if answer.failure in LOST:
            effect = Effect.NONE if answer.failure == UNSENT else Effect.POSSIBLE
            news = [CallFailed(effect, Reason.NOT_CONNECTED, answer.failure, venue_down=True)]
        else:
            try:
                news = self._calls.trading.answered(pending.request, answer)
            except Malformed as error:
                self.malformed += 1
                news = [CallFailed(Effect.POSSIBLE, Reason.MALFORMED, str(error), venue_down=True)]
        return self._take_answer(news, pending)

    def heard(self, payload: bytes, received_ns: int, now_ns: int) -> Messages:
        """A frame about our account. Raises Malformed."""
        self._desk.now_ns, self._desk.received_ns = now_ns, received_ns
        messages: Messages = []
        for item in self._calls.trading.heard(payload):
            messages += self._takers[type(item)](item, None, True)
        return messages + self._pursuit.settle()

    def _call_answered(self, news: CallAnswered, _: Pending | None, __: bool) -> Messages:
        pending = self._calls.answered(news.call)
        return [] if pending is None else self._take_answer(news.news, pending)

    def _take_answer(self, news: Sequence[PrivateNews], pending: Pending) -> Messages:
        ends = not any(type(item) is AskMore for item in news)
        failed = any(type(item) is CallFailed for item in news)
        down = any(type(item) is CallFailed and item.venue_down for item in news)
        if down:
            self._calls.breaker.failed(self._desk.now_ns)
        elif not any(type(item) is BannedSeen for item in news):
            self._calls.breaker.succeeded()
        messages: Messages = []
        for item in news:
            messages += self._takers[type(item)](item, pending, ends)
        if pending.wish.kind is CallKind.TRANSFERS and ends and not failed:
            messages += self._account.got(CallKind.TRANSFERS, pending.wish.part, pending.asked_ns)
        return messages + self._pursuit.settle()

    def unanswered(self, pending: Pending, now_ns: int) -> Messages:
        """A call's answer did not come in time: what it did is not known."""
        self._calls.breaker.failed(now_ns)
        return self._unsure(pending.wish, Effect.POSSIBLE, Reason.NONE)

    # --- orders -------------------------------------------------------------------------------------

    def _order(self, news: OrderSeen, pending: Pending | None, ends: bool) -> Messages:
        desk = self._desk
        told = self._calls.fills.learn(news, desk.received_ns)
        name = desk.name_of(news.client_order_id, news.venue_order_id)
        order = desk.open.get(name)
        if order is not None:
            if order.state is OrderState.SENT and pending is None:
                self._calls.breaker.succeeded()
        elif not desk.knows(name) and news.state not in FINAL:
            return told + self._account.stranger(name, news)
        return told + desk.seen(news, desk.received_ns)

    def _missing(self, news: OrderMissing, pending: Pending | None, ends: bool) -> Messages:
        self._pursuit.missing(news, pending)
        order = self._desk.open.get(news.client_order_id)
        if order is None or order.state is OrderState.UNKNOWN or not order.known:
            return []
        # It was there. What became of it, the venue tells or has forgotten: that takes evidence.
        return self._pursuit.doubt(news.client_order_id, self._desk.now_ns)

    def _failed(self, news: CallFailed, pending: Pending | None, ends: bool) -> Messages:
        messages: Messages = []
        if news.clock and self._calls.tells_clock:
            messages = self._pursuit.ask(CallKind.CLOCK, self._desk.now_ns)
        if pending is not None:
            wish = pending.wish
        else:
            if news.venue_down:
                self._calls.breaker.failed(self._desk.now_ns)
            wish = Wish(news.kind, news.client_order_id)
        return messages + self._unsure(wish, news.effect, news.reason)

    def _unsure(self, wish: Wish, effect: Effect, reason: Reason) -> Messages:
        """A request failed: an order that was certainly not placed is rejected, else it is in doubt."""
        desk, name = self._desk, wish.name
        order = desk.open.get(name)
        if order is None or wish.kind not in ON_OWN:
            return []
        if wish.kind is CallKind.CREATE and not order.known:
            if effect is Effect.NONE:
                return desk.move(name, OrderState.REJECTED, desk.received_ns, 0, reason)
            order.doubt_at_ns = 0
            return self._pursuit.doubt(name, desk.now_ns)
        if order.state is OrderState.UNKNOWN:
            return []  # it is asked after already
        return self._pursuit.query(name, desk.now_ns)

    # --- the venue itself -----------------------------------------------------------------------------

    def _clock(self, news: ClockSeen, pending: Pending | None, ends: bool) -> Messages:
        asked_ns = 0 if pending is None else pending.sent_ns
        if pending is None:
            asked_ns, self._calls.clock_asked_ns = self._calls.clock_asked_ns, 0
        if asked_ns:
            self._calls.clock.measured(asked_ns, self._desk.now_ns, news.venue_ns)
        return self._account.clock_known()

    def _usage(self, news: UsageSeen, pending: Pending | None, ends: bool) -> Messages:
        self._calls.lanes.learn(news, self._desk.now_ns)
        return []

    def _banned(self, news: BannedSeen, pending: Pending | None, ends: bool) -> Messages:
        self._calls.breaker.stay_away(news.wait_ns, self._desk.now_ns)
        return []

    def _ask_more(self, news: AskMore, pending: Pending | None, ends: bool) -> Messages:
        if pending is None:
            return []
        since = (pending.asked_ns, pending.from_ns)
        wish = msgspec.structs.replace(pending.wish, ready=news.request, goes_on=since)
        return self._calls.ask(Lane.DATA, wish, self._desk.now_ns) or []
