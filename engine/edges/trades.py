"""The trades one sender keeps for one reader: in order, bounded, and what is shed is counted.

Conflation would falsify a bar: it needs every trade. Where more wait than fit, the oldest go, and
the reader hears how many of which instrument before it gets those that are left.
"""

from collections import deque
from collections.abc import Iterator

from engine.messages import Trade, TradesShed, encode

TRADES_WAITING = 4096


class TradeQueue:
    """A bounded queue of encoded trades; see the module. `shed` counts since the start."""

    def __init__(self, waiting_max: int = TRADES_WAITING) -> None:
        self.shed = 0
        self._waiting_max = waiting_max
        self._trades: deque[tuple[Trade, bytes]] = deque()
        self._shed: dict[int, TradesShed] = {}

    def __len__(self) -> int:
        return len(self._trades) + len(self._shed)

    def put(self, trade: Trade, data: bytes) -> bool:
        """One more trade; False where the oldest was shed for it."""
        fits = len(self._trades) < self._waiting_max
        if not fits:
            old, _ = self._trades.popleft()
            known = self._shed.get(old.instrument)
            self._shed[old.instrument] = TradesShed(
                old.sender,
                old.sequence,
                old.received_ns,
                old.instrument,
                1 if known is None else known.count + 1,
            )
            self.shed += 1
        self._trades.append((trade, data))
        return fits

    def waiting(self) -> Iterator[bytes]:
        """The messages to send, in order: first what was shed, which is older than all others."""
        for told in self._shed.values():
            yield encode(told)
        for _, data in self._trades:
            yield data

    def drop(self, count: int) -> None:
        """The first `count` of `waiting` were sent."""
        for instrument in list(self._shed)[:count]:
            del self._shed[instrument]
            count -= 1
        for _ in range(count):
            self._trades.popleft()
