"""The private websocket of a venue: its own connection, whose frames are signed as they leave.

It is opened and kept open like those of market data. A token that opens it is fetched anew for each
connection, and is known here only.
"""

from collections.abc import Callable

from engine.edges.private_hosts import PrivateHosts
from engine.edges.private_http import PrivateHttp
from engine.edges.secrets import Keys
from engine.edges.venue_http import Inbox
from engine.edges.venue_socket import VenueSocket
from engine.venues.handler import Endpoint
from engine.venues.native_calls import NativeFrame, PrivateEndpoint, decode, frame_bytes

FRAMES_PER_SECOND = 4.0  # of those that are paced: subscriptions and questions


class PrivateStream:
    """One venue's private connection; see the module. Used as a `VenueSocket` is."""

    def __init__(
        self,
        inbox: Inbox,
        connection: int,
        protocol: str,
        endpoint: PrivateEndpoint,
        http: PrivateHttp,
        keys: Keys,
        hosts: PrivateHosts,
        now_ns: Callable[[], int],
    ) -> None:
        hosts.check(endpoint.stream)
        self.venue = http.venue
        self.connection = connection
        self._protocol = protocol
        self._url = endpoint.stream
        self._http = http
        self._keys = keys
        self._hosts = hosts
        self._token = ""
        wire = Endpoint(
            endpoint.stream,
            endpoint.rest,
            frames_per_second=FRAMES_PER_SECOND,
            ping=endpoint.ping,
            ping_every_s=endpoint.ping_every_s,
            silence_s=endpoint.silence_s,
        )
        self._socket = VenueSocket(inbox, self.venue, connection, self._address, wire, now_ns)

    async def keep_open(self) -> None:
        """See `VenueSocket.keep_open`."""
        await self._socket.keep_open()

    async def _address(self) -> str:
        self._hosts.check(self._url)
        self._token = await self._http.token()
        return self._url

    def send(self, payload: bytes) -> bool:
        """Sign and write at once; False when there is no connection."""
        return self._socket.send(self._signed(payload))

    def send_paced(self, payload: bytes) -> bool:
        """Sign, and write as the exchange's pace lets it."""
        return self._socket.send_paced(self._signed(payload))

    def _signed(self, payload: bytes) -> bytes:
        frame = decode(payload)
        if not isinstance(frame, NativeFrame):
            raise TypeError("a call over HTTP on the private connection")  # the gateway's defect
        return frame_bytes(self._protocol, frame, self._keys, self._token)
