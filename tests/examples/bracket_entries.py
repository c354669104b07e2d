"""A strategy that enters by brackets: at the ask, guarded by a target above and a stop below."""

import msgspec

from engine.bots.base import Memory, Strategy, Watch
from engine.component import NOTHING, Outputs
from engine.messages import BUY, BookTop, Fill, ParentEvent


class Held(Memory):
    """Lots bought less lots sold, and how the brackets ended, by the name of the end."""

    lots: int = 0
    ends: dict[str, int] = msgspec.field(default_factory=dict)


class BracketEntries(Strategy):
    """Has one bracket at a time on each instrument: entry at the ask, 5 bps up, 5 bps down."""

    memory_type = Held
    emulated_orders = True

    def on_top(self, top: BookTop, now_ns: int) -> Outputs:
        """Begin where nothing is under way."""
        number, ask = top.instrument, top.ask_ticks
        busy = any(parent.instrument == number for parent in self.parents.values())
        if busy or not ask or not self.may_trade:
            return NOTHING
        market = self.instruments[number]
        lots = 20 * market.notional_min_units // (ask * market.quote_units_per_tick_lot)
        away = max(2, ask // 2000)
        watch = Watch(slip_ticks=away, good_until_ns=now_ns + 2_000_000_000)
        prices = (ask, ask + away, ask - away)
        return (self.bracket(number, BUY, lots, *prices, top.received_ns, watch),)

    def on_filled(self, fill: Fill, now_ns: int) -> Outputs:
        """Entries, targets and stops alike: it is our money."""
        self.memory.lots += fill.side * fill.lots
        return NOTHING

    def on_parent(self, event: ParentEvent, now_ns: int) -> Outputs:
        """Count how they end."""
        if event.parent not in self.parents:
            self.memory.ends[event.state.name] = self.memory.ends.get(event.state.name, 0) + 1
        return NOTHING
