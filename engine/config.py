"""A configuration's text into strict structs. It opens no file and holds no secret.

Whatever is wrong raises `ConfigError` with the file, the key's path and what was expected, before
anything is started.
"""

import tomllib
from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.api_config import ApiConfig
from engine.engine_config import EngineConfig
from engine.execution_config import ExecutionConfig
from engine.fault_config import FaultsConfig
from engine.instruments import Instrument, InstrumentError, Instruments
from engine.latency_config import LatencyConfig, NearConfig
from engine.ledger_config import LedgerConfig, ledger_faults
from engine.risk_config import Known, RiskConfig, risk_faults
from engine.scanner_config import ScannerConfig
from engine.store_config import StoreConfig
from engine.trading_config import TradingConfig
from engine.units import Round, UnitError, parse_decimal

Name = Annotated[str, Meta(pattern="^[a-z][a-z0-9-]{0,23}$")]
Decimal = Annotated[str, Meta(pattern="^[0-9]+([.][0-9]+)?$", max_length=40)]
Milliseconds = Annotated[int, Meta(ge=1, le=600_000)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]

ASSET_DECIMALS = {"BTC": 8, "XBT": 8, "ETH": 8, "USDT": 8, "USDC": 8, "USD": 8, "EUR": 8}
SYMBOL = "^[A-Z0-9]{1,20}/[A-Z0-9]{1,20}(:[A-Z0-9]{1,20}(-[A-Z0-9-]{1,20})?)?$"
"""BASE/QUOTE; contracts say what they settle in, and when they expire."""
SECRET_WORDS = ("secret", "password", "api_key", "apikey", "private_key", "passphrase")


class ConfigError(ValueError):
    """A configuration that does not hold: 'FILE: key.path: what was expected and found'."""


Protocol = Literal[
    "simulated",
    "binance",
    "binance_futures",
    "bitfinex",
    "bitstamp",
    "bybit",
    "bybit_linear",
    "ccxt",
    "coinbase",
    "coinbase_exchange",
    "gate",
    "kraken",
    "kraken_v1",
    "kucoin",
    "okx",
]


SERVED = ("simulated", "binance", "kraken")  # what the simulated exchange speaks


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the configuration: unknown keys are errors."""


class VenueConfig(Strict, frozen=True):
    """A venue: simulated, a recording that is played, or a real exchange that is only watched.

    `stream_url` and `rest_url` replace the exchange's own public addresses. `redundancy` is how
    many connections feed each book. `exchange` is the ccxt id where the protocol is 'ccxt'.
    """

    name: Name
    kind: Literal["simulated", "replay", "watch"] = "simulated"
    protocol: Protocol = "simulated"
    exchange: Annotated[str, Meta(pattern="^[a-z0-9_]{0,40}$")] = ""
    path: str = ""
    stream_url: Annotated[str, Meta(pattern="^(wss?://.*)?$")] = ""
    rest_url: Annotated[str, Meta(pattern="^(https?://.*)?$")] = ""
    speed: Annotated[float, Meta(ge=0, le=1_000_000)] = 1.0
    depth_levels: Annotated[int, Meta(ge=1, le=100)] = 10
    order_timeout_ms: Milliseconds = 1000
    order_deadline_ms: Milliseconds = 500
    stale_ms: Milliseconds = 5000
    redundancy: Annotated[int, Meta(ge=1, le=2)] = 1
    trading: TradingConfig = TradingConfig()


class InstrumentConfig(Strict, frozen=True):
    """An instrument of a venue; `native` is its name there, `symbol` ours (BASE/QUOTE)."""

    venue: Name
    symbol: Annotated[str, Meta(pattern=SYMBOL)]
    tick_size: Decimal
    lot_size: Decimal
    native: str = ""
    notional_min: Decimal = "0"
    quantity_max: Decimal = "100000"
    maker_fee: Decimal = "0"
    taker_fee: Decimal = "0"


class BotConfig(Strict, frozen=True):
    """A bot: `kind` is one of ours, or a strategy class of yours as 'package.module:Class'."""

    name: Name
    kind: Annotated[str, Meta(pattern=r"^[\w.]+(:\w+)?$", max_length=200)] = "arbitrage"
    symbols: tuple[str, ...] = ()
    cooldown_ms: Annotated[int, Meta(ge=0, le=600_000)] = 100
    order_ttl_ms: Milliseconds = 250
    groups_max: Annotated[int, Meta(ge=1, le=100)] = 1

    def __post_init__(self) -> None:
        """Raises ValueError for a word that is no kind of ours and names no class."""
        if ":" not in self.kind and self.kind != "arbitrage":
            raise ValueError(f"kind: {self.kind!r} is neither 'arbitrage' nor 'module:Class'")


ENGINE_ACCOUNT = "main"
"""The account at each simulated venue that the engine trades with."""

Rate = Annotated[str, Meta(pattern="^-?0([.][0-9]{1,6})?$")]


class FeeStepConfig(Strict, frozen=True):
    """Fee rates from a volume on, in whole quote assets over 30 days; the first is from 0 on."""

    maker: Rate
    taker: Rate
    volume: Annotated[int, Meta(ge=0)] = 0


class AccountConfig(Strict, frozen=True):
    """An account at every simulated venue. Its key and secret follow from names: worth nothing.

    Without `balances` (by venue) of its own it starts with the exchange's; without `tier` it pays the
    instruments' fees.
    """

    name: Name
    tier: tuple[FeeStepConfig, ...] = ()
    balances: dict[str, dict[str, Decimal]] = {}


NEAR_MS = 2.0


class ExchangeConfig(Strict, frozen=True):
    """The simulated exchange: its flow, its latency, its accounts and what they start with.

    `limits` are the real exchanges' limits of requests; a load test does without. `latency_ms` is
    that of the latency model "near"; the others have fields of their own. `queue_model` says
    how orders that rest in a recording are filled; `queue_power` is the exponent of "power".
    """

    events_per_second: Annotated[float, Meta(gt=0, le=100_000)] = 40.0
    latency_ms: Annotated[float, Meta(ge=0, le=60_000)] = NEAR_MS
    latency: LatencyConfig = NearConfig()
    queue_model: Literal["pessimistic", "power", "log"] = "pessimistic"
    queue_power: Annotated[float, Meta(gt=0, le=100)] = 1.0
    fair_volatility_bps: Annotated[float, Meta(ge=0, le=1000)] = 2.0
    noise_bps: Annotated[float, Meta(ge=0, le=1000)] = 5.0
    model: Literal["hawkes", "santa-fe"] = "hawkes"
    preset: Literal["btc", "eth", "bitstamp"] = "btc"
    prices: dict[str, Decimal] = {}
    balances: dict[str, dict[str, Decimal]] = {}
    accounts: tuple[AccountConfig, ...] = (AccountConfig("main"),)
    faults: FaultsConfig = FaultsConfig()
    limits: bool = True


class Config(Strict, frozen=True):
    """A whole configuration. `placement` maps actors to the components that share them."""

    name: Name
    venues: tuple[VenueConfig, ...]
    instruments: tuple[InstrumentConfig, ...]
    mode: Literal["simulated", "paper", "sandbox", "live"] = "simulated"
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 1
    state_dir: str = "runs"
    assets: dict[str, Annotated[int, Meta(ge=0, le=24)]] = {}
    scanner: ScannerConfig = ScannerConfig()
    risk: RiskConfig = RiskConfig()
    execution: ExecutionConfig = ExecutionConfig()
    ledger: LedgerConfig = LedgerConfig()
    bots: tuple[BotConfig, ...] = ()
    api: ApiConfig = ApiConfig()
    engine: EngineConfig = EngineConfig()
    exchange: ExchangeConfig = ExchangeConfig()
    store: StoreConfig = StoreConfig()
    placement: dict[Name, tuple[str, ...]] = {}


def parse(text: str, source: str) -> Config:
    """The configuration in a TOML text; `source` names it in errors. Raises ConfigError."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: not TOML: {error}") from error
    _refuse_secrets(table, source, "")
    try:
        config = msgspec.convert(table, Config)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        where = path.removesuffix("`").lstrip(".") or "(top)"
        raise ConfigError(f"{source}: {where}: {message}") from error
    _check(config, source)
    return config


def _refuse_secrets(value: object, source: str, path: str) -> None:
    """Secrets come from the environment or a file, never from the configuration."""
    if isinstance(value, dict):
        for key, inner in value.items():
            at = f"{path}.{key}" if path else str(key)
            held = any(word in str(key).lower() for word in SECRET_WORDS)
            if held and not str(key).endswith("_env"):
                raise ConfigError(
                    f"{source}: {at}: a secret does not belong into a configuration; name the "
                    "environment variable that holds it (a key ending in _env)"
                )
            _refuse_secrets(inner, source, at)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _refuse_secrets(inner, source, f"{path}[{number}]")


def _check(config: Config, source: str) -> None:
    """What no single field can say: names that refer, sums that must hold."""

    def fail(path: str, why: str) -> None:
        raise ConfigError(f"{source}: {path}: {why}")

    venues = [venue.name for venue in config.venues]
    if not venues:
        fail("venues", "at least one venue is expected")
    for path, names in (("venues", venues), ("bots", [bot.name for bot in config.bots])):
        for place, name in enumerate(names):
            if name in names[:place]:
                fail(f"{path}[{place}].name", f"{name!r} is there twice")
    _check_mode(config, fail)
    for place, venue in enumerate(config.venues):
        if (venue.kind == "replay") != bool(venue.path):
            fail(f"venues[{place}].path", "a replay needs the path of a recording, others none")
        if venue.kind == "simulated" and venue.protocol not in SERVED:
            fail(
                f"venues[{place}].protocol", f"a simulated venue speaks one of {', '.join(SERVED)}"
            )
        if venue.kind == "watch" and venue.protocol == "simulated":
            fail(f"venues[{place}].protocol", "name the exchange's protocol, such as 'kraken'")
        if (venue.protocol == "ccxt") != bool(venue.exchange):
            why = "protocol 'ccxt' needs the exchange's ccxt id, such as 'gemini'; others take none"
            fail(f"venues[{place}].exchange", why)
        if venue.kind != "watch" and (venue.stream_url or venue.rest_url):
            fail(f"venues[{place}].stream_url", "only a venue of kind 'watch' has addresses")
    for place, instrument in enumerate(config.instruments):
        if instrument.venue not in venues:
            known = ", ".join(venues)
            fail(f"instruments[{place}].venue", f"one of {known} expected, not {instrument.venue}")
        venue = config.venues[venues.index(instrument.venue)]
        joined = venue.kind == "simulated" and venue.protocol == "binance"
        if joined and "/" in (instrument.native or instrument.symbol):
            fail(f"instruments[{place}].native", "Binance's own name is expected, as 'BTCUSDT'")
    _check_references(config, venues, fail)
    try:
        instruments = instruments_of(config)
    except (InstrumentError, KeyError) as error:
        fail("instruments", str(error.args[0]))
        raise
    for path, why in ledger_faults(config.ledger, instruments):
        fail(path, why)


def _check_mode(config: Config, fail: Callable[[str, str], None]) -> None:
    """Which venues a mode may have: nothing simulated beside what is real, nothing real by accident."""
    for place, venue in enumerate(config.venues):
        if config.mode != "simulated" and venue.kind == "simulated":
            why = f"mode {config.mode!r} trades on no simulated venue; kind 'watch' follows a real one"
            fail(f"venues[{place}].kind", why)
        if config.mode != "simulated" and venue.kind == "replay":
            why = f"mode {config.mode!r} does not trade on a recording: `backtest` does"
            fail(f"venues[{place}].kind", f"{why}, and `exchange` serves one")
        traded = venue.trading.gateway != "none"
        if config.mode == "sandbox" and traded and venue.trading.gateway != "ccxt":
            why = "a sandbox is reached through ccxt (gateway = 'ccxt'), or only watched ('none')"
            fail(f"venues[{place}].trading.gateway", why)


def _check_references(config: Config, venues: list[str], fail: Callable[[str, str], None]) -> None:
    symbols = {instrument.symbol for instrument in config.instruments}
    for place, bot in enumerate(config.bots):
        for symbol in bot.symbols:
            if symbol not in symbols:
                fail(f"bots[{place}].symbols", f"no instrument has the symbol {symbol!r}")
    for symbol in config.exchange.prices:
        if symbol not in symbols:
            fail(f"exchange.prices.{symbol}", "no instrument has this symbol")
    for venue in config.exchange.balances:
        if venue not in venues:
            fail(f"exchange.balances.{venue}", "no venue has this name")
    if config.exchange.latency_ms != NEAR_MS and config.exchange.latency != NearConfig():
        fail("exchange.latency_ms", "only the latency model 'near' has it")
    _check_accounts(config.exchange.accounts, venues, fail)
    for place, fault in enumerate(config.exchange.faults.plan):
        at = f"exchange.faults.plan[{place}]"
        if fault.venue and fault.venue not in venues:
            fail(f"{at}.venue", "no venue has this name")
        if fault.symbol and fault.symbol not in symbols:
            fail(f"{at}.symbol", f"no instrument has the symbol {fault.symbol!r}")
    components = {"scanner", "risk", "ledger", "execution", "view"}
    components |= {f"venue-{venue}" for venue in venues}
    components |= {f"bot-{bot.name}" for bot in config.bots}
    placed: set[str] = set()
    for actor, hosted in config.placement.items():
        for component in hosted:
            if component not in components or component in placed:
                fail(
                    f"placement.{actor}",
                    f"{component!r} is no component, or is placed twice; "
                    f"known: {', '.join(sorted(components))}",
                )
            placed.add(component)
    bases = frozenset(instrument.symbol.partition("/")[0] for instrument in config.instruments)
    for asset in config.scanner.quantity_max:
        if asset not in bases:
            fail(f"scanner.quantity_max.{asset}", "no instrument has this base asset")
    bots = tuple(bot.name for bot in config.bots)
    for path, why in risk_faults(
        config.risk, Known(tuple(venues), bots, bases, frozenset(symbols))
    ):
        fail(path, why)


def _check_accounts(
    accounts: tuple[AccountConfig, ...], venues: list[str], fail: Callable[[str, str], None]
) -> None:
    names = [account.name for account in accounts]
    if ENGINE_ACCOUNT not in names:
        fail("exchange.accounts", f"one must be {ENGINE_ACCOUNT!r}, which the engine trades with")
    for place, account in enumerate(accounts):
        at = f"exchange.accounts[{place}]"
        if account.name in names[:place]:
            fail(f"{at}.name", f"{account.name!r} is there twice")
        for venue in account.balances:
            if venue not in venues:
                fail(f"{at}.balances.{venue}", "no venue has this name")
        if account.tier and all(step.volume > 0 for step in account.tier):
            fail(f"{at}.tier", "one step must be from volume 0 on")


def on_own_exchange(config: Config, venue: VenueConfig) -> bool:
    """Whether orders to a venue go to our own exchange: a simulated one, or a real one on paper."""
    paper = config.mode == "paper" and venue.kind == "watch"
    return venue.kind == "simulated" or (paper and venue.trading.gateway != "none")


def decimals_of(config: Config, asset: str) -> int:
    """With how many decimals an asset is held; raises KeyError saying where to name it."""
    known = {**ASSET_DECIMALS, **config.assets}
    if asset not in known:
        raise KeyError(f"the decimals of {asset} are not known; add assets.{asset} = 8 or so")
    return known[asset]


def units_of(config: Config, asset: str, amount: str) -> int:
    """A decimal amount of an asset in its units; raises ConfigError when it is finer or not known."""
    try:
        return parse_decimal(amount, decimals_of(config, asset))
    except (UnitError, KeyError) as error:
        raise ConfigError(f"{amount} {asset}: {error.args[0]}") from error


def instruments_of(config: Config) -> Instruments:
    """The table of a configuration's instruments. Raises InstrumentError or KeyError."""
    venues = [venue.name for venue in config.venues]
    table = []
    for number, entry in enumerate(config.instruments):
        base, _, quote = entry.symbol.partition(":")[0].partition("/")
        instrument = Instrument(
            id=number,
            venue=venues.index(entry.venue),
            symbol=entry.symbol,
            base=base,
            quote=quote,
            tick_size=entry.tick_size,
            lot_size=entry.lot_size,
            base_decimals=decimals_of(config, base),
            quote_decimals=decimals_of(config, quote),
            notional_min=entry.notional_min,
            maker_fee=entry.maker_fee,
            taker_fee=entry.taker_fee,
        )
        lots_max = instrument.quantity_to_lots(entry.quantity_max, Round.DOWN)
        table.append(msgspec.structs.replace(instrument, lots_max=lots_max))
    return Instruments(table, venues, {**ASSET_DECIMALS, **config.assets})
