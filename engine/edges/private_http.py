"""Private requests over HTTP: signed here, sent once, and answered by a message, whatever became of them.

Nothing is decided and nothing tried again: what did not come back is said in one word, of which 'unsent'
alone means that no byte left. Calls of a protocol with a rising nonce go one after the other. The pool of
connections is kept warm, so that an order does not wait for a handshake.
"""

import asyncio
from collections.abc import Callable

import httpx

from engine.edges.private_hosts import HostRefused, PrivateHosts
from engine.edges.secrets import Keys
from engine.edges.venue_http import AskError, Inbox
from engine.messages import Answer, OrderRequest, VenueCall
from engine.venues.native_calls import (
    HEADERS_TOLD,
    NativeCall,
    call_of,
    http_call,
    token_call,
    token_of,
)
from engine.venues.signing import BadSecret

TIMEOUT_S = 10.0
TOKEN_S = 3.0  # nothing can be done until it is there
KEPT_WARM_S = 300.0
CONNECTIONS_MAX = 50
UNDER_WAY_MAX = 1_000
BYTES_MAX = 64 * 1024 * 1024
UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
WITH_NONCE = frozenset({"kraken"})
MICROSECOND_NS = 1_000


class _Got:
    """What became of a request: an answer, or the word for there being none."""

    __slots__ = ("failure", "headers", "payload", "status")

    def __init__(
        self,
        status: int = 0,
        payload: bytes = b"",
        headers: tuple[tuple[str, str], ...] = (),
        failure: str = "",
    ) -> None:
        self.status = status
        self.payload = payload
        self.headers = headers
        self.failure = failure


class PrivateHttp:
    """The private calls of one venue. Must be made and used on the actor's event loop.

    A call with a nonce holds up the next for `turn_s` at most: by then it has arrived or is lost.
    """

    def __init__(
        self,
        inbox: Inbox,
        venue: int,
        protocol: str,
        rest: str,
        keys: Keys,
        hosts: PrivateHosts,
        now_ns: Callable[[], int],
        turn_s: float = 1.0,
    ) -> None:
        hosts.check(rest)
        self.venue = venue
        self._inbox = inbox
        self._protocol = protocol
        self._rest = rest
        self._keys = keys
        self._hosts = hosts
        self._now_ns = now_ns
        limits = httpx.Limits(
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=CONNECTIONS_MAX,
            keepalive_expiry=KEPT_WARM_S,
        )
        self._client = httpx.AsyncClient(
            timeout=TIMEOUT_S, limits=limits, follow_redirects=False, trust_env=False
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._nonce = 0
        self._turn = asyncio.Lock()
        self._turn_s = turn_s

    def ask(self, effect: OrderRequest | VenueCall) -> bool:
        """Send a private call; its answer will be injected. False where too many are under way.

        A question that is one too many is answered 'unsent' all the same: nothing else would tell.
        """
        loop = asyncio.get_running_loop()
        if len(self._tasks) >= UNDER_WAY_MAX:
            if isinstance(effect, VenueCall):
                loop.call_soon(self._give, effect.call, _Got(failure="unsent"))
            return False
        task = loop.create_task(self._serve(effect.call, effect.payload))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def close(self) -> None:
        """Wait for nothing more; what is under way stays without an answer."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()

    async def token(self) -> str:
        """What opens the private stream, '' where the keys alone do; raises AskError."""
        call = token_call(self._protocol)
        if call is None:
            return ""
        try:
            got = await asyncio.wait_for(self._asked(call), TOKEN_S)
        except TimeoutError:
            raise AskError(f"{call.path}: no answer in {TOKEN_S:g} s") from None
        if got.status != httpx.codes.OK:
            raise AskError(f"{call.path}: {got.failure or got.status}")
        try:
            return token_of(got.payload)
        except ValueError as error:
            raise AskError(f"{call.path}: {error}") from None

    async def _serve(self, number: int, payload: bytes) -> None:
        try:
            call = call_of(payload)
        except ValueError:
            self._give(number, _Got(failure="unsent"))
            return
        self._give(number, await self._asked(call))

    async def _asked(self, call: NativeCall) -> _Got:
        """One call; those with a nonce wait for their turn, so that they arrive as they are numbered."""
        if self._protocol not in WITH_NONCE or not call.signed:
            return await self._sent(call)
        async with self._turn:
            sent = asyncio.ensure_future(self._sent(call))
            try:
                await asyncio.wait({sent}, timeout=self._turn_s)
            except asyncio.CancelledError:
                sent.cancel()
                raise
        return await sent

    async def _sent(self, call: NativeCall) -> _Got:
        self._nonce = max(self._nonce + 1, self._now_ns() // MICROSECOND_NS)
        try:
            signed = http_call(self._protocol, call, self._keys, self._nonce)
            # Raw, as it was signed: a client that quotes anew would spoil the signature.
            url = httpx.URL(self._rest + signed.path, query=signed.query.encode() or None)
            self._hosts.check(str(url))
        except (BadSecret, HostRefused):
            return _Got(failure="unsent")
        try:
            request = self._client.build_request(
                signed.method, url, headers=signed.headers, content=signed.body
            )
            response = await self._client.send(request, stream=True)
            return await _read(response)
        except UNSENT:
            return _Got(failure="unsent")
        except httpx.TimeoutException:
            return _Got(failure="timeout")
        except httpx.HTTPError:
            return _Got(failure="disconnected")

    def _give(self, number: int, got: _Got) -> None:
        stamp = self._inbox.next_shell_sequence()
        at_ns, told = self._now_ns(), (got.status, got.payload, got.headers, got.failure)
        self._inbox.inject(Answer(0, stamp, at_ns, self.venue, number, *told))


async def _read(response: httpx.Response) -> _Got:
    """The whole answer; one without end counts as none."""
    parts, size = [], 0
    try:
        async for part in response.aiter_bytes():
            parts.append(part)
            size += len(part)
            if size > BYTES_MAX:
                return _Got(failure="disconnected")
    finally:
        await response.aclose()
    named = ((name, response.headers.get(name)) for name in HEADERS_TOLD)
    headers = tuple((name, value) for name, value in named if value is not None)
    return _Got(response.status_code, b"".join(parts), headers)
