"""A bot without a plan: by its seed it places, rests, takes, has emulated and cancels, close to every limit."""

from random import Random

from engine.bots.base import MS, Memory, Strategy
from engine.component import NOTHING, Outputs
from engine.instruments import Instrument
from engine.messages import (
    BUY,
    SELL,
    AnyMessage,
    BookTop,
    Drain,
    TimeInForce,
    TimerFired,
    TriggerSource,
)
from engine.orders.ordering import Leg
from engine.parents.asking import Watch

ACT = 0
EVERY_NS = 400 * MS
AGAIN_NS = 500 * MS
MONEY = (50, 500, 2000, 3900, 3900, 4100)
AWAY_BPS = (-8, -2, 0, 0, 2, 5, 20, 300)
RESTING = (
    TimeInForce.IOC,
    TimeInForce.IOC,
    TimeInForce.FOK,
    TimeInForce.GTC,
    TimeInForce.GTC,
    TimeInForce.GTD,
)


class Whims(Memory):
    """How many decisions were taken: the next one is a function of it and the bot's name."""

    decisions: int = 0


class Monkey(Strategy):
    """See the module. Draining, it cancels what rests until nothing does."""

    memory_type = Whims
    memory: Whims
    emulated_orders = True

    def on_start(self, now_ns: int) -> Outputs:
        """Begin, or go on."""
        return (self.wake(ACT, now_ns + EVERY_NS),)

    def on_timer(self, fired: TimerFired, now_ns: int) -> Outputs:
        """One decision."""
        if self.draining:
            return (*self._take_back(), self.wake(ACT, now_ns + AGAIN_NS))
        self.memory.decisions += 1
        chance = Random(f"{self._deployment}/{self.config.name}/{self.memory.decisions}")
        wait_ns = int(chance.expovariate(1.0) * EVERY_NS) + MS
        return (*self._act(chance, now_ns), self.wake(ACT, now_ns + wait_ns))

    def _take_drain(self, message: Drain, now_ns: int) -> Outputs:
        outputs = super()._take_drain(message, now_ns)
        return (*outputs, self.wake(ACT, now_ns + AGAIN_NS))

    def _take_back(self) -> Outputs:
        """Cancels for what still rests: the first ones may have been lost on a dead connection."""
        resting = [name for name, order in self.placed.items() if order.rests]
        return tuple(cancel for name in resting for cancel in self.cancel(name, 0))

    def _act(self, chance: Random, now_ns: int) -> Outputs:
        tops = [top for _, top in sorted(self.tops.items())]
        mine = [*sorted(self.placed), *sorted(self.parents)]
        if mine and (len(mine) > 8 or chance.random() < 0.35):
            return self.cancel(chance.choice(mine), 0)
        if not tops or not self.may_trade:
            return NOTHING
        made: list[AnyMessage] = []
        for _ in range(chance.choice((1, 1, 1, 3))):
            top = chance.choice(tops)
            if top.bid_ticks <= 0 or top.ask_ticks <= 0:
                continue
            whim = chance.random()
            if whim < 0.2:
                made.append(self._emulated(chance, top, now_ns))
            elif whim < 0.3:
                made.append(self._legs(chance, tops, now_ns))
            else:
                made.append(self._plain(chance, top, now_ns))
        return tuple(made)

    def _size(self, chance: Random, instrument: Instrument, best: int) -> int:
        """Most of a usual size, some at a limit or beyond."""
        value = max(1, best * instrument.quote_units_per_tick_lot)
        least = max(1, -(-instrument.notional_min_units // value))
        lots = chance.choice(MONEY) * 10**instrument.quote_decimals // value
        return chance.choice((least, least - 1, *[lots] * 6)) or 1

    def _legs(self, chance: Random, tops: list[BookTop], now_ns: int) -> AnyMessage:
        """A few orders that pass together or not at all."""
        legs = []
        for top in chance.sample(tops, min(len(tops), chance.choice((2, 2, 3)))):
            side = chance.choice((BUY, SELL))
            best = top.ask_ticks if side == BUY else top.bid_ticks
            lots = self._size(chance, self.instruments[top.instrument], max(1, best))
            legs.append(Leg(top.instrument, side, max(1, best), lots))
        return self.group(legs, 0, now_ns)

    def _plain(self, chance: Random, top: BookTop, now_ns: int) -> AnyMessage:
        """An ordinary order around the best price."""
        side = chance.choice((BUY, SELL))
        best = top.ask_ticks if side == BUY else top.bid_ticks
        lots = self._size(chance, self.instruments[top.instrument], best)
        ticks = max(1, best - side * best * chance.choice(AWAY_BPS) // 10_000)
        tif = chance.choice(RESTING)
        until_ns = now_ns + chance.choice((2, 5)) * 1000 * MS if tif is TimeInForce.GTD else 0
        post_only = tif is TimeInForce.GTC and chance.random() < 0.3
        return self.limit(
            top.instrument,
            side,
            ticks,
            lots,
            0,
            now_ns,
            time_in_force=tif,
            post_only=post_only,
            good_until_ns=until_ns,
        )

    def _emulated(self, chance: Random, top: BookTop, now_ns: int) -> AnyMessage:
        """An emulated order whose trigger is a few basis points away."""
        side, number, received_ns = (
            chance.choice((BUY, SELL)),
            top.instrument,
            0,
        )  # no frame's doing
        best = top.ask_ticks if side == BUY else top.bid_ticks
        lots = self._size(chance, self.instruments[number], best)
        step = max(1, best * chance.choice((1, 3, 10)) // 10_000)
        worse, better = best + side * step, best - side * step
        until_ns = now_ns + 8000 * MS
        watch = Watch(chance.choice(list(TriggerSource)), step, chance.choice((0, until_ns)))
        match chance.randrange(7):
            case 0:
                return self.stop_loss(number, side, lots, worse, received_ns, watch)
            case 1:
                limit = chance.choice((0, better))
                return self.take_profit(number, side, lots, better, received_ns, watch, limit)
            case 2:
                return self.trailing_stop(number, side, lots, received_ns, watch, trail_ticks=step)
            case 3:
                return self.stop_limit(number, side, lots, worse, worse, received_ns, watch)
            case 4:
                return self.oco(number, side, lots, better, worse, received_ns, watch)
            case 5:
                target, stop = best + 3 * side * step, best - 3 * side * step
                entry = chance.choice((0, better))
                return self.bracket(number, side, lots, entry, target, stop, received_ns, watch)
            case _:
                return self.good_till(number, side, lots, better, until_ns, received_ns)
