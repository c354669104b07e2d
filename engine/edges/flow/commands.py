"""`orchestrator flow`: simulated order flow beside the recorded market, as a picture and in numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from engine.analytics.market_facts import Tape

app = typer.Typer(no_args_is_help=True, help="The order flow of simulated markets: plot, fit.")

PresetName = Annotated[str, typer.Option("--preset", help="btc, eth or bitstamp.")]
RECORDED = {
    "btc": "hftbacktest/spot/btcusdt_20240808.gz",
    "eth": "hftbacktest/spot/ethusdt_20240808.gz",
    "bitstamp": "bitstamp_l3/2015-05-01.log.xz",
}
EVENTS = 150_000  # simulated where there is no recorded market to be as long as


@contextmanager
def _told() -> Iterator[None]:
    """What is refused is one line and exit code 2."""
    from engine.edges.capture import CaptureError
    from engine.edges.flow.figure import NoMatplotlib

    try:
        yield
    except (CaptureError, NoMatplotlib, OSError, ValueError) as error:
        typer.echo(f"orchestrator: {error}", err=True)
        raise typer.Exit(2) from error


def recorded_tape(preset: str) -> "Tape | None":
    """The recorded market that a preset was measured on; None where the data is not here."""
    from engine.edges.flow.bitstamp import read_bitstamp
    from engine.edges.flow.captures import data_folder, read_binance

    path = data_folder() / RECORDED.get(preset, preset)
    if not path.is_file():
        return None
    return read_binance(path) if path.suffix == ".gz" else read_bitstamp(path)


@app.command()
def plot(
    out: Annotated[Path, typer.Option(help="The picture, a PNG, SVG or PDF.")],
    model: Annotated[str, typer.Option(help="hawkes or santa-fe.")] = "hawkes",
    preset: PresetName = "btc",
    seconds: Annotated[float, typer.Option(help="0: as long as the recorded market.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the simulated market.")] = 7,
) -> None:
    """Simulate a market and draw it beside the recorded one: spread, depth, arrivals, volatility."""
    with _told():
        from engine.analytics.market_facts import measure, rows
        from engine.analytics.simulated_market import simulate
        from engine.edges.flow.figure import draw, require_matplotlib
        from engine.exchange.flow import preset_of

        require_matplotlib()
        found = preset_of(preset)
        real = recorded_tape(preset)
        if not seconds and real is not None:
            seconds = float(real.tops.times_s[-1] - real.tops.times_s[0])
        simulated = simulate(model, found, seconds or EVENTS / found.rate, seed)
        draw(simulated, real, f"{model} flow, preset {preset}: {found.source}", out)
        columns = [rows(measure(tape)) for tape in (real, simulated) if tape is not None]
    if real is None:
        typer.echo("no recorded market here; ORCHESTRATOR_DATA names its folder")
    typer.echo(f"{'':44}{'recorded' if real is not None else '':>12}{'simulated':>12}")
    for row in zip(*columns, strict=True):
        numbers = [f"{value:12.4g}" for _, value in row]
        typer.echo(f"{row[0][0]:44}{''.join(numbers):>24}")
    typer.echo(f"drawn: {out}")


@app.command()
def fit(preset: PresetName = "btc") -> None:
    """Measure the arrivals of a preset's recorded market anew and print them."""
    with _told():
        import numpy as np

        from engine.analytics.hawkes_fit import fit as fit_hawkes
        from engine.analytics.order_events import CAUSES, KINDS, MOVE, events_of, joined_money
        from engine.edges.capture import CaptureError
        from engine.exchange.flow import preset_of
        from engine.exchange.hawkes_flow import Arrivals

        betas = preset_of(preset).hawkes.arrivals.betas
        real = recorded_tape(preset)
        if real is None:
            raise CaptureError("no recorded market here; ORCHESTRATOR_DATA names its folder")
        events = events_of(real)
        found = fit_hawkes(events, CAUSES, betas)
        length_s = events.times_s[-1]
        moves = float((events.kinds == MOVE).sum() / length_s / 2)
        parts = (found.base, found.same, found.opposite, found.weights)
        base, same, opposite, weights = (np.round(part[:KINDS], 4).tolist() for part in parts)
        arrivals = Arrivals(base, moves, same, opposite, betas, weights)
        joined = joined_money(real.tops)
    typer.echo(
        f"{len(events.times_s)} events in {length_s:.0f} s; {found.likelihood:.4f} nats each"
    )
    typer.echo(f"branching ratio {arrivals.ratio():.3f}, rates {np.round(arrivals.rates(), 3)}")
    for name, value in arrivals._asdict().items():
        typer.echo(f"{name} = {value}")
    for name, money in (("near_sizes", joined), ("market_sizes", real.takers.money)):
        median, mean = float(np.median(money)), float(money.mean())
        typer.echo(f"{name} = Sizes({median:.0f}, {np.sqrt(2 * np.log(mean / median)):.2f})")
