"""Balances, ledger and fees of an account as REST shows them, and the venue's ledger as Kraken books it.

There is no margin and no way of money in and out here: those endpoints say that there is nothing.
Sources: https://docs.kraken.com/api/docs/rest-api/get-account-balance, /get-ledgers, /get-trade-volume
"""

from collections.abc import Iterable
from typing import Any

from engine.exchange.accounts import LedgerEntry
from engine.exchange.exchange import Exchange
from engine.exchange.wires.kraken_forms import Fields, wrong
from engine.exchange.wires.kraken_keys import Caller
from engine.exchange.wires.kraken_words import (
    SECOND_NS,
    KrakenError,
    Names,
    Pair,
    asset_id,
    id_of,
    number_of,
    seconds,
)
from engine.units import format_decimal

PAGE = 50
IDS_MAX = 20
KINDS = frozenset("all trade deposit withdrawal transfer margin adjustment rollover credit".split())
DOLLARS = frozenset({"USD", "USDT", "USDC"})


class Entry:
    """One change of an asset as Kraken books it: a trade and its fee are one."""

    __slots__ = ("amount", "asset", "balance", "fee", "kind", "number", "ref", "time_ns")

    def __init__(self, entry: LedgerEntry) -> None:
        self.number = entry.number
        self.asset = entry.asset
        self.amount = entry.units
        self.fee = 0
        self.kind = entry.kind
        self.ref = entry.ref
        self.time_ns = entry.time_ns
        self.balance = entry.balance

    @property
    def ref_id(self) -> str:
        """The trade that caused it; of money in or out an id of its own."""
        return id_of("T" if self.kind == "trade" else "R", self.ref)


def booked(ledger: Iterable[LedgerEntry]) -> list[Entry]:
    """The venue's ledger as Kraken books it, oldest first."""
    found: list[Entry] = []
    for entry in ledger:
        last = found[-1] if found else None
        if entry.kind != "fee":
            found.append(Entry(entry))
        elif last is not None and (last.ref, last.asset) == (entry.ref, entry.asset):
            last.fee -= entry.units
            last.balance = entry.balance
    return found


class Ledger:
    """See the module."""

    def __init__(self, exchange: Exchange, names: Names) -> None:
        self._exchange = exchange
        self._accounts = exchange.accounts
        self._names = names

    def balance(self, caller: Caller, fields: Fields, now_ns: int) -> Any:
        """All there is of each asset."""
        return {
            asset_id(asset): self._names.amount(asset, self._accounts.total(caller.account, asset))
            for asset in self._accounts.assets(caller.account)
        }

    def extended_balance(self, caller: Caller, fields: Fields, now_ns: int) -> Any:
        """And what open orders hold of it."""
        accounts, account, amount = self._accounts, caller.account, self._names.amount
        return {
            asset_id(asset): {
                "balance": amount(asset, accounts.total(account, asset)),
                "hold_trade": amount(asset, accounts.locked(account, asset)),
            }
            for asset in accounts.assets(account)
        }

    def trade_balance(self, caller: Caller, fields: Fields, now_ns: int) -> Any:
        """Without margin it is the balance of one asset."""
        asset = fields.text("asset", "ZUSD")
        text = "0.0000"
        if fields.text("asset") or "USD" in self._names.decimals:
            ours = self._names.asset(asset)
            text = self._names.amount(ours, self._accounts.total(caller.account, ours))
        nothing = dict.fromkeys(("m", "uv", "n", "c", "v"), "0.0000")
        return {"eb": text, "tb": text, **nothing, "e": text, "mf": text}

    def open_positions(self, caller: Caller, fields: Fields, now_ns: int) -> Any:
        """Margin positions: none."""
        return [] if fields.text("consolidation") == "market" else {}

    def nothing(self, caller: Caller, fields: Fields, now_ns: int) -> Any:
        """Ways of money in and out: none."""
        if fields.text("asset"):
            self._names.asset(fields.text("asset"))
        return []

    # --- the ledger -------------------------------------------------------------------------------

    def entry_view(self, entry: Entry) -> dict[str, Any]:
        """One entry."""
        amount = self._names.amount
        return {
            "aclass": "currency",
            "amount": amount(entry.asset, entry.amount),
            "asset": asset_id(entry.asset),
            "balance": amount(entry.asset, entry.balance),
            "fee": amount(entry.asset, entry.fee),
            "refid": entry.ref_id,
            "time": seconds(entry.time_ns),
            "type": entry.kind,
            "subtype": "",
        }

    def ledgers(self, caller: Caller, fields: Fields, now_ns: int) -> Any:
        """The entries of an account, newest first."""
        kind = fields.choice("type", KINDS, "all")
        asked = fields.text("asset")
        assets = [self._names.asset(name) for name in asked.split(",")] if asked else None
        since_ns, until_ns = times(fields)
        found = [
            entry
            for entry in reversed(booked(self._accounts.ledger(caller.account)))
            if kind in ("all", entry.kind)
            and (assets is None or entry.asset in assets)
            and since_ns < entry.time_ns <= until_ns
        ]
        first = fields.whole("ofs", 0, 0, 1 << 31)
        shown = found[first : first + PAGE]
        views = {id_of("L", entry.number): self.entry_view(entry) for entry in shown}
        return {"ledger": views, "count": len(found)}

    def query_ledgers(self, caller: Caller, fields: Fields, now_ns: int) -> Any:
        """Some entries by their ids."""
        wanted = [number_of("L", part.strip()) for part in fields.needed("id").split(",")]
        entries = {e.number: e for e in booked(self._accounts.ledger(caller.account))}
        if len(wanted) > IDS_MAX:
            raise wrong("id")
        if not entries.keys() >= set(wanted):
            raise KrakenError("EQuery:Unknown ledger")
        return {id_of("L", number): self.entry_view(entries[number]) for number in wanted}

    def moves(self, caller: Caller, fields: Fields, kind: str) -> Any:
        """Deposits or withdrawals, newest first."""
        asked = fields.text("asset")
        asset = self._names.asset(asked) if asked else ""
        found = [
            {
                "method": "Simulated",
                "aclass": "currency",
                "asset": asset_id(entry.asset),
                "refid": entry.ref_id,
                "txid": entry.ref_id,
                "info": "simulated",
                "amount": self._names.amount(entry.asset, abs(entry.amount)),
                "fee": self._names.amount(entry.asset, 0),
                "time": entry.time_ns // SECOND_NS,
                "status": "Success",
            }
            for entry in reversed(booked(self._accounts.ledger(caller.account)))
            if entry.kind == kind and asset in ("", entry.asset)
        ]
        if fields.text("cursor") not in ("", "false"):
            return {f"{kind}s": found[:PAGE], "next_cursor": ""}
        return found[:PAGE]

    def deposits(self, caller: Caller, fields: Fields, now_ns: int) -> Any:
        """What came in."""
        return self.moves(caller, fields, "deposit")

    def withdrawals(self, caller: Caller, fields: Fields, now_ns: int) -> Any:
        """What went out."""
        return self.moves(caller, fields, "withdrawal")

    # --- fees -------------------------------------------------------------------------------------

    def trade_volume(self, caller: Caller, fields: Fields, now_ns: int) -> Any:
        """Volume of 30 days in dollars of all kinds, and the rates of the pairs that are asked for."""
        account = caller.account
        spent = [
            (self._accounts.volume(account, asset), self._names.decimals[asset])
            for asset in DOLLARS & self._names.decimals.keys()
        ]
        volume = sum(units * 10**18 // 10**decimals for units, decimals in spent) // 10**14
        found: dict[str, Any] = {"currency": "ZUSD", "volume": format_decimal(volume, 4)}
        asked = fields.text("pair")
        if asked:
            pairs = [self._names.rest(name) for name in asked.split(",")]
            found["fees"] = {pair.id: self._rates(account, pair, 1) for pair in pairs}
            found["fees_maker"] = {pair.id: self._rates(account, pair, 0) for pair in pairs}
        return found

    def _rates(self, account: str, pair: Pair, taker: int) -> dict[str, str | None]:
        instrument = pair.instrument
        fee = self._accounts.rates(account, instrument)[taker]
        tier = self._accounts.tier(account)
        steps = (
            [(step.volume, (step.maker_ppm, step.taker_ppm)[taker]) for step in tier.steps]
            if (tier is not None)
            else [(0, fee)]
        )
        units = self._accounts.volume(account, instrument.quote)
        volume = units // 10**instrument.quote_decimals
        reached = max((step for step in steps if step[0] <= volume), default=steps[0])
        ahead = min((step for step in steps if step[0] > volume), default=None)
        return {
            "fee": format_decimal(fee, 4),
            "minfee": format_decimal(min(rate for _, rate in steps), 4),
            "maxfee": format_decimal(max(rate for _, rate in steps), 4),
            "nextfee": format_decimal(ahead[1], 4) if ahead else None,
            "tiervolume": f"{reached[0]}.0000",
            "nextvolume": f"{ahead[0]}.0000" if ahead else None,
        }


def times(fields: Fields) -> tuple[int, int]:
    """From when (not included) and until when, in ns, out of seconds since 1970. Raises KrakenError."""
    bounds = []
    for name, default in (("start", 0), ("end", 1 << 62)):
        whole, _, part = fields.text(name).partition(".")
        if not whole and not part:
            bounds.append(default)
            continue
        digits = whole + part
        if not (digits.isascii() and digits.isdigit()) or len(whole) > 14:
            raise wrong(name)
        bounds.append(int(whole or "0") * SECOND_NS + int(part[:9].ljust(9, "0")))
    return bounds[0], bounds[1]
