"""What a quantity costs, where the price leans, and how much of a crossing between two books pays.

Levels come as the `top_bytes` layout of `ext.book`: little-endian int64 pairs (ticks, lots), best
first, zero-padded; a whole depth is `levels` bids and then `levels` asks. Exact results are ints;
floats appear only where two instruments with different grids are compared.
"""

from libc.math cimport NAN, floor
from libc.stdint cimport int64_t

cdef extern from *:
    bint mul_overflows "__builtin_mul_overflow"(int64_t, int64_t, int64_t*) nogil
    bint add_overflows "__builtin_add_overflow"(int64_t, int64_t, int64_t*) nogil


cdef const int64_t* pairs_of(bytes levels, Py_ssize_t* count) except NULL:
    """The pairs of a bytes object and how many there are; raises ValueError on a torn pair."""
    if len(levels) % 16 or len(levels) == 0:
        raise ValueError(f"levels are pairs of int64, not {len(levels)} bytes")
    count[0] = len(levels) >> 4
    return <const int64_t*> <const char*> levels


cdef const int64_t* depth_of(bytes depth, Py_ssize_t levels) except NULL:
    """The pairs of a whole depth; raises ValueError when it has another number of levels."""
    if levels <= 0 or len(depth) != levels * 32:
        raise ValueError(f"a depth of {levels} levels has {levels * 32} bytes, not {len(depth)}")
    return <const int64_t*> <const char*> depth


cdef int sweep_pairs(
    const int64_t* pairs, Py_ssize_t count, int64_t lots, int64_t* filled, int64_t* cost
) noexcept nogil:
    """Take `lots` from the best level on; 1 when the cost overflows."""
    cdef Py_ssize_t i
    cdef int64_t take, part
    filled[0] = cost[0] = 0
    for i in range(count):
        if filled[0] >= lots or pairs[2 * i + 1] <= 0:
            break
        take = min(pairs[2 * i + 1], lots - filled[0])
        if mul_overflows(pairs[2 * i], take, &part) or add_overflows(cost[0], part, cost):
            return 1
        filled[0] += take
    return 0


def sweep(bytes levels, int64_t lots) -> tuple[int, int]:
    """How many of `lots` one side's levels fill, and what they cost in ticks times lots.

    Raises ValueError for negative lots or torn levels, OverflowError beyond 64 bits.
    """
    cdef Py_ssize_t count
    cdef int64_t filled, cost
    cdef const int64_t* pairs = pairs_of(levels, &count)
    if lots < 0:
        raise ValueError(f"lots: 0 or more, not {lots}")
    if sweep_pairs(pairs, count, lots, &filled, &cost):
        raise OverflowError(f"the cost of {lots} lots does not fit 64 bits")
    return filled, cost


def vwap(bytes levels, int64_t lots) -> float:
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


def imbalance(bytes depth, Py_ssize_t levels, Py_ssize_t n) -> float:
    """(bid - ask) / (bid + ask) lots over the best `n` of a depth: -1 to 1; 0 when it is empty."""
    cdef const int64_t* pairs = depth_of(depth, levels)
    cdef double bids = 0, asks = 0
    cdef Py_ssize_t i
    for i in range(min(n, levels)):
        bids += pairs[2 * i + 1]
        asks += pairs[2 * (levels + i) + 1]
    return (bids - asks) / (bids + asks) if bids + asks > 0 else 0.0


cdef struct Crossing:
    double quantity
    double cost
    double proceeds
    Py_ssize_t buy_level
    Py_ssize_t sell_level


cdef void walk(
    const int64_t* asks, const int64_t* bids, Py_ssize_t buy_levels, Py_ssize_t sell_levels,
    double buy_tick, double buy_lot, double sell_tick, double sell_lot,
    double buy_fee, double sell_fee, double quantity_max, Crossing* out,
) noexcept nogil:
    """Match the two ladders level by level while the next unit still pays, up to a quantity."""
    cdef Py_ssize_t i = 0, j = 0
    cdef double left_buy = 0, left_sell = 0, price_buy = 0, price_sell = 0, take
    out.quantity = out.cost = out.proceeds = 0
    out.buy_level = out.sell_level = -1
    while out.quantity < quantity_max:
        if left_buy <= 0:
            if i >= buy_levels or asks[2 * i + 1] <= 0:
                return
            price_buy = asks[2 * i] * buy_tick
            left_buy = asks[2 * i + 1] * buy_lot
            i += 1
        if left_sell <= 0:
            if j >= sell_levels or bids[2 * j + 1] <= 0:
                return
            price_sell = bids[2 * j] * sell_tick
            left_sell = bids[2 * j + 1] * sell_lot
            j += 1
        if price_sell * (1 - sell_fee) <= price_buy * (1 + buy_fee):
            return
        take = min(min(left_buy, left_sell), quantity_max - out.quantity)
        if take <= 0:
            return
        out.quantity += take
        out.cost += take * price_buy * (1 + buy_fee)
        out.proceeds += take * price_sell * (1 - sell_fee)
        out.buy_level = i - 1
        out.sell_level = j - 1
        left_buy -= take
        left_sell -= take


def cross(
    bytes depth_buy, bytes depth_sell, Py_ssize_t buy_levels, Py_ssize_t sell_levels,
    double buy_tick, double buy_lot, double sell_tick, double sell_lot,
    double buy_fee, double sell_fee, double step, double quantity_max,
) -> tuple[float, int, int, float]:
    """The quantity that profits most when buying on one book and selling on another as taker.

    A unit pays while sell * (1 - sell_fee) > buy * (1 + buy_fee); both ladders only get worse, so
    the sum of all paying units is the maximum. The quantity is then floored to a multiple of
    `step` (base units both markets can trade) and priced again.

    Depths are whole depths of `buy_levels` and `sell_levels`; ticks and lots are in quote and base
    units, fees are rates. Returns (quantity in base, limit in ticks on the buying book, limit in
    ticks on the selling book, profit in quote); all 0 when nothing pays.
    """
    cdef const int64_t* asks = depth_of(depth_buy, buy_levels) + 2 * buy_levels
    cdef const int64_t* bids = depth_of(depth_sell, sell_levels)
    cdef Crossing best
    cdef double quantity
    if step <= 0:
        raise ValueError(f"step: above 0, not {step}")
    walk(asks, bids, buy_levels, sell_levels, buy_tick, buy_lot, sell_tick, sell_lot,
         buy_fee, sell_fee, quantity_max, &best)
    # Half a millionth of a step absorbs what binary fractions lose; it cannot reach the next step.
    quantity = floor(best.quantity / step + 0.5e-6) * step
    if quantity <= 0:
        return 0.0, 0, 0, 0.0
    walk(asks, bids, buy_levels, sell_levels, buy_tick, buy_lot, sell_tick, sell_lot,
         buy_fee, sell_fee, quantity, &best)
    return quantity, asks[2 * best.buy_level], bids[2 * best.sell_level], best.proceeds - best.cost
