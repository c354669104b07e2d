"""The storm's rig: a cluster that trades over three gateways while everything that can go wrong does.

The exchange server has every kind of fault armed; a seed decides which process is killed or frozen
when. What the engine wrote down and what the server did are counted and compared at the end.
"""

import json
import os
import signal
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from actors.launch import Launch
from engine.config import parse
from engine.edges.directory import open_page
from engine.edges.journal import read_journal, segments
from engine.edges.runs import RECORDER, alive
from engine.fault_config import FaultKind
from engine.messages import AnyMessage, Fill, OrderEvent, OrderState, decode
from engine.orders.lifecycle import FINAL
from ext.page import Page

VENUES = ("alpha", "beta", "gamma")
FROZEN_S = (0.05, 0.3, 2.0)
"""How long a frozen actor stays so, if its supervisor lets it: the last one is too long."""

UP_S = 180.0
OPEN_S = 4.0
"""How long a breaker may be open before the operator closes it."""

CONFIG = """
name = "storm"
mode = "simulated"
seed = {seed}
state_dir = "{folder}"

[[venues]]
name = "alpha"
order_timeout_ms = 500
[venues.trading]
reconcile_every_s = 5

[[venues]]
name = "beta"
protocol = "binance"
order_timeout_ms = 1500
order_deadline_ms = 1000
[venues.trading]
gateway = "ccxt"
reconcile_every_s = 10

[[venues]]
name = "gamma"
protocol = "kraken"
order_timeout_ms = 1500
order_deadline_ms = 1000
[venues.trading]
gateway = "native"
tier = "pro"
reconcile_every_s = 10

{instruments}

[risk]
order_notional_max = "5000"
position_max = {{ BTC = "2", ETH = "30" }}
price_distance_max_bps = 200
stale_ms = 5000
orders_open_max = 200

[risk.levels]
daily_loss = {{}}
drawdown = {{}}
books_lost = {{}}
calls_failed = {{}}
stale_mark_ms = {{}}
latency_ms = {{}}
clock_offset_ms = {{}}
drift = "caution"

[[bots]]
name = "arb"
symbols = ["BTC/USDT", "ETH/USDT"]
groups_max = 2

[[bots]]
name = "storm-one"
kind = "tests.storm_bot:StormBot"
order_ttl_ms = 1000

[[bots]]
name = "storm-two"
kind = "tests.storm_bot:StormBot"
order_ttl_ms = 1000

[api]
port = 0

[placement]
bots = ["bot-storm-one", "bot-storm-two", "bot-arb"]
deciders = ["risk", "execution"]

[exchange]
events_per_second = 40
prices = {{ "BTC/USDT" = "60000", "ETH/USDT" = "3000" }}
limits = false

[exchange.balances]
alpha = {{ BTC = "20", ETH = "300", USDT = "1000000" }}
beta = {{ BTC = "20", ETH = "300", USDT = "1000000" }}
gamma = {{ BTC = "20", ETH = "300", USDT = "1000000" }}

[exchange.faults]
seed = {seed}
"""

INSTRUMENT = """
[[instruments]]
venue = "{venue}"
symbol = "{symbol}"
native = "{native}"
tick_size = "{tick}"
lot_size = "{lot}"
notional_min = "10"
maker_fee = "0.0001"
taker_fee = "0.0002"
"""

FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "timeout_done", "chance": 0.02},
    {"kind": "timeout_not_done", "chance": 0.02},
    {"kind": "error_done", "chance": 0.01},
    {"kind": "error_not_done", "chance": 0.01},
    {"kind": "overloaded", "chance": 0.005},
    {"kind": "slow", "chance": 0.01, "delay_ms": 700},
    {"kind": "rate_limit", "chance": 1.0, "count": 1, "for_s": 0.5, "every_s": 60.0},
    {"kind": "rejected", "chance": 0.01},
    {"kind": "drop_frame", "chance": 0.005},
    {"kind": "repeat_frame", "chance": 0.01},
    {"kind": "gap", "chance": 0.01},
    {"kind": "fill_before_cancel", "chance": 0.2},
    {"kind": "partial_fill", "chance": 0.1},
    {"kind": "clock_skew", "skew_ms": 150, "for_s": 2.0, "every_s": 20.0},
    {"kind": "maintenance", "for_s": 1.0, "every_s": 60.0},
    {"kind": "disconnect", "every_s": 30.0},
)
"""Every kind there is, as often as leaves room to trade between."""


def config_text(folder: Path, seed: int) -> str:
    """The storm's configuration: one venue by its own protocol, one through ccxt, one native."""
    grids = {"alpha": ("0.01", "0.00001"), "beta": ("0.01", "0.00001"), "gamma": ("0.1", "0.00001")}
    instruments = [
        INSTRUMENT.format(
            venue=venue,
            symbol=symbol,
            native=symbol.replace("/", "") if venue == "beta" else symbol,
            tick=tick,
            lot=lot if symbol == "BTC/USDT" else "0.0001",
        )
        for venue, (tick, lot) in grids.items()
        for symbol in ("BTC/USDT", "ETH/USDT")
    ]
    return CONFIG.format(seed=seed, folder=folder, instruments="".join(instruments))


class Blow(NamedTuple):
    """What was done to whom."""

    actor: str
    number: signal.Signals
    pid: int


class Storm:
    """A run under attack; `close` ends it."""

    def __init__(self, folder: Path, seed: int) -> None:
        text = config_text(folder, seed)
        self.config = parse(text, "storm")
        self.chance = Random(f"storm/{seed}")
        self.launch = Launch(self.config, text)
        self.actors = (*self.launch.topology.actors, RECORDER)
        self.blows: Counter[str] = Counter()
        self._open_since: dict[str, float] = {}
        self.launch.start()
        self.launch.wait_up(UP_S)

    def close(self) -> None:
        """End everything."""
        self.launch.close()

    # --- the exchange's operator ------------------------------------------------------------------

    def ask(self, venue: str, method: str, what: str, body: object = None) -> dict[str, Any]:
        """Ask the exchange server's operator routes of a venue."""
        assert self.launch.exchange is not None
        url = "http" + self.launch.exchange.url.removeprefix("ws") + f"/admin/{venue}/{what}"
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(
            urllib.request.Request(url, data, method=method), timeout=10
        ) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def arm(self) -> None:
        """Every kind of fault, at every venue."""
        for venue in VENUES:
            for fault in FAULTS:
                self.ask(venue, "POST", "faults", fault)

    def disarm(self) -> None:
        """All faults off."""
        for venue in VENUES:
            self.ask(venue, "DELETE", "faults")

    def struck(self) -> Counter[str]:
        """How often each kind of fault struck, over all venues."""
        total: Counter[str] = Counter(dict.fromkeys((kind.value for kind in FaultKind), 0))
        for venue in VENUES:
            total.update(self.ask(venue, "GET", "faults")["counts"])
        return total

    @property
    def struck_kinds(self) -> tuple[str, ...]:
        """Every kind of fault that is armed."""
        return tuple(fault["kind"] for fault in FAULTS)

    def trade_until(self, orders: int, fills: int) -> None:
        """Go on trading until there were so many of both, for forty minutes at most."""

        def enough() -> bool:
            audits = [self.ask(venue, "GET", "audit") for venue in VENUES]
            if sum(audit["order_count"] for audit in audits) < orders:
                return False
            return bool(sum(audit["fill_count"] for audit in audits) >= fills)

        deadline = time.monotonic() + 2400
        while time.monotonic() < deadline and not enough():
            self.attend()
            pause = time.monotonic() + 2
            self.watch_until(lambda pause=pause: time.monotonic() > pause, 3)  # type: ignore[misc]

    # --- the engine's operator --------------------------------------------------------------------

    def say(self, what: str, **body: object) -> None:
        """An operator's word, by the control API. Raises OSError while that is not there."""
        token = (self.launch.folder / "token").read_text()
        request = urllib.request.Request(
            f"{self.launch.address}/api/v1/{what}",
            json.dumps({**body, "who": "the test"}).encode(),
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=3) as answer:
            assert answer.status == 202

    def attend(self) -> None:
        """Close a breaker that has been open for some time: Kraken's lockout would be a quarter hour."""
        now = time.monotonic()
        try:
            with urllib.request.urlopen(f"{self.launch.address}/api/v1/venues", timeout=1) as told:
                venues = json.load(told)
            for venue in venues:
                name = venue["venue"]
                if venue["circuit"] != "OPEN":
                    self._open_since.pop(name, None)
                elif now - self._open_since.setdefault(name, now) > OPEN_S:
                    self.say("breakers", venue=name, open=False)
                    self.blows["breaker closed by the operator"] += 1
                    del self._open_since[name]
        except OSError:
            return  # the API was killed, too; the next look finds its successor

    # --- the engine's processes -------------------------------------------------------------------

    def watch_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Keep the launcher's watch until something holds; False when time is over."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.launch.watch()
            if condition():
                return True
            time.sleep(0.01)  # between two looks at the condition
        return False

    def page(self, actor: str) -> Page:
        """An actor's current page."""
        return open_page(self.launch.run, actor, self.launch.directory.epoch(actor))[0]

    def serves(self, actor: str, epoch: int = 0) -> bool:
        """Whether an actor (of an epoch later than one) has processed a message and beats."""
        directory = self.launch.directory
        if directory.epoch(actor) <= epoch:
            return False
        page = self.page(actor)
        silent_ns = time.monotonic_ns() - page.heartbeat_ns
        return bool(page.first_step_ns) and silent_ns < 700_000_000 and alive(page.pid)

    def all_serve(self) -> bool:
        """Whether everybody is at work, and a standby waits."""
        waits = self.launch.directory.standby_pid != 0
        return waits and all(self.serves(actor) for actor in self.actors)

    def round(self) -> Blow:
        """Kill or freeze somebody while it trades; returns when everybody serves again."""
        directory, chance = self.launch.directory, self.chance
        actor = chance.choice((*self.actors, *self.launch.topology.actors, "supervisor"))
        number = chance.choice((signal.SIGKILL, signal.SIGSTOP))
        pid = directory.beaten(1)[0] if actor == "supervisor" else directory.pid(actor)
        blow = Blow(actor, number, pid)
        os.kill(pid, number)
        if number == signal.SIGSTOP:
            until = time.monotonic() + chance.choice(FROZEN_S)
            self.watch_until(lambda: time.monotonic() > until, 5)
            try:
                os.kill(pid, signal.SIGCONT)  # thawed, unless it was replaced and is dead
            except ProcessLookupError:
                self.blows["frozen until its end"] += 1
        assert self.watch_until(lambda: self._replaced(blow), 30), f"{blow}: nobody took its place"
        assert self.watch_until(self.all_serve, 30), f"{blow}: not everybody came back"
        self.blows[f"{actor} {number.name}"] += 1
        return blow

    def _replaced(self, blow: Blow) -> bool:
        """Whether a killed one has a successor; one that thawed in time may live on."""
        directory = self.launch.directory
        is_supervisor = blow.actor == "supervisor"
        pid = directory.beaten(1)[0] if is_supervisor else directory.pid(blow.actor)
        if blow.number == signal.SIGSTOP and pid == blow.pid:
            return alive(pid)
        return pid not in (0, blow.pid)

    # --- what was written down --------------------------------------------------------------------

    def journalled(self) -> Iterator[AnyMessage]:
        """The orders' steps and fills in the venues' journals, in order for each venue."""
        for venue in VENUES:
            for segment in segments(self.launch.folder / f"venue-{venue}", "journal"):
                for record in read_journal(segment):
                    message = decode(record.data)
                    if isinstance(message, OrderEvent | Fill):
                        yield message


class Told(NamedTuple):
    """What the venues' journals say: each order's end, what it filled, and doubts that were resolved."""

    ends: dict[str, OrderEvent]
    filled: Counter[str]
    fills: int
    unknown: int
    resolved: int


def told(messages: Iterator[AnyMessage]) -> Told:
    """Add up the journals; a fill that is told twice counts once."""
    ends: dict[str, OrderEvent] = {}
    filled: Counter[str] = Counter()
    trades: set[tuple[object, ...]] = set()
    doubted: set[str] = set()
    unknown = resolved = 0
    for message in messages:
        if isinstance(message, Fill):
            key = (message.venue, message.instrument, message.side, message.trade_id)
            if key not in trades:
                trades.add(key)
                filled[message.client_order_id] += message.lots
        elif isinstance(message, OrderEvent):
            name = message.client_order_id
            ends[name] = message
            if message.state is OrderState.UNKNOWN:
                unknown += name not in doubted
                doubted.add(name)
            elif name in doubted:
                doubted.discard(name)
                resolved += 1
    return Told(ends, filled, len(trades), unknown, resolved)


def unfinished(said: Told) -> list[OrderEvent]:
    """Orders that never came to an end."""
    return [event for event in said.ends.values() if event.state not in FINAL]
