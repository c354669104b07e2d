"""The L2 book kernel: one suite for it and its twin, and a storm that holds the two together."""

import struct
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext.book import ASK, BID, Book
from tests.twins import book as twin

INT64_MAX = (1 << 63) - 1
Books = Book | twin.Book
Levels = Sequence[tuple[int, int]]


@pytest.fixture(params=[Book, twin.Book], ids=["kernel", "twin"])
def make(request: pytest.FixtureRequest) -> Callable[..., Books]:
    """The class under test."""
    made: Callable[..., Books] = request.param
    return made


def columns(levels: Levels) -> tuple["array[int]", "array[int]"]:
    """Levels as the two flat buffers that a book takes."""
    return array("q", [ticks for ticks, _ in levels]), array("q", [lots for _, lots in levels])


def filled(make: Callable[..., Books], bids: Levels, asks: Levels, **options: int) -> Books:
    """A book after a snapshot."""
    book = make(**options)
    book.snapshot(*columns(bids), *columns(asks))
    return book


def test_empty_book_answers_zeros(make: Callable[..., Books]) -> None:
    """Nobody buys and nobody sells: prices and quantities are 0 and nothing is crossed."""
    book = make()
    assert (book.bid_ticks, book.bid_lots, book.ask_ticks, book.ask_lots) == (0, 0, 0, 0)
    assert (book.bid_count, book.ask_count, book.sequence) == (0, 0, 0)
    assert not book.crossed
    assert book.top_bytes(2) == bytes(64)
    assert book.levels(BID) == book.levels(ASK) == []


def test_snapshot_in_any_order(make: Callable[..., Books]) -> None:
    """A snapshot sorts, takes the last of doubles and skips what has no quantity."""
    book = filled(
        make, [(98, 3), (100, 1), (99, 2), (98, 4), (97, 0)], [(103, 3), (101, 1), (101, 0)]
    )
    assert book.levels(BID) == [(100, 1), (99, 2), (98, 4)]
    assert book.levels(ASK) == [(103, 3)]


def test_snapshot_replaces(make: Callable[..., Books]) -> None:
    """What stood before a snapshot is gone after it."""
    book = filled(make, [(100, 1)], [(101, 1)])
    book.snapshot(*columns([]), *columns([(105, 2)]))
    assert (book.levels(BID), book.levels(ASK)) == ([], [(105, 2)])


def test_change_sets_moves_and_deletes(make: Callable[..., Books]) -> None:
    """A change is absolute; 0 lots deletes, and deleting what is not there is fine."""
    book = make()
    for ticks, lots in [(100, 5), (101, 2), (99, 7), (100, 6), (101, 0), (50, 0)]:
        book.change(BID, ticks, lots)
    assert book.levels(BID) == [(100, 6), (99, 7)]
    assert (book.bid_ticks, book.bid_lots, book.bid_count) == (100, 6, 2)
    assert (book.lots_at(BID, 99), book.lots_at(BID, 98), book.lots_at(ASK, 99)) == (7, 0, 0)


def test_add_is_relative(make: Callable[..., Books]) -> None:
    """A delta makes, grows, shrinks and ends a level; below zero it raises."""
    book = make()
    book.add(ASK, 101, 5)
    book.add(ASK, 101, -2)
    assert book.levels(ASK) == [(101, 3)]
    with pytest.raises(ValueError, match="lots"):
        book.add(ASK, 101, -4)
    assert book.levels(ASK) == [(101, 3)]
    book.add(ASK, 101, -3)
    assert book.ask_count == 0
    book.change(ASK, 101, INT64_MAX)
    with pytest.raises(OverflowError):
        book.add(ASK, 101, 1)
    assert book.ask_lots == INT64_MAX


def test_batch_of_one_side_goes_in_order(make: Callable[..., Books]) -> None:
    """The last of two changes of one price in a batch stands."""
    book = filled(make, [(100, 1), (99, 1)], [])
    book.apply(BID, *columns([(100, 0), (98, 4), (98, 5), (101, 1)]))
    assert book.levels(BID) == [(101, 1), (99, 1), (98, 5)]


def test_update_sets_both_sides(make: Callable[..., Books]) -> None:
    """One diff of a venue changes bids and asks in one call."""
    book = filled(make, [(100, 1)], [(101, 1)])
    book.update(*columns([(100, 0), (99, 2)]), *columns([(102, 3)]))
    assert (book.levels(BID), book.levels(ASK)) == ([(99, 2)], [(101, 1), (102, 3)])


@pytest.mark.parametrize(
    ("bid", "ask", "crossed"), [(100, 101, False), (101, 101, True), (102, 101, True)]
)
def test_crossed(make: Callable[..., Books], bid: int, ask: int, crossed: bool) -> None:
    """A bid at or above the ask is crossed, and the book says so and keeps both."""
    book = filled(make, [(bid, 1)], [(ask, 1)])
    assert book.crossed is crossed
    assert (book.bid_ticks, book.ask_ticks) == (bid, ask)


def test_level_beyond_any_depth_comes_back_to_the_top(make: Callable[..., Books]) -> None:
    """The book forgets nothing by itself: when 5,000 better levels go, the deepest is the top."""
    bids = [(10_000 - i, i + 1) for i in range(5_001)]
    book = filled(make, bids, [])
    book.apply(BID, *columns([(ticks, 0) for ticks, _ in bids[:-1]]))
    assert book.levels(BID) == [(5_000, 5_001)]


def test_truncate_forgets_only_when_told(make: Callable[..., Books]) -> None:
    """A protocol's depth is kept by an explicit call, which says how much it forgot."""
    book = filled(make, [(100 - i, 1) for i in range(5)], [(101 + i, 1) for i in range(3)])
    assert book.truncate(4) == 1
    assert book.truncate(4) == 0
    assert [ticks for ticks, _ in book.levels(BID)] == [100, 99, 98, 97]
    assert book.truncate(1) == 5
    assert (book.levels(BID), book.levels(ASK)) == ([(100, 1)], [(101, 1)])


def test_full_book_refuses_and_keeps_everything(make: Callable[..., Books]) -> None:
    """One level beyond the memory limit raises, whole, and no level is dropped for it."""
    book = filled(make, [(100, 1), (99, 1)], [(101, 1)], levels_max=2)
    before = book.dump()
    new = columns([(98, 1)])
    attempts: list[Callable[[], object]] = [
        lambda: book.change(BID, 98, 1),
        lambda: book.apply(BID, *columns([(100, 7), (98, 1), (99, 0)])),
        lambda: book.update(*columns([(100, 7)]), *columns([(102, 1), (103, 1)])),
        lambda: book.snapshot(*new, *columns([(101, 1), (102, 1), (103, 1)])),
        lambda: book.load(filled(make, [(3, 1), (2, 1), (1, 1)], []).dump()),
    ]
    for attempt in attempts:
        with pytest.raises(OverflowError, match="at most 2 levels"):
            attempt()
        assert book.dump() == before
    book.apply(BID, *columns([(99, 0), (98, 1)]))
    assert book.levels(BID) == [(100, 1), (98, 1)]


@pytest.mark.parametrize("bad", [(0, 1), (-5, 1), (100, -1), (-(1 << 63), 1), (5, -(1 << 63))])
def test_bad_level_leaves_the_book_unchanged(
    make: Callable[..., Books], bad: tuple[int, int]
) -> None:
    """A price of 0 or less, or a quantity below 0, is refused by name, alone or in a batch."""
    book = filled(make, [(100, 1)], [(101, 1)])
    before = book.dump()
    good, wrong = columns([(99, 5)]), columns([(99, 5), bad])
    with pytest.raises(ValueError, match=r"ticks|lots"):
        book.change(BID, *bad)
    for attempt in (
        lambda: book.apply(BID, *wrong),
        lambda: book.update(*good, *wrong),
        lambda: book.snapshot(*good, *wrong),
    ):
        with pytest.raises(ValueError, match="level 1"):
            attempt()
    assert book.dump() == before


def test_bad_arguments(make: Callable[..., Books]) -> None:
    """A side, depth, count or limit that cannot be is a ValueError; beyond int64 an OverflowError."""
    book = filled(make, [(100, 1)], [(101, 1)])
    before = book.dump()
    for attempt in (
        lambda: book.change(0, 100, 1),
        lambda: book.apply(2, *columns([])),
        lambda: book.add(3, 100, 1),
        lambda: book.lots_at(0, 100),
        lambda: book.lots_at(BID, 0),
        lambda: book.levels(0),
        lambda: book.truncate(0),
        lambda: book.top_bytes(-1),
        lambda: book.top(-1, array("q")),
        lambda: make(levels_max=0),
    ):
        with pytest.raises(ValueError, match=r"."):
            attempt()
    for attempt in (
        lambda: book.change(BID, 1 << 63, 1),
        lambda: book.change(BID, 1, 1 << 63),
        lambda: book.add(BID, 100, -(1 << 64)),
    ):
        with pytest.raises(OverflowError):
            attempt()
    assert book.dump() == before


@pytest.mark.parametrize(
    "ticks",
    [
        np.array([1.0, 2.0]),
        np.array([1, 2], dtype=np.uint64),
        np.array([1, 2], dtype=np.int32),
        np.array([1, 2], dtype=">i8"),
        np.array([[1, 2]]),
        np.array([1, 9, 2, 9])[::2],
        array("q", [1]),
        b"\0" * 16,
    ],
    ids=["float", "unsigned", "short", "big-endian", "two-dimensional", "strided", "less", "bytes"],
)
def test_foreign_buffer_is_refused(make: Callable[..., Books], ticks: Any) -> None:
    """Only a flat, contiguous int64 buffer as long as its partner is read."""
    book = filled(make, [(100, 1)], [])
    with pytest.raises(ValueError, match=r"."):
        book.apply(BID, ticks, array("q", [1, 1]))
    assert book.levels(BID) == [(100, 1)]


def test_unaligned_buffer_is_refused() -> None:
    """The kernel reads whole words; a view that starts between two of them raises."""
    view = np.frombuffer(bytes(17), dtype=np.int8)[1:].view(np.int64)
    with pytest.raises(ValueError, match=r"."):
        Book().apply(BID, view, view)


@pytest.mark.parametrize(
    "of", [lambda n: array("q", n), np.array, lambda n: memoryview(array("l", n))]
)
def test_buffers_of_any_maker(make: Callable[..., Books], of: Callable[[list[int]], Any]) -> None:
    """array, numpy and memoryview all do, and are free again afterwards."""
    book, ticks, lots = make(), of([100, 99]), of([1, 2])
    book.apply(BID, ticks, lots)
    assert book.levels(BID) == [(100, 1), (99, 2)]
    if isinstance(ticks, array):
        ticks.append(1)  # a buffer still lent out would raise here


def test_top_in_both_forms(make: Callable[..., Books]) -> None:
    """`top` and `top_bytes` write bids then asks, best first, padded with zeros."""
    book = filled(make, [(100, 1), (99, 2), (98, 3)], [(101, 4)])
    out = array("q", [7] * 9)
    assert book.top(2, out) == (2, 1)
    assert out.tolist() == [100, 1, 99, 2, 101, 4, 0, 0, 7]
    assert book.top_bytes(2) == out[:8].tobytes()
    assert book.top(0, out) == (0, 0)
    for too_small in (array("q", [0] * 7), bytes(64), memoryview(bytes(64)).cast("q")):
        with pytest.raises(ValueError, match=r"out|flat"):
            book.top(2, too_small)


def test_clear_forgets_all(make: Callable[..., Books]) -> None:
    """After `clear` the book is as new."""
    book = filled(make, [(100, 1)], [(101, 1)])
    book.sequence = 9
    book.clear()
    assert book.dump() == make().dump()


def test_dump_and_load_are_exact(make: Callable[..., Books]) -> None:
    """A loaded book has the same levels and sequence, in the kernel and in the twin."""
    book = filled(make, [(100, 1), (99, INT64_MAX)], [(INT64_MAX, 4)])
    book.sequence = -(1 << 63)
    for other in (Book(), twin.Book()):
        other.change(BID, 5, 5)
        other.load(memoryview(book.dump()))
        assert other.dump() == book.dump()
        assert (other.sequence, other.levels(BID)) == (book.sequence, book.levels(BID))


GOOD = struct.pack("<4sIqqq6q", b"BOOK", 1, 7, 2, 1, 100, 1, 99, 1, 101, 1)
BAD_DUMPS = {
    "empty": b"",
    "header only in part": GOOD[:31],
    "torn": GOOD[:-1],
    "longer": GOOD + bytes(16),
    "magic": b"BOOC" + GOOD[4:],
    "version": GOOD[:4] + b"\2" + GOOD[5:],
    "negative count": struct.pack("<4sIqqq4q", b"BOOK", 1, 7, 3, -1, 100, 1, 99, 1),
    "huge counts": struct.pack("<4sIqqq", b"BOOK", 1, 7, 1 << 62, 1 << 62),
    "bids out of order": struct.pack("<4sIqqq4q", b"BOOK", 1, 7, 2, 0, 99, 1, 100, 1),
    "ask twice": struct.pack("<4sIqqq4q", b"BOOK", 1, 7, 0, 2, 99, 1, 99, 1),
    "no lots": struct.pack("<4sIqqq2q", b"BOOK", 1, 7, 1, 0, 99, 0),
    "no price": struct.pack("<4sIqqq2q", b"BOOK", 1, 7, 0, 1, 0, 1),
    "lowest price": struct.pack("<4sIqqq2q", b"BOOK", 1, 7, 0, 1, -(1 << 63), 1),
}


@pytest.mark.parametrize("data", BAD_DUMPS.values(), ids=BAD_DUMPS)
def test_malformed_dump_is_refused(make: Callable[..., Books], data: bytes) -> None:
    """Bytes that `dump` cannot have written raise ValueError and change nothing."""
    book = make()
    book.load(GOOD)
    with pytest.raises(ValueError, match=r"."):
        book.load(data)
    assert book.dump() == GOOD


@given(data=st.binary(max_size=120))
def test_garbage_loads_like_the_twin(data: bytes) -> None:
    """Whatever the bytes, kernel and twin agree on whether they are a book."""
    for tail in (data, GOOD[: 120 - len(data)] + data):
        assert outcome(Book(), "load", tail) == outcome(twin.Book(), "load", tail)


PRICES = st.integers(-1, 60) | st.sampled_from([1 << 62, INT64_MAX])
LOTS = st.integers(-1, 4) | st.just(INT64_MAX)
SIDES = st.sampled_from([BID, ASK, BID, ASK, BID, ASK, 0])
COLUMNS = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 4)), max_size=40).map(columns)
TORN = st.lists(st.tuples(PRICES, LOTS), max_size=5).map(columns)
STEPS = st.one_of(
    st.tuples(st.just("change"), SIDES, PRICES, LOTS),
    st.tuples(st.just("add"), SIDES, PRICES, st.integers(-3, 4) | st.just(INT64_MAX)),
    st.tuples(st.just("apply"), SIDES, COLUMNS | TORN),
    st.tuples(st.just("update"), COLUMNS | TORN, COLUMNS | TORN),
    st.tuples(st.just("snapshot"), COLUMNS | TORN, COLUMNS | TORN),
    st.tuples(st.just("truncate"), st.integers(0, 30)),
    st.tuples(st.just("lots_at"), SIDES, PRICES),
    st.tuples(st.just("clear")),
)


def outcome(book: Books, name: str, *arguments: Any) -> tuple[object, bytes]:
    """What a call gave or the kind of error it raised, and the whole state after it."""
    flat = [part for given in arguments for part in (given if type(given) is tuple else (given,))]
    before = book.dump()
    try:
        answer: object = getattr(book, name)(*flat)
    except (ValueError, OverflowError) as error:
        assert book.dump() == before, "a refused call changed the book"
        answer = type(error)
    return answer, book.dump()


@given(levels_max=st.sampled_from([3, 20, 1000]), steps=st.lists(STEPS, max_size=30))
def test_storm_holds_kernel_and_twin_together(
    levels_max: int, steps: list[tuple[Any, ...]]
) -> None:
    """After each of any changes, good or bad, both books are the same and survive dump and load."""
    ours, slow = Book(levels_max), twin.Book(levels_max)
    for number, step in enumerate(steps):
        assert outcome(ours, *step) == outcome(slow, *step)
        ours.sequence = slow.sequence = number
        assert ours.top_bytes(7) == slow.top_bytes(7)
        for field in ("bid_ticks", "bid_lots", "ask_ticks", "ask_lots", "crossed", "ask_count"):
            assert getattr(ours, field) == getattr(slow, field)
        again = Book(levels_max)
        again.load(slow.dump())
        ours = again if number % 3 == 0 else ours


@given(seed=st.integers(0, 2**32))
def test_deep_walk_holds_kernel_and_twin_together(seed: int) -> None:
    """Books of hundreds of levels, changed near and far from the touch, stay equal."""
    random = np.random.default_rng(seed)
    ours, slow = Book(), twin.Book()
    for _ in range(6):
        ticks = random.integers(1, 2_000, 200)
        lots = random.integers(0, 3, 200)
        ours.update(ticks, lots, ticks + 1_000, lots)
        slow.update(ticks, lots, ticks + 1_000, lots)
        assert ours.dump() == slow.dump()
