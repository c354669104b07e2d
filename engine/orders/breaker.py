"""A venue's circuit breaker: after failures nothing is begun there until a probe has succeeded.

Closed, all passes. So many failures in a row open it, and so does the venue telling us to stay away. Open,
nothing new is begun; a cancel still tries, unless the venue told us to stay away. After
timeout x 2^failed probes, ten times the timeout at most, it is half open: one request at a time that
opens no exposure is the probe, and its success closes the breaker.
"""

import msgspec

from engine.messages import Circuit
from engine.orders.lanes import Lane

OUTCOMES = 100
OUTCOMES_MIN = 20
BACKOFF_MAX = 10
HEALTHY = 100
HALF_HEALTHY = 50
BPS = 10_000
LOOK_NS = 50_000_000
"""How often what an open breaker holds is looked at: a wait of its own would be told to nobody."""


class Breaker(msgspec.Struct):
    """See the module; the whole of it is its state. `outcomes` are the last calls, the oldest first."""

    failures_max: int
    timeout_ns: int
    circuit: Circuit = Circuit.CLOSED
    in_a_row: int = 0
    probes_failed: int = 0
    retry_at_ns: int = 0
    away_until_ns: int = 0
    held: bool = False  # by an operator
    probing: bool = False
    opened: int = 0
    outcomes: list[bool] = []

    def lets(self, lane: Lane, now_ns: int) -> bool:
        """Whether a request of a lane may leave now."""
        if self.circuit is Circuit.CLOSED:
            return True
        if now_ns < self.away_until_ns:
            return False
        if lane is Lane.CANCEL:
            return True
        if self.held:
            return lane is Lane.DATA
        if self.circuit is Circuit.OPEN and now_ns >= self.retry_at_ns:
            self.circuit, self.probing = Circuit.HALF_OPEN, False
        return self.circuit is Circuit.HALF_OPEN and not self.probing and lane is not Lane.OPEN

    def look_again_ns(self, now_ns: int) -> int:
        """When to look again whether what waits may leave; at once where nothing is held."""
        if self.circuit is Circuit.CLOSED:
            return now_ns
        return max(self.away_until_ns, now_ns + LOOK_NS)

    def left(self) -> None:
        """A call left; half open it is the probe."""
        self.probing = self.circuit is Circuit.HALF_OPEN

    def succeeded(self) -> None:
        """A call was answered as it should be, if only with a refusal of what it asked for."""
        self._note(True)
        self.in_a_row = 0
        if self.circuit is Circuit.HALF_OPEN:
            self._close()

    def failed(self, now_ns: int) -> None:
        """A call was not answered, or the venue said that it is not well."""
        self._note(False)
        self.in_a_row += 1
        if self.circuit is Circuit.HALF_OPEN:
            self.probes_failed += 1
            self._open(now_ns)
        elif self.circuit is Circuit.CLOSED and self.in_a_row >= self.failures_max:
            self._open(now_ns)

    def stay_away(self, wait_ns: int, now_ns: int) -> None:
        """The venue told the whole host to wait: nothing leaves before, no cancel either."""
        self.away_until_ns = max(self.away_until_ns, now_ns + wait_ns)
        self._open(now_ns)
        self.retry_at_ns = max(self.retry_at_ns, self.away_until_ns)

    def set(self, held: bool, now_ns: int) -> None:
        """An operator opens it until they close it, or closes it whatever came before."""
        self.held = held
        if held:
            self._open(now_ns)
        else:
            self.away_until_ns = 0
            self._close()

    def _open(self, now_ns: int) -> None:
        if self.circuit is not Circuit.OPEN:
            self.opened += 1
        self.circuit, self.probing = Circuit.OPEN, False
        times = min(1 << min(self.probes_failed, 8), BACKOFF_MAX)
        self.retry_at_ns = now_ns + self.timeout_ns * times

    def _close(self) -> None:
        self.circuit, self.probing = Circuit.CLOSED, False
        self.in_a_row = self.probes_failed = 0

    def _note(self, success: bool) -> None:
        self.outcomes.append(success)
        if len(self.outcomes) > OUTCOMES:
            del self.outcomes[0]

    @property
    def success_bps(self) -> int:
        """How many of the last calls succeeded, in ten thousandths; the first few alone say little."""
        count = max(len(self.outcomes), OUTCOMES_MIN)
        return (count - self.outcomes.count(False)) * BPS // count

    @property
    def health(self) -> int:
        """0 to 100: the share that succeeded; 0 while it is open, at most 50 half open."""
        if self.circuit is Circuit.OPEN:
            return 0
        top = HEALTHY if self.circuit is Circuit.CLOSED else HALF_HEALTHY
        return min(top, self.success_bps * HEALTHY // BPS)
