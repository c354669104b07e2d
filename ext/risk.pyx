"""Every pre-trade check in one call: what an order could come to, against all limits, in C integers.

Shape. Flat arrays: instruments, assets, holdings (asset x venue), venues, bots, clusters, open orders.
Each sum a limit speaks of is kept while orders come and end, so a check costs the same however many
are open: it touches one instrument, one asset, one or two holdings, one venue, one bot, one cluster and
the tables of what was ordered lately. An order's own price is held against the best of our own orders
on that instrument; these hang in two lists an instrument, searched only when the best of them ends.

Money. Positions and balances are int64 units. What exposures are worth in one currency is a rounded
product of units and a mark (a double): numbers that are compared, never owned. A position is the
deviation from its target; an order reduces when, with all that is in flight on its side, it brings the
deviation nearer to zero and not beyond.

Worst. All open orders on one instrument, and the best of them ends: its list is walked. A mark that
moves walks the venues of its asset. Memory that cannot be had raises MemoryError before anything changes.
"""

from array import array

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

cimport cython

from ext.recent cimport (
    Recent, content_age, drop_recent, fetch_recent, forget_first, knows_name, make_recent, remember,
)
from ext.risk cimport *

FLATTENING, HEDGE, OWED, GUARD = F_FLATTENING, F_HEDGE, F_OWED, F_GUARD
NO_LIMIT = 0x7FFFFFFFFFFFFFFF
LEGS = LEGS_MAX
Leg = tuple
REASONS = {
    "ORDER_NOTIONAL": R_ORDER_NOTIONAL, "POSITION": R_POSITION, "PRICE_DISTANCE": R_PRICE_DISTANCE,
    "ORDER_LOTS": R_ORDER_LOTS, "MIN_NOTIONAL": R_MIN_NOTIONAL, "GROSS_EXPOSURE": R_GROSS,
    "NET_EXPOSURE": R_NET, "VENUE_GROSS": R_VENUE_GROSS, "CLUSTER": R_CLUSTER,
    "ORDERS_OPEN": R_ORDERS_OPEN, "MESSAGE_RATE": R_MESSAGE_RATE, "SELF_CROSS": R_SELF_CROSS, "EQUITY_SHARE": R_EQUITY_SHARE, "BOT_NOTIONAL": R_BOT_NOTIONAL,
    "NO_MARKET": R_NO_MARKET, "STALE_MARKET": R_STALE_MARKET, "UNRESOLVED_ORDER": R_UNRESOLVED,
    "DUPLICATE": R_DUPLICATE, "UNKNOWN_INSTRUMENT": R_UNKNOWN_INSTRUMENT,
    "RISK_LEVEL": R_RISK_LEVEL, "GROUP": R_GROUP, "NOT_RECONCILED": R_NOT_RECONCILED,
    "SAME_CONTENT": R_SAME_CONTENT, "NOT_REDUCING": R_NOT_REDUCING, "DRAINING": R_DRAINING,
    "EXPIRED": R_EXPIRED, "BALANCE": R_BALANCE, "MALFORMED": R_MALFORMED,
    "OFF_GRID": R_OFF_GRID, "KILLED": R_KILLED, "STALE_MARK": R_STALE_MARK,
}
WISH = [
    ("name", "u8"), ("content", "u8"), ("ticks", "i8"), ("lots", "i8"), ("expires_ns", "i8"),
    ("bot", "i4"), ("venue", "i4"), ("instrument", "i4"), ("side", "i4"), ("flags", "i4"),
    ("spare", "i4"),
]
VERSION = 1
cdef int64_t MOST = 0x7FFFFFFFFFFFFFFF
cdef int64_t HUGE = 1LL << 62


cdef int64_t bits_of(double number) noexcept nogil:
    """A double as its 64 bits."""
    cdef int64_t bits
    memcpy(&bits, &number, sizeof(bits))
    return bits


cdef double double_of(int64_t bits) noexcept nogil:
    """The double of 64 bits."""
    cdef double number
    memcpy(&number, &bits, sizeof(number))
    return number


cdef inline int64_t clamped(wide value) noexcept nogil:
    """Within int64."""
    return MOST if value > MOST else -MOST if value < -MOST else <int64_t>value


cdef inline int64_t worth(int64_t units, double mark) noexcept nogil:
    """Units at a mark, rounded to the currency's units."""
    cdef double value = units * mark
    if value >= 0:
        return HUGE if value >= 4.6e18 else <int64_t>(value + 0.5)
    return -HUGE if value <= -4.6e18 else <int64_t>(value - 0.5)


cdef inline int64_t worst(int64_t position, int64_t buys, int64_t sells) noexcept nogil:
    """The largest size that a position may come to when one side in flight fills and the other does not."""
    cdef int64_t up = clamped(<wide>position + buys), down = clamped(<wide>position - sells)
    return up if up >= -down else -down


cdef inline int64_t owed(const Pace* pace, int64_t now_ns) noexcept nogil:
    """When one more message now would be paid for, after now."""
    return (pace.full_ns if pace.full_ns > now_ns else now_ns) + pace.interval_ns - now_ns


cdef inline uint64_t mixed(uint64_t seed, uint64_t word) noexcept nogil:
    """A 64-bit hash goes on by a word."""
    seed = (seed ^ word) * 0x9E3779B97F4A7C15ULL
    return seed ^ (seed >> 29)


cdef uint64_t hashed(str text, uint64_t seed) except? 0:
    """A text's hash, the same in each process."""
    cdef Py_ssize_t size, i
    cdef const unsigned char* data = <const unsigned char*>PyUnicode_AsUTF8AndSize(text, &size)
    for i in range(size):
        seed = (seed ^ data[i]) * 0x100000001B3ULL
    return mixed(seed, <uint64_t>size)


def key_of(text):
    """The key under which a name is remembered."""
    return hashed(text, 0xCBF29CE484222325ULL)


def content_of(bot, group, leg, instrument, side, ticks, lots, parent=""):
    """The key of what an order is apart from its name."""
    return _content(bot, group, leg, instrument, side, ticks, lots, parent)


cdef uint64_t _content(
    int64_t bot, int64_t group, int64_t leg, int64_t instrument, int64_t side, int64_t ticks,
    int64_t lots, str parent,
) except? 0:
    cdef uint64_t key = hashed(parent, 0x84222325CBF29CE4ULL)
    key = mixed(mixed(mixed(key, <uint64_t>bot), <uint64_t>group), <uint64_t>leg)
    key = mixed(mixed(key, <uint64_t>instrument), <uint64_t>side)
    return mixed(mixed(key, <uint64_t>ticks), <uint64_t>lots)


cdef class RiskKernel:
    """See risk.pyi."""

    cdef Market* markets
    cdef Asset* assets
    cdef Holding* holdings
    cdef VenueLimits* venues
    cdef BotLimits* bots
    cdef Cluster* clusters
    cdef Open* open
    cdef Recent recent
    cdef Wish legs[LEGS_MAX]
    cdef int32_t market_count, asset_count, venue_count, cluster_count, bot_count, open_room
    cdef int32_t first_free, orders, orders_max
    cdef int64_t gross_max, net_max, share_max, window_ns
    cdef wide gross, longs, shorts
    cdef BotLimits any_bot
    cdef readonly int reason
    cdef readonly int64_t limit, value
    cdef readonly int leg
    cdef int taken           # legs of the group that is being checked
    cdef public int level
    cdef public bint killed, draining

    def __cinit__(self, int instruments, int assets, int venues, int clusters=0, *, int remembered=65_536):
        if min(instruments, assets, venues) < 1 or clusters < 0 or not 1 <= remembered <= 1 << 24:
            raise ValueError("a risk kernel has one instrument, asset and venue or more")
        self.market_count, self.asset_count = instruments, assets
        self.venue_count, self.cluster_count = venues, clusters
        self.markets = <Market*>calloc(instruments, sizeof(Market))
        self.assets = <Asset*>calloc(assets, sizeof(Asset))
        self.holdings = <Holding*>calloc(<size_t>assets * venues, sizeof(Holding))
        self.venues = <VenueLimits*>calloc(venues, sizeof(VenueLimits))
        self.clusters = <Cluster*>calloc(clusters + 1, sizeof(Cluster))
        if not (make_recent(&self.recent, remembered) and self.markets and self.assets
                and self.holdings and self.venues and self.clusters):
            raise MemoryError("no memory for the risk kernel")
        cdef int i
        for i in range(instruments):
            self.markets[i].bids = self.markets[i].asks = NOWHERE
        for i in range(assets):
            self.assets[i].position_max, self.assets[i].cluster = MOST, NOWHERE
        for i in range(venues):
            self.venues[i].gross_max, self.venues[i].orders_max = MOST, 0x7FFFFFFF
            self.venues[i].reconciled = 1
        for i in range(clusters):
            self.clusters[i].exposure_max = MOST
        self.any_bot.notional_max, self.any_bot.orders_max = MOST, 0x7FFFFFFF
        self.first_free, self.orders_max, self.level = NOWHERE, 0x7FFFFFFF, 1
        self.gross_max = self.net_max = MOST
        self.share_max, self.window_ns = -1, 0

    def __dealloc__(self):
        free(self.markets)
        free(self.assets)
        free(self.holdings)
        free(self.venues)
        free(self.bots)
        free(self.clusters)
        free(self.open)
        drop_recent(&self.recent)

    # --- limits -----------------------------------------------------------------------------------

    cdef int _at(self, int number, int count, str what) except -1:
        if not 0 <= number < count:
            raise IndexError(f"{what} {number}: there are {count}")
        return number

    def set_instrument(
        self, int number, int venue, int base, int quote, int64_t base_units, int64_t quote_units,
        int64_t lots_min, int64_t lots_max, int64_t ticks_min, int64_t ticks_max,
        int64_t notional_min, bint checks_balance=True,
    ):
        """See risk.pyi."""
        cdef Market* market = &self.markets[self._at(number, self.market_count, "instrument")]
        self._at(venue, self.venue_count, "venue")
        self._at(base, self.asset_count, "asset")
        self._at(quote, self.asset_count, "asset")
        self._count_open(market, -1)  # what is in flight was counted in lots of another size
        market.venue, market.base, market.quote = venue, base, quote
        market.base_units, market.quote_units = base_units, quote_units
        market.lots_min, market.lots_max = lots_min, lots_max
        market.ticks_min, market.ticks_max = ticks_min, ticks_max
        market.notional_min, market.checks_balance = notional_min, checks_balance
        market.state, market.bid, market.ask = 0, 0, 0
        self._count_open(market, 1)

    cdef void _count_open(self, Market* market, int sign) noexcept nogil:
        cdef int at, side
        for side in range(2):
            at = market.asks if side else market.bids
            while at != NOWHERE:
                self._in_flight(
                    market, self.open[at].side, self.open[at].ticks, sign * self.open[at].lots
                )
                at = self.open[at].next

    def limit_instrument(self, int number, int64_t notional_max, int64_t distance_bps, int64_t stale_ns,
                         int orders_max=0x7FFFFFFF):
        """See risk.pyi."""
        cdef Market* market = &self.markets[self._at(number, self.market_count, "instrument")]
        market.notional_max, market.distance_bps = notional_max, distance_bps
        market.stale_ns, market.orders_max = stale_ns, orders_max

    def limit_asset(self, int number, int64_t position_max, bint shares=False, int cluster=NOWHERE):
        """See risk.pyi."""
        cdef Asset* asset = &self.assets[self._at(number, self.asset_count, "asset")]
        cdef Cluster* former
        if cluster != NOWHERE:
            self._at(cluster, self.cluster_count, "cluster")
        asset.position_max, asset.shares = position_max, shares
        if asset.cluster != cluster:
            if asset.cluster != NOWHERE:
                former = &self.clusters[asset.cluster]
                former.longs -= max(asset.longs, 0)
                former.shorts -= max(-asset.shorts, 0)
            asset.cluster = cluster
            if cluster != NOWHERE:
                self.clusters[cluster].longs += max(asset.longs, 0)
                self.clusters[cluster].shorts += max(-asset.shorts, 0)

    def limit_venue(self, int number, int64_t gross_max, int orders_max=0x7FFFFFFF,
                    int64_t interval_ns=0, int64_t burst=1):
        """See risk.pyi."""
        cdef VenueLimits* venue = &self.venues[self._at(number, self.venue_count, "venue")]
        venue.gross_max, venue.orders_max = gross_max, orders_max
        venue.pace.interval_ns, venue.pace.burst = interval_ns, burst

    def limit_bot(self, int number, int64_t notional_max, int orders_max=0x7FFFFFFF,
                  int64_t interval_ns=0, int64_t burst=1):
        """See risk.pyi."""
        cdef BotLimits* bot = &self.any_bot
        if number != NOWHERE:
            self._room_for_bot(self._at(number, BOTS_MAX, "bot"))
            bot = &self.bots[number]
        bot.notional_max, bot.orders_max = notional_max, orders_max
        bot.pace.interval_ns, bot.pace.burst = interval_ns, burst

    def limit_all(self, int orders_max, int64_t gross_max, int64_t net_max, int64_t window_ns):
        """See risk.pyi."""
        self.orders_max, self.gross_max, self.net_max = orders_max, gross_max, net_max
        self.window_ns = window_ns

    def limit_cluster(self, int number, int64_t exposure_max):
        """See risk.pyi."""
        self.clusters[self._at(number, self.cluster_count, "cluster")].exposure_max = exposure_max

    def limit_share(self, int64_t value):
        """See risk.pyi."""
        self.share_max = value

    cdef int _room_for_bot(self, int number) except -1:
        return 0 if number < self.bot_count else self._make_bots(number + 16)

    cdef int _make_bots(self, int count) except -1:
        cdef int i
        cdef BotLimits* room = <BotLimits*>realloc(self.bots, count * sizeof(BotLimits))
        if room is NULL:
            raise MemoryError("no memory for a bot")
        self.bots = room
        for i in range(self.bot_count, count):
            room[i] = self.any_bot
        self.bot_count = count
        return 0

    # --- what the markets and accounts are ------------------------------------------------------------

    def top(self, int number, int state, int64_t bid, int64_t ask, int64_t received_ns):
        """See risk.pyi."""
        cdef Market* market = &self.markets[self._at(number, self.market_count, "instrument")]
        cdef double quote
        if bid == market.bid and ask == market.ask and state == market.state:
            market.received_ns = received_ns
            return
        market.state, market.bid, market.ask, market.received_ns = state, bid, ask, received_ns
        market.was_live |= state == BOOK_LIVE
        quote = self.assets[market.quote].mark
        if state == BOOK_LIVE and bid > 0 and ask > 0 and quote > 0:
            self._mark(market.base, quote * (0.5 * (<double>bid + <double>ask) * market.quote_units)
                       / market.base_units)

    def mark(self, int number, double mark):
        """See risk.pyi."""
        self._mark(self._at(number, self.asset_count, "asset"), mark)

    cdef void _mark(self, int number, double mark) noexcept nogil:
        cdef int venue
        self.assets[number].mark = mark
        self._revalue(number)
        for venue in range(self.venue_count):
            self._revalue_holding(venue, number)

    cdef void _revalue(self, int number) noexcept nogil:
        """What an asset may come to, into the sums it is part of."""
        cdef Asset* asset = &self.assets[number]
        cdef Cluster* cluster
        cdef int64_t longs = worth(clamped(<wide>asset.position + asset.buys), asset.mark)
        cdef int64_t shorts = worth(clamped(<wide>asset.position - asset.sells), asset.mark)
        cdef int64_t gross = worth(worst(asset.position, asset.buys, asset.sells), asset.mark)
        self.gross += <wide>gross - asset.gross
        self.longs += <wide>longs - asset.longs
        self.shorts += <wide>shorts - asset.shorts
        if asset.cluster != NOWHERE:
            cluster = &self.clusters[asset.cluster]
            cluster.longs += <wide>max(longs, 0) - max(asset.longs, 0)
            cluster.shorts += <wide>max(-shorts, 0) - max(-asset.shorts, 0)
        asset.gross, asset.longs, asset.shorts = gross, longs, shorts

    cdef inline Holding* _holding(self, int venue, int asset) noexcept nogil:
        return &self.holdings[<int64_t>asset * self.venue_count + venue]

    cdef void _revalue_holding(self, int venue, int number) noexcept nogil:
        cdef Holding* holding = self._holding(venue, number)
        cdef int64_t gross = 0
        if holding.position or holding.buys or holding.sells:
            gross = worth(worst(holding.position, holding.buys, holding.sells),
                          self.assets[number].mark)
        self.venues[venue].gross += <wide>gross - holding.gross
        holding.gross = gross

    def hold(self, int venue, int asset, int64_t total):
        """See risk.pyi."""
        self._at(venue, self.venue_count, "venue")
        cdef Holding* holding = self._holding(venue, self._at(asset, self.asset_count, "asset"))
        holding.total, holding.known = total, 1

    def trade(self, int number, int side, int64_t ticks, int64_t lots, int fee_asset, int64_t fee):
        """See risk.pyi."""
        cdef Market* market = &self.markets[self._at(number, self.market_count, "instrument")]
        cdef int64_t units = clamped(<wide>side * lots * market.base_units)
        cdef Holding* base = self._holding(market.venue, market.base)
        cdef Holding* quote = self._holding(market.venue, market.quote)
        cdef Holding* paid
        base.total = clamped(<wide>base.total + units)
        quote.total = clamped(quote.total - <wide>side * ticks * lots * market.quote_units)
        if 0 <= fee_asset < self.asset_count:
            paid = self._holding(market.venue, fee_asset)
            paid.total = clamped(<wide>paid.total - fee)
            if fee_asset == market.base:
                units = clamped(<wide>units - fee)
        base.position = clamped(<wide>base.position + units)
        self._move(market.base, units)
        self._revalue_holding(market.venue, market.base)

    def move(self, int asset, int64_t units):
        """See risk.pyi."""
        self._move(self._at(asset, self.asset_count, "asset"), units)

    cdef void _move(self, int number, int64_t units) noexcept nogil:
        cdef Asset* asset = &self.assets[number]
        asset.position = clamped(<wide>asset.position + units)
        self._revalue(number)

    def move_holding(self, int venue, int asset, int64_t units):
        """See risk.pyi."""
        self._at(venue, self.venue_count, "venue")
        cdef Holding* holding = self._holding(venue, self._at(asset, self.asset_count, "asset"))
        holding.position = clamped(<wide>holding.position + units)
        self._revalue_holding(venue, asset)

    def reconciled(self, int venue, bint clean):
        """See risk.pyi."""
        self.venues[self._at(venue, self.venue_count, "venue")].reconciled = clean

    # --- checks -----------------------------------------------------------------------------------

    cdef int _no(self, int reason, int64_t limit, int64_t value) noexcept nogil:
        self.reason, self.limit, self.value = reason, limit, value
        return reason

    cdef int _check(self, Wish* wish, int64_t now_ns) noexcept nogil:
        """The first rule that is broken, or PASSED; `units` and `quote` of the wish are worked out."""
        cdef Market* market
        cdef int64_t room
        cdef bint reduces
        if not 0 <= wish.instrument < self.market_count:
            return self._no(R_UNKNOWN_INSTRUMENT, self.market_count - 1, wish.instrument)
        fetch_recent(&self.recent, wish.name, wish.content)
        market = &self.markets[wish.instrument]
        if wish.venue != market.venue:
            return self._no(R_UNKNOWN_INSTRUMENT, market.venue, wish.venue)
        if wish.side != 1 and wish.side != -1:
            return self._no(R_MALFORMED, 1, wish.side)
        if not 0 <= wish.bot < BOTS_MAX:
            return self._no(R_MALFORMED, BOTS_MAX - 1, wish.bot)
        wish.units = <wide>wish.lots * market.base_units
        wish.quote = <wide>wish.ticks * wish.lots
        if wish.quote < MOST and wish.quote > -MOST:
            wish.quote *= market.quote_units
        room = self._room(wish.side, market.base)
        reduces = 0 < wish.units <= room
        wish.reduces = reduces
        return (
            self._check_level(wish, room, reduces)
            or self._check_repeat(wish, now_ns)
            or self._check_orders(wish, market, reduces, now_ns)
            or self._check_size(wish, market)
            or self._check_price(wish, market, now_ns)
            or self._check_balance(wish, market)
            or (PASSED if reduces else self._check_position(wish, market))
            or self._check_venue(wish, market)
            or (PASSED if reduces else self._check_exposure(wish, market))
        )

    cdef inline int64_t _room(self, int side, int number) noexcept nogil:
        """How many units an order of a side may have and still reduce; 0 or less: none."""
        cdef Asset* asset = &self.assets[number]
        return clamped(-<wide>side * asset.position - (asset.buys if side > 0 else asset.sells))

    cdef int _check_level(self, Wish* wish, int64_t room, bint reduces) noexcept nogil:
        """What the kill switch, the level and a drain still allow; flags are believed when verified."""
        cdef bint marked = wish.flags & (F_FLATTENING | F_HEDGE)
        if wish.flags & F_GUARD:
            return PASSED if reduces else self._no(R_NOT_REDUCING, room, clamped(wish.units))
        if self.killed or self.level >= L_HALT:
            if wish.flags & F_FLATTENING:
                return PASSED if reduces else self._no(R_NOT_REDUCING, room, clamped(wish.units))
            if self.killed:
                return self._no(R_KILLED, 0, 1)
            return self._no(R_RISK_LEVEL, L_CAUTION, self.level)
        if reduces or wish.flags & F_OWED:
            if marked or not self.draining:
                return PASSED
        elif self.level >= L_RESTRICTED:
            if marked:
                return self._no(R_NOT_REDUCING, room, clamped(wish.units))
            return self._no(R_RISK_LEVEL, L_CAUTION, self.level)
        if self.draining:
            return self._no(R_DRAINING, 0, 1)
        return PASSED

    cdef int _check_repeat(self, Wish* wish, int64_t now_ns) noexcept nogil:
        cdef int64_t age
        cdef int i
        if now_ns > wish.expires_ns:
            return self._no(R_EXPIRED, wish.expires_ns, now_ns)
        for i in range(self.taken):
            if self.legs[i].name == wish.name:
                return self._no(R_DUPLICATE, 0, 1)
        if knows_name(&self.recent, wish.name):
            return self._no(R_DUPLICATE, 0, 1)
        age = content_age(&self.recent, wish.content, now_ns)
        for i in range(self.taken):
            if self.legs[i].content == wish.content:
                age = 0
        if 0 <= age < self.window_ns:
            return self._no(R_SAME_CONTENT, self.window_ns, age)
        return PASSED

    cdef int _check_orders(self, Wish* wish, Market* market, bint reduces, int64_t now_ns) noexcept nogil:
        """Doubts, counts of open orders, and the pace of messages. The guard's own exits pass."""
        cdef VenueLimits* venue = &self.venues[market.venue]
        cdef BotLimits* bot = &self.bots[wish.bot] if wish.bot < self.bot_count else &self.any_bot
        if not reduces:
            if market.unknown:
                return self._no(R_UNRESOLVED, 0, market.unknown)
            if not venue.reconciled:
                return self._no(R_NOT_RECONCILED, 1, 0)
        if wish.flags & F_GUARD:
            return PASSED
        if self.orders >= self.orders_max:
            return self._no(R_ORDERS_OPEN, self.orders_max, self.orders)
        if bot.orders >= bot.orders_max:
            return self._no(R_ORDERS_OPEN, bot.orders_max, bot.orders)
        if venue.orders >= venue.orders_max:
            return self._no(R_ORDERS_OPEN, venue.orders_max, venue.orders)
        if market.orders >= market.orders_max:
            return self._no(R_ORDERS_OPEN, market.orders_max, market.orders)
        return self._check_pace(&bot.pace, now_ns) or self._check_pace(&venue.pace, now_ns)

    cdef int _check_pace(self, Pace* pace, int64_t now_ns) noexcept nogil:
        cdef int64_t ahead
        if not pace.interval_ns:
            return PASSED
        ahead = owed(pace, now_ns)
        if ahead <= pace.interval_ns * pace.burst:
            return PASSED
        return self._no(
            R_MESSAGE_RATE, pace.burst, (ahead + pace.interval_ns - 1) // pace.interval_ns
        )

    cdef int _check_size(self, Wish* wish, Market* market) noexcept nogil:
        cdef int64_t value
        cdef BotLimits* bot = &self.bots[wish.bot] if wish.bot < self.bot_count else &self.any_bot
        if wish.lots < market.lots_min:
            return self._no(R_ORDER_LOTS, market.lots_min, wish.lots)
        if wish.lots > market.lots_max:
            return self._no(R_ORDER_LOTS, market.lots_max, wish.lots)
        if wish.ticks < market.ticks_min:
            return self._no(R_OFF_GRID, market.ticks_min, wish.ticks)
        if wish.ticks > market.ticks_max:
            return self._no(R_OFF_GRID, market.ticks_max, wish.ticks)
        if wish.quote < market.notional_min:
            return self._no(R_MIN_NOTIONAL, market.notional_min, clamped(wish.quote))
        if wish.quote > market.notional_max:
            return self._no(R_ORDER_NOTIONAL, market.notional_max, clamped(wish.quote))
        if bot.notional_max != MOST and not wish.flags & F_GUARD:
            if self.assets[market.quote].mark <= 0:
                return self._no(R_STALE_MARK, 1, 0)
            value = worth(clamped(wish.quote), self.assets[market.quote].mark)
            if value > bot.notional_max:
                return self._no(R_BOT_NOTIONAL, bot.notional_max, value)
        return PASSED

    cdef int _check_price(self, Wish* wish, Market* market, int64_t now_ns) noexcept nogil:
        """The instrument's own market: LIVE, fresh, near, and none of our own orders in the way."""
        cdef int64_t age
        cdef wide both, distance
        if market.state != BOOK_LIVE or market.bid <= 0 or market.ask <= 0:
            return self._no(R_NO_MARKET, BOOK_LIVE, market.state)
        age = now_ns - market.received_ns
        if age > market.stale_ns:
            return self._no(R_STALE_MARKET, market.stale_ns, age)
        if wish.flags & F_GUARD:
            return PASSED
        both = <wide>market.bid + market.ask
        distance = 2 * <wide>wish.ticks - both
        distance = (distance if distance > 0 else -distance) * BPS
        if distance > market.distance_bps * both:
            return self._no(
                R_PRICE_DISTANCE, market.distance_bps, clamped((distance + both - 1) // both)
            )
        if wish.side > 0:
            if market.own_ask and wish.ticks >= market.own_ask:
                return self._no(R_SELF_CROSS, market.own_ask, wish.ticks)
        elif market.own_bid and wish.ticks <= market.own_bid:
            return self._no(R_SELF_CROSS, market.own_bid, wish.ticks)
        return PASSED

    cdef int _check_balance(self, Wish* wish, Market* market) noexcept nogil:
        """What the venue holds for us, less what is already in flight, where it is known."""
        cdef Holding* holding
        cdef int64_t free_units
        cdef wide needed = wish.quote if wish.side > 0 else wish.units
        if not market.checks_balance:
            return PASSED
        holding = self._holding(market.venue, market.quote if wish.side > 0 else market.base)
        free_units = clamped(<wide>holding.total - holding.reserved)
        if holding.known and needed > free_units:
            return self._no(R_BALANCE, free_units, clamped(needed))
        return PASSED

    cdef int _check_position(self, Wish* wish, Market* market) noexcept nogil:
        """The worst this side could come to: all in flight on it fills, nothing on the other.

        Counted in the direction of the order, so one that takes a position back passes.
        """
        cdef Asset* asset = &self.assets[market.base]
        cdef wide size = <wide>wish.side * asset.position + wish.units
        cdef int64_t value
        size += asset.buys if wish.side > 0 else asset.sells
        if size > asset.position_max:
            return self._no(R_POSITION, asset.position_max, clamped(size))
        if size >= MOST:
            return self._no(R_POSITION, MOST, MOST)
        if asset.shares:
            if self.share_max < 0 or asset.mark <= 0:
                return self._no(R_STALE_MARK, 1, 0)
            value = worth(clamped(size), asset.mark)
            if value > self.share_max:
                return self._no(R_EQUITY_SHARE, self.share_max, value)
        return PASSED

    cdef int _check_venue(self, Wish* wish, Market* market) noexcept nogil:
        """Gross at the venue, each asset by itself: what is long elsewhere does not count here."""
        cdef VenueLimits* venue = &self.venues[market.venue]
        cdef Holding* holding
        cdef int64_t gross
        cdef wide sum
        if venue.gross_max == MOST or wish.flags & F_GUARD:
            return PASSED
        holding = self._holding(market.venue, market.base)
        if self.assets[market.base].mark <= 0:
            return self._no(R_STALE_MARK, 1, 0)
        gross = worth(
            worst(
                holding.position,
                clamped(holding.buys + wish.units) if wish.side > 0 else holding.buys,
                holding.sells if wish.side > 0 else clamped(holding.sells + wish.units),
            ),
            self.assets[market.base].mark,
        )
        sum = venue.gross + gross - holding.gross
        if gross > holding.gross and sum > venue.gross_max:
            return self._no(R_VENUE_GROSS, venue.gross_max, clamped(sum))
        return PASSED

    cdef int _check_exposure(self, Wish* wish, Market* market) noexcept nogil:
        """Gross, net and the asset's cluster, with this order in flight, in the currency."""
        cdef Asset* asset = &self.assets[market.base]
        cdef Cluster* cluster = NULL
        cdef bint buys = wish.side > 0
        cdef int64_t gross, side
        cdef wide sum
        if asset.cluster != NOWHERE and self.clusters[asset.cluster].exposure_max != MOST:
            cluster = &self.clusters[asset.cluster]
        if self.gross_max == MOST and self.net_max == MOST and cluster is NULL:
            return PASSED
        if asset.mark <= 0:
            return self._no(R_STALE_MARK, 1, 0)
        if buys:
            side = worth(clamped(<wide>asset.position + asset.buys + wish.units), asset.mark)
            gross = worth(
                worst(asset.position, clamped(asset.buys + wish.units), asset.sells), asset.mark
            )
        else:
            side = -worth(clamped(<wide>asset.position - asset.sells - wish.units), asset.mark)
            gross = worth(
                worst(asset.position, asset.buys, clamped(asset.sells + wish.units)), asset.mark
            )
        sum = self.gross + gross - asset.gross
        if gross > asset.gross and sum > self.gross_max:
            return self._no(R_GROSS, self.gross_max, clamped(sum))
        sum = side + (self.longs - asset.longs if buys else asset.shorts - self.shorts)
        if sum > self.net_max:
            return self._no(R_NET, self.net_max, clamped(sum))
        if cluster is not NULL:
            sum = <wide>max(side, 0) - (max(asset.longs, 0) if buys else max(-asset.shorts, 0))
            sum += cluster.longs if buys else cluster.shorts
            if sum > cluster.exposure_max and side > 0:
                return self._no(R_CLUSTER, cluster.exposure_max, clamped(sum))
        return PASSED

    # --- reservations -----------------------------------------------------------------------------

    cdef int _room_for_order(self, int count) except -1:
        """So many more places of open orders are free."""
        cdef Open* room
        cdef int i, size
        if self.orders + count <= self.open_room:
            return 0
        size = max(64, 2 * self.open_room + count)
        room = <Open*>realloc(self.open, size * sizeof(Open))
        if room is NULL:
            raise MemoryError("no memory for an order")
        memset(&room[self.open_room], 0, (size - self.open_room) * sizeof(Open))
        self.open = room
        for i in range(size - 1, self.open_room - 1, -1):
            room[i].next = self.first_free
            self.first_free = i
        self.open_room = size
        return 0

    cdef int _reserve(self, int instrument, int bot, int side, int64_t ticks, int64_t lots) noexcept nogil:
        """Count an order as in flight; its place."""
        cdef int place = self.first_free
        cdef Open* order = &self.open[place]
        cdef Market* market = &self.markets[instrument]
        cdef int first = market.bids if side > 0 else market.asks
        self.first_free = order.next
        order.instrument, order.bot, order.side = instrument, bot, side
        order.ticks, order.lots, order.unknown, order.alive = ticks, lots, 0, 1
        order.next, order.before = first, NOWHERE
        if first != NOWHERE:
            self.open[first].before = place
        if side > 0:
            market.bids = place
            if ticks > market.own_bid:
                market.own_bid = ticks
        else:
            market.asks = place
            if not market.own_ask or ticks < market.own_ask:
                market.own_ask = ticks
        self._count(market, bot, 1)
        self._in_flight(market, side, ticks, lots)
        return place

    cdef void _count(self, Market* market, int bot, int change) noexcept nogil:
        self.orders += change
        market.orders += change
        self.venues[market.venue].orders += change
        self.bots[bot].orders += change

    cdef void _in_flight(self, Market* market, int side, int64_t ticks, int64_t lots) noexcept nogil:
        """So many lots more in flight; negative lots are no longer."""
        cdef int64_t units = clamped(<wide>lots * market.base_units)
        cdef int64_t quote = clamped(<wide>lots * ticks * market.quote_units)
        cdef Asset* asset = &self.assets[market.base]
        cdef Holding* holding = self._holding(market.venue, market.base)
        if side > 0:
            asset.buys += units
            holding.buys += units
            if market.checks_balance:
                self._holding(market.venue, market.quote).reserved += quote
        else:
            asset.sells += units
            holding.sells += units
            if market.checks_balance:
                holding.reserved += units
        self._revalue(market.base)
        self._revalue_holding(market.venue, market.base)

    cdef void _release(self, int place) noexcept nogil:
        """An order is no longer open: its place is free, the best of its side is looked for."""
        cdef Open* order = &self.open[place]
        cdef Market* market = &self.markets[order.instrument]
        cdef int64_t best = 0
        cdef int at
        self._in_flight(market, order.side, order.ticks, -order.lots)
        self._count(market, order.bot, -1)
        if order.unknown:
            market.unknown -= 1
        if order.next != NOWHERE:
            self.open[order.next].before = order.before
        if order.before != NOWHERE:
            self.open[order.before].next = order.next
        elif order.side > 0:
            market.bids = order.next
        else:
            market.asks = order.next
        if order.ticks == (market.own_bid if order.side > 0 else market.own_ask):
            at = market.bids if order.side > 0 else market.asks
            while at != NOWHERE:
                if not best or (self.open[at].ticks - best) * order.side > 0:
                    best = self.open[at].ticks
                at = self.open[at].next
            if order.side > 0:
                market.own_bid = best
            else:
                market.own_ask = best
        order.alive = 0
        order.next = self.first_free
        self.first_free = place

    cdef int _take(self, Wish* wish, int64_t now_ns) noexcept nogil:
        """Check an order and reserve it; its buckets pay. Names are remembered later."""
        cdef Pace* pace
        cdef int reason = self._check(wish, now_ns)
        if reason:
            return reason
        wish.place = self._reserve(
            wish.instrument, wish.bot, wish.side, wish.ticks, wish.lots
        )
        pace = &self.bots[wish.bot].pace
        wish.bot_before_ns = pace.full_ns
        if pace.interval_ns:
            pace.full_ns = now_ns + owed(pace, now_ns)
        pace = &self.venues[wish.venue].pace
        wish.venue_before_ns = pace.full_ns
        if pace.interval_ns:
            pace.full_ns = now_ns + owed(pace, now_ns)
        return PASSED

    cdef void _give_back(self, Wish* wish) noexcept nogil:
        """As if a wish had never been taken; the last taken is given back first."""
        self._release(wish.place)
        self.bots[wish.bot].pace.full_ns = wish.bot_before_ns
        self.venues[wish.venue].pace.full_ns = wish.venue_before_ns

    def order(
        self, str name, int64_t bot, int64_t group, int64_t leg, int64_t venue, int64_t instrument,
        int64_t side, int64_t ticks, int64_t lots, int64_t expires_ns, int flags, int64_t now_ns,
        str parent="",
    ):
        """See risk.pyi."""
        cdef Wish* wish = &self.legs[0]
        self._fill_in(wish, name, bot, group, leg, venue, instrument, side, ticks, lots, expires_ns, flags,
                      parent)
        if self._take(wish, now_ns):
            return NOWHERE
        remember(&self.recent, wish.name, wish.content, now_ns)
        return wish.place

    cdef int _fill_in(
        self, Wish* wish, str name, int64_t bot, int64_t group, int64_t leg, int64_t venue,
        int64_t instrument, int64_t side, int64_t ticks, int64_t lots, int64_t expires_ns, int flags,
        str parent,
    ) except -1:
        cdef int64_t far = 0x7FFFFFFF
        wish.name = hashed(name, 0xCBF29CE484222325ULL)
        wish.content = _content(bot, group, leg, instrument, side, ticks, lots, parent)
        wish.bot = <int32_t>max(-1, min(bot, far))
        wish.venue = <int32_t>max(-1, min(venue, far))
        wish.instrument = <int32_t>max(-1, min(instrument, far))
        wish.side = <int32_t>max(-far, min(side, far))
        wish.ticks, wish.lots, wish.expires_ns, wish.flags = ticks, lots, expires_ns, flags
        self._room_for_order(LEGS_MAX)
        if 0 <= bot < BOTS_MAX:
            self._room_for_bot(<int>bot)
        return 0

    def group(self, legs, int64_t now_ns):
        """See risk.pyi."""
        cdef int count = 0, i, reason = PASSED
        if not 1 <= len(legs) <= LEGS_MAX:
            self.leg = 0
            self._no(R_GROUP, LEGS_MAX, len(legs))
            return ()
        for (name, bot, group, leg, venue, instrument, side, ticks, lots, expires_ns, flags,
             parent) in legs:
            self._fill_in(&self.legs[count], name, bot, group, leg, venue, instrument, side, ticks, lots,
                          expires_ns, flags, parent)
            count += 1
        for i in range(count):
            self.taken = i
            reason = self._take(&self.legs[i], now_ns)
            if reason:
                self.leg = i
                break
        self.taken = 0
        if reason:
            while i:
                i -= 1
                self._give_back(&self.legs[i])
            return ()
        for i in range(count):
            remember(&self.recent, self.legs[i].name, self.legs[i].content, now_ns)
        return tuple([self.legs[i].place for i in range(count)])

    def reduces(self, int leg=0):
        """See risk.pyi."""
        return self.legs[self._at(leg, LEGS_MAX, "leg")].reduces != 0

    # --- what becomes of orders -------------------------------------------------------------------

    cdef Open* _open_at(self, int place) except NULL:
        if not 0 <= place < self.open_room or not self.open[place].alive:
            raise IndexError(f"no open order at place {place}")
        return &self.open[place]

    def adopt(self, str name, int instrument, int bot, int side, int64_t ticks, int64_t lots,
              int64_t now_ns):
        """See risk.pyi."""
        self._at(instrument, self.market_count, "instrument")
        if side != 1 and side != -1 or ticks < 0 or lots < 0:
            raise ValueError(f"an order has a side, a price and lots, not {side}, {ticks}, {lots}")
        self._room_for_order(1)
        self._room_for_bot(self._at(bot, BOTS_MAX, "bot"))
        cdef uint64_t key = hashed(name, 0xCBF29CE484222325ULL)
        remember(&self.recent, key, ~key, now_ns)
        return self._reserve(instrument, bot, side, ticks, lots)

    def fill(self, int place, int64_t lots):
        """See risk.pyi."""
        cdef Open* order = self._open_at(place)
        lots = max(0, min(lots, order.lots))
        order.lots -= lots
        self._in_flight(&self.markets[order.instrument], order.side, order.ticks, -lots)

    def doubt(self, int place, bint unknown):
        """See risk.pyi."""
        cdef Open* order = self._open_at(place)
        if unknown != order.unknown:
            order.unknown = unknown
            self.markets[order.instrument].unknown += 1 if unknown else -1

    def end(self, int place):
        """See risk.pyi."""
        self._open_at(place)
        self._release(place)

    def open_order(self, int place):
        """See risk.pyi."""
        cdef Open* order = self._open_at(place)
        return (order.instrument, order.bot, order.side, order.ticks, order.lots, bool(order.unknown))

    def sent(self, int bot, int venue, int64_t now_ns):
        """See risk.pyi."""
        cdef Pace* pace = &self.venues[self._at(venue, self.venue_count, "venue")].pace
        self._room_for_bot(self._at(bot, BOTS_MAX, "bot"))
        if pace.interval_ns:
            pace.full_ns = now_ns + owed(pace, now_ns)
        pace = &self.bots[bot].pace
        if pace.interval_ns:
            pace.full_ns = now_ns + owed(pace, now_ns)

    # --- what is asked ----------------------------------------------------------------------------

    def position(self, int asset):
        """See risk.pyi."""
        return self.assets[self._at(asset, self.asset_count, "asset")].position

    def in_flight(self, int asset):
        """See risk.pyi."""
        cdef Asset* here = &self.assets[self._at(asset, self.asset_count, "asset")]
        return here.buys, here.sells

    def holding(self, int venue, int asset):
        """See risk.pyi."""
        self._at(venue, self.venue_count, "venue")
        cdef Holding* here = self._holding(venue, self._at(asset, self.asset_count, "asset"))
        return (here.total, here.reserved, here.position) if here.known else None

    def market(self, int number):
        """See risk.pyi."""
        cdef Market* here = &self.markets[self._at(number, self.market_count, "instrument")]
        return here.state, here.bid, here.ask, here.received_ns

    def knows(self, str name):
        """See risk.pyi."""
        return knows_name(&self.recent, hashed(name, 0xCBF29CE484222325ULL))

    def unknown(self):
        """See risk.pyi."""
        cdef int i
        cdef int64_t count = 0
        for i in range(self.market_count):
            count += self.markets[i].unknown
        return count

    def books(self):
        """See risk.pyi."""
        cdef int i, seen = 0, live = 0
        for i in range(self.market_count):
            seen += self.markets[i].was_live
            live += self.markets[i].state == BOOK_LIVE
        return seen, live

    def exposures(self):
        """See risk.pyi."""
        return (
            clamped(self.gross), clamped(self.longs), clamped(self.shorts),
            tuple([clamped(self.venues[i].gross) for i in range(self.venue_count)]),
            tuple([
                (clamped(self.clusters[i].longs), clamped(self.clusters[i].shorts))
                for i in range(self.cluster_count)
            ]),
        )

    def __len__(self):
        return self.orders

    def check_rows(self, rows, int64_t now_ns):
        """See risk.pyi."""
        cdef Py_buffer view
        cdef int passed = 0
        cdef Py_ssize_t i, count
        cdef const WishRow* row
        cdef Wish* wish = &self.legs[0]
        PyObject_GetBuffer(rows, &view, PyBUF_SIMPLE)
        try:
            if view.len % sizeof(WishRow):
                raise ValueError(f"rows of {sizeof(WishRow)} bytes are expected")
            row, count = <const WishRow*>view.buf, view.len // sizeof(WishRow)
            with nogil:
                for i in range(count):
                    wish.name, wish.content = row[i].name, row[i].content
                    wish.ticks, wish.lots, wish.expires_ns = row[i].ticks, row[i].lots, row[i].expires_ns
                    wish.bot, wish.venue = row[i].bot, row[i].venue
                    wish.instrument, wish.side, wish.flags = row[i].instrument, row[i].side, row[i].flags
                    passed += self._check(wish, now_ns) == PASSED
        finally:
            PyBuffer_Release(&view)
        return passed

    # --- snapshot ---------------------------------------------------------------------------------

    def snapshot(self):
        """See risk.pyi."""
        cdef int i, venue
        cdef int64_t at, place
        cdef Market* market
        cdef Holding* holding
        out = array("q", [
            VERSION, self.market_count, self.asset_count, self.venue_count, self.level, self.killed,
            self.draining, self.orders, self.open_room, self.first_free, self.share_max,
        ])
        for i in range(self.market_count):
            market = &self.markets[i]
            out.extend((market.state, market.bid, market.ask, market.received_ns, market.own_bid,
                        market.own_ask, market.bids, market.asks, market.orders, market.unknown,
                        market.was_live))
        for i in range(self.asset_count):
            out.extend((self.assets[i].position, self.assets[i].buys, self.assets[i].sells,
                        bits_of(self.assets[i].mark)))
        for i in range(self.venue_count):
            out.extend((self.venues[i].pace.full_ns, self.venues[i].orders, self.venues[i].reconciled))
        out.append(self.bot_count)
        for i in range(self.bot_count):
            out.extend((self.bots[i].pace.full_ns, self.bots[i].orders))
        for i in range(self.open_room):
            order = self.open[i]
            out.extend((order.ticks, order.lots, order.instrument, order.bot, order.next, order.before,
                        order.side, order.unknown, order.alive))
        out.append(self.recent.count)
        for at in range(self.recent.count):
            place = (self.recent.first + at) % self.recent.capacity
            out.extend((<int64_t>self.recent.names[place], <int64_t>self.recent.contents[place],
                        self.recent.at_ns[place]))
        for i in range(self.asset_count):
            for venue in range(self.venue_count):
                holding = self._holding(venue, i)
                if holding.known or holding.position or holding.buys or holding.sells or holding.reserved or holding.total:
                    out.extend((i, venue, holding.total, holding.reserved, holding.position, holding.buys,
                                holding.sells, holding.known))
        return out.tobytes()

    def restore(self, data):
        """See risk.pyi."""
        words = array("q")
        try:
            words.frombytes(data)
            here = [VERSION, self.market_count, self.asset_count, self.venue_count]
            if words[:4].tolist() != here:
                raise ValueError(f"it begins with {words[:4].tolist()}, not {here}")
            self._restore(words)
        except StopIteration:
            raise ValueError("not a risk kernel's snapshot: it ends too early") from None
        except ValueError as error:
            raise ValueError(f"not a risk kernel's snapshot: {error}") from error

    cdef int _restore(self, object words) except -1:
        cdef int i, count, venue
        cdef Market* market
        cdef Holding* holding
        cdef BotLimits* bot
        given = iter(words[4:])
        take = given.__next__
        self.level, self.killed, self.draining, self.orders = take(), take(), take(), take()
        room, self.first_free, self.share_max = take(), take(), take()
        for i in range(self.market_count):
            market = &self.markets[i]
            market.state, market.bid, market.ask, market.received_ns = take(), take(), take(), take()
            market.own_bid, market.own_ask, market.bids, market.asks = take(), take(), take(), take()
            market.orders, market.unknown, market.was_live = take(), take(), take()
        for i in range(self.asset_count):
            self.assets[i].position, self.assets[i].buys, self.assets[i].sells = take(), take(), take()
            self.assets[i].mark = double_of(take())
        for i in range(self.venue_count):
            self.venues[i].pace.full_ns, self.venues[i].orders = take(), take()
            self.venues[i].reconciled = take()
        count = take()
        if count > self.bot_count:
            self._make_bots(count)
        for i in range(count):
            bot = &self.bots[i]
            bot.pace.full_ns, bot.orders = take(), take()
        self._restore_orders(take, room)
        memset(self.holdings, 0, <size_t>self.asset_count * self.venue_count * sizeof(Holding))
        for i in given:
            venue = take()
            holding = self._holding(venue, i)
            holding.total, holding.reserved, holding.position = take(), take(), take()
            holding.buys, holding.sells, holding.known = take(), take(), take()
        for venue in range(self.venue_count):
            self.venues[venue].gross = 0  # its holdings have no worth yet, and are counted anew
        for i in range(self.asset_count):
            self._mark(i, self.assets[i].mark)
        return 0

    cdef int _restore_orders(self, object take, int room) except -1:
        cdef int i
        cdef Open* order
        cdef int64_t name, content, at_ns
        free(self.open)
        self.open = NULL
        self.open_room = 0
        if room:
            self.open = <Open*>calloc(room, sizeof(Open))
            if self.open is NULL:
                raise MemoryError("no memory for orders")
            self.open_room = room
        for i in range(room):
            order = &self.open[i]
            order.ticks, order.lots, order.instrument, order.bot = take(), take(), take(), take()
            order.next, order.before, order.side = take(), take(), take()
            order.unknown, order.alive = take(), take()
        while self.recent.count:
            forget_first(&self.recent)
        self.recent.first = 0
        for i in range(take()):
            name, content, at_ns = take(), take(), take()
            remember(&self.recent, <uint64_t>name, <uint64_t>content, at_ns)
        return 0
