"""One side of an L2 book as two flat arrays; free functions of numbers that hold no Python object.

Shape, reasons and worst case stand in book.pyx, which wraps two of these. Nothing here checks its
arguments but for room: callers pass ticks above 0 and lots of 0 or more.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc, qsort, realloc
from libc.string cimport memcpy, memmove, memset

cdef enum:
    WALK = 16              # levels searched one by one from the touch before bisecting
    NEAR = 16              # slots each way that are searched for a dead one before any is moved
    CAPACITY_FIRST = 64    # levels a side has room for when its first one arrives
    DEAD_SHARE = 8         # a full side is swept when more than one slot in so many is dead

cdef enum Outcome:
    CHANGED = 0
    BAD_SIDE = -1
    BAD_TICKS = -2
    BAD_LOTS = -3
    BOOK_FULL = -4
    NO_MEMORY = -5

cdef struct Side:
    int64_t* keys         # bids: ticks, asks: -ticks; ascending, so the touch is the last one
    int64_t* lots         # lots[i] > 0 rests at keys[i]; 0 is a dead slot, never the last one
    Py_ssize_t count      # slots in use, dead ones too
    Py_ssize_t levels     # slots that are not dead
    Py_ssize_t capacity
    Py_ssize_t hint       # where the last level was put: the next one of a frame is near it

cdef struct Level:
    int64_t key
    int64_t lots
    Py_ssize_t index


cdef inline Py_ssize_t bisect(
    const Side* side, int64_t key, Py_ssize_t low, Py_ssize_t high
) noexcept nogil:
    """First slot of low..high whose key is not below `key`; `high` if there is none.

    No branch looks at a key: which half it is in cannot be foretold.
    """
    cdef const int64_t* base = side.keys + low
    cdef Py_ssize_t width = high - low, half
    if width <= 0:
        return high
    while width > 1:
        half = width >> 1
        base += half if base[half - 1] < key else 0
        width -= half
    return base - side.keys + (base[0] < key)


cdef inline Py_ssize_t find(const Side* side, int64_t key) noexcept nogil:
    """First slot whose key is not below `key`: near the touch, near the hint, or anywhere."""
    cdef Py_ssize_t high = side.count, low, reach = 4
    cdef Py_ssize_t stop = high - WALK if high > WALK else 0
    if high == 0 or side.keys[high - 1] < key:
        return high
    if stop and side.keys[stop] < key:  # within the walk: bisecting so few needs no branch
        return bisect(side, key, stop, high)
    low = side.hint
    if low >= stop or side.keys[low] < key:
        return bisect(side, key, 0 if low >= stop else low, stop + 1 if stop else high)
    while low >= reach and side.keys[low - reach] >= key:  # away from the touch, ever faster
        low -= reach
        reach *= 4
    return bisect(side, key, low - reach + 1 if low >= reach else 0, low)


cdef inline int reserve(Side* side, Py_ssize_t wanted, Py_ssize_t limit) noexcept nogil:
    """Make room for `wanted` levels by doubling, never beyond `limit`."""
    cdef Py_ssize_t capacity = side.capacity if side.capacity else CAPACITY_FIRST
    cdef void* grown
    if wanted <= side.capacity:
        return CHANGED
    while capacity < wanted:
        capacity *= 2
    capacity = min(capacity, max(limit, wanted))
    grown = realloc(side.keys, capacity * sizeof(int64_t))
    if grown is NULL:
        return NO_MEMORY
    side.keys = <int64_t*>grown
    grown = realloc(side.lots, capacity * sizeof(int64_t))
    if grown is NULL:
        return NO_MEMORY
    side.lots = <int64_t*>grown
    side.capacity = capacity
    return CHANGED


cdef inline void sweep(Side* side) noexcept nogil:
    """Close the ranks: no slot is dead afterwards."""
    cdef Py_ssize_t i, kept = 0
    for i in range(side.count):
        if side.lots[i]:
            side.keys[kept] = side.keys[i]
            side.lots[kept] = side.lots[i]
            kept += 1
    side.count = kept
    side.hint = 0


cdef inline int make_room(Side* side, Py_ssize_t more, Py_ssize_t limit) noexcept nogil:
    """So many levels can be inserted without asking for memory; they are known to be within limit."""
    if side.count + more > limit:
        sweep(side)
    return reserve(side, side.count + more, limit)


cdef inline void empty(Side* side) noexcept nogil:
    """Forget all levels; the memory is kept."""
    side.count = side.levels = side.hint = 0


cdef inline void shift(
    Side* side, Py_ssize_t to, Py_ssize_t begin, Py_ssize_t slots
) noexcept nogil:
    """Move some slots, dead ones too."""
    if slots:
        memmove(side.keys + to, side.keys + begin, slots * sizeof(int64_t))
        memmove(side.lots + to, side.lots + begin, slots * sizeof(int64_t))


cdef inline Py_ssize_t dead_near(const Side* side, Py_ssize_t index) noexcept nogil:
    """The nearest dead slot to `index`, or -1: a few slots are moved sooner than all behind them."""
    cdef Py_ssize_t away
    for away in range(NEAR):
        if index + away < side.count and side.lots[index + away] == 0:
            return index + away
        if index - 1 - away >= 0 and side.lots[index - 1 - away] == 0:
            return index - 1 - away
    return -1


cdef inline int insert(
    Side* side, Py_ssize_t index, int64_t key, int64_t lots, Py_ssize_t limit
) noexcept nogil:
    """A new level before slot `index`: into a dead slot near it, or by moving all behind it."""
    cdef Py_ssize_t behind, dead
    dead = dead_near(side, index)
    if dead >= index:
        shift(side, index + 1, index, dead - index)
    elif dead >= 0:
        index -= 1
        shift(side, dead, dead + 1, index - dead)
    else:
        if side.count == side.capacity:
            behind = side.count - side.levels
            if behind and (behind * DEAD_SHARE > side.count or side.count >= limit):
                sweep(side)
                index = find(side, key)
            elif reserve(side, side.count + 1, limit) != CHANGED:
                return NO_MEMORY
        shift(side, index + 1, index, side.count - index)
        side.count += 1
    side.keys[index] = key
    side.lots[index] = lots
    side.levels += 1
    side.hint = index
    return CHANGED


cdef inline int put(Side* side, int64_t key, int64_t lots, Py_ssize_t limit) noexcept nogil:
    """Set one level; 0 lots deletes it."""
    return put_at(side, find(side, key), key, lots, limit)


cdef inline int put_eight(
    Side* side, const int64_t* keys, const int64_t* lots, Py_ssize_t limit, int* done
) noexcept nogil:
    """Set eight levels, in order; `done` is how many were set when one does not fit.

    Their slots are searched side by side, for the processor waits for memory eight times less; a
    slot that an earlier one of the eight has moved is searched again.
    """
    cdef Py_ssize_t[8] slots
    cdef Py_ssize_t width = side.count, half, index
    cdef int i, outcome
    for i in range(8):
        slots[i] = 0
    while width > 1:
        half = width >> 1
        for i in range(8):
            slots[i] += half if side.keys[slots[i] + half - 1] < keys[i] else 0
        width -= half
    for i in range(8):
        index = slots[i] + (side.count > 0 and side.keys[slots[i]] < keys[i])
        if (
            index > side.count
            or (index < side.count and side.keys[index] < keys[i])
            or (index > 0 and side.keys[index - 1] >= keys[i])
        ):
            index = find(side, keys[i])
        outcome = put_at(side, index, keys[i], lots[i], limit)
        if outcome != CHANGED:
            done[0] = i
            return outcome
    return CHANGED


cdef inline int put_at(
    Side* side, Py_ssize_t index, int64_t key, int64_t lots, Py_ssize_t limit
) noexcept nogil:
    """Set the level whose slot is the first that is not below it. Only this inserts or removes.

    A deleted level leaves its slot dead: most prices that go come back, and the levels beside them
    need not move. Only at the touch are dead slots dropped.
    """
    if index == side.count or side.keys[index] != key:
        if lots == 0:
            return CHANGED
        if side.levels >= limit:
            return BOOK_FULL
        return insert(side, index, key, lots, limit)
    side.levels += (lots != 0) - (side.lots[index] != 0)
    side.lots[index] = lots
    side.hint = index
    if lots == 0 and index == side.count - 1:
        while side.count and side.lots[side.count - 1] == 0:
            side.count -= 1
        side.hint = 0
    return CHANGED


cdef inline int put_all(
    Side* side, int sign, const int64_t* ticks, const int64_t* lots, Py_ssize_t count,
    Py_ssize_t limit,
) noexcept nogil:
    """Apply a validated batch in its order; stops at the first level that does not fit."""
    cdef Py_ssize_t i
    cdef int outcome
    for i in range(count):
        outcome = put(side, sign * ticks[i], lots[i], limit)
        if outcome != CHANGED:
            return outcome
    return CHANGED


cdef inline void release(Side* side) noexcept nogil:
    """Free the memory and leave an empty side."""
    free(side.keys)
    free(side.lots)
    memset(side, 0, sizeof(Side))


cdef inline int copy_side(Side* target, const Side* source) noexcept nogil:
    """An own copy of `source` in the empty `target`, without dead slots."""
    memset(target, 0, sizeof(Side))
    if source.count == 0:
        return CHANGED
    if reserve(target, source.count, source.count) != CHANGED:
        return NO_MEMORY
    memcpy(target.keys, source.keys, source.count * sizeof(int64_t))
    memcpy(target.lots, source.lots, source.count * sizeof(int64_t))
    target.count = source.count
    target.levels = source.levels
    sweep(target)
    return CHANGED


cdef inline int by_key_then_index(const void* left, const void* right) noexcept nogil:
    """For qsort: by key, and of equal keys the one that came first in the batch first."""
    cdef const Level* a = <const Level*>left
    cdef const Level* b = <const Level*>right
    if a.key != b.key:
        return -1 if a.key < b.key else 1
    return -1 if a.index < b.index else 1


cdef inline int gather(
    Side* side, int sign, const int64_t* ticks, const int64_t* lots, Py_ssize_t count
) noexcept nogil:
    """Fill the empty `side` from levels in any order; of doubles the last wins, 0 lots is none."""
    cdef Py_ssize_t i
    cdef bint ascending = True
    cdef Level* levels
    if count == 0:
        return CHANGED
    levels = <Level*>malloc(count * sizeof(Level))
    if levels is NULL or reserve(side, count, count) != CHANGED:
        free(levels)
        return NO_MEMORY
    # Venues send the best level first, so reading backwards usually finds the order we keep.
    for i in range(count):
        levels[i].index = count - 1 - i
        levels[i].key = sign * ticks[count - 1 - i]
        levels[i].lots = lots[count - 1 - i]
        if i and levels[i].key <= levels[i - 1].key:
            ascending = False
    if not ascending:
        qsort(levels, count, sizeof(Level), by_key_then_index)
    for i in range(count):
        if levels[i].lots and (i + 1 == count or levels[i + 1].key != levels[i].key):
            side.keys[side.count] = levels[i].key
            side.lots[side.count] = levels[i].lots
            side.count += 1
    side.levels = side.count
    free(levels)
    return CHANGED


cdef inline void write_top(const Side* side, int sign, Py_ssize_t n, int64_t* out) noexcept nogil:
    """`n` pairs (ticks, lots) from the best on; zeros where the side has no more."""
    cdef Py_ssize_t slot = side.count, held = 0
    while held < n and slot > 0:
        slot -= 1
        if side.lots[slot]:
            out[2 * held] = sign * side.keys[slot]
            out[2 * held + 1] = side.lots[slot]
            held += 1
    memset(out + 2 * held, 0, (n - held) * 2 * sizeof(int64_t))


cdef inline int read_pairs(Side* side, int sign, const int64_t* pairs, Py_ssize_t count) noexcept nogil:
    """Fill the empty `side` from what `write_top` wrote; refuses what it cannot have written."""
    cdef Py_ssize_t i, slot
    if count and reserve(side, count, count) != CHANGED:
        return NO_MEMORY
    for i in range(count):
        if pairs[2 * i] <= 0:
            return BAD_TICKS
        if pairs[2 * i + 1] <= 0:
            return BAD_LOTS
        slot = count - 1 - i
        side.keys[slot] = sign * pairs[2 * i]
        side.lots[slot] = pairs[2 * i + 1]
        if i and side.keys[slot] >= side.keys[slot + 1]:
            return BAD_TICKS
    side.count = side.levels = count
    return CHANGED


cdef inline Py_ssize_t keep_best(Side* side, Py_ssize_t depth) noexcept nogil:
    """Forget all but the best `depth` levels; returns how many those were."""
    cdef Py_ssize_t surplus = side.levels - depth, left = surplus, slot = 0
    if surplus <= 0:
        return 0
    while left:
        left -= side.lots[slot] != 0
        side.lots[slot] = 0
        slot += 1
    side.levels = depth
    if slot * DEAD_SHARE > side.count:  # the far end is walked over each time: keep it short
        sweep(side)
    return surplus


cdef inline int64_t best_ticks(const Side* side, int sign) noexcept nogil:
    """Price of the touch; 0 on an empty side."""
    return sign * side.keys[side.count - 1] if side.count else 0


cdef inline int64_t best_lots(const Side* side) noexcept nogil:
    """Quantity at the touch; 0 on an empty side."""
    return side.lots[side.count - 1] if side.count else 0
