"""The L2 book kernel: both sides of one instrument in int64 ticks and lots."""

from typing import Final

from typing_extensions import Buffer

BID: Final = 1
ASK: Final = -1

class Log:
    """What happened to the books that write to it, in order, as rows of five int64.

    A row is the book's number, a kind (CLEAR 1, LEVEL 2 or TRUNCATE 5), side, ticks and lots;
    TRUNCATE has the depth for ticks. Books that are logged raise ValueError on batches.
    """

    def drain(self) -> bytes:
        """All rows, native int64; the log is empty then. Raises MemoryError if any was lost."""

class Book:
    """Both sides of one instrument's book and the venue's sequence number applied last."""

    sequence: int
    @property
    def levels_max(self) -> int:
        """Levels a side may hold; one more raises OverflowError."""
    def __init__(self, levels_max: int = 1048576) -> None: ...
    def clear(self) -> None:
        """Forget all levels and the sequence number; the memory is kept."""
    def snapshot(
        self, bid_ticks: Buffer, bid_lots: Buffer, ask_ticks: Buffer, ask_lots: Buffer
    ) -> None:
        """Replace both sides by flat int64 buffers in any order; 0 lots is no level.

        Of doubles the last wins. Raises ValueError or OverflowError and then changes nothing.
        """
    def log_to(self, log: Log | None, number: int) -> None:
        """Write what happens from here on to a log, under a number; None ends it."""
    def change(self, side: int, ticks: int, lots: int) -> None:
        """Set one level to `lots`, absolutely; 0 deletes it."""
    def add(self, side: int, ticks: int, delta_lots: int) -> None:
        """Change one level by `delta_lots`; below zero raises ValueError and changes nothing."""
    def apply(self, side: int, ticks: Buffer, lots: Buffer) -> None:
        """Set a batch of one side's levels, in order, all or nothing."""
    def update(
        self, bid_ticks: Buffer, bid_lots: Buffer, ask_ticks: Buffer, ask_lots: Buffer
    ) -> None:
        """Set a batch of both sides' levels, in order, all or nothing: one venue diff."""
    def truncate(self, depth: int) -> int:
        """Keep the best `depth` levels a side; returns how many were forgotten."""
    @property
    def bid_ticks(self) -> int:
        """The best bid's price in ticks; 0 without bids."""
    @property
    def bid_lots(self) -> int:
        """The best bid's quantity in lots; 0 without bids."""
    @property
    def ask_ticks(self) -> int:
        """The best ask's price in ticks; 0 without asks."""
    @property
    def ask_lots(self) -> int:
        """The best ask's quantity in lots; 0 without asks."""
    def best(self) -> tuple[int, int, int, int]:
        """Best bid, its lots, best ask, its lots; zeros for a side without levels."""
    @property
    def bid_count(self) -> int:
        """How many bid levels there are."""
    @property
    def ask_count(self) -> int:
        """How many ask levels there are."""
    @property
    def crossed(self) -> bool:
        """Whether the best bid is at or above the best ask."""
    def lots_at(self, side: int, ticks: int) -> int:
        """The quantity in lots at a price; 0 where there is none."""
    def top(self, n: int, out: Buffer) -> tuple[int, int]:
        """Write the best `n` bids, then asks, as (ticks, lots) pairs into `out`, zero-padded."""
    def top_bytes(self, n: int) -> bytes:
        """The same pairs as bytes of little-endian int64."""
    def levels(self, side: int) -> list[tuple[int, int]]:
        """All levels of a side, best first, as (ticks, lots)."""
    def dump(self) -> bytes:
        """The whole book as bytes; `load` gives it back exactly. Equal books, equal bytes."""
    def load(self, data: Buffer) -> None:
        """Become what `dump` wrote; raises ValueError on other bytes and then changes nothing."""
