"""The filters of Binance's symbols: what exchangeInfo shows of them, and what they let through.

Grid and size come from the instrument; the rest are the numbers Binance gives its larger symbols.
Source: https://developers.binance.com/docs/binance-spot-api-docs/filters
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from engine.exchange.orders import NewOrder, Order
from engine.exchange.wires.binance_words import MS, Listing, Problem, decimal, filtered, wrong
from engine.instruments import Instrument
from engine.units import UnitError, parse_decimal, split_decimal
from ext.matching import BUY, LIMIT, MARKET, NO_TRIGGER, TRAIL_BPS

PRECISION = 8
ICEBERG_PARTS = 10
ORDERS_MAX = 200
ALGO_ORDERS_MAX = 5
ICEBERG_ORDERS_MAX = 100
TRAILING_BPS = (10, 2_000)
PERCENT_UP, PERCENT_DOWN = "5", "0.2"
UP, DOWN = Fraction(PERCENT_UP).as_integer_ratio(), Fraction(PERCENT_DOWN).as_integer_ratio()
AVERAGE_MINUTES = 5
NOTIONAL_MAX = "9000000.00000000"
MINUTE_NS = 60_000 * MS


class Average(NamedTuple):
    """The price that percentages and market notionals are measured by; 0 lots: there is none."""

    tick_lots: int
    lots: int


def rows(listing: Listing) -> list[dict[str, Any]]:
    """The filters of a symbol as exchangeInfo shows them."""
    instrument = listing.instrument
    step = listing.quantity(1)
    most = listing.quantity(instrument.lots_max)
    smallest = decimal(instrument.notional_min_units, instrument.quote_decimals)
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": listing.price(instrument.ticks_min),
            "maxPrice": listing.price(instrument.ticks_max),
            "tickSize": listing.price(1),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": listing.quantity(instrument.lots_min),
            "maxQty": most,
            "stepSize": step,
        },
        {"filterType": "ICEBERG_PARTS", "limit": ICEBERG_PARTS},
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": "0.00000000",
            "maxQty": most,
            "stepSize": "0.00000000",
        },
        {
            "filterType": "TRAILING_DELTA",
            "minTrailingAboveDelta": TRAILING_BPS[0],
            "maxTrailingAboveDelta": TRAILING_BPS[1],
            "minTrailingBelowDelta": TRAILING_BPS[0],
            "maxTrailingBelowDelta": TRAILING_BPS[1],
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": PERCENT_UP,
            "bidMultiplierDown": PERCENT_DOWN,
            "askMultiplierUp": PERCENT_UP,
            "askMultiplierDown": PERCENT_DOWN,
            "avgPriceMins": AVERAGE_MINUTES,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": smallest,
            "applyMinToMarket": True,
            "maxNotional": NOTIONAL_MAX,
            "applyMaxToMarket": False,
            "avgPriceMins": AVERAGE_MINUTES,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": ORDERS_MAX},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": ALGO_ORDERS_MAX},
        {"filterType": "MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders": ICEBERG_ORDERS_MAX},
    ]


def _positive(name: str, text: str, kind: str) -> None:
    digits, places = split_decimal(text)
    while places > PRECISION and digits % 10 == 0 and digits:
        digits, places = digits // 10, places - 1
    if places > PRECISION and digits:
        raise wrong(-1111, name)
    if digits <= 0:
        raise Problem(-1013, f"Invalid {kind}.")


def price_ticks(instrument: Instrument, name: str, text: str) -> int:
    """A price of a request; raises Problem by its precision or the price filter."""
    _positive(name, text, "price")
    try:
        ticks = instrument.price_to_ticks(text)
    except UnitError:
        raise filtered("PRICE_FILTER") from None
    if not instrument.ticks_min <= ticks <= instrument.ticks_max:
        raise filtered("PRICE_FILTER")
    return ticks


def quantity_lots(instrument: Instrument, name: str, text: str) -> int:
    """A quantity of a request; raises Problem by its precision or the lot filter."""
    _positive(name, text, "quantity")
    try:
        lots = instrument.quantity_to_lots(text)
    except UnitError:
        raise filtered("LOT_SIZE") from None
    if not instrument.lots_min <= lots <= instrument.lots_max:
        raise filtered("LOT_SIZE")
    return lots


def quote_units(instrument: Instrument, text: str) -> int:
    """A quote quantity of a request; raises Problem."""
    _positive("quoteOrderQty", text, "quantity")
    try:
        return parse_decimal(text, instrument.quote_decimals)
    except UnitError:
        raise wrong(-1111, "quoteOrderQty") from None


def check_order(instrument: Instrument, new: NewOrder, average: Average) -> None:
    """Percentages, notionals, parts and deltas; raises Problem."""
    if new.kind == LIMIT:
        for ticks in (new.ticks, new.trigger_ticks):
            if ticks and average.lots:
                _check_percent(ticks, average)
    _check_notional(instrument, new, average)
    if new.display and -(-new.lots // new.display) > ICEBERG_PARTS:
        raise filtered("ICEBERG_PARTS")
    if new.trigger == TRAIL_BPS and not TRAILING_BPS[0] <= new.offset <= TRAILING_BPS[1]:
        raise filtered("TRAILING_DELTA")


def _check_percent(ticks: int, average: Average) -> None:
    price, middle = ticks * average.lots, average.tick_lots  # both times the lots
    if price * UP[1] > middle * UP[0] or price * DOWN[1] < middle * DOWN[0]:
        raise filtered("PERCENT_PRICE_BY_SIDE")


def _check_notional(instrument: Instrument, new: NewOrder, average: Average) -> None:
    smallest = instrument.notional_min_units
    largest = parse_decimal(NOTIONAL_MAX, instrument.quote_decimals)
    if new.quote_units:
        if new.quote_units < smallest:
            raise filtered("NOTIONAL")
        return
    ticks: int | Fraction = new.ticks or new.trigger_ticks
    if new.kind == MARKET and not ticks:
        if not average.lots:
            return
        ticks = Fraction(average.tick_lots, average.lots)
    value = ticks * new.lots * instrument.quote_units_per_tick_lot
    if value < smallest or (new.kind == LIMIT and value > largest):
        raise filtered("NOTIONAL")


def is_algo(request: NewOrder) -> bool:
    """Whether it waits for a price."""
    return request.trigger != NO_TRIGGER


def check_counts(new: Sequence[NewOrder], live: Iterable[Order]) -> None:
    """An account has not too many orders of a symbol; raises Problem."""
    requests = [order.request for order in live] + list(new)
    if len(requests) > ORDERS_MAX:
        raise filtered("MAX_NUM_ORDERS")
    if any(map(is_algo, new)) and sum(map(is_algo, requests)) > ALGO_ORDERS_MAX:
        raise filtered("MAX_NUM_ALGO_ORDERS")
    icebergs = sum(request.display > 0 for request in requests)
    if any(request.display for request in new) and icebergs > ICEBERG_ORDERS_MAX:
        raise filtered("MAX_NUM_ICEBERG_ORDERS")


def would_trigger(new: NewOrder, last: int) -> bool:
    """Whether a stop or take-profit order's price has been met already."""
    if not new.trigger_ticks or not last:
        return False
    rises = (new.side == BUY) == (new.trigger != 2)
    return last >= new.trigger_ticks if rises else last <= new.trigger_ticks
