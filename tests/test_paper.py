"""Paper trading: orders filled in a venue's public feed, and nothing private asked of that venue."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import aiohttp
import msgspec
import pytest

from engine.config import ConfigError, parse
from engine.edges.exchange_server import follow, make_fronts
from engine.edges.exchange_sockets import ExchangeServer
from engine.exchange.admin import administer
from engine.exchange.wires.binance_limits import BINANCE
from ext.matching import BUY, SELL
from tests.binance_server import Venue

PATIENCE_S = 20.0
BID, ASK = 9_990, 10_010
CONFIG = """
name = "paper"
mode = "paper"
[[venues]]
name = "binance"
kind = "watch"
protocol = "binance"
rest_url = "{http}"
stream_url = "{ws}/stream"
[[instruments]]
venue = "binance"
symbol = "BTC/USDT"
native = "BTCUSDT"
tick_size = "0.01"
lot_size = "0.00001"
taker_fee = "0.001"
[exchange]
latency_ms = 1.0
[exchange.balances.binance]
BTC = "1"
USDT = "100000"
"""


class Paper:
    """A client of the paper exchange, by its own protocol."""

    def __init__(self, venue: Venue, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.venue = venue
        self._socket = socket

    async def ask(self, **request: object) -> None:
        """Send a request."""
        await self._socket.send_bytes(msgspec.json.encode(request))

    async def hear(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next frame that is what was waited for."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                frame: dict[str, Any] = msgspec.json.decode((await self._socket.receive()).data)
                if wanted(frame):
                    return frame

    async def order(self, name: str, side: str, price: str, quantity: str, tif: str) -> None:
        """Place an order."""
        order = {"symbol": "BTC/USDT", "side": side, "price": price, "qty": quantity, "tif": tif}
        await self.ask(op="order", client_id=name, deadline_ns=1 << 62, **order)


@asynccontextmanager
async def paper() -> AsyncIterator[Paper]:
    """A venue with a market, an exchange that follows its public feed, and a client of that."""
    venue = Venue(BINANCE)
    await venue.open()
    venue.quote(BUY, BID, 50_000)
    venue.quote(SELL, ASK, 50_000)
    config = parse(CONFIG.format(http=venue.http, ws=venue.ws), "paper")
    begin_ns = ExchangeServer({}, administer).now_ns()
    followed = follow(config, begin_ns)
    server = ExchangeServer(make_fronts(config, begin_ns, followed), administer)
    port = await server.open()
    failures: list[Exception] = []
    for feed in followed.values():
        feed.open(partial(server.do, "binance"), server.now_ns, failures.append)
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"ws://127.0.0.1:{port}/binance") as socket,
    ):
        client = Paper(venue, socket)
        await client.ask(op="subscribe", symbols=["BTC/USDT"])
        await client.hear(lambda frame: bool(frame.get("bids")))
        yield client
    for feed in followed.values():
        await feed.close()
    await server.close()
    await venue.close()
    assert failures == []
    assert server.defects == 0


async def test_an_order_takes_what_the_venue_shows_and_the_venue_hears_nothing_of_it() -> None:
    """Filled at the venue's ask, by the paper account; at the venue the order never was."""
    async with paper() as client:
        before = len(client.venue.exchange.audit().orders)
        await client.order("one", "buy", "100.20", "0.01", "ioc")
        fill = await client.hear(lambda frame: frame["type"] == "fill")
        assert (fill["client_id"], fill["price"], fill["qty"]) == ("one", "100.10", "0.01000")
        assert not fill["maker"]
        assert len(client.venue.exchange.audit().orders) == before


async def test_an_order_that_rests_is_filled_when_the_venue_trades_through_it() -> None:
    """A market moves: what the public feed shows passes the price of the paper order."""
    async with paper() as client:
        await client.order("two", "buy", "99.95", "0.01", "gtc")
        await client.hear(lambda frame: frame.get("state") == "acknowledged")
        client.venue.trade(SELL, 50_000)  # the best bid is gone,
        client.venue.quote(SELL, 9_980, 50_000)  # and somebody offers below the paper order
        fill = await client.hear(lambda frame: frame["type"] == "fill")
        assert (fill["client_id"], fill["price"], fill["maker"]) == ("two", "99.95", True)


def test_only_paper_follows() -> None:
    """In another mode a watched venue is not served."""
    text = CONFIG.format(http="http://127.0.0.1:1", ws="ws://127.0.0.1:1")
    config = parse(text.replace('mode = "paper"', ""), "watch")
    assert follow(config, 10**18) == {}
    with pytest.raises(ConfigError, match="nothing to serve"):
        make_fronts(config, 10**18)
