"""The parts of NautilusTrader put together for `nautilus_path`; imported in its interpreter only."""

import asyncio
import socket
import time
from collections.abc import Callable

import msgspec
import uvloop
from nautilus_trader.adapters.binance.common.schemas.market import (
    BinanceOrderBookData,
    BinanceOrderBookDelta,
)
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus
from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.config import LiveRiskEngineConfig, RiskEngineConfig
from nautilus_trader.data.client import MarketDataClient
from nautilus_trader.data.engine import DataEngine
from nautilus_trader.execution.client import ExecutionClient
from nautilus_trader.execution.engine import ExecutionEngine
from nautilus_trader.live.data_engine import LiveDataEngine
from nautilus_trader.live.execution_client import LiveExecutionClient
from nautilus_trader.live.execution_engine import LiveExecutionEngine
from nautilus_trader.live.risk_engine import LiveRiskEngine
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.enums import AccountType, BookType, OmsType, OrderSide, TimeInForce
from nautilus_trader.model.identifiers import AccountId, ClientId, TraderId, Venue, VenueOrderId
from nautilus_trader.model.objects import AccountBalance, Currency, Money
from nautilus_trader.portfolio.portfolio import Portfolio
from nautilus_trader.risk.engine import RiskEngine
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

from benchmarks.frames import ticking_snapshot

VENUE = Venue("BINANCE")
CLIENT = ClientId("BINANCE")
TRADER = TraderId("BENCH-001")
INSTRUMENT = TestInstrumentProvider.btcusdt_binance()
DECODER = msgspec.json.Decoder(BinanceOrderBookData)
# Its default of 100 orders a second would refuse the load.
RATE = "1000000/00:00:01"
TURNS_MAX = 10_000


class Feed(MarketDataClient):
    """The receiving half of the Binance adapter: frame bytes to OrderBookDeltas."""

    def subscribe_order_book_deltas(self, command):
        """Nothing to ask for: the frames come by `receive`."""
        self._add_subscription_order_book_deltas(command.instrument_id)

    def snapshot(self, body: bytes) -> None:
        """Start the book from a REST body, as the adapter does."""
        fields = msgspec.json.decode(body)
        sides = {
            side: [BinanceOrderBookDelta(*level) for level in fields[name]]
            for side, name in (("b", "bids"), ("a", "asks"))
        }
        last = fields["lastUpdateId"]
        data = BinanceOrderBookData(
            e="", E=1, s=INSTRUMENT.raw_symbol.value, U=last, u=last, **sides
        )
        self._handle_data(data.parse_to_order_book_deltas(INSTRUMENT.id, 0, snapshot=True))

    def decode(self, raw: bytes) -> OrderBookDeltas:
        """One depth frame, as in `_handle_book_diff_update` of the adapter."""
        data = DECODER.decode(raw)
        return data.parse_to_order_book_deltas(INSTRUMENT.id, self._clock.timestamp_ns())

    def handle(self, deltas: OrderBookDeltas) -> None:
        """What the adapter does next: give them to the DataEngine."""
        self._handle_data(deltas)

    def receive(self, raw: bytes) -> None:
        """Both, one after the other."""
        self._handle_data(self.decode(raw))


class Taker(Strategy):
    """Buys at the best ask, immediate or cancel, on each change of the book."""

    armed = False

    def on_start(self):
        """Ask for the book, kept by the DataEngine."""
        self.quantity = INSTRUMENT.make_qty("0.01")
        self.subscribe_order_book_deltas(INSTRUMENT.id, book_type=BookType.L2_MBP)

    def on_order_book_deltas(self, deltas):
        """Read the top and order."""
        if not self.armed:
            return
        ask = self.cache.order_book(INSTRUMENT.id).best_ask_price()
        order = self.order_factory.limit(
            instrument_id=INSTRUMENT.id,
            order_side=OrderSide.BUY,
            quantity=self.quantity,
            price=INSTRUMENT.make_price(ask),
            time_in_force=TimeInForce.IOC,
        )
        self.submit_order(order)


class Wire:
    """The sending half of a gateway: order bytes to a loopback socket, and when they left."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self._near = socket.create_connection(server.getsockname())
            self._far = server.accept()[0]
        self._near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.order = None
        self.sent_ns = 0
        self.on_sent = lambda: None

    def submit(self, client, order) -> None:
        """What the adapter does at least: the submitted event, the bytes, the send."""
        client.generate_order_submitted(
            order.strategy_id, order.instrument_id, order.client_order_id, client.timestamp_ns()
        )
        text = (
            f'{{"id":"{order.client_order_id}","method":"order.place","params":{{"symbol":'
            f'"{order.instrument_id.symbol}","side":"BUY","type":"LIMIT","timeInForce":"IOC",'
            f'"price":"{order.price}","quantity":"{order.quantity}"}}}}'
        ).encode()
        self.sent_ns = time.perf_counter_ns()
        self._near.send(text)
        self.order = order
        self.on_sent()

    def settle(self, client) -> None:
        """The exchange's answer, outside of what is measured: read the order, cancel it."""
        self._far.recv(4096)
        client.generate_order_canceled(
            self.order.strategy_id,
            self.order.instrument_id,
            self.order.client_order_id,
            VenueOrderId("1"),
            client.timestamp_ns(),
        )

    def close(self) -> None:
        """Close both ends."""
        self._near.close()
        self._far.close()


class DirectGateway(ExecutionClient):
    """Called by the base ExecutionEngine."""

    wire: Wire

    def timestamp_ns(self):
        """The engine's clock."""
        return self._clock.timestamp_ns()

    def submit_order(self, command):
        """Send at once."""
        self.wire.submit(self, command.order)


class LiveGateway(LiveExecutionClient):
    """Called by the LiveExecutionEngine, which starts a task an order."""

    wire: Wire

    def timestamp_ns(self):
        """The engine's clock."""
        return self._clock.timestamp_ns()

    async def _submit_order(self, command):
        self.wire.submit(self, command.order)


class Node:
    """One trader's engines, its strategy and both of its clients, wired one way or the other."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        clock = LiveClock()
        bus = MessageBus(trader_id=TRADER, clock=clock)
        cache = Cache()
        cache.add_instrument(INSTRUMENT)
        portfolio = Portfolio(bus, cache, clock)
        parts = {"msgbus": bus, "cache": cache, "clock": clock}
        ours = parts | {
            "client_id": CLIENT,
            "venue": VENUE,
            "oms_type": OmsType.NETTING,
            "account_type": AccountType.CASH,
            "base_currency": None,
        }
        if loop is None:
            self.data = DataEngine(**parts)
            risk = RiskEngine(
                portfolio, **parts, config=RiskEngineConfig(max_order_submit_rate=RATE)
            )
            execution = ExecutionEngine(**parts)
            self.gateway = DirectGateway(**ours)
        else:
            self.data = LiveDataEngine(loop, **parts)
            config = LiveRiskEngineConfig(max_order_submit_rate=RATE)
            risk = LiveRiskEngine(loop, portfolio, **parts, config=config)
            execution = LiveExecutionEngine(loop, **parts)
            self.gateway = LiveGateway(loop, **ours, instrument_provider=InstrumentProvider())
        self.gateway.wire = self.wire = Wire()
        self.feed = Feed(client_id=CLIENT, venue=VENUE, **parts)
        self.data.register_client(self.feed)
        execution.register_client(self.gateway)
        self._engines = (self.data, risk, execution)
        self.taker = Taker()
        self.taker.register(TRADER, portfolio, bus, cache, clock)

    def start(self) -> None:
        """Start the engines and fund the account."""
        for engine in self._engines:
            engine.start()
        self.gateway._set_account_id(AccountId("BINANCE-001"))
        total = [Money(10**9, Currency.from_str(asset)) for asset in ("USDT", "BTC")]
        balances = [AccountBalance(money, Money(0, money.currency), money) for money in total]
        self.gateway.generate_account_state(balances, [], reported=True, ts_event=0)
        self.taker.start()

    def stop(self) -> None:
        """Stop everything."""
        self.taker.stop()
        for engine in self._engines:
            engine.stop()
        self.wire.close()


def _pause(due_ns: int) -> None:
    time.sleep(max(0, due_ns - time.perf_counter_ns()) / 1e9)


async def _until(reached: Callable[[], bool]) -> None:
    """Let the queues run until a condition holds; a bounded number of turns of the loop."""
    for _ in range(TURNS_MAX):
        if reached():
            return
        await asyncio.sleep(0)
    raise TimeoutError("NautilusTrader did not get there")


def _run_direct(frames: list[bytes], interval_us: int, decoded: bool) -> list[int]:
    """Engines that call each other, in this thread; `decoded` starts the clock after decoding."""
    node = Node(None)
    node.start()
    node.feed.snapshot(ticking_snapshot())
    node.taker.armed = True
    give = node.feed.handle if decoded else node.feed.receive
    latencies = []
    due_ns = time.perf_counter_ns()
    for frame in frames:
        given = node.feed.decode(frame) if decoded else frame
        if interval_us:
            due_ns = max(due_ns + interval_us * 1000, time.perf_counter_ns())
            _pause(due_ns)
        start_ns = time.perf_counter_ns()
        give(given)
        assert node.wire.sent_ns > start_ns, "the frame caused no order"
        latencies.append(node.wire.sent_ns - start_ns)
        node.wire.settle(node.gateway)
        assert node.wire.order.is_closed
    node.stop()
    return latencies


async def _run_live(frames: list[bytes], interval_us: int) -> list[int]:
    """Engines with queues, on this loop; a paced frame is brought by a thread, as by a socket's."""
    loop = asyncio.get_running_loop()
    node = Node(loop)
    node.start()
    await _until(lambda: bool(node.feed.subscribed_order_book_deltas()))
    node.feed.snapshot(ticking_snapshot())
    book = node.taker.cache.order_book
    await _until(lambda: book(INSTRUMENT.id).best_ask_price() is not None)
    node.taker.armed = True
    sent = asyncio.Event()
    node.wire.on_sent = sent.set
    latencies = []
    due_ns = time.perf_counter_ns()
    for frame in frames:
        if interval_us:
            due_ns = max(due_ns + interval_us * 1000, time.perf_counter_ns())
            await loop.run_in_executor(None, _pause, due_ns)
        sent.clear()
        start_ns = time.perf_counter_ns()
        node.feed.receive(frame)
        await sent.wait()
        latencies.append(node.wire.sent_ns - start_ns)
        node.wire.settle(node.gateway)
        await _until(lambda: node.wire.order.is_closed)
    node.stop()
    await asyncio.sleep(0)
    return latencies


def run(frames: list[bytes], interval_us: int, wiring: str) -> list[int]:
    """Nanoseconds from each frame to its order."""
    if wiring != "live":
        return _run_direct(frames, interval_us, decoded=wiring == "decoded")
    return uvloop.run(_run_live(frames, interval_us))
