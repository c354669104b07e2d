"""Instruments dealt to connections, and which connection's book is served."""

import json

import pytest

from engine.assembly import HANDLERS, build_all, solo_topology
from engine.config import instruments_of, parse
from engine.messages import (
    BookState,
    BookTop,
    Connected,
    Disconnected,
    Frame,
    SendFrame,
    Trade,
    VenueStatus,
)
from engine.venue import Venue


def venue_of(protocol: str, count: int, redundancy: int) -> Venue:
    """A venue of many instruments."""
    lines = [
        f'name = "l"\n[[venues]]\nname = "v"\nkind = "watch"\nprotocol = "{protocol}"',
        f"redundancy = {redundancy}\n[assets]\nUSDT = 8",
    ]
    lines += [f"A{n} = 8" for n in range(count)]
    lines += [
        f'[[instruments]]\nvenue = "v"\nsymbol = "A{n}/USDT"\nnative = "A{n}-USDT"\n'
        'tick_size = "0.01"\nlot_size = "0.01"'
        for n in range(count)
    ]
    config = parse("\n".join(lines), "lines")
    parts = build_all(config, solo_topology(config), instruments_of(config))
    return next(part for part in parts if isinstance(part, Venue))


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


def kucoin(number: int, price: str) -> bytes:
    """A difference of one update."""
    changes = {"asks": [], "bids": [[price, "1", str(number)]]}
    data = {"symbol": "A0-USDT", "sequenceStart": number, "sequenceEnd": number, "changes": changes}
    return json.dumps({"type": "message", "subject": "trade.l2update", "data": data}).encode()


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


def bybit(kind: str, number: int, bid: str) -> bytes:
    """A snapshot or a difference."""
    data = {"s": "A0-USDT", "b": [[bid, "1"]], "a": [["9", "1"]], "u": number}
    topic = "orderbook.200.A0-USDT"
    return json.dumps({"topic": topic, "type": kind, "data": data}).encode()


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
