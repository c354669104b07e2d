"""What the simulated exchange may be told to do wrong, in a configuration or by an operator."""

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta


class FaultKind(StrEnum):
    """What the simulated exchange may do wrong; docs/exchange-server.md says how each looks."""

    TIMEOUT_DONE = "timeout_done"  # no answer ever, and it was done
    TIMEOUT_NOT_DONE = "timeout_not_done"
    ERROR_DONE = "error_done"  # a 5xx, and it was done
    ERROR_NOT_DONE = "error_not_done"
    OVERLOADED = "overloaded"
    SLOW = "slow"
    RATE_LIMIT = "rate_limit"  # 429, then 418 to who asks on
    REJECTED = "rejected"
    DROP_FRAME = "drop_frame"
    REPEAT_FRAME = "repeat_frame"
    GAP = "gap"  # changes of a book that nobody is told
    FILL_BEFORE_CANCEL = "fill_before_cancel"
    PARTIAL_FILL = "partial_fill"
    CLOCK_SKEW = "clock_skew"
    MAINTENANCE = "maintenance"
    DISCONNECT = "disconnect"


LEAST_S = 0.001


class FaultConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fault: whom it strikes ('' is all), how likely, when, and how hard.

    It begins `from_s` after it is set (a configuration's: after the exchange began), lasts `for_s` (0:
    for ever) and comes again after `every_s` on average (0: never); it strikes `count` times at most.
    `endpoint` is a pattern of 'METHOD /path', or a text that a frame holds.
    """

    kind: FaultKind
    venue: str = ""
    wire: str = ""
    account: str = ""
    symbol: str = ""
    endpoint: str = ""
    chance: Annotated[float, Meta(gt=0, le=1)] = 1.0
    count: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    from_s: Annotated[float, Meta(ge=0, le=1e6)] = 0.0
    for_s: Annotated[float, Meta(ge=0, le=1e6)] = 0.0
    every_s: Annotated[float, Meta(ge=0, le=1e6)] = 0.0
    delay_ms: Annotated[int, Meta(ge=1, le=600_000)] = 1000
    retry_after_s: Annotated[int, Meta(ge=1, le=3600)] = 1
    skew_ms: Annotated[int, Meta(ge=-60_000, le=60_000)] = 0
    part: Annotated[float, Meta(ge=0, lt=1)] = 0.5

    def __post_init__(self) -> None:
        """Raises ValueError for fields that do not go together."""
        if self.every_s and not self.for_s and self.kind is not FaultKind.DISCONNECT:
            raise ValueError("every_s: a fault that comes again needs for_s, how long it lasts")
        for name in ("for_s", "every_s"):
            if 0 < getattr(self, name) < LEAST_S:
                raise ValueError(f"{name}: a fault lasts or stays away for {LEAST_S} s at least")
        if (self.kind is FaultKind.CLOCK_SKEW) != bool(self.skew_ms):
            raise ValueError("skew_ms: clock_skew needs it, and nothing else takes it")


class FaultsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The faults of the simulated exchange; the same seed makes the same of the same requests."""

    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    plan: tuple[FaultConfig, ...] = ()
