"""Kraken's public channels: what each tells, and that books add up at every depth."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.exchange.orders import NewOrder
from engine.exchange.wires.kraken_book import DEPTHS, checksum
from ext.matching import BUY, LIMIT, SELL
from tests.kraken_talk import Talk, subscribe

SYMBOL = "BTC/USDT"


@pytest.fixture
def talk() -> Talk:
    """A fresh exchange."""
    return Talk()


def test_ticker_by_trades_and_by_the_top(talk: Talk) -> None:
    """One is told on each trade, the other when the best prices change."""
    on_trades, (_, snapshot) = subscribe(talk, "ticker")
    on_top, _ = subscribe(talk, "ticker", event_trigger="bbo")
    assert snapshot["data"][0]["bid"] == 49999.0
    heard = {each: len(talk.told[each]) for each in (on_trades, on_top)}
    talk.make(BUY, 499_995, 10**7)
    assert [len(talk.told[each]) - heard[each] for each in heard] == [0, 1]
    talk.make(BUY, 400_000, 10**7)
    assert [len(talk.told[each]) - heard[each] for each in heard] == [0, 1]
    talk.take(SELL, 10**6)
    assert [len(talk.told[each]) - heard[each] for each in heard] == [1, 2]
    (told,) = talk.told[on_trades][-1]["data"]
    assert (told["last"], told["low"], told["high"]) == (49999.5, 49999.5, 50000.0)
    assert (told["change"], told["change_pct"]) == (-0.5, -0.01)


def test_trades_are_told_without_a_snapshot_unless_asked(talk: Talk) -> None:
    """And all of one sweep in one frame."""
    connection, told = subscribe(talk, "trade")
    assert len(told) == 1
    _, told = subscribe(talk, "trade", snapshot=True)
    assert told[1]["type"] == "snapshot"
    assert told[1]["data"][0]["trade_id"] == 1
    talk.take(BUY, 75_000_000)
    (frame,) = [f for f in talk.told[connection] if f.get("channel") == "trade"]
    assert [(each["side"], each["qty"]) for each in frame["data"]] == [("buy", 0.5), ("buy", 0.25)]


def test_candles_follow_trades(talk: Talk) -> None:
    """The open candle on each trade, by its interval."""
    connection, (_, snapshot) = subscribe(talk, "ohlc", interval=5)
    assert snapshot["data"][-1]["close"] == 50000.0
    talk.take(BUY, 10**7)
    talk.go_on(400)
    talk.take(SELL, 10**7)
    told = [f["data"][0] for f in talk.told[connection] if f.get("channel") == "ohlc"][1:]
    assert [each["close"] for each in told] == [50001.0, 49999.0]
    assert told[0]["interval_begin"] < told[1]["interval_begin"]
    assert {each["interval"] for each in told} == {5}


def test_instruments_have_the_grid(talk: Talk) -> None:
    """As AssetPairs has it."""
    _, (_, snapshot) = subscribe(talk, "instrument")
    pairs = {each["symbol"]: each for each in snapshot["data"]["pairs"]}
    assert pairs[SYMBOL]["price_increment"] == 0.1
    assert pairs["DOGE/USDT"]["tick_size"] == 0.00005
    listed = talk.public("AssetPairs")["result"]
    assert {
        each["wsname"].replace("XBT", "BTC").replace("XDG", "DOGE") for each in listed.values()
    } == set(pairs)


class Reader:
    """A client's book, made of frames alone and cut to its depth after each."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.sides: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}

    def read(self, payload: bytes) -> dict[str, Any]:
        """Take a frame; its item."""
        frame = json.loads(payload, parse_float=str)
        (item,) = frame["data"]
        for name, side in self.sides.items():
            if frame["type"] == "snapshot":
                side.clear()
            for level in item[name]:
                if float(level["qty"]):
                    side[level["price"]] = level["qty"]
                else:
                    side.pop(level["price"], None)
            for price in self.best(name)[self.depth :]:
                del side[price]
        return item

    def best(self, name: str) -> list[str]:
        """Its prices, best first."""
        return sorted(self.sides[name], key=float, reverse=name == "bids")

    def levels(self) -> list[list[tuple[str, str]]]:
        """Both sides."""
        return [[(p, self.sides[name][p]) for p in self.best(name)] for name in ("bids", "asks")]


Deed = st.tuples(
    st.sampled_from(["make", "make", "take", "cancel", "late"]),
    st.sampled_from([BUY, SELL]),
    st.integers(0, 45),
    st.integers(10**5, 2 * 10**8),
)


@settings(max_examples=60)
@given(
    deeds=st.lists(Deed, max_size=40),
    depths=st.lists(st.sampled_from(DEPTHS), min_size=1, max_size=3),
)
def test_books_are_the_exchanges_own(deeds: list[tuple[Any, ...]], depths: list[int]) -> None:
    """At each depth, whenever one enters, after any history: levels and checksum."""
    talk = Talk()
    readers: dict[int, Reader] = {}
    for depth in depths:
        connection, _ = subscribe(talk, "book", depth=depth)
        readers[connection] = Reader(depth)
    pair = talk.wire._desk.names.pairs[0]
    for what, side, away, lots in deeds:
        if what == "make":
            talk.make(side, 500_000 - side * (away - 3) * 5, lots)
        elif what == "take":
            talk.take(side, lots)
        elif what == "cancel":
            orders = talk.exchange.open_orders("maker", 0)
            if orders:
                talk.exchange.cancel("maker", orders[away % len(orders)].number, talk.now_ns)
                talk.settle()
        else:
            connection, _ = subscribe(talk, "book", depth=DEPTHS[away % 3])
            readers[connection] = Reader(DEPTHS[away % 3])
        for connection, reader in readers.items():
            item = None
            for payload in talk.raw[connection]:
                if payload.startswith(b'{"channel":"book"'):
                    item = reader.read(payload)
            talk.raw[connection].clear()
            bids, asks = talk.exchange.markets[0].depth(reader.depth)
            own = [
                [
                    (pair.instrument.ticks_to_price(t), pair.instrument.lots_to_quantity(n))
                    for t, n in levels
                ]
                for levels in (bids, asks)
            ]
            assert reader.levels() == own
            if item is not None:
                assert int(item["checksum"]) == checksum(pair, bids, asks)


def test_a_lost_change_shows_in_the_checksum(talk: Talk) -> None:
    """A change that a fault keeps from the wire is missing in the frame, and the sum is right."""
    connection, _ = subscribe(talk, "book")
    reader = Reader(10)
    for payload in talk.raw[connection][2:]:
        reader.read(payload)
    for ticks in (499_995, 499_996):
        new = NewOrder(0, BUY, LIMIT, 10**7, ticks)
        assert talk.exchange.place("maker", new, talk.now_ns).open
    events = [event for event in talk.exchange.take_events() if hasattr(event, "levels")]
    talk.hear(talk.wire.publish(events[:0], talk.now_ns))
    talk.make(BUY, 400_000, 10**7)
    talk.hear(talk.wire.publish(events[1:], talk.now_ns))
    item = reader.read(talk.raw[connection][-1])
    pair = talk.wire._desk.names.pairs[0]
    assert int(item["checksum"]) == checksum(pair, *talk.exchange.markets[0].depth(10))
    assert "49999.5" not in reader.sides["bids"]
