"""What a quantity costs, where the price leans, and how much of a crossing between two books pays.

Levels come as the `top_bytes` layout of `ext.book`: little-endian int64 pairs (ticks, lots), best
first, zero-padded; a whole depth is `levels` bids and then `levels` asks. `bytes` are read in
place, any other contiguous buffer of bytes or int64 is copied first. Exact results are ints; floats
appear only where two instruments with different grids are compared. The loops hold no Python object
and would run without the GIL, which is kept: a call is shorter than handing it over would be.
"""

from libc.math cimport NAN, floor, isfinite
from libc.stdint cimport int64_t

cdef extern from *:
    bint mul_overflows "__builtin_mul_overflow"(int64_t, int64_t, int64_t*) nogil
    bint add_overflows "__builtin_add_overflow"(int64_t, int64_t, int64_t*) nogil

cdef enum Outcome:
    PRICED = 0
    BAD_LEVEL = 1      # a level with lots below 0, or with lots but no price
    TOO_LARGE = 2      # beyond int64

cdef double EPSILON = 2.220446049250313e-16   # of a double: one rounding errs by half of it


cdef bytes bytes_of(object levels):
    """The bytes of a buffer; a torn or foreign layout raises ValueError."""
    if type(levels) is bytes:
        return levels
    view = memoryview(levels)
    if view.format.lstrip("@=<") not in ("B", "b", "c", "q", "l") or view.itemsize not in (1, 8):
        raise ValueError(f"levels are bytes or int64, not {view.format!r}")
    return view.tobytes()


cdef bytes pairs_of(object levels, Py_ssize_t* count):
    """The bytes of one side's levels and how many pairs they are."""
    cdef bytes pairs = bytes_of(levels)
    if len(pairs) & 15:
        raise ValueError(f"levels are pairs of int64, not {len(pairs)} bytes")
    count[0] = len(pairs) >> 4
    return pairs


cdef bytes depth_of(object depth, Py_ssize_t levels):
    """The bytes of a whole depth; raises ValueError when it has another number of levels."""
    cdef bytes pairs = bytes_of(depth)
    if levels <= 0 or len(pairs) >> 5 != levels or len(pairs) & 31:
        raise ValueError(f"a depth of {levels} levels has {levels * 32} bytes, not {len(pairs)}")
    return pairs


cdef int refuse(int outcome) except -1:
    """Raise what an outcome other than PRICED means."""
    if outcome == BAD_LEVEL:
        raise ValueError("levels: lots below 0, or lots without a price")
    raise OverflowError("the cost does not fit 64 bits")


cdef inline bint is_bad(const int64_t* pair) noexcept nogil:
    """Whether a pair is neither a level nor padding."""
    return pair[1] < 0 or (pair[1] > 0 and pair[0] <= 0)


cdef int sweep_pairs(
    const int64_t* pairs, Py_ssize_t count, int64_t lots, int64_t* filled, int64_t* cost
) noexcept nogil:
    """Take `lots` from the best level on, as far as there are any."""
    cdef Py_ssize_t i
    cdef int64_t take, part
    filled[0] = cost[0] = 0
    for i in range(count):
        if is_bad(pairs + 2 * i):
            return BAD_LEVEL
        if filled[0] == lots or pairs[2 * i + 1] == 0:
            break
        take = min(pairs[2 * i + 1], lots - filled[0])
        if mul_overflows(pairs[2 * i], take, &part) or add_overflows(cost[0], part, cost):
            return TOO_LARGE
        filled[0] += take
    return PRICED


def sweep(levels, int64_t lots) -> tuple[int, int]:
    """How many of `lots` one side's levels fill, and what they cost in ticks times lots.

    Raises ValueError for negative lots or bad levels, OverflowError beyond 64 bits.
    """
    cdef Py_ssize_t count
    cdef int64_t filled, cost
    cdef bytes pairs = pairs_of(levels, &count)
    if lots < 0:
        raise ValueError(f"lots: 0 or more, not {lots}")
    cdef int outcome = sweep_pairs(
        <const int64_t*> <const char*> pairs, count, lots, &filled, &cost
    )
    if outcome != PRICED:
        refuse(outcome)
    return filled, cost


def vwap(levels, int64_t lots) -> float:
    """The volume-weighted price in ticks of taking up to `lots`; nan when nothing is there."""
    filled, cost = sweep(levels, lots)
    return cost / filled if filled else NAN


def microprice(int64_t bid_ticks, int64_t bid_lots, int64_t ask_ticks, int64_t ask_lots) -> float:
    """The mid in ticks, leaning to the side with less: (bid * ask_lots + ask * bid_lots) / lots.

    nan when a side is empty. Source: Gatheral and Oomen, Zero-intelligence realized variance
    estimation (2010), where it is the size-weighted mid.
    """
    cdef double total = <double> bid_lots + <double> ask_lots
    if bid_lots <= 0 or ask_lots <= 0:
        return NAN
    return (<double> bid_ticks * ask_lots + <double> ask_ticks * bid_lots) / total


def imbalance(depth, Py_ssize_t levels, Py_ssize_t n) -> float:
    """(bid - ask) / (bid + ask) lots over the best `n` of a depth: -1 to 1; 0 when it is empty."""
    cdef bytes held = depth_of(depth, levels)
    cdef const int64_t* pairs = <const int64_t*> <const char*> held
    cdef double bids = 0, asks = 0
    cdef Py_ssize_t i
    if n <= 0:
        raise ValueError(f"n: above 0, not {n}")
    for i in range(min(n, levels)):
        if is_bad(pairs + 2 * i) or is_bad(pairs + 2 * (levels + i)):
            refuse(BAD_LEVEL)
        bids += pairs[2 * i + 1]
        asks += pairs[2 * (levels + i) + 1]
    return (bids - asks) / (bids + asks) if bids + asks > 0 else 0.0


cdef struct Ladder:
    const int64_t* pairs
    Py_ssize_t count
    double tick       # quote a tick
    double lot        # base a lot
    double factor     # of the price that is paid or received once the fee is in


cdef struct Crossing:
    double quantity
    double cost
    double proceeds
    Py_ssize_t buy_level
    Py_ssize_t sell_level


cdef int walk(
    const Ladder* buy, const Ladder* sell, double quantity_max, double dust, Crossing* out
) noexcept nogil:
    """Match two ladders level by level while the next unit still pays, up to a quantity.

    A rest of `dust` or less is what binary fractions lost, not a quantity to trade.
    """
    cdef Py_ssize_t i = -1, j = -1
    cdef double buy_left = 0, sell_left = 0, paid = 0, received = 0, take
    out.quantity = out.cost = out.proceeds = 0
    out.buy_level = out.sell_level = -1
    while quantity_max - out.quantity > dust:
        if buy_left <= 0:
            i += 1
            if i == buy.count or buy.pairs[2 * i + 1] == 0:
                break
            if is_bad(buy.pairs + 2 * i):
                return BAD_LEVEL
            paid = buy.pairs[2 * i] * buy.tick * buy.factor
            buy_left = buy.pairs[2 * i + 1] * buy.lot
        if sell_left <= 0:
            j += 1
            if j == sell.count or sell.pairs[2 * j + 1] == 0:
                break
            if is_bad(sell.pairs + 2 * j):
                return BAD_LEVEL
            received = sell.pairs[2 * j] * sell.tick * sell.factor
            sell_left = sell.pairs[2 * j + 1] * sell.lot
        if received <= paid:
            break
        take = min(min(buy_left, sell_left), quantity_max - out.quantity)
        out.quantity += take
        out.cost += take * paid
        out.proceeds += take * received
        out.buy_level, out.sell_level = i, j
        buy_left -= take
        sell_left -= take
    return PRICED


cdef int check_market(str name, double tick, double lot, double fee) except -1:
    """Hold one market's sizes and fee against what they can be."""
    if not (tick > 0 and lot > 0 and isfinite(tick) and isfinite(lot)):
        raise ValueError(f"{name}: tick and lot above 0, not {tick} and {lot}")
    if not -1 < fee < 1:
        raise ValueError(f"{name}: a fee rate between -1 and 1, not {fee}")
    return 0


def cross(
    depth_buy, depth_sell, Py_ssize_t buy_levels, Py_ssize_t sell_levels,
    double buy_tick, double buy_lot, double sell_tick, double sell_lot,
    double buy_fee, double sell_fee, double step, double quantity_max,
) -> tuple[float, int, int, float]:
    """The quantity that profits most when buying on one book and selling on another as taker.

    A unit pays while sell * (1 - sell_fee) > buy * (1 + buy_fee). Both ladders only get worse, so
    all units that pay, and no others, are the maximum. That quantity, at most `quantity_max`, is
    floored to a multiple of `step` (in base, what both markets can trade) and priced again:
    profit = sum(sold * sell * (1 - sell_fee)) - sum(bought * buy * (1 + buy_fee)).

    Depths are whole depths of `buy_levels` and `sell_levels`; ticks and lots are in quote and base
    units, fees are rates. Returns (quantity in base, limit in ticks on the buying book, limit in
    ticks on the selling book, profit in quote); all 0 when nothing pays.
    """
    cdef bytes asks = depth_of(depth_buy, buy_levels)
    cdef bytes bids = depth_of(depth_sell, sell_levels)
    cdef Ladder buy, sell
    cdef Crossing best
    cdef double steps, noise = (buy_levels + sell_levels + 4) * EPSILON
    check_market("buy", buy_tick, buy_lot, buy_fee)
    check_market("sell", sell_tick, sell_lot, sell_fee)
    if not (step > 0 and isfinite(step)) or not quantity_max >= 0:
        raise ValueError(f"step above 0 and quantity_max not below, not {step} and {quantity_max}")
    buy = Ladder((<const int64_t*> <const char*> asks) + 2 * buy_levels, buy_levels,
                 buy_tick, buy_lot, 1 + buy_fee)
    sell = Ladder(<const int64_t*> <const char*> bids, sell_levels,
                  sell_tick, sell_lot, 1 - sell_fee)
    if walk(&buy, &sell, quantity_max, 0, &best) != PRICED:
        refuse(BAD_LEVEL)
    steps = best.quantity / step
    steps = floor(steps + steps * noise)
    if steps < 1:
        return 0.0, 0, 0, 0.0
    walk(&buy, &sell, steps * step, steps * step * noise, &best)
    if best.proceeds <= best.cost:
        return 0.0, 0, 0, 0.0
    return (
        steps * step, buy.pairs[2 * best.buy_level], sell.pairs[2 * best.sell_level],
        best.proceeds - best.cost,
    )
