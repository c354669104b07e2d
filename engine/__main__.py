"""The command line: `orchestrator` and `python -m engine`.

It reads files and secrets, checks the machine before anything starts, and says in one line what is
wrong and how to mend it. Ray and the web framework load only inside the commands that need them.
"""

import asyncio
import errno
import importlib.util
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from engine.config import Config, ConfigError, instruments_of
from engine.edges import doctor as doctor_checks
from engine.edges import journal_commands
from engine.edges.catalog import commands as catalog_commands
from engine.edges.directory import KillSwitchPage
from engine.edges.flow import commands as flow_commands
from engine.edges.journal import JournalError
from engine.edges.runs import (
    CurrentRun,
    NoRunError,
    load,
    read_current,
    resumes,
)
from engine.edges.simulation import commands as simulation_commands
from engine.edges.store import commands as store_commands

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="CryptoOrchestrator: an actor-based execution engine. It trades simulated markets unless its "
    "configuration names another mode.",
)
app.add_typer(catalog_commands.app, name="catalog")
app.add_typer(flow_commands.app, name="flow")
app.command()(simulation_commands.simulate)
app.add_typer(journal_commands.app, name="journal")
app.add_typer(store_commands.app, name="store")
StateDir = Annotated[str, typer.Option(help="The state_dir of the engine's configuration.")]
VERSION = "0.1.0"


class Refused(Exception):
    """A command that cannot be carried out; its message is the one line shown."""


def parse_duration(text: str) -> float:
    """'30s', '5m', '1h' or plain seconds; raises Refused."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if found is None:
        raise Refused(f"--for {text}: a duration such as 30s, 5m or 1h is expected")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def _load(path: Path) -> tuple[Config, str]:
    try:
        return load(path)
    except ConfigError as error:
        raise Refused(str(error)) from error


def _confirm(config: Config, understood: bool) -> None:
    """Real money is traded with by nobody who did not say so, each time."""
    if config.mode != "live" or understood:
        return
    traded = [venue.name for venue in config.venues if venue.trading.gateway != "none"]
    why = f"mode 'live' places real orders with real money at {', '.join(traded) or 'no venue'}"
    if not sys.stdin.isatty():
        raise Refused(f"{why}: say --i-understand, or start it in a terminal to be asked")
    typer.echo(f"{why}. To go on, type the deployment's name ({config.name}):")
    if sys.stdin.readline().strip() != config.name:
        raise Refused("not confirmed; nothing was started")


def _check_strategies(config: Config) -> None:
    """Classes of the user's own are found before anything is started."""
    from engine.assembly import topology_of

    try:
        topology_of(config)
    except ConfigError as error:
        raise Refused(str(error)) from error


def _check_gateways(config: Config, path: Path) -> None:
    """Whether each venue can be traded on as configured, before anything is started."""
    from engine.assembly import make_trading

    instruments = instruments_of(config)
    through_ccxt = any(venue.trading.gateway == "ccxt" for venue in config.venues)
    if through_ccxt and importlib.util.find_spec("ccxt") is None:
        raise Refused(f"{path}: gateway = 'ccxt' needs: pip install 'crypto-orchestrator[venues]'")
    for place in range(len(config.venues)):
        try:
            make_trading(config, place, instruments)
        except ConfigError as error:
            raise Refused(f"{path}: {error}") from error


def _check_machine(config: Config, cluster: bool) -> None:
    exchanges = dict.fromkeys(venue.exchange for venue in config.venues if venue.kind == "watch")
    exchanges.pop("", None)
    for finding in doctor_checks.check(config.api.port or None, cluster, exchanges):
        if not finding.ok:
            raise Refused(finding.line())


def _guarded(start: Callable[[], int]) -> int:
    """What a start says when the journal is another's, damaged or not there, in one line."""
    try:
        return start()
    except (JournalError, NoRunError) as error:
        raise Refused(str(error)) from error
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise Refused(f"{error.filename or 'the disk'}: no space left; free some first") from error


@app.command()
def run(
    config: Path,
    runtime: Annotated[str, typer.Option(help="cluster (Ray actors) or solo.")] = "cluster",
    duration: Annotated[str, typer.Option("--for", help="End by itself: 30s, 5m, 1h.")] = "",
    resume: Annotated[
        bool | None,
        typer.Option("--resume/--fresh", help="Go on with the last run, or begin another."),
    ] = None,
    understood: Annotated[
        bool, typer.Option("--i-understand", help="Trade with real money without being asked.")
    ] = False,
) -> None:
    """Run a configuration until Ctrl-C, or for a time.

    What trades real accounts goes on with its last run, what is simulated begins a fresh one.
    """
    parsed, text = _load(config)
    _confirm(parsed, understood)
    seconds = parse_duration(duration) if duration else None
    _check_gateways(parsed, config)
    if runtime not in ("cluster", "solo"):
        raise Refused(f"--runtime {runtime}: cluster or solo is expected")
    _check_strategies(parsed)
    _check_machine(parsed, runtime == "cluster")
    again = resumes(parsed, resume)
    if runtime == "solo":
        from actors.api.serving import serve_api
        from engine.edges.solo import run_solo

        code = _guarded(lambda: run_solo(parsed, text, seconds, serve_api, again))
    else:
        from actors.demo import run_cluster

        code = _guarded(lambda: run_cluster(parsed, text, seconds, again))
    raise typer.Exit(code)


@app.command()
def record(
    config: Path,
    duration: Annotated[str, typer.Option("--for", help="End by itself: 30s, 5m, 1h.")] = "",
    to: Annotated[Path | None, typer.Option(help="A folder that is not there yet.")] = None,
) -> None:
    """Watch a configuration's venues and keep every frame, raw and as a catalog of events."""
    from actors.api.serving import serve_api
    from engine.edges.capture import CaptureError
    from engine.edges.catalog.layout import CatalogError
    from engine.edges.record import RecorderError, run_record

    parsed, text = _load(config)
    if to is not None and to.exists():
        raise Refused(f"--to {to}: it is there already; a recording begins with an empty folder")
    seconds = parse_duration(duration) if duration else None
    _check_machine(parsed, cluster=False)
    try:
        code = run_record(parsed, text, seconds, to, serve_api)
    except (RecorderError, CatalogError, CaptureError) as error:
        raise Refused(str(error)) from error
    raise typer.Exit(code)


@app.command()
def backtest(
    config: Path,
    duration: Annotated[str, typer.Option("--for", help="Simulated time.")] = "60s",
) -> None:
    """Run a configuration's simulated or recorded markets as fast as they go, deterministically."""
    from engine.edges.backtesting import run_backtest

    parsed, _ = _load(config)
    _check_strategies(parsed)
    raise typer.Exit(run_backtest(parsed, parse_duration(duration)))


@app.command()
def replay(
    path: Path,
    runtime: Annotated[str, typer.Option(help="cluster or solo.")] = "cluster",
    speed: Annotated[float, typer.Option(help="1 is as recorded, 0 as fast as possible.")] = 0.0,
) -> None:
    """Play a capture or tape through the engine, or run a run's folder again and compare."""
    from engine.edges.capture import split_name
    from engine.edges.replaying import replay_path

    if not split_name(path)[0].exists():
        raise Refused(f"{path}: there is no such file or folder")
    if runtime == "solo":
        from engine.edges.solo import play_in_solo as play
    else:
        from actors.replay import play_in_cluster as play
    raise typer.Exit(replay_path(path, play, speed))


@app.command()
def top(
    state_dir: StateDir = "runs",
    picture: Annotated[Path | None, typer.Option(help="Draw it once into this SVG.")] = None,
) -> None:
    """Attach the live view to the running engine."""
    from engine.edges.terminal import attach, draw

    current = _current(state_dir)
    raise typer.Exit(attach(current) if picture is None else draw(current, picture))


@app.command()
def status(state_dir: StateDir = "runs") -> None:
    """Say in a few lines how the running engine does."""
    from engine.edges.terminal import print_status

    current = _current(state_dir)
    raise typer.Exit(print_status(current))


@app.command("kill-switch")
def kill_switch(
    position: Annotated[str, typer.Argument(help="on or off")], state_dir: StateDir = "runs"
) -> None:
    """Stop everything that can raise exposure (on), or let it trade again (off).

    Writes the page itself: it works when every actor and the API are hung or dead. Then it says how
    far a running engine has come; exit code 1 when nobody confirmed that no order rests.
    """
    if position not in ("on", "off"):
        raise Refused(f"kill-switch {position}: on or off is expected")
    page = KillSwitchPage(Path(state_dir).absolute() / "kill-switch")
    page.turn(position == "on")
    typer.echo(f"kill switch is {'ON' if page.on else 'off'} ({page.path})")
    if page.on:
        from engine.edges.kill_following import follow_kill

        raise typer.Exit(0 if follow_kill(state_dir, typer.echo) else 1)


@app.command()
def stop(state_dir: StateDir = "runs") -> None:
    """Ask the running engine to drain and stop."""
    current = _current(state_dir)
    os.kill(current.pid, signal.SIGTERM)
    typer.echo(f"asked {current.run} (process {current.pid}) to drain and stop")


@app.command()
def doctor(
    port: Annotated[int, typer.Option(help="The API's port to check.")] = 8090,
    live: Annotated[
        Path | None, typer.Option(help="A configuration whose exchanges and keys are asked, too.")
    ] = None,
) -> None:
    """Check whether this machine can run the engine, and say how to mend what is not right.

    With --live it asks each exchange about key, clock, instruments, fees and balances; it places nothing.
    """
    findings = list(doctor_checks.check(port, True))
    if live is not None:
        from engine.edges.doctor_live import examine

        findings += asyncio.run(examine(_load(live)[0], os.environ))
    for finding in findings:
        typer.echo(finding.line())
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"orchestrator {VERSION}")


@app.command()
def exchange(
    config: Path,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Of loopback; 0 takes any free one.")
    ] = 0,
    keys: Annotated[bool, typer.Option("--keys", help="Print the accounts' keys.")] = False,
) -> None:
    """Serve the simulated exchange of a configuration, for `run`, for bots and for ccxt."""
    import uvloop

    from engine.edges.exchange_server import die_with_parent, serve
    from engine.edges.exchange_sockets import ExchangeServer
    from engine.exchange.accounts import credentials

    parent = os.getppid()
    die_with_parent(parent)
    parsed, _ = _load(config)

    def ready(server: ExchangeServer) -> None:
        typer.echo(server.url)  # the first line is what a parent waits for
        typer.echo("everything here is simulated: no key, order or balance of it is worth anything")
        for venue, urls in server.urls().items():
            typer.echo(f"{venue}: {'  '.join(urls)}")
        for account in parsed.exchange.accounts if keys else ():
            key, secret = credentials(parsed.name, account.name)
            typer.echo(f"{account.name}: key {key}  secret {secret.decode()}")
        sys.stdout.flush()

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(parsed, ready, port))
    except (ConfigError, OSError) as error:
        raise Refused(str(error)) from error


def _current(state_dir: str) -> CurrentRun:
    try:
        return read_current(state_dir)
    except NoRunError as error:
        raise Refused(str(error)) from error


def main() -> None:
    """Run a command; what is refused is one line and exit code 2."""
    sys.path.append(os.getcwd())  # strategies of one's own are found where the command is given
    try:
        app()
    except Refused as refusal:
        typer.echo(f"orchestrator: {refusal}", err=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
