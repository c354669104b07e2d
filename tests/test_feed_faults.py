"""Every handler against a loopback exchange that plays its capture with faults.

Books end equal to the fault-free rebuild, or they are not LIVE; what is shown was always true once.
"""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from engine.messages import BookState, Reason
from tests.loopback.answered import (
    BinanceFuturesModel,
    BinanceModel,
    BitstampModel,
    GateModel,
    KucoinModel,
)
from tests.loopback.faults import OF_CONNECTIONS, OF_FRAMES, OF_HTTP, Fault, Kind, schedules
from tests.loopback.model import Model
from tests.loopback.scenario import Outcome, hurried, play
from tests.loopback.streamed import (
    BitfinexCheckedModel,
    BitfinexModel,
    BybitLinearModel,
    BybitModel,
    CoinbaseExchangeModel,
    CoinbaseModel,
    KrakenModel,
    KrakenV1Model,
    OkxChainedModel,
    OkxModel,
    tape_of,
)

STREAMED = (
    KrakenV1Model,
    KrakenModel,
    OkxModel,
    OkxChainedModel,
    BybitModel,
    BybitLinearModel,
    CoinbaseModel,
    CoinbaseExchangeModel,
    BitfinexModel,
    BitfinexCheckedModel,
)
ANSWERED = (BinanceModel, BinanceFuturesModel, KucoinModel, GateModel, BitstampModel)
MODELS = STREAMED + ANSWERED
UNNUMBERED = (CoinbaseExchangeModel, BitstampModel)
CHECKSUMMED = (KrakenV1Model, KrakenModel, OkxModel)
COUNTED = (CoinbaseModel, BitfinexModel, BitfinexCheckedModel)  # a hole hurts all books
CHAINED = tuple(m for m in MODELS if m not in UNNUMBERED)
STEPS = 60
AT = 20  # a step at which every book is LIVE


@pytest.fixture(scope="module", autouse=True)
def _hurried() -> Iterator[None]:
    """All tests of this file on the fast clock."""
    with hurried():
        yield


def run(
    recorded: Path, kind: type[Model], *faults: Fault, lines: int = 1, **how: object
) -> Outcome:
    """A short run whose counters are looked at; it ends in the true books."""
    model = kind(tape_of(kind, recorded))
    done = play(model, faults, lines=lines, calm=True, **{"steps": STEPS, **how})  # type: ignore[arg-type]
    assert (done.wrong, done.differences) == ([], [])
    return done


def counted(done: Outcome) -> dict[str, int]:
    """What was counted, without what each run counts: frames, checksums, and first requests."""
    counts = msgspec.structs.asdict(done.counts)
    usual = ("frames", "checksums", "unchecked", "resyncs")
    return {name: count for name, count in counts.items() if count and name not in usual}


def losses(done: Outcome) -> list[Reason]:
    """Why books were lost, in order."""
    return [change.reason for change in done.changes if change.state is not BookState.LIVE]


def told(kind: type[Model], recorded: Path) -> int:
    """A step whose change the next frame of its market cannot hide: it stays in the best levels."""
    tape = tape_of(kind, recorded)
    for at, step in enumerate(tape.steps[AT : tape.tail], AT):
        if step.place < 3:
            continue
        moments = tape.markets[step.symbol][step.place - 1 : step.place + 2]
        before, now, after = ({*m.bids[:10], *m.asks[:10]} for m in moments)
        if (now & after) - before:
            return at
    raise AssertionError("no step of the tape changes a book for long")


def behind(kind: type[Model], recorded: Path, at: int) -> int:
    """How many steps on the next one of the same market is."""
    steps = tape_of(kind, recorded).steps
    return next(n for n, step in enumerate(steps[at + 1 :], 1) if step.symbol == steps[at].symbol)


# --- any schedule ---------------------------------------------------------------------------------------


def holds(recorded: Path, kind: type[Model], faults: list[Fault], lines: int) -> None:
    """What must be true whatever went wrong."""
    done = play(kind(tape_of(kind, recorded)), faults, lines=lines, steps=STEPS)
    assert (done.wrong, done.differences) == ([], [])


def kinds_of(kind: type[Model]) -> tuple[Kind, ...]:
    """The faults that an exchange can have."""
    return OF_FRAMES + OF_CONNECTIONS + (OF_HTTP if kind.asks_http else ())


def searching(examples: int, fixed: bool) -> settings:
    """How long to look for a schedule that breaks something; `fixed` ones are the same each time."""
    return settings(
        max_examples=examples,
        derandomize=fixed,
        phases=(Phase.explicit, Phase.generate) if fixed else tuple(Phase),
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
def test_books_end_right_whatever_goes_wrong(kind: type[Model], recorded: Path) -> None:
    """Nothing is shown that was never there, no task dies, and all books end LIVE and right."""

    @searching(12, fixed=True)
    @given(faults=schedules(kinds_of(kind), STEPS, 5), lines=st.integers(1, 2))
    def search(faults: list[Fault], lines: int) -> None:
        holds(recorded, kind, faults, lines)

    search()


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
def test_books_end_right_after_many_schedules(kind: type[Model], recorded: Path) -> None:
    """The same, with many more and longer schedules."""

    @searching(150, fixed=False)
    @given(faults=schedules(kinds_of(kind), STEPS, 12), lines=st.integers(1, 2))
    def search(faults: list[Fault], lines: int) -> None:
        holds(recorded, kind, faults, lines)

    search()


# --- one fault, and what is counted ---------------------------------------------------------------------


@pytest.mark.parametrize("lines", [1, 2])
@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
def test_nothing_is_counted_where_nothing_goes_wrong(
    kind: type[Model], lines: int, recorded: Path
) -> None:
    """The whole tape, over one connection and over two."""
    done = run(recorded, kind, lines=lines, steps=None)
    assert losses(done) == []
    assert counted(done).keys() <= {"duplicates", "switches"}
    assert done.handshakes == lines


@pytest.mark.parametrize("kind", CHAINED, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("fault", [Kind.DROP, Kind.REORDER])
def test_a_missing_frame_is_found_once(kind: type[Model], fault: Kind, recorded: Path) -> None:
    """By the number of the next one, or by its checksum; where all is counted, all books are lost."""
    at = told(kind, recorded)
    amount = behind(kind, recorded, at)
    done = run(recorded, kind, Fault(at, fault, amount=amount, patient=True), steps=None)
    found = counted(done)
    if kind in CHECKSUMMED:
        assert found["checksums_failed"] == 1
        assert losses(done) == [Reason.CHECKSUM]
    else:
        lost = len(tape_of(kind, recorded).markets) if kind in COUNTED else 1
        assert found["gaps"] == lost
        assert losses(done) == [Reason.SEQUENCE_GAP] * lost


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
def test_a_frame_that_comes_twice_hurts_nothing(kind: type[Model], recorded: Path) -> None:
    """Counted where frames have numbers; elsewhere applying it again changes nothing."""
    done = run(recorded, kind, Fault(AT, Kind.DUPLICATE, patient=True))
    silent = (*CHECKSUMMED, CoinbaseExchangeModel)
    assert counted(done) == ({} if kind in silent else {"duplicates": 1})
    assert losses(done) == []


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
def test_a_cut_frame_is_malformed(kind: type[Model], recorded: Path) -> None:
    """Counted once; the gap that it leaves is found as that of a lost frame."""
    done = run(recorded, kind, Fault(told(kind, recorded), Kind.TRUNCATE, amount=3, patient=True))
    found = counted(done)
    if kind in UNNUMBERED:  # all its books are given up, each of them counted
        markets = len(tape_of(kind, recorded).markets)
        assert found["malformed"] == 1 + markets
        assert losses(done) == [Reason.MALFORMED] * markets
        return
    assert found["malformed"] == 1
    lost = len(tape_of(kind, recorded).markets) if kind in COUNTED else 1
    assert found.get("gaps", 0) + found.get("checksums_failed", 0) == lost


@pytest.mark.parametrize(
    ("kind", "garbage"),
    [
        (CoinbaseModel, b'{"channel":"heartbeats","sequence_num":999999,"events":[]}'),
        (BitfinexModel, b'[1,"hb",999999]'),
        (BitfinexCheckedModel, b'[1,"hb",999999]'),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_one_wrong_count_does_not_end_a_feed(
    kind: type[Model], garbage: bytes, recorded: Path
) -> None:
    """A count far ahead costs the books that are there, not all that come after."""
    done = run(recorded, kind, Fault(AT, Kind.GARBAGE, garbage=garbage, patient=True))
    assert done.handshakes == 1
    assert set(losses(done)) == {Reason.SEQUENCE_GAP}


@pytest.mark.parametrize("kind", [BitfinexModel, BitfinexCheckedModel])
@pytest.mark.parametrize("at", range(7))
def test_a_lost_confirmation_does_not_end_a_book(
    kind: type[Model], at: int, recorded: Path
) -> None:
    """Bitfinex names a channel only once: a channel that nobody knows is left before it is entered."""
    done = run(recorded, kind, *[Fault(0, Kind.SLOW, amount=1)] * at, Fault(0, Kind.DROP))
    assert done.handshakes == 1


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
def test_a_connection_that_says_nothing_is_left(kind: type[Model], recorded: Path) -> None:
    """It is open and dead: the client finds out by itself, and begins anew."""
    model = kind(tape_of(kind, recorded))
    done = play(model, [Fault(AT, Kind.HALF_OPEN, patient=True, amount=5)], steps=STEPS)
    assert (done.wrong, done.differences) == ([], [])
    assert done.handshakes >= 2
    assert Reason.DISCONNECTED in losses(done) or Reason.STALE_MARKET in losses(done)


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
def test_each_connection_of_a_storm_is_tried_once(kind: type[Model], recorded: Path) -> None:
    """Five are closed at once, the sixth stays."""
    done = run(recorded, kind, Fault(AT, Kind.STORM, amount=5, patient=True))
    assert done.handshakes == 1 + 5 + 1
    markets = len(tape_of(kind, recorded).markets)
    assert losses(done).count(Reason.DISCONNECTED) == markets


@pytest.mark.parametrize("kind", [BybitModel, BinanceModel, KucoinModel])
def test_a_ban_is_kept(kind: type[Model], recorded: Path) -> None:
    """The exchange says a second: for a second nothing is asked."""
    began = time.monotonic()
    done = run(recorded, kind, Fault(AT, Kind.BAN, amount=1, patient=True), retry_after="1")
    assert time.monotonic() - began >= 1
    assert done.refused == 1


# --- snapshots over HTTP --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [BinanceModel, BinanceFuturesModel, GateModel, BitstampModel])
@pytest.mark.parametrize("fault", [Kind.HTTP_ERROR, Kind.HTTP_NEVER, Kind.HTTP_CUT])
def test_a_request_without_a_good_answer_is_counted_and_repeated(
    kind: type[Model], fault: Kind, recorded: Path
) -> None:
    """As failed, or as malformed; the book waits for the next."""
    done = run(recorded, kind, Fault(0, fault))
    name = "malformed" if fault is Kind.HTTP_CUT else "requests_failed"
    assert counted(done)[name] == 1
    assert done.requests >= len(tape_of(kind, recorded).markets) + 1


@pytest.mark.parametrize("kind", ANSWERED, ids=lambda kind: kind.__name__)
def test_a_snapshot_older_than_the_first_difference_is_never_shown(
    kind: type[Model], recorded: Path
) -> None:
    """It cannot be joined: it is asked for again, and what it says stays unseen."""
    at = told(kind, recorded)
    faults = [Fault(at, Kind.DROP, patient=True), Fault(at, Kind.HTTP_STALE, amount=4)]
    if kind in UNNUMBERED:  # a lost frame does not show there: a cut one does
        faults[0] = Fault(at, Kind.TRUNCATE, amount=3, patient=True)
    done = run(recorded, kind, *faults)
    assert counted(done)["snapshots_old"] >= 1
    live = Counter(c.instrument for c in done.changes if c.state is BookState.LIVE)
    lost = {c.instrument for c in done.changes if c.state is not BookState.LIVE}
    assert live == {n: 1 + (n in lost) for n in live}


@pytest.mark.parametrize("kind", ANSWERED, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("away", [2, 3, 4])
def test_an_answer_asked_for_before_a_connection_was_lost_begins_no_book(
    kind: type[Model], away: int, recorded: Path
) -> None:
    """It says nothing of what came while nobody listened; it comes before the first difference."""
    tape = tape_of(kind, recorded)
    first = next(iter(tape.markets))
    symbols = [step.symbol for step in tape.steps]
    begins = range(AT, STEPS)
    missed = [at for at in begins if first in symbols[at + 2 : at + 1 + away]]
    seen = (at for at in missed if first not in (symbols[at + 1], symbols[at + 1 + away]))
    at = next(seen, AT)
    cut = Fault(at, Kind.TRUNCATE, amount=3, patient=True)
    late = Fault(at, Kind.HTTP_LATE, amount=away + 1)
    run(recorded, kind, cut, late, Fault(at + 1, Kind.CLOSE, amount=away))


# --- two connections ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("fault", [Kind.CLOSE, Kind.DROP, Kind.TRUNCATE])
@pytest.mark.parametrize("line", [0, 1])
def test_with_two_connections_a_fault_of_one_is_not_seen(
    kind: type[Model], fault: Kind, line: int, recorded: Path
) -> None:
    """Numbered frames: the other brings them. Else: the other's book is shown. None is ever lost."""
    if kind in UNNUMBERED and fault is Kind.DROP:
        pytest.skip("nothing tells that a frame is missing")
    at = told(kind, recorded)
    done = run(recorded, kind, Fault(at, fault, line=line, amount=3, patient=True), lines=2)
    assert losses(done) == []
