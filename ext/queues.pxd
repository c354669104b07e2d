"""Orders in queues, queues in ladders: what the matching kernel stands on; no Python object in it.

An order that lives is a node of one queue: a price level, a trigger level, or a list such as that of a
parent's children. Queues that are levels hang in a ladder, which keeps them by key, the best one last.
A ladder is a row of chunks of up to CHUNK keys each: finding one bisects the chunks' first keys and
then a chunk, without branches that look at keys; inserting moves at most one chunk's keys, so a far
price costs as much as a near one. Most prices are in the last chunk, which is tried first.
"""

from libc.stdint cimport int8_t, int32_t, int64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove, memset

cdef extern from *:
    """
    #include <stdlib.h>
    #include <string.h>
    #include <sys/mman.h>
    #define PAGE_LARGE (2ul << 20)

    /* An array that moves to larger memory; what is large asks for large pages, since orders that are
       cancelled lie anywhere and a page table's miss costs as much as the order's. NULL: no memory. */
    static void* moved(void* old, size_t used, size_t size) {
        void* fresh;
        if (size < PAGE_LARGE) return realloc(old, size);
        if (posix_memalign(&fresh, PAGE_LARGE, (size + PAGE_LARGE - 1) & ~(PAGE_LARGE - 1))) return NULL;
    #ifdef MADV_HUGEPAGE
        madvise(fresh, (size + PAGE_LARGE - 1) & ~(PAGE_LARGE - 1), MADV_HUGEPAGE);
    #endif
        if (old) memcpy(fresh, old, used);
        free(old);
        return fresh;
    }
    """
    void* moved(void* old, size_t used, size_t size) noexcept nogil

cdef enum:
    NONE = -1
    CHUNK = 64
    CHUNK_LOW = 16          # a chunk with fewer keys joins its neighbour if both fit well

cdef struct Order:          # a cache line
    int64_t id              # 0: the place is free
    int64_t ticks           # its price; 0 while it has none
    int64_t lots            # filled and left
    int64_t leaves          # left, hidden lots too
    int32_t next            # in its queue, or in the list of free places
    int32_t prev
    int32_t queue           # NONE while it is on its way in
    int32_t owner
    int32_t extra           # place of what only few orders have, or NONE
    int8_t side
    int8_t kind
    int8_t tif
    int8_t flags
    int8_t stp
    int8_t state
    int8_t trigger
    int8_t spare

cdef struct Extra:
    int64_t trigger_ticks   # of trailing ones the present one
    int64_t mark            # of trailing ones the best trade so far, 0: none yet
    int64_t offset
    int64_t display         # 0: all
    int64_t shown           # of an iceberg that rests
    int64_t expire_ns
    int64_t group
    int64_t parent          # while it is dormant
    int64_t limit           # a pegged order's worst price
    int32_t children        # queue of those that wait for it, or NONE
    int32_t next_free

cdef struct Queue:
    int64_t key             # in its ladder
    int64_t lots            # shown by its orders
    int32_t head
    int32_t tail
    int32_t count
    int32_t pegs            # orders in it that are pegged
    int32_t ladder          # NONE: a list
    int32_t touched         # since the market data was taken

cdef struct Chunk:
    Chunk* next_free
    int64_t count
    int64_t[CHUNK] keys
    int32_t[CHUNK] queues

cdef struct Ladder:
    Chunk** chunks          # ascending
    int64_t* lows           # the first key of each
    int32_t count
    int32_t capacity
    int32_t top             # the queue with the highest key, or NONE
    int32_t levels
    int32_t made            # chunks ever made, for the sum of memory
    Chunk* unused


cdef inline int32_t chunk_of(const Ladder* ladder, int64_t key) noexcept nogil:
    """The last chunk that begins at or below a key; 0 where none does."""
    cdef int32_t count = ladder.count, half, base = 0
    if ladder.lows[count - 1] <= key:
        return count - 1
    while count > 1:
        half = count >> 1
        base += half if ladder.lows[base + half] <= key else 0
        count -= half
    return base


cdef inline int64_t place_in(const Chunk* chunk, int64_t key) noexcept nogil:
    """How many keys of a chunk are below a key."""
    cdef int64_t width = chunk.count, half
    cdef const int64_t* base = chunk.keys
    if width == 0:
        return 0
    while width > 1:
        half = width >> 1
        base += half if base[half - 1] < key else 0
        width -= half
    return base - chunk.keys + (base[0] < key)


cdef inline int32_t queue_at(const Ladder* ladder, const Queue* queues, int64_t key) noexcept nogil:
    """The queue with a key, or NONE."""
    cdef const Chunk* chunk
    cdef int64_t place
    if ladder.top == NONE or queues[ladder.top].key < key:
        return NONE
    if queues[ladder.top].key == key:
        return ladder.top
    chunk = ladder.chunks[chunk_of(ladder, key)]
    place = place_in(chunk, key)
    if place < chunk.count and chunk.keys[place] == key:
        return chunk.queues[place]
    return NONE


cdef inline Chunk* new_chunk(Ladder* ladder, int32_t at) noexcept nogil:
    """An empty chunk at a place of the row; NULL where there is no memory."""
    cdef Chunk* chunk
    cdef void* grown
    cdef int32_t capacity = max(8, 2 * ladder.capacity)
    if ladder.count == ladder.capacity:
        grown = realloc(ladder.chunks, capacity * sizeof(Chunk*))
        if grown is NULL:
            return NULL
        ladder.chunks = <Chunk**>grown
        grown = realloc(ladder.lows, capacity * sizeof(int64_t))
        if grown is NULL:
            return NULL
        ladder.lows = <int64_t*>grown
        ladder.capacity = capacity
    chunk = ladder.unused
    if chunk is not NULL:
        ladder.unused = chunk.next_free
    else:
        chunk = <Chunk*>malloc(sizeof(Chunk))
        if chunk is NULL:
            return NULL
        ladder.made += 1
    chunk.count = 0
    memmove(ladder.chunks + at + 1, ladder.chunks + at, (ladder.count - at) * sizeof(Chunk*))
    memmove(ladder.lows + at + 1, ladder.lows + at, (ladder.count - at) * sizeof(int64_t))
    ladder.chunks[at] = chunk
    ladder.count += 1
    return chunk


cdef inline void drop_chunk(Ladder* ladder, int32_t at) noexcept nogil:
    """A chunk leaves the row and is kept for later."""
    cdef Chunk* chunk = ladder.chunks[at]
    chunk.next_free = ladder.unused
    ladder.unused = chunk
    ladder.count -= 1
    memmove(ladder.chunks + at, ladder.chunks + at + 1, (ladder.count - at) * sizeof(Chunk*))
    memmove(ladder.lows + at, ladder.lows + at + 1, (ladder.count - at) * sizeof(int64_t))


cdef inline int hang(Ladder* ladder, Queue* queues, int32_t queue) noexcept nogil:
    """A queue whose key is not in the ladder joins it; -1 where there is no memory."""
    cdef int64_t key = queues[queue].key, place, half
    cdef Chunk* chunk
    cdef Chunk* fresh
    cdef int32_t at
    if ladder.count == 0:
        if new_chunk(ladder, 0) is NULL:
            return -1
        ladder.lows[0] = key
    at = chunk_of(ladder, key)
    chunk = ladder.chunks[at]
    place = place_in(chunk, key)
    if chunk.count == CHUNK:
        fresh = new_chunk(ladder, at + 1)
        if fresh is NULL:
            return -1
        half = CHUNK if at == ladder.count - 2 and place == CHUNK else CHUNK // 2
        fresh.count = CHUNK - half
        memcpy(fresh.keys, chunk.keys + half, fresh.count * sizeof(int64_t))
        memcpy(fresh.queues, chunk.queues + half, fresh.count * sizeof(int32_t))
        chunk.count = half
        ladder.lows[at + 1] = fresh.keys[0] if fresh.count else key
        if place > half or fresh.count == 0:
            at += 1
            place -= half
            chunk = fresh
    memmove(chunk.keys + place + 1, chunk.keys + place, (chunk.count - place) * sizeof(int64_t))
    memmove(chunk.queues + place + 1, chunk.queues + place, (chunk.count - place) * sizeof(int32_t))
    chunk.keys[place] = key
    chunk.queues[place] = queue
    chunk.count += 1
    ladder.lows[at] = chunk.keys[0]
    ladder.levels += 1
    if ladder.top == NONE or queues[ladder.top].key < key:
        ladder.top = queue
    return 0


cdef inline void join(Ladder* ladder, int32_t at) noexcept nogil:
    """A chunk with few keys left is poured into the one before it if both fit into half of one."""
    cdef Chunk* chunk = ladder.chunks[at]
    cdef Chunk* before
    if chunk.count == 0:
        drop_chunk(ladder, at)
        return
    ladder.lows[at] = chunk.keys[0]
    if chunk.count >= CHUNK_LOW or at == 0:
        return
    before = ladder.chunks[at - 1]
    if before.count + chunk.count > CHUNK // 2:
        return
    memcpy(before.keys + before.count, chunk.keys, chunk.count * sizeof(int64_t))
    memcpy(before.queues + before.count, chunk.queues, chunk.count * sizeof(int32_t))
    before.count += chunk.count
    drop_chunk(ladder, at)


cdef inline void unhang(Ladder* ladder, const Queue* queues, int32_t queue) noexcept nogil:
    """A queue leaves the ladder."""
    cdef int64_t key = queues[queue].key, place
    cdef int32_t at = chunk_of(ladder, key)
    cdef Chunk* chunk = ladder.chunks[at]
    place = place_in(chunk, key)
    chunk.count -= 1
    memmove(chunk.keys + place, chunk.keys + place + 1, (chunk.count - place) * sizeof(int64_t))
    memmove(chunk.queues + place, chunk.queues + place + 1, (chunk.count - place) * sizeof(int32_t))
    ladder.levels -= 1
    join(ladder, at)
    if queue == ladder.top:
        ladder.top = NONE
        if ladder.count:
            chunk = ladder.chunks[ladder.count - 1]
            ladder.top = chunk.queues[chunk.count - 1]


cdef inline void clear_ladder(Ladder* ladder) noexcept nogil:
    """Give back the memory."""
    cdef Chunk* chunk
    while ladder.count:
        drop_chunk(ladder, ladder.count - 1)
    while ladder.unused is not NULL:
        chunk = ladder.unused
        ladder.unused = chunk.next_free
        free(chunk)
    free(ladder.chunks)
    free(ladder.lows)


cdef inline void append(Order* orders, Queue* queue, int32_t place, int32_t number) noexcept nogil:
    """An order goes behind those of a queue, whose place is `number`."""
    cdef Order* order = orders + place
    order.queue = number
    order.next = NONE
    order.prev = queue.tail
    if queue.tail == NONE:
        queue.head = place
    else:
        orders[queue.tail].next = place
    queue.tail = place
    queue.count += 1


cdef inline void take_out(Order* orders, Queue* queue, int32_t place) noexcept nogil:
    """An order leaves its queue, which may be empty then."""
    cdef Order* order = orders + place
    if order.prev == NONE:
        queue.head = order.next
    else:
        orders[order.prev].next = order.next
    if order.next == NONE:
        queue.tail = order.prev
    else:
        orders[order.next].prev = order.prev
    order.queue = NONE
    queue.count -= 1
