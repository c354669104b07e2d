"""`orchestrator record`: watch the venues of a configuration and keep everything that comes.

The venues run as they always do, in one process, without bots. A thread follows the inbox that the
actor keeps anyway, and appends what is new to the raw files at least once a second: the event loop
only ever writes to memory that the kernel holds. Finished files become events in another process.
"""

import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import uvloop

from engine.backtest.hearing import CONNECTED, DISCONNECTED
from engine.config import Config
from engine.edges.capture import CapturedFrame
from engine.edges.exchange_process import ExchangeProcess
from engine.edges.journal import Record, SegmentPath, read_inbox_from, segments
from engine.edges.loop import tune_process
from engine.edges.raw_recording import RawWriter
from engine.edges.recordings import (
    CATALOG,
    digests,
    normalise_recording,
    raw_folder,
    write_digests,
)
from engine.edges.solo import ServeApi, SoloRun, venue_states
from engine.messages import Connected, Disconnected, Frame, decode

FLUSH_S = 0.5
SAY_S = 5.0


class RecorderError(RuntimeError):
    """The recorder cannot keep what comes; the message says why."""


class Recorder:
    """Follows one actor's inbox into the raw files of its venues, on a thread of its own."""

    def __init__(self, inboxes: Path, recording: Path, venues: tuple[str, ...]) -> None:
        self.error: BaseException | None = None
        self.writers = [RawWriter(raw_folder(recording, venue)) for venue in venues]
        self._inboxes = inboxes
        self._stopping = threading.Event()
        self._path: SegmentPath | None = None
        self._offset = 0
        self._thread = threading.Thread(target=self._run, name="recorder")

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Take the rest and end; raises what went wrong."""
        self._stopping.set()
        self._thread.join()
        if self.error is not None:
            raise RecorderError(f"the recording is not whole: {self.error}") from self.error

    def _run(self) -> None:
        try:
            while not self._stopping.wait(FLUSH_S):
                self.follow()
            self.follow()
            for writer in self.writers:
                writer.close()
        except Exception as error:  # noqa: BLE001 -- told by `stop`, and at once by `error`
            self.error = error

    def follow(self) -> None:
        """Take over what is new in the inbox, and have the disk take it."""
        for path in segments(self._inboxes):
            if self._path is not None and path < self._path:
                continue
            if self._path is not None and path.part > self._path.part + 1:
                raise RecorderError(
                    f"{path.folder}: segment {self._path.part + 1} went before it was recorded: "
                    "raise engine.segments_kept or engine.segment_bytes"
                )
            self._follow(path)
        for writer in self.writers:
            writer.flush()

    def _follow(self, path: SegmentPath) -> None:
        if self._path != path:
            self._path, self._offset = path, 0
        records, self._offset = read_inbox_from(path, self._offset)
        for record in records:
            self._keep(record)

    def _keep(self, record: Record) -> None:
        message = decode(record.data)
        if isinstance(message, Frame):
            at_ns, connection = message.received_ns, message.connection
            frame = CapturedFrame(at_ns, connection, message.kind, message.about, message.payload)
        elif isinstance(message, Connected):
            frame = CapturedFrame(record.now_ns, message.connection, CONNECTED, "", b"")
        elif isinstance(message, Disconnected):
            about = message.cause
            frame = CapturedFrame(record.now_ns, message.connection, DISCONNECTED, about, b"")
        else:
            return
        self.writers[message.venue].add(frame)


class Progress:
    """Says now and then how the recording goes, and has finished files made into events."""

    def __init__(self, recording: Path, recorder: Recorder, solo: SoloRun) -> None:
        self._recording = recording
        self._recorder = recorder
        self._solo = solo
        self._next = time.monotonic() + SAY_S
        self._files = 0
        self._child: subprocess.Popen[bytes] | None = None

    def tick(self) -> None:
        """Called many times a second, between the engine's turns."""
        self._solo.name_it()
        if self._recorder.error is not None:
            self._solo.directory.stop_wanted = True
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + SAY_S
        writers = self._recorder.writers
        frames, size = sum(w.frames for w in writers), sum(w.bytes for w in writers)
        sys.stdout.write(f"{frames:,} frames, {size / 1e6:,.1f} MB in {self._recording}\n")
        sys.stdout.flush()
        files = sum(writer.files for writer in writers)
        if files > self._files and (self._child is None or self._child.poll() is not None):
            self._files = files
            self._child = subprocess.Popen(
                [
                    *("nice", "-n", "19", sys.executable, "-m", "engine"),
                    *("catalog", "import", "recording", str(self._recording)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

    def close(self) -> None:
        """Wait for the normaliser of finished files."""
        if self._child is not None:
            self._child.wait()


def run_record(
    config: Config, text: str, seconds: float | None, to: Path | None, serve_api: ServeApi
) -> int:
    """Record until the time is over or Ctrl-C; prints where it is and what it holds."""
    tune_process()
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    recording = (to or Path("recordings") / f"{config.name}-{stamp}").absolute()
    recording.mkdir(parents=True)
    (recording / "config.toml").write_text(text)
    watching = msgspec.structs.replace(config, bots=(), placement={})
    solo = SoloRun(watching, text)
    venues = tuple(venue.name for venue in config.venues)
    recorder = Recorder(solo.folder / solo.topology.actors[0], recording, venues)
    progress = Progress(recording, recorder, solo)
    try:
        if any(venue.kind == "simulated" for venue in config.venues):
            solo.exchange = ExchangeProcess(solo.folder / "config.toml")
            solo.exchange.wait_ready()
        recorder.start()
        try:
            uvloop.run(solo.serve(seconds, progress.tick, serve_api))
        finally:
            recorder.stop()
        states = venue_states(solo)
        write_digests(recording, digests(watching, states))
    finally:
        solo.close()
        progress.close()
    events = normalise_recording(recording)
    frames = sum(writer.frames for writer in recorder.writers)
    size = sum(writer.bytes for writer in recorder.writers)
    lines = [
        f"recorded {frames:,} frames in {size / 1e6:,.1f} MB: {recording}",
        f"the last {events:,} events are in {recording / CATALOG}",
        f"play it: orchestrator replay {recording}",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if solo.loop.error else 0
