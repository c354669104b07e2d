"""The state of `Book` and its C entry points, for kernels that decode straight into a book."""

from libc.stdint cimport int64_t

cdef enum Outcome:
    CHANGED = 0
    BAD_SIDE = -1
    BAD_TICKS = -2
    BAD_LOTS = -3
    BOOK_FULL = -4
    NO_MEMORY = -5

cdef struct Side:
    int64_t* keys    # bids: ticks, asks: -ticks; ascending, so the touch is the last one
    int64_t* lots    # lots[i] > 0 rests at keys[i]
    Py_ssize_t count
    Py_ssize_t capacity

cdef struct Batch:
    Py_buffer ticks
    Py_buffer lots
    Py_ssize_t count

cdef class Book:
    cdef Side bid
    cdef Side ask
    cdef readonly Py_ssize_t levels_max
    cdef public int64_t sequence

    cdef int change_c(self, int side, int64_t ticks, int64_t lots) noexcept nogil
    cdef int64_t lots_c(self, int side, int64_t ticks) noexcept nogil
    cdef int replace_sides(self, Side* bid, Side* ask) except -1
    cdef int put_batches(self, Batch* bids, Batch* asks) except -1

cdef bint is_int64(const Py_buffer* view) noexcept nogil
