"""One venue that speaks Kraken's protocol on a loopback port, its market made by the tests.

There is no simulated flow: the account `maker` makes the market, so that every price is known.
"""

import asyncio
from base64 import b64encode
from typing import Any, TypeVar

from engine.exchange.exchange import Exchange
from engine.exchange.orders import NewOrder
from engine.exchange.wires.kraken import KrakenWire
from engine.exchange.wires.kraken_limits import UNLIMITED, Tier
from engine.exchange.wires.wire import Answer, Call
from engine.instruments import Instrument
from ext.matching import BUY, LIMIT, SELL
from tests.loopback_only import Served
from tests.served_venue import ServedVenue

KEY, SECRET = "main-key", b64encode(b"the secret of main").decode()
READ_KEY, POOR_KEY = "read-key", "poor-key"
BEGIN = 1_700_000_000_000_000_000
PLACES = 8
T = TypeVar("T")

# symbol, tick, lot, least lots, least cost, a middle price in ticks, lots of the maker's levels
MARKETS = (
    ("BTC/USDT", "0.1", "0.00000001", 5_000, "0.5", 500_000, 50_000_000),
    ("ETH/USDT", "0.01", "0.00000001", 200_000, "0.5", 250_000, 100_000_000),
    ("BTC/USD", "0.1", "0.00000001", 5_000, "0.5", 500_000, 50_000_000),
    ("ETH/BTC", "0.00001", "0.0001", 20, "0.00002", 5_000, 10_000),
    ("DOGE/USDT", "0.00005", "0.1", 100, "1", 2_000, 50_000),
)


def instruments() -> list[Instrument]:
    """The markets above."""
    return [
        Instrument(
            id=number,
            venue=0,
            symbol=symbol,
            base=symbol.partition("/")[0],
            quote=symbol.partition("/")[2],
            tick_size=tick,
            lot_size=lot,
            base_decimals=10,
            quote_decimals=10,
            lots_min=least,
            notional_min=cost,
            maker_fee="0.0016",
            taker_fee="0.0026",
            ticks_max=10**9,
            lots_max=10**11,
        )
        for number, (symbol, tick, lot, least, cost, _, _) in enumerate(MARKETS)
    ]


def make_exchange(begin_ns: int = BEGIN) -> Exchange:
    """A venue with a rich maker, a client and a poor one, twenty levels a side, and a first trade."""
    made = Exchange("alpha", instruments(), begin_ns=begin_ns)
    unit = 10**10
    rich = dict.fromkeys(("BTC", "ETH", "DOGE"), 10**6 * unit)
    rich |= dict.fromkeys(("USD", "USDT"), 10**7 * unit)
    made.accounts.add("maker", "maker-key", b"bWFrZXI=", rich, None, begin_ns)
    ours = {"BTC": 10 * unit, "ETH": 100 * unit, "USDT": 1_000_000 * unit, "DOGE": 10_000 * unit}
    made.accounts.add("main", KEY, SECRET.encode(), ours, None, begin_ns)
    made.accounts.add_key("main", READ_KEY, SECRET.encode(), frozenset({"read"}))
    made.accounts.add("poor", POOR_KEY, SECRET.encode(), {"USDT": 10 * unit}, None, begin_ns)
    for number, (*_, middle, lots) in enumerate(MARKETS):
        for step in range(1, 21):
            for side in (BUY, SELL):
                new = NewOrder(number, side, LIMIT, lots, middle - side * step * 10)
                made.place("maker", new, begin_ns)
        for side in (BUY, SELL):
            made.place("maker", NewOrder(number, side, LIMIT, lots, middle), begin_ns)
    made.take_events()
    return made


class Recorded(KrakenWire):
    """The wire, which keeps what it was asked, and tells when it has heard a frame."""

    def __init__(self, exchange: Exchange, tier: Tier) -> None:
        super().__init__(exchange, tier)
        self.asked: list[str] = []
        self.heard = asyncio.Event()

    def call(self, call: Call, now_ns: int) -> Answer:
        """See `Wire`."""
        self.asked.append(f"{call.method} {call.path}")
        return super().call(call, now_ns)

    def frame(self, connection: int, payload: bytes, now_ns: int) -> Any:
        """See `Wire`."""
        self.heard.set()
        return super().frame(connection, payload, now_ns)


class Venue(ServedVenue[Recorded]):
    """The exchange with its wire, served on loopback."""

    def __init__(self, tier: Tier = UNLIMITED) -> None:
        def make(now_ns: int) -> tuple[Exchange, Recorded]:
            made = make_exchange(now_ns)
            return made, Recorded(made, tier)

        super().__init__("kraken", make)


def ccxt_urls(venue: Served) -> dict[str, Any]:
    """What of a ccxt client is changed to ask this venue instead of Kraken."""
    return {
        "api": {
            "public": venue.http,
            "private": venue.http,
            "ws": {
                "public": venue.ws,
                "private": venue.ws,
                "publicV2": f"{venue.ws}/v2",
                "privateV2": f"{venue.ws}/v2",
            },
        }
    }


def settings(venue: Venue, key: str = KEY, secret: str = SECRET, **more: Any) -> dict[str, Any]:
    """What of a client is changed."""
    return {
        "apiKey": key,
        "secret": secret,
        "urls": ccxt_urls(venue),
        "enableRateLimit": False,
    } | more
