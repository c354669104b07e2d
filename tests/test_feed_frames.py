"""The frames of the feeds benchmark: what they are, that they make those best prices, who takes them."""

import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from benchmarks import feed_frames
from benchmarks.feed_frames import FeedFrames
from benchmarks.peers import feed_turns, feeds
from benchmarks.peers.nautilus_path import ROOT, interpreter

SCRIPTS = sorted((ROOT / "benchmarks" / "peers").glob("feed*.py"))
Levels = list[tuple[str, str]]


@pytest.fixture(scope="module", params=["BTCUSDT", "ETHUSDT"])
def market(request: pytest.FixtureRequest, recorded: Path) -> tuple[Path, FeedFrames]:
    """A recorded market: its capture and its frames."""
    path = feed_frames.capture(request.param)
    if path is None:
        pytest.skip(f"no hftbacktest capture of {request.param} at {recorded}")
    return path, feed_frames.load(path)


def messages(path: Path) -> Iterator[dict]:
    """The payloads of a capture, in the order of their arrival."""
    with gzip.open(path) as lines:
        for line in lines:
            message = json.loads(line.partition(b" ")[2])
            yield message.get("data", message)


def test_the_load_is_the_one_the_figures_name(market: tuple[Path, FeedFrames]) -> None:
    """So many frames of so many bytes and levels, of each market."""
    known = {
        "BTCUSDT": {"count": 412, "bytes": 1319, "levels": 37},
        "ETHUSDT": {"count": 302, "bytes": 1344, "levels": 39},
    }
    _, frames = market
    assert frames.summary() == known[frames.symbol]


def test_best_prices_are_the_ones_the_exchange_sent(market: tuple[Path, FeedFrames]) -> None:
    """At the same update id the exchange's bookTicker says the same best bid and ask."""
    path, frames = market
    tickers = {
        message["u"]: (message["b"], message["a"]) for message in messages(path) if "B" in message
    }
    ids = [json.loads(frame)["data"]["u"] for frame in frames.lead]
    compared = [
        (tickers[last], best)
        for last, best in zip(ids, frames.best, strict=True)
        if last in tickers
    ]
    assert len(compared) == {"BTCUSDT": 564, "ETHUSDT": 577}[frames.symbol]
    assert all(sent == best for sent, best in compared)


def test_a_real_load_survives_its_neutral_form(
    market: tuple[Path, FeedFrames], tmp_path: Path
) -> None:
    """Every byte comes back."""
    _, frames = market
    feed_frames.write(tmp_path / "frames.jsonl", frames)
    assert feed_frames.read(tmp_path / "frames.jsonl") == frames


def diff(first: int, last: int, bids: Levels, asks: Levels) -> dict:
    """A depth frame as the combined stream wraps it."""
    event = {
        "e": "depthUpdate",
        "E": 1_700_000_000_000 + last,
        "s": "BTCUSDT",
        "U": first,
        "u": last,
    }
    return {"stream": "btcusdt@depth@100ms", "data": event | {"b": bids, "a": asks}}


def side(touch: int, step: int, count: int) -> Levels:
    """Levels from a touch outwards."""
    return [(f"{touch + step * level}.00000000", "1.00000000") for level in range(count)]


SNAPSHOT = {"lastUpdateId": 100, "bids": side(5_000, -1, 60), "asks": side(5_001, 1, 60)}
GONE = [("5000.00000000", "0.00000000")]
STORY = (
    diff(90, 95, [("5003.00000000", "9.00000000")], []),  # older than the snapshot
    diff(96, 103, GONE, []),  # bridges it, and arrived before it
    SNAPSHOT,
    {"stream": "btcusdt@bookTicker", "data": {"u": 104, "s": "BTCUSDT", "b": "1", "B": "1"}},
    diff(104, 104, side(4_999, -1, 15), side(5_001, 1, 15)),
    diff(105, 110, side(4_999, -1, 25), [("5001.00000000", "0.00000000"), *side(5_002, 1, 25)]),
    diff(111, 120, [("5000.00000000", "2.00000000")], []),
    diff(121, 130, side(4_000, -1, 50), []),
)
BEST = ["4999 5001", "4999 5001", "4999 5002", "5000 5002", "5000 5002"]


def told(path: Path, story: tuple[dict, ...]) -> Path:
    """A capture of messages, in the recorder's form."""
    with gzip.open(path, "wt") as lines:
        for number, message in enumerate(story):
            lines.write(f"{number} {json.dumps(message, separators=(',', ':'))}\n")
    return path


@pytest.fixture
def small(tmp_path: Path) -> FeedFrames:
    """The frames of a short capture of our own making."""
    return feed_frames.load(told(tmp_path / "small.gz", STORY))


def test_the_lead_begins_with_the_bridge(small: FeedFrames) -> None:
    """The difference that bridges the snapshot is the first, though it arrived before."""
    assert [json.loads(frame)["data"]["u"] for frame in small.lead] == [103, 104, 110, 120, 130]
    assert small.timed == [1, 4]  # 51 levels are too many, 30 and 50 are not
    assert json.loads(small.snapshot)["lastUpdateId"] == 100
    numbers = [f"{Decimal(bid):.0f} {Decimal(ask):.0f}" for bid, ask in small.best]
    assert numbers == BEST


def test_a_small_load_survives_its_neutral_form(small: FeedFrames, tmp_path: Path) -> None:
    """Written and read, where no data is recorded."""
    feed_frames.write(tmp_path / "frames.jsonl", small)
    assert feed_frames.read(tmp_path / "frames.jsonl") == small


def test_a_capture_with_a_gap_is_refused(tmp_path: Path) -> None:
    """A lost difference would make every best price after it a guess."""
    with pytest.raises(ValueError, match="gap: 104 is followed by 111"):
        feed_frames.load(told(tmp_path / "gap.gz", STORY[:5] + STORY[6:]))


def test_a_capture_without_a_snapshot_is_refused(tmp_path: Path) -> None:
    """Differences alone make no book."""
    with pytest.raises(ValueError, match="no snapshot"):
        feed_frames.load(told(tmp_path / "bare.gz", STORY[:2]))


def test_no_capture_is_no_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the data is not, the benchmark is told so."""
    monkeypatch.setenv("ORCHESTRATOR_DATA", str(tmp_path))
    assert feed_frames.capture("BTCUSDT") is None


def test_a_peer_that_reads_another_best_price_is_refused(small: FeedFrames) -> None:
    """Only a turn that did the work has a figure."""
    spent = [1] * len(small.lead)
    found = feed_turns.measure(small, lambda frames: (spent, list(frames.best)))
    assert (found["frames"], found["median_ns"], found["best_prices_held"]) == (2, 1, 5 * 4)
    with pytest.raises(ValueError, match="frame 4: best prices"):
        feed_turns.measure(small, lambda _: (spent, [(5_000.0, 5_003.0)]))
    with pytest.raises(ValueError, match="no best price"):
        feed_turns.measure(small, lambda _: (spent, []))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_compile(script: Path) -> None:
    """The peers' scripts are Python, also where no peer is installed."""
    compile(script.read_text(encoding="utf-8"), str(script), "exec")


def test_missing_peers_are_left_out_with_a_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """No interpreter, no figure, and a line a peer that says why."""
    monkeypatch.setenv("ORCHESTRATOR_PEERS_PYTHON", str(tmp_path / "python"))
    assert feeds.run_peers(tmp_path / "frames.jsonl") == []
    assert capsys.readouterr().err.count("left out: no ") == len(feeds.PEERS)


@pytest.mark.parametrize("peer", feeds.PEERS, ids=lambda peer: peer.name.replace(" ", "-"))
def test_each_peer_takes_a_small_load(peer: feeds.Peer, small: FeedFrames, tmp_path: Path) -> None:
    """Each reads its input, makes the book and reads the expected best prices."""
    if not interpreter().exists():
        pytest.skip("the peers are not installed: make .venv-peers/.stamp")
    feed_frames.write(tmp_path / "frames.jsonl", small)
    found = feeds.run_once(peer, tmp_path / "frames.jsonl")
    if found is None:
        pytest.skip(f"the peers' interpreter has no {peer.package}")
    turns = feed_turns.WARM_UPS + feed_turns.TURNS
    assert found["frames"] == len(small.timed)
    assert found["best_prices_held"] == turns * (1 if "unread" in peer.words else len(small.lead))
    assert len(found["turns_ns"]) == feed_turns.TURNS
