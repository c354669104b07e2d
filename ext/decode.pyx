"""Decimal strings of prices and quantities straight into a book, exactly and without objects.

A `Grid` knows an instrument's tick and lot as digits and decimal places ('0.05' is 5 and 2). A
string is read into an int64 with its own places, scaled to the grid's, and divided: a rest means
the venue's grid is not ours, and is refused, never rounded.
"""

from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.stdint cimport int64_t

from ext.book cimport Book

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

cdef extern from *:
    bint mul_overflows "__builtin_mul_overflow"(int64_t, int64_t, int64_t*) nogil
    bint add_overflows "__builtin_add_overflow"(int64_t, int64_t, int64_t*) nogil

cdef enum:
    FINE = 0
    NOT_A_NUMBER = 1
    TOO_LARGE = 2
    OFF_GRID = 3
    PLACES_MAX = 18

cdef int64_t[19] POWERS
cdef int _place
POWERS[0] = 1
for _place in range(1, 19):
    POWERS[_place] = POWERS[_place - 1] * 10


class OffGrid(ValueError):
    """A price or quantity that lies between two steps of the instrument's grid."""


cdef int read(
    const char* text, Py_ssize_t size, int64_t digits, int places, int64_t* steps
) noexcept nogil:
    """A decimal string as a count of steps of `digits` / 10 ** `places`."""
    cdef int64_t value = 0
    cdef Py_ssize_t i
    cdef int fraction = -1, seen = 0
    cdef bint large = False, off_grid = False  # told only once the whole text is a number
    for i in range(size):
        if text[i] == c".":
            if fraction >= 0:
                return NOT_A_NUMBER
            fraction = 0
            continue
        if text[i] < c"0" or text[i] > c"9":
            return NOT_A_NUMBER
        seen += 1
        if fraction >= places and text[i] == c"0":
            continue  # trailing zeros beyond the grid say nothing; a digit behind them is off it
        if fraction >= 0:
            fraction += 1
        if fraction > places:
            off_grid = True
        if off_grid or large:
            continue
        large = mul_overflows(value, 10, &value) or add_overflows(value, text[i] - c"0", &value)
    if seen == 0:
        return NOT_A_NUMBER
    if off_grid:
        return OFF_GRID
    if fraction < 0:
        fraction = 0
    if large or mul_overflows(value, POWERS[places - fraction], &value):
        return TOO_LARGE
    if digits != 1:
        if value % digits:
            return OFF_GRID
        value //= digits
    steps[0] = value
    return FINE


cdef object refuse(int wrong, str what):
    if wrong == OFF_GRID:
        raise OffGrid(f"{what} is off the instrument's grid")
    raise ValueError(f"{what} is no decimal number of 64 bits")


cdef class Grid:
    """An instrument's tick and lot: digits and decimal places of each."""

    cdef int64_t tick_digits, lot_digits
    cdef int tick_places, lot_places

    def __init__(self, int64_t tick_digits, int tick_places, int64_t lot_digits, int lot_places):
        if tick_digits <= 0 or lot_digits <= 0:
            raise ValueError("digits: above 0")
        if not (0 <= tick_places <= PLACES_MAX and 0 <= lot_places <= PLACES_MAX):
            raise ValueError(f"places: 0 to {PLACES_MAX}")
        self.tick_digits, self.tick_places = tick_digits, tick_places
        self.lot_digits, self.lot_places = lot_digits, lot_places

    def ticks(self, str price) -> int:
        """A price as ticks; raises OffGrid or ValueError."""
        cdef Py_ssize_t size
        cdef int64_t steps
        cdef const char* text = PyUnicode_AsUTF8AndSize(price, &size)
        cdef int wrong = read(text, size, self.tick_digits, self.tick_places, &steps)
        if wrong != FINE:
            refuse(wrong, f"price {price[:40]!r}")
        return steps

    def lots(self, str quantity) -> int:
        """A quantity as lots; raises OffGrid or ValueError."""
        cdef Py_ssize_t size
        cdef int64_t steps
        cdef const char* text = PyUnicode_AsUTF8AndSize(quantity, &size)
        cdef int wrong = read(text, size, self.lot_digits, self.lot_places, &steps)
        if wrong != FINE:
            refuse(wrong, f"quantity {quantity[:40]!r}")
        return steps

    def apply(self, Book book, int side, list levels) -> None:
        """Set one side's levels from (price, quantity, ...) tuples of strings, in order.

        Raises OffGrid or ValueError at the first bad level; the ones before it are applied, so the
        caller gives the book up.
        """
        cdef Py_ssize_t i, size
        cdef int64_t ticks, lots
        cdef int wrong
        cdef const char* text
        cdef object level, part
        for i in range(PyList_GET_SIZE(levels)):
            level = <object> PyList_GET_ITEM(levels, i)
            if type(level) is not tuple or PyTuple_GET_SIZE(level) < 2:
                raise ValueError(f"level {i} is no tuple of price and quantity")
            part = <object> PyTuple_GET_ITEM(level, 0)
            text = PyUnicode_AsUTF8AndSize(part, &size)
            wrong = read(text, size, self.tick_digits, self.tick_places, &ticks)
            if wrong != FINE:
                refuse(wrong, f"level {i}: price {str(part)[:40]!r}")
            part = <object> PyTuple_GET_ITEM(level, 1)
            text = PyUnicode_AsUTF8AndSize(part, &size)
            wrong = read(text, size, self.lot_digits, self.lot_places, &lots)
            if wrong != FINE:
                refuse(wrong, f"level {i}: quantity {str(part)[:40]!r}")
            wrong = book.change_c(side, ticks, lots)
            if wrong != 0:
                raise ValueError(f"level {i}: {ticks} ticks, {lots} lots")
