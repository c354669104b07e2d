"""The doorbell: no ring is lost between parking and sleeping, however writer and reader race."""

import mmap
import os
import select
import signal
import struct
import time

from ext.bell import BELL_BYTES, Bell

ROUNDS = 20_000
WAIT_NS = 2_000_000_000


def _writer(memory: mmap.mmap) -> None:
    """Publish a number, ring, wait until the reader has taken it, as fast as both can."""
    bell = Bell(memory, 0)
    for number in range(1, ROUNDS + 1):
        struct.pack_into("<q", memory, BELL_BYTES, number)
        bell.ring()
        while struct.unpack_from("<q", memory, BELL_BYTES + 8)[0] != number:
            os.sched_yield()


def test_no_ring_is_lost_between_two_processes() -> None:
    """A reader that parks at any moment is woken for every message; a lost ring would time out."""
    memory = mmap.mmap(-1, 4096)
    child = os.fork()
    if child == 0:
        _writer(memory)
        os._exit(0)
    try:
        _read(memory)
        assert os.waitpid(child, 0)[1] == 0
    except BaseException:
        os.kill(child, signal.SIGKILL)  # it would spin for ever
        os.waitpid(child, 0)
        raise


def _read(memory: mmap.mmap) -> None:
    """Take every number in turn, asleep between two where the writer is slower."""
    bell = Bell(memory, 0)
    last = 0
    while last < ROUNDS:
        seen = bell.park()
        number = struct.unpack_from("<q", memory, BELL_BYTES)[0]
        if number == last:
            rung = bell.wait(seen, WAIT_NS)
            number = struct.unpack_from("<q", memory, BELL_BYTES)[0]
            # A writer that got no processor for so long has published nothing: that is no lost ring.
            assert rung or number == last, f"slept through message {number}"
        else:
            bell.unpark()
        last = number
        struct.pack_into("<q", memory, BELL_BYTES + 8, last)


def test_rings_a_pipe_for_a_reader_with_an_event_loop() -> None:
    """A parked reader with a pipe finds it readable; an awake one is not disturbed."""
    memory = mmap.mmap(-1, 4096)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    reader, writer = Bell(memory, 0), Bell(memory, 0, writing)
    assert writer.ring() is False
    assert select.select([reading], [], [], 0)[0] == []
    reader.park()
    assert writer.ring() is True
    assert writer.ring() is False, "the second ring finds it unparked"
    assert select.select([reading], [], [], 1)[0] == [reading]


def test_wait_ends_at_its_timeout() -> None:
    """Nobody rings: the wait says so, and not before its time."""
    bell = Bell(mmap.mmap(-1, 4096), 0)
    began = time.monotonic()
    assert bell.wait(bell.park(), 20_000_000) is False
    assert time.monotonic() - began >= 0.02
    assert not bell.parked


def test_spin_sees_a_ring_without_sleeping() -> None:
    """A ring between park and wait is seen at once."""
    bell = Bell(mmap.mmap(-1, 4096), 0)
    seen = bell.park()
    assert bell.ring()
    assert bell.wait(seen, 10**12, spin_ns=1000) is True
