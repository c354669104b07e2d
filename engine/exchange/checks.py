"""Whether a market would take an order: the kernel's checks, before the kernel is asked.

They are those of docs/matching.md in the same order, so that a refused order costs no number and
changes nothing; a property test holds the two together.
"""

from engine.exchange.market import Market
from engine.exchange.orders import NewOrder, Refused, Why
from engine.messages import BUY, SELL
from ext.matching import (
    AUCTION,
    CLOSED,
    CONTINUOUS,
    DAY,
    FOK,
    GTC,
    GTD,
    HALTED,
    IOC,
    LIMIT,
    MARKET,
    NO_TRIGGER,
    PEGGED,
    POST_ONLY,
    REDUCE_ONLY,
    SLIDE,
    STOP,
    STP_DECREMENT,
    STP_NEWEST,
    STP_NONE,
    TAKE_PROFIT,
    TRAIL_BPS,
    TRAIL_TICKS,
)

BPS = 10_000
AT_ONCE = (IOC, FOK)
NUMBER_MAX = 1 << 62


def is_valid(new: NewOrder, now_ns: int) -> bool:
    """Whether every field is one of its values and fits the others."""
    numbers = (new.ticks, new.trigger_ticks, new.lots, new.display, new.offset, new.expire_ns)
    known = (
        new.side in (BUY, SELL)
        and new.kind in (LIMIT, MARKET, PEGGED)
        and GTC <= new.tif <= DAY
        and 0 <= new.flags <= POST_ONLY | SLIDE | REDUCE_ONLY
        and STP_NONE <= new.stp <= STP_DECREMENT
        and NO_TRIGGER <= new.trigger <= TRAIL_BPS
        and min(numbers) >= 0
        and max(numbers) < NUMBER_MAX
        and new.lots > 0
    )
    return known and _kind_fits(new) and _trigger_fits(new) and _time_fits(new, now_ns)


def _kind_fits(new: NewOrder) -> bool:
    rests = new.kind == LIMIT and new.tif not in AT_ONCE
    if (new.flags & (POST_ONLY | SLIDE) or new.display) and not rests:
        return False
    if new.kind == LIMIT:
        return new.ticks > 0
    if new.kind == MARKET:
        return new.ticks == 0
    return new.trigger == NO_TRIGGER and new.tif not in AT_ONCE


def _trigger_fits(new: NewOrder) -> bool:
    if (new.trigger in (STOP, TAKE_PROFIT)) != (new.trigger_ticks > 0):
        return False
    if new.trigger == TRAIL_TICKS:
        return new.offset >= 1
    if new.trigger == TRAIL_BPS:
        return 1 <= new.offset < BPS
    return new.kind == PEGGED or new.offset == 0


def _time_fits(new: NewOrder, now_ns: int) -> bool:
    """`now_ns` is the later of the venue's clock and the book's, which a fault may have set ahead."""
    return new.expire_ns > now_ns if new.tif == GTD else new.expire_ns == 0


def check(market: Market, new: NewOrder, now_ns: int, more: int = 0) -> None:
    """Raises Refused for what the kernel would reject; `more` orders are to come before this one."""
    phase = market.book.phase
    if phase in (HALTED, CLOSED):
        raise Refused(Why.HALTED, "the market is halted" if phase == HALTED else "it is closed")
    if not is_valid(new, max(now_ns, market.book.now_ns)):
        raise Refused(Why.INVALID, "a field of the order does not fit the others")
    if market.replayed is not None:
        _check_replayable(new)
    _check_grid(market, new)
    if len(market.book) + more >= market.orders_max:
        raise Refused(Why.FULL, "the book has no room")


def _check_grid(market: Market, new: NewOrder) -> None:
    instrument = market.instrument
    distance = 0 if new.trigger == TRAIL_BPS else new.offset
    if distance > market.ticks_max:
        raise Refused(Why.TICK, f"a distance of {instrument.symbol} is outside its bounds")
    for ticks in (new.ticks, new.trigger_ticks):
        if ticks and not instrument.ticks_min <= ticks <= market.ticks_max:
            raise Refused(Why.TICK, f"a price of {instrument.symbol} is outside its bounds")
    if not instrument.lots_min <= new.lots <= market.lots_max:
        raise Refused(Why.LOT, f"a size of {instrument.symbol} is outside its bounds")
    price = new.ticks or new.trigger_ticks or market.book.last
    if price and price * new.lots < market.notional_min:
        raise Refused(Why.NOTIONAL, f"less than {instrument.notional_min} {instrument.quote}")


def _check_replayable(new: NewOrder) -> None:
    """Nobody can tell what became of other orders than these in a recorded market."""
    more = new.trigger, new.display, new.group, new.parent, new.flags & ~POST_ONLY
    if new.kind not in (LIMIT, MARKET) or any(more) or new.stp not in (STP_NONE, STP_NEWEST):
        raise Refused(Why.INVALID, "a replayed market takes plain limit and market orders only")


def check_active(market: Market, new: NewOrder) -> None:
    """Raises Refused for what the kernel looks at when an order becomes active."""
    resting = new.kind == LIMIT and new.tif not in AT_ONCE
    if market.book.phase == AUCTION and (not resting or new.flags & (POST_ONLY | SLIDE)):
        raise Refused(Why.IN_AUCTION, "an auction takes only limit orders that may rest")
    check_price(market, new)


def check_price(market: Market, new: NewOrder) -> None:
    """Raises Refused for a price that may not be, or not be posted, now."""
    lowest, highest = market.band()
    if new.kind == LIMIT and not lowest <= new.ticks <= highest:
        raise Refused(Why.BAND, f"the price is outside {lowest} to {highest} ticks")
    if new.flags & (POST_ONLY | SLIDE) and market.book.phase == CONTINUOUS:
        best, _ = market.book.best(-new.side)
        takes = best > 0 and (best - new.ticks) * new.side <= 0
        slides = new.flags & SLIDE and 1 <= best - new.side <= market.ticks_max
        if takes and not slides:
            raise Refused(Why.WOULD_TAKE, "a post-only order would take")
