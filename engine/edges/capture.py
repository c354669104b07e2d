"""Recorded websocket captures as a stream of frames, in the order in which they were received.

A capture is a gzipped file of one JSON object a line: a header, what was asked over HTTP and
answered, connections, what was sent, and every frame received with the local time. Lines may stand
out of order (snapshots first); they are sorted by time. `describe` reads the instruments out of it.
"""

import base64
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

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
    """Protocol and instruments of a capture; raises CaptureError where it does not say them.

    The grid is what the frames are written with: Kraken's checksum is over those digits, and old
    orders may rest on a finer grid than the venue's metadata gives today.
    """
    exchange = ""
    symbols: dict[str, str] = {}
    grids: dict[str, tuple[str, str]] = {}
    for line in _lines(path):
        if line.t == "header":
            exchange = line.exchange
        elif line.t == "http" and "exchangeInfo" in line.url:
            symbols = {
                market["symbol"]: f"{market['baseAsset']}/{market['quoteAsset']}"
                for market in msgspec.json.decode(line.data)["symbols"]
            }
        elif line.t == "http" and "/depth?symbol=" in line.url:
            native = line.url.partition("symbol=")[2].partition("&")[0]
            level = msgspec.json.decode(line.data)["bids"][0]
            grids[native] = (_step(level[0]), _step(level[1]))
        elif exchange == "KRAKEN" and line.t == "recv" and '"as":[[' in line.data[:80]:
            parts = msgspec.json.decode(line.data)
            level = parts[1]["as"][0]
            symbols[parts[-1]] = parts[-1]
            grids[parts[-1]] = (_step(level[0]), _step(level[1]))
    if exchange not in PROTOCOLS:
        known = ", ".join(PROTOCOLS)
        raise CaptureError(f"{path}: captures of {known} can be replayed, not of {exchange!r}")
    missing = [native for native in grids if native not in symbols]
    if missing or not grids:
        raise CaptureError(f"{path}: no instrument data for {missing or 'any book'}")
    return Capture(
        PROTOCOLS[exchange],
        tuple(CapturedInstrument(n, symbols[n], *grid) for n, grid in grids.items()),
    )


def _step(number: str) -> str:
    """The grid a number is written on: one in its last decimal place."""
    places = len(number.partition(".")[2])
    return "0." + "0" * (places - 1) + "1" if places else "1"
