"""What the legs of each group bought more than they sold: how much a declared hedge may take back.

A group is known by its bot and number. It is forgotten when it is even and nothing of it is open;
the oldest is, when there are too many. Late fills of orders that ended are still counted to their group.
"""

from itertools import islice
from typing import Any, TypeVar

import msgspec

GROUPS_MAX = 4096
ENDED_MAX = 4096


Kept = TypeVar("Kept")


def shed(table: dict[Any, Kept], most: int) -> None:
    """Forget the oldest of a table that has grown an eighth beyond its size: many at once are cheap."""
    over = max(1, most >> 3)
    if len(table) >= most + over:
        for key in list(islice(table, over)):
            del table[key]


class Group(msgspec.Struct):
    """Units by base asset: bought less sold, and being hedged by side; how many orders are open."""

    units: dict[str, int] = {}
    hedges: dict[str, int] = {}
    open: int = 0


class GroupsState(msgspec.Struct):
    """The whole state, for a snapshot: groups by key, and the group of orders that ended lately."""

    groups: dict[int, Group] = {}
    ended: dict[str, int] = {}


def key_of(bot: int, group: int) -> int:
    """A group's key; 0 for an order that is in none."""
    return (group << 16 | bot) & 0x7FFFFFFFFFFFFFFF if group > 0 else 0


class Groups:
    """All groups that are open or uneven."""

    def __init__(self) -> None:
        self.state = GroupsState()

    def opened(self, key: int, base: str, hedging: int) -> None:
        """An order of a group is let through; `hedging` units of it are a declared hedge, signed."""
        groups = self.state.groups
        group = groups.get(key)
        if group is None:
            group = groups[key] = Group()
            shed(groups, GROUPS_MAX)
        group.open += 1
        if hedging:
            group.hedges[base] = group.hedges.get(base, 0) + hedging

    def filled(self, key: int, base: str, units: int, hedged: int) -> None:
        """A fill of a group's order, signed; `hedged` units of it were a declared hedge in flight."""
        group = self.state.groups.get(key)
        if group is None:
            group = self.state.groups[key] = Group()
            shed(self.state.groups, GROUPS_MAX)
        group.units[base] = group.units.get(base, 0) + units
        if hedged:
            group.hedges[base] = group.hedges.get(base, 0) - hedged
        self._forget(key, group)

    def ended(self, name: str, key: int, base: str, hedging: int) -> None:
        """An order of a group is final; what of a hedge did not fill is no longer in flight."""
        ended = self.state.ended
        ended[name] = key
        shed(ended, ENDED_MAX)
        group = self.state.groups.get(key)
        if group is None:
            return
        group.open -= 1
        if hedging:
            group.hedges[base] = group.hedges.get(base, 0) - hedging
        self._forget(key, group)

    def of_ended(self, name: str) -> int:
        """The group of an order that ended lately; 0 for none."""
        return self.state.ended.get(name, 0)

    def owes(self, key: int, base: str, side: int, units: int) -> bool:
        """Whether a hedge of so many units takes back no more than the group has in excess."""
        group = self.state.groups.get(key)
        if group is None:
            return False
        excess = -side * (group.units.get(base, 0) + group.hedges.get(base, 0))
        return 0 < units <= excess

    def _forget(self, key: int, group: Group) -> None:
        if group.open <= 0 and not any(group.units.values()):
            self.state.groups.pop(key, None)
