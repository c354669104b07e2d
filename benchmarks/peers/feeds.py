"""The peers of feeds, run in turns: depth frame in, book changed, best price read.

Each is a script of its own in the peers' interpreter, over one input file that `feed_frames.write`
made. Here is only who they are and how they are run; the standard library is enough.
"""

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.peers.nautilus_path import ROOT, interpreter

SECONDS_MAX: Final = 120
"""For one run of one peer, which takes about ten."""


@dataclass(frozen=True)
class Peer:
    """A script, and how its figure is to be read."""

    name: str
    package: str
    module: str
    words: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class PeerFigure:
    """Microseconds a timed frame: the median of all turns' medians, the lowest and the highest."""

    name: str
    version: str
    median_us: float
    low: float
    high: float
    note: str


READ: Final = "best bid and ask read after each frame"
PEERS: Final = (
    Peer("ccxt.pro", "ccxt", "feed_ccxt", (), READ),
    Peer("cryptofeed", "cryptofeed", "feed_cryptofeed", (), READ),
    Peer("cryptofeed unread", "cryptofeed", "feed_cryptofeed", ("unread",), "best price not read"),
    Peer("NautilusTrader", "nautilus_trader", "feed_nautilus", (), f"Python adapter; {READ}"),
)


def run_once(peer: Peer, input_file: Path) -> dict[str, Any] | None:
    """What the peer's script prints; None, with the reason on stderr, where it is missing."""
    python = interpreter()
    if not python.exists():
        _leave_out(peer, f"no {python} (make bench-peers, or ORCHESTRATOR_PEERS_PYTHON)")
        return None
    words = ["-m", f"benchmarks.peers.{peer.module}", str(input_file.resolve()), *peer.words]
    done = subprocess.run(
        [str(python), *words],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
    )
    if f"No module named '{peer.package}" in done.stderr:
        _leave_out(peer, f"{python} has no {peer.package}")
        return None
    if done.returncode:
        raise RuntimeError(f"{peer.name} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run_peers(input_file: Path, turns: int = 3) -> list[PeerFigure]:
    """Each peer once a turn, all in every turn; those that are missing are left out."""
    runs: dict[Peer, list[dict[str, Any]]] = {peer: [] for peer in PEERS}
    for number in range(turns):
        for peer in PEERS:
            if number and not runs[peer]:
                continue
            found = run_once(peer, input_file)
            if found is not None:
                runs[peer].append(found)
    return [_figure(peer, found) for peer, found in runs.items() if found]


def _figure(peer: Peer, runs: list[dict[str, Any]]) -> PeerFigure:
    medians_us = [ns / 1000 for run in runs for ns in run["turns_ns"]]
    return PeerFigure(
        name=peer.name,
        version=runs[0]["version"],
        median_us=statistics.median(medians_us),
        low=min(medians_us),
        high=max(medians_us),
        note=peer.note,
    )


def _leave_out(peer: Peer, reason: str) -> None:
    print(f"{peer.name} left out: {reason}", file=sys.stderr)
