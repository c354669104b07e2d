"""The risk kernel: all pre-trade checks on one order or a group, and what is in flight, in integers.

docs/risk.md holds the rules; tests/twins/risk.py is their slow, obvious form. Positions and balances are
units of an asset, exposures units of one currency; a mark is currency units a unit of an asset.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

from typing_extensions import Buffer

# Flags of an order, added up: what its sender declares, that its group is owed it, the guard's own.
FLATTENING: Final = 1
HEDGE: Final = 2
OWED: Final = 4
GUARD: Final = 8
NO_LIMIT: Final[int]
"""What a limit is where there is none."""
LEGS: Final = 16
"""How many legs a group may have."""
REASONS: Final[dict[str, int]]
"""The rules by name, numbered as in the vocabulary of refusals."""
WISH: Final[list[tuple[str, str]]]
"""The fields of `check_rows`, for numpy.dtype."""

Leg: TypeAlias = tuple[str, int, int, int, int, int, int, int, int, int, int, str]
"""name, bot, group, leg, venue, instrument, side, ticks, lots, expires_ns, flags, parent."""

def key_of(text: str) -> int:
    """The 64-bit key under which a name is remembered; the same in each process."""

def content_of(
    bot: int,
    group: int,
    leg: int,
    instrument: int,
    side: int,
    ticks: int,
    lots: int,
    parent: str = "",
) -> int:
    """The 64-bit key of what an order is apart from its name."""

class RiskKernel:
    """Limits, positions and what is in flight; see the module.

    Numbers of instruments, assets, venues and clusters count from 0; a number that there is not raises
    IndexError. Limits are none until set. `remembered` is how many orders are kept to know repeats.
    """

    level: int
    """1 NORMAL to 5 SHUTDOWN."""
    killed: bool
    draining: bool

    def __init__(
        self,
        instruments: int,
        assets: int,
        venues: int,
        clusters: int = 0,
        *,
        remembered: int = 65536,
    ) -> None: ...
    def __len__(self) -> int:
        """Orders that are not final."""
    @property
    def reason(self) -> int:
        """The rule that the last refused order broke,"""
    @property
    def limit(self) -> int:
        """its limit,"""
    @property
    def value(self) -> int:
        """and the value that broke it."""
    @property
    def leg(self) -> int:
        """Which leg of the last refused group broke it."""
    def set_instrument(
        self,
        number: int,
        venue: int,
        base: int,
        quote: int,
        base_units: int,
        quote_units: int,
        lots_min: int,
        lots_max: int,
        ticks_min: int,
        ticks_max: int,
        notional_min: int,
        checks_balance: bool = True,
    ) -> None:
        """An instrument's grid: units of the base in a lot, of the quote in a tick and lot.

        Its market is unknown from here on; what is in flight on it is counted in the new lots.
        """
    def limit_instrument(
        self,
        number: int,
        notional_max: int,
        distance_bps: int,
        stale_ns: int,
        orders_max: int = 2147483647,
    ) -> None:
        """An order's notional in quote units, how far from the mid and how old a market may be."""
    def limit_asset(
        self, number: int, position_max: int, shares: bool = False, cluster: int = -1
    ) -> None:
        """The deviation in units; with `shares` also as a share of equity, see `limit_share`."""
    def limit_venue(
        self,
        number: int,
        gross_max: int,
        orders_max: int = 2147483647,
        interval_ns: int = 0,
        burst: int = 1,
    ) -> None:
        """Gross exposure at a venue in the currency; one message an interval, `burst` at once."""
    def limit_bot(
        self,
        number: int,
        notional_max: int,
        orders_max: int = 2147483647,
        interval_ns: int = 0,
        burst: int = 1,
    ) -> None:
        """A bot's order in the currency, its open orders and pace; -1: of bots not heard of yet."""
    def limit_all(self, orders_max: int, gross_max: int, net_max: int, window_ns: int) -> None:
        """Of everything; equal content is refused for `window_ns` (0: never)."""
    def limit_cluster(self, number: int, exposure_max: int) -> None:
        """What the assets of a cluster may come to in one direction, in the currency."""
    def limit_share(self, value: int) -> None:
        """What an asset with `shares` may come to, in the currency; -1: equity is not known."""
    def top(self, number: int, state: int, bid: int, ask: int, received_ns: int) -> None:
        """A market's best prices; a LIVE one marks its base asset where the quote has a mark."""
    def mark(self, number: int, mark: float) -> None:
        """What a unit of an asset is worth, in the currency's units."""
    def hold(self, venue: int, asset: int, total: int) -> None:
        """What the venue holds for us, in units."""
    def trade(
        self, number: int, side: int, ticks: int, lots: int, fee_asset: int, fee: int
    ) -> None:
        """A fill on an instrument: position and balances move; a fee in the base asset too."""
    def move(self, asset: int, units: int) -> None:
        """An asset's deviation moves without a trade: a transfer, or its target."""
    def move_holding(self, venue: int, asset: int, units: int) -> None:
        """The same at one venue."""
    def reconciled(self, venue: int, clean: bool) -> None:
        """Whether a venue's account is known to be as we think; else nothing may raise exposure there."""
    def order(
        self,
        name: str,
        bot: int,
        group: int,
        leg: int,
        venue: int,
        instrument: int,
        side: int,
        ticks: int,
        lots: int,
        expires_ns: int,
        flags: int,
        now_ns: int,
        parent: str = "",
    ) -> int:
        """Check an order and reserve it: its place, or -1 with `reason`, `limit` and `value`."""
    def group(self, legs: Sequence[Leg], now_ns: int) -> tuple[int, ...]:
        """Check and reserve all legs, or none: their places, or () with `leg` and its refusal."""
    def reduces(self, leg: int = 0) -> bool:
        """Whether the last order let through, or a leg of the group, brings a deviation nearer zero."""
    def adopt(
        self, name: str, instrument: int, bot: int, side: int, ticks: int, lots: int, now_ns: int
    ) -> int:
        """Reserve and remember an order that nobody asked about: its place. Raises ValueError for none."""
    def fill(self, place: int, lots: int) -> None:
        """So many lots of an open order are no longer in flight; a place without one: IndexError."""
    def doubt(self, place: int, unknown: bool) -> None:
        """An open order is UNKNOWN, or no longer."""
    def end(self, place: int) -> None:
        """An order is final: what did not fill is free."""
    def open_order(self, place: int) -> tuple[int, int, int, int, int, bool]:
        """instrument, bot, side, ticks, lots that may still fill, unknown."""
    def sent(self, bot: int, venue: int, now_ns: int) -> None:
        """A message that always passes, such as a cancel, uses up the pace all the same."""
    def position(self, asset: int) -> int:
        """An asset's deviation, in units."""
    def in_flight(self, asset: int) -> tuple[int, int]:
        """Units being bought and sold."""
    def holding(self, venue: int, asset: int) -> tuple[int, int, int] | None:
        """total, reserved and traded units where the venue's total is known."""
    def market(self, number: int) -> tuple[int, int, int, int]:
        """state, bid, ask, received_ns."""
    def knows(self, name: str) -> bool:
        """Whether an order bore this name, among those remembered."""
    def unknown(self) -> int:
        """Orders that are UNKNOWN."""
    def books(self) -> tuple[int, int]:
        """Markets that were ever LIVE, and how many are."""
    def exposures(
        self,
    ) -> tuple[int, int, int, tuple[int, ...], tuple[tuple[int, int], ...]]:
        """gross, longs, shorts; gross by venue; longs and shorts by cluster: in the currency."""
    def check_rows(self, rows: Buffer, now_ns: int) -> int:
        """Check rows of WISH without reserving: how many pass. The checks alone, in C."""
    def snapshot(self) -> bytes:
        """The state without the limits."""
    def restore(self, data: bytes) -> None:
        """Become what `snapshot` wrote. Raises ValueError for bytes of another shape."""
