"""NautilusTrader's way from frame bytes to order bytes, all in one process, with its real parts.

Frame bytes -> the msgspec decoder and OrderBookDeltas of its Binance adapter -> DataEngine (book in
the Cache, MessageBus) -> Strategy, which reads the best ask and submits an IOC limit order ->
RiskEngine -> ExecutionEngine -> an execution client that writes order bytes to a loopback TCP
socket. The clock starts when the frame is given to the decoder and stops when the order bytes are
given to `send()`, before the call.

Three wirings: "live" is what its TradingNode runs (LiveDataEngine, LiveRiskEngine,
LiveExecutionEngine and LiveExecutionClient, a queue before each, on uvloop); "direct" is the same
path with the base engines, which call each other: faster, but no configuration of a live node;
"decoded" is "direct" with the clock started only after decoding, when OrderBookDeltas are given to
the DataEngine: its adapter's Python takes 5 to 6 us a level, and this shows the rest by itself.
In its favour: the frame is decoded once (its adapter decodes a wrapper first), logging is off,
orders are not signed, its caches start empty, and one order a tick is sent. `measure` runs this
file in an interpreter of its own that has NautilusTrader (1.221.0).
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

from benchmarks.peers import percentiles

ROOT = Path(__file__).resolve().parents[2]
WARMUP = 500
SEED = 5

Wiring = Literal["live", "direct", "decoded"]


def interpreter() -> Path:
    """The Python that has the peers: ORCHESTRATOR_PEERS_PYTHON, else the one `make bench-peers` makes."""
    return ROOT / (os.environ.get("ORCHESTRATOR_PEERS_PYTHON") or ".venv-peers/bin/python")


def samples_ns(
    interval_us: int, samples: int, wiring: Wiring = "live", seed: int = SEED
) -> list[int] | None:
    """The latencies of `samples` frames, one each `interval_us` (0: back to back).

    None, with the reason printed, where the interpreter or NautilusTrader in it is missing.
    """
    python = interpreter()
    if not python.exists():
        print(
            f"NautilusTrader left out: no {python} (make bench-peers, or ORCHESTRATOR_PEERS_PYTHON)"
        )
        return None
    seconds_max = 60 + (samples + WARMUP) * max(2 * interval_us, 5_000) // 1_000_000
    words = [str(interval_us), str(samples), wiring, str(seed)]
    done = subprocess.run(
        [str(python), "-m", "benchmarks.peers.nautilus_path", *words],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=seconds_max,
    )
    if "No module named 'nautilus_trader'" in done.stderr:
        print(f"NautilusTrader left out: {python} has no nautilus_trader")
        return None
    if done.returncode:
        raise RuntimeError(f"NautilusTrader's path failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(
    interval_us: int, samples: int, wiring: Wiring = "live", seed: int = SEED
) -> dict[str, float] | None:
    """p50, p90, p99 and max in ns from a frame to its order, or None where the peer is missing."""
    latencies = samples_ns(interval_us, samples, wiring, seed)
    return None if latencies is None else percentiles(latencies)


def _main(interval_us: int, samples: int, wiring: Wiring, seed: int) -> None:
    from benchmarks.frames import frames
    from benchmarks.peers.nautilus_node import run

    load = frames(WARMUP + samples, seed)
    print(json.dumps(run(load, interval_us, wiring)[WARMUP:]))


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
