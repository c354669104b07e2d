"""Framed records in a flat buffer: see the kernel."""

from typing import Final

from typing_extensions import Buffer

FRAME_BYTES: Final[int]
END: Final[int]
DAMAGED: Final[int]
MORE: Final[int]

class Writer:
    """Appends records to a writable buffer from a place on; `at` is where the next one goes."""

    at: Final[int]
    size: Final[int]
    def __init__(self, buffer: Buffer, at: int) -> None: ...
    def release(self) -> None:
        """Let go of the buffer; nothing may be appended any more."""
    def append(self, data: bytes, now_ns: int) -> bool:
        """Keep one record; False, and nothing written, where there is no room or no data."""
    def append_all(self, records: list[bytes], now_ns: int) -> bool:
        """Keep several of one time; False, and nothing written, where not all have room."""

def scan(data: Buffer, at: int, count: int) -> tuple[list[tuple[int, bytes]], int, int]:
    """At most `count` records from `at` on as (time, payload), where it stopped, and why."""

def count_whole(data: Buffer, at: int) -> tuple[int, int, int]:
    """How many whole records follow from `at` on, where they stop, and why: END or DAMAGED."""

def find_next(data: Buffer, at: int, earliest_ns: int, latest_ns: int) -> int:
    """Where the next whole record of a time within these bounds stands, from `at` on; -1: nowhere."""
