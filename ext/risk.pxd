"""The risk kernel's structs and words; risk.pyx says what they mean. Sizes are int64 units and lots."""

from libc.stdint cimport int8_t, int32_t, int64_t, uint64_t

cdef extern from *:
    """
    typedef __int128 wide;
    """
    ctypedef long long wide

cdef enum:
    # The rules, by their numbers in the vocabulary of refusals.
    PASSED = 0
    R_ORDER_NOTIONAL = 101, R_POSITION = 102, R_PRICE_DISTANCE = 103, R_ORDER_LOTS = 104
    R_MIN_NOTIONAL = 105, R_GROSS = 106, R_NET = 107, R_VENUE_GROSS = 108, R_CLUSTER = 109
    R_ORDERS_OPEN = 110, R_MESSAGE_RATE = 111, R_SELF_CROSS = 112
    R_EQUITY_SHARE = 113, R_BOT_NOTIONAL = 114, R_NO_MARKET = 201
    R_STALE_MARKET = 202, R_UNRESOLVED = 203, R_DUPLICATE = 204, R_UNKNOWN_INSTRUMENT = 205
    R_RISK_LEVEL = 206, R_GROUP = 207, R_NOT_RECONCILED = 208, R_SAME_CONTENT = 209
    R_NOT_REDUCING = 210, R_DRAINING = 301, R_EXPIRED = 302, R_BALANCE = 403
    R_MALFORMED = 505, R_OFF_GRID = 506, R_KILLED = 901, R_STALE_MARK = 906
    L_CAUTION = 2, L_RESTRICTED = 3, L_HALT = 4
    F_FLATTENING = 1, F_HEDGE = 2, F_OWED = 4, F_GUARD = 8
    BOOK_LIVE = 2
    BPS = 10_000
    BOTS_MAX = 65_536
    LEGS_MAX = 16
    NOWHERE = -1

cdef struct Pace:            # of messages: a bucket that holds `burst` and drips one an interval
    int64_t interval_ns      # 0: no limit
    int64_t burst
    int64_t full_ns          # when the bucket is empty of debts

cdef struct Market:          # an instrument
    int32_t venue, base, quote, state
    int32_t orders, orders_max, unknown
    int32_t was_live
    int32_t checks_balance   # no: a contract, whose base is never held
    int64_t base_units, quote_units          # of a lot; of a tick and lot
    int64_t lots_min, lots_max, ticks_min, ticks_max
    int64_t notional_min, notional_max, distance_bps, stale_ns
    int64_t bid, ask, received_ns
    int64_t own_bid, own_ask                 # the best of our own open orders; 0: none
    int32_t bids, asks                       # the first of each in `orders`, or NOWHERE

cdef struct Asset:
    int64_t position, position_max           # deviation from the target, in units
    int64_t buys, sells                      # in flight
    int64_t gross, longs, shorts             # what it may come to, in the currency's units
    double mark                              # currency units a unit; 0: not known
    int32_t cluster                          # or NOWHERE
    int32_t shares                           # limited to a share of equity

cdef struct Holding:         # an asset at a venue
    int64_t total, reserved
    int64_t position, buys, sells, gross
    int32_t known, spare

cdef struct VenueLimits:
    wide gross
    int64_t gross_max
    Pace pace
    int32_t orders, orders_max, reconciled, spare

cdef struct BotLimits:
    int64_t notional_max     # in the currency's units
    Pace pace
    int32_t orders, orders_max

cdef struct Cluster:
    wide longs, shorts
    int64_t exposure_max

cdef struct Open:            # an order that is not final
    int64_t ticks, lots      # lots that may still fill
    int32_t instrument, bot, next, before
    int8_t side, unknown, alive, spare

cdef struct Wish:            # an order to be checked
    uint64_t name, content
    int64_t ticks, lots, expires_ns
    int32_t bot, venue, instrument, side, flags
    int32_t place            # where it is reserved
    int32_t reduces
    wide units, quote        # of the base and the quote asset
    int64_t bot_before_ns, venue_before_ns   # the buckets as they were

cdef struct WishRow:         # the same as it comes in rows
    uint64_t name, content
    int64_t ticks, lots, expires_ns
    int32_t bot, venue, instrument, side, flags, spare
