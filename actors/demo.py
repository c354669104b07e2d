"""Runs a configuration in the cluster runtime from the terminal: up, live view, drain, comparison."""

import signal
import time

from actors.launch import Launch
from engine.config import Config
from engine.edges.comparison import compare_accounts, ledger_of


def run_cluster(config: Config, text: str, seconds: float | None) -> int:
    """Run until the time is over or somebody asks to stop; 0 when everything added up."""
    launch = Launch(config, text, lambda line: print(line, flush=True))

    def ask(number: int, frame: object) -> None:
        launch.directory.stop_wanted = True

    signal.signal(signal.SIGINT, ask)
    signal.signal(signal.SIGTERM, ask)
    begin = time.monotonic()
    try:
        launch.start()
        launch.wait_up()
        print("started", time.monotonic() - begin, flush=True)
        until = None if seconds is None else time.monotonic() + seconds
        launch.run_until(lambda: until is not None and time.monotonic() > until, lambda: None)
        quiet = launch.drain()
        print("drained", quiet)
        snapshots = launch.stop_actors()
        print({k: len(v) for k, v in snapshots.items()})
        report = compare_accounts(
            config, launch.exchange.url, ledger_of(config, launch.topology, snapshots)
        )
        print("\n".join(report.lines()))
        return 0 if quiet and report.holds else 1
    finally:
        launch.close()
