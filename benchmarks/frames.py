"""The load of tick_to_order: Binance spot depth frames of BTCUSDT that move the top every time.

Venue A ticks between two price states, venue B stands still and bids above both, so that every
frame changes the best bid, the best ask and the profit of buying on A and selling on B. Seeded:
the same count and seed give the same bytes, here and in a peer's interpreter, for this file needs
the standard library only.
"""

import json
from random import Random
from typing import Final

SYMBOL: Final = "BTCUSDT"
TICK: Final = "0.01"
LOT: Final = "0.00001"
SNAPSHOT_ID: Final = 1_000_000
FIRST_EVENT_MS: Final = 1_700_000_000_000
LEVELS: Final = 100
"""Levels a side of a snapshot."""
NEAR: Final = 5
"""Levels that a frame sets and, as many, that it deletes: ten levels a frame."""

STATIC_BID: Final = 6_000_000
"""Best bid of venue B in ticks; its best ask is one tick above."""
HIGH: Final = 5_982_000
"""Venue A's high state: the near bids end here, the best ask is `HIGH + 1` (30 bps below B's bid)."""
LOW: Final = 5_976_000
"""Venue A's low state: the near asks begin here, the best bid is `LOW - 1` (40 bps)."""
WANDER: Final = 50
"""Near levels begin up to so many ticks inside their state: no two tops need be the same."""
FIRST_NEAR: Final = tuple(range(LOW + WANDER, LOW + WANDER + NEAR))
"""The near asks of the snapshot, in ticks."""
UPDATES_A_FRAME: Final = 7
"""Update ids that a frame covers (u - U + 1)."""


def _price(ticks: int) -> str:
    """Ticks as Binance writes them: eight decimals."""
    return f"{ticks // 100}.{ticks % 100:02d}000000"


def _quantity(lots: int) -> str:
    """Lots as Binance writes them: eight decimals."""
    return f"{lots // 100_000}.{lots % 100_000:05d}000"


def _levels(first: int, step: int, random: Random) -> list[list[str]]:
    """A side of a snapshot, from its touch outwards."""
    return [
        [_price(first + step * level), _quantity(random.randrange(10_000, 300_000))]
        for level in range(LEVELS)
    ]


def _snapshot(bid: int, ask: int, random: Random, near: tuple[int, ...] = ()) -> bytes:
    """A body of GET /api/v3/depth; `near` are asks before `ask`."""
    first = [[_price(ticks), _quantity(100_000)] for ticks in near]
    body = {
        "lastUpdateId": SNAPSHOT_ID,
        "bids": _levels(bid, -1, random),
        "asks": first + _levels(ask, 1, random),
    }
    return json.dumps(body, separators=(",", ":")).encode()


def ticking_snapshot() -> bytes:
    """REST depth body of venue A in its low state, which `frames` continues."""
    return _snapshot(LOW - 1, HIGH + 1, Random(1), FIRST_NEAR)


def static_snapshot() -> bytes:
    """REST depth body of venue B, whose book never changes."""
    return _snapshot(STATIC_BID, STATIC_BID + 1, Random(2))


def frames(count: int, seed: int) -> list[bytes]:
    """`count` raw depthUpdate frames that follow `ticking_snapshot` without a gap.

    Even frames go to the high state (delete the near asks, set near bids), odd ones to the low
    state (delete the near bids, set near asks).
    """
    random = Random(seed)
    near = list(FIRST_NEAR)
    last_id = SNAPSHOT_ID
    result = []
    for number in range(count):
        up = number % 2 == 0
        gone = [[_price(ticks), _quantity(0)] for ticks in near]
        touch = HIGH - random.randrange(WANDER) if up else LOW + random.randrange(WANDER)
        near = [touch - level if up else touch + level for level in range(NEAR)]
        new = [[_price(ticks), _quantity(random.randrange(10_000, 300_000))] for ticks in near]
        event = {
            "e": "depthUpdate",
            "E": FIRST_EVENT_MS + number,
            "s": SYMBOL,
            "U": last_id + 1,
            "u": last_id + UPDATES_A_FRAME,
            "b": new if up else gone,
            "a": gone if up else new,
        }
        last_id += UPDATES_A_FRAME
        result.append(json.dumps(event, separators=(",", ":")).encode())
    return result
