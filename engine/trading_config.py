"""How a venue is traded on, in a configuration: the table `[venues.trading]`."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

EnvironmentName = Annotated[str, Meta(pattern="^([A-Z][A-Z0-9_]*)?$")]
Seconds = Annotated[int, Meta(ge=1, le=86_400)]


class TradingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which gateway carries our orders, whose keys it uses, and what is done where the venue differs.

    `native` speaks the venue's own protocol, `ccxt` goes through that client library. The `_env` fields
    name environment variables; a simulated venue's keys follow from names and need none. An order is
    asked for `deadline_margin_ms` after its deadline by the venue's clock before 'not found' counts.
    `foreign_orders` says what happens to orders on the account that bear no id of ours: they are left
    alone, alarmed about, or taken over ('adopt': counted as ours, cancelled at a kill). The breaker opens
    after so many failures in a row, and asks again after `breaker_timeout_ms` x 2^times, ten times at most.
    A key that may withdraw money is refused unless `allow_withdrawal_key` says that it is meant.
    `dead_man_s` has the venue cancel all orders when we are not heard of for so long (0: never). `tier` is
    the account's at Kraken, whose limits go by that.
    """

    gateway: Literal["native", "ccxt", "none"] = "native"
    key_env: EnvironmentName = ""
    secret_env: EnvironmentName = ""
    password_env: EnvironmentName = ""
    foreign_orders: Literal["leave", "alarm", "adopt"] = "alarm"
    reconcile_every_s: Seconds = 60
    deadline_margin_ms: Annotated[int, Meta(ge=1, le=60_000)] = 200
    breaker_failures: Annotated[int, Meta(ge=1, le=1000)] = 5
    breaker_timeout_ms: Annotated[int, Meta(ge=10, le=600_000)] = 1000
    allow_withdrawal_key: bool = False
    dead_man_s: Annotated[int, Meta(ge=0, le=86_400)] = 0
    tier: Literal["starter", "intermediate", "pro"] = "starter"
