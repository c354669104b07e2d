"""A price between two ticks: found, reported, and mended by loading the instrument anew."""

import json
from collections.abc import Iterable

import msgspec
import pytest

from engine.assembly import build_all, solo_topology
from engine.config import Config, instruments_of, parse
from engine.messages import (
    ANSWERED,
    STREAMED,
    AnyMessage,
    BookState,
    BookStateChanged,
    BookTop,
    Connected,
    Frame,
    HttpRequest,
    InstrumentReloaded,
    Reason,
    SendFrame,
)
from engine.runtime import Host
from engine.scanner import Scanner
from engine.venue import Venue

CONFIG = """
name = "grid"
[[venues]]
name = "v"
kind = "watch"
protocol = "{protocol}"
[[instruments]]
venue = "v"
symbol = "AAA/USDT"
native = "{native}"
tick_size = "{tick}"
lot_size = "0.01"
[assets]
AAA = 8
USDT = 12
"""


class Kept:
    """An outlet and a recorder that keep what they are given."""

    def __init__(self) -> None:
        self.performed: list[AnyMessage] = []

    def record(self, raw: bytes, now_ns: int) -> None:
        """Not looked at."""

    def append(self, records: list[bytes], now_ns: int) -> None:
        """Not looked at."""

    def publish(self, message: AnyMessage, encoded: bytes, targets: object) -> None:
        """Nothing lives elsewhere."""

    def perform(self, effect: AnyMessage) -> None:
        """Kept."""
        self.performed.append(effect)


class Rig:
    """All components of a configuration in one host."""

    def __init__(self, config: Config) -> None:
        self.kept = Kept()
        topology = solo_topology(config)
        parts = build_all(config, topology, instruments_of(config))
        self.host = Host(parts, topology, self.kept, self.kept)
        self.venue = next(part for part in parts if isinstance(part, Venue))
        self.scanner = next(part for part in parts if isinstance(part, Scanner))
        self.number = 0

    def give(self, message: AnyMessage) -> list[AnyMessage]:
        """One message through the step."""
        return self.host.step(message, msgspec.msgpack.encode(message), 1_000)

    def frame(self, payload: object, about: str = "", connection: int = 0) -> list[AnyMessage]:
        """A frame, or the answer to a request."""
        self.number += 1
        data = json.dumps(payload).encode()
        kind = ANSWERED if about else STREAMED
        return self.give(Frame(0, self.number, 1_000, 0, connection, kind, data, about))


def rig_of(protocol: str, native: str, tick: str) -> Rig:
    """Connected."""
    rig = Rig(parse(CONFIG.format(protocol=protocol, native=native, tick=tick), "grid"))
    rig.give(Connected(0, 1, 0, 0, 0))
    return rig


def kinds(outputs: Iterable[AnyMessage], kind: type) -> list[AnyMessage]:
    """Those of a kind."""
    return [output for output in outputs if isinstance(output, kind)]


def snapshot(number: int, bid: str) -> dict[str, object]:
    """Binance's answer."""
    return {"lastUpdateId": number, "bids": [[bid, "1.00"]], "asks": [["11.0", "1.00"]]}


def listing(tick: str) -> dict[str, object]:
    """Binance's markets."""
    filters = [{"filterType": "PRICE_FILTER", "tickSize": tick}]
    filters.append({"filterType": "LOT_SIZE", "stepSize": "0.01"})
    market = {"symbol": "AAAUSDT", "baseAsset": "AAA", "quoteAsset": "USDT", "filters": filters}
    return {"symbols": [market]}


@pytest.mark.parametrize("listed", ["0.01", "0.1"], ids=["tick size changed", "old order"])
def test_a_finer_price_moves_the_instrument(listed: str) -> None:
    """To the venue's new grid; or, where the venue lists the old one, to the one frames need."""
    rig = rig_of("binance", "AAAUSDT", "0.1")
    depth = "/api/v3/depth?symbol=AAAUSDT&limit=1000"
    rig.frame(snapshot(5, "10.0"), depth)
    assert rig.venue.books[0].live
    diff = {"e": "depthUpdate", "s": "AAAUSDT", "U": 6, "u": 6, "b": [["10.05", "2"]], "a": []}
    lost = rig.frame(diff)
    states = [(o.state, o.reason) for o in kinds(lost, BookStateChanged)]
    assert states == [(BookState.BROKEN, Reason.OFF_GRID)]
    assert rig.venue.counts.off_grid == 1
    asked = [o.about for o in kinds(rig.kept.performed, HttpRequest)]
    assert asked[-1] == "/api/v3/exchangeInfo", "the grid first, then the book"
    moved = rig.frame(listing(listed), "/api/v3/exchangeInfo")
    assert [o.tick_size for o in kinds(moved, InstrumentReloaded)] == ["0.01"]
    assert rig.scanner.instruments[0].tick_size == "0.01", "every component is told"
    assert kinds(rig.kept.performed, HttpRequest)[-1].about == depth
    back = rig.frame(snapshot(7, "10.05"), depth)
    (top,) = kinds(back, BookTop)
    assert (top.state, top.bid_ticks, top.ask_ticks) == (BookState.LIVE, 1005, 1100)
    again = Rig(parse(CONFIG.format(protocol="binance", native="AAAUSDT", tick="0.1"), "grid"))
    again.host.restore(rig.host.snapshot())
    assert again.host.snapshot() == rig.host.snapshot()
    assert again.venue.instruments[0].tick_size == "0.01", "a successor knows the grid"


def test_where_no_listing_tells_the_frames_do() -> None:
    """Bitfinex lists no grid: the instrument goes where its prices are."""
    rig = rig_of("bitfinex", "tAAAUST", "0.1")
    rig.frame({"event": "subscribed", "channel": "book", "chanId": 7, "symbol": "tAAAUST"})
    outputs = rig.frame([7, [[10.25, 1, 2.5], [11.5, 2, -1]], 1])
    assert [o.tick_size for o in kinds(outputs, InstrumentReloaded)] == ["0.01"]
    rig.frame({"event": "subscribed", "channel": "book", "chanId": 8, "symbol": "tAAAUST"})
    (top,) = kinds(rig.frame([8, [[10.25, 1, 2.5], [11.5, 2, -1]], 2]), BookTop)
    assert (top.bid_ticks, top.ask_ticks) == (1025, 1150)


def test_a_grid_that_cannot_be_held_stays_broken() -> None:
    """Finer than the quote asset is counted: never LIVE, and it says OFF_GRID."""
    text = CONFIG.format(protocol="binance", native="AAAUSDT", tick="0.1")
    rig = Rig(parse(text.replace("USDT = 12", "USDT = 3"), "grid"))
    rig.give(Connected(0, 1, 0, 0, 0))
    rig.frame(snapshot(5, "10.055"), "/api/v3/depth?symbol=AAAUSDT&limit=1000")
    moved = rig.frame(listing("0.001"), "/api/v3/exchangeInfo")
    assert kinds(moved, InstrumentReloaded) == []
    book = rig.venue.books[0]
    assert (book.state, book.reason) == (BookState.BROKEN, Reason.OFF_GRID)


def bitstamp(event: str, channel: str, data: object) -> dict[str, object]:
    """A frame of Bitstamp's."""
    return {"event": event, "channel": channel, "data": data}


def test_a_finer_trade_moves_its_instrument_and_hurts_no_other_book() -> None:
    """A trade tells of the grid as a level does; the venue numbers nothing, yet others stay LIVE."""
    text = CONFIG.format(protocol="bitstamp", native="aaausd", tick="0.1")
    text += """
[[instruments]]
venue = "v"
symbol = "BBB/USDT"
native = "bbbusd"
tick_size = "0.1"
lot_size = "0.01"
"""
    rig = Rig(parse(text.replace("AAA = 8", "AAA = 8\nBBB = 8"), "grid"))
    rig.give(Connected(0, 1, 0, 0, 0))
    for native in ("aaausd", "bbbusd"):
        book = {"microtimestamp": "5", "bids": [["10.0", "1"]], "asks": [["11.0", "1"]]}
        rig.frame(book, f"/api/v2/order_book/{native}")
    assert [book.live for book in rig.venue.books.values()] == [True, True]
    told = {"id": 1, "type": 0, "price_str": "10.55", "amount_str": "1.00", "microtimestamp": "6"}
    outputs = rig.frame(bitstamp("trade", "live_trades_aaausd", told))
    states = [(o.instrument, o.state, o.reason) for o in kinds(outputs, BookStateChanged)]
    assert states == [(0, BookState.BROKEN, Reason.OFF_GRID)]
    assert [book.live for book in rig.venue.books.values()] == [False, True]
    assert (rig.venue.counts.malformed, rig.venue.counts.off_grid) == (0, 1)


def test_each_kind_of_market_is_looked_up_in_its_own_listing() -> None:
    """OKX lists spot, swaps and futures apart: one of each may be watched through one venue."""
    text = CONFIG.format(protocol="okx", native="AAA-USDT", tick="0.1")
    text += """
[[instruments]]
venue = "v"
symbol = "AAA/USDT:USDT"
native = "AAA-USDT-SWAP"
tick_size = "0.1"
lot_size = "0.01"
"""
    rig = Rig(parse(text, "grid"))
    rig.give(Connected(0, 1, 0, 0, 0))
    for number, (native, kind) in enumerate((("AAA-USDT", "SPOT"), ("AAA-USDT-SWAP", "SWAP"))):
        item = {"bids": [["10.05", "1"]], "asks": [["11", "1"]], "seqId": 1, "prevSeqId": -1}
        arg = {"channel": "books", "instId": native}
        rig.frame({"arg": arg, "action": "snapshot", "data": [item]})
        path = f"/api/v5/public/instruments?instType={kind}"
        assert kinds(rig.kept.performed, HttpRequest)[-1].about == path
        market = {"instId": native, "instType": kind, "tickSz": "0.01", "lotSz": "0.01"}
        moved = rig.frame({"data": [market | {"uly": "AAA-USDT", "settleCcy": "USDT"}]}, path)
        assert [o.instrument for o in kinds(moved, InstrumentReloaded)] == [number]


def test_a_grid_that_moves_is_moved_on_every_connection() -> None:
    """Two connections feed a book: no book of the old grid is served, and both begin anew."""
    text = CONFIG.format(protocol="bybit", native="AAAUSDT", tick="0.1")
    rig = Rig(parse(text.replace('"bybit"', '"bybit"\nredundancy = 2'), "grid"))

    def told(connection: int, bid: str, update: int) -> list[AnyMessage]:
        data = {"s": "AAAUSDT", "b": [[bid, "1"]], "a": [["11", "1"]], "u": update, "seq": update}
        frame = {"topic": "orderbook.200.AAAUSDT", "type": "snapshot", "ts": 1, "data": data}
        return rig.frame(frame, connection=connection)

    for connection in (0, 1):
        rig.give(Connected(0, 1, 0, 0, connection))
        told(connection, "10.0", 5)
    first, second = (line.books[0] for line in rig.venue.lines.all)
    assert first.live
    assert second.live
    assert kinds(told(0, "10.05", 6), BookStateChanged) == []  # the other connection's is served
    listed: dict[str, object] = {"symbol": "AAAUSDT", "baseCoin": "AAA", "quoteCoin": "USDT"}
    listed |= {"priceFilter": {"tickSize": "0.01"}, "lotSizeFilter": {"basePrecision": "0.01"}}
    answer = {"retCode": 0, "result": {"category": "spot", "list": [listed]}}
    path = kinds(rig.kept.performed, HttpRequest)[-1].about
    moved = rig.frame(answer, path)
    (change,) = kinds(moved, BookStateChanged)
    assert (change.state, change.reason) == (BookState.SYNCING, Reason.OFF_GRID)
    assert [o.instrument for o in kinds(moved, InstrumentReloaded)] == [0]
    asked = {
        o.connection for o in kinds(rig.kept.performed, SendFrame) if b"subscribe" in o.payload
    }
    assert asked == {0, 1}
    tops = [top for connection in (0, 1) for top in kinds(told(connection, "10.05", 7), BookTop)]
    assert tops[-1].bid_ticks == 1005
    assert [line.books[0].live for line in rig.venue.lines.all] == [True, True]
