"""What a venue's books do as time passes: how long a mend took, when a book is begun anew, when it is
stale, and when what was asked for is asked for again. Time is the tests' own.
"""

import pytest

from engine.assembly import HANDLERS
from engine.messages import (
    FAILED,
    BookState,
    BookTop,
    Reason,
    Started,
    VenueStatus,
)
from tests.watched import (
    OKX_CRC,
    SECOND,
    Told,
    Watched,
    asked,
    bitstamp_whole,
    bybit,
    changes,
    exchange_whole,
    kucoin,
    kucoin_whole,
    okx,
)

STALE_S = 5  # as configured where nothing else is said


# --- how long a mend took -------------------------------------------------------------------------------


def test_a_mended_book_says_how_long_it_was_not_live() -> None:
    """From the first moment at which it was not known to be right, whatever came after that."""
    watched = Watched("bybit")
    watched.connect()
    took: list[float] = []

    def told(at_s: float, kind: str, number: int, bid: str = "1") -> None:
        watched.now_s = at_s
        for change in changes(watched.frame(bybit(kind, number, bid))):
            if change.state is BookState.LIVE:
                took.append(change.took_ns / SECOND)
            else:
                assert change.took_ns == 0

    told(1, "snapshot", 5)
    told(10, "delta", 7)  # a gap
    told(11, "delta", 8)
    told(12.5, "snapshot", 9)
    assert took == [0, 2.5], "the first time there was nothing to mend"
    told(20, "delta", 11)
    told(20.5, "snapshot", 12)
    assert took[2:] == [0.5], "each mend by itself"
    told(30, "delta", 14)
    told(31, "snapshot", 15, "10")  # crossed: broken once more
    told(32, "snapshot", 16)
    assert took[3:] == [2]
    told(40, "delta", 18)
    watched.now_s = 41
    watched.disconnect()
    watched.now_s = 42
    watched.connect()
    told(43, "snapshot", 1)
    assert took[4:] == [3], "lost twice, and a new connection"
    watched.at(49)
    assert watched.state == (BookState.STALE, Reason.STALE_MARKET)
    told(49.25, "snapshot", 2)
    assert took[5:] == [0.25]


def test_a_successor_trusts_no_book() -> None:
    """What came while it started is not known: all begins anew, and the mend counts from there."""
    watched, successor = Watched("bybit"), Watched("bybit")
    watched.connect()
    watched.frame(bybit("snapshot", 5, "1"))
    successor.venue.restore(watched.venue.snapshot())
    assert successor.state[0] is BookState.LIVE
    successor.now_s = 10
    outputs = successor.give(Started(0, 1, 0, 2))
    assert successor.state == (BookState.SYNCING, Reason.DISCONNECTED)
    assert [(c.state, c.reason) for c in changes(outputs)] == [successor.state]
    assert [(o.state, o.bid_ticks) for o in outputs if isinstance(o, BookTop)] == [
        (BookState.SYNCING, 0)
    ]
    assert not asked(outputs), "nobody is connected yet"
    successor.frame(bybit("delta", 6, "2"))
    assert successor.state[0] is BookState.SYNCING
    successor.now_s = 12
    successor.connect()
    (change,) = changes(successor.frame(bybit("snapshot", 9, "1")))
    assert (change.state, change.took_ns) == (BookState.LIVE, 2 * SECOND)


# --- begun anew -----------------------------------------------------------------------------------------


REFRESHED: dict[str, Told] = {"bitstamp": bitstamp_whole(5), "coinbase_exchange": exchange_whole()}


def test_what_nothing_verifies_is_begun_anew_now_and_then() -> None:
    """And nothing else is: it would only cost requests."""
    endpoints = {n: kind for n, kind in HANDLERS.items() if n not in ("simulated", "ccxt")}
    assert {n for n, kind in endpoints.items() if not kind.chained} == set(REFRESHED)
    assert {n for n, kind in endpoints.items() if kind.endpoint.refresh_s} == set(REFRESHED)


@pytest.mark.parametrize("protocol", REFRESHED)
def test_a_book_that_nothing_verifies_is_begun_anew(protocol: str) -> None:
    """Five minutes after it came LIVE, each time: the line is not silent meanwhile."""
    watched = Watched(protocol)
    payload, about = REFRESHED[protocol]
    watched.connect()

    def lives(begin_s: int, seconds: int) -> None:
        for now_s in range(begin_s, begin_s + seconds + 1):
            watched.frame({})
            assert not asked(watched.at(now_s))
            assert watched.state[0] is BookState.LIVE, now_s

    watched.frame(payload, about)
    lives(0, 300)
    for begin_s in (301, 602):
        watched.frame({})
        outputs = watched.at(begin_s)
        assert watched.state == (BookState.SYNCING, Reason.REFRESH)
        assert [(c.state, c.reason) for c in changes(outputs)] == [watched.state]
        assert [o.bid_ticks for o in outputs if isinstance(o, BookTop)] == [0]
        assert asked(outputs)
        watched.frame(payload, about)
        lives(begin_s, 300)
    watched.disconnect()
    watched.at(903)
    watched.connect()
    watched.frame(payload, about)
    lives(904, 300)


# --- silence --------------------------------------------------------------------------------------------


def test_a_silent_line_is_stale_and_is_asked_again() -> None:
    """After as long as is configured and not before; any frame counts, and a book comes back."""
    watched = Watched("bybit")
    watched.connect()
    watched.frame(bybit("snapshot", 5, "1"))
    watched.at(STALE_S)
    assert watched.state[0] is BookState.LIVE
    watched.frame({"op": "pong", "success": True})
    watched.at(2 * STALE_S)
    assert watched.state[0] is BookState.LIVE
    outputs = watched.at(2 * STALE_S + 0.25)
    assert watched.state == (BookState.STALE, Reason.STALE_MARKET)
    assert [(c.state, c.reason) for c in changes(outputs)] == [watched.state]
    assert asked(outputs)
    assert not asked(watched.at(2 * STALE_S + 0.5)), "once"
    watched.frame(bybit("snapshot", 7, "1"))
    assert watched.state[0] is BookState.LIVE


def test_a_request_that_failed_is_no_word_of_the_exchange() -> None:
    """It may be our own end that failed it."""
    watched = Watched("kucoin")
    watched.connect()
    watched.frame(*kucoin_whole(5))
    watched.at(STALE_S - 1)
    watched.frame(b"timed out", kucoin_whole(5)[1], FAILED)
    watched.at(STALE_S + 0.25)
    assert watched.state[0] is BookState.STALE


def test_a_connection_that_opens_is_no_word_of_the_exchange() -> None:
    """Of two that feed a book one may come and go all the time, and none may bring a frame."""
    watched = Watched("kucoin", redundancy=2)
    for connection in (0, 1):
        watched.connect(connection)
    watched.frame(*kucoin_whole(5))
    watched.at(STALE_S - 1)
    watched.disconnect(1)
    watched.connect(1)
    assert watched.state[0] is BookState.LIVE
    watched.at(STALE_S + 0.25)
    assert watched.state[0] is BookState.STALE


# --- asked again ----------------------------------------------------------------------------------------


def asks(watched: Watched, begin_s: float, seconds: int) -> list[float]:
    """When something was asked for, in seconds from a beginning."""
    every = (begin_s + tick / 4 for tick in range(1, 4 * seconds + 1))
    return [now_s - begin_s for now_s in every if asked(watched.at(now_s))]


def test_what_does_not_come_is_asked_for_again_and_ever_later() -> None:
    """Twice as late each time, half a minute at most; from the beginning once the book was LIVE."""
    watched = Watched("bybit")
    watched.connect()
    assert asks(watched, 0, 130) == [2, 6, 14, 30, 60, 90, 120]
    watched.frame(bybit("snapshot", 5, "1"))
    watched.at(131)
    assert asked(watched.frame(bybit("delta", 7, "1")))
    assert asks(watched, 131, 8) == [2, 6]
    watched.frame(bybit("snapshot", 8, "1"))
    assert asked(watched.frame(bybit("delta", 10, "1")))
    assert asks(watched, 139, 8) == [2, 6]


def test_a_snapshot_that_lags_is_counted_and_asked_for_later() -> None:
    """What waited does not join it: at once it would lag again."""
    watched = Watched("kucoin")
    watched.connect()
    assert asked(watched.frame(kucoin(10, "2")))
    assert not asked(watched.frame(*kucoin_whole(5)))
    assert watched.state == (BookState.SYNCING, Reason.SNAPSHOT_OLD)
    assert watched.counted == {"snapshots_old": 1, "resyncs": 1}
    assert asks(watched, 0, 24) == [8, 24]


def test_the_status_tells_what_is_live_and_what_is_verified() -> None:
    """Of the books that are served."""
    watched = Watched("okx")

    def told() -> tuple[bool, int, str]:
        outputs = [output for _ in range(4) for output in watched.at(watched.now_s)]
        (status,) = (output for output in outputs if isinstance(output, VenueStatus))
        return status.connected, status.books_live, status.verifies

    verifies = HANDLERS["okx"].verifies
    assert told() == (False, 0, verifies)
    watched.connect()
    assert told() == (True, 0, verifies)
    watched.frame(*okx("snapshot", "1", -1, 5, checksum=OKX_CRC))
    assert told() == (True, 1, verifies)


def test_nothing_is_asked_of_a_book_that_is_live_or_has_no_connection() -> None:
    """The first needs nothing; for the second there is nobody to ask."""
    watched = Watched("bybit")
    assert asks(watched, 0, 10) == []
    watched.connect()
    watched.frame(bybit("snapshot", 5, "1"))
    assert asks(watched, 10, STALE_S - 1) == []
    watched.frame(bybit("delta", 7, "1"))
    watched.disconnect()
    assert asks(watched, 20, 70) == []
    watched.connect()
    assert asks(watched, 90, 6) == [2, 6]
