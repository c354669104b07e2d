"""Claim: the demo shows its first book within 12 seconds of the command, on a warm install.

Runs the demo's cluster as `orchestrator run` does and watches the venues' pages and the memory of
all its processes.
"""

import os
import tempfile
import time
from pathlib import Path

from benchmarks.report import Report, arguments, median_spread
from engine.edges.directory import Counter, open_page
from engine.edges.runs import load

ROUNDS = 3
DEMO = Path(__file__).resolve().parents[1] / "configs" / "demo.toml"


def _family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parts = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(parts[1]) == pid:
            found += _family(int(path.parent.name))
    return found


def _memory_mb(pids: list[int]) -> float:
    """Proportional set size of processes: shared pages counted once over all."""
    total = 0
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(row.split()[1]) for row in rollup.splitlines() if row.startswith("Pss:"))
    return total / 1024


def once() -> tuple[float, float, float]:
    """Seconds to the first book, seconds until all serve, and MB at the end."""
    began = time.monotonic()
    from actors.launch import Launch

    text = DEMO.read_text().replace("port = 8090", "port = 0")
    with tempfile.TemporaryDirectory(prefix="cold-start-") as folder:
        text = text.replace('state_dir = "runs"', f'state_dir = "{folder}"')
        path = Path(folder) / "demo.toml"
        path.write_text(text)
        config, text = load(path)
        launch = Launch(config, text)
        try:
            launch.start()
            first = None
            while first is None:
                launch.watch()
                first = time.monotonic() - began if _has_book(launch) else None
                time.sleep(0.01)
            launch.wait_up()
            up = time.monotonic() - began
            time.sleep(3)
            return first, up, _memory_mb(_family(os.getpid()))
        finally:
            launch.close()


def _has_book(launch: object) -> bool:
    """Whether a venue has taken frames and shown something."""
    directory = launch.directory  # type: ignore[attr-defined]
    try:
        page, _ = open_page(directory.run, "venue-alpha", directory.epoch("venue-alpha"))
    except OSError:
        return False
    return page.get(Counter.MESSAGES_IN) > 10 and page.get(Counter.MESSAGES_OUT) > 10


def main() -> None:
    """Print the figures."""
    assert __doc__
    report = Report(arguments(__doc__.splitlines()[0]).json)
    report.machine()
    taken = [once() for _ in range(ROUNDS)]
    for name, column, unit, bar in (
        ("cold_start.first_book", 0, "s", 12.0),
        ("cold_start.all_actors", 1, "s", None),
        ("cold_start.memory", 2, "MB", None),
    ):
        value, spread = median_spread([row[column] for row in taken])
        report.figure(name, value, unit, bar=bar, spread=spread, load="demo, local Ray cluster")


if __name__ == "__main__":
    main()
