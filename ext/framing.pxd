"""Framed records: what other kernels may ask of a buffer."""

from libc.stdint cimport int64_t, uint32_t

cdef enum:
    FRAME = 16
    ENDED = 0
    BROKEN = 1
    WHOLE = 2

cdef int look(
    const char* base, Py_ssize_t at, Py_ssize_t size, uint32_t* length, int64_t* now_ns
) noexcept nogil
