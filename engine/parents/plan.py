"""What an emulated order does next, as a function of what is known of it; it sends nothing itself.

The rules, in order. While a child is UNKNOWN nothing is sent: it may have filled. What filled beyond
the wanted lots is taken back. An exit that takes is sent only when no other child is live, so that
two sides of a pair cannot both fill; the resting side is cancelled first. An entry is tried once;
an exit is tried until it is done, each time later.
"""

from typing import NamedTuple

from engine.instruments import Instrument
from engine.messages import BUY, BookTop, OrderState, ParentKind, ParentState, Reason
from engine.parents.state import ENTERS, Child, Parent, Role

RESTING_MAX = 8  # a bracket's take-profit grows by so many orders; then the last is replaced


class Market(NamedTuple):
    """What the decision sees: the instrument, its LIVE and fresh top or None, and the level.

    `halted` is from HALT up and with the kill switch on: nothing that opens, nothing that rests.
    """

    instrument: Instrument
    top: BookTop | None
    halted: bool
    now_ns: int


class Order(NamedTuple):
    """A child to be sent; one that does not rest is immediate or cancel."""

    role: Role
    side: int
    ticks: int
    lots: int
    rests: bool


class Step(NamedTuple):
    """What to do: cancel these, send this, be looked at again by `wake_ns` (0: when news comes).

    `end` is how the parent has ended; then there is nothing else.
    """

    cancels: tuple[str, ...] = ()
    order: Order | None = None
    end: ParentState | None = None
    reason: Reason = Reason.NONE
    wake_ns: int = 0


WAIT = Step()


def plan(parent: Parent, market: Market) -> Step:
    """The next step of a parent; the same again for the same state and market."""
    live = parent.live()
    if any(child.state is OrderState.UNKNOWN for _, child in live):
        return WAIT
    if parent.over > 0 and (mending := _mend(parent, market, live)) is not None:
        return mending
    if parent.ending is not None:
        if live:
            return Step(_resting(live))
        return Step(end=parent.ending, reason=parent.reason)
    if parent.parked:
        return Step(_resting(live))
    kind = parent.intent.kind
    if kind is ParentKind.BRACKET:
        return _bracket(parent, market, live)
    if parent.lots <= parent.net:
        return Step(_resting(live)) if live else Step(end=ParentState.DONE, reason=parent.reason)
    if kind is ParentKind.OCO:
        return _pair(parent, market, live)
    if not parent.triggered and kind is not ParentKind.GTD:
        return _expiry(parent, market, live)
    if not parent.intent.limit_ticks:
        return _take(parent, market, live, parent.intent.side, parent.lots - parent.net)
    return _rest_single(parent, market, live)


def _resting(live: list[tuple[str, Child]]) -> tuple[str, ...]:
    """The children that must be cancelled to end; what takes at once ends by itself."""
    return tuple(name for name, child in live if child.role in (Role.ENTRY, Role.REST))


def _expiry(parent: Parent, market: Market, live: list[tuple[str, Child]]) -> Step:
    """Wait until the parent's own end, if it has one."""
    until_ns = parent.intent.good_until_ns
    if not until_ns or market.now_ns < until_ns:
        return Step(wake_ns=until_ns)
    parent.ending = ParentState.EXPIRED
    return Step(_resting(live)) if live else Step(end=ParentState.EXPIRED)


def _orderable(instrument: Instrument, ticks: int, lots: int) -> bool:
    """Whether the venue takes an order of this size."""
    notional = ticks * lots * instrument.quote_units_per_tick_lot
    return lots >= instrument.lots_min and notional >= instrument.notional_min_units


# What is left is less than the venue takes: the parent is done as far as it can be.
_DUST = Step(end=ParentState.DONE, reason=Reason.MIN_NOTIONAL)


def _taking_price(parent: Parent, market: Market, side: int) -> int:
    """The best price to take at, and the slip through it; 0 while there is none."""
    top = market.top
    best = 0 if top is None else top.ask_ticks if side == BUY else top.bid_ticks
    if best <= 0:
        return 0
    instrument = market.instrument
    return min(max(best + side * parent.slip, instrument.ticks_min), instrument.ticks_max)


def _sized(parent: Parent, instrument: Instrument, ticks: int, lots: int) -> int:
    """As much as one order may carry; never less than the venue's least."""
    most = min(lots, instrument.lots_max)
    if not parent.size_max or parent.size_max >= most:
        return most
    per_lot = max(1, ticks * instrument.quote_units_per_tick_lot)
    least = max(instrument.lots_min, -(-instrument.notional_min_units // per_lot))
    return min(most, max(parent.size_max, least))


def _send(parent: Parent, market: Market, order: Order) -> Step:
    """Send an exit, not before its time has come."""
    if market.now_ns < parent.retry_ns:
        return Step(wake_ns=parent.retry_ns)
    lots = _sized(parent, market.instrument, order.ticks, order.lots)
    return Step(order=order._replace(lots=lots))


def _take(
    parent: Parent, market: Market, live: list[tuple[str, Child]], side: int, lots: int
) -> Step:
    """Take at once, alone: what else is live is cancelled first."""
    if live:
        return Step(_resting(live))
    ticks = _taking_price(parent, market, side)
    if not ticks:
        return WAIT  # a top will come
    if not _orderable(market.instrument, ticks, lots):
        return _DUST
    return _send(parent, market, Order(Role.TAKE, side, ticks, lots, rests=False))


def _mend(parent: Parent, market: Market, live: list[tuple[str, Child]]) -> Step | None:
    """Take back what filled too much; None where that is too little for an order."""
    side = parent.intent.side
    side = side if parent.intent.kind is ParentKind.BRACKET else -side
    if live:
        return Step(_resting(live))
    ticks = _taking_price(parent, market, side)
    if not ticks:
        return WAIT
    if not _orderable(market.instrument, ticks, parent.over):
        return None
    return _send(parent, market, Order(Role.MEND, side, ticks, parent.over, rests=False))


def _rest(parent: Parent, market: Market, side: int, ticks: int, lots: int) -> Step:
    """An exit at its limit; nothing rests at HALT."""
    if market.halted:
        return WAIT
    return _send(parent, market, Order(Role.REST, side, ticks, lots, rests=True))


def _enter(market: Market, order: Order) -> Step:
    """The one try to open."""
    if market.halted:
        return Step(end=ParentState.REFUSED, reason=Reason.RISK_LEVEL)
    return Step(order=order)


def _rest_single(parent: Parent, market: Market, live: list[tuple[str, Child]]) -> Step:
    """One order at the limit until it is filled or the parent's time is over."""
    waiting = _expiry(parent, market, live)
    if parent.ending is not None or live:
        return waiting
    intent = parent.intent
    left = parent.lots - parent.net
    if intent.kind not in ENTERS:
        if not _orderable(market.instrument, intent.limit_ticks, left):
            return _DUST
        sending = _rest(parent, market, intent.side, intent.limit_ticks, left)
        return sending if sending.order else _sooner(sending, waiting.wake_ns)
    if parent.made:
        return _entry_ended(parent)
    return _enter(market, Order(Role.ENTRY, intent.side, intent.limit_ticks, left, rests=True))


def _entry_ended(parent: Parent) -> Step:
    """An entry that ended short ends its parent in the same way."""
    entry = next(c for c in parent.children.values() if c.role is Role.ENTRY)
    match entry.state:
        case OrderState.REJECTED:
            return Step(end=ParentState.REFUSED, reason=parent.reason)
        case OrderState.EXPIRED:
            return Step(end=ParentState.EXPIRED, reason=parent.reason)
        case OrderState.FILLED:
            return Step(end=ParentState.DONE)  # all that was left on a coarser grid
    return Step(end=ParentState.CANCELLED, reason=parent.reason)


def _sooner(step: Step, at_ns: int) -> Step:
    """The same, looked at again by the sooner of two times."""
    times = [time for time in (step.wake_ns, at_ns) if time]
    return step._replace(wake_ns=min(times, default=0))


def _pair(parent: Parent, market: Market, live: list[tuple[str, Child]]) -> Step:
    """OCO: the limit rests while the stop is only watched; the stop takes what the limit left."""
    intent = parent.intent
    left = parent.lots - parent.net
    if parent.triggered:
        return _take(parent, market, live, intent.side, left)
    waiting = _expiry(parent, market, live)
    if parent.ending is not None or live:
        return waiting
    if not _orderable(market.instrument, intent.limit_ticks, left):
        return _DUST
    sending = _rest(parent, market, intent.side, intent.limit_ticks, left)
    return sending if sending.order else _sooner(sending, waiting.wake_ns)


def _bracket(parent: Parent, market: Market, live: list[tuple[str, Child]]) -> Step:
    """The entry, and guards over what of it is still held."""
    intent = parent.intent
    if not parent.made:
        return _bracket_entry(parent, market)
    held = parent.net
    entering = [name for name, child in live if child.role is Role.ENTRY]
    leaving = parent.triggered or parent.exited > 0
    expired = 0 < intent.good_until_ns <= market.now_ns
    if entering and not (leaving or expired):
        return _sooner(_guard(parent, market, live, held), intent.good_until_ns)
    if entering and expired and not leaving:
        parent.reason = Reason.EXPIRED
    if parent.triggered and (entering or held > 0):
        return _take(parent, market, live, -intent.side, held)
    if entering or held > 0:
        guard = _guard(parent, market, live, held)
        return guard._replace(cancels=(*entering, *guard.cancels))
    if live:
        return Step(_resting(live))
    if parent.entered:
        return Step(end=ParentState.DONE)
    if parent.reason is Reason.EXPIRED:
        return Step(end=ParentState.EXPIRED)
    return _entry_ended(parent)


def _bracket_entry(parent: Parent, market: Market) -> Step:
    """At its limit, or at once where it has none; that waits for a price."""
    intent = parent.intent
    if 0 < intent.good_until_ns <= market.now_ns:
        return Step(end=ParentState.EXPIRED)
    ticks = intent.limit_ticks or _taking_price(parent, market, intent.side)
    if not ticks:
        return Step(wake_ns=intent.good_until_ns)
    rests = intent.limit_ticks > 0
    return _enter(market, Order(Role.ENTRY, intent.side, ticks, parent.lots, rests))


def _guard(parent: Parent, market: Market, live: list[tuple[str, Child]], held: int) -> Step:
    """Have as much take-profit resting as is held, in as few orders as that takes."""
    side, ticks = -parent.intent.side, parent.intent.trigger_ticks
    resting = [(name, child) for name, child in live if child.role is Role.REST]
    entering = any(child.role is Role.ENTRY for _, child in live)
    open_lots = sum(child.lots - child.done for _, child in resting)
    bare = held - open_lots
    if any(child.asked_ns for _, child in resting):
        return Step(tuple(name for name, child in resting if child.asked_ns))  # asked again in time
    if bare == 0:
        return WAIT
    if bare > 0 and len(resting) < RESTING_MAX and _orderable(market.instrument, ticks, bare):
        return _rest(parent, market, side, ticks, bare)
    if resting and (bare < 0 or not entering or len(resting) >= RESTING_MAX):
        name, last = resting[-1]
        left = last.lots - last.done
        larger = _sized(parent, market.instrument, ticks, left + bare) > left
        return Step((name,)) if bare < 0 or (larger and not market.halted) else WAIT
    if not entering and not resting:
        return _DUST
    return WAIT
