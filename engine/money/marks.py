"""What one asset is worth in another: the mid of a market of the two, or of two markets in a row.

Where several venues trade a pair the mark is the mean over those whose book is LIVE; while none is,
the last mid stands and grows old. A LIVE mid is as fresh as its venue's last word: a quiet book is
not an old one, and a venue that hangs says nothing. A peg of the configuration is a rate of one to one, used where no
market of the two ever had a mid. A mark that was found once is not lost: without a way from now on it
stays as it was, with its age.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

import msgspec

from engine.instruments import Instrument, Instruments
from engine.messages import BookState, BookTop

FOREVER = 2**62
"""When a peg was marked: it never grows old."""

Pair = tuple[str, str]


class Mark(NamedTuple):
    """So many units of the one asset for a unit of the other, known since `at_ns`."""

    rate: Fraction
    at_ns: int


class Mid(msgspec.Struct):
    """The last mid of an instrument that was LIVE: twice its ticks, when, and whether it still is."""

    double_ticks: int
    at_ns: int
    live: bool = True


class MarksState(msgspec.Struct):
    """The whole state, for a snapshot: mids by instrument, when each venue was heard of last.

    The last marks are (numerator, denominator, ns): the numbers may need more than 64 bits.
    """

    mids: dict[int, Mid]
    heard: dict[int, int]
    last: dict[Pair, tuple[str, str, int]]


class Marks:
    """All mids, and the marks that follow from them. `pegs` maps an asset to what it is worth one of."""

    def __init__(self, instruments: Instruments, pegs: Mapping[str, str]) -> None:
        self._instruments = instruments
        self._pegs = dict(pegs)
        self._mids: dict[int, Mid] = {}
        self._heard: dict[int, int] = {}
        self._last: dict[Pair, Mark] = {}
        self._of_pair: dict[Pair, list[int]] = {}
        self._beside: dict[str, dict[str, None]] = {}
        self._neighbours()

    def _neighbours(self) -> None:
        for instrument in self._instruments:
            pair = (instrument.base, instrument.quote)
            self._of_pair.setdefault(pair, []).append(instrument.id)
        for one, other in (*self._of_pair, *self._pegs.items()):
            self._beside.setdefault(one, {})[other] = None
            self._beside.setdefault(other, {})[one] = None

    def on_top(self, top: BookTop) -> None:
        """Remember a mid; a book that is not LIVE, or has one side only, keeps its last."""
        known = self._mids.get(top.instrument)
        if top.state is BookState.LIVE and top.bid_ticks and top.ask_ticks:
            double_ticks = top.bid_ticks + top.ask_ticks
            if known is None:
                self._mids[top.instrument] = Mid(double_ticks, top.received_ns)
                return
            known.double_ticks = double_ticks
            known.at_ns = top.received_ns
            known.live = True
        elif known is not None:
            known.live = False

    def on_venue(self, venue: int, now_ns: int) -> None:
        """A venue lives: its LIVE books are right as of now."""
        self._heard[venue] = now_ns

    def regrid(self, instrument: Instrument) -> None:
        """The instrument's mid was in other ticks."""
        self._mids.pop(instrument.id, None)

    def value(self, pair: Pair, quantity: int) -> int | None:
        """Base units at the mark of exactly this pair's markets, in quote units; None without one."""
        total = count = 0
        for number in self._of_pair.get(pair, ()):
            mid = self._mids.get(number)
            if mid is not None and mid.live:
                total += self._worth(number, quantity)
                count += 1
        if count:
            return total // count
        last = self._used(pair)
        return self._worth(last[0], quantity) if last else None

    def _worth(self, number: int, quantity: int) -> int:
        """Base units at an instrument's mid in quote units, rounded down."""
        instrument = self._instruments[number]
        per_lot = self._mids[number].double_ticks * instrument.quote_units_per_tick_lot
        return quantity * per_lot // (2 * instrument.base_units_per_lot)

    def _used(self, pair: Pair) -> list[int]:
        """The instruments of a pair that make its mark: those LIVE, else the last that was."""
        known = [number for number in self._of_pair.get(pair, ()) if number in self._mids]
        live = [number for number in known if self._mids[number].live]
        if live or not known:
            return live
        return [max(known, key=self._since)]

    def _since(self, number: int) -> int:
        """As of when an instrument's mid is known to be right."""
        mid = self._mids[number]
        heard_ns = self._heard.get(self._instruments[number].venue, 0) if mid.live else 0
        return max(mid.at_ns, heard_ns)

    def mark(self, asset: str, currency: str) -> Mark | None:
        """What a unit of an asset is worth: directly, else by one asset between; None when unknown."""
        pair = (asset, currency)
        if asset == currency:
            return Mark(Fraction(1), FOREVER)
        found = self._step(*pair) or self._by_way(*pair)
        if found is None:
            return self._last.get(pair)
        self._last[pair] = found
        return found

    def _by_way(self, asset: str, currency: str) -> Mark | None:
        """Over the one asset between whose two marks are the freshest."""
        best: Mark | None = None
        for between in self._beside.get(asset, ()):
            first = self._step(asset, between)
            second = None if first is None else self._step(between, currency)
            if first is None or second is None:
                continue
            at_ns = min(first.at_ns, second.at_ns)
            if best is None or at_ns > best.at_ns:
                best = Mark(first.rate * second.rate, at_ns)
        return best

    def _step(self, one: str, other: str) -> Mark | None:
        """By a market of the two, either way round, or by a peg."""
        forth = self._market(one, other)
        if forth is not None:
            return forth
        back = self._market(other, one)
        if back is not None:
            return Mark(1 / back.rate, back.at_ns)
        if self._pegs.get(one) == other or self._pegs.get(other) == one:
            decimals = self._instruments.decimals
            return Mark(Fraction(10 ** decimals(other), 10 ** decimals(one)), FOREVER)
        return None

    def _market(self, base: str, quote: str) -> Mark | None:
        used = self._used((base, quote))
        if not used:
            return None
        total = sum((self._rate(number) for number in used), Fraction(0))
        return Mark(total / len(used), max(self._since(number) for number in used))

    def _rate(self, number: int) -> Fraction:
        """Quote units for a base unit at an instrument's mid."""
        instrument = self._instruments[number]
        return Fraction(
            self._mids[number].double_ticks * instrument.quote_units_per_tick_lot,
            2 * instrument.base_units_per_lot,
        )

    def snapshot(self) -> MarksState:
        """The whole state."""
        return MarksState(
            self._mids,
            self._heard,
            {
                pair: (str(mark.rate.numerator), str(mark.rate.denominator), mark.at_ns)
                for pair, mark in self._last.items()
            },
        )

    def restore(self, state: MarksState) -> None:
        """Become what `snapshot` gave."""
        self._mids = state.mids
        self._heard = state.heard
        self._last = {
            pair: Mark(Fraction(int(above), int(below)), at_ns)
            for pair, (above, below, at_ns) in state.last.items()
        }
