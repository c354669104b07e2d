"""What an exchange did, out of its capture: book frames in order, and the true book after each.

The true book is tests/twins/rebuild.py's. At its start a book is cut to its best levels, so that
whole-book captures stay small; all changes after that are the recorded ones.
"""

import json
import zlib
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from engine.config import Config, InstrumentConfig
from engine.edges.capture import read_capture, read_lines
from tests.captures import config_of
from tests.twins.rebuild import REBUILDS, Rebuild

LEVELS = 80
STEPS = 110
TAIL_CHANGES = 2  # how often each market changes in the clean end

Side = tuple[tuple[Decimal, Decimal], ...]


class Moment(NamedTuple):
    """A market after one of its frames: its number, where it has one, and both sides, best first."""

    number: int
    bids: Side
    asks: Side


class Step(NamedTuple):
    """One frame, the market that it changes, and which of that market's moments it makes."""

    symbol: str
    payload: bytes
    place: int


class Tape(NamedTuple):
    """The markets of one exchange. From step `tail` on each of them changes a few times more."""

    config: Config
    steps: list[Step]
    markets: dict[str, list[Moment]]
    tail: int
    listings: dict[str, bytes]


class Source(NamedTuple):
    """A capture in the folder of captures, and the markets taken from it."""

    name: str
    symbols: tuple[str, ...]


SOURCES = {
    "binance": Source("BINANCE.jsonl.gz", ("NKNUSDT", "LRCBTC", "BLZETH")),
    "binance_futures": Source("BINANCE_FUTURES.jsonl.gz", ("SUSHIUSDT", "AKROUSDT", "CTKUSDT")),
    "bitfinex": Source("BITFINEX.jsonl.gz", ("tIOTETH", "tDOGUSD", "tMNABTC")),
    "bitstamp": Source("BITSTAMP.jsonl.gz", ("batbtc", "usdteur", "bateur")),
    "bybit": Source("BYBIT.jsonl.gz#BYBIT.ws.3", ("BTCUSDT", "ETHUSDT")),
    "bybit_linear": Source("BYBIT.jsonl.gz#BYBIT.ws.2", ("BTCUSDT", "ETHUSDT", "DOGEUSDT")),
    "coinbase": Source("COINBASE.jsonl.gz", ("BTC-USD", "ETH-USD")),
    "gate": Source("GATEIO.jsonl.gz", ("OMG_USDT", "NEO_BTC", "QTUM3S_USDT")),
    "kraken_v1": Source("KRAKEN.jsonl.gz", ("XMR/USD", "WAVES/EUR", "SC/EUR")),
    "kucoin": Source("KUCOIN.jsonl.gz", ("BCHSV-USDT", "SNX-BTC", "ANKR-BTC")),
    "okx": Source("OKX.jsonl.gz", ("BTC-USD-220527", "UNI-USD-SWAP", "BTC-USDT")),
}


class Recorder:
    """Takes a rebuild's markets as moments, from when it has all of them."""

    def __init__(self, rebuild: Rebuild, symbols: tuple[str, ...]) -> None:
        self.rebuild = rebuild
        self.symbols = symbols
        self.steps: list[Step] = []
        self.markets: dict[str, list[Moment]] = {}

    def take(self, payload: bytes, about: str = "") -> None:
        """A frame: of the beginning, or one step."""
        for symbol in self.rebuild.frame(payload, about):
            if symbol not in self.symbols:
                continue
            if not self.markets:
                self._cut(symbol)
                continue
            moments = self.markets[symbol]
            moments.append(self._moment(symbol))
            self.steps.append(Step(symbol, payload, len(moments) - 1))
        if not self.markets and set(self.symbols) <= set(self.rebuild.books):
            self.markets = {symbol: [self._moment(symbol)] for symbol in self.symbols}

    def _cut(self, symbol: str) -> None:
        bids, asks = self.rebuild.sides(symbol)
        if max(len(bids), len(asks)) > LEVELS:
            self.rebuild.books[symbol] = {"b": dict(bids[:LEVELS]), "a": dict(asks[:LEVELS])}

    def _moment(self, symbol: str) -> Moment:
        bids, asks = self.rebuild.sides(symbol)
        number = self.rebuild.last.get(symbol) or self.rebuild.heard.get(symbol, 0)
        return Moment(number, tuple(bids), tuple(asks))

    def tape(self, config: Config, listings: dict[str, bytes]) -> Tape:
        """All that was taken."""
        left = dict.fromkeys(self.symbols, TAIL_CHANGES)
        tail = len(self.steps)
        while any(left.values()):
            tail -= 1
            left[self.steps[tail].symbol] = max(0, left[self.steps[tail].symbol] - 1)
        return Tape(config, self.steps, self.markets, tail, listings)


@cache
def recorded_tape(folder: Path, protocol: str) -> Tape:
    """The tape of an exchange that was recorded."""
    source = SOURCES[protocol]
    path = folder / "cryptofeed" / source.name
    recorder = Recorder(REBUILDS[protocol](), source.symbols)
    for frame in read_capture(path):
        recorder.take(frame.payload, frame.about if frame.kind == 1 else "")
        if len(recorder.steps) == STEPS:
            break
    listings = {
        line.url.partition("?")[0].partition("//")[2].partition("/")[2]: line.data.encode()
        for line in read_lines(path)
        if line.t == "http"
    }
    return recorder.tape(_only(config_of(path), source.symbols), listings)


def _only(config: Config, symbols: tuple[str, ...]) -> Config:
    by_name: dict[str, InstrumentConfig] = {entry.native: entry for entry in config.instruments}
    chosen = tuple(by_name[symbol] for symbol in symbols)
    return msgspec.structs.replace(config, instruments=chosen)


# --- frames of our own making, where nobody recorded any -----------------------------------------------

Change = tuple[str, str, str]  # b or a, price, quantity
Written = Callable[[str, list[Change], Moment], bytes]


@cache
def made_tape(folder: Path, source: str, protocol: str, whole: Written, change: Written) -> Tape:
    """Another exchange's recorded changes, written by the rules of a venue that has no capture."""
    tape = recorded_tape(folder, source)
    recorder = Recorder(REBUILDS[protocol](), tuple(tape.markets))
    for symbol, moments in tape.markets.items():
        recorder.take(whole(symbol, [], moments[0]))
    for step in tape.steps:
        changes = CHANGES[source](json.loads(step.payload))
        recorder.take(change(step.symbol, changes, tape.markets[step.symbol][step.place]))
    return recorder.tape(tape.config, tape.listings)


def _changes_of_kraken(message: list) -> list[Change]:
    parts = [part for part in message[1:-2] if isinstance(part, dict)]
    return [(s, p, q) for part in parts for s in "ba" for p, q, *_ in part.get(s, [])]


def _changes_of_coinbase(message: dict) -> list[Change]:
    sides = {"bid": "b", "offer": "a"}
    return [
        (sides[level["side"]], level["price_level"], level["new_quantity"])
        for event in message["events"]
        for level in event["updates"]
    ]


CHANGES: dict[str, Callable] = {
    "kraken_v1": _changes_of_kraken,
    "coinbase": _changes_of_coinbase,
}


def kraken_crc(moment: Moment) -> int:
    """Kraken's checksum: ten asks, then ten bids, digits without point and leading zeros."""
    words = [f"{n:f}" for level in (*moment.asks[:10], *moment.bids[:10]) for n in level]
    return zlib.crc32("".join(word.replace(".", "").lstrip("0") for word in words).encode())
