"""The venues' handlers on real captures, and on frames that are broken on purpose."""

import gzip
from pathlib import Path

import msgspec
import pytest

from engine.assembly import build, topology_of
from engine.config import Config, instruments_of
from engine.edges.capture import CapturedFrame, CaptureError, read_capture
from engine.edges.capture_contents import describe
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
from tests.captures import config_of, hold_books, hold_tops

CAPTURES = {
    "KRAKEN": (4279, 4269, 0),
    "OKX": (290, 290, 0),
    "BINANCE": (176, 0, 173),
    "BINANCE_FUTURES": (753, 0, 760),
    "BYBIT#BYBIT.ws.2": (1598, 0, 1594),
    "BYBIT#BYBIT.ws.3": (550, 0, 548),
    "COINBASE": (775, 0, 1029),
    "KUCOIN": (3814, 0, 3844),
    "BITFINEX": (1600, 0, 1669),
    "GATEIO": (168, 0, 162),
    "BITSTAMP": (625, 0, 0),
}
"""Of each capture: frames after which tops are compared, checksums, numbers that link."""


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


def capture(recorded: Path, name: str) -> Path:
    """The file of a capture, and the connection in it."""
    file, _, connection = name.partition("#")
    return recorded / "cryptofeed" / f"{file}.jsonl.gz{'#' * bool(connection)}{connection}"


@pytest.mark.parametrize("name", CAPTURES)
def test_capture_ends_each_frame_with_the_rebuilt_top(name: str, recorded: Path) -> None:
    """Every checksum verifies, no gap is found, the top is right after every frame, and all levels
    are at the end.
    """
    path = capture(recorded, name)
    config = config_of(path)
    venue = venue_of(config)
    frames = [as_frame(frame, n) for n, frame in enumerate(read_capture(path))]
    compared, rebuild = hold_tops(config, play(venue, frames))
    counts = venue.counts
    levels = hold_books(config, venue.books, rebuild)
    print(
        f"{name}: {len(frames)} messages, {compared} tops compared, {counts.checksums} checksums "
        f"verified, {rebuild.links} numbers linked, {levels} levels at the end"
    )
    assert (compared, counts.checksums, rebuild.links) == CAPTURES[name]
    assert rebuild.checksums == counts.checksums
    lost = (counts.gaps, counts.checksums_failed, counts.malformed, counts.off_grid, counts.crossed)
    assert lost == (0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("name", "judged"),
    [("spot/btcusdt", 564), ("spot/ethusdt", 577), ("usdm/btcusdt", 629)],
)
def test_the_venues_own_ticker_agrees(name: str, judged: int, recorded: Path) -> None:
    """At the same update id, Binance's bookTicker has the best prices and sizes of our book."""
    path = recorded / "hftbacktest" / f"{name}_20240808.gz"
    venue = venue_of(config_of(path))
    frames = [as_frame(frame, n) for n, frame in enumerate(read_capture(path))]
    tickers = {}
    for frame in frames:
        if b'bookTicker"' in frame.payload[:80]:
            data = msgspec.json.decode(frame.payload)["data"]
            tickers[data["u"]] = data
    held = 0
    venue.on_message(Connected(0, 1, 0, 0, 0), 1)
    for frame in frames:
        before = venue.books[0].book.sequence
        venue.on_message(frame, frame.received_ns)
        tracked = venue.books[0]
        ticker = tickers.get(tracked.book.sequence)
        if ticker is not None and tracked.live and tracked.book.sequence != before:
            book, grid = tracked.book, tracked.grid
            told = [grid.ticks(ticker["b"]), grid.lots(ticker["B"])]
            told += [grid.ticks(ticker["a"]), grid.lots(ticker["A"])]
            assert told == [book.bid_ticks, book.bid_lots, book.ask_ticks, book.ask_lots]
            held += 1
    print(
        f"{name}: {len(frames)} messages, {held} of {held} tops as the venue's own ticker has them"
    )
    assert (venue.counts.gaps, venue.counts.malformed, venue.counts.off_grid) == (0, 0, 0)
    assert held == judged


def test_markets_of_another_kind_lend_no_grid(recorded: Path) -> None:
    """Bybit calls a spot market and a contract the same: each has its own symbol and lot."""
    spot, linear = (describe(capture(recorded, f"BYBIT#BYBIT.ws.{n}")).instruments for n in (3, 2))
    assert [(i.symbol, i.lot_size) for i in spot[:1]] == [("BTC/USDT", "0.000001")]
    assert [(i.symbol, i.lot_size) for i in linear[:1]] == [("BTC/USDT:USDT", "0.001")]


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


def test_a_difference_under_another_name_is_none(recorded: Path) -> None:
    """Fuzzing found it: the word alone, anywhere in the frame, made it a difference."""
    path = recorded / "cryptofeed" / "BINANCE.jsonl.gz"
    venue = venue_of(config_of(path))
    frames = [as_frame(frame, n) for n, frame in enumerate(read_capture(path))]
    at = next(
        n for n, f in enumerate(frames) if b"nknusdt@depth" in f.payload and n > len(frames) // 2
    )
    play(venue, frames[:at])
    before = venue.books[0].book.dump()
    other = frames[at].payload.replace(b'"e":', b'"0e":')
    assert venue.on_message(msgspec.structs.replace(frames[at], payload=other), 1) == ()
    assert (venue.counts.malformed, venue.books[0].book.dump()) == (1, before)
    venue.on_message(frames[at], 1)
    assert venue.books[0].book.dump() != before


def test_a_frame_whose_count_is_wrong_begins_no_book(recorded: Path) -> None:
    """Fuzzing found it: an empty array under a wrong count emptied a book and left it LIVE."""
    path = recorded / "cryptofeed" / "BITFINEX.jsonl.gz"
    venue = venue_of(config_of(path))
    frames = [as_frame(frame, n) for n, frame in enumerate(read_capture(path))]
    play(venue, frames)
    assert all(book.live for book in venue.books.values())
    channel = next(f.payload for f in frames if f.payload.startswith(b"[2329")).split(b",")[0]
    spoilt = msgspec.structs.replace(frames[-1], payload=channel + b",[],7]")
    venue.on_message(spoilt, 1)
    assert not any(book.live for book in venue.books.values())


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
    path = capture(recorded, name)
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
        path = capture(recorded, name)
        config = config_of(path)
        frames = [as_frame(frame, n) for n, frame in enumerate(read_capture(path))]
        original, restored = venue_of(config), venue_of(config)
        play(original, frames[: len(frames) // 3])
        restored.restore(original.snapshot())
        for frame in frames[len(frames) // 3 :]:
            assert restored.on_message(frame, 5) == original.on_message(frame, 5)
        assert restored.snapshot() == original.snapshot()


def test_a_collected_line_keeps_its_nanoseconds(tmp_path: Path) -> None:
    """A float of seconds would lose some hundred of them, and the order of two frames so close."""
    times = (1723161253937085768, 1723161253937085769, 1723161253937085866)
    path = tmp_path / "btcusdt_20240808.gz"
    path.write_bytes(gzip.compress(b"".join(b"%d {}\n" % at_ns for at_ns in reversed(times))))
    assert [frame.at_ns for frame in read_capture(path)] == list(times)


def test_what_is_no_capture_is_named(tmp_path: Path) -> None:
    """A missing, plain or foreign file says which file and line it was."""
    plain = tmp_path / "plain.jsonl.gz"
    plain.write_bytes(b"not gzip")
    with pytest.raises(CaptureError, match=r"plain\.jsonl\.gz: not a capture"):
        list(read_capture(plain))
    with pytest.raises(CaptureError, match="not a capture"):
        describe(tmp_path / "missing.gz")
    foreign = tmp_path / "foreign.jsonl.gz"
    foreign.write_bytes(gzip.compress(b'{"t":"header","exchange":"ELSEWHERE"}\n{"t":3}\n'))
    with pytest.raises(CaptureError, match=r"foreign\.jsonl\.gz:2"):
        describe(foreign)
    foreign.write_bytes(gzip.compress(b'{"t":"header","exchange":"ELSEWHERE"}\n'))
    with pytest.raises(
        CaptureError, match=r"captures of BINANCE, .* can be replayed, not of 'ELSEWHERE'"
    ):
        describe(foreign)
