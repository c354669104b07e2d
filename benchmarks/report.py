"""The one form in which every benchmark speaks: a line a figure, or with --json an object a line.

It measures nothing by itself but what the machine is; a figure's bar and ratio are judged here, so
that no benchmark judges itself. Ratio is always ours divided by the peer's, of one and the same run.
"""

import argparse
import json
import math
import os
import platform
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

PEERS_PYTHON = "ORCHESTRATOR_PEERS_PYTHON"
"""Names the interpreter into whose environment the peers are installed."""


def arguments(claim: str, argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options every benchmark takes: `json` and `peers`."""
    parser = argparse.ArgumentParser(description=claim)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--peers", action="store_true", help="measure the peers in turns with ours")
    return parser.parse_args(argv)


def go_to_peers(module: str) -> None:
    """Run the benchmark again in the peers' interpreter, if one is named and this is not it.

    The kernels need no other package, so they are measured in one process with the peers.
    """
    named = os.environ.get(PEERS_PYTHON, "")
    if not named or Path(named).parent == Path(sys.executable).parent:
        return
    if not Path(named).exists():
        print(f"{PEERS_PYTHON} names no interpreter: {named}", file=sys.stderr)
        return
    root = Path(__file__).resolve().parents[1]
    environment = os.environ | {"PYTHONPATH": str(root), PEERS_PYTHON: ""}
    sys.stdout.flush()
    os.execve(named, [named, "-m", module, *sys.argv[1:]], environment)


def machine() -> str:
    """What the figures were taken on: processor, cores for us, interpreter, load before the run."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = os.getloadavg()[0]
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{model}, {cores} cores, {platform.system()}, {python}, load {load:.2f}"


def median_spread(samples: Sequence[float]) -> tuple[float, dict[str, float]]:
    """The median of rounds, and min, median and max to print with it."""
    middle = statistics.median(samples)
    return middle, {"min": min(samples), "median": middle, "max": max(samples)}


def percentiles(samples: Sequence[float], *ranks: float) -> dict[str, float]:
    """Percentiles by nearest rank, named p50, p99, p99.9; those two when none is asked for."""
    if not samples:
        raise ValueError("no samples")
    ordered = sorted(samples)
    return {
        f"p{rank:g}": ordered[max(0, math.ceil(rank / 100 * len(ordered)) - 1)]
        for rank in ranks or (50, 99)
    }


def in_turns(
    tasks: Mapping[str, Callable[[], float]], rounds: int = 9
) -> dict[str, tuple[float, ...]]:
    """Each task once a round, all in every round, so that a drifting machine drifts for all.

    One round before the first warms up and is thrown away.
    """
    taken = [{name: task() for name, task in tasks.items()} for _ in range(rounds + 1)][1:]
    return {name: tuple(turn[name] for turn in taken) for name in tasks}


@dataclass
class Report:
    """Prints figures; remembers which bars were missed."""

    as_json: bool = False
    missed: list[str] = field(default_factory=list)

    def machine(self) -> None:
        """Say what the figures are taken on; beside the objects when those are JSON."""
        print(f"machine: {machine()}", file=sys.stderr if self.as_json else sys.stdout)

    def note(self, text: str) -> None:
        """A sentence for people, such as why a peer is not measured."""
        print(text, file=sys.stderr if self.as_json else sys.stdout)

    def figure(
        self,
        name: str,
        value: float,
        unit: str,
        *,
        bar: float | None = None,
        better: Literal["lower", "higher"] = "lower",
        peer: str | None = None,
        peer_value: float | None = None,
        load: str = "",
        spread: Mapping[str, float] | None = None,
    ) -> None:
        """One figure with its bar and its peer, where it has them; `bar` is in `unit`."""
        met = None
        if bar is not None:
            met = value <= bar if better == "lower" else value >= bar
            if not met:
                self.missed.append(name)
        ratio = value / peer_value if peer_value else None
        sign = "<=" if better == "lower" else ">="
        if self.as_json:
            figure = {
                "name": name, "value": value, "unit": unit,
                "bar": None if bar is None else f"{sign} {bar:g}", "met": met,
                "peer": peer, "peer_value": peer_value, "ratio": ratio, "load": load,
            }  # fmt: skip
            print(json.dumps(figure), flush=True)
            return
        parts = [f"{name}: {value:,.5g} {unit}"]
        if spread:
            parts.append(" ".join(f"{key} {number:,.5g}" for key, number in spread.items()))
        if bar is not None:
            parts.append(f"bar {sign} {bar:g} {unit} {'met' if met else 'MISSED'}")
        if peer is not None and peer_value is not None:
            parts.append(f"{peer} {peer_value:,.5g} {unit}, ratio {ratio:.3g}")
        if load:
            parts.append(load)
        print(" | ".join(parts), flush=True)
