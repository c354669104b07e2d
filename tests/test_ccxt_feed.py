"""The real ccxt.pro client of an exchange that has no handler here, against that exchange on loopback."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from ccxt.base.errors import NetworkError

from engine.assembly import build, topology_of
from engine.config import Config, instruments_of, parse
from engine.edges.ccxt_client import client_class
from engine.edges.journal import read_inbox, segments
from engine.edges.solo import SoloRun
from engine.edges.verification import verify_run
from engine.messages import (
    BUY,
    SELL,
    AnyMessage,
    BookState,
    BookStateChanged,
    Disconnected,
    Frame,
    Reason,
    Trade,
    VenueStatus,
    decode,
)
from engine.venue import FAILED, Venue
from ext.book import ASK, BID
from tests.ccxt_exchange import LOT, TICK, LoopbackExchange

DEPTH = 50
PATIENCE_S = 30.0
LONG_MS = 600_000
PAIRS = ("BTC/USDT", "ETH/USDT")
MANY = ("BTC/USDT", "ETH/USDT", "BTC/USDC", "ETH/USDC", "BTC/EUR", "ETH/EUR", "ETH/BTC")
ROOT = Path(__file__).resolve().parents[1]

_outside: list[object] = []
_watching: list[bool] = []


def _on_connect(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse and remember every connection of this process that leaves the machine."""
    if not _watching or event not in {"socket.connect", "socket.getaddrinfo"}:
        return
    address = arguments[1] if event == "socket.connect" else arguments
    if isinstance(address, tuple) and address[0] not in {"127.0.0.1", "::1"}:
        _outside.append(address)
        raise PermissionError(f"a test was to reach {address}")


sys.addaudithook(_on_connect)


@pytest.fixture(autouse=True)
def only_loopback() -> Iterator[None]:
    """No test here may ask for anything of another host."""
    _outside.clear()
    _watching.append(True)
    yield
    _watching.clear()
    assert _outside == []


def config_text(port: int, state: Path, symbols: tuple[str, ...], stale_ms: int) -> str:
    """A configuration that watches the exchange on loopback."""
    lines = [
        'name = "ccxt"', f'state_dir = "{state}"', "[api]", "port = 0", "[[venues]]",
        'name = "crypto"', 'kind = "watch"', 'protocol = "ccxt"', 'exchange = "cryptocom"',
        f'rest_url = "http://127.0.0.1:{port}"', f'stream_url = "ws://127.0.0.1:{port}"',
        f"stale_ms = {stale_ms}",
    ]  # fmt: skip
    for symbol in symbols:
        lines += ["[[instruments]]", 'venue = "crypto"', f'symbol = "{symbol}"']
        lines += ['tick_size = "0.01"', 'lot_size = "0.00001"']
    return "\n".join(lines) + "\n"


class Running:
    """A solo run that watches the exchange, and what it recorded."""

    def __init__(self, exchange: LoopbackExchange, solo: SoloRun, turned: asyncio.Event) -> None:
        self.exchange = exchange
        self.solo = solo
        self._turned = turned
        self.venue = next(c for c in solo.loop.host.components if isinstance(c, Venue))

    async def turn(self) -> None:
        """The engine looked around once more."""
        self._turned.clear()
        await self._turned.wait()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for a condition; it is looked at after each of the engine's turns."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                await self.turn()

    def same(self, *symbols: str) -> bool:
        """Whether each book is LIVE and what the exchange's is, level by level."""
        instruments = self.solo.config.instruments
        for number, entry in enumerate(instruments):
            if symbols and entry.symbol not in symbols:
                continue
            tracked = self.venue.books[number]
            if not tracked.live or entry.symbol not in self.exchange.markets:
                return False
            found = [
                [(ticks * TICK, lots * LOT) for ticks, lots in tracked.book.levels(side)]
                for side in (BID, ASK)
            ]
            if found != self.exchange.markets[entry.symbol].levels(DEPTH):
                return False
        return True

    def inbox(self) -> list[tuple[AnyMessage, int]]:
        """What the actor recorded, and when."""
        return [
            (decode(record.data), record.now_ns)
            for path in segments(self.solo.folder / "solo")
            for record in read_inbox(path)
        ]

    def played(self) -> list[AnyMessage]:
        """What a fresh Venue says to the recorded frames."""
        venue = venue_of(self.solo.config)
        return [
            out for message, now_ns in self.inbox() for out in venue.on_message(message, now_ns)
        ]

    def failures(self) -> list[str]:
        """What the feed said that raised or cannot be had."""
        messages = (message for message, _ in self.inbox())
        return [
            f"{m.about}: {m.payload.decode()}"
            for m in messages
            if isinstance(m, Frame) and m.kind == FAILED
        ]


def venue_of(config: Config) -> Venue:
    """The venue's component, just made."""
    found = build(config, topology_of(config), instruments_of(config), "venue-crypto")[0]
    assert isinstance(found, Venue)
    return found


@asynccontextmanager
async def running(
    folder: Path,
    symbols: tuple[str, ...] = PAIRS,
    stale_ms: int = LONG_MS,
    listed: tuple[str, ...] = (),
    exchange_id: str = "cryptocom",
) -> AsyncIterator[Running]:
    """The exchange and an engine that watches it; afterwards the run must replay to the same."""
    exchange = LoopbackExchange(listed or symbols)
    await exchange.start()
    text = config_text(exchange.port, folder, symbols, stale_ms)
    text = text.replace('"cryptocom"', f'"{exchange_id}"')
    solo = SoloRun(parse(text, "test"), text)
    turned = asyncio.Event()
    serving = asyncio.create_task(solo.serve(None, turned.set))
    try:
        yield Running(exchange, solo, turned)
    finally:
        solo.directory.stop_wanted = True
        await serving
        await exchange.stop()
        solo.close()
    assert solo.loop.error == ""
    (verdict,) = verify_run(solo.config, solo.folder)
    assert verdict.differences == ()
    assert verdict.inputs > 0


def states(outputs: list[AnyMessage], number: int = 0) -> list[tuple[BookState, Reason]]:
    """How a book's state went."""
    changes = (o for o in outputs if isinstance(o, BookStateChanged) and o.instrument == number)
    return [(change.state, change.reason) for change in changes]


async def test_the_guard_of_these_tests_holds() -> None:
    """A client that was not sent to loopback is stopped, and would fail its test."""
    client = client_class("cryptocom")({})
    with pytest.raises(NetworkError):
        await client.load_markets()
    await client.close()
    assert _outside
    _outside.clear()


# --- books and trades -----------------------------------------------------------------------------


@pytest.mark.parametrize("symbols", [PAIRS, MANY], ids=["a-call-each", "one-call-for-all"])
async def test_books_and_trades_are_the_exchanges(tmp_path: Path, symbols: tuple[str, ...]) -> None:
    """After bursts of updates every level is the exchange's, and every trade came once."""
    async with running(tmp_path, symbols) as run:
        await run.until(run.same)
        for _ in range(5):
            for _ in range(40):
                for symbol in symbols:
                    await run.exchange.move(symbol)
            await run.until(run.same)
        await run.exchange.trade(symbols[0], "BUY", "100.01", "0.00003")
        await run.exchange.trade(symbols[0], "SELL", "100", "1.5")
        await run.exchange.trade(symbols[1], "BUY", "100.02", "2")
        await run.until(lambda: sum(isinstance(o, Trade) for o in run.played()) == 3)
        assert run.exchange.connections == 1
    trades = [o for o in run.played() if isinstance(o, Trade)]
    assert sorted((t.trade_id, t.instrument, t.side, t.ticks, t.lots) for t in trades) == [
        ("1", 0, BUY, 10_001, 3),
        ("2", 0, SELL, 10_000, 150_000),
        ("3", 1, BUY, 10_002, 200_000),
    ]
    assert run.failures() == []
    last = [o for o in run.played() if isinstance(o, VenueStatus)][-1]
    assert last.verifies.startswith("nothing: ccxt.pro's own book")


# --- what goes wrong --------------------------------------------------------------------------------


async def _raise(run: Running) -> None:
    await run.exchange.break_handler(PAIRS[0])


async def _gap(run: Running) -> None:
    price = 100 - 3 * TICK
    await run.exchange.update(PAIRS[0], [(price, Decimal(0))], [], before=10**6)


async def _close(run: Running) -> None:
    await run.exchange.hang_up()


async def _cross(run: Running) -> None:
    await run.exchange.update(PAIRS[0], [(100 + 5 * TICK, 3 * LOT)], [])
    await run.until(lambda: not run.venue.books[0].live)
    del run.exchange.markets[PAIRS[0]].sides[0][100 + 5 * TICK]


async def _silence(run: Running) -> None:
    """Nothing more comes, and the connection stays."""
    run.exchange.mute.update(PAIRS)


async def _mute(run: Running) -> None:
    """One book stands still, the connection and the other book live on."""
    run.exchange.mute.add(PAIRS[0])
    await run.exchange.move(PAIRS[0])
    while run.exchange.connections == 1:
        await run.exchange.move(PAIRS[1])
        await run.turn()


SYNCING = (BookState.SYNCING, Reason.DISCONNECTED)
TRAPS: dict[str, tuple[Callable[[Running], Awaitable[None]], int, str, tuple[object, object]]] = {
    "handler-raises": (_raise, LONG_MS, "a handler raised TypeError", SYNCING),
    "gap": (_gap, LONG_MS, "a handler raised ChecksumError", SYNCING),
    "close": (_close, LONG_MS, "", SYNCING),
    "crossed": (_cross, LONG_MS, "", (BookState.CROSSED, Reason.CROSSED)),
    "silence": (_silence, 500, "", (BookState.STALE, Reason.STALE_MARKET)),
    "stands-still": (_mute, 500, "", (BookState.STALE, Reason.STALE_MARKET)),
}


@pytest.mark.parametrize("name", TRAPS)
async def test_a_wrong_book_is_given_up_and_begun_anew(name: str, tmp_path: Path) -> None:
    """It is not LIVE from the fault to the fresh snapshot; then it is the exchange's again."""
    fault, stale_ms, says, state = TRAPS[name]
    async with running(tmp_path, PAIRS, stale_ms) as run:
        await run.until(run.same)
        await fault(run)
        await run.until(lambda: run.exchange.connections >= 2)
        await run.until(lambda: run.same(PAIRS[0]))
        for _ in range(3):
            await run.exchange.move(PAIRS[0])
            await run.until(lambda: run.same(PAIRS[0]))
        assert run.exchange.listings_asked == 1
    went = states(run.played())
    first = went.index((BookState.LIVE, Reason.NONE))
    lost = went.index(state, first)
    assert (BookState.LIVE, Reason.NONE) not in went[first + 1 : lost]
    assert (BookState.LIVE, Reason.NONE) in went[lost:]
    assert any(says in line for line in run.failures()) == bool(says)
    causes = [m.cause for m, _ in run.inbox() if isinstance(m, Disconnected)]
    assert causes, run.failures()


async def test_a_fault_that_lasts_is_tried_again_and_again(tmp_path: Path) -> None:
    """Each new connection is broken at once, until the exchange is well again."""
    async with running(tmp_path) as run:
        for connections in range(1, 5):
            await run.until(lambda least=connections: run.exchange.connections >= least)
            await run.until(lambda: run.venue.lines.connected)
            await run.exchange.hang_up()
        await run.until(run.same)


async def test_a_symbol_that_is_not_listed_is_named(tmp_path: Path) -> None:
    """The others are watched; what is near is told."""
    async with running(tmp_path, ("BTC/USDT", "ETH/USDT"), listed=("BTC/USDT", "BTC/USD")) as run:
        await run.until(lambda: run.same("BTC/USDT"))
        assert not run.venue.books[1].live
    assert any("cryptocom does not list it" in line for line in run.failures())


async def test_when_nothing_is_listed_the_feed_ends_and_says_why(tmp_path: Path) -> None:
    """Nothing is tried again that cannot be had."""
    async with running(tmp_path, ("ETH/EUR",), listed=("BTC/USDT",)) as run:
        await run.until(lambda: any("lists none of ETH/EUR" in line for line in run.failures()))
        assert not run.venue.lines.connected
        assert run.exchange.connections == 0


async def test_an_exchange_without_book_streams_is_not_asked_for_anything(tmp_path: Path) -> None:
    """ccxt has a websocket client of it, but not for books."""
    async with running(tmp_path, exchange_id="mudrex") as run:
        await run.until(lambda: run.failures() != [])
    assert run.failures() == ["mudrex: ccxt's mudrex streams no order books"]


async def test_a_recorded_run_replays_where_ccxt_is_not_installed(tmp_path: Path) -> None:
    """The recording holds frames of ours: the same outputs come of them without ccxt."""
    async with running(tmp_path) as run:
        await run.until(run.same)
        await run.exchange.move(PAIRS[0])
        await run.until(run.same)
    program = (
        "import sys; sys.modules['ccxt'] = None\n"
        "from pathlib import Path\n"
        "from engine.edges.replaying import replay_path\n"
        f"raise SystemExit(replay_path(Path({str(run.solo.folder)!r}), None, 0.0))\n"
    )
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"the same outputs, message for message" in done.stdout
