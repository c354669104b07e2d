"""The prices that emulated orders watch, and when one is met. In half ticks, so a mid is a whole.

A stop is met where trading gets worse (a sale at or below, a purchase at or above), a take-profit
where it gets better. A price that jumps over a trigger meets it.
"""

from engine.messages import BUY, BookTop, ParentKind, Trade, TriggerSource
from engine.parents.state import Parent

BPS = 10_000
FAR = 1 << 62
BID, ASK, MIDDLE, LAST = range(4)  # the prices there are to watch
Band = tuple[int, int]  # both ends excluded


def guard_side(parent: Parent) -> int:
    """The side that a trigger would trade on: a bracket's stop leaves what its entry entered."""
    side = parent.intent.side
    return -side if parent.intent.kind is ParentKind.BRACKET else side


def prices_of_top(top: BookTop) -> tuple[int, int, int, int]:
    """The prices to watch in half ticks, by what they are; 0 where this top does not tell one."""
    bid, ask = top.bid_ticks, top.ask_ticks
    return 2 * bid, 2 * ask, bid + ask if bid > 0 and ask > 0 else 0, 0


def prices_of_trade(trade: Trade) -> tuple[int, int, int, int]:
    """The same of a trade, which tells the last one only."""
    return 0, 0, 0, 2 * trade.ticks


def watched(parent: Parent) -> int:
    """Which of the prices a parent watches."""
    source = parent.intent.source
    if source is TriggerSource.MID:
        return MIDDLE
    if source is TriggerSource.LAST:
        return LAST
    return ASK if guard_side(parent) == BUY else BID


def band(parent: Parent) -> Band:
    """Between which prices, in half ticks, there is nothing to do for a parent."""
    intent = parent.intent
    if parent.triggered or intent.kind is ParentKind.GTD:
        return -FAR, FAR
    if intent.kind is ParentKind.BRACKET and parent.net <= 0:
        return -FAR, FAR
    side, stop = guard_side(parent), stop_price(parent)
    if intent.kind is ParentKind.TRAILING_STOP:
        if not parent.best:
            return FAR, -FAR
        return (parent.best - 1, stop) if side == BUY else (stop, parent.best + 1)
    way = -side if intent.kind is ParentKind.TAKE_PROFIT else side
    return (-FAR, stop) if way == BUY else (stop, FAR)


def stop_price(parent: Parent) -> int:
    """Where the stop of any kind stands now, in half ticks; 0 while it stands nowhere."""
    intent = parent.intent
    if intent.kind is ParentKind.TRAILING_STOP:
        if not parent.best:
            return 0
        distance = 2 * intent.trail_ticks or max(1, parent.best * intent.trail_bps // BPS)
        return max(0, parent.best + intent.side * distance)
    if intent.kind in (ParentKind.OCO, ParentKind.BRACKET):
        return 2 * intent.stop_ticks
    return 2 * intent.trigger_ticks


def observe(parent: Parent, price: int) -> bool:
    """Take a watched price, in half ticks; whether it is the one that meets the trigger."""
    intent = parent.intent
    side = guard_side(parent)
    if price <= 0 or parent.triggered or intent.kind is ParentKind.GTD:
        return False
    if intent.kind is ParentKind.BRACKET and parent.net <= 0:
        return False  # there is nothing to guard
    if intent.kind is ParentKind.TRAILING_STOP:
        if not parent.best and side * (price - 2 * intent.trigger_ticks) > 0 < intent.trigger_ticks:
            return False  # it has not come to where the trailing begins
        if not parent.best or side * (price - parent.best) < 0:
            parent.best = price
    way = -side if intent.kind is ParentKind.TAKE_PROFIT else side
    if way * (price - stop_price(parent)) < 0:
        return False
    parent.triggered = True
    parent.failures = parent.retry_ns = 0  # what a resting side waits for, a stop does not
    return True
