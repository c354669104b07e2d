"""What a component is: a pure state machine, a message and a time in, messages and effects out.

A component changes only its own state. It does no I/O, reads no clock, starts no thread and imports
no Ray; chance comes only from a seeded generator kept in its state. The same object runs in a
backtest, in one process and in a cluster, and cannot tell which.
"""

from typing import ClassVar

from engine.instruments import Instrument, Instruments
from engine.messages import AnyMessage

Outputs = tuple[AnyMessage, ...]
NOTHING: Outputs = ()


class Component:
    """The base of all components: its number, its count of messages sent, and its two copies.

    `kind` is the name by which `engine/routes.py` addresses it. `sender` is its number in the
    topology. `snapshot()` and `restore()` must carry the whole state, `sequence` included: a
    restored component gives exactly the outputs the original would have given.
    """

    kind: ClassVar[str]

    def __init__(self, sender: int, instruments: Instruments) -> None:
        self.sender = sender
        self.sequence = 0
        self.instruments = instruments

    def next_sequence(self) -> int:
        """The number of the next message this component sends."""
        self.sequence += 1
        return self.sequence

    def on_message(self, message: AnyMessage, now_ns: int) -> Outputs:
        """Take one message at a time; give what follows from it, in order."""
        raise NotImplementedError

    def reload(self, number: int, tick_size: str, lot_size: str) -> None:
        """An instrument is on another grid from here on; called between two messages."""
        self.regrid(self.instruments.reload(number, tick_size, lot_size))

    def regrid(self, instrument: Instrument) -> None:
        """Compute again what was computed from an instrument's grid."""

    def open_work(self) -> int:
        """How much is under way and must end before the component may stop; 0 when it is quiet."""
        return 0

    def snapshot(self) -> bytes:
        """The whole state as bytes."""
        raise NotImplementedError

    def restore(self, data: bytes) -> None:
        """Become what `snapshot()` wrote; raises ValueError on bytes of another shape."""
        raise NotImplementedError
