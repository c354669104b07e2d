"""Orders of ours in a recorded market: its rules, and held against markets in which they really stood."""

from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.exchange.replayed import ReplayedMarket
from engine.messages import BUY, SELL
from ext.matching import IOC, LIMIT
from tests.l3_market import OURS, Publisher, TinyMarket, filled

PRICE = 100  # of our order, a buy
WHALE = 10**9
FLOOR = 90  # where somebody buys whatever comes

# (what, a number to choose by, lots): small numbers, so that queues are short and everything happens
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "add", "cancel", "cancel", "take", "take", "ask"]),
        st.integers(0, 30),
        st.integers(1, 12),
    ),
    min_size=15,
    max_size=60,
)
OWN = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 15)), min_size=1, max_size=3)
ORDERS = ("trades first", "levels first", "late levels", "late trades")


class Story:
    """The same steps in a market with our orders and, beside it, in one that never had them."""

    def __init__(self, own: list[tuple[int, int]]) -> None:
        self.truth = TinyMarket()
        self.without = TinyMarket()
        self.own = dict(enumerate(sorted(own)))  # number of our order: (step it comes at, lots)
        self.both(1, BUY, FLOOR, WHALE)
        self.numbers = [1]

    def both(self, number: int, side: int, ticks: int, lots: int) -> None:
        """Others' order joins both markets."""
        self.truth.add(number, side, ticks, lots)
        self.without.add(number, side, ticks, lots)

    def due(self, step: int) -> list[tuple[int, int]]:
        """Our orders of a step: (number in the true market, lots)."""
        return [(OURS - key, lots) for key, (at, lots) in self.own.items() if at == step]


def add(story: Story, choice: int, lots: int) -> tuple[int, int, int, int]:
    """Somebody bids from two below our price to two above."""
    number = len(story.numbers) + 1
    story.numbers.append(number)
    ticks = PRICE - 2 + choice % 5
    story.both(number, BUY, ticks, lots)
    return number, BUY, ticks, lots


@given(STEPS, OWN, st.booleans())
@settings(max_examples=300)
def test_an_exact_queue_fills_us_as_the_market_did(
    steps: list[tuple[str, int, int]], own: list[tuple[int, int]], published_with_us: bool
) -> None:
    """Order by order every fill is the true one, lot for lot and step for step.

    Either the recording is of the market in which we stood, our own orders taken out of it and
    trades with them told as trades with somebody unknown; or of one that never had us. There, of
    two orders of ours, the second could not know that the first spared those between them.
    """
    story = Story(own if published_with_us else own[:1])
    market = ReplayedMarket("exact", crossing_lots=True)
    market.added(1, BUY, FLOOR, WHALE)
    counts: Counter[int] = Counter()
    for step, (what, choice, lots) in enumerate([*steps, ("take", 0, 12)]):
        for number, size in story.due(step):
            story.truth.add(number, BUY, PRICE, size)
            market.submit(BUY, LIMIT, PRICE, size, owner=-number)
        if what == "add":
            market.added(*add(story, choice, lots))
        elif what == "cancel":
            number = story.numbers[choice % len(story.numbers)]
            lost = story.truth.cancel(number, lots) if number > 1 else 0
            other = story.without.cancel(number, lots) if number > 1 else 0
            if lost and (published_with_us or other):
                market.reduced(number, lost if published_with_us else other)
        elif what == "take":
            for_us = story.truth.take(SELL, 0, lots)
            for hit in for_us if published_with_us else story.without.take(SELL, 0, lots):
                if hit.number <= OURS:
                    market.trade(hit.ticks, hit.lots, SELL)
                else:
                    market.executed(hit.number, hit.lots)
        filled(market, counts)
        assert {OURS - n + 1: lots for n, lots in counts.items()} == dict(story.truth.fills)


def run_levels(
    queues: tuple[str, ...],
    order: str,
    steps: list[tuple[str, int, int]],
    own: list[tuple[int, int]],
) -> list[tuple[Counter[int], list[Counter[int]]]]:
    """Levels and trades to a market of each queue model; after each step true and guessed fills."""
    story = Story(own)
    markets = [ReplayedMarket(queue, skew_ns=1 << 60) for queue in queues]
    publishers = [Publisher(story.truth, market, order) for market in markets]
    counts: list[Counter[int]] = [Counter() for _ in markets]
    seen = []
    for publisher in publishers:
        publisher.changed(BUY, FLOOR)
        publisher.flush()
    for step, (what, choice, lots) in enumerate([*steps, ("take", 0, 12)]):
        for number, size in story.due(step):
            for publisher, market in zip(publishers, markets, strict=True):
                publisher.flush()  # the exchange itself is never late for its own book
                market.submit(BUY, LIMIT, PRICE, size)
            story.truth.add(number, BUY, PRICE, size)
        if what == "add":
            _, side, ticks, _ = add(story, choice, lots)
            for publisher in publishers:
                publisher.changed(side, ticks)
        elif what == "cancel":
            number = story.numbers[choice % len(story.numbers)]
            found = story.truth.find(number)
            if number > 1 and found and story.truth.cancel(number, lots):
                for publisher in publishers:
                    publisher.changed(found[0], found[1])
        elif what == "take":
            hits = story.truth.take(SELL, 0 if choice % 3 else PRICE, lots)
            for publisher in publishers:
                publisher.traded(hits)
        elif choice % 3 == 0:
            for publisher in publishers:
                publisher.flush()
        for market, count in zip(markets, counts, strict=True):
            filled(market, count)
        truth = Counter({OURS - number + 1: n for number, n in story.truth.fills.items()})
        seen.append((truth, [Counter(count) for count in counts]))
    return seen


@pytest.mark.parametrize("order", ORDERS)
@given(steps=STEPS, own=OWN)
@example(steps=[("add", 27, 5), ("cancel", 25, 1)], own=[(0, 6), (1, 2), (2, 6)])
@settings(max_examples=150)
def test_a_pessimistic_queue_is_never_ahead_of_the_truth(
    order: str, steps: list[tuple[str, int, int]], own: list[tuple[int, int]]
) -> None:
    """At no moment has any order more lots than it truly had, however the feed tells it."""
    for truth, (pessimistic,) in run_levels(("pessimistic",), order, steps, own):
        assert pessimistic <= truth


@pytest.mark.parametrize("order", ORDERS)
@given(steps=STEPS, lots=st.integers(1, 15))
@settings(max_examples=100)
def test_a_guess_is_never_behind_the_pessimist(
    order: str, steps: list[tuple[str, int, int]], lots: int
) -> None:
    """Whoever believes that some of those who leave were ahead is filled no later and no less."""
    queues = ("pessimistic", "power", "log")
    for _, (pessimistic, power, log) in run_levels(queues, order, steps, [(3, lots)]):
        assert pessimistic <= power
        assert pessimistic <= log


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["level", "level", "trade", "submit"]),
            st.integers(0, 11),
            st.integers(0, 9),
        ),
        min_size=5,
        max_size=50,
    ),
    st.booleans(),
)
def test_changes_and_whole_books_are_one_feed(
    steps: list[tuple[str, int, int]], crossing_lots: bool
) -> None:
    """Told level by level or as the whole book each time, a market does the same."""
    changes, wholes = (ReplayedMarket("power", crossing_lots=crossing_lots) for _ in range(2))
    book: dict[tuple[int, int], int] = {}
    changes.level(BUY, 1, 0)
    for what, choice, lots in steps:
        side = BUY if choice < 6 else SELL
        ticks = PRICE + choice % 6 - (3 if side == BUY else 2)
        crosses = any(s != side and (ticks - t) * side >= 0 for (s, t), n in book.items() if n)
        if what == "level" and not (lots and crosses):
            book[side, ticks] = lots
            changes.level(side, ticks, lots)
        elif what == "trade":
            changes.trade(ticks, lots, side)
            wholes.trade(ticks, lots, side)
        for market in (changes, wholes):
            if market is wholes:
                sides = [
                    sorted(
                        ((t, n) for (of, t), n in book.items() if of == s and n), reverse=s == BUY
                    )
                    for s in (BUY, SELL)
                ]
                market.show(*sides)
            if what == "submit":
                market.submit(side, LIMIT, ticks, lots)
        assert changes.reports() == wholes.reports()
        assert changes.levels(side) == wholes.levels(side)
        for number in changes.orders(0):
            assert changes.queue(number) == wholes.queue(number)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=60))
def test_nothing_is_taken_twice(steps: list[tuple[bool, int]]) -> None:
    """While a level stands we take no more of it than it began with and grew by."""
    market = ReplayedMarket()
    shown = ever = taken = 0
    for is_level, lots in steps:
        if is_level:
            ever = ever + max(0, lots - shown) if lots else 0
            taken = taken if lots else 0
            shown = lots
            market.level(SELL, PRICE, lots)
        else:
            left = market.best(SELL)[1]
            market.submit(BUY, LIMIT, PRICE, lots + 1, tif=IOC)
            taken += min(left, lots + 1)
        assert 0 <= market.best(SELL)[1] <= shown
        assert taken <= ever
