"""The shared-memory bus between real processes' pages: its two delivery promises."""

import os
from collections.abc import Iterator

import pytest

pytest.importorskip("iceoryx2", reason="the cluster extra is not installed")

from engine.edges.bus import SharedMemoryBus
from engine.edges.directory import Counter, Directory, create_page
from engine.edges.journal import Pending
from engine.messages import (
    AnyMessage,
    BookState,
    BookTop,
    MessageError,
    OpportunityGone,
    decode,
    encode,
)
from engine.runtime import OutboxFull, Target

MARKET = (Target("reader", True, True),)
EVENT = (Target("reader", True, False),)


@pytest.fixture
def directory() -> Iterator[Directory]:
    """A run's directory, removed with all its shared memory."""
    run = Directory(f"test-{os.getpid()}-{os.urandom(3).hex()}", ("sender", "reader"), create=True)
    yield run
    run.remove()


def join(directory: Directory, actor: str, outbox_max: int = 1000) -> SharedMemoryBus:
    """An actor's next epoch on the bus."""
    epoch = directory.claim(actor)
    page, memory = create_page(directory.run, actor, epoch)
    bus = SharedMemoryBus(directory, actor, epoch, page, memory, outbox_max)
    directory.enter(actor, epoch, os.getpid())
    return bus


def top(instrument: int, sequence: int) -> BookTop:
    """The `sequence`th top of an instrument."""
    return BookTop(1, sequence, 1, instrument, BookState.LIVE, sequence, 1, sequence + 1, 1)


def gone(sequence: int) -> OpportunityGone:
    """The `sequence`th event of sender 1."""
    return OpportunityGone(1, sequence, 1, sequence, 0)


def send(bus: SharedMemoryBus, message: AnyMessage, targets: tuple[Target, ...]) -> None:
    """Publish and flush at once."""
    bus.publish(message, encode(message), targets)
    bus.flush()


def receive(bus: SharedMemoryBus) -> list[AnyMessage]:
    """Everything that waits, decoded."""
    return [decode(raw) for raw in bus.drain(10_000)]


def test_after_any_overload_every_symbol_ends_with_its_last_top(directory: Directory) -> None:
    """Thousands of tops of 50 symbols while the reader is away: it ends with the final one each.

    Symbol 0 is quiet from the start on: a busy neighbour must not push its only value out.
    """
    sender, reader = join(directory, "sender"), join(directory, "reader")
    send(sender, top(0, 1), MARKET)
    for sequence in range(2, 5000):
        send(sender, top(1 + sequence % 49, sequence), MARKET)
    last: dict[int, int] = {}
    for _ in range(1000):
        found = receive(reader)
        for message in found:
            assert isinstance(message, BookTop)
            assert message.sequence >= last.get(message.instrument, 0), "an older value came later"
            last[message.instrument] = message.sequence
        if not sender.flush() and not found:
            break
    final = {0: 1} | {1 + sequence % 49: sequence for sequence in range(2, 5000)}
    assert last == final
    assert sender.page.get(Counter.CONFLATED) > 0


def test_events_wait_for_a_slow_reader_and_arrive_once_in_order(directory: Directory) -> None:
    """More events than the queue holds: the sender keeps the rest and never blocks."""
    sender, reader = join(directory, "sender"), join(directory, "reader")
    for sequence in range(1, 801):
        send(sender, gone(sequence), EVENT)
    found: list[int] = []
    while len(found) < 800:
        found += [message.sequence for message in receive(reader)]
        reader.page.acknowledge(1, found[-1])
        sender.flush()
    assert found == list(range(1, 801))
    assert sender.pending() == []


def test_a_successor_gets_all_that_was_not_acknowledged(directory: Directory) -> None:
    """The reader dies with 3 of 10 processed: its next epoch is sent the other 7, in order."""
    sender, reader = join(directory, "sender"), join(directory, "reader")
    send(sender, top(4, 1), MARKET)
    for sequence in range(1, 11):
        send(sender, gone(sequence), EVENT)
    assert len(receive(reader)) == 11
    reader.page.acknowledge(1, 3)
    sender.pending()
    successor = join(directory, "reader")
    sender.look_around()
    sender.flush()
    found = receive(successor)
    assert [m.sequence for m in found if isinstance(m, OpportunityGone)] == list(range(4, 11))
    assert [m.sequence for m in found if isinstance(m, BookTop)] == [1], "the last value, anew"
    assert sender.page.get(Counter.RESENT) == 7


def test_a_dead_reader_fills_its_own_outbox_only(directory: Directory) -> None:
    """A reader that never acknowledges raises OutboxFull at the limit that the config names."""
    sender, _ = join(directory, "sender", outbox_max=64), join(directory, "reader")
    for sequence in range(1, 65):
        send(sender, gone(sequence), EVENT)
    with pytest.raises(OutboxFull, match=r"engine\.outbox_max"):
        sender.publish(gone(65), b"x", EVENT)


def test_a_successor_inherits_more_than_its_outbox_takes(directory: Directory) -> None:
    """All events of a long segment are pending again; what the reader has of them is not sent."""
    reader = join(directory, "reader")
    reader.page.acknowledge(1, 990)
    successor = join(directory, "sender", outbox_max=8)
    datas = [encode(gone(sequence)) for sequence in range(1, 1001)]
    successor.restore([Pending("reader", 1, n, data) for n, data in enumerate(datas, 1)])
    successor.publish(gone(1001), encode(gone(1001)), EVENT)
    successor.flush()
    assert [message.sequence for message in receive(reader)] == list(range(991, 1002))
    for sequence in range(1002, 1009):
        send(successor, gone(sequence), EVENT)
    with pytest.raises(OutboxFull):
        send(successor, gone(1009), EVENT)
    reader.page.acknowledge(1, 1008)
    send(successor, gone(1009), EVENT)
    assert successor.pending()[0].sequence == 1009


def test_a_reader_that_is_not_there_yet_is_waited_for(directory: Directory) -> None:
    """What is said before the reader's first epoch reaches it when it comes."""
    sender = join(directory, "sender")
    send(sender, gone(1), EVENT)
    reader = join(directory, "reader")
    assert receive(reader) == []
    sender.look_around()
    sender.flush()
    assert [message.sequence for message in receive(reader)] == [1]


def test_a_malformed_sample_is_one_named_error() -> None:
    """Unknown and truncated bytes raise MessageError and nothing else."""
    for data in (b"", b"\x00", b"\x92\xa6Nobody\x01", encode(gone(1))[:-2], b"\xff" * 40):
        with pytest.raises(MessageError, match="not a message"):
            decode(data)
