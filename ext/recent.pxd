"""What was ordered lately: names and contents of orders in a ring, each found by its 64-bit key.

The newest of equal keys is the one that is found. Two tables of places with linear probing, four slots an
entry, so a search ends at once; what leaves the ring leaves the tables, and those behind it move up.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free

cdef extern from *:
    """
    #define fetch_line(place) __builtin_prefetch(place)
    """
    void fetch_line(const void*) noexcept nogil

cdef struct Recent:
    uint64_t* names          # rings, by place
    uint64_t* contents
    int64_t* at_ns
    int32_t* name_slots      # place + 1; 0: the slot is empty
    int32_t* content_slots
    int64_t capacity, mask, first, count


cdef inline bint make_recent(Recent* recent, int64_t capacity) noexcept nogil:
    """An empty ring; False where there is no memory."""
    cdef int64_t slots = 16
    while slots < 4 * capacity:
        slots *= 2
    recent.capacity, recent.mask, recent.first, recent.count = capacity, slots - 1, 0, 0
    recent.names = <uint64_t*>calloc(capacity, sizeof(uint64_t))
    recent.contents = <uint64_t*>calloc(capacity, sizeof(uint64_t))
    recent.at_ns = <int64_t*>calloc(capacity, sizeof(int64_t))
    recent.name_slots = <int32_t*>calloc(slots, sizeof(int32_t))
    recent.content_slots = <int32_t*>calloc(slots, sizeof(int32_t))
    return (recent.names is not NULL and recent.contents is not NULL and recent.at_ns is not NULL
            and recent.name_slots is not NULL and recent.content_slots is not NULL)


cdef inline void drop_recent(Recent* recent) noexcept nogil:
    """Give the memory back."""
    free(recent.names)
    free(recent.contents)
    free(recent.at_ns)
    free(recent.name_slots)
    free(recent.content_slots)


cdef inline int64_t slot_of(
    const int32_t* slots, const uint64_t* keys, int64_t mask, uint64_t key
) noexcept nogil:
    """The slot of a key, or the empty one where it would be."""
    cdef int64_t slot = <int64_t>key & mask
    while slots[slot] and keys[slots[slot] - 1] != key:
        slot = (slot + 1) & mask
    return slot


cdef inline void vacate(
    int32_t* slots, const uint64_t* keys, int64_t mask, int64_t slot
) noexcept nogil:
    """Empty a slot; those behind it that would no longer be found move up."""
    cdef int64_t after = (slot + 1) & mask, home
    while slots[after]:
        home = <int64_t>keys[slots[after] - 1] & mask
        if ((after - home) & mask) >= ((after - slot) & mask):
            slots[slot] = slots[after]
            slot = after
        after = (after + 1) & mask
    slots[slot] = 0


cdef inline void forget_first(Recent* recent) noexcept nogil:
    """The oldest entry leaves; a newer one of the same key stays found."""
    cdef int64_t place = recent.first, slot
    slot = slot_of(recent.name_slots, recent.names, recent.mask, recent.names[place])
    if recent.name_slots[slot] == place + 1:
        vacate(recent.name_slots, recent.names, recent.mask, slot)
    slot = slot_of(recent.content_slots, recent.contents, recent.mask, recent.contents[place])
    if recent.content_slots[slot] == place + 1:
        vacate(recent.content_slots, recent.contents, recent.mask, slot)
    recent.first = (place + 1) % recent.capacity
    recent.count -= 1


cdef inline void remember(
    Recent* recent, uint64_t name, uint64_t content, int64_t at_ns
) noexcept nogil:
    """A new entry; the oldest leaves where the ring is full."""
    cdef int64_t place, slot
    if recent.count == recent.capacity:
        forget_first(recent)
    place = (recent.first + recent.count) % recent.capacity
    recent.names[place], recent.contents[place], recent.at_ns[place] = name, content, at_ns
    recent.count += 1
    # A slot of an equal key is taken over: its keys are equal, so it is found as before.
    slot = slot_of(recent.name_slots, recent.names, recent.mask, name)
    recent.name_slots[slot] = <int32_t>(place + 1)
    slot = slot_of(recent.content_slots, recent.contents, recent.mask, content)
    recent.content_slots[slot] = <int32_t>(place + 1)


cdef inline void fetch_recent(const Recent* recent, uint64_t name, uint64_t content) noexcept nogil:
    """These will be looked for soon: have their slots near."""
    fetch_line(&recent.name_slots[<int64_t>name & recent.mask])
    fetch_line(&recent.content_slots[<int64_t>content & recent.mask])


cdef inline bint knows_name(const Recent* recent, uint64_t name) noexcept nogil:
    """Whether an order bore this name."""
    return recent.name_slots[slot_of(recent.name_slots, recent.names, recent.mask, name)] != 0


cdef inline int64_t content_age(const Recent* recent, uint64_t content, int64_t now_ns) noexcept nogil:
    """How long ago equal content was ordered, in ns; -1: not in memory."""
    cdef int64_t slot = slot_of(recent.content_slots, recent.contents, recent.mask, content)
    cdef int32_t place = recent.content_slots[slot]
    cdef int64_t age
    if not place:
        return -1
    age = now_ns - recent.at_ns[place - 1]
    return age if age > 0 else 0
