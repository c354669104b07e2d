"""The same four hops by plain Ray actor calls: venue -> scanner -> bot -> risk -> venue.

Each actor's method calls the next actor's method with `.remote()` and waits for nothing; the start
stamp travels in the message, the venue stamps the end. A tick waits for the last one's return, in
Ray's favour: offered 1,000 a second whatever comes, two cores fall behind and a queue builds.
`measure` runs this file as a script with the slim environment, so that a cluster of the caller's
own is left alone.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.peers import percentiles

ROOT = Path(__file__).resolve().parents[2]
PAYLOAD = bytes(150)
WARMUP = 200
STORE_BYTES = 80 * 2**20
# No token files, no metrics, no usage report, no niceness of 15: Ray at its best for this.
SLIM = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_task_events_report_interval_ms": "0",
    "RAY_event_stats": "0",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_worker_niceness": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
}


class Hop:
    """Scanner, bot and risk guard: hand on what comes."""

    def __init__(self, following: Any) -> None:
        self._following = following

    def take(self, start_ns: int, payload: bytes) -> None:
        """One hop."""
        self._following.take.remote(start_ns, payload)


class Venue:
    """Both ends of the chain; `run` holds one thread, `take` is called on a second."""

    def __init__(self) -> None:
        self._arrived = threading.Event()
        self._latency_ns = 0

    def take(self, start_ns: int, payload: bytes) -> None:
        """The order is back where the tick came from."""
        self._latency_ns = time.monotonic_ns() - start_ns
        self._arrived.set()

    def run(self, first: Any, interval_us: int, samples: int) -> list[int]:
        """Send the ticks; one is sent when its time has come and the last one is back."""
        latencies = []
        interval_ns = interval_us * 1000
        due_ns = time.monotonic_ns()
        for _ in range(samples):
            due_ns = max(due_ns + interval_ns, time.monotonic_ns())
            time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
            self._arrived.clear()
            first.take.remote(time.monotonic_ns(), PAYLOAD)
            if not self._arrived.wait(10):
                raise TimeoutError("a tick did not come back within 10 s")
            latencies.append(self._latency_ns)
        return latencies


def _chain(interval_us: int, samples: int, folder: str) -> list[int]:
    """Start a local Ray, run the chain in it, shut it down."""
    os.environ.update(SLIM)  # before the first import of ray, which reads it then
    import ray

    ray.init(
        address="local",
        num_cpus=1,
        include_dashboard=False,
        object_store_memory=STORE_BYTES,
        log_to_driver=False,
        configure_logging=False,
        _temp_dir=folder,
    )
    try:
        hop = ray.remote(Hop).options(num_cpus=0)
        venue = ray.remote(Venue).options(num_cpus=0, max_concurrency=2).remote()
        risk = hop.remote(venue)
        bot = hop.remote(risk)
        scanner = hop.remote(bot)
        ray.get(venue.run.remote(scanner, 0, min(WARMUP, samples)))
        return ray.get(venue.run.remote(scanner, interval_us, samples))
    finally:
        ray.shutdown()


def _end(running: subprocess.Popen[str]) -> None:
    """Take the script down if it still runs; Ray ends its processes with it, or its reaper does."""
    if running.poll() is None:
        running.terminate()
        try:
            running.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            running.kill()
            running.communicate()


def samples_ns(interval_us: int, samples: int) -> list[int]:
    """The latencies of `samples` ticks in a Ray of their own, which is gone afterwards."""
    seconds_max = 90 + samples * max(2 * interval_us, 20_000) // 1_000_000
    words = [sys.executable, "-m", "benchmarks.peers.ray_hops", str(interval_us), str(samples)]
    # Ray keeps its sockets and logs here; the path stays short, a socket's may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="rh-", dir="/tmp", ignore_cleanup_errors=True) as place:
        running = subprocess.Popen(
            [*words, place],
            cwd=ROOT,
            env={**os.environ, **SLIM},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            out, problems = running.communicate(timeout=seconds_max)
        finally:
            _end(running)
    if running.returncode:
        raise RuntimeError(f"the Ray chain failed: {problems[-2000:]}")
    return json.loads(out.splitlines()[-1])


def measure(interval_us: int, samples: int = 2_000) -> dict[str, float]:
    """p50, p90, p99 and max in ns of a tick's way through four actors."""
    return percentiles(samples_ns(interval_us, samples))


if __name__ == "__main__":
    print(json.dumps(_chain(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])))
