"""One instrument's market: the kernel's book, its public trades, its numbered changes, its candles."""

from collections import deque
from typing import cast

from engine.exchange.candles import Candle, Candles
from engine.exchange.orders import DepthChange, PublicTrade
from engine.exchange.replayed import ReplayedMarket
from engine.instruments import Instrument
from engine.messages import BUY, SELL
from ext.matching import MatchingBook

TRADES_MAX = 5_000
ORDERS_MAX = 1 << 18
LOTS_MAX = 1 << 33
TICKS_MAX = 1 << 40
PRODUCT_MAX = (1 << 62) - 1


class Market:
    """See the module. `band_bps` and `orders_max` are the kernel's; 0 basis points is no band.

    `book` is a replayed market that stands in for the kernel's.
    """

    def __init__(
        self,
        instrument: Instrument,
        band_bps: int = 0,
        orders_max: int = ORDERS_MAX,
        book: ReplayedMarket | None = None,
    ) -> None:
        self.instrument = instrument
        self.band_bps = band_bps
        self.orders_max = orders_max
        self.lots_max = min(instrument.lots_max, LOTS_MAX)
        self.ticks_max = min(instrument.ticks_max, TICKS_MAX, PRODUCT_MAX // self.lots_max)
        unit = instrument.quote_units_per_tick_lot
        self.notional_min = -(-instrument.notional_min_units // unit)
        self.replayed = book
        self.book = cast("MatchingBook", book)
        if book is None:
            self.book = MatchingBook(
                ticks_max=self.ticks_max,
                lots_min=min(instrument.lots_min, self.lots_max),
                lots_max=self.lots_max,
                notional_min=self.notional_min,
                band_bps=band_bps,
                orders_max=orders_max,
                market_data=True,
            )
        self.sequence = 0
        self.trades: deque[PublicTrade] = deque(maxlen=TRADES_MAX)
        self.trade_count = 0
        self._candles = Candles()

    def band(self) -> tuple[int, int]:
        """The lowest and highest price that may trade now."""
        last = self.book.last
        if not last or not self.band_bps:
            return 1, self.ticks_max
        width = last * self.band_bps // 10_000
        return max(1, last - width), min(self.ticks_max, last + width)

    def depth(self, levels: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Bids and asks as (ticks, lots), best first; 0 levels are all of them."""
        return self.book.levels(BUY, levels), self.book.levels(SELL, levels)

    def candles(self, interval_ns: int, since_ns: int, until_ns: int, limit: int) -> list[Candle]:
        """See `Candles.get`."""
        return self._candles.get(interval_ns, since_ns, until_ns, limit)

    def traded(self, ticks: int, lots: int, side: int, time_ns: int) -> PublicTrade:
        """The kernel made a trade; `side` is the taker's."""
        self.trade_count += 1
        trade = PublicTrade(self.instrument.id, self.trade_count, ticks, lots, side, time_ns)
        self.trades.append(trade)
        self._candles.trade(ticks, lots, side, time_ns)
        return trade

    def changed(self, time_ns: int) -> DepthChange | None:
        """The levels that changed since last asked, under the next number; None when none did."""
        self.book.order_changes()
        levels = self.book.level_changes()
        if not levels:
            return None
        self.sequence += 1
        number = self.sequence
        return DepthChange(self.instrument.id, number, number, tuple(levels), time_ns)
