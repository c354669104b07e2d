"""What Kraken does as trades happen and the venue does not: closing orders, limits that trail.

Each fill of an order that asked for it brings an order of the other side into the market, as big as the
fill. The limit of a trailing-stop-limit keeps its distance from the trigger, which follows the market.
"""

from collections.abc import Iterable

from engine.exchange.orders import Event, Fill, Order, OrderChange, PublicTrade, Refused
from engine.exchange.wires.kraken_desk import Desk
from engine.exchange.wires.kraken_levels import distance, opposite, trail_mark
from engine.exchange.wires.kraken_notes import Note
from engine.exchange.wires.kraken_tickets import Ticket
from engine.exchange.wires.kraken_words import KrakenError
from engine.messages import SELL
from ext.matching import TRAIL_BPS


class Follower:
    """See the module; `refused` counts closing orders that the venue did not take."""

    def __init__(self, desk: Desk) -> None:
        self.refused = 0
        self._desk = desk
        self._trailing: dict[int, dict[int, Order]] = {}

    def watch(self, order: Order, note: Note) -> None:
        """An order was placed; if its limit trails, it follows from the last trade on."""
        if note.follow is not None and order.open:
            instrument = order.request.instrument
            note.mark = self._desk.exchange.markets[instrument].book.last
            self._trailing.setdefault(instrument, {})[order.number] = order

    def events(self, events: Iterable[Event], now_ns: int) -> None:
        """What happened; what is done about it causes events of its own."""
        for event in list(events):
            if isinstance(event, PublicTrade):
                if self._trailing.get(event.instrument):
                    self._traded(event.instrument, event.ticks, now_ns)
            elif isinstance(event, OrderChange) and event.fill is not None:
                self._filled(event.order, event.fill, now_ns)

    def _filled(self, order: Order, fill: Fill, now_ns: int) -> None:
        desk = self._desk
        close = desk.note(order).close
        if close is None:
            return
        pair = desk.names.pairs[order.request.instrument]
        ticket = Ticket(
            pair=pair,
            side=opposite(fill.side),
            word=close.word,
            volume=pair.instrument.lots_to_quantity(fill.lots),
            limit=close.limit,
            trigger=close.trigger,
        )
        try:
            placed = desk.place(order.account, ticket, now_ns, 0)
        except KrakenError:
            self.refused += 1
            return
        note = desk.note(placed)
        note.cause = order.number
        self.watch(placed, note)

    def _traded(self, instrument: int, ticks: int, now_ns: int) -> None:
        desk, trailing = self._desk, self._trailing[instrument]
        pair = desk.names.pairs[instrument]
        for number, order in list(trailing.items()):
            note = desk.note(order)
            if not order.open or order.working or note.follow is None:
                del trailing[number]
                continue
            side = order.request.side
            better = max if side == SELL else min
            mark = better(note.mark, ticks) if note.mark else ticks
            if mark == note.mark:
                continue
            note.mark = mark
            new = order.request
            at = trail_mark(mark, side, new.offset, new.trigger == TRAIL_BPS)
            up = -1 if note.follow.sign == "-" else 1
            limit = max(1, at + up * distance(pair, note.follow, at))
            try:
                desk.exchange.replace(order.account, number, limit, 0, now_ns)
            except Refused:
                self.refused += 1
