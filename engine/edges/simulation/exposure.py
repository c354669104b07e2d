"""What a run has taken on, by the exchanges' own books: whether any limit was exceeded.

Counted is all that the RiskGuard let through and that may still be filled, whether or not it has left
or arrived. A guard that is careful never has less in its own count than there is here.
"""

from collections.abc import Mapping

from engine.config import ENGINE_ACCOUNT, Config
from engine.exchange.exchange import Exchange
from engine.exchange.orders import Refused
from engine.instruments import Instruments
from engine.messages import LimitChanged, OrderCommand, OrderEvent, OrderIntent, Scope
from engine.units import INT64_MAX, parse_limit


class Broken(Exception):
    """An invariant does not hold: its name, and what was seen."""

    def __init__(self, invariant: str, seen: str) -> None:
        super().__init__(f"{invariant}: {seen}")
        self.invariant = invariant


class Exposure:
    """See the module; each method raises `Broken`."""

    def __init__(
        self, config: Config, instruments: Instruments, exchanges: Mapping[int, Exchange]
    ) -> None:
        self._instruments = instruments
        self._exchanges = exchanges
        self._live: dict[str, OrderIntent] = {}
        self._positions: dict[str, int] = {}
        self._counted: dict[int, int] = {}
        self._limits = {
            (Scope.GLOBAL, "", "order_notional_max"): config.risk.order_notional_max,
            (Scope.GLOBAL, "", "orders_open_max"): str(config.risk.orders_open_max),
        }
        for base, limit in config.risk.position_max.items():
            self._limits[Scope.ASSET, base, "position_max"] = limit

    def changed(self, change: LimitChanged) -> None:
        """From here on another limit holds."""
        key = (change.scope, change.subject, change.name)
        if change.accepted and key in self._limits:
            self._limits[key] = change.value

    def _limit(self, scope: Scope, subject: str, name: str, decimals: int = 0) -> int:
        value = self._limits.get((scope, subject, name), "")
        return parse_limit(value, decimals) if value else INT64_MAX

    def takes_on(self, command: OrderCommand) -> None:
        """The guard lets an order through: now at the latest every limit has to hold."""
        intent = command.intent
        self._live[intent.client_order_id] = intent
        if command.reduces:
            return
        instrument = self._instruments[intent.instrument]
        decimals = self._instruments.decimals(instrument.quote)
        notional = instrument.notional(intent.ticks, intent.lots)
        limit = self._limit(Scope.GLOBAL, "", "order_notional_max", decimals)
        if notional > limit:
            raise Broken("order limit", f"{intent} is worth {notional} units, at most {limit}")
        self._count_fills()
        base, side = instrument.base, intent.side
        worst = side * self._positions.get(base, 0) + self._in_flight(base, side)
        decimals = self._instruments.decimals(base)
        limit = self._limit(Scope.ASSET, base, "position_max", decimals)
        if worst > limit:
            raise Broken("position limit", f"{worst} of {base} after {intent}, at most {limit}")
        limit = self._limit(Scope.GLOBAL, "", "orders_open_max")
        if len(self._live) > limit:
            raise Broken("open orders", f"{len(self._live)} after {intent}, at most {limit}")

    def ended(self, event: OrderEvent) -> None:
        """The engine takes an order for final: it was refused, or never came to its exchange.

        The exchange's own word counts where it knows the order.
        """
        if self._known(event.venue, event.client_order_id) is None:
            self._live.pop(event.client_order_id, None)

    def _known(self, venue: int, name: str) -> tuple[bool, int] | None:
        """Whether the exchange has an order open, and how much of it is filled; None: it has none."""
        try:
            order = self._exchanges[venue].by_client_id(ENGINE_ACCOUNT, name)
        except Refused:
            return None
        return order.open, order.filled

    def _in_flight(self, base: str, side: int) -> int:
        """Base units that may still be filled on a side; orders that are final are forgotten."""
        units = 0
        for name, intent in list(self._live.items()):
            known = self._known(intent.venue, name)
            if known is not None and not known[0]:
                del self._live[name]
                continue
            instrument = self._instruments[intent.instrument]
            if instrument.base == base and intent.side == side:
                filled = known[1] if known is not None else 0
                units += (intent.lots - filled) * instrument.base_units_per_lot
        return units

    def _count_fills(self) -> None:
        for venue, exchange in self._exchanges.items():
            for fill in exchange.fills(ENGINE_ACCOUNT, None, self._counted.get(venue, 0)):
                instrument = self._instruments[fill.instrument]
                units = fill.side * fill.lots * instrument.base_units_per_lot
                self._positions[instrument.base] = self._positions.get(instrument.base, 0) + units
                self._counted[venue] = fill.number
