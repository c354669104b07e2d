"""The recorder's life: it merges the actors' inbox segments into the run's tape, and nothing else."""

import os
import threading
import time
from pathlib import Path

from engine.edges.directory import ActorState, Counter, Directory
from engine.edges.runs import RECORDER
from engine.edges.tape import TapeWriter
from ext.page import Page

FOLLOW_EVERY_S = 0.5
ROWS_A_STEP = 2_000
"""Between two heartbeats: a successor has all segments of the run to read again."""


class TapeRecording:
    """Follows the segments of a run until `stopping`; a successor begins a tape of its own epoch."""

    def __init__(self, folder: Path, directory: Directory, epoch: int, page: Page) -> None:
        self.stopping = threading.Event()
        self._directory = directory
        self._epoch = epoch
        self._page = page
        actors = tuple(actor for actor in directory.actors if actor != RECORDER)
        self._tape = TapeWriter(tape_path(folder, epoch), folder, actors)

    def run(self) -> None:
        """Serve on this thread."""
        self._page.state = ActorState.RUNNING
        self._directory.enter(RECORDER, self._epoch, os.getpid())
        try:
            taken = 0
            while not self.stopping.wait(0.0 if taken == ROWS_A_STEP else FOLLOW_EVERY_S / 4):
                self._page.heartbeat_ns = time.monotonic_ns()
                taken = self._tape.follow(ROWS_A_STEP)
                if taken and self._page.first_step_ns == 0:
                    self._page.first_step_ns = time.monotonic_ns()
                self._page.add(Counter.MESSAGES_IN, taken)
        finally:
            self._tape.close()
            self._page.state = ActorState.STOPPED


def tape_path(folder: Path, epoch: int) -> Path:
    """Where a recorder's epoch writes its tape: each begins from the segments' start."""
    return folder / f"tape-{epoch:06d}.parquet"
