"""`orchestrator replay`: a capture or a tape through the engine, or a run's folder once more.

A capture needs no configuration: its instruments are read out of it. Whatever is played, the run is
then run again from what its actors recorded, and both must agree.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from engine.config import Config, ConfigError, instruments_of, parse
from engine.edges.capture import CaptureError
from engine.edges.capture_contents import Capture, describe
from engine.edges.journal import JournalError
from engine.edges.raw_recording import check_recording
from engine.edges.recordings import digests, is_recording, read_digests, recorded_config
from engine.edges.verification import ActorVerdict, verify_run
from engine.units import split_decimal
from engine.venue import VenueState
from engine.venues.counts import Counts

Play = Callable[[Config, str], tuple[Path, list[VenueState]]]


def capture_config(path: Path, speed: float) -> str:
    """A configuration that plays one capture: its own instruments, no bot. Raises CaptureError."""
    capture = describe(path)
    name = capture.protocol.replace("_", "-")
    lines = [
        'name = "replay"',
        'state_dir = "runs"',
        "[api]",
        "port = 0",
        "[[venues]]",
        f'name = "{name}"',
        'kind = "replay"',
        f'protocol = "{capture.protocol}"',
        f'path = "{path.absolute()}"',
        f"speed = {speed:g}" if speed % 1 else f"speed = {speed:.1f}",
        "stale_ms = 600000",
    ]
    for found in capture.instruments:
        lines += [
            "[[instruments]]",
            f'venue = "{name}"',
            f'symbol = "{found.symbol}"',
            f'native = "{found.native}"',
            f'tick_size = "{found.tick_size}"',
            f'lot_size = "{found.lot_size}"',
        ]
    lines.append("[assets]")
    lines += [f"{asset} = {places}" for asset, places in _assets(capture).items()]
    return "\n".join(lines) + "\n"


def _assets(capture: Capture) -> dict[str, int]:
    """Enough decimals for every lot and every tick times lot."""
    needed: dict[str, int] = {}
    for found in capture.instruments:
        base, _, quote = found.symbol.partition(":")[0].partition("/")
        lot_places = split_decimal(found.lot_size)[1]
        tick_places = split_decimal(found.tick_size)[1]
        needed[base] = max(needed.get(base, 0), lot_places)
        needed[quote] = max(needed.get(quote, 0), lot_places + tick_places)
    return needed


def replay_path(path: Path, play: Play, speed: float) -> int:
    """See the module; `play` is the runtime. 0 when everything agrees; prints what was verified."""
    try:
        if path.is_dir() and not is_recording(path):
            return _verify_folder(path)
        if path.is_dir():
            for venue in recorded_config(path, speed).venues:
                check_recording(Path(venue.path))  # before anything is started
            text = msgspec.toml.encode(msgspec.to_builtins(recorded_config(path, speed))).decode()
        elif path.suffix == ".parquet":
            text = tape_config(path, speed)
        else:
            text = capture_config(path, speed)
        config = parse(text, str(path))
        started = time.monotonic()
        folder, states = play(config, text)
        _print_counts(config, [state.counts for state in states], time.monotonic() - started)
        same = _same_books(config, states, path)
        return _verify_folder(folder) or (0 if same else 1)
    except (CaptureError, ConfigError, JournalError) as error:
        sys.stderr.write(f"orchestrator: {error}\n")
        return 2


def tape_config(path: Path, speed: float) -> str:
    """The configuration of the run beside the tape, its venues replayed from the tape."""
    beside = path.parent / "config.toml"
    if not beside.exists():
        raise CaptureError(f"{path}: the config.toml of its run is expected beside the tape")
    config = parse(beside.read_text(), str(beside))
    venues = [
        msgspec.structs.replace(
            venue,
            kind="replay",
            path=str(path.absolute()),
            speed=speed,
            stream_url="",
            rest_url="",
        )
        for venue in config.venues
    ]
    replayed = msgspec.structs.replace(
        config,
        venues=tuple(venues),
        bots=(),
        placement={},
        api=msgspec.structs.replace(config.api, port=0),
    )
    return msgspec.toml.encode(msgspec.to_builtins(replayed)).decode()


def _print_counts(config: Config, counts: list[Counts], elapsed_s: float) -> None:
    for venue, count in zip(config.venues, counts, strict=True):
        sys.stdout.write(
            f"{venue.name}: {count.frames} frames in {elapsed_s:.1f} s, "
            f"{count.checksums} checksums verified, {count.checksums_failed} failed, "
            f"{count.gaps} gaps, {count.crossed} crossed, {count.malformed} malformed\n"
        )


def _same_books(config: Config, states: list[VenueState], path: Path) -> bool:
    """Whether the books are those at a recording's end, byte for byte; says so."""
    recorded = read_digests(path) if path.is_dir() else []
    if not recorded:
        return True
    found = digests(config, states)
    for before, now in zip(recorded, found, strict=True):
        if before != now:
            sys.stdout.write(f"  DIFFERS: {before} was recorded, {now} was played\n")
    words = "byte for byte those" if found == recorded else "NOT those"
    sys.stdout.write(f"{len(found)} books: {words} at the end of the recording\n")
    return found == recorded


def _verify_folder(folder: Path) -> int:
    path = folder / "config.toml"
    if not path.exists():
        raise CaptureError(f"{folder}: no config.toml in it: not the folder of a run")
    config = parse(path.read_text(), str(path))
    assert len(instruments_of(config)) == len(config.instruments)
    verdicts = verify_run(config, folder)
    for verdict in verdicts:
        sys.stdout.write(_line(verdict) + "\n")
        for difference in verdict.differences:
            sys.stdout.write(f"  DIFFERS: {difference}\n")
    good = not any(verdict.differences for verdict in verdicts)
    words = "the same outputs, message for message" if good else "OTHER outputs"
    sys.stdout.write(f"{folder}: run again from its recordings it gives {words}\n")
    return 0 if good else 1


def _line(verdict: ActorVerdict) -> str:
    return (
        f"{verdict.actor}: {verdict.epochs} epochs, {verdict.inputs} inputs run again, "
        f"{verdict.outputs} outputs, {verdict.witnessed} of them witnessed by others"
    )
