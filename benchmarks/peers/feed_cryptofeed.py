"""cryptofeed's way from a depth frame to the best price, in an interpreter that has cryptofeed.

A text frame is given to its Binance feed's own `message_handler`, which decodes it, changes the book
and calls the callback back; there both best prices are read. With `unread` the callback reads
nothing: its book puts a side in order when it is first read after a change, so this shows the frame
without that cost, and the best price is then read once, after the last frame.
There is no network: the snapshot comes by the feed's `http_conn`, where its REST answer would be.
"""

import asyncio
import sys
import time

from cryptofeed.defines import BINANCE, L2_BOOK
from cryptofeed.exchanges import Binance
from cryptofeed.symbols import Symbols

from benchmarks.feed_frames import FeedFrames
from benchmarks.peers.feed_turns import Tops, Turn, speak


class Body:
    """A REST connection that has one answer."""

    def __init__(self, body: bytes) -> None:
        self._text = body.decode()

    async def read(self, _address):
        """The answer."""
        return self._text


async def _turn(frames: FeedFrames, unread: bool) -> tuple[list[int], Tops]:
    native = frames.symbol
    pair = f"{native[:3]}-{native[3:]}"
    Symbols.set(BINANCE, {pair: native}, {})
    tops: Tops = []

    async def read(book, _received):
        sides = book.book
        tops.append((sides.bids.index(0)[0], sides.asks.index(0)[0]))

    async def leave(book, _received):
        pass

    called = {L2_BOOK: leave if unread else read}
    feed = Binance(symbols=[pair], channels=[L2_BOOK], callbacks=called)
    feed.http_conn = Body(frames.snapshot)
    await feed._snapshot(native)
    tops.clear()
    texts = [frame.decode() for frame in frames.lead]
    clock_ns, handle = time.perf_counter_ns, feed.message_handler
    taken_ns: list[int] = []
    for text in texts:
        started_ns = clock_ns()
        await handle(text, None, 0.0)
        taken_ns.append(clock_ns() - started_ns)
    if unread:
        await read(feed._l2_book[pair], 0.0)
    return taken_ns, tops


def turn_of(unread: bool) -> Turn:
    """A turn that takes all frames through a new feed."""
    return lambda frames: asyncio.run(_turn(frames, unread))


if __name__ == "__main__":
    speak("cryptofeed", turn_of(unread="unread" in sys.argv[2:]))
