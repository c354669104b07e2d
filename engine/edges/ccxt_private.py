"""Our account at an exchange through ccxt: the calls the gateway decided on, and the private streams.

Each call is answered once, in whatever order they end. ccxt.pro's private streams become frames of the
venue's private connection: `{"watch": "orders" | "trades" | "balance", "data": ...}`, and
`{"watch": "ready"}` when all of them are subscribed. Where ccxt has no streams, the connection is
there once the exchange's listings are loaded, and the gateway polls.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from engine.edges.ccxt_caller import Account, Caller, Nonces, Said, open_client
from engine.edges.ccxt_session import Session, first_of
from engine.edges.ccxt_structures import result_of
from engine.edges.venue_http import Inbox
from engine.messages import (
    STREAMED,
    Answer,
    Connected,
    Disconnected,
    Frame,
    OrderRequest,
    VenueCall,
)
from engine.venues.ccxt_calls import BALANCE, ORDERS, READY, TRADES

WAIT_FIRST_S = 0.1
WAIT_MAX_S = 30.0
STEADY_S = 10.0
CALLS_MAX = 1000
EARLY_MAX = 100
SETTLE_S = 0.5
"""From a first word on a new connection until its subscriptions are taken to be through,"""
QUIET_S = 3.0  # or from the connection on, where an exchange confirms nothing.
WATCHES = (("watchOrders", ORDERS), ("watchMyTrades", TRADES), ("watchBalance", BALANCE))
METHODS = {ORDERS: "watch_orders", TRADES: "watch_my_trades", BALANCE: "watch_balance"}
_JSON = msgspec.json.Encoder()


class NotStreamed(Exception):
    """ccxt has no such private stream."""


class CcxtPrivate:
    """One venue's account. `stream` says whether ccxt.pro tells of orders and trades by itself."""

    def __init__(
        self,
        inbox: Inbox,
        venue: int,
        connection: int,
        account: Account,
        symbols: Sequence[str],
        now_ns: Callable[[], int],
        stream: bool,
        fail: Callable[[Exception], None],
    ) -> None:
        self.venue = venue
        self.connection = connection
        self._inbox = inbox
        self._account = account
        self._symbols = tuple(symbols)
        self._now_ns = now_ns
        self._stream = stream
        self._fail = fail
        self._nonces = Nonces(account.exchange)
        self._caller: Caller | None = None
        self._connected = False
        self._calls: set[asyncio.Task[None]] = set()
        self._early: list[tuple[int, bytes]] = []

    async def keep_open(self) -> None:
        """Load the listings, then stream until cancelled, with a new client after each failure."""
        caller = Caller(self._account, self._nonces)
        try:
            await self._load(caller)
            self._caller = caller
            for call, early in self._early:
                self._make(caller, call, early)
            self._early.clear()
            if self._stream:
                await self._keep_streaming(caller)
            self.opened()
            await asyncio.get_running_loop().create_future()
        finally:
            self._caller = None
            await self.close()
            await caller.close()

    async def _load(self, caller: Caller) -> None:
        wait_s = WAIT_FIRST_S
        while True:
            try:
                await caller.load()
                return
            except Exception as error:  # noqa: BLE001 -- ccxt's clients raise anything; it is told
                self.lost(f"listings: {caller.told(error).decode()}", told=True)
            # Jitter belongs to the edge: it spreads reconnects and decides nothing else.
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(wait_s * 2, WAIT_MAX_S)

    # --- what the inbox is told ------------------------------------------------------------------

    def opened(self) -> None:
        """The connection is there; said once."""
        if not self._connected:
            self._connected = True
            number = self._inbox.next_shell_sequence()
            self._inbox.inject(Connected(0, number, 0, self.venue, self.connection))

    def lost(self, cause: str, told: bool = False) -> None:
        """It is gone; said once, or each time that it could not be had."""
        if self._connected or told:
            self._connected = False
            number = self._inbox.next_shell_sequence()
            self._inbox.inject(Disconnected(0, number, 0, self.venue, self.connection, cause))

    def _give(self, content: dict[str, Any]) -> None:
        number, now_ns = self._inbox.next_shell_sequence(), self._now_ns()
        payload = _JSON.encode(content)
        self._inbox.inject(Frame(0, number, now_ns, self.venue, self.connection, STREAMED, payload))

    # --- calls -----------------------------------------------------------------------------------

    def ask(self, effect: OrderRequest | VenueCall) -> bool:
        """Make a call whose answer goes into the inbox; False where it certainly did not leave.

        Questions that come before the listings are loaded wait for them. One that cannot be made is
        answered 'unsent' all the same: nothing else would tell.
        """
        question = isinstance(effect, VenueCall)
        if self._caller is None and question and len(self._early) < EARLY_MAX:
            self._early.append((effect.call, effect.payload))
            return True
        if self._caller is None or len(self._calls) >= CALLS_MAX:
            if question:
                unsent = Said(0, b"", (), "unsent")
                asyncio.get_running_loop().call_soon(self._tell, effect.call, unsent)
            return False
        self._make(self._caller, effect.call, effect.payload)
        return True

    def _make(self, caller: Caller, call: int, payload: bytes) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(caller, call, payload))
        self._calls.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        """A call never raises: what did is a defect behind the inbox, and ends the actor."""
        self._calls.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._fail(error)

    async def _answer(self, caller: Caller, call: int, payload: bytes) -> None:
        self._tell(call, await caller.answer(payload))

    def _tell(self, call: int, said: Said) -> None:
        number, now_ns = self._inbox.next_shell_sequence(), self._now_ns()
        self._inbox.inject(Answer(0, number, now_ns, self.venue, call, *said))

    def send(self, payload: bytes) -> bool:
        """Orders are calls, not frames: none."""
        return False

    def send_paced(self, payload: bytes) -> bool:
        """Nothing is sent on this connection but by ccxt."""
        return False

    async def close(self) -> None:
        """Let go of the calls under way; they are not answered."""
        calls = list(self._calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    # --- streams ---------------------------------------------------------------------------------

    async def _keep_streaming(self, caller: Caller) -> None:
        """Ends only where the exchange has no streams after all."""
        loop, wait_s = asyncio.get_running_loop(), WAIT_FIRST_S
        while True:
            began = loop.time()
            client = open_client(self._account, self._nonces)
            client.set_markets(caller.client.markets, caller.client.currencies)
            session = Session(client, self.opened)
            watching = loop.create_task(self._watch(session))
            told = partial(self._ended, caller)
            try:
                await session.until_over(watching, NotStreamed, told)
            except NotStreamed:
                return
            if loop.time() - began > STEADY_S:
                wait_s = WAIT_FIRST_S
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(wait_s * 2, WAIT_MAX_S)

    def _ended(self, caller: Caller, cause: str) -> None:
        self.lost(caller.told(RuntimeError(cause)).decode(), told=True)

    async def _watch(self, session: Session) -> None:
        """Each stream that ccxt has for this exchange, for ever; raises NotStreamed without both."""
        has = session.client.has
        if not (has.get("watchOrders") and has.get("watchMyTrades")):
            raise NotStreamed(f"ccxt's {session.client.id} does not stream orders and own trades")
        async with asyncio.TaskGroup() as group:
            for name, kind in WATCHES:
                if has.get(name):
                    group.create_task(self._watch_kind(session, kind))
            group.create_task(self._say_ready(session))

    async def _watch_kind(self, session: Session, kind: str) -> None:
        """One stream: of all symbols at once, or of each where ccxt wants to know which."""
        call = getattr(session.client, METHODS[kind])
        take = partial(self._take, kind)
        try:
            await session.repeat(call, take)
        except Exception as error:
            name = type(first_of(error)).__name__
            if name == "NotSupported" and kind == BALANCE:
                return
            if name == "NotSupported":
                raise NotStreamed(str(error)) from error
            if name != "ArgumentsRequired":
                raise
        async with asyncio.TaskGroup() as group:
            for symbol in self._symbols:
                group.create_task(session.repeat(partial(call, symbol), take))

    def _take(self, kind: str, told: Any) -> None:
        self._give({"watch": kind, "data": result_of(kind, told)})

    async def _say_ready(self, session: Session) -> None:
        """The streams tell of everything from here on, as far as that can be known."""
        await session.connected.wait()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(session.heard.wait(), QUIET_S)
        await asyncio.sleep(SETTLE_S)
        if not session.over:
            self._give({"watch": READY})
