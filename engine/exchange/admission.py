"""What the kernel is asked for an account's order, and what the order locks for it.

A market buy locks what a walk of the book says it will cost. One that waits for its trigger cannot
know: it locks its trigger's price and PROTECTION_BPS more, and buys no dearer; in a market with a
price band it locks the band instead, which stops it by itself. A pegged buy without a worst price
gets one in the same way.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from engine.exchange.accounts import Accounts, fee_on, value_of
from engine.exchange.checks import BPS
from engine.exchange.market import Market
from engine.exchange.orders import UNFUNDED, NewOrder, Refused, Why
from engine.exchange.walk import ANY, Met, Walk, walk
from engine.messages import BUY
from ext.matching import (
    BAND,
    DAY,
    FOK,
    FULL,
    GTC,
    GTD,
    INVALID,
    IOC,
    IS_CLOSED,
    IS_HALTED,
    LIMIT,
    LOT,
    MARKET,
    NO_TRIGGER,
    NOT_IN_AUCTION,
    NOTIONAL,
    PEGGED,
    TICK,
    TRAIL_BPS,
    TRAIL_TICKS,
    UNKNOWN_ORDER,
    WOULD_TAKE,
)

PROTECTION_BPS = 500

REASONS = {
    Why.INSUFFICIENT_BALANCE: UNFUNDED,
    Why.TICK: TICK,
    Why.LOT: LOT,
    Why.NOTIONAL: NOTIONAL,
    Why.BAND: BAND,
    Why.WOULD_TAKE: WOULD_TAKE,
    Why.FULL: FULL,
    Why.IN_AUCTION: NOT_IN_AUCTION,
    Why.HALTED: IS_CLOSED,
}
"""The kernel's reason for each refusal that may meet an order when its parent is filled."""

WHYS = {
    TICK: Why.TICK,
    LOT: Why.LOT,
    NOTIONAL: Why.NOTIONAL,
    BAND: Why.BAND,
    WOULD_TAKE: Why.WOULD_TAKE,
    FULL: Why.FULL,
    NOT_IN_AUCTION: Why.IN_AUCTION,
    IS_HALTED: Why.HALTED,
    IS_CLOSED: Why.HALTED,
    INVALID: Why.INVALID,
    UNKNOWN_ORDER: Why.UNKNOWN_ORDER,
}
"""The refusal for each of the kernel's reasons."""


class Plan(NamedTuple):
    """An order ready for the kernel; `need` units of `asset` are locked for it.

    `bound` is the price it locks for where that is not its own; `budget` what a market buy may cost.
    """

    market: Market
    asset: str
    need: int
    bound: int
    worst_ppm: int
    budget: int
    lots: int
    kind: int
    ticks: int
    tif: int


def sized(market: Market, new: NewOrder, owner: int, met: Callable[[int], Met | None]) -> NewOrder:
    """An order for so much of the quote asset as one of lots; raises Refused."""
    if not new.quote_units:
        return new
    plain = new.kind == MARKET and new.trigger == NO_TRIGGER and not new.parent
    if not plain or new.lots or new.quote_units < 0:
        raise Refused(Why.INVALID, "only a plain market order is sized in the quote asset")
    value_max = new.quote_units // market.instrument.quote_units_per_tick_lot
    found = walk_of(market, new, ANY, value_max, owner, met)
    lots = found.lots
    price = found.last or market.book.last
    if not price:
        raise Refused(Why.INVALID, "there is no price yet")
    if found.exhausted:
        lots += (value_max - found.value) // price
    return _with_lots(new, min(lots, market.lots_max))


def _with_lots(new: NewOrder, lots: int) -> NewOrder:
    if lots < 1:
        raise Refused(Why.LOT, "less than a lot")
    return msgspec.structs.replace(new, lots=lots)


def walk_of(
    market: Market,
    new: NewOrder,
    lots: int,
    value_max: int,
    owner: int,
    met: Callable[[int], Met | None],
) -> Walk:
    """What a market order would trade now."""
    lowest, highest = market.band()
    worst = highest if new.side == BUY else lowest
    return walk(market.book, new.side, worst, lots, value_max, owner, new.stp, new.group, met)


def plan(
    market: Market,
    new: NewOrder,
    accounts: Accounts,
    account: str,
    met: Callable[[int], Met | None],
) -> Plan:
    """See the module; raises Refused where there is no price to lock for."""
    instrument = market.instrument
    tif, kind, ticks = new.tif, new.kind, new.ticks
    if market.replayed is not None and tif in (GTD, DAY):
        tif = GTC  # the exchange's own clock ends it
    if new.side != BUY:
        need = new.lots * instrument.base_units_per_lot
        return Plan(market, instrument.base, need, 0, 0, 0, new.lots, kind, ticks, tif)
    worst_ppm = max(0, *accounts.rates(account, instrument))
    bound = budget = 0
    if kind == MARKET and new.trigger == NO_TRIGGER:
        owner = accounts.owner(account)
        value = walk_of(market, new, new.lots, ANY, owner, met).value
        value *= instrument.quote_units_per_tick_lot
        need = budget = value + fee_on(value, worst_ppm)
    else:
        bound = _bound(market, new)
        if kind == MARKET and not market.band_bps:
            kind, ticks, tif = LIMIT, bound, FOK if tif == FOK else IOC
        elif kind == PEGGED:
            ticks = bound
        value = value_of(instrument, bound or ticks, new.lots)
        need = value + fee_on(value, worst_ppm)
    return Plan(
        market, instrument.quote, need, bound, worst_ppm, budget, new.lots, kind, ticks, tif
    )


def _bound(market: Market, new: NewOrder) -> int:
    """The worst price a buy locks for; 0 is its own limit."""
    if new.kind == LIMIT:
        return 0
    if new.kind == PEGGED and new.ticks:
        return new.ticks
    last = market.book.last
    bps = PROTECTION_BPS
    if new.kind == PEGGED:
        price = market.book.best(BUY)[0] or last
    else:
        bps = market.band_bps or bps
        price = new.trigger_ticks
        if new.trigger == TRAIL_TICKS:
            price = last + new.offset if last else 0
        elif new.trigger == TRAIL_BPS:
            price = last + max(1, last * new.offset // BPS) if last else 0
    if not price or (market.band_bps and not last):
        raise Refused(Why.INVALID, "there is no price yet to lock for")
    return min(market.ticks_max, price + price * bps // BPS)
