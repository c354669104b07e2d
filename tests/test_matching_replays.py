"""The matching kernel trades recorded markets again, and ends where the exchanges say they did."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from ext.matching import BUY, IOC, LIMIT, SELL, TRADE, MatchingBook, Report
from tests.recorded_orders import (
    CREATED,
    DELETED,
    DEPTH,
    EXECUTED,
    EXECUTED_HIDDEN,
    BitstampBook,
    BitstampEvent,
    BitstampMessage,
    BitstampTrade,
    Levels,
    NasdaqMessage,
    NasdaqRow,
    read_bitstamp,
    read_lobster,
)


@pytest.fixture(scope="module")
def nasdaq(recorded: Path) -> list[NasdaqRow]:
    """999 messages of AAPL with the exchange's ten levels after each."""
    return read_lobster(recorded)


class Nasdaq:
    """A book that begins as ten levels, one order each, and is told messages.

    The orders behind the first levels have no numbers in the file; each level begins as one
    order, `elders`, which stands before all that come later, as those did.
    """

    def __init__(self, bids: Levels, asks: Levels) -> None:
        self.book = MatchingBook()
        self.numbers: dict[int, int] = {}
        self.elders: dict[tuple[int, int], int] = {}
        self.counts: Counter[str] = Counter()
        for side, levels in ((BUY, bids), (SELL, asks)):
            for ticks, lots in levels:
                self.elders[side, ticks] = self.book.submit(side, LIMIT, ticks, lots)
        assert self.trades() == []

    def trades(self) -> list[Report]:
        """Those since the last time."""
        return [report for report in self.book.reports() if report.kind == TRADE]

    def tell(self, message: NasdaqMessage) -> None:
        """One message; what it says must be what the book does."""
        if message.kind == CREATED:
            self.numbers[message.order] = self.book.submit(
                message.side, LIMIT, message.ticks, message.lots
            )
            assert self.trades() == [], "the exchange would have told of executions"
        elif message.kind == DELETED:
            self._take_out(message)
        elif message.kind == EXECUTED:
            self._execute(message)
        else:
            assert message.kind == EXECUTED_HIDDEN
            self.counts["executed against hidden orders"] += 1

    def _resting(self, message: NasdaqMessage) -> int:
        """The number of the order that a message is about; 0 where there is none."""
        elder = self.elders.get((message.side, message.ticks), 0)
        return self.numbers.get(message.order, elder)

    def _take_out(self, message: NasdaqMessage) -> None:
        number = self._resting(message)
        view = self.book.order(number)
        known = "known" if message.order in self.numbers else "elder"
        if view is None or view.leaves < message.lots:
            self.counts[f"deleted, {known}, not in the book"] += 1
        elif view.leaves == message.lots:
            self.counts[f"deleted, {known}"] += 1
            self.book.cancel(number)
        else:
            self.counts[f"deleted in part, {known}"] += 1
            self.book.replace(number, lots=view.lots - message.lots)
        assert self.trades() == []

    def _execute(self, message: NasdaqMessage) -> None:
        """Somebody takes: an order from the other side meets whom the exchange says it met."""
        self.book.submit(-message.side, LIMIT, message.ticks, message.lots, tif=IOC)
        trades = self.trades()
        met = [(trade.other, trade.ticks, trade.lots) for trade in trades]
        known = "known" if message.order in self.numbers else "elder"
        if met == [(self._resting(message), message.ticks, message.lots)]:
            self.counts[f"executed, {known}"] += 1
        else:
            self.counts[f"executed, {known}, not as told"] += 1

    def come_into_sight(self, before: NasdaqRow, after: NasdaqRow) -> None:
        """Take from the exchange what happened to a level while it was beyond the tenth.

        Of what went the newest orders went, and what came stands as one order behind the others.
        """
        for side, seen, told in (
            (BUY, dict(before.bids), dict(after.bids)),
            (SELL, dict(before.asks), dict(after.asks)),
        ):
            edge = side * min(side * ticks for ticks in told)
            ours = dict(self.book.levels(side))
            for ticks in sorted(ours.keys() | told.keys()):
                missing = told.get(ticks, 0) - ours.get(ticks, 0)
                if missing == 0 or side * ticks < side * edge:
                    continue
                assert ticks not in seen, "it was in sight"
                self.counts["levels changed out of sight"] += 1
                for number, _, _, leaves in reversed(self._queue(side, ticks)):
                    if missing < 0:
                        self.book.cancel(number)
                        missing += leaves
                if missing:
                    self.elders[side, ticks] = self.book.submit(side, LIMIT, ticks, missing)
                assert self.trades() == []

    def _queue(self, side: int, ticks: int) -> list[tuple[int, int, int, int]]:
        return [row for row in self.book.resting(side) if row[1] == ticks]


def test_each_nasdaq_message_makes_the_next_book(nasdaq: list[NasdaqRow]) -> None:
    """Book n - 1 and message n are book n, for every message; executions by matching.

    Where a level goes the exchange shows another from beyond its tenth, which book n - 1 does
    not have: there nine levels are compared.
    """
    kinds: Counter[int] = Counter()
    beyond = 0
    for before, after in pairwise(nasdaq):
        market = Nasdaq(before.bids, before.asks)
        market.tell(after.message)
        assert not [name for name in market.counts if "not" in name], after.message
        kinds[after.message.kind] += 1
        for side, told in ((BUY, after.bids), (SELL, after.asks)):
            ours = market.book.levels(side, DEPTH)
            assert ours == told[: len(ours)]
            assert len(ours) >= DEPTH - 1
            beyond += len(ours) < DEPTH
    print(f"{sum(kinds.values())} of {len(nasdaq) - 1} books, {beyond} with a level from beyond")
    assert kinds == {CREATED: 470, DELETED: 369, EXECUTED: 98, EXECUTED_HIDDEN: 61}
    assert beyond == 318


def opened(nasdaq: list[NasdaqRow]) -> Nasdaq:
    """A market at the first row, in which the order of the first message has its number."""
    first = nasdaq[0]
    market = Nasdaq(first.bids, first.asks)
    market.numbers[first.message.order] = market.elders[first.message.side, first.message.ticks]
    return market


def test_nasdaq_in_one_run(nasdaq: list[NasdaqRow]) -> None:
    """All messages into one book: it drifts, since the file is silent about what is beyond ten levels.

    A level that leaves the ten and comes back is another by then, and four executions name orders
    of levels that came from there. The best ask is right throughout, the best bid but for those.
    """
    market = opened(nasdaq)
    equal: Counter[str] = Counter()
    for row in nasdaq[1:]:
        market.tell(row.message)
        ours = {side: market.book.levels(side, DEPTH) for side in (BUY, SELL)}
        equal["best bids"] += ours[BUY][0] == row.bids[0]
        equal["best asks"] += ours[SELL][0] == row.asks[0]
        equal["ten bids"] += ours[BUY] == row.bids
        equal["ten asks"] += ours[SELL] == row.asks
    print(f"of {len(nasdaq) - 1} books equal: {dict(equal)}; {dict(market.counts)}")
    assert equal == {"best bids": 954, "best asks": 998, "ten bids": 173, "ten asks": 717}
    assert market.counts == {
        "executed, known": 94,
        "executed, elder, not as told": 4,
        "deleted, known": 364,
        "deleted, elder": 4,
        "deleted in part, elder": 1,
        "executed against hidden orders": 61,
    }


def test_nasdaq_in_one_run_with_what_comes_into_sight(nasdaq: list[NasdaqRow]) -> None:
    """The same, but a level that comes into the ten is taken as the exchange shows it.

    Then all books are equal, all ten levels, and each of the 98 executions meets the very order
    that the exchange names: 94 that the file knows, and 4 that are older than their level's sight.
    """
    market = opened(nasdaq)
    for before, after in pairwise(nasdaq):
        market.tell(after.message)
        market.come_into_sight(before, after)
        assert market.book.levels(BUY, DEPTH) == after.bids
        assert market.book.levels(SELL, DEPTH) == after.asks
    print(f"{len(nasdaq) - 1} of {len(nasdaq) - 1} books equal; {dict(market.counts)}")
    assert market.counts == {
        "executed, known": 94,
        "executed, elder": 4,
        "deleted, known": 364,
        "deleted, elder": 4,
        "deleted in part, elder": 1,
        "executed against hidden orders": 61,
        "levels changed out of sight": 14,
    }


@pytest.fixture(scope="module")
def bitstamp(recorded: Path) -> list[BitstampMessage]:
    """Five hours of 2015-05-01, order by order, with the exchange's books and trades between."""
    return read_bitstamp(recorded)


class Bitstamp:
    """A book that begins as the exchange's first one and is told events.

    Orders trade here when they come, and the events that tell of it come later: whatever an event
    says must be what an order went through here, in that order.
    """

    def __init__(self, messages: list[BitstampMessage]) -> None:
        self.book = MatchingBook(ticks_max=1 << 20, lots_max=1 << 40)
        self.numbers: dict[int, int] = {}
        self.left: dict[int, list[int]] = {}
        self.ended: set[int] = set()
        self.trades: Counter[BitstampTrade] = Counter()
        self.counts: Counter[str] = Counter()
        for event in sorted(standing(messages), key=lambda event: event.order):
            self._enter(event)
        assert not self.trades

    def _enter(self, event: BitstampEvent) -> None:
        number = self.book.submit(event.side, LIMIT, event.ticks, event.lots)
        self.numbers[event.order] = number
        self._follow()

    def _follow(self) -> None:
        """Note the trades, and through which sizes orders went by them."""
        for report in self.book.reports():
            if report.kind == TRADE:
                self.trades[BitstampTrade(report.ticks, report.lots)] += 1
                self.left.setdefault(report.order, []).append(report.leaves)
                self.left.setdefault(report.other, []).append(report.other_leaves)

    def tell(self, event: BitstampEvent) -> None:
        """One event; counted by what it is here."""
        self.counts[self._take(event)] += 1

    def _take(self, event: BitstampEvent) -> str:
        if event.order in self.ended:
            return f"{event.kind} after its end"
        if event.kind == "created":
            self._enter(event)
            return "created"
        if event.kind == "deleted":
            self.ended.add(event.order)
        if event.order not in self.numbers:
            return "deleted before it was created"
        number = self.numbers[event.order]
        left, view = self.left.get(number, []), self.book.order(number)
        traded = event.kind == "changed" or event.lots == 0
        if traded and event.lots in left:
            del left[: left.index(event.lots) + 1]
            return "filled as here" if event.lots == 0 else "filled in part as here"
        if view is None:
            return f"{event.kind}, but filled here"
        if event.kind == "deleted":
            self.book.cancel(number)
            return "cancelled with what was left" if view.leaves == event.lots else "cancelled"
        self.book.replace(number, event.ticks, view.lots - view.leaves + event.lots)
        self._follow()
        return "changed in size" if view.ticks == event.ticks else "changed in price"


def first_book(messages: list[BitstampMessage]) -> int:
    """Where the exchange's first book stands."""
    return next(n for n, message in enumerate(messages) if isinstance(message, BitstampBook))


def standing(messages: list[BitstampMessage]) -> list[BitstampEvent]:
    """The orders that stand at the first book, each as an event with its size.

    Those created before it, and those whose first event comes later and is no creation: older
    than the file. What trades away with that event was theirs too; the trade is told right after.
    """
    start = first_book(messages)
    events = [(n, m) for n, m in enumerate(messages) if isinstance(m, BitstampEvent)]
    found = {m.order: m for n, m in events if n < start}
    seen = set(found) | {m.order for _, m in events if m.kind == "created"}
    standing = [m for m in found.values() if m.kind != "deleted"]
    for n, event in events:
        if event.order not in seen:
            seen.add(event.order)
            trades = (m for m in messages[n : n + 8] if isinstance(m, BitstampTrade))
            traded = next((trade.lots for trade in trades if trade.ticks == event.ticks), 0)
            untouched = event.kind == "deleted" and event.lots > 0
            standing.append(event._replace(lots=event.lots + (0 if untouched else traded)))
    return standing


def test_bitstamp_trades_again(bitstamp: list[BitstampMessage]) -> None:
    """50,000 events of orders through the kernel make the exchange's trades and its best prices.

    What is not the same: four books have a best bid, 1.0 at 234.15, of which no event ever speaks
    (deeper levels have some twenty more of such orders, older than the file); five show an ask side
    a few messages old; four buyers' funds ended some satoshi early, so that each is deleted with
    what it could not pay, and its last trade and the seller's size differ by that.
    """
    start = first_book(bitstamp)
    market = Bitstamp(bitstamp)
    first = bitstamp[start]
    assert isinstance(first, BitstampBook)
    assert (market.book.levels(BUY, 20), market.book.levels(SELL, 20)) == (first.bids, first.asks)
    official, equal = Counter[BitstampTrade](), Counter[str]()
    recent: list[dict[int, tuple[int, int]]] = []
    for message in bitstamp[start:]:
        if isinstance(message, BitstampEvent):
            market.tell(message)
            recent = [*recent[-4:], {side: market.book.best(side) for side in (BUY, SELL)}]
        elif isinstance(message, BitstampTrade):
            official[message] += 1
        else:
            whole = market.book.levels(BUY, 20), market.book.levels(SELL, 20)
            equal["forty levels"] += whole == (message.bids, message.asks)
            for name, side, told in (("bid", BUY, message.bids[0]), ("ask", SELL, message.asks[0])):
                if market.book.best(side) == told:
                    equal[f"best {name}"] += 1
                elif any(best[side] == told for best in recent):
                    equal[f"best {name}, but old"] += 1
                else:
                    equal[f"another best {name}, {told}"] += 1
    same = (market.trades & official).total()
    print(f"{start} messages before the first book; {dict(equal)}; {dict(market.counts)}")
    print(f"trades: {official.total()} told, {market.trades.total()} made, {same} of them the same")
    assert equal == {
        "best bid": 5007,
        "another best bid, (23415, 100000000)": 4,
        "best ask": 5006,
        "best ask, but old": 5,
        "forty levels": 2334,
    }
    assert market.counts == {
        "created": 24888,
        "cancelled with what was left": 24306,
        "filled as here": 579,
        "filled in part as here": 560,
        "changed in price": 36,  # market orders follow the other side's best until they are filled
        "changed in size": 4,  # the four buyers' sellers
        "deleted, but filled here": 4,  # the four buyers
        "deleted before it was created": 5,  # told in the wrong order
        "created after its end": 5,
        "changed after its end": 1,
        "deleted after its end": 21,  # told twice
    }
    assert (official.total(), market.trades.total(), same) == (574, 574, 570)
