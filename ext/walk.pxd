"""MessagePack read where it stands: numbers, texts and arrays, inlined into the kernels that read them.

A reader that meets the end too early, or another kind of value than was asked for, is `bad` from there
on and reads nothing more of meaning; whoever reads looks at that once, at the end.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, int8_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

cdef struct Text:
    const char* at
    uint32_t size

cdef struct Reader:
    const uint8_t* at
    const uint8_t* end
    bint bad

cdef inline uint64_t big(Reader* reader, int size) noexcept nogil:
    """An unsigned number of so many bytes, the largest first."""
    cdef uint64_t value = 0
    cdef int place
    if reader.at + size > reader.end:
        reader.bad = True
        return 0
    for place in range(size):
        value = (value << 8) | reader.at[place]
    reader.at += size
    return value


cdef inline uint8_t byte(Reader* reader) noexcept nogil:
    if reader.at >= reader.end:
        reader.bad = True
        return 0xC0
    reader.at += 1
    return reader.at[-1]


cdef inline int64_t integer(Reader* reader) noexcept nogil:
    """A number or a truth value."""
    cdef uint8_t head = byte(reader)
    if head < 0x80:
        return head
    if head >= 0xE0:
        return <int8_t> head
    if 0xCC <= head <= 0xCF:
        return <int64_t> big(reader, 1 << (head - 0xCC))
    if head == 0xD0:
        return <int8_t> big(reader, 1)
    if head == 0xD1:
        return <int16_t> big(reader, 2)
    if head == 0xD2:
        return <int32_t> big(reader, 4)
    if head == 0xD3:
        return <int64_t> big(reader, 8)
    if head == 0xC2 or head == 0xC3:
        return head - 0xC2
    reader.bad = True
    return 0


cdef inline Text string(Reader* reader) noexcept nogil:
    """A text, where it stands."""
    cdef Text found
    cdef uint8_t head = byte(reader)
    if 0xA0 <= head <= 0xBF:
        found.size = head & 31
    elif 0xD9 <= head <= 0xDB:
        found.size = <uint32_t> big(reader, 1 << (head - 0xD9))
    else:
        reader.bad = True
        found.size = 0
    found.at = <const char*> reader.at
    if found.size > reader.end - reader.at:
        reader.bad = True
        found.size = 0
    reader.at += found.size
    return found


cdef inline uint32_t array(Reader* reader) noexcept nogil:
    """The length of an array that begins here."""
    cdef uint8_t head = byte(reader)
    if 0x90 <= head <= 0x9F:
        return head & 15
    if head == 0xDC:
        return <uint32_t> big(reader, 2)
    reader.bad = True
    return 0


cdef inline void skip(Reader* reader, int64_t count) noexcept nogil:
    """So many values of whatever kind; what a nested array holds is counted too."""
    cdef uint8_t head
    cdef uint64_t size
    while count > 0 and not reader.bad:
        count -= 1
        size = 0
        head = byte(reader)
        if head < 0x80 or head >= 0xE0 or head == 0xC0 or head == 0xC2 or head == 0xC3:
            continue
        if 0x90 <= head <= 0x9F:
            count += head & 15
        elif head == 0xDC:
            count += <int64_t> big(reader, 2)
        elif 0xA0 <= head <= 0xBF:
            size = head & 31
        elif 0xC4 <= head <= 0xC6:
            size = big(reader, 1 << (head - 0xC4))
        elif 0xD9 <= head <= 0xDB:
            size = big(reader, 1 << (head - 0xD9))
        elif 0xCC <= head <= 0xCF:
            size = 1 << (head - 0xCC)
        elif 0xD0 <= head <= 0xD3:
            size = 1 << (head - 0xD0)
        elif head == 0xCB:
            size = 8
        else:
            reader.bad = True
        if size > <uint64_t> (reader.end - reader.at):
            reader.bad = True
            return
        reader.at += size


cdef inline bint named(Text text, const char* name, uint32_t size) noexcept nogil:
    return text.size == size and memcmp(text.at, name, size) == 0
