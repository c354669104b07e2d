"""ccxt's client of one account, and what became of each call of it.

A call is made once: neither ccxt nor aiohttp below it retries. How many HTTP requests it made is
counted and told with what it raised, for an exception proves only what it was raised about. Keys stay
inside the client: a text that goes on has none, and no address with a signature.
"""

import asyncio
import importlib
import json
import re
import socket
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple

import aiohttp
import msgspec

from engine.config import ConfigError
from engine.edges.ccxt_client import redirected
from engine.edges.ccxt_structures import result_of
from engine.edges.private_hosts import PrivateHosts, hosts_in
from engine.edges.secrets import Keys, Secret
from engine.venues.ccxt_calls import HEADERS, REQUESTS, Call, Work
from engine.venues.ccxt_failures import COUNTED_NONCES

TIMEOUT_MS = 10_000
"""When a connection is given up; the gateway does not wait so long."""
IN_TURN_S = 0.25
"""So long a call waits for the one before it where requests must arrive in the order of their nonces."""
TEXT_MAX = 1000
TEXT_SHOWN = 80
OK = 200

_WORK = msgspec.msgpack.Decoder(Work).decode
_JSON = msgspec.json.Encoder()
_QUERY = re.compile(r"\?\S*")


class Said(NamedTuple):
    """What becomes an `Answer`."""

    status: int
    payload: bytes
    headers: tuple[tuple[str, str], ...]
    failure: str


class _Trace:
    """The HTTP requests of one call."""

    def __init__(self) -> None:
        self.requests = 0
        self.answered = 0
        self.status = 0
        self.headers: dict[str, str] = {}


_TRACE: ContextVar[_Trace | None] = ContextVar("ccxt_call", default=None)


class Account(NamedTuple):
    """Whose account, where: the ccxt id, the keys, the mode, and addresses instead of the exchange's."""

    exchange: str
    keys: Keys
    mode: str
    rest_url: str = ""
    stream_url: str = ""


class Nonces:
    """Numbers that grow with every request of an account, over all of its clients.

    An exchange that counts by them wants them in order too: there a request leaves in its `turn`,
    and the next one when it was answered, or soon after.
    """

    def __init__(self, exchange: str) -> None:
        self.turn = asyncio.Lock() if exchange in COUNTED_NONCES else None
        self._last = 0

    def next(self, proposed: Callable[[], int]) -> int:
        """The client's own, or the one after the last."""
        self._last = max(self._last + 1, proposed())
        return self._last

    async def in_turn(self, sending: Coroutine[Any, Any, Any]) -> Any:
        """Send after those that were numbered before; must be called as soon as it is numbered."""
        if self.turn is None:
            return await sending
        task: asyncio.Task[Any] | None = None
        try:
            async with self.turn:
                task = asyncio.ensure_future(sending)
                await asyncio.wait({task}, timeout=IN_TURN_S)
            return await task
        finally:
            if task is None:
                sending.close()
            else:
                task.cancel()


def open_client(account: Account, nonces: Nonces) -> Any:
    """A client of ccxt.pro, or of ccxt where there is none.

    Raises ConfigError for another id, and for a sandbox where the exchange has no testnet.
    """
    name = account.exchange
    ccxt, pro = importlib.import_module("ccxt.async_support"), importlib.import_module("ccxt.pro")
    make = getattr(pro if name in pro.exchanges else ccxt, name, None)
    if name not in ccxt.exchanges or make is None:
        raise ConfigError(f"ccxt has no exchange {name!r}")
    # Compression costs more than it saves. Our lanes pace, so ccxt's own throttle is off.
    client = make(
        {
            "apiKey": account.keys.key.reveal(),
            "secret": account.keys.secret.reveal(),
            "password": account.keys.password.reveal(),
            "enableRateLimit": False,
            "timeout": TIMEOUT_MS,
            "options": {"ws": {"compress": 0}, "maxRetriesOnFailure": 0},
        }
    )
    client.number = str
    client.on_json_response = partial(json.loads, parse_float=str)  # no float touches money
    hosts = PrivateHosts(account.mode, hosts_in(client.urls.get("api")))
    if account.mode == "sandbox":
        if not client.urls.get("test"):
            raise ConfigError(f"ccxt knows no testnet of {name}: mode 'sandbox' cannot trade there")
        client.set_sandbox_mode(True)
    else:
        client.urls["api"] = redirected(client.urls["api"], account.rest_url, account.stream_url)
    proposed = client.nonce
    client.nonce = lambda: nonces.next(proposed)
    _watch_over(client, hosts, nonces)
    client.open()
    client.session._retry_connection = False  # aiohttp would send some requests twice
    return client


def _watch_over(client: Any, hosts: PrivateHosts, nonces: Nonces) -> None:
    """Count what is sent, keep what came back, and let nothing go to a host of another mode."""
    bad_response: type[Exception] = importlib.import_module("ccxt").BadResponse
    fetch, heard, socket_to = client.fetch, client.on_rest_response, client.client

    async def counted(url: str, *more: Any, **named: Any) -> Any:
        hosts.check(url)
        trace = _TRACE.get()
        if trace is not None:
            trace.requests += 1
        return await nonces.in_turn(fetch(url, *more, **named))

    def answered(
        code: int, reason: str, url: str, method: str, headers: Any, body: str, *more: Any
    ) -> Any:
        trace = _TRACE.get()
        if trace is not None:
            trace.answered += 1
            trace.status = int(code)
            trace.headers = {name.lower(): str(value) for name, value in headers.items()}
        if code == OK and not _readable(body):
            # ccxt would read it as an answer with nothing in it: no order, no fill, no balance.
            raise bad_response(f"{client.id} {method} answered with no JSON: {body[:TEXT_SHOWN]}")
        return heard(code, reason, url, method, headers, body, *more)

    def connected(url: str) -> Any:
        hosts.check(url)
        return socket_to(url)

    client.fetch, client.on_rest_response, client.client = counted, answered, connected


def _readable(body: str) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


class Caller:
    """Makes the calls of one account, as many at a time as are asked for."""

    def __init__(self, account: Account, nonces: Nonces) -> None:
        self.client = open_client(account, nonces)
        self._secrets: tuple[Secret, ...] = account.keys
        counted = account.exchange in COUNTED_NONCES
        self._clocked = "timeDifference" in self.client.options and not counted

    async def load(self) -> None:
        """Ask for the exchange's listings, which every other call needs; raises what ccxt raises."""
        await self.client.load_markets()

    async def close(self) -> None:
        """Close all connections."""
        await self.client.close()

    async def answer(self, payload: bytes) -> Said:
        """Do the work of a request; what it gave or how it failed. Never raises but CancelledError."""
        trace = _Trace()
        _TRACE.set(trace)
        work = _WORK(payload)
        if self._clocked and work.venue_ms:
            self.client.options["timeDifference"] = self.client.milliseconds() - work.venue_ms
        try:
            results = [await self._run(call) for call in work.calls]
            payload = _JSON.encode(results)
        except Exception as error:  # noqa: BLE001 -- ccxt's clients raise anything; it is told
            return self._failed(error, trace)
        return Said(trace.status or OK, payload, _told(trace.headers), "")

    async def _run(self, call: Call) -> Any:
        params = (dict(call.params),) if call.params else ()
        method = getattr(self.client, call.method)
        args = call.args if not params else _filled(call)
        return result_of(call.kind, await method(*args, *params))

    def _failed(self, error: Exception, trace: _Trace) -> Said:
        headers = (*_told(trace.headers), (REQUESTS, str(trace.requests)))
        failure, text = type(error).__name__, self.told(error)
        if trace.answered < trace.requests:  # the last one had no answer
            failure = _of_the_way(error, trace)
            return Said(0, text, headers, failure)
        return Said(trace.status, text, headers, failure)

    def told(self, error: BaseException) -> bytes:
        """An error's text without keys and without the query of an address."""
        text = _QUERY.sub("", str(error))
        for secret in self._secrets:
            if secret:
                text = text.replace(secret.reveal(), "***")
        return text[:TEXT_MAX].encode()


def _filled(call: Call) -> tuple[str | int | None, ...]:
    """The arguments before `params`: ccxt's methods take them by place."""
    return call.args + (None,) * (PLACES.get(call.method, len(call.args)) - len(call.args))


PLACES: Mapping[str, int] = {
    "create_order": 5,
    "cancel_order": 2,
    "fetch_order": 2,
    **dict.fromkeys(
        ("fetch_open_orders", "fetch_closed_orders", "fetch_orders", "fetch_my_trades"), 3
    ),
}
"""How many arguments ccxt's unified methods have before `params`."""


def _told(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, headers[name]) for name in HEADERS if name in headers)


def _of_the_way(error: Exception, trace: _Trace) -> str:
    """Why no answer came: 'unsent' only where no connection was there to send anything on."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, aiohttp.ClientConnectorError | socket.gaierror):
            return "unsent" if trace.requests == 1 else "disconnected"
        if isinstance(cause, TimeoutError):
            return "timeout"
        cause = cause.__cause__
    return "disconnected"
