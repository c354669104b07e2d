"""The state of `Book` and its C entry points, for kernels that decode straight into a book."""

from libc.stdint cimport int64_t

from ext.ladder cimport Side

cdef struct Batch:
    Py_buffer ticks_view
    Py_buffer lots_view
    const int64_t* ticks
    const int64_t* lots
    Py_ssize_t count

cdef struct LogRows:
    int64_t* rows
    Py_ssize_t count    # numbers, five a row
    Py_ssize_t room
    bint lost           # there was no memory for a row

cdef class Log:
    cdef LogRows held

cdef class Book:
    cdef Side bid
    cdef Side ask
    cdef Log log
    cdef LogRows* rows  # of the log, or NULL
    cdef int64_t log_id
    cdef readonly Py_ssize_t levels_max
    cdef public int64_t sequence

    cdef int change_c(self, int side, int64_t ticks, int64_t lots) noexcept nogil
    cdef bint crosses(self) noexcept nogil
    cdef int replace_sides(self, Side* bid, Side* ask) except -1
    cdef int put_batches(self, Batch* bids, Batch* asks) except -1
