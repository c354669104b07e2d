"""The engine's own feed of Kraken, on its real sockets, builds the exchange's books out of its Kraken.

Every checksum that the exchange sends is looked at by the handler; none may be wrong.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from random import Random
from typing import Any, cast

import pytest

from engine.assembly import build, topology_of
from engine.config import instruments_of, parse
from engine.edges.feeds import open_feeds
from engine.edges.loop import ActorLoop
from engine.fault_config import FaultConfig, FaultKind
from engine.messages import BookState, BookStateChanged, BookTop, Started, Trade
from engine.venue import Venue as Watching
from engine.venues.kraken import DEPTH
from ext.book import ASK, BID
from ext.matching import BUY, SELL
from tests.kraken_server import MARKETS, Venue
from tests.loopback.harness import Client
from tests.loopback_only import loopback_only

STEPS = 400
WAIT_S = 10


class Now:
    """The wall's clock."""

    def now_ns(self) -> int:
        """Now."""
        return time.time_ns()

    def wall(self, at_ns: int) -> float:
        """When that is, by the event loop's clock."""
        return asyncio.get_running_loop().time() + (at_ns - time.time_ns()) / 1e9


class Told:
    """What the venue said."""

    def __init__(self) -> None:
        self.changes: list[BookStateChanged] = []
        self.trades: list[Trade] = []
        self.tops: dict[int, BookTop] = {}

    def take(self, message: Any) -> None:
        """A message of the venue."""
        if isinstance(message, BookStateChanged):
            self.changes.append(message)
        elif isinstance(message, Trade):
            self.trades.append(message)
        elif isinstance(message, BookTop):
            self.tops[message.instrument] = message


class Engine(Client):
    """A venue of the engine that watches, by the protocol of Kraken."""

    def __init__(self, venue: Venue) -> None:
        lines = [
            'name = "watching"',
            "[assets]",
            *(f"{asset} = 10" for asset in ("BTC", "ETH", "DOGE", "USD", "USDT")),
            "[[venues]]",
            'name = "kraken"',
            'kind = "watch"',
            'protocol = "kraken"',
            f'stream_url = "{venue.ws}/v2"',
            f'rest_url = "{venue.http}"',
        ]
        for symbol, tick, lot, *_ in MARKETS:
            lines += [
                "[[instruments]]", 'venue = "kraken"', f'symbol = "{symbol}"', f'native = "{symbol}"',
                f'tick_size = "{tick}"', f'lot_size = "{lot}"',
            ]  # fmt: skip
        self.config = parse("\n".join(lines), "test")
        self.pulse = cast("Any", type("Pulse", (), {"beat": lambda self: None})())
        self.directory = cast("Any", Now())
        self.gate = cast("Any", type("Gate", (), {"gateway": None})())
        topology = topology_of(self.config)
        instruments = instruments_of(self.config)
        made = build(self.config, topology, instruments, topology.actors[0])
        self.venue = cast("Watching", made[0])
        self.host = cast("Any", type("Host", (), {"components": [self.venue]})())
        self.shown = cast("Any", Told())
        self.failures = []
        self._sequence = 0
        self._timers = {}

    def start(self) -> None:
        """Begin to watch."""
        self.inject(Started(0, self.next_shell_sequence(), 0, 1))
        self.feeds = open_feeds(cast("ActorLoop", self), self.config, "")

    @property
    def all_live(self) -> bool:
        """Whether every book is known to be right."""
        return all(tracked.state is BookState.LIVE for tracked in self.venue.books.values())

    def books(self) -> list[list[list[tuple[int, int]]]]:
        """All books as levels in ticks and lots."""
        return [
            [tracked.book.levels(side)[:DEPTH] for side in (BID, ASK)]
            for tracked in self.venue.books.values()
        ]


def own(venue: Venue) -> list[list[list[tuple[int, int]]]]:
    """The exchange's own books."""
    return [list(market.depth(DEPTH)) for market in venue.exchange.markets.values()]


async def until(true: Any) -> bool:
    """Whether something becomes so in time."""
    for _ in range(WAIT_S * 100):
        if true():
            return True
        await asyncio.sleep(0.01)
    return False


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    """A venue on loopback; nothing else may be asked."""
    with loopback_only():
        made = Venue()
        await made.open()
        yield made
        await made.close()


def disturb(venue: Venue, random: Random) -> None:
    """Something happens in one of the markets: near the top, far from it, or a trade."""
    number = random.randrange(len(MARKETS))
    *_, middle, lots = MARKETS[number]
    side = random.choice((BUY, SELL))
    what = random.random()
    if what < 0.2:
        venue.trade(side, lots * random.randint(1, 30) // 10, number)
    elif what < 0.4:
        orders = venue.exchange.open_orders("maker", number)
        if orders:
            gone = random.choice(orders).number
            venue.do(lambda now_ns: venue.exchange.cancel("maker", gone, now_ns))
    else:
        ticks = middle - side * random.choice((-3, 1, 4, 60, 150, 400))
        ticks += random.randint(-20, 20)
        venue.quote(side, max(1, ticks), lots * random.randint(1, 20) // 10, number)


async def test_the_engine_sees_the_exchanges_books(venue: Venue) -> None:
    """Live, verified, and equal level by level, after hundreds of changes in five markets."""
    engine = Engine(venue)
    engine.start()
    assert await until(lambda: engine.all_live), engine.state()
    topics = venue.wire._stream._channels._subscribers
    assert await until(lambda: len([t for t in topics if t.channel == "trade"]) == len(MARKETS))
    random = Random(7)
    for step in range(STEPS):
        disturb(venue, random)
        if step % 10 == 0:
            await asyncio.sleep(0)
    assert await until(lambda: engine.books() == own(venue)), engine.state()
    assert engine.all_live
    assert not engine.failures
    counts = engine.venue.counts
    assert (counts.checksums_failed, counts.unchecked, counts.malformed, counts.resyncs) == (
        0,
        0,
        0,
        0,
    )
    assert counts.checksums > STEPS / 2
    lost = [each for each in engine.shown.changes if each.state is not BookState.LIVE]
    assert not lost
    traded = sum(market.trade_count - 1 for market in venue.exchange.markets.values())
    assert await until(lambda: len(engine.shown.trades) == traded)
    for number, top in engine.shown.tops.items():
        best = [
            market.book.best(side)
            for market in [venue.exchange.markets[number]]
            for side in (BUY, SELL)
        ]
        assert [(top.bid_ticks, top.bid_lots), (top.ask_ticks, top.ask_lots)] == best
    await engine.close()


async def test_a_lost_change_is_found_by_the_checksum(venue: Venue) -> None:
    """A change that a fault keeps back makes the book unknown, and a new snapshot right again."""
    engine = Engine(venue)
    engine.start()
    assert await until(lambda: engine.all_live), engine.state()
    fault = FaultConfig(kind=FaultKind.GAP, symbol="BTC/USDT", count=1)
    venue.faults.set(fault, venue.server.now_ns())
    for ticks in (499_995, 499_996):
        venue.quote(BUY, ticks, 10**7)
    assert await until(lambda: len(engine.shown.changes) > len(MARKETS)), engine.state()
    assert await until(lambda: engine.all_live and engine.books() == own(venue)), engine.state()
    await engine.close()


async def test_it_comes_back_after_a_hangup(venue: Venue) -> None:
    """The connection is cut; the next one begins with snapshots."""
    engine = Engine(venue)
    engine.start()
    assert await until(lambda: engine.all_live), engine.state()
    venue.do(venue.front.close)
    assert await until(lambda: not engine.all_live), engine.state()
    venue.quote(BUY, 499_995, 10**7)
    assert await until(lambda: engine.all_live and engine.books() == own(venue)), engine.state()
    await engine.close()
