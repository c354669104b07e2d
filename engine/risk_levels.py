"""What raises the RiskGuard's level, and how it comes down: measures in, one level and its cause out.

Each cause asks for a level of its own; the highest counts at once. Below HALT it comes down when all
causes have asked for less, without a break, for `calm_s`; HALT and SHUTDOWN stay until an operator says
otherwise, and not even then below what a cause still asks for. The kill switch is above all of them: it
is HALT while it is on, and off again it leaves the level that there is without it.
"""

import msgspec

from engine.messages import Equity, Reason, Risk, VenueStatus
from engine.risk_config import LevelsConfig, Steps, Waits
from engine.units import INT64_MAX

MS = 1_000_000
SECOND = 1_000_000_000
PPM = 1_000_000
NAMED = {"caution": Risk.CAUTION, "restricted": Risk.RESTRICTED, "halt": Risk.HALT}


class LevelsState(msgspec.Struct):
    """The whole state, for a snapshot. `asked` is the level that each cause asks for.

    Times in ns; `failed` is in millionths of a venue's calls, `late` counts a second's intents: all,
    and by level those that were too late; `lateness` is the level that the last second's ask for.
    """

    level: Risk = Risk.NORMAL
    reason: Reason = Reason.NONE
    killed: bool = False
    asked: dict[int, Risk] = {}
    calm_since_ns: int = 0
    equity_ns: int = 0
    equity_first_ns: int = 0
    stale_ns: int = 0
    lost_since_ns: int = 0
    failed: dict[int, int] = {}
    offsets_ns: dict[int, int] = {}
    adrift: list[str] = []
    intents: int = 0
    late: dict[int, int] = {}
    lateness: Risk = Risk.NORMAL


class Levels:
    """The level by all causes; `settle` after whatever may have changed it."""

    def __init__(self, config: LevelsConfig) -> None:
        self.configure(config)
        self.state = LevelsState()

    def configure(self, config: LevelsConfig) -> None:
        """Other thresholds from here on."""
        self.config = config
        waits = (w for w in msgspec.structs.astuple(config.latency_ms) if w)
        self._late_ns = min(waits, default=INT64_MAX // MS) * MS

    @property
    def level(self) -> Risk:
        """What applies, the kill switch included."""
        state = self.state
        return max(state.level, Risk.HALT) if state.killed else state.level

    @property
    def reason(self) -> Reason:
        """Its cause."""
        state = self.state
        return Reason.KILLED if state.killed and state.level <= Risk.HALT else state.reason

    def ask(self, reason: Reason, level: Risk) -> None:
        """A cause asks for a level from here on; NORMAL: for nothing."""
        if level is Risk.NORMAL:
            self.state.asked.pop(reason, None)
        else:
            self.state.asked[reason] = level

    def order(self, level: Risk) -> None:
        """An operator's word; lower than what other causes ask for it does not go.

        Differences that stand are taken note of by it: each raises again only when it changes.
        """
        self.state.adrift.clear()
        self.ask(Reason.POSITION_DRIFT, Risk.NORMAL)
        self.ask(Reason.OPERATOR, level)
        state = self.state
        state.reason, state.level = self._worst()
        state.calm_since_ns = 0

    def _worst(self) -> tuple[Reason, Risk]:
        worst, by = Risk.NORMAL, Reason.NONE
        for reason, level in self.state.asked.items():
            if level > worst:
                worst, by = level, Reason(reason)
        return by, worst

    def settle(self, now_ns: int) -> None:
        """Raise the level at once, or lower it after the calm."""
        state = self.state
        reason, worst = self._worst()
        if worst > state.level:
            state.level, state.reason = worst, reason
        elif worst < state.level < Risk.HALT:
            if not state.calm_since_ns:
                state.calm_since_ns = now_ns
            elif now_ns - state.calm_since_ns >= self.config.calm_s * SECOND:
                state.level, state.reason, state.calm_since_ns = worst, reason, 0
            return
        state.calm_since_ns = 0

    # --- measures ---------------------------------------------------------------------------------

    def equity(self, told: Equity, now_ns: int) -> None:
        """The day's loss (transfers left out) and the drawdown; a mark that ages is heard in `tick`."""
        state = self.state
        state.equity_first_ns = state.equity_first_ns or now_ns
        state.equity_ns = now_ns
        state.stale_ns = told.stale_ns
        loss = told.opening + told.transfers - told.equity
        self.ask(Reason.DAILY_LOSS, _step(self.config.daily_loss, _part(loss, told.opening)))
        fall = told.peak - told.equity
        self.ask(Reason.DRAWDOWN, _step(self.config.drawdown, _part(fall, told.peak)))
        self._marks(now_ns)

    def _marks(self, now_ns: int) -> None:
        """A mark is as old as it was when told and the silence since; before the first it is not old."""
        state = self.state
        if state.equity_ns:
            heard_ns = now_ns - state.equity_first_ns
            age_ns = min(state.stale_ns + now_ns - state.equity_ns, heard_ns)
            self.ask(Reason.STALE_MARK, _wait(self.config.stale_mark_ms, age_ns))

    def venue(self, status: VenueStatus) -> None:
        """How a venue's calls go and how far its clock is off."""
        state = self.state
        state.failed[status.venue] = PPM - status.success_bps * (PPM // 10_000)
        state.offsets_ns[status.venue] = abs(status.clock_offset_ns)
        failed = max(state.failed.values())
        self.ask(Reason.ERROR_RATE, _step(self.config.calls_failed, failed))
        self._latency()

    def drift(self, subject: str, differs: bool) -> None:
        """A venue's word on a balance or position differs from ours, or agrees again."""
        adrift = self.state.adrift
        if differs and subject not in adrift:
            adrift.append(subject)
        elif not differs and subject in adrift:
            adrift.remove(subject)
        self.ask(Reason.POSITION_DRIFT, NAMED[self.config.drift] if adrift else Risk.NORMAL)

    def intent(self, age_ns: int) -> None:
        """An intent came so long after the frame that caused it."""
        state = self.state
        state.intents += 1
        if age_ns < self._late_ns:
            return
        level = _wait(self.config.latency_ms, age_ns)
        state.late[level] = state.late.get(level, 0) + 1

    def _latency(self) -> None:
        offset = max(self.state.offsets_ns.values(), default=0)
        clock = _wait(self.config.clock_offset_ms, offset)
        self.ask(Reason.LATENCY, max(self.state.lateness, clock))

    def tick(self, seen: int, live: int, now_ns: int) -> None:
        """A second is over: `live` of the `seen` books are LIVE."""
        state = self.state
        self._marks(now_ns)
        level = _step(self.config.books_lost, _part(seen - live, seen))
        if level is Risk.NORMAL:
            state.lost_since_ns = 0
        else:
            state.lost_since_ns = state.lost_since_ns or now_ns
        if now_ns - state.lost_since_ns < self.config.books_lost_after_ms * MS:
            level = Risk.NORMAL
        self.ask(Reason.BAD_DATA, level)
        state.lateness, total = Risk.NORMAL, 0
        for level_late in sorted(state.late, reverse=True):
            total += state.late[level_late]
            if 2 * total >= state.intents:
                state.lateness = Risk(level_late)
                break
        self._latency()
        state.intents = 0
        state.late.clear()


def _part(value: int, whole: int) -> int:
    """Millionths of a whole; of none or less, all of it where there is anything."""
    if value <= 0:
        return 0
    return value * PPM // whole if whole > 0 else PPM


def _step(steps: Steps, ppm: int) -> Risk:
    """The highest level whose share is reached."""
    if ppm <= 0:
        return Risk.NORMAL
    for text, level in (
        (steps.shutdown, Risk.SHUTDOWN),
        (steps.halt, Risk.HALT),
        (steps.restricted, Risk.RESTRICTED),
        (steps.caution, Risk.CAUTION),
    ):
        if text and ppm >= _ppm(text):
            return level
    return Risk.NORMAL


def _ppm(text: str) -> int:
    whole, _, fraction = text.partition(".")
    return int(whole) * PPM + int(fraction.ljust(6, "0"))


def _wait(waits: Waits, age_ns: int) -> Risk:
    """The highest level whose time is reached."""
    for wait_ms, level in (
        (waits.shutdown, Risk.SHUTDOWN),
        (waits.halt, Risk.HALT),
        (waits.restricted, Risk.RESTRICTED),
        (waits.caution, Risk.CAUTION),
    ):
        if wait_ms and age_ns >= wait_ms * MS:
            return level
    return Risk.NORMAL
