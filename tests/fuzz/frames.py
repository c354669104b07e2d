"""Frames of every exchange, spoilt: none may stop a venue, and no LIVE book may take what is wrong.

A venue is put where a capture had brought it, and given one of the capture's frames with bytes
changed, cut, moved or taken from another frame. A book that it changed and still calls LIVE must be
the one that the independent rebuild makes of the same bytes, which checks numbers and sums itself.
"""

import copy
from functools import cache
from pathlib import Path
from typing import NamedTuple

from engine.config import Config
from engine.edges.capture import read_capture
from engine.messages import Frame
from engine.venue import Venue
from tests.captures import config_of, hold_books
from tests.test_venues import as_frame, play, venue_of
from tests.twins.rebuild import REBUILDS, Rebuild

LOOKED_AT = 400
LENIENT = bytes(32 if byte < 32 else byte if byte < 127 else 63 for byte in range(256))
"""What the engine never looks at - other fields' text - need not be text for it, as Python's json wants."""
PLAYED = 0.7  # of a capture, before the spoilt frame
REFUSED = (AssertionError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class Stage(NamedTuple):
    """A venue in the middle of a capture, and those frames that it would take now."""

    config: Config
    venue: Venue
    state: bytes
    rebuild: Rebuild
    next: list[Frame]


@cache
def stage(path: Path) -> Stage:
    """The venue and the rebuild, both at the same frame."""
    config = config_of(path)
    frames = [as_frame(frame, n) for n, frame in enumerate(read_capture(path))]
    at = int(len(frames) * PLAYED)
    venue, rebuild = venue_of(config), REBUILDS[config.venues[0].protocol]()
    play(venue, frames[:at])
    for frame in frames[:at]:
        rebuild.frame(frame.payload, frame.about if frame.kind == 1 else "")
    current = Stage(config, venue, venue.snapshot(), rebuild, [])
    following = [frame for frame in frames[at:] if frame.kind == 0][:LOOKED_AT]
    fit = [frame for frame in following if take(current, frame.payload)][:20]
    assert fit, "the capture goes on, so its next frame fits"
    return current._replace(next=fit)


class Edit(NamedTuple):
    """One spoiling: what, where in the frame (0 to 1), and with which bytes."""

    what: str
    place: float
    data: bytes


def spoilt(payload: bytes, edits: list[Edit], other: bytes) -> bytes:
    """A frame with some edits made."""
    for edit in edits:
        at = int(edit.place * len(payload))
        size = len(edit.data)
        match edit.what:
            case "put":
                payload = payload[:at] + edit.data + payload[at + size :]
            case "insert":
                payload = payload[:at] + edit.data + payload[at:]
            case "delete":
                payload = payload[:at] + payload[at + size + 1 :]
            case "repeat":
                payload = payload[: at + size] + payload[at : at + size] + payload[at + size :]
            case "cut":
                payload = payload[:at]
            case _:
                payload = payload[:at] + other[at:]
    return payload


def take(current: Stage, payload: bytes, whole: bytes = b"") -> bool:
    """Give one frame; whether a book that is still LIVE took it.

    Else the book must be what the frame makes that it was before it was spoilt: what says nothing
    of levels or numbers may change.
    """
    venue = current.venue
    venue.restore(current.state)
    before = {number: book.book.dump() for number, book in venue.books.items() if book.live}
    venue.on_message(Frame(0, 1, 5, 0, 0, 0, payload), 5)
    changed = [
        number
        for number, book in venue.books.items()
        if book.live and book.book.dump() != before.get(number)
    ]
    if not changed:
        return False
    if _levels_of(venue, changed) == _levels_of_dumps(before, changed):
        return False  # only its number moved: a frame without levels that follows
    spoilt_book = whole_book = copy.deepcopy(current.rebuild)
    if whole:
        whole_book = copy.deepcopy(current.rebuild)
        whole_book.frame(whole, "")
    spoilt_book.lenient = True
    try:
        spoilt_book.frame(payload.translate(LENIENT), "")
        hold_books(current.config, venue.books, spoilt_book)
    except REFUSED as error:
        try:
            hold_books(current.config, venue.books, whole_book)
        except AssertionError:
            raise AssertionError(f"a LIVE book took {payload!r}: {error!r}") from error
    return True


def _levels_of(venue: Venue, numbers: list[int]) -> list[bytes]:
    return [venue.books[number].book.dump()[32:] for number in numbers]


def _levels_of_dumps(dumps: dict[int, bytes], numbers: list[int]) -> list[bytes]:
    return [dumps.get(number, b"")[32:] for number in numbers]
