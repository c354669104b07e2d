"""From a configuration to components: which there are, their numbers, and where each lives.

The one file that knows every component's class. `topology_of` gives the numbers, `build` makes the
components of one actor, the same in a backtest, in one process and in a cluster.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module

from engine.bots.arbitrage import ArbitrageBot
from engine.bots.base import Strategy
from engine.component import Component
from engine.config import ASSET_DECIMALS, BotConfig, Config, ConfigError
from engine.execution import Execution
from engine.instruments import Instrument, Instruments
from engine.ledger import Ledger
from engine.ledger_config import currency_of
from engine.monitor import Monitor
from engine.orders.identity import deployment_prefix
from engine.risk import RiskGuard
from engine.risk_limits import Surroundings
from engine.routes import Topology
from engine.scanner import Scanner
from engine.venue import Venue
from engine.venues.binance import BinanceFuturesHandler, BinanceHandler
from engine.venues.binance_trading import BinanceTrading
from engine.venues.bitfinex import BitfinexHandler
from engine.venues.bitstamp import BitstampHandler
from engine.venues.bybit import BybitHandler, BybitLinearHandler
from engine.venues.ccxt import CcxtHandler
from engine.venues.ccxt_exchanges import ccxt_id
from engine.venues.ccxt_trading import CcxtTrading
from engine.venues.coinbase import CoinbaseHandler
from engine.venues.coinbase_exchange import CoinbaseExchangeHandler
from engine.venues.gate import GateHandler
from engine.venues.handler import Handler
from engine.venues.kraken import KrakenHandler
from engine.venues.kraken_trading import KrakenTrading
from engine.venues.kraken_v1 import KrakenV1Handler
from engine.venues.kucoin import KucoinHandler
from engine.venues.okx import OkxHandler
from engine.venues.simulated import SimulatedHandler
from engine.venues.simulated_trading import SimulatedTrading
from engine.venues.trading import Trading

MS = 1_000_000
VIEW_ACTOR = "api"
SOLO_ACTOR = "solo"

HANDLERS: dict[str, type[Handler]] = {
    "simulated": SimulatedHandler,
    "binance": BinanceHandler,
    "binance_futures": BinanceFuturesHandler,
    "bitfinex": BitfinexHandler,
    "bitstamp": BitstampHandler,
    "bybit": BybitHandler,
    "bybit_linear": BybitLinearHandler,
    "ccxt": CcxtHandler,
    "coinbase": CoinbaseHandler,
    "coinbase_exchange": CoinbaseExchangeHandler,
    "gate": GateHandler,
    "kraken": KrakenHandler,
    "kraken_v1": KrakenV1Handler,
    "kucoin": KucoinHandler,
    "okx": OkxHandler,
}

BOTS: dict[str, type[Strategy]] = {"arbitrage": ArbitrageBot}


def strategy_class(kind: str, place: int) -> type[Strategy]:
    """The class of the bot at a place: one of `BOTS`, or the 'package.module:Class' that it names.

    Raises ConfigError where that cannot be imported or is no strategy.
    """
    if kind in BOTS:
        return BOTS[kind]
    where = f"bots[{place}].kind"
    module, _, name = kind.partition(":")
    try:
        found = getattr(import_module(module), name, None)
    except Exception as error:  # whatever a strategy's own file raises while it is imported
        raise ConfigError(f"{where}: {module} cannot be imported: {error!r}") from error
    if not (isinstance(found, type) and issubclass(found, Strategy)):
        why = "no such class" if found is None else "no subclass of engine.bots.base.Strategy"
        raise ConfigError(f"{where}: {name!r} is {why} in {module}")
    return found


def topology_of(config: Config) -> Topology:
    """Numbers and places of all components of a configuration."""
    names = [f"venue-{venue.name}" for venue in config.venues]
    kinds = ["venue"] * len(names)
    names += ["scanner", "risk", "ledger", "execution"]
    kinds += ["scanner", "risk", "ledger", "execution"]
    execution = len(names)
    names += [f"bot-{bot.name}" for bot in config.bots]
    kinds += ["bot"] * len(config.bots)
    classes = [strategy_class(bot.kind, i) for i, bot in enumerate(config.bots)]
    watchers = [execution + 1 + i for i, bot in enumerate(classes) if bot.watches_trades()]
    triggers = [execution] if any(bot.emulated_orders for bot in classes) else []
    names.append("view")
    kinds.append("view")
    place = {"view": VIEW_ACTOR}
    for actor, hosted in config.placement.items():
        place.update(dict.fromkeys(hosted, actor))
    # A child passes the RiskGuard first: beside it, it is one hop nearer to its venue.
    place.setdefault("execution", place.get("risk", "risk"))
    return Topology(names, kinds, [place.get(name, name) for name in names], watchers, triggers)


def build(
    config: Config, topology: Topology, instruments: Instruments, actor: str
) -> list[Component]:
    """The components of one actor, in the topology's order."""
    return [
        _component(config, topology, instruments, number) for number in topology.in_actor(actor)
    ]


def solo_topology(config: Config) -> Topology:
    """The same components and numbers, all in one actor."""
    spread = topology_of(config)
    actors = [SOLO_ACTOR] * len(spread.names)
    return Topology(spread.names, spread.kinds, actors, spread.watchers, spread.triggers)


def build_all(config: Config, topology: Topology, instruments: Instruments) -> list[Component]:
    """All components, in the topology's order."""
    numbers = range(1, len(topology.names) + 1)
    return [_component(config, topology, instruments, number) for number in numbers]


def _component(
    config: Config, topology: Topology, instruments: Instruments, number: int
) -> Component:
    kind = topology.kinds[number - 1]
    place = topology.of_kind(kind).index(number)
    if kind == "venue":
        return make_venue(config, place, instruments, number)
    if kind == "scanner":
        return Scanner(number, instruments, config.scanner)
    if kind == "risk":
        return RiskGuard(
            number, instruments, config.risk, surroundings(config, topology, instruments)
        )
    if kind == "ledger":
        return Ledger(number, instruments, config.ledger)
    if kind == "execution":
        stale_ns = config.risk.stale_ms * MS
        return Execution(number, instruments, config.execution, config.name, stale_ns)
    if kind == "bot":
        bot: BotConfig = config.bots[place]
        return strategy_class(bot.kind, place)(number, instruments, bot, config.name)
    bots = dict(zip(topology.of_kind("bot"), (bot.name for bot in config.bots), strict=True))
    return Monitor(number, instruments, bots)


def surroundings(config: Config, topology: Topology, instruments: Instruments) -> Surroundings:
    """What the guard is told of the engine around it."""
    bots = dict(zip(topology.of_kind("bot"), (bot.name for bot in config.bots), strict=True))
    currency = currency_of(config.ledger, instruments)
    places = range(len(config.venues))
    traded = tuple(n for n in places if make_trading(config, n, instruments) is not None)
    return Surroundings(config.name, bots, traded, currency, config.ledger.pegs)


def make_venue(config: Config, place: int, instruments: Instruments, number: int) -> Venue:
    """The component of the venue at a place of the configuration, as sender `number`."""
    trading = make_trading(config, place, instruments)
    return _venue(config, place, instruments, number, trading)


def make_watcher(config: Config, place: int, instruments: Instruments) -> Venue:
    """The same, of which only books and trades are wanted: nobody trades through it."""
    return _venue(config, place, instruments, 1, None)


def _venue(
    config: Config, place: int, instruments: Instruments, number: int, trading: Trading | None
) -> Venue:
    venue = config.venues[place]
    protocol = HANDLERS[venue.protocol]

    def make_handler(part: Sequence[Instrument]) -> Handler:
        natives = {i.id: config.instruments[i.id].native or i.symbol for i in part}
        return protocol(part, natives)

    sharers = sum(other.protocol == venue.protocol for other in config.venues)
    prefix = deployment_prefix(config.name)
    return Venue(number, place, venue, instruments, make_handler, trading, prefix, sharers)


def make_trading(config: Config, place: int, instruments: Instruments) -> Trading | None:
    """The private protocol of a venue; None for one that is only watched."""
    venue = config.venues[place]
    part = instruments.of_venue(place)
    natives = {i.id: config.instruments[i.id].native or i.symbol for i in part}
    decimals = {**ASSET_DECIMALS, **config.assets}
    # A real exchange is traded on by a mode that says so, a recording by its own protocol only.
    traded = venue.kind == "simulated" or (venue.kind == "watch" and config.mode != "simulated")
    limited = config.exchange.limits or venue.kind != "simulated"
    match venue.trading.gateway, venue.protocol:
        case "native", "simulated":
            return SimulatedTrading(part, natives)
        case "native", "binance" if traded:
            return BinanceTrading(part, natives, decimals, limited)
        case "native", "kraken" if traded:
            return KrakenTrading(part, natives, decimals, venue.trading.tier, limited)
        case "native", _ if traded and config.mode == "paper":
            # Whatever brings the market data, our own exchange speaks Binance's protocol too.
            names = {i.id: i.base + i.quote for i in part}
            return BinanceTrading(part, names, decimals, config.exchange.limits)
        case "ccxt", _ if traded:
            return _through_ccxt(config, place, part, decimals, limited)
    return None


def _through_ccxt(
    config: Config,
    place: int,
    part: Sequence[Instrument],
    decimals: Mapping[str, int],
    limited: bool,
) -> Trading:
    """Trading by ccxt's client, whatever brings the market data; symbols are ccxt's unified ones.

    Raises ConfigError for an exchange that cannot be traded on so.
    """
    venue = config.venues[place]
    named = venue.protocol == "ccxt"
    symbols = {i.id: (named and config.instruments[i.id].native) or i.symbol for i in part}
    try:
        exchange = ccxt_id(venue.protocol, venue.exchange)
        return CcxtTrading(exchange, part, symbols, decimals, venue.trading.tier, limited)
    except ValueError as error:
        raise ConfigError(f"venues[{place}].trading.gateway: {error}") from error
