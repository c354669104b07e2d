"""How emulated orders are worked, in a configuration: the table `[execution]`."""

from typing import Annotated

import msgspec
from msgspec import Meta


class ExecutionConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Times and capacities of the Execution component.

    A child may be sent for `child_ttl_ms`. An exit that was refused or filled nothing is tried again
    after `retry_ms` x 2^times, `retry_max_ms` at most; a cancel without an end is asked for again after
    `cancel_retry_ms`. At most `parents_max` emulated orders are open at a time.
    """

    child_ttl_ms: Annotated[int, Meta(ge=1, le=600_000)] = 1000
    retry_ms: Annotated[int, Meta(ge=1, le=60_000)] = 100
    retry_max_ms: Annotated[int, Meta(ge=1, le=600_000)] = 10_000
    cancel_retry_ms: Annotated[int, Meta(ge=10, le=600_000)] = 2000
    parents_max: Annotated[int, Meta(ge=1, le=100_000)] = 1000
