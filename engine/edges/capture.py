"""Recorded websocket captures as a stream of frames, in the order in which they were received.

A capture is a gzipped file of one JSON object a line: a header, what was asked over HTTP and
answered, connections, what was sent, and every frame received with the local time. Lines may stand
out of order (snapshots first); they are sorted by time. `describe` reads the instruments out of it.
"""

import base64
import gzip
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec


class CapturedFrame(NamedTuple):
    """One frame: when it was received (ns), on which connection, and what it answers if it does."""

    at_ns: int
    connection: int
    kind: int
    about: str
    payload: bytes


class CaptureError(ValueError):
    """A file that is no capture; the message names the file and the line."""


class _Line(msgspec.Struct):
    t: str
    ts: float = 0.0
    url: str = ""
    addr: str = ""
    data: str = ""
    b64: str = ""
    exchange: str = ""


_LINE = msgspec.json.Decoder(_Line)
PROTOCOLS = {"KRAKEN": "kraken_v1", "BINANCE": "binance"}


def _lines(path: Path) -> Iterator[_Line]:
    try:
        with gzip.open(path, "rb") as file:
            for number, raw in enumerate(file, 1):
                try:
                    yield _LINE.decode(raw)
                except msgspec.DecodeError as error:
                    raise CaptureError(f"{path}:{number}: not a capture's line: {error}") from error
    except (OSError, EOFError) as error:
        raise CaptureError(f"{path}: not a capture: {error}") from error


def read_capture(path: Path) -> Iterator[CapturedFrame]:
    """The frames and HTTP answers of a capture by time; raises CaptureError."""
    frames = []
    for line in _lines(path):
        if line.t not in ("recv", "http"):
            continue
        payload = base64.b64decode(line.b64) if line.b64 else line.data.encode()
        kind = 1 if line.t == "http" else 0
        frames.append(CapturedFrame(int(line.ts * 1e9), 0, kind, line.url, payload))
    return iter(sorted(frames, key=lambda frame: frame.at_ns))


class CapturedInstrument(NamedTuple):
    """An instrument found in a capture: its native name, symbol and grid as decimal strings."""

    native: str
    symbol: str
    tick_size: str
    lot_size: str


class Capture(NamedTuple):
    """What a capture holds: the protocol it speaks and the instruments whose books are in it."""

    protocol: str
    instruments: tuple[CapturedInstrument, ...]


def describe(path: Path) -> Capture:
    """Protocol and instruments of a capture; raises CaptureError where it does not say them."""
    exchange = ""
    metadata: dict[str, Any] = {}
    subscribed: list[str] = []
    for line in _lines(path):
        if line.t == "header":
            exchange = line.exchange
        elif line.t == "http" and ("AssetPairs" in line.url or "exchangeInfo" in line.url):
            metadata = msgspec.json.decode(line.data)
        elif line.t == "send" and exchange == "KRAKEN":
            sent = msgspec.json.decode(line.data)
            if sent.get("subscription", {}).get("name") == "book":
                subscribed += sent["pair"]
        elif line.t == "connect" and "streams=" in line.addr:
            streams = line.addr.partition("streams=")[2].split("/")
            subscribed += [s.partition("@")[0].upper() for s in streams if "@depth" in s]
    if exchange not in PROTOCOLS:
        known = ", ".join(PROTOCOLS)
        raise CaptureError(f"{path}: captures of {known} can be replayed, not of {exchange!r}")
    found = _kraken(metadata) if exchange == "KRAKEN" else _binance(metadata)
    missing = [native for native in subscribed if native not in found]
    if missing or not subscribed:
        raise CaptureError(f"{path}: no instrument data for {missing or 'any book'}")
    return Capture(PROTOCOLS[exchange], tuple(found[native] for native in subscribed))


def _kraken(metadata: dict[str, Any]) -> dict[str, CapturedInstrument]:
    found = {}
    for pair in metadata.get("result", {}).values():
        native = pair.get("wsname")
        if native:
            found[native] = CapturedInstrument(
                native, native, _step(pair["pair_decimals"]), _step(pair["lot_decimals"])
            )
    return found


def _binance(metadata: dict[str, Any]) -> dict[str, CapturedInstrument]:
    found = {}
    for market in metadata.get("symbols", []):
        filters = {f["filterType"]: f for f in market["filters"]}
        found[market["symbol"]] = CapturedInstrument(
            market["symbol"],
            f"{market['baseAsset']}/{market['quoteAsset']}",
            _trim(filters["PRICE_FILTER"]["tickSize"]),
            _trim(filters["LOT_SIZE"]["stepSize"]),
        )
    return found


def _step(decimals: int) -> str:
    return f"{Decimal(1).scaleb(-decimals):f}"


def _trim(number: str) -> str:
    return f"{Decimal(number).normalize():f}"
