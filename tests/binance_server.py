"""One venue that speaks Binance's protocol on a loopback port, its market made by the tests.

There is no simulated flow: the account `maker` makes the market, so that every price is known.
"""

from typing import Any, TypeVar

from engine.exchange.exchange import Exchange
from engine.exchange.orders import NewOrder
from engine.exchange.wires.binance import BinanceWire
from engine.exchange.wires.binance_limits import Limits
from engine.exchange.wires.wire import Answer, Call
from engine.instruments import Instrument
from ext.matching import BUY, CONTINUOUS, HALTED, LIMIT, SELL
from tests.loopback_only import Served
from tests.served_venue import ServedVenue

KEY, SECRET = "k" * 64, "s" * 64
READ_KEY = "r" * 64
POOR_KEY, POOR_SECRET = "p" * 64, "q" * 64
PATIENT = Limits(frames_per_second=1_000)
BEGIN = 1_700_000_000_000_000_000
T = TypeVar("T")


class Halting(Exchange):
    """An exchange for the front's faults, as far as these tests ask for them."""

    def account_of_key(self, key: str) -> str:
        """Whose key it is."""
        known = self.accounts.by_key(key)
        return known.account if known else ""

    def set_halted(self, halted: bool, now_ns: int) -> None:
        """All markets stop, or go on."""
        for number in self.markets:
            self.set_phase(number, HALTED if halted else CONTINUOUS, now_ns)


def instruments() -> list[Instrument]:
    """Three markets of three assets."""
    grids = (
        ("BTC/USDT", "0.01", "0.00001", "5"),
        ("ETH/USDT", "0.01", "0.0001", "5"),
        ("ETH/BTC", "0.00001", "0.001", "0.0001"),
    )
    return [
        Instrument(
            id=number,
            venue=0,
            symbol=symbol,
            base=symbol.partition("/")[0],
            quote=symbol.partition("/")[2],
            tick_size=tick,
            lot_size=lot,
            base_decimals=8,
            quote_decimals=8,
            notional_min=notional,
            maker_fee="0.001",
            taker_fee="0.002",
            ticks_max=10**9,
            lots_max=10**9,
        )
        for number, (symbol, tick, lot, notional) in enumerate(grids)
    ]


def make_exchange(begin_ns: int = BEGIN) -> Halting:
    """A venue with a rich maker, a client and a poor client, and a first trade at 100.00."""
    made = Halting("alpha", instruments(), begin_ns=begin_ns)
    rich = {"BTC": 10**14, "ETH": 10**14, "USDT": 10**16}
    made.accounts.add("maker", "m" * 64, b"m", rich, None, begin_ns)
    ours = {"BTC": 10 * 10**8, "ETH": 100 * 10**8, "USDT": 100_000 * 10**8}
    made.accounts.add("main", KEY, SECRET.encode(), ours, None, begin_ns)
    made.accounts.add_key("main", READ_KEY, SECRET.encode(), frozenset({"read"}))
    made.accounts.add("poor", POOR_KEY, POOR_SECRET.encode(), {"USDT": 10**8}, None, begin_ns)
    make_market(made, begin_ns)
    made.take_events()
    return made


def make_market(exchange: Exchange, now_ns: int) -> None:
    """Twenty levels a side of BTC/USDT around 100, of ETH/USDT around 50, and a trade of each."""
    for number, middle, lots in ((0, 10_000, 100_000), (1, 5_000, 10_000), (2, 50_000, 1_000)):
        for step in range(1, 21):
            for side in (BUY, SELL):
                new = NewOrder(number, side, LIMIT, lots, middle - side * step * 10)
                exchange.place("maker", new, now_ns)
        exchange.place("maker", NewOrder(number, BUY, LIMIT, lots, middle), now_ns)
        exchange.place("maker", NewOrder(number, SELL, LIMIT, lots, middle), now_ns)


class Recorded(BinanceWire):
    """The wire, which keeps what it was asked."""

    def __init__(self, exchange: Exchange, limits: Limits) -> None:
        super().__init__(exchange, limits)
        self.asked: list[str] = []

    def call(self, call: Call, now_ns: int) -> Answer:
        """See `Wire`."""
        self.asked.append(f"{call.method} {call.path}")
        return super().call(call, now_ns)


class Venue(ServedVenue[Recorded]):
    """The exchange with its wire, served on loopback."""

    def __init__(self, limits: Limits = PATIENT, begin_ns: int | None = None) -> None:
        def make(now_ns: int) -> tuple[Exchange, Recorded]:
            made = make_exchange(now_ns)
            return made, Recorded(made, limits)

        super().__init__("binance", make, begin_ns)


def ccxt_urls(venue: Served) -> dict[str, Any]:
    """What of a ccxt client is changed to ask this venue instead of Binance."""
    http, ws = venue.http, venue.ws
    api: dict[str, Any] = {
        "public": f"{http}/api/v3",
        "private": f"{http}/api/v3",
        "v1": f"{http}/api/v1",
        **{f"sapi{v}": f"{http}/sapi/v{v[1:] or 1}" for v in ("", "V2", "V3", "V4")},
        "papi": f"{http}/papi/v1",
        "papiV2": f"{http}/papi/v2",
        "ws": {
            **dict.fromkeys(("spot", "margin"), f"{ws}/stream/ws"),
            **dict.fromkeys(("linear", "inverse", "option", "papi"), f"{ws}/ws"),
            "ws-api": dict.fromkeys(("spot", "linear", "inverse"), f"{ws}/ws-api/v3"),
        },
    }
    for kind in ("fapi", "dapi", "eapi"):
        api |= {f"{kind}{part}": f"{http}/{kind}/v1" for part in ("Public", "Private", "Data")}
        api |= {
            f"{kind}{part}{v}": f"{http}/{kind}/{v.lower()}"
            for part in ("Public", "Private")
            for v in ("V2", "V3")
        }
    return {"api": api}
