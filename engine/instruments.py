"""Instruments: what is traded where, on which grid, for which fee; and the table of all of them.

Prices are int64 ticks, quantities int64 lots. An instrument turns decimal strings into them and
back exactly, and gives notionals and fees in units of its assets (10 ** -decimals).
"""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from math import ceil
from typing import Any

import msgspec

from engine.units import (
    Round,
    UnitError,
    divide,
    format_decimal,
    in_range,
    parse_decimal,
    split_decimal,
)

PPM = 1_000_000
FOREIGN_DECIMALS = 8
"""With how many decimals an asset is counted of which nothing is known, such as one of a fee."""


class InstrumentError(ValueError):
    """An instrument whose numbers cannot be; the message names it and the number."""


class Instrument(msgspec.Struct, frozen=True, dict=True):
    """One market of one venue.

    Sizes, notional and fees are decimal strings as the venue gives them; fees are rates. The
    integer forms are computed once, on first use. Raises InstrumentError at construction.
    """

    id: int
    venue: int
    symbol: str
    base: str
    quote: str
    tick_size: str
    lot_size: str
    base_decimals: int
    quote_decimals: int
    lots_min: int = 1
    lots_max: int = 10**15
    ticks_min: int = 1
    ticks_max: int = 10**15
    notional_min: str = "0"
    maker_fee: str = "0"
    taker_fee: str = "0"

    def __post_init__(self) -> None:
        try:
            tick_digits, tick_places = self.tick_parts
            lot_digits, lot_places = self.lot_parts
            problems = (
                (tick_digits <= 0 or lot_digits <= 0, "tick and lot size must be above zero"),
                (lot_places > self.base_decimals, f"lots are finer than {self.base} is held"),
                (
                    tick_places + lot_places > self.quote_decimals,
                    f"a tick times a lot is finer than {self.quote} is held "
                    f"({self.quote_decimals} decimals): assets.{self.quote} = "
                    f"{tick_places + lot_places} would do",
                ),
                (not 0 < self.lots_min <= self.lots_max, "lots_min must be in 1..lots_max"),
                (not 0 < self.ticks_min <= self.ticks_max, "ticks_min must be in 1..ticks_max"),
                (self.taker_fee_ppm >= PPM or self.maker_fee_ppm >= PPM, "a fee rate is below 1"),
                (self.notional_min_units < 0, "the minimum notional is not negative"),
            )
        except UnitError as error:
            raise InstrumentError(f"{self.symbol}: {error}") from error
        for wrong, why in problems:
            if wrong:
                raise InstrumentError(f"{self.symbol}: {why}")

    @cached_property
    def tick_parts(self) -> tuple[int, int]:
        """The tick size as digits and decimal places: '0.05' is (5, 2)."""
        return _trimmed(*split_decimal(self.tick_size))

    @cached_property
    def lot_parts(self) -> tuple[int, int]:
        """The lot size as digits and decimal places."""
        return _trimmed(*split_decimal(self.lot_size))

    @cached_property
    def tick(self) -> float:
        """The tick size as a float, for comparing instruments only."""
        return float(self.tick_parts[0] / 10 ** self.tick_parts[1])

    @cached_property
    def lot(self) -> float:
        """The lot size as a float, for comparing instruments only."""
        return float(self.lot_parts[0] / 10 ** self.lot_parts[1])

    @cached_property
    def maker_fee_ppm(self) -> int:
        """The maker's fee in millionths of the notional; negative is a rebate."""
        return parse_decimal(self.maker_fee, 6)

    @cached_property
    def taker_fee_ppm(self) -> int:
        """The taker's fee in millionths of the notional."""
        return parse_decimal(self.taker_fee, 6)

    @cached_property
    def maker_rate(self) -> float:
        """The maker's fee as a float, for pricing only."""
        return self.maker_fee_ppm / PPM

    @cached_property
    def taker_rate(self) -> float:
        """The taker's fee as a float, for pricing only."""
        return self.taker_fee_ppm / PPM

    @cached_property
    def base_units_per_lot(self) -> int:
        """Units of the base asset in one lot."""
        digits, places = self.lot_parts
        return digits * int(10 ** (self.base_decimals - places))

    @cached_property
    def quote_units_per_tick_lot(self) -> int:
        """Units of the quote asset that one lot costs for each tick of its price."""
        tick_digits, tick_places = self.tick_parts
        lot_digits, lot_places = self.lot_parts
        spare = self.quote_decimals - tick_places - lot_places
        return tick_digits * lot_digits * int(10**spare)

    @cached_property
    def notional_min_units(self) -> int:
        """The smallest notional an order may have, in quote units."""
        return parse_decimal(self.notional_min, self.quote_decimals)

    def price_to_ticks(self, text: str, rounding: Round = Round.NONE) -> int:
        """A price as ticks; raises OffGridError, RangeError or UnitError."""
        return _to_steps(text, self.tick_parts, rounding, f"{self.symbol}: price {text}")

    def quantity_to_lots(self, text: str, rounding: Round = Round.NONE) -> int:
        """A quantity as lots; raises OffGridError, RangeError or UnitError."""
        return _to_steps(text, self.lot_parts, rounding, f"{self.symbol}: quantity {text}")

    def ticks_to_price(self, ticks: int) -> str:
        """Ticks as a decimal string with as many places as the tick size."""
        return format_decimal(ticks * self.tick_parts[0], self.tick_parts[1])

    def lots_to_quantity(self, lots: int) -> str:
        """Lots as a decimal string with as many places as the lot size."""
        return format_decimal(lots * self.lot_parts[0], self.lot_parts[1])

    def on_grid(self, tick_size: str, lot_size: str) -> "Instrument":
        """The same market on another grid; raises InstrumentError."""
        try:
            factor = Fraction(*_as_fraction(self.lot_parts)) / Fraction(
                *_as_fraction(_trimmed(*split_decimal(lot_size)))
            )
        except (UnitError, ZeroDivisionError) as error:
            raise InstrumentError(f"{self.symbol}: {error}") from error
        return msgspec.structs.replace(
            self,
            tick_size=tick_size,
            lot_size=lot_size,
            lots_min=max(1, ceil(self.lots_min * factor)),
            lots_max=max(1, int(self.lots_max * factor)),
        )

    def same_grid(self, other: "Instrument") -> bool:
        """Whether ticks and lots mean the same."""
        return (self.tick_parts, self.lot_parts) == (other.tick_parts, other.lot_parts)

    def notional(self, ticks: int, lots: int) -> int:
        """Price times quantity in quote units, exact; raises RangeError."""
        return in_range(ticks * lots * self.quote_units_per_tick_lot)

    def fee(self, ticks: int, lots: int, rate_ppm: int) -> int:
        """The fee on a trade in quote units, rounded up to the unit (a rebate rounds to less)."""
        return -(-self.notional(ticks, lots) * rate_ppm // PPM)


def _as_fraction(parts: tuple[int, int]) -> tuple[int, int]:
    digits, places = parts
    return digits, 10**places


def _trimmed(digits: int, places: int) -> tuple[int, int]:
    """The same number without trailing zeros behind the point."""
    while places and digits % 10 == 0 and digits:
        digits //= 10
        places -= 1
    return digits, places


def _to_steps(text: str, step: tuple[int, int], rounding: Round, what: str) -> int:
    digits, places = split_decimal(text)
    step_digits, step_places = step
    scale = max(places, step_places)
    value = digits * 10 ** (scale - places)
    return in_range(divide(value, step_digits * 10 ** (scale - step_places), rounding, what))


class Instruments:
    """The table of all instruments: ids are positions.

    `decimals` says how assets are held that no instrument trades, such as one that fees are paid in.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        venues: Sequence[str],
        decimals: Mapping[str, int] | None = None,
    ) -> None:
        self._all = tuple(instruments)
        self.venues = tuple(venues)
        self._found: dict[tuple[int, str], Instrument] = {}
        self._decimals: dict[str, int] = dict(decimals or {})
        for place, instrument in enumerate(self._all):
            key = (instrument.venue, instrument.symbol)
            if instrument.id != place:
                raise InstrumentError(f"{instrument.symbol}: id {instrument.id} at place {place}")
            if key in self._found:
                raise InstrumentError(f"{venues[key[0]]} has {key[1]} twice")
            self._found[key] = instrument
            for asset, places in (
                (instrument.base, instrument.base_decimals),
                (instrument.quote, instrument.quote_decimals),
            ):
                if self._decimals.setdefault(asset, places) != places:
                    raise InstrumentError(
                        f"{instrument.symbol}: {asset} has {places} decimals here "
                        f"and {self._decimals[asset]} elsewhere"
                    )

    def __getitem__(self, number: int) -> Instrument:
        return self._all[number]

    def reload(self, number: int, tick_size: str, lot_size: str) -> Instrument:
        """Put an instrument on another grid; raises InstrumentError."""
        fresh = self._all[number].on_grid(tick_size, lot_size)
        self._found[fresh.venue, fresh.symbol] = fresh
        self._all = (*self._all[:number], fresh, *self._all[number + 1 :])
        return fresh

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._all)

    def find(self, venue: int, symbol: str) -> Instrument:
        """The instrument of a venue by its symbol; raises KeyError naming the known ones."""
        found = self._found.get((venue, symbol))
        if found is None:
            known = ", ".join(instrument.symbol for instrument in self.of_venue(venue))
            raise KeyError(f"{self.venues[venue]} has no {symbol!r}; it has {known or 'nothing'}")
        return found

    def of_venue(self, venue: int) -> tuple[Instrument, ...]:
        """The instruments of one venue."""
        return tuple(instrument for instrument in self._all if instrument.venue == venue)

    def same_symbol(self, number: int) -> tuple[int, ...]:
        """The ids of the same symbol on the other venues."""
        symbol = self._all[number].symbol
        return tuple(
            other.id for other in self._all if other.symbol == symbol and other.id != number
        )

    def traded(self, asset: str) -> bool:
        """Whether an instrument has this asset as its base or quote."""
        return any(asset in (instrument.base, instrument.quote) for instrument in self._all)

    def known(self, asset: str) -> bool:
        """Whether it is known how an asset is held."""
        return asset in self._decimals

    def decimals(self, asset: str) -> int:
        """How many decimals an asset is held with; raises KeyError."""
        return self._decimals[asset]


def from_ccxt(
    markets: Mapping[str, Mapping[str, Any]],
    venue: int,
    first_id: int,
    symbols: Sequence[str],
    decimals: Mapping[str, int],
) -> tuple[Instrument, ...]:
    """Instruments out of a ccxt `markets` dictionary whose precision mode is TICK_SIZE.

    `decimals` says how each asset is held. Raises InstrumentError naming the market and field.
    Source: https://docs.ccxt.com/#/?id=market-structure
    """
    found = []
    for offset, symbol in enumerate(symbols):
        market = markets.get(symbol)
        if market is None:
            raise InstrumentError(f"{symbol}: not in the markets given")
        try:
            found.append(_from_ccxt(market, symbol, venue, first_id + offset, decimals))
        except (KeyError, TypeError) as error:
            raise InstrumentError(f"{symbol}: the market lacks {error}") from error
    return tuple(found)


def _from_ccxt(
    market: Mapping[str, Any], symbol: str, venue: int, number: int, decimals: Mapping[str, int]
) -> Instrument:
    tick_size = _plain(market["precision"]["price"])
    lot_size = _plain(market["precision"]["amount"])
    limits = market["limits"]
    tick, lot = split_decimal(tick_size), split_decimal(lot_size)

    def steps(bound: object, step: tuple[int, int], rounding: Round, default: int) -> int:
        return default if bound is None else _to_steps(_plain(bound), step, rounding, symbol)

    return Instrument(
        id=number,
        venue=venue,
        symbol=symbol,
        base=market["base"],
        quote=market["quote"],
        tick_size=tick_size,
        lot_size=lot_size,
        base_decimals=decimals[market["base"]],
        quote_decimals=decimals[market["quote"]],
        lots_min=max(1, steps(limits["amount"]["min"], lot, Round.UP, 1)),
        lots_max=steps(limits["amount"]["max"], lot, Round.DOWN, 10**15),
        ticks_min=max(1, steps(limits["price"]["min"], tick, Round.UP, 1)),
        ticks_max=steps(limits["price"]["max"], tick, Round.DOWN, 10**15),
        notional_min=_plain(limits["cost"]["min"] or 0),
        maker_fee=_plain(market.get("maker") or 0),
        taker_fee=_plain(market.get("taker") or 0),
    )


def _plain(number: object) -> str:
    """A ccxt number as a decimal string: `repr` of a float is its shortest exact form."""
    return number if isinstance(number, str) else repr(number)
