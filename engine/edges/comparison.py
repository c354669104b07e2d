"""The ending comparison: the Ledger's balances against the exchange's own accounts, to the unit."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import orjson
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from engine.config import Config, instruments_of, on_own_exchange, units_of
from engine.ledger import Ledger
from engine.routes import Topology
from engine.runtime import HostState

AUDIT_TIMEOUT_S = 2.0
AUDIT_TRIES = 15


class Account(NamedTuple):
    """One balance as both sides have it, in units."""

    venue: str
    asset: str
    ledger: int
    exchange: int


class Comparison(NamedTuple):
    """What was compared and whether it holds; `lines()` says so in words."""

    accounts: tuple[Account, ...]
    orders: int
    duplicates: int
    unresolved: int
    fills: int
    fills_ledger: int
    problems: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Every balance and the number of fills equal, no order doubled, none left unresolved.

        And the exchange's own audit found that it adds up.
        """
        equal = all(account.ledger == account.exchange for account in self.accounts)
        settled = not self.duplicates and not self.unresolved and not self.problems
        return equal and settled and self.fills == self.fills_ledger

    def lines(self) -> list[str]:
        """The comparison in words: what differs, or that nothing does."""
        found = [
            f"{a.venue} {a.asset}: the ledger has {a.ledger}, the exchange {a.exchange} units"
            for a in self.accounts
            if a.ledger != a.exchange
        ]
        if self.duplicates:
            found.append(f"{self.duplicates} orders reached the exchange twice")
        if self.unresolved:
            found.append(f"{self.unresolved} orders are still open at the exchange")
        if self.fills != self.fills_ledger:
            found.append(
                f"the exchange made {self.fills} fills, the ledger has {self.fills_ledger}"
            )
        found += [f"the exchange itself: {problem}" for problem in self.problems]
        return found or [
            f"checked: {len(self.accounts)} balances, {self.orders} orders and {self.fills} fills "
            "of the ledger equal the simulated exchange's own, to the last unit; none was doubled"
        ]


class _Auditor(WSListener):
    """Asks for the audit and keeps the answer."""

    def __init__(self, answer: "asyncio.Future[bytes]") -> None:
        self._answer = answer

    def on_ws_connected(self, transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, b'{"op":"audit"}')

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT and not self._answer.done():
            payload = frame.get_payload_as_bytes()
            if b'"audit"' in payload[:40]:
                self._answer.set_result(payload)


async def _audit(url: str) -> dict[str, Any]:
    """The audit; asked for again where the exchange's faults strike the question. Raises as below."""
    for _ in range(AUDIT_TRIES):
        try:
            audit = await _asked(url)
        except TimeoutError:
            continue
        if "orders" in audit:
            return audit
    raise TimeoutError(f"{url}: no audit, asked for {AUDIT_TRIES} times")


async def _asked(url: str) -> dict[str, Any]:
    answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    transport, _ = await ws_connect(lambda: _Auditor(answer), url, max_frame_size=1 << 28)
    try:
        payload = await asyncio.wait_for(answer, AUDIT_TIMEOUT_S)
    finally:
        transport.disconnect()
    audit: dict[str, Any] = orjson.loads(payload)
    return audit


def compare_balances(
    venue: str, theirs: Mapping[str, int], ours: Mapping[tuple[str, str], int]
) -> list[Account]:
    """A venue's own balances by asset against ours by (venue, asset), in units; all that either has."""
    assets = theirs.keys() | {asset for name, asset in ours if name == venue}
    return [
        Account(venue, asset, ours.get((venue, asset), 0), theirs.get(asset, 0))
        for asset in sorted(assets)
    ]


def compare_accounts(config: Config, exchange: str, ledger: Ledger) -> Comparison:
    """Ask each simulated venue for its own books and compare. Raises OSError, TimeoutError."""
    accounts: list[Account] = []
    problems: list[str] = []
    orders = duplicates = unresolved = fills = 0
    for venue in config.venues:
        if not on_own_exchange(config, venue):
            continue
        audit = asyncio.run(_audit(f"{exchange}/{venue.name}"))
        orders += len(audit["orders"])
        # Its own protocol counts what it refuses; elsewhere a doubled order shows as one more.
        names = [order["client_id"] for order in audit["orders"] if order["client_id"]]
        duplicates += audit["duplicates"] + len(names) - len(set(names))
        unresolved += sum(o["state"] in ("acknowledged", "partly_filled") for o in audit["orders"])
        fills += audit["fills"]
        problems += [f"{venue.name}: {problem}" for problem in audit["problems"]]
        theirs = {
            asset: units_of(config, asset, total) for asset, total in audit["balances"].items()
        }
        accounts += compare_balances(venue.name, theirs, ledger.balances)
    return Comparison(
        tuple(accounts),
        orders,
        duplicates,
        unresolved,
        fills,
        ledger.trade_count,
        tuple(problems),
    )


def ledger_of(config: Config, topology: Topology, snapshots: dict[str, bytes]) -> Ledger:
    """The Ledger as its stopped actor left it."""
    number = topology.of_kind("ledger")[0]
    host = msgspec.msgpack.decode(snapshots[topology.actor(number)], type=HostState)
    ledger = Ledger(number, instruments_of(config), config.ledger)
    ledger.restore(host.components[topology.name(number)])
    return ledger
