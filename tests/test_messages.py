"""The vocabulary: a golden encoding of each message, so that old journals stay readable."""

import typing

import msgspec
import pytest

from engine.messages import (
    AnyMessage,
    BarKind,
    BookState,
    CallKind,
    Circuit,
    DifferenceKind,
    Message,
    MessageError,
    OrderIntent,
    OrderState,
    ParentKind,
    ParentState,
    Reason,
    Risk,
    Scope,
    TimeInForce,
    TriggerSource,
    decode,
    encode,
)

KINDS: list[type[Message]] = list(typing.get_args(AnyMessage))
VALUES: dict[type, object] = {
    int: 1,
    str: "s",
    bytes: b"b",
    bool: True,
    BarKind: BarKind.VOLUME,
    BookState: BookState.LIVE,
    OrderState: OrderState.SENT,
    Reason: Reason.KILLED,
    Risk: Risk.HALT,
    TimeInForce: TimeInForce.IOC,
    CallKind: CallKind.QUERY,
    Circuit: Circuit.HALF_OPEN,
    DifferenceKind: DifferenceKind.GHOST_ORDER,
    ParentKind: ParentKind.OCO,
    ParentState: ParentState.WORKING,
    Scope: Scope.BOT,
    TriggerSource: TriggerSource.MID,
    tuple[tuple[str, str], ...]: (("name", "value"),),
}
INTENT = OrderIntent(1, 2, 3, "id", 6, 1, 0, 0, 0, 1, 5, 7, TimeInForce.IOC, 9)


def sample(kind: type[Message]) -> Message:
    """A message of a kind with a number in each field that says which field it is."""
    values: list[object] = []
    for place, field in enumerate(msgspec.structs.fields(kind)):
        if field.type is int:
            values.append(place + 1)
        elif field.type == tuple[OrderIntent, ...]:
            values.append((INTENT, INTENT))
        else:
            values.append(INTENT if field.type is OrderIntent else VALUES[field.type])
    return kind(*values)


def test_reads_what_earlier_versions_wrote() -> None:
    """A journal of before fields were added: those have their defaults, the others their values."""
    from tests.golden import EARLIER

    for name, data in EARLIER:
        kind = next(kind for kind in KINDS if kind.__name__ == name)
        fields = msgspec.structs.fields(kind)
        message, now = decode(bytes.fromhex(data)), sample(kind)
        size = len(msgspec.msgpack.decode(bytes.fromhex(data))) - 1
        assert size < len(fields)
        for place, field in enumerate(fields):
            expected = getattr(now, field.name) if place < size else field.default
            assert getattr(message, field.name) == expected, field.name


def golden() -> dict[str, str]:
    """The encodings as they were when each message was made."""
    from tests.golden import ENCODINGS

    return ENCODINGS


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_encodes_as_it_always_did(kind: type[Message]) -> None:
    """Fields are only ever added at the end: the golden bytes still decode to the same message."""
    message = sample(kind)
    assert encode(message).hex() == golden()[kind.__name__]
    assert decode(encode(message)) == message


def test_every_message_has_a_golden_encoding() -> None:
    """No message joins or leaves the vocabulary unnoticed."""
    assert set(golden()) == {kind.__name__ for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_truncation_is_one_named_error(kind: type[Message]) -> None:
    """Cut anywhere, it is a MessageError that says how long it was; it never is another message."""
    data = encode(sample(kind))
    for length in range(len(data)):
        with pytest.raises(MessageError, match=f"{length} bytes"):
            decode(data[:length])


@pytest.mark.parametrize(
    "value",
    [None, [], ["Nobody", 1], ["Fill"], {"type": "Fill"}, ["Started", 1, 2, 3, "x"], 7],
    ids=str,
)
def test_what_is_no_message_is_refused(value: object) -> None:
    """Well-formed MessagePack of another kind."""
    with pytest.raises(MessageError):
        decode(msgspec.msgpack.encode(value))
