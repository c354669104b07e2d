"""Runs a configuration in the cluster runtime from the terminal: up, live view, drain, comparison."""

import os
import signal
import time
from pathlib import Path
from typing import TextIO

from actors.launch import Launch, LaunchError
from engine.config import Config
from engine.edges.comparison import compare_accounts, ledger_of
from engine.edges.exchange_process import ExchangeProcessError
from engine.edges.terminal import LiveView, summary


def run_cluster(config: Config, text: str, seconds: float | None, resume: bool = False) -> int:
    """Run until the time is over or somebody asks to stop; 0 when everything added up."""
    launch = Launch(config, text, resume)
    view = LiveView(_take_over_output(launch.folder / "ray.log"))

    def ask_to_stop(number: int, frame: object) -> None:
        launch.directory.stop_wanted = True

    signal.signal(signal.SIGINT, ask_to_stop)
    signal.signal(signal.SIGTERM, ask_to_stop)
    began = time.monotonic()
    view.say(f"starting a local Ray cluster for {config.name} ({_what_is_real(config)})")
    try:
        launch.start()
        launch.wait_up()
        return _trade(launch, view, began, seconds)
    except (LaunchError, ExchangeProcessError) as error:
        view.close()
        view.say(f"orchestrator: {error}")
        return 2
    finally:
        view.close()
        launch.close()


def _what_is_real(config: Config) -> str:
    if config.mode == "simulated":
        simulated = all(venue.kind == "simulated" for venue in config.venues)
        return "everything is simulated" if simulated else "real venues are only watched"
    return {
        "paper": "real markets, orders on paper",
        "sandbox": "orders go to the exchanges' testnets",
        "live": "REAL ORDERS WITH REAL MONEY",
    }[config.mode]


def _trade(launch: Launch, view: LiveView, began: float, seconds: float | None) -> int:
    up_s = time.monotonic() - began
    view.say(f"up in {up_s:.1f} s; control API {launch.address}")
    view.say(f"its token, for what changes something, is in {launch.folder / 'token'}")
    began = time.monotonic()

    def ended() -> bool:
        return seconds is not None and time.monotonic() - began >= seconds

    def tick() -> None:
        elapsed = f"{time.monotonic() - began:.0f} s"
        view.tick(launch.address, elapsed if seconds is None else f"{elapsed} of {seconds:.0f} s")

    launch.run_until(ended, tick)
    view.close()
    view.say("draining: nothing new is begun, what is open or unknown is resolved")
    quiet = launch.drain()
    traded_s = time.monotonic() - began
    checks = [f"run: {launch.folder}"]
    good = quiet
    if not quiet:
        checks.append("not everything came to rest in time; see the comparison")
    snapshots = launch.stop_actors()
    if launch.exchange is not None:
        ledger = ledger_of(launch.config, launch.topology, snapshots)
        comparison = compare_accounts(launch.config, launch.exchange.url, ledger)
        checks += comparison.lines()
        good = good and comparison.holds
    view.show(summary(view.view, traded_s, checks))
    return 0 if good else 1


def _take_over_output(log: Path) -> TextIO:
    """Ray's own words go to a file; the terminal belongs to the live view."""
    terminal = os.fdopen(os.dup(1), "w", buffering=1)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    return terminal
