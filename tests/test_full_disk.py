"""A disk that is really full: a small file system in memory, filled to its last byte.

Nothing that raises exposure leaves, cancels leave, and everything is kept: the actor goes on in its
reserve and comes back from it. Room again is noticed, and the kill switch stays for the operator.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.edges.directory import ActorState, Counter, Directory, KillSwitchPage
from engine.edges.journal import JournalFull, read_inbox, read_journal, segments
from engine.edges.loop import ActorLoop
from engine.messages import (
    KillSwitch,
    OpportunityGone,
    OrderRequest,
    Reason,
    RequestRefused,
    Risk,
    RiskLevel,
    decode,
)
from tests.test_loop import Exchange, Probe, gone, make, request

SEGMENT = 65_536


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with two megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a file system can be mounted by root only")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def directory() -> Iterator[Directory]:
    """A run of one actor."""
    run = Directory(f"test-full-{os.getpid()}-{os.urandom(3).hex()}", ("probe",), create=True)
    yield run
    run.remove()


def fill(folder: Path) -> Path:
    """Take every block that is left."""
    path = folder / "rubbish"
    with path.open("wb", buffering=0) as file:
        for size in (65_536, 4096):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return path


def beat(loop: ActorLoop) -> None:
    """A heartbeat, now."""
    loop._next_beat_ns = 0
    loop.turn()


def on_a_full_disk(directory: Directory, folder: Path) -> tuple[ActorLoop, Probe, Exchange, Path]:
    """A loop whose reserve is gone and whose disk is full."""
    probe = Probe()
    loop = make(directory, folder, probe, segment_bytes=SEGMENT)
    exchange = loop.gate.gateway = Exchange(folder / "probe")
    rubbish = fill(folder)
    number = 0
    while not loop.journal.full:  # into the reserve, and then there is no other
        number += 1
        loop.take(gone(number), None)
        beat(loop)
    return loop, probe, exchange, rubbish


def test_only_cancels_leave_and_all_is_kept(directory: Directory, small: Path) -> None:
    """For many segments: the two that there are take turns."""
    loop, probe, exchange, _ = on_a_full_disk(directory, small)
    begun = len(probe.heard)
    assert loop.kill_switch.on
    assert loop.page.get(Counter.JOURNAL_FULL) == 1
    loop.kill_switch.turn(False)  # even where the operator says otherwise
    parts = loop.journal.part
    for number in range(begun + 1, begun + 4000):
        opens = number % 2 == 0
        probe.answer = (request(f"o-{number}", raises=opens),)
        loop.take(gone(number), None)
        loop.turn()
    assert loop.page.state == ActorState.RUNNING or loop.error == ""
    assert loop.journal.part > parts + 3, "several segments were written meanwhile"
    sent = [message for message in exchange.sent if isinstance(message, OrderRequest)]
    assert len(sent) >= 1999
    assert not any(message.raises_exposure for message in sent)
    last = segments(small / "probe")[-1]
    inputs = [decode(record.data) for record in read_inbox(last)]
    reasons = {message.reason for message in inputs if isinstance(message, RequestRefused)}
    assert reasons == {Reason.JOURNAL_FULL}
    kept = [decode(record.data) for record in read_journal(last)]
    assert isinstance(kept[-1], OrderRequest), "what left stands in the reserve"


def test_a_successor_comes_back_on_the_full_disk(directory: Directory, small: Path) -> None:
    """Killed there and started again there: nothing is missing, and it still does not open."""
    loop, probe, _, _ = on_a_full_disk(directory, small)
    for number in range(5000, 6000):
        loop.take(gone(number), None)
    said = probe.sequence
    loop.close()
    successor = Probe()
    again = make(directory, small, successor, segment_bytes=SEGMENT)
    assert successor.sequence == said
    assert again.journal.full
    assert again.kill_switch.on
    again.close()


def test_room_is_noticed_and_the_switch_stays(directory: Directory, small: Path) -> None:
    """The reserve is made again; whether to trade again is the operator's word."""
    loop, probe, exchange, rubbish = on_a_full_disk(directory, small)
    rubbish.unlink()
    beat(loop)
    assert not loop.journal.full
    assert loop.page.get(Counter.JOURNAL_FULL) == 0
    assert loop.kill_switch.on
    assert any(isinstance(m, KillSwitch) and m.on for m in probe.heard)
    probe.answer = (request("held"),)
    loop.take(gone(10_000), None)
    loop.kill_switch.turn(False)
    probe.answer = (request("sent"),)
    loop.take(gone(10_001), None)
    names = [m.client_order_id for m in exchange.sent if isinstance(m, OrderRequest)]
    assert names == ["sent"]


def test_a_step_that_even_the_reserve_cannot_hold_stops_the_actor(
    directory: Directory, small: Path
) -> None:
    """Nothing of it leaves, the kill switch is on, and it says why where it can."""
    loop, probe, exchange, _ = on_a_full_disk(directory, small)
    many = tuple(RiskLevel(1, number, 0, Risk.NORMAL, Reason.NONE) for number in range(1, 5000))
    probe.answer = (*many, request(raises=False))
    loop.inject(gone(20_000))
    assert loop.page.state == ActorState.FAILED
    assert "JournalFull" in loop.error
    assert exchange.sent == []
    assert loop.kill_switch.on


def test_a_start_on_a_full_disk_says_what_to_do(directory: Directory, small: Path) -> None:
    """Before anything is opened."""
    KillSwitchPage(small / "kill-switch", create=True)
    fill(small)
    with pytest.raises(JournalFull, match="Free some disk space"):
        make(directory, small, Probe(), segment_bytes=SEGMENT)


def test_a_message_for_nobody_is_kept_too(directory: Directory, small: Path) -> None:
    """The inbox is whole on the full disk: all that came is read again."""
    loop, _, _, _ = on_a_full_disk(directory, small)
    loop.take(gone(9), None)
    last = segments(small / "probe")[-1]
    heard = [decode(record.data) for record in read_inbox(last)]
    assert [m for m in heard if isinstance(m, OpportunityGone)][-1] == gone(9)
