"""Recorded market data as a stream of frames, in the order in which they were received.

Two formats are read. A capture is a gzipped file of one JSON object a line: a header, what was
asked over HTTP and answered, connections, what was sent, and every frame received with the local
time; lines may stand out of order and are sorted by time. The other, as hftbacktest's collector
writes it, is a gzipped file of lines `local_ns frame`. A name such as FILE#BYBIT.ws.2 means one
connection of a capture. What is in a capture, engine/edges/capture_contents.py tells.
"""

import base64
import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from engine.backtest.hearing import CONNECTED


class CapturedFrame(NamedTuple):
    """One frame: when it was received (ns), on which connection, and what it answers if it does.

    `kind` is that of `engine.messages.Frame`, or (`engine.backtest.hearing`) says that the connection opened or was lost, and
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
    """A line of a capture: `t` is its kind, `at_ns` its time; captures write seconds, as `ts`."""

    t: str
    ts: float = 0.0
    at_ns: int = 0
    conn: str = ""
    url: str = ""
    addr: str = ""
    data: str = ""
    b64: str = ""
    exchange: str = ""

    def __post_init__(self) -> None:
        if not self.at_ns:
            self.at_ns = int(self.ts * 1e9)


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
    return Line(kind, at_ns=int(at_ns), data=payload.rstrip().decode())


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
        frames.append(CapturedFrame(line.at_ns, 0, kind, about, payload))
    return iter(sorted(frames, key=lambda frame: frame.at_ns))


def native_in_name(path: Path) -> str:
    """What a collected file is called after: btcusdt_20240808.gz is BTCUSDT."""
    return split_name(path)[0].name.partition("_")[0].upper()


def frames_of(path: Path, venue: str) -> Iterator[CapturedFrame]:
    """A recording's frames: a capture, one venue's raw files, or its part of a tape (Parquet)."""
    if path.is_dir():
        from engine.edges.raw_recording import read_recording  # Arrow loads only where it is needed

        return read_recording(path)
    if path.suffix != ".parquet":
        return read_capture(path)
    from engine.edges.tape import read_tape_frames

    return read_tape_frames(path, venue)


def opened(frames: Iterable[CapturedFrame]) -> Iterator[CapturedFrame]:
    """A recording that begins with a connection that opens, also where nobody wrote that down."""
    for place, frame in enumerate(frames):
        if place == 0 and frame.kind != CONNECTED:
            yield CapturedFrame(frame.at_ns, 0, CONNECTED, "", b"")
        yield frame
