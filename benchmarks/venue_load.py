"""venue_load: how many frames a second one venue takes on one core, and whether its memory stays flat.

First from memory: recorded Binance frames of two markets in the mix in which they came (depth,
trades, tickers), over and over, each passage with its own connection and snapshots. Then through one
loopback websocket, which a server in another process floods. Then 500 symbols at 20,000 frames a
second over loopback websockets into a whole actor, journal and all: none may be lost.

ORCHESTRATOR_FRAMES sets how many frames go in from memory: 1,000,000 by default, 10,000,000 for the
claim about memory.
"""

import asyncio
import gc
import os
import re
import resource
import statistics
import tempfile
import time
from pathlib import Path

import uvloop

from benchmarks.exchange_flood import Flood, name_of
from benchmarks.feed_frames import capture
from benchmarks.feeds import venue_of
from benchmarks.report import Report, arguments, median_spread, percentiles
from engine.config import parse
from engine.edges.capture import CapturedFrame, read_capture
from engine.edges.loop import tune_process
from engine.edges.replaying import capture_config
from engine.edges.solo import SoloRun
from engine.edges.venue_socket import VenueSocket
from engine.messages import AnyMessage, BookTop, Connected, Frame
from engine.venue import Venue

RATE_BAR = 100_000.0
FLAT_MB = 5.0
SYMBOLS = 500
PACED = 20_000.0
PACED_S = 10.0
LATE_BAR_MS = 1.0
FLOOD_FRAMES = 500_000
LEVELS = 12  # of a flooded frame, about what Bybit's capture has
STAMP = re.compile(rb'"cts":(\d+)')


def resident_mb() -> float:
    """What this process holds in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def flood_config(url: str, symbols: int, folder: str) -> str:
    """A configuration that watches the flooding server."""
    lines = [
        'name = "load"',
        f'state_dir = "{folder}"',
        "[api]",
        "port = 0",
        "[engine]",
        "segment_bytes = 1073741824",
        "[[venues]]",
        'name = "load"',
        'kind = "watch"',
        'protocol = "bybit"',
        f'stream_url = "{url}"',
    ]
    for number in range(symbols):
        lines += [
            "[[instruments]]",
            'venue = "load"',
            f'symbol = "S{number:03d}/USDT"',
            f'native = "{name_of(number)}"',
            'tick_size = "0.01"',
            'lot_size = "0.01"',
        ]
    lines.append("[assets]")
    lines += [f"S{number:03d} = 8" for number in range(symbols)]
    return "\n".join(lines) + "\n"


# --- from memory ----------------------------------------------------------------------------------------


def mix() -> list[tuple[Venue, list[CapturedFrame]]]:
    """Two markets' captures, each with a venue of its own."""
    found = []
    for symbol in ("BTCUSDT", "ETHUSDT"):
        path = capture(symbol)
        if path is not None:
            config = parse(capture_config(path, 0.0), str(path))
            found.append((venue_of(config), list(read_capture(path))))
    return found


def from_memory(report: Report, wanted: int) -> None:
    """Passage after passage; the rate of each, and the memory after the first and at the end."""
    loads = mix()
    if not loads:
        report.note("venue_load.memory: the recorded frames are not here")
        return
    sizes = [len(frame.payload) for _, frames in loads for frame in frames if frame.kind == 0]
    levels = [p.payload.count(b'["') for _, f in loads for p in f if b"depthUpdate" in p.payload]
    rates: list[float] = []
    done = 0
    first_mb = 0.0
    tops: dict[tuple[int, int], BookTop] = {}
    while done < wanted:
        for place, (venue, frames) in enumerate(loads):
            began = time.perf_counter()
            venue.on_message(Connected(0, 1, 0, 0, 0), 1)
            for frame in frames:
                message = Frame(0, 1, 1, 0, 0, frame.kind, frame.payload, frame.about)
                for output in venue.on_message(message, 1):
                    if type(output) is BookTop:
                        tops[place, output.instrument] = output
            rates.append(len(frames) / (time.perf_counter() - began))
            done += len(frames)
        if not first_mb:
            gc.collect()
            first_mb = resident_mb()
    assert all(venue.counts.gaps == 0 and venue.counts.malformed == 0 for venue, _ in loads)
    value, spread = median_spread(rates)
    report.figure(
        "venue_load.memory", value, "frames/s", bar=RATE_BAR, better="higher", spread=spread,
        load=f"{done} frames, median {statistics.median(sizes):.0f} bytes; depth frames have "
        f"median {statistics.median(levels):.0f} levels",
    )  # fmt: skip
    gc.collect()
    report.figure(
        "venue_load.growth", resident_mb() - first_mb, "MB", bar=FLAT_MB,
        load=f"memory after {done} frames, less that after the first passage",
    )  # fmt: skip


# --- through one socket ---------------------------------------------------------------------------------


class Counting:
    """An inbox that gives each message to the venue and counts; frames leave as they do in an actor."""

    def __init__(self, venue: Venue, wanted: int) -> None:
        self.done = asyncio.Event()
        self.first = 0.0
        self.last = 0.0
        self.frames = 0
        self.tops: dict[int, BookTop] = {}
        self._venue = venue
        self._wanted = wanted
        self._number = 0
        self.socket: VenueSocket | None = None

    def next_shell_sequence(self) -> int:
        """A number."""
        self._number += 1
        return self._number

    def inject(self, message: AnyMessage) -> None:
        """Through the venue at once."""
        outputs = self._venue.on_message(message, time.monotonic_ns())
        if isinstance(message, Connected):
            assert self.socket is not None
            self.socket.send(b'{"op":"subscribe"}')
        elif b'"delta"' in getattr(message, "payload", b""):
            self.frames += 1
            if self.frames == 1:
                self.first = time.perf_counter()
            if self.frames == self._wanted:
                self.last = time.perf_counter()
                self.done.set()
        for output in outputs:
            if type(output) is BookTop:
                self.tops[output.instrument] = output


def through_a_socket(report: Report) -> None:
    """The flood, read as fast as it can be."""
    with (
        Flood([list(range(20))], LEVELS, 0.0, FLOOD_FRAMES) as flood,
        tempfile.TemporaryDirectory() as f,
    ):
        venue = venue_of(parse(flood_config(flood.url, 20, f), "load"))
        counting = Counting(venue, FLOOD_FRAMES)

        async def run() -> None:
            async def address() -> str:
                return flood.url

            endpoint = venue.lines.handler.endpoint
            socket = VenueSocket(counting, 0, 0, address, endpoint, time.monotonic_ns)
            counting.socket = socket
            task = asyncio.get_running_loop().create_task(socket.keep_open())
            await asyncio.wait_for(counting.done.wait(), 120)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        uvloop.run(run())
    assert venue.counts.gaps == 0
    report.figure(
        "venue_load.socket", FLOOD_FRAMES / (counting.last - counting.first), "frames/s",
        better="higher", load=f"{FLOOD_FRAMES} frames of {LEVELS} levels through one loopback socket; "
        "the server on the other core makes them and may be the slower",
    )  # fmt: skip


# --- a whole actor --------------------------------------------------------------------------------------


def whole_actor(report: Report) -> None:
    """500 symbols, 20,000 frames a second: what was lost, and how old a frame is once in the book."""
    wanted = int(PACED * PACED_S)
    half = [list(range(100 * n, 100 * (n + 1))) for n in range(SYMBOLS // 100)]
    with Flood(half, LEVELS, PACED, wanted) as flood, tempfile.TemporaryDirectory() as folder:
        text = flood_config(flood.url, SYMBOLS, folder)
        solo = SoloRun(parse(text, "load"), text)
        late_ns: list[int] = []
        waited_ns: list[int] = []
        inject = solo.loop.inject

        def timed(message: AnyMessage) -> None:
            inject(message)
            if isinstance(message, Frame) and b'"delta"' in message.payload[:64]:
                found = STAMP.search(message.payload, len(message.payload) - 40)
                assert found is not None
                late_ns.append(time.monotonic_ns() - int(found[1]))
                waited_ns.append(solo.directory.now_ns() - message.received_ns)

        solo.loop.inject = timed  # type: ignore[method-assign]  # the loop has no hook to time by

        def look() -> None:
            if len(late_ns) >= wanted:
                solo.directory.stop_wanted = True

        try:
            tune_process()
            uvloop.run(solo.serve(PACED_S * 4, look))
        finally:
            solo.close()
        venue = next(c for c in solo.loop.host.components if isinstance(c, Venue))
        lost = wanted - len(late_ns)
        load = f"{SYMBOLS} symbols, {wanted} frames at {PACED:,.0f}/s over {len(half)} connections"
        report.figure("venue_load.500_symbols.lost", lost, "frames", bar=0, load=load)
        assert venue.counts.gaps == 0
        for name, taken in (("receive_to_book", waited_ns), ("wire_to_book", late_ns)):
            found = percentiles([ns / 1e6 for ns in taken], 50, 99, 99.9)
            report.figure(
                f"venue_load.500_symbols.{name}", found["p99"], "ms",
                bar=LATE_BAR_MS if name == "receive_to_book" else None, spread=found,
                load="p99; from the server's write" if name == "wire_to_book" else "p99",
            )  # fmt: skip


def main() -> None:
    """Print the figures."""
    report = Report(as_json=arguments(__doc__.partition("\n")[0]).json)
    report.machine()
    from_memory(report, int(os.environ.get("ORCHESTRATOR_FRAMES", "1000000")))
    through_a_socket(report)
    whole_actor(report)


if __name__ == "__main__":
    main()
