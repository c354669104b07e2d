"""Our own account at a served venue, driven by hand through its native protocol: over sockets, or without.

`Sockets` goes through the edges that a run uses, `InProcess` calls the exchange's front with the same
signed requests, as a simulation does. Both keep all the news that came.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from engine.edges.private_hosts import PrivateHosts
from engine.edges.private_http import PrivateHttp
from engine.edges.private_stream import PrivateStream
from engine.edges.secrets import Keys, Secret
from engine.exchange.front import Answered
from engine.exchange.wires.wire import Call
from engine.instruments import Instrument
from engine.messages import (
    BUY,
    Answer,
    AnyMessage,
    Connected,
    Disconnected,
    Frame,
    OrderIntent,
    TimeInForce,
    VenueCall,
)
from engine.venues.binance_trading import BinanceTrading
from engine.venues.kraken_trading import KrakenTrading
from engine.venues.native_calls import (
    ENDPOINTS,
    HEADERS_TOLD,
    NativeFrame,
    call_of,
    decode,
    frame_bytes,
    http_call,
    token_call,
    token_of,
)
from engine.venues.trading import AskMore, FillsSeen, PrivateNews, Request, StreamReady
from tests.served_venue import ServedVenue

WAIT_S = 10
SECOND = 1_000_000_000
CONNECTION = 5
T = TypeVar("T")
Trading = BinanceTrading | KrakenTrading


def trading_of(protocol: str, instruments: list[Instrument]) -> Trading:
    """The protocol, for all markets of a served venue."""
    if protocol == "binance":
        natives = {i.id: i.symbol.replace("/", "") for i in instruments}
        return BinanceTrading(instruments, natives, {"BNB": 8})
    return KrakenTrading(instruments, {i.id: i.symbol for i in instruments}, {}, "pro")


def keys(key: str, secret: str) -> Keys:
    """Of a test's account."""
    return Keys(Secret(key), Secret(secret), Secret(""))


def intent(name: str, ticks: int, lots: int, side: int = BUY, **more: Any) -> OrderIntent:
    """What a bot wants of the first instrument."""
    fields: dict[str, Any] = {"instrument": 0, "time_in_force": TimeInForce.GTC} | more
    return OrderIntent(
        sender=9,
        sequence=1,
        received_ns=0,
        client_order_id=name,
        bot=1,
        group=1,
        leg=0,
        venue=0,
        side=side,
        ticks=ticks,
        lots=lots,
        expires_ns=0,
        **fields,
    )


class Account:
    """What both ways share: numbered requests, and the news."""

    def __init__(self, venue: ServedVenue[Any], protocol: str, account: Keys) -> None:
        self.venue = venue
        self.protocol = protocol
        self.keys = account
        self.trading = trading_of(protocol, list(venue.exchange.instruments.values()))
        self.news: list[PrivateNews] = []
        self.answers: list[Answer] = []
        self.connected = False
        self._said = asyncio.Event()
        self._requests: dict[int, Request] = {}
        self._answered: dict[int, list[PrivateNews]] = {}

    @property
    def now_ns(self) -> int:
        """The venue's time."""
        return self.venue.server.now_ns()

    def inject(self, message: AnyMessage) -> None:
        """What the edge brings."""
        if isinstance(message, Answer):
            request = self._requests.pop(message.call)
            self.answers.append(message)
            told = [] if message.failure else list(self.trading.answered(request, message))
            self._answered[message.call] = told
            self.news += told
        elif isinstance(message, Frame):
            self.news += self.trading.heard(message.payload)
        elif isinstance(message, Connected):
            self.connected = True
        elif isinstance(message, Disconnected):
            self.connected = False
            self.trading.closed()
        self._said.set()

    def next_shell_sequence(self) -> int:
        """A number."""
        return len(self.news) + 1

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for what the venue says."""
        while not holds():
            self._said.clear()
            await asyncio.wait_for(self._said.wait(), WAIT_S)

    async def seen(self, kind: type[T], where: Callable[[T], bool] = lambda _: True) -> T:
        """The latest news of a kind that fits; waits for it."""

        def found() -> list[T]:
            return [each for each in self.news if isinstance(each, kind) and where(each)]

        await self.until(lambda: bool(found()))
        return found()[-1]

    async def ask(self, request: Request | None) -> list[PrivateNews]:
        """Send a request; what its answer and those that follow say."""
        assert request is not None
        if not request.answered:
            self.send(request.payload)
            return []
        call = len(self.answers) + len(self._requests) + 1
        self._requests[call] = request
        self.call(call, request)
        await self.until(lambda: call in self._answered)
        found = self._answered[call]
        for each in list(found):
            if isinstance(each, AskMore):
                found += await self.ask(each.request)
            elif isinstance(each, FillsSeen) and each.more is not None:
                found += await self.ask(each.more)
        return found

    async def enter(self) -> None:
        """Have the private stream tell of everything."""
        for request in self.trading.opened(self.now_ns):
            await self.ask(request)
        await self.seen(StreamReady)

    def call(self, number: int, request: Request) -> None:
        """Send a call."""
        raise NotImplementedError

    def send(self, payload: bytes) -> None:
        """Send a frame."""
        raise NotImplementedError

    async def open(self) -> None:
        """Connect."""
        raise NotImplementedError

    async def close(self) -> None:
        """Hang up."""
        raise NotImplementedError


class Sockets(Account):
    """Through the edges."""

    async def open(self) -> None:
        """See `Account`."""
        hosts = PrivateHosts("simulated")
        endpoint = ENDPOINTS[self.protocol]
        endpoint = endpoint._replace(rest=self.venue.http, stream=self.venue.ws + endpoint.path)
        clock = self.venue.server.now_ns
        given = (self.protocol, self.venue.http, self.keys, hosts, clock)
        self.http = PrivateHttp(self, 0, *given)
        way = (self.protocol, endpoint, self.http, self.keys, hosts, clock)
        self.stream = PrivateStream(self, CONNECTION, *way)
        self._task = asyncio.get_running_loop().create_task(self.stream.keep_open())
        await self.until(lambda: self.connected)
        await self.enter()

    async def close(self) -> None:
        """See `Account`."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.http.close()

    def call(self, number: int, request: Request) -> None:
        """See `Account`."""
        assert self.http.ask(VenueCall(0, 1, 0, 0, number, request.kind, request.payload))

    def send(self, payload: bytes) -> None:
        """See `Account`."""
        assert self.stream.send(payload)


class InProcess(Account):
    """The front itself, without a socket; the nonce counts up."""

    async def open(self) -> None:
        """See `Account`."""
        self._nonce, self._token = 0, ""
        self._payloads: dict[int, bytes] = {}
        call = token_call(self.protocol)
        if call is not None:
            self._front(0, call)
            self._token = token_of(self._payloads.pop(0))
        self.venue.front.connect(CONNECTION, self.protocol, self._path, "", self.now_ns)
        self._advance()
        await self.enter()

    @property
    def _path(self) -> str:
        return ENDPOINTS[self.protocol].path

    async def close(self) -> None:
        """See `Account`."""
        self.venue.front.disconnect(CONNECTION, self.now_ns)
        self._advance()

    def call(self, number: int, request: Request) -> None:
        """See `Account`."""
        self._front(number, call_of(request.payload))

    def _front(self, number: int, call: Any) -> None:
        self._nonce += 1
        signed = http_call(self.protocol, call, self.keys, self._nonce)
        self.venue.front.call(number, self.protocol, Call(*signed), self.now_ns)
        self._advance()

    def send(self, payload: bytes) -> None:
        """See `Account`."""
        frame = decode(payload)
        assert isinstance(frame, NativeFrame)
        told = frame_bytes(self.protocol, frame, self.keys, self._token)
        self.venue.front.receive(CONNECTION, told, self.now_ns)
        self._advance()

    def _advance(self) -> None:
        for output in self.venue.front.advance(self.now_ns):
            if isinstance(output, Answered):
                self._take(output)
            elif output.payload is not None and output.connection == CONNECTION:
                self.inject(Frame(0, 1, 0, 0, CONNECTION, 0, output.payload))

    def _take(self, output: Answered) -> None:
        answer = output.answer
        assert answer is not None
        if output.call not in self._requests:
            self._payloads[output.call] = answer.body
            return
        headers = {name.lower(): value for name, value in answer.headers}
        told = tuple((name, headers[name]) for name in HEADERS_TOLD if name in headers)
        self.inject(Answer(0, 1, 0, 0, output.call, answer.status, answer.body, told))

    async def until(self, holds: Callable[[], bool]) -> None:
        """See `Account`; what the venue says is there once it is called."""
        self._advance()
        assert holds(), self.news
