"""The checksums that exchanges send with their books, computed from ticks and lots.

An exchange takes the CRC-32 of its best levels written as text, each in its own way. Since a book
here holds integers, the text is made anew: exactly the digits of the grid, or the shortest decimal
that names the same number. tests/test_venue_captures.py holds each against recorded frames, and
tests/twins/checksum.py against strings joined by Python.
"""

from binascii import crc32

from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

from ext.book cimport Book
from ext.decode cimport Grid, Step
from ext.ladder cimport Side, write_top

cdef enum:
    LEVELS_MAX = 25
    TEXT_MAX = 4096      # 25 levels x 2 sides x 2 numbers of at most 40 bytes fit
    FIXED = 0
    SHORTEST = 1
    JAVASCRIPT = 2       # as SHORTEST, and 1.5e-7 below a millionth

cdef struct Line:
    char text[TEXT_MAX]
    int size


cdef int write_digits(int64_t value, char* out) noexcept nogil:
    """A number above 0 in decimal; how many digits it has."""
    cdef char[20] backwards
    cdef int size = 0, i
    while value:
        backwards[size] = c"0" + <char>(value % 10)
        value //= 10
        size += 1
    for i in range(size):
        out[i] = backwards[size - 1 - i]
    return size


cdef void write_fixed(Line* line, int64_t steps, const Step* step) noexcept nogil:
    """All digits of the grid, without the point and without leading zeros."""
    line.size += write_digits(steps * step.digits, line.text + line.size)


cdef void write_shortest(Line* line, int64_t steps, const Step* step, int style) noexcept nogil:
    """The shortest plain decimal."""
    cdef char[20] digits
    cdef int64_t value = steps * step.digits
    cdef int places = step.places, count, i
    cdef char* out = line.text + line.size
    while places > 0 and value % 10 == 0:
        value //= 10
        places -= 1
    count = write_digits(value, digits)
    if style == JAVASCRIPT and count - places < -5:
        line.size += write_exponent(digits, count, places - count + 1, out)
        return
    i = 0
    if count > places:
        memcpy(out, digits, count - places)
        i = count - places
    else:
        out[0] = c"0"
        i = 1
    if places:
        out[i] = c"."
        i += 1
        if places > count:
            memset(out + i, c"0", places - count)
            i += places - count
            memcpy(out + i, digits, count)
            i += count
        else:
            memcpy(out + i, digits + count - places, places)
            i += places
    line.size += i


cdef int write_exponent(const char* digits, int count, int exponent, char* out) noexcept nogil:
    """d.ddde-X as JavaScript writes small numbers."""
    cdef int size = 1
    out[0] = digits[0]
    if count > 1:
        out[1] = c"."
        memcpy(out + 2, digits + 1, count - 1)
        size = count + 1
    out[size] = c"e"
    out[size + 1] = c"-"
    return size + 2 + write_digits(exponent, out + size + 2)


cdef int fill(Book book, int levels, int64_t* pairs) except -1:
    """Both tops as pairs: bids first, then asks; zeros where a side has no more."""
    if not 0 < levels <= LEVELS_MAX:
        raise ValueError(f"levels: 1 to {LEVELS_MAX}, not {levels}")
    write_top(&book.bid, 1, levels, pairs)
    write_top(&book.ask, -1, levels, pairs + 2 * levels)
    return 0


def kraken(Book book, Grid grid, int levels=10) -> int:
    """CRC-32 of the best asks and then the best bids, digits only.

    Source: https://docs.kraken.com/api/docs/guides/spot-ws-book-v2/ and -v1/
    """
    cdef int64_t[4 * LEVELS_MAX] pairs
    cdef Line line
    cdef int i, at
    fill(book, levels, pairs)
    line.size = 0
    for i in range(2 * levels):
        at = 2 * (i + levels) if i < levels else 2 * (i - levels)
        if pairs[at]:
            write_fixed(&line, pairs[at], &grid.tick)
            write_fixed(&line, pairs[at + 1], &grid.lot)
    return crc32(line.text[:line.size])


cdef object interleaved(Book book, Grid grid, int levels, int style):
    """Signed CRC-32 of 'bid:quantity:ask:quantity:...', level by level; a side may end early."""
    cdef int64_t[4 * LEVELS_MAX] pairs
    cdef Line line
    cdef int i, at
    fill(book, levels, pairs)
    line.size = 0
    for i in range(2 * levels):
        at = 2 * (i // 2 + (levels if i % 2 else 0))
        if pairs[at] == 0:
            continue
        write_shortest(&line, pairs[at], &grid.tick, style)
        line.text[line.size] = c":"
        line.size += 1
        if style == JAVASCRIPT and i % 2:
            line.text[line.size] = c"-"
            line.size += 1
        write_shortest(&line, pairs[at + 1], &grid.lot, style)
        line.text[line.size] = c":"
        line.size += 1
    value = crc32(line.text[:max(line.size - 1, 0)])
    return value - (1 << 32) if value >= 1 << 31 else value


def okx(Book book, Grid grid, int levels=25) -> int:
    """Signed CRC-32 of the best levels of both sides in turn.

    Source: https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel
    """
    return interleaved(book, grid, levels, SHORTEST)


def bitfinex(Book book, Grid grid, int levels=25) -> int:
    """The same with quantities of asks below 0 and numbers as JavaScript writes them.

    Source: https://docs.bitfinex.com/docs/ws-websocket-checksum
    """
    return interleaved(book, grid, levels, JAVASCRIPT)
