"""The state of a bar builder and what a trade does to an open bar; see `bars.pyx`."""

from libc.stdint cimport int64_t

cdef extern from *:
    """
    typedef __int128 bars_int128;
    """
    ctypedef long long int128 "bars_int128"

cdef enum:
    C_TIME = 1
    C_TICK = 2
    C_VOLUME = 3
    NS_LAST = 0x3FFFFFFFFFFFFFFF   # 2 ** 62 - 1, a time in the year 2116

cdef struct Row:        # as COLUMNS: twelve int64 on a little-endian machine
    int64_t open_ns
    int64_t close_ns
    int64_t open
    int64_t high
    int64_t low
    int64_t close
    int64_t lots
    int64_t buy_lots
    int128 notional
    int64_t count
    int64_t gaps

cdef struct State:
    Row bar             # the open one; a count of 0 is none, and then only its gaps mean something
    int64_t floor_ns    # where the last bar ended: no later one begins before
    int64_t last_ticks  # the close of the last bar; 0 without one
    int64_t late
    int64_t unfilled

cdef inline void begin(Row* bar, int64_t open_ns, int64_t close_ns, int64_t ticks) noexcept nogil:
    """Open a bar at a price; the gaps marked before it stay."""
    bar.open_ns = open_ns
    bar.close_ns = close_ns
    bar.open = bar.high = bar.low = bar.close = ticks


cdef inline void fold(
    Row* bar, int64_t ts_ns, int64_t ticks, int64_t lots, int side
) noexcept nogil:
    """A trade, or a part of it, joins the open bar."""
    if ticks > bar.high:
        bar.high = ticks
    if ticks < bar.low:
        bar.low = ticks
    bar.close = ticks
    bar.lots += lots
    if side > 0:
        bar.buy_lots += lots
    bar.notional += <int128> ticks * <int128> lots
    bar.count += 1
    if ts_ns > bar.close_ns:
        bar.close_ns = ts_ns


cdef inline bint is_sound(
    const State* state, int kind, int64_t step, int128 threshold
) noexcept nogil:
    """Whether a state can have come from trades."""
    cdef const Row* bar = &state.bar
    if bar.gaps < 0 or state.late < 0 or state.unfilled < 0 or state.last_ticks < 0:
        return False
    if not (0 <= state.floor_ns <= <int64_t> NS_LAST and bar.open_ns <= <int64_t> NS_LAST):
        return False
    if bar.count == 0:
        return bar.open_ns == bar.close_ns == bar.lots == bar.high == 0 and bar.notional == 0
    if not (bar.count > 0 and 0 < bar.low <= bar.open <= bar.high):
        return False
    if not bar.low <= bar.close <= bar.high:
        return False
    if not (0 <= bar.buy_lots <= bar.lots and bar.lots > 0 and bar.open_ns >= state.floor_ns):
        return False
    if not <int128> bar.low * bar.lots <= bar.notional <= <int128> bar.high * bar.lots:
        return False
    if kind == C_TIME:
        return bar.close_ns - bar.open_ns == step and bar.open_ns % step == 0
    if bar.close_ns < bar.open_ns:
        return False
    if kind == C_TICK:
        return bar.count < step
    return bar.lots < step if kind == C_VOLUME else bar.notional < threshold


cdef class BarBuilder:
    cdef State state
    cdef int64_t step          # the size where it is 64 bits: TIME, TICK, VOLUME
    cdef int128 threshold      # the size of DOLLAR
    cdef Row* rows             # closed by the call at hand
    cdef Py_ssize_t row_count
    cdef Py_ssize_t row_room
    cdef readonly int kind
    cdef readonly object size
    cdef readonly bint fill_gaps

    cdef int reserve(self, int64_t more) noexcept nogil
    cdef void close(self) noexcept nogil
    cdef void fill(self, int64_t count) noexcept nogil
    cdef int take_time(self, int64_t ts_ns, int64_t ticks, int64_t lots, int side) noexcept nogil
    cdef int take_volume(self, int64_t ts_ns, int64_t ticks, int64_t lots, int side) noexcept nogil
    cdef int take_whole(self, int64_t ts_ns, int64_t ticks, int64_t lots, int side) noexcept nogil
    cdef int take(self, int64_t ts_ns, int64_t ticks, int64_t lots, int64_t side) noexcept nogil
    cdef tuple hand_out(self)
    cdef dict columns(self)
