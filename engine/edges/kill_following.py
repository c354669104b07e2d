"""What the command line says after the kill switch was turned on: how far the venues confirm it.

The page alone stops everything that raises exposure. That resting orders are gone is for the venues
to say, through the running engine; where it does not answer, nobody confirms, and that is said.
"""

import time
from collections.abc import Callable
from typing import Protocol

from engine.edges.api_client import ApiClient, ApiError
from engine.edges.runs import NoRunError, alive, read_current
from engine.views import KillView, RiskView

FOLLOW_S = 10.0
LOOK_S = 0.1
NOBODY = (
    "nobody confirms that no order rests: look at the venues themselves. What raises exposure is "
    "stopped all the same: each gateway reads the page before it sends"
)


class Asked(Protocol):
    """Who can be asked for the state of risk."""

    def risk(self) -> RiskView:
        """As `ApiClient.risk`; raises ApiError."""


def follow_kill(state_dir: str, say: Callable[[str], None]) -> bool:
    """Say how far the kill is until it is finished or the time is over; whether it is finished."""
    try:
        current = read_current(state_dir)
    except NoRunError:
        say("no engine is running here; one that starts finds the switch on")
        return True
    if not current.api or not alive(current.pid):
        say(f"{current.run} has no control API: {NOBODY}")
        return False
    return follow(ApiClient(current.api), say)


def follow(asked: Asked, say: Callable[[str], None], seconds: float = FOLLOW_S) -> bool:
    """Ask again and again, and say what changed."""
    deadline = time.monotonic() + seconds
    last, answered = "", False
    while time.monotonic() < deadline:
        try:
            risk = asked.risk()
        except ApiError:
            answered = False
        else:
            answered = True
            if risk.kill_switch and risk.kill is not None:
                words = _words(risk.level, risk.kill)
                if words != last:
                    say(words)
                    last = words
                if risk.kill.finished:
                    return True
        time.sleep(LOOK_S)  # between two looks at the condition
    if not answered:
        say(f"the engine does not answer: {NOBODY}")
    else:
        say(f"not finished after {seconds:.0f} s; it goes on: orchestrator status says how far")
    return False


def _words(level: str, kill: KillView) -> str:
    """One state of a kill, as a line."""
    if kill.finished:
        return f"finished: every venue says that no order of ours rests ({level})"
    resting = "not every venue has said what rests"
    if kill.resting >= 0:
        resting = f"{kill.resting} orders rest by the venues' own word"
    positions = f", {kill.positions} positions to flatten" if level == "SHUTDOWN" else ""
    return f"{level}: {resting}, {kill.unknown} in doubt{positions}"
