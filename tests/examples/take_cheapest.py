"""A strategy in 20 lines: buys where a coin is offered well below the other venues, up to a limit."""

from engine.bots.base import Memory, Strategy
from engine.component import NOTHING, Outputs
from engine.messages import BUY, BookTop, Fill


class Holding(Memory):
    """How many lots were bought."""

    lots: int = 0


class TakeCheapest(Strategy):
    """Takes one lot where the ask is 20 basis points below the mean ask; holds at most 5."""

    memory_type = Holding

    def on_top(self, top: BookTop, now_ns: int) -> Outputs:
        """Only this book changed, so only here can it have become cheap."""
        asks = [other.ask_ticks for other in self.tops.values() if other.ask_ticks]
        dear = top.ask_ticks * 10_020 * len(asks) > 10_000 * sum(asks)
        if dear or not top.ask_ticks or self.placed or self.memory.lots >= 5 or not self.may_trade:
            return NOTHING
        self.begin_group()
        return (self.order(0, top.instrument, BUY, top.ask_ticks, 1, top.received_ns, now_ns),)

    def on_filled(self, fill: Fill, now_ns: int) -> Outputs:
        """Count what was really bought."""
        self.memory.lots += fill.lots
        return NOTHING
