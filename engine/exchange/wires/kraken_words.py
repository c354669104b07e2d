"""Kraken's words: names of assets and pairs, ids, times, numbers, and what it says of a refusal.

REST has the old names (XXBT, XETHZEUR) and answers money as text; version 2 of the stream has plain
names (BTC/USD) and answers it as JSON numbers of full precision. Ids are the venue's numbers in a
disguise that can be taken off again.
Source: https://docs.kraken.com/api/docs/guides/global-intro, /guides/spot-errors
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from engine.exchange.orders import Refused, Why
from engine.instruments import Instrument
from engine.units import format_decimal

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
DAY_NS = 86_400 * SECOND_NS

# Assets from before 2016 have an X (coins) or a Z (currencies) in front; two have a name of their own.
_OWN_NAMES = {"BTC": "XBT", "DOGE": "XDG"}
_OLD_COINS = frozenset("BTC DOGE ETC ETH LTC MLN REP XLM XMR XRP ZEC".split())
_OLD_CURRENCIES = frozenset("AUD CAD EUR GBP JPY USD".split())

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_VALUE_OF = {letter: value for value, letter in enumerate(_ALPHABET)}
_ID = re.compile(r"([A-Z])([A-Z2-7]{5})-([A-Z2-7]{5})-([A-Z2-7]{6})")
_BITS = 80
_MASK = (1 << _BITS) - 1
_FACTOR = 0x9E37_79B9_7F4A_7C15_F39D
_BACK = pow(_FACTOR, -1, 1 << _BITS)
_NUMBER_MAX = 1 << 48

_WORDS: Mapping[Why, str] = {
    Why.UNKNOWN_SYMBOL: "EQuery:Unknown asset pair",
    Why.UNKNOWN_ORDER: "EOrder:Unknown order",
    Why.INSUFFICIENT_BALANCE: "EOrder:Insufficient funds",
    Why.DUPLICATE_CLIENT_ID: "EGeneral:Invalid arguments:cl_ord_id",
    Why.INVALID: "EGeneral:Invalid arguments",
    Why.TICK: "EOrder:Tick size check failed",
    Why.LOT: "EGeneral:Invalid arguments:volume",
    Why.NOTIONAL: "EOrder:Cost minimum not met",
    Why.BAND: "EOrder:Invalid price",
    Why.REDUCE_ONLY: "EOrder:Reduce only:No position exists",
    Why.WOULD_TAKE: "EOrder:Post only order",
    Why.FULL: "EOrder:Orders limit exceeded",
    Why.HALTED: "EService:Market in cancel_only mode",
    Why.IN_AUCTION: "EService:Market in limit_only mode",
    Why.DEADLINE: "EService:Deadline elapsed",
    Why.NO_REPLACE: "EOrder:Invalid order",
    Why.ADMIN: "ETrade:User Locked",
}


class KrakenError(Exception):
    """A request that changes nothing; the text is what Kraken would say."""


def refusal(refused: Refused) -> KrakenError:
    """What Kraken calls it."""
    return KrakenError(_WORDS.get(refused.why, "EGeneral:Internal error"))


# --- ids ------------------------------------------------------------------------------------------


def id_of(kind: str, number: int) -> str:
    """The id of the order (O), trade (T), ledger entry (L) or amend (A, shown as a T) of a number."""
    mixed = (ord(kind) << 64) | number
    mixed ^= mixed >> 41
    mixed = mixed * _FACTOR & _MASK
    mixed ^= mixed >> 41
    letters = "".join(_ALPHABET[mixed >> place & 31] for place in range(_BITS - 5, -5, -5))
    shown = "T" if kind == "A" else kind
    return f"{shown}{letters[:5]}-{letters[5:10]}-{letters[10:]}"


def number_of(kind: str, text: str) -> int:
    """The number behind an id; 0 for what is no id of this kind."""
    found = _ID.fullmatch(text)
    if found is None or found[1] != kind:
        return 0
    mixed = 0
    for letter in found[2] + found[3] + found[4]:
        mixed = mixed << 5 | _VALUE_OF[letter]
    mixed ^= mixed >> 41
    mixed = mixed * _BACK & _MASK
    mixed ^= mixed >> 41
    number = mixed & ((1 << 64) - 1)
    return number if mixed >> 64 == ord(kind) and number < _NUMBER_MAX else 0


# --- numbers and times ----------------------------------------------------------------------------


def bare(text: str) -> msgspec.Raw:
    """A decimal as a JSON number, with every digit it has."""
    return msgspec.Raw(text.encode())


def seconds(time_ns: int) -> msgspec.Raw:
    """Seconds since 1970 as a JSON number with seven places."""
    return bare(f"{time_ns // SECOND_NS}.{time_ns % SECOND_NS // 100:07d}")


def rfc3339(time_ns: int, places: int = 6) -> str:
    """A time as the stream writes it; 6 places are microseconds, 9 nanoseconds."""
    moment = datetime.fromtimestamp(time_ns // SECOND_NS, UTC)
    if not places:
        return f"{moment:%Y-%m-%dT%H:%M:%S}Z"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ns % SECOND_NS // 10 ** (9 - places):0{places}d}Z"


def rfc1123(time_ns: int) -> str:
    """A time as the Time endpoint writes it, with a year of two digits."""
    return f"{datetime.fromtimestamp(time_ns // SECOND_NS, UTC):%a, %d %b %y %H:%M:%S} +0000"


def time_of(text: str) -> int:
    """An RFC 3339 time in ns; 0 for what is none, or none since 1970."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0
    if moment.tzinfo is None:
        return 0
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    whole = (since.days * 86_400 + since.seconds) * SECOND_NS + since.microseconds * 1000
    return max(0, whole)


# --- assets and pairs -----------------------------------------------------------------------------


def asset_alt(asset: str) -> str:
    """REST's short name: XBT for BTC."""
    return _OWN_NAMES.get(asset, asset)


def asset_id(asset: str) -> str:
    """REST's own name: XXBT for BTC, ZUSD for USD, USDT for USDT."""
    if asset in _OLD_COINS:
        return "X" + asset_alt(asset)
    return "Z" + asset if asset in _OLD_CURRENCIES else asset


class Pair(NamedTuple):
    """A market under all its names; `id` is the key of REST's answers, `symbol` the stream's."""

    instrument: Instrument
    id: str
    alt: str
    ws: str
    symbol: str

    @property
    def price_places(self) -> int:
        """Decimals of a price."""
        return self.instrument.tick_parts[1]

    @property
    def lot_places(self) -> int:
        """Decimals of a volume."""
        return self.instrument.lot_parts[1]

    def price(self, ticks: int) -> str:
        """Ticks as Kraken writes them where it wants at least five decimals."""
        digits, places = self.instrument.tick_parts
        more = max(0, 5 - places)
        return format_decimal(ticks * digits * 10**more, places + more)

    def cost(self, value: int) -> str:
        """A sum of ticks times lots in the quote asset."""
        instrument = self.instrument
        units = value * instrument.quote_units_per_tick_lot
        return format_decimal(units, instrument.quote_decimals)

    def fee(self, units: int) -> str:
        """Units of the quote asset."""
        return format_decimal(units, self.instrument.quote_decimals)

    def average(self, value: int, lots: int) -> str:
        """The mean price of so many lots, rounded to what `price` shows; '0.00000' of none."""
        digits, places = self.instrument.tick_parts
        more = max(0, 5 - places)
        scaled = value * digits * 10**more
        return format_decimal((2 * scaled + lots) // (2 * lots) if lots else 0, places + more)


def pair_of(instrument: Instrument) -> Pair:
    """The names of a market; only pairs of two old assets have both their long names in the id."""
    base, quote = instrument.base, instrument.quote
    alt = asset_alt(base) + asset_alt(quote)
    ids = asset_id(base), asset_id(quote)
    both_old = ids[0] != base and ids[1] != quote
    late = quote == "AUD" or (base == "DOGE" and quote in _OLD_CURRENCIES)
    name = ids[0] + ids[1] if both_old and not late else alt
    ws = f"{asset_alt(base)}/{asset_alt(quote)}"
    return Pair(instrument, name, alt, ws, f"{base}/{quote}")


class Names:
    """Pairs and assets of one venue, found by any name that Kraken takes."""

    def __init__(self, instruments: Mapping[int, Instrument]) -> None:
        self.pairs = {number: pair_of(instrument) for number, instrument in instruments.items()}
        self.decimals: dict[str, int] = {}
        self._rest: dict[str, Pair] = {}
        self._symbols: dict[str, Pair] = {}
        self._assets: dict[str, str] = {}
        for pair in self.pairs.values():
            instrument = pair.instrument
            self.decimals[instrument.base] = instrument.base_decimals
            self.decimals[instrument.quote] = instrument.quote_decimals
            self._symbols[pair.symbol] = pair
            plain = instrument.base + instrument.quote
            for name in (pair.id, pair.alt, pair.ws, pair.symbol, plain):
                self._rest.setdefault(name, pair)
        for asset in self.decimals:
            for name in (asset_id(asset), asset_alt(asset), asset):
                self._assets.setdefault(name, asset)

    def rest(self, name: str) -> Pair:
        """A pair by one of REST's names. Raises KrakenError."""
        found = self._rest.get(name)
        if found is None:
            known = re.fullmatch(r"[A-Za-z0-9./]+", name)
            raise KrakenError(f"EQuery:{'Unknown' if known else 'Invalid'} asset pair")
        return found

    def symbol(self, name: object) -> Pair:
        """A pair by the stream's name. Raises KrakenError."""
        if not isinstance(name, str):
            raise KrakenError("Symbol field must be an array of strings")
        found = self._symbols.get(name)
        if found is None:
            raise KrakenError(f"Currency pair not supported {name[:32]}")
        return found

    def asset(self, name: str) -> str:
        """Our name of an asset. Raises KrakenError."""
        found = self._assets.get(name)
        if found is None:
            raise KrakenError("EQuery:Unknown asset")
        return found

    def amount(self, asset: str, units: int) -> str:
        """Units of an asset with all its decimals."""
        return format_decimal(units, self.decimals.get(asset, 0))
