"""OHLCV bars from trades: by time, by number of trades, by volume and by notional, exactly.

Ticks and lots are int64, a bar's notional (the sum of ticks times lots) has 128 bits. A bar's lots
fit int64, so its notional is below 2 ** 126 and cannot overflow; lots that do not fit are refused.

How each kind closes. Sources: Lopez de Prado, Advances in Financial Machine Learning (2018), 2.3;
NautilusTrader 1.221, data/aggregation.

- TIME, `size` ns: intervals are aligned to the epoch, [k * size, (k + 1) * size). A trade of a later
  interval closes the bar, or `close_until` does. Intervals without a trade give no bar, or, with
  `fill_gaps`, a flat one at the last close: FILL_MAX of them in a row at the most, for a clock that
  jumps must not fill the memory; a longer hole is left open and counted in `unfilled`.
- TICK, `size` trades: the trade that is the last one closes the bar.
- VOLUME, `size` lots: every bar holds exactly `size` lots. A trade that crosses the threshold is
  split, as NautilusTrader does it; its rest opens the next bar, and it counts as a trade in each bar
  that holds a part of it. One that would close more than CLOSED_MAX bars is refused.
- DOLLAR, `size` ticks times lots: the trade that reaches the threshold closes the bar and is in it
  as a whole, as with Lopez de Prado, so the notional is `size` or more; nothing is carried over. A
  split would be exact only where the price divides what is missing; that the form of a bar hung on
  such an accident of arithmetic would be worse than a threshold passed by part of a trade.

Time. Trades are taken in the order in which they come and are never sorted. One that is older than
the start of the bar it falls into is late: it is folded into that bar and counted. No bar begins
before the one before it ended.

Gaps. A bar does not know by itself that a trade is missing; who knows says `mark_gap`, and the open
bar, or the next one, carries it.

Worst case. A trade costs O(bars closed by it); all memory is one array of closed rows that are
handed out at once, and grows by doubling. Every call happens whole or raises and changes nothing,
`add_many` included: the state is one struct, kept aside meanwhile.
"""

cimport cython
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

import struct
import sys
from array import array

TIME = 1
TICK = 2
VOLUME = 3
DOLLAR = 4
FIELDS = (
    "open_ns", "close_ns", "open", "high", "low", "close", "lots", "buy_lots", "notional",
    "count", "gaps",
)
COLUMNS = (
    "open_ns", "close_ns", "open", "high", "low", "close", "lots", "buy_lots", "notional_low",
    "notional_high", "count", "gaps",
)
BarRow = tuple     # of FIELDS, as the types of the .pyi say
FILL_MAX = 10_000
CLOSED_MAX = 10_000

cdef int64_t INTERVAL_MAX = <int64_t> 1 << 61       # so that start + interval fits
cdef int64_t C_FILL_MAX = FILL_MAX
cdef int64_t C_CLOSED_MAX = CLOSED_MAX

# magic, version, kind, fill_gaps, size low and high; the open row; floor, last, late, unfilled
DUMP = struct.Struct("<4sHBBQq8qQq2q4q")
MAGIC = b"BARS"
VERSION = 1

if sys.byteorder != "little":
    raise ImportError("ext.bars reads its rows as little-endian int64")

cdef extern from *:
    bint add_overflows "__builtin_add_overflow"(int64_t, int64_t, int64_t*) nogil

cdef enum Outcome:
    TAKEN = 0
    BAD_TIME = 1
    BAD_TRADE = 2
    TOO_LARGE = 3      # lots of a bar beyond int64, or bars of a trade beyond CLOSED_MAX
    NO_MEMORY = 4

cdef Py_ssize_t ROW_NUMBERS = len(COLUMNS)
if sizeof(Row) != ROW_NUMBERS * sizeof(int64_t):
    raise ImportError("ext.bars: the compiler pads its rows")


cdef inline object wide(int128 number):
    """128 bits as a Python int; most fit 64."""
    cdef int64_t high = <int64_t> (number >> 64)
    cdef uint64_t low = <uint64_t> number
    return (<object> high << 64) | low if high else low


cdef tuple row_of(const Row* bar):
    """A row as FIELDS names it."""
    return (
        bar.open_ns, bar.close_ns, bar.open, bar.high, bar.low, bar.close, bar.lots, bar.buy_lots,
        wide(bar.notional), bar.count, bar.gaps,
    )


cdef int refuse(int outcome) except -1:
    """Raise what an outcome other than TAKEN means."""
    if outcome == BAD_TIME:
        raise ValueError("ts_ns: 0 to 2 ** 62 - 1")
    if outcome == BAD_TRADE:
        raise ValueError("a trade has ticks and lots above 0 and a taker side of 1, -1 or 0")
    if outcome == TOO_LARGE:
        raise OverflowError(f"lots beyond a bar's 64 bits, or more than {CLOSED_MAX} bars a trade")
    raise MemoryError("no memory for the closed bars")


@cython.final
cdef class BarBuilder:
    """Builds the bars of one instrument, of one kind and size; see the module."""

    def __cinit__(self, int kind, object size, bint fill_gaps=False):
        if not TIME <= kind <= DOLLAR:
            raise ValueError(f"kind: TIME, TICK, VOLUME or DOLLAR, not {kind}")
        most = INTERVAL_MAX if kind == TIME else (1 << 126) if kind == DOLLAR else (1 << 63) - 1
        if not 0 < size <= most:
            raise ValueError(f"size: 1 to {most}, not {size}")
        if fill_gaps and kind != TIME:
            raise ValueError("fill_gaps: only TIME bars have empty intervals")
        self.kind = kind
        self.size = size
        self.fill_gaps = fill_gaps
        self.threshold = (<int128> <int64_t> (size >> 64) << 64) + <uint64_t> (size & ((1 << 64) - 1))
        self.step = 0 if kind == DOLLAR else size

    def __dealloc__(self):
        free(self.rows)

    cdef int reserve(self, int64_t more) noexcept nogil:
        """Room for closed rows; afterwards nothing can fail any more."""
        cdef Py_ssize_t room = self.row_room
        cdef Row* grown
        if self.row_count + more <= room:
            return TAKEN
        while room < self.row_count + more:
            room = room * 2 if room else 16
        grown = <Row*> realloc(self.rows, room * sizeof(Row))
        if grown is NULL:
            return NO_MEMORY
        self.rows, self.row_room = grown, room
        return TAKEN

    cdef void close(self) noexcept nogil:
        """The open bar is done."""
        cdef State* state = &self.state
        self.rows[self.row_count] = state.bar
        self.row_count += 1
        state.floor_ns = state.bar.close_ns
        state.last_ticks = state.bar.close
        memset(&state.bar, 0, sizeof(Row))

    cdef void fill(self, int64_t count) noexcept nogil:
        """The next `count` intervals were empty: flat bars, or a hole where there are too many."""
        cdef State* state = &self.state
        if count > C_FILL_MAX:
            state.unfilled += count
            state.floor_ns += count * self.step
            return
        while count > 0:
            begin(&state.bar, state.floor_ns, state.floor_ns + self.step, state.last_ticks)
            self.close()
            count -= 1

    cdef int take_time(self, int64_t ts_ns, int64_t ticks, int64_t lots, int side) noexcept nogil:
        """See `take`, for TIME."""
        cdef State* state = &self.state
        cdef bint closes = state.bar.count > 0 and ts_ns >= state.bar.close_ns
        cdef int64_t floor_ns, last_ticks, start_ns, empty = 0, total
        if state.bar.count > 0 and not closes:
            if add_overflows(state.bar.lots, lots, &total):
                return TOO_LARGE
        else:
            floor_ns = state.bar.close_ns if closes else state.floor_ns
            last_ticks = state.bar.close if closes else state.last_ticks
            start_ns = max(ts_ns - ts_ns % self.step, floor_ns)
            if self.fill_gaps and last_ticks:
                empty = (start_ns - floor_ns) // self.step
            if self.reserve(1 + min(empty, C_FILL_MAX)) != TAKEN:
                return NO_MEMORY
            if closes:
                self.close()
            self.fill(empty)
            begin(&state.bar, start_ns, start_ns + self.step, ticks)
        state.late += ts_ns < state.bar.open_ns
        fold(&state.bar, ts_ns, ticks, lots, side)
        return TAKEN

    cdef int take_volume(self, int64_t ts_ns, int64_t ticks, int64_t lots, int side) noexcept nogil:
        """See `take`, for VOLUME: a trade is split at every bar's end."""
        cdef State* state = &self.state
        cdef int64_t room = self.step - state.bar.lots, open_ns, part
        cdef int64_t closing = 0 if lots < room else 1 + (lots - room) // self.step
        if closing > C_CLOSED_MAX:
            return TOO_LARGE
        if self.reserve(closing) != TAKEN:
            return NO_MEMORY
        # Late is said once of a trade, whatever the number of its parts.
        state.late += ts_ns < (state.bar.open_ns if state.bar.count else state.floor_ns)
        while lots > 0:
            if state.bar.count == 0:
                open_ns = max(ts_ns, state.floor_ns)
                begin(&state.bar, open_ns, open_ns, ticks)
            part = min(lots, self.step - state.bar.lots)
            fold(&state.bar, ts_ns, ticks, part, side)
            lots -= part
            if state.bar.lots == self.step:
                self.close()
        return TAKEN

    cdef int take_whole(self, int64_t ts_ns, int64_t ticks, int64_t lots, int side) noexcept nogil:
        """See `take`, for TICK and DOLLAR: a trade is in one bar."""
        cdef State* state = &self.state
        cdef int64_t open_ns, total
        cdef bint full
        if add_overflows(state.bar.lots, lots, &total):
            return TOO_LARGE
        if self.reserve(1) != TAKEN:
            return NO_MEMORY
        if state.bar.count == 0:
            open_ns = max(ts_ns, state.floor_ns)
            begin(&state.bar, open_ns, open_ns, ticks)
        state.late += ts_ns < state.bar.open_ns
        fold(&state.bar, ts_ns, ticks, lots, side)
        if self.kind == C_TICK:
            full = state.bar.count == self.step
        else:
            full = state.bar.notional >= self.threshold
        if full:
            self.close()
        return TAKEN

    cdef int take(self, int64_t ts_ns, int64_t ticks, int64_t lots, int64_t side) noexcept nogil:
        """Take a trade; the bars it closes are appended to the rows. Whole, or nothing changed."""
        if not 0 <= ts_ns <= <int64_t> NS_LAST:
            return BAD_TIME
        if ticks <= 0 or lots <= 0 or not -1 <= side <= 1:
            return BAD_TRADE
        if self.kind == C_TIME:
            return self.take_time(ts_ns, ticks, lots, <int> side)
        if self.kind == C_VOLUME:
            return self.take_volume(ts_ns, ticks, lots, <int> side)
        return self.take_whole(ts_ns, ticks, lots, <int> side)

    cdef tuple hand_out(self):
        """The closed rows, which are then forgotten."""
        cdef Py_ssize_t i, count = self.row_count
        self.row_count = 0
        return tuple([row_of(&self.rows[i]) for i in range(count)])

    def add(self, int64_t ts_ns, int64_t ticks, int64_t lots, int64_t taker_side) -> tuple:
        """Take a trade; the bars that it closed, oldest first, each a tuple of FIELDS.

        `taker_side` is 1 where the taker bought, -1 where it sold, 0 where nobody knows. Raises
        ValueError for a trade that cannot be and OverflowError for one that no bar can hold, and
        then changes nothing.
        """
        cdef int outcome = self.take(ts_ns, ticks, lots, taker_side)
        if outcome != TAKEN:
            refuse(outcome)
        return self.hand_out() if self.row_count else ()

    def add_many(
        self, const int64_t[::1] ts_ns, const int64_t[::1] ticks, const int64_t[::1] lots,
        const int64_t[::1] taker_side,
    ) -> dict:
        """Take trades from flat int64 buffers, in order; the closed bars as columns.

        The columns are `array.array`s named by COLUMNS, all int64 but `notional_low`, which is
        uint64: a notional is high * 2 ** 64 + low. The same bars as `add` gives, trade by trade;
        errors are those of `add` and leave the builder as it was before the first trade.
        """
        cdef Py_ssize_t i, count = ts_ns.shape[0]
        cdef int outcome = TAKEN
        cdef State before = self.state
        if not count == ticks.shape[0] == lots.shape[0] == taker_side.shape[0]:
            raise ValueError("ts_ns, ticks, lots and taker_side: of one length")
        try:
            with nogil:
                for i in range(count):
                    outcome = self.take(ts_ns[i], ticks[i], lots[i], taker_side[i])
                    if outcome != TAKEN:
                        self.state = before
                        break
            if outcome != TAKEN:
                refuse(outcome)
            return self.columns()
        finally:
            self.row_count = self.row_room = 0
            free(self.rows)
            self.rows = NULL

    cdef dict columns(self):
        """The closed rows, a column after another."""
        cdef Py_ssize_t i, place
        cdef const int64_t* numbers = <const int64_t*> self.rows
        cdef int64_t[::1] column
        cdef dict found = {}
        for place, name in enumerate(COLUMNS):
            kept = array("q", bytes(8 * self.row_count))
            column = kept
            for i in range(self.row_count):
                column[i] = numbers[i * ROW_NUMBERS + place]
            found[name] = array("Q", kept.tobytes()) if name == "notional_low" else kept
        return found

    def close_until(self, int64_t now_ns) -> tuple:
        """The TIME bars that ended by `now_ns`, as `add` gives them; other kinds never end so."""
        cdef State* state = &self.state
        cdef bint ended = state.bar.count > 0 and state.bar.close_ns <= now_ns
        cdef int64_t floor_ns, empty = 0
        if not 0 <= now_ns <= <int64_t> NS_LAST:
            refuse(BAD_TIME)
        if self.kind != C_TIME or (state.bar.count and not ended):
            return ()
        floor_ns = state.bar.close_ns if ended else state.floor_ns
        if self.fill_gaps and (ended or state.last_ticks) and now_ns > floor_ns:
            empty = (now_ns - floor_ns) // self.step
        if self.reserve(ended + min(empty, C_FILL_MAX)) != TAKEN:
            refuse(NO_MEMORY)
        if ended:
            self.close()
        self.fill(empty)
        return self.hand_out()

    @property
    def due_ns(self) -> int:
        """When the next TIME bar is to be closed by `close_until`; 0 while none is."""
        if self.kind != C_TIME:
            return 0
        if self.state.bar.count:
            return self.state.bar.close_ns
        return self.state.floor_ns + self.step if self.fill_gaps and self.state.last_ticks else 0

    @property
    def late(self) -> int:
        """Trades older than the start of the bar that took them."""
        return self.state.late

    @property
    def unfilled(self) -> int:
        """Empty intervals that got no flat bar, since they were more than FILL_MAX in a row."""
        return self.state.unfilled

    @property
    def current(self) -> tuple | None:
        """The open bar so far, as FIELDS; None without one. A TIME bar's close_ns is its end."""
        return row_of(&self.state.bar) if self.state.bar.count else None

    def mark_gap(self) -> None:
        """Trades are known to be missing here: the open bar, else the next, counts it in `gaps`."""
        self.state.bar.gaps += 1

    def reset(self) -> None:
        """Drop the open bar and the last close, for their grid is void; the next bar has a gap."""
        cdef int64_t gaps = self.state.bar.gaps + 1
        memset(&self.state.bar, 0, sizeof(Row))
        self.state.bar.gaps = gaps
        self.state.last_ticks = 0

    def dump(self) -> bytes:
        """The whole state as bytes; `load` gives it back exactly. Equal builders, equal bytes."""
        cdef Row* bar = &self.state.bar
        cdef State* state = &self.state
        return DUMP.pack(
            MAGIC, VERSION, self.kind, self.fill_gaps, self.size & ((1 << 64) - 1), self.size >> 64,
            bar.open_ns, bar.close_ns, bar.open, bar.high, bar.low, bar.close, bar.lots,
            bar.buy_lots, <uint64_t> bar.notional, <int64_t> (bar.notional >> 64), bar.count,
            bar.gaps, state.floor_ns, state.last_ticks, state.late, state.unfilled,
        )

    def load(self, bytes data not None) -> None:
        """Become what `dump` of a builder of this kind and size wrote.

        Raises ValueError on other bytes and then changes nothing.
        """
        cdef State found
        if len(data) != DUMP.size or data[:4] != MAGIC:
            raise ValueError(f"not the dump of a bar builder ({len(data)} bytes)")
        _, version, kind, fill_gaps, low, high, *row = DUMP.unpack(data)
        if version != VERSION:
            raise ValueError(f"a dump of version {version}, not {VERSION}")
        size = (high << 64) | low
        if (kind, size, bool(fill_gaps)) != (self.kind, self.size, self.fill_gaps):
            raise ValueError(f"a dump of kind {kind}, size {size}, fill_gaps {bool(fill_gaps)}")
        memset(&found, 0, sizeof(State))
        (found.bar.open_ns, found.bar.close_ns, found.bar.open, found.bar.high, found.bar.low,
         found.bar.close, found.bar.lots, found.bar.buy_lots) = row[:8]
        found.bar.notional = (<int128> <int64_t> row[9] << 64) + <uint64_t> row[8]
        found.bar.count, found.bar.gaps = row[10:12]
        found.floor_ns, found.last_ticks, found.late, found.unfilled = row[12:]
        if not is_sound(&found, self.kind, self.step, self.threshold):
            raise ValueError("a dump of a state that no trades give")
        self.state = found
