"""Runs what an actor recorded again, epoch by epoch, and compares everything it is known to have said.

Two witnesses: the actor's own journal (every durable output, in order), and the inboxes of the
others (every message of it that arrived, market data included). Snapshots in the middle of a run
are compared too: the state that one segment ends with is the state that the next begins with.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from engine.assembly import SOLO_ACTOR, build, solo_topology, topology_of
from engine.config import Config, instruments_of
from engine.edges.journal import (
    JournalError,
    SegmentPath,
    read_inbox,
    read_snapshot,
    segments,
)
from engine.edges.recovery import compare, rerun
from engine.messages import AnyMessage, decode, encode
from engine.routes import EFFECTS, Topology
from engine.runtime import Host, Target


class ActorVerdict(NamedTuple):
    """What was run again of one actor, and what differed."""

    actor: str
    epochs: int
    inputs: int
    outputs: int
    witnessed: int
    differences: tuple[str, ...]


class _Nothing:
    """A host that is run again lets nothing out and keeps nothing."""

    def record(self, raw: bytes, now_ns: int) -> None:
        raise AssertionError("a rerun records nothing")

    def append(self, records: list[bytes], now_ns: int) -> None:
        raise AssertionError("a rerun journals nothing")

    def publish(self, message: AnyMessage, encoded: bytes, targets: tuple[Target, ...]) -> None:
        raise AssertionError("a rerun publishes nothing")

    def perform(self, effect: AnyMessage) -> None:
        raise AssertionError("a rerun performs nothing")


def host_of(config: Config, topology: Topology, actor: str) -> Host:
    """A fresh host of an actor's components, for running its segments again."""
    nothing = _Nothing()
    components = build(config, topology, instruments_of(config), actor)
    return Host(components, topology, nothing, nothing)


def verify_run(config: Config, folder: Path) -> list[ActorVerdict]:
    """Run every actor of a run's folder again; raises JournalError on unreadable segments."""
    solo = (folder / SOLO_ACTOR).exists()
    topology = solo_topology(config) if solo else topology_of(config)
    said: dict[str, dict[tuple[int, int], bytes]] = {}
    verdicts = {}
    for actor in topology.actors:
        verdicts[actor], said[actor] = _verify_actor(config, topology, folder, actor)
    for listener in topology.actors:
        for path in segments(folder / listener):
            for record in read_inbox(path):
                message = decode(record.data)
                if message.sender:
                    speaker = topology.actor(message.sender)
                    verdicts[speaker] = _witness(verdicts[speaker], said, message, record.data)
    return list(verdicts.values())


def _witness(
    verdict: ActorVerdict,
    said: dict[str, dict[tuple[int, int], bytes]],
    message: AnyMessage,
    data: bytes,
) -> ActorVerdict:
    """One message that arrived somewhere: its sender run again must say exactly this."""
    again = said[verdict.actor].get((message.sender, message.sequence))
    if again == data:
        return verdict._replace(witnessed=verdict.witnessed + 1)
    given = "nothing" if again is None else str(decode(again))
    difference = f"arrived {message}, run again gives {given}"
    return verdict._replace(differences=(*verdict.differences, difference)[:20])


def _verify_actor(
    config: Config, topology: Topology, folder: Path, actor: str
) -> tuple[ActorVerdict, dict[tuple[int, int], bytes]]:
    said: dict[tuple[int, int], bytes] = {}
    differences: list[str] = []
    inputs = outputs = 0
    paths = segments(folder / actor)
    for number, path in enumerate(paths):
        host = host_of(config, topology, actor)
        try:
            run = rerun(host, path)
            compare(path, run.outputs)
        except (JournalError, ValueError) as error:
            differences.append(str(error))
            continue
        inputs += run.inputs
        outputs += len(run.outputs)
        for output, _ in run.outputs:
            if type(output) not in EFFECTS:
                said[output.sender, output.sequence] = encode(output)
        differences += _joins(host, paths[number + 1 : number + 2])
    epochs = len({path.epoch for path in paths})
    return ActorVerdict(actor, epochs, inputs, outputs, 0, tuple(differences)), said


def _joins(host: Host, following: Iterable[SegmentPath]) -> list[str]:
    """The next segment must begin with the state that this one ends with."""
    return [
        f"{path.file('snapshot')} is not the state its predecessor ends with"
        for path in following
        if read_snapshot(path).host != host.snapshot()
    ]
