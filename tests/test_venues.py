"""The venues' handlers on real captures, and on frames that are broken on purpose."""

from pathlib import Path

import msgspec
import pytest

from engine.assembly import build, topology_of
from engine.config import Config, instruments_of
from engine.edges.capture import CapturedFrame, CaptureError, describe, read_capture
from engine.messages import (
    AnyMessage,
    BookState,
    BookStateChanged,
    BookTop,
    Connected,
    Frame,
    HttpRequest,
    Reason,
    SendFrame,
)
from engine.venue import Venue
from tests.captures import config_of, hold_tops

CAPTURES = {"KRAKEN": (4269, 4279), "BINANCE": (0, 176)}


def venue_of(config: Config) -> Venue:
    """The venue component of a capture's configuration."""
    topology = topology_of(config)
    component = build(config, topology, instruments_of(config), topology.actors[0])[0]
    assert isinstance(component, Venue)
    return component


def as_frame(frame: CapturedFrame, number: int) -> Frame:
    """A captured frame as the venue's actor would put it into its inbox."""
    return Frame(
        0, number, frame.at_ns, 0, frame.connection, frame.kind, frame.payload, frame.about
    )


def play(venue: Venue, frames: list[Frame]) -> list[tuple[AnyMessage, list[AnyMessage]]]:
    """Each frame with what follows from it."""
    venue.on_message(Connected(0, 1, 0, 0, 0), 1)
    return [(frame, list(venue.on_message(frame, frame.received_ns))) for frame in frames]


@pytest.mark.parametrize("name", CAPTURES)
def test_capture_ends_each_frame_with_the_rebuilt_top(name: str, recorded: Path) -> None:
    """Every checksum verifies, no gap is found, and the top is right after every frame."""
    path = recorded / "cryptofeed" / f"{name}.jsonl.gz"
    config = config_of(path)
    venue = venue_of(config)
    frames = [as_frame(frame, n) for n, frame in enumerate(read_capture(path))]
    compared, checksums = hold_tops(config, play(venue, frames))
    print(f"{name}: {compared} tops compared, {venue.counts.checksums} checksums verified")
    assert (venue.counts.checksums, compared) == CAPTURES[name]
    assert checksums == venue.counts.checksums
    lost = (venue.counts.gaps, venue.counts.checksums_failed, venue.counts.malformed)
    assert lost == (0, 0, 0)


def book_frames(path: Path, native: str) -> list[Frame]:
    """The frames that change one instrument's book, its snapshot first."""
    frames = [as_frame(frame, n) for n, frame in enumerate(read_capture(path))]
    return [f for f in frames if native.encode() in f.payload or native in f.about]


def test_a_dropped_binance_frame_is_found_and_mended(recorded: Path) -> None:
    """One difference missing: exactly that book is BROKEN, asks for a snapshot, and mends by it."""
    path = recorded / "cryptofeed" / "BINANCE.jsonl.gz"
    config = config_of(path)
    venue = venue_of(config)
    frames = [as_frame(frame, n) for n, frame in enumerate(read_capture(path))]
    snapshot = next(f for f in frames if "symbol=NKNUSDT" in f.about)
    diffs = [f for f in frames if b"nknusdt@depth" in f.payload]
    after = [f for f in diffs if f.received_ns > snapshot.received_ns]
    play(venue, [f for f in frames if f.received_ns <= after[5].received_ns])
    assert venue.books[0].live
    outputs = venue.on_message(after[7], 1)  # after[6] is lost
    states = [o for o in outputs if isinstance(o, BookStateChanged)]
    assert [(s.state, s.reason) for s in states] == [(BookState.BROKEN, Reason.SEQUENCE_GAP)]
    shown = [o for o in outputs if isinstance(o, BookTop)]
    assert (shown[0].bid_ticks, shown[0].ask_ticks) == (0, 0), "a broken book shows no price"
    assert any(isinstance(o, HttpRequest) and "NKNUSDT" in o.about for o in outputs)
    assert venue.counts.gaps == 1
    fresh = msgspec.json.decode(snapshot.payload)
    fresh["lastUpdateId"] = msgspec.json.decode(after[8].payload)["data"]["u"]
    venue.on_message(msgspec.structs.replace(snapshot, payload=msgspec.json.encode(fresh)), 2)
    assert venue.books[0].live


def test_a_flipped_digit_breaks_exactly_that_kraken_book(recorded: Path) -> None:
    """The checksum finds it; the pair is subscribed anew; the other books stay LIVE."""
    path = recorded / "cryptofeed" / "KRAKEN.jsonl.gz"
    config = config_of(path)
    venue = venue_of(config)
    frames = [as_frame(frame, n) for n, frame in enumerate(read_capture(path))]
    mark = b'"book-1000","XMR/USD"]'
    at = next(n for n, f in enumerate(frames) if b'"c":' in f.payload and mark in f.payload)
    play(venue, frames[:at])
    live = {number for number, book in venue.books.items() if book.live}
    number = next(n for n, entry in enumerate(config.instruments) if entry.native == "XMR/USD")
    levels = msgspec.json.decode(frames[at].payload)
    change = levels[1].get("b") or levels[1].get("a")
    change[0][1] = "7.77777777"
    broken = msgspec.structs.replace(frames[at], payload=msgspec.json.encode(levels))
    outputs = venue.on_message(broken, 1)
    assert venue.counts.checksums_failed == 1
    assert {n for n, book in venue.books.items() if book.live} == live - {number}
    sent = [msgspec.json.decode(o.payload)["event"] for o in outputs if isinstance(o, SendFrame)]
    assert sent == ["unsubscribe", "subscribe"]


@pytest.mark.parametrize("name", CAPTURES)
@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"[1]",
        b'[1,{"as":[["x","1","0"]],"bs":[]},"book-1000","XMR/USD"]',
        b'[1,{"a":7},"book-1000","XMR/USD"]',
        b'[1,{"a":[]},"book-many","XMR/USD"]',
        b'{"e":"depthUpdate","s":"NKNUSDT","U":"one"}',
        b'{"stream":"x","data":{"e":"depthUpdate","s":"NKNUSDT","U":9999999999,"u":9999999999,"b":3}}',
        b"\xff\xfe\x00garbage",
        b"null",
        b"[" * 100_000,
        b'{"e":"depthUpdate","s":' + b"[" * 100_000,
        b'{"e":"depthUpdate","s":"NKNUSDT","U":1,"u":99999999999999999999,"b":[],"a":[]}',
        b'{"e":"depthUpdate","s":"NKNUSDT","U":1,"u":9999999999999999999,"b":[],"a":[]}',
    ],
    ids=range(15),
)
def test_malformed_frames_never_raise(name: str, payload: bytes, recorded: Path) -> None:
    """Garbage is counted or passed over, books keep their state, and the next frame is read."""
    path = recorded / "cryptofeed" / f"{name}.jsonl.gz"
    venue = venue_of(config_of(path))
    frames = [as_frame(frame, n) for n, frame in enumerate(read_capture(path))][:120]
    play(venue, frames)
    before = {number: book.state for number, book in venue.books.items()}
    levels = {number: book.book.dump() for number, book in venue.books.items()}
    venue.on_message(Frame(0, 999, 1, 0, 0, 0, payload), 1)
    for number, book in venue.books.items():
        assert not book.live or book.book.dump() == levels[number], "a LIVE book took garbage"
    after = {number: book.state for number, book in venue.books.items()}
    changed = {number for number in before if before[number] is not after[number]}
    assert all(after[number] is BookState.BROKEN for number in changed)
    assert venue.counts.frames == len(frames) + 1


def test_a_restored_venue_goes_on_exactly(recorded: Path) -> None:
    """From a snapshot taken anywhere, the same frames give the same messages."""
    for name in CAPTURES:
        path = recorded / "cryptofeed" / f"{name}.jsonl.gz"
        config = config_of(path)
        frames = [as_frame(frame, n) for n, frame in enumerate(read_capture(path))]
        original, restored = venue_of(config), venue_of(config)
        play(original, frames[: len(frames) // 3])
        restored.restore(original.snapshot())
        for frame in frames[len(frames) // 3 :]:
            assert restored.on_message(frame, 5) == original.on_message(frame, 5)
        assert restored.snapshot() == original.snapshot()


def test_what_is_no_capture_is_named(tmp_path: Path) -> None:
    """A missing, plain or foreign file says which file and line it was."""
    plain = tmp_path / "plain.jsonl.gz"
    plain.write_bytes(b"not gzip")
    with pytest.raises(CaptureError, match=r"plain\.jsonl\.gz: not a capture"):
        list(read_capture(plain))
    with pytest.raises(CaptureError, match="not a capture"):
        describe(tmp_path / "missing.gz")
    import gzip

    foreign = tmp_path / "foreign.jsonl.gz"
    foreign.write_bytes(gzip.compress(b'{"t":"header","exchange":"ELSEWHERE"}\n{"t":3}\n'))
    with pytest.raises(CaptureError, match=r"foreign\.jsonl\.gz:2"):
        describe(foreign)
    foreign.write_bytes(gzip.compress(b'{"t":"header","exchange":"ELSEWHERE"}\n'))
    with pytest.raises(CaptureError, match="KRAKEN, BINANCE"):
        describe(foreign)
