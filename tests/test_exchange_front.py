"""The front of a venue: latency, order, faults; and the record of what went wrong."""

import pytest

from engine.exchange.faults import Faults
from engine.exchange.front import Answered, Front, Output
from engine.exchange.wires.wire import Call, Failure, Outgoing
from engine.fault_config import FaultConfig, FaultKind
from tests.echo import EchoExchange, EchoWire

MS = 1_000_000
SECOND = 1_000_000_000
BEGIN = 10**18


class Ways:
    """Constant ways, unless a list says what the next ones are."""

    def __init__(self, there: int = 2 * MS, back: int = 1 * MS, feed: int = 3 * MS) -> None:
        self.there, self.back, self.feed_ns = there, back, feed
        self.next_there: list[int] = []

    def way_there(self, now_ns: int) -> int:
        """See `engine.exchange.latency.LatencyModel`."""
        return self.next_there.pop(0) if self.next_there else self.there

    def way_back(self, now_ns: int) -> int:
        """See `engine.exchange.latency.LatencyModel`."""
        return self.back

    def feed(self, now_ns: int) -> int:
        """See `engine.exchange.latency.LatencyModel`."""
        return self.feed_ns


class Bench:
    """A front with an echo behind it, and one client."""

    def __init__(self, *plan: FaultConfig, streams: bool = False, every_ns: int = 0) -> None:
        self.ways = Ways()
        self.exchange = EchoExchange(every_ns, BEGIN)
        self.wire = EchoWire(self.exchange, streams)
        self.faults = Faults(7, "alpha", plan, BEGIN)
        self.front = Front(self.exchange, {"echo": self.wire}, self.ways, self.faults)
        self.now_ns = BEGIN
        self.front.connect(1, "echo", "/ws", "main", BEGIN)

    def until(self, ms: float) -> list[Output]:
        """What has come back by so many milliseconds after the begin."""
        self.now_ns = BEGIN + int(ms * MS)
        return self.front.advance(self.now_ns)

    def frames(self, ms: float) -> list[bytes | None]:
        """The same, payloads only."""
        return [output.payload for output in self.until(ms) if isinstance(output, Outgoing)]

    def say(self, payload: bytes, ms: float, connection: int = 1) -> None:
        """A client's frame sets out."""
        self.front.receive(connection, payload, BEGIN + int(ms * MS))

    def ask(self, number: int, ms: float, path: str = "/order", **headers: str) -> None:
        """A client's HTTP request sets out."""
        call = Call("POST", path, "a=1", headers, b"")
        self.front.call(number, "echo", call, BEGIN + int(ms * MS))

    def answers(self, ms: float) -> dict[int, object]:
        """Answers to HTTP requests by their numbers: the status, or None."""
        return {
            output.call: output.answer and output.answer.status
            for output in self.until(ms)
            if isinstance(output, Answered)
        }


def done(bench: Bench) -> list[str]:
    """What took effect."""
    return [what for what, _ in bench.exchange.done]


# --- the ways there and back ------------------------------------------------------------------------------


def test_a_request_takes_effect_after_the_way_there_and_answers_after_the_way_back() -> None:
    """2 ms there, 1 ms back for the answer and the account's news, 3 ms for what everybody hears."""
    bench = Bench(every_ns=10 * MS)
    assert bench.frames(1) == [b"hello /ws"]
    bench.say(b"a", 1)
    assert bench.frames(2.9) == []
    assert done(bench) == []
    assert bench.frames(3.9) == []
    assert bench.exchange.done == [("a", BEGIN + 3 * MS)]
    assert bench.frames(4) == [b"done a", b"order 1"]
    assert bench.frames(12.9) == []
    assert bench.frames(13) == [b"depth 1"]


def test_nothing_overtakes_on_one_connection_but_on_two_it_does() -> None:
    """The first request is under way for 9 ms; the one behind it waits, the other client's does not."""
    bench = Bench()
    bench.front.connect(2, "echo", "/ws", "other", BEGIN)
    bench.ways.next_there = [9 * MS, 1 * MS, 1 * MS]
    bench.say(b"slow", 1)
    bench.say(b"behind", 1)
    bench.say(b"free", 1, connection=2)
    bench.until(30)
    assert done(bench) == ["free", "slow", "behind"]


def test_a_late_answer_holds_back_what_follows_on_its_connection() -> None:
    """The stream's way is longer than the answer's: frames stay in the order they set out in."""
    bench = Bench()
    bench.say(b"a", 1)
    bench.say(b"b", 1.5)
    assert bench.frames(30) == [b"hello /ws", b"done a", b"order 1", b"done b", b"order 2"]


def test_what_was_sent_before_a_disconnect_still_arrives() -> None:
    """The order is done, and the wire forgets the client after it."""
    bench = Bench()
    bench.until(1)
    bench.say(b"a", 1)
    bench.front.disconnect(1, BEGIN + 1 * MS)
    bench.until(30)
    assert done(bench) == ["a"]
    assert bench.wire.connections == {}
    bench.say(b"b", 31)
    assert bench.until(60) == []


def test_a_market_moves_by_itself_and_each_moment_is_told_when_it_was() -> None:
    """Asked late, everything still happens at its own time, before what arrived after it."""
    bench = Bench(every_ns=10 * MS)
    bench.say(b"a", 23)
    assert bench.frames(32) == [b"hello /ws", b"depth 1", b"depth 2", b"done a", b"order 1"]
    assert bench.front.next_due_ns() == BEGIN + 33 * MS, "the third change is under way"


def test_a_wire_is_called_when_it_wants_to_be() -> None:
    """Heartbeats come without anything else."""
    exchange = EchoExchange()
    wire = EchoWire(exchange, beat_ns=BEGIN // 10**9)
    wire._next_ns = BEGIN + 5 * MS
    wire._beat_ns = 5 * MS
    front = Front(exchange, {"echo": wire}, Ways(), Faults(7, "alpha"))
    front.connect(1, "echo", "/ws", "main", BEGIN)
    assert front.next_due_ns() == BEGIN
    beats = [output for output in front.advance(BEGIN + 20 * MS) if output[1] == b"beat"]
    assert len(beats) == 3


def test_a_client_that_floods_is_closed() -> None:
    """More requests under way than any client needs."""
    bench = Bench()
    bench.until(1)
    for _ in range(5_000):
        bench.say(b"a", 1)
    assert Outgoing(1, None) in bench.until(2)


def test_something_done_at_the_exchange_is_heard_by_all() -> None:
    """An operator's act is published like a client's."""
    bench = Bench()
    bench.until(1)
    assert bench.front.do(lambda now_ns: bench.exchange.do("halt", now_ns), BEGIN + 2 * MS) is None
    assert bench.frames(5) == [b"order 1"]


# --- requests that go wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "status", "was_done"),
    [
        (FaultKind.TIMEOUT_DONE, None, True),
        (FaultKind.TIMEOUT_NOT_DONE, None, False),
        (FaultKind.ERROR_DONE, 400 + Failure.UNAVAILABLE, True),
        (FaultKind.ERROR_NOT_DONE, 400 + Failure.UNAVAILABLE, False),
        (FaultKind.OVERLOADED, 400 + Failure.OVERLOADED, False),
        (FaultKind.REJECTED, 400 + Failure.REJECTED, False),
        (FaultKind.RATE_LIMIT, 400 + Failure.RATE_LIMITED, False),
    ],
)
def test_a_fault_of_http_decides_effect_and_answer(
    kind: FaultKind, status: int | None, was_done: bool
) -> None:
    """The second request, after the fault has struck once, is as ever."""
    bench = Bench(FaultConfig(kind, count=1))
    bench.ask(1, 1)
    bench.ask(2, 5_000)
    assert bench.answers(4) == {1: status}
    assert done(bench) == ["/order"] * was_done
    assert bench.answers(5_003) == {2: 200}
    assert bench.faults.counts == {kind: 1}


@pytest.mark.parametrize(
    ("kind", "told", "was_done"),
    [
        (FaultKind.TIMEOUT_DONE, [b"order 1"], True),
        (FaultKind.TIMEOUT_NOT_DONE, [], False),
        (FaultKind.ERROR_DONE, [b"refused UNAVAILABLE", b"order 1"], True),
        (FaultKind.ERROR_NOT_DONE, [b"refused UNAVAILABLE"], False),
        (FaultKind.REJECTED, [b"refused REJECTED"], False),
    ],
)
def test_a_fault_of_a_frame_takes_its_answer_and_leaves_the_stream(
    kind: FaultKind, told: list[bytes], was_done: bool
) -> None:
    """What everybody hears of it comes all the same."""
    bench = Bench(FaultConfig(kind, count=1))
    bench.until(1)
    bench.say(b"a", 1)
    assert bench.frames(30) == told
    assert done(bench) == ["a"] * was_done


def test_where_the_stream_is_the_answer_the_fault_takes_it_from_the_one_who_asked() -> None:
    """Another client of the account hears of the order."""
    bench = Bench(FaultConfig(FaultKind.TIMEOUT_DONE, count=1), streams=True)
    bench.front.connect(2, "echo", "/ws", "main", BEGIN)
    bench.until(1)
    bench.say(b"a", 1)
    assert bench.until(30) == [Outgoing(2, b"order 1")]
    bench.say(b"b", 31)
    assert Outgoing(1, b"order 2") in bench.until(60)


@pytest.mark.parametrize("streams", [False, True])
def test_a_slow_answer_is_late_and_its_effect_is_not(streams: bool) -> None:
    """Half a second late, done in time."""
    bench = Bench(FaultConfig(FaultKind.SLOW, delay_ms=500, count=1), streams=streams)
    bench.until(1)
    bench.say(b"a", 1)
    assert bench.frames(400) == []
    assert bench.exchange.done == [("a", BEGIN + 3 * MS)]
    assert bench.frames(510) == ([b"order 1"] if streams else [b"done a", b"order 1"])


def test_who_does_not_wait_after_a_429_is_banned() -> None:
    """429, then 418 for longer; whoever waits is served again."""
    bench = Bench(FaultConfig(FaultKind.RATE_LIMIT, count=1, retry_after_s=2))
    for number, at_ms in enumerate((0, 1_000, 3_000, 8_000), start=1):
        bench.ask(number, at_ms)
    limited, banned = 400 + Failure.RATE_LIMITED, 400 + Failure.BANNED
    assert bench.answers(9_000) == {1: limited, 2: banned, 3: banned, 4: 200}
    assert bench.faults.bans == 1


# --- whom a fault strikes, and when -----------------------------------------------------------------------


def test_a_fault_strikes_only_what_matches() -> None:
    """By endpoint and by account; the record says which."""
    bench = Bench(
        FaultConfig(FaultKind.REJECTED, endpoint="POST /api/*", account="b"),
        FaultConfig(FaultKind.REJECTED, endpoint="order.place"),
        FaultConfig(FaultKind.REJECTED, wire="other"),
    )
    keys = {"x-mbx-apikey": "b"}
    bench.ask(1, 1, "/api/v3/order", **keys)
    bench.ask(2, 1, "/api/v3/order", **{"api-key": "a"})
    bench.ask(3, 1, "/other", **keys)
    assert bench.answers(5) == {1: 400 + Failure.REJECTED, 2: 200, 3: 200}
    bench.say(b'{"method":"order.place"}', 6)
    bench.say(b'{"method":"ping"}', 6)
    refused = [frame for frame in bench.frames(30) if frame and frame.startswith(b"refused")]
    assert refused == [b"refused REJECTED"]
    assert [(struck.account, struck.what) for struck in bench.faults.struck] == [
        ("b", "POST /api/v3/order"),
        ("main", "frame"),
    ]


def test_a_frame_is_its_accounts_by_the_key_that_it_holds() -> None:
    """Where the connection has not said whose it is."""
    bench = Bench(FaultConfig(FaultKind.REJECTED, account="b"))
    bench.front.connect(2, "echo", "/ws", "", BEGIN)
    bench.say(b'{"params": {"apiKey": "b"}}', 6, connection=2)
    bench.say(b'{"params": {"apiKey": "a"}}', 6, connection=2)
    refused = [frame for frame in bench.frames(30) if frame and frame.startswith(b"refused")]
    assert refused == [b"refused REJECTED"]
    assert bench.front._account(bench.wire, 2, b'{"apiKey": "\xff"}') == "\ufffd"


def test_a_fault_has_its_time() -> None:
    """From a second on for a second."""
    bench = Bench(FaultConfig(FaultKind.REJECTED, from_s=1, for_s=1))
    for number, at_ms in enumerate((500, 1_500, 2_500)):
        bench.ask(number, at_ms)
    assert bench.answers(3_000) == {0: 200, 1: 400 + Failure.REJECTED, 2: 200}


def test_the_same_seed_decides_the_same_and_another_does_not() -> None:
    """A hundred requests with a chance of a third, one fault beside another."""

    def decided(seed: int, *more: FaultConfig) -> list[bool]:
        fault = FaultConfig(FaultKind.REJECTED, endpoint="POST *", chance=0.3)
        bench = Bench()
        bench.faults = bench.front.faults = Faults(seed, "alpha", (fault, *more), BEGIN)
        for number in range(100):
            bench.ask(number, number)
        return [status != 200 for status in bench.answers(1_000).values()]

    once = decided(7)
    assert decided(7) == once
    assert decided(7, FaultConfig(FaultKind.SLOW, wire="other")) == once
    assert decided(8) != once
    assert 15 < sum(once) < 45


def test_a_fault_comes_again_by_the_seed() -> None:
    """Maintenance of two seconds, every ten on average: the same times each run."""

    def times(seed: int) -> list[int]:
        fault = FaultConfig(FaultKind.MAINTENANCE, from_s=1, for_s=2, every_s=10)
        faults = Faults(seed, "alpha", (fault,), BEGIN)
        front = Front(EchoExchange(), {}, Ways(), faults)
        front.advance(BEGIN + 200 * SECOND)
        return [struck.time_ns for struck in faults.struck]

    assert times(7) == times(7)
    assert times(7) != times(8)
    assert 8 < len(times(7)) < 30


def test_a_fault_set_by_hand_works_at_once_and_goes_when_it_is_cleared() -> None:
    """What is cleared ends; a number that is not there is said to be so."""
    bench = Bench()
    number = bench.faults.set(FaultConfig(FaultKind.REJECTED), BEGIN)
    bench.ask(1, 1)
    assert bench.answers(4) == {1: 400 + Failure.REJECTED}
    bench.faults.clear(number, bench.now_ns)
    bench.ask(2, 5)
    assert bench.answers(9) == {2: 200}
    with pytest.raises(LookupError, match="99"):
        bench.faults.clear(99, bench.now_ns)


# --- the venue as a whole ---------------------------------------------------------------------------------


def test_in_maintenance_everything_is_refused_and_the_markets_halt() -> None:
    """Then all is as before."""
    bench = Bench(FaultConfig(FaultKind.MAINTENANCE, from_s=1, for_s=1))
    for number, at_ms in enumerate((500, 1_500, 2_500)):
        bench.ask(number, at_ms)
    assert bench.answers(1_600) == {0: 200, 1: 400 + Failure.MAINTENANCE}
    assert bench.exchange.halted
    assert bench.answers(3_000) == {2: 200}
    assert not bench.exchange.halted


def test_a_skewed_clock_is_what_the_exchange_goes_by() -> None:
    """Half a second fast while the fault is on."""
    bench = Bench(FaultConfig(FaultKind.CLOCK_SKEW, skew_ms=500, for_s=1))
    bench.say(b"a", 1)
    bench.say(b"b", 2_000)
    bench.until(3_000)
    assert bench.exchange.done == [("a", BEGIN + 503 * MS), ("b", BEGIN + 2_002 * MS)]


def test_all_clients_are_hung_up_on() -> None:
    """At its time; the next connection is welcome."""
    bench = Bench(FaultConfig(FaultKind.DISCONNECT, from_s=1))
    bench.front.connect(2, "echo", "/ws", "main", BEGIN)
    bench.until(10)
    assert bench.until(1_500) == [Outgoing(1, None), Outgoing(2, None)]
    bench.front.disconnect(1, bench.now_ns)
    bench.front.connect(3, "echo", "/ws", "main", bench.now_ns)
    assert bench.frames(1_600) == [b"hello /ws"]


def test_frames_are_lost_and_come_twice() -> None:
    """Each once; what was in them is in the record."""
    bench = Bench(
        FaultConfig(FaultKind.DROP_FRAME, endpoint="depth 2", count=1),
        FaultConfig(FaultKind.REPEAT_FRAME, endpoint="depth 3", count=1),
        every_ns=10 * MS,
    )
    frames = [frame for frame in bench.frames(55) if frame and frame.startswith(b"depth")]
    assert frames == [b"depth 1", b"depth 3", b"depth 3", b"depth 4", b"depth 5"]
    assert [struck.what for struck in bench.faults.struck] == ["depth 2", "depth 3"]


def test_a_gap_is_a_change_that_nobody_is_told() -> None:
    """The numbers go on behind it."""
    bench = Bench(FaultConfig(FaultKind.GAP, symbol="BTC/USDT", count=2), every_ns=10 * MS)
    frames = [frame for frame in bench.frames(55) if frame and frame.startswith(b"depth")]
    assert frames == [b"depth 3", b"depth 4", b"depth 5"]
    assert bench.faults.counts == {FaultKind.GAP: 2}
