"""Orders of Kraken's clients, whichever way they come: placed, amended, edited, cancelled; their notes.

All calls raise KrakenError, and then nothing has changed.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TypeVar

import msgspec

from engine.exchange.exchange import Exchange
from engine.exchange.orders import NewOrder, Order, Refused, Why
from engine.exchange.wires.forgetting import drop_oldest
from engine.exchange.wires.kraken_levels import Level, price_at
from engine.exchange.wires.kraken_limits import (
    AMENDED,
    CANCELLED,
    EDITED,
    POINT,
    Ages,
    Limits,
    by_age,
)
from engine.exchange.wires.kraken_notes import Note, note_of_order, note_of_ticket, with_price
from engine.exchange.wires.kraken_tickets import Ticket, lots_of, new_order
from engine.exchange.wires.kraken_words import (
    SECOND_NS,
    KrakenError,
    Names,
    number_of,
    refusal,
)
from engine.instruments import PPM
from engine.messages import BUY
from ext.matching import LIMIT, POST_ONLY, REDUCE_ONLY

NOTES_MAX = 200_000
NEVER = 1 << 62
TIMEOUT_S = 86_400

Done = TypeVar("Done")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What an amend or an edit asks for; what is not given stays."""

    volume: str = ""
    limit: Level | None = None
    trigger: Level | None = None
    display: str = ""
    post: bool | None = None
    reduce: bool | None = None
    deadline_ns: int = 0
    userref: int | None = None
    validate: bool = False


class Desk:
    """See the module."""

    def __init__(self, exchange: Exchange, names: Names, limits: Limits) -> None:
        self.exchange = exchange
        self.names = names
        self.limits = limits
        self.amends = 0
        self._notes: dict[int, Note] = {}
        self._ends: dict[str, int] = {}

    # --- which order ------------------------------------------------------------------------------

    def note(self, order: Order) -> Note:
        """What is said of an order beyond what the venue knows."""
        found = self._notes.get(order.number)
        return found or note_of_order(self.names.pairs[order.request.instrument], order)

    def keep(self, order: Order, note: Note, now_ns: int) -> None:
        """The note of an order that was just taken; the oldest may have to go for it."""
        if len(self._notes) >= NOTES_MAX:
            drop_oldest(self._notes, self.exchange.lives)
        note.since_ns = now_ns
        self._notes[order.number] = note

    def by_txid(self, account: str, txid: str) -> Order:
        """An order by Kraken's id."""
        return _asked(self.exchange.order, account, number_of("O", txid))

    def by_client_id(self, account: str, client_id: str) -> Order:
        """The latest order with a client's own id."""
        return _asked(self.exchange.by_client_id, account, client_id)

    def by_userref(self, account: str, userref: int) -> list[Order]:
        """The open orders with a tag."""
        orders = self.exchange.open_orders(account)
        return [order for order in orders if self.note(order).userref == userref]

    # --- placing ----------------------------------------------------------------------------------

    def validate(self, account: str, ticket: Ticket, now_ns: int) -> Note:
        """All checks of an order, and nothing done; the note it would have."""
        new = self._new(account, ticket, now_ns)
        self._ask(ticket, self.exchange.test, account, new, now_ns)
        return note_of_ticket(ticket, new)

    def place(self, account: str, ticket: Ticket, now_ns: int, points: int = POINT) -> Order:
        """Take an order; it counts for so many points."""
        self.limits.order(account, ticket.pair.instrument.id, points, now_ns)
        new = self._new(account, ticket, now_ns)
        order = self._ask(ticket, self.exchange.place, account, new, now_ns)
        self.keep(order, note_of_ticket(ticket, new), now_ns)
        return order

    def place_batch(
        self, account: str, tickets: Sequence[Ticket], now_ns: int
    ) -> list[Order | KrakenError]:
        """Take orders of one pair: all are read before any is placed; each is then taken by itself."""
        instrument = tickets[0].pair.instrument.id
        self.limits.order(account, instrument, len(tickets) * POINT // 2, now_ns)
        for ticket in tickets:
            self._new(account, ticket, now_ns)
        taken: list[Order | KrakenError] = []
        for ticket in tickets:
            try:
                taken.append(self.place(account, ticket, now_ns, 0))
            except KrakenError as error:
                taken.append(error)
        return taken

    def _new(self, account: str, ticket: Ticket, now_ns: int) -> NewOrder:
        """What the venue will be asked for."""
        instrument = ticket.pair.instrument.id
        new = new_order(ticket, self.exchange.markets[instrument].book.last, now_ns)
        room = self.limits.tier.open_orders
        if len(self.exchange.open_orders(account, instrument)) >= room:
            raise KrakenError("EOrder:Orders limit exceeded")
        return new

    @staticmethod
    def _ask(
        ticket: Ticket,
        ask: Callable[[str, NewOrder, int], Done],
        account: str,
        new: NewOrder,
        now_ns: int,
    ) -> Done:
        try:
            return ask(account, new, now_ns)
        except Refused as refused:
            if refused.why is Why.LOT and ticket.spends:
                raise KrakenError("EOrder:Order minimum not met") from None
            raise refusal(refused) from None

    # --- changing ---------------------------------------------------------------------------------

    def amend(self, order: Order, change: Change, now_ns: int) -> int:
        """Change a resting order where it is; the number of this amend."""
        note = self._of_age(order, AMENDED, now_ns)
        if change.trigger is not None or change.display:
            raise KrakenError("EOrder:Invalid order")  # the venue changes prices and totals only
        if not order.open:
            raise KrakenError("EOrder:Unknown order")
        self._in_time(change, now_ns)
        pair = self.names.pairs[order.request.instrument]
        book = self.exchange.markets[pair.instrument.id].book
        ticks = price_at(pair, change.limit, book.last, 1) if change.limit is not None else 0
        lots = lots_of(pair, "order_qty", change.volume) if change.volume else 0
        if ticks and change.post and order.working:
            best, _ = book.best(-order.request.side)
            if best and (ticks - best) * order.request.side >= 0:
                raise KrakenError("EOrder:Post only order")
        if 0 < lots <= order.filled:
            _asked(self.exchange.cancel, order.account, order.number, now_ns)
        else:
            if 0 < lots < pair.instrument.lots_min:
                raise KrakenError("EOrder:Order minimum not met")
            _asked(self.exchange.replace, order.account, order.number, ticks, lots, now_ns)
        if ticks:
            with_price(pair, note, ticks)
            note.follow = None
        note.amended = True
        self.keep(order, note, now_ns)
        self.amends += 1
        return self.amends

    def edit(self, order: Order, change: Change, now_ns: int) -> Order:
        """Cancel an order and place one with other numbers in its stead."""
        note = self._of_age(order, EDITED, now_ns)
        if not order.open:
            raise KrakenError("EOrder:Unknown order")
        if note.close is not None or order.request.client_id or not self._untouched(order, note):
            raise KrakenError("EOrder:Invalid order")
        ticket = self._edited(order, note, change)
        account = order.account
        new = new_order(ticket, self.exchange.markets[order.request.instrument].book.last, now_ns)
        try:
            self._ask(ticket, self.exchange.test, account, new, now_ns)
        except KrakenError as error:
            if str(error) != "EOrder:Insufficient funds" or not self._affords(order, new):
                raise
        if change.validate:
            return order
        _asked(self.exchange.cancel, account, order.number, now_ns)
        placed = self._ask(ticket, self.exchange.place, account, new, now_ns)
        self.keep(placed, note_of_ticket(ticket, new), now_ns)
        return placed

    @staticmethod
    def _untouched(order: Order, note: Note) -> bool:
        """Whether a triggered order still waits; others need not."""
        return note.trigger is None or not order.working

    def _edited(self, order: Order, note: Note, change: Change) -> Ticket:
        pair, new = self.names.pairs[order.request.instrument], order.request
        lots = lots_of(pair, "volume", change.volume) if change.volume else order.lots
        if lots <= order.filled:
            raise KrakenError("EOrder:Invalid order")
        post = bool(new.flags & POST_ONLY) if change.post is None else change.post
        oflags = [flag for flag in note.oflags if flag != "post"] + ["post"] * post
        display = pair.instrument.lots_to_quantity(new.display) if new.display else ""
        return Ticket(
            pair=pair,
            side=new.side,
            word=note.word,
            volume=pair.instrument.lots_to_quantity(lots - order.filled),
            limit=change.limit or note.limit,
            trigger=change.trigger or note.trigger,
            trigger_by=note.trigger_by,
            display=change.display or display,
            tif="GTD" if new.expire_ns else "GTC",
            expire_ns=new.expire_ns,
            deadline_ns=change.deadline_ns,
            post=post,
            reduce=bool(new.flags & REDUCE_ONLY) if change.reduce is None else change.reduce,
            userref=note.userref if change.userref is None else change.userref,
            oflags=tuple(oflags),
        )

    def _affords(self, order: Order, new: NewOrder) -> bool:
        """Whether what the order holds now, with what is free, pays for the one in its stead."""
        instrument = self.exchange.instruments[new.instrument]
        left = order.lots - order.filled
        if new.side != BUY:
            needs = (new.lots - left) * instrument.base_units_per_lot
            return self.exchange.accounts.free(order.account, instrument.base) >= needs
        if new.kind != LIMIT or order.request.kind != LIMIT:
            return False
        worst = max(*self.exchange.accounts.rates(order.account, instrument), 0)
        value = (new.ticks * new.lots - order.ticks * left) * instrument.quote_units_per_tick_lot
        needs = value + -(-abs(value) * worst // PPM) + 1
        return self.exchange.accounts.free(order.account, instrument.quote) >= needs

    def _of_age(self, order: Order, ages: Ages, now_ns: int) -> Note:
        """Count a change; the note of the order, from now on kept."""
        note = self.note(order)
        age_ns = now_ns - (note.since_ns or order.created_ns)
        points = POINT + by_age(ages, age_ns)
        self.limits.order(order.account, order.request.instrument, points, now_ns)
        return note

    @staticmethod
    def _in_time(change: Change, now_ns: int) -> None:
        if 0 < change.deadline_ns < now_ns:
            raise KrakenError("EService:Deadline elapsed")

    # --- cancelling -------------------------------------------------------------------------------

    def cancel(self, order: Order, now_ns: int) -> None:
        """Take an order out; it always may, and still counts."""
        _asked(self.exchange.cancel, order.account, order.number, now_ns)
        self._cancelled(order, now_ns)

    def cancel_each(self, orders: Iterable[Order], now_ns: int) -> int:
        """Take out those that still live when it is their turn; how many. One may end another."""
        count = 0
        for order in orders:
            with suppress(KrakenError):
                self.cancel(order, now_ns)
                count += 1
        if not count:
            raise KrakenError("EOrder:Unknown order")
        return count

    def cancel_all(self, account: str, now_ns: int) -> int:
        """Take all orders of an account out; how many there were."""
        orders = self.exchange.cancel_all(account, None, now_ns)
        for order in orders:
            self._cancelled(order, now_ns)
        return len(orders)

    def _cancelled(self, order: Order, now_ns: int) -> None:
        age_ns = now_ns - (self.note(order).since_ns or order.created_ns)
        points = by_age(CANCELLED, age_ns)
        self.limits.count(order.account, order.request.instrument, points, now_ns)

    def cancel_after(self, account: str, timeout_s: int, now_ns: int) -> int:
        """Cancel everything at a time unless told otherwise until then; when: 0 for never."""
        self._ends.pop(account, None)
        if timeout_s:
            self._ends[account] = now_ns + timeout_s * SECOND_NS
        return self._ends.get(account, 0)

    def due_ns(self) -> int:
        """When an account's orders will be cancelled next."""
        return min(self._ends.values(), default=NEVER)

    def tick(self, now_ns: int) -> None:
        """Cancel what nobody has spoken for."""
        for account, end_ns in list(self._ends.items()):
            if end_ns <= now_ns:
                del self._ends[account]
                self.cancel_all(account, now_ns)


def _asked(ask: Callable[..., Done], *arguments: object) -> Done:
    try:
        return ask(*arguments)
    except Refused as refused:
        raise refusal(refused) from None
