"""The slow, obvious pricing: exact fractions, and every quantity tried where a maximum is wanted."""

import math
import struct
from fractions import Fraction
from itertools import accumulate

from typing_extensions import Buffer

Pairs = list[tuple[int, int]]
INT64_MAX = (1 << 63) - 1


def _pairs(levels: Buffer) -> Pairs:
    """The (ticks, lots) of a buffer up to its padding."""
    view = memoryview(levels)
    if view.format.lstrip("@=<") not in ("B", "b", "c", "l", "q"):
        raise ValueError("neither bytes nor int64")
    raw = view.tobytes()
    if len(raw) % 16:
        raise ValueError("a torn pair")
    return list(struct.iter_unpack("<qq", raw))


def _held(pairs: Pairs) -> Pairs:
    """The levels before the padding, held against the rules."""
    held: Pairs = []
    for ticks, lots in pairs:
        if lots < 0 or (lots > 0 and ticks <= 0):
            raise ValueError("a bad level")
        if lots == 0:
            break
        held.append((ticks, lots))
    return held


def _sides(depth: Buffer, levels: int) -> tuple[Pairs, Pairs]:
    """The bids and the asks of a whole depth."""
    pairs = _pairs(depth)
    if levels <= 0 or len(pairs) != 2 * levels:
        raise ValueError(f"not {levels} levels")
    return pairs[:levels], pairs[levels:]


def sweep(levels: Buffer, lots: int) -> tuple[int, int]:
    """What is taken, lot by lot in thought, and its cost."""
    if lots < 0:
        raise ValueError(f"lots: {lots}")
    filled = cost = 0
    for ticks, available in _pairs(levels):
        if available < 0 or (available > 0 and ticks <= 0):
            raise ValueError("a bad level")
        if available == 0 or filled == lots:
            break
        take = min(available, lots - filled)
        filled, cost = filled + take, cost + take * ticks
        if cost > INT64_MAX:
            raise OverflowError("beyond 64 bits")
    return filled, cost


def vwap(levels: Buffer, lots: int) -> float:
    """Cost by quantity."""
    filled, cost = sweep(levels, lots)
    return float(Fraction(cost, filled)) if filled else math.nan


def microprice(bid_ticks: int, bid_lots: int, ask_ticks: int, ask_lots: int) -> float:
    """Each price weighted with the other side's quantity."""
    if bid_lots <= 0 or ask_lots <= 0:
        return math.nan
    return float(Fraction(bid_ticks * ask_lots + ask_ticks * bid_lots, bid_lots + ask_lots))


def imbalance(depth: Buffer, levels: int, n: int) -> float:
    """By definition, over the best `n`."""
    if n <= 0:
        raise ValueError(f"n: {n}")
    bids, asks = (side[:n] for side in _sides(depth, levels))
    if any(lots < 0 or (lots > 0 and ticks <= 0) for ticks, lots in bids + asks):
        raise ValueError("a bad level")
    bid_lots, ask_lots = (sum(lots for _, lots in side) for side in (bids, asks))
    total = bid_lots + ask_lots
    return float(Fraction(bid_lots - ask_lots, total)) if total else 0.0


def _taken(
    ladder: list[tuple[int, Fraction, Fraction]], quantity: Fraction
) -> tuple[int, Fraction]:
    """The last tick touched and the quote moved when `quantity` is taken from a ladder."""
    limit, moved = 0, Fraction(0)
    for ticks, price, available in ladder:
        take = min(available, quantity)
        if take > 0:
            limit, moved, quantity = ticks, moved + take * price, quantity - take
    return limit, moved


def cross(
    depth_buy: Buffer,
    depth_sell: Buffer,
    buy_levels: int,
    sell_levels: int,
    buy_tick: float,
    buy_lot: float,
    sell_tick: float,
    sell_lot: float,
    buy_fee: float,
    sell_fee: float,
    step: float,
    quantity_max: float,
) -> tuple[float, int, int, float]:
    """Try every quantity where profit can turn, take the best, floor it, and price that exactly."""
    asks, bids = _sides(depth_buy, buy_levels)[1], _sides(depth_sell, sell_levels)[0]
    for size in (buy_tick, buy_lot, sell_tick, sell_lot, step):
        if not 0 < size < math.inf:
            raise ValueError(f"a size of {size}")
    if not (-1 < buy_fee < 1 and -1 < sell_fee < 1 and quantity_max >= 0):
        raise ValueError("a fee or a largest quantity that cannot be")
    tick, lot = Fraction(str(buy_tick)), Fraction(str(buy_lot))
    buy = [(t, t * tick * (1 + Fraction(str(buy_fee))), n * lot) for t, n in _held(asks)]
    tick, lot = Fraction(str(sell_tick)), Fraction(str(sell_lot))
    sell = [(t, t * tick * (1 - Fraction(str(sell_fee))), n * lot) for t, n in _held(bids)]

    def profit(quantity: Fraction) -> Fraction:
        return _taken(sell, quantity)[1] - _taken(buy, quantity)[1]

    most = min(sum(q for *_, q in buy), sum(q for *_, q in sell))
    if quantity_max < most:
        most = Fraction(str(quantity_max))
    turns = {Fraction(0), Fraction(most)}
    for ladder in (buy, sell):
        turns |= {q for q in accumulate(q for *_, q in ladder) if q <= most}
    best = max(sorted(turns), key=profit)  # of equals the smallest: no unit trades for nothing
    quantity = best // Fraction(str(step)) * Fraction(str(step))
    if not quantity:
        return 0.0, 0, 0, 0.0
    buy_limit, sell_limit = _taken(buy, quantity)[0], _taken(sell, quantity)[0]
    return float(quantity), buy_limit, sell_limit, float(profit(quantity))
