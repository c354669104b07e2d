"""The matching kernel's words as C numbers, and the rows in which operations come and reports go.

B_, S_, P_, R_, Y_, O_ and A_ are kinds and times, self-trade modes, phases, reports, reasons, operations
and actions: matching.pyx gives them their public names, docs/matching.md their meaning.
"""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t

cdef enum:
    B_LIMIT = 1, B_MARKET = 2, B_PEGGED = 3
    B_STOP = 1, B_TAKE_PROFIT = 2, B_TRAIL_TICKS = 3, B_TRAIL_BPS = 4
    B_GTC = 1, B_IOC = 2, B_FOK = 3, B_GTD = 4, B_DAY = 5
    F_POST_ONLY = 1, F_SLIDE = 2, F_REDUCE_ONLY = 4, F_POST = 3
    S_NONE = 0, S_NEWEST = 1, S_OLDEST = 2, S_BOTH = 3, S_DECREMENT = 4
    P_CONTINUOUS = 1, P_AUCTION = 2, P_HALTED = 3, P_CLOSED = 4
    IN_BOOK = 1, IS_WAITING = 2, IS_DORMANT = 3, IS_PARKED = 4, IS_PENDING = 5
    R_ACCEPTED = 1, R_REJECTED = 2, R_TRADE = 3, R_CANCELLED = 4, R_EXPIRED = 5, R_REPLACED = 6
    R_CANCEL_REJECTED = 7, R_REPLACE_REJECTED = 8, R_TRIGGERED = 9, R_REPRICED = 10
    R_DECREMENTED = 11, R_ACTIVATED = 12, R_PHASE = 13
    Y_NONE = 0, Y_INVALID = 1, Y_TICK = 2, Y_LOT = 3, Y_NOTIONAL = 4, Y_BAND = 5, Y_REDUCE = 6
    Y_WOULD_TAKE = 7, Y_FULL = 8, Y_NOT_IN_AUCTION = 9, Y_HALTED = 10, Y_CLOSED = 11
    Y_UNKNOWN_ORDER = 12, Y_NO_PARENT = 13, Y_BY_CLIENT = 14, Y_BY_MASS = 15, Y_NOT_FILLED = 16
    Y_NOT_FILLABLE = 17, Y_NO_LIQUIDITY = 18, Y_SELF_TRADE = 19, Y_BY_GROUP = 20
    Y_BY_PARENT = 21, Y_OUT_OF_TIME = 22, Y_END_OF_DAY = 23, Y_IN_AUCTION = 24
    O_SUBMIT = 1, O_CANCEL = 2, O_REPLACE = 3, O_MASS_CANCEL = 4, O_ADVANCE = 5
    O_SET_PHASE = 6, O_END_DAY = 7
    A_ADDED = 1, A_CHANGED = 2, A_DELETED = 3
    BIDS = 0, ASKS = 1, RISES = 2, FALLS = 3, LADDERS = 4
    TRAILING = 0, WAITING_TURN = 1, FIRST_FREE = 2  # lists that are always there: places of queues
    OWNERS = 1 << 20
    ORDER_NUMBERS = 21       # of an order in a snapshot
    AHEAD = 8                # operations that `run` looks ahead
    MANY = 16_384            # orders that no longer fit near the processor: then it looks ahead

cdef struct Operation:
    int8_t op
    int8_t side
    int8_t kind
    int8_t tif
    int8_t flags
    int8_t stp
    int8_t trigger
    int8_t spare
    int32_t owner
    int32_t spare_too
    int64_t ticks
    int64_t lots
    int64_t order
    int64_t trigger_ticks
    int64_t offset
    int64_t display
    int64_t expire_ns
    int64_t group

cdef struct Row:             # a report
    int8_t kind
    int8_t side
    int16_t reason
    int32_t owner
    int32_t other_owner
    int32_t spare
    int64_t order
    int64_t ticks
    int64_t lots
    int64_t leaves
    int64_t other
    int64_t other_leaves
