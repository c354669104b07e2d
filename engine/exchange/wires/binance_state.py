"""What the Binance wire of a venue remembers beside the exchange: lists of orders, notes, listings.

The exchange knows orders, their groups and parents; what only Binance has (ids of lists and of
cancels, strategy ids, when an order began to work) is kept here, for a bounded number of orders.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

import msgspec

from engine.exchange.exchange import Exchange
from engine.exchange.orders import Order, PublicTrade, Refused, Status
from engine.exchange.wires.binance_keys import ListenKeys
from engine.exchange.wires.binance_limits import Limits, Meter
from engine.exchange.wires.binance_words import Listing, Names, refusal, status_word, wrong
from engine.exchange.wires.forgetting import drop_oldest
from ext.matching import BY_CLIENT, BY_GROUP, BY_MASS, BY_PARENT

NOTES_MAX = 50_000
LISTS_MAX = 5_000
TRADES_MAX = 5_000
T = TypeVar("T")


class Note(msgspec.Struct):
    """What Binance says of an order and the exchange does not keep.

    `ticks`, `lots` and `working` are what was last told of it.
    """

    list_number: int = -1
    strategy_id: int = -1
    strategy_type: int = -1
    cancel_id: str = ""
    working_ns: int = -1
    prevented: int = 0
    ticks: int = 0
    lots: int = 0
    working: bool = False
    told: bool = False


class OrderList(msgspec.Struct):
    """Orders that were placed together; `kind` is OCO or OTO."""

    number: int
    client_id: str
    account: str
    listing: int
    kind: str
    orders: list[int]
    time_ns: int
    done: bool = False


class AggregateTrade(NamedTuple):
    """Trades of one taker at one price."""

    number: int
    first: int
    last: int
    ticks: int
    lots: int
    side: int
    time_ns: int


class Aggregates:
    """The aggregate trades of a market, as many as are kept."""

    def __init__(self, trades: Iterable[PublicTrade]) -> None:
        self.kept: deque[AggregateTrade] = deque(maxlen=TRADES_MAX)
        self._count = 0
        self._last_trade = 0
        self.add(trades)

    def add(self, trades: Iterable[PublicTrade]) -> list[AggregateTrade]:
        """Trades that happened; what they are as aggregates. Those known already are skipped."""
        made: list[AggregateTrade] = []
        for trade in trades:
            if trade.number <= self._last_trade:
                continue
            self._last_trade = trade.number
            key = (trade.ticks, trade.side, trade.time_ns)
            if made and (made[-1].ticks, made[-1].side, made[-1].time_ns) == key:
                before = made[-1]
                made[-1] = before._replace(last=trade.number, lots=before.lots + trade.lots)
                continue
            self._count += 1
            made.append(
                AggregateTrade(
                    self._count, trade.number, trade.number, trade.ticks, trade.lots, *key[1:]
                )
            )
        self.kept.extend(made)
        return made


class State:
    """The exchange, and what the parts of the wire share about it."""

    def __init__(self, exchange: Exchange, limits: Limits) -> None:
        self.exchange = exchange
        self.meter = Meter(limits)
        self.keys = ListenKeys(exchange.venue)
        self.names = Names(f"{exchange.venue}/orders")
        self.listings = {
            number: Listing(instrument)
            for number, instrument in exchange.instruments.items()
            if ":" not in instrument.symbol  # contracts are not on the spot exchange
        }
        self.by_native = {listing.native: listing for listing in self.listings.values()}
        self.aggregates = {
            number: Aggregates(exchange.markets[number].trades) for number in self.listings
        }
        self.lists: dict[int, OrderList] = {}
        self.changed_ns: dict[str, int] = {}
        self.last_fill = 0
        self.now_ns = 0
        self._notes: dict[int, Note] = {}
        self._last_list = -1

    def listing(self, native: str) -> Listing:
        """A symbol; raises Problem."""
        found = self.by_native.get(native)
        if found is None:
            raise wrong(-1121)
        return found

    def note(self, number: int) -> Note:
        """The note of an order, a new one if it has none; too many: the oldest that is final goes."""
        found = self._notes.get(number)
        if found is None:
            if len(self._notes) >= NOTES_MAX:
                drop_oldest(self._notes, self.exchange.lives)
            found = self._notes[number] = Note()
        return found

    def noted(self, number: int) -> Note:
        """The note of an order for reading."""
        return self._notes.get(number) or Note()

    def new_list(
        self,
        account: str,
        client_id: str,
        kind: str,
        listing: Listing,
        orders: Iterable[Order],
        now_ns: int,
    ) -> OrderList:
        """Orders have been placed together."""
        if len(self.lists) >= LISTS_MAX:
            drop_oldest(self.lists, lambda at: any(map(self.exchange.lives, self.lists[at].orders)))
        self._last_list += 1
        numbers = [order.number for order in orders]
        made = OrderList(self._last_list, client_id, account, listing.id, kind, numbers, now_ns)
        self.lists[made.number] = made
        for number in numbers:
            self.note(number).list_number = made.number
        return made

    def members(self, made: OrderList) -> list[Order]:
        """The orders of a list as they are now."""
        found = (self.find(made.account, number) for number in made.orders)
        return [order for order in found if order is not None]

    def find(self, account: str, number: int) -> Order | None:
        """An order of an account, if there is one."""
        try:
            return self.exchange.order(account, number)
        except Refused:
            return None

    def status(self, order: Order) -> str:
        """An order's status as Binance names it."""
        if order.status is Status.OPEN and order.request.parent:
            parent = self.find(order.account, order.request.parent)
            if parent is not None and parent.open:
                return "PENDING_NEW"
        ended = order.status in (Status.CANCELLED, Status.EXPIRED)
        if ended and order.reason in (BY_GROUP, BY_PARENT) and not self._by_client(order):
            return "EXPIRED"
        return status_word(order.status, order.reason)

    def _by_client(self, order: Order) -> bool:
        """Whether it was cancelled along with one that its owner cancelled."""
        made = self.lists.get(self.noted(order.number).list_number)
        return made is None or any(
            other.status is Status.CANCELLED and other.reason in (BY_CLIENT, BY_MASS)
            for other in self.members(made)
        )

    def client_id(self, order: Order) -> str:
        """An order's id by its owner; its number where another wire gave none."""
        return order.request.client_id or str(order.number)

    def resolve(
        self,
        account: str,
        listing: Listing,
        number: int | None,
        client_id: str | None,
        unknown: int,
    ) -> Order:
        """An order of a symbol by its number and its client id, or by one of them; raises Problem."""
        try:
            if number is not None:
                order = self.exchange.order(account, number)
            else:
                order = self.exchange.by_client_id(account, client_id or "")
        except Refused as refused:
            raise refusal(refused, unknown) from None
        matches = client_id is None or client_id == order.request.client_id
        if order.request.instrument != listing.id or not matches:
            raise wrong(unknown)
        return order


def guarded(act: Callable[[], T], unknown: int = -2011) -> T:
    """What the exchange answers; raises Problem in Binance's words when it refuses."""
    try:
        return act()
    except Refused as refused:
        raise refusal(refused, unknown) from None
