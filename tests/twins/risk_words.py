"""What the risk rules' twin keeps: markets, assets, parties and orders."""

from dataclasses import dataclass
from fractions import Fraction

from ext.risk import NO_LIMIT


@dataclass
class Market:
    """An instrument: its grid, limits and best prices."""

    venue: int
    base: int
    quote: int
    base_units: int
    quote_units: int
    lots: tuple[int, int]
    ticks: tuple[int, int]
    notional_min: int
    checks_balance: bool
    notional_max: int = 0
    distance_bps: int = 0
    stale_ns: int = 0
    orders_max: int = NO_LIMIT
    top: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass
class Asset:
    """A deviation and its limits; the mark is None while not known."""

    position: int = 0
    position_max: int = NO_LIMIT
    shares: bool = False
    cluster: int = -1
    mark: Fraction | None = None


@dataclass
class Party:
    """A venue or a bot: what it may do, and when its bucket of messages is empty."""

    amount_max: int = NO_LIMIT
    orders_max: int = NO_LIMIT
    interval_ns: int = 0
    burst: int = 1
    full_ns: int = 0
    reconciled: bool = True


@dataclass
class Order:
    """An order that is not final."""

    instrument: int
    bot: int
    side: int
    ticks: int
    lots: int
    unknown: bool = False
