"""Claim: a journal is read back at a million records a second, and a million records are no slow start.

The mix is captured: the demo is run for a few seconds, and its journal's records are repeated under
fresh order and trade names until there are a million, in mapped segments as they lie on disk. They are
folded into orders, fills, balances and positions with every sum checked (`ext/fold.pyx`); beside it,
the rate at which they are decoded into messages. Restart: a RiskGuard's actor with a million inputs in
its folder comes back from its last snapshot and the inputs since, until it would take the next message.
"""

import asyncio
import os
import shutil
import tempfile
import time
from pathlib import Path

import msgspec

from benchmarks.intent import RISK, TICKS, TOPOLOGY, pair
from benchmarks.report import Report, arguments, median_spread
from benchmarks.rig import CONFIG
from engine.config import instruments_of, parse
from engine.edges.directory import Directory, KillSwitchPage, create_page
from engine.edges.exchange_process import ExchangeProcess
from engine.edges.journal import HEADER, SegmentStart, read_journal, segments
from engine.edges.loop import ActorLoop
from engine.edges.segment import Room, Segment
from engine.edges.solo import SoloRun
from engine.engine_config import EngineConfig
from engine.messages import (
    AnyMessage,
    BookState,
    BookTop,
    Fill,
    OrderCommand,
    OrderEvent,
    OrderIntent,
    OrderRequest,
    decode,
    encode,
)
from engine.risk import RiskGuard
from ext.fold import Fold

RECORDS = 1_000_000
CAPTURE_S = 5.0
SEGMENT_BYTES = 4 << 20
ROUNDS = 5
DEMO = Path(__file__).parents[1] / "configs" / "demo.toml"


def capture(folder: Path) -> list[AnyMessage]:
    """What the demo journals in a few seconds."""
    text = DEMO.read_text().replace('state_dir = "runs"', f'state_dir = "{folder}"')
    solo = SoloRun(parse(text, "bench"), text)
    try:
        solo.exchange = ExchangeProcess(solo.folder / "config.toml")
        solo.exchange.wait_ready()
        asyncio.run(solo.serve(CAPTURE_S, lambda: None))
    finally:
        solo.close()
    found = [
        decode(record.data)
        for path in segments(solo.folder / "solo")
        for record in read_journal(path)
    ]
    assert any(isinstance(message, Fill) for message in found), "the demo traded"
    return found


def renamed(message: AnyMessage, turn: int) -> bytes:
    """The same with its order's and its trade's name of another turn, as long as before."""
    mark = f"{turn:05d}"
    if isinstance(message, OrderCommand):
        name = mark + message.intent.client_order_id[5:]
        intent = msgspec.structs.replace(message.intent, client_order_id=name)
        return encode(msgspec.structs.replace(message, intent=intent))
    if isinstance(message, OrderIntent | OrderEvent | OrderRequest | Fill):
        changed = {"client_order_id": mark + message.client_order_id[5:]}
        if isinstance(message, Fill):
            changed["trade_id"] = f"{mark}-{message.trade_id}"
        return encode(msgspec.structs.replace(message, **changed))
    return encode(message)


def written(folder: Path, mix: list[AnyMessage]) -> list[Path]:
    """A million records of the mix in segments' journals."""
    files, segment, at_ns = [], None, time.time_ns()
    for number in range(RECORDS):
        turn, place = divmod(number, len(mix))
        data = renamed(mix[place], turn)
        if segment is None or segment.journal_bytes + len(data) + 64 > SEGMENT_BYTES:
            if segment is not None:
                segment.close()
            start = SegmentStart(1, len(files), b"", {}, [], 0)
            segment = Segment(Room(folder, SEGMENT_BYTES), folder, start)
            files.append(segment.path.file("journal"))
        segment.append([data], at_ns + number)
    assert segment is not None
    segment.close()
    return files


def folded(files: list[Path]) -> tuple[float, Fold]:
    """Records a second, read from the files and folded."""
    fold = Fold()
    began = time.perf_counter()
    for path in files:
        fold.take(path.read_bytes(), HEADER.size)
    return RECORDS / (time.perf_counter() - began), fold


def guard_loop(folder: Path, directory: Directory) -> ActorLoop:
    """A RiskGuard's actor in a folder."""
    config = parse(CONFIG, "bench")
    epoch = directory.claim("risk")
    page, _ = create_page(directory.run, "risk", epoch)
    return ActorLoop(
        [RiskGuard(RISK, instruments_of(config), config.risk)],
        TOPOLOGY,
        directory,
        folder / "risk",
        msgspec.convert({"segment_bytes": SEGMENT_BYTES, "segments_kept": 1000}, EngineConfig),
        epoch,
        page,
        KillSwitchPage(folder / "kill-switch", create=True),
        None,
    )


def restart(folder: Path) -> tuple[float, int, float]:
    """Seconds from nothing to ready with a million inputs in the folder; how many were run again."""
    directory = Directory(f"bench-journal-{os.getpid()}", TOPOLOGY.actors, create=True)
    try:
        loop = guard_loop(folder, directory)
        loop.restore()
        loop.turn()
        began = time.perf_counter()
        tops = 8  # tops an intent, about what the guard of the demo hears
        for number in range(RECORDS // (tops + 2)):
            for _ in range(tops):
                now_ns = directory.now_ns()
                top = BookTop(1, 0, now_ns, 0, BookState.LIVE, TICKS, 9, TICKS + 1, 9)
                loop.take(top, None)
            for raw in pair(number):
                loop.take(decode(raw), raw)
        taken = RECORDS / (time.perf_counter() - began)
        expected = loop.host.snapshot()
        loop.journal.close()
        began = time.perf_counter()
        successor = guard_loop(folder, directory)
        successor.restore()
        seconds = time.perf_counter() - began
        assert successor.host.snapshot() == expected
        successor.journal.close()
        return seconds, successor.restored_inputs, taken
    finally:
        directory.remove()


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__ or "")
    report = Report(options.json)
    report.machine()
    with tempfile.TemporaryDirectory(dir=os.environ.get("ORCHESTRATOR_BENCH_DIR")) as name:
        folder = Path(name)
        mix = capture(folder)
        kinds = {type(message).__name__ for message in mix}
        files = written(folder / "mix", mix)
        rates = []
        for _ in range(ROUNDS):
            rate, fold = folded(files)
            rates.append(rate)
            assert fold.records == RECORDS
        middle, spread = median_spread(rates)
        load = f"{len(mix)} captured records of {len(kinds)} kinds, {len(fold.orders()):,} orders"
        report.figure(
            "journal.replay", middle, "records/s", bar=1_000_000, better="higher",
            load=load, spread=spread,
        )  # fmt: skip
        raws = [encode(message) for message in mix] * 50
        began = time.perf_counter()
        for raw in raws:
            decode(raw)
        rate = len(raws) / (time.perf_counter() - began)
        report.figure("journal.decode", rate, "records/s", load="into messages, one by one")
        shutil.rmtree(folder / "mix")
        seconds, inputs, taken = restart(folder)
        report.figure(
            "journal.taken", taken, "inputs/s", load="the RiskGuard's actor, loop and all"
        )
        report.figure(
            "journal.restart", seconds, "s", bar=3.0,
            load=f"{RECORDS:,} inputs in the folder, {inputs:,} run again after the snapshot",
        )  # fmt: skip
    raise SystemExit(bool(report.missed))


if __name__ == "__main__":
    main()
