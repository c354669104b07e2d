"""Double entry: every amount that comes to one account leaves another, asset by asset.

An account is (kind, venue, asset, bot), its balance a signed number of units of the asset. What we
hold stands in HOLDING and DUST; the other kinds are where it came from or went to, so all accounts
of an asset together are always zero. A trade is two such pairs, one an asset, by way of TRADING:
assets are never added to each other here.
"""

from collections.abc import Iterable
from enum import IntEnum

import msgspec

Key = tuple[int, int, str, int]
Line = tuple["AccountKind", str, int]
"""(kind, asset, amount): one side of an entry, in units."""

HOUSE = 0
"""The bot of what belongs to none: what accounts began with, and transfers."""


class AccountKind(IntEnum):
    """What an account is for. Stored: never renumber."""

    HOLDING = 1  # at the venue, at hand
    DUST = 2  # at the venue, too little to be traded
    OPENING = 3  # what the venue said an account began with
    TRADING = 4  # what was given for, or got by, trades
    FEES = 5
    TRANSFERS = 6
    FUNDING = 7
    ROUNDING = 8  # what venues round that we do not


HELD = frozenset({AccountKind.HOLDING, AccountKind.DUST})


class UnbalancedEntry(ValueError):
    """An entry whose amounts of an asset do not add up to zero: a defect of the caller."""


class AccountsState(msgspec.Struct):
    """The whole state, for a snapshot."""

    balances: dict[Key, int]
    entries: int


class Accounts:
    """All accounts, and what each venue holds of each asset in them. Bounded by what there is to hold.

    `entries` counts the entries made.
    """

    def __init__(self) -> None:
        self.entries = 0
        self._balances: dict[Key, int] = {}
        # By venue and asset over all bots: the sum of HELD, and its part that is DUST.
        self._held: dict[int, dict[str, int]] = {}
        self._dust: dict[tuple[int, str], int] = {}

    def post(self, venue: int, bot: int, lines: Iterable[Line]) -> None:
        """Make one entry for a bot at a venue; raises UnbalancedEntry and then changes nothing."""
        lines = tuple(lines)
        sums: dict[str, int] = {}
        for _, asset, amount in lines:
            sums[asset] = sums.get(asset, 0) + amount
        for asset, left in sums.items():
            if left:
                raise UnbalancedEntry(f"venue {venue}, bot {bot}: {left} units of {asset} are over")
        for kind, asset, amount in lines:
            self._add((kind, venue, asset, bot), amount)
        self.entries += 1

    def _add(self, key: Key, amount: int) -> None:
        self._balances[key] = self._balances.get(key, 0) + amount
        kind, venue, asset, _ = key
        if kind in HELD:
            held = self._held.setdefault(venue, {})
            held[asset] = held.get(asset, 0) + amount
            if kind == AccountKind.DUST:
                self._dust[venue, asset] = self._dust.get((venue, asset), 0) + amount

    def balance(self, kind: AccountKind, venue: int, asset: str, bot: int) -> int:
        """One account's balance in units."""
        return self._balances.get((kind, venue, asset, bot), 0)

    def held(self, venue: int, asset: str) -> int:
        """What the venue has of an asset for us, dust and all, in units."""
        return self._held.get(venue, {}).get(asset, 0)

    def dust(self, venue: int, asset: str) -> int:
        """The part of it that is too small to be traded, of all bots."""
        return self._dust.get((venue, asset), 0)

    def venues(self) -> dict[int, dict[str, int]]:
        """What is held by venue and asset; not to be changed."""
        return self._held

    def sums(self) -> dict[str, int]:
        """By asset the sum over all accounts: each is zero."""
        found: dict[str, int] = {}
        for (_, _, asset, _), amount in self._balances.items():
            found[asset] = found.get(asset, 0) + amount
        return found

    def of_kind(self, kind: AccountKind) -> dict[tuple[int, str, int], int]:
        """Balances of one kind by (venue, asset, bot)."""
        return {key[1:]: amount for key, amount in self._balances.items() if key[0] == kind}

    def snapshot(self) -> AccountsState:
        """The whole state."""
        return AccountsState(self._balances, self.entries)

    def restore(self, state: AccountsState) -> None:
        """Become what `snapshot` gave; raises ValueError where its accounts do not add up."""
        self._balances, self._held, self._dust = {}, {}, {}
        self.entries = state.entries
        for key, amount in state.balances.items():
            self._add(key, amount)
        for asset, left in self.sums().items():
            if left:
                raise UnbalancedEntry(f"a snapshot has {left} units of {asset} over")
