"""The load of feeds: recorded Binance spot depth frames of one market, and the best prices they make.

A capture is gzip of lines `local_ns raw_frame`: combined-stream frames of the market's depth, trades
and tickers, and once the REST snapshot. The difference that bridges the snapshot may stand before
it. The best prices are judged by a rebuild of dicts, which shares nothing with the engine. This file
needs the standard library only, for the peers' interpreters read its neutral form with it.
"""

import gzip
import json
import os
import statistics
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

DAY: Final = "20240808"
LEVELS_MIN: Final = 30
LEVELS_MAX: Final = 50
"""Changes, both sides together, that a timed frame has at least and at most."""

Best = tuple[str, str]
"""Best bid and best ask, as the exchange writes prices."""


@dataclass(frozen=True)
class FeedFrames:
    """One market's depth from its snapshot on; `timed` and `best` go by the place in `lead`."""

    symbol: str
    snapshot: bytes
    """The body of GET /api/v3/depth."""
    lead: list[bytes]
    """The depth frames that follow the snapshot without a gap, wrapped as they were received."""
    timed: list[int]
    """Those of them that have 30 to 50 levels."""
    best: list[Best]
    """What the book's best prices are after each."""

    def summary(self) -> dict[str, float]:
        """How many frames are timed, and the medians of their bytes and levels."""
        frames = [self.lead[place] for place in self.timed]
        return {
            "count": len(frames),
            "bytes": statistics.median(map(len, frames)),
            "levels": statistics.median(_levels(json.loads(frame)["data"]) for frame in frames),
        }


class _Rebuild:
    """A book of two dicts by price, with the exchange's own strings kept for the answer."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.last = body["lastUpdateId"]
        self._sides: dict[str, dict[Decimal, str]] = {"b": {}, "a": {}}
        self._set("b", body["bids"])
        self._set("a", body["asks"])

    def apply(self, event: dict[str, Any]) -> Best:
        """The best prices after one difference, which must continue the last."""
        if event["U"] > self.last + 1:
            raise ValueError(f"the capture has a gap: {self.last} is followed by {event['U']}")
        self.last = event["u"]
        self._set("b", event["b"])
        self._set("a", event["a"])
        bids, asks = self._sides["b"], self._sides["a"]
        return bids[max(bids)], asks[min(asks)]

    def _set(self, side: str, levels: list[list[str]]) -> None:
        for price, quantity in levels:
            if Decimal(quantity):
                self._sides[side][Decimal(price)] = price
            else:
                self._sides[side].pop(Decimal(price), None)


def _levels(event: dict[str, Any]) -> int:
    return len(event["b"]) + len(event["a"])


def capture(symbol: str) -> Path | None:
    """The recorded capture of a market such as BTCUSDT; None where the data is not here."""
    default = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
    folder = Path(os.environ.get("ORCHESTRATOR_DATA", default), "hftbacktest", "spot")
    path = folder / f"{symbol.lower()}_{DAY}.gz"
    return path if path.exists() else None


def load(path: Path) -> FeedFrames:
    """The depth of a capture, from its snapshot on."""
    snapshot, depth = b"", []
    with gzip.open(path) as lines:
        for line in lines:
            raw = line.rstrip(b"\n").partition(b" ")[2]
            message = json.loads(raw)
            if "lastUpdateId" in message:
                snapshot = snapshot or raw
            elif message["data"].get("e") == "depthUpdate":
                depth.append((raw, message["data"]))
    if not snapshot:
        raise ValueError(f"{path} holds no snapshot")
    body = json.loads(snapshot)
    book = _Rebuild(body)
    followed = [(raw, event) for raw, event in depth if event["u"] > body["lastUpdateId"]]
    sizes = [_levels(event) for _, event in followed]
    return FeedFrames(
        symbol=depth[0][1]["s"],
        snapshot=snapshot,
        lead=[raw for raw, _ in followed],
        timed=[place for place, size in enumerate(sizes) if LEVELS_MIN <= size <= LEVELS_MAX],
        best=[book.apply(event) for _, event in followed],
    )


def write(path: Path, frames: FeedFrames) -> None:
    """The neutral form: a line of JSON for the snapshot, then one a frame."""
    timed = set(frames.timed)
    with path.open("w", encoding="utf-8") as lines:
        head = {"symbol": frames.symbol, "snapshot": frames.snapshot.decode()}
        lines.write(json.dumps(head) + "\n")
        for place, (raw, best) in enumerate(zip(frames.lead, frames.best, strict=True)):
            held = {"frame": raw.decode(), "timed": place in timed, "best": best}
            lines.write(json.dumps(held) + "\n")


def read(path: Path) -> FeedFrames:
    """What `write` wrote."""
    with path.open(encoding="utf-8") as lines:
        head, *held = map(json.loads, lines)
    return FeedFrames(
        symbol=head["symbol"],
        snapshot=head["snapshot"].encode(),
        lead=[each["frame"].encode() for each in held],
        timed=[place for place, each in enumerate(held) if each["timed"]],
        best=[(bid, ask) for bid, ask in (each["best"] for each in held)],
    )
