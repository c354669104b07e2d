"""What stands between a configuration and trading with real money, asked of each exchange itself.

Keys and their rights, clock, instruments, fees and balances, through the exchange's ccxt client. Only
what reads is called: nothing is placed, moved or changed.
"""

import importlib
import time
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from engine.config import Config, ConfigError, InstrumentConfig, VenueConfig
from engine.edges.ccxt_caller import Account, Caller, Nonces
from engine.edges.doctor import Finding
from engine.edges.private_hosts import HostRefused
from engine.edges.secrets import Keys, keys_of
from engine.venues.ccxt_exchanges import ccxt_id

CLOCK_MS_MAX = 500


class Rights(NamedTuple):
    """What a key may do, as the exchange says."""

    trade: bool
    withdraw: bool


def _of_binance(said: Any) -> Rights:
    return Rights(bool(said["enableSpotAndMarginTrading"]), bool(said["enableWithdrawals"]))


def _of_kraken(said: Any) -> Rights:
    names = [str(name).lower() for name in said["result"]["permissions"]]
    trades = any("trade" in name and "modify" in name for name in names)
    return Rights(trades, any("withdraw" in name for name in names))


def _of_bybit(said: Any) -> Rights:
    rights = said["result"]["permissions"]
    withdraws = any("withdraw" in str(name).lower() for name in rights.get("Wallet", []))
    return Rights(str(said["result"]["readOnly"]) == "0", withdraws)


def _of_okx(said: Any) -> Rights:
    names = str(said["data"][0]["perm"]).lower().split(",")
    return Rights("trade" in names, "withdraw" in names)


RIGHTS: dict[str, tuple[str, Callable[[Any], Rights]]] = {
    "binance": ("sapiGetAccountApiRestrictions", _of_binance),
    "kraken": ("privatePostGetApiKeyInfo", _of_kraken),
    "bybit": ("privateGetV5UserQueryApi", _of_bybit),
    "okx": ("privateGetAccountConfig", _of_okx),
}
"""ccxt's call that tells what a key may do, and how its answer is read."""


async def examine(config: Config, environment: Mapping[str, str]) -> list[Finding]:
    """Every venue that this configuration would trade on; one finding a question."""
    findings: list[Finding] = []
    for place, venue in enumerate(config.venues):
        if venue.trading.gateway == "none":
            continue
        try:
            keys = keys_of(config, place, environment)
        except ConfigError as error:
            findings.append(Finding(f"{venue.name} keys", False, str(error), "set it"))
            continue
        if keys is not None and venue.kind == "watch" and config.mode != "paper":
            findings += await _examine(config, place, keys)
    if not findings:
        what = f"mode {config.mode!r} trades with no real key"
        findings.append(Finding("keys", True, what, "mode = 'live' is what this is for"))
    return findings


async def _examine(config: Config, place: int, keys: Keys) -> list[Finding]:
    error_type = importlib.import_module("ccxt").BaseError  # loaded late: it takes seconds
    venue = config.venues[place]
    exchange = ccxt_id(venue.protocol, venue.exchange)
    account = Account(exchange, keys, config.mode, venue.rest_url, venue.stream_url)
    try:
        caller = Caller(account, Nonces(exchange))
    except ConfigError as error:
        return [Finding(f"{venue.name} client", False, str(error), "see docs/going-live.md")]
    instruments = [i for i in config.instruments if i.venue == venue.name]
    findings: list[Finding] = []
    try:
        for ask in (_ask_rights, _ask_clock, _ask_balances):
            findings.append(await _asked(venue, ask, caller, error_type))
        for instrument in instruments:
            for of, asked in (("", _grid_asked(instrument)), (" fees", _fees_asked(instrument))):
                what = instrument.symbol + of
                findings.append(await _asked(venue, asked, caller, error_type, what))
    finally:
        await caller.close()
    return findings


Ask = Callable[[VenueConfig, Any], Awaitable[Finding]]


async def _asked(
    venue: VenueConfig, ask: Ask, caller: Caller, error_type: type[Exception], of: str = ""
) -> Finding:
    """The finding, or that the exchange gave no answer and why."""
    try:
        return await ask(venue, caller.client)
    except (error_type, HostRefused, KeyError, IndexError, TypeError) as error:
        name = f"{venue.name} {of or ask.__name__.removeprefix('_ask_')}"
        why = f"{type(error).__name__}: {caller.told(error).decode()}"
        return Finding(name, False, f"no answer: {why}", "see whether key and address are right")


async def _ask_rights(venue: VenueConfig, client: Any) -> Finding:
    name = f"{venue.name} key"
    if client.id not in RIGHTS:
        what = f"{client.id} does not tell what a key may do: make sure by hand that it cannot withdraw"
        return Finding(name, True, what, "")
    method, read = RIGHTS[client.id]
    rights = read(await getattr(client, method)())
    if rights.withdraw and not venue.trading.allow_withdrawal_key:
        mend = (
            "make a key without that right (or, knowing why: trading.allow_withdrawal_key = true)"
        )
        return Finding(name, False, "the key may withdraw money", mend)
    what = f"the key may {'trade' if rights.trade else 'NOT trade'}"
    what += " and withdraw" if rights.withdraw else " and cannot withdraw"
    return Finding(name, rights.trade, what, "give the key the right to trade spot")


async def _ask_clock(venue: VenueConfig, client: Any) -> Finding:
    name = f"{venue.name} clock"
    if not client.has.get("fetchTime"):
        return Finding(name, True, f"{client.id} does not tell its time", "")
    sent_ms = time.time() * 1000
    there_ms = int(await client.fetch_time())
    back_ms = time.time() * 1000
    # Whatever the two ways took, the clocks are at least so far apart.
    apart_ms = max(sent_ms - there_ms - 1, there_ms - back_ms, 0.0)
    whole_seconds = there_ms % 1000 == 0
    fine = apart_ms <= CLOCK_MS_MAX + (1000 if whole_seconds else 0)
    what = f"at least {apart_ms:.0f} ms apart, answered in {back_ms - sent_ms:.0f} ms"
    return Finding(name, fine, what, "let the machine keep time (chrony or systemd-timesyncd)")


async def _ask_balances(venue: VenueConfig, client: Any) -> Finding:
    said = await client.fetch_balance()
    held = {asset: Decimal(str(total)) for asset, total in said["total"].items() if total}
    held = {asset: total for asset, total in held.items() if total}
    what = ", ".join(f"{total:f} {asset}" for asset, total in sorted(held.items()))
    return Finding(f"{venue.name} balances", bool(held), what or "nothing is held", "deposit first")


def _grid_asked(instrument: InstrumentConfig) -> Ask:
    async def ask(venue: VenueConfig, client: Any) -> Finding:
        name = f"{venue.name} {instrument.symbol}"
        markets = await client.load_markets()
        market = markets.get(instrument.symbol)
        if market is None:
            return Finding(name, False, f"{client.id} has no such market", "see its own listing")
        wrong = [
            f"{field} is {ours} here and {theirs} there"
            for field, ours, theirs in (
                ("tick_size", instrument.tick_size, market["precision"]["price"]),
                ("lot_size", instrument.lot_size, market["precision"]["amount"]),
            )
            if theirs is not None and Decimal(ours) % Decimal(str(theirs))
        ]
        least = market["limits"]["cost"]["min"]
        if least is not None and Decimal(str(least)) > Decimal(instrument.notional_min):
            wrong.append(f"notional_min is {instrument.notional_min} here and {least} there")
        if not market.get("active", True):
            wrong.append("it is not traded now")
        what = "; ".join(wrong) or "grid and limits agree"
        return Finding(name, not wrong, what, "put the exchange's numbers into [[instruments]]")

    return ask


def _fees_asked(instrument: InstrumentConfig) -> Ask:
    async def ask(venue: VenueConfig, client: Any) -> Finding:
        name = f"{venue.name} {instrument.symbol} fees"
        if not client.has.get("fetchTradingFee"):
            return Finding(name, True, f"{client.id} does not tell them", "")
        said = await client.fetch_trading_fee(instrument.symbol)
        dearer = [
            f"{side} {said[side]} there, {ours} here"
            for side, ours in (("maker", instrument.maker_fee), ("taker", instrument.taker_fee))
            if said.get(side) is not None and Decimal(str(said[side])) > Decimal(ours)
        ]
        what = "; ".join(dearer) or "not above those configured"
        return Finding(name, not dearer, what, "what looks profitable here would not be there")

    return ask
