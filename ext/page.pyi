"""An actor's fixed-layout page in shared memory."""

from typing import Final

PAGE_BYTES: Final[int]
BELL_OFFSET: Final[int]
SENDERS_MAX: Final[int]
STAGES_MAX: Final[int]

def bucket_top_ns(bucket: int) -> int:
    """The largest value in ns that `bucket` holds."""

def monotonic_ns() -> int:
    """CLOCK_MONOTONIC in ns, the same on every process of this machine."""

class Page:
    """A view of a page's words in `buffer`; `format()` makes a fresh one."""

    state: int
    heartbeat_ns: int
    first_step_ns: int
    def __init__(self, buffer: bytearray | memoryview | object) -> None: ...
    def format(self, pid: int, epoch: int, now_ns: int) -> None:
        """Clear the page and write who owns it."""
    @property
    def valid(self) -> bool:
        """Whether an owner has formatted this page."""
    @property
    def pid(self) -> int:
        """The owner's process id."""
    @property
    def epoch(self) -> int:
        """The owner's epoch."""
    @property
    def started_ns(self) -> int:
        """When the owner formatted the page, on the monotonic clock."""
    def add(self, counter: int, amount: int) -> None:
        """Add to a counter (0 to 63)."""
    def put(self, counter: int, value: int) -> None:
        """Set a counter (0 to 63)."""
    def get(self, counter: int) -> int:
        """Read a counter (0 to 63)."""
    def acknowledge(self, sender: int, sequence: int) -> None:
        """Say that everything from `sender` up to `sequence` is durably processed here."""
    def acknowledged(self, sender: int) -> int:
        """Up to which sequence of `sender` the owner has durably processed."""
    def record(self, stage: int, value_ns: int) -> None:
        """Put one latency into a stage's histogram."""
    def count(self, stage: int) -> int:
        """How many latencies a stage has recorded."""
    def percentiles(self, stage: int, *quantiles: float) -> tuple[int, ...]:
        """The stage's percentiles in ns (upper bucket bounds, the maximum exact); 0 when empty."""
