"""Finds crossings: the same symbol cheaper to buy on one venue than to sell on another, after fees.

A depth is compared with every other venue's of its symbol, both ways: first the best prices, and
only where they pay the whole ladders, in the pricing kernel. Only LIVE and fresh books count. An
opportunity keeps its number while it lasts and is told again when its limits or size change.
"""

from functools import reduce
from math import gcd
from typing import NamedTuple

import msgspec

from engine.component import NOTHING, Component, Outputs
from engine.config import ScannerConfig
from engine.instruments import Instrument, Instruments
from engine.messages import AnyMessage, BookState, Depth, Opportunity, OpportunityGone
from ext.pricing import cross

MS = 1_000_000


class Book(NamedTuple):
    """The last LIVE depth of an instrument; best prices after fees in quote per base."""

    pairs: bytes
    levels: int
    received_ns: int
    sell_at: float
    buy_at: float


class Pair(NamedTuple):
    """Two instruments of a symbol, one to buy and one to sell, and the step both can trade."""

    buy: Instrument
    sell: Instrument
    step: float
    step_units: int
    quantity_max: float


class Seen(msgspec.Struct):
    """An opportunity that lasts."""

    number: int
    since_ns: int
    terms: tuple[int, int, int, int]


class ScannerState(msgspec.Struct):
    """The whole state, for a snapshot."""

    sequence: int
    opportunities: int
    books: dict[int, Book]
    seen: dict[int, Seen]


class Scanner(Component):
    """The Scanner component over all venues; see the module."""

    kind = "scanner"

    def __init__(self, sender: int, instruments: Instruments, config: ScannerConfig) -> None:
        super().__init__(sender)
        self._instruments = instruments
        self._profit_min = config.profit_min_bps / 10_000
        self._stale_ns = config.stale_ms * MS
        self._books: dict[int, Book] = {}
        self._seen: dict[int, Seen] = {}
        self._opportunities = 0
        self._pairs = {
            (a.id, b): _pair(a, instruments[b], config)
            for a in instruments
            for b in instruments.same_symbol(a.id)
        }
        self._others = {i.id: instruments.same_symbol(i.id) for i in instruments}

    def on_message(self, message: AnyMessage, now_ns: int) -> Outputs:
        """See `Component.on_message`."""
        return self._on_depth(message, now_ns) if isinstance(message, Depth) else NOTHING

    def _on_depth(self, depth: Depth, now_ns: int) -> Outputs:
        number = depth.instrument
        if depth.state is not BookState.LIVE:
            self._books.pop(number, None)
        else:
            self._books[number] = self._book(depth)
        mine = self._books.get(number)
        outputs: Outputs = NOTHING
        for other in self._others[number]:
            theirs = self._books.get(other)
            if theirs is not None and now_ns - theirs.received_ns > self._stale_ns:
                theirs = None
            for buy, sell, buying, selling in (
                (number, other, mine, theirs),
                (other, number, theirs, mine),
            ):
                crossed = (
                    buying is not None
                    and selling is not None
                    and 0 < buying.buy_at < selling.sell_at
                )
                if crossed or buy * len(self._instruments) + sell in self._seen:
                    pair = self._pairs[buy, sell]
                    outputs += self._compare(
                        pair, buying if crossed else None, selling, depth.received_ns, now_ns
                    )
        return outputs

    def _book(self, depth: Depth) -> Book:
        """Read the best prices once, fees included, for all comparisons to come."""
        instrument = self._instruments[depth.instrument]
        best = memoryview(depth.pairs).cast("q")
        bid, ask = best[0], best[2 * depth.levels]
        return Book(
            depth.pairs,
            depth.levels,
            depth.received_ns,
            bid * instrument.tick * (1 - instrument.taker_rate),
            ask * instrument.tick * (1 + instrument.taker_rate),
        )

    def _compare(
        self, pair: Pair, buying: Book | None, selling: Book | None, received_ns: int, now_ns: int
    ) -> Outputs:
        """One direction of one pair: tell, tell again, or say that it is gone."""
        key = pair.buy.id * len(self._instruments) + pair.sell.id
        terms = None
        profit = 0.0
        if buying is not None and selling is not None:
            quantity, buy_ticks, sell_ticks, profit = cross(
                buying.pairs,
                selling.pairs,
                buying.levels,
                selling.levels,
                pair.buy.tick,
                pair.buy.lot,
                pair.sell.tick,
                pair.sell.lot,
                pair.buy.taker_rate,
                pair.sell.taker_rate,
                pair.step,
                pair.quantity_max,
            )
            terms = self._terms(pair, quantity, buy_ticks, sell_ticks, profit)
        seen = self._seen.get(key)
        if terms is None:
            return NOTHING if seen is None else self._gone(key, seen, received_ns, now_ns)
        if seen is not None and seen.terms == terms:
            return NOTHING
        if seen is None:
            self._opportunities += 1
            seen = self._seen[key] = Seen(self._opportunities, now_ns, terms)
        seen.terms = terms
        buy_ticks, buy_lots, sell_ticks, sell_lots = terms
        return (
            Opportunity(
                self.sender,
                self.next_sequence(),
                received_ns,
                seen.number,
                pair.buy.id,
                buy_ticks,
                buy_lots,
                pair.sell.id,
                sell_ticks,
                sell_lots,
                int(profit * 10**pair.buy.quote_decimals),
            ),
        )

    def _terms(
        self, pair: Pair, quantity: float, buy_ticks: int, sell_ticks: int, profit: float
    ) -> tuple[int, int, int, int] | None:
        """Limits and lots of both legs; None when it does not pay enough or is too small."""
        if quantity <= 0 or profit < self._profit_min * quantity * buy_ticks * pair.buy.tick:
            return None
        units = round(quantity / pair.step) * pair.step_units
        buy_lots = units // pair.buy.base_units_per_lot
        sell_lots = units // pair.sell.base_units_per_lot
        if pair.buy.notional(buy_ticks, buy_lots) < pair.buy.notional_min_units:
            return None
        if pair.sell.notional(sell_ticks, sell_lots) < pair.sell.notional_min_units:
            return None
        return buy_ticks, buy_lots, sell_ticks, sell_lots

    def _gone(self, key: int, seen: Seen, received_ns: int, now_ns: int) -> Outputs:
        del self._seen[key]
        lifetime_ns = now_ns - seen.since_ns
        sequence = self.next_sequence()
        return (OpportunityGone(self.sender, sequence, received_ns, seen.number, lifetime_ns),)

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


def _pair(buy: Instrument, sell: Instrument, config: ScannerConfig) -> Pair:
    """What stays the same of a pair: the least quantity that is whole lots on both."""
    lots = (buy.base_units_per_lot, sell.base_units_per_lot)
    step_units = reduce(lambda a, b: a * b // gcd(a, b), lots)
    limit = config.quantity_max.get(buy.base)
    return Pair(
        buy,
        sell,
        step_units / 10**buy.base_decimals,
        step_units,
        float("inf") if limit is None else float(limit),
    )
