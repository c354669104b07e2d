"""The prices that emulated orders watch, and when one is met. In half ticks, so a mid is a whole.

A stop is met where trading gets worse (a sale at or below, a purchase at or above), a take-profit
where it gets better. A price that jumps over a trigger meets it.
"""

from engine.messages import BUY, BookTop, ParentKind, Trade, TriggerSource
from engine.parents.state import Parent

BPS = 10_000


def guard_side(parent: Parent) -> int:
    """The side that a trigger would trade on: a bracket's stop leaves what its entry entered."""
    side = parent.intent.side
    return -side if parent.intent.kind is ParentKind.BRACKET else side


def price_of_top(parent: Parent, top: BookTop) -> int:
    """The watched price in half ticks; 0 where this top does not tell it."""
    source = parent.intent.source
    if source is TriggerSource.MID:
        both = top.bid_ticks > 0 and top.ask_ticks > 0
        return top.bid_ticks + top.ask_ticks if both else 0
    if source is TriggerSource.BID_ASK:
        return 2 * (top.ask_ticks if guard_side(parent) == BUY else top.bid_ticks)
    return 0


def price_of_trade(parent: Parent, trade: Trade) -> int:
    """The same of a trade."""
    return 2 * trade.ticks if parent.intent.source is TriggerSource.LAST else 0


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
