"""What carries the orders of a venue: its private calls and its private connection, native or ccxt's."""

from collections.abc import Callable

import msgspec

from engine.config import Config, ConfigError, VenueConfig
from engine.edges.ccxt_caller import Account
from engine.edges.ccxt_private import CcxtPrivate
from engine.edges.private_hosts import PrivateHosts, hosts_in
from engine.edges.private_http import PrivateHttp
from engine.edges.private_stream import PrivateStream
from engine.edges.secrets import keys_of
from engine.edges.venue_http import Inbox
from engine.venue import Venue
from engine.venues.ccxt_trading import CcxtTrading
from engine.venues.native_calls import ENDPOINTS, PrivateEndpoint

WIRE_STREAMS = {"binance": "/stream", "kraken": "/v2"}
"""Where below a simulated venue's wire its public streams are."""


def wire_urls(exchange: str, name: str, protocol: str) -> tuple[str, str]:
    """The addresses of a simulated venue's wire: of its websockets, and of its HTTP."""
    stream = f"{exchange}/{name}/{protocol}"
    return stream, "http" + stream.removeprefix("ws")


def served(settings: VenueConfig, exchange: str) -> VenueConfig:
    """A simulated venue that speaks a real one's protocol, with the addresses of its market data."""
    stream, rest = wire_urls(exchange, settings.name, settings.protocol)
    stream += WIRE_STREAMS[settings.protocol]
    return msgspec.structs.replace(settings, stream_url=stream, rest_url=rest)


def private_endpoint(config: Config, place: int, exchange: str) -> PrivateEndpoint:
    """Where the account of the venue at a place is asked; on paper that is our own exchange."""
    venue = config.venues[place]
    protocol = spoken(config, place)
    endpoint = ENDPOINTS[protocol]
    if venue.kind == "simulated" or config.mode == "paper":
        stream, rest = wire_urls(exchange, venue.name, protocol)
        return endpoint._replace(rest=rest, stream=stream + endpoint.path)
    return endpoint


def spoken(config: Config, place: int) -> str:
    """The protocol in which orders go to a venue; on paper our own exchange always speaks Binance's."""
    protocol = config.venues[place].protocol
    paper = config.mode == "paper" and config.venues[place].kind == "watch"
    return "binance" if paper and protocol not in ENDPOINTS else protocol


def open_private(
    inbox: Inbox, now_ns: Callable[[], int], config: Config, venue: Venue, exchange: str
) -> tuple[PrivateHttp, PrivateStream] | None:
    """Both, for a venue that is traded on natively over connections of its own; None for others.

    Raises ConfigError where a key is missing.
    """
    place = venue.venue
    settings = config.venues[place]
    protocol = spoken(config, place)
    if protocol not in ENDPOINTS or settings.trading.gateway != "native":
        return None
    keys = keys_of(config, place)
    if keys is None:
        return None
    endpoint = private_endpoint(config, place, exchange)
    production = ENDPOINTS[protocol]
    hosts = PrivateHosts(config.mode, hosts_in([production.rest, production.stream]))
    turn_s = settings.order_timeout_ms / 1e3
    http = PrivateHttp(inbox, place, protocol, endpoint.rest, keys, hosts, now_ns, turn_s)
    number = venue.lines.connections
    stream = PrivateStream(inbox, number, protocol, endpoint, http, keys, hosts, now_ns)
    return http, stream


def open_ccxt(
    inbox: Inbox,
    now_ns: Callable[[], int],
    config: Config,
    venue: Venue,
    exchange: str,
    fail: Callable[[Exception], None],
) -> CcxtPrivate | None:
    """The account of a venue that is traded on through ccxt; None for others.

    Raises ConfigError where a key is missing, and where our own exchange does not speak the protocol.
    """
    place = venue.venue
    settings = config.venues[place]
    keys = keys_of(config, place) if settings.trading.gateway == "ccxt" else None
    if keys is None:
        return None
    rest, stream = settings.rest_url, settings.stream_url
    if settings.kind == "simulated" or config.mode == "paper":
        if settings.protocol not in WIRE_STREAMS:
            raise ConfigError(
                f"venues[{place}].trading.gateway: ccxt trades on our own exchange only where it "
                f"speaks one of {', '.join(WIRE_STREAMS)}, not {settings.protocol!r}"
            )
        stream, rest = wire_urls(exchange, settings.name, settings.protocol)
    trading = venue.gateway.trading if venue.gateway else None
    assert isinstance(trading, CcxtTrading)
    account = Account(trading.exchange, keys, config.mode, rest, stream)
    place_of = (inbox, place, venue.lines.connections)
    return CcxtPrivate(*place_of, account, trading.symbols, now_ns, trading.private_stream, fail)
