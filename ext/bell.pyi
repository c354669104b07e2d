"""The doorbell of the shared-memory bus."""

from typing import Final

COUNTER_OFFSET: Final[int]
PARKED_OFFSET: Final[int]
BELL_BYTES: Final[int]

class Bell:
    """A doorbell in `buffer` at `offset` (128 bytes, 64-byte aligned); `pipe` is a fd or -1."""

    pipe: int
    def __init__(
        self, buffer: bytearray | memoryview | object, offset: int, pipe: int = -1
    ) -> None: ...
    def ring(self) -> bool:
        """Wake the reader if it is parked; True when a system call was made."""
    def park(self) -> int:
        """Say that the reader is about to sleep; look for mail after this, then `wait(seen)`."""
    def unpark(self) -> None:
        """The reader found mail, or was woken: rings cost nothing again."""
    def wait(self, seen: int, timeout_ns: int, spin_ns: int = 0) -> bool:
        """Sleep without the GIL until rung or `timeout_ns` is over; True when rung."""
    @property
    def parked(self) -> bool:
        """Whether the reader says it sleeps."""

def open_pipe_writer(path: str) -> int:
    """A non-blocking write end of the named pipe at `path`; raises OSError when nobody reads it."""
