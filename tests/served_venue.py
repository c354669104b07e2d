"""A venue of the simulated exchange on a loopback port, its market made by the tests, not by a flow."""

from collections.abc import Callable
from typing import Generic, TypeVar

from engine.edges.exchange_sockets import ExchangeServer
from engine.exchange.exchange import Exchange
from engine.exchange.faults import Faults
from engine.exchange.front import Front
from engine.exchange.orders import NewOrder, Order
from engine.exchange.wires.wire import Answer, Call, Wire
from ext.matching import LIMIT, MARKET

T = TypeVar("T")
W = TypeVar("W", bound=Wire)


class AtOnce:
    """No latency."""

    def way_there(self, now_ns: int) -> int:
        """None."""
        return 0

    way_back = feed = way_there


class ServedVenue(Generic[W]):
    """An exchange with one wire in front of it; `make` is given when it begins."""

    def __init__(
        self, name: str, make: Callable[[int], tuple[Exchange, W]], begin_ns: int | None = None
    ) -> None:
        now_ns = ExchangeServer({}, _operate).now_ns() if begin_ns is None else begin_ns
        self.exchange, self.wire = make(now_ns)
        self.faults = Faults(1, "alpha", (), now_ns)
        self.front = Front(self.exchange, {name: self.wire}, AtOnce(), self.faults)
        self.server = ExchangeServer({"alpha": self.front}, _operate)
        self.port = 0
        self._at = f"127.0.0.1:{{}}/alpha/{name}"

    async def open(self) -> None:
        """Listen."""
        self.port = await self.server.open()

    async def close(self) -> None:
        """Hang up."""
        await self.server.close()

    @property
    def http(self) -> str:
        """Where requests go."""
        return "http://" + self._at.format(self.port)

    @property
    def ws(self) -> str:
        """Where websockets go."""
        return "ws://" + self._at.format(self.port)

    def do(self, act: Callable[[int], T]) -> T:
        """Something happens at the exchange; its clients hear of it."""
        result = self.front.do(act, self.server.now_ns())
        self.server._advance(self.server._venues["alpha"])
        return result

    def trade(self, side: int, lots: int, number: int = 0) -> Order:
        """The maker's market order."""
        new = NewOrder(number, side, MARKET, lots)
        return self.do(lambda now_ns: self.exchange.place("maker", new, now_ns))

    def quote(self, side: int, ticks: int, lots: int, number: int = 0) -> Order:
        """The maker's limit order."""
        new = NewOrder(number, side, LIMIT, lots, ticks)
        return self.do(lambda now_ns: self.exchange.place("maker", new, now_ns))


def _operate(front: Front, call: Call, now_ns: int) -> Answer:
    raise NotImplementedError
