"""What the simulated exchange is asked and what it tells: plain structs of ticks, lots and units.

Constants of orders (side, kind, trigger, time in force, flags, self-trade mode) are the kernel's, see
docs/matching.md. The wires (`engine/exchange/wires/`) turn these from and into what real exchanges say.
"""

from enum import IntEnum
from typing import Final, NamedTuple

import msgspec

from ext.matching import GTC, NO_TRIGGER, STP_NONE

UNFUNDED: Final = 101
"""Why an order ended that waited for its parent: the account lacked what it then needed."""


class Status(IntEnum):
    """Where an order stands; an order that waits for a trigger or a parent is OPEN, not `working`."""

    OPEN = 1
    PARTLY_FILLED = 2
    FILLED = 3
    CANCELLED = 4
    EXPIRED = 5
    REJECTED = 6


class Why(IntEnum):
    """Why a request was refused; each wire has the real exchange's words for it."""

    UNKNOWN_SYMBOL = 1
    UNKNOWN_ORDER = 2
    INSUFFICIENT_BALANCE = 3
    DUPLICATE_CLIENT_ID = 4
    INVALID = 5
    TICK = 6
    LOT = 7
    NOTIONAL = 8
    BAND = 9
    REDUCE_ONLY = 10
    WOULD_TAKE = 11
    FULL = 12
    HALTED = 13
    IN_AUCTION = 14
    DEADLINE = 15
    NO_REPLACE = 16
    ADMIN = 17


class Refused(Exception):
    """A request that changes nothing, and why; `detail` is for people."""

    def __init__(self, why: Why, detail: str) -> None:
        super().__init__(detail)
        self.why = why
        self.detail = detail


class NewOrder(msgspec.Struct, frozen=True):
    """An order as a client asks for it; `group` and `parent` name other orders of the venue.

    `quote_units` above 0 instead of `lots` is a market order for so much of the quote asset.
    `deadline_ns` above 0: it must not be executed when it arrives later.
    """

    instrument: int
    side: int
    kind: int
    lots: int
    ticks: int = 0
    client_id: str = ""
    tif: int = GTC
    flags: int = 0
    stp: int = STP_NONE
    trigger: int = NO_TRIGGER
    trigger_ticks: int = 0
    offset: int = 0
    display: int = 0
    expire_ns: int = 0
    group: int = 0
    parent: int = 0
    quote_units: int = 0
    deadline_ns: int = 0


class Order(msgspec.Struct):
    """An order of an account, from its acceptance on; numbers rise by one in a venue.

    `value` is the sum of ticks times lots of its fills; `reason` the kernel's for its end, or UNFUNDED;
    `working` is False while it waits for its trigger or its parent.
    """

    number: int
    account: str
    request: NewOrder
    status: Status
    ticks: int
    lots: int
    created_ns: int
    updated_ns: int
    filled: int = 0
    value: int = 0
    reason: int = 0
    working: bool = True

    @property
    def open(self) -> bool:
        """Whether it lives."""
        return self.status in (Status.OPEN, Status.PARTLY_FILLED)


class Fill(NamedTuple):
    """A trade of an account's order; `number` rises by one in a venue, `trade` is the public one's.

    `fee` is in units of `fee_asset`, negative for a rebate.
    """

    number: int
    trade: int
    order: int
    account: str
    client_id: str
    instrument: int
    side: int
    ticks: int
    lots: int
    fee: int
    fee_asset: str
    maker: bool
    time_ns: int


class PublicTrade(NamedTuple):
    """A trade as everybody sees it; `side` is the taker's; `number` rises by one in a market."""

    instrument: int
    number: int
    ticks: int
    lots: int
    side: int
    time_ns: int


class DepthChange(NamedTuple):
    """Levels of a market that changed: absolute (side, ticks, lots), 0 lots is gone.

    `first` and `last` are the market's update numbers it covers, without a hole from change to change.
    """

    instrument: int
    first: int
    last: int
    levels: tuple[tuple[int, int, int], ...]
    time_ns: int


class OrderChange(NamedTuple):
    """An order of an account changed: what it became (a copy), and the fill that did it, if one did."""

    order: Order
    fill: Fill | None
    time_ns: int


class BalanceChange(NamedTuple):
    """What an account has of an asset now: free and locked units."""

    account: str
    asset: str
    free: int
    locked: int
    time_ns: int


Event = PublicTrade | DepthChange | OrderChange | BalanceChange
