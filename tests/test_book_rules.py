"""The rule of each exchange, frame by frame: what follows, what is old, what shows that one is missing.

Each frame is made by hand; recordings are held in test_venues.py, all faults at once in
test_feed_faults.py.
"""

import json
from collections.abc import Callable

import pytest

from engine.assembly import HANDLERS
from engine.messages import BookState, Reason, SendFrame
from engine.venues import feed
from tests.watched import (
    BEGUN,
    BITFINEX_CHANNEL,
    BITFINEX_CRC,
    KRAKEN_CRC,
    OKX_CRC,
    WHOLE,
    Told,
    Watched,
    asked,
    begun,
    binance,
    binance_whole,
    bitfinex,
    bitstamp,
    bitstamp_whole,
    bybit,
    changes,
    coinbase,
    exchange_change,
    gate,
    gate_whole,
    kraken,
    kraken_v1,
    kucoin,
    kucoin_span,
    kucoin_whole,
    okx,
)


def test_every_exchange_is_here() -> None:
    """A new one brings its rule."""
    assert set(BEGUN) == set(HANDLERS) - {"simulated", "ccxt"}


# --- numbers --------------------------------------------------------------------------------------------

FOLLOWS, OLD, GAP, LAGS = "follows", "old", "gap", "the snapshot lags"


@pytest.mark.parametrize(
    ("protocol", "frames", "verdict"),
    [
        ("binance", [binance(11, 12, "2")], FOLLOWS),
        ("binance", [binance(5, 11, "2")], FOLLOWS),  # the first may begin before the snapshot
        ("binance", [binance(5, 10, "2")], OLD),
        ("binance", [binance(12, 13, "2")], LAGS),
        ("binance", [binance(11, 12, "2"), binance(13, 13, "3")], FOLLOWS),
        ("binance", [binance(11, 12, "2"), binance(12, 13, "3")], FOLLOWS),
        ("binance", [binance(11, 12, "2"), binance(11, 12, "3")], OLD),
        ("binance", [binance(11, 12, "2"), binance(14, 14, "3")], GAP),
        ("binance_futures", [binance(5, 12, "2", 4)], FOLLOWS),
        ("binance_futures", [binance(10, 12, "2", 9)], FOLLOWS),
        ("binance_futures", [binance(11, 12, "2", 10)], FOLLOWS),
        ("binance_futures", [binance(5, 9, "2", 4)], OLD),
        ("binance_futures", [binance(12, 13, "2", 11)], LAGS),
        ("binance_futures", [binance(5, 12, "2", 4), binance(20, 22, "3", 12)], FOLLOWS),
        ("binance_futures", [binance(5, 12, "2", 4), binance(5, 12, "3", 4)], OLD),
        ("binance_futures", [binance(5, 12, "2", 4), binance(13, 14, "3", 11)], GAP),
        ("binance_futures", [binance(5, 12, "2", 4), binance(11, 14, "3", 11)], GAP),
        ("kucoin", [(kucoin(11, "2"), "")], FOLLOWS),
        ("kucoin", [(kucoin(10, "2"), "")], OLD),
        ("kucoin", [(kucoin(12, "2"), "")], LAGS),
        ("kucoin", [(kucoin(11, "2"), ""), (kucoin(12, "3"), "")], FOLLOWS),
        ("kucoin", [(kucoin(11, "2"), ""), (kucoin(11, "3"), "")], OLD),
        ("kucoin", [(kucoin(11, "2"), ""), (kucoin(13, "3"), "")], GAP),
        ("gate", [gate(11, 12, "2")], FOLLOWS),
        ("gate", [gate(5, 11, "2")], FOLLOWS),
        ("gate", [gate(5, 10, "2")], OLD),
        ("gate", [gate(12, 13, "2")], LAGS),
        ("gate", [gate(11, 12, "2"), gate(13, 13, "3")], FOLLOWS),
        ("gate", [gate(11, 12, "2"), gate(11, 12, "3")], OLD),
        ("gate", [gate(11, 12, "2"), gate(14, 14, "3")], GAP),
        ("bitstamp", [bitstamp(11, "2")], FOLLOWS),
        ("bitstamp", [bitstamp(99, "2")], FOLLOWS),  # stamps do not count
        ("bitstamp", [bitstamp(10, "2")], OLD),
        ("bitstamp", [bitstamp(9, "2")], OLD),
        ("bybit", [(bybit("delta", 11, "2"), "")], FOLLOWS),
        ("bybit", [(bybit("snapshot", 1, "2"), "")], FOLLOWS),
        ("bybit", [(bybit("delta", 10, "2"), "")], OLD),
        ("bybit", [(bybit("delta", 12, "2"), "")], GAP),
        ("bybit", [(bybit("delta", 9, "2"), "")], GAP),
        ("bybit_linear", [(bybit("delta", 12, "2"), "")], GAP),
        ("okx", [okx("update", "2", 10, 15, checksum=0)], FOLLOWS),
        ("okx", [okx("update", "2", 10, 3, checksum=0)], FOLLOWS),  # after the venue's upkeep
        ("okx", [okx("update", "2", 9, 10, checksum=0)], OLD),
        ("okx", [okx("update", "2", 11, 15, checksum=0)], GAP),
        ("coinbase", [coinbase("update", 11, "2")], FOLLOWS),
        ("coinbase", [coinbase("update", 10, "2")], OLD),
        ("coinbase", [coinbase("update", 12, "2")], GAP),
        ("coinbase", [coinbase("update", 9, "2")], GAP),
        ("bitfinex", [bitfinex(11, [2, 1, 1])], FOLLOWS),
        ("bitfinex", [bitfinex(10, [2, 1, 1])], OLD),
        ("bitfinex", [bitfinex(12, [2, 1, 1])], GAP),
        ("bitfinex", [bitfinex(9, [2, 1, 1])], GAP),
        ("coinbase_exchange", [exchange_change("2")], FOLLOWS),
    ],
)
def test_where_a_frame_stands_to_the_book(protocol: str, frames: list[Told], verdict: str) -> None:
    """All but the last follow. Of the last the book takes what follows and nothing else."""
    watched = begun(protocol)
    for told in frames[:-1]:
        watched.frame(*told)
    before = watched.bid
    assert before == f"{len(frames)}.00"
    outputs = watched.frame(*frames[-1])
    expected = {
        FOLLOWS: (BookState.LIVE, Reason.NONE, {}),
        OLD: (BookState.LIVE, Reason.NONE, {"duplicates": 1}),
        GAP: (BookState.BROKEN, Reason.SEQUENCE_GAP, {"gaps": 1, "resyncs": 1}),
        LAGS: (BookState.SYNCING, Reason.SNAPSHOT_OLD, {"snapshots_old": 1}),
    }[verdict]
    counted = {n: c for n, c in watched.counted.items() if n != "unchecked"}
    assert (*watched.state, counted) == expected
    assert watched.bid == (f"{len(frames) + 1}.00" if verdict == FOLLOWS else before)
    assert asked(outputs) == (verdict == GAP)


@pytest.mark.parametrize(
    ("protocol", "first", "gap", "late"),
    [
        ("binance", binance(11, 11, "2"), binance(13, 13, "3"), binance(12, 12, "4")),
        (
            "binance_futures",
            binance(11, 11, "2", 10),
            binance(13, 13, "3", 12),
            binance(12, 12, "4", 11),
        ),
        ("bitfinex", bitfinex(11, [2, 1, 1]), bitfinex(13, [3, 1, 1]), bitfinex(14, [4, 1, 1])),
        (
            "bybit",
            (bybit("delta", 11, "2"), ""),
            (bybit("delta", 13, "3"), ""),
            (bybit("delta", 12, "4"), ""),
        ),
        (
            "coinbase",
            coinbase("update", 11, "2"),
            coinbase("update", 13, "3"),
            coinbase("update", 14, "4"),
        ),
        ("gate", gate(11, 11, "2"), gate(13, 13, "3"), gate(12, 12, "4")),
        ("kucoin", (kucoin(11, "2"), ""), (kucoin(13, "3"), ""), (kucoin(12, "4"), "")),
        (
            "okx",
            okx("update", "2", 10, 11),
            okx("update", "3", 12, 13),
            okx("update", "4", 11, 12),
        ),
    ],
)
def test_only_a_snapshot_mends_a_book(protocol: str, first: Told, gap: Told, late: Told) -> None:
    """Neither does the frame that was missing, where it comes late, nor one that follows."""
    watched = begun(protocol)
    for told in (first, gap, late):
        watched.frame(*told)
    assert not watched.venue.books[0].live
    assert watched.bid == "2.00"


def test_changes_that_a_snapshot_has_are_not_made_again() -> None:
    """KuCoin numbers each change of a difference: those up to the snapshot's are in it."""
    watched = begun("kucoin")
    watched.frame(*kucoin_span(9, 12, [["7", "1", "9"], ["6", "1", "10"], ["2", "1", "11"]]))
    assert watched.bid == "2.00"


def test_a_snapshot_from_before_the_first_difference_that_waits_begins_no_book() -> None:
    """Bitstamp numbers nothing: between the two others may be missing."""
    watched = Watched("bitstamp")
    watched.connect()
    watched.frame(*bitstamp(11, "2"))
    watched.frame(*bitstamp(12, "3"))
    watched.frame(*bitstamp_whole(10))
    assert watched.state == (BookState.SYNCING, Reason.SNAPSHOT_OLD)
    watched.frame(*bitstamp_whole(11))
    assert (watched.state[0], watched.bid) == (BookState.LIVE, "3.00")


ANSWERED: dict[str, tuple[Callable[[int], Told], Callable[[int, str], Told]]] = {
    "binance": (binance_whole, lambda number, bid: binance(number, number, bid)),
    "binance_futures": (
        lambda number: binance_whole(number, "/fapi/v1"),
        lambda number, bid: binance(number, number, bid, number - 1),
    ),
    "bitstamp": (bitstamp_whole, bitstamp),
    "gate": (gate_whole, lambda number, bid: gate(number, number, bid)),
    "kucoin": (kucoin_whole, lambda number, bid: (kucoin(number, bid), "")),
}
"""Snapshots over HTTP and the differences that join them, by number."""


@pytest.mark.parametrize("protocol", ANSWERED)
def test_a_snapshot_that_is_not_newer_changes_nothing_of_a_live_book(protocol: str) -> None:
    """It was asked for twice, or came late: the book is further on."""
    watched = begun(protocol)
    whole, change = ANSWERED[protocol]
    watched.frame(*change(11, "2"))
    for number in (9, 10, 11):
        assert watched.frame(*whole(number)) == ()
        assert (watched.state[0], watched.bid) == (BookState.LIVE, "2.00")
    assert watched.counted == {}
    watched.frame(*whole(12))
    assert (watched.state[0], watched.bid) == (BookState.LIVE, "1.00")


@pytest.mark.parametrize("protocol", [name for name in ANSWERED if HANDLERS[name].chained])
def test_the_difference_that_showed_a_gap_is_not_lost(protocol: str) -> None:
    """The snapshot may be of just before it."""
    watched = begun(protocol)
    whole, change = ANSWERED[protocol]
    watched.frame(*change(13, "2"))
    watched.frame(*change(14, "3"))
    watched.frame(*whole(12))
    assert (watched.state[0], watched.bid) == (BookState.LIVE, "3.00")
    watched.frame(*change(15, "4"))
    assert (watched.state[0], watched.bid) == (BookState.LIVE, "4.00")


@pytest.mark.parametrize("protocol", ANSWERED)
def test_what_waits_for_a_snapshot_is_bounded(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest go, and what is left joins a snapshot that is new enough."""
    monkeypatch.setattr(feed, "BUFFERED_MAX", 3)
    whole, change = ANSWERED[protocol]
    for number, live in ((11, False), (12, True)):
        watched = Watched(protocol)
        watched.connect()
        for each in range(11, 16):
            watched.frame(*change(each, f"{each - 9}"))
        watched.frame(*whole(number if protocol != "bitstamp" else number + 1))
        assert watched.venue.books[0].live == live
    assert watched.bid == "6.00"


def test_a_channel_that_was_not_confirmed_is_left_before_it_is_entered_again() -> None:
    """Bitfinex lets nobody enter one twice, and the word that names it may have been lost."""
    watched = Watched("bitfinex")
    watched.connect()
    watched.frame(*bitfinex(1, *WHOLE))
    assert watched.state[0] is BookState.SYNCING, "nobody knows whose it is"
    sent = [json.loads(o.payload) for o in watched.at(2) if isinstance(o, SendFrame)]
    assert [(each["event"], each.get("chanId", 0)) for each in sent] == [
        ("unsubscribe", 7),
        ("subscribe", 0),
    ]
    watched.frame(*BITFINEX_CHANNEL)
    watched.frame(*bitfinex(2, *WHOLE))
    assert watched.state[0] is BookState.LIVE


@pytest.mark.parametrize(
    ("protocol", "told"),
    [
        ("bitfinex", bitfinex(11, [2, 1, 1])),
        ("bybit", (bybit("delta", 11, "2"), "")),
        ("coinbase", coinbase("update", 11, "2")),
        ("coinbase_exchange", exchange_change("2")),
        ("kraken", kraken("update", "2")),
        ("kraken_v1", kraken_v1(1000, b=[["2", "1", "1"]])),
        ("okx", okx("update", "2", 10, 11)),
    ],
)
def test_a_change_begins_no_book(protocol: str, told: Told) -> None:
    """Where the stream brings the snapshot: nothing is LIVE before that, and no frame came twice."""
    watched = Watched(protocol)
    watched.connect()
    if protocol == "bitfinex":
        watched.frame(*BITFINEX_CHANNEL)
    watched.frame(*told)
    assert watched.state[0] is BookState.SYNCING
    assert watched.counted == {}


@pytest.mark.parametrize("protocol", [name for name in BEGUN if HANDLERS[name].chained])
def test_numbers_begin_anew_with_a_connection(protocol: str) -> None:
    """Lower than before: whatever comes next is neither old nor after a gap."""
    watched = begun(protocol)
    watched.disconnect()
    watched.connect()
    for told in BEGUN[protocol]:
        watched.frame(*told)
    assert watched.state[0] is BookState.LIVE, "the same number is not a frame that came twice"
    watched.disconnect()
    watched.connect()
    lower: dict[str, list[Told]] = {
        "bitfinex": [BITFINEX_CHANNEL, bitfinex(1, *WHOLE), bitfinex(2, [2, 1, 1])],
        "coinbase": [coinbase("snapshot", 0, "1"), coinbase("update", 1, "2")],
        "okx": [okx("snapshot", "1", -1, 1), okx("update", "2", 1, 2)],
        "bybit": [(bybit("snapshot", 1, "1"), ""), (bybit("delta", 2, "2"), "")],
        "kucoin": [kucoin_whole(1), (kucoin(2, "2"), "")],
        "gate": [gate_whole(1), gate(2, 2, "2")],
        "binance": [binance_whole(1), binance(2, 2, "2")],
        "binance_futures": [binance_whole(1, "/fapi/v1"), binance(2, 2, "2", 1)],
    }
    for told in lower.get(protocol, BEGUN[protocol]):
        watched.frame(*told)
    assert watched.state[0] is BookState.LIVE
    assert watched.bid == ("2.00" if protocol in lower else "1.00")
    assert not {"gaps", "duplicates", "snapshots_old"} & set(watched.counted)


def test_channels_are_forgotten_with_a_connection() -> None:
    """Bitfinex gives their numbers anew: what comes under an old one is of nobody known."""
    watched = begun("bitfinex")
    watched.disconnect()
    watched.connect()
    watched.frame(*bitfinex(1, *WHOLE))
    assert watched.state[0] is BookState.SYNCING


# --- checksums ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("protocol", "told"),
    [
        ("bitfinex", bitfinex(11, "cs", BITFINEX_CRC + 1)),
        ("kraken", kraken("update", "2", checksum=KRAKEN_CRC)),
        ("kraken_v1", kraken_v1(1000, b=[["2.00", "1.00", "1"]], c=str(KRAKEN_CRC))),
        ("okx", okx("update", "2", 10, 11, checksum=OKX_CRC)),
    ],
)
def test_a_wrong_checksum_costs_the_book(protocol: str, told: Told) -> None:
    """It is broken, counted, and asked for anew."""
    watched = begun(protocol)
    before = {n: c for n, c in watched.counted.items() if n not in ("checksums", "unchecked")}
    assert before == {}
    outputs = watched.frame(*told)
    assert watched.state == (BookState.BROKEN, Reason.CHECKSUM)
    assert [(c.state, c.reason) for c in changes(outputs)] == [watched.state]
    assert asked(outputs)
    assert watched.counted["checksums_failed"] == 1


def test_bitfinex_is_asked_for_counts_and_checksums() -> None:
    """By two flags, before anything else: without them nothing of a book could be verified."""
    first = next(o for o in Watched("bitfinex").connect() if isinstance(o, SendFrame))
    assert json.loads(first.payload) == {"event": "conf", "flags": 65536 + 131072}


def test_what_lies_below_the_depth_is_forgotten() -> None:
    """Kraken says nothing of it any more: it would come up again, and be wrong, as others go."""
    watched = begun("kraken_v1")
    watched.frame(*kraken_v1(2, b=[["2.00", "1", "1"], ["3.00", "1", "1"]]))
    assert [ticks for ticks, _ in watched.venue.books[0].book.levels(1)] == [300, 200]
    watched = begun("kraken")
    for bid in range(101):
        watched.frame(*kraken("update", f"{2 + bid / 100:.2f}"))
    levels = watched.venue.books[0].book.levels(1)
    assert (len(levels), levels[-1][0]) == (100, 201)
