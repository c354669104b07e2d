"""A gateway at a simulated exchange that goes wrong, without sockets: by a seed, and watched at each step.

The exchange, its wires and faults are the real ones, and so are the private protocols. The world draws orders,
cancels, kills, restarts and lost connections; what must always hold is checked with every message.
"""

import heapq
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from engine.config import Config, instruments_of, parse
from engine.edges.exchange_server import make_exchange, make_front, make_wires
from engine.edges.secrets import Keys, Secret
from engine.exchange.accounts import credentials
from engine.exchange.front import Answered
from engine.exchange.wires.wire import Call
from engine.messages import (
    BUY,
    SELL,
    Answer,
    AnyMessage,
    CancelAll,
    CancelCommand,
    OrderCommand,
    OrderIntent,
    OrderRequest,
    Reason,
    RequestRefused,
    SendFrame,
    SetTimer,
    TimeInForce,
    VenueCall,
)
from engine.orders.gateway import Gateway, GatewayState
from engine.orders.identity import client_order_id, deployment_prefix
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
from engine.venues.simulated_trading import SimulatedTrading
from engine.venues.trading import Trading
from tests.gateway_watch import Watched

DEMO = (Path(__file__).parent.parent / "configs" / "demo.toml").read_text()
CALM = "events_per_second = 20"  # the market's flow is not what is tested
MS = 1_000_000
SECOND = 1_000 * MS
BEGIN = 1_700_000_000 * SECOND
UPKEEP_NS = 250 * MS
CONNECTION = 7
ACCOUNT = "main"
GATE_HOLDS = 0.02


def configured(faults: str = "", venue: str = "") -> Config:
    """The demo with a plan of faults and settings of its first venue."""
    text = re.sub("(?m)^events_per_second = .*$", CALM, DEMO).replace(
        'name = "alpha"\n', f'name = "alpha"\n{venue}\n', 1
    )
    return parse(f"{text}\n[exchange.faults]\nseed = 5\n{faults}", "gateway's world")


class World(Watched):
    """See the module. `told` are all messages that came out of the gateway."""

    def __init__(self, config: Config, protocol: str, seed: int) -> None:
        self.config = config
        self.protocol = protocol
        self.random = Random(f"{protocol}/{seed}")
        self.now_ns = BEGIN
        self.exchange = make_exchange(config, 0, BEGIN)
        self.front = make_front(config, self.exchange, BEGIN, make_wires(config, self.exchange))
        super().__init__(instruments_of(config).of_venue(0))
        key, secret = credentials(config.name, ACCOUNT)
        self.keys = Keys(Secret(key), Secret(secret.decode()), Secret(""))
        self.told: list[AnyMessage] = []
        self.epoch = 0
        self.commanded: dict[str, OrderCommand] = {}
        self._count = 0
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._line = 0
        self._connected = False
        self._frozen = False
        self._token = ""
        self._nonce = 0
        self._payloads: dict[int, bytes] = {}
        self._calls: dict[int, int] = {}
        self._queue: list[tuple[int, Any]] = []
        self._asking = False
        self.gateway = self._make()
        self._start(None)

    # --- the gateway's life -------------------------------------------------------------------------

    def _make(self) -> Gateway:
        natives = {i.id: i.symbol for i in self.instruments}
        trading: Trading
        if self.protocol == "simulated":
            trading = SimulatedTrading(self.instruments, natives)
        elif self.protocol == "binance":
            names = {i.id: i.symbol.replace("/", "") for i in self.instruments}
            trading = BinanceTrading(self.instruments, names, {})
        else:
            trading = KrakenTrading(self.instruments, natives, {}, "pro")
        venue = self.config.venues[0]
        prefix = deployment_prefix(self.config.name)
        return Gateway(1, 0, trading, venue, self._stamp, prefix, CONNECTION)

    def _stamp(self) -> int:
        self._count += 1
        return self._count

    def _start(self, state: bytes | None) -> None:
        self.gateway = self._make()
        if state is not None:
            self.gateway.restore(msgspec.msgpack.decode(state, type=GatewayState))
        self.epoch += 1
        self._frozen = False
        self._take(self.gateway.started(self.epoch if state is not None else 1, self.now_ns))
        self.connect()

    def crash(self, down_ns: int, forgets: bool = False) -> None:
        """The gateway dies and comes back from its snapshot (or without any); answers are lost."""
        state = None if forgets else msgspec.msgpack.encode(self.gateway.snapshot())
        self._frozen = True
        self._calls.clear()
        self._queue.clear()
        if self._connected:
            self.front.disconnect(self._line, self.now_ns)
            self._connected = False
        self.at(self.now_ns + down_ns, lambda: self._start(state))

    def connect(self) -> None:
        """Open the connection that tells of our account."""
        if self._connected or self._frozen:
            return
        self._line += 1
        if self.protocol == "simulated":
            self.front.connect(self._line, self.protocol, "", "", self.now_ns)
        else:
            path = ENDPOINTS[self.protocol].path
            self.front.connect(self._line, self.protocol, path, "", self.now_ns)
            token = token_call(self.protocol)
            if token is not None:
                self._call(0, token)
                return
        self._connected = True
        self._take(self.gateway.connected(self.now_ns))

    def hang_up(self) -> None:
        """The connection is lost; the client is back a little later."""
        if not self._connected or self._frozen:
            return
        self.front.disconnect(self._line, self.now_ns)
        self._lost()

    def _lost(self) -> None:
        self._connected = False
        self._take(self.gateway.disconnected(self.now_ns))
        self.at(self.now_ns + self.random.randrange(20, 400) * MS, self.connect)

    # --- time ---------------------------------------------------------------------------------------

    def at(self, at_ns: int, act: Callable[[], None]) -> None:
        """Do something later."""
        heapq.heappush(self._due, (at_ns, self._stamp(), act))

    def run(self, until_ns: int) -> None:
        """Everything up to a time, in order."""
        while True:
            next_ns = min(self._due[0][0] if self._due else until_ns, self.front.next_due_ns())
            if next_ns >= until_ns:
                self.now_ns = until_ns
                return
            self.now_ns = max(self.now_ns, next_ns)
            for output in self.front.advance(self.now_ns):
                self._hear(output)
            while self._due and self._due[0][0] <= self.now_ns:
                heapq.heappop(self._due)[2]()

    def keep_time(self) -> None:
        """The upkeep timer, for ever."""
        if not self._frozen:
            self._take(self.gateway.tick(self.now_ns))
        self.at(self.now_ns + UPKEEP_NS, self.keep_time)

    # --- to and fro ---------------------------------------------------------------------------------

    def _hear(self, output: Any) -> None:
        if isinstance(output, Answered):
            self._answer(output)
        elif output.connection != self._line or not self._connected:
            return
        elif output.payload is None:
            self._lost()
        else:
            payload, now_ns = output.payload, self.now_ns
            account = self.protocol != "simulated" or not payload.startswith(
                (b'{"type":"update"', b'{"type":"snapshot"', b'{"type":"trade"')
            )
            if account:
                self._take(self.gateway.news.heard(payload, now_ns, now_ns))

    def _answer(self, output: Answered) -> None:
        answer = output.answer
        self._asking = False
        if self._queue:
            self._call(*self._queue.pop(0))
        if output.call == 0:
            try:
                if answer is None or self._frozen:
                    raise ValueError("no token")
                self._token = token_of(answer.body)
            except ValueError:
                self.at(self.now_ns + 500 * MS, self.connect)
                return
            self._connected = True
            self._take(self.gateway.connected(self.now_ns))
            return
        call = self._calls.pop(output.call, None)
        if call is None or self._frozen or answer is None:
            return  # nobody is there any more, or none will ever come
        headers = {name.lower(): value for name, value in answer.headers}
        told = tuple((name, headers[name]) for name in HEADERS_TOLD if name in headers)
        message = Answer(0, 1, self.now_ns, 0, call, answer.status, answer.body, told)
        self._take(self.gateway.news.answer(message, self.now_ns))

    def _call(self, number: int, call: Any) -> None:
        if self.protocol == "kraken":  # its nonces must arrive in order: one call at a time
            if self._asking:
                self._queue.append((number, call))
                return
            self._asking = True
        self._nonce += 1
        place = 0
        if number:
            place = self._stamp()
            self._calls[place] = number
        signed = http_call(self.protocol, call, self.keys, self._nonce)
        self.front.call(place, self.protocol, Call(*signed), self.now_ns)

    def _send(self, payload: bytes) -> bool:
        if not self._connected:
            return False
        if self.protocol != "simulated":
            frame = decode(payload)
            assert isinstance(frame, NativeFrame)
            payload = frame_bytes(self.protocol, frame, self.keys, self._token)
        self.front.receive(self._line, payload, self.now_ns)
        return True

    def _take(self, messages: Iterable[AnyMessage]) -> None:
        """What came out of the gateway: effects are done, all is watched."""
        refusals: list[RequestRefused] = []
        for message in messages:
            self.told.append(message)
            self.watch(message, self.gateway.killed)
            if isinstance(message, SetTimer):
                self.at(message.at_ns, self._paced)
            elif isinstance(message, OrderRequest):
                refusals += self._request(message)
            elif isinstance(message, VenueCall):
                self._call(message.call, call_of(message.payload))
            elif isinstance(message, SendFrame):
                self._send(message.payload)
        for refusal in refusals:
            self._take(self.gateway.refused(refusal, self.now_ns))

    def _paced(self) -> None:
        if not self._frozen:
            self._take(self.gateway.paced(self.now_ns))

    def _request(self, request: OrderRequest) -> list[RequestRefused]:
        reason = Reason.NONE
        if request.raises_exposure and self.random.random() < GATE_HOLDS:
            reason = Reason.KILLED
        elif request.call:
            self._call(request.call, call_of(request.payload))
        elif not self._send(request.payload):
            reason = Reason.NOT_CONNECTED
        if not reason:
            return []
        name, call, kind = request.client_order_id, request.call, request.kind
        return [RequestRefused(0, self._stamp(), 0, 0, name, reason, call, kind)]

    # --- what a strategy and an operator do -----------------------------------------------------------

    def order(self, **more: Any) -> str:
        """One order by chance, around the market; its id."""
        draw = self.random
        instrument = draw.choice(self.instruments)
        bids, asks = self.exchange.markets[instrument.id].depth(1)
        side = draw.choice((BUY, SELL))
        levels = asks if side == BUY else bids
        ticks = (levels or bids or asks or [(6_000_000, 1)])[0][0]
        ticks += side * draw.choice((-30, -10, -2, 0, 1, 5)) * max(1, ticks // 100_000)
        lots = draw.randrange(1, 40) * max(1, 3_000_000 // ticks * 100)
        force = draw.choice((TimeInForce.IOC, TimeInForce.GTC, TimeInForce.GTC, TimeInForce.FOK))
        number = len(self.commanded)
        name = client_order_id(self.config.name, ACCOUNT, "bot", 1, number, 0, "x")
        fields: dict[str, Any] = {
            "post_only": force is TimeInForce.GTC and draw.random() < 0.2,
            "flattening": False,
        } | more
        intent = OrderIntent(
            2, number, self.now_ns, name, 2, number, 0, 0, instrument.id, side, ticks, lots, force,
            self.now_ns + 250 * MS, **fields,
        )  # fmt: skip
        command = OrderCommand(3, number, self.now_ns, intent, 1, bool(intent.flattening))
        self.commanded[name] = command
        self._take(self.gateway.place(command, True, self.now_ns))
        return name

    def again(self) -> None:
        """A command comes once more."""
        if self.commanded:
            command = self.random.choice(list(self.commanded.values()))
            self._take(self.gateway.place(command, True, self.now_ns))

    def cancel(self) -> None:
        """Cancel one of what is open."""
        if self.gateway.desk.open:
            name = self.random.choice(list(self.gateway.desk.open))
            command = CancelCommand(3, 1, self.now_ns, name, 2, 0, 0)
            self._take(self.gateway.cancel(command, self.now_ns))

    def kill(self, on: bool) -> None:
        """The kill switch."""
        if self._frozen:
            self.at(self.now_ns + 100 * MS, lambda: self.kill(on))
        else:
            self._take(self.gateway.kill(on, self.now_ns))

    def cancel_all(self) -> None:
        """An operator's word."""
        if not self._frozen:
            self._take(self.gateway.cancel_all(CancelAll(0, 1, 0, 0, "test"), self.now_ns))

    def act(self) -> None:
        """Something by chance, and again soon."""
        draw = 1.0 if self._frozen else self.random.random()
        if draw < 0.62:
            self.order(flattening=self.random.random() < 0.05)
        elif draw < 0.9:
            self.cancel()
        elif draw < 0.94:
            self.again()
        elif draw < 0.944:
            self.cancel_all()
        elif draw < 0.947:
            self.kill(True)
            self.at(self.now_ns + 700 * MS, lambda: self.kill(False))
        elif draw < 0.95:
            self.hang_up()
        elif draw < 0.953:
            self.crash(self.random.randrange(1, 1500) * MS)
        self.at(self.now_ns + self.random.randrange(1, 60) * MS, self.act)

    def live(self, seconds: float) -> None:
        """Trade for so long, then fall quiet: faults end, nothing new is begun."""
        self.at(self.now_ns + 500 * MS, self.act)
        self.at(self.now_ns, self.keep_time)
        self.run(self.now_ns + int(seconds * SECOND))
        self.act = lambda: None  # type: ignore[method-assign]
        for number, _, _, _ in list(self.exchange.faults.armed()):
            self.front.turned(self.exchange.faults.clear(number, self.now_ns), self.now_ns)
        self.run(self.now_ns + 3 * SECOND)
        self.kill(False)
        self.cancel_all()
        # Kraken lets an account ask a few things in twenty seconds: it takes its time to agree.
        self.run(self.now_ns + (300 if self.protocol == "kraken" else 75) * SECOND)
        assert not self._frozen
        self.agree(self.gateway, self.exchange, self.told)
