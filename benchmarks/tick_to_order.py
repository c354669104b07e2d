"""Claim: from a frame's bytes to its order's bytes in tens of microseconds, over one actor or four.

Fused: all components in one actor. Spread: venue -> scanner -> bot -> risk guard -> venue, four
hops over four Ray actors by shared memory and doorbell. Inbox segments and journal (`os`) are on in
both. The floor (a bare futex chain in C), plain Ray calls and NautilusTrader's in-process live path
are measured in the same run, in turns. BENCH_SAMPLES sets the samples of each figure (20,000).
"""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.peers import futex_chain, nautilus_path, ray_hops
from benchmarks.report import Report, arguments, percentiles
from benchmarks.rig import SPREAD, RigActor, start_sink
from engine.edges.directory import Directory

RUNS = 5
WARM_UP = 300
RAY_ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_task_events_report_interval_ms": "0",
    "RAY_event_stats": "0",
    "RAY_worker_niceness": "0",
}


class Rig:
    """The rig's actors for one run, fused (in this process) or spread (over Ray actors)."""

    def __init__(self, spread: bool) -> None:
        self.names = tuple(dict.fromkeys(SPREAD)) if spread else ("all",)
        self._run = f"bench-{os.getpid()}-{time.monotonic_ns() % 10**6}"
        self._folder = tempfile.mkdtemp(prefix="tick-to-order-")
        self._directory = Directory(self._run, self.names, create=True)
        self._sink, port = start_sink()
        self._offset = 0
        self.actors: dict[str, Any] = {}
        for name in self.names:
            words = (self._run, self._folder, name, self.names, port)
            self.actors[name] = self._make(words) if spread else RigActor(*words)
        self.spread = spread
        for name in self.names:
            self.call(name, "ready")
        self.call(self.names[0], "prepare", 200_000)

    @staticmethod
    def _make(words: tuple[Any, ...]) -> Any:
        import ray

        options = {"num_cpus": 0, "max_concurrency": 4, "enable_task_events": False}
        return ray.remote(RigActor).options(**options).remote(*words)

    def call(self, name: str, method: str, *words: Any) -> Any:
        """Call an actor here or through Ray."""
        if not self.spread:
            return getattr(self.actors[name], method)(*words)
        import ray

        return ray.get(getattr(self.actors[name], method).remote(*words))

    def samples_ns(self, interval_us: int, count: int) -> list[int]:
        """Tick-to-order of `count` ticks paced at an interval, or back to back at 0."""
        offset, self._offset = self._offset, self._offset + count + WARM_UP
        found: list[int] = self.call(self.names[0], "pace", interval_us, count, offset, WARM_UP)
        return found

    def idle_share(self, seconds: float) -> dict[str, tuple[float, float]]:
        """Of a core, in percent, with heartbeats on: the loop's thread, the rest of the process."""
        before = {name: self.call(name, "thread_cpu_ns") for name in self.names}
        time.sleep(seconds)
        after = {name: self.call(name, "thread_cpu_ns") for name in self.names}
        shares = {}
        for name in self.names:
            own, whole = (b - a for a, b in zip(before[name], after[name], strict=True))
            scale = 100 / (seconds * 1e9)
            shares[name] = (own * scale, (whole - own) * scale)
        return shares

    def close(self) -> None:
        """Everything down, nothing left."""
        for name in self.names:
            self.call(name, "stop")
            if self.spread:
                import ray

                ray.kill(self.actors[name])
        self._sink.kill()
        self._sink.wait()
        self._directory.remove()
        shutil.rmtree(self._folder, ignore_errors=True)


def _us(samples: Sequence[int], *ranks: float) -> dict[str, float]:
    return {name: value / 1000 for name, value in percentiles(samples, *ranks).items()}


def fused(report: Report, count: int, peers: bool) -> dict[int, float]:
    """All components in one actor; returns p50 in µs by pacing."""
    bars = {0: 25.0, 1000: 50.0}
    medians: dict[int, float] = {}
    rig = Rig(spread=False)
    try:
        for interval_us in (0, 1000, 10_000):
            ours: list[int] = []
            theirs: list[int] = []
            for _ in range(RUNS):
                ours += rig.samples_ns(interval_us, count // RUNS)
                if peers and interval_us < 10_000:
                    theirs += nautilus_path.samples_ns(interval_us, min(2000, count // RUNS)) or []
            found = _us(ours, 50, 90, 99)
            medians[interval_us] = found["p50"]
            load = f"{len(ours)} samples, {_pace(interval_us)}, one actor"
            name = f"fused.{_pace(interval_us).replace(' ', '_')}"
            bar = bars.get(interval_us)
            report.figure(name, found["p50"], "us", bar=bar, load=load, spread=found)
            if theirs:
                peer = _us(theirs, 50)["p50"]
                ratio = found["p50"] / peer
                words = {"peer": "NautilusTrader live path", "peer_value": peer}
                report.figure(f"{name}.nautilus", found["p50"], "us", load=load, **words)
                report.figure(f"{name}.nautilus_ratio", ratio, "x", bar=0.6, load=load)
    finally:
        rig.close()
    return medians


def spread(report: Report, count: int, fused_us: dict[int, float]) -> None:
    """Four hops over four actors against the futex floor and plain Ray calls."""
    import ray

    os.environ.update(RAY_ENVIRONMENT)
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    os.environ["PYTHONPATH"] = root
    ray.init(
        num_cpus=1,
        include_dashboard=False,
        object_store_memory=80 * 2**20,
        log_to_driver=False,
        configure_logging=False,
    )
    rig = Rig(spread=True)
    try:
        for interval_us in (1000, 10_000):
            _spread_paced(report, rig, interval_us, count, fused_us[interval_us])
        back = _us(rig.samples_ns(0, min(count, 5000)), 50, 99)
        report.figure("spread.back_to_back", back["p50"], "us", load="four actors", spread=back)
        capacity = 1e6 / _mean(rig)
        for share in (0.5, 0.8):
            interval_us = int(1e6 / (capacity * share))
            samples = rig.samples_ns(interval_us, min(count, 5000))
            found = _us(samples, 50, 99)
            load = (
                f"open loop at {share:.0%} of {capacity:,.0f} ticks a second, {len(samples)} orders"
            )
            report.figure(f"spread.open_{share:.0%}", found["p50"], "us", load=load, spread=found)
        for name, (own, rest) in rig.idle_share(6).items():
            report.figure(f"idle.{name}", own, "% of a core", bar=2, load="the shell's own thread")
            report.figure(f"idle.{name}.ray", rest, "% of a core", load="the rest of the process")
    finally:
        rig.close()
        ray.shutdown()


def _mean(rig: Rig) -> float:
    """Microseconds from one tick to the next when each follows the last one's answer."""
    began = time.monotonic()
    rig.samples_ns(0, 2000)
    return (time.monotonic() - began - 0.2) * 1e6 / (2000 + WARM_UP)


def _spread_paced(report: Report, rig: Rig, interval_us: int, count: int, fused_us: float) -> None:
    ours: list[int] = []
    floor: list[int] = []
    calls: list[int] = []
    medians = []
    for turn in range(RUNS):
        floor += futex_chain.samples_ns(interval_us, min(count // RUNS, 2000))
        ours += (part := rig.samples_ns(interval_us, count // RUNS))
        medians.append(_us(part, 50)["p50"])
        if turn in (0, RUNS - 1):
            calls += ray_hops.samples_ns(interval_us, 1000)
    found = _us(ours, 50, 90, 99)
    floor_us, ray_us = _us(floor, 50)["p50"], _us(calls, 50)["p50"]
    name = f"spread.{_pace(interval_us).replace(' ', '_')}"
    load = f"{len(ours)} samples, four Ray actors, {_pace(interval_us)}"
    spread_of_runs = {**found, "run_min": min(medians), "run_max": max(medians)}
    bar = 1.6 * floor_us + fused_us
    report.figure(f"{name}.p50", found["p50"], "us", bar=bar, load=load, spread=spread_of_runs)
    report.figure(
        f"{name}.floor", found["p50"], "us", peer="bare futex chain", peer_value=floor_us, load=load
    )
    if interval_us == 1000:
        report.figure(f"{name}.p99", found["p99"], "us", bar=1000, load=load)
    report.figure(
        f"{name}.ray", found["p50"], "us", peer="plain Ray calls", peer_value=ray_us, load=load
    )
    report.figure(
        f"{name}.ray_times", ray_us / found["p50"], "x", bar=20, better="higher", load=load
    )


def _pace(interval_us: int) -> str:
    return "back to back" if not interval_us else f"paced {interval_us // 1000} ms"


def main() -> None:
    """Print all figures."""
    assert __doc__
    options = arguments(__doc__.splitlines()[0])
    count = int(os.environ.get("BENCH_SAMPLES", "20000"))
    report = Report(options.json)
    report.machine()
    fused_us = fused(report, count, options.peers)
    spread(report, count, fused_us)
    sys.exit(0)


if __name__ == "__main__":
    main()
