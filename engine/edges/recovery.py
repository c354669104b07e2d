"""How an actor comes back: its last snapshot, every input since, and a comparison with its journal.

Components are pure, so running the recorded inputs again gives the state and all outputs exactly.
What the journal lacks at its end was decided but never left: it is appended before anything else
happens. What the journal has and the run does not give is corruption, and stops the actor.
"""

from pathlib import Path
from typing import NamedTuple

from engine.edges.journal import (
    JournalError,
    Pending,
    Record,
    SegmentPath,
    read_inbox,
    read_journal,
    read_snapshot,
    segments,
)
from engine.edges.segment import complete_journal
from engine.messages import AnyMessage, decode, encode
from engine.routes import CONFLATED, DURABLE, EFFECTS
from engine.runtime import Host


class Recovered(NamedTuple):
    """What an actor needs to go on: see `SegmentStart`; `inputs` says how many were run again."""

    epoch: int
    high: dict[int, int]
    pending: list[Pending]
    shell_sequence: int
    inputs: int
    completed: int


class Rerun(NamedTuple):
    """A segment run again: every output in order with its time, and what the inputs advanced."""

    outputs: list[tuple[AnyMessage, int]]
    high: dict[int, int]
    shell_sequence: int
    inputs: int


def rerun(host: Host, path: SegmentPath) -> Rerun:
    """Put the host at a segment's begin and run its inputs; raises JournalError on a bad snapshot."""
    start = read_snapshot(path)
    host.restore(start.host)
    high = dict(start.high)
    shell_sequence = start.shell_sequence
    outputs: list[tuple[AnyMessage, int]] = []
    inputs = 0
    for now_ns, data in read_inbox(path):
        message = decode(data)
        if message.sender == 0:
            shell_sequence = max(shell_sequence, message.sequence)
        elif type(message) not in CONFLATED:
            high[message.sender] = max(high.get(message.sender, 0), message.sequence)
        outputs.extend((output, now_ns) for output in host.cascade(message, now_ns))
        inputs += 1
    return Rerun(outputs, high, shell_sequence, inputs)


def compare(path: SegmentPath, outputs: list[tuple[AnyMessage, int]]) -> list[Record]:
    """The durable outputs that the segment's journal lacks at its end.

    Raises JournalError at the first record that differs from what the inputs give.
    """
    expected = [Record(at, encode(output)) for output, at in outputs if type(output) in DURABLE]
    written = list(read_journal(path))
    for number, record in enumerate(written):
        if number >= len(expected):
            raise JournalError(
                f"{path.file('journal')}: record {number} of {len(written)} is "
                f"{decode(record.data)}, but the inputs end before it: the machine went down with "
                "inputs that the disk did not have yet (engine.fsync = 'always' prevents it). "
                "Nothing was changed. Begin a fresh run: what is open and held is then taken from "
                "the venues"
            )
        if expected[number] != record:
            given = decode(expected[number].data)
            raise JournalError(
                f"{path.file('journal')}: record {number} is {decode(record.data)}, "
                f"but the inputs give {given}"
            )
    return expected[len(written) :]


def recover(folder: Path, host: Host) -> Recovered | None:
    """Bring a host back to where its predecessor was; None when there was none.

    Raises JournalError when snapshot, inputs and journal do not agree.
    """
    known = segments(folder)
    if not known:
        return None
    path = known[-1]
    pending = read_snapshot(path).pending
    run = rerun(host, path)
    missing = compare(path, run.outputs)
    complete_journal(path, missing)
    for output, _ in run.outputs:
        if type(output) in CONFLATED or type(output) in EFFECTS:
            continue
        data = encode(output)
        pending.extend(
            Pending(target.actor, output.sender, output.sequence, data)
            for target in host.route(output).targets
        )
    return Recovered(path.epoch, run.high, pending, run.shell_sequence, run.inputs, len(missing))
