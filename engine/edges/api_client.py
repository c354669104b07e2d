"""A small client of the control API, for the terminal: one read of everything it shows."""

import http.client
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from engine.views import (
    ActorView,
    BalanceView,
    BookView,
    EquityView,
    FillView,
    HealthView,
    OpportunityView,
    OrderView,
    PnLView,
    RiskView,
    VenueView,
)

TIMEOUT_S = 1.0


class EngineView(msgspec.Struct):
    """Everything the live view shows, as the API's stream gives it."""

    health: HealthView | None = None
    actors: list[ActorView] = []
    venues: list[VenueView] = []
    books: list[BookView] = []
    opportunities: list[OpportunityView] = []
    orders: list[OrderView] = []
    fills: list[FillView] = []
    balances: list[BalanceView] = []
    pnl: list[PnLView] = []
    worth: list[EquityView] = []
    risk: RiskView | None = None


class ApiError(RuntimeError):
    """The API did not answer, or not as expected."""


_DECODER = msgspec.json.Decoder(EngineView)
_RISK = msgspec.json.Decoder(RiskView)
Decoded = TypeVar("Decoded")


class ApiClient:
    """Reads the API at an address such as http://127.0.0.1:8090."""

    def __init__(self, address: str) -> None:
        self.address = address

    def state(self) -> EngineView:
        """All sections at once; raises ApiError."""
        return _decoded(_DECODER, self._read("/api/v1/state"))

    def risk(self) -> RiskView:
        """The guard's level, the kill switch and how far a kill is; raises ApiError."""
        return _decoded(_RISK, self._read("/api/v1/risk"))

    def _read(self, path: str) -> bytes:
        parts = urlsplit(self.address)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(str(error) or type(error).__name__) from error
        finally:
            connection.close()
        if answer.status != 200:
            raise ApiError(f"status {answer.status}")
        return body


def _decoded(decoder: msgspec.json.Decoder[Decoded], body: bytes) -> Decoded:
    try:
        return decoder.decode(body)
    except msgspec.DecodeError as error:
        raise ApiError(str(error)) from error
