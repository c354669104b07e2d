"""Cancelling all that we have at a venue, until the venue itself says that none of it rests any more."""

import msgspec

from engine.messages import CallKind, Resting
from engine.orders.calls import Calls
from engine.orders.desk import Desk, Messages
from engine.orders.lanes import Lane, Wish
from engine.orders.pursuit import AGAIN_MAX, Pursuit


class SweepState(msgspec.Struct, array_like=True):
    """The whole state, for a snapshot."""

    on: bool
    looks: int
    due_ns: int


class Sweep:
    """See the module. While it is `on`, what rests is asked for, ever later, and told as `Resting`.

    `at_once` says that the venue may cancel everything on the account, others' orders too.
    """

    def __init__(
        self, desk: Desk, calls: Calls, pursuit: Pursuit, at_once: bool, timeout_ns: int
    ) -> None:
        self.on = False
        self._desk = desk
        self._calls = calls
        self._pursuit = pursuit
        self._at_once = at_once
        self._timeout_ns = timeout_ns
        self._looks = 0
        self._due_ns = 0

    def begin(self, flattening: bool, reachable: bool) -> Messages:
        """Cancel what is open; what flattens only if that is said."""
        self.on, self._looks, self._due_ns = True, 0, 0
        desk, calls, now_ns = self._desk, self._calls, self._desk.now_ns
        messages: Messages = []
        if self._at_once and reachable:
            instruments = {order.intent.instrument for order in desk.open.values()}
            for part, request in enumerate(calls.requests(CallKind.CANCEL_ALL, now_ns)):
                if request.instrument < 0 or request.instrument in instruments:
                    wish = Wish(CallKind.CANCEL_ALL, instrument=request.instrument, part=part)
                    messages += calls.ask(Lane.CANCEL, wish, now_ns) or []
        for name, order in list(desk.open.items()):
            if flattening or order.raises:
                messages += self._pursuit.cancel(name, 0, now_ns)
        return messages + self.tick(reachable)

    def tick(self, reachable: bool) -> Messages:
        """Ask what rests, in its time."""
        now_ns = self._desk.now_ns
        if not self.on or not reachable or now_ns < self._due_ns:
            return []
        self._due_ns = now_ns + (self._timeout_ns << min(self._looks, AGAIN_MAX))
        return self._pursuit.look(now_ns, Lane.CANCEL)

    def found(self, ours: int, foreign: int) -> Messages:
        """So many rest. It is over when none of ours does and none that is unwanted may still come."""
        if not self.on:
            return []
        self._looks += 1
        desk = self._desk
        if ours == 0 and not any(order.unwanted for order in desk.open.values()):
            self.on = False
        return [Resting(desk.sender, desk.stamp(), 0, desk.venue, ours, foreign)]

    def snapshot(self) -> SweepState:
        """The whole state."""
        return SweepState(self.on, self._looks, self._due_ns)

    def restore(self, state: SweepState) -> None:
        """Become what `snapshot` gave."""
        self.on, self._looks, self._due_ns = state.on, state.looks, state.due_ns
