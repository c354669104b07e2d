"""Where an actor's inputs are kept and its outputs leave: the journal first, then the world.

With the policy `always` what is to leave waits here until the disk has all that led to it; one wait
serves a whole batch of mail.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.edges.actor_journal import ActorJournal
from engine.edges.directory import Counter
from engine.edges.gate import Gate
from engine.messages import AnyMessage, OrderRequest, Reason, SetTimer
from engine.routes import CONFLATED
from engine.runtime import Target, Timers
from ext.page import Page

if TYPE_CHECKING:  # solo runs without the library behind it
    from engine.edges.bus import SharedMemoryBus


class Door:
    """An actor's `engine.runtime.Recorder` and `Outlet`; `refuse` hears of requests held back."""

    def __init__(
        self,
        journal: ActorJournal,
        gate: Gate,
        bus: "SharedMemoryBus | None",
        page: Page,
        timers: Timers,
        refuse: Callable[[OrderRequest, Reason], None],
    ) -> None:
        self._journal = journal
        self._always = journal.always
        self._gate = gate
        self._bus = bus
        self._page = page
        self._timers = timers
        self._refuse = refuse
        self._held: list[tuple[AnyMessage, bytes, tuple[Target, ...]]] = []

    @property
    def holds(self) -> bool:
        """Whether something waits for the disk."""
        return bool(self._held)

    def record(self, raw: bytes, now_ns: int) -> None:
        """See `engine.runtime.Recorder`."""
        assert self._journal.segment is not None
        self._journal.segment.record(raw, now_ns)

    def append(self, records: list[bytes], now_ns: int) -> None:
        """See `engine.runtime.Recorder`."""
        assert self._journal.segment is not None
        self._journal.segment.append(records, now_ns)
        self._page.add(Counter.JOURNAL_RECORDS, len(records))

    def publish(self, message: AnyMessage, encoded: bytes, targets: tuple[Target, ...]) -> None:
        """See `engine.runtime.Outlet`; market data promises nothing and does not wait for the disk."""
        if self._always and type(message) not in CONFLATED:
            self._held.append((message, encoded, targets))
        elif self._bus is not None:
            self._bus.publish(message, encoded, targets)

    def perform(self, effect: AnyMessage) -> None:
        """See `engine.runtime.Outlet`."""
        if isinstance(effect, SetTimer):
            self._timers.set(effect)
        elif self._always:
            self._held.append((effect, b"", ()))
        else:
            self._perform(effect)

    def let_go(self, promised: bool = False) -> None:
        """Once the disk has all that led to it, what was held leaves, in order; raises JournalError.

        `promised`: somebody is about to be told that what they sent is kept.
        """
        if not self._always or not (self._held or promised):
            return
        self._journal.sync()
        held, self._held = self._held, []
        for message, encoded, targets in held:
            if not targets:
                self._perform(message)
            elif self._bus is not None:
                self._bus.publish(message, encoded, targets)

    def _perform(self, effect: AnyMessage) -> None:
        """An order passes the last gate here."""
        if isinstance(effect, OrderRequest):
            reason = self._gate.pass_order(effect)
            if reason is not Reason.NONE:
                self._refuse(effect, reason)
        elif self._gate.gateway is not None:
            self._gate.gateway.perform(effect)
