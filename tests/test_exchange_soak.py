"""The simulated exchange under fifty clients of three wires over real sockets, with every fault on.

At the end its books are held against what each client was told: an order that was acknowledged is
there, one that was refused is not, one that nobody knows of is what the exchange says it is, and every
balance adds up to the unit. The seed is printed; what the clients do and which faults strike follow
from it, though real sockets decide in which order.
"""

import asyncio
import os
import random
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from engine.edges.exchange_process import ExchangeProcess
from engine.fault_config import FaultKind
from tests.exchange_traders import (
    REFUSED,
    TAKEN,
    UNKNOWN,
    BinanceTrader,
    KrakenTrader,
    OwnTrader,
    Trader,
)

NAME = "soak"
CLIENTS = ((OwnTrader, 20), (BinanceTrader, 15), (KrakenTrader, 15))
DECIMALS = {"BTC": 8, "USDT": 8}
CONFIG = f"""
name = "{NAME}"
seed = SEED
[[venues]]
name = "alpha"
[[instruments]]
venue = "alpha"
symbol = "BTC/USDT"
tick_size = "0.01"
lot_size = "0.00001"
notional_min = "5"
maker_fee = "0.0001"
taker_fee = "0.0002"
[exchange]
events_per_second = 40
latency_ms = 1.0
limits = false
prices = {{ "BTC/USDT" = "60000" }}
[exchange.balances.alpha]
BTC = "10"
USDT = "600000"
[[exchange.accounts]]
name = "main"
"""
CHANCES = {
    "timeout_done": 0.01,
    "timeout_not_done": 0.01,
    "error_done": 0.02,
    "error_not_done": 0.02,
    "overloaded": 0.01,
    "slow": 0.02,
    "rejected": 0.02,
    "rate_limit": 0.002,
    "drop_frame": 0.01,
    "repeat_frame": 0.02,
    "gap": 0.05,
    "fill_before_cancel": 0.2,
    "partial_fill": 0.3,
}
TIMES = (
    ("clock_skew", "skew_ms = 400\nfrom_s = 2\nfor_s = 1\nevery_s = 4"),
    ("maintenance", "from_s = 5\nfor_s = 1\nevery_s = 10"),
    ("disconnect", "from_s = 3\nevery_s = 6"),
)


def config(seed: int) -> str:
    """An account for each client, and every fault there is."""
    text = CONFIG.replace("SEED", str(seed))
    for number in range(sum(count for _, count in CLIENTS)):
        text += f'[[exchange.accounts]]\nname = "client-{number}"\n'
    for kind, chance in CHANCES.items():
        text += f'[[exchange.faults.plan]]\nkind = "{kind}"\nchance = {chance}\ndelay_ms = 300\n'
    for kind, times in TIMES:
        text += f'[[exchange.faults.plan]]\nkind = "{kind}"\n{times}\n'
    return text


async def operate(
    session: aiohttp.ClientSession, url: str, path: str, method: str = "GET"
) -> dict[str, Any]:
    """An operator's request."""
    async with session.request(method, f"{url}/admin/alpha{path}") as response:
        said: dict[str, Any] = await response.json()
        assert response.status == 200, said
        return said


async def watch(session: aiohttp.ClientSession, url: str, price: list[float]) -> None:
    """Where the market is, for traders to order around."""
    while True:
        price[0] = float((await operate(session, url, "/"))["markets"][0]["last"])
        await asyncio.sleep(0.5)


async def soak(url: str, seed: int, seconds: float, pause_s: float) -> str:
    """All of it: trade under faults, then in peace ask about everything; a line of what happened."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        traders: list[Trader] = []
        for kind, count in CLIENTS:
            for _ in range(count):
                path = "" if kind.wire == "simulated" else f"/{kind.wire}"
                account = f"client-{len(traders)}"
                traders.append(kind(session, f"{url}/alpha{path}", NAME, account, seed))
        price = [60_000.0]
        watching = asyncio.create_task(watch(session, url, price))
        until = time.monotonic() + seconds
        await asyncio.gather(*(trader.trade(until, price, pause_s) for trader in traders))
        watching.cancel()
        faults = await operate(session, url, "/faults")
        await operate(session, url, "/faults", "DELETE")
        await asyncio.sleep(0.5)  # what is slow is there by then
        # Orders at rest would go on to fill between the audit and the last client's balances.
        await operate(session, url, "/halt", "POST")
        found = await asyncio.gather(*(resolved(trader) for trader in traders))
        told = Counter(state for trader in traders for state in trader.orders.values())
        audit = await operate(session, url, "/audit/orders")
        problems = list(audit["problems"])
        for trader, there in zip(traders, found, strict=True):
            problems += held(trader, there, audit)
            problems += balanced(trader, await trader.balances(), audit)
            await trader.close()
        async with session.get(url) as response:
            assert (await response.json())["defects"] == 0, (
                "the exchange met a defect: see its stderr"
            )
        assert problems == [], f"seed {seed}: {len(problems)} problems, such as {problems[:5]}"
        assert set(faults["counts"]) == {kind.value for kind in FaultKind}, faults["counts"]
        struck = sum(faults["counts"].values())
        return (
            f"seed {seed}: {len(traders)} clients, {sum(t.asked for t in traders)} requests in "
            f"{seconds:.0f} s, {audit['order_count']} orders, {audit['fill_count']} fills; told "
            f"{dict(told)}; {struck} faults of {len(faults['counts'])} kinds; all of it adds up"
        )


async def resolved(trader: Trader) -> dict[str, bool]:
    """What the exchange says of each order that nobody is sure of."""
    unknown = [name for name, state in trader.orders.items() if state == UNKNOWN]
    return {name: await trader.there(name) for name in unknown}


def held(trader: Trader, there: dict[str, bool], audit: dict[str, Any]) -> list[str]:
    """Where the audit's orders of a client are not those that it was told of."""
    own = [order for order in audit["orders"] if order["account"] == trader.account]
    counts = Counter(order["request"]["client_id"] for order in own)
    problems = [f"{name} is there {count} times" for name, count in counts.items() if count > 1]
    problems += [f"{name} was never sent" for name in counts if name not in trader.orders]
    for name, state in trader.orders.items():
        if state == TAKEN and name not in counts:
            problems.append(f"{name} was acknowledged and is not there")
        elif state == REFUSED and name in counts:
            problems.append(f"{name} was refused and is there")
        elif state == UNKNOWN and there[name] != (name in counts):
            problems.append(f"{name} is said to be there: {there[name]}")
    return problems


def balanced(trader: Trader, said: dict[str, Decimal], audit: dict[str, Any]) -> list[str]:
    """Where a client's balances are not the audit's."""
    problems = []
    for row in audit["balances"]:
        if row["account"] == trader.account:
            total = Decimal(row["total"]).scaleb(-DECIMALS[row["asset"]])
            if said.get(row["asset"], Decimal(0)) != total:
                problems.append(f"{trader.account} {row['asset']}: {said}, audit {total}")
    return problems


def run(folder: Path, seconds: float, pause_s: float) -> None:
    """One soak with a seed of its own; ORCHESTRATOR_SEED names another."""
    seed = int(os.environ.get("ORCHESTRATOR_SEED", "0")) or random.SystemRandom().randrange(1 << 31)
    path = folder / "soak.toml"
    path.write_text(config(seed))
    print(f"seed {seed}")
    process = ExchangeProcess(path)
    try:
        url = process.wait_ready().replace("ws:", "http:")
        print(asyncio.run(soak(url, seed, seconds, pause_s)))
    finally:
        process.stop()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_everything_is_accounted_for_after_a_soak(tmp_path: Path) -> None:
    """Some seconds of it on every run."""
    run(tmp_path, 7.0, 0.05)


@pytest.mark.nightly
@pytest.mark.timeout(1200)
def test_everything_is_accounted_for_after_ten_minutes(tmp_path: Path) -> None:
    """The full form, at a pace at which the exchange still keeps every order."""
    run(tmp_path, 600.0, 0.25)
