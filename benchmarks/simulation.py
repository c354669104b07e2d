"""Claim: a core simulates 200 seconds a second of the whole engine, with everything going wrong that can.

Load: seeds of `orchestrator simulate`, 60 simulated seconds each and the time until they are quiet: two
venues with two markets each, two bots, one to eight actors, faults of the exchanges, deaths and freezes
of actors, journals on a memory disk. `processor` counts what the process itself used, `clock` all that
passed, which on a shared machine is more. The seeds are the same each time, so rounds differ by the
machine alone.
"""

import gc
import time

from benchmarks.report import Report, arguments, median_spread
from engine.edges.simulation.running import Sum, run_part

SEEDS = range(12)
SECONDS = 60.0
ROUNDS = 3
RATE_MIN = 200


def measure() -> tuple[Sum, float, float]:
    """What came of the seeds, and the seconds of processor and clock that they took."""
    began, used = time.perf_counter(), time.process_time()
    total = run_part(SEEDS, SECONDS)
    return total, time.process_time() - used, time.perf_counter() - began


def main() -> None:
    """Rounds of the same seeds."""
    asked = arguments(__doc__.partition("\n")[0])
    report = Report(as_json=asked.json)
    report.machine()
    run_part(range(2), 5.0)  # imports and first uses
    gc.collect()
    rates: dict[str, list[float]] = {"processor": [], "clock": []}
    for _ in range(ROUNDS):
        total, processor_s, clock_s = measure()
        rates["processor"].append(total.simulated_s / processor_s)
        rates["clock"].append(total.simulated_s / clock_s)
    load = f"{total.seeds} seeds, {total.orders:,} orders, {total.fills:,} fills, all faults on"
    for way, found in rates.items():
        value, spread = median_spread(found)
        report.figure(
            f"simulated seconds a second of {way}", value, "s/s", better="higher",
            bar=RATE_MIN if way == "processor" else None, spread=spread, load=load,
        )  # fmt: skip
    struck = sum(n for (what, _), n in total.coverage.counts.items() if what == "exchange fault")
    done = sum(n for (what, _), n in total.coverage.counts.items() if what == "injection")
    report.note(
        f"{struck:,} faults of the exchanges, {done:,} injections, {len(total.failures)} broken"
    )


if __name__ == "__main__":
    main()
