"""A venue of the simulated exchange on a replayed market: orders, money and fills add up as ever."""

from pathlib import Path
from random import Random

import pytest

from engine.config import instruments_of, parse
from engine.edges.exchange_server import add_accounts
from engine.exchange.faults import Faults
from engine.exchange.orders import DepthChange, NewOrder, Order, Refused, Status, Why
from engine.exchange.racing import RacingExchange
from engine.exchange.replayed import ReplayedMarket
from engine.fault_config import FaultConfig, FaultKind
from engine.messages import BUY, SELL
from ext.matching import (
    AUCTION,
    CLOSED,
    CONTINUOUS,
    DAY,
    FOK,
    GTD,
    HALTED,
    IOC,
    LIMIT,
    MARKET,
    PEGGED,
    POST_ONLY,
    SLIDE,
    STOP,
    STP_OLDEST,
)

CONFIG = parse((Path(__file__).parent.parent / "configs" / "demo.toml").read_text(), "demo")
BEGIN = 10**18
SECOND = 10**9
PRICE = 6_000_000  # ticks of BTC/USDT


class Venue:
    """Venue alpha with one account and its first market replayed."""

    def __init__(self, queue: str) -> None:
        instruments = instruments_of(CONFIG).of_venue(0)
        self.number = instruments[0].id
        self.book = ReplayedMarket(queue, crossing_lots=True, market_data=True)
        books = {self.number: self.book}
        self.exchange = RacingExchange("alpha", instruments, begin_ns=BEGIN, books=books)
        add_accounts(self.exchange, CONFIG, BEGIN)
        self.account = self.exchange.accounts.names[0]
        self.now_ns = BEGIN
        self.seen: dict[int, dict[int, int]] = {BUY: {}, SELL: {}}

    def watch(self) -> None:
        """A client that is told of changes of levels has the book; their numbers have no hole."""
        market = self.exchange.markets[self.number]
        for event in self.exchange.take_events():
            if isinstance(event, DepthChange) and event.instrument == self.number:
                for side, ticks, lots in event.levels:
                    assert self.seen[side].get(ticks, 0) != lots, "a change changes something"
                    self.seen[side][ticks] = lots
                    if not lots:
                        del self.seen[side][ticks]
        bids, asks = market.depth(0)
        assert (bids, asks) == (
            sorted(self.seen[BUY].items(), reverse=True),
            sorted(self.seen[SELL].items()),
        )

    def tell(self, feed: str, *arguments: object) -> None:
        """The feed says something; the exchange clears what comes of it."""
        act = lambda book: getattr(book, feed)(*arguments)  # noqa: E731
        self.exchange.act(self.number, act, self.now_ns)

    def order(self, **fields: int) -> Status:
        """Place an order; where it stands."""
        return self.place(**fields).status

    def place(self, **fields: int) -> Order:
        """The order itself."""
        new = NewOrder(self.number, **({"kind": LIMIT, "side": BUY} | fields))  # type: ignore[arg-type]
        return self.exchange.place(self.account, new, self.now_ns)


def test_an_order_rests_and_is_filled_as_a_maker() -> None:
    """At its price and the maker's fee, when those ahead are served."""
    venue = Venue("pessimistic")
    venue.tell("show", [(PRICE, 1_000)], [(PRICE + 10, 1_000)])
    assert venue.order(ticks=PRICE, lots=2_000, flags=POST_ONLY) is Status.OPEN
    venue.tell("trade", PRICE, 1_500, SELL)
    venue.tell("trade", PRICE, 1_500, SELL)
    fills = venue.exchange.fills(venue.account)
    assert [(f.ticks, f.lots, f.maker, f.side) for f in fills] == [
        (PRICE, 500, True, BUY),
        (PRICE, 1_500, True, BUY),
    ]
    with pytest.raises(Refused):
        venue.order(ticks=PRICE + 10, lots=1_000, flags=POST_ONLY)
    assert venue.order(kind=MARKET, lots=900) is Status.FILLED
    assert not venue.exchange.fills(venue.account)[-1].maker
    assert venue.exchange.audit().problems == ()


@pytest.mark.parametrize("queue", ["pessimistic", "power", "log"])
def test_everything_adds_up_on_any_tape(queue: str) -> None:
    """A made-up tape and made-up orders: the exchange's own audit finds nothing, step for step."""
    random, venue = Random(queue), Venue(queue)
    done = set()
    for step in range(600):
        venue.now_ns += random.randrange(SECOND)
        ticks = PRICE + random.randint(-5, 5)
        lots = 1_000 * random.randint(1, 20)
        match random.randrange(6):
            case 0:
                middle = ticks + 0.5
                sides = [
                    [
                        (int(middle + side * (n + 0.5)), 1_000 * random.randint(1, 9))
                        for n in range(5)
                    ]
                    for side in (-1, 1)
                ]
                venue.tell("show", *sides, 5)
            case 1:
                venue.tell("trade", ticks, lots, random.choice((BUY, SELL)))
            case 2 | 3:
                try:
                    tif = random.choice((1, 1, 1, IOC, FOK))
                    side = random.choice((BUY, SELL))
                    done.add(venue.order(side=side, ticks=ticks, lots=lots, tif=tif))
                except Refused as refused:
                    done.add(refused.why)
            case 4:
                phase = random.choice((CONTINUOUS, CONTINUOUS, HALTED, CLOSED))
                venue.exchange.set_phase(venue.number, phase, venue.now_ns)
                if random.random() < 0.2:
                    venue.tell("lose_sight")
            case _:
                for open_order in venue.exchange.open_orders(venue.account)[:1]:
                    if step % 2 or venue.book.phase != CONTINUOUS:
                        venue.exchange.cancel(venue.account, open_order.number, venue.now_ns)
                    else:
                        lots += open_order.filled
                        number = open_order.number
                        venue.exchange.replace(venue.account, number, ticks, lots, venue.now_ns)
        venue.watch()
        assert venue.exchange.audit().problems == ()
    assert {Status.OPEN, Status.FILLED, Status.CANCELLED} <= done
    assert {fill.maker for fill in venue.exchange.fills(venue.account)} == {True, False}


@pytest.mark.parametrize(
    "wrong",
    [
        {"trigger": STOP, "trigger_ticks": PRICE},
        {"kind": PEGGED, "ticks": 0},
        {"display": 100},
        {"flags": SLIDE},
        {"stp": STP_OLDEST},
    ],
)
def test_what_a_recorded_market_cannot_tell_is_refused(wrong: dict[str, int]) -> None:
    """Before anything is changed."""
    venue = Venue("pessimistic")
    venue.tell("show", [(PRICE, 1_000)], [(PRICE + 10, 1_000)])
    with pytest.raises(Refused) as refused:
        venue.order(**({"ticks": PRICE, "lots": 1_000} | wrong))
    assert refused.value.why is Why.INVALID
    assert venue.exchange.audit().order_count == 0


def test_orders_with_an_end_end_by_the_exchanges_clock() -> None:
    """The market knows no time; the exchange does."""
    venue = Venue("pessimistic")
    venue.tell("show", [(PRICE, 1_000)], [(PRICE + 10, 1_000)])
    until_ns = venue.now_ns + SECOND
    orders = [
        venue.place(ticks=PRICE, lots=1_000, tif=GTD, expire_ns=until_ns),
        venue.place(ticks=PRICE, lots=1_000, tif=DAY),
    ]
    venue.exchange.advance(until_ns - 1)
    assert [order.status for order in orders] == [Status.OPEN, Status.OPEN]
    venue.exchange.advance(until_ns)
    assert [order.status for order in orders] == [Status.EXPIRED, Status.OPEN]
    venue.exchange.advance(until_ns + 86_400 * SECOND)
    assert orders[1].status is Status.EXPIRED
    assert venue.exchange.audit().problems == ()


def test_a_halt_is_ours_alone() -> None:
    """The feed goes on and fills nobody; when it is over, what stands beyond an order has passed it."""
    venue = Venue("pessimistic")
    venue.tell("show", [(PRICE, 1_000)], [(PRICE + 10, 1_000)])
    order = venue.place(ticks=PRICE, lots=500)
    venue.exchange.set_phase(venue.number, HALTED, venue.now_ns)
    venue.tell("trade", PRICE - 1, 5_000, SELL)
    venue.tell("show", [(PRICE - 20, 1_000)], [(PRICE - 10, 1_000)])
    assert order.filled == 0
    with pytest.raises(Refused) as refused:
        venue.order(ticks=PRICE - 20, lots=500)
    assert refused.value.why is Why.HALTED
    with pytest.raises(Refused):
        venue.exchange.replace(venue.account, order.number, PRICE - 1, 500, venue.now_ns)
    with pytest.raises(ValueError, match="no auctions"):
        venue.exchange.set_phase(venue.number, AUCTION, venue.now_ns)
    venue.exchange.set_phase(venue.number, CONTINUOUS, venue.now_ns)
    assert order.status is Status.FILLED
    venue.watch()
    assert venue.exchange.audit().problems == ()


def test_races_are_lost_here_too() -> None:
    """A cancel comes too late for it and what was before it; an order that takes gets only part."""
    venue = Venue("pessimistic")
    venue.tell("show", [(PRICE, 1_000)], [(PRICE + 10, 1_000)])
    plan = (
        FaultConfig(FaultKind.FILL_BEFORE_CANCEL, count=1),
        FaultConfig(FaultKind.PARTIAL_FILL, part=0.5),
    )
    venue.exchange.faults = Faults(1, "alpha", plan, BEGIN)
    venue.exchange.faults.turn(BEGIN)
    behind, first, late = (venue.place(ticks=PRICE - n, lots=500) for n in (2, 0, 1))
    with pytest.raises(Refused):
        venue.exchange.cancel(venue.account, late.number, venue.now_ns)
    statuses = [order.status for order in (first, late, behind)]
    assert statuses == [Status.FILLED, Status.FILLED, Status.OPEN]
    taker = venue.place(ticks=PRICE + 10, lots=800, tif=IOC)
    assert (taker.status, taker.filled) == (Status.CANCELLED, 400)
    venue.watch()
    assert venue.exchange.audit().problems == ()
