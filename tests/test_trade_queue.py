"""Trades between actors: every one in order, a bounded number waiting, the loss told."""

import os
from itertools import islice

import pytest

from engine.edges.trades import TradeQueue
from engine.messages import Trade, TradesShed, decode, encode


def trade(sequence: int, instrument: int = 0) -> Trade:
    """The `sequence`th trade of a sender."""
    return Trade(1, sequence, 7, instrument, 1, 100, 1, str(sequence))


def put(queue: TradeQueue, *trades: Trade) -> list[bool]:
    """Whether each fitted."""
    return [queue.put(one, encode(one)) for one in trades]


def test_the_oldest_go_and_are_told_first() -> None:
    """Five trades in a queue of two: three are shed, counted by instrument."""
    queue = TradeQueue(2)
    fitted = put(queue, trade(1), trade(2, 5), trade(3), trade(4), trade(5))
    assert fitted == [True, True, False, False, False]
    assert (queue.shed, len(queue)) == (3, 4)
    assert [decode(data) for data in queue.waiting()] == [
        TradesShed(1, 3, 7, 0, 2),
        TradesShed(1, 2, 7, 5, 1),
        trade(4),
        trade(5),
    ]


def test_what_was_sent_is_dropped_from_the_front() -> None:
    """However many messages a sample takes, the next one goes on behind them."""
    queue = TradeQueue(3)
    put(queue, *(trade(i, i % 2) for i in range(1, 7)))
    whole, sent = list(queue.waiting()), []
    for count in (1, 2, 1, 1):
        sent += list(islice(queue.waiting(), count))
        queue.drop(count)
    assert sent == whole
    assert not queue


def test_a_slow_reader_hears_every_trade_or_how_many_it_missed() -> None:
    """Over the real bus: what comes and what is told to be shed is all that was sent, in order."""
    pytest.importorskip("iceoryx2", reason="the cluster extra is not installed")
    from engine.edges.directory import Counter, Directory
    from engine.runtime import Target
    from tests.test_bus import join, receive

    directory = Directory(f"test-{os.getpid()}-{os.urandom(3).hex()}", ("sender", "reader"), True)
    try:
        sender, reader = join(directory, "sender"), join(directory, "reader")
        targets = (Target("reader", True, True, True),)
        count = 10_000
        for number in range(1, count + 1):
            one = trade(number)
            sender.publish(one, encode(one), targets)
            sender.flush()
        heard: list[int] = []
        lost = 0
        for _ in range(200):
            for message in receive(reader):
                if isinstance(message, TradesShed):
                    lost += message.count
                else:
                    heard.append(message.sequence)
            if not sender.flush() and heard and heard[-1] == count:
                break
        assert heard == sorted(heard)
        assert lost == sender.page.get(Counter.CONFLATED) > 0
        assert len(heard) + lost == count
    finally:
        directory.remove()
