"""The bar kernel: OHLCV bars by time, ticks, volume and notional, in ticks, lots and ns."""

from array import array
from typing import Final, TypeAlias

from typing_extensions import Buffer

TIME: Final = 1
TICK: Final = 2
VOLUME: Final = 3
DOLLAR: Final = 4
FIELDS: Final[tuple[str, ...]]
COLUMNS: Final[tuple[str, ...]]
FILL_MAX: Final = 10_000
CLOSED_MAX: Final = 10_000

# open_ns close_ns, open high low close in ticks, lots, buy_lots, notional, count, gaps: as FIELDS
BarRow: TypeAlias = tuple[int, int, int, int, int, int, int, int, int, int, int]

class BarBuilder:
    """Builds the bars of one instrument, of one kind and size.

    `size` is ns for TIME, trades for TICK, lots for VOLUME, ticks times lots for DOLLAR.
    `fill_gaps` gives empty TIME intervals a flat bar. Raises ValueError for what cannot be.
    """

    @property
    def kind(self) -> int:
        """TIME, TICK, VOLUME or DOLLAR."""
    @property
    def size(self) -> int:
        """When a bar is full, in the unit of its kind."""
    @property
    def fill_gaps(self) -> bool:
        """Whether empty TIME intervals get a flat bar."""
    def __init__(self, kind: int, size: int, fill_gaps: bool = False) -> None: ...
    def add(self, ts_ns: int, ticks: int, lots: int, taker_side: int) -> tuple[BarRow, ...]:
        """Take a trade; the bars that it closed, oldest first.

        `taker_side` is 1 where the taker bought, -1 where it sold, 0 where nobody knows. Raises
        ValueError for a trade that cannot be and OverflowError for one that no bar can hold, and
        then changes nothing.
        """
    def add_many(
        self, ts_ns: Buffer, ticks: Buffer, lots: Buffer, taker_side: Buffer
    ) -> dict[str, array[int]]:
        """Take trades from flat int64 buffers, in order; the closed bars as columns.

        The columns are named by COLUMNS, all int64 but `notional_low`, which is uint64: a notional
        is high * 2 ** 64 + low. Raises what `add` raises, and then changes nothing.
        """
    def close_until(self, now_ns: int) -> tuple[BarRow, ...]:
        """The TIME bars that ended by `now_ns`, oldest first; other kinds never end so."""
    @property
    def due_ns(self) -> int:
        """When the next TIME bar is to be closed by `close_until`; 0 while none is."""
    @property
    def late(self) -> int:
        """Trades older than the start of the bar that took them."""
    @property
    def unfilled(self) -> int:
        """Empty intervals that got no flat bar, since they were more than FILL_MAX in a row."""
    @property
    def current(self) -> BarRow | None:
        """The open bar so far; None without one. A TIME bar's close_ns is its end."""
    def mark_gap(self) -> None:
        """Trades are known to be missing here: the open bar, else the next, counts it in `gaps`."""
    def reset(self) -> None:
        """Drop the open bar and the last close, for their grid is void; the next bar has a gap."""
    def dump(self) -> bytes:
        """The whole state as bytes; `load` gives it back exactly. Equal builders, equal bytes."""
    def load(self, data: bytes) -> None:
        """Become what `dump` of a builder of this kind and size wrote; ValueError on other bytes."""
