"""The floor of four hops: a bare futex chain in C, built when it is asked for.

Run as a script it prints the percentiles back to back and paced at 1 ms and 10 ms.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.peers import percentiles

SOURCE = Path(__file__).with_suffix(".c")
WARMUP = 200


def samples_ns(interval_us: int, samples: int) -> list[int]:
    """The latencies of `samples` ticks, one each `interval_us` (0: back to back)."""
    warmup = min(WARMUP, samples)
    # A chain takes well under a millisecond; ten times that is a machine that is not measuring.
    seconds_max = 10 + (samples + warmup) * max(2 * interval_us, 10_000) // 1_000_000
    words = [str(interval_us), str(samples), str(warmup), str(seconds_max)]
    with tempfile.TemporaryDirectory(prefix="futex-chain-") as folder:
        binary = Path(folder, "futex_chain")
        subprocess.run(["cc", "-O2", "-Wall", "-o", str(binary), str(SOURCE)], check=True)
        # The program ends itself by SIGALRM and takes its children along; this is the second net.
        done = subprocess.run(
            [str(binary), *words],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            timeout=seconds_max + 10,
        )
    return [int(line) for line in done.stdout.split()]


def measure(interval_us: int, samples: int) -> dict[str, float]:
    """p50, p90, p99 and max in ns of a tick's way through four processes."""
    return percentiles(samples_ns(interval_us, samples))


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    for pace_us in (0, 1_000, 10_000):
        figures = measure(pace_us, count if pace_us < 10_000 else count // 4)
        print(pace_us, {name: f"{value / 1e3:.1f} us" for name, value in figures.items()})
