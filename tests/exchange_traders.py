"""Clients of the simulated exchange for its soak: each wire's own words, and a memory of what was said.

A trader notes every order before it sends it, and what it was told: taken, refused, or nothing that
could be relied on. At the end it asks the exchange about all it does not know.
"""

import asyncio
import hashlib
import hmac
import json
import time
from base64 import b64decode, b64encode
from decimal import Decimal
from random import Random
from typing import Any
from urllib.parse import urlencode

import aiohttp

from engine.exchange.accounts import credentials

ANSWER_S = 0.6
PATIENT_S = 10.0
TAKEN, REFUSED, UNKNOWN = "taken", "refused", "unknown"


class Trader:
    """One client with an account of its own; `orders` is what it knows of each by its client id."""

    wire = ""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, config: str, account: str, seed: int
    ) -> None:
        self.session = session
        self.url = url
        self.account = account
        self.key, self.secret = credentials(config, account)
        self.random = Random(f"{seed}/{account}")
        self.orders: dict[str, str] = {}
        self.names: list[str] = []
        self.asked = 0
        self.unanswered = 0

    async def trade(self, until: float, price: list[float], pause_s: float) -> None:
        """Order and cancel at random until it is so late."""
        while time.monotonic() < until:
            self.asked += 1
            if self.names and self.random.random() < 0.3:
                await self.cancel(self.random.choice(self.names[-5:]))
            else:
                name = f"{self.account}-{len(self.names)}"
                self.names.append(name)
                self.orders[name] = UNKNOWN
                self.orders[name] = await self.order(name, *self._drawn(price[0]))
            await asyncio.sleep(self.random.random() * 2 * pause_s)

    def _drawn(self, price: float) -> tuple[str, str, str, str]:
        """Side, kind, quantity and price of an order, around the market."""
        side = self.random.choice(("buy", "sell"))
        kind = self.random.choice(("gtc", "gtc", "ioc", "market"))
        away = price * (1 + self.random.uniform(-0.002, 0.002))
        return side, kind, f"{self.random.randint(100, 3000) / 1e5:.5f}", f"{away:.2f}"

    async def order(self, name: str, side: str, kind: str, quantity: str, price: str) -> str:
        """Send one; what is known of it then."""
        raise NotImplementedError

    async def cancel(self, name: str) -> None:
        """Ask for one to be taken out; whatever comes of it."""
        raise NotImplementedError

    async def there(self, name: str) -> bool:
        """Whether the exchange has an order, by its own answer."""
        raise NotImplementedError

    async def balances(self) -> dict[str, Decimal]:
        """What the account has, by the exchange's answer."""
        raise NotImplementedError

    async def close(self) -> None:
        """Hang up."""


class OwnTrader(Trader):
    """By the project's own protocol: one websocket, which is there again when it was lost."""

    wire = "simulated"
    _socket: aiohttp.ClientWebSocketResponse | None = None

    async def _ask(self, request: dict[str, Any], wanted: Any) -> dict[str, Any] | None:
        """The first frame after a request that is wanted; None when none comes."""
        try:
            async with asyncio.timeout(ANSWER_S):
                socket = self._socket
                if socket is None or socket.closed:
                    socket = self._socket = await self.session.ws_connect(self.url)
                    await socket.send_json({"op": "login", "account": self.account})
                    while json.loads(await socket.receive_str())["type"] != "account":
                        pass
                await socket.send_json(request)
                while True:
                    frame: dict[str, Any] = json.loads(await socket.receive_str())
                    if wanted(frame):
                        return frame
        except (TimeoutError, aiohttp.ClientError, TypeError):  # TypeError: it was closed
            self.unanswered += 1
            await self.close()
            return None

    async def order(self, name: str, side: str, kind: str, quantity: str, price: str) -> str:
        """An `order` frame says that it was taken, or `rejected`; an `error` that it was not done."""
        request = {"op": "order", "client_id": name, "symbol": "BTC/USDT", "side": side}
        request |= {"qty": quantity, "price": price, "tif": "gtc" if kind == "gtc" else "ioc"}
        frame = await self._ask(request, lambda frame: frame.get("client_id") == name)
        if frame is None or frame["type"] == "error":
            return UNKNOWN  # an error may be the fault's: done, and an error all the same
        if frame["type"] == "order" and frame["state"] in ("rejected", "expired"):
            return REFUSED
        return TAKEN

    async def cancel(self, name: str) -> None:
        """See `Trader`."""
        request = {"op": "cancel", "client_id": name}
        await self._ask(request, lambda frame: frame.get("client_id") == name)

    async def _sure(self, request: dict[str, Any], wanted: Any) -> dict[str, Any]:
        frame = None
        while frame is None:
            frame = await self._ask(request, wanted)
        return frame

    async def there(self, name: str) -> bool:
        """See `Trader`."""
        frame = await self._sure(
            {"op": "query", "client_id": name},
            lambda frame: frame["type"] == "query" and frame["client_id"] == name,
        )
        return bool(frame["found"]) and frame["state"] not in ("rejected", "expired")

    async def balances(self) -> dict[str, Decimal]:
        """See `Trader`."""
        frame = await self._sure({"op": "balances"}, lambda frame: frame["type"] == "balances")
        return {asset: Decimal(amount) for asset, amount in frame["balances"].items()}

    async def close(self) -> None:
        """See `Trader`."""
        if self._socket is not None:
            await self._socket.close()
            self._socket = None


class HttpTrader(Trader):
    """What the two others share: a request, and an answer or none."""

    async def _fetch(
        self, method: str, path: str, body: str, headers: dict[str, str], wait_s: float
    ) -> tuple[int, Any]:
        """Status and JSON; status 0 for no answer."""
        try:
            async with self.session.request(
                method,
                self.url + path,
                data=body or None,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=wait_s),
            ) as response:
                text = await response.text()
                return response.status, json.loads(text) if text[:1] in ("{", "[") else text
        except (TimeoutError, aiohttp.ClientError):
            self.unanswered += 1
            return 0, None


class BinanceTrader(HttpTrader):
    """By Binance's REST."""

    wire = "binance"

    async def _signed(
        self, method: str, path: str, wait_s: float = ANSWER_S, **parameters: str
    ) -> tuple[int, Any]:
        stamped = {
            **parameters,
            "timestamp": str(time.time_ns() // 1_000_000),
            "recvWindow": "60000",
        }
        text = urlencode(stamped)
        signature = hmac.new(self.secret, text.encode(), hashlib.sha256).hexdigest()
        query = f"{path}?{text}&signature={signature}"
        return await self._fetch(method, query, "", {"X-MBX-APIKEY": self.key}, wait_s)

    async def order(self, name: str, side: str, kind: str, quantity: str, price: str) -> str:
        """A 4xx says that nothing was done; a 5xx says nothing."""
        order = {"symbol": "BTCUSDT", "side": side.upper(), "quantity": quantity}
        order["newClientOrderId"] = name
        if kind == "market":
            order["type"] = "MARKET"
        else:
            order |= {"type": "LIMIT", "price": price, "timeInForce": kind.upper()}
        status, _ = await self._signed("POST", "/api/v3/order", **order)
        return TAKEN if status == 200 else REFUSED if 400 <= status < 500 else UNKNOWN

    async def cancel(self, name: str) -> None:
        """See `Trader`."""
        await self._signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId=name)

    async def there(self, name: str) -> bool:
        """See `Trader`."""
        status, said = await self._signed(
            "GET", "/api/v3/order", PATIENT_S, symbol="BTCUSDT", origClientOrderId=name
        )
        assert status == 200 or said["code"] == -2013, said
        return status == 200

    async def balances(self) -> dict[str, Decimal]:
        """See `Trader`."""
        status, said = await self._signed("GET", "/api/v3/account", PATIENT_S)
        assert status == 200, said
        rows = said["balances"]
        return {row["asset"]: Decimal(row["free"]) + Decimal(row["locked"]) for row in rows}


class KrakenTrader(HttpTrader):
    """By Kraken's REST."""

    wire = "kraken"
    ASSETS = {"XXBT": "BTC", "XBT": "BTC", "XETH": "ETH"}  # noqa: RUF012 -- it is never changed
    VAGUE = ("EService", "EGeneral:Internal", "EAPI", "EGeneral:Temporary")

    async def _signed(
        self, name: str, wait_s: float = ANSWER_S, **parameters: str
    ) -> tuple[list[str] | None, Any]:
        """The errors and the result; None for no answer."""
        path = f"/0/private/{name}"
        nonce = str(time.time_ns())
        text = urlencode({"nonce": nonce, **parameters})
        digest = hashlib.sha256((nonce + text).encode()).digest()
        signed = hmac.new(b64decode(self.secret), path.encode() + digest, hashlib.sha512).digest()
        headers = {"API-Key": self.key, "API-Sign": b64encode(signed).decode()}
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        status, said = await self._fetch("POST", path, text, headers, wait_s)
        return (None, None) if status == 0 else (said["error"], said.get("result"))

    async def order(self, name: str, side: str, kind: str, quantity: str, price: str) -> str:
        """Errors of the service say nothing of the order; all others say that it is not there."""
        order = {"pair": "XBTUSDT", "type": side, "volume": quantity, "cl_ord_id": name}
        order["ordertype"] = "market" if kind == "market" else "limit"
        if kind != "market":
            order |= {"price": price, "timeinforce": kind.upper()}
        errors, _ = await self._signed("AddOrder", **order)
        if errors is None or any(error.startswith(self.VAGUE) for error in errors):
            return UNKNOWN
        return REFUSED if errors else TAKEN

    async def cancel(self, name: str) -> None:
        """See `Trader`."""
        await self._signed("CancelOrder", cl_ord_id=name)

    async def there(self, name: str) -> bool:
        """See `Trader`."""
        for call, field in (("OpenOrders", "open"), ("ClosedOrders", "closed")):
            errors, said = await self._signed(call, PATIENT_S, cl_ord_id=name)
            assert errors == [], errors
            if said[field]:
                return True
        return False

    async def balances(self) -> dict[str, Decimal]:
        """See `Trader`."""
        errors, said = await self._signed("Balance", PATIENT_S)
        assert errors == [], errors
        return {self.ASSETS.get(asset, asset): Decimal(amount) for asset, amount in said.items()}
