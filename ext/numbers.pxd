"""Where the order with a number is: a table of places, hashed so that neighbours stay neighbours.

Numbers are given one by one, so orders that come one after the other have slots side by side, and most of
what is alive lies in few lines of memory. Robin Hood: who is farther from its home takes the slot, so a
search ends early and taking out moves back only those that had given way. At most half is full.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free

from ext.queues cimport NONE, Order, moved

cdef struct Slot:
    uint32_t number          # the low half of an order's number
    int32_t place            # NONE: the slot is empty

cdef struct Table:
    Slot* slots
    int64_t count            # a power of two
    int shift                # which one


cdef inline bint make_table(Table* table, int shift) noexcept nogil:
    """An empty table of 2**shift slots; False where there is no memory, and nothing is changed then."""
    cdef int64_t i, count = <int64_t>1 << shift
    cdef Slot* slots = <Slot*>moved(NULL, 0, count * sizeof(Slot))
    if slots is NULL:
        return False
    for i in range(count):
        slots[i].place = NONE
    free(table.slots)
    table.slots, table.count, table.shift = slots, count, shift
    return True


cdef inline int64_t home(const Table* table, uint32_t number) noexcept nogil:
    """The slot where a number is looked for first."""
    cdef uint64_t high = number >> table.shift
    return <int64_t>(number + (high * 0x9E3779B97F4A7C15ULL >> 40)) & (table.count - 1)


cdef inline int64_t away(const Table* table, int64_t slot) noexcept nogil:
    """How far from its home the number in a slot is."""
    return (slot - home(table, table.slots[slot].number)) & (table.count - 1)


cdef inline int32_t find_number(
    const Table* table, const Order* orders, int64_t number
) noexcept nogil:
    """The place of the order with a number, or NONE."""
    cdef int64_t slot = home(table, <uint32_t>number), far = 0, mask = table.count - 1
    while table.slots[slot].place != NONE and away(table, slot) >= far:
        if orders[table.slots[slot].place].id == number:
            return table.slots[slot].place
        slot = (slot + 1) & mask
        far += 1
    return NONE


cdef inline void put_number(Table* table, int64_t number, int32_t place) noexcept nogil:
    """A number is found from now on; who is nearer to its home gives way."""
    cdef Slot slot = Slot(<uint32_t>number, place), other
    cdef int64_t at = home(table, slot.number), far = 0, theirs, mask = table.count - 1
    while table.slots[at].place != NONE:
        theirs = away(table, at)
        if theirs < far:
            other = table.slots[at]
            table.slots[at] = slot
            slot = other
            far = theirs
        at = (at + 1) & mask
        far += 1
    table.slots[at] = slot


cdef inline void drop_number(Table* table, int64_t number, int32_t place) noexcept nogil:
    """A number is not found any more; those that had given way move back."""
    cdef int64_t slot = home(table, <uint32_t>number), after, mask = table.count - 1
    while table.slots[slot].place != place:
        slot = (slot + 1) & mask
    after = (slot + 1) & mask
    while table.slots[after].place != NONE and away(table, after):
        table.slots[slot] = table.slots[after]
        slot = after
        after = (after + 1) & mask
    table.slots[slot].place = NONE
