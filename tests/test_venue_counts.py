"""What a venue counts, each thing by itself and as its status tells it; what an unreadable frame costs."""

import msgspec
import pytest

from engine.assembly import HANDLERS
from engine.messages import FAILED, BookState, Reason
from engine.venues.counts import Counts
from tests.watched import (
    BEGUN,
    BITFINEX_CHANNEL,
    BITFINEX_CRC,
    KRAKEN_CRC,
    KRAKEN_V1_WHOLE,
    NAME,
    OKX_CRC,
    WHOLE,
    Payload,
    Told,
    Watched,
    asked,
    begun,
    bitfinex,
    bybit,
    changes,
    coinbase,
    kraken,
    kraken_v1,
    kucoin_whole,
    okx,
)


@pytest.mark.parametrize(
    ("protocol", "frames", "counts"),
    [
        ("bybit", [(bybit("snapshot", 5, "1"), "")], {}),
        ("bybit", [(bybit("snapshot", 5, "10"), "")], {"crossed": 1, "resyncs": 1}),
        ("bybit", [(bybit("snapshot", 5, "1.001"), "")], {"off_grid": 1, "resyncs": 1}),
        ("bybit", [(bybit("snapshot", 5, "x"), "")], {"malformed": 1, "resyncs": 1}),
        ("bybit", [(bybit("snapshot", 5, "1"), ""), (b"{", "")], {"malformed": 1}),
        ("bybit", [({"success": False, "ret_msg": "no"}, "")], {"requests_failed": 1}),
        ("coinbase", [coinbase("snapshot", 0, "10")], {"crossed": 1, "resyncs": 1}),
        ("okx", [okx("snapshot", "1", -1, 5, checksum=OKX_CRC)], {"checksums": 1}),
        ("okx", [okx("snapshot", "1", -1, 5, checksum=0)], {"unchecked": 1}),
        ("okx", [okx("snapshot", "1", -1, 5)], {"unchecked": 1}),
        (
            "okx",
            [
                okx("snapshot", "1", -1, 5, checksum=OKX_CRC),
                okx("update", "1", 5, 6, checksum=0),
                okx("update", "1", 6, 7),
                okx("update", "1", 7, 8, checksum=OKX_CRC),
            ],
            {"checksums": 2, "unchecked": 2},
        ),
        ("kraken", [kraken("snapshot", "1", checksum=KRAKEN_CRC)], {"checksums": 1}),
        ("kraken", [kraken("snapshot", "1")], {"unchecked": 1}),
        ("kraken_v1", [KRAKEN_V1_WHOLE], {}),
        ("kraken_v1", [KRAKEN_V1_WHOLE, kraken_v1(1000, b=[["2", "1", "1"]])], {"unchecked": 1}),
        (
            "kraken_v1",
            [KRAKEN_V1_WHOLE, kraken_v1(1000, b=[], c=str(KRAKEN_CRC))],
            {"checksums": 1},
        ),
        (
            "bitfinex",
            [BITFINEX_CHANNEL, bitfinex(1, *WHOLE), bitfinex(2, "cs", BITFINEX_CRC)],
            {"checksums": 1},
        ),
    ],
)
def test_each_thing_is_counted_as_itself(
    protocol: str, frames: list[Told], counts: dict[str, int]
) -> None:
    """Once, and in the venue's status."""
    watched = Watched(protocol)
    watched.connect()
    for told in frames:
        watched.frame(*told)
    assert watched.counted == counts
    assert watched.venue.counts.frames == len(frames)


def test_what_is_no_frame_of_a_line_is_counted() -> None:
    """A connection that nobody knows, and an answer that did not come."""
    watched = Watched("kucoin")
    watched.connect()
    watched.frame(b"{}", connection=7)
    watched.frame(b"status 500", kucoin_whole(5)[1], FAILED)
    assert watched.counted == {"malformed": 1, "requests_failed": 1}


@pytest.mark.parametrize("reason", Reason)
def test_a_market_that_stands_still_is_not_malformed(reason: Reason) -> None:
    """Every other reason for which a frame costs a book counts as one thing."""
    counts = Counts()
    counts.lost(reason)
    still = reason in (Reason.STALE_MARKET, Reason.NO_MARKET)
    assert sum(msgspec.structs.astuple(counts)) == (0 if still else 1)


# --- frames that cannot be read -------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", BEGUN)
def test_a_frame_that_cannot_be_read_costs_what_nothing_would_tell_of(protocol: str) -> None:
    """Elsewhere the next frame's number or checksum tells; an answer over HTTP hurts no book."""
    watched = begun(protocol)
    watched.frame(b"{", BEGUN[protocol][-1][1] or HANDLERS[protocol].listings or "/")
    assert watched.state[0] is BookState.LIVE
    watched.frame(b"{")
    if HANDLERS[protocol].chained:
        assert watched.state[0] is BookState.LIVE
    else:
        assert watched.state == (BookState.BROKEN, Reason.MALFORMED)


def test_a_book_that_a_frame_hurt_before_it_could_not_be_read_is_shown_as_lost() -> None:
    """The first trade is between two steps, the second is none: what the first did is not undone."""
    watched = begun("bybit")
    trades = [
        {"s": NAME, "S": side, "v": "1", "p": "5.001", "i": side} for side in ("Buy", "Neither")
    ]
    frame: Payload = {"topic": f"publicTrade.{NAME}", "type": "snapshot", "data": trades}
    outputs = watched.frame(frame)
    assert watched.state == (BookState.BROKEN, Reason.OFF_GRID)
    assert [(c.state, c.reason) for c in changes(outputs)] == [watched.state]
    assert asked(outputs)
