"""Recorded market data as a stream of frames, in the order in which they were received.

Two formats are read. A capture is a gzipped file of one JSON object a line: a header, what was
asked over HTTP and answered, connections, what was sent, and every frame received with the local
time; lines may stand out of order and are sorted by time. The other, as hftbacktest's collector
writes it, is a gzipped file of lines `local_ns frame`. A name such as FILE#BYBIT.ws.2 means one
connection of a capture. What is in a capture, engine/edges/capture_contents.py tells.
"""

import base64
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

CONNECTED = 10  # kinds beside those of `Frame`: what happened to a connection
DISCONNECTED = 11


class CapturedFrame(NamedTuple):
    """One frame: when it was received (ns), on which connection, and what it answers if it does.

    `kind` is that of `engine.messages.Frame`, or says that the connection opened or was lost, and
    then `about` says why.
    """

    at_ns: int
    connection: int
    kind: int
    about: str
    payload: bytes


class CaptureError(ValueError):
    """A file that is no capture; the message names the file and the line."""


class Line(msgspec.Struct):
    """A line of a capture: `t` is its kind, `ts` its time in seconds."""

    t: str
    ts: float = 0.0
    conn: str = ""
    url: str = ""
    addr: str = ""
    data: str = ""
    b64: str = ""
    exchange: str = ""


_LINE = msgspec.json.Decoder(Line)
COLLECTED = "COLLECTED"  # the header's exchange of the format without headers
SNAPSHOT = b'{"lastUpdateId"'


def split_name(path: Path) -> tuple[Path, str]:
    """The file and the connection of a name such as FILE#CONNECTION."""
    name, _, connection = str(path).partition("#")
    return Path(name), connection


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a capture as they stand, of one connection if it is named; raises CaptureError."""
    file_path, connection = split_name(path)
    try:
        with gzip.open(file_path, "rb") as file:
            for number, raw in enumerate(file, 1):
                if number == 1 and raw[:1].isdigit():
                    yield Line("header", exchange=COLLECTED)
                try:
                    line = _collected(raw) if raw[:1].isdigit() else _LINE.decode(raw)
                except (msgspec.DecodeError, ValueError) as error:
                    raise CaptureError(
                        f"{file_path}:{number}: not a capture's line: {error}"
                    ) from error
                if not connection or line.t in ("header", "http") or line.conn == connection:
                    yield line
    except (OSError, EOFError) as error:
        raise CaptureError(f"{file_path}: not a capture: {error}") from error


def _collected(raw: bytes) -> Line:
    """A line `local_ns frame`; a snapshot does not name its symbol, its file does."""
    at_ns, _, payload = raw.partition(b" ")
    kind = "http" if payload.startswith(SNAPSHOT) else "recv"
    return Line(kind, int(at_ns) / 1e9, data=payload.rstrip().decode())


def read_capture(path: Path) -> Iterator[CapturedFrame]:
    """The frames and HTTP answers of a capture by time; raises CaptureError."""
    frames = []
    symbol = native_in_name(path)
    for line in read_lines(path):
        if line.t not in ("recv", "http"):
            continue
        payload = base64.b64decode(line.b64) if line.b64 else line.data.encode()
        kind = 1 if line.t == "http" else 0
        about = line.url or (f"/depth?symbol={symbol}" if kind else "")
        frames.append(CapturedFrame(int(line.ts * 1e9), 0, kind, about, payload))
    return iter(sorted(frames, key=lambda frame: frame.at_ns))


def native_in_name(path: Path) -> str:
    """What a collected file is called after: btcusdt_20240808.gz is BTCUSDT."""
    return split_name(path)[0].name.partition("_")[0].upper()
