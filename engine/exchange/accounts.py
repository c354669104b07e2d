"""The accounts of a venue: keys, rights, fee rates, balances to the unit, and a ledger of each move.

It is kept twice: what an account gets is what the simulated flow, the house (fees) or the outside
(deposits and withdrawals) gives. The sum over all of them is 0 for each asset at all times.
"""

from base64 import b64encode
from collections import deque
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

import msgspec

from engine.exchange.orders import Refused, Why
from engine.instruments import PPM, Instrument
from engine.units import parse_decimal

RIGHTS = frozenset({"read", "trade", "withdraw"})
LEDGER_MAX = 100_000
DAY_NS = 86_400_000_000_000
VOLUME_DAYS = 30


class FeeStep(NamedTuple):
    """The rates from a volume on, which is counted in whole quote assets over 30 days."""

    volume: int
    maker_ppm: int
    taker_ppm: int


class FeeTier(msgspec.Struct, frozen=True):
    """Fee rates of an account in place of the instruments' own; the first step is from 0 on."""

    steps: tuple[FeeStep, ...]


class Credentials:
    """Whose key it is and what it may do. The secret shows in no text of it."""

    __slots__ = ("account", "rights", "secret")

    def __init__(self, account: str, secret: bytes, rights: frozenset[str]) -> None:
        self.account = account
        self.secret = secret
        self.rights = rights

    def __repr__(self) -> str:
        return f"Credentials({self.account!r}, {sorted(self.rights)})"


class LedgerEntry(NamedTuple):
    """One move of an account: `kind` is deposit, withdrawal, trade or fee; `balance` is the total after.

    `ref` is the fill's number of a trade or fee, otherwise the entry's own.
    """

    number: int
    account: str
    asset: str
    units: int
    kind: str
    ref: int
    time_ns: int
    balance: int
    note: str = ""


class _Account:
    """One account's totals, locks, traded volume by day, and ledger."""

    def __init__(self, name: str, owner: int, tier: FeeTier | None, ledger_max: int) -> None:
        self.name = name
        self.owner = owner
        self.tier = tier
        self.suspended = False
        self.totals: dict[str, int] = {}
        self.locked: dict[str, int] = {}
        self.days: dict[str, deque[tuple[int, int]]] = {}
        self.ledger: deque[LedgerEntry] = deque(maxlen=ledger_max)


class Accounts:
    """All accounts of one venue; see the module. Raises KeyError for a name there is not."""

    def __init__(self, instruments: Sequence[Instrument], ledger_max: int = LEDGER_MAX) -> None:
        self.decimals: dict[str, int] = {}
        for instrument in instruments:
            self.decimals[instrument.base] = instrument.base_decimals
            self.decimals[instrument.quote] = instrument.quote_decimals
        self.flow: dict[str, int] = dict.fromkeys(self.decimals, 0)
        self.house: dict[str, int] = dict.fromkeys(self.decimals, 0)
        self.outside: dict[str, int] = dict.fromkeys(self.decimals, 0)
        self.shed = 0
        self.touched: dict[tuple[str, str], None] = {}
        self._ledger_max = ledger_max
        self._accounts: dict[str, _Account] = {}
        self._owners: list[_Account] = []
        self._keys: dict[str, Credentials] = {}
        self._entries = 0
        self._day = 0

    # --- who there is -----------------------------------------------------------------------------

    def add(
        self,
        name: str,
        key: str,
        secret: bytes,
        balances: dict[str, int],
        tier: FeeTier | None = None,
        now_ns: int = 0,
    ) -> None:
        """A new account, with one key that may do everything; raises ValueError for a name twice."""
        if name in self._accounts:
            raise ValueError(f"account {name!r} is there twice")
        account = _Account(name, len(self._owners) + 1, tier, self._ledger_max)
        self._accounts[name] = account
        self._owners.append(account)
        self.add_key(name, key, secret, RIGHTS)
        for asset in self.decimals:
            account.totals[asset] = 0
            if balances.get(asset, 0):
                self.deposit(name, asset, balances[asset], now_ns, "opening")

    def add_key(self, name: str, key: str, secret: bytes, rights: frozenset[str]) -> None:
        """One more key of an account; raises ValueError for a key twice."""
        if key in self._keys:
            raise ValueError(f"the key of account {name!r} is another's too")
        self._keys[key] = Credentials(self._accounts[name].name, secret, rights)

    def by_key(self, key: str) -> Credentials | None:
        """Whose key it is, or None."""
        return self._keys.get(key)

    @property
    def names(self) -> list[str]:
        """All accounts, in the order they were added."""
        return list(self._accounts)

    def owner(self, name: str) -> int:
        """The number of an account in the kernel's books."""
        return self._accounts[name].owner

    def suspend(self, name: str, suspended: bool) -> None:
        """Whether an account may not place orders; cancels always pass."""
        self._accounts[name].suspended = suspended

    def suspended(self, name: str) -> bool:
        """Whether an account may not place orders."""
        return self._accounts[name].suspended

    # --- balances ---------------------------------------------------------------------------------

    def total(self, name: str, asset: str) -> int:
        """All an account has of an asset."""
        return self._accounts[name].totals.get(asset, 0)

    def locked(self, name: str, asset: str) -> int:
        """What its open orders hold of it."""
        return self._accounts[name].locked.get(asset, 0)

    def free(self, name: str, asset: str) -> int:
        """What is not locked."""
        return self.total(name, asset) - self.locked(name, asset)

    def assets(self, name: str) -> list[str]:
        """The assets an account may have, all of the venue's among them."""
        return list(self._accounts[name].totals)

    def lock(self, name: str, asset: str, units: int) -> None:
        """Set aside so much more, or with a negative number less. The caller has looked at `free`."""
        if units:
            locked = self._accounts[name].locked
            locked[asset] = locked.get(asset, 0) + units
            self.touched[name, asset] = None

    def deposit(
        self, name: str, asset: str, units: int, now_ns: int, note: str = ""
    ) -> LedgerEntry:
        """So much comes from outside; raises Refused for an asset the venue does not have."""
        self._check_move(asset, units)
        self.outside[asset] -= units
        return self._move(self._accounts[name], asset, units, "deposit", 0, now_ns, note)

    def withdraw(
        self, name: str, asset: str, units: int, now_ns: int, note: str = ""
    ) -> LedgerEntry:
        """So much goes outside; raises Refused when less is free."""
        self._check_move(asset, units)
        if self.free(name, asset) < units:
            raise Refused(Why.INSUFFICIENT_BALANCE, f"less than {units} units of {asset} are free")
        self.outside[asset] += units
        return self._move(self._accounts[name], asset, -units, "withdrawal", 0, now_ns, note)

    def _check_move(self, asset: str, units: int) -> None:
        if asset not in self.decimals or units <= 0:
            raise Refused(Why.INVALID, f"no move of {units} units of {asset!r}")

    def _move(
        self, account: _Account, asset: str, units: int, kind: str, ref: int, now_ns: int, note: str
    ) -> LedgerEntry:
        balance = account.totals[asset] = account.totals[asset] + units
        self._entries += 1
        number = self._entries
        entry = LedgerEntry(
            number, account.name, asset, units, kind, ref or number, now_ns, balance, note
        )
        self.shed += len(account.ledger) == self._ledger_max
        account.ledger.append(entry)
        self.touched[account.name, asset] = None
        return entry

    def ledger(self, name: str) -> Sequence[LedgerEntry]:
        """The moves of an account, oldest first, as far back as is kept."""
        return self._accounts[name].ledger

    # --- trades -----------------------------------------------------------------------------------

    def trade(
        self,
        name: str,
        instrument: Instrument,
        side: int,
        ticks: int,
        lots: int,
        fee: int,
        fill: int,
        now_ns: int,
    ) -> None:
        """An account's side of a trade; `fee` in quote units goes to the house."""
        account = self._accounts[name]
        base, quote = instrument.base, instrument.quote
        value = ticks * lots * instrument.quote_units_per_tick_lot
        units = side * lots * instrument.base_units_per_lot
        self._move(account, base, units, "trade", fill, now_ns, "")
        self._move(account, quote, -side * value, "trade", fill, now_ns, "")
        if fee:
            self._move(account, quote, -fee, "fee", fill, now_ns, "")
            self.house[quote] += fee
        day = now_ns // DAY_NS
        self._day = max(self._day, day)
        days = account.days.setdefault(quote, deque())
        if days and days[-1][0] == day:
            value += days.pop()[1]
        days.append((day, value))
        while days[0][0] <= day - VOLUME_DAYS:
            days.popleft()

    def flow_trade(self, instrument: Instrument, side: int, ticks: int, lots: int) -> None:
        """The simulated flow's side of a trade with an account."""
        value = ticks * lots * instrument.quote_units_per_tick_lot
        self.flow[instrument.base] += side * lots * instrument.base_units_per_lot
        self.flow[instrument.quote] -= side * value

    def volume(self, name: str, asset: str) -> int:
        """What an account traded for an asset in the last 30 days, in its units."""
        days = self._accounts[name].days.get(asset, ())
        return sum(units for day, units in days if day > self._day - VOLUME_DAYS)

    def tier(self, name: str) -> FeeTier | None:
        """The fee tier of an account; None: the instruments' own rates."""
        return self._accounts[name].tier

    def rates(self, name: str, instrument: Instrument) -> tuple[int, int]:
        """The maker's and the taker's rate of an account, in millionths."""
        tier = self._accounts[name].tier
        if tier is None:
            return instrument.maker_fee_ppm, instrument.taker_fee_ppm
        volume = 0
        if len(tier.steps) > 1:
            volume = self.volume(name, instrument.quote) // 10**instrument.quote_decimals
        step = max(step for step in tier.steps if step.volume <= volume)
        return step.maker_ppm, step.taker_ppm

    def imbalance(self, asset: str) -> int:
        """The sum over everybody of an asset: 0, or something was made out of nothing."""
        held = sum(account.totals.get(asset, 0) for account in self._owners)
        return held + self.flow[asset] + self.house[asset] + self.outside[asset]


def value_of(instrument: Instrument, ticks: int, lots: int) -> int:
    """Price times quantity in quote units, of any size: what does not fit is refused by balance."""
    return ticks * lots * instrument.quote_units_per_tick_lot


def fee_on(value: int, rate_ppm: int) -> int:
    """The fee on a value, rounded up to the unit (a rebate rounds to less)."""
    return -(-value * rate_ppm // PPM)


def credentials(name: str, account: str) -> tuple[str, bytes]:
    """The key and secret of an account of a named configuration: a function of the names.

    The key has the length and letters of Binance's, the secret is base64 as Kraken's is; each wire can
    use both as its own exchange does.
    """
    key = sha256(f"key/{name}/{account}".encode()).hexdigest()
    return key, b64encode(sha256(f"secret/{name}/{account}".encode()).digest())


def fee_tier(steps: Sequence[tuple[int, str, str]]) -> FeeTier | None:
    """A tier out of (volume, maker rate, taker rate) with rates as decimals; None without steps.

    Raises ValueError where no step is from 0 on, or a rate is 1 or more.
    """
    found = [
        FeeStep(volume, parse_decimal(maker, 6), parse_decimal(taker, 6))
        for volume, maker, taker in steps
    ]
    if not found:
        return None
    if min(found).volume or max(max(step[1:]) for step in found) >= PPM:
        raise ValueError("a fee tier begins at volume 0, and its rates are below 1")
    return FeeTier(tuple(found))
