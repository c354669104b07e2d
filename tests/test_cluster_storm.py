"""The whole engine in the cluster over real sockets, under every fault of the exchange, killed and frozen.

One venue is traded on by the exchange's own protocol, one through the real ccxt client on Binance's,
one natively on Kraken's. Round after round a process, chosen by a seed, is killed or frozen while
it trades. At the end the engine's orders, fills and balances equal the server's, to the lot. The seed
is printed and `ORCHESTRATOR_SEED` sets it; what the processes' clocks make of it is not repeatable.
"""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="the cluster extra is not installed")
pytest.importorskip("iceoryx2", reason="the cluster extra is not installed")
pytest.importorskip("ccxt", reason="the venues extra is not installed")

from engine.edges.comparison import compare_accounts, ledger_of
from engine.exchange.orders import Status
from tests.storm import VENUES, Storm, told, unfinished

SHORT_ROUNDS = 6
ROUNDS, ORDERS, FILLS, UNKNOWNS = 200, 20_000, 5_000, 100
PAUSE_S = 1.5
"""Trading between two rounds of the full form."""
DRAIN_S = 120.0
TRAVEL_NS = 1_000_000_000
"""What was on its way to the exchange when the switch was turned arrives within this."""

pytestmark = [pytest.mark.cluster]


def seed() -> int:
    """Of this run; printed, so that it can be given again."""
    chosen = int(os.environ.get("ORCHESTRATOR_SEED", secrets.randbelow(10**6)))
    print(f"ORCHESTRATOR_SEED={chosen}")
    return chosen


def weather(storm: Storm, rounds: int, pause_s: float) -> None:
    """Rounds of blows with all faults armed."""
    storm.arm()
    for number in range(1, rounds + 1):
        until = time.monotonic() + pause_s
        storm.watch_until(lambda until=until: time.monotonic() > until, pause_s + 1)  # type: ignore[misc]
        storm.attend()
        blow = storm.round()
        if number % 20 == 0:
            struck = sum(storm.struck().values())
            print(f"round {number}: {blow.actor} {blow.number.name}; {struck} faults struck so far")


def settle(storm: Storm) -> dict[str, int]:
    """Faults off, drained, stopped and compared, to the lot; the counts of the run."""
    struck = storm.struck()
    storm.disarm()
    quiet = drained(storm)
    snapshots = storm.launch.stop_actors()
    assert storm.launch.exchange is not None
    ledger = ledger_of(storm.config, storm.launch.topology, snapshots)
    comparison = compare_accounts(storm.config, storm.launch.exchange.url, ledger)
    print("\n".join(comparison.lines()))
    said = told(storm.journalled())
    open_still = unfinished(said)
    assert quiet, f"something stayed open or unknown: {open_still[:5]}"
    assert comparison.holds, comparison.lines()
    assert open_still == []
    assert there_as_told(storm, said.filled) == []
    assert said.resolved == said.unknown, "an UNKNOWN was never resolved"
    counts = {
        "orders": comparison.orders,
        "fills": comparison.fills,
        "unknown": said.unknown,
        "kinds of faults": sum(count > 0 for count in struck.values()),
    }
    print(f"{counts}; faults {dict(struck)}; blows {dict(storm.blows)}")
    return counts


def drained(storm: Storm) -> bool:
    """Whether nothing is open, unknown or undelivered in the end; breakers are attended to meanwhile."""
    deadline = time.monotonic() + DRAIN_S
    while time.monotonic() < deadline:
        storm.attend()
        if storm.launch.drain(5.0):
            return True
    return False


def there_as_told(storm: Storm, filled: "Counter[str]") -> list[str]:
    """Orders of which the exchange filled another amount than the engine's journals say."""
    theirs: Counter[str] = Counter()
    for venue in VENUES:
        for order in storm.ask(venue, "GET", "audit/orders")["orders"]:
            theirs[order["request"]["client_id"]] += order["filled"]
    return [
        f"{name}: {filled[name]} lots told, {theirs[name]} at the exchange"
        for name in filled.keys() | theirs.keys()
        if filled[name] != theirs[name]
    ]


@pytest.mark.timeout(300)
def test_a_short_storm_of_six_rounds_loses_nothing(tmp_path: Path) -> None:
    """Six blows; every order, fill and balance is the server's own at the end."""
    storm = Storm(tmp_path, seed())
    try:
        weather(storm, SHORT_ROUNDS, 0.5)
        counts = settle(storm)
    finally:
        storm.close()
    assert counts["orders"] > 0
    assert counts["fills"] > 0


@pytest.mark.nightly
@pytest.mark.timeout(7200)
def test_two_hundred_rounds_of_storm_lose_nothing(tmp_path: Path) -> None:
    """The full form; it fails where it was too tame to prove anything."""
    storm = Storm(tmp_path, seed())
    began = time.monotonic()
    try:
        weather(storm, ROUNDS, PAUSE_S)
        storm.trade_until(ORDERS, FILLS)
        counts = settle(storm)
    finally:
        storm.close()
    print(f"{ROUNDS} rounds in {time.monotonic() - began:.0f} s")
    assert counts["orders"] >= ORDERS
    assert counts["fills"] >= FILLS
    assert counts["unknown"] >= UNKNOWNS
    assert counts["kinds of faults"] == len(storm.struck_kinds)


# --- the kill ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storm]:
    """A run without faults that trades."""
    storm = Storm(tmp_path_factory.mktemp("calm"), 7)
    yield storm
    storm.close()


def traded(storm: Storm, orders: int) -> bool:
    """Whether so many orders more reached each venue since it was asked first."""
    return all(storm.ask(venue, "GET", "audit")["order_count"] >= orders for venue in VENUES)


def turn(storm: Storm, position: str) -> "subprocess.Popen[str]":
    """The command line, as a user gives it."""
    folder = storm.launch.folder.parent
    return subprocess.Popen(
        [sys.executable, "-m", "engine", "kill-switch", position, "--state-dir", str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    )


def arrived_after(storm: Storm, at_ns: int) -> list[str]:
    """The orders that the server took from the engine later than this, by its own record."""
    return [
        f"{venue} {order['request']['client_id']} {(order['created_ns'] - at_ns) / 1e9:+.3f} s"
        for venue in VENUES
        for order in storm.ask(venue, "GET", "audit/orders")["orders"]
        if order["created_ns"] > at_ns + TRAVEL_NS
    ]


@pytest.mark.timeout(240)
def test_a_kill_is_finished_when_the_venues_say_so(calm: Storm) -> None:
    """Nothing that raises exposure arrives afterwards, what rested is cancelled, and that is said."""
    assert calm.watch_until(lambda: traded(calm, 5), 60)
    process = turn(calm, "on")
    assert calm.watch_until(lambda: process.poll() is not None, 60)
    assert process.stdout is not None
    words = process.stdout.read()
    print(words)
    assert process.returncode == 0, words
    assert "finished: every venue says that no order of ours rests" in words
    turned_ns, _ = calm.launch.kill_switch.changed()
    before = {venue: calm.ask(venue, "GET", "audit")["order_count"] for venue in VENUES}
    later = time.monotonic() + 3
    calm.watch_until(lambda: time.monotonic() > later, 5)
    assert arrived_after(calm, turned_ns) == []
    assert before == {venue: calm.ask(venue, "GET", "audit")["order_count"] for venue in VENUES}
    for venue in VENUES:
        orders = calm.ask(venue, "GET", "audit/orders")["orders"]
        assert [
            order for order in orders if order["status"] in (Status.OPEN, Status.PARTLY_FILLED)
        ] == []


@pytest.mark.timeout(240)
def test_the_switch_stops_a_frozen_engine(calm: Storm) -> None:
    """Every process stopped, the page is written all the same; that nobody confirms is said."""
    assert turn(calm, "off").wait(30) == 0
    calm.say("risk-level", level="NORMAL")
    sent = calm.ask("alpha", "GET", "audit")["order_count"]
    assert calm.watch_until(lambda: traded(calm, sent + 5), 60), "it trades again"
    directory = calm.launch.directory
    pids = [directory.beaten(1)[0], *(directory.pid(actor) for actor in calm.actors)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        process = turn(calm, "on")
        words, _ = process.communicate(timeout=60)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    print(words)
    assert process.returncode == 1
    assert "kill switch is ON" in words
    assert "nobody confirms" in words
    assert calm.watch_until(calm.all_serve, 60)
    turned_ns, _ = calm.launch.kill_switch.changed()
    assert arrived_after(calm, turned_ns) == []
