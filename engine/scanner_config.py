"""What the scanner looks for: the table `[scanner]`."""

from typing import Annotated

import msgspec
from msgspec import Meta

Quantity = Annotated[str, Meta(pattern="^[0-9]+([.][0-9]+)?$", max_length=40)]


class ScannerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What counts as an opportunity; `quantity_max` by base asset."""

    profit_min_bps: Annotated[float, Meta(ge=0, le=10_000)] = 1.0
    quantity_max: dict[str, Quantity] = {}
    stale_ms: Annotated[int, Meta(ge=1, le=600_000)] = 2000
