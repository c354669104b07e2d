"""Reconciliation: a venue's own word on our account held against what we have, in rounds.

A round asks for all that rests, for balances and transfers, and then for the fills since the last known.
Each difference has a name and a rule that repairs it; balances count as settled when nothing that moves
money was told from before they were asked for until the fills after them had been told.
"""

from enum import IntEnum
from typing import NamedTuple

import msgspec

from engine.messages import CallKind, OrderState
from engine.orders.desk import Desk
from engine.orders.identity import ours
from engine.venues.trading import BalancesSeen, OrderSeen

REPEATS_MAX = 3
LAG_NS = 2_000_000_000
"""So much later than our news of its end may a venue still list an order that ended."""
AT_VENUE = frozenset({OrderState.ACKNOWLEDGED, OrderState.PARTLY_FILLED, OrderState.CANCELLING})


class Findings(NamedTuple):
    """What all that rests at a venue says of our orders.

    `listed` are open here too, `lacking` are ours and not open here, `strays` are ours in a market that is
    not configured, `foreign` are others'; `gone` are open here and do not rest there.
    """

    listed: tuple[OrderSeen, ...]
    lacking: tuple[OrderSeen, ...]
    strays: tuple[OrderSeen, ...]
    foreign: tuple[OrderSeen, ...]
    gone: tuple[str, ...]


def compare(
    desk: Desk, orders: list[OrderSeen], complete: bool, asked_ns: int, prefix: str, quiet_ns: int
) -> Findings:
    """Hold what rests at a venue, asked for at a time, against our open orders.

    What changed within `quiet_ns` before is left alone: its news may be on the way.
    """
    found: dict[str, list[OrderSeen]] = {"listed": [], "lacking": [], "strays": [], "foreign": []}
    names = set()
    for seen in orders:
        name = desk.name_of(seen.client_order_id, seen.venue_order_id)
        names.add(name)
        ended = desk.finished.get(name)
        if name in desk.open:
            kind = "listed"
        elif ended is not None:
            if ended.ended_ns + LAG_NS >= asked_ns:
                continue
            kind = "lacking"
        elif not ours(name, prefix):
            kind = "foreign"
        else:
            kind = "lacking" if seen.instrument >= 0 else "strays"
        found[kind].append(seen)
    gone = [
        name
        for name, order in desk.open.items()
        if complete
        and name not in names
        and order.known
        and order.state in AT_VENUE
        and order.heard_ns + quiet_ns < asked_ns
    ]
    listed, lacking, strays, foreign = (tuple(some) for some in found.values())
    return Findings(listed, lacking, strays, foreign, tuple(gone))


class Stage(IntEnum):
    """Where a round stands."""

    IDLE = 0
    ACCOUNT = 1
    FILLS = 2


class Round(msgspec.Struct):
    """One comparison with a venue; the whole of it is its state.

    `left` are the answers that it waits for, by kind and place. `told` is how much had moved money
    when the balances were asked for; `found` and `open` count differences and those not repaired.
    """

    stage: Stage = Stage.IDLE
    began_ns: int = 0
    stage_ns: int = 0
    asked_ns: int = 0
    left: list[tuple[int, int]] = []
    told: int = 0
    repeats: int = 0
    balances: BalancesSeen | None = None
    found: int = 0
    open: int = 0

    def begin(self, told: int, transfers: int, now_ns: int) -> None:
        """Ask for what rests, balances and transfers (so many parts); count differences anew."""
        self.repeats = self.found = self.open = 0
        self.began_ns = now_ns
        self._begin(told, transfers, now_ns)

    def _begin(self, told: int, transfers: int, now_ns: int) -> None:
        self.stage, self.stage_ns, self.asked_ns, self.told = Stage.ACCOUNT, now_ns, now_ns, told
        self.balances = None
        self.left = [(int(CallKind.OPEN_ORDERS), 0), (int(CallKind.BALANCES), 0)]
        self.left += [(int(CallKind.TRANSFERS), part) for part in range(transfers)]

    def fills(self, places: list[int], now_ns: int) -> None:
        """Ask for the fills of these places."""
        self.stage, self.stage_ns, self.asked_ns = Stage.FILLS, now_ns, now_ns
        self.left = [(int(CallKind.FILLS), place) for place in places]

    def got(self, kind: CallKind, place: int, asked_ns: int) -> bool:
        """An answer to what was asked at a time; whether it is the last one of the stage."""
        key = (int(kind), place)
        if self.stage is Stage.IDLE or key not in self.left or asked_ns < self.stage_ns:
            return False
        self.left.remove(key)
        return not self.left

    def repeat(self, told: int, transfers: int, now_ns: int) -> bool:
        """All is answered. Whether it must begin again, because money moved meanwhile; if not, it ends."""
        if told != self.told and self.repeats < REPEATS_MAX:
            self.repeats += 1
            self._begin(told, transfers, now_ns)
            return True
        self.stage = Stage.IDLE
        return False

    def overdue(self, wait_ns: int, now_ns: int) -> bool:
        """Whether answers are missing for so long that they are asked for again; from now on anew."""
        if self.stage is Stage.IDLE or now_ns - self.asked_ns < wait_ns:
            return False
        self.asked_ns = now_ns
        return True
