"""The tape: what every actor of a run took in, merged from their inbox segments into Parquet.

One row a message: the actor and epoch that took it, when, and the encoded message. `TapeWriter`
follows the segments of a run while it goes on; `read_tape_frames` gives one venue's frames back.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from engine.edges.capture import CapturedFrame
from engine.edges.journal import SegmentPath, read_from, segments
from engine.messages import Frame, MessageError, decode

SCHEMA = pa.schema(
    [
        ("actor", pa.dictionary(pa.int16(), pa.string())),
        ("epoch", pa.int32()),
        ("part", pa.int32()),
        ("place", pa.int32()),
        ("now_ns", pa.int64()),
        ("type", pa.dictionary(pa.int16(), pa.string())),
        ("message", pa.binary()),
    ]
)
ROWS_A_GROUP = 20_000


class TapeError(ValueError):
    """A file that is no tape, or lacks what is asked of it."""


class TapeWriter:
    """Appends to one tape what the actors' inboxes have that it has not yet."""

    def __init__(self, path: Path, folder: Path, actors: tuple[str, ...]) -> None:
        self.path = path
        self.rows = 0
        self._folder = folder
        self._actors = actors
        self._read: dict[SegmentPath, tuple[int, int]] = {}
        self._batch: list[dict[str, object]] = []
        self._writer = pq.ParquetWriter(path, SCHEMA, compression="zstd")

    def follow(self, at_most: int) -> int:
        """Take over so many of the messages that are new in all segments; how many there were."""
        taken = 0
        for actor in self._actors:
            for path in segments(self._folder / actor):
                if taken >= at_most:
                    break
                taken += self._follow(actor, path, min(at_most - taken, ROWS_A_GROUP))
        return taken

    def _follow(self, actor: str, path: SegmentPath, at_most: int) -> int:
        place, offset = self._read.get(path, (0, 0))
        records, offset = read_from(path, "inbox", offset, at_most)
        for number, record in enumerate(records, place):
            self._batch.append(
                {
                    "actor": actor,
                    "epoch": path.epoch,
                    "part": path.part,
                    "place": number,
                    "now_ns": record.now_ns,
                    "type": _type_of(record.data),
                    "message": record.data,
                }
            )
        self._read[path] = (place + len(records), offset)
        if len(self._batch) >= ROWS_A_GROUP:
            self._flush()
        return len(records)

    def _flush(self) -> None:
        if self._batch:
            self._writer.write_table(pa.Table.from_pylist(self._batch, schema=SCHEMA))
            self.rows += len(self._batch)
            self._batch.clear()

    def close(self) -> None:
        """Write the rest and the file's end; before this the file is not readable."""
        while self.follow(ROWS_A_GROUP):
            pass
        self._flush()
        self._writer.close()


def _type_of(data: bytes) -> str:
    """The message's type: the first element of its array, without decoding the rest."""
    try:
        return type(decode(data)).__name__
    except MessageError:
        return "malformed"


def read_tape_frames(path: Path, venue: str) -> Iterator[CapturedFrame]:
    """The frames one venue's actor took in, in order; raises TapeError."""
    actor = f"venue-{venue}"
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise TapeError(f"{path}: not a tape: {error}") from error
    if not set(SCHEMA.names) <= set(file.schema_arrow.names):
        raise TapeError(f"{path}: not a tape: its columns are {file.schema_arrow.names}")
    for batch in file.iter_batches(columns=["actor", "type", "now_ns", "message"]):
        actors, kinds, times, messages = (column.to_pylist() for column in batch.columns)
        for who, kind, now_ns, data in zip(actors, kinds, times, messages, strict=True):
            if who != actor or kind != Frame.__name__:
                continue
            frame = decode(data)
            assert isinstance(frame, Frame)
            yield CapturedFrame(now_ns, frame.connection, frame.kind, frame.about, frame.payload)
