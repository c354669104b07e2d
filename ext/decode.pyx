"""JSON levels and decimal strings straight into a book, exactly and without Python objects.

A `Grid` knows an instrument's tick and lot as digits and decimal places ('0.05' is 5 and 2). A
number is read into an int64 with its own places, scaled to the grid's, and divided: a rest means
the venue's grid is not ours, and is refused, never rounded.

Exchanges write levels in four shapes, and each has one reader here: `pairs` ([price, quantity, ..]),
`sided` ([side, price, quantity]), `objects` ({"price": .., "qty": ..}) and `signed` (Bitfinex's
[price, count, amount]). A reader takes the bytes of one JSON value, which msgspec has cut out of the
frame, and applies each level as it is read. Numbers may be JSON strings or JSON numbers, with an
exponent too; strings with escapes are no numbers. Readers never look beyond the bytes they are
given, whatever those are: tests/fuzz/ holds them to it.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from ext.book cimport Book
from ext.ladder cimport CHANGED, Side, put, put_eight

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

cdef extern from *:
    """
    /* Eight bytes as a number at once, if all are digits; the first byte is the lowest.
       Constants of 64 bits stand in C, since Cython reads them as Python integers. */
    static inline int eight_digits(const char *text, uint64_t *value) {
        uint64_t chunk;
        memcpy(&chunk, text, 8);
        if ((chunk & 0xF0F0F0F0F0F0F0F0u) != 0x3030303030303030u) return 0;
        if (((chunk + 0x0606060606060606u) & 0xF0F0F0F0F0F0F0F0u) != 0x3030303030303030u) return 0;
        chunk = ((chunk & 0x0F0F0F0F0F0F0F0Fu) * 2561) >> 8;              /* pairs of digits */
        chunk = ((chunk & 0x00FF00FF00FF00FFu) * 6553601) >> 16;          /* fours */
        *value = ((chunk & 0x0000FFFF0000FFFFu) * 42949672960001u) >> 32;
        return 1;
    }

    /* The first `places` (0 to 8) of eight digits as a number, if all behind them are zeros: most
       venues write eight places, whatever their grid is, and dividing them away costs more than
       reading them. */
    static inline int eight_places(const char *text, int places, uint64_t *value) {
        static const char zeros[9] = "00000000";
        uint64_t chunk, zero;
        char head[8];
        memcpy(&chunk, text, 8);
        memcpy(&zero, zeros, 8);
        if (places < 8) {
            if (chunk >> (8 * places) != zero >> (8 * places)) return 0;
            if (places == 0) { *value = 0; return 1; }
            chunk = (chunk << (8 * (8 - places))) | (zero >> (8 * places));
        }
        memcpy(head, &chunk, 8);
        return eight_digits(head, value);
    }
    """
    bint eight_digits(const char* text, uint64_t* value) nogil
    bint eight_places(const char* text, int places, uint64_t* value) nogil
    bint mul_overflows "__builtin_mul_overflow"(int64_t, int64_t, int64_t*) nogil

cdef enum:
    FINE = 0
    NOT_A_NUMBER = 1
    TOO_LARGE = 2
    OFF_GRID = 3
    NOT_LEVELS = 4
    NO_SUCH_LEVEL = 5     # the book itself refused: price 0, or no room
    PLACES_MAX = 18
    QUICK_ROOM = 64       # more than a simple level's bytes
    COPIED_MAX = 4096     # what is not longer is copied, with room behind it
    DIGITS_MAX = 18       # significant digits that are read; 10 ** 18 fits an int64

cdef int64_t[19] POWERS
cdef uint64_t[19] POWERS_U
cdef int _place
POWERS[0] = POWERS_U[0] = 1
for _place in range(1, 19):
    POWERS[_place] = POWERS[_place - 1] * 10
    POWERS_U[_place] = POWERS_U[_place - 1] * 10


class OffGrid(ValueError):
    """A price or quantity, `text`, that lies between two steps of the instrument's grid."""

    def __init__(self, message, of_price, text):
        super().__init__(message)
        self.of_price = of_price
        self.text = text


cdef struct Text:
    const char* at
    const char* end

cdef struct Number:
    const char* text
    Py_ssize_t size
    int64_t steps

cdef struct Level:
    Number price
    Number quantity    # its text is NULL as long as only the price was read
    Number sequence
    int side

cdef enum:
    PAIRS = 0
    NUMBERED = 1
    SIDED = 2
    OBJECTS = 3
    SIGNED = 4


# --- numbers ---------------------------------------------------------------------------------------

cdef int scale(int64_t value, int power, const Step* step, int64_t* steps) noexcept nogil:
    """`value` * 10 ** `power`, counted in the grid's last place, as steps of the grid."""
    if value == 0:
        steps[0] = 0
        return FINE
    if power < 0:
        if power < -DIGITS_MAX or value % POWERS[-power]:
            return OFF_GRID
        value //= POWERS[-power]
    elif power > DIGITS_MAX or mul_overflows(value, POWERS[power], &value):
        return TOO_LARGE
    if step.digits != 1:
        if value % step.digits:
            return OFF_GRID
        value //= step.digits
    steps[0] = value
    return FINE


cdef int exponent_of(const char* text, Py_ssize_t size, int* exponent) noexcept nogil:
    """The digits after 'e'; more than three of them are no exponent of a price."""
    cdef bint negative = False
    cdef int value = 0
    cdef Py_ssize_t i = 0
    if size and (text[0] == c"-" or text[0] == c"+"):
        negative = text[0] == c"-"
        i = 1
    if i == size or size - i > 3:
        return NOT_A_NUMBER
    while i < size:
        if text[i] < c"0" or text[i] > c"9":
            return NOT_A_NUMBER
        value = 10 * value + text[i] - c"0"
        i += 1
    exponent[0] = -value if negative else value
    return FINE


cdef int read(const char* text, Py_ssize_t size, const Step* step, int64_t* steps) noexcept nogil:
    """Any decimal number without a sign as steps of the grid: exact, and the slow way."""
    cdef int64_t value = 0
    cdef int digits = 0, zeros = 0, fraction = 0, exponent = 0
    cdef bint point = False, any_digit = False, large = False
    cdef Py_ssize_t i
    for i in range(size):
        if text[i] == c"." and not point:
            point = True
        elif c"0" <= text[i] <= c"9":
            any_digit = True
            fraction += point
            if text[i] == c"0":
                zeros += digits > 0  # held back: they count only if a digit follows
                continue
            digits += zeros + 1
            if digits > DIGITS_MAX:
                large = True
            elif not large:
                value = value * POWERS[zeros + 1] + (text[i] - c"0")
            zeros = 0
        elif (text[i] == c"e" or text[i] == c"E") and any_digit:
            if exponent_of(text + i + 1, size - i - 1, &exponent) != FINE:
                return NOT_A_NUMBER
            break
        else:
            return NOT_A_NUMBER
    if not any_digit:
        return NOT_A_NUMBER
    if large:
        return TOO_LARGE
    return scale(value, exponent - fraction + zeros + step.places, step, steps)


cdef inline bint ends(const char* at, bint quoted) noexcept nogil:
    """Whether a number ends here: at its quote, or at what may follow one without quotes."""
    if quoted:
        return at[0] == c'"'
    return at[0] == c"," or at[0] == c"]" or at[0] == c"}" or <unsigned char>at[0] <= c" "


cdef int take_slowly(Text* json, const char* at, const Step* step, Number* number) noexcept nogil:
    """A number of any form, from its first digit on, with its closing quote if it has one."""
    cdef bint quoted = at > json.at
    cdef int wrong
    number.text = at
    while at < json.end and not ends(at, quoted):
        at += 1
    number.size = at - number.text
    wrong = read(number.text, number.size, step, &number.steps)
    if quoted:
        if at == json.end or at[0] != c'"':
            return NOT_A_NUMBER
        at += 1
    json.at = at
    return wrong


cdef inline int take_number(Text* json, const Step* step, Number* number) noexcept nogil:
    """The JSON string or number at `json`, as steps; a string on the grid with few digits goes fast."""
    cdef const char* at = json.at
    cdef const char* end = json.end
    cdef uint64_t value = 0
    cdef uint64_t block
    cdef unsigned char digit
    cdef int power
    cdef bint quoted = at < end and at[0] == c'"'
    at += quoted
    cdef const char* begin = at
    cdef const char* point
    while at < end:
        digit = <unsigned char>at[0] - c"0"
        if digit > 9:
            break
        value = value * 10 + digit
        at += 1
    # Up to here at most 9 digits: with 8 places and more they stay far below 2 ** 63.
    if at == begin or at - begin > 9 or at >= end:
        return take_slowly(json, begin, step, number)
    power = step.places
    if at[0] == c".":
        point = at
        at += 1
        if end - at > 8 and step.places <= 8 and eight_places(at, step.places, &block):
            value = value * POWERS_U[step.places] + block
            at += 8
            power = 0
        else:
            while at < end and at - point <= step.places:
                digit = <unsigned char>at[0] - c"0"
                if digit > 9:
                    break
                value = value * 10 + digit
                at += 1
            power = step.places - <int>(at - point - 1)
            if at - begin > DIGITS_MAX:
                return take_slowly(json, begin, step, number)
    if at >= end or not ends(at, quoted) or power > 9:
        return take_slowly(json, begin, step, number)
    number.text = begin
    number.size = at - begin
    json.at = at + quoted
    if power:
        return scale(<int64_t>value, power, step, &number.steps)
    if step.digits != 1:
        if value % <uint64_t>step.digits:
            return OFF_GRID
        value //= <uint64_t>step.digits
    number.steps = <int64_t>value
    return FINE


# --- JSON ------------------------------------------------------------------------------------------

cdef inline bint take(Text* json, char wanted) noexcept nogil:
    """Pass over blanks and then one character, if it is the wanted one."""
    while json.at < json.end and <unsigned char>json.at[0] <= c" ":
        json.at += 1
    if json.at < json.end and json.at[0] == wanted:
        json.at += 1
        return True
    return False


cdef int take_string(Text* json, Text* inside) noexcept nogil:
    """A JSON string; `inside` is what stands between its quotes, escapes and all."""
    if not take(json, c'"'):
        return NOT_LEVELS
    inside.at = json.at
    while json.at < json.end and json.at[0] != c'"':
        json.at += 2 if json.at[0] == c"\\" else 1
    if json.at >= json.end:
        return NOT_LEVELS
    inside.end = json.at
    json.at += 1
    return FINE


cdef int pass_scalar(Text* json) noexcept nogil:
    """Pass over a string, a number, true, false or null."""
    cdef Text inside
    cdef const char* begin
    while json.at < json.end and <unsigned char>json.at[0] <= c" ":
        json.at += 1
    if json.at < json.end and json.at[0] == c'"':
        return take_string(json, &inside)
    begin = json.at
    while json.at < json.end and (
        c"0" <= json.at[0] <= c"9" or c"a" <= json.at[0] <= c"z" or json.at[0] == c"-"
        or json.at[0] == c"+" or json.at[0] == c"." or json.at[0] == c"E"
    ):
        json.at += 1
    return FINE if json.at > begin else NOT_LEVELS


cdef int take_field(Text* json, const Step* step, Number* number) noexcept nogil:
    """A number behind blanks."""
    while json.at < json.end and <unsigned char>json.at[0] <= c" ":
        json.at += 1
    return take_number(json, step, number)


cdef int pass_rest(Text* json) noexcept nogil:
    """Pass over what an array has beyond the fields that count, and its end."""
    while not take(json, c"]"):
        if not take(json, c",") or pass_scalar(json) != FINE:
            return NOT_LEVELS
    return FINE


cdef int side_of(const Text* word) noexcept nogil:
    """+1 for bid and buy, -1 for ask, offer and sell, 0 for what is neither."""
    cdef Py_ssize_t size = word.end - word.at
    if size == 3:
        if memcmp(word.at, b"bid", 3) == 0 or memcmp(word.at, b"buy", 3) == 0:
            return 1
        if memcmp(word.at, b"ask", 3) == 0:
            return -1
    if size == 5 and memcmp(word.at, b"offer", 5) == 0:
        return -1
    if size == 4 and memcmp(word.at, b"sell", 4) == 0:
        return -1
    return 0


# --- most frames: [["61737.63","0.25"],...] with no blank ----------------------------------------------

cdef inline const char* quick_number(const char* at, const Step* step, int64_t* steps) noexcept nogil:
    """A string's digits on the grid, behind its opening quote; NULL for whatever is less simple.

    Reads at most 9 + 1 + 9 characters and one more.
    """
    cdef uint64_t value = 0, block
    cdef unsigned char digit
    cdef int digits = 0, places = step.places
    while digits < 10:
        digit = <unsigned char>at[digits] - c"0"
        if digit > 9:
            break
        value = value * 10 + digit
        digits += 1
    if digits == 0 or digits == 10:
        return NULL
    at += digits
    if at[0] == c".":
        at += 1
        if places <= 8 and eight_places(at, places, &block):
            value = value * POWERS_U[places] + block
            at += 8
            places = 0
        else:
            while places:
                digit = <unsigned char>at[0] - c"0"
                if digit > 9:
                    break
                value = value * 10 + digit
                at += 1
                places -= 1
    if at[0] != c'"':
        return NULL
    value *= POWERS_U[places]
    if step.digits != 1:
        if value % <uint64_t>step.digits:
            return NULL
        value //= <uint64_t>step.digits
    steps[0] = <int64_t>value
    return at + 1


cdef Py_ssize_t quick_pairs(
    Text* json, Side* side, int sign, Py_ssize_t limit, const Step* tick, const Step* lot, bint* ended
) noexcept nogil:
    """Apply levels as long as they are simple; how many. `json` then stands before the next level.

    Knows no bounds: it reads up to QUICK_ROOM bytes beyond `json.end`. `ended` is whether the array
    was simple to its end.
    """
    cdef const char* at = json.at
    cdef const char* last = json.end
    cdef const char* next
    cdef Text[8] begins
    cdef int64_t[8] keys, lots
    cdef Py_ssize_t count = 0
    cdef int held = 0, i, done
    if tick.places > 9 or lot.places > 9:
        return 0
    while at < last and at[0] == c"[" and at[1] == c'"':
        next = quick_number(at + 2, tick, &keys[held])
        if next is NULL or keys[held] == 0 or next[0] != c"," or next[1] != c'"':
            break
        next = quick_number(next + 2, lot, &lots[held])
        if next is NULL or next[0] != c"]" or (next[1] != c"," and next[1] != c"]"):
            break
        ended[0] = next[1] == c"]"
        keys[held] *= sign
        begins[held].at = at
        at = last if ended[0] else next + 2
        held += 1
        if held == 8:
            held = 0
            if put_eight(side, keys, lots, limit, &done) != CHANGED:
                ended[0] = False
                json.at = begins[done].at
                return count + done
            count += 8
    for i in range(held):
        if put(side, keys[i], lots[i], limit) != CHANGED:
            ended[0] = False
            json.at = begins[i].at
            return count + i
    json.at = at
    return count + held


# --- one level of each shape: FINE with side, price and quantity, or what was wrong -----------------

cdef int take_pair(Text* json, const Step* tick, const Step* lot, Level* level) noexcept nogil:
    """price, quantity"""
    cdef int wrong = take_field(json, tick, &level.price)
    if wrong != FINE:
        return wrong
    if not take(json, c","):
        return NOT_LEVELS
    return take_field(json, lot, &level.quantity)


cdef int take_object(
    Text* json, const Step* tick, const Step* lot, const Names* names, Level* level
) noexcept nogil:
    """The fields of an object under the venue's own names, perhaps with a side."""
    cdef Text key, word
    cdef Py_ssize_t size
    cdef int wrong = FINE, asked = level.side
    cdef bint priced = False
    while True:
        if take_string(json, &key) != FINE or not take(json, c":"):
            return NOT_LEVELS
        size = key.end - key.at
        if size == names.price_size and memcmp(key.at, names.price, size) == 0:
            wrong = take_field(json, tick, &level.price)
            priced = True
        elif size == names.quantity_size and memcmp(key.at, names.quantity, size) == 0:
            wrong = take_field(json, lot, &level.quantity)
        elif size and size == names.side_size and memcmp(key.at, names.side, size) == 0:
            wrong = take_string(json, &word)
            if wrong == FINE:
                level.side = side_of(&word)
        else:
            wrong = pass_scalar(json)
        if wrong != FINE:
            return wrong
        if take(json, c"}"):
            break
        if not take(json, c","):
            return NOT_LEVELS
    if not priced or level.quantity.text is NULL or level.side == 0:
        return NOT_LEVELS
    return NOT_LEVELS if asked and asked != level.side else FINE


cdef int take_signed(Text* json, const Step* tick, const Step* lot, Level* level) noexcept nogil:
    """price, count, amount: a bid above 0, an ask below; a count of 0 deletes the level."""
    cdef Step one = Step(1, 0)
    cdef Number count
    cdef int wrong = take_field(json, tick, &level.price)
    if wrong != FINE:
        return wrong
    if not take(json, c",") or take_field(json, &one, &count) != FINE or not take(json, c","):
        return NOT_LEVELS
    level.side = -1 if take(json, c"-") else 1
    wrong = take_field(json, lot if count.steps else &one, &level.quantity)
    if wrong == FINE and count.steps and level.quantity.steps == 0:
        return NOT_LEVELS  # orders, but no amount
    if count.steps == 0:
        level.quantity.steps = 0
    return wrong


cdef int take_level(
    Text* json, int shape, const Step* tick, const Step* lot, int64_t above, const Names* names,
    Level* level,
) noexcept nogil:
    """One level of the shape, from its opening to its closing bracket."""
    cdef Step one = Step(1, 0)
    cdef Text word
    cdef int wrong
    if shape == OBJECTS:
        return take_object(json, tick, lot, names, level) if take(json, c"{") else NOT_LEVELS
    if not take(json, c"["):
        return NOT_LEVELS
    if shape == SIGNED:
        wrong = take_signed(json, tick, lot, level)
    else:
        if shape == SIDED:
            if take_string(json, &word) != FINE or not take(json, c","):
                return NOT_LEVELS
            level.side = side_of(&word)
            if level.side == 0:
                return NOT_LEVELS
        wrong = take_pair(json, tick, lot, level)
        if wrong == FINE and shape == NUMBERED:
            if not take(json, c",") or take_field(json, &one, &level.sequence) != FINE:
                return NOT_LEVELS
    if wrong != FINE or take(json, c"]"):
        return wrong
    return pass_rest(json)


cdef object refuse(int wrong, Py_ssize_t count, const Level* level):
    """Raise what was wrong with a level, naming its number and what it said."""
    cdef bint priced = level.quantity.text is not NULL
    cdef const Number* number = &level.quantity if priced else &level.price
    what = f"level {count}"
    if wrong == NOT_LEVELS:
        raise ValueError(f"{what}: not the JSON of a level")
    if wrong == NO_SUCH_LEVEL:
        raise ValueError(f"{what}: {level.price.steps} ticks, {level.quantity.steps} lots")
    text = (<bytes>number.text[:min(number.size, 40)]).decode("ascii", "replace")
    what += f": {'quantity' if priced else 'price'} {text!r}"
    if wrong == OFF_GRID:
        raise OffGrid(f"{what} is off the instrument's grid", not priced, text)
    raise ValueError(f"{what} is no decimal number of 64 bits")


cdef class LevelNames:
    """What an exchange calls the fields of a level that is an object; no side where it has none."""

    cdef bytes side, price, quantity
    cdef Names names

    def __init__(self, str price, str quantity, str side=""):
        self.price, self.quantity, self.side = price.encode(), quantity.encode(), side.encode()
        self.names = Names(
            self.side, self.price, self.quantity, len(self.side), len(self.price), len(self.quantity)
        )


cdef class Grid:
    """An instrument's tick and lot: digits and decimal places of each."""

    def __init__(self, int64_t tick_digits, int tick_places, int64_t lot_digits, int lot_places):
        if tick_digits <= 0 or lot_digits <= 0:
            raise ValueError("digits: above 0")
        if not (0 <= tick_places <= PLACES_MAX and 0 <= lot_places <= PLACES_MAX):
            raise ValueError(f"places: 0 to {PLACES_MAX}")
        self.tick, self.lot = Step(tick_digits, tick_places), Step(lot_digits, lot_places)

    cdef int64_t one(self, str text, const Step* step, str what) except -1:
        cdef Py_ssize_t size
        cdef int64_t steps
        cdef const char* bytes_ = PyUnicode_AsUTF8AndSize(text, &size)
        cdef int wrong = read(bytes_, size, step, &steps)
        if wrong == OFF_GRID:
            of_price = what == "price"
            raise OffGrid(f"{what} {text[:40]!r} is off the instrument's grid", of_price, text)
        if wrong != FINE:
            raise ValueError(f"{what} {text[:40]!r} is no decimal number of 64 bits")
        return steps

    def ticks(self, str price) -> int:
        """A price as ticks; raises OffGrid or ValueError."""
        return self.one(price, &self.tick, "price")

    def lots(self, str quantity) -> int:
        """A quantity as lots; raises OffGrid or ValueError."""
        return self.one(quantity, &self.lot, "quantity")

    cdef Py_ssize_t levels(
        self, Book book, object json, int shape, int side, int64_t above, const Names* names
    ) except -1:
        """Apply one JSON array of levels of a shape; how many there were."""
        cdef Py_buffer view
        cdef Text text, ahead, rest
        cdef Level level
        cdef Py_ssize_t count = 0, size
        cdef bint many = True, ended = False
        cdef int wrong = FINE
        cdef char[4160] padded  # COPIED_MAX + QUICK_ROOM
        memset(&level, 0, sizeof(Level))
        PyObject_GetBuffer(json, &view, PyBUF_SIMPLE)
        try:
            text = Text(<const char*>view.buf, <const char*>view.buf + view.len)
            ahead = text
            if not take(&ahead, c"["):
                refuse(NOT_LEVELS, 0, &level)
            if take(&ahead, c"]"):
                return 0
            if shape == SIGNED:
                many = take(&ahead, c"[")  # Bitfinex sends a single level bare
            if many:
                take(&text, c"[")
            if shape == PAIRS and book.rows is NULL and side * side == 1:
                if view.len <= COPIED_MAX:  # nearly every frame
                    size = text.end - text.at
                    memcpy(padded, text.at, size)
                    memset(padded + size, 0, QUICK_ROOM)
                    text.at = padded
                    text.end = text.at + size
                    rest = text
                else:
                    rest.at = text.at
                    rest.end = text.end - QUICK_ROOM
                count = quick_pairs(
                    &rest, &book.bid if side == 1 else &book.ask, side, book.levels_max,
                    &self.tick, &self.lot, &ended,
                )
                if ended:
                    return count
                text.at = rest.at
            while True:
                level.side = side
                level.quantity.text = NULL
                wrong = take_level(&text, shape, &self.tick, &self.lot, above, names, &level)
                if wrong == FINE and (above < 0 or (level.sequence.steps > above and level.price.steps)):
                    if book.change_c(level.side, level.price.steps, level.quantity.steps) != 0:
                        wrong = NO_SUCH_LEVEL
                if wrong != FINE:
                    refuse(wrong, count, &level)
                count += 1
                if not many or take(&text, c"]"):
                    return count
                if not take(&text, c","):
                    refuse(NOT_LEVELS, count, &level)
        finally:
            PyBuffer_Release(&view)

    def pairs(self, Book book, int side, json, int64_t above=-1) -> int:
        """Set one side's levels from [[price, quantity, ...], ...], in order; how many were read.

        With `above`, a level's third field is its sequence number (KuCoin): one that is not above
        it is old and passed over, and so is a price of 0. Raises OffGrid or ValueError at the first
        bad level; the ones before it are applied, so the caller gives the book up.
        """
        return self.levels(book, json, PAIRS if above < 0 else NUMBERED, side, above, NULL)

    def both(self, Book book, int64_t sequence, bids, asks, int64_t above=-1) -> bool:
        """One difference of both sides, each as `pairs`; whether the book is crossed afterwards."""
        cdef int shape = PAIRS if above < 0 else NUMBERED
        book.sequence = sequence
        self.levels(book, bids, shape, 1, above, NULL)
        self.levels(book, asks, shape, -1, above, NULL)
        return book.crosses()

    def sided(self, Book book, json) -> int:
        """Set levels of both sides from [["buy", price, quantity], ...]; else as `pairs`."""
        return self.levels(book, json, SIDED, 0, -1, NULL)

    def objects(self, Book book, int side, json, LevelNames names) -> int:
        """Set levels from [{price, quantity}, ...]; a `side` of 0 takes each level's own."""
        return self.levels(book, json, OBJECTS, side, -1, &names.names)

    def signed(self, Book book, json) -> int:
        """Set levels from [[price, count, amount], ...], or from one of them alone (Bitfinex)."""
        return self.levels(book, json, SIGNED, 0, -1, NULL)
