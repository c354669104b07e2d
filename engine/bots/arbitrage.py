"""Takes crossings: buys here and sells there at once, both immediate-or-cancel, and keeps count.

Both legs pass the RiskGuard or none does. What one leg filled more than the other is an imbalance.
While a symbol has one that can be traded, its next order is a single flattening one where the price
is best, declared as the hedge of its group where that alone made it, and no group is begun there
before; what is below a venue's least order is dust and is carried until more comes to it.
"""

import msgspec

from engine.bots.base import MS, Leg, Memory, Placed, Strategy
from engine.component import NOTHING, Outputs
from engine.config import BotConfig
from engine.instruments import Instrument, Instruments
from engine.messages import BUY, SELL, Fill, Opportunity, TimerFired

FLATTEN_BPS = 5  # how far through the best price a flattening order may go
RETRY_NS = 250_000_000  # between two tries to flatten


class Books(Memory):
    """Bought minus sold base units by symbol, and until when a symbol is left alone.

    `begun` is the last group of a symbol that was begun in balance, `hedges` its hedges so far.
    """

    imbalance: dict[str, int] = msgspec.field(default_factory=dict)
    resting_until: dict[str, int] = msgspec.field(default_factory=dict)
    begun: dict[str, int] = msgspec.field(default_factory=dict)
    hedges: dict[str, int] = msgspec.field(default_factory=dict)


class ArbitrageBot(Strategy):
    """The two-leg arbitrage bot; see the module.

    One group a symbol and `groups_max` over all are open at a time, a flattening order counting as
    a group; a group is open until both legs are final, and an UNKNOWN leg is not.
    """

    memory_type = Books
    memory: Books

    def __init__(
        self, sender: int, instruments: Instruments, config: BotConfig, deployment: str
    ) -> None:
        super().__init__(sender, instruments, config, deployment)
        self._keys = list(config.symbols or dict.fromkeys(i.symbol for i in instruments))
        self._of_symbol = self._group()
        self._cooldown_ns = config.cooldown_ms * MS

    def _group(self) -> dict[str, tuple[Instrument, ...]]:
        every = tuple(self.instruments)
        return {symbol: tuple(i for i in every if i.symbol == symbol) for symbol in self._keys}

    def regrid(self, instrument: Instrument) -> None:
        """See `Component.regrid`: a top that is known is in the ticks of before."""
        super().regrid(instrument)
        self._of_symbol = self._group()

    def on_start(self, now_ns: int) -> Outputs:
        """What a predecessor left unbalanced is attended to."""
        outputs: Outputs = NOTHING
        for symbol in self._keys:
            outputs += self._attend(symbol, now_ns)
        return outputs

    def on_opportunity(self, seen: Opportunity, now_ns: int) -> Outputs:
        """Flatten first; else both legs, back to back. An opportunity told late is none."""
        buy = self.instruments[seen.buy_instrument]
        symbol, received_ns = buy.symbol, seen.received_ns
        if symbol not in self._of_symbol or now_ns - received_ns > self._ttl_ns:
            return NOTHING
        if not self._is_free(symbol, now_ns):
            return NOTHING
        flattening = self._flatten(symbol, received_ns, now_ns)
        if flattening or not self.may_trade:
            return flattening
        memory = self.memory
        memory.resting_until[symbol] = now_ns + self._cooldown_ns
        legs = (
            Leg(buy.id, BUY, seen.buy_ticks, seen.buy_lots),
            Leg(seen.sell_instrument, SELL, seen.sell_ticks, seen.sell_lots),
        )
        group = self.group(legs, received_ns, now_ns)
        memory.begun[symbol] = 0 if memory.imbalance.get(symbol, 0) else group.group
        memory.hedges[symbol] = len(legs)
        return (group,)

    def _is_free(self, symbol: str, now_ns: int) -> bool:
        """Whether an order may be placed in this symbol now, if only to flatten it."""
        if not self.may_reduce or now_ns < self.memory.resting_until.get(symbol, 0):
            return False
        if not self.placed:
            return True
        groups = {order.group for order in self.placed.values()}
        return len(groups) < self.config.groups_max and not self._is_open(symbol)

    def _is_open(self, symbol: str) -> bool:
        return any(self.instruments[o.instrument].symbol == symbol for o in self.placed.values())

    def on_filled(self, fill: Fill, now_ns: int) -> Outputs:
        """Count what was bought and sold; a base fee is so much less bought."""
        instrument = self.instruments[fill.instrument]
        units = fill.side * fill.lots * instrument.base_units_per_lot
        if fill.fee_asset == instrument.base:
            units -= fill.fee
        imbalance = self.memory.imbalance
        imbalance[instrument.symbol] = imbalance.get(instrument.symbol, 0) + units
        return self._attend(instrument.symbol, now_ns)

    def on_ended(self, order: Placed, now_ns: int) -> Outputs:
        """The last leg to end shows what is left unbalanced."""
        return self._attend(self.instruments[order.instrument].symbol, now_ns)

    def on_timer(self, fired: TimerFired, now_ns: int) -> Outputs:
        """Time to flatten a symbol; again later where it may not be done now or has no price."""
        symbol = self._keys[fired.key]
        if self._is_free(symbol, now_ns):
            flattening = self._flatten(symbol, fired.received_ns, now_ns)
            if flattening or any(i.id in self.tops for i in self._of_symbol[symbol]):
                return flattening  # or it is dust at these prices
        return self._attend(symbol, now_ns)

    def _attend(self, symbol: str, now_ns: int) -> Outputs:
        """Wake up to flatten a symbol that is unbalanced and has nothing under way."""
        units = abs(self.memory.imbalance.get(symbol, 0))
        if not units or self.draining or self._is_open(symbol) or symbol not in self._of_symbol:
            return NOTHING
        if all(units < i.lots_min * i.base_units_per_lot for i in self._of_symbol[symbol]):
            return NOTHING
        at_ns = max(now_ns + RETRY_NS, self.memory.resting_until.get(symbol, 0))
        return (self.wake(self._keys.index(symbol), at_ns),)

    def _flatten(self, symbol: str, received_ns: int, now_ns: int) -> Outputs:
        """One order that takes an imbalance back, where the price is best; nothing for dust."""
        imbalance = self.memory.imbalance.get(symbol, 0)
        if imbalance == 0:
            return NOTHING
        side = SELL if imbalance > 0 else BUY
        best: tuple[float, Instrument, int, int] | None = None
        for instrument in self._of_symbol[symbol]:
            top = self.tops.get(instrument.id)
            ticks = 0 if top is None else top.bid_ticks if side == SELL else top.ask_ticks
            lots = min(abs(imbalance) // instrument.base_units_per_lot, instrument.lots_max)
            limit = ticks + side * max(1, ticks * FLATTEN_BPS // 10_000)
            if ticks <= 0 or limit <= 0 or not _orderable(instrument, limit, lots):
                continue
            # What buying a unit costs after the fee, or what selling one brings, negated.
            cost = side * ticks * instrument.tick * (1 + side * instrument.taker_rate)
            if best is None or cost < best[0]:
                best = (cost, instrument, limit, lots)
        if best is None:
            return NOTHING
        _, instrument, limit, lots = best
        memory = self.memory
        memory.resting_until[symbol] = now_ns + max(self._cooldown_ns, RETRY_NS)
        hedged, leg = memory.begun.get(symbol, 0), 0
        if hedged:  # a leg more of the group, by a number that it has not had
            leg = memory.hedges[symbol]
            memory.hedges[symbol] = leg + 1
        else:
            self.begin_group()
        stamp = (received_ns, now_ns)
        return (self.order(leg, instrument.id, side, limit, lots, *stamp, hedge_of=hedged),)


def _orderable(instrument: Instrument, ticks: int, lots: int) -> bool:
    """Whether the venue takes an order of this size."""
    notional = ticks * lots * instrument.quote_units_per_tick_lot
    return lots >= instrument.lots_min and notional >= instrument.notional_min_units
