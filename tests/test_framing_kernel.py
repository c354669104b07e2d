"""The framing kernel against its twin: the same bytes written, the same records read, cut or damaged."""

from hypothesis import given
from hypothesis import strategies as st

from ext import framing
from tests.twins import framing as twin

RECORDS = st.lists(
    st.tuples(st.integers(-(2**63), 2**63 - 1), st.binary(min_size=1, max_size=60)), max_size=12
)
ALWAYS = (-(2**63), 2**63 - 1)


def written(records: list[tuple[int, bytes]], spare: int = 64) -> bytes:
    """A buffer with these records and zeros behind them."""
    room = sum(len(data) + framing.FRAME_BYTES for _, data in records) + spare
    memory = bytearray(room)
    writer = framing.Writer(memory, 0)
    for now_ns, data in records:
        assert writer.append(data, now_ns)
    return bytes(memory)


@given(RECORDS)
def test_what_is_written_is_what_the_twin_writes(records: list[tuple[int, bytes]]) -> None:
    """Byte for byte, alone and several of one time together."""
    ours = written(records)
    theirs = b"".join(twin.framed(data, now_ns) for now_ns, data in records)
    assert ours == theirs + bytes(64)
    memory = bytearray(len(ours))
    payloads = [data for _, data in records]
    assert framing.Writer(memory, 0).append_all(payloads, 77)
    assert bytes(memory) == b"".join(twin.framed(data, 77) for data in payloads) + bytes(64)


@given(RECORDS, st.data())
def test_what_is_read_is_what_the_twin_reads(
    records: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    """Whole, cut anywhere, or with any byte of it changed; and where the next whole one stands."""
    buffer = bytearray(written(records, spare=data.draw(st.integers(4, 40))))
    if data.draw(st.booleans()):
        buffer[data.draw(st.integers(0, len(buffer) - 1))] ^= data.draw(st.integers(1, 255))
    del buffer[data.draw(st.integers(0, len(buffer))) :]
    raw, count = bytes(buffer), data.draw(st.integers(0, 14))
    assert framing.scan(raw, 0, count) == twin.scan(raw, 0, count)
    found, at, why = twin.scan(raw, 0, 100)
    assert framing.count_whole(raw, 0) == (len(found), at, why)
    begin = data.draw(st.integers(0, len(raw)))
    assert framing.find_next(raw, begin, *ALWAYS) == twin.find_next(raw, begin, *ALWAYS)
    assert framing.find_next(raw, begin, 0, 2**40) == twin.find_next(raw, begin, 0, 2**40)


@given(RECORDS, st.integers(0, 200))
def test_what_has_no_room_is_not_written(records: list[tuple[int, bytes]], room: int) -> None:
    """All or nothing, and four zeros stay behind the last record."""
    memory = bytearray(room)
    writer = framing.Writer(memory, 0)
    payloads = [data for _, data in records]
    needed = sum(len(data) + framing.FRAME_BYTES for data in payloads) + 4
    assert writer.append_all(payloads, 5) is (needed <= room)
    if needed > room:
        assert not any(memory)
    assert not writer.append(b"", 5), "nothing is no record: its length would be the end"
