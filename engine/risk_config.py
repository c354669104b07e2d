"""The RiskGuard's limits in a configuration: the table `[risk]`. docs/risk.md says what each does."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Amount = Annotated[str, Meta(pattern="^[0-9]+([.][0-9]+)?$", max_length=40)]
Maybe = Annotated[str, Meta(pattern="^([0-9]+([.][0-9]+)?)?$", max_length=40)]
"""An amount, or empty for no limit."""
Share = Annotated[str, Meta(pattern="^((0|1)([.][0-9]{1,6})?)?$")]
"""A part of one, up to six places, or empty for none."""
Orders = Annotated[int, Meta(ge=1, le=1_000_000)]
Pace = Annotated[int, Meta(ge=0, le=1_000_000)]


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the configuration: unknown keys are errors."""


class Steps(Table, frozen=True):
    """From which share on a measure raises the level; empty: it never does."""

    caution: Share = ""
    restricted: Share = ""
    halt: Share = ""
    shutdown: Share = ""


class Waits(Table, frozen=True):
    """From how many milliseconds on a measure raises the level; 0: it never does."""

    caution: Annotated[int, Meta(ge=0, le=86_400_000)] = 0
    restricted: Annotated[int, Meta(ge=0, le=86_400_000)] = 0
    halt: Annotated[int, Meta(ge=0, le=86_400_000)] = 0
    shutdown: Annotated[int, Meta(ge=0, le=86_400_000)] = 0


class LevelsConfig(Table, frozen=True):
    """What raises the level, and after how long without a cause it comes down again below HALT.

    `daily_loss` is of the UTC day's opening equity, `drawdown` of the peak, `books_lost` of all books
    that ever were LIVE (when they are lost for `books_lost_after_ms`), `calls_failed` of a venue's last
    calls, `latency_ms` from a frame to the intent that it caused, for half of a second's intents. `drift` is
    the level at a balance or position that differs from the venue's and was not repaired.
    """

    daily_loss: Steps = Steps("0.03", "0.05", "0.08")
    drawdown: Steps = Steps("0.10", "0.15", "0.20")
    books_lost: Steps = Steps("0.5", "0.8")
    books_lost_after_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 5000
    calls_failed: Steps = Steps("0.2", "0.5")
    stale_mark_ms: Waits = Waits(30_000, 120_000)
    latency_ms: Waits = Waits(250, 2_000)
    clock_offset_ms: Waits = Waits(500, 5_000)
    drift: Literal["caution", "restricted", "halt"] = "restricted"
    calm_s: Annotated[int, Meta(ge=1, le=86_400)] = 60


class VenueRiskConfig(Table, frozen=True):
    """A venue's limits: gross exposure in the ledger's currency, open orders, messages (0: any)."""

    gross_max: Maybe = ""
    orders_open_max: Orders = 1_000_000
    messages_per_second: Pace = 0


class BotRiskConfig(Table, frozen=True):
    """A bot's limits: an order in the ledger's currency, open orders, messages (0: any)."""

    order_notional_max: Maybe = ""
    orders_open_max: Orders = 1_000_000
    messages_per_second: Pace = 0


class InstrumentRiskConfig(Table, frozen=True):
    """The limits of all instruments with a symbol; an order's notional in their quote asset."""

    order_notional_max: Maybe = ""
    price_distance_max_bps: Annotated[int, Meta(ge=0, le=10_000)] = 0  # 0: the global one
    orders_open_max: Orders = 1_000_000


class ClusterConfig(Table, frozen=True):
    """Base assets that move together: in one direction they come to at most this much together."""

    assets: tuple[str, ...]
    exposure_max: Amount


class RiskConfig(Table, frozen=True):
    """The RiskGuard's limits.

    `position_max` by base asset, net over venues, of the deviation from `targets` (from what was held
    at the start where an asset has none); an asset without one is held to `position_max_share` of the equity.
    `gross_max` and `net_max` are in the ledger's currency.
    """

    order_notional_max: Amount = "10000"
    position_max: dict[str, Amount] = {}
    price_distance_max_bps: Annotated[int, Meta(ge=1, le=10_000)] = 100
    stale_ms: Annotated[int, Meta(ge=1, le=600_000)] = 2000
    orders_open_max: Orders = 50
    position_max_share: Share = "0.02"
    targets: dict[str, Amount] = {}
    gross_max: Maybe = ""
    net_max: Maybe = ""
    duplicate_window_s: Annotated[int, Meta(ge=0, le=86_400)] = 3600
    duplicates_kept: Annotated[int, Meta(ge=1, le=1 << 24)] = 65_536
    venues: dict[str, VenueRiskConfig] = {}
    bots: dict[str, BotRiskConfig] = {}
    instruments: dict[str, InstrumentRiskConfig] = {}
    clusters: dict[str, ClusterConfig] = {}
    levels: LevelsConfig = LevelsConfig()
    flatten_bps: Annotated[int, Meta(ge=1, le=10_000)] = 50
    cancel_again_s: Annotated[int, Meta(ge=1, le=3600)] = 5


class Known(msgspec.Struct, frozen=True):
    """The names that limits may speak of."""

    venues: tuple[str, ...]
    bots: tuple[str, ...]
    bases: frozenset[str]
    symbols: frozenset[str]


def risk_faults(risk: RiskConfig, known: Known) -> Iterator[tuple[str, str]]:
    """Limits that contradict each other or speak of nothing: the key's path, and why."""
    yield from _unknown_names(risk, known)
    for name, steps in msgspec.structs.asdict(risk.levels).items():
        if isinstance(steps, Steps | Waits):
            yield from _not_rising(f"risk.levels.{name}", steps)
    widest = Decimal(risk.order_notional_max)
    for symbol, one in risk.instruments.items():
        if one.order_notional_max and Decimal(one.order_notional_max) > widest:
            where = f"risk.instruments.{symbol}.order_notional_max"
            yield where, f"above risk.order_notional_max = {risk.order_notional_max}"
        if one.price_distance_max_bps > risk.price_distance_max_bps:
            where = f"risk.instruments.{symbol}.price_distance_max_bps"
            yield where, f"above risk.price_distance_max_bps = {risk.price_distance_max_bps}"
    parts: tuple[
        tuple[
            str,
            dict[str, VenueRiskConfig] | dict[str, BotRiskConfig] | dict[str, InstrumentRiskConfig],
        ],
        ...,
    ] = (("venues", risk.venues), ("bots", risk.bots), ("instruments", risk.instruments))
    for table, entries in parts:
        for name, entry in entries.items():
            here = entry.orders_open_max
            if risk.orders_open_max < here != 1_000_000:
                where = f"risk.{table}.{name}.orders_open_max"
                yield where, f"{here} is above risk.orders_open_max = {risk.orders_open_max}"
    yield from _exposures_contradict(risk)


def _unknown_names(risk: RiskConfig, known: Known) -> Iterator[tuple[str, str]]:
    for asset in (*risk.position_max, *risk.targets):
        if asset not in known.bases:
            table = "position_max" if asset in risk.position_max else "targets"
            yield f"risk.{table}.{asset}", "no instrument has this base asset"
    for name in risk.venues:
        if name not in known.venues:
            yield f"risk.venues.{name}", "no venue has this name"
    for name in risk.bots:
        if name not in known.bots:
            yield f"risk.bots.{name}", "no bot has this name"
    for symbol in risk.instruments:
        if symbol not in known.symbols:
            yield f"risk.instruments.{symbol}", f"no instrument has the symbol {symbol!r}"
    clustered: dict[str, str] = {}
    for name, cluster in risk.clusters.items():
        for asset in cluster.assets:
            if asset not in known.bases:
                yield f"risk.clusters.{name}.assets", f"no instrument has the base asset {asset!r}"
            if clustered.setdefault(asset, name) != name:
                why = f"{asset} is in the cluster {clustered[asset]!r} too; it has one at most"
                yield f"risk.clusters.{name}.assets", why


def _not_rising(where: str, steps: Steps | Waits) -> Iterator[tuple[str, str]]:
    """A measure that is worse never means a lower level."""
    last, last_name = Decimal(-1), ""
    for name, value in msgspec.structs.asdict(steps).items():
        if not value:
            continue
        number = Decimal(value)
        if number <= last:
            yield f"{where}.{name}", f"{value} is not above {last_name} = {last}"
        last, last_name = number, name


def _exposures_contradict(risk: RiskConfig) -> Iterator[tuple[str, str]]:
    if not risk.gross_max:
        return
    gross = Decimal(risk.gross_max)
    if risk.net_max and Decimal(risk.net_max) > gross:
        yield "risk.net_max", f"{risk.net_max} is above risk.gross_max = {risk.gross_max}"
    for name, cluster in risk.clusters.items():
        if Decimal(cluster.exposure_max) > gross:
            why = f"{cluster.exposure_max} is above risk.gross_max = {risk.gross_max}"
            yield f"risk.clusters.{name}.exposure_max", why
