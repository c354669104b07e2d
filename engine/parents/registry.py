"""All emulated orders: the open ones, those that ended lately, and whose each child is."""

from typing import NamedTuple

import msgspec

from engine.instruments import Instrument
from engine.messages import Fill, OrderEvent, OrderRefused
from engine.parents.state import Child, Parent
from engine.parents.triggers import FAR, Band, band, watched

ENDED_KEPT = 1000  # a fill may come after its parent's end, by seconds
TRADES_MAX = 20_000


class RegistryState(msgspec.Struct):
    """What is kept, for a snapshot; `numbers` counts all parents there ever were."""

    numbers: int
    open: dict[str, Parent]
    ended: dict[str, Parent]
    trades: dict[str, None]


class Calm(NamedTuple):
    """Between which prices nothing is to be done for any parent of an instrument, by the price.

    `hungry` says that some parent waits for the next price, whatever it is.
    """

    hungry: bool
    bands: tuple[Band, ...]

    def covers(self, prices: tuple[int, int, int, int]) -> bool:
        """Whether these prices (0: not told) change nothing."""
        if self.hungry:
            return False
        for price, (low, high) in zip(prices, self.bands, strict=True):
            if price and not low < price < high:
                return False
        return True


class Registry:
    """Emulated orders by their ids, their instruments, their numbers and their children's ids."""

    def __init__(self) -> None:
        self.open: dict[str, Parent] = {}
        self.ended: dict[str, Parent] = {}
        self.numbers = 0
        self._trades: dict[str, None] = {}
        self._watching: dict[int, dict[str, Parent]] = {}
        self._owners: dict[str, Parent] = {}
        self._by_number: dict[int, Parent] = {}
        self._calm: dict[int, Calm] = {}  # those that hold; found again when a parent changes

    def knows(self, name: str) -> bool:
        """Whether an emulated order came before, as far back as is remembered."""
        return name in self.open or name in self.ended

    def is_open(self, parent: Parent) -> bool:
        """Whether a parent has not ended."""
        return parent.intent.parent in self.open

    def add(self, parent: Parent) -> None:
        """Keep a parent that is open from here on, be it new or open again."""
        name = parent.intent.parent
        self.ended.pop(name, None)
        self.open[name] = parent
        self._index(parent)

    def _index(self, parent: Parent) -> None:
        self.changed(parent)
        self._watching.setdefault(parent.intent.instrument, {})[parent.intent.parent] = parent
        self._by_number[parent.number] = parent
        for child in parent.children:
            self._owners[child] = parent

    def watching(self, instrument: int) -> tuple[Parent, ...]:
        """The open parents of an instrument."""
        found = self._watching.get(instrument)
        return tuple(found.values()) if found else ()

    def changed(self, parent: Parent) -> None:
        """A parent is not what it was: what it waits for may be another price."""
        self._calm.pop(parent.intent.instrument, None)

    def calm(self, instrument: int) -> Calm:
        """Between which prices of an instrument nothing is to be done."""
        found = self._calm.get(instrument)
        if found is None:
            lows, highs, hungry = [-FAR] * 4, [FAR] * 4, False
            for parent in self.watching(instrument):
                low, high = band(parent)
                place = watched(parent)
                lows[place], highs[place] = max(lows[place], low), min(highs[place], high)
                hungry = hungry or parent.wants_price
            bands = tuple(zip(lows, highs, strict=True))
            found = self._calm[instrument] = Calm(hungry, bands)
        return found

    def numbered(self, number: int) -> Parent | None:
        """The open parent of a number."""
        return self._by_number.get(number)

    def of(self, news: OrderEvent | OrderRefused | Fill) -> tuple[Parent, Child] | None:
        """Whose child this news is of, if it is of one; a fill told before is not news."""
        parent = self._owners.get(news.client_order_id)
        if parent is None:
            return None
        if isinstance(news, Fill):
            key = f"{news.venue}/{news.trade_id}"
            if key in self._trades:
                return None
            self._trades[key] = None
            if len(self._trades) > TRADES_MAX:
                del self._trades[next(iter(self._trades))]
        return parent, parent.children[news.client_order_id]

    def bear(self, parent: Parent, name: str, child: Child) -> None:
        """A parent has a new child; the oldest that ended are forgotten."""
        parent.children[name] = child
        self._owners[name] = parent
        for dropped in parent.forget():
            del self._owners[dropped]

    def end(self, parent: Parent) -> None:
        """A parent has ended; it is kept a while for fills that come late."""
        name = parent.intent.parent
        self.changed(parent)
        self.open.pop(name, None)
        self._by_number.pop(parent.number, None)
        watching = self._watching.get(parent.intent.instrument, {})
        watching.pop(name, None)
        if not watching:
            self._watching.pop(parent.intent.instrument, None)
        self.ended[name] = parent
        if len(self.ended) > ENDED_KEPT:
            oldest = self.ended.pop(next(iter(self.ended)))
            for child in oldest.children:
                del self._owners[child]

    def regrid(self, instrument: Instrument) -> None:
        """All parents of an instrument go over to its new grid."""
        self._calm.pop(instrument.id, None)
        for parents in (self.open, self.ended):
            for parent in parents.values():
                if parent.intent.instrument == instrument.id:
                    parent.regrid(instrument)

    def snapshot(self) -> RegistryState:
        """What is kept."""
        return RegistryState(self.numbers, self.open, self.ended, self._trades)

    def restore(self, state: RegistryState) -> None:
        """Become what `snapshot` gave."""
        self.numbers, self._trades = state.numbers, state.trades
        self.open, self.ended = state.open, state.ended
        self._watching, self._owners, self._by_number, self._calm = {}, {}, {}, {}
        for parent in self.open.values():
            self._index(parent)
        for parent in self.ended.values():
            for child in parent.children:
                self._owners[child] = parent
