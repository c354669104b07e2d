"""The matching kernel and its twin, held together by chance: every report, every order, every level."""

from array import array
from collections.abc import Sequence
from random import Random
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ext import matching as kernel
from tests import matching_storm as storm
from tests.matching_judges import Accounts, Follower, hold_queues, hold_uncrossed
from tests.twins import matching as twin
from tests.twins import matching_words as w

SEEDS = st.integers(0, (1 << 32) - 1)
HISTORIES = st.lists(SEEDS, min_size=60, max_size=140)
BATCH_NUMBERS = {
    "submit": w.SUBMIT,
    "cancel": w.CANCEL,
    "replace": w.REPLACE,
    "mass_cancel": w.MASS_CANCEL,
    "advance": w.ADVANCE,
    "set_phase": w.SET_PHASE,
    "end_day": w.END_DAY,
}
BATCH_FIELDS = {"parent": "order", "phase": "lots", "now_ns": "expire_ns"}
"""Where a row keeps what has no field of its own."""


class Pair:
    """A kernel and a twin that are told the same, and the judges that watch the kernel."""

    def __init__(self, limits: dict[str, int]) -> None:
        self.limits = limits
        self.kernel: Any = kernel.MatchingBook(**limits)
        self.twin = twin.MatchingBook(**limits)
        self.follower, self.accounts = Follower(), Accounts()
        self.displays: dict[int, int] = {}
        self.steps: list[storm.Operation] = []
        self.trades = 0

    def do(self, step: storm.Operation) -> None:
        """One operation for both, and everything that can be seen afterwards."""
        name, arguments = step
        self.steps.append(step)
        queues = {side: self.twin.resting(side) for side in (w.BUY, w.SELL)}
        was_trading = self.twin.phase == w.CONTINUOUS
        if name == "submit":
            self.displays[self.twin.next_order] = arguments.get("display", 0)
        self.kernel, raised = storm.do(self.kernel, step)
        self.twin, raised_by_twin = storm.do(self.twin, step)
        assert raised == raised_by_twin
        if name == "set_position" and not raised:
            self.accounts.set_position(arguments["owner"], arguments["lots"])
        told, theirs_told = self.kernel.reports(), self.twin.reports()
        assert told == theirs_told
        self.hold_alike()
        self.accounts.hear(told)
        self.follower.hear(self.kernel)
        self.accounts.hold(self.kernel)
        self.follower.hold(self.kernel)
        hold_uncrossed(self.kernel)
        if was_trading:
            self.trades += hold_queues(queues, self.displays, told)

    def hold_alike(self) -> None:
        """Whatever can be asked is the same."""
        ours, theirs = self.kernel, self.twin
        for side in (w.BUY, w.SELL):
            assert ours.best(side) == theirs.best(side)
            assert ours.levels(side) == theirs.levels(side)
            assert ours.levels(side, 2) == theirs.levels(side, 2)
            assert ours.resting(side) == theirs.resting(side)
            assert ours.resting(side, 3) == theirs.resting(side, 3)
        for name in ("phase", "now_ns", "next_order", "last"):
            assert getattr(ours, name) == getattr(theirs, name), name
        assert len(ours) == len(theirs)
        assert ours.indicative() == theirs.indicative()
        for owner in storm.OWNERS:
            assert ours.orders(owner) == theirs.orders(owner)
            assert ours.position(owner) == theirs.position(owner)
            for number in theirs.orders(owner):
                assert ours.order(number) == theirs.order(number)
        assert ours.order(theirs.next_order) is None


def play(scene_seed: int, history: Sequence[int]) -> Pair:
    """A whole history; what fails carries the program that fails."""
    scene = storm.scene(Random(scene_seed))
    pair = Pair(scene.limits)
    for seed in history:
        step = storm.operation(seed, pair.twin, scene)
        try:
            pair.do(step)
        except BaseException as error:
            error.add_note(storm.written(pair.limits, pair.steps))
            raise
    return pair


def test_the_words_are_the_kernels() -> None:
    """The twin's constants are the kernel's, all of them, and so are the fields of what both tell."""
    ours, theirs = (
        {name: value for name, value in vars(module).items() if type(value) is int}
        for module in (kernel, w)
    )
    assert theirs == {**ours, "OWNER_MAX": (1 << 20) - 1}
    for record in ("Report", "OrderView"):
        assert vars(kernel)[record]._fields == vars(w)[record]._fields


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(SEEDS, HISTORIES)
def test_kernel_and_twin_tell_the_same(scene_seed: int, history: list[int]) -> None:
    """After each operation of any history, whatever the orders, phases and limits."""
    play(scene_seed, history)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@settings(max_examples=5000, suppress_health_check=list(HealthCheck), database=None)
@given(SEEDS, HISTORIES)
def test_kernel_and_twin_tell_the_same_for_long(scene_seed: int, history: list[int]) -> None:
    """The same with half a million operations."""
    play(scene_seed, history)


def rows(steps: Sequence[storm.Operation]) -> Any:
    """Operations as the rows of a batch."""
    batch = np.zeros(len(steps), np.dtype(kernel.OPERATION))
    for row, (name, arguments) in zip(batch, steps, strict=True):
        row["op"] = BATCH_NUMBERS[name]
        if name == "submit":
            row["tif"] = w.GTC
        for field, number in arguments.items():
            row[BATCH_FIELDS.get(field, field)] = number
    return batch


def drained(book: Any) -> list[tuple[int, ...]]:
    """The reports of a book by way of their rows."""
    found = np.frombuffer(book.drain(), np.dtype(kernel.REPORT))
    return [tuple(int(row[name]) for name in kernel.Report._fields) for row in found]


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(SEEDS, HISTORIES, st.integers(1, 50))
def test_a_batch_is_its_operations_one_by_one(
    scene_seed: int, history: list[int], size: int
) -> None:
    """`run` and `drain` in bites of any size tell what a call an operation tells."""
    scene = storm.scene(Random(scene_seed))
    one, steps = twin.MatchingBook(**scene.limits), []
    for seed in history:
        step = storm.operation(seed, one, scene)
        if step[0] in BATCH_NUMBERS and storm.do(one, step)[1] is None:
            steps.append(step)
    book = kernel.MatchingBook(**scene.limits)
    told: list[tuple[int, ...]] = []
    for start in range(0, len(steps), size):
        book.run(rows(steps[start : start + size]))
        told += drained(book)
    assert told == one.reports()
    assert [book.resting(side) for side in (w.BUY, w.SELL)] == [
        one.resting(side) for side in (w.BUY, w.SELL)
    ]
    assert (len(book), book.last, book.phase) == (len(one), one.last, one.phase)


class Seen:
    """What chance has to know of a book to draw from it, where a twin would be too slow."""

    def __init__(self, book: Any) -> None:
        self.book = book
        self.ticks_step = self.lots_step = self.lots_min = 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self.book, name)


@pytest.mark.parametrize("seed", range(4))
def test_a_batch_in_a_large_book(seed: int) -> None:
    """Where so many rest that a batch looks ahead: what it saw may be gone when its turn comes."""
    book, random = kernel.MatchingBook(lots_max=100), Random(seed)
    far = [(w.SELL, 3000), (w.BUY, 400)] * 9000
    book.run(
        rows(
            [
                ("submit", {"side": side, "kind": w.LIMIT, "owner": 8, "ticks": ticks, "lots": 1})
                for side, middle in far
                for ticks in (middle + random.randint(-300, 300),)
            ]
        )
    )
    assert len(book) == len(far)
    book.reports()
    other = kernel.MatchingBook.restore(book.snapshot())
    scene, steps = storm.Scene({}, 1000, random.choice([2, 5, 60])), []
    for _ in range(3000):
        step = storm.operation(random.getrandbits(32), Seen(book), scene)
        if step[0] in BATCH_NUMBERS and step[1].get("owner", 0) != -1:
            raised = storm.do(book, step)[1]
            steps += [] if raised else [step]
    assert len(book) > 1 << 14
    for start in range(0, len(steps), 500):
        other.run(rows(steps[start : start + 500]))
    assert drained(other) == book.reports()
    assert other.snapshot() == book.snapshot()


def test_rows_are_as_long_as_they_say() -> None:
    """80 bytes an operation, 64 a report; half a row is refused, whole, and none does nothing."""
    assert np.dtype(kernel.OPERATION).itemsize == 80
    assert np.dtype(kernel.REPORT).itemsize == 64
    book = kernel.MatchingBook()
    one = rows([("submit", {"side": w.BUY, "kind": w.LIMIT, "ticks": 5, "lots": 1})]).tobytes()
    for wrong in (one[:-1], one + b"\0", b"\0"):
        with pytest.raises(ValueError, match="bytes"):
            book.run(wrong)
    book.run(b"")
    assert (len(book), book.drain(), book.next_order) == (0, b"", 1)
    book.run(memoryview(one * 3))
    assert book.levels(w.BUY) == [(5, 3)]
    assert len(book.drain()) == 3 * 64
    assert (book.drain(), book.reports()) == (b"", [])


def crowded() -> Any:
    """A book in which something of every kind lives."""
    scene = storm.Scene({"market_data": True, "band_bps": 500}, 1000, 60)
    pair = Pair(scene.limits)
    for seed in range(100, 700):
        step = storm.operation(seed, pair.twin, scene)
        if step[0] not in ("set_phase", "snapshot", "cancel", "advance"):
            pair.do(step)
    return pair.kernel


def test_a_snapshot_is_a_snapshot_of_itself() -> None:
    """What is restored writes the same bytes, whole books too; what it told is not in them."""
    book = crowded()
    assert len(book) > 10
    data = book.snapshot()
    again = kernel.MatchingBook.restore(data)
    assert again.snapshot() == data
    assert (again.reports(), again.order_changes(), again.level_changes()) == ([], [], [])
    assert again.memory > 0


def test_bytes_that_are_no_snapshot_are_refused() -> None:
    """Cut, longer, empty or another's: ValueError, and nothing else."""
    data = crowded().snapshot()
    for wrong in (b"", data[:-1], data + b"\0", data[: len(data) // 2], b"X" + data[1:], bytes(99)):
        with pytest.raises(ValueError, match=r"."):
            kernel.MatchingBook.restore(wrong)


SOUND = crowded().snapshot()


@settings(max_examples=200)
@given(st.integers(0, len(SOUND) - 1), st.integers(1, 255))
def test_a_spoilt_snapshot_is_refused(place: int, change: int) -> None:
    """Whatever byte is wrong, however little."""
    data = bytearray(SOUND)
    data[place] ^= change
    with pytest.raises(ValueError, match=r"."):
        kernel.MatchingBook.restore(bytes(data))


def test_what_is_no_side_and_no_operation_is_said() -> None:
    """Only two sides can be asked for; a row that means nothing is refused and the next one done."""
    book = kernel.MatchingBook()
    for ask in (book.best, book.levels, book.resting):
        with pytest.raises(ValueError, match="side 0"):
            ask(0)
    rows = np.zeros(2, dtype=np.dtype(kernel.OPERATION))
    rows[0]["op"] = 99
    rows[1]["op"], rows[1]["side"], rows[1]["kind"] = kernel.SUBMIT, kernel.BUY, kernel.LIMIT
    rows[1]["tif"], rows[1]["ticks"], rows[1]["lots"] = kernel.GTC, 5, 1
    book.run(rows)
    told = [(report.kind, report.reason, report.order) for report in book.reports()]
    assert told == [(kernel.REJECTED, kernel.INVALID, 0), (kernel.ACCEPTED, 0, 1)]


@pytest.mark.parametrize(
    ("place", "number"),
    [(0, 0), (0, 99), (1, -5), (1, 1 << 20), (2, 2), (7, 9), (7, 2), (7, 3), (9, 0), (11, 0)],
)
def test_a_snapshot_whose_orders_cannot_be_is_refused(place: int, number: int) -> None:
    """Though its checksum is right: an owner or a place that is not there is not written to."""
    book = kernel.MatchingBook()
    book.submit(1, 1, 5, 5, 1)
    data = book.snapshot()
    numbers = array("q", data[6:-4])
    numbers[20 + place] = number
    body = data[:6] + numbers.tobytes()
    with pytest.raises(ValueError, match="cannot be an order"):
        kernel.MatchingBook.restore(body + crc32(body).to_bytes(4, "little"))
