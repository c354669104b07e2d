"""`orchestrator journal`: look at what a run's actors keep, without changing a byte of it."""

import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from engine.edges.journal import (
    HEADER,
    JournalError,
    Kind,
    SegmentPath,
    damage,
    read_snapshot,
    read_whole,
    segments,
)
from engine.messages import OrderState, decode
from engine.orders.lifecycle import FINAL
from ext.fold import Fold

app = typer.Typer(no_args_is_help=True, help="Look at a run's journals.")
Where = Annotated[Path, typer.Argument(help="A run's folder, or one actor's in it.")]
KINDS: tuple[Kind, ...] = ("inbox", "journal")


def _actors(path: Path) -> list[Path]:
    """The actors' folders at a place; exits with one line when there is none."""
    found = [path] if segments(path, "journal") else []
    if path.is_dir() and not found:
        found = sorted(folder for folder in path.iterdir() if segments(folder, "journal"))
    if not found:
        sys.stderr.write(f"orchestrator: {path}: no journal in it or in its folders\n")
        raise typer.Exit(2)
    return found


@app.command()
def verify(path: Where) -> None:
    """Check every record's sum and every snapshot; exit code 1 when something is damaged."""
    bad = 0
    fold = Fold()
    for folder in _actors(path):
        whole = {segment[1:] for segment in segments(folder)}
        counts = dict.fromkeys(KINDS, 0)
        journals = segments(folder, "journal")
        for number, segment in enumerate(journals):
            kinds = KINDS if segment[1:] in whole else KINDS[1:]
            last = number == len(journals) - 1
            for line in _faults(segment, kinds, last, counts, fold):
                bad += line[0]
                sys.stdout.write(f"  {'DAMAGED' if line[0] else 'torn'}: {line[1]}\n")
        sys.stdout.write(
            f"{folder.name}: {len(journals)} segments, {counts['inbox']:,} inputs and "
            f"{counts['journal']:,} outputs whole; state can be restored from {len(whole)} of them\n"
        )
    states = Counter(OrderState(order[7]) for order in fold.orders().values())
    still_open = sum(count for state, count in states.items() if state not in FINAL)
    sys.stdout.write(
        f"by these records: {states.total():,} orders, {still_open:,} of them open and "
        f"{states[OrderState.UNKNOWN]:,} unknown, {fold.fills:,} fills\n"
    )
    raise typer.Exit(1 if bad else 0)


def _faults(
    segment: SegmentPath, kinds: tuple[Kind, ...], last: bool, counts: dict[Kind, int], fold: Fold
) -> Iterator[tuple[bool, str]]:
    """What is wrong with a segment, and whether it is damage; counts the records that are whole."""
    try:
        if len(kinds) > 1:
            read_snapshot(segment)
    except JournalError as error:
        yield True, str(error)
    try:
        fold.take(segment.file("journal").read_bytes(), HEADER.size)
    except ValueError as error:
        yield True, f"{segment.file('journal')}: {error}"
    for kind in kinds:
        try:
            _, extent = read_whole(segment, kind)
        except JournalError as error:
            yield True, str(error)
            continue
        counts[kind] += extent.records
        if extent.damaged_at >= 0:
            yield True, damage(segment, kind, extent)
        elif extent.torn:
            when = "by a process that was killed" if last else "before its successor began"
            yield (
                False,
                (
                    f"{segment.file(kind)}: an unfinished record at byte {extent.end}, left {when}; "
                    f"the {extent.records} before it are whole"
                ),
            )


@app.command()
def show(
    path: Where,
    kind: Annotated[str, typer.Option(help="journal (outputs) or inbox (inputs).")] = "journal",
    only: Annotated[str, typer.Option(help="One type of message, such as Fill.")] = "",
    last: Annotated[int, typer.Option(help="So many records of each actor; 0: all.")] = 20,
) -> None:
    """Print an actor's records, oldest first: place, time, message."""
    if kind not in KINDS:
        sys.stderr.write(f"orchestrator: --kind {kind}: journal or inbox is expected\n")
        raise typer.Exit(2)
    for folder in _actors(path):
        lines: list[str] = []
        for segment in segments(folder, kind):
            records, extent = read_whole(segment, "inbox" if kind == "inbox" else "journal")
            for number, record in enumerate(records):
                message = decode(record.data)
                if only in {"", type(message).__name__}:
                    place = f"{folder.name} {segment.epoch}-{segment.part} {number}"
                    lines.append(f"{place} {_time(record.now_ns)} {message}\n")
            if extent.damaged_at >= 0:
                lines.append(f"DAMAGED: {segment.file(kind)} at byte {extent.damaged_at}\n")
            if last:
                del lines[:-last]
        sys.stdout.write("".join(lines))


def _time(now_ns: int) -> str:
    seconds, rest = divmod(now_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
