"""The simulated exchange as configured: its venues, their wires and faults, and the process of them all.

It keeps its state while clients come and go, and ends when its parent does, so that a killed engine
leaves nothing behind.
"""

import asyncio
import ctypes
import gc
import os
import signal
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from engine.config import Config, ConfigError, instruments_of, units_of
from engine.edges.distance import make_latency
from engine.edges.exchange_sockets import ADMIN, OWN, ExchangeServer
from engine.edges.following import Following
from engine.edges.playback import make_played
from engine.exchange.accounts import credentials, fee_tier
from engine.exchange.admin import administer, fault_problem
from engine.exchange.exchange import Exchange
from engine.exchange.fair_price import FairPrice
from engine.exchange.faults import Faults
from engine.exchange.flow import make_flow, preset_of
from engine.exchange.front import Front
from engine.exchange.racing import RacingExchange
from engine.exchange.wires.binance import BinanceWire
from engine.exchange.wires.binance_limits import BINANCE
from engine.exchange.wires.binance_limits import Limits as BinanceLimits
from engine.exchange.wires.kraken import KrakenWire
from engine.exchange.wires.kraken_limits import PRO, UNLIMITED
from engine.exchange.wires.simulated import SimulatedWire
from engine.exchange.wires.wire import Wire

PR_SET_PDEATHSIG = 1
EMPTY: Mapping[int, Following] = MappingProxyType({})
MANY = 10**12
BINANCE_UNLIMITED = BinanceLimits(
    weight=MANY,
    raw_requests=MANY,
    orders_10s=MANY,
    orders_day=MANY,
    patience=MANY,
    frames_per_second=MANY,
)
LAGS_NS = (20_000_000, 80_000_000, 150_000_000)


def make_exchange(
    config: Config, place: int, begin_ns: int, fair_prices: dict[str, FairPrice] | None = None
) -> RacingExchange:
    """One venue of the exchange as configured, from `begin_ns` on. Raises ConfigError.

    Venues of one process may share `fair_prices`: those of a symbol are everywhere the same.
    """
    fair_prices = {} if fair_prices is None else fair_prices
    instruments = instruments_of(config).of_venue(place)
    venue, settings = config.venues[place].name, config.exchange
    lag_ns = LAGS_NS[place % len(LAGS_NS)]
    flows = {}
    for instrument in instruments:
        price = float(settings.prices.get(instrument.symbol, 0))
        if price <= 0:
            raise ConfigError(
                f"exchange.prices.{instrument.symbol}: a price above zero is expected"
            )
        wander = preset_of(settings.preset).fair._replace(
            volatility_bps=settings.fair_volatility_bps
        )
        symbol = instrument.symbol
        if symbol not in fair_prices:
            fair_prices[symbol] = FairPrice(config.seed, symbol, price, wander, begin_ns)
        flows[instrument.id] = make_flow(
            settings.model,
            instrument,
            fair_prices[symbol],
            seed=config.seed,
            venue=venue,
            rate=settings.events_per_second,
            lag_ns=lag_ns,
            noise_bps=settings.noise_bps,
            begin_ns=begin_ns,
            preset=settings.preset,
        )
    exchange = RacingExchange(venue, instruments, flows, begin_ns)
    add_accounts(exchange, config, begin_ns)
    return exchange


def add_accounts(exchange: Exchange, config: Config, begin_ns: int) -> None:
    """The accounts of the configuration with what they start with."""
    for account in config.exchange.accounts:
        amounts = (account.balances or config.exchange.balances).get(exchange.venue, {})
        exchange.accounts.add(
            account.name,
            *credentials(config.name, account.name),
            {asset: units_of(config, asset, amount) for asset, amount in amounts.items()},
            fee_tier([(step.volume, step.maker, step.taker) for step in account.tier]),
            begin_ns,
        )


def make_wires(config: Config, exchange: Exchange) -> dict[str, Wire]:
    """Every protocol that a served venue speaks, all of them in front of one exchange."""
    limited = config.exchange.limits
    return {
        OWN: SimulatedWire(exchange),
        "binance": BinanceWire(exchange, BINANCE if limited else BINANCE_UNLIMITED),
        "kraken": KrakenWire(exchange, PRO if limited else UNLIMITED),
    }


def make_front(
    config: Config, exchange: RacingExchange, begin_ns: int, wires: Mapping[str, Wire]
) -> Front:
    """What clients of a venue meet: its wires, as far away and as faulty as configured.

    Raises ConfigError for a fault that names what is not there.
    """
    settings = config.exchange
    seed = settings.faults.seed or config.seed
    exchange.faults = faults = Faults(seed, exchange.venue, settings.faults.plan, begin_ns)
    latency = make_latency(config, exchange.venue, begin_ns)
    front = Front(exchange, wires, latency, faults)
    for place, fault in enumerate(settings.faults.plan):
        problem = fault_problem(front, fault) if fault.venue in ("", exchange.venue) else None
        if problem is not None:
            raise ConfigError(f"exchange.faults.plan[{place}].{problem[0]}: {problem[1]}")
    return front


def follow(config: Config, begin_ns: int) -> dict[int, Following]:
    """The public feeds in which orders are paper, by the place of their venue."""
    if config.mode != "paper":
        return {}
    watched = [place for place, venue in enumerate(config.venues) if venue.kind == "watch"]
    followed = {place: Following(config, place, begin_ns) for place in watched}
    for feed in followed.values():
        add_accounts(feed.exchange, config, begin_ns)
    return followed


def make_fronts(
    config: Config, begin_ns: int, followed: Mapping[int, Following] = EMPTY
) -> dict[str, Front]:
    """The fronts of all venues that the exchange serves, by name. Raises ConfigError.

    A replay at speed 0 has no time of its own, and is not served. `followed` is what `follow` gave.
    """
    fronts = {}
    exchange: RacingExchange
    for place, venue in enumerate(config.venues):
        if venue.name == ADMIN:
            raise ConfigError(f"venues[{place}].name: {ADMIN!r} is where the operator asks")
        if venue.kind == "simulated":
            exchange = make_exchange(config, place, begin_ns)
        elif venue.kind == "replay" and venue.speed:
            exchange = _played(config, place, begin_ns)
        elif place in followed:
            exchange = followed[place].exchange
        else:
            continue
        wires = make_wires(config, exchange)
        fronts[venue.name] = make_front(config, exchange, begin_ns, wires)
    if not fronts:
        raise ConfigError(
            "venues: none is 'simulated', a 'replay' at a speed, or (in mode 'paper') a 'watch': "
            "nothing to serve"
        )
    return fronts


def _played(config: Config, place: int, begin_ns: int) -> RacingExchange:
    """A recording as a venue, from its first frame on at the venue's speed. Raises ConfigError."""
    try:
        exchange = make_played(config, place, begin_ns, shifted=True)
    except (OSError, ValueError) as error:
        raise ConfigError(f"venues[{place}].path: {error}") from error
    add_accounts(exchange, config, begin_ns)
    return exchange


def die_with_parent(parent: int) -> None:
    """Ask the kernel for SIGTERM when the parent dies; at once if it already has."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(0)


def spare_the_old() -> None:
    """Orders and ledgers only grow old, never into cycles: a look at all of them stops every client.

    Young garbage is looked for as ever; a full round comes practically never.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(700, 10, 1 << 20)


async def serve(config: Config, ready: Callable[[ExchangeServer], None], port: int = 0) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is given the server once it listens."""
    begin_ns = time.time_ns()
    followed = follow(config, begin_ns)
    server = ExchangeServer(make_fronts(config, begin_ns, followed), administer)
    spare_the_old()
    await server.open(port)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    failures: list[Exception] = []

    def fail(error: Exception) -> None:
        failures.append(error)
        ended.set()

    for place, feed in followed.items():
        feed.open(partial(server.do, config.venues[place].name), server.now_ns, fail)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    ready(server)
    await ended.wait()
    for feed in followed.values():
        await feed.close()
    await server.close()
    if failures:
        raise failures[0]
