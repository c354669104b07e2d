"""Finds crossings: the same symbol cheaper to buy on one venue than to sell on another, after fees.

A depth is compared with every other venue's of its symbol, both ways: first the best prices, and
only where they pay the whole ladders, in the pricing kernel. Only LIVE and fresh books count. An
opportunity keeps its number while it lasts and is told again when its limits or size change.
"""

from math import lcm
from struct import Struct
from typing import NamedTuple

import msgspec

from engine.component import NOTHING, Component, Outputs
from engine.instruments import PPM, Instrument, Instruments
from engine.messages import (
    AnyMessage,
    BookState,
    Depth,
    Opportunity,
    OpportunityGone,
    SetTimer,
    Started,
    TimerFired,
)
from engine.scanner_config import ScannerConfig
from engine.units import Round, parse_decimal
from ext.pricing import cross, sweep

MS = 1_000_000
BPS = 10_000
SWEEP = 1  # the timer that ends opportunities of books that fell silent
PAIR_BYTES = 16  # of one level in a depth: ticks and lots
TICKS = Struct("<q")
# Best prices are compared with this much slack, so that rounding hides nothing from the kernel.
SLACK = 1e-9
FEE_MAX = 0.999_999  # the kernel takes rates below 1; no unit pays that much anyway


class Book(msgspec.Struct, frozen=True):
    """The last LIVE depth of an instrument, and its best prices as they compare across venues.

    `pays` is what selling a unit here brings after the fee, `costs` what buying one must be
    beaten by: price, fee and the least profit. Nothing to take is a cost of infinity.
    """

    depth: Depth
    pays: float
    costs: float


class Pair(NamedTuple):
    """A direction: two instruments of a symbol, and what stays the same between them.

    `step_units` is the least quantity that is whole lots on both, in base units.
    """

    key: int
    buy: Instrument
    sell: Instrument
    buy_fee: float
    step: float
    step_units: int
    quantity_max: float


class Link(NamedTuple):
    """Another venue's instrument of the same symbol, with both directions."""

    other: int
    buy_here: Pair
    sell_here: Pair


class Seen(msgspec.Struct):
    """An opportunity that lasts; `terms` are limit and lots of both legs, as last told."""

    number: int
    since_ns: int
    buy_instrument: int
    sell_instrument: int
    terms: tuple[int, int, int, int]


class ScannerState(msgspec.Struct):
    """The whole state, for a snapshot."""

    sequence: int
    opportunities: int
    books: dict[int, Book]
    seen: dict[int, Seen]


class Scanner(Component):
    """The Scanner component over all venues; see the module.

    `profit_min_bps` is asked of every unit traded, relative to its buying price, after both fees.
    """

    kind = "scanner"

    def __init__(self, sender: int, instruments: Instruments, config: ScannerConfig) -> None:
        super().__init__(sender, instruments)
        self._profit_min = config.profit_min_bps / BPS
        self._stale_ns = config.stale_ms * MS
        self._books: dict[int, Book] = {}
        self._seen: dict[int, Seen] = {}
        self._opportunities = 0
        self._config = config
        self._price()

    def _price(self) -> None:
        """What follows from the grids and fees of all instruments."""
        instruments, config = self.instruments, self._config
        # What a tick sold brings and a tick bought costs, in quote, by instrument.
        self._sell_factor = [i.tick * (1 - i.taker_rate) * (1 + SLACK) for i in instruments]
        self._buy_factor = [i.tick * (1 + i.taker_rate + self._profit_min) for i in instruments]
        self._links = tuple(
            tuple(
                Link(
                    other,
                    _pair(i, instruments[other], len(instruments), config),
                    _pair(instruments[other], i, len(instruments), config),
                )
                for other in instruments.same_symbol(i.id)
            )
            for i in instruments
        )

    def regrid(self, instrument: Instrument) -> None:
        """See `Component.regrid`."""
        self._books.pop(instrument.id, None)
        self._price()

    def on_message(self, message: AnyMessage, now_ns: int) -> Outputs:
        """See `Component.on_message`."""
        if isinstance(message, Depth):
            return self._on_depth(message, now_ns)
        if isinstance(message, (Started, TimerFired)):
            return self._on_timer(message.received_ns, now_ns)
        return NOTHING

    def _on_depth(self, depth: Depth, now_ns: int) -> Outputs:
        number = depth.instrument
        mine: Book | None = None
        if depth.state is BookState.LIVE:
            mine = self._books[number] = self._read(depth)
            if now_ns - depth.received_ns > self._stale_ns:
                mine = None
        else:
            self._books.pop(number, None)
        books, seen, oldest_ns = self._books, self._seen, now_ns - self._stale_ns
        outputs: Outputs = NOTHING
        for other, buy_here, sell_here in self._links[number]:
            theirs = books.get(other)
            if mine is not None and theirs is not None and theirs.depth.received_ns >= oldest_ns:
                if mine.costs <= theirs.pays:
                    outputs += self._compare(buy_here, mine, theirs, depth.received_ns, now_ns)
                elif buy_here.key in seen:
                    outputs += self._gone(buy_here.key, depth.received_ns, now_ns)
                if theirs.costs <= mine.pays:
                    outputs += self._compare(sell_here, theirs, mine, depth.received_ns, now_ns)
                elif sell_here.key in seen:
                    outputs += self._gone(sell_here.key, depth.received_ns, now_ns)
            elif seen:
                outputs += self._gone(buy_here.key, depth.received_ns, now_ns)
                outputs += self._gone(sell_here.key, depth.received_ns, now_ns)
        return outputs

    def _read(self, depth: Depth) -> Book:
        """Read the best prices once, fees included, for all comparisons to come."""
        number, pairs = depth.instrument, depth.pairs
        bid_ticks: int = TICKS.unpack_from(pairs, 0)[0]
        ask_ticks: int = TICKS.unpack_from(pairs, PAIR_BYTES * depth.levels)[0]
        costs = ask_ticks * self._buy_factor[number] if ask_ticks else float("inf")
        return Book(depth, bid_ticks * self._sell_factor[number], costs)

    def _compare(
        self, pair: Pair, buying: Book, selling: Book, received_ns: int, now_ns: int
    ) -> Outputs:
        """One direction whose best prices pay: tell, tell again, or say that it is gone."""
        buy, sell = pair.buy, pair.sell
        quantity, buy_ticks, sell_ticks, _ = cross(
            buying.depth.pairs,
            selling.depth.pairs,
            buying.depth.levels,
            selling.depth.levels,
            buy.tick,
            buy.lot,
            sell.tick,
            sell.lot,
            pair.buy_fee,
            sell.taker_rate,
            pair.step,
            pair.quantity_max,
        )
        units = round(quantity / pair.step) * pair.step_units
        buy_lots = units // buy.base_units_per_lot
        sell_lots = units // sell.base_units_per_lot
        if not (_orderable(buy, buy_ticks, buy_lots) and _orderable(sell, sell_ticks, sell_lots)):
            return self._gone(pair.key, received_ns, now_ns)
        terms = (buy_ticks, buy_lots, sell_ticks, sell_lots)
        seen = self._seen.get(pair.key)
        if seen is None:
            self._opportunities += 1
            seen = Seen(self._opportunities, now_ns, buy.id, sell.id, terms)
            self._seen[pair.key] = seen
        elif seen.terms == terms:
            return NOTHING
        seen.terms = terms
        return (
            Opportunity(
                self.sender,
                self.next_sequence(),
                received_ns,
                seen.number,
                buy.id,
                buy_ticks,
                buy_lots,
                sell.id,
                sell_ticks,
                sell_lots,
                _profit(pair, buying.depth, selling.depth, buy_lots, sell_lots),
            ),
        )

    def _gone(self, key: int, received_ns: int, now_ns: int) -> Outputs:
        """Say that an opportunity is over; nothing when there was none."""
        seen = self._seen.pop(key, None)
        if seen is None:
            return NOTHING
        lifetime_ns = now_ns - seen.since_ns
        sequence = self.next_sequence()
        return (OpportunityGone(self.sender, sequence, received_ns, seen.number, lifetime_ns),)

    def _on_timer(self, received_ns: int, now_ns: int) -> Outputs:
        """End what rests on a book that fell silent: no depth will come to say so."""
        oldest_ns = now_ns - self._stale_ns
        outputs: Outputs = (
            SetTimer(self.sender, self.next_sequence(), 0, SWEEP, now_ns + self._stale_ns),
        )
        for key, seen in list(self._seen.items()):
            books = (self._books[seen.buy_instrument], self._books[seen.sell_instrument])
            if min(book.depth.received_ns for book in books) < oldest_ns:
                outputs += self._gone(key, received_ns, now_ns)
        return outputs

    def snapshot(self) -> bytes:
        """See `Component.snapshot`."""
        return msgspec.msgpack.encode(
            ScannerState(self.sequence, self._opportunities, self._books, self._seen)
        )

    def restore(self, data: bytes) -> None:
        """See `Component.restore`."""
        state = msgspec.msgpack.decode(data, type=ScannerState)
        self.sequence = state.sequence
        self._opportunities = state.opportunities
        self._books = state.books
        self._seen = state.seen


def _pair(buy: Instrument, sell: Instrument, count: int, config: ScannerConfig) -> Pair:
    """A direction, its quantity capped by the configuration and by both venues' largest order."""
    lots = (buy.base_units_per_lot, sell.base_units_per_lot)
    step_units = lcm(*lots)
    cap_units = min(buy.lots_max * lots[0], sell.lots_max * lots[1])
    limit = config.quantity_max.get(buy.base)
    if limit is not None:
        cap_units = min(cap_units, parse_decimal(limit, buy.base_decimals, Round.DOWN))
    scale = 10**buy.base_decimals
    return Pair(
        buy.id * count + sell.id,
        buy,
        sell,
        min(buy.taker_rate + config.profit_min_bps / BPS, FEE_MAX),
        step_units / scale,
        step_units,
        cap_units // step_units * step_units / scale,
    )


def _orderable(instrument: Instrument, ticks: int, lots: int) -> bool:
    """Whether the venue takes an order of this size."""
    notional = ticks * lots * instrument.quote_units_per_tick_lot
    return lots >= instrument.lots_min and notional >= instrument.notional_min_units


def _profit(pair: Pair, buying: Depth, selling: Depth, buy_lots: int, sell_lots: int) -> int:
    """What taking these lots off both books leaves, fees rounded up, exact in quote units."""
    buy, sell = pair.buy, pair.sell
    _, buy_cost = sweep(buying.pairs[PAIR_BYTES * buying.levels :], buy_lots)
    _, sell_cost = sweep(selling.pairs[: PAIR_BYTES * selling.levels], sell_lots)
    paid = buy_cost * buy.quote_units_per_tick_lot
    received = sell_cost * sell.quote_units_per_tick_lot
    paid -= -paid * buy.taker_fee_ppm // PPM
    received += -received * sell.taker_fee_ppm // PPM
    return received - paid
