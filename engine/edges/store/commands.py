"""`orchestrator store`: follow a run's journals, or make its tables again from them.

The database's libraries load only inside the commands: other commands start without them.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from engine.config import ConfigError
from engine.edges.actor_journal import FolderLock
from engine.edges.exchange_server import die_with_parent
from engine.edges.journal import JournalError, segments
from engine.edges.runs import NoRunError, last_run, load

app = typer.Typer(no_args_is_help=True, help="Tables of orders, fills, profit and risk.")
NICENESS = 10


def _or_say_why(work: Callable[[], None]) -> None:
    """What is wrong is one line and exit code 2."""
    from sqlalchemy.exc import SQLAlchemyError

    from engine.edges.store.database import StoreError

    try:
        work()
    except (StoreError, JournalError, ConfigError, NoRunError, SQLAlchemyError) as error:
        sys.stderr.write(f"orchestrator: {error}\n")
        raise typer.Exit(2) from None


def _locked(folder: Path) -> FolderLock:
    return FolderLock(folder / "store.lock", f"process {os.getpid()} (store)")


@app.command()
def follow(
    folder: Path,
    parent: Annotated[int, typer.Option(help="End when this process does.")] = 0,
) -> None:
    """Write what a run's journals say into its store until SIGTERM; `run` starts this by itself."""
    from engine.edges.store.projector import Projector, config_of, say

    if parent:
        die_with_parent(parent)
    os.nice(NICENESS)  # the engine goes first
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())

    def work() -> None:
        config = config_of(folder)
        lock = _locked(folder)
        Projector(folder.absolute(), config, say).follow(stopping)
        lock.release()

    _or_say_why(work)


@app.command()
def rebuild(
    path: Annotated[Path, typer.Argument(help="A run's folder, or a configuration: its last run.")],
    partial: Annotated[
        bool, typer.Option("--partial", help="Although the first journals are no longer kept.")
    ] = False,
) -> None:
    """Delete a run's rows and make them again from its journals."""
    _or_say_why(lambda: _rebuild(path, partial))


def _rebuild(path: Path, partial: bool) -> None:
    from engine.edges.store.database import StoreError
    from engine.edges.store.projector import Projector, config_of, say

    folder = path.absolute() if path.is_dir() else last_run(load(path)[0])
    config = config_of(folder)
    lock = _locked(folder)
    firsts = [segments(actor, "journal")[:1] for actor in folder.iterdir() if actor.is_dir()]
    late = [first[0].file("journal") for first in firsts if first and first[0].part]
    if late and not partial:
        raise StoreError(
            f"{late[0]} is the first journal that is kept: what was before it is only in the "
            "store, and would be lost there too (--partial does it all the same)"
        )
    projector = Projector(folder, config, say)
    projector.database.prepare()
    projector.database.forget(projector.run)
    if not projector.catch_up(threading.Event()):
        raise StoreError("the database went away; run this again")
    projector.database.close()
    lock.release()
    where = projector.database.url.render_as_string()
    sys.stdout.write(f"{projector.run}: {projector.written:,} records into {where}\n")
