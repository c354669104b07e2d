"""Instruments dealt to connections, and which connection's book is served."""

import json

import pytest

from engine.assembly import HANDLERS
from engine.messages import (
    AnyMessage,
    BookState,
    BookTop,
    Connected,
    Disconnected,
    Frame,
    HttpRequest,
    SendFrame,
    Trade,
    VenueStatus,
)
from engine.venues.lines import TRADES_KEPT
from tests.watched import bybit, kucoin, venue_of


@pytest.mark.parametrize("protocol", sorted(set(HANDLERS) - {"simulated", "ccxt"}))
@pytest.mark.parametrize("redundancy", [1, 2])
def test_no_connection_carries_more_streams_than_the_exchange_allows(
    protocol: str, redundancy: int
) -> None:
    """A book and a trade stream an instrument; every instrument is somewhere, twice if asked."""
    venue = venue_of(protocol, 310, redundancy)
    lines = venue.lines
    limit = lines.handler.endpoint.streams_per_connection
    carried = [len(line.books) for line in lines.of_connection]
    assert max(carried) * 2 <= limit
    assert sum(carried) == 310 * redundancy
    assert len(venue.books) == 310
    assert lines.connections == len(carried)
    for connection in range(lines.connections):
        frames = [
            o
            for o in venue.on_message(Connected(0, 1, 0, 0, connection), 1)
            if isinstance(o, SendFrame)
        ]
        assert frames
        assert {frame.connection for frame in frames} == {connection}
    assert lines.connected
    venue.on_message(Disconnected(0, 2, 0, 0, 0, "gone"), 2)
    assert lines.connected == (redundancy == 2), "another connection feeds the same books"


def test_two_connections_of_a_numbered_venue_feed_one_book() -> None:
    """The first arrival wins, trades too; one connection may go without a word to anybody."""
    venue = venue_of("kucoin", 1, 2)
    for connection in (0, 1):
        venue.on_message(Connected(0, 1, 0, 0, connection), 1)
    body = {"data": {"sequence": "5", "bids": [["1", "1"]], "asks": [["9", "1"]]}}
    about = "/api/v1/market/orderbook/level2_100?symbol=A0-USDT"
    venue.on_message(Frame(0, 1, 1, 0, 0, 1, json.dumps(body).encode(), about), 1)
    for number in range(6, 10):
        first, second = (number % 2, 1 - number % 2)
        payload = kucoin(number, f"{number - 4}.00")
        outputs = venue.on_message(Frame(0, 1, 1, 0, first, 0, payload), 1)
        assert [o.bid_ticks for o in outputs if isinstance(o, BookTop)] == [(number - 4) * 100]
        assert venue.on_message(Frame(0, 1, 1, 0, second, 0, payload), 1) == ()
    assert (venue.counts.duplicates, venue.counts.gaps) == (4, 0)
    match = {"symbol": "A0-USDT", "side": "buy", "price": "5", "size": "1", "tradeId": "t"}
    payload = json.dumps({"type": "message", "subject": "trade.l3match", "data": match}).encode()
    told = [venue.on_message(Frame(0, 1, 1, 0, c, 0, payload), 1) for c in (1, 0)]
    assert [len([o for o in outputs if isinstance(o, Trade)]) for outputs in told] == [1, 0]
    outputs = venue.on_message(Disconnected(0, 2, 0, 0, 0, "gone"), 2)
    assert [type(o) for o in outputs] == [VenueStatus]
    assert venue.books[0].live


def test_elsewhere_each_connection_has_its_book_and_one_is_served() -> None:
    """When the served one is not LIVE the other takes its place in the same moment."""
    venue = venue_of("bybit", 1, 2)
    for connection in (0, 1):
        venue.on_message(Connected(0, 1, 0, 0, connection), 1)
        venue.on_message(Frame(0, 1, 1, 0, connection, 0, bybit("snapshot", 5, "1")), 1)
    outputs = venue.on_message(Frame(0, 1, 1, 0, 0, 0, bybit("delta", 6, "2")), 1)
    assert [o.bid_ticks for o in outputs if isinstance(o, BookTop)] == [200]
    quiet = venue.on_message(Frame(0, 1, 1, 0, 1, 0, bybit("delta", 6, "2")), 1)
    assert quiet == (), "the other's book is kept, not shown"
    venue.on_message(Frame(0, 1, 1, 0, 1, 0, bybit("delta", 7, "3")), 1)
    lost = venue.on_message(Frame(0, 1, 1, 0, 0, 0, bybit("delta", 9, "4")), 1)
    tops = [o for o in lost if isinstance(o, BookTop)]
    assert [(top.state, top.bid_ticks) for top in tops] == [(BookState.LIVE, 300)]
    assert (venue.counts.gaps, venue.counts.switches) == (1, 1)
    assert venue.books[0] is venue.lines.all[1].books[0]
    gone = venue.on_message(Disconnected(0, 2, 0, 0, 1, "gone"), 2)
    tops = [o for o in gone if isinstance(o, BookTop)]
    assert [(top.state, top.bid_ticks) for top in tops] == [(BookState.SYNCING, 0)]
    back = venue.on_message(Frame(0, 1, 1, 0, 0, 0, bybit("snapshot", 10, "5")), 3)
    tops = [o for o in back if isinstance(o, BookTop)]
    assert [(top.state, top.bid_ticks) for top in tops] == [(BookState.LIVE, 500)]


def bybit_trade(trade_id: str) -> bytes:
    """A trade of one."""
    told = {"s": "A0-USDT", "S": "Buy", "v": "1", "p": "5", "i": trade_id}
    topic = "publicTrade.A0-USDT"
    return json.dumps({"topic": topic, "type": "snapshot", "data": [told]}).encode()


def test_what_befalls_a_connection_that_is_not_served_is_not_shown() -> None:
    """Neither its trades nor that its book is lost, whether the served one is LIVE or not."""
    venue = venue_of("bybit", 1, 2)

    def told(connection: int, payload: bytes) -> list[AnyMessage]:
        frame = Frame(0, 1, 1, 0, connection, 0, payload)
        return [o for o in venue.on_message(frame, 1) if not isinstance(o, SendFrame)]

    for connection in (0, 1):
        venue.on_message(Connected(0, 1, 0, 0, connection), 1)
        told(connection, bybit("snapshot", 5, "1"))
    assert [type(o) for o in told(0, bybit_trade("a"))] == [Trade]
    assert told(1, bybit_trade("a")) == []
    assert told(1, bybit("delta", 9, "4")) == []
    assert [line.books[0].live for line in venue.lines.all] == [True, False]
    assert told(0, bybit("delta", 9, "4")) != []
    assert told(1, bybit("snapshot", 10, "5")) != [], "the only one that is LIVE"
    assert venue.counts.switches == 1
    assert told(0, bybit_trade("b")) == []
    assert [type(o) for o in told(1, bybit_trade("b"))] == [Trade]
    assert told(1, bybit("delta", 12, "4")) != []
    assert told(0, bybit("snapshot", 12, "10")) == [], "crossed: it was not served and is not now"
    assert venue.counts.switches == 1


def test_a_snapshot_is_asked_for_on_a_connection_that_is_open() -> None:
    """The answer comes back to the connection that asked, and to none that was lost meanwhile."""
    venue = venue_of("kucoin", 1, 2)
    for connection in (0, 1):
        venue.on_message(Connected(0, 1, 0, 0, connection), 1)
    venue.on_message(Disconnected(0, 2, 0, 0, 0, "gone"), 1)
    outputs = venue.on_message(Frame(0, 1, 1, 0, 1, 0, kucoin(6, "2")), 1)
    assert [o.connection for o in outputs if isinstance(o, HttpRequest)] == [1]


def test_trades_that_were_here_are_known_as_far_back_as_is_kept() -> None:
    """Two connections are never further apart; memory is bounded."""
    venue = venue_of("kucoin", 1, 2)
    venue.on_message(Connected(0, 1, 0, 0, 0), 1)

    def told(number: int) -> bool:
        match = {"symbol": "A0-USDT", "side": "buy", "price": "5", "size": "1"}
        match["tradeId"] = str(number)
        frame = json.dumps({"type": "message", "subject": "trade.l3match", "data": match})
        outputs = venue.on_message(Frame(0, 1, 1, 0, 0, 0, frame.encode()), 1)
        return any(isinstance(o, Trade) for o in outputs)

    assert all(told(number) for number in range(TRADES_KEPT))
    assert not any(told(number) for number in range(TRADES_KEPT))
    assert told(TRADES_KEPT)
    assert len(venue.lines.all[0].snapshot().trades[0]) == TRADES_KEPT
    assert told(0), "the oldest made room"
    assert not told(2)


@pytest.mark.parametrize("said", [True, False], ids=["said to be lost", "not said"])
def test_a_new_connection_voids_what_came_before_it(said: bool) -> None:
    """Books, and what waited for a snapshot; the numbers may begin anew."""
    venue = venue_of("kucoin", 1, 1)
    nothing_kept = venue.lines.handler.snapshot()
    about = "/api/v1/market/orderbook/level2_100?symbol=A0-USDT"

    def whole(number: int, bid: str) -> None:
        body = {"data": {"sequence": str(number), "bids": [[bid, "1"]], "asks": [["9", "1"]]}}
        venue.on_message(Frame(0, 1, 1, 0, 0, 1, json.dumps(body).encode(), about), 1)

    venue.on_message(Connected(0, 1, 0, 0, 0), 1)
    whole(50, "1")
    assert venue.books[0].live
    venue.on_message(Frame(0, 1, 1, 0, 0, 0, kucoin(60, "8.00")), 1)  # a gap: it waits
    assert not venue.books[0].live
    for was_live in (False, True):
        if said:
            venue.on_message(Disconnected(0, 2, 0, 0, 0, "gone"), 2)
            assert venue.lines.handler.snapshot() == nothing_kept
        outputs = venue.on_message(Connected(0, 1, 0, 0, 0), 2)
        tops = [(o.state, o.bid_ticks) for o in outputs if isinstance(o, BookTop)]
        assert tops == [(BookState.SYNCING, 0)] * (was_live and not said)
        assert not venue.books[0].live
        whole(5, "2")
        assert venue.books[0].book.best()[0] == 200, "what waited is of the connection before"
        assert venue.books[0].live
