"""Follows the journals of a run into the store's tables, in a process of its own.

The engine never waits for it and never hears of it: it reads the files that the engine writes anyway.
While the database does not answer, or is gone, it asks again, makes what is missing, and catches up
from where the database itself says it is.
"""

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from engine.assembly import SOLO_ACTOR, solo_topology, topology_of
from engine.config import Config, parse
from engine.edges.journal import SegmentPath, read_from, segments
from engine.edges.store.database import Cursor, Database, StoreError, url_of
from engine.edges.store.projection import Batch, Place, Projection
from engine.messages import decode

LOOK_EVERY_S = 1.0
ASK_AGAIN_S = (0.2, 0.5, 1.0, 2.0, 5.0)


def config_of(folder: Path) -> Config:
    """The configuration of a run's folder; raises StoreError when it is none."""
    path = folder / "config.toml"
    if not path.exists():
        raise StoreError(f"{folder}: no config.toml in it: not the folder of a run")
    return parse(path.read_text(), str(path))


class Projector:
    """Reads what is new in a run's journals and writes it; see the module."""

    def __init__(
        self, folder: Path, config: Config, say: Callable[[str], None] = lambda line: None
    ) -> None:
        self.database = Database(url_of(config.store, folder.parent))
        self.run = folder.name
        self.written = 0
        self._folder = folder
        self._config = config
        self._say = say
        self._cursors: dict[str, Cursor] = {}
        self._projection: Projection | None = None
        self._failures = 0
        self._next_look = 0.0

    def follow(self, stopping: threading.Event) -> None:
        """Write what comes until `stopping`, and then what there still is."""
        while not stopping.is_set():
            self.catch_up(stopping)
            wait_s = self._config.store.every_ms / 1000
            if self._failures:
                wait_s = ASK_AGAIN_S[min(self._failures, len(ASK_AGAIN_S)) - 1]
            stopping.wait(wait_s)
        self.catch_up(threading.Event())
        self.database.close()

    def catch_up(self, stopping: threading.Event) -> bool:
        """Write until nothing is new; False when the database does not answer."""
        try:
            if self._projection is None or not self.database.is_there():
                self._begin()
            while not stopping.is_set() and self.step():
                continue
            if time.monotonic() >= self._next_look:  # what was dropped while nothing was new
                self._next_look = time.monotonic() + LOOK_EVERY_S
                if self.database.cursors(self.run) != self._cursors:
                    self._begin()
        except (SQLAlchemyError, OSError) as error:
            if not self._failures:
                self._say(f"the store does not answer: {_first_line(error)}; asked again")
            self._failures += 1
            self._projection = None
            self.database.close()
            return False
        if self._failures:
            self._say(f"the store answers again after {self._failures} attempts")
            self._failures = 0
        return True

    def _begin(self) -> None:
        """Where the database says we are; a fresh one is filled from the first journal there is."""
        self.database.close()
        self.database.prepare()
        self._cursors = self.database.cursors(self.run)
        solo = (self._folder / SOLO_ACTOR).exists()
        topology = solo_topology(self._config) if solo else topology_of(self._config)
        self._projection = Projection(self._config, topology, self.run)

    def step(self) -> int:
        """One transaction: at most `batch_max` records; how many there were."""
        assert self._projection is not None
        batch, moved = Batch(), dict[str, Cursor]()
        for actor in sorted(path.name for path in self._folder.iterdir() if path.is_dir()):
            cursor = self._cursors.get(actor, Cursor())
            there = self._read(batch, actor, cursor)
            if there != cursor:
                moved[actor] = there
        if moved:
            self.database.write(self.run, batch, moved)
            self._cursors.update(moved)
            self.written += batch.records
        return batch.records

    def _read(self, batch: Batch, actor: str, cursor: Cursor) -> Cursor:
        """Take an actor's records from a place on into a batch; the place behind the last."""
        assert self._projection is not None
        for path in segments(self._folder / actor, "journal"):
            if (path.epoch, path.part) < (cursor.epoch, cursor.part):
                continue
            if (path.epoch, path.part) > (cursor.epoch, cursor.part):
                cursor = self._next(path, cursor)
            room = self._config.store.batch_max - batch.records
            if room <= 0:
                break
            try:
                records, offset = read_from(path, "journal", cursor.offset, room)
            except FileNotFoundError:
                break  # pruned or reused in this instant: looked at again in the next step
            for number, record in enumerate(records, start=cursor.record):
                place = Place(actor, path.epoch, path.part, number, record.now_ns)
                self._projection.take(batch, place, decode(record.data))
            cursor = cursor._replace(offset=offset, record=cursor.record + len(records))
            if len(records) == room:
                break
        return cursor

    def _next(self, path: SegmentPath, cursor: Cursor) -> Cursor:
        """The begin of the next journal there is; those that went before they were read are counted."""
        same = path.epoch == cursor.epoch
        expected = cursor.part + 1 if same else path.part if cursor.epoch else 0
        lost = max(0, path.part - expected)
        if lost:
            self._say(
                f"{path.folder}: {lost} journals went before they were read: "
                "raise engine.journals_kept or engine.segment_bytes"
            )
        return Cursor(path.epoch, path.part, 0, 0, cursor.segments_lost + lost)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def say(line: str) -> None:
    """To whoever started us."""
    sys.stderr.write(f"store: {line}\n")
    sys.stderr.flush()
