"""Our own feed handler of Binance builds live books from the exchange's Binance: level by level its own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from engine.config import parse
from engine.edges.solo import SoloRun
from engine.edges.verification import verify_run
from engine.exchange.wires.binance_limits import BINANCE
from engine.fault_config import FaultConfig, FaultKind
from engine.venue import Venue as VenueComponent
from ext.book import ASK, BID
from ext.matching import BUY, SELL
from tests.binance_server import Venue

PATIENCE_S = 30.0
SYMBOLS = (("BTC/USDT", "0.01", "0.00001"), ("ETH/USDT", "0.01", "0.0001"))


def config_text(venue: Venue, folder: Path) -> str:
    """A configuration that watches the venue as if it were Binance."""
    lines = ['name = "watch"', f'state_dir = "{folder}"', "[api]", "port = 0", "[[venues]]"]
    lines += ['name = "binance"', 'kind = "watch"', 'protocol = "binance"', "stale_ms = 60000"]
    lines += [f'rest_url = "{venue.http}"', f'stream_url = "{venue.ws}/stream"']
    for symbol, tick, lot in SYMBOLS:
        lines += ["[[instruments]]", 'venue = "binance"', f'symbol = "{symbol}"']
        lines += [f'native = "{symbol.replace("/", "")}"']
        lines += [f'tick_size = "{tick}"', f'lot_size = "{lot}"']
    return "\n".join(lines) + "\n"


class Watching:
    """An engine that watches the venue."""

    def __init__(self, venue: Venue, solo: SoloRun, turned: asyncio.Event) -> None:
        self.venue = venue
        self.solo = solo
        self._turned = turned
        components = solo.loop.host.components
        self.component = next(c for c in components if isinstance(c, VenueComponent))

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for a condition; it is looked at after each of the engine's turns."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                self._turned.clear()
                await self._turned.wait()

    def same(self) -> bool:
        """Whether each book is LIVE and the exchange's own, level by level."""
        for number in range(len(SYMBOLS)):
            tracked = self.component.books[number]
            ours = [tracked.book.levels(side) for side in (BID, ASK)]
            theirs = [list(side) for side in self.venue.exchange.markets[number].depth(0)]
            if not tracked.live or ours != theirs:
                return False
        return True


@asynccontextmanager
async def watching(folder: Path) -> AsyncIterator[Watching]:
    """The venue with Binance's own limits, and an engine; afterwards the run replays to the same."""
    venue = Venue(BINANCE)
    await venue.open()
    text = config_text(venue, folder)
    solo = SoloRun(parse(text, "test"), text)
    turned = asyncio.Event()
    serving = asyncio.create_task(solo.serve(None, turned.set))
    try:
        yield Watching(venue, solo, turned)
    finally:
        solo.directory.stop_wanted = True
        await serving
        await venue.close()
        solo.close()
    assert solo.loop.error == ""
    (verdict,) = verify_run(solo.config, solo.folder)
    assert verdict.differences == ()
    assert verdict.inputs > 0


def move(venue: Venue, random: Random) -> None:
    """One order of the maker, in one of the markets."""
    number = random.randrange(2)
    middle, lots = (10_000, 100_000) if number == 0 else (5_000, 10_000)
    side = random.choice((BUY, SELL))
    if random.random() < 0.2:
        venue.trade(side, random.randrange(lots, 3 * lots), number)
    else:
        distance = random.randrange(1, 300)
        venue.quote(side, middle - side * distance, random.randrange(lots, 3 * lots), number)


@pytest.mark.parametrize("seed", range(2))
async def test_live_books_are_the_exchanges_own(tmp_path: Path, seed: int) -> None:
    """After each burst of orders, in both markets."""
    random = Random(seed)
    async with watching(tmp_path) as run:
        await run.until(run.same)
        for _ in range(6):
            for _ in range(random.randrange(20, 80)):
                move(run.venue, random)
                if random.random() < 0.1:
                    await asyncio.sleep(0.03)
            await run.until(run.same)
        assert run.component.counts.gaps == 0


async def test_a_hole_is_found_and_mended(tmp_path: Path) -> None:
    """Frames that are lost, and a connection that is cut: the book is LIVE and right again."""
    random = Random(7)
    async with watching(tmp_path) as run:
        await run.until(run.same)
        for number, middle in ((0, 10_000), (1, 5_000)):
            run.venue.quote(BUY, middle - 7, 100_000, number)
        await run.until(run.same)
        now_ns = run.venue.server.now_ns()
        run.venue.faults.set(FaultConfig(FaultKind.GAP, count=3), now_ns)
        for _ in range(60):
            move(run.venue, random)
            await asyncio.sleep(0.01)
        await run.until(run.same)
        assert run.component.counts.gaps > 0
        run.venue.faults.set(FaultConfig(FaultKind.DISCONNECT), run.venue.server.now_ns())
        for _ in range(30):
            move(run.venue, random)
            await asyncio.sleep(0.02)
        await run.until(run.same)
