"""Kraken's public endpoints: time, status, assets, pairs, tickers, books, trades and candles.

Each returns what stands under `result`. Kraken's own times of single book levels are not known here:
they are the time of asking.
Sources: https://docs.kraken.com/api/docs/rest-api/get-ticker-information and its neighbours
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from engine.exchange.candles import Candle
from engine.exchange.exchange import Exchange
from engine.exchange.market import Market
from engine.exchange.wires.kraken_forms import Fields, wrong
from engine.exchange.wires.kraken_words import (
    DAY_NS,
    MINUTE_NS,
    SECOND_NS,
    Names,
    Pair,
    asset_alt,
    asset_id,
    rfc1123,
    rfc3339,
    seconds,
)
from engine.messages import BUY, SELL
from engine.units import format_decimal
from ext.matching import AUCTION, CONTINUOUS

INTERVALS = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)
CANDLES_MAX = 720
TRADES_MAX = 1000
LEVELS_MAX = 500
DAY_MINUTES = 1440
INFOS = frozenset({"info", "leverage", "fees", "margin"})


class Sums(NamedTuple):
    """What was traded over a time; prices in ticks, all 0 without a trade."""

    open: int = 0
    high: int = 0
    low: int = 0
    close: int = 0
    lots: int = 0
    value: int = 0
    trades: int = 0


NOTHING = Sums()


def summed(candles: Iterable[Candle], before: Sums = NOTHING) -> Sums:
    """Candles that had a trade, in order, after others."""
    found = before
    for candle in candles:
        if not candle.trades:
            continue
        found = Sums(
            found.open or candle.open,
            max(found.high, candle.high),
            min(found.low or candle.low, candle.low),
            candle.close,
            found.lots + candle.lots,
            found.value + candle.value,
            found.trades + candle.trades,
        )
    return found


class Statistics:
    """The last 24 hours of each market; past minutes are summed once a minute."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._past: dict[tuple[int, bool], tuple[int, Sums]] = {}

    def day(self, instrument: int, now_ns: int, today: bool = False) -> Sums:
        """The last 24 hours, or since midnight."""
        market = self._exchange.markets[instrument]
        minute_ns = now_ns - now_ns % MINUTE_NS
        kept = self._past.get((instrument, today))
        if kept is None or kept[0] != minute_ns:
            since_ns = now_ns - now_ns % DAY_NS if today else minute_ns - DAY_NS + MINUTE_NS
            candles = market.candles(MINUTE_NS, since_ns, minute_ns - 1, DAY_MINUTES)
            kept = minute_ns, summed(candles)
            self._past[instrument, today] = kept
        return summed(market.candles(MINUTE_NS, minute_ns, now_ns, 1), kept[1])


def status_of(market: Market) -> str:
    """A pair's trading mode by its phase."""
    phase = market.book.phase
    return {CONTINUOUS: "online", AUCTION: "limit_only"}.get(phase, "cancel_only")


def system_of(exchange: Exchange) -> str:
    """The mode of the whole exchange: the one that all pairs share, or online."""
    modes = {status_of(market) for market in exchange.markets.values()}
    return modes.pop() if len(modes) == 1 else "online"


def percent(ppm: int) -> int | float:
    """A rate in millionths as Kraken writes it: 0.26 for 2600."""
    whole, rest = divmod(ppm, 10_000)
    return whole if rest == 0 else ppm / 10_000


class PublicData:
    """See the module."""

    def __init__(self, exchange: Exchange, names: Names, statistics: Statistics) -> None:
        self._exchange = exchange
        self._names = names
        self._statistics = statistics
        self.calls = {
            "Time": self.time,
            "SystemStatus": self.system_status,
            "Assets": self.assets,
            "AssetPairs": self.asset_pairs,
            "Ticker": self.ticker,
            "Depth": self.depth,
            "Trades": self.trades,
            "OHLC": self.candles,
        }

    def time(self, fields: Fields, now_ns: int) -> Any:
        """The exchange's clock."""
        return {"unixtime": now_ns // SECOND_NS, "rfc1123": rfc1123(now_ns)}

    def system_status(self, fields: Fields, now_ns: int) -> Any:
        """Whether it takes orders."""
        return {"status": system_of(self._exchange), "timestamp": rfc3339(now_ns, 0)}

    def assets(self, fields: Fields, now_ns: int) -> Any:
        """What is traded and held."""
        asked = fields.text("asset")
        names = [self._names.asset(name) for name in asked.split(",")] if asked else None
        return {
            asset_id(asset): {
                "aclass": "currency",
                "altname": asset_alt(asset),
                "decimals": decimals,
                "display_decimals": min(decimals, 5),
                "status": "enabled",
            }
            for asset, decimals in self._names.decimals.items()
            if names is None or asset in names
        }

    def asset_pairs(self, fields: Fields, now_ns: int) -> Any:
        """The markets, whole or one part of what there is to know of them."""
        info = fields.choice("info", INFOS, "info")
        pairs = {pair.id: self._pair(pair) for pair in self._pairs(fields)}
        parts = {
            "leverage": ("leverage_buy", "leverage_sell"),
            "fees": ("fees", "fees_maker", "fee_volume_currency"),
            "margin": ("margin_call", "margin_level"),
        }
        if info == "info":
            return pairs
        return {
            name: {part: whole[part] for part in parts[info] if part in whole}
            for name, whole in pairs.items()
        }

    def _pairs(self, fields: Fields) -> list[Pair]:
        asked = fields.text("pair")
        if not asked:
            return list(self._names.pairs.values())
        return [self._names.rest(name) for name in asked.split(",")]

    def _pair(self, pair: Pair) -> dict[str, Any]:
        instrument = pair.instrument
        return {
            "altname": pair.alt,
            "wsname": pair.ws,
            "aclass_base": "currency",
            "base": asset_id(instrument.base),
            "aclass_quote": "currency",
            "quote": asset_id(instrument.quote),
            "lot": "unit",
            "cost_decimals": instrument.quote_decimals,
            "pair_decimals": pair.price_places,
            "lot_decimals": pair.lot_places,
            "lot_multiplier": 1,
            "leverage_buy": [],
            "leverage_sell": [],
            "fees": [[0, percent(instrument.taker_fee_ppm)]],
            "fees_maker": [[0, percent(instrument.maker_fee_ppm)]],
            "fee_volume_currency": "ZUSD",
            "margin_call": 80,
            "margin_stop": 40,
            "ordermin": instrument.lots_to_quantity(instrument.lots_min),
            "costmin": instrument.notional_min,
            "tick_size": format_decimal(*instrument.tick_parts),
            "status": status_of(self._exchange.markets[instrument.id]),
            "long_position_limit": 0,
            "short_position_limit": 0,
        }

    def ticker(self, fields: Fields, now_ns: int) -> Any:
        """The top, and what was traded today and in the last 24 hours."""
        return {pair.id: self._ticker(pair, now_ns) for pair in self._pairs(fields)}

    def _ticker(self, pair: Pair, now_ns: int) -> dict[str, Any]:
        instrument = pair.instrument
        market = self._exchange.markets[instrument.id]
        today = self._statistics.day(instrument.id, now_ns, today=True)
        day = self._statistics.day(instrument.id, now_ns)
        both = (today, day)
        last = market.trades[-1].lots if market.trades else 0
        return {
            "a": _best(pair, market, SELL),
            "b": _best(pair, market, BUY),
            "c": [pair.price(market.book.last), instrument.lots_to_quantity(last)],
            "v": [instrument.lots_to_quantity(sums.lots) for sums in both],
            "p": [pair.average(sums.value, sums.lots) for sums in both],
            "t": [sums.trades for sums in both],
            "l": [pair.price(sums.low) for sums in both],
            "h": [pair.price(sums.high) for sums in both],
            "o": pair.price(today.open or market.book.last),
        }

    def depth(self, fields: Fields, now_ns: int) -> Any:
        """The book, level by level."""
        pair = self._one_pair(fields)
        count = fields.whole("count", 100, 1, LEVELS_MAX)
        bids, asks = self._exchange.markets[pair.instrument.id].depth(count)
        at = now_ns // SECOND_NS
        sides = (("asks", asks), ("bids", bids))
        quantity = pair.instrument.lots_to_quantity
        return {
            pair.id: {
                name: [[pair.price(ticks), quantity(lots), at] for ticks, lots in levels]
                for name, levels in sides
            }
        }

    def _one_pair(self, fields: Fields) -> Pair:
        if not fields.text("pair"):
            raise wrong("pair")
        return self._names.rest(fields.text("pair"))

    def trades(self, fields: Fields, now_ns: int) -> Any:
        """The last trades, or the first ones after a time in seconds or nanoseconds."""
        pair = self._one_pair(fields)
        count = fields.whole("count", TRADES_MAX, 1, TRADES_MAX)
        since_ns = _since(fields)
        kept = [
            trade
            for trade in self._exchange.markets[pair.instrument.id].trades
            if trade.time_ns > since_ns
        ]
        shown = kept[:count] if since_ns else kept[-count:]
        rows = [
            [
                pair.price(trade.ticks),
                pair.instrument.lots_to_quantity(trade.lots),
                seconds(trade.time_ns),
                "b" if trade.side == BUY else "s",
                "l",
                "",
                trade.number,
            ]
            for trade in shown
        ]
        last = shown[-1].time_ns if shown else since_ns or now_ns
        return {pair.id: rows, "last": str(last)}

    def candles(self, fields: Fields, now_ns: int) -> Any:
        """Up to 720 candles that are over, and the one that is not."""
        pair = self._one_pair(fields)
        minutes = fields.whole("interval", 1, 1, INTERVALS[-1])
        if minutes not in INTERVALS:
            raise wrong("interval")
        interval_ns = minutes * MINUTE_NS
        open_ns = now_ns - now_ns % interval_ns
        since_ns = max(_since(fields) + 1, open_ns - CANDLES_MAX * interval_ns)
        market = self._exchange.markets[pair.instrument.id]
        candles = market.candles(interval_ns, min(since_ns, open_ns), now_ns, CANDLES_MAX + 1)
        price, quantity = pair.instrument.ticks_to_price, pair.instrument.lots_to_quantity
        rows = [
            [
                candle.open_ns // SECOND_NS,
                price(candle.open),
                price(candle.high),
                price(candle.low),
                price(candle.close),
                vwap(pair, candle.value, candle.lots),
                quantity(candle.lots),
                candle.trades,
            ]
            for candle in candles
        ]
        return {pair.id: rows, "last": (open_ns - interval_ns) // SECOND_NS}


def vwap(pair: Pair, value: int, lots: int) -> str:
    """The mean price with the pair's own decimals; 0 of nothing."""
    digits, places = pair.instrument.tick_parts
    return format_decimal((2 * value * digits + lots) // (2 * lots) if lots else 0, places)


def _best(pair: Pair, market: Market, side: int) -> list[str]:
    ticks, lots = market.book.best(side)
    quantity = pair.instrument.lots_to_quantity(lots)
    return [pair.price(ticks), quantity.partition(".")[0], quantity]


def _since(fields: Fields) -> int:
    """A time in seconds or nanoseconds, in ns; 0 for none."""
    whole, _, _ = fields.text("since", "0").partition(".")
    if not whole.isascii() or not whole.isdigit() or len(whole) > 20:
        raise wrong("since")
    return int(whole) * SECOND_NS if len(whole) < 12 else int(whole)
