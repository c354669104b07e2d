"""Fills and transfers of our account at a venue, each told once.

A fill is keyed by the venue's trade id: a repeat changes nothing, and one that comes after its order's end is
money all the same. One that names its order only by the venue's number waits until it is known whose
that is: a bot's fill is never told as nobody's because a frame was lost.
"""

import msgspec

from engine.messages import Fill, Transfer
from engine.orders.desk import NAMELESS, Desk, Messages, remember
from engine.venues.trading import FillSeen, OrderSeen, TransferSeen

TRADES_MAX = 10_000
TRANSFERS_MAX = 1_000
NAMELESS_NS = 30_000_000_000
NAMELESS_MAX_NS = 600_000_000_000


class Nameless(msgspec.Struct):
    """Fills of an order whose client id is not known yet; it is asked for again at `ask_at_ns`.

    With each, whether our first balance has it, unless it is of an order that was placed from here.
    """

    since_ns: int
    ask_at_ns: int
    fills: list[tuple[FillSeen, bool]]


class FillsState(msgspec.Struct):
    """The whole state, for a snapshot."""

    number: int
    highest: int
    told: int
    nameless: dict[str, Nameless]
    trades: dict[str, None]
    transfers: dict[str, None]


class Fills:
    """See the module. `number` is that of the last numbered fill before which none is missing; `told`
    counts what moved money; `nameless` are fills that wait, by the venue's number of their order.
    """

    def __init__(self, desk: Desk) -> None:
        self.number = 0
        self.told = 0
        self.nameless: dict[str, Nameless] = {}
        self._desk = desk
        self._highest = 0
        self._trades: dict[str, None] = {}
        self._transfers: dict[str, None] = {}

    @property
    def hole(self) -> bool:
        """Whether a numbered fill is missing before one that came."""
        return self._highest > self.number

    def is_told(self, news: FillSeen) -> bool:
        """Whether a fill was here before."""
        return _key(news) in self._trades

    def take(self, news: FillSeen, received_ns: int, history: bool = False) -> Messages:
        """A fill, told if it is new and its order can be named.

        One of `history` is in our first balance: only of an order placed from here it is told.
        """
        desk = self._desk
        if news.number:
            if news.number == self.number + 1:
                self.number = news.number
            self._highest = max(self._highest, news.number)
        if self.is_told(news):
            return []
        remember(self._trades, _key(news), None, TRADES_MAX)
        name = desk.name_of(news.client_order_id, news.venue_order_id)
        if not name:
            waits = self.nameless.setdefault(news.venue_order_id, Nameless(desk.now_ns, 0, []))
            waits.fills.append((news, history))
            return []
        if history and not desk.placed(name):
            self.number = max(self.number, news.number)
            return []
        return self._tell(news, received_ns)

    def _tell(self, news: FillSeen, received_ns: int) -> Messages:
        desk = self._desk
        self.told += 1
        name = desk.name_of(news.client_order_id, news.venue_order_id)
        bot = desk.count_fill(name, news.lots)
        return [
            Fill(
                desk.sender,
                desk.stamp(),
                received_ns,
                name,
                bot,
                desk.venue,
                news.instrument,
                news.side,
                news.ticks,
                news.lots,
                news.fee,
                news.fee_asset,
                news.trade_id,
                news.maker,
            )
        ]

    def learn(self, news: OrderSeen, received_ns: int) -> Messages:
        """The venue names an order by both ids: the fills that waited for that are told."""
        venue_id = news.venue_order_id
        if not venue_id or self._desk.name_of("", venue_id):
            return []
        return self._name(venue_id, news.client_order_id or NAMELESS + venue_id, received_ns)

    def give_up(self, received_ns: int) -> Messages:
        """Tell the fills whose order the venue does not name: they are nobody's, but money.

        Not while an order of ours is open whose number at the venue is not known: it may be that.
        """
        messages: Messages = []
        nameless = any(not order.venue_id for order in self._desk.open.values())
        for venue_id, waits in list(self.nameless.items()):
            waited_ns = self._desk.now_ns - waits.since_ns
            if waited_ns > (NAMELESS_MAX_NS if nameless else NAMELESS_NS):
                messages += self._name(venue_id, NAMELESS + venue_id, received_ns)
        return messages

    def _name(self, venue_id: str, name: str, received_ns: int) -> Messages:
        self._desk.learn(venue_id, name)
        waits = self.nameless.pop(venue_id, None)
        told = [] if waits is None else waits.fills
        placed = self._desk.placed(name)
        messages: Messages = []
        for fill, history in told:
            if placed or not history:
                messages += self._tell(fill, received_ns)
        return messages

    def transferred(self, news: TransferSeen, received_ns: int) -> Messages:
        """Money came or went, once."""
        desk = self._desk
        if news.transfer_id in self._transfers:
            return []
        remember(self._transfers, news.transfer_id, None, TRANSFERS_MAX)
        self.told += 1
        about = (news.asset, news.amount, news.transfer_id, news.kind)
        return [Transfer(desk.sender, desk.stamp(), received_ns, desk.venue, *about)]

    def snapshot(self) -> FillsState:
        """The whole state."""
        memories = (self.nameless, self._trades, self._transfers)
        return FillsState(self.number, self._highest, self.told, *memories)

    def restore(self, state: FillsState) -> None:
        """Become what `snapshot` gave."""
        self.number, self._highest, self.told = state.number, state.highest, state.told
        self.nameless, self._trades = state.nameless, state.trades
        self._transfers = state.transfers


def _key(news: FillSeen) -> str:
    """What makes a fill: where both sides of a trade are ours, they bear one trade id."""
    return f"{news.instrument}/{news.trade_id}/{news.side}"
