"""The RiskGuard's limits as numbers in its kernel: from the configuration, and as changed since.

A change is a value at a path of the configuration, held against everything the configuration itself is
held against; so whatever limits apply, they could stand in a file.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from engine.instruments import Instrument, Instruments
from engine.messages import BUY, OrderIntent, Reason, Scope
from engine.risk_config import (
    BotRiskConfig,
    InstrumentRiskConfig,
    Known,
    RiskConfig,
    VenueRiskConfig,
    risk_faults,
)
from engine.units import INT64_MAX, parse_limit
from ext.risk import NO_LIMIT, RiskKernel

MS = 1_000_000
SECOND = 1_000_000_000
ANY_BOT = -1
TABLES = {Scope.VENUE: "venues", Scope.BOT: "bots", Scope.INSTRUMENT: "instruments"}
ASSET_TABLES = {"position_max": "position_max", "target": "targets"}
FIXED = frozenset({"duplicates_kept"})  # sizes of memory, not limits


IN_CURRENCY = frozenset(
    {
        Reason.GROSS_EXPOSURE,
        Reason.NET_EXPOSURE,
        Reason.VENUE_GROSS,
        Reason.CLUSTER,
        Reason.EQUITY_SHARE,
        Reason.BOT_NOTIONAL,
    }
)
IN_QUOTE = frozenset({Reason.ORDER_NOTIONAL, Reason.MIN_NOTIONAL})
IN_BASE = frozenset({Reason.POSITION, Reason.NOT_REDUCING})


class Surroundings(NamedTuple):
    """What the guard is told beside its limits.

    `bots` are names by component number, `venues` those that are traded on (None: all), `currency` is
    that of exposures (empty: the first instrument's quote), `pegs` what an asset is worth one of.
    """

    deployment: str = ""
    bots: Mapping[int, str] = {}
    venues: tuple[int, ...] | None = None
    currency: str = ""
    pegs: Mapping[str, str] = {}


ALONE = Surroundings()
"""A guard that is told nothing: all venues are traded on, bots have no names."""


class Limits:
    """All limits of a guard; `overrides` are what an operator changed, by path."""

    def __init__(self, instruments: Instruments, config: RiskConfig, around: Surroundings) -> None:
        self.config = config
        self.overrides: dict[str, str] = {}
        self._file = config
        self._instruments = instruments
        self._around = around
        names: dict[str, None] = {}
        for instrument in instruments:
            names[instrument.base] = names[instrument.quote] = None
        self.assets = list(names)
        self.number = {asset: place for place, asset in enumerate(self.assets)}
        self.currency = around.currency or (instruments[0].quote if len(instruments) else "")
        self._clusters = list(config.clusters)
        self._known = Known(
            instruments.venues,
            tuple(around.bots.values()),
            frozenset(i.base for i in instruments),
            frozenset(i.symbol for i in instruments),
        )

    def kernel(self) -> RiskKernel:
        """A kernel with these instruments and limits."""
        made = RiskKernel(
            max(1, len(self._instruments)),
            max(1, len(self.assets)),
            max(1, len(self._instruments.venues)),
            len(self._clusters),
            remembered=self.config.duplicates_kept,
        )
        for instrument in self._instruments:
            self.regrid(made, instrument)
        if self.currency in self.number:
            made.mark(self.number[self.currency], 1.0)
        for asset, other in self._around.pegs.items():
            if asset in self.number and other == self.currency:
                scale = self._instruments.decimals(other) - self._instruments.decimals(asset)
                made.mark(self.number[asset], 10.0**scale)
        self.apply(made)
        return made

    def regrid(self, kernel: RiskKernel, instrument: Instrument) -> None:
        """An instrument as it is now, and its own limits."""
        kernel.set_instrument(
            instrument.id,
            instrument.venue,
            self.number[instrument.base],
            self.number[instrument.quote],
            instrument.base_units_per_lot,
            instrument.quote_units_per_tick_lot,
            instrument.lots_min,
            instrument.lots_max,
            instrument.ticks_min,
            instrument.ticks_max,
            instrument.notional_min_units,
            ":" not in instrument.symbol,
        )
        self._apply_instrument(kernel, instrument)

    def _apply_instrument(self, kernel: RiskKernel, instrument: Instrument) -> None:
        config = self.config
        own = config.instruments.get(instrument.symbol, InstrumentRiskConfig())
        kernel.limit_instrument(
            instrument.id,
            self.notional_max(instrument),
            own.price_distance_max_bps or config.price_distance_max_bps,
            config.stale_ms * MS,
            own.orders_open_max,
        )

    def apply(self, kernel: RiskKernel) -> None:
        """Put all limits into the kernel."""
        config = self.config
        window_ns = config.duplicate_window_s * SECOND
        gross_max, net_max = self._money(config.gross_max), self._money(config.net_max)
        kernel.limit_all(config.orders_open_max, gross_max, net_max, window_ns)
        for instrument in self._instruments:
            self._apply_instrument(kernel, instrument)
        cluster_of = {a: n for n, c in enumerate(config.clusters.values()) for a in c.assets}
        for number, cluster in enumerate(config.clusters.values()):
            kernel.limit_cluster(number, self._money(cluster.exposure_max))
        for number, asset in enumerate(self.assets):
            own_max = config.position_max.get(asset)
            kernel.limit_asset(
                number,
                INT64_MAX
                if own_max is None
                else parse_limit(own_max, self._instruments.decimals(asset)),
                own_max is None and bool(config.position_max_share) and asset in self._known.bases,
                cluster_of.get(asset, -1),
            )
        for number, name in enumerate(self._instruments.venues):
            venue = config.venues.get(name, VenueRiskConfig())
            pace = venue.messages_per_second
            interval_ns = SECOND // pace if pace else 0
            gross_max = self._money(venue.gross_max)
            kernel.limit_venue(number, gross_max, venue.orders_open_max, interval_ns, max(1, pace))
        for number, name in self._around.bots.items():
            bot = config.bots.get(name, BotRiskConfig())
            pace = bot.messages_per_second
            interval_ns = SECOND // pace if pace else 0
            notional_max = self._money(bot.order_notional_max)
            kernel.limit_bot(number, notional_max, bot.orders_open_max, interval_ns, max(1, pace))

    def notional_max(self, instrument: Instrument) -> int:
        """An order's largest notional on an instrument, in its quote asset's units."""
        own = self.config.instruments.get(instrument.symbol, InstrumentRiskConfig())
        decimals = self._instruments.decimals(instrument.quote)
        return parse_limit(own.order_notional_max or self.config.order_notional_max, decimals)

    def _money(self, amount: str) -> int:
        return parse_limit(amount, self._decimals()) if amount else NO_LIMIT

    def _decimals(self) -> int:
        return self._instruments.decimals(self.currency) if self.currency in self.number else 8

    def asset_of(self, intent: OrderIntent, reason: Reason) -> str:
        """In which asset's units a refusal speaks; empty where its rule is about something else."""
        if reason in IN_CURRENCY:
            return self.currency
        if not 0 <= intent.instrument < len(self._instruments):
            return ""
        instrument = self._instruments[intent.instrument]
        if reason is Reason.BALANCE:
            return instrument.quote if intent.side == BUY else instrument.base
        if reason in IN_QUOTE:
            return instrument.quote
        return instrument.base if reason in IN_BASE else ""

    def share_of(self, equity: int) -> int:
        """What an asset without a limit of its own may come to, of an equity; both in currency units."""
        share = parse_limit(self.config.position_max_share or "0", 6)
        return max(0, equity) * share // 1_000_000

    def target(self, asset: str) -> int | None:
        """The declared inventory of an asset in units; None where it has none."""
        amount = self.config.targets.get(asset)
        return None if amount is None else parse_limit(amount, self._instruments.decimals(asset))

    # --- changes at run time ----------------------------------------------------------------------

    def change(self, scope: Scope, subject: str, name: str, value: str) -> str:
        """Take a new value, or with an empty one the configuration's again; why not, else empty."""
        key = f"{int(scope)}\x1f{subject}\x1f{name}"
        overrides = {other: kept for other, kept in self.overrides.items() if other != key}
        if value:
            overrides[key] = value
        config, why = self._with(overrides)
        if config is None:
            return why
        if not value and _path(scope, subject, name) is None:
            return f"{scope.name.lower()}: there is no limit {name!r}"
        self.config, self.overrides = config, overrides
        return ""

    def resume(self, overrides: dict[str, str]) -> list[tuple[str, str]]:
        """Take back what was changed before a restart; what no longer holds, and why."""
        dropped = []
        self.config, self.overrides = self._file, {}
        for key, value in overrides.items():
            config, why = self._with({**self.overrides, key: value})
            if config is None:
                dropped.append((key, why))
            else:
                self.config = config
                self.overrides[key] = value
        return dropped

    def value(self, scope: Scope, subject: str, name: str) -> str:
        """A limit's value as it applies now; empty where there is none."""
        path = _path(scope, subject, name)
        found: Any = msgspec.to_builtins(self.config)
        for key in path or ("",):
            found = found.get(key, "") if isinstance(found, dict) else ""
        return str(found)

    def _with(self, overrides: dict[str, str]) -> tuple[RiskConfig | None, str]:
        """The configuration with values put over it, or why it does not hold."""
        table: dict[str, Any] = msgspec.to_builtins(self._file)
        for key, value in overrides.items():
            number, subject, name = key.split("\x1f")
            path = _path(Scope(int(number)), subject, name)
            if path is None:
                return None, f"{Scope(int(number)).name.lower()}: there is no limit {name!r}"
            here = table
            for step in path[:-1]:
                here = here.setdefault(step, {})
            here[path[-1]] = value
        try:
            config = msgspec.convert(table, RiskConfig, strict=False)
        except msgspec.ValidationError as error:
            return None, str(error)
        for where, why in risk_faults(config, self._known):
            return None, f"{where}: {why}"
        return config, ""


def _path(scope: Scope, subject: str, name: str) -> tuple[str, ...] | None:
    """Where a limit stands in the configuration; None for one that there is not."""
    if scope is Scope.GLOBAL:
        if "." in name or name in ("calm_s", "drift", "books_lost_after_ms"):
            return ("levels", *name.split("."))
        plain = isinstance(getattr(RiskConfig(), name, None), str | int)
        return (name,) if plain and name not in FIXED else None
    if scope is Scope.ASSET:
        table = ASSET_TABLES.get(name)
        return None if table is None else (table, subject)
    return (TABLES[scope], subject, name)
