"""The book channel: snapshots, changes within a depth, and the CRC-32 of the ten best levels a side.

A view is what every subscriber of one depth of one market holds. A level that falls out of the depth is
not told, one that comes into it is. Source: https://docs.kraken.com/api/docs/guides/spot-ws-book-v2
"""

from collections.abc import Iterable, Sequence
from zlib import crc32

import msgspec

from engine.exchange.market import Market
from engine.exchange.wires.kraken_words import Pair, rfc3339
from engine.messages import BUY, SELL

DEPTHS = (10, 25, 100, 500, 1000)
SUMMED = 10

Levels = Sequence[tuple[int, int]]


def checksum(pair: Pair, bids: Levels, asks: Levels) -> int:
    """The digits of price and volume of the best asks, then the best bids, without leading zeros."""
    tick, lot = pair.instrument.tick_parts[0], pair.instrument.lot_parts[0]
    digits = [
        f"{ticks * tick}{lots * lot}" for side in (asks, bids) for ticks, lots in side[:SUMMED]
    ]
    return crc32("".join(digits).encode())


class View:
    """See the module. It begins as the book is now."""

    __slots__ = ("_asks", "_bids", "_depth", "_market", "_pair", "_symbol")

    def __init__(self, pair: Pair, market: Market, depth: int) -> None:
        self._pair = pair
        self._market = market
        self._depth = depth
        self._symbol = msgspec.json.encode(pair.symbol).decode()
        self._bids: Levels
        self._asks: Levels
        self._bids, self._asks = market.depth(depth)

    def snapshot(self, now_ns: int) -> bytes:
        """All levels as they were last told; who has other subscribers asks for an update before."""
        return self._frame("snapshot", self._bids, self._asks, now_ns)

    def update(self, now_ns: int) -> bytes | None:
        """What changed since the last update; None when nothing did."""
        before = self._bids, self._asks
        self._bids, self._asks = self._market.depth(self._depth)
        bids = self._changes(before[0], self._bids, -1)
        asks = self._changes(before[1], self._asks, 1)
        return self._frame("update", bids, asks, now_ns) if bids or asks else None

    def torn(self, levels: Iterable[tuple[int, int, int]], now_ns: int) -> bytes | None:
        """Some changes alone, after others that were lost: the checksum tells who looks at it."""
        self._bids, self._asks = self._market.depth(self._depth)
        told: dict[int, dict[int, int]] = {BUY: {}, SELL: {}}
        for side, ticks, lots in levels:
            told[side][ticks] = lots
        bids, asks = list(told[BUY].items()), list(told[SELL].items())
        return self._frame("update", bids, asks, now_ns) if bids or asks else None

    def _changes(self, before: Levels, after: Levels, worse: int) -> list[tuple[int, int]]:
        """Levels that are new or other, and as 0 those that are gone and not just beyond the depth."""
        if before == after:
            return []
        held = set(before)
        stays = {ticks for ticks, _ in after}
        last = after[-1][0] if len(after) == self._depth else worse << 62
        gone = [
            (ticks, 0) for ticks, _ in before if ticks not in stays and (ticks - last) * worse < 0
        ]
        return [*gone, *(level for level in after if level not in held)]

    def _frame(self, kind: str, bids: Levels, asks: Levels, now_ns: int) -> bytes:
        instrument = self._pair.instrument
        price, quantity = instrument.ticks_to_price, instrument.lots_to_quantity
        shown = [
            ",".join(f'{{"price":{price(ticks)},"qty":{quantity(lots)}}}' for ticks, lots in side)
            for side in (bids, asks)
        ]
        return (
            f'{{"channel":"book","type":"{kind}","data":[{{"symbol":{self._symbol},'
            f'"bids":[{shown[0]}],"asks":[{shown[1]}],'
            f'"checksum":{checksum(self._pair, self._bids, self._asks)},'
            f'"timestamp":"{rfc3339(now_ns)}"}}]}}'
        ).encode()
