"""Bitstamp's real queues, order by order: what each model makes of orders that stood in them.

First real orders, taken out of the stream as if they were ours: what happened to them is the truth.
They nearly always stood alone at their price. So then orders of one lot that nobody placed, behind real
queues: the exact queue, which the real orders have proven, is the judge of the guesses.
docs/fill-models.md has the tables.
"""

from collections import deque
from collections.abc import Iterable
from pathlib import Path
from random import Random
from statistics import fmean

import pytest

from engine.exchange.replayed import ReplayedMarket
from engine.messages import BUY, SELL
from ext.book import Book
from ext.matching import LIMIT, TRADE
from tests.bitstamp import HIT, JOINED, LEFT, PRINTED, Event, events

SECOND = 10**9
HORIZON_NS = 10 * SECOND  # how long a model may be late and still be measured
WARM_NS = 600 * SECOND  # until then many orders are older than the recording
PRINT_NS = SECOND  # a trade is printed within this of its orders' change
MODELS = {
    "exact": ("exact", 1.0),
    "pessimistic": ("pessimistic", 1.0),
    "power 1": ("power", 1.0),
    "power 2": ("power", 2.0),
    "power 3": ("power", 3.0),
    "log": ("log", 1.0),
}
TRIED = ("exact", "pessimistic", "power 1", "log")  # on the real orders, which are many events
Live = dict[int, list[int]]  # side, ticks, lots left


def tell_order(market: ReplayedMarket, event: Event, ours: bool) -> None:
    """An event as an exact market hears it; a trade with ours is one with somebody unknown."""
    if event.kind == JOINED:
        market.added(event.order, event.side, event.ticks, event.lots)
    elif event.kind == HIT and ours:
        market.trade(event.ticks, event.lots, -event.side)
    elif event.kind == HIT:
        market.executed(event.order, event.lots)
    elif event.kind == LEFT:
        market.reduced(event.order, event.lots)


class Trial:
    """One real order played as ours in a market of each model, from which it was taken out."""

    def __init__(self, event: Event, live: Live) -> None:
        self.order = event.order
        self.lots = event.lots
        self.side, self.ticks = event.side, event.ticks
        self.ahead = sum(v[2] for v in live.values() if v[:2] == [self.side, self.ticks])
        self.truth: list[tuple[int, int]] = []
        self.end_ns = 0  # when it was cancelled or had all; 0 while it lives
        self.guesses: dict[str, list[tuple[int, int]]] = {name: [] for name in TRIED}
        self.markets = {
            name: ReplayedMarket(MODELS[name][0], power=MODELS[name][1]) for name in TRIED
        }
        sums: dict[tuple[int, int], int] = {}
        for number, (side, ticks, lots) in live.items():
            self.markets["exact"].added(number, side, ticks, lots)
            sums[side, ticks] = sums.get((side, ticks), 0) + lots
        sides = [
            sorted(((t, lots) for (of, t), lots in sums.items() if of == side), reverse=side > 0)
            for side in (1, -1)
        ]
        for name, market in self.markets.items():
            if name != "exact":
                market.show(*sides)
            market.advance(event.at_ns)
            market.submit(self.side, LIMIT, self.ticks, self.lots)

    @property
    def filled(self) -> int:
        """What it really traded."""
        return sum(lots for _, lots in self.truth)

    def over(self, now_ns: int) -> bool:
        """Whether nothing more is to be learned."""
        late = HORIZON_NS if self.filled == self.lots else 0
        return bool(self.end_ns) and now_ns > self.end_ns + late

    def play(self, event: Event, book: Book) -> None:
        """One event of the stream; the book is that after it, ours still in it."""
        ours = event.order == self.order
        for name, market in self.markets.items():
            market.advance(event.at_ns)
            if ours and event.kind == LEFT:
                market.cancel(1)
            elif name == "exact":
                tell_order(market, event, ours)
            elif event.kind == PRINTED:
                market.trade(event.ticks, event.lots, event.side)
            else:
                self._by_level(market, event, book)
            for report in market.reports():
                if report.kind == TRADE:
                    self.guesses[name].append((event.at_ns, report.lots))
        if ours:
            if event.kind == HIT:
                self.truth.append((event.at_ns, event.lots))
            if event.kind == LEFT or self.filled == self.lots:
                self.end_ns = event.at_ns

    def _by_level(self, market: ReplayedMarket, event: Event, book: Book) -> None:
        lots = book.lots_at(event.side, event.ticks)
        if (event.side, event.ticks) == (self.side, self.ticks) and not self.end_ns:
            lots -= self.lots - self.filled - event.lots * (event.order == self.order)
        market.level(event.side, event.ticks, lots)


@pytest.fixture(scope="module")
def stream(recorded: Path) -> list[Event]:
    """The whole recording."""
    path = recorded / "bitstamp_l3" / "2015-05-01.log.xz"
    if not path.is_file():
        pytest.skip(f"no orders of Bitstamp at {path}")
    return events(path)


class Queues:
    """All orders that live, and the levels they make."""

    def __init__(self) -> None:
        self.live: Live = {}
        self.book = Book()

    def best(self, side: int) -> int:
        """The best price of a side; 0 without one."""
        return self.book.bid_ticks if side == BUY else self.book.ask_ticks

    def rests(self, event: Event) -> bool:
        """Whether an order that comes crosses nothing."""
        other = self.best(-event.side)
        return not other or (event.ticks - other) * event.side < 0

    def apply(self, event: Event) -> Event | None:
        """Follow an event; as it really was, or None for an order that never rested or is too old."""
        if event.kind == PRINTED:
            return event
        if event.kind == JOINED:
            if not self.rests(event):
                return None
            self.live[event.order] = [event.side, event.ticks, event.lots]
            self.book.add(event.side, event.ticks, event.lots)
            return event
        order = self.live.get(event.order)
        if order is None:
            return None
        lots = min(event.lots, order[2])
        order[2] -= lots
        self.book.add(order[0], order[1], -lots)
        if not order[2]:
            del self.live[event.order]
        return event._replace(ticks=order[1], lots=lots)


def trials(stream: list[Event]) -> list[Trial]:
    """Each order that was hit, and every fiftieth of those at the touch that were not."""
    hit = {event.order for event in stream if event.kind == HIT}
    queues, done = Queues(), []
    running: list[Trial] = []
    spared = 0
    begin_ns = stream[0].at_ns + WARM_NS
    for told in stream:
        if told.kind == JOINED and told.at_ns > begin_ns and queues.rests(told):
            near = (told.ticks - queues.best(told.side)) * told.side >= 0
            spared += near and told.order not in hit
            if told.order in hit or (near and spared % 20 == 0):
                running.append(Trial(told, queues.live))
        event = queues.apply(told)
        if event is None:
            continue
        for trial in running:
            if event.kind != JOINED or event.order != trial.order:
                trial.play(event, queues.book)
        done += [trial for trial in running if trial.over(event.at_ns)]
        running = [trial for trial in running if not trial.over(event.at_ns)]
    return done


def table(of: Iterable[Trial]) -> dict[str, tuple[int, int, int, float, float]]:
    """By model: filled as it was, too much, too little; then how late, and how far off either way (s)."""
    rows = {}
    chosen = list(of)
    for name in TRIED:
        right = more = less = 0
        late = []
        for trial in chosen:
            guess = trial.guesses[name]
            until = trial.end_ns + PRINT_NS * (trial.filled == trial.lots)
            lots = sum(size for at_ns, size in guess if at_ns <= until)
            right += lots == trial.filled
            more += lots > trial.filled
            less += lots < trial.filled
            if trial.filled == trial.lots == sum(size for _, size in guess):
                late.append((guess[-1][0] - trial.truth[-1][0]) / SECOND)
        rows[name] = (right, more, less, fmean(late), fmean(map(abs, late)))
    return rows


def test_real_orders_taken_out_of_the_stream(stream: list[Event]) -> None:
    """By the moment they ended each model has filled exactly what they had, but for the print's delay."""
    found = trials(stream)
    queued = [trial for trial in found if trial.ahead]
    for title, chosen in (("all", found), ("with somebody ahead", queued)):
        hit = sum(trial.filled > 0 for trial in chosen)
        print(f"\n{title}: {len(chosen)} orders, {hit} of them filled in whole or part")
        print(f"{'model':12} {'right':>6} {'more':>5} {'less':>5} {'late s':>8} {'off s':>8}")
        for name, (right, more, less, late, off) in table(chosen).items():
            print(f"{name:12} {right:6} {more:5} {less:5} {late:8.3f} {off:8.3f}")
            assert (right, more, less) == (len(chosen), 0, 0), name
            assert abs(late) <= off < (0.001 if name == "exact" else 0.1), name
    assert len(found) > 400
    assert len(queued) > 40


class Imagined:
    """One lot behind a real queue every ten seconds, in a market of each model.

    At the best price or one of the next two, where somebody stands; taken out after five minutes.
    `filled` is when each was; `off` how far each model's count of lots ahead was from the exact one's.
    """

    def __init__(self, stream: list[Event], skew_ns: int) -> None:
        self.markets = {
            name: ReplayedMarket(queue, power=power, skew_ns=skew_ns)
            for name, (queue, power) in MODELS.items()
        }
        self.filled: dict[str, dict[int, int]] = {name: {} for name in MODELS}
        self.off: dict[str, list[float]] = {name: [] for name in MODELS}
        self._queues = Queues()
        random, due_ns = Random(1), stream[0].at_ns + WARM_NS
        waiting: deque[tuple[int, int]] = deque()
        for told in stream:
            event = self._queues.apply(told)
            if event is None:
                continue
            self._play(event)
            while waiting and waiting[0][0] <= event.at_ns:
                number = waiting.popleft()[1]
                for market in self.markets.values():
                    market.cancel(number)
            if event.at_ns > due_ns:
                due_ns = event.at_ns + 10 * SECOND
                self._measure()
                waiting.append((event.at_ns + 300 * SECOND, self._place(random)))

    def _play(self, event: Event) -> None:
        for name, market in self.markets.items():
            market.advance(event.at_ns)
            if name == "exact":
                tell_order(market, event, ours=False)
            elif event.kind == PRINTED:
                market.trade(event.ticks, event.lots, event.side)
            else:
                lots = self._queues.book.lots_at(event.side, event.ticks)
                market.level(event.side, event.ticks, lots)
            for report in market.reports():
                if report.kind == TRADE:
                    self.filled[name][report.other] = event.at_ns

    def _place(self, random: Random) -> int:
        side = random.choice((BUY, SELL))
        ticks = random.choice(self._queues.book.levels(side)[:3])[0]
        for market in self.markets.values():
            market.submit(side, LIMIT, ticks, 1)
        return self.markets["exact"].next_order - 1

    def _measure(self) -> None:
        everywhere = set.intersection(*(set(m.orders(0)) for m in self.markets.values()))
        for number in everywhere:
            exact = self.markets["exact"].queue(number)[0]
            for name, market in self.markets.items():
                self.off[name].append((market.queue(number)[0] - exact) / 1e8)


@pytest.mark.parametrize("skew_ms", [0, 250])
def test_guesses_are_held_against_the_exact_queue(stream: list[Event], skew_ms: int) -> None:
    """The pessimist hardly ever fills what the exact queue does not; guesses know their place better.

    With no skew a trade and its level, 11 ms apart, are counted twice: that is what it is for.
    """
    played = Imagined(stream, skew_ms * SECOND // 1_000)
    exact = played.filled["exact"]
    print(f"\n{len(exact)} of one lot filled, skew {skew_ms} ms")
    print(
        f"{'model':12} {'both':>6} {'more':>5} {'less':>5} {'late s':>8} {'off s':>8} {'off BTC':>8}"
    )
    rows = {}
    for name, guess in played.filled.items():
        both = exact.keys() & guess.keys()
        late = [(guess[number] - exact[number]) / SECOND for number in both]
        more, less = len(guess.keys() - exact.keys()), len(exact.keys() - guess.keys())
        place = fmean(map(abs, played.off[name]))
        rows[name] = more, less, fmean(late), place
        print(
            f"{name:12} {len(both):6} {more:5} {less:5} {fmean(late):8.3f} "
            f"{fmean(map(abs, late)):8.3f} {place:8.3f}"
        )
    more, less, late_s, _ = rows["pessimistic"]
    assert less <= 0.01 * len(exact)
    assert rows["exact"] == (0, 0, 0.0, 0.0)
    if skew_ms:
        assert more <= 0.01 * len(exact)
        assert abs(late_s) < 0.1
    else:
        assert more > 0.05 * len(exact)
