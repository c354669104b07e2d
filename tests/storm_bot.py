"""A busy strategy for the storm: by its seed it takes, rests, cancels and comes back to where it began."""

from random import Random

import msgspec

from engine.bots.base import MS, Memory, Strategy
from engine.component import NOTHING, Outputs
from engine.messages import BUY, SELL, AnyMessage, BookTop, Fill, TimeInForce, TimerFired

ACT = 0
EVERY_NS = 40 * MS
WITHDRAW_NS = 1000 * MS
AGAIN = 30  # decisions between two cancels of one order
RESTING_MAX = 4
OPEN_MAX = 12
MONEY = (30, 60, 120)  # whole units of the quote asset
THROUGH_BPS = 4


class Drift(Memory):
    """How many decisions were taken, what was bought less what was sold in base units, cancels asked for.

    Of each cancel the decision is kept, for it may have been lost and is asked for again.
    """

    decisions: int = 0
    bought: dict[str, int] = msgspec.field(default_factory=dict)
    asked: dict[str, int] = msgspec.field(default_factory=dict)


class StormBot(Strategy):
    """See the module. Draining, it cancels what rests again and again until nothing does."""

    memory_type = Drift
    memory: Drift

    def on_start(self, now_ns: int) -> Outputs:
        """Begin, or go on."""
        return (self.wake(ACT, now_ns + EVERY_NS),)

    def on_filled(self, fill: Fill, now_ns: int) -> Outputs:
        """Remember which way to lean."""
        instrument = self.instruments[fill.instrument]
        units = fill.side * fill.lots * instrument.base_units_per_lot
        bought = self.memory.bought
        bought[instrument.base] = bought.get(instrument.base, 0) + units
        return NOTHING

    def on_timer(self, fired: TimerFired, now_ns: int) -> Outputs:
        """One decision; a cancel of what rests was maybe lost, so it is asked for again."""
        if self.draining:
            return (*self.withdraw(0), self.wake(ACT, now_ns + WITHDRAW_NS))
        self.memory.decisions += 1
        chance = Random(f"{self.config.name}/{self.memory.decisions}")
        wait_ns = int(chance.uniform(0.5, 1.5) * EVERY_NS)
        return (*self._act(chance, now_ns), self.wake(ACT, now_ns + wait_ns))

    def _act(self, chance: Random, now_ns: int) -> Outputs:
        memory = self.memory
        memory.asked = {name: at for name, at in memory.asked.items() if name in self.placed}
        resting = [name for name, order in self.placed.items() if order.rests]
        if len(resting) > RESTING_MAX or chance.random() < 0.15:
            before = memory.decisions - AGAIN
            waiting = [name for name in resting if memory.asked.get(name, before) <= before]
            if waiting:
                memory.asked[waiting[0]] = memory.decisions
                return self.cancel(waiting[0], 0)
        tops = [top for _, top in sorted(self.tops.items()) if top.bid_ticks and top.ask_ticks]
        if not tops or not self.may_trade or len(self.placed) >= OPEN_MAX:
            return NOTHING
        return (self._order(chance, chance.choice(tops), now_ns),)

    def _order(self, chance: Random, top: BookTop, now_ns: int) -> AnyMessage:
        """Takes or rests, rather towards what was held at the start."""
        instrument = self.instruments[top.instrument]
        ahead = self.memory.bought.get(instrument.base, 0)
        back = SELL if ahead > 0 else BUY
        side = back if chance.random() < 0.7 else -back
        takes = chance.random() < 0.6
        best = top.ask_ticks if (side == BUY) == takes else top.bid_ticks
        step = best * (THROUGH_BPS if takes else -chance.choice((0, 1, 5))) // 10_000
        value = best * instrument.quote_units_per_tick_lot
        lots = chance.choice(MONEY) * 10**instrument.quote_decimals // value
        return self.limit(
            top.instrument,
            side,
            max(1, best + side * step),
            max(lots, instrument.lots_min, 1),
            top.received_ns,
            now_ns,
            time_in_force=TimeInForce.IOC if takes else TimeInForce.GTC,
        )
