"""The actor's loop: the step's order, the gate, and what happens when something breaks."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.component import NOTHING, Component, Outputs
from engine.edges.directory import (
    ActorState,
    Counter,
    Directory,
    KillSwitchPage,
    create_page,
)
from engine.edges.journal import JournalError, JournalLocked, read_inbox, read_journal, segments
from engine.edges.loop import ActorLoop
from engine.engine_config import EngineConfig
from engine.instruments import Instruments
from engine.messages import (
    AnyMessage,
    Drain,
    Frame,
    KillSwitch,
    OpportunityGone,
    OrderRequest,
    Reason,
    RequestRefused,
    Risk,
    RiskLevel,
    SetTimer,
    Started,
    TimerFired,
    decode,
    encode,
)
from engine.routes import Topology


class Probe(Component):
    """Remembers what it heard; answers an event with a durable message, or as told."""

    kind = "view"

    def __init__(self) -> None:
        super().__init__(1, Instruments([], []))
        self.heard: list[AnyMessage] = []
        self.answer: Outputs = NOTHING
        self.raises = False

    def on_message(self, message: AnyMessage, now_ns: int) -> Outputs:
        """See above."""
        if self.raises and isinstance(message, OpportunityGone):
            raise ZeroDivisionError("a defect")
        self.heard.append(message)
        if isinstance(message, OpportunityGone) and not self.answer:
            return (RiskLevel(1, self.next_sequence(), 0, Risk.NORMAL, Reason.NONE),)
        return self.answer if isinstance(message, OpportunityGone) else NOTHING

    def snapshot(self) -> bytes:
        """Its count."""
        return str(self.sequence).encode()

    def restore(self, data: bytes) -> None:
        """Its count."""
        self.sequence = int(data)


class Exchange:
    """A gateway that keeps what it was given and looks at the journal when it is."""

    def __init__(self, folder: Path) -> None:
        self.sent: list[AnyMessage] = []
        self.journalled: list[int] = []
        self._folder = folder

    def perform(self, effect: AnyMessage) -> Reason:
        """Sent."""
        path = segments(self._folder)[-1]
        self.journalled.append(len(list(read_journal(path))))
        self.sent.append(effect)
        return Reason.NONE


@pytest.fixture
def directory() -> Iterator[Directory]:
    """A run of one actor."""
    run = Directory(f"test-loop-{os.getpid()}-{os.urandom(3).hex()}", ("probe",), create=True)
    yield run
    run.remove()


def make(directory: Directory, folder: Path, probe: Probe, **settings: int | str) -> ActorLoop:
    """A loop around a probe, restored and open."""
    epoch = directory.claim("probe")
    page, _ = create_page(directory.run, "probe", epoch)
    topology = Topology(("probe", "venue"), ("view", "venue"), ("probe", "elsewhere"))
    loop = ActorLoop(
        [probe],
        topology,
        directory,
        folder / "probe",
        EngineConfig(**settings),  # type: ignore[arg-type]
        epoch,
        page,
        KillSwitchPage(folder / "kill-switch", create=True),
        None,
    )
    loop.restore()
    loop.turn()
    return loop


def gone(number: int) -> OpportunityGone:
    """An event of sender 9."""
    return OpportunityGone(9, number, 0, number, 0)


def request(name: str = "o", raises: bool = True, expires_ns: int = 1 << 62) -> OrderRequest:
    """An order's request."""
    return OrderRequest(1, 1, 0, 0, 0, name, raises, expires_ns, b"order")


def test_an_epoch_begins_with_started_and_the_kill_switch(
    directory: Directory, tmp_path: Path
) -> None:
    """Both are in the inbox like anything else."""
    probe = Probe()
    make(directory, tmp_path, probe)
    assert [type(message) for message in probe.heard] == [Started, KillSwitch]
    kept = [decode(r.data) for r in read_inbox(segments(tmp_path / "probe")[0])]
    assert kept == probe.heard


def test_a_message_larger_than_a_segment_gets_one_of_its_size(
    directory: Directory, tmp_path: Path
) -> None:
    """A whole book in one frame is no reason to stop; the next messages go on as before."""
    probe = Probe()
    loop = make(directory, tmp_path, probe, segment_bytes=65_536)
    large = Frame(0, 7, 1, 0, 0, 0, bytes(1_000_000))
    for message in (gone(1), large, gone(2)):
        loop.take(message, None)
    heard = [message for message in probe.heard[2:] if message.sender != probe.sender]
    assert heard == [gone(1), gone(2)], "a frame is for venues"
    kept = [decode(r.data) for path in segments(tmp_path / "probe") for r in read_inbox(path)]
    assert [message for message in kept[2:] if message.sender != probe.sender] == [
        gone(1),
        large,
        gone(2),
    ]


def test_an_order_is_in_the_journal_before_it_leaves(directory: Directory, tmp_path: Path) -> None:
    """Intent before effect: at the moment of sending, the record stands."""
    probe = Probe()
    loop = make(directory, tmp_path, probe)
    exchange = loop.gate.gateway = Exchange(tmp_path / "probe")
    probe.answer = (request(),)
    loop.take(gone(1), None)
    assert len(exchange.sent) == 1
    assert exchange.journalled == [1]


@pytest.mark.parametrize("case", ["killed", "expired", "stale epoch", "no gateway"])
def test_the_gate_holds_what_must_not_leave(
    directory: Directory, tmp_path: Path, case: str
) -> None:
    """Nothing is sent, and the component hears the reason."""
    probe = Probe()
    loop = make(directory, tmp_path, probe)
    exchange = loop.gate.gateway = Exchange(tmp_path / "probe")
    probe.answer = (request(expires_ns=0 if case == "expired" else 1 << 62),)
    if case == "killed":
        loop.kill_switch.turn(True)
    elif case == "stale epoch":
        directory.enter("probe", directory.claim("probe"), 1)
    elif case == "no gateway":
        loop.gate.gateway = None
    loop.take(gone(1), None)
    loop.turn()
    assert exchange.sent == []
    refused = [m for m in probe.heard if isinstance(m, RequestRefused)]
    assert refused == []  # a view is no venue; the message is recorded for the venue it names
    kept = [decode(r.data) for r in read_inbox(segments(tmp_path / "probe")[0])]
    reasons = [m.reason for m in kept if isinstance(m, RequestRefused)]
    wanted = {
        "killed": Reason.KILLED,
        "expired": Reason.EXPIRED,
        "stale epoch": Reason.STALE_EPOCH,
        "no gateway": Reason.NOT_CONNECTED,
    }
    assert reasons == [wanted[case]]
    assert loop.page.get(Counter.ORDERS_HELD) == 1


@pytest.mark.parametrize("fsync", ["always", "interval", "os"])
def test_what_leaves_was_given_to_the_disk(
    directory: Directory, tmp_path: Path, fsync: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `always` both files before the order leaves; with the others without waiting for it."""
    probe = Probe()
    loop = make(directory, tmp_path, probe, fsync=fsync, fsync_interval_ms=60_000)
    exchange = loop.gate.gateway = Exchange(tmp_path / "probe")
    synced: list[int] = []

    def sync(descriptor: int) -> None:
        assert not exchange.sent
        synced.append(descriptor)

    assert loop.journal.segment is not None
    files = set(loop.journal.segment.descriptors)
    monkeypatch.setattr(os, "fdatasync", sync)
    probe.answer = (request(),)
    loop.inject(gone(1))
    assert len(exchange.sent) == 1
    assert exchange.journalled == [1]
    assert set(synced) == (files if fsync == "always" else set())
    monkeypatch.undo()
    loop.close()


def test_a_batch_waits_for_the_disk_once(
    directory: Directory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All mail of a turn is kept, then the disk is waited for, then all leaves in order."""
    probe = Probe()
    loop = make(directory, tmp_path, probe, fsync="always")
    exchange = loop.gate.gateway = Exchange(tmp_path / "probe")
    waits: list[int] = []
    monkeypatch.setattr(os, "fdatasync", waits.append)
    answers = [(request(f"o-{number}"),) for number in range(5)]
    monkeypatch.setattr(
        probe, "on_message", lambda message, now_ns: answers.pop(0) if answers else ()
    )
    loop._take_mail([encode(gone(number)) for number in range(1, 6)])
    names = [m.client_order_id for m in exchange.sent if isinstance(m, OrderRequest)]
    assert names == [f"o-{number}" for number in range(5)]
    assert len(waits) == 2, "inbox and journal, once"


@pytest.mark.parametrize("fsync", ["always", "interval"])
def test_a_disk_that_does_not_take_it_stops_the_actor(
    directory: Directory, tmp_path: Path, fsync: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the disk refuses to keep is not kept: nothing leaves on the strength of it."""
    probe = Probe()
    loop = make(directory, tmp_path, probe, fsync=fsync, fsync_interval_ms=60_000)
    exchange = loop.gate.gateway = Exchange(tmp_path / "probe")

    def refuse(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", refuse)
    if fsync == "interval":
        loop.journal._sync_once()
        with pytest.raises(JournalError, match="Input/output error"):
            loop._beat(loop.directory.now_ns())
        return
    probe.answer = (request(),)
    loop.inject(gone(1))
    assert exchange.sent == []
    assert loop.page.state == ActorState.FAILED
    assert loop.kill_switch.on


def test_one_process_writes_a_folder(directory: Directory, tmp_path: Path) -> None:
    """A second one is told who does; when the first is gone it may."""
    loop = make(directory, tmp_path, Probe())
    with pytest.raises(JournalLocked, match=rf"probe/lock: held by process {os.getpid()} \(probe"):
        make(directory, tmp_path, Probe())
    loop.close()
    make(directory, tmp_path, Probe())


def test_cancels_pass_the_kill_switch(directory: Directory, tmp_path: Path) -> None:
    """What lowers exposure is let out."""
    probe = Probe()
    loop = make(directory, tmp_path, probe)
    exchange = loop.gate.gateway = Exchange(tmp_path / "probe")
    loop.kill_switch.turn(True)
    probe.answer = (request(raises=False, expires_ns=0),)
    loop.take(gone(1), None)
    assert len(exchange.sent) == 1


def test_a_component_that_raises_stops_the_actor_and_all_trading(
    directory: Directory, tmp_path: Path
) -> None:
    """FAILED, kill switch ON, a file that says why; what led to it is in the inbox."""
    probe = Probe()
    loop = make(directory, tmp_path, probe)
    probe.raises = True
    loop.inject(gone(1))
    assert loop.page.state == ActorState.FAILED
    assert loop.kill_switch.on
    assert "ZeroDivisionError" in (tmp_path / "probe" / "failure.txt").read_text()
    kept = [decode(r.data) for r in read_inbox(segments(tmp_path / "probe")[0])]
    assert kept[-1] == gone(1)


def test_a_successor_goes_on_where_it_was(directory: Directory, tmp_path: Path) -> None:
    """Snapshot and inputs give the count back; over many segments too."""
    probe = Probe()
    loop = make(directory, tmp_path, probe, segment_bytes=65_536, segments_kept=3)
    for number in range(1, 5000):
        loop.take(gone(number), None)
    for _ in range(2):  # the reserve is made, and then what is old goes
        loop._next_beat_ns = 0
        loop.turn()
    loop.close()
    assert len(segments(tmp_path / "probe")) == 3, "old segments went"
    successor = Probe()
    make(directory, tmp_path, successor, segment_bytes=65_536)
    assert successor.sequence == probe.sequence == 4999


def test_a_record_that_its_inputs_do_not_give_is_corruption(
    directory: Directory, tmp_path: Path
) -> None:
    """The journal is compared with what the inputs give; the first difference is named."""
    probe = Probe()
    loop = make(directory, tmp_path, probe)
    loop.take(gone(1), None)
    loop.door.append([b"\x95\xa7Started\x00\x01\x00\x07"], 1)
    loop.close()
    with pytest.raises(JournalError, match="record 1 of 2 is Started"):
        make(directory, tmp_path, Probe())


def test_a_record_that_its_inputs_give_otherwise_is_corruption(
    directory: Directory, tmp_path: Path
) -> None:
    """The same, of a record that others follow."""
    loop = make(directory, tmp_path, Probe())
    loop.door.append([b"\x95\xa7Started\x00\x01\x00\x07"], 1)
    loop.take(gone(1), None)
    loop.close()
    with pytest.raises(JournalError, match=r"record 0 is Started.*the inputs give RiskLevel"):
        make(directory, tmp_path, Probe())


def test_what_was_decided_but_not_journalled_is_completed(
    directory: Directory, tmp_path: Path
) -> None:
    """Killed between the input and the journal: the record is written before anything else."""
    probe = Probe()
    loop = make(directory, tmp_path, probe)
    loop.take(gone(1), None)
    loop.close()
    path = segments(tmp_path / "probe")[0]
    with path.file("journal").open("r+b") as file:
        file.truncate(40)  # in the middle of the only record
    make(directory, tmp_path, Probe())
    (record,) = read_journal(path)
    assert decode(record.data) == RiskLevel(1, 1, 0, Risk.NORMAL, Reason.NONE)


def test_timers_fire_once_and_the_last_set_counts(directory: Directory, tmp_path: Path) -> None:
    """A timer set again replaces the first."""
    probe = Probe()
    loop = make(directory, tmp_path, probe)
    now_ns = directory.now_ns()
    loop.door.perform(SetTimer(1, 1, 0, 5, now_ns - 2))
    loop.door.perform(SetTimer(1, 2, 0, 5, now_ns - 1))
    loop.turn()
    loop.turn()
    assert [m.key for m in probe.heard if isinstance(m, TimerFired)] == [5]


def test_kill_switch_and_drain_reach_the_component(directory: Directory, tmp_path: Path) -> None:
    """Within a heartbeat, as messages in the inbox."""
    probe = Probe()
    loop = make(directory, tmp_path, probe, heartbeat_ms=20)
    loop.kill_switch.turn(True)
    loop.draining = True
    loop._next_beat_ns = 0
    loop.turn()
    assert [m.on for m in probe.heard if isinstance(m, KillSwitch)] == [False, True]
    assert any(isinstance(m, Drain) for m in probe.heard)
    loop.kill_switch.path.unlink()
    loop._next_beat_ns = 0
    loop.turn()
    assert loop.kill_switch.on, "a missing page means ON"
