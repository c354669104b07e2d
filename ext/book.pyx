"""One L2 book: price levels in int64 ticks, quantities in int64 lots, and nothing else.

Shape. A side is two flat arrays, keys and lots, sorted so that the touch is the LAST element. The
key of a bid is its price, the key of an ask is its price negated: both sides then ascend towards
the touch, and one set of functions serves both.

Why. Most changes land within a few levels of the touch. A walk from the end finds them in one cache
line, where a tree or a dict chases pointers, and an insert there moves a handful of words. A walk
that has not arrived after WALK levels gives way to a binary search over the rest.

Worst case. Finding is O(log levels) anywhere. Inserting or deleting at the far end moves every
level between it and the touch, O(levels): two memmoves of 8 bytes a level. A shuffled snapshot is
sorted, O(levels log levels).

Memory. A side grows by doubling up to `levels_max` and then refuses: a change beyond it raises and
leaves the book as it was, since a level dropped in silence is one that cannot come back to the top.
Only `truncate` forgets levels, for venues whose protocol says that they no longer maintain them.

Every operation either happens whole or raises and changes nothing, batches over both sides
included. The GIL is held throughout: a call is shorter than handing the GIL over would be. Readers
of JSON call `change_c`, which needs no GIL, from the thread that owns the book.
"""

cimport cython
from cpython.buffer cimport (
    PyBUF_CONTIG, PyBUF_CONTIG_RO, PyBUF_FORMAT, PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint64_t, uintptr_t
from libc.stdlib cimport free, malloc, qsort, realloc
from libc.string cimport memcpy, memmove, memset

import struct
import sys

BID = 1    # the side that buys
ASK = -1   # the side that sells

cdef Py_ssize_t WALK = 16              # levels searched one by one from the touch
cdef Py_ssize_t CAPACITY_FIRST = 64
cdef Py_ssize_t TOP_MAX = 1 << 32      # levels a side that a caller may ask of top_bytes
cdef bytes MAGIC = b"BOOK"
cdef int VERSION = 1
HEADER = struct.Struct("<4sIqqq")      # magic, version, sequence, bid count, ask count

if sys.byteorder != "little":
    raise ImportError("ext.book writes native int64 pairs that its readers take as little-endian")

cdef extern from *:
    bint add_overflows "__builtin_add_overflow"(int64_t, int64_t, int64_t*) nogil

cdef struct Level:
    int64_t key
    int64_t lots
    Py_ssize_t index


# One side: free functions of numbers.

cdef inline Py_ssize_t find(const Side* side, int64_t key) noexcept nogil:
    """Index of the first key that is not below `key`."""
    cdef Py_ssize_t high = side.count, low, middle
    cdef Py_ssize_t stop = high - WALK if high > WALK else 0
    while high > stop and side.keys[high - 1] >= key:
        high -= 1
    if high > stop or high == 0:
        return high
    low = 0
    while low < high:
        middle = (low + high) >> 1
        if side.keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


cdef int reserve(Side* side, Py_ssize_t wanted, Py_ssize_t limit) noexcept nogil:
    """Make room for `wanted` levels by doubling, never beyond `limit`."""
    cdef Py_ssize_t capacity = side.capacity if side.capacity else CAPACITY_FIRST
    cdef void* grown
    if wanted <= side.capacity:
        return CHANGED
    while capacity < wanted:
        capacity *= 2
    capacity = min(capacity, max(limit, wanted))
    grown = realloc(side.keys, capacity * sizeof(int64_t))
    if grown is NULL:
        return NO_MEMORY
    side.keys = <int64_t*>grown
    grown = realloc(side.lots, capacity * sizeof(int64_t))
    if grown is NULL:
        return NO_MEMORY
    side.lots = <int64_t*>grown
    side.capacity = capacity
    return CHANGED


cdef inline int put(Side* side, int64_t key, int64_t lots, Py_ssize_t limit) noexcept nogil:
    """Set one level; 0 lots deletes it. The only code that inserts or removes."""
    cdef Py_ssize_t index = find(side, key)
    cdef Py_ssize_t behind = side.count - index
    if behind > 0 and side.keys[index] == key:
        if lots:
            side.lots[index] = lots
            return CHANGED
        if behind > 1:
            memmove(side.keys + index, side.keys + index + 1, (behind - 1) * sizeof(int64_t))
            memmove(side.lots + index, side.lots + index + 1, (behind - 1) * sizeof(int64_t))
        side.count -= 1
        return CHANGED
    if lots == 0:
        return CHANGED
    if side.count >= limit:
        return BOOK_FULL
    if side.count == side.capacity and reserve(side, side.count + 1, limit) != CHANGED:
        return NO_MEMORY
    if behind:
        memmove(side.keys + index + 1, side.keys + index, behind * sizeof(int64_t))
        memmove(side.lots + index + 1, side.lots + index, behind * sizeof(int64_t))
    side.keys[index] = key
    side.lots[index] = lots
    side.count += 1
    return CHANGED


cdef int put_all(Side* side, int sign, const Batch* batch, Py_ssize_t limit) noexcept nogil:
    """Apply a validated batch in its order."""
    cdef const int64_t* ticks = <const int64_t*>batch.ticks.buf
    cdef const int64_t* lots = <const int64_t*>batch.lots.buf
    cdef Py_ssize_t i
    cdef int outcome
    for i in range(batch.count):
        outcome = put(side, sign * ticks[i], lots[i], limit)
        if outcome != CHANGED:
            return outcome
    return CHANGED


cdef void release(Side* side) noexcept nogil:
    free(side.keys)
    free(side.lots)
    memset(side, 0, sizeof(Side))


cdef int copy_side(Side* target, const Side* source) noexcept nogil:
    """An own copy of `source` in the empty `target`."""
    memset(target, 0, sizeof(Side))
    if source.count == 0:
        return CHANGED
    if reserve(target, source.count, source.count) != CHANGED:
        return NO_MEMORY
    memcpy(target.keys, source.keys, source.count * sizeof(int64_t))
    memcpy(target.lots, source.lots, source.count * sizeof(int64_t))
    target.count = source.count
    return CHANGED


cdef int by_key_then_index(const void* left, const void* right) noexcept nogil:
    cdef const Level* a = <const Level*>left
    cdef const Level* b = <const Level*>right
    if a.key != b.key:
        return -1 if a.key < b.key else 1
    return -1 if a.index < b.index else 1


cdef int gather(Side* side, int sign, const Batch* batch) noexcept nogil:
    """Fill the empty `side` from levels in any order; of doubles the last wins, 0 lots is none."""
    cdef const int64_t* ticks = <const int64_t*>batch.ticks.buf
    cdef const int64_t* lots = <const int64_t*>batch.lots.buf
    cdef Py_ssize_t i, count = batch.count
    cdef bint ascending = True
    cdef Level* levels
    if count == 0:
        return CHANGED
    levels = <Level*>malloc(count * sizeof(Level))
    if levels is NULL or reserve(side, count, count) != CHANGED:
        free(levels)
        return NO_MEMORY
    # Venues send the best level first, so reading backwards usually finds the order we keep.
    for i in range(count):
        levels[i].index = count - 1 - i
        levels[i].key = sign * ticks[count - 1 - i]
        levels[i].lots = lots[count - 1 - i]
        if i and levels[i].key <= levels[i - 1].key:
            ascending = False
    if not ascending:
        qsort(levels, count, sizeof(Level), by_key_then_index)
    for i in range(count):
        if levels[i].lots and (i + 1 == count or levels[i + 1].key != levels[i].key):
            side.keys[side.count] = levels[i].key
            side.lots[side.count] = levels[i].lots
            side.count += 1
    free(levels)
    return CHANGED


cdef void write_top(const Side* side, int sign, Py_ssize_t n, int64_t* out) noexcept nogil:
    """`n` pairs (ticks, lots) from the best on; zeros where the side has no more."""
    cdef Py_ssize_t i, held = min(n, side.count), last = side.count - 1
    for i in range(held):
        out[2 * i] = sign * side.keys[last - i]
        out[2 * i + 1] = side.lots[last - i]
    memset(out + 2 * held, 0, (n - held) * 2 * sizeof(int64_t))


cdef int read_pairs(Side* side, int sign, const int64_t* pairs, Py_ssize_t count) noexcept nogil:
    """Fill the empty `side` from what `write_top` wrote; refuses what it cannot have written."""
    cdef Py_ssize_t i, slot
    if count and reserve(side, count, count) != CHANGED:
        return NO_MEMORY
    for i in range(count):
        if pairs[2 * i] <= 0:
            return BAD_TICKS
        if pairs[2 * i + 1] <= 0:
            return BAD_LOTS
        slot = count - 1 - i
        side.keys[slot] = sign * pairs[2 * i]
        side.lots[slot] = pairs[2 * i + 1]
        if i and side.keys[slot] >= side.keys[slot + 1]:
            return BAD_TICKS
    side.count = count
    return CHANGED


# Buffers: borrowed for one call. Py_buffer costs a third of a typed memoryview.

cdef bint is_int64(const Py_buffer* view) noexcept nogil:
    """Whether the buffer says that its items are native signed 64-bit integers."""
    cdef const char* code = view.format
    if code is NULL or view.itemsize != 8:
        return False
    if code[0] == c"@" or code[0] == c"=" or code[0] == c"<":
        code += 1
    return (code[0] == c"l" or code[0] == c"q") and code[1] == 0


cdef int borrow(object source, Py_buffer* view, bint writable, str name) except -1:
    """A flat int64 view of `source`, or ValueError; the caller releases it either way."""
    try:
        PyObject_GetBuffer(source, view, (PyBUF_CONTIG if writable else PyBUF_CONTIG_RO) | PyBUF_FORMAT)
    except BufferError as error:
        raise ValueError(f"{name}: {error}") from error
    if view.ndim != 1 or not is_int64(view) or <uintptr_t>view.buf & 7:
        raise ValueError(f"{name}: a flat, aligned buffer of int64 is needed")
    return 0


cdef int borrow_batch(Batch* batch, object ticks, object lots, str name) except -1:
    """Borrow a side's two buffers and hold every level against the rules before any is applied."""
    cdef const int64_t* prices
    cdef const int64_t* amounts
    cdef Py_ssize_t i
    cdef uint64_t bad = 0
    borrow(ticks, &batch.ticks, False, "ticks")
    borrow(lots, &batch.lots, False, "lots")
    batch.count = batch.ticks.len >> 3
    if batch.lots.len != batch.ticks.len:
        raise ValueError(f"{name}: {batch.count} ticks but {batch.lots.len >> 3} lots")
    prices = <const int64_t*>batch.ticks.buf
    amounts = <const int64_t*>batch.lots.buf
    for i in range(batch.count):
        bad |= (<uint64_t>prices[i] - 1) | <uint64_t>prices[i] | <uint64_t>amounts[i]
    if bad >> 63 == 0:
        return 0
    for i in range(batch.count):
        if prices[i] <= 0 or amounts[i] < 0:
            raise ValueError(f"{name} level {i}: {prices[i]} ticks, {amounts[i]} lots")


cdef void return_batch(Batch* batch) noexcept:
    PyBuffer_Release(&batch.ticks)
    PyBuffer_Release(&batch.lots)


cdef int refuse(int outcome, Py_ssize_t levels_max) except -1:
    """Raise what an outcome other than CHANGED means."""
    if outcome == BAD_SIDE:
        raise ValueError("side: BID (1) or ASK (-1)")
    if outcome == BAD_TICKS:
        raise ValueError("ticks: above 0, in order of price")
    if outcome == BAD_LOTS:
        raise ValueError("lots: below 0, or 0 in a dump")
    if outcome == BOOK_FULL:
        raise OverflowError(f"the book holds at most {levels_max} levels a side")
    raise MemoryError("no memory for the book's levels")


@cython.final
cdef class Book:
    """Both sides of one instrument's book and the venue's sequence number applied last."""

    def __cinit__(self, Py_ssize_t levels_max=1 << 20):
        if not 0 < levels_max <= TOP_MAX:
            raise ValueError(f"levels_max: 1 to {TOP_MAX}, not {levels_max}")
        self.levels_max = levels_max

    def __dealloc__(self):
        release(&self.bid)
        release(&self.ask)

    cdef int change_c(self, int side, int64_t ticks, int64_t lots) noexcept nogil:
        """Set one level; the outcome says what was wrong, and then nothing changed."""
        if ticks <= 0:
            return BAD_TICKS
        if lots < 0:
            return BAD_LOTS
        if side == 1:
            return put(&self.bid, ticks, lots, self.levels_max)
        if side == -1:
            return put(&self.ask, -ticks, lots, self.levels_max)
        return BAD_SIDE

    cdef int replace_sides(self, Side* bid, Side* ask) except -1:
        """Take over two finished sides, or raise and leave them to the caller."""
        if bid.count > self.levels_max or ask.count > self.levels_max:
            refuse(BOOK_FULL, self.levels_max)
        release(&self.bid)
        release(&self.ask)
        self.bid, self.ask = bid[0], ask[0]
        memset(bid, 0, sizeof(Side))
        memset(ask, 0, sizeof(Side))
        return 0

    cdef int put_batches(self, Batch* bids, Batch* asks) except -1:
        """Apply both sides' batches whole, or raise with the book as it was."""
        cdef Side bid, ask
        cdef int outcome
        cdef Py_ssize_t bid_room = self.bid.count + bids.count
        cdef Py_ssize_t ask_room = self.ask.count + asks.count
        if bid_room <= self.levels_max and ask_room <= self.levels_max:
            # Room for every level to be new is made first, so nothing below can fail.
            outcome = reserve(&self.bid, bid_room, self.levels_max)
            if outcome == CHANGED:
                outcome = reserve(&self.ask, ask_room, self.levels_max)
            if outcome == CHANGED:
                put_all(&self.bid, 1, bids, self.levels_max)
                put_all(&self.ask, -1, asks, self.levels_max)
                return 0
            return refuse(outcome, self.levels_max)
        memset(&ask, 0, sizeof(Side))
        outcome = copy_side(&bid, &self.bid)
        if outcome == CHANGED:
            outcome = copy_side(&ask, &self.ask)
        if outcome == CHANGED:
            outcome = put_all(&bid, 1, bids, self.levels_max)
        if outcome == CHANGED:
            outcome = put_all(&ask, -1, asks, self.levels_max)
        if outcome == CHANGED:
            self.replace_sides(&bid, &ask)
        release(&bid)
        release(&ask)
        return 0 if outcome == CHANGED else refuse(outcome, self.levels_max)

    def change(self, int side, int64_t ticks, int64_t lots):
        """Set the quantity that rests at one price; 0 lots deletes the level."""
        cdef int outcome = self.change_c(side, ticks, lots)
        if outcome != CHANGED:
            refuse(outcome, self.levels_max)

    def add(self, int side, int64_t ticks, int64_t lots_delta):
        """Add to the quantity that rests at one price; what would fall below 0 raises."""
        cdef int64_t lots = self.lots_at(side, ticks)
        if add_overflows(lots, lots_delta, &lots):
            raise OverflowError(f"lots at {ticks} ticks leave int64")
        cdef int outcome = self.change_c(side, ticks, lots)
        if outcome != CHANGED:
            refuse(outcome, self.levels_max)

    def apply(self, int side, ticks, lots):
        """Set a batch of levels of one side, in order, from two flat int64 buffers."""
        cdef Batch batch, none
        if side != 1 and side != -1:
            refuse(BAD_SIDE, self.levels_max)
        memset(&batch, 0, sizeof(Batch))
        memset(&none, 0, sizeof(Batch))
        try:
            borrow_batch(&batch, ticks, lots, "batch")
            if side == 1:
                self.put_batches(&batch, &none)
            else:
                self.put_batches(&none, &batch)
        finally:
            return_batch(&batch)

    def update(self, bid_ticks, bid_lots, ask_ticks, ask_lots):
        """Set a batch of levels of both sides, whole or not at all: one venue diff."""
        cdef Batch bids, asks
        memset(&bids, 0, sizeof(Batch))
        memset(&asks, 0, sizeof(Batch))
        try:
            borrow_batch(&bids, bid_ticks, bid_lots, "bid")
            borrow_batch(&asks, ask_ticks, ask_lots, "ask")
            self.put_batches(&bids, &asks)
        finally:
            return_batch(&bids)
            return_batch(&asks)

    def snapshot(self, bid_ticks, bid_lots, ask_ticks, ask_lots):
        """Replace both sides by levels in any order; of doubles the last wins, 0 lots is none."""
        cdef Batch bids, asks
        cdef Side bid, ask
        cdef int outcome
        memset(&bids, 0, sizeof(Batch))
        memset(&asks, 0, sizeof(Batch))
        memset(&bid, 0, sizeof(Side))
        memset(&ask, 0, sizeof(Side))
        try:
            borrow_batch(&bids, bid_ticks, bid_lots, "bid")
            borrow_batch(&asks, ask_ticks, ask_lots, "ask")
            outcome = gather(&bid, 1, &bids)
            if outcome == CHANGED:
                outcome = gather(&ask, -1, &asks)
            if outcome != CHANGED:
                refuse(outcome, self.levels_max)
            self.replace_sides(&bid, &ask)
        finally:
            return_batch(&bids)
            return_batch(&asks)
            release(&bid)
            release(&ask)

    def clear(self):
        """Forget every level; the sequence number stays."""
        self.bid.count = 0
        self.ask.count = 0

    def truncate(self, Py_ssize_t depth):
        """Keep the best `depth` levels a side and return how many were forgotten."""
        cdef Side* side
        cdef Py_ssize_t surplus, forgotten = 0
        if depth <= 0:
            raise ValueError(f"depth: above 0, not {depth}")
        for side in (&self.bid, &self.ask):
            surplus = side.count - depth
            if surplus > 0:
                memmove(side.keys, side.keys + surplus, depth * sizeof(int64_t))
                memmove(side.lots, side.lots + surplus, depth * sizeof(int64_t))
                side.count = depth
                forgotten += surplus
        return forgotten

    @property
    def bid_ticks(self):
        """Price of the best bid; 0 when nobody buys."""
        return self.bid.keys[self.bid.count - 1] if self.bid.count else 0

    @property
    def bid_lots(self):
        """Quantity of the best bid; 0 when nobody buys."""
        return self.bid.lots[self.bid.count - 1] if self.bid.count else 0

    @property
    def ask_ticks(self):
        """Price of the best ask; 0 when nobody sells."""
        return -self.ask.keys[self.ask.count - 1] if self.ask.count else 0

    @property
    def ask_lots(self):
        """Quantity of the best ask; 0 when nobody sells."""
        return self.ask.lots[self.ask.count - 1] if self.ask.count else 0

    @property
    def bid_count(self):
        """Levels on the bid side."""
        return self.bid.count

    @property
    def ask_count(self):
        """Levels on the ask side."""
        return self.ask.count

    @property
    def crossed(self):
        """Whether the best bid reaches the best ask: the book is then not to be traded on."""
        if self.bid.count == 0 or self.ask.count == 0:
            return False
        return self.bid.keys[self.bid.count - 1] >= -self.ask.keys[self.ask.count - 1]

    def lots_at(self, int side, int64_t ticks):
        """Quantity that rests at one price; 0 when nothing does."""
        cdef Side* levels = &self.bid if side == 1 else &self.ask
        cdef int64_t key = ticks if side == 1 else -ticks
        cdef Py_ssize_t index
        if side != 1 and side != -1:
            refuse(BAD_SIDE, self.levels_max)
        if ticks <= 0:
            refuse(BAD_TICKS, self.levels_max)
        index = find(levels, key)
        return levels.lots[index] if index < levels.count and levels.keys[index] == key else 0

    def levels(self, int side):
        """All (ticks, lots) of one side, best first: for tests and display."""
        cdef Side* held = &self.bid if side == 1 else &self.ask
        cdef Py_ssize_t i
        if side != 1 and side != -1:
            refuse(BAD_SIDE, self.levels_max)
        return [(side * held.keys[i], held.lots[i]) for i in range(held.count - 1, -1, -1)]

    def top(self, Py_ssize_t n, out):
        """Write `n` bid pairs (ticks, lots) then `n` ask pairs, best first, zeros after the last.

        Returns how many of each are levels.
        """
        cdef Py_buffer view
        memset(&view, 0, sizeof(Py_buffer))
        if not 0 <= n <= TOP_MAX:
            raise ValueError(f"n: 0 to {TOP_MAX}, not {n}")
        try:
            borrow(out, &view, True, "out")
            if view.len < n * 4 * 8:
                raise ValueError(f"out: {4 * n} numbers needed, {view.len >> 3} given")
            write_top(&self.bid, 1, n, <int64_t*>view.buf)
            write_top(&self.ask, -1, n, <int64_t*>view.buf + 2 * n)
        finally:
            PyBuffer_Release(&view)
        return min(n, self.bid.count), min(n, self.ask.count)

    def top_bytes(self, Py_ssize_t n):
        """What `top` writes, as bytes: little-endian int64, 16 a level. The form messages carry."""
        if not 0 <= n <= TOP_MAX:
            raise ValueError(f"n: 0 to {TOP_MAX}, not {n}")
        cdef bytes out = PyBytes_FromStringAndSize(NULL, n * 4 * 8)
        cdef int64_t* pairs = <int64_t*>PyBytes_AS_STRING(out)
        write_top(&self.bid, 1, n, pairs)
        write_top(&self.ask, -1, n, pairs + 2 * n)
        return out

    def dump(self):
        """The whole state: header, bid pairs, ask pairs, best first. Equal books, equal bytes."""
        cdef Py_ssize_t bids = self.bid.count, asks = self.ask.count
        cdef bytes body = PyBytes_FromStringAndSize(NULL, (bids + asks) * 2 * 8)
        cdef int64_t* pairs = <int64_t*>PyBytes_AS_STRING(body)
        write_top(&self.bid, 1, bids, pairs)
        write_top(&self.ask, -1, asks, pairs + 2 * bids)
        return HEADER.pack(MAGIC, VERSION, self.sequence, bids, asks) + body

    def load(self, data):
        """Become the book that was dumped; ValueError on anything `dump` cannot have written."""
        cdef bytes copy = bytes(memoryview(data))
        cdef Side bid, ask
        cdef int outcome
        if len(copy) < HEADER.size:
            raise ValueError(f"a book's dump has {HEADER.size} bytes of header, not {len(copy)}")
        magic, version, sequence, bids, asks = HEADER.unpack_from(copy)
        if magic != MAGIC or version != VERSION:
            raise ValueError(f"not a book's dump of version {VERSION}: {magic!r} {version}")
        if bids < 0 or asks < 0 or len(copy) - HEADER.size != 16 * (bids + asks):
            raise ValueError(f"{bids} bids and {asks} asks do not fit {len(copy)} bytes")
        cdef int64_t* pairs = <int64_t*>(PyBytes_AS_STRING(copy) + <Py_ssize_t>HEADER.size)
        memset(&bid, 0, sizeof(Side))
        memset(&ask, 0, sizeof(Side))
        try:
            outcome = read_pairs(&bid, 1, pairs, bids)
            if outcome == CHANGED:
                outcome = read_pairs(&ask, -1, pairs + 2 * <Py_ssize_t>bids, asks)
            if outcome != CHANGED:
                refuse(outcome, self.levels_max)
            self.replace_sides(&bid, &ask)
            self.sequence = sequence
        finally:
            release(&bid)
            release(&ask)
