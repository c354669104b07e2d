"""Framed records in a flat buffer: length, CRC-32 of time and payload, time in ns, payload.

Segments are memory-mapped files that are zeros beyond their last record, so a length of 0 is the
end. A record's length is stored last: a writer killed in the middle of a record leaves the end where
it was, and who reads while it is written sees a record whole or not at all. Nothing is copied but
the payload itself, once in and once out.

The sum is zlib's CRC-32, begun with both halves of the time folded together, taken eight bytes at a
time from eight tables. Worst case of `find_next`: one sum over each plausible length, for it is
asked only of what is damaged.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    static inline void co_fence(void) { __atomic_thread_fence(__ATOMIC_RELEASE); }
    """
    void co_fence() noexcept nogil

FRAME_BYTES = FRAME
END = ENDED
DAMAGED = BROKEN
MORE = WHOLE

cdef uint32_t POLYNOMIAL = 0xEDB88320
cdef uint32_t TABLES[8][256]


cdef void make_tables() noexcept nogil:
    cdef uint32_t value
    cdef int byte, bit, table
    for byte in range(256):
        value = byte
        for bit in range(8):
            value = (value >> 1) ^ (POLYNOMIAL & (0 - (value & 1)))
        TABLES[0][byte] = value
    for byte in range(256):
        for table in range(1, 8):
            value = TABLES[table - 1][byte]
            TABLES[table][byte] = (value >> 8) ^ TABLES[0][value & 0xFF]


make_tables()


cdef uint32_t checksum_of(const char* data, Py_ssize_t size, int64_t now_ns) noexcept nogil:
    """CRC-32 begun with the time."""
    cdef const uint8_t* at = <const uint8_t*> data
    cdef uint32_t crc = ~(<uint32_t> (now_ns ^ (now_ns >> 32)))
    cdef uint32_t low, high
    while size >= 8:
        memcpy(&low, at, 4)
        memcpy(&high, at + 4, 4)
        low ^= crc
        crc = (
            TABLES[7][low & 0xFF] ^ TABLES[6][(low >> 8) & 0xFF]
            ^ TABLES[5][(low >> 16) & 0xFF] ^ TABLES[4][low >> 24]
            ^ TABLES[3][high & 0xFF] ^ TABLES[2][(high >> 8) & 0xFF]
            ^ TABLES[1][(high >> 16) & 0xFF] ^ TABLES[0][high >> 24]
        )
        at += 8
        size -= 8
    while size > 0:
        crc = (crc >> 8) ^ TABLES[0][(crc ^ at[0]) & 0xFF]
        at += 1
        size -= 1
    return ~crc


cdef void put(char* at, const char* data, uint32_t size, int64_t now_ns) noexcept nogil:
    """One record at a place that is zeros and has room for it."""
    cdef uint32_t crc = checksum_of(data, size, now_ns)
    memcpy(at + FRAME, data, size)
    memcpy(at + 4, &crc, 4)
    memcpy(at + 8, &now_ns, 8)
    co_fence()
    memcpy(at, &size, 4)


cdef class Writer:
    """Appends records to a writable buffer from a place on; `at` is where the next one goes."""

    cdef Py_buffer _view
    cdef char* _base
    cdef readonly Py_ssize_t at
    cdef readonly Py_ssize_t size

    def __cinit__(self, buffer, Py_ssize_t at):
        PyObject_GetBuffer(buffer, &self._view, PyBUF_SIMPLE | PyBUF_WRITABLE)
        self._base = <char*> self._view.buf
        self.size = self._view.len
        self.at = at

    def __dealloc__(self):
        PyBuffer_Release(&self._view)

    def release(self):
        """Let go of the buffer; nothing may be appended any more."""
        PyBuffer_Release(&self._view)
        self._base = NULL
        self.at = self.size = 0

    cpdef bint append(self, bytes data, int64_t now_ns):
        """Keep one record; False, and nothing written, where there is no room."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        # Four zeros must follow, or the end could not be seen.
        if size == 0 or self.at + FRAME + size + 4 > self.size:
            return False
        put(self._base + self.at, PyBytes_AS_STRING(data), <uint32_t> size, now_ns)
        self.at += FRAME + size
        return True

    cpdef bint append_all(self, list records, int64_t now_ns):
        """Keep several of one time; False, and nothing written, where not all have room."""
        cdef Py_ssize_t total = 0
        cdef bytes data
        for data in records:
            if PyBytes_GET_SIZE(data) == 0:
                return False
            total += FRAME + PyBytes_GET_SIZE(data)
        if self.at + total + 4 > self.size:
            return False
        for data in records:
            total = PyBytes_GET_SIZE(data)
            put(self._base + self.at, PyBytes_AS_STRING(data), <uint32_t> total, now_ns)
            self.at += FRAME + total
        return True


cdef int look(
    const char* base, Py_ssize_t at, Py_ssize_t size, uint32_t* length, int64_t* now_ns
) noexcept nogil:
    """0 at the end, 1 where no whole record stands, 2 where one does."""
    cdef uint32_t crc
    if at + 4 > size:
        return ENDED
    memcpy(length, base + at, 4)
    if length[0] == 0:
        return ENDED
    if at + FRAME + <Py_ssize_t> length[0] > size:
        return BROKEN
    memcpy(&crc, base + at + 4, 4)
    memcpy(now_ns, base + at + 8, 8)
    if checksum_of(base + at + FRAME, length[0], now_ns[0]) != crc:
        return BROKEN
    return WHOLE


def scan(const uint8_t[::1] data, Py_ssize_t at, Py_ssize_t count):
    """At most `count` records from `at` on as (time, payload), where it stopped, and why.

    END: nothing follows. DAMAGED: what stands there is no whole record. MORE: `count` were read.
    """
    cdef list found = []
    cdef uint32_t length = 0
    cdef int64_t now_ns = 0
    cdef Py_ssize_t size = data.shape[0]
    cdef const char* base = <const char*> &data[0] if size else NULL
    cdef int why = ENDED
    while count > 0:
        why = look(base, at, size, &length, &now_ns)
        if why != WHOLE:
            return found, at, why
        found.append((now_ns, PyBytes_FromStringAndSize(base + at + FRAME, length)))
        at += FRAME + length
        count -= 1
    return found, at, MORE


def count_whole(const uint8_t[::1] data, Py_ssize_t at):
    """How many whole records follow from `at` on, where they stop, and why: END or DAMAGED."""
    cdef uint32_t length = 0
    cdef int64_t now_ns = 0
    cdef Py_ssize_t size = data.shape[0], count = 0
    cdef const char* base = <const char*> &data[0] if size else NULL
    cdef int why = WHOLE
    with nogil:
        while True:
            why = look(base, at, size, &length, &now_ns)
            if why != WHOLE:
                break
            at += FRAME + length
            count += 1
    return count, at, why


def find_next(const uint8_t[::1] data, Py_ssize_t at, int64_t earliest_ns, int64_t latest_ns):
    """Where the next whole record of a time within these bounds stands, from `at` on; -1: nowhere."""
    cdef uint32_t length = 0
    cdef int64_t now_ns = 0
    cdef uint64_t word = 0
    cdef Py_ssize_t size = data.shape[0], found = -1
    cdef const char* base = <const char*> &data[0] if size else NULL
    with nogil:
        while at + FRAME < size:
            if at + 24 <= size:
                memcpy(&word, base + at, 8)
                if word == 0:  # zeros by the megabyte are what a segment's end mostly is
                    at += 5
                    continue
            memcpy(&now_ns, base + at + 8, 8)
            if earliest_ns <= now_ns <= latest_ns and (
                look(base, at, size, &length, &now_ns) == WHOLE
            ):
                found = at
                break
            at += 1
    return found
