"""Where an order of ours stands in a queue that only shows its size, and the models that guess it.

A feed of levels says how many lots wait at a price, not whose and not in which order. When the level
grows, the new lots are behind us; when somebody trades there, those in front go first. What stays
open is a level that shrinks without a trade: were those lots ahead of us or behind? A model answers
with the share that was ahead, from the lots ahead of us and behind us just before:

- `pessimistic`: 0. Everybody ahead stays; only trades move us on, and a level smaller than what we
  believed to be ahead.
- `power`: ahead**n / (ahead**n + behind**n). With n = 1 every lot is as likely to be cancelled as any
  other; a greater n says that whoever is in the larger part of the queue leaves.
- `log`: log(1 + ahead) / (log(1 + ahead) + log(1 + behind)).
- `exact`: no guess. The feed tells every order, so who is ahead is known by name; see `ExactPlace`.

The power and log forms are those of hftbacktest's documentation (Order Fill, ProbQueueModel), which
takes them from E. Rigtorp, "Estimating order queue position" (2013). They are expectations: the same
share is taken each time, no dice are thrown.

A trade and the change of the level it made arrive as two messages, in either order. Both must count
once. So a place remembers, for `skew_ns`, trades that no level has shown yet and losses that no trade
has explained yet. A trade that explains an earlier loss first takes back what the loss was believed
to have moved us: the trade says better who it was.
"""

from collections import deque
from math import floor, inf, log1p
from typing import Protocol

NOT_SEEN = -1
ENTRIES_MAX = 64
ROUNDING = 1e-9


class QueueModel(Protocol):
    """Which part of a loss that no trade explains was ahead of us, from 0 to 1."""

    name: str

    def share(self, ahead: float, behind: float) -> float:
        """The share, given the lots ahead of us and behind us before the loss."""


class Pessimistic:
    """Whoever leaves was behind us."""

    name = "pessimistic"

    def share(self, ahead: float, behind: float) -> float:
        """See `QueueModel`."""
        return 0.0


class Power:
    """f(x) = x**n; n is above 0."""

    name = "power"

    def __init__(self, n: float = 1.0) -> None:
        if not 0 < n < inf:
            raise ValueError(f"the power of a queue model is above 0, not {n}")
        self.n = n

    def share(self, ahead: float, behind: float) -> float:
        """See `QueueModel`; the ratio is taken first, so that no power overflows."""
        if ahead <= 0:
            return 0.0
        if behind <= 0:
            return 1.0
        if ahead >= behind:
            return float(1.0 / (1.0 + (behind / ahead) ** self.n))
        ratio = float((ahead / behind) ** self.n)
        return ratio / (1.0 + ratio)


class Log:
    """f(x) = log(1 + x)."""

    name = "log"

    def share(self, ahead: float, behind: float) -> float:
        """See `QueueModel`."""
        if ahead <= 0:
            return 0.0
        front = log1p(ahead)
        return front / (front + log1p(max(behind, 0.0)))


EXACT = "exact"
NAMES = ("pessimistic", "power", "log", EXACT)


def queue_model(name: str, power: float = 1.0) -> QueueModel | None:
    """The model of a name; None for `exact`, which needs none. Raises ValueError."""
    match name:
        case "pessimistic":
            return Pessimistic()
        case "power":
            return Power(power)
        case "log":
            return Log()
        case "exact":
            return None
    raise ValueError(f"no queue model {name!r}; there are {', '.join(NAMES)}")


class _Recent:
    """An amount, of which each part is forgotten some time after it came."""

    __slots__ = ("_parts", "total")

    def __init__(self) -> None:
        self.total = 0.0
        self._parts: deque[list[float]] = deque()

    def add(self, amount: float, at_ns: int) -> None:
        if amount > 0:
            if len(self._parts) == ENTRIES_MAX:  # of too many the oldest two become one
                oldest = self._parts.popleft()
                self._parts[0][1] += oldest[1]
            self._parts.append([at_ns, amount])
            self.total += amount

    def take(self, amount: float) -> float:
        """Take out as much as there is, the oldest first; how much that was."""
        taken = 0.0
        while self._parts and taken < amount:
            part = self._parts[0]
            piece = min(part[1], amount - taken)
            taken += piece
            part[1] -= piece
            if part[1] <= 0:
                self._parts.popleft()
        self.total = self.total - taken if self._parts else 0.0
        return taken

    def forget(self, before_ns: int) -> None:
        while self._parts and self._parts[0][0] < before_ns:
            self.total -= self._parts.popleft()[1]
        if not self._parts:
            self.total = 0.0


class Place(Protocol):
    """Where an order of ours stands: others' lots ahead of it and behind it, and what may change that.

    A feed tells either levels (`shown`, `unseen`) or orders (`joined`, `left`); each place takes what
    it can use and lets the other pass.
    """

    @property
    def ahead(self) -> float:
        """Lots before us: infinite while the level was never seen since we joined."""

    @property
    def behind(self) -> float:
        """Lots after us."""

    def traded(self, lots: int, least: float, now_ns: int) -> tuple[int, float]:
        """Lots traded at our price, those with orders of ours ahead of this one left out.

        Told before `shown` or `left`. `least` is how many lots of others were ahead of the last of
        those, and so of this one too. Gives the lots that are for us, and that number for this one.
        """

    def passed(self) -> None:
        """The market went through our price: nobody is ahead any more."""

    def shown(self, lots: int, now_ns: int) -> None:
        """The level has so many lots now."""

    def unseen(self) -> None:
        """The level is beyond what the feed shows: nothing is learned until it is back."""

    def joined(self, lots: int) -> None:
        """An order of so many lots came after us."""

    def left(self, order: int, lots: int) -> None:
        """An order at our price lost lots, traded or not."""


class GuessedPlace:
    """A place in a queue of which only the size is shown, as a model guesses it.

    `skew_ns` is how far apart a trade and the change of the level it made may be told.
    """

    __slots__ = ("_credited", "_dropped", "_level", "_model", "_skew_ns", "_trades", "ahead")

    def __init__(self, model: QueueModel, level: int, skew_ns: int) -> None:
        self._model = model
        self._skew_ns = skew_ns
        self._level = level
        self.ahead = inf if level == NOT_SEEN else float(level)
        self._trades = _Recent()  # lots traded that no level has shown yet
        self._dropped = _Recent()  # lots lost that no trade has explained yet
        self._credited = _Recent()  # how far we moved on for those

    @property
    def behind(self) -> float:
        """See `Place`; 0 while the level is not seen."""
        return self._behind(self._level)

    def _behind(self, level: int) -> float:
        return max(0.0, level - self._trades.total - self.ahead)

    def traded(self, lots: int, least: float, now_ns: int) -> tuple[int, float]:
        """See `Place`: what those ahead leave is for us."""
        self._forget(now_ns)
        shown = self._dropped.take(lots)
        front = max(self.ahead + self._credited.take(lots), least)
        self._trades.add(min(lots - shown, self._level - self._trades.total), now_ns)
        self.ahead = max(0.0, front - lots)
        left = lots - front
        return (floor(left + ROUNDING) if left > 0 else 0), front

    def shown(self, lots: int, now_ns: int) -> None:
        """See `Place`."""
        before, self._level = self._level, lots
        if before == NOT_SEEN:
            self.ahead = min(self.ahead, float(lots))
            return
        if lots < before:
            self._lost(before, before - lots, now_ns)

    def _lost(self, before: int, lost: int, now_ns: int) -> None:
        self._forget(now_ns)
        behind = self._behind(before)
        unexplained = lost - self._trades.take(lost)
        share = self._model.share(self.ahead, behind) if unexplained > 0 else 0.0
        ahead = min(max(0.0, self.ahead - unexplained * share), float(self._level))
        self._dropped.add(unexplained, now_ns)
        self._credited.add(self.ahead - ahead, now_ns)
        self.ahead = ahead

    def unseen(self) -> None:
        """See `Place`."""
        self._level = NOT_SEEN

    def passed(self) -> None:
        """See `Place`."""
        self.ahead = 0.0

    def joined(self, lots: int) -> None:
        """See `Place`: the level tells."""

    def left(self, order: int, lots: int) -> None:
        """See `Place`: the level tells."""

    def _forget(self, now_ns: int) -> None:
        before_ns = now_ns - self._skew_ns
        self._trades.forget(before_ns)
        self._dropped.forget(before_ns)
        self._credited.forget(before_ns)


class ExactPlace:
    """A place in a queue of known orders: by name, who was there before us, and who came after."""

    __slots__ = ("_others", "ahead", "behind")

    def __init__(self, others: dict[int, int]) -> None:
        self._others = dict(others)
        self.ahead = float(sum(others.values()))
        self.behind = 0.0

    def traded(self, lots: int, least: float, now_ns: int) -> tuple[int, float]:
        """See `Place`: none is for us while anybody is ahead, else all."""
        return (0 if self._others else lots), self.ahead

    def passed(self) -> None:
        """See `Place`."""
        self._others.clear()
        self.ahead = 0.0

    def shown(self, lots: int, now_ns: int) -> None:
        """See `Place`: the orders tell."""

    def unseen(self) -> None:
        """See `Place`: the orders tell."""

    def joined(self, lots: int) -> None:
        """See `Place`."""
        self.behind += lots

    def left(self, order: int, lots: int) -> None:
        """See `Place`."""
        was = self._others.get(order)
        if was is None:
            self.behind -= lots
            return
        self.ahead -= lots
        if was > lots:
            self._others[order] = was - lots
        else:
            del self._others[order]
