"""The state of `Grid`, for kernels that write numbers back as the venue writes them."""

from libc.stdint cimport int64_t

from ext.book cimport Book

cdef struct Step:
    int64_t digits
    int places

cdef struct Names:
    const char* side
    const char* price
    const char* quantity
    Py_ssize_t side_size
    Py_ssize_t price_size
    Py_ssize_t quantity_size

cdef class Grid:
    cdef Step tick
    cdef Step lot

    cdef int64_t one(self, str text, const Step* step, str what) except -1
    cdef Py_ssize_t levels(
        self, Book book, object json, int shape, int side, int64_t above, const Names* names
    ) except -1
