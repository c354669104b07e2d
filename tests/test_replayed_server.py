"""A recorded market on the exchange server: unmodified ccxt sees its books and trades, and trades in it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import ccxt.async_support as ccxt
import pytest
from ccxt import pro

from engine.config import ConfigError, parse
from engine.edges.capture import CapturedFrame, read_capture
from engine.edges.exchange_server import make_fronts
from engine.edges.exchange_sockets import ExchangeServer
from engine.edges.replaying import capture_config
from engine.exchange.accounts import credentials
from engine.exchange.admin import administer
from ext.matching import HALTED
from tests import binance_server, kraken_server
from tests.loopback_only import loopback_only
from tests.twins.rebuild import REBUILDS

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
PAIR, LEVELS, SPEED = "BTC/USDT", 20, 4.0
MARKET = f"""
depth_levels = {LEVELS}
[exchange]
limits = false
queue_model = "power"
[exchange.latency]
model = "constant"
there_ms = 3.0
back_ms = 2.0
feed_ms = 1.0
[exchange.balances.binance]
BTC = "1"
USDT = "100000"
"""
Level = tuple[Decimal, Decimal]


class Served:
    """A capture of Binance spot as a venue on loopback; what a moment here was in the recording."""

    def __init__(self, path: Path) -> None:
        text = capture_config(path, SPEED).replace("\nstale_ms = 600000", MARKET)
        assert MARKET in text
        config = parse(text, str(path))
        self.frames: list[CapturedFrame] = list(read_capture(path))
        self.begin_ns = ExchangeServer({}, administer).now_ns()
        fronts = make_fronts(config, self.begin_ns)
        self.exchange = fronts["binance"].exchange
        self.server = ExchangeServer(fronts, administer)
        self.key, self.secret = credentials(config.name, "main")
        self.port = 0
        self._rebuild = REBUILDS["binance"]()
        self._heard = 0
        self._states: list[tuple[int, list[list[Level]]]] = []

    @property
    def recorded_ns(self) -> int:
        """Which moment of the recording is played now."""
        played_ns = (self.server.now_ns() - self.begin_ns) * SPEED
        return self.frames[0].at_ns + int(played_ns)

    def settings(self, wire: str) -> dict[str, Any]:
        """What of a ccxt client is changed."""
        at = f"127.0.0.1:{self.port}/binance/{wire}"
        urls = binance_server.ccxt_urls if wire == "binance" else kraken_server.ccxt_urls
        secret = self.secret.decode()
        return {
            "apiKey": self.key,
            "secret": secret,
            "urls": urls(Address(f"http://{at}", f"ws://{at}")),
        }

    def books_between(self, since_ns: int, until_ns: int) -> list[list[list[Level]]]:
        """The best levels after each frame of a span, and before the first; by the slow rebuild."""
        while self.frames[self._heard].at_ns <= until_ns:
            frame = self.frames[self._heard]
            self._heard += 1
            if self._rebuild.frame(frame.payload, frame.about if frame.kind == 1 else ""):
                sides = [side[:LEVELS] for side in self._rebuild.sides("BTCUSDT")]
                self._states.append((frame.at_ns, sides))
        before = sum(at_ns <= since_ns for at_ns, _ in self._states)
        return [sides for _, sides in self._states[max(0, before - 1) :]]


class Address(NamedTuple):
    """Where a wire is."""

    http: str
    ws: str


def levels_of(book: dict[str, Any]) -> list[list[Level]]:
    """A book of ccxt's as decimals."""
    return [
        [(Decimal(str(price)), Decimal(str(amount))) for price, amount, *_ in book[side][:LEVELS]]
        for side in ("bids", "asks")
    ]


@pytest.fixture(autouse=True)
def guard() -> Iterator[None]:
    """No other host."""
    with loopback_only():
        yield


@pytest.fixture
async def served(recorded: Path) -> AsyncIterator[Served]:
    """Six recorded minutes of Binance, four times as fast."""
    path = recorded / "hftbacktest" / "spot" / "btcusdt_20240808.gz"
    if not path.is_file():
        pytest.skip(f"no capture at {path}")
    made = Served(path)
    made.port = await made.server.open()
    yield made
    await made.server.close()


@pytest.fixture
async def client(served: Served) -> AsyncIterator[ccxt.binance]:
    """Unmodified but for addresses and keys; the first recorded snapshot is in the book."""
    made = ccxt.binance(served.settings("binance"))
    await made.load_markets()
    for _ in range(1_000):
        if served.exchange.markets[0].depth(1)[0]:
            break
        await asyncio.sleep(0.01)
    yield made
    await made.close()


async def test_its_book_is_the_recordings_at_that_moment(
    served: Served, client: ccxt.binance
) -> None:
    """Level for level, five times, over Binance's protocol and over Kraken's."""
    kraken = ccxt.kraken(served.settings("kraken"))
    try:
        await kraken.load_markets()
        for ask in (client, kraken, client, kraken, client):
            since_ns = served.recorded_ns
            book = levels_of(await ask.fetch_order_book(PAIR, 100))
            found = served.books_between(since_ns, served.recorded_ns)
            assert book in found
            assert len(book[0]) == len(book[1]) == LEVELS
            await asyncio.sleep(0.2)
    finally:
        await kraken.close()


async def test_streams_tell_its_books_and_trades(served: Served, client: ccxt.binance) -> None:
    """A followed book is the fetched one in the end; the trades are recorded ones, none left out."""
    stream = pro.binance(served.settings("binance"))
    try:
        for _ in range(5):
            since_ns = served.recorded_ns - int(2e9 * SPEED)
            book = levels_of(await asyncio.wait_for(stream.watch_order_book(PAIR), 10))
            assert book in served.books_between(since_ns, served.recorded_ns)
    finally:
        await stream.close()
    trades = [
        (Decimal(str(trade["price"])), Decimal(str(trade["amount"])), trade["side"])
        for trade in await client.fetch_trades(PAIR, limit=50)
    ]
    rows = [client.parse_json(frame.payload.decode()) for frame in served.frames]
    datas = [row["data"] for row in rows if row.get("data", {}).get("e") == "trade"]
    recorded = [
        (Decimal(data["p"]), Decimal(data["q"]), "sell" if data["m"] else "buy") for data in datas
    ]
    assert len(trades) > 10
    places = range(len(recorded) - len(trades))
    assert any(recorded[place : place + len(trades)] == trades for place in places)


async def test_an_order_at_the_touch_rests_and_is_filled(
    served: Served, client: ccxt.binance
) -> None:
    """By recorded sellers, as a maker and at its price; then all of it is sold, and everything adds up."""
    before = (await client.fetch_balance())["total"]
    filled, tried = [], 0
    while not filled and tried < 20:
        tried += 1
        touch = served.exchange.markets[0].depth(1)[0][0][0] / 100
        try:
            order = await client.create_order(
                PAIR, "limit", "buy", 0.002, touch, {"postOnly": True}
            )
        except ccxt.OrderImmediatelyFillable:  # the market fell meanwhile
            continue
        for _ in range(100):
            order = await client.fetch_order(order["id"], PAIR)
            if order["status"] != "open":
                break
            await asyncio.sleep(0.02)
        if order["status"] == "open":
            cancelled = await client.cancel_order(order["id"], PAIR)
            assert cancelled["status"] == "canceled"
        filled = [t for t in await client.fetch_my_trades(PAIR) if t["order"] == order["id"]]
    assert {(fill["takerOrMaker"], fill["price"]) for fill in filled} == {("maker", touch)}
    bought = sum(Decimal(str(fill["amount"])) for fill in await client.fetch_my_trades(PAIR))
    await client.create_order(PAIR, "market", "sell", float(bought))
    after = (await client.fetch_balance())["total"]
    fills = await client.fetch_my_trades(PAIR)
    cost = sum(Decimal(str(f["cost"])) * (1 if f["side"] == "buy" else -1) for f in fills)
    assert after["BTC"] == before["BTC"]
    assert Decimal(str(after["USDT"])) == Decimal(str(before["USDT"])) - cost
    assert fills[-1]["takerOrMaker"] == "taker"
    audit = served.exchange.audit()
    assert audit.problems == ()
    assert audit.fill_count == len(fills)


async def test_what_nobody_could_tell_is_refused(served: Served, client: ccxt.binance) -> None:
    """A stop in a recorded market is an error of the exchange's own, and nothing changes."""
    stop = {"stopLossPrice": 50_000}
    with pytest.raises((ccxt.BadRequest, ccxt.InvalidOrder, ccxt.OperationRejected)):
        await client.create_order(PAIR, "limit", "sell", 0.002, 50_000, stop)
    assert await client.fetch_open_orders(PAIR) == []
    assert served.exchange.audit().problems == ()


def test_it_halts_when_the_recording_ends(recorded: Path) -> None:
    """No frame is left: what the market was last is shown, and no order is taken."""
    path = recorded / "hftbacktest" / "spot" / "btcusdt_20240808.gz"
    if not path.is_file():
        pytest.skip(f"no capture at {path}")
    config = parse(capture_config(path, 1000.0), str(path))
    front = make_fronts(config, 10**18)["binance"]
    front.advance(10**18 + 10**9)
    assert front.exchange.markets[0].book.phase == HALTED
    assert len(front.exchange.markets[0].depth(10)[0]) == 10
    with pytest.raises(ConfigError, match="nothing to serve"):
        make_fronts(parse(capture_config(path, 0.0), str(path)), 10**18)


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    """By the key that names it."""
    path = tmp_path / "capture.gz"
    path.write_bytes(b"nonsense")
    text = 'name = "x"\ninstruments = []\n[[venues]]\nname = "a"\nkind = "replay"\n'
    with pytest.raises(ConfigError, match=r"venues\[0\].path: .*capture.gz: not a capture"):
        make_fronts(parse(f'{text}protocol = "binance"\npath = "{path}"', "x"), 10**18)
