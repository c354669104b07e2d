"""The picture of `orchestrator flow plot`: a simulated market beside the recorded one it imitates.

matplotlib is an extra: it is imported here only, and only when a picture is drawn.
"""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.analytics.market_facts import (
    DISTANCES_BPS,
    INTERVALS_S,
    WINDOWS_S,
    Floats,
    Tape,
    fano,
    measure,
    signature,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.gridspec import SubplotSpec

REAL, SIMULATED = "#1f4e79", "#d9622b"
POINTS = 60
# A spread below this share of the time is chance, and so is a gap seen less often.
RARE = 1e-5

Series = list[tuple[str, str, Tape]]


class NoMatplotlib(ImportError):
    """matplotlib is not installed; the message says how to mend it."""


def require_matplotlib() -> None:
    """Raises NoMatplotlib; to be asked before the work of which a picture is to be drawn."""
    if find_spec("matplotlib") is None:
        raise NoMatplotlib("matplotlib is not installed -- pip install 'crypto-orchestrator[plot]'")


def draw(simulated: Tape, real: Tape | None, title: str, path: Path) -> None:
    """Four panels into a file; raises OSError or ValueError where it cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    series: Series = [("simulated", SIMULATED, simulated)]
    if real is not None:
        series.insert(0, ("recorded", REAL, real))
    figure = Figure(figsize=(12, 8), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    cells = figure.add_gridspec(2, 2)
    halves = cells[1, 0].subgridspec(1, 2)  # inter-arrival has two sides
    panels: tuple[tuple[SubplotSpec, Callable[[Axes, Series], None]], ...] = (
        (cells[0, 0], _spread),
        (cells[0, 1], _depth),
        (halves[0, 0], _gaps),
        (halves[0, 1], _bursts),
        (cells[1, 1], _signature),
    )
    for cell, panel in panels:
        axes = figure.add_subplot(cell)
        panel(axes, series)
        axes.grid(visible=True, alpha=0.25)
        axes.legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=110)


def exceeded(values: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """How often, by weight, a value is reached or exceeded, at points spread evenly by logarithm."""
    order = np.argsort(values)
    ordered, weight = values[order], weights[order]
    above = np.cumsum(weight[::-1])[::-1] / weight.sum()
    grid = np.geomspace(max(ordered[0], 1e-9), ordered[-1], POINTS)
    places = np.searchsorted(ordered, grid * (1 - 1e-9))
    return grid, above[np.minimum(places, len(above) - 1)]


def _spread(axes: "Axes", series: Series) -> None:
    for name, color, tape in series:
        tops = tape.tops
        spread_bps = (tops.ask / tops.bid - 1)[:-1] * 10_000
        grid, share = exceeded(spread_bps, np.diff(tops.times_s))
        kept = share > RARE
        one = measure(tape).one_tick
        label = f"{name} (one tick {one:.1%} of the time)"
        axes.loglog(grid[kept], share[kept], color=color, label=label)
    axes.set(title="Spread", xlabel="bps", ylabel="share of time at or above")


def _depth(axes: "Axes", series: Series) -> None:
    for name, color, tape in series:
        money = tape.depth.mean(axis=0)
        seen = money > 0
        distances = np.asarray(DISTANCES_BPS)[seen]
        axes.loglog(distances, money[seen], "o-", color=color, label=name)
        low, high = np.quantile(tape.depth, (0.25, 0.75), axis=0)
        axes.fill_between(DISTANCES_BPS, low, high, where=low > 0, color=color, alpha=0.12)
    axes.set(
        title="Depth of a side: mean, and half of all moments",
        xlabel="bps from the middle",
        ylabel="money within",
    )


def _gaps(axes: "Axes", series: Series) -> None:
    for name, color, tape in series:
        gaps = np.diff(tape.tops.times_s) * 1000
        grid, share = exceeded(np.maximum(gaps, 1e-3), np.ones(len(gaps)))
        axes.loglog(grid[share > RARE], share[share > RARE], color=color, label=name)
    axes.set(title="Inter-arrival: gaps of the top", xlabel="ms", ylabel="share at or above")


def _bursts(axes: "Axes", series: Series) -> None:
    for _, color, tape in series:
        for marker, times, what in (
            ("o-", tape.tops.times_s, "the top"),
            ("s--", tape.takers.times_s, "takers"),
        ):
            factors = [fano(times, window) for window in WINDOWS_S]
            axes.loglog(WINDOWS_S, factors, marker, color=color, label=what, markersize=4)
    axes.axhline(1.0, color="grey", linewidth=0.8)
    axes.set(title="Fano factor (1: Poisson)", xlabel="window, s")
    axes.set_ylim(0.6, 300)


def _signature(axes: "Axes", series: Series) -> None:
    for name, color, tape in series:
        values = [signature(tape.tops, interval) for interval in INTERVALS_S]
        axes.semilogx(INTERVALS_S, values, "o-", color=color, label=name)
    axes.set(
        title="Volatility signature",
        xlabel="sampling interval, s",
        ylabel="bps in a root second",
    )
    axes.set_ylim(bottom=0)
