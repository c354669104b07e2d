"""What goes wrong at a venue of the simulated exchange, by hand or by a seeded plan.

It only decides and keeps the record; the front and the racing exchange do what it says. Each fault
draws from a generator of its own, so the same seed decides the same for the same requests, and one
fault more does not change what the others do. Whatever struck is counted and listed.
"""

from collections import deque
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from random import Random
from typing import NamedTuple

from engine.exchange.wires.wire import Failure
from engine.fault_config import FaultConfig, FaultKind

NEVER = 1 << 62
SECOND_NS = 1_000_000_000
DONE_KEPT = 10_000
BAN_TIMES = 2
"""So many times as long as a 429 asked for is the ban of a client that did not wait."""

OF_REQUESTS = frozenset(
    {
        FaultKind.TIMEOUT_DONE,
        FaultKind.TIMEOUT_NOT_DONE,
        FaultKind.ERROR_DONE,
        FaultKind.ERROR_NOT_DONE,
        FaultKind.OVERLOADED,
        FaultKind.SLOW,
        FaultKind.RATE_LIMIT,
        FaultKind.REJECTED,
    }
)
OF_FRAMES = frozenset({FaultKind.DROP_FRAME, FaultKind.REPEAT_FRAME})
OF_ORDERS = frozenset({FaultKind.FILL_BEFORE_CANCEL, FaultKind.PARTIAL_FILL})
OF_TIME = frozenset({FaultKind.CLOCK_SKEW, FaultKind.MAINTENANCE, FaultKind.DISCONNECT})
"""These begin and end by the clock; all others wait for something to strike."""


class Asked(NamedTuple):
    """What a fault looks at: a request, a frame that leaves, an order or a book."""

    wire: str = ""
    account: str = ""
    symbol: str = ""
    endpoint: str = ""
    text: bytes = b""


class Struck(NamedTuple):
    """A fault that struck: which (its number), whom, when, and what was hit."""

    number: int
    fault: int
    kind: FaultKind
    wire: str
    account: str
    what: str
    time_ns: int


FAILURES = {
    FaultKind.ERROR_DONE: Failure.UNAVAILABLE,
    FaultKind.ERROR_NOT_DONE: Failure.UNAVAILABLE,
    FaultKind.OVERLOADED: Failure.OVERLOADED,
    FaultKind.RATE_LIMIT: Failure.RATE_LIMITED,
    FaultKind.REJECTED: Failure.REJECTED,
    FaultKind.MAINTENANCE: Failure.MAINTENANCE,
}


class Strike(NamedTuple):
    """What is to become of a request; the failure is what the client is told, if anything."""

    kind: FaultKind
    failure: Failure | None
    retry_after_s: int
    delay_ns: int


class Turn(NamedTuple):
    """A fault of time began or ended."""

    fault: FaultConfig
    began: bool


class Armed:
    """One fault that was set: when it is on, and how often it may still strike."""

    def __init__(self, number: int, fault: FaultConfig, seed: str, now_ns: int) -> None:
        self.number = number
        self.fault = fault
        self.left = fault.count or NEVER
        self.begin_ns = now_ns + int(fault.from_s * SECOND_NS)
        self.end_ns = self._end_ns()
        self.on = False
        self._chance = Random(f"{seed}/chance")
        self._times = Random(f"{seed}/times")

    def _end_ns(self) -> int:
        if self.fault.kind is FaultKind.DISCONNECT:
            return self.begin_ns + 1
        lasts_ns = int(self.fault.for_s * SECOND_NS)
        return self.begin_ns + lasts_ns if lasts_ns else NEVER

    def active(self, now_ns: int) -> bool:
        """Whether it may strike now; goes on to its next time when this one is over."""
        while now_ns >= self.end_ns:
            if not self.fault.every_s:
                return False
            self.go_on()
        return now_ns >= self.begin_ns and self.left > 0

    def go_on(self) -> None:
        """To the next time it comes; without one it is over."""
        if not self.fault.every_s:
            self.begin_ns = self.end_ns = NEVER
            return
        away_ns = int(self._times.expovariate(1.0 / self.fault.every_s) * SECOND_NS)
        self.begin_ns = self.end_ns + away_ns
        self.end_ns = self._end_ns()

    def hits(self, asked: Asked) -> bool:
        """Whether it is meant."""
        fault = self.fault
        return (
            fault.wire in ("", asked.wire)
            and fault.account in ("", asked.account)
            and fault.symbol in ("", asked.symbol)
            and (
                not fault.endpoint
                or fnmatchcase(asked.endpoint, fault.endpoint)
                or (bool(asked.text) and fault.endpoint.encode() in asked.text)
            )
        )

    def draw(self) -> bool:
        """Whether it strikes this time."""
        if self.fault.chance < 1.0 and self._chance.random() >= self.fault.chance:
            return False
        self.left -= 1
        return True


class Limited(NamedTuple):
    """A client that was told to wait, or is banned because it did not."""

    until_ns: int
    armed: Armed
    banned: bool


class Faults:
    """The faults of one venue; see the module."""

    def __init__(
        self, seed: int, venue: str, plan: Sequence[FaultConfig] = (), begin_ns: int = 0
    ) -> None:
        self.struck: deque[Struck] = deque(maxlen=DONE_KEPT)
        self.counts: dict[FaultKind, int] = {}
        self.bans = 0
        self.skew_ns = 0
        self.of_accounts = False
        self.gaps = False
        self.races = False
        self._seed = f"faults/{seed}/{venue}"
        self._number = 0
        self._total = 0
        self._armed: list[Armed] = []
        self._maintained: list[Armed] = []
        self._asked: list[Armed] = []
        self._frames: list[Armed] = []
        self._timed: list[Armed] = []
        self._limited: dict[tuple[str, str], Limited] = {}
        self._due_ns = NEVER
        for fault in plan:
            if fault.venue in ("", venue):
                self.set(fault, begin_ns)

    # --- setting ----------------------------------------------------------------------------------

    def set(self, fault: FaultConfig, now_ns: int) -> int:
        """Arm a fault from now on; its number."""
        self._number += 1
        seed = f"{self._seed}/{self._number}"
        self._armed.append(Armed(self._number, fault, seed, now_ns))
        self._sort()
        return self._number

    def clear(self, number: int, now_ns: int) -> list[Turn]:
        """Disarm one fault, or all (0); what was on ends. Raises LookupError."""
        gone = [armed for armed in self._armed if number in (0, armed.number)]
        if number and not gone:
            raise LookupError(f"no fault has the number {number}")
        self._armed = [armed for armed in self._armed if armed not in gone]
        self._sort()
        if not number:
            self._limited.clear()
        turns = [Turn(armed.fault, False) for armed in gone if armed.on]
        self._state(now_ns)
        return turns

    def _sort(self) -> None:
        """Each kind where it is looked for, and whether anything asks for an account."""
        self._asked = [a for a in self._armed if a.fault.kind in OF_REQUESTS]
        self._frames = [a for a in self._armed if a.fault.kind in OF_FRAMES]
        self._timed = [a for a in self._armed if a.fault.kind in OF_TIME]
        self.of_accounts = any(
            a.fault.account or a.fault.kind is FaultKind.RATE_LIMIT for a in self._armed
        )
        kinds = {armed.fault.kind for armed in self._armed}
        self.gaps = FaultKind.GAP in kinds
        self.races = bool(kinds & OF_ORDERS)
        self._due_ns = min((self._next_ns(a) for a in self._timed), default=NEVER)

    def armed(self) -> list[tuple[int, FaultConfig, bool, int]]:
        """All that are set: number, fault, whether its time has come, how often it may still strike."""
        return [
            (a.number, a.fault, a.on or a.fault.kind not in OF_TIME, a.left if a.fault.count else 0)
            for a in self._armed
        ]

    # --- time ---------------------------------------------------------------------------------------

    @staticmethod
    def _next_ns(armed: Armed) -> int:
        if armed.left <= 0 and not armed.on:
            return NEVER
        return armed.end_ns if armed.on else armed.begin_ns

    def due_ns(self) -> int:
        """When a fault of time begins or ends next."""
        return self._due_ns

    def turn(self, now_ns: int) -> list[Turn]:
        """The faults of time that begin or end by now, in order of their numbers."""
        turns = []
        for armed in self._timed:
            while self._next_ns(armed) <= now_ns:
                if armed.on:
                    armed.on = False
                    armed.go_on()
                    turns.append(Turn(armed.fault, False))
                elif armed.draw():
                    armed.on = True
                    turns.append(Turn(armed.fault, True))
                    self.note(armed, Asked(wire=armed.fault.wire), "", now_ns)
                else:
                    armed.go_on()
        self._state(now_ns)
        return turns

    def _state(self, now_ns: int) -> None:
        on = [armed for armed in self._timed if armed.on]
        self.skew_ns = sum(armed.fault.skew_ms for armed in on) * 1_000_000
        self._maintained = [a for a in on if a.fault.kind is FaultKind.MAINTENANCE]
        self._due_ns = min((self._next_ns(armed) for armed in self._timed), default=NEVER)

    # --- striking -----------------------------------------------------------------------------------

    def note(self, armed: Armed, asked: Asked, what: str, now_ns: int) -> None:
        """It struck: count it and write it down."""
        kind = armed.fault.kind
        self._total += 1
        self.counts[kind] = self.counts.get(kind, 0) + 1
        what = what or asked.endpoint or asked.symbol
        self.struck.append(
            Struck(self._total, armed.number, kind, asked.wire, asked.account, what, now_ns)
        )

    def of_request(self, asked: Asked, now_ns: int) -> Strike | None:
        """What befalls a request that arrives now; None when nothing does."""
        for armed in self._maintained:
            if armed.hits(asked):
                wait_s = armed.fault.retry_after_s
                return Strike(FaultKind.MAINTENANCE, Failure.MAINTENANCE, wait_s, 0)
        if self._limited and (strike := self._of_ban(asked, now_ns)) is not None:
            return strike
        for armed in self._asked:
            if armed.active(now_ns) and armed.hits(asked) and armed.draw():
                fault = armed.fault
                kind, wait_s = fault.kind, fault.retry_after_s
                self.note(armed, asked, "", now_ns)
                if kind is FaultKind.RATE_LIMIT:
                    until_ns = now_ns + wait_s * SECOND_NS
                    self._limited[asked.wire, asked.account] = Limited(until_ns, armed, False)
                return Strike(kind, FAILURES.get(kind), wait_s, fault.delay_ms * 1_000_000)
        return None

    def _of_ban(self, asked: Asked, now_ns: int) -> Strike | None:
        """Who asks again before the time that a 429 named is banned, once, for longer."""
        key = (asked.wire, asked.account)
        limited = self._limited.get(key)
        if limited is None:
            return None
        if now_ns >= limited.until_ns or limited.armed not in self._asked:
            del self._limited[key]
            return None
        if not limited.banned:
            wait_ns = limited.armed.fault.retry_after_s * BAN_TIMES * SECOND_NS
            limited = self._limited[key] = Limited(now_ns + wait_ns, limited.armed, True)
            self.bans += 1
        self.note(limited.armed, asked, f"banned: {asked.endpoint}", now_ns)
        wait_s = -((now_ns - limited.until_ns) // SECOND_NS)
        return Strike(FaultKind.RATE_LIMIT, Failure.BANNED, wait_s, 0)

    @property
    def of_requests(self) -> bool:
        """Whether requests have to be looked at."""
        return bool(self._asked or self._maintained)

    @property
    def maintenance(self) -> bool:
        """Whether the venue is being maintained."""
        return bool(self._maintained)

    @property
    def of_frames(self) -> bool:
        """Whether frames that leave have to be looked at."""
        return bool(self._frames)

    def of_frame(self, asked: Asked, now_ns: int) -> int:
        """How often a frame leaves: 0, 1 or 2 times."""
        for armed in self._frames:
            if armed.active(now_ns) and armed.hits(asked) and armed.draw():
                what = asked.text[:80].decode(errors="replace")
                self.note(armed, asked, what, now_ns)
                return 0 if armed.fault.kind is FaultKind.DROP_FRAME else 2
        return 1

    def of_kind(
        self, kind: FaultKind, asked: Asked, now_ns: int, what: str | Callable[[FaultConfig], str]
    ) -> FaultConfig | None:
        """The fault of a kind that strikes now; None when none does.

        `what` says what a fault would hit, and '' where it can hit nothing: then it does not strike.
        """
        for armed in self._armed:
            if armed.fault.kind is kind and armed.active(now_ns) and armed.hits(asked):
                text = what if isinstance(what, str) else what(armed.fault)
                if text and armed.draw():
                    self.note(armed, asked, text, now_ns)
                    return armed.fault
        return None
