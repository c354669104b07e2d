"""A bot without a plan: by its seed it places, rests, takes and cancels, close to every limit."""

from random import Random

import msgspec

from engine.bots.base import MS, Memory, Strategy
from engine.component import NOTHING, Outputs
from engine.messages import (
    BUY,
    SELL,
    AnyMessage,
    CancelIntent,
    Drain,
    OrderIntent,
    TimeInForce,
    TimerFired,
)

ACT = 0
EVERY_NS = 400 * MS
CANCEL_NS = 500 * MS


class Whims(Memory):
    """How many decisions were taken: the next one is a function of it and the bot's name."""

    decisions: int = 0


class Monkey(Strategy):
    """See the module. Draining, it cancels what rests until nothing does."""

    memory_type = Whims
    memory: Whims

    def on_start(self, now_ns: int) -> Outputs:
        """Begin, or go on."""
        return (self.wake(ACT, now_ns + EVERY_NS),)

    def on_timer(self, fired: TimerFired, now_ns: int) -> Outputs:
        """One decision."""
        if self.draining:
            return self._take_back(now_ns)
        self.memory.decisions += 1
        chance = Random(f"{self._deployment}/{self.config.name}/{self.memory.decisions}")
        wait_ns = int(chance.expovariate(1.0) * EVERY_NS) + MS
        return (*self._act(chance, now_ns), self.wake(ACT, now_ns + wait_ns))

    def _take_drain(self, message: Drain, now_ns: int) -> Outputs:
        super()._take_drain(message, now_ns)
        return self._take_back(now_ns)

    def _take_back(self, now_ns: int) -> Outputs:
        cancels = tuple(self._cancel(name) for name in self.placed)
        return (*cancels, self.wake(ACT, now_ns + CANCEL_NS))

    def _cancel(self, name: str) -> CancelIntent:
        placed = self.placed[name]
        venue = self.instruments[placed.instrument].venue
        return CancelIntent(
            self.sender, self.next_sequence(), 0, name, self.sender, venue, placed.instrument
        )

    def _act(self, chance: Random, now_ns: int) -> Outputs:
        tops = [top for _, top in sorted(self.tops.items())]
        if self.placed and (len(self.placed) > 6 or chance.random() < 0.35):
            return (self._cancel(chance.choice(sorted(self.placed))),)
        if not tops or not self.may_trade:
            return NOTHING
        made: list[AnyMessage] = []
        for leg in range(chance.choice((1, 1, 1, 3))):
            top = chance.choice(tops)
            side = chance.choice((BUY, SELL))
            best = top.ask_ticks if side == BUY else top.bid_ticks
            if best <= 0:
                continue
            if leg == 0:
                self.begin_group()
            made.append(self._order(chance, leg, top.instrument, side, best, now_ns))
        return tuple(made)

    def _order(
        self, chance: Random, leg: int, number: int, side: int, best: int, now_ns: int
    ) -> OrderIntent:
        """An order around the best price: most of a usual size, some at a limit or beyond."""
        instrument = self.instruments[number]
        lot_value = max(1, best * instrument.quote_units_per_tick_lot)
        least = max(1, -(-instrument.notional_min_units // lot_value))
        money = chance.choice((50, 500, 2000, 3900, 3900, 4100)) * 10**instrument.quote_decimals
        lots = chance.choice((least, least - 1, *[money // lot_value] * 6)) or 1
        away_bps = chance.choice((-8, -2, 0, 0, 2, 5, 20, 300))
        ticks = max(1, best - side * best * away_bps // 10_000)
        received_ns = self.tops[number].received_ns
        order = self.order(leg, number, side, ticks, lots, received_ns, now_ns)
        if chance.random() < 0.4:
            return order
        return msgspec.structs.replace(order, time_in_force=TimeInForce.GTC)
