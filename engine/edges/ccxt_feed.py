"""Exchanges that have no handler of ours, through ccxt.pro, as if they were a socket.

`CcxtFeed` runs ccxt.pro's watch calls on the actor's event loop and makes frames of our own of what
they give, so that everything behind it is the same as for a socket; engine/venues/ccxt.py reads
them. What goes wrong inside ccxt.pro - a handler that raises, a connection that is closed, a book
that stands still - ends the session: its books are lost, and a new client without any of the old
one's state is opened, later each time. Listings are kept over sessions for an hour.
"""

import asyncio
import difflib
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from engine.config import VenueConfig
from engine.edges.ccxt_client import (
    Patience,
    client_class,
    levels_of,
    not_supported,
    redirected,
    trade_of,
)
from engine.edges.ccxt_session import Session
from engine.edges.venue_http import Inbox
from engine.messages import FAILED, STREAMED, Connected, Disconnected, Frame

WAIT_FIRST_S = 0.1
WAIT_MAX_S = 30.0
STEADY_S = 10.0  # a session that lived this long begins the waits anew
OPENING_S = 15.0  # a book that did not come in this time is asked for anew
LISTINGS_S = 3600.0
LEVELS_MIN = 50
MANY = 5  # from here on the call for many books is used, where the exchange has it
NEVER = 1 << 30
LOOK_S = 0.1

Call = Callable[[], Awaitable[Any]]
_JSON = msgspec.json.Encoder()
_WATCH = msgspec.json.Decoder(dict[str, str]).decode


class NotWatchable(Exception):
    """What is configured cannot be had from this exchange, now or later."""


class CcxtFeed:
    """One ccxt.pro client of one venue, opened again whenever it fails."""

    def __init__(
        self,
        inbox: Inbox,
        venue: int,
        connection: int,
        settings: VenueConfig,
        symbols: Sequence[str],
        now_ns: Callable[[], int],
    ) -> None:
        self.venue = venue
        self.connection = connection
        self.symbols = tuple(symbols)
        self.stale_s = settings.stale_ms / 1000
        self.levels = max(settings.depth_levels, LEVELS_MIN)
        self._settings = settings
        self._client = client_class(settings.exchange)
        self._inbox = inbox
        self._now_ns = now_ns
        self._session: _Session | None = None
        self._connected = False
        self._listings: tuple[Any, Any, float] | None = None
        self.patience = Patience(2 * self.stale_s)

    async def keep_open(self) -> None:
        """Watch, and watch again; ends when cancelled, or when the exchange cannot do it at all."""
        loop = asyncio.get_running_loop()
        wait_s = WAIT_FIRST_S
        while True:
            began = loop.time()
            session = self._session = _Session(self, self._open_client())
            try:
                cause = await session.run()
            except NotWatchable as error:
                self.failed(self._settings.exchange, str(error))
                return
            finally:
                self._session = None
            if loop.time() - began > STEADY_S:
                wait_s = WAIT_FIRST_S
            if cause:
                self.failed(self._settings.exchange, cause)
            # Jitter belongs to the edge: it spreads reconnects and decides nothing else.
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(wait_s * 2, WAIT_MAX_S)

    def _open_client(self) -> Any:
        """A client that knows nothing but the listings."""
        settings = self._settings
        # Compression costs more than it saves; there are no keys, so nothing private is asked.
        client = self._client({"enableRateLimit": True, "options": {"ws": {"compress": 0}}})
        urls = client.urls["api"]
        client.urls["api"] = redirected(urls, settings.rest_url, settings.stream_url)
        return client

    async def load_listings(self, client: Any) -> None:
        """Give a client the exchange's markets, asked for anew when they are old."""
        now = asyncio.get_running_loop().time()
        if self._listings is None or now - self._listings[2] > LISTINGS_S:
            await client.load_markets()
            self._listings = (client.markets, client.currencies, now)
        else:
            client.set_markets(*self._listings[:2])

    # --- what the inbox is told ------------------------------------------------------------------

    def connected(self) -> None:
        """The session's first socket is open; said once."""
        if not self._connected:
            self._connected = True
            number = self._inbox.next_shell_sequence()
            self._inbox.inject(Connected(0, number, 0, self.venue, self.connection))

    def lost(self, cause: str) -> None:
        """The session is over; said once."""
        if self._connected:
            self._connected = False
            number = self._inbox.next_shell_sequence()
            self._inbox.inject(Disconnected(0, number, 0, self.venue, self.connection, cause))

    def give(self, content: dict[str, Any]) -> None:
        """A frame."""
        self._inject(STREAMED, "", _JSON.encode(content))

    def failed(self, about: str, why: str) -> None:
        """Something raised or cannot be had: counted and recorded, with its reason."""
        self._inject(FAILED, about, why.encode())

    def _inject(self, kind: int, about: str, payload: bytes) -> None:
        number, now_ns = self._inbox.next_shell_sequence(), self._now_ns()
        self._inbox.inject(
            Frame(0, number, now_ns, self.venue, self.connection, kind, payload, about)
        )

    # --- watching anew ---------------------------------------------------------------------------

    def send(self, payload: bytes) -> bool:
        """Orders: none."""
        return False

    def send_paced(self, payload: bytes) -> bool:
        """The handler asks for a book to be watched anew; False when nothing is watched."""
        if self._session is None:
            return False
        self._session.watch_anew(_WATCH(payload)["watch"])
        return True


class _Seen:
    """What a session has of one symbol: ccxt.pro's live book, and when its content last changed."""

    def __init__(self, at: float) -> None:
        self.book: Any = None
        self.content: tuple[Any, ...] = ()
        self.levels = b""
        self.at = at
        self.told = False


class _Session:
    """The life of one ccxt.pro client."""

    def __init__(self, feed: CcxtFeed, client: Any) -> None:
        self._feed = feed
        self._client = client
        self._session = Session(client, feed.connected)
        self._loop = self._session.loop
        self._seen: dict[str, _Seen] = {}
        self._sideless = False

    async def run(self) -> str:
        """Until it fails; what raised, or '' where nothing did. Raises NotWatchable."""
        watching = self._loop.create_task(self._watch())
        return await self._session.until_over(watching, NotWatchable, self._feed.lost)

    # --- watching --------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Listings, then one task a call that is repeated, and one that looks at the books' age."""
        feed, client = self._feed, self._client
        has = client.has
        if not (has.get("watchOrderBook") or has.get("watchOrderBookForSymbols")):
            raise NotWatchable(f"ccxt's {client.id} streams no order books")
        await feed.load_listings(client)
        symbols = self._listed()
        now = self._loop.time()
        self._seen = {symbol: _Seen(now) for symbol in symbols}
        books = self._calls("watchOrderBook", symbols, MANY)
        # A call for all wakes for one symbol: a book is looked at again by `_look`, a trade is not.
        trades = self._calls("watchTrades", symbols, NEVER)
        if not trades:
            feed.failed("watchTrades", f"ccxt's {client.id} streams no trades")
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look())
            for of, call in books:
                group.create_task(self._watch_books(of, call))
            for of, call in trades:
                group.create_task(self._watch_trades(of, call))

    def _listed(self) -> list[str]:
        """The symbols that the exchange lists; raises NotWatchable where there is none."""
        markets = self._client.markets
        listed = [symbol for symbol in self._feed.symbols if symbol in markets]
        for symbol in self._feed.symbols:
            if symbol not in markets:
                near = ", ".join(difflib.get_close_matches(symbol, markets, n=5, cutoff=0.5))
                self._feed.failed(symbol, f"{self._client.id} does not list it; near: {near}")
        if not listed:
            raise NotWatchable(f"{self._client.id} lists none of {', '.join(self._feed.symbols)}")
        return listed

    def _calls(self, what: str, symbols: list[str], many: int) -> list[tuple[list[str], Call]]:
        """The calls to repeat: one a symbol, or from `many` on one for all; none without either."""
        has, client = self._client.has, self._client
        one, all_at_once = bool(has.get(what)), bool(has.get(f"{what}ForSymbols"))
        name = "watch_order_book" if what == "watchOrderBook" else "watch_trades"
        if all_at_once and (len(symbols) >= many or not one):
            return [(symbols, partial(getattr(client, f"{name}_for_symbols"), symbols))]
        watch = getattr(client, name)
        return [([symbol], partial(watch, symbol)) for symbol in symbols] if one else []

    async def _watch_books(self, symbols: list[str], call: Call) -> None:
        """Books of some symbols; what is not supported is told and not asked for again."""
        try:
            await self._session.repeat(call, self._book)
        except not_supported() as error:
            for symbol in symbols:
                del self._seen[symbol]
            if not self._seen:
                raise NotWatchable(str(error)) from error
            self._feed.failed(", ".join(symbols), str(error))

    async def _watch_trades(self, symbols: list[str], call: Call) -> None:
        try:
            await self._session.repeat(call, self._trades)
        except not_supported() as error:
            self._feed.failed(", ".join(symbols), str(error))

    def _book(self, book: Any) -> None:
        """ccxt.pro's live book: what it holds now is taken now, without a pause."""
        seen = self._seen.get(book["symbol"])
        if seen is None:
            return
        seen.book = book
        self._publish(book["symbol"], seen)

    def _publish(self, symbol: str, seen: _Seen) -> None:
        book, depth = seen.book, self._feed.levels
        bids, asks = levels_of(book["bids"], depth), levels_of(book["asks"], depth)
        levels = _JSON.encode((bids, asks))
        content = (book.get("timestamp"), book.get("nonce"), levels)
        if content == seen.content:
            return
        seen.content, seen.levels, seen.at, seen.told = content, levels, self._loop.time(), False
        self._feed.patience.changed(symbol, levels)
        told = {"t": "book", "symbol": symbol, "ts": content[0], "nonce": content[1]}
        self._feed.give(told | {"bids": bids, "asks": asks})

    def _trades(self, trades: Any) -> None:
        by_symbol: dict[str, list[dict[str, Any]]] = {}
        for item in trades:
            if item.get("side") in {"buy", "sell"}:
                by_symbol.setdefault(item["symbol"], []).append(trade_of(item))
            elif not self._sideless:
                self._sideless = True
                self._feed.failed("watchTrades", f"trades without a side are left out: {item}")
        for symbol, items in by_symbol.items():
            self._feed.give({"t": "trades", "symbol": symbol, "trades": items})

    # --- age -------------------------------------------------------------------------------------

    async def _look(self) -> None:
        """Publish what no wake-up told of, and say which books stand still.

        A call for all symbols wakes for the first book that changed; others that changed with it
        are passed over until they change again.
        """
        while True:
            await asyncio.sleep(min(self._feed.stale_s / 4, LOOK_S))
            for symbol, seen in list(self._seen.items()):
                book = (self._client.orderbooks or {}).get(symbol)
                if book is not None and book["bids"] and book["asks"]:
                    seen.book = book
                    self._publish(symbol, seen)
                self._judge(symbol, seen, self._loop.time() - seen.at)
                if self._session.over:
                    return

    def _judge(self, symbol: str, seen: _Seen, age_s: float) -> None:
        if seen.book is None:
            if age_s > OPENING_S and self._spends(symbol, b""):
                self._session.end(f"{symbol}: no book came in {age_s:.0f} s", raised=True)
        elif age_s > self._feed.stale_s:
            if not seen.told:
                seen.told = True
                self._feed.give({"t": "stale", "symbol": symbol, "age_ms": round(age_s * 1000)})
            if self._spends(symbol, seen.levels):
                self._session.end(f"{symbol}: unchanged for {age_s:.1f} s")

    def _spends(self, symbol: str, levels: bytes) -> bool:
        return self._feed.patience.spends(symbol, levels, self._loop.time())

    def watch_anew(self, symbol: str) -> None:
        """End the session for a book that came and is not right; one that did not is awaited."""
        seen = self._seen.get(symbol)
        if seen is None or seen.book is None or self._session.over:
            return
        if self._spends(symbol, seen.levels):
            self._session.end(f"{symbol}: asked for anew")
