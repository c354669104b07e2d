"""What simulated traders do, and the little they see: the ground of every order flow.

A flow decides on one action at a time and carries it out on a book, of which it knows four calls.
It remembers the numbers of its resting orders; that one was filled it finds out when it looks at it
again, and each action looks at a few, so that few of the dead are remembered.

Both sides of the book stay alive: a flow never takes out the last orders of a side by cancels, and
where a side is found empty, before an action or after it, new orders are put there at once.
"""

from math import exp, log, log10
from random import Random
from typing import NamedTuple, Protocol

from engine.exchange.fair_price import VenuePrice
from engine.instruments import Instrument
from engine.messages import BUY, SELL
from ext.matching import CONTINUOUS, GTC, IOC, LIMIT

NOTHING = 0  # kinds of action, beside LIMIT
MARKET = 2
CANCEL = 3

SIDE_LEAST = 4  # orders of a side below which the flow does not cancel there
REFILL = 3  # orders put into an empty side
LOOKS = 2  # orders looked at with each action, whether they still live
REACH_BPS = 20.0  # how far from the fair price a market order goes at most


class Action(NamedTuple):
    """What a trader did: `ticks` is the limit (of a market order too), `order` the book's number."""

    kind: int
    side: int = 0
    ticks: int = 0
    lots: int = 0
    order: int = 0


class Book(Protocol):
    """What a flow knows of a book: four calls, and whether it trades."""

    @property
    def phase(self) -> int:
        """CONTINUOUS, or one in which a flow waits."""

    def submit(
        self, side: int, kind: int, ticks: int, lots: int, owner: int = 0, tif: int = GTC
    ) -> int:
        """Take an order; its number."""

    def cancel(self, order: int) -> None:
        """Take an order out."""

    def best(self, side: int) -> tuple[int, int]:
        """The best price of a side and what it shows; 0, 0 when it is empty."""

    def order(self, order: int) -> object | None:
        """An order that lives, or None."""


class Sizes(NamedTuple):
    """The size of an order: log-normal in money, and often a round number of lots.

    Log-normal sizes of orders: Bouchaud, Mezard and Potters, "Statistical properties of stock order
    books", 2002, have the like; that sizes cluster at round numbers is in every capture.
    """

    median: float
    sigma: float
    round_share: float

    def mean(self) -> float:
        """The mean in money, where nothing is rounded."""
        return self.median * exp(self.sigma**2 / 2)

    def lots(self, chance: Random, lot_value: float) -> int:
        """A size in lots of a value; at least one."""
        lots = self.median / lot_value
        if self.sigma:
            lots *= exp(chance.gauss(0.0, self.sigma))
        if self.round_share and chance.random() < self.round_share:
            return round_lots(lots)
        return max(1, round(lots))


def round_lots(lots: float) -> int:
    """The nearest of 1, 2, 5, 10, 20, 50 and so on, by ratio."""
    if lots <= 1:
        return 1
    power = int(10.0 ** int(log10(lots)))
    return min((power, 2 * power, 5 * power, 10 * power), key=lambda each: abs(log(each / lots)))


class Own:
    """The orders that a flow believes to rest on one side: drawn blindly, or at a price."""

    def __init__(self, chance: Random) -> None:
        self._random = chance
        self._orders: list[int] = []
        self._places: dict[int, int] = {}
        self._ticks: dict[int, int] = {}
        self._at: dict[int, list[int]] = {}

    def __len__(self) -> int:
        return len(self._orders)

    def add(self, order: int, ticks: int) -> None:
        """Remember an order."""
        self._places[order] = len(self._orders)
        self._orders.append(order)
        self._ticks[order] = ticks
        self._at.setdefault(ticks, []).append(order)

    def remove(self, order: int) -> int:
        """Forget an order; where it was."""
        place, last = self._places.pop(order), self._orders.pop()
        if last != order:
            self._orders[place] = last
            self._places[last] = place
        ticks = self._ticks.pop(order)
        level = self._at[ticks]
        level.remove(order)
        if not level:
            del self._at[ticks]
        return ticks

    def clear(self) -> None:
        """Forget all."""
        for each in (self._orders, self._places, self._ticks, self._at):
            each.clear()

    def draw(self) -> int:
        """Any order, each with the same chance; there must be one."""
        return self._orders[int(self._random.random() * len(self._orders))]

    def draw_at(self, ticks: int) -> int:
        """Any order at a price; 0 when there is none."""
        level = self._at.get(ticks)
        return level[int(self._random.random() * len(level))] if level else 0


class OrderFlow:
    """The traders of one instrument at one venue; a model says when the next acts, and what it does.

    `open` puts the first orders into the book, then `act` carries out the one that is due at
    `next_ns`. Rests at most `orders_max` orders, those of a refilled side apart.
    """

    def __init__(
        self,
        instrument: Instrument,
        price: VenuePrice,
        chance: Random,
        orders: int,
        begin_ns: int,
    ) -> None:
        self.instrument = instrument
        self.next_ns = begin_ns
        self.orders = max(orders, 4 * SIDE_LEAST)
        self.orders_max = 2 * self.orders
        self._price = price
        self._random = chance
        self._own = {BUY: Own(chance), SELL: Own(chance)}
        self._fair = 0.0
        self._notional_min = instrument.notional_min_units
        self._tick_lot = instrument.quote_units_per_tick_lot

    # --- what a model says ------------------------------------------------------------------------

    def _gap_ns(self) -> int:
        """How long after `next_ns` the next one acts; at least 1."""
        raise NotImplementedError

    def _decide(self, book: Book) -> Action:
        """What is done now; `self._fair` is the fair price as it is seen."""
        raise NotImplementedError

    def _first(self, side: int) -> tuple[int, int]:
        """Ticks and lots of an order of a book that nobody has traded on yet."""
        raise NotImplementedError

    def _acted(self, book: Book) -> None:
        """An action was carried out: what follows from it."""

    # --- for the market ---------------------------------------------------------------------------

    def open(self, book: Book) -> None:
        """Put the first orders in."""
        self._fair = self._price.at(self.next_ns)
        for place in range(self.orders):
            side = BUY if place % 2 else SELL
            self._submit(book, Action(LIMIT, side, *self._first(side)))
        self.tend(book)
        self.next_ns += self._gap_ns()

    def act(self, book: Book) -> Action:
        """Do what is due at `next_ns`; what it was. Nothing unless the book trades continuously."""
        self._fair = self._price.at(self.next_ns)
        if book.phase != CONTINUOUS:
            self.next_ns += self._gap_ns()
            return Action(NOTHING)
        self.tend(book)
        self._forget_dead(book)
        action = self._decide(book)
        if action.kind == LIMIT and self.resting >= self.orders_max:
            action = self._cancel(book, self._longer()) or Action(NOTHING)
        if action.kind == CANCEL:
            book.cancel(action.order)
        elif action.kind != NOTHING:
            action = self._submit(book, action)
        self.tend(book)
        self._acted(book)
        self.next_ns += self._gap_ns()
        return action

    def skip_to(self, now_ns: int) -> None:
        """After a long pause the market goes on from now; it does not catch up."""
        self.next_ns = now_ns
        self.next_ns += self._gap_ns()

    def tend(self, book: Book) -> None:
        """Put orders where a side is empty; what somebody else swept is found here too."""
        for side in (BUY, SELL):
            if not book.best(side)[0]:
                self._own[side].clear()
                for _ in range(REFILL):
                    ticks, lots = self._first(side)
                    self._submit(book, Action(LIMIT, side, self._behind(book, side, ticks), lots))

    @property
    def resting(self) -> int:
        """Orders it believes to rest."""
        return len(self._own[BUY]) + len(self._own[SELL])

    def _longer(self) -> int:
        return BUY if len(self._own[BUY]) >= len(self._own[SELL]) else SELL

    # --- for models -------------------------------------------------------------------------------

    def _ticks(self, price: float) -> int:
        instrument = self.instrument
        ticks = round(price / instrument.tick)
        return max(instrument.ticks_min, min(instrument.ticks_max, ticks))

    def _lots(self, sizes: Sizes) -> int:
        instrument = self.instrument
        lots = sizes.lots(self._random, self._fair * instrument.lot)
        return max(instrument.lots_min, min(instrument.lots_max, lots))

    def _behind(self, book: Book, side: int, ticks: int) -> int:
        """A price that does not trade: behind the other side's best, if it has one."""
        other = book.best(-side)[0]
        if other and (other - ticks) * side <= 0:
            ticks = other - side
        return max(self.instrument.ticks_min, ticks)

    def _submit(self, book: Book, action: Action) -> Action:
        """Carry out an order, and remember it if it may rest."""
        kind, side, ticks, lots, _ = action
        lots = max(lots, -(-self._notional_min // (self._tick_lot * ticks)))
        order = book.submit(side, LIMIT, ticks, lots, 0, IOC if kind == MARKET else GTC)
        if kind == LIMIT:
            self._own[side].add(order, ticks)
        return Action(kind, side, ticks, lots, order)

    def _market(self, side: int, sizes: Sizes) -> Action:
        """A market order, which goes no further than REACH_BPS from the fair price."""
        limit = self._ticks(self._fair * (1 + side * REACH_BPS / 10_000))
        return Action(MARKET, side, limit, self._lots(sizes))

    def _cancel(self, book: Book, side: int, ticks: int = 0) -> Action | None:
        """An order of a side drawn blindly, at a price if one is given and some rest there, goes.

        None when the side has not enough orders that live.
        """
        own = self._own[side]
        while len(own) > SIDE_LEAST:
            order = own.draw_at(ticks) or own.draw()
            at = own.remove(order)
            if book.order(order) is not None:
                return Action(CANCEL, side, at, 0, order)
        return None

    def _forget_dead(self, book: Book) -> None:
        """Look at a few of those remembered."""
        for own in self._own.values():
            for _ in range(LOOKS):
                if own and book.order(order := own.draw()) is None:
                    own.remove(order)
