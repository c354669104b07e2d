"""The simulated exchange as a process of its own, so that it outlives every part of the engine."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

READY_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 5.0


class ExchangeProcessError(RuntimeError):
    """The exchange did not come up; the message holds what it said."""


class ExchangeProcess:
    """Starts `orchestrator exchange CONFIG` as a child that dies with its parent."""

    def __init__(self, config_path: Path) -> None:
        self.url = ""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "engine", "exchange", str(config_path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is the launcher's to handle
            text=True,
        )
        self._line = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def _read(self) -> None:
        assert self._process.stdout is not None
        self._line = self._process.stdout.readline()

    def wait_ready(self) -> str:
        """Wait for the line that says where it listens; raises ExchangeProcessError."""
        self._reader.join(READY_TIMEOUT_S)
        if not self._line.startswith("ws://"):
            self.stop()
            assert self._process.stderr is not None
            raise ExchangeProcessError(
                f"the simulated exchange did not start: {self._process.stderr.read()[-2000:]}"
            )
        self.url = self._line.strip()
        return self.url

    def stop(self) -> None:
        """End it and wait until it is gone."""
        if self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
