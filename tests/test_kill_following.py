"""What is said after the kill switch was turned on: what the venues confirm, or that nobody does."""

from pathlib import Path

import pytest

from engine.edges.api_client import ApiError
from engine.edges.kill_following import follow, follow_kill
from engine.views import KillView, RiskView


def risk(resting: int, finished: bool = False, level: str = "HALT", positions: int = 0) -> RiskView:
    """What the API says of a kill under way."""
    kill = KillView(resting=resting, unknown=1, positions=positions, finished=finished)
    return RiskView(level=level, kill_switch=True, kill=kill)


class Engine:
    """Answers one state of risk after another, then the last one again; None is silence."""

    def __init__(self, *states: RiskView | None) -> None:
        self._states = list(states)

    def risk(self) -> RiskView:
        """As `ApiClient.risk`."""
        state = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        if state is None:
            raise ApiError("timed out")
        return state


def said(engine: Engine, seconds: float = 0.5) -> tuple[bool, list[str]]:
    """Whether it finished, and every line."""
    lines: list[str] = []
    return follow(engine, lines.append, seconds), lines


def test_each_change_is_said_once_until_it_is_finished() -> None:
    """From what is not known yet to what every venue confirms."""
    before = RiskView(level="NORMAL", kill_switch=True)
    done, lines = said(Engine(None, before, risk(-1), risk(3), risk(3), risk(0, True)), 30)
    assert done
    assert lines == [
        "HALT: not every venue has said what rests, 1 in doubt",
        "HALT: 3 orders rest by the venues' own word, 1 in doubt",
        "finished: every venue says that no order of ours rests (HALT)",
    ]


def test_at_shutdown_positions_count_too() -> None:
    """What is still to be flattened is said."""
    done, lines = said(Engine(risk(0, level="SHUTDOWN", positions=2)))
    assert not done
    assert lines[0].endswith("1 in doubt, 2 positions to flatten")
    assert "not finished after" in lines[1]


@pytest.mark.parametrize("states", [(None,), (risk(3), None)], ids=["never", "no longer"])
def test_an_engine_that_is_silent_confirms_nothing(states: tuple[RiskView | None, ...]) -> None:
    """And it is said where to look instead."""
    done, lines = said(Engine(*states))
    assert not done
    assert "the engine does not answer: nobody confirms" in lines[-1]


def test_without_an_engine_there_is_nothing_to_follow(tmp_path: Path) -> None:
    """The page is all there is."""
    lines: list[str] = []
    assert follow_kill(str(tmp_path), lines.append)
    assert lines == ["no engine is running here; one that starts finds the switch on"]
