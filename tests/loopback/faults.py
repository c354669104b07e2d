"""What can go wrong between an exchange and its client, and how a schedule of it is drawn."""

from enum import Enum
from typing import NamedTuple

from hypothesis import strategies as st


class Kind(Enum):
    """A fault. Those of the first group befall the next frame of a connection."""

    DROP = "a frame is lost"
    DUPLICATE = "a frame comes twice"
    REORDER = "a frame comes after some that are behind it"
    TRUNCATE = "a frame is cut"
    GARBAGE = "an extra frame that means nothing"
    SLOW = "frames are held and then come in one burst"

    CLOSE = "the connection is closed"
    HALF_OPEN = "the connection stays open and says nothing any more, not even to a ping"
    BAN = "the next handshakes and requests are refused with 429 or 418"
    STORM = "the next connections are closed at once"

    HTTP_ERROR = "the next requests get status 500"
    HTTP_LATE = "the answer is held for some steps"
    HTTP_STALE = "the answer is some changes old"
    HTTP_CUT = "the answer is cut"
    HTTP_NEVER = "no answer"


OF_FRAMES = (
    Kind.DROP,
    Kind.DUPLICATE,
    Kind.REORDER,
    Kind.TRUNCATE,
    Kind.GARBAGE,
    Kind.SLOW,
)
OF_CONNECTIONS = (Kind.CLOSE, Kind.HALF_OPEN, Kind.BAN, Kind.STORM)
OF_HTTP = (Kind.HTTP_ERROR, Kind.HTTP_LATE, Kind.HTTP_STALE, Kind.HTTP_CUT, Kind.HTTP_NEVER)
UNSEEN = (Kind.DROP, Kind.REORDER, Kind.HTTP_STALE)
"""What an exchange that numbers nothing lets nobody see."""


class Fault(NamedTuple):
    """A fault at a step, on the `line`th open connection; `amount` is how much or how often.

    A patient one waits until all books are LIVE.
    """

    step: int
    kind: Kind
    line: int = 0
    amount: int = 1
    garbage: bytes = b""
    patient: bool = False


NASTY = (
    b"",
    b"null",
    b"[]",
    b"{}",
    b'[1,"hb",999999]',
    b'{"channel":"heartbeats","sequence_num":999999,"events":[]}',
    b'{"channel":"l2_data","sequence_num":-5,"events":[]}',
    b'{"event":"error","msg":"subscribe: failed"}',
    b'{"op":"subscribe","success":false,"ret_msg":"no"}',
    b'{"data":{"e":"depthUpdate","s":"NKNUSDT","U":1,"u":2}}',
)


def _json() -> st.SearchStrategy[bytes]:
    import json

    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    values = st.recursive(
        leaves,
        lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(max_size=5), v),
        max_leaves=8,
    )
    return values.map(lambda value: json.dumps(value).encode())


def schedules(kinds: tuple[Kind, ...], last: int, most: int) -> st.SearchStrategy[list[Fault]]:
    """Schedules of at most so many faults of some kinds, none after step `last`."""
    fault = st.builds(
        Fault,
        step=st.integers(0, last),
        kind=st.sampled_from(kinds),
        line=st.integers(0, 1),
        amount=st.integers(1, 5),
        patient=st.booleans(),
        garbage=st.binary(max_size=30) | st.sampled_from(NASTY) | _json(),
    )
    return st.lists(fault, min_size=1, max_size=most).map(lambda drawn: sorted(drawn, key=_step))


def _step(fault: Fault) -> int:
    return fault.step
