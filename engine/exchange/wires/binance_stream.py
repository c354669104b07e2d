"""Binance's market streams: what connections subscribe to, and the frames that are due to them.

Trades and best prices go at once; differences of the book, partial books, candles and tickers are
gathered and go on the grid of their cadence. A difference covers all changes since the one before it:
`U` is the first and `u` the last of their numbers, and levels are absolute, so that a snapshot of any
moment joins. Source: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

from collections.abc import Sequence
from typing import Any

from engine.exchange.orders import DepthChange
from engine.exchange.wires import binance_market as market
from engine.exchange.wires.binance_candles import candles_of, close_ms, is_interval, open_ms
from engine.exchange.wires.binance_orders import Ask
from engine.exchange.wires.binance_state import State
from engine.exchange.wires.binance_words import MS, Listing, ms
from ext.matching import BUY

NEVER = 1 << 62
FAST_NS, SLOW_NS, CANDLE_NS = 100 * MS, 1_000 * MS, 2_000 * MS
WINDOWS_NS = {"1h": 3_600_000 * MS, "4h": 14_400_000 * MS, "1d": 86_400_000 * MS}
UTC8 = "@+08:00"
View = dict[str, Any]


class Channel:
    """One stream that somebody listens to. `cadence_ns` 0: its frames go at once."""

    cadence_ns = 0
    on_depth = False
    on_trade = False
    always = False  # due at every step of its cadence

    def __init__(self, name: str, listings: Sequence[Listing] = ()) -> None:
        self.name = name
        self.listings = listings
        self.wrapped = b'{"stream":"%b","data":' % name.encode()
        self.listeners: dict[int, None] = {}

    def views(self, state: State, now_ns: int) -> list[Any]:
        """What is to be told of it now."""
        raise NotImplementedError


class Trades(Channel):
    """@trade and @aggTrade: their frames are made where the trades are."""


class BookTicker(Channel):
    """@bookTicker: the best prices, whenever one of them changed."""

    on_depth = True

    def __init__(self, name: str, listing: Listing) -> None:
        super().__init__(name, (listing,))
        self.listing = listing
        self._last: tuple[str, ...] = ()

    def views(self, state: State, now_ns: int) -> list[Any]:
        best = market.best(state, self.listing)
        if best == self._last:
            return []
        self._last = best
        number = state.exchange.markets[self.listing.id].sequence
        return [{"u": number, "s": self.listing.native, **dict(zip("bBaA", best, strict=True))}]


class Differences(Channel):
    """@depth and @depth@100ms."""

    on_depth = True

    def __init__(self, name: str, listing: Listing, cadence_ns: int) -> None:
        super().__init__(name, (listing,))
        self.listing = listing
        self.cadence_ns = cadence_ns
        self._first = self._last = 0
        self._levels: dict[tuple[int, int], int] = {}
        self._ended: list[Any] = []

    def add(self, change: DepthChange) -> None:
        """A change of the book; one that does not follow begins a frame, so that the hole is seen."""
        if self._levels and change.first != self._last + 1:
            self._ended.append(self._view())
        if not self._levels:
            self._first = change.first
        self._last = change.last
        for side, ticks, lots in change.levels:
            self._levels[side, ticks] = lots

    def views(self, state: State, now_ns: int) -> list[Any]:
        found, self._ended = self._ended, []
        if self._levels:
            found.append(self._view())
        return [{"e": "depthUpdate", "E": ms(now_ns), **view} for view in found]

    def _view(self) -> dict[str, Any]:
        """What has gathered, which is forgotten."""
        sides: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
        for (side, ticks), lots in self._levels.items():
            sides[side == BUY].append((ticks, lots))
        self._levels.clear()
        return {
            "s": self.listing.native,
            "U": self._first,
            "u": self._last,
            "b": market.book_rows(self.listing, sorted(sides[True], reverse=True)),
            "a": market.book_rows(self.listing, sorted(sides[False])),
        }


class Partial(Channel):
    """@depth5, @depth10, @depth20: the best levels, when the book changed."""

    on_depth = True

    def __init__(self, name: str, listing: Listing, cadence_ns: int, rows: int) -> None:
        super().__init__(name, (listing,))
        self.listing = listing
        self.cadence_ns = cadence_ns
        self._rows = rows

    def views(self, state: State, now_ns: int) -> list[Any]:
        return [market.book(state, self.listing, self._rows)]


class CandleStream(Channel):
    """@kline_1m and the like: the present candle again and again, and once each when it is closed."""

    always = True

    def __init__(self, name: str, listing: Listing, interval: str, zone: int) -> None:
        super().__init__(name, (listing,))
        self.listing = listing
        self.interval = interval
        self.zone = zone
        self.cadence_ns = SLOW_NS if interval == "1s" else CANDLE_NS
        self._open_ms = -1

    def views(self, state: State, now_ns: int) -> list[Any]:
        opened = open_ms(ms(now_ns), self.interval, self.zone)
        before, self._open_ms = self._open_ms, opened
        found = []
        if 0 <= before < opened:
            found += self._view(state, before, now_ns, closed=True)
        return found + self._view(state, opened, now_ns, closed=False)

    def _view(self, state: State, opened: int, now_ns: int, closed: bool) -> list[View]:
        kept = state.exchange.markets[self.listing.id]
        end = close_ms(opened * MS, self.interval, self.zone)
        until = min(end * MS + MS - 1, now_ns)
        candles = candles_of(kept, self.interval, self.zone, opened * MS, until, 1)
        if not candles:
            return []
        listing, candle = self.listing, candles[0]
        last = kept.trades[-1].number if kept.trades and candle.trades else -1
        row = {
            "t": opened,
            "T": end,
            "s": listing.native,
            "i": self.interval,
            "f": last - candle.trades + 1 if last >= 0 else -1,
            "L": last,
            "o": listing.price(candle.open),
            "c": listing.price(candle.close),
            "h": listing.price(candle.high),
            "l": listing.price(candle.low),
            "v": listing.quantity(candle.lots),
            "n": candle.trades,
            "x": closed,
            "q": listing.value(candle.value),
            "V": listing.quantity(candle.taker_buy_lots),
            "Q": listing.value(candle.taker_buy_value),
            "B": "0",
        }
        return [{"e": "kline", "E": ms(now_ns), "s": listing.native, "k": row}]


Fields = tuple[tuple[str, str], ...]
MINI: Fields = (("c", "lastPrice"), ("o", "openPrice"), ("h", "highPrice"), ("l", "lowPrice"))
MINI += (("v", "volume"), ("q", "quoteVolume"))
ROLLING: Fields = (
    ("p", "priceChange"),
    ("P", "priceChangePercent"),
    ("w", "weightedAvgPrice"),
    *MINI,
)
ROLLING += (
    ("O", "openTime"),
    ("C", "closeTime"),
    ("F", "firstId"),
    ("L", "lastId"),
    ("n", "count"),
)
FULL: Fields = (("x", "prevClosePrice"), ("Q", "lastQty"), ("b", "bidPrice"), ("B", "bidQty"))
FULL += (("a", "askPrice"), ("A", "askQty"), *ROLLING)
SHAPES: dict[str, tuple[str, Fields]] = {
    "ticker": ("24hrTicker", FULL),
    "miniTicker": ("24hrMiniTicker", MINI),
}
SHAPES |= {f"ticker_{window}": (f"{window}Ticker", ROLLING) for window in WINDOWS_NS}


class Tickers(Channel):
    """@ticker, @miniTicker, @ticker_1h and the like; of all symbols as one list."""

    cadence_ns = SLOW_NS
    on_trade = True

    def __init__(self, name: str, listings: Sequence[Listing], kind: str, arrayed: bool) -> None:
        super().__init__(name, listings)
        self.on_depth = kind == "ticker"
        self._event, self._fields = SHAPES[kind]
        self._window_ns = WINDOWS_NS.get(kind.partition("_")[2], 0)
        self._arrayed = arrayed
        self._last: dict[int, View] = {}

    def views(self, state: State, now_ns: int) -> list[Any]:
        found = []
        for listing in self.listings:
            if self._window_ns:
                row = market.window(state, listing, now_ns, self._window_ns)
            else:
                row = market.day_ticker(state, listing, now_ns)
            view = {"e": self._event, "E": ms(now_ns), "s": listing.native}
            told = {letter: row[name] for letter, name in self._fields}
            if self._arrayed and self._last.get(listing.id) == told:
                continue
            self._last[listing.id] = told
            found.append({**view, **told})
        return [found] if self._arrayed and found else found


class AveragePrice(Channel):
    """@avgPrice."""

    cadence_ns = SLOW_NS
    on_trade = True

    def __init__(self, name: str, listing: Listing) -> None:
        super().__init__(name, (listing,))
        self.listing = listing

    def views(self, state: State, now_ns: int) -> list[Any]:
        ask = Ask("", {"symbol": self.listing.native}, now_ns)
        row = market.average_price(state, ask)
        return [
            {
                "e": "avgPrice",
                "E": ms(now_ns),
                "s": self.listing.native,
                "i": f"{row['mins']}m",
                "w": row["price"],
                "T": row["closeTime"],
            }
        ]


def channel_of(state: State, name: str) -> Channel | None:
    """The stream of a name; None where there is none of it."""
    symbol, _, kind = name.partition("@")
    if symbol.startswith("!"):
        kind_of_all = symbol[1:]
        if kind == "arr" and kind_of_all in SHAPES:
            return Tickers(name, list(state.listings.values()), kind_of_all, arrayed=True)
        return None
    listing = state.by_native.get(symbol.upper()) if symbol == symbol.lower() else None
    if listing is None:
        return None
    if kind in ("trade", "aggTrade"):
        return Trades(name)
    if kind == "bookTicker":
        return BookTicker(name, listing)
    if kind == "avgPrice":
        return AveragePrice(name, listing)
    if kind in SHAPES:
        return Tickers(name, [listing], kind, arrayed=False)
    if kind.startswith("kline_"):
        plain = kind.removeprefix("kline_")
        interval = plain.removesuffix(UTC8)
        zone = 480 if plain.endswith(UTC8) else 0
        return CandleStream(name, listing, interval, zone) if is_interval(interval) else None
    base, _, speed = kind.partition("@")
    cadence_ns = {"": SLOW_NS, "1000ms": SLOW_NS, "100ms": FAST_NS}.get(speed)
    if cadence_ns is None or base not in ("depth", "depth5", "depth10", "depth20"):
        return None
    if base == "depth":
        return Differences(name, listing, cadence_ns)
    return Partial(name, listing, cadence_ns, int(base.removeprefix("depth")))
