"""The RiskGuard's limits in a configuration: the table `[risk]`."""

from typing import Annotated

import msgspec
from msgspec import Meta

Amount = Annotated[str, Meta(pattern="^[0-9]+([.][0-9]+)?$", max_length=40)]


class RiskConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The RiskGuard's limits; `position_max` by base asset, net over venues."""

    order_notional_max: Amount = "10000"
    position_max: dict[str, Amount] = {}
    price_distance_max_bps: Annotated[int, Meta(ge=1, le=10_000)] = 100
    stale_ms: Annotated[int, Meta(ge=1, le=600_000)] = 2000
    orders_open_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 50
