"""The store's follower as a process of its own: whatever becomes of it, the engine trades on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from engine.config import Config

RESTART_AFTER_S = 5.0
STOP_TIMEOUT_S = 10.0


class StoreProcess:
    """Runs `orchestrator store follow FOLDER`, again when it dies; what it says is in store.log."""

    def __init__(self, config: Config, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._next = 0.0
        self._wanted = config.store.enabled
        self.watch()

    @property
    def pid(self) -> int:
        """Its process id; 0 where no store is wanted."""
        return self._process.pid if self._process is not None else 0

    def watch(self) -> None:
        """Called now and then: start it, or start it again."""
        running = self._process is not None and self._process.poll() is None
        if running or not self._wanted or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + RESTART_AFTER_S
        command = [sys.executable, "-m", "engine", "store", "follow", str(self._folder)]
        try:
            with (self._folder / "store.log").open("ab") as log:
                self._process = subprocess.Popen(
                    [*command, "--parent", str(os.getpid())],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C is the launcher's to handle
                )
        except OSError:
            self._process = None  # a full disk: asked again later

    def stop(self) -> None:
        """Let it write the rest, and wait until it is gone."""
        self._wanted = False
        if self._process is None or self._process.poll() is not None:
            return
        os.kill(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
