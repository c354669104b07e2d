"""A recording's folder, and its way into the catalog.

    RECORDING/config.toml            the configuration it was made with
    RECORDING/raw/VENUE/*.frames     what came, see engine/edges/raw_recording.py
    RECORDING/raw/VENUE/*.done       where the normaliser stood at the end of that file
    RECORDING/books.json             every book at the end, as a digest of its whole state
    RECORDING/catalog/               the same as events, made from the raw files and from nothing else

Raw files become events one after the other, up to the one that is still written. What a crash left
half done is done again from the raw file: the catalog can always be made anew by deleting it together
with the `.done` files.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import msgspec

from engine.config import Config, parse
from engine.edges.capture import CaptureError
from engine.edges.catalog.layout import EVENTS, day_parts, series
from engine.edges.catalog.writer import EventWriter
from engine.edges.normalising import Normaliser
from engine.edges.raw_recording import growing, raw_files, read_raw
from engine.venue import VenueState

CATALOG = "catalog"


class BookDigest(msgspec.Struct, frozen=True):
    """A book at a recording's end: its state, number, and the SHA-256 of its snapshot's bytes."""

    venue: str
    symbol: str
    state: str
    sha256: str


def raw_folder(recording: Path, venue: str) -> Path:
    """Where a venue's raw files lie."""
    return recording / "raw" / venue


def is_recording(path: Path) -> bool:
    """Whether a folder is a recording's."""
    return (path / "raw").is_dir() and (path / "config.toml").is_file()


def recorded_config(recording: Path, speed: float) -> Config:
    """The configuration that plays a recording: its venues from its raw files, no bots.

    Raises ConfigError or CaptureError.
    """
    path = recording / "config.toml"
    if not is_recording(recording):
        raise CaptureError(f"{recording}: no config.toml and raw/ in it: not a recording")
    config = parse(path.read_text(), str(path))
    venues = tuple(
        msgspec.structs.replace(
            venue,
            kind="replay",
            path=str(raw_folder(recording, venue.name).absolute()),
            speed=speed,
            stream_url="",
            rest_url="",
        )
        for venue in config.venues
    )
    api = msgspec.structs.replace(config.api, port=0)
    return msgspec.structs.replace(config, venues=venues, bots=(), placement={}, api=api)


def digests(config: Config, states: list[VenueState]) -> list[BookDigest]:
    """Every served book of the venues, in the configuration's order."""
    found = []
    for number, entry in enumerate(config.instruments):
        place = [venue.name for venue in config.venues].index(entry.venue)
        lines = states[place].lines
        book = lines.lines[lines.serving[number]].books[number]
        digest = sha256(book.levels).hexdigest()
        found.append(BookDigest(entry.venue, entry.symbol, book.state.name, digest))
    return found


def write_digests(recording: Path, found: list[BookDigest]) -> None:
    """Keep the books' digests beside the raw files."""
    (recording / "books.json").write_bytes(msgspec.json.format(msgspec.json.encode(found)))


def read_digests(recording: Path) -> list[BookDigest]:
    """The books at the recording's end; none where it was cut short. Raises CaptureError."""
    path = recording / "books.json"
    if not path.is_file():
        return []
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[BookDigest])
    except msgspec.DecodeError as error:
        raise CaptureError(f"{path}: not the digests of books: {error}") from error


# --- into the catalog ----------------------------------------------------------------------------------


def normalise_recording(recording: Path) -> int:
    """Make events of the raw files that have none yet and do not grow any more; how many events.

    Raises CaptureError, ConfigError or CatalogError.
    """
    config = recorded_config(recording, 0.0)
    with one_at_a_time(recording):
        return sum(_normalise_venue(config, recording, venue.name) for venue in config.venues)


@contextmanager
def one_at_a_time(recording: Path) -> Iterator[None]:
    """Wait until nobody else makes events of a recording, and hold them off meanwhile."""
    folder = os.open(recording, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _normalise_venue(config: Config, recording: Path, venue: str) -> int:
    events = 0
    before: Path | None = None
    for path in raw_files(raw_folder(recording, venue)):
        done = path.with_suffix(".done")
        if not done.exists():
            if growing(path):
                break
            events += _normalise_file(config, recording, venue, before, path)
        before = done
    return events


def _normalise_file(
    config: Config, recording: Path, venue: str, before: Path | None, path: Path
) -> int:
    root = recording / CATALOG
    _drop_parts(root, venue, int(path.stem))
    with EventWriter(root, staged=True) as writer:
        normaliser = Normaliser(config, venue, writer)
        if before is not None:
            try:
                normaliser.restore(before.read_bytes())
            except (msgspec.DecodeError, ValueError) as error:
                raise CaptureError(
                    f"{before}: not where a normaliser stood: {error} -- delete the .done files "
                    f"and {root}"
                ) from error
        normaliser.feed(read_raw(path))
        normaliser.flush()
    temporary = path.with_suffix(".doing")
    temporary.write_bytes(normaliser.snapshot())
    temporary.rename(path.with_suffix(".done"))
    return writer.rows


def _drop_parts(root: Path, venue: str, since_ns: int) -> None:
    """What an earlier try made of this raw file, and was stopped before it said so."""
    if not (root / EVENTS).is_dir():
        return
    for name, symbol, days in series(root):
        if name == venue:
            for folder in days:
                for part in day_parts(folder, name, symbol):
                    if part.first_ns >= since_ns:
                        part.path.unlink()
