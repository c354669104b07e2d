"""The events of a tape by kind, as the Hawkes flow has them, read out of the best prices and trades.

A best price that got better or larger is a limit order near it; one that got worse or smaller is a
cancel, unless somebody took from that side within a few milliseconds; a middle that moved is a move,
which calls forth events and is none itself.
"""

import numpy as np

from engine.analytics.hawkes_fit import Events
from engine.analytics.market_facts import Deeper, Floats, Takers, Tape, Tops

NEAR_LIMIT, MARKET, NEAR_CANCEL, FAR, MOVE = range(5)
KINDS = 4  # the first four are events
CAUSES = 5

# A trade is told up to so long after (before) the book that it changed.
TOLD_LATE_S = 0.006
TOLD_EARLY_S = 0.001


def events_of(tape: Tape) -> Events:
    """All events and moves in order of time, from the first moment that all sources cover."""
    tops, takers, deeper = tape.tops, tape.takers, tape.deeper
    parts = [
        *(_near(tops, takers, side) for side in (0, 1)),
        (takers.times_s, np.full(len(takers.times_s), MARKET), takers.sides),
        (deeper.times_s, np.full(len(deeper.times_s), FAR), deeper.sides),
        _moves(tops),
    ]
    times, kinds, sides = (np.concatenate(each) for each in zip(*parts, strict=True))
    begin = max(each[0] for each in (tops.times_s, deeper.times_s) if len(each))
    end = min(each[-1] for each in (tops.times_s, deeper.times_s) if len(each))
    kept = (times >= begin) & (times <= end)
    order = np.argsort(times[kept], kind="stable")
    return Events(
        times[kept][order] - begin,
        kinds[kept][order].astype(np.int64),
        sides[kept][order].astype(np.int64),
    )


def _near(tops: Tops, takers: Takers, side: int) -> tuple[Floats, Floats, Floats]:
    """Limit orders and cancels at the best price of a side."""
    price, size = (tops.bid, tops.bid_size) if side == 0 else (-tops.ask, tops.ask_size)
    better, larger = np.diff(price), np.diff(size)
    times = tops.times_s[1:]
    came = (better > 0) | ((better == 0) & (larger > 0))
    went = (better < 0) | ((better == 0) & (larger < 0))
    taken = takers.times_s[takers.sides == 1 - side]
    first = np.searchsorted(taken, times - TOLD_EARLY_S)
    after = np.append(taken, np.inf)[first]
    went &= after > times + TOLD_LATE_S
    found = np.concatenate([times[came], times[went]])
    kinds = np.repeat([float(NEAR_LIMIT), float(NEAR_CANCEL)], [came.sum(), went.sum()])
    return found, kinds, np.full(len(found), float(side))


def _moves(tops: Tops) -> tuple[Floats, Floats, Floats]:
    """Moves of the middle; up is the bids' side."""
    step = np.diff(tops.middle())
    moved = step != 0
    times = tops.times_s[1:][moved]
    return times, np.full(len(times), float(MOVE)), (step[moved] < 0).astype(np.float64)


def joined_money(tops: Tops) -> Floats:
    """What limit orders at the best price are worth, by how much it grew."""
    found = []
    for price, size in ((tops.bid, tops.bid_size), (-tops.ask, tops.ask_size)):
        better, larger = np.diff(price), np.diff(size)
        new = np.where(better > 0, size[1:], larger)
        joined = (better > 0) | ((better == 0) & (larger > 0))
        found.append((new * np.abs(price[1:]))[joined])
    return np.concatenate(found)


def deeper_of(times_s: Floats, sides: Floats) -> Deeper:
    """Changes away from the best prices, in order of time."""
    order = np.argsort(times_s, kind="stable")
    return Deeper(times_s[order], sides[order].astype(np.int64))
