"""Where an exchange's prices come from: simulated flow, or the levels of a tape.

Both let an order take liquidity; only the flow's market lets one rest. Frames of the public
protocol come out of the flow's market; a tape's own frames go to the venue as they were recorded.
"""

from collections.abc import Callable, Sequence

import msgspec

from engine.exchange.book import FifoBook, Match, Resting
from engine.exchange.flow import FairPath, Flow
from engine.instruments import Instrument
from engine.messages import BUY, BookState, Depth

NEVER = 1 << 62
CATCH_UP_NS = 5_000_000_000
LAGS_NS = (20_000_000, 80_000_000, 150_000_000)
MakerFill = Callable[[Instrument, Match, int], None]


class FlowMarket:
    """The books of a venue with simulated traders."""

    def __init__(
        self,
        venue: str,
        place: int,
        instruments: Sequence[Instrument],
        prices: dict[str, float],
        seed: int,
        rate: float,
        volatility_bps: float,
        noise_bps: float,
        begin_ns: int,
    ) -> None:
        self.books: dict[int, FifoBook] = {}
        self._sequence: dict[int, int] = {}
        self._trades = 0
        self._flows: list[Flow] = []
        for instrument in instruments:
            book = self.books[instrument.id] = FifoBook()
            self._sequence[instrument.id] = 0
            symbol = instrument.symbol
            fair = FairPath(seed, symbol, prices[symbol], volatility_bps, begin_ns)
            lag_ns = LAGS_NS[place % len(LAGS_NS)]
            self._flows.append(
                Flow(instrument, book, fair, seed, venue, rate, lag_ns, noise_bps, begin_ns)
            )
            book.touched.clear()

    def next_due_ns(self) -> int:
        """When a simulated trader acts next."""
        return min(flow.next_ns for flow in self._flows)

    def advance(self, now_ns: int, maker_fill: MakerFill) -> list[bytes]:
        """All traders' events up to now, as public frames in order."""
        frames: list[bytes] = []
        while (flow := min(self._flows, key=lambda flow: flow.next_ns)).next_ns <= now_ns:
            if now_ns - flow.next_ns > CATCH_UP_NS:
                flow.skip_to(now_ns)
                continue
            at_ns = flow.next_ns
            for match in flow.act():
                if match.owner:
                    maker_fill(flow.instrument, match, at_ns)
                frames.append(self._trade(flow.instrument, match, at_ns))
            frames += self.changes(flow.instrument, at_ns)
        return frames

    def _trade(self, instrument: Instrument, match: Match, at_ns: int) -> bytes:
        self._trades += 1
        side = "sell" if match.ticks == self.books[instrument.id].best(BUY) else "buy"
        return msgspec.json.encode(
            {
                "type": "trade",
                "symbol": instrument.symbol,
                "id": str(self._trades),
                "side": side,
                "price": instrument.ticks_to_price(match.ticks),
                "qty": instrument.lots_to_quantity(match.lots),
                "ts": at_ns,
            }
        )

    def changes(self, instrument: Instrument, at_ns: int) -> list[bytes]:
        """One update frame of the levels touched since the last; none when nothing was."""
        book = self.books[instrument.id]
        if not book.touched:
            return []
        sides: dict[int, list[tuple[str, str]]] = {1: [], -1: []}
        for side, ticks in book.touched:
            lots = book.lots_at(side, ticks)
            quantity = instrument.lots_to_quantity(lots) if lots else "0"
            sides[side].append((instrument.ticks_to_price(ticks), quantity))
        book.touched.clear()
        self._sequence[instrument.id] += 1
        return [self._frame("update", instrument, sides[1], sides[-1], at_ns)]

    def snapshot(self, instrument: Instrument, at_ns: int) -> bytes:
        """The whole book as a frame."""
        book = self.books[instrument.id]
        bids, asks = (
            [
                (instrument.ticks_to_price(ticks), instrument.lots_to_quantity(lots))
                for ticks, lots in book.levels(side)
            ]
            for side in (1, -1)
        )
        return self._frame("snapshot", instrument, bids, asks, at_ns)

    def _frame(
        self,
        kind: str,
        instrument: Instrument,
        bids: list[tuple[str, str]],
        asks: list[tuple[str, str]],
        at_ns: int,
    ) -> bytes:
        return msgspec.json.encode(
            {
                "type": kind,
                "symbol": instrument.symbol,
                "seq": self._sequence[instrument.id],
                "bids": bids,
                "asks": asks,
                "ts": at_ns,
                "simulated": True,
            }
        )

    def take(
        self, instrument: Instrument, side: int, ticks: int, lots: int, owner: str
    ) -> list[Match]:
        """Match an order of ours."""
        return self.books[instrument.id].take(side, ticks, lots, owner)

    def rest(self, instrument: Instrument, order: Resting) -> bool:
        """Let an order of ours rest."""
        self.books[instrument.id].rest(order)
        return True

    def cancel(self, instrument: Instrument, order: Resting) -> bool:
        """Take an order of ours out."""
        return self.books[instrument.id].cancel(order)


class TapeMarket:
    """The levels a tape shows. What we took of a level stays taken until the tape changes it."""

    def __init__(self) -> None:
        self._levels: dict[int, dict[int, list[list[int]]]] = {}

    def follow(self, depth: Depth) -> None:
        """The market is now this; a level that the tape did not change keeps what we took."""
        before = self._levels.get(depth.instrument, {1: [], -1: []})
        after: dict[int, list[list[int]]] = {1: [], -1: []}
        if depth.state is BookState.LIVE:
            numbers = memoryview(depth.pairs).cast("q").tolist()
            half = 2 * depth.levels
            for side, start in ((1, 0), (-1, half)):
                known = {ticks: (shown, left) for ticks, shown, left in before[side]}
                for at in range(start, start + half, 2):
                    ticks, lots = numbers[at], numbers[at + 1]
                    if lots:
                        shown, left = known.get(ticks, (lots, lots))
                        after[side].append([ticks, lots, left if shown == lots else lots])
        self._levels[depth.instrument] = after

    def next_due_ns(self) -> int:
        """Nothing happens here by itself."""
        return NEVER

    def advance(self, now_ns: int, maker_fill: MakerFill) -> list[bytes]:
        """Nothing happens here by itself."""
        return []

    def changes(self, instrument: Instrument, at_ns: int) -> list[bytes]:
        """The tape's own frames go to the venue; none come from here."""
        return []

    def snapshot(self, instrument: Instrument, at_ns: int) -> bytes:
        """The tape's own frames go to the venue; a snapshot asked for here is empty."""
        return b'{"type":"none"}'

    def take(
        self, instrument: Instrument, side: int, ticks: int, lots: int, owner: str
    ) -> list[Match]:
        """Match an order of ours with the levels shown, less what we took of them before."""
        matches = []
        for level in self._levels.get(instrument.id, {1: [], -1: []})[-side]:
            if lots == 0 or (level[0] - ticks) * side > 0:
                break
            traded = min(lots, level[2])
            if traded:
                level[2] -= traded
                lots -= traded
                matches.append(Match(level[0], traded, ""))
        return matches

    def rest(self, instrument: Instrument, order: Resting) -> bool:
        """A tape does not know our place in its queues: orders do not rest here."""
        return False

    def cancel(self, instrument: Instrument, order: Resting) -> bool:
        """Nothing rests here."""
        return False
