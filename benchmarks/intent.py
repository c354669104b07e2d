"""Claim: an intent is in the journal and its command on its way within 15 us, 50,000 a second in a group.

The bytes of an intent as they come off the bus go through the RiskGuard's real host: decoded, kept in
the inbox, checked, the command kept in the journal, encoded and given to the outlet, where the clock
stops. One at a time each is timed by itself; in groups the whole turn is, policy `os`: the kernel
has it. `interval` and `always` stand beside what the disk itself takes for a record and fdatasync.
Each order's end is told between two intents, untimed one at a time and timed in the group.
"""

import gc
import os
import tempfile
import time
from pathlib import Path

import msgspec

from benchmarks.report import Report, arguments, percentiles
from benchmarks.rig import CONFIG
from engine.component import Component
from engine.config import instruments_of, parse
from engine.edges.actor_journal import ActorJournal
from engine.edges.directory import create_page
from engine.edges.door import Door
from engine.edges.journal import SegmentStart
from engine.engine_config import EngineConfig
from engine.messages import (
    BUY,
    AnyMessage,
    BookState,
    BookTop,
    KillSwitch,
    OrderCommand,
    OrderEvent,
    OrderIntent,
    OrderState,
    Reason,
    Started,
    TimeInForce,
    VenueStatus,
    decode,
    encode,
)
from engine.risk import RiskGuard
from engine.routes import Topology
from engine.runtime import Host, Target, Timers

SINGLES = 20_000
GROUPED = 60_000
BATCH = 256
SYNCED = 300
TICKS, LOTS = 6_000_000, 100
TOPOLOGY = Topology(
    ("venue-a", "venue-b", "scanner", "risk", "ledger", "bot-arb"),
    ("venue", "venue", "scanner", "risk", "ledger", "bot"),
    ("venues", "venues", "scanner", "risk", "ledger", "bot"),
)
RISK, BOT = 4, 6


class Bus:
    """Where commands go: it notes when the last one came."""

    def __init__(self) -> None:
        self.at_ns = 0
        self.commands = 0

    def publish(self, message: AnyMessage, encoded: bytes, targets: tuple[Target, ...]) -> None:
        """An outlet's."""
        if type(message) is OrderCommand:
            self.at_ns = time.perf_counter_ns()
            self.commands += 1


class Guard:
    """The RiskGuard's actor without its sockets: host, door and journal are the engine's own."""

    def __init__(self, folder: Path, fsync: str) -> None:
        config = parse(CONFIG, "bench")
        instruments = instruments_of(config)
        settings = msgspec.convert(
            {"fsync": fsync, "segment_bytes": 4 << 20, "segments_kept": 4}, EngineConfig
        )
        self.bus = Bus()
        self.journal = ActorJournal(folder / fsync, settings)
        page, self._memory = create_page(f"bench-intent-{os.getpid()}", fsync, 1)
        self.door = Door(
            self.journal,
            _NoGate(),  # type: ignore[arg-type]
            self.bus,  # type: ignore[arg-type]
            page,
            Timers(),
            lambda effect, reason: None,
        )
        components: list[Component] = [RiskGuard(RISK, instruments, config.risk)]
        self.host = Host(components, TOPOLOGY, self.door, self.door)
        self.begin()
        self.sequence = 0
        self.give(Started(0, 1, 0, 1))
        self.give(KillSwitch(0, 2, 0, False))
        self.refresh()

    def begin(self) -> None:
        """A fresh segment, as the loop does it."""
        start = SegmentStart(1, self.journal.part, self.host.snapshot(), {}, [], 0)
        self.journal.begin(start)
        self.journal.upkeep()

    def give(self, message: AnyMessage) -> None:
        """One message, untimed."""
        self.take(encode(message))

    def refresh(self) -> None:
        """Fresh prices, so that no check ends early."""
        now_ns = time.time_ns()
        for venue in (0, 1):
            self.sequence += 1
            status = VenueStatus(
                venue + 1, self.sequence, now_ns, venue, True, *([0] * 9), simulated=True
            )
            top = BookTop(
                venue + 1, self.sequence, now_ns, venue, BookState.LIVE, TICKS, 9, TICKS + 1, 9
            )
            self.give(status)
            self.give(top)

    def take(self, raw: bytes) -> None:
        """What `ActorLoop.take` does."""
        message = decode(raw)
        if not self.journal.room_for(len(raw)):
            self.begin()
        self.host.step(message, raw, time.time_ns())

    def close(self) -> None:
        """Files and page go."""
        self.journal.close()


class _NoGate:
    gateway = None


def pair(number: int) -> tuple[bytes, bytes]:
    """An intent's bytes, and those of its order's end."""
    name = f"bench{number:027d}"
    far = 1 << 62
    intent = OrderIntent(
        BOT, number, 1, name, BOT, number, 0, 0, 0, BUY, TICKS, LOTS, TimeInForce.IOC, far
    )
    end = OrderEvent(
        1, number, 1, name, BOT, 0, 0, BUY, TICKS, LOTS, 0, OrderState.CANCELLED, Reason.NONE
    )
    return encode(intent), encode(end)


def one_at_a_time(guard: Guard, count: int, first: int) -> list[float]:
    """Microseconds from an intent's bytes to its command."""
    samples = []
    for number in range(first, first + count):
        intent, end = pair(number)
        if number % 500 == 0:
            guard.refresh()
        began = time.perf_counter_ns()
        guard.take(intent)
        guard.door.let_go()
        samples.append((guard.bus.at_ns - began) / 1000)
        guard.take(end)
    return samples


def in_groups(guard: Guard, count: int, first: int) -> float:
    """Intents a second, in turns of a batch that ends with what the policy asks."""
    prepared = [pair(number) for number in range(first, first + count)]
    taken = 0.0
    for place in range(0, count, BATCH):
        guard.refresh()
        batch = prepared[place : place + BATCH]
        began = time.perf_counter()
        for intent, end in batch:
            guard.take(intent)
            guard.take(end)
        guard.door.let_go(promised=True)
        taken += time.perf_counter() - began
    return count / taken


def disk(folder: Path) -> list[float]:
    """Microseconds of the disk itself: an append of one record, and fdatasync."""
    samples = []
    with (folder / "plain").open("wb", buffering=0) as file:
        for _ in range(SYNCED):
            file.write(bytes(200))
            began = time.perf_counter_ns()
            os.fdatasync(file.fileno())
            samples.append((time.perf_counter_ns() - began) / 1000)
    return samples


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__ or "")
    report = Report(options.json)
    report.machine()
    gc.collect()
    gc.freeze()
    gc.disable()
    with tempfile.TemporaryDirectory(dir=os.environ.get("ORCHESTRATOR_BENCH_DIR")) as name:
        folder = Path(name)
        beside = percentiles(disk(folder))
        report.figure("intent.disk.fdatasync", beside["p50"], "us", spread=beside)
        for fsync, singles, grouped in (
            ("os", SINGLES, GROUPED),
            ("interval", SINGLES, GROUPED),
            ("always", SYNCED, GROUPED // 4),
        ):
            guard = Guard(folder, fsync)
            one_at_a_time(guard, singles // 10, 1)
            spread = percentiles(one_at_a_time(guard, singles, 1_000_000), 50, 99, 99.9)
            expected = guard.bus.commands
            assert expected == singles + singles // 10, "every intent was let through"
            bars = (15.0, 60.0) if fsync == "os" else (None, None)
            load = f"one at a time, fsync {fsync}, inbox and journal"
            report.figure(
                f"intent.{fsync}.p50", spread["p50"], "us", bar=bars[0], load=load, spread=spread
            )
            report.figure(f"intent.{fsync}.p99", spread["p99"], "us", bar=bars[1], load=load)
            rate = in_groups(guard, grouped, 2_000_000)
            report.figure(
                f"intent.{fsync}.group",
                rate,
                "intents/s",
                bar=50_000 if fsync == "os" else None,
                better="higher",
                load=f"turns of {BATCH}, each order's end told too",
            )
            guard.close()
    for path in Path("/dev/shm").glob(f"co-bench-intent-{os.getpid()}*"):
        path.unlink()
    raise SystemExit(bool(report.missed))


if __name__ == "__main__":
    main()
