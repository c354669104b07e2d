"""Whether a venue adds up: every order, fill, trade and balance against each other, to the unit."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from engine.exchange.accounts import Accounts
from engine.exchange.clearing import Clearing, Entry
from engine.exchange.market import Market
from engine.exchange.orders import Order
from engine.exchange.records import Records, Sums


class Held(NamedTuple):
    """What an account has of an asset, in units."""

    account: str
    asset: str
    total: int
    locked: int


class Audit(NamedTuple):
    """Counts are of all there ever was; `problems` is empty when everything holds."""

    venue: str
    orders: tuple[Order, ...]
    order_count: int
    fill_count: int
    balances: tuple[Held, ...]
    flow: dict[str, int]
    house: dict[str, int]
    outside: dict[str, int]
    shed: Sums
    shed_ledger: int
    problems: tuple[str, ...]


def audit(
    venue: str,
    markets: Mapping[int, Market],
    accounts: Accounts,
    records: Records,
    clearing: Clearing,
) -> Audit:
    """Look at everything; see the module."""
    problems = [
        *_conserved(accounts),
        *_locked(accounts, clearing),
        *_open(markets, accounts, records, clearing),
        *_filled(accounts, records),
        *_traded(markets, accounts, records, clearing),
    ]
    return Audit(
        venue,
        tuple(records.orders.values()),
        records.order_count,
        records.fill_count,
        tuple(
            Held(name, asset, accounts.total(name, asset), accounts.locked(name, asset))
            for name in accounts.names
            for asset in accounts.assets(name)
        ),
        dict(accounts.flow),
        dict(accounts.house),
        dict(accounts.outside),
        records.shed,
        accounts.shed,
        tuple(problems),
    )


def _conserved(accounts: Accounts) -> Iterator[str]:
    for asset in accounts.decimals:
        if accounts.imbalance(asset):
            yield f"{asset}: {accounts.imbalance(asset)} units were made out of nothing"
    for name in accounts.names:
        last = {entry.asset: entry.balance for entry in accounts.ledger(name)}
        for asset in accounts.assets(name):
            total = accounts.total(name, asset)
            if last.get(asset, total) != total:
                yield f"{name} {asset}: {total} units, its ledger says {last[asset]}"


def _locked(accounts: Accounts, clearing: Clearing) -> Iterator[str]:
    needs: dict[tuple[str, str], int] = defaultdict(int)
    dearest: dict[tuple[str, str, int], int] = defaultdict(int)
    for entry in clearing.entries.values():
        key = (entry.order.account, entry.asset)
        need = _need(entry)
        if need != entry.locked:
            yield f"order {entry.order.number} locks {entry.locked}, it needs {need}"
        if group := entry.order.request.group:
            dearest[(*key, group)] = max(dearest[(*key, group)], need)
        else:
            needs[key] += need
    for (name, asset, _), need in dearest.items():
        needs[name, asset] += need
    for name in accounts.names:
        for asset in accounts.assets(name):
            locked = accounts.locked(name, asset)
            if locked != needs[name, asset]:
                yield f"{name} {asset}: {locked} locked, its orders need {needs[name, asset]}"
            if locked < 0 or accounts.free(name, asset) < 0:
                yield f"{name} {asset}: {accounts.free(name, asset)} free, {locked} locked"


def _need(entry: Entry) -> int:
    waits = entry.order.request.parent and not entry.kernel
    return 0 if waits else entry.need(entry.leaves)


def _open(
    markets: Mapping[int, Market], accounts: Accounts, records: Records, clearing: Clearing
) -> Iterator[str]:
    numbers = {order.number for order in records.orders.values() if order.open}
    if numbers != clearing.entries.keys():
        yield f"open orders differ: {sorted(numbers ^ clearing.entries.keys())}"
    entries = clearing.entries.values()
    for number, market in markets.items():
        for name in accounts.names:
            there = set(market.book.orders(accounts.owner(name)))
            known = {
                entry.kernel
                for entry in entries
                if entry.kernel and entry.order.account == name and entry.market is market
            }
            if there != known:
                yield f"{name} in market {number}: the book and the orders differ"
    for entry in entries:
        view = entry.market.book.order(entry.kernel) if entry.kernel else None
        if view is not None and view.leaves != entry.leaves:
            yield f"order {entry.order.number}: {entry.leaves} left, in the book {view.leaves}"
    names = [(e.order.account, e.order.request.client_id) for e in entries]
    named = [name for name in names if name[1]]
    if len(set(named)) != len(named):
        yield "a client id names two open orders"


def _filled(accounts: Accounts, records: Records) -> Iterator[str]:
    lots: dict[int, int] = defaultdict(int)
    value: dict[int, int] = defaultdict(int)
    count = 0
    for name in accounts.names:
        for fill in records.fills(name):
            count += 1
            lots[fill.order] += fill.lots
            value[fill.order] += fill.ticks * fill.lots
    shed = records.shed
    if not shed.fills:
        for order in records.orders.values():
            if (lots[order.number], value[order.number]) != (order.filled, order.value):
                yield f"order {order.number}: filled {order.filled}, its fills {lots[order.number]}"
    orders = records.orders.values()
    if sum(lots.values()) + shed.fills_lots != sum(o.filled for o in orders) + shed.orders_lots:
        yield "the lots of all fills are not those of all orders"
    if sum(value.values()) + shed.fills_value != sum(o.value for o in orders) + shed.orders_value:
        yield "the value of all fills is not that of all orders"
    if count + shed.fills != records.fill_count:
        yield f"{count} fills are kept and {shed.fills} shed of {records.fill_count}"


def _traded(
    markets: Mapping[int, Market], accounts: Accounts, records: Records, clearing: Clearing
) -> Iterator[str]:
    if clearing.sides != records.fill_count:
        yield f"{clearing.sides} sides of trades were accounts', there were {records.fill_count} fills"
    kept = {
        (number, trade.number): trade
        for number, market in markets.items()
        for trade in market.trades
    }
    oldest = {number: m.trades[0].number if m.trades else 1 for number, m in markets.items()}
    for name in accounts.names:
        for fill in records.fills(name):
            if fill.trade < oldest[fill.instrument]:
                continue
            trade = kept.get((fill.instrument, fill.trade))
            if trade is None or (trade.ticks, trade.lots) != (fill.ticks, fill.lots):
                yield f"fill {fill.number} has no trade like it"
