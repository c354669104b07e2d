"""Bars the slow way: keeps the trades of the open bar and computes a bar from them when it closes."""

from typing import NamedTuple

TIME, TICK, VOLUME, DOLLAR = 1, 2, 3, 4
FILL_MAX = CLOSED_MAX = 10_000
INT64_MAX = (1 << 63) - 1
Row = tuple[int, int, int, int, int, int, int, int, int, int, int]


class Part(NamedTuple):
    """A trade, or what of it is in one bar."""

    ts_ns: int
    ticks: int
    lots: int
    side: int


class BarBuilder:
    """The same contract as `ext.bars.BarBuilder`."""

    def __init__(self, kind: int, size: int, fill_gaps: bool = False) -> None:
        self.kind, self.size, self.fill_gaps = kind, size, fill_gaps
        self.parts: list[Part] = []
        self.start_ns = self.end_ns = self.last_ticks = 0
        self.gaps = self.late = self.unfilled = 0

    def add(self, ts_ns: int, ticks: int, lots: int, taker_side: int) -> tuple[Row, ...]:
        """Take a trade; the bars that it closed."""
        trade = Part(ts_ns, ticks, lots, taker_side)
        if not 0 <= ts_ns < 1 << 62 or ticks <= 0 or lots <= 0 or taker_side not in (-1, 0, 1):
            raise ValueError(trade)
        return tuple(self._timed(trade) if self.kind == TIME else self._counted(trade))

    def _timed(self, trade: Part) -> list[Row]:
        closed = []
        if not self.parts or trade.ts_ns >= self.start_ns + self.size:
            if self.parts:
                closed.append(self._close(self.start_ns + self.size))
            start_ns = max(trade.ts_ns // self.size * self.size, self.end_ns)
            closed += self._fill(start_ns)
            self.start_ns = start_ns
        elif sum(part.lots for part in self.parts) + trade.lots > INT64_MAX:
            raise OverflowError(trade)
        self.late += trade.ts_ns < self.start_ns
        self.parts.append(trade)
        return closed

    def _counted(self, trade: Part) -> list[Row]:
        held = sum(part.lots for part in self.parts)
        if self.kind != VOLUME and held + trade.lots > INT64_MAX:
            raise OverflowError(trade)
        if self.kind == VOLUME and (held + trade.lots) // self.size > CLOSED_MAX:
            raise OverflowError(trade)
        self.late += trade.ts_ns < (self.start_ns if self.parts else self.end_ns)
        closed = []
        left = trade.lots
        while left:
            if not self.parts:
                self.start_ns = max(trade.ts_ns, self.end_ns)
                held = 0
            part = min(left, self.size - held) if self.kind == VOLUME else left
            self.parts.append(trade._replace(lots=part))
            left -= part
            held += part
            if self._is_full():
                closed.append(self._close(max(self.start_ns, *(p.ts_ns for p in self.parts))))
        return closed

    def _is_full(self) -> bool:
        if self.kind == TICK:
            return len(self.parts) == self.size
        if self.kind == VOLUME:
            return sum(part.lots for part in self.parts) == self.size
        return sum(part.ticks * part.lots for part in self.parts) >= self.size

    def _close(self, end_ns: int) -> Row:
        row = self._row(end_ns)
        self.end_ns, self.last_ticks = end_ns, self.parts[-1].ticks
        self.parts, self.gaps = [], 0
        return row

    def _row(self, end_ns: int) -> Row:
        prices = [part.ticks for part in self.parts]
        return (
            self.start_ns,
            end_ns,
            prices[0],
            max(prices),
            min(prices),
            prices[-1],
            sum(part.lots for part in self.parts),
            sum(part.lots for part in self.parts if part.side == 1),
            sum(part.ticks * part.lots for part in self.parts),
            len(self.parts),
            self.gaps,
        )

    def _fill(self, until_ns: int) -> list[Row]:
        """Flat bars from the last bar's end on."""
        if not (self.fill_gaps and self.last_ticks) or until_ns < self.end_ns + self.size:
            return []
        count = (until_ns - self.end_ns) // self.size
        flat = []
        if count > FILL_MAX:
            self.unfilled += count
            self.end_ns += count * self.size
            return []
        for _ in range(count):
            start_ns, self.end_ns = self.end_ns, self.end_ns + self.size
            flat.append((start_ns, self.end_ns, *[self.last_ticks] * 4, 0, 0, 0, 0, self.gaps))
            self.gaps = 0
        return flat

    def close_until(self, now_ns: int) -> tuple[Row, ...]:
        """The TIME bars that ended by `now_ns`."""
        if not 0 <= now_ns < 1 << 62:
            raise ValueError(now_ns)
        if self.kind != TIME or (self.parts and now_ns < self.start_ns + self.size):
            return ()
        closed = [self._close(self.start_ns + self.size)] if self.parts else []
        return (*closed, *self._fill(now_ns))

    @property
    def due_ns(self) -> int:
        """When the next TIME bar is to be closed; 0 while none is."""
        if self.kind != TIME:
            return 0
        if self.parts:
            return self.start_ns + self.size
        return self.end_ns + self.size if self.fill_gaps and self.last_ticks else 0

    @property
    def current(self) -> Row | None:
        """The open bar so far."""
        if not self.parts:
            return None
        last_ns = max(self.start_ns, *(part.ts_ns for part in self.parts))
        return self._row(self.start_ns + self.size if self.kind == TIME else last_ns)

    def mark_gap(self) -> None:
        """Trades are missing here."""
        self.gaps += 1

    def reset(self) -> None:
        """Drop the open bar and the last close."""
        self.parts, self.last_ticks = [], 0
        self.gaps += 1
