"""Memory of processes over time, and the slope of what was sampled."""

import os
from pathlib import Path
from typing import NamedTuple

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
HOUR_S = 3600.0


class Slope(NamedTuple):
    """A line through samples: where it begins, in bytes, and how it grows, in bytes an hour."""

    begin: float
    an_hour: float

    @property
    def share(self) -> float:
        """Growth an hour as a part of what there was."""
        return self.an_hour / self.begin if self.begin else 0.0


def resident_bytes(pid: int) -> int:
    """What a process has in memory that is its own or shared; raises OSError for a dead one."""
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * PAGE_BYTES


def anonymous_bytes(pid: int) -> int:
    """What a process has in memory that no file stands behind: maps of segments are not counted."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def folder_bytes(folder: Path, name: str) -> int:
    """What the files of a run take in a folder; one that vanishes meanwhile counts nothing."""
    total = 0
    for path in folder.glob(f"*{name}*"):
        for each in path.rglob("*") if path.is_dir() else (path,):
            try:
                total += each.stat().st_blocks * 512
            except OSError:
                continue
    return total


def slope(samples: list[tuple[float, int]]) -> Slope:
    """By least squares over (seconds, bytes); raises ValueError for fewer than two moments."""
    count = len(samples)
    mean_t = sum(t for t, _ in samples) / max(count, 1)
    mean_b = sum(b for _, b in samples) / max(count, 1)
    spread = sum((t - mean_t) ** 2 for t, _ in samples)
    if not spread:
        raise ValueError("samples of one moment have no slope")
    rise = sum((t - mean_t) * (b - mean_b) for t, b in samples) / spread
    first_t = samples[0][0]
    return Slope(mean_b + rise * (first_t - mean_t), rise * HOUR_S)
