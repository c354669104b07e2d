"""A Venue component that hears a recording and nothing else, by the recording's own time.

So whoever needs to know what a recorded market was asks the component that trades: the same decoding,
the same books, the same checks.
"""

from collections.abc import Callable

from engine.component import Outputs
from engine.messages import (
    AnyMessage,
    Connected,
    Disconnected,
    Frame,
    SetTimer,
    Started,
    TimerFired,
)
from engine.venue import Venue

CONNECTED = 10  # kinds beside those of `Frame`: what happened to a connection
DISCONNECTED = 11
UNWATCHED_NS = 3_600_000_000_000

Recorded = tuple[int, int, int, str, bytes]
"""When (ns), on which connection, the kind, what it answers or why the connection was lost, the bytes."""


class Hearing:
    """See the module; `told` is given what follows from each message, and when."""

    def __init__(self, venue: Venue, told: Callable[[Outputs, int], None]) -> None:
        self.sequence = 0
        self.due: dict[int, int] = {}
        self._venue = venue
        self._told = told

    def start(self) -> None:
        """Before anything is heard."""
        self._take(Started(0, self._next(), 0, 1), 0)

    def hear(self, recorded: Recorded) -> None:
        """What was recorded, after the time until then has passed."""
        at_ns, connection, kind, about, payload = recorded
        number, venue = self._next(), self._venue.venue
        message: AnyMessage
        if kind == CONNECTED:
            message = Connected(0, number, 0, venue, connection)
        elif kind == DISCONNECTED:
            message = Disconnected(0, number, 0, venue, connection, about)
        else:
            message = Frame(0, number, at_ns, venue, connection, kind, payload, about)
        self.take(message, at_ns)

    def take(self, message: AnyMessage, at_ns: int) -> None:
        """A message, after the time until then has passed."""
        self.wait(at_ns)
        self._take(message, at_ns)

    def _next(self) -> int:
        self.sequence += 1
        return self.sequence

    def wait(self, now_ns: int) -> None:
        """Time passes: the venue's timers up to then."""
        while self.due and min(self.due.values()) <= now_ns:
            key = min(self.due, key=lambda each: self.due[each])
            due_ns = self.due.pop(key)
            at_ns = due_ns or now_ns
            self._take(TimerFired(0, self._next(), 0, self._venue.sender, key), at_ns)
            if now_ns - at_ns > UNWATCHED_NS:  # between recordings nobody watched
                self.due = dict.fromkeys(self.due, now_ns)

    def _take(self, message: AnyMessage, now_ns: int) -> None:
        outputs = self._venue.on_message(message, now_ns)
        for output in outputs:
            if isinstance(output, SetTimer):
                self.due[output.key] = output.at_ns
        self._told(outputs, now_ns)
