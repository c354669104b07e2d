"""What a capture holds: the protocol it speaks, and the instruments whose books are in it.

Names are read out of what was subscribed, symbols and grids out of the venue's own listings where
the capture has them. Where it has none, or where books are written finer than the listings say, the
grid is the finest that the frames are written with.
"""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import msgspec

from engine.assembly import HANDLERS
from engine.edges.capture import (
    COLLECTED,
    CaptureError,
    Line,
    native_in_name,
    read_lines,
    split_name,
)
from engine.units import split_decimal, step_of
from engine.venues.feed import Feed
from engine.venues.handler import Listing


class Capture(NamedTuple):
    """What a capture holds: the protocol it speaks and the instruments whose books are in it."""

    protocol: str
    instruments: tuple[Listing, ...]


class Exchange(NamedTuple):
    """How an exchange's captures are read.

    `protocols` by what an address contains; `books` finds the subscriptions of books in what was
    sent or asked, and `names` the native names in those. `listings` marks the addresses of listings.
    """

    protocols: dict[str, str]
    books: re.Pattern[str]
    names: re.Pattern[str]
    listings: str = ""


Written = dict[str, list[tuple[str, str]]]
WORD = re.compile(r"[A-Z0-9]+[-_]?[A-Z0-9]+")
PAIR = re.compile(r'\["([\d.]+)","([\d.]+)"')
NAME = re.compile(r'"([A-Z0-9]+[-_/][A-Z0-9]+)"')
EXCHANGES = {
    "BINANCE": Exchange(
        {"": "binance"}, re.compile(r"/depth\?symbol=\w+"), re.compile(r"=(\w+)"), "exchangeInfo"
    ),
    "BINANCE_FUTURES": Exchange(
        {"": "binance_futures"},
        re.compile(r"/depth\?symbol=\w+"),
        re.compile(r"=(\w+)"),
        "exchangeInfo",
    ),
    "BITFINEX": Exchange(
        {"": "bitfinex"},
        re.compile(r'"channel":"book","symbol":"[^"]+"'),
        re.compile(r'"symbol":"([^"]+)"'),
    ),
    "BITSTAMP": Exchange(
        {"": "bitstamp"},
        re.compile(r'"diff_order_book_\w+"'),
        re.compile(r"book_(\w+)"),
        "trading-pairs-info",
    ),
    "BYBIT": Exchange(
        {"/linear": "bybit_linear", "/spot": "bybit"},
        re.compile(r'"orderbook\.200\.\w+"'),
        re.compile(r"200\.(\w+)"),
        "instruments-info",
    ),
    "COINBASE": Exchange(
        {"": "coinbase"}, re.compile(r'"product_ids":.*"channel":"level2"'), NAME, "/products"
    ),
    "GATEIO": Exchange(
        {"": "gate"},
        re.compile(r'"spot\.order_book_update".*'),
        re.compile(r'"([A-Z0-9]+_[A-Z0-9]+)"'),
        "currency_pairs",
    ),
    "KRAKEN": Exchange({"": "kraken_v1"}, re.compile(r'"pair":\[[^\]]*\].*"name":"book"'), NAME),
    "KUCOIN": Exchange(
        {"": "kucoin"},
        re.compile(r"/market/level2:[\w,-]+"),
        re.compile(r"([A-Z0-9]+-[A-Z0-9]+)"),
        "/api/v1/symbols",
    ),
    "OKX": Exchange(
        {"": "okx"},
        re.compile(r'"channel":"books","instId":"[^"]+"'),
        re.compile(r'"instId":"([^"]+)"'),
        "instruments?instType",
    ),
}
QUOTES = ("USDT", "USDC", "FDUSD", "BTC", "ETH", "BNB", "EUR", "USD", "TRY")


def describe(path: Path) -> Capture:
    """Protocol and instruments of a capture; raises CaptureError where it does not say them."""
    lines = list(read_lines(path))
    name = next((line.exchange for line in lines if line.t == "header"), "")
    if name == COLLECTED:
        return _collected(path, lines)
    exchange = EXCHANGES.get(name)
    if exchange is None:
        known = ", ".join(EXCHANGES)
        raise CaptureError(f"{path}: captures of {known} can be replayed, not of {name!r}")
    protocol = _protocol(path, exchange, lines)
    natives = dict.fromkeys(_natives(exchange, lines))
    found = {listing.native: listing for listing in _listings(protocol, exchange, lines)}
    if protocol in WRITTEN:
        for native, levels in WRITTEN[protocol](lines, natives).items():
            listing = found.get(native)
            grid = finest([level[0] for level in levels]), finest([level[1] for level in levels])
            if listing is not None and protocol != "kraken_v1":
                grid = finer(listing.tick_size, grid[0]), finer(listing.lot_size, grid[1])
            symbol = _symbol(protocol, native) if listing is None else listing.symbol
            found[native] = Listing(native, symbol, *grid)
    instruments = tuple(found[native] for native in natives if native in found)
    if not instruments:
        raise CaptureError(f"{path}: no instrument data for {', '.join(natives) or 'any book'}")
    return Capture(protocol, instruments)


def _protocol(path: Path, exchange: Exchange, lines: list[Line]) -> str:
    """The one protocol of all connections; raises CaptureError where there is more than one."""
    found: dict[str, str] = {}
    for line in lines:
        if line.t == "connect":
            for mark, protocol in exchange.protocols.items():
                if mark in line.addr:
                    found[line.conn] = protocol
    if len(set(found.values())) != 1:
        file, _ = split_name(path)
        names = ", ".join(f"{file.name}#{conn} ({what})" for conn, what in found.items())
        raise CaptureError(f"{path}: several protocols are in it, name one: {names or 'none'}")
    return next(iter(found.values()))


def _natives(exchange: Exchange, lines: list[Line]) -> Iterator[str]:
    for line in lines:
        if line.t in ("send", "http"):
            for book in exchange.books.findall(line.url if line.t == "http" else line.data):
                yield from exchange.names.findall(book)


def _listings(protocol: str, exchange: Exchange, lines: list[Line]) -> Iterator[Listing]:
    handler = HANDLERS[protocol]
    if not exchange.listings or not issubclass(handler, Feed):
        return
    kind = re.search(r"category=\w+", handler.listings)  # one exchange, several kinds of markets
    for line in lines:
        if line.t == "http" and exchange.listings in line.url:
            if kind is not None and kind[0] not in line.url:
                continue
            try:
                yield from handler.read_listings(line.data.encode())
            except (msgspec.DecodeError, ValueError):
                continue  # listings of a kind without books here, such as options


def finest(numbers: list[str]) -> str:
    """The grid that all numbers lie on: one in the last place that any of them is written with."""
    return step_of(max((len(number.partition(".")[2]) for number in numbers), default=0))


def finer(listed: str, written: str) -> str:
    """The listed grid, unless frames are written finer: old orders may rest on a finer one."""
    plain = f"{Decimal(listed).normalize():f}"
    return written if split_decimal(written)[1] > split_decimal(plain)[1] else plain


# --- grids out of frames -----------------------------------------------------------------------------


def _written_by_kraken(lines: list[Line], natives: Iterable[str]) -> Written:
    """Kraken's checksum is over all digits that are written, so zeros at the end count."""
    written: Written = {}
    for line in lines:
        if line.t == "recv" and '"as":[[' in line.data[:80]:
            parts = msgspec.json.decode(line.data)
            if parts[-1] in natives:
                written[parts[-1]] = [tuple(parts[1]["as"][0][:2])]
    return written


def _written_in_pairs(lines: list[Line], natives: Iterable[str]) -> Written:
    """Levels as [price, quantity] strings, in frames or snapshots that name the market."""
    written: Written = {}
    for line in lines:
        about = line.url if line.t == "http" else line.data[:300]
        if line.t not in ("http", "recv") or line.url.endswith(
            ("exchangeInfo", "symbols", "pairs")
        ):
            continue
        for name in WORD.findall(about):
            if name in natives:
                levels = PAIR.findall(line.data)
                written.setdefault(name, []).extend(
                    (p.rstrip("0"), q.rstrip("0")) for p, q in levels
                )
                break
    return written


def _written_by_bitfinex(lines: list[Line], natives: Iterable[str]) -> Written:
    """Numbers are bare in the frames: read as text, levels of a channel's snapshot and changes."""
    channels: dict[int, str] = {}
    written: Written = {}
    subscribed = re.compile(r'"channel":"book","chanId":(\d+),"symbol":"([^"]+)"')
    level = re.compile(r"\[(-?[\d.]+),\d+,(-?[\d.]+)\]")
    for line in lines:
        if line.t != "recv":
            continue
        event = subscribed.search(line.data)
        if event is not None:
            channels[int(event[1])] = event[2]
        head = line.data[1:].partition(",")[0]
        native = channels.get(int(head), "") if head.isdigit() else ""
        if native in natives:
            written.setdefault(native, []).extend(level.findall(line.data))
    return written


WRITTEN = {
    "binance": _written_in_pairs,
    "binance_futures": _written_in_pairs,
    "bitfinex": _written_by_bitfinex,
    "gate": _written_in_pairs,
    "kraken_v1": _written_by_kraken,
    "kucoin": _written_in_pairs,
}


def _symbol(protocol: str, native: str) -> str:
    """BASE/QUOTE of a name that no listing explains: WAVES/EUR, tBTCUSD, tDOGE:USD."""
    if protocol != "bitfinex":
        return native
    pair = native[1:]
    base, _, quote = pair.partition(":") if ":" in pair else (pair[:-3], "", pair[-3:])
    return f"{base}/{quote}"


# --- files without headers ---------------------------------------------------------------------------


class _Levels(msgspec.Struct):
    b: list[tuple[str, str]] = []
    a: list[tuple[str, str]] = []
    bids: list[tuple[str, str]] = []
    asks: list[tuple[str, str]] = []
    pu: int = 0


class _Wrapped(msgspec.Struct):
    data: _Levels | None = None


def _collected(path: Path, lines: list[Line]) -> Capture:
    """Binance's frames, spot or futures; the grid is the finest that any level needs."""
    levels: list[tuple[str, str]] = []
    futures = False
    for line in lines:
        if line.t == "http":
            told = msgspec.json.decode(line.data, type=_Levels)
        elif '"depthUpdate"' in line.data[:120]:
            told = msgspec.json.decode(line.data, type=_Wrapped).data or _Levels()
        else:
            continue
        futures = futures or told.pu > 0
        levels += told.b + told.a + told.bids + told.asks
    native = native_in_name(path)
    quote = next((q for q in QUOTES if native.endswith(q)), "")
    if not levels or not quote:
        raise CaptureError(f"{path}: no book of a symbol such as BTCUSDT is in it")
    tick, lot = (finest([level[side].rstrip("0") for level in levels]) for side in (0, 1))
    symbol = f"{native.removesuffix(quote)}/{quote}" + (f":{quote}" if futures else "")
    listing = Listing(native, symbol, tick, lot)
    return Capture("binance_futures" if futures else "binance", (listing,))
