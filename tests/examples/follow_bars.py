"""A strategy on bars: buys when a whole minute's bar closes above its open on bought volume."""

from engine.bots.base import Memory, Strategy
from engine.component import NOTHING, Outputs
from engine.config import BotConfig
from engine.instruments import Instruments
from engine.messages import BUY, Bar, BarKind

MINUTE_NS = 60_000_000_000


class Seen(Memory):
    """How many bars were whole."""

    bars: int = 0


class FollowBars(Strategy):
    """Takes one lot at the ask after a minute that rose with more bought than sold."""

    memory_type = Seen

    def __init__(
        self, sender: int, instruments: Instruments, config: BotConfig, deployment: str
    ) -> None:
        super().__init__(sender, instruments, config, deployment)
        for instrument in instruments:
            self.bars(instrument.id, BarKind.TIME, MINUTE_NS)

    def on_bar(self, bar: Bar, now_ns: int) -> Outputs:
        """A bar with a gap tells nothing; the first one begins in mid-minute and has one."""
        top = self.tops.get(bar.instrument)
        if bar.gaps:
            return NOTHING
        self.memory.bars += 1
        rose = bar.close_ticks > bar.open_ticks and 2 * bar.buy_lots > bar.lots
        if not rose or top is None or not top.ask_ticks or self.placed or not self.may_trade:
            return NOTHING
        self.begin_group()
        order = self.order(0, bar.instrument, BUY, top.ask_ticks, 1, bar.received_ns, now_ns)
        return (order,)
