"""One L2 book: price levels in int64 ticks, quantities in int64 lots, and nothing else.

Shape. A side is two flat arrays, keys and lots, sorted so that the touch is the LAST element. The
key of a bid is its price, the key of an ask is its price negated: both sides then ascend towards
the touch, and one set of functions serves both.

Why. Most changes land within a few levels of the touch, and the levels of one frame come in the
order of their prices, away from it. So a search looks at the touch first and then goes on from where
the last level was put; it stays in a few cache lines, where a tree or a dict chases pointers.

Dead slots. A deleted level leaves its slot behind with 0 lots. Most prices that go come back, and a
new price near a dead slot takes it over: on recorded Binance frames that spares most of the moves
that a dense array makes. The touch is never dead; nothing that is read ever shows a dead slot.

Worst case. Finding is O(log slots) anywhere. Inserting at the far end, with no dead slot near it,
moves every level between it and the touch, O(slots): two memmoves of 8 bytes a level. A side that is
full of dead slots is swept, O(slots), before it grows. A shuffled snapshot is sorted,
O(levels log levels).

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
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from ext.ladder cimport (
    BAD_LOTS, BAD_SIDE, BAD_TICKS, BOOK_FULL, CHANGED, NO_MEMORY, Side, best_lots, best_ticks,
    copy_side, empty, find, gather, keep_best, make_room, put, put_all, read_pairs, release, write_top,
)

import struct
import sys

BID = 1    # the side that buys
ASK = -1   # the side that sells

cdef enum:          # kinds of a log's rows, as the catalog stores them
    CLEAR = 1
    LEVEL = 2
    TRUNCATE = 5

cdef Py_ssize_t TOP_MAX = 1 << 32      # levels a side that a caller may ask of top_bytes
cdef bytes MAGIC = b"BOOK"
cdef int VERSION = 1
HEADER = struct.Struct("<4sIqqq")      # magic, version, sequence, bid count, ask count

if sys.byteorder != "little":
    raise ImportError("ext.book writes native int64 pairs that its readers take as little-endian")

cdef extern from *:
    bint add_overflows "__builtin_add_overflow"(int64_t, int64_t, int64_t*) nogil

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
    # An empty array.array lends a pointer to nowhere in particular.
    if view.ndim != 1 or not is_int64(view) or (view.len and <uintptr_t>view.buf & 7):
        raise ValueError(f"{name}: a flat, aligned buffer of int64 is needed")
    return 0


cdef int borrow_batch(Batch* batch, object ticks, object lots, str name) except -1:
    """Borrow a side's two buffers and hold every level against the rules before any is applied."""
    cdef Py_ssize_t i
    cdef uint64_t bad = 0
    borrow(ticks, &batch.ticks_view, False, "ticks")
    borrow(lots, &batch.lots_view, False, "lots")
    batch.ticks = <const int64_t*>batch.ticks_view.buf
    batch.lots = <const int64_t*>batch.lots_view.buf
    batch.count = batch.ticks_view.len >> 3
    if batch.lots_view.len != batch.ticks_view.len:
        raise ValueError(f"{name}: {batch.count} ticks but {batch.lots_view.len >> 3} lots")
    for i in range(batch.count):
        bad |= (<uint64_t>batch.ticks[i] - 1) | <uint64_t>batch.ticks[i] | <uint64_t>batch.lots[i]
    if bad >> 63 == 0:
        return 0
    for i in range(batch.count):
        if batch.ticks[i] <= 0 or batch.lots[i] < 0:
            raise ValueError(f"{name} level {i}: {batch.ticks[i]} ticks, {batch.lots[i]} lots")
    return 0


cdef void return_batch(Batch* batch) noexcept:
    PyBuffer_Release(&batch.ticks_view)
    PyBuffer_Release(&batch.lots_view)


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


cdef int note(LogRows* log, int64_t number, int kind, int side, int64_t ticks, int64_t lots) noexcept nogil:
    """Append a row; where there is no memory for it, remember that."""
    cdef Py_ssize_t room
    cdef void* rows
    if log.count + 5 > log.room:
        room = 2 * log.room if log.room else 5 * 1024
        rows = realloc(log.rows, room * sizeof(int64_t))
        if rows is NULL:
            log.lost = True
            return 0
        log.rows, log.room = <int64_t*>rows, room
    cdef int64_t* row = log.rows + log.count
    row[0], row[1], row[2], row[3], row[4] = number, kind, side, ticks, lots
    log.count += 5
    return 0


@cython.final
cdef class Log:
    """What happened to the books that write to it, in order, as rows of five int64.

    A row is the book's number, a kind (CLEAR, LEVEL or TRUNCATE), side, ticks and lots; TRUNCATE
    has the depth for ticks. Only `clear`, `change`, `truncate` and the readers of ext.decode are
    logged; what replaces or changes sides in batches raises ValueError on a book that is.
    """

    def __dealloc__(self):
        free(self.held.rows)

    def drain(self):
        """All rows as bytes, native int64; the log is empty then. MemoryError if any was lost."""
        if self.held.lost:
            raise MemoryError("no memory for a row of the log")
        cdef bytes out = PyBytes_FromStringAndSize(
            <char*>self.held.rows, self.held.count * sizeof(int64_t)
        )
        self.held.count = 0
        return out


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
        if self.rows is not NULL:
            note(self.rows, self.log_id, LEVEL, side, ticks, lots)
        if side == 1:
            return put(&self.bid, ticks, lots, self.levels_max)
        if side == -1:
            return put(&self.ask, -ticks, lots, self.levels_max)
        return BAD_SIDE

    cdef bint crosses(self) noexcept nogil:
        if self.bid.count == 0 or self.ask.count == 0:
            return False
        return best_ticks(&self.bid, 1) >= best_ticks(&self.ask, -1)

    def log_to(self, Log log, int64_t number):
        """Write what happens from here on to a log, under a number; None ends it."""
        self.log, self.log_id = log, number
        self.rows = NULL if log is None else &log.held

    cdef int replace_sides(self, Side* bid, Side* ask) except -1:
        """Take over two finished sides, or raise and leave them to the caller."""
        if self.rows is not NULL:
            raise ValueError("a logged book is changed level by level")
        if bid.levels > self.levels_max or ask.levels > self.levels_max:
            refuse(BOOK_FULL, self.levels_max)
        release(&self.bid)
        release(&self.ask)
        self.bid, self.ask = bid[0], ask[0]
        memset(bid, 0, sizeof(Side))
        memset(ask, 0, sizeof(Side))
        return 0

    cdef int put_batches(self, Batch* bids, Batch* asks) except -1:
        """Apply both sides' batches whole, or raise with the book as it was."""
        if self.rows is not NULL:
            raise ValueError("a logged book is changed level by level")
        cdef Side bid, ask
        cdef int outcome
        cdef Py_ssize_t limit = self.levels_max
        if self.bid.levels + bids.count <= limit and self.ask.levels + asks.count <= limit:
            # Room for every level to be new is made first, so nothing after it can fail.
            outcome = make_room(&self.bid, bids.count, limit)
            if outcome == CHANGED:
                outcome = make_room(&self.ask, asks.count, limit)
            if outcome != CHANGED:
                refuse(outcome, limit)
            put_all(&self.bid, 1, bids.ticks, bids.lots, bids.count, limit)
            put_all(&self.ask, -1, asks.ticks, asks.lots, asks.count, limit)
            return 0
        memset(&ask, 0, sizeof(Side))
        try:
            outcome = copy_side(&bid, &self.bid)
            if outcome == CHANGED:
                outcome = copy_side(&ask, &self.ask)
            if outcome == CHANGED:
                outcome = put_all(&bid, 1, bids.ticks, bids.lots, bids.count, limit)
            if outcome == CHANGED:
                outcome = put_all(&ask, -1, asks.ticks, asks.lots, asks.count, limit)
            if outcome != CHANGED:
                refuse(outcome, limit)
            self.replace_sides(&bid, &ask)
        finally:
            release(&bid)
            release(&ask)
        return 0

    def change(self, int side, int64_t ticks, int64_t lots):
        """Set the quantity that rests at one price; 0 lots deletes the level."""
        cdef int outcome = self.change_c(side, ticks, lots)
        if outcome != CHANGED:
            refuse(outcome, self.levels_max)

    def add(self, int side, int64_t ticks, int64_t delta_lots):
        """Add to the quantity that rests at one price; what would fall below 0 raises."""
        cdef int64_t lots = self.lots_at(side, ticks)
        if add_overflows(lots, delta_lots, &lots):
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
            outcome = gather(&bid, 1, bids.ticks, bids.lots, bids.count)
            if outcome == CHANGED:
                outcome = gather(&ask, -1, asks.ticks, asks.lots, asks.count)
            if outcome != CHANGED:
                refuse(outcome, self.levels_max)
            self.replace_sides(&bid, &ask)
        finally:
            return_batch(&bids)
            return_batch(&asks)
            release(&bid)
            release(&ask)

    def clear(self):
        """Forget all levels and the sequence number; the memory is kept."""
        if self.rows is not NULL:
            note(self.rows, self.log_id, CLEAR, 0, 0, 0)
        empty(&self.bid)
        empty(&self.ask)
        self.sequence = 0

    def truncate(self, Py_ssize_t depth):
        """Keep the best `depth` levels a side; returns how many were forgotten."""
        if depth <= 0:
            raise ValueError(f"depth: above 0, not {depth}")
        if self.rows is not NULL:
            note(self.rows, self.log_id, TRUNCATE, 0, depth, 0)
        return keep_best(&self.bid, depth) + keep_best(&self.ask, depth)

    @property
    def bid_ticks(self):
        """Price of the best bid; 0 when nobody buys."""
        return best_ticks(&self.bid, 1)

    @property
    def bid_lots(self):
        """Quantity of the best bid; 0 when nobody buys."""
        return best_lots(&self.bid)

    @property
    def ask_ticks(self):
        """Price of the best ask; 0 when nobody sells."""
        return best_ticks(&self.ask, -1)

    @property
    def ask_lots(self):
        """Quantity of the best ask; 0 when nobody sells."""
        return best_lots(&self.ask)

    def best(self):
        """Best bid, its lots, best ask, its lots; zeros for a side without levels."""
        return (
            best_ticks(&self.bid, 1), best_lots(&self.bid),
            best_ticks(&self.ask, -1), best_lots(&self.ask),
        )

    @property
    def bid_count(self):
        """Levels on the bid side."""
        return self.bid.levels

    @property
    def ask_count(self):
        """Levels on the ask side."""
        return self.ask.levels

    @property
    def crossed(self):
        """Whether the best bid reaches the best ask: the book is then not to be traded on."""
        return self.crosses()

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
        return [
            (side * held.keys[i], held.lots[i])
            for i in range(held.count - 1, -1, -1)
            if held.lots[i]
        ]

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
        return min(n, self.bid.levels), min(n, self.ask.levels)

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
        cdef Py_ssize_t bids = self.bid.levels, asks = self.ask.levels
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
