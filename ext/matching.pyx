"""One instrument's orders, each by itself, matched by price and time. docs/matching.md has the rules.

Shape. Orders are places of one flat array, 64 bytes each; what only few of them have (triggers,
icebergs, groups, children) is a place of another. A free place is taken again last in, first out, so
in a steady state nothing is allocated. An order is a node of a doubly linked queue: a price level, a
trigger level, or a list; levels hang in ladders (queues.pxd). Orders are numbered one by one, and their
numbers are found in a table of places whose hash keeps neighbours near each other: of orders that come
one after the other one cache line serves sixteen.

Cost. Adding and cancelling touch the order, its neighbours in the queue, the level and the table: five
lines of memory whatever rests in the book, which `run` fetches ahead. A new level moves at most a chunk
of 64 keys. A trade moves on without searching. Each trade looks at each trailing order, and each change of
a best price at each pegged one: those are few, or slow.

Worst. An iceberg shows each part anew: an order a million times its display takes a million steps. An
array that grows is moved once. Memory that cannot be had raises MemoryError and the book is broken then.

What is `noexcept` touches no Python object, so nothing it does can raise: where there is no memory it sets
`broken`, which `_whole` raises at the end of the operation.
"""

from array import array
from bisect import insort
from heapq import heapify, heappop, heappush
from typing import NamedTuple
from zlib import crc32

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int16_t, int32_t, int64_t, int8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc, realloc

cimport cython

from ext.matching cimport *
from ext.numbers cimport (
    Slot, Table, drop_number, find_number, home, make_table, put_number,
)
from ext.queues cimport (
    NONE, Extra, Ladder, Order, Queue, append, clear_ladder, hang, moved, queue_at, take_out, unhang,
)

cdef extern from *:
    """
    #define fetch(place) __builtin_prefetch(place)
    """
    void fetch(const void*) noexcept nogil

BUY, SELL = 1, -1
LIMIT, MARKET, PEGGED = 1, 2, 3
NO_TRIGGER, STOP, TAKE_PROFIT, TRAIL_TICKS, TRAIL_BPS = 0, 1, 2, 3, 4
GTC, IOC, FOK, GTD, DAY = 1, 2, 3, 4, 5
POST_ONLY, SLIDE, REDUCE_ONLY = 1, 2, 4
STP_NONE, STP_NEWEST, STP_OLDEST, STP_BOTH, STP_DECREMENT = 0, 1, 2, 3, 4
CONTINUOUS, AUCTION, HALTED, CLOSED = 1, 2, 3, 4
RESTING, WAITING, DORMANT, PARKED, PENDING = 1, 2, 3, 4, 5
ACCEPTED, REJECTED, TRADE, CANCELLED, EXPIRED, REPLACED, CANCEL_REJECTED = 1, 2, 3, 4, 5, 6, 7
REPLACE_REJECTED, TRIGGERED, REPRICED, DECREMENTED, ACTIVATED, PHASE = 8, 9, 10, 11, 12, 13
NO_REASON, INVALID, TICK, LOT, NOTIONAL, BAND, REDUCE, WOULD_TAKE, FULL = 0, 1, 2, 3, 4, 5, 6, 7, 8
NOT_IN_AUCTION, IS_HALTED, IS_CLOSED, UNKNOWN_ORDER, NO_PARENT, BY_CLIENT = 9, 10, 11, 12, 13, 14
BY_MASS, NOT_FILLED, NOT_FILLABLE, NO_LIQUIDITY, SELF_TRADE, BY_GROUP = 15, 16, 17, 18, 19, 20
BY_PARENT, OUT_OF_TIME, END_OF_DAY, IN_AUCTION = 21, 22, 23, 24
SUBMIT, CANCEL, REPLACE, MASS_CANCEL, ADVANCE, SET_PHASE, END_DAY = 1, 2, 3, 4, 5, 6, 7
ADDED, CHANGED, DELETED = 1, 2, 3

OPERATION = [
    ("op", "i1"), ("side", "i1"), ("kind", "i1"), ("tif", "i1"), ("flags", "i1"), ("stp", "i1"),
    ("trigger", "i1"), ("spare", "i1"), ("owner", "i4"), ("spare_too", "i4"), ("ticks", "i8"),
    ("lots", "i8"), ("order", "i8"), ("trigger_ticks", "i8"), ("offset", "i8"), ("display", "i8"),
    ("expire_ns", "i8"), ("group", "i8"),
]
REPORT = [
    ("kind", "i1"), ("side", "i1"), ("reason", "i2"), ("owner", "i4"), ("other_owner", "i4"),
    ("spare", "i4"), ("order", "i8"), ("ticks", "i8"), ("lots", "i8"), ("leaves", "i8"),
    ("other", "i8"), ("other_leaves", "i8"),
]
MAGIC = b"MATCH\x01"
LIMITS = (
    "ticks_max", "ticks_step", "lots_min", "lots_max", "lots_step", "notional_min", "band_bps",
    "orders_max", "market_data",
)


class Report(NamedTuple):
    """See matching.pyi."""

    kind: int
    side: int
    reason: int
    order: int
    owner: int
    ticks: int
    lots: int
    leaves: int
    other: int
    other_owner: int
    other_leaves: int


class OrderView(NamedTuple):
    """See matching.pyi."""

    order: int
    owner: int
    side: int
    kind: int
    state: int
    ticks: int
    lots: int
    leaves: int
    shown: int
    trigger_ticks: int


@cython.final
cdef class MatchingBook:
    cdef int64_t ticks_max, ticks_step, lots_min, lots_max, lots_step, notional_min, band_bps
    cdef int64_t orders_max
    cdef bint market_data
    cdef readonly int phase
    cdef readonly int64_t now_ns
    cdef readonly int64_t next_order
    cdef int64_t _last, band_low, band_high
    cdef bint traded         # in the present operation
    cdef bint broken         # memory could not be had
    cdef int32_t hint        # the level that the present operation's price was found to have, or NONE

    cdef Order* pool
    cdef int64_t orders_used, orders_capacity, alive
    cdef int32_t order_free
    cdef Extra* extras
    cdef int32_t extras_used, extras_capacity, extra_free
    cdef Queue* queues
    cdef int32_t queues_used, queues_capacity, queue_free
    cdef Ladder[LADDERS] ladders
    cdef Table table         # places of orders by number
    cdef int64_t* positions
    cdef int64_t owners

    cdef Row* rows
    cdef int64_t rows_count, rows_capacity
    cdef int64_t* touches    # key and side of each level touched
    cdef int64_t touches_count, touches_capacity
    cdef int64_t* actions    # action, side, order, ticks, shown
    cdef int64_t actions_count, actions_capacity

    cdef dict groups         # numbers of the orders of (owner, group), rising
    cdef list expiring       # heap of (expire_ns, number), with some that are gone
    cdef list pegs           # numbers of pegged orders, rising
    cdef int64_t[2] pegged_to
    cdef bint pegs_new

    def __cinit__(self):
        cdef int i
        for i in range(LADDERS):
            self.ladders[i].top = NONE

    def __init__(
        self, *, ticks_max=1 << 31, ticks_step=1, lots_min=1, lots_max=1 << 30, lots_step=1,
        notional_min=0, band_bps=0, orders_max=1 << 22, market_data=False,
    ):
        for name, value, low, high in (
            ("ticks_max", ticks_max, 1, 1 << 40), ("ticks_step", ticks_step, 1, ticks_max),
            ("lots_min", lots_min, 1, lots_max), ("lots_max", lots_max, 1, 1 << 40),
            ("lots_step", lots_step, 1, lots_max), ("notional_min", notional_min, 0, 1 << 62),
            ("band_bps", band_bps, 0, 100_000), ("orders_max", orders_max, 1, 1 << 22),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}: {low} to {high} is possible")
        if ticks_max * lots_max >= 1 << 62:
            raise ValueError(f"ticks_max {ticks_max} times lots_max {lots_max} is 2**62 or more")
        if self.pool is not NULL:
            raise ValueError("a book is made once")
        self.ticks_max, self.ticks_step, self.band_bps = ticks_max, ticks_step, band_bps
        self.lots_min, self.lots_max, self.lots_step = lots_min, lots_max, lots_step
        self.notional_min, self.orders_max, self.market_data = notional_min, orders_max, market_data
        self.phase, self.next_order = P_CONTINUOUS, 1
        self.order_free = self.extra_free = self.queue_free = self.hint = NONE
        self.groups, self.expiring, self.pegs = {}, [], []
        self._work_out_band()
        if not self._first_memory():
            raise MemoryError("no memory for a book")

    cdef bint _first_memory(self):
        cdef int i
        self.orders_capacity, self.queues_capacity = 64, 64
        self.rows_capacity, self.owners = 64, 16
        self.pool = <Order*>calloc(self.orders_capacity, sizeof(Order))
        self.queues = <Queue*>calloc(self.queues_capacity, sizeof(Queue))
        self.rows = <Row*>malloc(self.rows_capacity * sizeof(Row))
        self.positions = <int64_t*>calloc(self.owners, sizeof(int64_t))
        if not (self.pool and self.queues and self.rows and self.positions):
            return False
        if not make_table(&self.table, 8):
            return False
        for i in range(FIRST_FREE):
            self._new_queue(0, NONE)
        return True

    def __dealloc__(self):
        cdef int i
        for i in range(LADDERS):
            clear_ladder(&self.ladders[i])
        free(self.pool)
        free(self.extras)
        free(self.queues)
        free(self.table.slots)
        free(self.rows)
        free(self.positions)
        free(self.touches)
        free(self.actions)

    # --- memory -----------------------------------------------------------------------------------

    cdef int32_t _new_queue(self, int64_t key, int32_t ladder) noexcept:
        """An empty queue's place, or NONE where there is no memory."""
        cdef int32_t place = self.queue_free
        cdef void* grown
        cdef Queue* queue
        if place != NONE:
            self.queue_free = self.queues[place].head
        else:
            if self.queues_used == self.queues_capacity:
                grown = realloc(self.queues, 2 * self.queues_capacity * sizeof(Queue))
                if grown is NULL:
                    self.broken = True
                    return NONE
                self.queues = <Queue*>grown
                self.queues_capacity *= 2
            place = self.queues_used
            self.queues_used += 1
        queue = self.queues + place
        queue.key, queue.lots, queue.head, queue.tail = key, 0, NONE, NONE
        queue.count = queue.pegs = queue.touched = 0
        queue.ladder = ladder
        return place

    cdef inline void _free_queue(self, int32_t place) noexcept:
        self.queues[place].head = self.queue_free
        self.queue_free = place

    cdef Extra* _extra_of(self, Order* order) noexcept:
        """What only few orders have: made on first use; NULL where there is no memory."""
        cdef int32_t place = order.extra, capacity
        cdef void* grown
        cdef Extra* extra
        if place != NONE:
            return self.extras + place
        place = self.extra_free
        if place != NONE:
            self.extra_free = self.extras[place].next_free
        else:
            if self.extras_used == self.extras_capacity:
                capacity = max(16, 2 * self.extras_capacity)
                grown = realloc(self.extras, capacity * sizeof(Extra))
                if grown is NULL:
                    self.broken = True
                    return NULL
                self.extras = <Extra*>grown
                self.extras_capacity = capacity
            place = self.extras_used
            self.extras_used += 1
        extra = self.extras + place
        extra[0] = Extra(0, 0, 0, 0, 0, 0, 0, 0, 0, NONE, NONE)
        order.extra = place
        return extra

    cdef inline int32_t _find(self, int64_t number) noexcept:
        """The place of the order with a number, or NONE."""
        if number < 1 or number >= self.next_order:
            return NONE
        return find_number(&self.table, self.pool, number)

    cdef bint _grow_orders(self) noexcept:
        """Room for another order and its number."""
        cdef void* grown
        cdef int64_t i, capacity = self.orders_capacity + (self.orders_capacity >> 1)
        grown = moved(
            self.pool, self.orders_capacity * sizeof(Order), capacity * sizeof(Order)
        )
        if grown is NULL:
            return False
        self.pool = <Order*>grown
        self.orders_capacity = capacity
        if 2 * capacity > self.table.count:
            if not make_table(&self.table, self.table.shift + 1):
                return False
            for i in range(self.orders_used):
                if self.pool[i].id:
                    put_number(&self.table, self.pool[i].id, <int32_t>i)
        return True

    cdef inline int32_t _new_order(self) noexcept:
        cdef int32_t place = self.order_free
        if place != NONE:
            self.order_free = self.pool[place].next
        else:
            if self.orders_used == self.orders_capacity and not self._grow_orders():
                self.broken = True
                return NONE
            place = <int32_t>self.orders_used
            self.orders_used += 1
        self.alive += 1
        return place

    cdef int _forget(self, int32_t place) except -1:
        """An order that is in no queue and no group any more is gone."""
        cdef Order* order = self.pool + place
        cdef Extra* extra
        drop_number(&self.table, order.id, place)
        if order.extra != NONE:
            extra = self.extras + order.extra
            if extra.group:
                self._leave_group(order)
            if extra.children != NONE:
                self._free_queue(extra.children)
            extra.next_free = self.extra_free
            self.extra_free = order.extra
        if order.kind == B_PEGGED:
            self._unpeg(order.id)
        order.id = 0
        order.next = self.order_free
        self.order_free = place
        self.alive -= 1

    cdef int _unpeg(self, int64_t number) except -1:
        if number in self.pegs:
            self.pegs.remove(number)
        return 0

    # --- reports and market data --------------------------------------------------------------------

    cdef inline Row* _row(self) noexcept:
        """A report to be filled in."""
        cdef void* grown
        if self.rows_count == self.rows_capacity:
            grown = realloc(self.rows, 2 * self.rows_capacity * sizeof(Row))
            if grown is NULL:
                self.broken = True
                self.rows_count = 0
                return self.rows
            self.rows = <Row*>grown
            self.rows_capacity *= 2
        self.rows_count += 1
        return self.rows + self.rows_count - 1

    cdef inline void _say(
        self, int kind, int reason, const Order* order, int64_t ticks, int64_t lots, int64_t leaves
    ) noexcept:
        """Report about one order."""
        cdef Row* row = self._row()
        row.kind, row.side, row.reason = kind, order.side, reason
        row.owner, row.other_owner, row.spare = order.owner, 0, 0
        row.order, row.ticks, row.lots, row.leaves = order.id, ticks, lots, leaves
        row.other = row.other_leaves = 0

    cdef void _say_no(self, int kind, int reason, int64_t number) noexcept:
        """Report about what is no order."""
        cdef Order none
        none.side, none.owner, none.id = 0, 0, number
        self._say(kind, reason, &none, 0, 0, 0)

    cdef void _touch(self, Queue* queue) noexcept:
        """A price level changed what it shows."""
        cdef void* grown
        cdef int64_t capacity
        if queue.touched:
            return
        queue.touched = 1
        if self.touches_count == self.touches_capacity:
            capacity = max(64, 2 * self.touches_capacity)
            grown = realloc(self.touches, capacity * sizeof(int64_t))
            if grown is NULL:
                self.broken = True
                return
            self.touches = <int64_t*>grown
            self.touches_capacity = capacity
        self.touches[self.touches_count] = queue.key  # asks have keys below 0
        self.touches_count += 1

    cdef void _act(self, int action, const Order* order, int64_t shown) noexcept:
        """Order by order: one was added, changed or deleted."""
        cdef void* grown
        cdef int64_t capacity
        cdef int64_t* row
        if self.actions_count + 5 > self.actions_capacity:
            capacity = max(320, 2 * self.actions_capacity)
            grown = realloc(self.actions, capacity * sizeof(int64_t))
            if grown is NULL:
                self.broken = True
                return
            self.actions = <int64_t*>grown
            self.actions_capacity = capacity
        row = self.actions + self.actions_count
        row[0], row[1], row[2], row[3], row[4] = action, order.side, order.id, order.ticks, shown
        self.actions_count += 5

    # --- places in the book -------------------------------------------------------------------------

    cdef inline int64_t _shown(self, const Order* order) noexcept:
        """What of an order is to be seen while it rests."""
        if order.extra == NONE or self.extras[order.extra].display == 0:
            return order.leaves
        return self.extras[order.extra].shown

    cdef inline int32_t _level(self, int ladder, int64_t key) noexcept:
        """The queue of a ladder with a key, made if it is not there; NONE where there is no memory."""
        cdef int32_t number = self.hint
        cdef const Queue* queue = self.queues + number
        if number != NONE and queue.key == key and queue.ladder == ladder and queue.count:
            return number
        number = queue_at(&self.ladders[ladder], self.queues, key)
        if number != NONE:
            return number
        number = self._new_queue(key, ladder)
        if number == NONE or hang(&self.ladders[ladder], self.queues, number):
            self.broken = True
            return NONE
        return number

    cdef void _rest(self, int32_t place) noexcept:
        """An order goes behind those at its price."""
        cdef Order* order = self.pool + place
        cdef int64_t shown = order.leaves
        cdef int32_t number
        cdef Queue* queue
        cdef Extra* extra
        if order.side > 0:
            number = self._level(BIDS, order.ticks)
        else:
            number = self._level(ASKS, -order.ticks)
        if number == NONE:
            return
        queue = self.queues + number
        if order.extra != NONE:
            extra = self.extras + order.extra
            if extra.display:
                shown = extra.shown = min(extra.display, order.leaves)
        append(self.pool, queue, place, number)
        order.state = IN_BOOK
        queue.lots += shown
        queue.pegs += order.kind == B_PEGGED
        if self.market_data:
            self._touch(queue)
            self._act(A_ADDED, order, shown)

    cdef void _leave(self, int32_t place) noexcept:
        """An order leaves the queue that it is in, whichever; a level that is empty is gone."""
        cdef Order* order = self.pool + place
        cdef int32_t number = order.queue
        cdef Queue* queue
        if number == NONE:
            return
        queue = self.queues + number
        if order.state == IN_BOOK:
            queue.lots -= self._shown(order)
            queue.pegs -= order.kind == B_PEGGED
            if self.market_data:
                self._touch(queue)
                self._act(A_DELETED, order, 0)
        take_out(self.pool, queue, place)
        if queue.count == 0 and queue.ladder != NONE:
            unhang(&self.ladders[queue.ladder], self.queues, number)
            self._free_queue(number)

    cdef inline void _less(self, int32_t place, int64_t lots) noexcept:
        """A resting order loses lots: those it shows first are those that traded."""
        cdef Order* order = self.pool + place
        cdef Queue* queue = self.queues + order.queue
        order.leaves -= lots
        queue.lots -= lots
        if order.extra != NONE and self.extras[order.extra].display:
            self.extras[order.extra].shown -= lots
        if self.market_data:
            self._touch(queue)
            if self._shown(order):
                self._act(A_CHANGED, order, self._shown(order))

    cdef void _cut(self, int32_t place, int64_t leaves) noexcept:
        """An order has so much left from now on, its total as much less; hidden lots go first."""
        cdef Order* order = self.pool + place
        cdef int64_t shown, before = self._shown(order)
        order.lots -= order.leaves - leaves
        order.leaves = leaves
        if order.state != IN_BOOK:
            return
        shown = min(before, leaves)
        if order.extra != NONE and self.extras[order.extra].display:
            self.extras[order.extra].shown = shown
        if shown != before:
            self.queues[order.queue].lots -= before - shown
            if self.market_data:
                self._touch(self.queues + order.queue)
                self._act(A_CHANGED, order, shown)

    cdef inline int32_t _first(self, int side) noexcept:
        """The place of the order that is next in turn on a side, or NONE."""
        cdef int32_t top = self.ladders[side].top
        return NONE if top == NONE else self.queues[top].head

    cdef inline int64_t _best(self, int side) noexcept:
        """The best price of BIDS or ASKS; 0 without one."""
        cdef int32_t top = self.ladders[side].top
        if top == NONE:
            return 0
        return self.queues[top].key if side == BIDS else -self.queues[top].key

    # --- the end of orders --------------------------------------------------------------------------

    cdef list _leave_group(self, Order* order):
        """An order is of no group any more; the others of it."""
        cdef Extra* extra
        if order.extra == NONE:
            return []
        extra = self.extras + order.extra
        if extra.group == 0:
            return []
        key = (order.owner, extra.group)
        others = self.groups[key]
        others.remove(order.id)
        extra.group = 0
        if not others:
            del self.groups[key]
        return list(others)

    cdef list _children(self, const Order* order):
        """The numbers of those that wait for an order, rising."""
        cdef int32_t child
        if order.extra == NONE or self.extras[order.extra].children == NONE:
            return []
        children = []
        child = self.queues[self.extras[order.extra].children].head
        while child != NONE:
            children.append(self.pool[child].id)
            child = self.pool[child].next
        return children

    cdef int _end(self, int32_t place, int kind, int reason, int64_t spared=0) except -1:
        """An order ends unfilled, and after it its children and its group, each with its own."""
        cdef Order* order = self.pool + place
        cdef list todo
        if order.extra == NONE:
            self._say(kind, reason, order, order.ticks, order.leaves, 0)
            self._leave(place)
            self._forget(place)
            return 0
        todo = [(order.id, kind, reason)]
        while todo:
            number, kind, reason = todo.pop()
            place = self._find(number)
            if place == NONE or self.pool[place].leaves == 0 or number == spared:
                continue  # gone by another way, or filled just now
            order = self.pool + place
            self._say(kind, reason, order, order.ticks, order.leaves, 0)
            todo += [(other, R_CANCELLED, Y_BY_GROUP) for other in reversed(self._leave_group(order))]
            todo += [(child, R_CANCELLED, Y_BY_PARENT) for child in reversed(self._children(order))]
            self._disown(order)
            self._leave(place)
            self._forget(place)

    cdef int _disown(self, Order* order) except -1:
        """Those that wait for an order are in no queue any more: they are about to end."""
        cdef int32_t child, after
        cdef Queue* queue
        if order.extra == NONE or self.extras[order.extra].children == NONE:
            return 0
        queue = self.queues + self.extras[order.extra].children
        child = queue.head
        while child != NONE:
            after = self.pool[child].next
            take_out(self.pool, queue, child)
            child = after

    cdef list _others(self, int32_t place):
        """The others of an order's group, rising."""
        cdef const Order* order = self.pool + place
        if order.extra == NONE or self.extras[order.extra].group == 0:
            return []
        key = (order.owner, self.extras[order.extra].group)
        return [number for number in self.groups[key] if number != order.id]

    cdef int _end_others(self, list numbers, int64_t spared) except -1:
        """Those of a group are cancelled whom another of it, which is spared, has overtaken."""
        cdef int32_t other
        for number in numbers:
            other = self._find(number)
            if other != NONE and self.pool[other].leaves:
                self._end(other, R_CANCELLED, Y_BY_GROUP, spared)

    cdef int _filled(self, int32_t place) except -1:
        """A filled order is gone; its children wait for their turn."""
        cdef Order* order = self.pool + place
        cdef int32_t child, after
        cdef Queue* queue
        if order.extra != NONE and self.extras[order.extra].children != NONE:
            queue = self.queues + self.extras[order.extra].children
            child = queue.head
            while child != NONE:
                after = self.pool[child].next
                take_out(self.pool, queue, child)
                append(self.pool, self.queues + WAITING_TURN, child, WAITING_TURN)
                self.pool[child].state = IS_PENDING
                child = after
        self._forget(place)

    # --- trades -------------------------------------------------------------------------------------

    cdef inline int64_t _reducible(self, const Order* order) noexcept:
        """How much an order may trade before its owner's position is 0."""
        cdef int64_t position = self.positions[order.owner]
        return max(0, -position * order.side)

    cdef bint _reduced(self, int32_t place):
        """A reduce-only order that is to trade is cut, or ended: then False."""
        cdef Order* order = self.pool + place
        cdef int64_t most, cut
        if not order.flags & F_REDUCE_ONLY:
            return True
        most = self._reducible(order)
        if most == 0:
            self._end(place, R_CANCELLED, Y_REDUCE)
            return False
        if most < order.leaves:
            cut = order.leaves - most
            self._cut(place, most)
            self._say(R_DECREMENTED, Y_REDUCE, order, order.ticks, cut, most)
        return True

    cdef int _trade(
        self, int32_t taker_place, int32_t maker_place, int64_t ticks, int64_t lots, int reason
    ) except -1:
        """Two orders trade; the taker rests only in an auction. What follows is in order of the rules."""
        cdef Order* taker = self.pool + taker_place
        cdef Order* maker = self.pool + maker_place
        cdef int64_t taker_id = taker.id, maker_id = maker.id
        cdef bint plain = taker.extra == NONE and maker.extra == NONE
        cdef bint taker_full, maker_full
        cdef Row* row
        self._less(maker_place, lots)
        if reason:
            self._less(taker_place, lots)
        else:
            taker.leaves -= lots
        row = self._row()
        row.kind, row.side, row.reason, row.spare = R_TRADE, taker.side, reason, 0
        row.owner, row.other_owner = taker.owner, maker.owner
        row.order, row.ticks, row.lots, row.leaves = taker.id, ticks, lots, taker.leaves
        row.other, row.other_leaves = maker.id, maker.leaves
        self.positions[taker.owner] += taker.side * lots
        self.positions[maker.owner] -= taker.side * lots
        maker_full, taker_full = maker.leaves == 0, taker.leaves == 0
        if maker_full:
            self._leave(maker_place)
        if taker_full and reason:
            self._leave(taker_place)
        if not plain:
            makers_others, takers_others = self._others(maker_place), self._others(taker_place)
            self._end_others(makers_others, maker_id)
            self._end_others(takers_others, taker_id)
            if maker.id == maker_id and not maker_full:
                self._show_more(maker_place)
            if reason and taker.id == taker_id and not taker_full:
                self._show_more(taker_place)
        self._last = ticks
        self.traded = True
        if self.ladders[RISES].top != NONE or self.ladders[FALLS].top != NONE:
            self._spring(ticks)
        if self.queues[TRAILING].count:
            self._trail(ticks)
        if maker_full:
            self._filled(maker_place)
        if taker_full:
            self._filled(taker_place)

    cdef void _show_more(self, int32_t place) noexcept:
        """An iceberg whose shown part is gone shows the next, behind those at its price."""
        cdef Order* order = self.pool + place
        if self._shown(order) == 0:
            self._leave(place)
            self._rest(place)

    cdef void _spring(self, int64_t ticks) noexcept:
        """Those that wait for a rise to this price, then those that wait for a fall, get their turn."""
        cdef int ladder
        cdef int32_t top
        for ladder in range(RISES, LADDERS):
            while True:
                top = self.ladders[ladder].top
                if top == NONE:
                    break
                if ladder == RISES and -self.queues[top].key > ticks:
                    break
                if ladder == FALLS and self.queues[top].key < ticks:
                    break
                self._trigger(self.queues[top].head, ticks)

    cdef void _trigger(self, int32_t place, int64_t ticks) noexcept:
        """An order's trigger is met: it gets its turn."""
        self._leave(place)
        self._say(
            R_TRIGGERED, Y_NONE, self.pool + place, ticks, self.pool[place].lots,
            self.pool[place].leaves,
        )
        append(self.pool, self.queues + WAITING_TURN, place, WAITING_TURN)
        self.pool[place].state = IS_PENDING

    cdef void _trail(self, int64_t ticks) noexcept:
        """Trailing orders that this price meets get their turn, the others follow it."""
        cdef int32_t place = self.queues[TRAILING].head, after
        cdef Order* order
        cdef Extra* extra
        while place != NONE:
            order = self.pool + place
            extra = self.extras + order.extra
            after = order.next
            if extra.mark and (ticks - extra.trigger_ticks) * order.side >= 0:
                self._trigger(place, ticks)
            elif extra.mark == 0 or (ticks - extra.mark) * order.side < 0:
                self._mark(order, extra, ticks)
            place = after

    cdef void _mark(self, const Order* order, Extra* extra, int64_t ticks) noexcept:
        """A trailing order follows a price."""
        cdef int64_t distance = extra.offset
        if order.trigger == B_TRAIL_BPS:
            distance = max(1, ticks * extra.offset // 10_000)
        extra.mark = ticks
        extra.trigger_ticks = ticks + order.side * distance

    cdef bint _spare_oneself(self, int32_t taker_place, int32_t maker_place):
        """An owner's order met another of the same owner: what its mode says; False ends the taking."""
        cdef Order* taker = self.pool + taker_place
        cdef Order* maker = self.pool + maker_place
        cdef int64_t lots, taker_id = taker.id
        cdef int mode = taker.stp
        if mode == S_DECREMENT:
            lots = min(taker.leaves, maker.leaves)
            self._decrement(maker_place, lots)
            if taker.id == taker_id:
                self._decrement(taker_place, lots)
            return taker.id == taker_id
        if mode != S_NEWEST:
            self._end(maker_place, R_CANCELLED, Y_SELF_TRADE)
        if mode != S_OLDEST and taker.id == taker_id:
            self._end(taker_place, R_CANCELLED, Y_SELF_TRADE)
        return taker.id == taker_id

    cdef int _decrement(self, int32_t place, int64_t lots) except -1:
        """Self-trade prevention takes lots from an order, perhaps all."""
        cdef Order* order = self.pool + place
        if order.leaves <= lots:
            self._end(place, R_CANCELLED, Y_SELF_TRADE)
            return 0
        self._cut(place, order.leaves - lots)
        self._say(R_DECREMENTED, Y_SELF_TRADE, order, order.ticks, lots, order.leaves)

    cdef int _take(self, int32_t place) except -1:
        """Trade with what the other side offers, as long as the price is right."""
        cdef Order* taker = self.pool + place
        cdef int64_t number = taker.id, limit, key
        cdef int other = ASKS if taker.side > 0 else BIDS
        cdef Ladder* ladder = &self.ladders[other]
        cdef int32_t maker_place
        cdef Order* maker
        if taker.kind == B_LIMIT:
            limit = taker.ticks
        elif taker.side > 0:
            limit = self.band_high
        else:
            limit = self.band_low
        key = -limit if taker.side > 0 else limit
        while ladder.top != NONE and self.queues[ladder.top].key >= key:
            maker_place = self.queues[ladder.top].head
            maker = self.pool + maker_place
            if taker.owner and maker.owner == taker.owner and taker.stp:
                if not self._spare_oneself(place, maker_place):
                    return 0
                continue
            if maker.flags & F_REDUCE_ONLY and not self._reduced(maker_place):
                if taker.id != number:
                    return 0
                continue
            self._trade(place, maker_place, maker.ticks, min(taker.leaves, self._shown(maker)), 0)
            if taker.id != number:
                return 0
        if taker.kind == B_MARKET:
            self._end(place, R_CANCELLED, Y_NO_LIQUIDITY if ladder.top == NONE else Y_BAND)
        elif taker.tif == B_IOC or taker.tif == B_FOK:
            self._end(place, R_CANCELLED, Y_NOT_FILLED)
        else:
            self._rest(place)

    cdef bint _fillable(self, int32_t place):
        """Whether all of a fill-or-kill order is sure to trade."""
        cdef Order* taker = self.pool + place
        cdef Ladder* ladder = &self.ladders[ASKS if taker.side > 0 else BIDS]
        cdef int64_t left = taker.leaves, limit, at, i
        cdef set met = set()
        if taker.kind == B_LIMIT:
            limit = taker.ticks
        else:
            limit = self.band_high if taker.side > 0 else self.band_low
        limit = -limit if taker.side > 0 else limit
        if taker.extra != NONE and self.extras[taker.extra].group:
            met.add((taker.owner, self.extras[taker.extra].group))
        for at in range(ladder.count - 1, -1, -1):
            for i in range(ladder.chunks[at].count - 1, -1, -1):
                if ladder.chunks[at].keys[i] < limit:
                    return False
                if self._offers(taker, self.queues + ladder.chunks[at].queues[i], &left, met):
                    return left <= 0
                if left <= 0:
                    return True
        return False

    cdef bint _offers(self, const Order* taker, const Queue* queue, int64_t* left, set met):
        """Count what a level is sure to offer; True where an order of the taker's own ends it."""
        cdef int32_t place = queue.head
        cdef int64_t whole = 0, shown = 0, group
        cdef const Order* maker
        while place != NONE:
            maker = self.pool + place
            place = maker.next
            if maker.owner == taker.owner and taker.owner and taker.stp:
                if taker.stp != S_OLDEST:
                    left[0] -= shown  # hidden lots come behind it
                    return True
                continue
            group = 0 if maker.extra == NONE else self.extras[maker.extra].group
            if group:
                if (maker.owner, group) in met:
                    continue
                met.add((maker.owner, group))
            if not maker.flags & F_REDUCE_ONLY:
                whole += maker.leaves
                shown += self._shown(maker)
        left[0] -= whole
        return False

    # --- on the way in ------------------------------------------------------------------------------

    cdef inline bint _would_take(self, int side, int64_t ticks) noexcept:
        cdef int64_t best = self._best(ASKS if side > 0 else BIDS)
        return best != 0 and (ticks - best) * side >= 0

    cdef inline int64_t _slid(self, int side) noexcept:
        """One step behind the other side's best; 0 where that is no price."""
        cdef int64_t ticks = self._best(ASKS if side > 0 else BIDS) - side * self.ticks_step
        return ticks if 0 < ticks <= self.ticks_max else 0

    cdef int _no_entry(self, const Order* order) noexcept:
        """Why an order may not become active now: checks 8 to 11."""
        if self.phase == P_AUCTION and (
            order.kind != B_LIMIT or order.tif == B_IOC or order.tif == B_FOK
            or order.flags & F_POST
        ):
            return Y_NOT_IN_AUCTION
        if order.kind == B_LIMIT and not self.band_low <= order.ticks <= self.band_high:
            return Y_BAND
        if order.flags & F_REDUCE_ONLY and self._reducible(order) == 0:
            return Y_REDUCE
        if order.flags & F_POST and self._would_take(order.side, order.ticks) and (
            not order.flags & F_SLIDE or self._slid(order.side) == 0
        ):
            return Y_WOULD_TAKE
        return Y_NONE

    cdef int _enter(self, int32_t place) except -1:
        """An order becomes active: it trades, rests, is parked or ends."""
        cdef Order* order = self.pool + place
        if order.flags and not self._flags_kept(place):
            return 0
        if order.kind == B_PEGGED:
            order.state = IS_PARKED
            self._peg(order.id)
            return 0
        if self.phase != P_CONTINUOUS:
            self._rest(place)
        elif order.tif == B_FOK and not self._fillable(place):
            self._end(place, R_CANCELLED, Y_NOT_FILLABLE)
        else:
            self._take(place)

    cdef bint _flags_kept(self, int32_t place):
        """Reduce-only cuts, sliding slides; False where nothing is left."""
        cdef Order* order = self.pool + place
        if not self._reduced(place):
            return False
        if (
            order.flags & F_SLIDE and self.phase == P_CONTINUOUS
            and self._would_take(order.side, order.ticks)
        ):
            order.ticks = self._slid(order.side)
            self._say(R_REPRICED, Y_NONE, order, order.ticks, order.lots, order.leaves)
        return True

    cdef int _peg(self, int64_t number) except -1:
        insort(self.pegs, number)
        self.pegs_new = True

    cdef void _wait(self, int32_t place) noexcept:
        """An order begins to wait for its trigger, which the last trade may meet at once."""
        cdef Order* order = self.pool + place
        cdef Extra* extra = self.extras + order.extra
        cdef bint rise = (order.side > 0) == (order.trigger != B_TAKE_PROFIT)
        cdef int64_t key = -extra.trigger_ticks if rise else extra.trigger_ticks
        cdef int ladder = RISES if rise else FALLS
        cdef int32_t number
        order.state = IS_WAITING
        if order.trigger >= B_TRAIL_TICKS:
            if self._last:
                self._mark(order, extra, self._last)
            append(self.pool, self.queues + TRAILING, place, TRAILING)
            return
        if self._last and (
            self._last >= extra.trigger_ticks if rise else self._last <= extra.trigger_ticks
        ):
            self._trigger(place, self._last)
            return
        number = self._level(ladder, key)
        if number != NONE:
            append(self.pool, self.queues + number, place, number)

    cdef int _wrong(self, const Operation* op) noexcept:
        """What is wrong with the fields of a new order among themselves."""
        cdef bint active = op.tif != B_IOC and op.tif != B_FOK
        cdef bint trails = op.trigger == B_TRAIL_TICKS or op.trigger == B_TRAIL_BPS
        cdef bint stops = op.trigger == B_STOP or op.trigger == B_TAKE_PROFIT
        if (
            (op.side != 1 and op.side != -1)
            or not B_LIMIT <= op.kind <= B_PEGGED or not 0 <= op.trigger <= B_TRAIL_BPS
            or not B_GTC <= op.tif <= B_DAY or not 0 <= op.flags <= 7
            or not S_NONE <= op.stp <= S_DECREMENT or not 0 <= op.owner < OWNERS
            or op.lots <= 0 or op.display < 0 or op.group < 0 or op.order < 0 or op.ticks < 0
            or (op.kind == B_LIMIT) > (op.ticks > 0) or (op.kind == B_MARKET and op.ticks)
            or (op.flags & F_POST and not (op.kind == B_LIMIT and active))
            or (op.flags & F_REDUCE_ONLY and op.owner == 0)
            or (op.display and not (op.kind == B_LIMIT and active))
            or (op.kind == B_PEGGED and (op.trigger or not active))
            or (stops != (op.trigger_ticks > 0)) or op.trigger_ticks < 0
            or (trails and op.offset < 1) or (op.trigger == B_TRAIL_BPS and op.offset >= 10_000)
            or (not trails and op.kind != B_PEGGED and op.offset) or op.offset < 0
            or (op.tif == B_GTD) != (op.expire_ns > self.now_ns and op.expire_ns > 0)
            or (op.tif != B_GTD and op.expire_ns)
        ):
            return Y_INVALID
        return Y_NONE

    cdef inline int _off(
        self, int64_t ticks, int64_t trigger_ticks, int64_t lots, int64_t display, int flags
    ) noexcept:
        """Which limit of the instrument numbers do not keep: checks 4 to 6."""
        cdef int64_t price
        if ticks > self.ticks_max or trigger_ticks > self.ticks_max:
            return Y_TICK
        if self.ticks_step != 1 and (ticks % self.ticks_step or trigger_ticks % self.ticks_step):
            return Y_TICK
        if lots < self.lots_min or lots > self.lots_max:
            return Y_LOT
        if self.lots_step != 1 and (lots % self.lots_step or display % self.lots_step):
            return Y_LOT
        if self.notional_min and not flags & F_REDUCE_ONLY:
            price = ticks if ticks else trigger_ticks if trigger_ticks else self._last
            if price and price * lots < self.notional_min:
                return Y_NOTIONAL
        return Y_NONE

    cdef inline bint _is_plain(self, const Operation* op) noexcept:
        """A limit order with nothing special: most are, and most of the checks are not for them."""
        return (
            op.kind == B_LIMIT and (op.tif == B_GTC or op.tif == B_IOC) and op.flags == 0
            and op.ticks > 0 and op.lots > 0 and (op.side == 1 or op.side == -1)
            and not (op.trigger | op.order | op.trigger_ticks | op.offset | op.display
                     | op.expire_ns | op.group)
            and 0 <= op.owner < OWNERS and S_NONE <= op.stp <= S_DECREMENT
        )

    cdef int _refusal(self, const Operation* op, bint plain) noexcept:
        """Why a new order is not accepted: checks 1 to 7."""
        cdef int32_t parent
        cdef int why
        if self.phase >= P_HALTED:
            return Y_HALTED if self.phase == P_HALTED else Y_CLOSED
        if not plain:
            why = self._wrong(op)
            if why:
                return why
            if op.order:
                parent = self._find(op.order)
                if parent == NONE or self.pool[parent].owner != op.owner:
                    return Y_NO_PARENT
        if (op.kind == B_PEGGED or op.trigger == B_TRAIL_TICKS) and (
            op.offset > self.ticks_max or op.offset % self.ticks_step
        ):
            return Y_TICK
        why = self._off(op.ticks, op.trigger_ticks, op.lots, op.display, op.flags)
        if why:
            return why
        if self.alive >= self.orders_max:
            return Y_FULL
        if op.owner >= self.owners and not self._know(op.owner):
            return Y_FULL
        return Y_NONE

    cdef bint _know(self, int64_t owner) noexcept:
        """Room for an owner's position; False where there is no memory."""
        cdef int64_t i, count = self.owners
        cdef void* grown
        while count <= owner:
            count *= 2
        grown = realloc(self.positions, count * sizeof(int64_t))
        if grown is NULL:
            return False
        self.positions = <int64_t*>grown
        for i in range(self.owners, count):
            self.positions[i] = 0
        self.owners = count
        return True

    cdef void _refuse(self, const Operation* op, int64_t number, int reason) noexcept:
        cdef Order order
        order.side, order.owner, order.id = op.side, op.owner, number
        self._say(R_REJECTED, reason, &order, op.ticks, op.lots, 0)

    cdef int64_t _submit(self, const Operation* op):
        """Take an order; see docs/matching.md, 'Submitting'."""
        cdef int64_t number = self.next_order
        cdef bint plain = self._is_plain(op)
        cdef int why = self._refusal(op, plain)
        cdef Order* order
        cdef int32_t place
        self.next_order += 1
        if why:
            self._refuse(op, number, why)
            return number
        place = self._new_order()
        if place == NONE:
            self.alive -= 1
            return number
        order = self.pool + place
        order.id, order.ticks, order.lots, order.leaves = number, op.ticks, op.lots, op.lots
        order.side, order.kind, order.tif, order.flags = op.side, op.kind, op.tif, op.flags
        order.stp, order.trigger, order.owner = op.stp, op.trigger, op.owner
        order.state, order.spare = IS_PARKED, 0  # on its way in, in no queue
        order.extra = order.queue = NONE
        if not op.trigger and not op.order:
            why = self._no_entry(order)
            if why:
                order.id = 0
                order.next = self.order_free
                self.order_free = place
                self.alive -= 1
                self._refuse(op, number, why)
                return number
        put_number(&self.table, order.id, place)
        self._say(R_ACCEPTED, Y_NONE, order, op.ticks, op.lots, op.lots)
        if plain:
            if self.phase == P_CONTINUOUS:
                self._take(place)
            else:
                self._rest(place)
            return number
        self._begin(place, op)
        return number

    cdef int _begin(self, int32_t place, const Operation* op) except -1:
        """An accepted order that is not plain gets what only few have, and waits or enters."""
        cdef Order* order = self.pool + place
        cdef Extra* extra
        if (
            op.trigger or op.order or op.offset or op.display or op.expire_ns or op.group
            or op.kind == B_PEGGED
        ):
            extra = self._extra_of(order)
            if extra is NULL:
                return 0
            extra.trigger_ticks, extra.offset, extra.display = op.trigger_ticks, op.offset, op.display
            extra.expire_ns, extra.group, extra.parent = op.expire_ns, op.group, op.order
            extra.limit = op.ticks
            if op.group:
                self.groups.setdefault((op.owner, op.group), []).append(order.id)
            if op.expire_ns:
                self._expect(op.expire_ns, order.id)
        if op.kind == B_PEGGED:
            order.ticks = 0  # where it rests: nowhere yet
        if op.order:
            self._adopt(self._find(op.order), place)
        elif op.trigger:
            self._wait(place)
        else:
            self._enter(place)

    cdef int _expect(self, int64_t expire_ns, int64_t number) except -1:
        """An order expires later; those that are gone are swept out when they are the most."""
        heappush(self.expiring, (expire_ns, number))
        if len(self.expiring) > 64 and len(self.expiring) > 2 * self.alive:
            self.expiring = [item for item in self.expiring if self._find(item[1]) != NONE]
            heapify(self.expiring)

    cdef void _adopt(self, int32_t parent, int32_t child) noexcept:
        """An order is dormant until its parent is filled."""
        cdef Extra* extra = self._extra_of(self.pool + parent)
        if extra is NULL:
            return
        if extra.children == NONE:
            extra.children = self._new_queue(0, NONE)
            if extra.children == NONE:
                return
        append(self.pool, self.queues + extra.children, child, extra.children)
        self.pool[child].state = IS_DORMANT

    # --- settling -----------------------------------------------------------------------------------

    cdef inline int _settle(self) except -1:
        """What an operation set off: turns that came, pegs, the band."""
        if self.phase == P_CONTINUOUS:
            if self.queues[WAITING_TURN].count:
                self._turns()
            if self.pegs:
                self._move_pegs()
        if self.traded:
            self.traded = False
            if self.band_bps:
                self._work_out_band()

    cdef void _work_out_band(self) noexcept:
        cdef int64_t away = self._last * self.band_bps // 10_000
        if self.band_bps and self._last:
            self.band_low, self.band_high = self._last - away, self._last + away
        else:
            self.band_low, self.band_high = 0, (<int64_t>1 << 62)

    cdef int _turns(self) except -1:
        """Those whose turn it is become active, first in first out."""
        cdef int32_t place
        cdef Order* order
        cdef Extra* extra
        cdef int why
        while self.queues[WAITING_TURN].count:
            place = self.queues[WAITING_TURN].head
            order = self.pool + place
            extra = self.extras + order.extra
            self._leave(place)
            order.state = IS_PARKED
            if extra.parent:
                extra.parent = 0
                self._say(R_ACTIVATED, Y_NONE, order, order.ticks, order.lots, order.leaves)
                if order.trigger:
                    self._wait(place)
                    continue
            else:
                self._end_others(self._others(place), order.id)
            why = self._no_entry(order)
            if why:
                self._end(place, R_CANCELLED, why)
            else:
                self._enter(place)

    cdef int64_t _unpegged(self, int side) noexcept:
        """The best price of a side at which an order rests that is not pegged; 0 without one."""
        cdef Ladder* ladder = &self.ladders[side]
        cdef const Queue* queue
        cdef int64_t at, i
        for at in range(ladder.count - 1, -1, -1):
            for i in range(ladder.chunks[at].count - 1, -1, -1):
                queue = self.queues + ladder.chunks[at].queues[i]
                if queue.count > queue.pegs:
                    return queue.key if side == BIDS else -queue.key
        return 0

    cdef int _move_pegs(self) except -1:
        """Pegged orders follow the best price of their side."""
        cdef int64_t[2] best
        cdef int64_t target
        cdef int32_t place
        cdef Order* order
        cdef Extra* extra
        best[BIDS], best[ASKS] = self._unpegged(BIDS), self._unpegged(ASKS)
        if (
            not self.pegs_new and best[BIDS] == self.pegged_to[BIDS]
            and best[ASKS] == self.pegged_to[ASKS]
        ):
            return 0
        self.pegs_new = False
        self.pegged_to[BIDS], self.pegged_to[ASKS] = best[BIDS], best[ASKS]
        for number in self.pegs:
            place = self._find(number)
            order = self.pool + place
            extra = self.extras + order.extra
            target = best[BIDS if order.side > 0 else ASKS]
            if target:
                target -= order.side * extra.offset
                if extra.limit and (target - extra.limit) * order.side > 0:
                    target = extra.limit
                if not 0 < target <= self.ticks_max:
                    target = 0
            if target != order.ticks:
                self._move_peg(place, target)

    cdef void _move_peg(self, int32_t place, int64_t ticks) noexcept:
        cdef Order* order = self.pool + place
        self._leave(place)
        order.ticks = ticks
        order.state = IS_PARKED
        self._say(R_REPRICED, Y_NONE, order, ticks, order.lots, order.leaves)
        if ticks:
            self._rest(place)

    # --- cancel, replace, time, phases ----------------------------------------------------------------

    cdef int _cancel(self, int64_t number) except -1:
        cdef int32_t place = self._find(number)
        if place == NONE:
            self._say_no(R_CANCEL_REJECTED, Y_UNKNOWN_ORDER, number)
        else:
            self._end(place, R_CANCELLED, Y_BY_CLIENT)

    cdef int _cancel_all(self, int64_t owner, int side) except -1:
        cdef int64_t i
        cdef const Order* order
        numbers = []
        for i in range(self.orders_used):
            order = self.pool + i
            if order.id and (owner < 0 or order.owner == owner) and (side == 0 or order.side == side):
                numbers.append(order.id)
        self._end_each(sorted(numbers), R_CANCELLED, Y_BY_MASS)

    cdef int _end_each(self, list numbers, int kind, int reason) except -1:
        for number in numbers:
            place = self._find(number)
            if place != NONE:
                self._end(place, kind, reason)

    cdef inline int64_t _least_lots(self) noexcept:
        """A size that keeps the limits."""
        return (self.lots_min + self.lots_step - 1) // self.lots_step * self.lots_step

    cdef int _no_replace(self, int32_t place, int64_t ticks, int64_t lots) noexcept:
        """Why an order is not replaced by one of this price and total; 0 keeps the one it has."""
        cdef const Order* order = self.pool + place
        cdef int64_t price = ticks if ticks else order.ticks, total = lots if lots else order.lots
        cdef int why
        if order.kind != B_LIMIT or order.state == IS_PENDING or ticks < 0 or lots < 0:
            return Y_INVALID
        if total <= order.lots - order.leaves:
            return Y_INVALID
        if not ticks and not lots:
            return Y_NONE
        why = self._off(ticks, 0, lots if lots else self._least_lots(), 0, F_REDUCE_ONLY)
        if why:
            return why
        if not order.flags & F_REDUCE_ONLY and price * total < self.notional_min:
            return Y_NOTIONAL
        if order.state != IN_BOOK or (price == order.ticks and total <= order.lots):
            return Y_NONE
        if not self.band_low <= price <= self.band_high:
            return Y_BAND
        if (
            self.phase == P_CONTINUOUS and order.flags & F_POST
            and self._would_take(order.side, price)
            and (not order.flags & F_SLIDE or self._slid(order.side) == 0)
        ):
            return Y_WOULD_TAKE
        return Y_NONE

    cdef int _replace(self, int64_t number, int64_t ticks, int64_t lots) except -1:
        cdef int32_t place = self._find(number)
        cdef Order* order = self.pool + place
        cdef Order none
        cdef int64_t filled
        cdef int why
        if self.phase >= P_HALTED:
            why = Y_HALTED if self.phase == P_HALTED else Y_CLOSED
        elif place == NONE:
            why = Y_UNKNOWN_ORDER
        else:
            why = self._no_replace(place, ticks, lots)
        if why:
            none.side, none.owner, none.id = 0, 0, number
            self._say(
                R_REPLACE_REJECTED, why, &none if place == NONE else order, ticks, lots,
                0 if place == NONE else order.leaves,
            )
            return 0
        filled = order.lots - order.leaves
        ticks, lots = ticks if ticks else order.ticks, lots if lots else order.lots
        if order.state != IN_BOOK or (ticks == order.ticks and lots <= order.lots):
            self._cut(place, lots - filled)
            order.ticks = ticks
            self._say(R_REPLACED, Y_NONE, order, ticks, lots, order.leaves)
            return 0
        self._leave(place)
        order.ticks, order.lots, order.leaves = ticks, lots, lots - filled
        order.state = IS_PARKED
        self._say(R_REPLACED, Y_NONE, order, ticks, lots, order.leaves)
        self._enter(place)

    cdef int _advance(self, int64_t now_ns) except -1:
        if now_ns <= self.now_ns:
            return 0
        self.now_ns = now_ns
        while self.expiring and self.expiring[0][0] <= now_ns:
            number = heappop(self.expiring)[1]
            place = self._find(number)
            if place != NONE:
                self._end(place, R_EXPIRED, Y_OUT_OF_TIME)

    cdef int _end_day(self) except -1:
        cdef int64_t i
        numbers = []
        for i in range(self.orders_used):
            if self.pool[i].id and self.pool[i].tif == B_DAY:
                numbers.append(self.pool[i].id)
        self._end_each(sorted(numbers), R_EXPIRED, Y_END_OF_DAY)

    cdef int _set_phase(self, int phase) except -1:
        cdef bint begins = phase == P_AUCTION and self.phase != P_AUCTION
        if phase == P_CONTINUOUS or phase == P_CLOSED:
            self._uncross()
        self.phase = phase
        self._say_no(R_PHASE, Y_NONE, 0)
        self.rows[self.rows_count - 1].lots = phase
        if begins:
            self.pegs_new = True
            for number in self.pegs:
                if self.pool[self._find(number)].state == IN_BOOK:
                    self._move_peg(self._find(number), 0)

    cdef int _uncross(self) except -1:
        """All trades of a crossed book; orders that end on the way may make a second price of it."""
        cdef int64_t price
        while True:
            price, _, _ = self._auction()
            if not price:
                return 0
            while self._trade_at(price):
                pass

    cdef bint _trade_at(self, int64_t price):
        """The best bid trades with the best ask at a price, or one of them ends; False when done."""
        cdef int32_t buyer = self._first(BIDS), seller = self._first(ASKS)
        if buyer == NONE or seller == NONE:
            return False
        if self.pool[buyer].ticks < price or self.pool[seller].ticks > price:
            return False
        if not self._reduced(buyer) or self._first(ASKS) != seller:
            return True
        if not self._reduced(seller) or self._first(BIDS) != buyer:
            return True
        self._trade(
            buyer, seller, price,
            min(self._shown(self.pool + buyer), self._shown(self.pool + seller)), Y_IN_AUCTION,
        )
        return True

    cdef tuple _auction(self):
        """Where an auction would trade: price, lots, bids less asks there; zeros where nowhere."""
        cdef int64_t best_bid = self._best(BIDS), best_ask = self._best(ASKS), price
        cdef dict bids = {}, asks = {}
        if not best_bid or not best_ask or best_bid < best_ask:
            return 0, 0, 0
        self._gather(BIDS, best_ask, bids)
        self._gather(ASKS, best_bid, asks)
        prices = {*bids, *asks}
        if best_ask <= self._last <= best_bid:
            prices.add(self._last)
        demand, supply = sum(bids.values()), 0
        best = None
        for price in sorted(prices):
            supply += asks.get(price, 0)
            volume, surplus = min(demand, supply), demand - supply
            near = abs(price - self._last) if self._last else 0
            rank = (-volume, abs(surplus), near, price)
            if best is None or rank < best[0]:
                best = rank, (price, volume, surplus)
            demand -= bids.get(price, 0)
        return best[1]

    cdef int _gather(self, int side, int64_t limit, dict into) except -1:
        """All lots at each price of a side that is as good as a limit, hidden ones too."""
        cdef Ladder* ladder = &self.ladders[side]
        cdef const Queue* queue
        cdef int64_t at, i, price, lots
        cdef int32_t place
        for at in range(ladder.count - 1, -1, -1):
            for i in range(ladder.chunks[at].count - 1, -1, -1):
                queue = self.queues + ladder.chunks[at].queues[i]
                price = queue.key if side == BIDS else -queue.key
                if price < limit if side == BIDS else price > limit:
                    return 0
                lots, place = 0, queue.head
                while place != NONE:
                    lots += self.pool[place].leaves
                    place = self.pool[place].next
                into[price] = lots

    cdef inline int _whole(self) except -1:
        """Raise MemoryError once memory could not be had: the book is not to be trusted any more."""
        if self.broken:
            raise MemoryError("a book that had no memory left is broken: restore a snapshot")
        return 0

    # --- the face -----------------------------------------------------------------------------------

    def submit(
        self, int8_t side, int8_t kind, int64_t ticks, int64_t lots, int32_t owner=0, int8_t tif=1,
        int8_t flags=0, int8_t stp=0, int8_t trigger=0, int64_t trigger_ticks=0, int64_t offset=0, int64_t display=0,
        int64_t expire_ns=0, int64_t group=0, int64_t parent=0,
    ):
        cdef Operation op
        cdef int64_t number
        op.side, op.kind, op.tif, op.flags, op.stp, op.trigger = side, kind, tif, flags, stp, trigger
        op.owner = owner
        op.ticks, op.lots, op.order, op.trigger_ticks = ticks, lots, parent, trigger_ticks
        op.offset, op.display, op.expire_ns, op.group = offset, display, expire_ns, group
        number = self._submit(&op)
        self._settle()
        self._whole()
        return number

    def cancel(self, int64_t order):
        self._cancel(order)
        self._settle()
        self._whole()

    def replace(self, int64_t order, int64_t ticks=0, int64_t lots=0):
        self._replace(order, ticks, lots)
        self._settle()
        self._whole()

    def mass_cancel(self, int64_t owner=-1, int side=0):
        if not -1 <= side <= 1:
            raise ValueError(f"side {side}: 1, -1 or 0 for both")
        self._cancel_all(owner, side)
        self._settle()
        self._whole()

    def advance(self, int64_t now_ns):
        self._advance(now_ns)
        self._settle()
        self._whole()

    def end_day(self):
        self._end_day()
        self._settle()
        self._whole()

    def set_phase(self, int phase):
        if not P_CONTINUOUS <= phase <= P_CLOSED:
            raise ValueError(f"phase {phase}: {P_CONTINUOUS} to {P_CLOSED} are known")
        self._set_phase(phase)
        self._settle()
        self._whole()

    def indicative(self):
        return self._auction()

    def run(self, operations):
        cdef Py_buffer view
        cdef int64_t count, i
        cdef const Operation* ops
        cdef int32_t[AHEAD] levels  # of the operations to come, as they were found
        PyObject_GetBuffer(operations, &view, PyBUF_SIMPLE)
        try:
            if view.len % sizeof(Operation):
                raise ValueError(f"{view.len} bytes: rows of {sizeof(Operation)} are expected")
            ops = <const Operation*>view.buf
            count = view.len // sizeof(Operation)
            for i in range(AHEAD):
                levels[i] = NONE
            for i in range(count):
                if self.alive > MANY and i + AHEAD < count:
                    self._look_ahead(ops, i, levels)
                self.hint = levels[i % AHEAD]
                levels[i % AHEAD] = NONE
                self._do(ops + i)
                self._settle()
            self._whole()
        finally:
            self.hint = NONE
            PyBuffer_Release(&view)

    cdef inline void _look_ahead(
        self, const Operation* ops, int64_t i, int32_t* levels
    ) noexcept:
        """Fetch what later operations will touch, step by step: slot, order or level, neighbours."""
        cdef const Operation* later = ops + i + AHEAD
        cdef const Order* order
        cdef int32_t place
        if later.op == O_CANCEL:
            fetch(self.table.slots + home(&self.table, <uint32_t>later.order))
        later = ops + i + AHEAD // 2
        if later.op == O_CANCEL:
            place = self.table.slots[home(&self.table, <uint32_t>later.order)].place
            if place != NONE:
                fetch(self.pool + place)
        elif later.op == O_SUBMIT and later.kind == B_LIMIT:
            if later.side > 0:
                place = queue_at(&self.ladders[BIDS], self.queues, later.ticks)
            else:
                place = queue_at(&self.ladders[ASKS], self.queues, -later.ticks)
            levels[(i + AHEAD // 2) % AHEAD] = place
            if place != NONE:
                fetch(self.queues + place)
        later = ops + i + AHEAD // 4
        place = levels[(i + AHEAD // 4) % AHEAD]
        if place != NONE and self.queues[place].tail != NONE:
            fetch(self.pool + self.queues[place].tail)
        elif later.op == O_CANCEL:
            place = self.table.slots[home(&self.table, <uint32_t>later.order)].place
            if place != NONE and self.pool[place].id == later.order:
                order = self.pool + place
                if order.next != NONE:
                    fetch(self.pool + order.next)
                if order.prev != NONE:
                    fetch(self.pool + order.prev)
                if order.queue != NONE:
                    fetch(self.queues + order.queue)

    cdef inline int _do(self, const Operation* op) except -1:
        if op.op == O_SUBMIT:
            self._submit(op)
        elif op.op == O_CANCEL:
            self._cancel(op.order)
        elif op.op == O_REPLACE:
            self._replace(op.order, op.ticks, op.lots)
        elif op.op == O_MASS_CANCEL:
            self._cancel_all(op.owner, op.side)
        elif op.op == O_ADVANCE:
            self._advance(op.expire_ns)
        elif op.op == O_SET_PHASE and P_CONTINUOUS <= op.lots <= P_CLOSED:
            self._set_phase(<int>op.lots)
        elif op.op == O_END_DAY:
            self._end_day()
        else:
            self._say_no(R_REJECTED, Y_INVALID, 0)

    def reports(self):
        cdef int64_t i
        cdef const Row* row
        found = []
        for i in range(self.rows_count):
            row = self.rows + i
            found.append(tuple.__new__(Report, (
                row.kind, row.side, row.reason, row.order, row.owner, row.ticks, row.lots,
                row.leaves, row.other, row.other_owner, row.other_leaves,
            )))
        self.rows_count = 0
        return found

    def drain(self):
        cdef bytes data = PyBytes_FromStringAndSize(
            <const char*>self.rows, self.rows_count * sizeof(Row)
        )
        self.rows_count = 0
        return data

    def order_changes(self):
        cdef int64_t i
        cdef const int64_t* row
        self._need_market_data()
        found = []
        for i in range(0, self.actions_count, 5):
            row = self.actions + i
            found.append((row[0], row[1], row[2], row[3], row[4]))
        self.actions_count = 0
        return found

    def level_changes(self):
        cdef int64_t i, key
        cdef int32_t number
        cdef int side
        self._need_market_data()
        found = {}
        for i in range(self.touches_count):
            key = self.touches[i]
            side = BIDS if key > 0 else ASKS
            number = queue_at(&self.ladders[side], self.queues, key)
            if number != NONE:
                self.queues[number].touched = 0
            lots = 0 if number == NONE else self.queues[number].lots
            found[key] = (1 if key > 0 else -1, abs(key), lots)
        self.touches_count = 0
        return list(found.values())

    def _need_market_data(self):
        if not self.market_data:
            raise ValueError("the book was made without market_data")

    # --- what there is ------------------------------------------------------------------------------

    @property
    def last(self):
        return self._last

    @last.setter
    def last(self, int64_t ticks):
        if not 0 <= ticks <= self.ticks_max:
            raise ValueError(f"last is {ticks}: 0 to {self.ticks_max} is possible")
        self._last = ticks
        self._work_out_band()

    @property
    def memory(self):
        cdef int64_t total = (
            self.orders_capacity * sizeof(Order) + self.extras_capacity * sizeof(Extra)
            + self.queues_capacity * sizeof(Queue) + self.table.count * sizeof(Slot)
            + self.rows_capacity * sizeof(Row) + self.owners * sizeof(int64_t)
            + (self.touches_capacity + self.actions_capacity) * sizeof(int64_t)
        )
        cdef int i
        for i in range(LADDERS):
            total += _ladder_memory(&self.ladders[i])
        return total

    def __len__(self):
        return self.alive

    cdef int _side(self, int side) except -1:
        """BIDS or ASKS. Raises ValueError for what is no side."""
        if side != 1 and side != -1:
            raise ValueError(f"side {side}: BUY is 1, SELL is -1")
        return BIDS if side > 0 else ASKS

    def best(self, int side):
        cdef int32_t top = self.ladders[self._side(side)].top
        if top == NONE:
            return 0, 0
        return abs(self.queues[top].key), self.queues[top].lots

    def levels(self, int side, int64_t depth=0):
        cdef Ladder* ladder = &self.ladders[self._side(side)]
        cdef int64_t at, i
        cdef const Queue* queue
        found = []
        for at in range(ladder.count - 1, -1, -1):
            for i in range(ladder.chunks[at].count - 1, -1, -1):
                queue = self.queues + ladder.chunks[at].queues[i]
                found.append((abs(queue.key), queue.lots))
                if len(found) == depth:
                    return found
        return found

    cdef list _places(self, int ladder_number):
        """The places of all orders of a ladder, the best level first, each first in first out."""
        cdef Ladder* ladder = &self.ladders[ladder_number]
        cdef int64_t at, i
        found = []
        for at in range(ladder.count - 1, -1, -1):
            for i in range(ladder.chunks[at].count - 1, -1, -1):
                found += self._places_in(ladder.chunks[at].queues[i])
        return found

    cdef list _places_in(self, int32_t queue):
        cdef int32_t place = self.queues[queue].head
        found = []
        while place != NONE:
            found.append(place)
            place = self.pool[place].next
        return found

    def resting(self, int side, int64_t count=0):
        cdef Ladder* ladder = &self.ladders[self._side(side)]
        cdef int64_t at, i
        cdef int32_t place
        cdef const Order* order
        found = []
        for at in range(ladder.count - 1, -1, -1):
            for i in range(ladder.chunks[at].count - 1, -1, -1):
                place = self.queues[ladder.chunks[at].queues[i]].head
                while place != NONE:
                    order = self.pool + place
                    found.append((order.id, order.ticks, self._shown(order), order.leaves))
                    if len(found) == count:
                        return found
                    place = order.next
        return found

    def order(self, int64_t order):
        cdef int32_t place = self._find(order)
        cdef const Order* found
        if place == NONE:
            return None
        found = self.pool + place
        return OrderView(
            found.id, found.owner, found.side, found.kind, found.state, found.ticks, found.lots,
            found.leaves, self._shown(found) if found.state == IN_BOOK else 0,
            0 if found.extra == NONE else self.extras[found.extra].trigger_ticks,
        )

    def orders(self, int64_t owner):
        cdef int64_t i
        return sorted(
            self.pool[i].id
            for i in range(self.orders_used)
            if self.pool[i].id and self.pool[i].owner == owner
        )

    def position(self, int64_t owner):
        return self.positions[owner] if 0 < owner < self.owners else 0

    def set_position(self, int64_t owner, int64_t lots):
        if not 0 < owner < OWNERS:
            raise ValueError(f"owner {owner}: 1 to {OWNERS - 1} have positions")
        if owner >= self.owners and not self._know(owner):
            raise MemoryError("no memory for another owner")
        self.positions[owner] = lots

    # --- snapshots ----------------------------------------------------------------------------------

    def snapshot(self):
        cdef int32_t place
        cdef int64_t i
        places = self._places(BIDS) + self._places(ASKS) + self._places(RISES) + self._places(FALLS)
        places += self._places_in(TRAILING) + self._places_in(WAITING_TURN)
        apart = [
            (self.pool[i].id, i)
            for i in range(self.orders_used)
            if self.pool[i].id and self.pool[i].state in (IS_DORMANT, IS_PARKED)
        ]
        places += [place for _, place in sorted(apart)]  # a parent before its children
        held = [(i, self.positions[i]) for i in range(1, self.owners) if self.positions[i]]
        limits = self._limits()
        numbers = [limits[name] for name in LIMITS]
        numbers += [self.phase, self.now_ns, self.next_order, self._last, self.band_low]
        numbers += [self.band_high, self.pegs_new, self.pegged_to[0], self.pegged_to[1]]
        numbers += [len(places), len(held)]
        for place in places:
            numbers += self._numbers_of(place)
        for pair in held:
            numbers += pair
        body = MAGIC + array("q", numbers).tobytes()
        return body + crc32(body).to_bytes(4, "little")

    def _limits(self):
        return {
            "ticks_max": self.ticks_max, "ticks_step": self.ticks_step, "lots_min": self.lots_min,
            "lots_max": self.lots_max, "lots_step": self.lots_step,
            "notional_min": self.notional_min, "band_bps": self.band_bps,
            "orders_max": self.orders_max, "market_data": self.market_data,
        }

    cdef list _numbers_of(self, int32_t place):
        """All of an order, ORDER_NUMBERS of them."""
        cdef const Order* order = self.pool + place
        cdef Extra none = Extra(0, 0, 0, 0, 0, 0, 0, 0, 0, NONE, NONE)
        cdef const Extra* extra = &none if order.extra == NONE else self.extras + order.extra
        return [
            order.id, order.owner, order.side, order.kind, order.tif, order.flags, order.stp,
            order.state, order.trigger, order.ticks, order.lots, order.leaves, extra.trigger_ticks,
            extra.mark, extra.offset, extra.display, extra.shown if order.state == IN_BOOK else 0,
            extra.expire_ns, extra.group, extra.parent, extra.limit,
        ]

    @classmethod
    def restore(cls, bytes data):
        cdef MatchingBook book
        numbers = array("q")
        if not data.startswith(MAGIC) or (len(data) - len(MAGIC)) % 8 != 4:
            raise ValueError("this is no snapshot of a matching book")
        if crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
            raise ValueError("a snapshot of a matching book is cut short or spoilt")
        numbers.frombytes(data[len(MAGIC):-4])
        head = len(LIMITS) + 11
        book = cls(**dict(zip(LIMITS, numbers[: len(LIMITS)])))
        state = numbers[len(LIMITS) : head].tolist()
        book.phase, book.now_ns, book.next_order, book._last = state[:4]
        book.band_low, book.band_high, book.pegs_new = state[4:7]
        book.pegged_to[BIDS], book.pegged_to[ASKS] = state[7], state[8]
        place = head
        for _ in range(numbers[head - 2]):
            book._put_back(numbers[place : place + ORDER_NUMBERS])
            place += ORDER_NUMBERS
        while place < len(numbers):
            book.set_position(numbers[place], numbers[place + 1])
            place += 2
        book._whole()
        return book

    cdef int _put_back(self, numbers) except -1:
        """An order of a snapshot, behind those of its queue that were put back before."""
        cdef int32_t place
        cdef Order* order
        cdef Extra* extra
        if not self._may_be(numbers):
            raise ValueError("a snapshot of a matching book holds what cannot be an order")
        if numbers[1] >= self.owners and not self._know(numbers[1]):
            raise MemoryError("no memory for another owner")
        place = self._new_order()
        if place == NONE:
            raise MemoryError("no memory for another order")
        order = self.pool + place
        order.extra = order.queue = NONE
        order.id, order.owner, order.side, order.kind, order.tif, order.flags = numbers[:6]
        order.stp, order.state, order.trigger, order.ticks, order.lots, order.leaves = numbers[6:12]
        put_number(&self.table, order.id, place)
        if any(numbers[12:]) or order.kind == B_PEGGED:
            extra = self._extra_of(order)
            if extra is NULL:
                raise MemoryError("no memory for another order")
            extra.trigger_ticks, extra.mark, extra.offset, extra.display = numbers[12:16]
            extra.shown, extra.expire_ns, extra.group, extra.parent, extra.limit = numbers[16:]
            if extra.group:
                insort(self.groups.setdefault((order.owner, extra.group), []), order.id)
            if extra.expire_ns:
                heappush(self.expiring, (extra.expire_ns, order.id))
        if order.kind == B_PEGGED and order.state in (IN_BOOK, IS_PARKED):
            insort(self.pegs, order.id)
        self._queue_again(place)

    cdef bint _may_be(self, numbers):
        """Whether an order of a snapshot can be put back: no number of it leads out of the arrays."""
        if len(numbers) != ORDER_NUMBERS:
            return False
        number, owner, side, kind, tif, flags, stp, state, trigger, ticks, lots, leaves = numbers[:12]
        display, shown, parent = numbers[15], numbers[16], numbers[19]
        return (
            0 < number < self.next_order and self._find(number) == NONE and 0 <= owner < OWNERS
            and side in (1, -1) and B_LIMIT <= kind <= B_PEGGED and B_GTC <= tif <= B_DAY
            and 0 <= flags <= 7 and S_NONE <= stp <= S_DECREMENT and 0 <= trigger <= B_TRAIL_BPS
            and IN_BOOK <= state <= IS_PENDING and 0 < leaves <= lots <= self.lots_max
            and (0 < ticks if state == IN_BOOK else 0 <= ticks) and ticks <= self.ticks_max
            and (state in (IN_BOOK, IS_PARKED) or any(numbers[12:]))
            and (state != IN_BOOK or not display or 0 < shown <= leaves)
            and (state != IS_DORMANT or self._find(parent) != NONE)
        )

    cdef int _queue_again(self, int32_t place) except -1:
        """An order of a snapshot takes its place in a queue."""
        cdef Order* order = self.pool + place
        cdef int64_t trigger_ticks, shown
        cdef int32_t list_place
        if order.state == IN_BOOK:
            shown = self._shown(order)
            list_place = self._level(
                BIDS if order.side > 0 else ASKS, order.ticks if order.side > 0 else -order.ticks
            )
            self.queues[list_place].lots += shown
            self.queues[list_place].pegs += order.kind == B_PEGGED
        elif order.state == IS_WAITING and order.trigger >= B_TRAIL_TICKS:
            list_place = TRAILING
        elif order.state == IS_WAITING:
            trigger_ticks = self.extras[order.extra].trigger_ticks
            if (order.side > 0) == (order.trigger != B_TAKE_PROFIT):
                list_place = self._level(RISES, -trigger_ticks)
            else:
                list_place = self._level(FALLS, trigger_ticks)
        elif order.state == IS_PENDING:
            list_place = WAITING_TURN
        elif order.state == IS_DORMANT:
            self._adopt(self._find(self.extras[order.extra].parent), place)
            return 0
        else:
            return 0
        append(self.pool, self.queues + list_place, place, list_place)


cdef int64_t _ladder_memory(const Ladder* ladder):
    return ladder.capacity * 16 + ladder.made * 784
