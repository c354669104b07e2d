"""The control API: every fact readable, the kill switch and stop guarded by a token. No logic.

It binds to loopback, answers only requests that name a loopback host and come from no foreign page,
and says what is wrong with a request as an RFC 9457 problem.
"""

import asyncio
import hmac
import logging
import re
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from litestar import Litestar, MediaType, Request, Response, WebSocket, get, post, websocket
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException, ValidationException, WebSocketDisconnect
from litestar.handlers import BaseRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import FromPath, JSONBody, Parameter
from litestar.types import ASGIApp, Receive, Scope, Send

from actors.api.control import control_routes
from actors.api.page import PAGE
from actors.api.source import SECTIONS, Section, Source
from engine.views import (
    ActorView,
    BalanceView,
    BookPnLView,
    BookView,
    DifferenceView,
    EquityView,
    FillView,
    HealthView,
    OpportunityView,
    OrderView,
    PnLView,
    PositionView,
    Problem,
    RefusalView,
    RiskView,
    StateView,
    VenueView,
)

STREAM_EVERY_S = 0.2
STREAMS_MAX = 16
TRY_LATER = 1013  # the WebSocket close code of a server that has no room now
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
Rows = Annotated[int, Parameter(ge=1, le=1000, description="At most this many, newest first.")]
Levels = Annotated[int, Parameter(ge=1, le=100, description="Price levels a side.")]
PROBLEM = "application/problem+json"
_LOG = logging.getLogger("orchestrator.api")


def _answers(*statuses: int) -> dict[int, ResponseSpec]:
    """How a route's refusals stand in the OpenAPI document."""
    return {
        status: ResponseSpec(Problem, description=HTTPStatus(status).phrase, media_type=PROBLEM)
        for status in statuses
    }


class KillSwitchBody(msgspec.Struct, forbid_unknown_fields=True):
    """`on: true` stops everything that can raise exposure."""

    on: bool


class Done(msgspec.Struct):
    """What was done."""

    done: str


def _problem(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Any error as a problem document; what is not expected says no more than that."""
    status, detail, field = 500, "an unexpected error; the engine's log has it", ""
    if not isinstance(error, HTTPException):
        _LOG.error("%s %s", request.method, request.url.path, exc_info=error)
    else:
        status, detail = error.status_code, error.detail
        extra = error.extra
        if isinstance(error, ValidationException) and isinstance(extra, list) and extra:
            first = extra[0]
            if isinstance(first, dict):
                field, detail = str(first.get("key", "")), str(first.get("message", detail))
                if field == "data":  # the body as a whole: msgspec names the field in its words
                    named = re.search(r"field `(\w+)`", detail)
                    field = "" if named is None else named[1]
        elif isinstance(extra, dict):
            field = str(extra.get("field", ""))
    title = HTTPStatus(status).phrase
    problem = Problem(title=title, status=status, detail=detail, field=field)
    return Response(problem, status_code=status, media_type=PROBLEM)


def _foreign(host: str, origin: str | None) -> str:
    """The header that names another machine or another page's origin; empty when none does."""
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:  # a host such as '[::1' names nothing
        name = None
    if name not in LOOPBACK:
        return "host"
    return "" if origin is None or origin == f"http://{host}" else "origin"


class LoopbackOnly(ASGIMiddleware):
    """Refuses a Host that is not loopback (DNS rebinding) and an Origin that is not our own page's.

    A page on another port of this machine is foreign too: a browser would let it read the stream.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Check the two headers, then go on."""
        headers = {key.lower(): value.decode("latin-1").lower() for key, value in scope["headers"]}
        foreign = _foreign(headers.get(b"host", ""), headers.get(b"origin"))
        if foreign:
            problem = Problem(
                title="Forbidden",
                status=403,
                detail="this API answers to pages and hosts of this machine only",
                field=foreign,
            )
            if scope["type"] is ScopeType.WEBSOCKET:
                await send({"type": "websocket.close", "code": 4403, "reason": "forbidden"})
                return
            body = msgspec.json.encode(problem)
            content = (b"content-type", PROBLEM.encode())
            await send({"type": "http.response.start", "status": 403, "headers": [content]})
            await send({"type": "http.response.body", "body": body, "more_body": False})
            return
        await next_app(scope, receive, send)


Handlers = list[Any]


def _market_routes(source: Source) -> Handlers:
    """What is seen of the world: health, actors, venues, books, opportunities, orders, fills."""
    monitor = source.monitor

    @get("/api/v1/health", sync_to_thread=False)
    def health() -> HealthView:
        """Whether the engine is well, and its mode."""
        return source.health()

    @get("/api/v1/actors", sync_to_thread=False)
    def actors() -> list[ActorView]:
        """Every actor's state, queues and latency percentiles."""
        return source.actors()

    @get("/api/v1/venues", sync_to_thread=False)
    def venues() -> list[VenueView]:
        """Every venue's connection and counters."""
        return monitor.venues()

    @get("/api/v1/books", responses=_answers(400), sync_to_thread=False)
    def books(levels: Levels = 5) -> list[BookView]:
        """The best levels of every instrument."""
        return monitor.books(levels)

    @get(
        "/api/v1/books/{venue:str}/{symbol:path}",
        responses=_answers(400, 404),
        sync_to_thread=False,
    )
    def book(venue: FromPath[str], symbol: FromPath[str], levels: Levels = 20) -> BookView:
        """The best levels of one instrument, such as books/alpha/BTC/USDT."""
        known = monitor.books(levels)
        for found in known:
            if (found.venue, found.symbol) == (venue, symbol.removeprefix("/")):
                return found
        field = "symbol" if any(found.venue == venue for found in known) else "venue"
        names = ", ".join(f"{found.venue}/{found.symbol}" for found in known) or "none yet"
        raise HTTPException(
            status_code=404, detail=f"there is no such book; known: {names}", extra={"field": field}
        )

    @get("/api/v1/opportunities", responses=_answers(400), sync_to_thread=False)
    def opportunities(count: Rows = 50) -> list[OpportunityView]:
        """Crossings: the live ones, then the newest that ended."""
        return monitor.opportunities(count)

    @get("/api/v1/orders", responses=_answers(400), sync_to_thread=False)
    def orders(count: Rows = 50) -> list[OrderView]:
        """The newest orders."""
        return monitor.orders(count)

    @get("/api/v1/fills", responses=_answers(400), sync_to_thread=False)
    def fills(count: Rows = 50) -> list[FillView]:
        """The newest fills."""
        return monitor.fills(count)

    return [health, actors, venues, books, book, opportunities, orders, fills]


def _account_routes(source: Source) -> Handlers:
    """What it came to: refusals, positions, balances, PnL, risk; and all of it at once."""
    monitor = source.monitor

    @get("/api/v1/refusals", responses=_answers(400), sync_to_thread=False)
    def refusals(count: Rows = 50) -> list[RefusalView]:
        """The newest intents that the RiskGuard refused."""
        return monitor.refusals(count)

    @get("/api/v1/positions", sync_to_thread=False)
    def positions() -> list[PositionView]:
        """Positions net over venues."""
        return monitor.positions()

    @get("/api/v1/balances", sync_to_thread=False)
    def balances() -> list[BalanceView]:
        """What the Ledger holds, by venue and asset."""
        return monitor.balances()

    @get("/api/v1/pnl", sync_to_thread=False)
    def pnl() -> list[PnLView]:
        """Profit and loss by quote asset."""
        return monitor.pnl()

    @get("/api/v1/book-pnl", sync_to_thread=False)
    def book_pnl() -> list[BookPnLView]:
        """Profit and loss by bot, venue and pair, first in first out and at average cost."""
        return monitor.book_pnl()

    @get("/api/v1/worth", sync_to_thread=False)
    def worth() -> list[EquityView]:
        """What everything is worth in the chosen currency, and the UTC day's profit."""
        return monitor.worth()

    @get("/api/v1/differences", responses=_answers(400), sync_to_thread=False)
    def differences(count: Rows = 50) -> list[DifferenceView]:
        """Where a venue's books and ours differed, the newest first."""
        return monitor.differences(count)

    @get("/api/v1/risk", sync_to_thread=False)
    def risk() -> RiskView:
        """The RiskGuard's level and why, the kill switch, and how far a kill has come."""
        return source.risk()

    @get("/api/v1/kill-switch", sync_to_thread=False)
    def kill_switch_now() -> RiskView:
        """The kill switch as its page says now, and the RiskGuard's level."""
        return source.risk()

    @get("/api/v1/state", sync_to_thread=False)
    def state() -> StateView:
        """Every section at once, as the stream sends it first."""
        return StateView(**{name: source.section(name) for name in SECTIONS})  # type: ignore[arg-type]  # a section is its field's views

    account = [refusals, positions, balances, pnl, book_pnl, worth, differences]
    return [*account, risk, kill_switch_now, state]


def _action_routes(source: Source, token: str) -> Handlers:
    """What changes something; each needs the token."""

    def needs_token(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        given = connection.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            raise HTTPException(
                status_code=401, detail="Authorization: Bearer TOKEN is needed to change anything"
            )

    security: list[dict[str, list[str]]] = [{"token": []}]

    guarded: dict[str, Any] = {
        "guards": [needs_token],
        "security": security,
        "responses": _answers(400, 401),
        "sync_to_thread": False,
    }

    @post("/api/v1/kill-switch", **guarded, status_code=200)
    def kill_switch(data: JSONBody[KillSwitchBody]) -> RiskView:
        """Turn the kill switch; it latches, and it takes effect at every gateway's next look."""
        source.turn_kill_switch(data.on)
        return source.risk()

    @post(
        "/api/v1/stop",
        guards=[needs_token],
        security=security,
        responses=_answers(401),
        status_code=202,
        sync_to_thread=False,
    )
    def stop() -> Done:
        """Ask the engine to drain and stop."""
        source.stop()
        return Done("the engine drains and stops")

    return [kill_switch, stop, *control_routes(source, {**guarded, "status_code": 202})]


def _stream_routes(source: Source) -> Handlers:
    """The WebSocket stream; each costs the engine's actor time, so their number has an end."""
    open_streams = 0

    @websocket("/api/v1/stream")
    async def stream(socket: WebSocket[Any, Any, Any]) -> None:
        """The same views: all of them first, then those that changed, five times a second.

        A slow client is waited for and gets the newest state when it reads again.
        """
        nonlocal open_streams
        await socket.accept()
        if open_streams >= STREAMS_MAX:
            await socket.close(code=TRY_LATER, reason=f"{STREAMS_MAX} streams are open already")
            return
        open_streams += 1
        sent: dict[Section, bytes] = {}
        try:
            while True:
                changed = {}
                for name in SECTIONS:
                    data = msgspec.json.encode(source.section(name))
                    if sent.get(name) != data:
                        sent[name] = data
                        changed[name] = msgspec.Raw(data)
                if changed:
                    await socket.send_text(msgspec.json.encode(changed).decode())
                await asyncio.sleep(STREAM_EVERY_S)
        except WebSocketDisconnect:
            return
        finally:
            open_streams -= 1

    return [stream]


@get("/", media_type=MediaType.HTML, include_in_schema=False, sync_to_thread=False)
def index() -> str:
    """The API's own description for people; it loads nothing from elsewhere."""
    return PAGE


def create_app(source: Source, token: str) -> Litestar:
    """The application over a source; `token` is what a changing request must bear."""
    return Litestar(
        route_handlers=[
            *_market_routes(source),
            *_account_routes(source),
            *_action_routes(source, token),
            *_stream_routes(source),
            index,
        ],
        middleware=[LoopbackOnly()],
        exception_handlers={Exception: _problem},
        openapi_config=OpenAPIConfig(
            title="CryptoOrchestrator control API",
            version="1",
            path="/schema",
            description="Amounts are decimal strings. This version trades simulated markets only.",
            components=Components(
                security_schemes={"token": SecurityScheme(type="http", scheme="bearer")}
            ),
            render_plugins=[],
            use_handler_docstrings=True,
        ),
        request_max_body_size=64 * 1024,
        logging_config=None,
    )
