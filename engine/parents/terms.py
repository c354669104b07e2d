"""Whether the terms of an emulated order make sense; what does not is refused before it waits."""

from engine.instruments import Instruments
from engine.messages import BUY, SELL, ParentIntent, ParentKind, Reason
from engine.parents.state import ENTERS

BPS = 10_000


def refusal(intent: ParentIntent, instruments: Instruments, now_ns: int) -> Reason:
    """Why an emulated order cannot be taken; NONE where it can.

    UNKNOWN_INSTRUMENT and MALFORMED say what they say, OFF_GRID a price beyond the instrument's,
    ORDER_LOTS too few lots, or more than one order
    can enter with, EXPIRED that it had ended before it began.
    """
    if not 0 <= intent.instrument < len(instruments):
        return Reason.UNKNOWN_INSTRUMENT
    instrument = instruments[intent.instrument]
    if intent.venue != instrument.venue:
        return Reason.UNKNOWN_INSTRUMENT
    prices = (intent.trigger_ticks, intent.limit_ticks, intent.stop_ticks)
    counts = (intent.trail_ticks, intent.trail_bps, intent.slip_ticks, intent.good_until_ns)
    if intent.side not in (BUY, SELL) or any(number < 0 for number in (*prices, *counts)):
        return Reason.MALFORMED
    if any(price and not instrument.ticks_min <= price <= instrument.ticks_max for price in prices):
        return Reason.OFF_GRID
    lots_max = instrument.lots_max if intent.kind in ENTERS else intent.lots
    if not instrument.lots_min <= intent.lots <= lots_max:
        return Reason.ORDER_LOTS
    if intent.good_until_ns and intent.good_until_ns <= now_ns:
        return Reason.EXPIRED
    return Reason.NONE if _makes_sense(intent) else Reason.MALFORMED


def _makes_sense(intent: ParentIntent) -> bool:
    """Whether the prices that a kind needs are there, and on the right sides of each other."""
    side, trigger, limit, stop = (
        intent.side,
        intent.trigger_ticks,
        intent.limit_ticks,
        intent.stop_ticks,
    )
    match intent.kind:
        case ParentKind.STOP_LOSS:
            return trigger > 0 and limit == 0
        case ParentKind.TAKE_PROFIT:
            return trigger > 0
        case ParentKind.TRAILING_STOP:
            one = (intent.trail_ticks > 0) != (intent.trail_bps > 0)
            return one and intent.trail_bps < BPS and limit == 0
        case ParentKind.STOP_LIMIT:
            return trigger > 0 and limit > 0
        case ParentKind.OCO:
            return limit > 0 and stop > 0 and side * (stop - limit) > 0
        case ParentKind.BRACKET:
            ordered = side * (trigger - limit) > 0 and side * (limit - stop) > 0
            guards = trigger > 0 and stop > 0 and side * (trigger - stop) > 0
            return guards and (limit == 0 or ordered)
        case ParentKind.GTD:
            return limit > 0 and intent.good_until_ns > 0
