"""`orchestrator simulate`: seeds of faults through the whole engine, and a short trace of one that fails."""

import re
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from engine.edges.simulation import trace
from engine.edges.simulation.plan import Scenario, make_scenario
from engine.edges.simulation.running import Stopwatch, Sum, run_seeds
from engine.edges.simulation.shrinking import Shrinker
from engine.edges.simulation.world import World

SHOWN = 60
TRACE_MAX = 1_000_000
REPLAY = "orchestrator simulate --seed {seed} --seconds {seconds:g}"


def simulate(
    seed: Annotated[int | None, typer.Option(help="Run this one and tell of it.")] = None,
    seeds: Annotated[str, typer.Option(help="Run these, first..last.")] = "",
    seconds: Annotated[float, typer.Option(min=0.1, help="Simulated time of each.")] = 60.0,
    jobs: Annotated[int, typer.Option(min=1, max=256, help="Processes for many seeds.")] = 1,
    native: Annotated[
        bool, typer.Option(help="Venues speak the protocols of Binance and Kraken.")
    ] = False,
    trace_all: Annotated[bool, typer.Option("--trace", help="Print all that happened.")] = False,
    shrink: Annotated[bool, typer.Option(help="Make a failing seed short.")] = True,
) -> None:
    """Run the whole engine against simulated exchanges while a seed decides what goes wrong.

    Exit code 1 when an invariant is broken; then the command that shows it is printed.
    """
    if (seed is None) == (not seeds):
        raise typer.BadParameter("either --seed N or --seeds A..B is expected")
    if seed is not None:
        raise typer.Exit(_one(make_scenario(seed, seconds, native), trace_all, shrink))
    found = re.fullmatch(r"(\d+)\.\.(\d+)", seeds)
    if found is None or int(found[1]) > int(found[2]):
        raise typer.BadParameter(f"{seeds}: first..last is expected, such as 0..199")
    raise typer.Exit(_many(range(int(found[1]), int(found[2]) + 1), seconds, jobs, native))


def _one(scenario: Scenario, trace_all: bool, shrink: bool) -> int:
    outcome = World(scenario, TRACE_MAX if trace_all else 0).run()
    typer.echo("\n".join(trace.plan(outcome.scenario)))
    if trace_all:
        typer.echo("\n".join(trace.lines(outcome.trace)))
    typer.echo("\n".join(outcome.coverage.lines()))
    told = f"{outcome.orders} orders, {outcome.fills} fills, quiet after {outcome.at_s:.1f} s"
    if not outcome.invariant:
        typer.echo(f"clean: {told}")
        return 0
    if shrink:
        shrinker = Shrinker(outcome)
        outcome = shrinker.shrink()
        typer.echo(f"\nthe same after {shrinker.runs} runs that left out what was not needed:")
        typer.echo("\n".join(trace.plan(outcome.scenario)))
    if not trace_all:
        typer.echo("\n".join([*trace.lines(outcome.trace, dull=False)][-SHOWN:]))
    typer.echo(f"BROKEN at {outcome.at_s:.3f} s: {outcome.seen}")
    return 1


def _many(seeds: range, seconds: float, jobs: int, native: bool) -> int:
    watch = Stopwatch()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("seeds", total=len(seeds))

        def told(so_far: Sum) -> None:
            broken = f", {len(so_far.failures)} broken" if so_far.failures else ""
            progress.update(task, completed=so_far.seeds, description=f"seeds{broken}")

        total = run_seeds(seeds, seconds, jobs, native, told)
    took_s = watch.seconds()
    typer.echo("\n".join(total.coverage.lines()))
    typer.echo(
        f"{total.seeds} seeds, {total.simulated_s:,.0f} simulated seconds in {took_s:.1f} s "
        f"({total.simulated_s / took_s:,.0f} a second), {total.orders:,} orders, "
        f"{total.fills:,} fills"
    )
    for failure in sorted(total.failures)[:SHOWN]:
        typer.echo(f"BROKEN {failure.seed}: {failure.seen[:200]}")
        replay = REPLAY.format(seed=failure.seed, seconds=seconds)
        typer.echo(f"  {replay}{' --native' if native else ''}")
    if not total.failures:
        typer.echo("clean: no invariant was broken")
    return 1 if total.failures else 0
