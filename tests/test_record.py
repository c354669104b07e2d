"""What is recorded is what came: raw to the byte, played to the same books, as events too, after a kill too."""

import gzip
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.__main__ import main
from engine.edges.capture import CapturedFrame, CaptureError, read_capture
from engine.edges.catalog.layout import CatalogError, Kind
from engine.edges.catalog.reader import structs
from engine.edges.catalog.verify import verify
from engine.edges.journal import read_inbox, segments
from engine.edges.normalising import normalise_capture
from engine.edges.raw_recording import RawWriter, growing, raw_files, read_recording
from engine.edges.record import RecorderError
from engine.edges.recordings import (
    normalise_recording,
    one_at_a_time,
    raw_folder,
    recorded_config,
)
from engine.edges.replaying import capture_config
from engine.messages import Frame, decode
from ext.book import Book
from tests.captures import config_of
from tests.test_venues import as_frame, capture, play, venue_of

FRAMES = st.lists(
    st.builds(
        CapturedFrame,
        st.integers(0, 2**62),
        st.integers(0, 3),
        st.sampled_from([0, 1, 2, 10, 11]),
        st.text(max_size=5),
        st.binary(max_size=50),
    ),
    max_size=30,
)


@given(st.lists(FRAMES, max_size=5))
def test_raw_files_give_back_what_was_put_in(tmp_path_factory, batches) -> None:  # type: ignore[no-untyped-def]
    """Block by block, over several files."""
    folder = tmp_path_factory.mktemp("raw")
    writer = RawWriter(folder, file_bytes=200)
    for place, batch in enumerate(batches):
        for frame in batch:
            writer.add(frame._replace(at_ns=place * 10**9 + frame.at_ns % 10**9))
        writer.flush()
    writer.close()
    told = [f._replace(at_ns=p * 10**9 + f.at_ns % 10**9) for p, b in enumerate(batches) for f in b]
    assert list(read_recording(folder)) == told
    assert writer.frames == len(told)


def some(count: int) -> list[CapturedFrame]:
    """Frames that differ."""
    return [CapturedFrame(n, 0, 0, "", f"frame {n}".encode() * 20) for n in range(count)]


def test_a_file_cut_anywhere_opens_up_to_its_last_whole_block(tmp_path: Path) -> None:
    """Whatever a crash left of the last block is passed over; before it nothing is lost."""
    writer, whole = RawWriter(tmp_path), 0
    for frame in some(30):
        writer.add(frame)
        if frame.at_ns % 10 == 9:
            writer.flush()
            whole = max(whole, raw_files(tmp_path)[0].stat().st_size) if frame.at_ns < 20 else whole
    writer.close()
    path = raw_files(tmp_path)[0]
    data = path.read_bytes()
    for end in range(whole, len(data)):
        path.write_bytes(data[:end])
        assert list(read_recording(tmp_path)) == some(20)
    path.write_bytes(data)
    assert list(read_recording(tmp_path)) == some(30)


def test_a_spoilt_block_and_a_foreign_file_are_named(tmp_path: Path) -> None:
    """A crash cannot make these: something else wrote here."""
    writer = RawWriter(tmp_path)
    for frame in some(20):
        writer.add(frame)
        if frame.at_ns == 9:
            writer.flush()
    writer.close()
    path = raw_files(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    with pytest.raises(CaptureError, match=r"\.frames: byte .*: the block is spoilt"):
        list(read_recording(tmp_path))
    path.write_bytes(b"something else altogether, long enough for a head")
    with pytest.raises(CaptureError, match=r"\.frames: byte 0: not a recording"):
        list(read_recording(tmp_path))


def test_a_file_grows_until_its_writer_closes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the moment it has its name: a normaliser that finds it then must leave it alone."""
    link, found = os.link, []

    def watched(source: Path, name: Path) -> None:
        link(source, name)
        found.append(growing(name))

    monkeypatch.setattr(os, "link", watched)
    writer = RawWriter(tmp_path, file_bytes=1)
    for frame in some(2):
        writer.add(frame)
        writer.flush()
    assert found == [True, True]
    assert [growing(path) for path in raw_files(tmp_path)] == [False, True]
    writer.close()
    assert not any(growing(path) for path in raw_files(tmp_path))
    assert sorted(tmp_path.iterdir()) == raw_files(tmp_path)


# --- as events -------------------------------------------------------------------------------------


def rebuilt(root: Path) -> dict[str, Book]:
    """Every symbol's book, made of the catalog's events alone."""
    books: dict[str, Book] = {}
    for event, source in structs(root):
        book = books.setdefault(source.symbol, Book())
        match event.kind:
            case Kind.CLEAR:
                book.clear()
            case Kind.LEVEL:
                book.change(event.side, event.ticks, event.lots)
            case Kind.TRUNCATE:
                book.truncate(event.ticks)
    return books


@pytest.mark.parametrize("name", ["KRAKEN", "KUCOIN", "COINBASE", "BITFINEX", "BYBIT#BYBIT.ws.3"])
def test_a_captures_events_give_the_venues_books(name: str, recorded: Path, tmp_path: Path) -> None:
    """Levels, cuts and beginnings in the catalog end in the book that the venue has."""
    path = capture(recorded, name)
    config = config_of(path)
    venue = venue_of(config)
    play(venue, [as_frame(frame, n) for n, frame in enumerate(read_capture(path))])
    events = normalise_capture(config, read_capture(path), tmp_path)
    assert not verify(tmp_path).findings
    books = rebuilt(tmp_path)
    for number, entry in enumerate(config.instruments):
        if venue.books[number].live:
            book = venue.books[number].book
            book.sequence = 0  # numbers are the protocol's, not the catalog's
            assert books[entry.symbol].dump() == book.dump(), entry.symbol
    trades = sum(1 for event, _ in structs(tmp_path) if event.kind == Kind.TRADE)
    print(f"{name}: {events} events, {trades} trades")


def recording(path: Path, venue: str, folder: Path) -> RawWriter:
    """A recording of a capture in several files, the last of them open still."""
    folder.mkdir()
    (folder / "config.toml").write_text(capture_config(path, 0.0))
    writer = RawWriter(raw_folder(folder, venue), file_bytes=20_000)
    for place, frame in enumerate(read_capture(path)):
        writer.add(frame)
        if place % 20 == 19:
            writer.flush()
    writer.flush()
    return writer


def test_files_one_by_one_give_the_events_of_all_at_once(recorded: Path, tmp_path: Path) -> None:
    """Each raw file goes on where the one before ended; done again after a crash it is the same."""
    path = capture(recorded, "OKX")
    folder = tmp_path / "recording"
    writer = recording(path, "okx", folder)
    *closed, last = raw_files(raw_folder(folder, "okx"))
    assert len(closed) > 2
    assert normalise_recording(folder) > 0
    assert all(path.with_suffix(".done").exists() for path in closed)
    assert not last.with_suffix(".done").exists(), "the newest file is still being written"
    assert normalise_recording(folder) == 0
    writer.close()
    assert normalise_recording(folder) > 0
    once = list(structs(folder / "catalog"))
    last.with_suffix(".done").unlink()  # as if it had been killed before it said so
    normalise_recording(folder)
    assert list(structs(folder / "catalog")) == once
    assert normalise_recording(folder) == 0
    config = recorded_config(folder, 0.0)
    normalise_capture(config, read_capture(path), tmp_path / "whole")
    assert list(structs(tmp_path / "whole")) == once
    assert not verify(folder / "catalog").findings


def test_only_one_at_a_time_makes_events_of_a_recording(recorded: Path, tmp_path: Path) -> None:
    """Two would each drop what the other has half done; the second waits and finds it done."""
    folder = tmp_path / "recording"
    recording(capture(recorded, "OKX"), "okx", folder).close()
    with ThreadPoolExecutor() as threads:
        with one_at_a_time(folder):
            second = threads.submit(normalise_recording, folder)
            with pytest.raises(TimeoutError):
                second.result(0.3)
            assert not list(folder.rglob("*.done"))
        assert second.result(60) > 0
    assert normalise_recording(folder) == 0


# --- the commands -----------------------------------------------------------------------------------


def orchestrator(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """A command, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "engine", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def recording_of(recorded: Path, name: str, speed: float, folder: Path) -> Path:
    """A configuration that plays a capture, for `record` to watch."""
    config = folder / "config.toml"
    config.write_text(capture_config(capture(recorded, name), speed))
    return config


@pytest.mark.parametrize("name", ["KRAKEN", "OKX", "BITFINEX"])
def test_record_and_replay_end_in_the_same_books(name: str, recorded: Path, tmp_path: Path) -> None:
    """Byte for byte of their snapshots; and the recording's catalog has no finding."""
    config = recording_of(recorded, name, 0.0, tmp_path)
    done = orchestrator("record", str(config), "--for", "3s", "--to", "made", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    frames = len(list(read_capture(capture(recorded, name))))
    assert f"recorded {frames + 1:,} frames" in done.stdout, "each frame, and the connection"
    again = orchestrator("replay", "made", "--runtime", "solo", folder=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "byte for byte those at the end of the recording" in again.stdout
    assert not verify(tmp_path / "made" / "catalog").findings
    there = orchestrator("record", str(config), "--to", "made", folder=tmp_path)
    assert there.returncode == 2
    assert "--to made: it is there already" in there.stderr


def test_a_killed_recording_opens_and_lacks_at_most_its_last_second(
    recorded: Path, tmp_path: Path
) -> None:
    """kill -9 in the middle: what the actor had taken in a second before is in the raw files."""
    config = recording_of(recorded, "KRAKEN", 5.0, tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "engine", "record", str(config), "--to", "made"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
        stdout=subprocess.DEVNULL,
    )
    folder = raw_folder(tmp_path / "made", "kraken-v1")
    deadline = time.monotonic() + 60
    while sum(path.stat().st_size for path in raw_files(folder)) < 60_000:
        assert time.monotonic() < deadline, "nothing was recorded"
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = [frame for frame in read_recording(folder) if frame.kind in (0, 1)]
    run = next((tmp_path / "runs").glob("replay-*"))
    taken = [decode(r.data) for path in segments(run / "solo") for r in read_inbox(path)]
    frames = [message for message in taken if isinstance(message, Frame)]
    assert [f.payload for f in kept] == [f.payload for f in frames[: len(kept)]]
    print(f"{len(kept)} of {len(frames)} frames were in the raw files when it was killed")
    lost_ns = frames[-1].received_ns - kept[-1].at_ns
    assert lost_ns < 1_000_000_000
    assert normalise_recording(tmp_path / "made") > 0
    assert not verify(tmp_path / "made" / "catalog").findings
    again = orchestrator("replay", "made", "--runtime", "solo", folder=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr


@pytest.mark.parametrize(
    "error",
    [
        RecorderError("the recording is not whole: no space left"),
        CatalogError("events: a file of another grid"),
        CaptureError("x.frames: byte 0: not a recording"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_ends_a_recording_is_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback: exit code 2 and what was wrong."""

    def fails(*_: object) -> int:
        raise error

    config = Path(__file__).parent.parent / "configs" / "demo.toml"
    monkeypatch.setattr("engine.edges.record.run_record", fails)
    monkeypatch.setattr("engine.__main__._check_machine", lambda *_, **__: None)
    monkeypatch.setattr(sys, "argv", ["orchestrator", "record", str(config)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"orchestrator: {error}\n"


def test_what_cannot_be_played_into_a_recording_is_one_line(recorded: Path, tmp_path: Path) -> None:
    """It is said once, and no run is left behind."""
    config = recording_of(recorded, "OKX", 0.0, tmp_path)
    foreign = tmp_path / "foreign.gz"
    foreign.write_bytes(gzip.compress(b"no line of a capture"))
    config.write_text(config.read_text().replace(str(capture(recorded, "OKX")), str(foreign)))
    done = orchestrator("record", str(config), "--for", "1s", "--to", "made", folder=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert "foreign.gz:1: not a capture's line" in done.stderr
    assert not (tmp_path / "runs" / "current.json").exists()


def test_a_spoilt_recording_ends_its_replay_and_is_named(tmp_path: Path, recorded: Path) -> None:
    """It does not hang, and the kill switch is left alone: a bad file is no defect of the engine."""
    folder = tmp_path / "made"
    folder.mkdir()
    path = capture(recorded, "OKX")
    (folder / "config.toml").write_text(capture_config(path, 0.0))
    writer = RawWriter(raw_folder(folder, "okx"))
    for place, frame in enumerate(read_capture(path)):
        writer.add(frame)
        if place % 100 == 99:
            writer.flush()
    writer.close()
    (raw,) = raw_files(raw_folder(folder, "okx"))
    data = bytearray(raw.read_bytes())
    data[60] ^= 1
    raw.write_bytes(data)
    done = orchestrator("replay", "made", "--runtime", "solo", folder=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "the block is spoilt" in done.stderr
    said = orchestrator("kill-switch", "off", folder=tmp_path).stdout
    assert "kill switch is off" in said
