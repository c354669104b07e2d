"""ccxt.pro's way from a depth frame to the best price, in an interpreter that has ccxt.

A text frame is given to the websocket client's own `handle_message`, which decodes it and calls the
exchange's `handle_message` and `handle_order_book`; then both best prices are read from the book.
In its favour: no task waits for the book, so none is woken and the book is never cut to its limit.
There is no network: the snapshot comes by `fetch_order_book`, where its REST answer would be.
"""

import asyncio
import json
import time
from typing import Any

import ccxt.pro
from aiohttp import WSMessage, WSMsgType

from benchmarks.feed_frames import FeedFrames
from benchmarks.peers.feed_turns import Tops, speak


class Exchange(ccxt.pro.binance):
    """Binance with one market, whose snapshot is at hand."""

    body: dict[str, Any]

    async def fetch_order_book(self, symbol, limit=None, params=None):
        """What the parent makes of the answer of GET /api/v3/depth."""
        book = self.parse_order_book(self.body, symbol)
        book["nonce"] = self.body["lastUpdateId"]
        return book


def _market(exchange: Exchange, native: str) -> dict[str, Any]:
    """The least of exchangeInfo that the exchange parses into a spot market."""
    return exchange.parse_market({
        "symbol": native, "status": "TRADING", "baseAsset": native[:3], "quoteAsset": native[3:],
        "isSpotTradingAllowed": True, "permissions": ["SPOT"], "orderTypes": [], "filters": [],
    })  # fmt: skip


async def _turn(frames: FeedFrames) -> tuple[list[int], Tops]:
    # What it would have asked the exchange for, before it reads a market.
    exchange = Exchange({"options": {"crossMarginPairsData": [], "isolatedMarginPairsData": []}})
    exchange.body = json.loads(frames.snapshot)
    market = _market(exchange, frames.symbol)
    exchange.set_markets([market])
    client = exchange.client(
        exchange.get_ws_url("spot", exchange.get_future_ws_category("depth")) + "/0"
    )
    symbol = market["symbol"]
    exchange.orderbooks[symbol] = exchange.order_book({}, 1000)
    await exchange.fetch_order_book_snapshot(client, {}, {"symbol": symbol, "type": "spot"})
    book = exchange.orderbooks[symbol]
    messages = [WSMessage(WSMsgType.TEXT, frame.decode(), None) for frame in frames.lead]
    clock_ns, handle = time.perf_counter_ns, client.handle_message
    taken_ns: list[int] = []
    tops: Tops = []
    for message in messages:
        started_ns = clock_ns()
        handle(message)
        top = book["bids"][0][0], book["asks"][0][0]
        taken_ns.append(clock_ns() - started_ns)
        tops.append(top)
    await exchange.close()
    return taken_ns, tops


def turn(frames: FeedFrames) -> tuple[list[int], Tops]:
    """All frames through a new exchange."""
    return asyncio.run(_turn(frames))


if __name__ == "__main__":
    speak("ccxt", turn)
