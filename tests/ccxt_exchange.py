"""Crypto.com on loopback: its listings over HTTP, its books and trades over websockets, and its faults.

What it sends is what the exchange documents, so that ccxt.pro's own client takes it unchanged.
"""

import asyncio
import json
import random
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from aiohttp import WSMsgType, web

Levels = list[tuple[Decimal, Decimal]]
TICK, LOT = Decimal("0.01"), Decimal("0.00001")


class Market:
    """One symbol's book and its number."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.native = symbol.replace("/", "_")
        self.number = 1
        self.sides: tuple[dict[Decimal, Decimal], ...] = ({}, {})
        for step in range(60):
            self.sides[0][100 - step * TICK] = 1 + step * LOT
            self.sides[1][100 + (step + 1) * TICK] = 2 + step * LOT

    def levels(self, depth: int) -> list[Levels]:
        """Both sides, the best first."""
        return [
            sorted(side.items(), reverse=number == 0)[:depth]
            for number, side in enumerate(self.sides)
        ]


class LoopbackExchange:
    """The exchange; `mute` are the symbols that it says nothing more of on open connections."""

    def __init__(self, symbols: Iterable[str]) -> None:
        self.markets = {symbol: Market(symbol) for symbol in symbols}
        self.port = 0
        self.connections = 0
        self.listings_asked = 0
        self.mute: set[str] = set()
        self._random = random.Random(7)
        self._trades = 0
        self._sockets: dict[web.WebSocketResponse, set[str]] = {}
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_get("/exchange/v1/public/get-instruments", self._listings)
        app.router.add_get("/exchange/v1/market", self._serve)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close all."""
        await self.hang_up()
        assert self._runner is not None
        await self._runner.cleanup()

    async def _listings(self, request: web.Request) -> web.Response:
        self.listings_asked += 1
        rows = []
        for market in self.markets.values():
            base, _, quote = market.symbol.partition("/")
            rows.append(
                {
                    "symbol": market.native, "inst_type": "CCY_PAIR", "tradable": True,
                    "display_name": market.symbol, "base_ccy": base, "quote_ccy": quote,
                    "quote_decimals": 2, "quantity_decimals": 5, "price_tick_size": "0.01",
                    "qty_tick_size": "0.00001", "max_leverage": "50", "expiry_timestamp_ms": 0,
                }
            )  # fmt: skip
        return web.json_response({"id": 1, "code": 0, "result": {"data": rows}})

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        assert not socket.compress, "the client was to ask for none"
        self.connections += 1
        self.mute.clear()
        subscribed = self._sockets[socket] = set()
        async for message in socket:
            if message.type != WSMsgType.TEXT:
                break
            call = json.loads(message.data)
            for channel in call.get("params", {}).get("channels", ()):
                subscribed.add(channel)
                if channel.startswith("book."):
                    await self._send(socket, self._snapshot(channel))
        self._sockets.pop(socket, None)
        return socket

    @staticmethod
    async def _send(socket: web.WebSocketResponse, result: dict[str, Any]) -> None:
        await socket.send_str(json.dumps({"id": -1, "code": 0, "method": "subscribe"} | result))

    def _snapshot(self, channel: str) -> dict[str, Any]:
        market = next(m for m in self.markets.values() if m.native == channel.split(".")[1])
        sides = [[[str(p), str(q), "1"] for p, q in side] for side in market.levels(50)]
        data = {"bids": sides[0], "asks": sides[1], "t": 1_700_000_000_000, "u": market.number}
        return {"result": self._about(market, "book", channel) | {"depth": 50, "data": [data]}}

    @staticmethod
    def _about(market: Market, channel: str, subscription: str) -> dict[str, Any]:
        return {
            "instrument_name": market.native,
            "channel": channel,
            "subscription": subscription,
        }

    async def tell(self, symbol: str, channel: str, data: dict[str, Any], kind: str) -> None:
        """Send to whoever subscribed."""
        market = self.markets[symbol]
        if symbol in self.mute:
            return
        for socket, subscribed in list(self._sockets.items()):
            if channel in subscribed:
                about = self._about(market, kind, channel)
                await self._send(socket, {"result": about | {"depth": 50, "data": [data]}})

    async def update(
        self, symbol: str, bids: Levels, asks: Levels, *, before: int | None = None
    ) -> None:
        """Change levels and tell the difference; `before` is the number that it claims to follow."""
        market = self.markets[symbol]
        for side, levels in zip(market.sides, (bids, asks), strict=True):
            for price, quantity in levels:
                if quantity:
                    side[price] = quantity
                else:
                    side.pop(price, None)
        follows = market.number if before is None else before
        market.number += 1
        texts = [[[str(p), str(q), "1" if q else "0"] for p, q in side] for side in (bids, asks)]
        data = {
            "update": {"bids": texts[0], "asks": texts[1]},
            "t": 1_700_000_000_000 + market.number,
            "u": market.number,
            "pu": follows,
        }
        await self.tell(symbol, f"book.{market.native}.50", data, "book.update")

    async def move(self, symbol: str) -> None:
        """A small change somewhere near the touch, never crossing."""
        choose = self._random
        side = choose.randrange(2)
        step = choose.randrange(40) * TICK
        price = 100 - step if side == 0 else 100 + TICK + step
        level = [(price, choose.randrange(1, 10**6) * LOT)]
        await self.update(symbol, level if side == 0 else [], level if side else [])

    async def trade(self, symbol: str, side: str, price: str, quantity: str) -> None:
        """A public trade."""
        market = self.markets[symbol]
        self._trades += 1
        data = {"d": str(self._trades), "s": side, "p": price, "q": quantity, "i": market.native}
        data |= {"t": 1_700_000_000_000 + self._trades}
        await self.tell(symbol, f"trade.{market.native}", data, "trade")

    async def break_handler(self, symbol: str) -> None:
        """A frame on which ccxt.pro's own handler raises: a level without a price."""
        market = self.markets[symbol]
        data = {"update": {"bids": [["x", "1", "1"]]}, "u": 0, "pu": market.number}
        await self.tell(symbol, f"book.{market.native}.50", data, "book.update")

    async def hang_up(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(socket.close() for socket in list(self._sockets)))
