"""The matching kernel: one instrument's orders by price and time, in int64 ticks and lots.

docs/matching.md holds the rules; tests/twins/matching.py is their slow, obvious form.
"""

from typing import Final, NamedTuple

from typing_extensions import Buffer

BUY: Final = 1
SELL: Final = -1

# kind: what becomes of an order once it is active
LIMIT: Final = 1
MARKET: Final = 2
PEGGED: Final = 3

# trigger: what an order waits for before it is active
NO_TRIGGER: Final = 0
STOP: Final = 1
TAKE_PROFIT: Final = 2
TRAIL_TICKS: Final = 3
TRAIL_BPS: Final = 4

# time in force
GTC: Final = 1
IOC: Final = 2
FOK: Final = 3
GTD: Final = 4
DAY: Final = 5

# flags, added up
POST_ONLY: Final = 1
SLIDE: Final = 2
REDUCE_ONLY: Final = 4

# self-trade prevention: what the incoming order says is done
STP_NONE: Final = 0
STP_NEWEST: Final = 1
STP_OLDEST: Final = 2
STP_BOTH: Final = 3
STP_DECREMENT: Final = 4

# phases
CONTINUOUS: Final = 1
AUCTION: Final = 2
HALTED: Final = 3
CLOSED: Final = 4

# states of an order that lives
RESTING: Final = 1
WAITING: Final = 2
DORMANT: Final = 3
PARKED: Final = 4
PENDING: Final = 5

# kinds of report
ACCEPTED: Final = 1
REJECTED: Final = 2
TRADE: Final = 3
CANCELLED: Final = 4
EXPIRED: Final = 5
REPLACED: Final = 6
CANCEL_REJECTED: Final = 7
REPLACE_REJECTED: Final = 8
TRIGGERED: Final = 9
REPRICED: Final = 10
DECREMENTED: Final = 11
ACTIVATED: Final = 12
PHASE: Final = 13

# reasons, never renumbered
NO_REASON: Final = 0
INVALID: Final = 1
TICK: Final = 2
LOT: Final = 3
NOTIONAL: Final = 4
BAND: Final = 5
REDUCE: Final = 6
WOULD_TAKE: Final = 7
FULL: Final = 8
NOT_IN_AUCTION: Final = 9
IS_HALTED: Final = 10
IS_CLOSED: Final = 11
UNKNOWN_ORDER: Final = 12
NO_PARENT: Final = 13
BY_CLIENT: Final = 14
BY_MASS: Final = 15
NOT_FILLED: Final = 16
NOT_FILLABLE: Final = 17
NO_LIQUIDITY: Final = 18
SELF_TRADE: Final = 19
BY_GROUP: Final = 20
BY_PARENT: Final = 21
OUT_OF_TIME: Final = 22
END_OF_DAY: Final = 23
IN_AUCTION: Final = 24

# operations of a batch
SUBMIT: Final = 1
CANCEL: Final = 2
REPLACE: Final = 3
MASS_CANCEL: Final = 4
ADVANCE: Final = 5
SET_PHASE: Final = 6
END_DAY: Final = 7

# actions of the order-by-order market data
ADDED: Final = 1
CHANGED: Final = 2
DELETED: Final = 3

OPERATION: Final[list[tuple[str, str]]]
"""The fields of a batch's rows, for numpy.dtype: 80 bytes; those an operation has no use for are 0.

`order` is the order of a CANCEL or REPLACE and the parent of a SUBMIT; `lots` is the phase of a
SET_PHASE, and `side` limits a MASS_CANCEL; `expire_ns` is the time of an ADVANCE.
"""
REPORT: Final[list[tuple[str, str]]]
"""The fields of a drained report, for numpy.dtype: 64 bytes."""

class Report(NamedTuple):
    """What happened to an order, in order of happening; see docs/matching.md for each kind."""

    kind: int
    side: int
    reason: int
    order: int
    owner: int
    ticks: int
    lots: int
    leaves: int
    other: int
    other_owner: int
    other_leaves: int

class OrderView(NamedTuple):
    """An order that lives; `shown` is what of its leaves the book displays, 0 while it waits."""

    order: int
    owner: int
    side: int
    kind: int
    state: int
    ticks: int
    lots: int
    leaves: int
    shown: int
    trigger_ticks: int

class MatchingBook:
    """The orders of one instrument; see docs/matching.md.

    Raises ValueError for limits that cannot be: ticks_max and lots_max up to 2**40, their product
    with one another below 2**62, orders_max up to 2**22, steps and lots_min of one or more.
    """

    last: int
    """The price of the last trade in ticks; 0 before the first. May be set as the reference."""

    def __init__(
        self,
        *,
        ticks_max: int = 2147483648,
        ticks_step: int = 1,
        lots_min: int = 1,
        lots_max: int = 1073741824,
        lots_step: int = 1,
        notional_min: int = 0,
        band_bps: int = 0,
        orders_max: int = 4194304,
        market_data: bool = False,
    ) -> None: ...
    @property
    def phase(self) -> int:
        """CONTINUOUS, AUCTION, HALTED or CLOSED."""
    @property
    def now_ns(self) -> int:
        """The latest time it was told."""
    @property
    def memory(self) -> int:
        """Bytes it holds."""
    @property
    def next_order(self) -> int:
        """The number that the next submitted order will have."""
    def __len__(self) -> int:
        """Orders that live."""
    def submit(
        self,
        side: int,
        kind: int,
        ticks: int,
        lots: int,
        owner: int = 0,
        tif: int = 1,
        flags: int = 0,
        stp: int = 0,
        trigger: int = 0,
        trigger_ticks: int = 0,
        offset: int = 0,
        display: int = 0,
        expire_ns: int = 0,
        group: int = 0,
        parent: int = 0,
    ) -> int:
        """Take an order; its number, whether it is accepted or not. Numbers rise by one from 1.

        Raises OverflowError, and does nothing, for a number that its field of OPERATION cannot hold.
        """
    def cancel(self, order: int) -> None:
        """Take an order out, and with it those of its group and those that wait for it."""
    def replace(self, order: int, ticks: int = 0, lots: int = 0) -> None:
        """A new price or total of a limit order; 0 keeps the one it has."""
    def mass_cancel(self, owner: int = -1, side: int = 0) -> None:
        """Take out all orders of an owner (-1: of everybody), of one side (0: of both)."""
    def advance(self, now_ns: int) -> None:
        """It is so late: what is good till a time that has come expires. Never goes back."""
    def end_day(self) -> None:
        """What is good for the day expires."""
    def set_phase(self, phase: int) -> None:
        """Go to a phase; a crossed book is uncrossed on the way to CONTINUOUS or CLOSED."""
    def indicative(self) -> tuple[int, int, int]:
        """Where an auction would trade now: ticks, lots, and bids less asks there; 0, 0, 0: nowhere."""
    def run(self, operations: Buffer) -> None:
        """Do a batch, rows as OPERATION says. Raises ValueError for rows of another size.

        An operation that there is not, or a phase, is REJECTED as INVALID, without a number.
        """
    def reports(self) -> list[Report]:
        """What happened since it was last asked; it is forgotten then."""
    def drain(self) -> bytes:
        """The same as rows of REPORT."""
    def order_changes(self) -> list[tuple[int, int, int, int, int]]:
        """Order by order: (action, side, order, ticks, shown) since last asked.

        Raises ValueError unless the book was made with market_data; so does `level_changes`.
        """
    def level_changes(self) -> list[tuple[int, int, int]]:
        """Each level touched since last asked, once, in order of its first touch: (side, ticks, lots)."""
    def best(self, side: int) -> tuple[int, int]:
        """The best price and what it shows; 0, 0 when the side is empty. Raises ValueError for a side."""
    def levels(self, side: int, depth: int = 0) -> list[tuple[int, int]]:
        """(ticks, lots shown) of a side, best first; all of them when depth is 0."""
    def resting(self, side: int, count: int = 0) -> list[tuple[int, int, int, int]]:
        """(order, ticks, shown, leaves) of a side in priority; the first so many, or all (0)."""
    def order(self, order: int) -> OrderView | None:
        """An order that lives, or None."""
    def orders(self, owner: int) -> list[int]:
        """The numbers of an owner's orders that live, rising."""
    def position(self, owner: int) -> int:
        """Lots bought less lots sold by an owner here."""
    def set_position(self, owner: int, lots: int) -> None:
        """What an owner holds from before; reduce-only orders look at it."""
    def snapshot(self) -> bytes:
        """The whole book; reports and market data that nobody took are not in it."""
    @classmethod
    def restore(cls, data: bytes) -> MatchingBook:
        """A book that goes on exactly as the one of the snapshot. Raises ValueError."""
