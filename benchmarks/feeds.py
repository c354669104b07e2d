"""feeds: a recorded depth frame in, book updated, best price read, top in the output queue.

Real frames through the venue that trades, each in the order of its capture. Binance's frames of 30
to 50 levels are timed beside the peers, in turns; Kraken's and OKX's frames have their checksum
verified each time. Frames of Kraken v2 are of our own making: the levels and sums of the v1 capture
in the newer form. What follows - encoding the messages, and the bus - is timed apart.
"""

import gc
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.bus import shared_memory
from benchmarks.feed_frames import FeedFrames, capture, load, write
from benchmarks.peers.feeds import PEERS, run_once
from benchmarks.report import Report, arguments, median_spread
from engine.assembly import build, topology_of
from engine.config import Config, instruments_of, parse
from engine.edges.capture import CapturedFrame, read_capture
from engine.edges.replaying import capture_config
from engine.messages import AnyMessage, Connected, Frame, encode
from engine.venue import Venue

TURNS = 3
BAR_US = 5.0
CHECKED_BAR_US = 12.0
SLOWER = {"ccxt.pro": 10.0, "cryptofeed": 40.0, "NautilusTrader": 33.0}
"""How many times our time each peer's is to be at least."""


def venue_of(config: Config) -> Venue:
    """The venue of a capture's configuration, connected."""
    topology = topology_of(config)
    built = build(config, topology, instruments_of(config), topology.actors[0])
    venue = next(part for part in built if isinstance(part, Venue))
    venue.on_message(Connected(0, 1, 0, 0, 0), 1)
    return venue


def binance(config: Config, frames: FeedFrames) -> list[int]:
    """ns of each timed frame in one passage over the capture, from bytes to the best price read.

    The best prices are held against the capture's own afterwards, all of them, as the peers' are.
    """
    venue = venue_of(config)
    venue.on_message(Frame(0, 1, 1, 0, 0, 0, frames.lead[0]), 1)
    about = f"/api/v3/depth?symbol={frames.symbol}&limit=1000"
    venue.on_message(Frame(0, 1, 1, 0, 0, 1, frames.snapshot, about), 1)
    taken = []
    tops = []
    queue: list[AnyMessage] = []
    book = venue.books[0].book
    for payload in frames.lead:
        began = time.perf_counter_ns()
        queue.extend(venue.on_message(Frame(0, 1, began, 0, 0, 0, payload), began))
        best = book.best()
        taken.append(time.perf_counter_ns() - began)
        tops.append(best)
        queue.clear()
    grid = venue.books[0].grid
    for (bid, _, ask, _), told in zip(tops, frames.best, strict=True):
        assert (bid, ask) == (grid.ticks(told[0]), grid.ticks(told[1]))
    return [taken[place] for place in frames.timed]


def checked(config: Config, frames: list[CapturedFrame]) -> tuple[list[int], int]:
    """ns of each frame with a checksum, in one passage; how many sums were verified."""
    venue = venue_of(config)
    taken = []
    queue: list[AnyMessage] = []
    for frame in frames:
        before = venue.counts.checksums
        took = timed_raw(venue, frame, queue)
        if venue.counts.checksums > before and frame.at_ns:
            taken.append(took)
    assert venue.counts.checksums_failed == 0
    return taken, venue.counts.checksums


def timed_raw(venue: Venue, frame: CapturedFrame, queue: list[AnyMessage]) -> int:
    """As `timed`, for frames of many instruments."""
    began = time.perf_counter_ns()
    message = Frame(0, 1, began, 0, 0, frame.kind, frame.payload, frame.about)
    queue.extend(venue.on_message(message, began))
    return time.perf_counter_ns() - began


def as_version_2(frames: list[CapturedFrame]) -> Iterator[CapturedFrame]:
    """Kraken's v1 frames with the same levels and sums as v2 writes them, snapshots untimed."""
    for frame in frames:
        parts: Any = json.loads(frame.payload) if frame.payload[:1] == b"[" else []
        if not parts or not str(parts[-2]).startswith("book-"):
            continue
        whole = "as" in parts[1]
        texts = []
        for side, name in (("b", "bids"), ("a", "asks")):
            levels = [
                f'{{"price":{price},"qty":{size}}}'
                for part in parts[1:-2]
                for price, size, *_ in part.get(side + "s", []) + part.get(side, [])
            ][: 100 if whole else None]
            texts.append(f'"{name}":[{",".join(levels)}]')
        total = next((part["c"] for part in parts[1:-2] if "c" in part), None)
        tail = "" if total is None else f',"checksum":{total}'
        body = f'{{"symbol":"{parts[-1]}",{",".join(texts)}{tail}}}'
        kind = "snapshot" if whole else "update"
        payload = f'{{"channel":"book","type":"{kind}","data":[{body}]}}'.encode()
        yield CapturedFrame(frame.at_ns, 0, 0, "", payload)


def encoding(config: Config, frames: FeedFrames) -> float:
    """us to encode what follows from a timed frame, the median."""
    venue = venue_of(config)
    venue.on_message(Frame(0, 1, 1, 0, 0, 0, frames.lead[0]), 1)
    about = f"/api/v3/depth?symbol={frames.symbol}&limit=1000"
    venue.on_message(Frame(0, 1, 1, 0, 0, 1, frames.snapshot, about), 1)
    wanted, taken = set(frames.timed), []
    for place, payload in enumerate(frames.lead):
        outputs = venue.on_message(Frame(0, 1, 1, 0, 0, 0, payload), 1)
        began = time.perf_counter_ns()
        for output in outputs:
            encode(output)
        if place in wanted and outputs:
            taken.append(time.perf_counter_ns() - began)
    return statistics.median(taken) / 1000


def report_binance(report: Report, symbol: str, peers: bool) -> None:
    """Our figure, and the peers' in the same turns."""
    path = capture(symbol)
    if path is None:
        report.note(f"feeds.binance.{symbol}: the recorded frames are not here")
        return
    frames = load(path)
    config = parse(capture_config(path, 0.0), str(path))
    summary = frames.summary()
    words = (
        f"{summary['count']:.0f} recorded frames, median {summary['bytes']:.0f} bytes and "
        f"{summary['levels']:.0f} levels"
    )
    ours: list[float] = []
    theirs: dict[str, list[float]] = {peer.name: [] for peer in PEERS}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "frames.jsonl")
        write(file, frames)
        for _ in range(TURNS):
            for _ in range(3):
                gc.collect()
                ours.append(statistics.median(binance(config, frames)) / 1000)
            for peer in PEERS if peers else ():
                ran = run_once(peer, file)
                if ran is not None:
                    theirs[peer.name] += [ns / 1000 for ns in ran["turns_ns"]]
    value, spread = median_spread(ours)
    report.figure(
        f"feeds.binance.{symbol}", value, "us/frame", bar=BAR_US, spread=spread, load=words
    )
    for name, taken in theirs.items():
        if taken:
            middle, around = median_spread(taken)
            report.figure(f"feeds.binance.{symbol}.{name}", middle, "us/frame", spread=around)
            report.figure(
                f"feeds.binance.{symbol}.{name}.times", middle / value, "times ours",
                bar=SLOWER.get(name), better="higher",
            )  # fmt: skip
    report.figure(f"feeds.binance.{symbol}.encode", encoding(config, frames), "us/frame")


def report_checked(report: Report, name: str, version_2: bool = False) -> None:
    """Frames whose checksum is verified each time."""
    default = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
    path = Path(os.environ.get("ORCHESTRATOR_DATA", default), "cryptofeed", f"{name}.jsonl.gz")
    if not path.exists():
        report.note(f"feeds.{name}: the recorded frames are not here")
        return
    text = capture_config(path, 0.0)
    frames = list(read_capture(path))
    if version_2:
        text = text.replace('protocol = "kraken_v1"', 'protocol = "kraken"')
        frames = list(as_version_2(frames))
    config = parse(text, str(path))
    medians, sums = [], 0
    sizes = [len(frame.payload) for frame in frames if frame.kind == 0]
    for _ in range(3 * TURNS):
        taken, sums = checked(config, frames)
        medians.append(statistics.median(taken) / 1000)
    value, spread = median_spread(medians)
    made = "_v2, frames of our own making" if version_2 else ""
    report.figure(
        f"feeds.{name.lower()}{made}", value, "us/frame", bar=CHECKED_BAR_US, spread=spread,
        load=f"{sums} sums verified, frames of median {statistics.median(sizes):.0f} bytes",
    )  # fmt: skip


def main() -> None:
    """Print the figures."""
    asked = arguments(__doc__.partition("\n")[0])
    report = Report(as_json=asked.json)
    report.machine()
    for symbol in ("BTCUSDT", "ETHUSDT"):
        report_binance(report, symbol, asked.peers)
    report_checked(report, "KRAKEN")
    report_checked(report, "OKX")
    report_checked(report, "KRAKEN", version_2=True)
    report.figure("feeds.bus", shared_memory(), "us", load="one event out, in and acknowledged")


if __name__ == "__main__":
    main()
