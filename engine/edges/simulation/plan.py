"""What a seed decides before anything happens: the configuration, the weather, and what goes wrong when.

A `Scenario` is the whole input of a simulated world: the same one gives the same run, message for
message. Its injections can be taken away one by one, which is how a failing one is made short.
"""

from collections.abc import Callable
from enum import StrEnum
from random import Random
from typing import Any

import msgspec

from engine.config import Config
from engine.edges.simulation.network import MS, Weather
from engine.fault_config import FaultKind

SECOND_NS = 1_000_000_000
BEGIN_NS = 1_700_000_000 * SECOND_NS
VENUES = ("alpha", "beta")
ARBITRAGE, MONKEY = "arb", "monkey"


class Kind(StrEnum):
    """What is done to the engine from outside; the exchange's own faults are `FaultKind`."""

    CRASH = "crash"  # kill -9 of one actor, at a point
    FREEZE = "freeze"  # SIGSTOP, and SIGCONT later
    FROZEN_DEAD = "frozen_dead"  # frozen, then killed by the supervisor
    PAUSE = "pause"  # the whole machine stands still
    RESUME = "resume"  # all die at once, and the run is resumed
    DISK_FULL = "disk_full"
    DISCONNECT = "disconnect"  # of a venue, by the network
    KILL_SWITCH = "kill_switch"
    LEVEL = "level"  # the operator moves the RiskGuard
    RECONCILE = "reconcile"
    CANCEL_ALL = "cancel_all"
    BREAKER = "breaker"
    LIMIT = "limit"
    FOREIGN_ORDER = "foreign_order"  # somebody trades on the account by hand
    CANCELLED_THERE = "cancelled_there"  # somebody cancels our orders by hand
    DEPOSIT = "deposit"  # money that the venue's protocol tells nothing of


class Point(StrEnum):
    """Where in an actor's step it dies."""

    BETWEEN = "between"  # two messages
    TORN_INPUT = "torn_input"  # while its input is recorded
    RECORDED = "recorded"  # nothing decided yet
    DECIDED = "decided"  # nothing in the journal yet
    TORN_JOURNAL = "torn_journal"  # while its outputs are appended
    APPENDED = "appended"  # nothing has left
    LEAVING = "leaving"  # a part has left
    REBORN = "reborn"  # at once, and its successor again while it begins its first segment


class Injection(msgspec.Struct, frozen=True):
    """One thing that goes wrong: what, when, to whom (an actor's or a venue's name), for how long."""

    at_ns: int
    kind: Kind
    subject: str = ""
    for_ns: int = 0
    point: Point = Point.BETWEEN
    count: int = 0  # LEAVING: so many outputs leave first; LEVEL: which


class Scenario(msgspec.Struct, frozen=True):
    """Everything that decides a run."""

    seed: int
    seconds: float
    config: Config
    weather: Weather
    injections: tuple[Injection, ...]


def make_scenario(seed: int, seconds: float, native: bool = False) -> Scenario:
    """The scenario of a seed; `native` has venues speak the protocols of real exchanges."""
    chance = Random(f"scenario/{seed}")
    config = make_config(seed, chance, chance.choice(NATIVE) if native else OWN)
    weather = Weather(
        usual_ns=int(chance.choice((0.1, 0.3, 2.0)) * MS),
        lag_share=chance.choice((0.0, 0.01, 0.05)),
        lag_ns=chance.choice((50, 400)) * MS,
        twice_share=chance.choice((0.0, 0.01)),
    )
    return Scenario(seed, seconds, config, weather, make_injections(config, seconds, chance))


# --- the configuration ----------------------------------------------------------------------------

GRIDS = {
    ("alpha", "BTC/USDT"): ("0.01", "0.0001"),
    ("alpha", "ETH/USDT"): ("0.01", "0.001"),
    ("beta", "BTC/USDT"): ("0.05", "0.0005"),
    ("beta", "ETH/USDT"): ("0.01", "0.001"),
}
OWN = ("simulated", "simulated")
NATIVE = (("binance", "kraken"), ("simulated", "binance"), ("kraken", "simulated"))
NATIVES: dict[str, Callable[[str], str]] = {
    "simulated": lambda symbol: symbol,
    "binance": lambda symbol: symbol.replace("/", ""),
    "kraken": lambda symbol: symbol,
}
PRICES = {"BTC/USDT": "60000", "ETH/USDT": "3000"}
COMPONENTS = (
    "venue-alpha",
    "venue-beta",
    "scanner",
    "risk",
    "ledger",
    "execution",
    "bot-arb",
    "bot-monkey",
)


def make_config(seed: int, chance: Random, protocols: tuple[str, str]) -> Config:
    """Two venues that trade the same, two bots, limits that are soon reached, faults, a placement."""
    table: dict[str, Any] = {
        "name": f"simulated-{seed}",
        "seed": seed,
        "venues": [
            {
                "name": name,
                "protocol": protocol,
                "order_timeout_ms": chance.choice((300, 1000)),
                "order_deadline_ms": chance.choice((200, 500)),
                "trading": {
                    "reconcile_every_s": chance.choice((3, 10)),
                    "breaker_failures": chance.choice((2, 5)),
                    "breaker_timeout_ms": chance.choice((200, 1000)),
                    "foreign_orders": chance.choice(("leave", "alarm", "adopt")),
                },
            }
            for name, protocol in zip(VENUES, protocols, strict=True)
        ],
        "instruments": [
            {
                "venue": venue,
                "symbol": symbol,
                "native": NATIVES[dict(zip(VENUES, protocols, strict=True))[venue]](symbol),
                "tick_size": tick,
                "lot_size": lot,
                "notional_min": "10",
                "maker_fee": "0.0001",
                "taker_fee": "0.0002",
            }
            for (venue, symbol), (tick, lot) in GRIDS.items()
        ],
        "scanner": {
            "profit_min_bps": 0.5,
            "quantity_max": {"BTC": "0.02", "ETH": "0.4"},
            "stale_ms": 5000,
        },
        "risk": {
            "order_notional_max": "4000",
            "position_max": {"BTC": "0.15", "ETH": "2.5"},
            "price_distance_max_bps": 200,
            "stale_ms": 10_000,
            "orders_open_max": chance.choice((8, 30)),
            "levels": make_levels(chance),
            "cancel_again_s": 1,
        },
        "bots": [
            {"name": ARBITRAGE, "symbols": list(PRICES), "groups_max": 2},
            {"name": MONKEY, "order_ttl_ms": chance.choice((150, 500))},
        ],
        "engine": {
            "heartbeat_ms": 2000,
            "segment_bytes": chance.choice((1 << 17, 1 << 18)),
            "segments_kept": 3,
        },
        "exchange": {
            "events_per_second": 1.5,
            "limits": False,  # with Kraken's, a question about an order may wait for a minute
            "noise_bps": 4.0,
            "prices": PRICES,
            "balances": {name: {"BTC": "2", "ETH": "40", "USDT": "150000"} for name in VENUES},
            "latency": make_distance(chance),
            "faults": {"seed": seed + 1, "plan": make_faults(chance, protocols)},
        },
        "placement": make_placement(chance),
    }
    return msgspec.convert(table, Config)


def make_levels(chance: Random) -> dict[str, Any]:
    """What raises the level: as usual, or losses and waits so small that all of it happens."""
    table: dict[str, Any] = {"calm_s": chance.choice((2, 5))}
    if chance.random() < 0.3:
        table["daily_loss"] = {"caution": "0.0001", "restricted": "0.0003", "halt": "0.0006"}
    if chance.random() < 0.2:
        table["drawdown"] = {"caution": "0.0002", "restricted": "0.0005", "shutdown": "0.001"}
    if chance.random() < 0.2:
        table["books_lost_after_ms"] = 500
    return table


def make_distance(chance: Random) -> dict[str, Any]:
    """How far away the exchanges are."""
    way = {"median_ms": chance.choice((1.0, 20.0)), "sigma": 0.4, "cap_ms": 2000.0}
    if chance.random() < 0.3:
        way |= {"tail_share": 0.02, "tail_ms": 100.0}
    return {"model": "jittered", "there": way, "back": way, "feed": way}


def make_placement(chance: Random) -> dict[str, list[str]]:
    """Who shares an actor: all in one, each in its own, or anything between."""
    places = chance.choice((1, 3, 5, len(COMPONENTS)))
    placement: dict[str, list[str]] = {}
    for number, name in enumerate(COMPONENTS):
        place = number if places == len(COMPONENTS) else chance.randrange(places)
        placement.setdefault(f"actor-{place}", []).append(name)
    return placement


ORDERS = '"client_id"'
FAULTS: dict[FaultKind, dict[str, Any]] = {
    FaultKind.TIMEOUT_DONE: {"endpoint": ORDERS, "chance": 0.1},
    FaultKind.TIMEOUT_NOT_DONE: {"endpoint": ORDERS, "chance": 0.1},
    FaultKind.ERROR_DONE: {"endpoint": ORDERS, "chance": 0.1},
    FaultKind.ERROR_NOT_DONE: {"endpoint": ORDERS, "chance": 0.1},
    FaultKind.OVERLOADED: {"endpoint": ORDERS, "chance": 0.1},
    FaultKind.SLOW: {"chance": 0.1, "delay_ms": 700},
    FaultKind.RATE_LIMIT: {"chance": 0.02, "retry_after_s": 1},
    FaultKind.REJECTED: {"endpoint": ORDERS, "chance": 0.1},
    FaultKind.DROP_FRAME: {"chance": 0.02},
    FaultKind.REPEAT_FRAME: {"chance": 0.05},
    FaultKind.GAP: {"chance": 0.02},
    FaultKind.FILL_BEFORE_CANCEL: {"chance": 0.5},
    FaultKind.PARTIAL_FILL: {"chance": 0.5},
    FaultKind.CLOCK_SKEW: {"from_s": 2, "for_s": 2, "every_s": 10},
    FaultKind.MAINTENANCE: {"from_s": 5, "for_s": 1, "every_s": 20},
    FaultKind.DISCONNECT: {"from_s": 3, "every_s": 15},
}


def make_faults(chance: Random, protocols: tuple[str, str]) -> list[dict[str, Any]]:
    """What the exchanges do wrong: some kinds of all."""
    kinds = chance.sample(sorted(FAULTS), chance.randint(2, 8))
    if "kraken" in protocols:  # it locks one out for a quarter of an hour
        kinds = [kind for kind in kinds if kind is not FaultKind.RATE_LIMIT]
    plan = []
    for kind in kinds:
        fault = {"kind": kind.value, **FAULTS[kind]}
        if "endpoint" in fault and protocols != OWN:
            fault |= {"endpoint": "", "chance": 0.04}  # whatever is asked
        if kind is FaultKind.CLOCK_SKEW:
            fault["skew_ms"] = chance.choice((-3000, -300, 300, 3000))
        if chance.random() < 0.5:
            fault["venue"] = chance.choice(VENUES)
        plan.append(fault)
    return plan


# --- what is done to the engine -------------------------------------------------------------------

OPERATOR = (Kind.LEVEL, Kind.RECONCILE, Kind.CANCEL_ALL, Kind.BREAKER, Kind.LIMIT)
WEIGHTS: dict[Kind, float] = {
    Kind.CRASH: 8,
    Kind.FREEZE: 3,
    Kind.FROZEN_DEAD: 2,
    Kind.PAUSE: 1,
    Kind.RESUME: 0.7,
    Kind.DISK_FULL: 1,
    Kind.DISCONNECT: 3,
    Kind.KILL_SWITCH: 2,
    Kind.FOREIGN_ORDER: 1,
    Kind.CANCELLED_THERE: 2,
    Kind.DEPOSIT: 0.3,
    **dict.fromkeys(OPERATOR, 1),
}
OF_VENUES = (
    Kind.DISCONNECT,
    Kind.RECONCILE,
    Kind.CANCEL_ALL,
    Kind.BREAKER,
    Kind.FOREIGN_ORDER,
    Kind.CANCELLED_THERE,
    Kind.DEPOSIT,
)
OF_ACTORS = (Kind.CRASH, Kind.FREEZE, Kind.FROZEN_DEAD, Kind.DISK_FULL)
EVERY_S = 6.0


def make_injections(config: Config, seconds: float, chance: Random) -> tuple[Injection, ...]:
    """What goes wrong in a run, in order of time: one each six seconds or so."""
    kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
    actors = sorted(config.placement)
    found = []
    for _ in range(max(1, int(seconds / EVERY_S * chance.uniform(0.5, 1.5)))):
        kind = chance.choices(kinds, weights)[0]
        subject = ""
        if kind in OF_VENUES:
            subject = chance.choice(VENUES)
        elif kind in OF_ACTORS:
            subject = chance.choice(actors)
        found.append(
            Injection(
                BEGIN_NS + int(chance.uniform(0.5, seconds) * SECOND_NS),
                kind,
                subject,
                int(chance.choice((0.05, 0.4, 2.0, 4.0)) * chance.uniform(0.5, 1.5) * SECOND_NS),
                chance.choice(list(Point)),
                chance.randrange(6),
            )
        )
    return tuple(sorted(found, key=lambda each: each.at_ns))
