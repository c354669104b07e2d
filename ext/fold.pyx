"""Journal records folded into what they leave behind, without making a message of any of them.

Of orders the last state and what filled, each order once by its client id; of fills each trade once by
its venue's trade id, and the lots they moved by instrument; of balances, positions and the risk level
the last word. The records are MessagePack arrays [type, sender, sequence, received_ns, fields...] in
frames; fields are read where they stand and skipped where they are not wanted.

Orders live in flat arrays that double when full, found by a dict from their id; a record costs its
checksum, a walk over its bytes and at most two lookups. Worst case: a record of a type not folded is
walked over by its checksum alone. Bytes that are no such array raise ValueError with their place.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.stdint cimport int64_t, uint8_t, uint32_t

from ext.framing cimport FRAME, WHOLE, look
from ext.walk cimport Reader, Text, array, integer, named, skip, string

cdef struct Order:
    int64_t bot
    int64_t venue
    int64_t instrument
    int64_t side
    int64_t ticks
    int64_t lots
    int64_t filled
    int64_t state

cdef enum:
    INTENDED = 1
    APPROVED = 2
    REJECTED = 9
    DUPLICATE = 204
    INTENT_FIELDS = 13  # of an intent's array, those read: its type, header and what follows to the lots


cdef inline bytes copied(Text text):
    return PyBytes_FromStringAndSize(text.at, text.size)


cdef class Fold:
    """What a journal's records leave behind; see the module."""

    cdef Order* _orders
    cdef Py_ssize_t _room
    cdef Py_ssize_t _count
    cdef dict _places  # client order id -> place in `_orders`
    cdef dict _trades  # venue -> set of trade ids
    cdef dict _moved  # instrument -> [lots bought, lots sold]
    cdef dict _balances  # venue -> {asset: total}
    cdef dict _positions  # (base, quote) -> (quantity, cost, realised, fees)
    cdef readonly int64_t level
    cdef readonly int64_t fills
    cdef readonly int64_t records

    def __cinit__(self):
        self._orders = NULL
        self._room = self._count = 0
        self._places, self._trades, self._moved = {}, {}, {}
        self._balances, self._positions = {}, {}
        self.level = self.fills = self.records = 0

    def __dealloc__(self):
        PyMem_Free(self._orders)

    def take(self, const uint8_t[::1] data, Py_ssize_t at):
        """Fold all records from `at` on; where they stop and why (`ext.framing`'s END or DAMAGED)."""
        cdef uint32_t length = 0
        cdef int64_t now_ns = 0
        cdef Py_ssize_t size = data.shape[0]
        cdef const char* base = <const char*> &data[0] if size else NULL
        cdef int why
        cdef Reader reader
        while True:
            why = look(base, at, size, &length, &now_ns)
            if why != WHOLE:
                return at, why
            reader.at = <const uint8_t*> base + at + FRAME
            reader.end = reader.at + length
            reader.bad = False
            self._fold(&reader)
            if reader.bad:
                raise ValueError(f"the record at byte {at} is none of ours")
            at += FRAME + length
            self.records += 1

    cdef int _fold(self, Reader* reader) except -1:
        cdef Text kind
        array(reader)
        kind = string(reader)
        if reader.bad:
            return 0
        if named(kind, "OrderEvent", 10):
            self._on_event(reader)
        elif named(kind, "OrderIntent", 11):
            self._on_intent(reader, INTENDED)
        elif named(kind, "OrderCommand", 12):
            self._header(reader)
            array(reader)
            string(reader)
            self._on_intent(reader, APPROVED)
        elif named(kind, "OrderRefused", 12):
            self._on_refusal(reader)
        elif named(kind, "GroupIntent", 11):
            self._on_group(reader)
        elif named(kind, "Fill", 4):
            self._on_fill(reader)
        elif named(kind, "BalanceUpdate", 13):
            self._on_balance(reader)
        elif named(kind, "PositionUpdate", 14):
            self._on_position(reader)
        elif named(kind, "RiskLevel", 9):
            self._header(reader)
            self.level = integer(reader)
        return 0

    cdef inline void _header(self, Reader* reader) noexcept:
        """Sender, sequence and receive time are not wanted."""
        integer(reader)
        integer(reader)
        integer(reader)

    cdef Order* _order(self, Text name) except NULL:
        """The order of this id; a fresh one has state 0."""
        cdef bytes key = copied(name)
        cdef object place = self._places.get(key)
        cdef Order* grown
        if place is not None:
            return &self._orders[<Py_ssize_t> place]
        if self._count == self._room:
            self._room = max(1024, 2 * self._room)
            grown = <Order*> PyMem_Realloc(self._orders, self._room * sizeof(Order))
            if grown == NULL:
                raise MemoryError
            self._orders = grown
        self._places[key] = self._count
        self._count += 1
        self._orders[self._count - 1] = Order(0, 0, 0, 0, 0, 0, 0, 0)
        return &self._orders[self._count - 1]

    cdef int _on_intent(self, Reader* reader, int state) except -1:
        cdef Text name
        cdef Order order
        cdef Order* known
        self._header(reader)
        name = string(reader)
        order.bot = integer(reader)
        integer(reader)  # group
        integer(reader)  # leg
        order.venue = integer(reader)
        order.instrument = integer(reader)
        order.side = integer(reader)
        order.ticks = integer(reader)
        order.lots = integer(reader)
        order.filled = 0
        order.state = state
        if reader.bad:
            return 0
        known = self._order(name)
        if known.state < state:  # a venue's word, or the guard's, may have been read before
            known[0] = order
        return 0

    cdef int _on_group(self, Reader* reader) except -1:
        cdef uint32_t legs, fields
        self._header(reader)
        integer(reader)  # bot
        integer(reader)  # group
        legs = array(reader)
        while legs > 0 and not reader.bad:
            legs -= 1
            fields = array(reader)
            string(reader)
            self._on_intent(reader, INTENDED)
            skip(reader, <int64_t> fields - INTENT_FIELDS)
        return 0

    cdef int _on_refusal(self, Reader* reader) except -1:
        cdef Text name
        cdef int64_t bot, instrument, reason
        cdef Order* known
        self._header(reader)
        name = string(reader)
        bot = integer(reader)
        instrument = integer(reader)
        reason = integer(reader)
        if reader.bad or reason == DUPLICATE:
            return 0
        known = self._order(name)
        known.bot, known.instrument, known.state = bot, instrument, REJECTED
        return 0

    cdef int _on_event(self, Reader* reader) except -1:
        cdef Text name
        cdef Order order
        cdef int64_t reason
        self._header(reader)
        name = string(reader)
        order.bot = integer(reader)
        order.venue = integer(reader)
        order.instrument = integer(reader)
        order.side = integer(reader)
        order.ticks = integer(reader)
        order.lots = integer(reader)
        order.filled = integer(reader)
        order.state = integer(reader)
        reason = integer(reader)
        if reader.bad or reason == DUPLICATE:  # a refused repeat says nothing of the first
            return 0
        self._order(name)[0] = order
        return 0

    cdef int _on_fill(self, Reader* reader) except -1:
        cdef int64_t venue, instrument, side, lots
        cdef Text trade
        cdef bytes key
        cdef set known
        cdef list moved
        self._header(reader)
        string(reader)  # client order id
        integer(reader)  # bot
        venue = integer(reader)
        instrument = integer(reader)
        side = integer(reader)
        integer(reader)  # ticks
        lots = integer(reader)
        integer(reader)  # fee
        string(reader)  # its asset
        trade = string(reader)
        if reader.bad:
            return 0
        known = self._trades.get(venue)
        if known is None:
            known = self._trades[venue] = set()
        key = copied(trade)
        if key in known:
            return 0
        known.add(key)
        self.fills += 1
        moved = self._moved.get(instrument)
        if moved is None:
            moved = self._moved[instrument] = [0, 0]
        moved[0 if side > 0 else 1] += lots
        return 0

    cdef int _on_balance(self, Reader* reader) except -1:
        cdef int64_t venue, total
        cdef Text asset
        cdef dict held
        self._header(reader)
        venue = integer(reader)
        asset = string(reader)
        total = integer(reader)
        if reader.bad:
            return 0
        held = self._balances.get(venue)
        if held is None:
            held = self._balances[venue] = {}
        held[copied(asset)] = total
        return 0

    cdef int _on_position(self, Reader* reader) except -1:
        cdef Text base, quote
        cdef int64_t quantity, cost, realised, fees
        self._header(reader)
        base = string(reader)
        quote = string(reader)
        quantity = integer(reader)
        cost = integer(reader)
        realised = integer(reader)
        fees = integer(reader)
        if not reader.bad:
            self._positions[copied(base), copied(quote)] = (quantity, cost, realised, fees)
        return 0

    # --- what is left behind ----------------------------------------------------------------------

    def orders(self):
        """By client order id: (bot, venue, instrument, side, ticks, lots, filled, state)."""
        cdef Order order
        found = {}
        for name, place in self._places.items():
            order = self._orders[<Py_ssize_t> place]
            found[name.decode()] = (
                order.bot, order.venue, order.instrument, order.side,
                order.ticks, order.lots, order.filled, order.state,
            )
        return found

    def moved(self):
        """By instrument: (lots bought, lots sold)."""
        return {instrument: tuple(lots) for instrument, lots in self._moved.items()}

    def balances(self):
        """By (venue, asset): units held."""
        return {
            (venue, asset.decode()): total
            for venue, held in self._balances.items()
            for asset, total in held.items()
        }

    def positions(self):
        """By (base, quote): (quantity, cost, realised, fees) in units."""
        return {
            (base.decode(), quote.decode()): row for (base, quote), row in self._positions.items()
        }
