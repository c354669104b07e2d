"""Our account at a venue served on loopback, through the real ccxt client, with the gateway's part by hand."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from engine.edges.ccxt_caller import Account
from engine.edges.ccxt_private import CcxtPrivate
from engine.edges.secrets import Keys, Secret
from engine.instruments import Instrument
from engine.messages import (
    BUY,
    Answer,
    AnyMessage,
    CallKind,
    Connected,
    Frame,
    OrderIntent,
    OrderRequest,
    TimeInForce,
    VenueCall,
)
from engine.venues.ccxt_trading import CcxtTrading
from engine.venues.trading import OrderRef, OrderSeen, PrivateNews, Request, StreamReady
from tests import binance_server, kraken_server

MS = 1_000_000
SECOND_NS = 1_000_000_000
PATIENCE_S = 10.0
News = TypeVar("News", bound=PrivateNews)
Venue = binance_server.Venue | kraken_server.Venue
ORDERING = (CallKind.CREATE, CallKind.CANCEL)


def keys(key: str, secret: str) -> Keys:
    """Keys of a test."""
    return Keys(Secret(key), Secret(secret), Secret(""))


def keys_at(exchange: str) -> Keys:
    """The keys of account `main`."""
    server = binance_server if exchange == "binance" else kraken_server
    return keys(server.KEY, server.SECRET)


def instruments_at(exchange: str) -> list[Instrument]:
    """The venue's first two markets."""
    if exchange == "binance":
        return binance_server.instruments()[:2]
    return kraken_server.instruments()[:2]


def trading_at(exchange: str, instruments: Sequence[Instrument] | None = None) -> CcxtTrading:
    """The pure half."""
    here = instruments_at(exchange) if instruments is None else instruments
    return CcxtTrading(exchange, here, {i.id: i.symbol for i in here}, {})


class Trader:
    """A private connection, the messages that it brought, and what they say."""

    def __init__(
        self, venue: Venue, exchange: str, account: Keys | None = None, *, stream: bool = True
    ) -> None:
        self.venue = venue
        self.exchange = exchange
        self.trading = trading_at(exchange)
        self.messages: list[AnyMessage] = []
        self.news: list[PrivateNews] = []
        self.heard = asyncio.Event()
        self.defects: list[Exception] = []
        self._sequence = 0
        self._calls = 0
        self._orders = 0
        self._asked: dict[int, Request] = {}
        self._answers: dict[int, asyncio.Future[Sequence[PrivateNews]]] = {}
        where = Account(exchange, account or keys_at(exchange), "simulated", venue.http, venue.ws)
        symbols = [i.symbol for i in instruments_at(exchange)]
        self.edge = CcxtPrivate(
            self, 0, 1, where, symbols, venue.server.now_ns, stream, self.failed
        )
        self._task: asyncio.Task[None] | None = None

    def failed(self, error: Exception) -> None:
        """A defect: the test fails when it closes."""
        self.defects.append(error)
        self.heard.set()

    async def open(self, *, ready: bool = True) -> None:
        """Connect; and wait until the stream tells of everything, where there is one."""
        self._task = asyncio.get_running_loop().create_task(self.edge.keep_open())
        wanted = StreamReady if ready else None
        await self.until(
            lambda: (
                any(isinstance(m, Connected) for m in self.messages)
                and (wanted is None or any(isinstance(n, wanted) for n in self.news))
            )
        )

    async def close(self) -> None:
        """Disconnect; raises what ended the connection's task."""
        if self.defects:
            raise self.defects[0]
        if self._task is not None:
            self._task.cancel()
            (ended,) = await asyncio.gather(self._task, return_exceptions=True)
            if not isinstance(ended, asyncio.CancelledError):
                raise AssertionError("the connection ended by itself") from ended

    # --- the inbox -------------------------------------------------------------------------------

    def next_shell_sequence(self) -> int:
        """See `Inbox`."""
        self._sequence += 1
        return self._sequence

    def inject(self, message: AnyMessage) -> None:
        """See `Inbox`."""
        self.messages.append(message)
        if isinstance(message, Frame):
            self.news += self.trading.heard(message.payload)
        elif isinstance(message, Answer):
            self._answers[message.call].set_result(self._read(message))
        self.heard.set()

    def _read(self, answer: Answer) -> Sequence[PrivateNews]:
        if answer.failure in ("timeout", "disconnected", "unsent"):
            return ()
        return self.trading.answered(self._asked[answer.call], answer)

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for a condition that messages bring about."""
        async with asyncio.timeout(PATIENCE_S):
            while not true():
                self.heard.clear()
                await self.heard.wait()

    async def told(self, kind: type[News], true: Callable[[News], bool] = lambda _: True) -> News:
        """The first news of a kind that the stream brought, waited for."""

        def found() -> list[News]:
            return [n for n in self.news if isinstance(n, kind) and true(n)]

        await self.until(lambda: bool(found()))
        return found()[0]

    # --- asking ----------------------------------------------------------------------------------

    def send(self, request: Request) -> "asyncio.Future[Sequence[PrivateNews]]":
        """Send a request as the shell would; its answer's news."""
        self._calls += 1
        call = self._calls
        self._asked[call] = request
        future = self._answers[call] = asyncio.get_running_loop().create_future()
        if request.kind in ORDERING:
            effect: Any = OrderRequest(
                1, call, 0, 0, 1, request.client_order_id, False, 0, request.payload, call
            )
        else:
            effect = VenueCall(1, call, 0, 0, call, request.kind, request.payload)
        assert self.edge.ask(effect)
        return future

    async def ask(self, request: Request) -> list[PrivateNews]:
        """Send a request and wait for what its answer says."""
        return list(await asyncio.wait_for(self.send(request), PATIENCE_S))

    def last_answer(self) -> Answer:
        """The answer that came last."""
        return next(m for m in reversed(self.messages) if isinstance(m, Answer))

    def intent(self, side: int, ticks: int, lots: int, **more: Any) -> OrderIntent:
        """An order of the first market, good until cancelled."""
        self._orders += 1
        fields: dict[str, Any] = {
            "time_in_force": TimeInForce.GTC,
            "client_order_id": f"ab{self._orders:016x}",
        }
        fields |= more
        name, tif = fields.pop("client_order_id"), fields.pop("time_in_force")
        return OrderIntent(
            1, self._orders, 0, name, 1, 1, 1, 0, 0, side, ticks, lots, tif, 0, **fields
        )

    def now_ns(self) -> int:
        """The venue's time."""
        return self.venue.server.now_ns()

    def create(self, intent: OrderIntent, within_ms: int = 2000) -> Request:
        """The request of an order."""
        now_ns = self.now_ns()
        return self.trading.create(intent, now_ns, now_ns + within_ms * MS)

    async def place(self, side: int = BUY, ticks: int = 0, lots: int = 0, **more: Any) -> OrderRef:
        """An order that rests; how it is named from now on."""
        intent = self.intent(side, ticks, lots, **more)
        news = await self.ask(self.create(intent))
        (seen,) = [item for item in news if isinstance(item, OrderSeen)]
        return OrderRef(intent.client_order_id, seen.venue_order_id, intent.instrument)
