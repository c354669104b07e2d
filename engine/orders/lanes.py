"""How fast requests may leave for a venue: its budgets, and four lanes that share them.

A budget is so much weight in any window of its length: what left is remembered for that long, in steps,
rounded so that the limit is never passed. Lanes are served in the order cancel, reduce, open, data;
each lower one leaves a share of every budget to those above it, so that a cancel finds room when data
has used its own. What the venue says is used counts where it is more than what we know of.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum

import msgspec

from engine.messages import CallKind
from engine.venues.trading import Budget, Request, UsageSeen

STEPS = 64
NEVER = 1 << 62


class Lane(IntEnum):
    """Who goes first."""

    CANCEL = 0
    REDUCE = 1
    OPEN = 2
    DATA = 3


SHARES = (100, 95, 85, 70)
"""How many percent of a budget may be used when a request of a lane leaves."""
CAPACITIES = (20_000, 1_000, 1_000, 1_000)


class Wish(msgspec.Struct, frozen=True, array_like=True):
    """Something to ask of a venue; its request is made when it leaves, for it bears the time.

    `part` is its place among the requests of its kind. One that its protocol made already is `ready`;
    if it goes on with another, that was asked at those times, by our clock and the venue's.
    """

    kind: CallKind
    name: str = ""
    instrument: int = -1
    part: int = 0
    ready: Request | None = None
    goes_on: tuple[int, int] | None = None


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """A wish in a lane: what it weighs by budget, and until when (ns) it is good; 0 is for ever."""

    wish: Wish
    weights: tuple[tuple[str, int], ...]
    expires_ns: int


class Window(msgspec.Struct):
    """What left in the last `interval_ns`, as [since, weight] in steps; `used` is their sum."""

    limit: int
    interval_ns: int
    steps: list[list[int]] = []
    used: int = 0

    def pass_time(self, now_ns: int) -> None:
        """Forget what is older than the interval."""
        steps, step_ns = self.steps, self.interval_ns // STEPS + 1
        if steps and now_ns < steps[-1][0]:  # our clock was set back: what we know is no older
            back_ns = steps[-1][0] - now_ns
            for step in steps:
                step[0] -= back_ns
        gone = 0
        for since_ns, weight in steps:
            if since_ns + step_ns + self.interval_ns > now_ns:
                break
            self.used -= weight
            gone += 1
        del steps[:gone]

    def room(self, weight: int, lane: Lane) -> bool:
        """Whether so much more may leave; what is too heavy for a lane's share goes alone."""
        after = self.used + weight
        if after * 100 <= self.limit * SHARES[lane]:
            return True
        return self.used == 0 and weight <= self.limit

    def spend(self, weight: int, now_ns: int) -> None:
        """So much leaves now."""
        self.used += weight
        if self.steps and now_ns - self.steps[-1][0] < self.interval_ns // STEPS + 1:
            self.steps[-1][1] += weight
        else:
            self.steps.append([now_ns, weight])

    def room_at(self, weight: int, lane: Lane) -> int:
        """When there will be room, if nothing else leaves; never for what is over the limit."""
        over, step_ns = self.used, self.interval_ns // STEPS + 1
        if self.room(weight, lane):
            return 0
        for since_ns, spent in self.steps:
            over -= spent
            if (over + weight) * 100 <= self.limit * SHARES[lane] or (
                over == 0 and weight <= self.limit
            ):
                return since_ns + step_ns + self.interval_ns
        return NEVER


class LanesState(msgspec.Struct):
    """The whole state, for a snapshot."""

    windows: dict[str, Window]
    queues: list[list[Waiting]]
    shed: int


class Lanes:
    """The budgets of one venue and what waits for them; `shed` counts what found no place."""

    def __init__(self, budgets: Sequence[Budget], sharers: int = 1) -> None:
        """`sharers` is how many venues of the configuration share a host's budgets."""
        self._windows = {
            budget.name: Window(
                max(1, budget.limit // (sharers if budget.per_host else 1)), budget.interval_ns
            )
            for budget in budgets
        }
        self._queues: list[deque[Waiting]] = [deque() for _ in Lane]
        self._wishes: set[Wish] = set()
        self.shed = 0

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return sum(map(len, self._queues))

    @property
    def windows(self) -> Mapping[str, Window]:
        """The budgets by name, for people and tests."""
        return self._windows

    def take(self, lane: Lane, weights: Sequence[tuple[str, int]], now_ns: int) -> bool:
        """Whether a request may leave at once, and then its weight is spent."""
        if self._wishes:
            for queue in self._queues[: lane + 1]:
                held = {name for name, _ in queue[0].weights} if queue else set()
                if queue and (not held or any(name in held for name, _ in weights)):
                    return False
        return not weights or self._spend(lane, weights, now_ns)

    def _spend(self, lane: Lane, weights: Sequence[tuple[str, int]], now_ns: int) -> bool:
        windows = self._windows
        for name, weight in weights:
            window = windows.get(name)
            if window is None:
                continue  # a weight of a budget that the protocol did not declare holds nobody up
            window.pass_time(now_ns)
            if not window.room(weight, lane):
                return False
        for name, weight in weights:
            if name in windows:
                windows[name].spend(weight, now_ns)
        return True

    def wait(self, lane: Lane, waits: Waiting) -> bool:
        """Whether there is a place for it in its lane."""
        queue = self._queues[lane]
        if waits.wish in self._wishes:
            return True  # the one that waits will do
        if len(queue) >= CAPACITIES[lane]:
            self.shed += 1
            return False
        queue.append(waits)
        self._wishes.add(waits.wish)
        return True

    def next(self, now_ns: int, lets: Callable[[Lane], bool]) -> tuple[Lane, Wish] | None:
        """The next wish that may leave now, taken out and spent; `lets` is the breaker's word."""
        held: set[str] = set()
        for lane, queue in zip(Lane, self._queues, strict=True):
            if not queue:
                continue
            names = {name for name, _ in queue[0].weights}
            if names.isdisjoint(held) and lets(lane):
                if self._spend(lane, queue[0].weights, now_ns):
                    wish = queue.popleft().wish
                    self._wishes.discard(wish)
                    return lane, wish
                held |= names
        return None

    def expired(self, now_ns: int) -> list[Wish]:
        """The wishes that waited past their time, taken out."""
        return self._drop(lambda waits: 0 < waits.expires_ns < now_ns)

    def drop(self, unwanted: Callable[[Wish], bool]) -> list[Wish]:
        """The wishes that nobody wants any more, taken out."""
        return self._drop(lambda waits: unwanted(waits.wish))

    def _drop(self, gone: Callable[[Waiting], bool]) -> list[Wish]:
        dropped = []
        for number, queue in enumerate(self._queues):
            late = [waits.wish for waits in queue if gone(waits)]
            if late:
                dropped += late
                self._queues[number] = deque(waits for waits in queue if not gone(waits))
        self._wishes.difference_update(dropped)
        return dropped

    def next_ns(self, now_ns: int) -> int:
        """When the next wish may leave or is too late; NEVER where none waits.

        At the earliest: one that a breaker holds may wait longer.
        """
        due_ns = NEVER
        for lane, queue in zip(Lane, self._queues, strict=True):
            if not queue:
                continue
            room_ns = now_ns
            for name, weight in queue[0].weights:
                if name in self._windows:
                    room_ns = max(room_ns, self._windows[name].room_at(weight, lane))
            late_ns = min((w.expires_ns + 1 for w in queue if w.expires_ns), default=NEVER)
            due_ns = min(due_ns, room_ns, late_ns)
        return due_ns

    def learn(self, seen: UsageSeen, now_ns: int) -> None:
        """What the venue says of a budget: others on the host may use it too."""
        window = self._windows.get(seen.budget)
        if window is None:
            return
        if seen.limit > 0:
            window.limit = seen.limit
        window.pass_time(now_ns)
        if seen.used > window.used:
            window.spend(seen.used - window.used, now_ns)

    def snapshot(self) -> LanesState:
        """The whole state."""
        return LanesState(self._windows, [list(queue) for queue in self._queues], self.shed)

    def restore(self, state: LanesState) -> None:
        """Become what `snapshot` gave."""
        self._windows, self.shed = state.windows, state.shed
        self._queues = [deque(queue) for queue in state.queues]
        self._wishes = {waits.wish for queue in self._queues for waits in queue}
