"""NautilusTrader's way from a depth frame to the best price, in an interpreter that has it.

A frame's bytes are given to its Binance spot data client's own `_handle_ws_message`: the wrapper is
decoded, then the depth message, which becomes OrderBookDeltas; they go over the message bus to where
the DataEngine listens. Here an OrderBook listens there and applies them; then both best prices are
read. In its favour: no DataEngine, no queue before it and no subscriber behind it.
There is no network: the snapshot is the adapter's own reading of the REST body.
"""

import asyncio
import time

import msgspec
from nautilus_trader.adapters.binance.common.schemas.market import BinanceDepth
from nautilus_trader.adapters.binance.config import BinanceDataClientConfig
from nautilus_trader.adapters.binance.http.client import BinanceHttpClient
from nautilus_trader.adapters.binance.spot.data import BinanceSpotDataClient
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus
from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.enums import BookType
from nautilus_trader.model.identifiers import InstrumentId, TraderId

from benchmarks.feed_frames import FeedFrames
from benchmarks.peers.feed_turns import Tops, speak

NOWHERE = "127.0.0.1:9"
"""Nothing is sent; the discard port would take it."""


def _client(loop: asyncio.AbstractEventLoop, bus: MessageBus) -> BinanceSpotDataClient:
    clock = LiveClock()
    return BinanceSpotDataClient(
        loop=loop,
        client=BinanceHttpClient(
            clock=clock, api_key="-", api_secret="-", base_url=f"http://{NOWHERE}"
        ),
        msgbus=bus,
        cache=Cache(),
        clock=clock,
        instrument_provider=InstrumentProvider(),
        base_url_ws=f"ws://{NOWHERE}",
        config=BinanceDataClientConfig(),
    )


def turn(frames: FeedFrames) -> tuple[list[int], Tops]:
    """All frames through a new client and a new book."""
    instrument = InstrumentId.from_str(f"{frames.symbol}.BINANCE")
    book = OrderBook(instrument, BookType.L2_MBP)
    bus = MessageBus(trader_id=TraderId("BENCH-001"), clock=LiveClock())
    bus.register("DataEngine.process", book.apply_deltas)
    loop = asyncio.new_event_loop()
    client = _client(loop, bus)
    depth = msgspec.json.decode(frames.snapshot, type=BinanceDepth)
    client._handle_data(depth.parse_to_order_book_snapshot(instrument, 0))
    clock_ns, handle = time.perf_counter_ns, client._handle_ws_message
    bid, ask = book.best_bid_price, book.best_ask_price
    taken_ns: list[int] = []
    tops: Tops = []
    for frame in frames.lead:
        started_ns = clock_ns()
        handle(frame)
        top = bid(), ask()
        taken_ns.append(clock_ns() - started_ns)
        tops.append(top)
    loop.close()
    return taken_ns, tops


if __name__ == "__main__":
    speak("nautilus_trader", turn)
