"""The public channels of version 2: status, book, ticker, trade, ohlc and instrument.

It knows who subscribed to what, and makes one frame for all who did.
Sources: https://docs.kraken.com/api/docs/websocket-v2/ticker and its neighbours
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from engine.exchange.exchange import Exchange
from engine.exchange.orders import DepthChange, Event, PublicTrade
from engine.exchange.wires.kraken_book import DEPTHS, View
from engine.exchange.wires.kraken_forms import Params
from engine.exchange.wires.kraken_market import INTERVALS, Statistics, status_of, vwap
from engine.exchange.wires.kraken_words import (
    MINUTE_NS,
    KrakenError,
    Names,
    Pair,
    bare,
    rfc3339,
)
from engine.exchange.wires.wire import Outgoing
from engine.messages import BUY, SELL
from engine.units import format_decimal

CANDLES_SHOWN = 100
TRADES_SHOWN = 50
VERSION = "2.0.10"
PARAMS = {
    "book": frozenset("channel symbol depth snapshot".split()),
    "ticker": frozenset("channel symbol event_trigger snapshot".split()),
    "trade": frozenset("channel symbol snapshot".split()),
    "ohlc": frozenset("channel symbol interval snapshot".split()),
    "instrument": frozenset("channel snapshot include_tokenized_assets".split()),
}


class Topic(NamedTuple):
    """What may be subscribed to: `option` is the depth, the interval, or bbo and trades."""

    channel: str
    instrument: int
    option: int | str = 0


class Channels:
    """See the module."""

    def __init__(self, exchange: Exchange, names: Names, statistics: Statistics) -> None:
        self._exchange = exchange
        self._names = names
        self._statistics = statistics
        self._subscribers: dict[Topic, dict[int, None]] = {}
        self._of: dict[int, set[Topic]] = {}
        self._views: dict[Topic, View] = {}
        self._tops: dict[int, tuple[Any, Any]] = {}
        self._numbers = {number: each.sequence for number, each in exchange.markets.items()}

    # --- who hears what ---------------------------------------------------------------------------

    def connected(self, connection: int) -> None:
        """A client is there."""
        self._of[connection] = set()

    def disconnected(self, connection: int) -> None:
        """It is gone."""
        for topic in self._of.pop(connection, set()):
            self._leave(connection, topic)

    def hears(self, connection: int) -> bool:
        """Whether it subscribed to anything."""
        return bool(self._of.get(connection))

    def topic(self, channel: str, params: Params, pair: Pair | None) -> Topic:
        """What is meant by the parameters. Raises KrakenError."""
        number = pair.instrument.id if pair is not None else -1
        if channel == "book":
            depth = params.whole("depth", DEPTHS[0])
            if depth not in DEPTHS:
                raise KrakenError("Subscription depth not supported")
            return Topic(channel, number, depth)
        if channel == "ohlc":
            if "interval" not in params:
                raise KrakenError("Subscription ohlc requires interval")
            interval = params.whole("interval", 0)
            if interval not in INTERVALS:
                raise KrakenError("Subscription ohlc interval not supported")
            return Topic(channel, number, interval)
        if channel == "ticker":
            trigger = params.text("event_trigger", "trades")
            if trigger not in ("trades", "bbo"):
                raise KrakenError("Event_trigger field must be one of 'trades', 'bbo'")
            return Topic(channel, number, trigger)
        return Topic(channel, number)

    def subscribe(self, connection: int, topic: Topic, now_ns: int) -> list[Outgoing]:
        """Enter; what others must hear before the snapshot is told. Raises KrakenError."""
        if topic in self._of[connection]:
            raise KrakenError("Already subscribed")
        out = []
        if topic.channel == "book":
            view = self._views.get(topic)
            if view is None:
                pair, market = self._names.pairs[topic.instrument], self._exchange.markets
                self._views[topic] = View(pair, market[topic.instrument], int(topic.option))
            else:
                out = self._told(topic, view.update(now_ns))
        elif topic.option == "bbo":
            self._tops.setdefault(topic.instrument, self._top(topic.instrument))
        self._of[connection].add(topic)
        self._subscribers.setdefault(topic, {})[connection] = None
        return out

    def unsubscribe(self, connection: int, topic: Topic) -> None:
        """Leave. Raises KrakenError."""
        if topic not in self._of[connection]:
            raise KrakenError("Subscription not found")
        self._of[connection].discard(topic)
        self._leave(connection, topic)

    def _leave(self, connection: int, topic: Topic) -> None:
        hearing = self._subscribers[topic]
        del hearing[connection]
        if not hearing:
            del self._subscribers[topic]
            self._views.pop(topic, None)

    # --- what is told -----------------------------------------------------------------------------

    def publish(self, events: Iterable[Event], now_ns: int) -> list[Outgoing]:
        """What happened, for all who subscribed to it."""
        changed: dict[int, list[tuple[int, int, int]]] = {}
        torn: set[int] = set()
        trades: dict[int, list[PublicTrade]] = {}
        for event in events:
            if isinstance(event, DepthChange):
                if event.first > self._numbers[event.instrument] + 1:
                    torn.add(event.instrument)
                self._numbers[event.instrument] = event.last
                changed.setdefault(event.instrument, []).extend(event.levels)
            elif isinstance(event, PublicTrade):
                trades.setdefault(event.instrument, []).append(event)
        out: list[Outgoing] = []
        for topic in list(self._subscribers):
            frame = None
            if topic.channel == "book":
                if topic.instrument in torn:
                    frame = self._views[topic].torn(changed[topic.instrument], now_ns)
                elif topic.instrument in changed:
                    frame = self._views[topic].update(now_ns)
            elif topic.channel == "trade":
                if topic.instrument in trades:
                    frame = self._trades(topic.instrument, trades[topic.instrument], "update")
            elif topic.channel == "ohlc":
                if topic.instrument in trades:
                    frame = self._candles(topic, "update", 1, now_ns)
            elif topic.option == "bbo":
                if topic.instrument in changed and self._top_moved(topic.instrument):
                    frame = self._ticker(topic.instrument, "update", now_ns)
            elif topic.channel == "ticker" and topic.instrument in trades:
                frame = self._ticker(topic.instrument, "update", now_ns)
            out += self._told(topic, frame)
        return out

    def _told(self, topic: Topic, frame: bytes | None) -> list[Outgoing]:
        if frame is None:
            return []
        return [Outgoing(connection, frame) for connection in self._subscribers.get(topic, ())]

    def snapshot(self, topic: Topic, now_ns: int) -> bytes:
        """What a new subscriber is told first."""
        match topic.channel:
            case "book":
                return self._views[topic].snapshot(now_ns)
            case "ticker":
                return self._ticker(topic.instrument, "snapshot", now_ns)
            case "trade":
                kept = list(self._exchange.markets[topic.instrument].trades)[-TRADES_SHOWN:]
                return self._trades(topic.instrument, kept, "snapshot")
            case "ohlc":
                return self._candles(topic, "snapshot", CANDLES_SHOWN, now_ns)
        return self._instruments()

    def _top(self, instrument: int) -> tuple[Any, Any]:
        book = self._exchange.markets[instrument].book
        return book.best(BUY), book.best(SELL)

    def _top_moved(self, instrument: int) -> bool:
        top = self._top(instrument)
        if top == self._tops.get(instrument):
            return False
        self._tops[instrument] = top
        return True

    def _ticker(self, instrument: int, kind: str, now_ns: int) -> bytes:
        pair = self._names.pairs[instrument]
        price, quantity = pair.instrument.ticks_to_price, pair.instrument.lots_to_quantity
        (bid, bid_lots), (ask, ask_lots) = self._top(instrument)
        last = self._exchange.markets[instrument].book.last
        day = self._statistics.day(instrument, now_ns)
        change = last - day.open if day.open else 0
        hundredths = change * 10_000 // day.open if day.open else 0
        data = {
            "symbol": pair.symbol,
            "bid": bare(price(bid)),
            "bid_qty": bare(quantity(bid_lots)),
            "ask": bare(price(ask)),
            "ask_qty": bare(quantity(ask_lots)),
            "last": bare(price(last)),
            "volume": bare(quantity(day.lots)),
            "vwap": bare(vwap(pair, day.value, day.lots)),
            "low": bare(price(day.low)),
            "high": bare(price(day.high)),
            "change": bare(price(change)),
            "change_pct": bare(format_decimal(hundredths, 2)),
            "timestamp": rfc3339(now_ns),
        }
        return _frame("ticker", kind, [data])

    def _trades(self, instrument: int, trades: Sequence[PublicTrade], kind: str) -> bytes:
        pair = self._names.pairs[instrument]
        price, quantity = pair.instrument.ticks_to_price, pair.instrument.lots_to_quantity
        data = [
            {
                "symbol": pair.symbol,
                "side": "buy" if trade.side == BUY else "sell",
                "price": bare(price(trade.ticks)),
                "qty": bare(quantity(trade.lots)),
                "ord_type": "limit",
                "trade_id": trade.number,
                "timestamp": rfc3339(trade.time_ns),
            }
            for trade in trades
        ]
        return _frame("trade", kind, data)

    def _candles(self, topic: Topic, kind: str, count: int, now_ns: int) -> bytes:
        pair, minutes = self._names.pairs[topic.instrument], int(topic.option)
        price, quantity = pair.instrument.ticks_to_price, pair.instrument.lots_to_quantity
        interval_ns = minutes * MINUTE_NS
        open_ns = now_ns - now_ns % interval_ns
        since_ns = open_ns - (count - 1) * interval_ns
        market = self._exchange.markets[topic.instrument]
        data = [
            {
                "symbol": pair.symbol,
                "open": bare(price(candle.open)),
                "high": bare(price(candle.high)),
                "low": bare(price(candle.low)),
                "close": bare(price(candle.close)),
                "trades": candle.trades,
                "volume": bare(quantity(candle.lots)),
                "vwap": bare(vwap(pair, candle.value, candle.lots)),
                "interval_begin": rfc3339(candle.open_ns, 9),
                "interval": minutes,
                "timestamp": rfc3339(candle.open_ns + interval_ns),
            }
            for candle in market.candles(interval_ns, max(0, since_ns), now_ns, count)
            if candle.trades or candle.open_ns == open_ns
        ]
        return _frame("ohlc", kind, data, timestamp=rfc3339(now_ns, 9))

    def _instruments(self) -> bytes:
        pairs = [self._instrument(pair) for pair in self._names.pairs.values()]
        assets = [
            {
                "id": asset,
                "status": "enabled",
                "precision": decimals,
                "precision_display": min(decimals, 5),
                "borrowable": False,
                "collateral_value": bare("0.00"),
                "margin_rate": bare("0.000000"),
            }
            for asset, decimals in self._names.decimals.items()
        ]
        return _frame("instrument", "snapshot", {"assets": assets, "pairs": pairs})

    def _instrument(self, pair: Pair) -> dict[str, Any]:
        instrument = pair.instrument
        return {
            "symbol": pair.symbol,
            "base": instrument.base,
            "quote": instrument.quote,
            "status": status_of(self._exchange.markets[instrument.id]),
            "qty_precision": pair.lot_places,
            "qty_increment": bare(instrument.lots_to_quantity(1)),
            "price_precision": pair.price_places,
            "cost_precision": instrument.quote_decimals,
            "marginable": False,
            "has_index": False,
            "cost_min": bare(instrument.notional_min),
            "tick_size": bare(instrument.ticks_to_price(1)),
            "price_increment": bare(instrument.ticks_to_price(1)),
            "qty_min": bare(instrument.lots_to_quantity(instrument.lots_min)),
        }


def status_frame(system: str, connection: int) -> bytes:
    """What every connection is told first, and when the exchange's mode changes."""
    data = {
        "version": VERSION,
        "system": system,
        "api_version": "v2",
        "connection_id": connection,
    }
    return _frame("status", "update", [data])


def _frame(channel: str, kind: str, data: object, **more: object) -> bytes:
    return msgspec.json.encode({"channel": channel, "type": kind, **more, "data": data})


def outgoing(connection: int, frames: Iterable[bytes]) -> Iterator[Outgoing]:
    """Frames for one connection."""
    return (Outgoing(connection, frame) for frame in frames)
