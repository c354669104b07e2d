"""What connects a watched venue's public market data: sockets, HTTP, or ccxt's client, by its protocol."""

from collections.abc import Callable

from engine.config import VenueConfig
from engine.edges.ccxt_feed import CcxtFeed
from engine.edges.venue_http import AskError, Inbox, VenueHttp
from engine.edges.venue_socket import VenueSocket
from engine.venue import Venue
from engine.venues.ccxt import CcxtHandler
from engine.venues.handler import UNREADABLE, Endpoint

Feed = tuple[list[VenueSocket | CcxtFeed], list[VenueHttp]]


def watch(inbox: Inbox, now_ns: Callable[[], int], venue: Venue, settings: VenueConfig) -> Feed:
    """One connection for each that the venue's books are dealt to, and its HTTP where it has any."""
    if settings.protocol == "ccxt":
        return [*_ccxt_feeds(inbox, now_ns, venue, settings)], []
    endpoint = _overridden(venue.lines.handler.endpoint, settings)
    http = VenueHttp(inbox, venue.venue, endpoint.rest, endpoint.requests_per_second, now_ns)
    return [*sockets_to(inbox, now_ns, venue, endpoint, http)], [http]


def _overridden(endpoint: Endpoint, settings: VenueConfig) -> Endpoint:
    """The exchange's own addresses, unless the configuration names others."""
    if settings.stream_url:
        endpoint = endpoint._replace(stream=settings.stream_url, welcome="")
    return endpoint._replace(rest=settings.rest_url or endpoint.rest)


def sockets_to(
    inbox: Inbox,
    now_ns: Callable[[], int],
    venue: Venue,
    endpoint: Endpoint,
    http: VenueHttp | None,
) -> list[VenueSocket]:
    """One socket for each connection that the venue's books are dealt to."""
    handler = venue.lines.handler

    async def address() -> str:
        if not endpoint.welcome or http is None:
            return endpoint.stream
        welcome = await http.fetch("POST", endpoint.welcome)
        try:
            return handler.address(welcome)
        except UNREADABLE as error:
            raise AskError(f"{endpoint.welcome}: {error}") from error

    forget = None if http is None else http.forget
    return [
        VenueSocket(inbox, venue.venue, connection, address, endpoint, now_ns, forget)
        for connection in range(venue.lines.connections)
    ]


def _ccxt_feeds(
    inbox: Inbox, now_ns: Callable[[], int], venue: Venue, settings: VenueConfig
) -> list[CcxtFeed]:
    """One ccxt.pro client for each connection that the venue's books are dealt to."""
    feeds = []
    for connection in range(venue.lines.connections):
        line = venue.lines.of(connection)
        assert line is not None
        assert isinstance(line.handler, CcxtHandler)
        symbols = list(line.handler.natives.values())
        feeds.append(CcxtFeed(inbox, venue.venue, connection, settings, symbols, now_ns))
    return feeds
