"""The folding kernel against its twin: the same orders, fills and money out of any journal."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import messages
from engine.messages import (
    AnyMessage,
    BalanceUpdate,
    Fill,
    GroupIntent,
    OrderCommand,
    OrderEvent,
    OrderIntent,
    OrderRefused,
    OrderState,
    PositionUpdate,
    Reason,
    Risk,
    RiskLevel,
    encode,
)
from ext.fold import Fold
from ext.framing import DAMAGED, END
from tests.golden import EARLIER, ENCODINGS
from tests.twins import fold as twin
from tests.twins.framing import framed

INT = st.integers(-(2**63), 2**63 - 1)
NAME = st.sampled_from(["", "a", "b", "ä€", "x" * 40, "y" * 300])
SMALL = st.integers(0, 3)


def with_fields(kind: type, **chosen: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Messages of a kind: names from few, numbers from all there are, but for what is chosen."""
    known: dict[str, st.SearchStrategy[Any]] = {}
    for field in msgspec.structs.fields(kind):
        of_type: dict[object, st.SearchStrategy[Any]] = {str: NAME, bool: st.booleans(), int: INT}
        known[field.name] = chosen[field.name] if field.name in chosen else of_type[field.type]
    return st.builds(kind, **known)


REASON = st.sampled_from([Reason.NONE, Reason.DUPLICATE, Reason.POSITION])
INTENT = with_fields(OrderIntent, time_in_force=st.sampled_from(list(messages.TimeInForce)))
MESSAGES: st.SearchStrategy[AnyMessage] = st.one_of(
    INTENT,
    with_fields(OrderCommand, intent=INTENT),
    with_fields(GroupIntent, legs=st.lists(INTENT, max_size=3).map(tuple)),
    with_fields(OrderRefused, reason=REASON),
    with_fields(OrderEvent, reason=REASON, state=st.sampled_from(list(OrderState))),
    with_fields(
        Fill, venue=SMALL, instrument=SMALL, lots=st.integers(0, 9), side=st.sampled_from([1, -1])
    ),
    with_fields(BalanceUpdate, venue=SMALL),
    with_fields(PositionUpdate),
    with_fields(RiskLevel, level=st.sampled_from(list(Risk)), reason=REASON),
    with_fields(messages.KillSwitch),
)


def same(data: bytes) -> None:
    """Both find the same in these bytes."""
    ours, theirs = Fold(), twin.Fold()
    assert ours.take(data, 0) == theirs.take(data, 0)
    for name in ("orders", "moved", "balances", "positions"):
        assert getattr(ours, name)() == getattr(theirs, name)(), name
    for name in ("level", "fills", "records"):
        assert getattr(ours, name) == getattr(theirs, name), name


@given(st.lists(MESSAGES, max_size=20), st.integers(0, 200), st.booleans())
def test_it_finds_what_the_twin_finds(said: list[AnyMessage], cut: int, whole: bool) -> None:
    """In any order, repeated, and up to where the bytes are cut."""
    data = b"".join(framed(encode(message), 5) for message in said) + bytes(8)
    same(data if whole else data[: max(0, len(data) - cut)])


def test_every_message_of_the_vocabulary_is_walked_over() -> None:
    """Those of before too, with fewer fields."""
    encodings = [*ENCODINGS.values(), *(encoding for _, encoding in EARLIER)]
    same(b"".join(framed(bytes.fromhex(encoding), 5) for encoding in encodings))


@given(st.binary(min_size=1, max_size=60), MESSAGES, st.integers(0, 60))
def test_bytes_that_are_no_message_harm_nothing(junk: bytes, said: AnyMessage, cut: int) -> None:
    """With a right sum around them: named by their place, or a type that is not folded."""
    for payload in (junk, encode(said)[: cut + 1], encode(said)[:12] + junk):
        data = framed(payload, 5) + bytes(8)
        try:
            end, why = Fold().take(data, 0)
        except ValueError as error:
            end, why = (len(data) - 8, END) if "at byte 0 is none of ours" in str(error) else (0, 0)
        assert (end, why) == (len(data) - 8, END)


def test_damage_stops_it() -> None:
    """Where it stands; what is before it counts."""
    records = [framed(encode(RiskLevel(1, n, 0, Risk.HALT, Reason.NONE)), n) for n in (1, 2)]
    data = bytearray(b"".join(records))
    data[-1] ^= 1
    fold = Fold()
    assert fold.take(bytes(data), 0) == (len(records[0]), DAMAGED)
    assert (fold.records, fold.level) == (1, Risk.HALT)


def test_its_memory_grows_with_the_orders() -> None:
    """Many times over."""
    fold = Fold()
    for number in range(5000):
        event = OrderEvent(
            1, 1, 0, f"o{number}", 1, 1, 1, 1, number, 2, 1, OrderState.ACKNOWLEDGED, Reason.NONE
        )
        fold.take(framed(encode(event), 1), 0)
    assert len(fold.orders()) == 5000
    assert fold.orders()["o4321"][4] == 4321
    with pytest.raises(ValueError, match="byte 0"):
        fold.take(framed(b"\xc1", 1), 0)
