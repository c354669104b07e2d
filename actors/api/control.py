"""What an operator may say to the running engine: each needs the token and enters the journal first.

A word goes into the view actor's inbox; the view passes it on to whom it concerns. What becomes of it
is told where everything is: /api/v1/risk, /api/v1/venues, /api/v1/differences, /api/v1/orders.
"""

from typing import Annotated, Any, Literal

import msgspec
from litestar import post
from litestar.exceptions import HTTPException
from litestar.params import JSONBody
from msgspec import Meta

from actors.api.source import Source
from engine.messages import (
    CancelAll,
    OrderState,
    Reconcile,
    ResolveUnknown,
    Risk,
    Scope,
    SetBreaker,
    SetLimit,
    SetRiskLevel,
)

Who = Annotated[str, Meta(min_length=1, max_length=60)]
Text = Annotated[str, Meta(max_length=100)]
Level = Literal["NORMAL", "CAUTION", "RESTRICTED", "HALT", "SHUTDOWN"]
ScopeName = Literal["GLOBAL", "VENUE", "ASSET", "BOT", "INSTRUMENT"]
Final = Literal["FILLED", "CANCELLED", "REJECTED", "EXPIRED"]


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What every word has: who says it, for the record."""

    who: Who


class RiskLevelBody(Body):
    """Move the RiskGuard to a level; the only way down from HALT."""

    level: Level


class LimitBody(Body):
    """Change a limit; an empty `value` takes back what the configuration says."""

    scope: ScopeName
    name: Text
    subject: Text = ""
    value: Text = ""


class VenueBody(Body):
    """Which venue is meant."""

    venue: Text


class BreakerBody(VenueBody):
    """Open a venue's circuit breaker, or close it."""

    open: bool


class ResolveBody(VenueBody):
    """What became of an UNKNOWN order, by evidence of the operator's own."""

    client_order_id: Text
    state: Final


class CancelAllBody(Body):
    """Cancel every open order of ours: at one venue, or at all of them."""

    venue: Text = ""


class Said(msgspec.Struct):
    """The word stands in the journal; what becomes of it is told elsewhere."""

    said: str


def _venue(source: Source, name: str) -> int:
    venues = source.monitor.instruments.venues
    if name not in venues:
        detail = f"there is no such venue; known: {', '.join(venues)}"
        raise HTTPException(status_code=400, detail=detail, extra={"field": "venue"})
    return venues.index(name)


def control_routes(source: Source, guarded: dict[str, Any]) -> list[Any]:
    """The routes; `guarded` is what every one that changes something has."""

    @post("/api/v1/risk-level", **guarded)
    def risk_level(data: JSONBody[RiskLevelBody]) -> Said:
        """Move the RiskGuard to a level."""
        source.tell(lambda n: SetRiskLevel(0, n, 0, Risk[data.level], data.who))
        return Said(f"the RiskGuard is told to go to {data.level}")

    @post("/api/v1/limits", **guarded)
    def limits(data: JSONBody[LimitBody]) -> Said:
        """Change a limit; the RiskGuard may refuse one that contradicts others, and says why."""
        scope, subject, name, value = Scope[data.scope], data.subject, data.name, data.value
        source.tell(lambda n: SetLimit(0, n, 0, scope, subject, name, value, data.who))
        return Said(f"the RiskGuard is told {name} = {value or 'as configured'}")

    @post("/api/v1/breakers", **guarded)
    def breakers(data: JSONBody[BreakerBody]) -> Said:
        """Open or close a venue's circuit breaker."""
        venue = _venue(source, data.venue)
        source.tell(lambda n: SetBreaker(0, n, 0, venue, data.open, data.who))
        return Said(f"{data.venue} is told to {'open' if data.open else 'close'} its breaker")

    @post("/api/v1/reconcile", **guarded)
    def reconcile(data: JSONBody[VenueBody]) -> Said:
        """Compare orders, fills and balances with a venue now."""
        venue = _venue(source, data.venue)
        source.tell(lambda n: Reconcile(0, n, 0, venue, data.who))
        return Said(f"{data.venue} is compared with")

    @post("/api/v1/resolve-unknown", **guarded)
    def resolve_unknown(data: JSONBody[ResolveBody]) -> Said:
        """Say what became of an UNKNOWN order."""
        venue, state, name = (
            _venue(source, data.venue),
            OrderState[data.state],
            data.client_order_id,
        )
        source.tell(lambda n: ResolveUnknown(0, n, 0, venue, name, state, data.who))
        return Said(f"{data.venue} is told that {name} is {data.state}")

    @post("/api/v1/cancel-all", **guarded)
    def cancel_all(data: JSONBody[CancelAllBody]) -> Said:
        """Cancel every open order of ours."""
        venue = _venue(source, data.venue) if data.venue else -1
        source.tell(lambda n: CancelAll(0, n, 0, venue, data.who))
        return Said(f"every open order at {data.venue or 'all venues'} is to be cancelled")

    return [risk_level, limits, breakers, reconcile, resolve_unknown, cancel_all]
