"""ext.decode against its twin: the same numbers, the same refusals, straight into the same book."""

import json
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext import decode
from ext.book import ASK, BID, Book
from tests.twins import book as twin_book
from tests.twins import decode as twin
from tests.twins.decode import Text, outcome

GRIDS = st.tuples(
    st.sampled_from([1, 2, 5, 25]), st.integers(0, 8), st.sampled_from([1, 5]), st.integers(0, 8)
)
NUMBERS = st.one_of(
    st.decimals(0, 10**6, places=8, allow_nan=False).map(lambda number: f"{number:f}"),
    st.decimals(0, 10**30, allow_nan=False).map(str),
    st.from_regex(r"[0-9]{0,9}\.?[0-9]{0,10}", fullmatch=True),
    st.from_regex(r"[0-9]{1,4}(\.[0-9]{1,9})?[eE][+-]?[0-9]{1,4}", fullmatch=True),
    st.from_regex(r"0{0,12}[0-9]{0,22}\.?[0-9]{0,12}0{0,9}", fullmatch=True),
    st.text("0123456789.-e+ ", max_size=8),
)


@settings(max_examples=3000)
@given(GRIDS, NUMBERS)
def test_reads_what_the_twin_reads(grid: tuple[int, int, int, int], text: str) -> None:
    """Steps or refusal, kernel and Decimal agree on every text."""
    kernel, slow = decode.Grid(*grid), twin.Grid(*grid)
    assert outcome(kernel.ticks, text) == outcome(slow.ticks, text)
    assert outcome(kernel.lots, text) == outcome(slow.lots, text)


# --- levels ----------------------------------------------------------------------------------------

GRID = (1, 2, 1, 3)
PRICES = st.integers(0, 40).map(lambda ticks: f"{Decimal(10000 + ticks).scaleb(-2):f}")
SIZES = st.integers(0, 6).map(lambda lots: f"{Decimal(lots).scaleb(-3):f}")
ODD = st.sampled_from(
    ["0", "", "x", "1e2", "0.001e3", "1.0005", "99999999999999999999", ".5", "5."]
)
SPACED = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:")])


def number_of(text: str, bare: bool) -> object:
    """A number as JSON text or, where JSON allows it, bare: floats keep no trailing zeros."""
    try:
        return float(text) if bare else text
    except ValueError:
        return text


@st.composite
def numbers(draw: st.DrawFn, plain: st.SearchStrategy[str]) -> object:
    """Mostly a good number, now and then an odd one."""
    text = draw(st.one_of(plain, plain, plain, plain, plain, ODD))
    return number_of(text, draw(st.booleans()))


def both(shape: str, data: bytes, *arguments: object, names: tuple[str, ...] = ()) -> None:
    """Kernel and twin say the same of one array, and leave the same book where it is fine."""
    fast, slow = Book(), twin_book.Book()
    kernel, obvious = decode.Grid(*GRID), twin.Grid(*GRID)
    side = arguments[:1] if shape in ("pairs", "objects") else ()
    rest = arguments[len(side) :]
    ours = (decode.LevelNames(*names),) if names else ()
    theirs = (names,) if names else ()
    found = outcome(getattr(kernel, shape), fast, *side, data, *rest, *ours)
    told = outcome(getattr(obvious, shape), slow, *side, data, *rest, *theirs)
    assert found == told, data
    assert fast.levels(BID) == slow.levels(BID)
    assert fast.levels(ASK) == slow.levels(ASK)


def dumped(value: object, spaced: tuple[str, str]) -> bytes:
    """JSON with the blanks of some exchange."""
    return json.dumps(value, separators=spaced).encode()


@given(st.lists(st.tuples(numbers(PRICES), numbers(SIZES)), max_size=25), SPACED)
def test_pairs_are_as_the_twins(
    levels: list[tuple[object, object]], spaced: tuple[str, str]
) -> None:
    """[[price, quantity, whatever], ...]"""
    rows = [[*level, None, "x", 1.5, True][: 2 + at % 5] for at, level in enumerate(levels)]
    both("pairs", dumped(rows, spaced), BID)


@given(
    st.lists(st.tuples(numbers(PRICES), numbers(SIZES), st.integers(0, 9)), max_size=25),
    st.integers(0, 9),
)
def test_numbered_pairs_are_as_the_twins(
    levels: list[tuple[object, object, int]], above: int
) -> None:
    """KuCoin's: old levels and prices of 0 are passed over."""
    rows = [[price, size, str(number)] for price, size, number in levels]
    both("pairs", dumped(rows, (",", ":")), ASK, above)


@given(
    st.lists(
        st.tuples(st.sampled_from(["buy", "sell"]), numbers(PRICES), numbers(SIZES)), max_size=25
    ),
    SPACED,
)
def test_sided_levels_are_as_the_twins(
    levels: list[tuple[str, object, object]], spaced: tuple[str, str]
) -> None:
    """[[side, price, quantity], ...]"""
    both("sided", dumped(levels, spaced))


@given(
    st.lists(
        st.tuples(st.sampled_from(["bid", "offer"]), numbers(PRICES), numbers(SIZES)), max_size=25
    ),
    SPACED,
    st.randoms(use_true_random=False),
)
def test_objects_are_as_the_twins(levels, spaced, random) -> None:  # type: ignore[no-untyped-def]
    """[{price, quantity, side}, ...] with other fields between them, in any order."""
    rows = []
    for side, price, size in levels:
        fields = [("side", side), ("price_level", price), ("new_quantity", size)]
        fields += [("event_time", 'a "quoted\\" word'), ("count", 3), ("odd", None)]
        random.shuffle(fields)
        rows.append(dict(fields))
    data = dumped(rows, spaced)
    both("objects", data, 0, names=("price_level", "new_quantity", "side"))


@given(
    st.lists(st.tuples(PRICES, st.integers(0, 3), st.sampled_from(["", "-"]), SIZES), max_size=25),
    st.booleans(),
)
def test_signed_levels_are_as_the_twins(
    levels: list[tuple[str, int, str, str]], bare: bool
) -> None:
    """[[price, count, amount], ...] and one of them alone."""
    rows = ",".join(f"[{price},{count},{sign}{size}]" for price, count, sign, size in levels)
    data = rows if bare and len(levels) == 1 else f"[{rows}]"
    # JSON has no numbers such as 007, and Bitfinex writes none
    both("signed", data.encode())


JSONISH = st.text('[]{}",:.-e+0123456789 abnulltrue\\', max_size=60).map(str.encode)


@settings(max_examples=2000)
@given(JSONISH, st.integers(0, 30))
def test_takes_nothing_that_the_twin_does_not(noise: bytes, cut: int) -> None:
    """Noise, and a good frame cut or with noise in it, is never taken for levels it does not hold.

    The kernel is given what msgspec found to be one JSON value; other bytes must only not crash it.
    """
    good = b'[["100.10","0.001"],["100.20","0.002",1,"x"]]'
    for data in (noise, good[:cut] + noise, good[:cut] + noise + good[cut:]):
        fast = Book()
        for shape in ("pairs", "sided", "signed"):
            side = (BID,) if shape == "pairs" else ()
            found = outcome(getattr(decode.Grid(*GRID), shape), fast, *side, data)
            try:
                value = twin.read(data)
            except (ValueError, RecursionError):
                continue
            if isinstance(found, int) and isinstance(value, list):
                told = value and not isinstance(value[0], list) and shape == "signed"
                assert found == (1 if told else len(value))


@pytest.mark.parametrize(
    ("levels", "says"),
    [
        (b'[["1.00","1"],["1.005","1"]]', "level 1: price '1.005' is off"),
        (b'[["1.00","x"]]', "level 0: quantity 'x' is no decimal"),
        (b'[{"1.00":"1"}]', "level 0: not the JSON of a level"),
        (b'{"a":1}', "level 0: not the JSON of a level"),
        (b'[["0","1"]]', "level 0: 0 ticks"),
        (b'[["1.00"', "level 0: not the JSON of a level"),
    ],
)
def test_names_the_bad_level(levels: bytes, says: str) -> None:
    """A refusal says which level of the frame it was."""
    with pytest.raises(ValueError, match=says):
        decode.Grid(1, 2, 1, 0).pairs(Book(), BID, levels)


def test_a_text_of_the_twin_is_text() -> None:
    """The twin keeps digits that a float would lose."""
    assert twin.read(b"[1.10]") == [Text("1.10")]


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.sampled_from([8, 40, 300]), st.booleans())
def test_long_frames_on_deep_books_are_as_a_dict(seed: int, size: int, ordered: bool) -> None:
    """Frame after frame, sets and deletions anywhere in a book of thousands of levels."""
    random = Random(seed)
    book, grid = Book(), decode.Grid(1, 2, 1, 3)
    held: dict[int, dict[int, int]] = {BID: {}, ASK: {}}
    for _ in range(30):
        sides = []
        for side in (BID, ASK):
            ticks = [random.randrange(1, 4000) for _ in range(random.randrange(size + 1))]
            if ordered:
                ticks.sort(reverse=side == BID)
            levels = [(each, random.choice((0, random.randrange(1, 10**6)))) for each in ticks]
            for each, lots in levels:
                held[side].pop(each, None)
                if lots:
                    held[side][each] = lots
            rows = [
                f'["{Decimal(each).scaleb(-2):f}","{Decimal(lots).scaleb(-3):f}00000"]'
                for each, lots in levels
            ]
            sides.append(f"[{','.join(rows)}]".encode())
        crossed = grid.both(book, 5, *sides)
        assert book.levels(BID) == sorted(held[BID].items(), reverse=True)
        assert book.levels(ASK) == sorted(held[ASK].items())
        assert book.sequence == 5
        best = max(held[BID], default=0), min(held[ASK], default=0)
        assert crossed == (best[1] != 0 and best[0] >= best[1])
        assert book.best() == (
            best[0],
            held[BID].get(best[0], 0),
            best[1],
            held[ASK].get(best[1], 0),
        )


def test_a_full_book_refuses_the_level_that_is_too_many() -> None:
    """By its number, also among eight that are set side by side."""
    book = Book(5)
    rows = ",".join(f'["{n}.00","1"]' for n in range(1, 30))
    with pytest.raises(ValueError, match="level 5: 600 ticks, 1000 lots"):
        decode.Grid(1, 2, 1, 3).pairs(book, BID, f"[{rows}]".encode())
    assert book.levels(BID) == [(500 - 100 * n, 1000) for n in range(5)]
