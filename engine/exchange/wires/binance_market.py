"""Binance's public market data: rules, books, trades, candles and tickers.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
"""

from collections.abc import Iterable
from typing import Any

from engine.exchange.candles import Candle
from engine.exchange.wires import binance_filters as filters
from engine.exchange.wires.binance_account import rows_asked, times_asked
from engine.exchange.wires.binance_candles import candles_of, close_ms, is_interval
from engine.exchange.wires.binance_orders import Ask, average, either
from engine.exchange.wires.binance_params import Values
from engine.exchange.wires.binance_state import AggregateTrade, State
from engine.exchange.wires.binance_words import (
    MS,
    PLACES,
    TYPES,
    ZERO,
    Listing,
    ms,
    wrong,
)
from engine.units import format_decimal
from ext.matching import AUCTION, BUY, CLOSED, HALTED, SELL

DEPTH_ROWS = 100
DEPTH_ROWS_MAX = 5_000
DAY_NS = 86_400_000 * MS
PHASES = {AUCTION: "BREAK", HALTED: "HALT", CLOSED: "END_OF_DAY"}
Answer = dict[str, Any]


def status_of(state: State, listing: Listing) -> str:
    """A symbol's trading status."""
    return PHASES.get(state.exchange.markets[listing.id].book.phase, "TRADING")


def rules(state: State, listing: Listing) -> Answer:
    """A symbol in exchangeInfo."""
    instrument = listing.instrument
    base = max(PLACES, instrument.base_decimals)
    quote = max(PLACES, instrument.quote_decimals)
    return {
        "symbol": listing.native,
        "status": status_of(state, listing),
        "baseAsset": instrument.base,
        "baseAssetPrecision": base,
        "quoteAsset": instrument.quote,
        "quotePrecision": quote,
        "quoteAssetPrecision": quote,
        "baseCommissionPrecision": base,
        "quoteCommissionPrecision": quote,
        "orderTypes": sorted(TYPES),
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": filters.rows(listing),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": [
            "NONE",
            "EXPIRE_TAKER",
            "EXPIRE_MAKER",
            "EXPIRE_BOTH",
            "DECREMENT",
        ],
    }


def chosen(state: State, values: Values) -> list[Listing]:
    """The symbols a request names, all where it names none; raises Problem."""
    if "symbol" in values and "symbols" in values:
        raise wrong(-1128)
    if "symbol" in values:
        return [state.listing(values["symbol"])]
    names = values.get("symbols")
    if names is None:
        return list(state.listings.values())
    return [state.listing(name) for name in names]


def exchange_info(state: State, ask: Ask) -> Answer:
    """GET /exchangeInfo."""
    status = ask.values.get("symbolStatus")
    if status is not None and ("symbol" in ask.values or "symbols" in ask.values):
        raise wrong(-1128)
    shown = chosen(state, ask.values)
    return {
        "timezone": "UTC",
        "serverTime": ms(ask.now_ns),
        "rateLimits": state.meter.all_limits(),
        "exchangeFilters": [],
        "symbols": [
            rules(state, listing)
            for listing in shown
            if status is None or status == status_of(state, listing)
        ],
    }


def ping(state: State, ask: Ask) -> Answer:
    """GET /ping."""
    del state, ask
    return {}


def time(state: State, ask: Ask) -> Answer:
    """GET /time."""
    del state
    return {"serverTime": ms(ask.now_ns)}


def book_rows(listing: Listing, levels: Iterable[tuple[int, int]]) -> list[list[str]]:
    """Levels as (price, quantity)."""
    return [[listing.price(ticks), listing.quantity(lots)] for ticks, lots in levels]


def book(state: State, listing: Listing, rows: int) -> Answer:
    """The best levels of both sides, and the number of the last change they hold."""
    market = state.exchange.markets[listing.id]
    bids, asks = market.depth(rows)
    return {
        "lastUpdateId": market.sequence,
        "bids": book_rows(listing, bids),
        "asks": book_rows(listing, asks),
    }


def depth(state: State, ask: Ask) -> Answer:
    """GET /depth."""
    limit = ask.values.get("limit", DEPTH_ROWS)
    if limit < 1:
        raise wrong(-1130, "limit")
    return book(state, state.listing(ask.values["symbol"]), min(limit, DEPTH_ROWS_MAX))


def trades(state: State, ask: Ask) -> list[Answer]:
    """GET /trades and GET /historicalTrades."""
    listing = state.listing(ask.values["symbol"])
    rows = rows_asked(ask.values)
    first = ask.values.get("fromId")
    kept = state.exchange.markets[listing.id].trades
    found = [trade for trade in kept if first is None or trade.number >= first]
    return [
        {
            "id": trade.number,
            "price": listing.price(trade.ticks),
            "qty": listing.quantity(trade.lots),
            "quoteQty": listing.value(trade.ticks * trade.lots),
            "time": ms(trade.time_ns),
            "isBuyerMaker": trade.side != BUY,
            "isBestMatch": True,
        }
        for trade in (found[-rows:] if first is None else found[:rows])
    ]


def aggregate_row(listing: Listing, trade: AggregateTrade) -> Answer:
    """An aggregate trade."""
    return {
        "a": trade.number,
        "p": listing.price(trade.ticks),
        "q": listing.quantity(trade.lots),
        "f": trade.first,
        "l": trade.last,
        "T": ms(trade.time_ns),
        "m": trade.side != BUY,
        "M": True,
    }


def aggregate_trades(state: State, ask: Ask) -> list[Answer]:
    """GET /aggTrades."""
    values = ask.values
    listing = state.listing(values["symbol"])
    begin, end = times_asked(values, 0)
    rows = rows_asked(values)
    forward = "fromId" in values or "startTime" in values
    found = [
        trade
        for trade in state.aggregates[listing.id].kept
        if trade.number >= values.get("fromId", 0) and begin <= ms(trade.time_ns) <= end
    ]
    shown = found[:rows] if forward else found[-rows:]
    return [aggregate_row(listing, trade) for trade in shown]


def candle_row(listing: Listing, candle: Candle, interval: str, zone: int) -> list[Any]:
    """A candle."""
    return [
        ms(candle.open_ns),
        listing.price(candle.open),
        listing.price(candle.high),
        listing.price(candle.low),
        listing.price(candle.close),
        listing.quantity(candle.lots),
        close_ms(candle.open_ns, interval, zone),
        listing.value(candle.value),
        candle.trades,
        listing.quantity(candle.taker_buy_lots),
        listing.value(candle.taker_buy_value),
        "0",
    ]


def klines(state: State, ask: Ask) -> list[list[Any]]:
    """GET /klines and GET /uiKlines."""
    values = ask.values
    listing = state.listing(values["symbol"])
    interval, zone = values["interval"], values.get("timeZone", 0)
    if not is_interval(interval):
        raise wrong(-1120)
    begin, end = times_asked(values, 0)
    since = begin * MS if "startTime" in values else None
    until = min(end * MS, ask.now_ns)
    market = state.exchange.markets[listing.id]
    found = candles_of(market, interval, zone, since, until, rows_asked(values))
    return [candle_row(listing, candle, interval, zone) for candle in found]


def average_price(state: State, ask: Ask) -> Answer:
    """GET /avgPrice."""
    listing = state.listing(ask.values["symbol"])
    middle = average(state, listing, ask.now_ns)
    kept = state.exchange.markets[listing.id].trades
    return {
        "mins": filters.AVERAGE_MINUTES,
        "price": listing.average(middle.tick_lots, middle.lots),
        "closeTime": ms(kept[-1].time_ns) if kept else 0,
    }


def best(state: State, listing: Listing) -> tuple[str, str, str, str]:
    """Bid price and quantity, ask price and quantity."""
    kept = state.exchange.markets[listing.id].book
    bid, ask = kept.best(BUY), kept.best(SELL)
    return (
        *(listing.price(bid[0]), listing.quantity(bid[1])),
        *(listing.price(ask[0]), listing.quantity(ask[1])),
    )


def window(state: State, listing: Listing, now_ns: int, length_ns: int) -> Answer:
    """What traded in a window up to now."""
    market = state.exchange.markets[listing.id]
    since = now_ns - length_ns
    minutes = length_ns // filters.MINUTE_NS + 2
    found = market.candles(filters.MINUTE_NS, since, now_ns, minutes)
    traded = [candle for candle in found if candle.trades]
    lots = sum(candle.lots for candle in traded)
    value = sum(candle.value for candle in traded)
    count = sum(candle.trades for candle in traded)
    opened, closed = (traded[0].open, traded[-1].close) if traded else (0, 0)
    kept = market.trades
    last = kept[-1].number if kept and count else -1
    change = closed - opened
    percent = change * 100_000 // opened if opened else 0
    return {
        "symbol": listing.native,
        "priceChange": listing.price(change),
        "priceChangePercent": format_decimal(percent, 3),
        "weightedAvgPrice": listing.average(value, lots),
        "openPrice": listing.price(opened),
        "highPrice": listing.price(max((candle.high for candle in traded), default=0)),
        "lowPrice": listing.price(min((candle.low for candle in traded), default=0)),
        "lastPrice": listing.price(closed),
        "volume": listing.quantity(lots),
        "quoteVolume": listing.value(value),
        "openTime": ms(since),
        "closeTime": ms(now_ns),
        "firstId": last - count + 1 if count else -1,
        "lastId": last,
        "count": count,
    }


MINI = (
    "symbol openPrice highPrice lowPrice lastPrice volume quoteVolume openTime closeTime "
    "firstId lastId count"
).split()


def day_ticker(state: State, listing: Listing, now_ns: int) -> Answer:
    """The statistics of the last 24 hours."""
    view = window(state, listing, now_ns, DAY_NS)
    kept = state.exchange.markets[listing.id].trades
    bid, bid_lots, ask, ask_lots = best(state, listing)
    return {
        **view,
        "prevClosePrice": view["openPrice"],
        "lastQty": listing.quantity(kept[-1].lots) if kept else ZERO,
        "bidPrice": bid,
        "bidQty": bid_lots,
        "askPrice": ask,
        "askQty": ask_lots,
    }


def _one_or_all(values: Values, rows: list[Answer]) -> Answer | list[Answer]:
    return rows[0] if "symbol" in values else rows


def _form(values: Values, row: Answer) -> Answer:
    return {name: row[name] for name in MINI} if values.get("type") == "MINI" else row


def tickers(state: State, ask: Ask) -> Answer | list[Answer]:
    """GET /ticker/24hr."""
    shown = chosen(state, ask.values)
    rows = [_form(ask.values, day_ticker(state, each, ask.now_ns)) for each in shown]
    return _one_or_all(ask.values, rows)


WINDOWS = {"m": (60_000, 59), "h": (3_600_000, 23), "d": (86_400_000, 7)}


def rolling(state: State, ask: Ask) -> Answer | list[Answer]:
    """GET /ticker: a window of one's own."""
    values = ask.values
    if "symbol" not in values and "symbols" not in values:
        raise either("symbol", "symbols")
    text = values.get("windowSize", "1d")
    length, most = WINDOWS.get(text[-1:], (0, 0))
    number = int(text[:-1]) if text[:-1].isdecimal() and len(text) < 4 else 0
    if not 1 <= number <= most:
        raise wrong(-1130, "windowSize")
    shown = chosen(state, values)
    rows = [_form(values, window(state, each, ask.now_ns, number * length * MS)) for each in shown]
    return _one_or_all(values, rows)


def last_price(state: State, listing: Listing) -> str:
    """Of the last trade."""
    return listing.price(state.exchange.markets[listing.id].book.last)


def prices(state: State, ask: Ask) -> Answer | list[Answer]:
    """GET /ticker/price."""
    rows = [
        {"symbol": listing.native, "price": last_price(state, listing)}
        for listing in chosen(state, ask.values)
    ]
    return _one_or_all(ask.values, rows)


def book_tickers(state: State, ask: Ask) -> Answer | list[Answer]:
    """GET /ticker/bookTicker."""
    names = ("bidPrice", "bidQty", "askPrice", "askQty")
    rows = [
        {"symbol": listing.native, **dict(zip(names, best(state, listing), strict=True))}
        for listing in chosen(state, ask.values)
    ]
    return _one_or_all(ask.values, rows)
